//! Residual networks for small images (He et al. 2015, "Deep residual learning for image
//! recognition", section 4.2).

use super::Model;
use super::resnet::conv;
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::nn::{BatchNorm2d, Build, Flatten, GlobalAvgPool, Linear, Module, Relu, Sequential};
use crate::ops::AxisRange;
use crate::shape::PaddingMode;

/// The deepest network that is built; the paper's has 1,202 layers.
const MOST_DEPTH: usize = 2000;

/// Channels of the three stages.
const CHANNELS: [usize; 3] = [16, 32, 64];

/// [`resnet_cifar`] of depth 20; 269,722 parameters for 10 classes.
pub fn resnet20(classes: usize) -> Model {
    of_blocks(3, classes)
}

/// The network of `depth` = 6 b + 2 layers: logits `[n, classes]` of images x `[n, 3, 32, 32]`, or
/// of another size.
///
/// A convolution, three stages of b basic blocks with 16, 32 and 64 channels, the mean of each
/// plane, and a linear layer. Every convolution is 3x3, without bias, drawn by Kaiming's rule and
/// batch-normalised; the second and the third stage begin with stride 2. Shortcuts have no
/// parameters (the paper's option A): where the shape changes, every second row and column, and
/// zeros for the new channels. Names are those of torchvision's residual networks: `conv1`, `bn1`,
/// `layer1.0.conv1`, ..., `fc`.
///
/// # Errors
/// `Shape` if `depth` is not 6 b + 2 with b at least 1, or beyond 2,000.
pub fn resnet_cifar(depth: usize, classes: usize) -> Result<Model> {
    if !(8..=MOST_DEPTH).contains(&depth) || depth % 6 != 2 {
        return Err(Error::shape(format!(
            "resnet_cifar: depth {depth} is not 8, 14, 20 or another 6 b + 2 up to {MOST_DEPTH}"
        )));
    }
    Ok(of_blocks((depth - 2) / 6, classes))
}

/// Three stages of so many basic blocks.
fn of_blocks(blocks: usize, classes: usize) -> Model {
    let mut net = Sequential::new()
        .named("conv1", conv(3, CHANNELS[0], 3, 1))
        .named("bn1", BatchNorm2d::new(CHANNELS[0]))
        .then(Relu);
    let mut channels = CHANNELS[0];
    for (number, out) in (1..).zip(CHANNELS) {
        let mut stage = Sequential::new();
        for _ in 0..blocks {
            let stride = if out == channels { 1 } else { 2 };
            stage = stage.then(BasicBlock {
                channels,
                out,
                stride,
            });
            channels = out;
        }
        net = net.named(&format!("layer{number}"), stage);
    }
    let net = net
        .then(GlobalAvgPool)
        .then(Flatten)
        .named("fc", Linear::new(channels, classes));
    let name = format!("resnet{}_cifar", 6 * blocks + 2);
    Model::new(name, [3, 32, 32], classes, net)
}

/// relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)).
#[derive(Debug)]
struct BasicBlock {
    channels: usize,
    out: usize,
    stride: usize,
}

impl Module for BasicBlock {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        let residual = Sequential::new()
            .named("conv1", conv(self.channels, self.out, 3, self.stride))
            .named("bn1", BatchNorm2d::new(self.out))
            .then(Relu)
            .named("conv2", conv(self.out, self.out, 3, 1))
            .named("bn2", BatchNorm2d::new(self.out));
        let y = residual.build(cx, x)?;
        let shortcut = self.shortcut(cx.graph(), x);
        let shortcut = shortcut.map_err(|e| e.context("shortcut"))?;
        let sum = cx.graph().add(y, shortcut)?;
        cx.graph().relu(sum)
    }
}

impl BasicBlock {
    /// x, or every `stride`-th row and column of it with as many planes of zeros before as after
    /// its channels.
    fn shortcut(&self, g: &mut Graph, x: Value) -> Result<Value> {
        if self.stride == 1 && self.channels == self.out {
            return Ok(x);
        }
        let shape = g.shape(x)?.clone();
        let ranges = [2, 3].map(|axis| AxisRange::new(axis, 0, shape[axis]).step(self.stride));
        let fewer = g.slice(x, &ranges)?;
        let before = (self.out - self.channels) / 2;
        let after = self.out - self.channels - before;
        let planes = [0, 0, 0, 0, before as isize, after as isize];
        g.pad(fewer, &planes, PaddingMode::Zeros)
    }
}
