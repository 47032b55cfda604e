//! The taps of the kernels in registers along an axis: which positions they see, forward and for a
//! residue class of the stride, and how a row of them is cut into phases and runs.

use crate::ops::conv::Sizes;
use crate::ops::conv::geometry::gcd;

/// The taps along one axis of a convolution, or of a class of the gradient of an input.
#[derive(Debug, Clone, Copy)]
pub(super) struct TapAxis {
    /// Positions that are written.
    pub outputs: usize,
    pub taps: usize,
    pub stride: usize,
    pub dilation: usize,
    /// Zeros before the first position that is read; less than 0 skips some.
    pub pad: isize,
    /// The kernel's tap that comes first, and the distance to the one that comes next.
    pub first: usize,
    pub step: isize,
}

impl TapAxis {
    pub fn forward(sizes: &Sizes, axis: usize) -> Self {
        Self {
            outputs: sizes.output[axis],
            taps: sizes.window[axis].kernel,
            stride: sizes.window[axis].stride,
            dilation: sizes.window[axis].dilation,
            pad: sizes.window[axis].before as isize,
            first: 0,
            step: 1,
        }
    }

    /// Positions `class`, `class + stride`, ... of the input: dx[p] sums dy[(p + pad - r *
    /// dilation) / stride] over the taps r for which that is whole. Those are `step` apart; the
    /// last of them comes first, so that dy is read forwards.
    pub fn grad(sizes: &Sizes, axis: usize, class: usize) -> Self {
        let window = &sizes.window[axis];
        let (kernel, stride, dilation) = (window.kernel, window.stride, window.dilation);
        let common = gcd(stride, dilation);
        let step = stride / common;
        let from = (class + window.before) as isize;
        let reads = |tap: usize| from - (tap * dilation) as isize;
        let whole = |tap: &usize| reads(*tap).rem_euclid(stride as isize) == 0;
        let last = (0..kernel).rev().take(step).find(whole);
        Self {
            outputs: sizes.input[axis].saturating_sub(class).div_ceil(stride),
            taps: last.map_or(0, |last| last / step + 1),
            stride: 1,
            dilation: dilation / common,
            pad: last.map_or(0, |last| -reads(last) / stride as isize),
            first: last.unwrap_or(0),
            step: -(step as isize),
        }
    }
}

/// The taps of a row: `phases` of them lie between one tap and the next that sees the columns one
/// place further; each phase is cut into `runs` of `taps`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Runs {
    pub phases: usize,
    pub runs: usize,
    taps: usize,
}

impl Runs {
    pub fn new(axis: &TapAxis, taps: usize) -> Self {
        let phases = match axis.stride % axis.dilation {
            0 => axis.stride / axis.dilation,
            _ => axis.taps,
        };
        let phases = phases.clamp(1, axis.taps.max(1));
        Self {
            phases,
            runs: axis.taps.div_ceil(phases).div_ceil(taps),
            taps,
        }
    }

    pub fn positions(&self) -> usize {
        self.runs * self.taps
    }
}
