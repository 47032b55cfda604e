//! What is known of the images of a set.

use crate::error::{Error, ErrorKind, Result};
use crate::shape::{Shape, Type};
use crate::tensor::{Tensor, room};

use super::Dataset;

/// What is known of each image of a [`Dataset`].
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Targets {
    /// Its class: [`Dataset::labels`].
    #[default]
    Labels,
    /// The class of each pixel, `[count, height, width]`: below the number of classes, or
    /// [`IGNORED`](Self::IGNORED).
    Masks(Vec<u8>),
    /// Numbers, such as an angle, or another image.
    Values {
        /// The extents of what belongs to one image.
        shape: Shape,
        /// The numbers, `[count, ...shape]`.
        values: Vec<f32>,
    },
}

impl Targets {
    /// The class of pixels that count nowhere: not in losses, not in metrics.
    pub const IGNORED: u8 = 255;

    /// What they are, in words.
    pub fn describe(&self) -> &'static str {
        match self {
            Targets::Labels => "a label for each image",
            Targets::Masks(_) => "a mask for each image",
            Targets::Values { .. } => "values for each image",
        }
    }

    fn instead_of(&self, needed: &Self) -> Error {
        let message = format!(
            "{} is needed, the set has {}",
            needed.describe(),
            self.describe()
        );
        Error::new(ErrorKind::Data, message)
    }

    /// Those of some images, of `pixels` pixels each.
    pub(super) fn subset(&self, indices: &[usize], pixels: usize) -> Result<Self> {
        fn chosen<T: Copy>(all: &[T], indices: &[usize], size: usize) -> Result<Vec<T>> {
            let mut chosen = room(indices.len().saturating_mul(size))?;
            for &index in indices {
                chosen.extend_from_slice(&all[index * size..][..size]);
            }
            Ok(chosen)
        }
        Ok(match self {
            Targets::Labels => Targets::Labels,
            Targets::Masks(masks) => Targets::Masks(chosen(masks, indices, pixels)?),
            Targets::Values { shape, values } => Targets::Values {
                shape: shape.clone(),
                values: chosen(values, indices, shape.iter().product())?,
            },
        })
    }
}

/// n / (k * count) for each of the k classes that occur, which together count n (scikit-learn's
/// `compute_class_weight("balanced")`); 0 for one that does not.
pub(crate) fn balanced(counts: &[u64]) -> Vec<f32> {
    let all: u64 = counts.iter().sum();
    let there = counts.iter().filter(|&&count| count > 0).count() as f64;
    let weight = |&count: &u64| match count {
        0 => 0.0,
        count => (all as f64 / (there * count as f64)) as f32,
    };
    counts.iter().map(weight).collect()
}

impl Dataset {
    /// Images with a class for each of their pixels: masks `[count, height, width]`, whose elements
    /// are below `classes`, or [`Targets::IGNORED`].
    ///
    /// # Errors
    /// `Data` if the masks are of another size than the images, or if a pixel's class is not below
    /// `classes`.
    ///
    /// ```
    /// use striate::data::Dataset;
    ///
    /// # fn main() -> striate::error::Result<()> {
    /// let set = Dataset::of_masks(vec![0; 2 * 3 * 16], vec![1; 2 * 16], [3, 4, 4], 2)?;
    /// assert_eq!(set.count, 2);
    /// let error = Dataset::of_masks(vec![0; 16], vec![1; 9], [1, 4, 4], 2).unwrap_err();
    /// assert_eq!(error.to_string(), "9 pixels of masks are not those of 1 images of 4x4");
    /// # Ok(())
    /// # }
    /// ```
    pub fn of_masks(
        images: Vec<u8>,
        masks: Vec<u8>,
        size: [usize; 3],
        classes: usize,
    ) -> Result<Self> {
        Self::of_targets(images, Targets::Masks(masks), size, classes)
    }

    /// Images with numbers for each: `values` f32 `[count, ...]`. With values of the images' own
    /// shape, they are what a network shall make of the images.
    ///
    /// # Errors
    /// `Data` if there are values of more or fewer images, or none for each; `Shape` if they are
    /// not `f32`.
    pub fn of_values(images: Vec<u8>, values: &Tensor, size: [usize; 3]) -> Result<Self> {
        let targets = Targets::Values {
            shape: values
                .shape()
                .iter()
                .skip(1)
                .copied()
                .collect::<Vec<_>>()
                .into(),
            values: values.as_f32()?.to_vec(),
        };
        Self::of_targets(images, targets, size, 0)
    }

    fn of_targets(
        images: Vec<u8>,
        targets: Targets,
        [channels, height, width]: [usize; 3],
        classes: usize,
    ) -> Result<Self> {
        // Of what is too large, `check` tells.
        let size = channels.saturating_mul(height).saturating_mul(width).max(1);
        let set = Self {
            count: images.len() / size,
            images,
            labels: Vec::new(),
            targets,
            channels,
            height,
            width,
            classes,
            class_names: Vec::new(),
        };
        set.check()?;
        Ok(set)
    }

    /// Checks that the images have a label each.
    ///
    /// # Errors
    /// `Data`, with what they have instead.
    pub fn expect_labels(&self) -> Result<()> {
        match &self.targets {
            Targets::Labels => Ok(()),
            other => Err(other.instead_of(&Targets::Labels)),
        }
    }

    /// Checks that the images have a mask each.
    ///
    /// # Errors
    /// `Data`, with what they have instead.
    pub fn expect_masks(&self) -> Result<()> {
        match &self.targets {
            Targets::Masks(_) => Ok(()),
            other => Err(other.instead_of(&Targets::Masks(Vec::new()))),
        }
    }

    /// The extents of the values of each image.
    ///
    /// # Errors
    /// `Data`, with what the images have instead.
    pub fn expect_values(&self) -> Result<&Shape> {
        match &self.targets {
            Targets::Values { shape, .. } => Ok(shape),
            other => Err(other.instead_of(&Targets::Values {
                shape: Shape::default(),
                values: Vec::new(),
            })),
        }
    }

    /// How many images are of each class, or pixels of masks.
    pub fn class_counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.classes];
        let mut count = |class: usize| {
            if let Some(count) = counts.get_mut(class) {
                *count += 1;
            }
        };
        match &self.targets {
            Targets::Labels => self.labels.iter().for_each(|&label| count(label as usize)),
            Targets::Masks(masks) => masks.iter().for_each(|&class| count(usize::from(class))),
            Targets::Values { .. } => {}
        }
        counts
    }

    /// A weight for each class, such that all classes together count alike: n / (k * count) of n
    /// images (or pixels of masks) and k classes that occur, as scikit-learn's "balanced" ones, and
    /// 0 for a class that does not occur. For
    /// [`cross_entropy_with`](crate::graph::Graph::cross_entropy_with) and
    /// [`Classification::class_weights`](crate::train::Classification::class_weights).
    ///
    /// # Errors
    /// `Data` if images have values instead of classes.
    ///
    /// ```
    /// use striate::data::Dataset;
    ///
    /// # fn main() -> striate::error::Result<()> {
    /// let set = Dataset::new(vec![0; 8], vec![0, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1], 2)?;
    /// assert_eq!(set.class_counts(), [1, 7]);
    /// assert_eq!(set.class_weights()?, [4.0, 8.0 / 14.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn class_weights(&self) -> Result<Vec<f32>> {
        let counts = self.class_counts();
        if matches!(self.targets, Targets::Values { .. }) {
            return Err(self.targets.instead_of(&Targets::Labels));
        }
        Ok(balanced(&counts))
    }

    /// The targets as one tensor: u32 `[count]`, u8 `[count, height, width]` or f32
    /// `[count, ...]`.
    ///
    /// # Errors
    /// `Shape` for a set that is not sound ([`check`](Self::check)).
    pub(crate) fn target_tensor(&self) -> Result<Tensor> {
        match &self.targets {
            Targets::Labels => Tensor::u32([self.count], self.labels.clone()),
            Targets::Masks(masks) => {
                Tensor::u8([self.count, self.height, self.width], masks.clone())
            }
            Targets::Values { values, .. } => {
                Tensor::f32(self.target_type(self.count).shape, values.clone())
            }
        }
    }

    /// The type of the targets of so many images.
    pub(crate) fn target_type(&self, count: usize) -> Type {
        match &self.targets {
            Targets::Labels => Type::u32([count]),
            Targets::Masks(_) => Type::u8([count, self.height, self.width]),
            Targets::Values { shape, .. } => {
                let extents = [count].into_iter().chain(shape.iter().copied());
                Type::f32(extents.collect::<Vec<_>>())
            }
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    /// Images u8 `[rows, channels, height, width]` and their targets, from number `from` on; where
    /// the set ends before, there are zeros.
    ///
    /// # Errors
    /// `Shape` for a set that is not sound ([`check`](Self::check)).
    pub(crate) fn padded(&self, from: usize, rows: usize) -> Result<(Tensor, Tensor)> {
        fn filled<T: Copy + Default>(all: &[T], from: usize, rows: usize, size: usize) -> Vec<T> {
            let from = all.len().min(from * size);
            let until = all.len().min(from + rows * size);
            let mut filled = all[from..until].to_vec();
            filled.resize(rows * size, T::default());
            filled
        }
        let images = filled(&self.images, from, rows, self.pixels());
        let images = Tensor::u8([rows, self.channels, self.height, self.width], images)?;
        let ty = self.target_type(rows);
        let size = ty.row();
        let targets = match &self.targets {
            Targets::Labels => Tensor::u32(ty.shape, filled(&self.labels, from, rows, size)),
            Targets::Masks(masks) => Tensor::u8(ty.shape, filled(masks, from, rows, size)),
            Targets::Values { values, .. } => {
                Tensor::f32(ty.shape, filled(values, from, rows, size))
            }
        };
        Ok((images, targets?))
    }

    /// Checks the targets of a set whose images are sound.
    pub(super) fn check_targets(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorKind::Data, message));
        let Self {
            count,
            classes,
            height,
            width,
            ..
        } = *self;
        let labels = match &self.targets {
            Targets::Labels => count,
            _ => 0,
        };
        if self.labels.len() != labels {
            let found = self.labels.len();
            return wrong(match labels == count {
                true => format!("{found} labels for {count} images"),
                false => format!("{found} labels beside {}", self.targets.describe()),
            });
        }
        let beyond = |label: u32| usize::try_from(label).map_or(true, |label| label >= classes);
        if let Some(index) = self.labels.iter().position(|&label| beyond(label)) {
            return wrong(format!(
                "label {} of image {index} is not below {classes}, the number of classes",
                self.labels[index]
            ));
        }
        match &self.targets {
            Targets::Labels => Ok(()),
            Targets::Masks(_) if classes > usize::from(Targets::IGNORED) => wrong(format!(
                "masks of {classes} classes, {} at most",
                Targets::IGNORED
            )),
            Targets::Masks(masks) => {
                let size = height * width;
                if masks.len() != count * size {
                    return wrong(format!(
                        "{} pixels of masks are not those of {count} images of {height}x{width}",
                        masks.len()
                    ));
                }
                let beyond =
                    |&class: &u8| class != Targets::IGNORED && usize::from(class) >= classes;
                match masks.iter().position(beyond) {
                    Some(at) => wrong(format!(
                        "class {} in the mask of image {}, row {}, column {} is not below \
                         {classes}, the number of classes",
                        masks[at],
                        at / size,
                        at % size / width,
                        at % width
                    )),
                    None => Ok(()),
                }
            }
            Targets::Values { shape, values } => {
                let each: usize = shape.iter().product();
                if each == 0 || values.len() != count * each {
                    return wrong(format!(
                        "{} values are not those of {count} images with {each} each",
                        values.len()
                    ));
                }
                Ok(())
            }
        }
    }
}
