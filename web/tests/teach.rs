//! Classes of one's own, on this machine's adapters.

use striate::error::ErrorKind;
use striate::gpu::GpuOptions;
use striate::interop::safetensors;
use striate::prelude::*;
use striate_cases::devices;
use striate_web::SIDE;
use striate_web::teaching::{CLASSES, Judged, KEPT_EVERY, MOST, PIXELS, Seen, Teaching};

const WEIGHTS: &[u8] = include_bytes!("../page/lenet5.safetensors");

/// Picture `number` of a class: a bar in one of the colours, standing, lying or slanted.
fn picture(class: usize, number: usize) -> Vec<u8> {
    let mut planes = vec![0; PIXELS];
    for at in 0..SIDE {
        let across = 10 + number % 8;
        let (row, column) = match class {
            0 => (at, across),
            1 => (across, at),
            _ => (at, (at + number % 3) % SIDE),
        };
        for thick in 0..3 {
            let column = (column + thick).min(SIDE - 1);
            planes[class * SIDE * SIDE + row * SIDE + column] = 220;
        }
    }
    planes
}

fn seen(gpu: &Gpu, teaching: &mut Teaching, pixels: &[u8]) -> Seen {
    let look = teaching.look(pixels).unwrap();
    gpu.block_on(look.arrive()).unwrap()
}

/// Learns all that is due.
fn judged(gpu: &Gpu, teaching: &mut Teaching) -> Judged {
    let mut last = None;
    while let Some(judging) = teaching.frame(7).unwrap() {
        last = Some(gpu.block_on(judging.arrive()).unwrap());
    }
    last.expect("steps were due")
}

fn diagonal(table: &[[u32; CLASSES]; CLASSES]) -> u32 {
    (0..CLASSES).map(|at| table[at][at]).sum()
}

/// Pictures of each class are read rightly, those that were kept back too; the same pictures give
/// the same bits; a class that is emptied is forgotten; what is wrong is refused.
#[test]
fn three_classes_are_learnt() {
    for gpu in devices::gpus(&GpuOptions::default()) {
        let engine = Engine::from(gpu.clone());
        let new = || {
            gpu.block_on(Teaching::new(&engine, WEIGHTS, |_| {}))
                .unwrap()
        };
        let taught = |teaching: &mut Teaching, classes: usize| {
            for number in 0..8 {
                for class in 0..classes {
                    let features = seen(&gpu, teaching, &picture(class, number)).features;
                    assert!(teaching.add(class, &features).unwrap());
                }
            }
        };
        let mut teaching = new();
        taught(&mut teaching, 1);
        assert!(!teaching.can_learn() && teaching.due() == 0);
        assert!(teaching.frame(10).unwrap().is_none());
        teaching.clear(0).unwrap();
        taught(&mut teaching, CLASSES);
        assert_eq!(teaching.counts(), [8; CLASSES]);
        let first = judged(&gpu, &mut teaching);
        let kept = 8 / KEPT_EVERY * CLASSES;
        assert_eq!(diagonal(&first.kept), kept as u32, "{first:?}");
        assert_eq!(
            diagonal(&first.learnt),
            (8 * CLASSES - kept) as u32,
            "{first:?}"
        );
        assert_eq!(first.kept.concat().iter().sum::<u32>(), kept as u32);
        let shares: Vec<Vec<f32>> = (0..CLASSES)
            .map(|class| seen(&gpu, &mut teaching, &picture(class, 3)).shares)
            .collect();
        for (class, shares) in shares.iter().enumerate() {
            assert!(shares[class] > 0.8, "class {class}: {shares:?}");
            assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }

        let mut again = new();
        taught(&mut again, CLASSES);
        assert_eq!(judged(&gpu, &mut again), first);
        assert_eq!(seen(&gpu, &mut again, &picture(1, 3)).shares, shares[1]);

        teaching.clear(2).unwrap();
        assert_eq!(teaching.counts(), [8, 8, 0]);
        let two = judged(&gpu, &mut teaching);
        assert_eq!(two.kept[2], [0; CLASSES]);
        assert_eq!(diagonal(&two.kept), 2 * (8 / KEPT_EVERY) as u32);

        let features = seen(&gpu, &mut teaching, &picture(2, 0)).features;
        for _ in 0..MOST {
            assert!(teaching.add(2, &features).unwrap());
        }
        assert!(
            !teaching.add(2, &features).unwrap(),
            "a full class takes no more"
        );
        for wrong in [
            teaching.add(CLASSES, &features).unwrap_err(),
            teaching.add(0, &features[1..]).unwrap_err(),
            teaching.clear(CLASSES).unwrap_err(),
            teaching.look(&[0; 3]).unwrap_err(),
        ] {
            assert_eq!(wrong.kind(), ErrorKind::Shape, "{wrong}");
        }
    }
}

/// A file of another network is refused with the name of what it lacks.
#[test]
fn another_network_is_refused() {
    let refused = |file: &[u8], gpu: &Gpu| {
        let engine = Engine::from(gpu.clone());
        let made = gpu.block_on(Teaching::new(&engine, file, |_| {}));
        made.unwrap_err()
    };
    for gpu in devices::gpus(&GpuOptions::default()) {
        assert_eq!(refused(b"words", &gpu).kind(), ErrorKind::Data);
        let tensor = Tensor::f32([2], vec![0.0; 2]).unwrap();
        let other = vec![("other".to_owned(), tensor)];
        let file = safetensors::encode(&other).unwrap();
        let error = refused(&file, &gpu);
        assert_eq!(error.kind(), ErrorKind::Checkpoint);
        assert!(error.to_string().contains("conv1"), "{error}");
    }
}
