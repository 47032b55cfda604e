//! What is printed: lines, bars and errors.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use striate::prelude::*;

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

/// A bar on a terminal, nothing elsewhere.
pub fn progress_bar(template: &str) -> ProgressBar {
    let bar = match io::stderr().is_terminal() {
        true => ProgressBar::new(0),
        false => ProgressBar::hidden(),
    };
    let style = ProgressStyle::with_template(template);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
