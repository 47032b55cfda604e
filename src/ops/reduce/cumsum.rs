//! Cumulative sums along one axis.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, looped, source};
use crate::shape::Type;
use crate::tensor::Array;

use crate::lowering::Cut;
use crate::ops::dim::{self, Dim};
use crate::ops::reduce::along::{rows_across, rows_in_all};
use crate::ops::{expect_f32, expect_inputs};
use crate::shape::around;

// Parameters and builder.

/// The sums of x up to each element along an axis: PyTorch's `cumsum`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CumSum {
    /// The axis.
    pub axis: usize,
    /// Whether they begin at the end of the axis.
    pub reverse: bool,
}

/// # Cumulative sums
impl Graph {
    /// `y[a] = x[0] + x[1] + ... + x[a]` along `axis`, in the shape of x f32. The gradient is the
    /// same sum from the other end.
    ///
    /// # Errors
    /// `Shape` if x is not f32 or has no such axis.
    pub fn cumsum(&mut self, x: Value, axis: impl Into<Dim>) -> Result<Value> {
        let axis = dim::axis("cumsum", &self.operand("cumsum", x)?.shape, axis)?;
        let reverse = false;
        self.apply1(CumSum { axis, reverse }, &[x])
    }
}

// Shape rule.

impl Op for CumSum {
    fn name(&self) -> &'static str {
        "cumsum"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), "x", inputs[0])?;
        if self.axis >= inputs[0].shape.len() {
            return Err(Error::shape(format!(
                "cumsum: x {} has no axis {}",
                inputs[0].shape, self.axis
            )));
        }
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let [outer, extent, inner] = around(x.shape(), self.axis);
        let mut y = vec![0.0; x.floats().len()];
        for line in 0..outer * inner {
            let mut sum = 0.0;
            for step in 0..extent {
                let a = if self.reverse {
                    extent - 1 - step
                } else {
                    step
                };
                let at = (line / inner * extent + a) * inner + line % inner;
                sum += x.floats()[at];
                y[at] = sum;
            }
        }
        vec![Array::float(x.shape().clone(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, _: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let back = CumSum {
            reverse: !self.reverse,
            ..*self
        };
        Ok(vec![Some(g.apply1(back, &[dy[0]])?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (Cut::input(io, 0), Cut::output(io, 0));
        let [outer, extent, inner] = around(x.shape, self.axis);
        for rows in rows_across(self.axis, self.name(), io, &[x, y])? {
            let place = |cut: Cut, i: usize| Place {
                operand: cut.operand,
                part: rows.part[i],
                base: rows.first[i] * cut.row(),
                reverse: self.reverse,
            };
            let outer = outer / rows_in_all(self.axis, x.shape) * rows.count;
            let line = Line {
                outer,
                inner,
                held: extent,
                step: 1,
            };
            scan(line, place(x, 0), place(y, 1), out);
        }
        Ok(())
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axis == 0
    }
}

/// An operand `[outer, extent, inner]`, from an element of a part on.
#[derive(Debug, Clone, Copy)]
struct Place {
    operand: Operand,
    part: usize,
    base: usize,
    reverse: bool,
}

/// Lines of elements to be scanned: those of the `held` along the axis that end a run of `step`.
#[derive(Debug, Clone, Copy)]
struct Line {
    outer: usize,
    inner: usize,
    held: usize,
    step: usize,
}

/// Emits y = the cumulative sums of x: those within blocks, then those of the blocks' totals, which
/// are the last of each block, then both together.
fn scan(line: Line, x: Place, y: Place, out: &mut Lowering) {
    let Line {
        outer, inner, held, ..
    } = line;
    let extent = held.div_ceil(line.step);
    let shared = extent > ALONE && inner < NEIGHBOURS;
    let (variant, block) = match shared {
        true => (SCAN_VARIANTS[1], 4 * WORKGROUP),
        false => (SCAN_VARIANTS[0], ALONE),
    };
    let blocks = extent.div_ceil(block);
    let runs = outer * blocks * inner;
    let dispatch = Dispatch::new(&SCAN, variant)
        .read(x.operand)
        .part(x.part)
        .write(y.operand)
        .part(y.part)
        .param("runs", runs)
        .param("blocks", blocks)
        .param("extent", extent)
        .param("inner", inner)
        .param("held", held)
        .param("step", line.step)
        .param("x_base", x.base)
        .param("y_base", y.base)
        .param("x_reverse", x.reverse.into())
        .param("y_reverse", y.reverse.into());
    out.push(match shared {
        true => dispatch.turns(SHARED_TURNS).workgroups(runs),
        false => dispatch
            .turns(looped(ALONE, 0))
            .workgroups(runs.div_ceil(WORKGROUP)),
    });
    if blocks < 2 || runs == 0 {
        return;
    }
    let before = out.scratch(Type::f32([outer, blocks, inner]));
    let totals = Place {
        operand: before,
        part: 0,
        base: 0,
        reverse: false,
    };
    let ends = Line {
        held: extent,
        step: block,
        ..line
    };
    scan(ends, y, totals, out);
    let count = outer * extent * inner;
    out.push(
        Dispatch::new(&SCAN_ADD, SCAN_ADD_VARIANTS[0])
            .read(before)
            .write(y.operand)
            .part(y.part)
            .param("count", count)
            .param("blocks", blocks)
            .param("extent", extent)
            .param("inner", inner)
            .param("block", block)
            .param("y_base", y.base)
            .param("y_reverse", y.reverse.into())
            .workgroups(count.div_ceil(WORKGROUP)),
    );
}

const WORKGROUP: usize = 64;
/// Elements of a block that one invocation sums alone.
const ALONE: usize = 64;
/// From this many neighbouring lines on, invocations on their own read neighbouring addresses.
const NEIGHBOURS: usize = 16;
/// Turns of an invocation that shares a block: to load four elements, to add up the sums of 64
/// invocations, to store.
const SHARED_TURNS: u64 = 5 + 7 + 5;

const SCAN_VARIANTS: &[Overrides] = &[
    &[("lanes", 1), ("workgroup_size", 64)],
    &[("lanes", 64), ("workgroup_size", 64)],
];
const SCAN_ADD_VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static SCAN: Kernel = Kernel::new("scan", &[source!("reduce/scan")], SCAN_VARIANTS);
static SCAN_ADD: Kernel = Kernel::new("scan_add", &[source!("reduce/scan_add")], SCAN_ADD_VARIANTS);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&SCAN, &SCAN_ADD];
