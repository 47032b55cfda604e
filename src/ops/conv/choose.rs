//! Which kernels compute a convolution, from its geometry and the device:
//!
//! | Convolution | Device | Kernels |
//! |---|---|---|
//! | over depth, padded otherwise than by zeros, or depthwise | any | `direct.rs` |
//! | with a weight in several parts | any | `direct.rs` |
//! | any other | a GPU | `implicit_gemm.rs` |
//! | any other whose scratch and turns fit | a CPU adapter, or GL | `cpu/` |
//! | any other | a CPU adapter, or GL | `direct.rs` |

use super::Sizes;
use super::filters::Filters;
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

impl Sizes {
    /// Whether products of few channels would leave most of a tile of the fast kernels empty:
    /// groups of one, depthwise.
    fn thin(&self, map: Map) -> bool {
        let (channels, outs) = (self.c / self.groups, self.o / self.groups);
        let wide = match map {
            Map::Forward => outs,
            Map::GradInput => channels,
            Map::GradWeight => channels.max(outs),
        };
        self.groups > 1 && wide == 1
    }

    /// The fast kernels that compute it, if any; the batch has no say in it.
    pub(super) fn body(&self, map: Map, caps: &Caps) -> Option<Body> {
        if !self.flat() || self.thin(map) {
            return None;
        }
        let fits = caps.body != Body::Registers || self.registers_fit(map, caps);
        fits.then_some(caps.body)
    }

    /// Emits the convolution or the gradient of its input. A weight in parts, which few have, takes
    /// the kernels without tiles.
    pub(super) fn lower(&self, map: Map, io: &Io, end: End, caps: &Caps, out: &mut Lowering) {
        let runs = overlaps(&[&io.input_parts[0], &io.output_parts[0]]);
        let weight = &io.input_parts[1];
        match self.body(map, caps) {
            Some(Body::Registers) if weight.len() == 1 => {
                self.lower_registers(map, &runs, end, caps, out);
            }
            Some(Body::Shared | Body::Cooperative) if weight.len() == 1 => {
                self.lower_shared(map, &runs, end, caps, out);
            }
            _ => self.lower_direct(map, &runs, &Filters::in_parts(self, weight), end, caps, out),
        }
    }

    /// Emits the gradient of some filters over one run of images of x and dy, and of the bias into
    /// `dbias` where the body is that in registers.
    pub(super) fn lower_grad_weight(
        &self,
        run: &Rows,
        filters: &Filters,
        to: Target,
        dbias: Option<Operand>,
        caps: &Caps,
        out: &mut Lowering,
    ) {
        match self.body(Map::GradWeight, caps) {
            Some(Body::Registers) if filters.count() == self.o => {
                self.lower_registers_grad_weight(run, to, dbias, caps, out);
            }
            Some(Body::Shared | Body::Cooperative) if filters.count() == self.o => {
                self.lower_shared_grad_weight(run, to, caps, out);
            }
            _ => self.lower_direct_grad_weight(run, filters, to, caps, out),
        }
    }
}
