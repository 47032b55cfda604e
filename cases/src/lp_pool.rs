//! Lp pooling.

use striate::check::{Bound, Case, Draw, drawn, real};
use striate::ops::LpPool;

use super::pool::CHAIN;

/// Lp pooling of positive numbers; for p = 1 and 2, of any.
fn lp<const D: usize>(shape: &[usize], pool: LpPool<D>) -> Case {
    let k: usize = pool.kernel.iter().product::<usize>().min(CHAIN);
    let p = pool.norm_type;
    let LpPool { kernel, stride, .. } = pool;
    let ceil = if pool.ceil_mode { "/ceil" } else { "" };
    let case = Case::new(
        format!("lp_pool{D}d/{shape:?}/p{p}/k{kernel:?}/s{stride:?}{ceil}"),
        vec![drawn(shape, Draw::AwayFromZero)],
        move |g, x| {
            let x = match p {
                1.0 | 2.0 => x[0],
                _ => g.mul(x[0], x[0])?,
            };
            Ok(vec![g.lp_pool(x, pool)?])
        },
    );
    match p {
        1.0 if !pool.ceil_mode => case
            .bound(Bound::Sum { k })
            .gradients(&[0], Bound::Sum { k })
            .linear(),
        1.0 => case
            .bound(Bound::Sum { k })
            .gradients(&[0], Bound::Sum { k })
            .inexact(),
        // The sum of k positive products, halved by the root; sqrt as 1 / inverseSqrt: 2 ULP and
        // 2.5 ULP. The gradient divides by it, and adds at most k terms.
        2.0 => case
            .bound(Bound::Ulp(k as f64 / 2.0 + 8.0))
            .gradients(&[0], Bound::Norm((k as f64 + 16.0) * 2f64.powi(-23)))
            .inexact(),
        // exp2(log2(x) * p): log2 is off by 2^-21 within [0.5, 2], else by 3 ULP, at most 2^-19 for
        // a magnitude below 2^8; exp2 by 3 + 2|x| ULP, at most 2^-19 for |x| < 8. Of the p-th power
        // of the terms the root leaves 1 / p; then its own.
        _ => case
            .bound(Bound::Norm(2f64.powi(-18) + k as f64 * 2f64.powi(-24)))
            .gradients(
                &[0],
                Bound::Norm(f64::from(p) * 2f64.powi(-17) + k as f64 * 2f64.powi(-23)),
            )
            .inexact(),
    }
}

/// Windows of more elements than llvmpipe takes turns.
fn long() -> Vec<Case> {
    let mut cases = vec![
        lp(&[1, 1, 70_001], LpPool::new(1.0, [70_001])),
        lp(&[1, 1, 70_002], LpPool::new(2.0, [70_001])),
        lp(&[1, 1, 70_001], LpPool::new(3.0, [70_001])),
        lp(&[1, 1, 265, 270], LpPool::new(2.0, [265, 265])),
        lp(&[1, 1, 42, 43, 42], LpPool::new(2.0, [42, 42, 42])),
    ];
    for case in &mut cases {
        let (op, rest) = case.name.split_once('/').expect("the name has segments");
        case.name = format!("{op}/long/{rest}");
    }
    // Long where a device allows few turns, forward and back.
    for norm_type in [1.0, 2.0, 1.5] {
        let pool = LpPool {
            stride: [1, 1],
            ..LpPool::new(norm_type, [12, 13])
        };
        cases.push(lp(&[1, 1, 24, 25], pool));
    }
    cases
}

pub fn lp_pool() -> Vec<Case> {
    // Large enough to lie in parts.
    let mut cases = vec![lp(&[3, 2, 5, 4, 3], LpPool::new(2.0, [2, 2, 2]))];
    cases.extend(long());
    for (number, norm_type) in [1.0, 2.0, 3.0, 1.5, 4.0, 0.5, 2.5].into_iter().enumerate() {
        for ceil_mode in [false, true] {
            let more = number % 3;
            let line = LpPool {
                stride: [2],
                ceil_mode,
                ..LpPool::new(norm_type, [2 + more])
            };
            let flat = LpPool {
                stride: [1 + more, 2],
                ceil_mode,
                ..LpPool::new(norm_type, [3, 2])
            };
            let solid = LpPool {
                ceil_mode,
                ..LpPool::new(norm_type, [2, 1 + more, 2])
            };
            cases.push(lp(&[2, 3, 8 + more], line));
            cases.push(lp(&[2, 2, 7, 5 + more], flat));
            cases.push(lp(&[1, 2, 5, 4, 3], solid));
        }
        // Where a window is 0, so is its gradient.
        cases.push(
            Case::new(
                format!("lp_pool2d/zeros/p{norm_type}"),
                vec![real([1, 2, 4, 4])],
                move |g, x| {
                    let zeros = g.scale(x[0], 0.0)?;
                    Ok(vec![g.lp_pool(zeros, LpPool::new(norm_type, [2, 2]))?])
                },
            )
            .gradients(&[0], Bound::Exact),
        );
    }
    // Each window holds a number and a negative one of less weight, as odd powers tell them apart.
    for p in [1.0, 3.0] {
        let (over, under) = (Draw::Between(2.0, 3.0), Draw::Between(-1.0, -0.5));
        let bound = Bound::Norm(f64::from(p) * 2f64.powi(-17));
        cases.push(
            Case::new(
                format!("lp_pool1d/signs/p{p}"),
                vec![drawn([2, 2, 8, 1], over), drawn([2, 2, 8, 1], under)],
                move |g, x| {
                    let pairs = g.concat(x, 3)?;
                    let x = g.reshape(pairs, [2, 2, 16])?;
                    Ok(vec![g.lp_pool(x, LpPool::new(p, [2]))?])
                },
            )
            .bound(bound)
            .gradients(&[0, 1], bound)
            .inexact(),
        );
    }
    // Rows small enough to be cut into parts.
    cases.push(lp(&[11, 2, 9], LpPool::new(2.0, [3])));
    for norm_type in [2.0, 2.5, 3.0] {
        cases.push(
            Case::new(
                format!("lp_pool2d/special/p{norm_type}"),
                vec![drawn([2, 2, 8, 6], Draw::Special)],
                move |g, x| Ok(vec![g.lp_pool(x[0], LpPool::new(norm_type, [2, 2]))?]),
            )
            .bound(Bound::Norm(2f64.powi(-17)))
            .gradients(&[0], Bound::Norm(f64::from(norm_type) * 2f64.powi(-16)))
            .inexact(),
        );
    }
    cases.push(lp(&[2, 3, 13], LpPool::new(2.0, [2])).special(0));
    cases.push(lp(&[1, 3, 4, 5, 4], LpPool::new(2.0, [2, 2, 2])).special(0));
    for p in [1.0, 2.0, 3.0] {
        let pool = LpPool {
            stride: [2, 1],
            ..LpPool::new(p, [2, 2])
        };
        cases.push(lp(&[2, 2, 8, 5], pool).special_dy());
    }
    cases
}
