//! What a frozen trunk makes of a set, computed once and kept.

use std::sync::Arc;

use crate::data::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Init, StateKind, Value};
use crate::nn::{Build, Module};
use crate::ops::Batches;
use crate::session::Session;
use crate::shape::{Shape, Type};
use crate::store::Store;
use crate::tensor::{Tensor, room};

use super::Normalise;
use super::batch::{About, StreamedBatch};

/// What a network, or the first layers of one, makes of each image of a set: the set on which a
/// head is trained while these layers are frozen. They run once for each image, not once for each
/// image and epoch.
///
/// ```
/// use striate::data::{Split, digits};
/// use striate::models::lenet5;
/// use striate::nn::Linear;
/// use striate::prelude::*;
/// use striate::train::{Adam, Features, Normalise};
///
/// # fn main() -> Result<()> {
/// let (set, engine, model) = (digits(30, 1)?, Engine::cpu(), lenet5(10));
/// let mut g = Graph::new();
/// let x = g.input("images", Type::f32([1, 1, 28, 28]))?;
/// model.build(&mut Build::eval(&mut g), x)?;
/// // The weights of the trunk: those of a file, of a classifier, or as here the initial ones.
/// let store = Store::new(&engine, &[&g], 1)?;
/// let normalise = Normalise::measured(&set);
/// let features = Features::of(&store, &model, Some("fc2"), &set, &normalise, 10)?;
/// assert_eq!(features.shape()[..], [84]);
///
/// // A head on top of them, on the device.
/// let mut g = Graph::new();
/// let (x, labels) = features.batch(&mut g, 10)?;
/// let logits = Build::train(&mut g).layer("fc3", &Linear::new(84, 10), x)?;
/// let loss = g.cross_entropy(logits, labels)?;
/// Optimizer::new(Adam::new()).minimize(&mut g, loss)?;
/// let head = Store::new(&engine, &[&g], 1)?;
/// let mut session = Session::new(&head, &g, &[loss])?;
/// session.run(6)?;
/// // The head goes where the whole network is.
/// store.restore(&head.snapshot(&["fc3.weight", "fc3.bias"])?)?;
/// # use striate::train::Optimizer;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    values: Arc<Tensor>,
    labels: Arc<Tensor>,
    classes: usize,
}

impl Features {
    /// Runs `trunk`, whose parameters `store` has, over a labelled set, so many images at a time:
    /// its output, or that of the layer of a name inside it. It is built for evaluation.
    ///
    /// # Errors
    /// `Data` for a set that is not sound, has no labels or other channels than `normalise`;
    /// `Graph` if there is no such layer, or if the store lacks a state; `Shape` for batches of
    /// nothing and for outputs that do not belong to one image each; `Unsupported` on a borrowed
    /// device. Those of compiling and running.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn of(
        store: &Store,
        trunk: &dyn Module,
        layer: Option<&str>,
        set: &Dataset,
        normalise: &Normalise,
        batch: usize,
    ) -> Result<Self> {
        set.check()?;
        set.expect_labels()?;
        let about = About::new(set, Some(normalise.clone()))?;
        if set.count == 0 {
            return Err(Error::new(
                ErrorKind::Data,
                "features: the set has no images",
            ));
        }
        if batch == 0 {
            return Err(Error::shape("features: a batch has at least one image"));
        }
        let rows = batch.min(set.count);
        let mut g = Graph::new();
        let (given, images) = StreamedBatch::batch(&mut g, "features", set, rows, &about, None)?;
        let mut cx = Build::eval(&mut g);
        let output = trunk.build(&mut cx, images.images)?;
        let output = match layer {
            None => output,
            Some(layer) => cx.find(layer).ok_or_else(|| {
                let known: Vec<&str> = cx.layers().map(|(name, _)| name).collect();
                let known = known.join(", ");
                Error::graph(format!("features: no layer \"{layer}\"; there are {known}"))
            })?,
        };
        let ty = g.ty(output)?.clone();
        if ty.shape.first() != Some(&rows) || ty != Type::f32(ty.shape.clone()) {
            return Err(Error::shape(format!(
                "features: {ty} of {rows} images, one row of floats is needed for each"
            )));
        }
        let mut session = Session::new(store, &g, &[output])?;
        let size = ty.row();
        let mut values: Vec<f32> = room(set.count.saturating_mul(size))?;
        for first in (0..set.count).step_by(rows) {
            let (images, targets) = set.padded(first, rows)?;
            session.write(given.images, &images)?;
            session.write(given.targets, &targets)?;
            session.run(1)?;
            let made = session.read(output)?;
            let meant = rows.min(set.count - first);
            values.extend_from_slice(&made.as_f32()?[..meant * size]);
        }
        let mut shape = ty.shape.to_vec();
        shape[0] = set.count;
        Ok(Self {
            values: Tensor::f32(shape, values)?.into(),
            labels: Tensor::u32([set.count], set.labels.clone())?.into(),
            classes: set.classes,
        })
    }

    /// The features, f32 `[count, ...]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// The class of each image, u32 `[count]`.
    pub fn labels(&self) -> &Tensor {
        &self.labels
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The extents of the features of one image.
    pub fn shape(&self) -> Shape {
        self.values.shape()[1..].to_vec().into()
    }

    /// The next batch of a graph's step, shuffled anew in each epoch by its clock: features f32
    /// `[batch, ...]` and labels u32 `[batch]`. They lie on the device, as the states
    /// `features.values` and `features.labels`; a batch that would not be full is left out.
    ///
    /// # Errors
    /// `Shape` if `batch` is 0 or more than there are; `Graph` if the graph has such states.
    pub fn batch(&self, g: &mut Graph, batch: usize) -> Result<(Value, Value)> {
        let [values, labels] = self.states(g)?;
        let batches = Batches {
            count: self.values.shape()[0],
            batch,
            shuffle: true,
            drop_last: true,
        };
        batches.steps().map_err(|e| e.context("features"))?;
        let clock = g.clock()?;
        let (indices, valid) = g.batch_rows(clock, batches, batch)?;
        Ok((
            g.gather_rows(values, indices, valid, 1.0, 0.0)?,
            g.gather_labels(labels, indices, valid)?,
        ))
    }

    /// All of them as states of a graph: values and labels.
    ///
    /// # Errors
    /// `Graph` if the graph has such states.
    pub fn states(&self, g: &mut Graph) -> Result<[Value; 2]> {
        let mut state = |name: &str, tensor: &Arc<Tensor>| {
            let (ty, init) = (tensor.ty().clone(), Init::Tensor(tensor.clone()));
            g.state(name, ty, StateKind::Data, init, None)
        };
        Ok([
            state("features.values", &self.values)?,
            state("features.labels", &self.labels)?,
        ])
    }
}
