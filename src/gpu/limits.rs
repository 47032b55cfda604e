//! The limits that every kernel and every session relies on.

use std::collections::HashSet;

use super::GpuOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Value};
use crate::kernel::WINDOW;
use crate::plan::{Plan, PlanOptions, StateLayout, UNIFORM_STRIDE};

/// One limit that a device must meet.
struct Need {
    /// WebGPU's name of the limit.
    name: &'static str,
    offered: fn(&wgpu::Limits) -> u64,
    needed: u64,
}

/// Limits of which a device must allow this much or more.
const AT_LEAST: [Need; 14] = [
    need("max_bind_groups", |l| l.max_bind_groups.into(), 1),
    // Reading textures binds four of them, four buffers and its params.
    need(
        "max_bindings_per_bind_group",
        |l| l.max_bindings_per_bind_group.into(),
        9,
    ),
    need(
        "max_storage_buffers_per_shader_stage",
        |l| l.max_storage_buffers_per_shader_stage.into(),
        4,
    ),
    need(
        "max_uniform_buffers_per_shader_stage",
        |l| l.max_uniform_buffers_per_shader_stage.into(),
        UNIFORM_BUFFERS,
    ),
    need(
        "max_buffers_and_acceleration_structures_per_shader_stage",
        |l| {
            l.max_buffers_and_acceleration_structures_per_shader_stage
                .into()
        },
        8,
    ),
    need(
        "max_uniform_buffer_binding_size",
        |l| l.max_uniform_buffer_binding_size,
        16 << 10,
    ),
    need(
        "max_storage_buffer_binding_size",
        |l| l.max_storage_buffer_binding_size,
        256,
    ),
    need("max_buffer_size", |l| l.max_buffer_size, WINDOW),
    need(
        "max_compute_invocations_per_workgroup",
        |l| l.max_compute_invocations_per_workgroup.into(),
        256,
    ),
    need(
        "max_compute_workgroup_size_x",
        |l| l.max_compute_workgroup_size_x.into(),
        256,
    ),
    need(
        "max_compute_workgroup_size_y",
        |l| l.max_compute_workgroup_size_y.into(),
        1,
    ),
    need(
        "max_compute_workgroup_size_z",
        |l| l.max_compute_workgroup_size_z.into(),
        1,
    ),
    need(
        "max_compute_workgroup_storage_size",
        |l| l.max_compute_workgroup_storage_size.into(),
        16_352,
    ),
    need(
        "max_compute_workgroups_per_dimension",
        |l| l.max_compute_workgroups_per_dimension.into(),
        65_535,
    ),
];

/// Limits of which a device may ask for this much or less: all that is bound begins at a
/// multiple of 256 bytes.
const AT_MOST: [Need; 2] = [
    need(
        "min_uniform_buffer_offset_alignment",
        |l| l.min_uniform_buffer_offset_alignment.into(),
        256,
    ),
    need(
        "min_storage_buffer_offset_alignment",
        |l| l.min_storage_buffer_offset_alignment.into(),
        256,
    ),
];

/// The most uniform bindings of one kernel, its params among them.
const UNIFORM_BUFFERS: u64 = 4;

const fn need(name: &'static str, offered: fn(&wgpu::Limits) -> u64, needed: u64) -> Need {
    Need {
        name,
        offered,
        needed,
    }
}

/// Compares `limits` with what the kernels need.
///
/// # Errors
/// `Limit`, naming the first limit that falls short, what it allows and what is needed.
pub(super) fn check(limits: &wgpu::Limits) -> Result<()> {
    let short = |message: String| Err(Error::new(ErrorKind::Limit, message));
    for Need {
        name,
        offered,
        needed,
    } in AT_LEAST
    {
        let offered = offered(limits);
        if offered < needed {
            return short(format!(
                "{name}: the device allows {offered}, the kernels need {needed}"
            ));
        }
    }
    for Need {
        name,
        offered,
        needed,
    } in AT_MOST
    {
        let offered = offered(limits);
        if offered > needed {
            return short(format!(
                "{name}: the device asks for {offered}, the kernels keep to {needed}"
            ));
        }
    }
    Ok(())
}

/// The least that the kernels need: a device with these limits and no features runs every op.
/// Limits that the kernels do not touch are those of [`wgpu::Limits::downlevel_defaults`].
pub fn base_limits() -> wgpu::Limits {
    wgpu::Limits {
        max_bind_groups: 1,
        max_bindings_per_bind_group: 9,
        max_storage_buffers_per_shader_stage: 4,
        max_uniform_buffers_per_shader_stage: UNIFORM_BUFFERS as u32,
        max_buffers_and_acceleration_structures_per_shader_stage: 8,
        max_uniform_buffer_binding_size: 16 << 10,
        max_compute_invocations_per_workgroup: 256,
        max_compute_workgroup_size_x: 256,
        max_compute_workgroup_size_y: 1,
        max_compute_workgroup_size_z: 1,
        max_compute_workgroup_storage_size: 16_352,
        max_compute_workgroups_per_dimension: 65_535,
        min_uniform_buffer_offset_alignment: 256,
        min_storage_buffer_offset_alignment: 256,
        ..wgpu::Limits::downlevel_defaults()
    }
}

/// The limits to ask a device for, before there is one: on a device with them, a session of `graph`
/// with these `fetched` values, over a store of its own, is compiled with every value in one
/// binding. On a device with less, down to [`base_limits`], larger values are cut into parts, as
/// far as their ops allow that.
///
/// A host asks for the better of its own and these, with `own.or_better_values_from(&needed)`.
///
/// ```
/// use striate::gpu::{base_limits, required_limits};
/// use striate::prelude::*;
///
/// # fn main() -> Result<()> {
/// let mut g = Graph::new();
/// let x = g.input("x", Type::f32([64, 3, 1024, 1024]))?; // 768 MiB
/// let y = g.relu(x)?;
/// let needed = required_limits(&g, &[y])?;
/// assert_eq!(needed.max_storage_buffer_binding_size, 768 << 20);
/// assert_eq!(base_limits().max_storage_buffer_binding_size, 128 << 20);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `Limit` if a value is larger than any binding; as [`Plan::new`].
pub fn required_limits(graph: &Graph, fetched: &[Value]) -> Result<wgpu::Limits> {
    let mut limits = base_limits();
    for texture in graph.textures() {
        for &side in &graph.shape(texture.value)?[..2] {
            let most = &mut limits.max_texture_dimension_2d;
            *most = (*most).max(u32::try_from(side).unwrap_or(u32::MAX));
        }
    }
    let mut binding = limits.max_storage_buffer_binding_size;
    for value in reached(graph, fetched)? {
        if graph.texture_of(value).is_none() {
            let bytes = graph.ty(value)?.bytes();
            binding = binding.max(bytes.checked_next_multiple_of(256).unwrap_or(u64::MAX));
        }
    }
    limits.max_storage_buffer_binding_size = binding;
    // Scratch and parameters of dispatches are known to the plans alone, which differ from one kind
    // of device to another.
    let room = wgpu::Limits {
        max_buffer_size: limits.max_buffer_size.max(binding.saturating_add(WINDOW)),
        ..limits.clone()
    };
    for (backend, kind, max_uniform_buffer_binding_size) in [
        (wgpu::Backend::Vulkan, wgpu::DeviceType::Other, 16 << 10),
        (wgpu::Backend::Gl, wgpu::DeviceType::Other, 16 << 10),
        (wgpu::Backend::Vulkan, wgpu::DeviceType::Cpu, 16 << 10),
        (wgpu::Backend::Vulkan, wgpu::DeviceType::Cpu, WINDOW),
    ] {
        let offered = wgpu::Limits {
            max_uniform_buffer_binding_size,
            ..room.clone()
        };
        let caps = GpuOptions::default().caps(backend, kind, &offered)?;
        if binding > caps.max_binding {
            return Err(Error::new(
                ErrorKind::Limit,
                format!(
                    "a value takes {binding} bytes, a binding holds at most {}",
                    caps.max_binding
                ),
            ));
        }
        let layout = StateLayout::new(&[graph], caps.max_binding)?;
        let plan = Plan::new(graph, &layout, fetched, &caps, PlanOptions::default())?;
        let chunks = layout.chunks.iter().map(|chunk| caps.padded(chunk.bytes));
        let buffers = plan.slots.iter().copied().chain(plan.fixed().into_values());
        let params = plan.steps.len() as u64 * UNIFORM_STRIDE;
        let largest = chunks.chain(buffers).chain([params]).max().unwrap_or(0);
        limits.max_buffer_size = limits.max_buffer_size.max(largest);
    }
    Ok(limits)
}

/// The values that a step makes or reads: those that are fetched, assigned or written into
/// textures, states, and all that these are made of.
fn reached(graph: &Graph, fetched: &[Value]) -> Result<HashSet<Value>> {
    let assigned = graph.assigns().iter().map(|&(_, value)| value);
    let states = graph.states().iter().map(|state| state.value);
    let written = graph.textures().iter().filter(|t| t.format.is_some());
    let written = written.map(|texture| texture.value);
    let mut left: Vec<Value> = fetched.to_vec();
    left.extend(assigned.chain(states).chain(written));
    let mut found = HashSet::new();
    while let Some(value) = left.pop() {
        graph.operand("required_limits", value)?;
        if found.insert(value)
            && let Some(node) = graph.producer(value)
        {
            left.extend(&graph.nodes()[node].inputs);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The base is exactly what the kernels need: one less of anything is refused.
    #[test]
    fn the_base_suffices_and_nothing_less() {
        let base = base_limits();
        check(&base).unwrap();
        let less: [fn(&mut wgpu::Limits); 13] = [
            |l| l.max_bind_groups -= 1,
            |l| l.max_bindings_per_bind_group -= 1,
            |l| l.max_storage_buffers_per_shader_stage -= 1,
            |l| l.max_uniform_buffers_per_shader_stage -= 1,
            |l| l.max_buffers_and_acceleration_structures_per_shader_stage -= 1,
            |l| l.max_uniform_buffer_binding_size -= 1,
            |l| l.max_compute_invocations_per_workgroup -= 1,
            |l| l.max_compute_workgroup_size_x -= 1,
            |l| l.max_compute_workgroup_size_y -= 1,
            |l| l.max_compute_workgroup_size_z -= 1,
            |l| l.max_compute_workgroup_storage_size -= 1,
            |l| l.max_compute_workgroups_per_dimension -= 1,
            |l| l.min_storage_buffer_offset_alignment *= 2,
        ];
        for (i, less) in less.iter().enumerate() {
            let mut limits = base.clone();
            less(&mut limits);
            check(&limits).expect_err(&i.to_string());
        }
    }

    /// WebGPU's defaults suffice, and so does exactly what the table names.
    #[test]
    fn defaults_and_the_table_itself_suffice() {
        check(&wgpu::Limits::default()).unwrap();
        check(&wgpu::Limits::downlevel_defaults()).unwrap();
    }
}
