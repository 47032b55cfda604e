//! Groups of parameters with settings of their own.

use std::fmt;
use std::sync::Arc;

use crate::shape::Shape;

use super::method::Method;

/// Parameters that are updated in a way of their own (PyTorch's parameter groups).
#[derive(Clone)]
pub struct Group {
    pub(super) members: Members,
    pub(super) method: Option<Method>,
    pub(super) weight_decay: Option<f64>,
    pub(super) rate: f64,
    pub(super) frozen: bool,
}

#[derive(Clone)]
pub(super) enum Members {
    Named(Vec<String>),
    Matching(Arc<Predicate>),
}

pub(super) type Predicate = dyn Fn(&str, &Shape) -> bool + Send + Sync;

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut group = f.debug_struct("Group");
        match &self.members {
            Members::Named(names) => group.field("names", names),
            Members::Matching(_) => group.field("names", &"by a predicate"),
        };
        group
            .field("rule", &self.method)
            .field("weight_decay", &self.weight_decay)
            .field("rate", &self.rate)
            .field("frozen", &self.frozen)
            .finish()
    }
}

impl Group {
    fn of(members: Members) -> Self {
        Self {
            members,
            method: None,
            weight_decay: None,
            rate: 1.0,
            frozen: false,
        }
    }

    /// The parameters of these names. A name that no parameter has is an error when the group is
    /// used.
    pub fn named<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::of(Members::Named(names.into_iter().map(S::into).collect()))
    }

    /// The parameters whose name and shape are chosen by `chosen`.
    pub fn matching(chosen: impl Fn(&str, &Shape) -> bool + Send + Sync + 'static) -> Self {
        Self::of(Members::Matching(Arc::new(chosen)))
    }

    /// Biases and what normalisation scales and shifts by: parameters of at most one axis, and
    /// those called `bias` (timm's `param_groups_weight_decay`). Usually with
    /// [`weight_decay(0.0)`](Self::weight_decay).
    pub fn vectors() -> Self {
        Self::matching(|name, shape| shape.len() <= 1 || name.ends_with(".bias"))
    }

    /// Weights of layers: parameters of at least two axes, which [`Muon`](super::Muon) updates.
    pub fn matrices() -> Self {
        Self::matching(|_, shape| shape.len() >= 2)
    }

    /// Another rule: settings such as [`Sgd`](super::Sgd), whose `lr` does not count here. Rates
    /// are the optimizer's, times [`rate`](Self::rate).
    pub fn rule(mut self, rule: impl Into<Method>) -> Self {
        self.method = Some(rule.into());
        self
    }

    /// Another weight decay.
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = Some(weight_decay);
        self
    }

    /// A factor on the learning rate.
    pub fn rate(mut self, factor: f64) -> Self {
        self.rate = factor;
        self
    }

    /// Leaves the parameters as they are; no gradients are made for them.
    pub fn frozen(mut self) -> Self {
        self.frozen = true;
        self
    }

    pub(super) fn holds(&self, name: &str, shape: &Shape) -> bool {
        match &self.members {
            Members::Named(names) => names.iter().any(|n| n == name),
            Members::Matching(chosen) => chosen(name, shape),
        }
    }
}
