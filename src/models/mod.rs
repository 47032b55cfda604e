//! Networks known by name, built from [`crate::nn`].
//!
//! A constructor gives a [`Model`], which is a [`Module`]: it is built into a graph as any layer
//! is. Names of parameters are torchvision's.
//!
//! ```
//! use striate::models;
//! use striate::nn::{Build, Module};
//! use striate::prelude::*;
//!
//! # fn main() -> Result<()> {
//! let net = models::lenet5(10);
//! let mut g = Graph::new();
//! let images = g.input("images", Type::f32([4, 1, 28, 28]))?;
//! let logits = net.build(&mut Build::eval(&mut g), images)?;
//! assert_eq!(g.shape(logits)?[..], [4, 10]);
//! # Ok(())
//! # }
//! ```

mod alexnet;
mod convnet;
mod googlenet;
mod lenet;
mod mobilenet;
mod resnet;
mod resnet_cifar;
mod summary;
mod unet;
mod vgg;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::Value;
use crate::nn::{Build, Module};

pub use alexnet::alexnet;
pub use convnet::convnet;
pub use googlenet::googlenet;
pub use lenet::{lenet5, lenet5_1998};
pub use mobilenet::mobilenet_v2;
pub use resnet::{resnet18, resnet34, resnet50, resnet101, resnet152};
pub use resnet_cifar::{resnet_cifar, resnet20};
pub(crate) use summary::grouped;
pub use summary::{Row, Summary};
pub use unet::unet;
pub use vgg::{vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn};

/// Makes a network for so many classes.
type Constructor = fn(usize) -> Model;

/// The networks of one channel, and those of three.
const NAMED: [(&str, Constructor); 20] = [
    ("lenet5", lenet5),
    ("lenet5_1998", lenet5_1998),
    ("alexnet", alexnet),
    ("vgg11", vgg11),
    ("vgg11_bn", vgg11_bn),
    ("vgg13", vgg13),
    ("vgg13_bn", vgg13_bn),
    ("vgg16", vgg16),
    ("vgg16_bn", vgg16_bn),
    ("vgg19", vgg19),
    ("vgg19_bn", vgg19_bn),
    ("googlenet", googlenet),
    ("resnet18", resnet18),
    ("resnet34", resnet34),
    ("resnet50", resnet50),
    ("resnet101", resnet101),
    ("resnet152", resnet152),
    ("resnet20_cifar", resnet20),
    ("mobilenet_v2", mobilenet_v2),
    ("convnet", convnet),
];

/// The names that [`by_name`] knows, apart from `resnet*_cifar` of other depths.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMED.into_iter().map(|(name, _)| name)
}

/// The classifier of a name, as [`Model::name`] gives it, for so many classes.
///
/// # Errors
/// `Unsupported` if there is none, with the names that there are; `Shape` as [`resnet_cifar`].
pub fn by_name(name: &str, classes: usize) -> Result<Model> {
    if let Some((_, constructor)) = NAMED.into_iter().find(|(own, _)| *own == name) {
        return Ok(constructor(classes));
    }
    let depth = name
        .strip_prefix("resnet")
        .and_then(|rest| rest.strip_suffix("_cifar"));
    if let Some(depth) = depth.and_then(|depth| depth.parse().ok()) {
        return resnet_cifar(depth, classes);
    }
    let known: Vec<&str> = names().collect();
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("no network \"{name}\"; there are {}", known.join(", ")),
    ))
}

/// A network known by name.
#[derive(Debug)]
pub struct Model {
    name: String,
    input: [usize; 3],
    classes: usize,
    net: Box<dyn Module>,
}

impl Model {
    fn new(
        name: impl Into<String>,
        input: [usize; 3],
        classes: usize,
        net: impl Module + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            input,
            classes,
            net: Box::new(net),
        }
    }

    /// Its name, such as `resnet50`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Channels, height and width of the images that it was made for. Height and width may be
    /// others where a network takes the mean of each plane.
    pub fn input(&self) -> [usize; 3] {
        self.input
    }

    /// How many logits it makes of an image, or of a pixel.
    pub fn classes(&self) -> usize {
        self.classes
    }
}

impl Module for Model {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        let built = self.net.build(cx, x);
        built.map_err(|e| e.context(&self.name))
    }

    fn known_as(&self) -> Option<&str> {
        Some(&self.name)
    }
}
