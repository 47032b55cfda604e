//! What is printed: lines, bars and errors; and Ctrl-C, which ends them.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use striate::gpu::Progress;
use striate::prelude::*;
use striate::train::Metrics;

/// Lines on standard output, which somebody may stop reading, as after `| head -1`.
#[derive(Clone, Copy)]
pub struct Lines {
    /// Whether the run goes on unread: it leaves files.
    pub unread: bool,
}

impl Lines {
    /// Prints a line. Fails where nobody reads any more, if the run is for its lines alone.
    pub fn say(self, line: impl Display) -> Result<()> {
        let mut out = io::stdout().lock();
        match writeln!(out, "{line}").and_then(|()| out.flush()) {
            Err(e) if self.unread && e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            said => said.map_err(|e| Error::new(ErrorKind::Io, "standard output").with_source(e)),
        }
    }
}

/// Whether nobody reads standard output any more.
pub fn is_closed(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|e| e.downcast_ref::<io::Error>());
    let closed = source.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe);
    closed && error.to_string() == "standard output"
}

/// Prints an error and its causes, each once: some messages hold that of their cause.
pub fn report(error: &Error) {
    let mut text = format!("error: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text += &format!("\n  caused by: {cause}");
        }
        source = error.source();
    }
    // Nothing is left to tell it by.
    let _ = writeln!(io::stderr(), "{text}");
}

/// What a shell expects of a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// A flag that Ctrl-C raises, and what else asks a program to end; a second time ends it at once.
#[derive(Debug)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn on_interrupt() -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let raised = stop.clone();
        let handler = move || {
            if raised.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED.into());
            }
        };
        ctrlc::set_handler(handler).map_err(|e| {
            Error::new(ErrorKind::Unsupported, "Ctrl-C cannot be taken").with_source(e)
        })?;
        Ok(Self(stop))
    }

    pub fn raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn exit_code() -> ExitCode {
        ExitCode::from(INTERRUPTED)
    }
}

/// A bar on a terminal, nothing elsewhere.
fn progress_bar(template: &str) -> ProgressBar {
    let bar = match io::stderr().is_terminal() {
        true => ProgressBar::new(0),
        false => ProgressBar::hidden(),
    };
    let style = ProgressStyle::with_template(template);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A bar that follows the pipelines of `build` where building them takes noticeable time.
pub fn building<T>(build: impl FnOnce(&mut dyn FnMut(Progress<'_>)) -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let bar = progress_bar("{msg:<40!} {wide_bar} {pos}/{len}");
    let built = build(&mut |progress| {
        if start.elapsed() > Duration::from_millis(300) {
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done() as u64);
            let kernel = progress.pending.first().copied().unwrap_or_default();
            bar.set_message(format!("building {kernel}"));
        }
    });
    bar.finish_and_clear();
    built
}

/// What an epoch has counted so far: a bar on a terminal, and one line at its end.
pub struct Meter {
    bar: ProgressBar,
    start: Instant,
    /// Number of the epoch, from 1, and how many there are.
    number: usize,
    epochs: usize,
    /// Steps done before the epoch was begun or resumed, those done, and those of an epoch.
    first: usize,
    done: usize,
    steps: usize,
    loss: f64,
    right: f64,
    images: usize,
    /// Whether how long an epoch takes is still to be said.
    estimate: bool,
    lines: Lines,
}

impl Meter {
    /// Of epoch `epoch` of `epochs`, from step `first` of `steps` on.
    pub fn new(
        [epoch, epochs]: [usize; 2],
        [first, steps]: [usize; 2],
        on_cpu: bool,
        lines: Lines,
    ) -> Self {
        let number = epoch + 1;
        let bar = progress_bar("{prefix} {wide_bar} {pos}/{len} {msg}");
        bar.set_length(steps as u64);
        bar.set_prefix(format!("epoch {number}/{epochs}"));
        Self {
            bar,
            start: Instant::now(),
            number,
            epochs,
            first,
            done: first,
            steps,
            loss: 0.0,
            right: 0.0,
            images: 0,
            estimate: on_cpu && number == 1 && first == 0,
            lines,
        }
    }

    /// Adds what `steps` more steps have counted.
    pub fn add(&mut self, steps: usize, metrics: Metrics) -> Result<()> {
        self.loss += metrics.loss * steps as f64;
        self.right += metrics.accuracy * metrics.images as f64;
        self.images += metrics.images;
        self.done += steps;
        let elapsed = self.start.elapsed().as_secs_f64();
        let each = elapsed / (self.done - self.first) as f64;
        let left = self.steps * (self.epochs - self.number) + self.steps - self.done;
        if std::mem::take(&mut self.estimate) {
            let whole = each * self.steps as f64;
            self.lines
                .say(format!("about {whole:.0} s per epoch on the CPU"))?;
        }
        self.bar.set_position(self.done as u64);
        self.bar.set_message(format!(
            "loss {:.4} accuracy {:.2} % {:.0} images/s, {} left",
            metrics.loss,
            100.0 * metrics.accuracy,
            self.images as f64 / elapsed,
            indicatif::HumanDuration(Duration::from_secs_f64(each * left as f64))
        ));
        Ok(())
    }

    /// Takes the bar away and says what the epoch came to, if all of it was walked.
    pub fn finish(&self) -> Result<()> {
        self.bar.finish_and_clear();
        if self.done < self.steps {
            return Ok(());
        }
        let elapsed = self.start.elapsed().as_secs_f64();
        self.lines.say(format!(
            "epoch {}/{}: loss {:.6} accuracy {:.2} % ({elapsed:.1} s, {:.0} images/s)",
            self.number,
            self.epochs,
            self.loss / (self.steps - self.first).max(1) as f64,
            100.0 * self.right / self.images.max(1) as f64,
            self.images as f64 / elapsed
        ))
    }
}
