//! Overfitting and its cures: the same network on the same few digits, a tenth of them labelled
//! wrongly, without and with dropout, dropped feature maps and augmentation.
//!
//! Early stopping has no run of its own: the curve shows where it would have stopped. Judged by the
//! digits that chose the epoch, its loss is a little too good.

use striate::data::{Augment, Chance, Dataset, Split, digits};
use striate::nn::{Conv2d, Dropout, Dropout2d, Flatten, Linear, MaxPool2d, Relu, Sequential};
use striate::prelude::*;
use striate::train::{Adam, EpochRecord, Terminal, Trainer};

use crate::curves::{self, Run};
use crate::{Better, Common, Outcome, engine, say};

/// Shows a network that learns its few digits by heart, and what helps against it
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
}

/// Which cures a run has.
#[derive(Clone, Copy, Default)]
struct Cures {
    dropout: bool,
    maps: bool,
    augmentation: bool,
}

const RUNS: [(&str, Cures); 4] = [
    ("plain", cures(false, false, false)),
    ("dropout", cures(true, false, false)),
    ("dropped maps", cures(false, true, false)),
    ("augmented", cures(false, false, true)),
];

const fn cures(dropout: bool, maps: bool, augmentation: bool) -> Cures {
    Cures {
        dropout,
        maps,
        augmentation,
    }
}

/// Digits, of which one in so many has another label than its own.
fn draw(count: usize, seed: u64, wrong: usize) -> Result<Dataset> {
    let mut set = digits(count, seed)?;
    for (index, label) in set.labels.iter_mut().enumerate().step_by(wrong) {
        let mut chance = Chance::of(seed, index as u64);
        *label = (*label + 1 + chance.below(9) as u32) % 10;
    }
    Ok(set)
}

fn network(cures: Cures) -> Sequential {
    let maps = |net: Sequential| match cures.maps {
        true => net.then(Dropout2d::new(0.2)),
        false => net,
    };
    let units = |net: Sequential| match cures.dropout {
        true => net.then(Dropout::new(0.5)),
        false => net,
    };
    let block = |channels, out| {
        Sequential::new()
            .named("conv", Conv2d::new(channels, out, 5).padding(2))
            .then(Relu)
            .then(MaxPool2d::new(2))
    };
    let net = maps(Sequential::new().named("block1", block(1, 8)));
    let net = maps(net.named("block2", block(8, 16)));
    let net = units(net.then(Flatten)).named("fc1", Linear::new(16 * 7 * 7, 64));
    units(net.then(Relu)).named("fc2", Linear::new(64, 10))
}

/// Trains for all epochs, validated after each.
fn train(
    engine: &Engine,
    data: &Split,
    net: &dyn Module,
    augment: bool,
    common: &Common,
) -> Result<Vec<EpochRecord>> {
    let mut trainer = Trainer::builder(engine, net, data)
        .optimizer(Adam::new().lr(1e-3))
        .epochs(common.pick(40, 12))
        .batch(50)
        .seed(common.seed.into())
        .observe(Terminal::new().unread());
    if augment {
        trainer = trainer.augment(Augment::by_name("digits")?);
    }
    Ok(trainer.build()?.fit()?.history)
}

/// Trains one network four ways; the numbers are losses on held-out digits.
///
/// # Errors
/// Those of training and of drawing the curves.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    // The set of `test` is looked at after each epoch for the curves; no weights are chosen by it.
    let data = Split {
        train: draw(400, common.training_seed(), 10)?,
        test: digits(500, common.held_out_seed())?,
    };
    let engine = engine()?;
    let mut runs: Vec<Run> = Vec::new();
    for (name, cures) in RUNS {
        say(format!("{name}:"))?;
        let net = network(cures);
        let epochs = train(&engine, &data, &net, cures.augmentation, common)?;
        runs.push((name, epochs));
    }
    curves::write(
        common,
        "overfit.svg",
        "The same network on 400 digits, a tenth labelled wrongly",
        &data.train,
        &runs,
        ["val/loss", "val/accuracy"],
    )?;
    say("              loss learnt  loss held out  accuracy")?;
    for run in &runs {
        say(format!(
            "{:13} {:11.3} {:14.3} {:7.1} %",
            run.0,
            curves::last(run, "train/loss"),
            curves::last(run, "val/loss"),
            100.0 * curves::last(run, "val/accuracy"),
        ))?;
    }
    let losses = runs[0].1.iter().filter_map(|epoch| {
        let loss = epoch.scalar("val/loss")?;
        Some((epoch.epoch, loss))
    });
    if let Some((epoch, loss)) = losses.min_by(|a, b| a.1.total_cmp(&b.1)) {
        say(format!(
            "the plain one's lowest loss was {loss:.3}, after epoch {epoch}"
        ))?;
    }
    Ok(Outcome::new(
        "loss on 500 held-out digits after the last epoch, trained on augmented ones",
        "",
        Better::Lower,
        curves::last(&runs[3], "val/loss"),
        common.pick(0.4, 1.0),
    )
    .beside(
        "the same without a cure",
        curves::last(&runs[0], "val/loss"),
    )
    .beside("the constant answer", 10f64.ln()))
}
