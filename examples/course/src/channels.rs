//! Inputs with several channels, and several filters.

use striate::ops::Conv2d;
use striate::prelude::*;

use super::scene::{self, SIDE};
use super::{Given, Page, extents, number};

/// Three filters of 1 x 1: each is bright where its own colour is above the two others.
const OWN_COLOUR: [f32; 9] = [2.0, -1.0, -1.0, -1.0, 2.0, -1.0, -1.0, -1.0, 2.0];

pub fn show(page: &mut Page) -> Result<()> {
    // M x N x C, U x V, m.
    let ([rows, columns, channels], [high, wide], filters) = ([8, 10, 3], [3, 5], 4);
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([1, channels, rows, columns]))?;
    let w = g.input("w", Type::f32([filters, channels, high, wide]))?;
    let y = g.conv2d(x, w, None, Conv2d::new())?;
    page.say(format!(
        "{filters} filters of {high} x {wide} x {channels} over {}: {}",
        extents(g.shape(x)?),
        extents(g.shape(y)?)
    ));

    let image: Vec<f32> = [1.0, 2.0, 3.0].iter().flat_map(|&x| [x; 9]).collect();
    let ones = [1.0; 27];
    let given: [Given; 2] = [(&[1, 3, 3, 3], &image), (&[1, 3, 3, 3], &ones)];
    let made = page.one(&given, |g, x| g.conv2d(x[0], x[1], None, Conv2d::new()))?;
    page.say(format!(
        "3 x 3 pixels of red 1, green 2, blue 3 under a filter of 27 ones: 9 * (1 + 2 + 3) = {}",
        number(made[0])
    ));

    let planes = scene::planes();
    let shapes: [&[usize]; 2] = [&[1, 3, SIDE, SIDE], &[3, 3, 1, 1]];
    let given: [Given; 2] = [(shapes[0], &planes), (shapes[1], &OWN_COLOUR)];
    let maps = page.one(&given, |g, x| {
        let y = g.conv2d(x[0], x[1], None, Conv2d::new())?;
        g.relu(y)
    })?;
    page.draw("colours.png", scene::beside(&planes, &maps)?);
    Ok(())
}
