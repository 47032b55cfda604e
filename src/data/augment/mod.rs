//! Augmentation of a batch on the device: recipes by name, or built step by step.

mod mix;
mod policy;
mod steps;
mod told;

pub use mix::Mix;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Value};
use crate::ops::{AugmentRow, AugmentStage, Border, Elastic, Levels};

use policy::Policy;
use steps::{Step, stage};

/// What the draws of a batch are keyed by, beside the seed of the clock.
#[derive(Debug, Clone, Copy)]
pub struct Keyed {
    /// The clock u32 `[4]` ([`Graph::clock`]).
    pub clock: Value,
    /// The numbers of the images in their set, u32 `[n]`.
    pub indices: Value,
    /// Steps of the clock in an epoch.
    pub steps_per_epoch: usize,
}

/// What is done to images before a network is trained on them.
///
/// Every image is changed anew in every epoch, by draws that depend on seed, epoch and the number
/// of the image in its set alone.
///
/// Within a pass an image is sampled once. Geometry adds up, in the order in which its steps are
/// called. Everything else has a fixed place, whatever the order of the calls: sharpness and levels
/// come before the geometry, contrast, saturation, brightness, posterize, solarize, noise and
/// erasing after it, in this order. Of each kind one step counts, the last that changes something.
/// [`then`](Self::then) begins another pass, which works on what the first one made.
///
/// ```
/// use striate::data::Augment;
///
/// # fn main() -> striate::error::Result<()> {
/// let own = Augment::new().flip(0.5).rotate(10.0).scale(0.9, 1.1).brightness(0.2).cutout(8);
/// let known = Augment::by_name("trivial-augment-wide")?;
/// # let _ = (own, known);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Augment {
    passes: Vec<Pass>,
}

/// Steps for which images are sampled once.
#[derive(Debug, Clone, PartialEq, Default)]
struct Pass {
    steps: Vec<Step>,
    border: Border,
    fill: u8,
    elastic: Option<Elastic>,
}

impl Default for Augment {
    fn default() -> Self {
        Self::new()
    }
}

impl Augment {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            passes: vec![Pass::default()],
        }
    }

    /// Names that [`by_name`](Self::by_name) knows.
    pub const NAMES: [&str; 5] = [
        "airbench",
        "digits",
        "rand-augment",
        "random-resized-crop",
        "trivial-augment-wide",
    ];

    /// A known recipe:
    ///
    /// - `airbench` (Jordan 2024): mirrored in turn, moved by up to 2 pixels with reflection, a
    ///   square of 12 cut out
    /// - `digits`: turned by up to 10 degrees, scaled by 0.9 to 1.1, sheared by up to 5 degrees,
    ///   moved by up to 2 pixels
    /// - `rand-augment`: [`rand_augment`](Self::rand_augment), 2 operations of magnitude 9
    /// - `random-resized-crop`: [`random_resized_crop`](Self::random_resized_crop) of 0.08 to 1 of
    ///   the area with ratios from 3/4 to 4/3, then mirrored or not
    /// - `trivial-augment-wide`: [`trivial_augment_wide`](Self::trivial_augment_wide)
    ///
    /// # Errors
    /// `Unsupported` for another name.
    pub fn by_name(name: &str) -> Result<Self> {
        let new = Self::new();
        match name {
            "airbench" => Ok(new
                .alternating_flip()
                .shift(2)
                .border(Border::Reflect)
                .cutout(12)),
            "digits" => Ok(new.rotate(10.0).scale(0.9, 1.1).shear(5.0).shift(2)),
            "rand-augment" => Ok(new.rand_augment(2, 9)),
            "random-resized-crop" => Ok(new
                .random_resized_crop([0.08, 1.0], [3.0 / 4.0, 4.0 / 3.0])
                .flip(0.5)),
            "trivial-augment-wide" => Ok(new.trivial_augment_wide()),
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "no augmentation \"{name}\" is known, only {}",
                    Self::NAMES.join(", ")
                ),
            )),
        }
    }

    fn step(mut self, step: Step) -> Self {
        self.pass().steps.push(step);
        self
    }

    /// The pass that steps are added to.
    fn pass(&mut self) -> &mut Pass {
        if self.passes.is_empty() {
            self.passes.push(Pass::default());
        }
        let last = self.passes.len() - 1;
        &mut self.passes[last]
    }

    /// Begins another pass: what follows works on the images that come out of what is there.
    pub fn then(mut self) -> Self {
        self.passes.push(Pass::default());
        self
    }

    /// What lies outside of images in this pass; black unless said. With
    /// [`random_resized_crop`](Self::random_resized_crop) in the pass it is [`Border::Edge`],
    /// unless [`Border::Reflect`] is set.
    pub fn border(mut self, border: Border) -> Self {
        self.pass().border = border;
        self
    }

    /// The byte outside of images in this pass, where the border is filled; 0 unless said.
    pub fn fill(mut self, byte: u8) -> Self {
        self.pass().fill = byte;
        self
    }

    /// Mirrors left and right with probability `p`, a multiple of 1/256.
    pub fn flip(self, p: f64) -> Self {
        self.step(Step::Flip(p))
    }

    /// Mirrors top and bottom with probability `p`, a multiple of 1/256.
    pub fn flip_vertical(self, p: f64) -> Self {
        self.step(Step::FlipVertical(p))
    }

    /// Mirrors left and right in every other epoch of each image; whether in the first one is
    /// drawn once (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds").
    pub fn alternating_flip(self) -> Self {
        self.step(Step::AlternatingFlip)
    }

    /// Moves by whole pixels along both axes, up to so many each way.
    pub fn shift(self, most: usize) -> Self {
        self.step(Step::Shift(most))
    }

    /// Turns about the middle by up to so many degrees each way.
    pub fn rotate(self, degrees: f64) -> Self {
        self.step(Step::Rotate(degrees))
    }

    /// Scales both axes by a factor between these two.
    pub fn scale(self, low: f64, high: f64) -> Self {
        self.step(Step::Scale(low, high))
    }

    /// Shears along x by up to so many degrees each way.
    pub fn shear(self, degrees: f64) -> Self {
        self.step(Step::Shear(degrees))
    }

    /// Crops a box and resizes it to the image (torchvision's `RandomResizedCrop`, bilinear): its
    /// share of the area is drawn between the ends of `scale`, its logarithm of width over height
    /// between those of `ratio`, its place among all.
    ///
    /// Boxes are drawn from a grid of 32 x 32 such pairs, without those that do not fit. Output and
    /// input have one size, so that nothing is made smaller and no filter is needed. At a crop's
    /// rim half a pixel is interpolated with what lies outside of the crop.
    pub fn random_resized_crop(self, scale: [f64; 2], ratio: [f64; 2]) -> Self {
        self.step(Step::ResizedCrop { scale, ratio })
    }

    /// Multiplies bytes by a factor between 1 - `most` (0 at least) and 1 + `most` (torchvision's
    /// `ColorJitter`, as the next two).
    pub fn brightness(self, most: f64) -> Self {
        self.step(Step::Brightness(most))
    }

    /// Multiplies distances from the mean grey of the image.
    pub fn contrast(self, most: f64) -> Self {
        self.step(Step::Contrast(most))
    }

    /// Multiplies distances from a pixel's own grey, of images with three channels.
    pub fn saturation(self, most: f64) -> Self {
        self.step(Step::Saturation(most))
    }

    /// Keeps so many leading bits of each byte with probability `p` (`RandomPosterize`).
    pub fn posterize(self, bits: u32, p: f64) -> Self {
        let row = AugmentRow {
            posterize: bits,
            ..AugmentRow::default()
        };
        self.step(Step::Perhaps(p, row))
    }

    /// Inverts bytes from `threshold` on with probability `p` (`RandomSolarize`).
    pub fn solarize(self, threshold: u8, p: f64) -> Self {
        let row = AugmentRow {
            solarize: threshold.into(),
            ..AugmentRow::default()
        };
        self.step(Step::Perhaps(p, row))
    }

    /// Blurs (factor 0) or sharpens (above 1) with probability `p` (`RandomAdjustSharpness`).
    pub fn sharpness(self, factor: f64, p: f64) -> Self {
        let row = AugmentRow {
            sharpness: factor,
            ..AugmentRow::default()
        };
        self.step(Step::Perhaps(p, row))
    }

    /// Spreads the levels of each channel over all bytes with probability `p`
    /// (`RandomAutocontrast`).
    pub fn autocontrast(self, p: f64) -> Self {
        self.levels(Levels::Autocontrast, p)
    }

    /// Makes all levels of each channel equally frequent with probability `p` (`RandomEqualize`).
    pub fn equalize(self, p: f64) -> Self {
        self.levels(Levels::Equalize, p)
    }

    fn levels(self, levels: Levels, p: f64) -> Self {
        let row = AugmentRow {
            levels,
            ..AugmentRow::default()
        };
        self.step(Step::Perhaps(p, row))
    }

    /// Adds nearly normal noise of this deviation, in levels of a byte.
    pub fn noise(self, deviation: f64) -> Self {
        self.step(Step::Noise(deviation))
    }

    /// Cuts out a square with this side, anywhere inside of the image: its pixels become 0, which
    /// is the mean of normalised images (DeVries and Taylor 2017).
    pub fn cutout(self, side: usize) -> Self {
        self.step(Step::Cutout(side))
    }

    /// Cuts out a box with probability `p` (torchvision's `RandomErasing` with its defaults: 0.02
    /// to 0.33 of the area, ratios from 0.3 to 3.3).
    pub fn random_erasing(self, p: f64) -> Self {
        self.step(Step::Erasing(p))
    }

    /// Displaces pixels by a smooth field: `knots` x `knots` displacements of up to `most` pixels
    /// along each axis, and linear between them.
    pub fn elastic(mut self, knots: usize, most: f64) -> Self {
        self.pass().elastic = Some(Elastic { knots, most });
        self
    }

    /// TrivialAugmentWide (Müller and Hutter 2021), as torchvision has it: one of 14 operations,
    /// one of 31 magnitudes, nearest pixels, black outside. A pass of its own.
    pub fn trivial_augment_wide(self) -> Self {
        self.alone(Policy::TrivialAugmentWide)
    }

    /// RandAugment (Cubuk et al. 2020), as torchvision has it: `count` of 14 operations in a row,
    /// with magnitude number `magnitude` of 0 to 30. Each is a pass of its own.
    pub fn rand_augment(self, count: usize, magnitude: usize) -> Self {
        (0..count).fold(self, |so_far, _| {
            so_far.alone(Policy::RandAugment { magnitude })
        })
    }

    /// A policy in a pass of its own, to which others may add.
    fn alone(mut self, policy: Policy) -> Self {
        if self.pass() != &Pass::default() {
            self.passes.push(Pass::default());
        }
        self.step(Step::Policy(policy))
    }

    /// The images of a batch changed, then multiplied by `scale` and shifted by `shift`, each of
    /// one entry or one for each channel.
    ///
    /// `images` are bytes as f32 `[n, c, h, w]`, as [`Graph::gather_rows`] makes them with a scale
    /// of 1 and a shift of 0.
    ///
    /// # Errors
    /// `Shape` for more than 16 steps in a pass, and for numbers out of bounds, which are named.
    pub fn images(
        &self,
        g: &mut Graph,
        keyed: Keyed,
        images: Value,
        scale: &[f32],
        shift: &[f32],
    ) -> Result<Value> {
        Ok(self.changed(g, keyed, images, None, scale, shift)?.0)
    }

    /// As [`images`](Self::images), with labels of pixels u32 `[n, h, w]` that follow the geometry
    /// of their images and become `fill` where these are filled.
    ///
    /// # Errors
    /// As [`images`](Self::images).
    pub fn images_and_masks(
        &self,
        g: &mut Graph,
        keyed: Keyed,
        [images, masks]: [Value; 2],
        fill: u32,
        scale: &[f32],
        shift: &[f32],
    ) -> Result<[Value; 2]> {
        let made = self.changed(g, keyed, images, Some((masks, fill)), scale, shift)?;
        Ok([made.0, made.1.unwrap_or(masks)])
    }

    fn changed(
        &self,
        g: &mut Graph,
        keyed: Keyed,
        mut images: Value,
        masks: Option<(Value, u32)>,
        scale: &[f32],
        shift: &[f32],
    ) -> Result<(Value, Option<Value>)> {
        let &[_, _, h, w] = &g.shape(images)?[..] else {
            return Err(Error::shape(format!(
                "augment: images {} must have 4 axes, [n, c, h, w]",
                g.shape(images)?
            )));
        };
        let mut own = masks.map(|(masks, _)| masks);
        for (at, pass) in self.passes.iter().enumerate() {
            let stages = pass.stages([h, w]).map_err(|e| e.context("augment"))?;
            let Keyed {
                clock,
                indices,
                steps_per_epoch,
            } = keyed;
            let rows = g.augment_rows(clock, indices, steps_per_epoch, &stages, pass.elastic)?;
            if let (Some(masks), Some((_, fill))) = (own, masks) {
                own = Some(g.augment_mask(masks, rows, fill)?);
            }
            let (scale, shift) = match at + 1 == self.passes.len() {
                true => (scale, shift),
                false => (&[1.0][..], &[0.0][..]),
            };
            let row = stages.iter().flat_map(|stage| &stage.choices);
            let whole = |row: &AugmentRow| row.levels != Levels::Keep || row.contrast != 1.0;
            images = match row.map(|choice| &choice.row).any(whole) {
                true => {
                    let tables = g.augment_tables(images, rows)?;
                    g.augment_with(images, rows, tables, scale, shift)?
                }
                false => g.augment(images, rows, scale, shift)?,
            };
        }
        Ok((images, own))
    }
}

impl Pass {
    /// The stages of the steps, for images of this height and width.
    fn stages(&self, size: [usize; 2]) -> Result<Vec<AugmentStage>> {
        let stages = self.steps.iter().map(|step| stage(step, size));
        let mut stages = stages.collect::<Result<Vec<_>>>()?;
        if stages.is_empty() {
            stages.push(AugmentStage {
                choices: vec![AugmentRow::default().into()],
                alternate: false,
            });
        }
        for choice in stages.iter_mut().flat_map(|stage| &mut stage.choices) {
            choice.row.bilinear |= self.elastic.is_some();
            choice.row.fill = self.fill;
            if self.border != Border::Fill {
                choice.row.border = self.border;
            }
        }
        Ok(stages)
    }
}
