//! Steps in slices: the bits of whole steps, old states until the commit, and no long dispatch.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use striate::error::{ErrorKind, Result};
use striate::gpu::{Engine, Gpu, GpuOptions};
use striate::graph::{Graph, StateKind, Value};
use striate::kernel::{Caps, GPU_MULTIPLY_ADDS};
use striate::nn::{
    BatchNorm2d, Build, Conv2d, Flatten, Linear, MaxPool2d, Module, Relu, Sequential,
};
use striate::ops::Conv2d as ConvSettings;
use striate::plan::{Buffer, Plan, PlanOptions, StateLayout};
use striate::session::Session;
use striate::shape::Type;
use striate::store::Store;
use striate::tensor::Tensor;
use striate::train::{Adam, Optimizer, minimize};
use striate::wgpu;

const STAGED: PlanOptions = PlanOptions {
    fuse: true,
    memory_cap: None,
    staged: true,
};

/// A device of a host's on each adapter.
fn hosts() -> Vec<(wgpu::Device, wgpu::Queue)> {
    let mut hosts = Vec::new();
    for gpu in Gpu::all(&GpuOptions::default()) {
        let info = gpu.unwrap().info().clone();
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        descriptor.backends = info.backend.into();
        let instance = wgpu::Instance::new(descriptor);
        let all = pollster::block_on(instance.enumerate_adapters(info.backend.into()));
        let adapter = all
            .into_iter()
            .find(|a| a.get_info().name == info.name)
            .unwrap();
        let timestamps = wgpu::Features::TIMESTAMP_QUERY;
        let descriptor = wgpu::DeviceDescriptor {
            required_features: adapter.features() & timestamps,
            ..Default::default()
        };
        hosts.push(pollster::block_on(adapter.request_device(&descriptor)).unwrap());
    }
    if hosts.is_empty() {
        assert!(
            std::env::var_os("STRIATE_REQUIRE_GPU").is_none(),
            "no adapter, and STRIATE_REQUIRE_GPU is set"
        );
        println!("skipped: no adapter");
    }
    hosts
}

/// A network in training, with what its batch norms and its optimizer keep.
struct Training {
    graph: Graph,
    x: Value,
    y: Value,
    loss: Value,
}

fn training() -> Training {
    training_by(|graph, loss| {
        minimize(graph, loss, Adam::new().lr(0.01)).unwrap();
    })
}

fn training_by(learn: impl FnOnce(&mut Graph, Value)) -> Training {
    let net = Sequential::new()
        .named("conv", Conv2d::new(1, 6, 3).padding(1))
        .named("norm", BatchNorm2d::new(6))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Flatten)
        .named("fc", Linear::new(6 * 16, 5));
    let mut graph = Graph::new();
    let x = graph.input("x", Type::f32([8, 1, 8, 8])).unwrap();
    let y = graph.input("y", Type::u32([8])).unwrap();
    let logits = net.build(&mut Build::train(&mut graph), x).unwrap();
    let loss = graph.cross_entropy(logits, y).unwrap();
    learn(&mut graph, loss);
    Training { graph, x, y, loss }
}

fn batch(step: usize) -> (Tensor, Tensor) {
    let pixels = (0..8 * 64).map(|i| ((i * 37 + step * 11) % 101) as f32 / 50.0 - 1.0);
    let labels = (0..8).map(|i| ((i + step) % 5) as u32);
    let x = Tensor::f32([8, 1, 8, 8], pixels.collect()).unwrap();
    (x, Tensor::u32([8], labels.collect()).unwrap())
}

/// What the host does of its own in each frame.
fn frame(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    record: impl FnOnce(&mut wgpu::CommandEncoder),
) {
    let mut encoder = device.create_command_encoder(&Default::default());
    record(&mut encoder);
    queue.submit([encoder.finish()]);
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
}

/// Waits as a host does, which polls its own device.
fn polled<T>(device: &wgpu::Device, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(made) = work.as_mut().poll(&mut context) {
            return made;
        }
        device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    }
}

fn states(device: &wgpu::Device, store: &Store, graph: &Graph) -> Vec<Tensor> {
    let mut read = Vec::new();
    for state in graph.states() {
        let future = store.get_async(&state.name);
        device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        read.push(pollster::block_on(future).unwrap());
    }
    read
}

fn engine((device, queue): &(wgpu::Device, wgpu::Queue)) -> Engine {
    Engine::from(Gpu::from_device(device.clone(), queue.clone()).unwrap())
}

fn compiled(store: &Store, graph: &Graph, fetch: &[Value], options: PlanOptions) -> Session {
    let builder = Session::builder(store, graph).fetch(fetch).options(options);
    pollster::block_on(builder.build_async()).unwrap()
}

#[test]
fn ten_training_steps_in_slices_have_the_bits_of_whole_ones() {
    for host in hosts() {
        let (device, queue) = &host;
        let t = training();
        let run = |budget: Option<f64>| -> (Vec<Tensor>, Tensor, usize) {
            let store =
                pollster::block_on(Store::new_async(&engine(&host), &[&t.graph], 3)).unwrap();
            let options = match budget {
                Some(_) => STAGED,
                None => PlanOptions::default(),
            };
            let mut session = compiled(&store, &t.graph, &[t.loss], options);
            let mut frames = 0;
            for step in 0..10 {
                let (x, y) = batch(step);
                session.write(t.x, &x).unwrap();
                session.write(t.y, &y).unwrap();
                let mut finished = false;
                while !finished {
                    frame(device, queue, |encoder| match budget {
                        Some(budget) => {
                            let advanced = session.advance(encoder, budget).unwrap();
                            finished = advanced.is_finished();
                        }
                        None => {
                            session.record(encoder, 1).unwrap();
                            finished = true;
                        }
                    });
                    frames += 1;
                }
            }
            let future = session.read_async(t.loss);
            device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            let loss = pollster::block_on(future).unwrap();
            (states(device, &store, &t.graph), loss, frames)
        };
        let (wanted, loss, _) = run(None);
        for budget in [0.0, 0.05, 1.0, f64::INFINITY] {
            let (got, own, frames) = run(Some(budget));
            assert_eq!(own, loss, "budget {budget}");
            for (state, (got, wanted)) in t.graph.states().iter().zip(got.iter().zip(&wanted)) {
                assert_eq!(got, wanted, "{} with a budget of {budget} ms", state.name);
            }
            match budget {
                0.0 => assert!(frames > 100, "{frames} frames of single dispatches"),
                f64::INFINITY => assert_eq!(frames, 10),
                _ => {}
            }
        }
    }
}

/// Until a step is whole, others see the states from before it; then all new ones.
#[test]
fn other_sessions_see_the_old_step_or_the_new() {
    for host in hosts() {
        let (device, queue) = &host;
        let t = training();
        let store = pollster::block_on(Store::new_async(&engine(&host), &[&t.graph], 3)).unwrap();
        let mut session = compiled(&store, &t.graph, &[t.loss], STAGED);
        let (x, y) = batch(0);
        session.write(t.x, &x).unwrap();
        session.write(t.y, &y).unwrap();
        let before = states(device, &store, &t.graph);
        loop {
            let mut finished = false;
            frame(device, queue, |encoder| {
                finished = session.advance(encoder, 0.0).unwrap().is_finished();
            });
            let now = states(device, &store, &t.graph);
            if finished {
                let trained = t.graph.states().iter().zip(before.iter().zip(&now));
                for (state, (before, now)) in trained {
                    if state.kind == StateKind::Parameter {
                        assert_ne!(before, now, "{}", state.name);
                    }
                }
                break;
            }
            for (state, (before, now)) in t.graph.states().iter().zip(before.iter().zip(&now)) {
                let own = state.kind == StateKind::Gradient;
                assert!(
                    own || before == now,
                    "{} in the middle of a step",
                    state.name
                );
            }
            // What a step under way has made is not read, and no other step begins.
            let read = pollster::block_on(session.read_async(t.loss)).unwrap_err();
            assert!(read.to_string().contains("under way"), "{read}");
            let mut encoder = device.create_command_encoder(&Default::default());
            let recorded = session.record(&mut encoder, 1).unwrap_err();
            assert_eq!(recorded.kind(), ErrorKind::Graph, "{recorded}");
            let run = session.run(1).unwrap_err();
            assert!(run.to_string().contains("under way"), "{run}");
        }
    }
}

/// A step reads the inputs as they were when it began; what is written meanwhile is the next
/// step's.
#[test]
fn a_step_keeps_the_inputs_that_it_began_with() {
    for host in hosts() {
        let (device, queue) = &host;
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([4])).unwrap();
        let a = g.exp(x).unwrap();
        let b = g.sqrt(a).unwrap();
        let y = g.add(b, x).unwrap();
        let store = pollster::block_on(Store::new_async(&engine(&host), &[&g], 0)).unwrap();
        let mut session = compiled(&store, &g, &[y], PlanOptions::default());
        let mut results = Vec::new();
        session
            .write(x, &Tensor::f32([4], vec![0.0; 4]).unwrap())
            .unwrap();
        for step in 1..=3 {
            let mut finished = false;
            while !finished {
                frame(device, queue, |encoder| {
                    finished = session.advance(encoder, 0.0).unwrap().is_finished();
                });
                session
                    .write(x, &Tensor::f32([4], vec![2.0 * step as f32; 4]).unwrap())
                    .unwrap();
            }
            let future = session.read_async(y);
            device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            results.push(pollster::block_on(future).unwrap().as_f32().unwrap()[0]);
        }
        for (got, x) in results.iter().zip([0.0f32, 2.0, 4.0]) {
            let wanted = (x.exp()).sqrt() + x;
            assert!((got - wanted).abs() < 1e-4, "{results:?}");
        }
    }
}

/// A slice whose encoder is dropped is told, and the step begins anew with the same result.
#[test]
fn a_dropped_slice_is_told_and_the_step_begins_anew() {
    for host in hosts() {
        let (device, queue) = &host;
        let t = training();
        let run = |drops: &[usize]| {
            let store =
                pollster::block_on(Store::new_async(&engine(&host), &[&t.graph], 3)).unwrap();
            let mut session = compiled(&store, &t.graph, &[t.loss], STAGED);
            let (x, y) = batch(0);
            session.write(t.x, &x).unwrap();
            session.write(t.y, &y).unwrap();
            for &at in drops {
                for slice in 0..=at {
                    let mut encoder = device.create_command_encoder(&Default::default());
                    session.advance(&mut encoder, 0.0).unwrap();
                    if slice < at {
                        queue.submit([encoder.finish()]);
                    }
                }
                let mut encoder = device.create_command_encoder(&Default::default());
                let error = session.advance(&mut encoder, 0.0).unwrap_err();
                assert!(error.to_string().contains("dropped"), "{error}");
            }
            let mut finished = false;
            while !finished {
                frame(device, queue, |encoder| {
                    finished = session.advance(encoder, 0.0).unwrap().is_finished();
                });
            }
            states(device, &store, &t.graph)
        };
        let wanted = run(&[]);
        assert_eq!(run(&[0]), wanted);
        assert_eq!(run(&[3, 1]), wanted);
    }
}

/// A step can be left, and nothing is bound while one is under way.
#[test]
fn a_step_can_be_abandoned() {
    for host in hosts() {
        let (device, queue) = &host;
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([8, 8])).unwrap();
        let a = g.matmul(x, x, false, false).unwrap();
        let y = g.matmul(a, a, false, false).unwrap();
        let store = pollster::block_on(Store::new_async(&engine(&host), &[&g], 0)).unwrap();
        let builder = Session::builder(&store, &g).fetch(&[y]).host_buffers(&[x]);
        let mut session = pollster::block_on(builder.build_async()).unwrap();
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 256,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        session.bind_input(x, &buffer, 0).unwrap();
        frame(device, queue, |encoder| {
            assert!(!session.advance(encoder, 0.0).unwrap().is_finished());
        });
        let error = session.bind_input(x, &buffer, 0).unwrap_err();
        assert!(error.to_string().contains("under way"), "{error}");
        session.abandon_step();
        session.bind_input(x, &buffer, 0).unwrap();
        // What a host tells of times changes nothing but later slices.
        session.report_time(f64::INFINITY);
        session.report_time(1e300);
        session.report_time(-1.0);
        frame(device, queue, |encoder| session.record(encoder, 1).unwrap());
    }
}

/// Sums of gradients go on with those of earlier batches: a step that begins anew adds its own
/// once.
#[test]
fn an_abandoned_step_adds_no_gradient_twice() {
    for host in hosts() {
        let (device, queue) = &host;
        let t = training_by(|g, loss| {
            Optimizer::new(Adam::new()).accumulate(g, loss, 2).unwrap();
        });
        let store =
            || pollster::block_on(Store::new_async(&engine(&host), &[&t.graph], 3)).unwrap();
        let write = |session: &mut Session, step| {
            let (x, y) = batch(step);
            session.write(t.x, &x).unwrap();
            session.write(t.y, &y).unwrap();
        };
        let advance = |session: &mut Session, budget| {
            let mut finished = false;
            frame(device, queue, |encoder| {
                finished = session.advance(encoder, budget).unwrap().is_finished();
            });
            finished
        };
        let sums = |abandoned_after: usize| -> Vec<Tensor> {
            let store = store();
            let mut session = compiled(&store, &t.graph, &[t.loss], STAGED);
            write(&mut session, 0);
            assert!(advance(&mut session, f64::INFINITY));
            write(&mut session, 1);
            for _ in 0..abandoned_after {
                assert!(!advance(&mut session, 0.0));
            }
            session.abandon_step();
            assert!(advance(&mut session, f64::INFINITY));
            states(device, &store, &t.graph)
        };
        let store = store();
        let mut session = compiled(&store, &t.graph, &[t.loss], STAGED);
        write(&mut session, 0);
        let mut slices = 1;
        while !advance(&mut session, 0.0) {
            slices += 1;
        }
        assert!(slices > 10, "{slices}");
        let wanted = sums(0);
        for after in [1, slices / 2, slices - 1] {
            let got = sums(after);
            for (state, (got, wanted)) in t.graph.states().iter().zip(got.iter().zip(&wanted)) {
                assert_eq!(got, wanted, "{}, abandoned after {after}", state.name);
            }
        }
    }
}

/// On a device of the library's own, writes wait for the next step, too.
#[test]
fn inputs_are_latched_on_own_devices() {
    for gpu in Gpu::all(&GpuOptions::default()) {
        let options = GpuOptions {
            max_staging: Some(1700),
            ..GpuOptions::default()
        };
        let gpu = gpu.unwrap().with_options(&options).unwrap();
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([200])).unwrap();
        let other = g.input("other", Type::f32([200])).unwrap();
        let third = g.input("third", Type::f32([200])).unwrap();
        let a = g.add(x, third).unwrap();
        let b = g.sqrt(a).unwrap();
        let b = g.exp(b).unwrap();
        let y = g.add(b, other).unwrap();
        let store = Store::new(&Engine::from(gpu.clone()), &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &[y]).unwrap();
        let full = |number: f32| Tensor::f32([200], vec![number; 200]).unwrap();
        session.write(x, &full(0.0)).unwrap();
        session.write(third, &full(0.0)).unwrap();
        session.write(other, &full(0.5)).unwrap();
        let (device, queue) = (gpu.device().clone(), gpu.queue().clone());
        let mut slices = 0;
        loop {
            let mut encoder = device.create_command_encoder(&Default::default());
            let finished = session.advance(&mut encoder, 0.0).unwrap().is_finished();
            queue.submit([encoder.finish()]);
            slices += 1;
            if finished {
                break;
            }
            let refused = [x, third, other].map(|input| session.write(input, &full(3.0)));
            let refused: Vec<_> = refused.into_iter().filter_map(Result::err).collect();
            assert!(!refused.is_empty(), "three writes do not fit");
            assert!(refused.iter().all(|e| e.kind() == ErrorKind::OutOfMemory));
        }
        assert!(slices > 1);
        assert_eq!(session.read(y).unwrap().as_f32().unwrap()[0], 1.5);
    }
}

#[test]
fn the_reference_runs_steps_whole() {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([4])).unwrap();
    let y = g.exp(x).unwrap();
    let store = Store::new(&Engine::cpu(), &[&g], 0).unwrap();
    let mut session = Session::new(&store, &g, &[y]).unwrap();
    session
        .write(x, &Tensor::zeros(&Type::f32([4])).unwrap())
        .unwrap();
    for (device, _) in hosts() {
        let mut encoder = device.create_command_encoder(&Default::default());
        let error = session.advance(&mut encoder, 1.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
}

/// Pieces of a cut dispatch never overlap, also where a piece takes more than one row of the grid.
#[test]
fn pieces_of_a_cut_dispatch_do_not_overlap() {
    let mut g = Graph::new();
    let a = g.input("a", Type::f32([3000, 64])).unwrap();
    let b = g.input("b", Type::f32([64, 3000])).unwrap();
    let product = g.matmul(a, b, false, false).unwrap();
    for max_workgroups in [3, 7, 64, 65_535] {
        for most in [3_000_000, 17_000_000, 100_000_000] {
            let caps = Caps {
                max_workgroups,
                max_multiply_adds: Some(most),
                ..Caps::default()
            };
            let plan = match planned(&g, &[product], &caps) {
                Ok(plan) => plan,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
                    continue;
                }
            };
            let mut next = 0;
            for step in &plan.steps {
                assert_eq!(step.base, next, "{max_workgroups} {most}");
                next = step.base + step.grid[0] * step.grid[1];
            }
            assert!(next >= plan.steps[0].count);
        }
    }
}

#[test]
fn what_cannot_be_sliced_says_so() {
    for host in hosts() {
        let t = training();
        let store = pollster::block_on(Store::new_async(&engine(&host), &[&t.graph], 3)).unwrap();
        let mut session = compiled(&store, &t.graph, &[], PlanOptions::default());
        let (x, y) = batch(0);
        session.write(t.x, &x).unwrap();
        session.write(t.y, &y).unwrap();
        let mut encoder = host.0.create_command_encoder(&Default::default());
        let error = session.advance(&mut encoder, 1.0).unwrap_err();
        assert!(error.to_string().contains("PlanOptions::staged"), "{error}");
        let error = session.advance(&mut encoder, f64::NAN).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

/// No dispatch before the commit writes a state, and what follows is little.
#[test]
fn staged_plans_write_states_last() {
    let t = training();
    let caps = Caps::default();
    let layout = StateLayout::new(&[&t.graph], caps.max_binding).unwrap();
    let plan = |options| Plan::new(&t.graph, &layout, &[t.loss], &caps, options).unwrap();
    let (staged, plain) = (plan(STAGED), plan(PlanOptions::default()));
    let writes = |plan: &Plan, range: std::ops::Range<usize>| {
        let bindings = plan.steps[range].iter().flat_map(|step| &step.bindings);
        let kept = |chunk: usize| {
            let mut states = t.graph.states().iter();
            states.any(|state| {
                let entry = layout.check(&state.name, &state.ty).unwrap();
                let here = entry.parts.iter().any(|part| part.chunk == chunk);
                here && state.kind == StateKind::Gradient
            })
        };
        let chunk = |buffer| matches!(buffer, Buffer::Chunk(chunk) if !kept(chunk));
        let written = |access| access == striate::kernel::Access::ReadWrite;
        bindings
            .filter(|(span, access)| chunk(span.buffer) && written(*access))
            .count()
    };
    assert_eq!(writes(&staged, 0..staged.commit), 0);
    assert!(writes(&staged, staged.commit..staged.steps.len()) > 0);
    let after = staged.steps.len() - staged.commit;

    assert!(
        after * 4 < staged.steps.len(),
        "{after} of {}",
        staged.steps.len()
    );
    println!(
        "staged: {} dispatches, {} after the commit, {} bytes; else {} dispatches, {} bytes",
        staged.steps.len(),
        after,
        staged.bytes.total(),
        plain.steps.len(),
        plain.bytes.total()
    );
}

fn planned(g: &Graph, fetched: &[Value], caps: &Caps) -> Result<Plan> {
    let layout = StateLayout::new(&[g], caps.max_binding)?;
    Plan::new(g, &layout, fetched, caps, PlanOptions::default())
}

/// A product of 8.8 TFLOP and a convolution of 1.2 TFLOP are cut to what one dispatch may do.
#[test]
fn no_dispatch_does_more_than_the_cap() {
    for most in [GPU_MULTIPLY_ADDS, 4_000_000_000] {
        let caps = Caps {
            max_binding: 1 << 30,
            max_multiply_adds: Some(most),
            ..Caps::default()
        };
        let mut g = Graph::new();
        let a = g.input("a", Type::f32([16384, 16384])).unwrap();
        let b = g.input("b", Type::f32([16384, 16384])).unwrap();
        let product = g.matmul(a, b, false, false).unwrap();
        let x = g.input("x", Type::f32([16, 256, 128, 128])).unwrap();
        let weight = g.input("weight", Type::f32([1024, 256, 3, 3])).unwrap();
        let conv = ConvSettings::new().padding(1);
        let y = g.conv2d(x, weight, None, conv).unwrap();
        for (value, total) in [(product, 1u64 << 42), (y, 16 * 1024 * 128 * 128 * 256 * 9)] {
            let plan = planned(&g, &[value], &caps).unwrap();
            let longest = plan
                .steps
                .iter()
                .map(|step| step.multiply_adds)
                .max()
                .unwrap();
            assert!(longest <= most + most / 100, "{longest} of {most}");
            let sum: u64 = plan.steps.iter().map(|step| step.multiply_adds).sum();
            let missing = total.abs_diff(sum) as f64 / total as f64;
            assert!(missing < 0.01, "{sum} of {total}");
        }
    }
}

/// Cut dispatches give the bits of whole ones.
#[test]
fn cut_products_have_the_bits_of_whole_ones() {
    for gpu in Gpu::all(&GpuOptions::default()) {
        let gpu = gpu.unwrap();
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([4, 8, 24, 24])).unwrap();
        let weight = g.input("weight", Type::f32([16, 8, 3, 3])).unwrap();
        let y = g
            .conv2d(x, weight, None, ConvSettings::new().padding(1))
            .unwrap();
        let flat = g.flatten(y, 1).unwrap();
        let z = g.matmul(flat, flat, false, true).unwrap();
        let numbers = |count: usize| (0..count).map(|i| (i * 7919 % 1009) as f32 / 500.0 - 1.0);
        let results: Vec<[Tensor; 2]> = [None, Some(400_000)]
            .into_iter()
            .map(|most| {
                let options = GpuOptions {
                    max_multiply_adds: most,
                    ..GpuOptions::default()
                };
                let gpu = gpu.with_options(&options).unwrap();
                let store = Store::new(&Engine::from(gpu), &[&g], 0).unwrap();
                let mut session = Session::new(&store, &g, &[y, z]).unwrap();
                let given = numbers(4 * 8 * 576).collect();
                session
                    .write(x, &Tensor::f32([4, 8, 24, 24], given).unwrap())
                    .unwrap();
                let given = numbers(16 * 72).collect();
                session
                    .write(weight, &Tensor::f32([16, 8, 3, 3], given).unwrap())
                    .unwrap();
                if most.is_some() {
                    let steps = session.plan().unwrap().steps.len();
                    assert!(steps > 4, "{steps} dispatches");
                }
                session.run(1).unwrap();
                [session.read(y).unwrap(), session.read(z).unwrap()]
            })
            .collect();
        assert_eq!(results[0], results[1]);
    }
}

/// On a network of short dispatches, slices keep to a budget of 4 ms once their times are known.
/// Timings on a machine that does other work say little: `.ci/long` runs it.
#[test]
#[ignore = "measures time"]
fn slices_keep_to_their_budget() {
    const BUDGET: f64 = 4.0;
    for host in hosts() {
        let (device, queue) = &host;
        if !device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            println!("skipped: no timestamps");
            continue;
        }
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([1, 4, 32, 32])).unwrap();
        let mut y = x;
        let weight: Vec<f32> = (0..4 * 4 * 9)
            .map(|i| (i % 7) as f32 / 30.0 - 0.1)
            .collect();
        let weight = g
            .constant(Tensor::f32([4, 4, 3, 3], weight).unwrap())
            .unwrap();
        for _ in 0..200 {
            y = g
                .conv2d(y, weight, None, ConvSettings::new().padding(1))
                .unwrap();
            y = g.relu(y).unwrap();
        }
        let gpu = Gpu::from_device(device.clone(), queue.clone()).unwrap();
        let store = pollster::block_on(Store::new_async(&Engine::from(gpu), &[&g], 0)).unwrap();
        let mut session = compiled(&store, &g, &[y], PlanOptions::default());
        session
            .write(x, &Tensor::zeros(&Type::f32([1, 4, 32, 32])).unwrap())
            .unwrap();
        let mut over = Vec::new();
        for at in 0..400 {
            let begin = std::time::Instant::now();
            frame(device, queue, |encoder| {
                session.advance(encoder, BUDGET).unwrap();
            });
            if at >= 100 {
                over.push(begin.elapsed().as_secs_f64() * 1e3 - BUDGET);
            }
        }
        over.sort_by(f64::total_cmp);
        let [median, most] = [over[over.len() / 2], over[over.len() * 95 / 100]];
        println!("over a budget of {BUDGET} ms: median {median:.2} ms, 95 % below {most:.2} ms");
        session.abandon_step();
        // Of five steps, since another program may have had the processor in one.
        let mut profile = || polled(device, session.profile_async()).unwrap();
        let profiles = [(); 5].map(|()| profile());
        println!("{}", profiles[0]);
        let medians = (0..profiles[0].dispatches.len()).map(|at| {
            let mut times = profiles.each_ref().map(|p| p.dispatches[at].nanoseconds());
            times.sort_by(f64::total_cmp);
            times[2]
        });
        let longest = medians.fold(0.0, f64::max) / 1e6;
        println!("the longest dispatch takes {longest:.3} ms, the median of five steps");
        assert!(longest < 1.0, "{longest} ms: the machine is busy or slow");
        assert!(most <= 2.0, "{most}");
    }
}
