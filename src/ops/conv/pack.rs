//! The weights of a convolution, packed into vec4s of its output channels.

use super::geometry::wrapped;
use crate::kernel::{Dispatch, Kernel, Operand, source};

/// How they lie there: `[group][chunk][input channel][row of taps][slot][block]`, as
/// shaders/conv/pack.wgsl says. "Output" and "input" are the channels that the convolution writes
/// and reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packing {
    pub groups: usize,
    /// Runs of `blocks` vec4s that cover the output channels of a group.
    pub chunks: usize,
    pub blocks: usize,
    /// Output and input channels of a group.
    pub outs: usize,
    pub channels: usize,
    pub taps: [usize; 2],
    /// Taps of a row lie in this order: each `phases`th one from the first on, from the second on
    /// and so on, of each as many as there are of the first, `positions`.
    pub phases: usize,
    pub positions: usize,
    /// Elements of the weight from a group, an input and an output channel to the next.
    pub steps: [usize; 3],
    /// The first tap, and what lies between rows and columns of taps.
    pub first: usize,
    pub tap_steps: [isize; 2],
}

impl Packing {
    /// vec4s in all.
    pub fn quads(&self) -> usize {
        let slots = self.taps[0] * self.phases * self.positions;
        self.groups * self.chunks * self.channels * slots * self.blocks
    }

    /// Packs the second input.
    pub fn dispatch(&self, packed: Operand) -> Dispatch {
        let [group_step, in_step, out_step] = self.steps;
        let [row_step, col_step] = self.tap_steps;
        Dispatch::new(&PACK, PACK.variants[0])
            .read(Operand::Input(1))
            .write(packed)
            .param("quads", self.quads())
            .param("chunks", self.chunks)
            .param("blocks", self.blocks)
            .param("outs", self.outs)
            .param("channels", self.channels)
            .param("taps_h", self.taps[0])
            .param("taps_w", self.taps[1])
            .param("phases", self.phases)
            .param("positions", self.positions)
            .param("group_step", group_step)
            .param("in_step", in_step)
            .param("out_step", out_step)
            .param("first", self.first)
            .param("row_step", wrapped(row_step))
            .param("col_step", wrapped(col_step))
            .workgroups(self.quads().div_ceil(64))
    }
}

static PACK: Kernel = Kernel::new(
    "conv_pack",
    &[source!("conv/pack")],
    &[&[("workgroup_size", 64)]],
);

pub(super) const KERNELS: &[&Kernel] = &[&PACK];
