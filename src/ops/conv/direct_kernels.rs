//! The kernels of convolutions without tiles.

use crate::kernel::{Kernel, Overrides, source};

use super::choose::Map;

pub(super) const WORKGROUP: usize = 64;

/// The second where a group writes one channel.
pub(super) const VARIANTS: &[Overrides] = &[
    &[("block", 4), ("workgroup_size", 64)],
    &[("block", 1), ("workgroup_size", 64)],
];

/// By elements: any convolution.
pub(super) fn by_elements(map: Map) -> Kernel {
    let (name, file) = match map {
        Map::GradInput => ("conv_direct_grad_input", source!("conv/direct_grad_input")),
        Map::Forward | Map::GradWeight => ("conv_direct_forward", source!("conv/direct_forward")),
    };
    Kernel::composed(
        name.into(),
        vec![
            source!("conv/direct"),
            source!("conv/direct_params"),
            source!("conv/gather"),
            file,
            source!("gemm/end"),
            source!("gemm/y_elements"),
            source!("lib/pad"),
        ],
        VARIANTS,
    )
    .with_epilogues(map.epilogues())
}

/// Forward, and for the gradient of the input.
const DEPTHWISE: &[Overrides] = &[
    &[("back", 0), ("workgroup_size", 64)],
    &[("back", 1), ("workgroup_size", 64)],
];

/// By quads: groups of one channel whose rows are whole quads.
pub(super) fn depthwise(map: Map) -> Kernel {
    let (name, variants) = match map {
        Map::GradInput => ("conv_depthwise_grad_input", &DEPTHWISE[1..]),
        Map::Forward | Map::GradWeight => ("conv_depthwise_forward", &DEPTHWISE[..1]),
    };
    Kernel::composed(
        name.into(),
        vec![
            source!("conv/depthwise"),
            source!("conv/direct_params"),
            source!("gemm/end"),
            source!("gemm/y_quads"),
        ],
        variants,
    )
    .with_epilogues(map.epilogues())
}

pub(super) static GRAD_WEIGHT: Kernel = Kernel::new(
    "conv_direct_grad_weight",
    &[
        source!("conv/direct_grad_weight"),
        source!("conv/direct_params"),
        source!("conv/gather"),
        source!("lib/pad"),
    ],
    VARIANTS,
);

pub(super) const KERNELS: &[&Kernel] = &[&GRAD_WEIGHT];

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    let maps = [Map::Forward, Map::GradInput];
    [maps.map(by_elements), maps.map(depthwise)].concat()
}
