//! Where named states lie: entries packed by kind into chunks.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result};
use crate::graph::{Graph, Init, StateKind};
use crate::kernel::{Part, parts_of};
use crate::shape::Type;

/// Alignment of every entry: WebGPU's default for storage and uniform offsets.
const ALIGN: u64 = 256;

/// A run of rows of an entry and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatePart {
    /// Which rows.
    pub rows: Part,
    /// Chunk buffer.
    pub chunk: usize,
    /// First byte in the chunk.
    pub offset: u64,
    /// Bytes, a multiple of 16.
    pub bytes: u64,
}

/// A named state's place.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Shape and element type.
    pub ty: Type,
    /// What it is for.
    pub kind: StateKind,
    /// How it begins.
    pub init: Init,
    /// Its parts, usually one.
    pub parts: Vec<StatePart>,
}

/// A buffer that holds entries of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The kind of its entries.
    pub kind: StateKind,
    /// The group of its entries.
    pub group: u8,
    /// For gradients and moments, the chunk of the parameters at whose offsets the entries lie.
    pub like: Option<usize>,
    /// Size.
    pub bytes: u64,
}

/// The places of all states of one or several graphs, a pure function of their declarations.
///
/// Entries of a kind and group follow each other in order of declaration at offsets that are
/// multiples of 256 bytes; entries declared `like` a parameter have its chunk number and offset, so
/// that one dispatch walks parameters, gradients and moments together.
#[derive(Debug, Clone, Default)]
pub struct StateLayout {
    /// Entries in order of declaration.
    pub names: Vec<String>,
    /// Entries by name.
    pub entries: HashMap<String, Entry>,
    /// The chunk buffers.
    pub chunks: Vec<Chunk>,
}

impl StateLayout {
    /// Places the states of `graphs`; a state that several declare must have one type and kind in
    /// all of them.
    pub fn new(graphs: &[&Graph], max_binding: u64) -> Result<Self> {
        let mut layout = Self::default();
        let mut groups: HashMap<&str, u8> = HashMap::new();
        // Where entries lie that were declared like others.
        let mut taken = HashSet::new();
        for state in graphs.iter().flat_map(|graph| graph.states()) {
            let group = groups.entry(&state.name).or_default();
            *group = state.group.max(*group);
        }
        for graph in graphs {
            for state in graph.states() {
                if layout.entries.contains_key(&state.name) {
                    let entry = layout.check(&state.name, &state.ty)?;
                    if entry.kind != state.kind {
                        return Err(Error::graph(format!(
                            "state \"{}\" is declared as {:?} and as {:?}",
                            state.name, entry.kind, state.kind
                        )));
                    }
                    continue;
                }
                let parts = parts_of(&state.ty, max_binding)
                    .map_err(|e| e.context(format!("state \"{}\"", state.name)))?;
                let like = state.like.map(|index| graph.states()[index].name.clone());
                let twin = like.and_then(|name| layout.entries.get(&name)).cloned();
                let parts = parts
                    .into_iter()
                    .enumerate()
                    .map(|(index, rows)| {
                        let bytes = state.ty.padded_bytes(state.ty.row() * rows.rows);
                        let (chunk, offset) = match &twin {
                            Some(twin) => {
                                let place = twin.parts[index];
                                let (like, offset) = (place.chunk, place.offset);
                                let chunk = layout.twin_chunk(state.kind, like, offset, &mut taken);
                                (chunk, offset)
                            }
                            None => {
                                let group = groups.get(state.name.as_str()).copied();
                                let group = group.unwrap_or_default();
                                layout.append(state.kind, group, bytes, max_binding)
                            }
                        };
                        let end = offset + bytes;
                        let size = &mut layout.chunks[chunk].bytes;
                        *size = (*size).max(end);
                        StatePart {
                            rows,
                            chunk,
                            offset,
                            bytes,
                        }
                    })
                    .collect();
                layout.names.push(state.name.clone());
                layout.entries.insert(
                    state.name.clone(),
                    Entry {
                        ty: state.ty.clone(),
                        kind: state.kind,
                        init: state.init.clone(),
                        parts,
                    },
                );
            }
        }
        Ok(layout)
    }

    /// The entry of this name, which must have this type.
    pub fn check(&self, name: &str, ty: &Type) -> Result<&Entry> {
        match self.entries.get(name) {
            None => Err(Error::graph(format!("the store has no state \"{name}\""))),
            Some(entry) if &entry.ty != ty => Err(Error::shape(format!(
                "state \"{name}\" is {} in the store and {ty} in the graph",
                entry.ty
            ))),
            Some(entry) => Ok(entry),
        }
    }

    /// Bytes of all chunks.
    pub fn bytes(&self) -> u64 {
        self.chunks.iter().map(|c| c.bytes).sum()
    }

    /// The chunk of `kind` that goes with chunk `like` and is free at `offset`: several states may
    /// be stored like one.
    fn twin_chunk(
        &mut self,
        kind: StateKind,
        like: usize,
        offset: u64,
        taken: &mut HashSet<(usize, u64)>,
    ) -> usize {
        let found = (0..self.chunks.len()).find(|&chunk| {
            let own = &self.chunks[chunk];
            own.kind == kind && own.like == Some(like) && !taken.contains(&(chunk, offset))
        });
        let chunk =
            found.unwrap_or_else(|| self.new_chunk(kind, self.chunks[like].group, Some(like)));
        taken.insert((chunk, offset));
        chunk
    }

    fn append(&mut self, kind: StateKind, group: u8, bytes: u64, max_binding: u64) -> (usize, u64) {
        let last = self
            .chunks
            .iter()
            .rposition(|c| c.kind == kind && c.group == group && c.like.is_none());
        if let Some(chunk) = last {
            let offset = self.chunks[chunk].bytes.next_multiple_of(ALIGN);
            if offset + bytes <= max_binding {
                return (chunk, offset);
            }
        }
        (self.new_chunk(kind, group, None), 0)
    }

    fn new_chunk(&mut self, kind: StateKind, group: u8, like: Option<usize>) -> usize {
        self.chunks.push(Chunk {
            kind,
            group,
            like,
            bytes: 0,
        });
        self.chunks.len() - 1
    }
}
