//! Convolution and transposed convolution over one, two or three axes.

use super::init::Scheme;
use super::{Mode, Module, weight_and_bias};
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::ops::{self, ConvTransposeWalk, ConvWalk};
use crate::shape::{PaddingMode, Shape};

/// A convolution over the last `D` axes of `[n, in_channels, ..]`, with parameters `weight` `[out_channels, in_channels / groups, ..]` and
/// `bias` `[out_channels]`.
#[derive(Debug, Clone)]
pub struct Conv<const D: usize> {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Extents of the kernel.
    pub kernel: [usize; D],
    /// Stride, padding and its mode, dilation, groups.
    pub conv: ops::Conv<D>,
    /// Whether there is a bias; it begins as U(-b, b) with b = 1 / sqrt(fan in).
    pub bias: bool,
    /// How the weight begins.
    pub init: Scheme,
}

/// Over `[n, in_channels, length]`.
pub type Conv1d = Conv<1>;
/// Over `[n, in_channels, height, width]`.
pub type Conv2d = Conv<2>;
/// Over `[n, in_channels, depth, height, width]`.
pub type Conv3d = Conv<3>;

impl<const D: usize> Conv<D> {
    /// A kernel of equal extents, stride 1, no padding, with bias.
    pub fn new(in_channels: usize, out_channels: usize, kernel: usize) -> Self {
        Self {
            in_channels,
            out_channels,
            kernel: [kernel; D],
            conv: ops::Conv::default(),
            bias: true,
            init: Scheme::Default,
        }
    }

    /// Steps along all axes.
    pub fn stride(mut self, stride: usize) -> Self {
        self.conv.stride = [stride; D];
        self
    }

    /// Padding on all sides.
    pub fn padding(mut self, padding: usize) -> Self {
        self.conv.padding = [[padding; 2]; D];
        self
    }

    /// Padding that keeps the extents at stride 1, for the kernel and the dilation set so far (see [`ops::Conv::same`]).
    pub fn same(mut self) -> Self {
        self.conv = self.conv.same(self.kernel);
        self
    }

    /// What the padding holds.
    pub fn padding_mode(mut self, mode: PaddingMode) -> Self {
        self.conv.padding_mode = mode;
        self
    }

    /// Steps between kernel taps along all axes.
    pub fn dilation(mut self, dilation: usize) -> Self {
        self.conv.dilation = [dilation; D];
        self
    }

    /// Groups of channels that do not see each other.
    pub fn groups(mut self, groups: usize) -> Self {
        self.conv.groups = groups;
        self
    }

    /// Without bias, as before a normalisation.
    pub fn without_bias(mut self) -> Self {
        self.bias = false;
        self
    }

    /// Draws the weight differently.
    pub fn init(mut self, scheme: Scheme) -> Self {
        self.init = scheme;
        self
    }
}

impl<const D: usize> Module for Conv<D>
where
    ops::Conv<D>: Into<ConvWalk>,
{
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        let per_group = divide("conv", D, self.in_channels, "input", self.conv.groups)?;
        let shape = weight_shape([self.out_channels, per_group], &self.kernel);
        let bias = self.bias.then_some(self.out_channels);
        let (weight, bias) = weight_and_bias(g, name, &shape, &self.init, bias)?;
        g.conv(x, weight, bias, self.conv)
    }
}

/// A transposed convolution over the last `D` axes of `[n, in_channels, ..]`, with parameters `weight`
/// `[in_channels, out_channels / groups, ..]` and `bias` `[out_channels]`.
#[derive(Debug, Clone)]
pub struct ConvTranspose<const D: usize> {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Extents of the kernel.
    pub kernel: [usize; D],
    /// Stride, padding, output padding, dilation, groups.
    pub conv: ops::ConvTranspose<D>,
    /// Whether there is a bias; it begins as U(-b, b) with b = 1 / sqrt(out_channels / groups * taps), PyTorch's fan in of the weight.
    pub bias: bool,
    /// How the weight begins; its fan in is that of PyTorch, out_channels / groups * taps.
    pub init: Scheme,
}

/// Over `[n, in_channels, length]`.
pub type ConvTranspose1d = ConvTranspose<1>;
/// Over `[n, in_channels, height, width]`.
pub type ConvTranspose2d = ConvTranspose<2>;
/// Over `[n, in_channels, depth, height, width]`.
pub type ConvTranspose3d = ConvTranspose<3>;

impl<const D: usize> ConvTranspose<D> {
    /// A kernel of equal extents, stride 1, no padding, with bias.
    pub fn new(in_channels: usize, out_channels: usize, kernel: usize) -> Self {
        Self {
            in_channels,
            out_channels,
            kernel: [kernel; D],
            conv: ops::ConvTranspose::default(),
            bias: true,
            init: Scheme::Default,
        }
    }

    /// Steps in the output along all axes.
    pub fn stride(mut self, stride: usize) -> Self {
        self.conv.stride = [stride; D];
        self
    }

    /// Elements cut off the output on all sides.
    pub fn padding(mut self, padding: usize) -> Self {
        self.conv.padding = [[padding; 2]; D];
        self
    }

    /// Elements added at the end of all axes of the output.
    pub fn output_padding(mut self, output_padding: usize) -> Self {
        self.conv.output_padding = [output_padding; D];
        self
    }

    /// Steps between kernel taps along all axes.
    pub fn dilation(mut self, dilation: usize) -> Self {
        self.conv.dilation = [dilation; D];
        self
    }

    /// Groups of channels that do not see each other.
    pub fn groups(mut self, groups: usize) -> Self {
        self.conv.groups = groups;
        self
    }

    /// Without bias, as before a normalisation.
    pub fn without_bias(mut self) -> Self {
        self.bias = false;
        self
    }

    /// Draws the weight differently.
    pub fn init(mut self, scheme: Scheme) -> Self {
        self.init = scheme;
        self
    }
}

impl<const D: usize> Module for ConvTranspose<D>
where
    ops::ConvTranspose<D>: Into<ConvTransposeWalk>,
{
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        let per_group = divide(
            "conv_transpose",
            D,
            self.out_channels,
            "output",
            self.conv.groups,
        )?;
        let shape = weight_shape([self.in_channels, per_group], &self.kernel);
        let bias = self.bias.then_some(self.out_channels);
        let (weight, bias) = weight_and_bias(g, name, &shape, &self.init, bias)?;
        g.conv_transpose(x, weight, bias, self.conv)
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

fn weight_shape(channels: [usize; 2], kernel: &[usize]) -> Shape {
    [&channels, kernel].concat().into()
}
