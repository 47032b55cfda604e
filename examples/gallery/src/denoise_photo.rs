//! Takes the noise off pictures, by a residual network that works at half the size.
//!
//! The network says what the noise is (Zhang et al. 2017, "Beyond a Gaussian denoiser"), on pixels
//! whose squares of four became channels (Zhang et al. 2018, "FFDNet"): so it sees twice as far for
//! the same work.

use striate::data::{Chance, Dataset, Picture, Split};
use striate::nn::{Conv2d, PixelShuffle, PixelUnshuffle, Relu, Sequential, from_fn};
use striate::prelude::*;
use striate::shape::PaddingMode;
use striate::train::Normalise;

use crate::parts::filters;
use crate::photo::{Look, Photo, answer, moments, patches, psnr, restoring, shares, whole};
use crate::{Better, Common, Outcome, engine, say};

/// Rows and columns of a patch.
const SIDE: usize = 32;
/// Rows and columns of the picture that is shown.
const SHOWN: usize = 120;
/// Deviation of the noise, of values from 0 to 1.
const NOISE: f64 = 25.0 / 255.0;
/// Channels of the layers at half the size.
const CHANNELS: usize = 24;

/// Takes Gaussian noise off pictures of drawn scenes
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
}

/// Noisy pictures as images, the clean ones as values.
fn noisy(clean: &[Photo], seed: u64) -> Result<Dataset> {
    let (mut images, mut values) = (Vec::new(), Vec::new());
    for (index, photo) in clean.iter().enumerate() {
        // Scenes take the numbers before.
        let mut chance = Chance::of(seed, (1 << 40) + index as u64);
        images.extend(photo.noisy(NOISE, &mut chance).bytes());
        values.extend_from_slice(&photo.values);
    }
    let values = Tensor::f32([clean.len(), 3, SIDE, SIDE], values)?;
    Dataset::of_values(images, &values, [3, SIDE, SIDE])
}

/// The pixels, from 0 to 1 again, less a tenth of what the layers say.
fn network(normalise: &Normalise) -> impl Module + use<> {
    let layers = Sequential::new()
        .then(PixelUnshuffle(2))
        .named("first", Conv2d::new(12, CHANNELS, 3).padding(1))
        .then(Relu)
        .named("inner1", filters(CHANNELS, CHANNELS))
        .named("inner2", filters(CHANNELS, CHANNELS))
        .named("inner3", filters(CHANNELS, CHANNELS))
        .named("inner4", filters(CHANNELS, CHANNELS))
        .named("last", Conv2d::new(CHANNELS, 12, 3).padding(1))
        .then(PixelShuffle(2));
    let moments = moments(normalise);
    from_fn(move |cx, x| {
        let noise = cx.layer("noise", &layers, x)?;
        let g = cx.graph();
        let pixels = shares(g, x, moments)?;
        let noise = g.scale(noise, 0.1)?;
        g.sub(pixels, noise)
    })
}

/// One convolution, which sees 49 pixels of three colours.
fn linear() -> Sequential {
    let conv = Conv2d::new(3, 3, 7).padding(3);
    Sequential::new().named("conv", conv.padding_mode(PaddingMode::Replicate))
}

/// Trains both, and says by how much they raise the PSNR of others, in decibels.
///
/// # Errors
/// Those of training and of drawing pictures.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    let (learnt, held_out) = (common.training_seed(), common.held_out_seed());
    let clean = patches(200, SIDE, held_out, Look::HELD_OUT);
    let data = Split {
        train: noisy(
            &patches(common.pick(2000, 500), SIDE, learnt, Look::LEARNT),
            learnt,
        )?,
        test: noisy(&clean, held_out)?,
    };
    let size = 3 * SIDE * SIDE;
    let given = clean.iter().zip(data.test.images.chunks(size));
    let given =
        given.map(|(photo, bytes)| psnr(&photo.values, &Photo::of_bytes([SIDE; 2], bytes).values));
    let given = given.sum::<f64>() / clean.len() as f64;

    let shown = whole(SHOWN, held_out, Look::HELD_OUT);
    let with_noise = shown.noisy(NOISE, &mut Chance::of(held_out, 1 << 41));
    let mut tiles = vec![shown.picture()?, with_noise.picture()?];
    let engine = engine()?;
    let normalise = Normalise::measured(&data.train);
    let mut gain = |net: &dyn Module| {
        let mut trainer = restoring(common, 3).train(&engine, net, &data, common)?;
        let size = [3, SHOWN, SHOWN];
        let made = answer(
            &engine,
            net,
            &trainer,
            &normalise,
            &with_noise.bytes(),
            size,
        )?;
        let made = Photo::new([SHOWN; 2], made.as_f32()?.iter().copied());
        tiles.push(made.picture()?);
        let reached = trainer.evaluate(&data.test)?.scalar("psnr");
        Ok::<_, Error>(reached.unwrap_or(f64::NAN) - given)
    };
    say("a linear filter of 7x7 pixels:")?;
    let by_filter = gain(&linear())?;
    say("six convolutions:")?;
    let by_layers = gain(&network(&normalise))?;
    let tiles: Vec<Picture> = tiles
        .iter()
        .map(|tile| tile.enlarged(2))
        .collect::<Result<_>>()?;
    common.write("denoise_photo.png", &Picture::grid(&tiles, 4, 4)?)?;
    say(format!("the noise leaves {given:.2} dB"))?;
    Ok(Outcome::new(
        "gain in PSNR on 200 held-out patches, with other patterns in harder light",
        "dB",
        Better::Higher,
        by_layers,
        common.pick(8.7, 8.3),
    )
    .beside("a linear filter", by_filter)
    .beside("the picture as it is", 0.0))
}
