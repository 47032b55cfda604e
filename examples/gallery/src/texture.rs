//! Makes more of a texture that one picture shows: pixels are changed until random filters, or a
//! VGG whose weights are given, answer to them, on the whole, as to the picture.

use std::path::PathBuf;

use striate::data::{Chance, Picture};
use striate::prelude::*;

use crate::filters::{Features, Filters, distance, features};
use crate::photo::{Photo, hashed, mix, noise, normal};
use crate::{Better, Common, Outcome, engine, say};

/// Rows and columns of the pictures.
pub const SIDE: usize = 96;
/// Sizes of a picture at which filters look at it.
pub const LEVELS: usize = 4;

/// Makes pixels into a texture that one picture shows
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
    /// torchvision's weights of a VGG as a safetensors file, to follow those instead
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
}

/// Pebbles: cells around random points, each a dome of its own colour, lit from the left above.
pub fn pebbles(seed: u64) -> Photo {
    let key = Chance::of(seed, 0).below(1 << 30) as u32;
    let mut values = vec![0.0; 3 * SIDE * SIDE];
    for at in 0..SIDE * SIDE {
        let mut sum = [0.0; 3];
        for sample in 0..4 {
            let x = (at % SIDE) as f64 + 0.25 + 0.5 * f64::from(sample % 2);
            let y = (at / SIDE) as f64 + 0.25 + 0.5 * f64::from(sample / 2);
            let colour = pebble([x / 13.0, y / 13.0], key);
            sum = [0, 1, 2].map(|part| sum[part] + 0.25 * colour[part]);
        }
        for (channel, part) in sum.into_iter().enumerate() {
            values[channel * SIDE * SIDE + at] = part as f32;
        }
    }
    Photo::new([SIDE; 2], values)
}

/// The colour at a place, in mean distances of pebbles.
fn pebble([x, y]: [f64; 2], key: u32) -> [f64; 3] {
    let mut nearest = [(f64::INFINITY, [0; 2], [0.0; 2]); 2];
    for step in 0..25 {
        let cell = [
            x.floor() as i64 + step % 5 - 2,
            y.floor() as i64 + step / 5 - 2,
        ];
        let point = [0, 1].map(|axis| {
            cell[axis] as f64 + 0.12 + 0.76 * hashed(cell, key.wrapping_add(axis as u32))
        });
        let from = [x - point[0], y - point[1]];
        let entry = (from[0].hypot(from[1]), cell, from);
        if entry.0 < nearest[0].0 {
            nearest = [entry, nearest[0]];
        } else if entry.0 < nearest[1].0 {
            nearest[1] = entry;
        }
    }
    let [(first, cell, from), (second, ..)] = nearest;
    let cover = ((second - first - 0.06) / 0.1).clamp(0.0, 1.0);
    let light = 0.72 - 0.42 * (from[0] + from[1]) - 0.35 * first * first;
    let kind = hashed(cell, key.wrapping_add(7));
    let stone = mix(
        [0.86, 0.78, 0.66],
        [0.42, 0.48, 0.58],
        hashed(cell, key.wrapping_add(3)),
    );
    let stone = if kind < 0.18 {
        [0.78, 0.42, 0.3]
    } else {
        stone
    };
    let rough = 0.9 + 0.2 * noise([5.0 * x, 5.0 * y], key);
    let stone = stone.map(|part| part * light * rough * 1.25);
    mix([0.1, 0.09, 0.08], stone, cover)
}

/// The same pixels in any order.
fn shuffled(photo: &Photo, seed: u64) -> Photo {
    let plane = SIDE * SIDE;
    let order = Chance::of(seed, 1).order(plane);
    let moved = (0..3 * plane).map(|at| photo.values[at / plane * plane + order[at % plane]]);
    Photo::new(photo.size, moved)
}

/// White noise through the linear filter that gives it the power spectrum of a picture, which is
/// the picture itself (Galerne, Gousseau and Morel 2011, "Random phase textures: theory and
/// synthesis").
pub fn spot_noise(photo: &Photo, seed: u64) -> Photo {
    let plane = SIDE * SIDE;
    let mut chance = Chance::of(seed, 2);
    let white: Vec<f32> = (0..plane).map(|_| normal(&mut chance) as f32).collect();
    let mut values = Vec::with_capacity(3 * plane);
    for channel in photo.values.chunks(plane) {
        let mean = channel.iter().sum::<f32>() / plane as f32;
        let mut made = vec![mean; plane];
        for (at, &value) in channel.iter().enumerate() {
            let factor = (value - mean) / SIDE as f32;
            let [right, down] = [at % SIDE, at / SIDE];
            for (row, line) in white.chunks(SIDE).enumerate() {
                let to = (row + down) % SIDE * SIDE;
                let to = &mut made[to..to + SIDE];
                let (end, start) = line.split_at(SIDE - right);
                let places = to[right..].iter_mut().zip(end);
                places.for_each(|(to, noise)| *to += factor * noise);
                let places = to[..right].iter_mut().zip(start);
                places.for_each(|(to, noise)| *to += factor * noise);
            }
        }
        values.append(&mut made);
    }
    Photo::new(photo.size, values)
}

/// Makes a texture, and says how far other filters tell it from the given one, in percent of the
/// distance of shuffled pixels.
///
/// # Errors
/// Those of reading weights, of the device and of drawing pictures.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    let guide = features(args.weights.as_deref(), LEVELS, common.training_seed())?;
    let engine = engine()?;
    let given = pebbles(common.training_seed());
    let shuffled = shuffled(&given, common.training_seed());
    let filtered = spot_noise(&given, common.training_seed());
    let steps = common.pick(160, 30);
    let grams = guide.grams_of(&engine, &given)?;
    let made = guide.followed(&engine, &grams, &filtered, steps, None)?;
    let tiles = [&given, &filtered, &made].map(|photo| photo.picture()?.enlarged(2));
    let tiles: Vec<Picture> = tiles.into_iter().collect::<Result<_>>()?;
    common.write("texture.png", &Picture::grid(&tiles, 3, 4)?)?;

    // Other filters, of another size, that pixels were not changed for.
    let others = Filters::random(64, 5, LEVELS, common.held_out_seed())?;
    let goal = others.grams_of(&engine, &given)?;
    let far = |photo: &Photo| distance(&others.grams_of(&engine, photo)?, &goal);
    let whole = far(&shuffled)? / 100.0;
    let another = far(&pebbles(common.held_out_seed()))? / whole;
    // No picture of the same pebbles can be expected to come much nearer.
    say(format!(
        "another picture of such pebbles is at {another:.2} %"
    ))?;
    Ok(Outcome::new(
        "distance of Gram matrices of 64 other filters, of another size",
        "%",
        Better::Lower,
        far(&made)? / whole,
        another * common.pick(1.1, 1.3),
    )
    .beside("linearly filtered noise", far(&filtered)? / whole)
    .beside("shuffled pixels", 100.0))
}
