//! Softmax and cross-entropy over a thousand classes.

use striate::check::{Bound, Case, below, real};

use super::{Bench, gradient, same, streaming};

pub fn benches() -> Vec<Bench> {
    let forward = |n: usize| {
        let inputs = vec![real([n, 1000]), below([n], 1000)];
        let name = format!("softmax_cross_entropy/{n}x1000");
        Case::new(name, inputs, move |g, v| {
            Ok(vec![g.cross_entropy(v[0], v[1])?])
        })
        .bound(Bound::Norm(1e-5))
        .inexact()
    };
    let backward = |n: usize| {
        let inputs = vec![real([n, 1000]), below([n], 1000)];
        let name = format!("softmax_cross_entropy/{n}x1000/backward");
        Case::new(name, inputs, move |g, v| {
            let loss = g.cross_entropy(v[0], v[1])?;
            let dy = g.fill([], 1.0)?;
            Ok(vec![gradient(g, loss, dy, v[0])?])
        })
        .bound(Bound::Norm(1e-5))
        .inexact()
    };
    let softmax = |n: usize| {
        let inputs = vec![real([n, 1000])];
        Case::new(format!("softmax/{n}x1000"), inputs, |g, v| {
            Ok(vec![g.softmax(v[0], 1)?])
        })
        .bound(Bound::Norm(1e-5))
        .inexact()
    };
    let rows = [4096, 2];
    vec![
        streaming(forward, rows, 4.0, |_| 1.0),
        streaming(backward, rows, 5.0, same),
        streaming(softmax, rows, 4.0, same),
    ]
}
