//! Convolution and transposed convolution over one, two or three axes.

use super::init::Scheme;
use super::{Build, Module, weight_and_bias};
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::ops::{self, ConvTransposeWalk, ConvWalk};
use crate::shape::{BothSides, PaddingMode, PerAxis, Shape};

/// A kernel that walks over the last `D` axes of `[n, in_channels, ..]` as `K` says: [`Conv`] or
/// [`ConvTranspose`].
#[derive(Debug, Clone)]
pub struct ConvLayer<const D: usize, K> {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Extents of the kernel.
    pub kernel: [usize; D],
    /// Step along each axis, of the output where it is transposed.
    pub stride: [usize; D],
    /// Elements added to the input before and after each axis, or cut off the output where it is
    /// transposed.
    pub padding: [[usize; 2]; D],
    /// Step between kernel taps along each axis.
    pub dilation: [usize; D],
    /// Input and output channels are cut into this many groups that do not see each other.
    pub groups: usize,
    /// Whether there is a bias; it begins as U(-b, b) with b = 1 / sqrt(fan in of the weight).
    pub bias: bool,
    /// How the weight begins; its fan in is its second extent times the taps, as in PyTorch.
    pub init: Scheme,
    /// What only one of them has.
    pub kind: K,
}

/// Of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConvOptions {
    /// What the padding holds.
    pub padding_mode: PaddingMode,
}

/// Of a transposed convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvTransposeOptions<const D: usize> {
    /// Elements added to the output after each axis.
    pub output_padding: [usize; D],
}

/// A convolution, with parameters `weight` `[out_channels, in_channels / groups, ..]` and `bias`
/// `[out_channels]`.
pub type Conv<const D: usize> = ConvLayer<D, ConvOptions>;
/// Over `[n, in_channels, length]`.
pub type Conv1d = Conv<1>;
/// Over `[n, in_channels, height, width]`.
pub type Conv2d = Conv<2>;
/// Over `[n, in_channels, depth, height, width]`.
pub type Conv3d = Conv<3>;

/// A transposed convolution, with parameters `weight` `[in_channels, out_channels / groups, ..]`
/// and `bias` `[out_channels]`.
pub type ConvTranspose<const D: usize> = ConvLayer<D, ConvTransposeOptions<D>>;
/// Over `[n, in_channels, length]`.
pub type ConvTranspose1d = ConvTranspose<1>;
/// Over `[n, in_channels, height, width]`.
pub type ConvTranspose2d = ConvTranspose<2>;
/// Over `[n, in_channels, depth, height, width]`.
pub type ConvTranspose3d = ConvTranspose<3>;

impl<const D: usize> Default for ConvTransposeOptions<D> {
    /// Nothing is added.
    fn default() -> Self {
        Self {
            output_padding: [0; D],
        }
    }
}

impl<const D: usize, K: Default> ConvLayer<D, K> {
    /// A kernel of one extent along all axes or of one along each, stride 1, no padding, with bias.
    pub fn new(in_channels: usize, out_channels: usize, kernel: impl Into<PerAxis<D>>) -> Self {
        Self {
            in_channels,
            out_channels,
            kernel: kernel.into().0,
            stride: [1; D],
            padding: [[0; 2]; D],
            dilation: [1; D],
            groups: 1,
            bias: true,
            init: Scheme::Default,
            kind: K::default(),
        }
    }
}

impl<const D: usize, K> ConvLayer<D, K> {
    /// Steps along all axes, or along each; of the output where it is transposed.
    pub fn stride(mut self, stride: impl Into<PerAxis<D>>) -> Self {
        self.stride = stride.into().0;
        self
    }

    /// Elements added to the input, or cut off the output where it is transposed: on all sides, on
    /// both sides of each axis, or before and after each.
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

    /// Whether there is a bias; before a normalisation it has no effect.
    pub fn bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Draws the weight differently.
    pub fn init(mut self, scheme: Scheme) -> Self {
        self.init = scheme;
        self
    }

    /// The parameters `weight` and, if there is one, `bias`.
    fn parameters(&self, cx: &mut Build, channels: [usize; 2]) -> Result<(Value, Option<Value>)> {
        let shape: Shape = [&channels[..], &self.kernel].concat().into();
        let bias = self.bias.then_some(self.out_channels);
        weight_and_bias(cx, &shape, &self.init, bias)
    }
}

impl<const D: usize> Conv<D> {
    /// Padding that keeps the extents at stride 1, for the kernel and the dilation set so far (see
    /// [`ops::Conv::same`]).
    pub fn same(mut self) -> Self {
        self.padding = self.settings().same(self.kernel).padding;
        self
    }

    /// What the padding holds.
    pub fn padding_mode(mut self, mode: PaddingMode) -> Self {
        self.kind.padding_mode = mode;
        self
    }

    fn settings(&self) -> ops::Conv<D> {
        ops::Conv {
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
            padding_mode: self.kind.padding_mode,
        }
    }
}

impl<const D: usize> Module for Conv<D>
where
    ops::Conv<D>: Into<ConvWalk>,
{
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within(format_args!("Conv{D}d"), |cx| {
            let per_group = divide("conv", D, self.in_channels, "input", self.groups)?;
            let (weight, bias) = self.parameters(cx, [self.out_channels, per_group])?;
            cx.graph().conv(x, weight, bias, self.settings())
        })
    }
}

impl<const D: usize> ConvTranspose<D> {
    /// Elements added to the output at the end of all axes, or of each.
    pub fn output_padding(mut self, output_padding: impl Into<PerAxis<D>>) -> Self {
        self.kind.output_padding = output_padding.into().0;
        self
    }
}

impl<const D: usize> Module for ConvTranspose<D>
where
    ops::ConvTranspose<D>: Into<ConvTransposeWalk>,
{
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within(format_args!("ConvTranspose{D}d"), |cx| {
            let out = self.out_channels;
            let per_group = divide("conv_transpose", D, out, "output", self.groups)?;
            let (weight, bias) = self.parameters(cx, [self.in_channels, per_group])?;
            let conv = ops::ConvTranspose {
                stride: self.stride,
                padding: self.padding,
                output_padding: self.kind.output_padding,
                dilation: self.dilation,
                groups: self.groups,
            };
            cx.graph().conv_transpose(x, weight, bias, conv)
        })
    }
}

/// Channels per group.
fn divide(op: &str, axes: usize, channels: usize, which: &str, groups: usize) -> Result<usize> {
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(Error::shape(format!(
            "{op}{axes}d: {channels} {which} channels do not divide into {groups} groups"
        )));
    }
    Ok(channels / groups)
}
