//! Progress in a terminal.

use std::collections::BTreeSet;
use std::fmt::{self, Debug};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

#[cfg(feature = "progress")]
use super::bar::Bar;
use super::{Ended, EpochRecord, Event, Observer, RunInfo, Scalar, StepRecord, duration};
use crate::error::{Error, ErrorKind, Result};
use crate::models::grouped;

/// Prints what is trained, a line for each epoch, and how the run ended.
///
/// With the feature `progress` a bar on standard error follows the steps of an epoch, with the
/// loss, images per second and the time left, where both standard output and standard error are
/// terminals. Without one, an epoch of more than a minute is announced by its length.
///
/// Where nobody reads the lines any more, as after `| head -1`, training ends with an error of
/// kind `Io`, whose source is the [`io::Error`] of kind `BrokenPipe`; with
/// [`unread`](Self::unread) it goes on.
pub struct Terminal {
    out: Box<dyn Write>,
    unread: bool,
    began: Option<Began>,
    #[cfg(feature = "progress")]
    bar: Bar,
}

struct Began {
    epochs: usize,
    steps: usize,
    start: Instant,
    /// The steps that were done when the pace began to count, and when that was: the first ones
    /// of a run also prepare.
    paced: Option<(usize, Instant)>,
    /// Whether it was said how long an epoch takes.
    told: bool,
    saved: BTreeSet<PathBuf>,
    best: Option<EpochRecord>,
    restores_best: bool,
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal")
            .field("unread", &self.unread)
            .finish_non_exhaustive()
    }
}

impl Terminal {
    /// On standard output.
    pub fn new() -> Self {
        Self {
            #[cfg(feature = "progress")]
            bar: Bar::new(),
            ..Self::to(io::stdout())
        }
    }

    /// Lines alone, to whatever takes them.
    pub fn to(out: impl Write + 'static) -> Self {
        Self {
            out: Box::new(out),
            unread: false,
            began: None,
            #[cfg(feature = "progress")]
            bar: Bar::hidden(),
        }
    }

    /// Goes on where nobody reads the lines any more: for runs that leave files.
    pub fn unread(mut self) -> Self {
        self.unread = true;
        self
    }

    fn say(&mut self, line: &str) -> Result<()> {
        let out = &mut self.out;
        let write = || writeln!(out, "{line}").and_then(|()| out.flush());
        #[cfg(feature = "progress")]
        let said = self.bar.aside(write);
        #[cfg(not(feature = "progress"))]
        let said = { write }();
        match said {
            Err(e) if self.unread && e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            said => said.map_err(|e| Error::new(ErrorKind::Io, "standard output").with_source(e)),
        }
    }

    fn begin(&mut self, run: &RunInfo) -> Result<()> {
        self.began = Some(Began {
            epochs: run.epochs,
            steps: run.steps_per_epoch,
            start: Instant::now(),
            paced: None,
            told: false,
            saved: BTreeSet::new(),
            best: None,
            restores_best: run.restores_best,
        });
        for (name, value) in &run.facts {
            self.say(&format!("{name}: {value}"))?;
        }
        match run.begun_at {
            0 => Ok(()),
            step => self.say(&format!("goes on after step {step}")),
        }
    }

    fn step(&mut self, step: &StepRecord) -> Result<()> {
        let Some(began) = &mut self.began else {
            return Ok(());
        };
        let each = began.each(step.total, Instant::now());
        #[cfg(feature = "progress")]
        {
            let all = began.epochs * began.steps;
            let left = each.map(|each| each * all.saturating_sub(step.total) as f64);
            let scalars = sentence(&step.scalars);
            if self
                .bar
                .show(step, [began.epochs, began.steps], &scalars, left)
            {
                return Ok(());
            }
        }
        let whole = each.unwrap_or_default() * began.steps as f64;
        if whole > 60.0 && !std::mem::replace(&mut began.told, true) {
            self.say(&format!("about {} per epoch", duration(whole)))?;
        }
        Ok(())
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> Result<()> {
        let mut of = String::new();
        if let Some(began) = &mut self.began {
            of = format!("/{}", began.epochs);
            if epoch.best {
                began.best = Some(epoch.clone());
            }
        }
        #[cfg(feature = "progress")]
        self.bar.clear();
        let mut line = format!("epoch {}{of}: {}", epoch.epoch, sentence(&epoch.scalars));
        if epoch.seconds > 0.0 {
            let rate = grouped((epoch.images as f64 / epoch.seconds).round() as u64);
            line += &format!(" ({}, {rate} images/s)", duration(epoch.seconds));
        }
        if epoch.best {
            line += " best";
        }
        self.say(&line)
    }

    fn end(&mut self, ended: Ended, epochs: &[EpochRecord]) -> Result<()> {
        #[cfg(feature = "progress")]
        self.bar.clear();
        let mut line = match ended {
            Ended::Done => "done".to_owned(),
            Ended::Patience => "ended early, no epoch was better for long".to_owned(),
            Ended::Stopped => "stopped".to_owned(),
        };
        let count = epochs.len();
        let plural = if count == 1 { "" } else { "s" };
        line += &format!(": {count} epoch{plural}");
        let Some(began) = self.began.take() else {
            return self.say(&line);
        };
        line += &format!(" in {}", duration(began.start.elapsed().as_secs_f64()));
        self.say(&line)?;
        if let Some(best) = began.best {
            let (number, scalars) = (best.epoch, sentence(&best.scalars));
            self.say(&format!("best epoch {number}: {scalars}"))?;
            let last = epochs.last().map_or(number, |epoch| epoch.epoch);
            if last != number {
                self.say(&match began.restores_best {
                    true => format!("the network is that of epoch {number}, the best"),
                    false if ended == Ended::Stopped => {
                        "the network is that of the step before it was stopped".to_owned()
                    }
                    false => format!("the network is that of epoch {last}, the last"),
                })?;
            }
        }
        for path in &began.saved {
            self.say(&format!("saved {}", path.display()))?;
        }
        Ok(())
    }
}

impl Began {
    /// Seconds of a step, validation and all, once some are done. Those that were done when it is
    /// asked first do not count: pipelines are made ready in them.
    fn each(&mut self, total: usize, now: Instant) -> Option<f64> {
        let (at, since) = *self.paced.get_or_insert((total, now));
        let done = total.checked_sub(at).filter(|&done| done > 0)?;
        Some(now.duration_since(since).as_secs_f64() / done as f64)
    }
}

impl Observer for Terminal {
    /// # Errors
    /// `Io` if standard output takes no lines.
    fn observe(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Began(run) => self.begin(run),
            Event::Stepped(step) => self.step(step),
            Event::Epoch(epoch) => self.epoch(epoch),
            Event::Saved(path) => {
                if let Some(began) = &mut self.began {
                    began.saved.insert(path.to_path_buf());
                }
                Ok(())
            }
            Event::Ended(ended, epochs) => self.end(*ended, epochs),
        }
    }
}

/// Scalars by what they are of: `train loss 0.1234 accuracy 98.70 %, val loss 0.2345`.
fn sentence(scalars: &[Scalar]) -> String {
    let mut parts: Vec<(&str, String)> = Vec::new();
    for scalar in scalars {
        let (of, what) = scalar.name.split_once('/').unwrap_or(("", &scalar.name));
        let text = format!(" {what} {}", scalar.shown());
        match parts.iter_mut().find(|(own, _)| *own == of) {
            Some((_, parts)) => *parts += &text,
            None => parts.push((of, text)),
        }
    }
    let parts: Vec<String> = parts
        .into_iter()
        .map(|(of, text)| of.to_owned() + &text)
        .collect();
    parts.join(", ").trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{epoch, run};
    use super::*;
    use std::path::Path;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// What was written, or a pipe that is closed after some lines.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>, usize);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut text = self.0.lock().unwrap();
            let lines = text.iter().filter(|&&byte| byte == b'\n').count();
            if self.1 > 0 && lines >= self.1 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            text.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn tell(terminal: &mut Terminal) -> Result<()> {
        let mut run = run(0);
        run.facts = vec![("network".into(), "lenet5".into())];
        terminal.observe(&Event::Began(&run))?;
        let scalars = [
            ("train/loss", 0.1234),
            ("val/accuracy", 0.987),
            ("val/loss", 2e-6),
        ];
        let epochs = [epoch(1, &scalars), epoch(2, &scalars)];
        for epoch in &epochs {
            terminal.observe(&Event::Saved(Path::new("last.safetensors")))?;
            terminal.observe(&Event::Epoch(epoch))?;
        }
        terminal.observe(&Event::Ended(Ended::Done, &epochs))
    }

    #[test]
    fn lines_say_what_happened() {
        let paper = Paper::default();
        tell(&mut Terminal::to(paper.clone())).unwrap();
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        let scalars = "train loss 0.1234, val accuracy 98.70 % loss 0.000002";
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "network: lenet5",
                &format!("epoch 1/3: {scalars} (1.5 s, 427 images/s) best"),
                &format!("epoch 2/3: {scalars} (1.5 s, 427 images/s)"),
            ]
        );
        assert!(lines[3].starts_with("done: 2 epochs in "), "{}", lines[3]);
        assert_eq!(lines[4], format!("best epoch 1: {scalars}"));
        assert_eq!(
            lines[5..],
            [
                "the network is that of epoch 2, the last",
                "saved last.safetensors"
            ]
        );
    }

    #[test]
    fn the_pace_is_that_of_later_steps() {
        let mut terminal = Terminal::to(Paper::default());
        terminal.begin(&run(0)).unwrap();
        let began = terminal.began.as_mut().unwrap();
        let after = |seconds: u64| began.start + Duration::from_secs(seconds);
        let times = [30, 32, 36].map(after);
        let mut pace = |steps, time| began.each(steps, time);
        assert_eq!(pace(1, times[0]), None);
        assert_eq!(pace(5, times[1]), Some(0.5));
        assert_eq!(pace(13, times[2]), Some(0.5));
    }

    #[test]
    fn a_closed_pipe_ends_training_unless_files_are_left() {
        let paper = Paper(Arc::default(), 1);
        let error = tell(&mut Terminal::to(paper.clone())).unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        let source = source.downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.kind(), io::ErrorKind::BrokenPipe);
        tell(&mut Terminal::to(paper).unread()).unwrap();
    }
}
