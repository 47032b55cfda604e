//! What a network is worth on a set, and what it makes of single images.

use super::Trainer;
use crate::data::{Dataset, differing};
use crate::error::{Error, ErrorKind, Result};
use crate::session::Session;
use crate::tensor::Tensor;
use crate::train::assemble::HostGraph;
use crate::train::batch::LOSS;
use crate::train::confusion::Confusion;
use crate::train::observer::Scalar;
use crate::train::task::Counted;

/// The set that the host writes.
pub(super) const HOST: &str = "eval";
/// The set that lies on the device for validation.
pub(super) const VALIDATION: &str = "val";

/// What a network is worth on a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Images of the set.
    pub images: usize,
    /// What was measured: `loss`, `accuracy` and whatever else the task tells.
    pub scalars: Vec<Scalar>,
    /// How often which class was taken for which, if the task counts it.
    pub confusion: Option<Confusion>,
}

impl Evaluation {
    /// The number of this name.
    pub fn scalar(&self, name: &str) -> Option<f64> {
        let found = self.scalars.iter().find(|scalar| scalar.name == name);
        found.map(|scalar| scalar.value)
    }
}

impl Trainer {
    /// Measures the network on a set, as it is now, with moving averages in place of the parameters
    /// that have some. The images are uploaded batch by batch; of a set of any size only one batch
    /// is on the device.
    ///
    /// # Errors
    /// `Data` if the set is empty or not sound, or if its images, targets or names of classes are
    /// others than those of training; those of the device.
    pub fn evaluate(&mut self, set: &Dataset) -> Result<Evaluation> {
        self.expect_alike(set)?;
        self.steps.clear(HOST)?;
        self.steps.swap()?;
        let run = self.run_host(set);
        self.steps.swap()?;
        run?;
        let counted = self.counted(HOST, set.count)?;
        Ok(Evaluation {
            images: set.count,
            scalars: self.numbers(&counted, set.count)?,
            confusion: self.task.confusion(&counted)?,
        })
    }

    /// What the network makes of images, `pixels` `[n, channels, height, width]` from 0 to 255:
    /// outputs f32 `[n, ...]`, such as logits `[n, classes]`.
    ///
    /// # Errors
    /// `Shape` if the pixels are no whole number of images; those of the device.
    pub fn predict(&mut self, pixels: &[u8]) -> Result<Tensor> {
        let [channels, height, width] = self.about.image;
        let size = channels * height * width;
        if pixels.is_empty() || !pixels.len().is_multiple_of(size) {
            return Err(Error::shape(format!(
                "predict: {} pixels are no images of {channels}x{height}x{width}",
                pixels.len()
            )));
        }
        let count = pixels.len() / size;
        let which = usize::from(count == 1);
        let host = &self.host[which];
        let rows = host.rows;
        let targets = Tensor::zeros(host.graph.ty(host.given.targets)?)?;
        let mut outputs = Vec::new();
        self.steps.swap()?;
        let run = pixels.chunks(rows * size).try_for_each(|chunk| {
            let mut images = chunk.to_vec();
            images.resize(rows * size, 0);
            let images = Tensor::u8([rows, channels, height, width], images)?;
            let made = self.step_host(which, &images, &targets, chunk.len() / size)?;
            outputs.extend_from_slice(&made.as_f32()?[..made.ty().row() * (chunk.len() / size)]);
            Ok(())
        });
        self.steps.swap()?;
        run?;
        let graph = &self.host[which];
        let mut shape = graph.graph.shape(graph.outputs)?.to_vec();
        if let Some(first) = shape.first_mut() {
            *first = count;
        }
        Tensor::f32(shape, outputs)
    }

    /// Runs the images of a set through the network, batch by batch.
    fn run_host(&mut self, set: &Dataset) -> Result<()> {
        let rows = self.host[0].rows;
        for from in (0..set.count).step_by(rows) {
            let (images, targets) = set.padded(from, rows)?;
            self.step_host(0, &images, &targets, rows.min(set.count - from))?;
        }
        Ok(())
    }

    /// One step of evaluation of images that the host has; returns the network's outputs.
    fn step_host(
        &mut self,
        which: usize,
        images: &Tensor,
        targets: &Tensor,
        valid: usize,
    ) -> Result<Tensor> {
        let HostGraph {
            graph,
            given,
            outputs,
            ..
        } = &self.host[which];
        let session = match &mut self.host_sessions[which] {
            Some(session) => session,
            none => none.insert(Session::new(&self.steps.store, graph, &[*outputs])?),
        };
        session.write(given.images, images)?;
        session.write(given.targets, targets)?;
        session.write(given.valid, &Tensor::u32([1], vec![valid as u32])?)?;
        session.run(1)?;
        session.read(*outputs)
    }

    /// Validates the network; returns what was counted.
    pub(super) fn validate(&mut self) -> Result<Counted> {
        let zero = Tensor::u32([4], vec![0; 4])?;
        self.steps
            .store
            .set(&format!("{VALIDATION}.clock"), &zero)?;
        self.steps.clear(VALIDATION)?;
        self.steps.swap()?;
        let validated = self.validation.run(self.validation_steps);
        self.steps.swap()?;
        validated?;
        self.counted(VALIDATION, self.validation_images)
    }

    /// What was counted of a set.
    pub(super) fn counted(&self, set: &str, images: usize) -> Result<Counted> {
        let names: Vec<String> = self.steps.counters(set).map(str::to_owned).collect();
        let read = self.steps.store.snapshot(&names)?;
        Ok(self.counted_of(set, read, images))
    }

    /// As it is before anything was counted.
    pub(super) fn counted_nothing(&self, set: &str) -> Result<Counted> {
        let zeros = self.steps.counters(set).map(|name| {
            let zeros = Tensor::zeros(self.steps.store.ty(name)?)?;
            Ok((name.to_owned(), zeros))
        });
        Ok(self.counted_of(set, zeros.collect::<Result<_>>()?, 0))
    }

    fn counted_of(&self, set: &str, read: Vec<(String, Tensor)>, images: usize) -> Counted {
        let own = |name: String| name[set.len() + 1..].to_owned();
        let counters = read.into_iter().map(|(name, tensor)| (own(name), tensor));
        Counted {
            counters: counters.collect(),
            images,
            classes: self.about.classes,
            class_names: self.about.class_names.clone(),
        }
    }

    /// The numbers of a set by name, its losses divided by `divisor`.
    fn numbers(&self, counted: &Counted, divisor: usize) -> Result<Vec<Scalar>> {
        let mut scalars = Vec::new();
        let further = format!("{LOSS}.");
        for (name, sum) in &counted.counters {
            if name == LOSS || name.starts_with(&further) {
                let mean = f64::from(sum.item()?) / divisor.max(1) as f64;
                scalars.push(Scalar::new(name, mean));
            }
        }
        scalars.extend(self.task.metrics(counted)?);
        Ok(scalars)
    }

    /// As [`numbers`](Self::numbers), with the set before each name.
    pub(super) fn scalars(
        &self,
        set: &str,
        counted: &Counted,
        divisor: usize,
    ) -> Result<Vec<Scalar>> {
        let mut scalars = self.numbers(counted, divisor)?;
        for scalar in &mut scalars {
            scalar.name = format!("{set}/{}", scalar.name);
        }
        Ok(scalars)
    }

    /// Checks that a set is such as the network is trained on.
    fn expect_alike(&self, set: &Dataset) -> Result<()> {
        set.check()?;
        let wrong = |message: String| Err(Error::new(ErrorKind::Data, message));
        if set.count == 0 {
            return wrong("evaluate: the set has no images".to_owned());
        }
        let [channels, height, width] = self.about.image;
        if [set.channels, set.height, set.width] != self.about.image {
            return wrong(format!(
                "evaluate: images of {}x{}x{}, the network is trained on {channels}x{height}x\
                 {width}",
                set.channels, set.height, set.width
            ));
        }
        if set.classes != self.about.classes || set.target_type(1) != self.targets {
            return wrong(format!(
                "evaluate: {} as {} of {} classes, the network is trained on {} of {}",
                set.targets.describe(),
                set.target_type(1),
                set.classes,
                self.targets,
                self.about.classes
            ));
        }
        if let Some((own, other)) = differing(&self.about.class_names, &set.class_names) {
            return wrong(format!(
                "evaluate: a class is \"{own}\" where the network was trained, and \"{other}\" in \
                 the set"
            ));
        }
        Ok(())
    }
}
