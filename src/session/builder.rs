//! What a session is compiled from.

use std::collections::{HashMap, HashSet};

use super::bound::expect_textures;
use super::gpu_form::GpuForm;
use super::recorded::Recorded;
use super::{Compiled, Session, self_test};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Engine, Gpu, Progress};
use crate::graph::{Graph, Value};
use crate::plan::{Plan, PlanOptions, UNIFORM_STRIDE};
use crate::store::Store;

/// A session that is still to be compiled ([`Session::builder`]).
///
/// ```no_run
/// use striate::plan::PlanOptions;
/// use striate::prelude::*;
///
/// # fn main() -> Result<()> {
/// let mut g = Graph::new();
/// let x = g.input("x", Type::f32([1, 3, 32, 32]))?;
/// let y = g.relu(x)?;
/// let store = Store::new(&Engine::new()?, &[&g], 1)?;
/// let session = Session::builder(&store, &g)
///     .fetch(&[y])
///     .options(PlanOptions { memory_cap: Some(1 << 20), ..PlanOptions::default() })
///     .progress(|progress| println!("{} of {} pipelines", progress.done(), progress.total))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct SessionBuilder<'a, P = fn(Progress<'_>)> {
    pub(super) store: &'a Store,
    pub(super) graph: &'a Graph,
    pub(super) fetched: Vec<Value>,
    pub(super) hosted: Vec<Value>,
    pub(super) options: PlanOptions,
    pub(super) progress: P,
}

impl<'a> SessionBuilder<'a> {
    pub(super) fn new(store: &'a Store, graph: &'a Graph) -> Self {
        Self {
            store,
            graph,
            fetched: Vec::new(),
            hosted: Vec::new(),
            options: PlanOptions::default(),
            progress: |_| (),
        }
    }
}

impl<'a, P: FnMut(Progress<'_>)> SessionBuilder<'a, P> {
    /// Values that can be read after a run, beside those that were named before.
    pub fn fetch(mut self, values: &[Value]) -> Self {
        self.fetched.extend_from_slice(values);
        self
    }

    /// Inputs and outputs for which the host binds buffers of its own
    /// ([`Session::bind_input`], [`Session::bind_output`]): nothing is copied. The CPU reference
    /// has no buffers; there, such inputs are written and such outputs read.
    pub fn host_buffers(mut self, values: &[Value]) -> Self {
        self.hosted.extend_from_slice(values);
        self
    }

    /// How the plan is made.
    pub fn options(mut self, options: PlanOptions) -> Self {
        self.options = options;
        self
    }

    /// Tells `progress` which pipelines are to be built before each of them is. The CPU reference
    /// has none and tells nothing.
    pub fn progress<Q: FnMut(Progress<'_>)>(self, progress: Q) -> SessionBuilder<'a, Q> {
        SessionBuilder {
            store: self.store,
            graph: self.graph,
            fetched: self.fetched,
            hosted: self.hosted,
            options: self.options,
            progress,
        }
    }

    /// Compiles the session: allocates all memory and builds all pipelines.
    ///
    /// # Errors
    /// `Graph` or `Shape` if the store does not fit the graph; `Limit`, `Shader`, `OutOfMemory`,
    /// `DeviceLost`; `Mismatch` if products on the device's cooperative matrices are wrong,
    /// `Unsupported` if they are to be tried out on a borrowed device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn build(self) -> Result<Session> {
        self.store.engine().expect_proof()?;
        pollster::block_on(self.build_async())
    }

    /// As `build`, for hosts that cannot block. The first session on cooperative matrices of a
    /// borrowed device ends only while the host polls. Outside a browser, building a pipeline is
    /// not awaited but done, and on own devices of llvmpipe so is compiling it.
    ///
    /// # Errors
    /// As `build`.
    pub async fn build_async(self) -> Result<Session> {
        let Self {
            store,
            graph,
            mut fetched,
            hosted,
            options,
            progress,
        } = self;
        for state in graph.states() {
            store.layout().check(&state.name, &state.ty)?;
        }
        for &value in fetched.iter().chain(&hosted) {
            graph.operand("session", value)?;
        }
        let form = match store.engine() {
            Engine::Cpu { threads } => {
                let outputs = |&value: &Value| graph.producer(value).is_some();
                let written = graph
                    .textures()
                    .iter()
                    .filter(|texture| texture.format.is_some());
                fetched.extend(hosted.iter().copied().filter(outputs));
                fetched.extend(written.map(|texture| texture.value));
                Compiled::Cpu {
                    threads: *threads,
                    fetched,
                    arrays: HashMap::new(),
                }
            }
            Engine::Gpu(gpu) => {
                if gpu.unproven() {
                    self_test::multiply(gpu).await?;
                    gpu.prove();
                }
                let (layout, caps) = (store.layout(), gpu.caps());
                let plan = Plan::hosted(graph, layout, &fetched, &hosted, caps, options)?;
                expect_textures(gpu, &plan)?;
                gpu.check_lost()?;
                expect_room(gpu, &plan)?;
                let form = GpuForm::new(gpu, store, graph, plan, progress).await?;
                Compiled::Gpu(Box::new(form))
            }
        };
        Ok(Session {
            store: store.clone(),
            graph: graph.clone(),
            form,
            written: HashSet::new(),
            ran: false,
            recorded: Recorded::default(),
        })
    }
}

/// Fails with `Limit` where a buffer of the plan is larger than the device allows.
fn expect_room(gpu: &Gpu, plan: &Plan) -> Result<()> {
    let most = gpu.device().limits().max_buffer_size;
    let params = plan.steps.len() as u64 * UNIFORM_STRIDE;
    let fixed = plan.fixed().into_values().map(|bytes| ("input", bytes));
    let slots = plan.slots.iter().map(|&bytes| ("slot", bytes));
    let mut all = fixed.chain(slots).chain([("params", params)]);
    match all.find(|&(_, bytes)| bytes > most) {
        None => Ok(()),
        Some((what, bytes)) => Err(Error::new(
            ErrorKind::Limit,
            format!("max_buffer_size: the device allows {most}, the plan's {what} need {bytes}"),
        )),
    }
}
