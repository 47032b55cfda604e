//! What an op is told of its operands when it lowers, and what it answers.

use super::{Dispatch, Operand, Part};
use crate::error::{Error, ErrorKind, Result};
use crate::shape::Type;

/// Where a stateful operand lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Location {
    /// Chunk buffer.
    pub chunk: usize,
    /// First byte.
    pub offset: u64,
    /// Bytes up to the next entry.
    pub bytes: u64,
}

/// What an op knows of its operands while it lowers.
#[derive(Debug, Clone, Default)]
pub struct Io {
    /// Types of the inputs.
    pub inputs: Vec<Type>,
    /// Types of the outputs.
    pub outputs: Vec<Type>,
    /// For each output, the input whose buffer it shares.
    pub in_place: Vec<Option<usize>>,
    /// Parts of each input.
    pub input_parts: Vec<Vec<Part>>,
    /// Parts of each output.
    pub output_parts: Vec<Vec<Part>>,
    /// Store location of each input that is state in one part.
    pub input_locations: Vec<Option<Location>>,
    /// Store location of each output that is written straight into state in one part.
    pub output_locations: Vec<Option<Location>>,
}

impl Io {
    /// Where an operand lies in the store, if it does, in one part.
    pub fn location(&self, operand: Operand) -> Option<Location> {
        match operand {
            Operand::Input(i) => *self.input_locations.get(i)?,
            Operand::Output(i) => *self.output_locations.get(i)?,
            Operand::Scratch(_) => None,
        }
    }

    /// The parts of an operand; none for scratch, which is never cut, and for what is not there.
    pub fn parts(&self, operand: Operand) -> &[Part] {
        let parts = match operand {
            Operand::Input(i) => self.input_parts.get(i),
            Operand::Output(i) => self.output_parts.get(i),
            Operand::Scratch(_) => None,
        };
        parts.map_or(&[], Vec::as_slice)
    }

    /// Fails if any operand is cut into several parts: for ops that work on whole values.
    pub fn whole(&self, op: &str) -> Result<()> {
        let inputs = (0..self.inputs.len()).map(Operand::Input);
        let outputs = (0..self.outputs.len()).map(Operand::Output);
        self.in_one_part(op, &inputs.chain(outputs).collect::<Vec<_>>())
    }

    /// Fails if one of `operands` is cut into several parts.
    pub fn in_one_part(&self, op: &str, operands: &[Operand]) -> Result<()> {
        let cut = |operand: &&Operand| self.parts(**operand).len() > 1;
        let ty = match operands.iter().find(cut) {
            Some(&Operand::Input(i)) => self.inputs.get(i),
            Some(&Operand::Output(i)) => self.outputs.get(i),
            Some(Operand::Scratch(_)) | None => None,
        };
        let Some(ty) = ty else { return Ok(()) };
        Err(Error::new(
            ErrorKind::Limit,
            format!(
                "{op}: {ty} takes {} bytes, more than the device binds at once, and {op} does not \
                 work on parts of it",
                ty.bytes()
            ),
        ))
    }
}

/// The dispatches of one node, as `lower` emits them.
#[derive(Debug, Clone, Default)]
pub struct Lowering {
    /// In the order in which they run.
    pub dispatches: Vec<Dispatch>,
    /// Types of the scratch buffers.
    pub scratch: Vec<Type>,
}

impl Lowering {
    /// A buffer that lives while the node runs. Its content is undefined until written.
    pub fn scratch(&mut self, ty: Type) -> Operand {
        self.scratch.push(ty);
        Operand::Scratch(self.scratch.len() - 1)
    }

    /// Says why the dispatches from number `first` on were chosen, before what they say themselves.
    pub fn explain(&mut self, first: usize, reason: &'static str) {
        for dispatch in self.dispatches.iter_mut().skip(first) {
            dispatch.reason = match dispatch.reason.is_empty() {
                true => reason.into(),
                false => format!("{reason}; {}", dispatch.reason).into(),
            };
        }
    }

    /// Appends a dispatch; one without workgroups is dropped.
    pub fn push(&mut self, dispatch: Dispatch) {
        if dispatch.workgroups > 0 {
            self.dispatches.push(dispatch);
        }
    }
}
