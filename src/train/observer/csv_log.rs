//! Epochs as lines of comma-separated values.

use std::borrow::Cow;
use std::path::PathBuf;

use super::log_file::LogFile;
use super::{EpochRecord, Event, Observer};
use crate::error::Result;
use crate::file::replace_file;

/// What every line begins with; the run's scalars follow.
const FIXED: [&str; 6] = [
    "epoch",
    "step",
    "seconds",
    "images",
    "learning_rate",
    "best",
];

/// Writes a line of comma-separated values (RFC 4180, but lines end with `\n`) for each epoch, as
/// soon as it is done.
///
/// The columns are `epoch, step, seconds, images, learning_rate, best` and one for each scalar of
/// the first epoch. Where a later epoch has a scalar of another name, as when not every epoch is
/// validated, the file is written anew with a column more; a scalar that an epoch lacks is an
/// empty field. Numbers have as many digits as it takes to read the same `f64` again.
///
/// A run that goes on with another adds to its file. What the file holds of steps that this run
/// does again, or for the first time, is cut off: the file is always the log of one run.
///
/// ```
/// use striate::train::{CsvLog, EpochRecord, Event, Observer, RunInfo, Scalar};
///
/// # fn main() -> striate::error::Result<()> {
/// # let path = std::env::temp_dir().join(format!("striate-doc-log-{}.csv", std::process::id()));
/// let mut log = CsvLog::new(&path);
/// log.observe(&Event::Began(&RunInfo::default()))?;
/// let scalars = vec![Scalar { name: "train/loss".into(), value: 0.5 }];
/// let epoch = EpochRecord {
///     epoch: 1, total: 100, seconds: 2.5, images: 6400, learning_rate: 0.001, scalars, best: true,
/// };
/// log.observe(&Event::Epoch(&epoch))?;
/// assert_eq!(
///     std::fs::read_to_string(&path).unwrap(),
///     "epoch,step,seconds,images,learning_rate,best,train/loss\n\
///      1,100,2.5,6400,0.001,true,0.5\n"
/// );
/// # std::fs::remove_file(&path).ok();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CsvLog {
    path: PathBuf,
    open: Option<CsvFile>,
}

#[derive(Debug)]
struct CsvFile {
    file: LogFile,
    /// Names of the scalars that have a column.
    columns: Vec<String>,
    /// Whether the header is written.
    begun: bool,
}

impl CsvLog {
    /// Into this file, whose folder must be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            open: None,
        }
    }
}

impl Observer for CsvLog {
    /// # Errors
    /// `Io` if the file cannot be opened or written, with its name; what it held is there still.
    /// `Data` if it is not such a log.
    fn observe(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Began(run) => self.open = Some(CsvFile::new(&self.path, run.begun_at)?),
            Event::Epoch(epoch) => {
                let open = match &mut self.open {
                    Some(open) => open,
                    None => self.open.insert(CsvFile::new(&self.path, usize::MAX)?),
                };
                open.add(epoch)?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl CsvFile {
    /// Opens the file and keeps the lines of steps up to `begun_at`.
    fn new(path: &std::path::Path, begun_at: usize) -> Result<Self> {
        let (mut file, text) = LogFile::open(path, &FIXED.join(","))?;
        let foreign = |line: usize| format!("line {line} is not of a log of epochs");
        let mut columns = Vec::new();
        let mut kept = 0;
        if !text.is_empty() {
            let (names, end) = record(&text).ok_or_else(|| file.wrong(foreign(1)))?;
            if !names.iter().take(FIXED.len()).eq(FIXED.iter()) {
                return Err(file.wrong(foreign(1)));
            }
            columns = names[FIXED.len()..].to_vec();
            let mut at = end;
            for (index, line) in text[end..].split_inclusive('\n').enumerate() {
                let fields: Vec<&str> = line.trim_end().split(',').collect();
                let step = fields.get(1).and_then(|step| step.parse::<usize>().ok());
                match step {
                    Some(step) if fields.len() == names.len() => {
                        if step > begun_at {
                            break;
                        }
                    }
                    _ => return Err(file.wrong(foreign(index + 2))),
                }
                at += line.len();
                kept = at;
            }
        }
        file.cut(kept)?;
        let begun = kept > 0;
        if !begun {
            columns.clear();
        }
        Ok(Self {
            file,
            columns,
            begun,
        })
    }

    fn add(&mut self, epoch: &EpochRecord) -> Result<()> {
        let known = self.columns.len();
        for scalar in &epoch.scalars {
            if !self.columns.contains(&scalar.name) {
                self.columns.push(scalar.name.clone());
            }
        }
        let new = self.columns.len() - known;
        if self.begun && new > 0 {
            let widened = self.widen(new);
            if widened.is_err() {
                self.columns.truncate(known);
            }
            widened?;
        }
        let mut lines = String::new();
        if !self.begun {
            lines += &self.header();
        }
        lines += &format!(
            "{},{},{:?},{},{:?},{}",
            epoch.epoch, epoch.total, epoch.seconds, epoch.images, epoch.learning_rate, epoch.best
        );
        for name in &self.columns {
            lines.push(',');
            if let Some(value) = epoch.scalar(name) {
                lines += &format!("{value:?}");
            }
        }
        lines.push('\n');
        self.file.add(&lines)?;
        self.begun = true;
        Ok(())
    }

    fn header(&self) -> String {
        let names = FIXED.into_iter().chain(self.columns.iter().map(|n| &**n));
        let fields: Vec<_> = names.map(quoted).collect();
        fields.join(",") + "\n"
    }

    /// Writes the file anew with the columns that it lacks, the last `new` ones.
    fn widen(&mut self, new: usize) -> Result<()> {
        let path = self.file.path().to_owned();
        let (_, old) = LogFile::open(&path, &FIXED.join(","))?;
        let end = record(&old).map_or(0, |(_, end)| end);
        let mut text = self.header();
        for line in old[end..].lines() {
            text += line;
            text.extend(std::iter::repeat_n(',', new));
            text.push('\n');
        }
        replace_file(&path, text.as_bytes())?;
        self.file = LogFile::open(&path, &FIXED.join(","))?.0;
        Ok(())
    }
}

/// A field, in quotes where it needs them.
fn quoted(field: &str) -> Cow<'_, str> {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")).into(),
        false => field.into(),
    }
}

/// The fields of the record that `text` begins with, and its bytes; none if it has no end.
fn record(text: &str) -> Option<(Vec<String>, usize)> {
    let mut fields = vec![String::new()];
    let mut quotes = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let field = fields.last_mut()?;
        match c {
            '"' if quotes && chars.peek().is_some_and(|&(_, next)| next == '"') => {
                field.push('"');
                chars.next();
            }
            '"' => quotes = !quotes,
            ',' if !quotes => fields.push(String::new()),
            '\r' if !quotes => {}
            '\n' if !quotes => return Some((fields, at + 1)),
            c => field.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tests::{epoch, folder, run};
    use super::*;
    use crate::error::ErrorKind;
    use std::fs;

    #[test]
    fn a_run_that_goes_on_adds_to_the_file() {
        let folder = folder("csv");
        let path = folder.join("log.csv");
        let mut log = CsvLog::new(&path);
        log.observe(&Event::Began(&run(0))).unwrap();
        let odd = [("train/loss", 1.0 / 3.0), ("a,\"b\"\nc", 1e-300)];
        for number in 1..=3 {
            log.observe(&Event::Epoch(&epoch(number, &odd))).unwrap();
        }
        // Killed within a line, after a checkpoint of the second epoch.
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("4,40,0.");
        fs::write(&path, &text).unwrap();
        let mut log = CsvLog::new(&path);
        log.observe(&Event::Began(&run(20))).unwrap();
        log.observe(&Event::Epoch(&epoch(3, &odd))).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "epoch,step,seconds,images,learning_rate,best,train/loss,\"a,\"\"b\"\"\nc\"\n\
             1,10,1.5,640,0.1,true,0.3333333333333333,1e-300\n\
             2,20,1.5,640,0.1,false,0.3333333333333333,1e-300\n\
             3,30,1.5,640,0.1,false,0.3333333333333333,1e-300\n"
        );
        // From the beginning: the file is that of this run.
        let mut log = CsvLog::new(&path);
        log.observe(&Event::Began(&run(0))).unwrap();
        log.observe(&Event::Epoch(&epoch(1, &[("loss", f64::NAN)])))
            .unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "epoch,step,seconds,images,learning_rate,best,loss\n1,10,1.5,640,0.1,true,NaN\n"
        );
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_later_scalar_becomes_a_column() {
        let folder = folder("csv-wide");
        let path = folder.join("log.csv");
        let mut log = CsvLog::new(&path);
        let train = ("train/loss", 0.5);
        log.observe(&Event::Epoch(&epoch(1, &[train]))).unwrap();
        let both = [("val/loss", 0.25), train];
        log.observe(&Event::Epoch(&epoch(2, &both))).unwrap();
        log.observe(&Event::Epoch(&epoch(3, &[train]))).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "epoch,step,seconds,images,learning_rate,best,train/loss,val/loss\n\
             1,10,1.5,640,0.1,true,0.5,\n\
             2,20,1.5,640,0.1,false,0.5,0.25\n\
             3,30,1.5,640,0.1,false,0.5,\n"
        );
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn files_of_others_are_left_alone() {
        let folder = folder("csv-foreign");
        let path = folder.join("letter.txt");
        for text in [
            "Dear Sir,\n",
            "Dear Sir,",
            "Dear Sir,\nsincerely",
            "epoch,step,seconds,images,learning_rate,best\nDear Sir,\n",
        ] {
            fs::write(&path, text).unwrap();
            let error = CsvLog::new(&path)
                .observe(&Event::Began(&run(0)))
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data);
            assert!(error.to_string().contains("letter.txt: line "), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let missing = folder.join("missing").join("log.csv");
        let error = CsvLog::new(missing)
            .observe(&Event::Began(&run(0)))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("log.csv: cannot be written"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error() {
        let mut log = CsvLog::new("/dev/full");
        log.observe(&Event::Began(&run(0))).unwrap();
        let error = log.observe(&Event::Epoch(&epoch(1, &[]))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().starts_with("/dev/full: "), "{error}");
    }
}
