//! Batch, instance, group, layer and RMS normalisation: y = (x - mean) / sqrt(variance + eps) *
//! weight + bias over sets of elements.
//!
//! They differ only in which elements are one set ([`Over`]). The statistics are one op, their use
//! another, the gradient of both a third.

pub(in crate::ops) mod local_response_norm;
pub(in crate::ops) mod local_response_norm_wide;
pub(in crate::ops) mod lower;
mod normalize;
mod sets;
mod statistics;

use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::ops::expect_type;
use crate::shape::Type;

pub use normalize::{Normalize, NormalizeGrad};
use sets::SetMap;
pub use sets::{Moments, Over};
pub use statistics::{NormStatistics, RunningStatistic, StatisticPairs};

// Builders.

/// # Normalisation
impl Graph {
    /// Each channel of x `[n, c, ...]` normalised by the given mean and variance `[c]`, which are
    /// constants to the gradient: batch normalisation in inference. `weight` and `bias` are `[c]`.
    pub fn batch_norm(
        &mut self,
        x: Value,
        [mean, variance]: [Value; 2],
        weight: Option<Value>,
        bias: Option<Value>,
        eps: f32,
    ) -> Result<Value> {
        let statistics = self.apply1(StatisticPairs, &[mean, variance])?;
        self.normalize(Over::Batch, x, statistics, None, [weight, bias], eps)
    }

    /// Each channel of x `[n, c, ...]` normalised by its own mean and variance over the batch, and
    /// these as `[c, 2]`: batch normalisation in training. A channel must have more than one value,
    /// unless x is empty.
    pub fn batch_norm_train(
        &mut self,
        x: Value,
        weight: Option<Value>,
        bias: Option<Value>,
        eps: f32,
    ) -> Result<(Value, Value)> {
        let ty = self.operand("batch_norm", x)?.clone();
        let map = SetMap::new("batch_norm", Over::Batch, &ty)?;
        several("batch_norm", "channel", map.set_count(), &ty)?;
        let own = (Over::Batch, Moments::MeanVariance);
        self.normalize_by_own(own, x, [weight, bias], eps)
    }

    /// A running mean and variance `[c]` after the statistics `[c, 2]` of a batch x of
    /// [`batch_norm_train`](Self::batch_norm_train): (1 - momentum) * running + momentum * new,
    /// with the unbiased variance. Those of an empty batch change nothing.
    pub fn running_statistics(
        &mut self,
        [mean, variance]: [Value; 2],
        statistics: Value,
        x: Value,
        momentum: f32,
    ) -> Result<[Value; 2]> {
        let op = "running_statistics";
        let map = SetMap::new(op, Over::Batch, self.operand(op, x)?)?;
        let pairs = Type::f32(map.statistics.clone());
        expect_type(op, "statistics", self.operand(op, statistics)?, &pairs)?;
        let count = map.set_count() as f64;
        let unbiased = match map.set_count() {
            0 | 1 => 1.0,
            _ => count / (count - 1.0),
        };
        let momentum = match map.set_count() {
            0 => 0.0,
            _ => f64::from(momentum),
        };
        let keep = 1.0 - momentum;
        let mut renewed = |column, running, add| {
            let op = RunningStatistic { column, keep, add };
            self.apply1(op, &[running, statistics])
        };
        Ok([
            renewed(0, mean, momentum)?,
            renewed(1, variance, momentum * unbiased)?,
        ])
    }

    /// Each channel of each image of x `[n, c, ...]` normalised by its own mean and variance.
    /// `weight` and `bias` are `[c]`. Three axes are `[n, c, length]`, never one image
    /// `[c, height, width]`: [`reshape`](Self::reshape) that to a batch of one.
    pub fn instance_norm(
        &mut self,
        x: Value,
        weight: Option<Value>,
        bias: Option<Value>,
        eps: f32,
    ) -> Result<Value> {
        let ty = self.operand("instance_norm", x)?.clone();
        let map = SetMap::new("instance_norm", Over::Instance, &ty)?;
        several("instance_norm", "channel of an image", map.length, &ty)?;
        let own = (Over::Instance, Moments::MeanVariance);
        Ok(self.normalize_by_own(own, x, [weight, bias], eps)?.0)
    }

    /// Each of `groups` groups of channels of each image of x `[n, c, ...]` normalised by its own
    /// mean and variance. `weight` and `bias` are `[c]`.
    pub fn group_norm(
        &mut self,
        x: Value,
        groups: usize,
        weight: Option<Value>,
        bias: Option<Value>,
        eps: f32,
    ) -> Result<Value> {
        let over = Over::Groups(groups);
        let ty = self.operand("group_norm", x)?.clone();
        let map = SetMap::new("group_norm", over, &ty)?;
        several("group_norm", "group", ty.shape[0] * map.set_count(), &ty)?;
        let own = (over, Moments::MeanVariance);
        Ok(self.normalize_by_own(own, x, [weight, bias], eps)?.0)
    }

    /// The last `axes` axes of x normalised by their mean and variance. `weight` and `bias` have
    /// the shape of these axes.
    pub fn layer_norm(
        &mut self,
        x: Value,
        axes: usize,
        weight: Option<Value>,
        bias: Option<Value>,
        eps: f32,
    ) -> Result<Value> {
        let own = (Over::Last(axes), Moments::MeanVariance);
        Ok(self.normalize_by_own(own, x, [weight, bias], eps)?.0)
    }

    /// The last `axes` axes of x divided by sqrt(mean square + eps). `weight` has the shape of
    /// these axes.
    pub fn rms_norm(
        &mut self,
        x: Value,
        axes: usize,
        weight: Option<Value>,
        eps: f32,
    ) -> Result<Value> {
        let own = (Over::Last(axes), Moments::MeanSquare);
        Ok(self.normalize_by_own(own, x, [weight, None], eps)?.0)
    }

    /// The normalised x and its statistics.
    fn normalize_by_own(
        &mut self,
        (over, moments): (Over, Moments),
        x: Value,
        affine: [Option<Value>; 2],
        eps: f32,
    ) -> Result<(Value, Value)> {
        let statistics = self.apply1(NormStatistics { over, moments }, &[x])?;
        let own = Some(moments);
        let map = SetMap::new(over.op(own), over, self.operand(over.op(own), x)?)?;
        if !map.is_one_set() {
            let y = self.normalize(over, x, statistics, own, affine, eps)?;
            return Ok((y, statistics));
        }
        // A weight of the size of x is an operand like any other, whose parts are those of x.
        let mut y = self.normalize(over, x, statistics, own, [None; 2], eps)?;
        let expected = Type::f32(map.affine);
        if let Some(weight) = affine[0] {
            expect_type(
                over.op(own),
                "weight",
                self.operand(over.op(own), weight)?,
                &expected,
            )?;
            y = self.mul(y, weight)?;
        }
        if let Some(bias) = affine[1] {
            expect_type(
                over.op(own),
                "bias",
                self.operand(over.op(own), bias)?,
                &expected,
            )?;
            y = self.add(y, bias)?;
        }
        Ok((y, statistics))
    }

    fn normalize(
        &mut self,
        over: Over,
        x: Value,
        statistics: Value,
        own: Option<Moments>,
        [weight, bias]: [Option<Value>; 2],
        eps: f32,
    ) -> Result<Value> {
        let op = Normalize {
            over,
            eps,
            own,
            weight: weight.is_some(),
            bias: bias.is_some(),
            residual: false,
            relu: false,
        };
        let inputs = [Some(x), Some(statistics), weight, bias];
        self.apply1(op, &inputs.into_iter().flatten().collect::<Vec<_>>())
    }
}

/// Fails if the statistics are those of a single value each, `count` of them: PyTorch's rule for
/// training.
fn several(op: &str, set: &str, count: usize, x: &Type) -> Result<()> {
    if count == 1 && x.count() > 0 {
        return Err(Error::shape(format!(
            "{op}: training needs more than 1 value per {set}, x {} has 1",
            x.shape
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn errors_carry_the_numbers() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([2, 6, 3, 3])).unwrap();
        let one = g.input("one", Type::f32([1, 3, 1, 1])).unwrap();
        let flat = g.input("flat", Type::f32([5])).unwrap();
        let weight = g.input("weight", Type::f32([5])).unwrap();
        let message = |r: Result<Value>| {
            let error = r.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shape);
            error.to_string()
        };
        assert_eq!(
            message(g.batch_norm_train(one, None, None, 1e-5).map(|y| y.0)),
            "batch_norm: training needs more than 1 value per channel, x [1, 3, 1, 1] has 1"
        );
        assert_eq!(
            message(g.instance_norm(one, None, None, 1e-5)),
            "instance_norm: training needs more than 1 value per channel of an image, x [1, 3, 1, \
             1] has 1"
        );
        assert_eq!(
            message(g.group_norm(one, 3, None, None, 1e-5)),
            "group_norm: training needs more than 1 value per group, x [1, 3, 1, 1] has 1"
        );
        assert_eq!(
            message(g.group_norm(x, 4, None, None, 1e-5)),
            "group_norm: 6 channels of x [2, 6, 3, 3] do not divide into 4 groups"
        );
        assert_eq!(
            message(g.group_norm(x, 0, None, None, 1e-5)),
            "group_norm: 6 channels of x [2, 6, 3, 3] do not divide into 0 groups"
        );
        assert_eq!(
            message(g.layer_norm(x, 5, None, None, 1e-5)),
            "layer_norm: 5 last axes of x [2, 6, 3, 3] cannot be normalised"
        );
        assert_eq!(
            message(g.rms_norm(x, 5, None, 1e-5)),
            "rms_norm: 5 last axes of x [2, 6, 3, 3] cannot be normalised"
        );
        assert_eq!(
            message(g.rms_norm(x, 1, Some(weight), 1e-5)),
            "rms_norm: weight is f32 [5], f32 [3] is needed"
        );
        let pairs = g.input("pairs", Type::f32([5, 2])).unwrap();
        let running = g.running_statistics([weight, flat], pairs, x, 0.1);
        assert_eq!(
            message(running.map(|y| y[0])),
            "running_statistics: statistics is f32 [5, 2], f32 [6, 2] is needed"
        );
        assert_eq!(
            message(g.batch_norm_train(flat, None, None, 1e-5).map(|y| y.0)),
            "batch_norm: x [5] is not [batch, channels, ...]"
        );
        assert_eq!(
            message(g.instance_norm(x, Some(weight), None, 1e-5)),
            "instance_norm: weight is f32 [5], f32 [6] is needed"
        );
        assert_eq!(
            message(g.batch_norm(x, [weight, flat], None, None, 1e-5)),
            "batch_norm: statistics is f32 [5, 2], f32 [6, 2] is needed"
        );
        assert_eq!(
            message(g.batch_norm(x, [weight, x], None, None, 1e-5)),
            "statistic_pairs: variance is f32 [2, 6, 3, 3], f32 [5] is needed"
        );
    }

    #[test]
    fn second_derivatives_are_refused() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([4, 6])).unwrap();
        let statistics = g.input("statistics", Type::f32([4, 2])).unwrap();
        let norm = Normalize {
            over: Over::Last(1),
            eps: 1e-5,
            own: None,
            weight: false,
            bias: false,
            residual: false,
            relu: false,
        };
        let dx = g.apply(NormalizeGrad(norm), &[x, x, statistics]).unwrap();
        let node = g.nodes()[0].clone();
        let error = node.op.vjp(&mut g, &node, &dx).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotDifferentiable);
    }
}
