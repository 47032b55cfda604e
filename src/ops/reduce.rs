//! Sum and mean over axes.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Io, Lowering};
use crate::shape::Type;
use crate::tensor::Array;

use super::reduction::{Reduction, lower_reduction};
use super::{Cut, expect_f32, expect_inputs};

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
        let (x, y) = (Cut::input(io, 0), Cut::output(io, 0));
        let sum = Reduction::sum(self.scale);
        lower_reduction(self.name(), sum, x, &self.axes, y, out)
    }
}
