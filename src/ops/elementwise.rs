//! What elementwise ops share: broadcasting, constants; and fill.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, overlaps};
use crate::shape::{Shape, Type};
use crate::tensor::Array;

use super::{Cut, expect_inputs};

// Parameters and builder.

/// A float value with one number in every element.
#[derive(Debug, Clone, PartialEq)]
pub struct Fill {
    /// Extents.
    pub shape: Shape,
    /// The number.
    pub value: f32,
}

/// # Constants of any shape
impl Graph {
    /// A float value with `value` in every element.
    pub fn fill(&mut self, shape: impl Into<Shape>, value: f32) -> Result<Value> {
        let shape = shape.into();
        self.apply1(Fill { shape, value }, &[])
    }
}

// Shape rule.

impl Op for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 0)?;
        Ok(vec![Type::f32(self.shape.clone())])
    }

    // Reference.

    fn eval(&self, _: &[&Array]) -> Vec<Array> {
        let y = vec![f64::from(self.value); self.shape.count()];
        vec![Array::float(self.shape.clone(), y)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        lower_fill(Cut::output(io, 0), self.value, out);
        Ok(())
    }
}

/// Emits `value` in every element of an `f32` operand.
pub(super) fn lower_fill(y: Cut, value: f32, out: &mut Lowering) {
    for (part, rows) in y.parts.iter().enumerate() {
        let quads = (rows.rows * y.row()).div_ceil(4);
        out.push(
            Dispatch::new(&FILL, FILL_VARIANTS[0])
                .write(y.operand)
                .part(part)
                .param("quads", quads)
                .param_f32("value", value)
                .workgroups(quads.div_ceil(WORKGROUP)),
        );
    }
}

/// Invocations of an elementwise kernel's workgroup.
pub(super) const WORKGROUP: usize = 64;

/// The overrides that choose function number `NUMBER` of an elementwise kernel.
pub(super) const fn function<const NUMBER: u32>() -> Overrides {
    const { &[("function", NUMBER), ("workgroup_size", 64)] }
}

/// Appends a function's constants.
pub(super) fn constants(dispatch: Dispatch, constants: [f32; 3]) -> Dispatch {
    let names = ["k0", "k1", "k2"].into_iter().zip(constants);
    names.fold(dispatch, |dispatch, (name, k)| dispatch.param_f32(name, k))
}

/// The shape that all of `inputs` broadcast to.
pub(super) fn broadcast(op: &str, inputs: &[&Type]) -> Result<Shape> {
    let mut shape = Shape::default();
    for input in inputs {
        shape = shape.broadcast(&input.shape).ok_or_else(|| {
            let shapes: Vec<String> = inputs.iter().map(|ty| ty.shape.to_string()).collect();
            Error::shape(format!("{op}: {} do not broadcast", shapes.join(" and ")))
        })?;
    }
    Ok(shape)
}

/// Strides of `shape` seen as `target`, 0 along axes that stretch.
pub(super) fn broadcast_strides(shape: &Shape, target: &Shape) -> Vec<usize> {
    let own = shape.strides();
    let missing = target.len() - shape.len();
    (0..target.len())
        .map(|axis| match axis.checked_sub(missing) {
            Some(own_axis) if shape[own_axis] == target[axis] => own[own_axis],
            _ => 0,
        })
        .collect()
}

/// f of the elements of each of `inputs` that meet at each place of `shape`.
pub(super) fn map_broadcast<const N: usize>(
    inputs: [&Array; N],
    shape: &Shape,
    f: impl Fn([f64; N]) -> f64,
) -> Array {
    let operand = inputs.map(|input| broadcast_strides(input.shape(), shape));
    let strides = shape.strides();
    let y = (0..shape.count()).map(|i| {
        let mut at = [0; N];
        for axis in 0..shape.len() {
            let index = i / strides[axis] % shape[axis];
            for (at, strides) in at.iter_mut().zip(&operand) {
                *at += index * strides[axis];
            }
        }
        f(std::array::from_fn(|n| inputs[n].floats()[at[n]]))
    });
    Array::float(shape.clone(), y.collect())
}

/// The gradient of a broadcast operand: `dy` summed over the axes along which it stretched.
pub(super) fn unbroadcast(g: &mut Graph, dy: Value, shape: &Shape) -> Result<Value> {
    let from = g.shape(dy)?.clone();
    if &from == shape {
        return Ok(dy);
    }
    let missing = from.len() - shape.len();
    let axes: Vec<usize> = (0..from.len())
        .filter(|&axis| axis < missing || shape[axis - missing] != from[axis])
        .collect();
    let summed = g.sum(dy, &axes, false)?;
    g.reshape(summed, shape.clone())
}

/// An axis of a broadcast output with each operand's stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    extent: usize,
    strides: [usize; 3],
}

/// The output's axes, neighbours merged where all strides allow. Extents of 1 are dropped, but for the batch's: another batch size
/// gives the same axes.
fn collapse(operands: [Option<&Shape>; 3], y: &Shape) -> Vec<Axis> {
    let strides = operands.map(|shape| match shape {
        Some(shape) => broadcast_strides(shape, y),
        None => vec![0; y.len()],
    });
    let mut axes: Vec<Axis> = Vec::new();
    for axis in (0..y.len()).filter(|&axis| axis == 0 || y[axis] != 1) {
        let inner = Axis {
            extent: y[axis],
            strides: [0, 1, 2].map(|operand| strides[operand][axis]),
        };
        match axes.last_mut() {
            Some(outer) if outer.strides == inner.strides.map(|s| s * inner.extent) => {
                outer.extent *= inner.extent;
                outer.strides = inner.strides;
            }
            _ => axes.push(inner),
        }
    }
    axes
}

/// Forms of an elementwise kernel with broadcasting.
pub(super) struct Forms {
    /// Quads along the last of three axes.
    pub quads: &'static Kernel,
    /// Elements of six axes.
    pub elements: &'static Kernel,
}

/// Emits the dispatches of an elementwise op with broadcasting, which reads its inputs, input 0 last and only
/// where its output does not take its place.
pub(super) fn lower_broadcast(
    op: &str,
    forms: &Forms,
    overrides: Overrides,
    k: [f32; 3],
    io: &Io,
    out: &mut Lowering,
) -> Result<()> {
    let y = &io.outputs[0].shape;
    let shapes = [0, 1, 2].map(|i| io.inputs.get(i).map(|ty| &ty.shape));
    let mut axes = collapse(shapes, y);
    let wide = match &axes[..] {
        [] | [_] => true,
        [.., last] => axes.len() <= 3 && last.extent.is_multiple_of(4),
    };
    let (kernel, names, width) = match wide {
        true => (forms.quads, &AXES[..3], 4),
        false => (forms.elements, &AXES[..], 1),
    };
    if axes.len() > names.len() {
        let shapes: Vec<String> = io.inputs.iter().map(|ty| ty.shape.to_string()).collect();
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "{op}: broadcasting {} alternates over {} axes, 6 are supported",
                shapes.join(" with "),
                axes.len()
            ),
        ));
    }
    // Axis 0 of the output is part of the outermost axis; operands that have it are cut as it is. The others are no larger than a row of the
    // output, which one binding holds.
    let rows_of_y = y.rows();
    let cut = |i: usize| {
        let shape = &io.inputs[i].shape;
        shape.len() == y.len() && shape.rows() == rows_of_y
    };
    let inputs: Vec<usize> = (1..io.inputs.len()).chain([0]).collect();
    let mut parts = vec![&io.output_parts[0][..]];
    parts.extend(
        inputs
            .iter()
            .filter(|&&i| cut(i))
            .map(|&i| &io.input_parts[i][..]),
    );
    let missing = names.len() - axes.len();
    for _ in 0..missing {
        axes.insert(
            0,
            Axis {
                extent: 1,
                strides: [0; 3],
            },
        );
    }
    // The axis that grows with the rows, and the last one.
    let (outer, last) = (missing.min(axes.len() - 1), axes.len() - 1);
    for rows in overlaps(&parts) {
        let mut places = rows.part.iter().zip(&rows.first);
        let (y_part, y_first) = places
            .next()
            .map_or((0, 0), |(&part, &first)| (part, first));
        let mut dispatch = Dispatch::new(kernel, overrides);
        let mut bases = [0; 3];
        for &i in &inputs {
            let (part, first) = match cut(i) {
                true => places
                    .next()
                    .map_or((0, 0), |(&part, &first)| (part, first)),
                false => (0, 0),
            };
            bases[i] = first * io.inputs[i].row();
            if io.in_place[0] != Some(i) {
                dispatch = dispatch.read(Operand::Input(i)).part(part);
            }
        }
        let mut axes = axes.clone();
        axes[outer].extent = axes[outer].extent / rows_of_y * rows.count;
        axes[last].extent = axes[last].extent.div_ceil(width);
        axes[last].strides = axes[last].strides.map(|stride| stride * width);
        let count = axes.iter().map(|axis| axis.extent).product();
        dispatch = dispatch
            .write(Operand::Output(0))
            .part(y_part)
            .param("count", count)
            .param("y_base", y_first * io.outputs[0].row())
            .param("a_base", bases[0])
            .param("b_base", bases[1])
            .param("c_base", bases[2]);
        for (names, axis) in names.iter().zip(&axes) {
            dispatch = dispatch.param(names[0], axis.extent);
        }
        for operand in 0..3 {
            for (names, axis) in names.iter().zip(&axes) {
                dispatch = dispatch.param(names[1 + operand], axis.strides[operand]);
            }
        }
        out.push(constants(dispatch, k).workgroups(count.div_ceil(WORKGROUP)));
    }
    Ok(())
}

/// Names of each axis' extent and strides.
const AXES: [[&str; 4]; 6] = [
    ["extent0", "a0", "b0", "c0"],
    ["extent1", "a1", "b1", "c1"],
    ["extent2", "a2", "b2", "c2"],
    ["extent3", "a3", "b3", "c3"],
    ["extent4", "a4", "b4", "c4"],
    ["extent5", "a5", "b5", "c5"],
];

const FILL_VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static FILL: Kernel = Kernel::new("fill", shader_files!["fill", "lib/grid"], FILL_VARIANTS);

pub(super) const KERNELS: &[&Kernel] = &[&FILL];
