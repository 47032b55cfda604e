//! What a network that has learnt some classes saves in learning others, of 20 pictures each:
//! `cargo run --release --example transfer`.
//!
//! The trunk learns digits below 5. Three networks then learn those from 5 on: one with that trunk
//! frozen, one that goes on training it, one from scratch.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use striate::data::{Dataset, Split, digits, load_mnist};
use striate::interop::{LoadOptions, encode_parameters_async, load_state_dict_bytes};
use striate::nn::{BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, Relu, Sequential};
use striate::prelude::*;
use striate::train::{Adam, Classifier, ClassifierOptions};

/// Compares a frozen trunk, a fine-tuned one, and training from scratch
#[derive(Parser)]
struct Args {
    /// Folder with MNIST's files or such of its family; default the digits that the library draws
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Epochs over the digits below 5
    #[arg(long, default_value_t = 3)]
    before: usize,
    /// Epochs over the pictures of the others
    #[arg(long, default_value_t = 20)]
    epochs: usize,
    /// Pictures of each of the others
    #[arg(long, default_value_t = 20)]
    pictures: usize,
    /// Judges by pictures of the training set that none learns from, instead of the test set's
    #[arg(long, requires = "data")]
    held_out: bool,
    /// Keys pictures, order and initial parameters
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A trunk of three convolutions, and a head for five classes.
fn network() -> Sequential {
    let conv = |from, out| {
        Sequential::new()
            .named("conv", Conv2d::new(from, out, 3).padding(1).bias(false))
            .named("bn", BatchNorm2d::new(out))
            .then(Relu)
            .then(MaxPool2d::new(2))
    };
    let features = Sequential::new()
        .then(conv(1, 16))
        .then(conv(16, 32))
        .then(conv(32, 64))
        .then(Flatten);
    Sequential::new()
        .named("features", features)
        .named("fc", Linear::new(64 * 3 * 3, 5))
}

/// How the trunk begins, and whether it stays so.
struct Way {
    name: &'static str,
    pretrained: bool,
    frozen: bool,
}

const WAYS: [Way; 3] = [
    Way {
        name: "frozen",
        pretrained: true,
        frozen: true,
    },
    Way {
        name: "fine-tuned",
        pretrained: true,
        frozen: false,
    },
    Way {
        name: "from scratch",
        pretrained: false,
        frozen: false,
    },
];

fn run(args: &Args) -> Result<()> {
    let engine = Engine::new()?;
    println!("on {}", engine.describe());
    let (low, high): (Vec<usize>, Vec<usize>) = ((0..5).collect(), (5..10).collect());
    let (all, test) = match &args.data {
        Some(dir) => {
            let set = load_mnist(dir)?;
            match args.held_out {
                true => {
                    let Split { train, test } = set.train.split(0.2, args.seed)?;
                    (train, test)
                }
                false => (set.train, set.test),
            }
        }
        None => (digits(6000, args.seed)?, digits(2000, args.seed ^ 1)?),
    };
    let of = |set: &Dataset, classes: &[usize]| set.of_classes(classes);
    let options = |rate: f64, batch: usize| ClassifierOptions {
        batch,
        optimizer: Adam::new().lr(rate).into(),
        seed: args.seed,
        ..ClassifierOptions::default()
    };

    let data = Split {
        train: of(&all, &low)?,
        test: of(&test, &low)?,
    };
    let net = network();
    let mut teacher = Classifier::new(&engine, &net, &data, &options(0.003, 64))?;
    for epoch in 1..=args.before {
        teacher.train(teacher.steps_per_epoch())?;
        let loss = teacher.metrics()?.loss;
        println!("trunk, epoch {epoch}/{}: loss {loss:.3}", args.before);
    }
    println!(
        "trunk: {} pictures of 0 to 4, {:.1} % right",
        data.train.count,
        100.0 * teacher.test()?
    );
    let trunk = pollster::block_on(encode_parameters_async(teacher.store()))?;

    let data = Split {
        train: of(&all, &high)?.first_of_each(args.pictures)?,
        test: of(&test, &high)?,
    };
    println!(
        "{} pictures of 5 to 9, {} epochs:\n{:14} {:>10} {:>12} {:>8}",
        data.train.count, args.epochs, "", "ms a step", "MB planned", "right"
    );
    for way in WAYS {
        // Chosen by pictures of MNIST's training set (--held-out): a head alone may take large
        // steps, a trunk that knows something small ones.
        let rate = match (way.frozen, way.pretrained) {
            (true, _) => 0.01,
            (false, true) => 0.002,
            (false, false) => 0.003,
        };
        let builder = Classifier::builder(&engine, &net, &data).options(options(rate, 20));
        let builder = match way.frozen {
            true => builder.freeze("features"),
            false => builder,
        };
        let mut classifier = builder.build()?;
        if way.pretrained {
            // All but the head.
            let trunk_alone = |name: &str| name.starts_with("features.").then(|| name.to_owned());
            let options = LoadOptions::new().rename(trunk_alone).strict(false);
            load_state_dict_bytes(&trunk, classifier.store(), &options)?;
        }
        let steps = args.epochs * classifier.steps_per_epoch();
        print!("{:14} ", way.name);
        std::io::stdout().flush().ok();
        // The first step also prepares.
        classifier.train(steps.min(1))?;
        classifier.metrics()?;
        let start = Instant::now();
        classifier.train(steps.saturating_sub(1))?;
        classifier.metrics()?;
        let step = 1000.0 * start.elapsed().as_secs_f64() / steps.max(2) as f64;
        let plan = classifier.session().plan();
        let planned = plan.map_or(0, |plan| plan.bytes.total()) as f64 / 1e6;
        println!(
            "{step:10.2} {planned:12.2} {:6.1} %",
            100.0 * classifier.test()?
        );
    }
    Ok(())
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
