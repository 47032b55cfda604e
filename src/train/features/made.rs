//! Features made by running a trunk, which waits for the device.

use super::Features;
use crate::data::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::Graph;
use crate::nn::{Build, Module};
use crate::session::Session;
use crate::shape::Type;
use crate::store::Store;
use crate::tensor::{Tensor, room};
use crate::train::Normalise;
use crate::train::batch::{About, StreamedBatch};

impl Features {
    /// Runs `trunk`, whose parameters `store` has, over a labelled set, so many images at a time:
    /// its output, or that of the layer of a name inside it. It is built for evaluation.
    ///
    /// # Errors
    /// `Data` for a set that is not sound, has no labels or other channels than `normalise`;
    /// `Graph` if there is no such layer, or if the store lacks a state; `Shape` for batches of
    /// nothing and for outputs that do not belong to one image each; `Unsupported` on a borrowed
    /// device. Those of compiling and running.
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
}
