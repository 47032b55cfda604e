//! GoogLeNet (Szegedy et al. 2014, "Going deeper with convolutions").

use super::Model;
use crate::error::Result;
use crate::graph::Value;
use crate::nn::{
    AdaptiveAvgPool2d, BatchNorm2d, Build, Conv2d, Dropout, Flatten, GlobalAvgPool, Linear,
    MaxPool2d, Mode, Module, Relu, Sequential,
};

/// Logits `[n, classes]` of images x `[n, 3, 224, 224]`; 13,004,888 parameters for 1000 classes,
/// 6,624,904 of which are used in evaluation.
///
/// As torchvision builds it: batch-normalised, with kernels of 3 where the paper has 5. In training
/// the two auxiliary classifiers are the outputs `aux1` and `aux2` of the context
/// ([`Build::outputs`]); as in the paper, 0.3 times the loss of each is to be added to that of the
/// logits, as [`Classifier`](crate::train::Classifier) does.
pub fn googlenet(classes: usize) -> Model {
    let net = GoogLeNet { classes };
    Model::new("googlenet", [3, 224, 224], classes, net)
}

#[derive(Debug)]
struct GoogLeNet {
    classes: usize,
}

/// Channels of an inception module: of the 1x1 convolution, of the second and third branch before
/// and after their kernel, and behind the pooling.
type Widths = [usize; 6];

const INCEPTIONS: [(&str, Widths); 9] = [
    ("inception3a", [64, 96, 128, 16, 32, 32]),
    ("inception3b", [128, 128, 192, 32, 96, 64]),
    ("inception4a", [192, 96, 208, 16, 48, 64]),
    ("inception4b", [160, 112, 224, 24, 64, 64]),
    ("inception4c", [128, 128, 256, 24, 64, 64]),
    ("inception4d", [112, 144, 288, 32, 64, 64]),
    ("inception4e", [256, 160, 320, 32, 128, 128]),
    ("inception5a", [256, 160, 320, 32, 128, 128]),
    ("inception5b", [384, 192, 384, 48, 128, 128]),
];

impl Module for GoogLeNet {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        let pool = MaxPool2d::new(3).stride(2).ceil_mode(true);
        let stem = Sequential::new()
            .named(
                "conv1",
                convolution(Conv2d::new(3, 64, 7).stride(2).padding(3)),
            )
            .named("maxpool1", pool)
            .named("conv2", convolution(Conv2d::new(64, 64, 1)))
            .named("conv3", convolution(Conv2d::new(64, 192, 3).padding(1)))
            .named("maxpool2", pool);
        let mut x = stem.build(cx, x)?;
        let mut channels = 192;
        for (name, widths) in INCEPTIONS {
            x = cx.layer(name, &Inception { channels, widths }, x)?;
            let [one, _, three, _, five, pooled] = widths;
            channels = one + three + five + pooled;
            x = match name {
                "inception3b" => cx.layer("maxpool3", &pool, x)?,
                "inception4e" => {
                    let pool = MaxPool2d::new(2).ceil_mode(true);
                    cx.layer("maxpool4", &pool, x)?
                }
                _ => x,
            };
            let aux = match name {
                "inception4a" => "aux1",
                "inception4d" => "aux2",
                _ => continue,
            };
            if cx.mode() == Mode::Train {
                let head = cx.layer(aux, &auxiliary(channels, self.classes), x)?;
                cx.auxiliary(aux, head, 0.3);
            }
        }
        let head = Sequential::new()
            .named("avgpool", GlobalAvgPool)
            .named("flatten", Flatten)
            .named("dropout", Dropout::new(0.2))
            .named("fc", Linear::new(channels, self.classes));
        head.build(cx, x)
    }
}

/// A convolution without bias, batch normalisation and relu.
fn convolution(conv: Conv2d) -> Sequential {
    let channels = conv.out_channels;
    Sequential::new()
        .named("conv", conv.bias(false))
        .named("bn", BatchNorm2d::new(channels).eps(0.001))
        .named("relu", Relu)
}

/// Four branches over one input, joined along the channels.
#[derive(Debug)]
struct Inception {
    channels: usize,
    widths: Widths,
}

impl Module for Inception {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        let channels = self.channels;
        let [one, to_three, three, to_five, five, pooled] = self.widths;
        let single = |out| convolution(Conv2d::new(channels, out, 1));
        let kernel = |from, out| convolution(Conv2d::new(from, out, 3).padding(1));
        let branches = [
            single(one),
            Sequential::new()
                .then(single(to_three))
                .then(kernel(to_three, three)),
            Sequential::new()
                .then(single(to_five))
                .then(kernel(to_five, five)),
            Sequential::new()
                .then(MaxPool2d::new(3).stride(1).padding(1).ceil_mode(true))
                .then(single(pooled)),
        ];
        let mut outputs = Vec::new();
        for (number, branch) in (1..).zip(&branches) {
            outputs.push(cx.layer(&format!("branch{number}"), branch, x)?);
        }
        cx.graph().concat(&outputs, 1)
    }
}

/// A classifier in the middle of the network.
fn auxiliary(channels: usize, classes: usize) -> Sequential {
    Sequential::new()
        .named("avgpool", AdaptiveAvgPool2d::new(4))
        .named("conv", convolution(Conv2d::new(channels, 128, 1)))
        .named("flatten", Flatten)
        .named("fc1", Linear::new(128 * 4 * 4, 1024))
        .named("relu", Relu)
        .named("dropout", Dropout::new(0.7))
        .named("fc2", Linear::new(1024, classes))
}
