//! A run: data, training epoch by epoch, tests, and what is saved.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use striate::data::{Emnist, Split, digits, load_dir, load_emnist};
use striate::interop::{expect_replaceable, load_parameters, load_training, replace_file};
use striate::models::lenet5_of;
use striate::prelude::*;
use striate::train::{Classifier, ClassifierOptions, warmup_cosine};

use crate::Args;
use crate::device::{open_engine, save_pipelines};
use crate::output::{Lines, progress_bar};

/// The most steps of a run: their learning rates are a table on the device.
const MOST_STEPS: usize = 1 << 24;

/// What a shell expects of a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// Trains as the arguments say.
pub fn run(args: &Args) -> Result<ExitCode> {
    let wrong = |message: String| Error::new(ErrorKind::Shape, message);
    let peak = args.lr.unwrap_or(args.optimizer.peak());
    if !(peak > 0.0 && peak.is_finite()) {
        return Err(wrong(format!("--lr {peak}: a rate is a number above 0")));
    }
    if args.batch == 0 {
        return Err(wrong("--batch 0: a batch has at least one image".into()));
    }
    // Before training rather than after it.
    for (argument, path) in [("--save", &args.save), ("--profile", &args.profile)] {
        if let Some(path) = path {
            expect_replaceable(path).map_err(|e| e.context(argument))?;
        }
    }
    let lines = Lines {
        unread: args.save.is_some() || args.profile.is_some(),
    };
    let stop = stop_on_interrupt()?;
    let data = load_data(args.data.as_deref(), args.emnist, lines)?;
    let batches = match args.drop_last {
        true => data.train.count / args.batch,
        false => data.train.count.div_ceil(args.batch),
    };
    let most = MOST_STEPS / batches.max(1);
    if let Some(epochs) = args.epochs.filter(|&epochs| epochs > most) {
        return Err(wrong(format!(
            "--epochs {epochs}: {batches} steps each are more than {MOST_STEPS}, at most {most} epochs fit"
        )));
    }
    let engine = open_engine(args, lines)?;
    lines.say(format!("device: {}", engine.describe()))?;

    let on_cpu = matches!(engine, Engine::Cpu { .. });
    let epochs = args.epochs.unwrap_or(if on_cpu { 1 } else { 3 });
    let options = ClassifierOptions {
        batch: args.batch,
        test_batch: 1000,
        drop_last: args.drop_last,
        accumulate: 1,
        optimizer: args.optimizer.rule().into(),
        learning_rates: warmup_cosine(peak, batches / 2, batches * epochs)?,
        seed: args.seed,
    };
    let mut run = Run {
        classifier: compile(&engine, &data, &options)?,
        epochs,
        on_cpu,
        stop,
        lines,
    };
    if let (Some(dir), Engine::Gpu(gpu)) = (&args.pipeline_cache, &engine) {
        save_pipelines(gpu, dir)?;
    }
    if let Some(path) = &args.load {
        load_parameters(path, run.classifier.store())?;
        lines.say(format!("parameters: {}", path.display()))?;
    }
    if let Some(path) = &args.resume {
        run.resume(path)?;
    }
    let saved = args.save.as_deref();
    let trained = run.train(saved);
    if let (Err(error), Some(path)) = (&trained, saved)
        && error.kind() == ErrorKind::NotFinite
    {
        lines.say(format!("nothing was saved to {}", path.display()))?;
    }
    let Some(accuracy) = trained? else {
        return Ok(ExitCode::from(INTERRUPTED));
    };
    if let Some(path) = &args.profile {
        let profile = run.classifier.profile()?;
        lines.say(&profile)?;
        let written = replace_file(path, profile.trace().as_bytes());
        written.map_err(|e| e.context("--profile"))?;
    }
    lines.say(format!("test accuracy {:.2} %", 100.0 * accuracy))?;
    Ok(ExitCode::SUCCESS)
}

/// A flag that Ctrl-C raises, and what else asks a program to end; a second time ends it at once.
fn stop_on_interrupt() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = stop.clone();
    let handler = move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    };
    let set = ctrlc::set_handler(handler);
    set.map_err(|e| Error::new(ErrorKind::Unsupported, "Ctrl-C cannot be taken").with_source(e))?;
    Ok(stop)
}

/// The classifier; a bar follows its pipelines where building them takes noticeable time.
fn compile(engine: &Engine, data: &Split, options: &ClassifierOptions) -> Result<Classifier> {
    let start = Instant::now();
    let bar = progress_bar("{msg:<40!} {wide_bar} {pos}/{len}");
    let classes = data.train.classes;
    let model = |g: &mut Graph, x, mode| lenet5_of(g, classes, x, mode);
    let built = Classifier::with_progress(engine, model, data, options, |progress| {
        if start.elapsed() > Duration::from_millis(300) {
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done() as u64);
            let kernel = progress.pending.first().copied().unwrap_or_default();
            bar.set_message(format!("building {kernel}"));
        }
    });
    bar.finish_and_clear();
    built
}

fn load_data(dir: Option<&Path>, emnist: Option<Emnist>, lines: Lines) -> Result<Split> {
    let default = Path::new("data/mnist");
    let dir = dir.or_else(|| default.is_dir().then_some(default));
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
    let split = match emnist {
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

/// A run of training.
struct Run {
    classifier: Classifier,
    epochs: usize,
    on_cpu: bool,
    /// Raised by Ctrl-C.
    stop: Arc<AtomicBool>,
    lines: Lines,
}

impl Run {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Begins where the run that wrote `path` was ended.
    fn resume(&mut self, path: &Path) -> Result<()> {
        load_training(path, self.classifier.store())?;
        let (epoch, step) = self.classifier.position()?;
        if (epoch, step) > (self.epochs, 0) {
            return Err(Error::new(
                ErrorKind::Checkpoint,
                format!(
                    "--resume {}: {epoch} epochs and {step} steps are done, --epochs {} ends before",
                    path.display(),
                    self.epochs
                ),
            ));
        }
        let place = format!("epoch {}, step {}", epoch + 1, step + 1);
        self.lines
            .say(format!("resumed {} at {place}", path.display()))
    }

    /// Trains, tests and saves; the test accuracy, or none if Ctrl-C ended it before that.
    fn train(&mut self, save: Option<&Path>) -> Result<Option<f64>> {
        let begun = self.classifier.position()?;
        let mut accuracy = None;
        for epoch in begun.0..self.epochs {
            if self.train_epoch(epoch)? {
                self.interrupted(begun, save)?;
                return Ok(None);
            }
            let start = Instant::now();
            let share = self.classifier.test()?;
            self.lines.say(format!(
                "  test accuracy {:.2} % ({:.1} s)",
                100.0 * share,
                start.elapsed().as_secs_f64()
            ))?;
            accuracy = Some(share);
        }
        let accuracy = match accuracy {
            Some(accuracy) => accuracy,
            None => self.classifier.test()?,
        };
        if let Some(path) = save {
            self.classifier.save_parameters(path)?;
            self.lines.say(format!("saved to {}", path.display()))?;
        }
        Ok(Some(accuracy))
    }

    /// Saves what `--resume` needs to go on to the bit, or says that nothing is saved.
    fn interrupted(&mut self, begun: (usize, usize), save: Option<&Path>) -> Result<()> {
        let (epoch, step) = self.classifier.position()?;
        let place = format!("stopped after {epoch} epochs and {step} steps");
        let Some(path) = save else {
            return self
                .lines
                .say(format!("{place}; nothing was saved, without --save"));
        };
        if (epoch, step) == begun {
            return self
                .lines
                .say(format!("{place}; nothing was saved, no step was made"));
        }
        self.classifier.save_training(path)?;
        let path = path.display();
        self.lines
            .say(format!("{place}; saved to {path}, --resume {path} goes on"))
    }

    /// Walks over the training set, or the rest of it, with a bar on a terminal and one line
    /// elsewhere.
    /// Returns whether Ctrl-C ended it.
    fn train_epoch(&mut self, epoch: usize) -> Result<bool> {
        let steps = self.classifier.steps_per_epoch();
        // A GPU is asked rarely: each question waits for it.
        let stride = if self.on_cpu { 4 } else { 100 };
        let (number, epochs) = (epoch + 1, self.epochs);
        let start = Instant::now();
        let bar = progress_bar("{prefix} {wide_bar} {pos}/{len} {msg}");
        bar.set_length(steps as u64);
        bar.set_prefix(format!("epoch {number}/{epochs}"));
        let first = self.classifier.position()?.1;
        let (mut loss, mut right, mut images, mut done) = (0.0, 0.0, 0, first);
        while done < steps {
            if self.stopped() {
                bar.finish_and_clear();
                return Ok(true);
            }
            let now = stride.min(steps - done);
            self.classifier.train(now)?;
            let metrics = self.classifier.metrics()?;
            loss += metrics.loss * now as f64;
            right += metrics.accuracy * metrics.images as f64;
            images += metrics.images;
            done += now;
            let elapsed = start.elapsed().as_secs_f64();
            let each = elapsed / (done - first) as f64;
            let left = each * (steps * (epochs - number) + steps - done) as f64;
            if self.on_cpu && number == 1 && done == now {
                let whole = each * steps as f64;
                self.lines
                    .say(format!("about {whole:.0} s per epoch on the CPU"))?;
            }
            bar.set_position(done as u64);
            bar.set_message(format!(
                "loss {:.4} accuracy {:.2} % {:.0} images/s, {} left",
                metrics.loss,
                100.0 * metrics.accuracy,
                images as f64 / elapsed,
                indicatif::HumanDuration(Duration::from_secs_f64(left))
            ));
        }
        bar.finish_and_clear();
        let elapsed = start.elapsed().as_secs_f64();
        self.lines.say(format!(
            "epoch {number}/{epochs}: loss {:.6} accuracy {:.2} % ({elapsed:.1} s, {:.0} images/s)",
            loss / (steps - first).max(1) as f64,
            100.0 * right / images.max(1) as f64,
            images as f64 / elapsed
        ))?;
        Ok(false)
    }
}
