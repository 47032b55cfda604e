//! Which rows of a data set a step works on: batches of an epoch in a shuffled order, keyed by the
//! clock.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, looped, source};
use crate::rng::philox4x32;
use crate::shape::Type;
use crate::tensor::{Array, Tensor};

use crate::ops::{expect_clock, expect_inputs};

// Parameters and builder.

/// How a data set is cut into the batches of an epoch (PyTorch's `DataLoader`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batches {
    /// Rows of the data set.
    pub count: usize,
    /// Rows of a batch; the last one of an epoch may have fewer.
    pub batch: usize,
    /// Whether each epoch has a new pseudo-random order.
    pub shuffle: bool,
    /// Whether an epoch ends before a batch that would not be full.
    pub drop_last: bool,
}

impl Batches {
    /// Batches of an epoch: count / batch, rounded down with `drop_last`, else up.
    ///
    /// # Errors
    /// `Shape` if there are none.
    pub fn steps(&self) -> Result<usize> {
        for (name, extent) in [("count", self.count), ("batch", self.batch)] {
            if !(1..1 << 31).contains(&extent) {
                return Err(Error::shape(format!(
                    "shuffled_batch: {name} {extent} must be at least 1 and below 2^31"
                )));
            }
        }
        match self.drop_last {
            false => Ok(self.count.div_ceil(self.batch)),
            true if self.count < self.batch => Err(Error::shape(format!(
                "shuffled_batch: with drop_last, batches of {} leave none of {} rows",
                self.batch, self.count
            ))),
            true => Ok(self.count / self.batch),
        }
    }

    /// Rows of the last batch of an epoch where it is not full, else 0.
    pub fn remainder(&self) -> usize {
        match self.drop_last {
            true => 0,
            false => self.count % self.batch.max(1),
        }
    }

    /// The element of the data set in row `row` of the batch of a step, counted from 0 over all
    /// epochs: what [`Graph::batch_rows`] chooses on the device. `seed` is that of the clock,
    /// `stream` that of the op ([`ShuffledBatch::stream`]). Rows beyond the end of the data are
    /// taken from the beginning of the epoch's order.
    pub(crate) fn element(&self, seed: [u32; 2], stream: u32, step: u32, row: usize) -> u32 {
        // Who asks saw to it that there are some.
        let steps = self.steps().unwrap_or(1) as u32;
        let (epoch, position) = (step / steps, (step % steps) as usize);
        let element = ((position * self.batch + row) % self.count) as u32;
        match self.shuffle {
            false => element,
            true => permuted(element, self.count, seed, [stream, epoch]),
        }
    }
}

/// The indices of the clock's batch of a data set that is run through epoch after epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShuffledBatch {
    /// Batches of an epoch.
    pub batches: Batches,
    /// Rows that are made of a batch.
    pub rows: usize,
    /// Whether rows beyond the end of the data are left out, as 0 and not counted as valid; if not,
    /// they are taken from the beginning of the epoch's order.
    pub padded: bool,
    /// From [`Graph::new_stream`], for a new order in each epoch; 0 for the order of the data.
    pub stream: u32,
}

/// # Batches of a resident data set
impl Graph {
    /// Which rows of a data set of `count` rows the step of `clock` works on: (indices u32
    /// `[batch]`, valid u32 `[1]`).
    ///
    /// An epoch is ceil(count / batch) steps and touches every row once, with `shuffle` in a new
    /// pseudo-random order in each epoch. `valid` rows are meant, fewer than `batch` in the last
    /// step of an epoch; indices beyond are 0.
    ///
    /// That is for evaluation. In training, ops that mix rows refuse rows that are not meant: take
    /// [`batch_rows`](Self::batch_rows), in a graph of its own for the last batch.
    pub fn shuffled_batch(
        &mut self,
        clock: Value,
        count: usize,
        batch: usize,
        shuffle: bool,
    ) -> Result<(Value, Value)> {
        let batches = Batches {
            count,
            batch,
            shuffle,
            drop_last: false,
        };
        let outputs = self.chosen(clock, batches, batch, true)?;
        Ok((outputs[0], outputs[1]))
    }

    /// The first `rows` rows of the batch that the step of `clock` works on: (indices u32 `[rows]`,
    /// valid u32 `[1]`). All of them are meant: where the data end before, they are those at the
    /// beginning of the epoch's order.
    ///
    /// Two graphs over one store, one with [`Batches::batch`] rows, the other with
    /// [`Batches::remainder`], walk through an epoch without filler: the second one runs the last
    /// step of each epoch. Both are to make their random ops in the same order, so that streams
    /// agree.
    ///
    /// # Errors
    /// As [`Batches::steps`]; `Shape` if `rows` is 0, or more than a batch or the data have.
    pub fn batch_rows(
        &mut self,
        clock: Value,
        batches: Batches,
        rows: usize,
    ) -> Result<(Value, Value)> {
        let outputs = self.chosen(clock, batches, rows, false)?;
        let valid = self.constant(Tensor::u32([1], vec![rows as u32])?)?;
        Ok((outputs[0], valid))
    }

    fn chosen(
        &mut self,
        clock: Value,
        batches: Batches,
        rows: usize,
        padded: bool,
    ) -> Result<Vec<Value>> {
        let stream = match batches.shuffle {
            true => self.new_stream(),
            false => 0,
        };
        let op = ShuffledBatch {
            batches,
            rows,
            padded,
            stream,
        };
        self.apply(op, &[clock])
    }
}

impl Op for ShuffledBatch {
    fn name(&self) -> &'static str {
        "shuffled_batch"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("shuffled_batch", inputs, 1)?;
        expect_clock("shuffled_batch", inputs[0])?;
        self.batches.steps()?;
        let Batches { count, batch, .. } = self.batches;
        let most = match self.padded {
            true => batch,
            false => batch.min(count),
        };
        if !(1..=most).contains(&self.rows) {
            return Err(Error::shape(format!(
                "shuffled_batch: {} rows of batches of {batch} of {count} rows are asked for, 1 \
                 to {most} \
                 can be made",
                self.rows
            )));
        }
        Ok(vec![Type::u32([self.rows]), Type::u32([1])])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let clock = inputs[0].u32s();
        let Batches { count, batch, .. } = self.batches;
        let position = clock[2] % self.steps() as u32;
        let valid = match self.padded {
            true => self.rows.min(count - position as usize * batch),
            false => self.rows,
        };
        let seed = [clock[0], clock[1]];
        let element = |row: usize| match row < valid {
            true => self.batches.element(seed, self.stream, clock[2], row),
            false => 0,
        };
        let indices = (0..self.rows).map(element).collect();
        vec![
            Array::u32([self.rows], indices),
            Array::u32([1], vec![valid as u32]),
        ]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let Batches { count, batch, .. } = self.batches;
        let variant = if self.batches.shuffle { 1 } else { 0 };
        for (part, rows) in io.output_parts[0].iter().enumerate() {
            out.push(
                Dispatch::new(&SHUFFLED_BATCH, SHUFFLE_VARIANTS[variant])
                    .uniform(Operand::Input(0))
                    .write(Operand::Output(0))
                    .part(part)
                    .write(Operand::Output(1))
                    .param("first", rows.start)
                    .param("rows", rows.rows)
                    .param("count", count)
                    .param("batch", batch)
                    .param("made", self.rows)
                    .param("padded", usize::from(self.padded))
                    .param("steps", self.steps())
                    .param("half_bits", half_bits(count) as usize)
                    .param("stream", self.stream as usize)
                    .param("rounds", ROUNDS as usize)
                    .turns(self.turns())
                    .workgroups(rows.rows.div_ceil(64)),
            );
        }
        Ok(())
    }
}

impl ShuffledBatch {
    /// Batches of an epoch, of which `infer` saw to it that there are some.
    fn steps(&self) -> usize {
        self.batches.steps().unwrap_or(1)
    }

    /// Turns of the rounds of all walks of an element, each round with those of Philox.
    fn turns(&self) -> u64 {
        let count = self.batches.count;
        // Up to 2^32 numbers: more than a `usize` of 32 bits holds.
        let outside = (1u64 << (2 * half_bits(count))) - count as u64;
        let walks = usize::try_from(outside + 1).map_or(WALKS, |walks| walks.min(WALKS));
        match self.batches.shuffle {
            false => 0,
            true => looped(walks, looped(ROUNDS as usize, looped(10, 0))),
        }
    }
}

const ROUNDS: u32 = 8;

/// The most walks along a cycle of the permutation that an element takes. A number is below `count`
/// with a chance of at least a quarter, so that one element of 10^31 takes more.
const WALKS: usize = 256;

/// Half the smallest even number of bits, at least 2, that holds all numbers below `count`.
fn half_bits(count: usize) -> u32 {
    (usize::BITS - (count - 1).leading_zeros())
        .div_ceil(2)
        .max(1)
}

/// Where the pseudo-random permutation of 0..count that belongs to `key` and `tail` (stream, epoch)
/// takes `i`.
///
/// A balanced Feistel network (Luby and Rackoff 1988) permutes the numbers of 2 * half_bits bits;
/// it is applied until the result is below `count`, which walks along a cycle that holds `i` and
/// therefore ends.
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

const SHUFFLE_VARIANTS: &[Overrides] = &[
    &[("shuffle", 0), ("workgroup_size", 64)],
    &[("shuffle", 1), ("workgroup_size", 64)],
];

static SHUFFLED_BATCH: Kernel = Kernel::new(
    "shuffled_batch",
    &[source!("random/shuffled_batch"), source!("lib/philox")],
    SHUFFLE_VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&SHUFFLED_BATCH];

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

    /// Over many epochs of 5 rows, each row comes first about equally often: chi-squared of 4
    /// degrees of freedom below its 0.1 % quantile.
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
