//! Convolutions without tiles, over three axes and with every padding: what the fast kernels leave, on every adapter.

use std::borrow::Cow;

use crate::kernel::{Caps, Dispatch, Kernel, Lowering, Operand, Overrides, Rows};
use crate::shape::Type;

use super::{Filters, Map, Sizes};
use crate::ops::gemm::{End, MOST_TURNS, Target, in_splits, run_scratch, sum_runs};
use crate::ops::value;

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

    /// Emits the convolution or the gradient of its input by the filters of a weight, for runs of images.
    pub(super) fn lower_direct(
        &self,
        map: Map,
        runs: &[Rows],
        filters: &[Filters],
        end: End,
        out: &mut Lowering,
    ) {
        let none = [Filters {
            part: 0,
            first: 0,
            group: 0,
            groups: self.groups,
            out: 0,
            outs: 0,
        }];
        let filters = if filters.is_empty() { &none } else { filters };
        // A gradient of the input sums over the filters of a group, those of each part apart.
        let sums = map == Map::GradInput;
        let blocks: Vec<&[Filters]> = filters.chunk_by(|_, next| sums && next.out > 0).collect();
        let plane = self.x_row().checked_div(self.c).unwrap_or(0);
        let width = self.c / self.groups * plane;
        let images = runs.iter().map(|run| run.count).max().unwrap_or(0);
        let most = blocks.iter().map(|block| block.len()).max().unwrap_or(0);
        let scratch = run_scratch(out, most, images * width);
        for run in runs {
            for &block in &blocks {
                let [_, to_first, channel] = self.places(map, &block[0]);
                let to_row = if sums { self.x_row() } else { self.y_row() };
                let to = Target {
                    part: run.part[1],
                    first: run.first[1] * to_row + to_first,
                    end,
                    end_part: if end == End::Mask { run.part[1] } else { 0 },
                    first_column: channel,
                    ..Target::all(Operand::Output(0), to_row)
                };
                let [one] = block else {
                    // A bias, which is one per channel, joins the first sum.
                    let (first_end, last_end) = match end {
                        End::Bias => (End::Bias, End::None),
                        _ => (End::None, end),
                    };
                    let last = Target {
                        end: last_end,
                        ..to
                    };
                    let size = [run.count, width];
                    sum_runs(block.len(), size, last, &scratch, out, |i, to, out| {
                        let to = Target {
                            end: if i == 0 { first_end } else { End::None },
                            first_column: channel,
                            ..to
                        };
                        self.lower_direct_block(map, run, &block[i], to, out);
                    });
                    continue;
                };
                self.lower_direct_block(map, run, one, to, out);
            }
        }
    }

    /// Elements from the start of an image to what these filters read and to what they write, and the first channel of the latter; for the
    /// gradient of the weight, to what they read of x and of dy.
    fn places(&self, map: Map, filters: &Filters) -> [usize; 3] {
        let (c, o) = (self.c / self.groups, self.o / self.groups);
        let plane = |[d, h, w]: [usize; 3]| d * h * w;
        let channels = [filters.group * c, filters.group * o + filters.out];
        let [x, y] = [
            channels[0] * plane(self.input),
            channels[1] * plane(self.output),
        ];
        match map {
            Map::GradInput => [y, x, channels[0]],
            Map::Forward | Map::GradWeight => [x, y, channels[1]],
        }
    }

    /// Emits the convolution or the gradient of its input by some filters, for one run of images.
    fn lower_direct_block(
        &self,
        map: Map,
        run: &Rows,
        filters: &Filters,
        to: Target,
        out: &mut Lowering,
    ) {
        let own = self.of(filters);
        let (overrides, cut) = own.cut(map);
        let (from_row, extents) = match map {
            Map::GradInput => (self.y_row(), self.input),
            _ => (self.x_row(), self.output),
        };
        let [from_first, ..] = self.places(map, filters);
        let rows = run.count * own.groups * cut.chunks * extents[0] * extents[1];
        let count = rows * extents[2].div_ceil(4);
        let dispatch = Dispatch::of(Cow::Owned(kernel(map, to.end)), overrides)
            .read(Operand::Input(0))
            .part(run.part[0])
            .read(Operand::Input(1))
            .part(filters.part);
        let dispatch = to
            .bind(dispatch)
            .param("count", count)
            .param("from_base", run.first[0] * from_row + from_first)
            .param("from_image", from_row)
            .param("to_base", to.first)
            .param("to_image", to.row)
            .param("to_channel", to.first_column)
            .param("filter_base", filters.first * self.filter());
        let dispatch = own.direct_params(map, &cut, dispatch);
        out.push(dispatch.workgroups(count.div_ceil(WORKGROUP)));
    }

    /// Emits the gradient of some filters over one run of images.
    pub(super) fn lower_direct_grad_weight(
        &self,
        run: &Rows,
        filters: &Filters,
        to: Target,
        caps: &Caps,
        out: &mut Lowering,
    ) {
        let own = self.of(filters);
        let (overrides, cut) = own.cut(Map::GradWeight);
        let dweight = Type::f32(own.weight());
        let tiles = own.groups * cut.chunks * cut.channels * own.taps().div_ceil(4);
        let rows = run.count * own.output[0] * own.output[1];
        let most = match to.first {
            0 => (caps.max_binding / dweight.bytes()) as usize,
            // Sums of splits begin where what they are written to does.
            _ => 1,
        };
        let worth = rows * own.output[2] / ENOUGH_PRODUCTS;
        let wanted = FILLS_DEVICE.div_ceil(tiles).min(most).min(worth);
        let share = rows.div_ceil(wanted.max(1));
        let share = match most {
            1 => share,
            _ => share.min(MOST_TURNS / (own.output[2] + 1)),
        };
        let share = share.max(1);
        let parts = rows.div_ceil(share).max(1);
        let invocations = tiles * parts;
        let [from_first, to_first, _] = self.places(Map::GradWeight, filters);
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
                .param("from_base", run.first[0] * self.x_row() + from_first)
                .param("from_image", self.x_row())
                .param("to_base", run.first[1] * self.y_row() + to_first)
                .param("to_image", self.y_row())
                .param("to_channel", 0)
                .param("filter_base", to.first);
            own.direct_params(Map::GradWeight, &cut, dispatch)
                .workgroups(invocations.div_ceil(WORKGROUP))
        });
    }

    /// Appends what follows the bases in the `Params` of all three.
    fn direct_params(&self, map: Map, cut: &Cut, dispatch: Dispatch) -> Dispatch {
        let taps = self.taps();
        let filter = self.filter();
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
