//! Convolutions without tiles, over three axes and with every padding: what the fast kernels leave,
//! on every adapter.

use std::borrow::Cow;

use crate::kernel::{
    AROUND, Caps, Dispatch, Lowering, Operand, Overrides, Rows, looped, turns_within,
};
use crate::shape::{PaddingMode, Type};

use super::Sizes;
use super::choose::Map;
use super::direct_kernels::{GRAD_WEIGHT, VARIANTS, WORKGROUP, by_elements, depthwise};
use super::filters::Filters;
use super::pieces::{PieceRange, SumPieces, pieces};
use crate::lowering::gemm::{
    End, Target, most_parts, run_scratch, split_target, sum_parts, sum_runs,
};
use crate::lowering::value;

/// Invocations that fill any device: the rows of a gradient of a weight are cut into parts for as
/// many.
const FILLS_DEVICE: usize = 8192;
/// Products per invocation below which cutting is not worth another pass.
const ENOUGH_PRODUCTS: usize = 256;

/// How the work of a kernel is cut.
struct ChannelCut {
    /// Channels per group of what is read and what is written.
    channels: usize,
    outs: usize,
    /// Runs of `block` of the latter.
    chunks: usize,
    /// For the gradient of the weight.
    shares: Shares,
}

/// How the rows of y over all images are cut into parts that are summed apart.
#[derive(Debug, Clone, Copy, Default)]
struct Shares {
    rows: usize,
    /// Rows that a part sums, columns of each, and parts of a row.
    share: usize,
    reach: usize,
    pieces: usize,
    first_part: usize,
    /// Elements from part to part.
    part: usize,
}

/// What one dispatch sums, forward or for the gradient of the input: numbers of places and taps
/// along each axis, depth first, each axis' places before its taps, and then channels.
type Summed = [PieceRange; 7];

/// Turns of the loops that store up to four channels of four columns.
fn store_turns(block: usize) -> u64 {
    looped(block, looped(4, 0))
}

/// The variant of a kernel, and the cut of all but rows.
fn channel_cut(sizes: &Sizes, map: Map) -> (Overrides, ChannelCut) {
    let (c, o) = (sizes.c / sizes.groups, sizes.o / sizes.groups);
    let (channels, outs) = match map {
        Map::Forward | Map::GradWeight => (c, o),
        Map::GradInput => (o, c),
    };
    let overrides = VARIANTS[usize::from(outs == 1)];
    let cut = ChannelCut {
        channels,
        outs,
        chunks: outs.div_ceil(value(overrides, "block")),
        shares: Shares::default(),
    };
    (overrides, cut)
}

/// Whether groups of one channel are made by quads: rows of whole quads, with zeros around what is
/// read, and steps of one along them; for the gradient of the input along the other axes too.
fn by_quads(sizes: &Sizes, map: Map) -> bool {
    let quads = |extent: usize| extent > 0 && extent.is_multiple_of(4);
    let steps = match map {
        Map::Forward | Map::GradWeight => &sizes.window[2..],
        Map::GradInput => &sizes.window[..],
    };
    let depthwise = sizes.c == sizes.groups && sizes.o == sizes.groups;
    let rows = quads(sizes.input[2]) && quads(sizes.output[2]);
    let window = sizes.window[2].dilation == 1 && steps.iter().all(|axis| axis.stride == 1);
    depthwise && rows && window && sizes.mode == PaddingMode::Zeros
}

/// The sum of an element of y, or of dx, cut so that each piece stays within the turns of the
/// device.
fn summed(sizes: &Sizes, map: Map, caps: &Caps) -> SumPieces<7> {
    let (overrides, cut) = channel_cut(sizes, map);
    let mut extents = [1; 7];
    for axis in 0..3 {
        if map == Map::GradInput {
            extents[2 * axis] = sizes.places_along(axis);
        }
        extents[2 * axis + 1] = sizes.window[axis].kernel;
    }
    extents[6] = cut.channels;
    if by_quads(sizes, map) {
        // A sum that is NaN is made twice.
        let once = pieces(extents, caps.max_turns / 2);
        let turns = 2 * once.turns;
        return SumPieces { turns, ..once };
    }
    let store = store_turns(value(overrides, "block"));
    pieces(extents, caps.max_turns.saturating_sub(store))
}

/// Emits the convolution or the gradient of its input by the filters of a weight, for runs of
/// images.
pub(super) fn lower(
    sizes: &Sizes,
    map: Map,
    runs: &[Rows],
    filters: &[Filters],
    end: End,
    caps: &Caps,
    out: &mut Lowering,
) {
    let none = [Filters {
        part: 0,
        first: 0,
        group: 0,
        groups: sizes.groups,
        out: 0,
        outs: 0,
    }];
    let filters = if filters.is_empty() { &none } else { filters };
    // A gradient of the input sums over the filters of a group, those of each part apart.
    let sums = map == Map::GradInput;
    let to_row = if sums { sizes.x_row() } else { sizes.y_row() };
    let plane = match sums {
        true => sizes.input.iter().product::<usize>(),
        false => sizes.output.iter().product(),
    };
    // The terms of each block of y, and the elements of an image that it makes.
    let blocks = filters.chunk_by(|_, next| sums && next.out > 0);
    let blocks: Vec<(usize, Vec<Term>)> = blocks
        .map(|block| {
            let own = block[0].alone(sizes);
            let channels = if sums { own.c } else { own.o };
            let terms = block.iter().flat_map(|filters| {
                let summed = summed(&filters.alone(sizes), map, caps);
                let turns = summed.turns;
                let term = move |summed| Term {
                    filters: *filters,
                    summed,
                    turns,
                };
                summed.all.into_iter().map(term)
            });
            (channels * plane, terms.collect())
        })
        .collect();
    let images = runs.iter().map(|run| run.count).max().unwrap_or(0);
    let width = blocks.iter().map(|&(width, _)| width).max().unwrap_or(0);
    let most = blocks.iter().map(|(_, terms)| terms.len()).max();
    let scratch = run_scratch(out, most.unwrap_or(0), images * width);
    for run in runs {
        for (width, terms) in &blocks {
            let [_, to_first, channel] = places(sizes, map, &terms[0].filters);
            let to = Target {
                part: run.part[1],
                first: run.first[1] * to_row + to_first,
                end,
                end_part: if end == End::Mask { run.part[1] } else { 0 },
                first_column: channel,
                ..Target::all(Operand::Output(0), to_row)
            };
            let [one] = &terms[..] else {
                let (first_end, last_end) = end.apart();
                let last = Target {
                    end: last_end,
                    ..to
                };
                let size = [run.count, *width];
                sum_runs(terms.len(), size, last, &scratch, out, |i, to, out| {
                    let to = Target {
                        end: if i == 0 { first_end } else { End::None },
                        end_part: 0,
                        first_column: channel,
                        ..to
                    };
                    lower_term(sizes, map, run, &terms[i], to, out);
                });
                continue;
            };
            lower_term(sizes, map, run, one, to, out);
        }
    }
}

/// Elements from the start of an image to what these filters read and to what they write, and
/// the first channel of the latter; for the gradient of the weight, to what they read of x and
/// of dy.
fn places(sizes: &Sizes, map: Map, filters: &Filters) -> [usize; 3] {
    let (c, o) = (sizes.c / sizes.groups, sizes.o / sizes.groups);
    let plane = |[d, h, w]: [usize; 3]| d * h * w;
    let channels = [filters.group * c, filters.group * o + filters.out];
    let [x, y] = [
        channels[0] * plane(sizes.input),
        channels[1] * plane(sizes.output),
    ];
    match map {
        Map::GradInput => [y, x, channels[0]],
        Map::Forward | Map::GradWeight => [x, y, channels[1]],
    }
}

/// Emits a term of the convolution or the gradient of its input, for one run of images.
fn lower_term(sizes: &Sizes, map: Map, run: &Rows, term: &Term, to: Target, out: &mut Lowering) {
    let filters = &term.filters;
    let own = filters.alone(sizes);
    let (overrides, cut) = channel_cut(&own, map);
    let (from_row, from, extents) = match map {
        Map::GradInput => (sizes.y_row(), sizes.output, sizes.input),
        _ => (sizes.x_row(), sizes.input, sizes.output),
    };
    let [from_first, ..] = places(sizes, map, filters);
    let channel = term.summed[6].start;
    let from_first = from_first + channel * from.iter().product::<usize>();
    let from_step = steps(sizes, map)[0];
    let rows = run.count * own.groups * cut.chunks * extents[0] * extents[1];
    let count = rows * extents[2].div_ceil(4);
    let (kernel, variant, store) = match by_quads(&own, map) {
        true => (depthwise(map), 0, 0),
        false => {
            let store = store_turns(value(overrides, "block"));
            (by_elements(map), usize::from(cut.outs == 1), store)
        }
    };
    let overrides = kernel.variants[variant];
    let dispatch = Dispatch::of(Cow::Owned(kernel), overrides)
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
        .param(
            "filter_base",
            filters.first * sizes.filter() + channel * from_step,
        );
    let dispatch = params(&own, map, &cut, &term.summed, dispatch);
    let turns = term.turns + store;
    out.push(dispatch.turns(turns).workgroups(count.div_ceil(WORKGROUP)));
}

/// Emits the gradient of some filters over one run of images.
pub(super) fn lower_grad_weight(
    sizes: &Sizes,
    run: &Rows,
    filters: &Filters,
    to: Target,
    caps: &Caps,
    out: &mut Lowering,
) {
    let own = filters.alone(sizes);
    let (overrides, cut) = channel_cut(&own, Map::GradWeight);
    let dweight = Type::f32(own.weight());
    let tiles = own.groups * cut.chunks * cut.channels * own.taps().div_ceil(4);
    let rows = run.count * own.output[0] * own.output[1];
    // Parts that one dispatch sums; they begin where what they are written to does.
    let most = (caps.max_binding / dweight.bytes()).max(1) as usize;
    let most = most.min(most_parts(caps));
    let splits = if to.first == 0 { most } else { 1 };
    let columns = own.output[2];
    let worth = rows * columns / ENOUGH_PRODUCTS;
    let wanted = FILLS_DEVICE.div_ceil(tiles).min(splits).min(worth);
    let store = store_turns(value(overrides, "block"));
    let turns = caps.max_turns.saturating_sub(store);
    // A row that takes too many turns is cut into pieces.
    let reach = columns.min(turns_within(turns.saturating_sub(AROUND), 0));
    let reach = columns.div_ceil(columns.div_ceil(reach.max(1)).max(1));
    let row_pieces = columns.div_ceil(reach.max(1)).max(1);
    let share = rows.div_ceil(wanted.max(1));
    let share = share.min(turns_within(turns, looped(reach, 0))).max(1);
    let parts = (rows.div_ceil(share) * row_pieces).max(1);
    let turns = looped(share, looped(reach, 0)) + store;
    // Where the turns of the device ask for more parts than fill it, some are summed at a time:
    // so scratch does not grow with the batch.
    let step = parts.min(wanted.max(1));
    let starts: Vec<usize> = (0..parts).step_by(step).collect();
    let [from_first, to_first, _] = places(sizes, Map::GradWeight, filters);
    let dispatch = Dispatch::new(&GRAD_WEIGHT, overrides)
        .read(Operand::Input(0))
        .part(run.part[0])
        .read(Operand::Input(1))
        .part(run.part[1]);
    let size = [own.o, own.filter()];
    let split = (step > 1).then(|| split_target(step, &dweight, to, out));
    let scratch = run_scratch(out, starts.len(), size[0] * size[1]);
    sum_runs(starts.len(), size, to, &scratch, out, |i, to, out| {
        let first_part = starts[i];
        let own_parts = step.min(parts - first_part);
        let invocations = tiles * own_parts;
        let (target, part) = match split {
            Some(split) if own_parts > 1 => split,
            _ => (to, 0),
        };
        let shares = Shares {
            rows,
            share,
            reach,
            pieces: row_pieces,
            first_part,
            part,
        };
        let cut = ChannelCut { shares, ..cut };
        let dispatch = target
            .write(dispatch.clone())
            .param("count", invocations)
            .param("from_base", run.first[0] * sizes.x_row() + from_first)
            .param("from_image", sizes.x_row())
            .param("to_base", run.first[1] * sizes.y_row() + to_first)
            .param("to_image", sizes.y_row())
            .param("to_channel", 0)
            .param("filter_base", target.first);
        let none = [PieceRange { start: 0, end: 0 }; 7];
        out.push(
            params(&own, Map::GradWeight, &cut, &none, dispatch)
                .turns(turns)
                .workgroups(invocations.div_ceil(WORKGROUP)),
        );
        sum_parts(own_parts, &dweight, target, part, to, caps, out);
    });
}

/// Elements of the weight from channel to channel of what is read and of what is written.
fn steps(sizes: &Sizes, map: Map) -> [usize; 2] {
    let (taps, filter) = (sizes.taps(), sizes.filter());
    match map {
        Map::Forward | Map::GradWeight => [taps, filter],
        Map::GradInput => [filter, taps],
    }
}

/// Appends what follows the bases in the `Params` of all three.
fn params(
    sizes: &Sizes,
    map: Map,
    cut: &ChannelCut,
    summed: &Summed,
    dispatch: Dispatch,
) -> Dispatch {
    let filter = sizes.filter();
    let [from_step, to_step] = steps(sizes, map);
    let (from, to) = match map {
        Map::Forward | Map::GradWeight => (sizes.input, sizes.output),
        Map::GradInput => (sizes.output, sizes.input),
    };
    let window = &sizes.window;
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
    let shares = &cut.shares;
    let mut dispatch = dispatch
        .param("groups", sizes.groups)
        .param("channels", cut.channels)
        .param("outs", cut.outs)
        .param("chunks", cut.chunks)
        .param("group_step", sizes.o / sizes.groups * filter)
        .param("from_step", from_step)
        .param("to_step", to_step);
    for (names, values) in fields {
        for (name, value) in names.into_iter().zip(values) {
            dispatch = dispatch.param(name, value);
        }
    }
    let [place_d, tap_d, place_h, tap_h, place_w, tap_w, channels] = summed;
    dispatch
        .param("mode", sizes.mode.number())
        .param("summed", channels.end - channels.start)
        .param("first_d", tap_d.start)
        .param("first_h", tap_h.start)
        .param("first_w", tap_w.start)
        .param("end_d", tap_d.end)
        .param("end_h", tap_h.end)
        .param("end_w", tap_w.end)
        .param("place_d", place_d.start)
        .param("place_h", place_h.start)
        .param("place_w", place_w.start)
        .param("end_place_d", place_d.end)
        .param("end_place_h", place_h.end)
        .param("end_place_w", place_w.end)
        .param("rows", shares.rows)
        .param("share", shares.share)
        .param("reach", shares.reach)
        .param("pieces", shares.pieces)
        .param("first_part", shares.first_part)
        .param("part", shares.part)
}

/// What some filters sum in one dispatch.
#[derive(Debug, Clone, Copy)]
struct Term {
    filters: Filters,
    summed: Summed,
    turns: u64,
}
