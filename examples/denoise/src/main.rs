//! A path tracer whose frames a network denoises, on the host's device:
//! `cargo run --release -- --frames 40`.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod adapt;
mod denoiser;
mod gather;
mod headless;
mod host;
mod in_frame;
mod network;
mod picture;
mod plot;
mod scene;
#[cfg(feature = "window")]
mod shown;
mod stage;
mod step;
mod tiles;
mod tracer;
mod train;
mod transfer;
mod tza;
#[cfg(feature = "window")]
mod window;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use host::Outcome;

/// The weights that come with the program.
const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/weights/small.safetensors");

/// Traces a Cornell box with one sample for each pixel and frame, and denoises the frames.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    frames: headless::FrameArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes the weights of the small network from boxes at random
    Train(train::TrainArgs),
}

fn run(cli: &Cli) -> Outcome<()> {
    let args = &cli.frames;
    match &cli.command {
        Some(Command::Train(args)) => train::run(args),
        None if args.frames.is_some() || args.adapt.is_some() => headless::run(args),
        #[cfg(feature = "window")]
        None => window::run(args),
        #[cfg(not(feature = "window"))]
        None => Err("built without the feature \"window\": say --frames N".into()),
    }
}

fn main() -> ExitCode {
    let Err(error) = run(&Cli::parse()) else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error}");
    let mut below = error.source();
    while let Some(cause) = below {
        eprintln!("  {cause}");
        below = cause.source();
    }
    ExitCode::FAILURE
}
