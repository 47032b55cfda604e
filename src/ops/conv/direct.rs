//! Convolutions without tiles, over three axes and with every padding: what the fast kernels leave, on every adapter.

use std::borrow::Cow;

use crate::kernel::{Caps, Dispatch, Kernel, Lowering, Operand, Overrides, Rows};
use crate::shape::Type;

use super::{Map, Sizes, value};
use crate::ops::gemm::{End, Target, in_splits};

/// Invocations that fill any device: the rows of a gradient of a weight are cut into parts for as many.
const FILLS_DEVICE: usize = 8192;
/// Products per invocation below which cutting is not worth another pass.
const ENOUGH_PRODUCTS: usize = 256;

/// How the work of a kernel is cut.
struct Cut {
    /// Channels per group of what is read and what is written.
    channels: usize,
    outs: usize,
    /// Runs of `block` of the latter.
    chunks: usize,
    /// For the gradient of the weight: rows of y over all images, those that a part sums, and elements from part to part.
    rows: usize,
    share: usize,
    part: usize,
}

impl Sizes {
    /// The variant of a kernel, and the cut of all but rows.
    fn cut(&self, map: Map) -> (Overrides, Cut) {
        let (c, o) = (self.c / self.groups, self.o / self.groups);
        let (channels, outs) = match map {
            Map::Forward | Map::GradWeight => (c, o),
            Map::GradInput => (o, c),
        };
        let overrides = VARIANTS[usize::from(outs == 1)];
        let cut = Cut {
            channels,
            outs,
            chunks: outs.div_ceil(value(overrides, "block")),
            rows: 0,
            share: 0,
            part: 0,
        };
        (overrides, cut)
    }

    /// Emits the convolution or the gradient of its input for runs of images.
    pub(super) fn lower_direct(&self, map: Map, runs: &[Rows], end: End, out: &mut Lowering) {
        let (overrides, cut) = self.cut(map);
        let (from_row, to_row, to) = match map {
            Map::GradInput => (self.y_row(), self.x_row(), self.input),
            _ => (self.x_row(), self.y_row(), self.output),
        };
        for run in runs {
            let rows = run.count * self.groups * cut.chunks * to[0] * to[1];
            let count = rows * to[2].div_ceil(4);
            let dispatch = Dispatch::of(Cow::Owned(kernel(map, end)), overrides)
                .read(Operand::Input(0))
                .part(run.part[0])
                .read(Operand::Input(1));
            let dispatch = end
                .bind_rows(dispatch, Operand::Output(0), run.part[1])
                .param("count", count)
                .param("from_base", run.first[0] * from_row)
                .param("to_base", run.first[1] * to_row);
            let dispatch = self.direct_params(map, &cut, dispatch);
            out.push(dispatch.workgroups(count.div_ceil(WORKGROUP)));
        }
    }

    /// Emits the gradient of the weight over one run of images.
    pub(super) fn lower_direct_grad_weight(
        &self,
        run: &Rows,
        to: Target,
        caps: &Caps,
        out: &mut Lowering,
    ) {
        let (overrides, cut) = self.cut(Map::GradWeight);
        let dweight = Type::f32(self.weight());
        let tiles = self.groups * cut.chunks * cut.channels * self.taps().div_ceil(4);
        let rows = run.count * self.output[0] * self.output[1];
        let most = caps.max_binding as usize / dweight.bytes() as usize;
        let worth = rows * self.output[2] / ENOUGH_PRODUCTS;
        let wanted = FILLS_DEVICE.div_ceil(tiles).min(most).min(worth);
        let share = rows.div_ceil(wanted.max(1)).max(1);
        let parts = rows.div_ceil(share).max(1);
        let invocations = tiles * parts;
        let dispatch = Dispatch::new(&GRAD_WEIGHT, overrides)
            .read(Operand::Input(0))
            .part(run.part[0])
            .read(Operand::Input(1))
            .part(run.part[1]);
        in_splits(parts, &dweight, to, out, |to, part| {
            let cut = Cut {
                rows,
                share,
                part,
                ..cut
            };
            let dispatch = to
                .bind(dispatch)
                .param("count", invocations)
                .param("from_base", run.first[0] * self.x_row())
                .param("to_base", run.first[1] * self.y_row());
            self.direct_params(Map::GradWeight, &cut, dispatch)
                .workgroups(invocations.div_ceil(WORKGROUP))
        });
    }

    /// Appends what follows the bases in the `Params` of all three.
    fn direct_params(&self, map: Map, cut: &Cut, dispatch: Dispatch) -> Dispatch {
        let taps = self.taps();
        let filter = self.c / self.groups * taps;
        let (from, to, [from_step, to_step]) = match map {
            Map::Forward | Map::GradWeight => (self.input, self.output, [taps, filter]),
            Map::GradInput => (self.output, self.input, [filter, taps]),
        };
        let window = &self.window;
        let fields = [
            (["from_depth", "from_height", "from_width"], from),
            (["to_depth", "to_height", "to_width"], to),
            (
                ["kernel_d", "kernel_h", "kernel_w"],
                [0, 1, 2].map(|axis| window[axis].kernel),
            ),
            (
                ["stride_d", "stride_h", "stride_w"],
                [0, 1, 2].map(|axis| window[axis].stride),
            ),
            (
                ["dilation_d", "dilation_h", "dilation_w"],
                [0, 1, 2].map(|axis| window[axis].dilation),
            ),
            (
                ["before_d", "before_h", "before_w"],
                [0, 1, 2].map(|axis| window[axis].before),
            ),
            (
                ["after_d", "after_h", "after_w"],
                [0, 1, 2].map(|axis| window[axis].after),
            ),
        ];
        let mut dispatch = dispatch
            .param("groups", self.groups)
            .param("channels", cut.channels)
            .param("outs", cut.outs)
            .param("chunks", cut.chunks)
            .param("group_step", self.o / self.groups * filter)
            .param("from_step", from_step)
            .param("to_step", to_step);
        for (names, values) in fields {
            for (name, value) in names.into_iter().zip(values) {
                dispatch = dispatch.param(name, value);
            }
        }
        dispatch
            .param("mode", self.mode.number())
            .param("rows", cut.rows)
            .param("share", cut.share)
            .param("part", cut.part)
    }
}

const WORKGROUP: usize = 64;

/// The second where a group writes one channel.
const VARIANTS: &[Overrides] = &[
    &[("block", 4), ("workgroup_size", 64)],
    &[("block", 1), ("workgroup_size", 64)],
];

fn kernel(map: Map, end: End) -> Kernel {
    let [
        body,
        params,
        gather,
        forward,
        grad_input,
        y,
        pad,
        grid,
        divide,
        float,
    ] = *shader_files![
        "conv_direct",
        "conv_direct_params",
        "conv_gather",
        "conv_direct_forward",
        "conv_direct_grad_input",
        "y_elements",
        "lib/pad",
        "lib/grid",
        "lib/divide",
        "lib/float",
    ];
    let (name, map) = match map {
        Map::GradInput => ("conv_direct_grad_input", grad_input),
        Map::Forward | Map::GradWeight => ("conv_direct_forward", forward),
    };
    let (end_name, end) = end.file();
    Kernel::composed(
        format!("{name}{end_name}"),
        vec![body, params, gather, map, end, y, pad, grid, divide, float],
        VARIANTS,
    )
}

static GRAD_WEIGHT: Kernel = Kernel::new(
    "conv_direct_grad_weight",
    shader_files![
        "conv_direct_grad_weight",
        "conv_direct_params",
        "conv_gather",
        "lib/pad",
        "lib/grid",
        "lib/divide"
    ],
    VARIANTS,
);

pub(super) const KERNELS: &[&Kernel] = &[&GRAD_WEIGHT];

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    let ends = |map: Map| map.ends().iter().map(move |&end| kernel(map, end));
    ends(Map::Forward).chain(ends(Map::GradInput)).collect()
}
