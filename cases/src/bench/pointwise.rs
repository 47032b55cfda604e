//! Functions element by element.

use striate::check::{Bound, Case, real};

use super::{Bench, gradient, same, streaming};

pub fn benches() -> Vec<Bench> {
    let relu = |n: usize| {
        Case::new(format!("relu/{n}x65536"), vec![real([n, 65536])], |g, v| {
            Ok(vec![g.relu(v[0])?])
        })
    };
    let relu_backward = |n: usize| {
        let inputs = vec![real([n, 65536]), real([n, 65536])];
        Case::new(format!("relu/{n}x65536/backward"), inputs, |g, v| {
            let y = g.relu(v[0])?;
            Ok(vec![gradient(g, y, v[1], v[0])?])
        })
    };
    let add = |n: usize| {
        let inputs = vec![real([n, 65536]), real([n, 65536])];
        Case::new(format!("add/{n}x65536"), inputs, |g, v| {
            Ok(vec![g.add(v[0], v[1])?])
        })
        .bound(Bound::Ulp(1.0))
    };
    let bias = |n: usize| {
        let inputs = vec![real([n, 64, 56, 56]), real([64, 1, 1])];
        Case::new(format!("add/{n}x64x56x56+64"), inputs, |g, v| {
            Ok(vec![g.add(v[0], v[1])?])
        })
        .bound(Bound::Ulp(1.0))
    };
    vec![
        streaming(relu, [256, 2], 1.0, same),
        streaming(relu_backward, [256, 2], 1.0, same),
        streaming(add, [256, 2], 1.0, same),
        streaming(bias, [32, 2], 1.0, same),
    ]
}
