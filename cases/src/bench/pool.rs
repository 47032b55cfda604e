//! Pooling by windows of two by two, and its gradients.

use striate::check::{Bound, Case, real};
use striate::ops::{AvgPool2d, MaxPool2d};

use super::{Bench, gradient, same, streaming};

pub fn benches() -> Vec<Bench> {
    let shapes = [[128, 6, 28, 28], [32, 64, 112, 112]];
    shapes.into_iter().flat_map(pools).collect()
}

fn pools([n, c, h, w]: [usize; 4]) -> Vec<Bench> {
    let shape = move |n| [n, c, h, w];
    let pooled = move |n| [n, c, h / 2, w / 2];
    let name = move |op: &str, n: usize, pass: &str| format!("{op}/{n}x{c}x{h}x{w}-2{pass}");
    let max = move |n: usize| {
        Case::new(name("max_pool2d", n, ""), vec![real(shape(n))], |g, v| {
            Ok(vec![g.max_pool(v[0], MaxPool2d::new(2))?])
        })
    };
    let max_backward = move |n: usize| {
        let inputs = vec![real(shape(n)), real(pooled(n))];
        Case::new(name("max_pool2d", n, "/backward"), inputs, |g, v| {
            let y = g.max_pool(v[0], MaxPool2d::new(2))?;
            Ok(vec![gradient(g, y, v[1], v[0])?])
        })
    };
    let average = move |n: usize| {
        Case::new(name("avg_pool2d", n, ""), vec![real(shape(n))], |g, v| {
            Ok(vec![g.avg_pool(v[0], AvgPool2d::new(2))?])
        })
        .bound(Bound::Sum { k: 4 })
        .inexact()
    };
    let average_backward = move |n: usize| {
        let inputs = vec![real(pooled(n))];
        Case::new(name("avg_pool2d", n, "/backward"), inputs, move |g, v| {
            let x = g.fill(shape(n), 0.0)?;
            let y = g.avg_pool(x, AvgPool2d::new(2))?;
            Ok(vec![gradient(g, y, v[0], x)?])
        })
        .bound(Bound::Sum { k: 1 })
        .inexact()
    };
    let rows = [n, 2];
    vec![
        streaming(max, rows, 1.0, |x| same(x) / 4.0),
        streaming(max_backward, rows, 1.0, same),
        streaming(average, rows, 1.0, |x| same(x) / 4.0),
        streaming(average_backward, rows, 1.0, |dy| same(dy) * 4.0),
    ]
}
