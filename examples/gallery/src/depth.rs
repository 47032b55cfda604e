//! Depth: plain networks, which become harder to train the deeper they are, and residual ones,
//! which do not; and the same plain network without and with batch normalisation.
//!
//! He et al. 2015, "Deep residual learning for image recognition", figure 1 and section 4.2.

use striate::data::{Split, digits};
use striate::nn::init::Scheme;
use striate::nn::{
    BatchNorm2d, Build, Conv2d, Flatten, GlobalAvgPool, Linear, Module, Relu, Sequential,
};
use striate::prelude::*;
use striate::train::{EpochRecord, Sgd, Terminal, Trainer, warmup_cosine};

use crate::curves::{self, Run};
use crate::{Better, Common, Outcome, engine, say};

/// Compares plain and residual networks of growing depth
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
}

/// Channels of all layers.
const CHANNELS: usize = 16;

/// Two convolutions, and what came in added to what they make, if it is residual.
#[derive(Debug)]
struct Block {
    residual: bool,
    norm: bool,
}

impl Module for Block {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        let y = cx.layer("first", &conv(self.norm), x)?;
        let y = cx.graph().relu(y)?;
        let y = cx.layer("second", &conv(self.norm), y)?;
        let sum = match self.residual {
            true => cx.graph().add(y, x)?,
            false => y,
        };
        cx.graph().relu(sum)
    }
}

/// A convolution of 3x3, normalised if it is said so.
fn conv(norm: bool) -> Sequential {
    layer(Conv2d::new(CHANNELS, CHANNELS, 3).padding(1), norm)
}

fn layer(conv: Conv2d, norm: bool) -> Sequential {
    let conv = conv.bias(!norm).init(Scheme::kaiming_relu());
    let layer = Sequential::new().named("conv", conv);
    match norm {
        true => layer.named("norm", BatchNorm2d::new(CHANNELS)),
        false => layer,
    }
}

/// A network of `depth` layers with weights: a first one, blocks of two at 7x7, a last one.
fn network(depth: usize, residual: bool, norm: bool) -> Sequential {
    let mut net = Sequential::new()
        .named("stem", layer(Conv2d::new(1, CHANNELS, 4).stride(4), norm))
        .then(Relu);
    for number in 1..=(depth - 2) / 2 {
        net = net.named(&format!("block{number}"), Block { residual, norm });
    }
    net.then(GlobalAvgPool)
        .then(Flatten)
        .named("fc", Linear::new(CHANNELS, 10))
}

fn train(
    engine: &Engine,
    data: &Split,
    net: &dyn Module,
    common: &Common,
) -> Result<Vec<EpochRecord>> {
    let mut trainer = Trainer::builder(engine, net, data)
        .optimizer(Sgd::new().momentum(0.9).weight_decay(1e-4))
        .rates(|updates| warmup_cosine(0.05, updates / 10, updates))
        .epochs(common.pick(6, 4))
        .batch(50)
        .seed(common.seed.into())
        .observe(Terminal::new().unread())
        .build()?;
    Ok(trainer.fit()?.history)
}

/// Trains networks of three depths both ways, and one without normalisation; the number is the
/// deepest residual network's accuracy, beside that of the plain one.
///
/// # Errors
/// Those of training and of drawing the curves.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    let data = Split {
        train: digits(common.pick(1500, 1000), common.training_seed())?,
        test: digits(500, common.held_out_seed())?,
    };
    let engine = engine()?;
    let learn = |name: &'static str, net: &dyn Module| -> Result<Run> {
        say(format!("{name}:"))?;
        Ok((name, train(&engine, &data, net, common)?))
    };
    let depths: &[(&str, &str, usize)] = &[
        ("plain, 8", "residual, 8", 8),
        ("plain, 20", "residual, 20", 20),
        ("plain, 32", "residual, 32", 32),
    ];
    let depths = common.pick(depths, &depths[..2]);
    let (mut plain, mut residual) = (Vec::new(), Vec::new());
    for &(by_itself, with_shortcuts, depth) in depths {
        plain.push(learn(by_itself, &network(depth, false, true))?);
        residual.push(learn(with_shortcuts, &network(depth, true, true))?);
    }
    let bare = learn("not normalised", &network(8, false, false))?;
    let normalised = ("normalised", plain[0].1.clone());
    let chart = |file: &str, title: &str, runs: &[Run]| {
        let measures = ["train/loss", "val/accuracy"];
        curves::write(common, file, title, &data.train, runs, measures)
    };
    chart("depth_plain.svg", "Plain networks of growing depth", &plain)?;
    chart(
        "depth_residual.svg",
        "Residual networks of growing depth",
        &residual,
    )?;
    let title = "Eight layers without and with batch normalisation";
    chart("batch_norm.svg", title, &[bare, normalised])?;
    let deepest = depths[depths.len() - 1].2;
    let [plain, residual] = [&plain, &residual].map(|runs| {
        let last = runs.last();
        100.0 * last.map_or(f64::NAN, |run| curves::last(run, "val/accuracy"))
    });
    Ok(Outcome::new(
        format!("accuracy on 500 held-out digits, {deepest} layers"),
        "%",
        Better::Higher,
        residual,
        common.pick(88.0, 70.0),
    )
    .beside("the same without shortcuts", plain)
    .beside("the constant answer", 10.0))
}
