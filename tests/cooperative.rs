//! Products by cooperative matrices: who may ask for them, and what they make of numbers.
//! `cases/tests/ops.rs` holds them against the reference.

use std::task::{Context, Poll, Waker};

use striate::kernel::{Body, Choice, Matrices, Tile, Tuning};
use striate::prelude::*;
use striate::wgpu;
use striate_cases::devices::gpus;

/// Kernels on matrices that are written out in WGSL.
fn plain() -> GpuOptions {
    GpuOptions {
        body: Some(Body::Cooperative),
        matrices: Some(Matrices::Plain),
        ..GpuOptions::default()
    }
}

/// The product of two matrices that are given row by row.
fn product([m, n, k]: [usize; 3], a: Vec<f32>, b: Vec<f32>) -> (Graph, Value) {
    let mut g = Graph::new();
    let a = g.constant(Tensor::f32([m, k], a).unwrap()).unwrap();
    let b = g.constant(Tensor::f32([k, n], b).unwrap()).unwrap();
    let y = g.matmul(a, b, false, false).unwrap();
    (g, y)
}

#[test]
fn factors_are_rounded_to_halves() {
    let largest = 65_504.0;
    let tiny = 2f32.powi(-24);
    // A number and what it counts as.
    let numbers = [
        (1.0, 1.0),
        (2049.0, 2048.0),
        (2051.0, 2052.0),
        (-2049.5, -2050.0),
        (largest, largest),
        (65_519.0, largest),
        (65_520.0, f32::INFINITY),
        (-1e30, f32::NEG_INFINITY),
        (f32::INFINITY, f32::INFINITY),
        (f32::NAN, f32::NAN),
        (tiny, tiny),
        (1.25 * tiny, tiny),
        (1.75 * tiny, 2.0 * tiny),
        (0.25 * tiny, 0.0),
        (2f32.powi(-14) * (1.0 + 2f32.powi(-12)), 2f32.powi(-14)),
    ];
    let a: Vec<f32> = numbers.iter().map(|number| number.0).collect();
    for gpu in gpus(&plain()) {
        assert_eq!(gpu.caps().body, Body::Cooperative);
        let (g, y) = product([a.len(), 1, 1], a.clone(), vec![1.0]);
        let store = Store::new(&gpu.clone().into(), &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &[y]).unwrap();
        session.run(1).unwrap();
        let y = session.read(y).unwrap();
        for (&(number, want), &got) in numbers.iter().zip(y.as_f32().unwrap()) {
            let same = got == want || (got.is_nan() && want.is_nan());
            assert!(same, "{number} counts as {got}, not {want}, on {gpu:?}");
        }
    }
}

/// A device has them if it was asked and its adapter offers them; else the error says what is
/// missing.
#[test]
fn who_asks_gets_them_or_is_told_why_not() {
    let asked = GpuOptions {
        body: Some(Body::Cooperative),
        ..GpuOptions::default()
    };
    for (i, gpu) in Gpu::all(&asked).into_iter().enumerate() {
        match gpu {
            Ok(gpu) => {
                assert_eq!(gpu.caps().body, Body::Cooperative);
                assert_ne!(gpu.caps().matrices, Matrices::Plain);
                let (g, y) = product([20, 20, 20], vec![2.0; 400], vec![3.0; 400]);
                let store = Store::new(&gpu.into(), &[&g], 0).unwrap();
                let mut session = Session::new(&store, &g, &[y]).unwrap();
                session.run(1).unwrap();
                assert_eq!(session.read(y).unwrap().as_f32().unwrap(), [120.0; 400]);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                let message = error.to_string();
                for what in ["EXPERIMENTAL_COOPERATIVE_MATRIX", "16 x 16"] {
                    assert!(message.contains(what), "{message}");
                }
                // The same device does not do them later either.
                let gpu = &gpus(&GpuOptions::default())[i];
                let error = gpu.with_options(&asked).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                let plain = gpu.with_options(&plain()).unwrap();
                assert_eq!(plain.caps().matrices, Matrices::Plain);
            }
        }
    }
}

/// On a borrowed device they are named, and tried out while the host polls.
#[test]
fn a_borrowed_device_is_told_which() {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    for adapter in pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all())) {
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: wgpu::Limits::default(),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
        let unnamed = GpuOptions {
            matrices: None,
            ..plain()
        };
        let borrow = |options| Gpu::from_device_with(device.clone(), queue.clone(), options);
        let error = borrow(&unnamed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");

        let gpu = borrow(&plain()).unwrap();
        let (g, y) = product([3, 3, 3], vec![1.0; 9], vec![2.0; 9]);
        let store = Store::new(&gpu.into(), &[&g], 0).unwrap();
        // The first session waits for a result, for which only the host can poll.
        let error = Session::new(&store, &g, &[y]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let session = Session::builder(&store, &g).fetch(&[y]).build_async();
        let mut session = std::pin::pin!(session);
        let mut context = Context::from_waker(Waker::noop());
        let mut polls = 0;
        let made = loop {
            match session.as_mut().poll(&mut context) {
                Poll::Ready(made) => break made,
                Poll::Pending => polls += 1,
            }
            device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        };
        made.unwrap();
        assert!(polls > 0);
        // From then on nothing is waited for.
        Session::new(&store, &g, &[y]).unwrap();
    }
}

/// A table of measured choices cannot bring rounding to a session that did not ask for it.
#[test]
fn no_table_names_them() {
    for gpu in gpus(&GpuOptions::default()) {
        let table = |body| Tuning {
            adapter: gpu.info().name.clone(),
            backend: gpu.info().backend.to_string(),
            choices: [("matmul nn n3 k4".to_owned(), Choice { body, tile: None })].into(),
        };
        let with = |body| {
            gpu.with_options(&GpuOptions {
                tuning: Some(table(body).into()),
                ..GpuOptions::default()
            })
        };
        with(Body::Registers).unwrap();
        let error = with(Body::Cooperative).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("table"), "{error}");
    }
}

/// Both tiles, forced and chosen, add up integers to the same bits as the shared body, in batches
/// and in sums of several runs.
#[test]
fn every_tile_sums_integers_exactly() {
    let shared = GpuOptions {
        body: Some(Body::Shared),
        ..GpuOptions::default()
    };
    let sums = |gpu: Gpu| {
        let mut g = Graph::new();
        let integers = |count: usize| (0..count).map(|i| (i * 7 % 9) as f32 - 4.0).collect();
        let mut tensor = |shape: &[usize]| {
            let count = shape.iter().product();
            let values = Tensor::f32(shape.to_vec(), integers(count)).unwrap();
            g.constant(values).unwrap()
        };
        let (a, b) = (tensor(&[3, 35, 19]), tensor(&[3, 19, 18]));
        let (long_a, long_b) = (tensor(&[5, 1500]), tensor(&[3, 1500]));
        let y = [
            g.matmul(a, b, false, false).unwrap(),
            g.matmul(long_a, long_b, false, true).unwrap(),
        ];
        let store = Store::new(&gpu.into(), &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &y).unwrap();
        session.run(1).unwrap();
        y.map(|y| session.read(y).unwrap())
    };
    for gpu in gpus(&shared) {
        let wanted = sums(gpu.clone());
        for tile in [
            None,
            Some(Tile::Small),
            Some(Tile::Medium),
            Some(Tile::Large),
        ] {
            let options = GpuOptions { tile, ..plain() };
            let gpu = gpu.with_options(&options).unwrap();
            assert_eq!(sums(gpu), wanted, "{tile:?}");
        }
    }
}
