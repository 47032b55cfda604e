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
#[derive(Debug)]
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

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}
