//! How ops run: the machines that many of them share. Each emits dispatches for operands as they
//! are cut into parts; none knows an op.

pub(crate) mod broadcast;
pub(crate) mod copy;
pub(crate) mod fill;
pub(crate) mod gemm;
pub(crate) mod pieces;
pub(crate) mod reduction;
pub(crate) mod rows;
pub(crate) mod runs;
pub(crate) mod strided;

use crate::kernel::{Io, Kernel, Operand, Overrides, Part};
use crate::shape::{Shape, Type};

/// The kernels of the machines.
pub(crate) fn kernels() -> impl Iterator<Item = Kernel> {
    let fixed = [
        copy::KERNELS,
        fill::KERNELS,
        gemm::KERNELS,
        pieces::KERNELS,
        reduction::KERNELS,
        strided::KERNELS,
    ];
    let fixed = fixed.concat().into_iter().cloned();
    fixed.chain(reduction::kernels())
}

/// The value of an override; 1 where a set leaves it out.
pub(crate) fn value(overrides: Overrides, name: &str) -> usize {
    let found = overrides.iter().find(|(n, _)| *n == name);
    found.map_or(1, |&(_, value)| value as usize)
}

/// The variant of a kernel whose overrides have these values.
pub(crate) fn variant(kernel: &Kernel, wanted: &[(&str, usize)]) -> Overrides {
    let holds = |set: &Overrides, name, n| set.contains(&(name, n as u32));
    let is_wanted = |set: &&Overrides| wanted.iter().all(|&(name, n)| holds(set, name, n));
    let found = kernel.variants.iter().find(is_wanted);
    found.expect("a kernel lists what its ops choose")
}

/// Number of `vec4`s that hold `rows` rows of `ty`.
pub(crate) fn quads(ty: &Type, rows: usize) -> usize {
    (ty.row() * rows).div_ceil(4)
}

/// An operand, and how it is cut along axis 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut<'a> {
    pub(crate) operand: Operand,
    pub(crate) shape: &'a Shape,
    pub(crate) parts: &'a [Part],
}

impl<'a> Cut<'a> {
    pub(crate) fn input(io: &'a Io, i: usize) -> Self {
        Self {
            operand: Operand::Input(i),
            shape: &io.inputs[i].shape,
            parts: &io.input_parts[i],
        }
    }

    pub(crate) fn output(io: &'a Io, i: usize) -> Self {
        Self {
            operand: Operand::Output(i),
            shape: &io.outputs[i].shape,
            parts: &io.output_parts[i],
        }
    }

    /// Elements of one row.
    pub(crate) fn row(&self) -> usize {
        self.shape.iter().skip(1).product()
    }
}
