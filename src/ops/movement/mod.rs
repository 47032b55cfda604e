//! Ops that move elements without changing them: reshape, flatten, permute, expand.

pub(in crate::ops) mod gather;
pub(in crate::ops) mod index;
pub(in crate::ops) mod join;
pub(in crate::ops) mod pad;
pub(in crate::ops) mod slice;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Io, Lowering};
use crate::shape::{DType, Shape, Type};
use crate::tensor::Array;

use crate::lowering::Cut;
use crate::lowering::broadcast::broadcast_strides;
use crate::lowering::strided::{Axis, Side, lower_strided};
use crate::ops::dim::{self, Dim};
use crate::ops::expect_inputs;

// Parameters and builder.

/// The same elements under another shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reshape {
    /// The new extents.
    pub shape: Shape,
}

/// The same elements with the axes in another order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permute {
    /// For each axis of the output, the axis of the input.
    pub axes: Vec<usize>,
}

/// The same elements repeated along new axes and axes of extent 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expand {
    /// The new extents.
    pub shape: Shape,
}

/// # Shapes and axes
impl Graph {
    /// The same elements under another shape of equal count. Costs nothing, but for a value in
    /// several parts whose rows change: that is copied.
    pub fn reshape(&mut self, x: Value, shape: impl Into<Shape>) -> Result<Value> {
        let shape = shape.into();
        if self.operand("reshape", x)?.shape == shape {
            return Ok(x);
        }
        self.apply1(Reshape { shape }, &[x])
    }

    /// Joins all axes from `start` on into one: `[n, c, h, w]` from axis 1 gives `[n, c * h * w]`.
    pub fn flatten(&mut self, x: Value, start: impl Into<Dim>) -> Result<Value> {
        let shape = &self.operand("flatten", x)?.shape;
        let start = dim::axis("flatten", shape, start)?;
        let mut flat = shape[..start].to_vec();
        flat.push(shape[start..].iter().product());
        self.reshape(x, flat)
    }

    /// `x` with its axes in the order `axes`: axis i of the result is axis `axes[i]` of `x`, an
    /// `f32` or `u32` value. Costs nothing if only axes of extent 1 move.
    pub fn permute(&mut self, x: Value, axes: &[impl Into<Dim> + Copy]) -> Result<Value> {
        let ty = self.operand("permute", x)?;
        let axes = dim::axes("permute", &ty.shape, axes)?;
        let op = Permute { axes };
        let shape = op.infer(&[ty])?.remove(0).shape;
        let moving = op.axes.iter().filter(|&&axis| ty.shape[axis] != 1);
        if moving.is_sorted() {
            return self.reshape(x, shape);
        }
        self.apply1(op, &[x])
    }

    /// The transpose of a matrix: `[m, n]` to `[n, m]`.
    pub fn transpose(&mut self, x: Value) -> Result<Value> {
        let shape = &self.operand("transpose", x)?.shape;
        if shape.len() != 2 {
            return Err(Error::shape(format!(
                "transpose: x {shape} must have 2 axes; permute takes any number"
            )));
        }
        self.permute(x, &[1, 0])
    }

    /// `x`, an `f32` or `u32` value, broadcast to `shape`: repeated along new leading axes and
    /// along axes where its extent is 1.
    pub fn expand(&mut self, x: Value, shape: impl Into<Shape>) -> Result<Value> {
        let shape = shape.into();
        if self.operand("expand", x)?.shape == shape {
            return Ok(x);
        }
        self.apply1(Expand { shape }, &[x])
    }
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let x = inputs[0];
        let ty = Type::new(x.dtype, self.shape.clone());
        ty.check()?;
        if ty.count() != x.count() {
            return Err(Error::shape(format!(
                "reshape: {} has {} elements, {} has {}",
                x.shape,
                x.count(),
                ty.shape,
                ty.count()
            )));
        }
        Ok(vec![ty])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![inputs[0].reshaped(self.shape.clone())]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let shape = g.shape(at.inputs[0])?.clone();
        Ok(vec![Some(g.reshape(dy[0], shape)?)])
    }

    // Lowering.

    fn view(&self) -> bool {
        true
    }

    fn lower(&self, _: &Io, _: &Caps, _: &mut Lowering) -> Result<()> {
        Ok(())
    }
}

impl Op for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let x = inputs[0];
        expect_words("permute", x)?;
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..x.shape.len()) {
            return Err(Error::shape(format!(
                "permute: axes {:?} do not name each axis of {} once",
                self.axes, x.shape
            )));
        }
        let shape: Vec<usize> = self.axes.iter().map(|&axis| x.shape[axis]).collect();
        Ok(vec![Type::new(x.dtype, shape)])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let ty = &self.infer(&[x.ty()]).expect("infer accepted x")[0];
        let strides = x.shape().strides();
        let steps: Vec<isize> = self.axes.iter().map(|&a| strides[a] as isize).collect();
        let places = positions(&ty.shape, 0, &steps);
        vec![picked(inputs, ty, places.map(|at| (0, at)))]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, _: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let mut inverse = vec![0; self.axes.len()];
        for (i, &axis) in self.axes.iter().enumerate() {
            inverse[axis] = i;
        }
        Ok(vec![Some(g.permute(dy[0], &inverse)?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let strides = io.inputs[0].shape.strides();
        let steps: Vec<usize> = self.axes.iter().map(|&axis| strides[axis]).collect();
        let rows = self.axes.iter().position(|&axis| axis == 0);
        lower_reading(self.name(), io, &steps, rows, out)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axes.first() != Some(&0)
    }
}

impl Op for Expand {
    fn name(&self) -> &'static str {
        "expand"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let x = inputs[0];
        expect_words("expand", x)?;
        if x.shape.broadcast(&self.shape).as_ref() != Some(&self.shape) {
            return Err(Error::shape(format!(
                "expand: {} does not broadcast to {}",
                x.shape, self.shape
            )));
        }
        Ok(vec![Type::new(x.dtype, self.shape.clone())])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let strides = broadcast_strides(x.shape(), &self.shape);
        let steps: Vec<isize> = strides.into_iter().map(|step| step as isize).collect();
        let places = positions(&self.shape, 0, &steps);
        let ty = Type::new(x.ty().dtype, self.shape.clone());
        vec![picked(inputs, &ty, places.map(|at| (0, at)))]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let shape = g.shape(at.inputs[0])?.clone();
        let missing = self.shape.len() - shape.len();
        let repeated: Vec<usize> = (0..self.shape.len())
            .filter(|&axis| axis < missing || shape[axis - missing] != self.shape[axis])
            .collect();
        let sum = g.sum(dy[0], &repeated, false)?;
        Ok(vec![Some(g.reshape(sum, shape)?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let x = &io.inputs[0].shape;
        let steps = broadcast_strides(x, &self.shape);
        let first = self.shape.len() - x.len();
        let rows = (!x.is_empty() && steps[first] != 0).then_some(first);
        lower_reading(self.name(), io, &steps, rows, out)
    }

    fn mixes_rows_of(&self, input: usize, inputs: &[&Type]) -> bool {
        inputs[input].shape.len() != self.shape.len()
    }
}

/// Fails unless `x` of `op` has elements of one word.
pub(in crate::ops) fn expect_words(op: &str, x: &Type) -> Result<()> {
    match x.dtype {
        DType::F32 | DType::U32 => Ok(()),
        _ => Err(Error::shape(format!(
            "{op}: x is {x}, f32 or u32 is needed"
        ))),
    }
}

/// Where the elements of a box of `shape` lie, in order: the first at `base`, the others by `steps`
/// along each axis.
pub(in crate::ops) fn positions(
    shape: &Shape,
    base: usize,
    steps: &[isize],
) -> impl Iterator<Item = usize> {
    let strides = shape.strides();
    (0..shape.count()).map(move |i| {
        let walked = (0..shape.len()).map(|axis| {
            let index = i / strides[axis] % shape[axis];
            index as isize * steps[axis]
        });
        (base as isize + walked.sum::<isize>()) as usize
    })
}

/// The array of type `ty` whose elements are named by input and place.
pub(in crate::ops) fn picked(
    inputs: &[&Array],
    ty: &Type,
    places: impl Iterator<Item = (usize, usize)>,
) -> Array {
    let shape = ty.shape.clone();
    match ty.dtype {
        DType::U32 => Array::u32(shape, places.map(|(x, at)| inputs[x].u32s()[at]).collect()),
        _ => Array::float(
            shape,
            places.map(|(x, at)| inputs[x].floats()[at]).collect(),
        ),
    }
}

/// Emits output 0 of an op as input 0 read with `steps` along the output's axes, of which `rows`
/// runs along axis 0 of the input.
fn lower_reading(
    op: &str,
    io: &Io,
    steps: &[usize],
    rows: Option<usize>,
    out: &mut Lowering,
) -> Result<()> {
    let (x, y) = (Cut::input(io, 0), Cut::output(io, 0));
    let strides = y.shape.strides();
    let axes = (0..steps.len()).map(|axis| Axis {
        extent: y.shape[axis],
        x: steps[axis] as isize,
        y: strides[axis] as isize,
    });
    let from = Side {
        cut: x,
        base: 0,
        rows,
    };
    let to = Side {
        cut: y,
        base: 0,
        rows: (!steps.is_empty()).then_some(0),
    };
    lower_strided(op, from, to, &axes.collect::<Vec<_>>(), out)
}
