//! Between radiance and what networks see: curves that make dark and bright differences alike, so
//! that an error counts about as much as it is seen.

use striate::ops::{AvgPool2d, Conv2d, UnaryFunction};
use striate::prelude::*;

/// A scale and a curve from linear radiance, at least 0, to about [0, 1], and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// y = log(1 + 16 x) / log(1 + 16 * 16), of the radiance by the albedo of each pixel.
    ///
    /// By the albedo, because what a surface does to light is known without noise; what is left,
    /// the light that arrives, is nearly the same in all channels and smooth, which a small network
    /// finds more easily than the colours of walls and tiles.
    ///
    /// Open Image Denoise's own logarithm, log(1 + x) / log(65505), puts all that a screen shows,
    /// radiance up to 1, below 0.0625. With 16 x it lies below 0.52 and is close to sRGB's curve,
    /// by which pictures are compared; the other 16 is about the radiance of a lamp.
    Log,
    /// The perceptually uniform curve of Open Image Denoise's HDR weights: a fit of PU2 (Aydin et
    /// al. 2008) that is linear, then a power, then a logarithm, and 1 at 65,504. It is taken of
    /// the radiance at an exposure that brings the mean logarithm of 16x16 blocks to 0.18.
    Pu,
}

/// Factor and largest radiance of [`Transfer::Log`].
const GAIN: f64 = 16.0;
const BRIGHT: f64 = 16.0;
/// What is added to an albedo before radiance is divided by it.
const DARK: f32 = 0.02;

/// Of [`Transfer::Pu`]: A x; B x^C + D; E log(x + F) + G, from `KNEES` on.
const A: f64 = 1.412_837_65e3;
const B: f64 = 1.645_931_72;
const C: f32 = 0.431_384_98;
const D: f32 = -2.941_396e-3;
const E: f64 = 0.192_653_254;
const F: f32 = 6.260_261e-3;
const G: f32 = 0.998_620_15;
/// Where its pieces meet, in radiance, and what they make of it.
const KNEES: [f32; 2] = [1.579_457_6e-6, 3.220_876_3e-2];
const MADE: [f32; 2] = [2.231_517e-3, 3.709_747_5e-1];
/// The largest f16, which it makes 1.
const LARGEST: f64 = 65_504.0;

/// Side of the blocks whose mean luminance sets the exposure, and what that is to become.
const BLOCK: usize = 16;
const KEY: f64 = 0.18;
/// Luminance of each channel.
const LUMINANCE: [f32; 3] = [0.212_671, 0.715_160, 0.072_169];

impl Transfer {
    /// The factor by which radiance and albedo x `[n, 3, height, width]` are scaled first: for each
    /// element, or `[n, 1, 1, 1]`.
    ///
    /// # Errors
    /// `Shape` if they are not of one such shape.
    pub fn scale(self, g: &mut Graph, x: Value, albedo: Value) -> Result<Value> {
        match self {
            Transfer::Log => {
                let albedo = plus(g, albedo, DARK)?;
                g.unary(albedo, UnaryFunction::Reciprocal)
            }
            Transfer::Pu => exposure(g, x),
        }
    }

    /// The curve of x at a scale.
    pub fn forward(self, g: &mut Graph, x: Value, scale: Value) -> Result<Value> {
        let x = g.mul(x, scale)?;
        match self {
            Transfer::Log => {
                let y = g.scale(x, GAIN)?;
                let y = plus(g, y, 1.0)?;
                let y = g.log(y)?;
                g.scale(y, 1.0 / (1.0 + GAIN * BRIGHT).ln())
            }
            Transfer::Pu => {
                let line = g.scale(x, A)?;
                let power = g.pow(x, C)?;
                let power = g.scale(power, B)?;
                let power = plus(g, power, D)?;
                let logarithm = plus(g, x, F)?;
                let logarithm = g.log(logarithm)?;
                let logarithm = g.scale(logarithm, E)?;
                let logarithm = plus(g, logarithm, G)?;
                let y = pieces(g, x, KNEES, [line, power, logarithm])?;
                g.scale(y, 1.0 / pu_of_largest())
            }
        }
    }

    /// The radiance, at least 0, of which y is the curve at a scale.
    pub fn inverse(self, g: &mut Graph, y: Value, scale: Value) -> Result<Value> {
        let x = match self {
            Transfer::Log => {
                let x = g.scale(y, (1.0 + GAIN * BRIGHT).ln())?;
                let x = g.exp(x)?;
                let x = plus(g, x, -1.0)?;
                g.scale(x, 1.0 / GAIN)?
            }
            Transfer::Pu => {
                let y = g.scale(y, pu_of_largest())?;
                let line = g.scale(y, 1.0 / A)?;
                let power = plus(g, y, -D)?;
                let power = g.scale(power, 1.0 / B)?;
                let power = g.relu(power)?;
                let power = g.pow(power, 1.0 / C)?;
                let exponential = plus(g, y, -G)?;
                let exponential = g.scale(exponential, 1.0 / E)?;
                let exponential = g.exp(exponential)?;
                let exponential = plus(g, exponential, -F)?;
                pieces(g, y, MADE, [line, power, exponential])?
            }
        };
        let x = g.relu(x)?;
        g.div(x, scale)
    }
}

/// Radiance x as it is shown: clipped to [0, 1] and encoded as sRGB.
///
/// # Errors
/// None, if x is of floats.
pub fn shown(g: &mut Graph, x: Value) -> Result<Value> {
    let one = number(g, 1.0)?;
    let x = g.relu(x)?;
    let x = g.minimum(x, one)?;
    let line = g.scale(x, 12.92)?;
    // No power of 0, whose slope is infinite.
    let knee = number(g, 0.003_130_8)?;
    let power = g.maximum(x, knee)?;
    let power = g.pow(power, 1.0 / 2.4)?;
    let power = g.scale(power, 1.055)?;
    let power = plus(g, power, -0.055)?;
    let below = g.le(x, knee)?;
    g.select(below, line, power)
}

/// What brings the mean logarithm of blocks of x `[n, 3, height, width]` to the key,
/// `[n, 1, 1, 1]`.
fn exposure(g: &mut Graph, x: Value) -> Result<Value> {
    let weights = Tensor::f32([1, 3, 1, 1], LUMINANCE.to_vec())?;
    let weights = g.constant(weights)?;
    let luminance = g.conv2d(x, weights, None, Conv2d::new())?;
    let blocks = g.avg_pool(luminance, AvgPool2d::new(BLOCK))?;
    // Black blocks do not count.
    let least = number(g, 1e-8)?;
    let counts = g.gt(blocks, least)?;
    let counts = g.cast(counts, DType::F32)?;
    let bounded = g.maximum(blocks, least)?;
    let logarithm = g.log(bounded)?;
    let logarithm = g.mul(logarithm, counts)?;
    let axes = [1, 2, 3];
    let sum = g.sum(logarithm, &axes, true)?;
    let count = g.sum(counts, &axes, true)?;
    let one = number(g, 1.0)?;
    let count = g.maximum(count, one)?;
    let mean = g.div(sum, count)?;
    let inverse = g.neg(mean)?;
    let inverse = g.exp(inverse)?;
    g.scale(inverse, KEY)
}

/// What the curve makes of the largest f16, before it is scaled.
fn pu_of_largest() -> f64 {
    E * (LARGEST + f64::from(F)).ln() + f64::from(G)
}

/// A number without axes.
fn number(g: &mut Graph, value: f32) -> Result<Value> {
    g.constant(Tensor::scalar(value))
}

/// x + c.
fn plus(g: &mut Graph, x: Value, c: f32) -> Result<Value> {
    let c = number(g, c)?;
    g.add(x, c)
}

/// The first value up to the first knee of x, the second up to the second one, then the third.
fn pieces(g: &mut Graph, x: Value, knees: [f32; 2], [a, b, c]: [Value; 3]) -> Result<Value> {
    let [first, second] = knees;
    let second = number(g, second)?;
    let below = g.le(x, second)?;
    let rest = g.select(below, b, c)?;
    let first = number(g, first)?;
    let below = g.le(x, first)?;
    g.select(below, a, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a graph over x makes of radiances.
    fn made(x: &[f32], build: impl FnOnce(&mut Graph, Value) -> Result<Value>) -> Result<Vec<f32>> {
        let mut g = Graph::new();
        let input = g.input("x", Type::f32([1, 3, 16, x.len() / 48]))?;
        let y = build(&mut g, input)?;
        let store = Store::new(&Engine::cpu(), &[&g], 0)?;
        let mut session = Session::new(&store, &g, &[y])?;
        session.write(input, &Tensor::f32([1, 3, 16, x.len() / 48], x.to_vec())?)?;
        session.run(1)?;
        Ok(session.read(y)?.as_f32()?.to_vec())
    }

    #[test]
    fn curves_rise_to_about_one_and_come_back() {
        // From 1e-7 to 1e3, through all pieces.
        let x: Vec<f32> = (0..768)
            .map(|i| 10f32.powf(i as f32 / 76.7 - 7.0))
            .collect();
        for transfer in [Transfer::Log, Transfer::Pu] {
            let forward = |g: &mut Graph, x: Value| {
                let one = number(g, 1.0)?;
                transfer.forward(g, x, one)
            };
            let y = made(&x, forward).unwrap();
            assert!(y.is_sorted() && y[0] >= 0.0 && y[767] < 1.8, "{transfer:?}");
            let back = |g: &mut Graph, x: Value| {
                let scale = transfer.scale(g, x, x)?;
                let y = transfer.forward(g, x, scale)?;
                transfer.inverse(g, y, scale)
            };
            for (x, back) in x.iter().zip(made(&x, back).unwrap()) {
                assert!(
                    (x - back).abs() < 2e-3 * x + 1e-7,
                    "{transfer:?}: {x}, {back}"
                );
            }
        }
    }

    #[test]
    fn exposure_is_that_of_blocks_with_light() {
        // Two blocks, one of them black.
        let x: Vec<f32> = (0..3 * 16 * 32)
            .map(|i| if i % 32 < 16 { 0.36 } else { 0.0 })
            .collect();
        let made = made(&x, exposure).unwrap();
        assert!(made.len() == 1 && (made[0] - 0.5).abs() < 1e-4, "{made:?}");
    }
}
