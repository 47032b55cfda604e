//! The rules by which optimizers update a parameter: their settings, and their formulas as the
//! reference computes them.
//!
//! Formulas and defaults are those of the algorithm boxes in PyTorch's documentation
//! (pytorch.org/docs/stable/optim.html).

use std::fmt;

use crate::error::{Error, Result};

/// Stochastic gradient descent, as PyTorch's `SGD`:
/// g += weight_decay * p; m = momentum * m + (1 - dampening) * g, in the first step m = g;
/// p -= lr * (nesterov: g + momentum * m, else m; without momentum: g).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SgdRule {
    /// Factor on the moment; with 0 there is none.
    pub momentum: f64,
    /// Share of the gradient that the moment does not take up after the first step.
    pub dampening: f64,
    /// Whether the step looks ahead along the moment.
    pub nesterov: bool,
    /// Factor on the parameter that is added to the gradient.
    pub weight_decay: f64,
}

/// As PyTorch's `Adam`, or `AdamW` if `decoupled`, at step t = clock step + 1:
/// g += weight_decay * p (decoupled: p *= 1 - lr * weight_decay); m = beta1 * m + (1 - beta1) * g;
/// v = beta2 * v + (1 - beta2) * g^2; with amsgrad the largest v so far stands for v in
/// p -= lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamRule {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root; above 0.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Whether weight decay shrinks the parameter itself (AdamW).
    pub decoupled: bool,
    /// Whether the step is divided by the largest mean of squares so far: a third moment.
    pub amsgrad: bool,
}

impl Default for AdamRule {
    /// PyTorch's defaults: 0.9, 0.999, 1e-8, no weight decay.
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            decoupled: false,
            amsgrad: false,
        }
    }
}

/// As PyTorch's `RMSprop`: g += weight_decay * p; v = alpha * v + (1 - alpha) * g^2;
/// centered: a = alpha * a + (1 - alpha) * g, and v - a^2 stands for v in d = g / (sqrt(v) + eps);
/// p -= lr * (b = momentum * b + d; without momentum: d).
///
/// Moments are v, then a, then b. The centered form keeps w = v - a^2 itself in the place of v, by
/// w = alpha * w + alpha * (1 - alpha) * (g - a)^2 with a from before the step: the same number,
/// which rounding cannot make negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsPropRule {
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

impl Default for RmsPropRule {
    /// PyTorch's defaults: alpha 0.99, eps 1e-8, nothing else.
    fn default() -> Self {
        Self {
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            centered: false,
        }
    }
}

/// As PyTorch's `Adagrad`, at step t = clock step + 1: g += weight_decay * p; s += g^2;
/// p -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdagradRule {
    /// How fast the rate falls by itself.
    pub lr_decay: f64,
    /// Factor on the parameter that is added to the gradient.
    pub weight_decay: f64,
    /// What the sum of squares begins with.
    pub initial_accumulator_value: f64,
    /// Added to the root; above 0.
    pub eps: f64,
}

impl Default for AdagradRule {
    /// PyTorch's defaults: eps 1e-10, all else 0.
    fn default() -> Self {
        Self {
            lr_decay: 0.0,
            weight_decay: 0.0,
            initial_accumulator_value: 0.0,
            eps: 1e-10,
        }
    }
}

/// How parameters are updated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Stochastic gradient descent.
    Sgd(SgdRule),
    /// Adam and AdamW.
    Adam(AdamRule),
    /// RMSprop.
    RmsProp(RmsPropRule),
    /// Adagrad.
    Adagrad(AdagradRule),
}

impl fmt::Display for Rule {
    /// For people: the name, and what is not at its default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |what: &str, value: f64, default: f64| match value == default {
            true => String::new(),
            false => format!(", {what} {value}"),
        };
        let flag = |set: bool, what: &str| match set {
            true => format!(", {what}"),
            false => String::new(),
        };
        let eps = |value: f64, default: f64| match value == default {
            true => String::new(),
            false => format!(", eps {value:e}"),
        };
        let text = match *self {
            Rule::Sgd(sgd) => {
                "SGD".to_owned()
                    + &said("momentum", sgd.momentum, 0.0)
                    + &said("dampening", sgd.dampening, 0.0)
                    + &flag(sgd.nesterov, "Nesterov")
                    + &said("weight decay", sgd.weight_decay, 0.0)
            }
            Rule::Adam(adam) => {
                let default = AdamRule::default();
                let betas = [adam.beta1, adam.beta2] != [default.beta1, default.beta2];
                let betas = flag(betas, &format!("betas {} and {}", adam.beta1, adam.beta2));
                let name = if adam.decoupled { "AdamW" } else { "Adam" };
                name.to_owned()
                    + &betas
                    + &eps(adam.eps, default.eps)
                    + &flag(adam.amsgrad, "AMSGrad")
                    + &said("weight decay", adam.weight_decay, 0.0)
            }
            Rule::RmsProp(rms) => {
                let default = RmsPropRule::default();
                "RMSprop".to_owned()
                    + &said("alpha", rms.alpha, default.alpha)
                    + &eps(rms.eps, default.eps)
                    + &said("momentum", rms.momentum, 0.0)
                    + &flag(rms.centered, "centered")
                    + &said("weight decay", rms.weight_decay, 0.0)
            }
            Rule::Adagrad(adagrad) => {
                let (initial, default) =
                    (adagrad.initial_accumulator_value, AdagradRule::default());
                "Adagrad".to_owned()
                    + &said("rate decay", adagrad.lr_decay, 0.0)
                    + &said("initial accumulator", initial, 0.0)
                    + &eps(adagrad.eps, default.eps)
                    + &said("weight decay", adagrad.weight_decay, 0.0)
            }
        };
        f.write_str(&text)
    }
}

impl Rule {
    /// Moments kept per parameter.
    pub fn moments(&self) -> usize {
        match self {
            Rule::Sgd(sgd) => usize::from(sgd.momentum != 0.0),
            Rule::Adam(adam) => 2 + usize::from(adam.amsgrad),
            Rule::RmsProp(r) => 1 + usize::from(r.centered) + usize::from(r.momentum != 0.0),
            Rule::Adagrad(_) => 1,
        }
    }

    /// What every moment begins with.
    pub fn initial(&self) -> f32 {
        match self {
            Rule::Adagrad(adagrad) => adagrad.initial_accumulator_value as f32,
            _ => 0.0,
        }
    }

    /// The same rule with this weight decay.
    pub fn with_weight_decay(mut self, weight_decay: f64) -> Self {
        *match &mut self {
            Rule::Sgd(sgd) => &mut sgd.weight_decay,
            Rule::Adam(adam) => &mut adam.weight_decay,
            Rule::RmsProp(rms) => &mut rms.weight_decay,
            Rule::Adagrad(adagrad) => &mut adagrad.weight_decay,
        } = weight_decay;
        self
    }

    /// Factor on the parameter, added to the gradient.
    pub(in crate::ops) fn coupled_decay(&self) -> f64 {
        match self {
            Rule::Sgd(sgd) => sgd.weight_decay,
            Rule::Adam(adam) if adam.decoupled => 0.0,
            Rule::Adam(adam) => adam.weight_decay,
            Rule::RmsProp(rms) => rms.weight_decay,
            Rule::Adagrad(adagrad) => adagrad.weight_decay,
        }
    }

    pub(in crate::ops) fn name(&self) -> &'static str {
        match self {
            Rule::Sgd(_) => "sgd",
            Rule::Adam(adam) if adam.decoupled => "adamw",
            Rule::Adam(_) => "adam",
            Rule::RmsProp(_) => "rmsprop",
            Rule::Adagrad(_) => "adagrad",
        }
    }

    pub(in crate::ops) fn check(&self) -> Result<()> {
        // Numbers of at least 0, numbers of [0, 1), and what is added to a root.
        let (positive, shares, eps) = match *self {
            Rule::Sgd(s) => {
                let moment = [("momentum", s.momentum), ("dampening", s.dampening)];
                (moment.to_vec(), vec![], None)
            }
            Rule::Adam(a) => {
                let betas = vec![("beta1", a.beta1), ("beta2", a.beta2)];
                (vec![], betas, Some(a.eps))
            }
            Rule::RmsProp(r) => {
                let alpha = vec![("alpha", r.alpha)];
                (vec![("momentum", r.momentum)], alpha, Some(r.eps))
            }
            Rule::Adagrad(a) => {
                let initial = ("initial accumulator value", a.initial_accumulator_value);
                (vec![("lr decay", a.lr_decay), initial], vec![], Some(a.eps))
            }
        };
        let decay = match self {
            Rule::Adam(adam) => adam.weight_decay,
            rule => rule.coupled_decay(),
        };
        let wrong = |what: String| Err(Error::shape(format!("{}: {what}", self.name())));
        for (what, value) in positive.into_iter().chain([("weight decay", decay)]) {
            if !(value >= 0.0 && value.is_finite()) {
                return wrong(format!("{what} {value} is not a number of at least 0"));
            }
        }
        for (what, value) in shares {
            if !(0.0..1.0).contains(&value) {
                return wrong(format!("{what} {value} is not in [0, 1)"));
            }
        }
        match (eps, self) {
            // Unused elements between store entries are 0 / (0 + eps).
            (Some(eps), _) if !(eps >= f64::from(f32::MIN_POSITIVE) && eps.is_finite()) => {
                wrong(format!("eps {eps} is not a normal number above 0"))
            }
            (_, Rule::Sgd(s)) if s.nesterov && (s.momentum == 0.0 || s.dampening != 0.0) => {
                wrong("nesterov needs a momentum and no dampening".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The reference: the new value of an element p of a parameter, given its gradient g with
    /// coupled weight decay in it, its moments, which are updated, the learning rate, and the
    /// number of steps before this one.
    pub(in crate::ops) fn step(
        &self,
        p: f64,
        g: f64,
        moments: &mut [f64],
        lr: f64,
        before: u32,
    ) -> f64 {
        let t = f64::from(before) + 1.0;
        match *self {
            Rule::Sgd(sgd) => {
                let [m] = moments else { return p - lr * g };
                let taken = if before == 0 {
                    1.0
                } else {
                    1.0 - sgd.dampening
                };
                *m = sgd.momentum * *m + taken * g;
                match sgd.nesterov {
                    true => p - lr * (g + sgd.momentum * *m),
                    false => p - lr * *m,
                }
            }
            Rule::Adam(adam) => {
                let (m, v) = (0, 1);
                moments[m] = adam.beta1 * moments[m] + (1.0 - adam.beta1) * g;
                moments[v] = adam.beta2 * moments[v] + (1.0 - adam.beta2) * g * g;
                let mut square = moments[v];
                if adam.amsgrad {
                    // NaN stays.
                    if square.is_nan() || moments[2] <= square {
                        moments[2] = square;
                    }
                    square = moments[2];
                }
                let kept = if adam.decoupled {
                    1.0 - lr * adam.weight_decay
                } else {
                    1.0
                };
                let mean = moments[m] / (1.0 - adam.beta1.powf(t));
                let square = square / (1.0 - adam.beta2.powf(t));
                p * kept - lr * mean / (square.sqrt() + adam.eps)
            }
            Rule::RmsProp(rms) => {
                let rest = 1.0 - rms.alpha;
                if rms.centered {
                    let (w, a) = (0, 1);
                    let off = g - moments[a];
                    moments[w] = rms.alpha * moments[w] + rms.alpha * rest * off * off;
                    moments[a] = rms.alpha * moments[a] + rest * g;
                } else {
                    moments[0] = rms.alpha * moments[0] + rest * g * g;
                }
                let d = g / (moments[0].sqrt() + rms.eps);
                match moments.last_mut() {
                    Some(b) if rms.momentum != 0.0 => {
                        *b = rms.momentum * *b + d;
                        p - lr * *b
                    }
                    _ => p - lr * d,
                }
            }
            Rule::Adagrad(adagrad) => {
                moments[0] += g * g;
                let lr = lr / (1.0 + (t - 1.0) * adagrad.lr_decay);
                p - lr * g / (moments[0].sqrt() + adagrad.eps)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_its_default_is_not_said() {
        let sgd = SgdRule {
            momentum: 0.9,
            nesterov: true,
            weight_decay: 5e-4,
            ..SgdRule::default()
        };
        let adam = AdamRule {
            beta2: 0.99,
            eps: 1e-6,
            decoupled: true,
            amsgrad: true,
            weight_decay: 0.02,
            ..AdamRule::default()
        };
        let rms = RmsPropRule {
            alpha: 0.9,
            centered: true,
            ..RmsPropRule::default()
        };
        let adagrad = AdagradRule {
            initial_accumulator_value: 0.1,
            ..AdagradRule::default()
        };
        for (rule, words) in [
            (Rule::Sgd(SgdRule::default()), "SGD"),
            (
                Rule::Sgd(sgd),
                "SGD, momentum 0.9, Nesterov, weight decay 0.0005",
            ),
            (Rule::Adam(AdamRule::default()), "Adam"),
            (
                Rule::Adam(adam),
                "AdamW, betas 0.9 and 0.99, eps 1e-6, AMSGrad, weight decay 0.02",
            ),
            (Rule::RmsProp(RmsPropRule::default()), "RMSprop"),
            (Rule::RmsProp(rms), "RMSprop, alpha 0.9, centered"),
            (Rule::Adagrad(AdagradRule::default()), "Adagrad"),
            (Rule::Adagrad(adagrad), "Adagrad, initial accumulator 0.1"),
        ] {
            assert_eq!(rule.to_string(), words);
        }
    }
}
