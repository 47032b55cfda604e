//! A classifier of images trained on a data set that lies on the device.

use crate::data::{Augment, Mix, Split};
use crate::error::Result;
use crate::gpu::Engine;
use crate::nn::Module;
#[cfg(not(target_arch = "wasm32"))]
use crate::session::Profile;
use crate::session::Session;
use crate::store::Store;
#[cfg(not(target_arch = "wasm32"))]
use crate::store::blocking;
use crate::tensor::Tensor;

use super::batch::{About, FINITE, LOSS};
use super::builder::ClassifierBuilder;
use super::steps::Steps;
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
    /// What is done to training images, anew in each epoch.
    pub augment: Option<Augment>,
    /// How training images are mixed with one another, after that. Accuracies in training count
    /// the labels of the images that had the first word.
    pub mix: Option<Mix>,
    /// Keys initial parameters, shuffling, augmentation and dropout.
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
            augment: None,
            mix: None,
            seed: 0,
        }
    }
}

/// What training counted since it was last asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metrics {
    /// Mean loss per step, with those of auxiliary classifiers by their weights.
    pub loss: f64,
    /// Share of images that were classified correctly, 0 to 1.
    pub accuracy: f64,
    /// Images seen.
    pub images: usize,
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
    pub(super) steps: Steps,
    #[cfg_attr(
        any(not(feature = "interop"), target_arch = "wasm32"),
        allow(dead_code, reason = "files say it")
    )]
    pub(crate) about: About,
    pub(super) test: Session,
    pub(super) steps_per_test: usize,
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
        &self.steps.store
    }

    /// The training session of full batches.
    pub fn session(&self) -> &Session {
        &self.steps.train
    }

    /// Training steps that walk once over the data; the last one may have fewer rows.
    pub fn steps_per_epoch(&self) -> usize {
        self.steps.steps_per_epoch
    }

    /// Where training is: epochs that are done, and steps of the one that has begun. A checkpoint
    /// that was loaded into the store counts.
    ///
    /// # Errors
    /// `Shape` if the clock was set to something else than a clock.
    pub fn position(&self) -> Result<(usize, usize)> {
        self.steps.position()
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
        self.steps.train(steps)
    }

    /// How long training has waited so far for batches of a [streamed](super::Streamed) set. While
    /// steps are under way on the device, it does not wait with it.
    pub fn waited(&self) -> std::time::Duration {
        let streaming = self.steps.streaming.as_ref();
        streaming.map_or_else(Default::default, |streaming| streaming.waited())
    }

    /// Trains for one step and measures each of its dispatches.
    ///
    /// # Errors
    /// `Unsupported` on the CPU reference, on a borrowed device, and on devices without timestamp
    /// queries.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn profile(&mut self) -> Result<Profile> {
        self.steps.profile()
    }

    /// Classifies the whole test set, with the moving averages of the parameters if there are any,
    /// and returns the share that was right, 0 to 1.
    ///
    /// # Errors
    /// `Unsupported` on a borrowed device: await [`test_async`](Self::test_async) there.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn test(&mut self) -> Result<f64> {
        let store = self.store().clone();
        blocking(store.engine(), self.test_async())
    }

    /// As `test`, for hosts that cannot block.
    pub async fn test_async(&mut self) -> Result<f64> {
        let zero = Tensor::u32([4], vec![0; 4])?;
        self.store().set("test.clock", &zero)?;
        self.steps.take_counts("test.counts").await?;
        self.steps.swap()?;
        let tested = self.test.run(self.steps_per_test);
        self.steps.swap()?;
        tested?;
        let (correct, images) = self.steps.take_counts("test.counts").await?;
        Ok(f64::from(correct) / f64::from(images.max(1)))
    }

    /// What training counted since this was last called, or since the clock was set, as by loading
    /// a checkpoint; waits for the steps submitted so far.
    ///
    /// # Errors
    /// `NotFinite` if the loss of one of these steps is NaN or infinite, with its epoch and step,
    /// both counted from 1. Training has stopped then: the parameters are worth nothing.
    /// `Unsupported` on a borrowed device: await [`metrics_async`](Self::metrics_async) there.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn metrics(&mut self) -> Result<Metrics> {
        let store = self.store().clone();
        blocking(store.engine(), self.metrics_async())
    }

    /// As `metrics`, for hosts that cannot block.
    pub async fn metrics_async(&mut self) -> Result<Metrics> {
        self.steps.follow()?;
        let sum = format!("train.{LOSS}");
        let loss = self.store().get_async(&sum).await?.item()?;
        let steps = self.steps.take_unread();
        if !loss.is_finite() {
            return Err(self.steps.not_finite(loss, steps).await?);
        }
        let (correct, images) = self.steps.take_counts("train.counts").await?;
        self.store().set(&sum, &Tensor::scalar(0.0))?;
        self.steps.take_counts(&format!("train.{FINITE}")).await?;
        Ok(Metrics {
            loss: f64::from(loss) / steps.max(1) as f64,
            accuracy: f64::from(correct) / f64::from(images.max(1)),
            images: images as usize,
        })
    }

    /// Checks that what is to be saved is worth it: reads the metrics of the steps since they were
    /// last read, which are lost, and all parameters, running statistics, moments and averages.
    ///
    /// # Errors
    /// `NotFinite` as [`metrics`](Self::metrics), or with the first state that holds NaN or an
    /// infinity.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn expect_finite(&mut self) -> Result<()> {
        let store = self.store().clone();
        blocking(store.engine(), self.expect_finite_async())
    }

    /// As `expect_finite`, for hosts that cannot block.
    pub async fn expect_finite_async(&mut self) -> Result<()> {
        self.metrics_async().await?;
        self.steps.expect_finite_states().await
    }
}
