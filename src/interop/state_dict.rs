//! State dicts: the parameters and running statistics of a network, as PyTorch names and stores
//! them.

use std::collections::HashMap;
use std::fmt;
#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;

use super::card::CARD;
use super::checkpoint::network_names;
use super::convert::convert;
use super::header::HeaderEntry;
use super::kind::Kind;
use super::safetensors::{misfit, read_bytes};
use crate::error::{Error, ErrorKind, Result};
use crate::shape::{Shape, Type};
use crate::store::Store;
use crate::tensor::Tensor;
use crate::train::average_name;

/// A rule that gives the state's name for that of a tensor in the file, or leaves the tensor out.
type Rename<'a> = Box<dyn Fn(&str) -> Option<String> + 'a>;

/// How a state dict is loaded.
pub struct LoadOptions<'a> {
    strict: bool,
    rename: Option<Rename<'a>>,
}

impl<'a> LoadOptions<'a> {
    /// Strict, and names as they are in the file.
    pub fn new() -> Self {
        Self {
            strict: true,
            rename: None,
        }
    }

    /// Whether a missing, unexpected or otherwise shaped tensor is an error, or is only reported.
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Names states: the rule gets the name of a tensor in the file, and returns the name of the
    /// state that it is for, or none to leave the tensor out. It replaces any rule given before.
    pub fn rename(mut self, rule: impl Fn(&str) -> Option<String> + 'a) -> Self {
        self.rename = Some(Box::new(rule));
        self
    }

    /// A rule that takes `prefix` off the names that begin with it: `module.`, as PyTorch's
    /// `DistributedDataParallel` adds it.
    pub fn strip_prefix(self, prefix: &'a str) -> Self {
        self.rename(move |name| Some(name.strip_prefix(prefix).unwrap_or(name).to_owned()))
    }
}

impl Default for LoadOptions<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LoadOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadOptions")
            .field("strict", &self.strict)
            .field("rename", &self.rename.is_some())
            .finish()
    }
}

/// What loading a state dict did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// States that were overwritten, in the order of the file.
    pub loaded: Vec<String>,
    /// Parameters and statistics of the store that the file does not have.
    pub missing: Vec<String>,
    /// Tensors of the file that are no parameter or statistic of the store, by their names in the
    /// file.
    pub unexpected: Vec<String>,
    /// States that the file has in another shape.
    pub other_shape: Vec<OtherShape>,
    /// Tensors that the rename rule left out, and PyTorch's counters `num_batches_tracked` where
    /// the store has no such state: a batch norm with a momentum does not use them.
    pub skipped: Vec<String>,
}

/// A state that a file has in another shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherShape {
    /// The state.
    pub name: String,
    /// Its shape in the file.
    pub found: Shape,
    /// Its shape in the store.
    pub expected: Shape,
}

/// Reads parameters and running statistics of a store from a safetensors file as PyTorch writes it,
/// as its `load_state_dict` does. Moving averages of what was read begin anew, equal to the
/// parameters.
///
/// Elements become those of the state: integers, `F64`, `F16` and `BF16` are rounded to the
/// nearest, ties to even; a finite number that the state's type cannot hold is an error. Where this
/// is not strict, states of another shape are left as they are too, and reported; PyTorch fails
/// there.
///
/// Nothing changes unless the whole load succeeds.
///
/// ```
/// use striate::interop::{LoadOptions, load_state_dict_bytes, safetensors};
/// use striate::prelude::*;
///
/// # fn main() -> Result<()> {
/// let file = safetensors::encode(&[
///     ("module.fc.weight".to_owned(), Tensor::f32([2], vec![1.0, 2.0])?),
///     ("module.head".to_owned(), Tensor::scalar(0.5)),
/// ])?;
/// let mut g = Graph::new();
/// g.parameter("fc.weight", [2], Init::Constant(0.0))?;
/// let store = Store::new(&Engine::cpu(), &[&g], 0)?;
/// let options = LoadOptions::new().strip_prefix("module.").strict(false);
/// let report = load_state_dict_bytes(&file, &store, &options)?;
/// assert_eq!(report.loaded, ["fc.weight"]);
/// assert_eq!(report.unexpected, ["module.head"]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `Io` and `Data` from the file; `Checkpoint` if elements cannot be converted, if two tensors are
/// for one state, or, where this is strict, if names or shapes differ; `OutOfMemory` and
/// `DeviceLost`.
#[cfg(not(target_arch = "wasm32"))]
pub fn load_state_dict(
    path: impl AsRef<Path>,
    store: &Store,
    options: &LoadOptions<'_>,
) -> Result<LoadReport> {
    let path = path.as_ref();
    let mut loading = Loading::new(store, options)?;
    super::safetensors::read_file(path, |entry, bytes| loading.take(entry, &bytes))?;
    loading.finish().map_err(|e| e.context(path.display()))
}

/// As `load_state_dict`, from the bytes of a file.
///
/// # Errors
/// `Data` and `Checkpoint` as `load_state_dict`; `OutOfMemory` and `DeviceLost`.
pub fn load_state_dict_bytes(
    bytes: &[u8],
    store: &Store,
    options: &LoadOptions<'_>,
) -> Result<LoadReport> {
    let mut loading = Loading::new(store, options)?;
    read_bytes(bytes, |entry, bytes| loading.take(entry, &bytes))?;
    loading.finish()
}

/// A load under way, which has changed nothing yet.
struct Loading<'a> {
    store: &'a Store,
    options: &'a LoadOptions<'a>,
    /// The states that may be read.
    wanted: Vec<(String, Type)>,
    types: HashMap<String, Type>,
    /// The tensor of the file that is for a state.
    taken: HashMap<String, Box<str>>,
    states: Vec<(String, Tensor)>,
    report: LoadReport,
}

impl<'a> Loading<'a> {
    fn new(store: &'a Store, options: &'a LoadOptions<'a>) -> Result<Self> {
        let wanted = network_names(store)
            .into_iter()
            .map(|name| {
                let ty = store.ty(&name)?.clone();
                Ok((name, ty))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            store,
            options,
            types: wanted.iter().cloned().collect(),
            wanted,
            taken: HashMap::new(),
            states: Vec::new(),
            report: LoadReport::default(),
        })
    }

    fn take(&mut self, entry: HeaderEntry, bytes: &[u8]) -> Result<()> {
        let report = &mut self.report;
        if *entry.name == *CARD {
            report.skipped.push(entry.name.into());
            return Ok(());
        }
        let name = match &self.options.rename {
            None => Some(entry.name.clone().into()),
            Some(rule) => rule(&entry.name),
        };
        let Some(name) = name else {
            report.skipped.push(entry.name.into());
            return Ok(());
        };
        let Some(ty) = self.types.get(&name) else {
            let counter = name.rsplit('.').next() == Some("num_batches_tracked");
            let list = if counter {
                &mut report.skipped
            } else {
                &mut report.unexpected
            };
            list.push(entry.name.into());
            return Ok(());
        };
        if let Some(other) = self.taken.insert(name.clone(), entry.name.clone()) {
            return Err(Error::new(
                ErrorKind::Checkpoint,
                format!(
                    "tensors \"{other}\" and \"{}\" are both for the state \"{name}\"",
                    entry.name
                ),
            ));
        }
        if entry.shape[..] != ty.shape[..] {
            report.other_shape.push(OtherShape {
                name,
                found: entry.shape.into_vec().into(),
                expected: ty.shape.clone(),
            });
            return Ok(());
        }
        let tensor = convert(entry.dtype, bytes, ty)
            .map_err(|e| e.context(format!("tensor \"{}\"", entry.name)))?;
        report.loaded.push(name.clone());
        self.states.push((name, tensor));
        Ok(())
    }

    fn finish(mut self) -> Result<LoadReport> {
        let missing = self.wanted.iter();
        let missing: Vec<_> = missing
            .filter(|(name, _)| !self.taken.contains_key(name))
            .collect();
        if self.options.strict {
            let absent = missing.iter().map(|(name, ty)| format!("\"{name}\" {ty}"));
            let others = self.report.unexpected.iter();
            let shapes = self.report.other_shape.iter();
            misfit(
                absent.collect(),
                others.clone().map(|name| format!("\"{name}\"")).collect(),
                shapes
                    .map(|s| format!("\"{}\" is {}, not {}", s.name, s.found, s.expected))
                    .collect(),
            )
            .map_err(|e| match Kind::of(others.map(|name| &**name)) {
                Some(kind) => e.context(kind.told()),
                None => e,
            })?;
        }
        self.report.missing = missing.into_iter().map(|(name, _)| name.clone()).collect();
        let averages = self.states.iter().filter_map(|(name, tensor)| {
            let average = average_name(name);
            let ty = self.store.ty(&average).ok()?;
            (ty == tensor.ty()).then(|| (average, tensor.clone()))
        });
        let averages: Vec<_> = averages.collect();
        self.states.extend(averages);
        self.store.restore(&self.states)?;
        Ok(self.report)
    }
}
