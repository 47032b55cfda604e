//! The largest or smallest element along one axis, with its index.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{
    Caps, Dispatch, Io, Kernel, Lowering, Overrides, Rows, looped, overlaps, source, turns_within,
};
use crate::shape::{DType, Shape, Type};
use crate::tensor::Array;

use crate::lowering::Cut;
use crate::ops::dim::{self, Dim};
use crate::ops::{expect_dtype, expect_f32, expect_inputs, no_second_derivative};
use crate::shape::around;

// Parameters and builder.

/// The largest or smallest element along an axis, and its `u32` index there: PyTorch's `max(dim)`
/// and `min(dim)`. The first of equal ones is taken; the first NaN wins over all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Along {
    /// The axis.
    pub axis: usize,
    /// Whether it stays with extent 1.
    pub keep: bool,
    /// Whether the largest is wanted.
    pub largest: bool,
}

/// The gradient of [`Along`]: dy where the index names the element, 0 elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlongGrad {
    /// What was taken.
    pub along: Along,
    /// Extent of the axis in dx.
    pub extent: usize,
}

/// # Largest and smallest along an axis
impl Graph {
    /// The largest element along `axis` and its index (`u32`); with `keep` the axis stays with
    /// extent 1. The gradient goes to the element of that index.
    pub fn max(&mut self, x: Value, axis: impl Into<Dim>, keep: bool) -> Result<(Value, Value)> {
        self.along(x, axis, keep, true)
    }

    /// The smallest element along `axis` and its index, as [`Graph::max`].
    pub fn min(&mut self, x: Value, axis: impl Into<Dim>, keep: bool) -> Result<(Value, Value)> {
        self.along(x, axis, keep, false)
    }

    /// The index (`u32`) of the largest element along `axis`: the first of equal ones.
    pub fn argmax(&mut self, x: Value, axis: impl Into<Dim>, keep: bool) -> Result<Value> {
        Ok(self.max(x, axis, keep)?.1)
    }

    /// The index (`u32`) of the smallest element along `axis`: the first of equal ones.
    pub fn argmin(&mut self, x: Value, axis: impl Into<Dim>, keep: bool) -> Result<Value> {
        Ok(self.min(x, axis, keep)?.1)
    }

    fn along(
        &mut self,
        x: Value,
        axis: impl Into<Dim>,
        keep: bool,
        largest: bool,
    ) -> Result<(Value, Value)> {
        let name = if largest { "max" } else { "min" };
        let axis = dim::axis(name, &self.operand(name, x)?.shape, axis)?;
        let op = Along {
            axis,
            keep,
            largest,
        };
        let outputs = self.apply(op, &[x])?;
        Ok((outputs[0], outputs[1]))
    }
}

// Shape rule.

impl Along {
    /// `shape` without the axis, or with 1 in its place.
    fn output(&self, shape: &Shape) -> Shape {
        let mut extents = shape.to_vec();
        match self.keep {
            true => extents[self.axis] = 1,
            false => {
                extents.remove(self.axis);
            }
        }
        extents.into()
    }
}

impl Op for Along {
    fn name(&self) -> &'static str {
        match self.largest {
            true => "max",
            false => "min",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let x = inputs[0];
        expect_f32(self.name(), "x", x)?;
        if x.shape.get(self.axis).is_none_or(|&extent| extent == 0) {
            return Err(Error::shape(format!(
                "{}: x {} has no elements along axis {}",
                self.name(),
                x.shape,
                self.axis
            )));
        }
        let shape = self.output(&x.shape);
        Ok(vec![Type::f32(shape.clone()), Type::u32(shape)])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let [outer, extent, inner] = around(x.shape(), self.axis);
        let (mut y, mut indices) = (Vec::new(), Vec::new());
        for output in 0..outer * inner {
            let element = |a| x.floats()[(output / inner * extent + a) * inner + output % inner];
            let mut best = 0;
            for a in 1..extent {
                let (own, other) = (element(best), element(a));
                let wins = match self.largest {
                    true => other > own,
                    false => other < own,
                };
                if !own.is_nan() && (other.is_nan() || wins) {
                    best = a;
                }
            }
            y.push(element(best));
            indices.push(best as u32);
        }
        let shape = self.output(x.shape());
        vec![Array::float(shape.clone(), y), Array::u32(shape, indices)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let extent = g.shape(at.inputs[0])?[self.axis];
        let grad = AlongGrad {
            along: *self,
            extent,
        };
        Ok(vec![Some(g.apply1(grad, &[dy[0], at.outputs[1]])?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let values = [Cut::input(io, 0), Cut::output(io, 0), Cut::output(io, 1)];
        let [x, y, index] = values;
        let sign = if self.largest { 1.0 } else { -1.0 };
        let [outer, extent, inner] = around(x.shape, self.axis);
        let (lanes, combined) = match extent > ALONE {
            true => (WORKGROUP, COMBINE),
            false => (1, 0),
        };
        // As many elements as the invocations of an output walk in one dispatch.
        let most = turns_within(caps.max_turns.saturating_sub(combined), 0).saturating_mul(lanes);
        for rows in rows_across(self.axis, self.name(), io, &values)? {
            let outputs = outer * inner * rows.count / rows_in_all(self.axis, x.shape);
            let variant = ALONG_VARIANTS[usize::from(lanes > 1)];
            for from in (0..extent).step_by(most) {
                let to = extent.min(from + most);
                out.push(
                    Dispatch::new(&ALONG, variant)
                        .read(x.operand)
                        .part(rows.part[0])
                        .write(y.operand)
                        .part(rows.part[1])
                        .write(index.operand)
                        .part(rows.part[2])
                        .param("outputs", outputs)
                        .param("begin", from)
                        .param("until", to)
                        .param("extent", extent)
                        .param("inner", inner)
                        .param("x_base", rows.first[0] * x.row())
                        .param("y_base", rows.first[1] * y.row())
                        .param("index_base", rows.first[2] * index.row())
                        .param_f32("sign", sign)
                        .turns(looped((to - from).div_ceil(lanes), 0) + combined)
                        .workgroups((outputs * lanes).div_ceil(WORKGROUP)),
                );
            }
        }
        Ok(())
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axis == 0
    }
}

/// Rows of axis 0 that `values` share, for an op along `axis`; all of them at once if that is axis
/// 0.
pub(in crate::ops) fn rows_across(
    axis: usize,
    op: &str,
    io: &Io,
    values: &[Cut],
) -> Result<Vec<Rows>> {
    if axis > 0 {
        let parts: Vec<_> = values.iter().map(|value| value.parts).collect();
        return Ok(overlaps(&parts));
    }
    io.whole(op)?;
    Ok(vec![Rows {
        count: 1,
        part: vec![0; values.len()],
        first: vec![0; values.len()],
    }])
}

/// What the counts of [`rows_across`] add up to.
pub(in crate::ops) fn rows_in_all(axis: usize, shape: &Shape) -> usize {
    match axis {
        0 => 1,
        _ => shape.rows().max(1),
    }
}

impl Op for AlongGrad {
    fn name(&self) -> &'static str {
        match self.along.largest {
            true => "max_grad",
            false => "min_grad",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        let (dy, index) = (inputs[0], inputs[1]);
        expect_f32(self.name(), "dy", dy)?;
        expect_dtype(self.name(), "index", index, DType::U32)?;
        let Along { axis, keep, .. } = self.along;
        let kept = !keep || dy.shape.get(axis) == Some(&1);
        if index.shape != dy.shape || axis > dy.shape.len() || !kept {
            return Err(Error::shape(format!(
                "{}: dy {}, index {}, axis {axis}",
                self.name(),
                dy.shape,
                index.shape
            )));
        }
        let mut shape = dy.shape.to_vec();
        match keep {
            true => shape[axis] = self.extent,
            false => shape.insert(axis, self.extent),
        }
        Ok(vec![Type::f32(shape)])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (dy, index) = (inputs[0], inputs[1]);
        let types = [dy.ty(), index.ty()];
        let shape = &self.infer(&types).expect("infer accepted dy")[0].shape;
        let [_, extent, inner] = around(shape, self.along.axis);
        let mut dx = vec![0.0; shape.count()];
        for (output, (dy, &a)) in dy.floats().iter().zip(index.u32s()).enumerate() {
            if (a as usize) < extent {
                dx[(output / inner * extent + a as usize) * inner + output % inner] = *dy;
            }
        }
        vec![Array::float(shape.clone(), dx)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_second_derivative(self.name()))
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let values = [Cut::output(io, 0), Cut::input(io, 0), Cut::input(io, 1)];
        let [dx, dy, index] = values;
        let [_, extent, inner] = around(dx.shape, self.along.axis);
        let axis = self.along.axis;
        for rows in rows_across(axis, self.name(), io, &values)? {
            let count = dx.shape.count() / rows_in_all(axis, dx.shape) * rows.count;
            out.push(
                Dispatch::new(&ALONG_GRAD, ALONG_VARIANTS_GRAD[0])
                    .read(dy.operand)
                    .part(rows.part[1])
                    .read(index.operand)
                    .part(rows.part[2])
                    .write(dx.operand)
                    .part(rows.part[0])
                    .param("count", count)
                    .param("extent", extent)
                    .param("inner", inner)
                    .param("x_base", rows.first[0] * dx.row())
                    .param("y_base", rows.first[1] * dy.row())
                    .param("index_base", rows.first[2] * index.row())
                    .workgroups(count.div_ceil(WORKGROUP)),
            );
        }
        Ok(())
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.along.axis == 0
    }
}

const WORKGROUP: usize = 64;
/// Longest axis along which one invocation walks alone.
const ALONE: usize = 128;
/// Turns in which the invocations of a workgroup compare what they found: 32, 16, ... 1, and the
/// end.
const COMBINE: u64 = 7;

const ALONG_VARIANTS: &[Overrides] = &[
    &[("lanes", 1), ("workgroup_size", 64)],
    &[("lanes", 64), ("workgroup_size", 64)],
];
const ALONG_VARIANTS_GRAD: &[Overrides] = &[&[("workgroup_size", 64)]];

static ALONG: Kernel = Kernel::new("along", &[source!("reduce/along")], ALONG_VARIANTS);
static ALONG_GRAD: Kernel = Kernel::new(
    "along_grad",
    &[source!("reduce/along_grad")],
    ALONG_VARIANTS_GRAD,
);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&ALONG, &ALONG_GRAD];
