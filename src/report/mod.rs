//! A training run as one page: what was trained on what, its curves, what is mistaken for what, the
//! worst mistakes, filters and feature maps as pictures.
//!
//! A [`Report`] listens to a trainer, itself or from an `Rc<RefCell<Report>>`; once training has
//! ended, [`Report::examine`] adds what the network says of a set. The page is one file without
//! scripts, which loads nothing. It is laid out for phones and for desktops, in light and in dark.

mod chart;
#[cfg(all(feature = "interop", not(target_arch = "wasm32")))]
mod examined;
mod matrix;
#[cfg(all(feature = "interop", not(target_arch = "wasm32")))]
mod numbers;
mod page;
mod pictures;
mod png;
mod svg;

use std::cell::RefCell;
#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;
use std::rc::Rc;

use crate::error::{Error, ErrorKind, Result};
#[cfg(not(target_arch = "wasm32"))]
use crate::file::replace_file;
use crate::train::{Ended, EpochRecord, Event, Observer, RunInfo, Scalar};
use chart::{Chart, Series};

#[cfg(all(feature = "interop", not(target_arch = "wasm32")))]
pub use examined::{Answers, Examined};

/// A small picture: pixels `[channels, height, width]`, row by row from the top left, of 1 (grey)
/// or 3 channels (red, green, blue).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    pixels: Vec<u8>,
    size: [usize; 3],
}

impl Thumbnail {
    /// Of these pixels and channels, height and width.
    ///
    /// # Errors
    /// `Shape` if there are more or fewer pixels, none, or another number of channels.
    pub fn new(pixels: Vec<u8>, size: [usize; 3]) -> Result<Self> {
        let [channels, height, width] = size;
        let count = height
            .checked_mul(width)
            .and_then(|n| n.checked_mul(channels));
        if !matches!(channels, 1 | 3) || pixels.is_empty() || count != Some(pixels.len()) {
            return Err(Error::shape(format!(
                "{} pixels are no grey or coloured picture of {channels}x{height}x{width}",
                pixels.len()
            )));
        }
        Ok(Self { pixels, size })
    }
}

/// An image that was taken for another class than its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistake {
    /// The image.
    pub picture: Thumbnail,
    /// Its class.
    pub truth: usize,
    /// The class that it was taken for.
    pub answer: usize,
    /// The probability that the network gives to its answer, 0 to 1.
    pub probability: f32,
}

/// Pictures that belong together, as the filters or the feature maps of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// The layer.
    pub title: String,
    /// What the pictures are, and what their colours mean.
    pub note: String,
    /// The pictures.
    pub pictures: Vec<Thumbnail>,
}

/// What a report says; whatever is empty is left out of the page.
///
/// ```
/// use striate::report::Report;
/// use striate::train::{Ended, EpochRecord, Event, Observer, RunInfo, Scalar};
///
/// # fn main() -> striate::error::Result<()> {
/// let mut report = Report::new("LeNet-5 on digits");
/// // A trainer tells this.
/// let run = RunInfo { epochs: 1, steps_per_epoch: 10, ..RunInfo::default() };
/// report.observe(&Event::Began(&run))?;
/// let loss = Scalar { name: "train/loss".into(), value: 0.25 };
/// let epoch = EpochRecord {
///     epoch: 1, total: 10, seconds: 1.0, images: 640, learning_rate: 0.001,
///     scalars: vec![loss], best: true,
/// };
/// report.observe(&Event::Epoch(&epoch))?;
/// report.observe(&Event::Ended(Ended::Done, &[epoch]))?;
/// assert!(report.html()?.contains("<h1>LeNet-5 on digits</h1>"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// What stands above the page.
    pub title: String,
    /// What was known before the run.
    pub run: RunInfo,
    /// Further names and values: the machine ([`machine`]).
    pub facts: Vec<(String, String)>,
    /// What was measured within epochs: steps of all epochs that were done, and the numbers.
    pub steps: Vec<(usize, Vec<Scalar>)>,
    /// What came out of each epoch.
    pub epochs: Vec<EpochRecord>,
    /// Why the run ended, if it did.
    pub ended: Option<Ended>,
    /// Names of the classes; their numbers stand for those that have none.
    pub class_names: Vec<String>,
    /// Counts `[classes, classes]`: row by row the classes that images have, in each row the
    /// classes that they were taken for.
    pub confusion: Vec<u32>,
    /// Images that were taken for another class, in the order in which they are shown.
    pub mistakes: Vec<Mistake>,
    /// The first layer's filters.
    pub filters: Option<Panel>,
    /// The picture that the feature maps are of, with its class.
    pub pictured: Option<(Thumbnail, usize)>,
    /// Feature maps, layer by layer.
    pub maps: Vec<Panel>,
}

impl Report {
    /// An empty one, of this title.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// The page: one file of HTML, which needs no other.
    ///
    /// # Errors
    /// `Shape` if the counts of confusion are not as many as classes by classes.
    pub fn html(&self) -> Result<String> {
        page::page(self)
    }

    /// The first curves and the worst mistakes as an SVG file, for a README.
    ///
    /// # Errors
    /// Those of packing pictures.
    pub fn svg(&self) -> Result<String> {
        svg::svg(self)
    }

    /// Writes the page: all of it, or nothing.
    ///
    /// # Errors
    /// `Io` if the file cannot be written, with its name; as [`html`](Self::html).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let page = self.html().map_err(|e| e.context(path.display()))?;
        replace_file(path, page.as_bytes())
    }

    /// Writes the curves: all of them, or nothing.
    ///
    /// # Errors
    /// `Io` if the file cannot be written, with its name; as [`svg`](Self::svg).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let svg = self.svg().map_err(|e| e.context(path.display()))?;
        replace_file(path, svg.as_bytes())
    }

    fn class_name(&self, class: usize) -> String {
        let name = self.class_names.get(class);
        name.cloned().unwrap_or_else(|| class.to_string())
    }

    /// Epochs that so many steps are.
    fn epochs_of(&self, steps: usize) -> f64 {
        steps as f64 / self.run.steps_per_epoch.max(1) as f64
    }

    /// The place of an epoch on the horizontal axis: where its last step is.
    fn place(&self, epoch: &EpochRecord) -> f64 {
        match self.run.steps_per_epoch {
            0 => epoch.epoch as f64,
            _ => self.epochs_of(epoch.total),
        }
    }

    /// The epoch whose network is the best, else the last one.
    fn chosen(&self) -> Option<&EpochRecord> {
        let best = self.epochs.iter().rev().find(|epoch| epoch.best);
        best.or(self.epochs.last())
    }

    /// Where the network that training left is from, in words; none if no epoch is done.
    fn left(&self) -> Option<String> {
        let last = self.epochs.last()?.epoch;
        if self.ended == Some(Ended::Stopped) && !self.run.restores_best {
            return Some("the step before training was stopped".to_owned());
        }
        let best = self.chosen().filter(|_| self.run.restores_best);
        Some(match best.map_or(last, |epoch| epoch.epoch) {
            epoch if epoch == last => format!("epoch {last}, the last"),
            epoch => format!("epoch {epoch}, the best"),
        })
    }

    /// A chart for each measure, with a curve for each of what it was measured; losses first, the
    /// learning rate last if it changes.
    fn charts(&self) -> Vec<Chart> {
        let place = |epoch: &EpochRecord| self.place(epoch);
        let end = self.epochs.last().map_or(0.0, place);
        let end = self
            .steps
            .last()
            .map_or(end, |(steps, _)| end.max(self.epochs_of(*steps)));
        let best = self.epochs.iter().rev().find(|epoch| epoch.best).map(place);
        let span = [self.epochs_of(self.run.begun_at), end];
        let mut charts: Vec<Chart> = Vec::new();
        let mut add = |scalar: &Scalar, x: f64, fine: bool| {
            let name = scalar.name.strip_suffix(scalar.what()).unwrap_or_default();
            let name = name.trim_end_matches('/');
            let at = charts.iter().position(|chart| chart.title == scalar.what());
            let at = at.unwrap_or_else(|| {
                charts.push(Chart {
                    title: scalar.what().to_owned(),
                    series: Vec::new(),
                    span,
                    best,
                });
                charts.len() - 1
            });
            let series = &mut charts[at].series;
            let at = series.iter().position(|series| series.name == name);
            let at = at.unwrap_or_else(|| {
                let others = series
                    .iter()
                    .filter(|s| !matches!(&*s.name, "train" | "val" | "test"));
                let colour = match name {
                    "train" => 0,
                    "val" | "test" => 1,
                    "" if series.is_empty() => 0,
                    _ => [2, 3, 4, 0, 1][others.count() % 5],
                };
                series.push(Series {
                    name: name.to_owned(),
                    colour,
                    points: Vec::new(),
                    fine: Vec::new(),
                });
                series.len() - 1
            });
            let series = &mut series[at];
            let points = if fine {
                &mut series.fine
            } else {
                &mut series.points
            };
            points.push([x, scalar.value]);
        };
        for epoch in &self.epochs {
            let x = self.place(epoch);
            epoch
                .scalars
                .iter()
                .for_each(|scalar| add(scalar, x, false));
        }
        for (steps, scalars) in &self.steps {
            let x = self.epochs_of(*steps);
            scalars.iter().for_each(|scalar| add(scalar, x, true));
        }
        let rates: Vec<f64> = self
            .epochs
            .iter()
            .map(|epoch| epoch.learning_rate)
            .collect();
        if rates.windows(2).any(|pair| pair[0] != pair[1])
            && !charts.iter().any(|chart| chart.title == "learning_rate")
        {
            let points = self
                .epochs
                .iter()
                .map(|epoch| [self.place(epoch), epoch.learning_rate]);
            charts.push(Chart {
                title: "learning_rate".to_owned(),
                series: vec![Series {
                    name: String::new(),
                    colour: 2,
                    points: points.collect(),
                    fine: Vec::new(),
                }],
                span,
                best: None,
            });
        }
        charts.sort_by_key(|chart| match &*chart.title {
            "loss" => 0,
            "learning_rate" => 3,
            title if title.contains("loss") => 1,
            _ => 2,
        });
        charts
    }
}

impl Observer for Report {
    /// Keeps what it is told. A run that goes on with the one before keeps its epochs.
    fn observe(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Began(run) => {
                let begun_at = run.begun_at;
                self.steps.retain(|(steps, _)| *steps <= begun_at);
                self.epochs
                    .retain(|epoch| epoch.total <= begun_at && begun_at > 0);
                let first = match self.epochs.is_empty() && self.steps.is_empty() {
                    true => begun_at,
                    false => self.run.begun_at,
                };
                self.run = (*run).clone();
                self.run.begun_at = first;
                self.ended = None;
            }
            Event::Stepped(step) => self.steps.push((step.total, step.scalars.clone())),
            Event::Epoch(epoch) => self.epochs.push((*epoch).clone()),
            Event::Saved(_) => {}
            Event::Ended(ended, _) => self.ended = Some(*ended),
        }
        Ok(())
    }
}

/// A report that a trainer keeps telling while the program keeps the report.
///
/// ```
/// use std::cell::RefCell;
/// use std::rc::Rc;
///
/// use striate::report::Report;
/// use striate::train::{Event, Observer, RunInfo};
///
/// # fn main() -> striate::error::Result<()> {
/// let report = Rc::new(RefCell::new(Report::new("LeNet-5 on digits")));
/// // A trainer takes the one half, as a box or as it is.
/// let mut told: Box<dyn Observer> = Box::new(report.clone());
/// told.observe(&Event::Began(&RunInfo { epochs: 3, ..RunInfo::default() }))?;
/// assert_eq!(report.borrow().run.epochs, 3);
/// # Ok(())
/// # }
/// ```
impl Observer for Rc<RefCell<Report>> {
    /// # Errors
    /// `Unsupported` if the report is borrowed elsewhere while the trainer tells.
    fn observe(&mut self, event: &Event<'_>) -> Result<()> {
        let Ok(mut report) = self.try_borrow_mut() else {
            let message =
                "report: it is borrowed elsewhere while the trainer tells it what happens";
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        report.observe(event)
    }
}

/// The machine that this process runs on, as facts of a report: processor where the system tells
/// it, its cores, the operating system.
pub fn machine() -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: String| facts.push((name.to_owned(), value));
    #[cfg(target_os = "linux")]
    {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = text
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        if let Some((_, model)) = model.and_then(|line| line.split_once(':')) {
            fact("processor", model.trim().to_owned());
        }
    }
    if let Ok(cores) = std::thread::available_parallelism() {
        fact("cores", cores.to_string());
    }
    use std::env::consts::{ARCH, OS};
    fact("system", format!("{OS}, {ARCH}"));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::StepRecord;

    fn scalar(name: &str, value: f64) -> Scalar {
        let name = name.to_owned();
        Scalar { name, value }
    }

    fn epoch(number: usize) -> EpochRecord {
        EpochRecord {
            epoch: number,
            total: 10 * number,
            seconds: 1.0,
            images: 100,
            learning_rate: 0.1,
            scalars: vec![scalar("val/loss", 0.5), scalar("val/accuracy", 0.9)],
            best: number == 2,
        }
    }

    fn step(total: usize) -> StepRecord {
        StepRecord {
            epoch: total / 10 + 1,
            step: total % 10,
            total,
            rate: 100.0,
            scalars: vec![scalar("train/loss", 0.7)],
        }
    }

    #[test]
    fn each_number_says_of_which_network_it_is() {
        let mut report = Report::new("run");
        report.epochs = (1..=3).map(epoch).collect();
        report.ended = Some(Ended::Done);
        report.confusion = vec![9, 1, 2, 8];
        let of_best = "These numbers are of epoch 2, the best.";
        let html = report.html().unwrap();
        for part in [
            of_best,
            "Training left the network of epoch 3, the last",
            "The network of epoch 3, the last, was examined after training",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        report.run.restores_best = true;
        let html = report.html().unwrap();
        for part in [
            of_best,
            "Training left the network of epoch 2, the best",
            "The network of epoch 2, the best, was examined after training",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    #[test]
    fn a_run_that_goes_on_replaces_what_it_does_again() {
        let report = Rc::new(RefCell::new(Report::new("run")));
        let mut told = report.clone();
        let held = report.borrow();
        let error = told
            .observe(&Event::Began(&RunInfo::default()))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        drop(held);
        let mut run = RunInfo {
            epochs: 4,
            steps_per_epoch: 10,
            ..RunInfo::default()
        };
        told.observe(&Event::Began(&run)).unwrap();
        for number in 1..=3 {
            told.observe(&Event::Stepped(&step(10 * number - 5)))
                .unwrap();
            told.observe(&Event::Epoch(&epoch(number))).unwrap();
        }
        told.observe(&Event::Ended(Ended::Stopped, &[])).unwrap();
        run.begun_at = 20;
        told.observe(&Event::Began(&run)).unwrap();
        let report = report.borrow();
        assert_eq!((report.epochs.len(), report.steps.len()), (2, 2));
        assert_eq!((report.run.begun_at, report.ended), (0, None));
        assert_eq!(report.chosen().map(|epoch| epoch.epoch), Some(2));
        assert_eq!(report.left().as_deref(), Some("epoch 2, the last"));
        let charts = report.charts();
        let titles: Vec<&str> = charts.iter().map(|chart| &*chart.title).collect();
        assert_eq!(titles, ["loss", "accuracy"]);
        let [val, train] = &charts[0].series[..] else {
            panic!("{charts:?}");
        };
        assert_eq!((val.points.len(), val.colour), (2, 1));
        assert_eq!(
            (&train.fine[..], train.colour),
            (&[[0.5, 0.7], [1.5, 0.7]][..], 0)
        );
    }
}
