//! Softmax and its logarithm over any axis.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Split, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides};
use crate::shape::Type;
use crate::tensor::Array;

use super::axes::around;
use super::dim::{self, Dim};
use super::{expect_f32, expect_inputs, expect_type, no_second_derivative};

// Parameters and builder.

/// exp(x) / sum(exp(x)) over one axis, or the logarithm of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softmax {
    /// The axis that is summed.
    pub axis: usize,
    /// Whether the result is the logarithm.
    pub logarithm: bool,
}

/// The gradient of [`Softmax`] from its output y and dy: y * (dy - sum(dy * y)), of the logarithm dy - exp(y) * sum(dy).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftmaxGrad(pub Softmax);

impl Graph {
    /// exp(x) / sum(exp(x)) over `axis`. Where that sums a NaN, +inf, or nothing but -inf, all is NaN.
    pub fn softmax(&mut self, x: Value, axis: impl Into<Dim>) -> Result<Value> {
        let axis = dim::axis("softmax", &self.operand("softmax", x)?.shape, axis)?;
        let logarithm = false;
        self.add1(Softmax { axis, logarithm }, &[x])
    }

    /// log(exp(x) / sum(exp(x))) over `axis`, which neither overflows nor loses small terms. NaN as in [`softmax`](Self::softmax).
    pub fn log_softmax(&mut self, x: Value, axis: impl Into<Dim>) -> Result<Value> {
        let axis = dim::axis("log_softmax", &self.operand("log_softmax", x)?.shape, axis)?;
        let logarithm = true;
        self.add1(Softmax { axis, logarithm }, &[x])
    }
}

// Shape rule.

/// The elements' indices in each row of `[outer, columns, inner]`.
pub(super) fn rows([outer, columns, inner]: [usize; 3]) -> impl Iterator<Item = Vec<usize>> {
    (0..outer * inner).map(move |row| {
        let start = row / inner * columns * inner + row % inner;
        (0..columns).map(|column| start + column * inner).collect()
    })
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        match self.logarithm {
            false => "softmax",
            true => "log_softmax",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), "x", inputs[0])?;
        if self.axis >= inputs[0].shape.len() {
            return Err(Error::shape(format!(
                "{}: x {} has no axis {}",
                self.name(),
                inputs[0].shape,
                self.axis
            )));
        }
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let mut y = vec![0.0; x.ty().count()];
        for row in rows(around(x.shape(), self.axis)) {
            let logs = log_softmax_row(row.iter().map(|&i| x.floats()[i]).collect());
            for (i, log) in row.into_iter().zip(logs) {
                y[i] = if self.logarithm { log } else { log.exp() };
            }
        }
        vec![Array::float(x.shape().clone(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let dx = g.add1(SoftmaxGrad(*self), &[at.outputs[0], dy[0]])?;
        Ok(vec![Some(dx)])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        lower_rows(self, self.name(), [&SOFTMAX, &SOFTMAX_LONG], io, out)
    }

    fn split(&self) -> Split {
        match self.axis {
            0 => Split::Whole,
            _ => Split::Rows(&[0]),
        }
    }
}

/// The logarithm of the softmax of one row, stable by its maximum.
pub(super) fn log_softmax_row(x: Vec<f64>) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = x.iter().map(|x| (x - max).exp()).sum();
    x.iter().map(|x| (x - max) - sum.ln()).collect()
}

impl Op for SoftmaxGrad {
    fn name(&self) -> &'static str {
        match self.0.logarithm {
            false => "softmax_grad",
            true => "log_softmax_grad",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        self.0.infer(&inputs[..1])?;
        expect_type(self.name(), "dy", inputs[1], inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (y, dy) = (inputs[0].floats(), inputs[1].floats());
        let mut dx = vec![0.0; y.len()];
        for row in rows(around(inputs[0].shape(), self.0.axis)) {
            let terms = row.iter().map(|&i| match self.0.logarithm {
                false => y[i] * dy[i],
                true => dy[i],
            });
            let sum: f64 = terms.sum();
            for i in row {
                dx[i] = match self.0.logarithm {
                    false => y[i] * (dy[i] - sum),
                    true => dy[i] - y[i].exp() * sum,
                };
            }
        }
        vec![Array::float(inputs[0].shape().clone(), dx)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_second_derivative(self.0.name()))
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let kernels = [&SOFTMAX_GRAD, &SOFTMAX_GRAD_LONG];
        lower_rows(&self.0, self.name(), kernels, io, out)
    }

    fn split(&self) -> Split {
        match self.0.axis {
            0 => Split::Whole,
            _ => Split::Rows(&[0, 1]),
        }
    }
}

/// Emits a kernel that makes each row of the output from that row of each input, all of one shape.
fn lower_rows(
    softmax: &Softmax,
    op: &str,
    kernels: [&'static Kernel; 2],
    io: &Io,
    out: &mut Lowering,
) -> Result<()> {
    if softmax.axis == 0 {
        io.whole(op)?;
    }
    let shape = &io.outputs[0].shape;
    let [outer, columns, inner] = around(shape, softmax.axis);
    let variant = VARIANTS[usize::from(softmax.logarithm)];
    for (part, cut) in io.output_parts[0].iter().enumerate() {
        let rows = match softmax.axis {
            0 => inner,
            _ => outer * inner / shape.rows().max(1) * cut.rows,
        };
        if columns == 0 {
            continue;
        }
        let mut dispatch = by_rows(kernels, variant, rows, columns, inner);
        for i in 0..io.inputs.len() {
            dispatch = dispatch.read(Operand::Input(i)).part(part);
        }
        out.push(
            dispatch
                .write(Operand::Output(0))
                .part(part)
                .param("rows", rows)
                .param("columns", columns)
                .param("inner", inner),
        );
    }
    Ok(())
}

/// Longest row that one invocation handles alone; above, a workgroup shares a row.
const ALONE: usize = 64;
/// From this many neighbouring rows on, invocations that handle one row each read neighbouring addresses.
const NEIGHBOURS: usize = 16;

/// A dispatch of the kernel for short rows or of the one for long rows, whose columns lie `inner` apart.
pub(super) fn by_rows(
    [short, long]: [&'static Kernel; 2],
    overrides: Overrides,
    rows: usize,
    columns: usize,
    inner: usize,
) -> Dispatch {
    match columns > ALONE && inner < NEIGHBOURS {
        true => Dispatch::new(long, overrides).workgroups(rows),
        false => Dispatch::new(short, overrides).workgroups(rows.div_ceil(64)),
    }
}

/// By whether the result is the logarithm.
const VARIANTS: &[Overrides] = &[
    &[("logarithm", 0), ("workgroup_size", 64)],
    &[("logarithm", 1), ("workgroup_size", 64)],
];

static SOFTMAX: Kernel = Kernel::new(
    "softmax",
    shader_files![
        "softmax",
        "lib/row_softmax",
        "lib/row_alone",
        "lib/special",
        "lib/divide",
        "lib/grid",
        "lib/float"
    ],
    VARIANTS,
);
static SOFTMAX_LONG: Kernel = Kernel::new(
    "softmax_long",
    shader_files![
        "softmax",
        "lib/row_softmax",
        "lib/row_shared",
        "lib/special",
        "lib/divide",
        "lib/grid",
        "lib/float"
    ],
    VARIANTS,
);
static SOFTMAX_GRAD: Kernel = Kernel::new(
    "softmax_grad",
    shader_files![
        "softmax_grad",
        "lib/row_alone",
        "lib/divide",
        "lib/grid",
        "lib/float"
    ],
    VARIANTS,
);
static SOFTMAX_GRAD_LONG: Kernel = Kernel::new(
    "softmax_grad_long",
    shader_files![
        "softmax_grad",
        "lib/row_shared",
        "lib/divide",
        "lib/grid",
        "lib/float"
    ],
    VARIANTS,
);

pub(super) const KERNELS: &[&Kernel] =
    &[&SOFTMAX, &SOFTMAX_LONG, &SOFTMAX_GRAD, &SOFTMAX_GRAD_LONG];
