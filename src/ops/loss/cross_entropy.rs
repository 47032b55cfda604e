//! Cross-entropy of class labels or probabilities, from logits or from their logarithms.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Io, Lowering};
use crate::shape::{DType, Type};
use crate::tensor::{Array, Tensor};

use crate::ops::loss::cross_entropy_lower::{lower_gradient, lower_losses};
use crate::ops::loss::pointwise::Reduction;
use crate::ops::loss::softmax::{log_softmax_row, rows};
use crate::ops::{expect_f32, expect_inputs, expect_type, no_second_derivative};
use crate::shape::around;

// Parameters and builder.

/// Options of [`Graph::cross_entropy_with`] and [`Graph::nll_loss_with`], with PyTorch's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CrossEntropyLoss {
    /// A factor for each class, f32 `[classes]`.
    pub weight: Option<Value>,
    /// Positions with this label count nowhere.
    pub ignore_index: Option<u32>,
    /// What becomes of the losses of single positions. A mean over labels weighs each with its
    /// class's weight.
    pub reduction: Reduction,
    /// This share of each target is spread evenly over all classes.
    pub label_smoothing: f32,
    /// How many rows (axis 0) count, u32 `[1]`; the others are padding. A mean over no valid rows
    /// is 0.
    pub valid: Option<Value>,
}

impl CrossEntropyLoss {
    /// PyTorch's defaults: the mean over all rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// A factor for each class, f32 `[classes]`.
    pub fn weight(mut self, weight: Value) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Positions with this label count nowhere.
    pub fn ignore_index(mut self, label: u32) -> Self {
        self.ignore_index = Some(label);
        self
    }

    /// What becomes of the losses of single positions.
    pub fn reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    /// This share of each target is spread evenly over all classes.
    pub fn label_smoothing(mut self, share: f32) -> Self {
        self.label_smoothing = share;
        self
    }

    /// How many rows (axis 0) count, u32 `[1]`: 0 gives a mean of 0, more than there are count as
    /// all.
    pub fn valid(mut self, valid: Value) -> Self {
        self.valid = Some(valid);
        self
    }
}

/// Cross-entropy of inputs logits, target, weight and valid.
///
/// Output 0 is the loss; output 1, of a mean that is weighted or ignores labels, the sum of the
/// weights that it was divided by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossEntropy {
    /// Whether the logits are logarithms of probabilities already (nll_loss).
    pub logarithm: bool,
    /// Whether weights may differ from 1.
    pub weighted: bool,
    /// Positions with this label count nowhere.
    pub ignore_index: Option<u32>,
    /// What becomes of the losses of single positions.
    pub reduction: Reduction,
    /// The share of each target that is spread over all classes.
    pub label_smoothing: f32,
}

/// The gradient of the logits from logits, target, weight, valid and a scalar: that of the loss,
/// divided by output 1 if there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossEntropyGrad(pub CrossEntropy);

const MOST_ONES: usize = 1 << 16;

/// # Losses of classes
impl Graph {
    /// The mean of `-log(softmax(logits)[label])`: `logits` f32 `[n, classes, d1, ...]`, `target`
    /// labels u32 `[n, d1, ...]`, or f32 probabilities of the logits' shape. PyTorch's
    /// `cross_entropy` as it is without options; with them,
    /// [`cross_entropy_with`](Self::cross_entropy_with).
    ///
    /// ```
    /// use striate::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let mut g = Graph::new();
    /// let logits = g.input("logits", Type::f32([2, 3]))?;
    /// let labels = g.input("labels", Type::u32([2]))?;
    /// let loss = g.cross_entropy(logits, labels)?;
    ///
    /// let store = Store::new(&Engine::cpu(), &[&g], 0)?;
    /// let mut session = Session::new(&store, &g, &[loss])?;
    /// session.write(logits, &Tensor::f32([2, 3], vec![0.0; 6])?)?;
    /// session.write(labels, &Tensor::u32([2], vec![0, 2])?)?;
    /// session.run(1)?;
    /// assert!((session.read(loss)?.item()? - 3f32.ln()).abs() < 1e-6);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cross_entropy(&mut self, logits: Value, target: Value) -> Result<Value> {
        self.cross_entropy_with(logits, target, CrossEntropyLoss::new())
    }

    /// As [`cross_entropy`](Self::cross_entropy), with options.
    ///
    /// A label that is neither below `classes` nor ignored makes the loss and the gradient of its
    /// position NaN. A mean over nothing but ignored labels is NaN, as PyTorch's; one over no valid
    /// rows is 0. A class of weight 0 adds nothing, even where its probability is 0 (PyTorch: NaN).
    /// Differentiable once, in the logits.
    pub fn cross_entropy_with(
        &mut self,
        logits: Value,
        target: Value,
        options: CrossEntropyLoss,
    ) -> Result<Value> {
        self.class_loss(logits, target, options, false)
    }

    /// As [`cross_entropy`](Self::cross_entropy) with labels, from logarithms of probabilities: the
    /// mean of -x at the label.
    pub fn nll_loss(&mut self, x: Value, labels: Value) -> Result<Value> {
        self.nll_loss_with(x, labels, CrossEntropyLoss::new())
    }

    /// As [`nll_loss`](Self::nll_loss), with options but for smoothing.
    pub fn nll_loss_with(
        &mut self,
        x: Value,
        labels: Value,
        options: CrossEntropyLoss,
    ) -> Result<Value> {
        self.class_loss(x, labels, options, true)
    }

    /// Classes without weights have ones, which the kernels do not read: of up to [`MOST_ONES`]
    /// classes a constant, of more a fill, which takes no memory of the host.
    fn class_loss(
        &mut self,
        logits: Value,
        target: Value,
        options: CrossEntropyLoss,
        logarithm: bool,
    ) -> Result<Value> {
        let loss = CrossEntropy {
            logarithm,
            weighted: options.weight.is_some(),
            ignore_index: options.ignore_index,
            reduction: options.reduction,
            label_smoothing: options.label_smoothing,
        };
        let op = loss.name();
        let (x, labels) = (self.operand(op, logits)?, self.operand(op, target)?);
        let (batch, classes) = (x.shape.rows(), x.shape.get(1).copied().unwrap_or(0));
        // What is not given is allocated once the rule has accepted the rest.
        loss.infer(&[x, labels, &Type::f32([classes]), &Type::u32([1])])?;
        let weight = match options.weight {
            Some(weight) => weight,
            None if classes <= MOST_ONES => {
                self.constant(Tensor::f32([classes], vec![1.0; classes])?)?
            }
            None => self.fill([classes], 1.0)?,
        };
        let valid = match options.valid {
            Some(valid) => valid,
            None => self.constant(Tensor::u32([1], vec![batch as u32])?)?,
        };
        Ok(self.apply(loss, &[logits, target, weight, valid])?[0])
    }
}

// Shape rule.

impl CrossEntropy {
    /// Whether the divisor of the mean depends on the labels; otherwise it is the number of valid
    /// positions.
    pub(in crate::ops) fn divides_by_weights(&self, target: &Type) -> bool {
        let labels = target.dtype == DType::U32;
        self.reduction == Reduction::Mean
            && labels
            && (self.weighted || self.ignore_index.is_some())
    }

    /// Checks logits, target, weight and valid.
    fn check(&self, op: &str, inputs: &[&Type]) -> Result<()> {
        let (logits, target) = (inputs[0], inputs[1]);
        expect_f32(op, "logits", logits)?;
        let [batch, classes, field @ ..] = &logits.shape[..] else {
            return Err(Error::shape(format!(
                "{op}: logits {} must have 2 axes or more, [batch, classes, ...]",
                logits.shape
            )));
        };
        if *classes == 0 {
            return Err(Error::shape(format!(
                "{op}: logits {} have no classes",
                logits.shape
            )));
        }
        match target.dtype {
            DType::F32 => expect_type(op, "target", target, logits)?,
            _ => {
                let labels = Type::u32([&[*batch][..], field].concat());
                expect_type(op, "target", target, &labels)?;
            }
        }
        expect_type(op, "weight", inputs[2], &Type::f32([*classes]))?;
        expect_type(op, "valid", inputs[3], &Type::u32([1]))?;
        let plain_labels = target.dtype == DType::U32 && self.label_smoothing == 0.0;
        if self.logarithm && !plain_labels {
            return Err(Error::shape(format!(
                "{op}: takes labels and no smoothing, target is {target}, label_smoothing {}",
                self.label_smoothing
            )));
        }
        if target.dtype == DType::F32 && self.ignore_index.is_some() {
            return Err(Error::shape(format!(
                "{op}: target {target} holds probabilities, ignore_index needs labels"
            )));
        }
        match (0.0..=1.0).contains(&self.label_smoothing) {
            true => Ok(()),
            false => Err(Error::shape(format!(
                "{op}: label_smoothing {} is not between 0 and 1",
                self.label_smoothing
            ))),
        }
    }
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        match self.logarithm {
            false => "cross_entropy",
            true => "nll_loss",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 4)?;
        self.check(self.name(), inputs)?;
        let scalar = Type::f32([]);
        Ok(match self.reduction {
            Reduction::None => {
                let shape = &inputs[0].shape;
                vec![Type::f32([&shape[..1], &shape[2..]].concat())]
            }
            _ if self.divides_by_weights(inputs[1]) => vec![scalar.clone(), scalar],
            _ => vec![scalar],
        })
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (mut losses, mut sum, mut divisor) = (Vec::new(), 0.0, 0.0);
        for position in self.positions(inputs) {
            let Position {
                row,
                logs,
                shares,
                weight,
                counts,
                ..
            } = position;
            let loss: f64 = match counts {
                true => (0..row.len()).map(|c| product(shares[c], -logs[c])).sum(),
                false => 0.0,
            };
            losses.push(loss);
            sum += loss;
            divisor += weight;
        }
        let by_weights = self.divides_by_weights(inputs[1].ty());
        let scalar = |x: f64| Array::float([], vec![x]);
        match self.reduction {
            Reduction::None => {
                let shape = inputs[0].shape();
                vec![Array::float([&shape[..1], &shape[2..]].concat(), losses)]
            }
            Reduction::Sum => vec![scalar(sum)],
            Reduction::Mean if by_weights => {
                let mean = match valid_positions(inputs) {
                    0 => 0.0,
                    _ => sum / divisor,
                };
                vec![scalar(mean), scalar(divisor)]
            }
            Reduction::Mean => {
                let count = losses.len().min(valid_positions(inputs)).max(1);
                vec![scalar(sum / count as f64)]
            }
        }
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let logits = at.inputs[0];
        let mut inputs = at.inputs.clone();
        let scalar = match (self.reduction, at.outputs.get(1)) {
            (Reduction::None, _) => g.fill([], 1.0)?,
            // Where all weights are 0 there is no mean; whoever has left it out hands on 0.
            (_, Some(&divisor)) => {
                let zero = g.fill([], 0.0)?;
                let (wanted, part) = (g.ne(dy[0], zero)?, g.div(dy[0], divisor)?);
                g.select(wanted, part, zero)?
            }
            (_, None) => dy[0],
        };
        inputs.push(scalar);
        let mut dlogits = g.apply1(CrossEntropyGrad(*self), &inputs)?;
        if self.reduction == Reduction::None {
            let mut shape = g.shape(logits)?.to_vec();
            shape[1] = 1;
            let dy = g.reshape(dy[0], shape)?;
            dlogits = g.mul(dlogits, dy)?;
        }
        Ok(vec![Some(dlogits), None, None, None])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        lower_losses(self, io, caps, out)
    }

    fn mixes_rows(&self, input: usize) -> bool {
        input > 1 || self.reduction != Reduction::None
    }
}

/// One position of a batch: what the loss and the gradient say of it.
struct Position {
    /// The logits' indices, class by class.
    row: Vec<usize>,
    /// Logarithms of the classes' probabilities.
    logs: Vec<f64>,
    /// What each class counts for.
    shares: Vec<f64>,
    /// What the position adds to the divisor of a weighted mean.
    weight: f64,
    /// Whether it is valid and not ignored.
    counts: bool,
}

/// a * b, and 0 where a is 0.
fn product(a: f64, b: f64) -> f64 {
    if a == 0.0 { 0.0 } else { a * b }
}

/// Positions of the valid rows.
fn valid_positions(inputs: &[&Array]) -> usize {
    let [outer, _, inner] = around(inputs[0].shape(), 1);
    (inputs[3].u32s()[0] as usize).min(outer) * inner
}

impl CrossEntropy {
    /// The positions in order.
    fn positions(&self, inputs: &[&Array]) -> impl Iterator<Item = Position> {
        let (x, weight) = (inputs[0].floats(), inputs[2].floats());
        let extents = around(inputs[0].shape(), 1);
        let valid = valid_positions(inputs);
        let smoothing = f64::from(self.label_smoothing);
        let even = smoothing / extents[1] as f64;
        rows(extents).enumerate().map(move |(position, row)| {
            let logits: Vec<f64> = row.iter().map(|&i| x[i]).collect();
            let logs = match self.logarithm {
                true => logits,
                false => log_softmax_row(logits),
            };
            let label = match inputs[1].ty().dtype {
                DType::U32 => Some(inputs[1].u32s()[position]),
                _ => None,
            };
            let ignored = label.is_some() && label == self.ignore_index;
            let known = label.is_none_or(|label| (label as usize) < row.len());
            let shares = (0..row.len()).map(|c| {
                let target = match label {
                    Some(label) => f64::from(u8::from(label as usize == c)),
                    None => inputs[1].floats()[row[c]],
                };
                match known {
                    true => weight[c] * ((1.0 - smoothing) * target + even),
                    false => f64::NAN,
                }
            });
            let counts = position < valid && !ignored;
            let own = label.and_then(|label| weight.get(label as usize));
            Position {
                shares: shares.collect(),
                row,
                logs,
                weight: if counts {
                    own.copied().unwrap_or(0.0)
                } else {
                    0.0
                },
                counts,
            }
        })
    }
}

impl Op for CrossEntropyGrad {
    fn name(&self) -> &'static str {
        match self.0.logarithm {
            false => "cross_entropy_grad",
            true => "nll_loss_grad",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 5)?;
        self.0.check(self.name(), inputs)?;
        expect_type(self.name(), "dloss", inputs[4], &Type::f32([]))?;
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let by_weights = self.0.divides_by_weights(inputs[1].ty());
        let factor = match self.0.reduction {
            Reduction::Mean if !by_weights => {
                inputs[4].floats()[0] / valid_positions(inputs).max(1) as f64
            }
            _ => inputs[4].floats()[0],
        };
        let mut dlogits = vec![0.0; inputs[0].ty().count()];
        for position in self.0.positions(inputs).filter(|position| position.counts) {
            let total: f64 = position.shares.iter().sum();
            for (c, &i) in position.row.iter().enumerate() {
                let softmax = match self.0.logarithm {
                    true => 0.0,
                    false => position.logs[c].exp(),
                };
                dlogits[i] = (product(total, softmax) - position.shares[c]) * factor;
            }
        }
        vec![Array::float(inputs[0].shape().clone(), dlogits)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_second_derivative(self.0.name()))
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        lower_gradient(&self.0, io, caps, out)
    }
}
