//! Losses and counts of right answers.

use striate::check::{Bound, Case, Draw, Input, below, drawn, real};
use striate::ops::LossFunction::{self, *};
use striate::ops::{CrossEntropyLoss, Reduction, TripletMargin};
use striate::shape::Shape;

use super::{labels, words};

const REDUCTIONS: [Reduction; 3] = [Reduction::None, Reduction::Mean, Reduction::Sum];

pub fn loss() -> Vec<Case> {
    [
        batches(),
        pointwise(),
        binary_weights(),
        cross_entropy(),
        nll(),
        composed(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Cross-entropy of batches with padding, and how many answers are right.
fn batches() -> Vec<Case> {
    let mut cases = Vec::new();
    let batches: [(usize, usize, &'static [u32]); 11] = [
        (1, 2, &[1]),
        (3, 2, &[3]),
        (5, 3, &[2]),
        (4, 7, &[0]),
        (2, 5, &[9]),
        (29, 10, &[25]),
        (67, 10, &[67]),
        (257, 10, &[131]),
        (3, 64, &[3]),
        (5, 65, &[4]),
        (2, 1031, &[2]),
    ];
    for (rows, classes, valid) in batches {
        let bound = of_rows(rows, classes);
        let inputs = |classes_drawn: u32| {
            vec![
                real([rows, classes]),
                labels(rows, classes_drawn),
                words(valid),
            ]
        };
        cases.push(
            Case::new(
                format!("cross_entropy/{rows}x{classes}/valid {}", valid[0]),
                inputs(classes as u32),
                |g, x| {
                    Ok(vec![g.cross_entropy_with(
                        x[0],
                        x[1],
                        CrossEntropyLoss::new().valid(x[2]),
                    )?])
                },
            )
            .inexact()
            .bound(bound)
            .gradients(&[0], of_gradients(classes)),
        );
        let mut counted = inputs(classes as u32 + 1);
        counted.push(words(&[7, 4_294_967_290]));
        cases.push(Case::new(
            format!("count_correct/{rows}x{classes}/valid {}", valid[0]),
            counted,
            |g, x| Ok(vec![g.count_correct(x[0], x[1], x[2], x[3])?]),
        ));
    }
    cases.extend(confusion());
    cases
}

/// Of images and of pixels, with labels and answers beyond the classes.
fn confusion() -> Vec<Case> {
    let sizes: [(Shape, usize, &'static [u32]); 6] = [
        ([1].into(), 1, &[1]),
        ([67].into(), 10, &[66]),
        ([5].into(), 3, &[0]),
        ([301].into(), 65, &[400]),
        ([7, 5, 3].into(), 4, &[5]),
        ([3, 70, 11].into(), 2, &[3]),
    ];
    let case = |(shape, classes, valid): (Shape, usize, &'static [u32])| {
        let inputs = vec![
            below(shape.clone(), classes as u32 + 1),
            below(shape.clone(), classes as u32 + 1),
            words(valid),
            below([classes, classes], u32::MAX),
        ];
        Case::new(
            format!("confusion_matrix/{shape} of {classes}/valid {}", valid[0]),
            inputs,
            |g, x| Ok(vec![g.confusion_matrix(x[0], x[1], x[2], x[3])?]),
        )
    };
    sizes.into_iter().map(case).collect()
}

/// In units of 2^-24: an exponential of at least -2 is off by 14, their sum by n more, its
/// logarithm by that and 6 of itself, the differences by 2 or 4: relative to a loss of
/// log(1 + (n - 1) / e^2) or more, since all classes stay within 2 of each other. Then the sums
/// over classes and positions.
fn of_rows(positions: usize, classes: usize) -> Bound {
    let (rows, n) = (positions as f64, classes as f64);
    let least = ((n - 1.0) * (-2f64).exp()).ln_1p();
    Bound::Norm(((n + 24.0) / least + n + rows + 16.0) * 2f64.powi(-24))
}

/// The softmax is off by n + 40 such units (exponentials, their sum, a quotient, products), the sum
/// of shares by n more: relative to the largest gradient, 1 - softmax of a label or more, which is
/// (n - 1) / e^2 of its softmax.
fn of_gradients(classes: usize) -> Bound {
    let n = classes as f64;
    let cancelled = (8.0 / (n - 1.0)).max(2.0);
    Bound::Norm((2.0 * n + 40.0) * cancelled * 2f64.powi(-24))
}

/// Element by element, in all reductions.
fn pointwise() -> Vec<Case> {
    let mut cases = Vec::new();
    let probability = Draw::Between(0.02, 0.98);
    // Units of 2^-24, relative to the largest: the difference 1, its square and the factor 1 each,
    // a quotient 2.5, the logarithms 8 (and what they are off by near 1), the exponential 2 * 19.
    let functions: [(&str, LossFunction, Draw, Draw, f64); 6] = [
        ("mse_loss", SquaredError, Draw::Real, Draw::Real, 4.0),
        ("l1_loss", AbsoluteError, Draw::Real, Draw::Real, 2.0),
        (
            "smooth_l1_loss",
            SmoothL1 { beta: 0.375 },
            Draw::Real,
            Draw::Real,
            12.0,
        ),
        (
            "huber_loss",
            Huber { delta: 0.625 },
            Draw::Real,
            Draw::Real,
            8.0,
        ),
        ("bce_loss", Bce, probability, Draw::Between(0.0, 1.0), 48.0),
        (
            "bce_with_logits",
            BceWithLogits,
            Draw::Between(-8.0, 8.0),
            Draw::Between(0.0, 1.0),
            60.0,
        ),
    ];
    for (name, function, x, target, units) in functions {
        let case = |kind: String, inputs: [Input; 2], reduction| {
            Case::new(format!("{name}/{kind}"), inputs.to_vec(), move |g, x| {
                Ok(vec![g.pointwise_loss(x[0], x[1], function, reduction)?])
            })
            .inexact()
        };
        let mut shapes: Vec<Shape> = vec![
            [1].into(),
            [3].into(),
            [2, 3, 5, 7].into(),
            [0].into(),
            [].into(),
        ];
        if name == "mse_loss" {
            shapes.extend([[257].into(), [3, 1031].into()]);
        }
        for shape in shapes {
            for reduction in REDUCTIONS {
                let k = match reduction {
                    Reduction::None => 0.0,
                    _ => shape.count() as f64 + 8.0,
                };
                let bound = |units: f64| Bound::Norm(units * 2f64.powi(-24));
                let inputs = [drawn(shape.clone(), x), drawn(shape.clone(), target)];
                let case = case(format!("{shape}/{reduction:?}"), inputs, reduction);
                // Gradients are multiplied by 1 / n once more. The summands of bce_with_logits are
                // all positive.
                let case = case.bound(match function {
                    BceWithLogits => Bound::Ulp(units + k),
                    _ => bound(units + k),
                });
                cases.push(case.gradients(&[0, 1], bound(2.0 * units + 4.0)));
            }
        }
        let special = |draw| drawn([59], draw);
        for reduction in [Reduction::None, Reduction::Sum] {
            let inputs = [special(Draw::Special), special(target)];
            let case = case(format!("special/{reduction:?}"), inputs, reduction);
            let case = case.bound(Bound::Norm((units + 67.0) * 2f64.powi(-24)));
            let gradient = Bound::Norm((2.0 * units + 4.0) * 2f64.powi(-24));
            cases.push(case.gradients(&[0, 1], gradient));
        }
        let inputs = [special(x), special(Draw::Special)];
        let case = case("special target".to_owned(), inputs, Reduction::None);
        let case = case.bound(Bound::Norm(units * 2f64.powi(-24)));
        let gradient = Bound::Norm((2.0 * units + 4.0) * 2f64.powi(-24));
        cases.push(case.gradients(&[0, 1], gradient));
        if name == "l1_loss" {
            // Inf - Inf among them.
            let inputs = [special(Draw::Special), special(Draw::Special)];
            let case = Case::new("l1_loss/special both", inputs.to_vec(), move |g, x| {
                Ok(vec![g.l1_loss(x[0], x[1], Reduction::None)?])
            });
            let case = case.inexact().bound(Bound::Ulp(1.0));
            cases.push(case.gradients(&[0, 1], Bound::Exact));
        }
    }
    // Certain of the right and of the wrong class: logarithms of 0.
    let certain = || {
        vec![
            drawn([31], Draw::AwayFromZero),
            drawn([31], Draw::AwayFromZero),
        ]
    };
    cases.push(
        Case::new("bce_loss/certain", certain(), |g, x| {
            let step = |g: &mut striate::graph::Graph, x| {
                let large = g.scale(x, 1e3)?;
                g.clamp(large, 0.0, 1.0)
            };
            let (x, target) = (step(g, x[0])?, step(g, x[1])?);
            Ok(vec![g.bce_loss(x, target, None, Reduction::None)?])
        })
        .bound(Bound::Exact),
    );
    // Logits of either sign far out, where the loss of the right class is exp(-|x|): an exponential
    // of at most -40, log1p and a sum.
    let far = vec![
        drawn([31], Draw::Between(-40.0, 40.0)),
        drawn([31], Draw::AwayFromZero),
    ];
    cases.push(
        Case::new("bce_with_logits/certain", far, |g, x| {
            let large = g.scale(x[1], 1e3)?;
            let target = g.clamp(large, 0.0, 1.0)?;
            Ok(vec![g.bce_with_logits(
                x[0],
                target,
                None,
                None,
                Reduction::None,
            )?])
        })
        .inexact()
        .bound(Bound::Ulp(2.0 * (3.0 + 80.0) + 12.0)),
    );
    cases
}

/// Binary cross-entropy with weights, broadcast.
fn binary_weights() -> Vec<Case> {
    let mut cases = Vec::new();
    let unit = || drawn([4, 3, 5], Draw::Between(0.02, 0.98));
    let bound = Bound::Norm(140.0 * 2f64.powi(-24));
    for reduction in REDUCTIONS {
        let weight = drawn([3, 1], Draw::Between(0.5, 2.0));
        cases.push(
            Case::new(
                format!("bce_loss/weight/{reduction:?}"),
                vec![unit(), unit(), weight.clone()],
                move |g, x| Ok(vec![g.bce_loss(x[0], x[1], Some(x[2]), reduction)?]),
            )
            .inexact()
            .bound(bound)
            .gradients(&[0, 1, 2], bound),
        );
        for (kind, weighted, positive, wrt) in [
            ("weight", true, false, &[0, 1, 2][..]),
            ("pos_weight", false, true, &[0, 1, 3]),
            ("weight, pos_weight", true, true, &[0, 1, 2, 3]),
        ] {
            let logits = drawn([4, 3, 5], Draw::Between(-8.0, 8.0));
            let inputs = vec![logits, unit(), weight.clone(), weight.clone()];
            cases.push(
                Case::new(
                    format!("bce_with_logits/{kind}/{reduction:?}"),
                    inputs,
                    move |g, x| {
                        let weight = weighted.then_some(x[2]);
                        let pos_weight = positive.then_some(x[3]);
                        Ok(vec![g.bce_with_logits(
                            x[0], x[1], weight, pos_weight, reduction,
                        )?])
                    },
                )
                .inexact()
                .bound(bound)
                .gradients(wrt, bound),
            );
        }
    }
    cases
}

/// Shapes of logits, and of the labels of their positions.
fn positions() -> [(Shape, Shape); 6] {
    [
        ([5, 3].into(), [5].into()),
        ([2, 3, 4].into(), [2, 4].into()),
        ([3, 4, 2, 3].into(), [3, 2, 3].into()),
        ([2, 65].into(), [2].into()),
        ([2, 67, 17].into(), [2, 17].into()),
        ([0, 4].into(), [0].into()),
    ]
}

/// With weights, ignored labels, smoothing, probabilities, per pixel.
fn cross_entropy() -> Vec<Case> {
    let mut cases = Vec::new();
    for (logits, target) in positions() {
        let classes = logits[1];
        let bound = of_rows(target.count(), classes);
        let small = logits.count() < 100;
        for reduction in REDUCTIONS {
            for (weighted, ignore_index, label_smoothing) in [
                (false, None, 0.0),
                (true, None, 0.0),
                (false, Some(1), 0.0),
                (true, Some(1), 0.0),
                (false, None, 0.1),
                (true, Some(0), 0.3),
            ] {
                if !small && !weighted {
                    continue;
                }
                let inputs = vec![
                    real(logits.clone()),
                    below(target.clone(), classes as u32),
                    drawn([classes], Draw::Between(0.5, 2.0)),
                ];
                let name = format!(
                    "cross_entropy/{logits}/{reduction:?}/weighted {weighted}, ignored \
                     {ignore_index:?}, smoothing {label_smoothing}"
                );
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
                let case = case.inexact().bound(bound);
                cases.push(case.gradients(&[0], of_gradients(classes)));
            }
            for (weighted, label_smoothing) in [(false, 0.0), (true, 0.2)] {
                let inputs = vec![
                    real(logits.clone()),
                    drawn(logits.clone(), Draw::Between(0.0, 1.0)),
                    drawn([classes], Draw::Between(0.5, 2.0)),
                ];
                let name = format!(
                    "cross_entropy/{logits}/{reduction:?}/probabilities, weighted {weighted}, \
                     smoothing {label_smoothing}"
                );
                let case = Case::new(name, inputs, move |g, x| {
                    let options = CrossEntropyLoss {
                        weight: weighted.then_some(x[2]),
                        reduction,
                        label_smoothing,
                        ..CrossEntropyLoss::default()
                    };
                    Ok(vec![g.cross_entropy_with(x[0], x[1], options)?])
                });
                let case = case.inexact().bound(bound);
                cases.push(case.gradients(&[0], of_gradients(classes)));
            }
        }
    }
    // As many positions as logits in some, of two classes: their losses exceed what holds a part of
    // the logits.
    for reduction in REDUCTIONS {
        for (weighted, ignore_index) in [(true, Some(0)), (false, None)] {
            let name =
                format!("cross_entropy/[64, 2, 8, 8]/{reduction:?}/ignored {ignore_index:?}");
            let inputs = vec![
                real([64, 2, 8, 8]),
                below([64, 8, 8], 2),
                drawn([2], Draw::Between(0.5, 2.0)),
            ];
            let case = Case::new(name, inputs, move |g, x| {
                let options = CrossEntropyLoss {
                    weight: weighted.then_some(x[2]),
                    ignore_index,
                    reduction,
                    ..CrossEntropyLoss::default()
                };
                Ok(vec![g.cross_entropy_with(x[0], x[1], options)?])
            });
            let case = case.inexact().bound(of_rows(64 * 64, 2));
            cases.push(case.gradients(&[0], of_gradients(2)));
        }
    }
    cases.extend(edges());
    cases
}

/// Padding, labels that are no class, nothing but ignored labels, special numbers.
fn edges() -> Vec<Case> {
    let mut cases = Vec::new();
    let (bound, gradient) = (of_rows(12, 5), of_gradients(5));
    for reduction in REDUCTIONS {
        // Per pixel, three of four images valid.
        let inputs = vec![
            real([4, 5, 3]),
            below([4, 3], 5),
            words(&[3]),
            drawn([5], Draw::Between(0.5, 2.0)),
        ];
        for weighted in [false, true] {
            let case = Case::new(
                format!("cross_entropy/valid 3 of 4 images/{reduction:?}/weighted {weighted}"),
                inputs.clone(),
                move |g, x| {
                    let options = CrossEntropyLoss {
                        weight: weighted.then_some(x[3]),
                        reduction,
                        valid: Some(x[2]),
                        ..CrossEntropyLoss::default()
                    };
                    Ok(vec![g.cross_entropy_with(x[0], x[1], options)?])
                },
            );
            let case = case.inexact().bound(bound);
            cases.push(case.gradients(&[0], gradient));
        }
    }
    // No row valid, of a mean that divides by weights.
    for ignore_index in [None, Some(1)] {
        let inputs = vec![
            real([3, 5]),
            below([3], 5),
            words(&[0]),
            drawn([5], Draw::Between(0.5, 2.0)),
        ];
        let case = Case::new(
            format!("cross_entropy/valid 0 of 3, weighted/ignored {ignore_index:?}"),
            inputs,
            move |g, x| {
                let options = CrossEntropyLoss {
                    weight: Some(x[3]),
                    ignore_index,
                    valid: Some(x[2]),
                    ..CrossEntropyLoss::default()
                };
                Ok(vec![g.cross_entropy_with(x[0], x[1], options)?])
            },
        );
        cases.push(case.inexact().gradients(&[0], Bound::Exact));
    }
    // Classes of weight 0, whose logarithms may be infinite.
    for reduction in [Reduction::None, Reduction::Sum] {
        for label_smoothing in [0.0, 0.1] {
            let inputs = vec![drawn([12, 5], Draw::Special), below([12], 5)];
            let case = Case::new(
                format!(
                    "cross_entropy/special, weights 0/{reduction:?}/smoothing {label_smoothing}"
                ),
                inputs,
                move |g, x| {
                    let options = CrossEntropyLoss {
                        weight: Some(g.fill([5], 0.0)?),
                        reduction,
                        label_smoothing,
                        ..CrossEntropyLoss::default()
                    };
                    Ok(vec![g.cross_entropy_with(x[0], x[1], options)?])
                },
            );
            cases.push(case.inexact().gradients(&[0], Bound::Exact));
        }
    }
    let with = |kind: &str, inputs: Vec<Input>, ignore_index, reduction| {
        let name = format!("cross_entropy/{kind}/{reduction:?}");
        Case::new(name, inputs, move |g, x| {
            let options = CrossEntropyLoss {
                ignore_index,
                reduction,
                ..CrossEntropyLoss::default()
            };
            Ok(vec![g.cross_entropy_with(x[0], x[1], options)?])
        })
        .inexact()
        .bound(bound)
    };
    for reduction in REDUCTIONS {
        // Among labels below 7, some are none of 5 classes.
        let unknown = vec![real([12, 5]), below([12], 7)];
        cases.push(with("labels that are no class", unknown, None, reduction));
        let all = vec![real([3, 5]), below([3], 1)];
        cases.push(with("all ignored", all, Some(0), reduction));
        let special = vec![drawn([12, 5], Draw::Special), below([12], 5)];
        let case = with("special", special, None, reduction);
        cases.push(case.gradients(&[0], gradient));
        // The gradient of an ignored row is 0 whatever arrives.
        let plain = vec![real([12, 5]), below([12], 5)];
        let case = with("ignored", plain, Some(2), reduction).gradients(&[0], gradient);
        cases.push(case.special_dy());
        let far = vec![drawn([12, 5], Draw::Between(-90.0, 90.0)), below([12], 5)];
        cases.push(with("far apart", far, Some(2), reduction));
    }
    cases
}

/// From logarithms of probabilities.
fn nll() -> Vec<Case> {
    let mut cases = Vec::new();
    for (logs, target) in positions() {
        let classes = logs[1];
        let k = target.count() as f64;
        for reduction in REDUCTIONS {
            for (weighted, ignore_index) in [(false, None), (true, None), (true, Some(1))] {
                let inputs = vec![
                    drawn(logs.clone(), Draw::Between(-4.0, -0.1)),
                    below(target.clone(), classes as u32),
                    drawn([classes], Draw::Between(0.5, 2.0)),
                ];
                let name = format!(
                    "nll_loss/{logs}/{reduction:?}/weighted {weighted}, ignored {ignore_index:?}"
                );
                let case = Case::new(name, inputs, move |g, x| {
                    let options = CrossEntropyLoss {
                        weight: weighted.then_some(x[2]),
                        ignore_index,
                        reduction,
                        ..CrossEntropyLoss::default()
                    };
                    Ok(vec![g.nll_loss_with(x[0], x[1], options)?])
                });
                // Sums of k products, all negative, divided.
                let bound = Bound::Norm((2.0 * k + 16.0) * 2f64.powi(-24));
                let case = case.inexact().bound(bound);
                cases.push(match target.count() {
                    0 => case,
                    _ => case.gradients(&[0], bound).linear(),
                });
            }
            // Rows of ignored labels are not read, nor are other classes than a row's own.
            let inputs = vec![
                drawn(logs.clone(), Draw::Special),
                below(target.clone(), classes as u32),
            ];
            let name = format!("nll_loss/special/{logs}/{reduction:?}");
            let case = Case::new(name, inputs, move |g, x| {
                let options = CrossEntropyLoss {
                    ignore_index: Some(1),
                    reduction,
                    ..CrossEntropyLoss::default()
                };
                Ok(vec![g.nll_loss_with(x[0], x[1], options)?])
            });
            let bound = Bound::Norm((2.0 * k + 16.0) * 2f64.powi(-24));
            let case = case.inexact().bound(bound).gradients(&[0], bound);
            if target.count() > 0 {
                cases.push(case);
            }
        }
    }
    cases
}

/// Losses made of other ops: sums of few terms, exponentials of at most 4, roots and quotients.
fn composed() -> Vec<Case> {
    let mut cases = Vec::new();
    let bound = Bound::Norm(1e-5);
    let shapes: [Shape; 3] = [[5, 3].into(), [67, 8].into(), [2, 3, 7, 5].into()];
    for (shape, reduction) in shapes
        .iter()
        .flat_map(|s| REDUCTIONS.map(|r| (s.clone(), r)))
    {
        let name = |op: &str, kind: &str| format!("{op}/{shape}/{kind}{reduction:?}");
        let x = || drawn(shape.clone(), Draw::Between(-4.0, -0.1));
        let share = || drawn(shape.clone(), Draw::Between(0.02, 0.98));
        let any = || drawn(shape.clone(), Draw::Between(-1.0, 3.0));
        let mut push = |case: Case, wrt: &[usize]| {
            cases.push(case.inexact().bound(bound).gradients(wrt, bound));
        };
        push(
            Case::new(name("kl_div", ""), vec![x(), share()], move |g, v| {
                Ok(vec![g.kl_div(v[0], v[1], false, reduction)?])
            }),
            &[0, 1],
        );
        push(
            Case::new(name("kl_div", "log/"), vec![x(), x()], move |g, v| {
                Ok(vec![g.kl_div(v[0], v[1], true, reduction)?])
            }),
            &[0, 1],
        );
        for (kind, p, swap) in [
            ("", 2.0, false),
            ("swap/", 2.0, true),
            ("1/", 1.0, false),
            ("3/", 3.0, true),
        ] {
            let settings = TripletMargin {
                p,
                swap,
                ..TripletMargin::default()
            };
            let inputs = vec![any(), any(), any()];
            let case = Case::new(name("triplet_margin_loss", kind), inputs, move |g, v| {
                let loss = g.triplet_margin_loss(v[0], v[1], v[2], settings, reduction)?;
                Ok(vec![loss])
            });
            // Roots and powers of sums, whose differences may be a tenth of them.
            let case = case.inexact().bound(Bound::Norm(1e-4));
            cases.push(case.gradients(&[0, 1, 2], Bound::Norm(1e-4)));
        }
        let labels = drawn(shape[..shape.len() - 1].to_vec(), Draw::Between(0.0, 1.0));
        let inputs = vec![any(), any(), labels];
        let mut push = |case: Case, wrt: &[usize]| {
            cases.push(case.inexact().bound(bound).gradients(wrt, bound));
        };
        push(
            Case::new(name("contrastive_loss", ""), inputs, move |g, v| {
                Ok(vec![g.contrastive_loss(v[0], v[1], v[2], 3.0, reduction)?])
            }),
            &[0, 1, 2],
        );
        if shape.len() > 2 {
            push(
                Case::new(
                    name("dice_loss", ""),
                    vec![share(), share()],
                    move |g, v| Ok(vec![g.dice_loss(v[0], v[1], 1.0, reduction)?]),
                ),
                &[0, 1],
            );
        }
        for (kind, alpha, gamma) in [("", Some(0.25), 2.0), ("no alpha/", None, 1.5)] {
            push(
                Case::new(
                    name("sigmoid_focal_loss", kind),
                    vec![any(), share()],
                    move |g, v| {
                        Ok(vec![
                            g.sigmoid_focal_loss(v[0], v[1], alpha, gamma, reduction)?,
                        ])
                    },
                ),
                &[0, 1],
            );
        }
    }
    // Targets of 0.
    let inputs = vec![
        drawn([67], Draw::Between(-4.0, -0.1)),
        drawn([67], Draw::Between(-0.9, 0.9)),
    ];
    let zeros = Case::new("kl_div/zeros", inputs, |g, v| {
        let some = g.relu(v[1])?;
        Ok(vec![g.kl_div(v[0], some, false, Reduction::None)?])
    });
    cases.push(zeros.inexact().bound(bound).gradients(&[0, 1], bound));
    cases
}
