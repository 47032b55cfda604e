//! The settings of convolutions and transposed convolutions, their builders, and the extents they
//! lead to.

use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::ops::axes::{Axes, three};
use crate::shape::{BothSides, PaddingMode, PerAxis, Window};

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

/// The settings of a convolution as its ops hold them, for three axes: those that are not there
/// come first and change nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvWalk {
    pub(super) axes: Axes,
    pub(super) stride: [usize; 3],
    pub(super) padding: [[usize; 2]; 3],
    /// Elements at the end of each axis that no window counts on.
    pub(super) output_padding: [usize; 3],
    pub(super) dilation: [usize; 3],
    pub(super) groups: usize,
    pub(super) padding_mode: PaddingMode,
}

/// The settings of a transposed convolution, for three axes: those of the convolution whose
/// gradient of the input it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvTransposeWalk(ConvWalk);

fn walk<const D: usize>(conv: Conv<D>) -> ConvWalk {
    ConvWalk {
        axes: Axes::new::<D>(),
        stride: three(conv.stride, 1),
        padding: three(conv.padding, [0; 2]),
        output_padding: [0; 3],
        dilation: three(conv.dilation, 1),
        groups: conv.groups,
        padding_mode: conv.padding_mode,
    }
}

fn transposed_walk<const D: usize>(conv: ConvTranspose<D>) -> ConvTransposeWalk {
    let forward = Conv {
        stride: conv.stride,
        padding: conv.padding,
        dilation: conv.dilation,
        groups: conv.groups,
        padding_mode: PaddingMode::Zeros,
    };
    ConvTransposeWalk(ConvWalk {
        output_padding: three(conv.output_padding, 0),
        ..walk(forward)
    })
}

impl From<Conv1d> for ConvWalk {
    fn from(conv: Conv1d) -> Self {
        walk(conv)
    }
}

impl From<Conv2d> for ConvWalk {
    fn from(conv: Conv2d) -> Self {
        walk(conv)
    }
}

impl From<Conv3d> for ConvWalk {
    fn from(conv: Conv3d) -> Self {
        walk(conv)
    }
}

impl From<ConvTranspose1d> for ConvTransposeWalk {
    fn from(conv: ConvTranspose1d) -> Self {
        transposed_walk(conv)
    }
}

impl From<ConvTranspose2d> for ConvTransposeWalk {
    fn from(conv: ConvTranspose2d) -> Self {
        transposed_walk(conv)
    }
}

impl From<ConvTranspose3d> for ConvTransposeWalk {
    fn from(conv: ConvTranspose3d) -> Self {
        transposed_walk(conv)
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

/// Names of an op by the number of its axes.
pub(super) type Names = [&'static str; 3];
pub(super) const FORWARD: Names = ["conv1d", "conv2d", "conv3d"];
pub(super) const GRAD_INPUT: Names = [
    "conv1d_grad_input",
    "conv2d_grad_input",
    "conv3d_grad_input",
];
pub(super) const TRANSPOSED: Names = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"];
pub(super) const GRAD_WEIGHT: Names = [
    "conv1d_grad_weight",
    "conv2d_grad_weight",
    "conv3d_grad_weight",
];

impl ConvWalk {
    pub(super) fn window(&self, axis: usize, kernel: usize) -> Window {
        Window {
            kernel,
            stride: self.stride[axis],
            before: self.padding[axis][0],
            after: self.padding[axis][1],
            dilation: self.dilation[axis],
        }
    }

    /// Number of windows along an axis of `extent` elements.
    pub(super) fn output(
        &self,
        op: &str,
        axis: usize,
        window: &Window,
        extent: usize,
    ) -> Result<usize> {
        let name = self.axes.name(axis);
        match self.output_padding[axis] {
            0 => window.output(extent, op, name),
            // The padding may be shorter than what is cut off, but windows only see their sum.
            cut => {
                let Window {
                    kernel,
                    dilation,
                    before,
                    after,
                    ..
                } = *window;
                let padded = before
                    .checked_add(after)
                    .and_then(|padding| padding.checked_add(extent)?.checked_sub(cut));
                let reach = kernel.saturating_sub(1).saturating_mul(dilation);
                let Some(padded) = padded.filter(|&padded| reach < padded) else {
                    return Err(Error::shape(format!(
                        "{op}: kernel {kernel} with dilation {dilation} does not fit {name} \
                         {extent} with padding {before} and {after} \
                         less output padding {cut}"
                    )));
                };
                let whole = Window {
                    before: 0,
                    after: 0,
                    ..*window
                };
                whole.output(padded, op, name)
            }
        }
    }

    /// Extents of the output of a transposed convolution of x by weight.
    fn transposed_extents(&self, x: &[usize], weight: &[usize]) -> Result<[usize; 3]> {
        let op = self.axes.op(TRANSPOSED);
        let (Some(input), Some(kernel)) = (self.axes.extents(x), self.axes.extents(weight)) else {
            return Err(self.wrong_axes(op, x, weight));
        };
        if x[1] != weight[0] {
            return Err(Error::shape(format!(
                "{op}: weight {weight:?} expects {} input channels, input {x:?} has {}",
                weight[0], x[1]
            )));
        }
        let mut output = [1; 3];
        for axis in self.axes.first()..3 {
            let name = self.axes.name(axis);
            let (stride, dilation) = (self.stride[axis], self.dilation[axis]);
            let ([before, after], more) = (self.padding[axis], self.output_padding[axis]);
            let (extent, kernel) = (input[axis], kernel[axis]);
            if more > 0 && more >= stride.max(dilation) {
                return Err(Error::shape(format!(
                    "{op}: output padding {more} along {name} must be less than the stride \
                     {stride} or the dilation {dilation}"
                )));
            }
            let all = || {
                let steps = extent.checked_sub(1)?.checked_mul(stride)?;
                let taps = kernel.checked_sub(1)?.checked_mul(dilation)?;
                steps.checked_add(taps)?.checked_add(more)?.checked_add(1)
            };
            let refuse = |why: &str| {
                Error::shape(format!(
                    "{op}: {name} {extent} with kernel {kernel}, stride {stride}, dilation \
                     {dilation}, padding {before} and {after} \
                     and output padding {more} {why}"
                ))
            };
            if extent == 0 || kernel == 0 {
                return Err(refuse("has no output"));
            }
            let all = all().filter(|&all| all < 1 << 31);
            let all =
                all.ok_or_else(|| refuse("reaches 2^31 elements before padding is cut off"))?;
            output[axis] = before
                .checked_add(after)
                .and_then(|cut| all.checked_sub(cut))
                .filter(|&left| left > 0)
                .ok_or_else(|| refuse("has no output"))?;
        }
        Ok(output)
    }

    pub(super) fn wrong_axes(&self, op: &str, x: &[usize], weight: &[usize]) -> Error {
        Error::shape(format!(
            "{op}: {x:?} and {weight:?} must have {} axes",
            self.axes.rank()
        ))
    }
}
