//! The norm of all gradients, and the factor that clips it.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{
    Access, Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, looped, source, turns_within,
};
use crate::shape::Type;
use crate::tensor::{Array, Tensor};

use crate::lowering::runs::runs;
use crate::ops::{expect_f32, expect_inputs, expect_type};

// Parameters and builder.

/// The norm of n gradients taken as one vector, and a factor for all of them that makes it at most
/// `max_norm`, as PyTorch's `clip_grad_norm_` with the 2-norm.
///
/// Inputs: n gradients, a factor on them `f32 []`. Outputs: norm = factor * sqrt(sum of g^2) and
/// scale = factor * min(1, max_norm / (norm + 1e-6)), both `f32 []`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClipGradNorm {
    /// The largest norm that stays; at least 0. Infinity only measures, but an infinite norm still
    /// makes `scale` NaN.
    pub max_norm: f64,
    /// Number of gradients.
    pub count: usize,
}

/// # Clipping of gradients
impl Graph {
    /// (norm, scale): the norm of `grads` times `factor` (1 without one) taken as one vector, and
    /// what each of them must be multiplied by so that it is at most `max_norm`, `factor` included
    /// (see [`ClipGradNorm`]).
    pub fn clip_grad_norm(
        &mut self,
        grads: &[Value],
        max_norm: f64,
        factor: Option<Value>,
    ) -> Result<(Value, Value)> {
        let factor = match factor {
            Some(factor) => factor,
            None => self.constant(Tensor::scalar(1.0))?,
        };
        let count = grads.len();
        let op = ClipGradNorm { max_norm, count };
        let outputs = self.apply(op, &[grads, &[factor]].concat())?;
        Ok((outputs[0], outputs[1]))
    }
}

/// Added to the norm by which is divided, as PyTorch does.
const EPS: f64 = 1e-6;

impl Op for ClipGradNorm {
    fn name(&self) -> &'static str {
        "clip_grad_norm"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        let name = self.name();
        expect_inputs(name, inputs, self.count + 1)?;
        if self.max_norm.is_nan() || self.max_norm < 0.0 {
            return Err(Error::shape(format!(
                "{name}: max_norm {} is not a number of at least 0",
                self.max_norm
            )));
        }
        let (factor, grads) = (inputs[self.count], &inputs[..self.count]);
        for ty in grads {
            expect_f32(name, "a gradient", ty)?;
        }
        expect_type(name, "factor", factor, &Type::f32([]))?;
        Ok(vec![Type::f32([]), Type::f32([])])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (grads, last) = inputs.split_at(self.count);
        let factor = last[0].floats()[0];
        let mut sum = 0.0;
        for g in grads.iter().flat_map(|grad| grad.floats()) {
            sum += g * g;
        }
        let norm = factor * sum.sqrt();
        let mut scale = self.max_norm / (norm + EPS);
        if scale > 1.0 {
            scale = 1.0;
        }
        let scalar = |x: f64| Array::float([], vec![x]);
        vec![scalar(norm), scalar(factor * scale)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        let message = "clip_grad_norm: the norm of gradients has no gradient";
        Err(Error::new(ErrorKind::NotDifferentiable, message))
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let grads = self.count;
        // A run may only hold gaps that nobody writes: a last vec4 that is not full may hold
        // anything beyond its elements.
        let full = |ty: &Type| ty.count().is_multiple_of(4);
        // An infinite bound stays one: Inf / Inf is NaN, as the reference says.
        let max_norm = match self.max_norm {
            f64::INFINITY => f32::INFINITY,
            finite => finite.min(f64::from(f32::MAX)) as f32,
        };
        let runs = runs(io, caps, grads, |i| vec![Operand::Input(i)], full);
        let runs = runs.into_iter().filter(|run| run.count > 0);
        let invocations = |count: usize| invocations(count, caps.max_turns);
        let mut dispatches = Vec::new();
        let mut parts = 0;
        for run in runs {
            let dispatch = Dispatch::new(&GRADIENT_NORM_PART, VARIANTS[0]);
            let dispatch = run.bind(dispatch, Access::Read, Operand::Input);
            dispatches.push((dispatch, run.count, parts));
            parts += invocations(run.count);
        }
        let mut norms = out.scratch(Type::f32([parts.max(4)]));
        for (dispatch, count, first) in dispatches {
            out.push(part(dispatch, [count, invocations(count)], norms, first));
        }
        // The norm of norms is the norm of all.
        while parts
            > LAST
                .min(turns_within(caps.max_turns, 0).saturating_mul(4))
                .max(4)
        {
            let stride = invocations(parts);
            let next = out.scratch(Type::f32([stride]));
            let dispatch = Dispatch::new(&GRADIENT_NORM_PART, VARIANTS[0]).read(norms);
            out.push(part(dispatch, [parts, stride], next, 0));
            (norms, parts) = (next, stride);
        }
        out.push(
            Dispatch::new(&GRADIENT_NORM, VARIANTS[0])
                .read(norms)
                .write(Operand::Output(0))
                .write(Operand::Output(1))
                .uniform(Operand::Input(grads))
                .param("count", parts)
                .param("stride", 1)
                .param_f32("max_norm", max_norm)
                .turns(looped(parts.div_ceil(4), 0))
                .workgroups(1),
        );
        Ok(())
    }
}

/// Elements that one invocation takes, about.
const SERIAL: usize = 128;
/// Invocations that are enough to fill a device.
const INVOCATIONS: usize = 16_384;
/// Elements that are few enough for a single invocation at the end.
const LAST: usize = 1024;

/// How many invocations share `count` elements, so that none takes more turns: a multiple of 4, so
/// that what they store consists of whole quads.
fn invocations(count: usize, max_turns: u64) -> usize {
    let least = count.div_ceil(4).div_ceil(turns_within(max_turns, 0));
    let wanted = count.div_ceil(SERIAL).min(INVOCATIONS);
    wanted.max(least).next_multiple_of(4)
}

/// Norms of the elements that each of `stride` invocations takes, stored from element `first` on.
fn part(dispatch: Dispatch, [count, stride]: [usize; 2], norms: Operand, first: usize) -> Dispatch {
    dispatch
        .write(norms)
        .param("count", count)
        .param("stride", stride)
        .param("first", first)
        .turns(looped(count.div_ceil(4).div_ceil(stride), 0))
        .workgroups(stride.div_ceil(WORKGROUP))
}

const WORKGROUP: usize = 64;

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static GRADIENT_NORM_PART: Kernel = Kernel::new(
    "gradient_norm_part",
    &[
        source!("optim/gradient_norm"),
        source!("optim/gradient_norm_part"),
    ],
    VARIANTS,
);
static GRADIENT_NORM: Kernel = Kernel::new(
    "gradient_norm",
    &[
        source!("optim/gradient_norm"),
        source!("optim/gradient_norm_clip"),
    ],
    VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&GRADIENT_NORM_PART, &GRADIENT_NORM];
