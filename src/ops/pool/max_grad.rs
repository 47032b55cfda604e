//! The gradient of max pooling, and the gradient of that, which gathers by indices.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::graph::{EvalSplit, Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Lowering, Operand, overlaps};
use crate::lowering::pieces::{Pieces, nested};
use crate::ops::{expect_dtype, expect_inputs};
use crate::shape::{DType, Type};
use crate::tensor::Array;

use super::max::{Indices, Planes, check_window_indices, output_shape};
use super::max_kernels::{WindowForm, max_pool_gather, max_pool_grad};
use super::windows::{PoolNumbers, Windows};
use super::{VARIANTS, WORKGROUP, gathers, into_scratch, operands};

// Parameters.

/// dx `[n, c, ...]` of a max pooling from dy and the indices (of either dtype): each dy goes to the
/// element that its index names.
///
/// The indices are those of a max pooling with these windows. Others never reach outside dx, but
/// what they add where is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPoolGrad {
    /// The windows.
    pub windows: Windows,
    /// Extents of dx along the pooled axes, after ones.
    pub input: [usize; 3],
}

/// y `[n, c, ...]` from x and the indices of a max pooling: the element that each window's index
/// names, 0 where it names none. The gradient of [`MaxPoolGrad`] by dy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPoolGather {
    /// The windows.
    pub windows: Windows,
}

// Shape rule.

/// What the indices of these windows, of a shape like y, count from.
fn infer_indices(op: &str, windows: &Windows, index: &Type, y: &Type) -> Result<Indices> {
    if index.shape != y.shape {
        return Err(Error::shape(format!(
            "{op}: index {} does not fit windows {}",
            index.shape, y.shape
        )));
    }
    if index.dtype == DType::U8 {
        check_window_indices(windows, y)?;
        return Ok(Indices::Window);
    }
    expect_dtype(op, "index", index, DType::U32)?;
    Ok(Indices::Plane)
}

/// What indices of this dtype, accepted by a shape rule, count from.
fn indices_of(index: &Type) -> Indices {
    match index.dtype {
        DType::U8 => Indices::Window,
        _ => Indices::Plane,
    }
}

impl Op for MaxPoolGrad {
    fn name(&self) -> &'static str {
        self.windows.name(match self.windows.is_adaptive() {
            true => [
                "adaptive_max_pool1d_grad",
                "adaptive_max_pool2d_grad",
                "adaptive_max_pool3d_grad",
            ],
            false => ["max_pool1d_grad", "max_pool2d_grad", "max_pool3d_grad"],
        })
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        let dx = (self.windows).infer_grad(self.name(), self.input, inputs[0])?;
        infer_indices(self.name(), &self.windows, inputs[1], inputs[0])?;
        Ok(vec![dx])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let ty = output_shape(self, inputs);
        let windows = Planes::new(&self.windows, &ty, inputs[0].ty());
        let mut dx = vec![0.0; ty.count()];
        for (o, dy) in inputs[0].floats().iter().enumerate() {
            if let Some(i) = windows.named(inputs[1], o) {
                dx[i] += dy;
            }
        }
        vec![Array::float(ty.shape, dx)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let windows = self.windows;
        let ddy = g.apply1(MaxPoolGather { windows }, &[dy[0], at.inputs[1]])?;
        Ok(vec![Some(ddy), None])
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0, 1])
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (dy, dx) = (&io.inputs[0], &io.outputs[0]);
        let indices = indices_of(&io.inputs[1]);
        let output = self.windows.extents(dy);
        // Windows side by side that leave nothing over: an invocation fills four of them.
        let tiled = self.windows.are_pairs(self.input, output)
            && self.input == [1, 2 * output[1], 2 * output[2]];
        for rows in overlaps(&[&io.input_parts[0], &io.input_parts[1], &io.output_parts[0]]) {
            let numbers = PoolNumbers {
                count: rows.count * dx.row(),
                y_base: rows.first[0] * dy.row(),
                index_base: rows.first[1] * dy.row(),
                x_base: rows.first[2] * dx.row(),
                indices,
                ..PoolNumbers::default()
            };
            let form = match tiled {
                true => WindowForm::of_pairs(self.input[2], &numbers, caps),
                false => WindowForm::Any,
            };
            let most = self.windows.most_windows(self.input, output);
            let turns = nested(&most, 0);
            if let Some(pieces) = Pieces::new(&most, 0, numbers.count, turns, caps) {
                let kernel = max_pool_grad(WindowForm::Any, indices);
                let to = (Operand::Output(0), rows.part[2], numbers.x_base);
                pieces.lower_sums(numbers.count, to, out, |scratch, outputs| {
                    let own =
                        Dispatch::of(Cow::Owned(kernel.clone()), gathers(&self.windows, true));
                    let own = into_scratch(own, &rows.part[..2], scratch);
                    let whole = [self.input, output];
                    (self.windows).gather(own, whole, &numbers, (&pieces, outputs))
                });
                continue;
            }
            let (count, invocations) = match form {
                WindowForm::Any => (numbers.count, numbers.count),
                WindowForm::Pairs | WindowForm::Quads => {
                    let windows = rows.count * dy.row();
                    (windows, windows.div_ceil(4))
                }
            };
            let numbers = PoolNumbers { count, ..numbers };
            let kernel = max_pool_grad(form, indices);
            let overrides = form.variant(&self.windows);
            let dispatch = Dispatch::of(Cow::Owned(kernel), overrides).turns(turns);
            let dispatch = operands(dispatch, &rows.part);
            let dispatch = (self.windows).params(dispatch, self.input, output, &numbers);
            out.push(dispatch.workgroups(invocations.div_ceil(WORKGROUP)));
        }
        Ok(())
    }
}

impl Op for MaxPoolGather {
    fn name(&self) -> &'static str {
        self.windows.name([
            "max_pool1d_gather",
            "max_pool2d_gather",
            "max_pool3d_gather",
        ])
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        let y = self.windows.infer(self.name(), inputs[0])?;
        infer_indices(self.name(), &self.windows, inputs[1], &y)?;
        Ok(vec![y])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let ty = output_shape(self, inputs);
        let windows = Planes::new(&self.windows, inputs[0].ty(), &ty);
        let named = |o| windows.named(inputs[1], o);
        let element = |o| named(o).map_or(0.0, |i| inputs[0].floats()[i]);
        let y = (0..ty.count()).map(element).collect();
        vec![Array::float(ty.shape, y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let grad = MaxPoolGrad {
            windows: self.windows,
            input: self.windows.extents(g.ty(at.inputs[0])?),
        };
        Ok(vec![Some(g.apply1(grad, &[dy[0], at.inputs[1]])?), None])
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0, 1])
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let (input, output) = (self.windows.extents(x), self.windows.extents(y));
        let indices = indices_of(&io.inputs[1]);
        for rows in overlaps(&[&io.input_parts[0], &io.input_parts[1], &io.output_parts[0]]) {
            let numbers = PoolNumbers {
                count: rows.count * y.row(),
                x_base: rows.first[0] * x.row(),
                index_base: rows.first[1] * y.row(),
                y_base: rows.first[2] * y.row(),
                indices,
                ..PoolNumbers::default()
            };
            let dispatch = Dispatch::of(Cow::Owned(max_pool_gather(indices)), VARIANTS[0]);
            let dispatch = operands(dispatch, &rows.part);
            let workgroups = numbers.count.div_ceil(WORKGROUP);
            let dispatch = self.windows.params(dispatch, input, output, &numbers);
            out.push(dispatch.workgroups(workgroups));
        }
        Ok(())
    }
}
