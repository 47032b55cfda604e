//! Losses that compare two values element by element: squared, absolute, smooth l1, Huber, binary
//! cross-entropy.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{
    Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, looped, source, turns_within,
};
use crate::shape::Type;
use crate::tensor::Array;

use crate::lowering::broadcast::{Forms, WORKGROUP, constants, function, lower_broadcast};
use crate::lowering::reduction::lower_sum;
use crate::ops::elementwise::binary::lower_same;
use crate::ops::elementwise::map_broadcast;
use crate::ops::elementwise::special::{log1p_exp, sigmoid};
use crate::ops::{expect_f32, expect_inputs, expect_type, no_second_derivative};

// Parameters and builder.

/// What becomes of the losses of single elements or rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reduction {
    /// They stay.
    None,
    /// Their mean.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

/// The loss of one element x for its target t.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LossFunction {
    /// (x - t)^2.
    SquaredError,
    /// |x - t|, with the gradient 0 where they are equal.
    AbsoluteError,
    /// (x - t)^2 / (2 beta) where |x - t| is less than beta, |x - t| - beta / 2 elsewhere.
    SmoothL1 {
        /// Positive.
        beta: f32,
    },
    /// (x - t)^2 / 2 where |x - t| is less than delta, delta (|x - t| - delta / 2) elsewhere.
    Huber {
        /// Positive.
        delta: f32,
    },
    /// -(t log(x) + (1 - t) log(1 - x)) of a probability x, the logarithms at least -100; NaN for x
    /// outside of [0, 1].
    Bce,
    /// The same of the sigmoid of x, without overflow.
    BceWithLogits,
}

use LossFunction::*;

/// A [`LossFunction`] of two values of one shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointwiseLoss {
    /// The loss of one element.
    pub function: LossFunction,
    /// What becomes of them.
    pub reduction: Reduction,
}

/// The gradient of one operand of a [`LossFunction`] from that operand, the other one, and dy, of
/// their shape or a scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointwiseLossGrad {
    /// The loss of one element.
    pub function: LossFunction,
    /// Whether the operand is the target of [`LossFunction::Bce`]. The others are symmetric, or
    /// have a gradient made of other ops.
    pub target: bool,
}

/// # Losses of elements
impl Graph {
    /// A loss of each element of `x` for those of `target`, of its shape.
    ///
    /// A mean over no elements is 0 (PyTorch: NaN).
    pub fn pointwise_loss(
        &mut self,
        x: Value,
        target: Value,
        function: LossFunction,
        reduction: Reduction,
    ) -> Result<Value> {
        let loss = PointwiseLoss {
            function,
            reduction,
        };
        self.apply1(loss, &[x, target])
    }

    /// (x - target)^2.
    pub fn mse_loss(&mut self, x: Value, target: Value, reduction: Reduction) -> Result<Value> {
        self.pointwise_loss(x, target, SquaredError, reduction)
    }

    /// |x - target|.
    pub fn l1_loss(&mut self, x: Value, target: Value, reduction: Reduction) -> Result<Value> {
        self.pointwise_loss(x, target, AbsoluteError, reduction)
    }

    /// The absolute error, less beta / 2, and within beta of the target a parabola; PyTorch's beta
    /// is 1.
    pub fn smooth_l1_loss(
        &mut self,
        x: Value,
        target: Value,
        beta: f32,
        reduction: Reduction,
    ) -> Result<Value> {
        match beta {
            0.0 => self.l1_loss(x, target, reduction),
            _ => self.pointwise_loss(x, target, SmoothL1 { beta }, reduction),
        }
    }

    /// Half the squared error, from delta on a straight line; PyTorch's delta is 1.
    pub fn huber_loss(
        &mut self,
        x: Value,
        target: Value,
        delta: f32,
        reduction: Reduction,
    ) -> Result<Value> {
        self.pointwise_loss(x, target, Huber { delta }, reduction)
    }

    /// The binary cross-entropy of probabilities `x` and `target`, both within [0, 1], times
    /// `weight` (broadcast) if there is one.
    pub fn bce_loss(
        &mut self,
        x: Value,
        target: Value,
        weight: Option<Value>,
        reduction: Reduction,
    ) -> Result<Value> {
        match weight {
            None => self.pointwise_loss(x, target, Bce, reduction),
            Some(weight) => {
                let loss = self.pointwise_loss(x, target, Bce, Reduction::None)?;
                let loss = self.mul(loss, weight)?;
                self.reduce_loss(loss, reduction)
            }
        }
    }

    /// The binary cross-entropy of sigmoid(x) and `target`, times `weight` if there is one;
    /// `pos_weight` multiplies the share of the positive class, target * log(sigmoid(x)). Both are
    /// broadcast.
    pub fn bce_with_logits(
        &mut self,
        x: Value,
        target: Value,
        weight: Option<Value>,
        pos_weight: Option<Value>,
        reduction: Reduction,
    ) -> Result<Value> {
        let mut loss = match (weight, pos_weight) {
            (None, None) => return self.pointwise_loss(x, target, BceWithLogits, reduction),
            (_, None) => self.pointwise_loss(x, target, BceWithLogits, Reduction::None)?,
            // (1 - t) softplus(x) + p t softplus(-x).
            (_, Some(pos_weight)) => {
                let softplus = crate::ops::UnaryFunction::Softplus {
                    beta: 1.0,
                    threshold: f32::MAX,
                };
                let minus = self.neg(x)?;
                let (negative, positive) = (self.unary(x, softplus)?, self.unary(minus, softplus)?);
                let one = self.fill([], 1.0)?;
                let rest = self.sub(one, target)?;
                let negative = self.mul(negative, rest)?;
                let positive = self.mul(positive, target)?;
                let positive = self.mul(positive, pos_weight)?;
                self.add(negative, positive)?
            }
        };
        if let Some(weight) = weight {
            loss = self.mul(loss, weight)?;
        }
        self.reduce_loss(loss, reduction)
    }

    /// All axes of a loss reduced.
    pub(in crate::ops) fn reduce_loss(
        &mut self,
        loss: Value,
        reduction: Reduction,
    ) -> Result<Value> {
        let axes: Vec<usize> = (0..self.shape(loss)?.len()).collect();
        match reduction {
            Reduction::None => Ok(loss),
            Reduction::Mean => self.mean(loss, &axes, false),
            Reduction::Sum => self.sum(loss, &axes, false),
        }
    }
}

// Shape rule.

impl LossFunction {
    fn name(&self) -> &'static str {
        match self {
            SquaredError => "mse_loss",
            AbsoluteError => "l1_loss",
            SmoothL1 { .. } => "smooth_l1_loss",
            Huber { .. } => "huber_loss",
            Bce => "bce_loss",
            BceWithLogits => "bce_with_logits",
        }
    }

    fn check(&self) -> Result<()> {
        match *self {
            SmoothL1 { beta: width } | Huber { delta: width } if width.is_nan() || width <= 0.0 => {
                Err(Error::shape(format!(
                    "{}: {width} is not positive",
                    self.name()
                )))
            }
            _ => Ok(()),
        }
    }
}

impl Op for PointwiseLoss {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), "x", inputs[0])?;
        expect_type(self.name(), "target", inputs[1], inputs[0])?;
        self.function.check()?;
        Ok(match self.reduction {
            Reduction::None => vec![inputs[0].clone()],
            Reduction::Mean | Reduction::Sum => vec![Type::f32([])],
        })
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (x, target) = (inputs[0].floats(), inputs[1].floats());
        let losses = x
            .iter()
            .zip(target)
            .map(|(&x, &t)| self.function.apply(x, t));
        match self.reduction {
            Reduction::None => vec![Array::float(inputs[0].shape().clone(), losses.collect())],
            Reduction::Sum => vec![Array::float([], vec![losses.sum()])],
            Reduction::Mean => {
                let sum: f64 = losses.sum();
                vec![Array::float([], vec![sum / x.len().max(1) as f64])]
            }
        }
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let (x, target) = (at.inputs[0], at.inputs[1]);
        let dy = match self.reduction {
            Reduction::None | Reduction::Sum => dy[0],
            Reduction::Mean => {
                let count = g.shape(x)?.count().max(1);
                g.scale(dy[0], 1.0 / count as f64)?
            }
        };
        let function = self.function;
        let mut grad = |target: bool, own: Value, other: Value| {
            g.apply1(PointwiseLossGrad { function, target }, &[own, other, dy])
        };
        let dx = grad(false, x, target)?;
        let dtarget = match function {
            SquaredError | AbsoluteError | SmoothL1 { .. } | Huber { .. } => {
                grad(false, target, x)?
            }
            Bce => grad(true, target, x)?,
            BceWithLogits => {
                let product = g.mul(x, dy)?;
                g.neg(product)?
            }
        };
        Ok(vec![Some(dx), Some(dtarget)])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (variant, k) = self.function.kernel();
        let scale = match self.reduction {
            Reduction::None => {
                lower_same([&LOSS, &LOSS], VARIANTS[variant], k, io, out);
                return Ok(());
            }
            Reduction::Mean => 1.0 / io.inputs[0].count().max(1) as f32,
            Reduction::Sum => 1.0,
        };
        let counts = io.input_parts[0]
            .iter()
            .map(|part| part.rows * io.inputs[0].row());
        // Some empty chunks, so that every size is summed by the same kernel.
        let chunks = |count: usize| {
            let quads = count.div_ceil(4);
            let least = quads.div_ceil(turns_within(caps.max_turns, 0));
            let chunks = quads.div_ceil(16).clamp(1, 16_384).max(least);
            chunks.next_multiple_of(4)
        };
        let total = counts.clone().map(chunks).sum();
        let sums = out.scratch(Type::f32([total]));
        let mut base = 0;
        for (part, count) in counts.enumerate() {
            let chunks = chunks(count);
            let dispatch = Dispatch::new(&LOSS_SUM, VARIANTS[variant])
                .read(Operand::Input(0))
                .part(part)
                .read(Operand::Input(1))
                .part(part)
                .write(sums)
                .param("count", count)
                .param("chunks", chunks)
                .param("base", base)
                .turns(looped(count.div_ceil(4).div_ceil(chunks), 0));
            out.push(constants(dispatch, k).workgroups(chunks.div_ceil(WORKGROUP)));
            base += chunks;
        }
        let (shape, y) = ([total].into(), Operand::Output(0));
        lower_sum(sums, &shape, &[0], scale, y, caps, out)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.reduction != Reduction::None
    }
}

impl LossFunction {
    fn apply(&self, x: f64, t: f64) -> f64 {
        let d = (x - t).abs();
        match *self {
            SquaredError => d * d,
            AbsoluteError => d,
            SmoothL1 { beta } => {
                let beta = f64::from(beta);
                match d < beta {
                    true => 0.5 * d * d / beta,
                    false => d - 0.5 * beta,
                }
            }
            Huber { delta } => {
                let delta = f64::from(delta);
                match d < delta {
                    true => 0.5 * d * d,
                    false => delta * (d - 0.5 * delta),
                }
            }
            Bce if !(0.0..=1.0).contains(&x) => f64::NAN,
            Bce => -(t * x.ln().max(-100.0) + (1.0 - t) * (-x).ln_1p().max(-100.0)),
            // Of softplus(x) - t x, the summands that cancel taken together.
            BceWithLogits => {
                let share = if x < 0.0 { t } else { 1.0 - t };
                x.abs() * share + log1p_exp(-x.abs())
            }
        }
    }

    /// The gradient of an operand whose other one is `other`; `target` as in [`PointwiseLossGrad`].
    fn gradient(&self, target: bool, own: f64, other: f64, dy: f64) -> f64 {
        let d = own - other;
        let sign = if d == 0.0 { 0.0 } else { d.signum() };
        match *self {
            SquaredError => 2.0 * d * dy,
            AbsoluteError => sign * dy,
            SmoothL1 { beta } if d.abs() >= f64::from(beta) => sign * dy,
            SmoothL1 { beta } => d * dy / f64::from(beta),
            Huber { delta } if d.abs() >= f64::from(delta) => f64::from(delta) * sign * dy,
            Huber { .. } => d * dy,
            Bce if target => {
                let (x, logs) = (other, [(-other).ln_1p(), other.ln()]);
                let [rest, log] = logs.map(|log| log.max(-100.0));
                if x.is_nan() { x } else { dy * (rest - log) }
            }
            Bce => {
                let slope = (own * (1.0 - own)).max(1e-12);
                if own.is_nan() { own } else { dy * d / slope }
            }
            BceWithLogits => dy * (sigmoid(own) - other),
        }
    }

    /// Number in the kernels, and constants.
    fn kernel(&self) -> (usize, [f32; 3]) {
        match *self {
            SquaredError => (0, [0.0; 3]),
            AbsoluteError => (1, [0.0; 3]),
            // Of a beta without a reciprocal, less than which nothing but 0 is squared.
            SmoothL1 { beta } => (2, [beta, (1.0 / beta).min(f32::MAX), 0.0]),
            Huber { delta } => (3, [delta, 0.0, 0.0]),
            Bce => (4, [f32::NAN, 0.0, 0.0]),
            BceWithLogits => (5, [0.0; 3]),
        }
    }
}

impl Op for PointwiseLossGrad {
    fn name(&self) -> &'static str {
        match self.function {
            SquaredError => "mse_loss_grad",
            AbsoluteError => "l1_loss_grad",
            SmoothL1 { .. } => "smooth_l1_loss_grad",
            Huber { .. } => "huber_loss_grad",
            Bce => "bce_loss_grad",
            BceWithLogits => "bce_with_logits_grad",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 3)?;
        expect_f32(self.name(), "own operand", inputs[0])?;
        expect_type(self.name(), "other operand", inputs[1], inputs[0])?;
        self.function.check()?;
        if self.target && self.function != Bce {
            return Err(Error::graph(format!(
                "{}: the gradient of the target is made of other ops",
                self.name()
            )));
        }
        if !inputs[2].shape.is_empty() {
            expect_type(self.name(), "dy", inputs[2], inputs[0])?;
        }
        expect_f32(self.name(), "dy", inputs[2])?;
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let operands = [inputs[0], inputs[1], inputs[2]];
        let gradient =
            |[own, other, dy]: [f64; 3]| self.function.gradient(self.target, own, other, dy);
        vec![map_broadcast(operands, inputs[0].shape(), gradient)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_second_derivative(self.function.name()))
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (number, k) = self.function.kernel();
        let variant = if self.target { VARIANTS.len() } else { number };
        lower_broadcast(self.name(), &GRAD, GRAD_VARIANTS[variant], k, io, out)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        false
    }
}

/// By number.
const VARIANTS: &[Overrides] = &[
    function::<0>(),
    function::<1>(),
    function::<2>(),
    function::<3>(),
    function::<4>(),
    function::<5>(),
];
/// By number, then of the target of binary cross-entropy.
const GRAD_VARIANTS: &[Overrides] = &[
    function::<0>(),
    function::<1>(),
    function::<2>(),
    function::<3>(),
    function::<4>(),
    function::<5>(),
    function::<6>(),
];

static LOSS: Kernel = Kernel::new(
    "pointwise_loss",
    &[
        source!("elementwise/binary"),
        source!("lib/separate"),
        source!("loss/loss_function"),
        source!("lib/special"),
    ],
    VARIANTS,
);
static LOSS_SUM: Kernel = Kernel::new(
    "pointwise_loss_sum",
    &[
        source!("loss/loss_sum"),
        source!("loss/loss_function"),
        source!("lib/special"),
    ],
    VARIANTS,
);
static LOSS_GRAD: Kernel = Kernel::new(
    "pointwise_loss_grad",
    &[
        source!("elementwise/binary_grad"),
        source!("lib/separate"),
        source!("elementwise/broadcast_quads"),
        source!("elementwise/broadcast_axis"),
        source!("loss/loss_gradient"),
        source!("lib/special"),
    ],
    GRAD_VARIANTS,
);

/// Operands of one shape and a dy of that shape or a scalar are one run of axes: always quads.
const GRAD: Forms = Forms {
    quads: &LOSS_GRAD,
    elements: &LOSS_GRAD,
};

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&LOSS, &LOSS_SUM, &LOSS_GRAD];
