//! A call of PyTorch's as a piece of graph.

use std::collections::HashMap;

use striate::error::{Error, ErrorKind, Result};
use striate::graph::{Graph, Value};
use striate::ops::{
    AxisRange, Conv, Conv2d, ConvTranspose, ConvWalk, CrossEntropyLoss, InterpolateMode,
    LocalResponseNorm, MaxPool2d, Reduction, UnaryFunction,
};
use striate::shape::PaddingMode;

use crate::{Example, Options, pools};

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
        ("convolution" | "transposed convolution", Some(x)) => match example.op.as_str() {
            "conv1d" => convolution::<1>(g, options, x, inputs),
            "conv2d" => convolution::<2>(g, options, x, inputs),
            "conv3d" => convolution::<3>(g, options, x, inputs),
            "conv_transpose1d" => transposed::<1>(g, options, x, inputs),
            "conv_transpose2d" => transposed::<2>(g, options, x, inputs),
            "conv_transpose3d" => transposed::<3>(g, options, x, inputs),
            _ => pending(),
        },
        (family, _) if family.ends_with("pooling") => {
            return match example.op.as_bytes() {
                [.., b'1', b'd'] => pools::pool::<1>(g, example, inputs),
                [.., b'2', b'd'] => pools::pool::<2>(g, example, inputs),
                _ => pools::pool::<3>(g, example, inputs),
            };
        }
        ("activation", Some(x)) => activation(g, &example.op, options, x, inputs),
        ("softmax", Some(x)) => softmax(g, &example.op, options, x),
        ("batch norm", Some(x)) => return batch_norm(g, options, x, inputs),
        ("instance norm" | "group norm" | "layer norm" | "local response norm", Some(x)) => {
            norm(g, &example.op, options, x, inputs)
        }
        ("product", Some(x)) => product(g, &example.op, options, x, inputs),
        ("elementwise", Some(x)) => elementwise(g, &example.op, x, inputs["other"]),
        ("reduction", Some(x)) => reduction(g, &example.op, options, x),
        ("joining", _) => return joining(g, &example.op, options, inputs),
        ("resizing", Some(x)) => resizing(g, options, x),
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

fn convolution<const D: usize>(
    g: &mut Graph,
    options: &Options,
    x: Value,
    inputs: &Inputs,
) -> Result<Value>
where
    Conv<D>: Into<ConvWalk>,
{
    let weight = inputs["weight"];
    let kernel: [usize; D] = g.shape(weight)?[2..].try_into().unwrap();
    let conv = Conv {
        stride: options.axes("stride"),
        dilation: options.axes("dilation"),
        groups: options.whole("groups"),
        padding_mode: match options.text("padding_mode") {
            "zeros" => PaddingMode::Zeros,
            "reflect" => PaddingMode::Reflect,
            "replicate" => PaddingMode::Replicate,
            "circular" => PaddingMode::Circular,
            other => panic!("padding mode {other}"),
        },
        ..Conv::default()
    };
    let conv = match options.get("padding").as_str() {
        Some("same") => conv.same(kernel),
        Some("valid") => conv.valid(),
        Some(other) => panic!("padding {other}"),
        None => Conv {
            padding: pairs(options, "padding").try_into().unwrap(),
            ..conv
        },
    };
    g.conv(x, weight, inputs.get("bias").copied(), conv)
}

fn transposed<const D: usize>(
    g: &mut Graph,
    options: &Options,
    x: Value,
    inputs: &Inputs,
) -> Result<Value>
where
    ConvTranspose<D>: Into<ConvWalk>,
{
    let conv = ConvTranspose::<D> {
        stride: options.axes("stride"),
        padding: options.axes::<D>("padding").map(|padding| [padding; 2]),
        output_padding: options.axes("output_padding"),
        dilation: options.axes("dilation"),
        groups: options.whole("groups"),
    };
    g.conv_transpose(x, inputs["weight"], inputs.get("bias").copied(), conv)
}

fn activation(
    g: &mut Graph,
    op: &str,
    options: &Options,
    x: Value,
    inputs: &Inputs,
) -> Result<Value> {
    use UnaryFunction::*;
    let number = |name: &str| options.get(name).as_f64().unwrap() as f32;
    let function = match op {
        "relu" => Relu,
        "relu6" => UnaryFunction::RELU6,
        "selu" => Selu,
        "silu" => Silu,
        "mish" => Mish,
        "softsign" => Softsign,
        "hardsigmoid" => Hardsigmoid,
        "hardswish" => Hardswish,
        "sigmoid" => Sigmoid,
        "tanh" => Tanh,
        "hardtanh" => Hardtanh {
            min: number("min_val"),
            max: number("max_val"),
        },
        "leaky_relu" => LeakyRelu {
            negative_slope: number("negative_slope"),
        },
        "elu" => Elu {
            alpha: number("alpha"),
        },
        "celu" => Celu {
            alpha: number("alpha"),
        },
        "gelu" if options.text("approximate") == "tanh" => GeluTanh,
        "gelu" => Gelu,
        "softplus" => Softplus {
            beta: number("beta"),
            threshold: number("threshold"),
        },
        "prelu" => return g.prelu(x, inputs["weight"]),
        _ => return pending(),
    };
    g.unary(x, function)
}

fn softmax(g: &mut Graph, op: &str, options: &Options, x: Value) -> Result<Value> {
    match op {
        "softmax" => g.softmax(x, options.whole("dim")),
        "log_softmax" => g.log_softmax(x, options.whole("dim")),
        _ => pending(),
    }
}

fn batch_norm(g: &mut Graph, options: &Options, x: Value, inputs: &Inputs) -> Result<Vec<Value>> {
    let running = [inputs["running_mean"], inputs["running_var"]];
    let [weight, bias] = ["weight", "bias"].map(|name| inputs.get(name).copied());
    let eps = options.number("eps") as f32;
    if !options.flag("training") {
        return Ok(vec![g.batch_norm(x, running, weight, bias, eps)?]);
    }
    let (y, statistics) = g.batch_norm_train(x, weight, bias, eps)?;
    let momentum = options.number("momentum") as f32;
    let [mean, variance] = g.running_statistics(running, statistics, x, momentum)?;
    Ok(vec![y, mean, variance])
}

fn norm(g: &mut Graph, op: &str, options: &Options, x: Value, inputs: &Inputs) -> Result<Value> {
    let [weight, bias] = ["weight", "bias"].map(|name| inputs.get(name).copied());
    let number = |name| options.number(name) as f32;
    match op {
        "instance_norm" => g.instance_norm(x, weight, bias, number("eps")),
        "group_norm" => {
            let groups = options.whole("num_groups");
            g.group_norm(x, groups, weight, bias, number("eps"))
        }
        "layer_norm" => {
            let axes = options.list("normalized_shape").len();
            g.layer_norm(x, axes, weight, bias, number("eps"))
        }
        _ => {
            let response = LocalResponseNorm {
                size: options.whole("size"),
                alpha: number("alpha"),
                beta: number("beta"),
                k: number("k"),
            };
            g.local_response_norm(x, response)
        }
    }
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
        "div" => g.div(a, b),
        "minimum" => g.minimum(a, b),
        "maximum" => g.maximum(a, b),
        _ => pending(),
    }
}

fn reduction(g: &mut Graph, op: &str, options: &Options, x: Value) -> Result<Value> {
    let (dim, keep) = (options.list("dim"), options.flag("keepdim"));
    match op {
        "sum" => g.sum(x, &dim, keep),
        "mean" => g.mean(x, &dim, keep),
        "amax" => g.amax(x, &dim, keep),
        "amin" => g.amin(x, &dim, keep),
        "var" => g.var(x, &dim, options.whole("correction"), keep),
        _ => pending(),
    }
}

fn joining(g: &mut Graph, op: &str, options: &Options, inputs: &Inputs) -> Result<Vec<Value>> {
    if op == "cat" {
        let values = (0..).map_while(|i| inputs.get(&format!("input{i}")).copied());
        let values: Vec<Value> = values.collect();
        return Ok(vec![g.concat(&values, options.whole("dim"))?]);
    }
    let Some(&x) = inputs.get("input") else {
        return pending();
    };
    let one = match op {
        "permute" => g.permute(x, &options.list("dims")),
        "expand" => g.expand(x, options.list("size")),
        "reshape" => g.reshape(x, options.list("shape")),
        "split" => {
            let sizes = options.list("split_size_or_sections");
            return g.split(x, &sizes, options.whole("dim"));
        }
        "narrow" => {
            let [dim, start, length] = ["dim", "start", "length"].map(|name| options.whole(name));
            g.narrow(x, dim, start, length)
        }
        "slice" => {
            let [start, end, step] = ["start", "end", "step"].map(|name| options.list(name));
            let ranges = (0..start.len())
                .map(|axis| AxisRange::new(axis, start[axis], end[axis]).step(step[axis]));
            g.slice(x, &ranges.collect::<Vec<_>>())
        }
        "pad" => pad(g, options, x),
        _ => pending(),
    };
    Ok(vec![one?])
}

fn pad(g: &mut Graph, options: &Options, x: Value) -> Result<Value> {
    let sides = pairs(options, "pad").into_iter().rev().flatten();
    let padding: Vec<isize> = sides.map(|side| side as isize).collect();
    let mode = match options.text("mode") {
        "reflect" => PaddingMode::Reflect,
        "replicate" => PaddingMode::Replicate,
        "circular" => PaddingMode::Circular,
        _ => {
            let value = options.get("value").as_f64().unwrap();
            return g.pad_constant(x, &padding, value as f32);
        }
    };
    let unpadded = padding.chunks(2).rev().take_while(|pair| *pair == [0, 0]);
    let unpadded = unpadded.count();
    g.pad(x, &padding[..padding.len() - 2 * unpadded], mode)
}

fn resizing(g: &mut Graph, options: &Options, x: Value) -> Result<Value> {
    let mode = match options.text("mode") {
        "nearest" => InterpolateMode::Nearest,
        _ => InterpolateMode::Linear {
            align_corners: options.flag("align_corners"),
        },
    };
    match options.get("scale_factor").as_array() {
        None => g.interpolate(x, &options.list("size"), mode),
        Some(factors) => {
            let factors: Vec<f64> = factors.iter().map(|f| f.as_f64().unwrap()).collect();
            g.interpolate_by(x, &factors, mode)
        }
    }
}

fn loss(g: &mut Graph, op: &str, options: &Options, x: Value, inputs: &Inputs) -> Result<Value> {
    let target = inputs["target"];
    let weight = inputs.get("weight").copied();
    let reduction = match options.text("reduction") {
        "none" => Reduction::None,
        "sum" => Reduction::Sum,
        _ => Reduction::Mean,
    };
    let number = |name: &str| options.number_or(name, 0.0) as f32;
    let classes = CrossEntropyLoss {
        weight,
        ignore_index: options
            .has("ignore_index")
            .then(|| options.whole("ignore_index") as u32),
        reduction,
        label_smoothing: number("label_smoothing"),
        valid: None,
    };
    match op {
        "cross_entropy" => g.cross_entropy(x, target, classes),
        "nll_loss" => g.nll_loss(x, target, classes),
        "binary_cross_entropy" => g.bce_loss(x, target, weight, reduction),
        "binary_cross_entropy_with_logits" => {
            let pos_weight = inputs.get("pos_weight").copied();
            g.bce_with_logits(x, target, weight, pos_weight, reduction)
        }
        "mse_loss" => g.mse_loss(x, target, reduction),
        "l1_loss" => g.l1_loss(x, target, reduction),
        "smooth_l1_loss" => g.smooth_l1_loss(x, target, number("beta"), reduction),
        "huber_loss" => g.huber_loss(x, target, number("delta"), reduction),
        _ => pending(),
    }
}

/// Mean cross-entropy of all rows.
fn cross_entropy(g: &mut Graph, x: Value, target: Value) -> Result<Value> {
    g.cross_entropy(x, target, CrossEntropyLoss::default())
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
        x = g.max_pool(x, MaxPool2d::square(2))?;
    }
    x = g.flatten(x, 1)?;
    x = g.linear(x, inputs["fc1_weight"], Some(inputs["fc1_bias"]))?;
    x = g.relu(x)?;
    x = g.linear(x, inputs["fc2_weight"], Some(inputs["fc2_bias"]))?;
    cross_entropy(g, x, inputs["target"])
}
