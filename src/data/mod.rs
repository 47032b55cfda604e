//! Sets of labelled images: read from files of the MNIST family ([`load_mnist`], [`load_emnist`])
//! or drawn on the spot ([`digits()`]).

pub mod digits;
#[cfg(feature = "data")]
pub mod idx;
#[cfg(feature = "data")]
mod mnist;

use crate::error::{Error, ErrorKind, Result};

pub use digits::digits;
#[cfg(feature = "data")]
pub use mnist::{Emnist, load_dir, load_emnist, load_mnist};

/// Labelled images of one size, as bytes. Made by [`Dataset::new`], which checks them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dataset {
    /// Pixels `[count, channels, height, width]`, row by row from the top left; of grey images 0 is
    /// black, 255 is white.
    pub images: Vec<u8>,
    /// The class of each image, `[count]`, each less than `classes`.
    pub labels: Vec<u32>,
    /// Number of images.
    pub count: usize,
    /// Channels of each image: 1 if they are grey.
    pub channels: usize,
    /// Rows of each image.
    pub height: usize,
    /// Columns of each image.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
}

/// Images to train on, and others of the same size and classes to test on.
#[derive(Clone, Debug, PartialEq, Eq)]
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
            channels,
            height,
            width,
            classes,
        };
        set.check()?;
        Ok(set)
    }

    /// Checks what [`new`](Self::new) checks: for a set whose fields were changed since.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorKind::Data, message));
        let Self { count, classes, .. } = *self;
        let [channels, height, width] = [self.channels, self.height, self.width];
        if self.labels.len() != count {
            return wrong(format!("{} labels for {count} images", self.labels.len()));
        }
        let factors = [count, channels, height, width];
        let pixels = factors.into_iter().try_fold(1, usize::checked_mul);
        if pixels != Some(self.images.len()) {
            return wrong(format!(
                "{} pixels are not those of {count} images of {channels}x{height}x{width}",
                self.images.len()
            ));
        }
        let beyond = |label: u32| usize::try_from(label).map_or(true, |label| label >= classes);
        match self.labels.iter().position(|&label| beyond(label)) {
            Some(index) => wrong(format!(
                "label {} of image {index} is not below {classes}, the number of classes",
                self.labels[index]
            )),
            None => Ok(()),
        }
    }
}

impl Split {
    /// Checks both sets, and that they agree in the size of images and the number of classes.
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
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Data, message))
    }
}
