//! Muon: weights of layers step along the nearest semi-orthogonal matrix to their momentum.

use std::fmt;

use crate::error::{Error, Result};
use crate::graph::{Graph, StateKind, Value};
use crate::ops::{Rule, SgdRule};

use super::optimizer::{Optimizer, name, twin};

/// Muon (`torch.optim.Muon`; K. Jordan and others, 2024).
///
/// The gradient's momentum is taken as a matrix and brought near the semi-orthogonal one with the
/// same singular vectors, by a few steps of a Newton-Schulz iteration: all directions in which the
/// layer's output may change are stepped along alike, the rare ones too. At step t, with M = 0 at
/// first:
///
/// ```text
/// M = momentum M + (1 - momentum) G;  U = M, or (1 - momentum) G + momentum M with nesterov
/// X = U / max(|U|, eps);  ns_steps times X = a X + (b X X' + c (X X')^2) X
/// W = W - lr weight_decay W - lr factor X
/// ```
///
/// W is `[out, in]`. Weights of convolutions `[out, in, kh, kw]` are taken as `[out, in kh kw]`, as
/// by its authors; PyTorch's takes matrices alone. Sums are of `f32` here, of `bfloat16` there.
/// Parameters with one axis, and usually the first and last layers, are left to another rule:
///
/// ```
/// use striate::train::{AdamW, Group, Muon, Optimizer};
///
/// let muon = Group::matrices().rule(Muon::new().match_rms_adamw(true));
/// let optimizer = Optimizer::new(AdamW::new().lr(1e-3)).group(muon);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Muon {
    /// Learning rate.
    pub lr: f64,
    /// Share of the parameter, times the learning rate, that each step takes away.
    pub weight_decay: f64,
    /// Share of the momentum that stays, in [0, 1).
    pub momentum: f64,
    /// Whether the step looks ahead along the momentum.
    pub nesterov: bool,
    /// a, b and c of the iteration.
    pub ns_coefficients: [f64; 3],
    /// The least norm that is divided by; above 0.
    pub eps: f64,
    /// Steps of the iteration, 1 to 99.
    pub ns_steps: u32,
    /// Whether the factor on the rate is 0.2 sqrt(max(rows, columns)), by which steps are as large
    /// as AdamW's and share its rate (PyTorch's `adjust_lr_fn="match_rms_adamw"`); else it is
    /// sqrt(max(1, rows / columns)).
    pub match_rms_adamw: bool,
}

impl Default for Muon {
    /// A rate of 0.001, weight decay 0.1, Nesterov's momentum 0.95, five steps with 3.4445, -4.775
    /// and 2.0315, eps 1e-7.
    fn default() -> Self {
        Self {
            lr: 1e-3,
            weight_decay: 0.1,
            momentum: 0.95,
            nesterov: true,
            ns_coefficients: [3.4445, -4.7750, 2.0315],
            eps: 1e-7,
            ns_steps: 5,
            match_rms_adamw: false,
        }
    }
}

impl Muon {
    /// PyTorch's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Learning rate.
    pub fn lr(mut self, lr: f64) -> Self {
        self.lr = lr;
        self
    }

    /// Share of the parameter, times the learning rate, that each step takes away.
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Share of the momentum that stays.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Whether the step looks ahead along the momentum.
    pub fn nesterov(mut self, nesterov: bool) -> Self {
        self.nesterov = nesterov;
        self
    }

    /// a, b and c of the iteration.
    pub fn ns_coefficients(mut self, coefficients: [f64; 3]) -> Self {
        self.ns_coefficients = coefficients;
        self
    }

    /// The least norm that is divided by.
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }

    /// Steps of the iteration.
    pub fn ns_steps(mut self, steps: u32) -> Self {
        self.ns_steps = steps;
        self
    }

    /// Whether steps are as large as AdamW's.
    pub fn match_rms_adamw(mut self, matched: bool) -> Self {
        self.match_rms_adamw = matched;
        self
    }

    fn check(&self) -> Result<()> {
        let numbers = self.ns_coefficients.iter().all(|x| x.is_finite());
        let fits = (0.0..1.0).contains(&self.momentum)
            && self.weight_decay >= 0.0
            && self.weight_decay.is_finite()
            && self.eps > 0.0
            && self.eps.is_finite();
        if fits && numbers && (1..100).contains(&self.ns_steps) {
            return Ok(());
        }
        Err(Error::shape(format!(
            "muon: momentum {} is not in [0, 1), weight_decay {} not a number of at least 0, eps \
             {} not one above 0, ns_steps {} not in 1 to 99, or one of {:?} no number",
            self.momentum, self.weight_decay, self.eps, self.ns_steps, self.ns_coefficients
        )))
    }

    /// What parameters are updated by, once their gradients are directions: a step along them.
    pub(super) fn step(&self) -> Rule {
        Rule::Sgd(SgdRule {
            weight_decay: self.weight_decay,
            ..SgdRule::default()
        })
    }

    /// Directions of `params`, whose gradients are `grads` times `scale` (1 without one), clamped
    /// to [-limit, limit] if there is one. The momentum is the state `moment1.NAME`.
    ///
    /// # Errors
    /// `Shape` for settings out of range, and for a parameter that is no matrix.
    pub(super) fn directions(
        &self,
        g: &mut Graph,
        params: &[Value],
        grads: &[Value],
        scale: Option<Value>,
        limit: Option<f64>,
    ) -> Result<Vec<Value>> {
        self.check()?;
        let pairs = params.iter().zip(grads);
        let directions = pairs.map(|(&param, &grad)| {
            let mut grad = grad;
            if let Some(scale) = scale {
                grad = g.mul(grad, scale)?;
            }
            if let Some(limit) = limit {
                grad = g.clamp(grad, -limit as f32, limit as f32)?;
            }
            self.direction(g, param, grad)
        });
        directions.collect()
    }

    fn direction(&self, g: &mut Graph, param: Value, grad: Value) -> Result<Value> {
        let shape = g.shape(param)?.clone();
        if shape.len() < 2 {
            return Err(Error::shape(format!(
                "muon: {} {shape} is no matrix; another rule is to update it",
                name(g, param)?
            )));
        }
        let before = twin(g, "moment1", param, StateKind::Moment(1), 0.0)?;
        let fresh = g.scale(grad, 1.0 - self.momentum)?;
        let kept = g.scale(before, self.momentum)?;
        let after = g.add(kept, fresh)?;
        g.assign(before, after)?;
        let along = match self.nesterov {
            true => {
                let ahead = g.scale(after, self.momentum)?;
                g.add(ahead, fresh)?
            }
            false => after,
        };

        let rows = shape[0];
        let columns = shape[1..].iter().product::<usize>();
        let x = g.reshape(along, [rows, columns])?;
        let x = self.orthogonal(g, x, rows > columns)?;
        let [rows, columns] = [rows, columns].map(|n| n as f64);
        let factor = match self.match_rms_adamw {
            true => 0.2 * rows.max(columns).sqrt(),
            false => (rows / columns).max(1.0).sqrt(),
        };
        let x = g.reshape(x, shape)?;
        g.scale(x, factor)
    }

    /// The matrix near the nearest semi-orthogonal one to x, which is `tall` or not: singular
    /// values between about 0.7 and 1.2 stand for those that are not far below the largest.
    fn orthogonal(&self, g: &mut Graph, x: Value, tall: bool) -> Result<Value> {
        let norm = g.norm(x, &[0, 1], true)?;
        let norm = g.clamp(norm, self.eps as f32, f32::MAX)?;
        let mut x = g.div(x, norm)?;
        let [a, b, c] = self.ns_coefficients;
        for _ in 0..self.ns_steps {
            // X X' or, of a tall one, X' X: the smaller, and its own transpose.
            let gram = g.matmul(x, x, tall, !tall)?;
            let square = g.matmul(gram, gram, false, true)?;
            let (once, twice) = (g.scale(gram, b)?, g.scale(square, c)?);
            let both = g.add(once, twice)?;
            let other = match tall {
                true => g.matmul(x, both, false, true)?,
                false => g.matmul(both, x, false, false)?,
            };
            let own = g.scale(x, a)?;
            x = g.add(own, other)?;
        }
        Ok(x)
    }
}

impl From<Muon> for Optimizer {
    fn from(muon: Muon) -> Self {
        Optimizer::of(muon, muon.lr)
    }
}

impl fmt::Display for Muon {
    /// For people: the name, and what is not at its default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Self::default();
        f.write_str("Muon")?;
        if self.momentum != default.momentum {
            write!(f, ", momentum {}", self.momentum)?;
        }
        if !self.nesterov {
            f.write_str(", not Nesterov's")?;
        }
        if self.weight_decay != default.weight_decay {
            write!(f, ", weight decay {}", self.weight_decay)?;
        }
        if self.match_rms_adamw {
            f.write_str(", steps as large as AdamW's")?;
        }
        if self.ns_steps != default.ns_steps {
            write!(f, ", {} steps of the iteration", self.ns_steps)?;
        }
        if self.ns_coefficients != default.ns_coefficients {
            write!(f, ", coefficients {:?}", self.ns_coefficients)?;
        }
        if self.eps != default.eps {
            write!(f, ", eps {:e}", self.eps)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::gpu::Engine;
    use crate::graph::Init;
    use crate::session::Session;
    use crate::store::Store;
    use crate::tensor::Tensor;
    use crate::train::{Group, Sgd, minimize};

    /// What becomes of a parameter of this shape, whose gradients are these, one a step.
    fn trained(shape: &[usize], optimizer: &Optimizer, gradients: &[&[f32]]) -> Result<Vec<f32>> {
        let mut g = Graph::new();
        let begin: Vec<f32> = [1.0, -2.0, 0.5, 0.0, 3.0, -1.0].to_vec();
        let init = Init::Tensor(Tensor::f32(shape, begin)?.into());
        let w = g.parameter("w", shape, init)?;
        let gradient = g.input("gradient", g.ty(w)?.clone())?;
        let product = g.mul(w, gradient)?;
        let axes: Vec<usize> = (0..shape.len()).collect();
        let loss = g.sum(product, &axes, false)?;
        optimizer.minimize(&mut g, loss)?;
        let store = Store::new(&Engine::cpu(), &[&g], 0)?;
        let mut session = Session::new(&store, &g, &[])?;
        for values in gradients {
            session.write(gradient, &Tensor::f32(shape, values.to_vec())?)?;
            session.run(1)?;
        }
        Ok(store.get("w")?.as_f32()?.to_vec())
    }

    const GRADIENTS: [&[f32]; 2] = [
        &[1.0, 2.0, 3.0, 4.0, 5.0, 7.0],
        &[-1.0, 0.5, 2.0, 0.0, 1.0, -3.0],
    ];

    const WIDE: [f32; 6] = [1.2545, -2.10043, -0.21887, -0.4832, 2.14036, -1.13355];
    const TALL: [f32; 6] = [1.07564, -2.06751, 0.2957, -0.10978, 2.53996, -0.92564];

    /// Numbers of `torch.optim.Muon` (2.15), whose iteration rounds to bfloat16: 2^-8 of each of
    /// two steps.
    #[test]
    fn steps_are_those_of_pytorch() {
        for (shape, matched, wanted) in [([2, 3], false, WIDE), ([3, 2], true, TALL)] {
            let optimizer = Optimizer::from(Muon::new().lr(0.5).match_rms_adamw(matched));
            let found = trained(&shape, &optimizer, &GRADIENTS).unwrap();
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found - wanted).abs() < 8e-3, "{found} {wanted}");
            }
        }
    }

    #[test]
    fn people_read_what_differs() {
        assert_eq!(Muon::new().to_string(), "Muon");
        let other = Muon::new().momentum(0.9).nesterov(false).weight_decay(0.0);
        assert_eq!(
            other.ns_steps(6).match_rms_adamw(true).to_string(),
            "Muon, momentum 0.9, not Nesterov's, weight decay 0, steps as large as AdamW's, 6 \
             steps of the iteration"
        );
    }

    #[test]
    fn convolutions_are_matrices_by_their_outputs() {
        let optimizer = Optimizer::from(Muon::new().lr(0.5));
        let flat = trained(&[2, 3], &optimizer, &GRADIENTS).unwrap();
        let filters = trained(&[2, 1, 1, 3], &optimizer, &GRADIENTS).unwrap();
        assert_eq!(flat, filters);
        // The length of a gradient does not count.
        let longer: Vec<Vec<f32>> = GRADIENTS
            .iter()
            .map(|g| g.iter().map(|x| 4.0 * x).collect())
            .collect();
        let longer: Vec<&[f32]> = longer.iter().map(Vec::as_slice).collect();
        assert_eq!(flat, trained(&[2, 3], &optimizer, &longer).unwrap());
        // It does where it is cut: all elements are 1 then, in the first step.
        let one =
            |optimizer: &Optimizer, gradient: &[f32]| trained(&[2, 3], optimizer, &[gradient]);
        let clipped = one(&optimizer.clone().clip_value(1.0), GRADIENTS[0]).unwrap();
        assert_eq!(clipped, one(&optimizer, &[1.0; 6]).unwrap());
        // The norm of the gradients is made 1, which changes no direction.
        let normed = one(&optimizer.clone().clip_norm(1.0), GRADIENTS[0]).unwrap();
        let plain = one(&optimizer, GRADIENTS[0]).unwrap();
        for (normed, plain) in normed.iter().zip(plain) {
            assert!((normed - plain).abs() < 1e-6, "{normed} {plain}");
        }
    }

    #[test]
    fn what_is_no_matrix_takes_another_rule() {
        let build = |optimizer: Optimizer| -> Result<Vec<f32>> {
            let mut g = Graph::new();
            let w = g.parameter("w", [2, 2], Init::Constant(1.0))?;
            let b = g.parameter("b", [2], Init::Constant(1.0))?;
            let y = g.linear(w, w, Some(b))?;
            let loss = g.sum(y, &[0, 1], false)?;
            minimize(&mut g, loss, optimizer)?;
            let store = Store::new(&Engine::cpu(), &[&g], 0)?;
            Session::new(&store, &g, &[])?.run(1)?;
            Ok(store.get("b")?.as_f32()?.to_vec())
        };
        let error = build(Muon::new().into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        let words = "muon: b [2] is no matrix; another rule is to update it";
        assert_eq!(error.to_string(), words);
        // The bias steps by Sgd, twice 0.5 of it.
        let matrices = Group::matrices().rule(Muon::new());
        let optimizer = Optimizer::new(Sgd::new().lr(0.25)).group(matrices);
        assert_eq!(build(optimizer).unwrap(), [0.5, 0.5]);
        for wrong in [
            Muon::new().momentum(1.0),
            Muon::new().eps(0.0),
            Muon::new().ns_steps(0),
            Muon::new().ns_steps(100),
            Muon::new().weight_decay(-1.0),
            Muon::new().ns_coefficients([f64::NAN, 0.0, 0.0]),
        ] {
            let group = Group::matrices().rule(wrong);
            let error = build(Optimizer::new(Sgd::new()).group(group)).unwrap_err();
            assert!(error.to_string().starts_with("muon: momentum"), "{error}");
        }
    }
}
