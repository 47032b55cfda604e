//! The steps of training, as the host counts them: which session makes the next one, and whether
//! losses stay finite.

mod finite;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::StateKind;
#[cfg(not(target_arch = "wasm32"))]
use crate::ops::Batches;
#[cfg(not(target_arch = "wasm32"))]
use crate::session::Profile;
use crate::session::Session;
use crate::store::Store;
use crate::tensor::Tensor;

use super::followed::Followed;
use super::streaming::Streaming;

/// The sessions of training over one store, and how far they are.
#[derive(Debug)]
pub(super) struct Steps {
    pub store: Store,
    pub train: Session,
    /// The last step of an epoch, where it has fewer rows.
    pub remainder: Option<Session>,
    /// Applies gradients that are added up over several batches.
    pub apply: Option<Session>,
    /// Exchanges parameters and their moving averages.
    pub swap: Option<Session>,
    #[cfg(not(target_arch = "wasm32"))]
    pub batches: Batches,
    /// Batches per update.
    pub accumulate: usize,
    /// Steps of an epoch, and those of them that have full batches.
    pub steps_per_epoch: usize,
    pub full_steps: usize,
    /// Brings the batches where they do not lie on the device.
    pub streaming: Option<Streaming>,
    /// Steps that are done, and batches since the last update, as the device counts them.
    pub done: Followed,
    pub pending: Followed,
    /// Steps since the metrics were last read, and how many of them were looked at since.
    pub unread: usize,
    pub looked: usize,
    /// Why training has stopped, until the clock is set.
    pub stopped: Option<String>,
}

impl Steps {
    /// Epochs that are done, and steps of the one that has begun.
    pub fn position(&self) -> Result<(usize, usize)> {
        let step = self.done.now(&self.store)?.step as usize;
        Ok((step / self.steps_per_epoch, step % self.steps_per_epoch))
    }

    #[cfg(not(target_arch = "wasm32"))]
    /// Images of the steps `from` to `until` - 1 of one epoch.
    pub fn images(&self, from: usize, until: usize) -> usize {
        let before = |step: usize| match step > self.full_steps {
            true => self.batches.count,
            false => step * self.batches.batch,
        };
        before(until) - before(from)
    }

    /// Looks whether the host has set the clocks, as loading a checkpoint does: what was counted
    /// before is of another run then.
    pub fn follow(&mut self) -> Result<()> {
        let set = self.done.set;
        self.follow_clocks()?;
        if self.done.set != set {
            self.forget()?;
        }
        Ok(())
    }

    /// Takes the clocks as the host has set them, and leaves the counts.
    pub fn follow_clocks(&mut self) -> Result<()> {
        let done = self.done.now(&self.store)?;
        if done.set != self.done.set {
            self.stopped = None;
        }
        self.done = done;
        self.pending = self.pending.now(&self.store)?;
        Ok(())
    }

    /// Clears what training has counted.
    pub fn forget(&mut self) -> Result<()> {
        (self.unread, self.looked) = (0, 0);
        self.clear("train")
    }

    /// Names of the counters of a set.
    pub fn counters(&self, set: &str) -> impl Iterator<Item = &str> {
        let metrics = self.store.names_of(StateKind::Metric);
        metrics.filter(move |name| {
            name.strip_prefix(set)
                .is_some_and(|rest| rest.starts_with('.'))
        })
    }

    /// Sets the counters of a set to zero.
    pub fn clear(&self, set: &str) -> Result<()> {
        for name in self.counters(set) {
            let zeros = Tensor::zeros(self.store.ty(name)?)?;
            self.store.set(name, &zeros)?;
        }
        Ok(())
    }

    /// Writes the batch of the next step, if it does not lie on the device.
    fn feed(&mut self) -> Result<()> {
        let Some(streaming) = &mut self.streaming else {
            return Ok(());
        };
        let position = self.done.step as usize % self.steps_per_epoch;
        let (session, last) = match &mut self.remainder {
            Some(remainder) if position >= self.full_steps => (remainder, true),
            _ => (&mut self.train, false),
        };
        streaming.feed(session, last, self.done.seed, self.done.step)
    }

    /// The session that makes the next step, and how many steps it may make before another is due.
    fn due(&mut self) -> (&mut Session, usize) {
        let position = self.done.step as usize % self.steps_per_epoch;
        let full = match self.streaming {
            // Each has a batch written for it.
            Some(_) => 1,
            None => self.full_steps.saturating_sub(position),
        };
        let (session, steps) = match &mut self.remainder {
            Some(remainder) if position >= self.full_steps => (remainder, 1),
            Some(_) => (&mut self.train, full),
            None if self.streaming.is_some() => (&mut self.train, 1),
            None => (&mut self.train, usize::MAX),
        };
        let pending = self.pending.step as usize;
        match self.accumulate {
            1 => (session, steps),
            all => (session, steps.min(all.saturating_sub(pending).max(1))),
        }
    }

    /// Counts steps that were made, and applies their gradients where they are due.
    fn made(&mut self, steps: usize) -> Result<()> {
        self.unread += steps;
        self.done.step = self.done.step.wrapping_add(steps as u32);
        if self.apply.is_some() {
            self.pending.step += steps as u32;
        }
        self.apply_due()
    }

    /// Applies the gradients of the last batches if they are as many as make an update.
    fn apply_due(&mut self) -> Result<()> {
        if let Some(apply) = &mut self.apply
            && self.pending.step as usize >= self.accumulate
        {
            apply.run(1)?;
            self.pending.step = 0;
        }
        Ok(())
    }

    /// Trains for `steps` steps, as [`Classifier::train`](super::Classifier::train) says.
    pub fn train(&mut self, steps: usize) -> Result<()> {
        self.follow()?;
        if let Some(message) = &self.stopped {
            return Err(Error::new(ErrorKind::NotFinite, message.clone()));
        }
        self.apply_due()?;
        let mut left = steps;
        while left > 0 {
            let unlooked = self.look_if_due()?;
            self.feed()?;
            let (session, most) = self.due();
            let (made, ran) = session.run_counted(left.min(most).min(unlooked));
            let counted = self.made(made);
            ran?;
            counted?;
            left -= made;
        }
        Ok(())
    }

    /// Trains for one step and measures each of its dispatches.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn profile(&mut self) -> Result<Profile> {
        self.follow()?;
        self.apply_due()?;
        self.feed()?;
        let profile = self.due().0.profile()?;
        self.made(1)?;
        Ok(profile)
    }

    /// Exchanges parameters and their moving averages, if there are any.
    pub fn swap(&mut self) -> Result<()> {
        match &mut self.swap {
            Some(swap) => swap.run(1),
            None => Ok(()),
        }
    }
}
