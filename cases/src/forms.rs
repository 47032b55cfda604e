//! Forms that builders take beside the plain ones, as PyTorch does: axes counted from the last one
//! on, images without a batch, products of vectors and of batches that broadcast.

use striate::check::{Bound, Case, Draw, Input, drawn, real};
use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{
    AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, AxisRange, Conv, ConvTranspose, LpPool, MaxPool,
    MaxUnpool,
};

pub fn forms() -> Vec<Case> {
    let mut cases = last_axes();
    cases.extend(images());
    cases.extend(products());
    cases
}

fn case(
    name: &str,
    inputs: Vec<Input>,
    build: impl Fn(&mut Graph, &[Value]) -> Result<Value> + Send + Sync + 'static,
) -> Case {
    Case::new(name, inputs, move |g, x| Ok(vec![build(g, x)?]))
}

fn last_axes() -> Vec<Case> {
    let x = || vec![real([2, 3, 5])];
    let moved = [
        case(
            "concat/axis -2",
            vec![real([2, 3, 5]), real([2, 1, 5])],
            |g, x| g.concat(x, -2),
        )
        .gradients(&[0, 1], Bound::Exact),
        case("permute/axes -1, 0, -2", x(), |g, x| {
            g.permute(x[0], &[-1, 0, -2])
        })
        .gradients(&[0], Bound::Exact),
        case("flip/axes -1, 0", x(), |g, x| g.flip(x[0], &[-1, 0])).gradients(&[0], Bound::Exact),
        case("flatten/axis -2", x(), |g, x| g.flatten(x[0], -2)).gradients(&[0], Bound::Exact),
        case("slice/axis -1", x(), |g, x| {
            g.slice(x[0], &[AxisRange::new(-1, 1, 4).step(2)])
        })
        .gradients(&[0], Bound::Exact),
        case("slice/narrow axis -1", x(), |g, x| g.narrow(x[0], -1, 1, 3))
            .gradients(&[0], Bound::Exact),
        case("split/axis -1", x(), |g, x| {
            Ok(g.split(x[0], &[2, 3], -1)?[1])
        })
        .gradients(&[0], Bound::Exact),
        case("chunk/axis -3", x(), |g, x| Ok(g.chunk(x[0], 2, -3)?[1]))
            .gradients(&[0], Bound::Exact),
        case("sum/axes -1, -3", x(), |g, x| g.sum(x[0], &[-1, -3], false))
            .bound(Bound::Sum { k: 10 })
            .gradients(&[0], Bound::Exact),
        case("mean/axis -1", x(), |g, x| g.mean(x[0], &[-1], true))
            .bound(Bound::Sum { k: 5 })
            .inexact()
            .gradients(&[0], Bound::Ulp(2.0)),
    ];
    let distinct = || vec![drawn([2, 3, 5], Draw::Distinct)];
    let picked = [
        case("amax/axis -2", distinct(), |g, x| {
            g.amax(x[0], &[-2], false)
        }),
        case("amin/axis -2", distinct(), |g, x| g.amin(x[0], &[-2], true)),
        case("max/axis -1", distinct(), |g, x| {
            Ok(g.max(x[0], -1, false)?.0)
        }),
        case("min/axis -3", distinct(), |g, x| {
            Ok(g.min(x[0], -3, true)?.0)
        }),
    ];
    let picked = picked.map(|case| case.gradients(&[0], Bound::Exact));
    let norm = Bound::Norm(64.0 * 2f64.powi(-24));
    let smooth = [
        case("softmax/axis -2", x(), |g, x| g.softmax(x[0], -2)),
        case("log_softmax/axis -1", x(), |g, x| g.log_softmax(x[0], -1)),
        case("var/axis -1", x(), |g, x| g.var(x[0], &[-1], 1, false)),
        case("std/axis -1", x(), |g, x| g.std(x[0], &[-1], 1, false)),
        case("norm/axis -1", x(), |g, x| g.norm(x[0], &[-1], false)),
    ];
    let smooth = smooth.map(|case| case.bound(norm).inexact().gradients(&[0], norm));
    let indices = [
        case("argmax/axis -1", distinct(), |g, x| {
            g.argmax(x[0], -1, false)
        }),
        case("argmin/axis -2", distinct(), |g, x| {
            g.argmin(x[0], -2, true)
        }),
    ];
    moved
        .into_iter()
        .chain(picked)
        .chain(smooth)
        .chain(indices)
        .collect()
}

/// `[c, ...]` in place of `[n, c, ...]`.
fn images() -> Vec<Case> {
    let conv = |name: &str, x: &[usize], weight: &[usize]| {
        let inputs = vec![real(x), real(weight), real([weight[0]])];
        (format!("{name}/one image"), inputs)
    };
    let sum = Bound::Sum { k: 400 };
    let mut cases = Vec::new();
    let (name, inputs) = conv("conv1d", &[3, 9], &[4, 3, 3]);
    cases.push(case(&name, inputs, |g, x| {
        g.conv1d(x[0], x[1], Some(x[2]), Conv::new().padding(1))
    }));
    let (name, inputs) = conv("conv2d", &[3, 6, 7], &[4, 3, 3, 3]);
    cases.push(case(&name, inputs, |g, x| {
        g.conv2d(x[0], x[1], Some(x[2]), Conv::new().padding(1))
    }));
    let (name, inputs) = conv("conv3d", &[2, 3, 4, 4], &[3, 2, 2, 3, 2]);
    cases.push(case(&name, inputs, |g, x| {
        g.conv3d(x[0], x[1], Some(x[2]), Conv::new().padding(1))
    }));
    let inputs = vec![real([3, 4, 5]), real([3, 2, 3, 3]), real([2])];
    cases.push(case("conv_transpose2d/one image", inputs, |g, x| {
        g.conv_transpose2d(x[0], x[1], Some(x[2]), ConvTranspose::default())
    }));
    let mut cases: Vec<Case> = cases
        .into_iter()
        .map(|case| case.bound(sum).gradients(&[0, 1, 2], sum))
        .collect();
    let inputs = vec![real([2, 5, 4]), real([3, 2, 3, 3])];
    cases.push(
        case("conv2d/same upper", inputs, |g, x| {
            let conv = Conv {
                stride: [2, 3],
                ..Conv::default()
            };
            g.conv2d(x[0], x[1], None, conv.same_upper([5, 4], [3, 3]))
        })
        .bound(sum)
        .gradients(&[0, 1], sum)
        .linear(),
    );
    let distinct = || vec![drawn([2, 6, 4], Draw::Distinct)];
    let largest = [
        case("max_pool2d/one image", distinct(), |g, x| {
            g.max_pool(x[0], MaxPool::<2>::new(2))
        }),
        case("max_pool2d/one image, indices", distinct(), |g, x| {
            Ok(g.max_pool_with_indices(x[0], MaxPool::<2>::new(2))?.0)
        }),
        case("max_pool2d/one image, adaptive", distinct(), |g, x| {
            g.adaptive_max_pool(x[0], AdaptiveMaxPool { output: [3, 2] })
        }),
        case("max_pool2d/one image, unpooled", distinct(), |g, x| {
            let (y, indices) = g.max_pool_with_indices(x[0], MaxPool::<2>::new(2))?;
            g.max_unpool(y, indices, MaxUnpool::new([2, 2]))
        }),
    ];
    cases.extend(largest.map(|case| case.gradients(&[0], Bound::Exact)));
    let moved = [
        case("pixel_shuffle/one image", vec![real([8, 3, 5])], |g, x| {
            g.pixel_shuffle(x[0], 2)
        }),
        case(
            "pixel_unshuffle/one image",
            vec![real([3, 4, 6])],
            |g, x| g.pixel_unshuffle(x[0], 2),
        ),
    ];
    cases.extend(moved.map(|case| case.gradients(&[0], Bound::Exact).linear()));
    let real = || vec![drawn([2, 6, 4], Draw::Between(0.25, 1.0))];
    let means = [
        case("avg_pool2d/one image", real(), |g, x| {
            g.avg_pool(x[0], AvgPool::<2>::new(2))
        }),
        case("avg_pool2d/one image, adaptive", real(), |g, x| {
            g.adaptive_avg_pool(x[0], AdaptiveAvgPool { output: [3, 2] })
        }),
        case("lp_pool2d/one image", real(), |g, x| {
            g.lp_pool(x[0], LpPool::new(2.0, [2, 2]))
        }),
    ];
    let norm = Bound::Norm(64.0 * 2f64.powi(-24));
    cases.extend(means.map(|case| case.bound(norm).inexact().gradients(&[0], norm)));
    cases
}

fn products() -> Vec<Case> {
    let mut cases = Vec::new();
    let operands: [(&[usize], &[usize]); 15] = [
        (&[2, 1, 4, 3], &[2, 3, 5]),
        (&[3, 4, 6], &[6, 5]),
        (&[4, 6], &[3, 6, 5]),
        (&[2, 3, 4, 6], &[2, 1, 6, 5]),
        (&[2, 3, 4, 6], &[3, 6, 5]),
        (&[1, 1, 4, 6], &[6, 5]),
        (&[3, 4, 6], &[1, 6, 5]),
        (&[1, 4, 6], &[3, 6, 5]),
        (&[2, 1, 3, 4, 6], &[5, 1, 6, 7]),
        (&[0, 4, 6], &[6, 5]),
        (&[4, 6], &[6]),
        (&[6], &[6, 5]),
        (&[6], &[6]),
        (&[2, 3, 4, 6], &[6]),
        (&[6], &[2, 3, 6, 5]),
    ];
    for (a, b) in operands {
        for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
            let stored = |shape: &[usize], transposed: bool| {
                let mut shape = shape.to_vec();
                let rank = shape.len();
                if transposed && rank > 1 {
                    shape.swap(rank - 2, rank - 1);
                }
                shape
            };
            if (ta && a.len() == 1) || (tb && b.len() == 1) {
                continue;
            }
            let t = |transposed| if transposed { "t" } else { "n" };
            cases.push(
                case(
                    &format!("matmul/{}{}/{a:?} {b:?}", t(ta), t(tb)),
                    vec![real(stored(a, ta)), real(stored(b, tb))],
                    move |g, x| g.matmul(x[0], x[1], ta, tb),
                )
                .bound(Bound::Sum { k: 6 })
                .gradients(&[0, 1], Bound::Sum { k: 64 })
                .linear(),
            );
        }
    }
    cases
}
