//! Convolutions over two axes without workgroup memory, for CPU adapters and GL: forward, gradient of the input, gradient of the weight.

use std::borrow::Cow;

use crate::kernel::{Caps, Dispatch, Kernel, Lowering, Operand, Overrides, Rows};
use crate::shape::Type;

use super::{Map, Sizes, value};
use crate::ops::gemm::{End, Target};

/// One convolution as `conv_registers` runs it. A forward convolution is one; a gradient of the input is one for each residue class
/// of the stride, over dy, with the class's taps backwards.
#[derive(Debug, Clone, Copy)]
struct Class {
    /// Channels per group, height and width of what is read.
    input: [usize; 3],
    /// Channels per group, rows and columns of what is written.
    output: [usize; 3],
    axes: [Axis; 2],
    /// Elements of y: per channel, before the class's first, from row to row and from column to column.
    place: [usize; 4],
    /// Elements of the weight from group to group, input to input and output channel to output channel.
    weight: [usize; 3],
    /// Element of the weight of the first tap, and the steps from row to row and from column to column.
    first: usize,
    steps: [isize; 2],
}

/// One axis of a [`Class`].
#[derive(Debug, Clone, Copy)]
struct Axis {
    /// Positions that are written.
    outputs: usize,
    taps: usize,
    stride: usize,
    dilation: usize,
    /// Zeros before the first position that is read; less than 0 skips some.
    pad: isize,
    /// The kernel's tap that comes first, and the distance to the one that comes next.
    first: usize,
    step: isize,
}

impl Axis {
    fn forward(sizes: &Sizes, axis: usize) -> Self {
        Self {
            outputs: sizes.output[axis],
            taps: sizes.window[axis].kernel,
            stride: sizes.window[axis].stride,
            dilation: sizes.window[axis].dilation,
            pad: sizes.window[axis].before as isize,
            first: 0,
            step: 1,
        }
    }

    /// Positions `class`, `class + stride`, ... of the input: dx[p] sums dy[(p + pad - r * dilation) / stride] over the taps r
    /// for which that is whole. Those are `step` apart; the last of them comes first, so that dy is read forwards.
    fn grad(sizes: &Sizes, axis: usize, class: usize) -> Self {
        let window = &sizes.window[axis];
        let (kernel, stride, dilation) = (window.kernel, window.stride, window.dilation);
        let common = gcd(stride, dilation);
        let step = stride / common;
        let from = (class + window.before) as isize;
        let reads = |tap: usize| from - (tap * dilation) as isize;
        let whole = |tap: &usize| reads(*tap).rem_euclid(stride as isize) == 0;
        let last = (0..kernel).rev().take(step).find(whole);
        Self {
            outputs: sizes.input[axis].saturating_sub(class).div_ceil(stride),
            taps: last.map_or(0, |last| last / step + 1),
            stride: 1,
            dilation: dilation / common,
            pad: last.map_or(0, |last| -reads(last) / stride as isize),
            first: last.unwrap_or(0),
            step: -(step as isize),
        }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The taps of a row: `phases` of them lie between one tap and the next that sees the columns one place further; each phase is cut into
/// `runs` of `taps`.
#[derive(Debug, Clone, Copy)]
struct Runs {
    phases: usize,
    runs: usize,
    taps: usize,
}

impl Runs {
    fn new(axis: &Axis, taps: usize) -> Self {
        let phases = match axis.stride % axis.dilation {
            0 => axis.stride / axis.dilation,
            _ => axis.taps,
        };
        let phases = phases.clamp(1, axis.taps.max(1));
        Self {
            phases,
            runs: axis.taps.div_ceil(phases).div_ceil(taps),
            taps,
        }
    }

    fn positions(&self) -> usize {
        self.runs * self.taps
    }
}

/// How x and the weights are read, and y written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Columns as they lie; few weights, from a uniform; y by two columns, since few weights do not hide the cost of writing.
    Uniform,
    /// Columns as they lie.
    Flat,
    /// Columns one by one.
    Strided,
}

impl Form {
    /// Override sets of `conv_registers`: strip, blocks, taps.
    fn variants(self) -> &'static [Overrides] {
        match self {
            Form::Uniform => &[
                &[("strip", 16), ("blocks", 2), ("taps", 5)],
                &[("strip", 16), ("blocks", 2), ("taps", 3)],
                &[("strip", 12), ("blocks", 2), ("taps", 5)],
                &[("strip", 12), ("blocks", 2), ("taps", 3)],
                &[("strip", 8), ("blocks", 2), ("taps", 5)],
                &[("strip", 8), ("blocks", 2), ("taps", 3)],
            ],
            Form::Flat => &[
                &[("strip", 16), ("blocks", 2), ("taps", 5)],
                &[("strip", 16), ("blocks", 2), ("taps", 3)],
                &[("strip", 16), ("blocks", 2), ("taps", 1)],
                &[("strip", 8), ("blocks", 2), ("taps", 5)],
                &[("strip", 8), ("blocks", 2), ("taps", 3)],
                &[("strip", 8), ("blocks", 2), ("taps", 1)],
                &[("strip", 8), ("blocks", 1), ("taps", 5)],
                &[("strip", 8), ("blocks", 1), ("taps", 3)],
                &[("strip", 8), ("blocks", 1), ("taps", 1)],
            ],
            Form::Strided => &[
                &[("strip", 8), ("blocks", 2), ("taps", 5)],
                &[("strip", 8), ("blocks", 2), ("taps", 3)],
                &[("strip", 8), ("blocks", 2), ("taps", 1)],
                &[("strip", 8), ("blocks", 1), ("taps", 5)],
                &[("strip", 8), ("blocks", 1), ("taps", 3)],
                &[("strip", 8), ("blocks", 1), ("taps", 1)],
            ],
        }
    }
}

/// A signed number as a `u32` that wraps.
fn wrapped(value: isize) -> usize {
    value as u32 as usize
}

/// Number of the last `vec4` of `count` elements.
fn last_quad(count: usize) -> usize {
    count.div_ceil(4).max(1) - 1
}

/// The uniform array of packed weights has 1024 vec4s.
const UNIFORM_FLOATS: usize = 4096;

impl Class {
    fn forward(sizes: &Sizes) -> Self {
        let [_, r, s] = sizes.window.map(|window| window.kernel);
        let [_, h, w] = sizes.input;
        let [_, oh, ow] = sizes.output;
        let (channels, outs) = (sizes.c / sizes.groups, sizes.o / sizes.groups);
        Self {
            input: [channels, h, w],
            output: [outs, oh, ow],
            axes: [1, 2].map(|axis| Axis::forward(sizes, axis)),
            place: [oh * ow, 0, ow, 1],
            weight: [outs * channels * r * s, r * s, channels * r * s],
            first: 0,
            steps: [s as isize, 1],
        }
    }

    fn grad_input(sizes: &Sizes, row: usize, column: usize) -> Self {
        let [_, r, s] = sizes.window.map(|window| window.kernel);
        let [_, h, w] = sizes.input;
        let [_, oh, ow] = sizes.output;
        let [_, stride_h, stride_w] = sizes.window.map(|window| window.stride);
        let (channels, outs) = (sizes.c / sizes.groups, sizes.o / sizes.groups);
        let axes = [Axis::grad(sizes, 1, row), Axis::grad(sizes, 2, column)];
        Self {
            input: [outs, oh, ow],
            output: [channels, axes[0].outputs, axes[1].outputs],
            axes,
            place: [h * w, row * w + column, w * stride_h, stride_w],
            weight: [outs * channels * r * s, channels * r * s, r * s],
            first: axes[0].first * s + axes[1].first,
            steps: [axes[0].step * s as isize, axes[1].step],
        }
    }

    /// vec4s of output channels per group.
    fn quads(&self) -> usize {
        self.output[0].div_ceil(4)
    }

    fn packed_quads(&self, groups: usize, runs: &Runs) -> usize {
        let slots = runs.phases * runs.positions();
        groups * self.input[0] * self.axes[0].taps * slots * self.quads()
    }

    /// Cost of a variant, in products of vec4s per row and image.
    fn cost(&self, overrides: Overrides) -> usize {
        let [strip, blocks, taps] = ["strip", "blocks", "taps"].map(|n| value(overrides, n));
        let runs = Runs::new(&self.axes[1], taps);
        let strips = self.output[2].div_ceil(strip) * self.quads().div_ceil(blocks);
        strips * runs.phases * runs.runs.max(1) * (taps * blocks * (strip + 4) + 2 * strip)
    }

    /// Its form, and the cheapest variant.
    fn choose(&self, groups: usize, caps: &Caps) -> (Form, Overrides) {
        let cheapest = |form: Form| {
            let variants = form.variants().iter().copied();
            variants.min_by_key(|v| self.cost(v)).unwrap_or_default()
        };
        if self.axes[1].stride > 1 {
            return (Form::Strided, cheapest(Form::Strided));
        }
        let overrides = cheapest(Form::Uniform);
        let runs = Runs::new(&self.axes[1], value(overrides, "taps"));
        let packed = 4 * self.packed_quads(groups, &runs);
        let binds = caps.max_uniform.min(caps.max_binding) >= 4 * UNIFORM_FLOATS as u64;
        let narrow = self.quads() < 2 || self.axes[1].taps < 3;
        let [out_plane, out_first, out_row, out_col] = self.place;
        let places = [out_plane, out_first, out_row, self.output[2]];
        let pairs = out_col == 1 && places.iter().all(|place| place % 2 == 0);
        if binds && pairs && !narrow && packed > 0 && packed <= UNIFORM_FLOATS {
            return (Form::Uniform, overrides);
        }
        (Form::Flat, cheapest(Form::Flat))
    }

    /// vec4s of its packed weights.
    fn scratch_quads(&self, groups: usize, caps: &Caps) -> usize {
        let (form, overrides) = self.choose(groups, caps);
        let runs = Runs::new(&self.axes[1], value(overrides, "taps"));
        match form {
            Form::Uniform => UNIFORM_FLOATS / 4,
            Form::Flat | Form::Strided => self.packed_quads(groups, &runs),
        }
    }

    /// Emits it for runs of images.
    fn lower(&self, runs: &[Rows], groups: usize, end: End, caps: &Caps, out: &mut Lowering) {
        let (form, overrides) = self.choose(groups, caps);
        let [strip, blocks, taps] = ["strip", "blocks", "taps"].map(|n| value(overrides, n));
        let row = Runs::new(&self.axes[1], taps);
        let [channels, height, width] = self.input;
        let [outs, rows, cols] = self.output;
        let [vertical, horizontal] = &self.axes;
        let strips = cols.div_ceil(strip);
        let chunks = self.quads().div_ceil(blocks);
        let per_image = groups * chunks * rows * strips;
        if per_image == 0 || runs.is_empty() {
            return;
        }
        let weights = self.pack(groups, &row, form, out);
        let [out_plane, out_first, out_row, out_col] = self.place;
        let x_row = groups * channels * height * width;
        for run in runs {
            let count = per_image * run.count;
            let x_base = run.first[0] * x_row;
            let y_base = run.first[1] * groups * outs * out_plane;
            let dispatch = Dispatch::of(Cow::Owned(registers_kernel(form, end)), overrides)
                .read(Operand::Input(0))
                .part(run.part[0]);
            let dispatch = match form {
                Form::Uniform => dispatch.uniform(weights),
                Form::Flat | Form::Strided => dispatch.read(weights),
            };
            out.push(
                end.bind_rows(dispatch, Operand::Output(0), run.part[1])
                    .param("count", count)
                    .param("strips", strips)
                    .param("batch", run.count)
                    .param("rows", rows)
                    .param("cols", cols)
                    .param("chunks", chunks)
                    .param("groups", groups)
                    .param("out_quads", self.quads())
                    .param("outs", outs)
                    .param("channels", channels)
                    .param("height", height)
                    .param("width", width)
                    .param("taps_h", vertical.taps)
                    .param("phases", row.phases)
                    .param("runs", row.runs)
                    .param("stride_h", vertical.stride)
                    .param("stride_w", horizontal.stride)
                    .param("dilation_h", vertical.dilation)
                    .param("dilation_w", horizontal.dilation)
                    .param("pad_h", wrapped(vertical.pad))
                    .param("pad_w", wrapped(horizontal.pad))
                    .param("out_plane", out_plane)
                    .param("out_first", y_base + out_first)
                    .param("out_row", out_row)
                    .param("out_col", out_col)
                    .param("last", last_quad(x_base + run.count * x_row))
                    .param("x_base", x_base)
                    .param("taps_w", horizontal.taps)
                    .param("stores", strip / 4 * blocks)
                    .param("four", 4)
                    .workgroups(count.div_ceil(64)),
            );
        }
    }

    /// The packed weights; the weights themselves where there are no taps to pack and none is read.
    fn pack(&self, groups: usize, runs: &Runs, form: Form, out: &mut Lowering) -> Operand {
        let quads = self.packed_quads(groups, runs);
        if quads == 0 {
            return Operand::Input(1);
        }
        let [vertical, horizontal] = &self.axes;
        let [group_step, in_step, out_step] = self.weight;
        let [row_step, col_step] = self.steps;
        let packed = out.scratch(match form {
            Form::Uniform => Type::f32([UNIFORM_FLOATS]),
            Form::Flat | Form::Strided => Type::f32([quads, 4]),
        });
        out.push(
            Dispatch::new(&PACK, PACK.variants[0])
                .read(Operand::Input(1))
                .write(packed)
                .param("quads", quads)
                .param("out_quads", self.quads())
                .param("outs", self.output[0])
                .param("channels", self.input[0])
                .param("taps_h", vertical.taps)
                .param("taps_w", horizontal.taps)
                .param("phases", runs.phases)
                .param("positions", runs.positions())
                .param("group_step", group_step)
                .param("in_step", in_step)
                .param("out_step", out_step)
                .param("first", self.first)
                .param("row_step", wrapped(row_step))
                .param("col_step", wrapped(col_step))
                .workgroups(quads.div_ceil(64)),
        );
        packed
    }
}

/// How the gradient of a weight is cut: invocations over runs of channels of dy, channels of x, and runs of taps.
struct Tiles {
    kernel: &'static Kernel,
    overrides: Overrides,
    lines: usize,
    taps: usize,
    blocks: usize,
    runs: Runs,
    /// Runs of `lines` rows of the kernel.
    bands: usize,
    /// Runs of `4 * blocks` channels of dy in a group.
    chunks: usize,
    /// Invocations per part of the batch.
    tiles: usize,
    /// vec4s of their sums.
    quads: usize,
}

impl Sizes {
    /// Emits the convolution or the gradient of its input for runs of images.
    pub(super) fn lower_registers(
        &self,
        map: Map,
        runs: &[Rows],
        end: End,
        caps: &Caps,
        out: &mut Lowering,
    ) {
        if map != Map::GradInput {
            return Class::forward(self).lower(runs, self.groups, end, caps, out);
        }
        for class in self.classes() {
            class.lower(runs, self.groups, end, caps, out);
        }
    }

    /// Cost of a variant for the gradient of the weight, in products of vec4s per channel of x and four columns of dy.
    fn grad_weight_cost(&self, overrides: Overrides) -> usize {
        let [lines, taps, blocks] = ["lines", "taps", "blocks"].map(|n| value(overrides, n));
        let runs = Runs::new(&Axis::forward(self, 2), taps);
        let bands = self.window[1].kernel.div_ceil(lines);
        let chunks = (self.o / self.groups).div_ceil(4 * blocks);
        chunks * bands * runs.phases * runs.runs * ((4 * lines * taps + 8) * blocks + 3)
    }

    /// The cheapest tiles for the gradient of the weight.
    fn grad_weight_tiles(&self) -> Tiles {
        let (channels, outs) = (self.c / self.groups, self.o / self.groups);
        let [vertical, horizontal] = [1, 2].map(|axis| Axis::forward(self, axis));
        let kernel = match horizontal.stride {
            1 => &GRAD_WEIGHT,
            _ => &GRAD_WEIGHT_STRIDED,
        };
        let aligned = usize::from(horizontal.stride == 1 && horizontal.outputs % 4 == 0);
        let slides = vertical.stride == vertical.dilation;
        let overrides = kernel.variants.iter().copied();
        let overrides = overrides
            .filter(|v| slides || value(v, "lines") == 1)
            .filter(|v| value(v, "aligned") == aligned)
            .min_by_key(|v| self.grad_weight_cost(v))
            .unwrap_or_default();
        let [lines, taps, blocks] = ["lines", "taps", "blocks"].map(|n| value(overrides, n));
        let runs = Runs::new(&horizontal, taps);
        let bands = vertical.taps.div_ceil(lines);
        let chunks = outs.div_ceil(4 * blocks);
        let tiles = self.groups * chunks * channels * bands * runs.phases * runs.runs;
        Tiles {
            kernel,
            overrides,
            lines,
            taps,
            blocks,
            runs,
            bands,
            chunks,
            tiles,
            quads: tiles * blocks * lines * taps,
        }
    }

    /// Whether it takes few dispatches and what passes through scratch, padded to tiles, fits one binding.
    pub(super) fn registers_fit(&self, map: Map, caps: &Caps) -> bool {
        let quads = match map {
            Map::Forward => Class::forward(self).scratch_quads(self.groups, caps),
            Map::GradInput => {
                let [_, rows, columns] = self.class_counts();
                if rows.saturating_mul(columns) > MOST_CLASSES {
                    return false;
                }
                let classes = self
                    .classes()
                    .map(|class| class.scratch_quads(self.groups, caps));
                classes.max().unwrap_or(0)
            }
            Map::GradWeight => self.grad_weight_tiles().quads,
        };
        16 * quads as u64 <= caps.max_binding
    }

    /// Residue classes of the stride along each axis of the input.
    fn class_counts(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.window[axis].stride.min(self.input[axis]))
    }

    /// The convolutions that make up the gradient of the input.
    fn classes(&self) -> impl Iterator<Item = Class> {
        let [_, rows, columns] = self.class_counts();
        let places = (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)));
        places.map(|(row, column)| Class::grad_input(self, row, column))
    }

    /// Emits the gradient of the weight over one run of images.
    pub(super) fn lower_registers_grad_weight(
        &self,
        run: &Rows,
        to: Target,
        caps: &Caps,
        out: &mut Lowering,
    ) {
        let (channels, outs) = (self.c / self.groups, self.o / self.groups);
        let [_, kernel_h, kernel_w] = self.window.map(|window| window.kernel);
        let [vertical, horizontal] = [1, 2].map(|axis| Axis::forward(self, axis));
        let [_, height, width] = self.input;
        let [_, rows, cols] = self.output;
        let batch = run.count;
        let x_base = run.first[0] * self.x_row();
        let dy_base = run.first[1] * self.y_row();
        let Tiles {
            kernel,
            overrides,
            lines,
            taps,
            blocks,
            runs,
            bands,
            chunks,
            tiles,
            quads,
        } = self.grad_weight_tiles();
        let most = (caps.max_binding as usize / 16 / quads).max(1);
        let wanted = FILLS_CPU.div_ceil(tiles).min(most);
        let share = batch.div_ceil(wanted).max(1);
        let parts = batch.div_ceil(share).max(1);
        let scratch = out.scratch(Type::f32([parts, quads, 4]));
        out.push(
            Dispatch::new(kernel, overrides)
                .read(Operand::Input(0))
                .part(run.part[0])
                .read(Operand::Input(1))
                .part(run.part[1])
                .write(scratch)
                .param("count", tiles * parts)
                .param("parts", parts)
                .param("batch", batch)
                .param("share", share)
                .param("chunks", chunks)
                .param("groups", self.groups)
                .param("outs", outs)
                .param("channels", channels)
                .param("height", height)
                .param("width", width)
                .param("rows", rows)
                .param("cols", cols)
                .param("bands", bands)
                .param("phases", runs.phases)
                .param("runs", runs.runs)
                .param("lines", lines)
                .param("stride_h", vertical.stride)
                .param("stride_w", horizontal.stride)
                .param("dilation_h", vertical.dilation)
                .param("dilation_w", horizontal.dilation)
                .param("pad_h", wrapped(vertical.pad))
                .param("pad_w", wrapped(horizontal.pad))
                .param("last", last_quad(x_base + batch * self.x_row()))
                .param("last_dy", last_quad(dy_base + batch * self.y_row()))
                .param("x_base", x_base)
                .param("dy_base", dy_base)
                .workgroups((tiles * parts).div_ceil(16)),
        );
        let sum = Dispatch::new(&GRAD_WEIGHT_SUM, GRAD_WEIGHT_SUM.variants[0])
            .read(scratch)
            .read(Operand::Input(0))
            .part(run.part[0])
            .read(Operand::Input(1))
            .part(run.part[1]);
        out.push(
            to.bind(sum)
                .param("quads", quads)
                .param("parts", parts)
                .param("chunks", chunks)
                .param("blocks", blocks)
                .param("lines", lines)
                .param("taps", taps)
                .param("outs", outs)
                .param("channels", channels)
                .param("kernel_h", kernel_h)
                .param("kernel_w", kernel_w)
                .param("bands", bands)
                .param("phases", runs.phases)
                .param("runs", runs.runs)
                .param("batch", batch)
                .param("groups", self.groups)
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
                .workgroups(quads.div_ceil(64)),
        );
    }
}

/// Invocations that fill a CPU: the batch of a gradient of a weight is cut into parts for as many.
const FILLS_CPU: usize = 512;

/// Residue classes, each of which takes a dispatch, up to which the gradient of an input goes through them.
const MOST_CLASSES: usize = 64;

static PACK: Kernel = Kernel::new(
    "conv_pack",
    shader_files!["conv_pack", "lib/grid", "lib/divide"],
    &[&[("workgroup_size", 64)]],
);

static GRAD_WEIGHT: Kernel = Kernel::new(
    "conv_grad_weight_registers",
    shader_files![
        "conv_grad_weight_registers",
        "conv_window_flat",
        "lib/grid",
        "lib/divide"
    ],
    &[
        &[("lines", 1), ("taps", 1), ("blocks", 2), ("aligned", 0)],
        &[("lines", 1), ("taps", 1), ("blocks", 2), ("aligned", 1)],
        &[("lines", 1), ("taps", 3), ("blocks", 2), ("aligned", 0)],
        &[("lines", 1), ("taps", 3), ("blocks", 2), ("aligned", 1)],
        &[("lines", 3), ("taps", 3), ("blocks", 2), ("aligned", 0)],
        &[("lines", 3), ("taps", 3), ("blocks", 2), ("aligned", 1)],
        &[("lines", 5), ("taps", 5), ("blocks", 1), ("aligned", 0)],
        &[("lines", 5), ("taps", 5), ("blocks", 1), ("aligned", 1)],
    ],
);

static GRAD_WEIGHT_STRIDED: Kernel = Kernel::new(
    "conv_grad_weight_registers_strided",
    shader_files![
        "conv_grad_weight_registers",
        "conv_window_strided",
        "lib/grid",
        "lib/divide"
    ],
    &[
        &[("lines", 1), ("taps", 1), ("blocks", 2), ("aligned", 0)],
        &[("lines", 1), ("taps", 3), ("blocks", 2), ("aligned", 0)],
    ],
);

static GRAD_WEIGHT_SUM: Kernel = Kernel::new(
    "conv_grad_weight_sum",
    shader_files![
        "conv_grad_weight_sum",
        "lib/grid",
        "lib/divide",
        "lib/float"
    ],
    &[&[("workgroup_size", 64)]],
);

pub(super) const KERNELS: &[&Kernel] =
    &[&PACK, &GRAD_WEIGHT, &GRAD_WEIGHT_STRIDED, &GRAD_WEIGHT_SUM];

fn registers_kernel(form: Form, end: End) -> Kernel {
    let [
        body,
        flat,
        strided,
        uniform,
        storage,
        elements,
        pairs,
        grid,
        divide,
        float,
    ] = *shader_files![
        "conv_registers",
        "conv_window_flat",
        "conv_window_strided",
        "conv_weights_uniform",
        "conv_weights_storage",
        "conv_store_elements",
        "conv_store_pairs",
        "lib/grid",
        "lib/divide",
        "lib/float",
    ];
    let (name, window, weights, store) = match form {
        Form::Uniform => ("_uniform", flat, uniform, pairs),
        Form::Flat => ("", flat, storage, elements),
        Form::Strided => ("_strided", strided, storage, elements),
    };
    let (end_name, end) = end.file();
    Kernel::composed(
        format!("conv_registers{name}{end_name}"),
        vec![body, window, weights, end, store, grid, divide, float],
        form.variants(),
    )
}

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    let forms = [Form::Uniform, Form::Flat, Form::Strided];
    let all = forms.map(|form| {
        // The gradient of an input, which takes the mask, never strides.
        let ends = End::ALL.into_iter();
        let ends = ends.filter(move |end| {
            form != Form::Strided || !matches!(end, End::Mask | End::MaskInPlace)
        });
        ends.map(move |end| registers_kernel(form, end))
    });
    all.into_iter().flatten().collect()
}
