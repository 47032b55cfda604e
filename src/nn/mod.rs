//! Layers as thin builders over the graph, named as in PyTorch's `torch.nn`.
//!
//! A module is a recipe: it holds sizes, no state. [`Module::build`] appends its ops to the graph
//! of a context ([`Build`]) and declares its parameters there by name (`conv1.weight`, `fc1.bias`,
//! as in a `state_dict`). A parameter that the graph has already is used again: a module built
//! twice under one name shares its weights.
//!
//! ```
//! use striate::nn::{Build, Conv2d, Flatten, Linear, MaxPool2d, Module, Relu, Sequential};
//! use striate::prelude::*;
//!
//! # fn main() -> Result<()> {
//! let net = Sequential::new()
//!     .named("conv", Conv2d::new(1, 8, 3).padding(1))
//!     .then(Relu)
//!     .then(MaxPool2d::new(2))
//!     .then(Flatten)
//!     .named("fc", Linear::new(8 * 14 * 14, 10));
//!
//! let mut g = Graph::new();
//! let images = g.input("images", Type::f32([5, 1, 28, 28]))?;
//! let logits = net.build(&mut Build::eval(&mut g), images)?;
//! assert_eq!(g.shape(logits)?[..], [5, 10]);
//! assert!(g.find_state("conv.weight").is_some());
//! # Ok(())
//! # }
//! ```

mod activation;
mod build;
mod conv;
pub mod init;
mod mirrored;
mod norm;
mod pool;
mod resize;
mod squeeze;

use std::fmt::Debug;

use crate::error::Result;
use crate::graph::Value;
use crate::shape::Shape;
use init::Scheme;

pub use activation::{Activation, LogSoftmax, PRelu, Softmax};
pub use build::{Build, FromFn, Output, from_fn};
pub use conv::{
    Conv, Conv1d, Conv2d, Conv3d, ConvLayer, ConvOptions, ConvTranspose, ConvTranspose1d,
    ConvTranspose2d, ConvTranspose3d, ConvTransposeOptions,
};
pub use mirrored::Mirrored;
pub use norm::{
    BatchNorm, BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm, InstanceNorm, InstanceNorm1d,
    InstanceNorm2d, InstanceNorm3d, LayerNorm, LocalResponseNorm, RmsNorm,
};
pub use pool::*;
pub use resize::{InterpolateMode, Pad, PixelShuffle, PixelUnshuffle, Upsample};
pub use squeeze::SqueezeExcite;

/// What a graph is for. Modules such as dropout differ between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Gradients will be taken.
    Train,
    /// Only the outputs count.
    Eval,
}

/// Something that turns one value into another, with parameters named after it.
pub trait Module: Debug {
    /// Appends the module to the graph of the context. Its parameters are called after the layer at
    /// hand: `conv1.weight`, or `weight` outside of all layers.
    ///
    /// # Errors
    /// What building its ops returns, with the name of the layer in front.
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value>;

    /// The name by which [`models::by_name`](crate::models::by_name) makes this network, if it
    /// does: so a file can say what it holds.
    fn known_as(&self) -> Option<&str> {
        None
    }
}

/// y = x weight^T + bias over the last axis, with parameters `weight` `[out_features, in_features]`
/// and `bias` `[out_features]`.
#[derive(Debug, Clone)]
pub struct Linear {
    /// Extent of the last axis of x.
    pub in_features: usize,
    /// Extent of the last axis of y.
    pub out_features: usize,
    /// Whether there is a bias; it begins as U(-b, b) with b = 1 / sqrt(in_features).
    pub bias: bool,
    /// How the weight begins.
    pub init: Scheme,
}

impl Linear {
    /// With bias.
    pub fn new(in_features: usize, out_features: usize) -> Self {
        Self {
            in_features,
            out_features,
            bias: true,
            init: Scheme::Default,
        }
    }

    /// Whether there is a bias.
    pub fn bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Draws the weight differently.
    pub fn init(mut self, scheme: Scheme) -> Self {
        self.init = scheme;
        self
    }
}

impl Module for Linear {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("Linear", |cx| {
            let shape = [self.out_features, self.in_features].into();
            let bias = self.bias.then_some(self.out_features);
            let (weight, bias) = weight_and_bias(cx, &shape, &self.init, bias)?;
            cx.graph().linear(x, weight, bias)
        })
    }
}

/// The parameters `weight` of this shape and, if wanted, `bias` of so many elements, drawn by the
/// weight's fan in.
fn weight_and_bias(
    cx: &mut Build,
    shape: &Shape,
    scheme: &Scheme,
    bias: Option<usize>,
) -> Result<(Value, Option<Value>)> {
    let weight = cx.parameter("weight", shape.clone(), scheme.init(shape)?)?;
    let bias = match bias {
        Some(count) => {
            let init = Scheme::Default.init(shape)?;
            Some(cx.parameter("bias", [count], init)?)
        }
        None => None,
    };
    Ok((weight, bias))
}

/// max(x, 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Relu;

impl Module for Relu {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("Relu", |cx| cx.graph().relu(x))
    }
}

/// In training, each element zeroed with probability `p` and the others scaled by 1 / (1 - p), anew
/// in each step of the graph's clock; nothing else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability of zero, in [0, 1).
    pub p: f32,
}

impl Dropout {
    /// Zeroes with probability `p`, in [0, 1).
    pub fn new(p: f32) -> Self {
        Self { p }
    }
}

impl Module for Dropout {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("Dropout", |cx| {
            if cx.mode() == Mode::Eval {
                return Ok(x);
            }
            let clock = cx.graph().clock()?;
            cx.graph().dropout(x, self.p, clock)
        })
    }
}

/// As [`Dropout`], for whole feature maps of `[n, c, ...]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout2d {
    /// Probability of zero, in [0, 1).
    pub p: f32,
}

impl Dropout2d {
    /// Zeroes with probability `p`, in [0, 1).
    pub fn new(p: f32) -> Self {
        Self { p }
    }
}

impl Module for Dropout2d {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("Dropout2d", |cx| {
            if cx.mode() == Mode::Eval {
                return Ok(x);
            }
            let clock = cx.graph().clock()?;
            cx.graph().dropout2d(x, self.p, clock)
        })
    }
}

/// All axes from the second on as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flatten;

impl Module for Flatten {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("Flatten", |cx| cx.graph().flatten(x, 1))
    }
}

impl<M: Module + ?Sized> Module for &M {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        (**self).build(cx, x)
    }

    fn known_as(&self) -> Option<&str> {
        (**self).known_as()
    }
}

impl<M: Module + ?Sized> Module for Box<M> {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        (**self).build(cx, x)
    }

    fn known_as(&self) -> Option<&str> {
        (**self).known_as()
    }
}

/// Modules one after the other.
#[derive(Debug, Default)]
pub struct Sequential {
    children: Vec<(String, Box<dyn Module>)>,
}

impl Sequential {
    /// No modules: the identity.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a module that is called by its number, as in PyTorch.
    pub fn then(self, module: impl Module + 'static) -> Self {
        let number = self.children.len().to_string();
        self.named(&number, module)
    }

    /// Appends a module of this name.
    pub fn named(mut self, name: &str, module: impl Module + 'static) -> Self {
        self.children.push((name.to_owned(), Box::new(module)));
        self
    }
}

impl Module for Sequential {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        let mut children = self.children.iter();
        children.try_fold(x, |x, (child, module)| cx.layer(child, &**module, x))
    }
}
