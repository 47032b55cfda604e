//! What a checkpoint holds, and who keeps it.

use std::fmt;
use std::path::PathBuf;

use super::{Setting, TrainerState};
use crate::error::Result;
use crate::tensor::Tensor;

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
