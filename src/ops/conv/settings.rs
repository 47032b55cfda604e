//! The settings of convolutions and transposed convolutions, and their builders.

use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::shape::{BothSides, PaddingMode, PerAxis};

use super::walk::{ConvTransposeWalk, ConvWalk, TRANSPOSED};
use super::{ConvForward, ConvGradInput};

/// How a convolution over `D` axes, the last ones of its input, walks over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv<const D: usize> {
    /// Step along each axis.
    pub stride: [usize; D],
    /// Elements added before and after each axis.
    pub padding: [[usize; 2]; D],
    /// Step between kernel taps along each axis.
    pub dilation: [usize; D],
    /// Input and output channels are cut into this many groups that do not see each other.
    pub groups: usize,
    /// What the padding holds.
    pub padding_mode: PaddingMode,
}

/// Over `[N, C, L]`.
pub type Conv1d = Conv<1>;
/// Over `[N, C, H, W]`.
pub type Conv2d = Conv<2>;
/// Over `[N, C, D, H, W]`.
pub type Conv3d = Conv<3>;

impl<const D: usize> Default for Conv<D> {
    /// Stride 1, no padding, dilation 1, one group.
    fn default() -> Self {
        Self {
            stride: [1; D],
            padding: [[0; 2]; D],
            dilation: [1; D],
            groups: 1,
            padding_mode: PaddingMode::Zeros,
        }
    }
}

impl<const D: usize> Conv<D> {
    /// Stride 1, no padding, dilation 1, one group.
    pub fn new() -> Self {
        Self::default()
    }

    /// Steps along all axes, or along each.
    pub fn stride(mut self, stride: impl Into<PerAxis<D>>) -> Self {
        self.stride = stride.into().0;
        self
    }

    /// Elements added on all sides, on both sides of each axis, or before and after each.
    pub fn padding(mut self, padding: impl Into<BothSides<D>>) -> Self {
        self.padding = padding.into().0;
        self
    }

    /// Steps between kernel taps along all axes, or along each.
    pub fn dilation(mut self, dilation: impl Into<PerAxis<D>>) -> Self {
        self.dilation = dilation.into().0;
        self
    }

    /// Groups of channels that do not see each other.
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// What the padding holds.
    pub fn padding_mode(mut self, mode: PaddingMode) -> Self {
        self.padding_mode = mode;
        self
    }

    /// No padding: every window lies within the input. PyTorch's `padding="valid"`.
    pub fn valid(self) -> Self {
        Self {
            padding: [[0; 2]; D],
            ..self
        }
    }

    /// Padding of `dilation * (kernel - 1)` in all, the odd element after the axis, so that at
    /// stride 1 the extents stay: PyTorch's `padding="same"`. The split does not depend on the
    /// stride. PyTorch refuses strides other than 1; here they give `ceil(extent / stride)`
    /// windows, the first of which begins in the padding. TensorFlow and ONNX place them otherwise:
    /// see [`Conv::same_upper`].
    pub fn same(self, kernel: impl Into<PerAxis<D>>) -> Self {
        let PerAxis(kernel) = kernel.into();
        let around = |axis: usize| {
            let all = self.dilation[axis].saturating_mul(kernel[axis].saturating_sub(1));
            [all / 2, all - all / 2]
        };
        Self {
            padding: std::array::from_fn(around),
            ..self
        }
    }
}

impl<const D: usize> Conv<D> {
    /// The least padding that gives `ceil(extent / stride)` windows along axes of these `extents`,
    /// half of it before each axis and an odd element after it: ONNX's `auto_pad="SAME_UPPER"`,
    /// TensorFlow's `"SAME"`. At stride 1 that is [`Conv::same`].
    ///
    /// [1, 2, 3, 4] under [1, 10, 100] at stride 2 gives [321, 43], with [`Conv::same`] [210, 432].
    pub fn same_upper(self, extents: [usize; D], kernel: impl Into<PerAxis<D>>) -> Self {
        let PerAxis(kernel) = kernel.into();
        let around = |axis: usize| {
            let (extent, stride) = (extents[axis], self.stride[axis].max(1));
            let span = self.dilation[axis].saturating_mul(kernel[axis].saturating_sub(1));
            let last = extent.div_ceil(stride).saturating_sub(1) * stride;
            let reach = last.saturating_add(span).saturating_add(1);
            let all = reach.saturating_sub(extent);
            [all / 2, all - all / 2]
        };
        Self {
            padding: std::array::from_fn(around),
            ..self
        }
    }
}

/// How a transposed convolution over `D` axes walks over its output: it is the gradient of the
/// convolution with these settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvTranspose<const D: usize> {
    /// Step in the output along each axis.
    pub stride: [usize; D],
    /// Elements cut off the output before and after each axis.
    pub padding: [[usize; 2]; D],
    /// Elements added to the output after each axis, less than the stride or the dilation.
    pub output_padding: [usize; D],
    /// Step between kernel taps along each axis.
    pub dilation: [usize; D],
    /// Input and output channels are cut into this many groups that do not see each other.
    pub groups: usize,
}

/// Over `[N, C, L]`.
pub type ConvTranspose1d = ConvTranspose<1>;
/// Over `[N, C, H, W]`.
pub type ConvTranspose2d = ConvTranspose<2>;
/// Over `[N, C, D, H, W]`.
pub type ConvTranspose3d = ConvTranspose<3>;

impl<const D: usize> Default for ConvTranspose<D> {
    /// Stride 1, nothing cut off or added, dilation 1, one group.
    fn default() -> Self {
        Self {
            stride: [1; D],
            padding: [[0; 2]; D],
            output_padding: [0; D],
            dilation: [1; D],
            groups: 1,
        }
    }
}

impl<const D: usize> ConvTranspose<D> {
    /// Stride 1, nothing cut off or added, dilation 1, one group.
    pub fn new() -> Self {
        Self::default()
    }

    /// Steps in the output along all axes, or along each.
    pub fn stride(mut self, stride: impl Into<PerAxis<D>>) -> Self {
        self.stride = stride.into().0;
        self
    }

    /// Elements cut off the output on all sides, on both sides of each axis, or on each side.
    pub fn padding(mut self, padding: impl Into<BothSides<D>>) -> Self {
        self.padding = padding.into().0;
        self
    }

    /// Elements added to the output after all axes, or after each.
    pub fn output_padding(mut self, padding: impl Into<PerAxis<D>>) -> Self {
        self.output_padding = padding.into().0;
        self
    }

    /// Steps between kernel taps along all axes, or along each.
    pub fn dilation(mut self, dilation: impl Into<PerAxis<D>>) -> Self {
        self.dilation = dilation.into().0;
        self
    }

    /// Groups of channels that do not see each other.
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }
}

/// # Convolution
impl Graph {
    /// The convolution of x `[N, C, L]` with weight `[O, C / groups, S]` and bias `[O]`.
    pub fn conv1d(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: Conv1d,
    ) -> Result<Value> {
        self.conv(x, weight, bias, conv)
    }

    /// The convolution of x `[N, C, H, W]` with weight `[O, C / groups, R, S]` and bias `[O]`.
    pub fn conv2d(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: Conv2d,
    ) -> Result<Value> {
        self.conv(x, weight, bias, conv)
    }

    /// The convolution of x `[N, C, D, H, W]` with weight `[O, C / groups, T, R, S]` and bias
    /// `[O]`.
    pub fn conv3d(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: Conv3d,
    ) -> Result<Value> {
        self.conv(x, weight, bias, conv)
    }

    /// The convolution over as many axes as `conv` says: [`Conv1d`], [`Conv2d`] or [`Conv3d`].
    /// x without the axis N is one image, and so is the result, as in PyTorch.
    pub fn conv(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: impl Into<ConvWalk>,
    ) -> Result<Value> {
        let conv = conv.into();
        self.batched1(x, conv.axes.rank(), |g, x| {
            let op = ConvForward {
                conv,
                bias: bias.is_some(),
                relu: false,
            };
            let inputs: Vec<Value> = [x, weight].into_iter().chain(bias).collect();
            g.apply1(op, &inputs)
        })
    }

    /// The transposed convolution of x `[N, C, L]` with weight `[C, O / groups, S]` and bias `[O]`.
    pub fn conv_transpose1d(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: ConvTranspose1d,
    ) -> Result<Value> {
        self.conv_transpose(x, weight, bias, conv)
    }

    /// The transposed convolution of x `[N, C, H, W]` with weight `[C, O / groups, R, S]` and bias
    /// `[O]`.
    pub fn conv_transpose2d(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: ConvTranspose2d,
    ) -> Result<Value> {
        self.conv_transpose(x, weight, bias, conv)
    }

    /// The transposed convolution of x `[N, C, D, H, W]` with weight `[C, O / groups, T, R, S]` and
    /// bias `[O]`.
    pub fn conv_transpose3d(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: ConvTranspose3d,
    ) -> Result<Value> {
        self.conv_transpose(x, weight, bias, conv)
    }

    /// The transposed convolution over as many axes as `conv` says: [`ConvTranspose1d`],
    /// [`ConvTranspose2d`] or [`ConvTranspose3d`]. x without the axis N is one image, and so is the
    /// result, as in PyTorch. An output has
    /// `(extent - 1) * stride - padding before - padding after + dilation * (kernel - 1) +
    /// output padding + 1` elements.
    pub fn conv_transpose(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: impl Into<ConvTransposeWalk>,
    ) -> Result<Value> {
        let ConvTransposeWalk(conv) = conv.into();
        let op = conv.axes.op(TRANSPOSED);
        self.batched1(x, conv.axes.rank(), |g, x| {
            let x_shape = &g.operand(op, x)?.shape;
            let w_shape = &g.operand(op, weight)?.shape;
            let op = ConvGradInput {
                conv,
                input: conv.transposed_extents(x_shape, w_shape)?,
                mask: false,
                bias: bias.is_some(),
                transposed: true,
            };
            let inputs: Vec<Value> = [x, weight].into_iter().chain(bias).collect();
            g.apply1(op, &inputs)
        })
    }
}
