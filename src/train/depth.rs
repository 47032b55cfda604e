//! Learning rates that fall with depth.

use crate::error::{Error, Result};
use crate::graph::{Graph, StateKind};

use super::Optimizer;
use super::optimizer::{Member, name};

impl Optimizer {
    /// Lets learning rates fall with depth (layer-wise learning-rate decay; Howard and Ruder 2018,
    /// "Universal language model fine-tuning", after whom early layers need to change least): the
    /// last block keeps its rate, the one before it has `factor` times as much, the one before that
    /// `factor` squared, and so on. Rates of [groups](super::Group::rate) count on top.
    ///
    /// Blocks come in the order in which a network declares its parameters. A block is all that has
    /// one name up to its first number: `conv1`, `layer1.0`, `layer1.1`, ..., `fc` of a residual
    /// network, `features.0`, `features.2`, ... of a VGG. Frozen ones count, so that rates stay as
    /// they are when layers thaw.
    ///
    /// ```
    /// use striate::train::{AdamW, Optimizer};
    ///
    /// let optimizer = Optimizer::new(AdamW::new().lr(1e-3)).layer_decay(0.8);
    /// ```
    pub fn layer_decay(mut self, factor: f64) -> Self {
        self.layer_decay = Some(factor);
        self
    }

    /// Members whose parameters are of one block each.
    ///
    /// # Errors
    /// `Shape` for a factor that is not above 0 and at most 1.
    pub(super) fn by_depth(&self, g: &mut Graph, members: Vec<Member>) -> Result<Vec<Member>> {
        let Some(factor) = self.layer_decay else {
            return Ok(members);
        };
        if !(factor > 0.0 && factor <= 1.0) {
            return Err(Error::shape(format!(
                "optimizer: a layer_decay of {factor} is not above 0 and at most 1"
            )));
        }
        let mut blocks: Vec<String> = Vec::new();
        let parameters = g.states().iter();
        for state in parameters.filter(|state| state.kind == StateKind::Parameter) {
            let own = block(&state.name);
            if !blocks.iter().any(|block| block == own) {
                blocks.push(own.to_owned());
            }
        }
        let mut made: Vec<Member> = Vec::new();
        for member in members {
            let mut depths = vec![Vec::new(); blocks.len()];
            for &param in &member.params {
                let name = name(g, param)?;
                let depth = blocks.iter().position(|own| own == block(&name));
                depths[depth.unwrap_or_default()].push(param);
            }
            for (depth, params) in depths.into_iter().enumerate() {
                if params.is_empty() {
                    continue;
                }
                // Each is updated by one op, and stored in one piece.
                for &param in &params {
                    g.set_group(param, made.len().min(255) as u8)?;
                }
                let above = (blocks.len() - 1 - depth) as f64;
                let mut own = member.with(params);
                own.rate *= factor.powf(above);
                made.push(own);
            }
        }
        Ok(made)
    }
}

/// The part of a parameter's name that is that of its block.
fn block(name: &str) -> &str {
    let mut end = 0;
    for piece in name.split('.') {
        let numbered = piece.bytes().all(|byte| byte.is_ascii_digit());
        let first = end == 0;
        if !first && !numbered {
            // No number follows at once: the outermost name is all there is.
            return name.split('.').next().unwrap_or(name);
        }
        end += piece.len() + usize::from(!first);
        if numbered {
            break;
        }
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::gpu::Engine;
    use crate::graph::Init;
    use crate::models::resnet18;
    use crate::nn::{Build, Module};
    use crate::session::Session;
    use crate::shape::Type;
    use crate::store::Store;
    use crate::train::{Group, Sgd};

    #[test]
    fn blocks_are_named_up_to_a_number() {
        for (name, wanted) in [
            ("conv1.weight", "conv1"),
            ("layer1.0.conv1.weight", "layer1.0"),
            ("features.12.bias", "features.12"),
            ("features.1.conv.0.0.weight", "features.1"),
            ("inception3a.branch1.conv.weight", "inception3a"),
            ("0.weight", "0"),
            ("weight", "weight"),
        ] {
            assert_eq!(block(name), wanted);
        }
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([1, 3, 32, 32])).unwrap();
        resnet18(10).build(&mut Build::eval(&mut g), x).unwrap();
        let optimizer = Optimizer::new(Sgd::new()).layer_decay(0.5);
        let rates: Vec<f64> = optimizer
            .members(&mut g)
            .unwrap()
            .iter()
            .map(|m| m.rate)
            .collect();
        // conv1, bn1, eight blocks of two, fc.
        let wanted: Vec<f64> = (0..11).rev().map(|above| 0.5f64.powi(above)).collect();
        assert_eq!(rates, wanted);
    }

    #[test]
    fn early_layers_step_less() {
        let step = |optimizer: Optimizer| -> Result<Vec<f32>> {
            let mut g = Graph::new();
            let mut loss = None;
            for name in ["a.0.weight", "a.1.weight", "b.weight", "b.bias"] {
                let w = g.parameter(name, [1], Init::Constant(1.0))?;
                loss = Some(match loss {
                    Some(other) => g.add(other, w)?,
                    None => w,
                });
            }
            let loss = g.sum(loss.unwrap(), &[0], false)?;
            optimizer.minimize(&mut g, loss)?;
            let store = Store::new(&Engine::cpu(), &[&g], 0)?;
            Session::new(&store, &g, &[])?.run(1)?;
            let names = ["a.0.weight", "a.1.weight", "b.weight", "b.bias"];
            names.iter().map(|name| store.get(name)?.item()).collect()
        };
        let sgd = || Optimizer::new(Sgd::new().lr(0.5)).layer_decay(0.5);
        assert_eq!(step(sgd()).unwrap(), [0.875, 0.75, 0.5, 0.5]);
        let grouped = sgd().group(Group::named(["b.bias"]).rate(0.5));
        assert_eq!(step(grouped).unwrap(), [0.875, 0.75, 0.5, 0.75]);
        for factor in [0.0, -1.0, 1.5, f64::NAN] {
            let error = step(sgd().layer_decay(factor)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shape);
        }
    }
}
