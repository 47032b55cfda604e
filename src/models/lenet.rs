//! LeNet-5 (LeCun et al. 1998, "Gradient-based learning applied to document recognition").

use super::Model;
use crate::nn::{Activation, AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Relu, Sequential};

/// LeNet-5 with relu and max pooling, as it is trained today: logits `[n, classes]` of digits x
/// `[n, 1, 28, 28]`; 61,706 parameters for 10 classes.
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

/// LeNet-5 with the sigmoids (tanh) and mean pooling of 1998: logits `[n, classes]` of digits x
/// `[n, 1, 32, 32]`; 61,706 parameters for 10 classes.
///
/// The paper's pooling has a trained factor and bias for each map, its second convolution leaves
/// out some pairs of maps, and its output layer measures distances; here, as in most books, these
/// are plain.
pub fn lenet5_1998(classes: usize) -> Model {
    let net = Sequential::new()
        .named("conv1", Conv2d::new(1, 6, 5))
        .then(Activation::Tanh)
        .then(AvgPool2d::new(2))
        .named("conv2", Conv2d::new(6, 16, 5))
        .then(Activation::Tanh)
        .then(AvgPool2d::new(2))
        .named("conv3", Conv2d::new(16, 120, 5))
        .then(Activation::Tanh)
        .then(Flatten)
        .named("fc1", Linear::new(120, 84))
        .then(Activation::Tanh)
        .named("fc2", Linear::new(84, classes));
    Model::new("lenet5_1998", [1, 32, 32], classes, net)
}
