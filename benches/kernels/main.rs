//! The speed of every kernel on every adapter and back end, against what the device can do:
//! `cargo bench --bench kernels -- --help`.
//!
//! Variants of a case take turns, round by round. Times are the device's own where it has
//! timestamps, else of submitting and waiting; buffers take turns too, so that caches do not serve
//! what a network would have to fetch.

mod measure;
mod output;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use measure::{error, peak, subject, time};
use output::{Lines, Row, say};
use striate::error::{Error, ErrorKind, Result};
use striate::gpu::{Engine, Gpu, GpuOptions};
use striate::kernel::{Body, Choice, Tile};
use striate::plan::Step;
use striate::wgpu::Backends;
use striate_cases::bench::{Bench, Peak, TimedCase, Times, benches};

#[derive(Parser)]
struct Args {
    /// Part of the adapter's name, in any case of letters; default all
    #[arg(long, value_name = "TEXT")]
    adapter: Option<String>,
    /// Graphics API to go through; default all
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// Only cases whose name holds this; may be given several times
    #[arg(long, value_name = "TEXT")]
    case: Vec<String>,
    /// Only cases of at most N billion operations: the others take a software adapter minutes
    #[arg(long, value_name = "N")]
    most_gflop: Option<f64>,
    /// Only this variant, even where it is not the chosen one
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Writes one JSON line per case, variant and adapter to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fewer rounds, each shorter
    #[arg(long)]
    quick: bool,
    /// Prints the names of cases and variants
    #[arg(long)]
    list: bool,
    /// With the checks that translation adds to shaders
    #[arg(long)]
    checked: bool,
    /// With workgroup memory zeroed before each workgroup
    #[arg(long)]
    zeroed: bool,
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

impl Args {
    /// Of a device whose products are lowered to this body and tile, or as the rules say.
    fn options(&self, body: Option<Body>, tile: Option<Tile>) -> GpuOptions {
        GpuOptions {
            adapter: self.adapter.clone(),
            backends: self.backend.map(Backends::from),
            body,
            tile,
            checked: self.checked,
            zeroed: self.zeroed,
            ..GpuOptions::default()
        }
    }
}

/// A device for each variant of one adapter.
struct Lane {
    gpu: Gpu,
    variants: Vec<(String, Gpu)>,
    peak: Peak,
}

/// How long a measurement is.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    seconds: f64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell it by.
            let _ = writeln!(std::io::stderr(), "error: {error:?}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let wanted = |bench: &Bench| {
        let named = args.case.iter().any(|part| bench.name.contains(part));
        let most = args.most_gflop.unwrap_or(f64::INFINITY);
        (named || args.case.is_empty()) && bench.flops <= 1e9 * most
    };
    let benches: Vec<Bench> = benches().into_iter().filter(wanted).collect();
    let variants: Vec<String> = choices().map(|choice| choice.to_string()).collect();
    let absent = match &args.variant {
        _ if benches.is_empty() => {
            let names = args.case.join("\" or \"");
            let most = args.most_gflop.map_or(String::new(), |most| {
                format!(", of at most {most} billion operations")
            });
            Some(format!("case's name holds \"{names}\"{most}"))
        }
        Some(name) if !variants.contains(name) => Some(format!("variant is called \"{name}\"")),
        _ => None,
    };
    if let Some(absent) = absent {
        let message = format!("no {absent}; --list names all");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    if args.list {
        let names: Vec<&str> = benches.iter().map(|bench| bench.name.as_str()).collect();
        let (names, variants) = (names.join("\n"), variants.join(", "));
        return output::print(&format!("{names}\nvariants: {variants}\n"));
    }
    let effort = match args.quick {
        true => Effort {
            rounds: 3,
            seconds: 0.03,
        },
        false => Effort {
            rounds: 7,
            seconds: 0.2,
        },
    };
    let lanes = lanes(args, effort)?;
    let create = |path| Lines::create(path, args.checked, args.zeroed);
    let mut lines = args.json.as_deref().map(create).transpose()?;
    output::print_heading()?;
    let mut rows = Vec::new();
    for bench in &benches {
        for (number, lane) in lanes.iter().enumerate() {
            let measured = match measure(bench, lane, effort) {
                Ok(measured) => measured,
                Err(error) if is_refusal(&error) => {
                    say(format!(
                        "{:<44}{} does not run it: {error}",
                        bench.name,
                        lane.gpu.info().backend
                    ))?;
                    continue;
                }
                Err(error) => return Err(error.context(bench.name.as_str())),
            };
            for row in measured {
                if let Some(lines) = &mut lines {
                    lines.write(&row, &lane.gpu, &lane.peak)?;
                }
                row.print(&lane.gpu)?;
                rows.push((number, row));
            }
        }
    }
    let gpus: Vec<&Gpu> = lanes.iter().map(|lane| &lane.gpu).collect();
    output::print_side_by_side(&gpus, &rows)?;
    output::print_regret(&gpus, &rows)?;
    let wrong = rows.iter().filter(|(_, row)| row.error.is_err()).count();
    if wrong > 0 {
        let message = format!("{wrong} of {} results are wrong", rows.len());
        return Err(Error::new(ErrorKind::Mismatch, message));
    }
    Ok(())
}

/// Each body with the tiles of the rules, and with those of one size; cooperative matrices last,
/// for devices that have them.
fn choices() -> impl Iterator<Item = Choice> {
    Choice::all().chain(Choice::of(Body::Cooperative))
}

/// Whether an adapter is too small for a case.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Limit | ErrorKind::OutOfMemory)
}

/// The adapters. One that cannot be measured is told of, and the others are measured all the same.
fn lanes(args: &Args, effort: Effort) -> Result<Vec<Lane>> {
    let mut lanes = Vec::new();
    let mut unfit = false;
    let able = Gpu::all(&args.options(Some(Body::Cooperative), None));
    let found = Gpu::all(&args.options(None, None));
    for (gpu, able) in found.into_iter().zip(able) {
        match lane(args, gpu, able, effort) {
            Ok(lane) => lanes.push(lane),
            Err(error) => {
                unfit = true;
                say(format!("{error:?}"))?;
            }
        }
    }
    if lanes.is_empty() {
        return Err(match unfit {
            true => Error::new(ErrorKind::NoAdapter, "no adapter that matches fits"),
            false => args.options(None, None).no_adapter(),
        });
    }
    Ok(lanes)
}

/// An adapter as it is, `gpu`, and with cooperative matrices, `able`, where it has them.
fn lane(args: &Args, gpu: Result<Gpu>, able: Result<Gpu>, effort: Effort) -> Result<Lane> {
    let lacking = able.as_ref().err().map(ToString::to_string);
    let gpu = match able {
        Ok(able) => able.with_options(&args.options(None, None))?,
        Err(error) if error.kind() == ErrorKind::Unsupported => gpu?,
        Err(error) => return Err(gpu.err().unwrap_or(error)),
    };
    let described = Engine::from(gpu.clone()).describe();
    let of_it = |error: Error| error.context(&described);
    let mut variants = Vec::new();
    for choice in choices() {
        let name = choice.to_string();
        let wanted = args.variant.as_ref().is_none_or(|wanted| *wanted == name);
        match &lacking {
            _ if !wanted => {}
            Some(why) if choice.body == Body::Cooperative => {
                if choice.tile.is_none() || args.variant.is_some() {
                    say(format!("no {name}: {why}"))?;
                }
            }
            _ => {
                let options = args.options(Some(choice.body), choice.tile);
                variants.push((name, gpu.with_options(&options).map_err(of_it)?));
            }
        }
    }
    let peak = peak(&gpu, effort.rounds, effort.seconds).map_err(of_it)?;
    say(format!(
        "{described}: {:.0} GFLOP/s multiply-add, {:.1} GB/s copy, times {}",
        peak.gflops,
        peak.gbps,
        if gpu.has_timestamps() {
            "of the device"
        } else {
            "of submitting and waiting"
        }
    ))?;
    Ok(Lane {
        gpu,
        variants,
        peak,
    })
}

/// The variants of a case that differ, in turns.
fn measure(bench: &Bench, lane: &Lane, effort: Effort) -> Result<Vec<Row>> {
    let chosen = bench.steps(lane.gpu.caps())?;
    let mut subjects: Vec<(&str, &Gpu, bool, TimedCase)> = Vec::new();
    let mut seen: Vec<Vec<Step>> = Vec::new();
    // What the rules choose may be a mixture that no variant is by itself.
    let rules = (lane.variants.len() > 1).then_some(("rules", &lane.gpu));
    let variants = lane.variants.iter().map(|(name, gpu)| (name.as_str(), gpu));
    for (name, gpu) in variants.chain(rules) {
        let steps = bench.steps(gpu.caps())?;
        if seen.contains(&steps) {
            continue;
        }
        let subject = subject(gpu, &bench.case, bench.bytes as u64, effort.seconds)?;
        subjects.push((name, gpu, steps == chosen, subject));
        seen.push(steps);
    }
    let mut times = vec![Vec::new(); subjects.len()];
    for _ in 0..effort.rounds {
        for ((.., subject), times) in subjects.iter_mut().zip(&mut times) {
            times.push(time(subject)?);
        }
    }
    let mut rows = Vec::new();
    for ((variant, gpu, chosen, _), times) in subjects.iter().zip(times) {
        let times = Times::of(times)?;
        let error = match error(gpu, &bench.sample) {
            Ok(error) => Ok(error),
            Err(error) if error.kind() == ErrorKind::Mismatch => Err(error.to_string()),
            Err(error) => return Err(error),
        };
        rows.push(Row {
            case: bench.name.clone(),
            variant: (*variant).to_owned(),
            chosen: *chosen,
            gflops: bench.flops / times.median / 1e6,
            gbps: bench.bytes / times.median / 1e6,
            roofline: lane.peak.floor(bench.flops, bench.bytes) / times.median,
            times,
            error,
        });
    }
    Ok(rows)
}
