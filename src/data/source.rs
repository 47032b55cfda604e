//! Where samples come from that are not all in memory.

use std::sync::Arc;

use super::Dataset;
use super::loader::FIRST_STREAM;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::Batches;
use crate::tensor::room;

/// Labelled images of one size that are made one by one, when they are asked for, on any thread.
///
/// [`Dataset`] is one, with all of its images in memory; [`Pictures`](super::Pictures) decodes
/// files; [`source_fn`] makes one of a closure.
pub trait Source: Send + Sync {
    /// Number of samples.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, height and width of each image.
    fn image(&self) -> [usize; 3];

    /// Number of classes.
    fn classes(&self) -> usize;

    /// The classes' names, if they are known.
    fn class_names(&self) -> &[String] {
        &[]
    }

    /// Writes the pixels `[channels, height, width]` of a sample, and returns its class, which is
    /// less than [`classes`](Self::classes). The same index gives the same sample, whenever it is
    /// asked for.
    ///
    /// # Errors
    /// Whatever keeps the sample from being made, with the name of its file. `index` is below
    /// [`len`](Self::len), and `pixels` are as many as an image has.
    fn sample(&self, index: usize, pixels: &mut [u8]) -> Result<u32>;
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn image(&self) -> [usize; 3] {
        (**self).image()
    }

    fn classes(&self) -> usize {
        (**self).classes()
    }

    fn class_names(&self) -> &[String] {
        (**self).class_names()
    }

    fn sample(&self, index: usize, pixels: &mut [u8]) -> Result<u32> {
        (**self).sample(index, pixels)
    }
}

/// All images are in memory already.
impl Source for Dataset {
    fn len(&self) -> usize {
        self.count
    }

    fn image(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }

    fn sample(&self, index: usize, pixels: &mut [u8]) -> Result<u32> {
        self.expect_labels()?;
        let size = pixels.len();
        let own = self.images.get(index * size..(index + 1) * size);
        match (own, self.labels.get(index)) {
            (Some(own), Some(&label)) => {
                pixels.copy_from_slice(own);
                Ok(label)
            }
            _ => Err(Error::new(
                ErrorKind::Data,
                format!("image {index} of {}", self.count),
            )),
        }
    }
}

/// A source of `len` samples, images of `[channels, height, width]` and `classes` classes, each of
/// which `sample` makes: it gets the number of a sample and its pixels to be written, and returns
/// the class.
///
/// ```
/// use striate::data::{Source, source_fn};
///
/// # fn main() -> striate::error::Result<()> {
/// // Grey squares, light ones of class 1.
/// let source = source_fn(1000, [1, 8, 8], 2, |index, pixels| {
///     let light = index % 2;
///     pixels.fill(if light == 1 { 200 } else { 50 });
///     Ok(light as u32)
/// });
/// let mut pixels = [0; 64];
/// assert_eq!(source.sample(7, &mut pixels)?, 1);
/// assert_eq!(pixels, [200; 64]);
/// # Ok(())
/// # }
/// ```
pub fn source_fn<F>(
    len: usize,
    image: [usize; 3],
    classes: usize,
    sample: F,
) -> impl Source + use<F>
where
    F: Fn(usize, &mut [u8]) -> Result<u32> + Send + Sync,
{
    SourceFn {
        len,
        image,
        classes,
        sample,
    }
}

struct SourceFn<F> {
    len: usize,
    image: [usize; 3],
    classes: usize,
    sample: F,
}

impl<F: Fn(usize, &mut [u8]) -> Result<u32> + Send + Sync> Source for SourceFn<F> {
    fn len(&self) -> usize {
        self.len
    }

    fn image(&self) -> [usize; 3] {
        self.image
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn sample(&self, index: usize, pixels: &mut [u8]) -> Result<u32> {
        (self.sample)(index, pixels)
    }
}

/// Samples of a source as a set in memory: all of them in their order, or where there are more than
/// `most`, so many that a seed chooses. Mean and deviation of pixels, and how often each class
/// occurs, are measured over such a set.
///
/// # Errors
/// Of the samples that are taken; `OutOfMemory`.
pub fn sampled(source: &dyn Source, most: usize, seed: u64) -> Result<Dataset> {
    let image = source.image();
    let count = source.len().min(most);
    let size = image
        .iter()
        .fold(1usize, |size, &axis| size.saturating_mul(axis));
    let mut images: Vec<u8> = room(count.saturating_mul(size))?;
    images.resize(count * size, 0);
    let mut labels = room(count)?;
    let seed = [seed as u32, (seed >> 32) as u32];
    let order = Batches {
        count: source.len(),
        batch: source.len(),
        shuffle: count < source.len(),
        drop_last: false,
    };
    for number in 0..count {
        let index = order.element(seed, FIRST_STREAM, 0, number) as usize;
        labels.push(source.sample(index, &mut images[number * size..][..size])?);
    }
    let names = source.class_names().iter().cloned();
    Dataset::new(images, labels, image, source.classes())?.with_names(names)
}
