//! The graphs behind the views: the network in evaluation, and gradients of its logits.

use super::names;
use crate::autodiff::gradients;
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::nn::{Build, Module};
use crate::ops::InterpolateMode;
use crate::shape::{Shape, Type};

/// What is to be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sight {
    /// The output of a layer, of one picture.
    Layer(String),
    /// The logits of so many pictures.
    Scores(usize),
    /// The sum over so many pictures of the gradient of a weighted sum of their logits, and the
    /// logits.
    Gradients(usize),
    /// The weighted maps of a layer, of one picture: as they are, and as large as the picture.
    Cam {
        /// The layer.
        layer: String,
        /// Whether weights are those of Grad-CAM++.
        plus_plus: bool,
    },
}

/// A graph that shows something: what is written into it, what is read.
pub(super) struct Drawn {
    pub graph: Graph,
    pub inputs: Vec<Value>,
    pub outputs: Vec<Value>,
}

/// A layer of a network by its full name, and the shape of its output for one picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedLayer {
    /// Full name, as [`Build::layers`] has it.
    pub name: String,
    /// Shape of the output, 1 in front.
    pub shape: Shape,
}

impl NamedLayer {
    /// How many places its maps have; 0 if its output is no maps `[1, k, height, width]`.
    pub fn places(&self) -> usize {
        match self.shape[..] {
            [_, _, height, width] => height * width,
            _ => 0,
        }
    }
}

/// A network in evaluation: the pictures that are written, the layers by name, the logits.
pub(super) struct Network {
    pub graph: Graph,
    pub pictures: Value,
    pub layers: Vec<(String, Value)>,
    pub logits: Value,
}

impl Network {
    pub fn new(net: &dyn Module, [c, h, w]: [usize; 3], count: usize) -> Result<Self> {
        let mut graph = Graph::new();
        let pictures = graph.input("pictures", Type::f32([count, c, h, w]))?;
        Self::over(graph, pictures, pictures, net)
    }

    /// Of a graph that makes pictures.
    pub fn over(mut graph: Graph, from: Value, pictures: Value, net: &dyn Module) -> Result<Self> {
        let mut cx = Build::eval(&mut graph);
        let logits = net.build(&mut cx, pictures)?;
        let layers = cx.layers().map(|(name, value)| (name.to_owned(), value));
        let layers = layers.collect();
        Ok(Self {
            graph,
            pictures: from,
            layers,
            logits,
        })
    }

    /// The output of a layer; of one that was built more than once, the last.
    ///
    /// # Errors
    /// `Graph` with the name most like it, or with some names.
    pub fn layer(&self, name: &str) -> Result<Value> {
        let mut layers = self.layers.iter().rev();
        if let Some((_, value)) = layers.find(|(own, _)| own == name) {
            return Ok(*value);
        }
        let names = self.layers.iter().map(|(name, _)| name.as_str());
        Err(Error::graph(format!(
            "no layer is called \"{name}\"; {}",
            names::hint(name, names)
        )))
    }

    /// The sum of the logits times weights of their shape, and these weights.
    fn weighted_score(&mut self) -> Result<(Value, Value)> {
        let g = &mut self.graph;
        let weights = g.input("weights", g.ty(self.logits)?.clone())?;
        let weighted = g.mul(self.logits, weights)?;
        Ok((g.sum(weighted, &[0, 1], false)?, weights))
    }
}

/// The graph of a sight.
pub(super) fn draw(net: &dyn Module, input: [usize; 3], sight: &Sight) -> Result<Drawn> {
    match sight {
        Sight::Layer(name) => {
            let network = Network::new(net, input, 1)?;
            let outputs = vec![network.layer(name)?];
            Ok(Drawn {
                graph: network.graph,
                inputs: vec![network.pictures],
                outputs,
            })
        }
        Sight::Scores(count) => {
            let network = Network::new(net, input, *count)?;
            Ok(Drawn {
                graph: network.graph,
                inputs: vec![network.pictures],
                outputs: vec![network.logits],
            })
        }
        Sight::Gradients(count) => {
            let mut network = Network::new(net, input, *count)?;
            let (score, weights) = network.weighted_score()?;
            let pictures = network.pictures;
            let g = &mut network.graph;
            let dx = gradients(g, score, &[pictures])?[0];
            let sum = g.sum(dx, &[0], false)?;
            Ok(Drawn {
                inputs: vec![pictures, weights],
                outputs: vec![sum, network.logits],
                graph: network.graph,
            })
        }
        Sight::Cam { layer, plus_plus } => {
            let mut network = Network::new(net, input, 1)?;
            let maps = network.layer(layer)?;
            let (score, weights) = network.weighted_score()?;
            let g = &mut network.graph;
            let d_maps = gradients(g, score, &[maps]).map_err(|e| e.context(layer))?[0];
            let importance = match plus_plus {
                false => g.mean(d_maps, &[2, 3], true)?,
                true => positive_shares(g, maps, d_maps)?,
            };
            let weighted = g.mul(maps, importance)?;
            let cam = g.sum(weighted, &[1], true)?;
            let cam = g.relu(cam)?;
            let align_corners = false;
            let mode = InterpolateMode::Linear { align_corners };
            let large = g.interpolate(cam, &input[1..], mode)?;
            Ok(Drawn {
                inputs: vec![network.pictures, weights],
                outputs: vec![cam, large],
                graph: network.graph,
            })
        }
    }
}

/// Weight of each map `[1, k, 1, 1]` by Grad-CAM++, apart from a factor that all maps share.
///
/// Where the score is exp(S), with S piecewise linear, the derivatives of the paper's equation 19
/// are exp(S) times g, g^2 and g^3. Where g is positive, and others count nothing,
/// `a = g^2 / (2 g^2 + sum(A) g^3) = 1 / (2 + sum(A) g)`.
fn positive_shares(g: &mut Graph, maps: Value, d_maps: Value) -> Result<Value> {
    let positive = g.relu(d_maps)?;
    // The paper's maps come from a relu. Of others the positive part keeps the divisor above 2.
    let maps = g.relu(maps)?;
    let total = g.sum(maps, &[2, 3], true)?;
    let product = g.mul(positive, total)?;
    let two = g.fill([1, 1, 1, 1], 2.0)?;
    let divisor = g.add(product, two)?;
    let shares = g.div(positive, divisor)?;
    g.sum(shares, &[2, 3], true)
}
