//! Sum and mean over axes.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides};
use crate::shape::{Shape, Type};
use crate::tensor::Array;

use super::{expect_f32, expect_inputs};

// Parameters and builder.

/// Sums over axes and multiplies by a constant (1 for a sum, 1 / count for a mean).
#[derive(Debug, Clone, PartialEq)]
pub struct Sum {
    /// Axes that are summed, ascending.
    pub axes: Vec<usize>,
    /// Whether they stay with extent 1.
    pub keep: bool,
    /// Factor on the sum.
    pub scale: f32,
}

impl Graph {
    /// The sum over `axes`; with `keep` they stay with extent 1.
    pub fn sum(&mut self, x: Value, axes: &[usize], keep: bool) -> Result<Value> {
        let axes = sorted(axes);
        self.add1(
            Sum {
                axes,
                keep,
                scale: 1.0,
            },
            &[x],
        )
    }

    /// The mean over `axes`; with `keep` they stay with extent 1.
    pub fn mean(&mut self, x: Value, axes: &[usize], keep: bool) -> Result<Value> {
        let axes = sorted(axes);
        let shape = self.shape(x)?;
        let count: usize = axes.iter().filter_map(|&a| shape.get(a)).product();
        let scale = 1.0 / count.max(1) as f32;
        self.add1(Sum { axes, keep, scale }, &[x])
    }
}

fn sorted(axes: &[usize]) -> Vec<usize> {
    let mut axes = axes.to_vec();
    axes.sort_unstable();
    axes
}

impl Op for Sum {
    // Shape rule.

    fn name(&self) -> &'static str {
        "sum"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("sum", inputs, 1)?;
        let x = inputs[0];
        expect_f32("sum", "x", x)?;
        let rank = x.shape.len();
        if self.axes.windows(2).any(|w| w[0] == w[1]) || self.axes.iter().any(|&a| a >= rank) {
            return Err(Error::shape(format!(
                "sum: axes {:?} do not name distinct axes of {}",
                self.axes, x.shape
            )));
        }
        let shape: Vec<usize> = (0..rank)
            .filter_map(|axis| match (self.axes.contains(&axis), self.keep) {
                (false, _) => Some(x.shape[axis]),
                (true, true) => Some(1),
                (true, false) => None,
            })
            .collect();
        Ok(vec![Type::f32(shape)])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let shape = &self.infer(&[x.ty()]).expect("infer accepted the input")[0].shape;
        let kept: Vec<usize> = (0..x.shape().len())
            .filter(|axis| !self.axes.contains(axis))
            .collect();
        let strides = x.shape().strides();
        let mut y = vec![0.0; shape.count()];
        for (i, value) in x.floats().iter().enumerate() {
            let at = kept.iter().fold(0, |at, &axis| {
                at * x.shape()[axis] + i / strides[axis] % x.shape()[axis]
            });
            y[at] += value;
        }
        for value in &mut y {
            *value *= f64::from(self.scale);
        }
        vec![Array::float(shape.clone(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let shape = g.shape(at.inputs[0])?.clone();
        let mut kept = shape.to_vec();
        for &axis in &self.axes {
            kept[axis] = 1;
        }
        let dy = match self.scale {
            1.0 => dy[0],
            scale => g.scale(dy[0], scale)?,
        };
        let dy = g.reshape(dy, kept)?;
        Ok(vec![Some(g.expand(dy, shape)?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        io.whole("sum")?;
        let (x, y) = (Operand::Input(0), Operand::Output(0));
        lower_sum(x, &io.inputs[0].shape, &self.axes, self.scale, y, out)
    }
}

/// Emits y = scale * (x summed over `axes` of `shape`), in stages if the sums are long and few.
pub(super) fn lower_sum(
    x: Operand,
    shape: &Shape,
    axes: &[usize],
    scale: f32,
    y: Operand,
    out: &mut Lowering,
) -> Result<()> {
    let runs = collapse(shape, axes);
    if runs.len() > 6 {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "sum: summed and kept axes of {shape} over {axes:?} alternate {} times, 6 are supported",
                runs.len()
            ),
        ));
    }
    lower_runs(x, &runs, scale, y, out);
    Ok(())
}

/// Neighbouring axes that are all summed or all kept, as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    extent: usize,
    summed: bool,
}

/// The axes of `shape` as alternating runs, outermost first; extents of 1 are dropped.
fn collapse(shape: &Shape, axes: &[usize]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for axis in (0..shape.len()).filter(|&axis| shape[axis] != 1) {
        let (extent, summed) = (shape[axis], axes.contains(&axis));
        match runs.last_mut() {
            Some(run) if run.summed == summed => run.extent *= extent,
            _ => runs.push(Run { extent, summed }),
        }
    }
    runs
}

/// Longest sum, in loads, that one invocation makes when the outputs are few.
const SERIAL: usize = 128;
/// Invocations that are enough to fill a device.
const INVOCATIONS: usize = 16_384;

/// Indices that lie side by side and are read by neighbouring invocations, if the sum is cut along another axis too.
const ADJACENT: usize = 16;

/// Into how many strided chunks the outermost and the innermost summed run are cut: a pure function of the shapes.
fn chunks(outputs: usize, length: usize, outer: usize, inner: usize) -> (usize, usize) {
    let wanted = (length.isqrt().max(length / 64)).min(INVOCATIONS / outputs.max(1));
    if length <= SERIAL || wanted < 2 {
        return (1, 1);
    }
    // The fewest chunks of `extent` indices that leave the longest one as short as `count` chunks do.
    let even = |extent: usize, count: usize| extent.div_ceil(extent.div_ceil(count.min(extent)));
    let outer_chunks = even(outer, (wanted / ADJACENT.min(inner)).max(1));
    let inner_chunks = even(inner, wanted.div_ceil(outer_chunks));
    // Some empty chunks, so that the next stage can load quads.
    if inner_chunks >= outer_chunks {
        (outer_chunks, inner_chunks.next_multiple_of(4))
    } else {
        (outer_chunks.next_multiple_of(4), inner_chunks)
    }
}

fn lower_runs(x: Operand, runs: &[Run], scale: f32, y: Operand, out: &mut Lowering) {
    let last = runs.last().copied().unwrap_or(Run {
        extent: 1,
        summed: false,
    });
    // Loads and strides are counted in quads where the innermost run consists of them.
    let width = if last.extent.is_multiple_of(4) { 4 } else { 1 };
    let mut kept = Vec::new();
    let mut summed = Vec::new();
    let mut stride = 1;
    for (i, run) in runs.iter().enumerate().rev() {
        let extent = run.extent / if i + 1 == runs.len() { width } else { 1 };
        if run.summed { &mut summed } else { &mut kept }.push([extent, stride]);
        stride *= extent;
    }
    let outputs: usize = kept.iter().map(|run| run[0]).product();
    let length: usize = summed.iter().map(|run| run[0]).product();
    // Innermost first; with two summed runs, the outer one takes the place that can be cut.
    kept.resize(3, [1, 0]);
    if summed.len() == 2 {
        summed.insert(1, [1, 0]);
    }
    summed.resize(3, [1, 0]);
    let (outer_chunks, inner_chunks) = chunks(outputs, length, summed[2][0], summed[0][0]);
    let chunks = outer_chunks * inner_chunks;

    let (kernel, chunks_first) = match (width, last.summed) {
        (4, true) => (&SUM_ROW_QUADS, false),
        (4, false) => (&SUM_COLUMN_QUADS, true),
        (_, summed) => (&SUM, !summed),
    };
    let variant = kernel.variants[if width == 1 && chunks_first { 1 } else { 0 }];
    let elements = outputs * if last.summed { 1 } else { width };
    let stage = match chunks {
        1 => y,
        _ => out.scratch(Type::f32([chunks, elements])),
    };
    let mut dispatch = Dispatch::new(kernel, variant)
        .read(x)
        .write(stage)
        .param("count", outputs * chunks)
        .param("outputs", outputs)
        .param("outer_chunks", outer_chunks)
        .param("inner_chunks", inner_chunks);
    for (names, runs) in [(KEPT, &kept), (SUMMED, &summed)] {
        for (i, [extent, stride]) in names.into_iter().enumerate() {
            let run = runs[2 - i];
            dispatch = dispatch.param(extent, run[0]).param(stride, run[1]);
        }
    }
    let dispatch = dispatch
        .param_f32("scale", if chunks == 1 { scale } else { 1.0 })
        .workgroups((outputs * chunks).div_ceil(WORKGROUP));
    out.push(dispatch);
    if chunks > 1 {
        let parts = Run {
            extent: chunks,
            summed: true,
        };
        let rest = Run {
            extent: elements,
            summed: false,
        };
        let runs = match (elements, chunks_first) {
            (1, _) => vec![parts],
            (_, true) => vec![parts, rest],
            (_, false) => vec![rest, parts],
        };
        lower_runs(stage, &runs, scale, y, out);
    }
}

const WORKGROUP: usize = 64;
const KEPT: [[&str; 2]; 3] = [
    ["kept0", "kept_stride0"],
    ["kept1", "kept_stride1"],
    ["kept2", "kept_stride2"],
];
const SUMMED: [[&str; 2]; 3] = [
    ["summed0", "summed_stride0"],
    ["summed1", "summed_stride1"],
    ["summed2", "summed_stride2"],
];

const VARIANTS: &[Overrides] = &[
    &[("chunks_first", 0), ("workgroup_size", 64)],
    &[("chunks_first", 1), ("workgroup_size", 64)],
];

static SUM: Kernel = Kernel::new(
    "sum",
    shader_files!["sum", "sum_elements", "lib/grid"],
    VARIANTS,
);
static SUM_ROW_QUADS: Kernel = Kernel::new(
    "sum_row_quads",
    shader_files!["sum", "sum_row_quads", "lib/grid"],
    VARIANTS.split_at(1).0,
);
static SUM_COLUMN_QUADS: Kernel = Kernel::new(
    "sum_column_quads",
    shader_files!["sum", "sum_column_quads", "lib/grid"],
    VARIANTS.split_at(1).1,
);

pub(super) const KERNELS: &[&Kernel] = &[&SUM, &SUM_ROW_QUADS, &SUM_COLUMN_QUADS];
