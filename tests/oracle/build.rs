//! A call of PyTorch's as a piece of graph.

use std::collections::HashMap;

use striate::error::{Error, ErrorKind, Result};
use striate::graph::{Graph, Value};
use striate::shape::PaddingMode;

use crate::convs::{conv, conv_transpose};
use crate::pools::pool;
use crate::{
    Example, activations, choices, indices, joins, losses, networks, norms, reductions, resizes,
};

/// The inputs of a call, by name.
pub type Inputs = HashMap<String, Value>;

/// Builds the call; the outputs come in the order of `example.outputs`.
pub fn build(g: &mut Graph, example: &Example, inputs: &Inputs) -> Result<Vec<Value>> {
    let one = match (example.family.as_str(), example.op.as_bytes()) {
        ("convolution", [.., b'1', b'd']) => conv::<1>(g, example, inputs),
        ("convolution", [.., b'2', b'd']) => conv::<2>(g, example, inputs),
        ("convolution", _) => conv::<3>(g, example, inputs),
        ("transposed convolution", [.., b'1', b'd']) => conv_transpose::<1>(g, example, inputs),
        ("transposed convolution", [.., b'2', b'd']) => conv_transpose::<2>(g, example, inputs),
        ("transposed convolution", _) => conv_transpose::<3>(g, example, inputs),
        (family, op) if family.ends_with("pooling") => {
            return match op {
                [.., b'1', b'd'] => pool::<1>(g, example, inputs),
                [.., b'2', b'd'] => pool::<2>(g, example, inputs),
                _ => pool::<3>(g, example, inputs),
            };
        }
        (family, _) if family.ends_with("norm") => return norms::norm(g, example, inputs),
        ("activation" | "elementwise" | "softmax", _) => activations::call(g, example, inputs),
        ("product", _) => product(g, example, inputs),
        ("choice", _) => choices::choose(g, example, inputs),
        ("reduction", _) => return reductions::reduce(g, example, inputs),
        ("indexing", _) => return indices::index(g, example, inputs),
        ("joining", _) => return joins::join(g, example, inputs),
        ("resizing", _) => resizes::resize(g, example, inputs),
        ("loss", _) => losses::loss(g, example, inputs),
        ("network", _) => networks::network(g, example, inputs),
        _ => not_built(example),
    };
    Ok(vec![one?])
}

fn product(g: &mut Graph, example: &Example, inputs: &Inputs) -> Result<Value> {
    let x = inputs["input"];
    if example.op == "linear" {
        return g.linear(x, inputs["weight"], inputs.get("bias").copied());
    }
    match example.op.as_str() {
        "gram_matrix" => return g.gram_matrix(x),
        "addmm" => {
            let [beta, alpha] = ["beta", "alpha"].map(|name| example.options.number(name) as f32);
            return g.addmm(x, inputs["a"], inputs["b"], beta, alpha);
        }
        _ => {}
    }
    let [a, b] = example.options.flags("transpose");
    g.matmul(x, inputs["other"], a, b)
}

/// What the calls that nothing here builds return.
pub fn not_built<T>(example: &Example) -> Result<T> {
    let message = format!("{} is not built here", example.op);
    Err(Error::new(ErrorKind::Graph, message))
}

/// The padding mode of PyTorch's name.
pub fn padding_mode(name: &str) -> PaddingMode {
    match name {
        "reflect" => PaddingMode::Reflect,
        "replicate" => PaddingMode::Replicate,
        "circular" => PaddingMode::Circular,
        _ => PaddingMode::Zeros,
    }
}
