//! Whether the device is lost: from its callback, from its host, or from the device itself.

#[cfg(not(target_arch = "wasm32"))]
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Gpu;
use crate::error::{Error, ErrorKind, Result};

/// Why a device was lost, once that is known.
#[derive(Clone, Default)]
pub(super) struct Loss(Arc<Mutex<Option<String>>>);

impl Loss {
    /// Notes the loss; the first reason stays.
    pub fn note(&self, reason: impl Into<String>) {
        let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lost.get_or_insert_with(|| reason.into());
    }

    fn reason(&self) -> Option<String> {
        let lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lost.clone()
    }
}

/// Finds out whether a device is lost, at once and without submitting or polling.
///
/// wgpu says nothing where a lost device is used; errors of it come from its callback alone,
/// which on a borrowed device is the host's. But it refuses to map a buffer at the call, which a
/// device that works never does: there the map waits for the next poll. In a browser every map
/// waits, so that only the callback and failed maps tell.
///
/// Another thread's poll may complete the map just as it is taken back, which leaves the buffer
/// mapped: so a refusal counts if it is said again once the buffer is unmapped.
#[cfg(not(target_arch = "wasm32"))]
pub(super) struct Probe {
    buffer: Mutex<wgpu::Buffer>,
    /// How often it was asked.
    asked: AtomicU32,
}

/// wgpu keeps a note of each map that was asked for until it is polled: an own device is polled
/// after so many, if nothing else does it.
#[cfg(not(target_arch = "wasm32"))]
const UNPOLLED: u32 = 1024;

/// How often a device is to refuse before it is lost.
#[cfg(not(target_arch = "wasm32"))]
const TRIES: usize = 3;

#[cfg(not(target_arch = "wasm32"))]
impl Probe {
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(device: &wgpu::Device) -> Result<Self> {
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("probe"),
            size: 4,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        match pollster::block_on(memory.pop()) {
            None => Ok(Self {
                buffer: Mutex::new(buffer),
                asked: AtomicU32::new(0),
            }),
            Some(error) => {
                let message = "the device has no memory left for a buffer of 4 bytes";
                Err(Error::new(ErrorKind::OutOfMemory, message).with_source(error))
            }
        }
    }

    fn is_refused(&self, device: &wgpu::Device) -> bool {
        let buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        (0..TRIES).all(|_| self.is_refused_once(device, &buffer))
    }

    fn is_refused_once(&self, device: &wgpu::Device, buffer: &wgpu::Buffer) -> bool {
        let refused = Arc::new(AtomicBool::new(false));
        let told = refused.clone();
        // A buffer that was made on a lost device is invalid, which is an error of its own.
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        buffer.map_async(wgpu::MapMode::Read, .., move |mapped| {
            told.store(mapped.is_err(), Ordering::Relaxed);
        });
        let lost = refused.load(Ordering::Relaxed);
        // Takes the map back, which calls back too.
        buffer.unmap();
        drop(pollster::block_on(validation.pop()));
        self.asked.fetch_add(1, Ordering::Relaxed);
        lost
    }
}

impl Gpu {
    /// Tells the engine that a borrowed device is lost, from the host's own callback.
    pub fn notify_device_lost(&self, reason: &str) {
        self.0.common.loss.note(reason);
    }

    /// [`notify_device_lost`](Self::notify_device_lost) as a function that does not keep the
    /// device alive, for the device's own callback.
    pub fn device_lost_notifier(&self) -> impl Fn(&str) + Send + Sync + use<> {
        let loss = self.0.common.loss.clone();
        move |reason| loss.note(reason)
    }

    /// Fails with `DeviceLost` if the device is lost, as far as that can be known now.
    pub(crate) fn check_lost(&self) -> Result<()> {
        let loss = &self.0.common.loss;
        #[cfg(not(target_arch = "wasm32"))]
        if loss.reason().is_none() && self.0.common.probe.is_refused(&self.0.device) {
            loss.note("it refuses to map a buffer");
        }
        #[cfg(not(target_arch = "wasm32"))]
        if self.is_owned() && self.0.common.probe.asked.load(Ordering::Relaxed) >= UNPOLLED {
            self.0.common.probe.asked.store(0, Ordering::Relaxed);
            self.poll(wgpu::PollType::Poll)?;
        }
        match loss.reason() {
            None => Ok(()),
            Some(reason) => Err(Error::new(
                ErrorKind::DeviceLost,
                format!(
                    "the device is lost ({reason}); build a new engine from the last checkpoint"
                ),
            )),
        }
    }
}
