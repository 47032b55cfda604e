//! What a trainer tells while it runs, and who may listen.

#[cfg(all(feature = "progress", not(target_arch = "wasm32")))]
mod bar;
#[cfg(not(target_arch = "wasm32"))]
mod csv_log;
#[cfg(not(target_arch = "wasm32"))]
mod json_lines;
#[cfg(not(target_arch = "wasm32"))]
mod log_file;
#[cfg(not(target_arch = "wasm32"))]
mod tensor_board;
#[cfg(not(target_arch = "wasm32"))]
mod terminal;

use std::path::Path;

use crate::error::Result;

#[cfg(not(target_arch = "wasm32"))]
pub use csv_log::CsvLog;
#[cfg(not(target_arch = "wasm32"))]
pub use json_lines::JsonLines;
#[cfg(not(target_arch = "wasm32"))]
pub use tensor_board::TensorBoard;
#[cfg(not(target_arch = "wasm32"))]
pub use terminal::Terminal;

/// A number with its name, as `train/loss` or `val/accuracy`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// What was measured, and after a slash of what: `train/loss`, `val/accuracy`.
    pub name: String,
    /// Losses as they are; shares such as accuracy from 0 to 1.
    pub value: f64,
}

/// What is shown of it, in a terminal and on a page.
#[cfg(any(feature = "data", not(target_arch = "wasm32")))]
impl Scalar {
    /// What was measured, without of what: `loss` of `train/loss`.
    pub(crate) fn what(&self) -> &str {
        let parts = self.name.split_once('/');
        parts.map_or(&*self.name, |(_, what)| what)
    }

    /// Whether it is a share from 0 to 1, by a word of what was measured: `mean_iou`, `top5`,
    /// `recall.CLASS`, whatever the class is called.
    pub(crate) fn is_share(&self) -> bool {
        const SHARES: [&str; 6] = ["accuracy", "precision", "recall", "iou", "dice", "f1"];
        let what = self.what().split('.').next().unwrap_or_default();
        let what = what.to_ascii_lowercase();
        let mut words = what.split(|c: char| !c.is_alphanumeric());
        words.any(|word| match word.strip_prefix("top") {
            Some(rest) => !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()),
            None => SHARES.contains(&word),
        })
    }

    /// The value for people: shares in percent, the rest with four digits that count.
    pub(crate) fn shown(&self) -> String {
        match self.is_share() {
            true => format!("{:.2} %", 100.0 * self.value),
            false => digits(self.value),
        }
    }
}

/// A number with four digits that count, at least.
#[cfg(any(feature = "data", not(target_arch = "wasm32")))]
pub(crate) fn digits(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    if !(1e-6..1e9).contains(&size) {
        return format!("{value:.3e}");
    }
    let places = (3 - size.log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// `8.5 s`, `3 min 20 s`, `2 h 5 min`.
#[cfg(any(feature = "data", not(target_arch = "wasm32")))]
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole / 3600 {
        0 => format!("{} min {} s", whole / 60, whole % 60),
        hours => format!("{hours} h {} min", whole % 3600 / 60),
    }
}

/// What is known before the first step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunInfo {
    /// Epochs at most.
    pub epochs: usize,
    /// Training steps of an epoch.
    pub steps_per_epoch: usize,
    /// Images of an epoch.
    pub images_per_epoch: usize,
    /// Steps that were done before, by the run that this one goes on with.
    pub begun_at: usize,
    /// Whether the network in the end is that of the best epoch; else it is that of the last one.
    pub restores_best: bool,
    /// Names and values that say what is trained, on what and how: network, parameters, data,
    /// device, optimizer, batch, recipe, seed.
    pub facts: Vec<(String, String)>,
}

/// Where an epoch is.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps of it that are done.
    pub step: usize,
    /// Steps of all epochs that are done.
    pub total: usize,
    /// Images per second since the last record.
    pub rate: f64,
    /// What was measured since the last record.
    pub scalars: Vec<Scalar>,
}

/// What came out of an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochRecord {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps of all epochs that are done.
    pub total: usize,
    /// Seconds that its training took.
    pub seconds: f64,
    /// Images that it trained on.
    pub images: usize,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// What was measured in training and in validation.
    pub scalars: Vec<Scalar>,
    /// Whether it is the best so far.
    pub best: bool,
}

impl EpochRecord {
    /// The number of this name.
    pub fn scalar(&self, name: &str) -> Option<f64> {
        let found = self.scalars.iter().find(|scalar| scalar.name == name);
        found.map(|scalar| scalar.value)
    }
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All epochs are done.
    Done,
    /// So many epochs went by without a better one.
    Patience,
    /// The stop flag was raised; a checkpoint was written if one is wanted.
    Stopped,
}

/// What a trainer tells.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Training begins.
    Began(&'a RunInfo),
    /// Some steps are done.
    Stepped(&'a StepRecord),
    /// An epoch is done, and validated.
    Epoch(&'a EpochRecord),
    /// A file was written.
    Saved(&'a Path),
    /// Training ended; these are the epochs of this run.
    Ended(Ended, &'a [EpochRecord]),
}

/// Listens to a trainer: prints, or writes files.
pub trait Observer {
    /// Is told what happened.
    ///
    /// # Errors
    /// Whatever went wrong; training ends with it, after the step that it is in.
    fn observe(&mut self, event: &Event<'_>) -> Result<()>;
}

/// A closure listens.
impl<F: FnMut(&Event<'_>) -> Result<()>> Observer for F {
    fn observe(&mut self, event: &Event<'_>) -> Result<()> {
        self(event)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A folder of the test's own.
    pub(super) fn folder(name: &str) -> PathBuf {
        let name = format!("striate-observer-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    pub(super) fn run(begun_at: usize) -> RunInfo {
        RunInfo {
            epochs: 3,
            steps_per_epoch: 10,
            images_per_epoch: 640,
            begun_at,
            restores_best: false,
            facts: Vec::new(),
        }
    }

    pub(super) fn epoch(number: usize, scalars: &[(&str, f64)]) -> EpochRecord {
        let scalars = scalars.iter().map(|&(name, value)| Scalar {
            name: name.to_owned(),
            value,
        });
        EpochRecord {
            epoch: number,
            total: 10 * number,
            seconds: 1.5,
            images: 640,
            learning_rate: 0.1,
            scalars: scalars.collect(),
            best: number == 1,
        }
    }

    #[test]
    fn numbers_are_shown_for_people() {
        for (name, value, shown) in [
            ("val/accuracy", 0.98765, "98.77 %"),
            ("top5", 1.0, "100.00 %"),
            ("val/loss", 0.0123456, "0.01235"),
            ("loss", 2.0, "2"),
            ("loss", 12345.6, "12346"),
            ("topology", 1e-9, "1.000e-9"),
            ("psnr", f64::INFINITY, "inf"),
            ("val/mean_iou", 0.5, "50.00 %"),
            ("val/recall.T-shirt/top", 0.5, "50.00 %"),
            ("val/loss.accuracy", 0.5, "0.5"),
            ("train/previous", 0.5, "0.5"),
        ] {
            let name = name.to_owned();
            assert_eq!(Scalar { name, value }.shown(), shown);
        }
    }

    #[test]
    fn what_was_measured_is_behind_the_first_slash() {
        for (name, what) in [
            ("loss", "loss"),
            ("val/accuracy", "accuracy"),
            ("val/recall.T-shirt/top", "recall.T-shirt/top"),
        ] {
            let name = name.to_owned();
            assert_eq!(Scalar { name, value: 0.0 }.what(), what);
        }
    }

    #[test]
    fn durations_read_well() {
        let seconds = [0.04, 59.9, 59.96, 200.0, 3599.7, 7500.0];
        assert_eq!(
            seconds.map(duration),
            [
                "0.0 s",
                "59.9 s",
                "1 min 0 s",
                "3 min 20 s",
                "1 h 0 min",
                "2 h 5 min"
            ]
        );
    }
}
