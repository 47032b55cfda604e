//! What a classifier is built from: its graphs, their store and sessions.

use crate::data::Split;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Engine, Progress};
use crate::graph::{Graph, Init, StateKind, Value};
use crate::nn::{Build, Module};
use crate::ops::{Batches, CrossEntropyLoss};
use crate::session::Session;
use crate::shape::Type;
use crate::store::Store;

use super::batch::{Normalise, Resident};
use super::classifier::{About, Classifier, ClassifierOptions};
use super::followed::Followed;
use super::{scheduled, swap_averages};

/// A classifier that is still to be built ([`Classifier::builder`]).
#[derive(Debug)]
#[must_use]
pub struct ClassifierBuilder<'a, M, P = fn(Progress<'_>)> {
    engine: &'a Engine,
    model: M,
    data: &'a Split,
    options: ClassifierOptions,
    frozen: Vec<String>,
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
    /// ([`Build::freeze`]): they keep their parameters and running statistics, and cost no
    /// gradients, moments or averages.
    pub fn freeze(mut self, pattern: &str) -> Self {
        self.frozen.push(pattern.to_owned());
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
        let normalise = Normalise::of(&data.train);
        let test_batch = options.test_batch.min(data.test.count);

        let batches = Batches {
            count: data.train.count,
            batch: match options.drop_last {
                true => options.batch,
                false => options.batch.min(data.train.count),
            },
            shuffle: true,
            drop_last: options.drop_last,
        };
        let steps_per_epoch = batches.steps().map_err(|e| e.context("classifier"))?;
        let resident = Resident::new("train", &data.train, normalise)?;
        let (train, loss, apply) =
            training(&resident, &model, &frozen, batches, batches.batch, &options)?;
        let remainder = match batches.remainder() {
            0 => None,
            rows => {
                let last =
                    training(&resident, &model, &frozen, batches, rows, &options).map_err(|e| {
                        e.context(format!(
                        "the last batch of an epoch has {rows} of {} rows, drop_last leaves it out",
                        batches.batch
                    ))
                    })?;
                Some((last.0, last.1))
            }
        };

        let mut test = Graph::new();
        let clock = test.state(
            "test.clock",
            Type::u32([4]),
            StateKind::Scalar,
            Init::Constant(0.0),
            None,
        )?;
        let batches = Batches {
            count: data.test.count,
            batch: test_batch,
            shuffle: false,
            drop_last: false,
        };
        let resident = Resident::new("test", &data.test, normalise)?;
        let batch = resident.batch(&mut test, clock, batches, None)?;
        let logits = model.build(&mut Build::eval(&mut test), batch.images)?;
        batch.expect_logits(&test, logits)?;
        batch.count(&mut test, logits, None)?;
        let next = test.advance(clock)?;
        test.assign(clock, next)?;

        let graphs: Vec<&Graph> = [&train, &test].into_iter().chain(&apply).collect();
        let graphs: Vec<&Graph> = graphs
            .into_iter()
            .chain(remainder.as_ref().map(|(graph, _)| graph))
            .collect();
        let store = Store::new_async(engine, &graphs, options.seed).await?;
        let swap = match options.optimizer.averages() {
            true => Some(swap_averages(apply.as_ref().unwrap_or(&train))?),
            false => None,
        };
        let mut session = async |graph: &Graph, fetched: &[Value]| {
            let builder = Session::builder(&store, graph).fetch(fetched);
            builder.progress(&mut progress).build_async().await
        };
        Ok(Classifier {
            train: session(&train, &[loss]).await?,
            remainder: match &remainder {
                Some((graph, loss)) => Some(session(graph, &[*loss]).await?),
                None => None,
            },
            apply: match &apply {
                Some(graph) => Some(session(graph, &[]).await?),
                None => None,
            },
            swap: match &swap {
                Some(graph) => Some(session(graph, &[]).await?),
                None => None,
            },
            test: session(&test, &[]).await?,
            accumulate: options.accumulate,
            steps_per_epoch,
            full_steps: steps_per_epoch - usize::from(remainder.is_some()),
            steps_per_test: data.test.count.div_ceil(test_batch),
            done: Followed::new("clock").now(&store)?,
            pending: Followed::new("accumulated").now(&store)?,
            store,
            about: About {
                normalise,
                image: [data.train.channels, data.train.height, data.train.width],
                classes: data.train.classes,
                class_names: data.train.class_names.clone(),
            },
            unread: 0,
            looked: 0,
            stopped: None,
        })
    }
}

/// A step of training on `rows` rows of a batch: its graph, its loss, and if gradients are added up
/// over several batches the graph that applies them.
fn training(
    data: &Resident,
    model: &impl Module,
    frozen: &[String],
    batches: Batches,
    rows: usize,
    options: &ClassifierOptions,
) -> Result<(Graph, Value, Option<Graph>)> {
    let mut g = Graph::new();
    let clock = g.clock()?;
    let batch = data.batch(&mut g, clock, batches, Some(rows))?;
    let mut cx = Build::train(&mut g);
    for pattern in frozen {
        cx = cx.freeze(pattern);
    }
    let logits = model.build(&mut cx, batch.images)?;
    cx.expect_frozen()?;
    let heads = cx.outputs().to_vec();
    batch.expect_logits(&g, logits)?;
    let valid = || CrossEntropyLoss::new().valid(batch.valid);
    let mut loss = g.cross_entropy_with(logits, batch.labels, valid())?;
    for head in heads.iter().filter(|head| head.weight != 0.0) {
        let named = |e: Error| e.context(&head.name);
        batch.expect_logits(&g, head.value).map_err(named)?;
        let own = g.cross_entropy_with(head.value, batch.labels, valid())?;
        let own = g.scale(own, head.weight)?;
        loss = g.add(loss, own)?;
    }
    batch.count(&mut g, logits, Some(loss))?;
    let optimizer = &options.optimizer;
    // A constant rate is a table too, of one entry.
    let rate = |g: &mut Graph| scheduled(g, optimizer.rates()?);
    if options.accumulate == 1 {
        let rate = rate(&mut g)?;
        optimizer.minimize_at(&mut g, loss, rate)?;
        return Ok((g, loss, None));
    }
    let applying = optimizer.accumulate_at(&mut g, loss, options.accumulate, rate)?;
    Ok((g, loss, Some(applying.graph)))
}
