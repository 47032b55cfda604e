//! Convolutional networks, trained and run as hand-written WGSL compute shaders through `wgpu`.
//!
//! A [`Graph`](graph::Graph) of pure ops is built once; gradients and optimizer steps are more ops
//! in it. A
//! [`Session`](session::Session) compiles it for a GPU, an own one or the host application's, or
//! for the CPU reference: a list of dispatches over buffers that are planned and allocated before
//! the first step. Named state lives in a
//! [`Store`](store::Store) that sessions share: training and inference are two graphs over it.
//!
//! ```
//! use striate::prelude::*;
//!
//! # fn main() -> Result<()> {
//! // y = max(x w^T, 0), and the gradient of sum(y) with respect to w.
//! let mut g = Graph::new();
//! let x = g.input("x", Type::f32([2, 3]))?;
//! let w = g.parameter("w", [4, 3], Init::Uniform { bound: 0.5 })?;
//! let y = g.linear(x, w, None)?;
//! let y = g.relu(y)?;
//! let loss = g.sum(y, &[0, 1], false)?;
//! let dw = gradients(&mut g, loss, &[w])?[0];
//!
//! // The CPU reference; `Engine::new()?` is the best GPU, or the CPU where there is none.
//! let engine = Engine::cpu();
//! let store = Store::new(&engine, &[&g], 42)?;
//! let mut session = Session::new(&store, &g, &[loss, dw])?;
//! session.write(x, &Tensor::f32([2, 3], vec![1.0; 6])?)?;
//! session.run(1)?;
//! assert_eq!(session.read(dw)?.shape()[..], [4, 3]);
//! # Ok(())
//! # }
//! ```
//!
//! The way data takes, in the order of the modules: [`graph`] builds and infers types, [`ops`]
//! holds each op with its type rule, reference, gradient and GPU form, [`autodiff`] appends
//! gradients, [`reference`](mod@reference) evaluates on the CPU, [`plan`] fuses, schedules and
//! places, [`gpu`] owns the device, [`store`] the state, [`session`] runs, [`tune`] measures which
//! kernels are fastest, [`check`] holds GPU results against the reference. [`nn`], [`models`] and
//! [`train`] are thin layers on top; [`data`] and [`interop`] read and write files, `report`
//! makes a page of a training run, and `inspect` shows what a trained network looks at.
//!
//! Not supported: dynamic shapes, eager execution, values in `f16`.

#![cfg_attr(
    not(test),
    warn(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)
)]

pub mod autodiff;
pub mod check;
pub mod data;
pub mod error;
#[cfg(any(feature = "data", feature = "interop", not(target_arch = "wasm32")))]
#[cfg_attr(
    target_arch = "wasm32",
    allow(dead_code, reason = "there are few files")
)]
mod file;
pub mod gpu;
pub mod graph;
#[cfg(not(target_arch = "wasm32"))]
pub mod inspect;
pub mod interop;
pub mod kernel;
mod lowering;
pub mod models;
pub mod nn;
pub mod ops;
pub mod plan;
pub mod reference;
#[cfg(feature = "data")]
pub mod report;
pub mod rng;
pub mod session;
pub mod shape;
pub mod store;
pub mod tensor;
pub mod train;
#[cfg(not(target_arch = "wasm32"))]
pub mod tune;

pub use wgpu;

/// What most programs need.
pub mod prelude {
    pub use crate::autodiff::gradients;
    pub use crate::error::{Error, ErrorKind, Result};
    pub use crate::gpu::{Engine, Gpu, GpuOptions};
    pub use crate::graph::{Graph, Init, StateKind, Value};
    pub use crate::nn::{Build, Module};
    pub use crate::session::Session;
    pub use crate::shape::{DType, Shape, Type};
    pub use crate::store::Store;
    pub use crate::tensor::Tensor;
}

/// The example in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The programs for hosts compile.
#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
struct Embedding;

/// The program in the list of features compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../docs/features.md")]
struct Features;
