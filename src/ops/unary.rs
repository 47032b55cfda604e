//! Functions of one value, elementwise: activations, powers, exponentials.
//!
//! NaN gives NaN. An infinity gives the limit, except where PyTorch's formula multiplies an infinity by 0 and gives NaN: gelu, silu,
//! mish and hard swish of -inf, softsign of both, and the gradients of those at both.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Split, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides};
use crate::shape::Type;
use crate::tensor::Array;

use super::binary::lower_same;
use super::elementwise::{WORKGROUP, constants, function};
use super::special::{log1p_exp, normal_cdf, normal_density, sigmoid};
use super::{expect_f32, expect_inputs, expect_type, quads};

// Parameters and builder.

/// An elementwise function of one value, with PyTorch's names; the constants below hold its defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UnaryFunction {
    /// a * x.
    Scale(f32),
    /// max(x, 0).
    Relu,
    /// min(max(x, min), max), constant from the bounds on.
    Hardtanh {
        /// Lower bound.
        min: f32,
        /// Upper bound, at least `min`.
        max: f32,
    },
    /// min(max(x, min), max), with a gradient at the bounds themselves.
    Clamp {
        /// Lower bound.
        min: f32,
        /// Upper bound; where it is less than `min`, everything becomes `max`.
        max: f32,
    },
    /// x, or negative_slope * x for x <= 0.
    LeakyRelu {
        /// Slope of the negative side.
        negative_slope: f32,
    },
    /// x, or alpha * (exp(x) - 1) for x <= 0.
    Elu {
        /// What large negative numbers go to, negated.
        alpha: f32,
    },
    /// scale * elu(x, alpha) with the constants of Klambauer et al. 2017.
    Selu,
    /// x, or alpha * (exp(x / alpha) - 1) for x <= 0.
    Celu {
        /// Not 0.
        alpha: f32,
    },
    /// x * the distribution function of N(0, 1): `gelu(approximate="none")`.
    Gelu,
    /// 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))): `gelu(approximate="tanh")`.
    GeluTanh,
    /// x * sigmoid(x).
    Silu,
    /// x * tanh(log(1 + exp(x))).
    Mish,
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// (exp(x) - exp(-x)) / (exp(x) + exp(-x)).
    Tanh,
    /// log(1 + exp(beta * x)) / beta, or x where beta * x is above the threshold.
    Softplus {
        /// Not 0.
        beta: f32,
        /// From where on it is the identity.
        threshold: f32,
    },
    /// x / (1 + |x|).
    Softsign,
    /// min(max(x + 3, 0), 6) / 6.
    Hardsigmoid,
    /// x * min(max(x + 3, 0), 6) / 6.
    Hardswish,
    /// |x|; the gradient at 0 is 0.
    Abs,
    /// e^x.
    Exp,
    /// Natural logarithm.
    Log,
    /// Square root.
    Sqrt,
    /// 1 / sqrt(x).
    Rsqrt,
    /// 1 / x.
    Reciprocal,
    /// x^2.
    Square,
    /// x^p; NaN for negative x unless p is an integer.
    Pow(f32),
}

use UnaryFunction::*;

impl UnaryFunction {
    /// min(max(x, 0), 6).
    pub const RELU6: Self = Hardtanh { min: 0.0, max: 6.0 };
    /// Between -1 and 1.
    pub const HARDTANH: Self = Hardtanh {
        min: -1.0,
        max: 1.0,
    };
    /// Slope 0.01.
    pub const LEAKY_RELU: Self = LeakyRelu {
        negative_slope: 0.01,
    };
    /// Alpha 1.
    pub const ELU: Self = Elu { alpha: 1.0 };
    /// Alpha 1.
    pub const CELU: Self = Celu { alpha: 1.0 };
    /// Beta 1, threshold 20.
    pub const SOFTPLUS: Self = Softplus {
        beta: 1.0,
        threshold: 20.0,
    };
}

/// Applies a [`UnaryFunction`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unary(pub UnaryFunction);

/// The gradient of a [`UnaryFunction`]: dx from what was saved, x or y as [`UnaryGrad::saves`] says, and dy.
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
            Scale(_) | Exp | Log | Sqrt | Rsqrt | Reciprocal | Square | Pow(_) => None,
        }
    }
}

impl Graph {
    /// A function of each element of `x`.
    pub fn unary(&mut self, x: Value, function: UnaryFunction) -> Result<Value> {
        self.add1(Unary(function), &[x])
    }

    /// max(x, 0).
    pub fn relu(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Relu)
    }

    /// min(max(x, 0), 6).
    pub fn relu6(&mut self, x: Value) -> Result<Value> {
        self.unary(x, UnaryFunction::RELU6)
    }

    /// min(max(x, min), max).
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

    /// a * x.
    pub fn scale(&mut self, x: Value, a: f32) -> Result<Value> {
        self.unary(x, Scale(a))
    }

    /// -x.
    pub fn neg(&mut self, x: Value) -> Result<Value> {
        self.scale(x, -1.0)
    }

    /// |x|.
    pub fn abs(&mut self, x: Value) -> Result<Value> {
        self.unary(x, Abs)
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
            _ => self.unary(x, Pow(p)),
        }
    }
}

// Shape rule.

impl UnaryFunction {
    fn name(&self) -> &'static str {
        match self {
            Scale(_) => "scale",
            Relu => "relu",
            Hardtanh { .. } => "hardtanh",
            Clamp { .. } => "clamp",
            LeakyRelu { .. } => "leaky_relu",
            Elu { .. } => "elu",
            Selu => "selu",
            Celu { .. } => "celu",
            Gelu | GeluTanh => "gelu",
            Silu => "silu",
            Mish => "mish",
            Sigmoid => "sigmoid",
            Tanh => "tanh",
            Softplus { .. } => "softplus",
            Softsign => "softsign",
            Hardsigmoid => "hardsigmoid",
            Hardswish => "hardswish",
            Abs => "abs",
            Exp => "exp",
            Log => "log",
            Sqrt => "sqrt",
            Rsqrt => "rsqrt",
            Reciprocal => "reciprocal",
            Square => "square",
            Pow(_) => "pow",
        }
    }

    /// Fails for constants with which the formula says nothing.
    fn check(&self) -> Result<()> {
        let refused = match *self {
            Hardtanh { min, max } if min > max || min.is_nan() || max.is_nan() => {
                format!("min {min} is not below max {max}")
            }
            Clamp { min, max } if min.is_nan() || max.is_nan() => {
                format!("min {min} or max {max} is no number")
            }
            Celu { alpha: 0.0 } => "alpha is 0".to_owned(),
            Softplus { beta: 0.0, .. } => "beta is 0".to_owned(),
            _ => return Ok(()),
        };
        Err(Error::shape(format!("{}: {refused}", self.name())))
    }
}

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
        let f = |&x: &f64| if x.is_nan() { x } else { self.0.apply(x) };
        let y = inputs[0].floats().iter().map(f).collect();
        vec![Array::float(inputs[0].shape().clone(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let (x, y, dy) = (at.inputs[0], at.outputs[0], dy[0]);
        let grad = UnaryGrad(self.0);
        let dx = match (self.0, grad.saves()) {
            (_, Some(Saved::X)) => g.add1(grad, &[x, dy])?,
            (_, Some(Saved::Y)) => g.add1(grad, &[y, dy])?,
            (Scale(a), None) => g.scale(dy, a)?,
            (Exp, None) => g.mul(dy, y)?,
            (Log, None) => g.div(dy, x)?,
            (Sqrt, None) => {
                let half = g.scale(dy, 0.5)?;
                g.div(half, y)?
            }
            // The derivative of x^p is p * x^(p - 1).
            (function, None) => {
                let p = match function {
                    Rsqrt => -0.5,
                    Reciprocal => -1.0,
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

    fn split(&self) -> Split {
        Split::Rows(&[0])
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (number, k) = self.0.kernel();
        for (part, rows) in io.output_parts[0].iter().enumerate() {
            let quads = quads(&io.outputs[0], rows.rows);
            let dispatch = match io.in_place[0] {
                Some(_) => Dispatch::new(&UNARY_IN_PLACE, VARIANTS[number]),
                None => Dispatch::new(&UNARY, VARIANTS[number])
                    .read(Operand::Input(0))
                    .part(part),
            };
            let dispatch = dispatch
                .write(Operand::Output(0))
                .part(part)
                .param("quads", quads);
            out.push(constants(dispatch, k).workgroups(quads.div_ceil(WORKGROUP)));
        }
        Ok(())
    }
}

/// Alpha and scale of selu.
const SELU: [f64; 2] = [1.673_263_242_354_377_2, 1.050_700_987_355_480_5];

impl UnaryFunction {
    /// The function of a number that is not NaN.
    fn apply(&self, x: f64) -> f64 {
        let of = f64::from;
        let elu = |alpha: f64, scale: f64, inner: f64| match x > 0.0 {
            true => scale * x,
            false => scale * alpha * (inner * x).exp_m1(),
        };
        match *self {
            Scale(a) => of(a) * x,
            Relu => x.max(0.0),
            Hardtanh { min, max } | Clamp { min, max } => x.max(of(min)).min(of(max)),
            LeakyRelu { negative_slope } => match x > 0.0 {
                true => x,
                false => of(negative_slope) * x,
            },
            Elu { alpha } => elu(of(alpha), 1.0, 1.0),
            Selu => elu(SELU[0], SELU[1], 1.0),
            Celu { alpha } => elu(of(alpha), 1.0, 1.0 / of(alpha)),
            Gelu => x * normal_cdf(x),
            GeluTanh => x * sigmoid(2.0 * gelu_inner(x)),
            Silu => x * sigmoid(x),
            Mish => x * log1p_exp(x).tanh(),
            Sigmoid => sigmoid(x),
            Tanh => x.tanh(),
            Softplus { beta, threshold } => match of(beta) * x > of(threshold) {
                true => x,
                false => log1p_exp(of(beta) * x) / of(beta),
            },
            Softsign => x / (1.0 + x.abs()),
            Hardsigmoid => (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Hardswish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Abs => x.abs(),
            Exp => x.exp(),
            Log => x.ln(),
            Sqrt => x.sqrt(),
            Rsqrt => 1.0 / x.sqrt(),
            Reciprocal => 1.0 / x,
            Square => x * x,
            Pow(p) => x.powf(of(p)),
        }
    }

    /// dx from dy, and x or y: see [`UnaryGrad::saves`].
    fn gradient(&self, saved: f64, dy: f64) -> f64 {
        let of = f64::from;
        let (x, y) = (saved, saved);
        // Where a function is constant nothing of dy passes, not even NaN.
        let if_not = |constant: bool, dx: f64| if constant { 0.0 } else { dx };
        let elu = |alpha: f64, scale: f64, inner: f64| match x > 0.0 {
            true => scale * dy,
            false => dy * (scale * alpha * inner * (inner * x).exp()),
        };
        match *self {
            Relu => if_not(y <= 0.0, dy),
            Hardtanh { min, max } => if_not(y <= of(min) || y >= of(max), dy),
            Clamp { min, max } => if_not(!(of(min)..=of(max)).contains(&x), dy),
            LeakyRelu { negative_slope } => match saved > 0.0 {
                true => dy,
                false => of(negative_slope) * dy,
            },
            Elu { alpha } => elu(of(alpha), 1.0, 1.0),
            Selu => elu(SELU[0], SELU[1], 1.0),
            Celu { alpha } => elu(of(alpha), 1.0, 1.0 / of(alpha)),
            Gelu => dy * (normal_cdf(x) + x * normal_density(x)),
            GeluTanh => {
                let (z, dz) = (
                    2.0 * gelu_inner(x),
                    2.0 * GELU_SCALE * (1.0 + 0.134145 * x * x),
                );
                dy * (sigmoid(z) + x * (sigmoid(z) * sigmoid(-z) * dz))
            }
            Silu => dy * sigmoid(x) * (1.0 + x * sigmoid(-x)),
            Mish => {
                let t = log1p_exp(x).tanh();
                dy * (t + x * ((1.0 - t * t) * sigmoid(x)))
            }
            Sigmoid => dy * y * (1.0 - y),
            Tanh => dy * (1.0 - y * y),
            Softplus { beta, threshold } => match of(beta) * x > of(threshold) {
                true => dy,
                false => dy * sigmoid(of(beta) * x),
            },
            Softsign => dy / (1.0 + x.abs()).powi(2),
            Hardsigmoid => if_not(!(x > -3.0 && x < 3.0), dy / 6.0),
            Hardswish => match x < 3.0 {
                true => if_not(x <= -3.0, dy * (x / 3.0 + 0.5)),
                false => dy,
            },
            Abs if x > 0.0 => dy,
            Abs if x < 0.0 => -dy,
            Abs => 0.0,
            // Built from other ops.
            Scale(_) | Exp | Log | Sqrt | Rsqrt | Reciprocal | Square | Pow(_) => f64::NAN,
        }
    }

    /// The number of the forward function in the kernels, and its constants.
    fn kernel(&self) -> (usize, [f32; 3]) {
        let [alpha, scale] = SELU.map(|x| x as f32);
        match *self {
            Scale(a) => (0, [a, 0.0, 0.0]),
            Relu => (1, [0.0; 3]),
            Hardtanh { min, max } | Clamp { min, max } => (2, [min, max, 0.0]),
            // x^0 is 1.
            Pow(0.0) => (2, [1.0, 1.0, 0.0]),
            LeakyRelu { negative_slope } => (3, [negative_slope, 0.0, 0.0]),
            Elu { alpha } => (4, [alpha, 1.0, 1.0]),
            Selu => (4, [alpha * scale, scale, 1.0]),
            Celu { alpha } => (4, [alpha, 1.0, 1.0 / alpha]),
            Gelu => (5, [0.0; 3]),
            GeluTanh => (6, [0.0; 3]),
            Silu => (7, [0.0; 3]),
            Mish => (8, [0.0; 3]),
            Sigmoid => (9, [0.0; 3]),
            Tanh => (10, [0.0; 3]),
            Softplus { beta, threshold } => (11, [beta, threshold, 0.0]),
            Softsign => (12, [0.0; 3]),
            Hardsigmoid => (13, [0.0; 3]),
            Hardswish => (14, [0.0; 3]),
            Abs => (15, [0.0; 3]),
            Exp => (16, [0.0; 3]),
            Log => (17, [0.0; 3]),
            Sqrt => (18, [0.0; 3]),
            Rsqrt => (19, [0.0; 3]),
            Reciprocal => (20, [0.0; 3]),
            Square => (21, [0.0; 3]),
            Pow(p) => {
                let negative = match p.rem_euclid(2.0) {
                    0.0 => 1.0,
                    1.0 => -1.0,
                    _ => f32::NAN,
                };
                (22, [p, negative, 0.0])
            }
        }
    }
}

/// sqrt(2 / pi).
const GELU_SCALE: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;

/// The argument of tanh in gelu's approximation.
fn gelu_inner(x: f64) -> f64 {
    GELU_SCALE * x * (1.0 + 0.044715 * x * x)
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

    /// Linear in dy. The derivative of a function that is linear piece by piece does not change with x.
    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        match self.0 {
            Relu | Hardtanh { .. } | Clamp { .. } | LeakyRelu { .. } | Hardsigmoid | Abs => {
                Ok(vec![None, Some(g.add1(*self, &[at.inputs[0], dy[0]])?)])
            }
            _ => Err(Error::new(
                ErrorKind::NotDifferentiable,
                format!("{}: second derivatives are not offered", self.0.name()),
            )),
        }
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(0, 0)]
    }

    fn split(&self) -> Split {
        Split::Rows(&[0, 1])
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (number, k) = self.0.kernel();
        // The clamp with a gradient at its bounds comes last, the first function has none.
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
    function::<23>(),
];

static UNARY: Kernel = Kernel::new(
    "unary",
    shader_files![
        "unary",
        "unary_separate",
        "unary_function",
        "lib/special",
        "lib/grid",
        "lib/float"
    ],
    VARIANTS,
);
static UNARY_IN_PLACE: Kernel = Kernel::new(
    "unary_in_place",
    shader_files![
        "unary",
        "unary_in_place",
        "unary_function",
        "lib/special",
        "lib/grid",
        "lib/float"
    ],
    VARIANTS,
);
static UNARY_GRAD: Kernel = Kernel::new(
    "unary_grad",
    shader_files![
        "binary",
        "binary_separate",
        "unary_gradient",
        "lib/special",
        "lib/grid",
        "lib/float"
    ],
    GRAD_VARIANTS,
);
static UNARY_GRAD_IN_PLACE: Kernel = Kernel::new(
    "unary_grad_in_place",
    shader_files![
        "binary",
        "binary_in_place",
        "unary_gradient",
        "lib/special",
        "lib/grid",
        "lib/float"
    ],
    GRAD_VARIANTS,
);

pub(super) const KERNELS: &[&Kernel] =
    &[&UNARY, &UNARY_IN_PLACE, &UNARY_GRAD, &UNARY_GRAD_IN_PLACE];
