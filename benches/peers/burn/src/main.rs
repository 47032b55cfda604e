//! The cases of `benches/peers/cases.txt` in burn, on its wgpu backend with autotune and fusion:
//! `cargo run --release -- --help`.
//!
//! burn tunes each shape when it first meets it and keeps what it found: quote the second run.

#![recursion_limit = "256"]

mod case;
mod kernels;
mod networks;

use std::error::Error;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use burn::tensor::wgpu::{WgpuBackend, wgpu::AdapterInfo};
use burn::tensor::{Device, DeviceKind};
use case::{Case, Work};
use clap::{Parser, ValueEnum};
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Parser)]
struct Args {
    /// Only cases whose name holds one of these
    #[arg(long, value_name = "TEXT")]
    case: Vec<String>,
    /// Graphics API to go through; default what burn picks
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// Kind of the adapter; default what burn picks
    #[arg(long, value_enum)]
    device: Option<Kind>,
    /// Writes one JSON line per case to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Rounds
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds that a round takes at least
    #[arg(long, default_value_t = 0.2)]
    seconds: f64,
    /// Prints the names of cases
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Backend {
    Vulkan,
    Metal,
    Dx12,
    Gl,
}

impl From<Backend> for WgpuBackend {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Vulkan => WgpuBackend::Vulkan,
            Backend::Metal => WgpuBackend::Metal,
            Backend::Dx12 => WgpuBackend::Dx12,
            Backend::Gl => WgpuBackend::Gl,
        }
    }
}

/// Kinds of adapters, the first of each.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Discrete,
    Integrated,
    Virtual,
    Cpu,
}

impl From<Kind> for DeviceKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Discrete => DeviceKind::DiscreteGpu(0),
            Kind::Integrated => DeviceKind::IntegratedGpu(0),
            Kind::Virtual => DeviceKind::VirtualGpu(0),
            Kind::Cpu => DeviceKind::Cpu,
        }
    }
}

/// Something that runs a case so many times and waits for the last.
pub type Subject = Box<dyn FnMut(usize) -> Result<()>>;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line. Where nobody reads any more, as after `| head -1`, the run goes on for its files.
fn say(line: impl Display) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        said => Ok(said?),
    }
}

fn run(args: &Args) -> Result<()> {
    let wanted = |name: &&str| {
        args.case.is_empty() || args.case.iter().any(|part| name.contains(part.as_str()))
    };
    let names = include_str!("../../cases.txt").lines().filter(wanted);
    let cases = names.map(Case::parse).collect::<Result<Vec<_>>>()?;
    if args.list {
        for case in &cases {
            say(case.name)?;
        }
        return Ok(());
    }
    if cases.is_empty() || args.rounds == 0 {
        return Err("there is nothing to measure: no case of this name, or no rounds".into());
    }
    let mut options = Device::wgpu_options();
    if let Some(backend) = args.backend {
        options = options.graphics_api(backend.into());
    }
    if let Some(kind) = args.device {
        options = options.device_kind(kind.into());
    }
    let (device, setup) = options.init_with_setup()?;
    let info = setup.adapter.get_info();
    say(format!("burn on {} through {}", info.name, info.backend))?;
    let mut file = args.json.as_ref().map(File::create).transpose()?;
    for case in &cases {
        let line = measure(case, &device, &info, args)?;
        if let Some(file) = &mut file {
            writeln!(file, "{line}")?;
        }
    }
    Ok(())
}

/// One JSON line.
fn measure(case: &Case, device: &Device, info: &AdapterInfo, args: &Args) -> Result<String> {
    let start = Instant::now();
    let mut subject: Subject = match case.work {
        Work::LeNet5 { batch } => networks::lenet5(device, batch),
        Work::ResNet20 { batch } => networks::resnet20(device, batch),
        Work::ResNet50 { batch } => networks::resnet50(device, batch),
        Work::MatMul { batch, m, n, k } => kernels::matmul(device, case.bytes, batch, [m, n, k]),
        Work::Conv2d(layer) => kernels::conv2d(device, case.bytes, layer),
    };
    let mut time = |count: usize| -> Result<f64> {
        let start = Instant::now();
        subject(count)?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    time(1)?;
    let first = start.elapsed().as_secs_f64() * 1e3;
    // The kernels of a fused graph are tuned when the graph is met again.
    let warm_up = Instant::now();
    let mut once = f64::MAX;
    for run in 0.. {
        once = once.min(time(1)?);
        if run >= 3 && warm_up.elapsed().as_secs_f64() > args.seconds {
            break;
        }
    }
    let count = (args.seconds * 1e3 / once).ceil().clamp(1.0, 1000.0) as usize;
    let mut times = Vec::new();
    for _ in 0..args.rounds {
        times.push(time(count)? / count as f64);
    }
    times.sort_by(f64::total_cmp);
    let (best, median, last) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    let gflops = case.flops.map(|flops| flops / median / 1e6);
    let gbps = case.flops.map(|_| case.bytes / median / 1e6);
    say(format!(
        "{:<44}{:<8}burn {median:>12.4} ms (best {best:.4}, first {first:.0}){}",
        case.name,
        info.backend.to_string(),
        gflops.map_or(String::new(), |gflops| format!("{gflops:>9.1} GFLOP/s")),
    ))?;
    let line = json!({
        "case": case.name,
        "variant": "burn",
        "chosen": true,
        "adapter": info.name,
        "driver": format!("{} {}", info.driver, info.driver_info),
        "backend": info.backend.to_string(),
        "ms": median,
        "best_ms": best,
        "spread_ms": last - best,
        "first_step_ms": first,
        "gflops": gflops,
        "gbps": gbps,
        "timestamps": false,
        "date": jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        "version": burn_version(),
    });
    Ok(line.to_string())
}

/// Of the burn that this was built with, by the lock file.
fn burn_version() -> Option<&'static str> {
    let lock = include_str!("../Cargo.lock");
    let (_, rest) = lock.split_once("name = \"burn\"\nversion = \"")?;
    rest.split('"').next()
}
