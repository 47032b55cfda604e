//! Where modules are built: a graph, the name of the layer at hand, and what the graph is for.

use std::fmt::{self, Debug};
use std::ops::Range;

use super::{Mode, Module};
use crate::error::{Error, Result};
use crate::graph::{Graph, Init, Origin, StateKind, Value};
use crate::shape::{Shape, Type};

/// The context in which [modules](Module) are built.
///
/// It names layers: [`layer`](Self::layer) builds a child under the name of its parent, and
/// parameters are called after the layer that declares them (`layer1.0.conv1.weight`). It keeps the
/// output of every layer by that name, so that any can be looked at ([`find`](Self::find)), and
/// [further outputs](Self::output) of a network, such as auxiliary heads.
///
/// ```
/// use striate::nn::{Build, Conv2d, Flatten, Linear, Module, Relu, Sequential};
/// use striate::prelude::*;
///
/// # fn main() -> Result<()> {
/// let net = Sequential::new()
///     .named("conv", Conv2d::new(1, 4, 3))
///     .then(Relu)
///     .then(Flatten)
///     .named("fc", Linear::new(4 * 26 * 26, 10));
/// let mut g = Graph::new();
/// let images = g.input("images", Type::f32([2, 1, 28, 28]))?;
/// let mut cx = Build::train(&mut g).freeze("conv");
/// let logits = net.build(&mut cx, images)?;
/// let maps = cx.find("conv").unwrap();
/// assert_eq!(g.shape(maps)?[..], [2, 4, 26, 26]);
/// // Only the head is trained.
/// assert_eq!(striate::train::parameters(&g).len(), 2);
/// # Ok(())
/// # }
/// ```
pub struct Build<'g> {
    graph: &'g mut Graph,
    mode: Mode,
    scope: String,
    chosen: Vec<Box<Chosen>>,
    patterns: Vec<String>,
    layers: Vec<(String, Value, Range<usize>)>,
    outputs: Vec<Output>,
}

/// A further output of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// The value.
    pub value: Value,
    /// How much of its loss is added to that of the network's own output; 0 unless it is an
    /// auxiliary classifier.
    pub weight: f32,
}

/// Whether the layer of a name is meant.
type Chosen = dyn Fn(&str) -> bool;

impl<'g> Build<'g> {
    /// For this use of the graph, outside of all layers.
    pub fn new(graph: &'g mut Graph, mode: Mode) -> Self {
        Self {
            graph,
            mode,
            scope: String::new(),
            chosen: Vec::new(),
            patterns: Vec::new(),
            layers: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// For training.
    pub fn train(graph: &'g mut Graph) -> Self {
        Self::new(graph, Mode::Train)
    }

    /// For evaluation.
    pub fn eval(graph: &'g mut Graph) -> Self {
        Self::new(graph, Mode::Eval)
    }

    /// Freezes the layers whose full names are chosen, and those inside them: their parameters are
    /// not trained ([`Graph::freeze`]), and they are built for evaluation, whatever the others are
    /// built for.
    pub fn freeze_where(mut self, chosen: impl Fn(&str) -> bool + 'static) -> Self {
        self.chosen.push(Box::new(chosen));
        self
    }

    /// Freezes the layers whose full names match a pattern, and those inside them. `*` stands for
    /// any text: `features` freezes `features.0.conv` too, `layer*` all four stages of a residual
    /// network, `*.bn1` one normalisation in each of its blocks. Whether there are such layers is
    /// known once the network is built ([`expect_frozen`](Self::expect_frozen)).
    pub fn freeze(mut self, pattern: &str) -> Self {
        self.patterns.push(pattern.to_owned());
        self
    }

    /// Checks that each pattern that was [frozen](Self::freeze) matches a layer that was built.
    ///
    /// # Errors
    /// `Graph`, with the pattern and the names of the outermost layers.
    pub fn expect_frozen(&self) -> Result<()> {
        let built = |pattern: &&String| {
            let mut layers = self.layers.iter();
            !layers.any(|(name, ..)| covers(pattern, name))
        };
        let Some(pattern) = self.patterns.iter().find(built) else {
            return Ok(());
        };
        let mut known: Vec<&str> = Vec::new();
        for (name, ..) in &self.layers {
            let outer = name.split('.').next().unwrap_or_default();
            let numbered = outer.bytes().all(|byte| byte.is_ascii_digit());
            if !numbered && !known.contains(&outer) {
                known.push(outer);
            }
        }
        Err(Error::graph(format!(
            "freeze \"{pattern}\": no layer is called so; there are {}",
            known.join(", ")
        )))
    }

    /// The graph.
    pub fn graph(&mut self) -> &mut Graph {
        self.graph
    }

    /// What the layer at hand is built for: evaluation if it is frozen.
    pub fn mode(&self) -> Mode {
        match self.is_frozen() {
            true => Mode::Eval,
            false => self.mode,
        }
    }

    /// Whether the layer at hand is frozen.
    pub fn is_frozen(&self) -> bool {
        around(&self.scope).any(|layer| {
            self.chosen.iter().any(|chosen| chosen(layer))
                || self.patterns.iter().any(|pattern| matches(pattern, layer))
        })
    }

    /// The name of the layer at hand; empty outside of all layers.
    pub fn name(&self) -> &str {
        &self.scope
    }

    /// `name` below the layer at hand: `layer.name`.
    pub fn join(&self, name: &str) -> String {
        match (self.scope.as_str(), name) {
            ("", name) => name.to_owned(),
            (scope, "") => scope.to_owned(),
            (scope, name) => format!("{scope}.{name}"),
        }
    }

    /// Builds a layer below the one at hand, and keeps its output by its full name.
    ///
    /// # Errors
    /// Those of the module, with the full name in front.
    pub fn layer(
        &mut self,
        name: &str,
        module: &(impl Module + ?Sized),
        x: Value,
    ) -> Result<Value> {
        let inner = self.join(name);
        let outer = std::mem::replace(&mut self.scope, inner);
        let before = self.graph.nodes().len();
        let built = match self.scope.is_empty() {
            true => module.build(self, x),
            false => self.within("module", |cx| module.build(cx, x)),
        };
        let inner = std::mem::replace(&mut self.scope, outer);
        let y = built?;
        self.layers
            .push((inner, y, before..self.graph.nodes().len()));
        Ok(y)
    }

    /// What `build` makes, or its error with the name of the layer at hand in front; with `kind` if
    /// it has no name. An error that names the layer already, or one inside it, stays as it is.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn within<T>(
        &mut self,
        kind: impl fmt::Display,
        build: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        build(self).map_err(|error| {
            let layer = match self.scope.as_str() {
                "" => kind.to_string(),
                name => name.to_owned(),
            };
            let message = error.to_string();
            match message.strip_prefix(&layer) {
                Some(rest) if rest.starts_with([':', '.']) => error,
                _ => error.context(layer),
            }
        })
    }

    /// The parameter `name` of the layer at hand: a new one, or the one that the graph has.
    ///
    /// # Errors
    /// `Graph` if the graph has a state of this name that is no parameter of this shape.
    pub fn parameter(&mut self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Value> {
        let parameter = self.state(name, shape, StateKind::Parameter, init)?;
        if self.is_frozen() {
            self.graph.freeze(parameter)?;
        }
        Ok(parameter)
    }

    /// The `f32` state `name` of the layer at hand, of this kind: a new one, or the one that the
    /// graph has.
    ///
    /// # Errors
    /// `Graph` if the graph has a state of this name that is of another kind or shape.
    pub fn state(
        &mut self,
        name: &str,
        shape: impl Into<Shape>,
        kind: StateKind,
        init: Init,
    ) -> Result<Value> {
        let (name, ty) = (self.join(name), Type::f32(shape));
        let g = &mut *self.graph;
        let Some(value) = g.find_state(&name) else {
            return g.state(&name, ty, kind, init, None);
        };
        if let Origin::State(index) = *g.source(value)? {
            let state = &g.states()[index];
            if state.kind != kind || state.ty != ty {
                let what = format!("{kind:?}").to_lowercase();
                return Err(Error::graph(format!(
                    "{what} \"{name}\" {ty}: the graph has a {:?} of this name, {}",
                    state.kind, state.ty
                )));
            }
        }
        Ok(value)
    }

    /// Registers a further output of the network under a name.
    pub fn output(&mut self, name: &str, value: Value) {
        self.auxiliary(name, value, 0.0);
    }

    /// Registers the logits of an auxiliary classifier under a name: so much of their loss is added
    /// to that of the network's own.
    pub fn auxiliary(&mut self, name: &str, value: Value, weight: f32) {
        self.outputs.push(Output {
            name: name.to_owned(),
            value,
            weight,
        });
    }

    /// The further outputs, in the order in which they were registered.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The output of the layer of this full name; of one that was built more than once, the last.
    pub fn find(&self, layer: &str) -> Option<Value> {
        let found = self.layers.iter().rev().find(|(name, ..)| name == layer);
        found.map(|&(_, value, _)| value)
    }

    /// Every layer's full name and output, inner layers before those around them.
    pub fn layers(&self) -> impl Iterator<Item = (&str, Value)> {
        self.layers
            .iter()
            .map(|(name, value, _)| (name.as_str(), *value))
    }

    /// The same, each with the nodes of the graph that it added.
    pub(crate) fn into_layers(self) -> Vec<(String, Value, Range<usize>)> {
        self.layers
    }
}

/// The full names of the layers around one, and its own.
fn around(name: &str) -> impl Iterator<Item = &str> {
    let ends = name.match_indices('.').map(|(end, _)| end);
    ends.chain([name.len()]).map(move |end| &name[..end])
}

/// Whether a pattern matches a layer's name, or that of a layer around it.
fn covers(pattern: &str, name: &str) -> bool {
    around(name).any(|layer| matches(pattern, layer))
}

/// Whether a pattern, in which `*` stands for any text, matches all of a name.
fn matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(last) = pieces.next_back() else {
        return pattern == name;
    };
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    // Each piece as early as it can be: what is left for the others is longest then.
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

impl Debug for Build<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Build")
            .field("name", &self.scope)
            .field("mode", &self.mode)
            .field("frozen", &self.is_frozen())
            .field("layers", &self.layers)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

/// A module that is a function.
///
/// ```
/// use striate::nn::{Build, Linear, Module, from_fn};
/// use striate::prelude::*;
///
/// # fn main() -> Result<()> {
/// // y = x + fc(x)
/// let residual = from_fn(|cx, x| {
///     let y = cx.layer("fc", &Linear::new(8, 8), x)?;
///     cx.graph().add(x, y)
/// });
/// let mut g = Graph::new();
/// let x = g.input("x", Type::f32([2, 8]))?;
/// let y = residual.build(&mut Build::eval(&mut g), x)?;
/// assert_eq!(g.shape(y)?[..], [2, 8]);
/// # Ok(())
/// # }
/// ```
pub fn from_fn<F>(build: F) -> FromFn<F>
where
    F: Fn(&mut Build, Value) -> Result<Value>,
{
    FromFn(build)
}

/// What [`from_fn`] makes.
#[derive(Clone, Copy)]
pub struct FromFn<F>(F);

impl<F> Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromFn")
    }
}

impl<F> Module for FromFn<F>
where
    F: Fn(&mut Build, Value) -> Result<Value>,
{
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        (self.0)(cx, x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_layers_and_what_is_inside() {
        for (pattern, name) in [
            ("features", "features"),
            ("features", "features.0.conv"),
            ("features.0", "features.0.conv"),
            ("layer*", "layer3.1.conv2"),
            ("*.bn1", "layer1.0.bn1"),
            ("*", "fc"),
            ("l*r*.1", "layer2.1.conv1"),
        ] {
            assert!(covers(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("features", "features2.0"),
            ("features.0", "features.01"),
            ("layer1", "layer10.0"),
            ("bn1", "layer1.0.bn1"),
            ("*.bn1", "bn1"),
            ("", "fc"),
        ] {
            assert!(!covers(pattern, name), "{pattern} {name}");
        }
    }
}
