//! Boxes of elements moved from one place to another: how permute, expand, concat, split, slice and
//! constant padding run.

use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Dispatch, Kernel, Lowering, Operand, Overrides, Part, source};

use super::Cut;

/// One axis of a box: its extent, and the steps that it takes in x and in y, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Axis {
    pub extent: usize,
    pub x: isize,
    pub y: isize,
}

/// Where a box lies in a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side<'a> {
    pub cut: Cut<'a>,
    /// Its first element.
    pub base: usize,
    /// The axis of the box that runs along axis 0 of the value, if one does.
    pub rows: Option<usize>,
}

/// Emits the move of a box of words from x to y, part by part; `axes` are outermost first, in the
/// order in which y is written.
pub(crate) fn lower_strided(
    op: &str,
    x: Side,
    y: Side,
    axes: &[Axis],
    out: &mut Lowering,
) -> Result<()> {
    if axes.iter().any(|axis| axis.extent == 0) {
        return Ok(());
    }
    for (part_y, rows_y) in y.cut.parts.iter().enumerate() {
        for (part_x, rows_x) in x.cut.parts.iter().enumerate() {
            let steps_x = axes.iter().map(|axis| axis.x);
            let steps_y = axes.iter().map(|axis| axis.y);
            let mut region: Vec<_> = axes.iter().map(|axis| 0..axis.extent).collect();
            let bounds = [
                (&x, rows_x, steps_x.collect::<Vec<_>>()),
                (&y, rows_y, steps_y.collect()),
            ];
            for (side, part, steps) in &bounds {
                let row = side.cut.row();
                let first = (side.base / row) as isize;
                match side.rows {
                    Some(axis) => {
                        let step = steps[axis] / row as isize;
                        let found = within(part, first, step);
                        let own = &mut region[axis];
                        *own = own.start.max(found.start)..own.end.min(found.end);
                    }
                    None if (part.start..part.start + part.rows).contains(&(first as usize)) => {}
                    None => region.push(0..0),
                }
            }
            if region.iter().any(|range| range.is_empty()) {
                continue;
            }
            let bases = bounds.map(|(side, part, steps)| {
                let walked = region.iter().zip(steps);
                let walked: isize = walked.map(|(r, step)| r.start as isize * step).sum();
                (side.base as isize + walked) as usize - part.start * side.cut.row()
            });
            let moved = region.iter().zip(axes).map(|(range, axis)| Axis {
                extent: range.len(),
                ..*axis
            });
            let axes = merge(moved);
            let places = [(x.cut.operand, part_x), (y.cut.operand, part_y)];
            lower_box(op, places, bases, &axes, out)?;
        }
    }
    Ok(())
}

/// The indices i at which row `first + step * i` lies in `part`; `step` is not 0.
fn within(part: &Part, first: isize, step: isize) -> std::ops::Range<usize> {
    let (start, end) = (part.start as isize, (part.start + part.rows) as isize);
    // Running backwards over [start, end) is running forwards over its mirror image.
    let (start, end, first, step) = match step < 0 {
        true => (1 - end, 1 - start, -first, -step),
        false => (start, end, first, step),
    };
    let index = |row: isize| (row - first + step - 1).div_euclid(step).max(0) as usize;
    index(start)..index(end)
}

/// Neighbouring axes that are one walk in x and in y, as one; extents of 1 dropped.
fn merge(axes: impl Iterator<Item = Axis>) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::new();
    for axis in axes.filter(|axis| axis.extent != 1) {
        let extent = axis.extent as isize;
        match merged.last_mut() {
            Some(outer) if outer.x == extent * axis.x && outer.y == extent * axis.y => {
                *outer = Axis {
                    extent: outer.extent * axis.extent,
                    ..axis
                };
            }
            _ => merged.push(axis),
        }
    }
    merged
}

/// Boxes of at most six axes into which the outer axes of a larger one are taken apart.
const BOXES: usize = 256;

/// Emits the move of a box between two parts, from element to element `bases`.
fn lower_box(
    op: &str,
    places: [(Operand, usize); 2],
    bases: [usize; 2],
    axes: &[Axis],
    out: &mut Lowering,
) -> Result<()> {
    let (outer, inner) = axes.split_at(axes.len().saturating_sub(AXES.len()));
    let boxes: usize = outer.iter().map(|axis| axis.extent).product();
    if boxes > BOXES {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "{op}: the elements move along {} runs of axes, {boxes} times along the innermost \
                 6; {BOXES} times are supported",
                axes.len()
            ),
        ));
    }
    for i in 0..boxes {
        let [mut x, mut y] = bases.map(|base| base as isize);
        let mut rest = i;
        for axis in outer.iter().rev() {
            let index = (rest % axis.extent) as isize;
            rest /= axis.extent;
            x += index * axis.x;
            y += index * axis.y;
        }
        out.push(move_box(places, [x as usize, y as usize], inner));
    }
    Ok(())
}

fn move_box(
    places: [(Operand, usize); 2],
    [base_x, base_y]: [usize; 2],
    axes: &[Axis],
) -> Dispatch {
    let count: usize = axes.iter().map(|axis| axis.extent).product();
    let one = Axis {
        extent: 1,
        x: 1,
        y: 1,
    };
    let last = axes.last().copied().unwrap_or(one);
    let inner = axes.iter().position(|axis| axis.x == 1);
    let quads = |steps: isize| steps % 4 == 0;
    // Whether everything but the steps of 1 is counted in quads.
    let aligned = [base_x, base_y].iter().all(|base| base % 4 == 0)
        && last.extent % 4 == 0
        && axes
            .iter()
            .all(|axis| (axis.x == 1 || quads(axis.x)) && (axis.y == 1 || quads(axis.y)));
    let ones = |steps: fn(&Axis) -> isize| axes.iter().filter(|axis| steps(axis) == 1).count();
    let single = ones(|axis| axis.x) <= 1 && ones(|axis| axis.y) <= 1;
    // The kernel, the elements that it moves at once, and the axes and steps between rows of blocks
    // as it counts them.
    let (kernel, unit, axes, rows): (_, _, Vec<[isize; 3]>, _) = match inner {
        Some(inner)
            if aligned && single && last.y == 1 && last.x == 1 && inner + 1 == axes.len() =>
        {
            let quads = axes.iter().map(|axis| match axis.x {
                1 => [axis.extent as isize / 4, 1, 1],
                _ => [axis.extent as isize, axis.x / 4, axis.y / 4],
            });
            (&QUADS, 4, quads.collect(), [0; 2])
        }
        Some(inner)
            if aligned
                && single
                && last.y == 1
                && inner + 1 < axes.len()
                && axes[inner].extent.is_multiple_of(4) =>
        {
            let blocks = axes.iter().map(|axis| match (axis.x, axis.y) {
                (1, y) => [axis.extent as isize / 4, 1, y],
                (x, 1) => [axis.extent as isize / 4, x, 1],
                (x, y) => [axis.extent as isize, x / 4, y / 4],
            });
            let rows = [last.x, axes[inner].y].map(|step| step as usize / 4);
            (&BLOCKS, 16, blocks.collect(), rows)
        }
        _ => {
            let axes = axes.iter();
            let plain = axes.map(|axis| [axis.extent as isize, axis.x, axis.y]);
            (&ELEMENTS, 1, plain.collect(), [0; 2])
        }
    };
    let [x, y] = places;
    let dispatch = Dispatch::new(kernel, VARIANTS[box_variant(axes.len())])
        .read(x.0)
        .part(x.1)
        .write(y.0)
        .part(y.1);
    let bases = [base_x, base_y].map(|base| base / unit.min(4));
    box_params(dispatch, count / unit, bases, rows, &axes)
}

/// Which of three variants (2, 4 or 6 axes) walks a box of so many.
pub(crate) fn box_variant(axes: usize) -> usize {
    axes.div_ceil(2).max(1) - 1
}

/// Appends what `movement/strided_box.wgsl` knows of a box of at most six axes, each its extent and
/// its steps in x and y, and the workgroups.
pub(crate) fn box_params(
    dispatch: Dispatch,
    count: usize,
    bases: [usize; 2],
    rows: [usize; 2],
    axes: &[[isize; 3]],
) -> Dispatch {
    let mut dispatch = dispatch
        .param("count", count)
        .param("base_x", bases[0])
        .param("base_y", bases[1])
        .param("row_x", rows[0])
        .param("row_y", rows[1]);
    for (i, names) in AXES.into_iter().enumerate() {
        let own = (i + axes.len()).checked_sub(AXES.len());
        let axis = own.map_or([1, 0, 0], |own| axes[own]);
        for (name, value) in names.into_iter().zip(axis) {
            dispatch = dispatch.param(name, value as usize);
        }
    }
    dispatch.workgroups(count.div_ceil(WORKGROUP))
}

const WORKGROUP: usize = 64;
const AXES: [[&str; 3]; 6] = [
    ["extent0", "x0", "y0"],
    ["extent1", "x1", "y1"],
    ["extent2", "x2", "y2"],
    ["extent3", "x3", "y3"],
    ["extent4", "x4", "y4"],
    ["extent5", "x5", "y5"],
];
const VARIANTS: &[Overrides] = &[
    &[("axes", 2), ("workgroup_size", 64)],
    &[("axes", 4), ("workgroup_size", 64)],
    &[("axes", 6), ("workgroup_size", 64)],
];

static ELEMENTS: Kernel = Kernel::new(
    "strided",
    &[
        source!("movement/strided"),
        source!("movement/strided_elements"),
        source!("movement/strided_box"),
    ],
    VARIANTS,
);
static QUADS: Kernel = Kernel::new(
    "strided_quads",
    &[
        source!("movement/strided"),
        source!("movement/strided_quads"),
        source!("movement/strided_box"),
    ],
    VARIANTS,
);
static BLOCKS: Kernel = Kernel::new(
    "strided_blocks",
    &[
        source!("movement/strided_blocks"),
        source!("movement/strided_quads"),
        source!("movement/strided_box"),
    ],
    VARIANTS,
);

pub(crate) const KERNELS: &[&Kernel] = &[&ELEMENTS, &QUADS, &BLOCKS];
