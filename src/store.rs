//! Named state on a device, shared by sessions.

mod snapshot;
mod turns;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Engine, Gpu};
use crate::graph::{Graph, Init, Kind};
use crate::kernel::Part;
use crate::plan::{Entry, StateLayout};
use crate::rng::{Stream, stream_of};
use crate::shape::{DType, Type};
use crate::tensor::{Array, Tensor, room};
use turns::{Turn, Turns};

/// The states of one or several graphs: parameters, moments, statistics, counters, data sets. Cloning shares it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    engine: Engine,
    layout: StateLayout,
    content: Content,
    /// Taken by whatever reads or writes several states of the CPU reference, or changes one: on a
    /// GPU the queue orders submits.
    turns: Turns,
}

enum Content {
    Gpu { gpu: Gpu, chunks: Vec<wgpu::Buffer> },
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
    /// Allocates the states of `graphs` and gives each its initial value; random ones are drawn from `seed` on the CPU.
    ///
    /// # Errors
    /// `Shape` if two graphs declare one name differently; `Limit`, `OutOfMemory`, `DeviceLost` from the device.
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
                let chunks = gpu.scoped("allocating the store", make).await?;
                Content::Gpu {
                    gpu: gpu.clone(),
                    chunks,
                }
            }
        };
        let store = Self(Arc::new(Inner {
            engine: engine.clone(),
            layout,
            content,
            turns: Turns::default(),
        }));
        for name in store.names() {
            let entry = store.entry(name)?;
            let (source, init) = match &entry.init {
                Init::SameAs(source) => (source.as_str(), &store.entry(source)?.init),
                init => (name, init),
            };
            store.set(name, &initial(source, &entry.ty, init, seed)?)?;
        }
        Ok(store)
    }

    /// Names of all states, in order of declaration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.layout.names.iter().map(String::as_str)
    }

    /// Names of the states of one kind, in order of declaration.
    pub fn names_of(&self, kind: Kind) -> impl Iterator<Item = &str> {
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

    /// Overwrites a state, after all steps submitted so far and before steps that are recorded but not yet submitted.
    pub fn set(&self, name: &str, tensor: &Tensor) -> Result<()> {
        let entry = self.fitting(name, tensor)?;
        match &self.0.content {
            Content::Cpu(_) => {
                let array = tensor.to_array()?;
                let _turn = self.turn();
                self.arrays()?.insert(name.to_owned(), Arc::new(array));
            }
            Content::Gpu { gpu, chunks } => {
                let parts = entry.parts.iter();
                let places = parts.map(|p| (&chunks[p.chunk], p.offset, p.rows));
                upload(gpu, tensor, places)?;
            }
        }
        Ok(())
    }

    /// Reads a state, after all steps submitted so far.
    pub async fn get_async(&self, name: &str) -> Result<Tensor> {
        let entry = self.entry(name)?;
        match &self.0.content {
            Content::Cpu(_) => Ok(self.array(name)?.to_tensor()),
            Content::Gpu { gpu, chunks } => {
                let parts = entry.parts.iter();
                let places = parts.map(|p| (&chunks[p.chunk], p.offset, p.rows));
                download(gpu, &entry.ty, places).await
            }
        }
    }

    /// Reads a state and waits for it.
    ///
    /// # Errors
    /// `Unsupported` on a borrowed device: await [`get_async`](Self::get_async) there.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn get(&self, name: &str) -> Result<Tensor> {
        blocking(self.engine(), self.get_async(name))
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
    use std::task::{Context, Poll, Waker};

    if let Engine::Gpu(gpu) = engine {
        gpu.expect_owned()?;
    }
    let mut work = std::pin::pin!(work);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        // A poll submits the next copy; the device is then waited for, which completes its map.
        if let Poll::Ready(result) = work.as_mut().poll(&mut context) {
            return result;
        }
        if let Engine::Gpu(gpu) = engine {
            gpu.wait()?;
        }
    }
}

/// Where a run of rows of a value lies: buffer, first byte, rows.
pub(crate) type Place<'a> = (&'a wgpu::Buffer, u64, Part);

/// Writes a tensor to the places of its parts.
pub(crate) fn upload<'a>(
    gpu: &Gpu,
    tensor: &Tensor,
    places: impl IntoIterator<Item = Place<'a>>,
) -> Result<()> {
    let row = tensor.ty().row() * tensor.ty().dtype.size();
    for (buffer, offset, part) in places {
        let start = part.start * row;
        gpu.write(
            buffer,
            offset,
            &tensor.bytes()[start..start + part.rows * row],
        )?;
    }
    Ok(())
}

/// Reads a tensor from the places of its parts.
pub(crate) async fn download<'a>(
    gpu: &Gpu,
    ty: &Type,
    places: impl IntoIterator<Item = Place<'a>>,
) -> Result<Tensor> {
    let row = ty.row();
    let (mut ranges, mut sizes) = (Vec::new(), Vec::new());
    for (buffer, offset, part) in places {
        ranges.push((buffer, offset, ty.padded_bytes(part.rows * row)));
        sizes.push(part.rows * row * ty.dtype.size());
    }
    let mut joined = room(sizes.iter().sum())?;
    for (part, size) in gpu.read(&ranges).await?.iter().zip(sizes) {
        joined.extend_from_slice(&part[..size]);
    }
    Tensor::from_bytes(ty, &joined)
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
        (Init::Normal { std }, DType::F32) => floats(&|i| {
            // Box-Muller, on two words per element.
            let radius = (-2.0 * f64::ln(1.0 - f64::from(stream.unit(2 * i)))).sqrt();
            let angle = std::f64::consts::TAU * f64::from(stream.unit(2 * i + 1));
            (f64::from(*std) * radius * angle.cos()) as f32
        }),
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
