//! Optimizer steps.

use striate::check::{Bound, Case, Draw, Input, real};
use striate::ops::{Adam, Lookup, Rule, Sgd, Update};
use striate::shape::{Shape, Type};

pub fn update() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes: [Shape; 5] = [
        [6, 1, 5, 5].into(),
        [7].into(),
        [].into(),
        [0, 3].into(),
        [3, 87].into(),
    ];
    let n = shapes.len();
    let tensors = |copies: usize| -> Vec<Input> {
        let all = shapes.iter().cycle().take(copies * n);
        all.map(|shape| real(shape.clone())).collect()
    };
    let scalars = |words| {
        let ty = Type::u32([4]);
        let draw = Draw::Words(words);
        [real([]), Input { ty, draw }]
    };
    for (momentum, nesterov, weight_decay) in [
        (0.0, false, 0.0),
        (0.0, false, 0.25),
        (0.5, false, 0.0),
        (0.75, true, 0.125),
    ] {
        let rule = Rule::Sgd(Sgd {
            momentum,
            nesterov,
            weight_decay,
        });
        let mut inputs = tensors(2 + rule.moments());
        inputs.extend(scalars(&[1, 2, 3, 0]));
        cases.push(
            Case::new(
                format!("sgd/{momentum}/{nesterov}/{weight_decay}"),
                inputs,
                move |g, x| g.add(Update::new(rule, n), x),
            )
            // Six roundings, each of at most the largest operand's last place; p may cancel, so no ULP bound holds.
            .bound(Bound::Norm(6.0 / 16_777_216.0)),
        );
    }
    let clocks: [&[u32]; 3] = [&[0, 0, 0, 0], &[0, 0, 9, 0], &[0, 0, 4_000_000, 0]];
    for clock in clocks {
        for (weight_decay, decoupled) in [(0.0, false), (0.01, false), (0.01, true)] {
            let adam = Adam {
                weight_decay,
                decoupled,
                ..Adam::default()
            };
            let mut inputs = tensors(4);
            inputs.extend(scalars(clock));
            cases.push(
                Case::new(
                    format!("adam/{weight_decay}/{decoupled}/step {}", clock[2]),
                    inputs,
                    move |g, x| {
                        let mut x = x.to_vec();
                        for v in &mut x[3 * n..4 * n] {
                            *v = g.mul(*v, *v)?;
                        }
                        let lr = x.len() - 2;
                        x[lr] = g.scale(x[lr], 0.01)?;
                        g.add(Update::new(Rule::Adam(adam), n), &x)
                    },
                )
                // A sum of two products, a division, two roots and a product: WGSL 15.7.4 allows 2.5 units each for
                // division and root; the bias correction is an exponential of 3 units.
                .bound(Bound::Norm(2e-6))
                .inexact(),
            );
        }
    }
    for (count, words) in [
        (1, &[7, 7, 0, 7]),
        (5, &[7, 7, 3, 7]),
        (5, &[7, 7, 4, 7]),
        (5, &[0, 0, 900, 0]),
    ] {
        let clock = Input {
            ty: Type::u32([4]),
            draw: Draw::Words(words),
        };
        cases.push(Case::new(
            format!("lookup/{count}/step {}", words[2]),
            vec![real([count]), clock],
            |g, x| g.add(Lookup, x),
        ));
    }
    cases
}
