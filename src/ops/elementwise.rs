//! Elementwise ops: relu, scale, and add, sub, mul with broadcasting.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Split, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides};
use crate::shape::{Shape, Type};
use crate::tensor::Array;

use super::{Cut, expect_f32, expect_inputs, quads};

// Parameters and builder.

/// An elementwise function of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UnaryFunction {
    /// max(x, 0); NaN stays NaN.
    Relu,
    /// a * x.
    Scale(f32),
}

/// Applies a [`UnaryFunction`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unary(pub UnaryFunction);

/// An elementwise function of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryFunction {
    /// a + b.
    Add,
    /// a - b.
    Sub,
    /// a * b.
    Mul,
    /// The gradient of relu: b where the activation a is positive, else 0.
    ReluMask,
}

/// Applies a [`BinaryFunction`] with broadcasting (NumPy's rule).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binary(pub BinaryFunction);

/// A float value with one number in every element.
#[derive(Debug, Clone, PartialEq)]
pub struct Fill {
    /// Extents.
    pub shape: Shape,
    /// The number.
    pub value: f32,
}

impl Graph {
    /// max(x, 0).
    pub fn relu(&mut self, x: Value) -> Result<Value> {
        self.add1(Unary(UnaryFunction::Relu), &[x])
    }

    /// a * x.
    pub fn scale(&mut self, x: Value, a: f32) -> Result<Value> {
        self.add1(Unary(UnaryFunction::Scale(a)), &[x])
    }

    /// a + b, broadcast.
    pub fn add_values(&mut self, a: Value, b: Value) -> Result<Value> {
        self.add1(Binary(BinaryFunction::Add), &[a, b])
    }

    /// a - b, broadcast.
    pub fn sub(&mut self, a: Value, b: Value) -> Result<Value> {
        self.add1(Binary(BinaryFunction::Sub), &[a, b])
    }

    /// a * b, broadcast.
    pub fn mul(&mut self, a: Value, b: Value) -> Result<Value> {
        self.add1(Binary(BinaryFunction::Mul), &[a, b])
    }

    /// A float value with `value` in every element.
    pub fn fill(&mut self, shape: impl Into<Shape>, value: f32) -> Result<Value> {
        let shape = shape.into();
        self.add1(Fill { shape, value }, &[])
    }
}

// Shape rule.

fn infer_binary(op: &str, inputs: &[&Type]) -> Result<Vec<Type>> {
    expect_inputs(op, inputs, 2)?;
    expect_f32(op, "a", inputs[0])?;
    expect_f32(op, "b", inputs[1])?;
    match inputs[0].shape.broadcast(&inputs[1].shape) {
        Some(shape) => Ok(vec![Type::f32(shape)]),
        None => Err(Error::shape(format!(
            "{op}: {} and {} do not broadcast",
            inputs[0].shape, inputs[1].shape
        ))),
    }
}

/// Strides of `shape` seen as `target`, 0 along axes that stretch.
pub(super) fn broadcast_strides(shape: &Shape, target: &Shape) -> Vec<usize> {
    let own = shape.strides();
    let missing = target.len() - shape.len();
    (0..target.len())
        .map(|axis| match axis.checked_sub(missing) {
            Some(own_axis) if shape[own_axis] == target[axis] => own[own_axis],
            _ => 0,
        })
        .collect()
}

/// The gradient of a broadcast operand: `dy` summed over the axes along which it stretched.
fn unbroadcast(g: &mut Graph, dy: Value, shape: &Shape) -> Result<Value> {
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

impl Op for Unary {
    fn name(&self) -> &'static str {
        match self.0 {
            UnaryFunction::Relu => "relu",
            UnaryFunction::Scale(_) => "scale",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), "x", inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let f = |&x: &f64| match self.0 {
            UnaryFunction::Relu => {
                if x <= 0.0 {
                    0.0
                } else {
                    x
                }
            }
            UnaryFunction::Scale(a) => f64::from(a) * x,
        };
        let y = inputs[0].floats().iter().map(f).collect();
        vec![Array::float(inputs[0].shape().clone(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let dx = match self.0 {
            UnaryFunction::Relu => {
                g.add1(Binary(BinaryFunction::ReluMask), &[at.outputs[0], dy[0]])?
            }
            UnaryFunction::Scale(a) => g.scale(dy[0], a)?,
        };
        Ok(vec![Some(dx)])
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(0, 0)]
    }

    fn split(&self) -> Split {
        Split::Rows(&[0])
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (variant, a) = match self.0 {
            UnaryFunction::Relu => (0, 0.0),
            UnaryFunction::Scale(a) => (1, a),
        };
        for (part, rows) in io.output_parts[0].iter().enumerate() {
            let quads = quads(&io.outputs[0], rows.rows);
            let dispatch = match io.in_place[0] {
                Some(_) => Dispatch::new(&UNARY_IN_PLACE, UNARY_VARIANTS[variant]),
                None => Dispatch::new(&UNARY, UNARY_VARIANTS[variant])
                    .read(Operand::Input(0))
                    .part(part),
            };
            out.push(
                dispatch
                    .write(Operand::Output(0))
                    .part(part)
                    .param("quads", quads)
                    .param_f32("a", a)
                    .workgroups(quads.div_ceil(WORKGROUP)),
            );
        }
        Ok(())
    }
}

impl Op for Binary {
    fn name(&self) -> &'static str {
        match self.0 {
            BinaryFunction::Add => "add",
            BinaryFunction::Sub => "sub",
            BinaryFunction::Mul => "mul",
            BinaryFunction::ReluMask => "relu_mask",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        infer_binary(self.name(), inputs)
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (a, b) = (inputs[0], inputs[1]);
        let shape = a
            .shape()
            .broadcast(b.shape())
            .expect("infer accepted the shapes");
        let (stride_a, stride_b) = (
            broadcast_strides(a.shape(), &shape),
            broadcast_strides(b.shape(), &shape),
        );
        let strides = shape.strides();
        let mut y = Vec::with_capacity(shape.count());
        for i in 0..shape.count() {
            let (mut at_a, mut at_b) = (0, 0);
            for axis in 0..shape.len() {
                let index = i / strides[axis] % shape[axis];
                at_a += index * stride_a[axis];
                at_b += index * stride_b[axis];
            }
            let (a, b) = (a.floats()[at_a], b.floats()[at_b]);
            y.push(match self.0 {
                BinaryFunction::Add => a + b,
                BinaryFunction::Sub => a - b,
                BinaryFunction::Mul => a * b,
                BinaryFunction::ReluMask => {
                    if a <= 0.0 {
                        0.0
                    } else {
                        b
                    }
                }
            });
        }
        vec![Array::float(shape, y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let (a, b, dy) = (at.inputs[0], at.inputs[1], dy[0]);
        let (da, db) = match self.0 {
            BinaryFunction::Add => (Some(dy), dy),
            BinaryFunction::Sub => (Some(dy), g.scale(dy, -1.0)?),
            BinaryFunction::Mul => (Some(g.mul(dy, b)?), g.mul(dy, a)?),
            BinaryFunction::ReluMask => (None, g.add1(Binary(BinaryFunction::ReluMask), &[a, dy])?),
        };
        let shape_a = g.shape(a)?.clone();
        let shape_b = g.shape(b)?.clone();
        let da = match da {
            Some(da) => Some(unbroadcast(g, da, &shape_a)?),
            None => None,
        };
        Ok(vec![da, Some(unbroadcast(g, db, &shape_b)?)])
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(0, 0)]
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let variant = BINARY_VARIANTS[self.0 as usize];
        let (a, b, y) = (&io.inputs[0], &io.inputs[1], &io.outputs[0]);
        if a.shape == b.shape {
            for (part, rows) in io.output_parts[0].iter().enumerate() {
                let quads = quads(y, rows.rows);
                let dispatch = match io.in_place[0] {
                    Some(_) => Dispatch::new(&BINARY_IN_PLACE, variant),
                    None => Dispatch::new(&BINARY, variant)
                        .read(Operand::Input(0))
                        .part(part),
                };
                out.push(
                    dispatch
                        .read(Operand::Input(1))
                        .part(part)
                        .write(Operand::Output(0))
                        .part(part)
                        .param("quads", quads)
                        .workgroups(quads.div_ceil(WORKGROUP)),
                );
            }
            return Ok(());
        }
        io.whole(self.name())?;
        let axes = collapse(&a.shape, &b.shape, &y.shape);
        if axes.len() > 6 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{}: broadcasting {} with {} alternates over {} axes, 6 are supported",
                    self.name(),
                    a.shape,
                    b.shape,
                    axes.len()
                ),
            ));
        }
        let axis = |i: usize| {
            (i + axes.len())
                .checked_sub(6)
                .map_or([1, 0, 0], |own| axes[own])
        };
        let dispatch = match io.in_place[0] {
            Some(_) => Dispatch::new(&BINARY_BROADCAST_IN_PLACE, variant),
            None => Dispatch::new(&BINARY_BROADCAST, variant).read(Operand::Input(0)),
        };
        let mut dispatch = dispatch
            .read(Operand::Input(1))
            .write(Operand::Output(0))
            .param("count", y.count());
        for (field, names) in [EXTENTS, STRIDES_A, STRIDES_B].into_iter().enumerate() {
            for (i, name) in names.into_iter().enumerate() {
                dispatch = dispatch.param(name, axis(i)[field]);
            }
        }
        out.push(dispatch.workgroups(y.count().div_ceil(WORKGROUP)));
        Ok(())
    }
}

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

/// Emits `value` in every element of an `f32` operand.
pub(super) fn lower_fill(y: Cut, value: f32, out: &mut Lowering) {
    for (part, rows) in y.parts.iter().enumerate() {
        let quads = (rows.rows * y.row()).div_ceil(4);
        out.push(
            Dispatch::new(&FILL, FILL_VARIANTS[0])
                .write(y.operand)
                .part(part)
                .param("quads", quads)
                .param_f32("value", value)
                .workgroups(quads.div_ceil(WORKGROUP)),
        );
    }
}

const WORKGROUP: usize = 64;

/// The output's axes as [extent, stride of a, stride of b], neighbours merged where both strides allow, extents of 1 dropped.
fn collapse(a: &Shape, b: &Shape, y: &Shape) -> Vec<[usize; 3]> {
    let (stride_a, stride_b) = (broadcast_strides(a, y), broadcast_strides(b, y));
    let mut axes: Vec<[usize; 3]> = Vec::new();
    for axis in (0..y.len()).filter(|&axis| y[axis] != 1) {
        let [extent, at_a, at_b] = [y[axis], stride_a[axis], stride_b[axis]];
        match axes.last_mut() {
            Some([outer, outer_a, outer_b])
                if *outer_a == extent * at_a && *outer_b == extent * at_b =>
            {
                *outer *= extent;
                (*outer_a, *outer_b) = (at_a, at_b);
            }
            _ => axes.push([extent, at_a, at_b]),
        }
    }
    axes
}

const EXTENTS: [&str; 6] = [
    "extent0", "extent1", "extent2", "extent3", "extent4", "extent5",
];
const STRIDES_A: [&str; 6] = ["a0", "a1", "a2", "a3", "a4", "a5"];
const STRIDES_B: [&str; 6] = ["b0", "b1", "b2", "b3", "b4", "b5"];

const UNARY_VARIANTS: &[Overrides] = &[
    &[("function", 0), ("workgroup_size", 64)],
    &[("function", 1), ("workgroup_size", 64)],
];
const BINARY_VARIANTS: &[Overrides] = &[
    &[("function", 0), ("workgroup_size", 64)],
    &[("function", 1), ("workgroup_size", 64)],
    &[("function", 2), ("workgroup_size", 64)],
    &[("function", 3), ("workgroup_size", 64)],
];
const FILL_VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static UNARY: Kernel = Kernel::new(
    "unary",
    shader_files!["unary", "unary_separate", "lib/grid", "lib/float"],
    UNARY_VARIANTS,
);
static UNARY_IN_PLACE: Kernel = Kernel::new(
    "unary_in_place",
    shader_files!["unary", "unary_in_place", "lib/grid", "lib/float"],
    UNARY_VARIANTS,
);
static BINARY: Kernel = Kernel::new(
    "binary",
    shader_files![
        "binary",
        "binary_separate",
        "binary_function",
        "lib/grid",
        "lib/float"
    ],
    BINARY_VARIANTS,
);
static BINARY_IN_PLACE: Kernel = Kernel::new(
    "binary_in_place",
    shader_files![
        "binary",
        "binary_in_place",
        "binary_function",
        "lib/grid",
        "lib/float"
    ],
    BINARY_VARIANTS,
);
static BINARY_BROADCAST: Kernel = Kernel::new(
    "binary_broadcast",
    shader_files![
        "binary_broadcast",
        "binary_broadcast_separate",
        "binary_function",
        "lib/grid",
        "lib/float"
    ],
    BINARY_VARIANTS,
);
static BINARY_BROADCAST_IN_PLACE: Kernel = Kernel::new(
    "binary_broadcast_in_place",
    shader_files![
        "binary_broadcast",
        "binary_broadcast_in_place",
        "binary_function",
        "lib/grid",
        "lib/float"
    ],
    BINARY_VARIANTS,
);
static FILL: Kernel = Kernel::new("fill", shader_files!["fill", "lib/grid"], FILL_VARIANTS);

pub(super) const KERNELS: &[&Kernel] = &[
    &UNARY,
    &UNARY_IN_PLACE,
    &BINARY,
    &BINARY_IN_PLACE,
    &BINARY_BROADCAST,
    &BINARY_BROADCAST_IN_PLACE,
    &FILL,
];
