//! What a frozen trunk makes of a set, computed once and kept.

#[cfg(not(target_arch = "wasm32"))]
mod made;

use std::sync::Arc;

use crate::error::Result;
use crate::graph::{Graph, Init, StateKind, Value};
use crate::ops::Batches;
use crate::shape::Shape;
use crate::tensor::Tensor;

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
