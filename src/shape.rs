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
    /// Number of elements; `usize::MAX` if there are more, which [`Type::check`] refuses.
    pub fn count(&self) -> usize {
        product(&self.0)
    }

    /// Row-major strides, in elements; `usize::MAX` where one is larger.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1usize; self.0.len()];
        for axis in (1..self.0.len()).rev() {
            strides[axis - 1] = strides[axis].saturating_mul(self.0[axis]);
        }
        strides
    }

    /// Extent of axis 0; 1 for a scalar.
    pub fn rows(&self) -> usize {
        self.0.first().copied().unwrap_or(1)
    }

    /// The shape that `self` and `other` broadcast to (NumPy's rule: align at the last axis, 1
    /// stretches).
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

/// The product of extents, `usize::MAX` if it is larger.
fn product(extents: &[usize]) -> usize {
    if extents.contains(&0) {
        return 0;
    }
    let times = |product: usize, &extent: &usize| product.saturating_mul(extent);
    extents.iter().fold(1, times)
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
        product(self.shape.get(1..).unwrap_or(&[]))
    }

    /// Bytes that hold `count` elements, rounded up to 16 so that any value can be read as `vec4`s.
    pub fn padded_bytes(&self, count: usize) -> u64 {
        let bytes = (count as u64).saturating_mul(self.dtype.size() as u64);
        bytes
            .checked_next_multiple_of(16)
            .unwrap_or(u64::MAX - 15)
            .max(16)
    }

    /// Bytes of the whole value, rounded up to 16.
    pub fn bytes(&self) -> u64 {
        self.padded_bytes(self.count())
    }

    /// Checks that the element count stays below 2^31, so that `u32` indices never overflow; a zero
    /// extent counts as 1.
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

/// A number for each of `D` axes, outermost first: one for all, as `2`, or one for each, as
/// `[2, 3]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PerAxis<const D: usize>(pub [usize; D]);

impl<const D: usize> From<usize> for PerAxis<D> {
    fn from(all: usize) -> Self {
        Self([all; D])
    }
}

impl<const D: usize> From<[usize; D]> for PerAxis<D> {
    fn from(each: [usize; D]) -> Self {
        Self(each)
    }
}

/// Numbers for both sides of each of `D` axes, outermost first: one for all, as `1`, one for each
/// axis, as `[1, 2]`, or one before and one after each axis, as `[[0, 1], [2, 2]]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BothSides<const D: usize>(pub [[usize; 2]; D]);

impl<const D: usize> From<usize> for BothSides<D> {
    fn from(all: usize) -> Self {
        Self([[all; 2]; D])
    }
}

impl<const D: usize> From<[usize; D]> for BothSides<D> {
    fn from(each: [usize; D]) -> Self {
        Self(each.map(|both| [both; 2]))
    }
}

impl<const D: usize> From<[[usize; 2]; D]> for BothSides<D> {
    fn from(each: [[usize; 2]; D]) -> Self {
        Self(each)
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

    /// Number of windows along an axis of `extent` elements: `(extent + before + after - dilation *
    /// (kernel - 1) - 1) / stride + 1`, rounded down, as PyTorch's Conv2d.
    pub fn output(&self, extent: usize, op: &str, axis: &str) -> Result<usize> {
        self.pooled(extent, false, op, axis)
    }

    /// As [`Window::output`] and, with `ceil_mode`, rounded up, as PyTorch's poolings: a last
    /// window that is cut short counts if it starts in the axis or before it.
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
                "{op}: kernel {kernel}, stride {stride} and dilation {dilation} along {axis} must \
                 be at least 1"
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
                "{op}: kernel {kernel} with dilation {dilation} does not fit {axis} {extent} with \
                 padding {before} and {after}"
            ))),
        }
    }

    /// The element that window number `window` reads with `tap`, or `None` in the padding.
    pub fn input(&self, window: usize, tap: usize, extent: usize) -> Option<usize> {
        let at = window.checked_mul(self.stride)?;
        at.checked_add(tap.checked_mul(self.dilation)?)?
            .checked_sub(self.before)
            .filter(|&i| i < extent)
    }
}

/// What lies beyond the ends of a padded axis, in PyTorch's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PaddingMode {
    /// Zeros, which no product reads.
    #[default]
    Zeros,
    /// The axis backwards, without repeating its end: `c b | a b c | b a`.
    Reflect,
    /// The end itself: `a a | a b c | c c`.
    Replicate,
    /// The axis again: `b c | a b c | a b`.
    Circular,
}

impl PaddingMode {
    /// The element of an axis of `extent` that stands at `at`, counted from element 0 and negative
    /// before it; `None` for a zero. `None` too beyond a padding that [`PaddingMode::check`]
    /// accepts.
    pub fn source(self, at: isize, extent: usize) -> Option<usize> {
        let end = isize::try_from(extent).ok()?;
        let from = match self {
            _ if (0..end).contains(&at) => Some(at),
            PaddingMode::Zeros => None,
            PaddingMode::Reflect if at < 0 => at.checked_neg(),
            PaddingMode::Reflect => (end - 1).checked_sub(at)?.checked_add(end - 1),
            PaddingMode::Replicate => Some(at.min(end - 1).max(0)),
            PaddingMode::Circular if at < 0 => at.checked_add(end),
            PaddingMode::Circular => at.checked_sub(end),
        };
        usize::try_from(from?).ok().filter(|&from| from < extent)
    }

    /// Fails unless `axis` of `extent` elements can be padded by `padding` (before, after):
    /// reflection needs paddings below the extent, circular ones at most the extent, replication an
    /// element.
    pub fn check(self, padding: [usize; 2], extent: usize, op: &str, axis: &str) -> Result<()> {
        let largest = padding[0].max(padding[1]);
        let (fits, rule) = match self {
            PaddingMode::Zeros => (true, ""),
            PaddingMode::Reflect => (largest < extent, "less than the extent"),
            PaddingMode::Replicate => (extent > 0, "of at least one element"),
            PaddingMode::Circular => (largest <= extent, "at most the extent"),
        };
        if fits || largest == 0 {
            return Ok(());
        }
        let [before, after] = padding;
        Err(Error::shape(format!(
            "{op}: {self:?} padding {before} and {after} of {axis} {extent} must be {rule}"
        )))
    }

    /// Its number in `shaders/lib/pad.wgsl`.
    pub(crate) fn number(self) -> usize {
        match self {
            PaddingMode::Zeros => 0,
            PaddingMode::Reflect => 1,
            PaddingMode::Replicate => 2,
            PaddingMode::Circular => 3,
        }
    }
}

/// A shape with another extent along an axis.
pub(crate) fn resized(shape: &Shape, axis: usize, extent: usize) -> Shape {
    let mut extents = shape.to_vec();
    extents[axis] = extent;
    extents.into()
}

/// Extents of a shape seen as `[outer, extent, inner]` around an axis.
pub(crate) fn around(shape: &Shape, axis: usize) -> [usize; 3] {
    let inner = shape[axis + 1..].iter().product();
    [shape[..axis].iter().product(), shape[axis], inner]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(mode: PaddingMode, [before, after]: [isize; 2], extent: isize) -> String {
        let letter = |at| match mode.source(at, extent as usize) {
            Some(i) => char::from(b'a' + i as u8),
            None => '0',
        };
        (-before..extent + after).map(letter).collect()
    }

    #[test]
    fn padding_modes_follow_pytorch() {
        assert_eq!(padded(PaddingMode::Zeros, [2, 1], 3), "00abc0");
        assert_eq!(padded(PaddingMode::Reflect, [2, 2], 3), "cbabcba");
        assert_eq!(padded(PaddingMode::Replicate, [4, 2], 3), "aaaaabccc");
        assert_eq!(padded(PaddingMode::Replicate, [1, 2], 1), "aaaa");
        assert_eq!(padded(PaddingMode::Circular, [3, 3], 3), "abcabcabc");
        assert_eq!(padded(PaddingMode::Circular, [1, 2], 3), "cabcab");
    }

    #[test]
    fn paddings_that_have_no_source_are_refused() {
        let refused = |mode: PaddingMode, padding, extent| {
            mode.check(padding, extent, "pad", "width")
                .err()
                .map(|error| error.to_string())
        };
        assert_eq!(refused(PaddingMode::Zeros, [9, 9], 0), None);
        assert_eq!(refused(PaddingMode::Reflect, [2, 2], 3), None);
        assert_eq!(
            refused(PaddingMode::Reflect, [0, 3], 3).as_deref(),
            Some("pad: Reflect padding 0 and 3 of width 3 must be less than the extent")
        );
        assert_eq!(refused(PaddingMode::Reflect, [0, 0], 0), None);
        assert_eq!(refused(PaddingMode::Circular, [3, 3], 3), None);
        assert!(refused(PaddingMode::Circular, [4, 0], 3).is_some());
        assert_eq!(refused(PaddingMode::Replicate, [9, 9], 1), None);
        assert!(refused(PaddingMode::Replicate, [1, 0], 0).is_some());
    }
}
