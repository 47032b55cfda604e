//! Sums, means, extremes, variances and norms over axes.

use striate::autodiff::gradients_from;
use striate::check::{Bound, Case, Draw, drawn, real};
use striate::ops::MeanDifference;
use striate::shape::Shape;
use striate::tensor::Tensor;

use super::whole_if;

pub fn reduce() -> Vec<Case> {
    let mut cases = Vec::new();
    let sums: [(Shape, &'static [usize]); 38] = [
        ([1].into(), &[0]),
        ([].into(), &[]),
        ([5].into(), &[0]),
        ([5, 3].into(), &[]),
        ([0, 3].into(), &[0]),
        ([3, 0].into(), &[0]),
        ([257].into(), &[0]),
        ([4, 7].into(), &[1]),
        ([7, 8].into(), &[1]),
        ([7, 8].into(), &[0]),
        ([7, 5].into(), &[0]),
        ([67, 3].into(), &[0, 1]),
        ([2, 3, 5, 4].into(), &[0, 2, 3]),
        ([2, 3, 4, 5].into(), &[1]),
        ([2, 3, 4, 5].into(), &[1, 3]),
        ([1, 7, 1, 5].into(), &[0, 2]),
        ([2, 3, 1, 2, 5, 3].into(), &[0, 3, 5]),
        ([3, 2, 2, 3, 2, 4].into(), &[1, 3, 5]),
        ([2, 3, 2, 2, 3, 4].into(), &[0, 2, 4]),
        ([1031].into(), &[0]),
        ([40_004].into(), &[0]),
        ([2, 401].into(), &[1]),
        ([509, 3].into(), &[0]),
        ([1025, 12].into(), &[0]),
        ([17, 6, 11, 4].into(), &[0, 2, 3]),
        ([19, 5, 7, 7].into(), &[0, 2, 3]),
        ([9, 40].into(), &[0]),
        ([9, 37].into(), &[0]),
        ([3, 5, 4, 12].into(), &[1, 3]),
        ([70, 3, 4].into(), &[0]),
        ([70, 3, 5].into(), &[0, 1]),
        ([70, 3, 5].into(), &[0, 2]),
        ([3, 70, 2].into(), &[0]),
        ([5, 70, 1].into(), &[0, 2]),
        ([3, 30, 5, 2].into(), &[0, 2]),
        ([2, 3, 2, 3, 2, 3, 2].into(), &[0, 2, 4, 6]),
        ([2, 3, 2, 3, 2, 3, 2].into(), &[1, 3, 5]),
        ([2, 3, 2, 2, 3, 2, 2, 4].into(), &[0, 2, 4, 6]),
    ];
    for (shape, axes) in sums {
        let k: usize = axes.iter().map(|&axis| shape[axis]).product();
        cases.push(
            Case::new(
                format!("sum/{shape}/{axes:?}"),
                vec![real(shape)],
                |g, x| Ok(vec![g.sum(x[0], axes, false)?]),
            )
            .bound(Bound::Sum { k })
            .gradients(&[0], Bound::Ulp(1.0))
            .linear(),
        );
    }
    for (shape, axes) in [
        (Shape::from([6, 5]), &[1][..]),
        ([90, 7].into(), &[0]),
        ([4, 3, 7, 7].into(), &[2, 3]),
        ([600].into(), &[0]),
    ] {
        let k: usize = axes.iter().map(|&axis| shape[axis]).product();
        cases.push(
            Case::new(
                format!("mean/{shape}/{axes:?}"),
                vec![real(shape)],
                move |g, x| Ok(vec![g.mean(x[0], axes, true)?]),
            )
            .inexact()
            .bound(Bound::Sum { k })
            // 1 / count rounded to f32, and a product.
            .gradients(&[0], Bound::Ulp(2.0))
            .linear(),
        );
    }
    cases.push(
        Case::new(
            "sum/special",
            vec![drawn([11, 9], Draw::Special)],
            |g, x| Ok(vec![g.sum(x[0], &[0], false)?, g.sum(x[0], &[1], false)?]),
        )
        .bound(Bound::Sum { k: 11 }),
    );
    products(&mut cases);
    extremes(&mut cases);
    moments(&mut cases);
    along(&mut cases);
    cumulative(&mut cases);
    cases
}

/// Shapes and axes that reach every form of a reduction: short and long, rows and columns, quads
/// and elements, one and two stages.
fn forms() -> Vec<(Shape, &'static [usize])> {
    vec![
        ([5].into(), &[0]),
        ([8].into(), &[0]),
        ([1, 1].into(), &[0]),
        ([4, 7].into(), &[1]),
        ([7, 8].into(), &[1]),
        ([7, 8].into(), &[0]),
        ([7, 5].into(), &[0]),
        ([0, 5].into(), &[1]),
        ([5, 3].into(), &[]),
        ([2, 3, 5, 4].into(), &[0, 2, 3]),
        ([2, 3, 4, 5].into(), &[1]),
        ([2, 3, 4, 5].into(), &[1, 3]),
        ([2, 3, 4, 5].into(), &[0, 2]),
        ([3, 2, 2, 3, 2, 4].into(), &[1, 3, 5]),
        ([1031].into(), &[0]),
        ([1032].into(), &[0]),
        ([2, 401].into(), &[1]),
        ([2, 1044].into(), &[1]),
        ([509, 3].into(), &[0]),
        ([1025, 12].into(), &[0]),
        ([33, 3, 5].into(), &[0, 2]),
        ([33, 3, 5].into(), &[1]),
        ([3, 70, 2].into(), &[0]),
    ]
}

/// In units of 2^-24, k factors are off by k, and the gradient by k, a product and a quotient of 5.
fn products(cases: &mut Vec<Case>) {
    for (shape, axes) in forms() {
        let k: usize = axes.iter().map(|&axis| shape[axis]).product();
        let case = Case::new(
            format!("prod/{shape}/{axes:?}"),
            vec![drawn(shape, Draw::Between(0.9, 1.1))],
            move |g, x| Ok(vec![g.prod(x[0], axes, axes.len() == 1)?]),
        );
        let case = case.inexact().bound(Bound::Ulp(k as f64));
        cases.push(case.gradients(&[0], Bound::Ulp(k as f64 + 8.0)));
    }
    // Integers, some of which are 0; no product reaches 2^24.
    for (shape, axes) in [
        (Shape::from([7, 8]), &[0][..]),
        ([7, 8].into(), &[1]),
        ([5, 2, 4, 3].into(), &[1, 3]),
    ] {
        let case = Case::new(
            format!("prod/integers/{shape}/{axes:?}"),
            vec![real(shape)],
            move |g, x| Ok(vec![g.prod(x[0], axes, false)?]),
        );
        cases.push(case.bound(Bound::Ulp(8.0)));
    }
    // No zero, one, two, in a row and in a column.
    for zeros in [1, 2] {
        for axis in [0, 1] {
            let own = |extent| match axis {
                0 => [extent, 9],
                _ => [9, extent],
            };
            let inputs = vec![
                drawn(own(5), Draw::AwayFromZero),
                drawn(own(zeros), Draw::Between(0.0, 0.0)),
            ];
            let case = Case::new(
                format!("prod/{zeros} zeros/along {axis}"),
                inputs,
                move |g, x| {
                    let all = g.concat(x, axis)?;
                    Ok(vec![g.prod(all, &[axis], false)?])
                },
            );
            let case = case.inexact().bound(Bound::Ulp(8.0));
            cases.push(case.gradients(&[0, 1], Bound::Ulp(16.0)));
        }
    }
    cases.push(
        Case::new(
            "prod/special",
            vec![drawn([11, 9], Draw::Special)],
            |g, x| Ok(vec![g.prod(x[0], &[0], false)?, g.prod(x[0], &[1], false)?]),
        )
        .inexact()
        .bound(Bound::Ulp(11.0))
        .gradients(&[0], Bound::Norm(1e-5)),
    );
}

fn extremes(cases: &mut Vec<Case>) {
    for (shape, axes) in forms() {
        for (name, largest) in [("amax", true), ("amin", false)] {
            cases.push(
                Case::new(
                    format!("{name}/{shape}/{axes:?}"),
                    vec![drawn(shape.clone(), Draw::Distinct)],
                    move |g, x| {
                        let keep = axes.len() == 1;
                        Ok(vec![match largest {
                            true => g.amax(x[0], axes, keep)?,
                            false => g.amin(x[0], axes, keep)?,
                        }])
                    },
                )
                .gradients(&[0], Bound::Exact),
            );
        }
    }
    // Ties, on the integers; NaN wins, and shares the gradient with other NaNs.
    for (shape, axes) in [
        (Shape::from([9, 13]), &[0][..]),
        ([9, 13].into(), &[1]),
        ([6, 4, 8].into(), &[0, 2]),
        ([300].into(), &[0]),
    ] {
        cases.push(
            Case::new(
                format!("amax/special/{shape}/{axes:?}"),
                vec![drawn(shape.clone(), Draw::Special)],
                |g, x| Ok(vec![g.amax(x[0], axes, false)?]),
            )
            // The shares of dy: a quotient of 2.5 ULP at most.
            .gradients(&[0], Bound::Ulp(4.0))
            .inexact(),
        );
        cases.push(
            Case::new(
                format!("amin/special/{shape}/{axes:?}"),
                vec![drawn(shape.clone(), Draw::Special)],
                |g, x| Ok(vec![g.amin(x[0], axes, true)?]),
            )
            .gradients(&[0], Bound::Ulp(4.0))
            .inexact(),
        );
        cases.push(Case::new(
            format!("amax/integers/{shape}/{axes:?}"),
            vec![drawn(shape, Draw::Special)],
            |g, x| Ok(vec![g.amax(x[0], axes, false)?, g.amin(x[0], axes, true)?]),
        ));
    }
    let all_infinite = vec![f32::NEG_INFINITY; 300];
    cases.push(Case::new("amax/infinite", vec![], move |g, _| {
        let x = g.constant(Tensor::f32([3, 100], all_infinite.clone())?)?;
        let y = g.scale(x, -1.0)?;
        Ok(vec![
            g.amax(x, &[1], false)?,
            g.amax(x, &[0, 1], false)?,
            g.amin(y, &[0], false)?,
        ])
    }));
}

fn moments(cases: &mut Vec<Case>) {
    for (shape, axes) in forms() {
        let count: usize = axes.iter().map(|&axis| shape[axis]).product();
        for correction in [0, 1] {
            if count <= correction {
                continue;
            }
            // The mean is off by (k + 8) * 2^-24 of the mean magnitude at most, a deviation by that
            // and a rounding; a sum of k squares of them by (k + 8) * 2^-24 more. Few deviations
            // meet their bounds at once.
            let bound = Bound::Norm(1e-6 * (count as f64).sqrt().max(4.0));
            let x = || vec![real(shape.clone())];
            let case = Case::new(
                format!("var/{shape}/{axes:?}/correction {correction}"),
                x(),
                move |g, x| Ok(vec![g.var(x[0], axes, correction, correction == 1)?]),
            );
            cases.push(case.bound(bound).gradients(&[0], bound).inexact());
            // At 0, where the root of few elements has its kink, no differences are taken.
            if count > 1 && correction == 0 {
                let case = Case::new(format!("std/{shape}/{axes:?}"), x(), move |g, x| {
                    Ok(vec![g.std(x[0], axes, 1, false)?])
                });
                cases.push(case.bound(bound).gradients(&[0], bound).inexact());
            }
        }
        let case = Case::new(
            format!("norm/{shape}/{axes:?}"),
            vec![drawn(shape.clone(), Draw::AwayFromZero)],
            move |g, x| Ok(vec![g.norm(x[0], axes, axes.len() == 2)?]),
        );
        // Half the relative error of a sum of squares, and a root and a quotient of 3 ULP at most.
        let bound = Bound::Norm((count as f64 / 2.0 + 16.0) * 2f64.powi(-24));
        cases.push(case.bound(bound).gradients(&[0], bound).inexact());
    }
    for (shape, axes) in forms() {
        let count: usize = axes.iter().map(|&axis| shape[axis]).product();
        let keep = axes.len() == 1;
        let extents = shape.iter().enumerate();
        let mean: Vec<usize> = extents
            .filter_map(|(axis, &extent)| match (axes.contains(&axis), keep) {
                (false, _) => Some(extent),
                (true, true) => Some(1),
                (true, false) => None,
            })
            .collect();
        let op = MeanDifference {
            axes: axes.to_vec(),
            keep,
        };
        // Nothing cancels: every difference lies between 2 and 4.
        let inputs = vec![
            drawn(shape.clone(), Draw::Between(1.0, 2.0)),
            drawn(mean, Draw::Between(-2.0, -1.0)),
        ];
        let case = Case::new(
            format!("mean_difference/{shape}/{axes:?}"),
            inputs,
            move |g, x| Ok(vec![g.apply1(op.clone(), x)?]),
        );
        cases.push(
            case.bound(Bound::Norm((count as f64 + 16.0) * 2f64.powi(-23)))
                .gradients(&[0, 1], Bound::Ulp(2.0))
                .inexact(),
        );
    }
    // Elements that differ in their last place, and that do not differ: their mean in f32 is off by
    // as much.
    let near = Case::new("var/near", vec![], |g, _| {
        let near = vec![16_777_214.0, 16_777_215.0, 16_777_216.0];
        let x = g.constant(Tensor::f32([3], near)?)?;
        Ok(vec![g.var(x, &[0], 1, false)?])
    });
    // It draws no numbers, and its own are beyond those of runs on integers.
    cases.push(near.inexact());
    cases.push(Case::new("std/equal", vec![], |g, _| {
        let mut results = Vec::new();
        for (count, value) in [(3, 0.1), (5, 0.7), (7, -0.3), (9, 1e-3), (1025, 0.6)] {
            let x = g.fill([2, count], value)?;
            let y = g.std(x, &[1], 1, false)?;
            let dy = g.fill([2], 1.0)?;
            results.push(y);
            results.extend(gradients_from(g, &[(y, dy)], &[x])?.into_iter().flatten());
        }
        Ok(results)
    }));
    // Far from 0: the squares of the elements would lose the variance.
    cases.push(
        Case::new("var/offset", vec![real([7, 100])], |g, x| {
            let offset = g.fill([1, 1], 1024.0)?;
            let far = g.add(x[0], offset)?;
            Ok(vec![g.var(far, &[1], 1, false)?])
        })
        .bound(Bound::Norm(4e-4))
        .inexact(),
    );
    cases.push(Case::new("norm/zero", vec![], |g, _| {
        let x = g.fill([3, 5], 0.0)?;
        let norms = [g.norm(x, &[1], false)?, g.std(x, &[1], 1, false)?];
        let loss = g.add(norms[0], norms[1])?;
        let dy = g.fill([3], 1.0)?;
        let dx = gradients_from(g, &[(loss, dy)], &[x])?;
        Ok([&norms[..], &dx.into_iter().flatten().collect::<Vec<_>>()].concat())
    }));
    cases.push(
        Case::new(
            "var/special",
            vec![drawn([9, 13], Draw::Special)],
            |g, x| {
                Ok(vec![
                    g.var(x[0], &[1], 1, false)?,
                    g.var(x[0], &[0], 0, true)?,
                ])
            },
        )
        .bound(Bound::Norm(1e-5))
        .gradients(&[0], Bound::Norm(1e-5))
        .inexact(),
    );
    cases.push(
        Case::new(
            "std/special",
            vec![drawn([9, 13], Draw::Special)],
            |g, x| {
                Ok(vec![
                    g.std(x[0], &[1], 1, false)?,
                    g.std(x[0], &[0], 0, true)?,
                ])
            },
        )
        .bound(Bound::Norm(1e-5))
        .gradients(&[0], Bound::Norm(1e-5))
        .inexact(),
    );
    cases.push(
        Case::new(
            "norm/special",
            vec![drawn([9, 13], Draw::Special)],
            |g, x| Ok(vec![g.norm(x[0], &[1], false)?, g.norm(x[0], &[0], true)?]),
        )
        .bound(Bound::Norm(1e-5))
        .gradients(&[0], Bound::Norm(1e-5))
        .inexact(),
    );
}

fn along(cases: &mut Vec<Case>) {
    let shapes: [(Shape, usize); 15] = [
        ([5].into(), 0),
        ([1].into(), 0),
        ([4, 7].into(), 0),
        ([4, 7].into(), 1),
        ([0, 7].into(), 1),
        ([2, 3, 5, 4].into(), 1),
        ([2, 3, 5, 4].into(), 2),
        ([2, 3, 5, 4].into(), 3),
        ([33, 5].into(), 1),
        ([33, 3, 2].into(), 1),
        ([33, 3, 2].into(), 2),
        ([300].into(), 0),
        ([3, 129].into(), 1),
        ([2, 200, 3].into(), 1),
        ([67, 130].into(), 1),
    ];
    for (shape, axis) in shapes {
        // Along axis 0 of x in parts.
        let words = |largest: bool| match largest {
            true => "and max does not work on parts",
            false => "and min does not work on parts",
        };
        let whole = axis == 0 && shape.count() > 64;
        for (name, largest) in [("max", true), ("min", false)] {
            let case = Case::new(
                format!("{name}/{shape}/{axis}"),
                vec![drawn(shape.clone(), Draw::Distinct)],
                move |g, x| {
                    let keep = axis == 1;
                    let (y, index) = match largest {
                        true => g.max(x[0], axis, keep)?,
                        false => g.min(x[0], axis, keep)?,
                    };
                    Ok(vec![y, index])
                },
            );
            let case = case.gradients(&[0], Bound::Exact);
            cases.push(whole_if(case, whole, words(largest)));
        }
        // Ties and NaN: each index shows which was taken.
        for (name, largest) in [("max", true), ("min", false)] {
            let case = Case::new(
                format!("{name}/special/{shape}/{axis}"),
                vec![drawn(shape.clone(), Draw::Special)],
                move |g, x| {
                    let (y, index) = match largest {
                        true => g.max(x[0], axis, false)?,
                        false => g.min(x[0], axis, false)?,
                    };
                    Ok(vec![y, index])
                },
            );
            let case = case.gradients(&[0], Bound::Exact);
            cases.push(whole_if(case, whole, words(largest)));
        }
        for (name, largest) in [("argmax", true), ("argmin", false)] {
            let case = Case::new(
                format!("{name}/{shape}/{axis}"),
                vec![drawn(shape.clone(), Draw::Special)],
                move |g, x| {
                    Ok(vec![match largest {
                        true => g.argmax(x[0], axis, false)?,
                        false => g.argmin(x[0], axis, true)?,
                    }])
                },
            );
            cases.push(whole_if(case, whole, words(largest)));
        }
    }
}

/// Lines of one block and of several, alone and shared, with neighbours and without.
fn cumulative(cases: &mut Vec<Case>) {
    let shapes: [(Shape, usize); 16] = [
        ([1].into(), 0),
        ([5].into(), 0),
        ([64].into(), 0),
        ([65].into(), 0),
        ([257].into(), 0),
        ([1031].into(), 0),
        ([4, 7].into(), 0),
        ([4, 7].into(), 1),
        ([0, 7].into(), 1),
        ([3, 0].into(), 1),
        ([2, 3, 5, 4].into(), 2),
        ([3, 200, 2].into(), 1),
        ([3, 150, 17].into(), 1),
        ([67, 130].into(), 1),
        ([3, 600].into(), 1),
        ([2, 600, 3].into(), 1),
    ];
    for (shape, axis) in shapes {
        let whole = axis == 0 && shape.count() > 64;
        let k = shape[axis];
        let case = Case::new(
            format!("cumsum/{shape}/{axis}"),
            vec![real(shape)],
            move |g, x| Ok(vec![g.cumsum(x[0], axis)?]),
        );
        let sum = Bound::Sum { k };
        let case = case.bound(sum).gradients(&[0], sum).linear();
        cases.push(whole_if(case, whole, "and cumsum does not work on parts"));
    }
    // From the first NaN on all are; an infinity meets its opposite.
    for (shape, axis) in [([9, 13], 1), ([300, 3], 0), ([2, 90], 1)] {
        let case = Case::new(
            format!("cumsum/special/{shape:?}/{axis}"),
            vec![drawn(shape, Draw::Special)],
            move |g, x| Ok(vec![g.cumsum(x[0], axis)?]),
        );
        let sum = Bound::Sum { k: shape[axis] };
        let case = case.bound(sum).gradients(&[0], sum);
        let whole = axis == 0;
        cases.push(whole_if(case, whole, "and cumsum does not work on parts"));
    }
    // Blocks of blocks of blocks.
    for shape in [Shape::from([1, 70_001]), [1, 5000, 17].into()] {
        let case = Case::new(
            format!("cumsum/blocks/{shape}"),
            vec![drawn(shape.clone(), Draw::Between(-0.5, 0.5))],
            |g, x| Ok(vec![g.cumsum(x[0], 1)?]),
        );
        let sum = Bound::Sum { k: shape[1] };
        cases.push(case.bound(sum).gradients(&[0], sum));
    }
}
