//! Holds every op against its reference, forward and backward, on every adapter and back end found.
//! What it prints is what belongs into a bug report.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;
use striate::check::{Adapter, Case};
use striate::error::{Error, ErrorKind, Result};
use striate::gpu::{GpuOptions, base_limits};
use striate::interop::{expect_replaceable, replace_file};
use striate_cases::cases;
use striate_cases::tally::{Count, Tally};

use crate::{kernels, print, say, table};

/// Runs the whole table of cases on every adapter and compares with the CPU reference
#[derive(clap::Args)]
pub struct Args {
    /// Writes one JSON line per adapter and op to this file, and one per adapter that does not fit
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only this op
    #[arg(long, value_name = "NAME")]
    op: Option<String>,
    /// Only cases whose name holds this
    #[arg(long, value_name = "TEXT")]
    case: Option<String>,
    /// Only cases of this group, a part of their names between slashes: "long" are loops over more
    /// than 70,000 elements
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Only adapters whose name holds this, in any case of letters
    #[arg(long, value_name = "TEXT")]
    adapter: Option<String>,
    /// On devices without features and with no more than the limits that every kernel needs
    #[arg(long)]
    base_limits: bool,
    /// In few ways: each body with the tiles of the rules, and the graph unfused
    #[arg(long)]
    few: bool,
    /// Writes the table of ops into docs/ops.md, and those of kernels into shaders/*/README.md,
    /// instead
    #[arg(long)]
    docs: bool,
}

/// Whether everything that ran was right.
///
/// # Errors
/// `Unsupported` where no case is meant, `NoAdapter` where nothing can run, `Io` for a file.
pub fn run(args: &Args) -> Result<bool> {
    match args.docs {
        true => write_docs().map(|()| true),
        false => verify(args),
    }
}

fn verify(args: &Args) -> Result<bool> {
    let mut by_op: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in cases() {
        let op = case.op().to_owned();
        let holds = |text: &String| case.name.contains(text);
        let wanted = args.op.as_ref().is_none_or(|wanted| *wanted == op);
        let in_group = |group: &String| case.name.split('/').any(|part| part == group);
        let wanted = wanted && args.group.as_ref().is_none_or(in_group);
        if wanted && args.case.as_ref().is_none_or(holds) {
            by_op.entry(op).or_default().push(case);
        }
    }
    if by_op.is_empty() {
        let named = |what, name: &Option<String>| match name {
            None => String::new(),
            Some(name) => format!(" {what} \"{name}\""),
        };
        let (op, case) = (named("of op", &args.op), named("named", &args.case));
        let group = named("in group", &args.group);
        let message = format!("no cases{op}{case}{group}; docs/ops.md lists the ops");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    if let Some(path) = &args.json {
        expect_replaceable(path)?;
    }
    let options = GpuOptions {
        adapter: args.adapter.clone(),
        limits: args.base_limits.then(base_limits),
        ..GpuOptions::default()
    };
    let mut adapters = Vec::new();
    let mut unfit = Vec::new();
    for found in Adapter::all(&options) {
        match found {
            Ok(adapter) if args.few => adapters.push(adapter.in_few_ways()),
            Ok(adapter) => adapters.push(adapter),
            Err(error) => unfit.push(error),
        }
    }
    // Where nothing runs, nothing is shown to be right.
    if adapters.is_empty() {
        for error in &unfit {
            say(with_source(error))?;
        }
        return Err(match unfit.is_empty() {
            true => options.no_adapter(),
            false => Error::new(ErrorKind::NoAdapter, "no adapter that matches fits"),
        });
    }
    say(format!(
        "{:<28}{:>6}{:>9}{:>9}",
        "op", "cases", "worst", "s"
    ))?;
    let mut tally = Tally::new(&adapters);
    let ops: Vec<(&String, &[Case])> = by_op.iter().map(|(op, cases)| (op, &cases[..])).collect();
    let groups: Vec<&[Case]> = ops.iter().map(|&(_, cases)| cases).collect();
    let mut known = 0;
    let mut said = Ok(());
    tally.check_groups(&groups, |tally, number| {
        let (op, cases) = ops[number];
        let mut count = Count::default();
        for row in &tally.adapters {
            count += row.counts.get(op).copied().unwrap_or_default();
        }
        let mut text = format!(
            "{op:<28}{:>6}{:>9.2}{:>9.1}\n",
            cases.len(),
            count.worst,
            count.time.as_secs_f64()
        );
        for wrong in &tally.wrong[known..] {
            text += &format!("  {wrong}\n");
        }
        known = tally.wrong.len();
        if said.is_ok() {
            said = print(&text);
        }
    });
    let total = said.and_then(|()| print_totals(&tally, &unfit));
    // What was found is kept, whatever became of the terminal.
    if let Some(path) = &args.json {
        write_json(path, &tally, &unfit)?;
    }
    Ok(total?.failed == 0)
}

/// Prints what each adapter gave, and what does not fit; returns the counts of all together.
fn print_totals(tally: &Tally, unfit: &[Error]) -> Result<Count> {
    say("")?;
    let mut total = Count::default();
    for row in &tally.adapters {
        let count = row.total();
        total += count;
        say(format!(
            "{}: {} passed, {} failed, {} unsupported, worst error {:.2} of its bound, {:.1} s",
            row.adapter,
            count.passed,
            count.failed,
            count.unsupported,
            count.worst,
            count.time.as_secs_f64()
        ))?;
        match row.adapter.matrices() {
            Some(matrices) => say(format!("  on cooperative matrices too: {matrices:?}"))?,
            None => say("  it has no cooperative matrices that the kernels can use")?,
        }
        if let Some(limit) = &row.unsupported {
            say(format!("  unsupported: {limit}"))?;
        }
        let refused: Vec<String> = row
            .refused_parts
            .iter()
            .map(|(what, count)| format!("{what} ({count} cases)"))
            .collect();
        say(format!(
            "  on values in several parts: {} runs; refused: {}",
            count.in_parts,
            match refused.is_empty() {
                true => "none".to_owned(),
                false => refused.join(", "),
            }
        ))?;
    }
    for error in unfit {
        say(with_source(error))?;
    }
    say(format!("{} passed, {} failed", total.passed, total.failed))?;
    Ok(total)
}

/// The message, and that of the error below it.
fn with_source(error: &Error) -> String {
    match std::error::Error::source(error) {
        None => error.to_string(),
        Some(source) => format!("{error}: {source}"),
    }
}

fn write_json(path: &Path, tally: &Tally, unfit: &[Error]) -> Result<()> {
    let mut lines = Vec::new();
    for error in unfit {
        let line = json!({ "unsupported_adapter": with_source(error) });
        writeln!(lines, "{line}").map_err(|e| cannot("write", path, e))?;
    }
    for row in &tally.adapters {
        for (op, count) in &row.counts {
            let place = format!("{}/", op);
            let wrong: Vec<&String> = tally
                .wrong
                .iter()
                .filter(|wrong| wrong.starts_with(&place) && wrong.contains(&row.adapter.name))
                .collect();
            let line = json!({
                "adapter": row.adapter.name,
                "op": op,
                "passed": count.passed,
                "failed": count.failed,
                "unsupported": count.unsupported,
                "runs": count.runs,
                "in_parts": count.in_parts,
                "worst": count.worst,
                "seconds": count.time.as_secs_f64(),
                "wrong": wrong,
            });
            writeln!(lines, "{line}").map_err(|e| cannot("write", path, e))?;
        }
    }
    replace_file(path, &lines)
}

fn write_docs() -> Result<()> {
    let path = table::path();
    let text = std::fs::read_to_string(&path).map_err(|e| cannot("read", &path, e))?;
    let renewed = table::renewed(&text).ok_or_else(|| {
        let message = format!("{}: the lines around the table are missing", path.display());
        Error::new(ErrorKind::Data, message)
    })?;
    std::fs::write(&path, renewed).map_err(|e| cannot("write", &path, e))?;
    let shaders = crate::root().join("shaders");
    let readmes = kernels::readmes().map_err(|e| cannot("read", &shaders, e))?;
    for (path, text) in readmes {
        std::fs::write(&path, text).map_err(|e| cannot("write", &path, e))?;
    }
    Ok(())
}

fn cannot(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot {what} {}", path.display())).with_source(error)
}
