//! Pooling, relu, and what depth sees.

use striate::data::Picture;
use striate::ops::{AvgPool2d, Conv2d, MaxPool2d};
use striate::prelude::*;
use striate::shape::PaddingMode;

use super::kernels::OUTLINE;
use super::scene::{self, SIDE};
use super::{Given, Page, grey, numbers};

const WINDOW: [f32; 9] = [0.3, 0.6, 1.0, 0.5, 0.1, 0.3, 1.0, 0.5, 0.9];
pub fn show(page: &mut Page) -> Result<()> {
    let given: [Given; 1] = [(&[1, 1, 3, 3], &WINDOW)];
    page.say("3 x 3 numbers:");
    page.matrix(&WINDOW, 3);
    let most = page.one(&given, |g, x| g.max_pool(x[0], MaxPool2d::new(2).stride(1)))?;
    page.say("the largest of each 2 x 2, stride 1:");
    page.matrix(&most, 2);
    let mean = page.one(&given, |g, x| g.avg_pool(x[0], AvgPool2d::new(2).stride(1)))?;
    page.say("the mean of each:");
    page.matrix(&mean, 2);

    let signs = [-2.0, -0.5, 0.0, 0.5, 2.0];
    let given: [Given; 1] = [(&[5], &signs)];
    let kept = page.one(&given, |g, x| g.relu(x[0]))?;
    page.say(format!(
        "relu: {} becomes {}",
        numbers(&signs),
        numbers(&kept)
    ));

    // The gradient of one pixel of the last map by the input is not zero where it was seen.
    let layers = 3;
    let side = 15;
    let (image, kernel) = (vec![1.0; side * side], [1.0; 9]);
    let given: [Given; 2] = [(&[1, 1, side, side], &image), (&[1, 1, 3, 3], &kernel)];
    for depth in 1..=layers {
        let seen = page.one(&given, |g, x| {
            let mut y = x[0];
            for _ in 0..depth {
                y = g.conv2d(y, x[1], None, Conv2d::new().padding(1))?;
            }
            let row = g.narrow(y, 2, side / 2, 1)?;
            let pixel = g.narrow(row, 3, side / 2, 1)?;
            let pixel = g.sum(pixel, &[0, 1, 2, 3], false)?;
            Ok(gradients(g, pixel, &[x[0]])?[0])
        })?;
        let seen = seen.iter().filter(|x| **x != 0.0).count();
        let plural = if depth == 1 { "" } else { "s" };
        page.say(format!(
            "{depth} layer{plural} of 3 x 3: a pixel sees {seen} of the input, through {} weights",
            9 * depth
        ));
    }

    let greys = scene::greys();
    let given: [Given; 2] = [(&[1, 1, SIDE, SIDE], &greys), (&[1, 1, 3, 3], &OUTLINE)];
    let made = page.run(&given, |g, x| {
        let padded = g.pad(x[0], &[1; 4], PaddingMode::Replicate)?;
        let map = g.conv2d(padded, x[1], None, Conv2d::new())?;
        // Half of it, so that most lies below 1 and can be shown.
        let map = g.scale(map, 0.5)?;
        let relu = g.relu(map)?;
        let half = g.max_pool(relu, MaxPool2d::new(2))?;
        let quarter = g.max_pool(half, MaxPool2d::new(2))?;
        Ok(vec![relu, half, quarter])
    })?;
    let mut tiles = vec![grey(&greys, [SIDE; 2])?];
    for (map, times) in made.iter().zip([1, 2, 4]) {
        tiles.push(grey(map.as_f32()?, [SIDE / times; 2])?.enlarged(times)?);
    }
    page.draw("pooled.png", Picture::grid(&tiles, 4, 4)?);
    Ok(())
}
