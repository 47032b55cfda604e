//! Comparisons, choices by a mask, and conversions.

use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::shape::DType;

use crate::Example;
use crate::build::{Inputs, not_built};

pub fn choose(g: &mut Graph, example: &Example, inputs: &Inputs) -> Result<Value> {
    let x = inputs["input"];
    let other = || inputs["other"];
    match example.op.as_str() {
        "eq" => g.eq(x, other()),
        "ne" => g.ne(x, other()),
        "lt" => g.lt(x, other()),
        "le" => g.le(x, other()),
        "gt" => g.gt(x, other()),
        "ge" => g.ge(x, other()),
        "where" => g.where_(inputs["condition"], x, other()),
        "to" => {
            let dtype = match example.options.text("dtype") {
                "uint8" => DType::U8,
                "int64" => DType::U32,
                _ => DType::F32,
            };
            g.cast(x, dtype)
        }
        _ => not_built(example),
    }
}
