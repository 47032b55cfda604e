//! Adaptive and global pooling.

use striate::check::{Bound, Case, Draw, drawn, real};
use striate::ops::{AdaptiveAvgPool, AdaptiveMaxPool};

use super::pool::{CHAIN, image};

fn adaptive_one<const D: usize>(
    n_c: [usize; 2],
    input: [usize; D],
    output: [usize; D],
) -> [Case; 2] {
    let shape = image(n_c, input);
    // A window has at most ceil(extent / windows) + 1 elements along each axis, an element lies in
    // so many windows.
    let along = |a: usize, b: usize| a.div_ceil(b) + 1;
    let elements: usize = (0..D).map(|i| along(input[i], output[i])).product();
    let windows: usize = (0..D).map(|i| along(output[i], input[i])).product();
    let max = Case::new(
        format!("adaptive_max_pool{D}d/{shape:?}/{output:?}"),
        vec![drawn(shape.clone(), Draw::Distinct)],
        move |g, x| {
            let (y, index) = g.adaptive_max_pool_with_indices(x[0], AdaptiveMaxPool { output })?;
            Ok(vec![y, index])
        },
    );
    let average = Case::new(
        format!("adaptive_avg_pool{D}d/{shape:?}/{output:?}"),
        vec![real(shape)],
        move |g, x| Ok(vec![g.adaptive_avg_pool(x[0], AdaptiveAvgPool { output })?]),
    );
    [
        max.gradients(&[0], Bound::Sum { k: windows }),
        average
            .bound(Bound::Sum { k: elements })
            .gradients(
                &[0],
                Bound::Sum {
                    k: elements + windows,
                },
            )
            .inexact()
            .linear(),
    ]
}

/// [`adaptive_one`] where windows hold more elements than llvmpipe takes turns, or an element lies
/// in more windows.
fn long<const D: usize>(input: [usize; D], output: [usize; D]) -> [Case; 2] {
    let mut cases = adaptive_one([1, 1], input, output);
    for case in &mut cases {
        let (op, rest) = case.name.split_once('/').expect("the name has segments");
        case.name = format!("{op}/long/{rest}");
        for bound in [&mut case.bound, &mut case.gradient_bound] {
            if let Bound::Sum { k } = bound {
                *k = (*k).min(CHAIN);
            }
        }
    }
    cases
}

/// The largest of 0, 1/64, 2/64 and so on, with its index, and of the last plane alone.
fn global_long() -> Case {
    Case::new(
        "global_max_pool2d/long/[1, 2, 211, 211]",
        vec![drawn([1, 2, 211, 211], Draw::Distinct)],
        |g, x| {
            let pool = AdaptiveMaxPool { output: [1, 1] };
            let index = g.adaptive_max_pool_with_indices(x[0], pool)?.1;
            Ok(vec![g.global_max_pool(x[0])?, index])
        },
    )
    .gradients(&[0], Bound::Exact)
}

pub fn adaptive_pool() -> Vec<Case> {
    let mut cases = vec![global_long()];
    cases.extend(long([70_001], [1]));
    cases.extend(long([265, 265], [1, 1]));
    cases.extend(long([42, 42, 42], [1, 1, 1]));
    cases.extend(long([1], [70_001]));
    cases.extend(long([1, 1], [265, 265]));
    cases.extend(long([1, 1, 1], [42, 42, 42]));
    // Long where a device allows few turns.
    cases.extend(adaptive_one([2, 1], [700, 3], [2, 2]));
    cases.extend(adaptive_one([2, 1], [3, 2], [2, 700]));
    for (input, output) in [
        (1, 1),
        (7, 3),
        (8, 4),
        (5, 5),
        (3, 7),
        (13, 1),
        (11, 6),
        (2, 5),
    ] {
        cases.extend(adaptive_one([2, 3], [input], [output]));
    }
    // Large enough to lie in parts.
    cases.extend(adaptive_one([3, 2], [5, 4, 3], [2, 2, 2]));
    for (input, output) in [
        ([7, 5], [3, 2]),
        ([4, 9], [4, 1]),
        ([3, 3], [7, 7]),
        ([1, 8], [2, 3]),
        ([13, 11], [1, 1]),
        ([6, 6], [6, 6]),
        ([14, 10], [7, 7]),
    ] {
        cases.extend(adaptive_one([2, 2], input, output));
    }
    for (input, output) in [
        ([5, 4, 3], [2, 2, 2]),
        ([1, 6, 5], [1, 3, 4]),
        ([4, 4, 4], [1, 1, 1]),
        ([2, 3, 5], [3, 5, 2]),
    ] {
        cases.extend(adaptive_one([1, 3], input, output));
    }
    cases.extend(adaptive_one([0, 3], [4, 4], [2, 2]));
    // Rows small enough to be cut into parts.
    cases.extend(adaptive_one([11, 2], [3, 5], [2, 2]));
    for (name, shape) in [
        ("1d", &[2, 3, 5][..]),
        ("2d", &[2, 3, 4, 7]),
        ("3d", &[1, 2, 3, 4, 5]),
    ] {
        cases.push(
            Case::new(
                format!("global_max_pool{name}/{shape:?}"),
                vec![drawn(shape, Draw::Distinct)],
                |g, x| Ok(vec![g.global_max_pool(x[0])?]),
            )
            .gradients(&[0], Bound::Exact),
        );
        let k = shape[2..].iter().product();
        cases.push(
            Case::new(
                format!("global_avg_pool{name}/{shape:?}"),
                vec![real(shape)],
                |g, x| Ok(vec![g.global_avg_pool(x[0])?]),
            )
            .bound(Bound::Sum { k })
            .gradients(&[0], Bound::Sum { k: 1 })
            .inexact()
            .linear(),
        );
    }
    cases.push(Case::new(
        "adaptive_max_pool2d/values",
        vec![real([2, 2, 5, 7])],
        |g, x| {
            Ok(vec![g.adaptive_max_pool(
                x[0],
                AdaptiveMaxPool { output: [2, 3] },
            )?])
        },
    ));
    cases.push(
        Case::new(
            "adaptive_max_pool2d/special",
            vec![drawn([2, 2, 7, 6], Draw::Special)],
            |g, x| {
                let pool = AdaptiveMaxPool { output: [3, 4] };
                let (y, index) = g.adaptive_max_pool_with_indices(x[0], pool)?;
                Ok(vec![y, index])
            },
        )
        .gradients(&[0], Bound::Sum { k: 4 }),
    );
    cases.push(
        Case::new(
            "adaptive_avg_pool2d/special",
            vec![drawn([2, 2, 7, 6], Draw::Special)],
            |g, x| {
                Ok(vec![g.adaptive_avg_pool(
                    x[0],
                    AdaptiveAvgPool { output: [3, 4] },
                )?])
            },
        )
        .bound(Bound::Sum { k: 12 })
        .inexact(),
    );
    cases
}
