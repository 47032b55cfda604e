//! A texture that a network filters in each frame of egui, in egui's own encoder:
//! `cargo run --release`, or without a window `cargo run --release -- --headless`.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod app;
mod expected;
mod filter;
mod headless;
mod host;
mod network;
mod source;
#[cfg(feature = "window")]
mod window;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use host::Outcome;

/// Filters a texture by a convolution in each frame, on egui's device and in its encoder
#[derive(Debug, Parser)]
struct Args {
    /// A picture to filter (png, jpeg); without it, a pattern moves
    picture: Option<PathBuf>,
    /// Draws into a texture in place of a window, and checks what is drawn
    #[arg(long)]
    headless: bool,
    /// Frames without a window; the first 24 take each kernel with each padding
    #[arg(long, value_name = "N", default_value_t = 24, requires = "headless")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    frames: u32,
    /// Folder for pictures of the last frame without a window
    #[arg(long, value_name = "DIR", requires = "headless")]
    out: Option<PathBuf>,
}

fn run(args: &Args) -> Outcome<()> {
    let opened = args.picture.as_deref().map(|path| {
        let opened = image::open(path).map_err(|error| format!("{}: {error}", path.display()));
        opened.map(|picture| picture.to_rgba8())
    });
    let picture = opened.transpose()?;
    if args.headless {
        return headless::run(picture.as_ref(), args.frames, args.out.as_deref());
    }
    #[cfg(feature = "window")]
    return window::run(picture);
    #[cfg(not(feature = "window"))]
    Err("built without the feature \"window\": say --headless".into())
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
