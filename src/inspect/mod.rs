//! Seeing inside a trained network: what its layers make of a picture, and which pixels count.
//!
//! An [`Inspector`] is a network with its weights. Any layer is named as
//! [`Build::layers`](crate::nn::Build::layers) has it: `conv1`, `layer1.0.bn2`.
//!
//! - [`feature_maps`](Inspector::feature_maps): what a layer makes of a picture, map by map;
//!   [`filters`](Inspector::filters): the weights of a convolution.
//! - [`saliency`](Inspector::saliency): how much a class's score changes with each pixel;
//!   [`smooth_grad`](Inspector::smooth_grad): the same, as the mean over noisy pictures.
//! - [`integrated_gradients`](Inspector::integrated_gradients): what each pixel adds to the score,
//!   compared with a baseline; the sum over all is the whole difference.
//! - [`occlusion`](Inspector::occlusion): how much the score falls where the picture is covered.
//! - [`grad_cam`](Inspector::grad_cam) and [`grad_cam_plus_plus`](Inspector::grad_cam_plus_plus):
//!   where the maps of a layer speak for a class.
//! - [`maximise`](Inspector::maximise): a picture that excites one channel of a layer.
//! - [`sanity_check`](Inspector::sanity_check): whether a map depends on the weights at all.
//!
//! The score of a class is its logit, before softmax. Gradients are with respect to the network's
//! input, which is (pixel - mean) / deviation. All of it runs on the device of the store; random
//! draws are keyed by a seed, and are the same on every device.
//!
//! ```
//! use striate::data::Palette;
//! use striate::inspect::Inspector;
//! use striate::models::lenet5;
//! use striate::nn::{Build, Module};
//! use striate::prelude::*;
//! use striate::train::Normalise;
//!
//! # fn main() -> Result<()> {
//! // Here with weights as they are drawn; `Inspector::load` reads those of a trained network.
//! let mut g = Graph::new();
//! let images = g.input("images", Type::f32([1, 1, 28, 28]))?;
//! lenet5(10).build(&mut Build::eval(&mut g), images)?;
//! let store = Store::new(&Engine::cpu(), &[&g], 1)?;
//! let mut inspector = Inspector::new(&store, lenet5(10), [1, 28, 28])?
//!     .normalise(Normalise::given(&[0.13], &[0.31])?)?;
//!
//! let pixels = striate::data::digits(1, 1)?.images;
//! let maps = inspector.feature_maps(&pixels, "conv2")?;
//! assert_eq!(maps.size(), [16, 1, 10, 10]);
//! let cam = inspector.grad_cam(&pixels, 3, "conv2")?;
//! assert_eq!(cam.size(), [28, 28]);
//! let picture = cam.over(&pixels, [1, 28, 28], Palette::Inferno)?;
//! assert_eq!(picture.width(), 28);
//! # Ok(())
//! # }
//! ```

mod cam;
mod gradient;
mod graphs;
mod maps;
mod maximise;
mod names;
mod occlusion;
mod sanity;

#[cfg(feature = "interop")]
use std::path::Path;
use std::rc::Rc;

use crate::data::Fit;
use crate::error::{Error, ErrorKind, Result};
#[cfg(feature = "interop")]
use crate::gpu::Engine;
use crate::graph::{Graph, StateKind};
use crate::nn::Module;
use crate::session::Session;
use crate::shape::Shape;
use crate::store::Store;
use crate::tensor::Tensor;
use crate::train::{Classifier, Normalise};

pub use graphs::NamedLayer;
use graphs::{Drawn, Network, Sight, draw};
pub use maps::{Attribution, HeatMap, Maps};
pub use maximise::{MaximiseOptions, Maximised};
pub use sanity::SanityCheck;

/// The most compiled graphs that are kept for the next picture.
const KEPT: usize = 4;
/// The most pictures, and about the most numbers, that go through a network at once.
const BATCH: usize = 32;
const BATCH_NUMBERS: usize = 1 << 17;

/// A network with its weights, that is looked into. The module says what there is to see.
pub struct Inspector {
    net: Rc<dyn Module>,
    store: Store,
    input: [usize; 3],
    normalise: Normalise,
    fit: Fit,
    layers: Vec<NamedLayer>,
    /// The names of the network's own states.
    states: Vec<String>,
    output: Shape,
    class_names: Vec<String>,
    compiled: Vec<(Sight, Looking)>,
}

/// A graph that is ready to run.
struct Looking {
    session: Session,
    drawn: Drawn,
}

impl std::fmt::Debug for Inspector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspector")
            .field("net", &self.net)
            .field("input", &self.input)
            .field("normalise", &self.normalise)
            .finish_non_exhaustive()
    }
}

/// The names of parameters and statistics that a graph has.
fn network_states(g: &Graph) -> Vec<String> {
    let kept = |kind| matches!(kind, StateKind::Parameter | StateKind::Statistic);
    let states = g.states().iter().filter(|state| kept(state.kind));
    states.map(|state| state.name.clone()).collect()
}

/// # What is looked into
impl Inspector {
    /// The network of a file that [`Classifier::save_model`] wrote, on the best GPU or, where there
    /// is none, on the CPU.
    ///
    /// # Errors
    /// As [`Predictor::load`](crate::interop::Predictor::load); `NotFinite` as [`new`](Self::new).
    #[cfg(feature = "interop")]
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_on(&Engine::new()?, path)
    }

    /// As [`load`](Self::load), on an own device.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    #[cfg(feature = "interop")]
    pub fn load_on(engine: &Engine, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (card, model, store) = crate::interop::load_network(engine, path)?;
        let inspector =
            Self::new(&store, model, card.input).map_err(|e| e.context(path.display()))?;
        Ok(Self {
            normalise: card.normalise()?,
            class_names: card.class_names,
            fit: card.fit,
            ..inspector
        })
    }

    /// A network over the store that holds its states, of pictures of `[channels, height, width]`.
    ///
    /// # Errors
    /// `Graph` or `Shape` if the store has other states than the network; `NotFinite` if a state
    /// has numbers that are not finite, with its name; `Unsupported` on a borrowed device; those of
    /// the module.
    pub fn new(store: &Store, net: impl Module + 'static, input: [usize; 3]) -> Result<Self> {
        Self::shared(store, Rc::new(net), input)
    }

    /// The network of a classifier, as it is now: later steps of training show.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_classifier(classifier: &Classifier, net: impl Module + 'static) -> Result<Self> {
        let about = &classifier.about;
        let inspector = Self::new(classifier.store(), net, about.image)?;
        Ok(Self {
            class_names: about.class_names.clone(),
            normalise: about.normalise.clone(),
            ..inspector
        })
    }

    fn shared(store: &Store, net: Rc<dyn Module>, input: [usize; 3]) -> Result<Self> {
        let network = Network::new(&*net, input, 1)?;
        let g = &network.graph;
        for state in g.states() {
            store.layout().check(&state.name, &state.ty)?;
        }
        let states = network_states(g);
        for (name, tensor) in store.snapshot(&states)? {
            let Ok(numbers) = tensor.as_f32() else {
                continue;
            };
            let wrong = numbers.iter().filter(|x| !x.is_finite()).count();
            if wrong > 0 {
                let message = format!(
                    "{wrong} of {} numbers of \"{name}\" are NaN or infinite",
                    numbers.len()
                );
                return Err(Error::new(ErrorKind::NotFinite, message));
            }
        }
        let layers = network.layers.iter().map(|(name, value)| {
            Ok(NamedLayer {
                name: name.clone(),
                shape: g.shape(*value)?.clone(),
            })
        });
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
            output: g.shape(network.logits)?.clone(),
            net,
            store: store.clone(),
            input,
            normalise: Normalise::given(&[0.0], &[1.0])?,
            fit: Fit::default(),
            states,
            class_names: Vec::new(),
            compiled: Vec::new(),
        })
    }

    /// How pixels are shifted and scaled; to 0 to 1 unless it is set or comes with the network.
    ///
    /// # Errors
    /// `Data` if it is for another number of channels.
    pub fn normalise(mut self, normalise: Normalise) -> Result<Self> {
        normalise.expect_channels(self.input[0])?;
        self.normalise = normalise;
        Ok(self)
    }

    /// Channels, height and width of its pictures.
    pub fn input(&self) -> [usize; 3] {
        self.input
    }

    /// All layers that have names, inner ones before those around them.
    pub fn layers(&self) -> &[NamedLayer] {
        &self.layers
    }

    /// The last layer whose maps are larger than 1x1, pooled ones left out where others come
    /// before them: what Grad-CAM is best asked of.
    pub fn last_maps(&self) -> Option<&NamedLayer> {
        let with_maps = self.layers.iter().filter(|layer| layer.places() > 1);
        let with_maps: Vec<&NamedLayer> = with_maps.collect();
        let pooled = |&at: &usize| {
            let [before, own] = [with_maps[at - 1], with_maps[at]];
            before.shape[1] == own.shape[1] && before.places() > own.places()
        };
        let whole = (1..with_maps.len()).rev().find(|at| !pooled(at));
        with_maps.get(whole.unwrap_or(0)).copied()
    }

    /// How pictures of other sizes become the network's, as its file says; cropped where there is
    /// none.
    pub fn fit(&self) -> Fit {
        self.fit
    }

    /// How many logits the network makes of a picture.
    ///
    /// # Errors
    /// `Unsupported` if it makes something else, such as a map for each class.
    pub fn classes(&self) -> Result<usize> {
        match self.output[..] {
            [1, classes] => Ok(classes),
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the network makes {} of a picture, not one row of logits",
                    self.output
                ),
            )),
        }
    }

    /// Names of the classes, if they are known.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The name of a class, or its number if it has none.
    pub fn class_name(&self, class: usize) -> String {
        let name = self.class_names.get(class);
        name.cloned().unwrap_or_else(|| class.to_string())
    }

    /// The class of a name, or of a number.
    ///
    /// # Errors
    /// `Data` if there is none, with the name most like it or with some names; `Unsupported` as
    /// [`classes`](Self::classes).
    pub fn class(&self, name: &str) -> Result<usize> {
        let classes = self.classes()?;
        if let Some(class) = self.class_names.iter().position(|own| own == name) {
            return Ok(class);
        }
        match name.parse() {
            Ok(class) if class < classes => Ok(class),
            _ => {
                let names = self.class_names.iter().map(String::as_str);
                let hint = match self.class_names.len() {
                    0 => format!("they are 0 to {}", classes - 1),
                    _ => names::hint(name, names),
                };
                let message = format!("no class is called \"{name}\"; {hint}");
                Err(Error::new(ErrorKind::Data, message))
            }
        }
    }

    /// The logits of a picture, `[channels, height, width]` pixels.
    ///
    /// # Errors
    /// `Shape` if there are more or fewer pixels; `NotFinite` if the network makes NaN or
    /// infinities of them; `Unsupported` as [`classes`](Self::classes); those of the device.
    pub fn scores(&mut self, pixels: &[u8]) -> Result<Vec<f32>> {
        self.classes()?;
        let picture = self.normalised(pixels)?;
        self.scores_of(&[picture])
            .map(|mut rows| rows.swap_remove(0))
    }

    /// What a layer makes of a picture: maps `[k, 1, height, width]` of a layer of k channels, or
    /// `[1, 1, 1, features]` of one without spatial axes.
    ///
    /// # Errors
    /// `Graph` if there is no such layer, with the name most like it or some names; `Shape` if
    /// there are more or fewer pixels; `NotFinite`; those of the device.
    pub fn feature_maps(&mut self, pixels: &[u8], layer: &str) -> Result<Maps> {
        let picture = self.pictures(&[self.normalised(pixels)?])?;
        let sight = Sight::Layer(layer.to_owned());
        let output = self.look(sight, &[picture])?.swap_remove(0);
        let shape = output.shape().clone();
        let size = match shape[..] {
            [1, count, height, width] => [count, 1, height, width],
            [1, count, width] => [count, 1, 1, width],
            _ => [1, 1, 1, shape.count()],
        };
        Maps::new(output.as_f32()?.to_vec(), size)
    }

    /// The weights of a convolution, `[out, in / groups, height, width]`; of a transposed one, as
    /// PyTorch keeps them, `[in, out / groups, height, width]`.
    ///
    /// # Errors
    /// `Graph` if there is no such layer, or if it is no convolution over two axes, with those that
    /// are; those of the device.
    pub fn filters(&self, layer: &str) -> Result<Maps> {
        let of = |layer: &str| {
            let ty = self.store.ty(&format!("{layer}.weight")).ok()?;
            <[usize; 4]>::try_from(&ty.shape[..]).ok()
        };
        let Some(size) = of(layer) else {
            let names = self.layers.iter().map(|layer| layer.name.as_str());
            let names: Vec<&str> = names.filter(|name| of(name).is_some()).collect();
            return Err(Error::graph(format!(
                "layer \"{layer}\" has no filters of two axes; those that have: {}",
                names::listed(&names)
            )));
        };
        let weight = self.store.get(&format!("{layer}.weight"))?;
        Maps::new(weight.as_f32()?.to_vec(), size)
    }
}

/// # How views are made
impl Inspector {
    /// What the network is given for pixels.
    fn normalised(&self, pixels: &[u8]) -> Result<Vec<f32>> {
        let [channels, height, width] = self.input;
        if pixels.len() != channels * height * width {
            return Err(Error::shape(format!(
                "{} pixels are no picture of {channels}x{height}x{width}",
                pixels.len()
            )));
        }
        Ok(self.normalise.image(pixels, channels))
    }

    /// Fails unless there is a class of this number; returns how many there are.
    fn expect_class(&self, class: usize) -> Result<usize> {
        let classes = self.classes()?;
        match class < classes {
            true => Ok(classes),
            false => Err(Error::new(
                ErrorKind::Data,
                format!("class {class} of {classes}: they are 0 to {}", classes - 1),
            )),
        }
    }

    /// How many of `wanted` pictures go through the network at once.
    fn batch(&self, wanted: usize) -> usize {
        let numbers: usize = self.input.iter().product();
        (BATCH_NUMBERS / numbers.max(1)).clamp(1, BATCH).min(wanted)
    }

    /// Pictures as the input of a batch.
    fn pictures(&self, pictures: &[Vec<f32>]) -> Result<Tensor> {
        let [channels, height, width] = self.input;
        Tensor::f32([pictures.len(), channels, height, width], pictures.concat())
    }

    /// A weight for the logits of one picture: `weight` for one class, 0 for the others.
    fn one_hot(class: usize, classes: usize, weight: f32) -> Vec<f32> {
        let mut row = vec![0.0; classes];
        row[class] = weight;
        row
    }

    /// The logits of each of some pictures.
    fn scores_of(&mut self, pictures: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        let (classes, batch) = (self.classes()?, self.batch(pictures.len()));
        let mut scores = Vec::with_capacity(pictures.len());
        for chunk in pictures.chunks(batch) {
            let mut filled = chunk.to_vec();
            // Filler of a last, partial batch: its rows are not read.
            filled.resize(batch, chunk[0].clone());
            let filled = self.pictures(&filled)?;
            let logits = self.look(Sight::Scores(batch), &[filled])?.swap_remove(0);
            let rows = logits.as_f32()?.chunks_exact(classes).take(chunk.len());
            scores.extend(rows.map(<[f32]>::to_vec));
        }
        Ok(scores)
    }

    /// Runs the graph of a sight, compiled if none is kept, and reads what it makes.
    fn look(&mut self, sight: Sight, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let at = match self.compiled.iter().position(|(kept, _)| *kept == sight) {
            Some(at) => at,
            None => {
                let drawn = draw(&*self.net, self.input, &sight)?;
                let session = Session::new(&self.store, &drawn.graph, &drawn.outputs)?;
                if self.compiled.len() == KEPT {
                    self.compiled.remove(0);
                }
                self.compiled.push((sight, Looking { session, drawn }));
                self.compiled.len() - 1
            }
        };
        let Looking { session, drawn } = &mut self.compiled[at].1;
        for (&input, tensor) in drawn.inputs.iter().zip(inputs) {
            session.write(input, tensor)?;
        }
        session.run(1)?;
        let outputs = drawn.outputs.iter().map(|&output| {
            let tensor = session.read(output)?;
            expect_finite(&tensor)?;
            Ok(tensor)
        });
        outputs.collect()
    }
}

/// Fails if a view has numbers that are not finite.
fn expect_finite(tensor: &Tensor) -> Result<()> {
    match tensor.as_f32()?.iter().all(|x| x.is_finite()) {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::NotFinite,
            "the network makes NaN or infinities of this picture",
        )),
    }
}
