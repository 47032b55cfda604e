//! What decides on the bits of a run, as text.

use super::state::Plateau;
use crate::data::{Augment, Dataset, Mix, Split, Targets};
use crate::train::normalise::Normalise;
use crate::train::optimizer::Optimizer;
use crate::train::task::Task;

/// What decides on the bits of a run.
pub(super) struct SettingsOf<'a> {
    pub split: &'a Split,
    pub task: &'a dyn Task,
    pub optimizer: &'a Optimizer,
    pub batch: usize,
    pub drop_last: bool,
    pub accumulate: usize,
    pub seed: u64,
    pub frozen: &'a [String],
    pub augment: Option<&'a Augment>,
    pub mix: Option<Mix>,
    pub streamed: Option<usize>,
    pub normalise: &'a Normalise,
    pub plateau: Option<Plateau>,
    pub validation: Option<f64>,
}

/// As text, to be compared when a run is gone on with.
pub(super) fn settings(of: &SettingsOf<'_>) -> Vec<(String, String)> {
    let settings = [
        ("training set", digest(&of.split.train)),
        ("validation set", digest(&of.split.test)),
        ("task", format!("{:?}", of.task)),
        ("optimizer", of.optimizer.describe()),
        ("batch", of.batch.to_string()),
        ("drop_last", of.drop_last.to_string()),
        ("accumulate", of.accumulate.to_string()),
        ("seed", of.seed.to_string()),
        ("frozen", format!("{:?}", of.frozen)),
        ("augmentation", format!("{:?}", of.augment)),
        ("mixtures", format!("{:?}", of.mix)),
        ("streamed images", format!("{:?}", of.streamed)),
        ("mean and deviation", format!("{:?}", of.normalise)),
        ("plateau", format!("{:?}", of.plateau)),
        ("validation", format!("{:?}", of.validation)),
    ];
    let named = settings.into_iter();
    named
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// How many images a set has, and a checksum of its images and targets (64-bit FNV-1a).
fn digest(set: &Dataset) -> String {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut take = |bytes: &[u8]| {
        for &byte in bytes {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    };
    take(&set.images);
    take(bytemuck::cast_slice(&set.labels));
    match &set.targets {
        Targets::Labels => {}
        Targets::Masks(masks) => take(masks),
        Targets::Values { values, .. } => take(bytemuck::cast_slice(values)),
    }
    format!("{} images, checksum {hash:016x}", set.count)
}
