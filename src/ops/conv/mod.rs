//! Convolution (cross-correlation, as PyTorch's) over one, two or three axes and its two gradients,
//! each an op of its own. A transposed convolution is the gradient of the input, with extents of
//! its own.

mod choose;
mod classes;
mod cpu;
mod direct;
mod direct_kernels;
mod filters;
mod geometry;
mod implicit_gemm;
mod pack;
mod pieces;
mod settings;
mod walk;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{EvalSplit, Graph, Node, Op, Value};
use crate::kernel::{Caps, Io, Kernel, Lowering, Operand, Rows, overlaps};
use crate::shape::{Shape, Type};
use crate::tensor::Array;

use crate::lowering::Cut;
use crate::lowering::gemm::{End, MASK_PAIR, Target, reusing, run_scratch, sum_runs};
use crate::lowering::reduction::{Fold, lower_reduction};
use crate::ops::reduce::Sum;
use crate::ops::{expect_f32, expect_inputs, expect_type};
use choose::{ConvKernels, Map};
use filters::Filters;
use geometry::Sizes;
pub use settings::{
    Conv, Conv1d, Conv2d, Conv3d, ConvTranspose, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d,
};
pub use walk::{ConvTransposeWalk, ConvWalk};
use walk::{FORWARD, GRAD_INPUT, GRAD_WEIGHT, TRANSPOSED};

/// Every kernel of the family.
pub(super) fn kernels() -> Vec<Kernel> {
    let fixed = [direct_kernels::KERNELS, pack::KERNELS, cpu::KERNELS].concat();
    let composed = [
        implicit_gemm::kernels(),
        direct_kernels::kernels(),
        cpu::kernels(),
    ]
    .concat();
    fixed.into_iter().cloned().chain(composed).collect()
}

// Parameters; the settings and builders are in `settings.rs`.

/// `y[n, o, i..] = bias[o] + sum over c, r.. of x[n, c, i * stride + r * dilation - padding ..] *
/// weight[o, c, r..]`.
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
/// Inputs: dy `[N, O, ..]`, weight `[O, C / groups, ..]`, then the mask `[N, C, ..]` if `mask` or
/// the bias `[C]` if `bias`. Output: dx `[N, C, ..]`.
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

/// The gradient of a convolution with respect to its weight, and to its bias if it has one.
///
/// Inputs: x `[N, C, ..]`, dy `[N, O, ..]`. Output 0: dweight `[O, C / groups, ..]`; output 1, if
/// `bias`: dbias `[O]`, the sum of dy over all axes but that of the channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvGradWeight {
    /// The walk of the forward convolution.
    pub conv: ConvWalk,
    /// Extents of its kernel along three axes, those that are not there first and 1.
    pub kernel: [usize; 3],
    /// Whether output 1 is the gradient of a bias.
    pub bias: bool,
}

// Shape rule.

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
    let axes = all_but_channels(g.shape(dy)?);
    g.sum(dy, &axes, false)
}

/// The axes of `y [N, C, ..]` over which the gradient of a bias sums.
fn all_but_channels(y: &Shape) -> Vec<usize> {
    (0..y.len()).filter(|&axis| axis != 1).collect()
}

impl ConvForward {
    fn sizes(&self, x: &[usize], weight: &[usize]) -> Result<Sizes> {
        Sizes::new(self.name(), &self.conv, x, weight)
    }
}

impl Op for ConvForward {
    fn name(&self) -> &'static str {
        self.conv.axes.op(FORWARD)
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
        crate::ops::finish(&mut y, self.relu, None);
        vec![Array::float(sizes.y(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        crate::ops::expect_unfused(self.name(), self.relu)?;
        let (x, weight, dy) = (at.inputs[0], at.inputs[1], dy[0]);
        let sizes = self.sizes(g.shape(x)?, g.shape(weight)?)?;
        let dx = g.apply1(ConvGradInput::of(&sizes), &[dy, weight])?;
        let others = g.apply(ConvGradWeight::of(&sizes, self.bias), &[x, dy])?;
        Ok([dx].into_iter().chain(others).map(Some).collect())
    }

    fn multiply_adds(&self, inputs: &[&Type]) -> u64 {
        let sizes = self.sizes(&inputs[0].shape, &inputs[1].shape);
        sizes.map_or(0, |sizes| sizes.multiply_adds())
    }

    fn product(&self, inputs: &[&Type]) -> Option<String> {
        let sizes = self.sizes(&inputs[0].shape, &inputs[1].shape).ok()?;
        Some(sizes.named(self.name()))
    }

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let sizes = self.sizes(&io.inputs[0].shape, &io.inputs[1].shape)?;
        let end = End::new(self.name(), self.bias, self.relu, false, io)?;
        choose::lower(&sizes, Map::Forward, io, end, caps, out);
        Ok(())
    }
}

impl ConvGradInput {
    /// The plain gradient of a convolution of these extents.
    fn of(sizes: &Sizes) -> Self {
        Self {
            conv: sizes.walk,
            input: sizes.input,
            mask: false,
            bias: false,
            transposed: false,
        }
    }

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
        let x = self.conv.axes.shape(n, c, self.input);
        let sizes = Sizes::new(op, &self.conv, &x, weight)?;
        sizes.expect_dy(op, dy)?;
        Ok(sizes)
    }
}

impl Op for ConvGradInput {
    fn name(&self) -> &'static str {
        self.conv.axes.op(match self.transposed {
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
        crate::ops::finish(&mut dx, false, self.mask.then(|| inputs[2]));
        vec![Array::float(sizes.x(), dx)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, ddx: &[Value]) -> Result<Vec<Option<Value>>> {
        crate::ops::expect_unfused(self.name(), self.mask)?;
        let (dy, weight, ddx) = (at.inputs[0], at.inputs[1], ddx[0]);
        let sizes = self.sizes(g.shape(dy)?, g.shape(weight)?)?;
        let mut gradients = vec![
            Some(g.conv(ddx, weight, None, self.conv)?),
            Some(g.apply1(ConvGradWeight::of(&sizes, false), &[ddx, dy])?),
        ];
        if self.bias {
            gradients.push(Some(bias_gradient(g, ddx)?));
        }
        Ok(gradients)
    }

    fn multiply_adds(&self, inputs: &[&Type]) -> u64 {
        let sizes = self.sizes(&inputs[0].shape, &inputs[1].shape);
        sizes.map_or(0, |sizes| sizes.multiply_adds())
    }

    fn product(&self, inputs: &[&Type]) -> Option<String> {
        let sizes = self.sizes(&inputs[0].shape, &inputs[1].shape).ok()?;
        Some(sizes.named(self.name()))
    }

    fn in_place(&self) -> &[(usize, usize)] {
        if self.mask { MASK_PAIR } else { &[] }
    }

    fn split(&self) -> EvalSplit {
        if self.mask {
            EvalSplit::Rows(&[0, 2])
        } else {
            EvalSplit::Rows(&[0])
        }
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let sizes = self.sizes(&io.inputs[0].shape, &io.inputs[1].shape)?;
        let end = End::new(self.name(), self.bias, false, self.mask, io)?;
        choose::lower(&sizes, Map::GradInput, io, end, caps, out);
        Ok(())
    }
}

impl ConvGradWeight {
    /// The gradient of a convolution of these extents.
    fn of(sizes: &Sizes, bias: bool) -> Self {
        Self {
            conv: sizes.walk,
            kernel: sizes.window.map(|window| window.kernel),
            bias,
        }
    }

    fn sizes(&self, x: &[usize], dy: &[usize]) -> Result<Sizes> {
        let op = self.name();
        let (&[_, c, ..], &[_, o, ..]) = (x, dy) else {
            return Err(self.conv.wrong_axes(op, x, dy));
        };
        let per_group = c / self.conv.groups.max(1);
        let weight = self.conv.axes.shape(o, per_group, self.kernel);
        let sizes = Sizes::new(op, &self.conv, x, &weight)?;
        sizes.expect_dy(op, dy)?;
        Ok(sizes)
    }
}

impl Op for ConvGradWeight {
    fn name(&self) -> &'static str {
        self.conv.axes.op(GRAD_WEIGHT)
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), "input", inputs[0])?;
        expect_f32(self.name(), "dy", inputs[1])?;
        let sizes = self.sizes(&inputs[0].shape, &inputs[1].shape)?;
        let dweight = Type::f32(sizes.weight());
        Ok(match self.bias {
            false => vec![dweight],
            true => vec![dweight, Type::f32([sizes.o])],
        })
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let sizes = self
            .sizes(inputs[0].shape(), inputs[1].shape())
            .expect("infer accepted the shapes");
        let (x, dy) = (inputs[0].floats(), inputs[1].floats());
        let mut dweight = vec![0.0; sizes.weight().count()];
        sizes.for_each(|at_x, at_w, at_y| dweight[at_w] += x[at_x] * dy[at_y]);
        let mut gradients = vec![Array::float(sizes.weight(), dweight)];
        if self.bias {
            let plane = plane(inputs[1].shape());
            let mut dbias = vec![0.0; sizes.o];
            for (i, dy) in dy.iter().enumerate() {
                dbias[i / plane % sizes.o] += dy;
            }
            gradients.push(Array::float([sizes.o], dbias));
        }
        gradients
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, ddw: &[Value]) -> Result<Vec<Option<Value>>> {
        let (x, dy) = (at.inputs[0], at.inputs[1]);
        let sizes = self.sizes(g.shape(x)?, g.shape(dy)?)?;
        let dx = g.apply1(ConvGradInput::of(&sizes), &[dy, ddw[0]])?;
        let ddy = g.conv(x, ddw[0], ddw.get(1).copied(), self.conv)?;
        Ok(vec![Some(dx), Some(ddy)])
    }

    fn multiply_adds(&self, inputs: &[&Type]) -> u64 {
        let sizes = self.sizes(&inputs[0].shape, &inputs[1].shape);
        sizes.map_or(0, |sizes| sizes.multiply_adds())
    }

    fn product(&self, inputs: &[&Type]) -> Option<String> {
        let sizes = self.sizes(&inputs[0].shape, &inputs[1].shape).ok()?;
        Some(sizes.named(self.name()))
    }

    fn split(&self) -> EvalSplit {
        EvalSplit::Sum(&[0, 1])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let sizes = self.sizes(&io.inputs[0].shape, &io.inputs[1].shape)?;
        let filter = sizes.filter();
        if sizes.o * filter == 0 {
            return self.lower_bias(io, caps, out);
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
        let parts = &io.output_parts[0];
        let blocks = Filters::in_parts(&sizes, parts);
        // In registers the sums of dy come from the same kernel, where one run of images makes all
        // of both outputs.
        let whole = runs.len() == 1 && io.output_parts.iter().all(|parts| parts.len() == 1);
        let (kernels, _) = choose::kernels(&sizes, Map::GradWeight, parts.len() == 1, caps);
        let together = self.bias && whole && kernels == ConvKernels::Cpu;
        let dbias = together.then_some(Operand::Output(1));
        if dbias.is_none() {
            self.lower_bias(io, caps, out)?;
        }
        let longest = blocks.iter().map(Filters::count).max().unwrap_or(0);
        let scratch = run_scratch(out, runs.len(), longest * filter);
        let base = out.scratch.len();
        for filters in &blocks {
            let to = Target {
                part: filters.part,
                first: filters.first * filter,
                ..Target::all(Operand::Output(0), filter)
            };
            let block = [filters.count(), filter];
            sum_runs(runs.len(), block, to, &scratch, out, |run, to, out| {
                reusing(base, out, |out| {
                    let run = &runs[run];
                    choose::lower_grad_weight(&sizes, run, filters, to, dbias, caps, out);
                });
            });
        }
        Ok(())
    }
}

impl ConvGradWeight {
    /// The sum over a dy of this shape that is the gradient of the bias.
    pub(crate) fn bias_alone(dy: &Shape) -> Sum {
        Sum {
            axes: all_but_channels(dy),
            keep: false,
            mean: false,
        }
    }

    /// Emits the gradient of the bias on its own.
    fn lower_bias(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        if !self.bias {
            return Ok(());
        }
        let (dy, dbias) = (Cut::input(io, 1), Cut::output(io, 1));
        let axes = all_but_channels(dy.shape);
        lower_reduction(self.name(), Fold::sum(1.0), dy, &axes, dbias, caps, out)
    }
}
