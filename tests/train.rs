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
use striate::ops::{Adam, Ema, Rule, Sgd};
use striate::train::{Classifier, ClassifierOptions, Group, Optimizer, constant};

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
        train: digits(train, 1).unwrap(),
        test: digits(test, 2).unwrap(),
    }
}

fn options(rule: Rule, batch: usize) -> ClassifierOptions {
    ClassifierOptions {
        batch,
        test_batch: 16,
        accumulate: 1,
        optimizer: rule.into(),
        learning_rates: match rule {
            Rule::Sgd(_) => vec![0.05, 0.04, 0.03],
            _ => constant(2e-3),
        },
        seed: 7,
    }
}

fn momentum() -> Rule {
    Rule::Sgd(Sgd {
        momentum: 0.9,
        nesterov: true,
        weight_decay: 1e-4,
        ..Sgd::default()
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

/// A rule with everything that a step may have beside it.
fn everything(rule: Rule) -> Optimizer {
    Optimizer::new(rule)
        .group(Group::vectors().weight_decay(0.0).rate(0.5))
        .clip_norm(0.5)
        .clip_value(0.1)
        .average(Ema::new(0.9))
}

#[test]
fn accumulated_batches_update_as_one_large_batch() {
    let data = split(36, 12);
    let mut engines = engines();
    engines.push(Engine::Cpu { threads: 2 });
    for engine in engines {
        let train = |batch: usize, accumulate: usize| {
            let options = ClassifierOptions {
                accumulate,
                optimizer: everything(momentum()),
                learning_rates: vec![0.05, 0.04, 0.03],
                ..options(momentum(), batch)
            };
            let mut classifier = Classifier::new(&engine, small, &data, &options).unwrap();
            // Two epochs of updates with 12 images each.
            classifier.train(6 * accumulate).unwrap();
            let store = classifier.store();
            let names = [
                "conv.weight",
                "fc.bias",
                "ema.fc.weight",
                "moment1.fc.weight",
            ];
            let values = names.map(|name| store.get(name).unwrap());
            let values = values
                .iter()
                .flat_map(|tensor| tensor.as_f32().unwrap().to_vec());
            (values.collect::<Vec<f32>>(), classifier.test().unwrap())
        };
        let (wanted, accuracy) = train(12, 1);
        for (batch, accumulate) in [(4, 3), (6, 2)] {
            let (found, found_accuracy) = train(batch, accumulate);
            let off = wanted.iter().zip(&found).map(|(a, b)| (a - b).abs());
            let off = off.fold(0.0, f32::max);
            println!("{}: {accumulate} batches off by {off:e}", engine.describe());
            // Each gradient is a mean over 12 rows in another order, off by (12 + 8) * 2^-24 of the mean of its terms' magnitudes, here
            // below 1; 6 updates at a rate of 0.05, which the moment multiplies by up to 10.
            assert!(
                off < 6.0 * 0.05 * 10.0 * 20.0 / 16_777_216.0,
                "off by {off:e}"
            );
            assert!((accuracy - found_accuracy).abs() < 1.5 / 12.0);
        }
    }
}

#[cfg(feature = "interop")]
#[test]
fn a_run_that_was_saved_goes_on_to_the_bit() {
    use striate::error::ErrorKind;
    use striate::graph::Kind;
    use striate::interop::{load_parameters, load_training, save_averaged, save_training};
    let amsgrad = Rule::Adam(Adam {
        weight_decay: 0.05,
        decoupled: true,
        amsgrad: true,
        ..Adam::default()
    });
    let data = split(40, 12);
    let mut engines = engines();
    engines.push(Engine::Cpu { threads: 2 });
    for (number, engine) in engines.iter().enumerate() {
        for accumulate in [1, 3] {
            let new = |optimizer: Optimizer, seed: u64| {
                let options = ClassifierOptions {
                    accumulate,
                    optimizer,
                    learning_rates: (0..12).map(|i| 1e-3 / (i + 1) as f32).collect(),
                    seed,
                    ..options(adam(), 8)
                };
                Classifier::new(engine, small, &data, &options).unwrap()
            };
            let state = |classifier: &Classifier| -> Vec<(String, Vec<u8>)> {
                let store = classifier.store();
                let counted: Vec<&str> = store.names_of(Kind::Metric).collect();
                let names = store.names().filter(|name| !counted.contains(name));
                names
                    .map(|name| (name.to_owned(), store.get(name).unwrap().bytes().to_vec()))
                    .collect()
            };
            let file = format!("striate-resume-{}-{number}.safetensors", std::process::id());
            let path = std::env::temp_dir().join(file);
            let mut whole = new(everything(amsgrad), 7);
            whole.train(12).unwrap();
            let mut first = new(everything(amsgrad), 7);
            first.train(6).unwrap();
            save_training(&path, first.store()).unwrap();
            // Another seed: the clock of the saved run replaces it.
            let mut second = new(everything(amsgrad), 8);
            load_training(&path, second.store()).unwrap();
            second.train(6).unwrap();
            assert_eq!(state(&whole), state(&second), "{}", engine.describe());

            let other = new(Optimizer::new(momentum()), 7);
            let before = state(&other);
            let error = load_training(&path, other.store()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Checkpoint, "{error}");
            assert_eq!(before, state(&other));

            save_averaged(&path, whole.store()).unwrap();
            load_parameters(&path, other.store()).unwrap();
            assert_eq!(
                whole.store().get("ema.fc.weight").unwrap(),
                other.store().get("fc.weight").unwrap()
            );
            // The averages follow the parameters that were read: they are what is tested before another step.
            let fresh = new(everything(amsgrad), 9);
            load_parameters(&path, fresh.store()).unwrap();
            assert_eq!(
                fresh.store().get("ema.fc.weight").unwrap(),
                fresh.store().get("fc.weight").unwrap()
            );
            let (mut plain, mut averaged) = (other, fresh);
            assert_eq!(plain.test().unwrap(), averaged.test().unwrap());
            std::fs::remove_file(&path).unwrap();
        }
    }
}
