//! Residual networks (He et al. 2015, "Deep residual learning for image recognition") as
//! torchvision builds them.
//!
//! The stride of a stage lies in the first 3x3 convolution of its first block (where the paper has
//! it, in bottlenecks, in the 1x1 before). Shortcuts that change shape are convolutions 1x1, the
//! others have no parameters. Names are torchvision's, so that a state dict fits: `conv1`, `bn1`,
//! `layer1.0.conv1`, `layer1.0.downsample.0`, ..., `fc`.

use super::Model;
use crate::error::Result;
use crate::graph::Value;
use crate::nn::init::Scheme;
use crate::nn::{
    BatchNorm2d, Build, Conv2d, Flatten, GlobalAvgPool, Linear, MaxPool2d, Module, Relu, Sequential,
};

/// Widths of the four stages.
const WIDTHS: [usize; 4] = [64, 128, 256, 512];

/// ResNet-18: logits `[n, classes]` of images x `[n, 3, 224, 224]`, or of another size; 11,689,512
/// parameters for 1000 classes.
pub fn resnet18(classes: usize) -> Model {
    resnet("resnet18", [2, 2, 2, 2], false, classes)
}

/// ResNet-34; 21,797,672 parameters for 1000 classes.
pub fn resnet34(classes: usize) -> Model {
    resnet("resnet34", [3, 4, 6, 3], false, classes)
}

/// ResNet-50; 25,557,032 parameters for 1000 classes.
pub fn resnet50(classes: usize) -> Model {
    resnet("resnet50", [3, 4, 6, 3], true, classes)
}

/// ResNet-101; 44,549,160 parameters for 1000 classes.
pub fn resnet101(classes: usize) -> Model {
    resnet("resnet101", [3, 4, 23, 3], true, classes)
}

/// ResNet-152; 60,192,808 parameters for 1000 classes.
pub fn resnet152(classes: usize) -> Model {
    resnet("resnet152", [3, 8, 36, 3], true, classes)
}

/// Four stages of so many blocks.
fn resnet(name: &str, blocks: [usize; 4], bottleneck: bool, classes: usize) -> Model {
    let pool = MaxPool2d::new(3).stride(2).padding(1);
    let mut channels = WIDTHS[0];
    let mut net = Sequential::new()
        .named("conv1", conv(3, channels, 7, 2))
        .named("bn1", BatchNorm2d::new(channels))
        .named("relu", Relu)
        .named("maxpool", pool);
    for (number, (blocks, width)) in (1..).zip(blocks.into_iter().zip(WIDTHS)) {
        let mut stage = Sequential::new();
        for block in 0..blocks {
            let block = Block {
                channels,
                width,
                stride: if number > 1 && block == 0 { 2 } else { 1 },
                bottleneck,
            };
            channels = block.out();
            stage = stage.then(block);
        }
        net = net.named(&format!("layer{number}"), stage);
    }
    let net = net
        .named("avgpool", GlobalAvgPool)
        .named("flatten", Flatten)
        .named("fc", Linear::new(channels, classes));
    Model::new(name, [3, 224, 224], classes, net)
}

/// Padded so that stride 1 keeps the extents; without bias.
pub(super) fn conv(channels: usize, out: usize, kernel: usize, stride: usize) -> Conv2d {
    Conv2d::new(channels, out, kernel)
        .stride(stride)
        .padding(kernel / 2)
        .bias(false)
        .init(Scheme::kaiming_relu())
}

/// relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)) with two kernels of 3; as a bottleneck with
/// kernels of 1, 3 and 1, the last one four times as wide.
#[derive(Debug)]
struct Block {
    channels: usize,
    width: usize,
    stride: usize,
    bottleneck: bool,
}

impl Block {
    fn out(&self) -> usize {
        match self.bottleneck {
            true => 4 * self.width,
            false => self.width,
        }
    }
}

impl Module for Block {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        let (channels, width, out) = (self.channels, self.width, self.out());
        let convolutions = match self.bottleneck {
            true => vec![
                conv(channels, width, 1, 1),
                conv(width, width, 3, self.stride),
                conv(width, out, 1, 1),
            ],
            false => vec![
                conv(channels, width, 3, self.stride),
                conv(width, width, 3, 1),
            ],
        };
        let mut y = x;
        for (number, conv) in (1..).zip(convolutions) {
            let norm = BatchNorm2d::new(conv.out_channels);
            // Each but the last has a relu before it.
            if number > 1 {
                y = cx.graph().relu(y)?;
            }
            y = cx.layer(&format!("conv{number}"), &conv, y)?;
            y = cx.layer(&format!("bn{number}"), &norm, y)?;
        }
        let shortcut = match self.stride == 1 && channels == out {
            true => x,
            false => {
                let shrink = Sequential::new()
                    .then(conv(channels, out, 1, self.stride))
                    .then(BatchNorm2d::new(out));
                cx.layer("downsample", &shrink, x)?
            }
        };
        let sum = cx.graph().add(y, shortcut)?;
        cx.graph().relu(sum)
    }
}
