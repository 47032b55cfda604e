//! What decides on the bits of a run, as text, and what observers are told of it.

use std::fmt::Debug;

use super::TrainerBuilder;
use super::state::Plateau;
use crate::data::{Augment, Dataset, Mix, Split, Targets};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::StateKind;
use crate::models::grouped;
use crate::store::Store;
use crate::train::normalise::Normalise;
use crate::train::optimizer::Optimizer;
use crate::train::task::{Better, Task};

/// The name of a network that the library does not make.
const OWN: &str = "a program's own";

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

/// What decides on the bits of a run, one part of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    pub name: String,
    /// What is compared when a run is gone on with: all that it is made of.
    pub key: String,
    /// The same for people, shorter.
    pub told: String,
}

impl Setting {
    fn new(name: &str, key: String, told: String) -> Self {
        let name = name.to_owned();
        Self { name, key, told }
    }

    /// One that is compared as people read it.
    fn plain(name: &str, text: impl ToString) -> Self {
        Self::new(name, text.to_string(), text.to_string())
    }

    /// One that need not be there: how it is told if it is, and if not.
    fn optional<T: Debug>(
        name: &str,
        value: Option<T>,
        told: impl FnOnce(T) -> String,
        none: &str,
    ) -> Self {
        let key = format!("{value:?}");
        Self::new(name, key, value.map_or_else(|| none.to_owned(), told))
    }
}

/// As text, to be compared when a run is gone on with.
pub(super) fn settings(of: &SettingsOf<'_>) -> Vec<Setting> {
    let (monitor, better, least) = of.monitor;
    let mut compared = match better {
        Better::Lower => format!("{monitor}, lower is better"),
        Better::Higher => format!("{monitor}, higher is better"),
    };
    if least > 0.0 {
        compared.push_str(&format!(", by more than {least}"));
    }
    let frozen = match of.frozen.is_empty() {
        true => "nothing".to_owned(),
        false => of.frozen.join(", "),
    };
    let share = |share: f64| format!("a share of {share} of the training set");
    let images = |count: usize| format!("{count} images");
    vec![
        Setting::optional("network", of.network, str::to_owned, OWN),
        Setting::plain("training set", digest(&of.split.train)),
        Setting::plain("validation set", digest(&of.split.test)),
        Setting::new("task", format!("{:?}", of.task), of.task.describe()),
        Setting::new("optimizer", of.optimizer.key(), of.optimizer.to_string()),
        Setting::plain("batch", of.batch),
        Setting::plain("drop_last", of.drop_last),
        Setting::plain("accumulate", of.accumulate),
        Setting::plain("seed", of.seed),
        Setting::new("frozen", format!("{:?}", of.frozen), frozen),
        Setting::optional("augmentation", of.augment, Augment::to_string, "none"),
        Setting::optional("mixtures", of.mix, |mix| mix.to_string(), "none"),
        Setting::optional("streamed images", of.streamed, images, "none"),
        Setting::new(
            "mean and deviation",
            format!("{:?}", of.normalise),
            of.normalise.to_string(),
        ),
        Setting::optional("plateau", of.plateau, |plateau| plateau.to_string(), "none"),
        Setting::optional("validation", of.validation, share, "the test set"),
        Setting::plain("images of a step of validation", of.evaluation_rows),
        Setting::new("monitor", format!("{:?}", of.monitor), compared),
    ]
}

/// # Errors
/// `Checkpoint` with the first setting that differs.
pub(super) fn same_settings(kept: &[Setting], own: &[Setting]) -> Result<()> {
    let find = |of: &[Setting], name: &str| {
        let found = of.iter().find(|other| other.name == name).cloned();
        found.unwrap_or_else(|| Setting::plain(name, "nothing"))
    };
    for Setting { name, .. } in own.iter().chain(kept) {
        let (theirs, ours) = (find(kept, name), find(own, name));
        if theirs.key == ours.key {
            continue;
        }
        let message = match theirs.told == ours.told {
            false => format!("{name} was {}, and is {} here", theirs.told, ours.told),
            true => format!(
                "{name} was another one, though both read {}: it was {}, and is {} here",
                ours.told, theirs.key, ours.key
            ),
        };
        return Err(Error::new(ErrorKind::Checkpoint, message));
    }
    Ok(())
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
            "{} images of {size} to train, {} to validate",
            grouped(count as u64),
            grouped(split.test.count as u64)
        );
        if train.classes > 0 {
            data.push_str(&format!(", {} classes", train.classes));
        }
        let mut facts = vec![
            ("network", self.model.known_as().unwrap_or(OWN).to_owned()),
            ("parameters", grouped(parameters as u64)),
            ("data", data),
            ("device", self.engine.describe()),
            ("task", self.task.describe()),
            ("optimizer", self.optimizer.to_string()),
            ("batch", self.batch.to_string()),
        ];
        if let Some(augment) = &self.augment {
            facts.push(("augmentation", augment.to_string()));
        }
        if let Some(mix) = &self.mix {
            facts.push(("mixtures", mix.to_string()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_what_differs() {
        let of = |key: &str, told: &str| [Setting::new("task", key.to_owned(), told.to_owned())];
        let refused = |kept: &[Setting], own: &[Setting]| {
            let error = same_settings(kept, own).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Checkpoint);
            error.to_string()
        };
        let (plain, smooth) = (of("A { s: 0 }", "plain"), of("A { s: 1 }", "smooth"));
        assert!(same_settings(&plain, &plain).is_ok());
        assert_eq!(
            refused(&plain, &smooth),
            "task was plain, and is smooth here"
        );
        assert_eq!(
            refused(&plain, &of("B { s: 0 }", "plain")),
            "task was another one, though both read plain: it was A { s: 0 }, and is \
             B { s: 0 } here"
        );
        assert_eq!(refused(&[], &plain), "task was nothing, and is plain here");
    }
}
