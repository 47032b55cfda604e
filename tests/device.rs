//! Devices, own and borrowed: limits, losses, writes that wait, reads that own what they read.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use striate::error::{Error, ErrorKind, Result};
use striate::gpu::{Engine, Gpu, GpuOptions};
use striate::graph::{Graph, Init, StateKind, Value};
use striate::interop::{load_parameters, save_parameters_async};
use striate::session::{ReadFuture, Session};
use striate::shape::Type;
use striate::store::Store;
use striate::tensor::Tensor;
use striate::wgpu;

/// A device of a host's, which counts the errors that reach its handler.
struct Host {
    adapter: wgpu::Adapter,
    device: wgpu::Device,
    queue: wgpu::Queue,
    errors: Arc<AtomicUsize>,
}

impl Host {
    fn on(adapter: &wgpu::Adapter, required_limits: wgpu::Limits) -> Self {
        let descriptor = wgpu::DeviceDescriptor {
            required_limits,
            ..Default::default()
        };
        let opened = pollster::block_on(adapter.request_device(&descriptor));
        let (device, queue) = opened.unwrap();
        let errors = Arc::new(AtomicUsize::new(0));
        let seen = errors.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            eprintln!("{error}");
            seen.fetch_add(1, Ordering::Relaxed);
        }));
        Self {
            adapter: adapter.clone(),
            device,
            queue,
            errors,
        }
    }

    fn gpu(&self, options: &GpuOptions) -> Result<Gpu> {
        Gpu::from_device_with(self.device.clone(), self.queue.clone(), options)
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&Default::default())
    }

    fn submit(&self, encoders: impl IntoIterator<Item = wgpu::CommandEncoder>) {
        let encoders = encoders.into_iter();
        self.queue
            .submit(encoders.map(wgpu::CommandEncoder::finish));
    }

    fn poll(&self) {
        let wait = wgpu::PollType::wait_indefinitely();
        self.device.poll(wait).unwrap();
    }

    fn read(&self, read: ReadFuture) -> Vec<f32> {
        self.poll();
        pollster::block_on(read).unwrap().as_f32().unwrap().to_vec()
    }

    fn expect_no_errors(&self) {
        let info = self.adapter.get_info();
        assert_eq!(self.errors.load(Ordering::Relaxed), 0, "{info:?}");
    }
}

fn adapters() -> Vec<wgpu::Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    if adapters.is_empty() {
        let required = std::env::var("STRIATE_REQUIRE_GPU");
        assert_ne!(required.as_deref(), Ok("1"), "no adapter");
        println!("SKIPPED: no adapter was found");
    }
    adapters
}

/// A device of WebGPU's default limits on every adapter.
fn hosts() -> Vec<Host> {
    let host = |adapter| Host::on(adapter, wgpu::Limits::default());
    adapters().iter().map(host).collect()
}

/// y = x + total, which becomes the new total.
struct Sums {
    graph: Graph,
    x: Value,
    total: Value,
    y: Value,
}

impl Sums {
    fn new(extent: usize) -> Self {
        let mut graph = Graph::new();
        let ty = Type::f32([extent]);
        let x = graph.input("x", ty.clone()).unwrap();
        let first = Init::Constant(0.5);
        let total = graph
            .state("total", ty, StateKind::Parameter, first, None)
            .unwrap();
        let y = graph.add(x, total).unwrap();
        graph.assign(total, y).unwrap();
        Self { graph, x, total, y }
    }
}

fn constant(extent: usize, value: f32) -> Tensor {
    Tensor::f32([extent], vec![value; extent]).unwrap()
}

fn new_session(store: &Store, graph: &Graph, fetched: &[Value]) -> Result<Session> {
    let builder = Session::builder(store, graph).fetch(fetched);
    pollster::block_on(builder.build_async())
}

fn is_pending(read: &mut ReadFuture) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    std::pin::Pin::new(read).poll(&mut context).is_pending()
}

#[test]
fn limits_too_low_are_named_with_what_is_needed() {
    type Change = fn(&mut wgpu::Limits);
    let changes: [(&str, &str, &str, Change); 16] = [
        ("max_bind_groups", "0", "1", |l| l.max_bind_groups = 0),
        ("max_bindings_per_bind_group", "4", "9", |l| {
            l.max_bindings_per_bind_group = 4;
        }),
        ("max_storage_buffers_per_shader_stage", "3", "4", |l| {
            l.max_storage_buffers_per_shader_stage = 3;
        }),
        ("max_uniform_buffers_per_shader_stage", "2", "4", |l| {
            l.max_uniform_buffers_per_shader_stage = 2;
        }),
        (
            "max_buffers_and_acceleration_structures_per_shader_stage",
            "7",
            "8",
            |l| l.max_buffers_and_acceleration_structures_per_shader_stage = 7,
        ),
        ("max_uniform_buffer_binding_size", "64", "16384", |l| {
            l.max_uniform_buffer_binding_size = 64;
        }),
        ("max_storage_buffer_binding_size", "128", "256", |l| {
            l.max_storage_buffer_binding_size = 128;
        }),
        ("max_buffer_size", "4096", "65536", |l| {
            l.max_buffer_size = 4096;
        }),
        ("min_uniform_buffer_offset_alignment", "512", "256", |l| {
            l.min_uniform_buffer_offset_alignment = 512;
        }),
        ("min_storage_buffer_offset_alignment", "1024", "256", |l| {
            l.min_storage_buffer_offset_alignment = 1024;
        }),
        ("max_compute_invocations_per_workgroup", "128", "256", |l| {
            l.max_compute_invocations_per_workgroup = 128;
        }),
        ("max_compute_workgroup_size_x", "64", "256", |l| {
            l.max_compute_workgroup_size_x = 64;
        }),
        ("max_compute_workgroup_size_y", "0", "1", |l| {
            l.max_compute_workgroup_size_y = 0;
        }),
        ("max_compute_workgroup_size_z", "0", "1", |l| {
            l.max_compute_workgroup_size_z = 0;
        }),
        ("max_compute_workgroup_storage_size", "8192", "16352", |l| {
            l.max_compute_workgroup_storage_size = 8192;
        }),
        (
            "max_compute_workgroups_per_dimension",
            "256",
            "65535",
            |l| {
                l.max_compute_workgroups_per_dimension = 256;
            },
        ),
    ];
    for adapter in adapters() {
        for (name, offered, needed, change) in changes {
            let mut limits = wgpu::Limits::default();
            change(&mut limits);
            let host = Host::on(&adapter, limits);
            let error = host.gpu(&GpuOptions::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Limit, "{name}: {error}");
            let text = error.to_string();
            for part in [name, offered, needed] {
                assert!(text.contains(part), "{part} in: {text}");
            }
            host.expect_no_errors();
        }
    }
}

/// Exactly the limits that are named as needed suffice for training with all that an update binds.
#[test]
fn the_limits_that_are_needed_suffice() {
    for adapter in adapters() {
        let limits = wgpu::Limits {
            max_bind_groups: 1,
            max_bindings_per_bind_group: 9,
            max_storage_buffers_per_shader_stage: 4,
            max_uniform_buffers_per_shader_stage: 4,
            max_buffers_and_acceleration_structures_per_shader_stage: 8,
            max_uniform_buffer_binding_size: 16 << 10,
            min_uniform_buffer_offset_alignment: 256,
            min_storage_buffer_offset_alignment: 256,
            max_compute_workgroup_storage_size: 16_352,
            max_compute_workgroup_size_y: 1,
            max_compute_workgroup_size_z: 1,
            max_buffer_size: 1 << 20,
            max_storage_buffer_binding_size: 1 << 16,
            ..wgpu::Limits::default()
        };
        let host = Host::on(&adapter, limits);
        let engine = Engine::from(host.gpu(&GpuOptions::default()).unwrap());
        let sums = Sums::new(1000);
        let store = pollster::block_on(Store::new_async(&engine, &[&sums.graph], 0)).unwrap();
        let mut session = new_session(&store, &sums.graph, &[]).unwrap();
        session.write(sums.x, &constant(1000, 2.0)).unwrap();
        session.run(3).unwrap();
        assert_eq!(host.read(store.get_async("total")), [6.5; 1000]);
        host.expect_no_errors();
    }
}

fn expect_lost<T>(what: &str, result: Result<T>) {
    match result {
        Ok(_) => panic!("{what}: the loss was not noticed"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::DeviceLost, "{what}: {error}"),
    }
}

/// Nobody notifies and nobody polls: each call says it by itself, and nothing reaches the handler.
#[test]
fn every_call_tells_that_a_borrowed_device_is_lost() {
    for host in hosts() {
        let gpu = host.gpu(&GpuOptions::default()).unwrap();
        let engine = Engine::from(gpu.clone());
        let sums = Sums::new(5);
        let (graph, x) = (&sums.graph, sums.x);
        let new_store = || pollster::block_on(Store::new_async(&engine, &[graph], 0));
        let store = new_store().unwrap();
        let fetched = [sums.y];
        let again = || {
            let options = GpuOptions::default();
            let gpu = host.gpu(&options).unwrap();
            let engine = Engine::from(gpu);
            let store = pollster::block_on(Store::new_async(&engine, &[graph], 0)).unwrap();
            let mut session = new_session(&store, graph, &fetched).unwrap();
            session.write(x, &constant(5, 1.0)).unwrap();
            session.run(1).unwrap();
            session
        };
        // Each on an engine of its own, to which no other call has told it.
        let mut sessions: Vec<Session> = (0..7).map(|_| again()).collect();
        let mut encoder = host.encoder();
        host.device.destroy();
        expect_lost("store", new_store());
        expect_lost("set", store.set("total", &constant(5, 1.0)));
        expect_lost("get", pollster::block_on(store.get_async("total")));
        let mut next = || sessions.pop().unwrap();
        expect_lost("write", next().write(x, &constant(5, 1.0)));
        expect_lost("run", next().run(1));
        expect_lost("record", next().record(&mut encoder, 1));
        expect_lost("read", pollster::block_on(next().read_async(sums.y)));
        expect_lost("read", pollster::block_on(next().read_async(sums.total)));
        expect_lost("record_read", next().record_read(&mut encoder, sums.y));
        expect_lost("session", new_session(&store, graph, &fetched));
        expect_lost("from_device", host.gpu(&GpuOptions::default()));
        host.expect_no_errors();
    }
}

/// What a store held outlives its device: a new one takes it from a file and goes on.
#[test]
fn a_lost_device_is_replaced_from_what_was_saved() {
    for host in hosts() {
        let path = std::env::temp_dir().join(format!(
            "striate-replaced-{}-{:?}.safetensors",
            std::process::id(),
            host.adapter.get_info().backend
        ));
        let sums = Sums::new(5);
        let start = |host: &Host| {
            let engine = Engine::from(host.gpu(&GpuOptions::default()).unwrap());
            let graphs = [&sums.graph];
            let store = Store::new_async(&engine, &graphs, 0);
            let store = pollster::block_on(store).unwrap();
            let session = new_session(&store, &sums.graph, &[sums.y]).unwrap();
            (store, session)
        };
        let (store, mut session) = start(&host);
        session.write(sums.x, &constant(5, 2.0)).unwrap();
        session.run(3).unwrap();
        let mut saving = std::pin::pin!(save_parameters_async(&path, &store));
        let mut context = Context::from_waker(Waker::noop());
        while saving.as_mut().poll(&mut context).is_pending() {
            host.poll();
        }
        host.device.destroy();
        expect_lost("run", session.run(1));
        host.expect_no_errors();

        let other = Host::on(&host.adapter, wgpu::Limits::default());
        let (store, mut session) = start(&other);
        load_parameters(&path, &store).unwrap();
        std::fs::remove_file(&path).unwrap();
        session.write(sums.x, &constant(5, 2.0)).unwrap();
        session.run(1).unwrap();
        let total = other.read(session.read_async(sums.total));
        assert_eq!(total, [0.5 + 4.0 * 2.0; 5]);
        other.expect_no_errors();
    }
}

/// Sessions on one borrowed device, each on a thread of its own with encoders of its own, make what
/// each makes alone.
#[test]
fn threads_share_a_borrowed_device() {
    for host in hosts() {
        let engine = Engine::from(host.gpu(&GpuOptions::default()).unwrap());
        let totals: Vec<ReadFuture> = std::thread::scope(|scope| {
            let work = |thread: usize| {
                let (engine, host) = (&engine, &host);
                move || {
                    let sums = Sums::new(100 + thread);
                    let graphs = [&sums.graph];
                    let store = Store::new_async(engine, &graphs, 0);
                    let store = pollster::block_on(store).unwrap();
                    let mut session = new_session(&store, &sums.graph, &[sums.y]).unwrap();
                    for step in 0..20 {
                        let x = constant(100 + thread, (thread * step) as f32);
                        session.write(sums.x, &x).unwrap();
                        let mut encoder = host.encoder();
                        session.record(&mut encoder, 1).unwrap();
                        host.submit([encoder]);
                    }
                    let mut encoder = host.encoder();
                    let read = session.record_read(&mut encoder, sums.total).unwrap();
                    host.submit([encoder]);
                    read
                }
            };
            let threads: Vec<_> = (0..4).map(|thread| scope.spawn(work(thread))).collect();
            let joined = threads.into_iter().map(|thread| thread.join().unwrap());
            joined.collect()
        });
        for (thread, total) in totals.into_iter().enumerate() {
            let wanted = 0.5 + (thread * 190) as f32;
            assert_eq!(host.read(total), vec![wanted; 100 + thread]);
        }
        host.expect_no_errors();
    }
}

#[test]
fn a_new_session_tells_that_a_borrowed_device_is_lost() {
    for host in hosts() {
        let engine = Engine::from(host.gpu(&GpuOptions::default()).unwrap());
        let sums = Sums::new(5);
        let store = pollster::block_on(Store::new_async(&engine, &[&sums.graph], 0)).unwrap();
        host.device.destroy();
        expect_lost("session", new_session(&store, &sums.graph, &[]));
        host.expect_no_errors();
    }
}

#[test]
fn a_host_that_notifies_gives_the_reason() {
    for host in hosts() {
        let gpu = host.gpu(&GpuOptions::default()).unwrap();
        let notify = gpu.device_lost_notifier();
        host.device
            .set_device_lost_callback(move |reason, message| {
                notify(&format!("{reason:?}: {message} by the host"));
            });
        host.device.destroy();
        host.poll();
        let sums = Sums::new(5);
        let engine = Engine::from(gpu);
        let store = pollster::block_on(Store::new_async(&engine, &[&sums.graph], 0));
        let error = store.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeviceLost);
        let text = error.to_string();
        assert!(
            text.contains("Destroyed") && text.contains("by the host"),
            "{text}"
        );
    }
}

#[test]
fn each_call_tells_that_an_own_device_is_lost() {
    let own = || Gpu::all(&GpuOptions::default()).into_iter().flatten();
    for call in 0..6 {
        for gpu in own() {
            let engine = Engine::from(gpu.clone());
            let mut sums = Sums::new(5);
            // Nothing reads it.
            let other = sums.graph.input("other", Type::f32([5])).unwrap();
            let store = Store::new(&engine, &[&sums.graph], 0).unwrap();
            let mut session = Session::new(&store, &sums.graph, &[sums.y]).unwrap();
            session.write(sums.x, &constant(5, 1.0)).unwrap();
            session.run(1).unwrap();
            gpu.device().destroy();
            match call {
                0 => expect_lost("write", session.write(sums.x, &constant(5, 1.0))),
                5 => expect_lost("write", session.write(other, &constant(5, 1.0))),
                1 => expect_lost("run", session.run(1)),
                2 => expect_lost("set", store.set("total", &constant(5, 1.0))),
                3 => expect_lost("store", Store::new(&engine, &[&sums.graph], 0)),
                _ => expect_lost("wait", gpu.wait()),
            }
        }
    }
}

/// Each recorded step sees what was written before it was recorded, whenever it is submitted.
#[test]
fn writes_keep_the_order_of_calls() {
    for host in hosts() {
        let engine = Engine::from(host.gpu(&GpuOptions::default()).unwrap());
        let sums = Sums::new(3);
        let store = pollster::block_on(Store::new_async(&engine, &[&sums.graph], 0)).unwrap();
        let mut session = new_session(&store, &sums.graph, &[]).unwrap();
        let mut encoders = Vec::new();
        for value in [1.0, 10.0, 100.0] {
            session.write(sums.x, &constant(3, value)).unwrap();
            let mut encoder = host.encoder();
            session.record(&mut encoder, 1).unwrap();
            encoders.push(encoder);
            if value == 1.0 {
                store.set("total", &constant(3, 7.0)).unwrap();
            }
        }
        host.submit(encoders);
        assert_eq!(host.read(store.get_async("total")), [117.0; 3]);
        // A write that nothing follows is seen by a read.
        session.write(sums.x, &constant(3, 5.0)).unwrap();
        assert_eq!(host.read(session.read_async(sums.x)), [5.0; 3]);
        host.expect_no_errors();
    }
}

/// What an encoder took along comes back if it is dropped, unless it has been written again.
#[test]
fn writes_of_a_dropped_encoder_are_not_lost() {
    for host in hosts() {
        let engine = Engine::from(host.gpu(&GpuOptions::default()).unwrap());
        let sums = Sums::new(3);
        let store = pollster::block_on(Store::new_async(&engine, &[&sums.graph], 0)).unwrap();
        let mut session = new_session(&store, &sums.graph, &[]).unwrap();
        session.write(sums.x, &constant(3, 1.0)).unwrap();
        store.set("total", &constant(3, 20.0)).unwrap();
        let mut encoder = host.encoder();
        session.record(&mut encoder, 1).unwrap();
        drop(encoder);
        session.run(1).unwrap();
        assert_eq!(host.read(store.get_async("total")), [21.0; 3]);

        session.write(sums.x, &constant(3, 2.0)).unwrap();
        let mut stale = host.encoder();
        session.record(&mut stale, 1).unwrap();
        session.write(sums.x, &constant(3, 3.0)).unwrap();
        session.run(1).unwrap();
        host.poll();
        drop(stale.finish());
        session.run(1).unwrap();
        assert_eq!(host.read(store.get_async("total")), [27.0; 3]);

        // What was restored meanwhile stays.
        store.set("total", &constant(3, 40.0)).unwrap();
        let mut stale = host.encoder();
        session.record(&mut stale, 1).unwrap();
        let states = [("total", constant(3, 50.0))];
        store.restore(&states).unwrap();
        drop(stale);
        session.run(1).unwrap();
        assert_eq!(host.read(store.get_async("total")), [53.0; 3]);
        host.expect_no_errors();
    }
}

/// A borrowed device is not submitted to by writes; what does not fit is an error, and fits again
/// once the host has submitted and polled. What is written again takes no more room.
#[test]
fn a_full_ring_is_out_of_memory() {
    for host in hosts() {
        let options = GpuOptions {
            max_staging: Some(1000),
            ..GpuOptions::default()
        };
        let engine = Engine::from(host.gpu(&options).unwrap());
        let mut g = Graph::new();
        for name in ["a", "b", "c"] {
            let first = Init::Constant(0.25);
            g.state(name, Type::f32([100]), StateKind::Data, first, None)
                .unwrap();
        }
        let store = pollster::block_on(Store::new_async(&engine, &[&g], 0)).unwrap();
        let set = |name, value| store.set(name, &constant(100, value));
        for i in 0..10 {
            set("a", i as f32).unwrap();
            set("b", i as f32).unwrap();
        }
        let error: Error = set("c", 1.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
        let text = error.to_string();
        for part in ["\"c\"", "400", "800", "1000"] {
            assert!(text.contains(part), "{part} in: {text}");
        }
        let mut encoder = host.encoder();
        store.record_writes(&mut encoder);
        // They wait for the device now.
        assert_eq!(set("c", 1.0).unwrap_err().kind(), ErrorKind::OutOfMemory);
        host.submit([encoder]);
        host.poll();
        set("c", 1.0).unwrap();
        let values = ["a", "b", "c"].map(|name| host.read(store.get_async(name))[99]);
        assert_eq!(values, [9.0, 9.0, 1.0]);
        host.expect_no_errors();
    }
}

/// A write that does not fit changes nothing, also where some of its parts would fit.
#[test]
fn a_write_that_is_refused_leaves_no_part_behind() {
    const EXTENT: usize = 3 << 14;
    for host in hosts() {
        let options = GpuOptions {
            max_staging: Some(9 << 14),
            max_binding: Some(1 << 16),
            ..GpuOptions::default()
        };
        let engine = Engine::from(host.gpu(&options).unwrap());
        let mut g = Graph::new();
        let (ty, first) = (Type::f32([EXTENT]), Init::Constant(0.5));
        g.state("s", ty.clone(), StateKind::Data, first, None)
            .unwrap();
        let x = g.input("x", ty).unwrap();
        let store = pollster::block_on(Store::new_async(&engine, &[&g], 0)).unwrap();
        let mut session = new_session(&store, &g, &[x]).unwrap();
        let tensor = constant(EXTENT, 1.0);
        let refused = [store.set("s", &tensor), session.write(x, &tensor)];
        for error in refused.map(Result::unwrap_err) {
            assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
        }
        let state = host.read(store.get_async("s"));
        assert!(state.iter().all(|&value| value == 0.5));
        host.expect_no_errors();
    }
}

/// Reads own what they read: later steps run or are recorded first, and another thread may wait.
#[test]
fn reads_are_of_the_step_before_them() {
    for gpu in Gpu::all(&GpuOptions::default()) {
        let engine = Engine::from(gpu.unwrap());
        let sums = Sums::new(3);
        let store = Store::new(&engine, &[&sums.graph], 0).unwrap();
        let mut session = Session::new(&store, &sums.graph, &[sums.y]).unwrap();
        let mut reads = Vec::new();
        for value in [1.0, 2.0, 3.0] {
            session.write(sums.x, &constant(3, value)).unwrap();
            session.run(1).unwrap();
            reads.push(session.read_async(sums.y));
            reads.push(store.get_async("total"));
        }
        drop((session, store));
        let wait = |read: ReadFuture| std::thread::spawn(move || read.wait().unwrap());
        let threads: Vec<_> = reads.into_iter().map(wait).collect();
        let first = |tensor: Tensor| tensor.as_f32().unwrap()[2];
        let values = threads.into_iter().map(|t| first(t.join().unwrap()));
        let values: Vec<f32> = values.collect();
        assert_eq!(values, [1.5, 1.5, 3.5, 3.5, 6.5, 6.5]);
    }
}

#[test]
fn reads_are_recorded_behind_their_steps() {
    for host in hosts() {
        let engine = Engine::from(host.gpu(&GpuOptions::default()).unwrap());
        let sums = Sums::new(3);
        let store = pollster::block_on(Store::new_async(&engine, &[&sums.graph], 0)).unwrap();
        let mut session = new_session(&store, &sums.graph, &[sums.y]).unwrap();
        let (mut encoders, mut reads) = (Vec::new(), Vec::new());
        for value in [1.0, 2.0] {
            let mut encoder = host.encoder();
            session.write(sums.x, &constant(3, value)).unwrap();
            session.record(&mut encoder, 1).unwrap();
            for value in [sums.y, sums.x, sums.total] {
                reads.push(session.record_read(&mut encoder, value).unwrap());
            }
            encoders.push(encoder);
        }
        assert!(reads.iter_mut().all(is_pending));
        host.submit(encoders);
        let values: Vec<f32> = reads.into_iter().map(|read| host.read(read)[1]).collect();
        assert_eq!(values, [1.5, 1.0, 1.5, 3.5, 2.0, 3.5]);
        host.expect_no_errors();
    }
}

/// A step that is recorded and not submitted has no result yet; one whose encoder was dropped
/// never will.
#[test]
fn steps_that_are_not_submitted_are_not_read() {
    for host in hosts() {
        let engine = Engine::from(host.gpu(&GpuOptions::default()).unwrap());
        let sums = Sums::new(3);
        let store = pollster::block_on(Store::new_async(&engine, &[&sums.graph], 0)).unwrap();
        let mut session = new_session(&store, &sums.graph, &[sums.y]).unwrap();
        session.write(sums.x, &constant(3, 1.0)).unwrap();
        for round in 1..4 {
            let mut encoder = host.encoder();
            let mut other = host.encoder();
            session.record(&mut encoder, 1).unwrap();
            session.record(&mut other, 1).unwrap();
            let error = pollster::block_on(session.read_async(sums.y)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Graph, "{error}");
            assert!(error.to_string().contains("submitted"), "{error}");
            host.submit([encoder]);
            let error = pollster::block_on(session.read_async(sums.y)).unwrap_err();
            assert!(error.to_string().contains("1 recorded"), "{error}");
            host.submit([other]);
            let want = 0.5 + 2.0 * round as f32;
            assert_eq!(host.read(session.read_async(sums.y)), [want; 3]);
        }
        let mut encoder = host.encoder();
        session.record(&mut encoder, 1).unwrap();
        let mut lost = session.record_read(&mut encoder, sums.y).unwrap();
        assert!(is_pending(&mut lost));
        drop(encoder);
        let error = pollster::block_on(lost).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Readback, "{error}");
        assert_eq!(host.read(session.read_async(sums.y)), [6.5; 3]);
        host.expect_no_errors();
    }
}

const NAMED: &str = "STRIATE_TEST_ENGINE";

/// What the processes of the test below run; on its own it does nothing.
#[test]
fn child_prints_its_engine() {
    if std::env::var_os(NAMED).is_some() {
        match Engine::new() {
            Ok(engine) => println!("engine: {}", engine.describe()),
            Err(error) => println!("engine: {:?}: {error}", error.kind()),
        }
    }
}

#[test]
fn the_cpu_is_no_answer_to_what_the_environment_names() {
    let engine = |variable: &str, value: &str| -> String {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_prints_its_engine", "--nocapture"])
            .env(NAMED, "1")
            .env(variable, value)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find_map(|l| l.split("engine: ").nth(1));
        line.unwrap_or_else(|| panic!("the child printed {text}"))
            .to_owned()
    };
    for (variable, value) in [
        ("WGPU_BACKEND", "no such interface"),
        ("WGPU_BACKEND", ""),
        ("WGPU_ADAPTER_NAME", "no such card"),
    ] {
        let told = engine(variable, value);
        assert!(
            told.starts_with("NoAdapter: "),
            "{variable}={value}: {told}"
        );
    }
}

/// A fetched value has none before the first step, whatever was asked for.
#[test]
fn nothing_is_read_before_a_step_ran() {
    for host in hosts() {
        let engine = Engine::from(host.gpu(&GpuOptions::default()).unwrap());
        let sums = Sums::new(3);
        let store = pollster::block_on(Store::new_async(&engine, &[&sums.graph], 0)).unwrap();
        let mut graph = sums.graph.clone();
        let z = graph.add(sums.y, sums.x).unwrap();
        let mut other = new_session(&store, &graph, &[z]).unwrap();
        other.write(sums.x, &constant(3, 1.0)).unwrap();
        let expect_none = |what: &str, read: Result<ReadFuture>| {
            let now = |mut read: ReadFuture| {
                host.poll();
                let mut context = Context::from_waker(Waker::noop());
                match std::pin::Pin::new(&mut read).poll(&mut context) {
                    Poll::Ready(read) => read,
                    Poll::Pending => panic!("{what}: it is waited for"),
                }
            };
            let error = read.and_then(now).expect_err(what);
            assert_eq!(error.kind(), ErrorKind::Graph, "{what}: {error}");
            assert!(error.to_string().contains("nothing ran"), "{what}: {error}");
        };
        let mut encoder = host.encoder();
        expect_none("no step", Ok(other.read_async(z)));
        expect_none("no step", other.record_read(&mut encoder, z));
        other.run(0).unwrap();
        expect_none("no steps", Ok(other.read_async(z)));
        other.record(&mut encoder, 0).unwrap();
        expect_none("none recorded", other.record_read(&mut encoder, z));
        host.submit([encoder]);
        expect_none("none recorded", Ok(other.read_async(z)));
        let timed = pollster::block_on(other.time_async(1)).unwrap_err();
        assert_eq!(timed.kind(), ErrorKind::Unsupported, "{timed}");
        expect_none("a step that was not timed", Ok(other.read_async(z)));

        let mut encoder = host.encoder();
        other.record(&mut encoder, 1).unwrap();
        drop(other.record_read(&mut encoder, z).unwrap());
        drop(encoder);
        expect_none("a dropped encoder", Ok(other.read_async(z)));
        let mut encoder = host.encoder();
        expect_none("a dropped encoder", other.record_read(&mut encoder, z));
        other.record(&mut encoder, 1).unwrap();
        host.submit([encoder]);
        assert_eq!(host.read(other.read_async(z)), [2.5; 3]);
        // Whatever becomes of the mark of that step.
        drop({
            let mut encoder = host.encoder();
            other.record(&mut encoder, 1).unwrap();
            encoder
        });
        assert_eq!(host.read(other.read_async(z)), [2.5; 3]);
        host.expect_no_errors();
    }
}
