//! What the library itself has asked of a device: for hosts that want to know what a frame costs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Gpu;

/// Counts since a device was opened, or handed over, of what the library did by itself. What its
/// host submits and polls is not among it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Submissions to the queue.
    pub submissions: u64,
    /// Polls of the device, waiting or not.
    pub polls: u64,
    /// Bytes on their way to the device: writes, and what states and constants begin with.
    pub bytes_written: u64,
    /// Bytes asked back.
    pub bytes_read: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    submissions: AtomicU64,
    polls: AtomicU64,
    bytes_written: AtomicU64,
    bytes_read: AtomicU64,
}

impl Gpu {
    /// What the library has asked of the device so far.
    pub fn traffic(&self) -> Traffic {
        let counters = &self.0.common.counters;
        Traffic {
            submissions: counters.submissions.load(Relaxed),
            polls: counters.polls.load(Relaxed),
            bytes_written: counters.bytes_written.load(Relaxed),
            bytes_read: counters.bytes_read.load(Relaxed),
        }
    }

    /// Submits an encoder to the queue.
    pub(crate) fn submit(&self, encoder: wgpu::CommandEncoder) -> wgpu::SubmissionIndex {
        self.0.common.counters.submissions.fetch_add(1, Relaxed);
        self.0.queue.submit([encoder.finish()])
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn count_poll(&self) {
        self.0.common.counters.polls.fetch_add(1, Relaxed);
    }

    pub(super) fn count_written(&self, bytes: u64) {
        self.0
            .common
            .counters
            .bytes_written
            .fetch_add(bytes, Relaxed);
    }

    pub(super) fn count_read(&self, bytes: u64) {
        self.0.common.counters.bytes_read.fetch_add(bytes, Relaxed);
    }
}
