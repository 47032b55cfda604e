//! What happened as lines of JSON.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::log_file::LogFile;
use super::{Ended, Event, Observer, Scalar};
use crate::error::Result;

/// Writes a line of JSON for the run, for each epoch and for the end, as soon as it happens.
///
/// The lines, here broken where they are long:
///
/// ```text
/// {"event":"began","step":0,"epochs":3,"steps_per_epoch":938,"images_per_epoch":60000,
///     "facts":{"network":"lenet5"}}
/// {"event":"epoch","step":938,"epoch":1,"seconds":9.5,"images":60000,"learning_rate":0.003,
///     "best":true,"scalars":{"train/loss":0.25}}
/// {"event":"ended","step":2814,"reason":"done"}
/// ```
///
/// Numbers have as many digits as it takes to read the same `f64` again. JSON has no NaN and no
/// infinity: they are the strings `"NaN"`, `"inf"` and `"-inf"`.
///
/// A run that goes on with another adds to its file. What the file holds of steps that this run
/// does again, or for the first time, is cut off: the file is always the log of one run.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: Option<LogFile>,
    /// Steps that are done.
    step: usize,
}

impl JsonLines {
    /// Into this file, whose folder must be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            file: None,
            step: 0,
        }
    }

    fn add(&mut self, line: &str) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(open(&self.path, usize::MAX)?),
        };
        file.add(line)
    }
}

impl Observer for JsonLines {
    /// # Errors
    /// `Io` if the file cannot be opened or written, with its name; what it held is there still.
    /// `Data` if it is not such a log.
    fn observe(&mut self, event: &Event<'_>) -> Result<()> {
        let mut line = String::new();
        match event {
            Event::Began(run) => {
                self.step = run.begun_at;
                self.file = Some(open(&self.path, run.begun_at)?);
                let facts = run.facts.iter();
                let facts = facts.map(|(name, value)| (&**name, text(value)));
                let _ = writeln!(
                    line,
                    "{{\"event\":\"began\",\"step\":{},\"epochs\":{},\"steps_per_epoch\":{},\
                     \"images_per_epoch\":{},\"facts\":{}}}",
                    run.begun_at,
                    run.epochs,
                    run.steps_per_epoch,
                    run.images_per_epoch,
                    object(facts)
                );
            }
            Event::Epoch(epoch) => {
                self.step = epoch.total;
                let _ = writeln!(
                    line,
                    "{{\"event\":\"epoch\",\"step\":{},\"epoch\":{},\"seconds\":{},\"images\":{},\
                     \"learning_rate\":{},\"best\":{},\"scalars\":{}}}",
                    epoch.total,
                    epoch.epoch,
                    number(epoch.seconds),
                    epoch.images,
                    number(epoch.learning_rate),
                    epoch.best,
                    scalars(&epoch.scalars)
                );
            }
            Event::Stepped(step) => {
                self.step = step.total;
                return Ok(());
            }
            Event::Saved(_) => return Ok(()),
            Event::Ended(ended, _) => {
                let reason = match ended {
                    Ended::Done => "done",
                    Ended::Patience => "patience",
                    Ended::Stopped => "stopped",
                };
                let step = self.step;
                let _ = writeln!(
                    line,
                    "{{\"event\":\"ended\",\"step\":{step},\"reason\":\"{reason}\"}}"
                );
            }
        }
        self.add(&line)
    }
}

/// Opens the file and keeps the lines of steps up to `begun_at`, of a run from the beginning none.
fn open(path: &Path, begun_at: usize) -> Result<LogFile> {
    let (mut file, text) = LogFile::open(path, BEGIN)?;
    let mut kept = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let Some(step) = step_of(line) else {
            let message = format!("line {} is not of a log of a run", index + 1);
            return Err(file.wrong(message));
        };
        if step > begun_at || begun_at == 0 {
            break;
        }
        kept += line.len();
    }
    file.cut(kept)?;
    Ok(file)
}

/// How each line begins.
const BEGIN: &str = "{\"event\":\"";

/// The step of a line that a log wrote.
fn step_of(line: &str) -> Option<usize> {
    let rest = line.strip_prefix(BEGIN)?;
    let (_, rest) = rest.split_once("\",\"step\":")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest[..digits].parse().ok()
}

fn scalars(scalars: &[Scalar]) -> String {
    object(scalars.iter().map(|s| (&*s.name, number(s.value))))
}

/// An object of names and values that are JSON already.
fn object<'a>(members: impl Iterator<Item = (&'a str, String)>) -> String {
    let members: Vec<String> = members
        .map(|(name, value)| format!("{}:{value}", text(name)))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn number(value: f64) -> String {
    match value.is_finite() {
        true => format!("{value:?}"),
        false => format!("\"{value}\""),
    }
}

/// A string of JSON (RFC 8259).
fn text(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '\0'..='\x1f' => {
                let _ = write!(json, "\\u{:04x}", c as u32);
            }
            c => json.push(c),
        }
    }
    json + "\""
}

#[cfg(test)]
mod tests {
    use super::super::tests::{epoch, folder, run};
    use super::*;
    use crate::error::ErrorKind;
    use std::fs;

    #[test]
    fn a_run_that_goes_on_adds_to_the_file() {
        let folder = folder("json");
        let path = folder.join("log.jsonl");
        let numbers = [("train/loss", 0.1), ("quote\"\n", f64::NEG_INFINITY)];
        let epochs: Vec<_> = (1..=3).map(|number| epoch(number, &numbers)).collect();
        let mut log = JsonLines::new(&path);
        let mut first = run(0);
        first.facts = vec![("net\\work".into(), "lenet5\t\u{e4}".into())];
        log.observe(&Event::Began(&first)).unwrap();
        for epoch in &epochs {
            log.observe(&Event::Epoch(epoch)).unwrap();
        }
        let mut log = JsonLines::new(&path);
        log.observe(&Event::Began(&run(20))).unwrap();
        log.observe(&Event::Epoch(&epochs[2])).unwrap();
        log.observe(&Event::Ended(Ended::Patience, &epochs[2..]))
            .unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let line = |number, best| {
            format!(
                "{{\"event\":\"epoch\",\"step\":{number}0,\"epoch\":{number},\"seconds\":1.5,\
                 \"images\":640,\"learning_rate\":0.1,\"best\":{best},\"scalars\":\
                 {{\"train/loss\":0.1,\"quote\\\"\\u000a\":\"-inf\"}}}}"
            )
        };
        assert_eq!(
            lines,
            [
                "{\"event\":\"began\",\"step\":0,\"epochs\":3,\"steps_per_epoch\":10,\
                 \"images_per_epoch\":640,\"facts\":{\"net\\\\work\":\"lenet5\\u0009\u{e4}\"}}",
                &line(1, true),
                &line(2, false),
                "{\"event\":\"began\",\"step\":20,\"epochs\":3,\"steps_per_epoch\":10,\
                 \"images_per_epoch\":640,\"facts\":{}}",
                &line(3, false),
                "{\"event\":\"ended\",\"step\":30,\"reason\":\"patience\"}",
            ]
        );
        #[cfg(feature = "interop")]
        for line in lines {
            let parsed: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(parsed["event"].is_string());
        }
        let mut log = JsonLines::new(&path);
        log.observe(&Event::Began(&run(0))).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
        fs::write(&path, "{\"mine\":1}\n").unwrap();
        let error = JsonLines::new(&path)
            .observe(&Event::Began(&run(0)))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"mine\":1}\n");
        fs::remove_dir_all(folder).unwrap();
    }
}
