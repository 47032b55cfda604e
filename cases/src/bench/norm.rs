//! Batch normalisation: in training, its gradient, and in inference.

use striate::check::{Bound, Case, Draw, drawn, real};
use striate::ops::{Moments, Normalize, NormalizeGrad, Over};

use super::{Bench, same, streaming};

/// PyTorch's default.
const EPS: f32 = 1e-5;

/// What the results may be off, relative to the largest: chains of an eighth of a set's elements,
/// as `cases/src/norm.rs` derives. Gradients are sums of terms whose random signs cancel to `1 /
/// sqrt(set)` of their magnitudes.
fn bound(set: usize, gradient: bool) -> Bound {
    let set = set as f64;
    let cancelled = if gradient { set.sqrt() } else { 1.0 };
    Bound::Norm((set / 8.0 + 48.0) * cancelled * 2f64.powi(-24))
}

pub fn benches() -> Vec<Bench> {
    let shapes = [[32, 64, 56, 56], [32, 256, 14, 14], [32, 16, 32, 32]];
    shapes.into_iter().flat_map(passes).collect()
}

fn passes([n, c, h, w]: [usize; 4]) -> Vec<Bench> {
    let shape = move |n| [n, c, h, w];
    let name = move |n: usize, pass: &str| format!("batch_norm/{n}x{c}x{h}x{w}/{pass}");
    let train = move |n: usize| {
        let inputs = vec![real(shape(n)), real([c]), real([c])];
        Case::new(name(n, "train"), inputs, |g, v| {
            let (y, statistics) = g.batch_norm_train(v[0], Some(v[1]), Some(v[2]), EPS)?;
            Ok(vec![y, statistics])
        })
        .bound(bound(n * h * w, false))
        .inexact()
    };
    let backward = move |n: usize| {
        let statistics = drawn([c, 2], Draw::Between(0.25, 1.0));
        let inputs = vec![real(shape(n)), real(shape(n)), statistics, real([c])];
        Case::new(name(n, "backward"), inputs, |g, v| {
            let forward = Normalize {
                over: Over::Batch,
                eps: EPS,
                own: Some(Moments::MeanVariance),
                weight: true,
                bias: true,
                residual: false,
                relu: false,
            };
            g.apply(NormalizeGrad(forward), v)
        })
        .bound(bound(n * h * w, true))
        .inexact()
    };
    let eval = move |n: usize| {
        let statistic = || drawn([c], Draw::Between(0.25, 1.0));
        let inputs = vec![
            real(shape(n)),
            statistic(),
            statistic(),
            real([c]),
            real([c]),
        ];
        Case::new(name(n, "eval"), inputs, |g, v| {
            let y = g.batch_norm(v[0], [v[1], v[2]], Some(v[3]), Some(v[4]), EPS)?;
            Ok(vec![y])
        })
        .bound(bound(1, false))
        .inexact()
    };
    let channels = c as f64;
    let rows = [n, 2];
    // Statistics take a difference, its square and two sums per element; the gradient two products
    // with sums, then three more.
    vec![
        streaming(train, rows, 6.0, move |x| same(x) + 2.0 * channels),
        streaming(backward, rows, 11.0, move |x| same(x) + 2.0 * channels),
        streaming(eval, rows, 2.0, same),
    ]
}
