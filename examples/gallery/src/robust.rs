//! Noise and light: a network that has seen clean digits alone, and one whose digits were made
//! darker, lighter and noisy at random while it learnt, on worse and worse pictures.

use striate::data::{Chance, Dataset, Picture, Split, digits};
use striate::nn::{Conv2d, Flatten, Linear, MaxPool2d, Relu, Sequential};
use striate::prelude::*;

use crate::{Better, Common, Outcome, Recipe, engine, right, say};

/// Measures what noise and light do to a network, with and without augmentation
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
}

/// Rows and columns of a picture.
const SIDE: usize = 28;

/// What befalls a picture: contrast, grey of the ground from 0 to 1, deviation of the noise.
#[derive(Clone, Copy)]
struct Light {
    contrast: f64,
    ground: f64,
    noise: f64,
}

const fn light(contrast: f64, ground: f64, noise: f64) -> Light {
    Light {
        contrast,
        ground,
        noise,
    }
}

const TESTS: [(&str, Light); 5] = [
    ("clean", light(1.0, 0.0, 0.0)),
    ("darker", light(0.35, 0.0, 0.0)),
    ("a light ground", light(0.5, 0.4, 0.0)),
    ("noise", light(1.0, 0.0, 0.35)),
    ("all of it", light(0.5, 0.3, 0.25)),
];

/// The picture in another light, with noise.
fn spoil(pixels: &mut [u8], light: Light, chance: &mut Chance) {
    for pixel in pixels {
        let ink = f64::from(*pixel) / 255.0;
        // The swing's deviation is a third.
        let noise = 3.0 * light.noise * chance.swing();
        let grey = light.ground + light.contrast * ink + noise;
        *pixel = (255.0 * grey).clamp(0.0, 255.0) as u8;
    }
}

/// All pictures in the same light.
fn spoilt(set: &Dataset, light: Light, seed: u64) -> Dataset {
    let mut set = set.clone();
    for (index, pixels) in set.images.chunks_mut(SIDE * SIDE).enumerate() {
        spoil(pixels, light, &mut Chance::of(seed, index as u64));
    }
    set
}

/// Each picture in a light of its own, with less noise than the tests have.
fn augmented(set: &Dataset, seed: u64) -> Dataset {
    let mut set = set.clone();
    for (index, pixels) in set.images.chunks_mut(SIDE * SIDE).enumerate() {
        let mut chance = Chance::of(seed, index as u64);
        let own = light(
            chance.within([0.4, 1.0]),
            chance.within([0.0, 0.35]),
            chance.within([0.0, 0.22]),
        );
        spoil(pixels, own, &mut chance);
    }
    set
}

fn network() -> Sequential {
    let block = |channels, out| {
        Sequential::new()
            .named("conv", Conv2d::new(channels, out, 3).padding(1))
            .then(Relu)
            .then(MaxPool2d::new(2))
    };
    Sequential::new()
        .named("block1", block(1, 12))
        .named("block2", block(12, 24))
        .then(Flatten)
        .named("fc", Linear::new(24 * 7 * 7, 10))
}

/// Trains the same network on both, and says how many of spoilt digits each tells rightly.
///
/// # Errors
/// Those of training and of drawing pictures.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    let learnt = digits(common.pick(4000, 1000), common.training_seed())?;
    let held_out = digits(500, common.held_out_seed())?;
    let tests: Vec<Dataset> = (0..)
        .zip(TESTS)
        .map(|(number, (_, light))| spoilt(&held_out, light, 100 * common.held_out_seed() + number))
        .collect();

    let shown = tests.iter().flat_map(|set| {
        let pictures = set.images.chunks(SIDE * SIDE).take(10);
        pictures.map(|pixels| Picture::of_image(pixels, [1, SIDE, SIDE])?.enlarged(3))
    });
    let shown: Vec<Picture> = shown.collect::<Result<_>>()?;
    common.write("robust.png", &Picture::grid(&shown, 10, 4)?)?;

    let engine = engine()?;
    let net = network();
    let shares = |train: Dataset| -> Result<Vec<f64>> {
        let data = Split {
            train,
            test: held_out.clone(),
        };
        let recipe = Recipe::classes(common.pick(8, 5), 4e-3, 50);
        let mut trainer = recipe.train(&engine, &net, &data, common)?;
        tests.iter().map(|set| right(&mut trainer, set)).collect()
    };
    say("clean digits:")?;
    let clean = shares(learnt.clone())?;
    say("digits in all lights, with noise:")?;
    let varied = shares(augmented(&learnt, common.training_seed()))?;
    say("                learnt from clean digits   from varied ones")?;
    for ((name, _), (clean, varied)) in TESTS.iter().zip(clean.iter().zip(&varied)) {
        say(format!("{name:15} {clean:23.1} % {varied:16.1} %"))?;
    }
    let last = TESTS.len() - 1;
    Ok(Outcome::new(
        "accuracy on 500 held-out digits on a light ground, in more noise than was learnt",
        "%",
        Better::Higher,
        varied[last],
        common.pick(75.0, 60.0),
    )
    .beside("without augmentation", clean[last])
    .beside("the constant answer", 10.0))
}
