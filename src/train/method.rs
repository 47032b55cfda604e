//! How parameters are updated: what optimizers and groups are made of.

use std::fmt;

use crate::ops::Rule;

use super::{Adagrad, Adam, AdamW, Muon, RmsProp, Sgd};

/// How parameters are updated: one by one, or as matrices.
#[derive(Clone, Copy, PartialEq)]
pub enum Method {
    /// Each element by itself.
    Rule(Rule),
    /// As matrices.
    Muon(Muon),
}

impl Method {
    /// The same method with this weight decay.
    pub(super) fn with_weight_decay(self, weight_decay: f64) -> Self {
        match self {
            Method::Rule(rule) => Method::Rule(rule.with_weight_decay(weight_decay)),
            Method::Muon(muon) => Method::Muon(muon.weight_decay(weight_decay)),
        }
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Method::Rule(rule) => fmt::Debug::fmt(rule, f),
            Method::Muon(muon) => fmt::Debug::fmt(muon, f),
        }
    }
}

impl fmt::Display for Method {
    /// For people, as what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Method::Rule(rule) => fmt::Display::fmt(rule, f),
            Method::Muon(muon) => fmt::Display::fmt(muon, f),
        }
    }
}

impl From<Rule> for Method {
    fn from(rule: Rule) -> Self {
        Method::Rule(rule)
    }
}

impl From<Muon> for Method {
    fn from(muon: Muon) -> Self {
        Method::Muon(muon)
    }
}

impl From<Sgd> for Method {
    fn from(settings: Sgd) -> Self {
        Method::Rule(settings.into())
    }
}

impl From<Adam> for Method {
    fn from(settings: Adam) -> Self {
        Method::Rule(settings.into())
    }
}

impl From<AdamW> for Method {
    fn from(settings: AdamW) -> Self {
        Method::Rule(settings.into())
    }
}

impl From<RmsProp> for Method {
    fn from(settings: RmsProp) -> Self {
        Method::Rule(settings.into())
    }
}

impl From<Adagrad> for Method {
    fn from(settings: Adagrad) -> Self {
        Method::Rule(settings.into())
    }
}
