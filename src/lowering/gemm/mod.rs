//! What matrix products and convolutions share: how a product is cut into tiles, what may follow it
//! in one kernel, and sums of several runs.

mod shared;
mod tiles;

use std::borrow::Cow;

use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{
    Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, Shown, WINDOW, looped, source,
    turns_within, windows,
};
use crate::shape::Type;
pub(crate) use shared::{Whole, shared_variants};
pub(crate) use tiles::{Fit, Splits, TileProduct, Tiles};

/// What follows a product before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    None,
    Relu,
    Bias,
    BiasRelu,
    Mask,
    /// The mask lies where the product is stored.
    MaskInPlace,
}

/// The mask, a product's third input, may give its buffer to the output.
pub(crate) const MASK_PAIR: &[(usize, usize)] = &[(2, 0)];

impl End {
    /// All of them, as epilogues of a kernel.
    pub const ALL: &[Overrides] = &[
        End::None.overrides(),
        End::Relu.overrides(),
        End::Bias.overrides(),
        End::BiasRelu.overrides(),
        End::Mask.overrides(),
        End::MaskInPlace.overrides(),
    ];

    /// Those that do something.
    pub const SOME: &[Overrides] = &[
        End::Relu.overrides(),
        End::Bias.overrides(),
        End::BiasRelu.overrides(),
        End::Mask.overrides(),
        End::MaskInPlace.overrides(),
    ];

    /// The end for these flags of an op.
    pub fn new(op: &str, bias: bool, relu: bool, mask: bool, io: &Io) -> Result<Self> {
        match (bias, relu, mask) {
            (false, false, true) if io.in_place[0].is_some() => Ok(End::MaskInPlace),
            (false, false, false) => Ok(End::None),
            (false, true, false) => Ok(End::Relu),
            (true, false, false) => Ok(End::Bias),
            (true, true, false) => Ok(End::BiasRelu),
            (false, false, true) => Ok(End::Mask),
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                format!("{op}: a mask together with a bias or relu has no kernel"),
            )),
        }
    }

    /// What the provider `end` is built with.
    pub const fn overrides(self) -> Overrides {
        match self {
            End::None => &[],
            End::Relu => &[("relu", 1)],
            End::Bias => &[("bias", 1)],
            End::BiasRelu => &[("bias", 1), ("relu", 1)],
            End::Mask => &[("mask", 1)],
            End::MaskInPlace => &[("mask", 2)],
        }
    }

    /// What `end_flags` is told of it.
    pub fn flags(self) -> usize {
        match self {
            End::None => 0,
            End::Bias => flags::BIAS,
            End::Relu => flags::RELU,
            End::BiasRelu => flags::BIAS | flags::RELU,
            End::Mask => flags::MASK,
            End::MaskInPlace => flags::MASK_IN_PLACE,
        }
    }

    /// What is left to the first and to the last of several runs of terms where a bias, which is
    /// one per channel, joins the first one.
    pub fn apart(self) -> (Self, Self) {
        match self {
            End::Bias => (End::Bias, End::None),
            End::BiasRelu => (End::Bias, End::Relu),
            _ => (End::None, self),
        }
    }

    /// Whether it adds the third input as a bias.
    pub fn adds_bias(self) -> bool {
        matches!(self, End::Bias | End::BiasRelu)
    }

    /// Whether it reads the third input.
    pub fn reads_third(self) -> bool {
        self.adds_bias() || self == End::Mask
    }

    /// Binds what the end reads, the third input, and the output after it, of each one part.
    pub fn bind_parts(self, dispatch: Dispatch, third: usize, y: Operand, part: usize) -> Dispatch {
        let dispatch = match self.reads_third() {
            true => dispatch.read(Operand::Input(2)).part(third),
            false => dispatch.read_again(),
        };
        dispatch.write(y).part(part)
    }

    /// As `bind_parts`, for rows of y in part `part`; a mask lies in the same one.
    pub fn bind_rows(self, dispatch: Dispatch, y: Operand, part: usize) -> Dispatch {
        let third = if self == End::Mask { part } else { 0 };
        self.bind_parts(dispatch, third, y, part)
    }
}

/// The bits of `end_flags`.
pub(crate) mod flags {
    pub const BIAS: usize = 1;
    pub const SUM: usize = 2;
    pub const SUM_IN_PLACE: usize = 4;
    pub const RELU: usize = 8;
    pub const MASK: usize = 16;
    pub const MASK_IN_PLACE: usize = 32;
}

/// Where a block of a product is stored, and what happens to it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub operand: Operand,
    pub part: usize,
    /// The block's first element in that part.
    pub first: usize,
    /// Elements from one row to the next.
    pub row: usize,
    pub end: End,
    /// The part of the bias or mask that the end reads.
    pub end_part: usize,
    /// Where the block's first column finds its bias in that part.
    pub first_column: usize,
}

impl Target {
    /// All of an operand in one part with rows of `row` elements, and nothing that happens before.
    pub fn all(operand: Operand, row: usize) -> Self {
        Self {
            operand,
            part: 0,
            first: 0,
            row,
            end: End::None,
            end_part: 0,
            first_column: 0,
        }
    }

    /// Whether a sum of rows of `columns` elements may be cut into runs of terms that are added up:
    /// where the rows lie one behind the other from the start on, as in scratch.
    pub fn splits(&self, columns: usize) -> bool {
        self.first == 0 && self.row == columns
    }

    /// Appends the params that say where the block is stored.
    pub fn params(&self, dispatch: Dispatch) -> Dispatch {
        dispatch
            .param("first_y", self.first)
            .param("row_y", self.row)
            .param("first_column", self.first_column)
    }

    /// Binds the target of a kernel without an end.
    pub fn write(&self, dispatch: Dispatch) -> Dispatch {
        dispatch.write(self.operand).part(self.part)
    }

    /// Chooses the end, binds what it reads, and the target after it.
    pub fn bind(&self, dispatch: Dispatch) -> Dispatch {
        let dispatch = dispatch.epilogue(self.end.overrides());
        self.end
            .bind_parts(dispatch, self.end_part, self.operand, self.part)
    }
}

/// A part of an input as kernels in registers see it: in storage, or through windows of a uniform
/// binding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    operand: Operand,
    part: usize,
    elements: usize,
    window: bool,
}

impl View {
    /// The first `elements` of a part.
    pub fn new(input: usize, part: usize, elements: usize, window: bool) -> Self {
        Self {
            operand: Operand::Input(input),
            part,
            elements,
            window,
        }
    }

    /// What the dispatches over `count` rows of `row` elements from element `first` on each see,
    /// `most` rows at most through a window.
    pub fn rows(&self, row: usize, first: usize, count: usize, most: usize) -> Vec<Shown> {
        if self.window {
            return windows(4 * self.elements as u64, row, first, count, most);
        }
        vec![Shown::all(count, first)]
    }

    /// Whether it is seen through windows.
    pub fn is_window(&self) -> bool {
        self.window
    }

    /// Binds it as storage, all of the part.
    pub fn bind_storage(&self, dispatch: Dispatch) -> Dispatch {
        dispatch.read(self.operand).part(self.part)
    }

    /// Binds what a dispatch sees.
    pub fn bind(&self, dispatch: Dispatch, shown: &Shown) -> Dispatch {
        match self.window {
            true => dispatch
                .uniform(self.operand)
                .part(self.part)
                .window(shown.at),
            false => self.bind_storage(dispatch),
        }
    }

    /// Number of the last `vec4` that a dispatch may read.
    pub fn last_quad(&self) -> usize {
        self.last_element() / 4
    }

    /// Number of the last element that a dispatch may read.
    pub fn last_element(&self) -> usize {
        match self.window {
            true => WINDOW as usize / 4 - 1,
            false => self.elements.max(1) - 1,
        }
    }
}

/// Emits a product of type `ty` whose terms are summed in `splits` runs by one dispatch, which
/// `product` makes for a target and the elements from run to run. See [`in_dispatches`].
pub(crate) fn in_splits(
    splits: usize,
    ty: &Type,
    to: Target,
    caps: &Caps,
    out: &mut Lowering,
    product: impl FnOnce(Target, usize) -> Dispatch,
) {
    let (target, part) = split_target(splits, ty, to, out);
    out.push(product(target, part));
    sum_parts(splits, ty, target, part, to, caps, out);
}

/// Emits a product of type `ty` whose terms are summed in `runs` runs, by a dispatch each, into at
/// most [`APART`] sums: `product` makes that of a run for the number of its sum, a target and the
/// elements from sum to sum. Several sums go into scratch, each padded to whole `vec4`s, and are
/// added up in order, from the start of `to` on. What follows there is not written yet: the last
/// vec4 may run into it.
pub(crate) fn in_dispatches(
    runs: usize,
    ty: &Type,
    to: Target,
    caps: &Caps,
    out: &mut Lowering,
    product: impl Fn(usize, usize, Target, usize) -> Dispatch,
) {
    let sums = runs.min(APART);
    let (target, part) = split_target(sums, ty, to, out);
    for run in 0..runs {
        out.push(product(run, run % sums, target, part));
    }
    sum_parts(sums, ty, target, part, to, caps, out);
}

/// The most sums of [`in_dispatches`] that lie apart: those of so many dispatches do not wait for
/// each other, and scratch does not grow with the number of terms.
pub(crate) const APART: usize = 8;

/// Where the runs of a sum go, and the elements from one to the next.
pub(crate) fn split_target(
    splits: usize,
    ty: &Type,
    to: Target,
    out: &mut Lowering,
) -> (Target, usize) {
    if splits == 1 {
        return (to, 0);
    }
    let part = ty.count().next_multiple_of(4);
    let parts = out.scratch(Type::f32([splits, part]));
    (Target::all(parts, to.row), part)
}

/// Adds up what [`split_target`] gave, if that was not the target itself: in as many dispatches as
/// the turns of a device ask for, each of which goes on where the last one stopped; or in one,
/// where something follows that must see all of the sum.
pub(crate) fn sum_parts(
    splits: usize,
    ty: &Type,
    parts: Target,
    part: usize,
    to: Target,
    caps: &Caps,
    out: &mut Lowering,
) {
    if splits == 1 {
        return;
    }
    if to.end != End::None {
        return out.push(sum_to_end(splits, parts, part, to, ty));
    }
    let quads = part / 4;
    let most = turns_within(caps.max_turns, 0);
    for begin in (0..splits).step_by(most) {
        let end = splits.min(begin + most);
        out.push(
            Dispatch::new(&SUM_PARTS, VARIANTS[0])
                .read(parts.operand)
                .write(to.operand)
                .part(to.part)
                .param("quads", quads)
                .param("begin", begin)
                .param("end", end)
                .turns(looped(end - begin, 0))
                .workgroups(quads.div_ceil(64)),
        );
    }
}

/// The dispatch that adds up `splits` parts of rows of a product of type `ty`, and what follows.
fn sum_to_end(splits: usize, parts: Target, part: usize, to: Target, ty: &Type) -> Dispatch {
    let (count, columns) = (ty.count(), to.row);
    let dispatch = Dispatch::of(Cow::Owned(sum_parts_end()), VARIANTS[0]).read(parts.operand);
    let dispatch = to
        .bind(dispatch.read(parts.operand))
        .param("count", count)
        .param("columns", columns)
        .param("parts", splits)
        .param("part", part)
        .turns(looped(splits - 1, 0));
    to.params(dispatch).workgroups(count.div_ceil(64))
}

/// The most runs that [`sum_parts`] may add up.
pub(crate) fn most_parts(caps: &Caps) -> usize {
    turns_within(caps.max_turns, 0).saturating_add(1)
}

/// Scratch for sums of `runs` runs of terms, of `elements` elements at most: one holds the sum so
/// far, one the next term, one the next sum.
pub(crate) fn run_scratch(out: &mut Lowering, runs: usize, elements: usize) -> Vec<Operand> {
    let count = if runs > 1 { runs.min(3) } else { 0 };
    (0..count)
        .map(|_| out.scratch(Type::f32([elements])))
        .collect()
}

/// Emits what `emit` does, its scratch being that from number `base` on, which others are done
/// with: as large as the largest of them needs.
pub(crate) fn reusing(base: usize, out: &mut Lowering, emit: impl FnOnce(&mut Lowering)) {
    let (first, begin) = (out.scratch.len(), out.dispatches.len());
    emit(out);
    for (i, ty) in out.scratch.split_off(first).into_iter().enumerate() {
        match out.scratch.get_mut(base + i) {
            Some(held) if held.bytes() < ty.bytes() => *held = ty,
            Some(_) => {}
            None => out.scratch.push(ty),
        }
    }
    for dispatch in &mut out.dispatches[begin..] {
        for binding in &mut dispatch.bindings {
            if let Operand::Scratch(number) = &mut binding.operand
                && *number >= first
            {
                *number = *number - first + base;
            }
        }
    }
}

/// A block of `[rows, columns]` whose terms lie in `runs` runs: `term` emits the sum of one of them
/// into a target. Several go into `scratch` and are added up pair by pair, in order; what follows
/// the product sees the last sum.
pub(crate) fn sum_runs(
    runs: usize,
    [rows, columns]: [usize; 2],
    to: Target,
    scratch: &[Operand],
    out: &mut Lowering,
    term: impl Fn(usize, Target, &mut Lowering),
) {
    let &[first, next, ..] = scratch else {
        return term(0, to, out);
    };
    let next = Target::all(next, columns);
    let mut sum = Target::all(first, columns);
    let mut free = scratch
        .get(2)
        .map(|&third| Target::all(third, columns))
        .unwrap_or(next);
    term(0, sum, out);
    for run in 1..runs {
        term(run, next, out);
        let target = if run + 1 == runs { to } else { free };
        let dispatch = Dispatch::of(Cow::Owned(sum_pair()), VARIANTS[0]);
        let count = rows * columns;
        let dispatch = target
            .bind(dispatch.read(sum.operand).read(next.operand))
            .param("count", count)
            .param("columns", columns);
        out.push(target.params(dispatch).workgroups(count.div_ceil(64)));
        (sum, free) = (free, sum);
    }
}

/// The kernel that adds two sums of a product, and what follows.
pub(crate) fn sum_pair() -> Kernel {
    let files = [
        source!("gemm/sum_pair"),
        source!("gemm/end"),
        source!("gemm/y_elements"),
    ];
    Kernel::composed("sum_pair".into(), files.into(), VARIANTS).with_epilogues(End::ALL)
}

/// The kernel that adds up the parts of a product, and what follows.
pub(crate) fn sum_parts_end() -> Kernel {
    let files = [
        source!("gemm/sum_parts_end"),
        source!("gemm/end"),
        source!("gemm/y_elements"),
    ];
    Kernel::composed("sum_parts_end".into(), files.into(), VARIANTS).with_epilogues(End::SOME)
}

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static SUM_PARTS: Kernel = Kernel::new("sum_parts", &[source!("gemm/sum_parts")], VARIANTS);

pub(crate) const KERNELS: &[&Kernel] = &[&SUM_PARTS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_shader() {
        for (name, bit) in [
            ("BIAS", flags::BIAS),
            ("SUM", flags::SUM),
            ("SUM_IN_PLACE", flags::SUM_IN_PLACE),
            ("RELU", flags::RELU),
            ("MASK", flags::MASK),
            ("MASK_IN_PLACE", flags::MASK_IN_PLACE),
        ] {
            assert!(
                source!("gemm/end_flags")
                    .text()
                    .contains(&format!("const END_{name}: u32 = {bit}u;")),
                "{name}"
            );
        }
    }
}
