//! Compute pipelines, built once per kernel, override set and binding layout.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Gpu, trusted};
use crate::error::Result;
use crate::kernel::{Access, Kernel, Overrides, Wgsl};

/// A pipeline and the layout of its bind group.
pub(crate) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    kernel: Kernel,
    overrides: Overrides,
    accesses: Vec<Access>,
    checks: Checks,
}

/// What is added to the crate's own kernels; those from elsewhere get all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Checks {
    /// Checks of indices, loops and divisions.
    pub checked: bool,
    /// Workgroup memory that begins as zero.
    pub zeroed: bool,
}

/// The pipelines of an engine.
#[derive(Default)]
pub(crate) struct Pipelines {
    built: Mutex<HashMap<Key, Arc<Pipeline>>>,
}

/// One use of a kernel.
pub(crate) type Use<'a> = (&'a Kernel, Overrides, Vec<Access>);

impl Pipelines {
    /// The pipelines of these uses, in order; those that are not there yet are built, and kept only if nothing went wrong.
    pub async fn get(&self, gpu: &Gpu, uses: Vec<Use<'_>>) -> Result<Vec<Arc<Pipeline>>> {
        let keys: Vec<Key> = uses
            .into_iter()
            .map(|(kernel, overrides, accesses)| Key {
                kernel: kernel.clone(),
                overrides,
                accesses,
                checks: gpu.0.checks,
            })
            .collect();
        let make = || {
            let mut fresh: HashMap<&Key, Arc<Pipeline>> = HashMap::new();
            let built = self.lock();
            for key in keys.iter().filter(|&key| !built.contains_key(key)) {
                let make = || Arc::new(build(gpu.device(), key));
                fresh.entry(key).or_insert_with(make);
            }
            fresh
        };
        let fresh = gpu.scoped("building pipelines", make).await?;
        let mut built = self.lock();
        for (key, pipeline) in fresh {
            built.entry(key.clone()).or_insert(pipeline);
        }
        Ok(keys
            .iter()
            .filter_map(|key| built.get(key).cloned())
            .collect())
    }

    /// How many have been built.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Pipeline>>> {
        self.built.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn build(device: &wgpu::Device, key: &Key) -> Pipeline {
    let Key {
        kernel,
        overrides,
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
            ty: wgpu::BindingType::Buffer {
                ty: match access {
                    Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
                    Access::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
                    Access::Uniform => wgpu::BufferBindingType::Uniform,
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
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
    let constants: Vec<(&str, f64)> = overrides
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
        cache: None,
    });
    Pipeline { pipeline, layout }
}
