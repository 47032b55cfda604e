//! Local response normalisation over windows of very many channels.

use crate::kernel::{Dispatch, Kernel, Lowering, Operand, Overrides, Rows, looped, source};
use crate::shape::Type;

use crate::ops::norm::local_response_norm::{LocalResponseNorm, image};

/// Blocks of a level that belong to one of the next. The shaders know it too.
const BLOCKS: usize = 16;

/// A run of rows whose windows are long: sums over them are made of sums of blocks of channels, of
/// blocks of blocks, and so on, of each level the few that the next one leaves over at the ends.
pub(in crate::ops) struct Wide<'a> {
    norm: &'a LocalResponseNorm,
    rows: usize,
    base: usize,
    channels: usize,
    plane: usize,
}

impl<'a> Wide<'a> {
    /// x, its gradients and y are cut alike.
    pub(in crate::ops) fn new(norm: &'a LocalResponseNorm, x: &Type, rows: &Rows) -> Self {
        let [channels, plane] = image(x);
        Self {
            norm,
            rows: rows.count,
            base: rows.first[0] * x.row(),
            channels,
            plane,
        }
    }

    fn count(&self) -> usize {
        self.rows * self.channels * self.plane
    }

    /// Scratch for an element of each of the rows.
    fn scratch(&self, out: &mut Lowering) -> Operand {
        out.scratch(Type::f32([self.count()]))
    }

    pub(in crate::ops) fn lower_forward(&self, part: &[usize], out: &mut Lowering) {
        let y = (Operand::Output(0), part[1], self.base);
        self.sum_squares(Operand::Input(0), part[0], y, out);
        let dispatch = Dispatch::new(&WIDE_FORWARD, VARIANTS[0])
            .read(Operand::Input(0))
            .part(part[0])
            .write(Operand::Output(0))
            .part(part[1]);
        out.push(self.element(dispatch, -self.norm.beta));
    }

    pub(in crate::ops) fn lower_grad(&self, part: &[usize], out: &mut Lowering) {
        let (sums, shares) = (self.scratch(out), self.scratch(out));
        self.sum_squares(Operand::Input(1), part[1], (sums, 0, 0), out);
        let [before, after] = self.norm.reach();
        let read = |dispatch: Dispatch| {
            let dispatch = dispatch.read(Operand::Input(0)).part(part[0]);
            dispatch.read(Operand::Input(1)).part(part[1]).read(sums)
        };
        let dispatch = read(Dispatch::new(&WIDE_SHARE, VARIANTS[0])).write(shares);
        out.push(self.element(dispatch, -self.norm.beta - 1.0));
        let dx = (Operand::Output(0), part[2], self.base);
        self.sum_windows(shares, [after, before], dx, out);
        let dispatch = read(Dispatch::new(&WIDE_GRAD, VARIANTS[0]));
        let dispatch = dispatch.write(Operand::Output(0)).part(part[2]);
        out.push(self.element(dispatch, -self.norm.beta));
    }

    /// Emits what is made of each element.
    fn element(&self, dispatch: Dispatch, power: f32) -> Dispatch {
        dispatch
            .param("count", self.count())
            .param("base", self.base)
            .param_f32("alpha", self.norm.share() as f32)
            .param_f32("k", self.norm.k)
            .param_f32("power", power)
            .param_f32("factor", self.norm.factor())
            .workgroups(self.count().div_ceil(WORKGROUP))
    }

    /// Emits the sums of x^2 over the windows.
    fn sum_squares(
        &self,
        x: Operand,
        part: usize,
        sums: (Operand, usize, usize),
        out: &mut Lowering,
    ) {
        let squares = self.scratch(out);
        let dispatch = Dispatch::new(&WIDE_SQUARE, VARIANTS[0])
            .read(x)
            .part(part)
            .write(squares);
        out.push(self.element(dispatch, 1.0));
        self.sum_windows(squares, self.norm.reach(), sums, out);
    }

    /// Emits the sums of `values` over the windows from `before` channels before to `after` after
    /// each, to an operand, a part of it, from an element of that on.
    fn sum_windows(
        &self,
        values: Operand,
        [before, after]: [usize; 2],
        (sums, part, base): (Operand, usize, usize),
        out: &mut Lowering,
    ) {
        let (mut blocks, mut below) = (self.channels, values);
        // Levels below count as one turn each; of a level, up to 15 blocks on either side, or 30.
        for level in 0.. {
            let turns = looped(level, 0) + looped(2 * BLOCKS - 2, 0) + looped(BLOCKS - 1, 0);
            let dispatch = Dispatch::new(&RESPONSE_WINDOW, VARIANTS[0])
                .read(below)
                .write(sums)
                .part(part)
                .param("count", self.count())
                .param("base", base)
                .param("channels", self.channels)
                .param("plane", self.plane)
                .param("before", before)
                .param("after", after)
                .param("level", level)
                .param("level_blocks", blocks);
            let workgroups = self.count().div_ceil(WORKGROUP);
            out.push(dispatch.turns(turns).workgroups(workgroups));
            if blocks < BLOCKS {
                return;
            }
            let above_blocks = blocks.div_ceil(BLOCKS);
            let count = self.rows * above_blocks * self.plane;
            let above = out.scratch(Type::f32([count]));
            out.push(
                Dispatch::new(&RESPONSE_LEVEL, VARIANTS[0])
                    .read(below)
                    .write(above)
                    .param("count", count)
                    .param("below_blocks", blocks)
                    .param("above_blocks", above_blocks)
                    .param("plane", self.plane)
                    .turns(looped(BLOCKS, 0))
                    .workgroups(count.div_ceil(WORKGROUP)),
            );
            (blocks, below) = (above_blocks, above);
        }
    }
}

const WORKGROUP: usize = 64;
const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static RESPONSE_LEVEL: Kernel = Kernel::new(
    "response_level",
    &[source!("norm/response_level")],
    VARIANTS,
);
static RESPONSE_WINDOW: Kernel = Kernel::new(
    "response_window",
    &[source!("norm/response_window")],
    VARIANTS,
);
static WIDE_SQUARE: Kernel = Kernel::new(
    "response_wide_square",
    &[
        source!("norm/response_wide"),
        source!("norm/response_wide_square"),
    ],
    VARIANTS,
);
static WIDE_FORWARD: Kernel = Kernel::new(
    "response_wide_forward",
    &[
        source!("norm/response_wide"),
        source!("norm/response_wide_forward"),
    ],
    VARIANTS,
);
static WIDE_SHARE: Kernel = Kernel::new(
    "response_wide_share",
    &[
        source!("norm/response_wide"),
        source!("norm/response_wide_share"),
    ],
    VARIANTS,
);
static WIDE_GRAD: Kernel = Kernel::new(
    "response_wide_grad",
    &[
        source!("norm/response_wide"),
        source!("norm/response_wide_grad"),
    ],
    VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[
    &RESPONSE_LEVEL,
    &RESPONSE_WINDOW,
    &WIDE_SQUARE,
    &WIDE_FORWARD,
    &WIDE_SHARE,
    &WIDE_GRAD,
];
