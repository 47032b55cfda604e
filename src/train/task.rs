//! What a network is trained for: its losses, and what is counted of its answers.

mod classification;
mod regression;
mod segmentation;

pub use classification::Classification;
pub use regression::Regression;
pub use segmentation::Segmentation;

use std::fmt::Debug;

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::graph::{Graph, Init, StateKind, Value};
use crate::nn::Output;
use crate::shape::{DType, Type};
use crate::tensor::Tensor;

use super::batch::{About, Batch};
use super::confusion::Confusion;
use super::observer::Scalar;

/// What a network is trained for: [`Classification`](super::Classification),
/// [`Segmentation`](super::Segmentation), [`Regression`](super::Regression), or a program's own.
///
/// It says what a batch is worth, as graph values: losses, and counters that stay on the device
/// until an epoch or a set is done.
///
/// ```
/// use striate::data::Dataset;
/// use striate::error::Result;
/// use striate::ops::Reduction;
/// use striate::train::{Counted, Objective, Scalar, Task};
///
/// /// The mean absolute error.
/// #[derive(Debug)]
/// struct Absolute;
///
/// impl Task for Absolute {
///     fn expect(&self, set: &Dataset) -> Result<()> {
///         set.expect_values().map(|_| ())
///     }
///
///     fn measure(&self, cx: &mut Objective<'_>) -> Result<()> {
///         let (outputs, targets) = (cx.masked(cx.outputs())?, cx.targets());
///         let sum = cx.graph().l1_loss(outputs, targets, Reduction::Sum)?;
///         let mean = cx.mean(sum)?;
///         cx.loss("absolute", mean, 1.0)
///     }
///
///     fn metrics(&self, _: &Counted) -> Result<Vec<Scalar>> {
///         Ok(Vec::new())
///     }
/// }
/// ```
pub trait Task: Debug {
    /// Checks that a set has the targets that this needs.
    ///
    /// # Errors
    /// `Data`, with what it has instead.
    fn expect(&self, set: &Dataset) -> Result<()>;

    /// Adds the losses of a batch to its graph, and what is counted of it. This is called once for
    /// each graph of training, and once for each of evaluation.
    ///
    /// # Errors
    /// `Shape` if the network makes outputs of another shape than the task takes.
    fn measure(&self, cx: &mut Objective<'_>) -> Result<()>;

    /// Gives numbers their names, out of what was counted. `loss` is there without it.
    ///
    /// # Errors
    /// `Graph` for a counter that is not there.
    fn metrics(&self, counted: &Counted) -> Result<Vec<Scalar>>;

    /// The confusion matrix, if one was counted.
    ///
    /// # Errors
    /// As [`metrics`](Self::metrics).
    fn confusion(&self, counted: &Counted) -> Result<Option<Confusion>> {
        let _ = counted;
        Ok(None)
    }

    /// The number by which epochs are compared unless the program says otherwise, and whether the
    /// better one is higher.
    fn monitor(&self) -> (&'static str, Better) {
        ("loss", Better::Lower)
    }

    /// What it is, for people: observers are told of it. Without it, it is told as `{:?}`; that
    /// text decides in any case on whether a run may be gone on with.
    fn describe(&self) -> String {
        format!("{self:?}")
    }
}

/// Which of two numbers is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Better {
    /// The lower one, as of losses.
    Lower,
    /// The higher one, as of accuracies.
    Higher,
}

impl Better {
    /// Whether `new` is better than `old` by more than `least`; NaN is better than nothing.
    pub fn is(self, new: f64, old: f64, least: f64) -> bool {
        match self {
            Better::Lower => new < old - least,
            Better::Higher => new > old + least,
        }
    }
}

/// One batch that a [`Task`] measures: the graph, the network's outputs, and what they should be.
#[derive(Debug)]
pub struct Objective<'g> {
    graph: &'g mut Graph,
    about: &'g About,
    batch: &'g Batch,
    outputs: Value,
    heads: &'g [Output],
    training: bool,
    losses: Vec<(String, Value, f32)>,
}

impl<'g> Objective<'g> {
    pub(super) fn new(
        graph: &'g mut Graph,
        about: &'g About,
        batch: &'g Batch,
        outputs: Value,
        heads: &'g [Output],
        training: bool,
    ) -> Self {
        Self {
            graph,
            about,
            batch,
            outputs,
            heads,
            training,
            losses: Vec::new(),
        }
    }

    /// The graph.
    pub fn graph(&mut self) -> &mut Graph {
        self.graph
    }

    /// What the network makes of the batch's images.
    pub fn outputs(&self) -> Value {
        self.outputs
    }

    /// Further outputs of the network, by name: auxiliary classifiers in training.
    pub fn heads(&self) -> &'g [Output] {
        self.heads
    }

    /// What is known of the images: labels u32 `[rows]`, masks u32 `[rows, height, width]`, or
    /// values f32 `[rows, ...]`; 0 where a row is filler.
    pub fn targets(&self) -> Value {
        self.batch.targets
    }

    /// Labels as rows of shares f32 `[rows, classes]`, where training mixes images: what a loss
    /// compares with then. [`targets`](Self::targets) are those of the first image of each mixture.
    pub fn shares(&self) -> Option<Value> {
        self.batch.shares
    }

    /// The images as the network gets them, f32 `[rows, channels, height, width]`.
    pub fn images(&self) -> Value {
        self.batch.images
    }

    /// How many rows count, u32 `[1]`; those beyond are filler, which only evaluation has.
    pub fn valid(&self) -> Value {
        self.batch.valid
    }

    /// Rows of the batch.
    pub fn rows(&self) -> usize {
        self.batch.rows
    }

    /// Number of classes of the set; 0 of values.
    pub fn classes(&self) -> usize {
        self.about.classes
    }

    /// How many images of the training set are of each class, or pixels of its masks.
    pub fn class_counts(&self) -> &'g [u64] {
        &self.about.class_counts
    }

    /// Whether [`class_counts`](Self::class_counts) are of a sample of the images alone, which are
    /// streamed.
    pub fn sampled(&self) -> bool {
        self.about.sampled
    }

    /// `loss`, or 0 where all labels of the batch are among `without`: a mean over no labels is
    /// NaN.
    ///
    /// # Errors
    /// Those of the graph.
    pub fn zero_without_labels(&mut self, loss: Value, without: &[u32]) -> Result<Value> {
        if without.is_empty() {
            return Ok(loss);
        }
        let labels = self.targets();
        let ty = self.graph.ty(labels)?.clone();
        let one = vec![1; ty.shape.len()];
        let mut left_out = None;
        for &label in without {
            let label = self.graph.constant(Tensor::u32([1], vec![label])?)?;
            let own = self.graph.eq(labels, label)?;
            let own = self.graph.cast(own, DType::F32)?;
            left_out = Some(match left_out {
                None => own,
                Some(all) => self.graph.add(all, own)?,
            });
        }
        let Some(mut left_out) = left_out else {
            return Ok(loss);
        };
        if !self.training {
            let (mask, mut shape) = (self.row_mask()?, one);
            shape[0] = self.batch.rows;
            let mask = self.graph.reshape(mask, shape)?;
            let zero = self.graph.constant(Tensor::u32([1], vec![0])?)?;
            let filler = self.graph.eq(mask, zero)?;
            let filler = self.graph.cast(filler, DType::F32)?;
            left_out = self.graph.add(left_out, filler)?;
        }
        // The least is 0 as soon as one label counts.
        let axes: Vec<usize> = (0..ty.shape.len()).collect();
        let least = self.graph.amin(left_out, &axes, false)?;
        let zero = self.graph.constant(Tensor::scalar(0.0))?;
        let none = self.graph.gt(least, zero)?;
        self.graph.select(none, zero, loss)
    }

    /// Whether this is training; else it is evaluation.
    pub fn training(&self) -> bool {
        self.training
    }

    /// How many rows count, f32 `[]`.
    ///
    /// # Errors
    /// Those of the graph.
    pub fn valid_count(&mut self) -> Result<Value> {
        let count = self.graph.cast(self.batch.valid, DType::F32)?;
        let count = self.graph.reshape(count, [])?;
        // More than there are count as all.
        let rows = self
            .graph
            .constant(Tensor::scalar(self.batch.rows as f32))?;
        self.graph.minimum(count, rows)
    }

    /// u32 `[rows]`: 1 for each row that counts, 0 for filler.
    ///
    /// # Errors
    /// Those of the graph.
    pub fn row_mask(&mut self) -> Result<Value> {
        let rows = self.batch.rows;
        let numbers = Tensor::u32([rows], (0..rows as u32).collect())?;
        let numbers = self.graph.constant(numbers)?;
        self.graph.lt(numbers, self.batch.valid)
    }

    /// `x` f32 `[rows, ...]` with 0 in rows that are filler. In training, which has no filler, it
    /// is `x`.
    ///
    /// # Errors
    /// Those of the graph.
    pub fn masked(&mut self, x: Value) -> Result<Value> {
        if self.training {
            return Ok(x);
        }
        let mask = self.row_mask()?;
        let mut shape = vec![1; self.graph.shape(x)?.len()];
        if let Some(first) = shape.first_mut() {
            *first = self.batch.rows;
        }
        let mask = self.graph.reshape(mask, shape)?;
        let zero = self.graph.constant(Tensor::scalar(0.0))?;
        self.graph.select(mask, x, zero)
    }

    /// `sum` f32 `[]` divided by the number of rows that count.
    ///
    /// # Errors
    /// Those of the graph.
    pub fn mean(&mut self, sum: Value) -> Result<Value> {
        if self.training {
            return self.graph.scale(sum, 1.0 / self.batch.rows as f64);
        }
        let count = self.valid_count()?;
        let one = self.graph.constant(Tensor::scalar(1.0))?;
        let count = self.graph.maximum(count, one)?;
        self.graph.div(sum, count)
    }

    /// Adds a loss: a scalar f32 `[]`, a mean over the rows that count. Training makes the sum of
    /// all losses times their weights smaller. That sum is told as `loss`; where there are several,
    /// each of them as `loss.NAME` too, without its weight.
    ///
    /// # Errors
    /// `Shape` if it is no f32 scalar.
    pub fn loss(&mut self, name: &str, value: Value, weight: f32) -> Result<()> {
        let ty = self.graph.ty(value)?;
        if ty != &Type::f32([]) {
            return Err(Error::shape(format!(
                "task: the loss \"{name}\" is {ty}, a scalar f32 [] is needed"
            )));
        }
        self.losses.push((name.to_owned(), value, weight));
        Ok(())
    }

    /// Counts on the device: the state `name` of type `ty`, at first zeros, becomes what `next`
    /// makes of it in each step. [`Counted::tensor`] reads it.
    ///
    /// # Errors
    /// `Graph` if there is such a counter already; those of `next`.
    pub fn count(
        &mut self,
        name: &str,
        ty: Type,
        next: impl FnOnce(&mut Graph, Value) -> Result<Value>,
    ) -> Result<()> {
        let state = self.batch.metric(self.graph, name, ty)?;
        let new = next(self.graph, state)?;
        self.graph.assign(state, new)
    }

    /// Adds `value` f32 `[]` to the counter `name`.
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub fn sum(&mut self, name: &str, value: Value) -> Result<()> {
        self.count(name, Type::f32([]), |g, old| g.add(old, value))
    }

    /// The losses of the batch.
    pub(super) fn finish(self) -> Result<Losses> {
        let mut total = None;
        for &(_, value, weight) in self.losses.iter().filter(|loss| loss.2 != 0.0) {
            let own = match weight == 1.0 {
                true => value,
                false => self.graph.scale(value, weight)?,
            };
            total = Some(match total {
                None => own,
                Some(sum) => self.graph.add(sum, own)?,
            });
        }
        let several = self.losses.len() > 1;
        let losses = self.losses.into_iter().filter(|_| several);
        Ok(Losses {
            total,
            each: losses.map(|(name, value, _)| (name, value)).collect(),
        })
    }
}

/// The losses of a batch.
#[derive(Debug)]
pub(super) struct Losses {
    /// Their sum by their weights, if there is one.
    pub total: Option<Value>,
    /// Each of them by its name, if there are several.
    pub each: Vec<(String, Value)>,
}

/// What was counted of an epoch, or of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    pub(super) counters: Vec<(String, Tensor)>,
    pub(super) images: usize,
    pub(super) classes: usize,
    pub(super) class_names: Vec<String>,
}

impl Counted {
    /// A counter.
    ///
    /// # Errors
    /// `Graph` if there is none of this name.
    pub fn tensor(&self, name: &str) -> Result<&Tensor> {
        match self.find(name) {
            Some(tensor) => Ok(tensor),
            None => Err(Error::graph(format!(
                "task: there is no counter \"{name}\""
            ))),
        }
    }

    /// A counter, if it is there: one of evaluation is not there in training.
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        let found = self.counters.iter().find(|(own, _)| own == name);
        found.map(|(_, tensor)| tensor)
    }

    /// A counter that is one number, divided by the number of images.
    ///
    /// # Errors
    /// `Graph` if there is none of this name, `Shape` if it is no f32 scalar.
    pub fn mean(&self, name: &str) -> Result<f64> {
        let sum = self.tensor(name)?.item()?;
        Ok(f64::from(sum) / self.images.max(1) as f64)
    }

    /// Images that were seen.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Classes of the set.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Their names, if they are known.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }
}

impl Scalar {
    /// A number with its name.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            value,
        }
    }
}

// The kind of state in which things are counted.
impl Batch {
    /// The counter `name` of the batch's set.
    pub(super) fn metric(&self, g: &mut Graph, name: &str, ty: Type) -> Result<Value> {
        let name = format!("{}.{name}", self.set);
        g.state(&name, ty, StateKind::Metric, Init::Constant(0.0), None)
    }
}
