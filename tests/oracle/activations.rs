//! Functions of one element, of two, and of an axis.

use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::UnaryFunction;

use crate::Example;
use crate::build::{Inputs, not_built};

fn unary(example: &Example) -> Result<UnaryFunction> {
    let number = |name: &str| example.options.number(name) as f32;
    Ok(match example.op.as_str() {
        "relu" => UnaryFunction::Relu,
        "relu6" => UnaryFunction::RELU6,
        "hardtanh" => UnaryFunction::Hardtanh {
            min: number("min_val"),
            max: number("max_val"),
        },
        "clamp" => UnaryFunction::Clamp {
            min: number("min"),
            max: number("max"),
        },
        "leaky_relu" => UnaryFunction::LeakyRelu {
            negative_slope: number("negative_slope"),
        },
        "elu" => UnaryFunction::Elu {
            alpha: number("alpha"),
        },
        "selu" => UnaryFunction::Selu,
        "celu" => UnaryFunction::Celu {
            alpha: number("alpha"),
        },
        "gelu" if example.options.text("approximate") == "tanh" => UnaryFunction::GeluTanh,
        "gelu" => UnaryFunction::Gelu,
        "silu" => UnaryFunction::Silu,
        "mish" => UnaryFunction::Mish,
        "sigmoid" => UnaryFunction::Sigmoid,
        "tanh" => UnaryFunction::Tanh,
        "softplus" => UnaryFunction::Softplus {
            beta: number("beta"),
            threshold: number("threshold"),
        },
        "softsign" => UnaryFunction::Softsign,
        "hardsigmoid" => UnaryFunction::Hardsigmoid,
        "hardswish" => UnaryFunction::Hardswish,
        "abs" => UnaryFunction::Abs,
        "exp" => UnaryFunction::Exp,
        "log" => UnaryFunction::Log,
        "sqrt" => UnaryFunction::Sqrt,
        "rsqrt" => UnaryFunction::Rsqrt,
        "reciprocal" => UnaryFunction::Reciprocal,
        "sign" => UnaryFunction::Sign,
        "floor" => UnaryFunction::Floor,
        "ceil" => UnaryFunction::Ceil,
        "round" => UnaryFunction::Round,
        "sin" => UnaryFunction::Sin,
        "cos" => UnaryFunction::Cos,
        "erf" => UnaryFunction::Erf,
        "square" => UnaryFunction::Square,
        "pow" => UnaryFunction::Pow(number("exponent")),
        _ => return not_built(example),
    })
}

/// A function of each element, of those of two values, or along an axis.
pub fn call(g: &mut Graph, example: &Example, inputs: &Inputs) -> Result<Value> {
    let x = inputs["input"];
    let other = |name: &str| inputs[name];
    match example.op.as_str() {
        "add" => g.add(x, other("other")),
        "sub" => g.sub(x, other("other")),
        "mul" => g.mul(x, other("other")),
        "div" => g.div(x, other("other")),
        "minimum" => g.minimum(x, other("other")),
        "maximum" => g.maximum(x, other("other")),
        "prelu" => g.prelu(x, other("weight")),
        "neg" => g.neg(x),
        "softmax" => g.softmax(x, example.options.dim()),
        "log_softmax" => g.log_softmax(x, example.options.dim()),
        _ => g.unary(x, unary(example)?),
    }
}
