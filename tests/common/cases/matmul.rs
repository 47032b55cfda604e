//! Matrix products.

use striate::check::{Bound, Case, real};
use striate::ops::MatMul;

use super::ENDS;

pub fn matmul() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes = [
        [1, 1, 1],
        [3, 5, 7],
        [8, 8, 8],
        [17, 33, 9],
        [16, 120, 400],
        [64, 84, 120],
        [65, 10, 84],
        [2, 130, 67],
        [128, 64, 36],
        [0, 4, 3],
    ];
    for [m, n, k] in sizes {
        for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
            let a = if ta { [k, m] } else { [m, k] };
            let b = if tb { [n, k] } else { [k, n] };
            let longest = m.max(n).max(k);
            let t = |t| if t { "t" } else { "n" };
            cases.push(
                Case::new(
                    format!("matmul/{}{}/{m}x{n}x{k}", t(ta), t(tb)),
                    vec![real(a), real(b)],
                    move |g, x| Ok(vec![g.matmul(x[0], x[1], ta, tb)?]),
                )
                .bound(Bound::Sum { k })
                .gradients(&[0, 1], Bound::Sum { k: longest })
                .linear(),
            );
        }
    }
    for (rows, features, out) in [(1, 1, 1), (7, 13, 5), (33, 84, 10), (128, 400, 120)] {
        let longest = rows.max(features).max(out) + 1;
        cases.push(
            Case::new(
                format!("linear/{rows}x{features}->{out}"),
                vec![real([rows, features]), real([out, features]), real([out])],
                |g, x| Ok(vec![g.linear(x[0], x[1], Some(x[2]))?]),
            )
            .bound(Bound::Sum { k: features + 1 })
            .gradients(&[0, 1, 2], Bound::Sum { k: longest }),
        );
    }
    cases.extend(matmul_kernels());
    cases
}

/// Every form and end of a matrix product, at sizes that reach every variant of its kernels.
fn matmul_kernels() -> Vec<Case> {
    let mut cases = Vec::new();
    for [m, n, k] in [[5, 7, 6], [65, 81, 53], [768, 704, 4]] {
        for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
            for (bias, relu, mask) in ENDS {
                let op = MatMul {
                    transpose_a: ta,
                    transpose_b: tb,
                    bias,
                    relu,
                    mask,
                };
                let a = if ta { [k, m] } else { [m, k] };
                let b = if tb { [n, k] } else { [k, n] };
                let mut inputs = vec![real(a), real(b)];
                inputs.extend(bias.then(|| real([n])));
                inputs.extend(mask.then(|| real([m, n])));
                cases.push(
                    Case::new(format!("{op:?}/{m}x{n}x{k}"), inputs, move |g, v| {
                        Ok(vec![g.add1(op, v)?])
                    })
                    .bound(Bound::Sum { k: k + 1 }),
                );
            }
        }
    }
    cases
}
