//! Tells ten kinds of clothes apart: Fashion-MNIST.
//! `cargo run --release --example fashion -- --help`

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use striate::data::{Augment, load_dir, load_fashion};
use striate::interop::expect_replaceable;
use striate::models::{convnet, lenet5};
use striate::nn::Mirrored;
use striate::prelude::*;
use striate::report::Report;
use striate::train::{AdamW, Terminal, Trainer, warmup_cosine};

/// Trains on Fashion-MNIST, as Debian's package `dataset-fashion-mnist` installs it
#[derive(Parser)]
struct Args {
    /// The folder of its four files, if they lie elsewhere
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The network and how it is trained
    #[arg(long, value_enum, default_value_t = Recipe::Quick)]
    recipe: Recipe,
    /// Keys initial parameters, the order of images, augmentation and dropout
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Where the page with curves, confusions, mistakes and feature maps goes
    #[arg(long, value_name = "FILE", default_value = "fashion.html")]
    report: PathBuf,
    /// Where the network goes
    #[arg(long, value_name = "FILE", default_value = "fashion.safetensors")]
    save: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Recipe {
    /// LeNet-5, three epochs
    Quick,
    /// Three convolutions with batch normalisation, six epochs, on images that are mirrored in
    /// turn; each test image is seen both ways
    Best,
}

/// Prints a line. Where nobody reads any more, as after `| head -1`, it goes on: it leaves files.
fn say(line: impl Display) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        said => said.map_err(|e| Error::new(ErrorKind::Io, "standard output").with_source(e)),
    }
}

fn run(args: &Args) -> Result<()> {
    for (argument, path) in [("--report", &args.report), ("--save", &args.save)] {
        expect_replaceable(path).map_err(|e| e.context(argument))?;
    }
    let data = match &args.data {
        Some(dir) => load_dir(dir)?,
        None => load_fashion()?,
    };
    let (model, epochs, rate) = match args.recipe {
        Recipe::Quick => (lenet5(10), 3, 0.003),
        Recipe::Best => (convnet(10), 6, 0.008),
    };
    let engine = Engine::new()?;
    // What is asked of a picture is asked of its mirror image too, where training mirrors.
    let mirrored = Mirrored(&model);
    let network: &dyn Module = match args.recipe {
        Recipe::Quick => &model,
        Recipe::Best => &mirrored,
    };
    let mut trainer = Trainer::builder(&engine, network, &data)
        .epochs(epochs)
        .batch(128)
        .optimizer(AdamW::new().weight_decay(0.02))
        .rates(move |updates| warmup_cosine(rate, updates / 5, updates))
        // What is best is not chosen by the test set.
        .validation(0.05)
        .seed(args.seed)
        .observe(Terminal::new().unread());
    if let Recipe::Best = args.recipe {
        trainer = trainer.augment(Augment::new().alternating_flip());
    }
    let mut trainer = trainer.build()?;
    trainer.fit()?;
    trainer.save(&args.save)?;
    let tested = trainer.evaluate(&data.test)?;
    if let Some(confusion) = &tested.confusion {
        say(confusion)?;
    }
    Report::of_trainer("Fashion-MNIST", &trainer, network, &data.test)?.write(&args.report)?;
    say(format!(
        "{} holds the network, {} shows how it went",
        args.save.display(),
        args.report.display()
    ))?;
    let accuracy = tested.scalar("accuracy").unwrap_or(f64::NAN);
    say(format!("test accuracy {:.2} %", 100.0 * accuracy))
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
