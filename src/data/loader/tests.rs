use super::*;
use crate::data::{digits, source_fn};
use crate::gpu::Engine;
use crate::graph::Graph;
use crate::session::Session;
use crate::store::Store;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;

/// Samples whose first two pixels are their number.
fn numbered(count: usize) -> Arc<dyn Source> {
    Arc::new(source_fn(count, [1, 2, 3], 10, |index, pixels| {
        pixels[..2].copy_from_slice(&(index as u16).to_le_bytes());
        Ok(index as u32 % 10)
    }))
}

fn indices(batch: &LoadedBatch) -> Vec<u32> {
    let rows = batch.images.chunks_exact(6);
    let rows = rows.map(|row| u32::from(u16::from_le_bytes([row[0], row[1]])));
    rows.collect()
}

#[test]
fn the_order_is_that_of_the_device() {
    for (count, batch, shuffle, drop_last) in [
        (67, 16, true, false),
        (67, 16, true, true),
        (67, 16, false, false),
        (64, 16, true, false),
        (5, 9, true, false),
    ] {
        let seed = 0x0123_4567_89ab_cdef;
        let batches = Batches {
            count,
            batch,
            shuffle,
            drop_last,
        };
        let options = LoaderOptions {
            batch,
            shuffle,
            drop_last,
            seed,
            workers: 3,
            ahead: 2,
        };
        let mut loader = Loader::new(numbered(count), &options).unwrap();
        let steps = loader.steps_per_epoch();
        assert_eq!(steps, batches.steps().unwrap());
        for step in 0..3 * steps {
            let mut g = Graph::new();
            let clock = g.clock().unwrap();
            let rows = match batches.remainder() {
                rows if rows > 0 && step % steps == steps - 1 => rows,
                _ => batch.min(count),
            };
            let (wanted, _) = g.batch_rows(clock, batches, rows).unwrap();
            let store = Store::new(&Engine::cpu(), &[&g], seed).unwrap();
            let mut at = store.get("clock").unwrap().as_u32().unwrap().to_vec();
            at[2] = step as u32;
            let at = crate::tensor::Tensor::u32([4], at).unwrap();
            store.set("clock", &at).unwrap();
            let mut session = Session::new(&store, &g, &[wanted]).unwrap();
            session.run(1).unwrap();
            let batch = loader.next_batch().unwrap();
            let wanted = session.read(wanted).unwrap();
            assert_eq!(indices(&batch), wanted.as_u32().unwrap(), "step {step}");
            assert_eq!(batch.step, step as u32);
            let labels: Vec<u32> = indices(&batch).iter().map(|i| i % 10).collect();
            assert_eq!(batch.labels, labels);
        }
    }
}

#[test]
fn another_step_begins_anew() {
    let options = LoaderOptions {
        batch: 4,
        ..LoaderOptions::default()
    };
    let mut loader = Loader::new(numbered(30), &options).unwrap();
    let batches: Vec<_> = loader.by_ref().take(20).map(Result::unwrap).collect();
    for step in [3, 4, 19, 0, 1, 2, 11] {
        loader.go_to(step);
        assert_eq!(loader.step(), step);
        assert_eq!(loader.next_batch().unwrap(), batches[step as usize]);
    }
}

#[test]
fn a_failure_is_the_error_of_its_batch() {
    let broken = Arc::new(AtomicUsize::new(1));
    let state = broken.clone();
    let source = source_fn(40, [1, 1, 1], 2, move |index, _| {
        match (index, state.load(Ordering::SeqCst)) {
            (21, 1) => Err(Error::new(ErrorKind::Io, "21.png: gone")),
            (21, 2) => panic!("cannot make {index}"),
            (21, 3) => Ok(2),
            _ => Ok(1),
        }
    });
    let options = LoaderOptions {
        batch: 10,
        shuffle: false,
        workers: 2,
        ..LoaderOptions::default()
    };
    let mut loader = Loader::new(Arc::new(source), &options).unwrap();
    for step in 0..2 {
        assert_eq!(loader.next_batch().unwrap().step, step);
    }
    for (now, kind, words) in [
        (1, ErrorKind::Io, "21.png: gone"),
        (
            2,
            ErrorKind::Data,
            "sample 21: its source panicked: cannot make 21",
        ),
        (
            3,
            ErrorKind::Data,
            "label 2 of sample 21 is not below 2, the number of classes",
        ),
    ] {
        // Nobody tries it again before it is asked for.
        sleep(Duration::from_millis(20));
        broken.store(now, Ordering::SeqCst);
        let error = loader.next_batch().unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, words));
        assert_eq!(loader.step(), 2);
    }
    sleep(Duration::from_millis(20));
    broken.store(0, Ordering::SeqCst);
    assert_eq!(loader.next_batch().unwrap().step, 2);
    assert_eq!(loader.next_batch().unwrap().step, 3);
}

/// A source that panics when it is asked for its classes or its size again.
struct Forgetful(AtomicUsize, AtomicUsize);

impl Source for Forgetful {
    fn len(&self) -> usize {
        20
    }

    fn image(&self) -> [usize; 3] {
        assert_eq!(self.0.fetch_add(1, Ordering::SeqCst), 0);
        [1, 2, 2]
    }

    fn classes(&self) -> usize {
        assert_eq!(self.1.fetch_add(1, Ordering::SeqCst), 0);
        3
    }

    fn sample(&self, index: usize, pixels: &mut [u8]) -> Result<u32> {
        pixels.fill(index as u8);
        Ok(2)
    }
}

#[test]
fn size_and_classes_are_asked_for_once() {
    let source = Forgetful(AtomicUsize::new(0), AtomicUsize::new(0));
    let mut loader = Loader::new(Arc::new(source), &LoaderOptions::default()).unwrap();
    for _ in 0..3 {
        assert_eq!(loader.next_batch().unwrap().labels, [2; 20]);
    }
}

#[test]
fn no_more_is_made_than_was_asked_for() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = made.clone();
    let source = source_fn(1000, [1, 1, 1], 1, move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(0)
    });
    let source: Arc<dyn Source> = Arc::new(source);
    let options = LoaderOptions {
        batch: 10,
        workers: 4,
        ahead: 3,
        ..LoaderOptions::default()
    };
    let mut loader = Loader::new(source.clone(), &options).unwrap();
    let all = |wanted: usize| {
        let began = Instant::now();
        while made.load(Ordering::SeqCst) < wanted {
            assert!(began.elapsed() < Duration::from_secs(60), "nothing is made");
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(20));
        assert_eq!(made.load(Ordering::SeqCst), wanted);
    };
    all(30);
    loader.next_batch().unwrap();
    all(40);
    assert!(Arc::strong_count(&source) > 1);
    drop(loader);
    // The threads are gone, and what they held.
    assert_eq!(Arc::strong_count(&source), 1);
}

#[test]
fn bad_settings_are_refused() {
    let kind = |source: Arc<dyn Source>, options: LoaderOptions| {
        Loader::new(source, &options).unwrap_err().kind()
    };
    let options = LoaderOptions::default;
    let of = |batch, ahead| LoaderOptions {
        batch,
        ahead,
        ..options()
    };
    assert_eq!(kind(numbered(0), options()), ErrorKind::Data);
    assert_eq!(kind(numbered(5), of(0, 1)), ErrorKind::Shape);
    assert_eq!(kind(numbered(5), of(1, 0)), ErrorKind::Shape);
    let drop_last = LoaderOptions {
        drop_last: true,
        ..of(6, 1)
    };
    assert_eq!(kind(numbered(5), drop_last), ErrorKind::Shape);
}

#[test]
fn a_set_in_memory_is_a_source() {
    let set = digits(7, 3).unwrap();
    let mut loader = Loader::new(
        Arc::new(set.clone()),
        &LoaderOptions {
            shuffle: false,
            ..LoaderOptions::default()
        },
    )
    .unwrap();
    let batch = loader.next_batch().unwrap();
    assert_eq!((batch.images, batch.labels), (set.images, set.labels));
}
