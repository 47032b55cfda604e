//! Where does it move? Clips of eight frames, in four directions.
//!
//! A patch of random texture moves over clutter, among others like it that stand still; what leaves
//! the clip on one side enters it on the other. So no frame says anything of the direction:
//! convolutions over time, rows and columns tell it, the same ones over rows and columns cannot.

use std::f64::consts::TAU;

use striate::data::{Chance, Dataset, Picture, Split};
use striate::nn::{
    BatchNorm2d, BatchNorm3d, Build, Conv2d, Conv3d, Flatten, GlobalAvgPool, Linear, Module, Relu,
    Sequential,
};
use striate::prelude::*;

use crate::canvas::{Canvas, DARK, RIGHT, WRONG};
use crate::parts::{best, linear};
use crate::{Better, Common, Outcome, Recipe, engine, say};

/// Frames of a clip: the channels of its image.
const FRAMES: usize = 8;
/// Rows and columns of a frame.
const SIDE: usize = 16;
const PIXELS: usize = FRAMES * SIDE * SIDE;
/// A quarter of a turn from one to the next.
const DIRECTIONS: [&str; 4] = ["right", "up", "left", "down"];

/// Tells in which direction a patch moves
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
}

/// How far clips differ from each other.
#[derive(Clone, Copy)]
struct ClipRange {
    /// Pixels from one frame to the next.
    speed: [f64; 2],
    /// Pixels along the edge of a patch.
    edge: [f64; 2],
}

const LEARNT: ClipRange = ClipRange {
    speed: [0.8, 1.6],
    edge: [4.5, 6.5],
};

/// Smaller ones, which move faster.
const HELD_OUT: ClipRange = ClipRange {
    speed: [1.4, 1.9],
    edge: [4.0, 5.0],
};

fn draw(count: usize, seed: u64, range: ClipRange) -> Result<Dataset> {
    let mut images = Vec::with_capacity(count * PIXELS);
    let classes = DIRECTIONS.len();
    let labels: Vec<u32> = (0..count).map(|index| (index % classes) as u32).collect();
    for (index, &label) in labels.iter().enumerate() {
        images.extend(clip(label, Chance::of(seed, index as u64), range));
    }
    Dataset::new(images, labels, [FRAMES, SIDE, SIDE], classes)?.with_names(DIRECTIONS)
}

/// A square of random texture.
struct Patch {
    middle: [f64; 2],
    edge: f64,
    greys: [[f64; 4]; 4],
}

impl Patch {
    fn new(chance: &mut Chance, edge: f64) -> Self {
        Self {
            middle: [(); 2].map(|()| SIDE as f64 * chance.unit()),
            edge,
            greys: [(); 4].map(|()| [(); 4].map(|()| chance.unit())),
        }
    }

    /// Its grey at a pixel, and how much of the pixel it covers.
    fn at(&self, pixel: [usize; 2]) -> (f64, f64) {
        let side = SIDE as f64;
        let mut places = [0.0; 2];
        let mut cover = 1.0;
        for axis in 0..2 {
            let away = pixel[axis] as f64 + 0.5 - self.middle[axis] + 0.5 * side;
            let away = away.rem_euclid(side) - 0.5 * side;
            cover *= (0.5 * self.edge - away.abs() + 0.5).clamp(0.0, 1.0);
            places[axis] = ((away / self.edge + 0.5) * 4.0 - 0.5).clamp(0.0, 2.999);
        }
        let [x, y] = places.map(|place| place as usize);
        let [right, down] = places.map(f64::fract);
        let row = |y: usize| self.greys[y][x] * (1.0 - right) + self.greys[y][x + 1] * right;
        (row(y) * (1.0 - down) + row(y + 1) * down, cover)
    }
}

/// Pixels of one clip, frame by frame.
fn clip(direction: u32, mut chance: Chance, range: ClipRange) -> Vec<u8> {
    let angle = TAU * f64::from(direction) / DIRECTIONS.len() as f64;
    let speed = chance.within(range.speed);
    let velocity = [speed * angle.cos(), -speed * angle.sin()];
    // Clutter: a mesh of greys, and patches that stand still.
    let light = chance.within([0.25, 0.6]);
    let mut ground: Vec<f64> = (0..SIDE * SIDE)
        .map(|_| light + 0.15 * chance.swing())
        .collect();
    for _ in 0..2 {
        let edge = chance.within(range.edge);
        let still = Patch::new(&mut chance, edge);
        for (at, grey) in ground.iter_mut().enumerate() {
            let (own, cover) = still.at([at % SIDE, at / SIDE]);
            *grey += (own - *grey) * cover;
        }
    }
    let edge = chance.within(range.edge);
    let mut patch = Patch::new(&mut chance, edge);
    let mut pixels = Vec::with_capacity(PIXELS);
    for _ in 0..FRAMES {
        for (at, &grey) in ground.iter().enumerate() {
            let (own, cover) = patch.at([at % SIDE, at / SIDE]);
            let grey = grey + (own - grey) * cover + 0.06 * chance.swing();
            pixels.push((255.0 * grey).clamp(0.0, 255.0) as u8);
        }
        for (place, step) in patch.middle.iter_mut().zip(velocity) {
            *place += step;
        }
    }
    pixels
}

/// Images `[n, frames, rows, columns]` as clips `[n, 1, frames, rows, columns]`.
#[derive(Debug)]
struct Clips;

impl Module for Clips {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        let count = cx.graph().shape(x)?[0];
        cx.graph().reshape(x, [count, 1, FRAMES, SIDE, SIDE])
    }
}

/// Convolutions over time, rows and columns.
fn of_clips() -> Sequential {
    let block = |channels, out, stride: [usize; 3]| {
        let conv = Conv3d::new(channels, out, 3).stride(stride).padding(1);
        Sequential::new()
            .named("conv", conv.bias(false))
            .named("norm", BatchNorm3d::new(out))
            .then(Relu)
    };
    Sequential::new()
        .then(Clips)
        .named("block1", block(1, 8, [1, 2, 2]))
        .named("block2", block(8, 16, [2, 2, 2]))
        .named("block3", block(16, 24, [1, 1, 1]))
        .then(GlobalAvgPool)
        .then(Flatten)
        .named("fc", Linear::new(24, DIRECTIONS.len()))
}

/// Images `[n, frames, rows, columns]` as frames `[n * frames, 1, rows, columns]`.
#[derive(Debug)]
struct Frames;

impl Module for Frames {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        let count = cx.graph().shape(x)?[0];
        cx.graph().reshape(x, [count * FRAMES, 1, SIDE, SIDE])
    }
}

/// The mean of the answers to the frames of each clip: `[n * frames, classes]` as `[n, classes]`.
#[derive(Debug)]
struct Together;

impl Module for Together {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        let g = cx.graph();
        let (count, classes) = (g.shape(x)?[0], DIRECTIONS.len());
        let frames = g.reshape(x, [count / FRAMES, FRAMES, classes])?;
        g.mean(frames, &[1], false)
    }
}

/// The same network without time: it sees frame by frame.
fn of_frames() -> Sequential {
    let block = |channels, out, stride| {
        let conv = Conv2d::new(channels, out, 3).stride(stride).padding(1);
        Sequential::new()
            .named("conv", conv.bias(false))
            .named("norm", BatchNorm2d::new(out))
            .then(Relu)
    };
    Sequential::new()
        .then(Frames)
        .named("block1", block(1, 8, 2))
        .named("block2", block(8, 16, 2))
        .named("block3", block(16, 24, 1))
        .then(GlobalAvgPool)
        .then(Flatten)
        .named("fc", Linear::new(24, DIRECTIONS.len()))
        .then(Together)
}

const PALE: [u8; 3] = [90, 94, 110];

/// Where the patch moves, in green; where the network says it does, if that is another direction,
/// in red.
fn compass(direction: usize, answer: usize, size: usize) -> Result<Picture> {
    let mut canvas = Canvas::new([size; 2], DARK);
    let middle = 0.5 * size as f64;
    let point = |direction: f64, radius: f64| {
        let angle = TAU * direction / DIRECTIONS.len() as f64;
        [
            middle + radius * middle * angle.cos(),
            middle - radius * middle * angle.sin(),
        ]
    };
    for other in 0..DIRECTIONS.len() {
        let ends = [0.86, 0.92].map(|radius| point(other as f64, radius));
        canvas.line(&ends, 2.0, PALE);
    }
    let mut arrow = |direction: usize, colour| {
        let to = direction as f64;
        let tip = point(to, 0.7);
        canvas.line(&[point(to, -0.6), tip], 3.0, colour);
        canvas.line(
            &[point(to - 0.4, 0.42), tip, point(to + 0.4, 0.42)],
            3.0,
            colour,
        );
    };
    if answer != direction {
        arrow(answer, WRONG);
    }
    arrow(direction, RIGHT);
    canvas.picture()
}

/// Trains all three, and says how many of other clips they tell rightly, in percent.
///
/// # Errors
/// Those of training and of drawing pictures.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    let data = Split {
        train: draw(common.pick(2400, 1500), common.training_seed(), LEARNT)?,
        test: draw(400, common.held_out_seed(), HELD_OUT)?,
    };
    let engine = engine()?;
    let fit = |net: &dyn Module, epochs: usize, rate: f32| {
        Recipe::classes(epochs, rate, 40).judged(&engine, net, &data, common)
    };
    say("a linear model of the pixels:")?;
    let (_, by_pixels) = fit(&linear(PIXELS, DIRECTIONS.len()), common.pick(6, 3), 0.002)?;
    say("convolutions within frames:")?;
    let (_, by_frames) = fit(&of_frames(), common.pick(6, 3), 0.02)?;
    say("convolutions over time too:")?;
    let (mut trainer, by_clips) = fit(&of_clips(), common.pick(6, 3), 0.02)?;

    const SHOWN: usize = 8;
    let made = trainer.predict(&data.test.images[..SHOWN * PIXELS])?;
    let answers = made.as_f32()?.chunks(DIRECTIONS.len());
    let mut tiles = Vec::new();
    for (number, (clip, logits)) in data.test.images.chunks(PIXELS).zip(answers).enumerate() {
        for frame in clip.chunks(SIDE * SIDE) {
            tiles.push(Picture::of_image(frame, [1, SIDE, SIDE])?.enlarged(3)?);
        }
        tiles.push(compass(number % DIRECTIONS.len(), best(logits), 3 * SIDE)?);
    }
    common.write("video.png", &Picture::grid(&tiles, 2 * (FRAMES + 1), 6)?)?;
    Ok(Outcome::new(
        "accuracy on 400 held-out clips, smaller patches that move faster",
        "%",
        Better::Higher,
        by_clips,
        common.pick(95.0, 75.0),
    )
    .beside_below(
        "the same network by frames",
        by_frames,
        common.pick(75.0, 60.0),
    )
    .beside_below("a linear model", by_pixels, common.pick(75.0, 60.0))
    .beside("the constant answer", 25.0))
}
