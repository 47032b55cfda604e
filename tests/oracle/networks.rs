//! Whole networks, from their parameters to the loss.

use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{Conv2d, CrossEntropyLoss, MaxPool2d};

use crate::Example;
use crate::build::{Inputs, not_built};

/// The loss of a network.
pub fn network(g: &mut Graph, example: &Example, inputs: &Inputs) -> Result<Value> {
    match example.op.as_str() {
        "lenet" => lenet(g, inputs),
        "residual" => residual(g, inputs),
        _ => not_built(example),
    }
}

fn lenet(g: &mut Graph, inputs: &Inputs) -> Result<Value> {
    let mut x = inputs["input"];
    for (name, padding) in [("conv1", 1), ("conv2", 0)] {
        let [weight, bias] = ["weight", "bias"].map(|part| inputs[&format!("{name}_{part}")]);
        x = g.conv2d(x, weight, Some(bias), Conv2d::new().padding(padding))?;
        x = g.relu(x)?;
        x = g.max_pool(x, MaxPool2d::new(2))?;
    }
    x = g.flatten(x, 1)?;
    x = g.linear(x, inputs["fc1_weight"], Some(inputs["fc1_bias"]))?;
    x = g.relu(x)?;
    x = g.linear(x, inputs["fc2_weight"], Some(inputs["fc2_bias"]))?;
    g.cross_entropy(x, inputs["target"])
}

fn residual(g: &mut Graph, inputs: &Inputs) -> Result<Value> {
    let norm = |g: &mut Graph, x: Value, name: &str| {
        let [weight, bias] = ["weight", "bias"].map(|part| inputs[&format!("{name}_{part}")]);
        Ok(g.batch_norm_train(x, Some(weight), Some(bias), 1e-5)?.0)
    };
    let half = |padding: usize| Conv2d {
        stride: [2; 2],
        ..Conv2d::new().padding(padding)
    };
    let input = inputs["input"];
    let mut x = g.conv2d(input, inputs["conv1_weight"], None, half(1))?;
    x = norm(g, x, "norm1")?;
    x = g.relu(x)?;
    x = g.conv2d(x, inputs["conv2_weight"], None, Conv2d::new().padding(1))?;
    x = norm(g, x, "norm2")?;
    let around = g.conv2d(input, inputs["down_weight"], None, half(0))?;
    x = g.add(x, around)?;
    x = g.relu(x)?;
    x = g.global_avg_pool(x)?;
    x = g.flatten(x, 1)?;
    x = g.linear(x, inputs["fc_weight"], Some(inputs["fc_bias"]))?;
    let loss = CrossEntropyLoss {
        label_smoothing: 0.125,
        ..CrossEntropyLoss::default()
    };
    g.cross_entropy_with(x, inputs["target"], loss)
}
