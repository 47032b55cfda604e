//! The report of a run of LeNet-5 on digits drawn from a seed. `STRIATE_REPORT=FOLDER` keeps the
//! page and the picture there, to be looked at.

use std::fs;
use std::path::PathBuf;

use striate::data::{Split, digits};
use striate::error::ErrorKind;
use striate::models::lenet5;
use striate::prelude::*;
use striate::report::{Examined, Report, Thumbnail, machine};
use striate::train::{
    Adam, Classifier, ClassifierOptions, Ended, EpochRecord, Event, Observer, Optimizer, RunInfo,
    Scalar, StepRecord, warmup_cosine,
};

const EPOCHS: usize = 6;

fn folder() -> (PathBuf, bool) {
    match std::env::var_os("STRIATE_REPORT") {
        Some(folder) => (folder.into(), true),
        None => {
            let name = format!("striate-report-{}", std::process::id());
            (std::env::temp_dir().join(name), false)
        }
    }
}

fn scalar(name: &str, value: f64) -> Scalar {
    let name = name.to_owned();
    Scalar { name, value }
}

/// Trains as a trainer would, and tells the report.
fn train(classifier: &mut Classifier, data: &Split, rates: &[f32], report: &mut Report) {
    let steps = classifier.steps_per_epoch();
    let facts = [
        ("network", "lenet5".to_owned()),
        ("data", "2,000 digits drawn from seed 1".to_owned()),
        ("device", classifier.store().engine().describe()),
        (
            "optimizer",
            "Adam, 0.003 falling to 0 by a cosine".to_owned(),
        ),
        ("batch", "50".to_owned()),
        ("seed", "1".to_owned()),
    ];
    let run = RunInfo {
        epochs: EPOCHS,
        steps_per_epoch: steps,
        images_per_epoch: data.train.count,
        begun_at: 0,
        restores_best: false,
        facts: facts.map(|(name, value)| (name.to_owned(), value)).into(),
    };
    report.observe(&Event::Began(&run)).unwrap();
    let mut records = Vec::new();
    let mut best = 0.0;
    for epoch in 1..=EPOCHS {
        let start = std::time::Instant::now();
        let (mut loss, mut right) = (0.0, 0.0);
        for part in 1..=4 {
            classifier.train(steps / 4).unwrap();
            let metrics = classifier.metrics().unwrap();
            loss += metrics.loss / 4.0;
            right += metrics.accuracy / 4.0;
            let record = StepRecord {
                epoch,
                step: part * steps / 4,
                total: (epoch - 1) * steps + part * steps / 4,
                rate: 1000.0,
                scalars: vec![
                    scalar("train/loss", metrics.loss),
                    scalar("train/accuracy", metrics.accuracy),
                ],
            };
            report.observe(&Event::Stepped(&record)).unwrap();
        }
        let seconds = start.elapsed().as_secs_f64();
        let accuracy = classifier.test().unwrap();
        let record = EpochRecord {
            epoch,
            total: epoch * steps,
            seconds,
            images: data.train.count,
            learning_rate: rates[epoch * steps - 1].into(),
            scalars: vec![
                scalar("train/loss", loss),
                scalar("train/accuracy", right),
                scalar("val/accuracy", accuracy),
            ],
            best: accuracy > best,
        };
        best = accuracy.max(best);
        report.observe(&Event::Epoch(&record)).unwrap();
        records.push(record);
    }
    report
        .observe(&Event::Ended(Ended::Done, &records))
        .unwrap();
}

#[test]
fn a_run_becomes_a_page() {
    let (folder, kept) = folder();
    fs::create_dir_all(&folder).unwrap();
    let data = Split {
        train: digits(2000, 1).unwrap(),
        test: digits(1000, 2).unwrap(),
    };
    let engine = Engine::new().unwrap();
    let rates = warmup_cosine(0.003, 20, 40 * EPOCHS).unwrap();
    let options = ClassifierOptions {
        batch: 50,
        optimizer: Optimizer::from(Adam::new()).schedule(rates.clone()),
        seed: 1,
        ..ClassifierOptions::default()
    };
    let mut classifier = Classifier::new(&engine, lenet5(10), &data, &options).unwrap();
    let mut report = Report::new("LeNet-5 on drawn digits");
    report.facts = machine();
    train(&mut classifier, &data, &rates, &mut report);

    let examined = Examined::of(&classifier, lenet5(10)).unwrap();
    report.examine(&examined, &data.test).unwrap();
    let right: u32 = (0..10).map(|class| report.confusion[11 * class]).sum();
    let share = classifier.test().unwrap();
    assert_eq!(f64::from(right) / 1000.0, share);
    assert_eq!(report.confusion.iter().sum::<u32>(), 1000);
    let wrong = 1000 - right as usize;
    assert_eq!(report.mistakes.len(), wrong.min(24));
    let certain = report.mistakes.iter().map(|mistake| mistake.probability);
    assert!(certain.is_sorted_by(|a, b| a >= b));
    assert!(report.mistakes.iter().all(|m| m.truth != m.answer));
    let filters = report.filters.as_ref().unwrap();
    assert_eq!(
        (filters.title.as_str(), filters.pictures.len()),
        ("conv1.weight", 6)
    );
    let layers: Vec<_> = report
        .maps
        .iter()
        .map(|m| (&*m.title, m.pictures.len()))
        .collect();
    assert_eq!(layers, [("conv1", 6), ("2", 6), ("conv2", 16), ("5", 16)]);
    assert!(report.maps[0].note.starts_with("conv2d, 6 of 28\u{d7}28; "));

    let page = folder.join("report.html");
    report.write(&page).unwrap();
    report.write_svg(folder.join("report.svg")).unwrap();
    let html = fs::read_to_string(&page).unwrap();
    let pictures = 24.min(wrong) + 6 + 1 + 6 + 6 + 16 + 16;
    assert_eq!(html.matches("data:image/png;base64,").count(), pictures);
    for tag in ["section", "figure", "table", "svg", "div", "dl", "g"] {
        let opened =
            html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    let wrong = data.test.of_classes(&[0, 1]).unwrap();
    let answers = examined.answers(&wrong).unwrap();
    let sum: f32 = answers.shares(wrong.count - 1).unwrap().iter().sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    assert!(answers.class(0).is_some_and(|class| class < 10));
    for beyond in [wrong.count, usize::MAX] {
        assert_eq!(
            (answers.shares(beyond), answers.class(beyond)),
            (None, None)
        );
    }
    let error = examined.maps(&[0; 3]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let error = Examined::of(&classifier, striate::models::lenet5_1998(10)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    if !kept {
        fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn a_page_that_cannot_be_written_is_named() {
    let report = Report::new("none");
    for path in ["/nowhere/report.html", "/dev/full"] {
        let error = report.write(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().starts_with(path), "{error}");
    }
    let error = Thumbnail::new(vec![0; 4], [2, 1, 2]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
}
