//! What a convolution is.

use striate::data::Picture;
use striate::ops::Conv2d;
use striate::prelude::*;
use striate::shape::PaddingMode;

use super::scene::{self, SIDE};
use super::{Page, grey, number};

const SHARPEN: [f32; 9] = [0.0, -1.0, 0.0, -1.0, 5.0, -1.0, 0.0, -1.0, 0.0];
const PATCH: [f32; 9] = [9.0, 12.0, 10.0, 14.0, 17.0, 13.0, 11.0, 15.0, 12.0];

/// Kernels, and what is added to what they make, so that it can be shown from black to white.
const KERNELS: [(&str, [f32; 9], f32); 8] = [
    (
        "as it is",
        [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        0.0,
    ),
    ("mean", [1.0 / 9.0; 9], 0.0),
    ("sharpen", SHARPEN, 0.0),
    (
        "outline",
        [-1.0, -1.0, -1.0, -1.0, 8.0, -1.0, -1.0, -1.0, -1.0],
        0.5,
    ),
    (
        "Sobel across",
        [-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0],
        0.5,
    ),
    (
        "Sobel down",
        [-1.0, -2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0],
        0.5,
    ),
    (
        "emboss",
        [-2.0, -1.0, 0.0, -1.0, 1.0, 1.0, 0.0, 1.0, 2.0],
        0.0,
    ),
    ("shift", [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], 0.0),
];

pub fn show(page: &mut Page) -> Result<()> {
    page.say("Nine pixels, and a kernel that sharpens:");
    page.matrix(&PATCH, 3);
    page.say("");
    page.matrix(&SHARPEN, 3);
    let products = PATCH.iter().zip(SHARPEN).filter(|(_, k)| *k != 0.0);
    let products: Vec<String> = products
        .map(|(x, k)| format!("{} * {}", number(k), number(*x)))
        .collect();
    let given: [super::Given; 2] = [(&[1, 1, 3, 3], &PATCH), (&[1, 1, 3, 3], &SHARPEN)];
    let made = page.one(&given, |g, x| g.conv2d(x[0], x[1], None, Conv2d::new()))?;
    page.say(format!("{} = {}", products.join(" + "), number(made[0])));

    // All kernels at once: each makes a map of its own.
    let weights: Vec<f32> = KERNELS.iter().flat_map(|(_, kernel, _)| *kernel).collect();
    let greys = scene::greys();
    let shapes: [&[usize]; 2] = [&[1, 1, SIDE, SIDE], &[KERNELS.len(), 1, 3, 3]];
    let given: [super::Given; 2] = [(shapes[0], &greys), (shapes[1], &weights)];
    let maps = page.one(&given, |g, x| {
        let padded = g.pad(x[0], &[1; 4], PaddingMode::Replicate)?;
        g.conv2d(padded, x[1], None, Conv2d::new())
    })?;
    let mut tiles = Vec::new();
    for (map, (_, _, more)) in maps.chunks(SIDE * SIDE).zip(KERNELS) {
        let map: Vec<f32> = map.iter().map(|x| x + more).collect();
        tiles.push(grey(&map, [SIDE; 2])?);
    }
    let names: Vec<&str> = KERNELS.iter().map(|(name, ..)| *name).collect();
    page.say(format!("kernels.png, row by row: {}", names.join(", ")));
    page.draw("kernels.png", Picture::grid(&tiles, 4, 4)?);
    Ok(())
}
