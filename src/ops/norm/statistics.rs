//! What normalisations are made with: mean and variance of each set, pairs of given ones, and the
//! running ones of training.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Io, Lowering};
use crate::ops::{expect_f32, expect_inputs, expect_type};
use crate::shape::Type;
use crate::tensor::Array;

use super::lower::{lower_pairs, lower_running, lower_statistics};
use super::sets::{Moments, Over, SetMap, map_of};

// Settings; the builders are in `mod.rs`.

/// Mean and variance of each set of x, as pairs along the last axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NormStatistics {
    /// The sets.
    pub over: Over,
    /// What is taken of them.
    pub moments: Moments,
}

/// Means `[c]` and variances `[c]` as statistics `[c, 2]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatisticPairs;

/// keep * running + add * the mean or the variance of a batch: running statistics `[c]` after
/// statistics `[c, 2]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunningStatistic {
    /// 0 for the mean, 1 for the variance.
    pub column: usize,
    /// Factor on what was.
    pub keep: f64,
    /// Factor on what is new.
    pub add: f64,
}

impl Op for NormStatistics {
    fn name(&self) -> &'static str {
        "norm_statistics"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let op = self.over.op(Some(self.moments));
        let map = SetMap::new(op, self.over, inputs[0])?;
        Ok(vec![Type::f32(map.statistics)])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (x, map) = (inputs[0].floats(), map_of(self.over, inputs[0].ty()));
        let count = map.set_count().max(1) as f64;
        let mut mean = vec![0.0; map.sets()];
        if self.moments == Moments::MeanVariance {
            // In two passes, the second for what the rounding of the first left; an infinity makes
            // NaN of it.
            for _ in 0..2 {
                let so_far = mean.clone();
                for (i, x) in x.iter().enumerate() {
                    mean[map.set(i)] += (x - so_far[map.set(i)]) / count;
                }
            }
        }
        let mut variance = vec![0.0; map.sets()];
        for (i, x) in x.iter().enumerate() {
            variance[map.set(i)] += (x - mean[map.set(i)]).powi(2) / count;
        }
        let pairs = mean.iter().zip(&variance).flat_map(|(&m, &v)| [m, v]);
        vec![Array::float(map.statistics.clone(), pairs.collect())]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_gradient(self.name()))
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let op = self.over.op(Some(self.moments));
        let map = SetMap::new(op, self.over, &io.inputs[0])?;
        lower_statistics(self, &map, io, caps, out)
    }

    fn mixes_rows_of(&self, _: usize, inputs: &[&Type]) -> bool {
        self.over.mixes_rows(inputs[0])
    }
}

impl Op for StatisticPairs {
    fn name(&self) -> &'static str {
        "statistic_pairs"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        let channels = expect_channels(self.name(), "mean", inputs[0])?;
        expect_type(self.name(), "variance", inputs[1], inputs[0])?;
        Ok(vec![Type::f32([channels, 2])])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let pairs = inputs[0].floats().iter().zip(inputs[1].floats());
        let pairs: Vec<f64> = pairs
            .flat_map(|(&mean, &variance)| [mean, variance])
            .collect();
        vec![Array::float([pairs.len() / 2, 2], pairs)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_gradient(self.name()))
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        lower_pairs(io, out)
    }
}

impl Op for RunningStatistic {
    fn name(&self) -> &'static str {
        "running_statistic"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        let channels = expect_channels(self.name(), "running", inputs[0])?;
        let statistics = Type::f32([channels, 2]);
        expect_type(self.name(), "statistics", inputs[1], &statistics)?;
        if self.column > 1 {
            return Err(Error::shape(format!(
                "{}: column {} is neither 0, the mean, nor 1, the variance",
                self.name(),
                self.column
            )));
        }
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let new = inputs[1].floats().iter().skip(self.column).step_by(2);
        let both = inputs[0].floats().iter().zip(new);
        let y = both.map(|(old, new)| self.keep * old + self.add * new);
        vec![Array::float(inputs[0].shape().clone(), y.collect())]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_gradient(self.name()))
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(0, 0)]
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        lower_running(self, io, out)
    }
}

/// The number of channels of a vector.
fn expect_channels(op: &str, operand: &str, ty: &Type) -> Result<usize> {
    expect_f32(op, operand, ty)?;
    match ty.shape[..] {
        [channels] => Ok(channels),
        _ => Err(Error::shape(format!(
            "{op}: {operand} {} is not [channels]",
            ty.shape
        ))),
    }
}

fn no_gradient(op: &str) -> Error {
    Error::new(
        ErrorKind::NotDifferentiable,
        format!("{op}: has no gradient of its own"),
    )
}
