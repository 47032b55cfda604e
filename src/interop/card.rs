//! What a file says of the network whose parameters it holds.

#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::header::HeaderEntry;
use super::kind::Kind;
#[cfg(not(target_arch = "wasm32"))]
use super::safetensors::read_file;
use super::safetensors::{decoded, encode, read_bytes};
use crate::data::Fit;
use crate::error::{Error, ErrorKind, Result};
use crate::models::{self, Model};
use crate::tensor::Tensor;
use crate::train::Normalise;

/// The tensor of bytes in which a card lies, as JSON: so its place in a file is fixed, and its
/// bytes are part of the file's hash.
pub(super) const CARD: &str = "striate.model";

/// The most classes that a card may name, and the most bytes that one takes.
const MOST_CLASSES: usize = 1 << 20;
const MOST_BYTES: usize = 16 << 20;
/// The most channels, rows or columns of an image.
const MOST_EXTENT: usize = 1 << 16;

/// What a file says of the network whose parameters it holds, and of the pictures that it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelCard {
    /// Name of the network ([`Model::name`]).
    pub model: String,
    /// Number of classes.
    pub classes: usize,
    /// Names of the classes, if they are known.
    pub class_names: Vec<String>,
    /// Channels, height and width of its images.
    pub input: [usize; 3],
    /// How pictures of other sizes become these.
    #[serde(with = "by_name")]
    pub fit: Fit,
    /// Mean of the pixels, from 0 to 255, that is taken off: one for all channels, or one for each.
    #[serde(with = "one_or_each")]
    pub mean: Vec<f64>,
    /// Their deviations, by which they are divided then.
    #[serde(with = "one_or_each")]
    pub deviation: Vec<f64>,
}

/// The card, if that is what a tensor of a file holds.
fn card(entry: HeaderEntry, bytes: Vec<u8>) -> Result<Option<(String, Tensor)>> {
    match *entry.name == *CARD {
        true => decoded(entry, bytes).map(Some),
        false => Ok(None),
    }
}

impl ModelCard {
    /// What a file is to say of a network whose pictures are of the size that it was made for.
    /// Classes have no names, pictures of other sizes are [fitted](Fit) as by default.
    pub fn new(model: &Model, normalise: &Normalise) -> Self {
        Self {
            model: model.name().to_owned(),
            classes: model.classes(),
            class_names: Vec::new(),
            input: model.input(),
            fit: Fit::default(),
            mean: normalise.means(),
            deviation: normalise.deviations(),
        }
    }

    /// The card in the bytes of a file, if there is one: a state dict of another program's has
    /// none.
    ///
    /// # Errors
    /// `Data` if the bytes are no safetensors file, or if their card does not hold together.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>> {
        Self::found(read_bytes(bytes, card)?)
    }

    /// The card in a file, as [`read`](Self::read) has it of bytes.
    ///
    /// # Errors
    /// As [`read`](Self::read); `Io` if the file cannot be read.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn load(path: impl AsRef<Path>) -> Result<Option<Self>> {
        let path = path.as_ref();
        let found = Self::found(read_file(path, card)?);
        found.map_err(|e| e.context(path.display()))
    }

    fn found(tensors: Vec<Option<(String, Tensor)>>) -> Result<Option<Self>> {
        let mut found: Vec<_> = tensors.into_iter().flatten().collect();
        match found.is_empty() {
            true => Ok(None),
            false => Self::take(&mut found).map(Some),
        }
    }

    /// The bytes of a file of these states that has this card, as `Trainer::save` writes it: for
    /// browsers, which have no files.
    ///
    /// # Errors
    /// As [`encode`](super::safetensors::encode).
    pub fn file(&self, mut states: Vec<(String, Tensor)>) -> Result<Vec<u8>> {
        states.push(self.tensor()?);
        encode(&states)
    }

    /// The card as a tensor of a file.
    pub(super) fn tensor(&self) -> Result<(String, Tensor)> {
        let wrong = |message: String| Error::new(ErrorKind::Checkpoint, message);
        let bytes = serde_json::to_vec(self)
            .map_err(|e| wrong("the model's card cannot be written".to_owned()).with_source(e))?;
        if bytes.len() > MOST_BYTES {
            return Err(wrong(format!(
                "the model's card takes {} bytes, {MOST_BYTES} at most fit",
                bytes.len()
            )));
        }
        Ok((CARD.to_owned(), Tensor::u8([bytes.len()], bytes)?))
    }

    /// The card among the tensors of a file, checked, and the others.
    ///
    /// # Errors
    /// `Data` if there is none, or one that does not hold together.
    pub(super) fn take(tensors: &mut Vec<(String, Tensor)>) -> Result<Self> {
        let wrong = |message: String| Error::new(ErrorKind::Data, message);
        let Some(at) = tensors.iter().position(|(name, _)| name == CARD) else {
            let kind = Kind::of(tensors.iter().map(|(name, _)| &**name));
            let told = kind.map_or(
                "`Trainer::save` and `Classifier::save_model` write that",
                Kind::told,
            );
            return Err(wrong(format!(
                "the file does not say of which network it is: {told}"
            )));
        };
        let (_, tensor) = tensors.swap_remove(at);
        let bytes = tensor.as_u8().map_err(|e| {
            wrong("the model's card is no tensor of bytes".to_owned()).with_source(e)
        })?;
        if bytes.len() > MOST_BYTES {
            return Err(wrong(format!(
                "the model's card takes {} bytes, {MOST_BYTES} at most are read",
                bytes.len()
            )));
        }
        let card: Self = serde_json::from_slice(bytes)
            .map_err(|e| wrong(format!("the model's card cannot be read: {e}")).with_source(e))?;
        if !(1..=MOST_CLASSES).contains(&card.classes) {
            return Err(wrong(format!(
                "the model's card has {} classes, 1 to {MOST_CLASSES} are read",
                card.classes
            )));
        }
        if card
            .input
            .iter()
            .any(|extent| !(1..=MOST_EXTENT).contains(extent))
        {
            return Err(wrong(format!(
                "the model's card has images of {:?}, extents of 1 to {MOST_EXTENT} are read",
                card.input
            )));
        }
        let names = card.class_names.len();
        if names != 0 && names != card.classes {
            return Err(wrong(format!(
                "the model's card has {names} names for {} classes",
                card.classes
            )));
        }
        card.normalise()?;
        Ok(card)
    }

    /// How its images are shifted and scaled.
    ///
    /// # Errors
    /// `Data` for numbers that cannot be those, or for other channels than its images have.
    pub fn normalise(&self) -> Result<Normalise> {
        let wrong = |message: String| {
            Error::new(ErrorKind::Data, format!("the model's card has {message}"))
        };
        let normalise = Normalise::of_bytes(&self.mean, &self.deviation).map_err(wrong)?;
        let told = |e: Error| wrong(e.to_string());
        normalise.expect_channels(self.input[0]).map_err(told)?;
        Ok(normalise)
    }

    /// The network.
    ///
    /// # Errors
    /// `Unsupported` if this library has none of its name.
    pub fn model(&self) -> Result<Model> {
        models::by_name(&self.model, self.classes)
    }

    /// The name of a class, or its number.
    pub fn class_name(&self, class: usize) -> String {
        let name = self.class_names.get(class);
        name.cloned().unwrap_or_else(|| class.to_string())
    }
}

/// A single number as itself.
mod one_or_each {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrEach {
        One(f64),
        Each(Vec<f64>),
    }

    pub fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        match values {
            [one] => one.serialize(serializer),
            each => each.serialize(serializer),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        Ok(match OneOrEach::deserialize(deserializer)? {
            OneOrEach::One(one) => vec![one],
            OneOrEach::Each(each) => each,
        })
    }
}

/// A fit as its name.
mod by_name {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::data::Fit;

    pub fn serialize<S: Serializer>(fit: &Fit, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(fit.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fit, D::Error> {
        let name = String::deserialize(deserializer)?;
        let unknown = || D::Error::custom(format!("the fit \"{name}\""));
        Fit::by_name(&name).ok_or_else(unknown)
    }
}
