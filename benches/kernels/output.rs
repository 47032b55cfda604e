//! What is told of a measurement: a line on the terminal, a line of JSON, and all adapters side by
//! side.

use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::json;
use striate::error::{Error, ErrorKind, Result};
use striate::gpu::{Engine, Gpu};
use striate::kernel::Choice;

use striate_cases::bench::{Peak, Times};

/// One variant of a case on one adapter.
pub struct Row {
    pub case: String,
    pub variant: String,
    /// Whether it is what the rules choose there.
    pub chosen: bool,
    pub times: Times,
    pub gflops: f64,
    pub gbps: f64,
    /// The time that the measured peaks allow, by the time that it took.
    pub roofline: f64,
    /// Largest error in units of its bound; what is wrong if there is more.
    pub error: std::result::Result<f64, String>,
}

/// Prints a text that another program may stop reading.
pub fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::Io, "cannot write to the terminal").with_source(e))
        }
        _ => Ok(()),
    }
}

/// Prints a line. Where nobody reads any more, as after `| head -1`, the run goes on for its files.
pub fn say(line: impl Display) -> Result<()> {
    print(&format!("{line}\n"))
}

pub fn print_heading() -> Result<()> {
    say(format!(
        "{:<44}{:<8}{:<18}{:>10}{:>9}{:>9}{:>7}{:>8}{:>8}",
        "case", "backend", "variant", "ms", "GFLOP/s", "GB/s", "roof %", "spread", "error"
    ))
}

impl Row {
    pub fn print(&self, gpu: &Gpu) -> Result<()> {
        let error = match &self.error {
            Ok(error) => format!("{error:.2}"),
            Err(_) => "WRONG".to_owned(),
        };
        say(format!(
            "{:<44}{:<8}{:<18}{:>10.4}{:>9.1}{:>9.1}{:>7.0}{:>8.3}{error:>8}",
            self.case,
            gpu.info().backend.to_string(),
            format!("{}{}", self.variant, if self.chosen { "*" } else { "" }),
            self.times.median,
            self.gflops,
            self.gbps,
            100.0 * self.roofline,
            self.times.spread,
        ))?;
        match &self.error {
            Ok(_) => Ok(()),
            Err(wrong) => say(format!("  {wrong}")),
        }
    }
}

/// A file that takes a line of JSON for each row as it comes, so that a run that is cut off leaves
/// what it has.
pub struct Lines {
    path: PathBuf,
    file: File,
    /// The day on which the run began, by UTC, as YYYY-MM-DD.
    date: String,
    checked: bool,
    zeroed: bool,
}

impl Lines {
    /// The switches are those of the run.
    pub fn create(path: &Path, checked: bool, zeroed: bool) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: File::create(path).map_err(|e| cannot(path, e))?,
            date: humantime::format_rfc3339(SystemTime::now()).to_string()[..10].to_owned(),
            checked,
            zeroed,
        })
    }

    pub fn write(&mut self, row: &Row, gpu: &Gpu, peak: &Peak) -> Result<()> {
        let info = gpu.info();
        let line = json!({
            "case": row.case,
            "variant": row.variant,
            "chosen": row.chosen,
            "adapter": info.name,
            "driver": format!("{} {}", info.driver, info.driver_info).trim(),
            "backend": info.backend.to_string(),
            "ms": row.times.median,
            "best_ms": row.times.best,
            "spread_ms": row.times.spread,
            "gflops": row.gflops,
            "gbps": row.gbps,
            "peak_gflops": peak.gflops,
            "peak_gbps": peak.gbps,
            "roofline": row.roofline,
            "error": row.error.as_ref().ok(),
            "wrong": row.error.as_ref().err(),
            "timestamps": gpu.has_timestamps(),
            "checked": self.checked,
            "zeroed": self.zeroed,
            "date": self.date,
            "version": env!("CARGO_PKG_VERSION"),
        });
        writeln!(self.file, "{line}").map_err(|e| cannot(&self.path, e))
    }
}

fn cannot(path: &Path, error: std::io::Error) -> Error {
    let message = format!("{}: cannot be written", path.display());
    Error::new(ErrorKind::Io, message).with_source(error)
}

/// Milliseconds of what the rules choose, case by case, a column for each adapter. `rows` come with
/// the number of their adapter.
pub fn print_side_by_side(gpus: &[&Gpu], rows: &[(usize, Row)]) -> Result<()> {
    say("\nms of what the rules choose, on")?;
    for (number, gpu) in (1..).zip(gpus) {
        let described = Engine::from((*gpu).clone()).describe();
        say(format!("  {number}: {described}"))?;
    }
    let numbers: String = (1..=gpus.len()).map(|n| format!("{n:>12}")).collect();
    say(format!("{:<44}{numbers}", "case"))?;
    let mut cases: Vec<&str> = rows.iter().map(|(_, row)| row.case.as_str()).collect();
    cases.dedup();
    for case in cases {
        let of = |adapter: usize| {
            let mut own = rows.iter().filter(|(on, row)| {
                *on == adapter && row.case == case && row.chosen && row.error.is_ok()
            });
            own.next().map_or("-".to_owned(), |(_, row)| {
                format!("{:.4}", row.times.median)
            })
        };
        let times: String = (0..gpus.len()).map(|i| format!("{:>12}", of(i))).collect();
        say(format!("{case:<44}{times}"))?;
    }
    Ok(())
}

/// What the rules' choice costs on each adapter against the best variant that they may choose, over
/// the cases with several: the geometric mean of the times, and the worst. A choice whose result is
/// wrong counts as infinitely long.
pub fn print_regret(gpus: &[&Gpu], rows: &[(usize, Row)]) -> Result<()> {
    for (number, gpu) in gpus.iter().enumerate() {
        let own = |row: &&(usize, Row)| row.0 == number;
        let mut regrets: Vec<(f64, &Row, &Row)> = Vec::new();
        for (_, chosen) in rows.iter().filter(own).filter(|(_, row)| row.chosen) {
            let rivals: Vec<&Row> = (rows.iter().filter(own).map(|(_, row)| row))
                .filter(|row| row.case == chosen.case && row.error.is_ok())
                .filter(|row| !Choice::rounds(&row.variant))
                .collect();
            let best = rivals
                .iter()
                .min_by(|a, b| a.times.median.total_cmp(&b.times.median));
            let regret = match (best, &chosen.error) {
                (Some(best), Ok(_)) if rivals.len() > 1 => {
                    (chosen.times.median / best.times.median, chosen, *best)
                }
                (Some(best), Err(_)) => (f64::INFINITY, chosen, *best),
                _ => continue,
            };
            regrets.push(regret);
        }
        let Some((worst, chosen, best)) = regrets.iter().max_by(|a, b| a.0.total_cmp(&b.0)) else {
            continue;
        };
        let mean = regrets.iter().map(|(r, ..)| r.ln()).sum::<f64>() / regrets.len() as f64;
        say(format!(
            "\n{}: over {} cases the rules take {:.1} % longer than the best variant (geometric \
             mean), at most {worst:.2} times as long \
             ({}: {} {:.4} ms, {} {:.4} ms)",
            Engine::from((*gpu).clone()).describe(),
            regrets.len(),
            100.0 * (mean.exp() - 1.0),
            chosen.case,
            chosen.variant,
            chosen.times.median,
            best.variant,
            best.times.median,
        ))?;
    }
    Ok(())
}
