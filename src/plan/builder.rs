//! Lowers the ops of a program one after the other: drafts of dispatches, whose bindings may still
//! wait for their slots.

use std::collections::{BTreeMap, HashMap};

use super::program::Program;
use super::schedule::{Home, Storage};
use super::{Buffer, Entry, Life, Product, Span, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::Value;
use crate::kernel::{
    Access, Binding, Caps, Dispatch, Io, Location, Lowering, Operand, Part, WINDOW, parts_of,
};
use crate::lowering::copy::{copy, copy_parts};
use crate::ops::is_own;
use crate::shape::Type;

/// A place that may still wait for its slot.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spot {
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
pub(super) struct Draft {
    pub op: &'static str,
    pub trusted: bool,
    pub dispatch: Dispatch,
    pub bindings: Vec<(Spot, Access)>,
    /// Multiply-adds of the node, shared among its dispatches by what each of them does.
    pub multiply_adds: u64,
}

pub(super) struct Builder<'a> {
    pub program: &'a Program,
    pub storage: &'a Storage,
    pub entries: &'a [&'a Entry],
    pub caps: &'a Caps,
    pub lives: Vec<Life>,
    /// First life of each value that names a slot; its parts follow.
    pub slot_lives: HashMap<Value, usize>,
    pub drafts: Vec<Draft>,
    pub products: BTreeMap<String, Product>,
    /// For each value, the one whose bytes it shows through views.
    pub roots: Vec<Value>,
}

impl Builder<'_> {
    pub fn parts(&self, value: Value) -> Result<Vec<Part>> {
        parts_of(&self.program.types[value.index()], self.caps.max_binding)
    }

    fn part_bytes(&self, value: Value, part: Part) -> u64 {
        let ty = &self.program.types[value.index()];
        ty.padded_bytes(ty.row() * part.rows)
    }

    /// Gives every value that names a slot its lives, one per part.
    pub fn name_slots(&mut self) -> Result<()> {
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

    pub fn spot(&self, value: Value, part: usize) -> Result<Spot> {
        if let Some(Home::Texture(texture)) = self.storage.homes[value.index()] {
            return Ok(Spot::Fixed(Span {
                buffer: Buffer::Texture(self.program.of_graph[texture.index()]),
                offset: 0,
                bytes: self.program.types[value.index()].bytes(),
            }));
        }
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
            Some(Home::Host(host)) if parts.len() == 1 => {
                fixed(Buffer::Host(self.program.of_graph[host.index()]))
            }
            Some(Home::Host(_)) => {
                let ty = &self.program.types[value.index()];
                return Err(Error::new(
                    ErrorKind::Limit,
                    format!(
                        "{value}: {ty} takes {} bytes, the device binds {} at most, and a buffer \
                         of the host's is bound whole",
                        ty.bytes(),
                        self.caps.max_binding
                    ),
                ));
            }
            Some(Home::Texture(_)) | None => {
                return Err(Error::graph(format!("{value} is never made")));
            }
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

    pub fn lower(&mut self, position: usize) -> Result<()> {
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
        let mut multiply_adds = 0;
        let mut trusted = is_own(node.op.as_ref());
        if io.outputs.iter().all(|ty| ty.count() == 0) {
            // Nothing to write.
        } else if node.op.view() {
            copy_parts(&io, &mut lowering);
            trusted = true;
        } else {
            let types: Vec<&Type> = io.inputs.iter().collect();
            let product = node.op.product(&types);
            let mut caps = self.caps.tuned(product.as_deref());
            let home = |value: &Value| self.storage.homes[self.root(*value).index()];
            if node
                .inputs
                .iter()
                .any(|v| matches!(home(v), Some(Home::Host(_))))
            {
                // A window may reach past a value, where the host's buffer has other things.
                caps.to_mut().windows = false;
            }
            node.op.lower(&io, &caps, &mut lowering)?;
            multiply_adds = node.op.multiply_adds(&types);
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
        self.take(position, lowering, trusted, multiply_adds)
    }

    /// Copies what could not be written in place, reading every state before it is overwritten.
    pub fn assignments(&mut self) -> Result<()> {
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
            multiply_adds: 0,
        });
        Ok(())
    }

    /// Turns an op's dispatches into drafts, with lives for its scratch buffers.
    fn take(
        &mut self,
        position: usize,
        lowering: Lowering,
        trusted: bool,
        multiply_adds: u64,
    ) -> Result<()> {
        let node = &self.program.nodes[position];
        let (op, inputs, outputs) = (node.op.name(), &node.inputs, &node.outputs);
        let share = shares(&lowering.dispatches, multiply_adds);
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
        for (dispatch, multiply_adds) in lowering.dispatches.into_iter().zip(share) {
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
                multiply_adds,
            });
        }
        Ok(())
    }
}

/// The multiply-adds of a node, shared among its dispatches by the turns of loops that they take:
/// what comes before and after a product takes few.
fn shares(dispatches: &[Dispatch], multiply_adds: u64) -> Vec<u64> {
    let work = |d: &Dispatch| d.workgroups as f64 * d.turns.unwrap_or(1).max(1) as f64;
    let all: f64 = dispatches.iter().map(work).sum();
    let share = |d: &Dispatch| (multiply_adds as f64 * work(d) / all.max(1.0)) as u64;
    dispatches.iter().map(share).collect()
}

/// The most dispatches into which one is cut.
const MOST_CUTS: u64 = 1 << 16;

/// Folds a dispatch into the device's grid, cutting it where even two dimensions do not hold it.
pub(super) fn cut(
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
    let most = match caps.max_multiply_adds {
        Some(cap) if draft.multiply_adds > cap => {
            let pieces = draft.multiply_adds.div_ceil(cap.max(1));
            let most = total / pieces;
            // A fold of several rows is exact where they are full.
            if most > max { most / max * max } else { most }
        }
        _ => total,
    };
    if most == 0 || total / most > MOST_CUTS {
        return Err(Error::new(
            ErrorKind::Limit,
            format!(
                "{}: {} multiply-adds of {total} workgroups, of which a dispatch may do {}",
                draft.op,
                draft.multiply_adds,
                caps.max_multiply_adds.unwrap_or(u64::MAX)
            ),
        ));
    }
    let mut base = 0;
    while base < total {
        let count = (total - base).min(max * max).min(most);
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
            turns_of_texels: draft.dispatch.turns.filter(|_| draft.dispatch.grows),
            multiply_adds: (draft.multiply_adds as f64 * count as f64 / total as f64) as u64,
            reason: draft.dispatch.reason.clone(),
        });
        base += count;
    }
    Ok(())
}
