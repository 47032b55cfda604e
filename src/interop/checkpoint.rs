//! A store as a file: what a trained network is, or what a training run needs to go on.
//!
//! Whatever is saved is a snapshot between two steps, also while other threads run sessions on the
//! store. Blocking forms are for own devices; on borrowed ones and in browsers the `async` forms
//! give a file's bytes, and `load_*_bytes` take them.

#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;

use super::convert::FloatFormat;
use super::kind::Kind;
use super::safetensors::{decode, encode, encode_as, fit};
use super::state_dict::{LoadOptions, load_state_dict_bytes};
use crate::error::Result;
#[cfg(not(target_arch = "wasm32"))]
use crate::file::replace_file;
use crate::graph::StateKind;
use crate::shape::Type;
use crate::store::Store;
use crate::tensor::Tensor;
use crate::train::average_name;

/// Names of the states whose kind is wanted, in order of declaration by kind.
fn names(store: &Store, kinds: &[StateKind]) -> Vec<String> {
    let names = kinds.iter().flat_map(|&kind| store.names_of(kind));
    names.map(str::to_owned).collect()
}

/// What a trained network is.
const NETWORK: [StateKind; 2] = [StateKind::Parameter, StateKind::Statistic];

/// Names of what a trained network is.
pub(super) fn network_names(store: &Store) -> Vec<String> {
    names(store, &NETWORK)
}

/// Names of what a run needs to go on to the bit: all states but data, which the run's program
/// brings along, and counters of loss and accuracy, which the host reads and clears.
fn training_names(store: &Store) -> Vec<String> {
    let left_out = names(store, &[StateKind::Data, StateKind::Metric]);
    let names = store.names().map(str::to_owned);
    names.filter(|name| !left_out.contains(name)).collect()
}

/// The file of [`save_parameters`] as bytes, for borrowed devices and browsers.
///
/// # Errors
/// `DeviceLost`, `OutOfMemory` or `Readback` from the device, `Checkpoint` if the states do not fit
/// a file: a state called `__metadata__`, too many of them.
pub async fn encode_parameters_async(store: &Store) -> Result<Vec<u8>> {
    encode(&store.snapshot_async(&network_names(store)).await?)
}

/// The file of [`save_averaged`] as bytes, for borrowed devices and browsers.
///
/// # Errors
/// As [`encode_parameters_async`].
pub async fn encode_averaged_async(store: &Store) -> Result<Vec<u8>> {
    encode(&averaged(store).await?)
}

/// Parameters, or their moving averages, and running statistics.
pub(crate) async fn averaged(store: &Store) -> Result<Vec<(String, Tensor)>> {
    let names = network_names(store);
    let averaged = names.iter().map(|name| {
        let average = average_name(name);
        let there = store.ty(&average).is_ok();
        if there { average } else { name.clone() }
    });
    let states = store.snapshot_async(&averaged.collect::<Vec<_>>()).await?;
    let tensors = states.into_iter().map(|(_, tensor)| tensor);
    Ok(names.into_iter().zip(tensors).collect())
}

/// The file of [`save_training`] as bytes, for borrowed devices and browsers.
///
/// # Errors
/// As [`encode_parameters_async`].
pub async fn encode_training_async(store: &Store) -> Result<Vec<u8>> {
    encode(&store.snapshot_async(&training_names(store)).await?)
}

/// How parameters are saved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SaveOptions {
    format: FloatFormat,
}

impl SaveOptions {
    /// As they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tensors of `f32` in another format, each element rounded to the nearest, ties to even.
    /// Loading makes them `f32` again.
    pub fn dtype(mut self, format: FloatFormat) -> Self {
        self.format = format;
        self
    }
}

/// The file of [`save_parameters_with`] as bytes, for borrowed devices and browsers.
///
/// # Errors
/// As [`encode_parameters_async`]; `Checkpoint` if the format does not hold a finite element.
pub async fn encode_parameters_with_async(store: &Store, options: &SaveOptions) -> Result<Vec<u8>> {
    let tensors = store.snapshot_async(&network_names(store)).await?;
    encode_as(&tensors, options.format)
}

/// As [`save_parameters`], in a format that is asked for: `f16` and `bf16` take half the bytes.
///
/// ```
/// use striate::interop::{FloatFormat, SaveOptions, load_parameters, save_parameters_with};
/// use striate::prelude::*;
///
/// # fn main() -> Result<()> {
/// let mut g = Graph::new();
/// g.parameter("w", [2], Init::Constant(0.5))?;
/// let store = Store::new(&Engine::cpu(), &[&g], 0)?;
/// # let path = std::env::temp_dir().join(format!("striate-doc-half-{}", std::process::id()));
/// let half = SaveOptions::new().dtype(FloatFormat::F16);
/// save_parameters_with(&path, &store, &half)?;
///
/// load_parameters(&path, &store)?;
/// assert_eq!(store.get("w")?.as_f32()?, [0.5, 0.5]);
/// # std::fs::remove_file(&path).ok();
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`save_parameters`]; `Checkpoint`, with its tensor and number, if the format does not hold a
/// finite element.
#[cfg(not(target_arch = "wasm32"))]
pub fn save_parameters_with(
    path: impl AsRef<Path>,
    store: &Store,
    options: &SaveOptions,
) -> Result<()> {
    let encoded = encode_parameters_with_async(store, options);
    let bytes = crate::store::blocking(store.engine(), encoded)?;
    replace_file(path, &bytes)
}

/// Writes the parameters and running statistics of a store to a safetensors file: all of them, as
/// they are between two steps, or nothing. The file is replaced as by [`replace_file`].
///
/// # Errors
/// `Io` if the file cannot be written; `DeviceLost`, `OutOfMemory` or `Readback` from the device,
/// `Unsupported` on a borrowed one, which only its host may wait for; `Checkpoint` if the states do
/// not fit a file: a state called `__metadata__`, too many of them.
#[cfg(not(target_arch = "wasm32"))]
pub fn save_parameters(path: impl AsRef<Path>, store: &Store) -> Result<()> {
    let bytes = crate::store::blocking(store.engine(), encode_parameters_async(store))?;
    replace_file(path, &bytes)
}

/// As [`save_parameters`], for hosts that cannot block on a borrowed device: the file is written
/// once the states have arrived.
///
/// # Errors
/// As [`save_parameters`], but for `Unsupported`.
#[cfg(not(target_arch = "wasm32"))]
pub async fn save_parameters_async(path: impl AsRef<Path>, store: &Store) -> Result<()> {
    replace_file(path, &encode_parameters_async(store).await?)
}

/// As [`save_parameters`], but with the moving average of each parameter that has one: what
/// [`load_parameters`] reads is the averaged network.
///
/// # Errors
/// As [`save_parameters`].
#[cfg(not(target_arch = "wasm32"))]
pub fn save_averaged(path: impl AsRef<Path>, store: &Store) -> Result<()> {
    let bytes = crate::store::blocking(store.engine(), encode_averaged_async(store))?;
    replace_file(path, &bytes)
}

/// As [`save_averaged`], for hosts that cannot block on a borrowed device.
///
/// # Errors
/// As [`save_parameters`], but for `Unsupported`.
#[cfg(not(target_arch = "wasm32"))]
pub async fn save_averaged_async(path: impl AsRef<Path>, store: &Store) -> Result<()> {
    replace_file(path, &encode_averaged_async(store).await?)
}

/// Reads the parameters and running statistics of a store from a safetensors file; moving averages
/// begin anew, equal to the parameters. Nothing changes unless all of them fit. Elements of other
/// types than the state's are converted, as by [`load_state_dict`](super::load_state_dict), which
/// also reads parts.
///
/// As by [`Store::restore`], it is submitted at once: steps that are recorded and not submitted yet
/// run after it.
///
/// # Errors
/// `Io` and `Data` from the file; `Checkpoint` if names or shapes differ.
#[cfg(not(target_arch = "wasm32"))]
pub fn load_parameters(path: impl AsRef<Path>, store: &Store) -> Result<()> {
    super::load_state_dict(path, store, &LoadOptions::new()).map(|_| ())
}

/// As [`load_parameters`], from the bytes of a file.
///
/// # Errors
/// `Data` and `Checkpoint` as [`load_parameters`].
pub fn load_parameters_bytes(bytes: &[u8], store: &Store) -> Result<()> {
    load_state_dict_bytes(bytes, store, &LoadOptions::new()).map(|_| ())
}

/// Writes all that a training run needs to go on as if it had never stopped: parameters, running
/// statistics, gradients, moments, moving averages, clocks and a rate that the host sets. Data
/// sets, schedule tables and counters of loss and accuracy are not written. All of it is of one
/// step. What is written is not looked at: `Classifier::save_training` refuses NaN.
///
/// ```
/// use striate::interop::{load_training, save_training};
/// use striate::prelude::*;
/// use striate::train::{Adam, minimize};
///
/// # fn main() -> Result<()> {
/// let mut g = Graph::new();
/// let w = g.parameter("w", [2], Init::Normal { std: 1.0 })?;
/// let square = g.mul(w, w)?;
/// let loss = g.sum(square, &[0], false)?;
/// minimize(&mut g, loss, Adam::new().lr(0.1))?;
///
/// let run = |steps: usize, from: Option<&std::path::Path>| -> Result<Store> {
///     let store = Store::new(&Engine::cpu(), &[&g], 7)?;
///     if let Some(path) = from {
///         load_training(path, &store)?;
///     }
///     Session::new(&store, &g, &[])?.run(steps)?;
///     Ok(store)
/// };
/// let path = std::env::temp_dir().join(format!("striate-doc-{}.safetensors", std::process::id()));
/// save_training(&path, &run(5, None)?)?;
/// assert_eq!(run(5, Some(&path))?.get("w")?, run(10, None)?.get("w")?);
/// # std::fs::remove_file(&path).ok();
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`save_parameters`].
#[cfg(not(target_arch = "wasm32"))]
pub fn save_training(path: impl AsRef<Path>, store: &Store) -> Result<()> {
    let bytes = crate::store::blocking(store.engine(), encode_training_async(store))?;
    replace_file(path, &bytes)
}

/// As [`save_training`], for hosts that cannot block on a borrowed device.
///
/// # Errors
/// As [`save_parameters`], but for `Unsupported`.
#[cfg(not(target_arch = "wasm32"))]
pub async fn save_training_async(path: impl AsRef<Path>, store: &Store) -> Result<()> {
    replace_file(path, &encode_training_async(store).await?)
}

/// Reads what [`save_training`] wrote into a store of the same graphs. Nothing changes unless all
/// of it fits.
///
/// As by [`Store::restore`], it is submitted at once: steps that are recorded and not submitted yet
/// run after it.
///
/// # Errors
/// `Io` and `Data` from the file; `Checkpoint` if names, shapes or element types differ: another
/// network, optimizer or set of settings.
#[cfg(not(target_arch = "wasm32"))]
pub fn load_training(path: impl AsRef<Path>, store: &Store) -> Result<()> {
    let path = path.as_ref();
    let tensors = super::safetensors::load(path)?;
    restore_training(tensors, store).map_err(|e| e.context(path.display()))
}

/// As [`load_training`], from the bytes of a file.
///
/// # Errors
/// `Data` and `Checkpoint` as [`load_training`].
pub fn load_training_bytes(bytes: &[u8], store: &Store) -> Result<()> {
    restore_training(decode(bytes)?, store)
}

fn restore_training(tensors: Vec<(String, Tensor)>, store: &Store) -> Result<()> {
    let names = training_names(store);
    let expected = names
        .iter()
        .map(|name| Ok((name.clone(), store.ty(name)?.clone())))
        .collect::<Result<Vec<(String, Type)>>>()?;
    let kind = Kind::of(tensors.iter().map(|(name, _)| &**name));
    let tensors = fit(tensors, &expected).map_err(|e| match kind {
        Some(Kind::Training) | None => e,
        Some(other) => e.context(other.told()),
    })?;
    store.restore(&names.into_iter().zip(tensors).collect::<Vec<_>>())
}
