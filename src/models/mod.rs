//! Networks known by name, built from [`crate::nn`].

mod lenet;
mod resnet;

pub use lenet::{lenet5, lenet5_of};
pub use resnet::{resnet_cifar, resnet20, resnet50};
