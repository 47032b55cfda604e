//! Training on streamed images beside the same on a set that lies on the device:
//! `cargo bench --bench stream --features images`.
//!
//! Rounds of both take turns. Printed are images per second, the share of the streamed time that
//! goes beyond that of the resident set, and the share in which the host waited for batches, during
//! part of which the device computes. A loader alone says what the threads can decode.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use striate::data::{
    Dataset, FolderOptions, Loader, LoaderOptions, Pictures, Source, Split, digits, load_mnist,
    sampled, write_picture,
};
use striate::models::lenet5;
use striate::nn::{Conv2d, Flatten, GlobalAvgPool, Linear, Relu, Sequential};
use striate::prelude::*;
use striate::rng::Stream;
use striate::train::{Classifier, ClassifierOptions, Streamed};

const BATCH: usize = 64;
const ROUNDS: usize = 5;

/// Prints a line. Where nobody reads any more, as after `| head -1`, the run goes on.
fn say(line: impl Display) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        said => said.map_err(|e| Error::new(ErrorKind::Io, "standard output").with_source(e)),
    }
}

fn main() -> Result<()> {
    let engine = Engine::new()?;
    say(engine.describe())?;
    let train: Arc<dyn Source> = match std::env::var_os("STRIATE_MNIST") {
        Some(dir) => Arc::new(load_mnist(Path::new(&dir))?.train),
        None => Arc::new(digits(60_000, 1)?),
    };
    measure(&engine, "lenet5, 28x28 in memory", &lenet5(10), train, 200)?;

    let dir = std::env::temp_dir().join(format!("striate-bench-stream-{}", std::process::id()));
    write_pictures(&dir)?;
    let options = FolderOptions::new([3, 64, 64]);
    let pictures: Arc<dyn Source> = Arc::new(Pictures::open(&dir, &options)?);
    let net = Sequential::new()
        .named("conv1", Conv2d::new(3, 16, 5).stride(2))
        .then(Relu)
        .named("conv2", Conv2d::new(16, 32, 3).stride(2))
        .then(Relu)
        .then(GlobalAvgPool)
        .then(Flatten)
        .named("fc", Linear::new(32, 4));
    let measured = measure(&engine, "two convolutions, 64x64 pngs", &net, pictures, 50);
    std::fs::remove_dir_all(&dir).ok();
    measured
}

/// A folder of 4 classes with 500 pictures each, of which half the pixels are noise.
fn write_pictures(dir: &Path) -> Result<()> {
    for class in 0..4u32 {
        let folder: PathBuf = dir.join(class.to_string());
        std::fs::create_dir_all(&folder).ok();
        for number in 0..500u32 {
            let noise = Stream::new(1, class, number);
            let pixel = |at: usize| match at % 2 {
                0 => noise.word(at as u64) as u8,
                _ => (at / 48) as u8,
            };
            let pixels: Vec<u8> = (0..3 * 64 * 64).map(pixel).collect();
            write_picture(folder.join(format!("{number}.png")), &pixels, [3, 64, 64])?;
        }
    }
    Ok(())
}

fn measure(
    engine: &Engine,
    name: &str,
    model: &dyn Module,
    source: Arc<dyn Source>,
    steps: usize,
) -> Result<()> {
    let train: Dataset = sampled(&*source, usize::MAX, 0)?;
    let data = Split {
        test: sampled(&*source, 64, 0)?,
        train,
    };
    let loading = LoaderOptions {
        batch: BATCH,
        ..LoaderOptions::default()
    };
    let mut loader = Loader::new(source.clone(), &loading)?;
    let began = Instant::now();
    for _ in 0..steps {
        loader.next_batch()?;
    }
    let rate = |seconds: f64| (steps * BATCH) as f64 / seconds;
    let alone = rate(began.elapsed().as_secs_f64());
    drop(loader);

    let options = ClassifierOptions {
        batch: BATCH,
        drop_last: true,
        ..ClassifierOptions::default()
    };
    let builder = || Classifier::builder(engine, model, &data).options(options.clone());
    let mut resident = builder().build()?;
    let mut streamed = builder().stream(Streamed::new(source)).build()?;
    let mut times = [Vec::new(), Vec::new()];
    let mut waits = Vec::new();
    for round in 0..=ROUNDS {
        for (kind, classifier) in [&mut resident, &mut streamed].into_iter().enumerate() {
            let before = classifier.waited();
            let began = Instant::now();
            classifier.train(steps)?;
            classifier.metrics()?;
            // The first round warms up.
            if round > 0 {
                times[kind].push(began.elapsed().as_secs_f64());
            }
            if kind == 1 && round > 0 {
                waits.push((classifier.waited() - before).as_secs_f64());
            }
        }
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let [own, other] = times.each_mut().map(median);
    say(format!(
        "{name}: resident {:.0} images/s, streamed {:.0} images/s ({:+.1} % of the time), host \
         waited {:.1} %, loader alone {alone:.0} images/s",
        rate(own),
        rate(other),
        100.0 * (other - own) / other,
        100.0 * median(&mut waits) / other
    ))
}
