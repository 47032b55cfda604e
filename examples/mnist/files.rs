//! Files: the data set, what is saved, and what a run begins with.

use std::path::Path;

use striate::data::{Split, digits, load_dir};
use striate::interop::{load_parameters, load_training, save_parameters, save_training};
use striate::prelude::*;
use striate::train::Classifier;

use crate::args::Args;
use crate::output::say;

/// The set in `dir`, or digits that the library draws.
pub fn load_data(dir: Option<&Path>) -> Result<Split> {
    let default = Path::new("data/mnist");
    let dir = dir.or_else(|| default.is_dir().then_some(default));
    let Some(dir) = dir else {
        say(
            "data: built-in digits; for the real set put MNIST's four .gz files into data/mnist or \
             name their directory with --data",
        )?;
        return Ok(Split {
            train: digits(20_000, 1)?,
            test: digits(4_000, 2)?,
        });
    };
    let split = load_dir(dir)?;
    say(format!(
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
    if let Some(path) = &args.load {
        load_parameters(path, classifier.store())?;
        say(format!("parameters: {}", path.display()))?;
    }
    match &args.resume {
        Some(path) => resume(path, classifier, epochs),
        None => Ok(()),
    }
}

/// Begins where the run that wrote `path` was ended.
fn resume(path: &Path, classifier: &Classifier, epochs: usize) -> Result<()> {
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
    say(format!("resumed {} at {place}", path.display()))
}

/// Saves the trained parameters.
pub fn save(path: &Path, classifier: &mut Classifier) -> Result<()> {
    classifier.expect_finite()?;
    save_parameters(path, classifier.store())?;
    say(format!("saved to {}", path.display()))
}

/// Says that nothing was saved where training failed by numbers that are not finite.
pub fn say_unsaved<T>(path: Option<&Path>, trained: &Result<T>) -> Result<()> {
    match (path, trained) {
        (Some(path), Err(error)) if error.kind() == ErrorKind::NotFinite => {
            say(format!("nothing was saved to {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Saves what `--resume` needs to go on to the bit, or says that nothing is saved.
pub fn save_interrupted(
    path: Option<&Path>,
    classifier: &mut Classifier,
    begun: (usize, usize),
) -> Result<()> {
    let (epoch, step) = classifier.position()?;
    let place = format!("stopped after {epoch} epochs and {step} steps");
    let Some(path) = path else {
        return say(format!("{place}; nothing was saved, without --save"));
    };
    if (epoch, step) == begun {
        return say(format!("{place}; nothing was saved, no step was made"));
    }
    classifier.expect_finite()?;
    save_training(path, classifier.store())?;
    let path = path.display();
    say(format!("{place}; saved to {path}, --resume {path} goes on"))
}

/// Measures one step, prints where its time goes, and writes it as a trace.
pub fn profile(path: &Path, classifier: &mut Classifier) -> Result<()> {
    let profile = classifier.profile()?;
    say(&profile)?;
    std::fs::write(path, profile.trace()).map_err(|e| {
        let message = format!("--profile {}: cannot be written", path.display());
        Error::new(ErrorKind::Io, message).with_source(e)
    })
}
