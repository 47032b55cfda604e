//! Clocks of a store that the host follows.

use crate::error::Result;
use crate::store::Store;

/// The step of a clock of the store, which the host follows without reading it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Followed {
    name: &'static str,
    /// How many times the host had set the clock before the last one that was looked at.
    pub set: u64,
    pub step: u32,
    /// The seed, where the host has set the clock.
    pub seed: Option<[u32; 2]>,
}

impl Followed {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            set: u64::MAX,
            step: 0,
            seed: None,
        }
    }

    /// The clock's step now: as the host set it last, plus the steps since.
    pub fn now(self, store: &Store) -> Result<Self> {
        match store.given(self.name) {
            Some(given) if given.before != self.set => {
                let clock = given.tensor.as_u32()?;
                Ok(Self {
                    set: given.before,
                    step: clock.get(2).copied().unwrap_or_default(),
                    seed: clock.first_chunk().copied(),
                    ..self
                })
            }
            _ => Ok(self),
        }
    }
}
