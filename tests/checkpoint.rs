//! Checkpoints: of one step beside running sessions, whole or refused, and state dicts of PyTorch.
#![cfg(feature = "interop")]
#![allow(
    unsafe_code,
    reason = "an allocator that counts; only it, below, is unsafe"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use striate::error::{ErrorKind, Result};
use striate::gpu::{Engine, Gpu, GpuOptions};
use striate::graph::{Graph, Init, StateKind, Value};
use striate::interop::{
    LoadOptions, encode_averaged_async, encode_training_async, expect_replaceable, load_parameters,
    load_parameters_bytes, load_state_dict, load_state_dict_bytes, load_training,
    load_training_bytes, read_file, replace_file, safetensors, save_parameters, save_training,
    save_training_async,
};
use striate::kernel::{Choice, Tuning};
use striate::rng::Stream;
use striate::session::Session;
use striate::shape::Type;
use striate::store::Store;
use striate::tensor::Tensor;

/// Counts the bytes that this thread holds, and the most that it held.
struct Counting;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
    static MOST: Cell<i64> = const { Cell::new(0) };
}

fn count(bytes: i64) {
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What `work` returns, and the most bytes that it held at a time.
fn measured<T>(work: impl FnOnce() -> T) -> (T, i64) {
    let before = HELD.get();
    MOST.set(before);
    let result = work();
    (result, MOST.get() - before)
}

/// What reading a file of so many bytes may hold.
fn allowed(bytes: usize) -> i64 {
    2 * bytes as i64 + (1 << 20)
}

/// An empty folder of a test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("striate-checkpoint-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The CPU reference and every adapter found.
fn engines() -> Vec<Engine> {
    let gpus: Result<Vec<Gpu>> = Gpu::all(&GpuOptions::default()).into_iter().collect();
    let gpus = gpus.expect("every adapter gives a device");
    if gpus.is_empty() {
        let required = std::env::var("STRIATE_REQUIRE_GPU");
        assert_ne!(required.as_deref(), Ok("1"), "no adapter");
        println!("skipped on GPU: no adapter");
    }
    let gpus = gpus.into_iter().map(Engine::from);
    std::iter::once(Engine::cpu()).chain(gpus).collect()
}

/// States that begin at 0 and grow by 1 in every step, of two kinds.
fn counters(count: usize) -> Graph {
    let mut g = Graph::new();
    let ty = Type::f32([64]);
    let state = |g: &mut Graph, name: &str, kind, start| -> Value {
        g.state(name, ty.clone(), kind, Init::Constant(start), None)
            .unwrap()
    };
    let one = state(&mut g, "one", StateKind::Data, 1.0);
    for i in 0..count {
        let kind = [StateKind::Parameter, StateKind::Statistic][i % 2];
        let counter = state(&mut g, &format!("counter{i}"), kind, 0.0);
        let next = g.add(counter, one).unwrap();
        g.assign(counter, next).unwrap();
    }
    g
}

/// The one number that fills all of these tensors.
fn the_number(states: &[(String, Tensor)]) -> f32 {
    let first = states[0].1.as_f32().unwrap()[0];
    for (name, tensor) in states {
        let values = tensor.as_f32().unwrap();
        assert!(
            values.iter().all(|&x| x == first),
            "{name} is of another step than {}: {} and {first}",
            states[0].0,
            values[0]
        );
    }
    first
}

/// Runs steps on another thread until `work` is done.
fn beside_steps(store: &Store, g: &Graph, work: impl FnOnce()) {
    let done = AtomicBool::new(false);
    let probe = g.find_state("counter0").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut session = Session::new(store, g, &[]).unwrap();
            while !done.load(Ordering::Relaxed) {
                for _ in 0..4 {
                    session.run(1).unwrap();
                }
                // So that no more than these wait in the queue.
                session.read(probe).unwrap();
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn what_is_saved_beside_a_running_session_is_of_one_step() {
    let g = counters(24);
    for (number, engine) in engines().iter().enumerate() {
        let folder = Folder::new(&format!("one-step-{number}"));
        let path = folder.file("run.safetensors");
        let store = Store::new(engine, &[&g], 0).unwrap();
        let names: Vec<&str> = store.names_of(StateKind::Parameter).collect();
        let mut seen = Vec::new();
        beside_steps(&store, &g, || {
            // Until steps are seen to pass between snapshots.
            while seen.len() < 30 || seen[0] == seen[seen.len() - 1] {
                assert!(seen.len() < 100_000, "no step passes");
                seen.push(the_number(&store.snapshot(&names).unwrap()));
                if seen.len() % 3 == 0 {
                    save_training(&path, &store).unwrap();
                    let saved = safetensors::load(&path).unwrap();
                    assert_eq!(saved.len(), 24);
                    the_number(&saved);
                }
            }
        });
        assert!(seen.is_sorted(), "{}: {seen:?}", engine.describe());
        assert_eq!(folder.names(), ["run.safetensors"]);
    }
}

#[test]
fn what_is_loaded_beside_a_running_session_is_of_one_step() {
    let g = counters(24);
    for engine in engines() {
        let store = Store::new(&engine, &[&g], 0).unwrap();
        let names: Vec<&str> = (store.names().filter(|name| *name != "one")).collect();
        let file = |number: f32| {
            let states = names.iter().map(|name| {
                let tensor = Tensor::f32([64], vec![number; 64]).unwrap();
                ((*name).to_owned(), tensor)
            });
            safetensors::encode(&states.collect::<Vec<_>>()).unwrap()
        };
        beside_steps(&store, &g, || {
            for round in 1..30 {
                let start = round as f32 * 10_000.0;
                load_parameters_bytes(&file(start), &store).unwrap();
                let number = the_number(&store.snapshot(&names).unwrap());
                assert!(number >= start, "{}: {number}", engine.describe());
            }
        });
    }
}

#[test]
fn two_threads_on_one_store_lose_no_update() {
    for engine in engines() {
        let g = counters(3);
        let store = Store::new(&engine, &[&g], 0).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut session = Session::new(&store, &g, &[]).unwrap();
                    for _ in 0..300 {
                        session.run(1).unwrap();
                    }
                });
            }
        });
        let states = store
            .snapshot(&["counter0", "counter1", "counter2"])
            .unwrap();
        assert_eq!(the_number(&states), 600.0, "{}", engine.describe());
    }
}

/// A store with a parameter in several chunks of one binding each, and other types.
fn network(engine: &Engine, seed: u64) -> Store {
    let mut g = Graph::new();
    let normal = || Init::Normal { std: 1.0 };
    g.parameter("conv.weight", [6, 3, 5, 5], normal()).unwrap();
    g.parameter("bn.weight", [6], normal()).unwrap();
    g.parameter("bn.bias", [6], normal()).unwrap();
    g.parameter("fc.weight", [10, 30], normal()).unwrap();
    let statistic = |g: &mut Graph, name: &str, ty: Type| {
        let init = Init::Constant(0.0);
        g.state(name, ty, StateKind::Statistic, init, None).unwrap();
    };
    statistic(&mut g, "bn.running_mean", Type::f32([6]));
    statistic(&mut g, "bn.steps", Type::u32([]));
    let ema = Init::SameAs("conv.weight".to_owned());
    let ty = Type::f32([6, 3, 5, 5]);
    g.state("ema.conv.weight", ty, StateKind::Average, ema, None)
        .unwrap();
    g.clock().unwrap();
    Store::new(engine, &[&g], seed).unwrap()
}

fn content(store: &Store) -> Vec<(String, Tensor)> {
    store.snapshot(&store.names().collect::<Vec<_>>()).unwrap()
}

#[test]
fn states_in_several_parts_are_saved_and_loaded() {
    let options = GpuOptions {
        max_binding: Some(512),
        ..GpuOptions::default()
    };
    for gpu in Gpu::all(&options) {
        let engine = Engine::from(gpu.unwrap());
        let (from, to) = (network(&engine, 1), network(&engine, 2));
        assert_ne!(content(&from), content(&to));
        let bytes = pollster::block_on(async {
            // Own devices are polled by those who wait; here, by a blocking read.
            let mut encoded = std::pin::pin!(encode_training_async(&from));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            loop {
                if let std::task::Poll::Ready(bytes) = encoded.as_mut().poll(&mut context) {
                    return bytes.unwrap();
                }
                from.get("clock").unwrap();
            }
        });
        load_training_bytes(&bytes, &to).unwrap();
        assert_eq!(content(&from), content(&to));
    }
}

#[test]
fn a_borrowed_device_saves_and_loads_while_its_host_polls() {
    use striate::wgpu;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let folder = Folder::new("borrowed");
    for adapter in pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all())) {
        let wanted = wgpu::DeviceDescriptor {
            required_limits: wgpu::Limits::default(),
            ..Default::default()
        };
        let device = pollster::block_on(adapter.request_device(&wanted));
        let (device, queue) = device.unwrap();
        let engine = Engine::from(Gpu::from_device(device.clone(), queue).unwrap());
        let (from, to) = (network(&engine, 1), network(&engine, 2));
        fn polled<T>(device: &wgpu::Device, work: impl Future<Output = T>) -> T {
            let mut work = std::pin::pin!(work);
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            loop {
                if let std::task::Poll::Ready(result) = work.as_mut().poll(&mut context) {
                    return result;
                }
                device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            }
        }
        // Writes that wait come before the snapshot, and before what is restored.
        let mark = Tensor::f32([6], vec![7.0; 6]).unwrap();
        from.set("bn.bias", &mark).unwrap();
        to.set("bn.weight", &mark).unwrap();
        let path = folder.file("run.safetensors");
        let error = save_training(&path, &from).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(folder.names().is_empty());
        polled(&device, save_training_async(&path, &from)).unwrap();
        load_training(&path, &to).unwrap();
        let names: Vec<&str> = from.names().collect();
        let content = |store: &Store| polled(&device, store.snapshot_async(&names)).unwrap();
        assert_eq!(content(&from), content(&to));
        let bias = content(&to).into_iter().find(|state| state.0 == "bn.bias");
        assert_eq!(bias.unwrap().1, mark);
        let averaged = polled(&device, encode_averaged_async(&to)).unwrap();
        load_parameters_bytes(&averaged, &from).unwrap();
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_reserved_name_is_refused_when_it_is_saved() {
    let mut g = Graph::new();
    g.parameter("__metadata__", [2], Init::Constant(0.0))
        .unwrap();
    let store = Store::new(&Engine::cpu(), &[&g], 0).unwrap();
    let folder = Folder::new("reserved");
    let path = folder.file("net.safetensors");
    for save in [save_parameters(&path, &store), save_training(&path, &store)] {
        let error = save.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Checkpoint);
        assert!(error.to_string().contains("__metadata__"), "{error}");
    }
    assert!(folder.names().is_empty());
}

/// A safetensors file with this header, which is not padded.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length, header.as_bytes(), data].concat()
}

#[test]
fn every_flipped_bit_is_an_error() {
    let store = network(&Engine::cpu(), 1);
    let bytes = pollster::block_on(encode_training_async(&store)).unwrap();
    let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let data = (header..bytes.len()).step_by(7);
    for byte in (0..header).chain(data) {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[byte] ^= 1 << bit;
            let error = safetensors::decode(&damaged).expect_err(&format!("bit {bit} of {byte}"));
            assert_eq!(error.kind(), ErrorKind::Data);
        }
    }
    // What other programs write has no hash.
    let plain = r#"{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#;
    assert_eq!(safetensors::decode(&file(plain, &[1, 2])).unwrap().len(), 1);
    for metadata in [r#"{"format":"pt"}"#, "null", "{}", r#"{"a":"\u0041"}"#] {
        let header = plain.replacen('{', &format!("{{\"__metadata__\":{metadata},"), 1);
        let tensors = safetensors::decode(&file(&header, &[1, 2])).unwrap();
        assert_eq!(tensors[0].1.as_u8().unwrap(), [1, 2]);
    }
}

/// A file that was damaged in one of many ways.
fn damaged(bytes: &[u8], round: u32) -> Vec<u8> {
    let stream = Stream::new(5, 0, round);
    let mut word = 0;
    let mut below = |end: usize| -> usize {
        word += 1;
        stream.word(word) as usize % end.max(1)
    };
    let mut file = bytes.to_vec();
    let header = file.len().min(1000);
    match round % 10 {
        0 | 1 => {
            let end = [file.len(), header][round as usize % 10];
            for _ in 0..=below(4) {
                let at = below(end);
                file[at] ^= 1 << below(8);
            }
        }
        2 => file.truncate(below(file.len())),
        3 => {
            let at = below(header);
            let extra: Vec<u8> = (0..=below(64)).map(|_| below(256) as u8).collect();
            file.splice(at..at, extra);
        }
        4 => {
            let at = below(file.len());
            let end = (at + 1 + below(100)).min(file.len());
            file.drain(at..end);
        }
        5 => {
            let sizes = [0, 1, 8, 1 << 20, 8 << 20, (8 << 20) + 1, 1 << 40, u64::MAX];
            let size = sizes[below(8)].wrapping_add(below(3) as u64);
            file[..8].copy_from_slice(&size.to_le_bytes());
        }
        6 => {
            // Another digit: extents, offsets, the hash.
            let digits = (8..header).filter(|&i| file[i].is_ascii_digit());
            let digits: Vec<usize> = digits.collect();
            for _ in 0..=below(2) {
                file[digits[below(digits.len())]] = b'0' + below(10) as u8;
            }
        }
        7 => {
            let digits = (8..header).find(|&i| file[i].is_ascii_digit());
            let long = "9".repeat(1 + below(40));
            let at = digits.unwrap_or(8) + below(header / 2);
            file.splice(at..at + 1, long.bytes());
        }
        8 => {
            // A run twice: names, entries.
            let at = below(header);
            let end = (at + 1 + below(300)).min(file.len());
            let run = file[at..end].to_vec();
            let to = below(header);
            file.splice(to..to, run);
        }
        _ => {
            let at = below(file.len());
            let end = (at + 1 + below(200)).min(file.len());
            file[at..end].fill(below(256) as u8);
        }
    }
    file
}

#[test]
fn damaged_checkpoints_change_nothing() {
    let folder = Folder::new("damaged");
    let path = folder.file("net.safetensors");
    let saved = network(&Engine::cpu(), 1);
    let signed = pollster::block_on(encode_training_async(&saved)).unwrap();
    // Without a hash, as other programs write it, damage reaches further.
    let start = signed.windows(2).position(|w| w == b"},").unwrap() + 2;
    let mut plain = signed.clone();
    plain.splice(9..start, vec![b' '; start - 9]);
    assert_eq!(
        safetensors::decode(&signed).unwrap(),
        safetensors::decode(&plain).unwrap()
    );
    let store = network(&Engine::cpu(), 2);
    let before = content(&store);
    let mut refused = 0;
    for round in 0..2500 {
        let whole = [&signed, &plain][round as usize / 10 % 2];
        let bytes = damaged(whole, round);
        fs::write(&path, &bytes).unwrap();
        let (read, most) = measured(|| safetensors::load(&path).map(drop));
        assert!(most <= allowed(bytes.len()), "round {round}: {most} bytes");
        let partial = LoadOptions::new().strict(false);
        let loads: [&dyn Fn() -> Result<()>; 2] = [&|| load_training(&path, &store), &|| {
            load_state_dict(&path, &store, &partial).map(drop)
        }];
        for load in loads {
            match load() {
                Ok(()) => {
                    assert!(read.is_ok(), "round {round}");
                    store.restore(&before).unwrap();
                }
                Err(error) => {
                    refused += 1;
                    let kinds = [ErrorKind::Data, ErrorKind::Checkpoint];
                    assert!(kinds.contains(&error.kind()), "round {round}: {error}");
                    assert!(content(&store) == before, "round {round}: {error}");
                }
            }
        }
        if read.is_ok() && (round / 10).is_multiple_of(2) {
            assert_eq!(bytes, signed, "round {round}: damage was not seen");
        }
    }
    assert!(refused > 3000, "{refused} of 5000 loads were refused");
}

#[test]
fn damaged_tuning_files_give_a_whole_table_or_none() {
    let choices = Choice::all().enumerate();
    let tuning = Tuning {
        adapter: "An adapter: 2 µ".to_owned(),
        backend: "vulkan".to_owned(),
        choices: choices
            .map(|(i, choice)| (format!("conv2d forward 3x3 {i}x64"), choice))
            .collect(),
    };
    let text = tuning.to_string();
    assert_eq!(text.parse::<Tuning>().unwrap(), tuning);
    let (mut refused, mut read) = (0, 0);
    for round in 0..2500 {
        let bytes = damaged(text.as_bytes(), round);
        let damaged = String::from_utf8_lossy(&bytes);
        let (result, most) = measured(|| damaged.parse::<Tuning>());
        assert!(
            most <= allowed(damaged.len()),
            "round {round}: {most} bytes"
        );
        match result {
            Ok(_) => read += 1,
            Err(error) => {
                refused += 1;
                assert_eq!(error.kind(), ErrorKind::Data);
                assert!(error.to_string().starts_with("tuning, line "), "{error}");
            }
        }
    }
    assert!(
        refused > 1000 && read > 10,
        "{refused} refused, {read} read"
    );
    for end in 0..text.len() - 1 {
        if text.is_char_boundary(end) {
            let cut = text[..end].parse::<Tuning>();
            assert!(cut.is_err(), "the first {end} bytes make a table");
        }
    }
}

#[test]
fn headers_take_no_more_memory_than_files_of_their_size_may() {
    let folder = Folder::new("headers");
    let path = folder.file("net.safetensors");
    let entries = |count: usize| -> String {
        let entry = |i| {
            format!(
                r#""{i}":{{"dtype":"U8","shape":[],"data_offsets":[{i},{}]}}"#,
                i + 1
            )
        };
        (0..count).map(entry).collect::<Vec<_>>().join(",")
    };
    let axes = "0,".repeat(2_000_000);
    let many_axes = format!(r#"{{"x":{{"dtype":"U8","shape":[{axes}0],"data_offsets":[0,0]}}}}"#);
    // Entries that take little text for each axis.
    let of_axes = |count: usize, axes: usize| -> String {
        let axes = vec!["0"; axes].join(",");
        let entry = |i| format!(r#""{i}":{{"dtype":"U8","shape":[{axes}],"data_offsets":[0,0]}}"#);
        let entries: Vec<String> = (0..count).map(entry).collect();
        format!("{{{}}}", entries.join(","))
    };
    let forwards = entries(10_000);
    let mut backwards: Vec<&str> = forwards.split_inclusive("},").collect();
    backwards.reverse();
    let backwards = backwards.iter().map(|e| e.trim_end_matches(','));
    let backwards = backwards.collect::<Vec<_>>().join(",");
    let pairs = r#""a":"b","#.repeat(500_000);
    let metadata = format!(r#"{{"__metadata__":{{{pairs}"a":"b"}}}}"#);
    let long = format!(r#"{{"__metadata__":{{"a":"{}"}}}}"#, "x".repeat(4 << 20));
    let nested = format!(r#"{{"x":{}"#, "[".repeat(4 << 20));
    for (header, data, is_read) in [
        (format!("{{{}}}", entries(10_000)), 10_000, true),
        (format!("{{{}}}", entries(100_000)), 100_000, false),
        (many_axes, 0, false),
        (format!("{{{backwards}}}"), 10_000, true),
        (of_axes(10_000, 1), 0, true),
        (of_axes(10_000, 5), 0, true),
        (of_axes(10_000, 8), 0, true),
        (of_axes(10_000, 9), 0, false),
        (of_axes(10_000, 64), 0, false),
        (metadata, 0, true),
        (long, 0, true),
        (nested, 0, false),
    ] {
        let bytes = file(&header, &vec![7; data]);
        fs::write(&path, &bytes).unwrap();
        let start = &header[..header.len().min(60)];
        let (result, most) = measured(|| safetensors::load(&path));
        assert_eq!(result.is_ok(), is_read, "{start}");
        if let Err(error) = &result {
            assert_eq!(error.kind(), ErrorKind::Data);
        }
        assert!(
            most <= allowed(bytes.len()),
            "{start}: {most} of {}",
            bytes.len()
        );
    }
}

#[test]
fn files_are_measured_before_they_are_read() {
    let folder = Folder::new("measured");
    let path = folder.file("net.safetensors");
    let store = network(&Engine::cpu(), 1);
    save_parameters(&path, &store).unwrap();
    // Extended with a hole.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(2 << 30).unwrap();
    drop(file);
    let start = std::time::Instant::now();
    let loads: [&dyn Fn() -> Result<()>; 2] = [&|| load_parameters(&path, &store), &|| {
        load_training(&path, &store)
    }];
    for load in loads {
        let (result, most) = measured(load);
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.to_string().contains("2147483648"), "{error}");
        assert!(most < 1 << 20, "{most} bytes");
    }
    assert!(start.elapsed().as_secs() < 5);
    let large = vec![(
        "x".to_owned(),
        Tensor::zeros(&Type::f32([1 << 20])).unwrap(),
    )];
    safetensors::save(&path, &large).unwrap();
    let length = fs::metadata(&path).unwrap().len() as usize;
    let (result, most) = measured(|| safetensors::load(&path));
    assert_eq!(result.unwrap(), large);
    assert!(most <= allowed(length), "{most} bytes for {length}");
}

#[cfg(unix)]
#[test]
fn only_regular_files_are_read_and_replaced() {
    use std::os::unix::fs::FileTypeExt;
    let folder = Folder::new("regular");
    let store = network(&Engine::cpu(), 1);
    let pipe = folder.file("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let link = folder.file("link");
    std::os::unix::fs::symlink("/dev/full", &link).unwrap();
    let taken = folder.file("folder");
    fs::create_dir(&taken).unwrap();
    let paths = [
        pipe.as_path(),
        link.as_path(),
        taken.as_path(),
        Path::new("/dev/zero"),
        Path::new("/dev/full"),
        Path::new("/dev/null"),
    ];
    for path in paths {
        for result in [
            load_parameters(path, &store),
            load_training(path, &store),
            save_parameters(path, &store),
            save_training(path, &store),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
    }
    let kind = |path: &Path| fs::symlink_metadata(path).unwrap().file_type();
    assert!(kind(&pipe).is_fifo());
    assert!(kind(Path::new("/dev/full")).is_char_device());
    assert_eq!(folder.names(), ["folder", "link", "pipe"]);
}

/// What is no safetensors file is named by what it is.
#[test]
fn other_files_are_named() {
    let folder = Folder::new("other");
    let path = folder.file("net.safetensors");
    let store = network(&Engine::cpu(), 1);
    let zip =
        b"PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\x12\0archive/data.pkl";
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\n";
    let long = [&zip[..], &vec![7; 1 << 20]].concat();
    for (bytes, words) in [
        (&zip[..], "torch.save"),
        (&long, "torch.save"),
        (lfs, "Git LFS"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"<html>", "HTML"),
        (b"{\"error\": 404, \"message\": \"Not Found\"}", "JSON"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x01\x02\x03", "gzip"),
        (
            b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M",
            "torch.save",
        ),
        (b"Not found\n", "plain text"),
        (b"", "empty"),
    ] {
        fs::write(&path, bytes).unwrap();
        for result in [
            load_parameters(&path, &store),
            load_training(&path, &store),
            load_parameters_bytes(bytes, &store),
            load_training_bytes(bytes, &store),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data);
            assert!(error.to_string().contains(words), "{words} in: {error}");
        }
    }
}

/// What can be replaced is known before there is anything to write.
#[cfg(unix)]
#[test]
fn files_that_cannot_be_replaced_are_known() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = Folder::new("replaceable");
    let pipe = folder.file("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    fs::write(folder.file("old"), "old").unwrap();
    symlink("old", folder.file("link")).unwrap();
    fs::create_dir(folder.file("deep")).unwrap();
    let before = folder.names();
    for good in ["old", "link", "new", "deep/new"] {
        expect_replaceable(folder.file(good)).unwrap();
    }
    for bad in [
        pipe.as_path(),
        &folder.0,
        &folder.file("deep"),
        &folder.file("missing/new"),
        &folder.file("old/new"),
        Path::new("/dev/full"),
        Path::new("/proc/new"),
        Path::new("/"),
    ] {
        let error = expect_replaceable(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(error.to_string().contains("cannot be written"), "{error}");
        assert_eq!(replace_file(bad, b"new").unwrap_err().kind(), ErrorKind::Io);
    }
    assert_eq!(folder.names(), before);
    assert_eq!(fs::read(folder.file("old")).unwrap(), b"old");

    // A folder that takes files but cannot be opened: the file is the new one, and no error.
    let closed = folder.file("deep");
    fs::write(closed.join("net"), "old").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o300)).unwrap();
    let replaced = replace_file(closed.join("net"), b"new");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    replaced.unwrap();
    assert_eq!(fs::read(closed.join("net")).unwrap(), b"new");
}

/// Programs read what they are given with a bound, and wait for nobody.
#[cfg(unix)]
#[test]
fn a_file_is_read_within_its_bound() {
    let folder = Folder::new("bound");
    let path = folder.file("text");
    fs::write(&path, "0123456789").unwrap();
    assert_eq!(read_file(&path, 10).unwrap(), b"0123456789");
    let error = read_file(&path, 9).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(
        error.to_string().contains("holds 10 bytes, the limit is 9"),
        "{error}"
    );
    let error = read_file(folder.file("missing"), 9).unwrap_err();
    let source = std::error::Error::source(&error);
    let source = source.and_then(|e| e.downcast_ref::<std::io::Error>());
    assert_eq!(source.unwrap().kind(), std::io::ErrorKind::NotFound);
    let pipe = folder.file("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for other in [pipe.as_path(), &folder.0, Path::new("/dev/zero")] {
        let error = read_file(other, u64::MAX).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_keeps_its_mode_and_its_links() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = Folder::new("links");
    let store = network(&Engine::cpu(), 1);
    fs::create_dir(folder.file("deep")).unwrap();
    let real = folder.file("deep").join("real.safetensors");
    let (link, second) = (folder.file("link"), folder.file("second"));
    symlink("deep/real.safetensors", &link).unwrap();
    symlink("link", &second).unwrap();
    // First to where nothing is, then to a file with a mode.
    for mode in [None, Some(0o600), Some(0o640), Some(0o777)] {
        if let Some(mode) = mode {
            fs::set_permissions(&real, fs::Permissions::from_mode(mode)).unwrap();
        }
        save_training(&second, &store).unwrap();
        assert!(fs::symlink_metadata(&real).unwrap().is_file());
        for link in [&link, &second] {
            assert!(fs::symlink_metadata(link).unwrap().is_symlink());
        }
        if let Some(mode) = mode {
            let found = fs::metadata(&real).unwrap().permissions().mode();
            assert_eq!(found & 0o7777, mode);
        }
        load_training(&second, &store).unwrap();
    }
    assert_eq!(folder.names(), ["deep", "link", "second"]);
    assert_eq!(fs::read_dir(folder.file("deep")).unwrap().count(), 1);
    let round = folder.file("round");
    symlink("round", &round).unwrap();
    let error = save_training(&round, &store).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn leftovers_of_killed_runs_are_removed() {
    let folder = Folder::new("leftovers");
    let path = folder.file("net.st");
    let store = network(&Engine::cpu(), 1);
    let (hour, day) = (3600, 24 * 3600);
    // Beyond the largest number that Linux gives to a process.
    let gone = 1 << 23;
    let here = std::process::id();
    let parent = std::os::unix::process::parent_id();
    for (process, name, age, stays) in [
        (gone, "net.st", hour + 60, false),
        (gone, "net.st", 90 * day, false),
        (gone, "net.st", hour - 60, true),
        (gone, "other.st", 2 * hour, true),
        (here, "net.st", hour / 2, true),
        // Of an earlier process with this number.
        (here, "net.st", 30 * day, false),
        (parent, "net.st", hour / 2, true),
    ] {
        let sibling = folder.file(&format!(".{name}.{process}-7.tmp"));
        let file = fs::File::create(&sibling).unwrap();
        let age = std::time::Duration::from_secs(age);
        file.set_modified(std::time::SystemTime::now() - age)
            .unwrap();
        drop(file);
        save_training(&path, &store).unwrap();
        assert_eq!(sibling.exists(), stays, "{sibling:?} of {age:?}");
        let _ = fs::remove_file(&sibling);
    }
    assert_eq!(folder.names(), ["net.st"]);
}

#[test]
fn three_threads_save_to_one_path() {
    let folder = Folder::new("three");
    let path = folder.file("net.st");
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let path = &path;
            scope.spawn(move || {
                let store = network(&Engine::cpu(), seed);
                for _ in 0..20 {
                    save_training(path, &store).unwrap();
                    safetensors::load(path).unwrap();
                }
            });
        }
    });
    assert_eq!(folder.names(), ["net.st"]);
}

/// One tensor after the other: name, element type, shape and bytes.
fn pytorch(tensors: &[(&str, &str, &[usize], Vec<u8>)]) -> Vec<u8> {
    let (mut entries, mut data) = (vec![r#""__metadata__":{"format":"pt"}"#.to_owned()], vec![]);
    for (name, dtype, shape, bytes) in tensors {
        let start = data.len();
        data.extend_from_slice(bytes);
        entries.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{}]}}"#,
            data.len()
        ));
    }
    file(&format!("{{{}}}", entries.join(",")), &data)
}

/// A small network's state dict, one type for each tensor.
fn state_dict(prefix: &str) -> Vec<u8> {
    let named = |name: &str| format!("{prefix}{name}");
    let names = ["w64", "w16", "wb16", "w8", "n", "bn.num_batches_tracked"].map(named);
    let doubles = [0.1f64, -2.5, 1e-50].map(f64::to_le_bytes).concat();
    pytorch(&[
        (&names[0], "F64", &[3], doubles),
        (&names[1], "F16", &[2], vec![0x00, 0x3e, 0x01, 0x00]),
        (&names[2], "BF16", &[1, 1], vec![0xc0, 0x3f]),
        (&names[3], "I32", &[1], (-7i32).to_le_bytes().to_vec()),
        (
            &names[4],
            "I64",
            &[],
            4_000_000_000i64.to_le_bytes().to_vec(),
        ),
        (&names[5], "I64", &[], 5i64.to_le_bytes().to_vec()),
    ])
}

fn pytorch_store(engine: &Engine) -> Store {
    let mut g = Graph::new();
    for (name, shape) in [("w64", vec![3]), ("w16", vec![2]), ("wb16", vec![1, 1])] {
        g.parameter(name, shape, Init::Constant(9.0)).unwrap();
    }
    g.parameter("w8", [1], Init::Constant(9.0)).unwrap();
    let (ty, init) = (Type::u32([]), Init::Constant(9.0));
    g.state("n", ty, StateKind::Statistic, init, None).unwrap();
    Store::new(engine, &[&g], 0).unwrap()
}

#[test]
fn state_dicts_of_pytorch_are_loaded() {
    for engine in engines() {
        let store = pytorch_store(&engine);
        let report = load_state_dict_bytes(&state_dict(""), &store, &LoadOptions::new()).unwrap();
        assert_eq!(report.loaded, ["w64", "w16", "wb16", "w8", "n"]);
        assert_eq!(report.skipped, ["bn.num_batches_tracked"]);
        assert!(report.missing.is_empty() && report.unexpected.is_empty());
        let floats = |name| store.get(name).unwrap().as_f32().unwrap().to_vec();
        assert_eq!(floats("w64"), [0.1f32, -2.5, 0.0]);
        assert_eq!(floats("w16"), [1.5, 2f32.powi(-24)]);
        assert_eq!(floats("wb16"), [1.5]);
        assert_eq!(floats("w8"), [-7.0]);
        assert_eq!(store.get("n").unwrap().as_u32().unwrap(), [4_000_000_000]);

        // As DistributedDataParallel names them.
        let other = pytorch_store(&engine);
        let wrapped = state_dict("module.");
        let error = load_parameters_bytes(&wrapped, &other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Checkpoint, "{error}");
        assert_eq!(content(&other), content(&pytorch_store(&engine)));
        let options = LoadOptions::new().strip_prefix("module.");
        assert_eq!(
            load_state_dict_bytes(&wrapped, &other, &options)
                .unwrap()
                .loaded,
            report.loaded
        );
        assert_eq!(content(&other), content(&store));
    }
}

#[test]
fn parts_are_loaded_with_a_report() {
    let one = 1f32.to_le_bytes().to_vec();
    let bytes = pytorch(&[
        ("w64", "F32", &[3], one.repeat(3)),
        ("w16", "F32", &[3], one.repeat(3)),
        ("wb16", "F32", &[1], one.clone()),
        ("old.w8", "F32", &[1], one.clone()),
        ("head", "F8_E4M3", &[4], one.clone()),
        ("optimizer", "C64", &[1], one.repeat(2)),
    ]);
    let store = pytorch_store(&Engine::cpu());
    let rule = |name: &str| match name {
        "optimizer" => None,
        "old.w8" => Some("w8".to_owned()),
        other => Some(other.to_owned()),
    };
    let strict = LoadOptions::new().rename(rule);
    let error = load_state_dict_bytes(&bytes, &store, &strict).unwrap_err();
    assert_eq!(
        error.to_string(),
        "checkpoint does not fit; missing: \"n\" u32 []; unexpected: \"head\"; \
         different: \"w16\" is [3], not [2], \"wb16\" is [1], not [1, 1]"
    );
    let partial = LoadOptions::new().rename(rule).strict(false);
    let report = load_state_dict_bytes(&bytes, &store, &partial).unwrap();
    assert_eq!(report.loaded, ["w64", "w8"]);
    assert_eq!(report.missing, ["n"]);
    assert_eq!(report.unexpected, ["head"]);
    assert_eq!(report.skipped, ["optimizer"]);
    let shapes = report.other_shape.iter();
    let shapes: Vec<_> = shapes
        .map(|s| (s.name.as_str(), s.found.to_vec(), s.expected.to_vec()))
        .collect();
    assert_eq!(
        shapes,
        [("w16", vec![3], vec![2]), ("wb16", vec![1], vec![1, 1])]
    );
    let floats = |name| store.get(name).unwrap().as_f32().unwrap().to_vec();
    assert_eq!(floats("w64"), [1.0; 3]);
    assert_eq!(floats("w16"), [9.0; 2]);
    assert_eq!(floats("w8"), [1.0]);

    // All or nothing: the last tensor does not fit its type.
    let before = content(&store);
    let number = |n: i64| n.to_le_bytes().to_vec();
    let bytes = pytorch(&[
        ("w64", "F32", &[3], one.repeat(3)),
        ("n", "I64", &[], number(1 << 32)),
    ]);
    let error = load_state_dict_bytes(&bytes, &store, &partial).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tensor \"n\": element 0 is 4294967296, which u32 does not hold"
    );
    let twice = pytorch(&[
        ("w8", "F32", &[1], one.clone()),
        ("old.w8", "F32", &[1], one),
    ]);
    let error = load_state_dict_bytes(&twice, &store, &partial).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Checkpoint, "{error}");
    assert_eq!(content(&store), before);
}

#[test]
fn averages_follow_what_is_loaded() {
    let store = network(&Engine::cpu(), 1);
    let weight = Tensor::f32([6, 3, 5, 5], vec![0.5; 450]).unwrap();
    let file = safetensors::encode(&[("conv.weight".to_owned(), weight.clone())]).unwrap();
    let partial = LoadOptions::new().strict(false);
    load_state_dict_bytes(&file, &store, &partial).unwrap();
    for name in ["conv.weight", "ema.conv.weight"] {
        assert_eq!(store.get(name).unwrap(), weight, "{name}");
    }
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let folder = Folder::new("replace");
    let path = folder.file("file");
    for bytes in [&b"first"[..], b"2", b""] {
        replace_file(&path, bytes).unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    assert_eq!(folder.names(), ["file"]);
}
