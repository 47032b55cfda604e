//! Adaptive and global pooling: windows given by their number. The ops are those of max and average
//! pooling.

use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::ops::expect_f32;
use crate::shape::{PerAxis, Type};

use super::average::{Average, AveragePool};
use super::max::Indices;
use super::windows::Windows;

/// So many windows along each axis, outermost first, as PyTorch's `AdaptiveAvgPool1d`,
/// `AdaptiveAvgPool2d` and `AdaptiveAvgPool3d`: window i of n from `floor(i * extent / n)` to
/// `ceil((i + 1) * extent / n)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveAvgPool<const D: usize> {
    /// Extents of the output.
    pub output: [usize; D],
}

impl<const D: usize> AdaptiveAvgPool<D> {
    /// So many windows along all axes, or along each.
    pub fn new(output: impl Into<PerAxis<D>>) -> Self {
        let PerAxis(output) = output.into();
        Self { output }
    }
}

/// Adaptive average pooling over `[n, c, length]`.
pub type AdaptiveAvgPool1d = AdaptiveAvgPool<1>;
/// Adaptive average pooling over `[n, c, height, width]`.
pub type AdaptiveAvgPool2d = AdaptiveAvgPool<2>;
/// Adaptive average pooling over `[n, c, depth, height, width]`.
pub type AdaptiveAvgPool3d = AdaptiveAvgPool<3>;

/// As [`AdaptiveAvgPool`], for maxima: PyTorch's `AdaptiveMaxPool1d`, `AdaptiveMaxPool2d` and
/// `AdaptiveMaxPool3d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveMaxPool<const D: usize> {
    /// Extents of the output.
    pub output: [usize; D],
}

impl<const D: usize> AdaptiveMaxPool<D> {
    /// So many windows along all axes, or along each.
    pub fn new(output: impl Into<PerAxis<D>>) -> Self {
        let PerAxis(output) = output.into();
        Self { output }
    }
}

/// Adaptive max pooling over `[n, c, length]`.
pub type AdaptiveMaxPool1d = AdaptiveMaxPool<1>;
/// Adaptive max pooling over `[n, c, height, width]`.
pub type AdaptiveMaxPool2d = AdaptiveMaxPool<2>;
/// Adaptive max pooling over `[n, c, depth, height, width]`.
pub type AdaptiveMaxPool3d = AdaptiveMaxPool<3>;

/// # Adaptive and global pooling
impl Graph {
    /// The mean of each window of x `[n, c, ...]`, as many as `pool` says.
    pub fn adaptive_avg_pool<const D: usize>(
        &mut self,
        x: Value,
        pool: AdaptiveAvgPool<D>,
    ) -> Result<Value> {
        let average = Average::Mean {
            count_include_pad: false,
            divisor_override: None,
        };
        let windows = Windows::adaptive(pool.output);
        self.batched1(x, 2 + D, |g, x| {
            g.apply1(AveragePool { windows, average }, &[x])
        })
    }

    /// The largest element of each window of x `[n, c, ...]`, as many as `pool` says.
    pub fn adaptive_max_pool<const D: usize>(
        &mut self,
        x: Value,
        pool: AdaptiveMaxPool<D>,
    ) -> Result<Value> {
        Ok(self.adaptive_max_pool_with_indices(x, pool)?.0)
    }

    /// As [`Graph::adaptive_max_pool`], with the `u32` index (d * height + h) * width + w of each
    /// element in its plane.
    pub fn adaptive_max_pool_with_indices<const D: usize>(
        &mut self,
        x: Value,
        pool: AdaptiveMaxPool<D>,
    ) -> Result<(Value, Value)> {
        let windows = Windows::adaptive(pool.output);
        let outputs = self.batched(x, 2 + D, |g, x| {
            Ok(g.max_pool_by(x, windows, Indices::Plane)?.into())
        })?;
        Ok(outputs.into())
    }

    /// The mean of each plane of x `[n, c, ...]`: all axes from the third on become 1. Three axes
    /// are `[n, c, length]`, never one image `[c, height, width]`: take
    /// [`adaptive_avg_pool`](Self::adaptive_avg_pool) to 1 for that.
    pub fn global_avg_pool(&mut self, x: Value) -> Result<Value> {
        let ty = self.operand("global_avg_pool", x)?;
        expect_planes("global_avg_pool", ty)?;
        let axes: Vec<usize> = (2..ty.shape.len()).collect();
        self.mean(x, &axes, true)
    }

    /// The largest element of each plane of x, `[n, c, length]` to `[n, c, depth, height, width]`:
    /// all axes from the third on become 1. Three axes are never one image `[c, height, width]`:
    /// take [`adaptive_max_pool`](Self::adaptive_max_pool) to 1 for that.
    pub fn global_max_pool(&mut self, x: Value) -> Result<Value> {
        let ty = self.operand("global_max_pool", x)?;
        expect_planes("global_max_pool", ty)?;
        match ty.shape.len() {
            3 => self.adaptive_max_pool(x, AdaptiveMaxPool { output: [1] }),
            4 => self.adaptive_max_pool(x, AdaptiveMaxPool { output: [1; 2] }),
            _ => self.adaptive_max_pool(x, AdaptiveMaxPool { output: [1; 3] }),
        }
    }
}

/// Fails unless x is `[n, c, ...]` with one to three axes more and at least one element in a plane.
fn expect_planes(op: &str, x: &Type) -> Result<()> {
    expect_f32(op, "x", x)?;
    if (3..=5).contains(&x.shape.len()) && x.shape[2..].iter().all(|&extent| extent > 0) {
        return Ok(());
    }
    Err(Error::shape(format!(
        "{op}: x {} is not [batch, channels, ...] with 1 to 3 axes more and at least one element",
        x.shape
    )))
}
