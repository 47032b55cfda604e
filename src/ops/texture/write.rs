//! A tensor into a texture: as an image, through a map of colours, or by classes.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{
    Caps, Dispatch, Io, Kernel, Lowering, Operand, Source, TexelFormat, looped, source,
};
use crate::ops::{expect_f32, expect_inputs};
use crate::shape::Type;
use crate::tensor::Array;

use super::places::places;
use super::read::LARGEST;
use super::{Curve, TexelResize, Transfer, VARIANTS, WORKGROUP, expect_operands};

// Settings; the builder is in `output`.

/// A tensor, a table (see `shaders/texture/write_texture.wgsl`), an exposure, an origin and perhaps
/// a texture behind, as texels: what [`Graph::texture_output`] adds.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteTexture {
    pub(super) format: TexelFormat,
    pub(super) size: [usize; 2],
    pub(super) windowed: bool,
    /// Whether the origin goes on with how many rows and columns are left out.
    pub(super) skips: bool,
    pub(super) sample: usize,
    pub(super) channels: std::ops::Range<usize>,
    pub(super) nearest: bool,
    pub(super) flips: [bool; 2],
    pub(super) transfer: Transfer,
    pub(super) exposed: bool,
    pub(super) curve: Curve,
    pub(super) painting: Painting,
    pub(super) over: bool,
    pub(super) opacity: f32,
}

/// [`Paint`](super::Paint) without its colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Painting {
    Image,
    Map,
    Classes,
}

/// Samples, channels, height and width.
pub(super) fn image_shape(ty: &Type) -> Result<[usize; 4]> {
    expect_f32("texture_output", "y", ty)?;
    match ty.shape[..] {
        [n, channels, height, width] if ty.count() > 0 => Ok([n, channels, height, width]),
        _ => Err(Error::shape(format!(
            "texture_output: y {} must be [n, channels, height, width] with elements",
            ty.shape
        ))),
    }
}

// Shape rule.

impl Op for WriteTexture {
    fn name(&self) -> &'static str {
        "texture_output"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        let op = "texture_output";
        expect_inputs(op, inputs, 4 + usize::from(self.over))?;
        let [n, channels, height, width] = image_shape(inputs[0])?;
        if self.sample >= n || self.channels.end > channels || self.channels.is_empty() {
            return Err(Error::shape(format!(
                "{op}: sample {}, channels {:?} of {}",
                self.sample, self.channels, inputs[0].shape
            )));
        }
        let table = &inputs[1].shape;
        let colours = match self.painting {
            Painting::Image => 0,
            Painting::Map => table
                .first()
                .map_or(0, |rows| rows.saturating_sub(2))
                .max(2),
            Painting::Classes => self.channels.len(),
        };
        crate::ops::expect_type(op, "table", inputs[1], &Type::f32([2 + colours, 4]))?;
        expect_operands(op, inputs[2], inputs[3], if self.skips { 4 } else { 2 })?;
        let extents = [height, width, self.size[0], self.size[1]];
        if extents.contains(&0) || extents.iter().any(|&extent| extent > LARGEST) {
            return Err(Error::shape(format!(
                "{op}: {height} x {width} elements for {} x {} texels; 1 to {LARGEST} along an \
                 axis",
                self.size[0], self.size[1]
            )));
        }
        Ok(vec![Type::f32([self.size[0], self.size[1], 4])])
    }

    fn textures(&self) -> std::ops::Range<usize> {
        4..4 + usize::from(self.over)
    }

    fn mixes_rows(&self, input: usize) -> bool {
        !matches!(input, 2 | 3)
    }

    fn texture_format(&self) -> Option<TexelFormat> {
        Some(self.format)
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let [height, width] = self.size;
        let skipped = match (self.skips, inputs[3].u32s()) {
            (true, origin) => [origin[2] as usize, origin[3] as usize],
            (false, _) => [0, 0],
        };
        let mut texels = Vec::with_capacity(height * width * 4);
        for row in 0..height {
            for column in 0..width {
                if row < skipped[0] || column < skipped[1] {
                    texels.extend([0.0; 4]);
                    continue;
                }
                let painted = self.painted(inputs, row, column);
                let mut colour = painted.map(|x| if x.is_finite() { x } else { 0.0 });
                if self.over {
                    colour = self.blended(inputs[4], row, column, colour);
                }
                if self.format == TexelFormat::Rgba8Unorm {
                    colour = colour.map(|x| x.clamp(0.0, 1.0));
                }
                for kept in &mut colour[self.format.channels()..] {
                    *kept = 0.0;
                }
                if self.format.channels() < 4 {
                    colour[3] = 1.0;
                }
                texels.extend(colour);
            }
        }
        vec![Array::float([height, width, 4], texels)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, at: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; at.inputs.len()])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        io.in_one_part("texture_output", &[0, 1, 2, 3].map(Operand::Input))?;
        let [_, channels, height, width] = image_shape(&io.inputs[0])?;
        let [rows, columns] = self.size;
        let stride = (rows * columns).next_multiple_of(WORKGROUP);
        let classes = match self.painting {
            Painting::Classes => looped(self.channels.len(), 0),
            _ => 0,
        };
        let kernels = if self.over { &OVER } else { &ALONE };
        let at = TexelFormat::ALL.iter().position(|&f| f == self.format);
        let mut dispatch = Dispatch::new(&kernels[at.unwrap_or(0)], VARIANTS[0]);
        for operand in 0..4 {
            dispatch = dispatch.read(Operand::Input(operand));
        }
        if self.over {
            dispatch = dispatch.texture(Operand::Input(4));
        }
        let window = if self.windowed { self.size } else { [0, 0] };
        let colours = io.inputs[1].shape[0] - 2;
        out.push(
            dispatch
                .texture_store(Operand::Output(0), self.format)
                .param("stride", stride)
                .param("channels", self.channels.len())
                .param("height", height)
                .param("width", width)
                .param(
                    "base",
                    (self.sample * channels + self.channels.start) * height * width,
                )
                .param("rows", window[0])
                .param("columns", window[1])
                .param("skips", usize::from(self.skips))
                .param(
                    "flips",
                    usize::from(self.flips[0]) + 2 * usize::from(self.flips[1]),
                )
                .param("linear", usize::from(!self.nearest))
                .param("paint", self.painting as usize)
                .param("transfer", self.transfer.code(self.exposed))
                .param("curve", self.curve as usize)
                .param("colours", colours)
                .param_f32("opacity", self.opacity)
                .turns(looped(1, classes))
                .grows(!self.windowed)
                .workgroups(stride / WORKGROUP),
        );
        Ok(())
    }
}

impl WriteTexture {
    /// Channel `k` of those that are shown, at a texel.
    fn element(&self, y: &Array, k: usize, row: usize, column: usize) -> f64 {
        let [_, channels, height, width] = [0, 1, 2, 3].map(|axis| y.shape()[axis]);
        let plane = (self.sample * channels + self.channels.start + k) * height * width;
        let flipped = |at: usize, axis: usize, flip: bool| match flip {
            true => self.size[axis] - 1 - at,
            false => at,
        };
        let row = flipped(row, 0, self.flips[1]);
        let column = flipped(column, 1, self.flips[0]);
        let resize = |outputs: usize, size: usize| match self.nearest || outputs == size {
            true => TexelResize::Nearest,
            false => TexelResize::Bilinear,
        };
        let down = places(resize(self.size[0], height), row, self.size[0], height);
        let along = places(resize(self.size[1], width), column, self.size[1], width);
        let mut sum = 0.0;
        for &(i, share) in &down {
            for &(j, across) in &along {
                let element = y.floats()[plane + i * width + j];
                sum += share * across * if element.is_finite() { element } else { 0.0 };
            }
        }
        sum
    }

    fn painted(&self, inputs: &[&Array], row: usize, column: usize) -> [f64; 4] {
        let (y, table) = (inputs[0], inputs[1].floats());
        let exposure = if self.exposed {
            inputs[2].floats()[0]
        } else {
            1.0
        };
        let element = |k: usize| self.element(y, k, row, column);
        let scaled = |k: usize| element(k) * table[k] + table[4 + k];
        let colour = |i: usize| -> [f64; 4] { std::array::from_fn(|k| table[8 + 4 * i + k]) };
        match self.painting {
            Painting::Image => {
                let light = |k| {
                    self.curve
                        .apply(self.transfer.restore(scaled(k)) / exposure)
                };
                match self.channels.len() {
                    1 | 2 => [light(0), light(0), light(0), 1.0],
                    3 => [light(0), light(1), light(2), 1.0],
                    _ => [light(0), light(1), light(2), scaled(3)],
                }
            }
            Painting::Map => {
                let colours = table.len() / 4 - 2;
                let place = scaled(0).clamp(0.0, 1.0) * (colours - 1) as f64;
                let (first, above) = (place as usize, place.fract());
                let [low, high] = [first, (first + 1).min(colours - 1)].map(colour);
                std::array::from_fn(|k| low[k] + above * (high[k] - low[k]))
            }
            Painting::Classes => {
                let scores = (0..self.channels.len()).map(element);
                let mut best = (0, f64::from(f32::MIN));
                for (k, score) in scores.enumerate() {
                    if score > best.1 {
                        best = (k, score);
                    }
                }
                colour(best.0)
            }
        }
    }

    /// A colour over the texture behind.
    fn blended(&self, behind: &Array, row: usize, column: usize, colour: [f64; 4]) -> [f64; 4] {
        let (rows, columns) = (behind.shape()[0], behind.shape()[1]);
        let y = (2 * row + 1) * rows / (2 * self.size[0]);
        let x = (2 * column + 1) * columns / (2 * self.size[1]);
        let share = (colour[3] * f64::from(self.opacity)).clamp(0.0, 1.0);
        std::array::from_fn(|k| {
            let texel = behind.floats()[(y * columns + x) * 4 + k];
            let texel = if texel.is_finite() { texel } else { 0.0 };
            match k {
                3 => texel.max(share),
                _ => texel + share * (colour[k] - texel),
            }
        })
    }
}

// One kernel for each format, in the order of `TexelFormat::ALL`.

static ALONE: [Kernel; 4] = [
    Kernel::new("write_rgba8unorm", &ALONE_FILES[0], VARIANTS),
    Kernel::new("write_rgba16float", &ALONE_FILES[1], VARIANTS),
    Kernel::new("write_r32float", &ALONE_FILES[2], VARIANTS),
    Kernel::new("write_rgba32float", &ALONE_FILES[3], VARIANTS),
];
static OVER: [Kernel; 4] = [
    Kernel::new("write_rgba8unorm_over", &OVER_FILES[0], VARIANTS),
    Kernel::new("write_rgba16float_over", &OVER_FILES[1], VARIANTS),
    Kernel::new("write_r32float_over", &OVER_FILES[2], VARIANTS),
    Kernel::new("write_rgba32float_over", &OVER_FILES[3], VARIANTS),
];

const BODY: Source = source!("texture/write_texture");
const PUTS: [Source; 4] = [
    source!("texture/put_rgba8unorm"),
    source!("texture/put_rgba16float"),
    source!("texture/put_r32float"),
    source!("texture/put_rgba32float"),
];
const LIGHT: Source = source!("texture/transfer");
const NOTHING: Source = source!("texture/over_none");
const TEXTURE: Source = source!("texture/over_texture");

static ALONE_FILES: [[Source; 4]; 4] = files(NOTHING);
static OVER_FILES: [[Source; 4]; 4] = files(TEXTURE);

const fn files(over: Source) -> [[Source; 4]; 4] {
    [
        [BODY, PUTS[0], over, LIGHT],
        [BODY, PUTS[1], over, LIGHT],
        [BODY, PUTS[2], over, LIGHT],
        [BODY, PUTS[3], over, LIGHT],
    ]
}

pub(super) fn kernels() -> impl Iterator<Item = &'static Kernel> {
    ALONE.iter().chain(&OVER)
}
