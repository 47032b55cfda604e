//! Time of a training step: `cargo bench --bench train_step -- [--json FILE] [--adapter TEXT] [--steps N] [--rounds N]`.
//!
//! Every adapter found, or those whose name holds TEXT. A case is warmed up by its first step, which is timed apart: from the graph to
//! the first loss on the host. Then rounds of steps are submitted and waited for; the best round counts.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use striate::data::{Split, digits};
use striate::models::lenet5;
use striate::ops::{Rule, Sgd};
use striate::prelude::*;
use striate::train::{Classifier, ClassifierOptions, Optimizer, constant};

#[derive(Parser)]
struct Args {
    /// Writes one JSON line per case and adapter to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Part of the adapter's name
    #[arg(long, value_name = "TEXT")]
    adapter: Option<String>,
    /// Steps per round
    #[arg(long, default_value_t = 40)]
    steps: usize,
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Prints every dispatch of the plan
    #[arg(long)]
    plan: bool,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let options = GpuOptions {
        adapter: args.adapter.clone(),
        ..GpuOptions::default()
    };
    let data = Split {
        train: digits(2048, 1),
        test: digits(64, 2),
    };
    let mut lines = Vec::new();
    for gpu in Gpu::all(&options) {
        let engine = Engine::from(gpu?);
        lines.push(measure(args, &engine, &data, 128)?);
    }
    if lines.is_empty() {
        let message = "no adapter matches".to_owned();
        return Err(Error::new(ErrorKind::NoAdapter, message));
    }
    if let Some(path) = &args.json {
        let failed = |e| {
            Error::new(
                ErrorKind::Io,
                format!("{}: cannot be written", path.display()),
            )
            .with_source(e)
        };
        let mut file = File::create(path).map_err(failed)?;
        for line in &lines {
            writeln!(file, "{line}").map_err(failed)?;
        }
    }
    Ok(())
}

/// LeNet-5 with SGD and momentum, the whole step: gather, forward, backward, update.
fn measure(args: &Args, engine: &Engine, data: &Split, batch: usize) -> Result<String> {
    let start = Instant::now();
    let options = ClassifierOptions {
        batch,
        test_batch: 64,
        accumulate: 1,
        optimizer: Optimizer::new(Rule::Sgd(Sgd {
            momentum: 0.9,
            ..Sgd::default()
        })),
        learning_rates: constant(0.01),
        seed: 1,
    };
    let mut classifier = Classifier::new(engine, lenet5, data, &options)?;
    classifier.train(1)?;
    classifier.metrics()?;
    let first_step_ms = start.elapsed().as_secs_f64() * 1e3;
    let mut best = f64::MAX;
    for _ in 0..args.rounds {
        let start = Instant::now();
        classifier.train(args.steps)?;
        classifier.metrics()?;
        best = best.min(start.elapsed().as_secs_f64() * 1e3 / args.steps as f64);
    }
    let (Engine::Gpu(gpu), Some(plan)) = (engine, classifier.session().plan()) else {
        let message = "the bench needs a GPU".to_owned();
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    if args.plan {
        println!("{plan}");
    }
    let bytes = plan.bytes;
    let line = format!(
        "{{\"case\":\"lenet5/b{batch}\",\"adapter\":\"{}\",\"driver\":\"{}\",\"backend\":\"{}\",\"ms_per_step\":{best:.3},\"images_per_s\":{:.0},\"first_step_ms\":{first_step_ms:.0},\"plan_bytes\":{},\"live_bytes\":{},\"unplanned_bytes\":{},\"dispatches\":{}}}",
        gpu.info().name,
        gpu.info().driver_info,
        gpu.info().backend,
        batch as f64 / best * 1e3,
        bytes.slots,
        bytes.live,
        bytes.unplanned,
        plan.steps.len()
    );
    println!("{line}");
    Ok(line)
}
