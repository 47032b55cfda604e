//! Fills a square that is missing in the picture of a face, an eye or a mouth and all.
//!
//! A U-Net sees the picture, the square filled smoothly, and where it is; it says what the smooth
//! filling lacks there. It learns from faces whose squares are known (Pathak et al. 2016, "Context
//! encoders"). The smooth filling is harmonic: each lost pixel is the mean of its four neighbours,
//! which is where the heat equation comes to rest.

use striate::data::{Chance, Dataset, Picture, Split, Targets};
use striate::nn::{Conv2d, Sequential, from_fn};
use striate::prelude::*;
use striate::train::{AdamW, Normalise, Regression, Trainer};

use crate::faces::{self, FaceRange, SIDE};
use crate::parts::UNet;
use crate::photo::{moments, shares};
use crate::{Better, Common, Outcome, Recipe, engine, say};

/// Pixels of a patch.
const PIXELS: usize = SIDE * SIDE;
/// Rows and columns of what is missing.
const HOLE: usize = 9;
/// Faces that are shown.
const SHOWN: usize = 12;

/// Fills a square that is missing in faces
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
}

/// Patches with a hole each.
struct Holed {
    /// Grey, filled smoothly, and 255 where something is missing: bytes `[2, SIDE, SIDE]` each; the
    /// values are the whole patches, from 0 to 1.
    set: Dataset,
    /// The mean square, over all pixels, of what the smooth filling lacks.
    lacks: f64,
}

fn draw(count: usize, seed: u64, range: FaceRange) -> Result<Holed> {
    let (mut images, mut values, mut squares) = (Vec::new(), Vec::new(), 0.0);
    for index in 0..count as u64 {
        let whole = faces::patch(true, Chance::of(seed, index), range);
        // Faces take the numbers before. The hole lies in the middle half, where the face is.
        let mut chance = Chance::of(seed, (1 << 40) + index);
        let [left, top] = [(); 2].map(|()| SIDE / 4 + chance.below(SIDE / 2 - HOLE + 1));
        let lost: Vec<bool> = (0..PIXELS)
            .map(|at| {
                let inside = |place, start| (start..start + HOLE).contains(&place);
                inside(at % SIDE, left) && inside(at / SIDE, top)
            })
            .collect();
        let filled = filled(&whole, &lost);
        let pairs = filled.iter().zip(&whole);
        let lacks = pairs.map(|(&a, &b)| ((f64::from(a) - f64::from(b)) / 255.0).powi(2));
        squares += lacks.sum::<f64>();
        images.extend(filled);
        images.extend(lost.iter().map(|&lost| if lost { 255 } else { 0 }));
        values.extend(whole.iter().map(|&byte| f32::from(byte) / 255.0));
    }
    let lacks = squares / values.len().max(1) as f64;
    let values = Tensor::f32([count, 1, SIDE, SIDE], values)?;
    let set = Dataset::of_values(images, &values, [2, SIDE, SIDE])?;
    Ok(Holed { set, lacks })
}

/// The same with each lost pixel the mean of its neighbours.
fn filled(patch: &[u8], lost: &[bool]) -> Vec<u8> {
    /// Sweeps, and how far each goes beyond the mean (Young 1954).
    const SWEEPS: usize = 100;
    const BEYOND: f32 = 1.6;
    let mut grey: Vec<f32> = patch.iter().map(|&byte| byte.into()).collect();
    for at in (0..PIXELS).filter(|&at| lost[at]) {
        grey[at] = 127.0;
    }
    for _ in 0..SWEEPS {
        for at in (0..PIXELS).filter(|&at| lost[at]) {
            let (row, column) = (at / SIDE, at % SIDE);
            let around = [
                (row > 0).then(|| at - SIDE),
                (row + 1 < SIDE).then_some(at + SIDE),
                (column > 0).then(|| at - 1),
                (column + 1 < SIDE).then_some(at + 1),
            ];
            let around: Vec<f32> = around.iter().flatten().map(|&near| grey[near]).collect();
            let mean = around.iter().sum::<f32>() / around.len() as f32;
            grey[at] += BEYOND * (mean - grey[at]);
        }
    }
    grey.iter().map(|value| value.round() as u8).collect()
}

/// Grey from 0 to 1 again, and within the hole a fifth of what the layers say besides: at first
/// that is little, as what is lacking is.
fn over_filling(layers: impl Module, normalise: &Normalise) -> impl Module {
    let moments = moments(normalise);
    from_fn(move |cx, x| {
        let detail = cx.layer("detail", &layers, x)?;
        let g = cx.graph();
        let all = shares(g, x, moments)?;
        let grey = g.narrow(all, 1, 0, 1)?;
        let lost = g.narrow(all, 1, 1, 1)?;
        let detail = g.scale(detail, 0.2)?;
        let detail = g.mul(detail, lost)?;
        g.add(grey, detail)
    })
}

/// One convolution, which sees 17x17 pixels and which of them are lost.
fn linear() -> Sequential {
    Sequential::new().named("conv", Conv2d::new(2, 1, 17).padding(8))
}

/// Faces with a hole, filled smoothly, filled by the network, and whole, a row each.
fn shown(trainer: &mut Trainer, set: &Dataset) -> Result<Picture> {
    let images = &set.images[..SHOWN * 2 * PIXELS];
    let made = trainer.predict(images)?;
    let byte = |value: &f32| (255.0 * value).round().clamp(0.0, 255.0) as u8;
    let made: Vec<u8> = made.as_f32()?.iter().map(byte).collect();
    let smooth: Vec<&[u8]> = images.chunks(PIXELS).step_by(2).collect();
    let lost = images.chunks(PIXELS).skip(1).step_by(2);
    let with_holes = smooth.iter().zip(lost).map(|(grey, lost)| {
        let pixels = grey.iter().zip(lost);
        pixels
            .map(|(&grey, &lost)| grey.max(lost))
            .collect::<Vec<u8>>()
    });
    let with_holes: Vec<Vec<u8>> = with_holes.collect();
    let Targets::Values { values, .. } = &set.targets else {
        return Err(Error::new(ErrorKind::Data, "the set has no values"));
    };
    let whole: Vec<u8> = values.iter().take(SHOWN * PIXELS).map(byte).collect();
    let rows = with_holes.iter().map(Vec::as_slice);
    let rows = rows.chain(smooth).chain(made.chunks(PIXELS));
    let tiles = rows.chain(whole.chunks(PIXELS));
    let tiles = tiles.map(|grey| Picture::of_image(grey, [1, SIDE, SIDE])?.enlarged(3));
    Picture::grid(&tiles.collect::<Result<Vec<_>>>()?, SHOWN, 4)
}

/// Trains both, and says by how much the PSNR of what they fill is above that of the smooth
/// filling, in decibels, over all patches together.
///
/// # Errors
/// Those of training and of drawing pictures.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    let learnt = draw(
        common.pick(4000, 1500),
        common.training_seed(),
        faces::LEARNT,
    )?;
    let held_out = draw(500, common.held_out_seed(), faces::HELD_OUT)?;
    let data = Split {
        train: learnt.set,
        test: held_out.set,
    };
    let engine = engine()?;
    let normalise = Normalise::measured(&data.train);
    let gain = |net: &dyn Module| {
        let recipe = Recipe {
            task: Regression::new().peak(1.0),
            optimizer: AdamW::new().into(),
            rate: 0.01,
            epochs: common.pick(8, 4),
            batch: common.pick(25, 10),
        };
        let mut trainer = recipe.train(&engine, net, &data, common)?;
        let left = trainer.evaluate(&data.test)?.scalar("mse");
        let gain = 10.0 * (held_out.lacks / left.unwrap_or(f64::NAN)).log10();
        Ok::<_, Error>((gain, trainer))
    };
    say("a linear filter of 17x17 pixels:")?;
    let (by_filter, _) = gain(&over_filling(linear(), &normalise))?;
    say("a U-Net:")?;
    let net = UNet {
        channels: 2,
        outputs: 1,
        levels: [16, 32, 64],
    };
    let (by_layers, mut trainer) = gain(&over_filling(net, &normalise))?;
    common.write("inpaint.png", &shown(&mut trainer, &data.test)?)?;
    Ok(Outcome::new(
        "gain in PSNR over smooth filling, over 500 held-out faces together, smaller ones in \
         harder light",
        "dB",
        Better::Higher,
        by_layers,
        common.pick(4.0, 1.5),
    )
    .beside("a linear filter", by_filter)
    .beside("smooth filling", 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smooth_filling_keeps_what_is_known_and_is_a_mean_elsewhere() {
        // Grey that rises to the right is harmonic: the filling finds it again.
        let rising: Vec<u8> = (0..PIXELS).map(|at| 5 * (at % SIDE) as u8).collect();
        let lost: Vec<bool> = (0..PIXELS)
            .map(|at| (6..15).contains(&(at % SIDE)) && (4..13).contains(&(at / SIDE)))
            .collect();
        let mut holed = rising.clone();
        for at in (0..PIXELS).filter(|&at| lost[at]) {
            holed[at] = 255;
        }
        assert_eq!(filled(&holed, &lost), rising);
    }
}
