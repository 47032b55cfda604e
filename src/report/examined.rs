//! What a report asks a trained network: its answers on a set, its filters, its feature maps.

use super::numbers::{Range, coloured};
use super::{Mistake, Panel, Report, Thumbnail, machine};
use crate::data::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Origin, Value};
use crate::interop::averaged;
use crate::nn::{Build, Module};
use crate::session::Session;
use crate::shape::Type;
use crate::store::{Store, blocking};
use crate::tensor::Tensor;
use crate::train::{Classifier, Normalise, Trainer};

/// Images that are evaluated at once.
const BATCH: usize = 250;

/// The most pictures of a layer.
const MOST_PICTURES: usize = 32;

/// Mistakes that a page shows.
const MISTAKES: usize = 24;

/// A trained classifier, evaluated for a report: a copy of its parameters, or of their moving
/// averages where it has some, and of its running statistics.
#[derive(Debug)]
pub struct Examined<M> {
    store: Store,
    model: M,
    image: [usize; 3],
    normalise: Normalise,
}

/// What a network says of each image of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    classes: usize,
    /// Probabilities `[count, classes]`.
    shares: Vec<f32>,
}

impl Answers {
    /// The probabilities of the classes for an image; they add up to 1. None if the set has no
    /// image of this number.
    pub fn shares(&self, image: usize) -> Option<&[f32]> {
        let first = image.checked_mul(self.classes)?;
        self.shares.get(first..first.checked_add(self.classes)?)
    }

    /// The class with the largest probability; none if the set has no image of this number.
    pub fn class(&self, image: usize) -> Option<usize> {
        Some(self.best(image)?.0)
    }

    /// The class with the largest probability, and that.
    fn best(&self, image: usize) -> Option<(usize, f32)> {
        let shares = self.shares(image)?.iter().copied().enumerate();
        // The first of equals.
        shares.rev().max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// How often which class was taken for which: counts `[classes, classes]`, a row for each
    /// class that images have.
    fn confusion(&self, set: &Dataset) -> Vec<u32> {
        let mut counts = vec![0; self.classes * self.classes];
        for (image, &label) in set.labels.iter().enumerate() {
            if let Some(answer) = self.class(image) {
                counts[label as usize * self.classes + answer] += 1;
            }
        }
        counts
    }

    /// The images whose wrong answers have the largest probabilities, those first; none if the
    /// images are no pictures.
    fn mistakes(&self, set: &Dataset, most: usize) -> Result<Vec<Mistake>> {
        let size = [set.channels, set.height, set.width];
        if !is_picture(size) {
            return Ok(Vec::new());
        }
        let labels = set.labels.iter().enumerate();
        let mut wrong: Vec<(f32, usize, usize, usize)> = labels
            .filter_map(|(image, &label)| {
                let (answer, probability) = self.best(image)?;
                let truth = label as usize;
                (truth != answer).then_some((probability, image, truth, answer))
            })
            .collect();
        wrong.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let pixels = size.iter().product::<usize>();
        let mistake = |&(probability, image, truth, answer): &(f32, usize, usize, usize)| {
            let picture = set.images[image * pixels..][..pixels].to_vec();
            Ok(Mistake {
                picture: Thumbnail::new(picture, size)?,
                truth,
                answer,
                probability,
            })
        };
        wrong.iter().take(most).map(mistake).collect()
    }
}

impl<M: Module> Examined<M> {
    /// A classifier as it is now; `model` is the network that it trains.
    ///
    /// # Errors
    /// `Graph` if the classifier lacks a state of the model, `Shape` if one has another type;
    /// `Unsupported` on a borrowed device; those of the device.
    pub fn of(classifier: &Classifier, model: M) -> Result<Self> {
        let about = &classifier.about;
        let normalise = about.normalise.clone();
        Self::new(classifier.store(), model, about.image, normalise)
    }

    /// As [`of`](Self::of), of what a [`Trainer`] trains.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_trainer(trainer: &Trainer, model: M) -> Result<Self> {
        let about = &trainer.about;
        let normalise = about.normalise.clone();
        Self::new(trainer.store(), model, about.image, normalise)
    }

    /// Of a store that has the states of `model`, for images of this size.
    pub(crate) fn new(
        store: &Store,
        model: M,
        image: [usize; 3],
        normalise: Normalise,
    ) -> Result<Self> {
        let engine = store.engine();
        let mut states = blocking(engine, averaged(store))?;
        let graph = evaluated(&model, image, 1)?.0;
        states.retain(|(name, _)| graph.find_state(name).is_some());
        if let Some(missing) = graph
            .states()
            .iter()
            .find(|state| !states.iter().any(|(name, _)| *name == state.name))
        {
            return Err(Error::graph(format!(
                "report: the store has no \"{}\", which the network needs",
                missing.name
            )));
        }
        let own = Store::new(engine, &[&graph], 0)?;
        own.restore(&states)?;
        Ok(Self {
            store: own,
            model,
            image,
            normalise,
        })
    }

    /// What it says of each image of a set.
    ///
    /// # Errors
    /// `Shape` if the images are of another size; `NotFinite` if the network makes NaN of one;
    /// those of the device.
    pub fn answers(&self, set: &Dataset) -> Result<Answers> {
        set.check()?;
        let size = [set.channels, set.height, set.width];
        if size != self.image {
            return Err(Error::shape(format!(
                "report: images {size:?}, the network takes {:?}",
                self.image
            )));
        }
        let batch = BATCH.min(set.count.max(1));
        let (mut graph, images, logits) = evaluated(&self.model, self.image, batch)?;
        let shares = graph.softmax(logits, 1)?;
        let classes = graph.shape(logits)?[1];
        if classes < set.classes {
            return Err(Error::shape(format!(
                "report: the network has {classes} classes, the set {}",
                set.classes
            )));
        }
        let mut session = Session::new(&self.store, &graph, &[shares])?;
        let pixels = size.iter().product::<usize>();
        let mut answers = Answers {
            classes,
            shares: crate::tensor::room(set.count * classes)?,
        };
        for few in set.images.chunks(batch * pixels) {
            session.write(images, &self.batch(few, batch)?)?;
            session.run(1)?;
            let found = session.read(shares)?;
            let found = &found.as_f32()?[..few.len() / pixels * classes];
            answers.shares.extend(found);
        }
        if let Some(at) = answers.shares.iter().position(|share| !share.is_finite()) {
            let message = format!("report: the network makes NaN of image {}", at / classes);
            return Err(Error::new(ErrorKind::NotFinite, message));
        }
        Ok(answers)
    }

    /// Normalised images, behind them zeros up to a whole batch.
    fn batch(&self, images: &[u8], batch: usize) -> Result<Tensor> {
        let [channels, height, width] = self.image;
        let mut scaled = crate::tensor::room(batch * channels * height * width)?;
        let size = (channels * height * width).max(1);
        for image in images.chunks(size) {
            scaled.extend(self.normalise.image(image, channels));
        }
        scaled.resize(batch * channels * height * width, 0.0);
        Tensor::f32([batch, channels, height, width], scaled)
    }

    /// The filters of the first convolution; none if there is none. Those of three channels are
    /// shown in colours, of others the weights for the first channel.
    ///
    /// # Errors
    /// Those of the device.
    pub fn filters(&self) -> Result<Option<Panel>> {
        let (graph, ..) = evaluated(&self.model, self.image, 1)?;
        let mut nodes = graph.nodes().iter();
        let Some(node) = nodes.find(|node| node.op.name() == "conv2d") else {
            return Ok(None);
        };
        let weight = node.inputs.get(1).map(|&value| graph.source(value));
        let Some(&Origin::State(index)) = weight.transpose()? else {
            return Ok(None);
        };
        let name = &graph.states()[index].name;
        let weight = self.store.get(name)?;
        let &[count, channels, height, width] = &weight.shape()[..] else {
            return Ok(None);
        };
        let values = weight.as_f32()?;
        let plane = height * width;
        let filters = values
            .chunks_exact(channels * plane)
            .take(2 * MOST_PICTURES);
        let range = match Range::of(values) {
            Range::Positive(most) | Range::Signed(most) => Range::Signed(most),
        };
        let (pictures, scale): (Result<Vec<_>>, _) = match (channels, range) {
            (3, Range::Signed(most)) => (
                filters
                    .map(|filter| coloured(filter, [height, width], most))
                    .collect(),
                format!(
                    "grey 0, full colours \u{b1}{}",
                    crate::train::digits(most.into())
                ),
            ),
            _ => (
                filters
                    .map(|filter| range.picture(&filter[..plane], [height, width]))
                    .collect(),
                range.note(),
            ),
        };
        let of = match channels {
            1 | 3 => String::new(),
            _ => format!(", for the first of {channels} channels"),
        };
        let pictures = pictures?;
        Ok(Some(Panel {
            title: name.clone(),
            note: format!(
                "{}{of}; {scale}",
                shown(pictures.len(), count, [height, width])
            ),
            pictures,
        }))
    }

    /// What each layer of convolution or pooling makes of an image, pixels `[channels, height,
    /// width]`: one picture for each map, 32 at most.
    ///
    /// # Errors
    /// `Shape` if there are more or fewer pixels; those of the device.
    pub fn maps(&self, pixels: &[u8]) -> Result<Vec<Panel>> {
        if pixels.len() != self.image.iter().product::<usize>() {
            return Err(Error::shape(format!(
                "report: {} pixels are no image of {:?}",
                pixels.len(),
                self.image
            )));
        }
        let [channels, height, width] = self.image;
        let mut graph = Graph::new();
        let images = graph.input("images", Type::f32([1, channels, height, width]))?;
        let mut context = Build::eval(&mut graph);
        self.model.build(&mut context, images)?;
        let layers = context.into_layers();
        let mut found: Vec<(String, &str, Value)> = Vec::new();
        for (at, (name, value, nodes)) in layers.iter().enumerate() {
            let inside = format!("{name}.");
            let outer = layers[..at]
                .iter()
                .any(|(other, ..)| other.starts_with(&inside));
            let mut ops = graph.nodes()[nodes.clone()]
                .iter()
                .map(|node| node.op.name());
            let op = ops.find(|op| op.starts_with("conv") || op.contains("pool"));
            let shape = graph.shape(*value)?;
            if let (Some(op), false, &[1, _, height, width]) = (op, outer, &shape[..])
                && height * width > 1
            {
                found.push((name.clone(), op, *value));
            }
        }
        let values: Vec<Value> = found.iter().map(|(.., value)| *value).collect();
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let mut session = Session::new(&self.store, &graph, &values)?;
        session.write(images, &self.batch(pixels, 1)?)?;
        session.run(1)?;
        let panel = |(name, op, value): (String, &str, Value)| {
            let maps = session.read(value)?;
            let [count, height, width] = [1, 2, 3].map(|axis| maps.shape()[axis]);
            let values = maps.as_f32()?;
            let range = Range::of(values);
            let pictures = values.chunks_exact(height * width).take(MOST_PICTURES);
            let pictures = pictures.map(|map| range.picture(map, [height, width]));
            let pictures = pictures.collect::<Result<Vec<_>>>()?;
            let count = shown(pictures.len(), count, [height, width]);
            Ok(Panel {
                title: name,
                note: format!("{op}, {count}; {}", range.note()),
                pictures,
            })
        };
        found.into_iter().map(panel).collect()
    }
}

/// Whether images of this size can be shown: they are grey or coloured.
fn is_picture([channels, height, width]: [usize; 3]) -> bool {
    matches!(channels, 1 | 3) && height * width > 0
}

/// `6 of 28×28`, `32 of 512 of 7×7`.
fn shown(shown: usize, all: usize, [height, width]: [usize; 2]) -> String {
    match shown == all {
        true => format!("{all} of {height}\u{d7}{width}"),
        false => format!("the first {shown} of {all}, of {height}\u{d7}{width}"),
    }
}

/// The graph that evaluates a batch of images: itself, images, logits.
fn evaluated(
    model: &impl Module,
    image: [usize; 3],
    batch: usize,
) -> Result<(Graph, Value, Value)> {
    let [channels, height, width] = image;
    let mut graph = Graph::new();
    let images = graph.input("images", Type::f32([batch, channels, height, width]))?;
    let logits = model.build(&mut Build::eval(&mut graph), images)?;
    match graph.shape(logits)?[..] {
        [rows, _] if rows == batch => Ok((graph, images, logits)),
        _ => Err(Error::shape(format!(
            "report: the network makes {} of {batch} images, logits of classes are needed",
            graph.ty(logits)?
        ))),
    }
}

impl Report {
    /// All of a trainer's run: its facts and epochs, this machine, and what the network says of a
    /// set ([`examine`](Self::examine)). `model` is the network that it trains.
    ///
    /// ```
    /// use striate::data::{Split, digits};
    /// use striate::models::lenet5;
    /// use striate::prelude::*;
    /// use striate::report::Report;
    /// use striate::train::Trainer;
    ///
    /// # fn main() -> Result<()> {
    /// let data = Split { train: digits(40, 1)?, test: digits(20, 2)? };
    /// let model = lenet5(10);
    /// let mut trainer = Trainer::builder(&Engine::cpu(), &model, &data).epochs(1).build()?;
    /// trainer.fit()?;
    /// let report = Report::of_trainer("Digits", &trainer, &model, &data.test)?;
    /// assert!(report.html()?.contains("<h1>Digits</h1>"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Examined::of_trainer`] and [`Examined::answers`].
    pub fn of_trainer(
        title: impl Into<String>,
        trainer: &Trainer,
        model: impl Module,
        set: &Dataset,
    ) -> Result<Self> {
        let mut report = Self::new(title);
        report.run.steps_per_epoch = trainer.steps_per_epoch();
        report.run.facts = trainer.facts().to_vec();
        report.run.restores_best = trainer.is_of_best();
        report.facts = machine();
        report.epochs = trainer.history().to_vec();
        report.run.epochs = report.epochs.len();
        report.ended = trainer.ended();
        report.examine(&Examined::of_trainer(trainer, model)?, set)?;
        Ok(report)
    }

    /// Adds what a network says of a set: names of classes, what was taken for what, the most
    /// certain mistakes; its first filters, and what its layers make of the set's first image.
    /// Images of other than 1 or 3 channels are no pictures: mistakes and the first image are left
    /// out then.
    ///
    /// # Errors
    /// As [`Examined::answers`].
    pub fn examine<M: Module>(&mut self, network: &Examined<M>, set: &Dataset) -> Result<()> {
        let answers = network.answers(set)?;
        self.class_names = set.class_names.clone();
        self.confusion = answers.confusion(set);
        self.mistakes = answers.mistakes(set, MISTAKES)?;
        self.filters = network.filters()?;
        let pixels = network.image.iter().product::<usize>();
        if let (Some(image), Some(&label)) = (set.images.get(..pixels), set.labels.first()) {
            self.pictured = match is_picture(network.image) {
                true => Some((
                    Thumbnail::new(image.to_vec(), network.image)?,
                    label as usize,
                )),
                false => None,
            };
            self.maps = network.maps(image)?;
        }
        Ok(())
    }
}
