//! 2D pooling: max with indices, average, global average.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Split, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, overlaps};
use crate::shape::{DType, Type, Window2d};
use crate::tensor::Array;

use super::{expect_dtype, expect_f32, expect_inputs};

// Parameters and builder.

/// Windows of a max pooling (height, width), as PyTorch's `MaxPool2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool2d {
    /// Extent of the window.
    pub kernel: [usize; 2],
    /// Step between windows.
    pub stride: [usize; 2],
    /// Rows and columns of -inf added on each side, at most half the kernel.
    pub padding: [usize; 2],
}

/// Windows of an average pooling (height, width), as PyTorch's `AvgPool2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvgPool2d {
    /// Extent of the window.
    pub kernel: [usize; 2],
    /// Step between windows.
    pub stride: [usize; 2],
    /// Rows and columns of 0 added on each side, at most half the kernel.
    pub padding: [usize; 2],
    /// Whether the padding counts in the divisor (PyTorch's default).
    pub count_include_pad: bool,
}

impl MaxPool2d {
    /// Square windows side by side: stride as the kernel, no padding.
    pub fn square(kernel: usize) -> Self {
        Self {
            kernel: [kernel; 2],
            stride: [kernel; 2],
            padding: [0; 2],
        }
    }

    fn window(&self) -> Window2d {
        window(self.kernel, self.stride, self.padding)
    }
}

impl AvgPool2d {
    /// Square windows side by side: stride as the kernel, no padding.
    pub fn square(kernel: usize) -> Self {
        Self {
            kernel: [kernel; 2],
            stride: [kernel; 2],
            padding: [0; 2],
            count_include_pad: true,
        }
    }

    fn window(&self) -> Window2d {
        window(self.kernel, self.stride, self.padding)
    }

    /// What the sum of window `[row, column]` of an input of `[height, width]` is divided by.
    fn divisor(&self, out: [usize; 2], input: [usize; 2]) -> f64 {
        let count: usize = (0..2)
            .map(|axis| match self.count_include_pad {
                true => self.kernel[axis],
                false => (0..self.kernel[axis])
                    .filter(|&tap| {
                        let at = self.window().input(axis, out[axis], tap, input[axis]);
                        at.is_some()
                    })
                    .count(),
            })
            .product();
        count as f64
    }
}

fn window(kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Window2d {
    Window2d {
        kernel,
        stride,
        before: padding,
        after: padding,
        dilation: [1; 2],
    }
}

/// How a max pooling tells where each element lay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indices {
    /// Not at all.
    None,
    /// By its place in the window, `u8` tap_h * kernel width + tap_w. For windows of at most 256 places, and a multiple of 4
    /// windows in each image: words hold 4 bytes, and no image ends inside a word.
    Window,
    /// By its place in the plane, `u32` h * width + w: PyTorch's `return_indices`.
    Plane,
}

/// The largest element of each window of x `[n, c, h, w]`, and where it lies.
///
/// Output 0 is y `[n, c, out_h, out_w]`; output 1, unless `indices` is `None`, the index of each element. The first of equal
/// elements wins; NaN wins over all, the last NaN over others, as in PyTorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool2dForward {
    /// The windows.
    pub pool: MaxPool2d,
    /// What output 1 holds.
    pub indices: Indices,
}

/// dx `[n, c, h, w]` of a max pooling from dy and the indices (of either dtype): each dy goes to the element that its index names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool2dGrad {
    /// The windows.
    pub pool: MaxPool2d,
    /// Height and width of dx.
    pub input: [usize; 2],
}

/// dx `[n, c, h, w]` of an average pooling from dy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvgPool2dGrad {
    /// The windows.
    pub pool: AvgPool2d,
    /// Height and width of dx.
    pub input: [usize; 2],
}

impl Graph {
    /// The largest element of each window of x `[n, c, h, w]`.
    pub fn max_pool2d(&mut self, x: Value, pool: MaxPool2d) -> Result<Value> {
        Ok(self.max_pool2d_for_gradient(x, pool)?.0)
    }

    /// As [`Graph::max_pool2d`], with the `u32` index h * width + w of each element in its plane.
    pub fn max_pool2d_with_indices(&mut self, x: Value, pool: MaxPool2d) -> Result<(Value, Value)> {
        self.max_pool2d_with(x, pool, Indices::Plane)
    }

    /// With the smallest indices from which the gradient can be made.
    fn max_pool2d_for_gradient(&mut self, x: Value, pool: MaxPool2d) -> Result<(Value, Value)> {
        let y = infer_pool("max_pool2d", &pool.window(), self.ty(x)?)?;
        let indices = match check_window_indices(&pool, &y) {
            Ok(()) => Indices::Window,
            Err(_) => Indices::Plane,
        };
        self.max_pool2d_with(x, pool, indices)
    }

    fn max_pool2d_with(
        &mut self,
        x: Value,
        pool: MaxPool2d,
        indices: Indices,
    ) -> Result<(Value, Value)> {
        let outputs = self.add(MaxPool2dForward { pool, indices }, &[x])?;
        Ok((outputs[0], outputs[1]))
    }

    /// The mean of each window of x `[n, c, h, w]`.
    pub fn avg_pool2d(&mut self, x: Value, pool: AvgPool2d) -> Result<Value> {
        self.add1(pool, &[x])
    }

    /// The mean of each plane of x `[n, c, h, w]`: `[n, c, 1, 1]`.
    pub fn global_avg_pool2d(&mut self, x: Value) -> Result<Value> {
        let ty = self.ty(x)?;
        expect_image("global_avg_pool2d", "x", ty)?;
        self.mean(x, &[2, 3], true)
    }
}

// Shape rule.

/// `[n, c, h, w]` of an `f32` image batch with at least one pixel.
fn expect_image(op: &str, operand: &str, ty: &Type) -> Result<[usize; 4]> {
    expect_f32(op, operand, ty)?;
    match ty.shape[..] {
        [n, c, h, w] if h > 0 && w > 0 => Ok([n, c, h, w]),
        _ => Err(Error::shape(format!(
            "{op}: {operand} {} is not [batch, channels, height, width] with at least one pixel",
            ty.shape
        ))),
    }
}

/// Type of the pooled image.
fn infer_pool(op: &str, window: &Window2d, x: &Type) -> Result<Type> {
    let [n, c, h, w] = expect_image(op, "x", x)?;
    for axis in 0..2 {
        if window.before[axis] > window.kernel[axis] / 2 {
            return Err(Error::shape(format!(
                "{op}: padding {:?} is more than half the kernel {:?}",
                window.before, window.kernel
            )));
        }
    }
    let [out_h, out_w] = window.output([h, w], op)?;
    Ok(Type::f32([n, c, out_h, out_w]))
}

/// Type of dx, checked to pool to dy.
fn infer_grad(op: &str, window: &Window2d, input: [usize; 2], dy: &Type) -> Result<Type> {
    let [n, c, _, _] = expect_image(op, "dy", dy)?;
    let dx = Type::f32([n, c, input[0], input[1]]);
    let pooled = infer_pool(op, window, &dx)?;
    if dy != &pooled {
        return Err(Error::shape(format!(
            "{op}: dy {}, an input {} pools to {}",
            dy.shape, dx.shape, pooled.shape
        )));
    }
    Ok(dx)
}

/// Fails where bytes cannot be the indices of a max pooling with output y.
fn check_window_indices(pool: &MaxPool2d, y: &Type) -> Result<()> {
    let [height, width] = pool.kernel;
    let per_image = row_count(y);
    if height.saturating_mul(width) > 256 {
        return Err(Error::shape(format!(
            "max_pool2d: places of a window {height} x {width} do not fit in a byte"
        )));
    }
    if !per_image.is_multiple_of(4) {
        return Err(Error::shape(format!(
            "max_pool2d: indices in bytes need a multiple of 4 windows per image, y {} has {per_image}",
            y.shape
        )));
    }
    Ok(())
}

/// `[n, c, h, w]` of a shape that a shape rule accepted.
fn image(ty: &Type) -> [usize; 4] {
    [ty.shape[0], ty.shape[1], ty.shape[2], ty.shape[3]]
}

fn no_second(op: &str) -> Error {
    Error::new(
        ErrorKind::NotDifferentiable,
        format!("{op}: has no gradient of its own"),
    )
}

impl Op for MaxPool2dForward {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let y = infer_pool(self.name(), &self.pool.window(), inputs[0])?;
        Ok(match self.indices {
            Indices::None => vec![y],
            Indices::Window => {
                check_window_indices(&self.pool, &y)?;
                vec![y.clone(), Type::u8(y.shape)]
            }
            Indices::Plane => vec![y.clone(), Type::u32(y.shape)],
        })
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let ty = &self.infer(&[inputs[0].ty()]).expect("infer accepted x")[0];
        let [_, _, h, w] = image(inputs[0].ty());
        let [n, c, out_h, out_w] = image(ty);
        let window = self.pool.window();
        let (mut y, mut taps, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for plane in inputs[0].floats().chunks_exact(h * w).take(n * c) {
            for row in 0..out_h {
                for column in 0..out_w {
                    let mut best = None;
                    for tap_h in 0..window.kernel[0] {
                        for tap_w in 0..window.kernel[1] {
                            let at_h = window.input(0, row, tap_h, h);
                            let at_w = window.input(1, column, tap_w, w);
                            let (Some(at_h), Some(at_w)) = (at_h, at_w) else {
                                continue;
                            };
                            let value = plane[at_h * w + at_w];
                            if best.is_none_or(|(max, _, _)| value > max || value.is_nan()) {
                                let tap = tap_h * window.kernel[1] + tap_w;
                                best = Some((value, tap, at_h * w + at_w));
                            }
                        }
                    }
                    let (max, tap, place) = best.expect("padding is at most half the kernel");
                    y.push(max);
                    taps.push(tap as u8);
                    places.push(place as u32);
                }
            }
        }
        let y = Array::float(ty.shape.clone(), y);
        match self.indices {
            Indices::None => vec![y],
            Indices::Window => vec![y, Array::u8(ty.shape.clone(), taps)],
            Indices::Plane => vec![y, Array::u32(ty.shape.clone(), places)],
        }
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let [_, _, h, w] = image(g.ty(at.inputs[0])?);
        let index = match self.indices {
            Indices::None => g.max_pool2d_for_gradient(at.inputs[0], self.pool)?.1,
            Indices::Window | Indices::Plane => at.outputs[1],
        };
        let grad = MaxPool2dGrad {
            pool: self.pool,
            input: [h, w],
        };
        Ok(vec![Some(g.add1(grad, &[dy[0], index])?)])
    }

    // Lowering.

    fn split(&self) -> Split {
        Split::Rows(&[0])
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        let window = self.pool.window();
        let mut parts = vec![&io.input_parts[0][..], &io.output_parts[0]];
        // Bytes are cut at other rows than floats.
        parts.extend(io.output_parts.get(1).map(|parts| &parts[..]));
        for rows in overlaps(&parts) {
            let count = rows.count * row_count(y);
            let x_base = rows.first[0] * row_count(x);
            let y_base = rows.first[1] * row_count(y);
            let index_base = rows.first.get(2).map_or(0, |row| row * row_count(y));
            let form = match pairs(&window) {
                true => Form::of_pairs(image(x)[3], x_base, [y_base, index_base]),
                false => Form::Any,
            };
            let kernel = max_pool2d(form, self.indices);
            let mut dispatch = Dispatch::of(Cow::Owned(kernel), VARIANTS[0])
                .read(Operand::Input(0))
                .part(rows.part[0])
                .write(Operand::Output(0))
                .part(rows.part[1]);
            if self.indices != Indices::None {
                dispatch = dispatch.write(Operand::Output(1)).part(rows.part[2]);
            }
            dispatch = dispatch
                .param("count", count)
                .param("x_base", x_base)
                .param("y_base", y_base);
            dispatch = indexed(dispatch, &window, self.indices, index_base, x, y);
            if form == Form::Any {
                dispatch = taps(dispatch, &window);
            }
            out.push(dispatch.workgroups(count.div_ceil(4).div_ceil(WORKGROUP)));
        }
        Ok(())
    }
}

impl Op for MaxPool2dGrad {
    fn name(&self) -> &'static str {
        "max_pool2d_grad"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        let (dy, index) = (inputs[0], inputs[1]);
        let dx = infer_grad(self.name(), &self.pool.window(), self.input, dy)?;
        match index.dtype {
            DType::U8 => check_window_indices(&self.pool, dy)?,
            _ => expect_dtype(self.name(), "index", index, DType::U32)?,
        }
        if index.shape != dy.shape {
            return Err(Error::shape(format!(
                "{}: index {}, dy {}",
                self.name(),
                index.shape,
                dy.shape
            )));
        }
        Ok(vec![dx])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let [n, c, out_h, out_w] = image(inputs[0].ty());
        let [h, w] = self.input;
        let window = self.pool.window();
        let mut dx = vec![0.0; n * c * h * w];
        for (i, dy) in inputs[0].floats().iter().enumerate() {
            let (row, column) = (i / out_w % out_h, i % out_w);
            let named = |tap: usize, place: usize| match inputs[1].ty().dtype {
                DType::U8 => tap == usize::from(inputs[1].u8s()[i]),
                _ => place == inputs[1].u32s()[i] as usize,
            };
            for tap_h in 0..window.kernel[0] {
                for tap_w in 0..window.kernel[1] {
                    let at_h = window.input(0, row, tap_h, h);
                    let at_w = window.input(1, column, tap_w, w);
                    if let (Some(at_h), Some(at_w)) = (at_h, at_w)
                        && named(tap_h * window.kernel[1] + tap_w, at_h * w + at_w)
                    {
                        dx[i / (out_h * out_w) * h * w + at_h * w + at_w] += dy;
                    }
                }
            }
        }
        vec![Array::float([n, c, h, w], dx)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_second(self.name()))
    }

    // Lowering.

    fn split(&self) -> Split {
        Split::Rows(&[0, 1])
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (dy, index, dx) = (&io.inputs[0], &io.inputs[1], &io.outputs[0]);
        let [_, _, out_h, out_w] = image(dy);
        let window = self.pool.window();
        let indices = match index.dtype {
            DType::U8 => Indices::Window,
            _ => Indices::Plane,
        };
        // Windows side by side that leave nothing over: an invocation fills four of them.
        let tiled = pairs(&window) && self.input == [2 * out_h, 2 * out_w];
        for rows in overlaps(&[&io.input_parts[0], &io.input_parts[1], &io.output_parts[0]]) {
            let y_base = rows.first[0] * row_count(dy);
            let index_base = rows.first[1] * row_count(dy);
            let x_base = rows.first[2] * row_count(dx);
            let form = match tiled {
                true => Form::of_pairs(self.input[1], x_base, [y_base, index_base]),
                false => Form::Any,
            };
            let count = match form {
                Form::Any => rows.count * row_count(dx),
                Form::Pairs | Form::Quads => rows.count * row_count(dy),
            };
            let kernel = max_pool2d_grad(form, indices);
            let dispatch = Dispatch::of(Cow::Owned(kernel), VARIANTS[0])
                .read(Operand::Input(0))
                .part(rows.part[0])
                .read(Operand::Input(1))
                .part(rows.part[1])
                .write(Operand::Output(0))
                .part(rows.part[2])
                .param("count", count)
                .param("x_base", x_base)
                .param("y_base", y_base);
            let dispatch = indexed(dispatch, &window, indices, index_base, dx, dy);
            out.push(match form {
                Form::Any => taps(dispatch, &window).workgroups(count.div_ceil(WORKGROUP)),
                Form::Pairs | Form::Quads => {
                    dispatch.workgroups(count.div_ceil(4).div_ceil(WORKGROUP))
                }
            });
        }
        Ok(())
    }
}

impl Op for AvgPool2d {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        Ok(vec![infer_pool(self.name(), &self.window(), inputs[0])?])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let ty = &self.infer(&[inputs[0].ty()]).expect("infer accepted x")[0];
        let [_, _, h, w] = image(inputs[0].ty());
        let [n, c, out_h, out_w] = image(ty);
        let window = self.window();
        let mut y = Vec::new();
        for plane in inputs[0].floats().chunks_exact(h * w).take(n * c) {
            for row in 0..out_h {
                for column in 0..out_w {
                    let mut sum = 0.0;
                    for tap_h in 0..window.kernel[0] {
                        for tap_w in 0..window.kernel[1] {
                            let at_h = window.input(0, row, tap_h, h);
                            let at_w = window.input(1, column, tap_w, w);
                            if let (Some(at_h), Some(at_w)) = (at_h, at_w) {
                                sum += plane[at_h * w + at_w];
                            }
                        }
                    }
                    y.push(sum / self.divisor([row, column], [h, w]));
                }
            }
        }
        vec![Array::float(ty.shape.clone(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let [_, _, h, w] = image(g.ty(at.inputs[0])?);
        let grad = AvgPool2dGrad {
            pool: *self,
            input: [h, w],
        };
        Ok(vec![Some(g.add1(grad, &[dy[0]])?)])
    }

    // Lowering.

    fn split(&self) -> Split {
        Split::Rows(&[0])
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (&io.inputs[0], &io.outputs[0]);
        for rows in overlaps(&[&io.input_parts[0], &io.output_parts[0]]) {
            let count = rows.count * row_count(y);
            let dispatch = Dispatch::new(&AVG_POOL2D, VARIANTS[0])
                .read(Operand::Input(0))
                .part(rows.part[0])
                .write(Operand::Output(0))
                .part(rows.part[1])
                .param("count", count)
                .param("x_base", rows.first[0] * row_count(x))
                .param("y_base", rows.first[1] * row_count(y));
            out.push(averages(dispatch, self, x, y).workgroups(count.div_ceil(WORKGROUP)));
        }
        Ok(())
    }
}

impl Op for AvgPool2dGrad {
    fn name(&self) -> &'static str {
        "avg_pool2d_grad"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let window = self.pool.window();
        let dx = infer_grad(self.name(), &window, self.input, inputs[0])?;
        Ok(vec![dx])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let [n, c, out_h, out_w] = image(inputs[0].ty());
        let [h, w] = self.input;
        let window = self.pool.window();
        let mut dx = vec![0.0; n * c * h * w];
        for (i, dy) in inputs[0].floats().iter().enumerate() {
            let (row, column) = (i / out_w % out_h, i % out_w);
            let share = dy / self.pool.divisor([row, column], [h, w]);
            for tap_h in 0..window.kernel[0] {
                for tap_w in 0..window.kernel[1] {
                    let at_h = window.input(0, row, tap_h, h);
                    let at_w = window.input(1, column, tap_w, w);
                    if let (Some(at_h), Some(at_w)) = (at_h, at_w) {
                        dx[i / (out_h * out_w) * h * w + at_h * w + at_w] += share;
                    }
                }
            }
        }
        vec![Array::float([n, c, h, w], dx)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, _: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![Some(g.avg_pool2d(dy[0], self.pool)?)])
    }

    // Lowering.

    fn split(&self) -> Split {
        Split::Rows(&[0])
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (dy, dx) = (&io.inputs[0], &io.outputs[0]);
        for rows in overlaps(&[&io.input_parts[0], &io.output_parts[0]]) {
            let count = rows.count * row_count(dx);
            let dispatch = Dispatch::new(&AVG_POOL2D_GRAD, VARIANTS[0])
                .read(Operand::Input(0))
                .part(rows.part[0])
                .write(Operand::Output(0))
                .part(rows.part[1])
                .param("count", count)
                .param("x_base", rows.first[1] * row_count(dx))
                .param("y_base", rows.first[0] * row_count(dy));
            out.push(averages(dispatch, &self.pool, dx, dy).workgroups(count.div_ceil(WORKGROUP)));
        }
        Ok(())
    }
}

const WORKGROUP: usize = 64;

/// Whether the windows are 2 x 2, side by side.
fn pairs(window: &Window2d) -> bool {
    window.kernel == [2; 2] && window.stride == [2; 2] && window.before == [0; 2]
}

/// How the windows of a max pooling lie in x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Anyhow.
    Any,
    /// 2 x 2 side by side, in rows of aligned pairs of elements.
    Pairs,
    /// 2 x 2 side by side, in rows of aligned quads of elements.
    Quads,
}

impl Form {
    /// Form of 2 x 2 windows side by side, four of which are loaded and stored at once.
    fn of_pairs(width: usize, x_base: usize, y_bases: [usize; 2]) -> Self {
        let aligned = |to: usize| width.is_multiple_of(to) && x_base.is_multiple_of(to);
        match y_bases.iter().all(|base| base.is_multiple_of(4)) {
            true if aligned(4) => Form::Quads,
            true if aligned(2) => Form::Pairs,
            _ => Form::Any,
        }
    }
}

/// Elements in one row of axis 0.
fn row_count(ty: &Type) -> usize {
    ty.shape[1..].iter().product()
}

fn taps(dispatch: Dispatch, window: &Window2d) -> Dispatch {
    // A stride beyond any extent makes one window, whatever it is.
    let stride = window.stride.map(|stride| stride.min(1 << 31));
    dispatch
        .param("kernel_height", window.kernel[0])
        .param("kernel_width", window.kernel[1])
        .param("stride_height", stride[0])
        .param("stride_width", stride[1])
        .param("pad_height", window.before[0])
        .param("pad_width", window.before[1])
}

/// Appends what the max kernels know of indices and extents. An index is `index_corner` * (place of the window's first element in
/// its plane) + `index_pitch` * tap_h + tap_w.
fn indexed(
    dispatch: Dispatch,
    window: &Window2d,
    indices: Indices,
    index_base: usize,
    x: &Type,
    y: &Type,
) -> Dispatch {
    let ([_, _, h, w], [_, _, out_h, out_w]) = (image(x), image(y));
    let (corner, pitch) = match indices {
        Indices::None | Indices::Window => (0, window.kernel[1]),
        Indices::Plane => (1, w),
    };
    dispatch
        .param("index_base", index_base)
        .param("index_corner", corner)
        .param("index_pitch", pitch)
        .param("height", h)
        .param("width", w)
        .param("out_height", out_h)
        .param("out_width", out_w)
}

fn averages(dispatch: Dispatch, pool: &AvgPool2d, x: &Type, y: &Type) -> Dispatch {
    let ([_, _, h, w], [_, _, out_h, out_w]) = (image(x), image(y));
    let dispatch = dispatch
        .param("height", h)
        .param("width", w)
        .param("out_height", out_h)
        .param("out_width", out_w);
    taps(dispatch, &pool.window()).param("include_pad", pool.count_include_pad.into())
}

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

fn max_pool2d(form: Form, indices: Indices) -> Kernel {
    let [
        any,
        two,
        pairs,
        quads,
        values,
        window,
        plane,
        place,
        grid,
        float,
    ] = *shader_files![
        "max_pool2d",
        "max_pool2d_2x2",
        "max_pool2d_pairs",
        "max_pool2d_quads",
        "max_pool2d_values",
        "max_pool2d_window",
        "max_pool2d_plane",
        "max_pool2d_place",
        "lib/grid",
        "lib/float"
    ];
    let (form_name, mut files) = match form {
        Form::Any => ("", vec![any]),
        Form::Pairs => ("_pairs", vec![two, pairs]),
        Form::Quads => ("_quads", vec![two, quads]),
    };
    let (store_name, store) = match indices {
        Indices::None => ("", values),
        Indices::Window => ("_window", window),
        Indices::Plane => ("_plane", plane),
    };
    files.extend([store, place, grid, float]);
    Kernel::composed(
        format!("max_pool2d{form_name}{store_name}"),
        files,
        VARIANTS,
    )
}

fn max_pool2d_grad(form: Form, indices: Indices) -> Kernel {
    let [any, two, pairs, quads, window, plane, place, grid] = *shader_files![
        "max_pool2d_grad",
        "max_pool2d_2x2_grad",
        "max_pool2d_grad_pairs",
        "max_pool2d_grad_quads",
        "index_window",
        "index_plane",
        "max_pool2d_place",
        "lib/grid"
    ];
    let (form_name, mut files) = match form {
        Form::Any => ("", vec![any]),
        Form::Pairs => ("_pairs", vec![two, pairs, place]),
        Form::Quads => ("_quads", vec![two, quads, place]),
    };
    let (index_name, index) = match indices {
        Indices::None | Indices::Window => ("_window", window),
        Indices::Plane => ("_plane", plane),
    };
    files.extend([index, grid]);
    Kernel::composed(
        format!("max_pool2d_grad{form_name}{index_name}"),
        files,
        VARIANTS,
    )
}

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut all = Vec::new();
    for form in [Form::Any, Form::Pairs, Form::Quads] {
        let stores = [Indices::None, Indices::Window, Indices::Plane];
        all.extend(stores.map(|indices| max_pool2d(form, indices)));
        let read = [Indices::Window, Indices::Plane];
        all.extend(read.map(|indices| max_pool2d_grad(form, indices)));
    }
    all
}

static AVG_POOL2D: Kernel = Kernel::new(
    "avg_pool2d",
    shader_files!["avg_pool2d", "lib/grid"],
    VARIANTS,
);
static AVG_POOL2D_GRAD: Kernel = Kernel::new(
    "avg_pool2d_grad",
    shader_files!["avg_pool2d_grad", "lib/grid"],
    VARIANTS,
);

pub(super) const KERNELS: &[&Kernel] = &[&AVG_POOL2D, &AVG_POOL2D_GRAD];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_carry_the_numbers() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([1, 2, 4, 4])).unwrap();
        let flat = g.input("flat", Type::f32([4, 4])).unwrap();
        let none = g.input("none", Type::f32([1, 2, 0, 4])).unwrap();
        let wide = MaxPool2d {
            padding: [2, 0],
            ..MaxPool2d::square(3)
        };
        let message = |r: Result<Value>| {
            let error = r.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shape);
            error.to_string()
        };
        assert_eq!(
            message(g.max_pool2d(x, wide)),
            "max_pool2d: padding [2, 0] is more than half the kernel [3, 3]"
        );
        assert_eq!(
            message(g.max_pool2d(flat, MaxPool2d::square(2))),
            "max_pool2d: x [4, 4] is not [batch, channels, height, width] with at least one pixel"
        );
        let window = MaxPool2dForward {
            pool: MaxPool2d::square(3),
            indices: Indices::Window,
        };
        assert_eq!(
            message(g.add1(window, &[x])),
            "max_pool2d: indices in bytes need a multiple of 4 windows per image, y [1, 2, 1, 1] has 2"
        );
        let large = g.input("large", Type::f32([1, 4, 17, 17])).unwrap();
        let window = MaxPool2dForward {
            pool: MaxPool2d::square(17),
            ..window
        };
        assert_eq!(
            message(g.add1(window, &[large])),
            "max_pool2d: places of a window 17 x 17 do not fit in a byte"
        );
        assert!(message(g.avg_pool2d(none, AvgPool2d::square(1))).contains("at least one pixel"));
        assert!(message(g.avg_pool2d(x, AvgPool2d::square(5))).contains("does not fit height 4"));
        assert!(message(g.max_pool2d(x, MaxPool2d::square(0))).contains("must be at least 1"));
    }
}
