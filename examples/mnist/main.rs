//! Trains LeNet-5 on handwritten digits: `cargo run --release --example mnist -- --help`.
//!
//! This file trains, tests and saves. Beside it lie the command line, the device, the files, and
//! what is printed.

mod args;
mod device;
mod files;
mod output;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use striate::models::lenet5;
use striate::prelude::*;
use striate::train::{Classifier, ClassifierOptions};

use args::Args;
use device::{keep_pipelines, open_engine};
use files::{begin, load_data, profile, save, save_interrupted, say_unsaved};
use output::{Lines, Meter, Stop, building, is_closed, report};

fn run(args: &Args) -> Result<ExitCode> {
    args.check()?;
    let (stop, lines) = (Stop::on_interrupt()?, args.lines());
    let data = load_data(args)?;
    let steps = args.steps(data.train.count)?;
    let engine = open_engine(args)?;
    lines.say(format!("device: {}", engine.describe()))?;

    // The network, its gradients, the update and the data set, compiled for the device.
    let on_cpu = matches!(engine, Engine::Cpu { .. });
    let epochs = args.epochs.unwrap_or(if on_cpu { 1 } else { 3 });
    let options = ClassifierOptions {
        batch: args.batch,
        test_batch: 1000,
        drop_last: args.drop_last,
        optimizer: args.optimizer(steps, epochs)?,
        seed: args.seed,
        ..ClassifierOptions::default()
    };
    let model = lenet5(data.train.classes);
    let builder = Classifier::builder(&engine, model, &data).options(options);
    let mut classifier = building(|bar| builder.progress(bar).build())?;
    keep_pipelines(args, &engine)?;
    begin(args, &classifier, epochs)?;

    let saved = args.save.as_deref();
    let trained = train(&mut classifier, epochs, saved, &stop, lines);
    say_unsaved(saved, &trained, lines)?;
    let Some(accuracy) = trained? else {
        return Ok(Stop::exit_code());
    };
    if let Some(path) = &args.profile {
        profile(path, &mut classifier, lines)?;
    }
    lines.say(format!("test accuracy {:.2} %", 100.0 * accuracy))?;
    Ok(ExitCode::SUCCESS)
}

/// Trains, tests and saves; the test accuracy, or none if Ctrl-C ended it before that.
fn train(
    classifier: &mut Classifier,
    epochs: usize,
    saved: Option<&Path>,
    stop: &Stop,
    lines: Lines,
) -> Result<Option<f64>> {
    let begun = classifier.position()?;
    let mut accuracy = None;
    for epoch in begun.0..epochs {
        if !train_epoch(classifier, [epoch, epochs], stop, lines)? {
            save_interrupted(saved, classifier, begun, lines)?;
            return Ok(None);
        }
        let start = Instant::now();
        let share = classifier.test()?;
        let (percent, seconds) = (100.0 * share, start.elapsed().as_secs_f64());
        lines.say(format!("  test accuracy {percent:.2} % ({seconds:.1} s)"))?;
        accuracy = Some(share);
    }
    let accuracy = accuracy.map_or_else(|| classifier.test(), Ok)?;
    if let Some(path) = saved {
        save(path, classifier, lines)?;
    }
    Ok(Some(accuracy))
}

/// Walks over the training set, or its rest; false if Ctrl-C ended it.
fn train_epoch(c: &mut Classifier, epoch: [usize; 2], stop: &Stop, lines: Lines) -> Result<bool> {
    let steps = c.steps_per_epoch();
    let on_cpu = matches!(c.store().engine(), Engine::Cpu { .. });
    // A GPU is asked rarely: each question waits for it.
    let stride = if on_cpu { 4 } else { 100 };
    let mut done = c.position()?.1;
    let mut meter = Meter::new(epoch, [done, steps], on_cpu, lines);
    while done < steps && !stop.raised() {
        let now = stride.min(steps - done);
        c.train(now)?;
        done += now;
        meter.add(now, c.metrics()?)?;
    }
    meter.finish()?;
    Ok(done == steps)
}

fn main() -> ExitCode {
    let args = Args::parse();
    run(&args).unwrap_or_else(|error| {
        // Whoever reads the output has seen enough.
        if is_closed(&error) {
            return ExitCode::SUCCESS;
        }
        report(&error);
        ExitCode::FAILURE
    })
}
