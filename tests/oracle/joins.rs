//! Joining, cutting and moving.

use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::AxisRange;

use crate::Example;
use crate::build::{Inputs, not_built, padding_mode};

/// The outputs of a call that moves elements.
pub fn join(g: &mut Graph, example: &Example, inputs: &Inputs) -> Result<Vec<Value>> {
    let options = &example.options;
    if example.op == "cat" {
        let values: Vec<Value> = example.inputs.iter().map(|name| inputs[name]).collect();
        return Ok(vec![g.concat(&values, options.dim())?]);
    }
    let x = inputs["input"];
    let one = match example.op.as_str() {
        "split" => {
            let sizes = options.list("split_size_or_sections");
            return g.split(x, &sizes, options.dim());
        }
        "chunk" => return g.chunk(x, options.whole("chunks"), options.dim()),
        "narrow" => {
            let [start, length] = ["start", "length"].map(|name| options.whole(name));
            g.narrow(x, options.dim(), start, length)
        }
        "slice" => {
            let [start, end, step] = ["start", "end", "step"].map(|name| options.list(name));
            let range = |axis: usize| AxisRange::new(axis, start[axis], end[axis]).step(step[axis]);
            g.slice(x, &(0..start.len()).map(range).collect::<Vec<_>>())
        }
        "pad" => {
            let padding = options.numbers("pad").into_iter();
            let padding: Vec<isize> = padding.map(|side| side as isize).collect();
            match options.text("mode") {
                "constant" => g.pad_constant(x, &padding, options.number("value") as f32),
                mode => g.pad(x, &padding, padding_mode(mode)),
            }
        }
        "flip" => g.flip(x, &options.dims("dims")),
        "permute" => g.permute(x, &options.dims("dims")),
        "expand" => g.expand(x, options.list("size")),
        "reshape" => g.reshape(x, options.list("shape")),
        _ => not_built(example),
    };
    Ok(vec![one?])
}
