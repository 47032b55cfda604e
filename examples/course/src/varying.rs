//! Pictures of other sizes: what takes them, and what does not.

use striate::nn::{Conv2d, Flatten, GlobalAvgPool, Linear, MaxPool2d, Relu, Sequential};
use striate::prelude::*;

use super::{Page, extents};

const SIZES: [[usize; 2]; 3] = [[28, 28], [40, 56], [17, 33]];

/// Two convolutions of 8 and 16 filters.
fn trunk() -> Sequential {
    Sequential::new()
        .named("conv1", Conv2d::new(1, 8, 3).padding(1))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .named("conv2", Conv2d::new(8, 16, 3).padding(1))
        .then(Relu)
}

/// Extents of what a network makes of a picture of this size.
fn made(net: &Sequential, [height, width]: [usize; 2]) -> Result<Vec<usize>> {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([1, 1, height, width]))?;
    let y = net.build(&mut Build::eval(&mut g), x)?;
    Ok(g.shape(y)?.to_vec())
}

pub fn show(page: &mut Page) -> Result<()> {
    let flattened = trunk()
        .then(Flatten)
        .named("fc", Linear::new(16 * 14 * 14, 10));
    let pooled = trunk()
        .then(GlobalAvgPool)
        .then(Flatten)
        .named("fc", Linear::new(16, 10));
    let mapped = trunk().named("score", Conv2d::new(16, 10, 1));
    for (who, net) in [
        ("maps flattened, then a linear layer", flattened),
        ("the mean of each map, then a linear layer", pooled),
        ("a convolution of 1 x 1 instead of a linear layer", mapped),
    ] {
        page.say(format!("{who}:"));
        for size in SIZES {
            let [height, width] = size;
            let told = match made(&net, size) {
                Ok(shape) if shape.len() == 2 => format!("{} numbers", shape[1]),
                Ok(shape) => extents(&shape),
                Err(error) => format!("error: {error}"),
            };
            page.say(format!("  {height} x {width}: {told}"));
        }
    }
    Ok(())
}
