//! Textures of a host's as tensors, and tensors as textures.

mod input;
mod output;
mod places;
mod read;
mod transfer;
mod video;
mod write;

pub use input::{TexelResize, Texels, TextureInput};
pub use output::{Paint, TextureOutput};
pub use read::ReadTextures;
pub use transfer::{Curve, Transfer};
pub use video::VideoRange;
pub use write::WriteTexture;

use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::kernel::{Kernel, Overrides};
use crate::shape::Type;
use crate::tensor::Tensor;

/// The most textures of one [`TextureInput`].
pub(crate) const MOST_TEXTURES: usize = 4;

const WORKGROUP: usize = 64;
const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

pub(in crate::ops) fn kernels() -> Vec<&'static Kernel> {
    let mut kernels = vec![&read::READ_TEXTURES];
    kernels.extend(write::kernels());
    kernels
}

/// The exposure, 1 unless it is given, and the origin, (0, 0) unless it is given.
fn operands(g: &mut Graph, exposure: Option<Value>, origin: Option<Value>) -> Result<[Value; 2]> {
    Ok([
        match exposure {
            Some(exposure) => exposure,
            None => g.constant(Tensor::f32([1], vec![1.0])?)?,
        },
        match origin {
            Some(origin) => origin,
            None => g.constant(Tensor::u32([2], vec![0, 0])?)?,
        },
    ])
}

/// Fails unless the operands have the types of [`operands`]; an origin may be so many numbers.
fn expect_operands(op: &str, exposure: &Type, origin: &Type, numbers: usize) -> Result<()> {
    crate::ops::expect_type(op, "exposure", exposure, &Type::f32([1]))?;
    crate::ops::expect_type(op, "origin", origin, &Type::u32([numbers]))
}
