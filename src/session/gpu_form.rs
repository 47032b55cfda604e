//! A plan on a device: pipelines, buffers and bind groups, made once and encoded step by step.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::advance::Slices;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Gpu, Order, Piece, Pipeline, Progress, ReadFuture, Staging, Use};
use crate::graph::{Graph, Origin, Value};
use crate::kernel::Access;
use crate::plan::{Buffer, Plan, Step, UNIFORM_STRIDE};
use crate::store::{Ranges, StatePlace, Store, pieces};
use crate::tensor::Tensor;

/// Steps that go to the queue together.
pub(super) const STEPS_PER_SUBMIT: usize = 32;

/// A session on a GPU: every object of a step, and its buffers.
pub(super) struct GpuForm {
    pub gpu: Gpu,
    pub plan: Plan,
    pub slots: Vec<wgpu::Buffer>,
    fixed: HashMap<Buffer, wgpu::Buffer>,
    /// The uniform blocks of all dispatches.
    uniforms: wgpu::Buffer,
    pub dispatches: Vec<Ready>,
    /// What the host has bound so far.
    bound: HashMap<Buffer, Resource>,
    /// The writes to the states, of all sessions over the store, and those to inputs.
    writes: [Staging; 2],
    /// The last submissions of steps, at most [`SUBMISSIONS`].
    submitted: VecDeque<wgpu::SubmissionIndex>,
    /// Once a step was recorded in slices.
    pub slices: Option<Slices>,
}

/// Submissions that are remembered.
const SUBMISSIONS: usize = 8;

/// What the host binds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Resource {
    Texture(wgpu::TextureView),
    /// A buffer, from this byte on.
    Buffer(wgpu::Buffer, u64),
}

/// A dispatch with its GPU objects.
pub(super) struct Ready {
    pub pipeline: Arc<Pipeline>,
    /// None as long as the host has not bound all that it names.
    bind_group: Option<wgpu::BindGroup>,
    grid: [u32; 2],
}

impl Ready {
    /// Encodes it for an encoder that will be submitted.
    pub fn encode_used(&self, pass: &mut wgpu::ComputePass<'_>) {
        self.pipeline.use_first();
        self.encode(pass, self.grid);
    }

    /// Encodes it over a grid of so many workgroups.
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>, grid: [u32; 2]) {
        if let Some(bind_group) = &self.bind_group {
            pass.set_pipeline(&self.pipeline.pipeline);
            pass.set_bind_group(0, bind_group, &[]);
            pass.dispatch_workgroups(grid[0], grid[1], 1);
        }
    }
}

impl GpuForm {
    pub async fn new(
        gpu: &Gpu,
        store: &Store,
        graph: &Graph,
        plan: Plan,
        progress: impl FnMut(Progress<'_>),
    ) -> Result<Self> {
        gpu.check_lost()?;
        let uses = plan.steps.iter().map(|step| {
            let accesses = step.bindings.iter().map(|b| b.1).collect();
            Use {
                kernel: step.kernel.as_ref(),
                constants: &step.constants,
                accesses,
                trusted: step.trusted,
            }
        });
        let pipelines = gpu.pipelines().get(gpu, uses.collect(), progress).await?;
        let allocate = || {
            let slots: Vec<_> = plan
                .slots
                .iter()
                .map(|&b| gpu.create_buffer("slot", b))
                .collect();
            let make = |(buffer, bytes): (Buffer, u64)| (buffer, gpu.create_buffer("input", bytes));
            let fixed: HashMap<_, _> = plan.fixed().into_iter().map(make).collect();
            let uniforms = gpu.create_buffer("params", plan.bytes.uniforms);
            (slots, fixed, uniforms)
        };
        let (slots, fixed, uniforms) = gpu.scoped("allocating the session", allocate).await?;
        // Each input may be on its way while it is written again.
        let room = 2 * fixed.values().map(wgpu::Buffer::size).sum::<u64>();
        let states = store.staging().cloned().unwrap_or_else(|| Staging::new(0));
        let mut form = Self {
            gpu: gpu.clone(),
            plan,
            slots,
            fixed,
            uniforms,
            dispatches: Vec::new(),
            bound: HashMap::new(),
            writes: [states, Staging::new(room)],
            submitted: VecDeque::new(),
            slices: None,
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
        gpu.fill(&form.writes[1], &form.uniforms, 0, &blocks)?;
        let encode = || {
            let mut dispatches = Vec::new();
            for (index, pipeline) in pipelines.into_iter().enumerate() {
                dispatches.push(Ready {
                    bind_group: form.bind_group(store, index, &pipeline, &form.bound)?,
                    pipeline,
                    grid: form.plan.steps[index].grid,
                });
            }
            // One step encoded in private: a fault of ours shows here and not when the host
            // finishes its encoder.
            let mut encoder = gpu.device().create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            dispatches
                .iter()
                .for_each(|ready| ready.encode(&mut pass, ready.grid));
            drop(pass);
            encoder.finish();
            Ok(dispatches)
        };
        form.dispatches = gpu.scoped("encoding a step", encode).await??;
        if gpu.is_owned() {
            form.writes[1].flush(gpu, false)?;
        }
        Ok(form)
    }

    fn fill_constants(&self, store: &Store, graph: &Graph) -> Result<()> {
        for &value in self.plan.places.keys() {
            if let Origin::Constant(tensor) = graph.source(value)? {
                for (buffer, offset, bytes) in pieces(tensor, self.places(store, value)?) {
                    self.gpu.fill(&self.writes[1], buffer, offset, bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> u64 {
        let buffers = self.slots.iter().chain(self.fixed.values());
        let buffers = buffers.chain([&self.uniforms]);
        buffers.map(wgpu::Buffer::size).sum()
    }

    /// Stages the content of an input for the next step.
    pub fn write(&self, store: &Store, input: Value, tensor: &Tensor) -> Result<()> {
        let pieces: Vec<_> = pieces(tensor, self.places(store, input)?).collect();
        // What a step under way reads stays as it was when the step began.
        if self.is_under_way() && !self.writes[1].has_room(&self.gpu, &pieces) {
            return Err(Error::new(
                ErrorKind::OutOfMemory,
                "what waits to be written exceeds GpuOptions::max_staging while a step is under \
                 way in slices",
            ));
        }
        self.stage(&pieces)
    }

    pub fn stage(&self, pieces: &[Piece<'_>]) -> Result<()> {
        self.writes[1].stage(&self.gpu, pieces)
    }

    /// Bytes of the writes that wait.
    pub fn waiting_bytes(&self) -> u64 {
        self.writes.iter().map(Staging::waiting_bytes).sum()
    }

    /// Submits the writes that wait.
    pub fn flush_writes(&self) -> Result<()> {
        let mut writes = self.writes.iter();
        writes.try_for_each(|writes| writes.flush(&self.gpu, false))
    }

    /// Encodes the writes that wait; what is returned is held until they are submitted.
    pub fn encode_writes<'a>(
        &'a self,
        encoder: &mut wgpu::CommandEncoder,
    ) -> [Option<Order<'a>>; 2] {
        let [states, inputs] = &self.writes;
        [states.encode(encoder), inputs.encode(encoder)]
    }

    /// Reads a value of `graph` that has a place; the copy is submitted here.
    pub fn read(&self, store: &Store, graph: &Graph, value: Value) -> Result<ReadFuture> {
        let from = Ranges::new(graph.ty(value)?, self.places(store, value)?);
        let [states, inputs] = &self.writes;
        let parts = self.gpu.read(&[states, inputs], &from.ranges);
        Ok(ReadFuture::new(&self.gpu, parts, from.join()))
    }

    /// As `read`, with the copy in `encoder`.
    pub fn record_read(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        store: &Store,
        graph: &Graph,
        value: Value,
    ) -> Result<ReadFuture> {
        let from = Ranges::new(graph.ty(value)?, self.places(store, value)?);
        let [states, inputs] = &self.writes;
        let writes = [states, inputs];
        let (parts, out) = self.gpu.record_read(encoder, &writes, &from.ranges)?;
        Ok(ReadFuture::new(&self.gpu, parts, from.join()).recorded(out))
    }

    /// Where the parts of an input, constant or fetched value lie.
    pub fn places<'a>(&'a self, store: &'a Store, value: Value) -> Result<Vec<StatePlace<'a>>> {
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
            Buffer::Host(_) | Buffer::Texture(_) => None,
        };
        found.ok_or_else(|| Error::graph(format!("{buffer:?} was not allocated")))
    }

    /// The bind group of a step; none as long as something that it names is not in `bound`.
    fn bind_group(
        &self,
        store: &Store,
        index: usize,
        pipeline: &Pipeline,
        bound: &HashMap<Buffer, Resource>,
    ) -> Result<Option<wgpu::BindGroup>> {
        let range = |buffer, offset, bytes| {
            wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset,
                size: std::num::NonZeroU64::new(bytes),
            })
        };
        let step = &self.plan.steps[index];
        let mut resources = Vec::with_capacity(step.bindings.len() + 1);
        for (span, _) in &step.bindings {
            resources.push(
                match (span.buffer.is_bound_late(), bound.get(&span.buffer)) {
                    (false, _) => range(self.buffer(store, span.buffer)?, span.offset, span.bytes),
                    (true, Some(Resource::Texture(view))) => {
                        wgpu::BindingResource::TextureView(view)
                    }
                    (true, Some(Resource::Buffer(buffer, at))) => {
                        range(buffer, at + span.offset, span.bytes)
                    }
                    (true, None) => return Ok(None),
                },
            );
        }
        let at = index as u64 * UNIFORM_STRIDE;
        resources.push(range(&self.uniforms, at, UNIFORM_STRIDE));
        let entry = |(binding, resource)| wgpu::BindGroupEntry { binding, resource };
        let entries: Vec<_> = (0..).zip(resources).map(entry).collect();
        let descriptor = wgpu::BindGroupDescriptor {
            label: Some(step.op),
            layout: &pipeline.layout,
            entries: &entries,
        };
        Ok(Some(self.gpu.device().create_bind_group(&descriptor)))
    }

    /// Binds what the host gives for `at`: the bind groups that name it are made anew. On an error
    /// all is as it was.
    ///
    /// # Errors
    /// What the device says of it; `Graph` if one buffer were bound for reading and for writing.
    pub fn bind_late(&mut self, store: &Store, at: Buffer, resource: Resource) -> Result<()> {
        if self.bound.get(&at) == Some(&resource) {
            return Ok(());
        }
        let mut bound = self.bound.clone();
        bound.insert(at, resource);
        let named = |step: &Step| step.bindings.iter().any(|(span, _)| span.buffer == at);
        let steps = self.plan.steps.iter().enumerate();
        let steps: Vec<usize> = steps.filter(|(_, s)| named(s)).map(|(i, _)| i).collect();
        for &index in &steps {
            self.expect_one_way(store, &self.plan.steps[index], &bound)?;
        }
        self.expect_apart(at, &bound)?;
        let form = &*self;
        let groups = self.gpu.guarded("binding what the host gives", || {
            let group = |&index: &usize| {
                let pipeline = &form.dispatches[index].pipeline;
                // wgpu panics where it does not know what is bound.
                let made = AssertUnwindSafe(|| form.bind_group(store, index, pipeline, &bound));
                catch_unwind(made).unwrap_or_else(|_| {
                    Err(Error::new(
                        ErrorKind::Unsupported,
                        "it is of another wgpu instance; Gpu::from_device takes its device",
                    ))
                })
            };
            steps.iter().map(group).collect::<Result<Vec<_>>>()
        })??;
        for (index, group) in steps.into_iter().zip(groups) {
            self.dispatches[index].bind_group = group;
        }
        self.bound = bound;
        Ok(())
    }

    /// Fails if a dispatch would bind one texture or buffer for writing and in another way.
    fn expect_one_way(
        &self,
        store: &Store,
        step: &Step,
        bound: &HashMap<Buffer, Resource>,
    ) -> Result<()> {
        let mut resources = Vec::with_capacity(step.bindings.len());
        for (span, access) in &step.bindings {
            let resource = match span.buffer.is_bound_late() {
                true => bound.get(&span.buffer).cloned(),
                false => Some(Resource::Buffer(
                    self.buffer(store, span.buffer)?.clone(),
                    0,
                )),
            };
            resources.push((resource, is_written(*access)));
        }
        let same = |a: &Resource, b: &Resource| match (a, b) {
            (Resource::Texture(a), Resource::Texture(b)) => a.texture() == b.texture(),
            (Resource::Buffer(a, _), Resource::Buffer(b, _)) => a == b,
            _ => false,
        };
        for (i, (a, a_written)) in resources.iter().enumerate() {
            for (b, b_written) in &resources[i + 1..] {
                let both = a.as_ref().zip(b.as_ref());
                // Two writers of one value are the plan's own.
                if a_written != b_written && both.is_some_and(|(a, b)| same(a, b)) {
                    return Err(Error::graph(format!(
                        "{}: it would be bound twice, once for writing",
                        step.op
                    )));
                }
            }
        }
        Ok(())
    }

    /// Fails if the bytes of `at` overlap those of another value that the host binds, and one of
    /// both is written.
    fn expect_apart(&self, at: Buffer, bound: &HashMap<Buffer, Resource>) -> Result<()> {
        // Which bytes of which buffer, and whether they are written.
        let range = |value: Buffer| {
            let Some(Resource::Buffer(buffer, offset)) = bound.get(&value) else {
                return None;
            };
            let bindings = self.plan.steps.iter().flat_map(|step| &step.bindings);
            let own: Vec<_> = bindings.filter(|(span, _)| span.buffer == value).collect();
            let bytes = own.first()?.0.bytes;
            let written = own.iter().any(|(_, access)| is_written(*access));
            Some((buffer, *offset..offset + bytes, written))
        };
        let Some((buffer, bytes, written)) = range(at) else {
            return Ok(());
        };
        for &other in bound.keys().filter(|&&other| other != at) {
            if let Some((other, others, also)) = range(other)
                && buffer == other
                && (written || also)
                && bytes.start < others.end
                && others.start < bytes.end
            {
                return Err(Error::graph(format!(
                    "bytes {bytes:?} overlap {others:?}, which are bound for another value, and \
                     are written"
                )));
            }
        }
        Ok(())
    }

    /// What steps name and the host has not bound yet.
    pub fn unbound(&self) -> Option<Buffer> {
        let late = |buffer: &Buffer| buffer.is_bound_late() && !self.bound.contains_key(buffer);
        let ready = self.dispatches.iter().zip(&self.plan.steps);
        let waiting = ready.filter(|(ready, _)| ready.bind_group.is_none());
        let spans = waiting.flat_map(|(_, step)| &step.bindings);
        spans.map(|(span, _)| span.buffer).find(late)
    }

    /// Records `steps` steps behind the writes that wait. Who submits the encoder keeps what is
    /// returned until then.
    pub fn record<'a>(
        &'a self,
        encoder: &mut wgpu::CommandEncoder,
        steps: usize,
    ) -> [Option<Order<'a>>; 2] {
        let order = self.encode_writes(encoder);
        encode_steps(&self.dispatches, encoder, steps, None);
        order
    }

    /// Submits so many steps together, or none of them.
    pub fn submit(&mut self, steps: usize) -> Result<()> {
        let submission = self.gpu.guarded("submitting steps", || {
            let device = self.gpu.device();
            let mut encoder = device.create_command_encoder(&Default::default());
            let _order = self.record(&mut encoder, steps);
            self.gpu.submit(encoder)
        })?;
        if self.submitted.len() == SUBMISSIONS {
            self.submitted.pop_front();
        }
        self.submitted.push_back(submission);
        Ok(())
    }

    /// Waits until all but the last `count` submissions of steps are done, on an own device.
    pub fn wait_for_all_but(&mut self, count: usize) -> Result<()> {
        let mut last = None;
        while self.submitted.len() > count {
            last = self.submitted.pop_front();
        }
        match last {
            #[cfg(not(target_arch = "wasm32"))]
            Some(submission) if self.gpu.is_owned() => self.gpu.wait_for(submission),
            _ => Ok(()),
        }
    }
}

pub(super) fn encode_steps(
    dispatches: &[Ready],
    encoder: &mut wgpu::CommandEncoder,
    steps: usize,
    timestamp_writes: Option<wgpu::ComputePassTimestampWrites<'_>>,
) {
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
        label: Some("striate"),
        timestamp_writes,
    });
    for ready in std::iter::repeat_n(dispatches, steps).flatten() {
        ready.encode_used(&mut pass);
    }
}

fn is_written(access: Access) -> bool {
    matches!(access, Access::ReadWrite | Access::TextureStore(_))
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
