//! Trains LeNet-5 on handwritten digits: `cargo run --release --example mnist -- --help`.
//!
//! This file trains, tests and saves. Beside it lie the command line, the device, the files, and
//! what is printed.

mod args;
mod device;
mod files;
mod output;

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use clap::Parser;
use striate::data::Split;
use striate::interop::load_parameters;
use striate::models::Model;
use striate::prelude::*;
use striate::report::{Examined, Report, machine};
use striate::train::{Ended, Trainer};

use args::Args;
use device::{keep_pipelines, open_engine};
use files::{
    expect_profile, keeping, load_data, name_of_data, predict, profile, read_pictures, save,
    say_stopped,
};
use output::{INTERRUPTED, building, is_closed, report, stop_on_interrupt};

fn run(args: &Args) -> Result<ExitCode> {
    args.check()?;
    let (stop, lines) = (stop_on_interrupt()?, args.lines());
    let data = load_data(args)?;
    let pictures = read_pictures(args, &data)?;
    let steps = args.steps(data.train.count)?;
    let engine = open_engine(args)?;
    expect_profile(args, &engine)?;

    // The network, its gradients, the update and the data set, compiled for the device.
    let epochs = args.epochs(matches!(engine, Engine::Cpu { .. }));
    let model = args.model(data.train.classes);
    let title = format!("{} on {}", model.name(), name_of_data(args));
    let page = Rc::new(RefCell::new(Report::new(title)));
    let mut builder = Trainer::builder(&engine, &model, &data)
        .epochs(epochs)
        .batch(args.batch())
        .evaluation_batch(1000)
        .drop_last(args.drop_last)
        .optimizer(args.optimizer(steps, epochs)?)
        .seed(args.seed)
        .stop(stop)
        .observe(args.terminal())
        .observe(page.clone());
    if let Some(augment) = args.augment()? {
        builder = builder.augment(augment);
    }
    let builder = keeping(args, builder)?;
    let mut trainer = building(|bar| builder.progress(bar).build())?;
    keep_pipelines(args, &engine)?;
    if let Some(path) = &args.load {
        load_parameters(path, trainer.store())?;
        lines.say(format!("parameters: {}", path.display()))?;
    }

    if trainer.fit()?.ended == Ended::Stopped {
        say_stopped(args, &trainer)?;
        return Ok(ExitCode::from(INTERRUPTED));
    }
    save(args, &trainer)?;
    predict(args, &pictures, &mut trainer, &data)?;
    write_page(args, &page, &trainer, model, &data)?;
    let accuracy = trainer.evaluate(&data.test)?.scalar("accuracy");
    profile(args, &mut trainer)?;
    let percent = 100.0 * accuracy.unwrap_or(f64::NAN);
    lines.say(format!("test accuracy {percent:.2} %"))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of the run, if one is wanted.
fn write_page(
    args: &Args,
    page: &RefCell<Report>,
    trainer: &Trainer,
    model: Model,
    data: &Split,
) -> Result<()> {
    let Some(path) = &args.report else {
        return Ok(());
    };
    let mut page = page.borrow_mut();
    page.facts = machine();
    // Those of the run that this one goes on with, too.
    page.run.begun_at = 0;
    page.epochs = trainer.history().to_vec();
    page.examine(&Examined::of_trainer(trainer, model)?, &data.test)?;
    page.write(path)?;
    args.lines()
        .say(format!("{} shows how it went", path.display()))
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
