//! Elementwise kernels over operands that broadcast.

use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Dispatch, Io, Kernel, Lowering, Operand, Overrides, overlaps};
use crate::shape::Shape;

/// Invocations of an elementwise kernel's workgroup.
pub(crate) const WORKGROUP: usize = 64;

/// The overrides that choose function number `NUMBER` of an elementwise kernel.
pub(crate) const fn function<const NUMBER: u32>() -> Overrides {
    const { &[("function", NUMBER), ("workgroup_size", 64)] }
}

/// Appends a function's constants.
pub(crate) fn constants(dispatch: Dispatch, constants: [f32; 3]) -> Dispatch {
    let names = ["k0", "k1", "k2"].into_iter().zip(constants);
    names.fold(dispatch, |dispatch, (name, k)| dispatch.param_f32(name, k))
}

/// Strides of `shape` seen as `target`, 0 along axes that stretch.
pub(crate) fn broadcast_strides(shape: &Shape, target: &Shape) -> Vec<usize> {
    let own = shape.strides();
    let missing = target.len() - shape.len();
    (0..target.len())
        .map(|axis| match axis.checked_sub(missing) {
            Some(own_axis) if shape[own_axis] == target[axis] => own[own_axis],
            _ => 0,
        })
        .collect()
}

/// An axis of a broadcast output with each operand's stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BroadcastAxis {
    extent: usize,
    strides: [usize; 3],
}

/// The output's axes, neighbours merged where all strides allow. Extents of 1 are dropped, but for
/// the batch's: another batch size gives the same axes.
fn collapse(operands: [Option<&Shape>; 3], y: &Shape) -> Vec<BroadcastAxis> {
    let strides = operands.map(|shape| match shape {
        Some(shape) => broadcast_strides(shape, y),
        None => vec![0; y.len()],
    });
    let mut axes: Vec<BroadcastAxis> = Vec::new();
    for axis in (0..y.len()).filter(|&axis| axis == 0 || y[axis] != 1) {
        let inner = BroadcastAxis {
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
pub(crate) struct Forms {
    /// Quads along the last of three axes.
    pub quads: &'static Kernel,
    /// Elements of six axes.
    pub elements: &'static Kernel,
}

/// Emits the dispatches of an elementwise op with broadcasting, which reads its inputs, input 0
/// last and only where its output does not take its place.
pub(crate) fn lower_broadcast(
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
    // Axis 0 of the output is part of the outermost axis; operands that have it are cut as it is.
    // The others are no larger than a row of the output, which one binding holds.
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
            BroadcastAxis {
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
