//! 2D pooling: max with indices, average, global average.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Split, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, Part};
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

/// The largest element of each window of x `[n, c, h, w]`, and where it lies.
///
/// Output 0 is y `[n, c, out_h, out_w]`; output 1, with `with_indices`, the `u32` index h * width + w of the element in its
/// plane. The first of equal elements wins; NaN wins over all, the last NaN over others, as in PyTorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool2dForward {
    /// The windows.
    pub pool: MaxPool2d,
    /// Whether there is an output 1.
    pub with_indices: bool,
}

/// dx `[n, c, h, w]` of a max pooling from dy and the indices: each dy goes to the element that its index names.
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
        Ok(self.max_pool2d_with_indices(x, pool)?.0)
    }

    /// As [`Graph::max_pool2d`], with the `u32` index h * width + w of each element in its plane.
    pub fn max_pool2d_with_indices(&mut self, x: Value, pool: MaxPool2d) -> Result<(Value, Value)> {
        let op = MaxPool2dForward {
            pool,
            with_indices: true,
        };
        let outputs = self.add(op, &[x])?;
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
        Ok(match self.with_indices {
            true => vec![y.clone(), Type::u32(y.shape)],
            false => vec![y],
        })
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let ty = &self.infer(&[inputs[0].ty()]).expect("infer accepted x")[0];
        let [_, _, h, w] = image(inputs[0].ty());
        let [n, c, out_h, out_w] = image(ty);
        let window = self.pool.window();
        let (mut y, mut index) = (Vec::new(), Vec::new());
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
                            if best.is_none_or(|(max, _)| value > max || value.is_nan()) {
                                best = Some((value, at_h * w + at_w));
                            }
                        }
                    }
                    let (max, at) = best.expect("padding is at most half the kernel");
                    y.push(max);
                    index.push(at as u32);
                }
            }
        }
        let y = Array::float(ty.shape.clone(), y);
        match self.with_indices {
            true => vec![y, Array::u32(ty.shape.clone(), index)],
            false => vec![y],
        }
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let [_, _, h, w] = image(g.ty(at.inputs[0])?);
        let index = match self.with_indices {
            true => at.outputs[1],
            false => g.max_pool2d_with_indices(at.inputs[0], self.pool)?.1,
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
        let [_, _, h, w] = image(&io.inputs[0]);
        let y = &io.outputs[0];
        let [_, _, out_h, out_w] = image(y);
        let window = self.pool.window();
        for both in overlaps(&io.input_parts[0], &io.output_parts[0]) {
            let count = both.rows * row_count(y);
            let x_base = both.a_row * row_count(&io.inputs[0]);
            let y_base = both.b_row * row_count(y);
            let quads = pairs(&window)
                && w.is_multiple_of(2)
                && y_base.is_multiple_of(4)
                && x_base.is_multiple_of(2);
            let kernel = match (quads, self.with_indices) {
                (true, true) => &MAX_POOL2D_2X2_INDICES,
                (true, false) => &MAX_POOL2D_2X2,
                (false, true) => &MAX_POOL2D_INDICES,
                (false, false) => &MAX_POOL2D,
            };
            let mut dispatch = Dispatch::new(kernel, VARIANTS[0])
                .read(Operand::Input(0))
                .part(both.a)
                .write(Operand::Output(0))
                .part(both.b);
            if self.with_indices {
                dispatch = dispatch.write(Operand::Output(1)).part(both.b);
            }
            dispatch = dispatch
                .param("count", count)
                .param("x_base", x_base)
                .param("y_base", y_base)
                .param("height", h)
                .param("width", w)
                .param("out_height", out_h)
                .param("out_width", out_w);
            out.push(match quads {
                true => dispatch.workgroups(count.div_ceil(4).div_ceil(WORKGROUP)),
                false => taps(dispatch, &window).workgroups(count.div_ceil(WORKGROUP)),
            });
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
        expect_dtype(self.name(), "index", index, DType::U32)?;
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
        let dy = inputs[0].floats().iter().zip(inputs[1].u32s());
        for (i, (dy, &index)) in dy.enumerate() {
            let (row, column) = (i / out_w % out_h, i % out_w);
            for tap_h in 0..window.kernel[0] {
                for tap_w in 0..window.kernel[1] {
                    let at_h = window.input(0, row, tap_h, h);
                    let at_w = window.input(1, column, tap_w, w);
                    if let (Some(at_h), Some(at_w)) = (at_h, at_w)
                        && at_h * w + at_w == index as usize
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
        let (dy, dx) = (&io.inputs[0], &io.outputs[0]);
        let [h, w] = self.input;
        let [_, _, out_h, out_w] = image(dy);
        let window = self.pool.window();
        for both in overlaps(&io.input_parts[0], &io.output_parts[0]) {
            let y_base = both.a_row * row_count(dy);
            let x_base = both.b_row * row_count(dx);
            // Windows side by side that leave nothing over: an invocation owns four windows.
            let quads = pairs(&window)
                && [h, w] == [2 * out_h, 2 * out_w]
                && y_base.is_multiple_of(4)
                && x_base.is_multiple_of(2);
            let (kernel, count) = match quads {
                true => (&MAX_POOL2D_2X2_GRAD, both.rows * row_count(dy)),
                false => (&MAX_POOL2D_GRAD, both.rows * row_count(dx)),
            };
            let dispatch = Dispatch::new(kernel, VARIANTS[0])
                .read(Operand::Input(0))
                .part(both.a)
                .read(Operand::Input(1))
                .part(both.a)
                .write(Operand::Output(0))
                .part(both.b)
                .param("count", count)
                .param("x_base", x_base)
                .param("y_base", y_base)
                .param("height", h)
                .param("width", w)
                .param("out_height", out_h)
                .param("out_width", out_w);
            out.push(match quads {
                true => dispatch.workgroups(count.div_ceil(4).div_ceil(WORKGROUP)),
                false => taps(dispatch, &window).workgroups(count.div_ceil(WORKGROUP)),
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
        for both in overlaps(&io.input_parts[0], &io.output_parts[0]) {
            let count = both.rows * row_count(y);
            let dispatch = Dispatch::new(&AVG_POOL2D, VARIANTS[0])
                .read(Operand::Input(0))
                .part(both.a)
                .write(Operand::Output(0))
                .part(both.b)
                .param("count", count)
                .param("x_base", both.a_row * row_count(x))
                .param("y_base", both.b_row * row_count(y));
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
        for both in overlaps(&io.input_parts[0], &io.output_parts[0]) {
            let count = both.rows * row_count(dx);
            let dispatch = Dispatch::new(&AVG_POOL2D_GRAD, VARIANTS[0])
                .read(Operand::Input(0))
                .part(both.a)
                .write(Operand::Output(0))
                .part(both.b)
                .param("count", count)
                .param("x_base", both.b_row * row_count(dx))
                .param("y_base", both.a_row * row_count(dy));
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

fn averages(dispatch: Dispatch, pool: &AvgPool2d, x: &Type, y: &Type) -> Dispatch {
    let ([_, _, h, w], [_, _, out_h, out_w]) = (image(x), image(y));
    let dispatch = dispatch
        .param("height", h)
        .param("width", w)
        .param("out_height", out_h)
        .param("out_width", out_w);
    taps(dispatch, &pool.window()).param("include_pad", pool.count_include_pad.into())
}

/// Rows that lie in part `a` of one operand and part `b` of another.
struct Overlap {
    a: usize,
    b: usize,
    /// First of them within part `a`.
    a_row: usize,
    /// First of them within part `b`.
    b_row: usize,
    rows: usize,
}

/// The rows of two operands of equal row count, cut wherever either is.
fn overlaps(a: &[Part], b: &[Part]) -> Vec<Overlap> {
    let mut found = Vec::new();
    for (ia, pa) in a.iter().enumerate() {
        for (ib, pb) in b.iter().enumerate() {
            let start = pa.start.max(pb.start);
            let end = (pa.start + pa.rows).min(pb.start + pb.rows);
            if start < end {
                found.push(Overlap {
                    a: ia,
                    b: ib,
                    a_row: start - pa.start,
                    b_row: start - pb.start,
                    rows: end - start,
                });
            }
        }
    }
    found
}

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static MAX_POOL2D: Kernel = Kernel::new(
    "max_pool2d",
    shader_files!["max_pool2d", "max_pool2d_values", "lib/grid", "lib/float"],
    VARIANTS,
);
static MAX_POOL2D_INDICES: Kernel = Kernel::new(
    "max_pool2d_indices",
    shader_files!["max_pool2d", "max_pool2d_indices", "lib/grid", "lib/float"],
    VARIANTS,
);
static MAX_POOL2D_2X2: Kernel = Kernel::new(
    "max_pool2d_2x2",
    shader_files![
        "max_pool2d_2x2",
        "max_pool2d_values",
        "lib/grid",
        "lib/float"
    ],
    VARIANTS,
);
static MAX_POOL2D_2X2_INDICES: Kernel = Kernel::new(
    "max_pool2d_2x2_indices",
    shader_files![
        "max_pool2d_2x2",
        "max_pool2d_indices",
        "lib/grid",
        "lib/float"
    ],
    VARIANTS,
);
static MAX_POOL2D_GRAD: Kernel = Kernel::new(
    "max_pool2d_grad",
    shader_files!["max_pool2d_grad", "lib/grid"],
    VARIANTS,
);
static MAX_POOL2D_2X2_GRAD: Kernel = Kernel::new(
    "max_pool2d_2x2_grad",
    shader_files!["max_pool2d_2x2_grad", "lib/grid"],
    VARIANTS,
);
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

pub(super) const KERNELS: &[&Kernel] = &[
    &MAX_POOL2D,
    &MAX_POOL2D_INDICES,
    &MAX_POOL2D_2X2,
    &MAX_POOL2D_2X2_INDICES,
    &MAX_POOL2D_GRAD,
    &MAX_POOL2D_2X2_GRAD,
    &AVG_POOL2D,
    &AVG_POOL2D_GRAD,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn part(start: usize, rows: usize) -> Part {
        Part { start, rows }
    }

    #[test]
    fn overlaps_cover_every_row_once() {
        let found = overlaps(
            &[part(0, 3), part(3, 3), part(6, 1)],
            &[part(0, 5), part(5, 2)],
        );
        let rows: Vec<_> = found
            .iter()
            .map(|o| (o.a, o.a_row, o.b, o.b_row, o.rows))
            .collect();
        let wanted = [
            (0, 0, 0, 0, 3),
            (1, 0, 0, 3, 2),
            (1, 2, 1, 0, 1),
            (2, 0, 1, 1, 1),
        ];
        assert_eq!(rows, wanted);
    }

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
        assert!(message(g.avg_pool2d(none, AvgPool2d::square(1))).contains("at least one pixel"));
        assert!(message(g.avg_pool2d(x, AvgPool2d::square(5))).contains("does not fit height 4"));
        assert!(message(g.max_pool2d(x, MaxPool2d::square(0))).contains("must be at least 1"));
    }
}
