//! Is there a face? Small grey patches, in two classes.
//!
//! Patches without a face hold the same parts, an oval with two eyes, a nose and a mouth, at places
//! where no face has them: what is there does not tell, only how it is arranged.

mod npy;

use std::path::{Path, PathBuf};

use striate::data::{Chance, Dataset, Picture, Split};
use striate::nn::{Flatten, Linear, Sequential};
use striate::prelude::*;
use striate::train::{Classification, Trainer};

use crate::parts::{halving, linear};
use crate::{Better, Common, Outcome, Recipe, engine, say};

/// Rows and columns of a patch.
pub(crate) const SIDE: usize = 24;
/// Patches in a row of the picture.
const COLUMNS: usize = 12;

/// Tells patches with a face from others that hold the same parts elsewhere
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
    /// `lfw_subset.npy` of scikit-image, to take its 200 patches instead: faces, then others
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
}

/// How far patches differ from each other.
#[derive(Clone, Copy)]
pub(crate) struct FaceRange {
    /// Radius of the oval in pixels.
    radius: [f64; 2],
    /// How much lighter one side of the patch is than the other at most.
    slope: f64,
}

pub(crate) const LEARNT: FaceRange = FaceRange {
    radius: [6.5, 8.0],
    slope: 0.3,
};

/// Smaller faces, in harder light.
pub(crate) const HELD_OUT: FaceRange = FaceRange {
    radius: [6.0, 7.5],
    slope: 0.45,
};

/// Eyes, nose and mouth: how far to the right and down, how wide and high, in radii of the oval.
const PARTS: [[f64; 4]; 4] = [
    [-0.38, -0.25, 0.20, 0.13],
    [0.38, -0.25, 0.20, 0.13],
    [0.0, 0.12, 0.10, 0.20],
    [0.0, 0.5, 0.34, 0.12],
];

fn draw(count: usize, seed: u64, range: FaceRange) -> Result<Dataset> {
    let mut images = Vec::with_capacity(count * SIDE * SIDE);
    let labels: Vec<u32> = (0..count as u32).map(|index| index % 2).collect();
    for (index, &label) in labels.iter().enumerate() {
        let chance = Chance::of(seed, index as u64);
        images.extend(patch(label == 1, chance, range));
    }
    Dataset::new(images, labels, [1, SIDE, SIDE], 2)?.with_names(["none", "face"])
}

/// Pixels of one patch.
pub(crate) fn patch(face: bool, mut chance: Chance, range: FaceRange) -> Vec<u8> {
    let radius = chance.within(range.radius);
    let middle = [(); 2].map(|()| 0.5 * SIDE as f64 + chance.within([-3.5, 3.5]));
    let (sin, cos) = chance.within([-0.25, 0.25]).sin_cos();
    // Dark parts on light skin.
    let skin = chance.within([0.45, 0.8]);
    let ground = chance.within([0.1, 0.9]);
    let depth = chance.within([0.25, 0.4]);
    let slope = [(); 2].map(|()| range.slope * chance.within([-1.0, 1.0]));
    let mut places = PARTS.map(|[x, y, ..]| [x, y]);
    if !face {
        elsewhere(&mut places, &mut chance);
    }
    let mut pixels = Vec::with_capacity(SIDE * SIDE);
    for at in 0..SIDE * SIDE {
        let [x, y] = [at % SIDE, at / SIDE].map(|edge| edge as f64 + 0.5);
        let [u, v] = [(x - middle[0]) / radius, (y - middle[1]) / radius];
        let [u, v] = [cos * u + sin * v, cos * v - sin * u];
        let cover = oval([u, v], [0.85, 1.0], radius);
        let mut grey = ground + (skin - ground) * cover;
        for ([left, top], [.., wide, high]) in places.iter().zip(PARTS) {
            grey -= depth * cover * oval([u - left, v - top], [wide, high], radius);
        }
        for (place, slope) in [x, y].into_iter().zip(slope) {
            grey += slope * (place / SIDE as f64 - 0.5);
        }
        grey += 0.05 * chance.swing();
        pixels.push((255.0 * grey).clamp(0.0, 255.0) as u8);
    }
    pixels
}

/// Moves the parts to where they make no face: turned upside down, or shuffled.
fn elsewhere(places: &mut [[f64; 2]; 4], chance: &mut Chance) {
    match chance.below(3) {
        // Upside down.
        0 => places.iter_mut().for_each(|[_, y]| *y = -*y),
        // One eye in the place of the mouth, or of the nose.
        1 => {
            let (eye, other) = (chance.below(2), 2 + chance.below(2));
            places.swap(eye, other);
        }
        // All of them anywhere, apart from each other.
        _ => {
            let start = chance.unit() * 1.5 + 0.4;
            for (part, place) in places.iter_mut().enumerate() {
                let angle = std::f64::consts::FRAC_PI_2 * part as f64 + start;
                *place = [0.5 * angle.cos(), 0.5 * angle.sin()];
            }
        }
    }
}

/// How much of a pixel lies in an oval around the origin, whose lengths are in `radius` pixels.
fn oval([u, v]: [f64; 2], [wide, high]: [f64; 2], radius: f64) -> f64 {
    let distance = ((u / wide).powi(2) + (v / high).powi(2)).sqrt() - 1.0;
    (0.5 - distance * radius * wide.min(high)).clamp(0.0, 1.0)
}

/// Patches of a file, the first half of them faces, and their rows; a quarter is held out.
///
/// # Errors
/// `Io` or `Data` if the file is not what it should be, or patches are few, small or not square.
fn given(path: &Path, seed: u64) -> Result<(Split, usize)> {
    let read = npy::read(path)?;
    let side = read.height;
    if read.width != side || side < 8 || read.count < 14 {
        let [count, width] = [read.count, read.width];
        let message = format!(
            "{}: {count} patches of {side} x {width}; at least 14 are wanted, square, of 8 x 8 or \
             more",
            path.display()
        );
        return Err(Error::new(ErrorKind::Data, message));
    }
    let labels = (0..read.count).map(|index| u32::from(index < read.count / 2));
    let set = Dataset::new(read.bytes, labels.collect(), [1, side, side], 2)?;
    Ok((set.with_names(["none", "face"])?.split(0.25, seed)?, side))
}

/// A network of patches with so many rows and columns.
fn network(side: usize) -> Sequential {
    Sequential::new()
        .named("block1", halving(1, 12))
        .named("block2", halving(12, 24))
        .named("block3", halving(24, 32))
        .then(Flatten)
        .named("fc", Linear::new(32 * (side / 8) * (side / 8), 2))
}

fn recipe(args: &Args) -> Recipe<Classification> {
    let (epochs, batch) = match args.data {
        None => (args.common.pick(8, 3), 50),
        Some(_) => (args.common.pick(20, 10), 10),
    };
    Recipe::classes(epochs, 0.01, batch)
}

/// Two rows of patches: taken for faces, taken for none.
fn sorted(trainer: &mut Trainer, set: &Dataset) -> Result<Picture> {
    let [height, width] = [set.height, set.width];
    let patches: Vec<&[u8]> = set.images.chunks(height * width).take(100).collect();
    let logits = trainer.predict(&patches.concat())?;
    let answers = logits
        .as_f32()?
        .chunks(2)
        .map(|logits| logits[1] > logits[0]);
    let answers: Vec<bool> = answers.collect();
    let mut shown = Vec::new();
    for face in [true, false] {
        let chosen = answers.iter().zip(&patches);
        let chosen = chosen.filter(|(answer, _)| **answer == face).take(COLUMNS);
        for (_, pixels) in chosen {
            shown.push(Picture::of_image(pixels, [1, height, width])?.enlarged(3)?);
        }
        let blank = Picture::filled(3 * width, 3 * height, [40; 3])?;
        shown.resize(if face { COLUMNS } else { 2 * COLUMNS }, blank);
    }
    Picture::grid(&shown, COLUMNS, 4)
}

/// Trains both, and says how many of others they tell rightly, in percent.
///
/// # Errors
/// Those of reading patches, of training and of drawing pictures.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    let (data, side, what) = match &args.data {
        Some(path) => {
            let (data, side) = given(path, common.seed.into())?;
            let what = format!("{} held-out patches of the file", data.test.count);
            (data, side, what)
        }
        None => {
            let data = Split {
                train: draw(common.pick(4000, 2000), common.training_seed(), LEARNT)?,
                test: draw(1000, common.held_out_seed(), HELD_OUT)?,
            };
            let what = "1,000 held-out patches, smaller faces in harder light";
            (data, SIDE, what.to_owned())
        }
    };
    let engine = engine()?;
    let fit = |net: &dyn Module| recipe(args).judged(&engine, net, &data, common);
    say("a linear model of the pixels:")?;
    let (_, by_pixels) = fit(&linear(side * side, 2))?;
    say("three convolutions:")?;
    let (mut trainer, by_filters) = fit(&network(side))?;
    common.write("faces.png", &sorted(&mut trainer, &data.test)?)?;
    let outcome = Outcome::new(
        format!("accuracy on {what}"),
        "%",
        Better::Higher,
        by_filters,
        common.pick(93.0, 85.0),
    );
    let outcome = match args.data {
        None => outcome.beside_below("a linear model", by_pixels, 75.0),
        Some(_) => outcome.beside("a linear model", by_pixels),
    };
    Ok(outcome.beside("the constant answer", constant(&data.test)))
}

/// How many percent have the class that most have.
fn constant(set: &Dataset) -> f64 {
    let faces = set.labels.iter().filter(|&&label| label == 1).count();
    100.0 * faces.max(set.count - faces) as f64 / set.count.max(1) as f64
}
