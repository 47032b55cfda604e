//! Random numbers of drawn sets, keyed by seed, purpose and index.

use crate::rng::philox4x32;

/// What random words are for; each purpose has words of its own.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Shuffle,
    Draw,
    Program,
}

/// Random numbers for what is drawn from nothing but a seed: the same ones on every platform, for
/// each image its own, so that image `i` is the same however many are drawn.
///
/// ```
/// use striate::data::Chance;
///
/// let mut chance = Chance::of(7, 0);
/// assert!((0.0..1.0).contains(&chance.unit()));
/// assert!(chance.below(6) < 6);
/// ```
#[derive(Debug, Clone)]
pub struct Chance {
    key: [u32; 2],
    counter: [u32; 4],
    words: [u32; 4],
    used: usize,
}

impl Chance {
    /// Those of an image of a program's own set.
    pub fn of(seed: u64, image: u64) -> Self {
        Self::new(seed, Purpose::Program, image)
    }

    pub(super) fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
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

    /// Even over `0..n`; 0 if there is nothing else. Of more than 2^32 only some are met.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.word()) * n as u128) >> 32) as usize
    }

    /// Even over `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        f64::from(self.word()) / 4_294_967_296.0
    }

    /// Even from `low` to `high`.
    pub fn within(&mut self, [low, high]: [f64; 2]) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Numbers from 0 to `n` - 1 in any order, each order as likely (Fisher and Yates).
    pub fn order(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }

    /// Bell-shaped over `[-1, 1)`, with mean 0 and standard deviation 1/3.
    pub fn swing(&mut self) -> f64 {
        (self.unit() + self.unit() + self.unit()) / 1.5 - 1.0
    }
}
