//! Measures which kernels are fastest on an adapter for one training step of a network, and writes
//! a table that `GpuOptions::tuning` takes.

use std::path::PathBuf;

use clap::ValueEnum;
use striate::data::{Dataset, Split};
use striate::interop::{expect_replaceable, replace_file};
use striate::models;
use striate::prelude::*;
use striate::train::{Classifier, ClassifierOptions, Sgd};
use striate::tune::{Measured, TuneOptions, tune};

use crate::say;

/// Measures which kernels are fastest on an adapter for one training step of a network
#[derive(clap::Args)]
pub struct Args {
    /// The network
    #[arg(long, value_enum)]
    model: Model,
    /// Images per step; a table serves other batch sizes too
    #[arg(long, value_name = "N", default_value_t = 64)]
    batch: usize,
    /// Part of the adapter's name, in any case of letters; default the best
    #[arg(long, value_name = "TEXT")]
    adapter: Option<String>,
    /// Where the table goes
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Times that the choices take turns
    #[arg(long, default_value_t = TuneOptions::default().rounds)]
    rounds: usize,
    /// Seconds that a choice runs in a round
    #[arg(long, default_value_t = TuneOptions::default().seconds)]
    seconds: f64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Model {
    Lenet5,
    Resnet20,
}

impl Model {
    fn network(self) -> models::Model {
        match self {
            Model::Lenet5 => models::lenet5(10),
            Model::Resnet20 => models::resnet20(10),
        }
    }
}

/// Writes the table.
///
/// # Errors
/// Those of the device and of measuring; `Io` if the file cannot be written.
pub fn run(args: &Args) -> Result<()> {
    expect_replaceable(&args.output)?;
    let gpu = Gpu::new(&GpuOptions {
        adapter: args.adapter.clone(),
        ..GpuOptions::default()
    })?;
    say(format!("device: {}", Engine::from(gpu.clone()).describe()))?;
    let classifier = classifier(&gpu, &args.model.network(), args.batch)?;
    let options = TuneOptions {
        rounds: args.rounds,
        seconds: args.seconds,
        ..TuneOptions::default()
    };
    let mut said = Ok(());
    let told = |measured: &Measured| {
        if said.is_ok() {
            said = print(measured);
        }
    };
    let table = tune(classifier.session(), &options, told)?;
    // What was measured is kept, whatever became of the terminal.
    replace_file(&args.output, table.to_string().as_bytes())?;
    said?;
    say(format!(
        "{} of {} products are lowered better than by the rules: {}",
        table.choices.len(),
        classifier
            .session()
            .plan()
            .map_or(0, |plan| plan.products.len()),
        args.output.display()
    ))
}

/// A step over images that are all black: kernels take their time whatever they compute.
fn classifier(gpu: &Gpu, model: &models::Model, batch: usize) -> Result<Classifier> {
    let image = model.input();
    let images = |count: usize| {
        let pixels = vec![0; count * image.iter().product::<usize>()];
        Dataset::new(pixels, vec![0; count], image, model.classes())
    };
    let data = Split {
        train: images(batch)?,
        test: images(1)?,
    };
    let options = ClassifierOptions {
        batch,
        test_batch: 1,
        optimizer: Sgd::new().lr(0.01).into(),
        seed: 1,
        ..ClassifierOptions::default()
    };
    Classifier::new(&Engine::from(gpu.clone()), model, &data, &options)
}

fn print(measured: &Measured) -> Result<()> {
    let best = match measured.best() {
        Some((choice, ms)) => format!("{choice} {ms:.3} ms"),
        None => "best".to_owned(),
    };
    say(format!(
        "{}: rules {:.3} ms, {best}",
        measured.product, measured.rules
    ))
}
