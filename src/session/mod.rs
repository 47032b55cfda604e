//! A compiled graph over a store: compile once, run or record many times, read back.

mod profile;

pub use profile::{Profile, Timed};

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Engine, Gpu, Pipeline};
use crate::graph::{Graph, Source, Value};
use crate::plan::{Buffer, Plan, PlanOptions, Step, UNIFORM_STRIDE};
use crate::reference::evaluate;
use crate::store::{Place, Store, download, upload};
use crate::tensor::{Array, Tensor};

/// Steps that go to the queue together.
const STEPS_PER_SUBMIT: usize = 32;

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

struct GpuForm {
    gpu: Gpu,
    plan: Plan,
    slots: Vec<wgpu::Buffer>,
    fixed: HashMap<Buffer, wgpu::Buffer>,
    dispatches: Vec<Ready>,
}

/// A dispatch with its GPU objects.
struct Ready {
    pipeline: Arc<Pipeline>,
    bind_group: wgpu::BindGroup,
    grid: [u32; 2],
}

impl Ready {
    fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], 1);
    }
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
    /// `Graph` or `Shape` if the store does not fit the graph; `Limit`, `Shader`, `OutOfMemory`, `DeviceLost`.
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
        pollster::block_on(Self::new_async(store, graph, fetched, options))
    }

    /// As `with_options`, for hosts that cannot block.
    pub async fn new_async(
        store: &Store,
        graph: &Graph,
        fetched: &[Value],
        options: PlanOptions,
    ) -> Result<Self> {
        for state in graph.states() {
            store.layout().check(&state.name, &state.ty)?;
        }
        for &value in fetched {
            graph.ty(value)?;
        }
        let form = match store.engine() {
            Engine::Cpu { threads } => Form::Cpu {
                threads: *threads,
                fetched: fetched.to_vec(),
                arrays: HashMap::new(),
            },
            Engine::Gpu(gpu) => {
                let plan = Plan::new(graph, store.layout(), fetched, gpu.caps(), options)?;
                Form::Gpu(Box::new(GpuForm::new(gpu, store, graph, plan).await?))
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

    /// The plan; the CPU reference has none.
    pub fn plan(&self) -> Option<&Plan> {
        match &self.form {
            Form::Gpu(form) => Some(&form.plan),
            Form::Cpu { .. } => None,
        }
    }

    /// Sets an input for the runs that follow. Steps that were recorded but not yet submitted see it too.
    ///
    /// # Errors
    /// `Graph` if `input` is not an input of the graph; `Shape` if the tensor does not fit it.
    pub fn write(&mut self, input: Value, tensor: &Tensor) -> Result<()> {
        let Source::Input(name) = self.graph.source(input)? else {
            return Err(Error::graph(format!(
                "{input} is not an input of the graph"
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
        let ty = self.graph.ty(value)?;
        if let Source::State(index) = self.graph.source(value)? {
            return self
                .store
                .get_async(&self.graph.states()[*index].name)
                .await;
        }
        let absent = || Error::graph(format!("{value} was not fetched, or nothing ran yet"));
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

impl GpuForm {
    async fn new(gpu: &Gpu, store: &Store, graph: &Graph, plan: Plan) -> Result<Self> {
        gpu.check_lost()?;
        let uses = plan.steps.iter().map(|step| {
            let accesses = step.bindings.iter().map(|b| b.1).collect();
            (step.kernel.as_ref(), step.overrides, accesses)
        });
        let pipelines = gpu.pipelines().get(gpu, uses.collect()).await?;
        let allocate = || {
            let slots: Vec<_> = plan
                .slots
                .iter()
                .map(|&b| gpu.create_buffer("slot", b))
                .collect();
            let mut fixed = HashMap::new();
            for span in plan.places.values().flatten().map(|p| p.span) {
                if matches!(span.buffer, Buffer::Input(..) | Buffer::Constant(..)) {
                    let make = || gpu.create_buffer("input", span.bytes.next_multiple_of(256));
                    fixed.entry(span.buffer).or_insert_with(make);
                }
            }
            let uniforms = gpu.create_buffer("params", plan.steps.len() as u64 * UNIFORM_STRIDE);
            (slots, fixed, uniforms)
        };
        let (slots, fixed, uniforms) = gpu.scoped("allocating the session", allocate).await?;
        let mut form = Self {
            gpu: gpu.clone(),
            plan,
            slots,
            fixed,
            dispatches: Vec::new(),
        };
        form.fill_constants(store, graph)?;
        let mut blocks = vec![0; form.plan.steps.len() * UNIFORM_STRIDE as usize];
        for (step, block) in form
            .plan
            .steps
            .iter()
            .zip(blocks.chunks_mut(UNIFORM_STRIDE as usize))
        {
            let words = uniform_words(step)?;
            block[..words.len() * 4].copy_from_slice(bytemuck::cast_slice(&words));
        }
        gpu.write(&uniforms, 0, &blocks)?;
        let mut resources = Vec::new();
        for step in &form.plan.steps {
            let buffers = step
                .bindings
                .iter()
                .map(|(span, _)| form.buffer(store, span.buffer))
                .collect::<Result<Vec<_>>>()?;
            resources.push(buffers);
        }
        let encode = || {
            let mut dispatches = Vec::new();
            for (index, (step, pipeline)) in form.plan.steps.iter().zip(pipelines).enumerate() {
                let bind_group = bind(
                    gpu,
                    step,
                    &pipeline,
                    &resources[index],
                    &uniforms,
                    index as u64,
                );
                dispatches.push(Ready {
                    pipeline,
                    bind_group,
                    grid: step.grid,
                });
            }
            // One step encoded in private: a fault of ours shows here and not when the host finishes its encoder.
            let mut encoder = gpu.device().create_command_encoder(&Default::default());
            encode_steps(&dispatches, &mut encoder, 1, None);
            encoder.finish();
            dispatches
        };
        form.dispatches = gpu.scoped("encoding a step", encode).await?;
        Ok(form)
    }

    fn fill_constants(&self, store: &Store, graph: &Graph) -> Result<()> {
        for &value in self.plan.places.keys() {
            if let Source::Constant(tensor) = graph.source(value)? {
                upload(&self.gpu, tensor, self.places(store, value)?)?;
            }
        }
        Ok(())
    }

    /// Where the parts of an input, constant or fetched value lie.
    fn places<'a>(&'a self, store: &'a Store, value: Value) -> Result<Vec<Place<'a>>> {
        let placed = self.plan.places.get(&value).into_iter().flatten();
        placed
            .map(|p| Ok((self.buffer(store, p.span.buffer)?, p.span.offset, p.rows)))
            .collect()
    }

    fn buffer<'a>(&'a self, store: &'a Store, buffer: Buffer) -> Result<&'a wgpu::Buffer> {
        let found = match buffer {
            Buffer::Slot(slot) => self.slots.get(slot),
            Buffer::Chunk(chunk) => store.chunk(chunk),
            Buffer::Input(..) | Buffer::Constant(..) => self.fixed.get(&buffer),
        };
        found.ok_or_else(|| Error::graph(format!("{buffer:?} was not allocated")))
    }

    fn record(&self, encoder: &mut wgpu::CommandEncoder, steps: usize) {
        encode_steps(&self.dispatches, encoder, steps, None);
    }

    fn submit(&self, steps: usize) -> Result<()> {
        let mut left = steps;
        while left > 0 {
            let now = left.min(STEPS_PER_SUBMIT);
            self.gpu.guarded("submitting steps", || {
                let mut encoder = self
                    .gpu
                    .device()
                    .create_command_encoder(&Default::default());
                self.record(&mut encoder, now);
                self.gpu.queue().submit([encoder.finish()]);
            })?;
            left -= now;
        }
        Ok(())
    }
}

fn encode_steps(
    dispatches: &[Ready],
    encoder: &mut wgpu::CommandEncoder,
    steps: usize,
    timestamp_writes: Option<wgpu::ComputePassTimestampWrites<'_>>,
) {
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
        label: Some("striate"),
        timestamp_writes,
    });
    for _ in 0..steps {
        for ready in dispatches {
            ready.encode(&mut pass);
        }
    }
}

/// The uniform block of a dispatch: `grid`, then its params.
fn uniform_words(step: &Step) -> Result<Vec<u32>> {
    let mut words = vec![step.base, step.grid[0], step.count, 0];
    words.extend(step.params.iter().map(|p| p.bits));
    if words.len() as u64 * 4 > UNIFORM_STRIDE {
        return Err(Error::new(
            ErrorKind::Limit,
            format!(
                "{}: kernel {} has {} params, {} fit a uniform block",
                step.op,
                step.kernel.name,
                step.params.len(),
                UNIFORM_STRIDE / 4 - 4
            ),
        ));
    }
    Ok(words)
}

fn bind(
    gpu: &Gpu,
    step: &Step,
    pipeline: &Pipeline,
    buffers: &[&wgpu::Buffer],
    uniforms: &wgpu::Buffer,
    index: u64,
) -> wgpu::BindGroup {
    let range = |buffer, offset, bytes| {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer,
            offset,
            size: std::num::NonZeroU64::new(bytes),
        })
    };
    let mut entries: Vec<wgpu::BindGroupEntry<'_>> = step
        .bindings
        .iter()
        .zip(buffers)
        .enumerate()
        .map(|(binding, ((span, _), buffer))| wgpu::BindGroupEntry {
            binding: binding as u32,
            resource: range(*buffer, span.offset, span.bytes),
        })
        .collect();
    entries.push(wgpu::BindGroupEntry {
        binding: entries.len() as u32,
        resource: range(uniforms, index * UNIFORM_STRIDE, UNIFORM_STRIDE),
    });
    gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some(step.op),
        layout: &pipeline.layout,
        entries: &entries,
    })
}
