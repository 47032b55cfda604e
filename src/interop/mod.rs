//! Files that other programs read and write.

#[cfg(feature = "interop")]
pub mod safetensors;

#[cfg(feature = "interop")]
mod checkpoint;
#[cfg(feature = "interop")]
pub use checkpoint::{load_parameters, save_parameters};
