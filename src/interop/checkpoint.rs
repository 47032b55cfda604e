//! A store's parameters as a file.

use std::path::Path;

use super::safetensors::{fit, load, save};
use crate::error::Result;
use crate::graph::Kind;
use crate::shape::Type;
use crate::store::Store;

/// Names of what a trained network is: parameters and running statistics.
fn names(store: &Store) -> Vec<String> {
    [Kind::Parameter, Kind::Statistic]
        .into_iter()
        .flat_map(|kind| store.names_of(kind))
        .map(str::to_owned)
        .collect()
}

/// Writes the parameters and running statistics of a store to a safetensors file: all of them, or nothing.
///
/// # Errors
/// `Io` if the file cannot be written, `DeviceLost` or `Readback` from the device, `Unsupported` on a borrowed one, which only its
/// host may wait for.
pub fn save_parameters(path: impl AsRef<Path>, store: &Store) -> Result<()> {
    let names = names(store).into_iter();
    let tensors = names.map(|name| store.get(&name).map(|tensor| (name, tensor)));
    save(path, &tensors.collect::<Result<Vec<_>>>()?)
}

/// Reads the parameters and running statistics of a store from a safetensors file. Nothing changes unless all of them fit.
///
/// # Errors
/// `Io` and `Data` from the file; `Checkpoint` if names or shapes differ.
pub fn load_parameters(path: impl AsRef<Path>, store: &Store) -> Result<()> {
    let path = path.as_ref();
    let names = names(store);
    let expected = names
        .iter()
        .map(|name| Ok((name.clone(), store.ty(name)?.clone())))
        .collect::<Result<Vec<(String, Type)>>>()?;
    let tensors = fit(load(path)?, &expected).map_err(|e| e.context(path.display()))?;
    for (name, tensor) in names.iter().zip(&tensors) {
        store.set(name, tensor)?;
    }
    Ok(())
}
