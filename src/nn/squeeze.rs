//! Channels weighed by what the whole image holds.

use super::{Activation, Build, Conv2d, Module};
use crate::error::Result;
use crate::graph::Value;

/// x times a weight for each image and channel, which two layers make of the means of all channels:
/// torchvision's `SqueezeExcitation` (Hu et al. 2018, figures 2 and 3), with parameters
/// `fc1.weight` `[squeeze_channels, input_channels, 1, 1]`, `fc1.bias`, `fc2.weight`
/// `[input_channels, squeeze_channels, 1, 1]` and `fc2.bias`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SqueezeExcite {
    /// Channels of x `[n, input_channels, height, width]`.
    pub input_channels: usize,
    /// Channels between the layers.
    pub squeeze_channels: usize,
    /// What follows the first layer.
    pub activation: Activation,
    /// What follows the second one and makes the weights.
    pub scale_activation: Activation,
}

impl SqueezeExcite {
    /// With relu and sigmoid.
    pub fn new(input_channels: usize, squeeze_channels: usize) -> Self {
        Self {
            input_channels,
            squeeze_channels,
            activation: Activation::Relu,
            scale_activation: Activation::Sigmoid,
        }
    }

    /// What follows the first layer.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// What makes the weights, such as `Activation::Hardsigmoid`.
    pub fn scale_activation(mut self, activation: Activation) -> Self {
        self.scale_activation = activation;
        self
    }
}

impl Module for SqueezeExcite {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("SqueezeExcite", |cx| {
            let (wide, narrow) = (self.input_channels, self.squeeze_channels);
            let means = cx.graph().global_avg_pool(x)?;
            let squeezed = cx.layer("fc1", &Conv2d::new(wide, narrow, 1), means)?;
            let squeezed = cx.graph().unary(squeezed, self.activation)?;
            let excited = cx.layer("fc2", &Conv2d::new(narrow, wide, 1), squeezed)?;
            let weights = cx.graph().unary(excited, self.scale_activation)?;
            cx.graph().mul(x, weights)
        })
    }
}
