//! x normalised with given statistics, weight and bias, and the gradient of that.

use crate::error::Result;
use crate::graph::{EvalSplit, Graph, Node, Op, Value};
use crate::kernel::{Caps, Io, Lowering};
use crate::ops::{expect_inputs, expect_type, no_second_derivative};
use crate::shape::Type;
use crate::tensor::Array;

use super::lower::{lower_normalize, lower_normalize_grad};
use super::sets::{Moments, Over, SetMap, map_of};

// Settings; the builders are in `mod.rs`.

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

impl Normalize {
    /// Which input the residual is, if there is one.
    pub(super) fn residual_at(&self) -> usize {
        2 + usize::from(self.weight) + usize::from(self.bias)
    }
}

impl Op for Normalize {
    fn name(&self) -> &'static str {
        self.over.op(self.own)
    }

    // Shape rule.

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

    // Shape rule.

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
