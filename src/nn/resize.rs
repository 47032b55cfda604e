//! Layers that change the extents of images: padding, upsampling, pixel shuffling.

use super::{Build, Module};
use crate::error::Result;
use crate::graph::Value;
use crate::shape::PaddingMode;

pub use crate::ops::InterpolateMode;

/// Padding of the last axes: PyTorch's `ZeroPad`, `ConstantPad`, `ReflectionPad`, `ReplicationPad`
/// and `CircularPad`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pad {
    /// Before and after each of the last axes, innermost first: `[left, right, top, bottom, front,
    /// back]`.
    pub padding: Vec<isize>,
    /// What is added.
    pub mode: PaddingMode,
    /// What `Zeros` adds.
    pub value: f32,
}

impl Pad {
    /// `padding` by `mode`.
    pub fn new(padding: &[isize], mode: PaddingMode) -> Self {
        Self {
            padding: padding.to_vec(),
            mode,
            value: 0.0,
        }
    }

    /// `padding` by a number.
    pub fn constant(padding: &[isize], value: f32) -> Self {
        Self {
            padding: padding.to_vec(),
            mode: PaddingMode::Zeros,
            value,
        }
    }
}

impl Module for Pad {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("Pad", |cx| match self.mode {
            PaddingMode::Zeros => cx.graph().pad_constant(x, &self.padding, self.value),
            mode => cx.graph().pad(x, &self.padding, mode),
        })
    }
}

/// Resizing of the axes after batch and channels, to a size or by factors.
#[derive(Debug, Clone, PartialEq)]
pub struct Upsample {
    target: ResizeTarget,
    /// How the elements between those of an image are found.
    pub mode: InterpolateMode,
}

#[derive(Debug, Clone, PartialEq)]
enum ResizeTarget {
    Size(Vec<usize>),
    Factors(Vec<f64>),
}

impl Upsample {
    /// All axes by one factor.
    pub fn by(factor: f64, mode: InterpolateMode) -> Self {
        Self::by_each(&[factor], mode)
    }

    /// Each axis by its factor.
    pub fn by_each(factors: &[f64], mode: InterpolateMode) -> Self {
        let target = ResizeTarget::Factors(factors.to_vec());
        Self { target, mode }
    }

    /// To these extents.
    pub fn to(size: &[usize], mode: InterpolateMode) -> Self {
        let target = ResizeTarget::Size(size.to_vec());
        Self { target, mode }
    }
}

impl Module for Upsample {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("Upsample", |cx| match &self.target {
            ResizeTarget::Size(size) => cx.graph().interpolate(x, size, self.mode),
            ResizeTarget::Factors(factors) => cx.graph().interpolate_by(x, factors, self.mode),
        })
    }
}

/// `[n, c * r * r, h, w]` as `[n, c, h * r, w * r]`, for this r.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelShuffle(pub usize);

impl Module for PixelShuffle {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("PixelShuffle", |cx| cx.graph().pixel_shuffle(x, self.0))
    }
}

/// `[n, c, h * r, w * r]` as `[n, c * r * r, h, w]`, for this r.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelUnshuffle(pub usize);

impl Module for PixelUnshuffle {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("PixelUnshuffle", |cx| cx.graph().pixel_unshuffle(x, self.0))
    }
}
