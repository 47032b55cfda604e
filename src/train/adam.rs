//! Adam and AdamW by PyTorch's names, with PyTorch's settings and defaults.

use crate::ops::{AdamRule, Rule};

use super::Optimizer;

/// Adam (`torch.optim.Adam`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of gradients, and of that of their squares.
    pub betas: [f64; 2],
    /// Added to the root; above 0.
    pub eps: f64,
    /// Factor on the parameter that is added to the gradient.
    pub weight_decay: f64,
    /// Whether the step is divided by the largest mean of squares so far.
    pub amsgrad: bool,
}

impl Default for Adam {
    /// A rate of 0.001, betas 0.9 and 0.999, eps 1e-8, no weight decay.
    fn default() -> Self {
        Self {
            lr: 1e-3,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            amsgrad: false,
        }
    }
}

impl Adam {
    /// PyTorch's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Learning rate.
    pub fn lr(mut self, lr: f64) -> Self {
        self.lr = lr;
        self
    }

    /// Decay of the mean of gradients, and of that of their squares.
    pub fn betas(mut self, betas: [f64; 2]) -> Self {
        self.betas = betas;
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

    /// Whether the step is divided by the largest mean of squares so far.
    pub fn amsgrad(mut self, amsgrad: bool) -> Self {
        self.amsgrad = amsgrad;
        self
    }

    fn rule(self, decoupled: bool) -> Rule {
        let [beta1, beta2] = self.betas;
        Rule::Adam(AdamRule {
            beta1,
            beta2,
            eps: self.eps,
            weight_decay: self.weight_decay,
            decoupled,
            amsgrad: self.amsgrad,
        })
    }
}

impl From<Adam> for Rule {
    fn from(adam: Adam) -> Self {
        adam.rule(false)
    }
}

impl From<Adam> for Optimizer {
    fn from(adam: Adam) -> Self {
        Optimizer::of(adam, adam.lr)
    }
}

/// Adam whose weight decay shrinks the parameter itself (`torch.optim.AdamW`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of gradients, and of that of their squares.
    pub betas: [f64; 2],
    /// Added to the root; above 0.
    pub eps: f64,
    /// Share of the parameter, times the learning rate, that each step takes away.
    pub weight_decay: f64,
    /// Whether the step is divided by the largest mean of squares so far.
    pub amsgrad: bool,
}

impl Default for AdamW {
    /// A rate of 0.001, betas 0.9 and 0.999, eps 1e-8, weight decay 0.01.
    fn default() -> Self {
        Self {
            lr: 1e-3,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 1e-2,
            amsgrad: false,
        }
    }
}

impl AdamW {
    /// PyTorch's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Learning rate.
    pub fn lr(mut self, lr: f64) -> Self {
        self.lr = lr;
        self
    }

    /// Decay of the mean of gradients, and of that of their squares.
    pub fn betas(mut self, betas: [f64; 2]) -> Self {
        self.betas = betas;
        self
    }

    /// Added to the root.
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }

    /// Share of the parameter, times the learning rate, that each step takes away.
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Whether the step is divided by the largest mean of squares so far.
    pub fn amsgrad(mut self, amsgrad: bool) -> Self {
        self.amsgrad = amsgrad;
        self
    }
}

impl From<AdamW> for Rule {
    fn from(adamw: AdamW) -> Self {
        let adam = Adam {
            lr: adamw.lr,
            betas: adamw.betas,
            eps: adamw.eps,
            weight_decay: adamw.weight_decay,
            amsgrad: adamw.amsgrad,
        };
        adam.rule(true)
    }
}

impl From<AdamW> for Optimizer {
    fn from(adamw: AdamW) -> Self {
        Optimizer::of(adamw, adamw.lr)
    }
}
