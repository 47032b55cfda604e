//! The largest or smallest elements along one axis, in order.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{AROUND, Caps, Io, Kernel, Lowering, Overrides, looped, source, turns_within};
use crate::shape::{Type, around, resized};
use crate::tensor::Array;

use crate::lowering::Cut;
use crate::lowering::rows::{Walk, by_rows};
use crate::ops::dim::{self, Dim};
use crate::ops::movement::index::ScatterAdd;
use crate::ops::reduce::along::{rows_across, rows_in_all};
use crate::ops::{expect_f32, expect_inputs, in_order};

// Parameters and builder.

/// The k largest or smallest elements along an axis, in order, and their `u32` indices there:
/// PyTorch's `topk`. Of equal ones the first comes first; NaN counts as larger than all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopK {
    /// The axis.
    pub axis: usize,
    /// How many.
    pub k: usize,
    /// Whether the largest are wanted.
    pub largest: bool,
}

/// # Largest and smallest elements in order
impl Graph {
    /// The `k` largest elements along `axis`, the largest first, and their indices (`u32`); or the
    /// smallest, the smallest first. Of equal ones the first comes first, which PyTorch leaves
    /// open; NaN counts as larger than all, as there. The gradient goes to the elements of those
    /// indices.
    ///
    /// Each of the `k` walks the axis once more: it takes as long as x has elements, times k. For
    /// few of many, not for sorting. The gradient is a [`Graph::scatter_add`] and takes as long
    /// again.
    ///
    /// # Errors
    /// `Unsupported` for a `k` above 1,024.
    pub fn topk(
        &mut self,
        x: Value,
        k: usize,
        axis: impl Into<Dim>,
        largest: bool,
    ) -> Result<(Value, Value)> {
        let axis = dim::axis("topk", &self.operand("topk", x)?.shape, axis)?;
        let outputs = self.apply(TopK { axis, k, largest }, &[x])?;
        Ok((outputs[0], outputs[1]))
    }
}

// Shape rule.

/// More elements take too many walks.
const MOST_ELEMENTS: usize = 1024;

impl Op for TopK {
    fn name(&self) -> &'static str {
        "topk"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let x = inputs[0];
        expect_f32(self.name(), "x", x)?;
        if x.shape.get(self.axis).is_none_or(|&extent| extent < self.k) {
            return Err(Error::shape(format!(
                "topk: x {} has no {} elements along axis {}",
                x.shape, self.k, self.axis
            )));
        }
        if self.k > MOST_ELEMENTS {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("topk: {} elements, {MOST_ELEMENTS} are the most", self.k),
            ));
        }
        let shape = resized(&x.shape, self.axis, self.k);
        Ok(vec![Type::f32(shape.clone()), Type::u32(shape)])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let [outer, extent, inner] = around(x.shape(), self.axis);
        let shape = resized(x.shape(), self.axis, self.k);
        let (mut y, mut indices) = (vec![0.0; shape.count()], vec![0; shape.count()]);
        for line in 0..outer * inner {
            let (o, i) = (line / inner, line % inner);
            let element = |a: usize| x.floats()[(o * extent + a) * inner + i];
            let mut order: Vec<usize> = (0..extent).collect();
            // Equal ones stay in order.
            order.sort_by(|&a, &b| {
                let (a, b) = if self.largest { (b, a) } else { (a, b) };
                in_order(element(a), element(b))
            });
            for (place, &a) in order[..self.k].iter().enumerate() {
                let at = (o * self.k + place) * inner + i;
                (y[at], indices[at]) = (element(a), a as u32);
            }
        }
        vec![Array::float(shape.clone(), y), Array::u32(shape, indices)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let back = ScatterAdd {
            axis: self.axis,
            extent: g.shape(at.inputs[0])?[self.axis],
        };
        Ok(vec![Some(g.apply1(back, &[at.outputs[1], dy[0]])?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let values = [Cut::input(io, 0), Cut::output(io, 0), Cut::output(io, 1)];
        let [x, y, index] = values;
        let [_, extent, inner] = around(x.shape, self.axis);
        let walk = Walk::new(extent, inner, x.shape.count() / extent.max(1));
        // As many walks as a dispatch has room for, or one that goes on in the next.
        let room = caps.max_turns.saturating_sub(AROUND);
        let walks = match extent > walk.most_columns(room) {
            true => 1,
            false => turns_within(caps.max_turns, walk.turns(extent)),
        };
        for rows in rows_across(self.axis, self.name(), io, &values)? {
            let lines = x.shape.count() / extent.max(1) / rows_in_all(self.axis, x.shape);
            let outputs = lines * rows.count;
            for first in (0..self.k).step_by(walks) {
                let last = self.k.min(first + walks);
                for [from, to] in walk.windows(extent, room) {
                    out.push(
                        by_rows(&TOP_K, &[], outputs, walk.lanes)
                            .read(x.operand)
                            .part(rows.part[0])
                            .write(y.operand)
                            .part(rows.part[1])
                            .write(index.operand)
                            .part(rows.part[2])
                            .param("outputs", outputs)
                            .param("first", first)
                            .param("last", last)
                            .param("begin", from)
                            .param("until", to)
                            .param("extent", extent)
                            .param("inner", inner)
                            .param("k", self.k)
                            .param("smallest", (!self.largest).into())
                            .param("x_base", rows.first[0] * x.row())
                            .param("y_base", rows.first[1] * y.row())
                            .param("index_base", rows.first[2] * index.row())
                            .turns(looped(last - first, walk.turns(to - from))),
                    );
                }
            }
        }
        Ok(())
    }

    /// Comparisons of elements.
    fn multiply_adds(&self, inputs: &[&Type]) -> u64 {
        (inputs[0].count() as u64).saturating_mul(self.k as u64)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axis == 0
    }
}

const VARIANTS: &[Overrides] = &[
    &[("lanes", 1), ("workgroup_size", 64)],
    &[("lanes", 64), ("workgroup_size", 64)],
];

static TOP_K: Kernel = Kernel::new(
    "topk",
    &[source!("reduce/topk"), source!("lib/rows")],
    VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&TOP_K];
