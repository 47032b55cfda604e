//! Files as they are found: measured before they are read, and named by what they begin with.

#[cfg(not(target_arch = "wasm32"))]
mod replace;

use std::fmt::Display;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

#[cfg(not(target_arch = "wasm32"))]
pub use replace::{expect_replaceable, replace_file};

/// What a safetensors file is called.
#[cfg(any(feature = "data", feature = "interop"))]
pub(crate) const SAFETENSORS: &str = "a safetensors file";

/// Bytes by which it is told what a file is.
#[cfg(any(feature = "data", feature = "interop"))]
pub(crate) const HEAD: usize = 512;

/// Opens a regular file of at most `most_bytes` bytes; returns it with its size.
///
/// # Errors
/// `Io` if the operating system gives no file, or something else than a regular one, such as a
/// folder, a pipe or a device, which may have no end and is not opened; `Data` if it is longer.
pub(crate) fn open_regular(path: &Path, most_bytes: u64) -> Result<(File, u64)> {
    let fail = |e| io_error(path, e);
    // Opening a pipe waits for its writer. Who replaces the file in between is found out after it.
    expect_regular(&std::fs::metadata(path).map_err(fail)?).map_err(fail)?;
    let file = File::open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    expect_regular(&metadata).map_err(fail)?;
    let bytes = metadata.len();
    if bytes > most_bytes {
        let message = format!("holds {bytes} bytes, the limit is {most_bytes}");
        return Err(error(ErrorKind::Data, path, message));
    }
    Ok((file, bytes))
}

/// Reads a regular file of at most `most_bytes` bytes, which is measured before it is read. A pipe
/// or a device is refused, not waited for or read without end.
///
/// # Errors
/// `Io` if the operating system gives no file, or something else than a regular one; its source is
/// the [`io::Error`]. `Data` if it is longer, or changes while it is read; `OutOfMemory`.
pub fn read_file(path: impl AsRef<Path>, most_bytes: u64) -> Result<Vec<u8>> {
    let path = path.as_ref();
    let (file, length) = open_regular(path, most_bytes)?;
    let mut bytes = Vec::new();
    let size = usize::try_from(length).unwrap_or(usize::MAX);
    bytes.try_reserve_exact(size).map_err(|e| {
        let message = format!("no memory for {length} bytes");
        error(ErrorKind::OutOfMemory, path, message).with_source(e)
    })?;
    let read = file.take(length).read_to_end(&mut bytes);
    match read.map_err(|e| io_error(path, e))? {
        read if read == size => Ok(bytes),
        _ => Err(error(ErrorKind::Data, path, "changed while it was read")),
    }
}

/// # Errors
/// With what it is instead.
pub(crate) fn expect_regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let message = format!("it is {}, not a regular file", kind(metadata));
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// What something that is no regular file is.
fn kind(metadata: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    match metadata.is_dir() {
        true => "a directory",
        false => "something else",
    }
}

/// What a file is that begins with `head`, as far as people take such files for data sets or
/// weights.
#[cfg(any(feature = "data", feature = "interop"))]
pub(crate) fn described(head: &[u8]) -> Option<&'static str> {
    const LFS: &str = "a Git LFS pointer (`git lfs pull` fetches the file)";
    const HTML: &str = "an HTML or XML page, as servers send instead of a file";
    let kinds: [(&[u8], &'static str); 18] = [
        (b"version https://git-lfs", LFS),
        (b"\x1f\x8b", "gzip data"),
        (
            b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19",
            "a file of torch.save in its old form",
        ),
        (b"\x80\x02", "a Python pickle"),
        (b"\x80\x03", "a Python pickle"),
        (b"\x80\x04", "a Python pickle"),
        (b"\x80\x05", "a Python pickle"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"\x89HDF", "an HDF5 file"),
        (b"PAR1", "a Parquet file"),
        (b"\x89PNG", "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"GIF8", "a GIF picture"),
        (b"%PDF", "a PDF file"),
        (b"BZh", "bzip2 data"),
        (b"\xfd7zXZ\0", "xz data"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"\x28\xb5\x2f\xfd", "Zstandard data"),
    ];
    if head.is_empty() {
        return Some("empty");
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        // The first entry of what torch.save writes is NAME/data.pkl.
        let torch = head.windows(8).any(|name| name == b"data.pkl");
        return Some(match torch {
            true => {
                "a zip archive of torch.save (in Python, safetensors.torch.save_file(torch.load(\
                 FILE), \"model.safetensors\") makes a file of it that is read)"
            }
            false => "a zip archive",
        });
    }
    if let Some((_, kind)) = kinds.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(kind);
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some("a tar archive");
    }
    let text = head
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(head)
        .trim_ascii_start();
    match text.first() {
        Some(b'<') => Some(HTML),
        Some(b'{' | b'[') => Some("JSON text"),
        // The header of a safetensors file is its length and JSON.
        _ if head.get(8) == Some(&b'{') && head.get(7) == Some(&0) => Some(SAFETENSORS),
        Some(_) if is_text(text) => Some("plain text"),
        _ => None,
    }
}

#[cfg(any(feature = "data", feature = "interop"))]
fn is_text(bytes: &[u8]) -> bool {
    let printable = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    bytes.iter().all(printable)
}

/// What reading `path` failed with.
pub(crate) fn io_error(path: &Path, source: io::Error) -> Error {
    error(ErrorKind::Io, path, format!("cannot be read: {source}")).with_source(source)
}

/// What writing `path` failed with.
pub(crate) fn write_error(path: &Path, source: io::Error) -> Error {
    error(ErrorKind::Io, path, format!("cannot be written: {source}")).with_source(source)
}

pub(crate) fn error(kind: ErrorKind, path: &Path, message: impl Display) -> Error {
    Error::new(kind, format!("{}: {message}", path.display()))
}

#[cfg(all(test, any(feature = "data", feature = "interop")))]
mod tests {
    use super::*;

    #[test]
    fn heads_are_named() {
        let zip = b"PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
                    \x10\0\x12\0archive/data.pkl";
        for (head, words) in [
            (&b""[..], "empty"),
            (b"<!DOCTYPE html>", "HTML"),
            (b"\n  <html lang=en>", "HTML"),
            (b"\xef\xbb\xbf<?xml version", "HTML"),
            (b"{\"error\": 404}", "JSON"),
            (b" [1, 2]", "JSON"),
            (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
            (zip, "zip archive of torch.save"),
            (b"PK\x03\x04\0\0", "a zip archive"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"Not found\n", "plain text"),
            (b"\x40\0\0\0\0\0\0\0{\"w\":", "safetensors"),
        ] {
            let found = described(head).unwrap_or_default();
            assert!(found.contains(words), "{head:?}: {found}");
        }
        assert_eq!(described(&[0, 0, 8, 3, 0, 0, 0, 1]), None);
    }
}
