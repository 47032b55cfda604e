//! What a convolution is.

use striate::data::Picture;
use striate::ops::Conv2d;
use striate::prelude::*;
use striate::shape::PaddingMode;

use super::kernels::{ACROSS, OUTLINE};
use super::scene::{self, SIDE};
use super::{Given, Page, grey, number};

const SHARPEN: [f32; 9] = [0.0, -1.0, 0.0, -1.0, 5.0, -1.0, 0.0, -1.0, 0.0];
const PATCH: [f32; 9] = [9.0, 12.0, 10.0, 14.0, 17.0, 13.0, 11.0, 15.0, 12.0];

/// What is shown of a kernel: where 0 is middle grey, half is added to what it makes.
struct Shown {
    name: &'static str,
    kernel: [f32; 9],
    around_grey: bool,
}

const fn shown(name: &'static str, kernel: [f32; 9], around_grey: bool) -> Shown {
    Shown {
        name,
        kernel,
        around_grey,
    }
}

const KERNELS: [Shown; 8] = [
    shown(
        "as it is",
        [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        false,
    ),
    shown("mean", [1.0 / 9.0; 9], false),
    shown("sharpen", SHARPEN, false),
    shown("outline", OUTLINE, true),
    shown("Sobel across", ACROSS, true),
    shown(
        "Sobel down",
        [-1.0, -2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0],
        true,
    ),
    shown(
        "slant",
        [0.0, 1.0, 2.0, -1.0, 0.0, 1.0, -2.0, -1.0, 0.0],
        true,
    ),
    shown(
        "emboss",
        [-2.0, -1.0, 0.0, -1.0, 1.0, 1.0, 0.0, 1.0, 2.0],
        false,
    ),
];
/// Those that are printed.
const PRINTED: [usize; 3] = [3, 4, 5];

pub fn show(page: &mut Page) -> Result<()> {
    page.say("Nine pixels, and a kernel that sharpens:");
    page.matrix(&PATCH, 3);
    page.say("");
    page.matrix(&SHARPEN, 3);
    let products = PATCH.iter().zip(SHARPEN).filter(|(_, k)| *k != 0.0);
    let products: Vec<String> = products
        .map(|(x, k)| format!("{} * {}", number(k), number(*x)))
        .collect();
    let given: [Given; 2] = [(&[1, 1, 3, 3], &PATCH), (&[1, 1, 3, 3], &SHARPEN)];
    let made = page.one(&given, |g, x| g.conv2d(x[0], x[1], None, Conv2d::new()))?;
    page.say(format!("{} = {}", products.join(" + "), number(made[0])));

    for shown in PRINTED.map(|i| &KERNELS[i]) {
        page.say(format!("{}:", shown.name));
        page.matrix(&shown.kernel, 3);
    }

    // All kernels at once: each makes a map of its own.
    let weights: Vec<f32> = KERNELS.iter().flat_map(|shown| shown.kernel).collect();
    let greys = scene::greys();
    let shapes: [&[usize]; 2] = [&[1, 1, SIDE, SIDE], &[KERNELS.len(), 1, 3, 3]];
    let given: [Given; 2] = [(shapes[0], &greys), (shapes[1], &weights)];
    let maps = page.one(&given, |g, x| {
        let padded = g.pad(x[0], &[1; 4], PaddingMode::Replicate)?;
        g.conv2d(padded, x[1], None, Conv2d::new())
    })?;
    let mut tiles = Vec::new();
    for (map, shown) in maps.chunks(SIDE * SIDE).zip(KERNELS) {
        let more = if shown.around_grey { 0.5 } else { 0.0 };
        let map: Vec<f32> = map.iter().map(|x| x + more).collect();
        tiles.push(grey(&map, [SIDE; 2])?);
    }
    let names: Vec<&str> = KERNELS.iter().map(|shown| shown.name).collect();
    page.say(format!("kernels.png, row by row: {}", names.join(", ")));
    page.draw("kernels.png", Picture::grid(&tiles, 4, 4)?);
    Ok(())
}
