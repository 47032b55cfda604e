//! The only unsafe code of the crate.
#![allow(
    unsafe_code,
    reason = "unchecked shader modules, data of pipeline caches, experimental features; see the \
    comment at each call"
)]

/// A module of one of this crate's own kernels, without the checks that translation would add
/// (index clamps, loop bounds, guards on integer division): they cost up to half of a kernel's
/// speed.
///
/// What holds for every pipeline that is made here:
/// - The text is compiled into the crate: nothing else makes a `Wgsl::Files`.
/// - Only steps whose op is this crate's ask for it (`ops::is_own`, by type; the plan's copies
///   too). Whoever clones a kernel of `ops::kernels()` and dispatches it from an op of their own,
///   with whatever params and overrides, gets another pipeline, compiled with every check.
/// - The plan calls `lower`, with the types of a node that `infer` accepted when it was added, or
///   that a rewrite of the plan made; and it binds what `lower` names, each part in full. An op's
///   fields are the caller's, so `infer` guards them too.
pub(super) fn create_module(
    device: &wgpu::Device,
    label: &str,
    source: &str,
) -> wgpu::ShaderModule {
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(label),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    };
    // SAFETY: only kernels compiled into the crate come here, dispatched by its own ops. Their
    // extents are uniforms written by the plan from checked types, every access is guarded or
    // clamped by those extents, no divisor is zero, and every loop ends. The test suite runs each
    // variant over the case table against the reference, with buffers of exactly the declared size.
    unsafe {
        device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
    }
}

/// A pipeline cache that begins with `data`, or empty.
pub(super) fn create_pipeline_cache(
    device: &wgpu::Device,
    data: Option<&[u8]>,
) -> wgpu::PipelineCache {
    let descriptor = wgpu::PipelineCacheDescriptor {
        label: Some("striate"),
        data,
        fallback: true,
    };
    // SAFETY: data must be what `PipelineCache::get_data` returned on such an adapter. `cache` lets
    // nothing else through: the bytes carry a checksum of themselves and of the adapter's key, and
    // wgpu compares driver and format with its own header. Whoever forges both could write the
    // program's other files too; `GpuOptions::pipeline_cache` says so.
    unsafe { device.create_pipeline_cache(&descriptor) }
}

/// Leave to ask for experimental features, of which the crate uses cooperative matrices.
pub(super) fn experimental_features() -> wgpu::ExperimentalFeatures {
    // SAFETY: wgpu wants it acknowledged that such features may have faults. They are asked for
    // only if the user wants cooperative matrices; the kernels that use them keep to sizes that the
    // adapter lists and to uniform control flow, and before the first session runs, products of
    // known result show whether they work.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}
