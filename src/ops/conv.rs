//! Convolution (cross-correlation, as PyTorch's) over one, two or three axes and its two gradients, each an op of its own. A transposed
//! convolution is the gradient of the input, with extents of its own.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Split, Value};
use crate::kernel::{Body, Caps, Io, Lowering, Operand, Part, Rows, overlaps};
use crate::shape::{PaddingMode, Shape, Type, Window};
use crate::tensor::Array;

use super::gemm::{End, MASK_PAIR, Target, sum_runs};
use super::{expect_f32, expect_inputs, expect_type};

// Parameters and builder.

/// How a convolution over `D` axes, the last ones of its input, walks over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv<const D: usize> {
    /// Step along each axis.
    pub stride: [usize; D],
    /// Elements added before and after each axis.
    pub padding: [[usize; 2]; D],
    /// Step between kernel taps along each axis.
    pub dilation: [usize; D],
    /// Input and output channels are cut into this many groups that do not see each other.
    pub groups: usize,
    /// What the padding holds.
    pub padding_mode: PaddingMode,
}

/// Over `[N, C, L]`.
pub type Conv1d = Conv<1>;
/// Over `[N, C, H, W]`.
pub type Conv2d = Conv<2>;
/// Over `[N, C, D, H, W]`.
pub type Conv3d = Conv<3>;

impl<const D: usize> Default for Conv<D> {
    /// Stride 1, no padding, dilation 1, one group.
    fn default() -> Self {
        Self {
            stride: [1; D],
            padding: [[0; 2]; D],
            dilation: [1; D],
            groups: 1,
            padding_mode: PaddingMode::Zeros,
        }
    }
}

impl<const D: usize> Conv<D> {
    /// The same padding on all sides.
    pub fn padding(padding: usize) -> Self {
        Self {
            padding: [[padding; 2]; D],
            ..Self::default()
        }
    }

    /// No padding: every window lies within the input. PyTorch's `padding="valid"`.
    pub fn valid(self) -> Self {
        Self {
            padding: [[0; 2]; D],
            ..self
        }
    }

    /// Padding of `dilation * (kernel - 1)` in all, the odd element after the axis, so that at stride 1 the extents stay.
    /// PyTorch's `padding="same"`, which refuses other strides; here they give `ceil(extent / stride)`.
    pub fn same(self, kernel: [usize; D]) -> Self {
        let around = |axis: usize| {
            let all = self.dilation[axis].saturating_mul(kernel[axis].saturating_sub(1));
            [all / 2, all - all / 2]
        };
        Self {
            padding: std::array::from_fn(around),
            ..self
        }
    }
}

/// How a transposed convolution over `D` axes walks over its output: it is the gradient of the convolution with these settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvTranspose<const D: usize> {
    /// Step in the output along each axis.
    pub stride: [usize; D],
    /// Elements cut off the output before and after each axis.
    pub padding: [[usize; 2]; D],
    /// Elements added to the output after each axis, less than the stride or the dilation.
    pub output_padding: [usize; D],
    /// Step between kernel taps along each axis.
    pub dilation: [usize; D],
    /// Input and output channels are cut into this many groups that do not see each other.
    pub groups: usize,
}

/// Over `[N, C, L]`.
pub type ConvTranspose1d = ConvTranspose<1>;
/// Over `[N, C, H, W]`.
pub type ConvTranspose2d = ConvTranspose<2>;
/// Over `[N, C, D, H, W]`.
pub type ConvTranspose3d = ConvTranspose<3>;

impl<const D: usize> Default for ConvTranspose<D> {
    /// Stride 1, nothing cut off or added, dilation 1, one group.
    fn default() -> Self {
        Self {
            stride: [1; D],
            padding: [[0; 2]; D],
            output_padding: [0; D],
            dilation: [1; D],
            groups: 1,
        }
    }
}

/// The settings of a convolution as its ops hold them, for three axes: those that are not there come first and change nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvWalk {
    axes: usize,
    stride: [usize; 3],
    padding: [[usize; 2]; 3],
    /// Elements at the end of each axis that no window counts on.
    output_padding: [usize; 3],
    dilation: [usize; 3],
    groups: usize,
    padding_mode: PaddingMode,
}

/// `values` for the last axes, `filler` for those before them.
fn three<T: Copy, const D: usize>(values: [T; D], filler: T) -> [T; 3] {
    let own = |axis: usize| (axis + D).checked_sub(3).map(|own| values[own]);
    std::array::from_fn(|axis| own(axis).unwrap_or(filler))
}

fn walk<const D: usize>(conv: Conv<D>) -> ConvWalk {
    ConvWalk {
        axes: D,
        stride: three(conv.stride, 1),
        padding: three(conv.padding, [0; 2]),
        output_padding: [0; 3],
        dilation: three(conv.dilation, 1),
        groups: conv.groups,
        padding_mode: conv.padding_mode,
    }
}

fn transposed_walk<const D: usize>(conv: ConvTranspose<D>) -> ConvWalk {
    let forward = Conv {
        stride: conv.stride,
        padding: conv.padding,
        dilation: conv.dilation,
        groups: conv.groups,
        padding_mode: PaddingMode::Zeros,
    };
    ConvWalk {
        output_padding: three(conv.output_padding, 0),
        ..walk(forward)
    }
}

impl From<Conv1d> for ConvWalk {
    fn from(conv: Conv1d) -> Self {
        walk(conv)
    }
}

impl From<Conv2d> for ConvWalk {
    fn from(conv: Conv2d) -> Self {
        walk(conv)
    }
}

impl From<Conv3d> for ConvWalk {
    fn from(conv: Conv3d) -> Self {
        walk(conv)
    }
}

impl From<ConvTranspose1d> for ConvWalk {
    fn from(conv: ConvTranspose1d) -> Self {
        transposed_walk(conv)
    }
}

impl From<ConvTranspose2d> for ConvWalk {
    fn from(conv: ConvTranspose2d) -> Self {
        transposed_walk(conv)
    }
}

impl From<ConvTranspose3d> for ConvWalk {
    fn from(conv: ConvTranspose3d) -> Self {
        transposed_walk(conv)
    }
}

/// `y[n, o, i..] = bias[o] + sum over c, r.. of x[n, c, i * stride + r * dilation - padding ..] * weight[o, c, r..]`.
///
/// Inputs: x `[N, C, ..]`, weight `[O, C / groups, ..]`, then the bias `[O]` if `bias`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvForward {
    /// The walk.
    pub conv: ConvWalk,
    /// Adds a bias per output channel.
    pub bias: bool,
    /// Then takes max(y, 0).
    pub relu: bool,
}

/// The gradient of a convolution with respect to its input, and a transposed convolution.
///
/// Inputs: dy `[N, O, ..]`, weight `[O, C / groups, ..]`, then the mask `[N, C, ..]` if `mask` or the bias `[C]` if `bias`.
/// Output: dx `[N, C, ..]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvGradInput {
    /// The walk of the forward convolution.
    pub conv: ConvWalk,
    /// Extents of its input along three axes, those that are not there first and 1.
    pub input: [usize; 3],
    /// Zeroes dx where the mask, the input as an activation after relu, is not positive.
    pub mask: bool,
    /// Adds a bias per channel of dx.
    pub bias: bool,
    /// Whether it is named as a transposed convolution.
    pub transposed: bool,
}

/// The gradient of a convolution with respect to its weight.
///
/// Inputs: x `[N, C, ..]`, dy `[N, O, ..]`. Output: dweight `[O, C / groups, ..]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvGradWeight {
    /// The walk of the forward convolution.
    pub conv: ConvWalk,
    /// Extents of its kernel along three axes, those that are not there first and 1.
    pub kernel: [usize; 3],
}

impl Graph {
    /// The convolution of x `[N, C, L]` with weight `[O, C / groups, S]` and bias `[O]`.
    pub fn conv1d(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: Conv1d,
    ) -> Result<Value> {
        self.conv(x, weight, bias, conv)
    }

    /// The convolution of x `[N, C, H, W]` with weight `[O, C / groups, R, S]` and bias `[O]`.
    pub fn conv2d(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: Conv2d,
    ) -> Result<Value> {
        self.conv(x, weight, bias, conv)
    }

    /// The convolution of x `[N, C, D, H, W]` with weight `[O, C / groups, T, R, S]` and bias `[O]`.
    pub fn conv3d(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: Conv3d,
    ) -> Result<Value> {
        self.conv(x, weight, bias, conv)
    }

    /// The convolution over as many axes as `conv` says: [`Conv1d`], [`Conv2d`] or [`Conv3d`].
    pub fn conv(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: impl Into<ConvWalk>,
    ) -> Result<Value> {
        let op = ConvForward {
            conv: conv.into(),
            bias: bias.is_some(),
            relu: false,
        };
        let inputs: Vec<Value> = [x, weight].into_iter().chain(bias).collect();
        self.add1(op, &inputs)
    }

    /// The transposed convolution of x `[N, C, L]` with weight `[C, O / groups, S]` and bias `[O]`.
    pub fn conv_transpose1d(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: ConvTranspose1d,
    ) -> Result<Value> {
        self.conv_transpose(x, weight, bias, conv)
    }

    /// The transposed convolution of x `[N, C, H, W]` with weight `[C, O / groups, R, S]` and bias `[O]`.
    pub fn conv_transpose2d(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: ConvTranspose2d,
    ) -> Result<Value> {
        self.conv_transpose(x, weight, bias, conv)
    }

    /// The transposed convolution of x `[N, C, D, H, W]` with weight `[C, O / groups, T, R, S]` and bias `[O]`.
    pub fn conv_transpose3d(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: ConvTranspose3d,
    ) -> Result<Value> {
        self.conv_transpose(x, weight, bias, conv)
    }

    /// The transposed convolution over as many axes as `conv` says: [`ConvTranspose1d`], [`ConvTranspose2d`] or [`ConvTranspose3d`].
    /// An output has `(extent - 1) * stride - padding before - padding after + dilation * (kernel - 1) + output padding + 1` elements.
    pub fn conv_transpose(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: impl Into<ConvWalk>,
    ) -> Result<Value> {
        let conv = conv.into();
        let op = ConvGradInput {
            conv,
            input: conv.transposed_extents(self.shape(x)?, self.shape(weight)?)?,
            mask: false,
            bias: bias.is_some(),
            transposed: true,
        };
        let inputs: Vec<Value> = [x, weight].into_iter().chain(bias).collect();
        self.add1(op, &inputs)
    }
}

// Shape rule.

/// Names of an op by the number of its axes.
type Names = [&'static str; 3];
const FORWARD: Names = ["conv1d", "conv2d", "conv3d"];
const GRAD_INPUT: Names = [
    "conv1d_grad_input",
    "conv2d_grad_input",
    "conv3d_grad_input",
];
const TRANSPOSED: Names = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"];
const GRAD_WEIGHT: Names = [
    "conv1d_grad_weight",
    "conv2d_grad_weight",
    "conv3d_grad_weight",
];

impl ConvWalk {
    fn name(&self, names: Names) -> &'static str {
        names[self.axes - 1]
    }

    fn axis_name(&self, axis: usize) -> &'static str {
        match self.axes {
            1 => "length",
            _ => ["depth", "height", "width"][axis],
        }
    }

    /// The three extents after batch and channels of a shape, if it has as many axes as this walk.
    fn extents(&self, shape: &[usize]) -> Option<[usize; 3]> {
        let own = shape.get(2..)?;
        let missing = 3 - self.axes;
        let extent = |axis: usize| {
            axis.checked_sub(missing)
                .map_or(1, |own_axis| own[own_axis])
        };
        (own.len() == self.axes).then(|| std::array::from_fn(extent))
    }

    /// `[first, second, ..]` with those of the extents that are there.
    fn shape(&self, first: usize, second: usize, extents: [usize; 3]) -> Vec<usize> {
        let mut shape = vec![first, second];
        shape.extend(&extents[3 - self.axes..]);
        shape
    }

    fn window(&self, axis: usize, kernel: usize) -> Window {
        Window {
            kernel,
            stride: self.stride[axis],
            before: self.padding[axis][0],
            after: self.padding[axis][1],
            dilation: self.dilation[axis],
        }
    }

    /// Number of windows along an axis of `extent` elements.
    fn output(&self, op: &str, axis: usize, window: &Window, extent: usize) -> Result<usize> {
        let name = self.axis_name(axis);
        match self.output_padding[axis] {
            0 => window.output(extent, op, name),
            // The padding may be shorter than what is cut off, but windows only see their sum.
            cut => {
                let padded = window
                    .before
                    .checked_add(window.after)
                    .and_then(|padding| padding.checked_add(extent));
                let whole = Window {
                    before: 0,
                    after: 0,
                    ..*window
                };
                whole.output(padded.unwrap_or(usize::MAX).saturating_sub(cut), op, name)
            }
        }
    }

    /// Extents of the output of a transposed convolution of x by weight.
    fn transposed_extents(&self, x: &[usize], weight: &[usize]) -> Result<[usize; 3]> {
        let op = self.name(TRANSPOSED);
        let (Some(input), Some(kernel)) = (self.extents(x), self.extents(weight)) else {
            return Err(self.wrong_axes(op, x, weight));
        };
        if x[1] != weight[0] {
            return Err(Error::shape(format!(
                "{op}: weight {weight:?} expects {} input channels, input {x:?} has {}",
                weight[0], x[1]
            )));
        }
        let mut output = [1; 3];
        for axis in 3 - self.axes..3 {
            let name = self.axis_name(axis);
            let (stride, dilation) = (self.stride[axis], self.dilation[axis]);
            let ([before, after], more) = (self.padding[axis], self.output_padding[axis]);
            let (extent, kernel) = (input[axis], kernel[axis]);
            if more > 0 && more >= stride.max(dilation) {
                return Err(Error::shape(format!(
                    "{op}: output padding {more} along {name} must be less than the stride {stride} or the dilation {dilation}"
                )));
            }
            let all = || {
                let steps = extent.checked_sub(1)?.checked_mul(stride)?;
                let taps = kernel.checked_sub(1)?.checked_mul(dilation)?;
                let all = steps.checked_add(taps)?.checked_add(more)?.checked_add(1)?;
                all.checked_sub(before.checked_add(after)?)
            };
            output[axis] = all().filter(|&all| all > 0 && all < 1 << 31).ok_or_else(|| {
                Error::shape(format!(
                    "{op}: {name} {extent} with kernel {kernel}, stride {stride}, dilation {dilation}, padding {before} and {after} \
                     and output padding {more} has no output"
                ))
            })?;
        }
        Ok(output)
    }

    fn wrong_axes(&self, op: &str, x: &[usize], weight: &[usize]) -> Error {
        Error::shape(format!(
            "{op}: {x:?} and {weight:?} must have {} axes",
            self.axes + 2
        ))
    }
}

/// The extents of a convolution: one set serves all three ops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub n: usize,
    pub c: usize,
    pub o: usize,
    pub groups: usize,
    pub input: [usize; 3],
    pub output: [usize; 3],
    pub window: [Window; 3],
    /// `Zeros` where there is no padding.
    pub mode: PaddingMode,
    walk: ConvWalk,
}

impl Sizes {
    /// From the shapes of x and weight.
    fn new(op: &str, walk: &ConvWalk, x: &[usize], weight: &[usize]) -> Result<Self> {
        let (Some(input), Some(kernel)) = (walk.extents(x), walk.extents(weight)) else {
            return Err(Error::shape(format!(
                "{op}: input {x:?} and weight {weight:?} must have {} axes",
                walk.axes + 2
            )));
        };
        let (n, c, o, per_group) = (x[0], x[1], weight[0], weight[1]);
        let groups = walk.groups;
        if groups == 0 || c % groups != 0 || o % groups != 0 {
            return Err(Error::shape(format!(
                "{op}: {c} input and {o} output channels do not divide into {groups} groups"
            )));
        }
        if c / groups != per_group {
            return Err(Error::shape(format!(
                "{op}: weight {weight:?} expects {} input channels, input {x:?} has {c}",
                per_group.saturating_mul(groups)
            )));
        }
        let window = [0, 1, 2].map(|axis| walk.window(axis, kernel[axis]));
        let mut output = [1; 3];
        for axis in 0..3 {
            output[axis] = walk.output(op, axis, &window[axis], input[axis])?;
            let mode = walk.padding_mode;
            mode.check(walk.padding[axis], input[axis], op, walk.axis_name(axis))?;
        }
        let padded = walk.padding != [[0; 2]; 3];
        Ok(Self {
            n,
            c,
            o,
            groups,
            input,
            output,
            window,
            mode: if padded {
                walk.padding_mode
            } else {
                PaddingMode::Zeros
            },
            walk: *walk,
        })
    }

    /// Fails unless dy has the shape of y.
    fn expect_dy(&self, op: &str, dy: &[usize]) -> Result<()> {
        let (x, y) = (self.x(), self.y());
        if y[..] == *dy {
            return Ok(());
        }
        Err(Error::shape(format!(
            "{op}: dy {dy:?} is not the output {y:?} of input {x:?}"
        )))
    }

    /// Shape of x.
    fn x(&self) -> Shape {
        self.walk.shape(self.n, self.c, self.input).into()
    }

    /// Shape of the weight.
    pub fn weight(&self) -> Shape {
        let kernel = self.window.map(|window| window.kernel);
        self.walk.shape(self.o, self.c / self.groups, kernel).into()
    }

    /// Shape of y.
    fn y(&self) -> Shape {
        self.walk.shape(self.n, self.o, self.output).into()
    }

    /// Elements of one image of x.
    pub fn x_row(&self) -> usize {
        self.c * self.input.iter().product::<usize>()
    }

    /// Elements of one image of y.
    pub fn y_row(&self) -> usize {
        self.o * self.output.iter().product::<usize>()
    }

    /// Taps of a kernel.
    pub fn taps(&self) -> usize {
        self.window.iter().map(|window| window.kernel).product()
    }

    /// Whether kernels for two axes and zeros around them compute it.
    fn flat(&self) -> bool {
        let deep = self.input[0] > 1 || self.output[0] > 1 || self.window[0].kernel > 1;
        self.mode == PaddingMode::Zeros && !deep
    }

    /// Every (tap, position in the output, position in the input) that meet along an axis.
    fn links(&self, axis: usize) -> Vec<[usize; 3]> {
        let window = &self.window[axis];
        let mut links = Vec::new();
        for tap in 0..window.kernel {
            for out in 0..self.output[axis] {
                let place = (out * window.stride + tap * window.dilation) as isize;
                let place = place - window.before as isize;
                if let Some(at) = self.mode.source(place, self.input[axis]) {
                    links.push([tap, out, at]);
                }
            }
        }
        links
    }

    /// Calls `f(x index, weight index, y index)` for every product of the convolution.
    fn for_each(&self, mut f: impl FnMut(usize, usize, usize)) {
        let [_, h, w] = self.input;
        let [_, oh, ow] = self.output;
        let kernel = self.window.map(|window| window.kernel);
        let (x_plane, y_plane) = (self.x_row() / self.c.max(1), self.y_row() / self.o.max(1));
        let (c_group, o_group) = (self.c / self.groups, self.o / self.groups);
        let links = [0, 1, 2].map(|axis| self.links(axis));
        for n in 0..self.n {
            for o in 0..self.o {
                for c in 0..c_group {
                    let channel = o / o_group * c_group + c;
                    for &[tap0, out0, in0] in &links[0] {
                        for &[tap1, out1, in1] in &links[1] {
                            let weight = (o * c_group + c) * kernel[0] + tap0;
                            let weight = (weight * kernel[1] + tap1) * kernel[2];
                            let x = (n * self.c + channel) * x_plane + (in0 * h + in1) * w;
                            let y = (n * self.o + o) * y_plane + (out0 * oh + out1) * ow;
                            for &[tap2, out2, in2] in &links[2] {
                                f(x + in2, weight + tap2, y + out2);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Number of elements of each channel of `y [N, C, ..]`, for a bias.
fn plane(y: &Shape) -> usize {
    y[2..].iter().product()
}

/// The bias per channel, spread over a shape `[N, C, ..]`.
fn spread(bias: &[f64], y: &Shape) -> Vec<f64> {
    let plane = plane(y);
    let channel = |i: usize| i / plane % y[1];
    (0..y.count()).map(|i| bias[channel(i)]).collect()
}

/// The sum of dy `[N, C, ..]` per channel: the gradient of a bias.
fn bias_gradient(g: &mut Graph, dy: Value) -> Result<Value> {
    let axes = g.shape(dy)?.len();
    let axes: Vec<usize> = (0..axes).filter(|&axis| axis != 1).collect();
    g.sum(dy, &axes, false)
}

impl ConvForward {
    fn sizes(&self, x: &[usize], weight: &[usize]) -> Result<Sizes> {
        Sizes::new(self.name(), &self.conv, x, weight)
    }
}

impl Op for ConvForward {
    fn name(&self) -> &'static str {
        self.conv.name(FORWARD)
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2 + usize::from(self.bias))?;
        expect_f32(self.name(), "input", inputs[0])?;
        expect_f32(self.name(), "weight", inputs[1])?;
        let sizes = self.sizes(&inputs[0].shape, &inputs[1].shape)?;
        if self.bias {
            expect_type(self.name(), "bias", inputs[2], &Type::f32([sizes.o]))?;
        }
        Ok(vec![Type::f32(sizes.y())])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (x, weight) = (inputs[0], inputs[1]);
        let sizes = self
            .sizes(x.shape(), weight.shape())
            .expect("infer accepted the shapes");
        let mut y = match self.bias {
            true => spread(inputs[2].floats(), &sizes.y()),
            false => vec![0.0; sizes.y().count()],
        };
        let (x, weight) = (x.floats(), weight.floats());
        sizes.for_each(|at_x, at_w, at_y| y[at_y] += x[at_x] * weight[at_w]);
        super::finish(&mut y, self.relu, None);
        vec![Array::float(sizes.y(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        super::expect_unfused(self.name(), self.relu)?;
        let (x, weight, dy) = (at.inputs[0], at.inputs[1], dy[0]);
        let sizes = self.sizes(g.shape(x)?, g.shape(weight)?)?;
        let mut gradients = vec![
            Some(sizes.grad_input(g, dy, weight)?),
            Some(sizes.grad_weight(g, x, dy)?),
        ];
        if self.bias {
            gradients.push(Some(bias_gradient(g, dy)?));
        }
        Ok(gradients)
    }

    fn split(&self) -> Split {
        Split::Rows(&[0])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let sizes = self.sizes(&io.inputs[0].shape, &io.inputs[1].shape)?;
        let end = End::new(self.name(), self.bias, self.relu, false, io)?;
        for (ty, parts) in io.inputs.iter().zip(&io.input_parts).skip(1) {
            expect_whole(self.name(), ty, parts)?;
        }
        let runs = overlaps(&[&io.input_parts[0], &io.output_parts[0]]);
        sizes.lower(Map::Forward, &runs, end, caps, out);
        Ok(())
    }
}

impl ConvGradInput {
    fn sizes(&self, dy: &[usize], weight: &[usize]) -> Result<Sizes> {
        let op = self.name();
        let (&[n, ..], &[_, per_group, ..]) = (dy, weight) else {
            return Err(self.conv.wrong_axes(op, dy, weight));
        };
        let Some(c) = per_group.checked_mul(self.conv.groups) else {
            return Err(Error::shape(format!(
                "{op}: weight {weight:?} has too many input channels in {} groups",
                self.conv.groups
            )));
        };
        let x = self.conv.shape(n, c, self.input);
        let sizes = Sizes::new(op, &self.conv, &x, weight)?;
        sizes.expect_dy(op, dy)?;
        Ok(sizes)
    }
}

impl Op for ConvGradInput {
    fn name(&self) -> &'static str {
        self.conv.name(match self.transposed {
            true => TRANSPOSED,
            false => GRAD_INPUT,
        })
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        let more = usize::from(self.mask || self.bias);
        expect_inputs(self.name(), inputs, 2 + more)?;
        expect_f32(self.name(), "dy", inputs[0])?;
        expect_f32(self.name(), "weight", inputs[1])?;
        let sizes = self.sizes(&inputs[0].shape, &inputs[1].shape)?;
        let dx = Type::f32(sizes.x());
        match (self.mask, self.bias) {
            (true, true) => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("{}: a mask together with a bias", self.name()),
                ));
            }
            (true, false) => expect_type(self.name(), "mask", inputs[2], &dx)?,
            (false, true) => expect_type(self.name(), "bias", inputs[2], &Type::f32([sizes.c]))?,
            (false, false) => {}
        }
        Ok(vec![dx])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let sizes = self
            .sizes(inputs[0].shape(), inputs[1].shape())
            .expect("infer accepted the shapes");
        let (dy, weight) = (inputs[0].floats(), inputs[1].floats());
        let mut dx = match self.bias {
            true => spread(inputs[2].floats(), &sizes.x()),
            false => vec![0.0; sizes.x().count()],
        };
        sizes.for_each(|at_x, at_w, at_y| dx[at_x] += dy[at_y] * weight[at_w]);
        super::finish(&mut dx, false, self.mask.then(|| inputs[2]));
        vec![Array::float(sizes.x(), dx)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, ddx: &[Value]) -> Result<Vec<Option<Value>>> {
        super::expect_unfused(self.name(), self.mask)?;
        let (dy, weight, ddx) = (at.inputs[0], at.inputs[1], ddx[0]);
        let sizes = self.sizes(g.shape(dy)?, g.shape(weight)?)?;
        let mut gradients = vec![
            Some(g.conv(ddx, weight, None, self.conv)?),
            Some(sizes.grad_weight(g, ddx, dy)?),
        ];
        if self.bias {
            gradients.push(Some(bias_gradient(g, ddx)?));
        }
        Ok(gradients)
    }

    fn in_place(&self) -> &[(usize, usize)] {
        if self.mask { MASK_PAIR } else { &[] }
    }

    fn split(&self) -> Split {
        if self.mask {
            Split::Rows(&[0, 2])
        } else {
            Split::Rows(&[0])
        }
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let sizes = self.sizes(&io.inputs[0].shape, &io.inputs[1].shape)?;
        let end = End::new(self.name(), self.bias, false, self.mask, io)?;
        expect_whole(self.name(), &io.inputs[1], &io.input_parts[1])?;
        if self.bias {
            expect_whole(self.name(), &io.inputs[2], &io.input_parts[2])?;
        }
        // A mask has the type of dx and lies in the same parts.
        if self.mask && io.input_parts[2] != io.output_parts[0] {
            io.whole(self.name())?;
        }
        let runs = overlaps(&[&io.input_parts[0], &io.output_parts[0]]);
        sizes.lower(Map::GradInput, &runs, end, caps, out);
        Ok(())
    }
}

impl ConvGradWeight {
    fn sizes(&self, x: &[usize], dy: &[usize]) -> Result<Sizes> {
        let op = self.name();
        let (&[_, c, ..], &[_, o, ..]) = (x, dy) else {
            return Err(self.conv.wrong_axes(op, x, dy));
        };
        let per_group = c / self.conv.groups.max(1);
        let weight = self.conv.shape(o, per_group, self.kernel);
        let sizes = Sizes::new(op, &self.conv, x, &weight)?;
        sizes.expect_dy(op, dy)?;
        Ok(sizes)
    }
}

impl Op for ConvGradWeight {
    fn name(&self) -> &'static str {
        self.conv.name(GRAD_WEIGHT)
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), "input", inputs[0])?;
        expect_f32(self.name(), "dy", inputs[1])?;
        let sizes = self.sizes(&inputs[0].shape, &inputs[1].shape)?;
        Ok(vec![Type::f32(sizes.weight())])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let sizes = self
            .sizes(inputs[0].shape(), inputs[1].shape())
            .expect("infer accepted the shapes");
        let (x, dy) = (inputs[0].floats(), inputs[1].floats());
        let mut dweight = vec![0.0; sizes.weight().count()];
        sizes.for_each(|at_x, at_w, at_y| dweight[at_w] += x[at_x] * dy[at_y]);
        vec![Array::float(sizes.weight(), dweight)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, ddw: &[Value]) -> Result<Vec<Option<Value>>> {
        let (x, dy, ddw) = (at.inputs[0], at.inputs[1], ddw[0]);
        let sizes = self.sizes(g.shape(x)?, g.shape(dy)?)?;
        let dx = sizes.grad_input(g, dy, ddw)?;
        Ok(vec![Some(dx), Some(g.conv(x, ddw, None, self.conv)?)])
    }

    fn split(&self) -> Split {
        Split::Sum(&[0, 1])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let sizes = self.sizes(&io.inputs[0].shape, &io.inputs[1].shape)?;
        expect_whole(self.name(), &io.outputs[0], &io.output_parts[0])?;
        let filter = sizes.taps() * (sizes.c / sizes.groups);
        if sizes.o * filter == 0 {
            return Ok(());
        }
        let mut runs = overlaps(&[&io.input_parts[0], &io.input_parts[1]]);
        if runs.is_empty() {
            // The gradient over no images is zero.
            runs.push(Rows {
                count: 0,
                part: vec![0, 0],
                first: vec![0, 0],
            });
        }
        let to = Target::all(Operand::Output(0), filter);
        sum_runs(runs.len(), [sizes.o, filter], to, out, |run, to, out| {
            sizes.lower_grad_weight(&runs[run], to, caps, out);
        });
        Ok(())
    }
}

/// Fails if a weight or bias lies in several parts.
fn expect_whole(op: &str, ty: &Type, parts: &[Part]) -> Result<()> {
    if parts.len() < 2 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Limit,
        format!(
            "{op}: a weight or bias {ty} takes {} bytes, more than the device binds at once",
            ty.bytes()
        ),
    ))
}

/// Which of the three ops is lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Map {
    Forward,
    GradInput,
    GradWeight,
}

impl Map {
    /// What may follow it.
    pub fn ends(self) -> &'static [End] {
        match self {
            Map::Forward => &[End::None, End::Relu, End::Bias, End::BiasRelu],
            Map::GradInput => &[End::None, End::Mask, End::MaskInPlace, End::Bias],
            Map::GradWeight => &[End::None],
        }
    }
}

impl Sizes {
    fn grad_input(&self, g: &mut Graph, dy: Value, weight: Value) -> Result<Value> {
        let op = ConvGradInput {
            conv: self.walk,
            input: self.input,
            mask: false,
            bias: false,
            transposed: false,
        };
        g.add1(op, &[dy, weight])
    }

    fn grad_weight(&self, g: &mut Graph, x: Value, dy: Value) -> Result<Value> {
        let op = ConvGradWeight {
            conv: self.walk,
            kernel: self.window.map(|window| window.kernel),
        };
        g.add1(op, &[x, dy])
    }

    /// Whether products of few channels would leave most of a tile of the fast kernels empty: groups of one, depthwise.
    fn thin(&self, map: Map) -> bool {
        let (channels, outs) = (self.c / self.groups, self.o / self.groups);
        let wide = match map {
            Map::Forward => outs,
            Map::GradInput => channels,
            Map::GradWeight => channels.max(outs),
        };
        self.groups > 1 && wide == 1
    }

    /// Emits the convolution or the gradient of its input over runs of images of what is read and what is written.
    fn lower(&self, map: Map, runs: &[Rows], end: End, caps: &Caps, out: &mut Lowering) {
        match (self.flat() && !self.thin(map), caps.body) {
            (false, _) => self.lower_direct(map, runs, end, out),
            (true, Body::Registers) => self.lower_registers(map, runs, end, caps, out),
            (true, Body::Shared) => self.lower_shared(map, runs, end, out),
        }
    }

    /// Emits the gradient of the weight over one run of images of x and dy.
    fn lower_grad_weight(&self, run: &Rows, to: Target, caps: &Caps, out: &mut Lowering) {
        match (self.flat() && !self.thin(Map::GradWeight), caps.body) {
            (false, _) => self.lower_direct_grad_weight(run, to, caps, out),
            (true, Body::Registers) => self.lower_registers_grad_weight(run, to, caps, out),
            (true, Body::Shared) => self.lower_shared_grad_weight(run, to, caps, out),
        }
    }
}
