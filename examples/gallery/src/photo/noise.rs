//! Numbers at random places, and smooth between them.

use striate::data::Chance;

/// A number with mean 0 and deviation 1 (Box and Muller 1958).
pub fn normal(chance: &mut Chance) -> f64 {
    let radius = (-2.0 * (1.0 - chance.unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * chance.unit()).cos()
}

/// Noise of four sizes, each half as large and half as strong as the one before, from 0 to 1.
pub fn grain([x, y]: [f64; 2], key: u32) -> f64 {
    let octave = |octave: i32| {
        let scale = 2f64.powi(octave);
        noise([scale * x, scale * y], key.wrapping_add(octave as u32)) / scale
    };
    (0..4).map(octave).sum::<f64>() / 1.875
}

/// Smooth noise: random numbers from 0 to 1 at whole places, and between them what lies between.
pub fn noise([x, y]: [f64; 2], key: u32) -> f64 {
    let corner = [x.floor(), y.floor()];
    let [u, v] = [x - corner[0], y - corner[1]].map(|part| part * part * (3.0 - 2.0 * part));
    let at =
        |right: i64, down: i64| hashed([corner[0] as i64 + right, corner[1] as i64 + down], key);
    let top = at(0, 0) * (1.0 - u) + at(1, 0) * u;
    let bottom = at(0, 1) * (1.0 - u) + at(1, 1) * u;
    top * (1.0 - v) + bottom * v
}

/// A number from 0 to 1 for each whole place, mixed as at the end of MurmurHash3.
pub fn hashed([x, y]: [i64; 2], key: u32) -> f64 {
    let mut h = key.wrapping_add((x as u32).wrapping_mul(0x9e37_79b1));
    h = h.rotate_left(13) ^ (y as u32).wrapping_mul(0x85eb_ca77);
    for (shift, factor) in [(16, 0x85eb_ca6b), (13, 0xc2b2_ae35), (16, 1)] {
        h = (h ^ (h >> shift)).wrapping_mul(factor);
    }
    f64::from(h) / f64::from(u32::MAX)
}
