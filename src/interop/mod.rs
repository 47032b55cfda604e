//! Files that other programs read and write.

#[cfg(feature = "interop")]
pub mod safetensors;
