//! From a graph to a list of dispatches over placed buffers. Knows nothing of training, nor of
//! wgpu.
//!
//! In this order: cut to what is needed, fuse, schedule, homes and in-place marks, lower, slots,
//! resolve.

mod fuse;
mod program;
mod schedule;
mod slots;
mod states;

pub use slots::{Life, peak, place};
pub use states::{Chunk, Entry, StateLayout, StatePart};

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Op, Value};
use crate::kernel::{
    Access, Binding, Caps, Dispatch, Io, Kernel, Location, Lowering, Operand, Param, Part, WINDOW,
    parts_of,
};
use crate::lowering::copy::{copy, copy_parts};
use crate::ops::is_own;
use crate::shape::Type;
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
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            fuse: true,
            memory_cap: None,
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
        let mut program = Program::new(graph, fetched)?;
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
        for position in 0..program.nodes.len() {
            builder.lower(position)?;
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
        let mut steps = Vec::new();
        for draft in &builder.drafts {
            let bindings: Vec<(Span, Access)> = draft
                .bindings
                .iter()
                .map(|&(spot, access)| (resolve(spot), access))
                .collect();
            cut(draft, bindings, caps, &mut steps)?;
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

    /// WebGPU refuses a dispatch that binds one buffer for writing and in any other way.
    fn check_bindings(&self) -> Result<()> {
        for step in &self.steps {
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
        .filter(|v| !matches!(storage.homes[v.index()], Some(Home::State(_))))
        .map(|v| program.types[v.index()].bytes())
        .sum()
}

/// A place that may still wait for its slot.
#[derive(Debug, Clone, Copy)]
enum Spot {
    /// Number of the life, offset, bytes.
    Life(usize, u64, u64),
    Fixed(Span),
}

impl Spot {
    fn bytes(self) -> u64 {
        match self {
            Spot::Life(_, _, bytes) | Spot::Fixed(Span { bytes, .. }) => bytes,
        }
    }

    /// A window from byte `at` on.
    fn window(self, at: u64) -> Self {
        match self {
            Spot::Life(life, offset, _) => Spot::Life(life, offset + at, WINDOW),
            Spot::Fixed(span) => Spot::Fixed(Span {
                offset: span.offset + at,
                bytes: WINDOW,
                ..span
            }),
        }
    }
}

/// A dispatch whose slots are not chosen yet.
struct Draft {
    op: &'static str,
    trusted: bool,
    dispatch: Dispatch,
    bindings: Vec<(Spot, Access)>,
}

struct Builder<'a> {
    program: &'a Program,
    storage: &'a Storage,
    entries: &'a [&'a Entry],
    caps: &'a Caps,
    lives: Vec<Life>,
    /// First life of each value that names a slot; its parts follow.
    slot_lives: HashMap<Value, usize>,
    drafts: Vec<Draft>,
    products: BTreeMap<String, Product>,
    /// For each value, the one whose bytes it shows through views.
    roots: Vec<Value>,
}

impl Builder<'_> {
    fn parts(&self, value: Value) -> Result<Vec<Part>> {
        parts_of(&self.program.types[value.index()], self.caps.max_binding)
    }

    fn part_bytes(&self, value: Value, part: Part) -> u64 {
        let ty = &self.program.types[value.index()];
        ty.padded_bytes(ty.row() * part.rows)
    }

    /// Gives every value that names a slot its lives, one per part.
    fn name_slots(&mut self) -> Result<()> {
        for (index, life) in self.storage.lives.iter().enumerate() {
            let Some((first, last)) = *life else { continue };
            let value = Value::from_index(index);
            self.slot_lives.insert(value, self.lives.len());
            for part in self.parts(value)? {
                self.lives.push(Life {
                    bytes: self.part_bytes(value, part),
                    first,
                    last,
                });
            }
        }
        Ok(())
    }

    fn spot(&self, value: Value, part: usize) -> Result<Spot> {
        let parts = self.parts(value)?;
        let rows = *parts.get(part).ok_or_else(|| {
            Error::graph(format!("{value} has {} parts, not {part}", parts.len()))
        })?;
        let bytes = self.part_bytes(value, rows);
        let fixed = |buffer| {
            Spot::Fixed(Span {
                buffer,
                offset: 0,
                bytes,
            })
        };
        let root = self.root(value);
        let given = || self.program.of_graph[root.index()];
        Ok(match self.storage.homes[value.index()] {
            Some(Home::Slot(name)) => Spot::Life(self.slot_lives[&name] + part, 0, bytes),
            Some(Home::State(state)) => {
                let place = self.entries[state].parts[part];
                Spot::Fixed(Span {
                    buffer: Buffer::Chunk(place.chunk),
                    offset: place.offset,
                    bytes,
                })
            }
            Some(Home::Input) => fixed(Buffer::Input(given(), part)),
            Some(Home::Constant) => fixed(Buffer::Constant(given(), part)),
            None => return Err(Error::graph(format!("{value} is never made"))),
        })
    }

    fn root(&self, value: Value) -> Value {
        self.roots[value.index()]
    }

    /// The store location of a value that is state in one part.
    fn location(&self, value: Value) -> Option<Location> {
        match self.storage.homes[value.index()] {
            Some(Home::State(state)) => match self.entries[state].parts[..] {
                [place] => Some(Location {
                    chunk: place.chunk,
                    offset: place.offset,
                    bytes: place.bytes.next_multiple_of(256),
                }),
                _ => None,
            },
            _ => None,
        }
    }

    fn io(&self, inputs: &[Value], outputs: &[Value], in_place: &[Option<usize>]) -> Result<Io> {
        let types = |values: &[Value]| -> Vec<Type> {
            values
                .iter()
                .map(|v| self.program.types[v.index()].clone())
                .collect()
        };
        let parts = |values: &[Value]| -> Result<Vec<Vec<Part>>> {
            values.iter().map(|&v| self.parts(v)).collect()
        };
        let locations = |values: &[Value]| values.iter().map(|&v| self.location(v)).collect();
        Ok(Io {
            inputs: types(inputs),
            outputs: types(outputs),
            in_place: in_place.to_vec(),
            input_parts: parts(inputs)?,
            output_parts: parts(outputs)?,
            input_locations: locations(inputs),
            output_locations: locations(outputs),
        })
    }

    fn lower(&mut self, position: usize) -> Result<()> {
        let node = &self.program.nodes[position];
        if self.program.is_view(node) {
            return Ok(());
        }
        let io = self.io(
            &node.inputs,
            &node.outputs,
            &self.storage.in_place[position],
        )?;
        let mut lowering = Lowering::default();
        let mut trusted = is_own(node.op.as_ref());
        if io.outputs.iter().all(|ty| ty.count() == 0) {
            // Nothing to write.
        } else if node.op.view() {
            copy_parts(&io, &mut lowering);
            trusted = true;
        } else {
            let types: Vec<&Type> = io.inputs.iter().collect();
            let product = node.op.product(&types);
            let caps = self.caps.tuned(product.as_deref());
            node.op.lower(&io, &caps, &mut lowering)?;
            if lowering.dispatches.is_empty() {
                return Err(Error::graph(format!(
                    "{}: lower emits no dispatch",
                    node.op.name()
                )));
            }
            if let Some(product) = product {
                let alone = || Product {
                    op: node.op.clone(),
                    inputs: io.inputs.clone(),
                };
                self.products.entry(product).or_insert_with(alone);
            }
        }
        self.take(
            node.op.name(),
            position,
            &node.inputs,
            &node.outputs,
            lowering,
            trusted,
        )
    }

    /// Copies what could not be written in place, reading every state before it is overwritten.
    fn assignments(&mut self) -> Result<()> {
        let end = self.program.nodes.len();
        let mut sources = Vec::new();
        for &(state, value) in &self.storage.copies {
            // A value that is itself a state (or an alias of one) is first copied aside, in case
            // that state is assigned too.
            let aside = matches!(self.storage.homes[value.index()], Some(Home::State(_)));
            let ty = &self.program.types[value.index()];
            let mut spots = Vec::new();
            for (index, rows) in self.parts(value)?.into_iter().enumerate() {
                let from = self.spot(value, index)?;
                let bytes = self.part_bytes(value, rows);
                if !aside {
                    spots.push((from, bytes));
                    continue;
                }
                self.lives.push(Life {
                    bytes,
                    first: end,
                    last: usize::MAX,
                });
                let to = Spot::Life(self.lives.len() - 1, 0, bytes);
                self.copy(from, to, bytes, ty)?;
                spots.push((to, bytes));
            }
            sources.push((state, spots, ty));
        }
        for (state, spots, ty) in sources {
            for (index, (from, bytes)) in spots.into_iter().enumerate() {
                let to = self.spot(self.program.states[state], index)?;
                self.copy(from, to, bytes, ty)?;
            }
        }
        Ok(())
    }

    fn copy(&mut self, from: Spot, to: Spot, bytes: u64, ty: &Type) -> Result<()> {
        if ty.count() == 0 {
            return Ok(());
        }
        self.drafts.push(Draft {
            op: "assign",
            trusted: true,
            dispatch: copy((Operand::Input(0), 0), (Operand::Output(0), 0), bytes),
            bindings: vec![(from, Access::Read), (to, Access::ReadWrite)],
        });
        Ok(())
    }

    /// Turns an op's dispatches into drafts, with lives for its scratch buffers.
    fn take(
        &mut self,
        op: &'static str,
        position: usize,
        inputs: &[Value],
        outputs: &[Value],
        lowering: Lowering,
        trusted: bool,
    ) -> Result<()> {
        let first_scratch = self.lives.len();
        for ty in &lowering.scratch {
            ty.check().map_err(|e| e.context(op))?;
            if ty.bytes() > self.caps.max_binding {
                return Err(Error::new(
                    ErrorKind::Limit,
                    format!(
                        "{op}: scratch of {ty} takes {} bytes, the device binds {} at most",
                        ty.bytes(),
                        self.caps.max_binding
                    ),
                ));
            }
            self.lives.push(Life {
                bytes: ty.bytes(),
                first: position,
                last: position,
            });
        }
        for dispatch in lowering.dispatches {
            let kernel = &dispatch.kernel;
            if !kernel.variants.contains(&dispatch.overrides)
                || !kernel.epilogues.contains(&dispatch.epilogue)
            {
                return Err(Error::graph(format!(
                    "{op}: kernel {} does not list the overrides {:?} with the epilogue {:?}",
                    kernel.name, dispatch.overrides, dispatch.epilogue
                )));
            }
            if let Some(turns) = dispatch.turns
                && turns > self.caps.max_turns
            {
                return Err(Error::new(
                    ErrorKind::Limit,
                    format!(
                        "{op}: an invocation of kernel {} takes {turns} turns of its loops, the \
                         device allows {}",
                        dispatch.kernel.name, self.caps.max_turns
                    ),
                ));
            }
            let spot = |operand: Operand, part: usize| {
                let absent =
                    || Error::graph(format!("{op}: lower binds {operand:?}, which is not there"));
                let value = match operand {
                    Operand::Input(i) => *inputs.get(i).ok_or_else(absent)?,
                    Operand::Output(o) => *outputs.get(o).ok_or_else(absent)?,
                    Operand::Scratch(s) => {
                        let bytes = lowering.scratch.get(s).ok_or_else(absent)?.bytes();
                        return Ok(Spot::Life(first_scratch + s, 0, bytes));
                    }
                };
                self.spot(value, part)
                    .map_err(|e| e.context(format!("{op}: {operand:?}")))
            };
            let bindings = dispatch
                .bindings
                .iter()
                .map(|binding: &Binding| {
                    let start = spot(binding.operand, binding.part)?;
                    if let Some(at) = binding.window {
                        if !self.caps.windows || !at.is_multiple_of(256) || at > start.bytes() {
                            return Err(Error::graph(format!(
                                "{op}: a window at byte {at} of {} bytes; windows begin at \
                                 multiples of 256, on devices with `Caps::windows`",
                                start.bytes()
                            )));
                        }
                        return Ok((start.window(at), binding.access));
                    }
                    let Some(through) = binding.through else {
                        return Ok((start, binding.access));
                    };
                    match (start, spot(through, 0)?) {
                        (Spot::Fixed(start), Spot::Fixed(end))
                            if start.buffer == end.buffer && start.offset <= end.offset =>
                        {
                            let bytes = end.offset + end.bytes - start.offset;
                            Ok((Spot::Fixed(Span { bytes, ..start }), binding.access))
                        }
                        _ => Err(Error::graph(format!(
                            "{op}: a binding runs through operands that do not lie together"
                        ))),
                    }
                })
                .collect::<Result<Vec<_>>>()?;
            // Slots reach as far as the windows over them; other bindings never exceed their value.
            // What lies past a value is arbitrary: no kernel lets it reach a result.
            for (spot, access) in &bindings {
                let bytes = spot.bytes();
                if *access == Access::Uniform && bytes > self.caps.max_uniform {
                    return Err(Error::new(
                        ErrorKind::Limit,
                        format!(
                            "{op}: kernel {} binds {bytes} bytes as a uniform, the device allows \
                             {}",
                            dispatch.kernel.name, self.caps.max_uniform
                        ),
                    ));
                }
                if let &Spot::Life(life, offset, bytes) = spot {
                    let reach = &mut self.lives[life].bytes;
                    *reach = (*reach).max(offset + bytes);
                }
            }
            self.drafts.push(Draft {
                op,
                trusted,
                dispatch,
                bindings,
            });
        }
        Ok(())
    }
}

/// The most dispatches into which one is cut.
const MOST_CUTS: u64 = 1 << 16;

/// Folds a dispatch into the device's grid, cutting it where even two dimensions do not hold it.
fn cut(
    draft: &Draft,
    bindings: Vec<(Span, Access)>,
    caps: &Caps,
    steps: &mut Vec<Step>,
) -> Result<()> {
    let max = u64::from(caps.max_workgroups);
    let total = draft.dispatch.workgroups;
    if max == 0 || total > u64::from(u32::MAX) - max || total / max / max > MOST_CUTS {
        return Err(Error::new(
            ErrorKind::Limit,
            format!(
                "{}: {total} workgroups in one dispatch, the device takes {max} along each of two \
                 axes",
                draft.op
            ),
        ));
    }
    let mut base = 0;
    while base < total {
        let count = (total - base).min(max * max);
        let rows = count.div_ceil(max);
        let width = count.div_ceil(rows);
        steps.push(Step {
            op: draft.op,
            trusted: draft.trusted,
            kernel: draft.dispatch.kernel.clone(),
            constants: [draft.dispatch.overrides, draft.dispatch.epilogue].concat(),
            bindings: bindings.clone(),
            params: draft.dispatch.params.clone(),
            base: base as u32,
            count: total as u32,
            grid: [width as u32, rows as u32],
        });
        base += count;
    }
    Ok(())
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            write!(f, "{} {}", step.op, step.kernel.name)?;
            for (name, value) in &step.constants {
                write!(f, " {name}={value}")?;
            }
            write!(f, " [{}x{}]", step.grid[0], step.grid[1])?;
            for (span, access) in &step.bindings {
                let mode = match access {
                    Access::Read => "r",
                    Access::ReadWrite => "rw",
                    Access::Uniform => "u",
                };
                write!(
                    f,
                    " {mode}:{:?}+{}:{}",
                    span.buffer, span.offset, span.bytes
                )?;
            }
            writeln!(f)?;
        }
        let b = &self.bytes;
        write!(
            f,
            "{} dispatches, {} slots of {} bytes (live {}, unplanned {}), inputs {}, constants {}",
            self.steps.len(),
            self.slots.len(),
            b.slots,
            b.live,
            b.unplanned,
            b.inputs,
            b.constants
        )
    }
}
