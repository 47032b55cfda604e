//! The ops, one file per family: parameters and builder, shape rule, reference, gradient, lowering, in this order.

use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::shape::{DType, Type};

/// The texts of WGSL files, named by their path below `shaders/` without the extension.
macro_rules! shader_files {
    ($($name:literal),+ $(,)?) => {
        &[$(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl"))),+]
    };
}

mod elementwise;
mod movement;
mod pool;
mod reduce;
mod update;

pub use elementwise::{Binary, BinaryFunction, Fill, Unary, UnaryFunction};
pub use movement::Reshape;
pub use pool::{AvgPool2d, AvgPool2dGrad, MaxPool2d, MaxPool2dForward, MaxPool2dGrad};
pub use reduce::Sum;
pub use update::{Adam, Lookup, Rule, Sgd, Update, Updated};

/// Every kernel of the crate, for tests that translate and measure them.
pub fn kernels() -> Vec<&'static Kernel> {
    [
        elementwise::KERNELS,
        pool::KERNELS,
        reduce::KERNELS,
        update::KERNELS,
    ]
    .concat()
}

/// Fails unless `operand` of `op` has the dtype that the op needs.
fn expect_dtype(op: &str, operand: &str, ty: &Type, wanted: DType) -> Result<()> {
    if ty.dtype == wanted {
        return Ok(());
    }
    Err(Error::shape(format!(
        "{op}: {operand} is {ty}, {wanted} is needed"
    )))
}

/// Fails unless `operand` of `op` is `f32`.
fn expect_f32(op: &str, operand: &str, ty: &Type) -> Result<()> {
    expect_dtype(op, operand, ty, DType::F32)
}
