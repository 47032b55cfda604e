//! How does the pitch move? Words of three syllables, in five tones.
//!
//! A syllable begins at any pitch; the tone is how it moves from there. One network works on the
//! samples as they are, the other one on a spectrogram, which a fixed bank of filters makes of them
//! in the same graph.

use std::f64::consts::TAU;

use striate::data::{Chance, Dataset, Palette, Picture, Split};
use striate::nn::{
    BatchNorm1d, BatchNorm2d, Build, Conv1d, Flatten, GlobalAvgPool, Linear, MaxPool1d, Module,
    Relu, Sequential,
};
use striate::ops;
use striate::prelude::*;

use crate::canvas::{Canvas, DARK, RIGHT, WRONG};
use crate::parts::{halving, linear, sequence};
use crate::{Better, Common, Outcome, Recipe, engine, say};

/// Samples of a word.
const LENGTH: usize = 2048;
/// Samples of a second.
const RATE: f64 = 8000.0;
/// What the pitch of a syllable does.
const TONES: [&str; 5] = ["level", "rising", "falling", "dipping", "peaking"];

/// Bands of the spectrogram.
const BANDS: usize = 32;
/// Middles of the lowest and of the highest band, in hertz.
const PITCHES: [f64; 2] = [380.0, 2400.0];
/// Samples that a place of the spectrogram comes from.
const WINDOW: usize = 192;
/// Samples from one place to the next.
const HOP: usize = 32;
/// Places along the spectrogram.
const FRAMES: usize = (LENGTH - WINDOW) / HOP + 1;

/// Tells in which tone a word is spoken
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
}

/// Noise in loudnesses of the voice: its standard deviation.
const LEARNT: [f64; 2] = [0.1, 0.5];
const HELD_OUT: [f64; 2] = [0.5, 0.7];

fn draw(count: usize, seed: u64, noise: [f64; 2]) -> Result<Dataset> {
    let mut images = Vec::with_capacity(count * LENGTH);
    let labels: Vec<u32> = (0..count)
        .map(|index| (index % TONES.len()) as u32)
        .collect();
    for (index, &label) in labels.iter().enumerate() {
        images.extend(word(label, Chance::of(seed, index as u64), noise));
    }
    Dataset::new(images, labels, [1, 1, LENGTH], TONES.len())?.with_names(TONES)
}

/// Samples of a word, 128 for silence.
fn word(tone: u32, mut chance: Chance, noise: [f64; 2]) -> Vec<u8> {
    let lengths = [(); 3].map(|()| chance.within([440.0, 560.0]) as usize);
    let gaps = [(); 2].map(|()| chance.within([30.0, 90.0]) as usize);
    let spoken: usize = lengths.iter().chain(&gaps).sum();
    let mut from = chance.below(LENGTH - spoken);
    let loudness = chance.within([0.1, 0.3]);
    let second = chance.within([0.1, 0.5]);
    let mut samples = vec![0.0; LENGTH];
    for (syllable, &length) in lengths.iter().enumerate() {
        let middle = chance.within([500.0, 1100.0]);
        // Octaves between the lowest and the highest pitch of the syllable.
        let span = chance.within([0.25, 0.5]);
        let mut phase = TAU * chance.unit();
        for (at, sample) in samples[from..from + length].iter_mut().enumerate() {
            let time = at as f64 / length as f64;
            phase += TAU * middle * (0.5 * span * moved(tone, time)).exp2() / RATE;
            let swell = (0.5 * TAU * time).sin().sqrt();
            *sample = swell * (phase.sin() + second * (2.0 * phase).sin());
        }
        from += length + gaps.get(syllable).unwrap_or(&0);
    }
    let noise = 3.0 * chance.within(noise);
    let bytes = samples.iter().map(|sample| {
        let sample = loudness * (sample + noise * chance.swing());
        (128.0 + 127.0 * sample).round().clamp(0.0, 255.0) as u8
    });
    bytes.collect()
}

/// Where the pitch is at a time from 0 to 1: from -1, the lowest, to 1.
fn moved(tone: u32, time: f64) -> f64 {
    let rising = 2.0 * time - 1.0;
    match tone {
        0 => 0.0,
        1 => rising,
        2 => -rising,
        3 => 2.0 * rising.abs() - 1.0,
        _ => 1.0 - 2.0 * rising.abs(),
    }
}

/// Convolutions along the samples.
fn of_samples() -> Sequential {
    let block = |channels, out| {
        Sequential::new()
            .named("conv", Conv1d::new(channels, out, 5).padding(2).bias(false))
            .named("norm", BatchNorm1d::new(out))
            .then(Relu)
    };
    Sequential::new()
        .then(sequence())
        .named(
            "ear",
            Conv1d::new(1, 24, 80).stride(4).padding(38).bias(false),
        )
        .named("norm", BatchNorm1d::new(24))
        .then(Relu)
        .then(MaxPool1d::new(4))
        .named("block1", block(24, 32))
        .then(MaxPool1d::new(2))
        .named("block2", block(32, 32))
        .then(MaxPool1d::new(2))
        .named("block3", block(32, 48))
        .then(GlobalAvgPool)
        .then(Flatten)
        .named("fc", Linear::new(48, TONES.len()))
}

/// `[2 * BANDS, 1, WINDOW]`: a cosine of each band's pitch under a window of Hann, then the sines.
/// Bands are evenly spaced in octaves: so a movement looks the same at every pitch.
fn filter_bank() -> Vec<f32> {
    let mut weight = Vec::with_capacity(2 * BANDS * WINDOW);
    for quarter in [0.0, 0.25] {
        for band in 0..BANDS {
            let octaves = (PITCHES[1] / PITCHES[0]).log2() * band as f64 / (BANDS - 1) as f64;
            let pitch = PITCHES[0] * octaves.exp2();
            weight.extend((0..WINDOW).map(|at| {
                let window = (0.5 * TAU * (at as f64 + 0.5) / WINDOW as f64)
                    .sin()
                    .powi(2);
                let turns = pitch * at as f64 / RATE - quarter;
                (window * (TAU * turns).cos() / WINDOW as f64) as f32
            }));
        }
    }
    weight
}

/// Samples as `[n, 1, BANDS, FRAMES]`: the logarithm of the power of each band at each place.
#[derive(Debug)]
struct Spectrogram;

/// The power below which nothing is heard.
const QUIET: f32 = 1e-3;

impl Module for Spectrogram {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        let g = cx.graph();
        let count = g.shape(x)?[0];
        let samples = g.reshape(x, [count, 1, LENGTH])?;
        let bank = g.constant(Tensor::f32([2 * BANDS, 1, WINDOW], filter_bank())?)?;
        let waves = g.conv1d(samples, bank, None, ops::Conv1d::new().stride(HOP))?;
        let squares = g.square(waves)?;
        let pairs = g.reshape(squares, [count, 2, BANDS, FRAMES])?;
        let power = g.sum(pairs, &[1], true)?;
        let quiet = g.constant(Tensor::scalar(QUIET))?;
        let heard = g.add(power, quiet)?;
        g.log(heard)
    }
}

/// Convolutions over time and pitch.
fn of_spectrogram() -> Sequential {
    Sequential::new()
        .then(Spectrogram)
        .named("norm", BatchNorm2d::new(1))
        .named("block1", halving(1, 12))
        .named("block2", halving(12, 24))
        .named("block3", halving(24, 32))
        .then(GlobalAvgPool)
        .then(Flatten)
        .named("fc", Linear::new(32, TONES.len()))
}

/// A weight for each number of the spectrogram.
fn linear_of_spectrogram() -> Sequential {
    Sequential::new()
        .then(Spectrogram)
        .named("norm", BatchNorm2d::new(1))
        .then(linear(BANDS * FRAMES, TONES.len()))
}

const PALE: [u8; 3] = [150, 170, 210];

/// A word: its samples, its spectrogram, and how probable each network holds each tone.
fn tile(samples: &[u8], tone: usize, answers: [&[f32]; 2]) -> Result<Picture> {
    const TIMES: usize = 3;
    const WIDTH: usize = TIMES * FRAMES;
    const WAVE: usize = 44;
    let mut canvas = Canvas::new([WIDTH, WAVE + TIMES * BANDS + 12 * TONES.len() + 8], DARK);
    let height = |sample: u8| (255.0 - f64::from(sample)) / 256.0 * WAVE as f64;
    for x in 0..WIDTH {
        let piece = &samples[x * LENGTH / WIDTH..(x + 1) * LENGTH / WIDTH];
        let low = piece.iter().copied().max().map_or(0.0, height);
        let high = piece.iter().copied().min().map_or(0.0, height);
        canvas.fill([x, low as usize], [1, (high - low) as usize + 1], PALE);
    }
    let bank = filter_bank();
    let signal: Vec<f32> = samples
        .iter()
        .map(|&byte| (f32::from(byte) - 128.0) / 25.0)
        .collect();
    let mut heard = Vec::with_capacity(BANDS * FRAMES);
    // High pitches stand above.
    for band in (0..BANDS).rev() {
        for frame in 0..FRAMES {
            let power = [band, band + BANDS].map(|row| {
                let filter = bank[row * WINDOW..][..WINDOW].iter();
                let wave: f32 = filter.zip(&signal[frame * HOP..]).map(|(a, b)| a * b).sum();
                wave * wave
            });
            heard.push((power[0] + power[1] + QUIET).ln());
        }
    }
    let loudest = heard.iter().copied().fold(f32::MIN, f32::max);
    let shown = Picture::of_values(
        &heard,
        [BANDS, FRAMES],
        [QUIET.ln(), loudest],
        Palette::Inferno,
    )?;
    canvas.put([0, WAVE], &shown.enlarged(TIMES)?);
    let top = WAVE + TIMES * BANDS + 6;
    for (row, name) in TONES.iter().enumerate() {
        let [y, mine] = [top + 12 * row, usize::from(row == tone)];
        let colour = [WRONG, RIGHT][mine];
        canvas.write([2.0, y as f64 + 1.0], 7.0, name, [[110; 3], [235; 3]][mine]);
        for (which, logits) in answers.iter().enumerate() {
            let total: f32 = logits.iter().map(|logit| (logit - logits[row]).exp()).sum();
            let length = (52.0 / total).round() as usize;
            canvas.fill([58 + 58 * which, y], [length, 9], colour);
        }
    }
    canvas.picture()
}

/// Trains all four, and says how many of other words they tell rightly, in percent.
///
/// # Errors
/// Those of training and of drawing pictures.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    let data = Split {
        train: draw(common.pick(2400, 900), common.training_seed(), LEARNT)?,
        test: draw(600, common.held_out_seed(), HELD_OUT)?,
    };
    let engine = engine()?;
    let shown = 2 * TONES.len();
    let fit = |net: &dyn Module, epochs: usize, rate: f32| {
        let recipe = Recipe::classes(epochs, rate, 40);
        let (mut trainer, right) = recipe.judged(&engine, net, &data, common)?;
        let logits = trainer.predict(&data.test.images[..shown * LENGTH])?;
        Ok::<_, Error>((right, logits.as_f32()?.to_vec()))
    };
    say("a linear model of the samples:")?;
    let (by_samples, _) = fit(&linear(LENGTH, TONES.len()), common.pick(4, 3), 0.002)?;
    say("a linear model of the spectrogram:")?;
    let linear = linear_of_spectrogram();
    let (by_spectrogram, _) = fit(&linear, common.pick(4, 3), 0.002)?;
    say("convolutions along the samples:")?;
    let (along, first) = fit(&of_samples(), common.pick(4, 3), 0.01)?;
    say("convolutions over the spectrogram:")?;
    let (over, second) = fit(&of_spectrogram(), common.pick(4, 3), 0.01)?;
    say(format!(
        "along the samples {along:.2} %, over the spectrogram {over:.2} %"
    ))?;

    let tiles = (0..shown).map(|word| {
        let samples = &data.test.images[word * LENGTH..][..LENGTH];
        let of_word = |logits| {
            <[f32]>::chunks(logits, TONES.len())
                .nth(word)
                .unwrap_or_default()
        };
        tile(
            samples,
            word % TONES.len(),
            [&first, &second].map(|logits| of_word(logits)),
        )
    });
    let tiles: Vec<Picture> = tiles.collect::<Result<_>>()?;
    common.write("sound.png", &Picture::grid(&tiles, TONES.len(), 6)?)?;
    Ok(Outcome::new(
        "accuracy on 600 held-out words in louder noise, the worse of both networks",
        "%",
        Better::Higher,
        along.min(over),
        common.pick(95.0, 75.0),
    )
    .beside_below(
        "a linear model of the samples",
        by_samples,
        common.pick(75.0, 60.0),
    )
    .beside_below(
        "a linear model of the spectrogram",
        by_spectrogram,
        common.pick(75.0, 60.0),
    )
    .beside("the constant answer", 20.0))
}
