//! Ops that put values together along an axis or take them apart: concat, split, chunk.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Io, Lowering};
use crate::shape::{Shape, Type};
use crate::tensor::Array;

use crate::lowering::Cut;
use crate::lowering::strided::{Axis, Side, lower_strided};
use crate::ops::dim::{self, Dim};
use crate::ops::expect_inputs;
use crate::ops::movement::{expect_words, picked, positions};

// Parameters and builder.

/// Values of one type side by side along an axis: PyTorch's `cat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
    /// Extent of each value along it.
    pub sizes: Vec<usize>,
}

/// A value cut along an axis into one output for each size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitAxis {
    /// The axis.
    pub axis: usize,
    /// Extent of each output along it.
    pub sizes: Vec<usize>,
}

/// How many values [`Graph::chunk`] makes of an axis without elements.
const MOST_EMPTY_CHUNKS: usize = 1 << 16;

/// # Joining and cutting
impl Graph {
    /// `f32` or `u32` values side by side along `axis`; they differ in nothing but their extents
    /// there. PyTorch's `cat`.
    pub fn concat(&mut self, values: &[Value], axis: impl Into<Dim>) -> Result<Value> {
        let Some(&first) = values.first() else {
            return Err(Error::shape("concat: no values to put together"));
        };
        let axis = dim::axis("concat", &self.operand("concat", first)?.shape, axis)?;
        if values.len() == 1 {
            return Ok(first);
        }
        let sizes = values.iter().map(|&value| {
            let shape = &self.operand("concat", value)?.shape;
            expect_axis("concat", shape, axis)?;
            Ok(shape[axis])
        });
        let sizes = sizes.collect::<Result<_>>()?;
        self.apply1(Concat { axis, sizes }, values)
    }

    /// `x`, an `f32` or `u32` value, cut along `axis` into values of these sizes, which add up to
    /// its extent.
    pub fn split(&mut self, x: Value, sizes: &[usize], axis: impl Into<Dim>) -> Result<Vec<Value>> {
        let axis = dim::axis("split", &self.operand("split", x)?.shape, axis)?;
        let sizes = sizes.to_vec();
        self.apply(SplitAxis { axis, sizes }, &[x])
    }

    /// `x` cut along `axis` into `chunks` values, all of extent / `chunks` rounded up but the last
    /// ones, which may be smaller or missing: PyTorch's `chunk`. An axis without elements gives
    /// `chunks` empty values, at most 65,536.
    pub fn chunk(&mut self, x: Value, chunks: usize, axis: impl Into<Dim>) -> Result<Vec<Value>> {
        let shape = &self.operand("chunk", x)?.shape;
        let axis = dim::axis("chunk", shape, axis)?;
        if chunks == 0 {
            return Err(Error::shape("chunk: 0 chunks, at least 1 is needed"));
        }
        let extent = shape[axis];
        let size = extent.div_ceil(chunks).max(1);
        let mut sizes = vec![size; extent / size];
        if !extent.is_multiple_of(size) {
            sizes.push(extent % size);
        }
        if sizes.is_empty() {
            if chunks > MOST_EMPTY_CHUNKS {
                return Err(Error::shape(format!(
                    "chunk: {chunks} chunks of no elements along axis {axis} of {shape}, at most \
                     {MOST_EMPTY_CHUNKS} are made"
                )));
            }
            sizes = vec![0; chunks];
        }
        self.split(x, &sizes, axis)
    }
}

// Shape rule.

fn expect_axis(op: &str, shape: &Shape, axis: usize) -> Result<()> {
    if axis < shape.len() {
        return Ok(());
    }
    Err(Error::shape(format!("{op}: {shape} has no axis {axis}")))
}

/// The type that `sizes` along `axis` of x add up to.
fn joined(op: &str, x: &Type, axis: usize, sizes: &[usize]) -> Result<Type> {
    expect_words(op, x)?;
    expect_axis(op, &x.shape, axis)?;
    let total = sizes
        .iter()
        .try_fold(0usize, |total, &size| total.checked_add(size));
    match total {
        Some(total) => Ok(resized(x, axis, total)),
        None => Err(Error::shape(format!("{op}: sizes {sizes:?} overflow"))),
    }
}

/// `x` with another extent of `axis`.
fn resized(x: &Type, axis: usize, extent: usize) -> Type {
    let mut shape = x.shape.to_vec();
    shape[axis] = extent;
    Type::new(x.dtype, shape)
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, self.sizes.len())?;
        let Some(first) = inputs.first() else {
            return Err(Error::shape("concat: no values to put together"));
        };
        let y = joined(self.name(), first, self.axis, &self.sizes)?;
        for (i, (input, &size)) in inputs.iter().zip(&self.sizes).enumerate() {
            if **input != resized(first, self.axis, size) {
                return Err(Error::shape(format!(
                    "concat: value {i} is {input}, value 0 {first}: they may differ along axis {} \
                     alone",
                    self.axis
                )));
            }
        }
        Ok(vec![y])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let types: Vec<&Type> = inputs.iter().map(|x| x.ty()).collect();
        let y = &self.infer(&types).expect("infer accepted the inputs")[0];
        // Which input holds each element along the axis, and where.
        let found: Vec<(usize, usize)> = (0..self.sizes.len())
            .flat_map(|input| (0..self.sizes[input]).map(move |i| (input, i)))
            .collect();
        let inner: usize = y.shape[self.axis + 1..].iter().product();
        let places = (0..y.count()).map(|i| {
            let (outer, along) = (i / inner / found.len(), i / inner % found.len());
            let (input, at) = found[along];
            (input, (outer * self.sizes[input] + at) * inner + i % inner)
        });
        vec![picked(inputs, y, places)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, _: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let parts = g.split(dy[0], &self.sizes, self.axis)?;
        Ok(parts.into_iter().map(Some).collect())
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let y = Cut::output(io, 0);
        let mut start = 0;
        for (i, &size) in self.sizes.iter().enumerate() {
            let x = Cut::input(io, i);
            let [part, whole] = inside(x, y, self.axis, start);
            lower_strided(self.name(), part, whole, &axes(x, x, y), out)?;
            start += size;
        }
        Ok(())
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axis == 0
    }
}

impl Op for SplitAxis {
    fn name(&self) -> &'static str {
        "split"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let x = inputs[0];
        let whole = joined(self.name(), x, self.axis, &self.sizes)?;
        if whole.shape != x.shape || self.sizes.is_empty() {
            return Err(Error::shape(format!(
                "split: sizes {:?} do not add up to axis {} of {}",
                self.sizes, self.axis, x.shape
            )));
        }
        let sizes = self.sizes.iter();
        Ok(sizes.map(|&size| resized(x, self.axis, size)).collect())
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let strides = x.shape().strides();
        let mut start = 0;
        let cut = self.sizes.iter().map(|&size| {
            let ty = resized(x.ty(), self.axis, size);
            let steps: Vec<isize> = strides.iter().map(|&stride| stride as isize).collect();
            let places = positions(&ty.shape, start * strides[self.axis], &steps);
            start += size;
            picked(inputs, &ty, places.map(|at| (0, at)))
        });
        cut.collect()
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, _: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![Some(g.concat(dy, self.axis)?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let x = Cut::input(io, 0);
        let mut start = 0;
        for (i, &size) in self.sizes.iter().enumerate() {
            let y = Cut::output(io, i);
            let [part, whole] = inside(y, x, self.axis, start);
            lower_strided(self.name(), whole, part, &axes(y, x, y), out)?;
            start += size;
        }
        Ok(())
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axis == 0
    }
}

/// Where `part` lies in itself, and in `whole` from `start` along `axis`.
fn inside<'a>(part: Cut<'a>, whole: Cut<'a>, axis: usize, start: usize) -> [Side<'a>; 2] {
    let base = start * whole.shape.strides()[axis];
    let rows = Some(0);
    let own = Side {
        cut: part,
        base: 0,
        rows,
    };
    let place = Side {
        cut: whole,
        base,
        rows,
    };
    [own, place]
}

/// The axes of the box that fills `part`, with the strides of x and y.
fn axes(part: Cut, x: Cut, y: Cut) -> Vec<Axis> {
    let strides = x.shape.strides().into_iter().zip(y.shape.strides());
    let axes = part.shape.iter().zip(strides);
    axes.map(|(&extent, (x, y))| Axis {
        extent,
        x: x as isize,
        y: y as isize,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn errors_carry_the_numbers() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([2, 6])).unwrap();
        let y = g.input("y", Type::f32([3, 6])).unwrap();
        let message = |error: Error| {
            assert_eq!(error.kind(), ErrorKind::Shape);
            error.to_string()
        };
        assert_eq!(
            message(g.concat(&[x, y], 1).unwrap_err()),
            "concat: value 1 is f32 [3, 6], value 0 f32 [2, 6]: they may differ along axis 1 alone"
        );
        assert_eq!(
            message(g.concat(&[], 0).unwrap_err()),
            "concat: no values to put together"
        );
        assert_eq!(
            message(g.concat(&[x], 2).unwrap_err()),
            "concat: [2, 6] has no axis 2"
        );
        assert_eq!(
            message(g.split(x, &[2, 3], 1).unwrap_err()),
            "split: sizes [2, 3] do not add up to axis 1 of [2, 6]"
        );
        let huge = g.split(x, &[usize::MAX, 7], 1).unwrap_err();
        assert!(message(huge).contains("overflow"));
        let none = g.input("none", Type::f32([0, 6])).unwrap();
        assert_eq!(g.chunk(none, 3, 0).unwrap().len(), 3);
        assert_eq!(
            message(g.chunk(none, usize::MAX, 0).unwrap_err()),
            format!(
                "chunk: {} chunks of no elements along axis 0 of [0, 6], at most 65536 are made",
                usize::MAX
            )
        );
    }
}
