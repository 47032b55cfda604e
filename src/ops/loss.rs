//! Losses and the accuracy counter: softmax cross-entropy, mean squared error, correct predictions.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides};
use crate::shape::{Shape, Type};
use crate::tensor::Array;

use super::reduction::lower_sum;
use super::softmax::{ROW_VARIANTS, by_rows, softmax_row};
use super::{expect_f32, expect_inputs, expect_type};

// Parameters and builder.

/// Mean cross-entropy of softmax(logits) and the labels' classes, over the valid rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftmaxCrossEntropy;

/// The gradient of [`SoftmaxCrossEntropy`] for the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftmaxCrossEntropyGrad;

/// mean((x - y)^2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MseLoss;

/// Adds the number of right predictions and of rows to a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountCorrect;

impl Graph {
    /// Mean over the first `valid` rows of `-log(softmax(logits)[label])`: `logits` f32 `[batch, classes]`, `labels` u32 `[batch]`,
    /// `valid` u32 `[1]`, the result a scalar.
    ///
    /// Rows from `valid` on count nowhere. `valid` 0 gives 0; one above `batch` counts as `batch`. A label that is not below `classes`
    /// makes the loss and the gradient of its row NaN. Differentiable once, in `logits`.
    pub fn softmax_cross_entropy(
        &mut self,
        logits: Value,
        labels: Value,
        valid: Value,
    ) -> Result<Value> {
        self.add1(SoftmaxCrossEntropy, &[logits, labels, valid])
    }

    /// mean((x - y)^2) over all elements, a scalar; `x` and `y` have one shape. Without elements it is 0.
    pub fn mse_loss(&mut self, x: Value, y: Value) -> Result<Value> {
        self.add1(MseLoss, &[x, y])
    }

    /// `counter` u32 `[2]` plus [rows whose largest logit is the label's, rows], both among the first `valid` rows.
    ///
    /// `logits`, `labels` and `valid` are those of [`softmax_cross_entropy`](Self::softmax_cross_entropy). Among equal logits the one
    /// of the lowest class counts as the largest, as in PyTorch. A row with a NaN is wrong.
    pub fn count_correct(
        &mut self,
        logits: Value,
        labels: Value,
        valid: Value,
        counter: Value,
    ) -> Result<Value> {
        self.add1(CountCorrect, &[logits, labels, valid, counter])
    }
}

// Shape rule.

/// Checks the number of inputs, logits, labels and valid.
fn expect_batch(op: &str, inputs: &[&Type], count: usize) -> Result<()> {
    expect_inputs(op, inputs, count)?;
    expect_f32(op, "logits", inputs[0])?;
    let [rows, _] = inputs[0].shape[..] else {
        return Err(Error::shape(format!(
            "{op}: logits {} must have 2 axes, [batch, classes]",
            inputs[0].shape
        )));
    };
    expect_type(op, "labels", inputs[1], &Type::u32([rows]))?;
    expect_type(op, "valid", inputs[2], &Type::u32([1]))
}

fn extents(logits: &Shape) -> (usize, usize) {
    (logits[0], logits[1])
}

impl Op for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_batch(self.name(), inputs, 3)?;
        Ok(vec![Type::f32([])])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (rows, columns) = extents(inputs[0].shape());
        let valid = (inputs[2].u32s()[0] as usize).min(rows);
        let mut sum = 0.0;
        for row in 0..valid {
            let logits = &inputs[0].floats()[row * columns..(row + 1) * columns];
            sum += match logits.get(inputs[1].u32s()[row] as usize) {
                Some(logit) => {
                    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let exp: f64 = logits.iter().map(|x| (x - max).exp()).sum();
                    exp.ln() - (logit - max)
                }
                None => f64::NAN,
            };
        }
        vec![Array::float([], vec![sum / valid.max(1) as f64])]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let inputs = [at.inputs[0], at.inputs[1], at.inputs[2], dy[0]];
        let dlogits = g.add1(SoftmaxCrossEntropyGrad, &inputs)?;
        Ok(vec![Some(dlogits), None, None])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        io.whole(self.name())?;
        let (rows, columns) = extents(&io.inputs[0].shape);
        // Rows of zeros up to a quad, so that every batch size is summed by the same kernel.
        let padded = rows.next_multiple_of(4);
        let losses = out.scratch(Type::f32([padded]));
        out.push(
            by_rows(&CROSS_ENTROPY, &CROSS_ENTROPY_LONG, padded, columns)
                .read(Operand::Input(0))
                .read(Operand::Input(1))
                .uniform(Operand::Input(2))
                .write(losses)
                .param("rows", rows)
                .param("padded", padded)
                .param("columns", columns)
                .param_f32("nan", f32::NAN),
        );
        lower_sum(losses, &[padded].into(), &[0], 1.0, Operand::Output(0), out)
    }
}

impl Op for SoftmaxCrossEntropyGrad {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy_grad"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_batch(self.name(), inputs, 4)?;
        expect_type(self.name(), "dloss", inputs[3], &Type::f32([]))?;
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (rows, columns) = extents(inputs[0].shape());
        let valid = (inputs[2].u32s()[0] as usize).min(rows);
        let dloss = inputs[3].floats()[0];
        let mut dlogits = vec![0.0; rows * columns];
        for row in 0..valid {
            let range = row * columns..(row + 1) * columns;
            let label = inputs[1].u32s()[row] as usize;
            let y = softmax_row(&inputs[0].floats()[range.clone()]);
            for (column, dlogit) in dlogits[range].iter_mut().enumerate() {
                let target = if column == label { 1.0 } else { 0.0 };
                *dlogit = match label < columns {
                    true => (y[column] - target) * dloss / valid as f64,
                    false => f64::NAN,
                };
            }
        }
        vec![Array::float(inputs[0].shape().clone(), dlogits)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(Error::new(
            ErrorKind::NotDifferentiable,
            "softmax_cross_entropy: second derivatives are not offered",
        ))
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        io.whole(self.name())?;
        let (rows, columns) = extents(&io.inputs[0].shape);
        out.push(
            by_rows(&CROSS_ENTROPY_GRAD, &CROSS_ENTROPY_GRAD_LONG, rows, columns)
                .read(Operand::Input(0))
                .read(Operand::Input(1))
                .uniform(Operand::Input(2))
                .read(Operand::Input(3))
                .write(Operand::Output(0))
                .param("rows", rows)
                .param("columns", columns)
                .param_f32("nan", f32::NAN),
        );
        Ok(())
    }
}

impl Op for MseLoss {
    fn name(&self) -> &'static str {
        "mse_loss"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("mse_loss", inputs, 2)?;
        expect_f32("mse_loss", "x", inputs[0])?;
        expect_type("mse_loss", "y", inputs[1], inputs[0])?;
        Ok(vec![Type::f32([])])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (x, y) = (inputs[0].floats(), inputs[1].floats());
        let sum: f64 = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
        vec![Array::float([], vec![sum / x.len().max(1) as f64])]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let count = g.shape(at.inputs[0])?.count().max(1);
        let difference = g.sub(at.inputs[0], at.inputs[1])?;
        let factor = g.scale(dy[0], 2.0 / count as f32)?;
        let dx = g.mul(difference, factor)?;
        Ok(vec![Some(dx), Some(g.scale(dx, -1.0)?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        io.whole("mse_loss")?;
        let count = io.inputs[0].count();
        let quads = count.div_ceil(4);
        // Some empty chunks, so that every size is summed by the same kernel.
        let chunks = quads.div_ceil(16).clamp(1, 16_384).next_multiple_of(4);
        let sums = out.scratch(Type::f32([chunks]));
        out.push(
            Dispatch::new(&SQUARED_ERROR, SQUARED_ERROR_VARIANTS[0])
                .read(Operand::Input(0))
                .read(Operand::Input(1))
                .write(sums)
                .param("count", count)
                .param("chunks", chunks)
                .workgroups(chunks.div_ceil(64)),
        );
        let scale = 1.0 / count.max(1) as f32;
        lower_sum(sums, &[chunks].into(), &[0], scale, Operand::Output(0), out)
    }
}

impl Op for CountCorrect {
    fn name(&self) -> &'static str {
        "count_correct"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_batch("count_correct", inputs, 4)?;
        let counter = Type::u32([2]);
        expect_type("count_correct", "counter", inputs[3], &counter)?;
        Ok(vec![counter])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (rows, columns) = extents(inputs[0].shape());
        let valid = (inputs[2].u32s()[0] as usize).min(rows);
        let right = (0..valid).filter(|row| {
            let logits = &inputs[0].floats()[row * columns..(row + 1) * columns];
            let label = inputs[1].u32s()[*row] as usize;
            let mut largest = 0;
            for column in 0..columns {
                if logits[column] > logits[largest] {
                    largest = column;
                }
            }
            label < columns && label == largest && !logits.iter().any(|x| x.is_nan())
        });
        let counter = inputs[3].u32s();
        let counter = vec![
            counter[0].wrapping_add(right.count() as u32),
            counter[1].wrapping_add(valid as u32),
        ];
        vec![Array::u32([2], counter)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; 4])
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(3, 0)]
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        io.whole("count_correct")?;
        let (rows, columns) = extents(&io.inputs[0].shape);
        let right = out.scratch(Type::u32([rows]));
        out.push(
            by_rows(&ROW_CORRECT, &ROW_CORRECT_LONG, rows, columns)
                .read(Operand::Input(0))
                .read(Operand::Input(1))
                .uniform(Operand::Input(2))
                .write(right)
                .param("rows", rows)
                .param("columns", columns),
        );
        let dispatch = match io.in_place[0] {
            Some(_) => Dispatch::new(&COUNT_IN_PLACE, COUNT_VARIANTS[0])
                .read(right)
                .uniform(Operand::Input(2)),
            None => Dispatch::new(&COUNT, COUNT_VARIANTS[0])
                .read(right)
                .uniform(Operand::Input(2))
                .read(Operand::Input(3)),
        };
        out.push(
            dispatch
                .write(Operand::Output(0))
                .param("rows", rows)
                .workgroups(1),
        );
        Ok(())
    }
}

const SQUARED_ERROR_VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];
const COUNT_VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static CROSS_ENTROPY: Kernel = Kernel::new(
    "cross_entropy",
    shader_files!["cross_entropy", "lib/row_alone", "lib/grid", "lib/float"],
    ROW_VARIANTS,
);
static CROSS_ENTROPY_LONG: Kernel = Kernel::new(
    "cross_entropy_long",
    shader_files!["cross_entropy", "lib/row_shared", "lib/grid", "lib/float"],
    ROW_VARIANTS,
);
static CROSS_ENTROPY_GRAD: Kernel = Kernel::new(
    "cross_entropy_grad",
    shader_files![
        "cross_entropy_grad",
        "lib/row_alone",
        "lib/grid",
        "lib/float"
    ],
    ROW_VARIANTS,
);
static CROSS_ENTROPY_GRAD_LONG: Kernel = Kernel::new(
    "cross_entropy_grad_long",
    shader_files![
        "cross_entropy_grad",
        "lib/row_shared",
        "lib/grid",
        "lib/float"
    ],
    ROW_VARIANTS,
);
static SQUARED_ERROR: Kernel = Kernel::new(
    "squared_error",
    shader_files!["squared_error", "lib/grid"],
    SQUARED_ERROR_VARIANTS,
);
static ROW_CORRECT: Kernel = Kernel::new(
    "row_correct",
    shader_files!["row_correct", "lib/row_alone", "lib/grid", "lib/float"],
    ROW_VARIANTS,
);
static ROW_CORRECT_LONG: Kernel = Kernel::new(
    "row_correct_long",
    shader_files!["row_correct", "lib/row_shared", "lib/grid", "lib/float"],
    ROW_VARIANTS,
);
static COUNT: Kernel = Kernel::new(
    "count",
    shader_files!["count", "count_separate", "lib/grid"],
    COUNT_VARIANTS,
);
static COUNT_IN_PLACE: Kernel = Kernel::new(
    "count_in_place",
    shader_files!["count", "count_in_place", "lib/grid"],
    COUNT_VARIANTS,
);

pub(super) const KERNELS: &[&Kernel] = &[
    &CROSS_ENTROPY,
    &CROSS_ENTROPY_LONG,
    &CROSS_ENTROPY_GRAD,
    &CROSS_ENTROPY_GRAD_LONG,
    &SQUARED_ERROR,
    &ROW_CORRECT,
    &ROW_CORRECT_LONG,
    &COUNT,
    &COUNT_IN_PLACE,
];
