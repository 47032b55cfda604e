//! What is made of some axes.

use striate::error::Result;
use striate::graph::{Graph, Value};

use crate::Example;
use crate::build::{Inputs, not_built};

/// The outputs of a reduction.
pub fn reduce(g: &mut Graph, example: &Example, inputs: &Inputs) -> Result<Vec<Value>> {
    let options = &example.options;
    let x = inputs["input"];
    if example.op == "cumsum" {
        return Ok(vec![g.cumsum(x, options.dim())?]);
    }
    let keep = options.flag("keepdim");
    let two = |(y, indices)| vec![y, indices];
    let one = match example.op.as_str() {
        "max" => return g.max(x, options.dim(), keep).map(two),
        "min" => return g.min(x, options.dim(), keep).map(two),
        "sum" => g.sum(x, &options.dims("dim"), keep),
        "mean" => g.mean(x, &options.dims("dim"), keep),
        // PyTorch's takes one axis.
        "prod" => g.prod(x, &[options.dim()], keep),
        "amax" => g.amax(x, &options.dims("dim"), keep),
        "amin" => g.amin(x, &options.dims("dim"), keep),
        "var" => g.var(x, &options.dims("dim"), options.whole("correction"), keep),
        "std" => g.std(x, &options.dims("dim"), options.whole("correction"), keep),
        "norm" => g.norm(x, &options.dims("dim"), keep),
        _ => not_built(example),
    };
    Ok(vec![one?])
}
