//! What the shader lab is made of; `main.rs` says how it is used.

#![allow(
    missing_docs,
    reason = "parts are public for the tests beside it alone"
)]

pub mod isa;
pub mod kernels;
pub mod loops;
pub mod page;
pub mod plans;
pub mod table;
pub mod translate;
pub mod translation;
pub mod tune;
pub mod verify;

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use striate::error::{Error, ErrorKind, Result};

/// The folder of the library.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Prints a text that another program may stop reading.
///
/// # Errors
/// `Io` if the terminal does not take it.
pub fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::Io, "cannot write to the terminal").with_source(e))
        }
        _ => Ok(()),
    }
}

/// Prints a line. Where nobody reads any more, as after `| head -1`, the run goes on for its files.
///
/// # Errors
/// As [`print()`].
pub fn say(line: impl Display) -> Result<()> {
    print(&format!("{line}\n"))
}

/// Writes a file.
///
/// # Errors
/// `Io`, with its name.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| {
        let message = format!("{}: cannot be written", path.display());
        Error::new(ErrorKind::Io, message).with_source(e)
    })
}
