//! Networks known by name, built from [`crate::nn`].

mod lenet;

pub use lenet::lenet5;
