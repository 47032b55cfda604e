//! Named state on a device, shared by sessions.

mod snapshot;
mod turns;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{BufferRange, Engine, Gpu, Piece, ReadFuture, Staging};
use crate::graph::{Graph, Init, StateKind};
use crate::kernel::Part;
use crate::plan::{Entry, StateLayout};
use crate::rng::{Stream, stream_of};
use crate::shape::{DType, Type};
use crate::tensor::{Array, Tensor, room};
use turns::{Turn, Turns};

/// The states of one or several graphs: parameters, moments, statistics, counters, data sets.
/// Cloning shares it.
///
/// ```
/// use striate::nn::{Build, Linear};
/// use striate::prelude::*;
///
/// # fn main() -> Result<()> {
/// // Two graphs over one weight: batches of 8, and of 1.
/// let layer = Linear::new(3, 2);
/// let (mut many, mut one) = (Graph::new(), Graph::new());
/// let x = many.input("x", Type::f32([8, 3]))?;
/// Build::train(&mut many).layer("fc", &layer, x)?;
/// let x = one.input("x", Type::f32([1, 3]))?;
/// let y = Build::eval(&mut one).layer("fc", &layer, x)?;
///
/// let store = Store::new(&Engine::cpu(), &[&many, &one], 42)?;
/// assert!(store.names().eq(["fc.weight", "fc.bias"]));
/// store.set("fc.weight", &Tensor::f32([2, 3], vec![1.0; 6])?)?;
/// store.set("fc.bias", &Tensor::f32([2], vec![0.0, 0.5])?)?;
///
/// let mut session = Session::new(&store, &one, &[y])?;
/// session.write(x, &Tensor::f32([1, 3], vec![1.0, 2.0, 3.0])?)?;
/// session.run(1)?;
/// assert_eq!(session.read(y)?.as_f32()?, [6.0, 6.5]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Store(Arc<StoreInner>);

struct StoreInner {
    engine: Engine,
    layout: StateLayout,
    content: Content,
    /// Taken by whatever reads or writes several states of the CPU reference, or changes one: on a
    /// GPU the queue orders submits.
    turns: Turns,
    /// What the host last gave each step scalar.
    given: Mutex<HashMap<String, GivenState>>,
}

/// What the host last gave a step scalar.
#[derive(Clone)]
pub(crate) struct GivenState {
    /// How many times it gave something before.
    pub before: u64,
    pub tensor: Tensor,
}

enum Content {
    Gpu {
        gpu: Gpu,
        chunks: Vec<wgpu::Buffer>,
        staging: Staging,
    },
    Cpu(Mutex<HashMap<String, Arc<Array>>>),
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Store({} states, {} bytes)",
            self.0.layout.names.len(),
            self.bytes()
        )
    }
}

impl Store {
    /// Allocates the states of `graphs` and gives each its initial value; random ones are drawn
    /// from `seed` on the CPU.
    ///
    /// # Errors
    /// `Shape` if two graphs declare one name differently; `Limit`, `OutOfMemory`, `DeviceLost`
    /// from the device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(engine: &Engine, graphs: &[&Graph], seed: u64) -> Result<Self> {
        pollster::block_on(Self::new_async(engine, graphs, seed))
    }

    /// As `new`, for hosts that cannot block.
    pub async fn new_async(engine: &Engine, graphs: &[&Graph], seed: u64) -> Result<Self> {
        let layout = StateLayout::new(graphs, engine.caps().max_binding)?;
        let content = match engine {
            Engine::Cpu { .. } => Content::Cpu(Mutex::default()),
            Engine::Gpu(gpu) => {
                let make = || {
                    let chunk = |c: &crate::plan::Chunk| {
                        gpu.create_buffer("store", gpu.caps().padded(c.bytes))
                    };
                    layout.chunks.iter().map(chunk).collect()
                };
                let chunks: Vec<_> = gpu.scoped("allocating the store", make).await?;
                let bytes = chunks.iter().map(wgpu::Buffer::size).sum();
                Content::Gpu {
                    gpu: gpu.clone(),
                    chunks,
                    staging: Staging::new(bytes),
                }
            }
        };
        let store = Self(Arc::new(StoreInner {
            engine: engine.clone(),
            layout,
            content,
            turns: Turns::default(),
            given: Mutex::default(),
        }));
        for name in store.names() {
            let entry = store.entry(name)?;
            let (source, init) = match &entry.init {
                Init::SameAs(source) => (source.as_str(), &store.entry(source)?.init),
                init => (name, init),
            };
            let first = initial(source, &entry.ty, init, seed)?;
            match &store.0.content {
                Content::Cpu(_) => store.set(name, &first)?,
                // Memory of a device begins as zeros.
                Content::Gpu { .. } if matches!(init, Init::Constant(0.0)) => {}
                Content::Gpu { gpu, staging, .. } => {
                    for (buffer, offset, bytes) in pieces(&first, store.places(entry)) {
                        gpu.fill(staging, buffer, offset, bytes)?;
                    }
                }
            }
        }
        if let Content::Gpu { gpu, staging, .. } = &store.0.content
            && gpu.is_owned()
        {
            staging.flush(gpu, false)?;
        }
        Ok(store)
    }

    /// Names of all states, in order of declaration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.layout.names.iter().map(String::as_str)
    }

    /// Names of the states of one kind, in order of declaration.
    pub fn names_of(&self, kind: StateKind) -> impl Iterator<Item = &str> {
        self.names()
            .filter(move |name| self.0.layout.entries[*name].kind == kind)
    }

    /// Type of a state.
    pub fn ty(&self, name: &str) -> Result<&Type> {
        Ok(&self.entry(name)?.ty)
    }

    /// Bytes allocated.
    pub fn bytes(&self) -> u64 {
        match &self.0.content {
            Content::Cpu(_) => self.0.layout.bytes(),
            Content::Gpu { chunks, .. } => chunks.iter().map(|chunk| chunk.size()).sum(),
        }
    }

    /// Where the states are.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        let entry = self.0.layout.entries.get(name);
        entry.ok_or_else(|| Error::graph(format!("the store has no state \"{name}\"")))
    }

    /// Overwrites a state, after all steps run or recorded so far and before those that follow,
    /// of any session over the store, on any thread. Nothing is submitted: the bytes wait for the
    /// next of these, for a read or for [`record_writes`](Self::record_writes). On an error the
    /// state is as it was.
    ///
    /// The encoder that comes next brings it along, wherever it is submitted;
    /// [`restore`](Self::restore) and [`snapshot`](Self::snapshot) are submitted at once, before
    /// steps that are recorded and not submitted yet.
    ///
    /// # Errors
    /// `Graph`, `Shape` if the tensor does not fit the state; `DeviceLost`; `OutOfMemory`, on a
    /// borrowed device also if too much waits for its host to submit and poll
    /// ([`GpuOptions::max_staging`](crate::gpu::GpuOptions::max_staging)).
    pub fn set(&self, name: &str, tensor: &Tensor) -> Result<()> {
        let entry = self.fitting(name, tensor)?;
        match &self.0.content {
            Content::Cpu(_) => {
                let array = tensor.to_array()?;
                let _turn = self.turn();
                self.arrays()?.insert(name.to_owned(), Arc::new(array));
            }
            Content::Gpu { gpu, staging, .. } => {
                let pieces: Vec<Piece<'_>> = pieces(tensor, self.places(entry)).collect();
                staging
                    .stage(gpu, &pieces)
                    .map_err(|error| error.context(format!("state \"{name}\"")))?;
            }
        }
        self.note(name, entry.kind, tensor);
        Ok(())
    }

    /// Remembers what the host gives a step scalar.
    fn note(&self, name: &str, kind: StateKind, tensor: &Tensor) {
        if kind == StateKind::Scalar {
            let mut given = self.0.given.lock().unwrap_or_else(PoisonError::into_inner);
            let before = given.get(name).map_or(0, |last| last.before + 1);
            let tensor = tensor.clone();
            given.insert(name.to_owned(), GivenState { before, tensor });
        }
    }

    /// What the host last gave the step scalar `name`. Whoever counts the steps that run since then
    /// knows a clock without reading it.
    pub(crate) fn given(&self, name: &str) -> Option<GivenState> {
        let given = self.0.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.get(name).cloned()
    }

    /// Records what was [`set`](Self::set) and still waits into the host's encoder, ahead of
    /// what is recorded after it. Runs, records and reads do so by themselves.
    pub fn record_writes(&self, encoder: &mut wgpu::CommandEncoder) {
        if let Some(staging) = self.staging() {
            staging.encode(encoder);
        }
    }

    pub(crate) fn staging(&self) -> Option<&Staging> {
        match &self.0.content {
            Content::Cpu(_) => None,
            Content::Gpu { staging, .. } => Some(staging),
        }
    }

    /// Where the parts of a state lie on the device.
    fn places<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = StatePlace<'a>> {
        let parts = entry.parts.iter();
        parts.filter_map(|p| Some((self.chunk(p.chunk)?, p.offset, p.rows)))
    }

    /// Reads a state as it is after all steps submitted so far; the copy is submitted here.
    pub fn get_async(&self, name: &str) -> ReadFuture {
        let reading = || match &self.0.content {
            Content::Cpu(_) => Ok(ReadFuture::ready(Ok(self.array(name)?.to_tensor()))),
            Content::Gpu { gpu, staging, .. } => {
                let entry = self.entry(name)?;
                let from = Ranges::new(&entry.ty, self.places(entry));
                let parts = gpu.read(&[staging], &from.ranges);
                Ok(ReadFuture::new(gpu, parts, from.join()))
            }
        };
        reading().unwrap_or_else(|error| ReadFuture::ready(Err(error)))
    }

    /// As [`get_async`](Self::get_async), with the copy in the host's encoder: the state is read as
    /// it is after what was recorded there so far, and arrives once the host has submitted the
    /// encoder and polls.
    ///
    /// # Errors
    /// `Graph`; `Unsupported` on the CPU reference; `OutOfMemory`, `DeviceLost`.
    pub fn record_get(&self, encoder: &mut wgpu::CommandEncoder, name: &str) -> Result<ReadFuture> {
        let entry = self.entry(name)?;
        let Content::Gpu { gpu, staging, .. } = &self.0.content else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "record_get: the store lies with the CPU reference",
            ));
        };
        let from = Ranges::new(&entry.ty, self.places(entry));
        let (parts, out) = gpu.record_read(encoder, &[staging], &from.ranges)?;
        Ok(ReadFuture::new(gpu, parts, from.join()).recorded(out))
    }

    /// Reads a state and waits for it.
    ///
    /// # Errors
    /// `Unsupported` on a borrowed device: await [`get_async`](Self::get_async) there.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn get(&self, name: &str) -> Result<Tensor> {
        expect_own(self.engine())?;
        self.get_async(name).wait()
    }

    pub(crate) fn layout(&self) -> &StateLayout {
        &self.0.layout
    }

    pub(crate) fn chunk(&self, index: usize) -> Option<&wgpu::Buffer> {
        match &self.0.content {
            Content::Gpu { chunks, .. } => chunks.get(index),
            Content::Cpu(_) => None,
        }
    }

    /// Waits until no step of the CPU reference is under way, and keeps others from beginning.
    pub(crate) fn turn(&self) -> Turn<'_> {
        self.0.turns.take()
    }

    fn arrays(&self) -> Result<MutexGuard<'_, HashMap<String, Arc<Array>>>> {
        match &self.0.content {
            Content::Cpu(arrays) => Ok(arrays.lock().unwrap_or_else(PoisonError::into_inner)),
            Content::Gpu { .. } => Err(Error::new(
                ErrorKind::Unsupported,
                "the store lies on a GPU, not with the CPU reference",
            )),
        }
    }

    /// The array of a state of a CPU store.
    pub(crate) fn array(&self, name: &str) -> Result<Arc<Array>> {
        let found = self.arrays()?.get(name).cloned();
        found.ok_or_else(|| Error::graph(format!("the store has no state \"{name}\"")))
    }

    /// Replaces the array of a state of a CPU store, rounded to its dtype.
    pub(crate) fn set_array(&self, name: &str, array: Arc<Array>) -> Result<()> {
        let array = Arc::unwrap_or_clone(array).rounded();
        self.arrays()?.insert(name.to_owned(), Arc::new(array));
        Ok(())
    }
}

/// Runs `work`, which reads from `engine`, to its end.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn blocking<T>(engine: &Engine, work: impl Future<Output = Result<T>>) -> Result<T> {
    match engine {
        Engine::Gpu(gpu) => gpu.block_on(work),
        Engine::Cpu { .. } => pollster::block_on(work),
    }
}

/// Fails on a borrowed device, which nobody but its host may wait for.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn expect_own(engine: &Engine) -> Result<()> {
    match engine {
        Engine::Gpu(gpu) => gpu.expect_owned(),
        Engine::Cpu { .. } => Ok(()),
    }
}

/// Where a run of rows of a value lies: buffer, first byte, rows.
pub(crate) type StatePlace<'a> = (&'a wgpu::Buffer, u64, Part);

/// The bytes of a tensor, by the places of its parts; parts without any are left out.
pub(crate) fn pieces<'a>(
    tensor: &'a Tensor,
    places: impl IntoIterator<Item = StatePlace<'a>>,
) -> impl Iterator<Item = Piece<'a>> {
    let row = tensor.ty().row() * tensor.ty().dtype.size();
    places
        .into_iter()
        .filter_map(move |(buffer, offset, rows)| {
            let start = rows.start * row;
            let bytes = &tensor.bytes()[start..start + rows.rows * row];
            (!bytes.is_empty()).then_some((buffer, offset, bytes))
        })
}

/// What is to be read of a tensor that lies in parts.
pub(crate) struct Ranges<'a> {
    ty: Type,
    pub ranges: Vec<BufferRange<'a>>,
    /// Bytes of each part, without padding.
    sizes: Vec<usize>,
}

impl<'a> Ranges<'a> {
    pub fn new(ty: &Type, places: impl IntoIterator<Item = StatePlace<'a>>) -> Self {
        let row = ty.row();
        let (mut ranges, mut sizes) = (Vec::new(), Vec::new());
        for (buffer, offset, part) in places {
            ranges.push((buffer, offset, ty.padded_bytes(part.rows * row)));
            sizes.push(part.rows * row * ty.dtype.size());
        }
        let ty = ty.clone();
        Self { ty, ranges, sizes }
    }

    /// Makes the tensor of what the ranges hold.
    pub fn join(self) -> impl FnOnce(Vec<Vec<u8>>) -> Result<Tensor> + Send + use<> {
        let Self { ty, sizes, .. } = self;
        move |parts| {
            let mut joined = room(sizes.iter().sum())?;
            for (part, size) in parts.iter().zip(sizes) {
                joined.extend_from_slice(&part[..size]);
            }
            Tensor::from_bytes(&ty, &joined)
        }
    }
}

/// The initial value of the state `name`, and of those that begin as it does.
fn initial(name: &str, ty: &Type, init: &Init, seed: u64) -> Result<Tensor> {
    let stream = Stream::new(seed, stream_of(name), 0);
    let count = ty.count();
    let floats = |f: &dyn Fn(u64) -> f32| {
        let mut values = room(count)?;
        values.extend((0..count as u64).map(f));
        Tensor::f32(ty.shape.clone(), values)
    };
    match (init, ty.dtype) {
        (Init::Tensor(tensor), _) => Ok(tensor.as_ref().clone()),
        (Init::Constant(value), DType::F32) => floats(&|_| *value),
        (Init::Constant(value), DType::U32) => {
            let mut values = room(count)?;
            values.resize(count, *value as u32);
            Tensor::u32(ty.shape.clone(), values)
        }
        (Init::Uniform { bound }, DType::F32) => floats(&|i| (2.0 * stream.unit(i) - 1.0) * bound),
        (Init::Normal { std }, DType::F32) => floats(&|i| stream.normal(i, f64::from(*std)) as f32),
        (Init::Seed, DType::U32) => {
            let mut words = room(count)?;
            words.resize(count, 0);
            for (word, half) in words.iter_mut().zip([seed as u32, (seed >> 32) as u32]) {
                *word = half;
            }
            Tensor::u32(ty.shape.clone(), words)
        }
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            format!("state \"{name}\": {init:?} does not make {ty}"),
        )),
    }
}
