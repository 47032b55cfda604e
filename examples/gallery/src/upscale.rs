//! Doubles pictures: convolutions at the low size say four numbers for each colour of a pixel, and
//! these become a square of pixels (Shi et al. 2016, "Real-time single image and video
//! super-resolution using an efficient sub-pixel convolutional neural network").

use striate::data::{Dataset, Picture, Split};
use striate::nn::{Conv2d, PixelShuffle, Relu, Sequential, from_fn};
use striate::ops::InterpolateMode;
use striate::prelude::*;
use striate::shape::PaddingMode;
use striate::train::Normalise;

use crate::parts::filters;
use crate::photo::{Look, Photo, answer, moments, patches, psnr, restoring, shares, whole};
use crate::{Better, Common, Outcome, engine, say};

/// Rows and columns of a low patch.
const LOW: usize = 16;
/// Rows and columns of the picture that is shown, doubled.
const SHOWN: usize = 120;
/// Channels of the layers.
const CHANNELS: usize = 24;
/// What PyTorch calls `bicubic`.
const CUBIC: InterpolateMode = InterpolateMode::Cubic {
    align_corners: false,
};

/// Doubles pictures of drawn scenes
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
}

/// Pictures of half the size as images, the whole ones as values.
fn halves(whole: &[Photo]) -> Result<Dataset> {
    let images = whole.iter().flat_map(|photo| photo.halved().bytes());
    let values = whole.iter().flat_map(|photo| &photo.values).copied();
    let values = Tensor::f32([whole.len(), 3, 2 * LOW, 2 * LOW], values.collect())?;
    Dataset::of_values(images.collect(), &values, [3, LOW, LOW])
}

/// Low pictures `[n, 3, side, side]` from 0 to 1, doubled by cubics.
fn cubic(engine: &Engine, pixels: &[u8], side: usize) -> Result<Vec<f32>> {
    let mut g = Graph::new();
    let low = pixels.iter().map(|&byte| f32::from(byte) / 255.0).collect();
    let low = Tensor::f32([pixels.len() / (3 * side * side), 3, side, side], low)?;
    let low = g.constant(low)?;
    let high = g.interpolate(low, &[2 * side; 2], CUBIC)?;
    let store = Store::new(engine, &[&g], 0)?;
    let mut session = Session::new(&store, &g, &[high])?;
    session.run(1)?;
    Ok(session.read(high)?.as_f32()?.to_vec())
}

/// The pixels, from 0 to 1 again and doubled by cubics, and a tenth of what the layers say.
fn over_cubic(layers: Sequential, normalise: &Normalise) -> impl Module + use<> {
    let moments = moments(normalise);
    from_fn(move |cx, x| {
        let detail = cx.layer("detail", &layers, x)?;
        let g = cx.graph();
        let size: Vec<usize> = g.shape(x)?[2..].iter().map(|side| 2 * side).collect();
        let high = g.interpolate(x, &size, CUBIC)?;
        let high = shares(g, high, moments)?;
        let detail = g.scale(detail, 0.1)?;
        g.add(high, detail)
    })
}

fn network() -> Sequential {
    Sequential::new()
        .named("first", Conv2d::new(3, CHANNELS, 3).padding(1))
        .then(Relu)
        .named("inner1", filters(CHANNELS, CHANNELS))
        .named("inner2", filters(CHANNELS, CHANNELS))
        .named("inner3", filters(CHANNELS, CHANNELS))
        .named("inner4", filters(CHANNELS, CHANNELS))
        .named("last", Conv2d::new(CHANNELS, 12, 3).padding(1))
        .then(PixelShuffle(2))
}

/// One convolution, which sees 25 pixels of three colours.
fn linear() -> Sequential {
    let conv = Conv2d::new(3, 12, 5).padding(2);
    Sequential::new()
        .named("conv", conv.padding_mode(PaddingMode::Replicate))
        .then(PixelShuffle(2))
}

/// Trains both, and says by how much the PSNR of others is above that of cubic interpolation, in
/// decibels.
///
/// # Errors
/// Those of training and of drawing pictures.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    let (learnt, held_out) = (common.training_seed(), common.held_out_seed());
    let engine = engine()?;
    let high = patches(200, 2 * LOW, held_out, Look::HELD_OUT);
    let count = common.pick(2000, 1000);
    let data = Split {
        train: halves(&patches(count, 2 * LOW, learnt, Look::LEARNT))?,
        test: halves(&high)?,
    };
    let by_cubics = cubic(&engine, &data.test.images, LOW)?;
    let given = high.iter().zip(by_cubics.chunks(12 * LOW * LOW));
    let given = given.map(|(photo, made)| psnr(&photo.values, made));
    let given = given.sum::<f64>() / high.len() as f64;

    let shown = whole(SHOWN, held_out, Look::HELD_OUT);
    let low = shown.halved();
    let by_cubics = Photo::new([SHOWN; 2], cubic(&engine, &low.bytes(), SHOWN / 2)?);
    let mut tiles = vec![
        low.picture()?.enlarged(4)?,
        by_cubics.picture()?.enlarged(2)?,
    ];
    let normalise = Normalise::measured(&data.train);
    let mut gain = |layers: Sequential, is_shown: bool| {
        let net = over_cubic(layers, &normalise);
        let mut trainer = restoring(common, 6).train(&engine, &net, &data, common)?;
        if is_shown {
            let size = [3, SHOWN / 2, SHOWN / 2];
            let made = answer(&engine, &net, &trainer, &normalise, &low.bytes(), size)?;
            let made = Photo::new([SHOWN; 2], made.as_f32()?.iter().copied());
            tiles.push(made.picture()?.enlarged(2)?);
        }
        let reached = trainer.evaluate(&data.test)?.scalar("psnr");
        Ok::<_, Error>(reached.unwrap_or(f64::NAN) - given)
    };
    say("a linear filter of 5x5 pixels:")?;
    let by_filter = gain(linear(), false)?;
    say("six convolutions:")?;
    let by_layers = gain(network(), true)?;
    tiles.push(shown.picture()?.enlarged(2)?);
    common.write("upscale.png", &Picture::grid(&tiles, 4, 4)?)?;
    say(format!("cubic interpolation reaches {given:.2} dB"))?;
    Ok(Outcome::new(
        "gain in PSNR over cubic interpolation on 200 held-out patches, with other patterns in \
         harder light",
        "dB",
        Better::Higher,
        by_layers,
        common.pick(1.0, 0.4),
    )
    .beside("a linear filter", by_filter)
    .beside("cubic interpolation", 0.0))
}
