//! 2D convolution (cross-correlation, as PyTorch's Conv2d) and its two gradients, each an op of its own.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Split, Value};
use crate::kernel::{Body, Caps, Dispatch, Io, Kernel, Lowering, Operand};
use crate::shape::{Type, Window2d};
use crate::tensor::Array;

use super::gemm::{End, MASK_PAIR, Product, SHARED_VARIANTS, Target, split_scratch, sum_parts};
use super::{expect_f32, expect_inputs, expect_type};

// Parameters and builder.

/// How a 2D convolution walks over its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Step along height and width.
    pub stride: [usize; 2],
    /// Zeros added at the top, bottom, left and right.
    pub padding: [usize; 4],
    /// Step between kernel taps along height and width.
    pub dilation: [usize; 2],
    /// Input and output channels are cut into this many groups that do not see each other.
    pub groups: usize,
}

impl Default for Conv2d {
    /// Stride 1, no padding, dilation 1, one group.
    fn default() -> Self {
        Self {
            stride: [1, 1],
            padding: [0; 4],
            dilation: [1, 1],
            groups: 1,
        }
    }
}

impl Conv2d {
    /// The same padding on all four sides.
    pub fn padding(padding: usize) -> Self {
        Self {
            padding: [padding; 4],
            ..Self::default()
        }
    }

    fn window(&self, kernel: [usize; 2]) -> Window2d {
        let [top, bottom, left, right] = self.padding;
        Window2d {
            kernel,
            stride: self.stride,
            before: [top, left],
            after: [bottom, right],
            dilation: self.dilation,
        }
    }
}

/// `y[n, o, i, j] = bias[o] + sum over c, r, s of x[n, c, i * stride + r * dilation - top, ...] * weight[o, c, r, s]`.
///
/// Inputs: x `[N, C, H, W]`, weight `[O, C / groups, R, S]`, then the bias `[O]` if `bias`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dForward {
    /// The walk.
    pub conv: Conv2d,
    /// Adds a bias per output channel.
    pub bias: bool,
    /// Then takes max(y, 0).
    pub relu: bool,
}

/// The gradient of a convolution with respect to its input.
///
/// Inputs: dy `[N, O, OH, OW]`, weight, then the mask `[N, C, H, W]` if `mask`. Output: dx `[N, C, H, W]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dGradInput {
    /// The walk of the forward convolution.
    pub conv: Conv2d,
    /// Height and width of its input.
    pub input: [usize; 2],
    /// Zeroes dx where the mask, the input as an activation after relu, is not positive.
    pub mask: bool,
}

/// The gradient of a convolution with respect to its weight.
///
/// Inputs: x `[N, C, H, W]`, dy `[N, O, OH, OW]`. Output: dweight `[O, C / groups, R, S]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dGradWeight {
    /// The walk of the forward convolution.
    pub conv: Conv2d,
    /// Height and width of its kernel.
    pub kernel: [usize; 2],
}

impl Graph {
    /// The convolution of x `[N, C, H, W]` with weight `[O, C / groups, R, S]` and bias `[O]`.
    pub fn conv2d(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        conv: Conv2d,
    ) -> Result<Value> {
        let op = Conv2dForward {
            conv,
            bias: bias.is_some(),
            relu: false,
        };
        let inputs: Vec<Value> = [x, weight].into_iter().chain(bias).collect();
        self.add1(op, &inputs)
    }
}

/// The extents of a convolution: one set serves all three ops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub n: usize,
    pub c: usize,
    pub o: usize,
    pub groups: usize,
    pub input: [usize; 2],
    pub output: [usize; 2],
    pub window: Window2d,
}

impl Sizes {
    /// From the shapes of x and weight.
    fn new(op: &str, conv: &Conv2d, x: &[usize], weight: &[usize]) -> Result<Self> {
        let (&[n, c, h, w], &[o, per_group, r, s]) = (x, weight) else {
            return Err(Error::shape(format!(
                "{op}: input {x:?} and weight {weight:?} must have 4 axes"
            )));
        };
        let groups = conv.groups;
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
        let window = conv.window([r, s]);
        Ok(Self {
            n,
            c,
            o,
            groups,
            input: [h, w],
            output: window.output([h, w], op)?,
            window,
        })
    }

    pub fn x(&self) -> [usize; 4] {
        [self.n, self.c, self.input[0], self.input[1]]
    }

    fn weight(&self) -> [usize; 4] {
        let [r, s] = self.window.kernel;
        [self.o, self.c / self.groups, r, s]
    }

    pub fn y(&self) -> [usize; 4] {
        [self.n, self.o, self.output[0], self.output[1]]
    }

    /// Calls `f(x index, weight index, y index)` for every product of the convolution.
    fn for_each(&self, mut f: impl FnMut(usize, usize, usize)) {
        let [h, w] = self.input;
        let [oh, ow] = self.output;
        let [kernel_h, kernel_w] = self.window.kernel;
        let (c_group, o_group) = (self.c / self.groups, self.o / self.groups);
        for n in 0..self.n {
            for o in 0..self.o {
                for c in 0..c_group {
                    let channel = o / o_group * c_group + c;
                    for r in 0..kernel_h {
                        for s in 0..kernel_w {
                            let weight = ((o * c_group + c) * kernel_h + r) * kernel_w + s;
                            for i in 0..oh {
                                let Some(row) = self.window.input(0, i, r, h) else {
                                    continue;
                                };
                                let x = ((n * self.c + channel) * h + row) * w;
                                let y = ((n * self.o + o) * oh + i) * ow;
                                for j in 0..ow {
                                    if let Some(column) = self.window.input(1, j, s, w) {
                                        f(x + column, weight, y + j);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Conv2dForward {
    fn sizes(&self, x: &[usize], weight: &[usize]) -> Result<Sizes> {
        Sizes::new("conv2d", &self.conv, x, weight)
    }
}

impl Op for Conv2dForward {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2 + usize::from(self.bias))?;
        expect_f32("conv2d", "input", inputs[0])?;
        expect_f32("conv2d", "weight", inputs[1])?;
        let sizes = self.sizes(&inputs[0].shape, &inputs[1].shape)?;
        if self.bias {
            expect_type("conv2d", "bias", inputs[2], &Type::f32([sizes.o]))?;
        }
        Ok(vec![Type::f32(sizes.y())])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (x, weight) = (inputs[0], inputs[1]);
        let sizes = self
            .sizes(x.shape(), weight.shape())
            .expect("infer accepted the shapes");
        let mut y = vec![0.0; sizes.y().iter().product()];
        let plane = sizes.output[0] * sizes.output[1];
        if self.bias {
            for (i, value) in y.iter_mut().enumerate() {
                *value = inputs[2].floats()[i / plane % sizes.o];
            }
        }
        let (x, weight) = (x.floats(), weight.floats());
        sizes.for_each(|at_x, at_w, at_y| y[at_y] += x[at_x] * weight[at_w]);
        super::finish(&mut y, self.relu, None);
        vec![Array::float(sizes.y(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        super::expect_unfused("conv2d", self.relu)?;
        let (x, weight, dy) = (at.inputs[0], at.inputs[1], dy[0]);
        let sizes = self.sizes(g.shape(x)?, g.shape(weight)?)?;
        let dx = Conv2dGradInput {
            conv: self.conv,
            input: sizes.input,
            mask: false,
        };
        let dweight = Conv2dGradWeight {
            conv: self.conv,
            kernel: sizes.window.kernel,
        };
        let mut gradients = vec![
            Some(g.add1(dx, &[dy, weight])?),
            Some(g.add1(dweight, &[x, dy])?),
        ];
        if self.bias {
            gradients.push(Some(g.sum(dy, &[0, 2, 3], false)?));
        }
        Ok(gradients)
    }

    fn split(&self) -> Split {
        Split::Rows(&[0])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        io.whole(self.name())?;
        let sizes = self.sizes(&io.inputs[0].shape, &io.inputs[1].shape)?;
        let end = End::new(self.name(), self.bias, self.relu, false, io)?;
        if caps.body == Body::Registers {
            sizes.lower_forward_registers(end, caps, out);
            return Ok(());
        }
        let [oh, ow] = sizes.output;
        let product = Product {
            m: sizes.o / sizes.groups,
            n: sizes.n * oh * ow,
            k: sizes.taps(),
            groups: sizes.groups,
        };
        sizes.lower_shared(io, Map::Forward, product, end, out);
        Ok(())
    }
}

impl Conv2dGradInput {
    fn sizes(&self, dy: &[usize], weight: &[usize]) -> Result<Sizes> {
        let (&[n, ..], &[_, per_group, ..]) = (dy, weight) else {
            return Err(Error::shape(format!(
                "conv2d_grad_input: dy {dy:?} and weight {weight:?} must have 4 axes"
            )));
        };
        let [h, w] = self.input;
        let Some(c) = per_group.checked_mul(self.conv.groups) else {
            return Err(Error::shape(format!(
                "conv2d_grad_input: weight {weight:?} has too many input channels in {} groups",
                self.conv.groups
            )));
        };
        let x = [n, c, h, w];
        let sizes = Sizes::new("conv2d_grad_input", &self.conv, &x, weight)?;
        if sizes.y() != dy {
            return Err(Error::shape(format!(
                "conv2d_grad_input: dy {dy:?} is not the output {:?} of input {x:?}",
                sizes.y()
            )));
        }
        Ok(sizes)
    }
}

impl Op for Conv2dGradInput {
    fn name(&self) -> &'static str {
        "conv2d_grad_input"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2 + usize::from(self.mask))?;
        expect_f32(self.name(), "dy", inputs[0])?;
        expect_f32(self.name(), "weight", inputs[1])?;
        let sizes = self.sizes(&inputs[0].shape, &inputs[1].shape)?;
        let dx = Type::f32(sizes.x());
        if self.mask {
            expect_type(self.name(), "mask", inputs[2], &dx)?;
        }
        Ok(vec![dx])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let sizes = self
            .sizes(inputs[0].shape(), inputs[1].shape())
            .expect("infer accepted the shapes");
        let (dy, weight) = (inputs[0].floats(), inputs[1].floats());
        let mut dx = vec![0.0; sizes.x().iter().product()];
        sizes.for_each(|at_x, at_w, at_y| dx[at_x] += dy[at_y] * weight[at_w]);
        super::finish(&mut dx, false, self.mask.then(|| inputs[2]));
        vec![Array::float(sizes.x(), dx)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        super::expect_unfused(self.name(), self.mask)?;
        let kernel = match g.shape(at.inputs[1])?[..] {
            [.., r, s] => [r, s],
            _ => return Err(Error::shape("conv2d_grad_input: weight must have 4 axes")),
        };
        let forward = g.conv2d(dy[0], at.inputs[1], None, self.conv)?;
        let conv = self.conv;
        let dweight = g.add1(Conv2dGradWeight { conv, kernel }, &[dy[0], at.inputs[0]])?;
        Ok(vec![Some(forward), Some(dweight)])
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
        io.whole(self.name())?;
        let sizes = self.sizes(&io.inputs[0].shape, &io.inputs[1].shape)?;
        let end = End::new(self.name(), false, false, self.mask, io)?;
        if caps.body == Body::Registers {
            sizes.lower_grad_input_registers(end, caps, out);
            return Ok(());
        }
        let [h, w] = sizes.input;
        let [r, s] = sizes.window.kernel;
        let product = Product {
            m: sizes.c / sizes.groups,
            n: sizes.n * h * w,
            k: sizes.o / sizes.groups * r * s,
            groups: sizes.groups,
        };
        sizes.lower_shared(io, Map::GradInput, product, end, out);
        Ok(())
    }
}

impl Conv2dGradWeight {
    fn sizes(&self, x: &[usize], dy: &[usize]) -> Result<Sizes> {
        let (&[_, c, ..], &[_, o, ..]) = (x, dy) else {
            return Err(Error::shape(format!(
                "conv2d_grad_weight: input {x:?} and dy {dy:?} must have 4 axes"
            )));
        };
        let per_group = c / self.conv.groups.max(1);
        let [r, s] = self.kernel;
        let weight = [o, per_group, r, s];
        let sizes = Sizes::new("conv2d_grad_weight", &self.conv, x, &weight)?;
        if sizes.y() != dy {
            return Err(Error::shape(format!(
                "conv2d_grad_weight: dy {dy:?} is not the output {:?} of input {x:?}",
                sizes.y()
            )));
        }
        Ok(sizes)
    }
}

impl Op for Conv2dGradWeight {
    fn name(&self) -> &'static str {
        "conv2d_grad_weight"
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
        let mut dweight = vec![0.0; sizes.weight().iter().product()];
        sizes.for_each(|at_x, at_w, at_y| dweight[at_w] += x[at_x] * dy[at_y]);
        vec![Array::float(sizes.weight(), dweight)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let input = match g.shape(at.inputs[0])?[..] {
            [.., h, w] => [h, w],
            _ => return Err(Error::shape("conv2d_grad_weight: input must have 4 axes")),
        };
        let conv = self.conv;
        let grad_input = Conv2dGradInput {
            conv,
            input,
            mask: false,
        };
        let dx = g.add1(grad_input, &[at.inputs[1], dy[0]])?;
        let ddy = g.conv2d(at.inputs[0], dy[0], None, conv)?;
        Ok(vec![Some(dx), Some(ddy)])
    }

    fn split(&self) -> Split {
        Split::Sum(&[0, 1])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        io.whole(self.name())?;
        let sizes = self.sizes(&io.inputs[0].shape, &io.inputs[1].shape)?;
        if caps.body == Body::Registers {
            sizes.lower_grad_weight_registers(out);
            return Ok(());
        }
        let [oh, ow] = sizes.output;
        let product = Product {
            m: sizes.o / sizes.groups,
            n: sizes.taps(),
            k: sizes.n * oh * ow,
            groups: sizes.groups,
        };
        sizes.lower_shared(io, Map::GradWeight, product, End::None, out);
        Ok(())
    }
}

/// Which product a convolution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Map {
    Forward,
    GradInput,
    GradWeight,
}

impl Sizes {
    /// Weights per filter.
    fn taps(&self) -> usize {
        let [r, s] = self.window.kernel;
        self.c / self.groups * r * s
    }

    fn lower_shared(&self, io: &Io, map: Map, product: Product, end: End, out: &mut Lowering) {
        if io.outputs[0].count() == 0 {
            return;
        }
        let width = match map {
            Map::Forward | Map::GradInput => product.m,
            Map::GradWeight => product.m.min(product.n),
        };
        let tiling = product.tiling(width, map == Map::GradWeight);
        let (y, part) = match tiling.splits {
            1 => (Operand::Output(0), 0),
            splits => split_scratch(out, splits, &io.outputs[0]),
        };
        let dispatch = Dispatch::of(Cow::Owned(shared_kernel(map, end)), tiling.overrides)
            .read(Operand::Input(0))
            .read(Operand::Input(1));
        let dispatch = product.params(&tiling, part, end.bind(dispatch, y));
        out.push(self.params(dispatch));
        if tiling.splits > 1 {
            let to = Target::all(Operand::Output(0), product.n);
            sum_parts(y, tiling.splits, &io.outputs[0], to, out);
        }
    }

    fn params(&self, dispatch: Dispatch) -> Dispatch {
        let Window2d {
            kernel,
            stride,
            before,
            dilation,
            ..
        } = self.window;
        dispatch
            .param("groups", self.groups)
            .param("channels", self.c / self.groups)
            .param("outs", self.o / self.groups)
            .param("height", self.input[0])
            .param("width", self.input[1])
            .param("out_height", self.output[0])
            .param("out_width", self.output[1])
            .param("kernel_h", kernel[0])
            .param("kernel_w", kernel[1])
            .param("stride_h", stride[0])
            .param("stride_w", stride[1])
            .param("dilation_h", dilation[0])
            .param("dilation_w", dilation[1])
            .param("pad_h", before[0])
            .param("pad_w", before[1])
    }
}

fn shared_kernel(map: Map, end: End) -> Kernel {
    let [
        body,
        params,
        y,
        forward,
        grad_input,
        grad_weight,
        grid,
        float,
        pad,
    ] = *shader_files![
        "gemm_shared",
        "conv_params",
        "y_elements",
        "conv_forward_shared",
        "conv_grad_input_shared",
        "conv_grad_weight_shared",
        "lib/grid",
        "lib/float",
        "lib/pad",
    ];
    let (name, map) = match map {
        Map::Forward => ("conv_forward_shared", forward),
        Map::GradInput => ("conv_grad_input_shared", grad_input),
        Map::GradWeight => ("conv_grad_weight_shared", grad_weight),
    };
    let (end_name, end) = end.file();
    Kernel::composed(
        format!("{name}{end_name}"),
        vec![body, params, map, end, y, grid, float, pad],
        SHARED_VARIANTS,
    )
}

/// Every kernel of this file.
pub(super) fn kernels() -> Vec<Kernel> {
    let forward = [End::None, End::Relu, End::Bias, End::BiasRelu].map(|end| (Map::Forward, end));
    let grad_input = [End::None, End::Mask, End::MaskInPlace].map(|end| (Map::GradInput, end));
    let grad_weight = [(Map::GradWeight, End::None)];
    let all = forward.into_iter().chain(grad_input).chain(grad_weight);
    all.map(|(map, end)| shared_kernel(map, end)).collect()
}
