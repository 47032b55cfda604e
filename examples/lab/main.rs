//! The shader lab. `cargo run --release --example lab -- a.json b.json ... -o report.html` makes one page of what
//! `cargo bench --bench kernels -- --json FILE` wrote on several machines, and of the same cases in other libraries
//! (`benches/peers`). `--list` names the kernels, `--translate KERNEL --to spirv|msl|hlsl|glsl` prints what a back end gets.

mod bars;
mod lines;
mod merge;
mod page;
mod roofline;
#[path = "../../tests/common/translate.rs"]
mod translate;
mod translation;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use merge::Lab;
use striate::error::{Error, ErrorKind, Result};
use striate::ops::kernels;
use translate::{Added, Language, Translated};

/// Merges lines of the kernel bench into one page, and shows what becomes of kernels.
#[derive(Parser)]
struct Args {
    /// JSON lines of `cargo bench --bench kernels -- --json FILE`; a name tells adapters of one name on several machines apart
    #[arg(value_name = "[NAME=]FILE", required_unless_present_any = ["list", "translate"], requires = "output", conflicts_with_all = ["list", "translate"])]
    files: Vec<PathBuf>,
    /// The page to write; with --translate where the translation goes, SPIR-V as words
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Prints the names of all kernels with their sets of overrides
    #[arg(long, conflicts_with_all = ["translate", "output"])]
    list: bool,
    /// Prints what naga makes of this kernel
    #[arg(long, value_name = "KERNEL", requires = "to")]
    translate: Option<String>,
    /// Language to translate to
    #[arg(long, value_enum, requires = "translate")]
    to: Option<To>,
    /// An override constant; others are as in the kernel's first set
    #[arg(long = "override", value_name = "NAME=VALUE", value_parser = assignment, requires = "translate")]
    overrides: Vec<(String, u32)>,
    /// With the checks that translation adds to shaders
    #[arg(long, requires = "translate")]
    checked: bool,
    /// With workgroup memory zeroed first
    #[arg(long, requires = "translate")]
    zeroed: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum To {
    Spirv,
    Msl,
    Hlsl,
    Glsl,
}

impl From<To> for Language {
    fn from(to: To) -> Self {
        match to {
            To::Spirv => Language::SpirV,
            To::Msl => Language::Msl,
            To::Hlsl => Language::Hlsl,
            To::Glsl => Language::Glsl,
        }
    }
}

fn assignment(text: &str) -> std::result::Result<(String, u32), String> {
    let (name, value) = text.split_once('=').ok_or("it is not NAME=VALUE")?;
    let value = value
        .trim()
        .parse()
        .map_err(|e| format!("\"{value}\" is no u32: {e}"))?;
    Ok((name.trim().to_owned(), value))
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if args.list {
        return print(&translation::list(&kernels()));
    }
    if let (Some(name), Some(to)) = (&args.translate, args.to) {
        return show(name, to.into(), args);
    }
    let mut lines = Vec::new();
    for file in &args.files {
        lines.extend(lines::read(file)?);
    }
    let lab = Lab::new(lines);
    if let Some(path) = &args.output {
        write(path, page::page(&lab).as_bytes())?;
        println!(
            "{}: {} cases in {} columns",
            path.display(),
            lab.cases.len(),
            lab.columns.len()
        );
    }
    Ok(())
}

/// A kernel's translation, to the file given or to the terminal.
fn show(name: &str, language: Language, args: &Args) -> Result<()> {
    let kernels = kernels();
    let kernel = translation::find(&kernels, name)?;
    let added = Added {
        checks: args.checked,
        zeros: args.zeroed,
    };
    let translated = translation::translated(kernel, language, &args.overrides, added)?;
    match (&args.output, &translated) {
        (Some(path), Translated::Words(words)) => {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            write(path, &bytes)
        }
        (Some(path), Translated::Text(_)) => {
            let text = translation::text(kernel, &args.overrides, &translated)?;
            write(path, text.as_bytes())
        }
        (None, _) => print(&translation::text(kernel, &args.overrides, &translated)?),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| {
        let message = format!("{}: cannot be written", path.display());
        Error::new(ErrorKind::Io, message).with_source(e)
    })
}

/// Prints a text that another program may stop reading.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::Io, "cannot write to the terminal").with_source(e))
        }
        _ => Ok(()),
    }
}
