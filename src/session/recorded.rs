//! Which of the steps that were recorded into encoders of the host's have been submitted.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::error::{Error, Result};
use crate::gpu::{Gpu, is_refused};

/// Marks of the calls that recorded steps.
///
/// wgpu does not say that an encoder was submitted, only that its work is done. But what is to be
/// mapped on submission is refused to everybody else from the submission on: so each call marks
/// its encoder with a small buffer.
#[derive(Default)]
pub(super) struct Recorded(Mutex<Marks>);

#[derive(Default)]
struct Marks {
    marks: Vec<Mark>,
    /// Whether one that is used again was of steps that were submitted.
    submitted: bool,
}

struct Mark {
    buffer: wgpu::Buffer,
    /// What was heard of the encoder, set once.
    heard: Arc<OnceLock<Fate>>,
    /// Whether steps were recorded with it.
    steps: bool,
}

/// What became of an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Submitted,
    /// It was submitted, and another thread asked for the map at that moment.
    Unmapped,
    Dropped,
}

/// What is heard of one encoder.
#[derive(Debug)]
pub(super) struct Heard(Arc<OnceLock<Fate>>);

impl Heard {
    /// Whether the encoder was dropped instead of submitted.
    pub fn is_dropped(&self) -> bool {
        self.0.get() == Some(&Fate::Dropped)
    }
}

/// Held by an encoder, for its mark.
struct Tell(Arc<OnceLock<Fate>>);

impl Tell {
    /// The callback ran: an encoder that is dropped drops it.
    fn mapped(self, mapped: bool) {
        let fate = match mapped {
            true => Fate::Submitted,
            false => Fate::Unmapped,
        };
        let _ = self.0.set(fate);
    }
}

impl Drop for Tell {
    fn drop(&mut self) {
        // Stays as it is where the callback ran.
        let _ = self.0.set(Fate::Dropped);
    }
}

impl Mark {
    /// None while the encoder could still be submitted.
    fn fate(&self) -> Option<Fate> {
        if let Some(&fate) = self.heard.get() {
            return Some(fate);
        }
        is_refused(&self.buffer).then_some(Fate::Submitted)
    }

    /// Whether steps were recorded with it and submitted.
    fn ran(&self) -> bool {
        self.steps && matches!(self.fate(), Some(Fate::Submitted | Fate::Unmapped))
    }
}

impl Recorded {
    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks `encoder`, into which so many steps are recorded.
    ///
    /// # Errors
    /// `OutOfMemory`, `DeviceLost`.
    pub fn mark(&self, gpu: &Gpu, encoder: &wgpu::CommandEncoder, steps: usize) -> Result<Heard> {
        let mut marks = self.marks();
        let over = marks.marks.iter().position(|m| m.heard.get().is_some());
        let used = over.map(|at| marks.marks.swap_remove(at));
        marks.submitted |= used.as_ref().is_some_and(Mark::ran);
        let mapped = |mark: &Mark| mark.heard.get() == Some(&Fate::Submitted);
        let buffer = match used.filter(mapped) {
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
        let heard = Arc::new(OnceLock::new());
        let tell = Tell(heard.clone());
        let map = move |mapped: Result<(), wgpu::BufferAsyncError>| tell.mapped(mapped.is_ok());
        encoder.map_buffer_on_submit(&buffer, wgpu::MapMode::Read, .., map);
        marks.marks.push(Mark {
            buffer,
            heard: heard.clone(),
            steps: steps > 0,
        });
        Ok(Heard(heard))
    }

    /// Whether recorded steps have been submitted.
    pub fn ran(&self) -> bool {
        let marks = self.marks();
        marks.submitted || marks.marks.iter().any(Mark::ran)
    }

    /// Whether recorded steps have been submitted, or could still be.
    pub fn may_run(&self) -> bool {
        let marks = self.marks();
        let may = |mark: &Mark| mark.steps && mark.heard.get() != Some(&Fate::Dropped);
        marks.submitted || marks.marks.iter().any(may)
    }

    /// # Errors
    /// `Graph` if steps were recorded whose encoder has not been submitted.
    pub fn expect_submitted(&self) -> Result<()> {
        let marks = self.marks();
        let left = marks.marks.iter().filter(|mark| mark.fate().is_none());
        match left.count() {
            0 => Ok(()),
            left => Err(Error::graph(format!(
                "read: {left} recorded runs of the session have not been submitted; submit their \
                 encoders first, or read behind them with record_read"
            ))),
        }
    }
}
