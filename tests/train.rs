//! Training as a whole: the GPU follows the reference, repeats itself to the bit, and counts every
//! image.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use striate::data::digits::digits;
use striate::data::{Dataset, Split};
use striate::error::{Error, ErrorKind, Result};
use striate::gpu::{Engine, GpuOptions};
use striate::graph::{Graph, Init, Node, Op, StateKind, Value};
use striate::kernel::{Caps, Io, Lowering};
use striate::models::lenet5;
use striate::nn::{
    BatchNorm2d, Build, Conv2d, Flatten, Linear, MaxPool2d, Mode, Module, Relu, Sequential, from_fn,
};
use striate::ops::{AdamRule, Batches, Ema, Rule, SgdRule};
use striate::session::Session;
use striate::shape::Type;
use striate::store::Store;
use striate::tensor::{Array, Tensor};
use striate::train::{Adam, Classifier, ClassifierOptions, Group, Optimizer, constant};
use striate_cases::devices::gpus;

/// Logits of x `[n, 1, 28, 28]` by a network that software adapters train in no time.
fn small() -> impl Module {
    Sequential::new()
        .named("conv", Conv2d::new(1, 4, 5).stride(2))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Flatten)
        .named("fc", Linear::new(4 * 6 * 6, 10))
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
        drop_last: false,
        accumulate: 1,
        optimizer: Optimizer::new(rule).schedule(match rule {
            Rule::Sgd(_) => vec![0.05, 0.04, 0.03],
            _ => constant(2e-3),
        }),
        seed: 7,
        ..ClassifierOptions::default()
    }
}

fn momentum() -> Rule {
    Rule::Sgd(SgdRule {
        momentum: 0.9,
        nesterov: true,
        weight_decay: 1e-4,
        ..SgdRule::default()
    })
}

fn adam() -> Rule {
    Rule::Adam(AdamRule::default())
}

/// The losses of single steps, and the share of the test set that is right after them.
fn losses(engine: &Engine, rule: Rule, steps: usize) -> Result<(Vec<f64>, f64)> {
    // 40 images in batches of 12: every fourth batch is partly filled.
    let mut classifier = Classifier::new(engine, lenet5(10), &split(40, 30), &options(rule, 12))?;
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
            let mut classifier =
                Classifier::new(&engine, small(), &split(40, 30), &options).unwrap();
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
            let mut classifier = Classifier::new(&engine, small(), &data, &options).unwrap();
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
            Classifier::new(&engine, small(), &split(400, 100), &options(adam(), 32)).unwrap();
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
                optimizer: everything(momentum()).schedule(vec![0.05, 0.04, 0.03]),
                ..options(momentum(), batch)
            };
            let mut classifier = Classifier::new(&engine, small(), &data, &options).unwrap();
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
            // Each gradient is a mean over 12 rows in another order, off by (12 + 8) * 2^-24 of the
            // mean of its terms' magnitudes, here below 1; 6 updates at a rate of 0.05, which the
            // moment multiplies by up to 10.
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
    use striate::interop::{load_parameters, load_training, save_averaged, save_training};
    let amsgrad = Rule::Adam(AdamRule {
        weight_decay: 0.05,
        decoupled: true,
        amsgrad: true,
        ..AdamRule::default()
    });
    // Batches of 8 leave 4: a run is stopped and goes on inside an epoch, and inside an update.
    let data = split(44, 12);
    let mut engines = engines();
    engines.push(Engine::Cpu { threads: 2 });
    for (number, engine) in engines.iter().enumerate() {
        for accumulate in [1, 3] {
            let new = |optimizer: Optimizer, seed: u64| {
                let options = ClassifierOptions {
                    accumulate,
                    optimizer: optimizer.schedule((0..12).map(|i| 1e-3 / (i + 1) as f32).collect()),
                    seed,
                    ..options(adam(), 8)
                };
                Classifier::new(engine, small(), &data, &options).unwrap()
            };
            let state = |classifier: &Classifier| -> Vec<(String, Vec<u8>)> {
                let store = classifier.store();
                let counted: Vec<&str> = store.names_of(StateKind::Metric).collect();
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
            first.train(7).unwrap();
            save_training(&path, first.store()).unwrap();
            // Another seed: the clock of the saved run replaces it.
            let mut second = new(everything(amsgrad), 8);
            load_training(&path, second.store()).unwrap();
            second.train(5).unwrap();
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
            // The averages follow the parameters that were read: they are what is tested before
            // another step.
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

/// The rows of a training set of `count` in the order in which `steps` steps show them.
fn order(count: usize, batch: usize, drop_last: bool, seed: u64, steps: usize) -> Vec<usize> {
    let mut g = Graph::new();
    let clock = g.clock().unwrap();
    let batches = Batches {
        count,
        batch,
        shuffle: true,
        drop_last,
    };
    // With padding, so that the last batch tells how many of its rows are meant.
    let (indices, valid) = match drop_last {
        true => (g.batch_rows(clock, batches, batch).unwrap().0, None),
        false => {
            let (indices, valid) = g.shuffled_batch(clock, count, batch, true).unwrap();
            (indices, Some(valid))
        }
    };
    let next = g.advance(clock).unwrap();
    g.assign(clock, next).unwrap();
    let store = Store::new(&Engine::cpu(), &[&g], seed).unwrap();
    let fetched: Vec<Value> = std::iter::once(indices).chain(valid).collect();
    let mut session = Session::new(&store, &g, &fetched).unwrap();
    let mut order = Vec::new();
    for _ in 0..steps {
        session.run(1).unwrap();
        let valid = valid.map_or(batch, |valid| {
            session.read(valid).unwrap().as_u32().unwrap()[0] as usize
        });
        let indices = session.read(indices).unwrap();
        let indices = &indices.as_u32().unwrap()[..valid];
        order.extend(indices.iter().map(|&index| index as usize));
    }
    order
}

/// Ten images of 6x6 pixels in four classes.
fn ten() -> Dataset {
    let pixels = (0..10 * 36).map(|i| ((i * i * 7 + i * 31 + 11) % 251) as u8);
    let labels = (0..10).map(|i| i % 4).collect();
    Dataset::new(pixels.collect(), labels, [1, 6, 6], 4).unwrap()
}

fn normalised() -> impl Module {
    Sequential::new()
        .named("conv", Conv2d::new(1, 3, 3))
        .named("bn", BatchNorm2d::new(3))
        .then(Relu)
        .then(Flatten)
        .named("fc", Linear::new(3 * 16, 4))
}

/// What `tests/oracle/epochs.py` prints.
struct Trained {
    drop_last: bool,
    order: &'static [usize],
    losses: &'static [f64],
    states: &'static [(&'static str, &'static [f64])],
}

#[rustfmt::skip]
const TRAINED: [Trained; 2] = [
    Trained {
        drop_last: false,
        order: &[8, 1, 6, 3, 5, 4, 7, 0, 9, 2, 2, 5, 8, 6, 3, 1, 7, 9, 4, 0],
        losses: &[1.38050705, 1.33060543, 1.5264488, 1.37600748, 1.33890094, 1.4532798],
        states: &[
            ("conv.weight", &[
                -0.26629813, 0.0796366154, -0.0417896087, -0.127945591, -0.1135304, 0.227474256,
                -0.0130025751, -0.0929059005, -0.070333299, 0.16623584, 0.0731132469,
                -0.0366866904, -0.117201224, 0.186964179, 0.116975094, 0.0144759302, -0.111268244,
                -0.209299086, 0.174417912, -0.0543040356, -0.072295608, -0.11390483, 0.181671912,
                0.00917603722, -0.0379152109, -0.173423, 0.173249671,
            ]),
            ("bn.weight", &[
                0.233072515, 0.0204884932, -0.2060589,
            ]),
            ("bn.running_mean", &[
                -0.0339271907, -0.104110502, 0.0623255182,
            ]),
            ("bn.running_var", &[
                0.61778583, 0.607282327, 0.605371163,
            ]),
            ("fc.bias", &[
                0.0287483348, 0.0151835664, -0.157030876, -0.0615891098,
            ]),
        ],
    },
    Trained {
        drop_last: true,
        order: &[8, 1, 6, 3, 5, 4, 7, 0, 2, 5, 8, 6, 3, 1, 7, 9],
        losses: &[1.38050705, 1.33060543, 1.41336456, 1.34911486],
        states: &[
            ("conv.weight", &[
                -0.223158906, 0.0944919097, 0.00830744599, -0.107465933, -0.160128291,
                0.187241026, 0.0112681751, -0.0780806866, -0.106378883, 0.165842212, 0.0695917427,
                -0.0294827988, -0.122278437, 0.19080992, 0.115320937, 0.00787629247, -0.108478224,
                -0.207646767, 0.144835006, -0.0118347458, -0.0605223902, -0.151520025, 0.1564349,
                0.0182408983, -0.031381513, -0.153786404, 0.198929046,
            ]),
            ("bn.weight", &[
                0.230757306, 0.048814409, -0.20485055,
            ]),
            ("bn.running_mean", &[
                -0.0264789466, -0.0774594669, 0.0496960097,
            ]),
            ("bn.running_var", &[
                0.714923239, 0.714503904, 0.707705291,
            ]),
            ("fc.bias", &[
                0.0337272658, -0.0657670257, -0.209088427, 0.0662865205,
            ]),
        ],
    },
];

#[test]
fn the_last_batch_is_as_in_pytorch() {
    let data = Split {
        train: ten(),
        test: ten(),
    };
    let mut engines = engines();
    engines.push(Engine::Cpu { threads: 2 });
    for (engine, trained) in engines
        .iter()
        .flat_map(|e| TRAINED.iter().map(move |t| (e, t)))
    {
        let rule = Rule::Sgd(SgdRule {
            momentum: 0.9,
            weight_decay: 1e-3,
            ..SgdRule::default()
        });
        let options = ClassifierOptions {
            drop_last: trained.drop_last,
            optimizer: Optimizer::new(rule).schedule(constant(0.1)),
            ..options(rule, 4)
        };
        let steps = trained.losses.len();
        let shown = order(10, 4, trained.drop_last, options.seed, steps);
        assert_eq!(shown, trained.order, "drop_last {}", trained.drop_last);
        let mut classifier = Classifier::new(engine, normalised(), &data, &options).unwrap();
        assert_eq!(2 * classifier.steps_per_epoch(), steps);
        let store = classifier.store().clone();
        let names = [
            "conv.weight",
            "conv.bias",
            "bn.weight",
            "bn.bias",
            "fc.weight",
            "fc.bias",
        ];
        for (number, name) in names.into_iter().enumerate() {
            let shape = store.ty(name).unwrap().shape.clone();
            let values = (0..shape.count()).map(|i| ((i * 13 + number * 5) % 17) as f32 - 8.0);
            let values = values.map(|value| value / 40.0).collect();
            store
                .set(name, &Tensor::f32(shape, values).unwrap())
                .unwrap();
        }
        let near = |what: &str, found: f64, wanted: f64| {
            let off = (found - wanted).abs();
            assert!(
                off <= 1e-5 * wanted.abs().max(1.0),
                "{}, drop_last {}: {what} is {found}, PyTorch has {wanted}",
                engine.describe(),
                trained.drop_last
            );
        };
        for (step, &wanted) in trained.losses.iter().enumerate() {
            classifier.train(1).unwrap();
            let metrics = classifier.metrics().unwrap();
            near(&format!("the loss of step {step}"), metrics.loss, wanted);
        }
        for (name, wanted) in trained.states {
            let found = store.get(name).unwrap();
            for (&found, &wanted) in found.as_f32().unwrap().iter().zip(*wanted) {
                near(name, f64::from(found), wanted);
            }
        }
        assert_eq!(classifier.position().unwrap(), (2, 0));
    }
}

/// Normalises images and classifies them linearly.
fn straight() -> impl Module {
    Sequential::new()
        .named("bn", BatchNorm2d::new(1))
        .then(Flatten)
        .named("fc", Linear::new(28 * 28, 10))
}

#[test]
fn statistics_of_65_images_in_batches_of_64_hold_no_filler() {
    let data = split(65, 8);
    let mut engines = engines();
    engines.push(Engine::Cpu { threads: 2 });
    // The running variance after both batches, by its formula.
    let pixels: Vec<f64> = data
        .train
        .images
        .iter()
        .map(|&byte| f64::from(byte))
        .collect();
    let mean = pixels.iter().sum::<f64>() / pixels.len() as f64;
    let squares = pixels.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>();
    let deviation = (squares / pixels.len() as f64).sqrt();
    let order = order(65, 64, false, 7, 2);
    let mut wanted = 1.0;
    for rows in [&order[..64], &order[64..]] {
        let values = rows
            .iter()
            .flat_map(|&row| &pixels[row * 784..(row + 1) * 784]);
        let values: Vec<f64> = values.map(|x| (x - mean) / deviation).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>();
        wanted = 0.9 * wanted + 0.1 * squares / (count - 1.0);
    }
    for engine in engines {
        let mut classifier =
            Classifier::new(&engine, straight(), &data, &options(momentum(), 64)).unwrap();
        classifier.train(2).unwrap();
        let found = classifier
            .store()
            .get("bn.running_var")
            .unwrap()
            .item()
            .unwrap();
        println!("{}: running_var {found}, {wanted}", engine.describe());
        assert!((f64::from(found) - wanted).abs() < 1e-5);
    }
}

#[test]
fn a_last_batch_of_one_value_per_channel_is_refused() {
    let flat = Sequential::new()
        .then(Flatten)
        .named("fc1", Linear::new(36, 5))
        .named("bn", striate::nn::BatchNorm1d::new(5))
        .named("fc2", Linear::new(5, 4));
    let data = Split {
        train: ten(),
        test: ten(),
    };
    let all = options(momentum(), 3);
    let error = Classifier::new(&Engine::cpu(), &flat, &data, &all).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let text = error.to_string();
    assert!(
        text.contains("1 of 3 rows, drop_last leaves it out"),
        "{text}"
    );
    assert!(
        text.contains("training needs more than 1 value per channel"),
        "{text}"
    );
    let dropped = ClassifierOptions {
        drop_last: true,
        ..all
    };
    let mut classifier = Classifier::new(&Engine::cpu(), &flat, &data, &dropped).unwrap();
    assert_eq!(classifier.steps_per_epoch(), 3);
    classifier.train(4).unwrap();
    assert_eq!(classifier.metrics().unwrap().images, 12);
    let none = ClassifierOptions {
        batch: 11,
        ..dropped
    };
    let error = Classifier::new(&Engine::cpu(), &flat, &data, &none).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("batches of 11 leave none of 10 rows"),
        "{error}"
    );
}

#[test]
fn the_remainder_of_an_epoch_needs_no_pipeline() {
    let gpus = gpus(&GpuOptions::default());
    for gpu in gpus {
        let engine = Engine::from(gpu.clone());
        let build = |images: usize| {
            let data = split(images, 16);
            Classifier::new(&engine, small(), &data, &options(adam(), 16)).unwrap()
        };
        let mut whole = build(32);
        let pipelines = gpu.pipeline_count();
        let mut rest = build(32 + 9);
        assert_eq!(gpu.pipeline_count(), pipelines, "{}", engine.describe());
        for (classifier, images) in [(&mut whole, 64), (&mut rest, 82)] {
            classifier.train(2 * classifier.steps_per_epoch()).unwrap();
            assert_eq!(classifier.metrics().unwrap().images, images);
        }
    }
}

#[test]
fn labels_and_outputs_are_held_against_the_classes() {
    let engine = Engine::cpu();
    let refused = |data: &Split, words: &str, kind: ErrorKind| {
        let built = Classifier::new(&engine, normalised(), data, &options(momentum(), 4));
        let error = built.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(
            error.to_string().contains(words),
            "no `{words}` in `{error}`"
        );
    };
    let good = Split {
        train: ten(),
        test: ten(),
    };
    let mut bad = good.clone();
    bad.train.labels[3] = 4;
    let words = "training set: label 4 of image 3 is not below 4";
    refused(&bad, words, ErrorKind::Data);
    let mut bad = good.clone();
    bad.test.labels[9] = u32::MAX;
    let words = "test set: label 4294967295 of image 9 is not below 4";
    refused(&bad, words, ErrorKind::Data);
    let mut bad = good.clone();
    bad.test.classes = 5;
    refused(&bad, "4 classes, the test set 5", ErrorKind::Data);
    let mut bad = good.clone();
    bad.train.labels.pop();
    refused(&bad, "9 labels for 10 images", ErrorKind::Data);
    for classes in [2, 3, 5] {
        let labels: Vec<u32> = (0..10).map(|i| i % classes).collect();
        let set = Dataset::new(ten().images, labels, [1, 6, 6], classes as usize).unwrap();
        let data = Split {
            train: set.clone(),
            test: set,
        };
        let words = format!("f32 [4, {classes}] is needed for {classes} classes");
        refused(&data, &words, ErrorKind::Shape);
    }
    let two = Dataset::new(vec![0; 3 * 36], vec![0, 1, 2], [1, 6, 6], 2);
    assert_eq!(two.unwrap_err().kind(), ErrorKind::Data);
}

#[test]
fn labels_may_exceed_255() {
    const CLASSES: usize = 1000;
    let labels: Vec<u32> = (0..12).map(|i| 255 + i * 64).collect();
    // A bright pixel each.
    let bright = |i: usize| if i / 16 == i % 16 { 255 } else { 0 };
    let pixels: Vec<u8> = (0..12 * 16).map(bright).collect();
    let set = Dataset::new(pixels, labels, [1, 4, 4], CLASSES).unwrap();
    let data = Split {
        train: set.clone(),
        test: set,
    };
    let model = Sequential::new()
        .then(Flatten)
        .named("fc", Linear::new(16, CLASSES));
    let mut engines = engines();
    engines.push(Engine::Cpu { threads: 2 });
    for engine in engines {
        let options = ClassifierOptions {
            optimizer: Adam::new().lr(0.05).into(),
            ..options(adam(), 5)
        };
        let mut classifier = Classifier::new(&engine, &model, &data, &options).unwrap();
        classifier.train(120).unwrap();
        let share = classifier.test().unwrap();
        assert!(share > 0.9, "{}: {share}", engine.describe());
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_training() {
    let mut engines = engines();
    engines.push(Engine::Cpu { threads: 2 });
    for engine in engines {
        let name = engine.describe();
        let options = ClassifierOptions {
            optimizer: Optimizer::new(momentum()).schedule(vec![
                0.05,
                0.05,
                0.05,
                0.05,
                f32::MAX,
                f32::MAX,
            ]),
            ..options(momentum(), 16)
        };
        let new = || Classifier::new(&engine, small(), &split(40, 12), &options).unwrap();
        // Three steps make an epoch. Found step by step, and in a run of steps.
        let mut single = new();
        let steps = (0..20).take_while(|_| {
            single.train(1).unwrap();
            single.metrics().is_ok()
        });
        let finite = steps.count();
        assert!((5..8).contains(&finite), "{name}: {finite}");
        let place = format!("epoch {}, step {} of 3", finite / 3 + 1, finite % 3 + 1);
        for before in [0, 2] {
            let mut run = new();
            run.train(before).unwrap();
            run.metrics().unwrap();
            run.train(20 - before).unwrap();
            let error = run.metrics().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFinite);
            assert!(
                error.to_string().contains(&place),
                "{name}: {error}, not {place}"
            );
            let again = run.train(1).unwrap_err();
            assert_eq!(again.to_string(), error.to_string());
            let error = run.expect_finite().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFinite, "{error}");
            // A host that sets the clock begins anew.
            let clock = Tensor::u32([4], vec![7, 0, 0, 0]).unwrap();
            run.store().set("clock", &clock).unwrap();
            run.train(1).unwrap();
        }
        // Logits whose difference exceeds f32 are finite, their loss is not.
        let mut infinite = new();
        infinite.train(4).unwrap();
        infinite.expect_finite().unwrap();
        let store = infinite.store();
        let mut bias = vec![-3e38; 10];
        bias[0] = 3e38;
        let weight = store.ty("fc.weight").unwrap();
        store
            .set("fc.weight", &Tensor::zeros(weight).unwrap())
            .unwrap();
        store
            .set("fc.bias", &Tensor::f32([10], bias).unwrap())
            .unwrap();
        infinite.train(1).unwrap();
        let error = infinite.metrics().unwrap_err();
        let words = [
            "became infinite in epoch 2, step 2 of 3",
            "became NaN in epoch 2, step 2 of 3",
        ];
        let text = error.to_string();
        assert!(
            words.iter().any(|words| text.contains(words)),
            "{name}: {text}"
        );
    }
}

/// Rates that keep a run finite for `steps` steps and end it with the next ones.
fn diverging(steps: usize) -> Vec<f32> {
    let mut rates = vec![0.01; steps];
    rates.push(f32::MAX);
    rates
}

/// A run that was found too late leaves no trace in the one that is loaded over it.
#[cfg(feature = "interop")]
#[test]
fn a_checkpoint_that_is_loaded_is_not_blamed_for_what_came_before() {
    use striate::interop::{encode_training_async, load_training_bytes};
    let mut engines = engines();
    engines.push(Engine::Cpu { threads: 2 });
    for engine in engines {
        let options = ClassifierOptions {
            optimizer: Optimizer::new(momentum()).schedule(diverging(4)),
            ..options(momentum(), 16)
        };
        let mut run = Classifier::new(&engine, small(), &split(40, 12), &options).unwrap();
        run.train(2).unwrap();
        let good = encode_training_async(run.store());
        let good = pollster::block_on(good).unwrap();
        // Nobody looks at the metrics of these steps.
        run.train(20).unwrap();
        load_training_bytes(&good, run.store()).unwrap();
        run.train(1).unwrap();
        let metrics = run.metrics().unwrap();
        assert!(metrics.loss.is_finite());
        assert_eq!(metrics.images, 8, "the third step of an epoch of 40 images");
        run.train(1).unwrap();
        run.expect_finite().unwrap();
    }
}

/// Long training ends by itself soon after a loss that is not finite, and is not saved.
#[cfg(feature = "interop")]
#[test]
fn training_that_is_not_looked_at_is_not_saved() {
    let mut engines = engines();
    engines.push(Engine::Cpu { threads: 2 });
    for (number, engine) in engines.iter().enumerate() {
        let name = engine.describe();
        let options = ClassifierOptions {
            optimizer: Optimizer::new(momentum()).schedule(diverging(4)),
            ..options(momentum(), 4)
        };
        let new = || Classifier::new(engine, from_fn(tiny), &split(8, 4), &options).unwrap();
        let mut run = new();
        let file = format!("striate-unseen-{}-{number}.safetensors", std::process::id());
        let path = std::env::temp_dir().join(file);
        run.train(2).unwrap();
        run.save_training(&path).unwrap();
        let good = std::fs::read(&path).unwrap();
        let error = run.train(100_000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFinite, "{name}: {error}");
        assert!(error.to_string().contains("became"), "{name}: {error}");
        let (epochs, steps) = run.position().unwrap();
        assert!(2 * epochs + steps < 600, "{name}: {epochs} epochs");
        assert_eq!(run.train(1).unwrap_err().to_string(), error.to_string());

        let mut short = new();
        short.train(9).unwrap();
        for saved in [
            short.save_training(&path),
            short.save_parameters(&path),
            short.save_averaged(&path),
        ] {
            assert_eq!(saved.unwrap_err().kind(), ErrorKind::NotFinite, "{name}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), good);
        std::fs::remove_file(&path).unwrap();
    }
}

/// One layer, whose steps are counted as PyTorch counts those of batch normalisation.
fn tiny(cx: &mut Build, x: Value) -> Result<Value> {
    if cx.mode() == Mode::Train {
        let g = cx.graph();
        let (ty, first) = (Type::u32([4]), Init::Constant(0.0));
        let tracked = g.state("tracked", ty, StateKind::Statistic, first, None)?;
        let next = g.advance(tracked)?;
        g.assign(tracked, next)?;
    }
    Sequential::new()
        .then(Flatten)
        .named("fc", Linear::new(28 * 28, 10))
        .build(cx, x)
}

/// Moments and averages are looked at too, and integers are not taken for floats.
#[test]
fn all_that_is_kept_is_held_to_be_finite() {
    let mut engines = engines();
    engines.push(Engine::Cpu { threads: 2 });
    for engine in engines {
        let options = ClassifierOptions {
            optimizer: everything(adam()),
            ..options(adam(), 4)
        };
        let mut run = Classifier::new(&engine, from_fn(tiny), &split(8, 4), &options).unwrap();
        run.train(3).unwrap();
        run.expect_finite().unwrap();
        let store = run.store().clone();
        let (moments, averages) = (StateKind::Moment(1), StateKind::Average);
        let names = [moments, averages].map(|kind| store.names_of(kind).next().unwrap());
        for name in names {
            let good = store.get(name).unwrap();
            let mut values = good.as_f32().unwrap().to_vec();
            values[1] = f32::INFINITY;
            let bad = Tensor::f32(good.shape().clone(), values).unwrap();
            store.set(name, &bad).unwrap();
            let error = run.expect_finite().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFinite, "{error}");
            assert!(error.to_string().contains(name), "{error}");
            store.set(name, &good).unwrap();
            run.expect_finite().unwrap();
        }
    }
}

/// An op whose reference breaks its word at certain calls.
#[derive(Debug)]
struct Faulty(Arc<AtomicUsize>);

impl Op for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        Ok(vec![inputs[0].clone()])
    }

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        match self.0.fetch_sub(1, Ordering::Relaxed) {
            1 => Vec::new(),
            _ => vec![inputs[0].clone()],
        }
    }

    fn vjp(&self, _: &mut Graph, _: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![Some(dy[0])])
    }

    fn mixes_rows(&self, _: usize) -> bool {
        false
    }

    fn lower(&self, _: &Io, _: &Caps, _: &mut Lowering) -> Result<()> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "faulty: on the CPU only",
        ))
    }
}

/// The host's clock and the store's agree after a step that failed, and training goes on.
#[test]
fn a_step_that_fails_costs_only_itself() {
    let data = split(20, 8);
    for accumulate in [1, 3] {
        let calls = Arc::new(AtomicUsize::new(usize::MAX / 2));
        let model = from_fn(|cx: &mut Build, x| {
            let op = Faulty(calls.clone());
            let x = match cx.mode() {
                Mode::Train => cx.graph().apply(op, &[x])?[0],
                Mode::Eval => x,
            };
            tiny(cx, x)
        });
        let options = ClassifierOptions {
            accumulate,
            ..options(momentum(), 8)
        };
        let engine = Engine::Cpu { threads: 1 };
        let new = || Classifier::new(&engine, model, &data, &options).unwrap();
        let state = |run: &Classifier, name: &str| run.store().get(name).unwrap();
        // Of three steps in an epoch, the last one has a session of its own.
        let mut whole = new();
        whole.train(12).unwrap();
        let mut run = new();
        let mut done = 0;
        for good in [4, 0, 3] {
            calls.store(good + 1, Ordering::Relaxed);
            run.train(12 - done).unwrap_err();
            done += good;
            let (epochs, steps) = run.position().unwrap();
            assert_eq!(3 * epochs + steps, done);
            let clock = state(&run, "clock");
            assert_eq!(clock.as_u32().unwrap()[2] as usize, done);
        }
        calls.store(usize::MAX / 2, Ordering::Relaxed);
        run.train(12 - done).unwrap();
        assert_eq!(run.metrics().unwrap().images, 80);
        for name in ["fc.weight", "clock"] {
            assert_eq!(
                state(&run, name),
                state(&whole, name),
                "{name}, {accumulate}"
            );
        }
    }
}

/// Frozen layers keep their parameters through epochs, a pattern that matches nothing is told, and
/// auxiliary classifiers count in the loss.
#[test]
fn layers_are_frozen_and_auxiliary_heads_count() {
    let data = split(40, 20);
    let engine = Engine::Cpu { threads: 2 };
    let all = options(adam(), 16);
    let net = Sequential::new()
        .named("features", small_trunk())
        .named("fc", Linear::new(4 * 6 * 6, 10));
    let builder = Classifier::builder(&engine, &net, &data).options(all.clone());
    let mut run = builder.freeze("features").build().unwrap();
    let read = |run: &Classifier, name: &str| run.store().get(name).unwrap();
    let names = ["features.conv.weight", "fc.weight"];
    let before = names.map(|name| read(&run, name));
    run.train(6).unwrap();
    let after = names.map(|name| read(&run, name));
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
    let names_of = |freeze: bool| {
        let builder = Classifier::builder(&engine, &net, &data).options(all.clone());
        let builder = if freeze {
            builder.freeze("features")
        } else {
            builder
        };
        let run = builder.build().unwrap();
        run.store().names().map(str::to_owned).collect::<Vec<_>>()
    };
    let moments = |names: Vec<String>| names.iter().filter(|n| n.contains("conv.weight")).count();
    // The parameter alone, and beside it what the optimizer keeps.
    assert_eq!(moments(names_of(true)), 1);
    assert!(moments(names_of(false)) >= 3);

    let builder = Classifier::builder(&engine, &net, &data).options(all.clone());
    let error = builder.freeze("feature").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Graph);
    assert_eq!(
        error.to_string(),
        "freeze \"feature\": no layer is called so; there are features, fc"
    );

    // The loss with a head of weight 0.5 over the same logits is half as large again.
    let losses = [0.0, 0.5].map(|weight| {
        let model = from_fn(move |cx, x| {
            let y = cx.layer("net", &small(), x)?;
            cx.auxiliary("again", y, weight);
            Ok(y)
        });
        let sgd = ClassifierOptions {
            optimizer: striate::train::Sgd::new().lr(0.0).into(),
            ..all.clone()
        };
        let mut run = Classifier::new(&engine, model, &data, &sgd).unwrap();
        run.train(1).unwrap();
        run.metrics().unwrap().loss
    });
    assert!((losses[1] / losses[0] - 1.5).abs() < 1e-6, "{losses:?}");
}

fn small_trunk() -> Sequential {
    Sequential::new()
        .named("conv", Conv2d::new(1, 4, 5).stride(2))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Flatten)
}
