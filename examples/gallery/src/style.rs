//! A picture in the style of another one: its pixels are changed until random filters, or a VGG
//! whose weights are given, answer to them, on the whole, as to the other picture, while it stays
//! light and dark where it was.
//!
//! Gatys, Ecker and Bethge 2016, "Image style transfer using convolutional neural networks", with
//! random filters at four sizes in place of VGG's unless these are given.

use std::path::PathBuf;

use striate::data::Picture;
use striate::prelude::*;

use crate::filters::{Features, Filters, distance, features};
use crate::photo::{Look, Photo, whole};
use crate::texture::{LEVELS, SIDE, pebbles, spot_noise};
use crate::{Better, Common, Outcome, engine, say};

/// Paints a picture in the style of another one
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
    /// How much the picture's own light and dark weighs beside the style
    #[arg(long, value_name = "X", default_value_t = 15.0)]
    pub content: f64,
    /// torchvision's weights of a VGG as a safetensors file, to follow those instead
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
}

/// The picture with each colour scaled and shifted to the mean and deviation of the style's
/// (Reinhard et al. 2001, "Color transfer between images", in red, green and blue).
fn recoloured(picture: &Photo, style: &Photo) -> Photo {
    let plane = picture.values.len() / 3;
    let moments = |values: &[f32]| {
        let count = values.len() as f32;
        let mean = values.iter().sum::<f32>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2));
        (mean, (squares.sum::<f32>() / count).sqrt())
    };
    let planes = picture.values.chunks(plane).zip(style.values.chunks(plane));
    let values = planes.flat_map(|(own, other)| {
        let ((mean, deviation), (wanted, spread)) = (moments(own), moments(other));
        let factor = spread / deviation.max(1e-6);
        own.iter()
            .map(move |value| wanted + factor * (value - mean))
    });
    Photo::new(picture.size, values.collect::<Vec<_>>())
}

/// How alike light and dark are: the correlation of brightness at a quarter of the size.
fn alike(a: &Photo, b: &Photo) -> f64 {
    let [a, b] = [a, b].map(|photo| {
        let small = photo.halved().halved();
        let plane = small.values.len() / 3;
        let grey = (0..plane).map(|at| {
            let parts = small.values.iter().skip(at).step_by(plane);
            parts.map(|&part| f64::from(part)).sum::<f64>()
        });
        let grey: Vec<f64> = grey.collect();
        let mean = grey.iter().sum::<f64>() / plane as f64;
        grey.into_iter()
            .map(|value| value - mean)
            .collect::<Vec<_>>()
    });
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()
}

/// Paints the picture, and says how far other filters tell it from the style, in percent of the
/// distance that it had before.
///
/// # Errors
/// `Data` if the weight of the content is no number from 0, or if the program is expected to keep
/// the picture's light and dark and does not; those of reading weights, of the device and of
/// drawing pictures.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    if !(args.content >= 0.0 && args.content.is_finite()) {
        let message = format!("--content: {} is no number from 0", args.content);
        return Err(Error::new(ErrorKind::Data, message));
    }
    let guide = features(args.weights.as_deref(), LEVELS, common.training_seed())?;
    let engine = engine()?;
    let own = whole(SIDE, common.training_seed(), Look::LEARNT);
    let style = pebbles(common.training_seed());
    let grams = guide.grams_of(&engine, &style)?;
    let steps = common.pick(160, 30);
    // The picture in the style's colours, with a little noise like the style.
    let noise = spot_noise(&style, common.training_seed());
    let plain = recoloured(&own, &style);
    let both = plain.values.iter().zip(&noise.values);
    let start = Photo::new(own.size, both.map(|(a, b)| 0.85 * a + 0.15 * b));
    let content = Some((&plain, args.content));
    let painted = guide.followed(&engine, &grams, &start, steps, content)?;
    let tiles = [&own, &style, &painted].map(|photo| photo.picture()?.enlarged(3));
    let tiles: Vec<Picture> = tiles.into_iter().collect::<Result<_>>()?;
    common.write("style.png", &Picture::grid(&tiles, 3, 4)?)?;

    // Other filters, of another size, that pixels were not changed for.
    let others = Filters::random(64, 5, LEVELS, common.held_out_seed())?;
    let goal = others.grams_of(&engine, &style)?;
    let far = |photo: &Photo| distance(&others.grams_of(&engine, photo)?, &goal);
    let before = far(&own)? / 100.0;
    let kept = alike(&painted, &own);
    say(format!(
        "light and dark are kept to a correlation of {kept:.3}"
    ))?;
    if common.expect && kept < 0.8 {
        let message = format!("light and dark are kept to a correlation of {kept:.3} only");
        return Err(Error::new(ErrorKind::Data, message));
    }
    Ok(Outcome::new(
        "distance of Gram matrices of 64 other filters to the style's",
        "%",
        Better::Lower,
        far(&painted)? / before,
        common.pick(40.0, 60.0),
    )
    .beside("its colours alone, linearly", far(&plain)? / before)
    .beside("the picture as it was", 100.0))
}
