//! A compiled graph over a store: compile once, run or record many times, read back.

mod advance;
mod bound;
mod builder;
mod gpu_form;
mod prepare;
mod profile;
mod recorded;
mod self_test;
pub(crate) mod texels;
mod tiles;

pub use advance::Advanced;
pub use bound::BufferSlice;
pub use builder::SessionBuilder;
pub use prepare::SessionInSteps;
pub use profile::{Profile, Timed};
pub use tiles::{PictureTile, PictureTiles};

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::gpu::Engine;
pub use crate::gpu::ReadFuture;
use crate::graph::{Graph, Origin, Value};
use crate::plan::Plan;
use crate::reference::evaluate;
use crate::store::Store;
use crate::tensor::{Array, Tensor};
use bound::expect_own_place;
use gpu_form::{GpuForm, STEPS_PER_SUBMIT};
use recorded::Recorded;

/// A graph compiled for a store's engine: inputs are written, steps run, values read.
///
/// ```
/// use striate::prelude::*;
///
/// # fn main() -> Result<()> {
/// // total = total + x, in every step.
/// let mut g = Graph::new();
/// let x = g.input("x", Type::f32([2]))?;
/// let total = g.state("total", Type::f32([2]), StateKind::Data, Init::Constant(0.0), None)?;
/// let sum = g.add(total, x)?;
/// g.assign(total, sum)?;
///
/// let store = Store::new(&Engine::cpu(), &[&g], 0)?;
/// let mut session = Session::new(&store, &g, &[sum])?;
/// session.write(x, &Tensor::f32([2], vec![1.0, 10.0])?)?;
/// session.run(3)?;
/// assert_eq!(session.read(sum)?.as_f32()?, [3.0, 30.0]);
/// # Ok(())
/// # }
/// ```
pub struct Session {
    store: Store,
    graph: Graph,
    form: Compiled,
    /// Inputs that the host has set.
    written: HashSet<Value>,
    /// Whether a step has run, or was submitted by `run`.
    ran: bool,
    recorded: Recorded,
}

enum Compiled {
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
    /// As [`SessionBuilder::build`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(store: &Store, graph: &Graph, fetched: &[Value]) -> Result<Self> {
        Self::builder(store, graph).fetch(fetched).build()
    }

    /// The long form of [`new`](Self::new): with options, with progress told, or not blocking.
    pub fn builder<'a>(store: &'a Store, graph: &'a Graph) -> SessionBuilder<'a> {
        SessionBuilder::new(store, graph)
    }

    /// What it runs on.
    pub fn engine(&self) -> &Engine {
        self.store.engine()
    }

    /// The plan; the CPU reference has none.
    pub fn plan(&self) -> Option<&Plan> {
        match &self.form {
            Compiled::Gpu(form) => Some(&form.plan),
            Compiled::Cpu { .. } => None,
        }
    }

    /// Bytes of the session's own buffers on the device, apart from the store: what
    /// [`Bytes::total`](crate::plan::Bytes::total) of its plan says. The CPU reference has none.
    pub fn bytes(&self) -> u64 {
        match &self.form {
            Compiled::Gpu(form) => form.bytes(),
            Compiled::Cpu { .. } => 0,
        }
    }

    /// Sets an input for the steps that are run or recorded after it; those recorded before see
    /// what was there before. Nothing is submitted: the bytes wait for the next of these, or for
    /// a read. What is written to an input that still waits is replaced. On an error the input is
    /// as it was.
    ///
    /// # Errors
    /// `Graph` if `input` is not an input of the graph; `Shape` if the tensor does not fit it;
    /// `DeviceLost`; `OutOfMemory`, on a borrowed device also if too much waits for its host to
    /// submit and poll ([`GpuOptions::max_staging`](crate::gpu::GpuOptions::max_staging)).
    pub fn write(&mut self, input: Value, tensor: &Tensor) -> Result<()> {
        self.graph.operand("write", input)?;
        let Origin::Input(name) = self.graph.source(input)? else {
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
        if let Compiled::Gpu(form) = &self.form {
            expect_own_place(form, &self.graph, "write", input)?;
        }
        match &mut self.form {
            Compiled::Cpu { arrays, .. } => {
                arrays.insert(input, Arc::new(tensor.to_array()?));
            }
            Compiled::Gpu(form) => {
                form.gpu.check_lost()?;
                // An input that nothing reads has no place.
                if form.plan.places.contains_key(&input) {
                    let context = |error: Error| error.context(format!("input \"{name}\""));
                    form.write(&self.store, input, tensor).map_err(context)?;
                }
            }
        }
        self.written.insert(input);
        Ok(())
    }

    /// Fails if an input that the plan reads was never set.
    fn begin(&self) -> Result<()> {
        if let Compiled::Gpu(form) = &self.form {
            if let Some(buffer) = form.unbound() {
                return Err(self.not_bound(buffer));
            }
            for (&value, placed) in &form.plan.places {
                if let Origin::Input(name) = self.graph.source(value)?
                    && !placed.iter().any(|place| place.span.buffer.is_bound_late())
                    && !self.written.contains(&value)
                {
                    return Err(Error::graph(format!("input \"{name}\" has no value")));
                }
            }
        }
        Ok(())
    }

    /// Runs `steps` steps. On a GPU they are submitted, many at a time, and not waited for.
    ///
    /// # Errors
    /// `Graph` if an input has no value; `OutOfMemory`, `DeviceLost`.
    pub fn run(&mut self, steps: usize) -> Result<()> {
        self.run_counted(steps).1
    }

    /// As [`run`](Self::run); how many steps ran or were submitted, also if the next one failed.
    pub(crate) fn run_counted(&mut self, steps: usize) -> (usize, Result<()>) {
        if let Err(error) = self.begin().and_then(|()| self.expect_whole("run")) {
            return (0, Err(error));
        }
        let mut done = 0;
        while done < steps {
            let (now, ran) = match &mut self.form {
                Compiled::Gpu(form) => {
                    let now = STEPS_PER_SUBMIT.min(steps - done);
                    (now, form.submit(now))
                }
                Compiled::Cpu {
                    threads,
                    fetched,
                    arrays,
                } => {
                    let (graph, store) = (&self.graph, &self.store);
                    (1, run_reference(graph, store, *threads, fetched, arrays))
                }
            };
            if let Err(error) = ran {
                return (done, Err(error));
            }
            self.ran = true;
            done += now;
        }
        (done, Ok(()))
    }

    /// Waits until all but the last `count` calls of [`run`](Self::run) are done, on an own device:
    /// so who writes inputs for each step stages no more of them than that.
    pub(crate) fn wait_for_all_but(&mut self, count: usize) -> Result<()> {
        match &mut self.form {
            Compiled::Gpu(form) => form.wait_for_all_but(count),
            Compiled::Cpu { .. } => Ok(()),
        }
    }

    /// Records `steps` steps into the host's encoder, as one compute pass, behind what was written
    /// and set and still waits. Submits nothing. Where the encoder is dropped instead of submitted,
    /// the writes wait for the next one.
    ///
    /// ```no_run
    /// use striate::prelude::*;
    /// use striate::wgpu;
    ///
    /// # async fn host(device: wgpu::Device, queue: wgpu::Queue) -> Result<()> {
    /// let mut g = Graph::new();
    /// let x = g.input("x", Type::f32([4]))?;
    /// let y = g.relu(x)?;
    ///
    /// // A session on the host's device; the host goes on polling it.
    /// let engine = Engine::from(Gpu::from_device(device.clone(), queue.clone())?);
    /// let store = Store::new_async(&engine, &[&g], 0).await?;
    /// let mut session = Session::builder(&store, &g).fetch(&[y]).build_async().await?;
    ///
    /// // One step among the host's own passes, and a copy of what it made.
    /// session.write(x, &Tensor::f32([4], vec![-1.0, 0.0, 1.0, 2.0])?)?;
    /// let mut encoder = device.create_command_encoder(&Default::default());
    /// session.record(&mut encoder, 1)?;
    /// let read = session.record_read(&mut encoder, y)?;
    /// queue.submit([encoder.finish()]);
    /// let y = read.await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Unsupported` on the CPU reference; `DeviceLost`, `OutOfMemory`.
    pub fn record(&mut self, encoder: &mut wgpu::CommandEncoder, steps: usize) -> Result<()> {
        self.begin()?;
        self.expect_whole("record")?;
        match &self.form {
            Compiled::Gpu(form) => {
                form.gpu.check_lost()?;
                self.recorded.mark(&form.gpu, encoder, steps)?;
                let _order = form.record(encoder, steps);
                Ok(())
            }
            Compiled::Cpu { .. } => Err(Error::new(
                ErrorKind::Unsupported,
                "record: the session runs on the CPU reference",
            )),
        }
    }

    /// Reads a fetched value, an input or a state, as it is after the runs so far. A fetched value
    /// that is assigned is read from its state.
    ///
    /// The copy is submitted here, and what is returned borrows nothing: the next step may run or
    /// be recorded before it is awaited, or waited for ([`ReadFuture::wait`]).
    ///
    /// # Errors
    /// When awaited: `Graph` if the value was not fetched, if nothing ran yet, or if steps were
    /// recorded whose encoder has not been submitted; `OutOfMemory`, `DeviceLost`, `Readback`.
    pub fn read_async(&self, value: Value) -> ReadFuture {
        let read = self.reading(value);
        read.unwrap_or_else(|error| ReadFuture::ready(Err(error)))
    }

    fn reading(&self, value: Value) -> Result<ReadFuture> {
        self.graph.operand("read", value)?;
        if let Compiled::Gpu(form) = &self.form {
            form.gpu.check_lost()?;
        }
        self.recorded.expect_submitted()?;
        if let Origin::State(index) = self.graph.source(value)? {
            return Ok(self.store.get_async(&self.graph.states()[*index].name));
        }
        if let Compiled::Gpu(form) = &self.form {
            expect_own_place(form, &self.graph, "read", value)?;
        }
        self.expect_whole("read")?;
        self.expect_there(value, self.ran || self.recorded.ran())?;
        match &self.form {
            Compiled::Cpu { arrays, .. } => {
                let array = arrays.get(&value).ok_or_else(|| self.absent(value))?;
                Ok(ReadFuture::ready(Ok(array.to_tensor())))
            }
            Compiled::Gpu(form) => form.read(&self.store, &self.graph, value),
        }
    }

    /// Fails if there is nothing to be read of a value, which is no state; `ran` is whether a
    /// step comes before the read.
    fn expect_there(&self, value: Value, ran: bool) -> Result<()> {
        let there = match self.graph.source(value)? {
            Origin::Input(_) => self.written.contains(&value),
            _ => ran,
        };
        let placed = match &self.form {
            Compiled::Cpu { arrays, .. } => arrays.contains_key(&value),
            Compiled::Gpu(form) => form.plan.places.contains_key(&value),
        };
        match there && placed {
            true => Ok(()),
            false => Err(self.absent(value)),
        }
    }

    fn absent(&self, value: Value) -> Error {
        let value = self.graph.describe(value);
        Error::graph(format!("read: {value} was not fetched, or nothing ran yet"))
    }

    /// Records a read of a fetched value, an input or a state into the host's encoder, as it is
    /// after what was recorded there so far. It arrives once the host has submitted the encoder
    /// and polls; the next step may be recorded before.
    ///
    /// # Errors
    /// `Graph` if the value was not fetched, or if nothing ran or was recorded yet; `Unsupported`
    /// on the CPU reference; `OutOfMemory`, `DeviceLost`. When awaited: `DeviceLost`; `Readback` if
    /// the encoder was dropped.
    pub fn record_read(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        value: Value,
    ) -> Result<ReadFuture> {
        let Compiled::Gpu(form) = &self.form else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "record_read: the session runs on the CPU reference",
            ));
        };
        self.graph.operand("record_read", value)?;
        form.gpu.check_lost()?;
        if let Origin::State(index) = self.graph.source(value)? {
            let name = &self.graph.states()[*index].name;
            return self.store.record_get(encoder, name);
        }
        expect_own_place(form, &self.graph, "record_read", value)?;
        self.expect_whole("record_read")?;
        self.expect_there(value, self.ran || self.recorded.may_run())?;
        form.record_read(encoder, &self.store, &self.graph, value)
    }

    /// As [`read_async`](Self::read_async), waiting for the result.
    ///
    /// # Errors
    /// `Unsupported` on a borrowed device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read(&self, value: Value) -> Result<Tensor> {
        crate::store::expect_own(self.store.engine())?;
        self.reading(value)?.wait()
    }

    /// Fills every slot with NaN, so that a kernel which reads what nobody wrote shows it. For
    /// tests.
    #[doc(hidden)]
    pub fn poison(&self) -> Result<()> {
        if let Compiled::Gpu(form) = &self.form {
            for slot in &form.slots {
                let words = vec![f32::NAN; (slot.size() / 4) as usize];
                form.stage(&[(slot, 0, bytemuck::cast_slice(&words))])?;
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
        if let Origin::State(index) = graph.source(state)? {
            store.set_array(&graph.states()[*index].name, array)?;
        }
    }
    Ok(())
}
