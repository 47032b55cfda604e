//! LeNet-5 (LeCun et al. 1998), with relu and max pooling as it is trained today.

use super::Model;
use crate::nn::{Conv2d, Flatten, Linear, MaxPool2d, Relu, Sequential};

/// Logits `[n, classes]` of digits x `[n, 1, 28, 28]`; 61,706 parameters for 10 classes.
pub fn lenet5(classes: usize) -> Model {
    let net = Sequential::new()
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
        .named("fc3", Linear::new(84, classes));
    Model::new("lenet5", [1, 28, 28], classes, net)
}
