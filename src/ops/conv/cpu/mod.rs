//! Convolutions in registers, for CPU adapters and GL devices: `docs/kernels/convolution.md`
//! explains their taps, phases and runs.

mod forms;
mod forward;
mod grad_weight;
mod taps;

use crate::kernel::Kernel;

/// The kernels that are always the same.
pub(super) const KERNELS: [&[&Kernel]; 2] = [forms::KERNELS, grad_weight::KERNELS];

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    [forms::kernels(), grad_weight::kernels()].concat()
}
