//! The bar of an epoch.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::{StepRecord, duration};
use crate::models::grouped;

/// A bar on standard error, or nothing where it is no terminal.
pub(super) struct Bar(Option<ProgressBar>);

impl Bar {
    pub fn new() -> Self {
        let terminals = std::io::stderr().is_terminal() && std::io::stdout().is_terminal();
        Self(terminals.then(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style)
        }))
    }

    pub fn hidden() -> Self {
        Self(None)
    }

    /// Draws it, of so many epochs and steps of an epoch; false if there is none.
    pub fn show(
        &self,
        step: &StepRecord,
        [epochs, steps]: [usize; 2],
        scalars: &str,
        left: Option<f64>,
    ) -> bool {
        let Some(bar) = &self.0 else {
            return false;
        };
        bar.set_length(steps as u64);
        bar.set_prefix(format!("epoch {}/{epochs}", step.epoch));
        bar.set_position(step.step as u64);
        let left = left.map(|left| format!(", {} left", duration(left)));
        let left = left.unwrap_or_default();
        bar.set_message(format!(
            "{scalars} {} images/s{left}",
            grouped(step.rate.round() as u64)
        ));
        true
    }

    pub fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
            bar.reset();
        }
    }

    /// Does something while the bar is away.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}
