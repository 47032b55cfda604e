//! Activations as modules.
//!
//! A function of one value is a module itself, under the name [`Activation`]: `Activation::Relu`,
//! `Activation::LEAKY_RELU` with PyTorch's default, `Activation::LeakyRelu { negative_slope: 0.2
//! }`.

use super::{Mode, Module, join, parameter, within};
use crate::error::Result;
use crate::graph::{Graph, Init, Value};
use crate::ops::Dim;

pub use crate::ops::UnaryFunction as Activation;

impl Module for Activation {
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        within(name, "Activation", || g.unary(x, *self))
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
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        within(name, "PRelu", || {
            let init = Init::Constant(self.init);
            let weight = parameter(g, &join(name, "weight"), [self.num_parameters], init)?;
            g.prelu(x, weight)
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
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        within(name, "Softmax", || g.softmax(x, self.dim))
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
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        within(name, "LogSoftmax", || g.log_softmax(x, self.dim))
    }
}
