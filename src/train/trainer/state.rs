//! What a trainer remembers of a run: its epochs, which was the best, and how it goes on.

use std::fmt;

use crate::error::{Error, Result};
use crate::train::observer::{Ended, EpochRecord};
use crate::train::task::Better;

/// Lowers the learning rate where nothing gets better any more (PyTorch's `ReduceLROnPlateau`): all
/// rates, those of a schedule too, are multiplied by `factor` after more than `patience` epochs
/// without a better one.
///
/// ```
/// use striate::train::Plateau;
///
/// let plateau = Plateau::new().factor(0.5).patience(2);
/// # let _ = plateau;
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plateau {
    factor: f64,
    patience: usize,
    threshold: f64,
    cooldown: usize,
    least: f64,
}

impl Default for Plateau {
    fn default() -> Self {
        Self::new()
    }
}

impl Plateau {
    /// PyTorch's defaults: a tenth of the rate after more than 10 epochs without a number that is
    /// better by a ten-thousandth of itself.
    pub fn new() -> Self {
        Self {
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            cooldown: 0,
            least: 0.0,
        }
    }

    /// What rates are multiplied by each time, between 0 and 1.
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Epochs without a better one that are borne.
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }

    /// The share of itself by which a number must be better to count as better.
    pub fn threshold(mut self, share: f64) -> Self {
        self.threshold = share;
        self
    }

    /// Epochs after a reduction in which nothing is counted.
    pub fn cooldown(mut self, epochs: usize) -> Self {
        self.cooldown = epochs;
        self
    }

    /// The least that the product of all factors may become.
    pub fn least(mut self, factor: f64) -> Self {
        self.least = factor;
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let factor = self.factor > 0.0 && self.factor < 1.0;
        if factor && self.threshold >= 0.0 && self.least >= 0.0 {
            return Ok(());
        }
        Err(Error::shape(format!(
            "plateau: factor {} is to be between 0 and 1, threshold {} and least {} at least 0",
            self.factor, self.threshold, self.least
        )))
    }
}

impl fmt::Display for Plateau {
    /// For people: the factor and the patience, and what else is not at its default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (factor, patience, default) = (self.factor, self.patience, Self::new());
        write!(
            f,
            "rates times {factor} after {patience} epochs without a better one"
        )?;
        if self.threshold != default.threshold {
            write!(f, ", better by a share of {}", self.threshold)?;
        }
        if self.cooldown != default.cooldown {
            write!(f, ", then {} epochs that do not count", self.cooldown)?;
        }
        match self.least == default.least {
            true => Ok(()),
            false => write!(f, ", no less than {} in all", self.least),
        }
    }
}

/// How far a [`Plateau`] is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlateauState {
    /// What rates are multiplied by now.
    pub factor: f64,
    pub best: Option<f64>,
    pub bad: usize,
    pub cooldown: usize,
}

impl PlateauState {
    /// Takes the number of an epoch into account; returns whether the factor has changed.
    fn observe(&mut self, plateau: &Plateau, better: Better, value: f64) -> bool {
        let improved = match self.best {
            None => !value.is_nan(),
            Some(best) => better.is(value, best, plateau.threshold * best.abs()),
        };
        if improved {
            self.best = Some(value);
            self.bad = 0;
        } else {
            self.bad += 1;
        }
        if self.cooldown > 0 {
            self.cooldown -= 1;
            self.bad = 0;
        }
        if self.bad <= plateau.patience {
            return false;
        }
        self.cooldown = plateau.cooldown;
        self.bad = 0;
        let factor = (self.factor * plateau.factor).max(plateau.least);
        std::mem::replace(&mut self.factor, factor) != factor
    }
}

/// What a trainer remembers of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TrainerState {
    /// The epochs that are done.
    pub history: Vec<EpochRecord>,
    /// Which of them was the best, counted from 0, and its number.
    pub best: Option<(usize, f64)>,
    pub plateau: PlateauState,
    /// Seconds that the epoch that has begun took so far.
    pub seconds: f64,
    pub ended: Option<Ended>,
}

/// What a trainer makes of its numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Course {
    /// Epochs at most.
    pub epochs: usize,
    /// The number by which epochs are compared.
    pub monitor: String,
    pub better: Better,
    /// By how much a number must be better to count as better.
    pub least: f64,
    /// Epochs without a better one after which it ends.
    pub patience: Option<usize>,
    pub plateau: Option<Plateau>,
    /// Whether the best epoch's weights are kept and put back in the end.
    pub restore_best: bool,
}

impl TrainerState {
    pub fn new() -> Self {
        Self {
            history: Vec::new(),
            best: None,
            plateau: PlateauState {
                factor: 1.0,
                best: None,
                bad: 0,
                cooldown: 0,
            },
            seconds: 0.0,
            ended: None,
        }
    }

    /// Takes an epoch up; returns it, and whether the factor on the learning rate has changed.
    ///
    /// # Errors
    /// `Graph` if the epoch has no number such as it is compared by.
    pub(super) fn add(
        &mut self,
        mut record: EpochRecord,
        course: &Course,
    ) -> Result<(EpochRecord, bool)> {
        let Some(value) = record.scalar(&course.monitor) else {
            return Err(course.unknown(record.scalars.iter().map(|s| s.name.as_str())));
        };
        let better = match self.best {
            None => !value.is_nan(),
            Some((_, best)) => course.better.is(value, best, course.least),
        };
        record.best = better;
        if better {
            self.best = Some((self.history.len(), value));
        }
        self.history.push(record.clone());
        self.seconds = 0.0;
        self.ended = self.verdict(course);
        let plateau = course.plateau.as_ref();
        let lowered = plateau.is_some_and(|p| self.plateau.observe(p, course.better, value));
        Ok((record, lowered))
    }

    /// Whether training is at its end after these epochs, and why.
    pub(super) fn verdict(&self, course: &Course) -> Option<Ended> {
        match course.patience {
            _ if self.history.len() >= course.epochs => Some(Ended::Done),
            Some(patience) if self.since_best() >= patience => Some(Ended::Patience),
            _ => None,
        }
    }

    /// Epochs since the best one.
    fn since_best(&self) -> usize {
        let until = self.best.map_or(0, |(index, _)| index + 1);
        self.history.len() - until
    }
}

impl Course {
    /// What is wrong with the monitor's name.
    pub fn unknown<'a>(&self, known: impl Iterator<Item = &'a str>) -> Error {
        let known: Vec<&str> = known.collect();
        Error::graph(format!(
            "monitor: there is no \"{}\"; there are {}",
            self.monitor,
            known.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::observer::Scalar;

    fn record(epoch: usize, value: f64) -> EpochRecord {
        EpochRecord {
            epoch,
            total: epoch,
            seconds: 1.0,
            images: 1,
            learning_rate: 0.1,
            scalars: vec![Scalar::new("val/loss", value)],
            best: false,
        }
    }

    fn course() -> Course {
        Course {
            epochs: 100,
            monitor: "val/loss".to_owned(),
            better: Better::Lower,
            least: 0.0,
            patience: Some(3),
            plateau: None,
            restore_best: true,
        }
    }

    #[test]
    fn patience_counts_epochs_since_the_best() {
        let mut state = TrainerState::new();
        for (index, value) in [3.0, 2.0, 2.5, 2.0, f64::NAN].into_iter().enumerate() {
            assert_eq!(state.ended, None, "epoch {index}");
            state.add(record(index + 1, value), &course()).unwrap();
        }
        assert_eq!(state.ended, Some(Ended::Patience));
        assert_eq!(state.best, Some((1, 2.0)));
        let best: Vec<bool> = state.history.iter().map(|r| r.best).collect();
        assert_eq!(best, [true, true, false, false, false]);
    }

    #[test]
    fn a_plateau_waits_and_cools_down() {
        let plateau = Plateau::new().factor(0.5).patience(1).cooldown(1);
        let course = Course {
            plateau: Some(plateau.least(0.2)),
            patience: None,
            ..course()
        };
        let mut state = TrainerState::new();
        let mut factors = Vec::new();
        for epoch in 1..=9 {
            // The second epoch is better by less than the threshold.
            let value = if epoch == 1 { 1.0 } else { 0.99995 };
            state.add(record(epoch, value), &course).unwrap();
            factors.push(state.plateau.factor);
        }
        // As torch.optim.lr_scheduler.ReduceLROnPlateau counts.
        assert_eq!(factors, [1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2]);
    }

    #[test]
    fn a_plateau_reads_well() {
        let plateau = Plateau::new().factor(0.5).patience(2);
        let words = "rates times 0.5 after 2 epochs without a better one";
        assert_eq!(plateau.to_string(), words);
        let plateau = plateau.threshold(0.01).cooldown(3).least(0.1);
        assert_eq!(
            plateau.to_string(),
            format!(
                "{words}, better by a share of 0.01, then 3 epochs that do not count, no less \
                 than 0.1 in all"
            )
        );
    }

    #[test]
    fn an_unknown_number_is_named() {
        let course = Course {
            monitor: "val/iou".to_owned(),
            ..course()
        };
        let error = TrainerState::new()
            .add(record(1, 1.0), &course)
            .unwrap_err();
        let told = "monitor: there is no \"val/iou\"; there are val/loss";
        assert_eq!(error.to_string(), told);
    }
}
