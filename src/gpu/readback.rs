//! Bytes from buffers back to the host, asynchronously.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{Gpu, Staging};
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::Tensor;

/// A range of a buffer: first byte and length, both multiples of 4.
pub(crate) type BufferRange<'a> = (&'a wgpu::Buffer, u64, u64);

/// What became of a map.
#[derive(Clone, Copy)]
enum Outcome {
    Mapped,
    Refused,
    /// Its encoder was dropped.
    Dropped,
}

#[derive(Default)]
struct SharedRead {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

/// Held by the callback of a map.
struct Notify {
    shared: Arc<Mutex<SharedRead>>,
    told: bool,
}

impl Notify {
    fn mapped(mut self, result: Result<(), wgpu::BufferAsyncError>) {
        self.tell(match result {
            Ok(()) => Outcome::Mapped,
            Err(_) => Outcome::Refused,
        });
    }

    fn tell(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let waker = {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.outcome = Some(outcome);
            shared.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Notify {
    fn drop(&mut self) {
        self.tell(Outcome::Dropped);
    }
}

/// Resolves once the map is over. Whoever owns the device polls it: that is its host, or this.
struct Finished {
    shared: Arc<Mutex<SharedRead>>,
    /// The device, if it is one's own and has no event loop.
    own: Option<Gpu>,
}

impl Finished {
    fn outcome(&self, context: &Context<'_>) -> Option<Outcome> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.outcome.is_none() {
            shared.waker = Some(context.waker().clone());
        }
        shared.outcome
    }
}

impl Future for Finished {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(outcome) = self.outcome(context) {
            return Poll::Ready(outcome);
        }
        let Some(gpu) = &self.own else {
            return Poll::Pending;
        };
        let polled = gpu.poll_once();
        if polled.is_err_and(|error| error.kind() == ErrorKind::DeviceLost) {
            return Poll::Ready(Outcome::Refused);
        }
        // The callback may have run just now, or in a thread that waits for the device.
        match self.outcome(context) {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

/// Maps that an encoder of the host's asks for on its submission.
#[derive(Default)]
pub(crate) struct Unsubmitted(
    #[cfg(not(target_arch = "wasm32"))] Vec<(wgpu::Buffer, Arc<Mutex<SharedRead>>)>,
);

impl Unsubmitted {
    #[cfg(not(target_arch = "wasm32"))]
    fn of(reads: &[Readback]) -> Self {
        let maps = reads.iter();
        let maps = maps.map(|read| (read.buffer.clone(), read.over.shared.clone()));
        Self(maps.collect())
    }

    /// A browser has nobody who waits.
    #[cfg(target_arch = "wasm32")]
    fn of(_: &[Readback]) -> Self {
        Self()
    }

    /// # Errors
    /// `Graph` if the encoder has not been submitted.
    #[cfg(not(target_arch = "wasm32"))]
    fn expect_submitted(&self) -> Result<()> {
        for (buffer, shared) in &self.0 {
            let over = || {
                let shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                shared.outcome.is_some()
            };
            // The map is refused to everybody else from the submission on.
            if over() || is_refused(buffer) || over() {
                continue;
            }
            return Err(Error::graph(
                "wait: the encoder that the read was recorded into has not been submitted; submit \
                 it first",
            ));
        }
        Ok(())
    }
}

/// Whether a buffer cannot be mapped now; it is not mapped afterwards if it was not before.
pub(crate) fn is_refused(buffer: &wgpu::Buffer) -> bool {
    let refused = Arc::new(AtomicBool::new(false));
    let told = refused.clone();
    buffer.map_async(wgpu::MapMode::Read, .., move |mapped| {
        told.store(mapped.is_err(), Ordering::Relaxed);
    });
    if refused.load(Ordering::Relaxed) {
        return true;
    }
    // Takes the map back.
    buffer.unmap();
    false
}

/// A buffer that is copied into and then mapped.
struct Readback {
    buffer: wgpu::Buffer,
    over: Finished,
}

impl Readback {
    fn new(gpu: &Gpu, buffer: wgpu::Buffer) -> (Self, Notify) {
        let shared = Arc::new(Mutex::new(SharedRead::default()));
        let polled = gpu.is_owned() && cfg!(not(target_arch = "wasm32"));
        let over = Finished {
            shared: shared.clone(),
            own: polled.then(|| gpu.clone()),
        };
        let told = false;
        (Self { buffer, over }, Notify { shared, told })
    }

    /// Maps a buffer into which a submitted copy writes.
    fn start(gpu: &Gpu, buffer: wgpu::Buffer) -> Self {
        let (readback, notify) = Self::new(gpu, buffer);
        let read = wgpu::MapMode::Read;
        let buffer = &readback.buffer;
        buffer.map_async(read, .., move |result| notify.mapped(result));
        readback
    }

    /// Maps a buffer into which `encoder` copies, once that is submitted.
    fn on_submit(gpu: &Gpu, encoder: &wgpu::CommandEncoder, buffer: wgpu::Buffer) -> Self {
        let (readback, notify) = Self::new(gpu, buffer);
        let read = wgpu::MapMode::Read;
        let told = move |result| notify.mapped(result);
        encoder.map_buffer_on_submit(&readback.buffer, read, .., told);
        readback
    }

    /// The bytes, once they have arrived.
    async fn bytes(self, gpu: &Gpu) -> Result<Vec<u8>> {
        let failed = |what: &str| Error::new(ErrorKind::Readback, format!("readback: {what}"));
        match self.over.await {
            Outcome::Mapped => {}
            Outcome::Refused => {
                gpu.check_lost()?;
                // Another thread may have asked for the map at that moment. Ranges and usages are
                // the engine's own and valid: only a lost device refuses twice.
                let again = Self::start(gpu, self.buffer.clone());
                if !matches!(again.over.await, Outcome::Mapped) {
                    gpu.notify_device_lost("it refuses to map a buffer");
                    gpu.check_lost()?;
                }
            }
            Outcome::Dropped => {
                gpu.check_lost()?;
                let what = "the encoder that it was recorded into was dropped, not submitted";
                return Err(failed(what));
            }
        }
        let bytes = match self.buffer.get_mapped_range(..) {
            Ok(range) => range.to_vec(),
            Err(error) => {
                gpu.check_lost()?;
                return Err(failed("the buffer is not mapped").with_source(error.to_string()));
            }
        };
        self.buffer.unmap();
        Ok(bytes)
    }
}

impl Gpu {
    /// The bytes of buffer ranges, each through a buffer of its own. The copies are submitted here,
    /// behind the writes that wait.
    pub(crate) fn read(
        &self,
        writes: &[&Staging],
        ranges: &[BufferRange<'_>],
    ) -> impl Future<Output = Result<Vec<Vec<u8>>>> + use<> {
        let started = self.readbacks(ranges).and_then(|buffers| {
            self.guarded("readback", || {
                let mut encoder = self.device().create_command_encoder(&Default::default());
                let mut orders = Vec::new();
                for writes in writes {
                    orders.push(writes.encode(&mut encoder));
                }
                copy(&mut encoder, ranges, &buffers);
                self.submit(encoder);
                let start = |buffer| Readback::start(self, buffer);
                buffers.into_iter().map(start).collect()
            })
        });
        self.clone().arrival(started)
    }

    /// As [`read`](Self::read), with the copies in `encoder`, which its host submits; and what
    /// tells whether it has.
    pub(crate) fn record_read(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        writes: &[&Staging],
        ranges: &[BufferRange<'_>],
    ) -> Result<(
        impl Future<Output = Result<Vec<Vec<u8>>>> + use<>,
        Unsubmitted,
    )> {
        let buffers = self.readbacks(ranges)?;
        for writes in writes {
            writes.encode(encoder);
        }
        copy(encoder, ranges, &buffers);
        let mapped = |buffer| Readback::on_submit(self, encoder, buffer);
        let started: Vec<Readback> = buffers.into_iter().map(mapped).collect();
        let unsubmitted = Unsubmitted::of(&started);
        Ok((self.clone().arrival(Ok(started)), unsubmitted))
    }

    fn readbacks(&self, ranges: &[BufferRange<'_>]) -> Result<Vec<wgpu::Buffer>> {
        self.count_read(ranges.iter().map(|range| range.2).sum());
        let make = |&(_, _, bytes): &BufferRange<'_>| {
            self.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some("readback"),
                size: bytes,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        self.guarded("readback", || ranges.iter().map(make).collect())
    }

    async fn arrival(self, started: Result<Vec<Readback>>) -> Result<Vec<Vec<u8>>> {
        let mut parts = Vec::new();
        for readback in started? {
            parts.push(readback.bytes(&self).await?);
        }
        Ok(parts)
    }
}

fn copy(encoder: &mut wgpu::CommandEncoder, ranges: &[BufferRange<'_>], buffers: &[wgpu::Buffer]) {
    for (&(from, offset, bytes), to) in ranges.iter().zip(buffers) {
        encoder.copy_buffer_to_buffer(from, offset, to, 0, bytes);
    }
}

#[cfg(not(target_arch = "wasm32"))]
type Work = Pin<Box<dyn Future<Output = Result<Tensor>> + Send>>;
#[cfg(target_arch = "wasm32")]
type Work = Pin<Box<dyn Future<Output = Result<Tensor>>>>;

/// A tensor on its way to the host. It owns all that it needs: what is read was copied when the
/// read was called, or is copied where it was recorded, so that later steps change nothing.
///
/// On a borrowed device it resolves while the host polls. On an own device of a program that is
/// not in a browser, awaiting it polls the device again and again without waiting:
/// [`wait`](Self::wait) costs less. Of a recorded read neither resolves before the encoder is
/// submitted, or dropped.
#[must_use = "a read does nothing unless it is awaited or waited for"]
pub struct ReadFuture {
    #[cfg(not(target_arch = "wasm32"))]
    gpu: Option<Gpu>,
    #[cfg(not(target_arch = "wasm32"))]
    unsubmitted: Unsubmitted,
    work: Work,
}

impl ReadFuture {
    /// A read whose outcome is known; of the CPU reference, or of a call that failed.
    pub(crate) fn ready(result: Result<Tensor>) -> Self {
        Self {
            #[cfg(not(target_arch = "wasm32"))]
            gpu: None,
            #[cfg(not(target_arch = "wasm32"))]
            unsubmitted: Unsubmitted::default(),
            work: Box::pin(std::future::ready(result)),
        }
    }

    /// Reads what `parts` bring, made into a tensor by `join`.
    pub(crate) fn new(
        gpu: &Gpu,
        parts: impl Future<Output = Result<Vec<Vec<u8>>>> + wgpu::WasmNotSend + 'static,
        join: impl FnOnce(Vec<Vec<u8>>) -> Result<Tensor> + Send + 'static,
    ) -> Self {
        let _ = gpu;
        Self {
            #[cfg(not(target_arch = "wasm32"))]
            gpu: Some(gpu.clone()),
            #[cfg(not(target_arch = "wasm32"))]
            unsubmitted: Unsubmitted::default(),
            work: Box::pin(async move { join(parts.await?) }),
        }
    }

    /// The same, of copies that an encoder of the host's makes.
    pub(crate) fn recorded(self, unsubmitted: Unsubmitted) -> Self {
        #[cfg(target_arch = "wasm32")]
        let _ = unsubmitted;
        Self {
            #[cfg(not(target_arch = "wasm32"))]
            unsubmitted,
            ..self
        }
    }

    /// Blocks until the tensor is there.
    ///
    /// # Errors
    /// `Unsupported` on a borrowed device, which only its host polls; `Graph` if it was recorded
    /// into an encoder that has not been submitted; `DeviceLost`; whatever awaiting it returns.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wait(self) -> Result<Tensor> {
        match self.gpu {
            Some(gpu) => {
                gpu.expect_owned()?;
                self.unsubmitted.expect_submitted()?;
                gpu.block_on(self.work)
            }
            None => pollster::block_on(self.work),
        }
    }
}

impl Future for ReadFuture {
    type Output = Result<Tensor>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.work.as_mut().poll(context)
    }
}

impl fmt::Debug for ReadFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadFuture")
    }
}
