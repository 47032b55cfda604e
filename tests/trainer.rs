//! The trainer: what it learns, when it ends, and that a broken run goes on to the bit.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use striate::data::{Augment, Dataset, Split, Targets, digits};
use striate::error::{Error, ErrorKind, Result};
use striate::gpu::{Engine, GpuOptions};
use striate::interop::{Predictor, load_parameters, load_training, save_training};
use striate::models::lenet5;
use striate::nn::{Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, Relu, Sequential};
use striate::ops::{Ema, Reduction};
use striate::store::Store;
use striate::tensor::Tensor;
use striate::train::{
    Adam, AdamW, Better, Classification, Counted, Ended, Event, Objective, Optimizer, Plateau,
    Regression, Scalar, Segmentation, Sgd, StepRecord, Stop, Task, Trainer, TrainerBuilder,
    warmup_cosine,
};
use striate_cases::devices::gpus;

/// Adapters, by their engines.
fn engines() -> Vec<Engine> {
    let gpus = gpus(&GpuOptions::default());
    gpus.into_iter().map(Engine::from).collect()
}

/// One adapter: the best one, or the CPU.
fn engine() -> Engine {
    engines().into_iter().next().unwrap_or_else(Engine::cpu)
}

/// Logits of digits by a network that software adapters train in no time.
fn small() -> impl Module {
    Sequential::new()
        .named("conv", Conv2d::new(1, 4, 5).stride(2))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Flatten)
        .then(Dropout { p: 0.1 })
        .named("fc", Linear::new(4 * 6 * 6, 10))
}

fn data(train: usize, test: usize) -> Split {
    Split {
        train: digits(train, 1).unwrap(),
        test: digits(test, 2).unwrap(),
    }
}

/// A path of this process in the folder for temporary files, without a file.
fn path(name: &str) -> PathBuf {
    let name = format!("striate-trainer-{}-{name}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::remove_file(&path).ok();
    path
}

/// What a network is, and what its optimizer remembers, as bytes.
fn bits(store: &Store) -> Vec<(String, Vec<u8>)> {
    use striate::graph::StateKind::*;
    let kinds = [Parameter, Statistic, Average, Moment(1), Moment(2)];
    let names = kinds.iter().flat_map(|&kind| store.names_of(kind));
    let names: Vec<&str> = names.collect();
    let states = store.snapshot(&names).unwrap().into_iter();
    states
        .map(|(name, tensor)| (name, tensor.bytes().to_vec()))
        .collect()
}

/// What an observer was told.
type Told = Rc<RefCell<Vec<String>>>;

/// An observer that keeps what it is told, but for steps.
fn listener() -> (Told, impl FnMut(&Event<'_>) -> Result<()> + 'static) {
    let told = Rc::new(RefCell::new(Vec::new()));
    let own = told.clone();
    let observer = move |event: &Event<'_>| {
        let word = match event {
            Event::Began(info) => format!("began at {}", info.begun_at),
            Event::Stepped(StepRecord { .. }) => return Ok(()),
            Event::Epoch(record) => format!("epoch {}", record.epoch),
            Event::Saved(_) => "saved".to_owned(),
            Event::Ended(ended, epochs) => format!("{ended:?} after {}", epochs.len()),
            _ => return Ok(()),
        };
        own.borrow_mut().push(word);
        Ok(())
    };
    (told, observer)
}

#[test]
fn fit_learns_digits_and_tells_of_it() {
    let net = lenet5(10);
    let data = data(600, 200);
    let (told, observer) = listener();
    let mut trainer = Trainer::builder(&engine(), &net, &data)
        .epochs(6)
        .batch(50)
        .optimizer(Adam::new().lr(3e-3))
        .observe(observer)
        .build()
        .unwrap();
    let fitted = trainer.fit().unwrap();
    assert_eq!(fitted.ended, Ended::Done);
    assert_eq!(fitted.history.len(), 6);
    let told = told.borrow().join(", ");
    let epochs = "epoch 1, epoch 2, epoch 3, epoch 4, epoch 5, epoch 6";
    assert_eq!(told, format!("began at 0, {epochs}, Done after 6"));
    let last = fitted.history.last().unwrap();
    let number = |name: &str| last.scalar(name).unwrap();
    assert!(number("val/accuracy") > 0.8, "{last:?}");
    assert!(number("val/top5") > number("val/accuracy"));
    assert!(number("train/loss") < fitted.history[0].scalar("train/loss").unwrap());
    assert_eq!((last.total, last.images), (72, 600));
    assert!((last.learning_rate - 3e-3).abs() < 1e-9);

    // The set on the device and the same set from the host are measured alike.
    let tested = trainer.evaluate(&data.test).unwrap();
    assert_eq!(tested.scalar("accuracy"), last.scalar("val/accuracy"));
    assert!((tested.scalar("loss").unwrap() - number("val/loss")).abs() < 1e-5);

    // The matrix is the one that the host counts from what the network answers.
    let outputs = trainer.predict(&data.test.images).unwrap();
    assert_eq!(outputs.shape()[..], [200, 10]);
    let mut counts = vec![0; 100];
    let (mut top5, mut loss) = (0, 0.0);
    for (row, &label) in outputs.as_f32().unwrap().chunks(10).zip(&data.test.labels) {
        let label = label as usize;
        let answer = (0..10)
            .rev()
            .max_by(|&a, &b| row[a].total_cmp(&row[b]))
            .unwrap();
        counts[label * 10 + answer] += 1;
        top5 += usize::from(row.iter().filter(|&&x| x > row[label]).count() < 5);
        let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
        loss += sum.ln() - f64::from(row[label]);
    }
    let confusion = tested.confusion.as_ref().unwrap();
    assert_eq!(confusion.counts(), counts);
    assert_eq!(confusion.accuracy(), tested.scalars[1].value);
    assert_eq!(tested.scalar("top5"), Some(top5 as f64 / 200.0));
    assert!((loss / 200.0 - tested.scalar("loss").unwrap()).abs() < 1e-4);

    // One image by itself is seen as it is among others.
    let one = trainer.predict(&data.test.images[..784]).unwrap();
    for (one, all) in one.as_f32().unwrap().iter().zip(outputs.as_f32().unwrap()) {
        assert!((one - all).abs() < 1e-4, "{one} {all}");
    }
    let file = path("model");
    trainer.save(&file).unwrap();
    let mut predictor = Predictor::load_on(&engine(), &file).unwrap();
    let said = predictor.predict(&data.test.images[..784]).unwrap();
    let row = one.as_f32().unwrap();
    assert!(row.iter().all(|&x| x <= row[said.class]));
    std::fs::remove_file(file).ok();
}

#[test]
fn patience_puts_the_best_bits_back() {
    let net = small();
    let data = data(60, 40);
    let bests = Rc::new(RefCell::new(0));
    let seen = bests.clone();
    // Far too high a rate: it gets worse sooner or later.
    let build = |epochs: usize, patience: Option<usize>| -> Result<Trainer> {
        let mut builder = Trainer::builder(&Engine::cpu(), &net, &data)
            .epochs(epochs)
            .batch(20)
            .monitor("loss", Better::Lower)
            .optimizer(Optimizer::new(Adam::new().lr(0.03)).average(Ema::new(0.5)));
        if let Some(patience) = patience {
            let seen = seen.clone();
            builder = builder
                .patience(patience)
                .observe(move |event: &Event<'_>| {
                    if let Event::Epoch(record) = event
                        && record.best
                    {
                        *seen.borrow_mut() = record.epoch;
                    }
                    Ok(())
                });
        }
        builder.build()
    };
    let mut trainer = build(60, Some(3)).unwrap();
    let fitted = trainer.fit().unwrap();
    assert_eq!(fitted.ended, Ended::Patience);
    let best = fitted.best().unwrap();
    assert_eq!(best.epoch, *bests.borrow());
    assert_eq!(fitted.history.len(), best.epoch + 3);
    let lowest = fitted.history.iter().map(|r| r.scalar("val/loss").unwrap());
    assert_eq!(
        lowest.fold(f64::INFINITY, f64::min),
        best.scalar("val/loss").unwrap()
    );

    // A run of as many epochs as the best one has the same bits.
    let mut other = build(best.epoch, None).unwrap();
    other.fit().unwrap();
    for name in ["fc.weight", "conv.bias", "ema.fc.weight"] {
        let (own, wanted) = (trainer.store().get(name), other.store().get(name));
        assert_eq!(own.unwrap().bytes(), wanted.unwrap().bytes(), "{name}");
    }
    let tested = trainer.evaluate(&data.test).unwrap();
    let difference = tested.scalar("loss").unwrap() - best.scalar("val/loss").unwrap();
    assert!(difference.abs() < 1e-6);
}

#[test]
fn a_plateau_lowers_the_rate() {
    let net = small();
    let data = data(40, 20);
    let mut trainer = Trainer::builder(&Engine::cpu(), &net, &data)
        .epochs(5)
        .batch(20)
        .optimizer(Sgd::new().lr(0.01))
        // Nothing is better by all of itself.
        .plateau(Plateau::new().factor(0.1).patience(0).threshold(1.0))
        .build()
        .unwrap();
    let fitted = trainer.fit().unwrap();
    let rates: Vec<f64> = fitted.history.iter().map(|r| r.learning_rate).collect();
    for (rate, wanted) in rates.iter().zip([1e-2, 1e-2, 1e-3, 1e-4, 1e-5]) {
        assert!((rate / wanted - 1.0).abs() < 1e-6, "{rates:?}");
    }
    let factor = trainer.store().get("learning_rate_factor").unwrap();
    assert!((f64::from(factor.item().unwrap()) / 1e-4 - 1.0).abs() < 1e-6);
}

/// A run with all that a checkpoint must hold: moments, averages, accumulation, augmentation,
/// dropout, a schedule, a plateau, patience, statistics of a remainder.
fn whole<'a>(engine: &'a Engine, net: &'a dyn Module, data: &'a Split) -> TrainerBuilder<'a> {
    let optimizer = Optimizer::new(AdamW::new().lr(2e-3)).average(Ema::new(0.9));
    Trainer::builder(engine, net, data)
        .epochs(4)
        .batch(12)
        .accumulate(2)
        .optimizer(optimizer.clip_norm(1.0))
        .augment(Augment::new().flip(0.5).shift(1))
        .rates(|updates| warmup_cosine(2e-3, updates / 5, updates))
        .plateau(Plateau::new().factor(0.5).patience(0).threshold(0.2))
        .patience(3)
        .monitor("train/loss", Better::Lower)
        .seed(5)
}

#[test]
fn a_stopped_run_goes_on_to_the_bit() {
    let net = small();
    let data = data(40, 20);
    for engine in [Engine::cpu(), engine()] {
        let mut unbroken = whole(&engine, &net, &data).build().unwrap();
        let wanted = unbroken.fit().unwrap();
        let wanted_bits = bits(unbroken.store());
        // 4 steps an epoch: at the beginning, in the middle, at the end of an epoch.
        for broken in [1, 3, 4, 6] {
            let file = path(&format!("resume-{broken}"));
            let stop = Stop::new();
            let flag = stop.clone();
            let mut trainer = whole(&engine, &net, &data)
                .resume(&file)
                .checkpoint_every(1)
                .stop(stop)
                .observe(move |event: &Event<'_>| {
                    if let Event::Stepped(step) = event
                        && step.total >= broken
                    {
                        flag.raise();
                    }
                    Ok(())
                })
                .build()
                .unwrap();
            let stopped = trainer.fit().unwrap();
            assert_eq!(stopped.ended, Ended::Stopped, "{broken}");

            // In another trainer.
            let (told, observer) = listener();
            let mut other = whole(&engine, &net, &data).resume(&file).observe(observer);
            other = other.seed(5);
            let mut other = other.build().unwrap();
            let fitted = other.fit().unwrap();
            assert_eq!(told.borrow()[0], format!("began at {broken}"));
            assert_eq!(bits(other.store()), wanted_bits, "{broken}");
            assert_eq!(fitted.ended, wanted.ended);
            assert_eq!(fitted.history.len(), wanted.history.len());
            for (own, wanted) in fitted.history.iter().zip(&wanted.history) {
                assert_eq!(own.scalars, wanted.scalars, "{broken}");
                assert_eq!(own.learning_rate, wanted.learning_rate);
                assert_eq!(own.best, wanted.best);
            }

            // In the same one.
            trainer.stop().lower();
            // The observer raises the flag again after each step.
            for _ in 0..32 {
                trainer.stop().lower();
                if trainer.fit().unwrap().ended != Ended::Stopped {
                    break;
                }
            }
            assert_eq!(bits(trainer.store()), wanted_bits, "{broken}");

            // A run that is done does nothing more.
            let mut done = whole(&engine, &net, &data).resume(&file).build().unwrap();
            let again = done.fit().unwrap();
            assert_eq!(again.history.len(), wanted.history.len());
            assert_eq!(bits(done.store()), wanted_bits, "{broken}");
            std::fs::remove_file(file).ok();
        }
    }
}

#[test]
fn a_run_with_other_settings_is_not_gone_on_with() {
    let net = small();
    let data = data(40, 20);
    let file = path("settings");
    let cpu = Engine::cpu();
    let build = |batch: usize, net: &dyn Module| {
        let builder = Trainer::builder(&cpu, net, &data).epochs(1).batch(batch);
        builder.resume(&file).build()
    };
    build(20, &net).unwrap().fit().unwrap();
    let refused = |error: Error, kind: ErrorKind, words: &str| {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    refused(
        build(10, &net).unwrap_err(),
        ErrorKind::Checkpoint,
        "batch was 20, and is 10 here",
    );
    let sgd = Trainer::builder(&cpu, &net, &data).epochs(1).batch(20);
    let sgd = sgd.optimizer(Sgd::new().momentum(0.9)).resume(&file);
    refused(
        sgd.build().unwrap_err(),
        ErrorKind::Checkpoint,
        "optimizer was Adam, rate 0.001, and is SGD, momentum 0.9, rate 0.001 here",
    );
    let other = Sequential::new()
        .then(Flatten)
        .named("fc", Linear::new(784, 10));
    refused(
        build(20, &other).unwrap_err(),
        ErrorKind::Checkpoint,
        "conv",
    );
    // More epochs are the same run.
    let longer = Trainer::builder(&cpu, &net, &data).epochs(2).batch(20);
    let mut longer = longer.resume(&file).build().unwrap();
    assert_eq!(longer.fit().unwrap().history.len(), 2);

    // A checkpoint is no network.
    let checkpoint = "this is a checkpoint of a training run: `TrainerBuilder::resume`";
    let error = Predictor::load_on(&cpu, &file).unwrap_err();
    refused(error, ErrorKind::Data, checkpoint);
    let error = load_parameters(&file, longer.store()).unwrap_err();
    refused(error, ErrorKind::Checkpoint, checkpoint);
    let error = load_training(&file, longer.store()).unwrap_err();
    refused(error, ErrorKind::Checkpoint, checkpoint);

    // What is no checkpoint, or one of another kind.
    save_training(&file, longer.store()).unwrap();
    let training = "this is the state of a training run, which `load_training` reads";
    refused(build(20, &net).unwrap_err(), ErrorKind::Data, training);
    striate::interop::save_parameters(&file, longer.store()).unwrap();
    refused(
        build(20, &net).unwrap_err(),
        ErrorKind::Data,
        "no checkpoint of a trainer",
    );
    std::fs::write(&file, b"nothing").unwrap();
    assert_eq!(build(20, &net).unwrap_err().kind(), ErrorKind::Data);
    std::fs::remove_file(file).ok();
}

/// An observer that fails once two epochs are done.
fn dry_in_the_second_epoch(event: &Event<'_>) -> Result<()> {
    match event {
        Event::Epoch(record) if record.epoch == 2 => {
            Err(Error::new(ErrorKind::Io, "the pen is dry"))
        }
        _ => Ok(()),
    }
}

#[test]
fn errors_end_a_run_and_leave_the_checkpoint() {
    let net = small();
    let data = data(40, 20);
    let file = path("errors");
    let cpu = Engine::cpu();
    let builder = || Trainer::builder(&cpu, &net, &data).epochs(3).batch(20);
    // An observer's error, in the second epoch.
    let mut trainer = builder()
        .checkpoint(&file)
        .observe(dry_in_the_second_epoch)
        .build()
        .unwrap();
    let error = trainer.fit().unwrap_err();
    assert_eq!(error.to_string(), "the pen is dry");
    let mut other = builder().resume(&file).build().unwrap();
    assert_eq!(other.history().len(), 2);
    assert_eq!(other.fit().unwrap().history.len(), 3);

    // A folder where the checkpoint should be, and one that takes no more files.
    let folder = path("folder");
    std::fs::create_dir(&folder).unwrap();
    let error = builder().checkpoint(&folder).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    std::fs::remove_dir(&folder).unwrap();
    #[cfg(target_os = "linux")]
    {
        // A device, which nothing can take the place of.
        let error = builder().checkpoint("/dev/full").build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
    }

    // What a loss that is not finite leaves behind.
    let before = std::fs::read(&file).unwrap();
    let mut wild = builder()
        .optimizer(Sgd::new().lr(1e30))
        .checkpoint(&file)
        .build()
        .unwrap();
    let error = wild.fit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFinite, "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(wild.save(&file).unwrap_err().kind(), ErrorKind::NotFinite);

    // What was best can be saved still, though moments are NaN.
    let mut late = builder()
        .patience(5)
        .optimizer(Adam::new())
        .rates(|updates| {
            let rate = |update| if update < 2 { 1e-3 } else { 1e30 };
            Ok((0..updates).map(rate).collect())
        })
        .build()
        .unwrap();
    let error = late.fit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFinite, "{error}");
    assert!(late.expect_finite().is_err());
    let best = path("best");
    late.save(&best).unwrap();
    std::fs::remove_file(best).unwrap();

    // What was best is there still, whatever ended the run.
    let mut pens = builder()
        .patience(5)
        .observe(dry_in_the_second_epoch)
        .build()
        .unwrap();
    pens.fit().unwrap_err();
    let best = pens.history().iter().rfind(|record| record.best).unwrap();
    let mut other = builder().epochs(best.epoch).build().unwrap();
    other.fit().unwrap();
    let weight = |trainer: &Trainer| trainer.store().get("fc.weight").unwrap();
    assert_eq!(weight(&pens).bytes(), weight(&other).bytes());
    // It goes on from the last step.
    assert_eq!(pens.fit().unwrap().history.len(), 3);

    // Settings.
    let refused = |builder: TrainerBuilder<'_>, kind: ErrorKind, words: &str| {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let unknown = builder().monitor("iou", Better::Higher);
    let words = "there is no \"val/iou\"; there are train/loss, train/accuracy, val/loss";
    refused(unknown, ErrorKind::Graph, words);
    refused(builder().batch(0), ErrorKind::Shape, "batch is at least 1");
    refused(builder().patience(0), ErrorKind::Shape, "patience");
    refused(
        builder().accumulate(7),
        ErrorKind::Shape,
        "all epochs together have 6 batches",
    );
    refused(builder().validation(1.5), ErrorKind::Data, "1.5");
    refused(
        builder().task(Segmentation::new()),
        ErrorKind::Data,
        "a mask for each image is needed, the set has a label for each image",
    );
    refused(
        builder().task(Classification::new().class_weights([1.0, 2.0])),
        ErrorKind::Data,
        "2 class weights for 10 classes",
    );
    refused(builder().freeze("cnv"), ErrorKind::Graph, "freeze \"cnv\"");
    refused(builder().begin_with("/nowhere"), ErrorKind::Io, "/nowhere");
    let plateau = Plateau::new().factor(2.0);
    refused(builder().plateau(plateau), ErrorKind::Shape, "factor 2");
    // Sets.
    let mut trainer = builder().build().unwrap();
    let other = Dataset::new(vec![0; 64], vec![1], [1, 8, 8], 10).unwrap();
    let error = trainer.evaluate(&other).unwrap_err();
    assert!(error.to_string().contains("images of 1x8x8"), "{error}");
    assert_eq!(
        trainer.predict(&[0; 100]).unwrap_err().kind(),
        ErrorKind::Shape
    );
    let named = |first: &str| -> Dataset {
        let names = (0..10).map(|class| format!("{first}{class}"));
        data.test.clone().with_names(names).unwrap()
    };
    let split = Split {
        train: data
            .train
            .clone()
            .with_names(named("a").class_names)
            .unwrap(),
        test: named("a"),
    };
    let mut trainer = Trainer::builder(&cpu, &net, &split).build().unwrap();
    let error = trainer.evaluate(&named("b")).unwrap_err();
    let words = "a class is \"a0\" where the network was trained, and \"b0\" in the set";
    assert!(error.to_string().contains(words), "{error}");
    let masks = Dataset::of_masks(vec![0; 16], vec![3; 16], [1, 4, 4], 3).unwrap_err();
    let words = "class 3 in the mask of image 0, row 0, column 0 is not below 3";
    assert!(masks.to_string().contains(words), "{masks}");
    std::fs::remove_file(file).ok();
}

#[test]
fn a_share_of_the_training_set_validates() {
    let net = small();
    let data = data(100, 20);
    let cpu = Engine::cpu();
    let (told, observer) = listener();
    let mut trainer = Trainer::builder(&cpu, &net, &data)
        .epochs(1)
        .batch(30)
        .validation(0.2)
        .observe(observer)
        .build()
        .unwrap();
    let fitted = trainer.fit().unwrap();
    assert_eq!(fitted.history[0].images, 80);
    assert_eq!(told.borrow().len(), 3);
    assert_eq!(trainer.evaluate(&data.test).unwrap().images, 20);
    let kept_apart = data.train.split(0.2, 0).unwrap().test;
    let tested = trainer.evaluate(&kept_apart).unwrap();
    assert_eq!(
        tested.scalar("accuracy"),
        fitted.history[0].scalar("val/accuracy")
    );
}

#[test]
fn weights_begin_a_run_and_frozen_ones_stay() {
    let data = data(40, 20);
    let (first, second) = (lenet5(10), lenet5(10));
    let cpu = Engine::cpu();
    let file = path("weights");
    let mut trainer = Trainer::builder(&cpu, &first, &data)
        .epochs(1)
        .build()
        .unwrap();
    trainer.fit().unwrap();
    trainer.save(&file).unwrap();
    let mut other = Trainer::builder(&cpu, &second, &data)
        .epochs(1)
        .seed(9)
        .freeze("conv*")
        .begin_with(&file)
        .build()
        .unwrap();
    let begun = other.facts().iter().find(|(name, _)| name == "begun with");
    assert!(begun.unwrap().1.starts_with("10 tensors of"), "{begun:?}");
    other.fit().unwrap();
    let same = |name: &str| {
        let (own, wanted) = (other.store().get(name), trainer.store().get(name));
        own.unwrap().bytes() == wanted.unwrap().bytes()
    };
    let names: Vec<&str> = trainer.store().names().collect();
    let frozen = names.iter().find(|n| n.starts_with("conv")).unwrap();
    assert!(same(frozen), "{frozen}");
    assert!(!same("fc3.weight"));
    std::fs::remove_file(file).ok();
}

/// Bright discs and rectangles on dark ground: what each pixel belongs to.
fn blobs(count: usize, seed: u64) -> Dataset {
    const SIDE: usize = 16;
    let mut state = seed;
    let mut next = |most: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % most
    };
    let (mut images, mut masks) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (y0, x0, radius) = (4 + next(8), 4 + next(8), 3 + next(2));
        let (top, left) = (next(10), next(10));
        for y in 0..SIDE {
            for x in 0..SIDE {
                let disc = y.abs_diff(y0).pow(2) + x.abs_diff(x0).pow(2) <= radius * radius;
                let bar = (top..top + 5).contains(&y) && (left..left + 5).contains(&x);
                let class = if disc { 1 } else { usize::from(bar) * 2 };
                masks.push(class as u8);
                images.push((30 + 80 * class + next(30)) as u8);
            }
        }
    }
    // A corner that nobody judged.
    masks[0] = Targets::IGNORED;
    Dataset::of_masks(images, masks, [1, SIDE, SIDE], 3).unwrap()
}

#[test]
fn segmentation_finds_blobs() {
    let net = Sequential::new()
        .named("conv1", Conv2d::new(1, 8, 3).padding(1))
        .then(Relu)
        .named("conv2", Conv2d::new(8, 3, 3).padding(1));
    let data = Split {
        train: blobs(60, 1),
        test: blobs(20, 2),
    };
    let engine = engine();
    let mut trainer = Trainer::builder(&engine, &net, &data)
        .task(Segmentation::new().balanced())
        .epochs(20)
        .batch(10)
        .optimizer(Adam::new().lr(0.01))
        .build()
        .unwrap();
    let fitted = trainer.fit().unwrap();
    let tested = trainer.evaluate(&data.test).unwrap();
    assert!(tested.scalar("mean_iou").unwrap() > 0.9, "{fitted:?}");
    let last = fitted.history.last().unwrap();
    assert_eq!(tested.scalar("mean_iou"), last.scalar("val/mean_iou"));
    let confusion = tested.confusion.unwrap();
    // All pixels but the ignored one.
    assert_eq!(confusion.total(), 20 * 256 - 1);
    let Targets::Masks(masks) = &data.test.targets else {
        panic!("{:?}", data.test.targets);
    };
    let outputs = trainer.predict(&data.test.images).unwrap();
    let mut counts = vec![0; 9];
    for (i, &class) in masks.iter().enumerate() {
        let logit = |k: usize| outputs.as_f32().unwrap()[(i / 256 * 3 + k) * 256 + i % 256];
        let answer = (0..3)
            .rev()
            .max_by(|&a, &b| logit(a).total_cmp(&logit(b)))
            .unwrap();
        if class != Targets::IGNORED {
            counts[usize::from(class) * 3 + answer] += 1;
        }
    }
    assert_eq!(confusion.counts(), counts);
}

#[test]
fn regression_learns_brightness_and_images() {
    let engine = engine();
    let set = |count: usize, seed: u64| {
        let images = blobs(count, seed).images;
        let means = images.chunks(256).map(|image| {
            let sum: u32 = image.iter().map(|&x| u32::from(x)).sum();
            sum as f32 / 256.0 / 64.0
        });
        let values = Tensor::f32([count, 1], means.collect()).unwrap();
        Dataset::of_values(images, &values, [1, 16, 16]).unwrap()
    };
    let data = Split {
        train: set(300, 1),
        // Fewer than a batch of evaluation: filler counts nowhere.
        test: set(21, 2),
    };
    let net = Sequential::new()
        .then(Flatten)
        .named("fc", Linear::new(256, 1));
    let mut trainer = Trainer::builder(&engine, &net, &data)
        .task(Regression::new().peak(2.0))
        .epochs(60)
        .batch(16)
        .rates(|updates| warmup_cosine(3e-3, 0, updates))
        .build()
        .unwrap();
    let fitted = trainer.fit().unwrap();
    let tested = trainer.evaluate(&data.test).unwrap();
    let outputs = trainer.predict(&data.test.images).unwrap();
    let Targets::Values { values, .. } = &data.test.targets else {
        panic!("{:?}", data.test.targets);
    };
    let errors: Vec<f64> = outputs
        .as_f32()
        .unwrap()
        .iter()
        .zip(values)
        .map(|(y, t)| f64::from(y - t))
        .collect();
    let mean = |f: &dyn Fn(f64) -> f64| errors.iter().map(|&e| f(e)).sum::<f64>() / 21.0;
    let close = |name: &str, wanted: f64| {
        let found = tested.scalar(name).unwrap();
        assert!(
            (found - wanted).abs() <= 1e-4 * wanted.abs(),
            "{name} {found} {wanted}"
        );
    };
    close("mse", mean(&|e| e * e));
    close("loss", mean(&|e| e * e));
    close("mae", mean(&|e| e.abs()));
    close("psnr", mean(&|e| 10.0 * (4.0 / (e * e)).log10()));
    let first = fitted.history[0].scalar("val/mae").unwrap();
    assert!(
        tested.scalar("mae").unwrap() < 0.4 * first,
        "{tested:?} {first}"
    );

    // Images of images: the negative.
    let image = |set: Dataset| {
        let negative = set.images.iter().map(|&x| 1.0 - f32::from(x) / 255.0);
        let values = Tensor::f32([set.count, 1, 16, 16], negative.collect()).unwrap();
        Dataset::of_values(set.images, &values, [1, 16, 16]).unwrap()
    };
    let data = Split {
        train: image(blobs(64, 1)),
        test: image(blobs(8, 2)),
    };
    let net = Sequential::new().named("conv", Conv2d::new(1, 1, 3).padding(1));
    let mut trainer = Trainer::builder(&engine, &net, &data)
        .task(Regression::new().peak(1.0))
        .epochs(40)
        .batch(8)
        .optimizer(Adam::new().lr(0.02))
        .build()
        .unwrap();
    let fitted = trainer.fit().unwrap();
    let psnr = fitted.history.last().unwrap().scalar("val/psnr").unwrap();
    assert!(psnr > 25.0, "{psnr}");
}

/// The mean absolute error of one number, and its largest: a program's own.
#[derive(Debug)]
struct Absolute;

impl Task for Absolute {
    fn expect(&self, set: &Dataset) -> Result<()> {
        set.expect_values().map(|_| ())
    }

    fn measure(&self, cx: &mut Objective<'_>) -> Result<()> {
        let (outputs, targets) = (cx.masked(cx.outputs())?, cx.targets());
        let sum = cx.graph().l1_loss(outputs, targets, Reduction::Sum)?;
        let mean = cx.mean(sum)?;
        cx.loss("absolute", mean, 1.0)?;
        let squares = cx.graph().square(outputs)?;
        let squares = cx.graph().sum(squares, &[0, 1], false)?;
        let decay = cx.mean(squares)?;
        cx.loss("size", decay, 1e-3)?;
        cx.sum("sum", sum)
    }

    fn metrics(&self, counted: &Counted) -> Result<Vec<Scalar>> {
        Ok(vec![Scalar::new("mean", counted.mean("sum")?)])
    }
}

#[test]
fn a_program_has_its_own_task() {
    let images = blobs(30, 3).images;
    let values = Tensor::f32([30, 1], (0..30).map(|i| (i % 3) as f32).collect()).unwrap();
    let set = Dataset::of_values(images, &values, [1, 16, 16]).unwrap();
    let data = set.split(0.2, 1).unwrap();
    assert_eq!((data.train.count, data.test.count), (24, 6));
    let net = Sequential::new()
        .then(Flatten)
        .named("fc", Linear::new(256, 1));
    let mut trainer = Trainer::builder(&Engine::cpu(), &net, &data)
        .task(Absolute)
        .epochs(2)
        .batch(7)
        .build()
        .unwrap();
    let fitted = trainer.fit().unwrap();
    let last = fitted.history.last().unwrap();
    let number = |name: &str| last.scalar(name).unwrap();
    assert!((number("val/mean") - number("val/loss.absolute")).abs() < 1e-6);
    let total = number("val/loss.absolute") + 1e-3 * number("val/loss.size");
    assert!((number("val/loss") - total).abs() < 1e-6, "{last:?}");
    // Another network than the task takes.
    let two = Sequential::new()
        .then(Flatten)
        .named("fc", Linear::new(256, 2));
    let builder = Trainer::builder(&Engine::cpu(), &two, &data).task(Regression::new());
    let error = builder.build().unwrap_err();
    assert!(
        error.to_string().contains("f32 [24, 1] is needed"),
        "{error}"
    );
}

#[test]
fn class_weights_favour_the_rare() {
    // 95 of the first class, 5 of the second, which look alike but for one faint pixel.
    let count = 100;
    let labels: Vec<u32> = (0..count).map(|i| u32::from(i % 20 == 0)).collect();
    let mut images = blobs(count, 5).images;
    for (image, &label) in images.chunks_mut(256).zip(&labels) {
        for pixel in &mut image[..40] {
            *pixel = pixel.saturating_add(25 * label as u8);
        }
    }
    let set = Dataset::new(images, labels, [1, 16, 16], 2).unwrap();
    let data = Split {
        train: set.clone(),
        test: set,
    };
    let net = Sequential::new()
        .then(Flatten)
        .named("fc", Linear::new(256, 2));
    let cpu = Engine::cpu();
    let recall = |task: Classification| {
        let builder = Trainer::builder(&cpu, &net, &data)
            .task(task)
            .epochs(6)
            .batch(25);
        let mut trainer = builder.optimizer(Sgd::new().lr(0.01)).build().unwrap();
        trainer.fit().unwrap();
        let tested = trainer.evaluate(&data.test).unwrap();
        tested.confusion.unwrap().recall(1)
    };
    let even = recall(Classification::new());
    let balanced = recall(Classification::new().balanced());
    assert!(balanced > even + 0.3, "{balanced} {even}");
    // Balanced weights are 100 / (2 * 95) and 100 / (2 * 5).
    let given = recall(Classification::new().class_weights([100.0 / 190.0, 10.0]));
    assert_eq!(given, balanced);
}

#[test]
fn batches_whose_labels_weigh_nothing_change_nothing() {
    let labels: Vec<u32> = (0..4).map(|i| i % 2).collect();
    let set = Dataset::new(blobs(4, 7).images, labels, [1, 16, 16], 2).unwrap();
    let data = Split {
        train: set.clone(),
        test: set,
    };
    let net = Sequential::new()
        .then(Flatten)
        .named("fc", Linear::new(256, 2));
    for engine in engines().into_iter().chain([Engine::cpu()]) {
        let task = Classification::new().class_weights([1.0, 0.0]);
        let builder = Trainer::builder(&engine, &net, &data).task(task);
        let builder = builder.optimizer(Sgd::new().lr(0.01));
        let mut trainer = builder.epochs(2).batch(1).build().unwrap();
        trainer.fit().unwrap();
        let weight = trainer.store().get("fc.weight").unwrap();
        let finite = weight.as_f32().unwrap().iter().all(|x| x.is_finite());
        assert!(finite, "{}", engine.describe());
    }
}

/// What the child of the next test is told by: where its checkpoint goes.
const CHILD: &str = "STRIATE_TRAINER_CHILD";

/// The run that is killed, and its twin that is not.
fn killed<'a>(engine: &'a Engine, net: &'a dyn Module, data: &'a Split) -> TrainerBuilder<'a> {
    whole(engine, net, data).epochs(60).patience(60)
}

#[test]
fn a_killed_run_goes_on_to_the_bit() {
    let (net, data) = (small(), data(40, 20));
    let engine = Engine::cpu();
    if let Some(file) = std::env::var_os(CHILD) {
        let builder = killed(&engine, &net, &data).resume(Path::new(&file));
        let mut trainer = builder.checkpoint_every(3).build().unwrap();
        trainer.fit().unwrap();
        trainer
            .save_parameters(Path::new(&file).with_extension("done"))
            .unwrap();
        return;
    }
    let mut unbroken = killed(&engine, &net, &data).build().unwrap();
    let begun = Instant::now();
    let wanted = unbroken.fit().unwrap();
    let whole = begun.elapsed();
    let file = path("killed");
    let done = file.with_extension("done");
    std::fs::remove_file(&done).ok();
    let child = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_run_goes_on_to_the_bit"])
            .env(CHILD, &file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    // Pseudo-random moments, from before the first step to beyond the last.
    let mut word = 9u64;
    let mut steps = Vec::new();
    for _ in 0..20 {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(3);
        let share = (word >> 40) as f64 / (1u64 << 24) as f64;
        let mut running = child();
        std::thread::sleep(Duration::from_secs_f64(
            share * 0.15 * whole.as_secs_f64() + 0.02,
        ));
        // SIGKILL, on Unix.
        running.kill().ok();
        running.wait().unwrap();
        if let Ok(tensors) = striate::interop::safetensors::load(&file) {
            let clock = tensors.iter().find(|(name, _)| name == "clock").unwrap();
            steps.push(clock.1.as_u32().unwrap()[2]);
        }
    }
    // They came at many different places.
    println!("{whole:?} without a break; killed after steps {steps:?}");
    assert!(steps.is_sorted());
    steps.dedup();
    assert!(steps.len() > 4, "{steps:?}");
    assert!(child().wait().unwrap().success());
    let mut other = killed(&engine, &net, &data).resume(&file).build().unwrap();
    assert_eq!(other.fit().unwrap().history.len(), wanted.history.len());
    for (own, wanted) in other.history().iter().zip(&wanted.history) {
        assert_eq!(own.scalars, wanted.scalars);
        assert_eq!(own.best, wanted.best);
    }
    assert_eq!(bits(other.store()), bits(unbroken.store()));
    assert!(done.exists());
    // It is no checkpoint of `save_training`, which says so.
    assert!(load_training(&file, other.store()).is_err());
    for file in [file, done] {
        std::fs::remove_file(file).ok();
    }
}
