//! Cooperative matrices: whether a device has those that the kernels multiply, and whether it was
//! seen to multiply them correctly.

use std::sync::{MutexGuard, PoisonError};

use super::{Gpu, GpuOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Body, COOPERATIVE_MEMORY, Caps, Matrices};

/// What a device is made with for them.
pub(super) const FEATURES: wgpu::Features = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX
    .union(wgpu::Features::SHADER_F16)
    .union(wgpu::Features::SUBGROUP);

/// Invocations of the largest subgroups of which the workgroups of all kernels are made.
const MOST_INVOCATIONS: u32 = 64;

impl Matrices {
    /// What subgroups of an adapter multiply in `f16` and sum in `f32`, if its devices can have all
    /// that the kernels need.
    pub fn of(adapter: &wgpu::Adapter) -> Option<Self> {
        let memory = adapter.limits().max_compute_workgroup_storage_size;
        let fits = adapter.get_info().subgroup_max_size <= MOST_INVOCATIONS
            && memory >= COOPERATIVE_MEMORY
            && adapter.features().contains(FEATURES);
        if !fits {
            return None;
        }
        let offered = adapter.cooperative_matrix_properties();
        let has = |edge: u32| {
            offered.iter().any(|p| {
                [p.m_size, p.n_size, p.k_size] == [edge; 3]
                    && p.ab_type == wgpu::CooperativeScalarType::F16
                    && p.cr_type == wgpu::CooperativeScalarType::F32
            })
        };
        match (has(16), has(8)) {
            (true, _) => Some(Matrices::Sixteen),
            (false, true) => Some(Matrices::Eight),
            (false, false) => None,
        }
    }
}

/// The matrices for these options on a device whose adapter has `known` ones. They matter only
/// where the options ask for them.
///
/// # Errors
/// `Unsupported` if the device lacks them or what they need, or a table of measured choices names
/// them; `Limit` if it allows too little workgroup memory.
pub(super) fn chosen(
    device: &wgpu::Device,
    owned: bool,
    options: &GpuOptions,
    caps: &Caps,
    known: Option<Matrices>,
) -> Result<Matrices> {
    let wanted = options.matrices.or(known);
    let matrices = wanted.unwrap_or(caps.matrices);
    let unsupported = |message: &str| {
        let message = format!("cooperative matrices: {message}");
        Err(Error::new(ErrorKind::Unsupported, message))
    };
    let choices = caps
        .tuning
        .iter()
        .flat_map(|tuning| tuning.choices.values());
    if choices
        .clone()
        .any(|choice| choice.body == Body::Cooperative)
    {
        return unsupported(
            "a table of measured choices may not name them, since they round to f16",
        );
    }
    if caps.body != Body::Cooperative || matrices == Matrices::Plain {
        return Ok(matrices);
    }
    let names = |features: wgpu::Features| {
        let names: Vec<&str> = features.iter_names().map(|(name, _)| name).collect();
        names.join(", ")
    };
    if owned && known.is_none() {
        return unsupported(&format!(
            "the adapter has none of 16 x 16 or 8 x 8 that multiply f16 and sum in f32, or lacks \
             one of {}, {COOPERATIVE_MEMORY} bytes of \
             workgroup memory, subgroups of at most {MOST_INVOCATIONS} invocations",
            names(FEATURES)
        ));
    }
    let missing = FEATURES - device.features();
    if !missing.is_empty() {
        return unsupported(&format!("the device was made without {}", names(missing)));
    }
    let largest = device.adapter_info().subgroup_max_size;
    if largest > MOST_INVOCATIONS {
        return unsupported(&format!(
            "the device has subgroups of up to {largest} invocations, the kernels are made for \
             {MOST_INVOCATIONS} at most"
        ));
    }
    let memory = device.limits().max_compute_workgroup_storage_size;
    if memory < COOPERATIVE_MEMORY {
        return Err(Error::new(
            ErrorKind::Limit,
            format!(
                "max_compute_workgroup_storage_size: the device allows {memory}, cooperative \
                 matrices need {COOPERATIVE_MEMORY}"
            ),
        ));
    }
    match (wanted, known) {
        (None, _) => unsupported(
            "a borrowed device does not tell which it has; name them, as Matrices::of finds them",
        ),
        (Some(wanted), Some(known)) if wanted != known => {
            unsupported(&format!("the adapter has {known:?}, not {wanted:?}"))
        }
        _ => Ok(matrices),
    }
}

impl Gpu {
    /// The same device with its cooperative matrices, and nothing else that options ask for: to try
    /// these out.
    pub(crate) fn with_matrices_alone(&self) -> Self {
        let limits = self.0.device.limits();
        let binding = limits.max_storage_buffer_binding_size;
        self.with_caps(Caps {
            matrices: self.0.caps.matrices,
            body: Body::Cooperative,
            max_binding: Caps::default().max_binding.min(binding / 256 * 256),
            ..Caps::default()
        })
    }

    /// Whether the kernels run on cooperative matrices that nobody has yet seen to multiply
    /// correctly.
    pub(crate) fn unproven(&self) -> bool {
        let Caps { body, matrices, .. } = &self.0.caps;
        *body == Body::Cooperative && !self.proven().contains(matrices)
    }

    /// Notes that its cooperative matrices multiply correctly.
    pub(crate) fn prove(&self) {
        self.proven().push(self.0.caps.matrices);
    }

    fn proven(&self) -> MutexGuard<'_, Vec<Matrices>> {
        let proven = &self.0.common.proven;
        proven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
