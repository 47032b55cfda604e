//! The one error type of the crate.

use std::fmt;

/// What went wrong, for callers that react by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A shape, dtype or parameter does not fit an op.
    Shape,
    /// The graph is not well formed: unknown values, duplicate names, assignments to what is not
    /// state.
    Graph,
    /// A gradient was asked for where none exists.
    NotDifferentiable,
    /// No adapter matches the request.
    NoAdapter,
    /// A device limit, or a cap set by the caller, is too small.
    Limit,
    /// A shader module or pipeline was refused.
    Shader,
    /// The device is lost; build a new engine.
    DeviceLost,
    /// The device has no memory left for a buffer.
    OutOfMemory,
    /// A buffer could not be read back.
    Readback,
    /// The engine or build at hand does not offer this.
    Unsupported,
    /// The content of a data file is wrong.
    Data,
    /// A checkpoint does not fit the store.
    Checkpoint,
    /// A file could not be read or written.
    Io,
    /// A check found a number that is not what the reference says.
    Mismatch,
    /// A loss or a parameter became NaN or infinite.
    NotFinite,
}

/// An error with its kind, a message that carries the numbers, and the error below it, if any.
///
/// `{}` is the message. `{:?}`, which a program prints whose `main` returns an error, adds what
/// caused it; `{:#?}` is the structure.
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// `std::result::Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; ops outside the crate use it too.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Adds the error that caused this one.
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts `context` and a colon in front of the message.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// Puts `note` in brackets behind the message.
    pub(crate) fn note(mut self, note: impl fmt::Display) -> Self {
        self.message = format!("{} ({note})", self.message);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn shape(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Shape, message)
    }

    pub(crate) fn graph(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Graph, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    /// The message, and the errors below it, each once: some messages hold that of their cause.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return f
                .debug_struct("Error")
                .field("kind", &self.kind)
                .field("message", &self.message)
                .field("source", &self.source)
                .finish();
        }
        let mut text = self.message.clone();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            let cause = error.to_string();
            if !text.contains(&cause) {
                text += &format!("\n  caused by: {cause}");
            }
            source = error.source();
        }
        f.write_str(&text)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_main_that_fails_says_why() {
        let cause = std::io::Error::other("the disk is full");
        let below = Error::new(ErrorKind::Io, "net: cannot be written").with_source(cause);
        let error = Error::graph("no network is kept").with_source(below);
        assert_eq!(
            format!("{error:?}"),
            "no network is kept\n  caused by: net: cannot be written\n  caused by: the disk is full"
        );
        let cause = std::io::Error::other("the disk is full");
        let error = Error::new(ErrorKind::Io, "net: the disk is full").with_source(cause);
        assert_eq!(format!("{error:?}"), "net: the disk is full");
        let structure = format!("{error:#?}");
        assert!(structure.contains("kind: Io"), "{structure}");
    }
}
