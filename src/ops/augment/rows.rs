//! Rows of parameters, drawn on the device by image and epoch.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, overlaps, source};
use crate::ops::{expect_clock, expect_dtype, expect_inputs};
use crate::rng::philox4x32;
use crate::shape::{DType, Type};
use crate::tensor::{Array, Tensor};

use super::row::{AugmentRow, HEAD, NEUTRAL, Word};
use super::{VARIANTS, fixed_mul};

// Parameters and builder.

/// One of the things that a stage may do.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AugmentChoice {
    /// What is done.
    pub row: AugmentRow,
    /// The image is read further to the right by a whole number of pixels that is drawn from 0 to
    /// below this one, and further down; 0 draws none.
    pub shift: [u32; 2],
    /// The erased box lies further to the right by a whole number of pixels that is drawn from 0
    /// to below this one, and further down.
    pub erase_shift: [u32; 2],
}

impl From<AugmentRow> for AugmentChoice {
    fn from(row: AugmentRow) -> Self {
        Self {
            row,
            ..Self::default()
        }
    }
}

/// A stage of augmentation: one of its choices is drawn for each image.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AugmentStage {
    /// All equally likely.
    pub choices: Vec<AugmentChoice>,
    /// Whether an image gets its choices in turn, one in each epoch, beginning with one that is
    /// drawn once.
    pub alternate: bool,
}

/// A smooth random field that displaces pixels: linear between knots, whose displacements are
/// drawn along both axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Elastic {
    /// Knots along each axis, 2 to 32, the outermost on the outermost pixels.
    pub knots: usize,
    /// The longest displacement along an axis, in pixels; all up to it are equally likely.
    pub most: f64,
}

/// How often images were shown, and what is drawn for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AugmentRows {
    /// From [`Graph::new_stream`].
    pub stream: u32,
    /// Steps of the clock in an epoch.
    pub steps_per_epoch: usize,
    /// Stages, each with a line at the top of the table.
    pub stages: usize,
    /// Knots of a field of displacements along each axis, 0 for none.
    pub knots: usize,
    /// The longest displacement, with 16 bits behind the point.
    pub most: u32,
    /// Whether no choice does more than pick pixels and erase.
    pub(super) picks: bool,
}

/// Words of a line of the table of choices.
const LINE: usize = 32;
/// The most stages.
pub(in crate::ops) const MOST_STAGES: usize = 16;
/// The most knots of a field along an axis.
pub(super) const MOST_KNOTS: usize = 32;

/// # Augmentation
impl Graph {
    /// Rows of parameters for [`augment`](Self::augment), u32 `[n, 24]`, one for each image
    /// `indices` u32 `[n]` of a data set; `[n, 24 + 2 * knots * knots]` with an elastic field.
    ///
    /// What is drawn depends on the seed of `clock`, the epoch (its step divided by
    /// `steps_per_epoch`), the index of the image and nothing else: neither on the batch nor on
    /// the order. Of each stage one choice is drawn. Geometry adds up, in the order of the stages,
    /// and is linear between pixels where one of them is; of everything else the last stage that
    /// changes it counts.
    ///
    /// # Errors
    /// `Shape` for more than 16 stages, one without choices, no steps, or a field that is out of
    /// bounds.
    pub fn augment_rows(
        &mut self,
        clock: Value,
        indices: Value,
        steps_per_epoch: usize,
        stages: &[AugmentStage],
        elastic: Option<Elastic>,
    ) -> Result<Value> {
        let table = table(stages)?;
        let (knots, most) = match elastic {
            None => (0, 0),
            Some(Elastic { knots, most }) => {
                if !(2..=MOST_KNOTS).contains(&knots) || !(0.0..=4096.0).contains(&most) {
                    return Err(Error::shape(format!(
                        "augment_rows: a field of {knots} knots and {most} pixels must have 2 to \
                         {MOST_KNOTS} knots and 0 to 4096 pixels"
                    )));
                }
                (knots, (most * 65536.0).round() as u32)
            }
        };
        let table = self.constant(table)?;
        let op = AugmentRows {
            stream: self.new_stream(),
            steps_per_epoch,
            stages: stages.len(),
            knots,
            most,
            picks: (stages.iter())
                .flat_map(|stage| &stage.choices)
                .all(|choice| choice.row.only_picks()),
        };
        self.apply1(op, &[clock, indices, table])
    }
}

/// Choices as lines of words: first a line for each stage that says where its choices are.
///
/// ```text
/// stage 0:  first line, count, alternate, 0 ...
/// stage 1:  ...
/// choice:   24 words of a row, shift x, y, erase_shift x, y, 0 ...
/// ```
fn table(stages: &[AugmentStage]) -> Result<Tensor> {
    if !(1..=MOST_STAGES).contains(&stages.len()) || stages.iter().any(|s| s.choices.is_empty()) {
        return Err(Error::shape(format!(
            "augment_rows: {} stages must be 1 to {MOST_STAGES}, each with a choice",
            stages.len()
        )));
    }
    let mut first = stages.len();
    let mut words: Vec<u32> = Vec::new();
    for stage in stages {
        let count = stage.choices.len();
        let mut line = [0; LINE];
        line[..3].copy_from_slice(&[first as u32, count as u32, stage.alternate.into()]);
        words.extend(line);
        first += count;
    }
    for choice in stages.iter().flat_map(|stage| &stage.choices) {
        words.extend(choice.row.words());
        words.extend(choice.shift);
        words.extend(choice.erase_shift);
        words.extend([0; LINE - HEAD - 4]);
    }
    Tensor::u32([first, LINE], words)
}

// Shape rule.

impl Op for AugmentRows {
    fn name(&self) -> &'static str {
        "augment_rows"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("augment_rows", inputs, 3)?;
        expect_clock("augment_rows", inputs[0])?;
        let (indices, table) = (inputs[1], inputs[2]);
        expect_dtype("augment_rows", "indices", indices, DType::U32)?;
        expect_dtype("augment_rows", "table", table, DType::U32)?;
        let &[n] = &indices.shape[..] else {
            return Err(Error::shape(format!(
                "augment_rows: indices {} must have 1 axis, [n]",
                indices.shape
            )));
        };
        let stages = self.stages;
        let lines = match &table.shape[..] {
            &[lines, LINE] => lines,
            _ => 0,
        };
        if !(1..=MOST_STAGES).contains(&stages) || lines <= stages {
            return Err(Error::shape(format!(
                "augment_rows: the table {} of {stages} stages must be [lines, {LINE}], with more \
                 lines than stages, of which there are 1 to {MOST_STAGES}",
                table.shape
            )));
        }
        if !(1..1 << 31).contains(&self.steps_per_epoch) {
            return Err(Error::shape(format!(
                "augment_rows: {} steps of an epoch must be at least 1 and below 2^31",
                self.steps_per_epoch
            )));
        }
        let knots = self.knots;
        if knots == 1 || knots > MOST_KNOTS || self.most > 1 << 28 {
            return Err(Error::shape(format!(
                "augment_rows: a field of {knots} knots must have 2 to {MOST_KNOTS}, and at most \
                 4096 pixels"
            )));
        }
        Ok(vec![Type::u32([n, HEAD + 2 * knots * knots])])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (clock, indices, table) = (inputs[0].u32s(), inputs[1].u32s(), inputs[2]);
        let lines: Vec<&[u32]> = table.u32s().chunks(LINE).collect();
        let epoch = clock[2] / self.steps_per_epoch as u32;
        let mut made = Vec::new();
        for &index in indices {
            let draw = |block: u32, epoch: u32| {
                philox4x32([block, index, self.stream, epoch], [clock[0], clock[1]])
            };
            let mut row = NEUTRAL;
            for stage in 0..self.stages {
                let [first, count, alternate, ..] = *lines[stage] else {
                    continue;
                };
                let block = 2 * stage as u32;
                let [pick, x, y, box_x] = draw(block, epoch);
                let [box_y, low, high, _] = draw(block + 1, epoch);
                let choice = match alternate {
                    0 => below(pick, count),
                    // Drawn once, as if in an epoch that no clock reaches.
                    _ => below(draw(block, u32::MAX)[0], count).wrapping_add(epoch) % count.max(1),
                };
                let line = first.wrapping_add(choice).min(lines.len() as u32 - 1) as usize;
                compose(&mut row, lines[line], [x, y, box_x, box_y, low, high]);
            }
            made.extend(row);
            let field = (0..2 * self.knots * self.knots).map(|at| {
                let word = draw(FIELD + at as u32 / 4, epoch)[at % 4];
                below(word, 2 * self.most + 1).wrapping_sub(self.most)
            });
            made.extend(field);
        }
        let words = HEAD + 2 * self.knots * self.knots;
        vec![Array::u32([indices.len(), words], made)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; 3])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        io.in_one_part("augment_rows", &[Operand::Input(2)])?;
        // One invocation makes a row, others four words each of its field.
        let quads = (2 * self.knots * self.knots).div_ceil(4);
        for rows in overlaps(&[&io.input_parts[1], &io.output_parts[0]]) {
            let count = rows.count * (1 + quads);
            out.push(
                Dispatch::new(&AUGMENT_ROWS, VARIANTS[0])
                    .uniform(Operand::Input(0))
                    .read(Operand::Input(1))
                    .part(rows.part[0])
                    .read(Operand::Input(2))
                    .write(Operand::Output(0))
                    .part(rows.part[1])
                    .param("count", count)
                    .param("first_index", rows.first[0])
                    .param("first_row", rows.first[1])
                    .param("stages", self.stages)
                    .param("lines", io.inputs[2].shape[0])
                    .param("stream", self.stream as usize)
                    .param("steps", self.steps_per_epoch)
                    .param("quads", quads)
                    .param("words", HEAD + 2 * self.knots * self.knots)
                    .param("most", self.most as usize)
                    .workgroups(count.div_ceil(64)),
            );
        }
        Ok(())
    }

    fn mixes_rows(&self, input: usize) -> bool {
        input != 1
    }
}

/// The first block of random words of a field.
const FIELD: u32 = 64;

/// A number below `limit` from a random word: the word's share of it, rounded down.
fn below(word: u32, limit: u32) -> u32 {
    ((u64::from(word) * u64::from(limit)) >> 32) as u32
}

/// The bits of the flags that hold the border.
const BORDER: u32 = 6;

/// Does what a line of the table says after what `row` says.
fn compose(row: &mut [u32; HEAD], line: &[u32], draws: [u32; 6]) {
    let [x, y, box_x, box_y, low, high] = draws;
    let shift = |word: u32, at: usize| below(word, line[at]) << 16;
    let mut own: [i32; 6] = std::array::from_fn(|at| line[at] as i32);
    own[2] = own[2].wrapping_add(shift(x, HEAD) as i32);
    own[5] = own[5].wrapping_add(shift(y, HEAD + 1) as i32);
    let old: [i32; 6] = std::array::from_fn(|at| row[at] as i32);
    // An output pixel is looked up through the last stage first.
    for at in [0, 3] {
        let [a, b, c] = [old[at], old[at + 1], old[at + 2]];
        let through = |column: usize| {
            fixed_mul(own[column], a).wrapping_add(fixed_mul(own[column + 3], b)) as u32
        };
        row[at] = through(0);
        row[at + 1] = through(1);
        row[at + 2] = through(2).wrapping_add(c as u32);
    }
    // Linear sampling stays for the stages that follow, a border until one of them sets another.
    let [so_far, flags] = [row[Word::Flags as usize], line[Word::Flags as usize]];
    let border = match flags & BORDER {
        0 => so_far & BORDER,
        border => border,
    };
    row[Word::Flags as usize] = ((so_far | flags) & 1) | border;
    for at in Word::Fill as usize..HEAD {
        if line[at] != NEUTRAL[at] {
            row[at] = line[at];
        }
    }
    if line[Word::BoxWidth as usize] != 0 {
        for (at, word, range) in [(Word::BoxX, box_x, HEAD + 2), (Word::BoxY, box_y, HEAD + 3)] {
            row[at as usize] = line[at as usize].wrapping_add(below(word, line[range]));
        }
    }
    if line[Word::Noise as usize] != 0 {
        row[Word::KeyLow as usize] = low;
        row[Word::KeyHigh as usize] = high;
    }
}

pub(super) static AUGMENT_ROWS: Kernel = Kernel::new(
    "augment_rows",
    &[
        source!("augment/rows"),
        source!("augment/row"),
        source!("lib/fixed"),
        source!("lib/philox"),
    ],
    VARIANTS,
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Border;

    /// Of two borders the later one counts; a stage without one leaves it.
    #[test]
    fn the_last_border_counts() {
        let composed = |borders: &[(Border, bool)]| {
            let mut row = NEUTRAL;
            for &(border, bilinear) in borders {
                let own = AugmentRow {
                    border,
                    bilinear,
                    ..AugmentRow::default()
                };
                let mut line = own.words().to_vec();
                line.resize(LINE, 0);
                compose(&mut row, &line, [0; 6]);
            }
            row[Word::Flags as usize]
        };
        let [fill, reflect, edge] = [Border::Fill, Border::Reflect, Border::Edge];
        assert_eq!(composed(&[(reflect, false), (edge, true)]), (2 << 1) | 1);
        assert_eq!(composed(&[(edge, true), (reflect, false)]), (1 << 1) | 1);
        assert_eq!(composed(&[(edge, false), (fill, false)]), 2 << 1);
        assert_eq!(composed(&[(fill, true), (fill, false)]), 1);
    }
}
