//! A call of PyTorch's as a piece of graph.

use std::collections::HashMap;

use striate::error::{Error, ErrorKind, Result};
use striate::graph::{Graph, Value};
use striate::ops::{AvgPool2d, Conv2d, MaxPool2d};
use striate::tensor::Tensor;

use crate::{Example, Options};

pub const PENDING: &str = "pending";

pub fn pending<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Graph, PENDING))
}

/// The inputs of a call, by name.
pub type Inputs = HashMap<String, Value>;

/// Builds the call; the outputs come in the order of `example.outputs`.
pub fn build(g: &mut Graph, example: &Example, inputs: &Inputs) -> Result<Vec<Value>> {
    let options = &example.options;
    let x = inputs.get("input").copied();
    let one = match (example.family.as_str(), x) {
        ("convolution", Some(x)) => convolution(g, &example.op, options, x, inputs),
        ("max pooling", Some(x)) => return max_pooling(g, &example.op, options, x),
        ("average pooling", Some(x)) => average_pooling(g, &example.op, options, x),
        ("activation", Some(x)) => activation(g, &example.op, x),
        ("softmax", Some(x)) => softmax(g, &example.op, options, x),
        ("product", Some(x)) => product(g, &example.op, options, x, inputs),
        ("elementwise", Some(x)) => elementwise(g, &example.op, x, inputs["other"]),
        ("reduction", Some(x)) => reduction(g, &example.op, options, x),
        ("joining", _) => return joining(g, &example.op, options, inputs),
        ("loss", Some(x)) => loss(g, &example.op, options, x, inputs),
        ("network", _) => network(g, &example.op, inputs),
        _ => pending(),
    };
    Ok(vec![one?])
}

/// Padding as (before, after) for each axis.
fn pairs(options: &Options, name: &str) -> Vec<[usize; 2]> {
    let pairs = options.get(name).as_array().unwrap().iter();
    let side = |pair: &serde_json::Value, i: usize| pair[i].as_u64().unwrap() as usize;
    pairs.map(|pair| [side(pair, 0), side(pair, 1)]).collect()
}

fn convolution(
    g: &mut Graph,
    op: &str,
    options: &Options,
    x: Value,
    inputs: &Inputs,
) -> Result<Value> {
    if op != "conv2d"
        || options.get("padding").is_string()
        || options.text("padding_mode") != "zeros"
    {
        return pending();
    }
    let padding = pairs(options, "padding");
    let conv = Conv2d {
        stride: options.axes("stride"),
        padding: [padding[0][0], padding[0][1], padding[1][0], padding[1][1]],
        dilation: options.axes("dilation"),
        groups: options.whole("groups"),
    };
    g.conv2d(x, inputs["weight"], inputs.get("bias").copied(), conv)
}

fn max_pooling(g: &mut Graph, op: &str, options: &Options, x: Value) -> Result<Vec<Value>> {
    if op != "max_pool2d" || options.flag("ceil_mode") || options.list("dilation") != [1, 1] {
        return pending();
    }
    let pool = MaxPool2d {
        kernel: options.axes("kernel_size"),
        stride: options.axes("stride"),
        padding: options.axes("padding"),
    };
    let (y, indices) = g.max_pool2d_with_indices(x, pool)?;
    Ok(vec![y, indices])
}

fn average_pooling(g: &mut Graph, op: &str, options: &Options, x: Value) -> Result<Value> {
    if op != "avg_pool2d" || options.flag("ceil_mode") {
        return pending();
    }
    let pool = AvgPool2d {
        kernel: options.axes("kernel_size"),
        stride: options.axes("stride"),
        padding: options.axes("padding"),
        count_include_pad: options.flag("count_include_pad"),
    };
    g.avg_pool2d(x, pool)
}

fn activation(g: &mut Graph, op: &str, x: Value) -> Result<Value> {
    match op {
        "relu" => g.relu(x),
        _ => pending(),
    }
}

fn softmax(g: &mut Graph, op: &str, options: &Options, x: Value) -> Result<Value> {
    let last = g.shape(x)?.len() - 1;
    if op != "softmax" || options.whole("dim") != last {
        return pending();
    }
    g.softmax(x)
}

fn product(g: &mut Graph, op: &str, options: &Options, x: Value, inputs: &Inputs) -> Result<Value> {
    if op == "linear" {
        return g.linear(x, inputs["weight"], inputs.get("bias").copied());
    }
    let transpose = options.get("transpose");
    let [a, b] = [0, 1].map(|i| transpose[i].as_bool().unwrap());
    g.matmul(x, inputs["other"], a, b)
}

fn elementwise(g: &mut Graph, op: &str, a: Value, b: Value) -> Result<Value> {
    match op {
        "add" => g.add_values(a, b),
        "sub" => g.sub(a, b),
        "mul" => g.mul(a, b),
        _ => pending(),
    }
}

fn reduction(g: &mut Graph, op: &str, options: &Options, x: Value) -> Result<Value> {
    let (dim, keep) = (options.list("dim"), options.flag("keepdim"));
    match op {
        "sum" => g.sum(x, &dim, keep),
        "mean" => g.mean(x, &dim, keep),
        _ => pending(),
    }
}

fn joining(g: &mut Graph, op: &str, options: &Options, inputs: &Inputs) -> Result<Vec<Value>> {
    let Some(&x) = inputs.get("input") else {
        return pending();
    };
    let one = match op {
        "permute" => g.permute(x, &options.list("dims")),
        "expand" => g.expand(x, options.list("size")),
        "reshape" => g.reshape(x, options.list("shape")),
        _ => pending(),
    };
    Ok(vec![one?])
}

fn loss(g: &mut Graph, op: &str, options: &Options, x: Value, inputs: &Inputs) -> Result<Value> {
    let target = inputs["target"];
    let plain = options.text("reduction") == "mean"
        && options.0.as_object().unwrap().len() == 1
        && !inputs.contains_key("weight");
    match op {
        "cross_entropy" if plain && g.shape(target)?.len() == 1 => cross_entropy(g, x, target),
        "mse_loss" if plain => g.mse_loss(x, target),
        _ => pending(),
    }
}

/// Mean cross-entropy of all rows.
fn cross_entropy(g: &mut Graph, x: Value, target: Value) -> Result<Value> {
    let rows = g.shape(x)?.rows() as u32;
    let valid = g.constant(Tensor::u32([1], vec![rows])?)?;
    g.softmax_cross_entropy(x, target, valid)
}

fn network(g: &mut Graph, op: &str, inputs: &Inputs) -> Result<Value> {
    match op {
        "lenet" => lenet(g, inputs),
        _ => pending(),
    }
}

fn lenet(g: &mut Graph, inputs: &Inputs) -> Result<Value> {
    let mut x = inputs["input"];
    for (name, padding) in [("conv1", 1), ("conv2", 0)] {
        let [weight, bias] = ["weight", "bias"].map(|part| inputs[&format!("{name}_{part}")]);
        x = g.conv2d(x, weight, Some(bias), Conv2d::padding(padding))?;
        x = g.relu(x)?;
        x = g.max_pool2d(x, MaxPool2d::square(2))?;
    }
    x = g.flatten(x, 1)?;
    x = g.linear(x, inputs["fc1_weight"], Some(inputs["fc1_bias"]))?;
    x = g.relu(x)?;
    x = g.linear(x, inputs["fc2_weight"], Some(inputs["fc2_bias"]))?;
    cross_entropy(g, x, inputs["target"])
}
