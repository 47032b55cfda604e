//! Shapes, element types and the geometry of windows.

use std::fmt;
use std::ops::Deref;

use crate::error::{Error, Result};

/// Element type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit float.
    F32,
    /// 16-bit float, a storage type.
    F16,
    /// 32-bit unsigned integer: labels, indices, counters.
    U32,
    /// Bytes: images as files hold them.
    U8,
}

impl DType {
    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            DType::F32 | DType::U32 => 4,
            DType::F16 => 2,
            DType::U8 => 1,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::U32 => "u32",
            DType::U8 => "u8",
        })
    }
}

/// Extents, outermost first; images are `[batch, channels, height, width]`. A scalar has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// Number of elements.
    pub fn count(&self) -> usize {
        self.0.iter().product()
    }

    /// Row-major strides, in elements.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.0.len()];
        for axis in (1..self.0.len()).rev() {
            strides[axis - 1] = strides[axis] * self.0[axis];
        }
        strides
    }

    /// Extent of axis 0; 1 for a scalar.
    pub fn rows(&self) -> usize {
        self.0.first().copied().unwrap_or(1)
    }

    /// The shape that `self` and `other` broadcast to (NumPy's rule: align at the last axis, 1 stretches).
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.len().max(other.len());
        let extent = |shape: &Shape, axis: usize| match (axis + shape.len()).checked_sub(rank) {
            Some(own) => shape[own],
            None => 1,
        };
        (0..rank)
            .map(|axis| match (extent(self, axis), extent(other, axis)) {
                (a, b) if a == b => Some(a),
                (1, b) => Some(b),
                (a, 1) => Some(a),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(Shape)
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl From<&[usize]> for Shape {
    fn from(extents: &[usize]) -> Self {
        Shape(extents.to_vec())
    }
}

impl From<Vec<usize>> for Shape {
    fn from(extents: Vec<usize>) -> Self {
        Shape(extents)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(extents: [usize; N]) -> Self {
        Shape(extents.to_vec())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// What a value is: shape and element type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Type {
    /// Extents.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
}

impl Type {
    /// Any type.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Self {
        Self {
            shape: shape.into(),
            dtype,
        }
    }

    /// An `f32` type.
    pub fn f32(shape: impl Into<Shape>) -> Self {
        Self::new(DType::F32, shape)
    }

    /// A `u32` type.
    pub fn u32(shape: impl Into<Shape>) -> Self {
        Self::new(DType::U32, shape)
    }

    /// A `u8` type.
    pub fn u8(shape: impl Into<Shape>) -> Self {
        Self::new(DType::U8, shape)
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.shape.count()
    }

    /// Elements of one row (axis 0); all of them for a scalar.
    pub fn row(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// Bytes that hold `count` elements, rounded up to 16 so that any value can be read as `vec4`s.
    pub fn padded_bytes(&self, count: usize) -> u64 {
        ((count as u64 * self.dtype.size() as u64).div_ceil(16) * 16).max(16)
    }

    /// Bytes of the whole value, rounded up to 16.
    pub fn bytes(&self) -> u64 {
        self.padded_bytes(self.count())
    }

    /// Checks that the element count stays below 2^31, so that `u32` indices never overflow; a zero extent counts as 1.
    pub fn check(&self) -> Result<()> {
        let count = self.shape.iter().try_fold(1u64, |product, &extent| {
            product.checked_mul(extent.max(1) as u64)
        });
        match count {
            Some(count) if count < 1 << 31 => Ok(()),
            _ => Err(Error::shape(format!(
                "{self} has 2^31 elements or more, the limit for one value"
            ))),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.dtype, self.shape)
    }
}

/// A 2D window (height, width) that walks over an image: convolution and pooling share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window2d {
    /// Extent of the window.
    pub kernel: [usize; 2],
    /// Step between windows.
    pub stride: [usize; 2],
    /// Rows and columns added before (top, left).
    pub before: [usize; 2],
    /// Rows and columns added after (bottom, right).
    pub after: [usize; 2],
    /// Step between the taps of one window.
    pub dilation: [usize; 2],
}

impl Window2d {
    fn axis(&self, axis: usize) -> Window {
        Window {
            kernel: self.kernel[axis],
            stride: self.stride[axis],
            before: self.before[axis],
            after: self.after[axis],
            dilation: self.dilation[axis],
        }
    }

    /// Number of windows along height and width (see [`Window::output`]).
    pub fn output(&self, input: [usize; 2], op: &str) -> Result<[usize; 2]> {
        Ok([
            self.axis(0).output(input[0], op, "height")?,
            self.axis(1).output(input[1], op, "width")?,
        ])
    }

    /// The input coordinate that output `out` and tap `tap` read along `axis`, or `None` in the padding.
    pub fn input(&self, axis: usize, out: usize, tap: usize, extent: usize) -> Option<usize> {
        self.axis(axis).input(out, tap, extent)
    }
}

/// How a window walks along one axis: convolution and pooling share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Taps of the window.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Elements added before the first.
    pub before: usize,
    /// Elements added after the last.
    pub after: usize,
    /// Step between the taps of one window.
    pub dilation: usize,
}

impl Window {
    /// The window of an axis of extent 1 that is not there: it changes nothing.
    pub const NONE: Self = Self {
        kernel: 1,
        stride: 1,
        before: 0,
        after: 0,
        dilation: 1,
    };

    /// Number of windows along an axis of `extent` elements:
    /// `(extent + before + after - dilation * (kernel - 1) - 1) / stride + 1`, rounded down, as PyTorch's Conv2d.
    pub fn output(&self, extent: usize, op: &str, axis: &str) -> Result<usize> {
        self.pooled(extent, false, op, axis)
    }

    /// As [`Window::output`] and, with `ceil_mode`, rounded up, as PyTorch's poolings: a last window that is cut short counts if it
    /// starts in the axis or before it.
    pub fn pooled(&self, extent: usize, ceil_mode: bool, op: &str, axis: &str) -> Result<usize> {
        let Self {
            kernel,
            stride,
            before,
            after,
            dilation,
        } = *self;
        if kernel == 0 || stride == 0 || dilation == 0 {
            return Err(Error::shape(format!(
                "{op}: kernel {kernel}, stride {stride} and dilation {dilation} along {axis} must be at least 1"
            )));
        }
        if stride.max(dilation) >= 1 << 31 {
            return Err(Error::shape(format!(
                "{op}: stride {stride} and dilation {dilation} along {axis} must be below 2^31"
            )));
        }
        let span = dilation
            .checked_mul(kernel - 1)
            .filter(|&taps| taps < (1 << 31) - 1)
            .map(|taps| taps + 1);
        let padded = before
            .checked_add(after)
            .and_then(|padding| padding.checked_add(extent))
            .filter(|&padded| padded < 1 << 31);
        let lacking = if ceil_mode { stride - 1 } else { 0 };
        match (span, padded) {
            (Some(span), Some(padded)) if span <= padded + lacking => {
                let count = (padded + lacking - span) / stride + 1;
                let beyond = ceil_mode && (count - 1) * stride >= extent + before;
                Ok(if beyond { count - 1 } else { count })
            }
            _ => Err(Error::shape(format!(
                "{op}: kernel {kernel} with dilation {dilation} does not fit {axis} {extent} with padding {before} and {after}"
            ))),
        }
    }

    /// The element that window number `window` reads with `tap`, or `None` in the padding.
    pub fn input(&self, window: usize, tap: usize, extent: usize) -> Option<usize> {
        (window * self.stride + tap * self.dilation)
            .checked_sub(self.before)
            .filter(|&i| i < extent)
    }
}
