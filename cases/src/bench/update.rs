//! Optimizer steps over four million parameters, in one tensor and in many, which lie in the store
//! as those of a network do.

use striate::check::{Bound, Case, Draw, Numbers, draw};
use striate::error::Result;
use striate::graph::{Graph, Init, StateKind, Value};
use striate::ops::{AdamRule, Rule, SgdRule};
use striate::shape::Type;

use super::{Bench, count};

const PARAMETERS: usize = 1 << 22;

pub fn benches() -> Vec<Bench> {
    let sgd = Rule::Sgd(SgdRule {
        momentum: 0.9,
        weight_decay: 1e-4,
        ..SgdRule::default()
    });
    let adam = Rule::Adam(AdamRule::default());
    let mut benches = Vec::new();
    // Operations per parameter: as the rules' formulas have them.
    for (name, rule, flops) in [("sgd_momentum", sgd, 6.0), ("adam", adam, 12.0)] {
        for tensors in [1, 64] {
            benches.push(bench(name, rule, flops, tensors));
        }
    }
    benches
}

/// A state of `like`'s kind of place, with numbers of its own.
fn state(g: &mut Graph, elements: usize, kind: StateKind, like: Option<Value>) -> Result<Value> {
    let (name, ty) = (format!("s{}", g.states().len()), Type::f32([elements]));
    let init = match kind {
        StateKind::Moment(_) => Init::Constant(0.0),
        _ => Init::Tensor(draw(&name, 0, &ty, Draw::Real, Numbers::Real)?.into()),
    };
    g.state(&name, ty, kind, init, like)
}

/// A step of `rule` on `tensors` tensors of as many elements each.
fn step(g: &mut Graph, rule: Rule, tensors: usize, elements: usize) -> Result<Vec<Value>> {
    let params = (0..tensors)
        .map(|_| state(g, elements, StateKind::Parameter, None))
        .collect::<Result<Vec<_>>>()?;
    let mut twins = |kind| -> Result<Vec<Value>> {
        let all = params.iter();
        all.map(|&p| state(g, elements, kind, Some(p))).collect()
    };
    let grads = twins(StateKind::Gradient)?;
    let moments = (1..=rule.moments())
        .map(|number| twins(StateKind::Moment(number as u8)))
        .collect::<Result<Vec<_>>>()?;
    let lr = g.fill([], 1e-3)?;
    let updated = g.update(rule, &params, &grads, &moments, lr)?;
    let olds = params.iter().chain(moments.iter().flatten());
    let news = updated
        .params
        .iter()
        .chain(updated.moments.iter().flatten());
    for (&old, &new) in olds.zip(news.clone()) {
        g.assign(old, new)?;
    }
    Ok(news.copied().collect())
}

fn bench(name: &str, rule: Rule, flops: f64, tensors: usize) -> Bench {
    let case = |parameters: usize| {
        let elements = parameters / tensors;
        let name = format!("{name}/{tensors}x{elements}");
        Case::new(name, Vec::new(), move |g, _| {
            step(g, rule, tensors, elements)
        })
        // A sum of a few products; Adam adds a division and a root of 2.5 units each (WGSL 15.7.4).
        .bound(Bound::Norm(2e-6))
        .inexact()
    };
    let full = case(PARAMETERS);
    // Parameters and moments are read and written, gradients read.
    let accesses = 3 + 2 * rule.moments();
    Bench {
        name: full.name.clone(),
        flops: flops * count(&[PARAMETERS]),
        bytes: 4.0 * count(&[PARAMETERS, accesses]),
        sample: case(tensors << 8),
        case: full,
    }
}
