//! LeNet-5 (LeCun et al. 1998), with relu and max pooling as it is trained today.

use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::nn::{Conv2d, Flatten, Linear, MaxPool2d, Mode, Module, Relu, Sequential};

/// Logits `[n, 10]` of digits x `[n, 1, 28, 28]`; 61,706 parameters.
pub fn lenet5(g: &mut Graph, x: Value, mode: Mode) -> Result<Value> {
    lenet5_of(g, 10, x, mode)
}

/// As [`lenet5`], for so many classes: logits `[n, classes]`.
pub fn lenet5_of(g: &mut Graph, classes: usize, x: Value, mode: Mode) -> Result<Value> {
    Sequential::new()
        .named("conv1", Conv2d::new(1, 6, 5).padding(2))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .named("conv2", Conv2d::new(6, 16, 5))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Flatten)
        .named("fc1", Linear::new(16 * 5 * 5, 120))
        .then(Relu)
        .named("fc2", Linear::new(120, 84))
        .then(Relu)
        .named("fc3", Linear::new(84, classes))
        .build(g, "", x, mode)
        .map_err(|e| e.context("lenet5"))
}
