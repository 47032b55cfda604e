//! A trained classifier, from a file that says all of it.

use std::path::Path;

use super::card::ModelCard;
use super::checkpoint::averaged;
use super::safetensors::{fit, load};
use crate::data::Fit;
use crate::error::{Error, ErrorKind, Result};
use crate::file::replace_file;
use crate::gpu::Engine;
use crate::graph::{Graph, StateKind, Value};
use crate::models::Model;
use crate::nn::{Build, Module};
use crate::session::Session;
use crate::shape::Type;
use crate::store::{Store, blocking};
use crate::tensor::Tensor;
use crate::train::{About, Classifier, Normalise};

impl Classifier {
    /// Writes the network, its moving averages in place of the parameters that have some, and all
    /// that it takes to use it: its name, the size of images, their mean and deviation, and the
    /// names of classes. [`Predictor::load`] needs nothing else. `model` is the network that was
    /// trained, and `fit` how its pictures became images.
    ///
    /// # Errors
    /// `NotFinite` as [`expect_finite`](Self::expect_finite), and the file is as it was; `Shape` if
    /// `model` has other classes than the training set, `Checkpoint` if it has other parameters
    /// than what was trained; as [`save_parameters`](super::save_parameters).
    pub fn save_model(&mut self, path: impl AsRef<Path>, model: &Model, fit: Fit) -> Result<()> {
        self.expect_finite()?;
        save_network(path.as_ref(), self.store(), &self.about, model, fit)
    }
}

/// Writes a network of a store and what its images are, as [`Classifier::save_model`] says.
pub(super) fn save_network(
    path: &Path,
    store: &Store,
    about: &About,
    model: &Model,
    fit: Fit,
) -> Result<()> {
    if model.classes() != about.classes {
        return Err(Error::shape(format!(
            "save_model: {} has {} classes, the training set {}",
            model.name(),
            model.classes(),
            about.classes
        )));
    }
    let card = ModelCard {
        class_names: about.class_names.clone(),
        input: about.image,
        fit,
        ..ModelCard::new(model, &about.normalise)
    };
    let tensors = blocking(store.engine(), averaged(store))?;
    let evaluated = Evaluated::new(model, about.image)?;
    fit_states(tensors.clone(), &evaluated)
        .map_err(|e| e.context(format!("save_model: this is no {}", model.name())))?;
    replace_file(path, &card.file(tensors)?)
}

/// A network that evaluates one image.
struct Evaluated {
    graph: Graph,
    images: Value,
    shares: Value,
}

impl Evaluated {
    fn new(model: &Model, [channels, height, width]: [usize; 3]) -> Result<Self> {
        let mut g = Graph::new();
        let images = g.input("images", Type::f32([1, channels, height, width]))?;
        let logits = model.build(&mut Build::eval(&mut g), images)?;
        let shares = g.softmax(logits, 1)?;
        Ok(Self {
            graph: g,
            images,
            shares,
        })
    }
}

/// What a network needs of some tensors; those of heads that only training has are left out.
///
/// # Errors
/// `Checkpoint` if one is missing or of another shape.
fn fit_states(
    mut tensors: Vec<(String, Tensor)>,
    evaluated: &Evaluated,
) -> Result<Vec<(String, Tensor)>> {
    let kept = |kind| matches!(kind, StateKind::Parameter | StateKind::Statistic);
    let states = evaluated.graph.states().iter();
    let states = states.filter(|state| kept(state.kind));
    let expected: Vec<_> = states.map(|s| (s.name.clone(), s.ty.clone())).collect();
    tensors.retain(|(name, _)| expected.iter().any(|(own, _)| own == name));
    let found = fit(tensors, &expected)?;
    let names = expected.into_iter().map(|(name, _)| name);
    Ok(names.zip(found).collect())
}

/// The network of a file, and the store that has its states: what the file says, the model, its
/// graph.
fn network(
    engine: &Engine,
    tensors: &mut Vec<(String, Tensor)>,
) -> Result<(ModelCard, Model, Evaluated, Store)> {
    let card = ModelCard::take(tensors)?;
    let model = card.model()?;
    let evaluated = Evaluated::new(&model, card.input)?;
    let states = fit_states(std::mem::take(tensors), &evaluated)?;
    let store = Store::new(engine, &[&evaluated.graph], 0)?;
    store.restore(&states)?;
    Ok((card, model, evaluated, store))
}

/// What [`Predictor::load_on`] reads, without a session.
///
/// # Errors
/// As [`Predictor::load`].
pub(crate) fn load_network(engine: &Engine, path: &Path) -> Result<(ModelCard, Model, Store)> {
    let mut tensors = load(path)?;
    let (card, model, _, store) =
        network(engine, &mut tensors).map_err(|e| e.context(path.display()))?;
    Ok((card, model, store))
}

/// A trained classifier that says what a picture shows.
///
/// ```
/// use striate::data::{Fit, Split, digits};
/// use striate::interop::Predictor;
/// use striate::models::lenet5;
/// use striate::prelude::*;
/// use striate::train::{Classifier, ClassifierOptions};
///
/// # fn main() -> Result<()> {
/// let data = Split { train: digits(40, 1)?, test: digits(20, 2)? };
/// let options = ClassifierOptions { batch: 20, ..ClassifierOptions::default() };
/// let model = lenet5(10);
/// let mut classifier = Classifier::new(&Engine::cpu(), &model, &data, &options)?;
/// classifier.train(2)?;
/// # let path = std::env::temp_dir().join(format!("striate-doc-model-{}", std::process::id()));
/// classifier.save_model(&path, &model, Fit::Crop)?;
///
/// let mut predictor = Predictor::load_on(&Engine::cpu(), &path)?;
/// let prediction = predictor.predict(&data.test.images[..28 * 28])?;
/// println!("{} with {:.0} %", prediction.name, 100.0 * prediction.share);
/// assert_eq!(prediction.shares.len(), 10);
/// # std::fs::remove_file(&path).ok();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Predictor {
    card: ModelCard,
    normalise: Normalise,
    session: Session,
    images: Value,
    shares: Value,
}

/// What a [`Predictor`] says of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The class with the largest share.
    pub class: usize,
    /// Its name, or its number if it has none.
    pub name: String,
    /// Its share.
    pub share: f32,
    /// The share of each class; they add up to 1.
    pub shares: Vec<f32>,
}

impl Predictor {
    /// From a file that [`Trainer::save`](crate::train::Trainer::save) or
    /// [`Classifier::save_model`] wrote, on the best GPU or, where there is none, on the CPU.
    ///
    /// # Errors
    /// `Io` and `Data` from the file; `Unsupported` if this library has no network of its name;
    /// `Checkpoint` if it holds other parameters than that; `Shape` if the network takes no images
    /// of the size that it says; those of the device.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_on(&Engine::new()?, path)
    }

    /// As [`load`](Self::load), on an own device.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_on(engine: &Engine, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut tensors = load(path)?;
        Self::of(engine, &mut tensors).map_err(|e| e.context(path.display()))
    }

    fn of(engine: &Engine, tensors: &mut Vec<(String, Tensor)>) -> Result<Self> {
        let (card, _, evaluated, store) = network(engine, tensors)?;
        let normalise = card.normalise()?;
        Ok(Self {
            session: Session::new(&store, &evaluated.graph, &[evaluated.shares])?,
            card,
            normalise,
            images: evaluated.images,
            shares: evaluated.shares,
        })
    }

    /// What the file says of the network.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// What an image shows: pixels `[channels, height, width]` of the network's size
    /// ([`ModelCard::input`]).
    ///
    /// # Errors
    /// `Shape` if there are more or fewer pixels, `NotFinite` if the network makes NaN of them;
    /// those of the device.
    pub fn predict(&mut self, pixels: &[u8]) -> Result<Prediction> {
        let [channels, height, width] = self.card.input;
        if pixels.len() != channels * height * width {
            return Err(Error::shape(format!(
                "predict: {} pixels are no image of {channels}x{height}x{width}",
                pixels.len()
            )));
        }
        let scaled = self.normalise.image(pixels, channels);
        let image = Tensor::f32([1, channels, height, width], scaled)?;
        self.session.write(self.images, &image)?;
        self.session.run(1)?;
        let shares = self.session.read(self.shares)?.as_f32()?.to_vec();
        if !shares.iter().all(|share| share.is_finite()) {
            let message = "predict: the network makes NaN of this image";
            return Err(Error::new(ErrorKind::NotFinite, message));
        }
        let best = shares.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        let (class, share) = best.map_or((0, 0.0), |(class, &share)| (class, share));
        Ok(Prediction {
            class,
            name: self.card.class_name(class),
            share,
            shares,
        })
    }

    /// What a picture file (png, jpeg, webp) shows, of any size.
    ///
    /// # Errors
    /// `Io` if it cannot be read, `Data` if it is no picture; as [`predict`](Self::predict).
    #[cfg(feature = "images")]
    pub fn predict_file(&mut self, path: impl AsRef<Path>) -> Result<Prediction> {
        let pixels = crate::data::read_picture(path, self.card.input, self.card.fit)?;
        self.predict(&pixels)
    }
}
