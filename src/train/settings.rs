//! The optimizers by PyTorch's names, with PyTorch's settings and defaults; Adam's are in `adam`.

use crate::ops::{AdagradRule, RmsPropRule, Rule, SgdRule};

use super::{Adam, Optimizer};

/// Stochastic gradient descent (`torch.optim.SGD`).
///
/// ```
/// use striate::train::{Optimizer, Sgd};
///
/// let sgd = Sgd::new().lr(0.1).momentum(0.9).nesterov(true).weight_decay(5e-4);
/// let optimizer: Optimizer = sgd.into();
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// Factor on the moment; with 0 there is none.
    pub momentum: f64,
    /// Share of the gradient that the moment does not take up after the first step.
    pub dampening: f64,
    /// Factor on the parameter that is added to the gradient.
    pub weight_decay: f64,
    /// Whether the step looks ahead along the moment.
    pub nesterov: bool,
}

impl Default for Sgd {
    /// A rate of 0.001, nothing else.
    fn default() -> Self {
        Self {
            lr: 1e-3,
            momentum: 0.0,
            dampening: 0.0,
            weight_decay: 0.0,
            nesterov: false,
        }
    }
}

impl Sgd {
    /// PyTorch's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Learning rate.
    pub fn lr(mut self, lr: f64) -> Self {
        self.lr = lr;
        self
    }

    /// Factor on the moment.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Share of the gradient that the moment does not take up.
    pub fn dampening(mut self, dampening: f64) -> Self {
        self.dampening = dampening;
        self
    }

    /// Factor on the parameter that is added to the gradient.
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Whether the step looks ahead along the moment.
    pub fn nesterov(mut self, nesterov: bool) -> Self {
        self.nesterov = nesterov;
        self
    }
}

impl From<Sgd> for Rule {
    fn from(sgd: Sgd) -> Self {
        Rule::Sgd(SgdRule {
            momentum: sgd.momentum,
            dampening: sgd.dampening,
            nesterov: sgd.nesterov,
            weight_decay: sgd.weight_decay,
        })
    }
}

impl From<Sgd> for Optimizer {
    fn from(sgd: Sgd) -> Self {
        Optimizer::of(sgd, sgd.lr)
    }
}

/// RMSprop (`torch.optim.RMSprop`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of squared gradients.
    pub alpha: f64,
    /// Added to the root; above 0.
    pub eps: f64,
    /// Factor on the parameter that is added to the gradient.
    pub weight_decay: f64,
    /// Factor on the moment; with 0 there is none.
    pub momentum: f64,
    /// Whether the step is divided by the gradient's deviation from its mean.
    pub centered: bool,
}

impl Default for RmsProp {
    /// A rate of 0.01, alpha 0.99, eps 1e-8, nothing else.
    fn default() -> Self {
        Self {
            lr: 1e-2,
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            centered: false,
        }
    }
}

impl RmsProp {
    /// PyTorch's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Learning rate.
    pub fn lr(mut self, lr: f64) -> Self {
        self.lr = lr;
        self
    }

    /// Decay of the mean of squared gradients.
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Added to the root.
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }

    /// Factor on the parameter that is added to the gradient.
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Factor on the moment.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Whether the step is divided by the gradient's deviation from its mean.
    pub fn centered(mut self, centered: bool) -> Self {
        self.centered = centered;
        self
    }
}

impl From<RmsProp> for Rule {
    fn from(rms: RmsProp) -> Self {
        Rule::RmsProp(RmsPropRule {
            alpha: rms.alpha,
            eps: rms.eps,
            weight_decay: rms.weight_decay,
            momentum: rms.momentum,
            centered: rms.centered,
        })
    }
}

impl From<RmsProp> for Optimizer {
    fn from(rms: RmsProp) -> Self {
        Optimizer::of(rms, rms.lr)
    }
}

/// Adagrad (`torch.optim.Adagrad`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adagrad {
    /// Learning rate.
    pub lr: f64,
    /// How fast the rate falls by itself.
    pub lr_decay: f64,
    /// Factor on the parameter that is added to the gradient.
    pub weight_decay: f64,
    /// What the sum of squares begins with.
    pub initial_accumulator_value: f64,
    /// Added to the root; above 0.
    pub eps: f64,
}

impl Default for Adagrad {
    /// A rate of 0.01, eps 1e-10, all else 0.
    fn default() -> Self {
        Self {
            lr: 1e-2,
            lr_decay: 0.0,
            weight_decay: 0.0,
            initial_accumulator_value: 0.0,
            eps: 1e-10,
        }
    }
}

impl Adagrad {
    /// PyTorch's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Learning rate.
    pub fn lr(mut self, lr: f64) -> Self {
        self.lr = lr;
        self
    }

    /// How fast the rate falls by itself.
    pub fn lr_decay(mut self, lr_decay: f64) -> Self {
        self.lr_decay = lr_decay;
        self
    }

    /// Factor on the parameter that is added to the gradient.
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// What the sum of squares begins with.
    pub fn initial_accumulator_value(mut self, initial: f64) -> Self {
        self.initial_accumulator_value = initial;
        self
    }

    /// Added to the root.
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }
}

impl From<Adagrad> for Rule {
    fn from(adagrad: Adagrad) -> Self {
        Rule::Adagrad(AdagradRule {
            lr_decay: adagrad.lr_decay,
            weight_decay: adagrad.weight_decay,
            initial_accumulator_value: adagrad.initial_accumulator_value,
            eps: adagrad.eps,
        })
    }
}

impl From<Adagrad> for Optimizer {
    fn from(adagrad: Adagrad) -> Self {
        Optimizer::of(adagrad, adagrad.lr)
    }
}

impl From<Rule> for Optimizer {
    /// With the rate that PyTorch gives the rule.
    fn from(rule: Rule) -> Self {
        let lr = match rule {
            Rule::Sgd(_) => Sgd::new().lr,
            Rule::Adam(_) => Adam::new().lr,
            Rule::RmsProp(_) => RmsProp::new().lr,
            Rule::Adagrad(_) => Adagrad::new().lr,
        };
        Optimizer::of(rule, lr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::AdamRule;
    use crate::train::AdamW;

    #[test]
    fn settings_and_rules_begin_alike() {
        assert_eq!(Rule::from(Sgd::new()), Rule::Sgd(SgdRule::default()));
        assert_eq!(Rule::from(Adam::new()), Rule::Adam(AdamRule::default()));
        let adamw = AdamRule {
            weight_decay: 0.01,
            decoupled: true,
            ..AdamRule::default()
        };
        assert_eq!(Rule::from(AdamW::new()), Rule::Adam(adamw));
        let rms = Rule::RmsProp(RmsPropRule::default());
        assert_eq!(Rule::from(RmsProp::new()), rms);
        let adagrad = Rule::Adagrad(AdagradRule::default());
        assert_eq!(Rule::from(Adagrad::new()), adagrad);
    }

    #[test]
    fn a_rate_is_a_number() {
        for lr in [-0.1, f64::NAN, f64::INFINITY, 1e300] {
            let error = Optimizer::new(Sgd::new().lr(lr)).rates().unwrap_err();
            let told = format!("optimizer: lr {lr} is not a number of at least 0");
            assert_eq!(error.to_string(), told);
        }
        let optimizer = Optimizer::new(Adam::new().lr(0.5));
        assert_eq!(optimizer.rates().unwrap(), [0.5]);
        let scheduled = optimizer.schedule(vec![0.1, 0.2]);
        assert_eq!(scheduled.rates().unwrap(), [0.1, 0.2]);
    }

    #[test]
    fn every_setting_reaches_the_rule() {
        let sgd = Sgd::new()
            .momentum(0.1)
            .dampening(0.2)
            .weight_decay(0.3)
            .nesterov(true);
        let rule = SgdRule {
            momentum: 0.1,
            dampening: 0.2,
            nesterov: true,
            weight_decay: 0.3,
        };
        assert_eq!(Rule::from(sgd), Rule::Sgd(rule));
        let rule = |decoupled| AdamRule {
            beta1: 0.1,
            beta2: 0.2,
            eps: 0.3,
            weight_decay: 0.4,
            decoupled,
            amsgrad: true,
        };
        let adam = Adam::new().betas([0.1, 0.2]).eps(0.3);
        let adam = adam.weight_decay(0.4).amsgrad(true);
        assert_eq!(Rule::from(adam), Rule::Adam(rule(false)));
        let adamw = AdamW::new().betas([0.1, 0.2]).eps(0.3);
        let adamw = adamw.weight_decay(0.4).amsgrad(true);
        assert_eq!(Rule::from(adamw), Rule::Adam(rule(true)));
        let rms = RmsProp::new()
            .alpha(0.1)
            .eps(0.2)
            .weight_decay(0.3)
            .momentum(0.4)
            .centered(true);
        let rule = RmsPropRule {
            alpha: 0.1,
            eps: 0.2,
            weight_decay: 0.3,
            momentum: 0.4,
            centered: true,
        };
        assert_eq!(Rule::from(rms), Rule::RmsProp(rule));
        let adagrad = Adagrad::new()
            .lr_decay(0.1)
            .weight_decay(0.2)
            .initial_accumulator_value(0.3)
            .eps(0.4);
        let rule = AdagradRule {
            lr_decay: 0.1,
            weight_decay: 0.2,
            initial_accumulator_value: 0.3,
            eps: 0.4,
        };
        assert_eq!(Rule::from(adagrad), Rule::Adagrad(rule));
    }
}
