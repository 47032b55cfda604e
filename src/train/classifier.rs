//! A classifier of images trained on a data set that lies on the device.

use crate::data::{Dataset, Split};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Engine, Progress};
use crate::graph::{Graph, Init, Kind, Value};
use crate::nn::Mode;
use crate::plan::PlanOptions;
#[cfg(not(target_arch = "wasm32"))]
use crate::session::Profile;
use crate::session::Session;
use crate::shape::Type;
use crate::store::Store;
#[cfg(not(target_arch = "wasm32"))]
use crate::store::blocking;
use crate::tensor::Tensor;

use super::{Optimizer, scheduled, swap_averages};

/// How a [`Classifier`] is trained.
#[derive(Debug, Clone)]
pub struct ClassifierOptions {
    /// Images per training step.
    pub batch: usize,
    /// Images per step of evaluation.
    pub test_batch: usize,
    /// Batches whose mean gradient makes one update, usually 1. A run is to be saved and resumed after whole updates only.
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

/// A classifier, its data on the device, and two sessions over one store: training and evaluation.
#[derive(Debug)]
pub struct Classifier {
    store: Store,
    train: Session,
    /// Applies gradients that are added up over several batches.
    apply: Option<Session>,
    /// Exchanges parameters and their moving averages.
    swap: Option<Session>,
    test: Session,
    /// Batches per update, and those since the last one.
    accumulate: usize,
    pending: usize,
    steps_per_epoch: usize,
    steps_per_test: usize,
    /// Steps since the metrics were last read.
    unread: usize,
}

/// Names of the states that count; a data set's prefix comes before them.
const COUNTS: &str = "counts";
const LOSS: &str = "loss";

impl Classifier {
    /// Builds the graphs, uploads the data and compiles both sessions.
    ///
    /// `model` makes logits `[batch, classes]` from normalised images `[batch, channels, height, width]`.
    ///
    /// # Errors
    /// `Data` if a set is empty, `Shape` from the model, and whatever compiling returns.
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
        let normalise = Normalise::of(&data.train);
        let test_batch = options.test_batch.min(data.test.count);

        let mut train = Graph::new();
        let clock = train.clock()?;
        let batch = Batch::new(
            &mut train,
            "train",
            &data.train,
            clock,
            options.batch,
            true,
            normalise,
        )?;
        let logits = model(&mut train, batch.images, Mode::Train)?;
        let loss = train.softmax_cross_entropy(logits, batch.labels, batch.valid)?;
        batch.count(&mut train, logits, Some(loss))?;
        let rates = options.learning_rates.clone();
        let apply = if options.accumulate == 1 {
            let rate = scheduled(&mut train, rates)?;
            options.optimizer.minimize(&mut train, loss, rate)?;
            None
        } else {
            let rate = |g: &mut Graph| scheduled(g, rates);
            let optimizer = &options.optimizer;
            let applying = optimizer.accumulate(&mut train, loss, options.accumulate, rate)?;
            Some(applying.graph)
        };

        let mut test = Graph::new();
        let clock = test.state(
            "test.clock",
            Type::u32([4]),
            Kind::Scalar,
            Init::Constant(0.0),
            None,
        )?;
        let batch = Batch::new(
            &mut test, "test", &data.test, clock, test_batch, false, normalise,
        )?;
        let logits = model(&mut test, batch.images, Mode::Infer)?;
        batch.count(&mut test, logits, None)?;
        let next = test.advance(clock)?;
        test.assign(clock, next)?;

        let graphs: Vec<&Graph> = [&train, &test].into_iter().chain(&apply).collect();
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
            apply: match &apply {
                Some(graph) => Some(session(graph, &[]).await?),
                None => None,
            },
            swap: match &swap {
                Some(graph) => Some(session(graph, &[]).await?),
                None => None,
            },
            accumulate: options.accumulate,
            pending: 0,
            test: session(&test, &[]).await?,
            store,
            steps_per_epoch: data.train.count.div_ceil(options.batch),
            steps_per_test: data.test.count.div_ceil(test_batch),
            unread: 0,
        })
    }

    /// Parameters, moments, clock and data.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The training session.
    pub fn session(&self) -> &Session {
        &self.train
    }

    /// Training steps that walk once over the data; the last one may be partly filled.
    pub fn steps_per_epoch(&self) -> usize {
        self.steps_per_epoch
    }

    /// Trains for `steps` steps, one batch each; on a GPU they are submitted and not waited for.
    pub fn train(&mut self, steps: usize) -> Result<()> {
        self.unread += steps;
        let Some(apply) = &mut self.apply else {
            return self.train.run(steps);
        };
        let mut left = steps;
        while left > 0 {
            let now = left.min(self.accumulate - self.pending);
            self.train.run(now)?;
            left -= now;
            self.pending += now;
            if self.pending == self.accumulate {
                apply.run(1)?;
                self.pending = 0;
            }
        }
        Ok(())
    }

    /// Trains for one step and measures each of its dispatches.
    ///
    /// # Errors
    /// `Unsupported` on the CPU reference, on a borrowed device, and on devices without timestamp queries.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn profile(&mut self) -> Result<Profile> {
        self.unread += 1;
        self.train.profile()
    }

    /// What training counted since this was last called; waits for the steps submitted so far.
    ///
    /// # Errors
    /// `Unsupported` on a borrowed device: await [`metrics_async`](Self::metrics_async) there.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn metrics(&mut self) -> Result<Metrics> {
        let store = self.store.clone();
        blocking(store.engine(), self.metrics_async())
    }

    /// As `metrics`, for hosts that cannot block.
    pub async fn metrics_async(&mut self) -> Result<Metrics> {
        let loss = self.store.get_async("train.loss").await?.item()?;
        let (correct, images) = self.take_counts("train").await?;
        self.store.set("train.loss", &Tensor::scalar(0.0))?;
        let steps = std::mem::take(&mut self.unread).max(1);
        Ok(Metrics {
            loss: f64::from(loss) / steps as f64,
            accuracy: f64::from(correct) / f64::from(images.max(1)),
            images: images as usize,
        })
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
        self.take_counts("test").await?;
        if let Some(swap) = &mut self.swap {
            swap.run(1)?;
        }
        let tested = self.test.run(self.steps_per_test);
        if let Some(swap) = &mut self.swap {
            swap.run(1)?;
        }
        tested?;
        let (correct, images) = self.take_counts("test").await?;
        Ok(f64::from(correct) / f64::from(images.max(1)))
    }

    /// Reads and clears a set's counts: right ones, all.
    async fn take_counts(&self, set: &str) -> Result<(u32, u32)> {
        let name = format!("{set}.{COUNTS}");
        let counts = self.store.get_async(&name).await?;
        self.store.set(&name, &Tensor::u32([2], vec![0; 2])?)?;
        match counts.as_u32()? {
            &[correct, images] => Ok((correct, images)),
            _ => Err(Error::shape(format!("state \"{name}\" is {}", counts.ty()))),
        }
    }
}

/// Pixels are multiplied by `scale`, then `shift` is added: mean 0 and deviation 1 over the training set.
#[derive(Debug, Clone, Copy)]
struct Normalise {
    scale: f32,
    shift: f32,
}

impl Normalise {
    fn of(set: &Dataset) -> Self {
        let count = set.images.len().max(1) as f64;
        let (mut sum, mut squares) = (0u64, 0u64);
        for &pixel in &set.images {
            sum += u64::from(pixel);
            squares += u64::from(pixel) * u64::from(pixel);
        }
        let mean = sum as f64 / count;
        let deviation = (squares as f64 / count - mean * mean).sqrt().max(1.0);
        Self {
            scale: (1.0 / deviation) as f32,
            shift: (-mean / deviation) as f32,
        }
    }
}

/// One batch of a resident set, as graph values.
struct Batch {
    set: &'static str,
    images: Value,
    labels: Value,
    valid: Value,
}

impl Batch {
    fn new(
        g: &mut Graph,
        set: &'static str,
        data: &Dataset,
        clock: Value,
        batch: usize,
        shuffle: bool,
        normalise: Normalise,
    ) -> Result<Self> {
        let shape = [data.count, data.channels, data.height, data.width];
        let images = Tensor::u8(shape, data.images.clone())?;
        let labels = data.labels.iter().map(|&l| u32::from(l)).collect();
        let labels = Tensor::u32([data.count], labels)?;
        let mut resident = |what: &str, tensor: Tensor| {
            let ty = tensor.ty().clone();
            g.state(
                &format!("{set}.{what}"),
                ty,
                Kind::Data,
                Init::Tensor(tensor.into()),
                None,
            )
        };
        let images = resident("images", images)?;
        let labels = resident("labels", labels)?;
        let (indices, valid) = g.shuffled_batch(clock, data.count, batch, shuffle)?;
        Ok(Self {
            set,
            images: g.gather_rows(images, indices, valid, normalise.scale, normalise.shift)?,
            labels: g.gather_labels(labels, indices, valid)?,
            valid,
        })
    }

    /// Adds the batch to the set's counts, and its loss to the sum of losses.
    fn count(&self, g: &mut Graph, logits: Value, loss: Option<Value>) -> Result<()> {
        let mut metric = |what: &str, ty: Type| {
            let name = format!("{}.{what}", self.set);
            g.state(&name, ty, Kind::Metric, Init::Constant(0.0), None)
        };
        let counts = metric(COUNTS, Type::u32([2]))?;
        if let Some(loss) = loss {
            let sum = metric(LOSS, Type::f32([]))?;
            let new = g.add_values(sum, loss)?;
            g.assign(sum, new)?;
        }
        let new = g.count_correct(logits, self.labels, self.valid, counts)?;
        g.assign(counts, new)
    }
}
