//! States that take up a value in each step: sums of gradients over batches, moving averages of
//! parameters.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Access, Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, source};
use crate::shape::Type;
use crate::tensor::Array;

use crate::lowering::runs::{copy_aside, runs};
use crate::ops::optim::schedule::step;
use crate::ops::{expect_clock, expect_f32, expect_inputs, expect_type};

// Parameters and builder.

/// An exponential moving average, as PyTorch's `torch.optim.swa_utils.get_ema_multi_avg_fn` and
/// timm's `ModelEmaV3`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ema {
    /// Share of the old average that stays, in [0, 1].
    pub decay: f64,
    /// Steps before which the average is a copy (timm's `update_after_step`).
    pub start: u32,
    /// How the share rises at first.
    pub warmup: Option<Warmup>,
}

/// While 1 - (1 + t / gamma)^-power is less than an average's decay, it stands for it (timm's
/// `use_warmup`, after K. Crowson).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Warmup {
    /// Steps that count as one; above 0.
    pub gamma: f64,
    /// The exponent; above 0.
    pub power: f64,
}

impl Ema {
    /// An average with this decay from the first step on.
    pub fn new(decay: f64) -> Self {
        Self {
            decay,
            start: 0,
            warmup: None,
        }
    }

    /// Raises the decay slowly, with timm's gamma 1 and power 2/3.
    pub fn warmup(mut self) -> Self {
        self.warmup = Some(Warmup {
            gamma: 1.0,
            power: 2.0 / 3.0,
        });
        self
    }
}

impl fmt::Display for Ema {
    /// For people, without what is at its default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "moving average with decay {}", self.decay)?;
        if self.start > 0 {
            write!(f, " from step {} on", self.start)?;
        }
        match self.warmup {
            Some(Warmup { gamma, power }) => {
                write!(f, ", warmed up with gamma {gamma} and power {power:.2}")
            }
            None => Ok(()),
        }
    }
}

/// What a [`Blend`] makes of its states.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Blending {
    /// The sum of all values.
    Sum,
    /// The mean of all values (stochastic weight averaging).
    Mean,
    /// Their moving average.
    Ema(Ema),
}

impl Blending {
    fn start(&self) -> u32 {
        match self {
            Blending::Ema(ema) => ema.start,
            _ => 0,
        }
    }

    /// Whether the old state stays whole, the least share of the new value, and (gamma, power) of
    /// its fall towards it, power 0 for none.
    fn shares(&self) -> (bool, f64, [f64; 2]) {
        match self {
            Blending::Sum => (true, 1.0, [1.0, 0.0]),
            Blending::Mean => (false, 0.0, [1.0, 1.0]),
            Blending::Ema(ema) => {
                let fall = ema.warmup.map_or([1.0, 0.0], |w| [w.gamma, w.power]);
                (false, 1.0 - ema.decay, fall)
            }
        }
    }
}

/// New states: the value itself in the first step, then keep * state + add * value. A sum keeps and
/// adds all; otherwise keep = 1 - add and add = max(1 - decay, (1 + t / gamma)^-power), t steps
/// after the first.
///
/// Inputs: n states, n values, a clock `u32 [4]`. Outputs: n states, in place where the plan
/// allows.
#[derive(Debug, Clone, PartialEq)]
pub struct Blend {
    blending: Blending,
    count: usize,
    in_place: Vec<(usize, usize)>,
}

impl Blend {
    /// The op for `count` states.
    pub fn new(blending: Blending, count: usize) -> Self {
        let in_place = (0..count).map(|i| (i, i)).collect();
        Self {
            blending,
            count,
            in_place,
        }
    }
}

/// # Moving averages
impl Graph {
    /// What becomes of `states` that take up `values` in the step of `clock` (see [`Blend`]).
    /// Assigning them is left to the caller.
    pub fn blend(
        &mut self,
        blending: Blending,
        states: &[Value],
        values: &[Value],
        clock: Value,
    ) -> Result<Vec<Value>> {
        let inputs = [states, values, &[clock]].concat();
        self.apply(Blend::new(blending, states.len()), &inputs)
    }
}

impl Op for Blend {
    fn name(&self) -> &'static str {
        "blend"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        let n = self.count;
        expect_inputs("blend", inputs, 2 * n + 1)?;
        if let Blending::Ema(Ema { decay, warmup, .. }) = self.blending {
            let rises = |w: Warmup| {
                [w.gamma, w.power]
                    .into_iter()
                    .all(|x| x > 0.0 && x.is_finite())
            };
            if !(0.0..=1.0).contains(&decay) || !warmup.is_none_or(rises) {
                return Err(Error::shape(format!(
                    "blend: decay {decay} is not in [0, 1], or {warmup:?} not above 0"
                )));
            }
        }
        for (state, value) in inputs[..n].iter().zip(&inputs[n..2 * n]) {
            expect_f32("blend", "a state", state)?;
            expect_type("blend", "a value", value, state)?;
        }
        expect_clock("blend", inputs[2 * n])?;
        Ok(inputs[..n].iter().map(|&ty| ty.clone()).collect())
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let n = self.count;
        let t = step(inputs[2 * n]).saturating_sub(self.blending.start());
        let (whole, rest, [gamma, power]) = self.blending.shares();
        let fall = match power {
            0.0 => 0.0,
            _ => (1.0 + f64::from(t) / gamma).powf(-power),
        };
        let add = rest.max(fall);
        let keep = if whole { 1.0 } else { 1.0 - add };
        let blended = |state: &Array, value: &Array| {
            let pairs = state.floats().iter().zip(value.floats());
            let y = pairs.map(|(s, x)| if t == 0 { *x } else { keep * s + add * x });
            Array::float(state.shape().clone(), y.collect())
        };
        (0..n).map(|i| blended(inputs[i], inputs[n + i])).collect()
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        let message = "blend: a state that takes up values has no gradient";
        Err(Error::new(ErrorKind::NotDifferentiable, message))
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &self.in_place
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let n = self.count;
        copy_aside(io, &self.in_place, out);
        let operands = |i| vec![Operand::Output(i), Operand::Input(n + i)];
        let (whole, rest, [gamma, power]) = self.blending.shares();
        for run in runs(io, caps, n, operands, |_| true) {
            let dispatch = Dispatch::new(&BLEND, VARIANTS[0]);
            let dispatch = run.bind(dispatch, Access::ReadWrite, Operand::Output);
            let dispatch = run.bind(dispatch, Access::Read, |i| Operand::Input(n + i));
            out.push(
                dispatch
                    .uniform(Operand::Input(2 * n))
                    .param("quads", run.quads())
                    .param("start", self.blending.start() as usize)
                    .param("whole", whole.into())
                    .param_f32("rest", rest as f32)
                    .param_f32("per_gamma", (1.0 / gamma) as f32)
                    .param_f32("power", power as f32)
                    .workgroups(run.quads().div_ceil(WORKGROUP)),
            );
        }
        Ok(())
    }
}

const WORKGROUP: usize = 64;

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static BLEND: Kernel = Kernel::new("blend", &[source!("optim/blend")], VARIANTS);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&BLEND];
