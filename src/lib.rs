//! Convolutional networks, trained and run as hand-written WGSL compute shaders through `wgpu`.

pub mod autodiff;

pub mod error;
pub mod gpu;
pub mod graph;
pub mod kernel;
pub mod ops;
pub mod plan;
pub mod reference;
pub mod rng;
pub mod session;
pub mod shape;
pub mod store;
pub mod tensor;
