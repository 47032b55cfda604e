//! Trains a network on pictures of one's own, a folder for each class:
//! `cargo run --release --features images --example classify -- DIR`.
//!
//! `--demo DIR` writes such folders of digits to try it with; `--ask FILE` says what a picture
//! shows.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use striate::data::{FolderOptions, Split, digits, load_folder, write_picture};
use striate::interop::{ModelCard, Predictor, expect_replaceable};
use striate::models;
use striate::prelude::*;
use striate::train::{Ended, Event, Normalise, Stop, Trainer, warmup_cosine};

/// Trains a network on folders of pictures, one for each class
#[derive(Parser)]
struct Args {
    /// The folder of folders
    dir: Option<PathBuf>,
    /// Which network: lenet5, alexnet, vgg11 to vgg19 (also _bn), googlenet, resnet18 to resnet152,
    /// resnet20_cifar, mobilenet_v2
    #[arg(long, value_name = "NAME", default_value = "resnet20_cifar")]
    network: String,
    /// Height and width of the images; default what the network was made for, 64 at most
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=4096))]
    side: Option<u32>,
    /// Epochs at most
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    epochs: u32,
    /// Epochs without a better result after which it ends
    #[arg(long, value_name = "EPOCHS", default_value_t = 5)]
    patience: usize,
    /// Images per training step
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: u32,
    /// Highest learning rate
    #[arg(long, default_value_t = 0.003, value_parser = rate)]
    rate: f32,
    /// Parameters to begin with: a safetensors file, also one of torchvision's network
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Layers to leave as they are, such as "layer*"; may be given several times
    #[arg(long, value_name = "PATTERN")]
    freeze: Vec<String>,
    /// Leaves out files that are no pictures
    #[arg(long)]
    skip_corrupt: bool,
    /// Where the best network goes, and whence it comes for `--ask`
    #[arg(long, value_name = "FILE", default_value = "classifier.safetensors")]
    save: PathBuf,
    /// Says what this picture shows; may be given several times
    #[arg(long, value_name = "PICTURE")]
    ask: Vec<PathBuf>,
    /// Writes folders of digits here to try it with
    #[arg(long, value_name = "DIR")]
    demo: Option<PathBuf>,
}

/// The exit code of what Ctrl-C ended.
const INTERRUPTED: u8 = 130;

fn rate(text: &str) -> std::result::Result<f32, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate < f32::INFINITY => Ok(rate),
        _ => Err("a rate is a number above 0".to_owned()),
    }
}

/// Prints a line. Where nobody reads any more, as after `| head -1`, it goes on: it leaves files.
fn say(line: impl Display) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        said => said.map_err(|e| Error::new(ErrorKind::Io, "standard output").with_source(e)),
    }
}

/// Raised by Ctrl-C, which ends training after the step at hand; the second one ends all.
fn stop_on_interrupt() -> Result<Stop> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = stop.clone();
    ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    })
    .map_err(|e| Error::new(ErrorKind::Unsupported, "Ctrl-C cannot be taken").with_source(e))?;
    Ok(stop.into())
}

/// How the pixels were scaled that the weights of a file come from: as it says, or as torchvision
/// does; `None` where neither can be.
fn normalise_of(weights: &Path, channels: usize) -> Result<Option<Normalise>> {
    Ok(match ModelCard::load(weights)? {
        Some(card) if card.input[0] == channels => Some(card.normalise()?),
        None if channels == 3 => Some(Normalise::imagenet()),
        _ => None,
    })
}

/// Returns whether it came to its end, not that of Ctrl-C.
fn train(args: &Args, dir: &Path) -> Result<bool> {
    // Channels and size depend on the network, whose classes are the folders.
    let [channels, height, _] = models::by_name(&args.network, 2)?.input();
    let side = args.side.map_or(height.min(64), |side| side as usize);
    expect_replaceable(&args.save)?;
    let options = FolderOptions::new([channels, side, side]).skip_corrupt(args.skip_corrupt);
    let folder = load_folder(dir, &options)?;
    for (_, why) in &folder.skipped {
        say(format!("left out: {why}"))?;
    }
    // The best epoch is chosen by pictures that it does not learn from, and judged by others.
    let Split { train, test } = folder.set.split(0.2, 1)?;
    let data = train.split(0.2, 2)?;
    let model = models::by_name(&args.network, data.train.classes)?;
    say(format!("classes: {}", data.train.class_names.join(", ")))?;

    let (batch, rate) = (args.batch as usize, args.rate);
    let engine = Engine::new()?;
    let mut trainer = Trainer::builder(&engine, &model, &data)
        .epochs(args.epochs as usize)
        .batch(batch)
        // Statistics of one picture are none.
        .drop_last(data.train.count > batch && data.train.count % batch == 1)
        .rates(move |updates| warmup_cosine(rate, updates / 20, updates))
        .patience(args.patience)
        .stop(stop_on_interrupt()?)
        .observe(show);
    for pattern in &args.freeze {
        trainer = trainer.freeze(pattern);
    }
    if let Some(path) = &args.weights {
        trainer = trainer.begin_with(path);
        if let Some(normalise) = normalise_of(path, channels)? {
            trainer = trainer.normalise(normalise);
        }
    }
    let mut trainer = trainer.build()?;
    let fitted = trainer.fit();
    // What ended before its time may have had a best epoch, too.
    let path = args.save.display();
    let saved = match trainer.history().is_empty() {
        true => say(format!("no epoch was done; {path} is as it was")),
        false => trainer.save(&args.save),
    };
    let fitted = fitted?;
    saved?;
    if fitted.ended == Ended::Stopped {
        if let Some(best) = fitted.best() {
            say(format!(
                "stopped; the best so far, of epoch {}, is in {path}",
                best.epoch
            ))?;
        }
        return Ok(false);
    }
    if let Some(best) = fitted.best() {
        let accuracy = 100.0 * best.scalar("val/accuracy").unwrap_or(0.0);
        let epoch = best.epoch;
        let chosen = data.test.count;
        say(format!(
            "the best, of epoch {epoch} with {accuracy:.1} % of the {chosen} pictures it was \
             chosen by, is in {path}"
        ))?;
    }
    let tested = trainer.evaluate(&test)?;
    let (accuracy, count) = (tested.scalar("accuracy").unwrap_or(f64::NAN), test.count);
    say(format!(
        "of {count} others {:.1} % are right",
        100.0 * accuracy
    ))?;
    tested.confusion.map_or(Ok(()), say)?;
    Ok(true)
}

/// Prints how training goes.
fn show(event: &Event<'_>) -> Result<()> {
    match event {
        Event::Began(info) => {
            for (name, value) in &info.facts {
                say(format!("{name}: {value}"))?;
            }
        }
        Event::Epoch(record) => {
            let number = |name: &str| record.scalar(name).unwrap_or(f64::NAN);
            let (loss, right) = (number("train/loss"), 100.0 * number("val/accuracy"));
            let epoch = record.epoch;
            say(format!("epoch {epoch}: loss {loss:.3}, {right:.1} % right"))?;
        }
        _ => {}
    }
    Ok(())
}

/// A folder of pictures for each digit.
fn write_demo(dir: &Path) -> Result<()> {
    let set = digits(600, 5)?;
    for (index, (image, label)) in set.images.chunks(28 * 28).zip(&set.labels).enumerate() {
        let folder = dir.join(label.to_string());
        std::fs::create_dir_all(&folder).map_err(|e| {
            let message = format!("{}: cannot be made: {e}", folder.display());
            Error::new(ErrorKind::Io, message).with_source(e)
        })?;
        write_picture(folder.join(format!("{index}.png")), image, [1, 28, 28])?;
    }
    say(format!("{} pictures in {}", set.count, dir.display()))
}

fn run(args: &Args) -> Result<ExitCode> {
    if let Some(dir) = &args.demo {
        write_demo(dir)?;
    }
    if let Some(dir) = &args.dir
        && !train(args, dir)?
    {
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if !args.ask.is_empty() {
        let mut predictor = Predictor::load(&args.save)?;
        for path in &args.ask {
            let prediction = predictor.predict_file(path)?;
            let (path, share) = (path.display(), 100.0 * prediction.share);
            say(format!("{path}: {} with {share:.1} %", prediction.name))?;
        }
    }
    if args.dir.is_none() && args.demo.is_none() && args.ask.is_empty() {
        return Err(Error::new(
            ErrorKind::Data,
            "no folder of pictures; --help says more",
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run(&Args::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:?}");
        ExitCode::FAILURE
    })
}
