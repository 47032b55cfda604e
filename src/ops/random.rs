//! Random ops, keyed by the clock (seed and step): dropout, shuffled batches, and the clock's own step.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, looped};
use crate::rng::{Stream, philox4x32};
use crate::shape::Type;
use crate::tensor::Array;

use super::in_place::{bind_places, form};
use super::{expect_clock, expect_f32, expect_inputs, quads};

// Parameters and builder.

/// Multiplies each element by 0 with probability `p` and the others by 1 / (1 - p).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability of zero, in [0, 1).
    pub p: f32,
    /// From [`Graph::new_stream`]; a gradient has that of its forward op.
    pub stream: u32,
}

/// The indices of the clock's batch of a data set that is run through epoch after epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShuffledBatch {
    /// Rows of the data set.
    pub count: usize,
    /// Rows of a batch.
    pub batch: usize,
    /// From [`Graph::new_stream`], for a new order in each epoch; `None` for the order of the data.
    pub stream: Option<u32>,
}

/// The clock of the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance;

impl Graph {
    /// `x` with each element multiplied by 0 with probability `p` and the others by 1 / (1 - p), so that the mean stays.
    ///
    /// `p` lies in [0, 1). Draws are new in each step of `clock`, u32 `[4]` (see [`Graph::clock`]): element i is kept where the uniform
    /// number i of this op's stream is at least `p`.
    pub fn dropout(&mut self, x: Value, p: f32, clock: Value) -> Result<Value> {
        let stream = self.new_stream();
        self.add1(Dropout { p, stream }, &[x, clock])
    }

    /// As [`dropout`](Self::dropout), but with one draw for each feature map: `x` is `[n, c, ...]` with at least 3 axes.
    pub fn dropout2d(&mut self, x: Value, p: f32, clock: Value) -> Result<Value> {
        let mut maps = self.operand("dropout2d", x)?.shape.to_vec();
        if maps.len() < 3 {
            return Err(Error::shape(format!(
                "dropout2d: x {maps:?} must have at least 3 axes, [n, c, ...]"
            )));
        }
        maps[2..].fill(1);
        let ones = self.fill(maps, 1.0)?;
        let mask = self
            .dropout(ones, p, clock)
            .map_err(|e| e.context("dropout2d"))?;
        self.mul(x, mask)
    }

    /// Which rows of a data set of `count` rows the step of `clock` works on: (indices u32 `[batch]`, valid u32 `[1]`).
    ///
    /// An epoch is ceil(count / batch) steps and touches every row once, with `shuffle` in a new pseudo-random order in each epoch.
    /// `valid` rows are meant, fewer than `batch` in the last step of an epoch; indices beyond are 0.
    pub fn shuffled_batch(
        &mut self,
        clock: Value,
        count: usize,
        batch: usize,
        shuffle: bool,
    ) -> Result<(Value, Value)> {
        let stream = shuffle.then(|| self.new_stream());
        let op = ShuffledBatch {
            count,
            batch,
            stream,
        };
        let outputs = self.add(op, &[clock])?;
        Ok((outputs[0], outputs[1]))
    }

    /// `clock` one step later; to be assigned to it.
    pub fn advance(&mut self, clock: Value) -> Result<Value> {
        self.add1(Advance, &[clock])
    }
}

// Shape rule.

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("dropout", inputs, 2)?;
        expect_f32("dropout", "x", inputs[0])?;
        expect_clock("dropout", inputs[1])?;
        if !(0.0..1.0).contains(&self.p) {
            return Err(Error::shape(format!(
                "dropout: p {} must be at least 0 and below 1",
                self.p
            )));
        }
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let clock = inputs[1].u32s();
        let draws = Stream::new(seed(clock), self.stream, clock[2]);
        let y = inputs[0].floats().iter().enumerate().map(|(i, x)| {
            match draws.unit(i as u64) >= self.p {
                true => x * self.scale(),
                false => x * 0.0,
            }
        });
        vec![Array::float(inputs[0].shape().clone(), y.collect())]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let dx = g.add1(*self, &[dy[0], at.inputs[1]])?;
        Ok(vec![Some(dx), None])
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(0, 0)]
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        for (part, rows) in io.output_parts[0].iter().enumerate() {
            let quads = quads(&io.outputs[0], rows.rows);
            let first = rows.start * io.outputs[0].row();
            let kernel = form([&DROPOUT, &DROPOUT_IN_PLACE], io);
            let dispatch = Dispatch::new(kernel, VARIANTS[0]).uniform(Operand::Input(1));
            out.push(
                bind_places(dispatch, io, 0, part)
                    .param("quads", quads)
                    .param("block", first / 4)
                    .param("offset", first % 4)
                    .param("stream", self.stream as usize)
                    .param_f32("p", self.p)
                    .param_f32("scale", self.scale() as f32)
                    .workgroups(quads.div_ceil(64)),
            );
        }
        Ok(())
    }
}

impl Dropout {
    /// The factor on elements that are kept.
    fn scale(&self) -> f64 {
        1.0 / (1.0 - f64::from(self.p))
    }
}

fn seed(clock: &[u32]) -> u64 {
    u64::from(clock[0]) | u64::from(clock[1]) << 32
}

impl Op for ShuffledBatch {
    fn name(&self) -> &'static str {
        "shuffled_batch"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("shuffled_batch", inputs, 1)?;
        expect_clock("shuffled_batch", inputs[0])?;
        for (name, extent) in [("count", self.count), ("batch", self.batch)] {
            if !(1..1 << 31).contains(&extent) {
                return Err(Error::shape(format!(
                    "shuffled_batch: {name} {extent} must be at least 1 and below 2^31"
                )));
            }
        }
        Ok(vec![Type::u32([self.batch]), Type::u32([1])])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let clock = inputs[0].u32s();
        let steps = self.count.div_ceil(self.batch) as u32;
        let (epoch, position) = (clock[2] / steps, clock[2] % steps);
        let start = position as usize * self.batch;
        let valid = self.batch.min(self.count - start);
        let element = |row: usize| match self.stream {
            _ if row >= valid => 0,
            None => (start + row) as u32,
            Some(stream) => {
                let round = [stream, epoch];
                permuted(
                    (start + row) as u32,
                    self.count,
                    [clock[0], clock[1]],
                    round,
                )
            }
        };
        let indices = (0..self.batch).map(element).collect();
        vec![
            Array::u32([self.batch], indices),
            Array::u32([1], vec![valid as u32]),
        ]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let variant = if self.stream.is_some() { 1 } else { 0 };
        for (part, rows) in io.output_parts[0].iter().enumerate() {
            out.push(
                Dispatch::new(&SHUFFLED_BATCH, SHUFFLE_VARIANTS[variant])
                    .uniform(Operand::Input(0))
                    .write(Operand::Output(0))
                    .part(part)
                    .write(Operand::Output(1))
                    .param("first", rows.start)
                    .param("rows", rows.rows)
                    .param("count", self.count)
                    .param("batch", self.batch)
                    .param("steps", self.count.div_ceil(self.batch))
                    .param("half_bits", half_bits(self.count) as usize)
                    .param("stream", self.stream.unwrap_or(0) as usize)
                    .param("rounds", ROUNDS as usize)
                    .turns(self.turns())
                    .workgroups(rows.rows.div_ceil(64)),
            );
        }
        Ok(())
    }
}

const ROUNDS: u32 = 8;

/// The most walks along a cycle of the permutation that an element takes. A number is below `count`
/// with a chance of at least a quarter, so that one element of 10^31 takes more.
const WALKS: usize = 256;

impl ShuffledBatch {
    /// Turns of the rounds of all walks of an element, each round with those of Philox.
    fn turns(&self) -> u64 {
        let outside = (1 << (2 * half_bits(self.count))) - self.count;
        match self.stream {
            None => 0,
            Some(_) => looped(
                WALKS.min(outside + 1),
                looped(ROUNDS as usize, looped(10, 0)),
            ),
        }
    }
}

/// Half the smallest even number of bits, at least 2, that holds all numbers below `count`.
fn half_bits(count: usize) -> u32 {
    (usize::BITS - (count - 1).leading_zeros())
        .div_ceil(2)
        .max(1)
}

/// Where the pseudo-random permutation of 0..count that belongs to `key` and `tail` (stream, epoch) takes `i`.
///
/// A balanced Feistel network (Luby and Rackoff 1988) permutes the numbers of 2 * half_bits bits; it is applied until the result is
/// below `count`, which walks along a cycle that holds `i` and therefore ends.
fn permuted(i: u32, count: usize, key: [u32; 2], tail: [u32; 2]) -> u32 {
    let half = half_bits(count);
    let mask = (1u32 << half) - 1;
    let mut value = i;
    loop {
        let (mut left, mut right) = (value >> half, value & mask);
        for round in 0..ROUNDS {
            let word = philox4x32([right, round, tail[0], tail[1]], key)[0];
            (left, right) = (right, left ^ (word & mask));
        }
        value = left << half | right;
        if (value as usize) < count {
            return value;
        }
    }
}

impl Op for Advance {
    fn name(&self) -> &'static str {
        "advance"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("advance", inputs, 1)?;
        expect_clock("advance", inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let mut clock = inputs[0].u32s().to_vec();
        clock[2] = clock[2].wrapping_add(1);
        vec![Array::u32([4], clock)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None])
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(0, 0)]
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let dispatch = Dispatch::new(form([&ADVANCE, &ADVANCE_IN_PLACE], io), VARIANTS[0]);
        out.push(bind_places(dispatch, io, 0, 0).workgroups(1));
        Ok(())
    }
}

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];
const SHUFFLE_VARIANTS: &[Overrides] = &[
    &[("shuffle", 0), ("workgroup_size", 64)],
    &[("shuffle", 1), ("workgroup_size", 64)],
];

static DROPOUT: Kernel = Kernel::new(
    "dropout",
    shader_files!["dropout", "lib/separate", "lib/philox", "lib/grid"],
    VARIANTS,
);
static DROPOUT_IN_PLACE: Kernel = Kernel::new(
    "dropout_in_place",
    shader_files!["dropout", "lib/in_place", "lib/philox", "lib/grid"],
    VARIANTS,
);
static SHUFFLED_BATCH: Kernel = Kernel::new(
    "shuffled_batch",
    shader_files!["shuffled_batch", "lib/philox", "lib/grid"],
    SHUFFLE_VARIANTS,
);
static ADVANCE: Kernel = Kernel::new(
    "advance",
    shader_files!["advance", "lib/separate", "lib/grid"],
    VARIANTS,
);
static ADVANCE_IN_PLACE: Kernel = Kernel::new(
    "advance_in_place",
    shader_files!["advance", "lib/in_place", "lib/grid"],
    VARIANTS,
);

pub(super) const KERNELS: &[&Kernel] = &[
    &DROPOUT,
    &DROPOUT_IN_PLACE,
    &SHUFFLED_BATCH,
    &ADVANCE,
    &ADVANCE_IN_PLACE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_is_another_permutation() {
        for count in [1, 2, 3, 4, 5, 16, 17, 257, 1000] {
            let order = |epoch| -> Vec<u32> {
                (0..count as u32)
                    .map(|i| permuted(i, count, [7, 8], [1, epoch]))
                    .collect()
            };
            for epoch in 0..3 {
                let mut sorted = order(epoch);
                sorted.sort_unstable();
                assert!(sorted.into_iter().eq(0..count as u32), "{count}");
            }
            assert!(count < 10 || order(0) != order(1));
        }
    }

    /// Over many epochs of 5 rows, each row comes first about equally often: chi-squared of 4 degrees of freedom below its
    /// 0.1 % quantile.
    #[test]
    fn rows_are_spread_evenly() {
        let epochs = 5000;
        let mut first = [0.0; 5];
        for epoch in 0..epochs {
            first[permuted(0, 5, [1, 2], [3, epoch]) as usize] += 1.0;
        }
        let expected = f64::from(epochs) / 5.0;
        let chi: f64 = first
            .iter()
            .map(|n| (n - expected) * (n - expected) / expected)
            .sum();
        assert!(chi < 18.47, "{first:?}");
    }

    #[test]
    fn half_bits_cover_the_count() {
        let counts = [1, 2, 4, 5, 16, 17, 60_000, (1 << 31) - 1];
        assert_eq!(counts.map(half_bits), [1, 1, 1, 2, 2, 3, 8, 16]);
    }
}
