//! Training in slices: so many milliseconds of the device in each frame.

use striate::data::{Dataset, Split};
use striate::gpu::Progress;
use striate::interop::{LoadOptions, load_state_dict_bytes};
use striate::ops::Batches;
use striate::plan::PlanOptions;
use striate::prelude::*;
use striate::session::ReadFuture;
use striate::train::{Adam, Normalise, minimize};
use striate::wgpu;

use crate::{CLASSES, factors, largest, network};

/// Images of a step.
pub const BATCH: usize = 64;
/// The learning rate that training begins with.
pub const RATE: f32 = 0.002;
/// Keys the first parameters and the order of the images.
pub const SEED: u64 = 1;

/// The states that count losses, and right answers, since they were last told.
const LOSS: &str = "train.loss";
const COUNTS: &str = "train.counts";
const LEARNING_RATE: &str = "learning_rate";

/// A set as states of a graph: its images u8 `[n, 1, height, width]` and labels u32 `[n]`.
fn resident(g: &mut Graph, name: &str, set: &Dataset) -> Result<[Value; 2]> {
    let mut state = |what: &str, tensor: Tensor| {
        let (name, ty) = (format!("{name}.{what}"), tensor.ty().clone());
        let init = Init::Tensor(tensor.into());
        g.state(&name, ty, StateKind::Data, init, None)
    };
    let shape = [set.count, set.channels, set.height, set.width];
    Ok([
        state("images", Tensor::u8(shape, set.images.clone())?)?,
        state("labels", Tensor::u32([set.count], set.labels.clone())?)?,
    ])
}

/// A step of training on a set, and its loss.
///
/// # Errors
/// `Shape` for a set of fewer images than a batch has, or of other images than the network's.
pub fn step(set: &Dataset, normalise: &Normalise) -> Result<(Graph, Value)> {
    let mut g = Graph::new();
    let clock = g.clock()?;
    let batches = Batches {
        count: set.count,
        batch: BATCH,
        shuffle: true,
        drop_last: true,
    };
    let (indices, valid) = g.batch_rows(clock, batches, BATCH)?;
    let [images, labels] = resident(&mut g, "train", set)?;
    let [scale, shift] = factors(normalise);
    let x = g.gather_rows(images, indices, valid, scale, shift)?;
    let y = g.gather_labels(labels, indices, valid)?;
    let logits = network().build(&mut Build::train(&mut g), x)?;
    let loss = g.cross_entropy(logits, y)?;

    let mut counter = |name: &str, ty: Type| {
        let zero = Init::Constant(0.0);
        g.state(name, ty, StateKind::Metric, zero, None)
    };
    let (sum, counts) = (
        counter(LOSS, Type::f32([]))?,
        counter(COUNTS, Type::u32([2]))?,
    );
    let summed = g.add(sum, loss)?;
    g.assign(sum, summed)?;
    let counted = g.count_correct(logits, y, valid, counts)?;
    g.assign(counts, counted)?;
    minimize(&mut g, loss, Adam::new().lr(f64::from(RATE)))?;
    Ok((g, loss))
}

/// The logits of all images of a set, f32 `[n, classes]`.
fn test(set: &Dataset, normalise: &Normalise) -> Result<(Graph, Value)> {
    let mut g = Graph::new();
    let [images, _] = resident(&mut g, "test", set)?;
    let count = set.count as u32;
    let all = g.constant(Tensor::u32([set.count], (0..count).collect())?)?;
    let valid = g.constant(Tensor::u32([1], vec![count])?)?;
    let [scale, shift] = factors(normalise);
    let x = g.gather_rows(images, all, valid, scale, shift)?;
    let logits = network().build(&mut Build::eval(&mut g), x)?;
    Ok((g, logits))
}

/// What a slice belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Step,
    Test,
}

/// LeNet-5 in training, and the images that it is tested with.
#[derive(Debug)]
pub struct Training {
    gpu: Gpu,
    store: Store,
    normalise: Normalise,
    step: Session,
    test: Session,
    logits: Value,
    labels: Vec<u32>,
    /// What has begun and is not whole, and the milliseconds that are expected of it so far.
    under_way: Option<Work>,
    begun: f64,
    /// Milliseconds that are expected of a whole step.
    whole: f64,
    /// A rate that the next step is to begin with.
    rate: Option<f32>,
    test_due: bool,
    /// Steps that were made, and how many of them were not told yet.
    made: u64,
    untold: u64,
    /// The last slice, and its share of what was submitted with it.
    last: Option<(Work, f64)>,
}

/// What a frame submitted.
#[derive(Debug, Default)]
pub struct Frame {
    /// Steps that became whole.
    pub steps: usize,
    /// Milliseconds that it is expected to take on the device; none if nothing was submitted.
    pub expected: Option<f64>,
    /// What the steps counted, where it was read.
    pub told: Option<Told>,
    /// The test, where one became whole.
    pub tested: Option<Tested>,
}

/// Counts of some steps, on their way.
#[derive(Debug)]
pub struct Told {
    step: u64,
    steps: u64,
    loss: ReadFuture,
    counts: ReadFuture,
}

/// Counts of some steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The last of them, counted from 1.
    pub step: u64,
    /// Their mean loss.
    pub loss: f64,
    /// Images that were read rightly, of how many.
    pub correct: u32,
    /// Images.
    pub images: u32,
}

impl Told {
    /// Waits for them.
    ///
    /// # Errors
    /// `DeviceLost`, `Readback`.
    pub async fn arrive(self) -> Result<Point> {
        let loss = self.loss.await?.item()?;
        let counts = self.counts.await?;
        let (correct, images) = match counts.as_u32()? {
            [correct, images] => (*correct, *images),
            _ => (0, 0),
        };
        Ok(Point {
            step: self.step,
            loss: f64::from(loss) / self.steps as f64,
            correct,
            images,
        })
    }
}

/// Answers to the test images, on their way.
#[derive(Debug)]
pub struct Tested {
    step: u64,
    labels: Vec<u32>,
    logits: ReadFuture,
}

/// Answers to the test images.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// Steps that were made before.
    pub step: u64,
    /// Images.
    pub images: usize,
    /// Those that are wrong: number of the image, its class, and the class that it was read as.
    pub wrong: Vec<[u32; 3]>,
}

impl Answers {
    /// The share that is right, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        1.0 - self.wrong.len() as f64 / self.images.max(1) as f64
    }
}

impl Tested {
    /// Waits for them.
    ///
    /// # Errors
    /// `DeviceLost`, `Readback`.
    pub async fn arrive(self) -> Result<Answers> {
        let logits = self.logits.await?;
        let rows = logits.as_f32()?.chunks_exact(CLASSES);
        let mut wrong = Vec::new();
        for (number, (row, &label)) in rows.zip(&self.labels).enumerate() {
            let read = largest(row) as u32;
            if read != label {
                wrong.push([number as u32, label, read]);
            }
        }
        Ok(Answers {
            step: self.step,
            images: self.labels.len(),
            wrong,
        })
    }
}

impl Training {
    /// Compiles both graphs; `progress` hears of their pipelines.
    ///
    /// # Errors
    /// `Unsupported` on the CPU reference; those of the device.
    pub async fn new(
        engine: &Engine,
        data: &Split,
        normalise: &Normalise,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<Self> {
        let Some(gpu) = engine.gpu() else {
            let message = "training in slices needs a GPU";
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        let (train, _) = step(&data.train, normalise)?;
        let (tested, logits) = test(&data.test, normalise)?;
        let store = Store::new_async(engine, &[&train, &tested], SEED).await?;
        let staged = PlanOptions {
            staged: true,
            ..PlanOptions::default()
        };
        let step = Session::builder(&store, &train)
            .options(staged)
            .progress(&mut progress)
            .build_async()
            .await?;
        let test = Session::builder(&store, &tested)
            .fetch(&[logits])
            .progress(&mut progress)
            .build_async()
            .await?;
        Ok(Self {
            gpu: gpu.clone(),
            store,
            normalise: normalise.clone(),
            step,
            test,
            logits,
            labels: data.test.labels.clone(),
            under_way: None,
            begun: 0.0,
            whole: 0.0,
            rate: None,
            test_due: false,
            made: 0,
            untold: 0,
            last: None,
        })
    }

    /// Begins with the network of a safetensors file; its pixels are to be shifted and scaled as
    /// [`normalise_of`](crate::normalise_of) says.
    ///
    /// # Errors
    /// `Data` and `Checkpoint` from the file; `OutOfMemory`, `DeviceLost`.
    pub fn load(&mut self, file: &[u8]) -> Result<()> {
        load_state_dict_bytes(
            file,
            &self.store,
            &LoadOptions::new().strip_prefix("module."),
        )?;
        Ok(())
    }

    /// What it runs on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Its states.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How its pixels are shifted and scaled.
    pub fn normalise(&self) -> &Normalise {
        &self.normalise
    }

    /// Steps that were made.
    pub fn steps(&self) -> u64 {
        self.made
    }

    /// Sets the learning rate from the next step on.
    pub fn set_rate(&mut self, rate: f32) {
        self.rate = Some(rate);
    }

    /// Has the test images read once the step at hand is whole.
    pub fn request_test(&mut self) {
        self.test_due = true;
    }

    /// Whether nothing has begun or is due but steps.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_none() && !self.test_due
    }

    /// Records and submits as much as is expected to take `budget` milliseconds, one dispatch at
    /// least; no more than `most` steps become whole. With 0 it only finishes what has begun or is
    /// due.
    ///
    /// # Errors
    /// `DeviceLost`, `OutOfMemory`.
    pub fn frame(&mut self, budget: f64, most: usize) -> Result<Frame> {
        let descriptor = wgpu::CommandEncoderDescriptor {
            label: Some("training"),
        };
        let mut encoder = self.gpu.device().create_command_encoder(&descriptor);
        let (mut frame, mut spent, mut last) = (Frame::default(), 0.0, None);
        loop {
            let work = match self.under_way {
                Some(work) => work,
                None if self.test_due => {
                    // Of a frame of its own.
                    if frame.expected.is_some() {
                        break;
                    }
                    self.test_due = false;
                    Work::Test
                }
                None => {
                    let full = frame.expected.is_some() && spent + self.whole > budget;
                    if full || frame.steps >= most {
                        break;
                    }
                    if let Some(rate) = self.rate.take() {
                        self.store.set(LEARNING_RATE, &Tensor::scalar(rate))?;
                    }
                    Work::Step
                }
            };
            if self.under_way.replace(work).is_none() {
                self.begun = 0.0;
            }
            let session = match work {
                Work::Step => &mut self.step,
                Work::Test => &mut self.test,
            };
            let advanced = session.advance(&mut encoder, budget - spent)?;
            spent += advanced.expected;
            self.begun += advanced.expected;
            frame.expected = Some(spent);
            last = Some((work, advanced.expected));
            if !advanced.is_finished() {
                break;
            }
            self.under_way = None;
            match work {
                Work::Step => {
                    self.whole = self.begun;
                    self.made += 1;
                    self.untold += 1;
                    frame.steps += 1;
                }
                Work::Test => {
                    frame.tested = Some(Tested {
                        step: self.made,
                        labels: self.labels.clone(),
                        logits: self.test.record_read(&mut encoder, self.logits)?,
                    });
                    break;
                }
            }
        }
        if self.under_way.is_none() && self.untold > 0 {
            frame.told = Some(self.tell(&mut encoder)?);
        }
        if frame.expected.is_some() || frame.told.is_some() {
            self.gpu.queue().submit([encoder.finish()]);
        }
        self.last = last.map(|(work, expected)| (work, expected / spent.max(1e-9)));
        Ok(frame)
    }

    /// Records a read of what the steps have counted, and has them count anew.
    fn tell(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<Told> {
        let told = Told {
            step: self.made,
            steps: std::mem::take(&mut self.untold),
            loss: self.store.record_get(encoder, LOSS)?,
            counts: self.store.record_get(encoder, COUNTS)?,
        };
        self.store.set(LOSS, &Tensor::scalar(0.0))?;
        self.store.set(COUNTS, &Tensor::u32([2], vec![0; 2])?)?;
        Ok(told)
    }

    /// Tells how many milliseconds the last frame took on the device, where that has no timestamps.
    pub fn took(&mut self, milliseconds: f64) {
        let Some((work, share)) = self.last.take() else {
            return;
        };
        let session = match work {
            Work::Step => &mut self.step,
            Work::Test => &mut self.test,
        };
        session.report_time(share * milliseconds);
    }

    /// Names of all that training needs to go on to the bit.
    pub fn state_names(&self) -> Vec<String> {
        let left_out = [StateKind::Data, StateKind::Metric];
        let left_out = left_out.map(|kind| self.store.names_of(kind).collect::<Vec<_>>());
        let names = self.store.names();
        let names = names.filter(|name| !left_out.iter().any(|these| these.contains(name)));
        names.map(str::to_owned).collect()
    }

    /// Goes on from states that were read by these names.
    ///
    /// # Errors
    /// `Graph` or `Shape` if they are of another network; `OutOfMemory`, `DeviceLost`.
    pub fn restore(&mut self, states: &[(String, Tensor)]) -> Result<()> {
        self.store.restore(states)?;
        let clock = states.iter().find(|(name, _)| name == "clock");
        if let Some((_, clock)) = clock {
            self.made = clock.as_u32()?.get(2).copied().unwrap_or(0).into();
        }
        Ok(())
    }
}
