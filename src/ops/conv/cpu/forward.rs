//! Convolutions over two axes without workgroup memory, for CPU adapters and GL: forward and
//! gradient of the input, one walk.

use std::borrow::Cow;

use crate::kernel::{
    Caps, Dispatch, Lowering, Operand, Overrides, Rows, Shown, WINDOW, looped, turns_within,
    window_rows, windows,
};
use crate::shape::Type;

use super::forms::{RegistersForm, Weights, cheapest, kernel, tile_of};
use super::taps::{Runs, TapAxis};
use crate::lowering::gemm::{End, View};
use crate::lowering::value;
use crate::ops::conv::Sizes;
use crate::ops::conv::choose::Map;
use crate::ops::conv::geometry::wrapped;
use crate::ops::conv::pack::Packing;

/// One convolution as `conv_registers` runs it. A forward convolution is one; a gradient of the
/// input is one for each residue class of the stride, over dy, with the class's taps backwards.
#[derive(Debug, Clone, Copy)]
struct RegistersConv {
    /// Channels per group, height and width of what is read.
    input: [usize; 3],
    /// Channels per group, rows and columns of what is written.
    output: [usize; 3],
    axes: [TapAxis; 2],
    /// Elements of y: per channel, before the class's first, from row to row and from column to
    /// column.
    place: [usize; 4],
    /// Elements of the weight from group to group, input to input and output channel to output
    /// channel.
    weight: [usize; 3],
    /// Element of the weight of the first tap, and the steps from row to row and from column to
    /// column.
    first: usize,
    steps: [isize; 2],
}

/// Turns of an invocation's loops.
struct MendingTurns {
    /// Of those of all dispatches, where nothing is summed, stored or mended.
    least: u64,
    /// More where it sums and stores.
    products: u64,
    /// Of those that mend a block.
    block: u64,
    /// Blocks that it stores.
    stores: usize,
}

/// What a dispatch stores and mends, in blocks of each invocation.
struct Mending {
    stores: usize,
    first: usize,
    count: usize,
    turns: u64,
}

impl MendingTurns {
    /// Of a dispatch that sums and stores, or not, and mends so many blocks.
    fn of(&self, stores: bool, mends: usize) -> u64 {
        let products = if stores { self.products } else { 0 };
        let again = looped(mends, self.block);
        self.least.saturating_add(products).saturating_add(again)
    }

    /// Whether all goes in dispatches of so many turns.
    fn fit(&self, most: u64) -> bool {
        self.of(true, 0).max(self.of(false, 1)) <= most
    }

    /// The dispatches in which all is stored and mended: one, or where that takes more turns than
    /// the device allows, one that stores, and others that each mend some blocks.
    fn dispatches(&self, most: u64) -> Vec<Mending> {
        let stores = self.stores;
        let one = |stores: usize, first, count| Mending {
            stores,
            first,
            count,
            turns: self.of(stores > 0, count),
        };
        if self.of(true, stores) <= most {
            return vec![one(stores, 0, stores)];
        }
        let step = turns_within(most.saturating_sub(self.least), self.block);
        let starts = (0..stores).step_by(step);
        let mending = starts.map(|first| one(0, first, step.min(stores - first)));
        std::iter::once(one(stores, 0, 0)).chain(mending).collect()
    }
}

/// The uniform array of packed weights has 1024 vec4s.
const UNIFORM_FLOATS: usize = 4096;

impl RegistersConv {
    fn forward(sizes: &Sizes) -> Self {
        let [_, r, s] = sizes.window.map(|window| window.kernel);
        let [_, h, w] = sizes.input;
        let [_, oh, ow] = sizes.output;
        let (channels, outs) = (sizes.c / sizes.groups, sizes.o / sizes.groups);
        Self {
            input: [channels, h, w],
            output: [outs, oh, ow],
            axes: [1, 2].map(|axis| TapAxis::forward(sizes, axis)),
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
        let axes = [
            TapAxis::grad(sizes, 1, row),
            TapAxis::grad(sizes, 2, column),
        ];
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

    /// Runs of output channels per group that an invocation each makes.
    fn chunks(&self, overrides: Overrides) -> usize {
        self.quads().div_ceil(value(overrides, "blocks"))
    }

    /// Elements of the packed weights of one chunk.
    fn chunk_weights(&self, overrides: Overrides) -> usize {
        let packing = self.packing(1, overrides);
        4 * packing.quads() / packing.chunks.max(1)
    }

    fn packed(&self, groups: usize, overrides: Overrides) -> usize {
        4 * self.packing(groups, overrides).quads()
    }

    /// Elements of an image of what is read.
    fn image(&self, groups: usize) -> usize {
        groups * self.input.iter().product::<usize>()
    }

    /// Cost of a variant, in products of vec4s per row and image.
    fn cost(&self, overrides: Overrides) -> usize {
        let [strip, blocks, taps] = ["strip", "blocks", "taps"].map(|n| value(overrides, n));
        let runs = Runs::new(&self.axes[1], taps);
        let strips = self.output[2].div_ceil(strip) * self.quads().div_ceil(blocks);
        strips * runs.phases * runs.runs.max(1) * (taps * blocks * (strip + 4) + 2 * strip)
    }

    /// Its form, and the cheapest variant. The batch has no say in it.
    fn choose(&self, groups: usize, end: End, caps: &Caps) -> (RegistersForm, Overrides) {
        let cheapest = |form: RegistersForm| {
            let sets = form.variants().iter().copied();
            cheapest(sets, tile_of, caps, |set| self.cost(set))
        };
        let strided = self.axes[1].stride > 1;
        let [out_plane, out_first, out_row, out_col] = self.place;
        let places = [out_plane, out_first, out_row, self.output[2]];
        // Biases are read as y is written.
        let even = self.output[0].is_multiple_of(2);
        let by_pairs = out_col == 1 && places.iter().all(|place| place % 2 == 0);
        if caps.windows {
            let x_window = window_rows(self.image(groups)) >= 1;
            let form = RegistersForm {
                strided,
                x_window,
                weights: Weights::Window,
                unit: match by_pairs && !strided && (even || !end.adds_bias()) {
                    true => 2,
                    false => 1,
                },
            };
            let overrides = cheapest(form);
            let chunk = self.chunk_weights(overrides);
            if chunk >= 1 && window_rows(chunk) >= 1 {
                return (form, overrides);
            }
        }
        if strided {
            return (RegistersForm::STRIDED, cheapest(RegistersForm::STRIDED));
        }
        let overrides = cheapest(RegistersForm::UNIFORM);
        let packed = self.packed(groups, overrides);
        let binds = caps.max_uniform.min(caps.max_binding) >= 4 * UNIFORM_FLOATS as u64;
        let narrow = self.quads() < 2 || self.axes[1].taps < 3;
        if binds && by_pairs && !narrow && (1..=UNIFORM_FLOATS).contains(&packed) {
            return (RegistersForm::UNIFORM, overrides);
        }
        (RegistersForm::FLAT, cheapest(RegistersForm::FLAT))
    }

    /// Blocks of four columns of four channels that an invocation stores.
    fn stores(overrides: Overrides) -> usize {
        value(overrides, "strip") / 4 * value(overrides, "blocks")
    }

    /// Turns of the loops that an invocation takes.
    fn turns(&self, overrides: Overrides) -> MendingTurns {
        let runs = Runs::new(&self.axes[1], value(overrides, "taps"));
        let [channels, lines] = [self.input[0], self.axes[0].taps];
        let stores = Self::stores(overrides);
        let block = looped(4, looped(4, 0));
        let first_sums = looped(4, 0);
        let products = looped(channels * lines * runs.phases * runs.runs, 0);
        let slots = runs.phases * runs.positions();
        let again = looped(channels, looped(lines, looped(slots, 0))) + first_sums;
        MendingTurns {
            // Loops that take no turn are entered.
            least: 2 * first_sums + looped(0, 0) + looped(0, block),
            products: products + looped(stores, block),
            block: looped(16, 0) + again + block,
            stores,
        }
    }

    /// The packed weights as a type.
    fn packed_type(&self, groups: usize, form: RegistersForm, overrides: Overrides) -> Type {
        let packed = self.packed(groups, overrides);
        Type::f32([match form.weights {
            Weights::Storage => packed,
            Weights::Uniform => UNIFORM_FLOATS,
            Weights::Window => packed.max(WINDOW as usize / 4),
        }])
    }

    /// vec4s of its packed weights; `None` where an invocation takes more turns than the device
    /// allows.
    fn scratch_quads(&self, groups: usize, caps: &Caps) -> Option<usize> {
        // The end has a say in the unit alone, which the weights know nothing of.
        let (form, overrides) = self.choose(groups, End::None, caps);
        let fit = self.turns(overrides).fit(caps.max_turns);
        fit.then(|| self.packed_type(groups, form, overrides).count() / 4)
    }

    /// Emits it for runs of images.
    fn lower(&self, runs: &[Rows], groups: usize, end: End, caps: &Caps, out: &mut Lowering) {
        let (form, overrides) = self.choose(groups, end, caps);
        let [strip, taps] = ["strip", "taps"].map(|n| value(overrides, n));
        let workgroup = overrides.iter().find(|(name, _)| *name == "workgroup_size");
        let workgroup = workgroup.map_or(64, |&(_, size)| size as usize);
        let row = Runs::new(&self.axes[1], taps);
        let [channels, height, width] = self.input;
        let [outs, rows, cols] = self.output;
        let [vertical, horizontal] = &self.axes;
        let strips = cols.div_ceil(strip);
        let chunks = self.chunks(overrides);
        let per_image = groups * chunks * rows * strips;
        if per_image == 0 || runs.is_empty() {
            return;
        }
        let weights = self.pack(groups, form, overrides, out);
        let mending = self.turns(overrides).dispatches(caps.max_turns);
        let [out_plane, out_first, out_row, out_col] = self.place;
        let image = self.image(groups);
        let chunk = self.chunk_weights(overrides);
        let blocks_shown = match form.weights {
            Weights::Window => {
                let bytes = self.packed_type(groups, form, overrides).bytes();
                windows(bytes, chunk, 0, groups * chunks, usize::MAX)
            }
            Weights::Storage | Weights::Uniform => vec![Shown::all(groups * chunks, 0)],
        };
        for run in runs {
            let elements = (run.first[0] + run.count) * image;
            let x = View::new(0, run.part[0], elements, form.x_window);
            for images in &x.rows(image, run.first[0] * image, run.count, usize::MAX) {
                for shown in &blocks_shown {
                    let count = shown.count * rows * strips * images.count;
                    let y_base = (run.first[1] + images.start) * groups * outs * out_plane;
                    let kernel = Cow::Owned(kernel(form));
                    let dispatch = x.bind(Dispatch::of(kernel, overrides), images);
                    let dispatch = match form.weights {
                        Weights::Storage => dispatch.read(weights).epilogue(end.overrides()),
                        Weights::Uniform => dispatch.uniform(weights).epilogue(end.overrides()),
                        Weights::Window => dispatch.uniform(weights).window(shown.at),
                    };
                    let dispatch = end
                        .bind_rows(dispatch, Operand::Output(0), run.part[1])
                        .param("count", count)
                        .param("strips", strips)
                        .param("batch", images.count)
                        .param("rows", rows)
                        .param("cols", cols)
                        .param("chunks", chunks)
                        .param("groups", groups)
                        .param("first_block", shown.start)
                        .param("weights_base", shown.first / 4)
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
                        .param("last", x.last_quad())
                        .param("x_base", images.first)
                        .param("taps_w", horizontal.taps)
                        .param("four", 4)
                        .param("end", end.flags())
                        .workgroups(count.div_ceil(workgroup));
                    for step in &mending {
                        out.push(
                            dispatch
                                .clone()
                                .param("stores", step.stores)
                                .param("first_mended", step.first)
                                .param("mends", step.count)
                                .turns(step.turns),
                        );
                    }
                }
            }
        }
    }

    fn packing(&self, groups: usize, overrides: Overrides) -> Packing {
        let runs = Runs::new(&self.axes[1], value(overrides, "taps"));
        Packing {
            groups,
            chunks: self.chunks(overrides),
            blocks: value(overrides, "blocks"),
            outs: self.output[0],
            channels: self.input[0],
            taps: self.axes.map(|axis| axis.taps),
            phases: runs.phases,
            positions: runs.positions(),
            steps: self.weight,
            first: self.first,
            tap_steps: self.steps,
        }
    }

    /// The packed weights; the weights themselves where there are no taps to pack and none is read.
    fn pack(
        &self,
        groups: usize,
        form: RegistersForm,
        overrides: Overrides,
        out: &mut Lowering,
    ) -> Operand {
        let packing = self.packing(groups, overrides);
        if packing.quads() == 0 {
            return Operand::Input(1);
        }
        let packed = out.scratch(self.packed_type(groups, form, overrides));
        out.push(packing.dispatch(packed));
        packed
    }
}

/// Emits the convolution or the gradient of its input for runs of images.
pub(in crate::ops::conv) fn lower(
    sizes: &Sizes,
    map: Map,
    runs: &[Rows],
    end: End,
    caps: &Caps,
    out: &mut Lowering,
) {
    if map != Map::GradInput {
        return RegistersConv::forward(sizes).lower(runs, sizes.groups, end, caps, out);
    }
    for class in classes(sizes) {
        class.lower(runs, sizes.groups, end, caps, out);
    }
}

/// vec4s of the packed weights of a convolution, or of the largest class of the gradient of its
/// input; `None` where it takes many dispatches, or more turns than an invocation may.
pub(super) fn scratch_quads(sizes: &Sizes, map: Map, caps: &Caps) -> Option<usize> {
    if map != Map::GradInput {
        return RegistersConv::forward(sizes).scratch_quads(sizes.groups, caps);
    }
    let [_, rows, columns] = class_counts(sizes);
    if rows.saturating_mul(columns) > MOST_DISPATCHES {
        return None;
    }
    let mut most = Some(0);
    for class in classes(sizes) {
        let quads = class.scratch_quads(sizes.groups, caps);
        most = most.zip(quads).map(|(most, quads)| most.max(quads));
    }
    most
}

/// Residue classes of the stride along each axis of the input.
fn class_counts(sizes: &Sizes) -> [usize; 3] {
    [0, 1, 2].map(|axis| sizes.window[axis].stride.min(sizes.input[axis]))
}

/// The convolutions that make up the gradient of the input.
fn classes(sizes: &Sizes) -> impl Iterator<Item = RegistersConv> {
    let [_, rows, columns] = class_counts(sizes);
    let places = (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)));
    places.map(|(row, column)| RegistersConv::grad_input(sizes, row, column))
}

/// Residue classes, each of which takes a dispatch here, up to which the gradient of an input goes
/// through them.
const MOST_DISPATCHES: usize = 64;
