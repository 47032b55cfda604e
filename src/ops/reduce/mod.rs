//! Sum, mean, largest and smallest over axes, and what the gradients of reductions share.

pub(in crate::ops) mod along;
pub(in crate::ops) mod cumsum;
pub(in crate::ops) mod moments;
pub(in crate::ops) mod prod;
pub(in crate::ops) mod topk;

use crate::error::{Error, Result};
use crate::graph::{EvalSplit, Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, source};
use crate::shape::{Shape, Type};
use crate::tensor::Array;

use crate::lowering::reduction::{Fold, Function, lower_reduction, lower_spread};
use crate::lowering::{Cut, quads};
use crate::ops::dim::{self, Dim};
use crate::ops::{expect_f32, expect_inputs, expect_type, no_second_derivative};

// Parameters and builder.

/// Sums over axes, or the mean over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// Axes that are summed, ascending.
    pub axes: Vec<usize>,
    /// Whether they stay with extent 1.
    pub keep: bool,
    /// Whether the sum is divided by the number of its terms, at least 1.
    pub mean: bool,
}

/// The largest or smallest element over axes: PyTorch's `amax` and `amin`. NaN wins over all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extreme {
    /// Axes that are reduced, ascending.
    pub axes: Vec<usize>,
    /// Whether they stay with extent 1.
    pub keep: bool,
    /// Whether the largest is wanted.
    pub largest: bool,
}

/// How many elements of x over axes equal y, which lies as a reduction of x; NaN equals NaN here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ties {
    /// Axes that are reduced, ascending.
    pub axes: Vec<usize>,
    /// Whether they stay with extent 1.
    pub keep: bool,
}

/// scale * a / b of equal shapes, but 0 where b is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// Factor on the quotient.
    pub scale: f64,
}

/// dx from x, its reduction y over axes, and a share of the gradient for each element of y.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spread {
    /// Axes that were reduced, ascending.
    pub axes: Vec<usize>,
    /// Whether they stayed with extent 1.
    pub keep: bool,
    /// (x - y) * share; otherwise the share where x equals y, NaN counting as equal to NaN, and 0
    /// elsewhere.
    pub differences: bool,
}

/// # Sums, means, extremes
impl Graph {
    /// The largest element over `axes`; with `keep` they stay with extent 1. No axes
    /// ([`Dim::NONE`]) reduce nothing; in PyTorch they mean all. Equal elements share the gradient
    /// evenly, as in PyTorch; unlike there, so do NaNs.
    pub fn amax(&mut self, x: Value, axes: &[impl Into<Dim> + Copy], keep: bool) -> Result<Value> {
        self.extreme(x, axes, keep, true)
    }

    /// The smallest element over `axes`, as [`Graph::amax`].
    pub fn amin(&mut self, x: Value, axes: &[impl Into<Dim> + Copy], keep: bool) -> Result<Value> {
        self.extreme(x, axes, keep, false)
    }

    fn extreme(
        &mut self,
        x: Value,
        axes: &[impl Into<Dim> + Copy],
        keep: bool,
        largest: bool,
    ) -> Result<Value> {
        let name = if largest { "amax" } else { "amin" };
        let axes = dim::sorted(name, &self.operand(name, x)?.shape, axes)?;
        let op = Extreme {
            axes,
            keep,
            largest,
        };
        self.apply1(op, &[x])
    }

    /// The sum over `axes`; with `keep` they stay with extent 1. No axes ([`Dim::NONE`]) reduce
    /// nothing; in PyTorch they mean all.
    pub fn sum(&mut self, x: Value, axes: &[impl Into<Dim> + Copy], keep: bool) -> Result<Value> {
        let axes = dim::sorted("sum", &self.operand("sum", x)?.shape, axes)?;
        let mean = false;
        self.apply1(Sum { axes, keep, mean }, &[x])
    }

    /// The mean over `axes`; with `keep` they stay with extent 1. No axes ([`Dim::NONE`]) reduce
    /// nothing; in PyTorch they mean all. The mean of no elements is 0; in PyTorch it is NaN.
    pub fn mean(&mut self, x: Value, axes: &[impl Into<Dim> + Copy], keep: bool) -> Result<Value> {
        let axes = dim::sorted("mean", &self.operand("mean", x)?.shape, axes)?;
        let mean = true;
        self.apply1(Sum { axes, keep, mean }, &[x])
    }
}

// Shape rule.

/// Type of a reduction of x.
pub(in crate::ops) fn reduced(op: &str, x: &Type, axes: &[usize], keep: bool) -> Result<Type> {
    expect_f32(op, "x", x)?;
    let rank = x.shape.len();
    let distinct = axes.windows(2).all(|pair| pair[0] < pair[1]);
    if !distinct || axes.iter().any(|&axis| axis >= rank) {
        return Err(Error::shape(format!(
            "{op}: axes {axes:?} do not name distinct axes of {} in order",
            x.shape
        )));
    }
    let shape = (0..rank).filter_map(|axis| match (axes.contains(&axis), keep) {
        (false, _) => Some(x.shape[axis]),
        (true, true) => Some(1),
        (true, false) => None,
    });
    Ok(Type::f32(shape.collect::<Vec<_>>()))
}

/// The shape rule of an op that reduces its one input.
pub(in crate::ops) fn infer_reduced(
    op: &str,
    inputs: &[&Type],
    axes: &[usize],
    keep: bool,
) -> Result<Vec<Type>> {
    expect_inputs(op, inputs, 1)?;
    Ok(vec![reduced(op, inputs[0], axes, keep)?])
}

/// For each element of a value of `shape`, the output that it enters when `axes` are reduced.
pub(in crate::ops) fn outputs<'a>(
    shape: &'a Shape,
    axes: &'a [usize],
) -> impl Iterator<Item = usize> + 'a {
    let strides = shape.strides();
    let kept: Vec<usize> = (0..shape.len()).filter(|a| !axes.contains(a)).collect();
    (0..shape.count()).map(move |i| {
        kept.iter().fold(0, |at, &axis| {
            at * shape[axis] + i / strides[axis] % shape[axis]
        })
    })
}

/// The sum over `axes` of a term of each element of x, given the output that it enters and its
/// value.
pub(in crate::ops) fn summed(
    x: &Array,
    axes: &[usize],
    shape: &Shape,
    term: impl Fn(usize, f64) -> f64,
) -> Vec<f64> {
    let mut y = vec![0.0; shape.count()];
    for (at, &value) in outputs(x.shape(), axes).zip(x.floats()) {
        y[at] += term(at, value);
    }
    y
}

/// `shape` with an extent of 1 in place of each of `axes`.
pub(in crate::ops) fn with_kept(shape: &Shape, axes: &[usize]) -> Shape {
    let extents = shape.iter().enumerate();
    let kept = extents.map(|(axis, &extent)| if axes.contains(&axis) { 1 } else { extent });
    kept.collect::<Vec<_>>().into()
}

impl Sum {
    /// What a sum over the axes of a value of this shape is divided by.
    fn divisor(&self, shape: &Shape) -> f64 {
        let count: usize = self.axes.iter().map(|&axis| shape[axis]).product();
        match self.mean {
            true => count.max(1) as f64,
            false => 1.0,
        }
    }
}

impl Op for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        infer_reduced(self.name(), inputs, &self.axes, self.keep)
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let shape = &self.infer(&[x.ty()]).expect("infer accepted the input")[0].shape;
        let sums = summed(x, &self.axes, shape, |_, value| value).into_iter();
        let divisor = self.divisor(x.shape());
        let y = sums.map(|sum| sum / divisor);
        vec![Array::float(shape.clone(), y.collect())]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let shape = g.shape(at.inputs[0])?.clone();
        let kept = with_kept(&shape, &self.axes);
        let dy = match self.divisor(&shape) {
            1.0 => dy[0],
            divisor => g.scale(dy[0], 1.0 / divisor)?,
        };
        let dy = g.reshape(dy, kept)?;
        Ok(vec![Some(g.expand(dy, shape)?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (Cut::input(io, 0), Cut::output(io, 0));
        let sum = Fold::sum((1.0 / self.divisor(x.shape)) as f32);
        lower_reduction(self.name(), sum, x, &self.axes, y, caps, out)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axes.contains(&0)
    }
}

impl Op for Extreme {
    fn name(&self) -> &'static str {
        match self.largest {
            true => "amax",
            false => "amin",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let (x, y) = (
            inputs[0],
            reduced(self.name(), inputs[0], &self.axes, self.keep)?,
        );
        if self.axes.iter().any(|&axis| x.shape[axis] == 0) {
            return Err(Error::shape(format!(
                "{}: no elements along axes {:?} of {}",
                self.name(),
                self.axes,
                x.shape
            )));
        }
        Ok(vec![y])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let shape = &self.infer(&[x.ty()]).expect("infer accepted the input")[0].shape;
        let mut y: Vec<Option<f64>> = vec![None; shape.count()];
        for (at, &value) in outputs(x.shape(), &self.axes).zip(x.floats()) {
            let wins = |best: f64| match self.largest {
                true => value > best,
                false => value < best,
            };
            if y[at].is_none_or(|best| value.is_nan() || wins(best)) {
                y[at] = Some(value);
            }
        }
        let y = y.into_iter().map(|y| y.expect("infer wants an element"));
        vec![Array::float(shape.clone(), y.collect())]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let (x, y) = (at.inputs[0], at.outputs[0]);
        let (axes, keep) = (self.axes.clone(), self.keep);
        let ties = g.apply1(Ties { axes, keep }, &[x, y])?;
        let share = g.apply1(Ratio { scale: 1.0 }, &[dy[0], ties])?;
        let spread = Spread {
            axes: self.axes.clone(),
            keep,
            differences: false,
        };
        Ok(vec![Some(g.apply1(spread, &[x, y, share])?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (Cut::input(io, 0), Cut::output(io, 0));
        let sign = if self.largest { 1.0 } else { -1.0 };
        let largest = Fold::new(Function::Largest, sign);
        lower_reduction(self.name(), largest, x, &self.axes, y, caps, out)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axes.contains(&0)
    }
}

/// Whether two elements are equal or both NaN.
fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

impl Op for Ties {
    fn name(&self) -> &'static str {
        "ties"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        let y = reduced(self.name(), inputs[0], &self.axes, self.keep)?;
        expect_type(self.name(), "y", inputs[1], &y)?;
        Ok(vec![y])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (x, y) = (inputs[0], inputs[1]);
        let tie = |at: usize, value| f64::from(u8::from(same(value, y.floats()[at])));
        let ties = summed(x, &self.axes, y.shape(), tie);
        vec![Array::float(y.shape().clone(), ties)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None, None])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (Cut::input(io, 0), Cut::output(io, 0));
        let ties = Fold::new(Function::Ties(Operand::Input(1)), 1.0);
        lower_reduction(self.name(), ties, x, &self.axes, y, caps, out)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axes.contains(&0)
    }
}

impl Op for Ratio {
    fn name(&self) -> &'static str {
        "ratio"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), "a", inputs[0])?;
        expect_type(self.name(), "b", inputs[1], inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let pairs = inputs[0].floats().iter().zip(inputs[1].floats());
        let quotients = pairs.map(|(a, &b)| match b == 0.0 {
            true => 0.0,
            false => self.scale * a / b,
        });
        let shape = inputs[0].shape().clone();
        vec![Array::float(shape, quotients.collect())]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_second_derivative(self.name()))
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0, 1])
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let operands = [Operand::Input(0), Operand::Input(1), Operand::Output(0)];
        for (part, rows) in io.output_parts[0].iter().enumerate() {
            let quads = quads(&io.outputs[0], rows.rows);
            lower_ratio(self.scale as f32, operands, part, quads, out);
        }
        Ok(())
    }
}

/// Emits y = scale * a / b, 0 where b is 0, over one part of three operands.
pub(in crate::ops) fn lower_ratio(
    scale: f32,
    [a, b, y]: [Operand; 3],
    part: usize,
    quads: usize,
    out: &mut Lowering,
) {
    out.push(
        Dispatch::new(&RATIO, RATIO_VARIANTS[0])
            .read(a)
            .part(part)
            .read(b)
            .part(part)
            .write(y)
            .part(part)
            .param("quads", quads)
            .param_f32("scale", scale)
            .workgroups(quads.div_ceil(64)),
    );
}

impl Op for Spread {
    fn name(&self) -> &'static str {
        match self.differences {
            true => "var_grad",
            false => "amax_grad",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 3)?;
        let y = reduced(self.name(), inputs[0], &self.axes, self.keep)?;
        expect_type(self.name(), "y", inputs[1], &y)?;
        expect_type(self.name(), "share", inputs[2], &y)?;
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let [x, y, share] = [0, 1, 2].map(|i| inputs[i].floats());
        let at = outputs(inputs[0].shape(), &self.axes).zip(x);
        let dx = at.map(|(at, &x)| match self.differences {
            true => (x - y[at]) * share[at],
            false if same(x, y[at]) => share[at],
            false => 0.0,
        });
        vec![Array::float(inputs[0].shape().clone(), dx.collect())]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_second_derivative(self.name()))
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let values = [Cut::input(io, 0), Cut::input(io, 1)];
        let shares = [Operand::Input(2), Operand::Output(0)];
        lower_spread(
            self.name(),
            self.differences,
            values,
            &self.axes,
            shares,
            out,
        )
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axes.contains(&0)
    }
}

const RATIO_VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static RATIO: Kernel = Kernel::new("ratio", &[source!("reduce/ratio")], RATIO_VARIANTS);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&RATIO];
