//! Images changed as their rows of parameters say: geometry, colour, erasing.

use std::any::Any;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, overlaps, source};
use crate::ops::{expect_inputs, expect_type};
use crate::rng::philox4x32;
use crate::shape::{DType, Type};
use crate::tensor::Array;

use super::row::{ONE, Word};
use super::rows::AugmentRows;
use super::tables::TABLE;
use super::{Params, byte_of, expect_images, expect_rows, fixed_mul, grey, knot_step};

// Parameters and builder.

/// Images changed as their rows say, then value * scale + shift.
#[derive(Debug, Clone, PartialEq)]
pub struct AugmentPixels {
    /// Factor on what comes out, of each channel or one for all.
    pub scale: Vec<f32>,
    /// What is added to that.
    pub shift: Vec<f32>,
    /// Whether a third input holds tables of levels and means.
    pub tables: bool,
    /// Whether no row does more than pick pixels and erase.
    pub(super) picks: bool,
}

/// # Augmentation
impl Graph {
    /// Images changed as their rows of parameters say, then value * scale + shift.
    ///
    /// `images` are bytes as f32 `[n, c, h, w]`: values are rounded to the nearest one. `rows`
    /// come from [`augment_rows`](Self::augment_rows); [`AugmentRow`](crate::ops::AugmentRow) says
    /// what they do. `scale` and `shift` have an entry for each channel, or one for all. Levels
    /// and contrast need [`augment_with`](Self::augment_with): here, they stay.
    ///
    /// # Errors
    /// `Shape` if images are not f32 `[n, c, h, w]` with a channel and sides of at most 16,384,
    /// rows not as [`augment_rows`](Self::augment_rows) makes them for n images, or if `scale` or
    /// `shift` has neither 1 nor c entries.
    pub fn augment(
        &mut self,
        images: Value,
        rows: Value,
        scale: &[f32],
        shift: &[f32],
    ) -> Result<Value> {
        let (scale, shift) = (scale.to_vec(), shift.to_vec());
        let drawn = self.producer(rows).map(|node| &self.nodes()[node].op);
        let drawn = drawn.and_then(|op| (op.as_ref() as &dyn Any).downcast_ref::<AugmentRows>());
        let op = AugmentPixels {
            scale,
            shift,
            tables: false,
            picks: drawn.is_some_and(|rows| rows.picks),
        };
        self.apply1(op, &[images, rows])
    }

    /// As [`augment`](Self::augment), with levels and contrast by the `tables` of
    /// [`augment_tables`](Self::augment_tables).
    ///
    /// # Errors
    /// As [`augment`](Self::augment); `Shape` if tables are not u32 `[n, c, 257]`.
    pub fn augment_with(
        &mut self,
        images: Value,
        rows: Value,
        tables: Value,
        scale: &[f32],
        shift: &[f32],
    ) -> Result<Value> {
        let (scale, shift) = (scale.to_vec(), shift.to_vec());
        let op = AugmentPixels {
            scale,
            shift,
            tables: true,
            picks: false,
        };
        self.apply1(op, &[images, rows, tables])
    }
}

// Shape rule.

impl Op for AugmentPixels {
    fn name(&self) -> &'static str {
        "augment"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("augment", inputs, 2 + usize::from(self.tables))?;
        let [n, c, ..] = expect_images("augment", "images", inputs[0], DType::F32)?;
        expect_rows("augment", inputs[1], n)?;
        if let Some(tables) = inputs.get(2) {
            expect_type("augment", "tables", tables, &Type::u32([n, c, TABLE]))?;
        }
        for (name, factors) in [("scale", &self.scale), ("shift", &self.shift)] {
            if factors.len() != 1 && factors.len() != c {
                return Err(Error::shape(format!(
                    "augment: {name} has {} entries, images {} have {c} channels",
                    factors.len(),
                    inputs[0].shape
                )));
            }
        }
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (images, rows, tables) = (inputs[0], inputs[1], inputs.get(2));
        let &[n, c, h, w] = &images.shape()[..] else {
            return Vec::new();
        };
        let knots = expect_rows("augment", rows.ty(), n).unwrap_or(0);
        let mut y = vec![0.0; n * c * h * w];
        for sample in 0..n {
            let row = Params::of(rows, sample, knots, [h, w]);
            let image = Image {
                row,
                pixels: &images.floats()[sample * c * h * w..][..c * h * w],
                table: tables.map(|tables| &tables.u32s()[sample * c * TABLE..][..c * TABLE]),
                channels: c,
            };
            for (at, line, column) in (0..h * w).map(|at| (at, at / w, at % w)) {
                if row.in_box(column, line) {
                    continue;
                }
                let place = row.place(column, line);
                let sampled = match row.word(Word::Flags) & 1 {
                    1 => image.interpolated(place),
                    _ => image.fetched(place.map(|v| v.wrapping_add(0x8000) >> 16)),
                };
                for (channel, byte) in image.coloured(sampled, at).into_iter().enumerate() {
                    let [scale, shift] = self.factors(channel).map(f64::from);
                    y[(sample * c + channel) * h * w + at] = f64::from(byte) * scale + shift;
                }
            }
        }
        vec![Array::float(images.shape().clone(), y)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, at: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; at.inputs.len()])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let &[n, c, h, w] = &io.inputs[0].shape[..] else {
            return Ok(());
        };
        let knots = expect_rows("augment", &io.inputs[1], n)?;
        let words = io.inputs[1].shape[1];
        let leveled = io.inputs.len() == 3;
        let kind = match (leveled, self.picks) {
            (false, false) => 0,
            (true, _) => 1,
            (false, true) => 2,
        };
        let mut parts = vec![
            &io.output_parts[0][..],
            &io.input_parts[0],
            &io.input_parts[1],
        ];
        parts.extend(io.input_parts.get(2).map(Vec::as_slice));
        for rows in overlaps(&parts) {
            let count = rows.count * h * w;
            for channel in (0..c).step_by(LANES) {
                let lanes = LANES.min(c - channel);
                let dispatch = Dispatch::new(&AUGMENT, VARIANTS[2 * kind + usize::from(lanes > 1)])
                    .read(Operand::Input(0))
                    .part(rows.part[1])
                    .read(Operand::Input(1))
                    .part(rows.part[2]);
                let dispatch = match leveled {
                    true => dispatch.read(Operand::Input(2)).part(rows.part[3]),
                    false => dispatch.read_again(),
                };
                let first_table = rows.first.get(3).map_or(0, |first| first * c * TABLE);
                let dispatch = dispatch
                    .write(Operand::Output(0))
                    .part(rows.part[0])
                    .param("count", count)
                    .param("first_image", rows.first[1] * c * h * w)
                    .param("first_row", rows.first[2] * words)
                    .param("first_table", first_table)
                    .param("first_y", rows.first[0] * c * h * w)
                    .param("channels", c)
                    .param("channel", channel)
                    .param("lanes", lanes)
                    .param("height", h)
                    .param("width", w)
                    .param("words", words)
                    .param("knots", knots)
                    .param("step_x", knot_step(w, knots))
                    .param("step_y", knot_step(h, knots));
                let lanes = [0, 1, 2, 3].map(|lane| self.factors(channel + lane));
                let dispatch = (SCALES.iter().zip(lanes))
                    .fold(dispatch, |d, (name, [scale, _])| d.param_f32(name, scale));
                let dispatch = (SHIFTS.iter().zip(lanes))
                    .fold(dispatch, |d, (name, [_, shift])| d.param_f32(name, shift));
                out.push(dispatch.workgroups(count.div_ceil(64)));
            }
        }
        Ok(())
    }

    fn mixes_rows(&self, _: usize) -> bool {
        false
    }
}

/// Channels that an invocation makes.
const LANES: usize = 4;
const SCALES: [&str; LANES] = ["scale0", "scale1", "scale2", "scale3"];
const SHIFTS: [&str; LANES] = ["shift0", "shift1", "shift2", "shift3"];

impl AugmentPixels {
    /// Scale and shift of a channel; those of the last one beyond.
    fn factors(&self, channel: usize) -> [f32; 2] {
        [&self.scale, &self.shift].map(|factors| {
            let own = factors.get(channel).or(factors.last());
            own.copied().unwrap_or_default()
        })
    }
}

/// One image with its row and table.
struct Image<'a> {
    row: Params<'a>,
    pixels: &'a [f64],
    table: Option<&'a [u32]>,
    channels: usize,
}

impl Image<'_> {
    /// The bytes of a pixel.
    fn raw(&self, [x, y]: [usize; 2]) -> Vec<i32> {
        let plane = self.row.height * self.row.width;
        let at = y * self.row.width + x;
        let channels = self.pixels[at..].iter().step_by(plane);
        channels.map(|&x| byte_of(x)).collect()
    }

    /// A pixel with its sharpness and levels, or the fill.
    fn fetched(&self, [x, y]: [i32; 2]) -> Vec<i32> {
        let Some([x, y]) = self.row.bordered(x, y) else {
            return vec![self.row.word(Word::Fill) & 255; self.channels];
        };
        let mut bytes = self.raw([x, y]);
        let sharpness = self.row.word(Word::Sharpness);
        let inside = |v: usize, extent: usize| v > 0 && v + 1 < extent;
        if sharpness != ONE && inside(x, self.row.width) && inside(y, self.row.height) {
            // 1 1 1 / 1 5 1 / 1 1 1 over 13, to the nearest; the rim stays.
            let mut sums: Vec<i32> = bytes.iter().map(|byte| 4 * byte).collect();
            for (dx, dy) in (0..9).map(|at| (at % 3, at / 3)) {
                let around = self.raw([x + dx - 1, y + dy - 1]);
                sums.iter_mut().zip(around).for_each(|(sum, b)| *sum += b);
            }
            for (byte, sum) in bytes.iter_mut().zip(sums) {
                let blurred = (2 * sum + 13) / 26;
                *byte = blended(*byte, sharpness, blurred.wrapping_mul(rest(sharpness)));
            }
        }
        if let Some(table) = self.table
            && self.row.word(Word::Levels) != 0
        {
            for (channel, byte) in bytes.iter_mut().enumerate() {
                *byte = (table[channel * TABLE + *byte as usize] & 255) as i32;
            }
        }
        bytes
    }

    /// The image between pixels, with 12 bits behind the point along each axis.
    fn interpolated(&self, place: [i32; 2]) -> Vec<i32> {
        let [x, y] = place.map(|v| v >> 16);
        let [fx, fy] = place.map(|v| (v >> 4 & 4095) as u32);
        let corners = [[0, 0], [1, 0], [0, 1], [1, 1]];
        let [a, b, c, d] =
            corners.map(|[dx, dy]| self.fetched([x.wrapping_add(dx), y.wrapping_add(dy)]));
        let channels = (0..self.channels).map(|channel| {
            let [a, b, c, d] = [&a, &b, &c, &d].map(|bytes| bytes[channel] as u32);
            let above = a * (4096 - fx) + b * fx;
            let under = c * (4096 - fx) + d * fx;
            ((above * (4096 - fy) + under * fy + (1 << 23)) >> 24) as i32
        });
        channels.collect()
    }

    /// Contrast, saturation, brightness, posterize, solarize and noise of a sampled pixel.
    fn coloured(&self, mut bytes: Vec<i32>, pixel: usize) -> Vec<i32> {
        let word = |word| self.row.word(word);
        let contrast = word(Word::Contrast);
        if let Some(table) = self.table
            && contrast != ONE
        {
            let mean = fixed_mul(rest(contrast), table[TABLE - 1] as i32);
            bytes = bytes.iter().map(|&b| blended(b, contrast, mean)).collect();
        }
        let saturation = word(Word::Saturation);
        if self.channels == 3 && saturation != ONE {
            let own = grey(bytes.iter().copied()).wrapping_mul(rest(saturation));
            bytes = bytes.iter().map(|&b| blended(b, saturation, own)).collect();
        }
        let brightness = word(Word::Brightness);
        if brightness != ONE {
            bytes = bytes.iter().map(|&b| blended(b, brightness, 0)).collect();
        }
        for (channel, byte) in bytes.iter_mut().enumerate() {
            *byte &= word(Word::Mask) & 255;
            if *byte as u32 >= word(Word::Threshold) as u32 {
                *byte = 255 - *byte;
            }
            if word(Word::Noise) != 0 {
                let key = [Word::KeyLow, Word::KeyHigh].map(|at| word(at) as u32);
                let group = channel / LANES * LANES;
                let words = philox4x32([pixel as u32, group as u32, 0, 0], key);
                let draws = words[channel % LANES].to_le_bytes();
                let sum = draws.iter().map(|&draw| i32::from(draw)).sum::<i32>() - 510;
                let added = sum.wrapping_mul(word(Word::Noise)).wrapping_add(0x8000) >> 16;
                *byte = (*byte + added).clamp(0, 255);
            }
        }
        bytes
    }
}

/// 1 - factor.
fn rest(factor: i32) -> i32 {
    ONE.wrapping_sub(factor)
}

/// factor * byte + other, both with 20 bits behind the point, rounded down to a byte.
fn blended(byte: i32, factor: i32, other: i32) -> i32 {
    let sum = byte.wrapping_mul(factor).wrapping_add(other);
    (sum >> 20).clamp(0, 255)
}

// Without tables, with them, and for rows that only pick; each for one channel and for more.
const VARIANTS: &[Overrides] = &[
    &variant(0, 0, 1),
    &variant(0, 0, LANES as u32),
    &variant(1, 0, 1),
    &variant(1, 0, LANES as u32),
    &variant(0, 1, 1),
    &variant(0, 1, LANES as u32),
];

const fn variant(leveled: u32, picks: u32, most_lanes: u32) -> [(&'static str, u32); 4] {
    [
        ("leveled", leveled),
        ("picks", picks),
        ("most_lanes", most_lanes),
        ("workgroup_size", 64),
    ]
}

pub(super) static AUGMENT: Kernel = Kernel::new(
    "augment",
    &[
        source!("augment/augment"),
        source!("augment/row"),
        source!("augment/geometry"),
        source!("augment/bytes"),
        source!("lib/fixed"),
        source!("lib/philox"),
    ],
    VARIANTS,
);
