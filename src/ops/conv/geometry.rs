//! The extents of a convolution, and every product it sums: the reference of all its kernels.

use crate::error::{Error, Result};
use crate::shape::{PaddingMode, Shape, Window};

use super::walk::ConvWalk;

/// The extents of a convolution: one set serves all three ops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub n: usize,
    pub c: usize,
    pub o: usize,
    pub groups: usize,
    pub input: [usize; 3],
    pub output: [usize; 3],
    pub window: [Window; 3],
    /// `Zeros` where there is no padding.
    pub mode: PaddingMode,
    pub walk: ConvWalk,
}

impl Sizes {
    /// From the shapes of x and weight.
    pub fn new(op: &str, walk: &ConvWalk, x: &[usize], weight: &[usize]) -> Result<Self> {
        let (Some(input), Some(kernel)) = (walk.axes.extents(x), walk.axes.extents(weight)) else {
            return Err(Error::shape(format!(
                "{op}: input {x:?} and weight {weight:?} must have {} axes",
                walk.axes.rank()
            )));
        };
        let (n, c, o, per_group) = (x[0], x[1], weight[0], weight[1]);
        let groups = walk.groups;
        if groups == 0 || c % groups != 0 || o % groups != 0 {
            return Err(Error::shape(format!(
                "{op}: {c} input and {o} output channels do not divide into {groups} groups"
            )));
        }
        if c / groups != per_group {
            return Err(Error::shape(format!(
                "{op}: weight {weight:?} expects {} input channels, input {x:?} has {c}",
                per_group.saturating_mul(groups)
            )));
        }
        let window = [0, 1, 2].map(|axis| walk.window(axis, kernel[axis]));
        let mut output = [1; 3];
        for axis in 0..3 {
            output[axis] = walk.output(op, axis, &window[axis], input[axis])?;
            let mode = walk.padding_mode;
            mode.check(walk.padding[axis], input[axis], op, walk.axes.name(axis))?;
        }
        // One tap has no distance to another, whatever the dilation.
        let window = window.map(|window| match window.kernel {
            1 => Window {
                dilation: 1,
                ..window
            },
            _ => window,
        });
        let padded = walk.padding != [[0; 2]; 3];
        Ok(Self {
            n,
            c,
            o,
            groups,
            input,
            output,
            window,
            mode: if padded {
                walk.padding_mode
            } else {
                PaddingMode::Zeros
            },
            walk: *walk,
        })
    }

    /// Fails unless dy has the shape of y.
    pub fn expect_dy(&self, op: &str, dy: &[usize]) -> Result<()> {
        let (x, y) = (self.x(), self.y());
        if y[..] == *dy {
            return Ok(());
        }
        Err(Error::shape(format!(
            "{op}: dy {dy:?} is not the output {y:?} of input {x:?}"
        )))
    }

    /// Its extents but for the batch, for [`Op::product`](crate::graph::Op::product).
    pub fn named(&self, op: &str) -> String {
        let by = |extents: [usize; 3]| {
            let extents = &extents[self.walk.axes.first()..];
            let extents: Vec<String> = extents.iter().map(usize::to_string).collect();
            extents.join("x")
        };
        let mode = match self.mode {
            PaddingMode::Zeros => String::new(),
            mode => format!(" {mode:?}").to_lowercase(),
        };
        format!(
            "{op} {}x{} to {}x{} k{} s{} d{} p{} g{}{mode}",
            self.c,
            by(self.input),
            self.o,
            by(self.output),
            by(self.window.map(|window| window.kernel)),
            by(self.window.map(|window| window.stride)),
            by(self.window.map(|window| window.dilation)),
            by(self.window.map(|window| window.before)),
            self.groups,
        )
    }

    /// Shape of x.
    pub fn x(&self) -> Shape {
        self.walk.axes.shape(self.n, self.c, self.input).into()
    }

    /// Shape of the weight.
    pub fn weight(&self) -> Shape {
        let kernel = self.window.map(|window| window.kernel);
        self.walk
            .axes
            .shape(self.o, self.c / self.groups, kernel)
            .into()
    }

    /// Shape of y.
    pub fn y(&self) -> Shape {
        self.walk.axes.shape(self.n, self.o, self.output).into()
    }

    /// Elements of one image of x.
    pub fn x_row(&self) -> usize {
        self.c * self.input.iter().product::<usize>()
    }

    /// Elements of one image of y.
    pub fn y_row(&self) -> usize {
        self.o * self.output.iter().product::<usize>()
    }

    /// Taps of a kernel.
    pub fn taps(&self) -> usize {
        self.window.iter().map(|window| window.kernel).product()
    }

    /// Elements of a filter.
    pub fn filter(&self) -> usize {
        self.c / self.groups * self.taps()
    }

    /// Multiply-adds, those with padding among them: each element of y meets a filter. Its
    /// gradients take as many.
    pub fn multiply_adds(&self) -> u64 {
        (self.n * self.y_row()) as u64 * self.filter() as u64
    }

    /// Whether kernels for two axes and zeros around them compute it: the depth is one element that
    /// one tap sees once.
    pub fn flat(&self) -> bool {
        let window = &self.window[0];
        let flat = self.input[0] == 1 && self.output[0] == 1 && window.kernel == 1;
        // An empty input has nothing to see but padding.
        let empty = self.input.contains(&0);
        self.mode == PaddingMode::Zeros && flat && window.before == 0 && !empty
    }

    /// The places at which an element of x stands at most along an axis, padding included.
    pub fn places_along(&self, axis: usize) -> usize {
        let [before, after] = [self.window[axis].before, self.window[axis].after];
        match (self.mode, self.input[axis]) {
            (PaddingMode::Zeros, _) => 1,
            (PaddingMode::Reflect | PaddingMode::Circular, _) => {
                1 + usize::from(before > 0) + usize::from(after > 0)
            }
            (PaddingMode::Replicate, 1) => 1 + before + after,
            (PaddingMode::Replicate, _) => 1 + before.max(after),
        }
    }

    /// Every (tap, position in the output, position in the input) that meet along an axis.
    fn links(&self, axis: usize) -> Vec<[usize; 3]> {
        let window = &self.window[axis];
        let mut links = Vec::new();
        for tap in 0..window.kernel {
            for out in 0..self.output[axis] {
                let place = (out * window.stride + tap * window.dilation) as isize;
                let place = place - window.before as isize;
                if let Some(at) = self.mode.source(place, self.input[axis]) {
                    links.push([tap, out, at]);
                }
            }
        }
        links
    }

    /// Calls `f(x index, weight index, y index)` for every product of the convolution.
    pub fn for_each(&self, mut f: impl FnMut(usize, usize, usize)) {
        let [_, h, w] = self.input;
        let [_, oh, ow] = self.output;
        let kernel = self.window.map(|window| window.kernel);
        let (x_plane, y_plane) = (self.x_row() / self.c.max(1), self.y_row() / self.o.max(1));
        let (c_group, o_group) = (self.c / self.groups, self.o / self.groups);
        let links = [0, 1, 2].map(|axis| self.links(axis));
        for n in 0..self.n {
            for o in 0..self.o {
                for c in 0..c_group {
                    let channel = o / o_group * c_group + c;
                    for &[tap0, out0, in0] in &links[0] {
                        for &[tap1, out1, in1] in &links[1] {
                            let weight = (o * c_group + c) * kernel[0] + tap0;
                            let weight = (weight * kernel[1] + tap1) * kernel[2];
                            let x = (n * self.c + channel) * x_plane + (in0 * h + in1) * w;
                            let y = (n * self.o + o) * y_plane + (out0 * oh + out1) * ow;
                            for &[tap2, out2, in2] in &links[2] {
                                f(x + in2, weight + tap2, y + out2);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The greatest common divisor; of 0 and another number, that one.
pub(super) fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A signed number as a `u32` that wraps, for a param.
pub(super) fn wrapped(value: isize) -> usize {
    value as u32 as usize
}
