//! Files: the data set, what is saved, what a run goes on with, and pictures.

use std::path::Path;

use striate::data::{Split, digits, load_dir, load_emnist};
use striate::interop::replace_file;
use striate::prelude::*;
use striate::train::{Trainer, TrainerBuilder};

use crate::args::Args;

/// The folder of the set, if there is one.
fn folder(args: &Args) -> Option<&Path> {
    let default = Path::new("data/mnist");
    let given = args.data.as_deref();
    given.or_else(|| holds_files(default).then_some(default))
}

/// What the set is, for a title.
pub fn name_of_data(args: &Args) -> String {
    match (folder(args), args.emnist) {
        (None, _) => "built-in digits".to_owned(),
        (Some(dir), None) => dir.display().to_string(),
        (Some(dir), Some(set)) => format!("EMNIST {} in {}", set.name(), dir.display()),
    }
}

/// The set that the arguments name, or digits that the library draws.
pub fn load_data(args: &Args) -> Result<Split> {
    let lines = args.lines();
    let Some(dir) = folder(args) else {
        lines.say(
            "data: built-in digits; for the real set put MNIST's four .gz files into data/mnist or \
             name their directory with --data",
        )?;
        return Ok(Split {
            train: digits(20_000, 1)?,
            test: digits(4_000, 2)?,
        });
    };
    let split = match args.emnist {
        Some(set) => load_emnist(dir, set)?,
        None => load_dir(dir).map_err(|e| match e.to_string().contains("sets of EMNIST") {
            true => e.context("--emnist chooses one"),
            false => e,
        })?,
    };
    lines.say(format!(
        "data: {}, {} training and {} test images in {} classes",
        dir.display(),
        split.train.count,
        split.test.count,
        split.train.classes
    ))?;
    Ok(split)
}

/// What the run leaves behind on its way, and goes on with.
pub fn keeping<'a>(args: &Args, builder: TrainerBuilder<'a>) -> Result<TrainerBuilder<'a>> {
    match (&args.resume, &args.save) {
        (Some(path), _) => {
            // A name that is wrong would begin anew.
            std::fs::File::open(path).map_err(|e| {
                let message = format!("--resume: {} cannot be read", path.display());
                Error::new(ErrorKind::Io, message).with_source(e)
            })?;
            Ok(builder.resume(path))
        }
        (None, Some(path)) => Ok(builder.checkpoint(path)),
        (None, None) => Ok(builder),
    }
}

/// Says where a run was stopped, and how it can go on.
pub fn say_stopped(args: &Args, trainer: &Trainer) -> Result<()> {
    let (epoch, step) = trainer.position()?;
    let place = format!("stopped after {epoch} epochs and {step} steps");
    args.lines()
        .say(match args.resume.as_ref().or(args.save.as_ref()) {
            None => format!("{place}; nothing was saved, without --save"),
            Some(path) => {
                let path = path.display();
                format!("{place}; saved to {path}, --resume {path} goes on")
            }
        })
}

/// Saves the trained network.
pub fn save(args: &Args, trainer: &Trainer) -> Result<()> {
    let Some(path) = &args.save else {
        return Ok(());
    };
    trainer.save(path)?;
    args.lines().say(format!("saved to {}", path.display()))
}

/// The pictures that the arguments name, before training rather than after it.
pub fn read_pictures(args: &Args, data: &Split) -> Result<Vec<Vec<u8>>> {
    let read = |path| -> Result<Vec<u8>> {
        let mut pixels = picture(path, [1, data.train.height, data.train.width])?;
        // The digits of the set are light on dark ground.
        let sum: u64 = pixels.iter().map(|&pixel| u64::from(pixel)).sum();
        if sum > 127 * pixels.len() as u64 {
            pixels.iter_mut().for_each(|pixel| *pixel = 255 - *pixel);
        }
        Ok(pixels)
    };
    args.predict.iter().map(|path| read(path)).collect()
}

/// Says what the pictures show that the arguments name.
pub fn predict(
    args: &Args,
    pictures: &[Vec<u8>],
    trainer: &mut Trainer,
    data: &Split,
) -> Result<()> {
    for (path, pixels) in args.predict.iter().zip(pictures) {
        let logits = trainer.predict(pixels)?;
        let logits = logits.as_f32()?;
        let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
        let class = best.unwrap_or(0);
        let share = 1.0
            / logits
                .iter()
                .map(|x| (x - logits[class]).exp())
                .sum::<f32>();
        let name = data.train.class_names.get(class);
        let name = name.cloned().unwrap_or_else(|| class.to_string());
        let (path, percent) = (path.display(), 100.0 * share);
        args.lines()
            .say(format!("{path}: {name} with {percent:.1} %"))?;
    }
    Ok(())
}

#[cfg(feature = "images")]
fn picture(path: &Path, size: [usize; 3]) -> Result<Vec<u8>> {
    striate::data::read_picture(path, size, striate::data::Fit::default())
}

#[cfg(not(feature = "images"))]
fn picture(path: &Path, _: [usize; 3]) -> Result<Vec<u8>> {
    Err(Error::new(
        ErrorKind::Unsupported,
        format!(
            "--predict {}: pictures are read by `cargo run --release --features images --example \
             mnist`",
            path.display()
        ),
    ))
}

/// Fails where no step can be measured: before training rather than after it.
pub fn expect_profile(args: &Args, engine: &Engine) -> Result<()> {
    let measures = matches!(engine, Engine::Gpu(gpu) if gpu.has_timestamps());
    match args.profile.is_some() && !measures {
        true => Err(Error::new(
            ErrorKind::Unsupported,
            format!("--profile: {} measures no time", engine.describe()),
        )),
        false => Ok(()),
    }
}

/// Measures one step, prints where its time goes, and writes it as a trace.
pub fn profile(args: &Args, trainer: &mut Trainer) -> Result<()> {
    let Some(path) = &args.profile else {
        return Ok(());
    };
    let profile = trainer.profile()?;
    args.lines().say(&profile)?;
    replace_file(path, profile.trace().as_bytes()).map_err(|e| e.context("--profile"))
}

/// Whether a folder is there and not empty.
fn holds_files(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut files| files.next().is_some())
}
