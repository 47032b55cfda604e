//! Bytes from a buffer back to the host, asynchronously.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::{Error, ErrorKind, Result};

#[derive(Default)]
struct Shared {
    result: Option<Result<(), wgpu::BufferAsyncError>>,
    waker: Option<Waker>,
}

/// Resolves once the staging buffer is mapped; whoever owns the device polls it.
struct Mapped(Arc<Mutex<Shared>>);

impl Future for Mapped {
    type Output = Result<(), wgpu::BufferAsyncError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match shared.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                shared.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A readback under way: the copy is submitted.
pub(crate) struct Readback {
    staging: wgpu::Buffer,
    mapped: Mapped,
}

impl Readback {
    /// Starts to map `staging`, into which a submitted copy writes.
    pub fn start(staging: wgpu::Buffer) -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let callback = shared.clone();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            let mut shared = callback.lock().unwrap_or_else(PoisonError::into_inner);
            shared.result = Some(result);
            if let Some(waker) = shared.waker.take() {
                waker.wake();
            }
        });
        Self {
            staging,
            mapped: Mapped(shared),
        }
    }

    /// The bytes, once they have arrived.
    pub async fn bytes(self) -> Result<Vec<u8>> {
        let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(
                ErrorKind::Readback,
                "readback: the staging buffer could not be mapped",
            )
            .with_source(e)
        };
        self.mapped.await.map_err(|e| failed(Box::new(e)))?;
        let bytes = match self.staging.get_mapped_range(..) {
            Ok(range) => range.to_vec(),
            Err(e) => return Err(failed(Box::new(e))),
        };
        self.staging.unmap();
        Ok(bytes)
    }
}
