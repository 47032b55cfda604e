//! The digits that are trained on and tested with, drawn some at a time.

use striate::data::{Dataset, Split, digits_range};
use striate::error::Result;

use crate::{CLASSES, SIDE};

/// Digits to train on.
pub const TRAIN: usize = 4000;
/// Digits to test with.
pub const TEST: usize = 500;

/// Their seeds.
const SEEDS: [u64; 2] = [1, 2];

/// The two sets while they are drawn: first what is trained on.
#[derive(Debug, Default)]
pub struct Drawing {
    sets: [Drawn; 2],
}

#[derive(Debug, Default)]
struct Drawn {
    images: Vec<u8>,
    labels: Vec<u32>,
}

impl Drawn {
    fn set(self) -> Result<Dataset> {
        let names = (0..CLASSES).map(|class| class.to_string());
        Dataset::new(self.images, self.labels, [1, SIDE, SIDE], CLASSES)?.with_names(names)
    }
}

impl Drawing {
    /// How many are drawn, of how many.
    pub fn done(&self) -> (usize, usize) {
        let drawn = self.sets.iter().map(|set| set.labels.len()).sum();
        (drawn, TRAIN + TEST)
    }

    /// Draws up to `count` more.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn draw(&mut self, count: usize) -> Result<()> {
        let mut left = count;
        for ((set, whole), seed) in self.sets.iter_mut().zip([TRAIN, TEST]).zip(SEEDS) {
            let first = set.labels.len();
            let more = left.min(whole - first);
            let drawn = digits_range(first..first + more, seed)?;
            set.images.extend_from_slice(&drawn.images);
            set.labels.extend_from_slice(&drawn.labels);
            left -= more;
        }
        Ok(())
    }

    /// The sets, once all are drawn.
    ///
    /// # Errors
    /// As [`draw`](Self::draw), which draws what is missing.
    pub fn finish(mut self) -> Result<Split> {
        let (done, of) = self.done();
        self.draw(of - done)?;
        let [train, test] = self.sets;
        Ok(Split {
            train: train.set()?,
            test: test.set()?,
        })
    }
}
