//! A still life in colour: a red ball, a blue box and a green post on a chequered floor. It has
//! what kernels look for: edges of every direction, smooth shading, a fine pattern.

use striate::data::Picture;
use striate::prelude::*;

use super::grey;

/// Pixels along each edge.
pub const SIDE: usize = 128;

/// Planes `[3, SIDE, SIDE]` of red, green and blue, from 0 to 1.
pub fn planes() -> Vec<f32> {
    let mut planes = vec![0.0; 3 * SIDE * SIDE];
    for y in 0..SIDE {
        for x in 0..SIDE {
            let colour = colour(x as f32 + 0.5, y as f32 + 0.5);
            for (plane, part) in planes.chunks_mut(SIDE * SIDE).zip(colour) {
                plane[y * SIDE + x] = part.clamp(0.0, 1.0);
            }
        }
    }
    planes
}

/// The same in grey: the mean of the planes, `[SIDE, SIDE]`.
pub fn greys() -> Vec<f32> {
    let planes = planes();
    let (red, rest) = planes.split_at(SIDE * SIDE);
    let (green, blue) = rest.split_at(SIDE * SIDE);
    let pixels = red.iter().zip(green).zip(blue);
    pixels.map(|((r, g), b)| (r + g + b) / 3.0).collect()
}

/// The picture of these planes, and beside it maps `[n, SIDE, SIDE]` in grey.
pub fn beside(planes: &[f32], maps: &[f32]) -> Result<Picture> {
    let bytes: Vec<u8> = planes.iter().map(|x| (255.0 * x).round() as u8).collect();
    let mut tiles = vec![Picture::of_image(&bytes, [3, SIDE, SIDE])?];
    for map in maps.chunks(SIDE * SIDE) {
        tiles.push(grey(map, [SIDE; 2])?);
    }
    Picture::grid(&tiles, tiles.len(), 4)
}

/// The colour at a point, in pixels from the top left.
fn colour(x: f32, y: f32) -> [f32; 3] {
    // A ball, lit from the left above.
    let [u, v] = [(x - 44.0) / 27.0, (y - 72.0) / 27.0];
    let inside = 1.0 - u * u - v * v;
    if inside > 0.0 {
        let depth = inside.sqrt();
        let light = (-0.5 * u - 0.6 * v + 0.62 * depth).max(0.0);
        let shine = light.powi(24);
        return [0.12 + 0.8 * light, 0.05 + 0.2 * light, 0.05 + 0.18 * light]
            .map(|part| part + 0.7 * shine);
    }
    // A box: its front, and its top, which leans back.
    if (76.0..108.0).contains(&x) && (60.0..100.0).contains(&y) {
        return [0.16, 0.25, 0.6];
    }
    if (50.0..60.0).contains(&y) && (76.0..108.0).contains(&(x - 0.8 * (60.0 - y))) {
        return [0.35, 0.48, 0.85];
    }
    // A post.
    if (112.0..118.0).contains(&x) && (20.0..84.0).contains(&y) {
        let light = 0.4 + 0.6 * (1.0 - (x - 114.0).abs() / 4.0);
        return [0.15 * light, 0.6 * light, 0.25 * light];
    }
    // The wall, brighter to the left, and the floor, whose squares shrink with the distance.
    if y < 64.0 {
        let bright = 0.85 - 0.004 * x - 0.002 * y;
        return [bright, 0.97 * bright, 0.9 * bright];
    }
    let distance = 900.0 / (y - 56.0);
    let [column, row] = [(x - 64.0) * distance / 160.0, distance / 4.0];
    let dark = (column.floor() + row.floor()).rem_euclid(2.0) == 0.0;
    let shadow = ((x - 58.0) / 30.0).powi(2) + ((y - 99.0) / 7.0).powi(2) < 1.0;
    let bright = if dark { 0.3 } else { 0.75 } * if shadow { 0.45 } else { 1.0 };
    [bright, 0.9 * bright, 0.75 * bright]
}
