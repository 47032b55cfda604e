//! What is printed: lines, bars and errors; and Ctrl-C, which ends them.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use striate::gpu::Progress;
use striate::prelude::*;
use striate::train;

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

/// Prints an error and its causes.
pub fn report(error: &Error) {
    // Nothing is left to tell it by.
    let _ = writeln!(io::stderr(), "error: {error:?}");
}

/// What a shell expects of a program that Ctrl-C has ended.
pub const INTERRUPTED: u8 = 130;

/// A flag that Ctrl-C raises, and what else asks a program to end; a second time ends it at once.
pub fn stop_on_interrupt() -> Result<train::Stop> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = stop.clone();
    let handler = move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    };
    ctrlc::set_handler(handler)
        .map_err(|e| Error::new(ErrorKind::Unsupported, "Ctrl-C cannot be taken").with_source(e))?;
    Ok(stop.into())
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
