//! From a graph to a list of dispatches over placed buffers. Knows nothing of training, nor of
//! wgpu.
//!
//! In this order: cut to what is needed, fuse, schedule, homes and in-place marks, lower, slots,
//! resolve.

mod builder;
mod fuse;
mod program;
mod schedule;
mod slots;
mod stage;
mod states;
mod text;

pub use slots::{Life, peak, place};
pub use states::{Chunk, Entry, StateLayout, StatePart};

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Op, Origin, Value};
use crate::kernel::{Access, Caps, Kernel, Param, Part};
use crate::shape::Type;
use builder::{Builder, Spot, cut};
use program::{Program, ValueOrigin};
use schedule::{Home, Storage};

/// A buffer of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Buffer {
    /// A slot, shared over time.
    Slot(usize),
    /// A chunk of the store.
    Chunk(usize),
    /// Part of an input that the host writes.
    Input(Value, usize),
    /// Part of a constant.
    Constant(Value, usize),
    /// A buffer that the host binds for an input or an output.
    Host(Value),
    /// A texture that the host binds.
    Texture(Value),
}

impl Buffer {
    /// Whether the host binds it, to a session that is there.
    pub fn is_bound_late(self) -> bool {
        matches!(self, Self::Host(_) | Self::Texture(_))
    }
}

/// A range of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Which buffer.
    pub buffer: Buffer,
    /// First byte.
    pub offset: u64,
    /// Bytes, a multiple of 16.
    pub bytes: u64,
}

/// The place of a run of rows of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Which rows.
    pub rows: Part,
    /// Where their bytes are.
    pub span: Span,
}

/// A dispatch with its buffers.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Name of the op that emitted it.
    pub op: &'static str,
    /// Whether the op is one of this crate's, whose kernels run without run-time checks.
    pub trusted: bool,
    /// What runs.
    pub kernel: Cow<'static, Kernel>,
    /// Override constants: those of the kernel's variant, and of what follows its sums.
    pub constants: Vec<(&'static str, u32)>,
    /// Buffer ranges in order of their binding numbers.
    pub bindings: Vec<(Span, Access)>,
    /// Fields of the uniform block after `grid`.
    pub params: Vec<Param>,
    /// First workgroup, for dispatches that were cut.
    pub base: u32,
    /// Workgroups that count.
    pub count: u32,
    /// Workgroups dispatched along x and y.
    pub grid: [u32; 2],
    /// The most turns of its loops that one invocation takes for textures of the size that the
    /// graph says, where they grow with that size.
    pub turns_of_texels: Option<u64>,
    /// Multiply-adds of the product that it is a part of, as far as it does them.
    pub multiply_adds: u64,
    /// Why this kernel and these overrides, where there was a choice.
    pub reason: Cow<'static, str>,
}

/// Bytes of the buffers that a session makes for a plan, apart from the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bytes {
    /// All slots.
    pub slots: u64,
    /// The most bytes of slot values alive at one time, with what windows show past their ends.
    pub live: u64,
    /// One buffer for every value of the unfused graph that does not lie in the store.
    pub unplanned: u64,
    /// Inputs that the host writes.
    pub inputs: u64,
    /// Constants.
    pub constants: u64,
    /// Uniform blocks of the dispatches.
    pub uniforms: u64,
}

impl Bytes {
    /// Everything a session allocates.
    pub fn total(&self) -> u64 {
        self.slots + self.inputs + self.constants + self.uniforms
    }
}

/// Bytes between the uniform blocks of two dispatches.
pub const UNIFORM_STRIDE: u64 = 256;

/// Size of a buffer that holds `bytes`: a multiple of 256, 256 at least.
fn buffer_size(bytes: u64) -> u64 {
    bytes.max(1).next_multiple_of(256)
}

/// How a plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanOptions {
    /// Whether graph rewrites run.
    pub fuse: bool,
    /// The most bytes the session may allocate, apart from the store.
    pub memory_cap: Option<u64>,
    /// Whether all that writes states comes last ([`Plan::commit`]), so that a step can be recorded
    /// in slices ([`Session::advance`](crate::session::Session::advance)). Values that could be
    /// made in the state itself are copied then unless they are made last, which the plan's bytes
    /// tell. Gradients that are kept are no one else's until the step is whole; they are written as
    /// they are made.
    pub staged: bool,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            fuse: true,
            memory_cap: None,
            staged: false,
        }
    }
}

/// What a session runs in one step, and the buffers it needs.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Dispatches in order.
    pub steps: Vec<Step>,
    /// Bytes of each slot.
    pub slots: Vec<u64>,
    /// Places of inputs, constants, states and fetched values.
    pub places: HashMap<Value, Vec<Placed>>,
    /// What it needs, exactly.
    pub bytes: Bytes,
    /// Its matrix-shaped products, each once, by their names.
    pub products: BTreeMap<String, Product>,
    /// Whether it was made to be [`staged`](PlanOptions::staged).
    pub staged: bool,
    /// Of a staged plan, the first dispatch that writes a state other than a kept gradient that is
    /// made anew.
    pub commit: usize,
}

/// A matrix-shaped product of a plan, by itself.
#[derive(Debug, Clone)]
pub struct Product {
    /// The op, with what was fused into it.
    pub op: Arc<dyn Op>,
    /// Types of its inputs.
    pub inputs: Vec<Type>,
}

impl Plan {
    /// Plans one step of `graph`: its assignments and the values of `fetched`, with states placed
    /// by `states`.
    ///
    /// # Errors
    /// `Limit` if a value cannot be bound on this device or the plan exceeds the memory cap;
    /// `Graph` or `Shape` if `states` does not hold a state of the graph; whatever an op's `lower`
    /// returns.
    pub fn new(
        graph: &Graph,
        states: &StateLayout,
        fetched: &[Value],
        caps: &Caps,
        options: PlanOptions,
    ) -> Result<Self> {
        Self::hosted(graph, states, fetched, &[], caps, options)
    }

    /// As [`new`](Self::new), with inputs and outputs `hosted` for which the host binds buffers of
    /// its own. These are bound as storage, over exactly the padded bytes of the value.
    ///
    /// # Errors
    /// As [`new`](Self::new); `Graph` if a hosted value is a state, a constant or a texture;
    /// `Limit` if one takes more than one binding.
    pub fn hosted(
        graph: &Graph,
        states: &StateLayout,
        fetched: &[Value],
        hosted: &[Value],
        caps: &Caps,
        options: PlanOptions,
    ) -> Result<Self> {
        for &value in hosted {
            let texture = graph.texture_of(value).is_some();
            if texture || matches!(graph.source(value)?, Origin::State(_) | Origin::Constant(_)) {
                return Err(Error::graph(format!(
                    "host buffers are bound for inputs and for what ops make, not for {}",
                    graph.describe(value)
                )));
            }
        }
        let mut program = Program::new(graph, fetched, hosted)?;
        let entries = graph
            .states()
            .iter()
            .map(|state| states.check(&state.name, &state.ty))
            .collect::<Result<Vec<_>>>()?;
        let chunks_of = |state: usize| entries[state].parts.iter().map(|p| p.chunk).collect();
        schedule::schedule(&mut program);
        let unplanned = unplanned_bytes(
            &program,
            &Storage::new(&program, chunks_of, caps.max_binding),
        );
        if options.fuse {
            fuse::fuse(&mut program);
        }
        program.copy_views_cut_otherwise(caps.max_binding);
        schedule::schedule(&mut program);
        if options.staged {
            stage::stage(&mut program);
        }
        let storage = Storage::new(&program, chunks_of, caps.max_binding);
        let mut builder = Builder {
            program: &program,
            storage: &storage,
            entries: &entries,
            caps,
            lives: Vec::new(),
            slot_lives: HashMap::new(),
            drafts: Vec::new(),
            roots: program.roots(),
            products: BTreeMap::new(),
        };
        builder.name_slots()?;
        let mut drafts_before_commit = 0;
        for position in 0..program.nodes.len() {
            if program.commit == Some(position) {
                drafts_before_commit = builder.drafts.len();
            }
            builder.lower(position)?;
        }
        if program
            .commit
            .is_none_or(|commit| commit == program.nodes.len())
        {
            drafts_before_commit = builder.drafts.len();
        }
        builder.assignments()?;
        let (chosen, slots) = slots::place(&builder.lives);
        let slots: Vec<u64> = slots.into_iter().map(buffer_size).collect();
        let live = slots::peak(&builder.lives);
        let resolve = |spot: Spot| match spot {
            Spot::Life(life, offset, bytes) => Span {
                buffer: Buffer::Slot(chosen[life]),
                offset,
                bytes,
            },
            Spot::Fixed(span) => span,
        };
        let (mut steps, mut commit) = (Vec::new(), 0);
        for (index, draft) in builder.drafts.iter().enumerate() {
            if index == drafts_before_commit {
                commit = steps.len();
            }
            let bindings: Vec<(Span, Access)> = draft
                .bindings
                .iter()
                .map(|&(spot, access)| (resolve(spot), access))
                .collect();
            cut(draft, bindings, caps, &mut steps)?;
        }
        if drafts_before_commit == builder.drafts.len() {
            commit = steps.len();
        }
        let mut places = HashMap::new();
        let bytes = Bytes {
            slots: slots.iter().sum(),
            live,
            unplanned,
            uniforms: buffer_size(steps.len() as u64 * UNIFORM_STRIDE),
            ..Bytes::default()
        };
        let used = program.used();
        let fetched: HashSet<Value> = fetched.iter().copied().collect();
        for value in graph.values() {
            if graph.texture_of(value).is_some() {
                continue;
            }
            match program.origins[value.index()] {
                ValueOrigin::Input | ValueOrigin::Constant if !used[value.index()] => continue,
                ValueOrigin::Input | ValueOrigin::Constant | ValueOrigin::State(_) => {}
                ValueOrigin::Node if fetched.contains(&value) => {}
                ValueOrigin::Node => continue,
            }
            let placed = builder
                .parts(value)?
                .into_iter()
                .enumerate()
                .map(|(index, rows)| {
                    let span = resolve(builder.spot(value, index)?);
                    Ok(Placed { rows, span })
                })
                .collect::<Result<Vec<_>>>()?;
            places.insert(value, placed);
        }
        let mut plan = Self {
            steps,
            slots,
            places,
            bytes,
            products: builder.products,
            staged: options.staged,
            commit,
        };
        for (buffer, bytes) in plan.fixed() {
            match buffer {
                Buffer::Input(..) => plan.bytes.inputs += bytes,
                _ => plan.bytes.constants += bytes,
            }
        }
        plan.check_bindings()?;
        match options.memory_cap {
            Some(cap) if plan.bytes.total() > cap => Err(Error::new(
                ErrorKind::Limit,
                format!(
                    "memory cap: the session needs {} bytes ({} in slots, {} inputs, {} \
                     constants, {} uniforms), the cap is {cap}: {} bytes are missing",
                    plan.bytes.total(),
                    plan.bytes.slots,
                    plan.bytes.inputs,
                    plan.bytes.constants,
                    plan.bytes.uniforms,
                    plan.bytes.total() - cap
                ),
            )),
            _ => Ok(plan),
        }
    }

    /// Size of each buffer of an input or a constant: as far as it is bound, by a window perhaps
    /// past its value.
    pub fn fixed(&self) -> BTreeMap<Buffer, u64> {
        let mut fixed = BTreeMap::new();
        let places = self.places.values().flatten().map(|placed| placed.span);
        let bindings = self.steps.iter().flat_map(|step| &step.bindings);
        for span in places.chain(bindings.map(|&(span, _)| span)) {
            if matches!(span.buffer, Buffer::Input(..) | Buffer::Constant(..)) {
                let bytes: &mut u64 = fixed.entry(span.buffer).or_default();
                *bytes = (*bytes).max(buffer_size(span.offset + span.bytes));
            }
        }
        fixed
    }

    /// WebGPU refuses a dispatch that binds one buffer for writing and in any other way. A buffer
    /// of the host's may lack the usage for uniforms.
    fn check_bindings(&self) -> Result<()> {
        for step in &self.steps {
            let uniform = |(span, access): &(Span, Access)| {
                *access == Access::Uniform && matches!(span.buffer, Buffer::Host(_))
            };
            if step.bindings.iter().any(uniform) {
                return Err(Error::graph(format!(
                    "{}: it reads an operand as a uniform; a buffer of the host's is bound as \
                     storage only",
                    step.op
                )));
            }
            for (i, (a, access_a)) in step.bindings.iter().enumerate() {
                for (b, access_b) in &step.bindings[i + 1..] {
                    let both_ways = a.buffer == b.buffer
                        && access_a != access_b
                        && (*access_a == Access::ReadWrite || *access_b == Access::ReadWrite);
                    if both_ways {
                        return Err(Error::graph(format!(
                            "{}: kernel {} binds {:?} for reading and for writing",
                            step.op, step.kernel.name, a.buffer
                        )));
                    }
                }
            }
        }
        Ok(())
    }
}

/// One buffer per value of the program as written, but for those that lie in the store.
fn unplanned_bytes(program: &Program, storage: &Storage) -> u64 {
    let made = program.nodes.iter().filter(|n| !program.is_view(n));
    made.flat_map(|n| &n.outputs)
        .filter(|v| {
            let home = storage.homes[v.index()];
            !matches!(
                home,
                Some(Home::State(_) | Home::Texture(_) | Home::Host(_))
            )
        })
        .map(|v| program.types[v.index()].bytes())
        .sum()
}
