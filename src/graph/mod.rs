//! The static graph: typed values, the ops that make them, named state, and assignments.

mod display;
mod op;
mod states;
mod textures;
mod value;

pub use op::{EvalSplit, Op};
pub use textures::Texture;
pub use value::Value;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::shape::{DType, Shape, Type};
use crate::tensor::Tensor;
use value::Identity;

/// An op at its place in a graph.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it computes.
    pub op: Arc<dyn Op>,
    /// What it reads.
    pub inputs: Vec<Value>,
    /// What it makes.
    pub outputs: Vec<Value>,
}

/// Where a value comes from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// Written by the host before a run.
    Input(String),
    /// The state of this index in [`Graph::states`], as it was before the step.
    State(usize),
    /// Fixed when the graph was built.
    Constant(Arc<Tensor>),
    /// Output `output` of node `node`.
    Node {
        /// Index in [`Graph::nodes`].
        node: usize,
        /// Which of its outputs.
        output: usize,
    },
}

/// What a state is for. Entries of one kind are packed together in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StateKind {
    /// Trained weights and biases.
    Parameter,
    /// Gradients that are kept, each at its parameter's offset.
    Gradient,
    /// Optimizer moment of the given number, each at its parameter's offset.
    Moment(u8),
    /// Moving averages of parameters, each at its parameter's offset.
    Average,
    /// Running statistics of normalisation.
    Statistic,
    /// Step scalars: learning rate, clock. Bound as uniforms.
    Scalar,
    /// Counters of loss and accuracy.
    Metric,
    /// Data sets and tables.
    Data,
}

/// How a state begins.
#[derive(Debug, Clone)]
pub enum Init {
    /// All elements this number (`f32`) or its integer part (`u32`).
    Constant(f32),
    /// Uniform in [-bound, bound), from Philox keyed by the seed and the state's name.
    Uniform {
        /// Half the width of the interval.
        bound: f32,
    },
    /// Normal with mean 0, from Philox keyed by the seed and the state's name.
    Normal {
        /// Standard deviation.
        std: f32,
    },
    /// These elements.
    Tensor(Arc<Tensor>),
    /// The elements that the state of this name begins with, drawn or given: an average before the
    /// first step.
    SameAs(String),
    /// The store's seed in the first two words (low, high), 0 in the others: a clock.
    Seed,
}

/// A named value that outlives the step and is kept in a store.
#[derive(Debug, Clone)]
pub struct State {
    /// Unique in the graph; checkpoints use it.
    pub name: String,
    /// Shape and element type.
    pub ty: Type,
    /// What it is for.
    pub kind: StateKind,
    /// How it begins.
    pub init: Init,
    /// The parameter at whose offset it is stored, for gradients and moments.
    pub like: Option<usize>,
    /// States of one kind and group are packed together (see [`Graph::set_group`]).
    pub group: u8,
    /// Whether optimizers leave it as it is (see [`Graph::freeze`]).
    pub frozen: bool,
    /// The value that reads it.
    pub value: Value,
}

#[derive(Debug, Clone)]
struct Definition {
    ty: Type,
    source: Origin,
}

/// A static graph of ops over typed values.
///
/// Values made before a `clone` belong to both graphs, later ones to the graph that made them.
#[derive(Debug)]
pub struct Graph {
    identity: Identity,
    nodes: Vec<Node>,
    values: Vec<Definition>,
    states: Vec<State>,
    assigns: Vec<(Value, Value)>,
    textures: Vec<Texture>,
    streams: u32,
    clock: Option<Value>,
}

impl Default for Graph {
    fn default() -> Self {
        Self {
            identity: Identity::new(),
            nodes: Vec::new(),
            values: Vec::new(),
            states: Vec::new(),
            assigns: Vec::new(),
            textures: Vec::new(),
            streams: 0,
            clock: None,
        }
    }
}

impl Clone for Graph {
    fn clone(&self) -> Self {
        Self {
            identity: self.identity.cloned(self.values.len()),
            nodes: self.nodes.clone(),
            values: self.values.clone(),
            states: self.states.clone(),
            assigns: self.assigns.clone(),
            textures: self.textures.clone(),
            streams: self.streams,
            clock: self.clock,
        }
    }
}

/// Fails unless an op that calls itself a view shows its input under another shape, and makes
/// nothing else.
fn check_view(op: &str, inputs: &[&Type], outputs: &[Type]) -> Result<()> {
    let alike = |x: &Type, y: &Type| x.dtype == y.dtype && x.count() == y.count();
    match (inputs, outputs) {
        ([x, ..], [y]) if alike(x, y) => Ok(()),
        _ => Err(Error::graph(format!(
            "{op}: a view makes one output of the elements of input 0, not {outputs:?} of \
             {inputs:?}"
        ))),
    }
}

/// # Inputs, states, ops, assignments
impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    fn define(&mut self, ty: Type, source: Origin) -> Result<Value> {
        ty.check()?;
        let value = self.identity.value(self.values.len());
        self.values.push(Definition { ty, source });
        Ok(value)
    }

    fn definition(&self, value: Value) -> Result<&Definition> {
        let definition = self.values.get(value.index());
        if let Some(definition) = definition.filter(|_| self.identity.holds(value)) {
            return Ok(definition);
        }
        let why = match self.identity.descends_from(value) {
            true => ", made after this one was cloned from it",
            false => "",
        };
        Err(Error::graph(format!(
            "{value} is a value of another graph{why}"
        )))
    }

    /// A value that the host writes before it runs a session.
    pub fn input(&mut self, name: &str, ty: Type) -> Result<Value> {
        self.expect_free(name)?;
        self.define(ty, Origin::Input(name.to_owned()))
    }

    /// A value that never changes.
    pub fn constant(&mut self, tensor: Tensor) -> Result<Value> {
        self.define(tensor.ty().clone(), Origin::Constant(Arc::new(tensor)))
    }

    /// A number that no other random op of this graph has.
    pub fn new_stream(&mut self) -> u32 {
        self.streams += 1;
        self.streams
    }

    /// Appends an op; its type rule runs here.
    pub fn apply(&mut self, op: impl Op, inputs: &[Value]) -> Result<Vec<Value>> {
        self.apply_shared(Arc::new(op), inputs)
    }

    /// Appends an op that is shared with another node.
    pub fn apply_shared(&mut self, op: Arc<dyn Op>, inputs: &[Value]) -> Result<Vec<Value>> {
        let types = inputs
            .iter()
            .map(|&v| self.operand(op.name(), v))
            .collect::<Result<Vec<_>>>()?;
        self.check_textures(op.as_ref(), inputs)?;
        let outputs = op.infer(&types)?;
        for ty in &outputs {
            ty.check().map_err(|e| e.context(op.name()))?;
        }
        if op.view() {
            check_view(op.name(), &types, &outputs)?;
        }
        let node = self.nodes.len();
        let outputs = outputs
            .into_iter()
            .enumerate()
            .map(|(output, ty)| self.define(ty, Origin::Node { node, output }))
            .collect::<Result<Vec<_>>>()?;
        self.nodes.push(Node {
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
        });
        Ok(outputs)
    }

    /// Appends an op with one output.
    pub fn apply1(&mut self, op: impl Op, inputs: &[Value]) -> Result<Value> {
        let name = op.name();
        let made = self.apply(op, inputs)?;
        let first = made.first().copied();
        first.ok_or_else(|| Error::graph(format!("{name}: no outputs, one is needed")))
    }

    /// Writes `value` into `state` at the end of every step. Reads within the step see the value
    /// from before it.
    pub fn assign(&mut self, state: Value, value: Value) -> Result<()> {
        self.operand("assign", state)?;
        let Origin::State(index) = self.definition(state)?.source else {
            return Err(Error::graph(format!(
                "assign: {} is not a state",
                self.describe(state)
            )));
        };
        let name = &self.states[index].name;
        let ty = self.operand("assign", value)?;
        if ty != &self.states[index].ty {
            return Err(Error::shape(format!(
                "assign: state \"{name}\" is {}, {} is {ty}",
                self.states[index].ty,
                self.describe(value)
            )));
        }
        if let Some(texture) = self.texture_of(value) {
            return Err(Error::graph(format!(
                "assign: state \"{name}\" cannot hold the texture \"{}\"",
                texture.name
            )));
        }
        if self.assigned(state).is_some() {
            return Err(Error::graph(format!(
                "assign: state \"{name}\" is assigned twice"
            )));
        }
        self.assigns.push((state, value));
        Ok(())
    }

    /// The value that is written into `state` at the end of every step, if one is.
    pub fn assigned(&self, state: Value) -> Option<Value> {
        let mut assigns = self.assigns.iter();
        assigns.find(|(s, _)| *s == state).map(|&(_, value)| value)
    }

    /// Takes the assignment to `state` back, so that another can follow: for a value made from the
    /// one that it gives.
    pub fn unassign(&mut self, state: Value) -> Option<Value> {
        let at = self.assigns.iter().position(|&(s, _)| s == state)?;
        Some(self.assigns.remove(at).1)
    }

    /// Type of a value.
    pub fn ty(&self, value: Value) -> Result<&Type> {
        Ok(&self.definition(value)?.ty)
    }

    /// Type of an operand of `op`, whose builder looks at it before it adds the op.
    ///
    /// # Errors
    /// `Graph`, naming `op`, if the value is another graph's.
    pub fn operand(&self, op: &str, value: Value) -> Result<&Type> {
        self.ty(value).map_err(|e| e.context(op))
    }

    /// Extents of a value.
    pub fn shape(&self, value: Value) -> Result<&Shape> {
        Ok(&self.ty(value)?.shape)
    }

    /// Element type of a value.
    pub fn dtype(&self, value: Value) -> Result<DType> {
        Ok(self.ty(value)?.dtype)
    }

    /// What a message calls a value: the name of an input or a state, or its number and the op that
    /// makes it, as in `parameter "conv1.weight"` and `%36 (of conv2d)`.
    pub fn describe(&self, value: Value) -> String {
        let Ok(definition) = self.definition(value) else {
            return format!("{value} (of another graph)");
        };
        match &definition.source {
            Origin::Input(name) => format!("input \"{name}\""),
            Origin::State(index) => {
                let State { name, kind, .. } = &self.states[*index];
                match kind {
                    StateKind::Parameter => format!("parameter \"{name}\""),
                    _ => format!("state \"{name}\""),
                }
            }
            Origin::Constant(_) => format!("{value} (a constant)"),
            Origin::Node { node, output } => {
                let Node { op, outputs, .. } = &self.nodes[*node];
                match outputs.len() {
                    1 => format!("{value} (of {})", op.name()),
                    _ => format!("{value} (output {output} of {})", op.name()),
                }
            }
        }
    }

    /// Where a value comes from.
    pub fn source(&self, value: Value) -> Result<&Origin> {
        Ok(&self.definition(value)?.source)
    }

    /// The node that makes a value, if one does.
    pub fn producer(&self, value: Value) -> Option<usize> {
        match self.definition(value).ok()?.source {
            Origin::Node { node, .. } => Some(node),
            _ => None,
        }
    }

    /// All nodes, in the order in which they were added: inputs come before users.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All states.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// All assignments as (state, value).
    pub fn assigns(&self) -> &[(Value, Value)] {
        &self.assigns
    }

    /// Number of values.
    pub fn value_count(&self) -> usize {
        self.values.len()
    }

    /// All values, in the order in which they were made.
    pub fn values(&self) -> impl Iterator<Item = Value> + use<> {
        let values: Vec<Value> = (0..self.values.len())
            .map(|index| self.identity.value(index))
            .collect();
        values.into_iter()
    }

    /// The input of this name.
    pub fn find_input(&self, name: &str) -> Option<Value> {
        self.values().find(
            |v| matches!(&self.values[v.index()].source, Origin::Input(other) if other == name),
        )
    }
}
