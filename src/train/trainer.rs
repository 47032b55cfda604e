//! Training from the first epoch to the last: validated, watched, stopped in time, and lost by
//! nothing.

mod builder;
mod evaluate;
mod kept;
mod settings;
mod state;
mod stop;

use std::fmt;
use std::time::Instant;

use crate::data::{Fit, Split};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::Engine;
use crate::graph::StateKind;
use crate::nn::Module;
use crate::session::{Profile, Session};
use crate::store::Store;
use crate::tensor::Tensor;

use super::assemble::{FACTOR, HostGraph};
use super::batch::{About, FINITE, LOSS};
use super::observer::{Ended, EpochRecord, Event, Observer, RunInfo, Scalar, StepRecord};
use super::steps::Steps;
use super::task::Task;
use crate::shape::Type;

pub use builder::TrainerBuilder;
pub use evaluate::Evaluation;
pub(crate) use kept::{Keeper, Kept};
pub(crate) use settings::Setting;
use state::Course;
pub use state::Plateau;
#[cfg(feature = "interop")]
pub(crate) use state::PlateauState;
pub(crate) use state::TrainerState;
pub use stop::Stop;

/// Seconds of training between two looks at the stop flag and the losses.
const LOOK: f64 = 0.25;

/// Trains a network for a task, and says what came of it.
///
/// The data lie on the device, and steps are submitted many at a time; a few bytes are read about
/// four times a second, to see how far it is. After each epoch the network is validated, with the
/// moving averages of its parameters if the optimizer keeps some.
///
/// ```
/// use striate::data::{Split, digits};
/// use striate::nn::{Flatten, Linear, Sequential};
/// use striate::prelude::*;
/// use striate::train::{AdamW, Event, Trainer};
///
/// # fn main() -> Result<()> {
/// let net = Sequential::new().then(Flatten).named("fc", Linear::new(28 * 28, 10));
/// let data = Split { train: digits(60, 1)?, test: digits(30, 2)? };
/// let mut trainer = Trainer::builder(&Engine::cpu(), &net, &data)
///     .epochs(5)
///     .batch(20)
///     .optimizer(AdamW::new().lr(3e-3))
///     .patience(2)
///     .observe(|event: &Event<'_>| {
///         if let Event::Epoch(epoch) = event {
///             println!("epoch {}: {:?}", epoch.epoch, epoch.scalar("val/accuracy"));
///         }
///         Ok(())
///     })
///     .build()?;
/// let fitted = trainer.fit()?;
/// assert!(fitted.best().is_some_and(|best| best.epoch <= 5));
///
/// let tested = trainer.evaluate(&digits(50, 3)?)?;
/// println!("{:?} of 50 are right", tested.scalar("accuracy"));
/// let logits = trainer.predict(&data.test.images[..28 * 28])?;
/// assert_eq!(logits.shape()[..], [1, 10]);
/// # Ok(())
/// # }
/// ```
pub struct Trainer {
    steps: Steps,
    pub(crate) about: About,
    /// The name by which the library makes the network, if it does.
    #[cfg_attr(not(feature = "interop"), allow(dead_code, reason = "files name it"))]
    pub(crate) network: Option<String>,
    #[cfg_attr(not(feature = "interop"), allow(dead_code, reason = "files name it"))]
    pub(crate) fit: Fit,
    task: Box<dyn Task>,
    validation: Session,
    /// Steps and images of a validation.
    validation_steps: usize,
    validation_images: usize,
    /// Evaluation of what the host writes: many images at a time, or one.
    host: [HostGraph; 2],
    host_sessions: [Option<Session>; 2],
    targets: Type,
    course: Course,
    rates: Vec<f32>,
    observers: Vec<Box<dyn Observer>>,
    stop: Stop,
    keeper: Option<Box<dyn Keeper>>,
    keep_every: Option<usize>,
    settings: Vec<Setting>,
    facts: Vec<(String, String)>,
    state: TrainerState,
    /// The network of the best epoch.
    best: Vec<(String, Tensor)>,
    /// The network of the last step, while that of the best epoch stands in its place.
    last: Vec<(String, Tensor)>,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// All epochs, those of runs too that this one went on with.
    pub history: Vec<EpochRecord>,
    /// Why it ended.
    pub ended: Ended,
    best: Option<usize>,
}

impl Fitted {
    /// The best epoch; none if no epoch was done, or if no number was one.
    pub fn best(&self) -> Option<&EpochRecord> {
        self.history.get(self.best?)
    }

    /// A number of the best epoch, such as `val/accuracy`.
    pub fn scalar(&self, name: &str) -> Option<f64> {
        self.best()?.scalar(name)
    }
}

impl fmt::Debug for Trainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("settings", &self.settings)
            .field("epochs_done", &self.state.history.len())
            .finish_non_exhaustive()
    }
}

/// How far the losses of an epoch were when somebody looked last.
#[derive(Debug, Clone, Copy, Default)]
struct Looked {
    loss: f32,
    steps: u32,
}

impl Trainer {
    /// What a trainer is made from: a network, images to train on, and others to validate with.
    ///
    /// `model` makes outputs of normalised images `[batch, channels, height, width]`: logits
    /// `[batch, classes]` unless there is another [`task`](TrainerBuilder::task).
    pub fn builder<'a>(
        engine: &Engine,
        model: &'a dyn Module,
        data: &'a Split,
    ) -> TrainerBuilder<'a> {
        TrainerBuilder::new(engine, model, data)
    }

    /// Trains until all epochs are done, patience is at its end, or the stop flag is raised. If it
    /// was stopped, it goes on where it was. With [`patience`](TrainerBuilder::patience) or
    /// [`restore_best`](TrainerBuilder::restore_best) the network is that of the best epoch in the
    /// end.
    ///
    /// # Errors
    /// `NotFinite` once a loss is NaN or infinite, with its epoch and step; whatever an observer
    /// or writing a checkpoint returns, after the step at hand, and the checkpoint from before
    /// stays; those of the device. The network is that of the best epoch then too.
    pub fn fit(&mut self) -> Result<Fitted> {
        if !self.last.is_empty() {
            self.steps.store.restore(&std::mem::take(&mut self.last))?;
        }
        let first = self.state.history.len();
        let ended = self.begin().and_then(|()| self.run());
        let rested = self.rest(&ended);
        let ended = ended?;
        rested?;
        let history = self.state.history.clone();
        self.tell(&Event::Ended(ended, &history[first..]))?;
        Ok(Fitted {
            history,
            ended,
            best: self.state.best.map(|(index, _)| index),
        })
    }

    /// Tells where training begins.
    fn begin(&mut self) -> Result<()> {
        self.steps.follow_clocks()?;
        let (epoch, step) = self.steps.position()?;
        let info = RunInfo {
            epochs: self.course.epochs,
            steps_per_epoch: self.steps.steps_per_epoch,
            images_per_epoch: self.steps.images(0, self.steps.steps_per_epoch),
            begun_at: epoch * self.steps.steps_per_epoch + step,
            restores_best: self.course.restore_best,
            facts: self.facts.clone(),
        };
        self.tell(&Event::Began(&info))
    }

    /// Restores the network of the best epoch, also where training failed, and keeps that of the
    /// last step if it can go on.
    fn rest(&mut self, ended: &Result<Ended>) -> Result<()> {
        if !self.course.restore_best || self.best.is_empty() {
            return Ok(());
        }
        let goes_on = match ended {
            Ok(ended) => *ended == Ended::Stopped,
            Err(error) => error.kind() != ErrorKind::NotFinite,
        };
        if goes_on {
            self.last = self.steps.store.snapshot(&self.network_names())?;
        }
        self.steps.store.restore(&self.best)
    }

    /// Steps and epochs until it ends.
    fn run(&mut self) -> Result<Ended> {
        if let Some(message) = &self.steps.stopped {
            return Err(Error::new(ErrorKind::NotFinite, message.clone()));
        }
        let mut chunk = 1;
        let mut looked = match self.steps.position()? {
            (_, 0) => Looked::default(),
            _ => self.look()?,
        };
        loop {
            let (epoch, step) = self.steps.position()?;
            if epoch > self.state.history.len() {
                let record = self.finish_epoch()?;
                looked = Looked::default();
                // Observers hear of it first: a line beyond the checkpoint is cut off when the run
                // goes on, one that was never written would be missing.
                let told = self.tell(&Event::Epoch(&record));
                self.keep()?;
                told?;
                continue;
            }
            if let Some(ended) = self.state.ended {
                return Ok(ended);
            }
            if self.stop.is_raised() {
                self.keep()?;
                return Ok(Ended::Stopped);
            }
            if epoch >= self.course.epochs {
                self.state.ended = Some(Ended::Done);
                continue;
            }
            let left = self.steps.steps_per_epoch - step;
            let total = epoch * self.steps.steps_per_epoch + step;
            let due = self.keep_every.map_or(left, |every| every - total % every);
            let made = chunk.min(left).min(due);
            let start = Instant::now();
            self.steps.train(made)?;
            let before = looked;
            looked = self.look()?;
            let seconds = start.elapsed().as_secs_f64().max(1e-6);
            self.state.seconds += seconds;
            // As many as fit between two looks, and no more than a few times as many as before.
            let fitting = (LOOK / seconds * made as f64) as usize;
            chunk = fitting.clamp(1, made.max(chunk).saturating_mul(4));
            let (images, done) = (self.steps.images(step, step + made), step + made);
            let counted = looked.steps.wrapping_sub(before.steps);
            let loss = f64::from(looked.loss) - f64::from(before.loss);
            let record = StepRecord {
                epoch: epoch + 1,
                step: done,
                total: total + made,
                rate: images as f64 / seconds,
                scalars: vec![Scalar::new("train/loss", loss / f64::from(counted.max(1)))],
            };
            let due = (self.keep_every).is_some_and(|every| record.total.is_multiple_of(every));
            // The end of an epoch is kept once it is validated.
            let told = self.tell(&Event::Stepped(&record));
            if due && made < left {
                self.keep()?;
            }
            told?;
        }
    }

    /// Waits for the steps so far, and reads their losses; leaves them for the epoch's end.
    fn look(&mut self) -> Result<Looked> {
        let names = [LOSS, FINITE].map(|name| format!("train.{name}"));
        let read = self.steps.store.snapshot(&names)?;
        let [(_, loss), (_, finite)] = &read[..] else {
            return Ok(Looked::default());
        };
        let loss = loss.item()?;
        let &[good, steps] = finite.as_u32()? else {
            return Ok(Looked::default());
        };
        if good < steps || !loss.is_finite() {
            let store = self.steps.store.clone();
            let error = self.steps.not_finite(loss, steps as usize);
            return Err(crate::store::blocking(store.engine(), error)?);
        }
        Ok(Looked { loss, steps })
    }

    /// Reads what an epoch counted, validates, and compares it with those before.
    fn finish_epoch(&mut self) -> Result<EpochRecord> {
        let steps = self.steps.steps_per_epoch;
        let images = self.steps.images(0, steps);
        let trained = self.counted("train", images)?;
        let mut scalars = self.scalars("train", &trained, steps)?;
        self.steps.forget()?;
        let validated = self.validate()?;
        scalars.extend(self.scalars("val", &validated, self.validation_images)?);
        let epoch = self.state.history.len() + 1;
        let total = epoch * steps;
        let updates = (total / self.steps.accumulate).max(1);
        let rate = self.rates.get(updates - 1).or(self.rates.last());
        let rate = rate.copied().map_or(0.0, f64::from);
        let record = EpochRecord {
            epoch,
            total,
            seconds: self.state.seconds,
            images,
            learning_rate: rate * self.state.plateau.factor,
            scalars,
            best: false,
        };
        let (record, lowered) = self.state.add(record, &self.course)?;
        if record.best {
            // What was best before is that no more.
            self.best = match self.course.restore_best {
                true => self.steps.store.snapshot(&self.network_names())?,
                false => Vec::new(),
            };
        }
        if lowered {
            let factor = Tensor::scalar(self.state.plateau.factor as f32);
            self.steps.store.set(FACTOR, &factor)?;
        }
        Ok(record)
    }

    /// As [`expect_finite`](Self::expect_finite), of what is saved: after a loss of NaN the network
    /// may be that of the best epoch, and the moments are NaN.
    #[cfg(feature = "interop")]
    pub(crate) fn expect_finite_network(&self) -> Result<()> {
        let states = self.steps.store.snapshot(&self.network_names())?;
        self.steps.expect_finite(&states)
    }

    /// The states that a trained network is.
    fn network_names(&self) -> Vec<String> {
        let kinds = [
            StateKind::Parameter,
            StateKind::Statistic,
            StateKind::Average,
        ];
        let names = kinds
            .iter()
            .flat_map(|&kind| self.steps.store.names_of(kind));
        names.map(str::to_owned).collect()
    }

    fn tell(&mut self, event: &Event<'_>) -> Result<()> {
        // All of them hear it, also where one fails.
        let mut heard = Ok(());
        for observer in &mut self.observers {
            heard = heard.and(observer.observe(event));
        }
        heard
    }

    /// Parameters, moments, clocks, counters and data.
    pub fn store(&self) -> &Store {
        &self.steps.store
    }

    /// Epochs that are done.
    pub fn history(&self) -> &[EpochRecord] {
        &self.state.history
    }

    /// Why training ended, if it did.
    pub fn ended(&self) -> Option<Ended> {
        self.state.ended
    }

    /// Whether the network is that of the best epoch, and not of the last step.
    #[cfg(all(feature = "data", feature = "interop"))]
    pub(crate) fn is_of_best(&self) -> bool {
        self.course.restore_best && !self.best.is_empty()
    }

    /// Where training is: epochs that are done, and steps of the one that has begun.
    ///
    /// # Errors
    /// `Shape` if the clock was set to something else than a clock.
    pub fn position(&self) -> Result<(usize, usize)> {
        self.steps.position()
    }

    /// Trains for one step and measures each of its dispatches.
    ///
    /// # Errors
    /// `Unsupported` on the CPU reference, and on devices without timestamp queries.
    pub fn profile(&mut self) -> Result<Profile> {
        self.steps.profile()
    }

    /// The flag that ends training after the step at hand.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.steps.steps_per_epoch
    }

    /// Whether each image has one class.
    #[cfg(feature = "interop")]
    pub(crate) fn is_classification(&self) -> bool {
        self.targets.dtype == crate::shape::DType::U32
    }

    /// Names and values that say what is trained, on what and how.
    pub fn facts(&self) -> &[(String, String)] {
        &self.facts
    }

    /// Checks that the network is worth saving.
    ///
    /// # Errors
    /// `NotFinite` with the first state that holds NaN or an infinity.
    pub fn expect_finite(&self) -> Result<()> {
        let store = &self.steps.store;
        crate::store::blocking(store.engine(), self.steps.expect_finite_states())
    }
}
