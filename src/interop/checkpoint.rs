//! A store as a file: what a trained network is, or what a training run needs to go on.

use std::path::Path;

use super::safetensors::{fit, load, save};
use crate::error::Result;
use crate::graph::Kind;
use crate::shape::Type;
use crate::store::Store;
use crate::tensor::Tensor;
use crate::train::average_name;

/// Names of the states whose kind is wanted, in order of declaration by kind.
fn names(store: &Store, kinds: &[Kind]) -> Vec<String> {
    let names = kinds.iter().flat_map(|&kind| store.names_of(kind));
    names.map(str::to_owned).collect()
}

/// What a trained network is.
const NETWORK: [Kind; 2] = [Kind::Parameter, Kind::Statistic];

/// Names of what a run needs to go on to the bit: all states but data, which the run's program brings along, and counters of loss and
/// accuracy, which the host reads and clears.
fn training_names(store: &Store) -> Vec<String> {
    let left_out = names(store, &[Kind::Data, Kind::Metric]);
    let names = store.names().map(str::to_owned);
    names.filter(|name| !left_out.contains(name)).collect()
}

fn tensors(store: &Store, names: Vec<String>) -> Result<Vec<(String, Tensor)>> {
    let names = names.into_iter();
    let tensors = names.map(|name| store.get(&name).map(|tensor| (name, tensor)));
    tensors.collect()
}

/// Reads the states `names` from a file that holds exactly these.
fn read(path: &Path, store: &Store, names: &[String]) -> Result<Vec<Tensor>> {
    let expected = names
        .iter()
        .map(|name| Ok((name.clone(), store.ty(name)?.clone())))
        .collect::<Result<Vec<(String, Type)>>>()?;
    fit(load(path)?, &expected).map_err(|e| e.context(path.display()))
}

/// Writes the parameters and running statistics of a store to a safetensors file: all of them, or nothing.
///
/// # Errors
/// `Io` if the file cannot be written, `DeviceLost` or `Readback` from the device, `Unsupported` on a borrowed one, which only its
/// host may wait for.
pub fn save_parameters(path: impl AsRef<Path>, store: &Store) -> Result<()> {
    save(path, &tensors(store, names(store, &NETWORK))?)
}

/// As [`save_parameters`], but with the moving average of each parameter that has one: what [`load_parameters`] reads is the
/// averaged network.
///
/// # Errors
/// As [`save_parameters`].
pub fn save_averaged(path: impl AsRef<Path>, store: &Store) -> Result<()> {
    let mut saved = tensors(store, names(store, &NETWORK))?;
    for (name, tensor) in &mut saved {
        let average = average_name(name);
        if store.ty(&average).is_ok() {
            *tensor = store.get(&average)?;
        }
    }
    save(path, &saved)
}

/// Reads the parameters and running statistics of a store from a safetensors file; moving averages begin anew, equal to the parameters.
/// Nothing changes unless all of them fit.
///
/// # Errors
/// `Io` and `Data` from the file; `Checkpoint` if names or shapes differ.
pub fn load_parameters(path: impl AsRef<Path>, store: &Store) -> Result<()> {
    let names = names(store, &NETWORK);
    for (name, tensor) in names.iter().zip(read(path.as_ref(), store, &names)?) {
        store.set(name, &tensor)?;
        let average = average_name(name);
        if store.ty(&average).is_ok() {
            store.set(&average, &tensor)?;
        }
    }
    Ok(())
}

/// Writes all that a training run needs to go on as if it had never stopped: parameters, running statistics, gradients, moments, moving
/// averages, clocks and a rate that the host sets. Data sets, schedule tables and counters of loss and accuracy are not written.
///
/// ```
/// use striate::interop::{load_training, save_training};
/// use striate::ops::{Adam, Rule};
/// use striate::prelude::*;
/// use striate::train::{Optimizer, learning_rate};
///
/// # fn main() -> Result<()> {
/// let mut g = Graph::new();
/// let w = g.parameter("w", [2], Init::Normal { std: 1.0 })?;
/// let square = g.mul(w, w)?;
/// let loss = g.sum(square, &[0], false)?;
/// let rate = learning_rate(&mut g, 0.1)?;
/// Optimizer::new(Rule::Adam(Adam::default())).minimize(&mut g, loss, rate)?;
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
pub fn save_training(path: impl AsRef<Path>, store: &Store) -> Result<()> {
    save(path, &tensors(store, training_names(store))?)
}

/// Reads what [`save_training`] wrote into a store of the same graphs. Nothing changes unless all of it fits.
///
/// # Errors
/// `Io` and `Data` from the file; `Checkpoint` if names or shapes differ: another network, optimizer or set of settings.
pub fn load_training(path: impl AsRef<Path>, store: &Store) -> Result<()> {
    let names = training_names(store);
    for (name, tensor) in names.iter().zip(read(path.as_ref(), store, &names)?) {
        store.set(name, &tensor)?;
    }
    Ok(())
}
