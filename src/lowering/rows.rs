//! Rows of `[outer, columns, inner]` that run along the columns: how many invocations share one,
//! and the sums of rows that are too long for that.

use crate::error::Result;
use crate::kernel::{Caps, Dispatch, Kernel, Lowering, Operand, Part, looped, turns_within};
use crate::shape::{Shape, Type};

use super::reduction::{Fold, Function, INVOCATIONS, lower_reduction};
use super::{Cut, variant};
use crate::shape::around;

/// What the loops of a kernel over a row are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loops {
    /// Successive loops over the columns.
    pub columns: u64,
    /// Values that the invocations of a row combine, each in [`COMBINE`] turns.
    pub combined: u64,
}

/// Turns of `row_max` and `row_sum` of `lib/rows`: 32, 16, ... 1, and the end.
const COMBINE: u64 = 7;

/// Longest row that one invocation handles alone; above, a workgroup shares a row.
const ALONE: usize = 64;
/// From this many neighbouring rows on, invocations that handle one row each read neighbouring
/// addresses.
const NEIGHBOURS: usize = 16;
/// Invocations that share a long row.
const SHARED: usize = 64;

impl Loops {
    /// Turns of an invocation that is one of `lanes` in a row of so many columns.
    pub fn turns(self, columns: usize, lanes: usize) -> u64 {
        let combined = if lanes > 1 { self.combined } else { 0 };
        let walked = self
            .columns
            .saturating_mul(looped(columns.div_ceil(lanes), 0));
        walked.saturating_add(combined * COMBINE)
    }

    /// How many invocations share a row whose columns lie `inner` apart, so that each stays within
    /// `turns`: 1 or 64; `None` where not even these do.
    pub fn lanes(self, columns: usize, inner: usize, turns: u64) -> Option<usize> {
        let best = match columns > ALONE && inner < NEIGHBOURS {
            true => SHARED,
            false => 1,
        };
        let fits = |lanes: &usize| self.turns(columns, *lanes) <= turns;
        [best, SHARED].into_iter().find(fits)
    }

    /// The most columns that 64 invocations share within `turns`; 64 at least.
    pub fn most_columns(self, turns: u64) -> usize {
        let walked = turns.saturating_sub(self.combined * COMBINE) / self.columns.max(1);
        SHARED.saturating_mul(turns_within(walked, 0))
    }

    /// The columns in runs, each short enough for 64 invocations: first and end of each.
    pub fn windows(self, columns: usize, turns: u64) -> impl Iterator<Item = [usize; 2]> {
        runs(columns, self.most_columns(turns))
    }
}

/// Columns in runs of at most so many: first and end of each.
fn runs(columns: usize, most: usize) -> impl Iterator<Item = [usize; 2]> {
    let starts = (0..columns.max(1)).step_by(most);
    starts.map(move |from| [from, columns.min(from.saturating_add(most))])
}

/// How many invocations walk the columns for one output, 1 or 64, which combine what they found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk {
    pub lanes: usize,
}

impl Walk {
    /// The walk for each of so many outputs over columns that lie `inner` apart: shared where it is
    /// long, and either neighbours read other lines or the outputs alone do not fill a device.
    pub fn new(columns: usize, inner: usize, outputs: usize) -> Self {
        let apart = inner < NEIGHBOURS || outputs.saturating_mul(SHARED) <= INVOCATIONS;
        let lanes = match columns > ALONE && apart {
            true => SHARED,
            false => 1,
        };
        Self { lanes }
    }

    /// Turns of an invocation in a walk over so many columns.
    pub fn turns(self, columns: usize) -> u64 {
        looped(columns.div_ceil(self.lanes), 0) + self.combined()
    }

    /// The most columns that are walked within `turns`.
    pub fn most_columns(self, turns: u64) -> usize {
        let walked = turns_within(turns.saturating_sub(self.combined()), 0);
        walked.saturating_mul(self.lanes)
    }

    /// The columns in runs that are walked within `turns` each: first and end.
    pub fn windows(self, columns: usize, turns: u64) -> impl Iterator<Item = [usize; 2]> {
        runs(columns, self.most_columns(turns))
    }

    fn combined(self) -> u64 {
        if self.lanes > 1 { COMBINE } else { 0 }
    }
}

/// A dispatch of a kernel over rows, each of which has one invocation or 64, `lanes` of them, and
/// of that variant whose other overrides have these values.
pub(crate) fn by_rows(
    kernel: &'static Kernel,
    overrides: &[(&str, usize)],
    rows: usize,
    lanes: usize,
) -> Dispatch {
    let chosen = variant(kernel, &[overrides, &[("lanes", lanes)]].concat());
    let workgroups = match lanes {
        1 => rows.div_ceil(64),
        _ => rows,
    };
    Dispatch::new(kernel, chosen).workgroups(workgroups)
}

/// The largest element of each row of x along `axis`, and the sum of exp(element - largest), both
/// `[outer, inner]` as [`kept`] says.
pub(crate) fn lower_row_sums(
    op: &str,
    x: Cut,
    axis: usize,
    caps: &Caps,
    out: &mut Lowering,
) -> Result<[Operand; 2]> {
    let shape = kept(x.shape, axis);
    let parts = whole(&shape);
    let [top, sum] = [(); 2].map(|()| out.scratch(Type::f32(shape.clone())));
    let cut = |operand| Cut {
        operand,
        shape: &shape,
        parts: &parts,
    };
    let largest = Fold::new(Function::Largest, 1.0);
    lower_reduction(op, largest, x, &[axis], cut(top), caps, out)?;
    let exponentials = Fold::new(Function::Exponentials(top), 1.0);
    lower_reduction(op, exponentials, x, &[axis], cut(sum), caps, out)?;
    Ok([top, sum])
}

/// A shape without one of its axes.
pub(crate) fn kept(shape: &Shape, axis: usize) -> Shape {
    let mut extents = shape.to_vec();
    extents.remove(axis);
    extents.into()
}

/// All rows in one part.
pub(crate) fn whole(shape: &Shape) -> [Part; 1] {
    let rows = shape.rows();
    [Part { start: 0, rows }]
}

/// Appends where the rows of one part of an operand lie among those of [`lower_row_sums`], and how
/// many elements the part has.
pub(crate) fn row_places(dispatch: Dispatch, x: Cut, part: usize, axis: usize) -> Dispatch {
    let [outer, columns, inner] = around(x.shape, axis);
    let rows = x.parts[part];
    let count = rows.rows * x.row();
    // Rows of axis 0 hold several of the softmax's; along axis 0 there is one part.
    let first = match axis {
        0 => 0,
        _ => rows.start * (outer / x.shape.rows().max(1)) * inner,
    };
    dispatch
        .param("count", count)
        .param("columns", columns)
        .param("inner", inner)
        .param("first", first)
        .workgroups(count.div_ceil(64))
}
