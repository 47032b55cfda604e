//! VGG (Simonyan and Zisserman 2014, "Very deep convolutional networks for large-scale image
//! recognition").

use super::Model;
use crate::nn::init::Scheme;
use crate::nn::{
    AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Relu, Sequential,
};

/// Channels of the five stages, each of which ends with a pooling.
const CHANNELS: [usize; 5] = [64, 128, 256, 512, 512];

/// VGG-11 (the paper's A): logits `[n, classes]` of images x `[n, 3, 224, 224]`, or of others from
/// 32 pixels on; 132,863,336 parameters for 1000 classes.
pub fn vgg11(classes: usize) -> Model {
    vgg("vgg11", [1, 1, 2, 2, 2], false, classes)
}

/// [`vgg11`] with batch normalisation; 132,868,840 parameters for 1000 classes.
pub fn vgg11_bn(classes: usize) -> Model {
    vgg("vgg11_bn", [1, 1, 2, 2, 2], true, classes)
}

/// VGG-13 (the paper's B); 133,047,848 parameters for 1000 classes.
pub fn vgg13(classes: usize) -> Model {
    vgg("vgg13", [2; 5], false, classes)
}

/// [`vgg13`] with batch normalisation; 133,053,736 parameters for 1000 classes.
pub fn vgg13_bn(classes: usize) -> Model {
    vgg("vgg13_bn", [2; 5], true, classes)
}

/// VGG-16 (the paper's D); 138,357,544 parameters for 1000 classes.
pub fn vgg16(classes: usize) -> Model {
    vgg("vgg16", [2, 2, 3, 3, 3], false, classes)
}

/// [`vgg16`] with batch normalisation; 138,365,992 parameters for 1000 classes.
pub fn vgg16_bn(classes: usize) -> Model {
    vgg("vgg16_bn", [2, 2, 3, 3, 3], true, classes)
}

/// VGG-19 (the paper's E); 143,667,240 parameters for 1000 classes.
pub fn vgg19(classes: usize) -> Model {
    vgg("vgg19", [2, 2, 4, 4, 4], false, classes)
}

/// [`vgg19`] with batch normalisation; 143,678,248 parameters for 1000 classes.
pub fn vgg19_bn(classes: usize) -> Model {
    vgg("vgg19_bn", [2, 2, 4, 4, 4], true, classes)
}

/// Five stages of so many convolutions, names and sizes as torchvision has them.
fn vgg(name: &str, convolutions: [usize; 5], normalised: bool, classes: usize) -> Model {
    let mut features = Sequential::new();
    let mut channels = 3;
    for (count, out) in convolutions.into_iter().zip(CHANNELS) {
        for _ in 0..count {
            let conv = Conv2d::new(channels, out, 3).padding(1);
            features = features.then(conv.init(Scheme::kaiming_relu()));
            if normalised {
                features = features.then(BatchNorm2d::new(out));
            }
            features = features.then(Relu);
            channels = out;
        }
        features = features.then(MaxPool2d::new(2));
    }
    let classifier = Sequential::new()
        .then(Linear::new(512 * 7 * 7, 4096))
        .then(Relu)
        .then(Dropout::new(0.5))
        .then(Linear::new(4096, 4096))
        .then(Relu)
        .then(Dropout::new(0.5))
        .then(Linear::new(4096, classes));
    let net = Sequential::new()
        .named("features", features)
        .named("avgpool", AdaptiveAvgPool2d::new(7))
        .named("flatten", Flatten)
        .named("classifier", classifier);
    Model::new(name, [3, 224, 224], classes, net)
}
