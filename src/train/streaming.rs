//! Training on more images than the device holds: batches are decoded ahead by threads, and staged
//! while the device computes.
//!
//! ```text
//!  workers   | decode 5 | decode 6 | decode 7 |
//!  host      | stage 4  | stage 5  | stage 6  |
//!  device    | step 3   | step 4   | step 5   |
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::data::{Dataset, Loader, LoaderOptions, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::Batches;
use crate::session::Session;
use crate::tensor::Tensor;

use super::batch::StreamedBatch;

/// Steps that are under way on an own device while the next one is staged: one that it computes,
/// and one behind it.
const UNDER_WAY: usize = 2;

/// Training images that do not lie on the device: a [`Source`], whose samples threads make ahead.
/// The same images in the same order, they give the same weights as a set that lies there, to the
/// bit.
///
/// ```
/// use striate::data::{Split, digits, sampled, source_fn};
/// use striate::models::lenet5;
/// use striate::prelude::*;
/// use striate::train::{Classifier, ClassifierOptions, Streamed};
///
/// # fn main() -> Result<()> {
/// # let set = digits(60, 1)?;
/// # let images = set.images.clone();
/// // Whatever makes the sample of a number: a file that is decoded, a camera, a generator.
/// let source = source_fn(60, [1, 28, 28], 10, move |index, pixels| {
///     pixels.copy_from_slice(&images[index * 28 * 28..][..28 * 28]);
///     Ok(set.labels[index])
/// });
/// // Mean and deviation of the pixels are measured over some of them.
/// let data = Split { train: sampled(&source, 40, 0)?, test: digits(20, 2)? };
/// let options = ClassifierOptions { batch: 20, ..ClassifierOptions::default() };
/// let mut classifier = Classifier::builder(&Engine::cpu(), lenet5(10), &data)
///     .options(options)
///     .stream(Streamed::new(source))
///     .build()?;
/// classifier.train(1)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Streamed {
    source: Arc<dyn Source>,
    workers: usize,
    ahead: usize,
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed")
            .field("len", &self.source.len())
            .field("workers", &self.workers)
            .field("ahead", &self.ahead)
            .finish()
    }
}

impl Streamed {
    /// The samples of a source, which may be an [`Arc`] of one.
    pub fn new(source: impl Source + 'static) -> Self {
        let LoaderOptions { workers, ahead, .. } = LoaderOptions::default();
        Self {
            source: Arc::new(source),
            workers,
            ahead,
        }
    }

    /// Threads that make samples; 0, as at first, for one less than the cores, from 1 to 8.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Batches that are made ahead at most; 4 at first.
    pub fn ahead(mut self, batches: usize) -> Self {
        self.ahead = batches;
        self
    }

    /// Number of samples, of a source whose samples are such as those of a set.
    ///
    /// # Errors
    /// `Data`, with what differs.
    pub(super) fn count_like(&self, set: &Dataset) -> Result<usize> {
        let wrong = |message: String| {
            let message = format!("streamed training set: {message}");
            Err(Error::new(ErrorKind::Data, message))
        };
        set.expect_labels()?;
        let size = |[channels, height, width]: [usize; 3]| format!("{channels}x{height}x{width}");
        let (own, wanted) = (self.source.image(), [set.channels, set.height, set.width]);
        if own != wanted {
            let (own, wanted) = (size(own), size(wanted));
            return wrong(format!("its images are {own}, those of the set {wanted}"));
        }
        if self.source.classes() != set.classes {
            let own = self.source.classes();
            return wrong(format!("it has {own} classes, the set {}", set.classes));
        }
        let names = self.source.class_names().iter().zip(&set.class_names);
        for (own, name) in names {
            if own != name {
                return wrong(format!("a class is \"{own}\" there, \"{name}\" in the set"));
            }
        }
        match self.source.len() {
            0 => wrong("it has no images".to_owned()),
            count => Ok(count),
        }
    }
}

/// The batches of a streamed set on their way into sessions.
#[derive(Debug)]
pub(super) struct Streaming {
    loader: Loader,
    image: [usize; 3],
    /// Inputs of full batches, and of the last one of an epoch.
    inputs: [StreamedBatch; 2],
    /// Keys the order, unless the clock is set.
    seed: [u32; 2],
}

impl Streaming {
    /// Starts the threads.
    ///
    /// # Errors
    /// As [`Loader::new`].
    pub fn new(
        streamed: &Streamed,
        batches: Batches,
        seed: u64,
        inputs: [StreamedBatch; 2],
    ) -> Result<Self> {
        let options = LoaderOptions {
            batch: batches.batch,
            shuffle: batches.shuffle,
            drop_last: batches.drop_last,
            seed,
            workers: streamed.workers,
            ahead: streamed.ahead,
        };
        Ok(Self {
            loader: Loader::new(streamed.source.clone(), &options)?,
            image: streamed.source.image(),
            inputs,
            seed: [seed as u32, (seed >> 32) as u32],
        })
    }

    /// Writes the batch of a step to the session that makes it. Where the clock was set, `seed` is
    /// what it says.
    ///
    /// # Errors
    /// As [`Loader::next_batch`]; of the device.
    pub fn feed(
        &mut self,
        session: &mut Session,
        last: bool,
        seed: Option<[u32; 2]>,
        step: u32,
    ) -> Result<()> {
        self.loader.go_to_seed(seed.unwrap_or(self.seed), step);
        let batch = self.loader.next_batch()?;
        session.wait_for_all_but(UNDER_WAY)?;
        let [channels, height, width] = self.image;
        let rows = batch.labels.len();
        let inputs = self.inputs[usize::from(last)];
        let images = Tensor::u8([rows, channels, height, width], batch.images)?;
        session.write(inputs.images, &images)?;
        session.write(inputs.targets, &Tensor::u32([rows], batch.labels)?)
    }

    /// How long batches were waited for.
    pub fn waited(&self) -> Duration {
        self.loader.waited()
    }
}
