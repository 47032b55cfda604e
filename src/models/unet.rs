//! U-Net (Ronneberger et al. 2015, "U-Net: convolutional networks for biomedical image
//! segmentation").

use super::Model;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::nn::init::Scheme;
use crate::nn::{Build, Conv2d, ConvTranspose2d, MaxPool2d, Module, Relu, Sequential};

/// Channels of the levels, from the full size down.
const CHANNELS: [usize; 5] = [64, 128, 256, 512, 1024];

/// A class for each pixel: logits `[n, classes, height, width]` of images x `[n, channels, height,
/// width]`, whose extents are multiples of 16; 31,030,658 parameters for one channel and two
/// classes.
///
/// As in the paper, but padded, so that the output has the size of the input.
pub fn unet(channels: usize, classes: usize) -> Model {
    let net = UNet { channels, classes };
    Model::new("unet", [channels, 256, 256], classes, net)
}

#[derive(Debug)]
struct UNet {
    channels: usize,
    classes: usize,
}

impl Module for UNet {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        let shape = cx.graph().shape(x)?.clone();
        if shape.len() != 4 || shape[2..].iter().any(|extent| extent % 16 != 0) {
            return Err(Error::shape(format!(
                "x {shape} is not [n, {}, height, width] with multiples of 16",
                self.channels
            )));
        }
        let pool = MaxPool2d::new(2);
        let mut skipped = Vec::new();
        let (mut x, mut from) = (x, self.channels);
        for (level, out) in (1..).zip(CHANNELS) {
            if level > 1 {
                x = cx.layer(&format!("pool{}", level - 1), &pool, x)?;
            }
            x = cx.layer(&format!("down{level}"), &two_convolutions(from, out), x)?;
            skipped.push((level, out, x));
            from = out;
        }
        // The lowest level has nothing beside it.
        skipped.pop();
        for (level, out, beside) in skipped.into_iter().rev() {
            let wider = ConvTranspose2d::new(from, out, 2).stride(2);
            let risen = cx.layer(&format!("up{level}"), &wider, x)?;
            let joined = cx.graph().concat(&[beside, risen], 1)?;
            let conv = two_convolutions(2 * out, out);
            x = cx.layer(&format!("conv{level}"), &conv, joined)?;
            from = out;
        }
        cx.layer("head", &Conv2d::new(from, self.classes, 1), x)
    }
}

fn two_convolutions(channels: usize, out: usize) -> Sequential {
    let conv = |from| {
        let conv = Conv2d::new(from, out, 3).padding(1);
        conv.init(Scheme::kaiming_relu())
    };
    Sequential::new()
        .then(conv(channels))
        .then(Relu)
        .then(conv(out))
        .then(Relu)
}
