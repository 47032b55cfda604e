//! Functions of one value, elementwise: activations, powers, exponentials. Their formulas are in
//! `unary_function.rs`.

use crate::error::{Error, Result};
use crate::graph::{EvalSplit, Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Overrides, source};
use crate::shape::Type;
use crate::tensor::Array;

use crate::lowering::broadcast::{WORKGROUP, constants, function};
use crate::lowering::quads;
use crate::ops::elementwise::binary::lower_same;
use crate::ops::elementwise::in_place::{bind_places, form};
use crate::ops::elementwise::unary_function::UnaryFunction;
use crate::ops::{expect_f32, expect_inputs, expect_type, no_second_derivative};

// Parameters and builder.

use UnaryFunction::*;

/// Applies a [`UnaryFunction`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unary(pub UnaryFunction);

/// The gradient of a [`UnaryFunction`]: dx from what was saved, x or y as [`UnaryGrad::saves`]
/// says, and dy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnaryGrad(pub UnaryFunction);

/// What a gradient needs of its forward function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// The input.
    X,
    /// The output.
    Y,
}

impl UnaryGrad {
    /// What input 0 is; `None` for functions whose gradients are built from other ops.
    pub fn saves(&self) -> Option<Saved> {
        match self.0 {
            Relu | Hardtanh { .. } | Sigmoid | Tanh => Some(Saved::Y),
            LeakyRelu { negative_slope } if negative_slope >= 0.0 => Some(Saved::Y),
            LeakyRelu { .. } | Clamp { .. } | Elu { .. } | Selu | Celu { .. } | Gelu | GeluTanh => {
                Some(Saved::X)
            }
            Silu | Mish | Softplus { .. } | Softsign | Hardsigmoid | Hardswish | Abs => {
                Some(Saved::X)
            }
            Scale(_) | Exp | Log | Sqrt | Rsqrt | Reciprocal | Square | Pow(_) | Sign => None,
            Floor | Ceil | Round | Sin | Cos | Erf => None,
        }
    }
}

/// # Functions of one value
impl Graph {
    /// A function of each element of `x`.
    pub fn unary(&mut self, x: Value, function: UnaryFunction) -> Result<Value> {
        self.apply1(Unary(function), &[x])
    }

    /// max(x, 0).
    pub fn relu(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Relu)
    }

    /// min(max(x, 0), 6).
    pub fn relu6(&mut self, x: Value) -> Result<Value> {
        self.unary(x, UnaryFunction::RELU6)
    }

    /// min(max(x, min), max). The gradient is 0 from the bounds on, at the bounds too.
    pub fn clamp(&mut self, x: Value, min: f32, max: f32) -> Result<Value> {
        self.unary(x, Clamp { min, max })
    }

    /// x, or negative_slope * x for x <= 0.
    pub fn leaky_relu(&mut self, x: Value, negative_slope: f32) -> Result<Value> {
        self.unary(x, LeakyRelu { negative_slope })
    }

    /// x times the distribution function of N(0, 1).
    pub fn gelu(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Gelu)
    }

    /// x * sigmoid(x).
    pub fn silu(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Silu)
    }

    /// 1 / (1 + exp(-x)).
    pub fn sigmoid(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Sigmoid)
    }

    /// The hyperbolic tangent.
    pub fn tanh(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Tanh)
    }

    /// a * x. The reference multiplies by `a` as given, a GPU by `a` rounded to `f32`.
    pub fn scale(&mut self, x: Value, a: impl Into<f64>) -> Result<Value> {
        self.unary(x, Scale(a.into()))
    }

    /// -x.
    pub fn neg(&mut self, x: Value) -> Result<Value> {
        self.scale(x, -1.0)
    }

    /// |x|.
    pub fn abs(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Abs)
    }

    /// 1 for positive x, -1 for negative x, 0 for zeros and NaN, as PyTorch's. The gradient is 0.
    pub fn sign(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Sign)
    }

    /// The largest integer that is not above x. The gradient is 0.
    pub fn floor(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Floor)
    }

    /// The smallest integer that is not below x. The gradient is 0.
    pub fn ceil(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Ceil)
    }

    /// The nearest integer, the even one of two that are as near, as PyTorch's. The gradient is 0.
    pub fn round(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Round)
    }

    /// The sine of x in radians; NaN for infinities. Of every `f32`, however large, within 2^-22 of
    /// the exact one.
    pub fn sin(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Sin)
    }

    /// The cosine of x in radians, as [`Graph::sin`].
    pub fn cos(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Cos)
    }

    /// The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.
    pub fn erf(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Erf)
    }

    /// e^x.
    pub fn exp(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Exp)
    }

    /// The natural logarithm.
    pub fn log(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Log)
    }

    /// The square root.
    pub fn sqrt(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Sqrt)
    }

    /// 1 / sqrt(x).
    pub fn rsqrt(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Rsqrt)
    }

    /// x^2.
    pub fn square(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Square)
    }

    /// x^p, by the simplest function that is it.
    pub fn pow(&mut self, x: Value, p: f32) -> Result<Value> {
        match p {
            1.0 => Ok(x),
            2.0 => self.unary(x, Square),
            0.5 => self.unary(x, Sqrt),
            -0.5 => self.unary(x, Rsqrt),
            -1.0 => self.unary(x, Reciprocal),
            3.0 => {
                let square = self.square(x)?;
                self.mul(square, x)
            }
            -2.0 | -3.0 => {
                let power = self.pow(x, -p)?;
                self.unary(power, Reciprocal)
            }
            _ => self.unary(x, Pow(p)),
        }
    }
}

// Shape rule.

impl Op for Unary {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), "x", inputs[0])?;
        self.0.check()?;
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let passes = |x: f64| x.is_nan() && self.0 != Sign;
        let f = |&x: &f64| if passes(x) { x } else { self.0.apply(x) };
        let y = inputs[0].floats().iter().map(f).collect();
        vec![Array::float(inputs[0].shape().clone(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let (x, y, dy) = (at.inputs[0], at.outputs[0], dy[0]);
        let grad = UnaryGrad(self.0);
        let dx = match (self.0, grad.saves()) {
            (_, Some(Saved::X)) => g.apply1(grad, &[x, dy])?,
            (_, Some(Saved::Y)) => g.apply1(grad, &[y, dy])?,
            (Scale(a), None) => g.scale(dy, a)?,
            (Exp, None) => g.mul(dy, y)?,
            (Log, None) => g.div(dy, x)?,
            (Sqrt, None) => {
                let half = g.scale(dy, 0.5)?;
                g.div(half, y)?
            }
            // Of x^-1 -y^2, of x^(-1/2) -y^3 / 2: without the roundings of a power.
            (Reciprocal, None) => {
                let slope = g.square(y)?;
                let minus = g.neg(dy)?;
                g.mul(minus, slope)?
            }
            (Rsqrt, None) => {
                let square = g.square(y)?;
                let slope = g.mul(square, y)?;
                let half = g.scale(dy, -0.5)?;
                g.mul(half, slope)?
            }
            // x^0 is 1 everywhere, at 0 too, where x^-1 is infinite.
            (Pow(0.0) | Sign | Floor | Ceil | Round, None) => {
                let shape = g.shape(x)?.clone();
                g.fill(shape, 0.0)?
            }
            (Sin, None) => {
                let slope = g.cos(x)?;
                g.mul(dy, slope)?
            }
            (Cos, None) => {
                let slope = g.sin(x)?;
                let minus = g.neg(dy)?;
                g.mul(minus, slope)?
            }
            // 2 / sqrt(pi) exp(-x^2).
            (Erf, None) => {
                let square = g.square(x)?;
                let minus = g.neg(square)?;
                let bell = g.exp(minus)?;
                let scaled = g.scale(dy, std::f64::consts::FRAC_2_SQRT_PI)?;
                g.mul(scaled, bell)?
            }
            // The derivative of x^p is p * x^(p - 1).
            (function, None) => {
                let p = match function {
                    Square => 2.0,
                    Pow(p) => p,
                    _ => 1.0,
                };
                let power = g.pow(x, p - 1.0)?;
                let scaled = g.scale(dy, p)?;
                g.mul(scaled, power)?
            }
        };
        Ok(vec![Some(dx)])
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(0, 0)]
    }

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0])
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (number, k) = self.0.kernel();
        for (part, rows) in io.output_parts[0].iter().enumerate() {
            let quads = quads(&io.outputs[0], rows.rows);
            let kernel = form([&UNARY, &UNARY_IN_PLACE], io);
            let dispatch = Dispatch::new(kernel, VARIANTS[number]);
            let dispatch = bind_places(dispatch, io, 0, part).param("quads", quads);
            out.push(constants(dispatch, k).workgroups(quads.div_ceil(WORKGROUP)));
        }
        Ok(())
    }
}

impl Op for UnaryGrad {
    fn name(&self) -> &'static str {
        match self.0 {
            Relu => "relu_grad",
            Hardtanh { .. } => "hardtanh_grad",
            Clamp { .. } => "clamp_grad",
            LeakyRelu { .. } => "leaky_relu_grad",
            Elu { .. } => "elu_grad",
            Selu => "selu_grad",
            Celu { .. } => "celu_grad",
            Gelu | GeluTanh => "gelu_grad",
            Silu => "silu_grad",
            Mish => "mish_grad",
            Sigmoid => "sigmoid_grad",
            Tanh => "tanh_grad",
            Softplus { .. } => "softplus_grad",
            Softsign => "softsign_grad",
            Hardsigmoid => "hardsigmoid_grad",
            Hardswish => "hardswish_grad",
            Abs => "abs_grad",
            Scale(_) | Exp | Log | Sqrt | Rsqrt | Reciprocal | Square | Pow(_) => "unary_grad",
            Sign | Floor | Ceil | Round | Sin | Cos | Erf => "unary_grad",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), "saved", inputs[0])?;
        expect_type(self.name(), "dy", inputs[1], inputs[0])?;
        self.0.check()?;
        if self.saves().is_none() {
            return Err(Error::graph(format!(
                "{}: {:?} has a gradient made of other ops",
                self.name(),
                self.0
            )));
        }
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let pairs = inputs[0].floats().iter().zip(inputs[1].floats());
        let dx = pairs.map(|(&saved, &dy)| self.0.gradient(saved, dy));
        vec![Array::float(inputs[0].shape().clone(), dx.collect())]
    }

    // Gradient.

    /// Linear in dy. The derivative of a function that is linear piece by piece does not change
    /// with x.
    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        match self.0 {
            Relu | Hardtanh { .. } | Clamp { .. } | LeakyRelu { .. } | Hardsigmoid | Abs => {
                Ok(vec![None, Some(g.apply1(*self, &[at.inputs[0], dy[0]])?)])
            }
            _ => Err(no_second_derivative(self.0.name())),
        }
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(0, 0)]
    }

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0, 1])
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (number, k) = self.0.kernel();
        // The clamp, through which no NaN of x passes, comes last; the first function has none.
        let variant = match self.0 {
            Clamp { .. } => GRAD_VARIANTS.len() - 1,
            _ => number - 1,
        };
        let kernels = [&UNARY_GRAD, &UNARY_GRAD_IN_PLACE];
        lower_same(kernels, GRAD_VARIANTS[variant], k, io, out);
        Ok(())
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
    function::<6>(),
    function::<7>(),
    function::<8>(),
    function::<9>(),
    function::<10>(),
    function::<11>(),
    function::<12>(),
    function::<13>(),
    function::<14>(),
    function::<15>(),
    function::<16>(),
    function::<17>(),
    function::<18>(),
    function::<19>(),
    function::<20>(),
    function::<21>(),
    function::<22>(),
    function::<23>(),
    function::<24>(),
    function::<25>(),
    function::<26>(),
    function::<27>(),
    function::<28>(),
    function::<29>(),
];
/// Of the functions 1 to 15, then of clamp.
const GRAD_VARIANTS: &[Overrides] = &[
    function::<1>(),
    function::<2>(),
    function::<3>(),
    function::<4>(),
    function::<5>(),
    function::<6>(),
    function::<7>(),
    function::<8>(),
    function::<9>(),
    function::<10>(),
    function::<11>(),
    function::<12>(),
    function::<13>(),
    function::<14>(),
    function::<15>(),
    function::<0>(),
];

static UNARY: Kernel = Kernel::new(
    "unary",
    &[
        source!("elementwise/unary"),
        source!("lib/separate"),
        source!("elementwise/unary_function"),
        source!("lib/special"),
    ],
    VARIANTS,
);
static UNARY_IN_PLACE: Kernel = Kernel::new(
    "unary_in_place",
    &[
        source!("elementwise/unary"),
        source!("lib/in_place"),
        source!("elementwise/unary_function"),
        source!("lib/special"),
    ],
    VARIANTS,
);
static UNARY_GRAD: Kernel = Kernel::new(
    "unary_grad",
    &[
        source!("elementwise/binary"),
        source!("lib/separate"),
        source!("elementwise/unary_gradient"),
        source!("lib/special"),
    ],
    GRAD_VARIANTS,
);
static UNARY_GRAD_IN_PLACE: Kernel = Kernel::new(
    "unary_grad_in_place",
    &[
        source!("elementwise/binary"),
        source!("lib/in_place"),
        source!("elementwise/unary_gradient"),
        source!("lib/special"),
    ],
    GRAD_VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] =
    &[&UNARY, &UNARY_IN_PLACE, &UNARY_GRAD, &UNARY_GRAD_IN_PLACE];
