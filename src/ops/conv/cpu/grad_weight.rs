//! The gradient of a convolution's weight over two axes without workgroup memory, for CPU adapters
//! and GL.

use std::borrow::Cow;

use crate::kernel::{
    Caps, Dispatch, Kernel, Lowering, Operand, Overrides, Rows, Tile, looped, source, turns_within,
    window_rows,
};
use crate::shape::Type;

use super::forms::{cheapest, x_files};
use super::taps::{Runs, TapAxis};
use crate::lowering::gemm::{Target, View, split_target, sum_parts};
use crate::lowering::value;
use crate::ops::conv::Sizes;
use crate::ops::conv::geometry::wrapped;

/// How the gradient of a weight is cut: invocations over runs of channels of dy, channels of x, and
/// runs of taps.
struct WeightTiles {
    strided: bool,
    /// x and dy through windows.
    window: bool,
    overrides: Overrides,
    lines: usize,
    taps: usize,
    blocks: usize,
    /// Channels of x of an invocation.
    depth: usize,
    runs: Runs,
    /// Runs of `lines` rows of the kernel.
    bands: usize,
    /// Runs of `depth` channels of x in a group.
    depths: usize,
    /// Runs of `4 * blocks` channels of dy in a group.
    chunks: usize,
    /// Invocations per part.
    tiles: usize,
    /// vec4s of their sums.
    quads: usize,
}

/// Turns of an invocation's loops.
struct WeightTurns {
    /// Of those within that over strips.
    strip: u64,
    /// Of those that store.
    store: u64,
}

impl WeightTurns {
    fn of(&self, strips: usize) -> u64 {
        looped(strips, self.strip) + self.store
    }
}

impl WeightTiles {
    fn turns(&self, sizes: &Sizes) -> WeightTurns {
        let stores = looped(self.lines, 0) * self.blocks as u64;
        // Each of up to two blocks stores the sums of four channels of dy.
        let totals = looped(4, 0) * self.blocks as u64;
        WeightTurns {
            strip: looped(self.lines - 1, 0) + looped(sizes.output[1], 0),
            store: looped(self.depth, stores) + totals,
        }
    }
}

/// Cost of a variant for the gradient of the weight, in products of vec4s per row and four
/// columns of dy, if a load of one costs as much as `load` of them.
fn cost(sizes: &Sizes, overrides: Overrides, load: usize) -> usize {
    let [lines, taps, blocks, depth] =
        ["lines", "taps", "blocks", "depth"].map(|n| value(overrides, n));
    let runs = Runs::new(&TapAxis::forward(sizes, 2), taps);
    let bands = sizes.window[1].kernel.div_ceil(lines);
    let chunks = (sizes.o / sizes.groups).div_ceil(4 * blocks);
    let depths = (sizes.c / sizes.groups).div_ceil(depth);
    let products = 4 * lines * taps * blocks * depth;
    let loads = 4 * blocks + 2 * depth;
    chunks * depths * bands * runs.phases * runs.runs * (products + load * loads)
}

/// The cheapest tiles for the gradient of the weight.
fn cheapest_tiles(sizes: &Sizes, caps: &Caps) -> WeightTiles {
    let (channels, outs) = (sizes.c / sizes.groups, sizes.o / sizes.groups);
    let [vertical, horizontal] = [1, 2].map(|axis| TapAxis::forward(sizes, axis));
    let strided = horizontal.stride > 1;
    let aligned = usize::from(!strided && horizontal.outputs % 4 == 0);
    let slides = vertical.stride == vertical.dilation;
    let tiles = |window: bool, deepest: usize, load: usize| {
        let sets = grad_weight_variants(strided, window).iter().copied();
        let sets = sets
            .filter(|v| slides || value(v, "lines") == 1)
            .filter(|v| window || value(v, "aligned") == aligned)
            .filter(|v| value(v, "depth") <= deepest);
        let cost = |set| cost(sizes, set, load);
        let overrides = cheapest(sets, grad_weight_tile_of, caps, cost);
        let [lines, taps, blocks, depth] =
            ["lines", "taps", "blocks", "depth"].map(|n| value(overrides, n));
        let runs = Runs::new(&horizontal, taps);
        let bands = vertical.taps.div_ceil(lines);
        let chunks = outs.div_ceil(4 * blocks);
        let depths = channels.div_ceil(depth);
        let runs_of_taps = bands * runs.phases * runs.runs;
        WeightTiles {
            strided,
            window,
            overrides,
            lines,
            taps,
            blocks,
            depth,
            runs,
            bands,
            chunks,
            depths,
            tiles: sizes.groups * chunks * depths * runs_of_taps,
            quads: sizes.groups * chunks * channels * runs_of_taps * blocks * lines * taps,
        }
    };
    if !caps.windows {
        return tiles(false, 1, CHEAP_LOAD);
    }
    // Enough strips to give every core several groups of lanes.
    let shown = tiles(true, 1, CHEAP_LOAD);
    match shown.tiles * window_images(sizes) * strips(sizes) >= KEEPS_BUSY {
        true => shown,
        false => tiles(false, 2, DEAR_LOAD),
    }
}

/// Images that a window shows of x and of dy.
fn window_images(sizes: &Sizes) -> usize {
    window_rows(sizes.x_row()).min(window_rows(sizes.y_row()))
}

/// Strips of four columns of an image of dy.
fn strips(sizes: &Sizes) -> usize {
    sizes.output[2].div_ceil(4)
}

/// vec4s of the sums of a part; `None` where a strip alone, or a line that is mended, takes
/// more turns than an invocation may.
pub(super) fn quads(sizes: &Sizes, caps: &Caps) -> Option<usize> {
    let tiles = cheapest_tiles(sizes, caps);
    let mending = MENDS_ALONE + looped(1, line_turns(sizes));
    let turns = tiles.turns(sizes).of(1).max(mending);
    (turns <= caps.max_turns).then_some(tiles.quads)
}

/// Turns of those that mend a sum, over one line of dy by four columns.
fn line_turns(sizes: &Sizes) -> u64 {
    looped(strips(sizes), 0)
}

/// Emits the gradient of the weight over one run of images, and that of the bias into `dbias`.
pub(in crate::ops::conv) fn lower(
    sizes: &Sizes,
    run: &Rows,
    to: Target,
    dbias: Option<Operand>,
    caps: &Caps,
    out: &mut Lowering,
) {
    let (channels, outs) = (sizes.c / sizes.groups, sizes.o / sizes.groups);
    let [_, kernel_h, kernel_w] = sizes.window.map(|window| window.kernel);
    let [vertical, horizontal] = [1, 2].map(|axis| TapAxis::forward(sizes, axis));
    let [_, height, width] = sizes.input;
    let [_, rows, cols] = sizes.output;
    let batch = run.count;
    let x_base = run.first[0] * sizes.x_row();
    let dy_base = run.first[1] * sizes.y_row();
    let cut = cheapest_tiles(sizes, caps);
    let x = View::new(0, run.part[0], x_base + batch * sizes.x_row(), cut.window);
    let dy = View::new(1, run.part[1], dy_base + batch * sizes.y_row(), cut.window);
    let images = window_images(sizes);
    let xs = x.rows(sizes.x_row(), x_base, batch, images);
    let dys = dy.rows(sizes.y_row(), dy_base, batch, images);
    let fills = if cut.window { FILLS_WINDOW } else { FILLS_CPU };
    let most_parts = turns_within(caps.max_turns.saturating_sub(MENDS_ALONE), 0);
    let most = (caps.max_binding as usize / 16 / cut.quads).clamp(1, most_parts);
    let wanted = fills.div_ceil(cut.tiles).min(most);
    let strips = strips(sizes);
    // Strips of each part, by as many as all dispatches: they sum into the same parts, so that
    // scratch does not grow with the batch.
    // Images in storage are not cut where that is not needed: few parts are quick to add up.
    let turns = cut.turns(sizes);
    let most_strips = turns_within(caps.max_turns - turns.store, turns.strip);
    let longest = xs.first().map_or(0, |shown| shown.count);
    let images = longest.div_ceil(wanted) * strips;
    let share = match cut.window || images > most_strips {
        true => (longest * strips).div_ceil(wanted).min(most_strips),
        false => images,
    };
    let share = share.max(1);
    let parts = (longest * strips).div_ceil(share).clamp(1, wanted);
    let scratch = out.scratch(Type::f32([parts, cut.quads, 4]));
    let last_dy = match cut.window {
        true => dy.last_element(),
        false => dy.last_quad(),
    };
    let workgroup_size = value(cut.overrides, "workgroup_size");
    // Sums of dy: those who take the first channel of x and the first taps see, together, all
    // of it once.
    let dbias = dbias.map(|dbias| Target::all(dbias, sizes.o));
    let sums = Type::f32([sizes.o]);
    let totals = dbias.map(|to| split_target(parts, &sums, to, out));
    // Runs of the strips that a dispatch sees, as many as its parts sum.
    let step = parts * share;
    let runs = xs.iter().zip(&dys).flat_map(|(x_shown, dy_shown)| {
        let all = x_shown.count * strips;
        let starts = (0..all.max(1)).step_by(step);
        starts.map(move |start| (x_shown, dy_shown, start, (start + step).min(all)))
    });
    for (i, (x_shown, dy_shown, first_strip, end_strip)) in runs.enumerate() {
        let own = (end_strip - first_strip).div_ceil(share).max(1);
        let kernel = Cow::Owned(grad_weight_kernel(cut.strided, cut.window, dbias.is_some()));
        let dispatch = x.bind(Dispatch::of(kernel, cut.overrides), x_shown);
        let dispatch = dy.bind(dispatch, dy_shown).write(scratch);
        let dispatch = match totals {
            Some((totals, _)) => dispatch.write(totals.operand),
            None => dispatch,
        };
        out.push(
            dispatch
                .param("count", cut.tiles * own)
                .param("parts", own)
                .param("adds", usize::from(i > 0))
                .param("strips", strips)
                .param("first_strip", first_strip)
                .param("end_strip", end_strip)
                .param("share", share)
                .param("chunks", cut.chunks)
                .param("groups", sizes.groups)
                .param("outs", outs)
                .param("channels", channels)
                .param("depths", cut.depths)
                .param("height", height)
                .param("width", width)
                .param("rows", rows)
                .param("cols", cols)
                .param("bands", cut.bands)
                .param("phases", cut.runs.phases)
                .param("runs", cut.runs.runs)
                .param("lines", cut.lines)
                .param("depth", cut.depth)
                .param("stride_h", vertical.stride)
                .param("stride_w", horizontal.stride)
                .param("dilation_h", vertical.dilation)
                .param("dilation_w", horizontal.dilation)
                .param("pad_h", wrapped(vertical.pad))
                .param("pad_w", wrapped(horizontal.pad))
                .param("last", x.last_quad())
                .param("last_dy", last_dy)
                .param("x_base", x_shown.first)
                .param("dy_base", dy_shown.first)
                .param("part_totals", totals.map_or(0, |(_, part)| part))
                .turns(turns.of(share))
                .workgroups((cut.tiles * own).div_ceil(workgroup_size)),
        );
    }
    let few = caps.windows && cut.quads < FEW_SUMS;
    let overrides = GRAD_WEIGHT_SUM.variants[usize::from(few)];
    let workgroup_size = value(overrides, "workgroup_size");
    let sum = Dispatch::new(&GRAD_WEIGHT_SUM, overrides)
        .write(scratch)
        .read(Operand::Input(0))
        .part(run.part[0])
        .read(Operand::Input(1))
        .part(run.part[1]);
    let sum = to
        .write(sum)
        .param("quads", cut.quads)
        .param("chunks", cut.chunks)
        .param("blocks", cut.blocks)
        .param("lines", cut.lines)
        .param("taps", cut.taps)
        .param("outs", outs)
        .param("channels", channels)
        .param("kernel_h", kernel_h)
        .param("kernel_w", kernel_w)
        .param("bands", cut.bands)
        .param("phases", cut.runs.phases)
        .param("runs", cut.runs.runs)
        .param("batch", batch)
        .param("groups", sizes.groups)
        .param("height", height)
        .param("width", width)
        .param("rows", rows)
        .param("cols", cols)
        .param("stride_h", vertical.stride)
        .param("stride_w", horizontal.stride)
        .param("dilation_h", vertical.dilation)
        .param("dilation_w", horizontal.dilation)
        .param("pad_h", wrapped(vertical.pad))
        .param("pad_w", wrapped(horizontal.pad))
        .param("x_base", x_base)
        .param("dy_base", dy_base)
        .workgroups(cut.quads.div_ceil(workgroup_size));
    let step = |parts: usize, first_line: usize, end_line: usize| {
        let mending = looped(end_line - first_line, line_turns(sizes));
        sum.clone()
            .param("parts", parts)
            .param("first_line", first_line)
            .param("end_line", end_line)
            .turns(looped(parts, 0) + 2 * STORE + mending)
    };
    // Each four columns of all lines again, where the sum is NaN: at once, or by dispatches
    // that go on where the last one stopped.
    let lines = batch * rows;
    let whole = step(parts, 0, lines);
    if whole.turns.is_some_and(|turns| turns <= caps.max_turns) {
        out.push(whole);
    } else {
        out.push(step(parts, 0, 0));
        let most = turns_within(caps.max_turns - MENDS_ALONE, line_turns(sizes));
        for first in (0..lines).step_by(most) {
            out.push(step(0, first, lines.min(first + most)));
        }
    }
    if let (Some((totals, part)), Some(dbias)) = (totals, dbias) {
        sum_parts(parts, &sums, totals, part, dbias, caps, out);
    }
}

/// Turns in which the second stage stores its four sums, or reads them.
const STORE: u64 = 5;
/// Turns of the second stage where it sums nothing, but for those that mend.
const MENDS_ALONE: u64 = 1 + 2 * STORE;

/// Invocations that fill a CPU: images in storage are cut into parts for as many.
const FILLS_CPU: usize = 512;
/// As many as one dispatch over a window's images should have, if it has so many strips.
const FILLS_WINDOW: usize = 64;
/// As many as it must have, two runs of eight lanes for each of two cores: with 42 of them
/// LeNet-5's first layer takes 4.0 ms, from storage 7.2.
const KEEPS_BUSY: usize = 32;

/// vec4s of sums below which the usual workgroups leave cores of a CPU without work.
const FEW_SUMS: usize = 1024;

/// What a load costs in products of vec4s, for the choice of tiles: on a GPU, or through a window;
/// and from storage on a CPU adapter, where all that counts is how often each load is used.
const CHEAP_LOAD: usize = 2;
const DEAR_LOAD: usize = 50;

/// The tile of an override set of `conv_grad_weight_registers`: one tap, one row of taps, or
/// several.
fn grad_weight_tile_of(overrides: Overrides) -> Tile {
    match ["lines", "taps"].map(|name| value(overrides, name)) {
        [_, 1] => Tile::Small,
        [1, _] => Tile::Medium,
        _ => Tile::Large,
    }
}

/// Channels of dy that an invocation takes, in vec4s.
const fn grad_weight_blocks(taps: u32) -> u32 {
    if taps < 5 { 2 } else { 1 }
}

/// A set of `conv_grad_weight_registers` for x and dy in storage.
const fn grad_weight_variant(
    lines: u32,
    taps: u32,
    depth: u32,
    aligned: u32,
) -> [(&'static str, u32); 6] {
    [
        ("lines", lines),
        ("taps", taps),
        ("blocks", grad_weight_blocks(taps)),
        ("depth", depth),
        ("aligned", aligned),
        ("workgroup_size", 16),
    ]
}

/// A set for windows, whose dispatches are small: few invocations per workgroup let the cores of a
/// CPU share them.
const fn grad_weight_window_variant(lines: u32, taps: u32) -> [(&'static str, u32); 5] {
    [
        ("lines", lines),
        ("taps", taps),
        ("blocks", grad_weight_blocks(taps)),
        ("depth", 1),
        ("workgroup_size", 8),
    ]
}

/// Of one channel of x, and for x and dy in storage on CPU adapters also of two.
fn grad_weight_variants(strided: bool, window: bool) -> &'static [Overrides] {
    match (strided, window) {
        (true, true) => STRIDED_WINDOW_SETS,
        (false, true) => WINDOW_SETS,
        (true, false) => STRIDED_SETS,
        (false, false) => SETS,
    }
}

const STRIDED_WINDOW_SETS: &[Overrides] = &[
    &grad_weight_window_variant(1, 1),
    &grad_weight_window_variant(1, 3),
];

const WINDOW_SETS: &[Overrides] = &[
    &grad_weight_window_variant(1, 1),
    &grad_weight_window_variant(1, 3),
    &grad_weight_window_variant(3, 3),
    &grad_weight_window_variant(5, 5),
];

const STRIDED_SETS: &[Overrides] = &[
    &grad_weight_variant(1, 1, 1, 0),
    &grad_weight_variant(1, 3, 1, 0),
    &grad_weight_variant(1, 1, 2, 0),
    &grad_weight_variant(1, 3, 2, 0),
];

const SETS: &[Overrides] = &[
    &grad_weight_variant(1, 1, 1, 0),
    &grad_weight_variant(1, 1, 1, 1),
    &grad_weight_variant(1, 3, 1, 0),
    &grad_weight_variant(1, 3, 1, 1),
    &grad_weight_variant(3, 3, 1, 0),
    &grad_weight_variant(3, 3, 1, 1),
    &grad_weight_variant(5, 5, 1, 0),
    &grad_weight_variant(5, 5, 1, 1),
    &grad_weight_variant(1, 1, 2, 0),
    &grad_weight_variant(1, 1, 2, 1),
    &grad_weight_variant(1, 3, 2, 0),
    &grad_weight_variant(1, 3, 2, 1),
    &grad_weight_variant(3, 3, 2, 0),
    &grad_weight_variant(3, 3, 2, 1),
];

fn grad_weight_kernel(strided: bool, window: bool, bias: bool) -> Kernel {
    let ([x, columns], name) = x_files(strided, window);
    let dy = match window {
        true => vec![source!("conv/dy_window")],
        false => vec![source!("conv/dy_quads"), source!("gemm/shifted")],
    };
    let (totals_name, totals) = if bias {
        ("_bias", source!("conv/dy_totals"))
    } else {
        ("", source!("conv/dy_totals_none"))
    };
    Kernel::composed(
        format!("conv_grad_weight_registers{name}{totals_name}"),
        [
            vec![source!("conv/grad_weight_registers"), x, columns],
            dy,
            vec![totals],
        ]
        .concat(),
        grad_weight_variants(strided, window),
    )
}

static GRAD_WEIGHT_SUM: Kernel = Kernel::new(
    "conv_grad_weight_sum",
    &[source!("conv/grad_weight_sum")],
    // The smaller one lets the cores of a CPU share few sums.
    &[&[("workgroup_size", 64)], &[("workgroup_size", 8)]],
);

pub(super) const KERNELS: &[&Kernel] = &[&GRAD_WEIGHT_SUM];

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut all = Vec::new();
    for [strided, window] in [[false, false], [false, true], [true, false], [true, true]] {
        all.extend([false, true].map(|bias| grad_weight_kernel(strided, window, bias)));
    }
    all
}
