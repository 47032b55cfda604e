//! Batches of a data set as graph values, and what is counted of them.

use std::sync::Arc;

use crate::data::{Dataset, Keyed};
use crate::error::Result;
use crate::graph::{Graph, Init, StateKind, Value};
use crate::ops::Batches;
use crate::shape::{DType, Type};
use crate::tensor::Tensor;

use super::changes::{Changed, Changes};
use super::normalise::Normalise;

/// The state that adds up losses: of steps in training, of images in evaluation. A set's prefix
/// comes before it.
pub(super) const LOSS: &str = "loss";
/// The state that counts steps: those at whose end the sum of losses was finite, all.
pub(super) const FINITE: &str = "finite";

/// What is known of a training set.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub normalise: Normalise,
    /// Channels, height and width.
    #[cfg(not(target_arch = "wasm32"))]
    pub image: [usize; 3],
    pub classes: usize,
    #[cfg(not(target_arch = "wasm32"))]
    pub class_names: Vec<String>,
    /// Images of each class, or pixels of masks.
    pub class_counts: Vec<u64>,
    /// Whether these are of a sample of the training images alone.
    pub sampled: bool,
}

impl About {
    /// # Errors
    /// `Data` if the set has other channels than the means and deviations that are given.
    pub fn new(set: &Dataset, given: Option<Normalise>) -> Result<Self> {
        let normalise = given.unwrap_or_else(|| Normalise::measured(set));
        normalise.expect_channels(set.channels)?;
        Ok(Self {
            normalise,
            #[cfg(not(target_arch = "wasm32"))]
            image: [set.channels, set.height, set.width],
            classes: set.classes,
            #[cfg(not(target_arch = "wasm32"))]
            class_names: set.class_names.clone(),
            class_counts: set.class_counts(),
            sampled: false,
        })
    }
}

/// Where rows of a set come from, as values of a graph: all of its images and targets, and which
/// of them are meant.
#[derive(Debug, Clone, Copy)]
struct Picked {
    /// u8 `[count, channels, height, width]`.
    images: Value,
    /// As [`Dataset::target_tensor`] gives them.
    targets: Value,
    /// u32 `[rows]`.
    indices: Value,
    /// u32 `[1]`.
    valid: Value,
}

impl Picked {
    /// The rows as a network takes them, changed where there are changes.
    fn batch(
        self,
        g: &mut Graph,
        set: &'static str,
        about: &About,
        changes: Option<(Changes<'_>, Keyed)>,
    ) -> Result<Batch> {
        let Self {
            images,
            targets,
            indices,
            valid,
        } = self;
        let rows = g.shape(indices)?.first().copied().unwrap_or_default();
        let targets = match g.ty(targets)?.dtype {
            DType::U32 => g.gather_labels(targets, indices, valid)?,
            DType::U8 => {
                let masks = g.gather_rows(targets, indices, valid, 1.0, 0.0)?;
                g.cast(masks, DType::U32)?
            }
            _ => g.gather_rows(targets, indices, valid, 1.0, 0.0)?,
        };
        let normalise = &about.normalise;
        let changed = match changes {
            None => Changed {
                images: normalise.gather(g, images, indices, valid)?,
                targets,
                shares: None,
            },
            Some((changes, keyed)) => {
                let bytes = g.gather_rows(images, indices, valid, 1.0, 0.0)?;
                changes.apply(g, keyed, [bytes, targets], about.classes, normalise)?
            }
        };
        let Changed {
            images,
            targets,
            shares,
        } = changed;
        Ok(Batch {
            set,
            rows,
            images,
            targets,
            shares,
            valid,
        })
    }
}

/// A data set as the states of graphs, which share its bytes.
pub(super) struct Resident {
    set: &'static str,
    images: Arc<Tensor>,
    targets: Arc<Tensor>,
}

impl Resident {
    pub fn new(set: &'static str, data: &Dataset) -> Result<Self> {
        let shape = [data.count, data.channels, data.height, data.width];
        Ok(Self {
            set,
            images: Tensor::u8(shape, data.images.clone())?.into(),
            targets: data.target_tensor()?.into(),
        })
    }

    /// The batch that the step of `clock` works on: `rows` rows of it for training, all with filler
    /// where there are fewer for evaluation.
    pub fn batch(
        &self,
        g: &mut Graph,
        about: &About,
        clock: Value,
        batches: Batches,
        rows: Option<usize>,
        changes: Changes<'_>,
    ) -> Result<Batch> {
        let mut resident = |what: &str, tensor: &Arc<Tensor>| {
            let name = format!("{}.{what}", self.set);
            let (ty, init) = (tensor.ty().clone(), Init::Tensor(tensor.clone()));
            g.state(&name, ty, StateKind::Data, init, None)
        };
        let images = resident("images", &self.images)?;
        let targets = resident("labels", &self.targets)?;
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
        let rows = Picked {
            images,
            targets,
            indices,
            valid,
        };
        let keyed = Keyed {
            clock,
            indices,
            steps_per_epoch: batches.steps()?,
        };
        rows.batch(g, self.set, about, changes.keyed(keyed))
    }
}

#[cfg(not(target_arch = "wasm32"))]
/// A batch that the host writes before each step.
#[derive(Debug, Clone)]
pub(super) struct HostBatch {
    /// Inputs of the graph: images and targets as bytes, and how many of their rows count.
    pub images: Value,
    pub targets: Value,
    pub valid: Value,
}

#[cfg(not(target_arch = "wasm32"))]
impl HostBatch {
    /// Inputs for `rows` images such as those of `like`, and the batch that they make.
    pub fn batch(
        g: &mut Graph,
        set: &'static str,
        like: &Dataset,
        rows: usize,
        about: &About,
    ) -> Result<(Self, Batch)> {
        let shape = [rows, like.channels, like.height, like.width];
        let given = Self {
            images: g.input(&format!("{set}.images"), Type::u8(shape))?,
            targets: g.input(&format!("{set}.labels"), like.target_type(rows))?,
            valid: g.input(&format!("{set}.valid"), Type::u32([1]))?,
        };
        let indices = Tensor::u32([rows], (0..rows as u32).collect())?;
        let indices = g.constant(indices)?;
        let rows = Picked {
            images: given.images,
            targets: given.targets,
            indices,
            valid: given.valid,
        };
        let batch = rows.batch(g, set, about, None)?;
        Ok((given, batch))
    }
}

/// A whole batch of training that the host writes before each step.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamedBatch {
    /// Inputs of the graph, as those of [`HostBatch`].
    pub images: Value,
    pub targets: Value,
}

impl StreamedBatch {
    /// Inputs for `rows` images such as those of `like`, and the batch that they make: the one that
    /// [`Resident::batch`] has, to the bit.
    pub fn batch(
        g: &mut Graph,
        set: &'static str,
        like: &Dataset,
        rows: usize,
        about: &About,
        changes: Option<(Value, Batches, Changes<'_>)>,
    ) -> Result<(Self, Batch)> {
        let shape = [rows, like.channels, like.height, like.width];
        let given = Self {
            images: g.input(&format!("{set}.images"), Type::u8(shape))?,
            targets: g.input(&format!("{set}.labels"), like.target_type(rows))?,
        };
        // The host shuffles, with this stream; changes are keyed by where it takes the rows from.
        let changes = match changes {
            Some((clock, batches, changes)) if !changes.is_empty() => {
                let (indices, _) = g.batch_rows(clock, batches, rows)?;
                changes.keyed(Keyed {
                    clock,
                    indices,
                    steps_per_epoch: batches.steps()?,
                })
            }
            _ => {
                let stream = g.new_stream();
                debug_assert_eq!(stream, crate::data::FIRST_STREAM);
                None
            }
        };
        let indices = Tensor::u32([rows], (0..rows as u32).collect())?;
        let rows = Picked {
            images: given.images,
            targets: given.targets,
            indices: g.constant(indices)?,
            valid: g.constant(Tensor::u32([1], vec![rows as u32])?)?,
        };
        let batch = rows.batch(g, set, about, changes)?;
        Ok((given, batch))
    }
}

/// One batch of a set, as graph values.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub set: &'static str,
    pub rows: usize,
    pub images: Value,
    pub targets: Value,
    /// Labels as rows of shares f32 `[rows, classes]`, where images are mixed.
    pub shares: Option<Value>,
    pub valid: Value,
}

impl Batch {
    /// Adds the loss of a training step to the sum of losses, and counts whether that is finite.
    pub fn count_loss(&self, g: &mut Graph, loss: Value) -> Result<()> {
        let sum = self.metric(g, LOSS, Type::f32([]))?;
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
        let finite = self.metric(g, FINITE, Type::u32([2]))?;
        let counted = g.count_correct(row, label, one, finite)?;
        g.assign(finite, counted)
    }
}
