//! Convolutions over two axes as matrix products by tiles of workgroup memory, multiplied by
//! invocations or by cooperative matrices.

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::kernel::{Caps, Dispatch, Kernel, Lowering, Operand, Overrides, Rows, source};
use crate::shape::Type;

use super::Sizes;
use super::choose::Map;
use super::classes::{Class, MOST_CLASSES};
use crate::lowering::gemm::{
    End, Fit, Splits, Target, TileProduct, Tiles, Whole, most_parts, run_scratch, shared_variants,
    split_target, sum_parts, sum_runs,
};

/// The most taps along an axis: the kernels keep a bit for each.
const MOST_TAPS: usize = 15;

/// Why the kernels do not compute it, should that be so.
pub(super) fn refuses(sizes: &Sizes, map: Map, caps: &Caps) -> Option<&'static str> {
    let many = |axis: usize| sizes.window[axis].kernel > MOST_TAPS;
    let packed = 16 * Class::all(sizes).packing(sizes).quads() as u64;
    match map {
        Map::GradWeight if [1, 2].iter().any(|&axis| walks_far(sizes, axis)) => {
            Some("direct: its strides lead too far beyond its input")
        }
        Map::GradWeight => None,
        _ if many(1) || many(2) => Some("direct: its kernel has more than 15 taps along an axis"),
        Map::GradInput if packed > caps.max_binding => {
            Some("direct: its weight, packed, is too large for a binding")
        }
        _ => None,
    }
}

/// Whether the gradient of the weight would count columns or rows of x, as a cursor passes the end
/// of dy, beyond an `i32`.
fn walks_far(sizes: &Sizes, axis: usize) -> bool {
    let window = &sizes.window[axis];
    let [outputs, stride, kernel, dilation, before] = [
        sizes.output[axis],
        window.stride,
        window.kernel,
        window.dilation,
        window.before,
    ]
    .map(|n| n as u64);
    // Rows are filled up to vec4s, and passed by a block of terms.
    let past = (outputs + 4 + Tiles::Shared.depth() as u64) * stride;
    past + kernel * dilation + before >= 1 << 31
}

/// The same convolution with planes of one row, if all pixels are alike to it: rows of any length
/// are then read as one.
fn as_rows(sizes: &Sizes) -> Sizes {
    let alike = |axis: usize| {
        let window = &sizes.window[axis];
        let same = sizes.input[axis] == sizes.output[axis];
        same && window.kernel == 1 && window.stride == 1 && window.before == 0
    };
    if !(alike(1) && alike(2)) {
        return *sizes;
    }
    let row = |extents: [usize; 3]| [1, 1, extents[1] * extents[2]];
    Sizes {
        input: row(sizes.input),
        output: row(sizes.output),
        ..*sizes
    }
}

/// Terms of a row of dy as the kernels sum over its pixels.
fn row_terms(sizes: &Sizes) -> usize {
    sizes.output[2].next_multiple_of(4)
}

/// Images of a typical batch, which choose the tile, and of a typical small one.
const TYPICAL_IMAGES: usize = 32;
const TYPICAL_FEW: usize = 2;
/// Up to so many images are few.
const FEW_IMAGES: usize = 4;

/// What the tiling is told. Of the batch, only whether it is small enters, and into the tile alone.
fn fit(sizes: &Sizes, map: Map, class: &Class, splits: Splits) -> Fit {
    let few = sizes.n <= FEW_IMAGES;
    let images = if few { TYPICAL_FEW } else { TYPICAL_IMAGES };
    let typical = tile_product(sizes, map, class, images);
    let whole = match map {
        Map::Forward | Map::GradInput if typical.whole_blocks() => Whole::Blocks,
        Map::Forward | Map::GradInput => Whole::Not,
        Map::GradWeight if sizes.output[2] != row_terms(sizes) => Whole::Not,
        Map::GradWeight if tile_product(sizes, map, class, 1).whole_blocks() => Whole::Blocks,
        Map::GradWeight => Whole::Quads,
    };
    Fit {
        typical,
        splits,
        padded: true,
        whole,
    }
}

/// What the kernels by invocations are built with besides.
fn own_overrides(map: Map, class: &Class) -> Vec<(&'static str, usize)> {
    match map {
        Map::Forward | Map::GradInput => {
            vec![("by_axis", usize::from(class.taps() > MOST_TAPS))]
        }
        Map::GradWeight => Vec::new(),
    }
}

fn tile_product(sizes: &Sizes, map: Map, class: &Class, images: usize) -> TileProduct {
    let (channels, outs) = (sizes.c / sizes.groups, sizes.o / sizes.groups);
    let [_, oh, ow] = sizes.output;
    let terms = row_terms(sizes);
    let (m, n, k) = match map {
        Map::Forward => (outs, images * oh * ow, channels * sizes.taps()),
        Map::GradInput => (channels, images * class.pixels(), outs * class.taps()),
        Map::GradWeight => (outs, channels * sizes.taps(), images * oh * terms),
    };
    TileProduct {
        m,
        n,
        k,
        groups: sizes.groups,
    }
}

/// Emits the convolution or the gradient of its input for runs of images.
pub(super) fn lower(
    sizes: &Sizes,
    map: Map,
    runs: &[Rows],
    end: End,
    caps: &Caps,
    out: &mut Lowering,
) {
    let sizes = &as_rows(sizes);
    let (from_row, to_row) = match map {
        Map::GradInput => (sizes.y_row(), sizes.x_row()),
        _ => (sizes.x_row(), sizes.y_row()),
    };
    let images = runs.iter().map(|run| run.count).max().unwrap_or(0);
    let all = Class::all(sizes);
    let product = tile_product(sizes, map, &all, images);
    if product.m * product.n == 0 {
        return;
    }
    // The tiling's splits are those that the turns of the device ask for: no batch has a say in
    // it. A sum that is split is of all pixels at once.
    let tiling = |product: &TileProduct, class: &Class| {
        product.tiling(fit(sizes, map, class, Splits::Never), caps)
    };
    let splits = tiling(&product, &all).splits;
    let strides = sizes.window[1].stride * sizes.window[2].stride;
    let classes = match map {
        Map::GradInput if splits == 1 && strides <= MOST_CLASSES => Class::each(sizes),
        _ => vec![all],
    };
    let scratch = run_scratch(out, splits, images * to_row);
    let weights: Vec<Operand> = match map {
        Map::GradInput => {
            let weights = classes.iter().map(|class| packed(sizes, class, out));
            weights.collect()
        }
        _ => vec![Operand::Input(1)],
    };
    for (run, (class, &weights)) in runs
        .iter()
        .flat_map(|run| classes.iter().zip(&weights).map(move |own| (run, own)))
    {
        let product = tile_product(sizes, map, class, run.count);
        let tiling = tiling(&product, class);
        let (first_end, last_end) = match splits {
            1 => (end, end),
            _ => end.apart(),
        };
        let to = Target {
            part: run.part[1],
            first: run.first[1] * to_row,
            end: last_end,
            end_part: if end == End::Mask { run.part[1] } else { 0 },
            ..Target::all(Operand::Output(0), to_row)
        };
        let size = [run.count, to_row];
        sum_runs(splits, size, to, &scratch, out, |split, to, out| {
            let end = if split == 0 { first_end } else { End::None };
            let kernel = kernel(Tiles::of(caps), map);
            let overrides = tiling.overrides(&kernel, &own_overrides(map, class));
            let dispatch = Dispatch::of(Cow::Owned(kernel), overrides)
                .read(Operand::Input(0))
                .part(run.part[0])
                .read(weights);
            let dispatch = Target {
                end,
                end_part: if splits == 1 { to.end_part } else { 0 },
                ..to
            }
            .bind(dispatch);
            let dispatch = product.split_params(&tiling, split, caps, dispatch);
            let bases = [0, run.first[0] * from_row, to.first];
            let weights = match map {
                Map::GradInput => 4 * class.packing(sizes).quads(),
                _ => sizes.o * sizes.filter(),
            };
            let read = [(run.first[0] + run.count) * from_row, weights];
            out.push(params(sizes, map, class, bases, read, dispatch));
        });
    }
}

/// Emits the packing of the class's weights, unless they lie so or it has no taps.
fn packed(sizes: &Sizes, class: &Class, out: &mut Lowering) -> Operand {
    let packing = class.packing(sizes);
    let quads = packing.quads();
    let lie_so = sizes.taps() == 1 && packing.outs.is_multiple_of(4);
    if quads == 0 || lie_so {
        return Operand::Input(1);
    }
    let packed = out.scratch(Type::f32([4 * quads]));
    out.push(packing.dispatch(packed));
    packed
}

/// Emits the gradient of the weight over one run of images.
pub(super) fn lower_grad_weight(
    sizes: &Sizes,
    run: &Rows,
    to: Target,
    caps: &Caps,
    out: &mut Lowering,
) {
    let sizes = &as_rows(sizes);
    let map = Map::GradWeight;
    let class = Class::all(sizes);
    let product = tile_product(sizes, map, &class, run.count);
    let dweight = Type::f32(sizes.weight());
    let may_split = dweight.bytes() * caps.fills as u64 <= caps.max_binding;
    let bases = [
        run.first[1] * sizes.y_row(),
        run.first[0] * sizes.x_row(),
        0,
    ];
    let read = [
        (run.first[0] + run.count) * sizes.x_row(),
        (run.first[1] + run.count) * sizes.y_row(),
    ];
    let splits = if may_split {
        Splits::ToFill
    } else {
        Splits::Never
    };
    let tiling = product.tiling(fit(sizes, map, &class, splits), caps);
    let kernel = kernel(Tiles::of(caps), map);
    let overrides = tiling.overrides(&kernel, &own_overrides(map, &class));
    let dispatch = Dispatch::of(Cow::Owned(kernel), overrides)
        .read(Operand::Input(0))
        .part(run.part[0])
        .read(Operand::Input(1))
        .part(run.part[1]);
    // Where the turns of the device ask for more splits than fill it, some are summed at a
    // time, each time about as many: so scratch does not grow with the batch.
    let most = tiling.splits.min(tiling.wanted).min(most_parts(caps));
    let step = tiling.splits.div_ceil(tiling.splits.div_ceil(most));
    let starts: Vec<usize> = (0..tiling.splits).step_by(step).collect();
    let size = [sizes.o, sizes.filter()];
    let split = (step > 1).then(|| split_target(step, &dweight, to, out));
    let scratch = run_scratch(out, starts.len(), size[0] * size[1]);
    sum_runs(starts.len(), size, to, &scratch, out, |i, to, out| {
        let own = step.min(tiling.splits - starts[i]);
        let (target, part) = match split {
            Some(split) if own > 1 => split,
            _ => (to, 0),
        };
        let dispatch = target.bind(dispatch.clone());
        let dispatch = product.some_params(&tiling, [starts[i], own], part, caps, dispatch);
        out.push(params(sizes, map, &class, bases, read, dispatch));
        sum_parts(own, &dweight, target, part, to, caps, out);
    });
}

/// Appends the params of a convolution. `bases` are the first elements of a, b and y, `read` the
/// elements of b, from which it gathers, and of a.
fn params(
    sizes: &Sizes,
    map: Map,
    class: &Class,
    bases: [usize; 3],
    read: [usize; 2],
    dispatch: Dispatch,
) -> Dispatch {
    let [_, vertical, horizontal] = sizes.window;
    let dispatch = dispatch
        .param("groups", sizes.groups)
        .param("channels", sizes.c / sizes.groups)
        .param("outs", sizes.o / sizes.groups)
        .param("height", sizes.input[1])
        .param("width", sizes.input[2])
        .param("out_height", sizes.output[1])
        .param("out_width", sizes.output[2])
        .param("kernel_h", vertical.kernel)
        .param("kernel_w", horizontal.kernel)
        .param("stride_h", vertical.stride)
        .param("stride_w", horizontal.stride)
        .param("dilation_h", vertical.dilation)
        .param("dilation_w", horizontal.dilation)
        .param("pad_h", vertical.before)
        .param("pad_w", horizontal.before)
        .param("a_base", bases[0])
        .param("b_base", bases[1])
        .param("y_base", bases[2]);
    walk_params(sizes, map, class, read, class_params(class, dispatch))
}

/// Appends those of the class.
fn class_params(Class { axes: [h, w] }: &Class, dispatch: Dispatch) -> Dispatch {
    dispatch
        .param("class_height", h.extent)
        .param("class_width", w.extent)
        .param("first_row", h.first)
        .param("first_column", w.first)
        .param("jump_h", h.jump)
        .param("jump_w", w.jump)
        .param("taps_h", h.taps)
        .param("taps_w", w.taps)
        .param("first_tap_h", h.first_tap)
        .param("first_tap_w", w.first_tap)
        .param("step_tap_h", h.step_tap)
        .param("step_tap_w", w.step_tap)
}

/// Appends those by which the kernels walk from a term to the one a block of terms behind it.
fn walk_params(
    sizes: &Sizes,
    map: Map,
    class: &Class,
    read: [usize; 2],
    dispatch: Dispatch,
) -> Dispatch {
    let step = Tiles::Shared.depth();
    let (taps, terms) = (class.taps().max(1), row_terms(sizes));
    let plane = match map {
        Map::GradInput => sizes.output[1] * sizes.output[2],
        _ => sizes.input[1] * sizes.input[2],
    };
    let (whole, rest) = (step / taps, step % taps);
    let (lines, rows) = (step / terms, sizes.output[1]);
    let [last_source, last] = read.map(|elements| elements.max(1) - 1);
    dispatch
        .param("row_terms", terms)
        .param("last_source", last_source)
        .param("last_quad", last / 4)
        .param("quads", class.packing(sizes).blocks)
        .param("plane", plane)
        .param("step_plane", whole * plane)
        .param("step_taps", rest)
        .param("step_column", step % terms)
        .param("step_row", lines % rows)
        .param("step_image", lines / rows)
}

static BY_PIXEL: LazyLock<&[Overrides]> = LazyLock::new(|| {
    shared_variants(
        &[&[("by_axis", 0)], &[("by_axis", 1)]],
        &[Whole::Not, Whole::Blocks],
    )
});

static BY_WEIGHT: LazyLock<&[Overrides]> =
    LazyLock::new(|| shared_variants(&[&[]], &[Whole::Not, Whole::Quads, Whole::Blocks]));

fn kernel(tiles: Tiles, map: Map) -> Kernel {
    let (name, own) = match map {
        Map::Forward => ("conv_forward", source!("conv/forward")),
        Map::GradInput => ("conv_grad_input", source!("conv/grad_input")),
        Map::GradWeight => ("conv_grad_weight", source!("conv/grad_weight")),
    };
    let mut files = vec![source!("conv/params"), source!("conv/gather"), own];
    match (tiles, map) {
        (Tiles::Cooperative(_), Map::GradInput) => files.push(source!("gemm/second_quads")),
        (Tiles::Cooperative(_), _) => files.push(source!("gemm/second_elements")),
        (Tiles::Shared, Map::Forward) => files.extend([
            source!("conv/pixels"),
            source!("conv/forward_cursor"),
            source!("gemm/second_quads"),
            source!("gemm/shifted"),
            source!("gemm/mended"),
        ]),
        (Tiles::Shared, Map::GradInput) => files.extend([
            source!("conv/pixels"),
            source!("conv/grad_input_cursor"),
            source!("gemm/second_quads"),
            source!("gemm/mended"),
        ]),
        (Tiles::Shared, Map::GradWeight) => files.extend([
            source!("conv/grad_weight_cursor"),
            source!("gemm/second_quads"),
            source!("gemm/shifted"),
            source!("gemm/mended"),
        ]),
    }
    let shared = match map {
        Map::Forward | Map::GradInput => &BY_PIXEL,
        Map::GradWeight => &BY_WEIGHT,
    };
    tiles.kernel(name, &files, shared, map.epilogues())
}

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    for tiles in Tiles::all() {
        for map in [Map::Forward, Map::GradInput, Map::GradWeight] {
            kernels.push(kernel(tiles, map));
        }
    }
    kernels
}
