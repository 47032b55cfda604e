//! What a row of parameters needs to know of its whole image: new levels, and the mean grey.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{
    Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, looped, overlaps, source,
};
use crate::ops::expect_inputs;
use crate::shape::{DType, Type};
use crate::tensor::Array;

use super::row::{ONE, Word};
use super::{Params, byte_of, expect_images, expect_rows, grey};

// Parameters and builder.

/// Levels and mean greys that rows of parameters ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AugmentTables;

/// # Augmentation
impl Graph {
    /// What [`augment_with`](Self::augment_with) reads of whole images: u32 `[n, c, 257]`, the new
    /// level of each of 256 levels of a channel, then in channel 0 the mean grey of the image with
    /// 16 bits behind the point.
    ///
    /// `images` are bytes as f32 `[n, c, h, w]`, `rows` come from
    /// [`augment_rows`](Self::augment_rows). Images whose rows ask for neither keep their levels,
    /// get 0 as mean, and are not read.
    ///
    /// Both are of the image as it came, before sharpness and geometry.
    ///
    /// # Errors
    /// `Shape` if images are not f32 `[n, c, h, w]` with a channel, sides of at most 16,384 and 1
    /// to 2^22 pixels, or rows not as [`augment_rows`](Self::augment_rows) makes them for n images.
    /// `Limit`, from the session, where an image takes more turns of a loop than the device allows:
    /// a workgroup counts it whole, and takes about (c + 3) h w / 256. The 32,768 turns of a GPU
    /// are about 2.1 million pixels of 1 channel, 1.4 million of 3, and 125,000 of 64.
    pub fn augment_tables(&mut self, images: Value, rows: Value) -> Result<Value> {
        self.apply1(AugmentTables, &[images, rows])
    }
}

/// The most pixels of an image, whose greys add up to less than 2^32.
const MOST_PIXELS: usize = 1 << 22;
/// Words of a channel.
pub(super) const TABLE: usize = 257;

// Shape rule.

impl Op for AugmentTables {
    fn name(&self) -> &'static str {
        "augment_tables"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("augment_tables", inputs, 2)?;
        let [n, c, h, w] = expect_images("augment_tables", "images", inputs[0], DType::F32)?;
        expect_rows("augment_tables", inputs[1], n)?;
        if !(1..=MOST_PIXELS).contains(&(h * w)) {
            return Err(Error::shape(format!(
                "augment_tables: images {} must have 1 to {MOST_PIXELS} pixels",
                inputs[0].shape
            )));
        }
        Ok(vec![Type::u32([n, c, TABLE])])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (images, rows) = (inputs[0], inputs[1]);
        let &[n, c, h, w] = &images.shape()[..] else {
            return Vec::new();
        };
        let plane = h * w;
        let bytes: Vec<i32> = images.floats().iter().map(|&x| byte_of(x)).collect();
        let mut made = Vec::new();
        for sample in 0..n {
            let row = Params::of(rows, sample, 0, [h, w]);
            let image = &bytes[sample * c * plane..][..c * plane];
            for (channel, own) in image.chunks(plane).enumerate() {
                made.extend(levels(own, row.word(Word::Levels)));
                let averaged = channel == 0 && row.word(Word::Contrast) != ONE;
                made.push(if averaged { mean(image, plane) } else { 0 });
            }
        }
        vec![Array::u32([n, c, TABLE], made)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; 2])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let &[_, c, h, w] = &io.inputs[0].shape[..] else {
            return Ok(());
        };
        let words = io.inputs[1].shape[1];
        let turns = (h * w).div_ceil(LEVELS);
        let parts = [
            &io.input_parts[0][..],
            &io.input_parts[1],
            &io.output_parts[0],
        ];
        for rows in overlaps(&parts) {
            out.push(
                Dispatch::new(&AUGMENT_TABLES, VARIANTS[0])
                    .read(Operand::Input(0))
                    .part(rows.part[0])
                    .read(Operand::Input(1))
                    .part(rows.part[1])
                    .write(Operand::Output(0))
                    .part(rows.part[2])
                    .param("first_image", rows.first[0] * c * h * w)
                    .param("first_row", rows.first[1] * words)
                    .param("first_table", rows.first[2] * c * TABLE)
                    .param("channels", c)
                    .param("plane", h * w)
                    .param("words", words)
                    .turns(looped(turns, 0) + looped(turns, looped(c, 0)) + looped(8, 0))
                    .workgroups(rows.count * c),
            );
        }
        Ok(())
    }

    fn mixes_rows(&self, _: usize) -> bool {
        false
    }
}

/// Levels of a byte.
const LEVELS: usize = 256;

/// The new level of each level of a channel: those of torchvision's `autocontrast` (1) and
/// `equalize` (2), else the old ones.
fn levels(bytes: &[i32], kind: i32) -> [u32; LEVELS] {
    let old: [u32; LEVELS] = std::array::from_fn(|level| level as u32);
    let mut counts = [0u32; LEVELS];
    for &byte in bytes {
        counts[byte as usize] += 1;
    }
    let there = |level: &u32| counts[*level as usize] > 0;
    let (Some(low), Some(high)) = (
        old.iter().copied().find(there),
        old.iter().rev().copied().find(there),
    ) else {
        return old;
    };
    match kind {
        1 if high > low => old.map(|level| (level.max(low) - low) * 255 / (high - low)),
        2 => {
            // The last level that occurs is left out.
            let step = (bytes.len() as u32 - counts[high as usize]) / 255;
            if step == 0 {
                return old;
            }
            let mut below = 0;
            old.map(|level| {
                let made = (below + step / 2) / step;
                below += counts[level as usize];
                made
            })
        }
        _ => old,
    }
    .map(|level| level.min(255))
}

/// The mean grey of an image `[channels, plane]` with 16 bits behind the point, rounded down.
fn mean(image: &[i32], plane: usize) -> u32 {
    let greys = (0..plane).map(|pixel| {
        let channels: Vec<i32> = image[pixel..].iter().step_by(plane).copied().collect();
        grey(channels.into_iter()) as u64
    });
    ((greys.sum::<u64>() << 16) / plane as u64) as u32
}

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 256)]];

pub(super) static AUGMENT_TABLES: Kernel = Kernel::new(
    "augment_tables",
    &[
        source!("augment/tables"),
        source!("augment/row"),
        source!("augment/bytes"),
    ],
    VARIANTS,
);
