//! Local response normalisation: x divided by a power of the mean square of its neighbours among
//! the channels.

use crate::error::{Error, Result};
use crate::graph::{EvalSplit, Graph, Node, Op, Value};
use crate::kernel::{
    Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, Rows, looped, overlaps, source,
};
use crate::shape::Type;
use crate::tensor::Array;

use crate::lowering::pieces::LONG;
use crate::ops::norm::local_response_norm_wide::Wide;
use crate::ops::{expect_f32, expect_inputs, expect_type, no_second_derivative};

// Parameters and builder.

/// x / (k + alpha / size * s)^beta, s being the sum of x^2 over `size` channels around that of x,
/// as PyTorch's `LocalResponseNorm`.
///
/// The window of channel c reaches from c - size / 2 to c + (size - 1) / 2; channels beyond the
/// image count as 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalResponseNorm {
    /// Channels of a window.
    pub size: usize,
    /// Factor on the mean square.
    pub alpha: f32,
    /// Power of the divisor.
    pub beta: f32,
    /// Added to the mean square.
    pub k: f32,
}

/// dx of a [`LocalResponseNorm`] from dy and x.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalResponseNormGrad(pub LocalResponseNorm);

impl LocalResponseNorm {
    /// A window of `size` channels with PyTorch's other numbers: alpha 1e-4, beta 0.75, k 1.
    pub fn new(size: usize) -> Self {
        Self {
            size,
            alpha: 1e-4,
            beta: 0.75,
            k: 1.0,
        }
    }

    /// Channels of a window before and after its own.
    pub(in crate::ops) fn reach(&self) -> [usize; 2] {
        [self.size / 2, (self.size - 1) / 2]
    }

    /// The factor on the sum of squares.
    pub(in crate::ops) fn share(&self) -> f64 {
        f64::from(self.alpha) / self.size as f64
    }

    /// The factor on the sum of shares in the gradient.
    pub(in crate::ops) fn factor(&self) -> f32 {
        (-2.0 * self.share() * f64::from(self.beta)) as f32
    }

    /// Turns of a sum over a window of channels of x.
    fn turns(&self, x: &Type) -> u64 {
        looped(self.size.min(x.shape[1]), 0)
    }

    /// The divisor of each element, before it is raised to beta.
    fn divisors(&self, x: &[f64], channels: usize, plane: usize) -> Vec<f64> {
        let squares: Vec<f64> = x.iter().map(|x| x * x).collect();
        let sums = self.sums(&squares, channels, plane, self.reach());
        let divisor = |sum| f64::from(self.k) + self.share() * sum;
        sums.into_iter().map(divisor).collect()
    }

    /// For each element the sum of `values` of the channels from `before` before to `after` after
    /// its own.
    fn sums(
        &self,
        values: &[f64],
        channels: usize,
        plane: usize,
        [before, after]: [usize; 2],
    ) -> Vec<f64> {
        let window = |channel: usize| {
            let last = channel.saturating_add(after).min(channels - 1);
            channel.saturating_sub(before)..=last
        };
        let mut sums: Vec<f64> = Vec::with_capacity(values.len());
        for i in 0..values.len() {
            let channel = i / plane % channels;
            let own = window(channel);
            // Windows of the same channels have the same sum.
            if channel > 0 && own == window(channel - 1) {
                sums.push(sums[i - plane]);
                continue;
            }
            sums.push(own.map(|c| values[i + c * plane - channel * plane]).sum());
        }
        sums
    }
}

/// # Local response normalisation
impl Graph {
    /// x `[n, c, ...]`, with at least 3 axes, each element divided by a power of the mean square of
    /// its neighbours among the channels.
    pub fn local_response_norm(&mut self, x: Value, norm: LocalResponseNorm) -> Result<Value> {
        self.apply1(norm, &[x])
    }
}

// Shape rule.

/// Channels and elements of a plane of x.
pub(in crate::ops) fn image(x: &Type) -> [usize; 2] {
    [x.shape[1], x.shape[2..].iter().product()]
}

impl Op for LocalResponseNorm {
    fn name(&self) -> &'static str {
        "local_response_norm"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), "x", inputs[0])?;
        if inputs[0].shape.len() < 3 {
            return Err(Error::shape(format!(
                "{}: x {} is not [batch, channels, ...] with at least 3 axes",
                self.name(),
                inputs[0].shape
            )));
        }
        if !(1..1 << 31).contains(&self.size) {
            return Err(Error::shape(format!(
                "{}: size {} must be at least 1 and below 2^31",
                self.name(),
                self.size
            )));
        }
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0].floats();
        let [channels, plane] = image(inputs[0].ty());
        let divisors = self.divisors(x, channels, plane);
        let response = |(x, d): (&f64, f64)| x / d.powf(f64::from(self.beta));
        let y = x.iter().zip(divisors).map(response).collect();
        vec![Array::float(inputs[0].shape().clone(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let dx = g.apply1(LocalResponseNormGrad(*self), &[dy[0], at.inputs[0]])?;
        Ok(vec![Some(dx)])
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0])
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let x = &io.inputs[0];
        for rows in overlaps(&[&io.input_parts[0], &io.output_parts[0]]) {
            let turns = self.turns(x);
            if turns > caps.max_turns.min(LONG) {
                Wide::new(self, x, &rows).lower_forward(&rows.part, out);
                continue;
            }
            let walk = ChannelWalk::new(x, &rows);
            let dispatch = walk
                .dispatch([&RESPONSE, &RESPONSE_QUADS])
                .read(Operand::Input(0))
                .part(rows.part[0])
                .write(Operand::Output(0))
                .part(rows.part[1])
                .param("count", walk.count)
                .param("base", walk.base)
                .param("store_base", walk.base);
            out.push(walk.window(dispatch, self, -self.beta).turns(turns));
        }
        Ok(())
    }
}

impl Op for LocalResponseNormGrad {
    fn name(&self) -> &'static str {
        "local_response_norm_grad"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        let dx = self.0.infer(&inputs[1..])?;
        expect_type(self.name(), "dy", inputs[0], inputs[1])?;
        Ok(dx)
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (dy, x) = (inputs[0].floats(), inputs[1].floats());
        let norm = &self.0;
        let [channels, plane] = image(inputs[1].ty());
        let divisors = norm.divisors(x, channels, plane);
        let beta = f64::from(norm.beta);
        // What each element adds to the gradients of its window, but for their common factor.
        let shares: Vec<f64> = (0..x.len())
            .map(|i| dy[i] * x[i] / divisors[i].powf(beta + 1.0))
            .collect();
        let [before, after] = norm.reach();
        let sums = norm.sums(&shares, channels, plane, [after, before]);
        let dx = (0..x.len())
            .map(|i| dy[i] / divisors[i].powf(beta) - 2.0 * norm.share() * beta * x[i] * sums[i]);
        vec![Array::float(inputs[1].shape().clone(), dx.collect())]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_second_derivative("local_response_norm"))
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0, 1])
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (norm, x) = (&self.0, &io.inputs[1]);
        let (dy, dx) = (Operand::Input(0), Operand::Output(0));
        for rows in overlaps(&[&io.input_parts[0], &io.input_parts[1], &io.output_parts[0]]) {
            let turns = norm.turns(x);
            // The gradient sums over two windows.
            if 2 * turns > caps.max_turns.min(LONG) {
                Wide::new(norm, x, &rows).lower_grad(&rows.part, out);
                continue;
            }
            let walk = ChannelWalk::new(x, &rows);
            let shares = out.scratch(Type::f32([rows.count * x.row()]));
            let both = |dispatch: Dispatch| {
                let dispatch = dispatch.read(dy).part(rows.part[0]);
                dispatch.read(Operand::Input(1)).part(rows.part[1])
            };
            let dispatch = both(walk.dispatch([&RESPONSE_SHARE, &RESPONSE_SHARE_QUADS]))
                .write(shares)
                .param("count", walk.count)
                .param("base", walk.base)
                .param("store_base", 0);
            out.push(walk.window(dispatch, norm, -norm.beta - 1.0).turns(turns));
            let dispatch = both(walk.dispatch([&RESPONSE_GRAD, &RESPONSE_GRAD_QUADS]))
                .read(shares)
                .write(dx)
                .part(rows.part[2])
                .param("count", walk.count)
                .param("base", walk.base);
            out.push(
                walk.window(dispatch, norm, -norm.beta)
                    .param_f32("factor", norm.factor())
                    .turns(2 * turns),
            );
        }
        Ok(())
    }
}

/// A run of rows in loads of one element or four.
struct ChannelWalk {
    lanes: usize,
    count: usize,
    base: usize,
    channels: usize,
    plane: usize,
}

impl ChannelWalk {
    /// x, its gradients and y are cut alike.
    fn new(x: &Type, rows: &Rows) -> Self {
        let [channels, plane] = image(x);
        let lanes = if plane.is_multiple_of(4) { 4 } else { 1 };
        Self {
            lanes,
            count: rows.count * x.row() / lanes,
            base: rows.first[0] * x.row() / lanes,
            channels,
            plane: plane / lanes,
        }
    }

    fn dispatch(&self, [elements, quads]: [&'static Kernel; 2]) -> Dispatch {
        let kernel = if self.lanes == 4 { quads } else { elements };
        Dispatch::new(kernel, VARIANTS[0])
    }

    fn window(&self, dispatch: Dispatch, norm: &LocalResponseNorm, power: f32) -> Dispatch {
        let [before, after] = norm.reach();
        dispatch
            .param("channels", self.channels)
            .param("plane", self.plane)
            .param("before", before)
            .param("after", after)
            .param_f32("alpha", norm.share() as f32)
            .param_f32("k", norm.k)
            .param_f32("power", power)
            .workgroups(self.count.div_ceil(WORKGROUP))
    }
}

const WORKGROUP: usize = 64;

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static RESPONSE: Kernel = Kernel::new(
    "local_response_norm",
    &[
        source!("norm/local_response_norm"),
        source!("norm/response_forward"),
        source!("norm/response_power"),
        source!("lib/elements"),
    ],
    VARIANTS,
);
static RESPONSE_QUADS: Kernel = Kernel::new(
    "local_response_norm_quads",
    &[
        source!("norm/local_response_norm"),
        source!("norm/response_forward"),
        source!("norm/response_power"),
        source!("lib/quads"),
    ],
    VARIANTS,
);
static RESPONSE_SHARE: Kernel = Kernel::new(
    "local_response_norm_share",
    &[
        source!("norm/local_response_norm"),
        source!("norm/response_share"),
        source!("norm/response_power"),
        source!("lib/elements"),
    ],
    VARIANTS,
);
static RESPONSE_SHARE_QUADS: Kernel = Kernel::new(
    "local_response_norm_share_quads",
    &[
        source!("norm/local_response_norm"),
        source!("norm/response_share"),
        source!("norm/response_power"),
        source!("lib/quads"),
    ],
    VARIANTS,
);
static RESPONSE_GRAD: Kernel = Kernel::new(
    "local_response_norm_grad",
    &[
        source!("norm/local_response_norm_grad"),
        source!("norm/response_power"),
        source!("lib/elements"),
    ],
    VARIANTS,
);
static RESPONSE_GRAD_QUADS: Kernel = Kernel::new(
    "local_response_norm_grad_quads",
    &[
        source!("norm/local_response_norm_grad"),
        source!("norm/response_power"),
        source!("lib/quads"),
    ],
    VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[
    &RESPONSE,
    &RESPONSE_QUADS,
    &RESPONSE_SHARE,
    &RESPONSE_SHARE_QUADS,
    &RESPONSE_GRAD,
    &RESPONSE_GRAD_QUADS,
];
