//! How reductions run: over alternating runs of kept and reduced axes, in stages where they are
//! long and few, part by part.

mod kernels;
mod regions;
mod spread;

use std::borrow::Cow;

use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Caps, Dispatch, Lowering, Operand, Part, looped};
use crate::shape::{Shape, Type};

use super::{Cut, variant};
pub(crate) use kernels::kernels;
use kernels::{LoadForm, Terms, WORKGROUP, kernel};
use regions::{AxisRun, BasePlace, merged, regions};
pub(crate) use spread::{KERNELS, lower_spread};

/// What becomes of the elements over which an output reduces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// Their sum.
    Sum,
    /// Their product.
    Multiplied,
    /// The largest of them times the scale, which is 1 or -1: with -1, the smallest.
    Largest,
    /// The sum of their squares.
    Squares,
    /// The sum of their differences from an operand that lies as the result does.
    Differences(Operand),
    /// The sum of the squares of their differences from an operand that lies as the result does.
    Deviations(Operand),
    /// How many of them equal an operand that lies as the result does, NaN counting as equal to
    /// NaN.
    Ties(Operand),
    /// The sum of exp(element - an operand that lies as the result does).
    Exponentials(Operand),
    /// The sum of their products with the elements of an operand that lies as x does.
    Products(Operand),
}

impl Function {
    fn other(self) -> Option<Operand> {
        match self {
            Function::Sum | Function::Largest | Function::Squares | Function::Multiplied => None,
            Function::Differences(other)
            | Function::Deviations(other)
            | Function::Ties(other)
            | Function::Exponentials(other)
            | Function::Products(other) => Some(other),
        }
    }

    /// Its number in `reduce.wgsl`.
    fn number(self) -> usize {
        match self {
            Function::Sum => 0,
            Function::Largest => 1,
            Function::Squares => 2,
            Function::Differences(_) => 3,
            Function::Deviations(_) => 4,
            Function::Ties(_) => 5,
            Function::Exponentials(_) => 6,
            Function::Products(_) => 7,
            Function::Multiplied => 8,
        }
    }
}

/// A reduction of elements to scale * function, or to the square root of that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fold {
    pub function: Function,
    pub scale: f32,
    pub root: bool,
}

impl Fold {
    pub fn sum(scale: f32) -> Self {
        Self::new(Function::Sum, scale)
    }

    pub fn new(function: Function, scale: f32) -> Self {
        Self {
            function,
            scale,
            root: false,
        }
    }

    /// The first of two stages.
    fn first_stage(self) -> Self {
        match self.function {
            Function::Largest | Function::Multiplied => self,
            function => Self::new(function, 1.0),
        }
    }

    /// The second of two stages, over what the first one made.
    fn second_stage(self) -> Self {
        let function = match self.function {
            Function::Largest | Function::Multiplied => self.function,
            _ => Function::Sum,
        };
        Self { function, ..self }
    }
}

/// Emits y = scale * (x summed over `axes` of `shape`), for operands in one part.
pub(crate) fn lower_sum(
    x: Operand,
    shape: &Shape,
    axes: &[usize],
    scale: f32,
    y: Operand,
    caps: &Caps,
    out: &mut Lowering,
) -> Result<()> {
    let whole = |shape: &Shape| {
        let rows = shape.rows();
        [Part { start: 0, rows }]
    };
    let kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
    let shape_y = Shape::from(kept.map(|axis| shape[axis]).collect::<Vec<_>>());
    let x = Cut {
        operand: x,
        shape,
        parts: &whole(shape),
    };
    let y = Cut {
        operand: y,
        shape: &shape_y,
        parts: &whole(&shape_y),
    };
    lower_reduction("sum", Fold::sum(scale), x, axes, y, caps, out)
}

/// Emits y = the reduction of x over `axes`, in stages if the sums are long and few.
///
/// Where axis 0 is kept, rows that lie in one part of both are reduced together. Where it is
/// reduced, the parts of x are taken in order, each adding to what the ones before it left in y.
pub(crate) fn lower_reduction(
    op: &str,
    reduction: Fold,
    x: Cut,
    axes: &[usize],
    y: Cut,
    caps: &Caps,
    out: &mut Lowering,
) -> Result<()> {
    for region in regions(x, axes, y) {
        let staged = Staged {
            reduction: Fold {
                root: reduction.root && region.last,
                ..reduction
            },
            accumulate: region.accumulate,
        };
        lower_runs(op, staged, region.x, &region.runs, region.y, caps, out)?;
    }
    Ok(())
}

fn alternating(op: &str, runs: usize, when: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{op}: reduced and kept axes alternate {runs} times, 6 are supported{when}"),
    )
}

/// A reduction that may add to what the output holds already.
#[derive(Debug, Clone, Copy)]
struct Staged {
    reduction: Fold,
    accumulate: bool,
}

impl Staged {
    /// What is left to do with the results of a first stage.
    fn second(self) -> Self {
        Self {
            reduction: self.reduction.second_stage(),
            ..self
        }
    }
}

/// Longest reduction, in loads, that one invocation makes when the outputs are few.
const SERIAL: usize = 128;
/// Invocations that are enough to fill a device.
pub(crate) const INVOCATIONS: usize = 16_384;

/// Indices that lie side by side and are read by neighbouring invocations, if the reduction is cut
/// along another axis too.
const ADJACENT: usize = 16;

/// Extents of the reduced runs, outermost first, of which the first and the last are cut.
type ReducedExtents = [usize; 3];

/// Turns of an invocation that makes one of so many chunks.
fn turns(
    [outer, middle, inner]: ReducedExtents,
    (outer_chunks, inner_chunks): (usize, usize),
) -> u64 {
    let [outer, inner] = [outer.div_ceil(outer_chunks), inner.div_ceil(inner_chunks)];
    looped(outer, looped(middle, looped(inner, 0)))
}

/// Into how many strided chunks the outermost and the innermost reduced run are cut: a pure
/// function of the shapes and of the most turns that an invocation may take.
fn chunks(outputs: usize, extents: ReducedExtents, max_turns: u64) -> (usize, usize) {
    let [outer, _, inner] = extents;
    let length: usize = extents.iter().product();
    // Nothing is not cut.
    if length == 0 {
        return (1, 1);
    }
    let mut wanted = (length.isqrt().max(length / 64)).min(INVOCATIONS / outputs.max(1));
    if length <= SERIAL || wanted < 2 {
        if turns(extents, (1, 1)) <= max_turns {
            return (1, 1);
        }
        wanted = 2;
    }
    // The fewest chunks of `extent` indices that leave the longest one as short as `count` chunks
    // do.
    let even = |extent: usize, count: usize| extent.div_ceil(extent.div_ceil(count.min(extent)));
    loop {
        let outer_chunks = even(outer, (wanted / ADJACENT.min(inner)).max(1));
        let inner_chunks = even(inner, wanted.div_ceil(outer_chunks));
        // Some empty chunks, so that the next stage can load quads.
        let chunks = match inner_chunks >= outer_chunks {
            true => (outer_chunks, inner_chunks.next_multiple_of(4)),
            false => (outer_chunks.next_multiple_of(4), inner_chunks),
        };
        // As many chunks as elements are no gain: the plan refuses what takes too long then.
        if turns(extents, chunks) <= max_turns && chunks.0 * chunks.1 < length {
            return chunks;
        }
        if wanted >= length {
            return (1, 1);
        }
        wanted *= 2;
    }
}

fn lower_runs(
    op: &str,
    staged: Staged,
    x: BasePlace,
    runs: &[AxisRun],
    y: BasePlace,
    caps: &Caps,
    out: &mut Lowering,
) -> Result<()> {
    let reduced = |runs: &[AxisRun]| runs.iter().filter(|run| run.reduced).count();
    if reduced(runs) > 3 || runs.len() - reduced(runs) > 3 {
        return lower_innermost(op, staged, x, runs, y, caps, out);
    }
    let last = runs.last().copied().unwrap_or(AxisRun {
        extent: 1,
        stride: 1,
        reduced: false,
    });
    // Loads and strides are counted in quads where the innermost run consists of them.
    let outer = &runs[..runs.len().saturating_sub(1)];
    let quads = last.extent.is_multiple_of(4)
        && x.base.is_multiple_of(4)
        && outer.iter().all(|run| run.stride.is_multiple_of(4))
        && (last.reduced || y.base.is_multiple_of(4));
    let (form, width) = match (quads, last.reduced) {
        (false, _) => (LoadForm::Elements, 1),
        (true, true) => (LoadForm::RowQuads, 4),
        (true, false) => (LoadForm::ColumnQuads, 4),
    };
    let chunks_first = !last.reduced;
    let (mut kept, mut summed) = (Vec::new(), Vec::new());
    for (i, run) in runs.iter().enumerate().rev() {
        let axis = match i + 1 == runs.len() {
            true => [run.extent / width, 1],
            false => [run.extent, run.stride / width],
        };
        if run.reduced { &mut summed } else { &mut kept }.push(axis);
    }
    let outputs: usize = kept.iter().map(|run| run[0]).product();
    // Innermost first; with two reduced runs, the outer one takes the place that can be cut.
    kept.resize(3, [1, 0]);
    if summed.len() == 2 {
        summed.insert(1, [1, 0]);
    }
    summed.resize(3, [1, 0]);
    // Nothing is not walked.
    if summed.iter().any(|run| run[0] == 0) {
        summed.fill([0, 0]);
    }
    // What cannot be cut is the shortest where it takes too long.
    if turns([1, summed[1][0], 1], (1, 1)) > caps.max_turns {
        let shortest = (0..3).min_by_key(|&run| summed[run][0]);
        summed.swap(1, shortest.unwrap_or(1));
    }
    let extents = [2, 1, 0].map(|run: usize| summed[run][0]);
    let (outer_chunks, inner_chunks) = chunks(outputs, extents, caps.max_turns);
    let chunks = outer_chunks * inner_chunks;
    let elements = outputs * if last.reduced { 1 } else { width };

    let Staged {
        reduction,
        accumulate,
    } = staged;
    let (now, stage, accumulated) = match chunks {
        1 => (reduction, y, accumulate),
        _ => {
            let stage = out.scratch(Type::f32([chunks, elements]));
            (reduction.first_stage(), BasePlace::scratch(stage), false)
        }
    };
    let width_y = if last.reduced { 1 } else { width };
    let start = match reduction.function {
        Function::Largest => f32::NEG_INFINITY,
        Function::Multiplied => 1.0,
        _ => 0.0,
    };
    let kernel = kernel(form, Terms::of(reduction.function));
    let wanted = [
        ("function", reduction.function.number()),
        ("chunks_first", chunks_first.into()),
    ];
    let chosen = variant(&kernel, &wanted);
    let mut dispatch = Dispatch::of(Cow::Owned(kernel), chosen)
        .read(x.operand)
        .part(x.part);
    dispatch = match reduction.function {
        Function::Products(other) => dispatch.read(other).part(x.part),
        function => match function.other() {
            Some(other) => dispatch.read(other).part(y.part),
            None => dispatch,
        },
    };
    dispatch = dispatch
        .write(stage.operand)
        .part(stage.part)
        .param("count", outputs * chunks)
        .param("outputs", outputs)
        .param("outer_chunks", outer_chunks)
        .param("inner_chunks", inner_chunks)
        .param("x_base", x.base / width)
        .param("y_base", stage.base / width_y)
        .param("other_base", y.base / width_y);
    for (names, runs) in [(KEPT, &kept), (REDUCED, &summed)] {
        for (i, [extent, stride]) in names.into_iter().enumerate() {
            let run = runs[2 - i];
            dispatch = dispatch.param(extent, run[0]).param(stride, run[1]);
        }
    }
    let dispatch = dispatch
        .param("accumulate", accumulated.into())
        .param("root", now.root.into())
        .param_f32("start", start)
        .param_f32("scale", now.scale)
        .turns(turns(extents, (outer_chunks, inner_chunks)))
        .workgroups((outputs * chunks).div_ceil(WORKGROUP));
    out.push(dispatch);
    if chunks == 1 {
        return Ok(());
    }
    let runs = match chunks_first {
        true => [(chunks, true), (elements, false)],
        false => [(elements, false), (chunks, true)],
    };
    let runs = merged(runs.into_iter());
    let scratch = BasePlace::scratch(stage.operand);
    lower_runs(op, staged.second(), scratch, &runs, y, caps, out)
}

/// Reduces the innermost run that is reduced, then the others, where they are more than the kernels
/// take at once.
fn lower_innermost(
    op: &str,
    staged: Staged,
    x: BasePlace,
    runs: &[AxisRun],
    y: BasePlace,
    caps: &Caps,
    out: &mut Lowering,
) -> Result<()> {
    let contiguous = runs
        .windows(2)
        .all(|pair| pair[0].stride == pair[1].extent * pair[1].stride);
    let innermost = runs.iter().rposition(|run| run.reduced);
    let other = staged.reduction.function.other();
    let (Some(innermost), true, None) = (innermost, contiguous, other) else {
        let when = match other {
            Some(_) => "",
            None => " for a result in several parts",
        };
        return Err(alternating(op, runs.len(), when));
    };
    let axes = |from: &[AxisRun]| -> Vec<(usize, bool)> {
        from.iter().map(|run| (run.extent, run.reduced)).collect()
    };
    let kept = |from: &[AxisRun]| (from.iter().map(|run| run.extent).product(), false);
    let (outer, inner) = (&runs[..innermost], &runs[innermost + 1..]);
    let stage = [kept(outer), (runs[innermost].extent, true), kept(inner)];
    let rest = merged([axes(outer), axes(inner)].concat().into_iter());
    let elements = rest.iter().map(|run| run.extent).product();
    let scratch = BasePlace::scratch(out.scratch(Type::f32([elements])));
    let first = Staged {
        reduction: staged.reduction.first_stage(),
        accumulate: false,
    };
    let stage = merged(stage.into_iter());
    lower_runs(op, first, x, &stage, scratch, caps, out)?;
    lower_runs(op, staged.second(), scratch, &rest, y, caps, out)
}

/// Names of the extents and strides of the kept runs in `Params`, outermost first.
const KEPT: [[&str; 2]; 3] = [
    ["kept0", "kept_stride0"],
    ["kept1", "kept_stride1"],
    ["kept2", "kept_stride2"],
];
/// Those of the reduced runs.
const REDUCED: [[&str; 2]; 3] = [
    ["reduced0", "reduced_stride0"],
    ["reduced1", "reduced_stride1"],
    ["reduced2", "reduced_stride2"],
];
