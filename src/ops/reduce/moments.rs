//! Variance, standard deviation and Euclidean norm over axes.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Io, Lowering, Operand};
use crate::shape::{Shape, Type};
use crate::tensor::Array;

use crate::lowering::Cut;
use crate::lowering::reduction::{Fold, Function, lower_reduction};
use crate::ops::dim::{self, Dim};
use crate::ops::reduce::{Ratio, Spread, infer_reduced, reduced, summed, with_kept};
use crate::ops::{expect_inputs, expect_type};

// Parameters and builder.

/// The variance of x over axes, or its root, from x and the mean of x over the same axes:
/// sum((x - mean)^2) / (count - correction).
///
/// The deviations from the mean add up to 0, so no gradient reaches the mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Var {
    /// Axes that are reduced, ascending.
    pub axes: Vec<usize>,
    /// Whether they stay with extent 1.
    pub keep: bool,
    /// 1 for the unbiased estimate (Bessel's correction), 0 for the mean square.
    pub correction: usize,
    /// Whether the standard deviation is wanted.
    pub root: bool,
}

/// The mean of x - y over axes, from x and a value y of the shape of the result: what y lacks of
/// the mean of x.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeanDifference {
    /// Axes that are reduced, ascending.
    pub axes: Vec<usize>,
    /// Whether they stay with extent 1.
    pub keep: bool,
}

/// The Euclidean norm over axes: sqrt(sum(x^2)). Its gradient at 0 is 0, as in PyTorch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Norm {
    /// Axes that are reduced, ascending.
    pub axes: Vec<usize>,
    /// Whether they stay with extent 1.
    pub keep: bool,
}

/// # Variance, deviation, norm
impl Graph {
    /// The variance over `axes`: sum((x - mean)^2) / (count - `correction`), which is 1 by default
    /// in PyTorch. With `keep` the axes stay with extent 1. No axes ([`Dim::NONE`]) reduce nothing;
    /// in PyTorch they mean all. Without a degree of freedom it is an error, where PyTorch gives
    /// NaN.
    pub fn var(
        &mut self,
        x: Value,
        axes: &[impl Into<Dim> + Copy],
        correction: usize,
        keep: bool,
    ) -> Result<Value> {
        self.var_or_std(x, axes, correction, keep, false)
    }

    /// The standard deviation over `axes`, the root of [`Graph::var`]. Its gradient at 0 is 0, as
    /// in PyTorch.
    pub fn std(
        &mut self,
        x: Value,
        axes: &[impl Into<Dim> + Copy],
        correction: usize,
        keep: bool,
    ) -> Result<Value> {
        self.var_or_std(x, axes, correction, keep, true)
    }

    fn var_or_std(
        &mut self,
        x: Value,
        axes: &[impl Into<Dim> + Copy],
        correction: usize,
        keep: bool,
        root: bool,
    ) -> Result<Value> {
        let name = if root { "std" } else { "var" };
        let axes = dim::sorted(name, &self.operand(name, x)?.shape, axes)?;
        let op = Var {
            axes: axes.clone(),
            keep,
            correction,
            root,
        };
        op.check(self.operand(op.name(), x)?)?;
        // A mean in f32 is off by some units in its last place, which elements that are nearly
        // equal differ by as well. Their differences from it are exact.
        let near = self.mean(x, &axes, keep)?;
        let rest = self.apply1(MeanDifference { axes, keep }, &[x, near])?;
        let mean = self.add(near, rest)?;
        self.apply1(op, &[x, mean])
    }

    /// The Euclidean norm over `axes`; with `keep` they stay with extent 1. No axes ([`Dim::NONE`])
    /// reduce nothing; in PyTorch they mean all.
    pub fn norm(&mut self, x: Value, axes: &[impl Into<Dim> + Copy], keep: bool) -> Result<Value> {
        let axes = dim::sorted("norm", &self.operand("norm", x)?.shape, axes)?;
        self.apply1(Norm { axes, keep }, &[x])
    }
}

// Shape rule.

impl Var {
    /// Type of the result.
    fn check(&self, x: &Type) -> Result<Type> {
        let y = reduced(self.name(), x, &self.axes, self.keep)?;
        if self.count(x) <= self.correction {
            return Err(Error::shape(format!(
                "{}: {} elements along axes {:?} of {} with correction {} leave no degree of \
                 freedom",
                self.name(),
                self.count(x),
                self.axes,
                x.shape,
                self.correction
            )));
        }
        Ok(y)
    }

    /// Elements in one variance.
    fn count(&self, x: &Type) -> usize {
        self.axes.iter().map(|&axis| x.shape[axis]).product()
    }

    /// Degrees of freedom: count - correction.
    fn freedom(&self, x: &Type) -> f64 {
        (self.count(x) - self.correction) as f64
    }
}

impl Op for Var {
    fn name(&self) -> &'static str {
        match self.root {
            true => "std",
            false => "var",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        let y = self.check(inputs[0])?;
        expect_type(self.name(), "mean", inputs[1], &y)?;
        Ok(vec![y])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (x, mean) = (inputs[0], inputs[1]);
        let square = |at: usize, value: f64| (value - mean.floats()[at]).powi(2);
        let sums = summed(x, &self.axes, mean.shape(), square).into_iter();
        let var = sums.map(|sum| sum / self.freedom(x.ty()));
        let y = match self.root {
            true => var.map(f64::sqrt).collect(),
            false => var.collect(),
        };
        vec![Array::float(mean.shape().clone(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let (x, mean) = (at.inputs[0], at.inputs[1]);
        let scale = 1.0 / self.freedom(g.ty(x)?);
        let share = match self.root {
            true => g.apply1(Ratio { scale }, &[dy[0], at.outputs[0]])?,
            false => g.scale(dy[0], 2.0 * scale)?,
        };
        let spread = Spread {
            axes: self.axes.clone(),
            keep: self.keep,
            differences: true,
        };
        Ok(vec![Some(g.apply1(spread, &[x, mean, share])?), None])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (Cut::input(io, 0), Cut::output(io, 0));
        let squares = Fold {
            function: Function::Deviations(Operand::Input(1)),
            scale: (1.0 / self.freedom(&io.inputs[0])) as f32,
            root: self.root,
        };
        lower_reduction(self.name(), squares, x, &self.axes, y, caps, out)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axes.contains(&0)
    }
}

impl MeanDifference {
    /// Elements in one mean, at least 1.
    fn count(&self, x: &Shape) -> f64 {
        let count: usize = self.axes.iter().map(|&axis| x[axis]).product();
        count.max(1) as f64
    }
}

impl Op for MeanDifference {
    fn name(&self) -> &'static str {
        "mean_difference"
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
        let difference = |at: usize, value: f64| value - y.floats()[at];
        let sums = summed(x, &self.axes, y.shape(), difference).into_iter();
        let means = sums.map(|sum| sum / self.count(x.shape())).collect();
        vec![Array::float(y.shape().clone(), means)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let shape = g.shape(at.inputs[0])?.clone();
        let elements: usize = self.axes.iter().map(|&axis| shape[axis]).product();
        let share = g.scale(dy[0], 1.0 / self.count(&shape))?;
        let share = g.reshape(share, with_kept(&shape, &self.axes))?;
        let dx = g.expand(share, shape)?;
        // The mean of no elements is 0, whatever y is.
        let minus = g.scale(dy[0], if elements == 0 { 0.0 } else { -1.0 })?;
        Ok(vec![Some(dx), Some(minus)])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (Cut::input(io, 0), Cut::output(io, 0));
        let scale = (1.0 / self.count(x.shape)) as f32;
        let mean = Fold::new(Function::Differences(Operand::Input(1)), scale);
        lower_reduction(self.name(), mean, x, &self.axes, y, caps, out)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axes.contains(&0)
    }
}

impl Op for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        infer_reduced(self.name(), inputs, &self.axes, self.keep)
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let shape = &self.infer(&[x.ty()]).expect("infer accepted x")[0].shape;
        let squares = summed(x, &self.axes, shape, |_, value| value.powi(2));
        let y = squares.into_iter().map(f64::sqrt).collect();
        vec![Array::float(shape.clone(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let x = at.inputs[0];
        let share = g.apply1(Ratio { scale: 1.0 }, &[dy[0], at.outputs[0]])?;
        let kept = with_kept(g.shape(x)?, &self.axes);
        let share = g.reshape(share, kept)?;
        Ok(vec![Some(g.mul(x, share)?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (Cut::input(io, 0), Cut::output(io, 0));
        let squares = Fold {
            function: Function::Squares,
            scale: 1.0,
            root: true,
        };
        lower_reduction(self.name(), squares, x, &self.axes, y, caps, out)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axes.contains(&0)
    }
}
