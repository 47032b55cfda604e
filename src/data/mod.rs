//! Sets of labelled images: read from files of the MNIST family ([`load_mnist`], [`load_emnist`]),
//! of CIFAR or from folders of pictures, or drawn on the spot ([`digits()`]); and
//! [`Picture`], which numbers are drawn as.

mod ahead;
mod augment;
mod chance;
#[cfg(feature = "data")]
mod cifar;
#[cfg(feature = "images")]
mod decode;
pub mod digits;
#[cfg(all(feature = "download", not(target_arch = "wasm32")))]
mod download;
mod fit;
#[cfg(feature = "images")]
mod folder;
#[cfg(feature = "data")]
pub mod idx;
mod loader;
#[cfg(feature = "data")]
mod mnist;
#[cfg(feature = "images")]
mod pairs;
mod picture;
#[cfg(feature = "images")]
mod pictures;
#[cfg(feature = "images")]
mod placement;
mod shapes;
mod source;
mod targets;

use std::collections::HashMap;

use crate::error::{Error, ErrorKind, Result};
use crate::rng::{Stream, stream_of};
use crate::tensor::room;

pub use ahead::{Ahead, ahead};
pub use augment::{Augment, Keyed, Mix};
pub use chance::Chance;
#[cfg(feature = "data")]
pub use cifar::{CIFAR10_NAMES, Cifar100, load_cifar10, load_cifar100};
pub use digits::{digits, digits_range};
#[cfg(all(feature = "download", not(target_arch = "wasm32")))]
pub use download::{Download, Received, download_mnist};
pub use fit::Fit;
#[cfg(feature = "images")]
pub use folder::{Folder, FolderOptions, decode_picture, load_folder, read_picture, write_picture};
pub(crate) use loader::FIRST_STREAM;
pub use loader::{LoadedBatch, Loader, LoaderOptions};
#[cfg(feature = "data")]
pub use mnist::{Emnist, FASHION_NAMES, load_dir, load_emnist, load_fashion, load_mnist};
#[cfg(feature = "images")]
pub use pairs::{Pairs, load_pairs};
pub use picture::{Palette, Picture};
#[cfg(feature = "images")]
pub use pictures::Pictures;
pub use shapes::Shapes;
pub use source::{Source, sampled, source_fn};
pub use targets::Targets;
pub(crate) use targets::balanced;

/// Images of one size, as bytes, and what is known of each: a label ([`Dataset::new`]), a mask
/// ([`Dataset::of_masks`]) or values ([`Dataset::of_values`]).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Dataset {
    /// Pixels `[count, channels, height, width]`, row by row from the top left; of grey images 0 is
    /// black, 255 is white.
    pub images: Vec<u8>,
    /// The class of each image, `[count]`, each less than `classes`; none where the targets are
    /// others.
    pub labels: Vec<u32>,
    /// What is known of each image: its label, or something else.
    pub targets: Targets,
    /// Number of images.
    pub count: usize,
    /// Channels of each image: 1 if they are grey.
    pub channels: usize,
    /// Rows of each image.
    pub height: usize,
    /// Columns of each image.
    pub width: usize,
    /// Number of classes; 0 of values.
    pub classes: usize,
    /// The classes' names, if they are known.
    pub class_names: Vec<String>,
}

/// Images to train on, and others of the same size and classes to test on.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// What the network learns from.
    pub train: Dataset,
    /// What it must not see before it is judged.
    pub test: Dataset,
}

impl Dataset {
    /// As many images as there are labels, each of `[channels, height, width]` pixels.
    ///
    /// # Errors
    /// `Data` if there are more or fewer pixels than that, or if a label is not below `classes`.
    ///
    /// ```
    /// use striate::data::Dataset;
    ///
    /// # fn main() -> striate::error::Result<()> {
    /// let set = Dataset::new(vec![0; 2 * 28 * 28], vec![7, 999], [1, 28, 28], 1000)?;
    /// assert_eq!(set.count, 2);
    /// let error = Dataset::new(vec![0; 28 * 28], vec![2], [1, 28, 28], 2).unwrap_err();
    /// assert_eq!(error.to_string(), "label 2 of image 0 is not below 2, the number of classes");
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(
        images: Vec<u8>,
        labels: Vec<u32>,
        [channels, height, width]: [usize; 3],
        classes: usize,
    ) -> Result<Self> {
        let set = Self {
            count: labels.len(),
            images,
            labels,
            targets: Targets::Labels,
            channels,
            height,
            width,
            classes,
            class_names: Vec::new(),
        };
        set.check()?;
        Ok(set)
    }

    /// The same set with names of its classes.
    ///
    /// # Errors
    /// `Data` if they are more or fewer than the classes; none at all leave them unnamed.
    pub fn with_names<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        self.class_names = names.into_iter().map(S::into).collect();
        self.check()?;
        Ok(self)
    }

    /// Bytes of one image.
    fn pixels(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The images of these numbers, in this order.
    ///
    /// # Errors
    /// `Data` if there is no image of a number; `OutOfMemory`.
    pub fn subset(&self, indices: &[usize]) -> Result<Self> {
        self.check()?;
        if let Some(index) = indices.iter().find(|&&index| index >= self.count) {
            let message = format!("image {index} of {}", self.count);
            return Err(Error::new(ErrorKind::Data, message));
        }
        let size = self.pixels();
        let mut images = room(indices.len().saturating_mul(size))?;
        for &index in indices {
            images.extend_from_slice(&self.images[index * size..][..size]);
        }
        let labels = match &self.targets {
            Targets::Labels => indices.iter().map(|&index| self.labels[index]).collect(),
            _ => Vec::new(),
        };
        let pixels = self.height * self.width;
        Ok(Self {
            images,
            labels,
            targets: self.targets.subset(indices, pixels)?,
            count: indices.len(),
            class_names: self.class_names.clone(),
            ..*self
        })
    }

    /// The images of some classes, which take the numbers 0, 1, ... in the order in which they are
    /// listed.
    ///
    /// # Errors
    /// `Data` if a class is listed twice or does not exist, or if images have no labels.
    pub fn of_classes(&self, classes: &[usize]) -> Result<Self> {
        self.check()?;
        self.expect_labels()?;
        for (i, &class) in classes.iter().enumerate() {
            if class >= self.classes || classes[..i].contains(&class) {
                let message = format!("class {class}, of {} classes, once each", self.classes);
                return Err(Error::new(ErrorKind::Data, message));
            }
        }
        let new = |label: u32| classes.iter().position(|&class| class == label as usize);
        let kept: Vec<usize> = (0..self.count)
            .filter(|&index| new(self.labels[index]).is_some())
            .collect();
        let mut set = self.subset(&kept)?;
        for label in &mut set.labels {
            *label = new(*label).unwrap_or_default() as u32;
        }
        set.classes = classes.len();
        let names = classes
            .iter()
            .filter_map(|&class| self.class_names.get(class));
        set.class_names = names.cloned().collect();
        Ok(set)
    }

    /// At most so many images of each class, the first ones.
    ///
    /// # Errors
    /// `Data` if the set is not sound ([`check`](Self::check)), or if images have no labels.
    pub fn first_of_each(&self, most: usize) -> Result<Self> {
        self.check()?;
        self.expect_labels()?;
        let mut counts: HashMap<u32, usize> = HashMap::new();
        let mut kept = Vec::new();
        for (index, &label) in self.labels.iter().enumerate() {
            let count = counts.entry(label).or_default();
            if *count < most {
                *count += 1;
                kept.push(index);
            }
        }
        self.subset(&kept)
    }

    /// Keeps a share of the images of each class, rounded to whole ones and at least one, apart as
    /// the test set; which ones, `seed` says. Where images have no labels, it is a share of all.
    ///
    /// # Errors
    /// `Data` if `share` is not between 0 and 1, or if a class has fewer than two images.
    pub fn split(&self, share: f64, seed: u64) -> Result<Split> {
        self.check()?;
        let (train, test) = match self.targets {
            Targets::Labels => {
                let names = &self.class_names;
                split_indices(&self.labels, self.classes, names, share, seed)?
            }
            _ if self.count < 2 => {
                let message = format!("{} images, two are needed to split", self.count);
                return Err(Error::new(ErrorKind::Data, message));
            }
            _ => split_indices(&vec![0; self.count], 1, &[], share, seed)?,
        };
        Ok(Split {
            train: self.subset(&train)?,
            test: self.subset(&test)?,
        })
    }

    /// Checks what [`new`](Self::new) checks: for a set whose fields were changed since.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorKind::Data, message));
        let Self { count, classes, .. } = *self;
        let [channels, height, width] = [self.channels, self.height, self.width];
        if !self.class_names.is_empty() && self.class_names.len() != classes {
            let names = self.class_names.len();
            return wrong(format!("{names} names for {classes} classes"));
        }
        if count > 0 && [channels, height, width].contains(&0) {
            return wrong(format!(
                "images of {channels}x{height}x{width} have no pixels"
            ));
        }
        let factors = [count, channels, height, width];
        let pixels = factors.into_iter().try_fold(1, usize::checked_mul);
        if pixels != Some(self.images.len()) {
            return wrong(format!(
                "{} pixels are not those of {count} images of {channels}x{height}x{width}",
                self.images.len()
            ));
        }
        self.check_targets()
    }
}

/// Which samples of these classes train, and which are kept apart: a share of each class.
fn split_indices(
    labels: &[u32],
    classes: usize,
    names: &[String],
    share: f64,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>)> {
    let wrong = |message: String| Err(Error::new(ErrorKind::Data, message));
    if !(share > 0.0 && share < 1.0) {
        return wrong(format!("a test share of {share} is not between 0 and 1"));
    }
    let stream = Stream::new(seed, stream_of("split"), 0);
    let mut of_class: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, &label) in labels.iter().enumerate() {
        of_class.entry(label as usize).or_default().push(index);
    }
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for class in 0..classes {
        let mut own = of_class.remove(&class).unwrap_or_default();
        if own.len() < 2 {
            return wrong(format!(
                "class {} has {} images, two are needed to split",
                names.get(class).cloned().unwrap_or(class.to_string()),
                own.len()
            ));
        }
        own.sort_by_key(|&index| (stream.word(index as u64), index));
        let count = (share * own.len() as f64).round() as usize;
        let (first, rest) = own.split_at(count.clamp(1, own.len() - 1));
        test.extend_from_slice(first);
        train.extend_from_slice(rest);
    }
    train.sort_unstable();
    test.sort_unstable();
    Ok((train, test))
}

/// The first names that differ, where both sets have some.
pub(crate) fn differing<'a>(own: &'a [String], other: &'a [String]) -> Option<(&'a str, &'a str)> {
    let mut pairs = own.iter().zip(other);
    let (own, other) = pairs.find(|(own, other)| own != other)?;
    Some((own, other))
}

impl Split {
    /// Checks both sets, and that they agree in the size of images, the number of classes and their
    /// names, where both have some.
    ///
    /// # Errors
    /// `Data`, with the set and the numbers.
    pub fn check(&self) -> Result<()> {
        let (train, test) = (&self.train, &self.test);
        train.check().map_err(|e| e.context("training set"))?;
        test.check().map_err(|e| e.context("test set"))?;
        let of = |set: &Dataset| {
            let size = format!("{}x{}", set.height, set.width);
            match set.channels {
                1 => size,
                channels => format!("{channels}x{size}"),
            }
        };
        let message = if of(train) != of(test) {
            format!(
                "training images are {}, test images are {}",
                of(train),
                of(test)
            )
        } else if train.classes != test.classes {
            format!(
                "the training set has {} classes, the test set {}",
                train.classes, test.classes
            )
        } else if train.target_type(1) != test.target_type(1) {
            format!(
                "the training set has {} as {}, the test set {} as {}",
                train.targets.describe(),
                train.target_type(1),
                test.targets.describe(),
                test.target_type(1)
            )
        } else if let Some((own, other)) = differing(&train.class_names, &test.class_names) {
            format!("a class is \"{own}\" in the training set and \"{other}\" in the test set")
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Data, message))
    }
}
