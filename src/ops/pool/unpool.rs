//! Max unpooling: elements go back to the places that indices name.

use crate::error::{Error, Result};
use crate::graph::{EvalSplit, Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Part, overlaps, source};
use crate::lowering::Cut;
use crate::lowering::fill::lower_fill;
use crate::ops::{expect_f32, expect_inputs, expect_type};
use crate::shape::{PerAxis, Shape, Type};
use crate::tensor::Array;

use super::{VARIANTS, WORKGROUP};

// Parameters and builder.

/// The pooling that an unpooling partly undoes, outermost axis first, as PyTorch's `MaxUnpool1d`,
/// `MaxUnpool2d` and `MaxUnpool3d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxUnpool<const D: usize> {
    /// Taps of the window.
    pub kernel: [usize; D],
    /// Step between windows.
    pub stride: [usize; D],
    /// Elements added on each side.
    pub padding: [usize; D],
    /// Extents of the output; without them (extent - 1) * stride - 2 * padding + kernel, from which
    /// they differ by less than a stride.
    pub output_size: Option<[usize; D]>,
}

/// Max unpooling over `[n, c, length]`.
pub type MaxUnpool1d = MaxUnpool<1>;
/// Max unpooling over `[n, c, height, width]`.
pub type MaxUnpool2d = MaxUnpool<2>;
/// Max unpooling over `[n, c, depth, height, width]`.
pub type MaxUnpool3d = MaxUnpool<3>;

impl<const D: usize> MaxUnpool<D> {
    /// Windows of one extent along all axes or of one along each, side by side: stride as the
    /// kernel, no padding.
    pub fn new(kernel: impl Into<PerAxis<D>>) -> Self {
        let PerAxis(kernel) = kernel.into();
        Self {
            kernel,
            stride: kernel,
            padding: [0; D],
            output_size: None,
        }
    }

    /// Steps between windows, along all axes or along each.
    pub fn stride(mut self, stride: impl Into<PerAxis<D>>) -> Self {
        self.stride = stride.into().0;
        self
    }

    /// Elements added on both sides of all axes, or of each.
    pub fn padding(mut self, padding: impl Into<PerAxis<D>>) -> Self {
        self.padding = padding.into().0;
        self
    }

    /// Extents of the output, where several are possible.
    pub fn output_size(mut self, size: [usize; D]) -> Self {
        self.output_size = Some(size);
        self
    }

    /// Extents of the output for x of these.
    fn output(&self, op: &str, x: [usize; D]) -> Result<[usize; D]> {
        const { assert!(1 <= D && D <= 3, "pooling has 1, 2 or 3 axes") };
        let mut output = [0; D];
        for axis in 0..D {
            let (kernel, stride) = (self.kernel[axis], self.stride[axis]);
            let default = || {
                let last = x[axis].checked_sub(1)?.checked_mul(stride)?;
                let padded = last.checked_add(kernel)?;
                padded.checked_sub(self.padding[axis].checked_mul(2)?)
            };
            let Some(default) = default() else {
                return Err(Error::shape(format!(
                    "{op}: x {x:?} with kernel {:?}, stride {:?} and padding {:?} comes from no \
                     output",
                    self.kernel, self.stride, self.padding
                )));
            };
            output[axis] = self.output_size.map_or(default, |size| size[axis]);
            if output[axis].abs_diff(default) >= stride.max(1) {
                return Err(Error::shape(format!(
                    "{op}: output size {} must differ from {default} by less than the stride \
                     {stride}",
                    output[axis]
                )));
            }
        }
        Ok(output)
    }
}

/// y `[n, c, ...]` from x and its `u32` indices in the planes of y: each element of x at its place,
/// 0 elsewhere.
///
/// Where several elements of a plane have one index, the last of them is taken (PyTorch leaves the
/// order open). Indices outside the plane are passed over (PyTorch: an error).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaxUnpoolForward {
    /// Extents of y from the third axis on.
    pub output: Shape,
}

/// dx of a [`MaxUnpoolForward`] from dy and the indices: the gradient of the place that each
/// element went to, 0 where it went nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaxUnpoolGrad {
    /// Extents of dx from the third axis on.
    pub input: Shape,
}

/// # Max unpooling
impl Graph {
    /// Puts each element of x `[n, c, ...]` at the place in its plane that `indices`, of its shape,
    /// names, as
    /// [`Graph::max_pool_with_indices`] gives them; the other places are 0.
    ///
    /// Of elements with one index the last is taken; an index outside the plane is passed over.
    pub fn max_unpool<const D: usize>(
        &mut self,
        x: Value,
        indices: Value,
        unpool: MaxUnpool<D>,
    ) -> Result<Value> {
        let shape = self.operand("max_unpool", x)?.shape.clone();
        if shape.len() == 1 + D {
            let given = self.operand("max_unpool", indices)?;
            expect_type(NAMES[D - 1], "index", given, &Type::u32(shape.clone()))?;
            let batch = [&[1][..], &shape].concat();
            let (x, indices) = (
                self.reshape(x, batch.clone())?,
                self.reshape(indices, batch)?,
            );
            let y = self.max_unpool(x, indices, unpool)?;
            let image = self.shape(y)?[1..].to_vec();
            return self.reshape(y, image);
        }
        let x_ty = self.operand("max_unpool", x)?;
        let Ok(extents) = <[usize; D]>::try_from(x_ty.shape.get(2..).unwrap_or(&[])) else {
            return Err(Error::shape(format!(
                "max_unpool: x {} has not 2 + {D} axes",
                x_ty.shape
            )));
        };
        let output = unpool.output("max_unpool", extents)?;
        let output = output.into();
        self.apply1(MaxUnpoolForward { output }, &[x, indices])
    }
}

const NAMES: [&str; 3] = ["max_unpool1d", "max_unpool2d", "max_unpool3d"];

// Shape rule.

/// `like` with these extents from the third axis on.
fn with_planes(like: &Type, planes: &Shape) -> Type {
    Type::f32([&like.shape[..2], &planes[..]].concat())
}

/// Fails unless `ty` is `[n, c, ...]` of floats with as many axes as planes of `other`, and those
/// of neither are empty.
fn expect_planes(op: &str, operand: &str, ty: &Type, other: &Shape) -> Result<()> {
    expect_f32(op, operand, ty)?;
    let planes = ty.shape.get(2..).unwrap_or(&[]);
    let empty = planes.iter().chain(&other[..]).any(|&extent| extent == 0);
    if planes.len() == other.len() && !planes.is_empty() && !empty {
        return Ok(());
    }
    Err(Error::shape(format!(
        "{op}: {operand} {} and planes {other} do not belong together",
        ty.shape
    )))
}

impl Op for MaxUnpoolForward {
    fn name(&self) -> &'static str {
        match self.output.len() {
            1 => NAMES[0],
            2 => NAMES[1],
            _ => NAMES[2],
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        let (x, index) = (inputs[0], inputs[1]);
        expect_planes(self.name(), "x", x, &self.output)?;
        expect_type(self.name(), "index", index, &Type::u32(x.shape.clone()))?;
        Ok(vec![with_planes(x, &self.output)])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let ty = with_planes(inputs[0].ty(), &self.output);
        let winners = winners(inputs[1], &self.output);
        let element = |winner: &Option<usize>| winner.map_or(0.0, |o| inputs[0].floats()[o]);
        vec![Array::float(
            ty.shape,
            winners.iter().map(element).collect(),
        )]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let input = g.shape(at.inputs[0])?[2..].into();
        let dx = g.apply1(MaxUnpoolGrad { input }, &[dy[0], at.inputs[1]])?;
        Ok(vec![Some(dx), None])
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0, 1])
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        lower_unpool(io, false, out);
        Ok(())
    }
}

impl Op for MaxUnpoolGrad {
    fn name(&self) -> &'static str {
        match self.input.len() {
            1 => "max_unpool1d_grad",
            2 => "max_unpool2d_grad",
            _ => "max_unpool3d_grad",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_planes(self.name(), "dy", inputs[0], &self.input)?;
        let dx = with_planes(inputs[0], &self.input);
        let index = Type::u32(dx.shape.clone());
        expect_type(self.name(), "index", inputs[1], &index)?;
        Ok(vec![dx])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (dy, index) = (inputs[0], inputs[1]);
        let mut dx = vec![0.0; index.ty().count()];
        let winners = winners(index, &dy.shape()[2..].into());
        for (winner, dy) in winners.iter().zip(dy.floats()) {
            if let &Some(o) = winner {
                dx[o] = *dy;
            }
        }
        vec![Array::float(index.shape().clone(), dx)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let output = g.shape(at.inputs[0])?[2..].into();
        let ddy = g.apply1(MaxUnpoolForward { output }, &[dy[0], at.inputs[1]])?;
        Ok(vec![Some(ddy), None])
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0, 1])
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        lower_unpool(io, true, out);
        Ok(())
    }
}

/// For each place of planes with these extents, the last element whose index names it.
fn winners(index: &Array, planes: &Shape) -> Vec<Option<usize>> {
    let indices: usize = index.shape()[2..].iter().product();
    let places = planes.count();
    let mut winners = vec![None; index.ty().shape[..2].iter().product::<usize>() * places];
    for (o, &place) in index.u32s().iter().enumerate() {
        if (place as usize) < places {
            winners[o / indices * places + place as usize] = Some(o);
        }
    }
    winners
}

/// From x to y or, with `back`, from dy to dx: who wins each place of y, then what goes there or
/// comes from there.
fn lower_unpool(io: &Io, back: bool, out: &mut Lowering) {
    let (input, output) = (&io.inputs[0], &io.outputs[0]);
    let (x, y) = if back {
        (output, input)
    } else {
        (input, output)
    };
    let runs = overlaps(&[&io.input_parts[0], &io.input_parts[1], &io.output_parts[0]]);
    let longest = runs.iter().map(|rows| rows.count).max().unwrap_or(0);
    let winner = out.scratch(Type::u32([longest, y.row()]));
    let plane = |ty: &Type| ty.shape[2..].iter().product::<usize>();
    for rows in runs {
        let [first_in, first_index, first_out] = [rows.first[0], rows.first[1], rows.first[2]];
        let (x_row, y_row) = if back {
            (first_out, first_in)
        } else {
            (first_in, first_out)
        };
        let push = |out: &mut Lowering, dispatch: Dispatch, count: usize| {
            out.push(
                dispatch
                    .param("count", count)
                    .param("x_base", x_row * x.row())
                    .param("y_base", y_row * y.row())
                    .param("index_base", first_index * x.row())
                    .param("x_plane", plane(x))
                    .param("y_plane", plane(y))
                    .workgroups(count.div_ceil(WORKGROUP)),
            );
        };
        let index = |dispatch: Dispatch| dispatch.read(Operand::Input(1)).part(rows.part[1]);
        let places = Cut {
            operand: winner,
            shape: &y.shape,
            parts: &[Part {
                start: 0,
                rows: rows.count,
            }],
        };
        lower_fill(places, 0.0, out);
        let dispatch = index(Dispatch::new(&MAX_UNPOOL_WINNER, VARIANTS[0])).write(winner);
        push(out, dispatch, rows.count * x.row());
        let kernel = if back { &MAX_UNPOOL_GRAD } else { &MAX_UNPOOL };
        let dispatch = Dispatch::new(kernel, VARIANTS[0])
            .read(Operand::Input(0))
            .part(rows.part[0]);
        let dispatch = if back { index(dispatch) } else { dispatch };
        let dispatch = dispatch
            .read(winner)
            .write(Operand::Output(0))
            .part(rows.part[2]);
        push(out, dispatch, rows.count * output.row());
    }
}

static MAX_UNPOOL_WINNER: Kernel = Kernel::new(
    "max_unpool_winner",
    &[
        source!("pool/max_unpool_winner"),
        source!("pool/max_unpool_params"),
    ],
    VARIANTS,
);
static MAX_UNPOOL: Kernel = Kernel::new(
    "max_unpool",
    &[
        source!("pool/max_unpool"),
        source!("pool/max_unpool_params"),
    ],
    VARIANTS,
);
static MAX_UNPOOL_GRAD: Kernel = Kernel::new(
    "max_unpool_grad",
    &[
        source!("pool/max_unpool_grad"),
        source!("pool/max_unpool_params"),
    ],
    VARIANTS,
);

pub(super) const KERNELS: &[&Kernel] = &[&MAX_UNPOOL_WINNER, &MAX_UNPOOL, &MAX_UNPOOL_GRAD];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_of_another_shape_are_named() {
        let mut g = Graph::new();
        for (x, indices, told) in [
            (
                Type::f32([2, 3, 4]),
                Type::u32([2, 3, 5]),
                "max_unpool2d: index is u32 [2, 3, 5], u32 [2, 3, 4] is needed",
            ),
            (
                Type::f32([1, 2, 3, 4]),
                Type::u32([2, 3, 4]),
                "max_unpool2d: index is u32 [2, 3, 4], u32 [1, 2, 3, 4] is needed",
            ),
        ] {
            let x = g.input(&format!("x{told}"), x).unwrap();
            let indices = g.input(told, indices).unwrap();
            let error = g.max_unpool(x, indices, MaxUnpool2d::new([2, 2]));
            assert_eq!(error.unwrap_err().to_string(), told);
        }
    }
}
