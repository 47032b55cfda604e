//! Draws the README's picture from a run of its own, as `examples/mnist` trains by default:
//! `cargo run --release --example picture -- data/mnist docs/pictures/mnist.svg "two CPU cores"`.
//! With a fourth argument it writes the run's page there too.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use striate::data::load_dir;
use striate::models::lenet5;
use striate::prelude::*;
use striate::report::{Examined, Report};
use striate::train::{
    Adam, Classifier, ClassifierOptions, Ended, EpochRecord, Optimizer, Scalar, warmup_cosine,
};

const BATCH: usize = 64;
const EPOCHS: usize = 3;

/// Steps whose mean loss is one point of the curve.
const STRIDE: usize = 20;

fn scalar(name: &str, value: f64) -> Scalar {
    let name = name.to_owned();
    Scalar { name, value }
}

fn run(dir: &Path, machine: &str) -> Result<Report> {
    let data = load_dir(dir)?;
    let engine = Engine::new()?;
    let steps = data.train.count.div_ceil(BATCH);
    let rates = warmup_cosine(0.003, steps / 2, steps * EPOCHS)?;
    let options = ClassifierOptions {
        batch: BATCH,
        optimizer: Optimizer::from(Adam::new()).schedule(rates.clone()),
        seed: 1,
        ..ClassifierOptions::default()
    };
    let mut classifier = Classifier::new(&engine, lenet5(10), &data, &options)?;

    let title = format!("LeNet-5 on MNIST, {EPOCHS} epochs of batches of {BATCH}");
    let mut report = Report::new(title);
    report.run.steps_per_epoch = steps;
    report.run.epochs = EPOCHS;
    let facts = [
        ("device", engine.describe()),
        ("machine", machine.to_owned()),
        ("seed", "1".to_owned()),
        (
            "optimizer",
            "Adam, 0.003 after half an epoch, falling to 0 by a cosine".to_owned(),
        ),
    ];
    report.facts = facts.map(|(name, value)| (name.to_owned(), value)).into();
    for epoch in 1..=EPOCHS {
        let (start, mut done, mut sum, mut right) = (Instant::now(), 0, 0.0, 0.0);
        while done < steps {
            let now = STRIDE.min(steps - done);
            classifier.train(now)?;
            done += now;
            let metrics = classifier.metrics()?;
            sum += metrics.loss * now as f64;
            right += metrics.accuracy * metrics.images as f64;
            let loss = scalar("train/loss", metrics.loss);
            report.steps.push(((epoch - 1) * steps + done, vec![loss]));
        }
        let seconds = start.elapsed().as_secs_f64();
        let share = classifier.test()?;
        println!("epoch {epoch}: test accuracy {:.2} %", 100.0 * share);
        report.epochs.push(EpochRecord {
            epoch,
            total: epoch * steps,
            seconds,
            images: data.train.count,
            learning_rate: rates[epoch * steps - 1].into(),
            scalars: vec![
                scalar("train/loss", sum / steps as f64),
                scalar("train/accuracy", right / data.train.count as f64),
                scalar("test/accuracy", share),
            ],
            best: false,
        });
    }
    report.ended = Some(Ended::Done);
    report.examine(&Examined::of(&classifier, lenet5(10))?, &data.test)?;
    Ok(report)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (dir, svg, machine, page) = match &args[..] {
        [dir, svg, machine] => (dir, svg, machine, None),
        [dir, svg, machine, page] => (dir, svg, machine, Some(page)),
        _ => {
            eprintln!("picture DIRECTORY_OF_MNIST OUTPUT.svg WHERE_IT_WAS_MEASURED [PAGE.html]");
            return ExitCode::FAILURE;
        }
    };
    let written = run(Path::new(dir), machine).and_then(|report| {
        report.write_svg(svg)?;
        page.map_or(Ok(()), |page| report.write(page))
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
