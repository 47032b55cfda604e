//! First uses of pipelines, for llvmpipe, which compiles a pipeline where it is first used, on the
//! one thread that a device runs.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::Gpu;
use super::pipeline::{Key, Pipeline, texture_format};
use crate::error::Result;
use crate::kernel::{Access, WINDOW, Wgsl};

/// Pipelines from which on further devices are worth opening.
const FEW: usize = 3;

/// Devices that compile side by side, at most.
const DEVICES: usize = 4;

/// Uses each pipeline by no workgroup as it is built, so that the driver compiles it then.
pub(super) struct FirstUses {
    bindings: Bindings,
    twins: Option<Twins>,
}

impl FirstUses {
    /// For these pipelines, which are built in this order. None where the driver compiles
    /// otherwise, nor on a borrowed device, nor through GL, where wgpu leaves out what has no
    /// workgroups.
    pub fn start(gpu: &Gpu, keys: &[&Key]) -> Option<Self> {
        let info = gpu.info();
        let llvmpipe = info.driver == "llvmpipe" && info.backend == wgpu::Backend::Vulkan;
        if keys.is_empty() || !llvmpipe || !gpu.is_owned() {
            return None;
        }
        let bindings = Bindings::new(gpu, keys)
            .inspect_err(|error| log::warn!("first uses of pipelines: {error}"))
            .ok()?;
        let used = keys.iter().filter(|key| is_used(key)).count();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let devices = match used >= FEW {
            true => cores.min(DEVICES).min(used),
            false => 1,
        };
        let twins = Twins::start(gpu, devices - 1, keys);
        let mut first_uses = Self { bindings, twins };
        first_uses.take_next();
        Some(first_uses)
    }

    /// Takes the next pipeline, or waits until the twins have compiled all that are left.
    fn take_next(&mut self) {
        if self.twins.as_ref().is_some_and(|twins| !twins.take_first()) {
            self.twins = None;
        }
    }

    /// Uses a pipeline. Nothing depends on that: what goes wrong is logged.
    ///
    /// # Errors
    /// `DeviceLost`.
    pub async fn submit(&mut self, gpu: &Gpu, pipeline: &Pipeline, key: &Key) -> Result<()> {
        let mut used = self.bindings.submit(gpu, pipeline, key).await;
        if self.twins.is_some() {
            // The next one is taken when this one is there, so that the shares are even.
            used = used.and_then(|()| gpu.wait());
        }
        if let Err(error) = used {
            gpu.check_lost()?;
            log::warn!("kernel {}: {error}", key.kernel.name);
        }
        self.take_next();
        Ok(())
    }
}

/// Further devices, each on a thread of its own, that compile, from the last pipeline on, what the
/// first one has not come to. The driver then has it in its cache on disk; where that is turned
/// off, the first device compiles it again.
struct Twins {
    /// Pipelines that none has taken.
    left: Arc<Mutex<Range<usize>>>,
    threads: Vec<JoinHandle<()>>,
}

fn locked<T>(left: &Mutex<Range<usize>>, work: impl FnOnce(&mut Range<usize>) -> T) -> T {
    work(&mut left.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Twins {
    fn start(gpu: &Gpu, count: usize, keys: &[&Key]) -> Option<Self> {
        let left = Arc::new(Mutex::new(0..keys.len()));
        let threads = (0..count).filter_map(|_| {
            let keys: Vec<Key> = keys.iter().map(|&key| key.clone()).collect();
            let (gpu, left) = (gpu.clone(), left.clone());
            let work = move || {
                // If it is a kernel's fault, the first device says so.
                if let Err(error) = pollster::block_on(compile(&gpu, &keys, &left)) {
                    log::debug!("a further device stops compiling: {error}");
                }
            };
            let thread = std::thread::Builder::new().name("striate compiler".into());
            thread.spawn(work).ok()
        });
        let threads: Vec<_> = threads.collect();
        (!threads.is_empty()).then_some(Self { left, threads })
    }

    fn take_first(&self) -> bool {
        locked(&self.left, |left| left.next().is_some())
    }
}

impl Drop for Twins {
    /// Waits for what they have taken.
    fn drop(&mut self) {
        locked(&self.left, |left| *left = 0..0);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Compiles on a twin of this device what is left of these pipelines, from the last one on.
async fn compile(gpu: &Gpu, keys: &[Key], left: &Mutex<Range<usize>>) -> Result<()> {
    let twin = gpu.twin().await?;
    let bindings = Bindings::new(&twin, &keys.iter().collect::<Vec<_>>())?;
    while let Some(i) = locked(left, Range::next_back) {
        let key = &keys[i];
        if is_used(key) {
            let build = || twin.pipelines().build(twin.device(), key);
            let pipeline = twin.scoped("building a pipeline", build).await?;
            bindings.submit(&twin, &pipeline, key).await?;
            twin.wait()?;
        }
    }
    Ok(())
}

/// Whether a pipeline has a first use here: what a kernel from outside the crate binds, nobody
/// knows.
fn is_used(key: &Key) -> bool {
    matches!(key.kernel.wgsl, Wgsl::Files(_))
}

/// A texture of one texel.
fn texture(gpu: &Gpu, access: Access) -> wgpu::TextureView {
    let (format, usage) = match access {
        Access::TextureStore(format) => {
            (texture_format(format), wgpu::TextureUsages::STORAGE_BINDING)
        }
        _ => (
            wgpu::TextureFormat::Rgba8Unorm,
            wgpu::TextureUsages::TEXTURE_BINDING,
        ),
    };
    let texture = gpu.device().create_texture(&wgpu::TextureDescriptor {
        label: Some("first use"),
        size: wgpu::Extent3d::default(),
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage,
        view_formats: &[],
    });
    texture.create_view(&Default::default())
}

/// What a use binds.
struct Bindings {
    /// As large as what any kernel of the crate binds: a window.
    buffers: Vec<wgpu::Buffer>,
    /// One of each kind that is bound.
    textures: HashMap<Access, wgpu::TextureView>,
}

impl Bindings {
    fn new(gpu: &Gpu, keys: &[&Key]) -> Result<Self> {
        let most = keys.iter().map(|key| key.accesses.len()).max();
        let bindings = most.map_or(0, |operands| operands + 1); // and the params
        let buffer = |_| gpu.create_buffer("first use", WINDOW);
        let accesses = keys.iter().flat_map(|key| &key.accesses);
        let textures: HashSet<Access> = accesses.filter(|a| a.is_texture()).copied().collect();
        gpu.guarded("buffers and textures for first uses", || Self {
            buffers: (0..bindings).map(buffer).collect(),
            textures: textures.into_iter().map(|a| (a, texture(gpu, a))).collect(),
        })
    }

    async fn submit(&self, gpu: &Gpu, pipeline: &Pipeline, key: &Key) -> Result<()> {
        if !is_used(key) {
            return Ok(());
        }
        let accesses = key.accesses.iter().chain([&Access::Uniform]);
        let entries: Vec<_> = (accesses.zip(&self.buffers).enumerate())
            .map(|(binding, (access, buffer))| wgpu::BindGroupEntry {
                binding: binding as u32,
                resource: match self.textures.get(access) {
                    Some(view) => wgpu::BindingResource::TextureView(view),
                    None => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                        buffer,
                        offset: 0,
                        size: std::num::NonZeroU64::new(match access {
                            Access::Uniform => WINDOW.min(gpu.caps().max_uniform),
                            _ => WINDOW,
                        }),
                    }),
                },
            })
            .collect();
        let submit = || {
            pipeline.use_first();
            let bind_group = gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("first use"),
                layout: &pipeline.layout,
                entries: &entries,
            });
            let mut encoder = gpu.device().create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, &bind_group, &[]);
            pass.dispatch_workgroups(0, 0, 0);
            drop(pass);
            gpu.submit(encoder);
        };
        gpu.scoped("using a pipeline by no workgroup", submit).await
    }
}
