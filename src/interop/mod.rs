//! Files that other programs read and write.

#[cfg(feature = "interop")]
pub mod safetensors;

#[cfg(feature = "interop")]
mod card;
#[cfg(feature = "interop")]
mod checkpoint;
#[cfg(all(feature = "interop", not(target_arch = "wasm32")))]
mod classifier;
#[cfg(feature = "interop")]
mod convert;
#[cfg(feature = "interop")]
mod header;
#[cfg(feature = "interop")]
mod kind;
#[cfg(all(feature = "interop", not(target_arch = "wasm32")))]
mod predictor;
#[cfg(feature = "interop")]
mod state_dict;
#[cfg(all(feature = "interop", not(target_arch = "wasm32")))]
mod trainer;

#[cfg(not(target_arch = "wasm32"))]
pub use crate::file::{expect_replaceable, read_file, replace_file};
#[cfg(feature = "interop")]
pub use card::ModelCard;
#[cfg(all(feature = "data", feature = "interop", not(target_arch = "wasm32")))]
pub(crate) use checkpoint::averaged;
#[cfg(feature = "interop")]
pub use checkpoint::{
    SaveOptions, encode_averaged_async, encode_parameters_async, encode_parameters_with_async,
    encode_training_async, load_parameters_bytes, load_training_bytes,
};
#[cfg(all(feature = "interop", not(target_arch = "wasm32")))]
pub use checkpoint::{
    load_parameters, load_training, save_averaged, save_averaged_async, save_parameters,
    save_parameters_async, save_parameters_with, save_training, save_training_async,
};
#[cfg(feature = "interop")]
pub use convert::FloatFormat;
#[cfg(all(feature = "interop", not(target_arch = "wasm32")))]
pub(crate) use predictor::load_network;
#[cfg(all(feature = "interop", not(target_arch = "wasm32")))]
pub use predictor::{Prediction, Predictor};
#[cfg(all(feature = "interop", not(target_arch = "wasm32")))]
pub use state_dict::load_state_dict;
#[cfg(feature = "interop")]
pub use state_dict::{LoadOptions, LoadReport, OtherShape, load_state_dict_bytes};
