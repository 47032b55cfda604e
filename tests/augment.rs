//! Augmentation of batches: what it depends on, how its draws are spread, what it costs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use striate::data::{Augment, Dataset, Keyed, Mix, Split, digits};
use striate::gpu::GpuOptions;
use striate::models;
use striate::nn::{Flatten, Linear, Sequential};
use striate::ops::{AugmentRow, AugmentStage, Border};
use striate::prelude::*;
use striate::reference::evaluate;
use striate::rng::Stream;
use striate::tensor::Array;
use striate::train::{Classifier, ClassifierOptions, Sgd};
use striate_cases::devices;

const SIZE: [usize; 3] = [3, 20, 24];
const IMAGES: usize = 64;

fn engines() -> Vec<Engine> {
    let gpus = devices::gpus(&GpuOptions::default());
    let gpus = gpus.into_iter().map(Engine::from);
    std::iter::once(Engine::cpu()).chain(gpus).collect()
}

fn bytes() -> Tensor {
    let stream = Stream::new(5, 6, 7);
    let [c, h, w] = SIZE;
    let bytes = (0..IMAGES * c * h * w).map(|i| stream.word(i as u64) as u8);
    Tensor::u8([IMAGES, c, h, w], bytes.collect()).unwrap()
}

/// Every known recipe, and one of whatever these lack.
fn recipes() -> Vec<Augment> {
    let known = Augment::NAMES.map(|name| Augment::by_name(name).unwrap());
    let own = Augment::new()
        .border(Border::Reflect)
        .flip_vertical(0.25)
        .rotate(30.0)
        .elastic(4, 2.0)
        .contrast(0.5)
        .saturation(0.5)
        .brightness(0.3)
        .posterize(4, 0.5)
        .noise(8.0)
        .random_erasing(0.5)
        .then()
        .sharpness(2.0, 0.5)
        .equalize(0.5)
        .autocontrast(0.5)
        .solarize(128, 0.5)
        .fill(7)
        .shift(3);
    known.into_iter().chain([own]).collect()
}

/// The images of a batch in some step, of an epoch of 10 steps.
fn augmented(engine: &Engine, recipe: &Augment, images: &[u32], step: u32) -> Vec<Vec<u32>> {
    let mut g = Graph::new();
    let clock = g.input("clock", Type::u32([4])).unwrap();
    let indices = g.constant(Tensor::u32([images.len()], images.to_vec()).unwrap());
    let (indices, data) = (indices.unwrap(), g.constant(bytes()).unwrap());
    let valid = g.constant(Tensor::u32([1], vec![images.len() as u32]).unwrap());
    let batch = g.gather_rows(data, indices, valid.unwrap(), 1.0, 0.0);
    let keyed = Keyed {
        clock,
        indices,
        steps_per_epoch: 10,
    };
    let made = recipe
        .images(&mut g, keyed, batch.unwrap(), &[1.0], &[0.0])
        .unwrap();
    let store = Store::new(engine, &[&g], 0).unwrap();
    let mut session = Session::new(&store, &g, &[made]).unwrap();
    let words = Tensor::u32([4], vec![11, 22, step, 0]).unwrap();
    session.write(clock, &words).unwrap();
    session.run(1).unwrap();
    let made = session.read(made).unwrap();
    let [c, h, w] = SIZE;
    let images = made.as_f32().unwrap().chunks(c * h * w);
    images
        .map(|image| image.iter().map(|x| x.to_bits()).collect())
        .collect()
}

/// An image is changed in the same way whatever the batch, the order, the step within an epoch and
/// the device; and in another way in the next epoch.
#[test]
fn what_becomes_of_an_image_depends_on_image_and_epoch_alone() {
    let all: Vec<u32> = (0..IMAGES as u32).collect();
    for (number, recipe) in recipes().iter().enumerate() {
        let engines = engines();
        let right = augmented(&engines[0], recipe, &all, 30);
        for engine in &engines {
            let whole = augmented(engine, recipe, &all, 39);
            assert!(whole == right, "recipe {number} in a batch of 64");
            let order: Vec<u32> = all.iter().rev().copied().take(7).collect();
            let some = augmented(engine, recipe, &order, 33);
            for (&image, made) in order.iter().zip(some) {
                assert!(
                    made == right[image as usize],
                    "recipe {number}: image {image}"
                );
            }
            let one = augmented(engine, recipe, &[17], 31);
            assert!(one[0] == right[17], "recipe {number} alone");
        }
        let next = augmented(&engines[0], recipe, &all, 40);
        let changed = next.iter().zip(&right).filter(|(a, b)| a != b);
        let changed = changed.count();
        assert!(changed > IMAGES / 2, "recipe {number}: {changed} changed");
    }
}

/// The rows that stages draw for many images in an epoch.
fn rows(stages: &[AugmentStage], images: u32, epoch: u32) -> Array {
    let mut g = Graph::new();
    let clock = g.input("clock", Type::u32([4])).unwrap();
    let indices = (0..images).collect();
    let indices = g.constant(Tensor::u32([images as usize], indices).unwrap());
    let rows = g
        .augment_rows(clock, indices.unwrap(), 1, stages, None)
        .unwrap();
    let words = Array::u32([4], vec![3, 4, epoch, 0]);
    let given = HashMap::from([(clock, Arc::new(words))]);
    evaluate(&g, &given, &[rows], 1).unwrap()[0]
        .as_ref()
        .clone()
}

/// Chi-squared of counts that should be equal, in deviations above its mean.
fn deviations(counts: &[usize]) -> f64 {
    let mean = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
    let terms = counts
        .iter()
        .map(|&n| (n as f64 - mean) * (n as f64 - mean) / mean);
    let freedom = counts.len() as f64 - 1.0;
    (terms.sum::<f64>() - freedom) / (2.0 * freedom).sqrt()
}

fn flips() -> Vec<AugmentStage> {
    let row = AugmentRow::default();
    let flipped = AugmentRow {
        matrix: [-1.0, 0.0, 31.0, 0.0, 1.0, 0.0],
        ..row
    };
    vec![AugmentStage {
        choices: vec![row.into(), flipped.into()],
        alternate: false,
    }]
}

fn flipped(rows: &Array) -> Vec<bool> {
    let rows = rows.u32s().chunks(rows.shape()[1]);
    rows.map(|row| (row[0] as i32) < 0).collect()
}

/// All choices, all places, and all pairs of choices in successive epochs are about equally
/// frequent.
#[test]
fn draws_are_spread_evenly() {
    let images = 40_000;
    let [now, next] = [8, 9].map(|epoch| flipped(&rows(&flips(), images, epoch)));
    let mut pairs = [0; 4];
    for (a, b) in now.iter().zip(&next) {
        pairs[usize::from(*a) * 2 + usize::from(*b)] += 1;
    }
    assert!(deviations(&pairs) < 5.0, "{pairs:?}");
    // 600 choices told apart by their fill and threshold, moved by up to 7 and 11 pixels.
    let choices = (0..600u32).map(|i| {
        let row = AugmentRow {
            fill: (i % 200) as u8,
            solarize: i / 200,
            ..AugmentRow::default()
        };
        let mut choice = striate::ops::AugmentChoice::from(row);
        choice.shift = [7, 11];
        choice
    });
    let stage = AugmentStage {
        choices: choices.collect(),
        alternate: false,
    };
    let made = rows(&[stage], images, 0);
    let mut found: [Vec<usize>; 3] = [vec![0; 600], vec![0; 7], vec![0; 11]];
    for row in made.u32s().chunks(24) {
        found[0][(row[7] + 200 * row[14]) as usize] += 1;
        found[1][row[2] as usize >> 16] += 1;
        found[2][row[5] as usize >> 16] += 1;
    }
    for counts in found {
        let off = deviations(&counts);
        assert!(off < 5.0, "{off} over {} values", counts.len());
    }
}

#[test]
fn alternating_choices_take_turns() {
    let mut stages = flips();
    stages[0].alternate = true;
    let [a, b, c] = [0, 1, 2].map(|epoch| flipped(&rows(&stages, 10_000, epoch)));
    assert!(a.iter().zip(&b).all(|(a, b)| a != b));
    assert_eq!(a, c);
    let first = a.iter().filter(|flipped| **flipped).count();
    assert!(deviations(&[first, a.len() - first]) < 5.0, "{first}");
}

/// Labels of pixels that are the pixels themselves stay that.
#[test]
fn masks_follow_their_images() {
    for engine in engines() {
        let mut g = Graph::new();
        let clock = g.clock().unwrap();
        let labels: Vec<u32> = (0..9 * 12 * 10).map(|i| i * 7 % 250 + 1).collect();
        let images = labels.iter().map(|&label| label as f32).collect();
        let images = Tensor::f32([9, 1, 12, 10], images).unwrap();
        let images = g.constant(images).unwrap();
        let masks = g
            .constant(Tensor::u32([9, 12, 10], labels).unwrap())
            .unwrap();
        let indices = g.constant(Tensor::u32([9], (0..9).collect()).unwrap());
        let keyed = Keyed {
            clock,
            indices: indices.unwrap(),
            steps_per_epoch: 1,
        };
        let recipe = Augment::new().flip(0.5).shift(4).then().flip_vertical(0.5);
        let made = recipe.images_and_masks(&mut g, keyed, [images, masks], 0, &[1.0], &[0.0]);
        let [images, masks] = made.unwrap();
        let store = Store::new(&engine, &[&g], 3).unwrap();
        let mut session = Session::new(&store, &g, &[images, masks]).unwrap();
        session.run(1).unwrap();
        let [images, masks] = [images, masks].map(|value| session.read(value).unwrap());
        let pixels: Vec<u32> = images.as_f32().unwrap().iter().map(|&x| x as u32).collect();
        assert_eq!(pixels, masks.as_u32().unwrap());
        assert!(pixels.contains(&0));
    }
}

/// Losses of a few steps, and the accuracy before them.
fn trained(engine: &Engine, data: &Split, options: &ClassifierOptions) -> (f64, Vec<u32>) {
    let net = Sequential::new()
        .then(Flatten)
        .named("fc", Linear::new(28 * 28, 10));
    let mut classifier = Classifier::new(engine, &net, data, options).unwrap();
    let before = classifier.test().unwrap();
    let mut losses = Vec::new();
    for _ in 0..6 {
        classifier.train(1).unwrap();
        losses.push((classifier.metrics().unwrap().loss as f32).to_bits());
    }
    (before, losses)
}

/// Training sees changed images, testing does not; the same options give the same bits.
#[test]
fn classifiers_train_on_augmented_images() {
    let data = Split {
        train: digits(50, 1).unwrap(),
        test: digits(40, 2).unwrap(),
    };
    let plain = ClassifierOptions {
        batch: 20,
        optimizer: Sgd::new().lr(0.01).into(),
        ..ClassifierOptions::default()
    };
    let augmented = ClassifierOptions {
        augment: Some(Augment::by_name("digits").unwrap()),
        ..plain.clone()
    };
    let mixed = ClassifierOptions {
        mix: Some(Mix::mixup(0.4).or(Mix::cutmix(1.0))),
        ..augmented.clone()
    };
    for engine in engines() {
        let all = [&plain, &augmented, &mixed].map(|options| trained(&engine, &data, options));
        for (before, losses) in &all {
            assert_eq!(before, &all[0].0);
            assert!(losses.iter().all(|&bits| f32::from_bits(bits).is_finite()));
        }
        assert_ne!(all[0].1, all[1].1);
        assert_ne!(all[1].1, all[2].1);
        assert_eq!(trained(&engine, &data, &mixed), all[2]);
    }
}

#[test]
fn unknown_recipes_are_told() {
    let message = Augment::by_name("mosaic").unwrap_err().to_string();
    assert_eq!(
        message,
        "no augmentation \"mosaic\" is known, only airbench, digits, rand-augment, \
         random-resized-crop, trivial-augment-wide"
    );
}

/// Changing images costs less than a tenth of a training step of ResNet-20 at batch 64. It takes a
/// minute, and runs where `STRIATE_LONG` is 1.
#[test]
fn augmentation_is_a_small_part_of_a_step() {
    if std::env::var("STRIATE_LONG").as_deref() != Ok("1") {
        println!("SKIPPED: STRIATE_LONG is not 1");
        return;
    }
    let set = |count: usize, seed| {
        let stream = Stream::new(seed, 1, 0);
        let pixels = (0..count * 3 * 32 * 32).map(|i| stream.word(i as u64) as u8);
        let labels = (0..count as u32).map(|i| i % 10).collect();
        Dataset::new(pixels.collect(), labels, [3, 32, 32], 10).unwrap()
    };
    let data = Split {
        train: set(256, 1),
        test: set(64, 2),
    };
    let vulkan = GpuOptions {
        backends: Some(striate::wgpu::Backends::VULKAN),
        ..GpuOptions::default()
    };
    for gpu in devices::gpus(&vulkan) {
        for name in Augment::NAMES {
            let options = ClassifierOptions {
                augment: Some(Augment::by_name(name).unwrap()),
                mix: Some(Mix::mixup(0.2)),
                optimizer: Sgd::new().lr(0.01).momentum(0.9).into(),
                ..ClassifierOptions::default()
            };
            let engine = Engine::from(gpu.clone());
            let net = models::resnet20(10);
            let mut classifier = Classifier::new(&engine, &net, &data, &options).unwrap();
            classifier.train(1).unwrap();
            // Others may use the machine too: the least of a few steps counts.
            let mut times: BTreeMap<&str, f64> = BTreeMap::new();
            for _ in 0..5 {
                let profile = classifier.profile().unwrap();
                let mut step: BTreeMap<&str, f64> = BTreeMap::new();
                for timed in &profile.dispatches {
                    *step.entry(timed.op).or_default() += timed.nanoseconds() / 1e6;
                }
                for (op, ms) in step {
                    let least = times.entry(op).or_insert(ms);
                    *least = least.min(ms);
                }
            }
            let all = times.values().sum::<f64>();
            let own = times
                .iter()
                .filter(|(op, _)| op.starts_with("augment") || op.starts_with("mix"));
            let own: BTreeMap<&&str, f64> = own.map(|(op, &ms)| (op, ms)).collect();
            let share = own.values().sum::<f64>() / (all - own.values().sum::<f64>());
            println!("{name}: {:.2} % of {all:.0} ms: {own:.2?}", 100.0 * share);
            assert!(share < 0.1, "{name}: {share}");
        }
    }
}
