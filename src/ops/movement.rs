//! Ops that move elements without changing them: reshape, flatten, permute, expand.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides};
use crate::shape::{DType, Shape, Type};
use crate::tensor::Array;

use super::elementwise::broadcast_strides;
use super::expect_inputs;

// Parameters and builder.

/// The same elements under another shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reshape {
    /// The new extents.
    pub shape: Shape,
}

/// The same elements with the axes in another order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permute {
    /// For each axis of the output, the axis of the input.
    pub axes: Vec<usize>,
}

/// The same elements repeated along new axes and axes of extent 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expand {
    /// The new extents.
    pub shape: Shape,
}

impl Graph {
    /// The same elements under another shape of equal count. Costs nothing.
    pub fn reshape(&mut self, x: Value, shape: impl Into<Shape>) -> Result<Value> {
        let shape = shape.into();
        if self.shape(x)? == &shape {
            return Ok(x);
        }
        self.add1(Reshape { shape }, &[x])
    }

    /// Joins all axes from `start` on into one: `[n, c, h, w]` from axis 1 gives `[n, c * h * w]`.
    pub fn flatten(&mut self, x: Value, start: usize) -> Result<Value> {
        let shape = self.shape(x)?;
        if start >= shape.len() {
            return Err(Error::shape(format!(
                "flatten: {shape} has no axis {start}"
            )));
        }
        let mut flat = shape[..start].to_vec();
        flat.push(shape[start..].iter().product());
        self.reshape(x, flat)
    }

    /// `x` with its axes in the order `axes`: axis i of the result is axis `axes[i]` of `x`, an `f32` or `u32` value.
    /// Costs nothing if only axes of extent 1 move.
    pub fn permute(&mut self, x: Value, axes: &[usize]) -> Result<Value> {
        let op = Permute {
            axes: axes.to_vec(),
        };
        let ty = self.ty(x)?;
        let shape = op.infer(&[ty])?.remove(0).shape;
        let moving = axes.iter().filter(|&&axis| ty.shape[axis] != 1);
        if moving.is_sorted() {
            return self.reshape(x, shape);
        }
        self.add1(op, &[x])
    }

    /// The transpose of a matrix: `[m, n]` to `[n, m]`.
    pub fn transpose(&mut self, x: Value) -> Result<Value> {
        let shape = self.shape(x)?;
        if shape.len() != 2 {
            return Err(Error::shape(format!(
                "transpose: x {shape} must have 2 axes; permute takes any number"
            )));
        }
        self.permute(x, &[1, 0])
    }

    /// `x`, an `f32` or `u32` value, broadcast to `shape`: repeated along new leading axes and along axes where its extent is 1.
    pub fn expand(&mut self, x: Value, shape: impl Into<Shape>) -> Result<Value> {
        let shape = shape.into();
        if self.shape(x)? == &shape {
            return Ok(x);
        }
        self.add1(Expand { shape }, &[x])
    }
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let x = inputs[0];
        let ty = Type::new(x.dtype, self.shape.clone());
        ty.check()?;
        if ty.count() != x.count() {
            return Err(Error::shape(format!(
                "reshape: {} has {} elements, {} has {}",
                x.shape,
                x.count(),
                ty.shape,
                ty.count()
            )));
        }
        Ok(vec![ty])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![inputs[0].reshaped(self.shape.clone())]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let shape = g.shape(at.inputs[0])?.clone();
        Ok(vec![Some(g.reshape(dy[0], shape)?)])
    }

    // Lowering.

    fn view(&self) -> bool {
        true
    }

    fn lower(&self, _: &Io, _: &Caps, _: &mut Lowering) -> Result<()> {
        Ok(())
    }
}

impl Op for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let x = inputs[0];
        expect_words("permute", x)?;
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..x.shape.len()) {
            return Err(Error::shape(format!(
                "permute: axes {:?} do not name each axis of {} once",
                self.axes, x.shape
            )));
        }
        let shape: Vec<usize> = self.axes.iter().map(|&axis| x.shape[axis]).collect();
        Ok(vec![Type::new(x.dtype, shape)])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let shape: Shape = self
            .axes
            .iter()
            .map(|&axis| x.shape()[axis])
            .collect::<Vec<_>>()
            .into();
        let strides_x = x.shape().strides();
        let strides: Vec<usize> = self.axes.iter().map(|&axis| strides_x[axis]).collect();
        vec![strided(x, shape, &strides)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, _: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let mut inverse = vec![0; self.axes.len()];
        for (i, &axis) in self.axes.iter().enumerate() {
            inverse[axis] = i;
        }
        Ok(vec![Some(g.permute(dy[0], &inverse)?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let strides = io.inputs[0].shape.strides();
        let strides: Vec<usize> = self.axes.iter().map(|&axis| strides[axis]).collect();
        lower_strided("permute", io, &strides, out)
    }
}

impl Op for Expand {
    fn name(&self) -> &'static str {
        "expand"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let x = inputs[0];
        expect_words("expand", x)?;
        if x.shape.broadcast(&self.shape).as_ref() != Some(&self.shape) {
            return Err(Error::shape(format!(
                "expand: {} does not broadcast to {}",
                x.shape, self.shape
            )));
        }
        Ok(vec![Type::new(x.dtype, self.shape.clone())])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let strides = broadcast_strides(inputs[0].shape(), &self.shape);
        vec![strided(inputs[0], self.shape.clone(), &strides)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let shape = g.shape(at.inputs[0])?.clone();
        let missing = self.shape.len() - shape.len();
        let repeated: Vec<usize> = (0..self.shape.len())
            .filter(|&axis| axis < missing || shape[axis - missing] != self.shape[axis])
            .collect();
        let sum = g.sum(dy[0], &repeated, false)?;
        Ok(vec![Some(g.reshape(sum, shape)?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let strides = broadcast_strides(&io.inputs[0].shape, &self.shape);
        lower_strided("expand", io, &strides, out)
    }
}

fn expect_words(op: &str, x: &Type) -> Result<()> {
    match x.dtype {
        DType::F32 | DType::U32 => Ok(()),
        _ => Err(Error::shape(format!(
            "{op}: x is {x}, f32 or u32 is needed"
        ))),
    }
}

/// The array of `shape` whose axes have these strides in `x`.
fn strided(x: &Array, shape: Shape, strides: &[usize]) -> Array {
    let own = shape.strides();
    let at = (0..shape.count()).map(|i| {
        (0..shape.len())
            .map(|axis| i / own[axis] % shape[axis] * strides[axis])
            .sum::<usize>()
    });
    match x.ty().dtype {
        DType::U32 => Array::u32(shape.clone(), at.map(|i| x.u32s()[i]).collect()),
        _ => Array::float(shape.clone(), at.map(|i| x.floats()[i]).collect()),
    }
}

/// Emits output 0 of an op as input 0 read with `strides` along the output's axes.
fn lower_strided(op: &str, io: &Io, strides: &[usize], out: &mut Lowering) -> Result<()> {
    io.whole(op)?;
    let (shape, count) = (&io.outputs[0].shape, io.outputs[0].count());
    let axes = merge(shape, strides);
    if axes.len() > 6 {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "{op}: {} to {shape} moves {} runs of axes, 6 are supported",
                io.inputs[0].shape,
                axes.len()
            ),
        ));
    }
    let [last, last_stride] = axes.last().copied().unwrap_or([1, 1]);
    let inner = axes.iter().position(|&[_, stride]| stride == 1);
    let quads = |extent: usize| extent.is_multiple_of(4);
    // The strides of the other axes are multiples of the extent of the axis with stride 1.
    let dispatch = match (last_stride, inner) {
        (1, _) if quads(last) => {
            let axes: Vec<[usize; 2]> = axes
                .iter()
                .map(|&[extent, stride]| match stride {
                    1 => [extent / 4, 1],
                    _ => [extent, stride / 4],
                })
                .collect();
            permute(&PERMUTE_QUADS, count / 4, &axes)
        }
        (2.., Some(inner)) if quads(last) && quads(axes[inner][0]) => {
            permute_blocks(count / 16, &axes, inner)
        }
        _ => permute(&PERMUTE, count, &axes),
    };
    out.push(dispatch);
    Ok(())
}

/// The output's axes as [extent, stride in the input], neighbours that stay neighbours merged, extents of 1 dropped.
fn merge(shape: &Shape, strides: &[usize]) -> Vec<[usize; 2]> {
    let mut axes: Vec<[usize; 2]> = Vec::new();
    for (&extent, &stride) in shape
        .iter()
        .zip(strides)
        .filter(|(extent, _)| **extent != 1)
    {
        match axes.last_mut() {
            Some([outer, outer_stride]) if *outer_stride == extent * stride => {
                *outer *= extent;
                *outer_stride = stride;
            }
            _ => axes.push([extent, stride]),
        }
    }
    axes
}

/// Axis `i` of six, where `axes` are the innermost ones.
fn of_six<const N: usize>(axes: &[[usize; N]], i: usize, none: [usize; N]) -> [usize; N] {
    (i + axes.len())
        .checked_sub(6)
        .map_or(none, |own| axes[own])
}

fn permute(kernel: &'static Kernel, count: usize, axes: &[[usize; 2]]) -> Dispatch {
    let variant = if axes.len() > 4 { 1 } else { 0 };
    let mut dispatch = Dispatch::new(kernel, PERMUTE_VARIANTS[variant])
        .read(Operand::Input(0))
        .write(Operand::Output(0))
        .param("count", count);
    for (i, [extent, stride]) in PERMUTE_AXES.into_iter().enumerate() {
        let axis = of_six(axes, i, [1, 0]);
        dispatch = dispatch.param(extent, axis[0]).param(stride, axis[1]);
    }
    dispatch.workgroups(count.div_ceil(64))
}

/// `inner` is the output axis that is innermost in the input.
fn permute_blocks(count: usize, axes: &[[usize; 2]], inner: usize) -> Dispatch {
    let last = axes.len() - 1;
    let extents: Vec<usize> = axes.iter().map(|axis| axis[0]).collect();
    let strides_y = Shape::from(extents).strides();
    let blocks: Vec<[usize; 3]> = axes
        .iter()
        .enumerate()
        .map(|(i, &[extent, stride])| match i {
            _ if i == inner => [extent / 4, 1, strides_y[i]],
            _ if i == last => [extent / 4, stride, 1],
            _ => [extent, stride / 4, strides_y[i] / 4],
        })
        .collect();
    let mut dispatch = Dispatch::new(&PERMUTE_BLOCKS, PERMUTE_BLOCKS_VARIANTS[0])
        .read(Operand::Input(0))
        .write(Operand::Output(0))
        .param("count", count)
        .param("row_x", axes[last][1] / 4)
        .param("row_y", strides_y[inner] / 4);
    for (i, [extent, stride_x, stride_y]) in PERMUTE_BLOCKS_AXES.into_iter().enumerate() {
        let axis = of_six(&blocks, i, [1, 0, 0]);
        dispatch = dispatch
            .param(extent, axis[0])
            .param(stride_x, axis[1])
            .param(stride_y, axis[2]);
    }
    dispatch.workgroups(count.div_ceil(64))
}

const PERMUTE_AXES: [[&str; 2]; 6] = [
    ["extent0", "stride0"],
    ["extent1", "stride1"],
    ["extent2", "stride2"],
    ["extent3", "stride3"],
    ["extent4", "stride4"],
    ["extent5", "stride5"],
];
const PERMUTE_VARIANTS: &[Overrides] = &[
    &[("axes", 4), ("workgroup_size", 64)],
    &[("axes", 6), ("workgroup_size", 64)],
];
const PERMUTE_BLOCKS_AXES: [[&str; 3]; 6] = [
    ["extent0", "x0", "y0"],
    ["extent1", "x1", "y1"],
    ["extent2", "x2", "y2"],
    ["extent3", "x3", "y3"],
    ["extent4", "x4", "y4"],
    ["extent5", "x5", "y5"],
];
const PERMUTE_BLOCKS_VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static PERMUTE: Kernel = Kernel::new(
    "permute",
    shader_files!["permute", "permute_elements", "lib/grid"],
    PERMUTE_VARIANTS,
);
static PERMUTE_QUADS: Kernel = Kernel::new(
    "permute_quads",
    shader_files!["permute", "permute_quads", "lib/grid"],
    PERMUTE_VARIANTS,
);
static PERMUTE_BLOCKS: Kernel = Kernel::new(
    "permute_blocks",
    shader_files!["permute_blocks", "lib/grid"],
    PERMUTE_BLOCKS_VARIANTS,
);

pub(super) const KERNELS: &[&Kernel] = &[&PERMUTE, &PERMUTE_QUADS, &PERMUTE_BLOCKS];
