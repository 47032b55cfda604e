//! The settings of a convolution as its ops hold them, whatever the number of axes, and the extents
//! that they lead to.

use crate::error::{Error, Result};
use crate::ops::axes::{Axes, three};
use crate::shape::{PaddingMode, Window};

use super::settings::{
    Conv, Conv1d, Conv2d, Conv3d, ConvTranspose, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d,
};

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
pub struct ConvTransposeWalk(pub(super) ConvWalk);

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
    pub(super) fn transposed_extents(&self, x: &[usize], weight: &[usize]) -> Result<[usize; 3]> {
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
