//! How often which class was taken for which.

use std::fmt;

use super::task::Counted;
use crate::error::{Error, Result};
use crate::models::grouped;
use crate::tensor::Tensor;

/// How often which class was taken for which: images, or pixels of masks.
///
/// ```
/// use striate::train::Confusion;
///
/// // Of 10 cats one was taken for a dog, of 10 dogs two for cats.
/// let confusion = Confusion::new(vec![9, 1, 2, 8], ["cat", "dog"]).unwrap();
/// assert_eq!(confusion.count(1, 0), 2);
/// assert_eq!(confusion.accuracy(), 0.85);
/// assert_eq!(confusion.recall(0), 0.9);
/// assert_eq!(confusion.precision(0), 9.0 / 11.0);
/// assert_eq!(confusion.iou(0), 9.0 / 12.0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    names: Vec<String>,
    counts: Vec<u32>,
}

impl Confusion {
    /// Counts `[classes, classes]`: row by row the classes that things have, and in each row the
    /// classes that they were taken for.
    ///
    /// # Errors
    /// `Shape` if there are not as many counts as that.
    pub fn new<S: Into<String>>(
        counts: Vec<u32>,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let names: Vec<String> = names.into_iter().map(S::into).collect();
        if names.len().checked_mul(names.len()) != Some(counts.len()) {
            return Err(Error::shape(format!(
                "confusion: {} counts of {} classes",
                counts.len(),
                names.len()
            )));
        }
        Ok(Self { names, counts })
    }

    /// Out of a counter u32 `[classes, classes]`.
    pub(super) fn of(counts: &Tensor, counted: &Counted) -> Result<Self> {
        let names = counted.class_names().to_vec();
        let names = match names.is_empty() {
            true => (0..counted.classes())
                .map(|class| class.to_string())
                .collect(),
            false => names,
        };
        Self::new(counts.as_u32()?.to_vec(), names)
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.names.len()
    }

    /// Their names, or their numbers where they have none.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// All counts, row by row.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// How often `class` was taken for `answer`; 0 where there is no such class.
    pub fn count(&self, class: usize, answer: usize) -> u32 {
        if class >= self.classes() || answer >= self.classes() {
            return 0;
        }
        self.counts[class * self.classes() + answer]
    }

    /// How many of the class there are.
    pub fn actual(&self, class: usize) -> u64 {
        (0..self.classes())
            .map(|answer| u64::from(self.count(class, answer)))
            .sum()
    }

    /// How many were taken for the class.
    pub fn predicted(&self, class: usize) -> u64 {
        (0..self.classes())
            .map(|own| u64::from(self.count(own, class)))
            .sum()
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|&count| u64::from(count)).sum()
    }

    /// The share that is right, 0 to 1; 0 of none.
    pub fn accuracy(&self) -> f64 {
        let right = (0..self.classes()).map(|class| u64::from(self.count(class, class)));
        share(right.sum(), self.total())
    }

    /// Of those that were taken for the class, the share that is of it; 0 if there are none.
    pub fn precision(&self, class: usize) -> f64 {
        share(self.count(class, class).into(), self.predicted(class))
    }

    /// Of those that are of the class, the share that was taken for it; 0 if there are none.
    pub fn recall(&self, class: usize) -> f64 {
        share(self.count(class, class).into(), self.actual(class))
    }

    /// The harmonic mean of precision and recall.
    pub fn f1(&self, class: usize) -> f64 {
        let right = 2 * u64::from(self.count(class, class));
        share(right, self.actual(class) + self.predicted(class))
    }

    /// Intersection over union: of those that are of the class or were taken for it, the share that
    /// is both (the Jaccard index); 0 if there are none.
    pub fn iou(&self, class: usize) -> f64 {
        let both = u64::from(self.count(class, class));
        share(both, self.actual(class) + self.predicted(class) - both)
    }

    /// The mean of [`iou`](Self::iou) over the classes that are there, or were taken to be.
    pub fn mean_iou(&self) -> f64 {
        let there = |class: &usize| self.actual(*class) + self.predicted(*class) > 0;
        let classes: Vec<usize> = (0..self.classes()).filter(there).collect();
        let sum: f64 = classes.iter().map(|&class| self.iou(class)).sum();
        sum / classes.len().max(1) as f64
    }
}

fn share(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}

impl fmt::Display for Confusion {
    /// A table, which says how it is read: a row for each class, with what it was taken for,
    /// precision and recall.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.names.iter().map(|name| name.chars().count());
        let first = longest.max().unwrap_or_default().clamp(5, 20);
        let most = self.counts.iter().max().copied().unwrap_or_default();
        let width = grouped(most.into())
            .len()
            .max(self.classes().to_string().len())
            + 1;
        writeln!(
            f,
            "rows are the classes that things have, columns what they were taken for"
        )?;
        write!(f, "{:first$}", "class")?;
        for class in 0..self.classes() {
            write!(f, "{class:>width$}")?;
        }
        writeln!(f, "  precision  recall")?;
        for (class, name) in self.names.iter().enumerate() {
            let name: String = name.chars().take(first).collect();
            write!(f, "{name:first$}")?;
            for answer in 0..self.classes() {
                let count = grouped(self.count(class, answer).into());
                write!(f, "{count:>width$}")?;
            }
            let (precision, recall) = (self.precision(class), self.recall(class));
            writeln!(f, "{precision:>11.3}{recall:>8.3}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_how_it_is_read() {
        let confusion = Confusion::new(vec![1234, 0, 2, 8], ["cat", "dog"]).unwrap();
        assert_eq!(
            confusion.to_string(),
            "rows are the classes that things have, columns what they were taken for\n\
             class     0     1  precision  recall\n\
             cat   1,234     0      0.998   1.000\n\
             dog       2     8      1.000   0.800\n"
        );
    }
}
