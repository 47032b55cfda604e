//! Pooling over one, two or three axes: max with indices, mean, Lp, adaptive and global forms, max unpooling.
//!
//! All but unpooling walk over [`Windows`]; their gradients are gathered, each element over the windows that reach over it.

mod adaptive;
mod average;
mod max;
mod max_grad;
mod max_kernels;
mod unpool;
mod windows;

use crate::kernel::{Dispatch, Kernel, Operand, Overrides};

pub use adaptive::{
    AdaptiveAvgPool, AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool,
    AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d,
};
pub use average::{
    Average, AveragePool, AveragePoolGrad, AvgPool, AvgPool1d, AvgPool2d, AvgPool3d, LpPool,
    LpPool1d, LpPool2d, LpPool3d,
};
pub use max::{Indices, MaxPool, MaxPool1d, MaxPool2d, MaxPool3d, MaxPoolForward};
pub use max_grad::{MaxPoolGather, MaxPoolGrad};
pub use unpool::{
    MaxUnpool, MaxUnpool1d, MaxUnpool2d, MaxUnpool3d, MaxUnpoolForward, MaxUnpoolGrad,
};
pub use windows::Windows;

const WORKGROUP: usize = 64;
const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

/// Binds the inputs of an op and its output, in this order, each in its part of a run of rows.
fn operands(dispatch: Dispatch, parts: &[usize]) -> Dispatch {
    let inputs = parts.len() - 1;
    let bound = (0..inputs).fold(dispatch, |dispatch, input| {
        dispatch.read(Operand::Input(input)).part(parts[input])
    });
    bound.write(Operand::Output(0)).part(parts[inputs])
}

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    [max_kernels::kernels(), average::kernels()].concat()
}

pub(super) const KERNELS: &[&Kernel] = unpool::KERNELS;
