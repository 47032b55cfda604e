//! What decides on the bits of a run, as text, and what observers are told of it.

use super::TrainerBuilder;
use super::state::Plateau;
use crate::data::{Augment, Dataset, Mix, Split, Targets};
use crate::graph::StateKind;
use crate::store::Store;
use crate::train::normalise::Normalise;
use crate::train::optimizer::Optimizer;
use crate::train::task::{Better, Task};

/// What decides on the bits of a run.
pub(super) struct SettingsOf<'a> {
    pub network: Option<&'a str>,
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
    pub evaluation_rows: usize,
    /// The number by which epochs are compared, how, and by how much one must be better.
    pub monitor: (&'a str, Better, f64),
}

/// As text, to be compared when a run is gone on with.
pub(super) fn settings(of: &SettingsOf<'_>) -> Vec<(String, String)> {
    let settings = [
        ("network", format!("{:?}", of.network)),
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
        (
            "images of a step of validation",
            of.evaluation_rows.to_string(),
        ),
        ("monitor", format!("{:?}", of.monitor)),
    ];
    let named = settings.into_iter();
    named
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

impl TrainerBuilder<'_> {
    /// What is trained, on what and how, for observers.
    pub(super) fn facts(
        &self,
        store: &Store,
        count: usize,
        split: &Split,
    ) -> Vec<(String, String)> {
        let parameters = store.names_of(StateKind::Parameter);
        let parameters = parameters.filter_map(|name| store.ty(name).ok());
        let parameters: usize = parameters.map(|ty| ty.count()).sum();
        let train = &split.train;
        let size = format!("{}x{}x{}", train.channels, train.height, train.width);
        let mut data = format!(
            "{count} images of {size} to train, {} to validate",
            split.test.count
        );
        if train.classes > 0 {
            data.push_str(&format!(", {} classes", train.classes));
        }
        let mut facts = vec![
            (
                "network",
                self.model
                    .known_as()
                    .unwrap_or("a program's own")
                    .to_owned(),
            ),
            ("parameters", parameters.to_string()),
            ("data", data),
            ("device", self.engine.describe()),
            ("task", format!("{:?}", self.task)),
            ("optimizer", self.optimizer.describe()),
            ("batch", self.batch.to_string()),
        ];
        if let Some(augment) = &self.augment {
            facts.push(("augmentation", format!("{augment:?}")));
        }
        if let Some(mix) = &self.mix {
            facts.push(("mixtures", format!("{mix:?}")));
        }
        if self.accumulate > 1 {
            facts.push(("accumulate", self.accumulate.to_string()));
        }
        if !self.frozen.is_empty() {
            facts.push(("frozen", self.frozen.join(", ")));
        }
        facts.push(("seed", self.seed.to_string()));
        let named = facts.into_iter();
        named
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
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
