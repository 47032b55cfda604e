//! What a classifier is built from: its graphs, their store and sessions.

use crate::data::Split;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Engine, Progress};
use crate::graph::Graph;
use crate::nn::Module;
use crate::store::Store;

use super::assemble::{Job, Training, compile};
use super::batch::About;
use super::changes::Changes;
use super::classifier::{Classifier, ClassifierOptions};
use super::normalise::Normalise;
use super::streaming::Streamed;
use super::task::{Classification, Task};

/// A classifier that is still to be built ([`Classifier::builder`]).
#[derive(Debug)]
#[must_use]
pub struct ClassifierBuilder<'a, M, P = fn(Progress<'_>)> {
    engine: &'a Engine,
    model: M,
    data: &'a Split,
    options: ClassifierOptions,
    frozen: Vec<String>,
    stream: Option<Streamed>,
    normalise: Option<Normalise>,
    progress: P,
}

impl<'a, M> ClassifierBuilder<'a, M>
where
    M: Module,
{
    pub(super) fn new(engine: &'a Engine, model: M, data: &'a Split) -> Self {
        Self {
            engine,
            model,
            data,
            options: ClassifierOptions::default(),
            frozen: Vec::new(),
            stream: None,
            normalise: None,
            progress: |_| (),
        }
    }
}

impl<'a, M, P> ClassifierBuilder<'a, M, P>
where
    M: Module,
    P: FnMut(Progress<'_>),
{
    /// How it is trained.
    pub fn options(mut self, options: ClassifierOptions) -> Self {
        self.options = options;
        self
    }

    /// Freezes the layers whose names match a pattern, and those inside them
    /// ([`Build::freeze`](crate::nn::Build::freeze)): they keep their parameters and running
    /// statistics, and cost no gradients, moments or averages.
    pub fn freeze(mut self, pattern: &str) -> Self {
        self.frozen.push(pattern.to_owned());
        self
    }

    /// Trains on images that do not lie on the device, instead of on the training set. That one has
    /// images of the same size and classes, by which mean and deviation of the pixels are measured:
    /// the same ones, or a [sample](crate::data::sampled).
    pub fn stream(mut self, streamed: Streamed) -> Self {
        self.stream = Some(streamed);
        self
    }

    /// How pixels are shifted and scaled; at first to mean 0 and deviation 1 over the training set.
    pub fn normalise(mut self, normalise: Normalise) -> Self {
        self.normalise = Some(normalise);
        self
    }

    /// Tells `progress` which pipelines are to be built before each of them is, session by session.
    pub fn progress<Q: FnMut(Progress<'_>)>(self, progress: Q) -> ClassifierBuilder<'a, M, Q> {
        ClassifierBuilder {
            engine: self.engine,
            model: self.model,
            data: self.data,
            options: self.options,
            frozen: self.frozen,
            stream: self.stream,
            normalise: self.normalise,
            progress,
        }
    }

    /// Builds the graphs, uploads the data and compiles the sessions.
    ///
    /// # Errors
    /// `Data` if a set is empty, if a label is not below the number of classes or the sets differ
    /// in it; `Graph` if a pattern that is to be frozen matches no layer; `Shape` if the model
    /// makes something else than logits of these classes, and from the
    /// model: as in PyTorch, batch normalisation refuses a last batch that has one value per
    /// channel. Whatever compiling returns.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn build(self) -> Result<Classifier> {
        self.engine.expect_proof()?;
        pollster::block_on(self.build_async())
    }

    /// As `build`, for hosts that cannot block.
    ///
    /// # Errors
    /// As `build`.
    pub async fn build_async(self) -> Result<Classifier> {
        let Self {
            engine,
            model,
            data,
            options,
            frozen,
            stream,
            normalise,
            mut progress,
        } = self;
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
        data.check()?;
        let task = Classification::plain();
        for (name, set) in [("training", &data.train), ("test", &data.test)] {
            task.expect(set)
                .map_err(|e| e.context(format!("{name} set")))?;
        }
        let mut about = About::new(&data.train, normalise)?;
        about.sampled = stream.is_some();
        let job = Job {
            model: &model,
            task: &task,
            about: &about,
            frozen: &frozen,
            optimizer: &options.optimizer,
            batch: options.batch,
            drop_last: options.drop_last,
            accumulate: options.accumulate,
            factor: false,
            seed: options.seed,
            changes: Changes {
                augment: options.augment.as_ref(),
                mix: options.mix,
            },
            stream: stream.as_ref(),
        };
        let training = Training::new(&job, &data.train)?;
        let test_batch = options.test_batch.min(data.test.count);
        let test = job.evaluation("test", &data.test, test_batch)?;
        let graphs: Vec<&Graph> = training.graphs().chain([&test]).collect();
        let store = Store::new_async(engine, &graphs, options.seed).await?;
        Ok(Classifier {
            steps: training.compile(&store, &mut progress).await?,
            test: compile(&store, &test, &[], &mut progress).await?,
            about,
            steps_per_test: data.test.count.div_ceil(test_batch),
        })
    }
}
