//! A network in somebody else's page: what `package/index.js` wraps. [`Network`] knows of no
//! browser, `page` hands it to scripts.

#[cfg(target_arch = "wasm32")]
mod page;

use striate::interop::{LoadOptions, ModelCard, load_state_dict_bytes};
use striate::models::Model;
use striate::prelude::*;
use striate::session::ReadFuture;
use striate::train::{Adam, minimize};

/// A network from a file that `Trainer::save` wrote, in use and in training.
#[derive(Debug)]
pub struct Network {
    card: ModelCard,
    model: Model,
    store: Store,
    session: Session,
    picture: Value,
    shares: Value,
    training: Option<Training>,
    rate: f64,
}

/// A step on batches of one size.
#[derive(Debug)]
struct Training {
    size: usize,
    session: Session,
    pictures: Value,
    labels: Value,
    loss: Value,
}

/// A step's graph: its pictures, labels and loss.
fn step(model: &Model, input: [usize; 3], size: usize, rate: f64) -> Result<(Graph, [Value; 3])> {
    let mut g = Graph::new();
    let [channels, height, width] = input;
    let x = g.input("pictures", Type::f32([size, channels, height, width]))?;
    let labels = g.input("labels", Type::u32([size]))?;
    let logits = model.build(&mut Build::train(&mut g), x)?;
    let loss = g.cross_entropy(logits, labels)?;
    minimize(&mut g, loss, Adam::new().lr(rate))?;
    Ok((g, [x, labels, loss]))
}

impl Network {
    /// The network of a safetensors file, to be trained at this learning rate.
    ///
    /// # Errors
    /// `Data` if the file is none, or does not say of which network it is; `Checkpoint` if its
    /// parameters are not that network's; `Unsupported` for pictures of other than 1 or 3 channels;
    /// those of the device.
    pub async fn load(engine: &Engine, file: &[u8], rate: f64) -> Result<Self> {
        let missing = "the file does not say of which network it is: save it by `Trainer::save`";
        let missing = || Error::new(ErrorKind::Data, missing);
        let card = ModelCard::read(file)?.ok_or_else(missing)?;
        let model = card.model()?;
        let [channels, height, width] = card.input;
        if ![1, 3].contains(&channels) {
            let message = format!("pictures of {channels} channels, only of 1 or 3 can be drawn");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let mut g = Graph::new();
        let picture = g.input("picture", Type::f32([1, channels, height, width]))?;
        let logits = model.build(&mut Build::eval(&mut g), picture)?;
        let shares = g.softmax(logits, 1)?;
        // The states of a step are those of any batch size.
        let (trained, _) = step(&model, card.input, 1, rate)?;
        let store = Store::new_async(engine, &[&g, &trained], 0).await?;
        load_state_dict_bytes(file, &store, &LoadOptions::new())?;
        let session = Session::builder(&store, &g).fetch(&[shares]);
        let session = session.build_async().await?;
        Ok(Self {
            card,
            model,
            store,
            session,
            picture,
            shares,
            training: None,
            rate,
        })
    }

    /// What the file says of it.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// Asks it of a picture, RGBA bytes of the size of its input: a share for each class.
    ///
    /// # Errors
    /// `Shape` for more or fewer bytes; those of the device.
    pub fn run(&mut self, rgba: &[u8]) -> Result<ReadFuture> {
        let picture = self.pictures(rgba, 1)?;
        self.session.write(self.picture, &picture)?;
        self.session.run(1)?;
        Ok(self.session.read_async(self.shares))
    }

    /// Trains one step on pictures, RGBA bytes one behind the other; the loss before it.
    ///
    /// # Errors
    /// `Shape` for bytes that are not one picture for each label, for no label at all, and for a
    /// label of no class; those of the device.
    pub async fn train(&mut self, rgba: &[u8], labels: &[u32]) -> Result<f32> {
        let (size, classes) = (labels.len(), self.card.classes);
        if size == 0 || labels.iter().any(|&label| label as usize >= classes) {
            let message = format!(
                "labels {labels:?}, some from 0 to {} are wanted",
                classes - 1
            );
            return Err(Error::new(ErrorKind::Shape, message));
        }
        let pictures = self.pictures(rgba, size)?;
        let mut training = match self.training.take() {
            Some(training) if training.size == size => training,
            _ => self.compiled(size).await?,
        };
        let labels = Tensor::u32([size], labels.to_vec())?;
        training.session.write(training.pictures, &pictures)?;
        training.session.write(training.labels, &labels)?;
        training.session.run(1)?;
        let loss = training.session.read_async(training.loss);
        self.training = Some(training);
        loss.await?.item()
    }

    /// The bytes of a file of it, as it is.
    ///
    /// # Errors
    /// Those of the device.
    pub async fn save(&self) -> Result<Vec<u8>> {
        let kinds = [StateKind::Parameter, StateKind::Statistic];
        let names = kinds.map(|kind| self.store.names_of(kind).collect::<Vec<_>>());
        let states = self.store.snapshot_async(&names.concat()).await?;
        self.card.file(states)
    }

    async fn compiled(&self, size: usize) -> Result<Training> {
        let (graph, [pictures, labels, loss]) =
            step(&self.model, self.card.input, size, self.rate)?;
        let session = Session::builder(&self.store, &graph).fetch(&[loss]);
        Ok(Training {
            size,
            session: session.build_async().await?,
            pictures,
            labels,
            loss,
        })
    }

    /// Planes of numbers as the network takes them.
    fn pictures(&self, rgba: &[u8], count: usize) -> Result<Tensor> {
        let [channels, height, width] = self.card.input;
        let plane = height * width;
        if rgba.len() != 4 * plane * count {
            let (given, wanted) = (rgba.len(), 4 * plane * count);
            let message =
                format!("{given} bytes, {count} pictures of {width}x{height} take {wanted}");
            return Err(Error::new(ErrorKind::Shape, message));
        }
        let normalise = self.card.normalise()?;
        let (means, deviations) = (normalise.means(), normalise.deviations());
        let mut planes = Vec::with_capacity(count * channels * plane);
        for picture in rgba.chunks_exact(4 * plane) {
            for channel in 0..channels {
                let at = |of: &[f64]| of[channel.min(of.len() - 1)];
                let (mean, deviation) = (at(&means), at(&deviations));
                planes.extend(picture.chunks_exact(4).map(|pixel| {
                    let value = match channels {
                        1 => grey(pixel),
                        _ => f64::from(pixel[channel]),
                    };
                    ((value - mean) / deviation) as f32
                }));
            }
        }
        Tensor::f32([count, channels, height, width], planes)
    }
}

/// Luma of a pixel (ITU-R BT.601).
fn grey(pixel: &[u8]) -> f64 {
    let [red, green, blue] = [0, 1, 2].map(|at| f64::from(pixel[at]));
    0.299 * red + 0.587 * green + 0.114 * blue
}
