//! Parts of a value, in steps or backwards along its axes: slice, narrow, flip.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Io, Lowering};
use crate::shape::{Shape, Type};
use crate::tensor::Array;

use crate::lowering::Cut;
use crate::lowering::fill::lower_fill;
use crate::lowering::strided::{Axis, Side, lower_strided};
use crate::ops::dim::{self, Dim};
use crate::ops::movement::{expect_words, picked, positions};
use crate::ops::{expect_f32, expect_inputs};

// Parameters and builder.

/// Every `step`-th element along each axis, from `begin` on; a negative step runs backwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// The first element along each axis.
    pub begin: Vec<usize>,
    /// The step along each axis, not 0.
    pub step: Vec<isize>,
    /// Extents of the result.
    pub shape: Shape,
}

/// The gradient of [`Slice`]: zeros of the sliced value's shape, with dy in the places that were
/// taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceGrad {
    /// What was taken.
    pub slice: Slice,
    /// Extents of the sliced value.
    pub input: Shape,
}

/// A range of one axis, as `start..end` with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AxisRange {
    /// The axis.
    pub axis: Dim,
    /// The first element.
    pub start: usize,
    /// The element before which the range ends; beyond the extent it means the extent, as in
    /// PyTorch.
    pub end: usize,
    /// Takes every `step`-th element, at least 1.
    pub step: usize,
}

impl AxisRange {
    /// All of `start..end`.
    pub fn new(axis: impl Into<Dim>, start: usize, end: usize) -> Self {
        let (axis, step) = (axis.into(), 1);
        Self {
            axis,
            start,
            end,
            step,
        }
    }

    /// Every `step`-th of them.
    pub fn step(self, step: usize) -> Self {
        Self { step, ..self }
    }
}

/// # Slices
impl Graph {
    /// The elements of `x`, an `f32` or `u32` value, in `ranges` of some axes and all of the
    /// others.
    pub fn slice(&mut self, x: Value, ranges: &[AxisRange]) -> Result<Value> {
        let shape = &self.operand("slice", x)?.shape;
        let mut extents = shape.to_vec();
        let (mut begin, mut steps) = (vec![0; shape.len()], vec![1; shape.len()]);
        let named: Vec<Dim> = ranges.iter().map(|range| range.axis).collect();
        let axes = dim::axes("slice", shape, &named)?;
        for (axis, range) in axes.into_iter().zip(ranges) {
            let AxisRange {
                start, end, step, ..
            } = *range;
            if step == 0 || step >= 1 << 31 {
                return Err(Error::shape(format!(
                    "slice: step {step} along axis {axis} must be at least 1 and below 2^31"
                )));
            }
            begin[axis] = start.min(shape[axis]);
            steps[axis] = step as isize;
            extents[axis] = end.min(shape[axis]).saturating_sub(start).div_ceil(step);
        }
        if extents == shape[..] {
            return Ok(x);
        }
        let slice = Slice {
            begin,
            step: steps,
            shape: extents.into(),
        };
        self.apply1(slice, &[x])
    }

    /// `length` elements of `axis` from `start` on: PyTorch's `narrow`.
    pub fn narrow(
        &mut self,
        x: Value,
        axis: impl Into<Dim>,
        start: usize,
        length: usize,
    ) -> Result<Value> {
        let shape = &self.operand("narrow", x)?.shape;
        let axis = dim::axis("narrow", shape, axis)?;
        match start.checked_add(length).filter(|&end| end <= shape[axis]) {
            Some(end) => self.slice(x, &[AxisRange::new(axis, start, end)]),
            None => Err(Error::shape(format!(
                "narrow: {length} elements from {start} on pass the end of axis {axis} of {shape}"
            ))),
        }
    }

    /// `x`, an `f32` or `u32` value, with `axes` run through backwards.
    pub fn flip(&mut self, x: Value, axes: &[impl Into<Dim> + Copy]) -> Result<Value> {
        let shape = self.operand("flip", x)?.shape.clone();
        let (mut begin, mut step) = (vec![0; shape.len()], vec![1; shape.len()]);
        for axis in dim::axes("flip", &shape, axes)? {
            begin[axis] = shape[axis].saturating_sub(1);
            step[axis] = -1;
        }
        self.apply1(Slice { begin, step, shape }, &[x])
    }
}

// Shape rule.

impl Slice {
    /// Fails unless the slice lies within a value of `shape`.
    fn check(&self, op: &str, shape: &Shape) -> Result<()> {
        let rank = shape.len();
        let fits = |axis: usize| {
            let (begin, step) = (self.begin[axis] as i128, self.step[axis] as i128);
            let last = begin + step * (self.shape[axis] as i128 - 1);
            let inside = |at: i128| (0..shape[axis] as i128).contains(&at);
            let steps = step != 0 && step.abs() < 1 << 31;
            let empty = self.shape[axis] == 0 && begin <= shape[axis] as i128;
            steps && (empty || (inside(begin) && inside(last)))
        };
        let ranks = [self.begin.len(), self.step.len(), self.shape.len()];
        if ranks == [rank; 3] && (0..rank).all(fits) {
            return Ok(());
        }
        Err(Error::shape(format!(
            "{op}: {} elements from {:?} on in steps of {:?} do not lie in {shape}",
            self.shape, self.begin, self.step
        )))
    }

    /// The first element taken from a value of `shape`, and the steps to the next ones.
    fn walk(&self, shape: &Shape) -> (usize, Vec<isize>) {
        let strides = shape.strides();
        let first = self.begin.iter().zip(&strides).map(|(b, s)| b * s).sum();
        let steps = self.step.iter().zip(&strides);
        (first, steps.map(|(step, &s)| step * s as isize).collect())
    }

    /// Whether rows (axis 0) stand elsewhere than they came from.
    fn moves_rows(&self) -> bool {
        let first = self.begin.first().zip(self.step.first());
        first.is_some_and(|(&begin, &step)| begin != 0 || step != 1)
    }

    /// The taken elements within a value, and the box of them; `taken` is where they go or come
    /// from.
    fn sides<'a>(&self, value: Cut<'a>, taken: Cut<'a>) -> [Side<'a>; 2] {
        let rows = (!self.shape.is_empty()).then_some(0);
        let (base, _) = self.walk(value.shape);
        let place = Side {
            cut: value,
            base,
            rows,
        };
        let own = Side {
            cut: taken,
            base: 0,
            rows,
        };
        [place, own]
    }
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_words(self.name(), inputs[0])?;
        self.check(self.name(), &inputs[0].shape)?;
        Ok(vec![Type::new(inputs[0].dtype, self.shape.clone())])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let (first, steps) = self.walk(x.shape());
        let ty = Type::new(x.ty().dtype, self.shape.clone());
        let places = positions(&self.shape, first, &steps);
        vec![picked(inputs, &ty, places.map(|at| (0, at)))]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let grad = SliceGrad {
            slice: self.clone(),
            input: g.shape(at.inputs[0])?.clone(),
        };
        Ok(vec![Some(g.apply1(grad, &[dy[0]])?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (Cut::input(io, 0), Cut::output(io, 0));
        let [from, to] = self.sides(x, y);
        let (_, steps) = self.walk(x.shape);
        let strides = y.shape.strides();
        let axes = (0..steps.len()).map(|axis| Axis {
            extent: self.shape[axis],
            x: steps[axis],
            y: strides[axis] as isize,
        });
        lower_strided(self.name(), from, to, &axes.collect::<Vec<_>>(), out)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.moves_rows()
    }
}

impl Op for SliceGrad {
    fn name(&self) -> &'static str {
        "slice_grad"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), "dy", inputs[0])?;
        self.slice.check(self.name(), &self.input)?;
        if inputs[0].shape != self.slice.shape {
            return Err(Error::shape(format!(
                "slice_grad: dy {}, the slice is {}",
                inputs[0].shape, self.slice.shape
            )));
        }
        Ok(vec![Type::f32(self.input.clone())])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let mut dx = vec![0.0; self.input.count()];
        let (first, steps) = self.slice.walk(&self.input);
        let places = positions(&self.slice.shape, first, &steps);
        for (at, dy) in places.zip(inputs[0].floats()) {
            dx[at] = *dy;
        }
        vec![Array::float(self.input.clone(), dx)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, _: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![Some(g.apply1(self.slice.clone(), &[dy[0]])?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (dy, dx) = (Cut::input(io, 0), Cut::output(io, 0));
        if self.slice.shape.count() != self.input.count() {
            lower_fill(dx, 0.0, out);
        }
        let [to, from] = self.slice.sides(dx, dy);
        let (_, steps) = self.slice.walk(dx.shape);
        let strides = dy.shape.strides();
        let axes = (0..steps.len()).map(|axis| Axis {
            extent: self.slice.shape[axis],
            x: strides[axis] as isize,
            y: steps[axis],
        });
        lower_strided(self.name(), from, to, &axes.collect::<Vec<_>>(), out)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.slice.moves_rows()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn errors_carry_the_numbers() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([2, 6])).unwrap();
        let message = |error: Error| {
            assert_eq!(error.kind(), ErrorKind::Shape);
            error.to_string()
        };
        assert_eq!(
            message(g.narrow(x, 1, 4, 3).unwrap_err()),
            "narrow: 3 elements from 4 on pass the end of axis 1 of [2, 6]"
        );
        let none = AxisRange::new(1, 0, 6).step(0);
        assert!(message(g.slice(x, &[none]).unwrap_err()).contains("step 0 along axis 1"));
        let twice = [AxisRange::new(1, 0, 3), AxisRange::new(1, 0, 3)];
        assert!(
            message(g.slice(x, &twice).unwrap_err()).contains("axis 1 of [2, 6] is named twice")
        );
        let outside = Slice {
            begin: vec![0, 5],
            step: vec![1, 1],
            shape: [2, 2].into(),
        };
        assert_eq!(
            message(g.apply1(outside, &[x]).unwrap_err()),
            "slice: [2, 2] elements from [0, 5] on in steps of [1, 1] do not lie in [2, 6]"
        );
    }
}
