//! Tells triangles, squares and circles apart with two filters: the three-class network of the
//! textbooks. `cargo run --release --example shapes -- --help`

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use striate::data::{Shapes, Split};
use striate::interop::expect_replaceable;
use striate::nn::{Conv2d, Dropout2d, Flatten, Linear, MaxPool2d, Module, Relu, Sequential};
use striate::prelude::*;
use striate::report::Report;
use striate::train::{Terminal, Trainer, warmup_cosine};

/// Tells triangles, squares and circles apart with two filters, and shows that a linear model
/// cannot
#[derive(Parser)]
struct Args {
    /// Images to train on
    #[arg(long, default_value_t = 6000, value_parser = clap::value_parser!(u32).range(30..=99_999))]
    images: u32,
    /// Times to walk over them
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1000))]
    epochs: u32,
    /// Keys the images, initial parameters and dropout
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u32,
    /// Where the page with curves, mistakes, filters and feature maps goes
    #[arg(long, value_name = "FILE", default_value = "shapes.html")]
    report: std::path::PathBuf,
}

/// Convolution, pooling, dropped feature maps, flatten, fully connected.
fn convolutional() -> Sequential {
    Sequential::new()
        .named("conv", Conv2d::new(1, 2, 5))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Dropout2d::new(0.2))
        .then(Flatten)
        .named("fc", Linear::new(2 * 12 * 12, 3))
}

/// A weight for each pixel and class, and nothing else.
fn linear() -> Sequential {
    Sequential::new()
        .then(Flatten)
        .named("fc", Linear::new(28 * 28, 3))
}

/// The share of the test images that the network tells rightly once it is trained.
fn train<'a>(
    engine: &Engine,
    net: &'a dyn Module,
    data: &'a Split,
    args: &Args,
) -> Result<(f64, Trainer)> {
    let mut trainer = Trainer::builder(engine, net, data)
        .epochs(args.epochs as usize)
        .rates(|updates| warmup_cosine(0.01, updates / 20, updates))
        .validation(0.1)
        .seed(args.seed.into())
        .observe(Terminal::new().unread())
        .build()?;
    trainer.fit()?;
    let share = trainer.evaluate(&data.test)?.scalar("accuracy");
    Ok((share.unwrap_or(f64::NAN), trainer))
}

/// Prints a line. Where nobody reads any more, as after `| head -1`, it goes on: it leaves files.
fn say(line: impl Display) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        said => said.map_err(|e| Error::new(ErrorKind::Io, "standard output").with_source(e)),
    }
}

fn run(args: &Args) -> Result<()> {
    expect_replaceable(&args.report).map_err(|e| e.context("--report"))?;
    // Others are tested than those that it learns from: smaller, larger, turned further.
    let (learnt, tested) = (Shapes::new(), Shapes::new().size(5.5, 9.5).turn(12.0));
    let data = Split {
        train: learnt.draw(args.images as usize, 2 * u64::from(args.seed))?,
        test: tested.draw(3000, 2 * u64::from(args.seed) + 1)?,
    };
    let engine = Engine::new()?;
    say("a linear model of the pixels:")?;
    let (by_pixels, _) = train(&engine, &linear(), &data, args)?;
    say("a convolution with two filters:")?;
    let net = convolutional();
    let (by_filters, trainer) = train(&engine, &net, &data, args)?;
    Report::of_trainer("Triangles, squares and circles", &trainer, &net, &data.test)?
        .write(&args.report)?;
    say(format!("{} shows how it went", args.report.display()))?;
    say(format!(
        "test accuracy {:.2} %, of the linear model {:.2} %",
        100.0 * by_filters,
        100.0 * by_pixels
    ))
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
