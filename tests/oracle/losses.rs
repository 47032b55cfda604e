//! Losses.

use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{CrossEntropyLoss, Reduction};

use crate::Example;
use crate::build::{Inputs, not_built};

/// A loss of `input` and `target`.
pub fn loss(g: &mut Graph, example: &Example, inputs: &Inputs) -> Result<Value> {
    let options = &example.options;
    let (x, target) = (inputs["input"], inputs["target"]);
    let [weight, pos_weight] = ["weight", "pos_weight"].map(|name| inputs.get(name).copied());
    let reduction = match options.text("reduction") {
        "none" => Reduction::None,
        "sum" => Reduction::Sum,
        _ => Reduction::Mean,
    };
    let ignored = options.has("ignore_index");
    let classes = CrossEntropyLoss {
        weight,
        ignore_index: ignored.then(|| options.whole("ignore_index") as u32),
        reduction,
        label_smoothing: options.number_or("label_smoothing", 0.0) as f32,
        valid: None,
    };
    match example.op.as_str() {
        "cross_entropy" => g.cross_entropy_with(x, target, classes),
        "nll_loss" => g.nll_loss_with(x, target, classes),
        "binary_cross_entropy" => g.bce_loss(x, target, weight, reduction),
        "binary_cross_entropy_with_logits" => {
            g.bce_with_logits(x, target, weight, pos_weight, reduction)
        }
        "mse_loss" => g.mse_loss(x, target, reduction),
        "l1_loss" => g.l1_loss(x, target, reduction),
        "smooth_l1_loss" => g.smooth_l1_loss(x, target, options.number("beta") as f32, reduction),
        "huber_loss" => g.huber_loss(x, target, options.number("delta") as f32, reduction),
        _ => not_built(example),
    }
}
