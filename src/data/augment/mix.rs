//! Mixup and CutMix as tables of equally likely shares.

use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::ops::{AugmentChoice, AugmentRow, AugmentStage};

use super::Keyed;
use super::steps::within;

/// How each image of a batch is mixed with the next one, and its label with that one's.
///
/// Shares are drawn by seed, epoch and the number of the image in its set. The other image is the
/// next one of the batch, the first for the last: that part depends on the batch, as in
/// torchvision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    pub(super) mixup: Option<f64>,
    pub(super) cutmix: Option<f64>,
}

/// So many shares stand for all.
const SHARES: usize = 256;
/// Steps of the integral under a density.
const STEPS: usize = 4096;

impl Mix {
    /// Images are added, with shares drawn from Beta(alpha, alpha) (Zhang et al. 2018).
    pub fn mixup(alpha: f64) -> Self {
        Self {
            mixup: Some(alpha),
            cutmix: None,
        }
    }

    /// A box of the other image covers 1 - lambda of this one, lambda being drawn from Beta(alpha,
    /// alpha); it is cut off at the rim, and labels count what is left (Yun et al. 2019).
    pub fn cutmix(alpha: f64) -> Self {
        Self {
            mixup: None,
            cutmix: Some(alpha),
        }
    }

    /// Mixup for one half of the images and CutMix for the other, each with its alpha:
    /// `Mix::mixup(0.2).or(Mix::cutmix(1.0))`. Where both are of one kind, all images are mixed
    /// with the alpha of `other`.
    pub fn or(self, other: Self) -> Self {
        Self {
            mixup: other.mixup.or(self.mixup),
            cutmix: other.cutmix.or(self.cutmix),
        }
    }

    /// Images f32 `[n, c, h, w]` mixed, and their labels u32 `[n]` as shares f32 `[n, classes]`.
    ///
    /// # Errors
    /// `Shape`, for an alpha that is not between 0.01 and 100 too.
    pub fn apply(
        &self,
        g: &mut Graph,
        keyed: Keyed,
        images: Value,
        labels: Value,
        classes: usize,
    ) -> Result<[Value; 2]> {
        let &[_, _, h, w] = &g.shape(images)?[..] else {
            return Err(Error::shape(format!(
                "mix: images {} must have 4 axes, [n, c, h, w]",
                g.shape(images)?
            )));
        };
        let stage = AugmentStage {
            choices: self.choices([h, w]).map_err(|e| e.context("mix"))?,
            alternate: false,
        };
        let Keyed {
            clock,
            indices,
            steps_per_epoch,
        } = keyed;
        let rows = g.augment_rows(clock, indices, steps_per_epoch, &[stage], None)?;
        let images = g.mix(images, rows)?;
        Ok([images, g.mix_labels(labels, rows, classes, [h, w])?])
    }

    fn choices(&self, [h, w]: [usize; 2]) -> Result<Vec<AugmentChoice>> {
        let row = AugmentRow::default();
        let mut choices: Vec<AugmentChoice> = Vec::new();
        if let Some(alpha) = self.mixup {
            let shares = beta_quantiles(alpha)?.into_iter();
            choices.extend(shares.map(|share| AugmentChoice::from(AugmentRow { share, ..row })));
        }
        if let Some(alpha) = self.cutmix {
            choices.extend(beta_quantiles(alpha)?.into_iter().map(|share| {
                let half = 0.5 * (1.0 - share).sqrt();
                let [x, y] = [w, h].map(|extent| (half * extent as f64) as i32);
                AugmentChoice {
                    row: AugmentRow {
                        erase: [-x, -y, 2 * x, 2 * y],
                        ..row
                    },
                    erase_shift: [w as u32, h as u32],
                    ..AugmentChoice::default()
                }
            }));
        }
        Ok(choices)
    }
}

/// The quantiles of Beta(alpha, alpha) at (i + 1/2) / 256.
///
/// Up to 1/2, the density t^(a-1) (1-t)^(a-1) dt is (1 - u^(1/a))^(a-1) du / a with u = t^a, which
/// has no pole; its integral is summed up and turned around. The other half is its mirror image.
fn beta_quantiles(alpha: f64) -> Result<Vec<f64>> {
    within("alpha", alpha, 0.01, 100.0)?;
    let end = 0.5f64.powf(alpha);
    let width = end / STEPS as f64;
    let density = |u: f64| (1.0 - u.powf(1.0 / alpha)).powf(alpha - 1.0);
    let mut sums = vec![0.0];
    for step in 0..STEPS {
        sums.push(sums[step] + density((step as f64 + 0.5) * width));
    }
    let half = SHARES / 2;
    let lower = (0..half).map(|i| {
        let wanted = sums[STEPS] * (i as f64 + 0.5) / half as f64;
        let step = sums.partition_point(|&sum| sum <= wanted).clamp(1, STEPS);
        let part = (wanted - sums[step - 1]) / (sums[step] - sums[step - 1]);
        ((step as f64 - 1.0 + part) * width).powf(1.0 / alpha)
    });
    let lower: Vec<f64> = lower.collect();
    let upper = lower.iter().rev().map(|t| 1.0 - t);
    Ok(lower.iter().copied().chain(upper).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean 1/2, variance 1 / (4 (2a + 1)); uniform for a = 1, arcsine for a = 1/2.
    #[test]
    fn quantiles_are_those_of_beta() {
        for alpha in [0.2, 0.5, 1.0, 2.0, 8.0] {
            let shares = beta_quantiles(alpha).unwrap();
            assert!(shares.is_sorted());
            let mean = shares.iter().sum::<f64>() / SHARES as f64;
            let square = shares.iter().map(|t| (t - 0.5) * (t - 0.5)).sum::<f64>();
            let variance = 0.25 / (2.0 * alpha + 1.0);
            assert!((mean - 0.5).abs() < 1e-12);
            let off = square / SHARES as f64 / variance - 1.0;
            assert!(off.abs() < 0.01, "alpha {alpha}: {off}");
            for (i, t) in shares.iter().enumerate() {
                let q = (i as f64 + 0.5) / SHARES as f64;
                let exact = match alpha {
                    1.0 => q,
                    0.5 => (std::f64::consts::FRAC_PI_2 * q).sin().powi(2),
                    _ => continue,
                };
                assert!((t - exact).abs() < 1e-4, "{alpha}, {q}: {t} {exact}");
            }
        }
        assert!(beta_quantiles(0.0).is_err());
    }
}
