//! Mixup and CutMix: images of a batch mixed with their neighbours, and labels as shares.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Part, overlaps, source};
use crate::ops::{expect_dtype, expect_inputs};
use crate::shape::{DType, Type};
use crate::tensor::Array;

use super::row::Word;
use super::{Params, VARIANTS, expect_images, expect_rows};

// Parameters and builder.

/// Each image mixed with the next one of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MixImages;

/// The shares of labels in mixed images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MixLabels {
    /// Number of classes.
    pub classes: usize,
    /// Height and width of the images.
    pub size: [usize; 2],
}

/// # Augmentation
impl Graph {
    /// Each image of f32 `[n, c, h, w]` mixed with the next one of the batch, the last with the
    /// first, by the `share` and the box `erase` of its row
    /// ([`AugmentRow`](crate::ops::AugmentRow)):
    ///
    /// ```text
    /// y[i] = x[i + 1]                                  in the box
    ///        share * x[i] + (1 - share) * x[i + 1]     elsewhere
    /// ```
    ///
    /// Mixup (Zhang et al. 2018) is a share and no box, CutMix (Yun et al. 2019) a box and a share
    /// of 1. `rows` come from [`augment_rows`](Self::augment_rows). Which image is the next one
    /// depends on the batch.
    ///
    /// # Errors
    /// `Shape` if images are not f32 `[n, c, h, w]` with a channel and sides of at most 16,384, or
    /// rows not as [`augment_rows`](Self::augment_rows) makes them for n images.
    pub fn mix(&mut self, images: Value, rows: Value) -> Result<Value> {
        self.apply1(MixImages, &[images, rows])
    }

    /// The labels of images that [`mix`](Self::mix) makes: from labels u32 `[n]` shares f32 `[n,
    /// classes]`, as [`cross_entropy`](Self::cross_entropy) takes them. What the box covers of an
    /// image of this `size` (height, width) counts for the other label.
    ///
    /// # Errors
    /// `Shape` if labels are not u32 `[n]`, rows not as [`augment_rows`](Self::augment_rows) makes
    /// them for n images, or if there is no class, no pixel, or more than 2^31 - 1 pixels. `Limit`,
    /// from the session, for labels that do not lie in one buffer.
    pub fn mix_labels(
        &mut self,
        labels: Value,
        rows: Value,
        classes: usize,
        size: [usize; 2],
    ) -> Result<Value> {
        self.apply1(MixLabels { classes, size }, &[labels, rows])
    }
}

/// The share of an image that is mixed.
fn share(row: &Params) -> f64 {
    f64::from((row.word(Word::Share) as u32).min(1 << 16)) / 65536.0
}

// Shape rule.

impl Op for MixImages {
    fn name(&self) -> &'static str {
        "mix"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("mix", inputs, 2)?;
        let [n, ..] = expect_images("mix", "images", inputs[0], DType::F32)?;
        expect_rows("mix", inputs[1], n)?;
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (images, rows) = (inputs[0], inputs[1]);
        let &[n, c, h, w] = &images.shape()[..] else {
            return Vec::new();
        };
        let x = images.floats();
        let columns = c * h * w;
        let mut y = Vec::new();
        for sample in 0..n {
            let row = Params::of(rows, sample, 0, [h, w]);
            let share = share(&row);
            y.extend((0..columns).map(|at| {
                let own = x[sample * columns + at];
                let other = x[(sample + 1) % n * columns + at];
                match row.in_box(at % w, at / w % h) {
                    true => other,
                    // 0 times an infinity would be NaN.
                    false if share == 1.0 => own,
                    false if share == 0.0 => other,
                    false => share * own + (1.0 - share) * other,
                }
            }));
        }
        vec![Array::float(images.shape().clone(), y)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; 2])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let &[n, c, h, w] = &io.inputs[0].shape[..] else {
            return Ok(());
        };
        let words = io.inputs[1].shape[1];
        let columns = c * h * w;
        let images = &io.input_parts[0];
        // Where the row after a row lies: in the part of that one, and for the last in the first.
        let after = images.iter().map(|part| Part {
            start: part.start.saturating_sub(1),
            rows: part.rows - usize::from(part.start == 0).min(part.rows),
        });
        let mut after: Vec<Part> = after.collect();
        if let Some(last) = n.checked_sub(1) {
            after.push(Part {
                start: last,
                rows: 1,
            });
        }
        let operands = [&images[..], &after, &io.input_parts[1], &io.output_parts[0]];
        for rows in overlaps(&operands) {
            let wraps = rows.part[1] == images.len();
            let (part, first) = match wraps {
                true => (0, 0),
                // The part at row 0 has one row less before it.
                false => (
                    rows.part[1],
                    rows.first[1] + usize::from(images[rows.part[1]].start == 0),
                ),
            };
            let count = rows.count * columns;
            out.push(
                Dispatch::new(&MIX, VARIANTS[0])
                    .read(Operand::Input(0))
                    .part(rows.part[0])
                    .read(Operand::Input(0))
                    .part(part)
                    .read(Operand::Input(1))
                    .part(rows.part[2])
                    .write(Operand::Output(0))
                    .part(rows.part[3])
                    .param("count", count)
                    .param("first_x", rows.first[0] * columns)
                    .param("first_next", first * columns)
                    .param("first_row", rows.first[2] * words)
                    .param("first_y", rows.first[3] * columns)
                    .param("columns", columns)
                    .param("height", h)
                    .param("width", w)
                    .param("words", words)
                    .workgroups(count.div_ceil(64)),
            );
        }
        Ok(())
    }

    fn mixes_rows(&self, input: usize) -> bool {
        input == 0
    }
}

impl Op for MixLabels {
    fn name(&self) -> &'static str {
        "mix_labels"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("mix_labels", inputs, 2)?;
        let labels = inputs[0];
        expect_dtype("mix_labels", "labels", labels, DType::U32)?;
        let &[n] = &labels.shape[..] else {
            return Err(Error::shape(format!(
                "mix_labels: labels {} must have 1 axis, [n]",
                labels.shape
            )));
        };
        expect_rows("mix_labels", inputs[1], n)?;
        let [h, w] = self.size;
        let pixels = h.checked_mul(w).unwrap_or(0);
        if !(1..1 << 31).contains(&pixels) || self.classes == 0 {
            return Err(Error::shape(format!(
                "mix_labels: {} classes and images of {h}x{w}: 1 class and 1 to 2^31 - 1 pixels \
                 are needed",
                self.classes
            )));
        }
        Ok(vec![Type::f32([n, self.classes])])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (labels, rows) = (inputs[0].u32s(), inputs[1]);
        let [h, w] = self.size;
        let mut y = Vec::new();
        for (sample, &own) in labels.iter().enumerate() {
            let row = Params::of(rows, sample, 0, self.size);
            let other = labels[(sample + 1) % labels.len()];
            let width = covered(row.word(Word::BoxX), row.word(Word::BoxWidth), w);
            let height = covered(row.word(Word::BoxY), row.word(Word::BoxHeight), h);
            let outside = (h * w - width * height) as f64 / (h * w) as f64;
            let share = share(&row) * outside;
            y.extend((0..self.classes as u32).map(|class| {
                f64::from(own == class) * share + f64::from(other == class) * (1.0 - share)
            }));
        }
        vec![Array::float([labels.len(), self.classes], y)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; 2])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        io.in_one_part("mix_labels", &[Operand::Input(0)])?;
        let [h, w] = self.size;
        let words = io.inputs[1].shape[1];
        let total = io.inputs[0].shape[0];
        let all = [Part {
            start: 0,
            rows: total,
        }];
        for rows in overlaps(&[&all, &io.input_parts[1], &io.output_parts[0]]) {
            let count = rows.count * self.classes;
            out.push(
                Dispatch::new(&MIX_LABELS, VARIANTS[0])
                    .read(Operand::Input(0))
                    .read(Operand::Input(1))
                    .part(rows.part[1])
                    .write(Operand::Output(0))
                    .part(rows.part[2])
                    .param("count", count)
                    .param("first", rows.first[0])
                    .param("total", total)
                    .param("first_row", rows.first[1] * words)
                    .param("first_y", rows.first[2] * self.classes)
                    .param("classes", self.classes)
                    .param("height", h)
                    .param("width", w)
                    .param("words", words)
                    .workgroups(count.div_ceil(64)),
            );
        }
        Ok(())
    }

    fn mixes_rows(&self, input: usize) -> bool {
        input == 0
    }
}

/// How much of 0..extent lies in the box along one axis.
fn covered(first: i32, length: i32, extent: usize) -> usize {
    let extent = extent as u32;
    // What lies before 0 and behind the extent counts nothing.
    let inside = (length as u32).saturating_sub(first.min(0).unsigned_abs());
    let left = extent.saturating_sub(first.max(0).unsigned_abs());
    inside.min(left) as usize
}

pub(super) static MIX: Kernel = Kernel::new(
    "mix",
    &[source!("augment/mix"), source!("augment/row")],
    VARIANTS,
);
pub(super) static MIX_LABELS: Kernel = Kernel::new(
    "mix_labels",
    &[source!("augment/mix_labels"), source!("augment/row")],
    VARIANTS,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_cut_off_at_the_rim() {
        let found = [
            (0, 3),
            (2, 9),
            (-2, 4),
            (-2, 1),
            (5, 1),
            (i32::MAX, 7),
            (i32::MAX, -1),
            (i32::MIN, i32::MIN),
            (i32::MIN, -1),
            (-1, -1),
        ];
        let found = found.map(|(first, length)| covered(first, length, 5));
        assert_eq!(found, [3, 3, 2, 0, 0, 0, 0, 0, 5, 5]);
    }
}
