//! Loops over more than 70,000 elements: softmax, reductions, losses, counts and normalisations. A
//! segment `long` in the name puts a case into the group of that name.

use striate::check::{Bound, Case, Draw, below, drawn, real};
use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::LossFunction::{self, *};
use striate::ops::{CrossEntropyLoss, Reduction};
use striate::shape::Shape;

use super::words;

/// Elements of a row or set that no invocation of llvmpipe walks alone.
const LONG: usize = 70_001;
/// So many that 64 invocations do not walk them in one loop each.
const SHARED: usize = 64 * LONG;
/// So many that 64 invocations do not walk them in three loops each.
const THRICE: usize = SHARED / 3 + 7;

pub fn long() -> Vec<Case> {
    let families = [
        sums(),
        along(),
        softmax(),
        cross_entropy(),
        counts(),
        losses(),
        norms(),
    ];
    families.into_iter().flatten().collect()
}

/// Over runs of axes of all kinds; the integers are exact.
fn sums() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes: [(Shape, &'static [usize]); 5] = [
        ([2 * LONG].into(), &[0]),
        ([LONG, 5].into(), &[0]),
        ([LONG, 4].into(), &[0]),
        ([2, 3, LONG].into(), &[0, 2]),
        // The run in the middle is the longest.
        ([2, 2, LONG, 2, 3].into(), &[0, 2, 4]),
    ];
    for (shape, axes) in shapes {
        let k: usize = axes.iter().map(|&axis| shape[axis]).product();
        cases.push(
            Case::new(
                format!("sum/long/{shape}/{axes:?}"),
                vec![real(shape)],
                |g, x| Ok(vec![g.sum(x[0], axes, false)?]),
            )
            .bound(Bound::Sum { k })
            .gradients(&[0], Bound::Ulp(1.0)),
        );
    }
    for shape in [Shape::from([3, LONG]), [LONG, 4].into()] {
        let axis = if shape[1] == LONG { 1 } else { 0 };
        let near = vec![drawn(shape.clone(), Draw::Between(0.999, 1.001))];
        let case = Case::new(format!("prod/long/{shape}"), near, move |g, x| {
            Ok(vec![g.prod(x[0], &[axis], false)?])
        });
        // Roundings of so many factors do not add up.
        let case = case.inexact().bound(Bound::Norm(1e-4));
        cases.push(case.gradients(&[0], Bound::Norm(1e-4)));
    }
    for shape in [Shape::from([3, LONG]), [1, LONG, 2].into()] {
        for (name, largest) in [("amax", true), ("amin", false)] {
            cases.push(
                Case::new(
                    format!("{name}/long/{shape}"),
                    vec![drawn(shape.clone(), Draw::Distinct)],
                    move |g, x| {
                        Ok(vec![match largest {
                            true => g.amax(x[0], &[1], false)?,
                            false => g.amin(x[0], &[1], false)?,
                        }])
                    },
                )
                .gradients(&[0], Bound::Exact),
            );
        }
        // Sums over thousands of elements, which are far more exact than their worst case.
        let bound = Bound::Norm(1e-5);
        type Build = fn(&mut Graph, Value) -> Result<Value>;
        let functions: [(&str, Build); 4] = [
            ("mean", |g, x| g.mean(x, &[1], false)),
            ("var", |g, x| g.var(x, &[1], 1, false)),
            ("std", |g, x| g.std(x, &[1], 1, false)),
            ("norm", |g, x| g.norm(x, &[1], false)),
        ];
        for (name, function) in functions {
            let x = drawn(shape.clone(), Draw::Between(0.5, 2.0));
            let case = Case::new(format!("{name}/long/{shape}"), vec![x], move |g, x| {
                Ok(vec![function(g, x[0])?])
            });
            cases.push(case.inexact().bound(bound).gradients(&[0], bound));
        }
    }
    cases
}

/// Extremes with their places: the integers hold many equal ones.
fn along() -> Vec<Case> {
    let case = |name: &str, shape: Shape, largest: bool| {
        let name = format!("{name}/long/{shape}");
        let case = Case::new(name, vec![real(shape)], move |g, x| {
            let (y, index) = match largest {
                true => g.max(x[0], 1, false)?,
                false => g.min(x[0], 1, false)?,
            };
            Ok(vec![y, index])
        });
        case.gradients(&[0], Bound::Exact)
    };
    let shapes = [[1, SHARED, 1], [1, LONG, 16]];
    let [first, second] = shapes.map(Shape::from);
    vec![
        case("max", first.clone(), true),
        case("min", first, false),
        case("max", second.clone(), true),
        case("min", second, false),
    ]
}

/// Sums of exponentials in so many chunks that they are far more exact than their worst case.
const CLOSE: Bound = Bound::Ulp(200.0);

/// Rows for one invocation, and for a workgroup.
fn rows() -> [Shape; 2] {
    [[1, LONG, 16].into(), [1, THRICE].into()]
}

fn softmax() -> Vec<Case> {
    let mut cases = Vec::new();
    // Sums of elements and of quads along rows too.
    let more = [[1, LONG, 3].into(), [2, LONG + 3].into()];
    for shape in rows().into_iter().chain(more) {
        for (name, logarithm) in [("softmax", false), ("log_softmax", true)] {
            let name = format!("{name}/long/{shape}");
            let case = Case::new(name, vec![real(shape.clone())], move |g, x| {
                Ok(vec![match logarithm {
                    true => g.log_softmax(x[0], 1)?,
                    false => g.softmax(x[0], 1)?,
                }])
            });
            let case = case.inexact().bound(CLOSE);
            cases.push(case.gradients(&[0], Bound::Norm(1e-5)));
        }
    }
    let far = drawn([1, THRICE], Draw::Special);
    cases.push(
        Case::new("softmax/long/special", vec![far], |g, x| {
            Ok(vec![g.softmax(x[0], 1)?, g.log_softmax(x[0], 1)?])
        })
        .inexact()
        .bound(CLOSE)
        .gradients(&[0], Bound::Norm(1e-5)),
    );
    cases
}

fn cross_entropy() -> Vec<Case> {
    let mut cases = Vec::new();
    let bound = Bound::Norm(1e-5);
    for logits in rows() {
        let target: Shape = [&logits[..1], &logits[2..]].concat().into();
        let classes = logits[1];
        let drawn_weight = || drawn([classes], Draw::Between(0.5, 2.0));
        for (kind, weighted, ignore_index, label_smoothing, reduction) in [
            ("labels", false, None, 0.0, Reduction::Mean),
            ("weighted", true, Some(3), 0.0, Reduction::Mean),
            ("smoothed", true, None, 0.1, Reduction::Mean),
            ("each", false, None, 0.1, Reduction::None),
        ] {
            // One of the two shapes shows each of these.
            if (kind == "weighted" || kind == "each") && classes == LONG {
                continue;
            }
            let labels = below(target.clone(), classes as u32);
            let inputs = vec![real(logits.clone()), labels, drawn_weight()];
            let name = format!("cross_entropy/long/{logits}/{kind}");
            let case = Case::new(name, inputs, move |g, x| {
                let options = CrossEntropyLoss {
                    weight: weighted.then_some(x[2]),
                    ignore_index,
                    reduction,
                    label_smoothing,
                    valid: None,
                };
                Ok(vec![g.cross_entropy_with(x[0], x[1], options)?])
            });
            // Beside that of its label, a gradient is that of softmax, which nothing cancels.
            let case = case.inexact().bound(bound);
            // Equal shares add up with roundings that do not cancel, in 64 sums of n / 64.
            let ulps = if kind == "each" { 2000.0 } else { 400.0 };
            cases.push(case.gradients(&[0], Bound::Ulp(ulps)));
        }
        let shares = drawn(logits.clone(), Draw::Between(0.0, 1.0));
        let inputs = vec![real(logits.clone()), shares, drawn_weight()];
        let name = format!("cross_entropy/long/{logits}/probabilities");
        let case = Case::new(name, inputs, |g, x| {
            let options = CrossEntropyLoss {
                weight: Some(x[2]),
                ..CrossEntropyLoss::default()
            };
            Ok(vec![g.cross_entropy_with(x[0], x[1], options)?])
        });
        cases.push(case.inexact().bound(bound).gradients(&[0], bound));
        let labels = below(target, classes as u32);
        let name = format!("nll_loss/long/{logits}");
        let case = Case::new(name, vec![real(logits), labels], |g, x| {
            Ok(vec![g.nll_loss(x[0], x[1])?])
        });
        cases.push(case.inexact().bound(bound).gradients(&[0], bound));
    }
    // Labels that are no classes, and some that count nowhere.
    let word = |label| words(if label == 3 { &[3] } else { &[u32::MAX] });
    for (label, smoothing) in [(u32::MAX, 0.1), (3, 0.1)] {
        let inputs = vec![real([1, THRICE]), word(label)];
        let name = format!("cross_entropy/long/label {label}/{smoothing}");
        let case = Case::new(name, inputs, move |g, x| {
            let options = CrossEntropyLoss {
                ignore_index: Some(3),
                label_smoothing: smoothing,
                reduction: Reduction::Sum,
                ..CrossEntropyLoss::default()
            };
            Ok(vec![g.cross_entropy_with(x[0], x[1], options)?])
        });
        cases.push(case.inexact().bound(bound).gradients(&[0], bound));
    }
    cases
}

/// Many rows, and many columns: of labels that are all right, the first of equal ones, and of
/// others.
fn counts() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes: [(usize, usize, &'static [u32]); 3] = [
        (SHARED, 1, &[4_400_000]),
        (1, SHARED, &[1]),
        (2, LONG, &[2]),
    ];
    for (rows, classes, valid) in sizes {
        let inputs = vec![
            real([rows, classes]),
            below([rows], 2),
            words(valid),
            words(&[7, 9]),
        ];
        cases.push(Case::new(
            format!("count_correct/long/{rows}x{classes}"),
            inputs,
            move |g, x| {
                let right = match classes {
                    1 => x[1],
                    _ => g.argmax(x[0], 1, false)?,
                };
                Ok(vec![
                    g.count_correct(x[0], right, x[2], x[3])?,
                    g.count_correct(x[0], x[1], x[2], x[3])?,
                ])
            },
        ));
    }
    cases
}

fn losses() -> Vec<Case> {
    let functions: [(&str, LossFunction); 6] = [
        ("mse_loss", SquaredError),
        ("l1_loss", AbsoluteError),
        ("smooth_l1_loss", SmoothL1 { beta: 0.375 }),
        ("huber_loss", Huber { delta: 0.625 }),
        ("bce_loss", Bce),
        ("bce_with_logits", BceWithLogits),
    ];
    let mut cases = Vec::new();
    for (name, function) in functions {
        for (reduction, count) in [(Reduction::Sum, LONG), (Reduction::Mean, 6 * LONG + 2)] {
            let share = || drawn([count], Draw::Between(0.02, 0.98));
            let name = format!("{name}/long/{count}/{reduction:?}");
            let case = Case::new(name, vec![share(), share()], move |g, x| {
                Ok(vec![g.pointwise_loss(x[0], x[1], function, reduction)?])
            });
            let bound = Bound::Norm(1e-5);
            cases.push(case.inexact().bound(bound).gradients(&[0], bound));
        }
    }
    cases
}

type Builder = fn(&mut Graph, &[Value]) -> Result<Vec<Value>>;

/// Sets of many elements, in one run and in many.
fn norms() -> Vec<Case> {
    let mut cases = Vec::new();
    let bound = Bound::Norm(1e-5);
    // Means over the set of products with dy.
    let gradient = Bound::Norm(3e-5);
    let x = |shape: &[usize]| drawn(Shape::from(shape.to_vec()), Draw::Between(-1.0, 3.0));
    let affine = |n: usize| [drawn([n], Draw::Between(0.5, 2.0)), real([n])];
    let mut push = |name: String, inputs: Vec<_>, build: Builder| {
        let wrt: Vec<usize> = (0..inputs.len()).collect();
        let case = Case::new(name, inputs, build);
        cases.push(case.inexact().bound(bound).gradients(&wrt, gradient));
    };
    for shape in [[2, 3, 151, 250], [3, 4, 4, LONG / 4], [LONG, 4, 1, 1]] {
        let [weight, bias] = affine(shape[1]);
        push(
            format!("batch_norm/long/{shape:?}"),
            vec![x(&shape), weight, bias],
            |g, v| {
                Ok(vec![
                    g.batch_norm_train(v[0], Some(v[1]), Some(v[2]), 1e-5)?.0,
                ])
            },
        );
    }
    for shape in [[2, 2, 263, 267], [1, 4, 4, LONG / 4 + 1]] {
        let [weight, bias] = affine(shape[1]);
        push(
            format!("instance_norm/long/{shape:?}"),
            vec![x(&shape), weight.clone(), bias.clone()],
            |g, v| Ok(vec![g.instance_norm(v[0], Some(v[1]), Some(v[2]), 1e-5)?]),
        );
        push(
            format!("group_norm/long/{shape:?}"),
            vec![x(&shape), weight, bias],
            |g, v| Ok(vec![g.group_norm(v[0], 2, Some(v[1]), Some(v[2]), 1e-5)?]),
        );
    }
    for shape in [[24, LONG], [LONG, 2]] {
        let [weight, bias] = affine(shape[1]);
        push(
            format!("layer_norm/long/{shape:?}"),
            vec![x(&shape), weight.clone(), bias],
            |g, v| Ok(vec![g.layer_norm(v[0], 1, Some(v[1]), Some(v[2]), 1e-2)?]),
        );
        push(
            format!("rms_norm/long/{shape:?}"),
            vec![x(&shape), weight],
            |g, v| Ok(vec![g.rms_norm(v[0], 1, Some(v[1]), 1e-2)?]),
        );
    }
    let inputs = vec![real([LONG]), real([3, 2 * LONG]), real([])];
    let clip = Case::new("clip_grad_norm/long", inputs, |g, x| {
        let (norm, scale) = g.clip_grad_norm(&x[..2], 1.0, Some(x[2]))?;
        Ok(vec![norm, scale])
    });
    cases.push(clip.inexact().bound(bound));
    cases
}
