//! Values, and which graph each belongs to.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of the next graph; 0 is no graph's.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A value of a [`Graph`](super::Graph): an edge.
///
/// It belongs to the graph that made it and to the clones that were made of that graph later. Every
/// other graph refuses it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value {
    graph: u64,
    index: u32,
}

impl Value {
    pub(crate) fn index(self) -> usize {
        self.index as usize
    }

    /// A value of a program, which belongs to no graph and which every graph refuses.
    pub(crate) fn from_index(index: usize) -> Self {
        Value {
            graph: 0,
            index: index as u32,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.index)
    }
}

/// As [`Display`](fmt::Display): numbers of graphs differ from run to run.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The number of a graph, and those of the graphs whose values it took over when it was cloned.
#[derive(Debug)]
pub(super) struct Identity {
    own: u64,
    /// Graphs with the end of the run of values that each made, oldest first. What follows is its
    /// own.
    inherited: Vec<(u64, u32)>,
}

impl Identity {
    pub fn new() -> Self {
        Self {
            own: NEXT.fetch_add(1, Ordering::Relaxed),
            inherited: Vec::new(),
        }
    }

    /// Of a clone, made while the graph has `count` values.
    pub fn cloned(&self, count: usize) -> Self {
        let mut clone = Self::new();
        clone.inherited.clone_from(&self.inherited);
        let known = clone.inherited.last().map_or(0, |&(_, end)| end as usize);
        if known < count {
            clone.inherited.push((self.own, count as u32));
        }
        clone
    }

    /// The value of this index.
    pub fn value(&self, index: usize) -> Value {
        let run = self
            .inherited
            .partition_point(|&(_, end)| end as usize <= index);
        let graph = self
            .inherited
            .get(run)
            .map_or(self.own, |&(graph, _)| graph);
        Value {
            graph,
            index: index as u32,
        }
    }

    /// Whether `value` belongs to the graph, which has more values than its index says.
    pub fn holds(&self, value: Value) -> bool {
        self.value(value.index()) == value
    }

    /// Whether `value` is of a graph of which this one is a clone.
    pub fn descends_from(&self, value: Value) -> bool {
        self.inherited
            .iter()
            .any(|&(graph, _)| graph == value.graph)
    }
}
