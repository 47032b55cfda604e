//! What a checkpoint holds, and who keeps it.

use std::fmt;
use std::path::PathBuf;

use super::settings::same_settings;
use super::{Setting, Trainer, TrainerState};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::StateKind;
use crate::tensor::Tensor;
use crate::train::observer::Event;

/// Where a run is kept, so that another process can go on with it.
pub(crate) trait Keeper: fmt::Debug {
    /// Writes a checkpoint: all of it, or nothing; returns where.
    fn write(&mut self, kept: &Kept) -> Result<PathBuf>;

    /// What there is to go on with, and where.
    fn read(&mut self) -> Result<Option<(PathBuf, Kept)>>;
}

/// What a checkpoint holds.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// States of the store, by name.
    pub states: Vec<(String, Tensor)>,
    /// The network of the best epoch.
    pub best: Vec<(String, Tensor)>,
    pub state: TrainerState,
    /// What decides on the bits of the run, as text.
    pub settings: Vec<Setting>,
}

/// # Checkpoints
impl Trainer {
    /// Writes a checkpoint if one is wanted.
    pub(super) fn keep(&mut self) -> Result<()> {
        let Some(keeper) = &mut self.keeper else {
            return Ok(());
        };
        let store = &self.steps.store;
        let data: Vec<&str> = store.names_of(StateKind::Data).collect();
        let names = store.names().filter(|name| !data.contains(name));
        let states = store.snapshot(&names.collect::<Vec<_>>())?;
        self.steps.expect_finite(&states)?;
        let kept = Kept {
            states,
            best: self.best.clone(),
            state: self.state.clone(),
            settings: self.settings.clone(),
        };
        let path = keeper.write(&kept)?;
        self.tell(&Event::Saved(&path))
    }

    /// Goes on with a run that was kept.
    pub(super) fn resume(&mut self, kept: Kept) -> Result<()> {
        let Kept {
            states,
            best,
            state,
            settings,
        } = kept;
        same_settings(&settings, &self.settings)?;
        self.expect_states(&states, &best)?;
        self.steps.store.restore(&states)?;
        self.steps.follow_clocks()?;
        self.state = state;
        self.best = best;
        if self.course.restore_best && self.best.is_empty() && self.state.best.is_some() {
            return Err(Error::new(
                ErrorKind::Checkpoint,
                "the network of its best epoch was not kept: it was made without patience",
            ));
        }
        // Other numbers of epochs and of patience are no other run.
        self.state.ended = self.state.verdict(&self.course);
        if self.state.ended.is_some() && self.course.restore_best && !self.best.is_empty() {
            self.last = self.steps.store.snapshot(&self.network_names())?;
            self.steps.store.restore(&self.best)?;
        }
        Ok(())
    }

    /// Checks that a checkpoint has the states of this network and its training, and a best epoch
    /// with some of them.
    fn expect_states(&self, states: &[(String, Tensor)], best: &[(String, Tensor)]) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorKind::Checkpoint, message));
        let store = &self.steps.store;
        for (name, tensor) in states.iter().chain(best) {
            let Ok(ty) = store.ty(name) else {
                return wrong(format!("\"{name}\" is no state of what is trained here"));
            };
            if ty != tensor.ty() {
                let found = tensor.ty();
                return wrong(format!("\"{name}\" is {found}, {ty} is trained here"));
            }
        }
        let data: Vec<&str> = store.names_of(StateKind::Data).collect();
        for name in store.names().filter(|name| !data.contains(name)) {
            if !states.iter().any(|(own, _)| own == name) {
                return wrong(format!("\"{name}\" is missing"));
            }
        }
        Ok(())
    }
}
