//! Which letter is this? Capital letters of pens that slant, shake and press.
//!
//! The letters are drawn here, from strokes; where the files of EMNIST are given, they are people's
//! own, capital and small in one class (Cohen et al. 2017), and networks and recipe are the same.

use std::path::PathBuf;

use striate::data::{Chance, Dataset, Emnist, Palette, Picture, Split, load_emnist};
use striate::nn::{Flatten, Linear, Sequential};
use striate::prelude::*;
use striate::train::{Confusion, Trainer};

use crate::canvas::{Canvas, DARK, LETTER_SIZE, RIGHT, WRONG, distance, strokes};
use crate::parts::{best, halving, linear};
use crate::{Better, Common, Outcome, Recipe, engine, say};

/// Rows and columns of an image, as EMNIST has them.
const SIDE: usize = 28;
const PIXELS: usize = SIDE * SIDE;
const CLASSES: usize = 26;

/// Reads handwritten letters
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
    /// Folder with the files of EMNIST's letters, to read those instead
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// How far to the side letters lean for each pixel of height, to the left or to the right.
const LEARNT: [f64; 2] = [0.0, 0.3];
const HELD_OUT: [f64; 2] = [0.3, 0.45];

fn name(letter: usize) -> String {
    char::from(b'A' + letter as u8).to_string()
}

fn draw(count: usize, seed: u64, slant: [f64; 2]) -> Result<Dataset> {
    let mut images = Vec::with_capacity(count * PIXELS);
    let labels: Vec<u32> = (0..count).map(|index| (index % CLASSES) as u32).collect();
    for (index, &label) in labels.iter().enumerate() {
        let chance = Chance::of(seed, index as u64);
        images.extend(letter(label as usize, chance, slant));
    }
    Dataset::new(images, labels, [1, SIDE, SIDE], CLASSES)?.with_names((0..CLASSES).map(name))
}

/// Pixels of one letter, white on black.
fn letter(letter: usize, mut chance: Chance, slant: [f64; 2]) -> Vec<u8> {
    let lean = chance.within(slant) * [-1.0, 1.0][chance.below(2)];
    let (sin, cos) = chance.within([-0.15, 0.15]).sin_cos();
    let high = chance.within([14.0, 20.0]);
    let wide = high * chance.within([0.6, 0.8]);
    let middle = [(); 2].map(|()| 0.5 * SIDE as f64 + chance.within([-3.0, 3.0]));
    let shaken = chance.within([0.1, 0.5]);
    let rounded = chance.within([0.0, 0.3]);
    let half = chance.within([0.6, 1.5]);
    let ink = chance.within([0.65, 1.0]);
    let mut lines = Vec::new();
    for stroke in strokes(letter) {
        let corners: Vec<[f64; 2]> = stroke
            .iter()
            .map(|&[x, y]| {
                let [x, y] = [x, y].map(|edge| edge + shaken * chance.swing());
                let [x, y] = [x / LETTER_SIZE[0] - 0.5, y / LETTER_SIZE[1] - 0.5];
                let [x, y] = [wide * x - lean * high * y, high * y];
                [middle[0] + cos * x - sin * y, middle[1] + sin * x + cos * y]
            })
            .collect();
        let path = round(&corners, rounded);
        lines.extend(path.windows(2).map(|ends| [ends[0], ends[1]]));
    }
    let mut pixels = Vec::with_capacity(PIXELS);
    for at in 0..PIXELS {
        let pixel = [at % SIDE, at / SIDE].map(|edge| edge as f64 + 0.5);
        let near = lines.iter().map(|&ends| distance(pixel, ends));
        let near = near.fold(f64::MAX, f64::min);
        let grey = ink * (0.5 + half - near).clamp(0.0, 1.0) + 0.06 * chance.swing();
        pixels.push((255.0 * grey).clamp(0.0, 255.0) as u8);
    }
    pixels
}

/// Cuts each corner off, this share of the way to its neighbours (Chaikin 1974).
fn round(corners: &[[f64; 2]], share: f64) -> Vec<[f64; 2]> {
    let mut path = Vec::with_capacity(2 * corners.len());
    path.extend(corners.first());
    for ends in corners.windows(3) {
        for neighbour in [ends[0], ends[2]] {
            let between =
                [0, 1].map(|axis| ends[1][axis] + share * (neighbour[axis] - ends[1][axis]));
            path.push(between);
        }
    }
    path.extend(corners.last());
    path
}

fn network() -> Sequential {
    Sequential::new()
        .named("block1", halving(1, 12))
        .named("block2", halving(12, 24))
        .named("block3", halving(24, 48))
        .then(Flatten)
        .named("fc", Linear::new(48 * 3 * 3, CLASSES))
}

const PALE: [u8; 3] = [170, 174, 190];

/// Letters with the answers below them, in the last row those that are read wrongly; and how often
/// each letter (row) is read as each other (column).
fn picture(trainer: &mut Trainer, test: &Dataset, confusion: &Confusion) -> Result<Picture> {
    const COLUMNS: usize = 10;
    const ROWS: usize = 4;
    const TIMES: usize = 2;
    const CELL: usize = 12;
    let [wide, high] = [TIMES * SIDE + 6, TIMES * SIDE + 26];
    let left = COLUMNS * wide + 30;
    let mut canvas = Canvas::new([left + CELL * CLASSES + 20, ROWS * high + 12], DARK);

    let looked = test.count.min(4000);
    let made = trainer.predict(&test.images[..looked * PIXELS])?;
    let answers: Vec<usize> = made.as_f32()?.chunks(CLASSES).map(best).collect();
    let is_wrong = |image: &usize| answers[*image] != test.labels[*image] as usize;
    let first = COLUMNS * (ROWS - 1);
    let shown = (0..looked.min(first)).chain((first..looked).filter(is_wrong).take(COLUMNS));
    for (number, image) in shown.enumerate() {
        let [x, y] = [6 + number % COLUMNS * wide, 6 + number / COLUMNS * high];
        let pixels = &test.images[image * PIXELS..][..PIXELS];
        let tile = Picture::of_image(pixels, [1, SIDE, SIDE])?.enlarged(TIMES)?;
        canvas.put([x, y], &tile);
        let colour = [RIGHT, WRONG][usize::from(is_wrong(&image))];
        let corner = [
            (x + TIMES * SIDE / 2 - 4) as f64,
            (y + TIMES * SIDE + 5) as f64,
        ];
        canvas.write(corner, 13.0, &name(answers[image]), colour);
    }
    let top = 26;
    for class in 0..CLASSES {
        for answer in 0..CLASSES {
            let share =
                confusion.count(class, answer) as f32 / confusion.actual(class).max(1) as f32;
            // The root, so that rare mistakes can be seen.
            let colour = Palette::Viridis.colour(share.sqrt());
            let corner = [left + CELL * answer, top + CELL * class];
            canvas.fill(corner, [CELL - 1; 2], colour);
        }
        let along = (CELL * class) as f64 + 2.0;
        let [x, y] = [left as f64, top as f64];
        canvas.write([x - 13.0, y + along], 8.0, &name(class), PALE);
        canvas.write([x + along, y - 13.0], 8.0, &name(class), PALE);
    }
    canvas.picture()
}

/// Trains both, and says how many of other letters they read rightly, in percent.
///
/// # Errors
/// Those of reading EMNIST, of training and of drawing pictures.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    let (data, what, target) = match &args.data {
        Some(folder) => {
            let mut data = load_emnist(folder, Emnist::Letters)?;
            data.train = data.train.first_of_each(common.pick(1200, 300))?;
            (data, "letters of EMNIST", common.pick(88.0, 75.0))
        }
        None => {
            let data = Split {
                train: draw(common.pick(3900, 2600), common.training_seed(), LEARNT)?,
                test: draw(1300, common.held_out_seed(), HELD_OUT)?,
            };
            (data, "letters that lean further", common.pick(95.0, 80.0))
        }
    };
    let engine = engine()?;
    let fit = |net: &dyn Module, epochs: usize, rate: f32| {
        Recipe::classes(epochs, rate, 50).judged(&engine, net, &data, common)
    };
    say("a linear model of the pixels:")?;
    let (_, by_pixels) = fit(&linear(PIXELS, CLASSES), common.pick(5, 3), 0.003)?;
    say("three convolutions:")?;
    let (mut trainer, by_filters) = fit(&network(), common.pick(4, 3), 0.01)?;
    if let Some(confusion) = &trainer.evaluate(&data.test)?.confusion {
        let drawn = picture(&mut trainer, &data.test, confusion)?;
        common.write("handwriting.png", &drawn)?;
    }
    Ok(Outcome::new(
        format!("accuracy on {} held-out {what}", data.test.count),
        "%",
        Better::Higher,
        by_filters,
        target,
    )
    .beside_below("a linear model", by_pixels, 75.0)
    .beside("the constant answer", 100.0 / CLASSES as f64))
}
