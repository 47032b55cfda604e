//! Files from the network: from the first mirror that gives one with the right SHA-256.

mod transfer;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::file::{error, io_error, write_error};
use transfer::{Failure, Transfer};

/// The most bytes that a file may have where nothing is said.
const MOST_BYTES: u64 = 4 << 30;

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Bytes that are here, those of an earlier attempt among them.
    pub bytes: u64,
    /// All of them, if the server says so.
    pub total: Option<u64>,
}

/// A file that several mirrors have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    urls: Vec<String>,
    sha256: Option<String>,
    gzip: bool,
    most_bytes: u64,
}

impl Download {
    /// From these addresses (`http` or `https`), tried in this order.
    pub fn new<S: Into<String>>(urls: impl IntoIterator<Item = S>) -> Self {
        Self {
            urls: urls.into_iter().map(S::into).collect(),
            sha256: None,
            gzip: false,
            most_bytes: MOST_BYTES,
        }
    }

    /// The SHA-256 of the file as it is kept, in hexadecimal digits: of what was packed, if it is
    /// unpacked.
    pub fn sha256(mut self, sum: impl Into<String>) -> Self {
        self.sha256 = Some(sum.into().to_ascii_lowercase());
        self
    }

    /// Unpacks what the mirrors have, which is gzipped.
    pub fn gzip(mut self) -> Self {
        self.gzip = true;
        self
    }

    /// The most bytes that are taken, packed and unpacked; 4 GiB where nothing is said.
    pub fn most_bytes(mut self, most: u64) -> Self {
        self.most_bytes = most;
        self
    }

    /// Fetches the file to `path`: all of it with the right sum, or nothing. A file that is there
    /// with that sum already is left as it is.
    ///
    /// What has arrived lies beside it in `NAME.part`. A later call, or another mirror, goes on
    /// where it ends, if the server can; if what that makes has a wrong sum, it begins anew once.
    /// Without a sum nothing tells whether the parts are of one file: each connection begins anew.
    /// `progress` is told about every 64 KiB.
    ///
    /// # Errors
    /// `Shape` for a sum that is not 64 hexadecimal digits; `Io` if the file cannot be written, a
    /// full disk with the number of bytes, or if no mirror gave it; `Data` if it came and its sum
    /// is another, with both. What each mirror said is in the message.
    ///
    /// ```no_run
    /// use striate::data::Download;
    ///
    /// # fn main() -> striate::error::Result<()> {
    /// Download::new(["https://example.org/labels", "https://example.net/mirror/labels"])
    ///     .sha256("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5")
    ///     .fetch("labels", |received| println!("{} bytes", received.bytes))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn fetch(&self, path: impl AsRef<Path>, mut progress: impl FnMut(Received)) -> Result<()> {
        let path = path.as_ref();
        if let Some(sum) = &self.sha256
            && (sum.len() != 64 || !sum.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            return Err(Error::shape(format!(
                "download: \"{sum}\" is no SHA-256, which has 64 hexadecimal digits"
            )));
        }
        if let Some(sum) = &self.sha256
            && path.is_file()
            && sum_of_file(path).map_err(|e| io_error(path, e))? == *sum
        {
            return Ok(());
        }
        let part = beside(path, "part");
        let transfer = Transfer::new(self.most_bytes, self.sha256.is_some());
        let (mut reasons, mut wrong_sums) = (Vec::new(), 0);
        for url in &self.urls {
            // Once with what was there before, and once more if that has the wrong sum.
            loop {
                let resumed =
                    self.sha256.is_some() && fs::metadata(&part).is_ok_and(|part| part.len() > 0);
                let failure = match transfer.run(url, &part, &mut progress) {
                    Ok(()) => match self.finish(&part, path) {
                        Ok(()) => return Ok(()),
                        Err(failure) => failure,
                    },
                    Err(failure) => failure,
                };
                match failure {
                    Failure::Disk(e) => return Err(write_error(path, e)),
                    Failure::Content(reason) => {
                        fs::remove_file(&part).map_err(|e| write_error(&part, e))?;
                        if resumed {
                            continue;
                        }
                        wrong_sums += 1;
                        reasons.push(format!("{url}: {reason}"));
                    }
                    Failure::Mirror(reason) => reasons.push(format!("{url}: {reason}")),
                }
                break;
            }
        }
        let kind = match wrong_sums > 0 && wrong_sums == reasons.len() {
            true => ErrorKind::Data,
            false => ErrorKind::Io,
        };
        let reasons = match reasons.is_empty() {
            true => "there are none".to_owned(),
            false => reasons.join("; "),
        };
        Err(error(kind, path, format!("no mirror gave it: {reasons}")))
    }

    /// Makes the file of what has arrived.
    fn finish(&self, part: &Path, path: &Path) -> std::result::Result<(), Failure> {
        let arrived = BufReader::new(File::open(part).map_err(Failure::Disk)?);
        let (made, sum) = match self.gzip {
            false => {
                let sum = sum_of(arrived).map_err(Failure::Disk)?;
                (part.to_owned(), sum)
            }
            true => {
                let made = beside(path, "unpacked");
                let unpacked = MultiGzDecoder::new(arrived);
                let sum = copy(unpacked, &made, self.most_bytes)?;
                (made, sum)
            }
        };
        match &self.sha256 {
            Some(wanted) if *wanted != sum => {
                if made != part {
                    fs::remove_file(&made).map_err(Failure::Disk)?;
                }
                return Err(Failure::Content(format!(
                    "its SHA-256 is {sum}, {wanted} is expected"
                )));
            }
            _ => {}
        }
        // On the disk before it takes its name.
        let file = OpenOptions::new().write(true).open(&made);
        file.and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&made, path))
            .map_err(Failure::Disk)?;
        if made != part {
            fs::remove_file(part).map_err(Failure::Disk)?;
        }
        Ok(())
    }
}

/// The file `PATH.END`.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(end);
    name.into()
}

/// Unpacks into a file, and returns its sum.
fn copy(from: impl Read, to: &Path, most: u64) -> std::result::Result<String, Failure> {
    let mut file = File::create(to).map_err(Failure::Disk)?;
    let copied = unpack(from, &mut file, most);
    if copied.is_err() {
        // The first error counts.
        let _ = fs::remove_file(to);
    }
    copied
}

fn unpack(
    mut from: impl Read,
    to: &mut impl Write,
    most: u64,
) -> std::result::Result<String, Failure> {
    let (mut sum, mut count, mut buffer) = (Sha256::new(), 0u64, vec![0; 1 << 16]);
    loop {
        let read = from.read(&mut buffer);
        let read = read.map_err(|e| Failure::Content(format!("it is no gzip file: {e}")))?;
        if read == 0 {
            return Ok(hexadecimal(&sum.finalize()));
        }
        count += read as u64;
        if count > most {
            let reason = format!("it unpacks to more than {most} bytes");
            return Err(Failure::Content(reason));
        }
        sum.update(&buffer[..read]);
        to.write_all(&buffer[..read]).map_err(Failure::Disk)?;
    }
}

fn sum_of_file(path: &Path) -> io::Result<String> {
    sum_of(File::open(path)?)
}

fn sum_of(mut from: impl Read) -> io::Result<String> {
    let (mut sum, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&sum.finalize())),
            read => sum.update(&buffer[..read]),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where MNIST's files lie, gzipped.
const MNIST_MIRRORS: [&str; 2] = [
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
];

/// MNIST's files and the SHA-256 of their bytes.
const MNIST_FILES: [(&str, &str); 4] = [
    (
        "train-images-idx3-ubyte",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    (
        "train-labels-idx1-ubyte",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    (
        "t10k-images-idx3-ubyte",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    (
        "t10k-labels-idx1-ubyte",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
];

/// Fetches the four files of MNIST into a folder, which is made if it is not there, and unpacks
/// them: what [`load_mnist`](super::load_mnist) reads. Those that are there with the right sums are
/// left as they are. `progress` is told the name of the file too.
///
/// # Errors
/// As [`Download::fetch`].
pub fn download_mnist(
    dir: impl AsRef<Path>,
    mut progress: impl FnMut(&str, Received),
) -> Result<()> {
    let dir = dir.as_ref();
    fs::create_dir_all(dir).map_err(|e| write_error(dir, e))?;
    for (name, sum) in MNIST_FILES {
        let urls = MNIST_MIRRORS.map(|mirror| format!("{mirror}{name}.gz"));
        let file = Download::new(urls).gzip().sha256(sum);
        file.fetch(dir.join(name), |received| progress(name, received))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
