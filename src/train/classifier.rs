//! A classifier of images trained on a data set that lies on the device.

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
use crate::shape::{DType, Type};
use crate::store::Store;
#[cfg(not(target_arch = "wasm32"))]
use crate::store::{blocking, expect_own};
use crate::tensor::Tensor;

use super::batch::{COUNTS, FINITE, LOSS, Normalise, Resident};
use super::followed::Followed;
use super::{Optimizer, scheduled, swap_averages};

/// Steps after which training looks whether losses are finite, where it may wait for the device.
#[cfg(not(target_arch = "wasm32"))]
const LOOK: usize = 256;

/// How a [`Classifier`] is trained.
#[derive(Debug, Clone)]
pub struct ClassifierOptions {
    /// Images per training step; where they are more than there are, all of them.
    pub batch: usize,
    /// Images per step of evaluation.
    pub test_batch: usize,
    /// Leaves out the last batch of an epoch where it would have fewer images than the others
    /// (PyTorch's
    /// `drop_last`).
    pub drop_last: bool,
    /// Batches whose mean gradient makes one update, usually 1. All of them count alike, also one
    /// with
    /// fewer images.
    pub accumulate: usize,
    /// The optimizer; if it keeps moving averages, they are what is tested.
    pub optimizer: Optimizer,
    /// Learning rate of each update; after the last entry it stays there.
    pub learning_rates: Vec<f32>,
    /// Keys initial parameters, shuffling and dropout.
    pub seed: u64,
}

/// What training counted since it was last asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metrics {
    /// Mean loss per step.
    pub loss: f64,
    /// Share of images that were classified correctly, 0 to 1.
    pub accuracy: f64,
    /// Images seen.
    pub images: usize,
}

/// A classifier, its data on the device, and sessions over one store: training and evaluation.
///
/// Training makes no filler: where the batch size does not divide the training set, the last batch
/// of
/// an epoch is a session of its own, or is left out ([`ClassifierOptions::drop_last`]).
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
    /// in
    /// it; `Shape` if the model makes something else than logits of these classes, and from the
    /// model:
    /// as in PyTorch, batch normalisation refuses a last batch that has one value per channel.
    /// Whatever
    /// compiling returns.
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
    /// that
    /// was loaded into the store counts.
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

    /// Clears what training has counted.
    fn forget(&mut self) -> Result<()> {
        (self.unread, self.looked) = (0, 0);
        self.store
            .set(&format!("train.{LOSS}"), &Tensor::scalar(0.0))?;
        for counts in [COUNTS, FINITE] {
            let zeros = Tensor::u32([2], vec![0; 2])?;
            self.store.set(&format!("train.{counts}"), &zeros)?;
        }
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

    /// Looks at the losses of the steps so far if there are many at which nobody has looked;
    /// returns how many steps may be made before the next look.
    fn look_if_due(&mut self) -> Result<usize> {
        #[cfg(not(target_arch = "wasm32"))]
        if expect_own(self.store.engine()).is_ok() {
            let unlooked = self.unread - self.looked;
            if unlooked < LOOK {
                return Ok(LOOK - unlooked);
            }
            self.looked = self.unread;
            let store = self.store.clone();
            let counts = store.get(&format!("train.{FINITE}"))?;
            if let &[finite, counted] = counts.as_u32()?
                && finite < counted
            {
                let sum = store.get(&format!("train.{LOSS}"))?.item()?;
                let steps = self.take_unread();
                return Err(blocking(store.engine(), self.not_finite(sum, steps))?);
            }
            return Ok(LOOK);
        }
        Ok(usize::MAX)
    }

    fn take_unread(&mut self) -> usize {
        self.looked = 0;
        std::mem::take(&mut self.unread)
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

    /// What training counted since this was last called, or since the clock was set, as by loading
    /// a checkpoint; waits for the steps submitted so far.
    ///
    /// # Errors
    /// `NotFinite` if the loss of one of these steps is NaN or infinite, with its epoch and step,
    /// both
    /// counted from 1. Training has stopped then: the parameters are worth nothing.
    /// `Unsupported` on a borrowed device: await [`metrics_async`](Self::metrics_async) there.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn metrics(&mut self) -> Result<Metrics> {
        let store = self.store.clone();
        blocking(store.engine(), self.metrics_async())
    }

    /// As `metrics`, for hosts that cannot block.
    pub async fn metrics_async(&mut self) -> Result<Metrics> {
        self.follow()?;
        let loss = self.store.get_async("train.loss").await?.item()?;
        let steps = self.take_unread();
        if !loss.is_finite() {
            return Err(self.not_finite(loss, steps).await?);
        }
        let (correct, images) = self.take_counts(&format!("train.{COUNTS}")).await?;
        self.store.set("train.loss", &Tensor::scalar(0.0))?;
        self.take_counts(&format!("train.{FINITE}")).await?;
        Ok(Metrics {
            loss: f64::from(loss) / steps.max(1) as f64,
            accuracy: f64::from(correct) / f64::from(images.max(1)),
            images: images as usize,
        })
    }

    /// Stops training after the last `steps` steps, whose losses do not add up to a finite number.
    async fn not_finite(&mut self, sum: f32, steps: usize) -> Result<Error> {
        let (finite, counted) = self.take_counts(&format!("train.{FINITE}")).await?;
        self.take_counts(&format!("train.{COUNTS}")).await?;
        self.store.set("train.loss", &Tensor::scalar(0.0))?;
        let first = (self.done.step).wrapping_sub(steps.max(counted as usize) as u32);
        let step = first.wrapping_add(finite) as usize;
        let what = if sum.is_nan() { "NaN" } else { "infinite" };
        let message = format!(
            "training: the loss became {what} in epoch {}, step {} of {}",
            step / self.steps_per_epoch + 1,
            step % self.steps_per_epoch + 1,
            self.steps_per_epoch
        );
        self.stopped = Some(message.clone());
        Ok(Error::new(ErrorKind::NotFinite, message))
    }

    /// Checks that what is to be saved is worth it: reads the metrics of the steps since they were
    /// last read, which are lost, and all parameters, running statistics, moments and averages.
    ///
    /// # Errors
    /// `NotFinite` as [`metrics`](Self::metrics), or with the first state that holds NaN or an
    /// infinity.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn expect_finite(&mut self) -> Result<()> {
        let store = self.store.clone();
        blocking(store.engine(), self.expect_finite_async())
    }

    /// As `expect_finite`, for hosts that cannot block.
    pub async fn expect_finite_async(&mut self) -> Result<()> {
        self.metrics_async().await?;
        let kept = |name: &&str| {
            let kind = self.store.layout().entries[*name].kind;
            matches!(
                kind,
                Kind::Parameter | Kind::Statistic | Kind::Moment(_) | Kind::Average
            )
        };
        for name in self.store.names().filter(kept) {
            if let Some(value) = not_finite(&self.store.get_async(name).await?)? {
                let (epoch, step) = self.position()?;
                let message = format!(
                    "training: \"{name}\" holds {value} after {epoch} epochs and {step} steps"
                );
                return Err(Error::new(ErrorKind::NotFinite, message));
            }
        }
        Ok(())
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

    /// Reads and clears a state of counts: right ones, all.
    async fn take_counts(&self, name: &str) -> Result<(u32, u32)> {
        let counts = self.store.get_async(name).await?;
        self.store.set(name, &Tensor::u32([2], vec![0; 2])?)?;
        match counts.as_u32()? {
            &[correct, images] => Ok((correct, images)),
            _ => Err(Error::shape(format!("state \"{name}\" is {}", counts.ty()))),
        }
    }
}

/// The first NaN or infinity of a tensor, which integers have none of.
fn not_finite(tensor: &Tensor) -> Result<Option<f32>> {
    const EXPONENT: u16 = 0x7c00;
    const MANTISSA: u16 = 0x03ff;
    Ok(match tensor.ty().dtype {
        DType::F32 => tensor.as_f32()?.iter().copied().find(|x| !x.is_finite()),
        DType::F16 => {
            let halves = tensor.bytes().chunks_exact(2);
            let mut halves = halves.map(|half| u16::from_le_bytes([half[0], half[1]]));
            let found = halves.find(|half| half & EXPONENT == EXPONENT);
            found.map(|half| match (half & MANTISSA, half >> 15) {
                (0, 0) => f32::INFINITY,
                (0, _) => f32::NEG_INFINITY,
                _ => f32::NAN,
            })
        }
        DType::U32 | DType::U8 => None,
    })
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
