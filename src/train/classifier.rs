//! A classifier of images trained on a data set that lies on the device.

mod counts;

pub use counts::Metrics;

use crate::data::Split;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::Engine;
use crate::nn::Module;
#[cfg(not(target_arch = "wasm32"))]
use crate::session::Profile;
use crate::session::Session;
use crate::store::Store;
#[cfg(not(target_arch = "wasm32"))]
use crate::store::blocking;
use crate::tensor::Tensor;

use super::batch::Normalise;
use super::builder::ClassifierBuilder;
use super::followed::Followed;
use super::{Adam, Optimizer};

/// How a [`Classifier`] is trained.
#[derive(Debug, Clone)]
pub struct ClassifierOptions {
    /// Images per training step; where they are more than there are, all of them.
    pub batch: usize,
    /// Images per step of evaluation.
    pub test_batch: usize,
    /// Leaves out the last batch of an epoch where it would have fewer images than the others
    /// (PyTorch's `drop_last`).
    pub drop_last: bool,
    /// Batches whose mean gradient makes one update, usually 1. All of them count alike, also one
    /// with fewer images.
    pub accumulate: usize,
    /// The optimizer, its learning rate or schedule with it; if it keeps moving averages, they are
    /// what is tested.
    pub optimizer: Optimizer,
    /// Keys initial parameters, shuffling and dropout.
    pub seed: u64,
}

impl Default for ClassifierOptions {
    /// Batches of 64, each an update by Adam at a rate of 0.001; 1000 images per step of
    /// evaluation, seed 0.
    fn default() -> Self {
        Self {
            batch: 64,
            test_batch: 1000,
            drop_last: false,
            accumulate: 1,
            optimizer: Adam::new().into(),
            seed: 0,
        }
    }
}

/// What is known of the images of a training set.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub normalise: Normalise,
    /// Channels, height and width.
    pub image: [usize; 3],
    pub classes: usize,
    pub class_names: Vec<String>,
}

/// A classifier, its data on the device, and sessions over one store: training and evaluation.
///
/// Training makes no filler: where the batch size does not divide the training set, the last batch
/// of an epoch is a session of its own, or is left out ([`ClassifierOptions::drop_last`]).
///
/// ```
/// use striate::data::{Split, digits};
/// use striate::nn::{Flatten, Linear, Sequential};
/// use striate::prelude::*;
/// use striate::train::{Classifier, ClassifierOptions, Sgd};
///
/// # fn main() -> Result<()> {
/// let net = Sequential::new().then(Flatten).named("fc", Linear::new(28 * 28, 10));
/// let data = Split { train: digits(40, 1)?, test: digits(20, 2)? };
/// let options = ClassifierOptions {
///     batch: 20,
///     optimizer: Sgd::new().lr(0.1).momentum(0.9).into(),
///     ..ClassifierOptions::default()
/// };
/// let mut classifier = Classifier::new(&Engine::cpu(), &net, &data, &options)?;
/// classifier.train(classifier.steps_per_epoch())?;
/// assert_eq!(classifier.metrics()?.images, 40);
/// println!("{:.0} % are right", 100.0 * classifier.test()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Classifier {
    pub(super) store: Store,
    pub(crate) about: About,
    pub(super) train: Session,
    /// The last step of an epoch, where it has fewer rows.
    pub(super) remainder: Option<Session>,
    /// Applies gradients that are added up over several batches.
    pub(super) apply: Option<Session>,
    /// Exchanges parameters and their moving averages.
    pub(super) swap: Option<Session>,
    pub(super) test: Session,
    /// Batches per update.
    pub(super) accumulate: usize,
    /// Steps of an epoch, and those of them that have full batches.
    pub(super) steps_per_epoch: usize,
    pub(super) full_steps: usize,
    pub(super) steps_per_test: usize,
    /// Steps that are done, and batches since the last update, as the device counts them.
    pub(super) done: Followed,
    pub(super) pending: Followed,
    /// Steps since the metrics were last read, and how many of them were looked at since.
    pub(super) unread: usize,
    pub(super) looked: usize,
    /// Why training has stopped, until the clock is set.
    pub(super) stopped: Option<String>,
}

impl Classifier {
    /// Builds the graphs, uploads the data and compiles the sessions.
    ///
    /// `model` makes logits `[batch, classes]` from normalised images `[batch, channels, height,
    /// width]`. It is built for each batch size and mode; a reference to a module is one too.
    ///
    /// # Errors
    /// As [`ClassifierBuilder::build`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(
        engine: &Engine,
        model: impl Module,
        data: &Split,
        options: &ClassifierOptions,
    ) -> Result<Self> {
        let builder = Self::builder(engine, model, data);
        builder.options(options.clone()).build()
    }

    /// The long form of [`new`](Self::new): with progress told, or not blocking.
    pub fn builder<'a, M>(engine: &'a Engine, model: M, data: &'a Split) -> ClassifierBuilder<'a, M>
    where
        M: Module,
    {
        ClassifierBuilder::new(engine, model, data)
    }

    /// Parameters, moments, clock and data.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The training session of full batches.
    pub fn session(&self) -> &Session {
        &self.train
    }

    /// Training steps that walk once over the data; the last one may have fewer rows.
    pub fn steps_per_epoch(&self) -> usize {
        self.steps_per_epoch
    }

    /// Where training is: epochs that are done, and steps of the one that has begun. A checkpoint
    /// that was loaded into the store counts.
    ///
    /// # Errors
    /// `Shape` if the clock was set to something else than a clock.
    pub fn position(&self) -> Result<(usize, usize)> {
        let step = self.done.now(&self.store)?.step as usize;
        Ok((step / self.steps_per_epoch, step % self.steps_per_epoch))
    }

    /// Looks whether the host has set the clocks, as loading a checkpoint does: what was counted
    /// before is of another run then.
    fn follow(&mut self) -> Result<()> {
        let done = self.done.now(&self.store)?;
        if done.set != self.done.set {
            self.stopped = None;
            self.forget()?;
        }
        self.done = done;
        self.pending = self.pending.now(&self.store)?;
        Ok(())
    }

    /// The session that makes the next step, and how many steps it may make before another is due.
    fn due(&mut self) -> (&mut Session, usize) {
        let position = self.done.step as usize % self.steps_per_epoch;
        let (session, steps) = match &mut self.remainder {
            Some(remainder) if position >= self.full_steps => (remainder, 1),
            Some(_) => (&mut self.train, self.full_steps - position),
            None => (&mut self.train, usize::MAX),
        };
        let pending = self.pending.step as usize;
        match self.accumulate {
            1 => (session, steps),
            all => (session, steps.min(all.saturating_sub(pending).max(1))),
        }
    }

    /// Counts steps that were made, and applies their gradients where they are due.
    fn made(&mut self, steps: usize) -> Result<()> {
        self.unread += steps;
        self.done.step = self.done.step.wrapping_add(steps as u32);
        if self.apply.is_some() {
            self.pending.step += steps as u32;
        }
        self.apply_due()
    }

    /// Applies the gradients of the last batches if they are as many as make an update.
    fn apply_due(&mut self) -> Result<()> {
        if let Some(apply) = &mut self.apply
            && self.pending.step as usize >= self.accumulate
        {
            apply.run(1)?;
            self.pending.step = 0;
        }
        Ok(())
    }

    /// Trains for `steps` steps, one batch each; on a GPU they are submitted and not waited for,
    /// except that an own device is waited for every 256 steps: losses that are not finite end
    /// training there. On a borrowed device, and in a browser,
    /// [`metrics_async`](Self::metrics_async) alone finds them.
    ///
    /// # Errors
    /// `NotFinite` once a loss was found that is not finite, until a checkpoint is loaded;
    /// `DeviceLost`, `OutOfMemory`. The steps before the one that failed are done and counted.
    pub fn train(&mut self, steps: usize) -> Result<()> {
        self.follow()?;
        if let Some(message) = &self.stopped {
            return Err(Error::new(ErrorKind::NotFinite, message.clone()));
        }
        self.apply_due()?;
        let mut left = steps;
        while left > 0 {
            let unlooked = self.look_if_due()?;
            let (session, most) = self.due();
            let (made, ran) = session.run_counted(left.min(most).min(unlooked));
            let counted = self.made(made);
            ran?;
            counted?;
            left -= made;
        }
        Ok(())
    }

    /// Trains for one step and measures each of its dispatches.
    ///
    /// # Errors
    /// `Unsupported` on the CPU reference, on a borrowed device, and on devices without timestamp
    /// queries.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn profile(&mut self) -> Result<Profile> {
        self.follow()?;
        self.apply_due()?;
        let profile = self.due().0.profile()?;
        self.made(1)?;
        Ok(profile)
    }

    /// Classifies the whole test set, with the moving averages of the parameters if there are any,
    /// and returns the share that was right, 0 to 1.
    ///
    /// # Errors
    /// `Unsupported` on a borrowed device: await [`test_async`](Self::test_async) there.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn test(&mut self) -> Result<f64> {
        let store = self.store.clone();
        blocking(store.engine(), self.test_async())
    }

    /// As `test`, for hosts that cannot block.
    pub async fn test_async(&mut self) -> Result<f64> {
        self.store
            .set("test.clock", &Tensor::u32([4], vec![0; 4])?)?;
        self.take_counts("test.counts").await?;
        if let Some(swap) = &mut self.swap {
            swap.run(1)?;
        }
        let tested = self.test.run(self.steps_per_test);
        if let Some(swap) = &mut self.swap {
            swap.run(1)?;
        }
        tested?;
        let (correct, images) = self.take_counts("test.counts").await?;
        Ok(f64::from(correct) / f64::from(images.max(1)))
    }
}
