//! Random numbers of drawn sets, keyed by seed, purpose and index.

use crate::rng::philox4x32;

/// What random words are for; each purpose has words of its own.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Shuffle,
    Draw,
}

/// Random numbers for one purpose and index under a seed.
pub(super) struct Chance {
    key: [u32; 2],
    counter: [u32; 4],
    words: [u32; 4],
    used: usize,
}

impl Chance {
    pub fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        let key = [seed as u32, (seed >> 32) as u32];
        let counter = [0, index as u32, (index >> 32) as u32, purpose as u32];
        Self {
            key,
            counter,
            words: [0; 4],
            used: 4,
        }
    }

    fn word(&mut self) -> u32 {
        if self.used == self.words.len() {
            self.words = philox4x32(self.counter, self.key);
            self.counter[0] += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// Even over `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.word()) * n as u64) >> 32) as usize
    }

    /// Even over [0, 1).
    pub fn unit(&mut self) -> f64 {
        f64::from(self.word()) / 4_294_967_296.0
    }

    /// Bell-shaped over [-1, 1), with mean 0 and standard deviation 1/3.
    pub fn swing(&mut self) -> f64 {
        (self.unit() + self.unit() + self.unit()) / 1.5 - 1.0
    }
}
