//! Reader of IDX files, the format of MNIST, gzipped or raw.
//!
//! An IDX file is a big-endian header, then bytes: a magic number (`00 00`, element type `08` for
//! bytes, number of dimensions), one `u32` per dimension, and the elements, last dimension fastest.
//!
//! Files are not trusted. They are measured before they are read; what a header promises is
//! allocated once it is known to be there: by the size of a raw file, and by decoding a gzipped one
//! twice, first into a block that is used over and over. Errors name the file and the numbers;
//! their kind is [`ErrorKind::Io`] where the operating system gave no regular file, and
//! [`ErrorKind::Data`] where a file holds something else than it should.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::error::{ErrorKind, Result};
use crate::file::{HEAD, described, error, io_error, open_regular};

const IMAGES_MAGIC: u32 = 0x0000_0803;
const LABELS_MAGIC: u32 = 0x0000_0801;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The most elements one file may hold; the largest of the MNIST family (EMNIST by class) holds 547
/// million.
const MAX_ELEMENTS: u64 = 1 << 30;

/// The most bytes one file may hold: gzip makes elements that it cannot shrink a little longer.
const MAX_BYTES: u64 = MAX_ELEMENTS + (1 << 20);

/// Bytes that are read and decoded at a time.
const BLOCK: usize = 1 << 16;

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
/// A file that is missing, no regular file, truncated, corrupt, empty of images, over 1 GiB, of
/// another magic, or longer than its header says. Zeros after gzip data are taken for padding.
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

/// The `N` dimensions and the elements of the file at `path`, whose magic number must be `magic`.
fn read_idx<const N: usize>(path: &Path, magic: u32) -> Result<([usize; N], Vec<u8>)> {
    let fail = |message| Err(error(ErrorKind::Data, path, message));
    let (file, bytes) = open_regular(path, MAX_BYTES)?;
    let mut content = IdxBytes::new(&file, path)?;
    let mut head = [0; HEAD];
    let read = content.fill(&mut head, path, "header", 0)?;
    let head = &head[..read];

    let header = 4 + 4 * N;
    let found = match described(head) {
        Some(kind) if content.is_gzip() && head.starts_with(&GZIP_MAGIC) => {
            format!(": gunzipped once it is {kind}, gzipped twice")
        }
        Some(kind) => format!(": it is {kind}"),
        None => String::new(),
    };
    if read < header {
        return fail(format!(
            "holds {read} bytes, fewer than its header of {header}{found}"
        ));
    }
    let word = |k: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| head[4 * k + byte]));
    if word(0) != magic {
        return fail(format!(
            "expected magic {magic:#010x}, found {:#010x}{found}",
            word(0)
        ));
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
    // Bytes behind the header, or one more than there should be.
    let held = match content.is_gzip() {
        false => bytes.saturating_sub(header as u64),
        true => {
            let behind = (read - header) as u64;
            let rest = (expected + 1).saturating_sub(behind);
            behind + content.pass(rest, path, behind)?
        }
    };
    if held < expected {
        return fail(format!(
            "header says {shape}, {expected} bytes, but {held} follow"
        ));
    }
    if held > expected {
        return fail(format!(
            "header says {shape}, {expected} bytes, but more follow"
        ));
    }
    // They are there.
    let count = usize::try_from(expected).unwrap_or(usize::MAX);
    let mut elements = Vec::new();
    elements.try_reserve_exact(count).map_err(|e| {
        let message = format!("no memory for {expected} bytes");
        error(ErrorKind::OutOfMemory, path, message).with_source(e)
    })?;
    elements.resize(count, 0);
    let mut content = IdxBytes::new(&file, path)?;
    let mut again = [0; HEAD];
    let read = content.fill(&mut again[..header], path, "header", 0)?
        + content.fill(&mut elements, path, "elements", 0)?;
    match read == header + count && again[..header] == head[..header] {
        true => Ok((dims, elements)),
        false => fail("changed while it was read".to_owned()),
    }
}

/// The content of a file, gunzipped if it begins as gzip does.
enum IdxBytes<'a> {
    Raw(&'a File),
    Gzip(Box<GzipMembers<'a>>),
}

impl<'a> IdxBytes<'a> {
    /// The content from its beginning.
    fn new(mut file: &'a File, path: &Path) -> Result<Self> {
        let fail = |e| io_error(path, e);
        let mut magic = [0; 2];
        file.rewind().map_err(fail)?;
        let read = fill(&mut file, &mut magic).map_err(|(_, e)| fail(e))?;
        file.rewind().map_err(fail)?;
        Ok(match read == 2 && magic == GZIP_MAGIC {
            true => Self::Gzip(GzipMembers::new(file).into()),
            false => Self::Raw(file),
        })
    }

    fn is_gzip(&self) -> bool {
        matches!(self, Self::Gzip(_))
    }

    /// Reads until `bytes` is full or the content ends; returns how many came. They are the bytes
    /// of `part` from number `at` on, as errors say.
    fn fill(&mut self, bytes: &mut [u8], path: &Path, part: &str, at: u64) -> Result<usize> {
        let filled = match self {
            Self::Raw(file) => fill(file, bytes),
            Self::Gzip(members) => fill(members, bytes),
        };
        filled.map_err(|(read, source)| {
            // These kinds are flate2's: a plain file just ends.
            let fault = match source.kind() {
                io::ErrorKind::UnexpectedEof => "truncated",
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => "corrupt",
                _ => return io_error(path, source),
            };
            let read = at + read as u64;
            let message = format!("gzip data is {fault}, {read} bytes into the {part}");
            error(ErrorKind::Data, path, message).with_source(source)
        })
    }

    /// Reads the next `limit` elements, from number `at` on, and forgets them; returns how many
    /// came.
    fn pass(&mut self, limit: u64, path: &Path, at: u64) -> Result<u64> {
        let mut block = vec![0; BLOCK];
        let mut passed = 0;
        while passed < limit {
            let wanted = (limit - passed).min(BLOCK as u64) as usize;
            let read = self.fill(&mut block[..wanted], path, "elements", at + passed)?;
            passed += read as u64;
            if read < wanted {
                break;
            }
        }
        Ok(passed)
    }
}

/// Reads until `bytes` is full or there are no more; returns how many came, on an error too.
fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> Result<usize, (usize, io::Error)> {
    let mut filled = 0;
    while filled < bytes.len() {
        match reader.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err((filled, e)),
        }
    }
    Ok(filled)
}

/// The members of a gzip file, one after the other. Zeros between and behind them are padding, as
/// tapes leave it and `gzip` takes it.
struct GzipMembers<'a> {
    /// `None` once there are no more, or after an error.
    member: Option<GzDecoder<BufReader<&'a File>>>,
}

impl<'a> GzipMembers<'a> {
    fn new(file: &'a File) -> Self {
        let reader = BufReader::with_capacity(BLOCK, file);
        Self {
            member: Some(GzDecoder::new(reader)),
        }
    }
}

impl Read for GzipMembers<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(bytes)?;
            if read > 0 || bytes.is_empty() {
                return Ok(read);
            }
            let Some(member) = self.member.take() else {
                break;
            };
            let mut reader = member.into_inner();
            loop {
                let next = reader.fill_buf()?;
                let zeros = next.iter().take_while(|&&byte| byte == 0).count();
                let (length, more) = (next.len(), zeros < next.len());
                reader.consume(zeros);
                if more {
                    self.member = Some(GzDecoder::new(reader));
                    break;
                }
                if length == 0 {
                    break;
                }
            }
        }
        Ok(0)
    }
}
