//! A compiled graph over a store: compile once, run or record many times, read back.

mod gpu_form;
mod profile;
mod self_test;

pub use profile::{Profile, Timed};

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Engine, Progress};
use crate::graph::{Graph, Source, Value};
use crate::plan::{Plan, PlanOptions};
use crate::reference::evaluate;
use crate::store::{Store, download, upload};
use crate::tensor::{Array, Tensor};
use gpu_form::GpuForm;

/// A graph compiled for a store's engine.
pub struct Session {
    store: Store,
    graph: Graph,
    form: Form,
    /// Inputs that the host has set.
    written: HashSet<Value>,
    /// Whether a step has run.
    ran: bool,
}

enum Form {
    Gpu(Box<GpuForm>),
    Cpu {
        threads: usize,
        fetched: Vec<Value>,
        arrays: HashMap<Value, Arc<Array>>,
    },
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({} nodes)", self.graph.nodes().len())
    }
}

impl Session {
    /// Compiles `graph`, whose states `store` must hold; `fetched` values can be read after a run.
    ///
    /// All memory is allocated and all pipelines are built here.
    ///
    /// # Errors
    /// `Graph` or `Shape` if the store does not fit the graph; `Limit`, `Shader`, `OutOfMemory`, `DeviceLost`; `Mismatch` if products on the
    /// device's cooperative matrices are wrong, `Unsupported` if they are to be tried out on a borrowed device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(store: &Store, graph: &Graph, fetched: &[Value]) -> Result<Self> {
        Self::with_options(store, graph, fetched, PlanOptions::default())
    }

    /// As [`new`](Self::new), with options.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn with_options(
        store: &Store,
        graph: &Graph,
        fetched: &[Value],
        options: PlanOptions,
    ) -> Result<Self> {
        Self::with_progress(store, graph, fetched, options, |_| ())
    }

    /// As `with_options`, for hosts that cannot block. The first session on cooperative matrices of a borrowed device ends only while the host polls.
    /// Outside a browser, building a pipeline is not awaited but done, and on own devices of llvmpipe so is compiling it.
    pub async fn new_async(
        store: &Store,
        graph: &Graph,
        fetched: &[Value],
        options: PlanOptions,
    ) -> Result<Self> {
        Self::with_progress_async(store, graph, fetched, options, |_| ()).await
    }

    /// As [`with_options`](Self::with_options), telling `progress` which pipelines are to be built before each of them is. The CPU
    /// reference has none and tells nothing.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn with_progress(
        store: &Store,
        graph: &Graph,
        fetched: &[Value],
        options: PlanOptions,
        progress: impl FnMut(Progress<'_>),
    ) -> Result<Self> {
        store.engine().expect_proof()?;
        let session = Self::with_progress_async(store, graph, fetched, options, progress);
        pollster::block_on(session)
    }

    /// As `with_progress`, for hosts that cannot block.
    pub async fn with_progress_async(
        store: &Store,
        graph: &Graph,
        fetched: &[Value],
        options: PlanOptions,
        progress: impl FnMut(Progress<'_>),
    ) -> Result<Self> {
        for state in graph.states() {
            store.layout().check(&state.name, &state.ty)?;
        }
        for &value in fetched {
            graph.operand("session", value)?;
        }
        let form = match store.engine() {
            Engine::Cpu { threads } => Form::Cpu {
                threads: *threads,
                fetched: fetched.to_vec(),
                arrays: HashMap::new(),
            },
            Engine::Gpu(gpu) => {
                if gpu.unproven() {
                    self_test::multiply(gpu).await?;
                    gpu.prove();
                }
                let plan = Plan::new(graph, store.layout(), fetched, gpu.caps(), options)?;
                let form = GpuForm::new(gpu, store, graph, plan, progress).await?;
                Form::Gpu(Box::new(form))
            }
        };
        Ok(Self {
            store: store.clone(),
            graph: graph.clone(),
            form,
            written: HashSet::new(),
            ran: false,
        })
    }

    /// What it runs on.
    pub fn engine(&self) -> &Engine {
        self.store.engine()
    }

    /// The plan; the CPU reference has none.
    pub fn plan(&self) -> Option<&Plan> {
        match &self.form {
            Form::Gpu(form) => Some(&form.plan),
            Form::Cpu { .. } => None,
        }
    }

    /// Bytes of the session's own buffers on the device, apart from the store: what
    /// [`Bytes::total`](crate::plan::Bytes::total) of its plan says. The CPU reference has none.
    pub fn bytes(&self) -> u64 {
        match &self.form {
            Form::Gpu(form) => form.bytes(),
            Form::Cpu { .. } => 0,
        }
    }

    /// Sets an input for the runs that follow. Steps that were recorded but not yet submitted see it too.
    ///
    /// # Errors
    /// `Graph` if `input` is not an input of the graph; `Shape` if the tensor does not fit it.
    pub fn write(&mut self, input: Value, tensor: &Tensor) -> Result<()> {
        self.graph.operand("write", input)?;
        let Source::Input(name) = self.graph.source(input)? else {
            return Err(Error::graph(format!(
                "write: {} is not an input",
                self.graph.describe(input)
            )));
        };
        let ty = self.graph.ty(input)?;
        if tensor.ty() != ty {
            return Err(Error::shape(format!(
                "input \"{name}\" is {ty}, the tensor {}",
                tensor.ty()
            )));
        }
        match &mut self.form {
            Form::Cpu { arrays, .. } => {
                arrays.insert(input, Arc::new(tensor.to_array()?));
            }
            Form::Gpu(form) => {
                // An input that nothing reads has no place.
                if form.plan.places.contains_key(&input) {
                    upload(&form.gpu, tensor, form.places(&self.store, input)?)?;
                }
            }
        }
        self.written.insert(input);
        Ok(())
    }

    /// Fails if an input that the plan reads was never set.
    fn begin(&mut self) -> Result<()> {
        if let Form::Gpu(form) = &self.form {
            for &value in form.plan.places.keys() {
                if let Source::Input(name) = self.graph.source(value)?
                    && !self.written.contains(&value)
                {
                    return Err(Error::graph(format!("input \"{name}\" has no value")));
                }
            }
        }
        self.ran = true;
        Ok(())
    }

    /// Runs `steps` steps. On a GPU they are submitted, many at a time, and not waited for.
    ///
    /// # Errors
    /// `Graph` if an input has no value; `OutOfMemory`, `DeviceLost`.
    pub fn run(&mut self, steps: usize) -> Result<()> {
        self.begin()?;
        match &mut self.form {
            Form::Gpu(form) => form.submit(steps),
            Form::Cpu {
                threads,
                fetched,
                arrays,
            } => {
                for _ in 0..steps {
                    run_reference(&self.graph, &self.store, *threads, fetched, arrays)?;
                }
                Ok(())
            }
        }
    }

    /// Records `steps` steps into the host's encoder, as one compute pass. Submits nothing.
    ///
    /// # Errors
    /// `Unsupported` on the CPU reference; `DeviceLost`.
    pub fn record(&mut self, encoder: &mut wgpu::CommandEncoder, steps: usize) -> Result<()> {
        self.begin()?;
        match &self.form {
            Form::Gpu(form) => {
                form.gpu.check_lost()?;
                form.record(encoder, steps);
                Ok(())
            }
            Form::Cpu { .. } => Err(Error::new(
                ErrorKind::Unsupported,
                "record: the session runs on the CPU reference",
            )),
        }
    }

    /// Reads a fetched value, an input or a state, as it is after the runs so far. A fetched value that is assigned is read from its state.
    pub async fn read_async(&self, value: Value) -> Result<Tensor> {
        let ty = self.graph.operand("read", value)?;
        if let Source::State(index) = self.graph.source(value)? {
            return self
                .store
                .get_async(&self.graph.states()[*index].name)
                .await;
        }
        let absent = || {
            let value = self.graph.describe(value);
            Error::graph(format!("read: {value} was not fetched, or nothing ran yet"))
        };
        let there = match self.graph.source(value)? {
            Source::Input(_) => self.written.contains(&value),
            _ => self.ran,
        };
        if !there {
            return Err(absent());
        }
        match &self.form {
            Form::Cpu { arrays, .. } => Ok(arrays.get(&value).ok_or_else(absent)?.to_tensor()),
            Form::Gpu(form) => {
                if !form.plan.places.contains_key(&value) {
                    return Err(absent());
                }
                download(&form.gpu, ty, form.places(&self.store, value)?).await
            }
        }
    }

    /// As [`read_async`](Self::read_async), waiting for the result.
    ///
    /// # Errors
    /// `Unsupported` on a borrowed device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read(&self, value: Value) -> Result<Tensor> {
        crate::store::blocking(self.store.engine(), self.read_async(value))
    }

    /// Fills every slot with NaN, so that a kernel which reads what nobody wrote shows it. For tests.
    #[doc(hidden)]
    pub fn poison(&self) -> Result<()> {
        if let Form::Gpu(form) = &self.form {
            for slot in &form.slots {
                let words = vec![f32::NAN; (slot.size() / 4) as usize];
                form.gpu.write(slot, 0, bytemuck::cast_slice(&words))?;
            }
        }
        Ok(())
    }
}

fn run_reference(
    graph: &Graph,
    store: &Store,
    threads: usize,
    fetched: &[Value],
    arrays: &mut HashMap<Value, Arc<Array>>,
) -> Result<()> {
    // From reading the states to writing them: what another thread runs or writes on this store
    // comes before or after.
    let _turn = store.turn();
    let mut given = arrays.clone();
    for state in graph.states() {
        given.insert(state.value, store.array(&state.name)?);
    }
    let assigned = graph.assigns().iter().map(|&(_, value)| value);
    let wanted: Vec<Value> = fetched.iter().copied().chain(assigned).collect();
    let mut results = evaluate(graph, &given, &wanted, threads)?;
    drop(given);
    let values = results.split_off(fetched.len());
    for (&value, array) in fetched.iter().zip(results) {
        arrays.insert(value, array);
    }
    for (&(state, _), array) in graph.assigns().iter().zip(values) {
        if let Source::State(index) = graph.source(state)? {
            store.set_array(&graph.states()[*index].name, array)?;
        }
    }
    Ok(())
}
