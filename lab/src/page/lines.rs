//! The lines of JSON that `cargo bench --bench kernels` and the benches of peers write.

use std::path::Path;

use serde::Deserialize;
use striate::error::{Error, ErrorKind, Result};
use striate::interop::read_file;

/// The most bytes of a file of lines.
const MOST_BYTES: u64 = 1 << 30;

/// Variants that are other libraries.
pub const PEERS: [&str; 2] = ["burn", "pytorch"];

/// One variant of a case on one adapter. A peer's line may lack what it does not know; further
/// fields are ignored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Line {
    pub case: String,
    /// A way to lower the work, or one of [`PEERS`].
    pub variant: String,
    /// Whether it is what the rules choose there.
    #[serde(default)]
    pub chosen: bool,
    pub adapter: String,
    /// Tells adapters of one name apart; empty if nobody named it.
    #[serde(default)]
    pub machine: String,
    #[serde(default)]
    pub driver: String,
    #[serde(default)]
    pub backend: String,
    /// Milliseconds.
    pub ms: f64,
    pub gflops: Option<f64>,
    pub gbps: Option<f64>,
    /// Highest rates measured in the same run.
    pub peak_gflops: Option<f64>,
    pub peak_gbps: Option<f64>,
    /// The time that these peaks allow, by the time that it took.
    pub roofline: Option<f64>,
    /// Largest error in units of its bound.
    pub error: Option<f64>,
    /// What is wrong with the result, if something is.
    pub wrong: Option<String>,
    /// Whether the time is the device's own.
    pub timestamps: Option<bool>,
    /// Whether the shaders had the checks that translation adds.
    #[serde(default)]
    pub checked: bool,
    /// Whether workgroup memory was zeroed first.
    #[serde(default)]
    pub zeroed: bool,
    /// As YYYY-MM-DD.
    pub date: Option<String>,
    /// Of the library that was measured.
    pub version: Option<String>,
}

impl Line {
    /// The library, if it is another.
    pub fn peer(&self) -> Option<&str> {
        PEERS
            .contains(&self.variant.as_str())
            .then_some(&self.variant)
    }

    /// What cannot be.
    fn fault(&self) -> Option<String> {
        let texts = [
            ("case", &self.case),
            ("variant", &self.variant),
            ("adapter", &self.adapter),
        ];
        if let Some((name, _)) = texts.into_iter().find(|(_, text)| text.trim().is_empty()) {
            return Some(format!("`{name}` is empty"));
        }
        if self.ms <= 0.0 {
            return Some(format!("`ms` is {}, a time is above 0", self.ms));
        }
        let numbers = [
            ("gflops", self.gflops),
            ("gbps", self.gbps),
            ("peak_gflops", self.peak_gflops),
            ("peak_gbps", self.peak_gbps),
            ("roofline", self.roofline),
            ("error", self.error),
        ];
        for (name, number) in numbers {
            if let Some(number) = number.filter(|&x| x < 0.0) {
                return Some(format!("`{name}` is {number}, below 0"));
            }
        }
        match &self.date {
            Some(date) if !is_date(date) => {
                Some(format!("`date` is \"{date}\", not as YYYY-MM-DD"))
            }
            _ => None,
        }
    }
}

/// Whether it reads like a day, so that days compare as their texts do.
fn is_date(text: &str) -> bool {
    let digits = |c: char| if c.is_ascii_digit() { '0' } else { c };
    text.chars().map(digits).eq("0000-00-00".chars())
}

/// The machine's name before a file, and the file; a text that is itself a file has none.
fn named(file: &Path) -> (Option<&str>, &Path) {
    match file.to_str().and_then(|text| text.split_once('=')) {
        Some((machine, path)) if is_name(machine) && !file.exists() => {
            (Some(machine), Path::new(path))
        }
        _ => (None, file),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '\\'])
}

/// The lines of `[NAME=]FILE`, all of the machine of that name.
///
/// # Errors
/// `Io` if it cannot be read; `Data` with file, line and column of what is no such line, or if
/// there is none.
pub fn read(file: &Path) -> Result<Vec<Line>> {
    let (machine, path) = named(file);
    let text = String::from_utf8(read_file(path, MOST_BYTES)?).map_err(|e| {
        let message = format!("{}: is no text", path.display());
        Error::new(ErrorKind::Data, message).with_source(e)
    })?;
    let mut lines = parse(&text, &path.display().to_string())?;
    if let Some(machine) = machine {
        for line in &mut lines {
            line.machine = machine.to_owned();
        }
    }
    Ok(lines)
}

/// The lines of a text that came from `file`.
pub fn parse(text: &str, file: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (number, text) in (1..).zip(text.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(text).map_err(|e| {
            // Its own place is within the one line.
            let message = e.to_string();
            let what = message
                .rsplit_once(" at line ")
                .map_or(message.as_str(), |(what, _)| what);
            data(format!("{file}:{number}:{}: {what}", e.column()))
        })?;
        if let Some(fault) = line.fault() {
            return Err(data(format!("{file}:{number}: {fault}")));
        }
        lines.push(line);
    }
    if lines.is_empty() {
        return Err(data(format!("{file}: there are no lines")));
    }
    Ok(lines)
}

fn data(message: String) -> Error {
    Error::new(ErrorKind::Data, message)
}
