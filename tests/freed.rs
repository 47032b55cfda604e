//! What is dropped goes back to the device. A process of its own, since it measures its memory,
//! from which software adapters take theirs.

#![cfg(target_os = "linux")]

use striate::gpu::{Engine, Gpu, GpuOptions};
use striate::graph::{Graph, Init, StateKind};
use striate::session::Session;
use striate::shape::Type;
use striate::store::Store;
use striate::tensor::Tensor;
use striate::wgpu;
use striate_cases::devices::{self, resident};

/// Stores and sessions of 48 MiB, one after the other, on a device of one's own and on a borrowed
/// one that its host polls: forty need no more than the first few.
#[test]
fn what_is_dropped_is_freed() {
    const EXTENT: usize = 4 << 20;
    for own in devices::gpus(&GpuOptions::default()) {
        if own.info().device_type != wgpu::DeviceType::Cpu {
            println!("SKIPPED: the memory of {own:?} is not the process's");
            continue;
        }
        let borrowed = Gpu::from_device(own.device().clone(), own.queue().clone()).unwrap();
        let name = format!("{own:?}");
        for gpu in [own.clone(), borrowed] {
            let engine = Engine::from(gpu);
            let mut g = Graph::new();
            let ty = Type::f32([EXTENT]);
            let x = g.input("x", ty.clone()).unwrap();
            let first = Init::Constant(1.0);
            let state = g.state("s", ty, StateKind::Data, first, None).unwrap();
            let sum = g.add(x, state).unwrap();
            let y = g.relu(sum).unwrap();
            g.assign(state, y).unwrap();
            let written = Tensor::f32([EXTENT], vec![2.0; EXTENT]).unwrap();
            let use_and_drop = || {
                let store = pollster::block_on(Store::new_async(&engine, &[&g], 0)).unwrap();
                let session = Session::builder(&store, &g).fetch(&[sum]);
                let mut session = pollster::block_on(session.build_async()).unwrap();
                session.write(x, &written).unwrap();
                session.run(1).unwrap();
                let held = session.bytes() + store.bytes();
                drop((session, store));
                let wait = wgpu::PollType::wait_indefinitely();
                own.device().poll(wait).unwrap();
                held
            };
            let held = (0..8).map(|_| use_and_drop()).max().unwrap();
            assert!(held >= 32 << 20, "{held} bytes");
            let before = resident();
            for _ in 0..40 {
                use_and_drop();
            }
            let more = resident().saturating_sub(before) >> 20;
            println!(
                "{name}: {} MiB held, {more} MiB more after forty",
                held >> 20
            );
            assert!(more < (2 * held) >> 20, "{name}: {more} MiB more");
        }
    }
}
