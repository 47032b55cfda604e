//! One filter everywhere: what moves in the picture moves in the map.

use striate::data::{Picture, digits};
use striate::ops::Conv2d;
use striate::prelude::*;
use striate::shape::PaddingMode;

use super::kernels::ACROSS;
use super::{Given, Page, grey, number};

/// Sides of the canvas, and how far the digit moves: right and down.
const SIDE: usize = 48;
const MOVE: [usize; 2] = [14, 9];

pub fn show(page: &mut Page) -> Result<()> {
    let set = digits(10, 1)?;
    let canvas = |[right, down]: [usize; 2]| {
        let mut canvas = vec![0.0; SIDE * SIDE];
        for (y, row) in set.images[..28 * 28].chunks(28).enumerate() {
            for (x, &byte) in row.iter().enumerate() {
                canvas[(y + down) * SIDE + x + right] = f32::from(byte) / 255.0;
            }
        }
        canvas
    };
    let (here, there) = (canvas([3, 4]), canvas([3 + MOVE[0], 4 + MOVE[1]]));
    let both = [&here[..], &there[..]].concat();
    let given: [Given; 2] = [(&[2, 1, SIDE, SIDE], &both), (&[1, 1, 3, 3], &ACROSS)];
    let made = page.run(&given, |g, x| {
        let maps = g.conv2d(x[0], x[1], None, Conv2d::new().padding(1))?;
        // What the map of the first would be if it were moved.
        let first = g.narrow(maps, 0, 0, 1)?;
        let [right, down] = MOVE.map(|n| n as isize);
        let moved = g.pad(first, &[right, -right, down, -down], PaddingMode::Zeros)?;
        let second = g.narrow(maps, 0, 1, 1)?;
        let difference = g.sub(moved, second)?;
        let difference = g.abs(difference)?;
        let largest = g.amax(difference, &[0, 1, 2, 3], false)?;
        Ok(vec![maps, largest, g.global_max_pool(maps)?])
    })?;
    let (maps, largest) = (made[0].as_f32()?, made[1].item()?);
    let pooled = made[2].as_f32()?;
    page.say(format!(
        "Moved by {} to the right and {} down: the map of the moved digit and the moved map of the \
         digit differ by {} at most",
        MOVE[0],
        MOVE[1],
        number(largest)
    ));
    page.say(format!(
        "The largest number of each map, wherever it stands: {} and {}",
        number(pooled[0]),
        number(pooled[1])
    ));
    let unit = |map: &[f32]| -> Vec<f32> { map.iter().map(|x| 0.5 + x / 8.0).collect() };
    let (first, second) = maps.split_at(SIDE * SIDE);
    let tiles = [here, unit(first), there, unit(second)];
    let tiles = tiles.iter().map(|tile| grey(tile, [SIDE; 2])?.enlarged(3));
    let tiles = tiles.collect::<Result<Vec<_>>>()?;
    page.draw("moved.png", Picture::grid(&tiles, 4, 4)?);
    Ok(())
}
