//! Training on images that do not lie on the device: the same bits as on those that do, errors of
//! the source, threads that end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use striate::data::{Augment, Dataset, Mix, Source, Split, digits, sampled, source_fn};
use striate::error::{Error, ErrorKind};
use striate::gpu::{Engine, GpuOptions};
use striate::graph::StateKind;
use striate::interop::{load_training, save_training};
use striate::nn::{
    BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, Relu, Sequential,
};
use striate::ops::Ema;
use striate::store::Store;
use striate::train::{Adam, Classifier, ClassifierOptions, Optimizer, Streamed};
use striate_cases::devices::gpus;

/// Batch statistics, and masks that are keyed by streams and steps.
fn network() -> impl Module {
    Sequential::new()
        .named("conv", Conv2d::new(1, 4, 5).stride(2))
        .named("bn", BatchNorm2d::new(4))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Flatten)
        .then(Dropout::new(0.3))
        .named("fc", Linear::new(4 * 6 * 6, 10))
}

/// The CPU reference and every adapter found.
fn engines() -> Vec<Engine> {
    let gpus = gpus(&GpuOptions::default()).into_iter().map(Engine::from);
    std::iter::once(Engine::Cpu { threads: 2 })
        .chain(gpus)
        .collect()
}

/// Batches of 16 leave 6.
fn data() -> Split {
    Split {
        train: digits(70, 1).unwrap(),
        test: digits(20, 2).unwrap(),
    }
}

fn options(accumulate: usize, drop_last: bool, seed: u64) -> ClassifierOptions {
    ClassifierOptions {
        batch: 16,
        test_batch: 20,
        drop_last,
        accumulate,
        optimizer: Optimizer::new(Adam::new().lr(2e-3)).average(Ema::new(0.9)),
        // Keyed by where the host takes the images from.
        augment: Some(Augment::new().flip(0.5).shift(2)),
        mix: Some(Mix::mixup(0.4)),
        seed,
    }
}

fn streamed(set: &Dataset) -> Streamed {
    Streamed::new(set.clone()).workers(2).ahead(3)
}

/// All states but the set that lies on the device.
fn states(store: &Store) -> Vec<(String, Vec<u8>)> {
    let data: Vec<&str> = store.names_of(StateKind::Data).collect();
    let names = store.names().filter(|name| !data.contains(name));
    names
        .map(|name| (name.to_owned(), store.get(name).unwrap().bytes().to_vec()))
        .collect()
}

#[test]
fn the_weights_are_those_of_a_set_on_the_device() {
    let data = data();
    for (number, engine) in engines().iter().enumerate() {
        for (accumulate, drop_last) in [(1, false), (3, false), (1, true)] {
            let new = |stream: bool, seed: u64| {
                let builder = Classifier::builder(engine, network(), &data);
                let builder = builder.options(options(accumulate, drop_last, seed));
                match stream {
                    true => builder.stream(streamed(&data.train)).build().unwrap(),
                    false => builder.build().unwrap(),
                }
            };
            let (mut own, mut other) = (new(false, 7), new(true, 7));
            assert_eq!(own.steps_per_epoch(), other.steps_per_epoch());
            assert!(other.store().bytes() + 70 * 28 * 28 <= own.store().bytes());
            // Two epochs and a half, in runs of one step and of several.
            let half = own.steps_per_epoch() / 2;
            for steps in [1, 1, half, 2 * own.steps_per_epoch() - 2] {
                own.train(steps).unwrap();
                other.train(steps).unwrap();
                let name = engine.describe();
                assert_eq!(states(own.store()), states(other.store()), "{name}");
            }
            assert_eq!(own.metrics().unwrap(), other.metrics().unwrap());
            assert_eq!(own.test().unwrap(), other.test().unwrap());

            // A run that was saved goes on with the images that come next, whatever the seed of
            // the one that goes on.
            let file = format!("striate-stream-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(file);
            save_training(&path, own.store()).unwrap();
            let mut second = new(true, 8);
            second.train(2).unwrap();
            load_training(&path, second.store()).unwrap();
            std::fs::remove_file(&path).unwrap();
            for classifier in [&mut own, &mut second] {
                classifier.train(7).unwrap();
                classifier.metrics().unwrap();
            }
            assert_eq!(states(own.store()), states(second.store()));
        }
    }
}

/// A trainer has the same bits, also where another one goes on with its run.
#[test]
fn a_trainer_that_streams_goes_on_to_the_bit() {
    use striate::train::{Ended, Event, Stop, Trainer};
    let (net, data) = (network(), data());
    for (number, engine) in engines().iter().enumerate() {
        let new = |stream: bool| {
            let builder = Trainer::builder(engine, &net, &data)
                .epochs(2)
                .batch(16)
                .optimizer(Optimizer::new(Adam::new().lr(2e-3)).average(Ema::new(0.9)))
                .augment(Augment::new().flip(0.5).shift(2))
                .seed(7);
            match stream {
                true => builder.stream(streamed(&data.train)),
                false => builder,
            }
        };
        let mut own = new(false).build().unwrap();
        let mut whole = new(true).build().unwrap();
        own.fit().unwrap();
        whole.fit().unwrap();
        assert_eq!(states(own.store()), states(whole.store()));

        let file = format!("striate-stream-trainer-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(file);
        let stop = Stop::new();
        let flag = stop.clone();
        let mut broken = new(true)
            .resume(&path)
            .checkpoint_every(1)
            .stop(stop)
            .observe(move |event: &Event<'_>| {
                if let Event::Stepped(step) = event
                    && step.total >= 3
                {
                    flag.raise();
                }
                Ok(())
            })
            .build()
            .unwrap();
        assert_eq!(broken.fit().unwrap().ended, Ended::Stopped);
        assert_eq!(broken.position().unwrap(), (0, 3));
        drop(broken);
        let mut other = new(true).resume(&path).build().unwrap();
        assert_eq!(other.fit().unwrap().ended, Ended::Done);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(states(other.store()), states(whole.store()));
    }
}

#[test]
fn a_sample_that_fails_ends_a_run_that_can_go_on() {
    let data = data();
    let engine = Engine::Cpu { threads: 2 };
    let broken = Arc::new(AtomicBool::new(true));
    let (set, state) = (data.train.clone(), broken.clone());
    let source = source_fn(70, [1, 28, 28], 10, move |index, pixels| {
        if index == 33 && state.load(Ordering::SeqCst) {
            return Err(Error::new(
                ErrorKind::Data,
                "33.png: a picture that is corrupt",
            ));
        }
        set.sample(index, pixels)
    });
    let builder = Classifier::builder(&engine, network(), &data).options(options(1, false, 7));
    let mut classifier = builder.stream(Streamed::new(source)).build().unwrap();
    let mut failed = Vec::new();
    for _ in 0..2 {
        let error = classifier.train(5).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert_eq!(error.to_string(), "33.png: a picture that is corrupt");
        failed.push(classifier.position().unwrap());
    }
    // The steps before are done, and no other.
    assert_eq!(failed[0], failed[1]);
    let (epochs, done) = failed[0];
    assert!(epochs == 0 && done < 5);
    broken.store(false, Ordering::SeqCst);
    classifier.train(5 - done).unwrap();
    let mut whole = Classifier::new(&engine, network(), &data, &options(1, false, 7)).unwrap();
    whole.train(5).unwrap();
    assert_eq!(states(whole.store()), states(classifier.store()));
}

#[test]
fn threads_end_with_the_classifier() {
    let data = data();
    let source = Arc::new(data.train.clone());
    let engine = Engine::cpu();
    let builder = Classifier::builder(&engine, network(), &data);
    let builder = builder.options(options(1, false, 7));
    let streamed = Streamed::new(source.clone());
    let mut classifier = builder.stream(streamed).build().unwrap();
    classifier.train(1).unwrap();
    assert!(Arc::strong_count(&source) > 1);
    drop(classifier);
    assert_eq!(Arc::strong_count(&source), 1);
}

#[test]
fn images_are_held_against_the_set() {
    let data = data();
    let engine = Engine::cpu();
    let told = |source: Dataset| {
        let builder = Classifier::builder(&engine, network(), &data);
        let built = builder.stream(Streamed::new(source)).build();
        let error = built.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        error.to_string()
    };
    let other = Dataset::new(vec![0; 2 * 9], vec![0, 1], [1, 3, 3], 10).unwrap();
    assert_eq!(
        told(other),
        "streamed training set: its images are 1x3x3, those of the set 1x28x28"
    );
    let other = Dataset::new(vec![0; 784], vec![0], [1, 28, 28], 2).unwrap();
    assert_eq!(
        told(other),
        "streamed training set: it has 2 classes, the set 10"
    );
    let other = Dataset::new(vec![], vec![], [1, 28, 28], 10).unwrap();
    assert_eq!(told(other), "streamed training set: it has no images");

    let set = &data.train;
    assert_eq!(sampled(set, 70, 3).unwrap(), *set);
    let some = sampled(set, 10, 3).unwrap();
    assert_eq!((some.count, some.classes), (10, 10));
    let of = |set: &Dataset, index: usize| set.images[index * 784..][..784].to_vec();
    let first = (0..70)
        .position(|index| of(set, index) == of(&some, 0))
        .unwrap();
    assert_eq!(some.labels[0], set.labels[first]);
    assert_ne!(some, sampled(set, 10, 4).unwrap());
}

/// A head that is trained first, then all layers: as if every state were carried over by hand.
#[test]
fn thawed_layers_go_on_from_the_states_that_there_are() {
    use striate::train::{average_name, thaw};
    let data = data();
    for engine in engines() {
        let options = options(1, false, 7);
        let builder = || Classifier::builder(&engine, network(), &data).options(options.clone());
        let mut head = builder().freeze("conv").freeze("bn").build().unwrap();
        head.train(7).unwrap();
        let frozen = head.store().get("conv.weight").unwrap();
        let (mut thawed, mut by_hand) = (builder().build().unwrap(), builder().build().unwrap());
        let begun = thaw(head.store(), thawed.store()).unwrap();
        let mut wanted = Vec::new();
        let store = by_hand.store().clone();
        for name in store.names().map(str::to_owned).collect::<Vec<_>>() {
            if name.starts_with("train.") || name.starts_with("test.clock") {
                continue;
            }
            if let Ok(state) = head.store().get(&name) {
                store.set(&name, &state).unwrap();
            } else if name == average_name("conv.weight") {
                store.set(&name, &frozen).unwrap();
            }
            if head.store().ty(&name).is_err() {
                wanted.push(name);
            }
        }
        // The averages of the other frozen parameters begin as these do: here they never changed.
        assert_eq!(begun, wanted);
        assert!(begun.contains(&"moment1.conv.weight".to_owned()));
        assert_eq!(thawed.position().unwrap(), (1, 2));
        for classifier in [&mut thawed, &mut by_hand] {
            classifier.train(5).unwrap();
            classifier.metrics().unwrap();
        }
        assert_eq!(states(thawed.store()), states(by_hand.store()));
        assert_ne!(thawed.store().get("conv.weight").unwrap(), frozen);

        let other = Sequential::new()
            .then(Flatten)
            .named("fc", Linear::new(784, 10));
        let other = Classifier::new(&engine, other, &data, &options).unwrap();
        let before = states(other.store());
        let error = thaw(head.store(), other.store()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Checkpoint);
        assert!(
            error
                .to_string()
                .contains("\"fc.weight\" was f32 [10, 144]"),
            "{error}"
        );
        assert_eq!(before, states(other.store()));
    }
}

/// A head on kept features learns what it learns on top of the frozen trunk.
#[test]
fn kept_features_are_those_of_the_frozen_trunk() {
    use striate::graph::Graph;
    use striate::nn::Build;
    use striate::session::Session;
    use striate::shape::Type;
    use striate::tensor::Tensor;
    use striate::train::{Features, Normalise, Sgd, minimize};
    let set = digits(50, 4).unwrap();
    let net = network();
    for engine in engines() {
        let normalise = Normalise::measured(&set);
        let mut whole = Graph::new();
        let images = whole.input("images", Type::u8([50, 1, 28, 28])).unwrap();
        let indices = Tensor::u32([50], (0..50).collect()).unwrap();
        let indices = whole.constant(indices).unwrap();
        let all = whole.constant(Tensor::u32([1], vec![50]).unwrap()).unwrap();
        let [scale, shift] = [
            1.0 / normalise.deviations()[0],
            -normalise.means()[0] / normalise.deviations()[0],
        ];
        let x = whole
            .gather_rows(images, indices, all, scale as f32, shift as f32)
            .unwrap();
        let mut cx = Build::train(&mut whole).freeze("conv").freeze("bn");
        net.build(&mut cx, x).unwrap();
        let trunk = cx.find("bn").unwrap();
        let store = Store::new(&engine, &[&whole], 3).unwrap();
        let mut session = Session::new(&store, &whole, &[trunk]).unwrap();
        let pixels = Tensor::u8([50, 1, 28, 28], set.images.clone()).unwrap();
        session.write(images, &pixels).unwrap();
        session.run(1).unwrap();
        let wanted = session.read(trunk).unwrap();
        // In batches that do not divide the set.
        let features = Features::of(&store, &net, Some("bn"), &set, &normalise, 16).unwrap();
        assert_eq!(features.shape()[..], [4, 12, 12]);
        let pairs = features
            .values()
            .as_f32()
            .unwrap()
            .iter()
            .zip(wanted.as_f32().unwrap());
        for (own, wanted) in pairs {
            assert!(
                (own - wanted).abs() <= 1e-5 * wanted.abs().max(1.0),
                "{own} {wanted}"
            );
        }
        assert_eq!(features.labels().as_u32().unwrap(), set.labels);

        let mut g = Graph::new();
        let (x, labels) = features.batch(&mut g, 25).unwrap();
        let x = g.reshape(x, [25, 4 * 12 * 12]).unwrap();
        let mut cx = Build::train(&mut g);
        let logits = cx.layer("fc", &Linear::new(4 * 12 * 12, 10), x).unwrap();
        let loss = g.cross_entropy(logits, labels).unwrap();
        minimize(&mut g, loss, Sgd::new().lr(0.05).momentum(0.9)).unwrap();
        let head = Store::new(&engine, &[&g], 0).unwrap();
        let mut session = Session::new(&head, &g, &[loss]).unwrap();
        session.run(1).unwrap();
        let first = session.read(loss).unwrap().item().unwrap();
        session.run(40).unwrap();
        assert!(session.read(loss).unwrap().item().unwrap() < first / 2.0);

        let error = Features::of(&store, &net, Some("fc9"), &set, &normalise, 16).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("no layer \"fc9\"; there are conv, "),
            "{error}"
        );
        let error = Features::of(&store, &net, None, &set, &normalise, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
    }
}
