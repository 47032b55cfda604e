//! Convolutions over two axes as matrix products by tiles of workgroup memory, multiplied by
//! invocations or by cooperative matrices.

use std::borrow::Cow;

use crate::kernel::{Caps, Dispatch, Kernel, Lowering, Operand, Rows, source};
use crate::shape::Type;

use super::Sizes;
use super::choose::Map;
use crate::lowering::gemm::{
    ENOUGH_WORKGROUPS, End, Target, TileProduct, Tiles, most_parts, run_scratch, split_target,
    sum_parts, sum_runs,
};

fn tile_product(sizes: &Sizes, map: Map, images: usize) -> TileProduct {
    let (channels, outs) = (sizes.c / sizes.groups, sizes.o / sizes.groups);
    let [_, h, w] = sizes.input;
    let [_, oh, ow] = sizes.output;
    let (m, n, k) = match map {
        Map::Forward => (outs, images * oh * ow, channels * sizes.taps()),
        Map::GradInput => (channels, images * h * w, outs * sizes.taps()),
        Map::GradWeight => (outs, channels * sizes.taps(), images * oh * ow),
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
    let (from_row, to_row) = match map {
        Map::GradInput => (sizes.y_row(), sizes.x_row()),
        _ => (sizes.x_row(), sizes.y_row()),
    };
    let images = runs.iter().map(|run| run.count).max().unwrap_or(0);
    // The tiling's splits are those that the turns of the device ask for: no batch has a say in
    // it.
    let product = tile_product(sizes, map, images);
    if product.m * product.n == 0 {
        return;
    }
    let splits = product.tiling(product.m, false, true, caps).splits;
    let scratch = run_scratch(out, splits, images * to_row);
    for run in runs {
        let product = tile_product(sizes, map, run.count);
        let tiling = product.tiling(product.m, false, true, caps);
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
            let kernel = Cow::Owned(kernel(Tiles::of(caps), map));
            let dispatch = Dispatch::of(kernel, tiling.overrides)
                .read(Operand::Input(0))
                .part(run.part[0])
                .read(Operand::Input(1));
            let dispatch = Target {
                end,
                end_part: if splits == 1 { to.end_part } else { 0 },
                ..to
            }
            .bind(dispatch);
            let dispatch = product.split_params(&tiling, split, caps, dispatch);
            let bases = [0, run.first[0] * from_row, to.first];
            out.push(params(sizes, bases, dispatch));
        });
    }
}

/// Emits the gradient of the weight over one run of images.
pub(super) fn lower_grad_weight(
    sizes: &Sizes,
    run: &Rows,
    to: Target,
    caps: &Caps,
    out: &mut Lowering,
) {
    let product = tile_product(sizes, Map::GradWeight, run.count);
    let dweight = Type::f32(sizes.weight());
    let width = product.m.min(product.n);
    let may_split = dweight.bytes() * ENOUGH_WORKGROUPS as u64 <= caps.max_binding;
    let tiling = product.tiling(width, may_split, true, caps);
    let kernel = kernel(Tiles::of(caps), Map::GradWeight);
    let dispatch = Dispatch::of(Cow::Owned(kernel), tiling.overrides)
        .read(Operand::Input(0))
        .part(run.part[0])
        .read(Operand::Input(1))
        .part(run.part[1]);
    let bases = [
        run.first[1] * sizes.y_row(),
        run.first[0] * sizes.x_row(),
        0,
    ];
    // Where the turns of the device ask for more splits than fill it, some are summed at a
    // time: so scratch does not grow with the batch.
    let step = tiling.splits.min(tiling.wanted).min(most_parts(caps));
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
        out.push(params(sizes, bases, dispatch));
        sum_parts(own, target, part, to, caps, out);
    });
}

fn params(sizes: &Sizes, [a, b, y]: [usize; 3], dispatch: Dispatch) -> Dispatch {
    let [_, vertical, horizontal] = sizes.window;
    dispatch
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
        .param("a_base", a)
        .param("b_base", b)
        .param("y_base", y)
}

fn kernel(tiles: Tiles, map: Map) -> Kernel {
    let (name, file) = match map {
        Map::Forward => ("conv_forward", source!("conv/forward_shared")),
        Map::GradInput => ("conv_grad_input", source!("conv/grad_input_shared")),
        Map::GradWeight => ("conv_grad_weight", source!("conv/grad_weight_shared")),
    };
    let files = [source!("conv/params"), source!("conv/gather"), file];
    tiles.kernel(name, &files, map.epilogues())
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
