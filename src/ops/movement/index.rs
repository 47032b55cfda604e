//! Elements chosen along one axis by an index for each, sums of elements by such an index, labels
//! as rows of zeros and a one.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Overrides, source};
use crate::lowering::Cut;
use crate::lowering::rows::{Walk, by_rows};
use crate::ops::dim::{self, Dim};
use crate::ops::movement::slice::AxisRange;
use crate::ops::reduce::along::{rows_across, rows_in_all};
use crate::ops::{expect_dtype, expect_f32, expect_inputs};
use crate::shape::{DType, Shape, Type, around, resized};
use crate::tensor::{Array, Tensor};

// Parameters and builder.

/// y[.., j, ..] = x[.., index[.., j, ..], ..] along an axis, from x, `f32` or `u32`, and the index,
/// `u32`, whose other extents are those of x: PyTorch's `gather`. 0 where there is no such element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gather {
    /// The axis.
    pub axis: usize,
}

/// y[.., a, ..] = the sum of src[.., j, ..] over all j with index[.., j, ..] = a, from the index,
/// `u32`, and src of its shape: PyTorch's `scatter_add` into zeros. Always in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScatterAdd {
    /// The axis.
    pub axis: usize,
    /// Its extent in y.
    pub extent: usize,
}

/// # Elements by index
impl Graph {
    /// y[.., j, ..] = x[.., index[.., j, ..], ..] along `axis`: x is `f32` or `u32`, the index
    /// `u32` of as many axes, whose extents but that of `axis` are at most those of x. Where the
    /// index is not below the extent of x, y is 0; in PyTorch it is an error.
    ///
    /// It takes as long as y has elements. Its gradient is a [`Graph::scatter_add`], which takes
    /// longer.
    pub fn gather(&mut self, x: Value, axis: impl Into<Dim>, index: Value) -> Result<Value> {
        let name = "gather";
        let (x_type, index_type) = (self.operand(name, x)?, self.operand(name, index)?);
        expect_gathered(name, x_type)?;
        expect_dtype(name, "index", index_type, DType::U32)?;
        let axis = dim::axis(name, &x_type.shape, axis)?;
        let seen = ranges(name, axis, &x_type.shape, &index_type.shape)?;
        let x = self.slice(x, &seen)?;
        self.apply1(Gather { axis }, &[x, index])
    }

    /// x, and at place index[.., j, ..] of `axis` src[.., j, ..] added to it, for every j: src has
    /// the shape of the `u32` index, whose extents but that of `axis` are at most those of x. What
    /// an index beyond the extent of x names is left out; in PyTorch it is an error. Sums are added
    /// up in the order of j, in 64 runs where there are many: the same bits every time.
    ///
    /// Each element of the sums looks at every index along the axis: it takes as long as src has
    /// elements, times the extent of x along the axis.
    pub fn scatter_add(
        &mut self,
        x: Value,
        axis: impl Into<Dim>,
        index: Value,
        src: Value,
    ) -> Result<Value> {
        let name = "scatter_add";
        expect_f32(name, "x", self.operand(name, x)?)?;
        let x_shape = self.shape(x)?.clone();
        let axis = dim::axis(name, &x_shape, axis)?;
        ranges(name, axis, &x_shape, &self.operand(name, index)?.shape)?;
        let extent = x_shape[axis];
        let sums = self.apply1(ScatterAdd { axis, extent }, &[index, src])?;
        let extents = x_shape.iter().zip(self.shape(sums)?.iter()).rev();
        let missing = extents.flat_map(|(&x, &own)| [0, (x - own) as isize]);
        let padding: Vec<isize> = missing.collect();
        let sums = match padding.iter().all(|&pad| pad == 0) {
            true => sums,
            false => self.pad_constant(sums, &padding, 0.0)?,
        };
        self.add(x, sums)
    }

    /// A last axis of extent `classes` with 1 at the place that the `u32` label names and 0
    /// elsewhere, `u32`; all 0 for labels that are not below `classes`, which PyTorch refuses.
    pub fn one_hot(&mut self, labels: Value, classes: usize) -> Result<Value> {
        let ty = self.operand("one_hot", labels)?.clone();
        expect_dtype("one_hot", "labels", &ty, DType::U32)?;
        if classes > MOST_CLASSES {
            return Err(Error::shape(format!(
                "one_hot: {classes} classes, {MOST_CLASSES} are the most"
            )));
        }
        let numbers = Tensor::u32([classes], (0..classes as u32).collect())?;
        let numbers = self.constant(numbers)?;
        let labels = self.reshape(labels, [&ty.shape[..], &[1]].concat())?;
        self.eq(labels, numbers)
    }
}

/// The numbers of so many classes lie on the device.
const MOST_CLASSES: usize = 1 << 20;

// Shape rule.

/// What an index of its shape sees of an x of its: all along the axis, and ranges of the others.
fn ranges(op: &str, axis: usize, x: &Shape, index: &Shape) -> Result<Vec<AxisRange>> {
    let fits = |other: usize| other == axis || index[other] <= x[other];
    if index.len() != x.len() || !(0..x.len()).all(fits) {
        return Err(Error::shape(format!(
            "{op}: index {index} does not lie within x {x} but along axis {axis}"
        )));
    }
    let shorter = (0..x.len()).filter(|&other| other != axis && index[other] < x[other]);
    Ok(shorter
        .map(|other| AxisRange::new(other, 0, index[other]))
        .collect())
}

/// Fails unless x has elements that can be chosen.
fn expect_gathered(op: &str, x: &Type) -> Result<()> {
    match x.dtype {
        DType::F32 | DType::U32 => Ok(()),
        _ => Err(Error::shape(format!(
            "{op}: x is {x}, f32 or u32 is needed"
        ))),
    }
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        let (x, index) = (inputs[0], inputs[1]);
        expect_gathered(self.name(), x)?;
        expect_dtype(self.name(), "index", index, DType::U32)?;
        let along = index.shape.get(self.axis).copied();
        let same = along.filter(|&along| {
            index.shape.len() == x.shape.len() && resized(&x.shape, self.axis, along) == index.shape
        });
        if same.is_none() {
            return Err(Error::shape(format!(
                "gather: x {} and index {} differ beside axis {}",
                x.shape, index.shape, self.axis
            )));
        }
        Ok(vec![Type::new(x.dtype, index.shape.clone())])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (x, index) = (inputs[0], inputs[1]);
        let [_, extent, inner] = around(x.shape(), self.axis);
        let [_, columns, _] = around(index.shape(), self.axis);
        let places = index.u32s().iter().enumerate().map(|(at, &a)| {
            let outer = at / inner / columns;
            ((a as usize) < extent).then(|| (outer * extent + a as usize) * inner + at % inner)
        });
        let shape = index.shape().clone();
        vec![match x.ty().dtype {
            DType::U32 => {
                let taken = places.map(|place| place.map_or(0, |place| x.u32s()[place]));
                Array::u32(shape, taken.collect())
            }
            _ => {
                let taken = places.map(|place| place.map_or(0.0, |place| x.floats()[place]));
                Array::float(shape, taken.collect())
            }
        }]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let x = g.ty(at.inputs[0])?;
        if x.dtype != DType::F32 {
            return Ok(vec![None; 2]);
        }
        let back = ScatterAdd {
            axis: self.axis,
            extent: x.shape[self.axis],
        };
        Ok(vec![Some(g.apply1(back, &[at.inputs[1], dy[0]])?), None])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let values = [Cut::input(io, 0), Cut::input(io, 1), Cut::output(io, 0)];
        let [x, index, y] = values;
        let [_, extent, inner] = around(x.shape, self.axis);
        for rows in rows_across(self.axis, self.name(), io, &values)? {
            let count = y.shape.count() / rows_in_all(self.axis, y.shape) * rows.count;
            out.push(
                Dispatch::new(&GATHER, GATHER_VARIANTS[0])
                    .read(x.operand)
                    .part(rows.part[0])
                    .read(index.operand)
                    .part(rows.part[1])
                    .write(y.operand)
                    .part(rows.part[2])
                    .param("count", count)
                    .param("extent", extent)
                    .param("columns", y.shape[self.axis])
                    .param("inner", inner)
                    .param("x_base", rows.first[0] * x.row())
                    .param("index_base", rows.first[1] * index.row())
                    .param("y_base", rows.first[2] * y.row())
                    .workgroups(count.div_ceil(WORKGROUP)),
            );
        }
        Ok(())
    }

    fn mixes_rows(&self, input: usize) -> bool {
        self.axis == 0 && input == 0
    }
}

impl Op for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        let (index, src) = (inputs[0], inputs[1]);
        expect_dtype(self.name(), "index", index, DType::U32)?;
        expect_f32(self.name(), "src", src)?;
        if index.shape != src.shape || self.axis >= index.shape.len() {
            return Err(Error::shape(format!(
                "scatter_add: index {}, src {}, axis {}",
                index.shape, src.shape, self.axis
            )));
        }
        let shape = resized(&index.shape, self.axis, self.extent);
        Ok(vec![Type::f32(shape)])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (index, src) = (inputs[0], inputs[1]);
        let [_, columns, inner] = around(index.shape(), self.axis);
        let shape = resized(index.shape(), self.axis, self.extent);
        let mut y = vec![0.0; shape.count()];
        for (at, (&a, &value)) in index.u32s().iter().zip(src.floats()).enumerate() {
            if (a as usize) < self.extent {
                let outer = at / inner / columns;
                y[(outer * self.extent + a as usize) * inner + at % inner] += value;
            }
        }
        vec![Array::float(shape, y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let back = Gather { axis: self.axis };
        Ok(vec![None, Some(g.apply1(back, &[dy[0], at.inputs[0]])?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let values = [Cut::input(io, 0), Cut::input(io, 1), Cut::output(io, 0)];
        let [index, src, y] = values;
        let [_, columns, inner] = around(index.shape, self.axis);
        let walk = Walk::new(columns, inner, y.shape.count());
        for rows in rows_across(self.axis, self.name(), io, &values)? {
            let outputs = y.shape.count() / rows_in_all(self.axis, y.shape) * rows.count;
            for [from, to] in walk.windows(columns, caps.max_turns) {
                out.push(
                    by_rows(&SCATTER, &[], outputs, walk.lanes)
                        .read(index.operand)
                        .part(rows.part[0])
                        .read(src.operand)
                        .part(rows.part[1])
                        .write(y.operand)
                        .part(rows.part[2])
                        .param("outputs", outputs)
                        .param("begin", from)
                        .param("until", to)
                        .param("columns", columns)
                        .param("extent", self.extent)
                        .param("inner", inner)
                        .param("index_base", rows.first[0] * index.row())
                        .param("src_base", rows.first[1] * src.row())
                        .param("y_base", rows.first[2] * y.row())
                        .turns(walk.turns(to - from)),
                );
            }
        }
        Ok(())
    }

    /// Comparisons of an index with a place.
    fn multiply_adds(&self, inputs: &[&Type]) -> u64 {
        (inputs[0].count() as u64).saturating_mul(self.extent as u64)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axis == 0
    }
}

const WORKGROUP: usize = 64;

const GATHER_VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];
const SCATTER_VARIANTS: &[Overrides] = &[
    &[("lanes", 1), ("workgroup_size", 64)],
    &[("lanes", 64), ("workgroup_size", 64)],
];

static GATHER: Kernel = Kernel::new(
    "gather_along",
    &[source!("movement/gather_along")],
    GATHER_VARIANTS,
);
static SCATTER: Kernel = Kernel::new(
    "scatter_add",
    &[source!("movement/scatter_add"), source!("lib/rows")],
    SCATTER_VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&GATHER, &SCATTER];
