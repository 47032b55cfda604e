//! Losses.

use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{CrossEntropyLoss, Reduction, TripletMargin};

use crate::Example;
use crate::build::{Inputs, not_built};

/// A loss of `input` and `target`.
pub fn loss(g: &mut Graph, example: &Example, inputs: &Inputs) -> Result<Value> {
    let options = &example.options;
    let operand = |name: &str| inputs.get(name).copied();
    let [weight, pos_weight] = ["weight", "pos_weight"].map(operand);
    let reduction = match options.text("reduction") {
        "none" => Reduction::None,
        "sum" => Reduction::Sum,
        _ => Reduction::Mean,
    };
    let number = |name: &str| options.number(name) as f32;
    // Those of several operands of one kind.
    let three = [operand("a"), operand("b"), operand("c")];
    if let [Some(a), Some(b), Some(c)] = three {
        let settings = TripletMargin {
            margin: number("margin"),
            p: options.number_or("p", 2.0) as f32,
            swap: options.has("swap") && options.flag("swap"),
            ..TripletMargin::default()
        };
        return match example.op.as_str() {
            "triplet_margin_loss" => g.triplet_margin_loss(a, b, c, settings, reduction),
            _ => g.contrastive_loss(a, b, c, settings.margin, reduction),
        };
    }
    let (x, target) = (inputs["input"], inputs["target"]);
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
        "smooth_l1_loss" => g.smooth_l1_loss(x, target, number("beta"), reduction),
        "kl_div" => g.kl_div(x, target, options.flag("log_target"), reduction),
        "dice_loss" => g.dice_loss(x, target, number("smooth"), reduction),
        "sigmoid_focal_loss" => {
            let alpha = number("alpha");
            let alpha = (alpha >= 0.0).then_some(alpha);
            g.sigmoid_focal_loss(x, target, alpha, number("gamma"), reduction)
        }
        "huber_loss" => g.huber_loss(x, target, number("delta"), reduction),
        _ => not_built(example),
    }
}
