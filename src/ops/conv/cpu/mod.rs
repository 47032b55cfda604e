//! Convolutions in registers, for CPU adapters and GL devices: `docs/kernels/convolution.md`
//! explains their taps, phases and runs.

mod forward;
mod grad_weight;

use crate::kernel::Kernel;

/// The kernels that are always the same.
pub(super) const KERNELS: [&[&Kernel]; 2] = [forward::KERNELS, grad_weight::KERNELS];

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    [forward::kernels(), grad_weight::kernels()].concat()
}
