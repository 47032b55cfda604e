//! Batches of a data set that lies on the device, as graph values, and what is counted of them.

use std::sync::Arc;

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::graph::{Graph, Init, StateKind, Value};
use crate::ops::Batches;
use crate::shape::Type;
use crate::tensor::Tensor;

/// The state that counts images: those that are classified rightly, all. A set's prefix comes
/// before it.
pub(super) const COUNTS: &str = "counts";
/// The state that adds up the losses of steps.
pub(super) const LOSS: &str = "loss";
/// The state that counts steps: those at whose end the sum of losses was finite, all.
pub(super) const FINITE: &str = "finite";

/// Pixels are shifted and scaled to mean 0 and deviation 1 over the training set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Normalise {
    /// Of bytes from 0 to 255.
    pub mean: f64,
    pub deviation: f64,
}

impl Normalise {
    pub fn of(set: &Dataset) -> Self {
        let count = set.images.len().max(1) as f64;
        let (mut sum, mut squares) = (0u64, 0u64);
        for &pixel in &set.images {
            sum += u64::from(pixel);
            squares += u64::from(pixel) * u64::from(pixel);
        }
        let mean = sum as f64 / count;
        let deviation = (squares as f64 / count - mean * mean).sqrt().max(1.0);
        Self { mean, deviation }
    }

    /// By what pixels are multiplied, and what is added then.
    pub fn factors(self) -> [f32; 2] {
        let Self { mean, deviation } = self;
        [(1.0 / deviation) as f32, (-mean / deviation) as f32]
    }
}

/// A data set as the states of graphs, which share its bytes.
pub(super) struct Resident {
    set: &'static str,
    images: Arc<Tensor>,
    labels: Arc<Tensor>,
    classes: usize,
    normalise: Normalise,
}

impl Resident {
    pub fn new(set: &'static str, data: &Dataset, normalise: Normalise) -> Result<Self> {
        let shape = [data.count, data.channels, data.height, data.width];
        Ok(Self {
            set,
            images: Tensor::u8(shape, data.images.clone())?.into(),
            labels: Tensor::u32([data.count], data.labels.clone())?.into(),
            classes: data.classes,
            normalise,
        })
    }

    /// The batch that the step of `clock` works on: `rows` rows of it for training, all with filler
    /// where there are fewer for evaluation.
    pub fn batch(
        &self,
        g: &mut Graph,
        clock: Value,
        batches: Batches,
        rows: Option<usize>,
    ) -> Result<Batch<'_>> {
        let mut resident = |what: &str, tensor: &Arc<Tensor>| {
            let name = format!("{}.{what}", self.set);
            let (ty, init) = (tensor.ty().clone(), Init::Tensor(tensor.clone()));
            g.state(&name, ty, StateKind::Data, init, None)
        };
        let images = resident("images", &self.images)?;
        let labels = resident("labels", &self.labels)?;
        let Batches {
            count,
            batch,
            shuffle,
            ..
        } = batches;
        let (indices, valid) = match rows {
            Some(rows) => g.batch_rows(clock, batches, rows)?,
            None => g.shuffled_batch(clock, count, batch, shuffle)?,
        };
        let [scale, shift] = self.normalise.factors();
        Ok(Batch {
            set: self,
            rows: rows.unwrap_or(batch),
            images: g.gather_rows(images, indices, valid, scale, shift)?,
            labels: g.gather_labels(labels, indices, valid)?,
            valid,
        })
    }
}

/// One batch of a resident set, as graph values.
pub(super) struct Batch<'a> {
    set: &'a Resident,
    rows: usize,
    pub images: Value,
    pub labels: Value,
    pub valid: Value,
}

impl Batch<'_> {
    /// Checks that a model's outputs are logits of the set's classes.
    ///
    /// # Errors
    /// `Shape` with both.
    pub fn expect_logits(&self, g: &Graph, logits: Value) -> Result<()> {
        let (found, wanted) = (g.ty(logits)?, Type::f32([self.rows, self.set.classes]));
        if found == &wanted {
            return Ok(());
        }
        Err(Error::shape(format!(
            "classifier: the model makes {found} of {} images, {wanted} is needed for {} classes",
            self.rows, self.set.classes
        )))
    }

    /// Adds the batch to the set's counts, and its loss to the sum of losses.
    pub fn count(&self, g: &mut Graph, logits: Value, loss: Option<Value>) -> Result<()> {
        let set = self.set.set;
        let metric = |g: &mut Graph, what: &str, ty: Type| {
            let name = format!("{set}.{what}");
            g.state(&name, ty, StateKind::Metric, Init::Constant(0.0), None)
        };
        let counts = metric(g, COUNTS, Type::u32([2]))?;
        if let Some(loss) = loss {
            let sum = metric(g, LOSS, Type::f32([]))?;
            let new = g.add(sum, loss)?;
            g.assign(sum, new)?;
            // The largest number of f32 is the largest of its row, and so classified rightly, until
            // the sum of losses is infinite or NaN.
            let most = g.constant(Tensor::f32([1], vec![f32::MAX])?)?;
            let last = g.reshape(new, [1])?;
            let row = g.concat(&[most, last], 0)?;
            let row = g.reshape(row, [1, 2])?;
            let label = g.constant(Tensor::u32([1], vec![0])?)?;
            let one = g.constant(Tensor::u32([1], vec![1])?)?;
            let finite = metric(g, FINITE, Type::u32([2]))?;
            let counted = g.count_correct(row, label, one, finite)?;
            g.assign(finite, counted)?;
        }
        let new = g.count_correct(logits, self.labels, self.valid, counts)?;
        g.assign(counts, new)
    }
}
