//! A file of lines that is written while a run goes on.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
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
    /// Opens a file, or makes it; returns it with the whole lines that it holds. A last line that
    /// has no end, which a run that was killed did not finish, stays until [`cut`](Self::cut): only
    /// who knows the lines can tell that the file is such a log. `first` is how its first line
    /// begins. Pipes and devices are not read.
    ///
    /// # Errors
    /// `Io` if it cannot be opened or read; `Data` if it is no text, or of more than 256 MiB, or if
    /// its only line has no end and begins otherwise.
    pub fn open(path: &Path, first: &str) -> Result<(Self, String)> {
        let opened = adding().create(true).truncate(false).open(path);
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
            if whole == 0 && !text.starts_with(first) && !first.starts_with(&text) {
                return Err(log.wrong("line 1 is not of a log of a run"));
            }
            log.length = Some(bytes);
            text.truncate(whole);
            let end = log.file.seek(SeekFrom::End(0));
            end.map_err(|e| io_error(path, e))?;
        }
        Ok((log, text))
    }

    /// Keeps the first bytes alone, and goes on behind them.
    pub fn cut(&mut self, bytes: usize) -> Result<()> {
        if let Some(length) = &mut self.length {
            *length = bytes as u64;
            cut_at(&mut self.file, bytes as u64).map_err(|e| write_error(&self.path, e))?;
        }
        Ok(())
    }

    /// Adds lines, the ends with them: all, or none.
    pub fn add(&mut self, lines: &str) -> Result<()> {
        let written = self.file.write_all(lines.as_bytes());
        if let Err(e) = written.and_then(|()| self.file.flush()) {
            if let Some(length) = self.length {
                // The first error counts.
                let _ = cut_at(&mut self.file, length);
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

/// How a file is opened that is added to and cut: where one that is opened to append can be cut, as
/// that, so that others may add to it and empty it too.
pub(super) fn adding() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).append(cfg!(unix));
    options
}

/// Keeps the first bytes of a file, and writes behind them.
pub(super) fn cut_at(file: &mut File, bytes: u64) -> std::io::Result<()> {
    file.set_len(bytes)?;
    file.seek(SeekFrom::Start(bytes)).map(|_| ())
}
