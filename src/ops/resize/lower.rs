//! How resized axes lie over each other, and the kernels that walk over them.

use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, overlaps, source};

use crate::lowering::Cut;
use crate::lowering::pieces::{Pieces, nested};

/// Which inputs around its place an output reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum Reach {
    /// The one below.
    One,
    /// That and the next one.
    Linear,
    /// These two and one more on either side, those beyond the ends being the ends.
    Cubic,
}

/// How the outputs of an axis stand between its inputs: output o at max(o * scale + shift, 0) /
/// divisor, or without the maximum where the reach is cubic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct ResizedAxis {
    pub input: usize,
    pub output: usize,
    pub scale: usize,
    pub shift: isize,
    pub divisor: usize,
    pub reach: Reach,
}

impl ResizedAxis {
    /// The axis that is not there.
    const NONE: Self = Self {
        input: 1,
        output: 1,
        scale: 0,
        shift: 0,
        divisor: 1,
        reach: Reach::One,
    };

    /// The inputs that output `o` reads, with their weights: some of one to four, none of weight 0.
    pub fn taps(&self, o: usize) -> Vec<(usize, f64)> {
        if self.reach == Reach::Cubic {
            return self.cubic_taps(o);
        }
        let place = ((o * self.scale) as isize + self.shift).max(0) as usize;
        let first = place / self.divisor;
        if first + 1 >= self.input {
            return vec![(self.input - 1, 1.0)];
        }
        let above = place % self.divisor;
        if self.reach == Reach::One || above == 0 {
            return vec![(first, 1.0)];
        }
        let above = above as f64 / self.divisor as f64;
        vec![(first, 1.0 - above), (first + 1, above)]
    }

    fn cubic_taps(&self, o: usize) -> Vec<(usize, f64)> {
        let place = (o * self.scale) as isize + self.shift;
        let divisor = self.divisor as isize;
        let first = place.div_euclid(divisor) - 1;
        let above = place.rem_euclid(divisor) as f64 / self.divisor as f64;
        let mut taps: Vec<(usize, f64)> = Vec::new();
        for (i, distance) in [above + 1.0, above, 1.0 - above, 2.0 - above]
            .iter()
            .enumerate()
        {
            let input = (first + i as isize).clamp(0, self.input as isize - 1) as usize;
            let weight = keys(*distance);
            match taps.last_mut() {
                Some(last) if last.0 == input => last.1 += weight,
                _ => taps.push((input, weight)),
            }
        }
        taps.retain(|&(_, weight)| weight != 0.0);
        taps
    }

    /// The most inputs that an output reads.
    pub fn most_inputs(&self) -> usize {
        match self.reach {
            Reach::One => 1,
            Reach::Linear => 2,
            Reach::Cubic => 4,
        }
    }

    /// How many inputs below and above its place an output may be read from.
    fn far(&self) -> usize {
        match self.reach {
            Reach::Cubic => 2,
            _ => 1,
        }
    }

    /// The most outputs over which the gradient of an input is summed, or a few more.
    pub fn most_outputs(&self) -> usize {
        if self.scale == 0 {
            return self.output;
        }
        // Those between inputs are at most so many apart.
        let inner = 2 * self.far() * self.divisor / self.scale + 2;
        let ends = (0..self.input)
            .take(3)
            .chain(self.input.saturating_sub(3)..self.input);
        let most = ends.map(|i| self.outputs_around(i)).max();
        inner.min(self.output).max(most.unwrap_or(0))
    }

    /// Outputs whose place lies between the inputs before and after input i, or two further ones,
    /// as `shaders/resize/resize_grad.wgsl` has them.
    fn outputs_around(&self, i: usize) -> usize {
        let place = |i: usize| (i * self.divisor).saturating_add_signed(-self.shift);
        let far = self.far();
        // The first input is read from beyond too, and by cubics those beside it.
        let begin = match i < 2 * far - 1 {
            true => 0,
            false => place(i - far) / self.scale,
        };
        let end = match i + far < self.input {
            true => self.output.min(place(i + far).div_ceil(self.scale)),
            false => self.output,
        };
        end.saturating_sub(begin)
    }
}

/// Keys' cubic convolution kernel with a = -0.75 (Cubic convolution interpolation for digital image
/// processing, 1981), of a distance from 0 to 2.
fn keys(distance: f64) -> f64 {
    const A: f64 = -0.75;
    let d = distance;
    match d <= 1.0 {
        true => ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0,
        false => ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A,
    }
}

/// Emits kernels that make output 0 from input 0, row by row: y from x or, with `back`, dx from dy.
/// Each output reads `most` elements along each axis at most.
pub(in crate::ops) fn lower_resize(
    back: bool,
    io: &Io,
    axes: &[ResizedAxis],
    most: &[usize],
    caps: &Caps,
    out: &mut Lowering,
) {
    let (from, to) = (Cut::input(io, 0), Cut::output(io, 0));
    let kernel = if back { &RESIZE_GRAD } else { &RESIZE };
    let reach = axes.iter().map(|axis| axis.reach as usize).max();
    // Axes that are not there are entered too.
    let mut all = [1; 3];
    all[3 - most.len()..].copy_from_slice(most);
    let turns = nested(&all, 0);
    for rows in overlaps(&[from.parts, to.parts]) {
        let count = rows.count * to.row();
        let base = rows.first[1] * to.row();
        let dispatch = |cut: bool| {
            let variant = reach.unwrap_or(0) + 3 * usize::from(cut);
            Dispatch::new(kernel, VARIANTS[variant])
                .read(Operand::Input(0))
                .part(rows.part[0])
        };
        let params = |dispatch: Dispatch, [count, write_base]: [usize; 2]| {
            let dispatch = dispatch
                .param("count", count)
                .param("read_base", rows.first[0] * from.row())
                .param("write_base", write_base)
                .workgroups(count.div_ceil(WORKGROUP));
            axis_params(dispatch, axes)
        };
        let Some(pieces) = Pieces::new(&all, 0, count, turns, caps) else {
            let whole = dispatch(false).write(Operand::Output(0)).part(rows.part[1]);
            let whole = params(whole, [count, base]);
            out.push(Pieces::WHOLE.params(whole, [0, count]).turns(turns));
            continue;
        };
        let to = (Operand::Output(0), rows.part[1], base);
        pieces.lower_sums(count, to, out, |scratch, outputs| {
            let partial = dispatch(true).write(scratch);
            let partial = params(partial, [pieces.count() * outputs[1], 0]);
            pieces.gather(partial, outputs)
        });
    }
}

/// Appends the fields of all axes.
fn axis_params(mut dispatch: Dispatch, axes: &[ResizedAxis]) -> Dispatch {
    for (i, names) in AXES.into_iter().enumerate() {
        let own = (i + axes.len()).checked_sub(AXES.len());
        let axis = own.map_or(ResizedAxis::NONE, |own| axes[own]);
        let values = [
            axis.input,
            axis.output,
            axis.scale,
            axis.shift.max(0) as usize,
            axis.shift.min(0).unsigned_abs(),
            axis.divisor,
        ];
        for (name, value) in names.into_iter().zip(values) {
            dispatch = dispatch.param(name, value);
        }
    }
    dispatch
}

const WORKGROUP: usize = 64;
const AXES: [[&str; 6]; 3] = [
    ["input0", "output0", "scale0", "add0", "sub0", "divisor0"],
    ["input1", "output1", "scale1", "add1", "sub1", "divisor1"],
    ["input2", "output2", "scale2", "add2", "sub2", "divisor2"],
];
/// Sums that an invocation takes whole come before those in pieces: outputs of a resizing read few
/// elements.
const VARIANTS: [Overrides; 6] = [
    &[("cut", 0), ("reach", 0), ("workgroup_size", 64)],
    &[("cut", 0), ("reach", 1), ("workgroup_size", 64)],
    &[("cut", 0), ("reach", 2), ("workgroup_size", 64)],
    &[("cut", 1), ("reach", 0), ("workgroup_size", 64)],
    &[("cut", 1), ("reach", 1), ("workgroup_size", 64)],
    &[("cut", 1), ("reach", 2), ("workgroup_size", 64)],
];
const FORWARD_VARIANTS: [Overrides; 3] = [VARIANTS[0], VARIANTS[1], VARIANTS[2]];

static RESIZE: Kernel = Kernel::new(
    "resize",
    &[
        source!("resize/resize"),
        source!("resize/resize_forward"),
        source!("lib/pieces"),
    ],
    &FORWARD_VARIANTS,
);
static RESIZE_GRAD: Kernel = Kernel::new(
    "resize_grad",
    &[
        source!("resize/resize"),
        source!("resize/resize_grad"),
        source!("lib/pieces"),
    ],
    &VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&RESIZE, &RESIZE_GRAD];
