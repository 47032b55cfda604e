//! Three classes of one's own: a linear head, trained on what a frozen trunk makes of pictures.
//!
//! ```text
//! picture, 3 colours ---> LeNet-5 up to its second pooling ---> features, 3 x 400 ---> head
//!                         each colour as a grey picture         kept for each
//! ```

use striate::gpu::Progress;
use striate::interop::{LoadOptions, load_state_dict_bytes};
use striate::nn::{Linear, Sequential};
use striate::ops::CrossEntropyLoss;
use striate::prelude::*;
use striate::session::ReadFuture;
use striate::train::{Adam, minimize};
use striate::wgpu;

use crate::reading::LAYERS;
use crate::{SIDE, factors, largest, network, normalise_of};

/// Classes.
pub const CLASSES: usize = 3;
/// The most pictures of a class.
pub const MOST: usize = 32;
/// Of so many pictures of a class the last one is kept back: the head never learns from it.
pub const KEPT_EVERY: usize = 4;
/// Bytes of a picture: red, green and blue planes.
pub const PIXELS: usize = COLOURS * SIDE * SIDE;

const COLOURS: usize = 3;
/// The trunk's last layer, as the page calls it.
const TRUNK: &str = "pool2";
/// Steps that each change of the pictures is followed by.
const STEPS: usize = 60;
const RATE: f64 = 0.01;
/// Pulls the head to 0, by which it is undecided about what is like none of the pictures.
const DECAY: f64 = 0.003;

const FEATURES: &str = "taught.features";
const LABELS: &str = "taught.labels";
/// The label of rows that the head does not learn from.
const UNLEARNT: u32 = u32::MAX;

/// The classes in training and in use.
#[derive(Debug)]
pub struct Teaching {
    gpu: Gpu,
    store: Store,
    scaling: [f32; 2],
    look: Session,
    x: Value,
    features: Value,
    shares: Value,
    learn: Session,
    logits: Value,
    /// Numbers that the trunk makes of a picture.
    width: usize,
    /// Of each class what the trunk made of its pictures.
    classes: [Vec<Vec<f32>>; CLASSES],
    /// Whether the device has other pictures than these.
    changed: bool,
    /// Steps that are due.
    due: usize,
    /// The states of the head, as it began.
    first: Vec<(String, Tensor)>,
}

/// What is made of a picture, on its way.
#[derive(Debug)]
pub struct Look {
    features: ReadFuture,
    shares: ReadFuture,
}

/// What is made of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// What [`Teaching::add`] takes.
    pub features: Vec<f32>,
    /// The probability of each class.
    pub shares: Vec<f32>,
}

impl Look {
    /// Waits for it.
    ///
    /// # Errors
    /// `DeviceLost`, `Readback`.
    pub async fn arrive(self) -> Result<Seen> {
        let floats = |tensor: Tensor| Ok(tensor.as_f32()?.to_vec());
        Ok(Seen {
            features: floats(self.features.await?)?,
            shares: floats(self.shares.await?)?,
        })
    }
}

/// How all pictures are read, on its way.
#[derive(Debug)]
pub struct Judging {
    logits: ReadFuture,
    counts: [usize; CLASSES],
}

/// How all pictures are read: `[class][read as]`, of the classes that have pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Judged {
    /// Pictures that were learnt from.
    pub learnt: [[u32; CLASSES]; CLASSES],
    /// Pictures that were kept back.
    pub kept: [[u32; CLASSES]; CLASSES],
}

impl Judging {
    /// Waits for it.
    ///
    /// # Errors
    /// `DeviceLost`, `Readback`.
    pub async fn arrive(self) -> Result<Judged> {
        let logits = self.logits.await?;
        let mut logits = logits.as_f32()?.to_vec();
        for row in logits.chunks_exact_mut(CLASSES) {
            for (logit, &count) in row.iter_mut().zip(&self.counts) {
                if count == 0 {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
        let rows: Vec<&[f32]> = logits.chunks_exact(CLASSES).collect();
        let mut judged = Judged::default();
        for (class, &count) in self.counts.iter().enumerate() {
            for (number, row) in rows.iter().skip(class * MOST).take(count).enumerate() {
                let table = match is_kept(number) {
                    true => &mut judged.kept,
                    false => &mut judged.learnt,
                };
                table[class][largest(row)] += 1;
            }
        }
        Ok(judged)
    }
}

/// Whether the picture of this number in its class is kept back.
fn is_kept(number: usize) -> bool {
    number % KEPT_EVERY == KEPT_EVERY - 1
}

/// The head: logits of each class.
fn head(cx: &mut Build, features: Value, width: usize) -> Result<Value> {
    let head = Sequential::new().named("head", Linear::new(width, CLASSES));
    head.build(cx, features)
}

/// What the trunk makes of pictures x f32 `[n * 3, 1, SIDE, SIDE]`: f32 `[n, width]`, of mean
/// square 1.
fn trunk(g: &mut Graph, x: Value, pictures: usize) -> Result<(Value, usize)> {
    let mut cx = Build::eval(g);
    network().build(&mut cx, x)?;
    let missing = || Error::new(ErrorKind::Graph, "the network has no second pooling");
    let built = LAYERS.iter().find(|(name, _)| *name == TRUNK);
    let maps = built
        .and_then(|(_, built)| cx.find(built))
        .ok_or_else(missing)?;
    let width = g.ty(maps)?.count() / pictures;
    let flat = g.reshape(maps, [pictures, width])?;
    Ok((g.rms_norm(flat, 1, None, 1e-6)?, width))
}

impl Teaching {
    /// The trunk of a network in a safetensors file; `progress` hears of pipelines.
    ///
    /// # Errors
    /// `Unsupported` on the CPU reference; `Data` and `Checkpoint` from the file; those of the
    /// device.
    pub async fn new(
        engine: &Engine,
        file: &[u8],
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<Self> {
        let Some(gpu) = engine.gpu() else {
            let message = "classes are taught on a GPU";
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        let scaling = factors(&normalise_of(file)?);
        let mut looking = Graph::new();
        let x = looking.input("x", Type::f32([COLOURS, 1, SIDE, SIDE]))?;
        let (features, width) = trunk(&mut looking, x, 1)?;
        let logits = head(&mut Build::eval(&mut looking), features, width)?;
        let shares = looking.softmax(logits, 1)?;

        let mut learning = Graph::new();
        let rows = CLASSES * MOST;
        let none = Init::Constant(0.0);
        let taught = Type::f32([rows, width]);
        let taught = learning.state(FEATURES, taught, StateKind::Data, none, None)?;
        let unlearnt = Tensor::u32([rows], vec![UNLEARNT; rows])?;
        let (ty, unlearnt) = (unlearnt.ty().clone(), Init::Tensor(unlearnt.into()));
        let labels = learning.state(LABELS, ty, StateKind::Data, unlearnt, None)?;
        let logits = head(&mut Build::train(&mut learning), taught, width)?;
        let counted = CrossEntropyLoss::new().ignore_index(UNLEARNT);
        let loss = learning.cross_entropy_with(logits, labels, counted)?;
        minimize(
            &mut learning,
            loss,
            Adam::new().lr(RATE).weight_decay(DECAY),
        )?;

        let store = Store::new_async(engine, &[&looking, &learning], 1).await?;
        let options = LoadOptions::new().strip_prefix("module.").strict(false);
        let report = load_state_dict_bytes(file, &store, &options)?;
        let missing = report
            .missing
            .iter()
            .find(|name| !name.starts_with("head."));
        let other = report.other_shape.iter().map(|other| &other.name);
        if let Some(name) = missing.into_iter().chain(other).next() {
            let message = format!("the file has no \"{name}\" of the page's network");
            return Err(Error::new(ErrorKind::Checkpoint, message));
        }
        let look = Session::builder(&store, &looking)
            .fetch(&[features, shares])
            .progress(&mut progress)
            .build_async()
            .await?;
        let learn = Session::builder(&store, &learning)
            .fetch(&[logits])
            .progress(&mut progress)
            .build_async()
            .await?;
        let names: Vec<&str> = (learning.states().iter())
            .filter(|state| state.kind != StateKind::Data)
            .map(|state| state.name.as_str())
            .collect();
        let first = store.snapshot_async(&names).await?;
        Ok(Self {
            gpu: gpu.clone(),
            store,
            scaling,
            look,
            x,
            features,
            shares,
            learn,
            logits,
            width,
            classes: Default::default(),
            changed: false,
            due: 0,
            first,
        })
    }

    /// Looks at a picture of [`PIXELS`] bytes, its red, green and blue planes. One submission.
    ///
    /// # Errors
    /// `Shape` for more or fewer bytes; `OutOfMemory`, `DeviceLost`.
    pub fn look(&mut self, pixels: &[u8]) -> Result<Look> {
        let [scale, shift] = self.scaling;
        let scaled = pixels.iter().map(|&byte| f32::from(byte) * scale + shift);
        let x = Tensor::f32([COLOURS, 1, SIDE, SIDE], scaled.collect())?;
        self.look.write(self.x, &x)?;
        let mut encoder = self.encoder("looking");
        self.look.record(&mut encoder, 1)?;
        let look = Look {
            features: self.look.record_read(&mut encoder, self.features)?,
            shares: self.look.record_read(&mut encoder, self.shares)?,
        };
        self.gpu.queue().submit([encoder.finish()]);
        Ok(look)
    }

    /// Adds a picture to a class, by what was seen of it. False if the class is full.
    ///
    /// # Errors
    /// `Shape` if there is no such class, or for more or fewer numbers.
    pub fn add(&mut self, class: usize, features: &[f32]) -> Result<bool> {
        if class >= CLASSES || features.len() != self.width {
            let (given, width) = (features.len(), self.width);
            let message = format!("class {class} of {CLASSES}, {given} numbers of {width}");
            return Err(Error::new(ErrorKind::Shape, message));
        }
        let pictures = &mut self.classes[class];
        if pictures.len() == MOST {
            return Ok(false);
        }
        pictures.push(features.to_vec());
        self.change();
        Ok(true)
    }

    /// Takes all pictures of a class away; the head begins anew.
    ///
    /// # Errors
    /// `Shape` if there is no such class; `OutOfMemory`, `DeviceLost`.
    pub fn clear(&mut self, class: usize) -> Result<()> {
        let missing = || {
            let message = format!("class {class} of {CLASSES}");
            Error::new(ErrorKind::Shape, message)
        };
        self.classes.get_mut(class).ok_or_else(missing)?.clear();
        self.store.restore(&self.first)?;
        self.change();
        Ok(())
    }

    fn change(&mut self) {
        self.changed = true;
        self.due = STEPS;
    }

    /// Pictures of each class.
    pub fn counts(&self) -> [usize; CLASSES] {
        self.classes.each_ref().map(Vec::len)
    }

    /// Whether two classes at least have pictures to learn from.
    pub fn can_learn(&self) -> bool {
        self.counts().iter().filter(|&&count| count > 0).count() >= 2
    }

    /// Steps that are due.
    pub fn due(&self) -> usize {
        match self.can_learn() {
            true => self.due,
            false => 0,
        }
    }

    /// Makes up to `most` of the steps that are due, in one submission, and has all pictures read
    /// as the head was before the last of them. None if nothing is due.
    ///
    /// # Errors
    /// `OutOfMemory`, `DeviceLost`.
    pub fn frame(&mut self, most: usize) -> Result<Option<Judging>> {
        let steps = most.min(self.due());
        if steps == 0 {
            return Ok(None);
        }
        if self.changed {
            let (features, labels) = self.rows()?;
            self.store.set(FEATURES, &features)?;
            self.store.set(LABELS, &labels)?;
            self.changed = false;
        }
        let mut encoder = self.encoder("learning");
        self.learn.record(&mut encoder, steps)?;
        let judging = Judging {
            logits: self.learn.record_read(&mut encoder, self.logits)?,
            counts: self.counts(),
        };
        self.gpu.queue().submit([encoder.finish()]);
        self.due -= steps;
        Ok(Some(judging))
    }

    /// All pictures, `MOST` rows of each class, and their labels.
    fn rows(&self) -> Result<(Tensor, Tensor)> {
        let rows = CLASSES * MOST;
        let mut features = vec![0.0; rows * self.width];
        let mut labels = vec![UNLEARNT; rows];
        for (class, pictures) in self.classes.iter().enumerate() {
            for (number, picture) in pictures.iter().enumerate() {
                let row = class * MOST + number;
                features[row * self.width..][..self.width].copy_from_slice(picture);
                if !is_kept(number) {
                    labels[row] = class as u32;
                }
            }
        }
        Ok((
            Tensor::f32([rows, self.width], features)?,
            Tensor::u32([rows], labels)?,
        ))
    }

    fn encoder(&self, label: &str) -> wgpu::CommandEncoder {
        let label = Some(label);
        let descriptor = wgpu::CommandEncoderDescriptor { label };
        self.gpu.device().create_command_encoder(&descriptor)
    }
}
