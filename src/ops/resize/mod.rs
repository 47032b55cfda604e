//! Images resized by interpolation, as PyTorch's `interpolate` and `Upsample`, and pixel shuffling.

pub(in crate::ops) mod lower;
pub(in crate::ops) mod sample;

use crate::error::{Error, Result};
use crate::graph::{EvalSplit, Graph, Node, Op, Value};
use crate::kernel::{Caps, Io, Lowering};
use crate::shape::{Shape, Type};
use crate::tensor::Array;

use crate::ops::pool::AdaptiveAvgPool;
use crate::ops::resize::lower::{Reach, ResizedAxis, lower_resize};
use crate::ops::{expect_f32, expect_inputs, expect_type};

// Parameters and builder.

/// How the elements between those of an image are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InterpolateMode {
    /// Output o is input floor(o * step): PyTorch's `nearest`.
    Nearest,
    /// Output o is input floor((o + 1/2) * step): PyTorch's `nearest-exact`.
    NearestExact,
    /// Between the two inputs around (o + 1/2) * step - 1/2, clipped to the image; or around o *
    /// (input - 1) / (output - 1) with `align_corners`, where the corners of input and output meet.
    /// PyTorch's `linear`, `bilinear` and `trilinear`.
    Linear {
        /// Whether the centres of the corners meet, or their outer edges.
        align_corners: bool,
    },
    /// A cubic through the four inputs around the same place, which is not clipped; beyond the
    /// image stands its border. Keys' kernel (1981) with a = -0.75: PyTorch's `bicubic`, over as
    /// many axes as x has.
    Cubic {
        /// Whether the centres of the corners meet, or their outer edges.
        align_corners: bool,
    },
    /// The mean of the inputs under each output: PyTorch's `area`, which is its adaptive average
    /// pooling. The op that this makes is that one.
    Area,
}

/// Resizes x `[n, c, ...]` along its one to three last axes.
///
/// Places are computed in exact fractions, where PyTorch rounds them to `f32`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpolate {
    /// How.
    pub mode: InterpolateMode,
    /// Extents of the resized axes.
    pub size: Vec<usize>,
    /// Distance of neighbouring outputs along each axis, in inputs, as a fraction: input / output,
    /// or 1 / scale factor.
    pub step: Vec<[usize; 2]>,
}

/// The gradient of an [`Interpolate`]: each dx is the sum of the dy that read it, in the weights
/// with which they did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterpolateGrad {
    /// The resizing.
    pub interpolate: Interpolate,
    /// Extents of the axes of dx.
    pub input: Vec<usize>,
}

/// # Resizing
impl Graph {
    /// x `[n, c, length]`, `[n, c, height, width]` or `[n, c, depth, height, width]` resized to
    /// `size`.
    pub fn interpolate(
        &mut self,
        x: Value,
        size: &[usize],
        mode: InterpolateMode,
    ) -> Result<Value> {
        if mode == InterpolateMode::Area {
            return self.by_area(x, size);
        }
        let input = image("interpolate", self.operand("interpolate", x)?)?;
        let step = input.iter().zip(size).map(|(&x, &y)| lowest_terms(x, y));
        let op = Interpolate {
            mode,
            size: size.to_vec(),
            step: step.collect(),
        };
        self.apply1(op, &[x])
    }

    /// x resized to floor(extent * factor) along each axis; with one factor, all axes by the same
    /// one. The product is that of `f64`, as in PyTorch: 100 by 0.29 gives 28.
    ///
    /// Places follow from the factors as given, as in PyTorch unless it is told
    /// `recompute_scale_factor`. A factor stands for the simplest fraction within 1e-9 of it.
    ///
    /// An axis whose extent does not change is copied in the modes `Nearest` and `Linear`, and
    /// `Nearest` repeats each element of an axis whose extent doubles. `NearestExact` follows the
    /// factor even then, as in PyTorch 2.15. There `nearest` over one and three axes is at odds
    /// with itself: it copies gradients, but not elements.
    pub fn interpolate_by(
        &mut self,
        x: Value,
        factors: &[f64],
        mode: InterpolateMode,
    ) -> Result<Value> {
        let input = image("interpolate", self.operand("interpolate", x)?)?;
        let factors = match factors {
            [one] => vec![*one; input.len()],
            _ => factors.to_vec(),
        };
        let (mut size, mut step) = (Vec::new(), Vec::new());
        for (&extent, &factor) in input.iter().zip(&factors) {
            let [over, under] = fraction(factor).ok_or_else(|| {
                Error::shape(format!(
                    "interpolate: a scale factor of {factor} does not lie between 2^-20 and 2^20"
                ))
            })?;
            let output = (extent as f64 * factor) as usize;
            let linear = matches!(mode, InterpolateMode::Linear { .. });
            let nearest = mode == InterpolateMode::Nearest;
            step.push(match output {
                _ if (linear || nearest) && output == extent => [1, 1],
                _ if nearest && output == 2 * extent => [1, 2],
                _ => [under, over],
            });
            size.push(output);
        }
        if factors.len() != input.len() {
            return Err(Error::shape(format!(
                "interpolate: {} scale factors for {} axes",
                factors.len(),
                input.len()
            )));
        }
        match mode {
            InterpolateMode::Area => self.by_area(x, &size),
            _ => self.apply1(Interpolate { mode, size, step }, &[x]),
        }
    }

    fn by_area(&mut self, x: Value, size: &[usize]) -> Result<Value> {
        let input = image("interpolate", self.operand("interpolate", x)?)?.len();
        match *size {
            [length] if input == 1 => self.adaptive_avg_pool(x, AdaptiveAvgPool::new([length])),
            [h, w] if input == 2 => self.adaptive_avg_pool(x, AdaptiveAvgPool::new([h, w])),
            [d, h, w] if input == 3 => self.adaptive_avg_pool(x, AdaptiveAvgPool::new([d, h, w])),
            _ => Err(Error::shape(format!(
                "interpolate: {input} axes to resize, the size {size:?} has {}",
                size.len()
            ))),
        }
    }

    /// `[n, c * r * r, h, w]` as `[n, c, h * r, w * r]`: channels become pixels, as PyTorch's
    /// `PixelShuffle`. x may be one image `[c * r * r, h, w]`, and the result is one then.
    pub fn pixel_shuffle(&mut self, x: Value, r: usize) -> Result<Value> {
        let shape = self.operand("pixel_shuffle", x)?.shape.clone();
        let (n, image) = images(&shape);
        let square = r.checked_mul(r).filter(|&square| square > 0);
        match (image, square) {
            (Some([c, h, w]), Some(square)) if c % square == 0 => {
                let apart = self.reshape(x, [n, c / square, r, r, h, w])?;
                let moved = self.permute(apart, &[0, 1, 4, 2, 5, 3])?;
                let batch = &shape[..shape.len() - 3];
                self.reshape(moved, [batch, &[c / square, h * r, w * r]].concat())
            }
            _ => Err(Error::shape(format!(
                "pixel_shuffle: x {shape} is not [batch, channels, height, width], or one image, \
                 with channels divisible by {r} * {r}"
            ))),
        }
    }

    /// `[n, c, h * r, w * r]` as `[n, c * r * r, h, w]`: the inverse of [`Graph::pixel_shuffle`],
    /// of one image too.
    pub fn pixel_unshuffle(&mut self, x: Value, r: usize) -> Result<Value> {
        let shape = self.operand("pixel_unshuffle", x)?.shape.clone();
        let (n, image) = images(&shape);
        match image {
            Some([c, h, w]) if r > 0 && h % r == 0 && w % r == 0 => {
                let apart = self.reshape(x, [n, c, h / r, r, w / r, r])?;
                let moved = self.permute(apart, &[0, 1, 3, 5, 2, 4])?;
                let batch = &shape[..shape.len() - 3];
                self.reshape(moved, [batch, &[c * r * r, h / r, w / r]].concat())
            }
            _ => Err(Error::shape(format!(
                "pixel_unshuffle: x {shape} is not [batch, channels, height, width], or one image, \
                 with extents divisible by {r}"
            ))),
        }
    }
}

/// Number and extents of `[n, c, h, w]`, or of one image `[c, h, w]`.
fn images(shape: &Shape) -> (usize, Option<[usize; 3]>) {
    match shape[..] {
        [n, c, h, w] => (n, Some([c, h, w])),
        [c, h, w] => (1, Some([c, h, w])),
        _ => (0, None),
    }
}

/// `over / under` in lowest terms.
fn lowest_terms(over: usize, under: usize) -> [usize; 2] {
    let (mut a, mut b) = (over, under);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    [over / a.max(1), under / a.max(1)]
}

/// The simplest fraction within 1e-9 of `x`, by its continued fraction.
fn fraction(x: f64) -> Option<[usize; 2]> {
    let largest = f64::from(1 << 20);
    if !(x >= 1.0 / largest && x <= largest) {
        return None;
    }
    let (mut last, mut now, mut rest) = ([1.0, 0.0], [x.floor(), 1.0], x);
    while (now[0] / now[1] - x).abs() > 1e-9 * x {
        rest = 1.0 / (rest - rest.floor());
        let next = [0, 1].map(|i| rest.floor() * now[i] + last[i]);
        (last, now) = (now, next);
    }
    let whole = now.map(|number| number as usize);
    (whole[0] > 0).then_some(whole)
}

// Shape rule.

/// Extents of the axes of an image batch that are resized.
fn image<'a>(op: &str, x: &'a Type) -> Result<&'a [usize]> {
    expect_f32(op, "x", x)?;
    match &x.shape[..] {
        [_, _, extents @ ..] if (1..=3).contains(&extents.len()) && !extents.contains(&0) => {
            Ok(extents)
        }
        _ => Err(Error::shape(format!(
            "{op}: x {} is not [batch, channels] and one to three axes with at least one element",
            x.shape
        ))),
    }
}

impl Interpolate {
    /// Type of the resized image.
    fn output(&self, op: &str, x: &Type) -> Result<Type> {
        let input = image(op, x)?;
        if self.mode == InterpolateMode::Area {
            return Err(Error::shape(format!(
                "{op}: means of areas are made by adaptive average pooling"
            )));
        }
        if self.size.len() != input.len() || self.step.len() != input.len() {
            return Err(Error::shape(format!(
                "{op}: x {} has {} axes to resize, the size {:?} has {}",
                x.shape,
                input.len(),
                self.size,
                self.size.len()
            )));
        }
        for (axis, (&input, &output)) in input.iter().zip(&self.size).enumerate() {
            let [over, under] = self.step[axis];
            // Places are computed in 32 bits, twice as fine as the step, and moved by up to an
            // input, so that they are positive.
            let product = |a: usize, b: usize| ((a as u128 + 2) * 2).saturating_mul(b as u128 + 1);
            let longest = product(output, over.max(input)).max(product(input, under.max(output)));
            let moved = 2 * under as u128;
            if output == 0 || over == 0 || under == 0 || longest + moved >= 1 << 32 {
                return Err(Error::shape(format!(
                    "{op}: {input} elements to {output} in steps of {over}/{under}: nothing, or \
                     places beyond 2^32"
                )));
            }
        }
        Ok(Type::f32([&x.shape[..2], &self.size].concat()))
    }

    /// The axes, for inputs of these extents.
    fn axes(&self, input: &[usize]) -> Vec<ResizedAxis> {
        let axes = input.iter().zip(&self.size).zip(&self.step);
        axes.map(|((&input, &output), &[over, under])| {
            let (scale, shift, divisor) = match self.mode {
                InterpolateMode::Nearest => (over, 0, under),
                InterpolateMode::NearestExact => (2 * over, over as isize, 2 * under),
                InterpolateMode::Linear { align_corners }
                | InterpolateMode::Cubic { align_corners } => match (align_corners, output) {
                    (false, _) => (2 * over, over as isize - under as isize, 2 * under),
                    (true, 1) => (0, 0, 1),
                    (true, _) => (input - 1, 0, output - 1),
                },
                // Of another op.
                InterpolateMode::Area => (0, 0, 1),
            };
            ResizedAxis {
                input,
                output,
                scale,
                shift,
                divisor,
                reach: match self.mode {
                    InterpolateMode::Linear { .. } => Reach::Linear,
                    InterpolateMode::Cubic { .. } => Reach::Cubic,
                    _ => Reach::One,
                },
            }
        })
        .collect()
    }

    /// For each output of a plane in order, the inputs that it reads and their weights.
    fn taps(&self, input: &[usize]) -> Vec<Vec<(usize, f64)>> {
        let mut all = vec![vec![(0, 1.0)]];
        for axis in self.axes(input) {
            let outer = all.iter();
            let both = outer.flat_map(|outer| {
                (0..axis.output).map(move |o| {
                    let own = axis.taps(o);
                    let pairs = outer.iter().flat_map(|&(at, weight)| {
                        let inner = own.iter();
                        inner.map(move |&(i, w)| (at * axis.input + i, weight * w))
                    });
                    pairs.collect()
                })
            });
            all = both.collect();
        }
        all
    }
}

impl Op for Interpolate {
    fn name(&self) -> &'static str {
        "interpolate"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        Ok(vec![self.output(self.name(), inputs[0])?])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let ty = self.output(self.name(), x.ty()).expect("infer accepted x");
        let extents = &x.shape()[2..];
        let taps = self.taps(extents);
        let mut y = Vec::with_capacity(ty.count());
        for plane in x.floats().chunks_exact(extents.iter().product()) {
            for taps in &taps {
                y.push(taps.iter().map(|&(at, weight)| weight * plane[at]).sum());
            }
        }
        vec![Array::float(ty.shape, y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let grad = InterpolateGrad {
            interpolate: self.clone(),
            input: g.shape(at.inputs[0])?[2..].to_vec(),
        };
        Ok(vec![Some(g.apply1(grad, &[dy[0]])?)])
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0])
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let axes = self.axes(&io.inputs[0].shape[2..]);
        let most = axes.iter().map(ResizedAxis::most_inputs);
        lower_resize(false, io, &axes, &most.collect::<Vec<_>>(), caps, out);
        Ok(())
    }
}

impl Op for InterpolateGrad {
    fn name(&self) -> &'static str {
        "interpolate_grad"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let dy = inputs[0];
        image(self.name(), dy)?;
        let dx = Type::f32([&dy.shape[..2], &self.input].concat());
        let resized = self.interpolate.output(self.name(), &dx)?;
        expect_type(self.name(), "dy", dy, &resized)?;
        Ok(vec![dx])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let dy = inputs[0];
        let taps = self.interpolate.taps(&self.input);
        let plane: usize = self.input.iter().product();
        let shape = [&dy.shape()[..2], &self.input].concat();
        let mut dx = vec![0.0; shape.iter().product()];
        for (dx, dy) in dx.chunks_mut(plane).zip(dy.floats().chunks(taps.len())) {
            for (taps, dy) in taps.iter().zip(dy) {
                for &(at, weight) in taps {
                    dx[at] += weight * dy;
                }
            }
        }
        vec![Array::float(shape, dx)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, _: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![Some(g.apply1(self.interpolate.clone(), &[dy[0]])?)])
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0])
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let axes = self.interpolate.axes(&self.input);
        let most = axes.iter().map(ResizedAxis::most_outputs);
        lower_resize(true, io, &axes, &most.collect::<Vec<_>>(), caps, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_the_fractions_that_were_meant() {
        assert_eq!(fraction(2.0), Some([2, 1]));
        assert_eq!(fraction(1.3), Some([13, 10]));
        assert_eq!(fraction(2.0 / 3.0), Some([2, 3]));
        assert_eq!(fraction(0.625), Some([5, 8]));
        assert_eq!(fraction(f64::NAN), None);
        assert_eq!(fraction(-1.0), None);
        assert_eq!(fraction(1e-30), None);
        assert_eq!(lowest_terms(6, 4), [3, 2]);
    }

    #[test]
    fn errors_carry_the_numbers() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([1, 3, 4, 5])).unwrap();
        let flat = g.input("flat", Type::f32([4, 5])).unwrap();
        let mode = InterpolateMode::Nearest;
        let message = |result: Result<Value>| result.unwrap_err().to_string();
        assert_eq!(
            message(g.interpolate(flat, &[3], mode)),
            "interpolate: x [4, 5] is not [batch, channels] and one to three axes with at least \
             one element"
        );
        assert_eq!(
            message(g.interpolate(x, &[3], mode)),
            "interpolate: x [1, 3, 4, 5] has 2 axes to resize, the size [3] has 1"
        );
        assert!(message(g.interpolate(x, &[0, 3], mode)).contains("4 elements to 0"));
        let area = message(g.interpolate(x, &[3], InterpolateMode::Area));
        assert_eq!(area, "interpolate: 2 axes to resize, the size [3] has 1");
        assert!(message(g.interpolate(x, &[3, 1 << 40], mode)).contains("beyond 2^32"));
        assert!(message(g.interpolate_by(x, &[0.0], mode)).contains("scale factor of 0"));
        assert!(message(g.interpolate_by(x, &[1.0; 3], mode)).contains("3 scale factors"));
        assert!(message(g.interpolate_by(x, &[0.1], mode)).contains("4 elements to 0"));
        assert!(message(g.pixel_shuffle(x, 2)).contains("divisible by 2 * 2"));
        assert!(message(g.pixel_unshuffle(x, 2)).contains("divisible by 2"));
        let image = g.input("image", Type::f32([3, 4, 5])).unwrap();
        assert!(message(g.pixel_shuffle(image, 2)).contains("x [3, 4, 5] is not"));
        assert!(message(g.pixel_unshuffle(flat, 2)).contains("x [4, 5] is not"));
    }
}
