//! Reader of IDX files, the format of MNIST, gzipped or raw.
//!
//! An IDX file is a big-endian header, then bytes: a magic number (`00 00`, element type `08` for
//! bytes, number of dimensions), one `u32` per dimension, and the elements, last dimension fastest.
//!
//! Files are not trusted: memory grows with the bytes that arrive, not with what the header
//! promises. Errors name the file and the numbers; their kind is [`ErrorKind::Io`] where the
//! operating system gave no file, and [`ErrorKind::Data`] where a file holds something else than it
//! should.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::{Dataset, Split};
use crate::error::{Error, ErrorKind, Result};

const IMAGES_MAGIC: u32 = 0x0000_0803;
const LABELS_MAGIC: u32 = 0x0000_0801;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The most elements one file may hold; the largest of the MNIST family (EMNIST by class) holds 547
/// million.
const MAX_ELEMENTS: u64 = 1 << 30;

const MNIST_CLASSES: usize = 10;

/// Grey images of one size, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Pixels `[count, height, width]`.
    pub pixels: Vec<u8>,
    /// Number of images.
    pub count: usize,
    /// Rows of each image.
    pub height: usize,
    /// Columns of each image.
    pub width: usize,
}

/// Reads a file of images: IDX with bytes in three dimensions (magic `0x00000803`).
///
/// # Errors
/// A file that is missing, truncated, corrupt, empty of images, over 1 GiB, of another magic, or
/// longer than its header says.
pub fn read_images(path: &Path) -> Result<Images> {
    let ([count, height, width], pixels) = read_idx(path, IMAGES_MAGIC)?;
    Ok(Images {
        pixels,
        count,
        height,
        width,
    })
}

/// Reads a file of labels: IDX with bytes in one dimension (magic `0x00000801`).
///
/// # Errors
/// As [`read_images`].
pub fn read_labels(path: &Path) -> Result<Vec<u8>> {
    let ([_], labels) = read_idx(path, LABELS_MAGIC)?;
    Ok(labels)
}

/// Reads MNIST, or a set in its format such as Fashion-MNIST: ten classes, in the four files
/// `{train,t10k}-images-idx3-ubyte` and `{train,t10k}-labels-idx1-ubyte` of `dir`.
///
/// Each may end in `.gz`, and may have a dot instead of the second hyphen
/// (`train-images.idx3-ubyte`). A raw file is preferred to a gzipped one.
///
/// # Errors
/// A missing directory or file, the errors of [`read_images`], another number of labels than of
/// images, a label above 9, or test images of another size than the training images.
pub fn load_mnist(dir: &Path) -> Result<Split> {
    if !dir.is_dir() {
        return Err(error(ErrorKind::Io, dir, "no such directory"));
    }
    let train = load_part(dir, "train")?;
    let test = load_part(dir, "t10k")?;
    if (train.height, train.width) != (test.height, test.width) {
        let train_size = format!("{}x{}", train.height, train.width);
        let test_size = format!("{}x{}", test.height, test.width);
        let message = format!("training images are {train_size}, test images are {test_size}");
        return Err(error(ErrorKind::Data, dir, message));
    }
    Ok(Split { train, test })
}

fn load_part(dir: &Path, part: &str) -> Result<Dataset> {
    let images = read_images(&locate(dir, &format!("{part}-images"), "idx3-ubyte")?)?;
    let labels_path = locate(dir, &format!("{part}-labels"), "idx1-ubyte")?;
    let labels = read_labels(&labels_path)?;
    let count = images.count;
    if labels.len() != count {
        let message = format!("{} labels for {count} images", labels.len());
        return Err(error(ErrorKind::Data, &labels_path, message));
    }
    for (index, &label) in labels.iter().enumerate() {
        if usize::from(label) >= MNIST_CLASSES {
            let message = format!("label {label} of image {index} is not below {MNIST_CLASSES}");
            return Err(error(ErrorKind::Data, &labels_path, message));
        }
    }
    Ok(Dataset {
        images: images.pixels,
        labels,
        count,
        channels: 1,
        height: images.height,
        width: images.width,
        classes: MNIST_CLASSES,
    })
}

/// The file `{stem}-{suffix}` of `dir`, under any of the names in use.
fn locate(dir: &Path, stem: &str, suffix: &str) -> Result<PathBuf> {
    for end in ["", ".gz"] {
        for separator in ["-", "."] {
            let path = dir.join(format!("{stem}{separator}{suffix}{end}"));
            if path.is_file() {
                return Ok(path);
            }
        }
    }
    let message = format!("no file {stem}-{suffix} or {stem}-{suffix}.gz");
    Err(error(ErrorKind::Io, dir, message))
}

/// The `N` dimensions and the elements of the file at `path`, whose magic number must be `magic`.
fn read_idx<const N: usize>(path: &Path, magic: u32) -> Result<([usize; N], Vec<u8>)> {
    let fail = |message| Err(error(ErrorKind::Data, path, message));
    let mut reader = open(path)?;

    let header_bytes = 4 + 4 * N;
    let header = read_at_most(header_bytes as u64, &mut reader, path, "header")?;
    let held = header.len();
    if held < header_bytes {
        return fail(format!(
            "holds {held} bytes, fewer than its header of {header_bytes}"
        ));
    }
    let word = |k: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| header[4 * k + byte]));
    let found = word(0);
    if found != magic {
        return fail(format!("expected magic {magic:#010x}, found {found:#010x}"));
    }
    let dims: [usize; N] = std::array::from_fn(|k| word(k + 1) as usize);

    let shape = dims.map(|dim| dim.to_string()).join("x");
    let product = dims
        .iter()
        .try_fold(1, |product: u64, &dim| product.checked_mul(dim as u64));
    let expected = match product {
        Some(0) => return fail(format!("header says {shape}, which is empty")),
        Some(product) if product <= MAX_ELEMENTS => product,
        _ => {
            return fail(format!(
                "header says {shape}, the limit is {MAX_ELEMENTS} bytes"
            ));
        }
    };
    let elements = read_at_most(expected + 1, &mut reader, path, "elements")?;
    match elements.len() as u64 {
        held if held < expected => fail(format!(
            "header says {shape}, {expected} bytes, but {held} follow"
        )),
        held if held > expected => fail(format!(
            "header says {shape}, {expected} bytes, but more follow"
        )),
        _ => Ok((dims, elements)),
    }
}

/// The bytes of a file, gunzipped if it begins as gzip does.
fn open(path: &Path) -> Result<Box<dyn Read>> {
    let file = File::open(path).map_err(|e| io_error(path, e))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let head = reader.fill_buf().map_err(|e| io_error(path, e))?;
    if head.starts_with(&GZIP_MAGIC) {
        return Ok(Box::new(MultiGzDecoder::new(reader)));
    }
    Ok(Box::new(reader))
}

/// The next `limit` bytes, or what there is of them. Memory grows as they come.
///
/// `part` says in errors which part of the file they are.
fn read_at_most(limit: u64, reader: impl Read, path: &Path, part: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Err(source) = reader.take(limit).read_to_end(&mut bytes) else {
        return Ok(bytes);
    };
    // These kinds are flate2's: a plain file just ends.
    let fault = match source.kind() {
        io::ErrorKind::UnexpectedEof => "truncated",
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => "corrupt",
        _ => return Err(io_error(path, source)),
    };
    let message = format!(
        "gzip data is {fault}, {} bytes into the {part}",
        bytes.len()
    );
    Err(error(ErrorKind::Data, path, message).with_source(source))
}

fn io_error(path: &Path, source: io::Error) -> Error {
    error(ErrorKind::Io, path, source.kind().to_string()).with_source(source)
}

fn error(kind: ErrorKind, path: &Path, message: impl Display) -> Error {
    Error::new(kind, format!("{}: {message}", path.display()))
}
