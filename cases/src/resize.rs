//! Interpolation in all modes and pixel shuffling.

use striate::check::{Bound, Case, Draw, drawn, real};
use striate::ops::InterpolateMode;
use striate::shape::Shape;

use super::pool::CHAIN;

const MODES: [(&str, InterpolateMode); 7] = [
    ("nearest", InterpolateMode::Nearest),
    ("nearest-exact", InterpolateMode::NearestExact),
    (
        "linear",
        InterpolateMode::Linear {
            align_corners: false,
        },
    ),
    (
        "linear, corners aligned",
        InterpolateMode::Linear {
            align_corners: true,
        },
    ),
    (
        "cubic",
        InterpolateMode::Cubic {
            align_corners: false,
        },
    ),
    (
        "cubic, corners aligned",
        InterpolateMode::Cubic {
            align_corners: true,
        },
    ),
    ("area", InterpolateMode::Area),
];

pub fn resize() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes: [(Shape, &'static [usize]); 17] = [
        ([2, 3, 5].into(), &[5]),
        ([2, 3, 5].into(), &[8]),
        ([2, 3, 7].into(), &[3]),
        ([1, 2, 1].into(), &[4]),
        ([1, 2, 4].into(), &[1]),
        ([0, 3, 5].into(), &[2]),
        ([2, 0, 5].into(), &[2]),
        ([2, 3, 4, 5].into(), &[8, 10]),
        ([2, 3, 4, 5].into(), &[7, 9]),
        ([2, 3, 6, 9].into(), &[3, 2]),
        ([1, 2, 5, 3].into(), &[2, 11]),
        ([3, 2, 4, 4].into(), &[1, 1]),
        ([3, 2, 1, 1].into(), &[3, 4]),
        ([2, 1, 17, 13].into(), &[31, 5]),
        ([1, 2, 2, 3, 4].into(), &[4, 6, 8]),
        ([2, 2, 3, 2, 5].into(), &[2, 5, 3]),
        ([1, 1, 4, 1, 3].into(), &[1, 3, 7]),
    ];
    // Weights are quotients and their products, 3 roundings of 2.5 ULP or less and some of 1 for
    // each axis.
    let sum = |terms: usize| Bound::Sum { k: terms + 16 };
    for (mode_name, mode) in MODES {
        let cubic = matches!(mode, InterpolateMode::Cubic { .. });
        let area = mode == InterpolateMode::Area;
        let linear = matches!(mode, InterpolateMode::Linear { .. }) || cubic || area;
        // The weights of cubics cancel, each off by 12 units of 2^-24, three of them by 36; their
        // magnitudes add up to 1.4 for each axis.
        let bound = |terms: usize| match cubic {
            true => Bound::Norm((4.0 * (terms as f64).sqrt() + 128.0) * 2f64.powi(-24)),
            false => sum(terms),
        };
        // Means of areas are sums of many.
        let outputs = if area { CHAIN } else { 8 };
        for (shape, size) in sizes.clone() {
            let terms = size.iter().product();
            let case = Case::new(
                format!("interpolate/{mode_name}/{shape}->{size:?}"),
                vec![real(shape)],
                move |g, x| Ok(vec![g.interpolate(x[0], size, mode)?]),
            );
            let case = match linear {
                true => case.bound(bound(outputs)).inexact(),
                false => case,
            };
            cases.push(case.gradients(&[0], bound(terms)).linear());
        }
        let factors: [(Shape, &'static [f64]); 11] = [
            ([2, 3, 5].into(), &[2.0]),
            ([2, 3, 5].into(), &[1.3]),
            ([2, 3, 4, 6].into(), &[2.0]),
            ([2, 3, 4, 6].into(), &[0.5]),
            ([2, 3, 5, 6].into(), &[1.75, 0.625]),
            ([2, 3, 7, 5].into(), &[1.0 / 3.0, 2.6]),
            ([1, 2, 3, 4, 2].into(), &[2.0, 1.0, 3.0]),
            ([1, 2, 3, 2, 3].into(), &[1.5]),
            // Extents that stay or double, and a product just below a whole number.
            ([1, 2, 3].into(), &[1.25]),
            ([2, 1, 9, 5].into(), &[1.1, 2.1]),
            ([1, 2, 100].into(), &[0.29]),
        ];
        for (shape, factors) in factors {
            let case = Case::new(
                format!("interpolate/{mode_name}/{shape} by {factors:?}"),
                vec![real(shape)],
                move |g, x| Ok(vec![g.interpolate_by(x[0], factors, mode)?]),
            );
            let case = match linear {
                true => case.bound(bound(outputs)).inexact(),
                false => case,
            };
            cases.push(case.gradients(&[0], bound(64)).linear());
        }
        // Elements that more outputs read than llvmpipe takes turns. Few sums are cut into short
        // ones.
        let long: [(Shape, &'static [usize]); 5] = [
            ([1, 1, 1].into(), &[70_001]),
            ([1, 1, 2].into(), &[100_003]),
            ([1, 1, 1, 1].into(), &[265, 265]),
            ([1, 1, 1, 1, 1].into(), &[42, 42, 42]),
            ([1, 1, 70_001].into(), &[1]),
        ];
        for (shape, size) in long {
            let case = Case::new(
                format!("interpolate/long/{mode_name}/{shape}->{size:?}"),
                vec![real(shape)],
                move |g, x| Ok(vec![g.interpolate(x[0], size, mode)?]),
            );
            let case = match linear {
                true => case.bound(bound(outputs)).inexact(),
                false => case,
            };
            cases.push(case.gradients(&[0], bound(CHAIN)).linear());
        }
        // Elements of weight 0 are not read: an infinity there makes no NaN.
        for size in [[13, 9], [14, 6], [5, 3]] {
            cases.push(
                Case::new(
                    format!("interpolate/{mode_name}/special/{size:?}"),
                    vec![drawn([2, 1, 7, 9], Draw::Special)],
                    move |g, x| Ok(vec![g.interpolate(x[0], &size, mode)?]),
                )
                .bound(if cubic { bound(8) } else { Bound::Norm(2e-6) })
                .gradients(&[0], bound(64))
                .inexact(),
            );
            let case = Case::new(
                format!("interpolate/{mode_name}/{size:?}"),
                vec![real([2, 1, 7, 9])],
                move |g, x| Ok(vec![g.interpolate(x[0], &size, mode)?]),
            );
            let case = case
                .bound(bound(outputs))
                .gradients(&[0], bound(64))
                .inexact();
            cases.push(case.special_dy());
        }
    }
    // By powers of two, weights and sums are exact.
    for (shape, factor) in [
        ([2, 3, 3, 5], 2.0),
        ([1, 2, 4, 8], 0.25),
        ([2, 2, 3, 2], 4.0),
    ] {
        let mode = InterpolateMode::Linear {
            align_corners: false,
        };
        cases.push(
            Case::new(
                format!("interpolate/exact/{shape:?} by {factor}"),
                vec![real(shape)],
                move |g, x| Ok(vec![g.interpolate_by(x[0], &[factor], mode)?]),
            )
            .bound(sum(8))
            .gradients(&[0], sum(32))
            .linear(),
        );
    }
    for (shape, r) in [
        ([2, 4, 3, 5], 2),
        ([1, 18, 2, 1], 3),
        ([2, 3, 4, 4], 1),
        ([5, 8, 4, 4], 2),
        ([0, 4, 2, 2], 2),
    ] {
        let large = [shape[0], shape[1] / (r * r), shape[2] * r, shape[3] * r];
        cases.push(
            Case::new(
                format!("pixel_shuffle/{shape:?}/{r}"),
                vec![real(shape)],
                move |g, x| Ok(vec![g.pixel_shuffle(x[0], r)?]),
            )
            .gradients(&[0], Bound::Exact)
            .linear(),
        );
        cases.push(
            Case::new(
                format!("pixel_unshuffle/{large:?}/{r}"),
                vec![real(large)],
                move |g, x| Ok(vec![g.pixel_unshuffle(x[0], r)?]),
            )
            .gradients(&[0], Bound::Exact)
            .linear(),
        );
    }
    cases
}
