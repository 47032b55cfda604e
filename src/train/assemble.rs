//! The graphs that a network is trained and evaluated by, and the sessions over them.

use crate::error::{Error, Result};
use crate::gpu::Progress;
use crate::graph::{Graph, Init, StateKind, Value};
use crate::nn::{Build, Module};
use crate::ops::Batches;
use crate::session::Session;
use crate::shape::Type;
use crate::store::Store;
use crate::tensor::Tensor;

#[cfg(not(target_arch = "wasm32"))]
use super::batch::HostBatch;
use super::batch::{About, Batch, LOSS, Resident, StreamedBatch};
use super::changes::Changes;
use super::followed::Followed;
use super::optimizer::Optimizer;
use super::steps::Steps;
use super::streaming::{Streamed, Streaming};
use super::task::{Losses, Objective, Task};
use super::{scheduled, swap_averages};
use crate::data::Dataset;

/// A factor on the learning rate that the host sets.
pub(super) const FACTOR: &str = "learning_rate_factor";

/// What is trained, on what and how.
pub(super) struct Job<'a> {
    pub model: &'a dyn Module,
    pub task: &'a dyn Task,
    pub about: &'a About,
    pub frozen: &'a [String],
    pub optimizer: &'a Optimizer,
    /// Images per step, and whether a last batch that is not full is left out.
    pub batch: usize,
    pub drop_last: bool,
    /// Batches per update.
    pub accumulate: usize,
    /// Whether the host sets a factor on the learning rate, the state [`FACTOR`].
    pub factor: bool,
    /// Keys the order of the images.
    pub seed: u64,
    /// What is done to training images.
    pub changes: Changes<'a>,
    /// Where training images come from if they do not lie on the device.
    pub stream: Option<&'a Streamed>,
}

/// Where the batches of training come from.
enum Feed<'a> {
    Resident(Resident),
    /// The host writes images such as those of the set.
    Streamed(&'a Dataset),
}

/// A step of training on batches of so many rows.
struct StepGraph {
    graph: Graph,
    loss: Value,
    streamed: Option<StreamedBatch>,
}

/// The graphs of training.
pub(super) struct Training<'a> {
    train: StepGraph,
    /// Of the last batch of an epoch, where it is not full.
    remainder: Option<StepGraph>,
    /// Of the update, where gradients are added up over several batches.
    pub apply: Option<Graph>,
    steps_per_epoch: usize,
    batches: Batches,
    accumulate: usize,
    averages: bool,
    seed: u64,
    stream: Option<&'a Streamed>,
}

impl<'a> Training<'a> {
    /// # Errors
    /// `Shape` for no images in a batch, no batch in an epoch, and from the model.
    pub fn new(job: &Job<'a>, set: &Dataset) -> Result<Self> {
        let count = match job.stream {
            Some(stream) => stream.count_like(set)?,
            None => set.count,
        };
        let batches = Batches {
            count,
            batch: match job.drop_last {
                true => job.batch,
                false => job.batch.min(count),
            },
            shuffle: true,
            drop_last: job.drop_last,
        };
        let steps_per_epoch = batches.steps().map_err(|e| e.context("training"))?;
        let feed = match job.stream {
            Some(_) => Feed::Streamed(set),
            None => Feed::Resident(Resident::new("train", set)?),
        };
        let (train, apply) = job.step(&feed, batches, batches.batch)?;
        let remainder = match batches.remainder() {
            0 => None,
            rows => {
                let (rows, _) = job.step(&feed, batches, rows).map_err(|e| {
                    e.context(format!(
                        "the last batch of an epoch has {rows} of {} rows, drop_last leaves it out",
                        batches.batch
                    ))
                })?;
                Some(rows)
            }
        };
        Ok(Self {
            train,
            remainder,
            apply,
            steps_per_epoch,
            batches,
            accumulate: job.accumulate,
            averages: job.optimizer.averages(),
            seed: job.seed,
            stream: job.stream,
        })
    }

    /// All of them, which a store is made from.
    pub fn graphs(&self) -> impl Iterator<Item = &Graph> {
        let remainder = self.remainder.iter().map(|rows| &rows.graph);
        [&self.train.graph]
            .into_iter()
            .chain(&self.apply)
            .chain(remainder)
    }

    /// Compiles them.
    pub async fn compile(
        &self,
        store: &Store,
        progress: &mut impl FnMut(Progress<'_>),
    ) -> Result<Steps> {
        let swap = match self.averages {
            true => Some(swap_averages(
                self.apply.as_ref().unwrap_or(&self.train.graph),
            )?),
            false => None,
        };
        let StepGraph { graph, loss, .. } = &self.train;
        let train = compile(store, graph, &[*loss], progress).await?;
        let remainder = match &self.remainder {
            Some(StepGraph { graph, loss, .. }) => {
                Some(compile(store, graph, &[*loss], progress).await?)
            }
            None => None,
        };
        let streaming = match (self.stream, self.train.streamed) {
            (Some(stream), Some(batch)) => {
                let last = self.remainder.as_ref().and_then(|rows| rows.streamed);
                Some(Streaming::new(
                    stream,
                    self.batches,
                    self.seed,
                    [batch, last.unwrap_or(batch)],
                )?)
            }
            _ => None,
        };
        let apply = match &self.apply {
            Some(graph) => Some(compile(store, graph, &[], progress).await?),
            None => None,
        };
        let swap = match &swap {
            Some(graph) => Some(compile(store, graph, &[], progress).await?),
            None => None,
        };
        Ok(Steps {
            full_steps: self.steps_per_epoch - usize::from(remainder.is_some()),
            train,
            remainder,
            apply,
            swap,
            #[cfg(not(target_arch = "wasm32"))]
            batches: self.batches,
            accumulate: self.accumulate,
            steps_per_epoch: self.steps_per_epoch,
            done: Followed::new("clock").now(store)?,
            pending: Followed::new("accumulated").now(store)?,
            store: store.clone(),
            streaming,
            unread: 0,
            looked: 0,
            stopped: None,
        })
    }
}

/// A session, with what it builds told to `progress`.
pub(super) async fn compile(
    store: &Store,
    graph: &Graph,
    fetched: &[Value],
    progress: &mut impl FnMut(Progress<'_>),
) -> Result<Session> {
    let builder = Session::builder(store, graph).fetch(fetched);
    builder.progress(progress).build_async().await
}

impl Job<'_> {
    /// A step of training on `rows` rows of a batch: its graph, its loss, and if gradients are
    /// added up over several batches the graph that applies them.
    fn step(
        &self,
        feed: &Feed<'_>,
        batches: Batches,
        rows: usize,
    ) -> Result<(StepGraph, Option<Graph>)> {
        let mut g = Graph::new();
        let clock = g.clock()?;
        let (streamed, batch) = match feed {
            Feed::Resident(set) => {
                let rows = Some(rows);
                let batch = set.batch(&mut g, self.about, clock, batches, rows, self.changes)?;
                (None, batch)
            }
            Feed::Streamed(set) => {
                let changes = Some((clock, batches, self.changes));
                let (given, batch) =
                    StreamedBatch::batch(&mut g, "train", set, rows, self.about, changes)?;
                (Some(given), batch)
            }
        };
        let loss = self.training_loss(&mut g, &batch)?;
        let rate = |g: &mut Graph| {
            // A constant rate is a table too, of one entry.
            let rate = scheduled(g, self.optimizer.rates()?)?;
            if !self.factor {
                return Ok(rate);
            }
            let one = Init::Constant(1.0);
            let factor = g.state(FACTOR, Type::f32([]), StateKind::Scalar, one, None)?;
            g.mul(rate, factor)
        };
        if self.accumulate == 1 {
            let rate = rate(&mut g)?;
            self.optimizer.minimize_at(&mut g, loss, rate)?;
            let graph = g;
            return Ok((
                StepGraph {
                    graph,
                    loss,
                    streamed,
                },
                None,
            ));
        }
        let applying = (self.optimizer).accumulate_at(&mut g, loss, self.accumulate, rate)?;
        let graph = g;
        Ok((
            StepGraph {
                graph,
                loss,
                streamed,
            },
            Some(applying.graph),
        ))
    }

    /// The loss of a batch of training, counted.
    fn training_loss(&self, g: &mut Graph, batch: &Batch) -> Result<Value> {
        let mut cx = Build::train(g);
        for pattern in self.frozen {
            cx = cx.freeze(pattern);
        }
        let outputs = self.model.build(&mut cx, batch.images)?;
        cx.expect_frozen()?;
        let heads = cx.outputs().to_vec();
        let mut objective = Objective::new(g, self.about, batch, outputs, &heads, true);
        self.task.measure(&mut objective)?;
        let Losses { total, each } = objective.finish()?;
        let Some(loss) = total else {
            return Err(Error::graph("task: there is no loss to make smaller"));
        };
        for (name, value) in each {
            let sum = batch.metric(g, &format!("{LOSS}.{name}"), Type::f32([]))?;
            let new = g.add(sum, value)?;
            g.assign(sum, new)?;
        }
        batch.count_loss(g, loss)?;
        Ok(loss)
    }

    /// A step of evaluation of a whole set that lies on the device, `batch` images at a time.
    pub fn evaluation(&self, name: &'static str, set: &Dataset, batch: usize) -> Result<Graph> {
        let mut g = Graph::new();
        let clock = format!("{name}.clock");
        let (ty, zero) = (Type::u32([4]), Init::Constant(0.0));
        let clock = g.state(&clock, ty, StateKind::Scalar, zero, None)?;
        let batches = Batches {
            count: set.count,
            batch,
            shuffle: false,
            drop_last: false,
        };
        let resident = Resident::new(name, set)?;
        let batch = resident.batch(&mut g, self.about, clock, batches, None, Changes::default())?;
        self.evaluated(&mut g, &batch)?;
        let next = g.advance(clock)?;
        g.assign(clock, next)?;
        Ok(g)
    }

    #[cfg(not(target_arch = "wasm32"))]
    /// A step of evaluation of images that the host writes, and what the network makes of them.
    pub fn host(&self, name: &'static str, set: &Dataset, rows: usize) -> Result<HostGraph> {
        let mut graph = Graph::new();
        let (given, batch) = HostBatch::batch(&mut graph, name, set, rows, self.about)?;
        let outputs = self.evaluated(&mut graph, &batch)?;
        Ok(HostGraph {
            graph,
            given,
            outputs,
            rows,
        })
    }

    /// What the network makes of a batch, whose losses and counts are taken.
    fn evaluated(&self, g: &mut Graph, batch: &Batch) -> Result<Value> {
        let outputs = self.model.build(&mut Build::eval(g), batch.images)?;
        let mut objective = Objective::new(g, self.about, batch, outputs, &[], false);
        self.task.measure(&mut objective)?;
        let valid = objective.valid_count()?;
        let Losses { total, each } = objective.finish()?;
        let each = each.into_iter();
        let each = each.map(|(name, value)| (format!("{LOSS}.{name}"), value));
        let total = total.map(|loss| (LOSS.to_owned(), loss));
        for (name, value) in total.into_iter().chain(each) {
            let sum = batch.metric(g, &name, Type::f32([]))?;
            let own = g.mul(value, valid)?;
            // A mean of no rows may be NaN.
            let zero = g.constant(Tensor::scalar(0.0))?;
            let any = g.gt(valid, zero)?;
            let own = g.select(any, own, zero)?;
            let new = g.add(sum, own)?;
            g.assign(sum, new)?;
        }
        Ok(outputs)
    }
}

#[cfg(not(target_arch = "wasm32"))]
/// A step of evaluation of images that the host writes.
#[derive(Debug)]
pub(super) struct HostGraph {
    pub graph: Graph,
    pub given: HostBatch,
    pub outputs: Value,
    pub rows: usize,
}
