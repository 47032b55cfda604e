//! What an image is.

use striate::data::digits;
use striate::prelude::*;

use super::{Page, grey, scene};

/// Left, top, width and height of what is printed of the digit.
const CUT: [usize; 4] = [6, 9, 14, 8];

pub fn show(page: &mut Page) -> Result<()> {
    let set = digits(10, 1)?;
    let (size, digit) = (28, &set.images[..28 * 28]);
    page.say(format!(
        "A digit: {size} x {size} x 1 = {} numbers from 0 to 255, here a part of them:",
        digit.len()
    ));
    let [left, top, width, height] = CUT;
    let rows = digit.chunks(size).skip(top).take(height);
    let cut: Vec<f32> = rows
        .flat_map(|row| row[left..left + width].iter().map(|&byte| f32::from(byte)))
        .collect();
    page.matrix(&cut, width);
    let shown: Vec<f32> = digit.iter().map(|&byte| f32::from(byte) / 255.0).collect();
    page.draw("digit.png", grey(&shown, [size; 2])?.enlarged(8)?);

    let planes = scene::planes();
    page.say(format!(
        "A picture in colour: {side} x {side} x 3 = {} numbers",
        planes.len(),
        side = scene::SIDE
    ));
    let pixel = 70 * scene::SIDE + 40;
    let parts: Vec<f32> = planes
        .chunks(scene::SIDE * scene::SIDE)
        .map(|plane| (255.0 * plane[pixel]).round())
        .collect();
    let [red, green, blue] = [0, 1, 2].map(|i| parts[i]);
    page.say(format!(
        "Its pixel in row 70, column 40: red {red}, green {green}, blue {blue}"
    ));
    page.draw("planes.png", scene::beside(&planes, &planes)?);
    Ok(())
}
