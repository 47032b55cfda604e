//! The functions of one value that [`Unary`](crate::ops::Unary) applies: names, constants,
//! formulas, derivatives.
//!
//! NaN gives NaN, but for sign. An infinity gives the limit, except where PyTorch's formula
//! multiplies an infinity by 0 and gives NaN: gelu, silu, mish and hard swish of -inf, softsign of
//! both, and the gradients of gelu, silu and mish at both.

use crate::error::{Error, Result};

use crate::ops::elementwise::special::{erf, log1p_exp, normal_cdf, normal_density, sigmoid};

// Parameters.

/// An elementwise function of one value, with PyTorch's names; the constants below hold its
/// defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UnaryFunction {
    /// a * x, with a as given in the reference and rounded to `f32` on a GPU.
    Scale(f64),
    /// max(x, 0).
    Relu,
    /// min(max(x, min), max), constant from the bounds on.
    Hardtanh {
        /// Lower bound.
        min: f32,
        /// Upper bound, at least `min`.
        max: f32,
    },
    /// min(max(x, min), max), constant from the bounds on, as [`Hardtanh`]; NaN has no gradient.
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
    /// 1, -1 or, for zeros and NaN, 0; the gradient is 0.
    Sign,
    /// The largest integer that is not above x; the gradient is 0.
    Floor,
    /// The smallest integer that is not below x; the gradient is 0.
    Ceil,
    /// The nearest integer, the even one of two that are as near; the gradient is 0.
    Round,
    /// The sine of x in radians; NaN for infinities.
    Sin,
    /// The cosine of x in radians; NaN for infinities.
    Cos,
    /// The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.
    Erf,
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

// Shape rule.

impl UnaryFunction {
    pub(in crate::ops) fn name(&self) -> &'static str {
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
            Sign => "sign",
            Floor => "floor",
            Ceil => "ceil",
            Round => "round",
            Sin => "sin",
            Cos => "cos",
            Erf => "erf",
        }
    }

    /// Fails for constants with which the formula says nothing.
    pub(in crate::ops) fn check(&self) -> Result<()> {
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

// Reference.

/// Alpha and scale of selu.
const SELU: [f64; 2] = [1.673_263_242_354_377_2, 1.050_700_987_355_480_5];

impl UnaryFunction {
    /// The function of a number that is not NaN, or of NaN where that does not give NaN.
    pub(in crate::ops) fn apply(&self, x: f64) -> f64 {
        let of = f64::from;
        let elu = |alpha: f64, scale: f64, inner: f64| match x > 0.0 {
            true => scale * x,
            false => scale * alpha * (inner * x).exp_m1(),
        };
        match *self {
            Scale(a) => a * x,
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
            Sign if x > 0.0 => 1.0,
            Sign if x < 0.0 => -1.0,
            Sign => 0.0,
            Floor => x.floor(),
            Ceil => x.ceil(),
            Round => x.round_ties_even(),
            Sin => x.sin(),
            Cos => x.cos(),
            Erf => erf(x),
        }
    }

    /// dx from dy, and x or y: see `UnaryGrad::saves`.
    pub(in crate::ops) fn gradient(&self, saved: f64, dy: f64) -> f64 {
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
            Clamp { min, max } => if_not(!(x > of(min) && x < of(max)), dy),
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
            Sign | Floor | Ceil | Round | Sin | Cos | Erf => f64::NAN,
        }
    }

    /// The number of the forward function in the kernels, and its constants.
    pub(in crate::ops) fn kernel(&self) -> (usize, [f32; 3]) {
        let [alpha, scale] = SELU.map(|x| x as f32);
        match *self {
            Scale(a) => (0, [a as f32, 0.0, 0.0]),
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
            Sign => (23, [0.0; 3]),
            Floor => (24, [0.0; 3]),
            Ceil => (25, [0.0; 3]),
            Round => (26, [0.0; 3]),
            Sin => (27, [0.0; 3]),
            Cos => (28, [0.0; 3]),
            Erf => (29, [0.0; 3]),
        }
    }
}

/// sqrt(2 / pi).
const GELU_SCALE: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;

/// The argument of tanh in gelu's approximation.
fn gelu_inner(x: f64) -> f64 {
    GELU_SCALE * x * (1.0 + 0.044715 * x * x)
}
