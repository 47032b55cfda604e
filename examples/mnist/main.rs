//! Trains LeNet-5 on handwritten digits: `cargo run --release --example mnist -- --help`.

mod device;
mod output;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use striate::data::Emnist;
use striate::ops::{Adam, Rule, Sgd};

use output::{is_closed, report};

/// Trains LeNet-5 on MNIST, or on built-in digits where it is not at hand.
#[derive(Parser)]
struct Args {
    /// Directory with the four files of MNIST, a set in its format or of EMNIST, or torchvision's
    /// folder around them; default data/mnist if it exists, else built-in digits
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Set of EMNIST in a directory that holds several: byclass, bymerge, balanced, letters, digits
    /// or mnist
    #[arg(long, value_name = "SET", value_parser = emnist, requires = "data")]
    emnist: Option<Emnist>,
    /// Times to walk over the training set; default 3, on the CPU 1. With 0 it only evaluates
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Images per training step; the last one of an epoch may have fewer
    #[arg(long, value_name = "N", default_value_t = 64)]
    batch: usize,
    /// Leaves out the last step of an epoch if it would have fewer images
    #[arg(long)]
    drop_last: bool,
    /// Highest learning rate; default 0.1 for sgd, 0.003 for adam and adamw
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    lr: Option<f32>,
    /// How parameters are updated
    #[arg(long, value_enum, default_value_t = Optimizer::Adam)]
    optimizer: Optimizer,
    /// Keys initial parameters and the order of images
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// "auto", "cpu", or part of an adapter's name
    #[arg(long, value_name = "NAME", default_value = "auto")]
    device: String,
    /// Graphics API to go through; default any
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// Keeps compiled pipelines in this directory from run to run, where the driver hands them out
    /// (Vulkan)
    #[arg(long, value_name = "DIR")]
    pipeline_cache: Option<PathBuf>,
    /// Writes the trained parameters to this safetensors file; after Ctrl-C all that --resume needs
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Measures one training step, prints where its time goes, and writes it as a trace for
    /// Perfetto
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Begins with the parameters of this safetensors file
    #[arg(long, value_name = "FILE")]
    load: Option<PathBuf>,
    /// Goes on with a run that Ctrl-C has ended, from the file that it saved; the other arguments
    /// are to be the same
    #[arg(long, value_name = "FILE", conflicts_with = "load")]
    resume: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Optimizer {
    Sgd,
    Adam,
    Adamw,
}

#[derive(Clone, Copy, ValueEnum)]
enum Backend {
    Vulkan,
    Metal,
    Dx12,
    Gl,
}

impl Optimizer {
    fn rule(self) -> Rule {
        match self {
            Optimizer::Sgd => Rule::Sgd(Sgd {
                momentum: 0.9,
                nesterov: true,
                weight_decay: 5e-4,
                ..Sgd::default()
            }),
            Optimizer::Adam => Rule::Adam(Adam::default()),
            Optimizer::Adamw => Rule::Adam(Adam {
                weight_decay: 0.01,
                decoupled: true,
                ..Adam::default()
            }),
        }
    }

    fn peak(self) -> f32 {
        match self {
            Optimizer::Sgd => 0.1,
            Optimizer::Adam | Optimizer::Adamw => 0.003,
        }
    }
}

fn emnist(name: &str) -> Result<Emnist, String> {
    let set = Emnist::ALL.into_iter().find(|set| set.name() == name);
    set.ok_or_else(|| format!("there are {}", Emnist::ALL.map(Emnist::name).join(", ")))
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run::run(&args) {
        Ok(code) => code,
        // Whoever reads the output has seen enough.
        Err(error) if is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}
