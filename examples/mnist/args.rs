//! The command line: what may be said, and what is wrong before anything starts.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use striate::data::{Augment, Emnist};
use striate::interop::expect_replaceable;
use striate::models::{Model, convnet, lenet5};
use striate::prelude::*;
use striate::train::{self, Adam, AdamW, Group, Muon, Sgd, warmup_cosine};

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
    /// Times to walk over the training set; default 3, on the CPU 1, of the best recipe 20. With 0
    /// it only evaluates
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// The network and how it is trained; the other arguments change single settings of it
    #[arg(long, value_enum, default_value_t = Recipe::Default)]
    pub recipe: Recipe,
    /// Images per training step; the last one of an epoch may have fewer. Default 64, of the best
    /// recipe 128
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Leaves out the last step of an epoch if it would have fewer images
    #[arg(long)]
    pub drop_last: bool,
    /// Highest learning rate; default 0.1 for sgd, 0.003 for adam and adamw, 0.006 for adamw in the
    /// best recipe and for muon, whose weights of layers step ten thirds as far
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    lr: Option<f32>,
    /// How parameters are updated; default adam, of the best recipe muon
    #[arg(long, value_enum)]
    optimizer: Option<Optimizer>,
    /// Keys initial parameters, the order of images, augmentation and dropout
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
    /// Writes the trained network to this safetensors file; until then, after each epoch and on
    /// Ctrl-C, all that --resume needs
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Measures one training step, prints where its time goes, and writes it as a trace for
    /// Perfetto
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Begins with the parameters of this safetensors file
    #[arg(long, value_name = "FILE")]
    pub load: Option<PathBuf>,
    /// Goes on with a run that ended before its time, from the file that it saved; the other
    /// arguments are to be the same
    #[arg(long, value_name = "FILE", conflicts_with = "load")]
    pub resume: Option<PathBuf>,
    /// Says which digit this picture shows; may be given several times. Png, jpeg and webp need
    /// `--features images`
    #[arg(long, value_name = "PICTURE")]
    pub predict: Vec<PathBuf>,
    /// Writes a page with curves, confusions, mistakes, filters and feature maps to this file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Recipe {
    /// LeNet-5 on the images as they are
    Default,
    /// Three convolutions with batch normalisation, on images that are turned, scaled and moved
    Best,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Optimizer {
    Sgd,
    Adam,
    Adamw,
    /// For weights of layers; AdamW for the rest
    Muon,
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
            Optimizer::Adamw => AdamW::new().weight_decay(0.02).into(),
            Optimizer::Muon => {
                let layers = Group::matrices().rule(Muon::new().weight_decay(0.02));
                let rest = AdamW::new().weight_decay(0.0);
                train::Optimizer::new(rest).group(layers.rate(10.0 / 3.0))
            }
        }
    }

    fn peak(self) -> f32 {
        match self {
            Optimizer::Sgd => 0.1,
            Optimizer::Adam | Optimizer::Adamw => 0.003,
            Optimizer::Muon => 0.006,
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
        if self.batch() == 0 {
            return Err(wrong("--batch 0: a batch has at least one image".into()));
        }
        let written = [
            ("--save", &self.save),
            ("--profile", &self.profile),
            ("--report", &self.report),
        ];
        for (argument, path) in written {
            if let Some(path) = path {
                expect_replaceable(path).map_err(|e| e.context(argument))?;
            }
        }
        Ok(())
    }

    /// How lines are printed: a run that leaves files goes on where nobody reads them.
    pub fn lines(&self) -> Lines {
        Lines {
            unread: self.save.is_some() || self.profile.is_some() || self.report.is_some(),
        }
    }

    /// Lines of the run.
    pub fn terminal(&self) -> train::Terminal {
        let terminal = train::Terminal::new();
        match self.lines().unread {
            true => terminal.unread(),
            false => terminal,
        }
    }

    /// Steps per epoch over so many images.
    ///
    /// # Errors
    /// If all epochs together take more steps than a run may have.
    pub fn steps(&self, images: usize) -> Result<usize> {
        let steps = match self.drop_last {
            true => images / self.batch(),
            false => images.div_ceil(self.batch()),
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

    /// The optimizer; its rate rises over half an epoch, or a fifth of the best recipe's run, and
    /// then falls to 0.
    pub fn optimizer(&self, steps: usize, epochs: usize) -> Result<train::Optimizer> {
        let rise = match self.recipe {
            Recipe::Default => steps / 2,
            Recipe::Best => steps * epochs / 5,
        };
        let rates = warmup_cosine(self.peak(), rise, steps * epochs)?;
        Ok(self.chosen().settings().schedule(rates))
    }

    fn chosen(&self) -> Optimizer {
        self.optimizer.unwrap_or(match self.recipe {
            Recipe::Default => Optimizer::Adam,
            Recipe::Best => Optimizer::Muon,
        })
    }

    fn peak(&self) -> f32 {
        self.lr.unwrap_or(match (self.recipe, self.chosen()) {
            (Recipe::Best, Optimizer::Adamw) => 0.006,
            (_, chosen) => chosen.peak(),
        })
    }

    pub fn batch(&self) -> usize {
        self.batch.unwrap_or(match self.recipe {
            Recipe::Default => 64,
            Recipe::Best => 128,
        })
    }

    pub fn epochs(&self, on_cpu: bool) -> usize {
        self.epochs.unwrap_or(match self.recipe {
            Recipe::Default if on_cpu => 1,
            Recipe::Default => 3,
            Recipe::Best => 20,
        })
    }

    pub fn model(&self, classes: usize) -> Model {
        match self.recipe {
            Recipe::Default => lenet5(classes),
            Recipe::Best => convnet(classes),
        }
    }

    /// What is done to the images.
    pub fn augment(&self) -> Result<Option<Augment>> {
        match self.recipe {
            Recipe::Default => Ok(None),
            Recipe::Best => Augment::by_name("digits").map(Some),
        }
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Shape, message)
}

fn emnist(name: &str) -> std::result::Result<Emnist, String> {
    let set = Emnist::ALL.into_iter().find(|set| set.name() == name);
    set.ok_or_else(|| format!("there are {}", Emnist::ALL.map(Emnist::name).join(", ")))
}
