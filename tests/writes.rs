//! Writes and reads of own devices: whole for every thread, bounded, refused where they cannot be.

use std::sync::atomic::{AtomicBool, Ordering};

use striate::error::{ErrorKind, Result};
use striate::gpu::{Engine, Gpu, GpuOptions};
use striate::graph::{Graph, Init, StateKind, Value};
use striate::session::Session;
use striate::shape::Type;
use striate::store::Store;
use striate::tensor::Tensor;

fn constant(extent: usize, value: f32) -> Tensor {
    Tensor::f32([extent], vec![value; extent]).unwrap()
}

/// A state that is copied by every step.
fn copied(engine: &Engine, extent: usize) -> Result<(Store, Session, Value)> {
    let mut g = Graph::new();
    let (ty, first) = (Type::f32([extent]), Init::Constant(0.0));
    let s = g.state("s", ty, StateKind::Data, first, None)?;
    let one = g.fill([1], 1.0)?;
    let y = g.mul(s, one)?;
    let store = pollster::block_on(Store::new_async(engine, &[&g], 0))?;
    let session = Session::builder(&store, &g).fetch(&[y]).build_async();
    let session = pollster::block_on(session)?;
    Ok((store, session, y))
}

/// No step sees some of the parts or pieces of a write that another thread makes meanwhile.
#[test]
fn a_write_is_whole_for_steps_of_other_threads() {
    // Several parts; more than goes into one buffer of staging.
    for (extent, max_binding) in [(1 << 20, Some(1 << 20)), (9 << 20, None)] {
        let options = GpuOptions {
            max_binding,
            ..GpuOptions::default()
        };
        for gpu in striate_cases::devices::gpus(&options) {
            let name = format!("{gpu:?}");
            let (store, mut session, y) = copied(&gpu.into(), extent).unwrap();
            let over = AtomicBool::new(false);
            std::thread::scope(|threads| {
                let writes = threads.spawn(|| {
                    for value in 1..12 {
                        store.set("s", &constant(extent, value as f32)).unwrap();
                    }
                    over.store(true, Ordering::Release);
                });
                let mut steps = 0;
                while !over.load(Ordering::Acquire) {
                    session.run(1).unwrap();
                    let read = session.read(y).unwrap();
                    let values = read.as_f32().unwrap();
                    let ends = [values[0], values[extent - 1]];
                    assert_eq!(ends[0], ends[1], "{name}: step {steps}");
                    steps += 1;
                }
                writes.join().unwrap();
                println!("{name}: {steps} steps");
            });
            session.run(1).unwrap();
            let last = session.read(y).unwrap();
            assert!(last.as_f32().unwrap().iter().all(|&value| value == 11.0));
        }
    }
}

/// A host that records on its own device, and does not submit, is told once too much waits.
#[test]
fn encoders_that_are_not_submitted_hold_a_bounded_number_of_bytes() {
    let options = GpuOptions {
        max_staging: Some(1000),
        ..GpuOptions::default()
    };
    for gpu in striate_cases::devices::gpus(&options) {
        let encoder = || gpu.device().create_command_encoder(&Default::default());
        let (store, mut session, y) = copied(&gpu.clone().into(), 100).unwrap();
        let mut encoders = Vec::new();
        let refused = loop {
            let value = encoders.len() as f32;
            if let Err(error) = store.set("s", &constant(100, value)) {
                break error;
            }
            let mut encoder = encoder();
            session.record(&mut encoder, 1).unwrap();
            encoders.push(encoder);
            assert!(encoders.len() < 10);
        };
        assert_eq!(refused.kind(), ErrorKind::OutOfMemory, "{refused}");
        for part in ["\"s\"", "1200", "1000", "submitted"] {
            assert!(refused.to_string().contains(part), "{part} in: {refused}");
        }
        let buffers = encoders.into_iter().map(|encoder| encoder.finish());
        gpu.queue().submit(buffers);
        store.set("s", &constant(100, 7.0)).unwrap();
        session.run(1).unwrap();
        assert_eq!(session.read(y).unwrap().as_f32().unwrap()[99], 7.0);
        // A single write of any size is taken.
        let (store, mut session, y) = copied(&gpu.clone().into(), 1000).unwrap();
        store.set("s", &constant(1000, 8.0)).unwrap();
        session.run(1).unwrap();
        assert_eq!(session.read(y).unwrap().as_f32().unwrap()[999], 8.0);
    }
}

/// A read that nobody submits is refused, not waited for; one that is awaited arrives by itself.
#[test]
fn reads_of_own_devices_arrive_or_are_refused() {
    for gpu in Gpu::all(&GpuOptions::default()) {
        let gpu = gpu.unwrap();
        let encoder = || gpu.device().create_command_encoder(&Default::default());
        let (store, mut session, y) = copied(&gpu.clone().into(), 5).unwrap();
        store.set("s", &constant(5, 3.0)).unwrap();
        let mut first = encoder();
        session.record(&mut first, 1).unwrap();
        let refused = session.record_read(&mut first, y).unwrap().wait();
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Graph, "{refused}");
        assert!(refused.to_string().contains("submitted"), "{refused}");
        let refused = store.record_get(&mut first, "s").unwrap().wait();
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Graph);
        let read = session.record_read(&mut first, y).unwrap();
        let awaited = store.record_get(&mut first, "s").unwrap();
        gpu.queue().submit([first.finish()]);
        assert_eq!(read.wait().unwrap().as_f32().unwrap()[4], 3.0);
        let awaited = pollster::block_on(awaited).unwrap();
        assert_eq!(awaited.as_f32().unwrap()[4], 3.0);
        for _ in 0..3 {
            session.run(1).unwrap();
            let read = pollster::block_on(session.read_async(y)).unwrap();
            assert_eq!(read.as_f32().unwrap()[0], 3.0);
        }
        let mut dropped = encoder();
        let read = session.record_read(&mut dropped, y).unwrap();
        drop(dropped);
        assert_eq!(read.wait().unwrap_err().kind(), ErrorKind::Readback);
    }
}
