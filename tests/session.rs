//! Sessions over a store: assignment semantics, several steps per submit, readback.

use std::borrow::Cow;

use striate::error::{ErrorKind, Result};
use striate::gpu::{Engine, Gpu, GpuOptions, Progress};
use striate::graph::{Graph, Init, Node, Op, StateKind, Value};
use striate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand};
use striate::ops::{Conv2d, UnaryFunction, UnaryGrad};
use striate::plan::PlanOptions;
use striate::session::Session;
use striate::shape::Type;
use striate::store::Store;
use striate::tensor::{Array, Tensor};

/// The CPU reference and every adapter found.
fn engines() -> Vec<Engine> {
    let gpus: Result<Vec<Gpu>> = Gpu::all(&GpuOptions::default()).into_iter().collect();
    let gpus = gpus.expect("every adapter gives a device");
    if gpus.is_empty() {
        assert_ne!(
            std::env::var("STRIATE_REQUIRE_GPU").as_deref(),
            Ok("1"),
            "no adapter"
        );
        println!("skipped on GPU: no adapter");
    }
    let gpus = gpus.into_iter().map(Engine::from);
    std::iter::once(Engine::cpu()).chain(gpus).collect()
}

fn state(g: &mut Graph, name: &str, values: &[f32]) -> Value {
    let tensor = Tensor::f32([values.len()], values.to_vec()).unwrap();
    let ty = tensor.ty().clone();
    g.state(
        name,
        ty,
        StateKind::Parameter,
        Init::Tensor(tensor.into()),
        None,
    )
    .unwrap()
}

#[test]
fn assignments_see_the_values_from_before_the_step() {
    for engine in engines() {
        let mut g = Graph::new();
        let (a, b) = (
            state(&mut g, "a", &[1.0, 2.0]),
            state(&mut g, "b", &[10.0, 20.0]),
        );
        let sum = g.add(a, b).unwrap();
        // Swap, and keep the sum of the old values.
        g.assign(a, b).unwrap();
        g.assign(b, a).unwrap();
        let c = state(&mut g, "c", &[0.0, 0.0]);
        g.assign(c, sum).unwrap();
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &[sum]).unwrap();
        session.run(3).unwrap();
        let get = |name| store.get(name).unwrap().as_f32().unwrap().to_vec();
        assert_eq!(get("a"), [10.0, 20.0], "{engine:?}");
        assert_eq!(get("b"), [1.0, 2.0], "{engine:?}");
        assert_eq!(get("c"), [11.0, 22.0], "{engine:?}");
        assert_eq!(session.read(sum).unwrap().as_f32().unwrap(), [11.0, 22.0]);
    }
}

#[test]
fn state_is_updated_in_place_after_its_readers() {
    for engine in engines() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([3])).unwrap();
        let total = state(&mut g, "total", &[0.0; 3]);
        let new = g.add(total, x).unwrap();
        g.assign(total, new).unwrap();
        // Written after the update, but reads the old value.
        let old = g.scale(total, 2.0).unwrap();
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &[old]).unwrap();
        session
            .write(x, &Tensor::f32([3], vec![1.0, 2.0, 3.0]).unwrap())
            .unwrap();
        session.run(100).unwrap();
        assert_eq!(
            store.get("total").unwrap().as_f32().unwrap(),
            [100.0, 200.0, 300.0]
        );
        assert_eq!(
            session.read(old).unwrap().as_f32().unwrap(),
            [198.0, 396.0, 594.0]
        );
        if let Some(plan) = session.plan() {
            assert_eq!(plan.steps.len(), 2, "no copies:\n{plan}");
        }
    }
}

#[test]
fn values_in_several_parts() {
    let options = GpuOptions {
        max_binding: Some(256),
        ..GpuOptions::default()
    };
    for gpu in Gpu::all(&options) {
        let engine = Engine::from(gpu.unwrap());
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([50, 3])).unwrap();
        let y = g.relu(x).unwrap();
        let z = g.add(y, x).unwrap();
        let s = g
            .state(
                "s",
                Type::f32([50, 3]),
                StateKind::Parameter,
                Init::Constant(0.0),
                None,
            )
            .unwrap();
        g.assign(s, z).unwrap();
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &[z]).unwrap();
        let values: Vec<f32> = (0..150).map(|i| i as f32 - 75.0).collect();
        session
            .write(x, &Tensor::f32([50, 3], values.clone()).unwrap())
            .unwrap();
        session.run(1).unwrap();
        let want: Vec<f32> = values.iter().map(|&x| x.max(0.0) + x).collect();
        assert_eq!(session.read(z).unwrap().as_f32().unwrap(), want);
        assert_eq!(store.get("s").unwrap().as_f32().unwrap(), want);
    }
}

#[test]
fn another_batch_size_compiles_nothing() {
    for engine in engines() {
        let Engine::Gpu(gpu) = &engine else { continue };
        let pipelines = |batch: usize| {
            let mut g = Graph::new();
            let x = g.input("x", Type::f32([batch, 5])).unwrap();
            let y = g.relu(x).unwrap();
            let store = Store::new(&engine, &[&g], 0).unwrap();
            Session::new(&store, &g, &[y]).unwrap();
            gpu.pipeline_count()
        };
        assert_eq!(pipelines(3), pipelines(64));
    }
}

/// What a session needs is told up front, each pipeline once; what an earlier session built is
/// there from the start.
#[test]
fn pipelines_are_listed_before_they_are_built() {
    for engine in engines() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([4])).unwrap();
        let y = g.relu(x).unwrap();
        let z = g.relu(y).unwrap();
        let sum = g.sum(z, &[0], false).unwrap();
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let mut told = Vec::new();
        let mut compile = |graph: &Graph, fetched: &[Value]| {
            told.clear();
            let note = |progress: Progress<'_>| {
                let pending: Vec<String> =
                    progress.pending.iter().map(|&name| name.into()).collect();
                told.push((progress.done(), progress.total, pending));
            };
            let session = Session::builder(&store, graph)
                .fetch(fetched)
                .progress(note)
                .build()
                .unwrap();
            let kernel = |step: &striate::plan::Step| step.kernel.name.to_string();
            let kernels: Vec<String> = match session.plan() {
                Some(plan) => plan.steps.iter().map(kernel).collect(),
                None => Vec::new(),
            };
            (kernels, told.clone())
        };
        let Engine::Gpu(gpu) = &engine else {
            assert_eq!(compile(&g, &[sum]), (vec![], vec![]));
            continue;
        };
        let (kernels, told) = compile(&g, &[y]);
        assert_eq!(kernels.len(), 1);
        assert_eq!(told, [(0, 1, kernels), (1, 1, vec![])], "{engine:?}");
        let (kernels, told) = compile(&g, &[y, z, sum]);
        assert_eq!(kernels[..2], [kernels[0].clone(), kernels[0].clone()]);
        let reduce = vec![kernels[2].clone()];
        assert_eq!(kernels.len(), 3, "{kernels:?}");
        assert_eq!(told, [(1, 2, reduce), (2, 2, vec![])], "{engine:?}");
        assert_eq!(compile(&g, &[y, z, sum]).1, [(2, 2, vec![])]);
        assert_eq!(gpu.pipeline_count(), 2);
    }
}

/// A graph of five kernels, some of which another device may compile.
fn five_kernels() -> (Graph, Value) {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([4, 4])).unwrap();
    let product = g.matmul(x, x, false, false).unwrap();
    let y = g.exp(product).unwrap();
    let sum = g.sum(y, &[0], false).unwrap();
    let (largest, _) = g.max(sum, 0, true).unwrap();
    let z = g.expand(largest, [4]).unwrap();
    (g, z)
}

/// An op whose kernel is no WGSL.
#[derive(Debug)]
struct Broken;

impl Op for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        Ok(vec![inputs[0].clone()])
    }

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![inputs[0].clone()]
    }

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None])
    }

    fn lower(&self, _: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let kernel = Kernel::module("broken_kernel", "fn main() {".to_owned(), &[&[]]);
        let dispatch = Dispatch::of(Cow::Owned(kernel), &[])
            .read(Operand::Input(0))
            .write(Operand::Output(0));
        out.push(dispatch.workgroups(1));
        Ok(())
    }
}

#[test]
fn a_fault_in_a_kernel_is_an_error_that_names_it() {
    for engine in engines() {
        let (mut g, z) = five_kernels();
        let z = g.apply1(Broken, &[z]).unwrap();
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let session = Session::new(&store, &g, &[z]);
        if let Engine::Gpu(_) = engine {
            let error = session.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shader, "{error}");
            assert!(error.to_string().contains("broken_kernel"), "{error}");
        }
    }
}

#[test]
fn a_device_that_is_lost_while_pipelines_are_built_is_an_error() {
    for gpu in Gpu::all(&GpuOptions::default()) {
        let gpu = gpu.unwrap();
        let (g, z) = five_kernels();
        let store = Store::new(&Engine::from(gpu.clone()), &[&g], 0).unwrap();
        let mut told = Vec::new();
        let note = |progress: Progress<'_>| {
            told.push(progress.done());
            if progress.done() == 1 {
                gpu.device().destroy();
            }
        };
        let session = Session::builder(&store, &g)
            .fetch(&[z])
            .progress(note)
            .build();
        let error = session.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeviceLost, "{error}");
        assert_eq!(told[..2], [0, 1], "{gpu:?}");
    }
}

#[test]
fn a_cap_too_small_says_how_much_is_missing() {
    for engine in engines() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([1000])).unwrap();
        let y = g.relu(x).unwrap();
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let options = PlanOptions {
            memory_cap: Some(5000),
            ..PlanOptions::default()
        };
        let session = Session::builder(&store, &g)
            .fetch(&[y])
            .options(options)
            .build();
        if let Engine::Gpu(_) = engine {
            let error = session.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Limit);
            assert!(
                error.to_string().contains("3448 bytes are missing"),
                "{error}"
            );
        }
    }
}

/// What is allocated is what the plan says, so that a cap holds.
#[test]
fn a_session_allocates_what_its_plan_says() {
    for engine in engines() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([3, 1, 7, 5])).unwrap();
        let w = g.parameter("w", [2, 1, 3, 3], Init::Constant(0.5)).unwrap();
        let y = g.conv2d(x, w, None, Conv2d::default()).unwrap();
        let y = g.relu(y).unwrap();
        let scale = g.constant(Tensor::f32([1], vec![2.0]).unwrap()).unwrap();
        let y = g.mul(y, scale).unwrap();
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let session = Session::new(&store, &g, &[y]).unwrap();
        let planned = session.plan().map_or(0, |plan| plan.bytes.total());
        assert_eq!(session.bytes(), planned, "{engine:?}");
    }
}

#[test]
fn a_lost_device_is_an_error() {
    for gpu in Gpu::all(&GpuOptions::default()) {
        let gpu = gpu.unwrap();
        let engine = Engine::from(gpu.clone());
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([4])).unwrap();
        let y = g.relu(x).unwrap();
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &[y]).unwrap();
        session
            .write(x, &Tensor::f32([4], vec![1.0; 4]).unwrap())
            .unwrap();
        session.run(1).unwrap();
        gpu.device().destroy();
        let outcome = session.run(1).and_then(|()| session.read(y).map(drop));
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::DeviceLost);
    }
}

/// A host's device of default limits and no features: the session records into the host's encoder,
/// the host submits and polls, and no error reaches the host's handler.
#[test]
fn a_borrowed_device_is_recorded_into() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use striate::wgpu;

    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    for adapter in pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all())) {
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            required_limits: wgpu::Limits::default(),
            ..Default::default()
        }))
        .unwrap();
        let errors = Arc::new(AtomicUsize::new(0));
        let seen = errors.clone();
        device.on_uncaptured_error(Arc::new(move |_: wgpu::Error| {
            seen.fetch_add(1, Ordering::Relaxed);
        }));
        let gpu = Gpu::from_device(device.clone(), queue.clone()).unwrap();
        let engine = Engine::from(gpu);

        let mut g = Graph::new();
        let x = g.input("x", Type::f32([3])).unwrap();
        let total = state(&mut g, "total", &[0.0; 3]);
        let new = g.add(total, x).unwrap();
        g.assign(total, new).unwrap();
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &[]).unwrap();
        session
            .write(x, &Tensor::f32([3], vec![1.0, 2.0, 3.0]).unwrap())
            .unwrap();
        let mut encoder = device.create_command_encoder(&Default::default());
        session.record(&mut encoder, 2).unwrap();
        session.record(&mut encoder, 3).unwrap();
        queue.submit([encoder.finish()]);

        // Blocking forms would have to poll.
        assert_eq!(
            session.read(total).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
        let mut read = std::pin::pin!(session.read_async(total));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(read.as_mut().poll(&mut context).is_pending());
        device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        let result = pollster::block_on(read).unwrap();
        assert_eq!(result.as_f32().unwrap(), [5.0, 10.0, 15.0]);
        assert_eq!(errors.load(Ordering::Relaxed), 0);
    }
}

/// Views that cut across the parts of what they show are copied, wherever they are used.
#[test]
fn views_across_parts_are_copies() {
    let options = GpuOptions {
        max_binding: Some(256),
        ..GpuOptions::default()
    };
    let floats = |count: usize| (0..count).map(|i| i as f32 - 70.0).collect::<Vec<_>>();
    for gpu in Gpu::all(&options) {
        let engine = Engine::from(gpu.unwrap());
        for (from, to) in [
            (vec![50, 3], vec![150]),
            (vec![160], vec![4, 40]),
            (vec![7, 3, 5], vec![35, 3]),
            (vec![11, 11, 1], vec![11, 1, 11]),
        ] {
            let count = from.iter().product();
            let mut g = Graph::new();
            let x = g.input("x", Type::f32(from.clone())).unwrap();
            let y = g.relu(x).unwrap();
            let shown = g.reshape(y, to.clone()).unwrap();
            let twice = g.scale(shown, 2.0).unwrap();
            let back = g.reshape(shown, from).unwrap();
            let s = g
                .state(
                    "s",
                    Type::f32([count]),
                    StateKind::Data,
                    Init::Constant(0.0),
                    None,
                )
                .unwrap();
            let old = g.reshape(s, to).unwrap();
            let flat = g.reshape(x, [count]).unwrap();
            g.assign(s, flat).unwrap();
            let store = Store::new(&engine, &[&g], 0).unwrap();
            let fetched = [shown, twice, back, old];
            let mut session = Session::new(&store, &g, &fetched).unwrap();
            let given = Tensor::f32(g.shape(x).unwrap().clone(), floats(count)).unwrap();
            session.write(x, &given).unwrap();
            session.run(2).unwrap();
            let read = |v| session.read(v).unwrap().as_f32().unwrap().to_vec();
            let relu: Vec<f32> = floats(count).iter().map(|x| x.max(0.0)).collect();
            let doubled: Vec<f32> = relu.iter().map(|x| 2.0 * x).collect();
            assert_eq!(
                fetched.map(read),
                [relu.clone(), doubled, relu, floats(count)]
            );
            assert_eq!(store.get("s").unwrap().as_f32().unwrap(), floats(count));
        }
    }
}

/// Bytes are copied across parts too, which begin anywhere in a word.
#[test]
fn views_of_bytes_across_parts() {
    let options = GpuOptions {
        max_binding: Some(256),
        ..GpuOptions::default()
    };
    for gpu in Gpu::all(&options) {
        let engine = Engine::from(gpu.unwrap());
        let mut g = Graph::new();
        let x = g.input("x", Type::u8([9, 77])).unwrap();
        let y = g.reshape(x, [63, 11]).unwrap();
        let z = g.reshape(x, [11, 63]).unwrap();
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &[y, z]).unwrap();
        let bytes: Vec<u8> = (0..693).map(|i| (i % 251) as u8).collect();
        let given = Tensor::u8([9, 77], bytes.clone()).unwrap();
        session.write(x, &given).unwrap();
        session.run(1).unwrap();
        for value in [y, z] {
            assert_eq!(session.read(value).unwrap().as_u8().unwrap(), bytes);
        }
    }
}

/// Several states of one kind may be stored like one parameter.
#[test]
fn twins_do_not_overlap() {
    for engine in engines() {
        let mut g = Graph::new();
        let w = state(&mut g, "w", &[1.0, 2.0]);
        let twin = |g: &mut Graph, name: &str, value: f32| {
            let init = Init::Constant(value);
            g.state(name, Type::f32([2]), StateKind::Gradient, init, Some(w))
                .unwrap()
        };
        twin(&mut g, "a", 3.0);
        twin(&mut g, "b", 4.0);
        let store = Store::new(&engine, &[&g], 0).unwrap();
        assert_eq!(store.get("a").unwrap().as_f32().unwrap(), [3.0, 3.0]);
        assert_eq!(store.get("b").unwrap().as_f32().unwrap(), [4.0, 4.0]);
    }
}

/// A mask moves through a reshape.
#[test]
fn masks_behind_a_reshape_survive_fusion() {
    for engine in engines() {
        let mut g = Graph::new();
        let m = g.input("m", Type::f32([6])).unwrap();
        let d = g.input("d", Type::f32([2, 3])).unwrap();
        let twice = g.scale(d, 2.0).unwrap();
        let flat = g.reshape(twice, [6]).unwrap();
        let y = g
            .apply1(UnaryGrad(UnaryFunction::Relu), &[m, flat])
            .unwrap();
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &[y]).unwrap();
        let error = session.run(1).unwrap_err();
        assert!(error.to_string().contains("has no value"), "{error}");
        session
            .write(
                m,
                &Tensor::f32([6], vec![1.0, 0.0, 1.0, 2.0, -1.0, 1.0]).unwrap(),
            )
            .unwrap();
        let values = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        session
            .write(d, &Tensor::f32([2, 3], values).unwrap())
            .unwrap();
        session.run(1).unwrap();
        let want = [2.0, 0.0, 6.0, 8.0, 0.0, 12.0];
        assert_eq!(
            session.read(y).unwrap().as_f32().unwrap(),
            want,
            "{engine:?}"
        );
    }
}

/// A profiled step is a step, and every one of its dispatches is timed.
#[test]
fn a_profile_times_every_dispatch() {
    for engine in engines() {
        let mut g = Graph::new();
        let a = state(&mut g, "a", &[1.0, 2.0]);
        let double = g.scale(a, 2.0).unwrap();
        let sum = g.sum(double, &[0], false).unwrap();
        g.assign(a, double).unwrap();
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &[sum]).unwrap();
        session.run(1).unwrap();
        let profile = session.profile();
        match &engine {
            Engine::Gpu(gpu) if gpu.has_timestamps() => {
                let profile = profile.unwrap();
                let steps = &session.plan().unwrap().steps;
                assert_eq!(profile.dispatches.len(), steps.len());
                for (timed, step) in profile.dispatches.iter().zip(steps) {
                    assert_eq!(timed.op, step.op);
                    assert!(timed.begin >= 0.0 && timed.end >= timed.begin, "{timed:?}");
                }
                assert!(profile.nanoseconds() > 0.0, "{profile}");
                let trace: serde_json::Value = serde_json::from_str(&profile.trace()).unwrap();
                assert_eq!(trace.as_array().map(Vec::len), Some(steps.len()));
                assert!(session.time(3).unwrap() > 0.0);
                let a = store.get("a").unwrap();
                assert_eq!(a.as_f32().unwrap(), [32.0, 64.0], "{engine:?}");
            }
            _ => assert_eq!(profile.unwrap_err().kind(), ErrorKind::Unsupported),
        }
    }
}
