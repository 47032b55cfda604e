//! Batches of a source that threads make ahead of whoever takes them.
//!
//! ```text
//!  step      7        8        9       10
//!         [ taken ][ ready ][ ...  ][      ]    batches, at most `ahead` behind the one taken
//!                           | | |
//!                          pieces of a few rows each: a worker makes one at a time
//! ```

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::Batches;
use crate::tensor::room;

/// Bytes that a worker makes at a time, at least one image and at most 32, so that several workers
/// share a batch.
const PIECE: usize = 64 << 10;

/// The most workers where nothing is said.
const MOST_WORKERS: usize = 8;

/// How a [`Loader`] makes batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderOptions {
    /// Samples of a batch; the last one of an epoch may have fewer.
    pub batch: usize,
    /// Whether each epoch has a new pseudo-random order.
    pub shuffle: bool,
    /// Whether an epoch ends before a batch that would not be full.
    pub drop_last: bool,
    /// Keys the orders.
    pub seed: u64,
    /// Threads that make samples; 0 for one less than the cores, from 1 to 8.
    pub workers: usize,
    /// Batches that are made ahead at most, at least 1. This bounds the memory.
    pub ahead: usize,
}

impl Default for LoaderOptions {
    /// Shuffled batches of 64, 4 ahead.
    fn default() -> Self {
        Self {
            batch: 64,
            shuffle: true,
            drop_last: false,
            seed: 0,
            workers: 0,
            ahead: 4,
        }
    }
}

/// A batch that a [`Loader`] made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedBatch {
    /// Its number, from 0 over all epochs.
    pub step: u32,
    /// Pixels `[rows, channels, height, width]`.
    pub images: Vec<u8>,
    /// The class of each image, `[rows]`.
    pub labels: Vec<u32>,
}

/// Makes the batches of a [`Source`] ahead on worker threads, epoch after epoch, in the order that
/// [`Graph::batch_rows`](crate::graph::Graph::batch_rows) has on the device for the same seed, as
/// the first random op of its graph.
///
/// As an iterator it never ends. A sample that fails is the error of its batch, whatever came out
/// sooner; asked again, that batch is tried again. Dropping the loader ends its threads, after the
/// samples that they are at.
///
/// ```
/// use std::sync::Arc;
/// use striate::data::{Loader, LoaderOptions, digits};
///
/// # fn main() -> striate::error::Result<()> {
/// let set = Arc::new(digits(100, 1)?);
/// let options = LoaderOptions { batch: 30, ..LoaderOptions::default() };
/// let mut loader = Loader::new(set, &options)?;
/// let rows: Vec<usize> = (0..4)
///     .map(|_| Ok(loader.next_batch()?.labels.len()))
///     .collect::<striate::error::Result<_>>()?;
/// assert_eq!(rows, [30, 30, 30, 10]);
/// # Ok(())
/// # }
/// ```
pub struct Loader {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    waited: Duration,
}

struct Shared {
    source: Arc<dyn Source>,
    /// Elements of an image.
    pixels: usize,
    classes: usize,
    batches: Batches,
    steps: u32,
    ahead: usize,
    state: Mutex<Queue>,
    /// Told when there is something to be made.
    work: Condvar,
    /// Told when a batch is ready.
    ready: Condvar,
}

struct Queue {
    seed: [u32; 2],
    /// The step of the batch that is taken next, the first of `slots`.
    step: u32,
    slots: VecDeque<Slot>,
    /// How often it began anew: what was begun before is of no use.
    generation: u64,
    /// Set by a batch that failed until somebody asks for it again, so that it is tried again then
    /// and not before: what was wrong may be mended in between.
    halted: bool,
    ended: bool,
}

/// A batch in the making.
struct Slot {
    rows: usize,
    /// Rows that a worker has taken.
    taken: usize,
    pieces: Vec<(usize, Result<Piece>)>,
    /// Rows that are made, or failed.
    made: usize,
}

/// Rows of a batch that a worker makes at a time.
#[derive(Clone)]
struct RowsToMake {
    generation: u64,
    seed: [u32; 2],
    step: u32,
    rows: Range<usize>,
}

struct Piece {
    images: Vec<u8>,
    labels: Vec<u32>,
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let batches = self.shared.batches;
        write!(f, "Loader({batches:?}, {} workers)", self.workers.len())
    }
}

/// The stream of a graph's first random op.
pub(crate) const FIRST_STREAM: u32 = 1;

impl Loader {
    /// Starts the threads, which begin with the first batch of the first epoch.
    ///
    /// # Errors
    /// `Data` if the source has no samples; `Shape` for a batch of nothing, for batches ahead of
    /// none, if `drop_last` leaves none, and for batches of more elements than can be counted;
    /// `Unsupported` if a thread cannot be started.
    pub fn new(source: Arc<dyn Source>, options: &LoaderOptions) -> Result<Self> {
        if source.is_empty() {
            return Err(Error::new(
                ErrorKind::Data,
                "loader: the source has no samples",
            ));
        }
        if options.ahead == 0 {
            return Err(Error::shape(
                "loader: at least one batch is to be made ahead",
            ));
        }
        let batches = Batches {
            count: source.len(),
            batch: options.batch,
            shuffle: options.shuffle,
            drop_last: options.drop_last,
        };
        let steps = batches.steps().map_err(|e| e.context("loader"))?;
        // Asked once: what follows holds even if a source says something else later.
        let (image, classes) = (source.image(), source.classes());
        let rows = batches.batch.min(batches.count);
        let pixels = image
            .iter()
            .try_fold(1usize, |n, &edge| n.checked_mul(edge));
        let Some(pixels) = pixels.filter(|pixels| pixels.checked_mul(rows).is_some()) else {
            return Err(Error::shape(format!(
                "loader: batches of {rows} images {image:?} have more elements than can be counted"
            )));
        };
        let shared = Arc::new(Shared {
            source,
            pixels,
            classes,
            batches,
            steps: steps as u32,
            ahead: options.ahead,
            state: Mutex::new(Queue {
                seed: [options.seed as u32, (options.seed >> 32) as u32],
                step: 0,
                slots: VecDeque::new(),
                generation: 0,
                halted: false,
                ended: false,
            }),
            work: Condvar::new(),
            ready: Condvar::new(),
        });
        let workers = match options.workers {
            0 => thread::available_parallelism()
                .map_or(1, |cores| (cores.get() - 1).clamp(1, MOST_WORKERS)),
            workers => workers,
        };
        // Dropped on an error, it ends the threads that are there already.
        let mut loader = Self {
            shared,
            workers: Vec::new(),
            waited: Duration::ZERO,
        };
        for number in 0..workers {
            let shared = loader.shared.clone();
            let thread = thread::Builder::new().name(format!("loader {number}"));
            let thread = thread.spawn(move || shared.work()).map_err(|e| {
                let message = format!("loader: thread {number} of {workers} cannot be started");
                Error::new(ErrorKind::Unsupported, message).with_source(e)
            })?;
            loader.workers.push(thread);
        }
        Ok(loader)
    }

    /// Batches of an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.shared.steps as usize
    }

    /// The number of the batch that comes next.
    pub fn step(&self) -> u32 {
        self.shared.queue().step
    }

    /// Goes on with the batch of another step; a no-op where it comes next anyway.
    pub fn go_to(&mut self, step: u32) {
        let seed = self.shared.queue().seed;
        self.go_to_seed(seed, step);
    }

    /// As `go_to`, with the orders of another seed.
    pub(crate) fn go_to_seed(&mut self, seed: [u32; 2], step: u32) {
        let mut queue = self.shared.queue();
        if (queue.seed, queue.step) != (seed, step) {
            queue.begin(seed, step);
            self.shared.work.notify_all();
        }
    }

    /// Waits for the next batch, if it is not there yet.
    ///
    /// # Errors
    /// Of the first sample of the batch that failed: what its source returned; `Data` if its class
    /// is not below the number of classes, or if its source panicked.
    pub fn next_batch(&mut self) -> Result<LoadedBatch> {
        let shared = &*self.shared;
        let mut queue = shared.queue();
        if queue.halted {
            queue.halted = false;
            shared.work.notify_all();
        }
        let complete = |queue: &Queue| {
            let first = queue.slots.front();
            first.is_some_and(|slot| slot.made == slot.rows)
        };
        if !complete(&queue) {
            let began = Instant::now();
            while !complete(&queue) {
                let waiting = shared.ready.wait(queue);
                queue = waiting.unwrap_or_else(PoisonError::into_inner);
            }
            self.waited += began.elapsed();
        }
        let Some(slot) = queue.slots.pop_front() else {
            return Err(Error::new(ErrorKind::Data, "loader: there is no batch"));
        };
        let (seed, step) = (queue.seed, queue.step);
        queue.step = step.wrapping_add(1);
        drop(queue);
        shared.work.notify_all();
        let joined = slot.join(step, shared.pixels);
        if joined.is_err() {
            let mut queue = shared.queue();
            queue.begin(seed, step);
            queue.halted = true;
        }
        joined
    }

    /// How long [`next_batch`](Self::next_batch) has waited for workers so far.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Iterator for Loader {
    type Item = Result<LoadedBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_batch())
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.queue().ended = true;
        self.shared.work.notify_all();
        for worker in self.workers.drain(..) {
            // It catches what its source panics with.
            let _ = worker.join();
        }
    }
}

impl Queue {
    /// Begins anew with a step.
    fn begin(&mut self, seed: [u32; 2], step: u32) {
        (self.seed, self.step) = (seed, step);
        self.slots.clear();
        self.generation += 1;
        self.halted = false;
    }
}

impl Slot {
    /// The rows of all pieces, or the error of the first row that has one.
    fn join(mut self, step: u32, pixels: usize) -> Result<LoadedBatch> {
        self.pieces.sort_by_key(|&(first, _)| first);
        let mut images = room(self.rows * pixels)?;
        let mut labels = room(self.rows)?;
        for (_, piece) in self.pieces {
            let piece = piece?;
            images.extend_from_slice(&piece.images);
            labels.extend_from_slice(&piece.labels);
        }
        Ok(LoadedBatch {
            step,
            images,
            labels,
        })
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows of the batch of a step.
    fn rows(&self, step: u32) -> usize {
        match self.batches.remainder() {
            rows if rows > 0 && step % self.steps == self.steps - 1 => rows,
            _ => self.batches.batch.min(self.batches.count),
        }
    }

    /// What a worker does until the loader is dropped.
    fn work(&self) {
        let mut queue = self.queue();
        loop {
            if queue.ended {
                return;
            }
            let Some(task) = self.take(&mut queue) else {
                let waiting = self.work.wait(queue);
                queue = waiting.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(queue);
            // A worker that ended would leave its rows unmade, and who waits for them waiting.
            let made = catch_unwind(AssertUnwindSafe(|| self.make(&task)));
            let made = made.unwrap_or_else(|panic| {
                let message = format!("loader: a batch's source panicked: {}", told(&*panic));
                Err(Error::new(ErrorKind::Data, message))
            });
            queue = self.queue();
            if queue.generation != task.generation {
                continue;
            }
            let at = task.step.wrapping_sub(queue.step) as usize;
            if let Some(slot) = queue.slots.get_mut(at) {
                slot.made += task.rows.len();
                slot.pieces.push((task.rows.start, made));
                if at == 0 && slot.made == slot.rows {
                    self.ready.notify_all();
                }
            }
        }
    }

    /// The next rows to be made, if there is room for them.
    fn take(&self, queue: &mut Queue) -> Option<RowsToMake> {
        if queue.halted {
            return None;
        }
        let last = queue.slots.back();
        if last.is_none_or(|slot| slot.taken == slot.rows) {
            if queue.slots.len() >= self.ahead {
                return None;
            }
            let step = queue.step.wrapping_add(queue.slots.len() as u32);
            queue.slots.push_back(Slot {
                rows: self.rows(step),
                taken: 0,
                pieces: Vec::new(),
                made: 0,
            });
        }
        let step = queue.step.wrapping_add(queue.slots.len() as u32 - 1);
        let slot = queue.slots.back_mut()?;
        let rows = slot.taken
            ..slot
                .rows
                .min(slot.taken + (PIECE / self.pixels.max(1)).clamp(1, 32));
        slot.taken = rows.end;
        Some(RowsToMake {
            generation: queue.generation,
            seed: queue.seed,
            step,
            rows,
        })
    }

    fn make(&self, task: &RowsToMake) -> Result<Piece> {
        let pixels = self.pixels;
        let mut images: Vec<u8> = room(task.rows.len() * pixels)?;
        images.resize(task.rows.len() * pixels, 0);
        let mut labels = room(task.rows.len())?;
        for (place, row) in task.rows.clone().enumerate() {
            let index = (self.batches).element(task.seed, FIRST_STREAM, task.step, row) as usize;
            let image = &mut images[place * pixels..][..pixels];
            labels.push(self.sample(index, image)?);
        }
        Ok(Piece { images, labels })
    }

    fn sample(&self, index: usize, pixels: &mut [u8]) -> Result<u32> {
        let wrong = |message: String| Err(Error::new(ErrorKind::Data, message));
        // What a source has changed before it panicked is its own.
        let made = catch_unwind(AssertUnwindSafe(|| self.source.sample(index, pixels)));
        match made {
            Err(panic) => wrong(format!(
                "sample {index}: its source panicked: {}",
                told(&*panic)
            )),
            Ok(Ok(label)) if label as usize >= self.classes => wrong(format!(
                "label {label} of sample {index} is not below {}, the number of classes",
                self.classes
            )),
            Ok(made) => made,
        }
    }
}

/// What a panic says.
pub(super) fn told(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    let words = words.or(panic.downcast_ref::<&str>().copied());
    words.unwrap_or("it does not say why").to_owned()
}

#[cfg(test)]
mod tests;
