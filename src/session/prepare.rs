//! A session made ready between frames: pipelines built a few at a time, and used once before the
//! first step.

use std::collections::HashSet;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{Compiled, Session, SessionBuilder};
use crate::error::{Error, Result};
use crate::gpu::Progress;

#[cfg(not(target_arch = "wasm32"))]
type Compiling = Pin<Box<dyn Future<Output = Result<Session>> + Send>>;
#[cfg(target_arch = "wasm32")]
type Compiling = Pin<Box<dyn Future<Output = Result<Session>>>>;

/// A session that is compiled piece by piece ([`SessionBuilder::in_steps`]).
///
/// ```
/// use striate::prelude::*;
///
/// # fn main() -> Result<()> {
/// let mut g = Graph::new();
/// let x = g.input("x", Type::f32([4]))?;
/// let y = g.relu(x)?;
/// let store = Store::new(&Engine::new()?, &[&g], 0)?;
/// let mut compiling = Session::builder(&store, &g).fetch(&[y]).in_steps();
/// let session = loop {
///     // ... a frame without the network; a bar can show compiling.progress().
///     if let Some(session) = compiling.step()? {
///         break session;
///     }
/// };
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct SessionInSteps {
    /// None once it has ended.
    compiling: Option<Compiling>,
    /// Pipelines that are there, and all of them.
    progress: Arc<Mutex<[usize; 2]>>,
}

impl fmt::Debug for SessionInSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [done, total] = self.progress();
        write!(f, "SessionInSteps({done} of {total} pipelines)")
    }
}

impl SessionInSteps {
    /// Does the next piece of work: the plan, a pipeline, or the buffers behind them all. Returns
    /// the session once it is there. A browser is asked for each pipeline first, and compiles them
    /// while this returns none.
    ///
    /// # Errors
    /// As [`SessionBuilder::build`]; `Graph` if it has ended.
    pub fn step(&mut self) -> Result<Option<Session>> {
        let Some(compiling) = &mut self.compiling else {
            return Err(Error::graph(
                "in_steps: the session was compiled, or failed",
            ));
        };
        let mut context = Context::from_waker(Waker::noop());
        match compiling.as_mut().poll(&mut context) {
            Poll::Pending => Ok(None),
            Poll::Ready(session) => {
                self.compiling = None;
                session.map(Some)
            }
        }
    }

    /// How many pipelines are there, and how many the session needs; `[0, 0]` before the plan is
    /// made and on the CPU reference.
    pub fn progress(&self) -> [usize; 2] {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: FnMut(Progress<'_>) + Send + 'static> SessionBuilder<'_, P> {
    /// Compiles the session a piece at a time, whenever [`SessionInSteps::step`] is called: for
    /// hosts that draw frames meanwhile on the same thread. On a thread of its own,
    /// [`build_async`](Self::build_async) does the same.
    pub fn in_steps(self) -> SessionInSteps {
        let progress = Arc::new(Mutex::new([0; 2]));
        let counts = progress.clone();
        let (store, graph) = (self.store.clone(), self.graph.clone());
        let (fetched, hosted) = (self.fetched, self.hosted);
        let (options, mut told) = (self.options, self.progress);
        let compiling = async move {
            let builder = Session::builder(&store, &graph)
                .fetch(&fetched)
                .host_buffers(&hosted)
                .options(options)
                .progress(move |progress: Progress<'_>| {
                    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                    *counts = [progress.done(), progress.total];
                    drop(counts);
                    told(progress);
                });
            builder.build_async().await
        };
        SessionInSteps {
            compiling: Some(Box::pin(compiling)),
            progress,
        }
    }
}

impl Session {
    /// Records a first use of up to `most` pipelines into the host's encoder, by no workgroups:
    /// nothing is computed, read or written. Drivers that compile a pipeline where it is first used
    /// do that once the host has submitted the encoder, and not in the first frame that needs it.
    /// Returns for how many pipelines no use has been recorded yet, by this session or another; a
    /// host calls it in each frame until that is 0. An encoder that is dropped takes its first uses
    /// with it.
    ///
    /// On an own device of llvmpipe, compiling a session does this already. Through GL, wgpu leaves
    /// out what has no workgroups. The CPU reference has no pipelines.
    ///
    /// # Errors
    /// `Graph` as long as the host has not bound its textures and buffers; `DeviceLost`.
    pub fn warm_up(&self, encoder: &mut wgpu::CommandEncoder, most: usize) -> Result<usize> {
        let Compiled::Gpu(form) = &self.form else {
            return Ok(0);
        };
        form.gpu.check_lost()?;
        if let Some(buffer) = form.unbound() {
            return Err(self.not_bound(buffer));
        }
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("striate warm-up"),
            timestamp_writes: None,
        });
        let mut recorded = 0;
        let mut left = HashSet::new();
        for ready in &form.dispatches {
            if recorded < most && ready.pipeline.use_first() {
                ready.encode(&mut pass, [0, 0]);
                recorded += 1;
            } else if !ready.pipeline.is_used() {
                left.insert(Arc::as_ptr(&ready.pipeline));
            }
        }
        Ok(left.len())
    }
}
