//! The bytes of one address into one file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, StatusCode, header};

use super::Received;

/// How long a server may say nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connections that a mirror gets as long as each brings bytes.
const ATTEMPTS: usize = 5;

/// Why there is no file.
#[derive(Debug)]
pub(super) enum Failure {
    /// It cannot be written: no other mirror helps.
    Disk(io::Error),
    /// It came, and is another.
    Content(String),
    /// This mirror does not give it; what has arrived may be gone on with.
    Mirror(String),
}

/// How files are fetched.
pub(super) struct Transfer {
    agent: Agent,
    most_bytes: u64,
    /// Whether a connection goes on with what others brought: where a sum tells if it fits.
    goes_on: bool,
}

impl Transfer {
    pub fn new(most_bytes: u64, goes_on: bool) -> Self {
        let config = Agent::config_builder()
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .http_status_as_error(false)
            .user_agent(concat!("striate/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            agent: config.into(),
            most_bytes,
            goes_on,
        }
    }

    /// Completes `part`, which holds what has arrived so far, or writes it anew.
    pub fn run(
        &self,
        url: &str,
        part: &Path,
        progress: &mut impl FnMut(Received),
    ) -> Result<(), Failure> {
        let mut attempt = 1;
        loop {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(!self.goes_on)
                .write(true)
                .open(part)
                .map_err(Failure::Disk)?;
            let there = file.seek(SeekFrom::End(0)).map_err(Failure::Disk)?;
            let told = self.connect(url, &mut file, there, progress);
            let now = file.metadata().map_err(Failure::Disk)?.len();
            match told {
                Err(Failure::Mirror(_)) if now > there && attempt < ATTEMPTS => attempt += 1,
                told => return told,
            }
        }
    }

    /// Takes what one connection gives.
    fn connect(
        &self,
        url: &str,
        file: &mut File,
        there: u64,
        progress: &mut impl FnMut(Received),
    ) -> Result<(), Failure> {
        let mirror = |e: ureq::Error| Failure::Mirror(e.to_string());
        let mut request = self.agent.get(url);
        if there > 0 {
            request = request.header(header::RANGE, format!("bytes={there}-"));
        }
        let response = request.call().map_err(mirror)?;
        let (first, total) = match (response.status(), range(&response)) {
            (StatusCode::PARTIAL_CONTENT, Some((first, total))) if first == there => (first, total),
            (StatusCode::OK, _) => (0, length(&response)),
            // There is no more, or it has become shorter: the sum tells.
            (StatusCode::RANGE_NOT_SATISFIABLE, _) if there > 0 => return Ok(()),
            (status, _) => return Err(Failure::Mirror(format!("the server answers {status}"))),
        };
        // A server that does not go on sends all of it.
        file.set_len(first).map_err(Failure::Disk)?;
        file.seek(SeekFrom::Start(first)).map_err(Failure::Disk)?;
        let mut body = response.into_body();
        let body = body.with_config().limit(u64::MAX).reader();
        receive(body, file, first, total, self.most_bytes, progress)
    }
}

/// Writes what arrives, of which the first `bytes` are here.
pub(super) fn receive(
    mut body: impl Read,
    to: &mut impl Write,
    mut bytes: u64,
    total: Option<u64>,
    most: u64,
    progress: &mut impl FnMut(Received),
) -> Result<(), Failure> {
    if let Some(total) = total.filter(|&total| total > most) {
        let reason = format!("it has {total} bytes, {most} at most are taken");
        return Err(Failure::Mirror(reason));
    }
    let mut buffer = vec![0; 1 << 16];
    loop {
        progress(Received { bytes, total });
        let read = match body.read(&mut buffer) {
            Ok(read) => read,
            Err(e) => {
                let reason = format!("the connection ends after {bytes} bytes: {e}");
                return Err(Failure::Mirror(reason));
            }
        };
        if read == 0 {
            break;
        }
        if bytes + read as u64 > most {
            let reason =
                format!("it has more than {most} bytes, which are the most that are taken");
            return Err(Failure::Mirror(reason));
        }
        to.write_all(&buffer[..read])
            .map_err(|e| full(e, bytes, total))?;
        bytes += read as u64;
    }
    match total {
        Some(total) if total != bytes => Err(Failure::Mirror(format!(
            "the connection ends after {bytes} of {total} bytes"
        ))),
        _ => Ok(()),
    }
}

/// What writing failed with; of a full disk, how much there is and how much there will be.
fn full(e: io::Error, bytes: u64, total: Option<u64>) -> Failure {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    if !matches!(e.kind(), StorageFull | QuotaExceeded) {
        return Failure::Disk(e);
    }
    let all = total.map_or_else(String::new, |total| format!(" of {total}"));
    let message = format!("the disk is full after {bytes}{all} bytes: {e}");
    Failure::Disk(io::Error::new(e.kind(), message))
}

/// The first byte that a part of a file begins with, and the bytes of the file.
fn range<T>(response: &Response<T>) -> Option<(u64, Option<u64>)> {
    // bytes 100-199/2000, or with a star where the length is not known
    let value = response.headers().get(header::CONTENT_RANGE)?;
    let (bytes, total) = value
        .to_str()
        .ok()?
        .strip_prefix("bytes ")?
        .split_once('/')?;
    let first = bytes.split_once('-')?.0.trim().parse().ok()?;
    Some((first, total.trim().parse().ok()))
}

fn length<T>(response: &Response<T>) -> Option<u64> {
    let value = response.headers().get(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}
