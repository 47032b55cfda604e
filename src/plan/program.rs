//! The nodes that a session runs: those that are needed, fused, in order.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Origin, StateKind, Value};
use crate::kernel::parts_of;
use crate::shape::Type;

/// Where the content of a value comes from, once the graph is cut down to what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueOrigin {
    Input,
    Constant,
    State(usize),
    Node,
}

/// A cut of a graph that can be rewritten: values keep their indices but belong to no graph, new
/// ones are appended.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub nodes: Vec<Node>,
    /// The graph's own values, by their indices.
    pub of_graph: Vec<Value>,
    pub types: Vec<Type>,
    pub origins: Vec<ValueOrigin>,
    /// Values that must be readable after a step.
    pub fetched: Vec<Value>,
    /// Assignments (state index, value), in order.
    pub assigns: Vec<(usize, Value)>,
    /// The value that reads each state.
    pub states: Vec<Value>,
    /// Which states are gradients that are kept, and made anew in each step.
    pub gradients: Vec<bool>,
    /// The host's textures: those that nodes read, and those that they write.
    pub textures: HashSet<Value>,
    /// Values that the host binds buffers for.
    pub hosted: HashSet<Value>,
    /// Of a staged program, the node from which on states are written.
    pub commit: Option<usize>,
    /// Views that are copied all the same: they show a state from before the step and are read
    /// after it, or are cut into other parts.
    copied: HashSet<Value>,
}

impl Program {
    /// The part of `graph` that `fetched`, its assignments and the textures that it writes need;
    /// the host binds buffers for the values of `hosted`.
    pub fn new(graph: &Graph, fetched: &[Value], hosted: &[Value]) -> Result<Self> {
        let mut types = Vec::with_capacity(graph.value_count());
        let mut origins = Vec::with_capacity(graph.value_count());
        for value in graph.values() {
            types.push(graph.ty(value)?.clone());
            origins.push(match graph.source(value)? {
                Origin::Input(_) => ValueOrigin::Input,
                Origin::Constant(_) => ValueOrigin::Constant,
                Origin::State(index) => ValueOrigin::State(*index),
                Origin::Node { .. } => ValueOrigin::Node,
            });
        }
        for &value in fetched {
            graph.operand("plan", value)?;
        }
        let own = |value: &Value| Value::from_index(value.index());
        let mut assigns = Vec::new();
        for (state, value) in graph.assigns() {
            if let Origin::State(index) = graph.source(*state)? {
                assigns.push((*index, own(value)));
            }
        }
        let node = |node: &Node| Node {
            op: node.op.clone(),
            inputs: node.inputs.iter().map(own).collect(),
            outputs: node.outputs.iter().map(own).collect(),
        };
        let textures = graph.textures();
        let written = textures.iter().filter(|texture| texture.format.is_some());
        let written: Vec<Value> = written.map(|texture| own(&texture.value)).collect();
        let fetched = fetched.iter().map(own);
        let of_node = |value: &&Value| origins[value.index()] == ValueOrigin::Node;
        let made: Vec<Value> = hosted.iter().filter(of_node).map(own).collect();
        let mut program = Self {
            nodes: graph.nodes().iter().map(node).collect(),
            of_graph: graph.values().collect(),
            types,
            origins,
            fetched: fetched.chain(written).chain(made).collect(),
            assigns,
            states: graph.states().iter().map(|s| own(&s.value)).collect(),
            gradients: graph
                .states()
                .iter()
                .map(|s| s.kind == StateKind::Gradient)
                .collect(),
            textures: textures.iter().map(|texture| own(&texture.value)).collect(),
            hosted: hosted.iter().map(own).collect(),
            commit: None,
            copied: HashSet::new(),
        };
        program.drop_unused();
        program.leave_out_sums();
        program.expect_named_textures()?;
        program.keep_old_states();
        program.copy_hosted_views();
        Ok(program)
    }

    /// Sums that go on with gradients of earlier steps last as other states do.
    fn leave_out_sums(&mut self) {
        let roots = self.roots();
        let inputs = self.nodes.iter().flat_map(|node| &node.inputs);
        let read: HashSet<Value> = inputs.map(|v| roots[v.index()]).collect();
        for (state, gradient) in self.states.iter().zip(&mut self.gradients) {
            *gradient &= !read.contains(state);
        }
    }

    /// Fails if a node writes a texture that the graph does not name.
    fn expect_named_textures(&self) -> Result<()> {
        let unnamed = |node: &&Node| {
            node.op.texture_format().is_some() && !self.textures.contains(&node.outputs[0])
        };
        match self.nodes.iter().find(unnamed) {
            None => Ok(()),
            Some(node) => Err(Error::graph(format!(
                "{}: it writes a texture without a name; Graph::texture_output gives it one",
                node.op.name()
            ))),
        }
    }

    /// Whether the node's output is its input's bytes.
    pub fn is_view(&self, node: &Node) -> bool {
        node.op.view() && !self.copied.contains(&node.outputs[0])
    }

    /// Follows views to the value whose bytes they are.
    pub fn roots(&self) -> Vec<Value> {
        let mut roots: Vec<Value> = (0..self.types.len()).map(Value::from_index).collect();
        for node in self.nodes.iter().filter(|n| self.is_view(n)) {
            roots[node.outputs[0].index()] = roots[node.inputs[0].index()];
        }
        roots
    }

    /// Which values are read, fetched or assigned, themselves or through a view.
    pub fn used(&self) -> Vec<bool> {
        self.use_counts().iter().map(|&uses| uses > 0).collect()
    }

    /// Fetched views of states that the step overwrites become copies.
    fn keep_old_states(&mut self) {
        let roots = self.roots();
        let states = self.assigns.iter().map(|&(state, _)| self.states[state]);
        let assigned: HashSet<Value> = states.collect();
        let old = |value: &&Value| {
            let root = roots[value.index()];
            **value != root && assigned.contains(&root)
        };
        self.copied = self.fetched.iter().filter(old).copied().collect();
    }

    /// For each value whose bytes lie in a buffer of the host's, the value that the host binds.
    pub fn hosts(&self, roots: &[Value]) -> Vec<Option<Value>> {
        let mut hosts = vec![None; self.types.len()];
        let mut hosted: Vec<Value> = self.hosted.iter().copied().collect();
        hosted.sort_unstable();
        for value in hosted {
            let host = &mut hosts[roots[value.index()].index()];
            *host = host.or(Some(value));
        }
        hosts
    }

    /// Outputs that the host binds and that show an input, a state, a constant or what another
    /// such output shows become copies.
    fn copy_hosted_views(&mut self) {
        let roots = self.roots();
        let hosts = self.hosts(&roots);
        let own_bytes = |value: &&Value| {
            let root = roots[value.index()];
            let made = self.origins[root.index()] == ValueOrigin::Node;
            **value == root || made && hosts[root.index()] == Some(**value)
        };
        let views = self.hosted.iter().filter(|value| !own_bytes(value));
        let views: Vec<Value> = views.copied().collect();
        self.copied.extend(views);
    }

    /// Views whose parts are not those of what they show become copies.
    pub fn copy_views_cut_otherwise(&mut self, max_binding: u64) {
        let mut roots: Vec<Value> = (0..self.types.len()).map(Value::from_index).collect();
        for node in &self.nodes {
            if !self.is_view(node) {
                continue;
            }
            let (root, view) = (roots[node.inputs[0].index()], node.outputs[0]);
            let (from, to) = (&self.types[root.index()], &self.types[view.index()]);
            if cut_alike(from, to, max_binding) {
                roots[view.index()] = root;
            } else {
                self.copied.insert(view);
            }
        }
    }

    /// Removes nodes whose outputs nobody needs.
    pub fn drop_unused(&mut self) {
        let mut needed = vec![false; self.types.len()];
        let kept = self
            .fetched
            .iter()
            .chain(self.assigns.iter().map(|(_, v)| v));
        for value in kept {
            needed[value.index()] = true;
        }
        let mut nodes = std::mem::take(&mut self.nodes);
        nodes.reverse();
        nodes.retain(|node| {
            let keep = node.outputs.iter().any(|v| needed[v.index()]);
            if keep {
                for input in &node.inputs {
                    needed[input.index()] = true;
                }
            }
            keep
        });
        nodes.reverse();
        self.nodes = nodes;
    }

    /// A new value of this type, to be made by a node.
    pub fn new_value(&mut self, ty: Type) -> Value {
        self.types.push(ty);
        self.origins.push(ValueOrigin::Node);
        Value::from_index(self.types.len() - 1)
    }

    /// How often each value is read by nodes, fetched or assigned.
    pub fn use_counts(&self) -> Vec<usize> {
        let mut uses = vec![0; self.types.len()];
        let reads = self.nodes.iter().flat_map(|n| &n.inputs);
        let kept = self
            .fetched
            .iter()
            .chain(self.assigns.iter().map(|(_, v)| v));
        for value in reads.chain(kept) {
            uses[value.index()] += 1;
        }
        uses
    }

    /// Index of the node that makes each value.
    pub fn producers(&self) -> Vec<Option<usize>> {
        let mut producers = vec![None; self.types.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for output in &node.outputs {
                producers[output.index()] = Some(index);
            }
        }
        producers
    }
}

/// Whether the parts of two types hold the same bytes.
pub(super) fn cut_alike(a: &Type, b: &Type, max_binding: u64) -> bool {
    let cuts = |ty: &Type| -> Option<Vec<usize>> {
        let parts = parts_of(ty, max_binding).ok()?;
        Some(parts.iter().map(|p| p.rows * ty.row()).collect())
    };
    a.dtype == b.dtype && cuts(a).is_some() && cuts(a) == cuts(b)
}
