//! How large what comes out is, and what stands beyond the edge.

use striate::data::Picture;
use striate::models::lenet5;
use striate::ops::{Conv2d, MaxPool2d};
use striate::prelude::*;
use striate::shape::PaddingMode;

use super::scene::{self, SIDE};
use super::{Given, Page, extents, grey, numbers};

/// A layer: extents of its input, filters and their size, padding, stride, and whether pooling of
/// 2x2 follows.
struct Layer {
    input: [usize; 4],
    filters: usize,
    kernel: usize,
    padding: usize,
    stride: usize,
    pooled: bool,
}

const fn layer(input: [usize; 4], filters: usize, kernel: usize) -> Layer {
    Layer {
        input,
        filters,
        kernel,
        padding: 0,
        stride: 1,
        pooled: false,
    }
}

const LAYERS: [Layer; 5] = [
    Layer {
        padding: 2,
        ..layer([1, 3, 32, 32], 10, 5)
    },
    Layer {
        stride: 2,
        ..layer([1, 1, 9, 9], 1, 3)
    },
    layer([1, 1, 10, 10], 1, 3),
    Layer {
        stride: 2,
        ..layer([1, 1, 10, 10], 1, 3)
    },
    Layer {
        padding: 2,
        pooled: true,
        ..layer([1, 3, 16, 16], 10, 5)
    },
];

const MODES: [(&str, PaddingMode); 3] = [
    ("zeros", PaddingMode::Zeros),
    ("reflect", PaddingMode::Reflect),
    ("replicate", PaddingMode::Replicate),
];

pub fn show(page: &mut Page) -> Result<()> {
    for layer in &LAYERS {
        let (filters, kernel) = (layer.filters, layer.kernel);
        let mut g = Graph::new();
        let x = g.input("x", Type::f32(layer.input))?;
        let w = g.input("w", Type::f32([filters, layer.input[1], kernel, kernel]))?;
        let conv = Conv2d::new().padding(layer.padding).stride(layer.stride);
        let mut y = g.conv2d(x, w, None, conv)?;
        let then = if layer.pooled {
            ", then 2 x 2 pooling"
        } else {
            ""
        };
        if layer.pooled {
            y = g.max_pool(y, MaxPool2d::new(2))?;
        }
        page.say(format!(
            "{}, {filters} of {kernel} x {kernel}, padding {}, stride {}{then}: {}",
            extents(&layer.input),
            layer.padding,
            layer.stride,
            extents(g.shape(y)?)
        ));
    }

    page.say("LeNet-5, from 28 x 28 x 1:");
    for row in &lenet5(10).summary(1)?.rows {
        let size = match row.output[..] {
            [_, _, _, _] => extents(&row.output),
            _ => row.output[1..].iter().product::<usize>().to_string(),
        };
        page.say(format!("  {:<10} {size}", row.ops));
    }

    let row = [1.0, 2.0, 3.0];
    page.say("1 2 3, padded by 2:");
    for (name, mode) in MODES {
        let given: [Given; 1] = [(&[1, 3], &row)];
        let padded = page.one(&given, |g, x| g.pad(x[0], &[2, 2], mode))?;
        page.say(format!("  {name:<9} {}", numbers(&padded)));
    }

    // A part of the picture, so that its edge cuts through things.
    const PART: usize = 64;
    const BEYOND: isize = 24;
    let greys = scene::greys();
    let rows = greys.chunks(SIDE).skip(40).take(PART);
    let part: Vec<f32> = rows.flat_map(|row| row[20..20 + PART].to_vec()).collect();
    let shape = [1, 1, PART, PART];
    let mut tiles = Vec::new();
    for (_, mode) in MODES {
        let given: [Given; 1] = [(&shape, &part)];
        let padded = page.one(&given, |g, x| g.pad(x[0], &[BEYOND; 4], mode))?;
        tiles.push(grey(&padded, [PART + 2 * BEYOND as usize; 2])?.enlarged(2)?);
    }
    page.draw("padding.png", Picture::grid(&tiles, 3, 4)?);
    Ok(())
}
