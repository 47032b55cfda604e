//! What training counts, and whether it is finite.

use super::Classifier;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::StateKind;
use crate::shape::DType;
#[cfg(not(target_arch = "wasm32"))]
use crate::store::{blocking, expect_own};
use crate::tensor::Tensor;
use crate::train::batch::{COUNTS, FINITE, LOSS};

/// Steps after which training looks whether losses are finite, where it may wait for the device.
#[cfg(not(target_arch = "wasm32"))]
const LOOK: usize = 256;

/// What training counted since it was last asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metrics {
    /// Mean loss per step, with those of auxiliary classifiers by their weights.
    pub loss: f64,
    /// Share of images that were classified correctly, 0 to 1.
    pub accuracy: f64,
    /// Images seen.
    pub images: usize,
}

impl Classifier {
    /// Clears what training has counted.
    pub(super) fn forget(&mut self) -> Result<()> {
        (self.unread, self.looked) = (0, 0);
        self.store
            .set(&format!("train.{LOSS}"), &Tensor::scalar(0.0))?;
        for counts in [COUNTS, FINITE] {
            let zeros = Tensor::u32([2], vec![0; 2])?;
            self.store.set(&format!("train.{counts}"), &zeros)?;
        }
        Ok(())
    }

    /// Looks at the losses of the steps so far if there are many at which nobody has looked;
    /// returns how many steps may be made before the next look.
    pub(super) fn look_if_due(&mut self) -> Result<usize> {
        #[cfg(not(target_arch = "wasm32"))]
        if expect_own(self.store.engine()).is_ok() {
            let unlooked = self.unread - self.looked;
            if unlooked < LOOK {
                return Ok(LOOK - unlooked);
            }
            self.looked = self.unread;
            let store = self.store.clone();
            let counts = store.get(&format!("train.{FINITE}"))?;
            if let &[finite, counted] = counts.as_u32()?
                && finite < counted
            {
                let sum = store.get(&format!("train.{LOSS}"))?.item()?;
                let steps = self.take_unread();
                return Err(blocking(store.engine(), self.not_finite(sum, steps))?);
            }
            return Ok(LOOK);
        }
        Ok(usize::MAX)
    }

    fn take_unread(&mut self) -> usize {
        self.looked = 0;
        std::mem::take(&mut self.unread)
    }

    /// What training counted since this was last called, or since the clock was set, as by loading
    /// a checkpoint; waits for the steps submitted so far.
    ///
    /// # Errors
    /// `NotFinite` if the loss of one of these steps is NaN or infinite, with its epoch and step,
    /// both counted from 1. Training has stopped then: the parameters are worth nothing.
    /// `Unsupported` on a borrowed device: await [`metrics_async`](Self::metrics_async) there.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn metrics(&mut self) -> Result<Metrics> {
        let store = self.store.clone();
        blocking(store.engine(), self.metrics_async())
    }

    /// As `metrics`, for hosts that cannot block.
    pub async fn metrics_async(&mut self) -> Result<Metrics> {
        self.follow()?;
        let loss = self.store.get_async("train.loss").await?.item()?;
        let steps = self.take_unread();
        if !loss.is_finite() {
            return Err(self.not_finite(loss, steps).await?);
        }
        let (correct, images) = self.take_counts(&format!("train.{COUNTS}")).await?;
        self.store.set("train.loss", &Tensor::scalar(0.0))?;
        self.take_counts(&format!("train.{FINITE}")).await?;
        Ok(Metrics {
            loss: f64::from(loss) / steps.max(1) as f64,
            accuracy: f64::from(correct) / f64::from(images.max(1)),
            images: images as usize,
        })
    }

    /// Stops training after the last `steps` steps, whose losses do not add up to a finite number.
    async fn not_finite(&mut self, sum: f32, steps: usize) -> Result<Error> {
        let (finite, counted) = self.take_counts(&format!("train.{FINITE}")).await?;
        self.take_counts(&format!("train.{COUNTS}")).await?;
        self.store.set("train.loss", &Tensor::scalar(0.0))?;
        let first = (self.done.step).wrapping_sub(steps.max(counted as usize) as u32);
        let step = first.wrapping_add(finite) as usize;
        let what = if sum.is_nan() { "NaN" } else { "infinite" };
        let message = format!(
            "training: the loss became {what} in epoch {}, step {} of {}",
            step / self.steps_per_epoch + 1,
            step % self.steps_per_epoch + 1,
            self.steps_per_epoch
        );
        self.stopped = Some(message.clone());
        Ok(Error::new(ErrorKind::NotFinite, message))
    }

    /// Checks that what is to be saved is worth it: reads the metrics of the steps since they were
    /// last read, which are lost, and all parameters, running statistics, moments and averages.
    ///
    /// # Errors
    /// `NotFinite` as [`metrics`](Self::metrics), or with the first state that holds NaN or an
    /// infinity.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn expect_finite(&mut self) -> Result<()> {
        let store = self.store.clone();
        blocking(store.engine(), self.expect_finite_async())
    }

    /// As `expect_finite`, for hosts that cannot block.
    pub async fn expect_finite_async(&mut self) -> Result<()> {
        self.metrics_async().await?;
        let kept = |name: &&str| {
            let kind = self.store.layout().entries[*name].kind;
            matches!(
                kind,
                StateKind::Parameter
                    | StateKind::Statistic
                    | StateKind::Moment(_)
                    | StateKind::Average
            )
        };
        for name in self.store.names().filter(kept) {
            if let Some(value) = not_finite(&self.store.get_async(name).await?)? {
                let (epoch, step) = self.position()?;
                let message = format!(
                    "training: \"{name}\" holds {value} after {epoch} epochs and {step} steps"
                );
                return Err(Error::new(ErrorKind::NotFinite, message));
            }
        }
        Ok(())
    }

    /// Reads and clears a state of counts: right ones, all.
    pub(super) async fn take_counts(&self, name: &str) -> Result<(u32, u32)> {
        let counts = self.store.get_async(name).await?;
        self.store.set(name, &Tensor::u32([2], vec![0; 2])?)?;
        match counts.as_u32()? {
            &[correct, images] => Ok((correct, images)),
            _ => Err(Error::shape(format!("state \"{name}\" is {}", counts.ty()))),
        }
    }
}

/// The first NaN or infinity of a tensor, which integers have none of.
fn not_finite(tensor: &Tensor) -> Result<Option<f32>> {
    const EXPONENT: u16 = 0x7c00;
    const MANTISSA: u16 = 0x03ff;
    Ok(match tensor.ty().dtype {
        DType::F32 => tensor.as_f32()?.iter().copied().find(|x| !x.is_finite()),
        DType::F16 => {
            let halves = tensor.bytes().chunks_exact(2);
            let mut halves = halves.map(|half| u16::from_le_bytes([half[0], half[1]]));
            let found = halves.find(|half| half & EXPONENT == EXPONENT);
            found.map(|half| match (half & MANTISSA, half >> 15) {
                (0, 0) => f32::INFINITY,
                (0, _) => f32::NEG_INFINITY,
                _ => f32::NAN,
            })
        }
        DType::U32 | DType::U8 => None,
    })
}
