//! Normalisation layers.

use super::{Build, Mode, Module};
use crate::error::{Error, Result};
use crate::graph::{Graph, Init, StateKind, Value};
use crate::shape::Shape;

pub use crate::ops::LocalResponseNorm;

/// Batch normalisation of x `[n, features, ...]` with D axes behind the channels; with D = 1 there
/// may be none.
///
/// Parameters `weight` and `bias` `[features]`, which begin as 1 and 0, and running statistics
/// `running_mean` and `running_var` `[features]`, which begin as 0 and 1. In training x is
/// normalised by its own statistics and the running ones are renewed at the end of the step, by
/// each x in turn if the layer is built more than once in a graph; in inference it is normalised by
/// the running ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNorm<const D: usize> {
    /// Channels of x.
    pub features: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Weight of a new batch in the running statistics.
    pub momentum: f32,
    /// Whether there are a weight and a bias.
    pub affine: bool,
    /// Whether there are running statistics; without them x is normalised by its own in inference
    /// too.
    pub track_running_stats: bool,
}

/// [`BatchNorm`] of `[n, c]` or `[n, c, l]`.
pub type BatchNorm1d = BatchNorm<1>;
/// [`BatchNorm`] of `[n, c, h, w]`.
pub type BatchNorm2d = BatchNorm<2>;
/// [`BatchNorm`] of `[n, c, d, h, w]`.
pub type BatchNorm3d = BatchNorm<3>;

impl<const D: usize> BatchNorm<D> {
    /// With eps 1e-5, momentum 0.1, weight, bias and running statistics.
    pub fn new(features: usize) -> Self {
        Self {
            features,
            eps: 1e-5,
            momentum: 0.1,
            affine: true,
            track_running_stats: true,
        }
    }

    /// Another number added to the variance.
    pub fn eps(mut self, eps: f32) -> Self {
        self.eps = eps;
        self
    }

    /// Another weight of a new batch in the running statistics.
    pub fn momentum(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
        self
    }

    /// Whether there are a weight and a bias.
    pub fn affine(mut self, affine: bool) -> Self {
        self.affine = affine;
        self
    }

    /// Whether there are running statistics.
    pub fn track_running_stats(mut self, track: bool) -> Self {
        self.track_running_stats = track;
        self
    }
}

impl<const D: usize> Module for BatchNorm<D> {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within(format_args!("BatchNorm{D}d"), |cx| {
            expect_images("batch_norm", cx.graph(), x, self.features, D)?;
            let [weight, bias] = affine(cx, &[self.features].into(), [self.affine; 2])?;
            let mut running = None;
            if self.track_running_stats {
                let mut statistic = |child, begin| {
                    let init = Init::Constant(begin);
                    cx.state(child, [self.features], StateKind::Statistic, init)
                };
                running = Some([
                    statistic("running_mean", 0.0)?,
                    statistic("running_var", 1.0)?,
                ]);
            }
            if let (Mode::Eval, Some(running)) = (cx.mode(), running) {
                return cx.graph().batch_norm(x, running, weight, bias, self.eps);
            }
            let (y, statistics) = cx.graph().batch_norm_train(x, weight, bias, self.eps)?;
            if let Some(running) = running {
                let latest = running.map(|state| cx.graph().unassign(state).unwrap_or(state));
                let renewed =
                    cx.graph()
                        .running_statistics(latest, statistics, x, self.momentum)?;
                for (state, value) in running.into_iter().zip(renewed) {
                    cx.graph().assign(state, value)?;
                }
            }
            Ok(y)
        })
    }
}

/// Instance normalisation of x `[n, features, ...]` with D axes behind the channels: each channel
/// of each image by its own statistics, in training and in inference. Parameters `weight` and
/// `bias` `[features]` if it is affine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InstanceNorm<const D: usize> {
    /// Channels of x.
    pub features: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Whether there are a weight and a bias.
    pub affine: bool,
}

/// [`InstanceNorm`] of `[n, c, l]`.
pub type InstanceNorm1d = InstanceNorm<1>;
/// [`InstanceNorm`] of `[n, c, h, w]`.
pub type InstanceNorm2d = InstanceNorm<2>;
/// [`InstanceNorm`] of `[n, c, d, h, w]`.
pub type InstanceNorm3d = InstanceNorm<3>;

impl<const D: usize> InstanceNorm<D> {
    /// With eps 1e-5, without weight and bias.
    pub fn new(features: usize) -> Self {
        Self {
            features,
            eps: 1e-5,
            affine: false,
        }
    }

    /// Another number added to the variance.
    pub fn eps(mut self, eps: f32) -> Self {
        self.eps = eps;
        self
    }

    /// Whether there are a weight and a bias.
    pub fn affine(mut self, affine: bool) -> Self {
        self.affine = affine;
        self
    }
}

impl<const D: usize> Module for InstanceNorm<D> {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within(format_args!("InstanceNorm{D}d"), |cx| {
            expect_images("instance_norm", cx.graph(), x, self.features, D)?;
            let [weight, bias] = affine(cx, &[self.features].into(), [self.affine; 2])?;
            cx.graph().instance_norm(x, weight, bias, self.eps)
        })
    }
}

/// Normalisation of x `[n, channels, ...]` over groups of channels of each image. Parameters
/// `weight` and `bias` `[channels]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupNorm {
    /// Groups, by which the channels divide.
    pub groups: usize,
    /// Channels of x.
    pub channels: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Whether there are a weight and a bias.
    pub affine: bool,
}

impl GroupNorm {
    /// With eps 1e-5, weight and bias.
    pub fn new(groups: usize, channels: usize) -> Self {
        Self {
            groups,
            channels,
            eps: 1e-5,
            affine: true,
        }
    }

    /// Another number added to the variance.
    pub fn eps(mut self, eps: f32) -> Self {
        self.eps = eps;
        self
    }

    /// Whether there are a weight and a bias.
    pub fn affine(mut self, affine: bool) -> Self {
        self.affine = affine;
        self
    }
}

impl Module for GroupNorm {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("GroupNorm", |cx| {
            let shape = cx.graph().shape(x)?;
            if shape.get(1) != Some(&self.channels) {
                return Err(Error::shape(format!(
                    "group_norm: x {shape} is not [batch, {}, ...]",
                    self.channels
                )));
            }
            let [weight, bias] = affine(cx, &[self.channels].into(), [self.affine; 2])?;
            cx.graph()
                .group_norm(x, self.groups, weight, bias, self.eps)
        })
    }
}

/// Normalisation over the last axes of x. Parameters `weight` and `bias` of the shape of these
/// axes.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    /// Extents of the last axes of x.
    pub normalized_shape: Shape,
    /// Added to the variance.
    pub eps: f32,
    /// Whether there is a weight.
    pub elementwise_affine: bool,
    /// Whether there is a bias too.
    pub bias: bool,
}

impl LayerNorm {
    /// With eps 1e-5, weight and bias.
    pub fn new(normalized_shape: impl Into<Shape>) -> Self {
        Self {
            normalized_shape: normalized_shape.into(),
            eps: 1e-5,
            elementwise_affine: true,
            bias: true,
        }
    }

    /// Another number added to the variance.
    pub fn eps(mut self, eps: f32) -> Self {
        self.eps = eps;
        self
    }

    /// Whether there is a weight, and a bias with it.
    pub fn elementwise_affine(mut self, affine: bool) -> Self {
        self.elementwise_affine = affine;
        self
    }

    /// Whether there is a bias beside the weight.
    pub fn bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }
}

impl Module for LayerNorm {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("LayerNorm", |cx| {
            let last = &self.normalized_shape;
            expect_last("layer_norm", cx.graph(), x, last)?;
            let has = self.elementwise_affine;
            let [weight, bias] = affine(cx, last, [has, has && self.bias])?;
            cx.graph().layer_norm(x, last.len(), weight, bias, self.eps)
        })
    }
}

/// Division by the root of the mean square over the last axes of x. Parameter `weight` of the shape
/// of these axes.
#[derive(Debug, Clone, PartialEq)]
pub struct RmsNorm {
    /// Extents of the last axes of x.
    pub normalized_shape: Shape,
    /// Added to the mean square.
    pub eps: f32,
    /// Whether there is a weight.
    pub elementwise_affine: bool,
}

impl RmsNorm {
    /// With the smallest eps that counts beside 1, 2^-23, and weight.
    pub fn new(normalized_shape: impl Into<Shape>) -> Self {
        Self {
            normalized_shape: normalized_shape.into(),
            eps: f32::EPSILON,
            elementwise_affine: true,
        }
    }

    /// Another number added to the mean square.
    pub fn eps(mut self, eps: f32) -> Self {
        self.eps = eps;
        self
    }

    /// Whether there is a weight.
    pub fn elementwise_affine(mut self, affine: bool) -> Self {
        self.elementwise_affine = affine;
        self
    }
}

impl Module for RmsNorm {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("RmsNorm", |cx| {
            let last = &self.normalized_shape;
            expect_last("rms_norm", cx.graph(), x, last)?;
            let [weight, _] = affine(cx, last, [self.elementwise_affine, false])?;
            cx.graph().rms_norm(x, last.len(), weight, self.eps)
        })
    }
}

impl Module for LocalResponseNorm {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("LocalResponseNorm", |cx| {
            cx.graph().local_response_norm(x, *self)
        })
    }
}

/// The parameters `weight`, of ones, and `bias`, of zeros, as far as they are wanted.
fn affine(cx: &mut Build, shape: &Shape, [weight, bias]: [bool; 2]) -> Result<[Option<Value>; 2]> {
    let mut of = |wanted, child, begin| match wanted {
        true => {
            let init = Init::Constant(begin);
            cx.parameter(child, shape.clone(), init).map(Some)
        }
        false => Ok(None),
    };
    Ok([of(weight, "weight", 1.0)?, of(bias, "bias", 0.0)?])
}

/// Fails unless x is `[n, features, ...]` with `axes` axes behind; where that is 1 it may have
/// none.
fn expect_images(op: &str, g: &Graph, x: Value, features: usize, axes: usize) -> Result<()> {
    let shape = g.shape(x)?;
    let flat = op == "batch_norm" && axes == 1 && shape.len() == 2;
    if (shape.len() == axes + 2 || flat) && shape[1] == features {
        return Ok(());
    }
    Err(Error::shape(format!(
        "{op}{axes}d: x {shape} is not [batch, {features}] with {axes} axes behind"
    )))
}

/// Fails unless the last axes of x have the extents `last`.
fn expect_last(op: &str, g: &Graph, x: Value, last: &Shape) -> Result<()> {
    let shape = g.shape(x)?;
    if shape.ends_with(last) {
        return Ok(());
    }
    Err(Error::shape(format!(
        "{op}: the last axes of x {shape} are not {last}"
    )))
}
