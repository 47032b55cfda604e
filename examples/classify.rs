//! Trains a network on pictures of one's own, a folder for each class:
//! `cargo run --release --features images --example classify -- DIR`.
//!
//! `--demo DIR` writes such folders of digits to try it with; `--ask FILE` says what a picture
//! shows.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use striate::data::{Fit, FolderOptions, digits, load_folder, write_picture};
use striate::interop::{LoadOptions, Predictor, expect_replaceable, load_state_dict};
use striate::models;
use striate::prelude::*;
use striate::train::{Adam, Classifier, ClassifierOptions, Optimizer, warmup_cosine};

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

fn rate(text: &str) -> std::result::Result<f32, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate < f32::INFINITY => Ok(rate),
        _ => Err("a rate is a number above 0".to_owned()),
    }
}

fn train(args: &Args, dir: &Path) -> Result<()> {
    // Channels and size depend on the network, whose classes are the folders.
    let [channels, height, _] = models::by_name(&args.network, 2)?.input();
    let side = args.side.map_or(height.min(64), |side| side as usize);
    expect_replaceable(&args.save)?;
    let options = FolderOptions::new([channels, side, side]).skip_corrupt(args.skip_corrupt);
    let folder = load_folder(dir, &options)?;
    for (_, why) in &folder.skipped {
        println!("left out: {why}");
    }
    let data = folder.set.split(0.2, 1)?;
    let model = models::by_name(&args.network, data.train.classes)?;
    println!(
        "{} pictures to train and {} to test, of {}",
        data.train.count,
        data.test.count,
        data.train.class_names.join(", ")
    );

    let (epochs, batch) = (args.epochs as usize, args.batch as usize);
    let steps = epochs * data.train.count.div_ceil(batch);
    let rates = warmup_cosine(args.rate, steps / 20, steps)?;
    let optimizer = Optimizer::new(Adam::new()).schedule(rates);
    let settings = ClassifierOptions {
        batch,
        test_batch: 100,
        // Statistics of one picture are none.
        drop_last: data.train.count > batch && data.train.count % batch == 1,
        optimizer,
        ..ClassifierOptions::default()
    };
    let engine = Engine::new()?;
    let mut builder = Classifier::builder(&engine, &model, &data).options(settings);
    for pattern in &args.freeze {
        builder = builder.freeze(pattern);
    }
    let mut classifier = builder.build()?;
    if let Some(path) = &args.weights {
        begin_with(path, &classifier)?;
    }
    println!("{} on {}", model.name(), engine.describe());

    let (mut best, mut best_epoch) = (-1.0, 0);
    for epoch in 1..=epochs {
        classifier.train(classifier.steps_per_epoch())?;
        let loss = classifier.metrics()?.loss;
        let accuracy = classifier.test()?;
        println!(
            "epoch {epoch}: loss {loss:.3}, {:.1} % right",
            100.0 * accuracy
        );
        if accuracy > best {
            (best, best_epoch) = (accuracy, epoch);
            classifier.save_model(&args.save, &model, Fit::Crop)?;
        } else if epoch - best_epoch >= args.patience {
            break;
        }
    }
    println!(
        "the best, of epoch {best_epoch} with {:.1} %, is in {}",
        100.0 * best,
        args.save.display()
    );
    Ok(())
}

/// Loads what fits: a head for other classes stays as it was drawn.
fn begin_with(path: &Path, classifier: &Classifier) -> Result<()> {
    let options = LoadOptions::new().strip_prefix("module.").strict(false);
    let report = load_state_dict(path, classifier.store(), &options)?;
    let others = report.other_shape.iter().map(|other| &other.name);
    let anew: Vec<&str> = others.chain(&report.missing).map(String::as_str).collect();
    if report.loaded.is_empty() {
        let message = format!("{}: no parameter is of this network", path.display());
        return Err(Error::new(ErrorKind::Checkpoint, message));
    }
    let (shown, more) = anew.split_at(anew.len().min(4));
    let more = match more.len() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    println!(
        "{} tensors of {}; begun anew: {}{more}",
        report.loaded.len(),
        path.display(),
        shown.join(", ")
    );
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
    println!("{} pictures in {}", set.count, dir.display());
    Ok(())
}

fn run(args: &Args) -> Result<()> {
    if let Some(dir) = &args.demo {
        write_demo(dir)?;
    }
    if let Some(dir) = &args.dir {
        train(args, dir)?;
    }
    if !args.ask.is_empty() {
        let mut predictor = Predictor::load(&args.save)?;
        for path in &args.ask {
            let prediction = predictor.predict_file(path)?;
            let share = 100.0 * prediction.share;
            println!("{}: {} with {share:.1} %", path.display(), prediction.name);
        }
    }
    if args.dir.is_none() && args.demo.is_none() && args.ask.is_empty() {
        return Err(Error::new(
            ErrorKind::Data,
            "no folder of pictures; --help says more",
        ));
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
