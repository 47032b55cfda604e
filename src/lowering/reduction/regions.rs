//! The pieces of a reduction over operands in parts, and its axes as alternating runs of kept and
//! reduced ones.

use crate::kernel::{Operand, overlaps};
use crate::lowering::Cut;

/// Elements of one part of x that enter the outputs of one part of y.
pub(super) struct Region {
    pub x: BasePlace,
    pub runs: Vec<AxisRun>,
    pub y: BasePlace,
    /// Whether elements before these entered the same outputs.
    pub accumulate: bool,
    /// Whether none after these do.
    pub last: bool,
}

/// The pieces in which x is reduced over `axes` to y, in order.
pub(super) fn regions(x: Cut, axes: &[usize], y: Cut) -> Vec<Region> {
    let runs_of = |rows: usize| {
        let mut shape = x.shape.to_vec();
        if let Some(first) = shape.first_mut() {
            *first = rows;
        }
        runs(&shape, axes)
    };
    let place = |cut: &Cut, part, base| BasePlace {
        operand: cut.operand,
        part,
        base,
    };
    if !x.shape.is_empty() && !axes.contains(&0) {
        let overlaps = overlaps(&[x.parts, y.parts]).into_iter();
        let regions = overlaps.map(|rows| Region {
            x: place(&x, rows.part[0], rows.first[0] * x.row()),
            runs: runs_of(rows.count),
            y: place(&y, rows.part[1], rows.first[1] * y.row()),
            accumulate: false,
            last: true,
        });
        return regions.collect();
    }
    let mut regions = Vec::new();
    for (part_y, rows_y) in y.parts.iter().enumerate() {
        for (part, rows) in x.parts.iter().enumerate() {
            let mut runs = runs_of(rows.rows);
            let mut base = 0;
            if y.parts.len() > 1
                && let Some(kept) = runs.iter_mut().find(|run| !run.reduced)
            {
                // The rows of y are the outermost kept axis, or runs of it where axes were merged.
                let per_row = kept.extent / y.shape.rows();
                base = rows_y.start * per_row * kept.stride;
                kept.extent = rows_y.rows * per_row;
            }
            regions.push(Region {
                x: place(&x, part, base),
                runs,
                y: place(&y, part_y, 0),
                accumulate: part > 0,
                last: part + 1 == x.parts.len(),
            });
        }
    }
    regions
}

/// Neighbouring axes that are all reduced or all kept, as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AxisRun {
    pub extent: usize,
    pub stride: usize,
    pub reduced: bool,
}

/// The axes of `shape` as alternating runs, outermost first; extents of 1 are dropped.
fn runs(shape: &[usize], axes: &[usize]) -> Vec<AxisRun> {
    let kinds = (0..shape.len()).map(|axis| (shape[axis], axes.contains(&axis)));
    merged(kinds)
}

/// Contiguous axes, each an extent and whether it is reduced, as alternating runs.
pub(super) fn merged(axes: impl Iterator<Item = (usize, bool)>) -> Vec<AxisRun> {
    let mut runs: Vec<AxisRun> = Vec::new();
    for (extent, reduced) in axes.filter(|&(extent, _)| extent != 1) {
        match runs.last_mut() {
            Some(run) if run.reduced == reduced => run.extent *= extent,
            _ => runs.push(AxisRun {
                extent,
                stride: 1,
                reduced,
            }),
        }
    }
    let mut stride = 1;
    for run in runs.iter_mut().rev() {
        run.stride = stride;
        stride *= run.extent;
    }
    runs
}

/// Where an operand is read or written: a part of it, from this element on.
#[derive(Debug, Clone, Copy)]
pub(super) struct BasePlace {
    pub operand: Operand,
    pub part: usize,
    pub base: usize,
}

impl BasePlace {
    pub fn scratch(operand: Operand) -> Self {
        Self {
            operand,
            part: 0,
            base: 0,
        }
    }
}
