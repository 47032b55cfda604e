//! Several states at once, as they are between two steps.

use super::{Content, Store, pieces};
use crate::error::{Error, Result};
use crate::plan::Entry;
use crate::tensor::Tensor;

impl Store {
    /// Reads several states as they are between two steps, after all steps submitted so far,
    /// whatever runs beside it.
    ///
    /// On a GPU the copies are one submit of their own, so that no step comes between them. A host
    /// that submits a step in pieces, which it recorded one by one, takes its snapshot between the
    /// last and the first of them.
    /// The copies are submitted when this is first polled; steps that are recorded and not
    /// submitted by then have not run.
    ///
    /// # Errors
    /// `Graph` if the store has no such state; `OutOfMemory`, `DeviceLost`, `Readback`.
    pub async fn snapshot_async(&self, names: &[impl AsRef<str>]) -> Result<Vec<(String, Tensor)>> {
        let names = names.iter().map(AsRef::as_ref);
        let named: Vec<(&str, &Entry)> = names
            .map(|name| Ok((name, self.entry(name)?)))
            .collect::<Result<_>>()?;
        let mut states = Vec::with_capacity(named.len());
        match &self.0.content {
            Content::Cpu(_) => {
                let arrays = {
                    let _turn = self.turn();
                    let arrays = named.iter().map(|(name, _)| self.array(name));
                    arrays.collect::<Result<Vec<_>>>()?
                };
                for ((name, _), array) in named.iter().zip(arrays) {
                    states.push(((*name).to_owned(), array.to_tensor()));
                }
            }
            Content::Gpu {
                gpu,
                chunks,
                staging,
            } => {
                let mut ranges = Vec::new();
                for (_, entry) in &named {
                    for part in &entry.parts {
                        let bytes = entry.ty.padded_bytes(part.rows.rows * entry.ty.row());
                        ranges.push((&chunks[part.chunk], part.offset, bytes));
                    }
                }
                let mut read = gpu.read(&[staging], &ranges).await?.into_iter();
                for (name, entry) in named {
                    let row = entry.ty.row() * entry.ty.dtype.size();
                    let mut joined = Vec::with_capacity(entry.ty.count() * entry.ty.dtype.size());
                    for (part, bytes) in entry.parts.iter().zip(&mut read) {
                        joined.extend_from_slice(&bytes[..part.rows.rows * row]);
                    }
                    states.push((name.to_owned(), Tensor::from_bytes(&entry.ty, &joined)?));
                }
            }
        }
        Ok(states)
    }

    /// As `snapshot_async`, waiting for the result.
    ///
    /// # Errors
    /// `Unsupported` on a borrowed device: await [`snapshot_async`](Self::snapshot_async) there.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn snapshot(&self, names: &[impl AsRef<str>]) -> Result<Vec<(String, Tensor)>> {
        super::blocking(self.engine(), self.snapshot_async(names))
    }

    /// Overwrites several states between two steps, after all steps submitted so far. Nothing
    /// changes unless every tensor fits its state and there is memory for all of them.
    ///
    /// On a GPU this is one submit, on a borrowed device too; nothing is polled. Steps that were
    /// recorded into encoders and are submitted later run on what is restored here, after the
    /// writes that were recorded with them: a host submits or drops such encoders first. A state
    /// that is named twice gets the later tensor.
    ///
    /// # Errors
    /// `Graph` if the store has no such state, `Shape` if a tensor is of another type;
    /// `OutOfMemory`, `DeviceLost`.
    pub fn restore(&self, states: &[(impl AsRef<str>, Tensor)]) -> Result<()> {
        let mut fitting = Vec::with_capacity(states.len());
        for (name, tensor) in states {
            fitting.push((name.as_ref(), self.fitting(name.as_ref(), tensor)?, tensor));
        }
        match &self.0.content {
            Content::Cpu(_) => {
                let mut made = Vec::with_capacity(fitting.len());
                for &(name, _, tensor) in &fitting {
                    made.push((name.to_owned(), tensor.to_array()?.into()));
                }
                let _turn = self.turn();
                self.arrays()?.extend(made);
            }
            Content::Gpu { gpu, staging, .. } => {
                let mut writes = Vec::new();
                for &(_, entry, tensor) in &fitting {
                    writes.extend(pieces(tensor, self.places(entry)));
                }
                gpu.write_all(staging, &writes)?;
            }
        }
        for (name, entry, tensor) in fitting {
            self.note(name, entry.kind, tensor);
        }
        Ok(())
    }

    /// The place of a state that `tensor` may overwrite.
    pub(super) fn fitting(&self, name: &str, tensor: &Tensor) -> Result<&Entry> {
        let entry = self.entry(name)?;
        if tensor.ty() != &entry.ty {
            return Err(Error::shape(format!(
                "state \"{name}\" is {}, the tensor {}",
                entry.ty,
                tensor.ty()
            )));
        }
        Ok(entry)
    }
}
