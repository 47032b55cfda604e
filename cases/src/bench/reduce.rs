//! Sums and their like over rows, columns, channels, planes and all.

use striate::check::{Bound, Case, real};

use super::{Bench, streaming};

pub fn benches() -> Vec<Bench> {
    let rows = |n: usize| vec![real([n, 65536])];
    let sum_rows = |n: usize| {
        Case::new(format!("sum/{n}x65536/rows"), rows(n), |g, v| {
            Ok(vec![g.sum(v[0], &[1], false)?])
        })
        .bound(Bound::Sum { k: 65536 })
        .inexact()
    };
    let sum_columns = |n: usize| {
        let inputs = vec![real([n, 1024])];
        Case::new(format!("sum/{n}x1024/columns"), inputs, |g, v| {
            Ok(vec![g.sum(v[0], &[0], false)?])
        })
        .bound(Bound::Sum { k: n })
        .inexact()
    };
    let sum_channels = |n: usize| {
        let inputs = vec![real([n, 64, 56, 56])];
        Case::new(format!("sum/{n}x64x56x56/channels"), inputs, |g, v| {
            Ok(vec![g.sum(v[0], &[0, 2, 3], false)?])
        })
        .bound(Bound::Sum { k: n * 56 * 56 })
        .inexact()
    };
    let sum_all = |n: usize| {
        Case::new(format!("sum/{n}x65536/all"), rows(n), |g, v| {
            Ok(vec![g.sum(v[0], &[0, 1], false)?])
        })
        .bound(Bound::Sum { k: n * 65536 })
        .inexact()
    };
    let mean_planes = |n: usize| {
        let inputs = vec![real([n, 2048, 7, 7])];
        Case::new(format!("mean/{n}x2048x7x7/planes"), inputs, |g, v| {
            Ok(vec![g.mean(v[0], &[2, 3], false)?])
        })
        .bound(Bound::Sum { k: 49 })
        .inexact()
    };
    let largest = |n: usize| {
        Case::new(format!("amax/{n}x65536/rows"), rows(n), |g, v| {
            Ok(vec![g.amax(v[0], &[1], false)?])
        })
    };
    let variance = |n: usize| {
        Case::new(format!("var/{n}x65536/rows"), rows(n), |g, v| {
            Ok(vec![g.var(v[0], &[1], 1, false)?])
        })
        .bound(Bound::Norm(65536.0 / 8.0 * 2f64.powi(-24)))
        .inexact()
    };
    let argmax = |n: usize| {
        let inputs = vec![real([n, 1000])];
        Case::new(format!("argmax/{n}x1000/rows"), inputs, |g, v| {
            Ok(vec![g.argmax(v[0], 1, false)?])
        })
    };
    let each = |n: usize| move |_: &[_]| n as f64;
    vec![
        streaming(sum_rows, [256, 2], 1.0, each(256)),
        streaming(sum_columns, [8192, 128], 1.0, each(1024)),
        streaming(sum_channels, [32, 2], 1.0, each(64)),
        streaming(sum_all, [256, 2], 1.0, each(1)),
        streaming(mean_planes, [32, 2], 1.0, each(32 * 2048)),
        streaming(largest, [256, 2], 1.0, each(256)),
        streaming(variance, [256, 2], 4.0, each(256)),
        streaming(argmax, [4096, 2], 1.0, each(4096)),
    ]
}
