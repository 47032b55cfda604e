//! The command line: what may be said, and what is wrong before anything starts.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use striate::data::Emnist;
use striate::interop::expect_replaceable;
use striate::prelude::*;
use striate::train::{self, Adam, AdamW, Sgd, warmup_cosine};

use crate::output::Lines;

/// The most steps of a run: their learning rates are a table on the device.
const MOST_STEPS: usize = 1 << 24;

/// Trains LeNet-5 on MNIST, or on built-in digits where it is not at hand.
#[derive(Parser)]
pub struct Args {
    /// Directory with the four files of MNIST, a set in its format or of EMNIST, or torchvision's
    /// folder around them; default data/mnist if it exists, else built-in digits
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Set of EMNIST in a directory that holds several: byclass, bymerge, balanced, letters, digits
    /// or mnist
    #[arg(long, value_name = "SET", value_parser = emnist, requires = "data")]
    pub emnist: Option<Emnist>,
    /// Times to walk over the training set; default 3, on the CPU 1. With 0 it only evaluates
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Images per training step; the last one of an epoch may have fewer
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,
    /// Leaves out the last step of an epoch if it would have fewer images
    #[arg(long)]
    pub drop_last: bool,
    /// Highest learning rate; default 0.1 for sgd, 0.003 for adam and adamw
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub lr: Option<f32>,
    /// How parameters are updated
    #[arg(long, value_enum, default_value_t = Optimizer::Adam)]
    pub optimizer: Optimizer,
    /// Keys initial parameters and the order of images
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// "auto", "cpu", or part of an adapter's name
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub device: String,
    /// Graphics API to go through; default any
    #[arg(long, value_enum)]
    pub backend: Option<Backend>,
    /// Keeps compiled pipelines in this directory from run to run, where the driver hands them out
    /// (Vulkan)
    #[arg(long, value_name = "DIR")]
    pub pipeline_cache: Option<PathBuf>,
    /// Writes the trained parameters to this safetensors file; after Ctrl-C all that --resume needs
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Measures one training step, prints where its time goes, and writes it as a trace for
    /// Perfetto
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Begins with the parameters of this safetensors file
    #[arg(long, value_name = "FILE")]
    pub load: Option<PathBuf>,
    /// Goes on with a run that Ctrl-C has ended, from the file that it saved; the other arguments
    /// are to be the same
    #[arg(long, value_name = "FILE", conflicts_with = "load")]
    pub resume: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Optimizer {
    Sgd,
    Adam,
    Adamw,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Backend {
    Vulkan,
    Metal,
    Dx12,
    Gl,
}

impl Optimizer {
    fn settings(self) -> train::Optimizer {
        match self {
            Optimizer::Sgd => {
                let sgd = Sgd::new().momentum(0.9).nesterov(true);
                sgd.weight_decay(5e-4).into()
            }
            Optimizer::Adam => Adam::new().into(),
            Optimizer::Adamw => AdamW::new().into(),
        }
    }

    fn peak(self) -> f32 {
        match self {
            Optimizer::Sgd => 0.1,
            Optimizer::Adam | Optimizer::Adamw => 0.003,
        }
    }
}

impl Args {
    /// Fails before the data is read: before training rather than after it.
    pub fn check(&self) -> Result<()> {
        let peak = self.peak();
        if !(peak > 0.0 && peak.is_finite()) {
            return Err(wrong(format!("--lr {peak}: a rate is a number above 0")));
        }
        if self.batch == 0 {
            return Err(wrong("--batch 0: a batch has at least one image".into()));
        }
        for (argument, path) in [("--save", &self.save), ("--profile", &self.profile)] {
            if let Some(path) = path {
                expect_replaceable(path).map_err(|e| e.context(argument))?;
            }
        }
        Ok(())
    }

    /// How lines are printed: a run that leaves files goes on where nobody reads them.
    pub fn lines(&self) -> Lines {
        Lines {
            unread: self.save.is_some() || self.profile.is_some(),
        }
    }

    /// Steps per epoch over so many images.
    ///
    /// # Errors
    /// If all epochs together take more steps than a run may have.
    pub fn steps(&self, images: usize) -> Result<usize> {
        let steps = match self.drop_last {
            true => images / self.batch,
            false => images.div_ceil(self.batch),
        };
        let most = MOST_STEPS / steps.max(1);
        match self.epochs.filter(|&epochs| epochs > most) {
            None => Ok(steps),
            Some(epochs) => Err(wrong(format!(
                "--epochs {epochs}: {steps} steps each are more than {MOST_STEPS}, at most {most} \
                 epochs fit"
            ))),
        }
    }

    /// The optimizer; its rate rises over half an epoch and then falls to 0.
    pub fn optimizer(&self, steps: usize, epochs: usize) -> Result<train::Optimizer> {
        let rates = warmup_cosine(self.peak(), steps / 2, steps * epochs)?;
        Ok(self.optimizer.settings().schedule(rates))
    }

    fn peak(&self) -> f32 {
        self.lr.unwrap_or(self.optimizer.peak())
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Shape, message)
}

fn emnist(name: &str) -> std::result::Result<Emnist, String> {
    let set = Emnist::ALL.into_iter().find(|set| set.name() == name);
    set.ok_or_else(|| format!("there are {}", Emnist::ALL.map(Emnist::name).join(", ")))
}
