//! A classifier saved with its card, and a predictor made from the file alone.

use std::fs;
use std::path::PathBuf;

use striate::data::{Fit, Split, digits};
use striate::error::ErrorKind;
use striate::gpu::{Engine, GpuOptions};
use striate::interop::{ModelCard, Predictor, load_parameters, safetensors};
use striate::models::{self, lenet5};
use striate::prelude::*;
use striate::train::{Classifier, ClassifierOptions, Normalise, Sgd};
use striate_cases::devices;

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("striate-predict-{name}-{}", std::process::id()))
}

fn data() -> Split {
    Split {
        train: digits(80, 1).unwrap(),
        test: digits(30, 2).unwrap(),
    }
}

fn trained(engine: &Engine, model: &models::Model) -> Classifier {
    let options = ClassifierOptions {
        batch: 20,
        test_batch: 30,
        optimizer: Sgd::new().lr(0.05).momentum(0.9).into(),
        ..ClassifierOptions::default()
    };
    let mut classifier = Classifier::new(engine, model, &data(), &options).unwrap();
    classifier.train(12).unwrap();
    classifier
}

/// A file made of bytes, as a browser makes it, says the same.
#[test]
fn a_file_is_made_without_a_path() {
    let engine = Engine::Cpu { threads: 2 };
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([1, 1, 28, 28])).unwrap();
    lenet5(10).build(&mut Build::eval(&mut g), x).unwrap();
    let store = Store::new(&engine, &[&g], 3).unwrap();
    let names: Vec<&str> = store.names().collect();
    let states = store.snapshot(&names).unwrap();
    let normalise = Normalise::given(&[0.1307], &[0.3081]).unwrap();
    let card = ModelCard::new(&lenet5(10), &normalise);
    let bytes = card.file(states.clone()).unwrap();
    assert_eq!(ModelCard::read(&bytes).unwrap().as_ref(), Some(&card));
    assert_eq!(card.normalise().unwrap(), normalise);

    let file = path("bytes");
    fs::write(&file, &bytes).unwrap();
    let predictor = Predictor::load_on(&engine, &file).unwrap();
    assert_eq!(predictor.card(), &card);
    fs::remove_file(&file).unwrap();

    let plain = safetensors::encode(&states).unwrap();
    assert_eq!(ModelCard::read(&plain).unwrap(), None);
    let error = ModelCard::read(&bytes[..bytes.len() - 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    let text = Tensor::u8([2], b"{}".to_vec()).unwrap();
    let wrong = safetensors::encode(&[("striate.model".to_owned(), text)]).unwrap();
    let error = ModelCard::read(&wrong).unwrap_err();
    assert!(error.to_string().contains("card cannot be read"), "{error}");
}

/// What the file says is enough: a predictor is right as often as the classifier was.
#[test]
fn a_predictor_needs_the_file_alone() {
    let file = path("model");
    let mut engines: Vec<Engine> = devices::gpus(&GpuOptions::default())
        .into_iter()
        .map(Engine::from)
        .collect();
    engines.push(Engine::Cpu { threads: 2 });
    for engine in engines {
        let model = lenet5(10);
        let mut classifier = trained(&engine, &model);
        let share = classifier.test().unwrap();
        classifier.save_model(&file, &model, Fit::Pad).unwrap();
        let mut predictor = Predictor::load_on(&engine, &file).unwrap();
        let card = predictor.card().clone();
        assert_eq!((card.model.as_str(), card.fit), ("lenet5", Fit::Pad));
        assert_eq!((card.classes, card.input), (10, [1, 28, 28]));
        assert_eq!(card.class_names[7], "7");
        let test = data().test;
        let mut right = 0;
        for (image, &label) in test.images.chunks_exact(28 * 28).zip(&test.labels) {
            let prediction = predictor.predict(image).unwrap();
            let sum: f32 = prediction.shares.iter().sum();
            assert!((sum - 1.0).abs() < 1e-5);
            assert_eq!(prediction.name, prediction.class.to_string());
            assert_eq!(prediction.share, prediction.shares[prediction.class]);
            right += usize::from(prediction.class == label as usize);
        }
        assert_eq!(right as f64 / 30.0, share, "{}", engine.describe());
        let error = predictor.predict(&[0; 28]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);

        // Who reads parameters passes the card over.
        load_parameters(&file, classifier.store()).unwrap();
        let error = classifier
            .save_model(&file, &lenet5(11), Fit::Crop)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        let kept = fs::read(&file).unwrap();
        let error = classifier
            .save_model(&file, &models::lenet5_1998(10), Fit::Crop)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("save_model: this is no lenet5_1998")
                || error.kind() == ErrorKind::Shape,
            "{error}"
        );
        assert!(fs::read(&file).unwrap() == kept);
    }
    fs::remove_file(&file).unwrap();
}

/// The same run gives the same bytes.
#[test]
fn a_model_file_is_a_function_of_its_run() {
    let engine = Engine::Cpu { threads: 2 };
    let files = ["once", "twice"].map(path);
    for file in &files {
        let model = lenet5(10);
        trained(&engine, &model)
            .save_model(file, &model, Fit::Crop)
            .unwrap();
    }
    let [once, twice] = files.clone().map(|file| fs::read(file).unwrap());
    assert!(once == twice);
    for file in files {
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn files_that_say_too_little_are_told() {
    let engine = Engine::cpu();
    let file = path("other");
    let told = |kind: ErrorKind, words: &str| {
        let error = Predictor::load_on(&engine, &file).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{text}");
        assert!(
            text.contains(words) && text.contains("striate-predict-other"),
            "{text}"
        );
    };
    told(ErrorKind::Io, "");
    let card = |text: &str| {
        let bytes = text.as_bytes().to_vec();
        let tensor = Tensor::u8([bytes.len()], bytes).unwrap();
        safetensors::save(&file, &[("striate.model".to_owned(), tensor)]).unwrap();
    };
    safetensors::save(&file, &[("w".to_owned(), Tensor::scalar(1.0))]).unwrap();
    told(ErrorKind::Data, "does not say of which network");
    card("{}");
    told(
        ErrorKind::Data,
        "the model's card cannot be read: missing field `model`",
    );
    let whole = |model: &str, names: &str, fit: &str, deviation: f64| {
        format!(
            r#"{{"model":"{model}","classes":2,"class_names":{names},"input":[1,28,28],
               "fit":"{fit}","mean":1.0,"deviation":{deviation:?}}}"#
        )
    };
    card(&whole("lenet6", "[]", "crop", 1.0));
    told(
        ErrorKind::Unsupported,
        "no network \"lenet6\"; there are lenet5, lenet5_1998",
    );
    card(&whole("lenet5", r#"["a"]"#, "crop", 1.0));
    told(ErrorKind::Data, "1 names for 2 classes");
    card(&whole("lenet5", "[]", "squash", 1.0));
    told(ErrorKind::Data, "the fit \"squash\"");
    card(&whole("lenet5", "[]", "crop", 1.0).replace("\"classes\":2", "\"classes\":0"));
    told(ErrorKind::Data, "0 classes");
    card(&whole("lenet5", "[]", "crop", 1.0).replace("28,28", "28,0"));
    told(ErrorKind::Data, "images of [1, 28, 0]");
    card(&whole("resnet6000000000000002_cifar", "[]", "crop", 1.0));
    told(ErrorKind::Shape, "up to 2000");
    card(&whole("lenet5", "[]", "crop", 0.0));
    told(ErrorKind::Data, "deviation [0.0]");
    card(&whole("lenet5", "[]", "crop", 1.0));
    told(ErrorKind::Checkpoint, "missing: \"conv1.weight\"");
    fs::remove_file(&file).unwrap();
}

#[test]
fn networks_are_found_by_their_names() {
    for name in models::names() {
        let model = models::by_name(name, 7).unwrap();
        assert_eq!((model.name(), model.classes()), (name, 7));
    }
    assert_eq!(
        models::by_name("resnet56_cifar", 3).unwrap().name(),
        "resnet56_cifar"
    );
    let error = models::by_name("resnet21_cifar", 3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let error = models::by_name("resnet", 3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// Subsets keep labels and names together.
#[test]
fn sets_are_cut_by_classes_and_shares() {
    let set = digits(200, 3).unwrap();
    let two = set.of_classes(&[7, 1]).unwrap();
    assert_eq!((two.classes, two.count), (2, 40));
    assert_eq!(two.class_names, ["7", "1"]);
    two.check().unwrap();
    let first = set
        .labels
        .iter()
        .position(|&label| label == 7 || label == 1)
        .unwrap();
    assert_eq!(two.images[..784], set.images[first * 784..][..784]);
    assert_eq!(two.labels[0], u32::from(set.labels[first] == 1));
    assert_eq!(set.of_classes(&[1, 1]).unwrap_err().kind(), ErrorKind::Data);
    assert_eq!(set.of_classes(&[10]).unwrap_err().kind(), ErrorKind::Data);

    let split = set.split(0.25, 9).unwrap();
    assert_eq!((split.train.count, split.test.count), (150, 50));
    split.check().unwrap();
    for class in 0..10 {
        let count = |labels: &[u32]| labels.iter().filter(|&&label| label == class).count();
        assert_eq!(
            (count(&split.train.labels), count(&split.test.labels)),
            (15, 5)
        );
    }
    assert_eq!(set.split(0.25, 9).unwrap(), split);
    assert_ne!(set.split(0.25, 10).unwrap(), split);
    for share in [0.0, 1.0, f64::NAN] {
        assert_eq!(set.split(share, 1).unwrap_err().kind(), ErrorKind::Data);
    }
    let few = set.first_of_each(3).unwrap();
    assert_eq!((few.count, few.labels.len()), (30, 30));
    assert_eq!(set.subset(&[200]).unwrap_err().kind(), ErrorKind::Data);
    let alone = set.first_of_each(1).unwrap();
    let error = alone.split(0.5, 1).unwrap_err();
    assert!(error.to_string().contains("has 1 images"), "{error}");
}
