//! Whether what training makes is finite.

use super::Steps;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::StateKind;
use crate::shape::DType;
#[cfg(not(target_arch = "wasm32"))]
use crate::store::{blocking, expect_own};
use crate::tensor::Tensor;
use crate::train::batch::FINITE;
#[cfg(not(target_arch = "wasm32"))]
use crate::train::batch::LOSS;

/// Steps after which training looks whether losses are finite, where it may wait for the device.
#[cfg(not(target_arch = "wasm32"))]
const LOOK: usize = 256;

impl Steps {
    /// Looks at the losses of the steps so far if there are many at which nobody has looked;
    /// returns how many steps may be made before the next look.
    pub(in crate::train) fn look_if_due(&mut self) -> Result<usize> {
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

    pub(in crate::train) fn take_unread(&mut self) -> usize {
        self.looked = 0;
        std::mem::take(&mut self.unread)
    }

    /// Stops training after the last `steps` steps, whose losses do not add up to a finite number.
    pub(in crate::train) async fn not_finite(&mut self, sum: f32, steps: usize) -> Result<Error> {
        let (finite, counted) = self.take_counts(&format!("train.{FINITE}")).await?;
        self.clear("train")?;
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

    /// Looks for the first parameter, running statistic, moment or average that holds NaN or an
    /// infinity.
    pub(in crate::train) async fn expect_finite_states(&self) -> Result<()> {
        for name in self.store.names() {
            if self.is_network(name) {
                self.expect_finite_state(name, &self.store.get_async(name).await?)?;
            }
        }
        Ok(())
    }

    #[cfg(not(target_arch = "wasm32"))]
    /// As [`expect_finite_states`](Self::expect_finite_states), of states that were read.
    pub(in crate::train) fn expect_finite(&self, states: &[(String, Tensor)]) -> Result<()> {
        let mut own = states.iter().filter(|(name, _)| self.is_network(name));
        own.try_for_each(|(name, tensor)| self.expect_finite_state(name, tensor))
    }

    /// Whether a state is a parameter, running statistic, moment or average.
    fn is_network(&self, name: &str) -> bool {
        let entry = self.store.layout().entries.get(name);
        entry.is_some_and(|entry| {
            matches!(
                entry.kind,
                StateKind::Parameter
                    | StateKind::Statistic
                    | StateKind::Moment(_)
                    | StateKind::Average
            )
        })
    }

    fn expect_finite_state(&self, name: &str, tensor: &Tensor) -> Result<()> {
        let Some(value) = not_finite(tensor)? else {
            return Ok(());
        };
        let (epoch, step) = self.position()?;
        let message =
            format!("training: \"{name}\" holds {value} after {epoch} epochs and {step} steps");
        Err(Error::new(ErrorKind::NotFinite, message))
    }

    /// Reads and clears a state of counts: right ones, all.
    pub(in crate::train) async fn take_counts(&self, name: &str) -> Result<(u32, u32)> {
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
