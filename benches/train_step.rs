//! Time of a whole training step, from gather to update: `cargo bench --bench train_step --
//! --help`.
//!
//! On every adapter found, unless one is named. A case is warmed up by its first step, which is
//! timed apart: from the graph to the first loss on the host. Then rounds of steps are submitted
//! and waited for.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use clap::{Parser, ValueEnum};
use serde_json::json;
use striate::data::{Dataset, Split, digits};
use striate::interop::{expect_replaceable, read_file, replace_file};
use striate::kernel::Tuning;
use striate::models::{Model, lenet5, resnet20, resnet50};
use striate::prelude::*;
use striate::rng::Stream;
use striate::train::{Classifier, ClassifierOptions, Sgd};
use striate::wgpu::{Backends, DeviceType};

#[derive(Parser)]
struct Args {
    /// Only cases whose name holds this; may be given several times
    #[arg(long, value_name = "TEXT")]
    case: Vec<String>,
    /// Writes one JSON line per case and adapter to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Part of the adapter's name
    #[arg(long, value_name = "TEXT")]
    adapter: Option<String>,
    /// Graphics API to go through; default all
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// Measured choices, as `striate-lab tune` writes them; only their adapter is measured
    #[arg(long, value_name = "FILE")]
    tuning: Option<PathBuf>,
    /// Steps per round; default depends on the case
    #[arg(long)]
    steps: Option<usize>,
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Prints every dispatch of the plan
    #[arg(long)]
    plan: bool,
    /// Measures one step of each case dispatch by dispatch, prints where its time goes, and writes
    /// the last as a trace for Perfetto
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Backend {
    Vulkan,
    Metal,
    Dx12,
    Gl,
}

impl From<Backend> for Backends {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Vulkan => Backends::VULKAN,
            Backend::Metal => Backends::METAL,
            Backend::Dx12 => Backends::DX12,
            Backend::Gl => Backends::GL,
        }
    }
}

/// A network, what it is fed, and how many steps make a round.
struct Case {
    name: &'static str,
    model: fn() -> Model,
    data: fn(usize, u64) -> Result<Dataset>,
    batch: usize,
    steps: usize,
    /// Whether a software adapter takes minutes for a step: it is left out there unless `--case`
    /// names it.
    large: bool,
}

const CASES: [Case; 4] = [
    Case {
        name: "lenet5/b128",
        model: || lenet5(10),
        data: digits,
        batch: 128,
        steps: 40,
        large: false,
    },
    Case {
        name: "lenet5/b512",
        model: || lenet5(10),
        data: digits,
        batch: 512,
        steps: 10,
        large: false,
    },
    Case {
        name: "resnet20/b32",
        model: || resnet20(10),
        data: |count, seed| noise(count, seed, 32, 10),
        batch: 32,
        steps: 8,
        large: false,
    },
    Case {
        name: "resnet50/b64",
        model: || resnet50(1000),
        data: |count, seed| noise(count.min(128), seed, 224, 1000),
        batch: 64,
        steps: 4,
        large: true,
    },
];

/// Noise in three channels, classes by turns.
fn noise(count: usize, seed: u64, side: usize, classes: u32) -> Result<Dataset> {
    let stream = Stream::new(seed, 0, 0);
    let words = (0..).map(|index| stream.word(index));
    let bytes = words.flat_map(u32::to_le_bytes);
    let images = bytes.take(count * 3 * side * side).collect();
    let labels = (0..classes).cycle().take(count).collect();
    Dataset::new(images, labels, [3, side, side], classes as usize)
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell it by.
            let _ = writeln!(io::stderr(), "error: {error:?}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line. Where nobody reads any more, as after `| head -1`, the run goes on for its files.
fn say(line: impl Display) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        said => said.map_err(|e| Error::new(ErrorKind::Io, "standard output").with_source(e)),
    }
}

/// A file that takes each line of JSON as it comes, so that a run that is cut off leaves what it
/// has.
struct Lines {
    path: PathBuf,
    file: File,
}

impl Lines {
    fn create(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: File::create(path).map_err(|e| cannot_write(path, e))?,
        })
    }

    fn write(&mut self, line: impl Display) -> Result<()> {
        writeln!(self.file, "{line}").map_err(|e| cannot_write(&self.path, e))
    }
}

fn run(args: &Args) -> Result<()> {
    if args.rounds == 0 || args.steps == Some(0) {
        return Err(Error::new(
            ErrorKind::Data,
            "--rounds and --steps are at least 1",
        ));
    }
    let named = |case: &&Case| args.case.iter().any(|part| case.name.contains(part));
    let wanted = |case: &&Case| args.case.is_empty() || named(case);
    let cases: Vec<&Case> = CASES.iter().filter(wanted).collect();
    if cases.is_empty() {
        let message = format!("--case {}: no case's name holds it", args.case.join(" or "));
        return Err(Error::new(ErrorKind::Data, message));
    }
    let tuning = args.tuning.as_deref().map(read_tuning).transpose()?;
    let options = GpuOptions {
        adapter: args.adapter.clone(),
        backends: args.backend.map(Backends::from),
        ..GpuOptions::default()
    };
    if let Some(path) = &args.profile {
        expect_replaceable(path)?;
    }
    let mut lines = args.json.as_deref().map(Lines::create).transpose()?;
    let (mut found, mut measured) = (false, false);
    // Each case opens its own devices, so that none finds the pipelines of another. What does not
    // fit is told of once.
    let mut unfit: Vec<String> = Vec::new();
    for case in cases {
        let data = Split {
            train: (case.data)(2048, 1)?,
            test: (case.data)(64, 2)?,
        };
        for gpu in Gpu::all(&options) {
            found = true;
            let gpu = match gpu {
                Ok(gpu) => gpu,
                Err(error) => {
                    let why = format!("{error:?}");
                    if !unfit.contains(&why) {
                        say(&why)?;
                        unfit.push(why);
                    }
                    continue;
                }
            };
            let Some(gpu) = tuned(gpu, tuning.as_ref())? else {
                continue;
            };
            if case.large && args.case.is_empty() && gpu.info().device_type == DeviceType::Cpu {
                say(format!(
                    "{}: left out on {}, which takes minutes for a step",
                    case.name,
                    gpu.info().name
                ))?;
                continue;
            }
            match measure(args, &gpu, case, &data, lines.as_mut()) {
                Ok(()) => measured = true,
                // The adapter is too small for the case.
                Err(e) if matches!(e.kind(), ErrorKind::Limit | ErrorKind::OutOfMemory) => {
                    let adapter = Engine::from(gpu).describe();
                    let why = format!("{}: {adapter} does not run it: {e:?}", case.name);
                    say(&why)?;
                    unfit.push(why);
                }
                Err(e) => return Err(e.context(case.name)),
            }
        }
    }
    match (measured, found) {
        (true, _) => Ok(()),
        (false, false) => Err(options.no_adapter()),
        (false, true) => {
            let message = match unfit.is_empty() {
                true => "no adapter matches",
                false => "no adapter that matches fits",
            };
            Err(Error::new(ErrorKind::NoAdapter, message))
        }
    }
}

/// The most bytes of a table of measured choices.
const MOST_BYTES: u64 = 64 << 20;

fn read_tuning(path: &Path) -> Result<Arc<Tuning>> {
    let text = String::from_utf8(read_file(path, MOST_BYTES)?).map_err(|e| {
        let message = format!("{}: is no text", path.display());
        Error::new(ErrorKind::Data, message).with_source(e)
    })?;
    let tuning = text.parse::<Tuning>();
    Ok(Arc::new(
        tuning.map_err(|e| e.context(path.display().to_string()))?,
    ))
}

/// The device with the table, if there is one; nothing if that is for another adapter.
fn tuned(gpu: Gpu, tuning: Option<&Arc<Tuning>>) -> Result<Option<Gpu>> {
    let Some(tuning) = tuning else {
        return Ok(Some(gpu));
    };
    let info = gpu.info();
    if info.name != tuning.adapter || info.backend.to_string() != tuning.backend {
        say(format!(
            "{} through {} is left out: the table is not for it",
            info.name, info.backend
        ))?;
        return Ok(None);
    }
    let options = GpuOptions {
        tuning: Some(tuning.clone()),
        ..GpuOptions::default()
    };
    gpu.with_options(&options).map(Some)
}

fn cannot_write(path: &Path, source: std::io::Error) -> Error {
    let message = format!("{}: cannot be written", path.display());
    Error::new(ErrorKind::Io, message).with_source(source)
}

/// The step of `case` with SGD and momentum: gather, forward, backward, update.
fn measure(
    args: &Args,
    gpu: &Gpu,
    case: &Case,
    data: &Split,
    lines: Option<&mut Lines>,
) -> Result<()> {
    let start = Instant::now();
    let options = ClassifierOptions {
        batch: case.batch,
        test_batch: 64,
        drop_last: true,
        accumulate: 1,
        optimizer: Sgd::new().lr(0.01).momentum(0.9).into(),
        seed: 1,
        ..ClassifierOptions::default()
    };
    let engine = Engine::from(gpu.clone());
    let mut classifier = Classifier::new(&engine, (case.model)(), data, &options)?;
    classifier.train(1)?;
    classifier.metrics()?;
    let first_step_ms = start.elapsed().as_secs_f64() * 1e3;
    let steps = args.steps.unwrap_or(case.steps);
    let mut times = Vec::new();
    for _ in 0..args.rounds {
        let start = Instant::now();
        classifier.train(steps)?;
        classifier.metrics()?;
        times.push(start.elapsed().as_secs_f64() * 1e3 / steps as f64);
    }
    times.sort_by(f64::total_cmp);
    let (best, median) = (times[0], times[times.len() / 2]);
    let Some(plan) = classifier.session().plan() else {
        let message = "the bench needs a GPU".to_owned();
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    let (bytes, dispatches) = (plan.bytes, plan.steps.len());
    let info = gpu.info();
    let line = json!({
        "case": case.name,
        "variant": "striate",
        "adapter": info.name,
        "driver": format!("{} {}", info.driver, info.driver_info).trim(),
        "backend": info.backend.to_string(),
        "ms": median,
        "best_ms": best,
        "spread_ms": times[times.len() - 1] - best,
        "ms_per_step": best,
        "images_per_s": case.batch as f64 / best * 1e3,
        "first_step_ms": first_step_ms,
        "plan_bytes": bytes.slots,
        "live_bytes": bytes.live,
        "unplanned_bytes": bytes.unplanned,
        "dispatches": dispatches,
        "date": humantime::format_rfc3339(SystemTime::now()).to_string()[..10],
        "version": env!("CARGO_PKG_VERSION"),
    });
    if let Some(lines) = lines {
        lines.write(&line)?;
    }
    if args.plan {
        say(plan)?;
    }
    say(format!(
        "{} on {} through {}: {median:.2} ms per step (best {best:.2}, {:.0} images/s), first \
         {first_step_ms:.0} ms, \
         {dispatches} dispatches, {} bytes",
        case.name,
        info.name,
        info.backend,
        case.batch as f64 / best * 1e3,
        bytes.slots,
    ))?;
    if let Some(path) = &args.profile {
        let profile = classifier.profile()?;
        say(&profile)?;
        replace_file(path, profile.trace().as_bytes())?;
    }
    Ok(())
}
