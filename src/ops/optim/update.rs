//! Optimizer updates over many parameters at once.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Access, Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, source};
use crate::shape::Type;
use crate::tensor::{Array, Tensor};

use crate::lowering::runs::{Run, copy_aside, runs};
use crate::ops::optim::rule::{AdagradRule, AdamRule, RmsPropRule, Rule};
use crate::ops::optim::schedule::step;
use crate::ops::{expect_clock, expect_f32, expect_inputs, expect_type};

// Parameters and builder.

/// One step of a [`Rule`] for n parameters.
///
/// Inputs: n parameters, n gradients, n of each moment, the learning rate `f32 []`, a factor on the
/// gradients `f32 []`, the clock `u32 [4]`. Outputs: n new parameters, n of each new moment.
/// Parameters and moments are updated in place where the plan allows.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    rule: Rule,
    count: usize,
    rate: f64,
    clip_value: Option<f64>,
    in_place: Vec<(usize, usize)>,
}

impl Update {
    /// The op for `count` parameters.
    pub fn new(rule: Rule, count: usize) -> Self {
        let parameters = (0..count).map(|i| (i, i));
        let moments = (count..count * (1 + rule.moments())).map(|o| (o + count, o));
        Self {
            rule,
            count,
            rate: 1.0,
            clip_value: None,
            in_place: parameters.chain(moments).collect(),
        }
    }

    /// Multiplies the learning rate by `factor`.
    pub fn rate(mut self, factor: f64) -> Self {
        self.rate = factor;
        self
    }

    /// Clamps each element of the gradients, once they are multiplied, to [-limit, limit], as
    /// PyTorch's `clip_grad_value_`.
    pub fn clip_value(mut self, limit: Option<f64>) -> Self {
        self.clip_value = limit;
        self
    }

    /// The rule that it applies.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// Inputs that are parameters, gradients and moments.
    fn tensors(&self) -> usize {
        self.count * (2 + self.rule.moments())
    }
}

/// What [`Graph::update`] reads, apart from the clock.
#[derive(Debug, Clone, Copy)]
pub struct Updating<'a> {
    /// Parameters.
    pub params: &'a [Value],
    /// A gradient for each.
    pub grads: &'a [Value],
    /// For each moment of the rule, one value per parameter.
    pub moments: &'a [Vec<Value>],
    /// The learning rate, `f32 []`.
    pub lr: Value,
    /// A factor on the gradients, `f32 []`: from clipping, or from the number of batches that they
    /// were added over.
    pub scale: Option<Value>,
}

/// What [`Graph::update`] makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated {
    /// New parameters.
    pub params: Vec<Value>,
    /// For each moment of the rule, its new values, one per parameter.
    pub moments: Vec<Vec<Value>>,
}

/// # Optimizer steps
impl Graph {
    /// One step of `rule`: new values of `params` and of each of the rule's `moments`, given
    /// `grads` in the order of `params` and the learning rate `lr`, an `f32 []`. Assigning them to
    /// the states is left to the caller.
    pub fn update(
        &mut self,
        rule: Rule,
        params: &[Value],
        grads: &[Value],
        moments: &[Vec<Value>],
        lr: Value,
    ) -> Result<Updated> {
        let scale = None;
        let values = Updating {
            params,
            grads,
            moments,
            lr,
            scale,
        };
        self.update_with(Update::new(rule, params.len()), values)
    }

    /// As [`update`](Self::update), with all settings.
    pub fn update_with(&mut self, op: Update, values: Updating<'_>) -> Result<Updated> {
        let Updating {
            params,
            grads,
            moments,
            lr,
            scale,
        } = values;
        let (rule, count) = (op.rule, op.count);
        if params.len() != count
            || grads.len() != count
            || moments.len() != rule.moments()
            || moments.iter().any(|m| m.len() != count)
        {
            let moments: Vec<usize> = moments.iter().map(Vec::len).collect();
            return Err(Error::shape(format!(
                "{}: {} parameters, {} gradients, {moments:?} moments; {count} of each and {} \
                 moments are needed",
                rule.name(),
                params.len(),
                grads.len(),
                rule.moments()
            )));
        }
        let scale = match scale {
            Some(scale) => scale,
            None => self.constant(Tensor::scalar(1.0))?,
        };
        let clock = self.clock()?;
        let mut inputs = [params, grads].concat();
        inputs.extend(moments.iter().flatten());
        inputs.extend([lr, scale, clock]);
        let mut outputs = self.apply(op, &inputs)?;
        let moments = match count {
            0 => vec![Vec::new(); rule.moments()],
            _ => outputs[count..].chunks(count).map(<[_]>::to_vec).collect(),
        };
        outputs.truncate(count);
        Ok(Updated {
            params: outputs,
            moments,
        })
    }
}

impl Op for Update {
    fn name(&self) -> &'static str {
        self.rule.name()
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        let name = self.name();
        self.rule.check()?;
        for (what, value) in [
            ("rate factor", self.rate),
            ("clip value", self.clip_value.unwrap_or(0.0)),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::shape(format!(
                    "{name}: {what} {value} is not a number of at least 0"
                )));
            }
        }
        expect_inputs(name, inputs, self.tensors() + 3)?;
        for (i, ty) in inputs[..self.tensors()].iter().enumerate() {
            expect_f32(name, "a parameter, gradient or moment", ty)?;
            let param = inputs[i % self.count];
            if *ty != param {
                let what = match i / self.count {
                    0 => "parameter".to_owned(),
                    1 => "gradient".to_owned(),
                    moment => format!("moment {}", moment - 1),
                };
                return Err(Error::shape(format!(
                    "{name}: {what} {} is {}, its parameter {}",
                    i % self.count,
                    ty.shape,
                    param.shape
                )));
            }
        }
        let scalars = &inputs[self.tensors()..];
        for (what, ty) in ["lr", "scale"].into_iter().zip(scalars) {
            expect_type(name, what, ty, &Type::f32([]))?;
        }
        expect_clock(name, scalars[2])?;
        let outputs = (0..self.count * (1 + self.rule.moments())).map(|o| o % self.count);
        Ok(outputs.map(|i| inputs[i].clone()).collect())
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let n = self.count;
        let scalars = &inputs[self.tensors()..];
        let (lr, scale) = (scalars[0].floats()[0], scalars[1].floats()[0]);
        let before = step(scalars[2]);
        let states = (0..n).chain(2 * n..self.tensors());
        let mut outputs: Vec<Vec<f64>> = states.map(|i| inputs[i].floats().to_vec()).collect();
        for i in 0..n {
            for (j, &grad) in inputs[n + i].floats().iter().enumerate() {
                let p = outputs[i][j];
                let mut g = grad * scale;
                if let Some(limit) = self.clip_value {
                    g = g.clamp(-limit, limit);
                }
                let decay = self.rule.coupled_decay();
                if decay != 0.0 {
                    g += decay * p;
                }
                let mut moments = [0.0; 3];
                let moments = &mut moments[..self.rule.moments()];
                for (m, moment) in moments.iter_mut().enumerate() {
                    *moment = outputs[(m + 1) * n + i][j];
                }
                outputs[i][j] = self.rule.step(p, g, moments, lr * self.rate, before);
                for (m, moment) in moments.iter().enumerate() {
                    outputs[(m + 1) * n + i][j] = *moment;
                }
            }
        }
        let shapes = (0..outputs.len()).map(|o| inputs[o % n].shape().clone());
        shapes
            .zip(outputs)
            .map(|(shape, values)| Array::float(shape, values))
            .collect()
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(Error::new(
            ErrorKind::NotDifferentiable,
            format!("{}: an update has no gradient", self.name()),
        ))
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &self.in_place
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        copy_aside(io, &self.in_place, out);
        let operands = |i: usize| {
            let moments = (0..self.rule.moments()).map(|m| self.moment(m, i));
            let mut operands = vec![Operand::Output(i), Operand::Input(self.count + i)];
            operands.extend(moments);
            operands
        };
        for run in runs(io, caps, self.count, operands, |_| true) {
            for stage in self.stages() {
                out.push(self.dispatch(&run, &stage));
            }
        }
        Ok(())
    }
}

/// One dispatch of a rule: the kernel, the moments that it binds, and its own params.
struct UpdateStage {
    kernel: &'static Kernel,
    moments: &'static [(usize, Access)],
    params: Vec<(&'static str, f64)>,
}

const FIRST: &[(usize, Access)] = &[(0, Access::ReadWrite)];
const SECOND: &[(usize, Access)] = &[(1, Access::ReadWrite), (2, Access::ReadWrite)];
const BOTH: &[(usize, Access)] = &[(0, Access::ReadWrite), (1, Access::ReadWrite)];
const FIRST_AND_LAST: &[(usize, Access)] = &[(0, Access::ReadWrite), (2, Access::ReadWrite)];

impl Update {
    /// Moment `m` of parameter `i`.
    fn moment(&self, m: usize, i: usize) -> Operand {
        Operand::Output((m + 1) * self.count + i)
    }

    /// The dispatches of a run. A rule whose states would take more than four storage buffers needs
    /// two: the first one updates averages and leaves the parameter as it is, the second one takes
    /// them as given.
    fn stages(&self) -> Vec<UpdateStage> {
        let flag = |set: bool| f64::from(u8::from(set));
        let stage = |kernel, moments, params| UpdateStage {
            kernel,
            moments,
            params,
        };
        // Below -1000 a power of beta is 0 in f32, whatever t is; ln(0) is not finite.
        let log = |beta: f64| beta.ln().max(-1000.0);
        match self.rule {
            Rule::Sgd(_) if self.rule.moments() == 0 => vec![stage(&SGD, &[], vec![])],
            Rule::Sgd(sgd) => vec![stage(
                &SGD_MOMENTUM,
                FIRST,
                vec![
                    ("momentum", sgd.momentum),
                    ("taken", 1.0 - sgd.dampening),
                    ("nesterov", flag(sgd.nesterov)),
                ],
            )],
            Rule::Adam(adam) => {
                let AdamRule { beta1, beta2, .. } = adam;
                let mut stages = Vec::new();
                if adam.amsgrad {
                    let params = vec![("beta2", beta2), ("rest2", 1.0 - beta2)];
                    stages.push(stage(&ADAM_MAX, SECOND, params));
                }
                let decay = if adam.decoupled {
                    adam.weight_decay
                } else {
                    0.0
                };
                stages.push(stage(
                    &ADAM,
                    if adam.amsgrad { FIRST_AND_LAST } else { BOTH },
                    vec![
                        ("decay", decay),
                        ("beta1", beta1),
                        ("rest1", 1.0 - beta1),
                        ("log_beta1", log(beta1)),
                        ("beta2", beta2),
                        ("rest2", 1.0 - beta2),
                        ("log_beta2", log(beta2)),
                        ("eps", adam.eps),
                        ("given", flag(adam.amsgrad)),
                    ],
                ));
                stages
            }
            Rule::RmsProp(RmsPropRule {
                alpha,
                eps,
                momentum,
                centered,
                ..
            }) => {
                let moments = momentum != 0.0;
                let rest = 1.0 - alpha;
                let mut stages = Vec::new();
                if centered {
                    let params = vec![
                        ("alpha", alpha),
                        ("rest", rest),
                        ("alpha_rest", alpha * rest),
                        ("eps", eps),
                        ("stays", flag(moments)),
                    ];
                    stages.push(stage(&RMSPROP_CENTERED, BOTH, params));
                }
                if moments {
                    let params = vec![
                        ("alpha", alpha),
                        ("rest", rest),
                        ("eps", eps),
                        ("momentum", momentum),
                        ("given", flag(centered)),
                    ];
                    let bound = if centered { FIRST_AND_LAST } else { BOTH };
                    stages.push(stage(&RMSPROP_MOMENTUM, bound, params));
                }
                if stages.is_empty() {
                    stages.push(square(alpha, rest, 0.0, eps));
                }
                stages
            }
            Rule::Adagrad(AdagradRule { lr_decay, eps, .. }) => {
                vec![square(1.0, 1.0, lr_decay, eps)]
            }
        }
    }

    /// One stage of the update of a run.
    fn dispatch(&self, run: &Run, stage: &UpdateStage) -> Dispatch {
        let n = self.count;
        let mut dispatch = Dispatch::new(stage.kernel, VARIANTS[0]);
        dispatch = run.bind(dispatch, Access::ReadWrite, Operand::Output);
        dispatch = run.bind(dispatch, Access::Read, |i| Operand::Input(n + i));
        for scalar in 0..3 {
            dispatch = dispatch.uniform(Operand::Input(self.tensors() + scalar));
        }
        for &(m, access) in stage.moments {
            dispatch = run.bind(dispatch, access, |i| self.moment(m, i));
        }
        dispatch = dispatch
            .param("quads", run.quads())
            .param_f32("rate", self.rate as f32)
            .param_f32("clip", self.clip_value.map_or(-1.0, |limit| limit as f32))
            .param_f32("weight_decay", self.rule.coupled_decay() as f32);
        for &(name, value) in &stage.params {
            dispatch = dispatch.param_f32(name, value as f32);
        }
        dispatch.workgroups(run.quads().div_ceil(WORKGROUP))
    }
}

/// The stage of a rule that divides by the root of one sum of squares.
fn square(kept: f64, rest: f64, lr_decay: f64, eps: f64) -> UpdateStage {
    UpdateStage {
        kernel: &ADAGRAD,
        moments: FIRST,
        params: vec![
            ("kept", kept),
            ("rest", rest),
            ("lr_decay", lr_decay),
            ("eps", eps),
        ],
    }
}

const WORKGROUP: usize = 64;

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static SGD: Kernel = Kernel::new(
    "sgd",
    &[source!("optim/update"), source!("optim/sgd_plain")],
    VARIANTS,
);
static SGD_MOMENTUM: Kernel = Kernel::new(
    "sgd_momentum",
    &[source!("optim/update"), source!("optim/sgd_momentum")],
    VARIANTS,
);
static ADAM: Kernel = Kernel::new(
    "adam",
    &[source!("optim/update"), source!("optim/adam")],
    VARIANTS,
);
static ADAM_MAX: Kernel = Kernel::new(
    "adam_max",
    &[source!("optim/update"), source!("optim/adam_max")],
    VARIANTS,
);
static ADAGRAD: Kernel = Kernel::new(
    "adagrad",
    &[source!("optim/update"), source!("optim/adagrad")],
    VARIANTS,
);
static RMSPROP_MOMENTUM: Kernel = Kernel::new(
    "rmsprop_momentum",
    &[source!("optim/update"), source!("optim/rmsprop_momentum")],
    VARIANTS,
);
static RMSPROP_CENTERED: Kernel = Kernel::new(
    "rmsprop_centered",
    &[source!("optim/update"), source!("optim/rmsprop_centered")],
    VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[
    &SGD,
    &SGD_MOMENTUM,
    &ADAM,
    &ADAM_MAX,
    &ADAGRAD,
    &RMSPROP_MOMENTUM,
    &RMSPROP_CENTERED,
];
