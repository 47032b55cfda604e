//! What the networks of several programs are made of.

use striate::nn::{
    BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, Module, Relu, Sequential, from_fn,
};

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
