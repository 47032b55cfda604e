//! Event files of TensorBoard.
//!
//! A file is records, one after the other, as TensorFlow frames them (`tsl/lib/io/record_writer`):
//!
//! ```text
//! | length: u64 | masked CRC-32C of the length: u32 | data | masked CRC-32C of the data: u32 |
//! ```
//!
//! all little-endian, where masked is the checksum rotated right by 15 bits plus 0xa282ead8. The
//! data is an `Event` of `tensorflow/core/util/event.proto`, written here by hand: its few fields
//! have had their numbers since 2015.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::log_file::{adding, cut_at};
use super::{Event, Observer, RunInfo, Scalar};
use crate::error::Result;
use crate::file::write_error;

/// Writes a file that TensorBoard reads into a folder: `tensorboard --logdir FOLDER`.
///
/// Each run writes a file of its own, `events.out.tfevents.*`. Scalars of epochs have their names
/// as tags, beside `learning_rate` and `images_per_second`; those of steps stand below `steps/`,
/// for they are means over other stretches. All are over the steps that are done.
///
/// A run tells TensorBoard to forget what older files of the folder hold of the steps that it does:
/// of all steps if it is a fresh one, else of those after the step where it begins.
///
/// The format keeps values as `f32`.
#[derive(Debug)]
pub struct TensorBoard {
    folder: PathBuf,
    open: Option<EventFile>,
}

#[derive(Debug)]
struct EventFile {
    path: PathBuf,
    file: File,
    /// Bytes of whole records.
    length: u64,
}

impl TensorBoard {
    /// Into this folder, which is made if it is missing.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            open: None,
        }
    }

    /// The file that is written, once the run has begun.
    pub fn path(&self) -> Option<&Path> {
        self.open.as_ref().map(|open| &*open.path)
    }

    fn add(&mut self, total: usize, scalars: &[(String, f64)]) -> Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(EventFile::new(&self.folder, 0)?),
        };
        let mut records = Vec::new();
        let time = now();
        for (tag, value) in scalars {
            records.extend(record(&scalar_event(
                time,
                total as i64,
                tag,
                *value as f32,
            )));
        }
        open.append(&records)
    }
}

impl Observer for TensorBoard {
    /// # Errors
    /// `Io` if the folder or the file cannot be made or written, with its name; what the file held
    /// is there still.
    fn observe(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Began(RunInfo { begun_at, .. }) => {
                self.open = Some(EventFile::new(&self.folder, *begun_at)?);
                Ok(())
            }
            Event::Stepped(step) => {
                let mut scalars = tagged("steps/", &step.scalars);
                scalars.push(("steps/images_per_second".to_owned(), step.rate));
                self.add(step.total, &scalars)
            }
            Event::Epoch(epoch) => {
                let mut scalars = tagged("", &epoch.scalars);
                scalars.push(("learning_rate".to_owned(), epoch.learning_rate));
                if epoch.seconds > 0.0 {
                    let rate = epoch.images as f64 / epoch.seconds;
                    scalars.push(("images_per_second".to_owned(), rate));
                }
                self.add(epoch.total, &scalars)
            }
            Event::Saved(_) | Event::Ended(..) => Ok(()),
        }
    }
}

fn tagged(before: &str, scalars: &[Scalar]) -> Vec<(String, f64)> {
    let scalars = scalars.iter();
    let tagged = scalars.map(|scalar| (format!("{before}{}", scalar.name), scalar.value));
    tagged.collect()
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

impl EventFile {
    fn new(folder: &Path, begun_at: usize) -> Result<Self> {
        // Tells files apart that one process writes within a second.
        static MADE: AtomicUsize = AtomicUsize::new(0);
        fs::create_dir_all(folder).map_err(|e| write_error(folder, e))?;
        let time = now();
        let name = format!(
            "events.out.tfevents.{:010}.striate.{}.{}",
            time as u64,
            std::process::id(),
            MADE.fetch_add(1, Ordering::Relaxed)
        );
        let path = folder.join(name);
        let file = adding().create_new(true).open(&path);
        let mut open = Self {
            file: file.map_err(|e| write_error(&path, e))?,
            path,
            length: 0,
        };
        let mut records = record(&version_event(time));
        // Also of a fresh run: the folder may hold the curves of another one.
        records.extend(record(&start_event(time, begun_at as i64 + 1)));
        open.append(&records)?;
        Ok(open)
    }

    /// Appends records: all, or none.
    fn append(&mut self, records: &[u8]) -> Result<()> {
        append(&mut self.file, self.length, records).map_err(|e| write_error(&self.path, e))?;
        self.length += records.len() as u64;
        Ok(())
    }
}

fn append(file: &mut File, length: u64, records: &[u8]) -> io::Result<()> {
    file.write_all(records)
        .and_then(|()| file.flush())
        .inspect_err(|_| {
            // The first error counts.
            let _ = cut_at(file, length);
        })
}

/// The wire types of protocol buffers that events need.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn key(out: &mut Vec<u8>, field: u64, wire: u64) {
    varint(out, field << 3 | wire);
}

fn bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    key(out, field, BYTES);
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

/// `Event { double wall_time = 1; int64 step = 2; }`.
fn event(time: f64, step: i64) -> Vec<u8> {
    let mut event = Vec::new();
    key(&mut event, 1, FIXED64);
    event.extend(time.to_le_bytes());
    if step != 0 {
        key(&mut event, 2, VARINT);
        varint(&mut event, step as u64);
    }
    event
}

/// `Event { string file_version = 3; }`.
fn version_event(time: f64) -> Vec<u8> {
    let mut event = event(time, 0);
    bytes(&mut event, 3, b"brain.Event:2");
    event
}

/// `Event { SessionLog session_log = 7; }`, where `SessionLog { SessionStatus status = 1; }` is
/// `START` (1): TensorBoard forgets events from this step on.
fn start_event(time: f64, step: i64) -> Vec<u8> {
    let mut event = event(time, step);
    let mut log = Vec::new();
    key(&mut log, 1, VARINT);
    varint(&mut log, 1);
    bytes(&mut event, 7, &log);
    event
}

/// `Event { Summary summary = 5; }`, where `Summary { repeated Value value = 1; }` holds one
/// `Value { string tag = 1; float simple_value = 2; }`.
fn scalar_event(time: f64, step: i64, tag: &str, value: f32) -> Vec<u8> {
    let mut one = Vec::new();
    bytes(&mut one, 1, tag.as_bytes());
    key(&mut one, 2, FIXED32);
    one.extend(value.to_le_bytes());
    let mut summary = Vec::new();
    bytes(&mut summary, 1, &one);
    let mut event = event(time, step);
    bytes(&mut event, 5, &summary);
    event
}

/// The data in its frame.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(crc32c(&length)).to_le_bytes());
    record.extend(data);
    record.extend(masked(crc32c(data)).to_le_bytes());
    record
}

/// A checksum that may itself lie in what is summed up.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4), which `crc32fast` does not compute.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(!0, |crc, &byte| {
        TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8)
    })
}

/// The remainders of single bytes, bits reversed.
const fn table() -> [u32; 256] {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::StepRecord;
    use super::super::tests::{epoch, folder, run};
    use super::*;
    use crate::error::ErrorKind;
    use std::process::Command;

    /// Those of RFC 3720, appendix B.4, and of the catalogue's check.
    #[test]
    fn checksums_are_the_published_ones() {
        let rising: Vec<u8> = (0..32).collect();
        let falling: Vec<u8> = (0..32).rev().collect();
        for (bytes, crc) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&rising, 0x46dd_794e),
            (&falling, 0x113f_db5c),
            (b"123456789", 0xe306_9283),
            (b"", 0),
        ] {
            assert_eq!(crc32c(bytes), crc, "{bytes:?}");
        }
    }

    #[test]
    fn a_file_begins_as_those_of_tensorflow() {
        let data = version_event(1.0e9);
        assert_eq!(
            data,
            b"\x09\x00\x00\x00\x00\x65\xcd\xcd\x41\x1a\x0dbrain.Event:2"
        );
        let record = record(&data);
        assert_eq!(record[..8], 24u64.to_le_bytes());
        // Every event file begins with this length and its checksum.
        assert_eq!(record[8..12], [0xa3, 0x7f, 0x4b, 0x22]);
        assert_eq!(record.len(), 8 + 4 + 24 + 4);
    }

    fn told(name: &str) -> (PathBuf, PathBuf) {
        let folder = folder(name);
        let logs = folder.join("logs").join("run");
        let mut board = TensorBoard::new(&logs);
        board.observe(&Event::Began(&run(0))).unwrap();
        let step = StepRecord {
            epoch: 1,
            step: 5,
            total: 5,
            rate: 100.0,
            scalars: epoch(1, &[("train/loss", 2.0)]).scalars,
        };
        board.observe(&Event::Stepped(&step)).unwrap();
        for number in 1..=3 {
            let scalars = [("train/loss", 1.0 / number as f64), ("val/\u{e4}", 0.25)];
            board
                .observe(&Event::Epoch(&epoch(number, &scalars)))
                .unwrap();
        }
        let path = board.path().unwrap().to_owned();
        // Goes on after the second epoch.
        board.observe(&Event::Began(&run(20))).unwrap();
        assert_ne!(board.path(), Some(&*path));
        let again = epoch(3, &[("train/loss", 0.5)]);
        board.observe(&Event::Epoch(&again)).unwrap();
        (folder, path)
    }

    /// Reads the file as the format says, with a bit-by-bit checksum of its own.
    #[test]
    fn a_file_decodes_to_what_was_told() {
        fn bitwise(bytes: &[u8]) -> u32 {
            let mut crc = !0u32;
            for &byte in bytes {
                crc ^= u32::from(byte);
                for _ in 0..8 {
                    crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
                }
            }
            let crc = !crc;
            crc.rotate_left(17).wrapping_add(0xa282_ead8)
        }
        let (folder, path) = told("tensorboard");
        let file = fs::read(path).unwrap();
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        let mut at = 0;
        let mut found = Vec::new();
        while at < file.len() {
            let length = u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
            assert_eq!(word(at + 8), bitwise(&file[at..at + 8]));
            let data = &file[at + 12..at + 12 + length];
            assert_eq!(word(at + 12 + length), bitwise(data));
            found.push(data.to_vec());
            at += 16 + length;
        }
        // The version, the start, two of the step, four of each epoch.
        assert_eq!(found.len(), 2 + 2 + 3 * 4);
        assert!(found[0].ends_with(b"\x1a\x0dbrain.Event:2"));
        let loss = b"\x0a\x0atrain/loss\x15\x00\x00\x00\x3f";
        // What older files have from step 1 on is forgotten.
        assert_eq!(found[1][9..], [0x10, 1, 0x3a, 2, 0x08, 1]);
        assert!(found[8].ends_with(loss), "{:?}", found[8]);
        assert_eq!(found[8][9..11], [0x10, 20], "the step of the second epoch");
        fs::remove_dir_all(folder).unwrap();
    }

    /// TensorBoard's own reader, which checks the sums, sees the same.
    #[test]
    fn tensor_board_reads_it() {
        let python = std::env::var("STRIATE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let asked = Command::new(&python)
            .args(["-c", "import tensorboard"])
            .output();
        let there = asked.is_ok_and(|told| told.status.success());
        if !there {
            println!("skipped: {python} has no tensorboard; STRIATE_PYTHON names another Python");
            return;
        }
        let (folder, _) = told("tensorboard-reader");
        let script = "
import sys
from tensorboard.backend.event_processing import event_accumulator
events = event_accumulator.EventAccumulator(sys.argv[1])
events.Reload()
for tag in sorted(events.Tags()['scalars']):
    print(tag.encode('unicode_escape').decode(), [(e.step, e.value) for e in events.Scalars(tag)])
";
        let told = Command::new(&python)
            .args(["-W", "ignore", "-c", script])
            .arg(folder.join("logs").join("run"))
            .output()
            .unwrap();
        let text = String::from_utf8(told.stdout).unwrap();
        let problems = String::from_utf8_lossy(&told.stderr);
        let rate = 640.0_f32 / 1.5;
        let rate = f64::from(rate);
        let tenth = f64::from(0.1_f32);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                &*format!("images_per_second [(10, {rate}), (20, {rate}), (30, {rate})]"),
                &format!("learning_rate [(10, {tenth}), (20, {tenth}), (30, {tenth})]"),
                "steps/images_per_second [(5, 100.0)]",
                "steps/train/loss [(5, 2.0)]",
                "train/loss [(10, 1.0), (20, 0.5), (30, 0.5)]",
                "val/\\xe4 [(10, 0.25), (20, 0.25)]",
            ],
            "{problems}"
        );
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let folder = folder("tensorboard-closed");
        fs::write(folder.join("file"), "").unwrap();
        let error = TensorBoard::new(folder.join("file").join("logs"))
            .observe(&Event::Began(&run(0)))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(
            error.to_string().contains("logs: cannot be written"),
            "{error}"
        );
        fs::remove_dir_all(folder).unwrap();
        #[cfg(target_os = "linux")]
        {
            let mut full = fs::OpenOptions::new()
                .append(true)
                .open("/dev/full")
                .unwrap();
            let error = append(&mut full, 0, &[1]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
    }
}
