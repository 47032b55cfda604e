//! Files: the data set, what is saved, and what a run begins with.

use std::path::Path;

use striate::data::{Split, digits, load_dir, load_emnist};
use striate::interop::{load_parameters, load_training, replace_file};
use striate::prelude::*;
use striate::train::Classifier;

use crate::args::Args;
use crate::output::Lines;

/// The set that the arguments name, or digits that the library draws.
pub fn load_data(args: &Args) -> Result<Split> {
    let lines = args.lines();
    let default = Path::new("data/mnist");
    let dir = args
        .data
        .as_deref()
        .or_else(|| default.is_dir().then_some(default));
    let Some(dir) = dir else {
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
        None => load_dir(dir)?,
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

/// Gives the network the parameters, or all the state, that the arguments name.
pub fn begin(args: &Args, classifier: &Classifier, epochs: usize) -> Result<()> {
    let lines = args.lines();
    if let Some(path) = &args.load {
        load_parameters(path, classifier.store())?;
        lines.say(format!("parameters: {}", path.display()))?;
    }
    match &args.resume {
        Some(path) => resume(path, classifier, epochs, lines),
        None => Ok(()),
    }
}

/// Begins where the run that wrote `path` was ended.
fn resume(path: &Path, classifier: &Classifier, epochs: usize, lines: Lines) -> Result<()> {
    load_training(path, classifier.store())?;
    let (epoch, step) = classifier.position()?;
    if (epoch, step) > (epochs, 0) {
        return Err(Error::new(
            ErrorKind::Checkpoint,
            format!(
                "--resume {}: {epoch} epochs and {step} steps are done, --epochs {epochs} ends \
                 before",
                path.display()
            ),
        ));
    }
    let place = format!("epoch {}, step {}", epoch + 1, step + 1);
    lines.say(format!("resumed {} at {place}", path.display()))
}

/// Saves the trained parameters.
pub fn save(path: &Path, classifier: &mut Classifier, lines: Lines) -> Result<()> {
    classifier.save_parameters(path)?;
    lines.say(format!("saved to {}", path.display()))
}

/// Says that nothing was saved where training failed by numbers that are not finite.
pub fn say_unsaved<T>(path: Option<&Path>, trained: &Result<T>, lines: Lines) -> Result<()> {
    match (path, trained) {
        (Some(path), Err(error)) if error.kind() == ErrorKind::NotFinite => {
            lines.say(format!("nothing was saved to {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Saves what `--resume` needs to go on to the bit, or says that nothing is saved.
pub fn save_interrupted(
    path: Option<&Path>,
    classifier: &mut Classifier,
    begun: (usize, usize),
    lines: Lines,
) -> Result<()> {
    let (epoch, step) = classifier.position()?;
    let place = format!("stopped after {epoch} epochs and {step} steps");
    let Some(path) = path else {
        return lines.say(format!("{place}; nothing was saved, without --save"));
    };
    if (epoch, step) == begun {
        return lines.say(format!("{place}; nothing was saved, no step was made"));
    }
    classifier.save_training(path)?;
    let path = path.display();
    lines.say(format!("{place}; saved to {path}, --resume {path} goes on"))
}

/// Measures one step, prints where its time goes, and writes it as a trace.
pub fn profile(path: &Path, classifier: &mut Classifier, lines: Lines) -> Result<()> {
    let profile = classifier.profile()?;
    lines.say(&profile)?;
    replace_file(path, profile.trace().as_bytes()).map_err(|e| e.context("--profile"))
}
