//! Pictures as of a camera: balls and blocks on a table before a wall, with patterns, shade and
//! soft shadows. Programs of the gallery that restore pictures learn from them.

mod noise;
mod scene;

use striate::data::{Chance, Picture};
use striate::prelude::*;
use striate::train::{AdamW, Group, Muon, Normalise, Optimizer, Regression, Trainer};

use scene::Scene;

pub use noise::{hashed, noise, normal};
pub use scene::{Look, mix};

use crate::{Common, Recipe};

/// A picture in red, green and blue.
#[derive(Clone, Debug, PartialEq)]
pub struct Photo {
    /// Rows and columns.
    pub size: [usize; 2],
    /// Planes `[3, height, width]`, from 0 to 1.
    pub values: Vec<f32>,
}

impl Photo {
    /// Of planes `[3, height, width]`; what is below 0 or above 1 is cut off.
    pub fn new(size: [usize; 2], values: impl IntoIterator<Item = f32>) -> Self {
        let values = values.into_iter().map(|value| value.clamp(0.0, 1.0));
        Self {
            size,
            values: values.collect(),
        }
    }

    /// Of bytes `[3, height, width]`.
    pub fn of_bytes(size: [usize; 2], bytes: &[u8]) -> Self {
        Self::new(size, bytes.iter().map(|&byte| f32::from(byte) / 255.0))
    }

    /// Planes `[3, height, width]`, from 0 to 255.
    pub fn bytes(&self) -> Vec<u8> {
        let values = self.values.iter();
        values.map(|value| (255.0 * value).round() as u8).collect()
    }

    /// One pixel each.
    ///
    /// # Errors
    /// As [`Picture::of_image`].
    pub fn picture(&self) -> Result<Picture> {
        let [height, width] = self.size;
        Picture::of_image(&self.bytes(), [3, height, width])
    }

    /// The same with Gaussian noise of this deviation, each value on its own.
    pub fn noisy(&self, deviation: f64, chance: &mut Chance) -> Self {
        let noise = |&value: &f32| value + (deviation * normal(chance)) as f32;
        Self::new(self.size, self.values.iter().map(noise))
    }

    /// Half the size: each pixel the mean of four.
    pub fn halved(&self) -> Self {
        let [height, width] = self.size.map(|side| side / 2);
        let wide = self.size[1];
        let mut values = Vec::with_capacity(3 * height * width);
        for plane in self.values.chunks(self.size[0] * wide) {
            for at in 0..height * width {
                let corner = 2 * (at / width) * wide + 2 * (at % width);
                let four = [corner, corner + 1, corner + wide, corner + wide + 1];
                values.push(0.25 * four.iter().map(|&at| plane[at]).sum::<f32>());
            }
        }
        Self::new([height, width], values)
    }
}

/// The peak signal-to-noise ratio -10 log10(mean (a - b)^2) of values from 0 to 1, in decibels.
pub fn psnr(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    let mean = squares.sum::<f64>() / a.len().max(1) as f64;
    -10.0 * mean.max(1e-12).log10()
}

/// What a trained network makes of one image `[channels, height, width]` of another size than those
/// that it learnt from: `[1, ...]`.
///
/// # Errors
/// Those of building and running a graph.
pub fn answer(
    engine: &Engine,
    net: &dyn Module,
    trainer: &Trainer,
    normalise: &Normalise,
    pixels: &[u8],
    [channels, height, width]: [usize; 3],
) -> Result<Tensor> {
    let mut g = Graph::new();
    let x = g.input("picture", Type::f32([1, channels, height, width]))?;
    let y = net.build(&mut Build::eval(&mut g), x)?;
    let store = Store::new(engine, &[&g], 0)?;
    let names: Vec<&str> = g.states().iter().map(|state| state.name.as_str()).collect();
    store.restore(&trainer.store().snapshot(&names)?)?;
    let mut session = Session::new(&store, &g, &[y])?;
    let [mean, deviation] = moments(normalise);
    let scaled = pixels
        .iter()
        .map(|&byte| (f64::from(byte) - mean) / deviation);
    let scaled = scaled.map(|value| value as f32).collect();
    session.write(x, &Tensor::f32([1, channels, height, width], scaled)?)?;
    session.run(1)?;
    session.read(y)
}

/// Mean and deviation of bytes, of all channels together.
pub fn moments(normalise: &Normalise) -> [f64; 2] {
    [normalise.means()[0], normalise.deviations()[0]]
}

/// Values from 0 to 1 of bytes that were normalised by these moments.
///
/// # Errors
/// Those of the graph.
pub fn shares(g: &mut Graph, x: Value, moments: [f64; 2]) -> Result<Value> {
    let [mean, deviation] = moments.map(|byte| byte / 255.0);
    let x = g.scale(x, deviation)?;
    let mean = g.fill([1, 1, 1, 1], mean as f32)?;
    g.add(x, mean)
}

/// How networks learn to restore pictures; in the short form in batches of `short`.
pub fn restoring(common: &Common, short: usize) -> Recipe<Regression> {
    let matrices = Group::matrices().rule(Muon::new().match_rms_adamw(true));
    Recipe {
        task: Regression::new().peak(1.0),
        optimizer: Optimizer::new(AdamW::new()).group(matrices),
        rate: 0.017,
        epochs: common.pick(6, 4),
        batch: common.pick(16, short),
    }
}

/// Pictures of scenes of their own, each of so many pixels squared.
pub fn patches(count: usize, side: usize, seed: u64, look: Look) -> Vec<Photo> {
    let patch = |index: usize| {
        let mut chance = Chance::of(seed, index as u64);
        let scene = Scene::draw(&mut chance, look);
        let middle = [1.1, 0.8].map(|far| chance.within([-far, far]));
        let pixel = chance.within([0.014, 0.022]);
        scene.seen([side; 2], middle, pixel)
    };
    (0..count).map(patch).collect()
}

/// One whole scene, in so many pixels squared.
pub fn whole(side: usize, seed: u64, look: Look) -> Photo {
    let scene = Scene::draw(&mut Chance::of(seed, u64::from(u32::MAX)), look);
    scene.seen([side; 2], [0.0, 0.05], 2.0 / side as f64)
}
