//! A classifier of images trained on a data set that lies on the device.

mod counts;

pub use counts::Metrics;

use crate::data::Split;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Engine, Progress};
use crate::graph::{Graph, Init, Kind, Value};
use crate::nn::Mode;
use crate::ops::Batches;
use crate::plan::PlanOptions;
#[cfg(not(target_arch = "wasm32"))]
use crate::session::Profile;
use crate::session::Session;
use crate::shape::Type;
use crate::store::Store;
#[cfg(not(target_arch = "wasm32"))]
use crate::store::blocking;
use crate::tensor::Tensor;

use super::batch::{Normalise, Resident};
use super::followed::Followed;
use super::{Optimizer, scheduled, swap_averages};

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
    /// The optimizer; if it keeps moving averages, they are what is tested.
    pub optimizer: Optimizer,
    /// Learning rate of each update; after the last entry it stays there.
    pub learning_rates: Vec<f32>,
    /// Keys initial parameters, shuffling and dropout.
    pub seed: u64,
}

/// A classifier, its data on the device, and sessions over one store: training and evaluation.
///
/// Training makes no filler: where the batch size does not divide the training set, the last batch
/// of an epoch is a session of its own, or is left out ([`ClassifierOptions::drop_last`]).
#[derive(Debug)]
pub struct Classifier {
    store: Store,
    train: Session,
    /// The last step of an epoch, where it has fewer rows.
    remainder: Option<Session>,
    /// Applies gradients that are added up over several batches.
    apply: Option<Session>,
    /// Exchanges parameters and their moving averages.
    swap: Option<Session>,
    test: Session,
    /// Batches per update.
    accumulate: usize,
    /// Steps of an epoch, and those of them that have full batches.
    steps_per_epoch: usize,
    full_steps: usize,
    steps_per_test: usize,
    /// Steps that are done, and batches since the last update, as the device counts them.
    done: Followed,
    pending: Followed,
    /// Steps since the metrics were last read, and how many of them were looked at since.
    unread: usize,
    looked: usize,
    /// Why training has stopped, until the clock is set.
    stopped: Option<String>,
}

impl Classifier {
    /// Builds the graphs, uploads the data and compiles the sessions.
    ///
    /// `model` makes logits `[batch, classes]` from normalised images `[batch, channels, height,
    /// width]`. It is called for each batch size and mode.
    ///
    /// # Errors
    /// `Data` if a set is empty, if a label is not below the number of classes or the sets differ
    /// in it; `Shape` if the model makes something else than logits of these classes, and from the
    /// model: as in PyTorch, batch normalisation refuses a last batch that has one value per
    /// channel. Whatever compiling returns.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(
        engine: &Engine,
        model: impl Fn(&mut Graph, Value, Mode) -> Result<Value>,
        data: &Split,
        options: &ClassifierOptions,
    ) -> Result<Self> {
        Self::with_progress(engine, model, data, options, |_| ())
    }

    /// As `new`, for hosts that cannot block.
    pub async fn new_async(
        engine: &Engine,
        model: impl Fn(&mut Graph, Value, Mode) -> Result<Value>,
        data: &Split,
        options: &ClassifierOptions,
    ) -> Result<Self> {
        Self::with_progress_async(engine, model, data, options, |_| ()).await
    }

    /// As [`new`](Self::new), telling `progress` which pipelines are to be built before each of them is, session by session.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn with_progress(
        engine: &Engine,
        model: impl Fn(&mut Graph, Value, Mode) -> Result<Value>,
        data: &Split,
        options: &ClassifierOptions,
        progress: impl FnMut(Progress<'_>),
    ) -> Result<Self> {
        engine.expect_proof()?;
        let classifier = Self::with_progress_async(engine, model, data, options, progress);
        pollster::block_on(classifier)
    }

    /// As `with_progress`, for hosts that cannot block.
    pub async fn with_progress_async(
        engine: &Engine,
        model: impl Fn(&mut Graph, Value, Mode) -> Result<Value>,
        data: &Split,
        options: &ClassifierOptions,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<Self> {
        for (name, set) in [("training", &data.train), ("test", &data.test)] {
            if set.count == 0 {
                let message = format!("the {name} set has no images");
                return Err(Error::new(ErrorKind::Data, message));
            }
        }
        if options.batch == 0 || options.test_batch == 0 || options.accumulate == 0 {
            return Err(Error::shape(
                "classifier: a batch has at least one image, an update one batch",
            ));
        }
        data.check()?;
        let normalise = Normalise::of(&data.train);
        let test_batch = options.test_batch.min(data.test.count);

        let batches = Batches {
            count: data.train.count,
            batch: match options.drop_last {
                true => options.batch,
                false => options.batch.min(data.train.count),
            },
            shuffle: true,
            drop_last: options.drop_last,
        };
        let steps_per_epoch = batches.steps().map_err(|e| e.context("classifier"))?;
        let resident = Resident::new("train", &data.train, normalise)?;
        let (train, loss, apply) = training(&resident, &model, batches, batches.batch, options)?;
        let remainder = match batches.remainder() {
            0 => None,
            rows => {
                let last = training(&resident, &model, batches, rows, options).map_err(|e| {
                    e.context(format!(
                        "the last batch of an epoch has {rows} of {} rows, drop_last leaves it out",
                        batches.batch
                    ))
                })?;
                Some((last.0, last.1))
            }
        };

        let mut test = Graph::new();
        let clock = test.state(
            "test.clock",
            Type::u32([4]),
            Kind::Scalar,
            Init::Constant(0.0),
            None,
        )?;
        let batches = Batches {
            count: data.test.count,
            batch: test_batch,
            shuffle: false,
            drop_last: false,
        };
        let resident = Resident::new("test", &data.test, normalise)?;
        let batch = resident.batch(&mut test, clock, batches, None)?;
        let logits = model(&mut test, batch.images, Mode::Infer)?;
        batch.expect_logits(&test, logits)?;
        batch.count(&mut test, logits, None)?;
        let next = test.advance(clock)?;
        test.assign(clock, next)?;

        let graphs: Vec<&Graph> = [&train, &test].into_iter().chain(&apply).collect();
        let graphs: Vec<&Graph> = graphs
            .into_iter()
            .chain(remainder.as_ref().map(|(graph, _)| graph))
            .collect();
        let store = Store::new_async(engine, &graphs, options.seed).await?;
        let plan = PlanOptions::default();
        let swap = match options.optimizer.averages() {
            true => Some(swap_averages(apply.as_ref().unwrap_or(&train))?),
            false => None,
        };
        let mut session = async |graph: &Graph, fetched: &[Value]| {
            Session::with_progress_async(&store, graph, fetched, plan, &mut progress).await
        };
        Ok(Self {
            train: session(&train, &[loss]).await?,
            remainder: match &remainder {
                Some((graph, loss)) => Some(session(graph, &[*loss]).await?),
                None => None,
            },
            apply: match &apply {
                Some(graph) => Some(session(graph, &[]).await?),
                None => None,
            },
            swap: match &swap {
                Some(graph) => Some(session(graph, &[]).await?),
                None => None,
            },
            test: session(&test, &[]).await?,
            accumulate: options.accumulate,
            steps_per_epoch,
            full_steps: steps_per_epoch - usize::from(remainder.is_some()),
            steps_per_test: data.test.count.div_ceil(test_batch),
            done: Followed::new("clock").now(&store)?,
            pending: Followed::new("accumulated").now(&store)?,
            store,
            unread: 0,
            looked: 0,
            stopped: None,
        })
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
    /// `Unsupported` on the CPU reference, on a borrowed device, and on devices without timestamp queries.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn profile(&mut self) -> Result<Profile> {
        self.follow()?;
        self.apply_due()?;
        let profile = self.due().0.profile()?;
        self.made(1)?;
        Ok(profile)
    }

    /// Classifies the whole test set, with the moving averages of the parameters if there are any, and returns the share that was
    /// right, 0 to 1.
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

/// A step of training on `rows` rows of a batch: its graph, its loss, and if gradients are added up
/// over several batches the graph that applies them.
fn training(
    data: &Resident,
    model: impl Fn(&mut Graph, Value, Mode) -> Result<Value>,
    batches: Batches,
    rows: usize,
    options: &ClassifierOptions,
) -> Result<(Graph, Value, Option<Graph>)> {
    let mut g = Graph::new();
    let clock = g.clock()?;
    let batch = data.batch(&mut g, clock, batches, Some(rows))?;
    let logits = model(&mut g, batch.images, Mode::Train)?;
    batch.expect_logits(&g, logits)?;
    let loss = g.softmax_cross_entropy(logits, batch.labels, batch.valid)?;
    batch.count(&mut g, logits, Some(loss))?;
    let (optimizer, rates) = (&options.optimizer, options.learning_rates.clone());
    if options.accumulate == 1 {
        let rate = scheduled(&mut g, rates)?;
        optimizer.minimize(&mut g, loss, rate)?;
        return Ok((g, loss, None));
    }
    let rate = |g: &mut Graph| scheduled(g, rates);
    let applying = optimizer.accumulate(&mut g, loss, options.accumulate, rate)?;
    Ok((g, loss, Some(applying.graph)))
}
