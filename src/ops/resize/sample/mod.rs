//! Images read at places of a grid: PyTorch's `grid_sample`, and `affine_grid`, which makes one.

mod lower;

use crate::error::{Error, Result};
use crate::graph::{EvalSplit, Graph, Node, Op, Value};
use crate::kernel::{Caps, Io, Lowering};
use crate::shape::Type;
use crate::tensor::{Array, Tensor};

use crate::ops::{expect_f32, expect_inputs, expect_type, no_second_derivative};

pub(in crate::ops) use lower::KERNELS;

// Parameters and builder.

/// What an image is between its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SampleMode {
    /// Weighted by nearness, of the four elements around.
    #[default]
    Bilinear,
    /// The nearest element; of two that are as near, the one at the even place.
    Nearest,
}

/// What an image is beyond its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SamplePadding {
    /// Zeros.
    #[default]
    Zeros,
    /// What its border holds.
    Border,
    /// Its mirror image: at the centres of the border with `align_corners`, else at its outer edge.
    Reflection,
}

/// y `[n, c, h, w]` = x `[n, c, height, width]` at the places grid `[n, h, w, 2]`, each x and then
/// y from -1, the left or upper end of the image, to 1, the right or lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct GridSample {
    /// Between elements.
    pub mode: SampleMode,
    /// Beyond them.
    pub padding: SamplePadding,
    /// Whether the ends of the image are the centres of its corner elements, or their outer edges.
    pub align_corners: bool,
}

/// dx of a [`GridSample`] from dy and the grid: each element is the sum of the dy that read it,
/// weighted as they did, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridSampleGradInput {
    /// The sampling.
    pub sample: GridSample,
    /// Height and width of x.
    pub input: [usize; 2],
}

/// The gradient of the grid of a bilinear [`GridSample`] from x, the grid and dy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridSampleGradGrid {
    /// The sampling.
    pub sample: GridSample,
}

/// # Sampling on grids
impl Graph {
    /// x `[n, c, height, width]` at the places of `grid` `[n, h, w, 2]`: `[n, c, h, w]`. A place is
    /// x and then y, from -1 at the left or upper end of the image to 1 at the other.
    ///
    /// A coordinate that is NaN gives NaN and no gradient of x, where PyTorch reads it as -1. An
    /// infinite one, or one whose place is beyond what `f32` holds, gives what is far beyond the
    /// image, or NaN where that is reflected; along an axis of one element with `align_corners` it
    /// names that element as all numbers do. Where a place meets elements exactly, those of weight
    /// 0 beside them are not read.
    ///
    /// Places are computed in `f32`: they are off by at most 2^-21 of their distance from the end
    /// of the image at -1, and by 2^-24 of an element.
    ///
    /// The gradient of x looks for each element, and four channels at a time, at the reach of every
    /// 64 places of its grid, and at each place of those that come near: for smooth grids it takes
    /// as long as x has elements times the places of one grid over 256, and up to 64 times that for
    /// grids without order. All else takes as long as y has elements.
    pub fn grid_sample(&mut self, x: Value, grid: Value, sample: GridSample) -> Result<Value> {
        self.apply1(sample, &[x, grid])
    }

    /// The grid `[n, h, w, 2]` of an output of size `[h, w]` whose places theta `[n, 2, 3]` maps
    /// into the image: (x, y) = theta (u, v, 1), with u and v from -1 to 1 over the output, between
    /// the centres of its corner elements with `align_corners`, else between their outer edges.
    pub fn affine_grid(
        &mut self,
        theta: Value,
        size: [usize; 2],
        align_corners: bool,
    ) -> Result<Value> {
        let name = "affine_grid";
        let ty = self.operand(name, theta)?;
        let n = ty.shape.rows();
        expect_type(name, "theta", ty, &Type::f32([n, 2, 3]))?;
        let [h, w] = size;
        let places = h.checked_mul(w).filter(|&places| places <= MOST_PLACES);
        let Some(places) = places else {
            return Err(Error::shape(format!(
                "{name}: {h} by {w} places, {MOST_PLACES} are the most"
            )));
        };
        let end = |at: usize, extent: usize| match (align_corners, extent) {
            (true, 1) => 0.0,
            (true, _) => 2.0 * at as f64 / (extent - 1) as f64 - 1.0,
            (false, _) => (2.0 * at as f64 + 1.0) / extent as f64 - 1.0,
        };
        let rows = (0..places).flat_map(|i| [end(i % w, w) as f32, end(i / w, h) as f32, 1.0]);
        let base = self.constant(Tensor::f32([places, 3], rows.collect())?)?;
        let mapped = self.linear(theta, base, None)?;
        let grid = self.permute(mapped, &[0, 2, 1])?;
        self.reshape(grid, [n, h, w, 2])
    }
}

/// The places of so many outputs lie on the device.
const MOST_PLACES: usize = 1 << 24;

// Shape rule.

impl GridSample {
    /// Extents n, c, height, width, h, w of an image and a grid.
    fn sizes(op: &str, x: &Type, grid: &Type) -> Result<[usize; 6]> {
        expect_f32(op, "x", x)?;
        expect_f32(op, "grid", grid)?;
        match (&x.shape[..], &grid.shape[..]) {
            (&[n, c, height, width], &[batch, h, w, 2])
                if n == batch && height > 0 && width > 0 =>
            {
                Ok([n, c, height, width, h, w])
            }
            _ => Err(Error::shape(format!(
                "{op}: x {} and grid {} are not [n, c, height, width], with elements, and \
                 [n, h, w, 2]",
                x.shape, grid.shape
            ))),
        }
    }

    /// How the places along an axis of so many elements are found.
    fn axis(&self, extent: usize) -> SampledAxis {
        let elements = extent as f64;
        let (shift, span) = match self.align_corners {
            true => (0.0, elements - 1.0),
            false => (0.5, elements),
        };
        SampledAxis {
            extent,
            scale: span / 2.0,
            shift,
            low: -shift,
            span,
        }
    }

    /// The elements along an axis that place `at` reads, with their weights and the derivatives of
    /// these: two, of which some may lie outside; the second has weight 0 in the nearest mode.
    fn taps(&self, axis: SampledAxis, at: f64) -> [(f64, f64, f64); 2] {
        if self.mode == SampleMode::Nearest {
            let nearest = at.round_ties_even();
            return [(nearest, 1.0, 0.0), (nearest + 1.0, 0.0, 0.0)];
        }
        // What lies beyond both neighbours of the image's ends reads nothing.
        let at = at.max(-2.0).min(axis.extent as f64 + 1.0);
        let first = at.floor();
        let above = at - first;
        [(first, 1.0 - above, -1.0), (first + 1.0, above, 1.0)]
    }
}

/// The place of coordinate c is (c + 1) * scale - shift, in elements, which loses nothing where c
/// is near -1; reflected, it lies within `span` from `low` on.
#[derive(Debug, Clone, Copy, PartialEq)]
struct SampledAxis {
    extent: usize,
    scale: f64,
    shift: f64,
    low: f64,
    span: f64,
}

impl SampledAxis {
    /// The place of a coordinate, and how fast it moves with it.
    fn place(&self, padding: SamplePadding, coordinate: f64) -> (f64, f64) {
        if self.scale == 0.0 && !coordinate.is_nan() {
            return (0.0, 0.0);
        }
        let mut at = (coordinate + 1.0) * self.scale - self.shift;
        let mut slope = self.scale;
        // What f32 does not hold has no mirror image.
        let far = padding == SamplePadding::Reflection && (at as f32).is_infinite();
        if at.is_nan() || far {
            return (f64::NAN, 0.0);
        }
        if padding == SamplePadding::Zeros {
            return (at, slope);
        }
        if padding == SamplePadding::Reflection {
            let from = at - self.low;
            let size = from.abs();
            let flips = (size / self.span).floor();
            let rest = size - flips * self.span;
            let odd = flips % 2.0 == 1.0;
            at = self.low + if odd { self.span - rest } else { rest };
            slope = if (from < 0.0) != odd { -slope } else { slope };
        }
        let last = self.extent as f64 - 1.0;
        if at <= 0.0 {
            return (0.0, 0.0);
        }
        if at >= last {
            return (last, 0.0);
        }
        (at, slope)
    }
}

/// What a place reads: elements of a plane, each with its weight and the derivatives of that by x
/// and y.
struct Reading {
    nan: bool,
    slopes: [f64; 2],
    elements: Vec<(usize, f64, [f64; 2])>,
}

impl GridSample {
    fn reading(&self, [height, width]: [usize; 2], x: f64, y: f64) -> Reading {
        let axes = [self.axis(width), self.axis(height)];
        let places = [
            axes[0].place(self.padding, x),
            axes[1].place(self.padding, y),
        ];
        let mut reading = Reading {
            nan: places.iter().any(|(at, _)| at.is_nan()),
            slopes: places.map(|(_, slope)| slope),
            elements: Vec::new(),
        };
        if reading.nan {
            return reading;
        }
        let columns = self.taps(axes[0], places[0].0);
        for (row, weight_y, slope_y) in self.taps(axes[1], places[1].0) {
            for (column, weight_x, slope_x) in columns {
                let inside = |at: f64, extent: usize| at >= 0.0 && at < extent as f64;
                if inside(row, height) && inside(column, width) {
                    let at = row as usize * width + column as usize;
                    let slopes = [slope_x * weight_y, weight_x * slope_y];
                    reading.elements.push((at, weight_x * weight_y, slopes));
                }
            }
        }
        reading
    }

    /// Calls `f` with each image, output place and what it reads.
    fn each_place(
        &self,
        grid: &Array,
        input: [usize; 2],
        mut f: impl FnMut(usize, usize, &Reading),
    ) {
        let shape = grid.shape();
        let places = shape[1] * shape[2];
        for (i, pair) in grid.floats().chunks_exact(2).enumerate() {
            let reading = self.reading(input, pair[0], pair[1]);
            f(i / places, i % places, &reading);
        }
    }
}

impl Op for GridSample {
    fn name(&self) -> &'static str {
        "grid_sample"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        let [n, c, _, _, h, w] = Self::sizes(self.name(), inputs[0], inputs[1])?;
        Ok(vec![Type::f32([n, c, h, w])])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (x, grid) = (inputs[0], inputs[1]);
        let sizes = Self::sizes("", x.ty(), grid.ty());
        let [n, c, height, width, h, w] = sizes.expect("infer accepted the inputs");
        let mut y = vec![0.0; n * c * h * w];
        self.each_place(grid, [height, width], |image, place, reading| {
            for plane in image * c..(image + 1) * c {
                let y = &mut y[plane * h * w + place];
                for &(at, weight, _) in reading.elements.iter().filter(|read| read.1 != 0.0) {
                    *y += weight * x.floats()[plane * height * width + at];
                }
                if reading.nan {
                    *y = f64::NAN;
                }
            }
        });
        vec![Array::float([n, c, h, w], y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let (x, grid) = (at.inputs[0], at.inputs[1]);
        let shape = g.shape(x)?;
        let input = [shape[2], shape[3]];
        let sample = *self;
        let dx = g.apply1(GridSampleGradInput { sample, input }, &[dy[0], grid])?;
        let dgrid = match self.mode {
            SampleMode::Bilinear => g.apply1(GridSampleGradGrid { sample }, &[x, grid, dy[0]])?,
            SampleMode::Nearest => {
                let shape = g.shape(grid)?.clone();
                g.fill(shape, 0.0)?
            }
        };
        Ok(vec![Some(dx), Some(dgrid)])
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0, 1])
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        self.lower_forward(io, out);
        Ok(())
    }
}

impl Op for GridSampleGradInput {
    fn name(&self) -> &'static str {
        "grid_sample_grad_input"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        let dy = inputs[0];
        expect_f32(self.name(), "dy", dy)?;
        let &[n, c, h, w] = &dy.shape[..] else {
            return Err(Error::shape(format!(
                "{}: dy {} has not 4 axes",
                self.name(),
                dy.shape
            )));
        };
        expect_type(self.name(), "grid", inputs[1], &Type::f32([n, h, w, 2]))?;
        let [height, width] = self.input;
        let dx = Type::f32([n, c, height, width]);
        dx.check()?;
        GridSample::sizes(self.name(), &dx, inputs[1])?;
        Ok(vec![dx])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (dy, grid) = (inputs[0], inputs[1]);
        let shape = dy.shape();
        let (n, c, places) = (shape[0], shape[1], shape[2] * shape[3]);
        let [height, width] = self.input;
        let mut dx = vec![0.0; n * c * height * width];
        self.sample
            .each_place(grid, self.input, |image, place, reading| {
                for plane in image * c..(image + 1) * c {
                    let dy = dy.floats()[plane * places + place];
                    for &(at, weight, _) in reading.elements.iter().filter(|read| read.1 != 0.0) {
                        dx[plane * height * width + at] += weight * dy;
                    }
                }
            });
        vec![Array::float([n, c, height, width], dx)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_second_derivative("grid_sample"))
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0, 1])
    }

    /// All elements with all places, as where no reach rules any out.
    fn multiply_adds(&self, inputs: &[&Type]) -> u64 {
        let [n, c, h, w] = [0, 1, 2, 3].map(|axis| inputs[0].shape[axis]);
        let [height, width] = self.input;
        let blocks = c.div_ceil(lower::CHANNELS);
        let factors = [n, blocks, height, width, h, w].map(|extent| extent as u64);
        factors.into_iter().fold(1, u64::saturating_mul)
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        self.lower_input(io, caps, out);
        Ok(())
    }
}

impl Op for GridSampleGradGrid {
    fn name(&self) -> &'static str {
        "grid_sample_grad_grid"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 3)?;
        let [n, c, _, _, h, w] = GridSample::sizes(self.name(), inputs[0], inputs[1])?;
        expect_type(self.name(), "dy", inputs[2], &Type::f32([n, c, h, w]))?;
        Ok(vec![inputs[1].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (x, grid, dy) = (inputs[0], inputs[1], inputs[2]);
        let sizes = GridSample::sizes("", x.ty(), grid.ty());
        let [_, c, height, width, h, w] = sizes.expect("infer accepted the inputs");
        let mut dgrid = vec![0.0; grid.floats().len()];
        let input = [height, width];
        self.sample
            .each_place(grid, input, |image, place, reading| {
                for (axis, &slope) in reading.slopes.iter().enumerate() {
                    let mut sum = 0.0;
                    for plane in image * c..(image + 1) * c {
                        let dy = dy.floats()[plane * h * w + place];
                        for &(at, _, slopes) in &reading.elements {
                            if slopes[axis] != 0.0 && slope != 0.0 {
                                sum += dy * slopes[axis] * x.floats()[plane * height * width + at];
                            }
                        }
                    }
                    dgrid[2 * (image * h * w + place) + axis] = match reading.nan {
                        true => f64::NAN,
                        false => sum * slope,
                    };
                }
            });
        vec![Array::float(grid.shape().clone(), dgrid)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_second_derivative("grid_sample"))
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0, 1, 2])
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        self.lower_grid(io, caps, out);
        Ok(())
    }
}
