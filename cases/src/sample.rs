//! Sampling on grids.

use striate::check::{Bound, Case, Draw, drawn, real};
use striate::ops::{GridSample, SampleMode, SamplePadding};
use striate::tensor::Tensor;

/// In units of 2^-24: a place is off by 8 for each element of its distance from an end of the
/// image, of which there are up to 23, its weights by that and 3 more, whatever the values; a
/// gradient is a sum of such, and of a grid's half as many elements times that.
const BOUND: Bound = Bound::Norm(5e-5);
/// As that, for places up to 85 elements away.
const FAR: Bound = Bound::Norm(2e-4);

pub fn sample() -> Vec<Case> {
    let mut cases = Vec::new();
    let paddings = [
        ("zeros", SamplePadding::Zeros),
        ("border", SamplePadding::Border),
        ("reflection", SamplePadding::Reflection),
    ];
    for (padding_name, padding) in paddings {
        for (mode_name, mode) in [
            ("bilinear", SampleMode::Bilinear),
            ("nearest", SampleMode::Nearest),
        ] {
            for align_corners in [false, true] {
                let sample = GridSample {
                    mode,
                    padding,
                    align_corners,
                };
                let corners = if align_corners { "corners" } else { "edges" };
                let named = |rest: String| {
                    format!("grid_sample/{mode_name}/{padding_name}/{corners}/{rest}")
                };
                let sizes = [
                    [2, 3, 5, 4, 6, 3],
                    [1, 2, 1, 7, 3, 5],
                    [9, 2, 3, 3, 7, 10],
                    [1, 1, 17, 13, 12, 11],
                    [0, 2, 3, 3, 2, 2],
                ];
                for [n, c, height, width, h, w] in sizes {
                    let inputs = vec![
                        real([n, c, height, width]),
                        drawn([n, h, w, 2], Draw::Between(-1.7, 1.7)),
                    ];
                    let case = Case::new(
                        named(format!("{n}x{c}x{height}x{width} at {h}x{w}")),
                        inputs,
                        move |g, v| Ok(vec![g.grid_sample(v[0], v[1], sample)?]),
                    );
                    cases.push(case.bound(BOUND).gradients(&[0, 1], BOUND));
                }
                // Several reflections.
                for [n, c, height, width, h, w] in [
                    [2, 5, 5, 4, 6, 3],
                    [1, 2, 1, 7, 3, 5],
                    [2, 1, 1, 1, 4, 4],
                    [1, 1, 17, 13, 12, 11],
                ] {
                    let inputs = vec![
                        real([n, c, height, width]),
                        drawn([n, h, w, 2], Draw::Between(-9.0, 9.0)),
                    ];
                    let case = Case::new(
                        named(format!("far/{n}x{c}x{height}x{width} at {h}x{w}")),
                        inputs,
                        move |g, v| Ok(vec![g.grid_sample(v[0], v[1], sample)?]),
                    );
                    cases.push(case.bound(FAR).gradients(&[0, 1], FAR));
                }
                // NaN and infinities in the image, and among the places.
                let plain = Draw::Between(-1.3, 1.3);
                for (kind, [height, width], x, grid) in [
                    ("image", [4, 5], Draw::Special, plain),
                    ("places", [4, 5], Draw::Real, Draw::Special),
                    ("places of one element", [1, 1], Draw::Real, Draw::Special),
                    ("places of one row", [1, 3], Draw::Real, Draw::Special),
                ] {
                    let inputs = vec![drawn([2, 2, height, width], x), drawn([2, 4, 6, 2], grid)];
                    let case = Case::new(named(format!("special/{kind}")), inputs, move |g, v| {
                        Ok(vec![g.grid_sample(v[0], v[1], sample)?])
                    });
                    let case = case.bound(BOUND).gradients(&[0, 1], BOUND);
                    cases.push(case.inexact());
                }
                // Numbers whose places are none that f32 holds.
                let name = named("special/places beyond f32".into());
                let case = Case::new(name, vec![real([1, 2, 9, 9])], move |g, v| {
                    let pairs = vec![3e38, 0.2, -0.4, 3e38, -3e38, 0.1, 3e38, -3e38];
                    let grid = g.constant(Tensor::f32([1, 2, 2, 2], pairs)?)?;
                    Ok(vec![g.grid_sample(v[0], grid, sample)?])
                });
                let case = case.inexact().bound(BOUND);
                // Reflected they are NaN, which has no differences.
                cases.push(match padding {
                    SamplePadding::Reflection => case,
                    _ => case.gradients(&[0], BOUND),
                });
            }
        }
    }
    // More places than an invocation walks, and more channels.
    for (kind, x, grid) in [
        ("places", [1, 1, 2, 3], [1, 1, 70_001, 2]),
        ("channels", [1, 70_001, 2, 2], [1, 2, 1, 2]),
    ] {
        let inputs = vec![real(x), drawn(grid, Draw::Between(-1.3, 1.3))];
        let case = Case::new(format!("grid_sample/long/{kind}"), inputs, |g, v| {
            Ok(vec![g.grid_sample(v[0], v[1], GridSample::default())?])
        });
        cases.push(case.inexact().bound(BOUND).gradients(&[0, 1], BOUND));
    }
    for (n, [h, w]) in [(1, [4, 5]), (3, [1, 1]), (2, [17, 9]), (0, [2, 2])] {
        for align_corners in [false, true] {
            let case = Case::new(
                format!("affine_grid/{n} of {h}x{w}/align {align_corners}"),
                vec![real([n, 2, 3])],
                move |g, v| Ok(vec![g.affine_grid(v[0], [h, w], align_corners)?]),
            );
            // The sums of absolute values are unknown, since the constant factor has signs: of the
            // largest, which one of three terms is at least a part of.
            let bound = |terms: usize| Bound::Norm((terms as f64 + 8.0) * 2f64.powi(-21));
            let case = case.inexact().bound(bound(3));
            cases.push(case.gradients(&[0], bound(h * w)).linear());
        }
    }
    // A transformer of space.
    let inputs = vec![
        drawn([2, 2, 3], Draw::Between(-0.8, 0.8)),
        real([2, 3, 6, 7]),
    ];
    let case = Case::new("affine_grid/sampled", inputs, |g, v| {
        let grid = g.affine_grid(v[0], [5, 4], false)?;
        Ok(vec![g.grid_sample(v[1], grid, GridSample::default())?])
    });
    cases.push(case.inexact().bound(BOUND).gradients(&[0, 1], BOUND));
    cases
}
