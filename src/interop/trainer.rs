//! What a trainer writes and reads: checkpoints, weights to begin with, trained networks.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::kind::{Kind, TRAINER};
use super::predictor::save_network;
use super::safetensors::{encode, load};
use super::state_dict::{LoadOptions, load_state_dict};
use super::{save_averaged, save_parameters};
use crate::error::{Error, ErrorKind, Result};
use crate::file::{error, expect_replaceable, replace_file};
use crate::models;
use crate::store::Store;
use crate::tensor::Tensor;
use crate::train::{
    Ended, EpochRecord, Keeper, Kept, PlateauState, Scalar, Setting, Trainer, TrainerBuilder,
    TrainerState,
};

/// What comes before the names of the best epoch's states.
const BEST: &str = "striate.best.";
/// The most bytes of a trainer's own state that are read.
const MOST_BYTES: usize = 256 << 20;

impl TrainerBuilder<'_> {
    /// Writes a checkpoint to this file after each epoch, and where a stop flag ends training: all
    /// that it takes to go on to the bit. It takes the place of the one before only once it is
    /// complete.
    pub fn checkpoint(mut self, path: impl Into<PathBuf>) -> Self {
        self.keeper = Some(Box::new(CheckpointFile {
            path: path.into(),
            resume: false,
        }));
        self
    }

    /// As [`checkpoint`](Self::checkpoint); if there is such a file, training goes on from it, with
    /// the bits that it would have had without a break. What decides on them must be the same: the
    /// network, the data, optimizer, batch, seed and so on. Epochs and patience may differ. With
    /// learning rates that are made for all updates ([`rates`](Self::rates)), epochs may not: other
    /// epochs make other rates, and those decide on the bits.
    pub fn resume(mut self, path: impl Into<PathBuf>) -> Self {
        self.keeper = Some(Box::new(CheckpointFile {
            path: path.into(),
            resume: true,
        }));
        self
    }

    /// Writes checkpoints after so many steps too.
    pub fn checkpoint_every(mut self, steps: usize) -> Self {
        self.keep_every = Some(steps);
        self
    }

    /// Begins with the parameters and running statistics of a safetensors file, also one of
    /// torchvision's network: those whose names and shapes fit. A head for other classes stays as
    /// it was drawn.
    ///
    /// [`build`](Self::build) fails if the file cannot be read, or if nothing in it fits; a run
    /// that is gone on with does not look at it.
    pub fn begin_with(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.beginnings
            .push(Box::new(move |store| begin(&path, store)));
        self
    }
}

/// Loads what fits; says how much that is.
fn begin(path: &Path, store: &Store) -> Result<(String, String)> {
    let options = LoadOptions::new().strip_prefix("module.").strict(false);
    let report = load_state_dict(path, store, &options)?;
    if report.loaded.is_empty() {
        let message = "no parameter is of this network";
        return Err(error(ErrorKind::Checkpoint, path, message));
    }
    let others = report.other_shape.iter().map(|other| &other.name);
    let anew: Vec<&str> = others.chain(&report.missing).map(String::as_str).collect();
    let mut told = format!("{} tensors of {}", report.loaded.len(), path.display());
    if !anew.is_empty() {
        let (shown, more) = anew.split_at(anew.len().min(4));
        told.push_str(&format!("; begun anew: {}", shown.join(", ")));
        if !more.is_empty() {
            told.push_str(&format!(" and {} more", more.len()));
        }
    }
    Ok(("begun with".to_owned(), told))
}

impl Trainer {
    /// Writes the network, its moving averages in place of the parameters that have some. If it is
    /// a classifier that [`models::by_name`] makes, the file also says which, with the size of its
    /// images, their mean and deviation and the names of classes: then
    /// [`Predictor::load`](super::Predictor::load) needs nothing else. Else it is a state dict.
    ///
    /// # Errors
    /// `NotFinite` if the network holds NaN or an infinity, and the file is as it was; as
    /// [`models::by_name`] and [`save_parameters`](super::save_parameters).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.expect_finite_network()?;
        match &self.network {
            Some(name) if self.is_classification() => {
                let model = models::by_name(name, self.about.classes)?;
                save_network(path.as_ref(), self.store(), &self.about, &model, self.fit)
            }
            _ => save_averaged(path, self.store()),
        }
    }

    /// Writes parameters and running statistics as they are, not their moving averages.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn save_parameters(&self, path: impl AsRef<Path>) -> Result<()> {
        self.expect_finite_network()?;
        save_parameters(path, self.store())
    }
}

/// A checkpoint of a trainer.
#[derive(Debug)]
struct CheckpointFile {
    path: PathBuf,
    /// Whether a run goes on from it.
    resume: bool,
}

impl Keeper for CheckpointFile {
    fn write(&mut self, kept: &Kept) -> Result<PathBuf> {
        let mut tensors = kept.states.clone();
        let best = kept.best.iter();
        tensors.extend(best.map(|(name, tensor)| (format!("{BEST}{name}"), tensor.clone())));
        let saved = SavedTrainer::of(kept);
        let json = serde_json::to_vec(&saved).map_err(|e| {
            let message = "the trainer's state cannot be written";
            Error::new(ErrorKind::Checkpoint, message).with_source(e)
        })?;
        tensors.push((TRAINER.to_owned(), Tensor::u8([json.len()], json)?));
        replace_file(&self.path, &encode(&tensors)?)?;
        Ok(self.path.clone())
    }

    fn read(&mut self) -> Result<Option<(PathBuf, Kept)>> {
        expect_replaceable(&self.path)?;
        let there = self.path.try_exists().unwrap_or(true);
        if !self.resume || !there {
            return Ok(None);
        }
        let tensors = load(&self.path)?;
        let kept = kept(tensors).map_err(|e| e.context(self.path.display()))?;
        Ok(Some((self.path.clone(), kept)))
    }
}

/// What a checkpoint's tensors say.
fn kept(tensors: Vec<(String, Tensor)>) -> Result<Kept> {
    let wrong = |message: &str| Error::new(ErrorKind::Data, message);
    let kind = Kind::of(tensors.iter().map(|(name, _)| &**name));
    let (mut states, mut best, mut saved) = (Vec::new(), Vec::new(), None);
    for (name, tensor) in tensors {
        if name == TRAINER {
            saved = Some(tensor);
        } else if let Some(own) = name.strip_prefix(BEST) {
            best.push((own.to_owned(), tensor));
        } else {
            states.push((name, tensor));
        }
    }
    let Some(saved) = saved else {
        let told = kind.map_or("`TrainerBuilder::checkpoint` writes them", Kind::told);
        return Err(wrong(&format!("no checkpoint of a trainer: {told}")));
    };
    let bytes = saved
        .as_u8()
        .map_err(|e| wrong("the trainer's state is no tensor of bytes").with_source(e))?;
    if bytes.len() > MOST_BYTES {
        return Err(wrong("the trainer's state is too long"));
    }
    let saved: SavedTrainer = serde_json::from_slice(bytes)
        .map_err(|e| wrong("the trainer's state cannot be read").with_source(e))?;
    let (state, settings) = saved.into_state()?;
    Ok(Kept {
        states,
        best,
        state,
        settings,
    })
}

/// A trainer's own state as it is written. Numbers are text, which is read back to the bit, NaN
/// and infinities too.
#[derive(Debug, Serialize, Deserialize)]
struct SavedTrainer {
    /// What is compared, by name.
    settings: Vec<(String, String)>,
    /// How people read it, where that is something else.
    #[serde(default)]
    told: Vec<(String, String)>,
    history: Vec<SavedEpoch>,
    best: Option<(usize, String)>,
    seconds: String,
    ended: Option<String>,
    plateau_factor: String,
    plateau_best: Option<String>,
    plateau_bad: usize,
    plateau_cooldown: usize,
}

/// An [`EpochRecord`] as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct SavedEpoch {
    epoch: usize,
    total: usize,
    seconds: String,
    images: usize,
    learning_rate: String,
    scalars: Vec<(String, String)>,
    best: bool,
}

fn text(value: f64) -> String {
    format!("{value:?}")
}

fn number(text: &str) -> Result<f64> {
    text.parse().map_err(|e| {
        let message = format!("the trainer's state has \"{text}\" for a number");
        Error::new(ErrorKind::Data, message).with_source(e)
    })
}

/// Why a run ended, by name.
const ENDED: [(&str, Ended); 3] = [
    ("done", Ended::Done),
    ("patience", Ended::Patience),
    ("stopped", Ended::Stopped),
];

impl SavedTrainer {
    fn of(kept: &Kept) -> Self {
        let state = &kept.state;
        let epoch = |record: &EpochRecord| SavedEpoch {
            epoch: record.epoch,
            total: record.total,
            seconds: text(record.seconds),
            images: record.images,
            learning_rate: text(record.learning_rate),
            scalars: record
                .scalars
                .iter()
                .map(|scalar| (scalar.name.clone(), text(scalar.value)))
                .collect(),
            best: record.best,
        };
        let ended = ENDED.iter().find(|(_, own)| Some(*own) == state.ended);
        let settings = kept.settings.iter().cloned();
        let told = settings.clone().filter(|own| own.told != own.key);
        Self {
            settings: settings.map(|own| (own.name, own.key)).collect(),
            told: told.map(|own| (own.name, own.told)).collect(),
            history: state.history.iter().map(epoch).collect(),
            best: state.best.map(|(index, value)| (index, text(value))),
            seconds: text(state.seconds),
            ended: ended.map(|(name, _)| (*name).to_owned()),
            plateau_factor: text(state.plateau.factor),
            plateau_best: state.plateau.best.map(text),
            plateau_bad: state.plateau.bad,
            plateau_cooldown: state.plateau.cooldown,
        }
    }

    fn into_state(self) -> Result<(TrainerState, Vec<Setting>)> {
        let epoch = |saved: SavedEpoch| {
            let scalars = saved.scalars.into_iter();
            let scalars = scalars.map(|(name, value)| Ok(Scalar::new(name, number(&value)?)));
            Ok(EpochRecord {
                epoch: saved.epoch,
                total: saved.total,
                seconds: number(&saved.seconds)?,
                images: saved.images,
                learning_rate: number(&saved.learning_rate)?,
                scalars: scalars.collect::<Result<_>>()?,
                best: saved.best,
            })
        };
        let history: Vec<EpochRecord> =
            self.history.into_iter().map(epoch).collect::<Result<_>>()?;
        let best = match self.best {
            Some((index, _)) if index >= history.len() => {
                let message = format!(
                    "the trainer's state has epoch {index} as the best of {}",
                    history.len()
                );
                return Err(Error::new(ErrorKind::Data, message));
            }
            Some((index, value)) => Some((index, number(&value)?)),
            None => None,
        };
        let ended = match self.ended {
            None => None,
            Some(name) => {
                let found = ENDED.iter().find(|(own, _)| *own == name);
                let unknown = || {
                    let message = format!("the trainer's state ended as \"{name}\"");
                    Error::new(ErrorKind::Data, message)
                };
                Some(found.ok_or_else(unknown)?.1)
            }
        };
        let state = TrainerState {
            history,
            best,
            plateau: PlateauState {
                factor: number(&self.plateau_factor)?,
                best: self.plateau_best.as_deref().map(number).transpose()?,
                bad: self.plateau_bad,
                cooldown: self.plateau_cooldown,
            },
            seconds: number(&self.seconds)?,
            ended,
        };
        let setting = |(name, key): (String, String)| {
            let told = self.told.iter().find(|(own, _)| *own == name);
            let told = told.map_or_else(|| key.clone(), |(_, told)| told.clone());
            Setting { name, key, told }
        };
        Ok((state, self.settings.into_iter().map(setting).collect()))
    }
}
