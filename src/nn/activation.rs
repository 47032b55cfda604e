//! Activations as modules.
//!
//! A function of one value is a module itself, under the name [`Activation`]: `Activation::Relu`,
//! `Activation::LEAKY_RELU` with PyTorch's default, `Activation::LeakyRelu { negative_slope: 0.2
//! }`.

use super::{Build, Module};
use crate::error::Result;
use crate::graph::{Init, Value};
use crate::ops::Dim;

pub use crate::ops::UnaryFunction as Activation;

impl Module for Activation {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("Activation", |cx| cx.graph().unary(x, *self))
    }
}

/// x, or a learned slope times x for x <= 0: one slope for all, or one for each channel of `[n, c,
/// ...]`. Its parameter is `weight`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PRelu {
    /// How many slopes: 1, or the channels.
    pub num_parameters: usize,
    /// What they begin as.
    pub init: f32,
}

impl Default for PRelu {
    /// One slope that begins as 0.25.
    fn default() -> Self {
        Self {
            num_parameters: 1,
            init: 0.25,
        }
    }
}

impl Module for PRelu {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("PRelu", |cx| {
            let init = Init::Constant(self.init);
            let weight = cx.parameter("weight", [self.num_parameters], init)?;
            cx.graph().prelu(x, weight)
        })
    }
}

/// exp(x) / sum(exp(x)) over an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softmax {
    /// The axis.
    pub dim: Dim,
}

impl Softmax {
    /// Over the axis of this number, from the last one on if it is negative.
    pub fn new(dim: impl Into<Dim>) -> Self {
        Self { dim: dim.into() }
    }
}

impl Module for Softmax {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("Softmax", |cx| cx.graph().softmax(x, self.dim))
    }
}

/// The logarithm of [`Softmax`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSoftmax {
    /// The axis.
    pub dim: Dim,
}

impl LogSoftmax {
    /// Over the axis of this number, from the last one on if it is negative.
    pub fn new(dim: impl Into<Dim>) -> Self {
        Self { dim: dim.into() }
    }
}

impl Module for LogSoftmax {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("LogSoftmax", |cx| cx.graph().log_softmax(x, self.dim))
    }
}
