//! Padding of any axes: by a constant, or by the elements themselves.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Overrides, Rows, overlaps, source};
use crate::shape::{PaddingMode, Shape, Type};
use crate::tensor::Array;

use crate::lowering::Cut;
use crate::lowering::fill::lower_fill;
use crate::lowering::pieces::{Pieces, nested};
use crate::lowering::strided::{Axis, Side, lower_strided};
use crate::ops::{expect_f32, expect_inputs, expect_type};

// Parameters and builder.

/// Elements added before and after each axis, or taken away where the number is negative.
#[derive(Debug, Clone, PartialEq)]
pub struct Pad {
    /// Before and after each axis, outermost first. Only `Zeros` takes negative numbers.
    pub padding: Vec<[isize; 2]>,
    /// What is added.
    pub mode: PaddingMode,
    /// What `Zeros` adds.
    pub value: f32,
}

/// The gradient of a [`Pad`] that repeats elements: each element of dx is the sum of dy over the
/// places where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct PadGrad {
    /// The padding.
    pub pad: Pad,
    /// Extents of dx.
    pub input: Shape,
}

/// # Padding
impl Graph {
    /// `x` padded along its last axes, innermost first as in PyTorch: `[left, right, top, bottom,
    /// front, back]`. With `Zeros`, any number of axes, and negative numbers crop; the other modes
    /// take paddings below (reflect) or up to (circular) the extent.
    pub fn pad(&mut self, x: Value, padding: &[isize], mode: PaddingMode) -> Result<Value> {
        self.pad_with(x, padding, mode, 0.0)
    }

    /// [`Graph::pad`] with `value` instead of zeros.
    pub fn pad_constant(&mut self, x: Value, padding: &[isize], value: f32) -> Result<Value> {
        self.pad_with(x, padding, PaddingMode::Zeros, value)
    }

    fn pad_with(
        &mut self,
        x: Value,
        padding: &[isize],
        mode: PaddingMode,
        value: f32,
    ) -> Result<Value> {
        let shape = &self.operand("pad", x)?.shape;
        let rank = shape.len();
        if !padding.len().is_multiple_of(2) || padding.len() / 2 > rank {
            return Err(Error::shape(format!(
                "pad: {} numbers {padding:?} are not two for each of the last axes of {shape}",
                padding.len()
            )));
        }
        let mut all = vec![[0; 2]; rank];
        for (i, pair) in padding.chunks_exact(2).enumerate() {
            all[rank - 1 - i] = [pair[0], pair[1]];
        }
        let pad = Pad {
            padding: all,
            mode,
            value,
        };
        self.apply1(pad, &[x])
    }
}

// Shape rule.

impl Pad {
    /// The padded shape.
    fn output(&self, op: &str, x: &Shape) -> Result<Shape> {
        if self.padding.len() != x.len() {
            return Err(Error::shape(format!(
                "{op}: {} pairs of padding for {x}",
                self.padding.len()
            )));
        }
        let padded = x.iter().zip(&self.padding).enumerate();
        let padded = padded.map(|(axis, (&extent, &[before, after]))| {
            let error = || {
                Error::shape(format!(
                    "{op}: padding {before} and {after} of axis {axis} of {x} takes away more \
                     than there is, or is 2^31 or more"
                ))
            };
            if before.unsigned_abs() >= 1 << 31 || after.unsigned_abs() >= 1 << 31 {
                return Err(error());
            }
            if self.mode != PaddingMode::Zeros {
                let [Ok(before), Ok(after)] = [before, after].map(usize::try_from) else {
                    return Err(Error::shape(format!(
                        "{op}: {:?} padding {before} and {after} of axis {axis} of {x} is \
                         negative; only Zeros crops",
                        self.mode
                    )));
                };
                let name = format!("axis {axis}");
                self.mode.check([before, after], extent, op, &name)?;
            }
            let kept = extent as i128 + before.min(0) as i128 + after.min(0) as i128;
            let padded = kept + before.max(0) as i128 + after.max(0) as i128;
            match kept {
                0.. => Ok(padded as usize),
                _ => Err(error()),
            }
        });
        Ok(padded.collect::<Result<Vec<_>>>()?.into())
    }

    /// For each element of y, outermost axis first, the element of x that stands there.
    fn sources<'a>(
        &'a self,
        x: &'a Shape,
        y: &'a Shape,
    ) -> impl Iterator<Item = Option<usize>> + 'a {
        let strides = y.strides();
        (0..y.count()).map(move |i| {
            (0..y.len()).try_fold(0, |at, axis| {
                let place = (i / strides[axis] % y[axis]) as isize - self.padding[axis][0];
                let from = self.mode.source(place, x[axis])?;
                Some(at * x[axis] + from)
            })
        })
    }
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), "x", inputs[0])?;
        Ok(vec![Type::f32(self.output(self.name(), &inputs[0].shape)?)])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let shape = self
            .output(self.name(), x.shape())
            .expect("infer accepted x");
        let value = f64::from(self.value);
        let from = self.sources(x.shape(), &shape);
        let y = from.map(|from| from.map_or(value, |at| x.floats()[at]));
        vec![Array::float(shape.clone(), y.collect())]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let dx = match self.mode {
            PaddingMode::Zeros => {
                let padding = self.padding.iter();
                let pad = Pad {
                    padding: padding.map(|[before, after]| [-before, -after]).collect(),
                    mode: self.mode,
                    value: 0.0,
                };
                g.apply1(pad, &[dy[0]])?
            }
            _ => {
                let grad = PadGrad {
                    pad: self.clone(),
                    input: g.shape(at.inputs[0])?.clone(),
                };
                g.apply1(grad, &[dy[0]])?
            }
        };
        Ok(vec![Some(dx)])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (Cut::input(io, 0), Cut::output(io, 0));
        if self.mode != PaddingMode::Zeros {
            return self.lower_repeating(io, false, [x, y], caps, out);
        }
        if self.padding.iter().flatten().any(|&added| added > 0) {
            lower_fill(y, self.value, out);
        }
        let (strides_x, strides_y) = (x.shape.strides(), y.shape.strides());
        let cropped = |axis: usize, end: usize| self.padding[axis][end].min(0).unsigned_abs();
        let axes = (0..x.shape.len()).map(|axis| Axis {
            extent: x.shape[axis] - cropped(axis, 0) - cropped(axis, 1),
            x: strides_x[axis] as isize,
            y: strides_y[axis] as isize,
        });
        let axes: Vec<Axis> = axes.collect();
        if axes.iter().any(|axis| axis.extent == 0) {
            return Ok(());
        }
        let starts = |start: &dyn Fn(usize) -> usize, strides: &[usize]| -> usize {
            (0..strides.len())
                .map(|axis| start(axis) * strides[axis])
                .sum()
        };
        let added = |axis: usize| self.padding[axis][0].max(0) as usize;
        let rows = (!axes.is_empty()).then_some(0);
        let from = Side {
            cut: x,
            base: starts(&|axis| cropped(axis, 0), &strides_x),
            rows,
        };
        let to = Side {
            cut: y,
            base: starts(&added, &strides_y),
            rows,
        };
        lower_strided(self.name(), from, to, &axes, out)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.padding.first() != Some(&[0, 0])
    }
}

impl Op for PadGrad {
    fn name(&self) -> &'static str {
        "pad_grad"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let padded = Type::f32(self.pad.output(self.name(), &self.input)?);
        expect_type(self.name(), "dy", inputs[0], &padded)?;
        if self.pad.mode == PaddingMode::Zeros {
            return Err(Error::shape(
                "pad_grad: the gradient of Zeros is a pad of dy by the negative padding",
            ));
        }
        Ok(vec![Type::f32(self.input.clone())])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let dy = inputs[0];
        let mut dx = vec![0.0; self.input.count()];
        let from = self.pad.sources(&self.input, dy.shape());
        for (from, dy) in from.zip(dy.floats()) {
            if let Some(at) = from {
                dx[at] += dy;
            }
        }
        vec![Array::float(self.input.clone(), dx)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, _: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![Some(g.apply1(self.pad.clone(), &[dy[0]])?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (dy, dx) = (Cut::input(io, 0), Cut::output(io, 0));
        self.pad.lower_repeating(io, true, [dx, dy], caps, out)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.pad.padding.first() != Some(&[0, 0])
    }
}

impl Pad {
    /// Emits kernels that make y from x or, with `back`, dx from dy, given in the order of x and y.
    fn lower_repeating(
        &self,
        io: &Io,
        back: bool,
        [x, y]: [Cut; 2],
        caps: &Caps,
        out: &mut Lowering,
    ) -> Result<()> {
        let op = if back { "pad_grad" } else { "pad" };
        let rows_stay = self
            .padding
            .first()
            .is_none_or(|&padding| padding == [0; 2]);
        if !rows_stay {
            io.whole(op)?;
        }
        let runs = match rows_stay {
            true => overlaps(&[x.parts, y.parts]),
            false => vec![Rows {
                count: x.shape.rows(),
                part: vec![0; 2],
                first: vec![0; 2],
            }],
        };
        for rows in runs {
            let extents = |shape: &Shape, first: usize| {
                let mut extents = shape.to_vec();
                if let (true, Some(rows)) = (rows_stay, extents.first_mut()) {
                    *rows = first;
                }
                extents
            };
            let axes = self.merged(&extents(x.shape, rows.count), &extents(y.shape, rows.count));
            if axes.len() > 4 {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "{op}: {:?} padding of {} to {} alternates over {} runs of axes, 4 are \
                         supported",
                        self.mode,
                        x.shape,
                        y.shape,
                        axes.len()
                    ),
                ));
            }
            let bases = [rows.first[0] * x.row(), rows.first[1] * y.row()];
            let params = |dispatch: Dispatch, count: usize, [x_base, y_base]: [usize; 2]| {
                let dispatch = dispatch
                    .param("count", count)
                    .param("x_base", x_base)
                    .param("y_base", y_base)
                    .workgroups(count.div_ceil(WORKGROUP));
                self.axis_params(dispatch, &axes)
            };
            let [x_count, y_count] =
                [0, 1].map(|side| axes.iter().map(|axis| axis[side]).product::<usize>());
            if !back {
                let dispatch = Dispatch::new(&PAD, VARIANTS[0])
                    .read(x.operand)
                    .part(rows.part[0])
                    .write(y.operand)
                    .part(rows.part[1]);
                let dispatch = params(dispatch, y_count, bases);
                out.push(Pieces::WHOLE.params(dispatch, [0, y_count]));
                continue;
            }
            let mut most = [1; 4];
            for (most, axis) in most[4 - axes.len()..].iter_mut().zip(&axes) {
                *most = self.most_places(*axis);
            }
            let turns = nested(&most, 0);
            let dispatch = |cut: bool| {
                Dispatch::new(&PAD_GRAD, CUT_VARIANTS[usize::from(cut)])
                    .read(y.operand)
                    .part(rows.part[1])
            };
            let Some(pieces) = Pieces::new(&most, 0, x_count, turns, caps) else {
                let whole = dispatch(false).write(x.operand).part(rows.part[0]);
                let whole = params(whole, x_count, bases);
                out.push(Pieces::WHOLE.params(whole, [0, x_count]).turns(turns));
                continue;
            };
            let to = (x.operand, rows.part[0], bases[0]);
            pieces.lower_sums(x_count, to, out, |scratch, outputs| {
                let partial = dispatch(true).write(scratch);
                let partial = params(partial, pieces.count() * outputs[1], [0, bases[1]]);
                pieces.gather(partial, outputs)
            });
        }
        Ok(())
    }

    /// The most places at which an element of x stands along an axis, given as [`Pad::merged`]
    /// does.
    fn most_places(&self, [extent, padded, _]: [usize; 3]) -> usize {
        match self.mode {
            PaddingMode::Replicate => padded - extent + 1,
            _ => 3.min(padded),
        }
    }

    /// Appends the mode and the fields of all axes.
    fn axis_params(&self, dispatch: Dispatch, axes: &[[usize; 3]]) -> Dispatch {
        let mut dispatch = dispatch.param("mode", self.mode.number());
        for (i, names) in AXES.into_iter().enumerate() {
            let own = (i + axes.len()).checked_sub(AXES.len());
            let axis = own.map_or([1, 1, 0], |own| axes[own]);
            for (name, value) in names.into_iter().zip(axis) {
                dispatch = dispatch.param(name, value);
            }
        }
        dispatch
    }

    /// The axes as [extent of x, extent of y, added before], neighbours that are not padded as one.
    fn merged(&self, x: &[usize], y: &[usize]) -> Vec<[usize; 3]> {
        let mut axes: Vec<[usize; 3]> = Vec::new();
        for axis in 0..x.len() {
            let before = self.padding[axis][0].max(0) as usize;
            let padded = self.padding[axis] != [0; 2];
            match axes.last_mut() {
                _ if !padded && x[axis] == 1 => {}
                Some([outer, outer_y, 0]) if !padded && outer == outer_y => {
                    *outer *= x[axis];
                    *outer_y *= x[axis];
                }
                _ => axes.push([x[axis], y[axis], before]),
            }
        }
        axes
    }
}

const WORKGROUP: usize = 64;
const AXES: [[&str; 3]; 4] = [
    ["x0", "y0", "before0"],
    ["x1", "y1", "before1"],
    ["x2", "y2", "before2"],
    ["x3", "y3", "before3"],
];
const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];
/// Sums that an invocation takes whole, and in pieces.
const CUT_VARIANTS: &[Overrides] = &[
    &[("cut", 0), ("workgroup_size", 64)],
    &[("cut", 1), ("workgroup_size", 64)],
];

static PAD: Kernel = Kernel::new(
    "pad",
    &[
        source!("movement/pad"),
        source!("movement/pad_params"),
        source!("lib/pad"),
    ],
    VARIANTS,
);
static PAD_GRAD: Kernel = Kernel::new(
    "pad_grad",
    &[
        source!("movement/pad_grad"),
        source!("movement/pad_params"),
        source!("lib/pad"),
        source!("lib/pieces"),
    ],
    CUT_VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&PAD, &PAD_GRAD];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_carry_the_numbers() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([2, 6])).unwrap();
        let mut message = |padding: &[isize], mode| {
            let error = g.pad(x, padding, mode).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shape);
            error.to_string()
        };
        assert_eq!(
            message(&[1], PaddingMode::Zeros),
            "pad: 1 numbers [1] are not two for each of the last axes of [2, 6]"
        );
        assert_eq!(
            message(&[-4, -3], PaddingMode::Zeros),
            "pad: padding -4 and -3 of axis 1 of [2, 6] takes away more than there is, or is 2^31 \
             or more"
        );
        assert_eq!(
            message(&[-1, 0], PaddingMode::Reflect),
            "pad: Reflect padding -1 and 0 of axis 1 of [2, 6] is negative; only Zeros crops"
        );
        assert_eq!(
            message(&[0, 7], PaddingMode::Circular),
            "pad: Circular padding 0 and 7 of axis 1 6 must be at most the extent"
        );
        assert!(message(&[isize::MIN, isize::MAX], PaddingMode::Zeros).contains("2^31"));
        assert!(message(&[1 << 30, 1 << 30], PaddingMode::Zeros).contains("2^31 elements"));
    }
}
