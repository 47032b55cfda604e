//! What a trainer tells while it runs, and who may listen.

use std::path::Path;

use crate::error::Result;

/// A number with its name, as `train/loss` or `val/accuracy`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// What was measured, and after a slash of what: `train/loss`, `val/accuracy`.
    pub name: String,
    /// Losses as they are; shares such as accuracy from 0 to 1.
    pub value: f64,
}

/// What is known before the first step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunInfo {
    /// Epochs at most.
    pub epochs: usize,
    /// Training steps of an epoch.
    pub steps_per_epoch: usize,
    /// Images of an epoch.
    pub images_per_epoch: usize,
    /// Steps that were done before, by the run that this one goes on with.
    pub begun_at: usize,
    /// Names and values that say what is trained, on what and how: network, parameters, data,
    /// device, optimizer, batch, recipe, seed.
    pub facts: Vec<(String, String)>,
}

/// Where an epoch is.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps of it that are done.
    pub step: usize,
    /// Steps of all epochs that are done.
    pub total: usize,
    /// Images per second since the last record.
    pub rate: f64,
    /// What was measured since the last record.
    pub scalars: Vec<Scalar>,
}

/// What came out of an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochRecord {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps of all epochs that are done.
    pub total: usize,
    /// Seconds that its training took.
    pub seconds: f64,
    /// Images that it trained on.
    pub images: usize,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// What was measured in training and in validation.
    pub scalars: Vec<Scalar>,
    /// Whether it is the best so far.
    pub best: bool,
}

impl EpochRecord {
    /// The number of this name.
    pub fn scalar(&self, name: &str) -> Option<f64> {
        let found = self.scalars.iter().find(|scalar| scalar.name == name);
        found.map(|scalar| scalar.value)
    }
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All epochs are done.
    Done,
    /// So many epochs went by without a better one.
    Patience,
    /// The stop flag was raised; a checkpoint was written if one is wanted.
    Stopped,
}

/// What a trainer tells.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Training begins.
    Began(&'a RunInfo),
    /// Some steps are done.
    Stepped(&'a StepRecord),
    /// An epoch is done, and validated.
    Epoch(&'a EpochRecord),
    /// A file was written.
    Saved(&'a Path),
    /// Training ended; these are the epochs of this run.
    Ended(Ended, &'a [EpochRecord]),
}

/// Listens to a trainer: prints, or writes files.
pub trait Observer {
    /// Is told what happened.
    ///
    /// # Errors
    /// Whatever went wrong; training ends with it, after the step that it is in.
    fn observe(&mut self, event: &Event<'_>) -> Result<()>;
}

/// A closure listens.
impl<F: FnMut(&Event<'_>) -> Result<()>> Observer for F {
    fn observe(&mut self, event: &Event<'_>) -> Result<()> {
        self(event)
    }
}
