//! Layers as thin builders over the graph, named as in PyTorch's `torch.nn`.
//!
//! A module is a recipe: it holds sizes, no state. [`Module::build`] appends its ops to a graph and
//! declares its parameters there by name (`conv1.weight`, `fc1.bias`, as in a `state_dict`). A
//! parameter that the graph has already is used again: a module built twice under one name shares
//! its weights.
//!
//! ```
//! use striate::nn::{Conv2d, Flatten, Linear, MaxPool2d, Mode, Module, Relu, Sequential};
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
//! let logits = net.build(&mut g, "", images, Mode::Eval)?;
//! assert_eq!(g.shape(logits)?[..], [5, 10]);
//! assert!(g.find_state("conv.weight").is_some());
//! # Ok(())
//! # }
//! ```

mod activation;
mod conv;
pub mod init;
mod norm;
mod pool;
mod resize;

use std::fmt::{self, Debug};

use crate::error::{Error, Result};
use crate::graph::{Graph, Init, Source, StateKind, Value};
use crate::shape::{Shape, Type};
use init::Scheme;

pub use activation::{Activation, LogSoftmax, PRelu, Softmax};
pub use conv::{
    Conv, Conv1d, Conv2d, Conv3d, ConvLayer, ConvOptions, ConvTranspose, ConvTranspose1d,
    ConvTranspose2d, ConvTranspose3d, ConvTransposeOptions,
};
pub use norm::{
    BatchNorm, BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm, InstanceNorm, InstanceNorm1d,
    InstanceNorm2d, InstanceNorm3d, LayerNorm, LocalResponseNorm, RmsNorm,
};
pub use pool::*;
pub use resize::{InterpolateMode, Pad, PixelShuffle, PixelUnshuffle, Upsample};

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
    /// Appends the module to the graph. Its parameters are called `name.weight` and so on; with an
    /// empty name, `weight`.
    fn build(&self, g: &mut Graph, name: &str, x: Value, mode: Mode) -> Result<Value>;
}

/// `name.child`, or `child` if the name is empty.
pub fn join(name: &str, child: &str) -> String {
    match name {
        "" => child.to_owned(),
        _ => format!("{name}.{child}"),
    }
}

/// What `build` makes, or its error with the name of a layer in front, or with its kind if it has
/// no name. An error that names the layer already, or one inside it, stays as it is.
pub fn within<T>(
    name: &str,
    kind: impl fmt::Display,
    build: impl FnOnce() -> Result<T>,
) -> Result<T> {
    build().map_err(|error| {
        let layer = match name {
            "" => kind.to_string(),
            _ => name.to_owned(),
        };
        let message = error.to_string();
        match message.strip_prefix(&layer) {
            Some(rest) if rest.starts_with([':', '.']) => error,
            _ => error.context(layer),
        }
    })
}

/// The parameter of this name: a new one, or the one that the graph has.
///
/// # Errors
/// `Graph` if the graph has a state of this name that is no parameter of this shape.
pub fn parameter(g: &mut Graph, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Value> {
    state(g, name, shape, StateKind::Parameter, init)
}

/// The `f32` state of this name and kind: a new one, or the one that the graph has.
///
/// # Errors
/// `Graph` if the graph has a state of this name that is of another kind or shape.
pub fn state(
    g: &mut Graph,
    name: &str,
    shape: impl Into<Shape>,
    kind: StateKind,
    init: Init,
) -> Result<Value> {
    let ty = Type::f32(shape);
    let Some(value) = g.find_state(name) else {
        return g.state(name, ty, kind, init, None);
    };
    if let Source::State(index) = *g.source(value)? {
        let state = &g.states()[index];
        if state.kind != kind || state.ty != ty {
            let what = format!("{kind:?}").to_lowercase();
            return Err(Error::graph(format!(
                "{what} \"{name}\" {ty}: the graph has a {:?} of this name, {}",
                state.kind, state.ty
            )));
        }
    }
    Ok(value)
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

    /// Without bias.
    pub fn without_bias(mut self) -> Self {
        self.bias = false;
        self
    }

    /// Draws the weight differently.
    pub fn init(mut self, scheme: Scheme) -> Self {
        self.init = scheme;
        self
    }
}

impl Module for Linear {
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        within(name, "Linear", || {
            let shape = [self.out_features, self.in_features].into();
            let bias = self.bias.then_some(self.out_features);
            let (weight, bias) = weight_and_bias(g, name, &shape, &self.init, bias)?;
            g.linear(x, weight, bias)
        })
    }
}

/// The parameters `name.weight` of this shape and, if wanted, `name.bias` of so many elements,
/// drawn by the weight's fan in.
fn weight_and_bias(
    g: &mut Graph,
    name: &str,
    shape: &Shape,
    scheme: &Scheme,
    bias: Option<usize>,
) -> Result<(Value, Option<Value>)> {
    let weight = parameter(g, &join(name, "weight"), shape.clone(), scheme.init(shape)?)?;
    let bias = match bias {
        Some(count) => {
            let init = Scheme::Default.init(shape)?;
            Some(parameter(g, &join(name, "bias"), [count], init)?)
        }
        None => None,
    };
    Ok((weight, bias))
}

/// max(x, 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Relu;

impl Module for Relu {
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        within(name, "Relu", || g.relu(x))
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
    fn build(&self, g: &mut Graph, name: &str, x: Value, mode: Mode) -> Result<Value> {
        within(name, "Dropout", || {
            if mode == Mode::Eval {
                return Ok(x);
            }
            let clock = g.clock()?;
            g.dropout(x, self.p, clock)
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
    fn build(&self, g: &mut Graph, name: &str, x: Value, mode: Mode) -> Result<Value> {
        within(name, "Dropout2d", || {
            if mode == Mode::Eval {
                return Ok(x);
            }
            let clock = g.clock()?;
            g.dropout2d(x, self.p, clock)
        })
    }
}

/// All axes from the second on as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flatten;

impl Module for Flatten {
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        within(name, "Flatten", || g.flatten(x, 1))
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
    fn build(&self, g: &mut Graph, name: &str, x: Value, mode: Mode) -> Result<Value> {
        self.children.iter().try_fold(x, |x, (child, module)| {
            let name = join(name, child);
            within(&name, "module", || module.build(g, &name, x, mode))
        })
    }
}
