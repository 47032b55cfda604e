//! Classes of the pixels of an input: those with the same remainders by the stride, which the same
//! taps see.

use super::Sizes;
use super::geometry::gcd;
use super::pack::Packing;

/// Pixels along an axis, and the taps that they see something through.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClassAxis {
    /// Of the pixels: the first one, the distance to the next, and how many there are.
    pub first: usize,
    pub jump: usize,
    pub extent: usize,
    /// The same of the taps.
    pub first_tap: usize,
    pub step_tap: usize,
    pub taps: usize,
}

impl ClassAxis {
    /// All of the input's, through all taps.
    fn all(sizes: &Sizes, axis: usize) -> Self {
        Self {
            first: 0,
            jump: 1,
            extent: sizes.input[axis],
            first_tap: 0,
            step_tap: 1,
            taps: sizes.window[axis].kernel,
        }
    }

    /// Pixels `first`, `first + stride`, ... of the input: the gradient sums dy[(p + pad - r *
    /// dilation) / stride] over the taps r for which that is whole.
    fn of(sizes: &Sizes, axis: usize, first: usize) -> Self {
        let window = &sizes.window[axis];
        let (kernel, stride, dilation) = (window.kernel, window.stride, window.dilation);
        let step_tap = stride / gcd(stride, dilation);
        let whole = |tap: &usize| {
            let apart = (first + window.before).abs_diff(tap * dilation);
            apart.is_multiple_of(stride)
        };
        let first_tap = (0..kernel.min(step_tap)).find(whole);
        Self {
            first,
            jump: stride,
            extent: sizes.input[axis].saturating_sub(first).div_ceil(stride),
            first_tap: first_tap.unwrap_or(0),
            step_tap,
            taps: first_tap.map_or(0, |tap| (kernel - tap).div_ceil(step_tap)),
        }
    }
}

/// A product's share of a convolution: all of it, or of the gradient of the input the pixels that
/// the same taps see.
#[derive(Debug, Clone, Copy)]
pub(super) struct Class {
    pub axes: [ClassAxis; 2],
}

/// Classes of one stride by the other beyond which their dispatches cost more than they spare.
pub(super) const MOST_CLASSES: usize = 16;

impl Class {
    pub fn all(sizes: &Sizes) -> Self {
        let axes = [1, 2].map(|axis| ClassAxis::all(sizes, axis));
        Self { axes }
    }

    /// One for each pair of remainders of row and column by the stride, which have pixels.
    pub fn each(sizes: &Sizes) -> Vec<Self> {
        let [rows, columns] = [1, 2].map(|axis| {
            let stride = sizes.window[axis].stride;
            let firsts = 0..stride.min(sizes.input[axis]);
            firsts.map(move |first| ClassAxis::of(sizes, axis, first))
        });
        let columns: Vec<ClassAxis> = columns.collect();
        let pairs = rows.flat_map(|row| columns.iter().map(move |&column| [row, column]));
        pairs.map(|axes| Self { axes }).collect()
    }

    pub fn taps(&self) -> usize {
        self.axes[0].taps * self.axes[1].taps
    }

    pub fn pixels(&self) -> usize {
        self.axes[0].extent * self.axes[1].extent
    }

    /// Weights as the gradient of the input reads them: for each filter and tap of the class the
    /// channels side by side.
    pub fn packing(&self, sizes: &Sizes) -> Packing {
        let [rows, columns] = &self.axes;
        let (taps, row) = (sizes.taps(), sizes.window[2].kernel);
        let (channels, outs) = (sizes.c / sizes.groups, sizes.o / sizes.groups);
        Packing {
            groups: sizes.groups,
            chunks: 1,
            blocks: channels.div_ceil(4),
            outs: channels,
            channels: outs,
            taps: [rows.taps, columns.taps],
            phases: 1,
            positions: columns.taps,
            steps: [outs * sizes.filter(), sizes.filter(), taps],
            first: rows.first_tap * row + columns.first_tap,
            tap_steps: [rows.step_tap * row, columns.step_tap].map(usize::cast_signed),
        }
    }
}
