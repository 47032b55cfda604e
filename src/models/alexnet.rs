//! AlexNet (Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks").

use super::Model;
use crate::nn::{AdaptiveAvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Relu, Sequential};

/// Logits `[n, classes]` of images x `[n, 3, 224, 224]`, or of others from 63 pixels on;
/// 61,100,840 parameters for 1000 classes.
///
/// As torchvision builds it: the one column of 2014, without local response normalisation.
pub fn alexnet(classes: usize) -> Model {
    let pool = || MaxPool2d::new(3).stride(2);
    let features = Sequential::new()
        .then(Conv2d::new(3, 64, 11).stride(4).padding(2))
        .then(Relu)
        .then(pool())
        .then(Conv2d::new(64, 192, 5).padding(2))
        .then(Relu)
        .then(pool())
        .then(Conv2d::new(192, 384, 3).padding(1))
        .then(Relu)
        .then(Conv2d::new(384, 256, 3).padding(1))
        .then(Relu)
        .then(Conv2d::new(256, 256, 3).padding(1))
        .then(Relu)
        .then(pool());
    let classifier = Sequential::new()
        .then(Dropout::new(0.5))
        .then(Linear::new(256 * 6 * 6, 4096))
        .then(Relu)
        .then(Dropout::new(0.5))
        .then(Linear::new(4096, 4096))
        .then(Relu)
        .then(Linear::new(4096, classes));
    let net = Sequential::new()
        .named("features", features)
        .named("avgpool", AdaptiveAvgPool2d::new(6))
        .named("flatten", Flatten)
        .named("classifier", classifier);
    Model::new("alexnet", [3, 224, 224], classes, net)
}
