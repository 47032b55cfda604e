//! Memory that runs out is a typed error, after which the device still works.

#![cfg(target_os = "linux")]

use std::process::Command;

use striate::error::ErrorKind;
use striate::gpu::{Engine, Gpu, GpuOptions};
use striate::graph::{Graph, Init, StateKind, Value};
use striate::session::Session;
use striate::shape::Type;
use striate::store::Store;
use striate::tensor::Tensor;
use striate::wgpu;
use striate_cases::devices::{self, resident};

/// Set in the child, which runs in an address space of this many KiB.
const CHILD: &str = "STRIATE_ADDRESS_SPACE";
const KIBIBYTES: u64 = 6 << 20;

/// Twice the child's address space, in values of one binding each: inputs, or states.
fn too_much(g: &mut Graph, states: bool) -> Vec<Value> {
    let value = |i: u64| {
        let (name, ty) = (format!("x{i}"), Type::f32([128 << 18]));
        match states {
            false => g.input(&name, ty).unwrap(),
            true => g
                .state(&name, ty, StateKind::Data, Init::Constant(0.0), None)
                .unwrap(),
        }
    };
    (0..2 * KIBIBYTES / (128 << 10)).map(value).collect()
}

/// A software adapter takes its memory from the process, whose limit a child can lower; the memory
/// of others is their own.
#[test]
fn memory_that_runs_out_is_an_error() {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    let test = "memory_that_runs_out_is_an_error";
    let limited = format!("ulimit -v {KIBIBYTES} && exec \"$0\" --exact {test} --nocapture");
    let child = Command::new("sh")
        .args(["-c", &limited])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text =
        [child.stdout, child.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(child.status.success(), "{}\n{}", text[0], text[1]);
    println!("{}", text[0]);
}

fn child() {
    let options = GpuOptions {
        backends: Some(wgpu::Backends::VULKAN),
        ..GpuOptions::default()
    };
    let mut gpus = devices::gpus(&options);
    gpus.retain(|gpu| gpu.info().device_type == wgpu::DeviceType::Cpu);
    let Some(gpu) = gpus.pop() else {
        println!("SKIPPED: no software Vulkan adapter");
        return;
    };
    let engine = Engine::from(gpu);
    let mut g = Graph::new();
    too_much(&mut g, true);
    let error = Store::new(&engine, &[&g], 0).unwrap_err();
    println!("{error}");
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");

    let mut g = Graph::new();
    let inputs = too_much(&mut g, false);
    let fetched: Vec<Value> = inputs.iter().map(|&x| g.relu(x).unwrap()).collect();
    let store = Store::new(&engine, &[&g], 0).unwrap();
    let error = Session::new(&store, &g, &fetched).unwrap_err();
    println!("{error}");
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");

    let mut g = Graph::new();
    let y = g.fill([3], 2.0).unwrap();
    let store = Store::new(&engine, &[&g], 0).unwrap();
    let mut session = Session::new(&store, &g, &[y]).unwrap();
    session.run(1).unwrap();
    assert_eq!(session.read(y).unwrap().as_f32().unwrap(), [2.0; 3]);
    staging_runs_out();
}

/// Staging that finds no memory is an error too, and costs nobody the device.
fn staging_runs_out() {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN;
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
    let mut adapters = adapters.into_iter();
    let software = |a: &wgpu::Adapter| a.get_info().device_type == wgpu::DeviceType::Cpu;
    let adapter = adapters.find(software).unwrap();
    let (device, queue) = pollster::block_on(adapter.request_device(&Default::default())).unwrap();
    let options = GpuOptions {
        max_staging: Some(KIBIBYTES << 11),
        ..GpuOptions::default()
    };
    let engine = Engine::from(Gpu::from_device_with(device, queue, &options).unwrap());
    // Two thirds of the address space, and as much again to be staged.
    let mut g = Graph::new();
    let ty = Type::f32([128 << 18]);
    for i in 0..32 {
        let zeros = Init::Constant(0.0);
        g.state(&format!("s{i}"), ty.clone(), StateKind::Data, zeros, None)
            .unwrap();
    }
    let tensor = Tensor::f32([128 << 18], vec![1.0; 128 << 18]).unwrap();
    let store = pollster::block_on(Store::new_async(&engine, &[&g], 0)).unwrap();
    let results = (0..32).map(|i| store.set(&format!("s{i}"), &tensor));
    let errors: Vec<_> = results.filter_map(Result::err).take(2).collect();
    assert_eq!(errors.len(), 2);
    for error in errors {
        println!("{error}");
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
    }
    drop(store);
    let mut g = Graph::new();
    let first = Init::Constant(3.0);
    g.state("s", Type::f32([2]), StateKind::Data, first, None)
        .unwrap();
    pollster::block_on(Store::new_async(&engine, &[&g], 0)).unwrap();
}

/// Writes that no step follows are bounded, not piled up: 256 MiB to several inputs and states
/// take little more than the 64 MiB that may be staged.
#[test]
fn writes_without_steps_do_not_pile_up() {
    const EXTENT: usize = 8 << 20;
    for gpu in devices::gpus(&GpuOptions::default()) {
        let name = format!("{gpu:?}");
        let engine = Engine::from(gpu);
        let mut g = Graph::new();
        let ty = Type::f32([EXTENT]);
        let inputs: Vec<Value> = (0..4)
            .map(|i| g.input(&format!("x{i}"), ty.clone()).unwrap())
            .collect();
        for i in 0..4 {
            let first = Init::Constant(0.0);
            g.state(&format!("s{i}"), ty.clone(), StateKind::Data, first, None)
                .unwrap();
        }
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &inputs).unwrap();
        let mut write = |value: f32| {
            let tensor = Tensor::f32([EXTENT], vec![value; EXTENT]).unwrap();
            let mut most = 0;
            for (i, &input) in inputs.iter().enumerate() {
                session.write(input, &tensor).unwrap();
                most = most.max(resident());
                store.set(&format!("s{i}"), &tensor).unwrap();
                most = most.max(resident());
            }
            most
        };
        // The first round touches what the values themselves take.
        write(1.0);
        let before = write(2.0);
        let mut most = 0;
        for round in 3..6 {
            most = most.max(write(round as f32));
        }
        let more = most.saturating_sub(before) >> 20;
        println!("{name}: {more} MiB more, {} in all", most >> 20);
        assert!(more < 64, "{name}: {more} MiB more");
        let values = EXTENT as u64 * 4 * 8;
        assert!(most < values + (400 << 20), "{name}: {} MiB", most >> 20);
        let last = session.read(inputs[3]).unwrap();
        assert_eq!(last.as_f32().unwrap()[EXTENT - 1], 5.0);
        let state = store.get("s0").unwrap();
        assert_eq!(state.as_f32().unwrap()[EXTENT - 1], 5.0);
    }
}
