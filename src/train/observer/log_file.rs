//! A file of lines that is written while a run goes on.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::file::{error, io_error, write_error};

/// The most bytes of a file that a run goes on with.
const MOST_BYTES: u64 = 256 << 20;

/// A file to which whole lines are added.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Bytes of a regular file; a pipe or a device has none to keep whole.
    length: Option<u64>,
}

impl LogFile {
    /// Opens a file, or makes it; returns it with what it holds. A last line that has no end is cut
    /// off: a run that was killed did not finish it. Pipes and devices are not read.
    ///
    /// # Errors
    /// `Io` if it cannot be opened or read; `Data` if it is no text, or of more than 256 MiB.
    pub fn open(path: &Path) -> Result<(Self, String)> {
        let mut options = OpenOptions::new();
        let opened = options.append(true).create(true).open(path);
        let file = opened.map_err(|e| write_error(path, e))?;
        let metadata = file.metadata().map_err(|e| io_error(path, e))?;
        let mut log = Self {
            path: path.to_owned(),
            file,
            length: None,
        };
        let mut text = String::new();
        if metadata.is_file() {
            let bytes = metadata.len();
            if bytes > MOST_BYTES {
                let message = format!("holds {bytes} bytes, {MOST_BYTES} at most are gone on with");
                return Err(log.wrong(message));
            }
            let read = File::open(path).and_then(|file| file.take(bytes).read_to_string(&mut text));
            read.map_err(|e| match e.kind() {
                std::io::ErrorKind::InvalidData => log.wrong("is no text").with_source(e),
                _ => io_error(path, e),
            })?;
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            log.length = Some(bytes);
            if whole < text.len() {
                log.cut(whole)?;
                text.truncate(whole);
            }
        }
        Ok((log, text))
    }

    /// Keeps the first bytes alone.
    pub fn cut(&mut self, bytes: usize) -> Result<()> {
        if let Some(length) = &mut self.length {
            let cut = self.file.set_len(bytes as u64);
            cut.map_err(|e| write_error(&self.path, e))?;
            *length = bytes as u64;
        }
        Ok(())
    }

    /// Adds lines, the ends with them: all, or none.
    pub fn add(&mut self, lines: &str) -> Result<()> {
        let written = self.file.write_all(lines.as_bytes());
        if let Err(e) = written.and_then(|()| self.file.flush()) {
            if let Some(length) = self.length {
                // The first error counts.
                let _ = self.file.set_len(length);
            }
            return Err(write_error(&self.path, e));
        }
        if let Some(length) = &mut self.length {
            *length += lines.len() as u64;
        }
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn wrong(&self, message: impl std::fmt::Display) -> Error {
        error(ErrorKind::Data, &self.path, message)
    }
}
