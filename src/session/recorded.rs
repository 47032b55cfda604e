//! Which of the steps that were recorded into encoders of the host's have been submitted.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::gpu::Gpu;

/// Nothing was heard of the encoder: it is not submitted, or its work is not done.
const OUT: u8 = 0;
const DONE: u8 = 1;
/// The encoder was dropped, or the map refused.
const GONE: u8 = 2;

/// Marks of the calls that recorded steps.
///
/// wgpu does not say that an encoder was submitted, only that its work is done. But what is to be
/// mapped on submission is refused to everybody else from the submission on: so each call marks
/// its encoder with a small buffer.
#[derive(Default)]
pub(super) struct Recorded(Mutex<Vec<Mark>>);

struct Mark {
    buffer: wgpu::Buffer,
    fate: Arc<AtomicU8>,
}

/// Held by an encoder.
struct Told(Arc<AtomicU8>);

impl Told {
    fn mapped(self, mapped: bool) {
        let fate = if mapped { DONE } else { GONE };
        self.0.store(fate, Ordering::Release);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // Stays as it is where the callback ran.
        let unheard = (Ordering::AcqRel, Ordering::Acquire);
        let _ = self.0.compare_exchange(OUT, GONE, unheard.0, unheard.1);
    }
}

impl Mark {
    fn is_out(&self) -> bool {
        self.fate.load(Ordering::Acquire) == OUT
    }

    /// Whether the encoder that holds the mark could still be submitted.
    fn is_unsubmitted(&self) -> bool {
        if !self.is_out() {
            return false;
        }
        let refused = Arc::new(AtomicBool::new(false));
        let told = refused.clone();
        self.buffer
            .map_async(wgpu::MapMode::Read, .., move |mapped| {
                told.store(mapped.is_err(), Ordering::Relaxed);
            });
        if refused.load(Ordering::Relaxed) {
            return false;
        }
        // Takes the map back.
        self.buffer.unmap();
        true
    }
}

impl Recorded {
    /// Marks `encoder`, into which a step was recorded.
    ///
    /// # Errors
    /// `OutOfMemory`, `DeviceLost`.
    pub fn mark(&self, gpu: &Gpu, encoder: &wgpu::CommandEncoder) -> Result<()> {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = marks.iter().position(|mark| !mark.is_out());
        let used = over.map(|at| marks.swap_remove(at));
        let done = |mark: &Mark| mark.fate.load(Ordering::Acquire) == DONE;
        let buffer = match used.filter(done) {
            Some(mark) => {
                mark.buffer.unmap();
                mark.buffer
            }
            None => gpu.guarded("marking an encoder", || {
                gpu.device().create_buffer(&wgpu::BufferDescriptor {
                    label: Some("mark"),
                    size: 4,
                    usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            })?,
        };
        let fate = Arc::new(AtomicU8::new(OUT));
        let told = Told(fate.clone());
        let map = move |mapped: Result<(), wgpu::BufferAsyncError>| told.mapped(mapped.is_ok());
        encoder.map_buffer_on_submit(&buffer, wgpu::MapMode::Read, .., map);
        marks.push(Mark { buffer, fate });
        Ok(())
    }

    /// # Errors
    /// `Graph` if steps were recorded whose encoder has not been submitted.
    pub fn expect_submitted(&self) -> Result<()> {
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = marks.iter().filter(|mark| mark.is_unsubmitted()).count();
        match left {
            0 => Ok(()),
            left => Err(Error::graph(format!(
                "read: {left} recorded runs of the session have not been submitted; submit their \
                 encoders first, or read behind them with record_read"
            ))),
        }
    }
}
