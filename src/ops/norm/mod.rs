//! Batch, instance, group, layer and RMS normalisation: y = (x - mean) / sqrt(variance + eps) *
//! weight + bias over sets of elements.
//!
//! They differ only in which elements are one set ([`Over`]). The statistics are one op, their use
//! another, the gradient of both a third.

pub(in crate::ops) mod local_response_norm;
pub(in crate::ops) mod local_response_norm_wide;
pub(in crate::ops) mod lower;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{EvalSplit, Graph, Node, Op, Value};
use crate::kernel::{Caps, Io, Lowering, Part};
use crate::shape::{Shape, Type};
use crate::tensor::Array;

use crate::ops::norm::lower::lower_statistics;
use crate::ops::norm::lower::{lower_normalize, lower_normalize_grad, lower_pairs, lower_running};
use crate::ops::{expect_f32, expect_inputs, expect_type, no_second_derivative};

// Parameters and builder.

/// Which elements of x share a mean and a variance, and which share a weight and a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Over {
    /// x `[n, c, ...]`: those of a channel over the whole batch; a weight for each channel.
    /// Statistics `[c, 2]`.
    Batch,
    /// x `[n, c, ...]`: those of each of this many groups of channels of an image; a weight for
    /// each channel. Statistics `[n, groups, 2]`.
    Groups(usize),
    /// x `[n, c, ...]`: those of each channel of an image; a weight for each channel. Statistics
    /// `[n, c, 2]`.
    Instance,
    /// Those of the last so many axes; a weight for each of them. Statistics `[leading axes, 2]`.
    Last(usize),
}

/// What the statistics of a set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moments {
    /// Mean and biased variance.
    MeanVariance,
    /// 0 and the mean square.
    MeanSquare,
}

impl Over {
    /// Whether a set of x has elements of several rows (axis 0).
    fn mixes_rows(self, x: &Type) -> bool {
        match self {
            Self::Batch => true,
            Self::Groups(_) | Self::Instance => false,
            Self::Last(axes) => axes >= x.shape.len(),
        }
    }
}

/// Mean and variance of each set of x, as pairs along the last axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NormStatistics {
    /// The sets.
    pub over: Over,
    /// What is taken of them.
    pub moments: Moments,
}

/// (x - mean) / sqrt(variance + eps) * weight + bias, of x, statistics, and the weight and bias
/// that it has; in fused forms plus a last input, then relu.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalize {
    /// The sets.
    pub over: Over,
    /// Added to the variance.
    pub eps: f32,
    /// Which statistics of x the given ones are: the gradient of x then goes through them too.
    /// `None` if they are not those of x but constants to the gradient.
    pub own: Option<Moments>,
    /// Whether there is a weight.
    pub weight: bool,
    /// Whether there is a bias.
    pub bias: bool,
    /// Adds the last input, of the shape of x.
    pub residual: bool,
    /// Applies relu last.
    pub relu: bool,
}

/// The gradient of [`Normalize`] from dy, x, the statistics and the weight that it has: dx and, if
/// it has a weight or a bias, those of both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalizeGrad(pub Normalize);

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

impl Over {
    /// What the normalisation of such sets by these moments is called.
    pub(in crate::ops) fn op(self, moments: Option<Moments>) -> &'static str {
        match (self, moments) {
            (Over::Batch, _) => "batch_norm",
            (Over::Groups(_), _) => "group_norm",
            (Over::Instance, _) => "instance_norm",
            (Over::Last(_), Some(Moments::MeanSquare)) => "rms_norm",
            (Over::Last(_), _) => "layer_norm",
        }
    }
}

// Shape rule.

/// The sets of x and the weights of its elements, as numbers: x is rows (axis 0), a row is
/// `per_row` runs of `length` neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct SetMap {
    /// Rows of x: 1 if a set holds all of axis 0 and more.
    pub rows: usize,
    /// Whether the runs of one place in all rows are one set; if not, each run is a set.
    pub across: bool,
    /// Runs of a row.
    pub per_row: usize,
    /// Elements of a run.
    pub length: usize,
    /// Neighbours that have one weight.
    pub span: usize,
    /// Number of weights.
    pub affines: usize,
    /// Shape of the statistics.
    pub statistics: Shape,
    /// Shape of weight and bias.
    pub affine: Shape,
}

impl SetMap {
    pub fn new(op: &str, over: Over, x: &Type) -> Result<Self> {
        expect_f32(op, "x", x)?;
        x.check().map_err(|e| e.context(op))?;
        let rank = x.shape.len();
        let product = |axes: &[usize]| axes.iter().product::<usize>();
        let pairs = |axes: &[usize]| Shape::from([axes, &[2]].concat());
        let images = || match x.shape[..] {
            [n, c, ..] => Ok([n, c, product(&x.shape[2..])]),
            _ => Err(Error::shape(format!(
                "{op}: x {} is not [batch, channels, ...]",
                x.shape
            ))),
        };
        Ok(match over {
            Over::Batch => {
                let [rows, channels, plane] = images()?;
                Self {
                    rows,
                    across: true,
                    per_row: channels,
                    length: plane,
                    span: plane,
                    affines: channels,
                    statistics: pairs(&[channels]),
                    affine: [channels].into(),
                }
            }
            Over::Groups(_) | Over::Instance => {
                let [rows, channels, plane] = images()?;
                let groups = match over {
                    Over::Groups(groups) => groups,
                    _ => channels,
                };
                if over != Over::Instance && (groups == 0 || !channels.is_multiple_of(groups)) {
                    return Err(Error::shape(format!(
                        "{op}: {channels} channels of x {} do not divide into {groups} groups",
                        x.shape
                    )));
                }
                Self {
                    rows,
                    across: false,
                    per_row: groups,
                    length: channels / groups.max(1) * plane,
                    span: plane,
                    affines: channels,
                    statistics: pairs(&[rows, groups]),
                    affine: [channels].into(),
                }
            }
            Over::Last(axes) => {
                if axes == 0 || axes > rank {
                    return Err(Error::shape(format!(
                        "{op}: {axes} last axes of x {} cannot be normalised",
                        x.shape
                    )));
                }
                let (leading, last) = x.shape.split_at(rank - axes);
                Self {
                    rows: leading.first().copied().unwrap_or(1),
                    across: false,
                    per_row: product(leading.get(1..).unwrap_or_default()),
                    length: product(last),
                    span: 1,
                    affines: product(last),
                    statistics: pairs(leading),
                    affine: last.into(),
                }
            }
        })
    }

    /// Elements of a row.
    pub fn row(&self) -> usize {
        self.per_row * self.length
    }

    /// Whether a set holds all of x, whatever its axis 0.
    pub fn is_one_set(&self) -> bool {
        self.statistics.len() == 1
    }

    /// The same sets for x in these parts: one set that holds all of it goes across the rows of
    /// several.
    pub fn in_parts(&self, x: &Type, parts: &[Part]) -> Self {
        if !self.is_one_set() || parts.len() < 2 {
            return self.clone();
        }
        Self {
            rows: x.shape.rows(),
            across: true,
            length: x.row(),
            ..self.clone()
        }
    }

    /// The same sets where there is neither weight nor bias: any few numbers do, of a count that
    /// suits loads of four.
    pub fn without_affine(&self) -> Self {
        let (span, affines) = match self.length > 0 && self.length.is_multiple_of(4) {
            true => (self.length, 1),
            false => (1, 4),
        };
        Self {
            span,
            affines,
            ..self.clone()
        }
    }

    /// Number of sets.
    pub fn sets(&self) -> usize {
        self.per_row * if self.across { 1 } else { self.rows }
    }

    /// Elements of a set.
    pub fn set_count(&self) -> usize {
        self.length * if self.across { self.rows } else { 1 }
    }

    /// The set of element `i`.
    fn set(&self, i: usize) -> usize {
        i / self.length % self.sets()
    }

    /// The number of the weight of element `i`.
    fn affine(&self, i: usize) -> usize {
        i / self.span % self.affines
    }
}

fn no_gradient(op: &str) -> Error {
    Error::new(
        ErrorKind::NotDifferentiable,
        format!("{op}: has no gradient of its own"),
    )
}

impl Op for NormStatistics {
    fn name(&self) -> &'static str {
        "norm_statistics"
    }

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

/// The sets of an x that a shape rule accepted.
fn map_of(over: Over, x: &Type) -> SetMap {
    SetMap::new("normalisation", over, x).expect("infer accepted x")
}

impl Normalize {
    /// Which input the residual is, if there is one.
    pub(in crate::ops) fn residual_at(&self) -> usize {
        2 + usize::from(self.weight) + usize::from(self.bias)
    }
}

impl Op for Normalize {
    fn name(&self) -> &'static str {
        self.over.op(self.own)
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        let op = self.name();
        expect_inputs(op, inputs, self.residual_at() + usize::from(self.residual))?;
        let map = SetMap::new(op, self.over, inputs[0])?;
        expect_type(op, "statistics", inputs[1], &Type::f32(map.statistics))?;
        let names = [(self.weight, "weight"), (self.bias, "bias")];
        let names = names.into_iter().filter(|(has, _)| *has);
        for ((_, name), ty) in names.zip(&inputs[2..]) {
            expect_type(op, name, ty, &Type::f32(map.affine.clone()))?;
        }
        if self.residual {
            expect_type(op, "residual", inputs[self.residual_at()], inputs[0])?;
        }
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (x, statistics) = (inputs[0], inputs[1].floats());
        let map = map_of(self.over, x.ty());
        let weight = self.weight.then(|| inputs[2]);
        let bias = self.bias.then(|| inputs[2 + usize::from(self.weight)]);
        let residual = self.residual.then(|| inputs[self.residual_at()].floats());
        let y = x.floats().iter().enumerate().map(|(i, x)| {
            let (mean, variance) = (statistics[2 * map.set(i)], statistics[2 * map.set(i) + 1]);
            let normal = (x - mean) / (variance + f64::from(self.eps)).sqrt();
            let weight = weight.map_or(1.0, |w| w.floats()[map.affine(i)]);
            let bias = bias.map_or(0.0, |b| b.floats()[map.affine(i)]);
            normal * weight + bias + residual.map_or(0.0, |r| r[i])
        });
        let mut y: Vec<f64> = y.collect();
        crate::ops::finish(&mut y, self.relu, None);
        vec![Array::float(x.shape().clone(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        crate::ops::expect_unfused(self.name(), self.residual || self.relu)?;
        let mut inputs = vec![dy[0], at.inputs[0], at.inputs[1]];
        inputs.extend(self.weight.then(|| at.inputs[2]));
        let found = g.apply(NormalizeGrad(*self), &inputs)?;
        let mut gradients = vec![Some(found[0]), None];
        gradients.extend(self.weight.then(|| Some(found[1])));
        gradients.extend(self.bias.then(|| Some(found[2])));
        Ok(gradients)
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(0, 0)]
    }

    fn split(&self) -> EvalSplit {
        match self.over {
            Over::Batch if !self.residual => EvalSplit::Rows(&[0]),
            _ => EvalSplit::Whole,
        }
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let map = SetMap::new(self.name(), self.over, &io.inputs[0])?;
        lower_normalize(self, &map, io, caps, out)
    }

    fn mixes_rows_of(&self, input: usize, inputs: &[&Type]) -> bool {
        match input {
            0 => false,
            1 => self.over.mixes_rows(inputs[0]),
            _ => !self.residual || input != self.residual_at(),
        }
    }
}

impl Op for NormalizeGrad {
    fn name(&self) -> &'static str {
        "norm_grad"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        let norm = &self.0;
        crate::ops::expect_unfused(norm.name(), norm.residual || norm.relu)?;
        expect_inputs(self.name(), inputs, 3 + usize::from(norm.weight))?;
        let map = SetMap::new(norm.name(), norm.over, inputs[1])?;
        expect_type(self.name(), "dy", inputs[0], inputs[1])?;
        let forward = Normalize {
            bias: false,
            ..*norm
        };
        forward.infer(&inputs[1..])?;
        let mut outputs = vec![inputs[1].clone()];
        if norm.weight || norm.bias {
            outputs.extend([Type::f32(map.affine.clone()), Type::f32(map.affine)]);
        }
        Ok(outputs)
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let norm = &self.0;
        let (dy, x, statistics) = (inputs[0].floats(), inputs[1].floats(), inputs[2].floats());
        let map = map_of(norm.over, inputs[1].ty());
        let scale = |i: usize| {
            let variance = statistics[2 * map.set(i) + 1];
            1.0 / (variance + f64::from(norm.eps)).sqrt()
        };
        let normal = |i: usize| (x[i] - statistics[2 * map.set(i)]) * scale(i);
        let g = |i: usize| match norm.weight {
            true => dy[i] * inputs[3].floats()[map.affine(i)],
            false => dy[i],
        };
        // Means over each set of g and of g * normal.
        let mut plain = vec![0.0; map.sets()];
        let mut scaled = vec![0.0; map.sets()];
        let mut dweight = vec![0.0; map.affines];
        let mut dbias = vec![0.0; map.affines];
        let count = map.set_count() as f64;
        for i in 0..x.len() {
            if norm.own == Some(Moments::MeanVariance) {
                plain[map.set(i)] += g(i) / count;
            }
            if norm.own.is_some() {
                scaled[map.set(i)] += g(i) * normal(i) / count;
            }
            dweight[map.affine(i)] += dy[i] * normal(i);
            dbias[map.affine(i)] += dy[i];
        }
        let dx = (0..x.len())
            .map(|i| scale(i) * (g(i) - plain[map.set(i)] - normal(i) * scaled[map.set(i)]));
        let mut outputs = vec![Array::float(inputs[1].shape().clone(), dx.collect())];
        if norm.weight || norm.bias {
            outputs.push(Array::float(map.affine.clone(), dweight));
            outputs.push(Array::float(map.affine.clone(), dbias));
        }
        outputs
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_second_derivative(self.name()))
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(0, 0)]
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let map = SetMap::new(self.name(), self.0.over, &io.inputs[1])?;
        lower_normalize_grad(&self.0, &map, io, caps, out)
    }

    fn mixes_rows_of(&self, _: usize, inputs: &[&Type]) -> bool {
        self.0.weight || self.0.bias || self.0.over.mixes_rows(inputs[1])
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

impl Op for StatisticPairs {
    fn name(&self) -> &'static str {
        "statistic_pairs"
    }

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

#[cfg(test)]
mod tests {
    use super::*;

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
