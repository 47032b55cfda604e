//! What the networks of several programs are made of.

use striate::graph::Value;
use striate::nn::{
    BatchNorm2d, Build, Conv2d, ConvTranspose2d, Flatten, Linear, MaxPool2d, Module, Relu,
    Sequential, from_fn,
};
use striate::prelude::*;

/// A weight for each of so many numbers and each output, and nothing else.
pub fn linear(numbers: usize, outputs: usize) -> Sequential {
    let fc = Linear::new(numbers, outputs);
    Sequential::new().then(Flatten).named("fc", fc)
}

/// A convolution, normalised.
pub fn normalised(conv: Conv2d) -> Sequential {
    let norm = BatchNorm2d::new(conv.out_channels);
    Sequential::new()
        .named("conv", conv.bias(false))
        .named("norm", norm)
        .then(Relu)
}

/// A convolution of 3x3, normalised.
pub fn filters(channels: usize, out: usize) -> Sequential {
    normalised(Conv2d::new(channels, out, 3).padding(1))
}

/// The same, and its maps at half the size.
pub fn halving(channels: usize, out: usize) -> Sequential {
    filters(channels, out).then(MaxPool2d::new(2))
}

/// Numbers `[n, outputs, height, width]` of x `[n, channels, height, width]`, whose extents are
/// multiples of 8.
///
/// A U-Net (Ronneberger et al. 2015) of three levels, with batch normalisation. To save time the
/// first convolution halves the extents, and the last, a transposed one, doubles them.
#[derive(Debug)]
pub struct UNet {
    /// Channels of the images.
    pub channels: usize,
    /// Numbers of each pixel that are answered.
    pub outputs: usize,
    /// Channels of each level, from the half size down.
    pub levels: [usize; 3],
}

impl Module for UNet {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        let [fine, middle, coarse] = self.levels;
        let pool = MaxPool2d::new(2);
        let twice = |from, to| ConvTranspose2d::new(from, to, 2).stride(2);
        let halved = Conv2d::new(self.channels, fine, 4).stride(2).padding(1);
        let down1 = cx.layer("down1", &normalised(halved), x)?;
        let x = cx.layer("pool1", &pool, down1)?;
        let x = cx.layer("down2a", &filters(fine, middle), x)?;
        let down2 = cx.layer("down2b", &filters(middle, middle), x)?;
        let x = cx.layer("pool2", &pool, down2)?;
        let x = cx.layer("down3a", &filters(middle, coarse), x)?;
        let x = cx.layer("down3b", &filters(coarse, coarse), x)?;
        let x = cx.layer("up2", &twice(coarse, middle), x)?;
        let x = cx.graph().concat(&[down2, x], 1)?;
        let x = cx.layer("conv2", &filters(2 * middle, middle), x)?;
        let x = cx.layer("up1", &twice(middle, fine), x)?;
        let x = cx.graph().concat(&[down1, x], 1)?;
        let x = cx.layer("conv1", &filters(2 * fine, fine), x)?;
        cx.layer("head", &twice(fine, self.outputs), x)
    }
}

/// Images `[n, channels, 1, length]` as `[n, channels, length]`, which convolutions along one axis
/// take.
pub fn sequence() -> impl Module {
    from_fn(|cx, x| {
        let shape = cx.graph().shape(x)?.clone();
        let length = shape[2..].iter().product();
        cx.graph().reshape(x, [shape[0], shape[1], length])
    })
}

/// The class with the largest logit.
pub fn best(logits: &[f32]) -> usize {
    let classes = 0..logits.len();
    let best = classes.max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
    best.unwrap_or(0)
}
