//! Which pixels belong to what? Scenes with discs, squares and triangles in clutter, and volumes
//! with lesions among vessels.
//!
//! Colours do not tell: lines and specks of the ground have those of the shapes, and vessels are as
//! bright as lesions.

mod scenes;
mod volumes;

use striate::data::{Dataset, Picture, Targets};
use striate::prelude::*;

use crate::{Common, Outcome};

/// Gives each pixel of a scene its class: ground, disc, square or triangle
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
    /// Finds lesions among vessels in volumes instead
    #[arg(long)]
    pub volume: bool,
}

/// Trains the network and a linear model, and says how well their masks cover the true ones.
///
/// # Errors
/// Those of training and of drawing pictures.
pub fn run(args: &Args) -> Result<Outcome> {
    match args.volume {
        false => scenes::run(&args.common),
        true => volumes::run(&args.common),
    }
}

/// What masks are drawn with: the colour of each class.
const COLOURS: [[u8; 3]; 4] = [[30, 30, 40], [240, 90, 60], [80, 200, 90], [70, 140, 255]];

/// Classes of all pixels of a set.
fn masks_of(set: &Dataset) -> Result<&[u8]> {
    match &set.targets {
        Targets::Masks(masks) => Ok(masks),
        _ => Err(Error::new(ErrorKind::Data, "the set has no masks")),
    }
}

/// The class of each pixel with the largest logit, of logits `[n, classes, pixels]`.
fn answers(logits: &[f32], classes: usize, pixels: usize) -> Vec<u8> {
    let images = logits.chunks(classes * pixels);
    let best = images.flat_map(|image| {
        (0..pixels).map(move |at| {
            let logit = |class: &usize| image[class * pixels + at];
            let best = (0..classes).max_by(|a, b| logit(a).total_cmp(&logit(b)));
            best.unwrap_or(0) as u8
        })
    });
    best.collect()
}

/// A picture under the colours of its pixels' classes.
fn covered(picture: &Picture, mask: &[u8]) -> Result<Picture> {
    let size = [3, picture.height(), picture.width()];
    let planes = (0..3).flat_map(|part| {
        mask.iter()
            .map(move |&class| COLOURS[usize::from(class)][part])
    });
    let colours = Picture::of_image(&planes.collect::<Vec<_>>(), size)?;
    picture.blended(&colours, &vec![0.7; mask.len()])
}
