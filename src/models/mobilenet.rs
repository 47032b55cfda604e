//! MobileNetV2 (Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks").

use super::Model;
use crate::error::Result;
use crate::graph::Value;
use crate::nn::init::Scheme;
use crate::nn::{
    Activation, BatchNorm2d, Build, Conv2d, Dropout, Flatten, GlobalAvgPool, Linear, Module,
    Sequential,
};

/// Of each stage: factor of expansion, channels, blocks, stride of the first one.
const STAGES: [[usize; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];

/// Logits `[n, classes]` of images x `[n, 3, 224, 224]`, or of another size; 3,504,872 parameters
/// for 1000 classes. Names are torchvision's.
pub fn mobilenet_v2(classes: usize) -> Model {
    let (mut channels, last) = (32, 1280);
    let mut features = Sequential::new().then(convolution(Conv2d::new(3, channels, 3).stride(2)));
    for [expansion, out, blocks, stride] in STAGES {
        for block in 0..blocks {
            features = features.then(InvertedResidual {
                channels,
                expansion,
                out,
                stride: if block == 0 { stride } else { 1 },
            });
            channels = out;
        }
    }
    features = features.then(convolution(Conv2d::new(channels, last, 1)));
    let classifier = Sequential::new()
        .then(Dropout::new(0.2))
        .then(Linear::new(last, classes));
    let net = Sequential::new()
        .named("features", features)
        .named("avgpool", GlobalAvgPool)
        .named("flatten", Flatten)
        .named("classifier", classifier);
    Model::new("mobilenet_v2", [3, 224, 224], classes, net)
}

/// A convolution padded by half its kernel, without bias, batch normalisation and relu6.
fn convolution(conv: Conv2d) -> Sequential {
    let (channels, [side, _]) = (conv.out_channels, conv.kernel);
    let conv = conv.padding(side / 2).bias(false);
    Sequential::new()
        .then(conv.init(Scheme::kaiming_relu()))
        .then(BatchNorm2d::new(channels))
        .then(Activation::RELU6)
}

/// Wider by a 1x1 convolution, each channel by a 3x3, narrower by a 1x1, plus x where its shape is
/// kept.
#[derive(Debug)]
struct InvertedResidual {
    channels: usize,
    expansion: usize,
    out: usize,
    stride: usize,
}

impl Module for InvertedResidual {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        let hidden = self.channels * self.expansion;
        let mut conv = Sequential::new();
        if self.expansion != 1 {
            conv = conv.then(convolution(Conv2d::new(self.channels, hidden, 1)));
        }
        let each = Conv2d::new(hidden, hidden, 3).stride(self.stride);
        let narrow = Conv2d::new(hidden, self.out, 1).bias(false);
        let conv = conv
            .then(convolution(each.groups(hidden)))
            .then(narrow.init(Scheme::kaiming_relu()))
            .then(BatchNorm2d::new(self.out));
        let y = cx.layer("conv", &conv, x)?;
        match self.stride == 1 && self.channels == self.out {
            true => cx.graph().add(x, y),
            false => Ok(y),
        }
    }
}
