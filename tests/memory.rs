//! Memory that runs out is a typed error, after which the device still works.

#![cfg(target_os = "linux")]

mod common;

use std::process::Command;

use striate::error::ErrorKind;
use striate::gpu::{Engine, GpuOptions};
use striate::graph::{Graph, Init, Kind, Value};
use striate::session::Session;
use striate::shape::Type;
use striate::store::Store;
use striate::wgpu;

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
                .state(&name, ty, Kind::Data, Init::Constant(0.0), None)
                .unwrap(),
        }
    };
    (0..2 * KIBIBYTES / (128 << 10)).map(value).collect()
}

/// A software adapter takes its memory from the process, whose limit a child can lower; the memory of others is their own.
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
    let mut gpus = common::gpus(&options);
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
}
