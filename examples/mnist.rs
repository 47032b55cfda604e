//! Trains LeNet-5 on handwritten digits: `cargo run --release --example mnist -- --help`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use striate::data::{Split, digits, load_mnist};
use striate::interop::{load_parameters, save_parameters};
use striate::models::lenet5;
use striate::ops::{Adam, Rule, Sgd};
use striate::prelude::*;
use striate::train::{Classifier, ClassifierOptions, warmup_cosine};

/// Trains LeNet-5 on MNIST, or on built-in digits where it is not at hand.
#[derive(Parser)]
struct Args {
    /// Directory with the four MNIST files; default data/mnist if it exists, else built-in digits
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Times to walk over the training set; default 3, on the CPU 1. With 0 it only evaluates
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Images per training step
    #[arg(long, value_name = "N", default_value_t = 64)]
    batch: usize,
    /// Highest learning rate; default 0.1 for sgd, 0.003 for adam and adamw
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    lr: Option<f32>,
    /// How parameters are updated
    #[arg(long, value_enum, default_value_t = Optimizer::Adam)]
    optimizer: Optimizer,
    /// Keys initial parameters and the order of images
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// "auto", "cpu", or part of an adapter's name
    #[arg(long, value_name = "NAME", default_value = "auto")]
    device: String,
    /// Graphics API to go through; default any
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// Keeps compiled pipelines in this directory from run to run, where the driver hands them out (Vulkan)
    #[arg(long, value_name = "DIR")]
    pipeline_cache: Option<PathBuf>,
    /// Writes the trained parameters to this safetensors file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Measures one training step, prints where its time goes, and writes it as a trace for Perfetto
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Begins with the parameters of this safetensors file
    #[arg(long, value_name = "FILE")]
    load: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Optimizer {
    Sgd,
    Adam,
    Adamw,
}

#[derive(Clone, Copy, ValueEnum)]
enum Backend {
    Vulkan,
    Metal,
    Dx12,
    Gl,
}

impl Optimizer {
    fn rule(self) -> Rule {
        match self {
            Optimizer::Sgd => Rule::Sgd(Sgd {
                momentum: 0.9,
                nesterov: true,
                weight_decay: 5e-4,
                ..Sgd::default()
            }),
            Optimizer::Adam => Rule::Adam(Adam::default()),
            Optimizer::Adamw => Rule::Adam(Adam {
                weight_decay: 0.01,
                decoupled: true,
                ..Adam::default()
            }),
        }
    }

    fn peak(self) -> f32 {
        match self {
            Optimizer::Sgd => 0.1,
            Optimizer::Adam | Optimizer::Adamw => 0.003,
        }
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(error) = source {
                eprintln!("  caused by: {error}");
                source = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let wrong = |message: String| Error::new(ErrorKind::Shape, message);
    let peak = args.lr.unwrap_or(args.optimizer.peak());
    if !(peak > 0.0 && peak.is_finite()) {
        return Err(wrong(format!("--lr {peak}: a rate is a number above 0")));
    }
    if args.batch == 0 {
        return Err(wrong("--batch 0: a batch has at least one image".into()));
    }
    if let Some(path) = &args.save {
        check_writable(path)?;
    }
    let data = load_data(args.data.as_deref())?;
    let engine = open_engine(args)?;
    println!("device: {}", engine.describe());

    let on_cpu = matches!(engine, Engine::Cpu { .. });
    let epochs = args.epochs.unwrap_or(if on_cpu { 1 } else { 3 });
    let steps_per_epoch = data.train.count.div_ceil(args.batch);
    let options = ClassifierOptions {
        batch: args.batch,
        test_batch: 1000,
        accumulate: 1,
        optimizer: args.optimizer.rule().into(),
        learning_rates: warmup_cosine(peak, steps_per_epoch / 2, steps_per_epoch * epochs)?,
        seed: args.seed,
    };
    let mut classifier = compile(&engine, &data, &options)?;
    if let (Some(dir), Engine::Gpu(gpu)) = (&args.pipeline_cache, &engine) {
        save_pipelines(gpu, dir)?;
    }
    if let Some(path) = &args.load {
        load_parameters(path, classifier.store())?;
        println!("parameters: {}", path.display());
    }
    let mut accuracy = None;
    for epoch in 1..=epochs {
        train_epoch(&mut classifier, epoch, epochs, on_cpu)?;
        let start = Instant::now();
        let share = classifier.test()?;
        println!(
            "  test accuracy {:.2} % ({:.1} s)",
            100.0 * share,
            start.elapsed().as_secs_f64()
        );
        accuracy = Some(share);
    }
    let accuracy = match accuracy {
        Some(accuracy) => accuracy,
        None => classifier.test()?,
    };
    if let Some(path) = &args.profile {
        let profile = classifier.profile()?;
        println!("{profile}");
        std::fs::write(path, profile.trace()).map_err(|e| {
            let message = format!("--profile {}: cannot be written", path.display());
            Error::new(ErrorKind::Io, message).with_source(e)
        })?;
    }
    if let Some(path) = &args.save {
        save_parameters(path, classifier.store())?;
        println!("saved to {}", path.display());
    }
    println!("test accuracy {:.2} %", 100.0 * accuracy);
    Ok(())
}

/// The classifier; a bar follows its pipelines where building them takes noticeable time.
fn compile(engine: &Engine, data: &Split, options: &ClassifierOptions) -> Result<Classifier> {
    let start = Instant::now();
    let bar = progress_bar("{msg:<40!} {wide_bar} {pos}/{len}");
    let built = Classifier::with_progress(engine, lenet5, data, options, |progress| {
        if start.elapsed() > Duration::from_millis(300) {
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done() as u64);
            let kernel = progress.pending.first().copied().unwrap_or_default();
            bar.set_message(format!("building {kernel}"));
        }
    });
    bar.finish_and_clear();
    built
}

/// A bar on a terminal, nothing elsewhere.
fn progress_bar(template: &str) -> ProgressBar {
    let bar = match std::io::stderr().is_terminal() {
        true => ProgressBar::new(0),
        false => ProgressBar::hidden(),
    };
    let style = ProgressStyle::with_template(template);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Fails before training rather than after it.
fn check_writable(path: &Path) -> Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if parent.is_dir() && !path.is_dir() {
        return Ok(());
    }
    let message = format!(
        "--save {}: not a file in a directory that exists",
        path.display()
    );
    Err(Error::new(ErrorKind::Io, message))
}

fn load_data(dir: Option<&Path>) -> Result<Split> {
    let default = Path::new("data/mnist");
    let dir = dir.or_else(|| default.is_dir().then_some(default));
    match dir {
        Some(dir) => {
            let split = load_mnist(dir)?;
            println!(
                "data: MNIST from {}, {} training and {} test images",
                dir.display(),
                split.train.count,
                split.test.count
            );
            Ok(split)
        }
        None => {
            println!(
                "data: built-in digits; for the real set put MNIST's four .gz files into data/mnist or name their directory with --data"
            );
            Ok(Split {
                train: digits(20_000, 1)?,
                test: digits(4_000, 2)?,
            })
        }
    }
}

fn open_engine(args: &Args) -> Result<Engine> {
    let (device, backend) = (&args.device, args.backend);
    if device == "cpu" {
        return Ok(Engine::cpu());
    }
    let backends = backend.map(|backend| match backend {
        Backend::Vulkan => striate::wgpu::Backends::VULKAN,
        Backend::Metal => striate::wgpu::Backends::METAL,
        Backend::Dx12 => striate::wgpu::Backends::DX12,
        Backend::Gl => striate::wgpu::Backends::GL,
    });
    let options = GpuOptions {
        backends,
        adapter: (device != "auto").then(|| device.clone()),
        ..GpuOptions::default()
    };
    match Gpu::new(&options) {
        Ok(gpu) => match &args.pipeline_cache {
            Some(dir) => Ok(load_pipelines(&gpu, dir, options)?.into()),
            None => Ok(gpu.into()),
        },
        // Asked for by name or API, it must be there; otherwise the CPU can do it.
        Err(error)
            if error.kind() == ErrorKind::NoAdapter && device == "auto" && backend.is_none() =>
        {
            println!("{error}");
            Ok(Engine::cpu())
        }
        Err(error) => Err(error),
    }
}

/// `gpu` with what an earlier run left in `dir`.
fn load_pipelines(gpu: &Gpu, dir: &Path, options: GpuOptions) -> Result<Gpu> {
    let Some(key) = gpu.pipeline_cache_key() else {
        println!("pipelines: the driver hands out none to keep");
        return Ok(gpu.clone());
    };
    let path = dir.join(key);
    match std::fs::read(&path) {
        Ok(data) => gpu.with_options(&GpuOptions {
            pipeline_cache: Some(data.into()),
            ..options
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(gpu.clone()),
        Err(e) => Err(unusable(&path, e)),
    }
}

/// Leaves the pipelines in `dir`, whole or not at all: they are written beside the file that they replace.
fn save_pipelines(gpu: &Gpu, dir: &Path) -> Result<()> {
    let (Some(key), Some(data)) = (gpu.pipeline_cache_key(), gpu.pipeline_cache_data()) else {
        return Ok(());
    };
    std::fs::create_dir_all(dir).map_err(|e| unusable(dir, e))?;
    let path = dir.join(&key);
    let beside = dir.join(format!("{key}.{}", std::process::id()));
    let written = std::fs::write(&beside, data).and_then(|()| std::fs::rename(&beside, &path));
    written.map_err(|e| {
        // Nothing is lost if the half-written file stays.
        let _ = std::fs::remove_file(&beside);
        unusable(&path, e)
    })
}

fn unusable(path: &Path, error: std::io::Error) -> Error {
    let message = format!("--pipeline-cache: {} cannot be used", path.display());
    Error::new(ErrorKind::Io, message).with_source(error)
}

/// One walk over the training set, with a bar on a terminal and one line elsewhere.
fn train_epoch(
    classifier: &mut Classifier,
    epoch: usize,
    epochs: usize,
    on_cpu: bool,
) -> Result<()> {
    let steps = classifier.steps_per_epoch();
    // A GPU is asked rarely: each question waits for it.
    let stride = if on_cpu { 4 } else { 100 };
    let start = Instant::now();
    let bar = progress_bar("{prefix} {wide_bar} {pos}/{len} {msg}");
    bar.set_length(steps as u64);
    bar.set_prefix(format!("epoch {epoch}/{epochs}"));
    let (mut loss, mut right, mut images, mut done) = (0.0, 0.0, 0, 0);
    while done < steps {
        let now = stride.min(steps - done);
        classifier.train(now)?;
        let metrics = classifier.metrics()?;
        loss += metrics.loss * now as f64;
        right += metrics.accuracy * metrics.images as f64;
        images += metrics.images;
        done += now;
        let elapsed = start.elapsed().as_secs_f64();
        let left = elapsed / done as f64 * (steps * (epochs - epoch) + steps - done) as f64;
        if on_cpu && epoch == 1 && done == now {
            let whole = elapsed / done as f64 * steps as f64;
            println!("about {whole:.0} s per epoch on the CPU");
        }
        bar.set_position(done as u64);
        bar.set_message(format!(
            "loss {:.4} accuracy {:.2} % {:.0} images/s, {} left",
            metrics.loss,
            100.0 * metrics.accuracy,
            images as f64 / elapsed,
            indicatif::HumanDuration(Duration::from_secs_f64(left))
        ));
    }
    bar.finish_and_clear();
    let elapsed = start.elapsed().as_secs_f64();
    println!(
        "epoch {epoch}/{epochs}: loss {:.6} accuracy {:.2} % ({elapsed:.1} s, {:.0} images/s)",
        loss / steps as f64,
        100.0 * right / images.max(1) as f64,
        images as f64 / elapsed
    );
    Ok(())
}
