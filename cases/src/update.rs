//! Optimizer steps: rules, the norm that clips, states that take up values, schedules.

use striate::check::{Bound, Case, Draw, Input, drawn, real};
use striate::ops::{
    AdagradRule, AdamRule, Blend, Blending, ClipGradNorm, Ema, Lookup, RmsPropRule, Rule, SgdRule,
    Update, Warmup,
};
use striate::shape::Shape;

use super::words;

/// Parameters whose elements fill their last vec4 and that do not, in one part of 256 bytes and in
/// several.
fn shapes() -> Vec<Shape> {
    vec![
        [6, 1, 5, 5].into(),
        [7].into(),
        [].into(),
        [0, 3].into(),
        [9, 29].into(),
    ]
}

/// `copies` tensors of each of the shapes.
fn tensors(copies: usize, draw: Draw) -> Vec<Input> {
    let shapes = shapes();
    let all = shapes.iter().cycle().take(copies * shapes.len());
    all.map(|shape| drawn(shape.clone(), draw)).collect()
}

/// A case of an update. `squares` names the moments that are never negative; the learning rate is
/// drawn and multiplied by `by`.
fn case(
    name: String,
    op: impl Fn(usize) -> Update + Send + Sync + 'static,
    clock: &'static [u32],
    squares: &'static [usize],
    by: f32,
    draw: Draw,
) -> Case {
    let n = shapes().len();
    let tensors_per_parameter = 2 + op(n).rule().moments();
    let mut inputs = tensors(tensors_per_parameter, draw);
    inputs.extend([real([]), real([]), words(clock)]);
    Case::new(name, inputs, move |g, x| {
        let mut x = x.to_vec();
        for &moment in squares {
            for v in &mut x[(2 + moment) * n..(3 + moment) * n] {
                *v = g.mul(*v, *v)?;
            }
        }
        let lr = x.len() - 3;
        x[lr] = g.scale(x[lr], by)?;
        g.apply(op(n), &x)
    })
}

const START: &[u32] = &[0, 0, 0, 0];
const LATER: &[u32] = &[0, 0, 9, 0];
const LATE: &[u32] = &[0, 0, 4_000_000, 0];

fn sgd() -> Vec<Case> {
    let mut cases = Vec::new();
    // Eight roundings. A rate below 0 on absolute inputs: nothing is subtracted, so that the
    // reference adds up what could cancel.
    let bound = Bound::Sum { k: 1 };
    for (momentum, dampening, nesterov, weight_decay) in [
        (0.0, 0.0, false, 0.0),
        (0.0, 0.0, false, 0.25),
        (0.5, 0.0, false, 0.0),
        (0.5, 0.25, false, 0.0),
        (0.5, 0.5, false, 0.125),
        (0.75, 0.0, true, 0.0),
        (0.75, 0.0, true, 0.125),
    ] {
        let rule = Rule::Sgd(SgdRule {
            momentum,
            dampening,
            nesterov,
            weight_decay,
        });
        for clock in [START, LATER] {
            let name = format!(
                "sgd/{momentum}/{dampening}/{nesterov}/{weight_decay}/step {}",
                clock[2]
            );
            let op = move |n| Update::new(rule, n);
            cases.push(case(name, op, clock, &[], -1.0, Draw::Real).bound(bound));
        }
    }
    let momentum = Rule::Sgd(SgdRule {
        momentum: 0.5,
        ..SgdRule::default()
    });
    for rule in [Rule::Sgd(SgdRule::default()), momentum] {
        for (rate, clip) in [
            (0.5, None),
            (1.0, Some(0.25)),
            (0.125, Some(2.0)),
            (0.0, Some(0.0)),
        ] {
            let name = format!("sgd/{}/rate {rate}/clip {clip:?}", rule.moments());
            let op = move |n| Update::new(rule, n).rate(rate).clip_value(clip);
            cases.push(case(name, op, LATER, &[], -1.0, Draw::Real).bound(bound));
        }
        let name = format!("sgd/{}/special", rule.moments());
        let op = move |n| Update::new(rule, n).clip_value(Some(0.5));
        cases.push(case(name, op, LATER, &[], -1.0, Draw::Special).bound(bound));
    }
    cases
}

fn adam_name(decoupled: bool) -> &'static str {
    if decoupled { "adamw" } else { "adam" }
}

fn adam() -> Vec<Case> {
    let mut cases = Vec::new();
    // A sum of two products, a division, two roots and a product: WGSL 15.7.4 allows 2.5 units each
    // for division and root; the bias correction is an exponential of 3 units.
    let bound = Bound::Norm(2e-6);
    for clock in [START, LATER, LATE] {
        for amsgrad in [false, true] {
            for (weight_decay, decoupled) in [(0.0, false), (0.01, false), (0.01, true)] {
                let rule = Rule::Adam(AdamRule {
                    weight_decay,
                    decoupled,
                    amsgrad,
                    ..AdamRule::default()
                });
                let name = format!(
                    "{}/{weight_decay}/{amsgrad}/step {}",
                    adam_name(decoupled),
                    clock[2]
                );
                let op = move |n| Update::new(rule, n);
                let squares: &[usize] = if amsgrad { &[1, 2] } else { &[1] };
                cases.push(
                    case(name, op, clock, squares, 0.01, Draw::Real)
                        .bound(bound)
                        .inexact(),
                );
            }
        }
    }
    for (amsgrad, decoupled) in [(false, false), (true, false), (false, true)] {
        let rule = Rule::Adam(AdamRule {
            amsgrad,
            decoupled,
            ..AdamRule::default()
        });
        let op = move |n| Update::new(rule, n).rate(0.5).clip_value(Some(0.5));
        let squares: &[usize] = if amsgrad { &[1, 2] } else { &[1] };
        for draw in [Draw::Real, Draw::Special] {
            let name = format!("{}/rate and clip/{amsgrad}/{draw:?}", adam_name(decoupled));
            cases.push(
                case(name, op, LATER, squares, 0.01, draw)
                    .bound(bound)
                    .inexact(),
            );
        }
    }
    cases
}

/// RMSprop and Adagrad.
fn adaptive() -> Vec<Case> {
    let mut cases = Vec::new();
    // As Adam without the bias correction: a sum of squares, a root, a division, a product.
    let bound = Bound::Norm(2e-6);
    for centered in [false, true] {
        for momentum in [0.0, 0.9] {
            let make = move |weight_decay, alpha| {
                Rule::RmsProp(RmsPropRule {
                    alpha,
                    weight_decay,
                    momentum,
                    centered,
                    ..RmsPropRule::default()
                })
            };
            for (weight_decay, alpha, draw) in [
                (0.0, 0.99, Draw::Real),
                (0.01, 0.99, Draw::Real),
                (0.0, 0.5, Draw::Real),
                (0.01, 0.9, Draw::Special),
            ] {
                let name = format!("rmsprop/{centered}/{momentum}/{weight_decay}/{alpha}/{draw:?}");
                let op = move |n| Update::new(make(weight_decay, alpha), n).rate(0.5);
                cases.push(
                    case(name, op, LATER, &[0], 0.01, draw)
                        .bound(bound)
                        .inexact(),
                );
            }
        }
    }
    for (lr_decay, weight_decay, clock, draw) in [
        (0.0, 0.0, START, Draw::Real),
        (0.0, 0.01, LATER, Draw::Real),
        (0.25, 0.0, START, Draw::Real),
        (0.25, 0.01, LATER, Draw::Real),
        (0.25, 0.0, LATE, Draw::Real),
        (0.25, 0.01, LATER, Draw::Special),
    ] {
        let rule = Rule::Adagrad(AdagradRule {
            lr_decay,
            weight_decay,
            ..AdagradRule::default()
        });
        let name = format!(
            "adagrad/{lr_decay}/{weight_decay}/step {}/{draw:?}",
            clock[2]
        );
        let op = move |n| Update::new(rule, n).clip_value(Some(0.75));
        cases.push(
            case(name, op, clock, &[0], 0.01, draw)
                .bound(bound)
                .inexact(),
        );
    }
    cases
}

fn norms() -> Vec<Case> {
    let mut cases = Vec::new();
    // A sum of n squares in up to 32 terms per lane and a tree, whose root has half its relative
    // error; then a division.
    let bound = Bound::Norm(2e-6);
    let mut norm = |name: &str, mut grads: Vec<Input>, max_norm: f64, by: f32| {
        grads.push(real([]));
        let name = format!("clip_grad_norm/{name}/{max_norm}/{by}");
        let case = Case::new(name, grads, move |g, x| {
            let (grads, factor) = x.split_at(x.len() - 1);
            let scaled = grads.iter().map(|&x| g.scale(x, by));
            let scaled = scaled.collect::<striate::error::Result<Vec<_>>>()?;
            // The factor is positive.
            let factor = g.mul(factor[0], factor[0])?;
            let count = scaled.len();
            g.apply(
                ClipGradNorm { max_norm, count },
                &[&scaled[..], &[factor]].concat(),
            )
        });
        cases.push(case.bound(bound).inexact());
    };
    for max_norm in [0.0, 0.5, 1000.0, f64::INFINITY] {
        norm("many", tensors(1, Draw::Real), max_norm, 1.0);
    }
    // Squares of these leave the range of f32.
    for by in [1e30, 1e-30, 1e18, 1e-15] {
        norm("many", tensors(1, Draw::Real), 1.0, by);
    }
    for max_norm in [1.0, 1e300, f64::INFINITY] {
        norm("infinite", vec![real([7])], max_norm, f32::INFINITY);
    }
    norm("special", tensors(1, Draw::Special), 1.0, 1.0);
    norm("none", vec![], 1.0, 1.0);
    norm("empty", vec![real([0]), real([3, 0])], 1.0, 1.0);
    norm("one", vec![real([1])], 1.0, 1.0);
    norm("row", vec![real([131])], 1.0, 1.0);
    norm("parts", vec![real([37, 5])], 1.0, 1.0);
    norm("two stages", vec![real([64, 101]), real([513])], 1.0, 1.0);
    norm("three stages", vec![real([1031, 151])], 1.0, 1.0);
    cases
}

fn blends() -> Vec<Case> {
    let n = shapes().len();
    let mut cases = Vec::new();
    let blend = |blending: Blending, clock: &'static [u32], draw| {
        let mut inputs = tensors(2, draw);
        inputs.push(words(clock));
        let name = format!("blend/{blending:?}/step {}/{draw:?}", clock[2]);
        Case::new(name, inputs, move |g, x| {
            g.apply(Blend::new(blending, n), x)
        })
    };
    for draw in [Draw::Real, Draw::Special] {
        for clock in [START, LATER] {
            // One addition.
            cases.push(blend(Blending::Sum, clock, draw).bound(Bound::Sum { k: 1 }));
        }
    }
    // Two products and a sum.
    let quarter = Ema::new(0.75);
    for ema in [
        quarter,
        Ema {
            start: 9,
            ..quarter
        },
        Ema {
            start: 8,
            ..quarter
        },
    ] {
        for clock in [START, LATER] {
            cases.push(blend(Blending::Ema(ema), clock, Draw::Real).bound(Bound::Sum { k: 2 }));
        }
    }
    cases.push(blend(Blending::Ema(quarter), LATER, Draw::Special).bound(Bound::Sum { k: 2 }));
    // A division of 2.5 units, two products and a sum.
    for clock in [START, &[0, 0, 1, 0], LATER, LATE] {
        let mean = blend(Blending::Mean, clock, Draw::Real).bound(Bound::Norm(1e-6));
        cases.push(mean.inexact());
    }
    // exp2 is off by 3 + 2 |x| units and log2 by 3, at |x| up to 18: WGSL 15.7.4. Near 1, log2 is
    // off by 2^-21.
    for warmup in [(1.0, 2.0 / 3.0), (1.0, 1.0), (100.0, 0.75), (0.5, 2.0)] {
        let (gamma, power) = warmup;
        for clock in [START, &[0, 0, 1, 0], LATER, LATE] {
            let ema = Ema {
                decay: 0.9999,
                start: 0,
                warmup: Some(Warmup { gamma, power }),
            };
            let case = blend(Blending::Ema(ema), clock, Draw::Real).bound(Bound::Norm(4e-6));
            cases.push(case.inexact());
        }
    }
    cases
}

pub fn update() -> Vec<Case> {
    let families = [sgd(), adam(), adaptive(), norms(), blends()];
    let mut cases: Vec<Case> = families.into_iter().flatten().collect();
    for (count, at) in [
        (1, &[7, 7, 0, 7]),
        (5, &[7, 7, 3, 7]),
        (5, &[7, 7, 4, 7]),
        (5, &[0, 0, 900, 0]),
    ] {
        cases.push(Case::new(
            format!("lookup/{count}/step {}", at[2]),
            vec![real([count]), words(at)],
            |g, x| g.apply(Lookup, x),
        ));
    }
    // A table, which is whole.
    cases.push(
        Case::new(
            "lookup/100/step 77",
            vec![real([100]), words(&[7, 7, 77, 7])],
            |g, x| g.apply(Lookup, x),
        )
        .whole("lookup: f32 [100]"),
    );
    cases
}
