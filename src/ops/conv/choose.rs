//! Which kernels compute a convolution, from its geometry and the device:
//!
//! | Convolution | Device | Kernels |
//! |---|---|---|
//! | over depth, or padded otherwise than by zeros | any | `direct.rs` |
//! | depthwise | any | `direct.rs` |
//! | with a weight in several parts | any | `direct.rs` |
//! | y and dX, with more than 15 taps along an axis | a GPU | `direct.rs` |
//! | dX, with a weight that one binding cannot hold packed | a GPU | `direct.rs` |
//! | dW, with strides that lead 2^31 beyond the input | a GPU | `direct.rs` |
//! | any other | a GPU | `implicit_gemm.rs` |
//! | any other whose scratch and turns fit | a CPU adapter, or GL | `cpu/` |
//! | any other | a CPU adapter, or GL | `direct.rs` |

use super::filters::Filters;
use super::{Sizes, cpu, direct, implicit_gemm};
use crate::kernel::{Body, Caps, Io, Lowering, NO_EPILOGUE, Operand, Overrides, Rows, overlaps};
use crate::lowering::gemm::{End, Target};

/// Which of the three ops is lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Map {
    Forward,
    GradInput,
    GradWeight,
}

impl Map {
    /// What may follow it.
    pub(super) fn epilogues(self) -> &'static [Overrides] {
        const FORWARD: &[Overrides] = &[
            End::None.overrides(),
            End::Relu.overrides(),
            End::Bias.overrides(),
            End::BiasRelu.overrides(),
        ];
        const GRAD_INPUT: &[Overrides] = &[
            End::None.overrides(),
            End::Mask.overrides(),
            End::MaskInPlace.overrides(),
            End::Bias.overrides(),
        ];
        match self {
            Map::Forward => FORWARD,
            Map::GradInput => GRAD_INPUT,
            Map::GradWeight => NO_EPILOGUE,
        }
    }
}

/// Kernels that compute a convolution, by their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConvKernels {
    /// Without tiles, over three axes and with every padding: `direct.rs`.
    Direct,
    /// By tiles of workgroup memory: `implicit_gemm.rs`.
    ImplicitGemm,
    /// In registers: `cpu/`.
    Cpu,
}

/// The kernels that compute a convolution, with its weight in one part or in several, and why. No
/// batch enters into it.
pub(super) fn kernels(
    sizes: &Sizes,
    map: Map,
    one_part: bool,
    caps: &Caps,
) -> (ConvKernels, &'static str) {
    use ConvKernels::{Cpu, Direct, ImplicitGemm};
    if !sizes.flat() {
        return (
            Direct,
            "direct: it runs over depth, or is padded otherwise than by zeros",
        );
    }
    if is_thin(sizes, map) {
        return (Direct, "direct: its groups have one channel");
    }
    if !one_part {
        return (Direct, "direct: its weight lies in several parts");
    }
    if caps.body != Body::Registers
        && let Some(why) = implicit_gemm::refuses(sizes, map, caps)
    {
        return (Direct, why);
    }
    match caps.body {
        Body::Shared => (
            ImplicitGemm,
            "implicit GEMM: tiles of workgroup memory, by rule, measurement or request",
        ),
        Body::Cooperative => (
            ImplicitGemm,
            "implicit GEMM: cooperative matrices, by measurement or request",
        ),
        Body::Registers if cpu::fits(sizes, map, caps) => (
            Cpu,
            "in registers: by rule for a CPU adapter or GL of few buffers, by measurement or \
             request",
        ),
        Body::Registers => (
            Direct,
            "direct: its scratch or its turns do not fit in registers",
        ),
    }
}

/// Whether products of few channels would leave most of a tile of the fast kernels empty: groups of
/// one, depthwise.
fn is_thin(sizes: &Sizes, map: Map) -> bool {
    let (channels, outs) = (sizes.c / sizes.groups, sizes.o / sizes.groups);
    let wide = match map {
        Map::Forward => outs,
        Map::GradInput => channels,
        Map::GradWeight => channels.max(outs),
    };
    sizes.groups > 1 && wide == 1
}

/// Emits the convolution or the gradient of its input.
pub(super) fn lower(sizes: &Sizes, map: Map, io: &Io, end: End, caps: &Caps, out: &mut Lowering) {
    let runs = overlaps(&[&io.input_parts[0], &io.output_parts[0]]);
    let weight = &io.input_parts[1];
    let (kernels, why) = kernels(sizes, map, weight.len() == 1, caps);
    let first = out.dispatches.len();
    match kernels {
        ConvKernels::Direct => {
            let filters = Filters::in_parts(sizes, weight);
            direct::lower(sizes, map, &runs, &filters, end, caps, out);
        }
        ConvKernels::ImplicitGemm => implicit_gemm::lower(sizes, map, &runs, end, caps, out),
        ConvKernels::Cpu => cpu::forward::lower(sizes, map, &runs, end, caps, out),
    }
    out.explain(first, why);
}

/// Emits the gradient of some filters over one run of images of x and dy, and of the bias into
/// `dbias` where the kernels are those in registers.
pub(super) fn lower_grad_weight(
    sizes: &Sizes,
    run: &Rows,
    filters: &Filters,
    to: Target,
    dbias: Option<Operand>,
    caps: &Caps,
    out: &mut Lowering,
) {
    let (kernels, why) = kernels(sizes, Map::GradWeight, filters.count() == sizes.o, caps);
    let first = out.dispatches.len();
    match kernels {
        ConvKernels::Direct => direct::lower_grad_weight(sizes, run, filters, to, caps, out),
        ConvKernels::ImplicitGemm => implicit_gemm::lower_grad_weight(sizes, run, to, caps, out),
        ConvKernels::Cpu => cpu::grad_weight::lower(sizes, run, to, dbias, caps, out),
    }
    out.explain(first, why);
}
