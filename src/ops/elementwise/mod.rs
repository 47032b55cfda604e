//! What elementwise ops share but for their lowering: broadcasting; and fill.

pub(in crate::ops) mod binary;
pub(in crate::ops) mod cast;
pub(in crate::ops) mod compare;
pub(in crate::ops) mod in_place;
pub(in crate::ops) mod special;
pub(in crate::ops) mod unary;
pub(in crate::ops) mod unary_function;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Io, Lowering};
use crate::lowering::Cut;
use crate::lowering::broadcast::broadcast_strides;
use crate::lowering::fill::lower_fill;
use crate::ops::expect_inputs;
use crate::shape::{Shape, Type};
use crate::tensor::Array;

// Parameters and builder.

/// A float value with one number in every element.
#[derive(Debug, Clone, PartialEq)]
pub struct Fill {
    /// Extents.
    pub shape: Shape,
    /// The number.
    pub value: f32,
}

/// # Constants of any shape
impl Graph {
    /// A float value with `value` in every element.
    pub fn fill(&mut self, shape: impl Into<Shape>, value: f32) -> Result<Value> {
        let shape = shape.into();
        self.apply1(Fill { shape, value }, &[])
    }
}

// Shape rule.

impl Op for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 0)?;
        Ok(vec![Type::f32(self.shape.clone())])
    }

    // Reference.

    fn eval(&self, _: &[&Array]) -> Vec<Array> {
        let y = vec![f64::from(self.value); self.shape.count()];
        vec![Array::float(self.shape.clone(), y)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        lower_fill(Cut::output(io, 0), self.value, out);
        Ok(())
    }
}

/// The shape that all of `inputs` broadcast to.
pub(in crate::ops) fn broadcast(op: &str, inputs: &[&Type]) -> Result<Shape> {
    let mut shape = Shape::default();
    for input in inputs {
        shape = shape.broadcast(&input.shape).ok_or_else(|| {
            let shapes: Vec<String> = inputs.iter().map(|ty| ty.shape.to_string()).collect();
            Error::shape(format!("{op}: {} do not broadcast", shapes.join(" and ")))
        })?;
    }
    Ok(shape)
}

/// f of the elements of each of `inputs` that meet at each place of `shape`.
pub(in crate::ops) fn map_broadcast<const N: usize>(
    inputs: [&Array; N],
    shape: &Shape,
    f: impl Fn([f64; N]) -> f64,
) -> Array {
    let operand = inputs.map(|input| broadcast_strides(input.shape(), shape));
    let strides = shape.strides();
    let y = (0..shape.count()).map(|i| {
        let mut at = [0; N];
        for axis in 0..shape.len() {
            let index = i / strides[axis] % shape[axis];
            for (at, strides) in at.iter_mut().zip(&operand) {
                *at += index * strides[axis];
            }
        }
        f(std::array::from_fn(|n| inputs[n].floats()[at[n]]))
    });
    Array::float(shape.clone(), y.collect())
}

/// The gradient of a broadcast operand: `dy` summed over the axes along which it stretched.
pub(in crate::ops) fn unbroadcast(g: &mut Graph, dy: Value, shape: &Shape) -> Result<Value> {
    let from = g.shape(dy)?.clone();
    if &from == shape {
        return Ok(dy);
    }
    let missing = from.len() - shape.len();
    let axes: Vec<usize> = (0..from.len())
        .filter(|&axis| axis < missing || shape[axis - missing] != from[axis])
        .collect();
    let summed = g.sum(dy, &axes, false)?;
    g.reshape(summed, shape.clone())
}
