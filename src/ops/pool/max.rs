//! Max pooling with indices. Its gradient is in `max_grad`.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::graph::{EvalSplit, Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Lowering, Operand, Rows, looped, overlaps};
use crate::lowering::pieces::{Pieces, groups, join_params, joined, nested};
use crate::ops::expect_inputs;
use crate::shape::{DType, PerAxis, Type};
use crate::tensor::Array;

use super::max_grad::MaxPoolGrad;
use super::max_kernels::{WindowForm, max_pool, max_pool_join};
use super::windows::{PoolNumbers, Tap, Windows};
use super::{VARIANTS, WORKGROUP, gathers};

// Parameters and builder.

/// Windows of a max pooling, outermost axis first, as PyTorch's `MaxPool1d`, `MaxPool2d` and
/// `MaxPool3d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool<const D: usize> {
    /// Taps of the window.
    pub kernel: [usize; D],
    /// Step between windows.
    pub stride: [usize; D],
    /// Elements of -inf added on each side, at most half the kernel.
    pub padding: [usize; D],
    /// Step between the taps of one window.
    pub dilation: [usize; D],
    /// Whether the number of windows is rounded up, so that the last may reach beyond the padding.
    pub ceil_mode: bool,
}

/// Max pooling over `[n, c, length]`.
pub type MaxPool1d = MaxPool<1>;
/// Max pooling over `[n, c, height, width]`.
pub type MaxPool2d = MaxPool<2>;
/// Max pooling over `[n, c, depth, height, width]`.
pub type MaxPool3d = MaxPool<3>;

impl<const D: usize> MaxPool<D> {
    /// Windows of one extent along all axes or of one along each, side by side: stride as the
    /// kernel, no padding.
    ///
    /// ```
    /// use striate::nn::MaxPool2d;
    ///
    /// assert_eq!(MaxPool2d::new(2), MaxPool2d::new([2, 2]));
    /// let overlapping = MaxPool2d::new(3).stride(2).padding(1);
    /// assert_eq!(overlapping.stride, [2, 2]);
    /// ```
    pub fn new(kernel: impl Into<PerAxis<D>>) -> Self {
        let PerAxis(kernel) = kernel.into();
        Self {
            kernel,
            stride: kernel,
            padding: [0; D],
            dilation: [1; D],
            ceil_mode: false,
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

    /// Steps between the taps of a window, along all axes or along each.
    pub fn dilation(mut self, dilation: impl Into<PerAxis<D>>) -> Self {
        self.dilation = dilation.into().0;
        self
    }

    /// Whether the number of windows is rounded up.
    pub fn ceil_mode(mut self, ceil_mode: bool) -> Self {
        self.ceil_mode = ceil_mode;
        self
    }

    /// Where the windows lie.
    pub fn windows(&self) -> Windows {
        Windows::strided(
            self.kernel,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
        )
    }
}

/// How a max pooling tells where each element lay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indices {
    /// Not at all.
    None,
    /// By its place in the window, `u8` (d * span_h + h) * span_w + w, counted in elements from the
    /// window's first: a span is dilation * (kernel - 1) + 1. For windows that span at most 256
    /// elements, and a multiple of 4 windows in each image: words hold 4 bytes, and no image ends
    /// inside a word.
    Window,
    /// By its place in the plane, `u32` (d * height + h) * width + w: PyTorch's `return_indices`.
    Plane,
}

/// The largest element of each window of x `[n, c, ...]`, and where it lies.
///
/// Output 0 is y `[n, c, ...]`; output 1, unless `indices` is `None`, the index of each element.
/// The first of equal elements wins; NaN wins over all, the last NaN over others, as in PyTorch. A
/// window of nothing but padding, which dilation permits, is -inf and has the index 2^32 - 1, or 0
/// in bytes: no element's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPoolForward {
    /// The windows.
    pub windows: Windows,
    /// What output 1 holds.
    pub indices: Indices,
}

/// # Max pooling
impl Graph {
    /// The largest element of each window of x: `[n, c, length]`, `[n, c, height, width]` or `[n,
    /// c, depth, height, width]`.
    pub fn max_pool<const D: usize>(&mut self, x: Value, pool: MaxPool<D>) -> Result<Value> {
        self.batched1(x, 2 + D, |g, x| {
            Ok(g.max_pool_for_gradient(x, pool.windows())?.0)
        })
    }

    /// As [`Graph::max_pool`], with the `u32` index (d * height + h) * width + w of each element in
    /// its plane.
    pub fn max_pool_with_indices<const D: usize>(
        &mut self,
        x: Value,
        pool: MaxPool<D>,
    ) -> Result<(Value, Value)> {
        let outputs = self.batched(x, 2 + D, |g, x| {
            Ok(g.max_pool_by(x, pool.windows(), Indices::Plane)?.into())
        })?;
        Ok(outputs.into())
    }

    /// With the smallest indices from which the gradient can be made.
    pub(super) fn max_pool_for_gradient(
        &mut self,
        x: Value,
        windows: Windows,
    ) -> Result<(Value, Value)> {
        let op = windows.name(NAMES);
        let y = windows.infer(op, self.operand(op, x)?)?;
        let indices = match check_window_indices(&windows, &y) {
            Ok(()) => Indices::Window,
            Err(_) => Indices::Plane,
        };
        self.max_pool_by(x, windows, indices)
    }

    pub(super) fn max_pool_by(
        &mut self,
        x: Value,
        windows: Windows,
        indices: Indices,
    ) -> Result<(Value, Value)> {
        let outputs = self.apply(MaxPoolForward { windows, indices }, &[x])?;
        Ok((outputs[0], outputs[1]))
    }
}

const NAMES: [&str; 3] = ["max_pool1d", "max_pool2d", "max_pool3d"];
const ADAPTIVE_NAMES: [&str; 3] = [
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
];

// Shape rule.

/// Fails where bytes cannot be the indices of a max pooling with output y.
pub(super) fn check_window_indices(windows: &Windows, y: &Type) -> Result<()> {
    let name = windows.name(NAMES);
    let spans = windows.spans();
    let places = spans.iter().fold(1usize, |n, &span| n.saturating_mul(span));
    if windows.is_adaptive() || places > 256 {
        return Err(Error::shape(format!(
            "{name}: places of windows that span {spans:?} do not fit in a byte"
        )));
    }
    if !y.row().is_multiple_of(4) {
        return Err(Error::shape(format!(
            "{name}: indices in bytes need a multiple of 4 windows per image, y {} has {}",
            y.shape,
            y.row()
        )));
    }
    Ok(())
}

impl Op for MaxPoolForward {
    fn name(&self) -> &'static str {
        match self.windows.is_adaptive() {
            true => self.windows.name(ADAPTIVE_NAMES),
            false => self.windows.name(NAMES),
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let y = self.windows.infer(self.name(), inputs[0])?;
        Ok(match self.indices {
            Indices::None => vec![y],
            Indices::Window => {
                check_window_indices(&self.windows, &y)?;
                vec![y.clone(), Type::u8(y.shape)]
            }
            Indices::Plane => vec![y.clone(), Type::u32(y.shape)],
        })
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let shape = output_shape(self, inputs);
        let windows = Planes::new(&self.windows, inputs[0].ty(), &shape);
        let (mut y, mut offsets, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for plane in inputs[0].floats().chunks_exact(windows.input) {
            for taps in &windows.taps {
                let mut best: Option<(f64, Tap)> = None;
                for &tap in taps {
                    let value = plane[tap.place];
                    if best.is_none_or(|(max, _)| value > max || value.is_nan()) {
                        best = Some((value, tap));
                    }
                }
                y.push(best.map_or(f64::NEG_INFINITY, |(max, _)| max));
                offsets.push(best.map_or(0, |(_, tap)| tap.offset as u8));
                places.push(best.map_or(u32::MAX, |(_, tap)| tap.place as u32));
            }
        }
        let y = Array::float(shape.shape.clone(), y);
        match self.indices {
            Indices::None => vec![y],
            Indices::Window => vec![y, Array::u8(shape.shape, offsets)],
            Indices::Plane => vec![y, Array::u32(shape.shape, places)],
        }
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let input = self.windows.extents(g.ty(at.inputs[0])?);
        let index = match self.indices {
            Indices::None => g.max_pool_for_gradient(at.inputs[0], self.windows)?.1,
            Indices::Window | Indices::Plane => at.outputs[1],
        };
        let windows = self.windows;
        let grad = MaxPoolGrad { windows, input };
        Ok(vec![Some(g.apply1(grad, &[dy[0], index])?)])
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0])
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let (input, output) = (self.windows.extents(x), self.windows.extents(y));
        let mut parts = vec![&io.input_parts[0][..], &io.output_parts[0]];
        // Bytes are cut at other rows than floats.
        parts.extend(io.output_parts.get(1).map(|parts| &parts[..]));
        for rows in overlaps(&parts) {
            let numbers = PoolNumbers {
                count: rows.count * y.row(),
                x_base: rows.first[0] * x.row(),
                y_base: rows.first[1] * y.row(),
                index_base: rows.first.get(2).map_or(0, |row| row * y.row()),
                indices: self.indices,
                ..PoolNumbers::default()
            };
            let form = match self.windows.are_pairs(input, output) {
                true => WindowForm::of_pairs(input[2], &numbers, caps),
                false => WindowForm::Any,
            };
            let most = self.windows.most_elements(input);
            let turns = looped(4, nested(&most, 0));
            // Around the gather of a piece stands the loop over outputs, of which there is one.
            let [depth, height, width] = most;
            let around = [1, depth, height, width];
            if let Some(pieces) = Pieces::new(&around, 0, numbers.count, turns, caps) {
                self.lower_pieces([input, output], &rows, &numbers, &pieces, out);
                continue;
            }
            let kernel = Cow::Owned(max_pool(form, self.indices));
            let mut dispatch = Dispatch::of(kernel, form.variant(&self.windows))
                .read(Operand::Input(0))
                .part(rows.part[0])
                .write(Operand::Output(0))
                .part(rows.part[1]);
            if self.indices != Indices::None {
                dispatch = dispatch.write(Operand::Output(1)).part(rows.part[2]);
            }
            let workgroups = numbers.count.div_ceil(4).div_ceil(WORKGROUP);
            let dispatch = self.windows.params(dispatch, input, output, &numbers);
            out.push(dispatch.turns(turns).workgroups(workgroups));
        }
        Ok(())
    }
}

impl MaxPoolForward {
    /// Emits long windows in pieces: the largest element of each with its index, then the largest
    /// of these.
    fn lower_pieces(
        &self,
        extents: [[usize; 3]; 2],
        rows: &Rows,
        numbers: &PoolNumbers,
        pieces: &Pieces,
        out: &mut Lowering,
    ) {
        let values = pieces.scratch(out, Type::f32);
        let places = pieces.scratch(out, Type::u32);
        let stages = pieces.stages();
        for outputs in pieces.slices(numbers.count) {
            let kernel = Cow::Owned(max_pool(WindowForm::Any, Indices::Plane));
            let dispatch = Dispatch::of(kernel, gathers(&self.windows, true))
                .read(Operand::Input(0))
                .part(rows.part[0])
                .write(values[0])
                .write(places[0]);
            let into_scratch = PoolNumbers {
                y_base: 0,
                index_base: 0,
                ..*numbers
            };
            let windows = (pieces, outputs);
            out.push((self.windows).gather(dispatch, extents, &into_scratch, windows));
            for (stage, &parts) in stages.iter().enumerate() {
                let last = stage + 1 == stages.len();
                let indices = if last { self.indices } else { Indices::Plane };
                let kernel = max_pool_join(indices);
                let dispatch = Dispatch::of(Cow::Owned(kernel), VARIANTS[0])
                    .read(values[stage])
                    .read(places[stage]);
                let dispatch = match (last, indices) {
                    (false, _) => dispatch.write(values[stage + 1]).write(places[stage + 1]),
                    (true, Indices::None) => dispatch.write(Operand::Output(0)).part(rows.part[1]),
                    (true, _) => dispatch
                        .write(Operand::Output(0))
                        .part(rows.part[1])
                        .write(Operand::Output(1))
                        .part(rows.part[2]),
                };
                let bases = match last {
                    true => [numbers.y_base, numbers.index_base].map(|base| base + outputs[0]),
                    false => [0; 2],
                };
                let none = if indices == Indices::Window {
                    0
                } else {
                    u32::MAX
                };
                let dispatch = dispatch
                    .param("y_base", bases[0])
                    .param("index_base", bases[1])
                    .param_f32("lowest", f32::NEG_INFINITY)
                    .param("none", none as usize);
                let dispatch = join_params(dispatch, groups(parts), outputs[1], parts);
                let results = (groups(parts) * outputs[1]).div_ceil(4);
                let workgroups = results.div_ceil(WORKGROUP);
                out.push(dispatch.turns(looped(4, joined())).workgroups(workgroups));
            }
        }
    }
}

/// Type of output 0 of an op whose shape rule accepted these inputs.
pub(super) fn output_shape(op: &impl Op, inputs: &[&Array]) -> Type {
    let types: Vec<&Type> = inputs.iter().map(|array| array.ty()).collect();
    op.infer(&types)
        .expect("infer accepted the inputs")
        .remove(0)
}

/// The windows of each plane, for the reference.
pub(super) struct Planes {
    /// Elements of a plane of x.
    input: usize,
    /// What each window of a plane reads.
    taps: Vec<Vec<Tap>>,
}

impl Planes {
    pub(super) fn new(windows: &Windows, x: &Type, y: &Type) -> Self {
        let (input, output) = (windows.extents(x), windows.extents(y));
        Self {
            input: input.iter().product(),
            taps: windows.taps(input, output),
        }
    }

    /// The element of x that the index of window o of all planes names.
    pub(super) fn named(&self, index: &Array, o: usize) -> Option<usize> {
        let (plane, window) = (o / self.taps.len(), o % self.taps.len());
        let is_it = |tap: &&Tap| match index.ty().dtype {
            DType::U8 => tap.offset == usize::from(index.u8s()[o]),
            _ => tap.place == index.u32s()[o] as usize,
        };
        let tap = self.taps[window].iter().find(is_it)?;
        Some(plane * self.input + tap.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::ops::{AvgPool2d, MaxPool1d};

    #[test]
    fn errors_carry_the_numbers() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([1, 2, 4, 4])).unwrap();
        let flat = g.input("flat", Type::f32([4, 4])).unwrap();
        let none = g.input("none", Type::f32([1, 2, 0, 4])).unwrap();
        let wide = MaxPool2d {
            padding: [2, 0],
            ..MaxPool::new(3)
        };
        let message = |r: Result<Value>| {
            let error = r.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shape);
            error.to_string()
        };
        assert_eq!(
            message(g.max_pool(x, wide)),
            "max_pool2d: padding [2, 0] is more than half the kernel [3, 3]"
        );
        assert_eq!(
            message(g.max_pool(flat, MaxPool2d::new(2))),
            "max_pool2d: x [4, 4] is not [batch, channels, height, width] with at least one element"
        );
        assert_eq!(
            message(g.max_pool(x, MaxPool1d::new(2))),
            "max_pool1d: x [1, 2, 4, 4] is not [batch, channels, length] with at least one element"
        );
        let window = |kernel| MaxPoolForward {
            windows: MaxPool2d::new(kernel).windows(),
            indices: Indices::Window,
        };
        assert_eq!(
            message(g.apply1(window(3), &[x])),
            "max_pool2d: indices in bytes need a multiple of 4 windows per image, y [1, 2, 1, 1] \
             has 2"
        );
        let large = g.input("large", Type::f32([1, 4, 17, 17])).unwrap();
        assert_eq!(
            message(g.apply1(window(17), &[large])),
            "max_pool2d: places of windows that span [1, 17, 17] do not fit in a byte"
        );
        assert!(message(g.avg_pool(none, AvgPool2d::new(1))).contains("at least one element"));
        assert!(message(g.avg_pool(x, AvgPool2d::new(5))).contains("does not fit height 4"));
        assert!(message(g.max_pool(x, MaxPool2d::new(0))).contains("must be at least 1"));
    }
}
