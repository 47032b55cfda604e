//! The same measure of several runs, as curves in one picture.

use striate::data::Dataset;
use striate::prelude::*;
use striate::report::Report;
use striate::train::{EpochRecord, RunInfo, Scalar};

use crate::Common;

/// A run: what it is called, and its epochs.
pub type Run = (&'static str, Vec<EpochRecord>);

/// The number of this name that the last epoch came to.
pub fn last((_, epochs): &Run, name: &str) -> f64 {
    let last = epochs.last().and_then(|epoch| epoch.scalar(name));
    last.unwrap_or(f64::NAN)
}

/// Writes a picture with a chart for each of these names, such as `val/loss`, and in each a curve
/// for each run.
///
/// # Errors
/// As [`Common::write`].
pub fn write(
    common: &Common,
    file: &str,
    title: &str,
    set: &Dataset,
    runs: &[Run],
    names: [&str; 2],
) -> Result<()> {
    let longest = runs.iter().map(|(_, epochs)| epochs.len()).max();
    let epoch = |number: usize| {
        let mut scalars = Vec::new();
        for name in names {
            let what = name.rsplit('/').next().unwrap_or(name);
            for (run, epochs) in runs {
                let value = epochs.get(number).and_then(|epoch| epoch.scalar(name));
                scalars.extend(value.map(|value| Scalar {
                    name: format!("{run}/{what}"),
                    value,
                }));
            }
        }
        EpochRecord {
            epoch: number + 1,
            total: number + 1,
            seconds: 0.0,
            images: set.count,
            learning_rate: 0.0,
            scalars,
            best: false,
        }
    };
    let report = Report {
        run: RunInfo {
            steps_per_epoch: 1,
            ..RunInfo::default()
        },
        epochs: (0..longest.unwrap_or(0)).map(epoch).collect(),
        ..Report::new(title)
    };
    common.leave(file, |path| report.write_svg(path))
}
