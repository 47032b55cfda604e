//! Max unpooling.

use striate::autodiff::gradients_from;
use striate::check::{Bound, Case, Draw, below, drawn, real};
use striate::ops::{MaxPool, MaxPool2d, MaxUnpool};

use super::pool::windows;

/// Unpools what a pooling with indices gave.
fn unpool_of_pool<const D: usize>(
    shape: &[usize],
    pool: MaxPool<D>,
    output_size: Option<[usize; D]>,
) -> Case {
    Case::new(
        format!("max_unpool{}/{output_size:?}", windows(shape, &pool)),
        vec![drawn(shape, Draw::Distinct)],
        move |g, x| {
            let (y, index) = g.max_pool_with_indices(x[0], pool)?;
            let unpool = MaxUnpool {
                stride: pool.stride,
                padding: pool.padding,
                output_size,
                ..MaxUnpool::new(pool.kernel)
            };
            Ok(vec![g.max_unpool(y, index, unpool)?])
        },
    )
    .gradients(&[0], Bound::Exact)
}

/// Unpools with indices below `limit`, any of them, equal ones and ones outside the plane too.
fn unpool_of_any<const D: usize>(shape: &[usize], limit: u32, unpool: MaxUnpool<D>) -> Case {
    Case::new(
        format!(
            "max_unpool{D}d/{shape:?}/k{:?}/indices below {limit}",
            unpool.kernel
        ),
        vec![real(shape), below(shape, limit)],
        move |g, x| Ok(vec![g.max_unpool(x[0], x[1], unpool)?]),
    )
    .gradients(&[0], Bound::Exact)
    .linear()
}

pub fn unpool() -> Vec<Case> {
    let overlapping = MaxPool {
        stride: [2, 2],
        padding: [1, 1],
        ..MaxPool::new(3)
    };
    let mut cases = vec![
        unpool_of_pool(&[2, 3, 8], MaxPool::<1>::new(2), None),
        unpool_of_pool(&[2, 3, 9], MaxPool::<1>::new(2), Some([9])),
        unpool_of_pool(&[2, 3, 11], MaxPool::<1>::new(4), Some([11])),
        unpool_of_pool(&[2, 3, 6, 8], MaxPool::<2>::new(2), None),
        unpool_of_pool(&[2, 2, 7, 5], MaxPool::<2>::new(2), Some([7, 5])),
        unpool_of_pool(&[1, 4, 9, 6], MaxPool::new([3, 2]), None),
        unpool_of_pool(&[2, 2, 7, 9], overlapping, None),
        unpool_of_pool(&[1, 2, 4, 4, 4], MaxPool::<3>::new(2), None),
        unpool_of_pool(&[2, 1, 5, 4, 3], MaxPool::new([2, 2, 1]), Some([5, 4, 3])),
        unpool_of_any(&[2, 3, 4], 8, MaxUnpool::new([2])),
        unpool_of_any(&[3, 2, 5], 3, MaxUnpool::new([2])),
        unpool_of_any(&[2, 3, 4, 3], 48, MaxUnpool::new([2, 2])),
        unpool_of_any(&[2, 3, 4, 3], 60, MaxUnpool::new([2, 2])),
        unpool_of_any(&[2, 2, 3, 3], u32::MAX, MaxUnpool::new([2, 1])),
        unpool_of_any(&[1, 2, 2, 3, 2], 96, MaxUnpool::new([2, 2, 2])),
        unpool_of_any(&[0, 2, 3], 6, MaxUnpool::new([2])),
        unpool_of_any(&[7, 2, 5], 12, MaxUnpool::new([2])),
        unpool_of_pool(&[9, 1, 4, 6], MaxPool::<2>::new(2), None),
    ];
    cases.push(Case::new(
        "max_unpool2d/special",
        vec![drawn([2, 2, 6, 6], Draw::Special)],
        |g, x| {
            let (y, index) = g.max_pool_with_indices(x[0], MaxPool2d::new(2))?;
            Ok(vec![g.max_unpool(y, index, MaxUnpool::new([2, 2]))?])
        },
    ));
    // The gradient as an op of its own.
    cases.push(
        Case::new(
            "max_unpool2d/second",
            vec![
                real([2, 2, 3, 4]),
                below([2, 2, 3, 4], 30),
                real([2, 2, 6, 4]),
            ],
            |g, x| {
                let y = g.max_unpool(x[0], x[1], MaxUnpool::new([2, 1]))?;
                let dx = gradients_from(g, &[(y, x[2])], &[x[0]])?;
                Ok(dx.into_iter().flatten().collect())
            },
        )
        .gradients(&[2], Bound::Exact)
        .linear(),
    );
    cases
}
