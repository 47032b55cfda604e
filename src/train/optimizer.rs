//! Optimizers: a rule, groups of parameters, clipping, and a moving average.

mod told;

use crate::autodiff::gradients_where_used;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Init, Origin, StateKind, Value};
use crate::ops::{Blending, Ema, Rule, Update, Updating};
use crate::shape::Type;

use super::average::average_name;
use super::group::{Group, Members};
use super::method::Method;
use super::{constant, learning_rate, parameters, scheduled};

/// What makes a step of training out of a loss: [`Sgd`](super::Sgd), [`Adam`](super::Adam) and
/// their like, with settings per group, clipping, schedules and moving averages.
///
/// ```
/// use striate::ops::Ema;
/// use striate::prelude::*;
/// use striate::train::{AdamW, Group, Optimizer, schedule};
///
/// # fn main() -> Result<()> {
/// let mut g = Graph::new();
/// let x = g.input("x", Type::f32([8, 3]))?;
/// let trunk = g.parameter("trunk.weight", [3, 3], Init::Uniform { bound: 0.5 })?;
/// let weight = g.parameter("head.weight", [1, 3], Init::Uniform { bound: 0.5 })?;
/// let bias = g.parameter("head.bias", [1], Init::Constant(0.0))?;
/// let y = g.linear(x, trunk, None)?;
/// let y = g.linear(y, weight, Some(bias))?;
/// let square = g.mul(y, y)?;
/// let loss = g.mean(square, &[0, 1], false)?;
///
/// // AdamW; the trunk learns slowly, biases do not decay, the gradients' norm is at most 1.
/// let rise = schedule::linear(1e-3, 0.1, 1.0, 10)?;
/// let rates = schedule::then(rise, 10, schedule::cosine_annealing(1e-3, 90, 0.0)?)?;
/// let optimizer = Optimizer::new(AdamW::new().weight_decay(0.05))
///     .group(Group::matching(|name, _| name.starts_with("trunk.")).rate(0.1))
///     .group(Group::vectors().weight_decay(0.0))
///     .clip_norm(1.0)
///     .average(Ema::new(0.999))
///     .schedule(rates);
/// let norm = optimizer.minimize(&mut g, loss)?;
///
/// let store = Store::new(&Engine::cpu(), &[&g], 1)?;
/// let mut session = Session::new(&store, &g, &[loss, norm.unwrap()])?;
/// session.write(x, &Tensor::f32([8, 3], vec![1.0; 24])?)?;
/// session.run(5)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Optimizer {
    method: Method,
    lr: f64,
    schedule: Option<Vec<f32>>,
    groups: Vec<Group>,
    clip_norm: Option<f64>,
    clip_value: Option<f64>,
    average: Option<Ema>,
    pub(super) layer_decay: Option<f64>,
}

/// Parameters that one op updates.
pub(super) struct Member {
    method: Method,
    pub rate: f64,
    pub params: Vec<Value>,
}

impl Optimizer {
    /// All parameters alike: [`Sgd`](super::Sgd), [`Adam`](super::Adam) and their like.
    pub fn new(settings: impl Into<Self>) -> Self {
        settings.into()
    }

    /// All parameters by `method`, at the rate `lr`.
    pub(super) fn of(method: impl Into<Method>, lr: f64) -> Self {
        Self {
            method: method.into(),
            lr,
            schedule: None,
            groups: Vec::new(),
            clip_norm: None,
            clip_value: None,
            average: None,
            layer_decay: None,
        }
    }

    /// Adds a group. A parameter belongs to the first group that holds it, or else to the rest.
    pub fn group(mut self, group: Group) -> Self {
        self.groups.push(group);
        self
    }

    /// Scales all gradients so that their norm, taken as one vector, is at most `max_norm`
    /// (PyTorch's `clip_grad_norm_`).
    pub fn clip_norm(mut self, max_norm: f64) -> Self {
        self.clip_norm = Some(max_norm);
        self
    }

    /// Clamps each element of the gradients to [-limit, limit] (PyTorch's `clip_grad_value_`),
    /// after clipping by norm.
    pub fn clip_value(mut self, limit: f64) -> Self {
        self.clip_value = Some(limit);
        self
    }

    /// Keeps a moving average of every trained parameter NAME as the state `ema.NAME`, at first
    /// equal to it and updated last in the step (see [`swap_averages`](super::swap_averages)).
    pub fn average(mut self, average: Ema) -> Self {
        self.average = Some(average);
        self
    }

    /// Takes the learning rate of each step from a table, which lies on the device (see
    /// [`schedule`](super::schedule)). After the last entry it stays there.
    pub fn schedule(mut self, rates: Vec<f32>) -> Self {
        self.schedule = Some(rates);
        self
    }

    /// The learning rates: the schedule, or a table of one.
    pub(super) fn rates(&self) -> Result<Vec<f32>> {
        match &self.schedule {
            Some(rates) => Ok(rates.clone()),
            None => self.constant_rate().map(constant),
        }
    }

    /// The learning rate where there is no schedule.
    fn constant_rate(&self) -> Result<f32> {
        let lr = self.lr as f32;
        if lr >= 0.0 && lr.is_finite() {
            return Ok(lr);
        }
        let message = format!("optimizer: lr {} is not a number of at least 0", self.lr);
        Err(Error::shape(message))
    }

    /// The learning rate as a value of `g`: looked up where there is a schedule, else the state
    /// `learning_rate`, which the host may set.
    pub(super) fn rate(&self, g: &mut Graph) -> Result<Value> {
        match &self.schedule {
            Some(rates) => scheduled(g, rates.clone()),
            None => learning_rate(g, self.constant_rate()?),
        }
    }

    /// Whether it keeps moving averages.
    pub fn averages(&self) -> bool {
        self.average.is_some()
    }

    /// Extends a graph by one training step: gradients of `loss` with respect to all parameters
    /// that are not frozen, kept as states `grad.NAME`, their update with moments as states
    /// `moment1.NAME` and so on, and the clock's advance.
    ///
    /// The learning rate is the state `learning_rate`, which begins as `lr` and which the host may
    /// set, unless there is a [`schedule`](Self::schedule). Kept gradients are those before
    /// clipping. If they are clipped by norm, the norm from before clipping is returned. A
    /// parameter that the loss does not use is not trained, as in PyTorch; a warning in the log
    /// names it.
    ///
    /// # Errors
    /// `Graph` if a group names a parameter that is not there, or if `g` has a state for the rate
    /// already; `Shape` for settings out of range; `NotDifferentiable` if the loss is not a float
    /// scalar or uses no parameter.
    pub fn minimize(&self, g: &mut Graph, loss: Value) -> Result<Option<Value>> {
        let rate = self.rate(g)?;
        self.minimize_at(g, loss, rate)
    }

    /// As [`minimize`](Self::minimize), at a learning rate of the caller's, an `f32 []`: a state
    /// that several optimizers share (see [`learning_rate`](super::learning_rate)), or any other
    /// value.
    ///
    /// # Errors
    /// As [`minimize`](Self::minimize).
    pub fn minimize_at(
        &self,
        g: &mut Graph,
        loss: Value,
        learning_rate: Value,
    ) -> Result<Option<Value>> {
        let members = self.members(g)?;
        self.minimize_members(g, loss, &members, learning_rate)
    }

    pub(super) fn minimize_members(
        &self,
        g: &mut Graph,
        loss: Value,
        members: &[Member],
        learning_rate: Value,
    ) -> Result<Option<Value>> {
        let (members, grads) = used(g, loss, members)?;
        let params = joined(&members);
        for (&param, &grad) in params.iter().zip(&grads) {
            let kept = twin(g, "grad", param, StateKind::Gradient, 0.0)?;
            g.assign(kept, grad)?;
        }
        let norm = self.update(g, &members, &grads, learning_rate, None)?;
        // Several calls, for parameters with optimizers of their own, advance one clock.
        let clock = g.clock()?;
        advance(g, clock)?;
        Ok(norm)
    }

    /// The graph's parameters by group, frozen ones left out; each group is stored in one piece.
    pub(super) fn members(&self, g: &mut Graph) -> Result<Vec<Member>> {
        let member = |group: Option<&Group>| {
            let method = group.and_then(|g| g.method).unwrap_or(self.method);
            Member {
                method: match group.and_then(|g| g.weight_decay) {
                    Some(decay) => method.with_weight_decay(decay),
                    None => method,
                },
                rate: group.map_or(1.0, |g| g.rate),
                params: Vec::new(),
            }
        };
        let mut members = vec![member(None)];
        members.extend(self.groups.iter().map(|group| member(Some(group))));
        let mut names = Vec::new();
        for param in parameters(g) {
            let name = name(g, param)?;
            let shape = g.shape(param)?;
            let held = self
                .groups
                .iter()
                .position(|group| group.holds(&name, shape));
            let number = held.map_or(0, |group| group + 1);
            members[number].params.push(param);
            g.set_group(param, number.min(255) as u8)?;
            names.push(name);
        }
        // A frozen one is there too, and in no group.
        let frozen = g.states().iter().filter(|state| state.frozen);
        names.extend(frozen.map(|state| state.name.clone()));
        let known = |name: &String| names.contains(name);
        for group in &self.groups {
            if let Members::Named(wanted) = &group.members
                && let Some(absent) = wanted.iter().find(|name| !known(name))
            {
                return Err(Error::graph(format!(
                    "optimizer: there is no parameter \"{absent}\""
                )));
            }
        }
        let frozen = |number: usize| number > 0 && self.groups[number - 1].frozen;
        let members = members.into_iter().enumerate();
        let members = members
            .filter(|(number, member)| !frozen(*number) && !member.params.is_empty())
            .map(|(_, member)| member);
        let members = members.collect();
        self.by_depth(g, members)
    }

    /// Updates of all members, given their gradients times `scale` (1 without one); returns the
    /// gradients' norm if it is clipped.
    pub(super) fn update(
        &self,
        g: &mut Graph,
        members: &[Member],
        grads: &[Value],
        lr: Value,
        scale: Option<Value>,
    ) -> Result<Option<Value>> {
        let (norm, scale) = match self.clip_norm {
            None => (None, scale),
            Some(max_norm) => {
                let (norm, scale) = g.clip_grad_norm(grads, max_norm, scale)?;
                (Some(norm), Some(scale))
            }
        };
        let mut rest = grads;
        for member in members {
            let Member { rate, params, .. } = member;
            let (grads, others) = rest.split_at(params.len());
            rest = others;
            let (rule, grads, scale, clip_value) = match member.method {
                Method::Rule(rule) => (rule, grads.to_vec(), scale, self.clip_value),
                // Gradients are scaled and clamped before they become directions.
                Method::Muon(muon) => {
                    let limit = self.clip_value;
                    let directions = muon.directions(g, params, grads, scale, limit)?;
                    (muon.step(), directions, None, None)
                }
            };
            let mut moments = Vec::new();
            for number in 1..=rule.moments() as u8 {
                let (prefix, kind) = (format!("moment{number}"), StateKind::Moment(number));
                let initial = rule.initial();
                let twins = params.iter().map(|&p| twin(g, &prefix, p, kind, initial));
                moments.push(twins.collect::<Result<Vec<_>>>()?);
            }
            let op = Update::new(rule, params.len())
                .rate(*rate)
                .clip_value(clip_value);
            let values = Updating {
                params,
                grads: &grads,
                moments: &moments,
                lr,
                scale,
            };
            let updated = g.update_with(op, values)?;
            assign(g, params, &updated.params)?;
            for (states, new) in moments.iter().zip(&updated.moments) {
                assign(g, states, new)?;
            }
            if let Some(ema) = self.average {
                let averages = params.iter().map(|&param| average_of(g, param));
                let averages = averages.collect::<Result<Vec<_>>>()?;
                let clock = g.clock()?;
                let new = g.blend(Blending::Ema(ema), &averages, &updated.params, clock)?;
                assign(g, &averages, &new)?;
            }
        }
        Ok(norm)
    }
}

impl Member {
    pub(super) fn new(rule: Rule, params: &[Value]) -> Self {
        Self {
            method: rule.into(),
            rate: 1.0,
            params: params.to_vec(),
        }
    }

    /// The same settings for other values of its parameters.
    pub(super) fn with(&self, params: Vec<Value>) -> Self {
        Self {
            method: self.method,
            rate: self.rate,
            params,
        }
    }
}

/// The members with the parameters that the loss depends on, and the gradients of these. The others
/// are left as they are, as by PyTorch's optimizers those whose `grad` is `None`; the log names
/// them.
///
/// # Errors
/// `NotDifferentiable` if the loss depends on none of several; whatever [`gradients_where_used`]
/// returns.
pub(super) fn used(
    g: &mut Graph,
    loss: Value,
    members: &[Member],
) -> Result<(Vec<Member>, Vec<Value>)> {
    let params = joined(members);
    let found = gradients_where_used(g, loss, &params)?;
    let mut rest = found.into_iter();
    let (mut kept, mut grads, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for member in members {
        let mut own = Vec::new();
        for (&param, grad) in member.params.iter().zip(&mut rest) {
            match grad {
                Some(grad) => {
                    own.push(param);
                    grads.push(grad);
                }
                None => skipped.push(g.describe(param)),
            }
        }
        if !own.is_empty() {
            kept.push(member.with(own));
        }
    }
    if grads.is_empty() {
        let message = match skipped.is_empty() {
            true => "optimizer: there is nothing to train: no parameter that is not frozen".into(),
            false => format!(
                "optimizer: the loss {} has a differentiable path to no parameter: {}",
                g.describe(loss),
                skipped.join(", ")
            ),
        };
        return Err(Error::new(ErrorKind::NotDifferentiable, message));
    }
    for param in skipped {
        log::warn!("optimizer: the loss does not depend on {param}, which is not trained");
    }
    Ok((kept, grads))
}

/// The parameters of all members.
pub(super) fn joined(members: &[Member]) -> Vec<Value> {
    let params = members.iter().flat_map(|member| &member.params);
    params.copied().collect()
}

pub(super) fn assign(g: &mut Graph, states: &[Value], values: &[Value]) -> Result<()> {
    for (&state, &value) in states.iter().zip(values) {
        g.assign(state, value)?;
    }
    Ok(())
}

/// Advances `clock` at the end of the step, unless the graph does so already.
pub(super) fn advance(g: &mut Graph, clock: Value) -> Result<()> {
    if g.assigns().iter().all(|&(state, _)| state != clock) {
        let next = g.advance(clock)?;
        g.assign(clock, next)?;
    }
    Ok(())
}

/// A clock that counts from 0.
pub(super) fn counter(g: &mut Graph, name: &str) -> Result<Value> {
    let (ty, init) = (Type::u32([4]), Init::Constant(0.0));
    g.state(name, ty, StateKind::Scalar, init, None)
}

/// The state that holds the moving average of a parameter; it begins as the parameter does
/// (PyTorch's `AveragedModel`).
pub(super) fn average_of(g: &mut Graph, param: Value) -> Result<Value> {
    let name = name(g, param)?;
    let ty = g.ty(param)?.clone();
    let (average, init) = (average_name(&name), Init::SameAs(name));
    g.state(&average, ty, StateKind::Average, init, Some(param))
}

/// The name of a state.
pub(super) fn name(g: &Graph, state: Value) -> Result<String> {
    g.operand("optimizer", state)?;
    match *g.source(state)? {
        Origin::State(index) => Ok(g.states()[index].name.clone()),
        _ => Err(Error::graph(format!(
            "optimizer: {} is not a state",
            g.describe(state)
        ))),
    }
}

/// The state `PREFIX.NAME` beside the parameter NAME.
pub(super) fn twin(
    g: &mut Graph,
    prefix: &str,
    param: Value,
    kind: StateKind,
    initial: f32,
) -> Result<Value> {
    let name = format!("{prefix}.{}", name(g, param)?);
    let ty = g.ty(param)?.clone();
    g.state(&name, ty, kind, Init::Constant(initial), Some(param))
}
