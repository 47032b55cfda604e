//! Files that other programs read and write.

#[cfg(feature = "interop")]
pub mod safetensors;

#[cfg(all(feature = "interop", not(target_arch = "wasm32")))]
mod checkpoint;
#[cfg(all(feature = "interop", not(target_arch = "wasm32")))]
pub use checkpoint::{
    load_parameters, load_training, save_averaged, save_parameters, save_training,
};
