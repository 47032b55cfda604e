//! Elements by index.

use striate::error::Result;
use striate::graph::{Graph, Value};

use crate::Example;
use crate::build::{Inputs, not_built};

pub fn index(g: &mut Graph, example: &Example, inputs: &Inputs) -> Result<Vec<Value>> {
    let options = &example.options;
    if example.op == "nms" {
        let (boxes, scores) = (inputs["boxes"], inputs["scores"]);
        let threshold = options.number("iou_threshold") as f32;
        let (indices, count) = g.nms(boxes, scores, threshold, options.whole("most"))?;
        return Ok(vec![indices, count]);
    }
    let x = inputs["input"];
    let one = match example.op.as_str() {
        "gather" => g.gather(x, options.dim(), inputs["index"]),
        "scatter_add" => g.scatter_add(x, options.dim(), inputs["index"], inputs["src"]),
        "one_hot" => g.one_hot(x, options.whole("classes")),
        "topk" => {
            let (k, largest) = (options.whole("k"), options.flag("largest"));
            let (y, indices) = g.topk(x, k, options.dim(), largest)?;
            return Ok(vec![y, indices]);
        }
        _ => not_built(example),
    };
    Ok(vec![one?])
}
