//! Learning rates as tables, one entry per step; after the last one the rate stays.
//!
//! Names, defaults and numbers are those of PyTorch's `torch.optim.lr_scheduler`, in closed form. A
//! table goes onto the device with
//! [`scheduled`](super::scheduled); joined ones are tables too:
//!
//! ```
//! use striate::train::schedule::{cosine_annealing, linear, then};
//!
//! # fn main() -> striate::error::Result<()> {
//! // 5 steps of warm-up from a tenth of the rate, then a fall to 0 over 95 steps.
//! let rates = then(linear(0.1, 0.1, 1.0, 5)?, 5, cosine_annealing(0.1, 95, 0.0)?)?;
//! assert_eq!(rates[..2], [0.01, 0.028]);
//! assert_eq!(rates[5], 0.1);
//! assert_eq!(rates.last(), Some(&0.0));
//! # Ok(())
//! # }
//! ```
//!
//! A table of 2^31 steps or more is an error of kind `Shape`, one beyond the memory `OutOfMemory`.

use std::f64::consts::PI;

use crate::error::Result;
use crate::shape::Type;
use crate::tensor::room;

/// Entries `f(0)`, `f(1)`, ..., `f(count - 1)`.
fn table(count: usize, f: impl Fn(usize) -> f64) -> Result<Vec<f32>> {
    let mut rates = rates(count.max(1))?;
    rates.extend((0..count.max(1)).map(|step| f(step) as f32));
    Ok(rates)
}

/// An empty table with room for `steps` rates.
fn rates(steps: usize) -> Result<Vec<f32>> {
    Type::f32([steps])
        .check()
        .and_then(|()| room(steps))
        .map_err(|e| e.context(format!("schedule of {steps} steps")))
}

/// Half a cosine from `start` where `done` is 0 to `end` where it is 1.
fn cosine(start: f64, end: f64, done: f64) -> f64 {
    end + (start - end) * 0.5 * (1.0 + (PI * done).cos())
}

/// The same rate at every step.
pub fn constant(rate: f32) -> Vec<f32> {
    vec![rate]
}

/// `rate` times `gamma` for each `step_size` steps that are done, for `steps` steps (`StepLR`).
pub fn step(rate: f64, step_size: usize, gamma: f64, steps: usize) -> Result<Vec<f32>> {
    let times = |step: usize| (step / step_size.max(1)) as f64;
    table(steps, |step| rate * gamma.powf(times(step)))
}

/// `rate` times `gamma` for each of `milestones` that is reached (`MultiStepLR`).
pub fn multi_step(rate: f64, milestones: &[usize], gamma: f64) -> Result<Vec<f32>> {
    let steps = milestones
        .iter()
        .max()
        .map_or(1, |&last| last.saturating_add(1));
    let reached = |step: usize| milestones.iter().filter(|&&m| m <= step).count();
    table(steps, |step| rate * gamma.powf(reached(step) as f64))
}

/// `rate` times `gamma` for each step that is done, for `steps` steps (`ExponentialLR`).
pub fn exponential(rate: f64, gamma: f64, steps: usize) -> Result<Vec<f32>> {
    table(steps, |step| rate * gamma.powf(step as f64))
}

/// `rate` times a factor that runs from `start_factor` to `end_factor` in `total_iters` steps
/// (`LinearLR`): a warm-up.
pub fn linear(
    rate: f64,
    start_factor: f64,
    end_factor: f64,
    total_iters: usize,
) -> Result<Vec<f32>> {
    table(total_iters.saturating_add(1), |step| {
        let done = match total_iters {
            0 => 1.0,
            _ => step as f64 / total_iters as f64,
        };
        rate * (start_factor + (end_factor - start_factor) * done)
    })
}

/// `rate` times (1 - t / total_iters)^power (`PolynomialLR`).
pub fn polynomial(rate: f64, total_iters: usize, power: f64) -> Result<Vec<f32>> {
    table(total_iters.saturating_add(1), |step| {
        rate * (1.0 - step as f64 / total_iters.max(1) as f64).powf(power)
    })
}

/// Half a cosine from `rate` to `eta_min` in `t_max` steps (`CosineAnnealingLR`).
pub fn cosine_annealing(rate: f64, t_max: usize, eta_min: f64) -> Result<Vec<f32>> {
    table(t_max.saturating_add(1), |step| {
        cosine(rate, eta_min, step as f64 / t_max.max(1) as f64)
    })
}

/// Half a cosine from `rate` towards `eta_min` in `t_0` steps, begun again and again, each time
/// over `t_mult` times as many steps, for `steps` steps (`CosineAnnealingWarmRestarts`; Loshchilov
/// and Hutter 2017, "SGDR").
pub fn cosine_annealing_warm_restarts(
    rate: f64,
    t_0: usize,
    t_mult: usize,
    eta_min: f64,
    steps: usize,
) -> Result<Vec<f32>> {
    let (mut since, mut length) = (0, t_0.max(1));
    let mut rates = rates(steps.max(1))?;
    while rates.len() < steps.max(1) {
        let done = since as f64 / length as f64;
        rates.push(cosine(rate, eta_min, done) as f32);
        since += 1;
        if since == length {
            (since, length) = (0, length.saturating_mul(t_mult.max(1)));
        }
    }
    Ok(rates)
}

/// One rise and one fall (`OneCycleLR`; Smith and Topin 2018, "Super-convergence"). The momentum is
/// not cycled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneCycle {
    /// The highest rate.
    pub max_lr: f64,
    /// Steps of the whole cycle.
    pub total_steps: usize,
    /// Share of the steps that the rise takes.
    pub pct_start: f64,
    /// Whether rise and fall are straight lines, not half cosines.
    pub linear: bool,
    /// The first rate is max_lr / div_factor.
    pub div_factor: f64,
    /// The last rate is the first one / final_div_factor.
    pub final_div_factor: f64,
    /// Whether the fall first mirrors the rise.
    pub three_phase: bool,
}

impl OneCycle {
    /// PyTorch's defaults: a rise over 0.3 of the steps, half cosines, factors 25 and 10,000, two
    /// phases.
    pub fn new(max_lr: f64, total_steps: usize) -> Self {
        Self {
            max_lr,
            total_steps,
            pct_start: 0.3,
            linear: false,
            div_factor: 25.0,
            final_div_factor: 1e4,
            three_phase: false,
        }
    }

    /// The rates.
    pub fn table(&self) -> Result<Vec<f32>> {
        let total = self.total_steps as f64;
        let first = self.max_lr / self.div_factor;
        let last = first / self.final_div_factor;
        let rise = self.pct_start * total - 1.0;
        // Last step of each phase, with the rates between which it runs.
        let phases = match self.three_phase {
            false => vec![(rise, first, self.max_lr), (total - 1.0, self.max_lr, last)],
            true => vec![
                (rise, first, self.max_lr),
                (2.0 * rise, self.max_lr, first),
                (total - 1.0, first, last),
            ],
        };
        table(self.total_steps, |step| {
            let step = step as f64;
            let mut start = 0.0;
            let mut rate = first;
            for &(end, from, to) in &phases {
                let done = if end > start {
                    (step - start) / (end - start)
                } else {
                    1.0
                };
                rate = match self.linear {
                    true => from + (to - from) * done,
                    false => cosine(from, to, done),
                };
                if step <= end {
                    break;
                }
                start = end;
            }
            rate
        })
    }
}

/// The first `milestone` steps of one table, then another from its beginning (`SequentialLR`).
/// Where there is no rate for the first steps, because the first table is empty, the result is
/// empty too, which [`scheduled`](super::scheduled) refuses.
pub fn then(first: Vec<f32>, milestone: usize, second: Vec<f32>) -> Result<Vec<f32>> {
    let stays = first.last().copied();
    let steps = match stays {
        None if milestone > 0 => return Ok(first),
        _ => milestone.saturating_add(second.len()),
    };
    let mut joined = rates(steps)?;
    joined.extend(first.iter().take(milestone));
    joined.resize(milestone, stays.unwrap_or_default());
    joined.extend(second);
    Ok(joined)
}

/// A linear rise to `peak` over `warmup` steps, then half a cosine down to 0 at `steps`
/// (Loshchilov and Hutter 2017, "SGDR", without restarts).
pub fn warmup_cosine(peak: f32, warmup: usize, steps: usize) -> Result<Vec<f32>> {
    let (steps, rate) = (steps.max(1), f64::from(peak));
    let fall = steps.saturating_sub(warmup).max(1);
    table(steps, |step| match step.checked_sub(warmup) {
        None => rate * (step + 1) as f64 / warmup as f64,
        Some(done) => cosine(rate, 0.0, done as f64 / fall as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that PyTorch's formulas give, by hand.
    fn check(found: &Result<Vec<f32>>, wanted: &[f64]) {
        let found = found.as_ref().unwrap();
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        for (found, wanted) in found.iter().zip(wanted) {
            let off = (f64::from(*found) - wanted).abs();
            assert!(off <= 1e-7 * wanted.abs() + 1e-9, "{found}, not {wanted}");
        }
    }

    #[test]
    fn rises_then_falls() {
        let table = warmup_cosine(1.0, 4, 104).unwrap();
        assert_eq!(table.len(), 104);
        assert_eq!(table[..4], [0.25, 0.5, 0.75, 1.0]);
        assert_eq!(table[4], 1.0);
        assert!((table[54] - 0.5).abs() < 1e-6);
        assert!(table[103] < 1e-3 && table.windows(2).skip(4).all(|w| w[1] < w[0]));
        assert_eq!(warmup_cosine(1.0, 0, 0).unwrap().len(), 1);
    }

    #[test]
    fn steps_and_powers() {
        check(&step(0.5, 2, 0.1, 5), &[0.5, 0.5, 0.05, 0.05, 0.005]);
        check(&multi_step(0.5, &[1, 3], 0.1), &[0.5, 0.05, 0.05, 0.005]);
        check(&multi_step(0.5, &[2, 2], 0.1), &[0.5, 0.5, 0.005]);
        check(&exponential(0.5, 0.5, 4), &[0.5, 0.25, 0.125, 0.0625]);
        check(&linear(0.8, 0.25, 1.0, 3), &[0.2, 0.4, 0.6, 0.8]);
        check(&linear(0.8, 0.25, 1.0, 0), &[0.8]);
        check(&polynomial(1.0, 4, 2.0), &[1.0, 0.5625, 0.25, 0.0625, 0.0]);
        // The table in the documentation of PolynomialLR.
        let wanted = [0.001, 0.00075, 0.0005, 0.00025, 0.0];
        check(&polynomial(0.001, 4, 1.0), &wanted);
        assert_eq!(constant(0.5), [0.5]);
    }

    #[test]
    fn cosines() {
        // cos(pi / 4) = sqrt(1 / 2).
        let half = 0.5f64.sqrt();
        let quarter = [1.0, 0.5 + 0.5 * half, 0.5, 0.5 - 0.5 * half];
        let fall = |rate: f64, low: f64| quarter.map(|share| low + (rate - low) * share);
        let wanted = [&fall(0.4, 0.1)[..], &[0.1]].concat();
        check(&cosine_annealing(0.4, 4, 0.1), &wanted);
        // Periods of 2 and 4 steps, and the first two of 8.
        let second = [0.4, 0.25];
        let third = [0.4, 0.1 + 0.3 * (0.5 + 0.5 * (PI / 8.0).cos())];
        let wanted = [&second[..], &fall(0.4, 0.1), &third].concat();
        check(&cosine_annealing_warm_restarts(0.4, 2, 2, 0.1, 8), &wanted);
        let wanted = [second, second, second].concat();
        check(&cosine_annealing_warm_restarts(0.4, 2, 1, 0.1, 6), &wanted);
    }

    #[test]
    fn one_cycle() {
        // 10 steps: the rise ends at step 2, the fall at step 9.
        let cycle = OneCycle {
            final_div_factor: 10.0,
            ..OneCycle::new(1.0, 10)
        };
        let (first, last) = (0.04, 0.004);
        let fall = |step: f64| last + (1.0 - last) * 0.5 * (1.0 + (PI * (step - 2.0) / 7.0).cos());
        let mut wanted = vec![first, 0.52, 1.0];
        wanted.extend((3..10).map(|step| fall(f64::from(step))));
        check(&cycle.table(), &wanted);
        // Straight, in three phases: the rise ends at step 3, its mirror at 6, the rest at 9.
        let cycle = OneCycle {
            linear: true,
            three_phase: true,
            pct_start: 0.4,
            ..cycle
        };
        let wanted = [0.04, 0.36, 0.68, 1.0, 0.68, 0.36, 0.04, 0.028, 0.016, 0.004];
        check(&cycle.table(), &wanted);
        for steps in [0, 1, 2, 3] {
            let table = OneCycle::new(1.0, steps).table().unwrap();
            assert_eq!(table.len(), steps.max(1));
            assert!(table.iter().all(|rate| rate.is_finite()), "{table:?}");
        }
    }

    #[test]
    fn one_after_the_other() {
        let fall = exponential(1.0, 0.5, 3).unwrap();
        let joined = then(linear(1.0, 0.5, 1.0, 2).unwrap(), 2, fall);
        check(&joined, &[0.5, 0.75, 1.0, 0.5, 0.25]);
        check(&then(vec![0.5], 3, vec![1.0]), &[0.5, 0.5, 0.5, 1.0]);
        check(&then(vec![], 0, vec![1.0]), &[1.0]);
        check(&then(vec![], 5, vec![1.0]), &[]);
    }
}
