//! Convolutions in registers, for CPU adapters and GL devices: `docs/kernels/convolution.md`
//! explains their taps, phases and runs.

mod forms;
pub(super) mod forward;
pub(super) mod grad_weight;
mod taps;

use crate::kernel::{Caps, Kernel};
use crate::ops::conv::Sizes;
use crate::ops::conv::choose::Map;

/// Whether a convolution takes few dispatches of few turns, and what passes through scratch, padded
/// to tiles, fits one binding.
pub(super) fn fits(sizes: &Sizes, map: Map, caps: &Caps) -> bool {
    let quads = match map {
        Map::Forward | Map::GradInput => forward::scratch_quads(sizes, map, caps),
        Map::GradWeight => grad_weight::quads(sizes, caps),
    };
    quads.is_some_and(|quads| 16 * quads as u64 <= caps.max_binding)
}

/// The kernels that are always the same.
pub(super) const KERNELS: &[&Kernel] = grad_weight::KERNELS;

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    [forms::kernels(), grad_weight::kernels()].concat()
}
