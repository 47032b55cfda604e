//! Softmax over the last axis.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides};
use crate::shape::{Shape, Type};
use crate::tensor::Array;

use super::{expect_f32, expect_inputs, expect_type};

// Parameters and builder.

/// exp(x) / sum(exp(x)) over the last axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softmax;

/// The gradient of [`Softmax`]: y * (dy - sum(dy * y)) of its output y.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftmaxGrad;

impl Graph {
    /// exp(x) / sum(exp(x)) over the last axis. A row with a NaN, or with nothing but -inf, is NaN.
    pub fn softmax(&mut self, x: Value) -> Result<Value> {
        self.add1(Softmax, &[x])
    }
}

// Shape rule.

/// Rows and columns of a shape seen as a matrix whose rows are the runs along the last axis.
fn rows(shape: &Shape) -> (usize, usize) {
    let columns = shape.last().copied().unwrap_or(1);
    (shape.count() / columns.max(1), columns)
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("softmax", inputs, 1)?;
        expect_f32("softmax", "x", inputs[0])?;
        if inputs[0].shape.is_empty() {
            return Err(Error::shape("softmax: x [] has no last axis"));
        }
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let (_, columns) = rows(x.shape());
        let y = x
            .floats()
            .chunks(columns.max(1))
            .flat_map(softmax_row)
            .collect();
        vec![Array::float(x.shape().clone(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let dx = g.add1(SoftmaxGrad, &[at.outputs[0], dy[0]])?;
        Ok(vec![Some(dx)])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        io.whole("softmax")?;
        let (rows, columns) = rows(&io.inputs[0].shape);
        out.push(
            by_rows(&SOFTMAX, &SOFTMAX_LONG, rows, columns)
                .read(Operand::Input(0))
                .write(Operand::Output(0))
                .param("rows", rows)
                .param("columns", columns),
        );
        Ok(())
    }
}

/// The softmax of one row, stable by its maximum.
pub(super) fn softmax_row(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exp: Vec<f64> = x.iter().map(|x| (x - max).exp()).collect();
    let sum: f64 = exp.iter().sum();
    exp.iter().map(|exp| exp / sum).collect()
}

impl Op for SoftmaxGrad {
    fn name(&self) -> &'static str {
        "softmax_grad"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("softmax_grad", inputs, 2)?;
        expect_f32("softmax_grad", "y", inputs[0])?;
        expect_type("softmax_grad", "dy", inputs[1], inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (y, dy) = (inputs[0], inputs[1]);
        let (_, columns) = rows(y.shape());
        let mut dx = Vec::with_capacity(y.ty().count());
        for (y, dy) in y
            .floats()
            .chunks(columns.max(1))
            .zip(dy.floats().chunks(columns.max(1)))
        {
            let sum: f64 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
            dx.extend(y.iter().zip(dy).map(|(y, dy)| y * (dy - sum)));
        }
        vec![Array::float(y.shape().clone(), dx)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(Error::new(
            ErrorKind::NotDifferentiable,
            "softmax: second derivatives are not offered",
        ))
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        io.whole("softmax_grad")?;
        let (rows, columns) = rows(&io.inputs[0].shape);
        out.push(
            by_rows(&SOFTMAX_GRAD, &SOFTMAX_GRAD_LONG, rows, columns)
                .read(Operand::Input(0))
                .read(Operand::Input(1))
                .write(Operand::Output(0))
                .param("rows", rows)
                .param("columns", columns),
        );
        Ok(())
    }
}

/// Longest row that one invocation handles alone; above, a workgroup shares a row.
const ALONE: usize = 64;

/// A dispatch of the kernel for short rows or of the one for long rows.
pub(super) fn by_rows(
    short: &'static Kernel,
    long: &'static Kernel,
    rows: usize,
    columns: usize,
) -> Dispatch {
    match columns > ALONE {
        true => Dispatch::new(long, ROW_VARIANTS[0]).workgroups(rows),
        false => Dispatch::new(short, ROW_VARIANTS[0]).workgroups(rows.div_ceil(64)),
    }
}

pub(super) const ROW_VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static SOFTMAX: Kernel = Kernel::new(
    "softmax",
    shader_files!["softmax", "lib/row_alone", "lib/grid", "lib/float"],
    ROW_VARIANTS,
);
static SOFTMAX_LONG: Kernel = Kernel::new(
    "softmax_long",
    shader_files!["softmax", "lib/row_shared", "lib/grid", "lib/float"],
    ROW_VARIANTS,
);
static SOFTMAX_GRAD: Kernel = Kernel::new(
    "softmax_grad",
    shader_files!["softmax_grad", "lib/row_alone", "lib/grid"],
    ROW_VARIANTS,
);
static SOFTMAX_GRAD_LONG: Kernel = Kernel::new(
    "softmax_grad_long",
    shader_files!["softmax_grad", "lib/row_shared", "lib/grid"],
    ROW_VARIANTS,
);

pub(super) const KERNELS: &[&Kernel] =
    &[&SOFTMAX, &SOFTMAX_LONG, &SOFTMAX_GRAD, &SOFTMAX_GRAD_LONG];
