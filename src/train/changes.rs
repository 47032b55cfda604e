//! What is done to the images of a training batch before the network sees them.

use crate::data::{Augment, Keyed, Mix, Targets};
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::shape::DType;

use super::normalise::Normalise;

/// Augmentation of each image, then mixtures of one with another.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Changes<'a> {
    pub augment: Option<&'a Augment>,
    pub mix: Option<Mix>,
}

/// Images and targets of a batch that are changed, and labels as shares where images are mixed.
pub(super) struct Changed {
    pub images: Value,
    pub targets: Value,
    pub shares: Option<Value>,
}

impl Changes<'_> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.augment.is_none() && self.mix.is_none()
    }

    /// With what keys them, unless there are none.
    pub fn keyed(self, keyed: Keyed) -> Option<(Self, Keyed)> {
        (!self.is_empty()).then_some((self, keyed))
    }

    /// Changes `images`, bytes as f32 `[rows, c, h, w]`, and normalises them. Masks follow the
    /// geometry of their images, labels are mixed as these are.
    ///
    /// # Errors
    /// `Shape` for targets that are images of values, which augmentation does not follow, and where
    /// others than labels are to be mixed; those of [`Augment`] and [`Mix`].
    pub fn apply(
        &self,
        g: &mut Graph,
        keyed: Keyed,
        [images, targets]: [Value; 2],
        classes: usize,
        normalise: &Normalise,
    ) -> Result<Changed> {
        let (scales, shifts) = normalise.factors();
        let ty = g.ty(targets)?.clone();
        let (labels, masks) = (
            ty.dtype == DType::U32 && ty.shape.len() == 1,
            ty.dtype == DType::U32 && ty.shape.len() == 3,
        );
        let (images, targets) = match self.augment {
            None => (normalise.scaled(g, images)?, targets),
            Some(augment) if masks => {
                let both = [images, targets];
                let fill = u32::from(Targets::IGNORED);
                let [images, masks] =
                    augment.images_and_masks(g, keyed, both, fill, &scales, &shifts)?;
                (images, masks)
            }
            Some(_) if ty.shape.len() > 2 => {
                return Err(Error::shape(format!(
                    "augment: targets {ty} are images of values, which do not follow"
                )));
            }
            Some(augment) => {
                let images = augment.images(g, keyed, images, &scales, &shifts)?;
                (images, targets)
            }
        };
        let Some(mix) = self.mix else {
            return Ok(Changed {
                images,
                targets,
                shares: None,
            });
        };
        if !labels {
            return Err(Error::shape(format!(
                "mix: targets {ty} are no labels u32 [rows], which alone are mixed"
            )));
        }
        let [images, shares] = mix.apply(g, keyed, images, targets, classes)?;
        Ok(Changed {
            images,
            targets,
            shares: Some(shares),
        })
    }
}
