//! The only unsafe code of the crate.
#![allow(
    unsafe_code,
    reason = "unchecked shader modules; see the comment at the call"
)]

/// A module of one of this crate's own kernels, without the checks that translation would add (index clamps, loop bounds,
/// guards on integer division): they cost up to half of a kernel's speed.
pub(super) fn create_module(
    device: &wgpu::Device,
    label: &str,
    source: &str,
) -> wgpu::ShaderModule {
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(label),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    };
    // SAFETY: only kernels compiled into the crate come here. Their extents are uniforms written by the plan from checked
    // types, every access is guarded or clamped by those extents, no divisor is zero, and every loop ends. The test suite
    // runs each variant over the case table against the reference, with buffers of exactly the declared size.
    unsafe {
        device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
    }
}
