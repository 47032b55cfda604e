//! Compute pipelines, built once per kernel, set of override constants and binding layout.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

#[cfg(not(target_arch = "wasm32"))]
use super::first_use::FirstUses;
use super::{Gpu, cache, trusted};
use crate::error::{Error, Result};
use crate::kernel::{Access, Kernel, TexelFormat, Wgsl};

/// A pipeline and the layout of its bind group.
pub(crate) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    /// Whether some encoder has used it.
    used: AtomicBool,
}

impl Pipeline {
    /// Whether this use is the first.
    pub fn use_first(&self) -> bool {
        !self.used.swap(true, Ordering::Relaxed)
    }

    pub fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }
}

/// Lets whoever polls do something else once.
#[derive(Default)]
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub kernel: Kernel,
    constants: Vec<(&'static str, u32)>,
    pub accesses: Vec<Access>,
    checks: Checks,
}

/// What is added to the crate's own kernels where its own ops use them; other uses get all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Checks {
    /// Checks of indices, loops and divisions.
    pub checked: bool,
    /// Workgroup memory that begins as zero.
    pub zeroed: bool,
}

impl Checks {
    /// What a use by an op from elsewhere gets, whoever wrote the kernel.
    const ALL: Self = Self {
        checked: true,
        zeroed: true,
    };
}

/// How far the pipelines of a session are: told before each one is built, and once they are all
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Pipelines that the session needs, each counted once.
    pub total: usize,
    /// The kernels of those that are not there yet; the first is built next.
    pub pending: &'a [&'a str],
}

impl Progress<'_> {
    /// Pipelines that are there, those of earlier sessions included.
    pub fn done(&self) -> usize {
        self.total - self.pending.len()
    }
}

/// The pipelines of an engine.
pub(crate) struct Pipelines {
    built: Mutex<HashMap<Key, Arc<Pipeline>>>,
    /// The driver's own form of them, where the device keeps one.
    cache: Option<wgpu::PipelineCache>,
}

/// One use of a kernel.
pub(crate) struct Use<'a> {
    pub kernel: &'a Kernel,
    pub constants: &'a [(&'static str, u32)],
    pub accesses: Vec<Access>,
    /// Whether an op of this crate emitted it, given types that its rule accepted.
    pub trusted: bool,
}

impl Pipelines {
    /// None yet; `data` is what the driver may already know of them.
    pub fn new(device: &wgpu::Device, data: Option<&[u8]>) -> Arc<Self> {
        Arc::new(Self {
            built: Mutex::default(),
            cache: cache::create(device, data),
        })
    }

    /// What the driver knows of them, for `new` on a device of the same kind.
    pub fn cache_data(&self, device: &wgpu::Device) -> Option<Vec<u8>> {
        cache::data(device, self.cache.as_ref()?)
    }

    /// The pipelines of these uses, in order. Those that are not there yet are built, at most one
    /// in each poll.
    pub async fn get(
        &self,
        gpu: &Gpu,
        uses: Vec<Use<'_>>,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<Vec<Arc<Pipeline>>> {
        let keys: Vec<Key> = uses
            .into_iter()
            .map(|used| Key {
                kernel: used.kernel.clone(),
                constants: used.constants.to_vec(),
                accesses: used.accesses,
                checks: match used.trusted {
                    true => gpu.0.checks,
                    false => Checks::ALL,
                },
            })
            .collect();
        let (mut distinct, mut found, mut missing) = (HashSet::new(), HashMap::new(), Vec::new());
        for key in keys.iter().filter(|&key| distinct.insert(key)) {
            match self.lock().get(key) {
                Some(pipeline) => drop(found.insert(key, pipeline.clone())),
                None => missing.push(key),
            }
        }
        let total = distinct.len();
        let names: Vec<&str> = missing.iter().map(|key| key.kernel.name.as_ref()).collect();
        let ask = |key| gpu.scoped("building a pipeline", move || self.build(gpu.device(), key));
        // A browser compiles side by side what it is asked for; elsewhere, asking is building.
        let ahead = match cfg!(target_arch = "wasm32") {
            true => missing.len(),
            false => 0,
        };
        let mut asked = Vec::with_capacity(ahead);
        for &key in &missing[..ahead] {
            asked.push(ask(key));
            Yield::default().await;
        }
        let mut asked = asked.into_iter();
        #[cfg(not(target_arch = "wasm32"))]
        let mut first_uses = FirstUses::start(gpu, &missing);
        for (i, &key) in missing.iter().enumerate() {
            let pending = &names[i..];
            progress(Progress { total, pending });
            let building = asked.next().unwrap_or_else(|| ask(key));
            let context = |e: Error| {
                let place = place_of(&key.kernel, &e.to_string());
                e.context(format!("kernel {}{place}", key.kernel.name))
            };
            let pipeline = Arc::new(building.await.map_err(context)?);
            #[cfg(not(target_arch = "wasm32"))]
            if let Some(first_uses) = &mut first_uses {
                first_uses.submit(gpu, &pipeline, key).await?;
            }
            let kept = self.lock().entry(key.clone()).or_insert(pipeline).clone();
            found.insert(key, kept);
            // Building one takes a while; a frame may come between.
            Yield::default().await;
        }
        progress(Progress {
            total,
            pending: &[],
        });
        Ok(keys
            .iter()
            .filter_map(|key| found.get(key).cloned())
            .collect())
    }

    /// How many have been built.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Pipeline>>> {
        self.built.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn build(&self, device: &wgpu::Device, key: &Key) -> Pipeline {
        let Key {
            kernel,
            constants,
            accesses,
            checks,
        } = key;
        let own = matches!(kernel.wgsl, Wgsl::Files(_));
        let label = kernel.name.as_ref();
        let source = kernel.source();
        let module = match own && !checks.checked {
            true => trusted::create_module(device, label, &source),
            // Text from outside the crate keeps every check.
            false => device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(label),
                source: wgpu::ShaderSource::Wgsl(source),
            }),
        };
        let uniform_params = std::iter::once(&Access::Uniform);
        let entries: Vec<wgpu::BindGroupLayoutEntry> = accesses
            .iter()
            .chain(uniform_params)
            .enumerate()
            .map(|(binding, access)| wgpu::BindGroupLayoutEntry {
                binding: binding as u32,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: binding_type(*access),
                count: None,
            })
            .collect();
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(label),
            entries: &entries,
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(label),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let constants: Vec<(&str, f64)> = constants
            .iter()
            .map(|&(name, value)| (name, f64::from(value)))
            .collect();
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                zero_initialize_workgroup_memory: !own || checks.zeroed,
            },
            cache: self.cache.as_ref(),
        });
        Pipeline {
            pipeline,
            layout,
            used: AtomicBool::new(false),
        }
    }
}

fn binding_type(access: Access) -> wgpu::BindingType {
    let buffer = |ty| wgpu::BindingType::Buffer {
        ty,
        has_dynamic_offset: false,
        min_binding_size: None,
    };
    match access {
        Access::Read => buffer(wgpu::BufferBindingType::Storage { read_only: true }),
        Access::ReadWrite => buffer(wgpu::BufferBindingType::Storage { read_only: false }),
        Access::Uniform => buffer(wgpu::BufferBindingType::Uniform),
        // Admits formats that cannot be filtered too.
        Access::Texture => wgpu::BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable: false },
            view_dimension: wgpu::TextureViewDimension::D2,
            multisampled: false,
        },
        Access::TextureStore(format) => wgpu::BindingType::StorageTexture {
            access: wgpu::StorageTextureAccess::WriteOnly,
            format: texture_format(format),
            view_dimension: wgpu::TextureViewDimension::D2,
        },
    }
}

/// wgpu's name of a format.
pub(crate) fn texture_format(format: TexelFormat) -> wgpu::TextureFormat {
    match format {
        TexelFormat::Rgba8Unorm => wgpu::TextureFormat::Rgba8Unorm,
        TexelFormat::Rgba16Float => wgpu::TextureFormat::Rgba16Float,
        TexelFormat::R32Float => wgpu::TextureFormat::R32Float,
        TexelFormat::Rgba32Float => wgpu::TextureFormat::Rgba32Float,
    }
}

/// The file and line of `kernel` that a message speaks of, in brackets; nothing if it names none.
/// naga writes a place in a text as `wgsl:LINE:COLUMN`.
fn place_of(kernel: &Kernel, message: &str) -> String {
    let digits = |text: &str| {
        text.split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    };
    match message.split("wgsl:").skip(1).find_map(digits) {
        Some(line) => {
            let (file, line) = kernel.locate(line);
            format!(" ({file}:{line})")
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_naga_is_told_by_file_and_line() {
        let kernels = crate::ops::kernels();
        let unary = kernels
            .iter()
            .find(|kernel| kernel.name == "unary")
            .unwrap();
        let text = unary.source();
        let line = text
            .lines()
            .position(|line| line.contains("fn is_nan("))
            .unwrap()
            + 1;
        let own = include_str!("../../shaders/lib/float.wgsl");
        let wanted = own
            .lines()
            .position(|line| line.contains("fn is_nan("))
            .unwrap()
            + 1;
        let message = format!("unknown identifier\n  \u{250c}\u{2500} wgsl:{line}:7");
        let place = place_of(unary, &message);
        assert_eq!(place, format!(" (shaders/lib/float.wgsl:{wanted})"));
        assert_eq!(place_of(unary, "no memory"), "");
    }
}
