//! The limits that every kernel and every session relies on.

use crate::error::{Error, ErrorKind, Result};
use crate::kernel::WINDOW;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// WebGPU's defaults suffice, and so does exactly what the table names.
    #[test]
    fn defaults_and_the_table_itself_suffice() {
        check(&wgpu::Limits::default()).unwrap();
        check(&wgpu::Limits::downlevel_defaults()).unwrap();
    }
}
