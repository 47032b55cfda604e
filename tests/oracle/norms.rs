//! Normalisations.

use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::LocalResponseNorm;

use crate::Example;
use crate::build::{Inputs, not_built};

/// The outputs of a normalisation.
pub fn norm(g: &mut Graph, example: &Example, inputs: &Inputs) -> Result<Vec<Value>> {
    let options = &example.options;
    let x = inputs["input"];
    let [weight, bias] = ["weight", "bias"].map(|name| inputs.get(name).copied());
    let eps = options.number_or("eps", 0.0) as f32;
    let one = match example.op.as_str() {
        "batch_norm" => {
            let running = ["running_mean", "running_var"].map(|name| inputs[name]);
            if !options.flag("training") {
                return Ok(vec![g.batch_norm(x, running, weight, bias, eps)?]);
            }
            let (y, statistics) = g.batch_norm_train(x, weight, bias, eps)?;
            let momentum = options.number("momentum") as f32;
            let [mean, variance] = g.running_statistics(running, statistics, x, momentum)?;
            return Ok(vec![y, mean, variance]);
        }
        "instance_norm" => g.instance_norm(x, weight, bias, eps),
        "group_norm" => g.group_norm(x, options.whole("num_groups"), weight, bias, eps),
        "layer_norm" => {
            let axes = options.list("normalized_shape").len();
            g.layer_norm(x, axes, weight, bias, eps)
        }
        "rms_norm" => {
            let axes = options.list("normalized_shape").len();
            g.rms_norm(x, axes, weight, eps)
        }
        "local_response_norm" => {
            let norm = LocalResponseNorm {
                size: options.whole("size"),
                alpha: options.number("alpha") as f32,
                beta: options.number("beta") as f32,
                k: options.number("k") as f32,
            };
            g.local_response_norm(x, norm)
        }
        _ => not_built(example),
    };
    Ok(vec![one?])
}
