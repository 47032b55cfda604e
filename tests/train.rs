//! Training as a whole: the GPU follows the reference, repeats itself to the bit, and counts every image.

mod common;

use std::process::Command;

use common::gpus;
use striate::data::Split;
use striate::data::digits::digits;
use striate::error::Result;
use striate::gpu::{Engine, GpuOptions};
use striate::graph::{Graph, Value};
use striate::models::lenet5;
use striate::nn::{Conv2d, Flatten, Linear, MaxPool2d, Mode, Module, Relu, Sequential};
use striate::ops::{Adam, Rule, Sgd};
use striate::train::{Classifier, ClassifierOptions, constant};

/// Logits of x `[n, 1, 28, 28]` by a network that software adapters train in no time.
fn small(g: &mut Graph, x: Value, mode: Mode) -> Result<Value> {
    Sequential::new()
        .named("conv", Conv2d::new(1, 4, 5).stride(2))
        .then(Relu)
        .then(MaxPool2d::square(2))
        .then(Flatten)
        .named("fc", Linear::new(4 * 6 * 6, 10))
        .build(g, "", x, mode)
}

/// Adapters, by their engines.
fn engines() -> Vec<Engine> {
    let gpus = gpus(&GpuOptions::default());
    gpus.into_iter().map(Engine::from).collect()
}

fn split(train: usize, test: usize) -> Split {
    Split {
        train: digits(train, 1),
        test: digits(test, 2),
    }
}

fn options(rule: Rule, batch: usize) -> ClassifierOptions {
    ClassifierOptions {
        batch,
        test_batch: 16,
        rule,
        learning_rates: match rule {
            Rule::Sgd(_) => vec![0.05, 0.04, 0.03],
            Rule::Adam(_) => constant(2e-3),
        },
        seed: 7,
    }
}

fn momentum() -> Rule {
    Rule::Sgd(Sgd {
        momentum: 0.9,
        nesterov: true,
        weight_decay: 1e-4,
    })
}

fn adam() -> Rule {
    Rule::Adam(Adam::default())
}

/// The losses of single steps, and the share of the test set that is right after them.
fn losses(engine: &Engine, rule: Rule, steps: usize) -> Result<(Vec<f64>, f64)> {
    // 40 images in batches of 12: every fourth batch is partly filled.
    let mut classifier = Classifier::new(engine, lenet5, &split(40, 30), &options(rule, 12))?;
    let mut losses = Vec::new();
    for _ in 0..steps {
        classifier.train(1)?;
        losses.push(classifier.metrics()?.loss);
    }
    Ok((losses, classifier.test()?))
}

#[test]
fn ten_losses_follow_the_reference() {
    let engines = engines();
    if engines.is_empty() {
        return;
    }
    for rule in [momentum(), adam()] {
        let (want, want_accuracy) = losses(&Engine::Cpu { threads: 2 }, rule, 10).unwrap();
        for engine in &engines {
            let (got, accuracy) = losses(engine, rule, 10).unwrap();
            for (step, (got, want)) in got.iter().zip(&want).enumerate() {
                let relative = (got - want).abs() / want.abs();
                assert!(
                    relative <= 1e-4,
                    "{}, {rule:?}, step {step}: loss {got}, the reference has {want}",
                    engine.describe()
                );
            }
            // One of the 30 test images may lie on the fence.
            assert!((accuracy - want_accuracy).abs() < 1.5 / 30.0);
        }
    }
}

/// FNV-1a over all states of all adapters after some steps of training.
fn fingerprint(seed: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for engine in engines() {
        for rule in [momentum(), adam()] {
            let options = ClassifierOptions {
                seed,
                ..options(rule, 12)
            };
            let mut classifier = Classifier::new(&engine, small, &split(40, 30), &options).unwrap();
            classifier.train(25).unwrap();
            let store = classifier.store();
            for name in store.names() {
                for &byte in store.get(name).unwrap().bytes() {
                    hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
                }
            }
        }
    }
    hash
}

const CHILD: &str = "STRIATE_TEST_CHILD";

/// What the processes of the test below run; on its own it does nothing.
#[test]
fn child_prints_its_fingerprint() {
    if std::env::var_os(CHILD).is_some() {
        println!("fingerprint {:016x}", fingerprint(3));
    }
}

#[test]
fn two_processes_train_to_the_same_bits() {
    if engines().is_empty() {
        return;
    }
    let child = || -> String {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_prints_its_fingerprint", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find_map(|l| l.split("fingerprint ").nth(1));
        line.unwrap_or_else(|| panic!("the child printed {text}"))
            .trim()
            .to_owned()
    };
    let first = child();
    assert_eq!(first, child());
    assert_eq!(first, format!("{:016x}", fingerprint(3)));
    assert_ne!(
        first,
        format!("{:016x}", fingerprint(4)),
        "the seed has no effect"
    );
}

#[test]
fn batches_that_do_not_divide_the_set_count_every_image_once() {
    let data = split(50, 33);
    for engine in engines() {
        let mut accuracies = Vec::new();
        for (batch, test_batch) in [(1, 1), (7, 8), (16, 33), (50, 32), (64, 1000)] {
            let options = ClassifierOptions {
                test_batch,
                ..options(momentum(), batch)
            };
            let mut classifier = Classifier::new(&engine, small, &data, &options).unwrap();
            let steps = classifier.steps_per_epoch();
            assert_eq!(steps, 50usize.div_ceil(batch));
            // Before any step, the accuracy depends on the seed alone.
            accuracies.push(classifier.test().unwrap());
            for _ in 0..2 {
                classifier.train(steps).unwrap();
                let metrics = classifier.metrics().unwrap();
                assert_eq!(metrics.images, 50, "{}, batch {batch}", engine.describe());
                assert!(metrics.loss.is_finite());
            }
        }
        assert!(
            accuracies.windows(2).all(|w| w[0] == w[1]),
            "{}: {accuracies:?}",
            engine.describe()
        );
    }
}

#[test]
fn it_learns() {
    for engine in engines() {
        let mut classifier =
            Classifier::new(&engine, small, &split(400, 100), &options(adam(), 32)).unwrap();
        classifier.train(1).unwrap();
        let before = classifier.metrics().unwrap();
        classifier.train(60).unwrap();
        classifier.metrics().unwrap();
        classifier.train(classifier.steps_per_epoch()).unwrap();
        let after = classifier.metrics().unwrap();
        println!("{}: {before:?}, then {after:?}", engine.describe());
        // One in ten is chance.
        assert!(after.loss < before.loss * 0.75 && after.accuracy > 0.5);
    }
}
