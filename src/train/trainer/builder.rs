//! What a trainer is built from.

use std::fmt;

use super::evaluate::{HOST, VALIDATION};
use super::settings::{SettingsOf, settings};
use super::state::{Course, Plateau, TrainerState};
use super::stop::Stop;
use super::{Keeper, Trainer};
use crate::data::{Augment, Fit, Mix, Split};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Engine, Progress};
use crate::graph::Graph;
use crate::nn::Module;
use crate::store::{Store, blocking, expect_own};
use crate::train::Adam;
use crate::train::assemble::{Job, Training, compile};
use crate::train::batch::About;
use crate::train::changes::Changes;
use crate::train::normalise::Normalise;
use crate::train::observer::Observer;
use crate::train::optimizer::Optimizer;
use crate::train::streaming::Streamed;
use crate::train::task::{Better, Classification, Task};

/// Makes the rates of all updates, given how many there are.
type Rates = Box<dyn FnOnce(usize) -> Result<Vec<f32>>>;
/// Overwrites states that a network begins with; says which.
type Beginning = Box<dyn FnOnce(&Store) -> Result<(String, String)>>;

/// A trainer that is still to be built ([`Trainer::builder`]).
#[must_use]
pub struct TrainerBuilder<'a> {
    pub(super) engine: Engine,
    pub(super) model: &'a dyn Module,
    pub(super) data: &'a Split,
    pub(super) task: Box<dyn Task>,
    pub(super) epochs: usize,
    pub(super) batch: usize,
    pub(super) evaluation_batch: Option<usize>,
    pub(super) drop_last: bool,
    pub(super) accumulate: usize,
    pub(super) optimizer: Optimizer,
    pub(super) rates: Option<Rates>,
    pub(super) augment: Option<Augment>,
    pub(super) mix: Option<Mix>,
    pub(super) seed: u64,
    pub(super) frozen: Vec<String>,
    pub(super) stream: Option<Streamed>,
    pub(super) normalise: Option<Normalise>,
    pub(super) validation: Option<f64>,
    pub(super) monitor: Option<(String, Better)>,
    pub(super) min_delta: f64,
    pub(super) patience: Option<usize>,
    pub(super) restore_best: bool,
    pub(super) plateau: Option<Plateau>,
    pub(super) observers: Vec<Box<dyn Observer>>,
    pub(super) stop: Stop,
    pub(super) progress: Box<dyn FnMut(Progress<'_>) + 'a>,
    pub(super) fit: Fit,
    pub(crate) beginnings: Vec<Beginning>,
    pub(crate) keeper: Option<Box<dyn Keeper>>,
    pub(crate) keep_every: Option<usize>,
}

impl fmt::Debug for TrainerBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrainerBuilder")
            .field("task", &self.task)
            .field("epochs", &self.epochs)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

impl<'a> TrainerBuilder<'a> {
    pub(super) fn new(engine: &Engine, model: &'a dyn Module, data: &'a Split) -> Self {
        Self {
            engine: engine.clone(),
            model,
            data,
            task: Box::new(Classification::new()),
            epochs: 10,
            batch: 64,
            evaluation_batch: None,
            drop_last: false,
            accumulate: 1,
            optimizer: Adam::new().into(),
            rates: None,
            augment: None,
            mix: None,
            seed: 0,
            frozen: Vec::new(),
            stream: None,
            normalise: None,
            validation: None,
            monitor: None,
            min_delta: 0.0,
            patience: None,
            restore_best: false,
            plateau: None,
            observers: Vec::new(),
            stop: Stop::new(),
            progress: Box::new(|_| ()),
            fit: Fit::default(),
            beginnings: Vec::new(),
            keeper: None,
            keep_every: None,
        }
    }

    /// What it is trained for; [`Classification`] at first.
    pub fn task(mut self, task: impl Task + 'static) -> Self {
        self.task = Box::new(task);
        self
    }

    /// Epochs at most; 10 at first.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// Images per training step; 64 at first. Where they are more than there are, all of them.
    pub fn batch(mut self, images: usize) -> Self {
        self.batch = images;
        self
    }

    /// Images per step of validation and evaluation; at first four times those of training.
    pub fn evaluation_batch(mut self, images: usize) -> Self {
        self.evaluation_batch = Some(images);
        self
    }

    /// Leaves out the last batch of an epoch where it has fewer images than the others.
    pub fn drop_last(mut self, drop_last: bool) -> Self {
        self.drop_last = drop_last;
        self
    }

    /// Batches whose mean gradient makes one update; 1 at first.
    pub fn accumulate(mut self, batches: usize) -> Self {
        self.accumulate = batches;
        self
    }

    /// The optimizer, with its rate or schedule, groups, clipping and moving averages; Adam at
    /// first.
    pub fn optimizer(mut self, optimizer: impl Into<Optimizer>) -> Self {
        self.optimizer = optimizer.into();
        self
    }

    /// The learning rates, made once the number of updates of all epochs is known:
    /// `.rates(|updates| warmup_cosine(0.003, updates / 20, updates))`. They stand for those of the
    /// optimizer.
    pub fn rates(mut self, rates: impl FnOnce(usize) -> Result<Vec<f32>> + 'static) -> Self {
        self.rates = Some(Box::new(rates));
        self
    }

    /// What is done to training images, anew in each epoch; masks follow the geometry of their
    /// images.
    pub fn augment(mut self, augment: Augment) -> Self {
        self.augment = Some(augment);
        self
    }

    /// How training images are mixed with one another, after that. Accuracies in training count the
    /// labels of the first image of each mixture.
    pub fn mix(mut self, mix: Mix) -> Self {
        self.mix = Some(mix);
        self
    }

    /// Keys initial parameters, shuffling, augmentation, dropout and the choice of images for
    /// validation.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Freezes the layers whose names match a pattern, and those inside them
    /// ([`Build::freeze`](crate::nn::Build::freeze)).
    pub fn freeze(mut self, pattern: &str) -> Self {
        self.frozen.push(pattern.to_owned());
        self
    }

    /// Trains on images that do not lie on the device, instead of on the training set. That one has
    /// images of the same size and classes, by which mean and deviation of the pixels are measured:
    /// the same ones, or a [sample](crate::data::sampled). A share of it cannot be kept apart for
    /// validation.
    pub fn stream(mut self, streamed: Streamed) -> Self {
        self.stream = Some(streamed);
        self
    }

    /// How pixels are shifted and scaled; at first to mean 0 and deviation 1 over the training set.
    pub fn normalise(mut self, normalise: Normalise) -> Self {
        self.normalise = Some(normalise);
        self
    }

    /// Validates with this share of the training set, which is kept apart, chosen by the seed, and
    /// leaves the test set untouched. Without it, the test set is what is validated with.
    pub fn validation(mut self, share: f64) -> Self {
        self.validation = Some(share);
        self
    }

    /// The number by which epochs are compared, such as `accuracy` or `train/loss`, and whether the
    /// better one is lower or higher. Names without a slash are those of validation. Without it,
    /// the [task](Task::monitor) says.
    pub fn monitor(mut self, name: &str, better: Better) -> Self {
        self.monitor = Some((name.to_owned(), better));
        self
    }

    /// By how much a number must be better to count as better; 0 at first.
    pub fn min_delta(mut self, least: f64) -> Self {
        self.min_delta = least;
        self
    }

    /// Ends training after so many epochs without a better one, and puts the weights of the best
    /// one back.
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = Some(epochs);
        self.restore_best = true;
        self
    }

    /// Whether the weights of the best epoch are put back in the end, also without patience.
    pub fn restore_best(mut self, restore: bool) -> Self {
        self.restore_best = restore;
        self
    }

    /// Lowers the learning rate where nothing gets better any more.
    pub fn plateau(mut self, plateau: Plateau) -> Self {
        self.plateau = Some(plateau);
        self
    }

    /// Tells `observer` what happens, after those that were named before.
    pub fn observe(mut self, observer: impl Observer + 'static) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// A flag that ends training after the step at hand, with a checkpoint if one is wanted.
    pub fn stop(mut self, stop: impl Into<Stop>) -> Self {
        self.stop = stop.into();
        self
    }

    /// Tells `progress` which pipelines are to be built before each of them is.
    pub fn progress(mut self, progress: impl FnMut(Progress<'_>) + 'a) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// How the pictures of the data became images of one size: what a saved model does with others.
    pub fn fit_of_pictures(mut self, fit: Fit) -> Self {
        self.fit = fit;
        self
    }

    /// Builds the graphs, uploads the data and compiles the sessions.
    ///
    /// # Errors
    /// `Data` if a set is empty or not sound, if the sets do not fit each other or the task;
    /// `Graph` if there is no number such as epochs are compared by, or if a pattern that is to be
    /// frozen matches no layer; `Shape` if the model makes outputs of another shape than the task
    /// takes, and for settings out of range; `Checkpoint` if the run that this goes on with was
    /// another one; `Unsupported` on a borrowed device. Whatever compiling returns.
    pub fn build(mut self) -> Result<Trainer> {
        expect_own(&self.engine)?;
        self.engine.expect_proof()?;
        self.check()?;
        let kept_apart = match self.validation {
            Some(share) => Some(
                self.data
                    .train
                    .split(share, self.seed)
                    .map_err(|e| e.context("validation"))?,
            ),
            None => None,
        };
        let split = kept_apart.as_ref().unwrap_or(self.data);
        let (train, validation) = (&split.train, &split.test);
        let mut about = About::new(train, self.normalise.take())?;
        about.sampled = self.stream.is_some();
        let count = match &self.stream {
            Some(stream) => stream.count_like(train)?,
            None => train.count,
        };
        let updates = self.updates(count)?;
        if let Some(rates) = self.rates.take() {
            self.optimizer = self.optimizer.schedule(rates(updates)?);
        }
        let job = Job {
            model: self.model,
            task: &*self.task,
            about: &about,
            frozen: &self.frozen,
            optimizer: &self.optimizer,
            batch: self.batch,
            drop_last: self.drop_last,
            accumulate: self.accumulate,
            factor: self.plateau.is_some(),
            seed: self.seed,
            changes: Changes {
                augment: self.augment.as_ref(),
                mix: self.mix,
            },
            stream: self.stream.as_ref(),
        };
        let training = Training::new(&job, train)?;
        let rows = self
            .evaluation_batch
            .unwrap_or(self.batch.min(count).saturating_mul(4))
            .min(count.max(validation.count));
        let validation_rows = rows.min(validation.count);
        let validated = job.evaluation(VALIDATION, validation, validation_rows)?;
        let host = [job.host(HOST, train, rows)?, job.host(HOST, train, 1)?];
        let graphs: Vec<&Graph> = training
            .graphs()
            .chain([&validated])
            .chain(host.iter().map(|host| &host.graph))
            .collect();
        let store = Store::new(&self.engine, &graphs, self.seed)?;
        let mut facts = self.facts(&store, count, split);
        let kept = match &mut self.keeper {
            Some(keeper) => keeper.read()?,
            None => None,
        };
        if kept.is_none() {
            for begin in std::mem::take(&mut self.beginnings) {
                facts.push(begin(&store)?);
            }
        }
        let mut progress = self.progress;
        let compiled = async {
            let steps = training.compile(&store, &mut progress).await?;
            Ok((
                steps,
                compile(&store, &validated, &[], &mut progress).await?,
            ))
        };
        let (steps, session) = blocking(store.engine(), compiled)?;
        let (name, better) = self.monitor.unwrap_or_else(|| {
            let (name, better) = self.task.monitor();
            (name.to_owned(), better)
        });
        let settings = settings(&SettingsOf {
            network: self.model.known_as(),
            split,
            task: &*self.task,
            optimizer: &self.optimizer,
            batch: self.batch,
            drop_last: self.drop_last,
            accumulate: self.accumulate,
            seed: self.seed,
            frozen: &self.frozen,
            augment: self.augment.as_ref(),
            mix: self.mix,
            streamed: self.stream.is_some().then_some(count),
            normalise: &about.normalise,
            plateau: self.plateau,
            validation: self.validation,
            evaluation_rows: validation_rows,
            monitor: (&name, better, self.min_delta),
        });
        let mut trainer = Trainer {
            steps,
            network: self.model.known_as().map(str::to_owned),
            fit: self.fit,
            task: self.task,
            validation: session,
            validation_steps: validation.count.div_ceil(validation_rows),
            validation_images: validation.count,
            host,
            host_sessions: [None, None],
            targets: train.target_type(1),
            course: Course {
                epochs: self.epochs,
                monitor: match name.contains('/') {
                    true => name,
                    false => format!("{VALIDATION}/{name}"),
                },
                better,
                least: self.min_delta,
                patience: self.patience,
                plateau: self.plateau,
                restore_best: self.restore_best,
            },
            rates: self.optimizer.rates()?,
            observers: self.observers,
            stop: self.stop,
            keeper: self.keeper,
            keep_every: self.keep_every,
            settings,
            facts,
            state: TrainerState::new(),
            best: Vec::new(),
            last: Vec::new(),
            about,
        };
        trainer.expect_monitor()?;
        if let Some((path, kept)) = kept {
            let resumed = trainer.resume(kept);
            resumed.map_err(|e| e.context(path.display()))?;
        }
        Ok(trainer)
    }

    /// Checks data and settings.
    fn check(&self) -> Result<()> {
        for (name, set) in [("training", &self.data.train), ("test", &self.data.test)] {
            if set.count == 0 && (name == "training" || self.validation.is_none()) {
                let message = format!("the {name} set has no images");
                return Err(Error::new(ErrorKind::Data, message));
            }
            let context = |e: Error| e.context(format!("{name} set"));
            if set.count > 0 {
                self.task.expect(set).map_err(context)?;
            }
        }
        match self.validation {
            Some(_) => self
                .data
                .train
                .check()
                .map_err(|e| e.context("training set"))?,
            None => self.data.check()?,
        }
        let counts = [
            ("batch", self.batch),
            ("evaluation_batch", self.evaluation_batch.unwrap_or(1)),
            ("accumulate", self.accumulate),
            ("checkpoint_every", self.keep_every.unwrap_or(1)),
            ("patience", self.patience.unwrap_or(1)),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(Error::shape(format!("trainer: {name} is at least 1")));
        }
        if self.min_delta.is_nan() || self.min_delta < 0.0 {
            let least = self.min_delta;
            return Err(Error::shape(format!(
                "trainer: min_delta {least} is below 0"
            )));
        }
        if self.stream.is_some() && self.validation.is_some() {
            return Err(Error::shape(
                "trainer: a share of a streamed set cannot be kept apart for validation: give the \
                 images as the test set",
            ));
        }
        self.plateau.as_ref().map_or(Ok(()), Plateau::check)
    }

    /// Updates of all epochs.
    fn updates(&self, count: usize) -> Result<usize> {
        let batch = self.batch.min(count).max(1);
        let steps = match self.drop_last {
            true => count / self.batch,
            false => count.div_ceil(batch),
        };
        let all = steps.checked_mul(self.epochs);
        let all = all.ok_or_else(|| Error::shape("trainer: too many epochs"))?;
        if all > 0 && all < self.accumulate {
            return Err(Error::shape(format!(
                "trainer: accumulate {}: all epochs together have {all} batches, nothing would be \
                 updated",
                self.accumulate
            )));
        }
        Ok((all / self.accumulate).max(1))
    }
}

impl Trainer {
    /// Checks that there will be the number by which epochs are compared.
    fn expect_monitor(&self) -> Result<()> {
        let mut names = Vec::new();
        for set in ["train", VALIDATION] {
            let scalars = self.scalars(set, &self.counted_nothing(set)?, 1)?;
            names.extend(scalars.into_iter().map(|scalar| scalar.name));
        }
        match names.contains(&self.course.monitor) {
            true => Ok(()),
            false => Err(self.course.unknown(names.iter().map(String::as_str))),
        }
    }
}
