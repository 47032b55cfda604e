//! What the page of a browser tab runs: LeNet-5 in use ([`reading`]) and in training
//! ([`training`]), a few milliseconds of the device in each frame; and classes of one's own on its
//! frozen trunk ([`teaching`]).
//!
//! None of them knows of browsers. `tab`, which is built for them alone, hands them to the page's
//! scripts.

pub mod digits;
pub mod reading;
#[cfg(target_arch = "wasm32")]
mod tab;
pub mod teaching;
pub mod training;

use striate::interop::ModelCard;
use striate::models::{Model, lenet5};
use striate::prelude::*;
use striate::train::Normalise;

/// Rows and columns of a picture.
pub const SIDE: usize = 28;
/// Digits.
pub const CLASSES: usize = 10;

/// The network.
pub fn network() -> Model {
    lenet5(CLASSES)
}

/// How pixels are shifted and scaled where no file says otherwise: by the mean and deviation of
/// MNIST.
///
/// # Errors
/// None that is not a fault of this crate.
pub fn normalise() -> Result<Normalise> {
    Normalise::given(&[0.1307], &[0.3081])
}

/// How the network of a safetensors file has its pixels shifted and scaled: as its card says, or
/// as [`normalise`] does where it has none.
///
/// # Errors
/// `Data` if the bytes are no safetensors file; `Checkpoint` if it is of another network.
pub fn normalise_of(file: &[u8]) -> Result<Normalise> {
    let Some(card) = ModelCard::read(file)? else {
        return normalise();
    };
    let own = network();
    if card.model != own.name() || card.classes != CLASSES {
        return Err(Error::new(
            ErrorKind::Checkpoint,
            format!(
                "the file holds {} of {} classes, the page runs {} of {CLASSES}",
                card.model,
                card.classes,
                own.name()
            ),
        ));
    }
    card.normalise()
}

/// By what pixels are multiplied, and what is added then.
fn factors(normalise: &Normalise) -> [f32; 2] {
    let (mean, deviation) = (normalise.means()[0], normalise.deviations()[0]);
    [(1.0 / deviation) as f32, (-mean / deviation) as f32]
}

/// The place of the largest number; the first where several are.
fn largest(row: &[f32]) -> usize {
    let places = 0..row.len();
    places.fold(0, |best, at| if row[at] > row[best] { at } else { best })
}
