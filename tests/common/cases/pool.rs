//! Pooling.

use striate::autodiff::gradients_from;
use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{
    AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, AvgPool2d, Indices, LpPool, MaxPool, MaxPool1d,
    MaxPool2d, MaxPoolForward, MaxUnpool,
};
use striate::tensor::Tensor;

use super::{Bound, Case, Draw, below, drawn, real};

/// Output and indices of the op that `Graph::max_pool` makes.
pub fn with_smallest_indices<const D: usize>(
    g: &mut Graph,
    x: Value,
    pool: MaxPool<D>,
) -> Result<Vec<Value>> {
    let y = g.max_pool(x, pool)?;
    let node = g.nodes().iter().find(|node| node.outputs[0] == y);
    Ok(node.expect("y was just made").outputs.clone())
}

/// `[n, c, ...]`.
fn image<const D: usize>([n, c]: [usize; 2], extents: [usize; D]) -> Vec<usize> {
    [&[n, c], &extents[..]].concat()
}

fn windows<const D: usize>(shape: &[usize], pool: &MaxPool<D>) -> String {
    let MaxPool {
        kernel,
        stride,
        padding,
        dilation,
        ceil_mode,
    } = pool;
    let ceil = if *ceil_mode { "/ceil" } else { "" };
    format!("{D}d/{shape:?}/k{kernel:?}/s{stride:?}/p{padding:?}/d{dilation:?}{ceil}")
}

/// Maxima with the smallest indices, and their gradient.
pub fn max<const D: usize>(shape: &[usize], pool: MaxPool<D>) -> Case {
    let k = pool.kernel.iter().product();
    Case::new(
        format!("max_pool{}", windows(shape, &pool)),
        vec![drawn(shape, Draw::Distinct)],
        move |g, x| with_smallest_indices(g, x[0], pool),
    )
    .gradients(&[0], Bound::Sum { k })
}

/// Maxima with PyTorch's indices, and their gradient.
pub fn max_in_plane<const D: usize>(shape: &[usize], pool: MaxPool<D>) -> Case {
    let k = pool.kernel.iter().product();
    Case::new(
        format!("max_pool{}/plane", windows(shape, &pool)),
        vec![drawn(shape, Draw::Distinct)],
        move |g, x| {
            let (y, index) = g.max_pool_with_indices(x[0], pool)?;
            Ok(vec![y, index])
        },
    )
    .gradients(&[0], Bound::Sum { k })
}

/// Maxima alone.
fn max_values<const D: usize>(shape: &[usize], pool: MaxPool<D>) -> Case {
    let values = MaxPoolForward {
        windows: pool.windows(),
        indices: Indices::None,
    };
    Case::new(
        format!("max_pool{}/values", windows(shape, &pool)),
        vec![real(shape)],
        move |g, x| g.add(values, x),
    )
}

/// The gradient of a max pooling as an op of its own: linear in dy, with a gradient that gathers.
fn max_second<const D: usize>(shape: &[usize], pool: MaxPool<D>, plane: bool) -> Case {
    let k = pool.kernel.iter().product();
    let mut g = Graph::new();
    let x = g.input("x", striate::shape::Type::f32(shape));
    let y = x
        .and_then(|x| g.max_pool(x, pool))
        .expect("the pooling is right");
    let pooled = g.shape(y).expect("y was just made").clone();
    Case::new(
        format!("max_pool{}/second/plane {plane}", windows(shape, &pool)),
        vec![drawn(shape, Draw::Distinct), real(pooled)],
        move |g, x| {
            let y = match plane {
                true => g.max_pool_with_indices(x[0], pool)?.0,
                false => g.max_pool(x[0], pool)?,
            };
            let dx = gradients_from(g, &[(y, x[1])], &[x[0]])?;
            Ok(dx.into_iter().flatten().collect())
        },
    )
    .bound(Bound::Sum { k })
    .gradients(&[1], Bound::Exact)
    .linear()
}

/// Means with the windows of a max pooling without dilation, and their gradient.
pub fn average<const D: usize>(
    shape: &[usize],
    pool: MaxPool<D>,
    count_include_pad: bool,
    divisor_override: Option<usize>,
) -> Case {
    let k = pool.kernel.iter().product();
    let name = windows(shape, &pool);
    let pool = AvgPool {
        kernel: pool.kernel,
        stride: pool.stride,
        padding: pool.padding,
        ceil_mode: pool.ceil_mode,
        count_include_pad,
        divisor_override,
    };
    let divisor = divisor_override.map_or(String::new(), |n| format!("/divisor {n}"));
    Case::new(
        format!("avg_pool{name}/pad {count_include_pad}{divisor}"),
        vec![real(shape)],
        move |g, x| Ok(vec![g.avg_pool(x[0], pool)?]),
    )
    .bound(Bound::Sum { k })
    .gradients(&[0], Bound::Sum { k })
    .inexact()
    .linear()
}

/// Poolings spread over the grid of kernel, stride, padding, dilation and rounding, other ones along each axis.
fn grid<const D: usize>() -> Vec<(Vec<usize>, MaxPool<D>)> {
    let mut grid = Vec::new();
    for number in 0..96 {
        let option = |axis: usize, turn: usize, of: usize| (number / turn + axis) % of;
        let kernel: [usize; D] = std::array::from_fn(|axis| 1 + option(axis, 1, 4));
        let pool = MaxPool {
            kernel,
            stride: std::array::from_fn(|axis| 1 + option(2 * axis, 4, 3)),
            padding: kernel.map(|k| k / 2 * (number / 12 % 2)),
            dilation: std::array::from_fn(|axis| 1 + option(axis, 24, 2)),
            ceil_mode: number / 48 == 1,
        };
        // What the window needs, and up to four more.
        let extents: [usize; D] = std::array::from_fn(|axis| {
            let span = pool.dilation[axis] * (kernel[axis] - 1) + 1;
            span.saturating_sub(2 * pool.padding[axis])
                .max(pool.dilation[axis])
                + (3 * number + axis) % 5
        });
        grid.push((
            image([1 + number % 3, [1, 4, 2][number % 3]], extents),
            pool,
        ));
    }
    grid
}

fn spread<const D: usize>() -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, (shape, pool)) in grid::<D>().into_iter().enumerate() {
        match number % 5 {
            0 => cases.push(max_in_plane(&shape, pool)),
            1 => cases.push(max_second(&shape, pool, number % 2 == 0)),
            2 => cases.push(max_values(&shape, pool)),
            _ => {}
        }
        cases.push(max(&shape, pool));
        if pool.dilation == [1; D] || number / 24 % 2 == 0 {
            let pool = MaxPool {
                dilation: [1; D],
                ..pool
            };
            let divisor = (number % 8 == 7).then_some(number % 3 + 1);
            // Without dilation a window is shorter, and fits all the more.
            cases.push(average(&shape, pool, number % 2 == 0, divisor));
        }
    }
    cases
}

/// Planes of 2D windows, among them those with forms of their own.
fn flat() -> Vec<Case> {
    // Shape, kernel, stride, padding.
    type Pair = [usize; 2];
    let windows: [([usize; 4], Pair, Pair, Pair); 19] = [
        ([2, 6, 28, 28], [2, 2], [2, 2], [0, 0]),
        ([3, 5, 10, 10], [2, 2], [2, 2], [0, 0]),
        ([3, 4, 10, 10], [2, 2], [2, 2], [0, 0]),
        ([1, 3, 6, 4], [2, 2], [2, 2], [0, 0]),
        ([2, 1, 5, 8], [2, 2], [2, 2], [0, 0]),
        ([2, 4, 7, 6], [2, 2], [2, 2], [0, 0]),
        ([1, 1, 2, 2], [2, 2], [2, 2], [0, 0]),
        ([2, 3, 7, 6], [2, 2], [2, 2], [0, 0]),
        ([2, 3, 6, 7], [2, 2], [2, 2], [0, 0]),
        ([2, 3, 9, 8], [3, 3], [2, 2], [1, 1]),
        ([1, 2, 8, 7], [3, 2], [1, 3], [1, 0]),
        ([2, 1, 5, 5], [5, 5], [1, 1], [2, 2]),
        ([2, 4, 5, 5], [5, 5], [1, 1], [2, 2]),
        ([1, 2, 17, 21], [16, 16], [1, 2], [0, 2]),
        ([1, 2, 20, 17], [17, 16], [2, 1], [0, 0]),
        ([1, 3, 11, 4], [2, 1], [4, 1], [1, 0]),
        ([1, 2, 1, 1], [3, 3], [7, 7], [1, 1]),
        ([0, 3, 4, 4], [2, 2], [2, 2], [0, 0]),
        ([2, 0, 5, 5], [3, 3], [2, 2], [1, 1]),
    ];
    let mut cases = Vec::new();
    for (shape, kernel, stride, padding) in windows {
        let pool = MaxPool2d {
            stride,
            padding,
            ..MaxPool::new(kernel)
        };
        cases.push(max(&shape, pool));
        cases.push(max_in_plane(&shape, pool));
        cases.push(max_values(&shape, pool));
        for count_include_pad in [true, false] {
            cases.push(average(&shape, pool, count_include_pad, None));
        }
    }
    // Odd extents rounded up: windows of 2 x 2 that are not all whole.
    for shape in [[2, 4, 7, 6], [2, 2, 6, 7], [1, 3, 5, 5]] {
        let pool = MaxPool2d {
            ceil_mode: true,
            ..MaxPool::square(2)
        };
        cases.push(max(&shape, pool));
        cases.push(max_in_plane(&shape, pool));
        cases.push(average(&shape, pool, true, None));
    }
    cases.push(max_second(&[2, 3, 8, 8], MaxPool2d::square(2), false));
    cases
}

/// Windows at the edges of what is allowed.
fn edges() -> Vec<Case> {
    let whole = MaxPool {
        padding: [3, 2, 1],
        ..MaxPool::new([11, 8, 5])
    };
    let beyond = MaxPool {
        kernel: [7],
        stride: [9],
        ceil_mode: true,
        ..MaxPool::new([1])
    };
    let far = MaxPool {
        stride: [(1 << 31) - 1; 2],
        ceil_mode: true,
        ..MaxPool::square(3)
    };
    let mut cases = vec![
        max(&[2, 2, 5, 4, 3], whole),
        average(&[2, 2, 5, 4, 3], whole, true, None),
        average(&[2, 2, 5, 4, 3], whole, false, None),
        max(&[3, 2, 5], beyond),
        average(&[3, 2, 5], beyond, true, None),
        max(&[1, 4, 4, 5], far),
        average(&[1, 4, 4, 5], far, true, None),
        max(&[0, 2, 3, 4, 5], MaxPool::<3>::square(2)),
        average(&[2, 0, 3, 4, 5], MaxPool::<3>::square(2), true, None),
        max(&[0, 2, 7], MaxPool::<1>::square(3)),
        max(&[1, 1, 1], MaxPool::<1>::square(1)),
        average(&[1, 1, 1, 1, 1], MaxPool::<3>::square(1), true, None),
    ];
    // Windows of nothing but padding between their taps.
    let hollow = |c: usize| {
        let pool = MaxPool1d {
            padding: [1],
            dilation: [2],
            ..MaxPool::square(2)
        };
        Case::new(
            format!("max_pool1d/hollow/{c} channels"),
            vec![real([2, c, 1])],
            move |g, x| with_smallest_indices(g, x[0], pool),
        )
    };
    cases.extend([hollow(4), hollow(3)]);
    // NaN wins, the last one over others; the first of equals wins, -inf too. Each index shows which.
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let special = vec![
        nan, inf, 1.0, nan, 2.0, 2.0, -inf, -inf, //
        3.0, 9.0, -nan, nan, 2.0, 2.0, -inf, -inf,
    ];
    for (stride, name) in [([2, 2], "2x2"), ([2, 1], "2x2 overlapping")] {
        let pool = MaxPool2d {
            stride,
            ..MaxPool::square(2)
        };
        let special = special.clone();
        cases.push(Case::new(
            format!("max_pool2d/nan/{name}"),
            vec![],
            move |g, _| {
                let x = g.constant(Tensor::f32([1, 1, 2, 8], special.clone())?)?;
                let mut indices = with_smallest_indices(g, x, pool)?;
                indices.push(g.max_pool_with_indices(x, pool)?.1);
                Ok(indices.split_off(1))
            },
        ));
    }
    for (name, pool) in [
        ("2x2", MaxPool::square(2)),
        (
            "3x3",
            MaxPool {
                stride: [2, 1],
                padding: [1, 1],
                ..MaxPool::square(3)
            },
        ),
    ] {
        let k = pool.kernel.iter().product();
        cases.push(
            Case::new(
                format!("max_pool2d/special/{name}"),
                vec![drawn([2, 2, 8, 6], Draw::Special)],
                move |g, x| with_smallest_indices(g, x[0], pool),
            )
            .gradients(&[0], Bound::Sum { k }),
        );
        cases.push(
            Case::new(
                format!("avg_pool2d/special/{name}"),
                vec![drawn([2, 2, 8, 6], Draw::Special)],
                move |g, x| {
                    let pool = AvgPool2d {
                        stride: pool.stride,
                        padding: pool.padding,
                        ..AvgPool::new(pool.kernel)
                    };
                    Ok(vec![g.avg_pool(x[0], pool)?])
                },
            )
            .bound(Bound::Sum { k })
            .gradients(&[0], Bound::Sum { k })
            .inexact(),
        );
    }
    cases
}

/// Lp pooling of positive numbers; for p = 1 and 2, of any.
fn lp<const D: usize>(shape: &[usize], pool: LpPool<D>) -> Case {
    let k: usize = pool.kernel.iter().product();
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
        // The sum of k positive products, halved by the root; sqrt as 1 / inverseSqrt: 2 ULP and 2.5 ULP. The gradient divides by
        // it, and adds at most k terms.
        2.0 => case
            .bound(Bound::Ulp(k as f64 / 2.0 + 8.0))
            .gradients(&[0], Bound::Norm((k as f64 + 16.0) * 2f64.powi(-23)))
            .inexact(),
        // exp2(log2(x) * p): log2 is off by 2^-21 within [0.5, 2], else by 3 ULP, at most 2^-19 for a magnitude below 2^8; exp2 by
        // 3 + 2|x| ULP, at most 2^-19 for |x| < 8. Of the p-th power of the terms the root leaves 1 / p; then its own.
        _ => case
            .bound(Bound::Norm(2f64.powi(-18) + k as f64 * 2f64.powi(-24)))
            .gradients(
                &[0],
                Bound::Norm(f64::from(p) * 2f64.powi(-17) + k as f64 * 2f64.powi(-23)),
            )
            .inexact(),
    }
}

fn norms() -> Vec<Case> {
    let mut cases = Vec::new();
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
    for norm_type in [2.0, 2.5, 3.0] {
        cases.push(
            Case::new(
                format!("lp_pool2d/special/p{norm_type}"),
                vec![drawn([2, 2, 8, 6], Draw::Special)],
                move |g, x| Ok(vec![g.lp_pool(x[0], LpPool::new(norm_type, [2, 2]))?]),
            )
            .bound(Bound::Norm(2f64.powi(-17)))
            .inexact(),
        );
    }
    cases
}

fn adaptive_one<const D: usize>(
    n_c: [usize; 2],
    input: [usize; D],
    output: [usize; D],
) -> [Case; 2] {
    let shape = image(n_c, input);
    // A window has at most ceil(extent / windows) + 1 elements along each axis, an element lies in so many windows.
    let along = |a: usize, b: usize| a.div_ceil(b) + 1;
    let elements: usize = (0..D).map(|i| along(input[i], output[i])).product();
    let windows: usize = (0..D).map(|i| along(output[i], input[i])).product();
    let max = Case::new(
        format!("adaptive_max_pool{D}d/{shape:?}/{output:?}"),
        vec![drawn(shape.clone(), Draw::Distinct)],
        move |g, x| {
            let (y, index) = g.adaptive_max_pool_with_indices(x[0], AdaptiveMaxPool { output })?;
            Ok(vec![y, index])
        },
    );
    let average = Case::new(
        format!("adaptive_avg_pool{D}d/{shape:?}/{output:?}"),
        vec![real(shape)],
        move |g, x| Ok(vec![g.adaptive_avg_pool(x[0], AdaptiveAvgPool { output })?]),
    );
    [
        max.gradients(&[0], Bound::Sum { k: windows }),
        average
            .bound(Bound::Sum { k: elements })
            .gradients(
                &[0],
                Bound::Sum {
                    k: elements + windows,
                },
            )
            .inexact()
            .linear(),
    ]
}

fn adaptive() -> Vec<Case> {
    let mut cases = Vec::new();
    for (input, output) in [
        (1, 1),
        (7, 3),
        (8, 4),
        (5, 5),
        (3, 7),
        (13, 1),
        (11, 6),
        (2, 5),
    ] {
        cases.extend(adaptive_one([2, 3], [input], [output]));
    }
    for (input, output) in [
        ([7, 5], [3, 2]),
        ([4, 9], [4, 1]),
        ([3, 3], [7, 7]),
        ([1, 8], [2, 3]),
        ([13, 11], [1, 1]),
        ([6, 6], [6, 6]),
        ([14, 10], [7, 7]),
    ] {
        cases.extend(adaptive_one([2, 2], input, output));
    }
    for (input, output) in [
        ([5, 4, 3], [2, 2, 2]),
        ([1, 6, 5], [1, 3, 4]),
        ([4, 4, 4], [1, 1, 1]),
        ([2, 3, 5], [3, 5, 2]),
    ] {
        cases.extend(adaptive_one([1, 3], input, output));
    }
    cases.extend(adaptive_one([0, 3], [4, 4], [2, 2]));
    for (name, shape) in [
        ("1d", &[2, 3, 5][..]),
        ("2d", &[2, 3, 4, 7]),
        ("3d", &[1, 2, 3, 4, 5]),
    ] {
        cases.push(
            Case::new(
                format!("global_max_pool{name}/{shape:?}"),
                vec![drawn(shape, Draw::Distinct)],
                |g, x| Ok(vec![g.global_max_pool(x[0])?]),
            )
            .gradients(&[0], Bound::Exact),
        );
        let k = shape[2..].iter().product();
        cases.push(
            Case::new(
                format!("global_avg_pool{name}/{shape:?}"),
                vec![real(shape)],
                |g, x| Ok(vec![g.global_avg_pool(x[0])?]),
            )
            .bound(Bound::Sum { k })
            .gradients(&[0], Bound::Sum { k: 1 })
            .inexact()
            .linear(),
        );
    }
    cases.push(Case::new(
        "adaptive_max_pool2d/values",
        vec![real([2, 2, 5, 7])],
        |g, x| {
            Ok(vec![g.adaptive_max_pool(
                x[0],
                AdaptiveMaxPool { output: [2, 3] },
            )?])
        },
    ));
    cases.push(
        Case::new(
            "adaptive_max_pool2d/special",
            vec![drawn([2, 2, 7, 6], Draw::Special)],
            |g, x| {
                let pool = AdaptiveMaxPool { output: [3, 4] };
                let (y, index) = g.adaptive_max_pool_with_indices(x[0], pool)?;
                Ok(vec![y, index])
            },
        )
        .gradients(&[0], Bound::Sum { k: 4 }),
    );
    cases.push(
        Case::new(
            "adaptive_avg_pool2d/special",
            vec![drawn([2, 2, 7, 6], Draw::Special)],
            |g, x| {
                Ok(vec![g.adaptive_avg_pool(
                    x[0],
                    AdaptiveAvgPool { output: [3, 4] },
                )?])
            },
        )
        .bound(Bound::Sum { k: 12 })
        .inexact(),
    );
    cases
}

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

fn unpool() -> Vec<Case> {
    let overlapping = MaxPool {
        stride: [2, 2],
        padding: [1, 1],
        ..MaxPool::square(3)
    };
    let mut cases = vec![
        unpool_of_pool(&[2, 3, 8], MaxPool::<1>::square(2), None),
        unpool_of_pool(&[2, 3, 9], MaxPool::<1>::square(2), Some([9])),
        unpool_of_pool(&[2, 3, 11], MaxPool::<1>::square(4), Some([11])),
        unpool_of_pool(&[2, 3, 6, 8], MaxPool::<2>::square(2), None),
        unpool_of_pool(&[2, 2, 7, 5], MaxPool::<2>::square(2), Some([7, 5])),
        unpool_of_pool(&[1, 4, 9, 6], MaxPool::new([3, 2]), None),
        unpool_of_pool(&[2, 2, 7, 9], overlapping, None),
        unpool_of_pool(&[1, 2, 4, 4, 4], MaxPool::<3>::square(2), None),
        unpool_of_pool(&[2, 1, 5, 4, 3], MaxPool::new([2, 2, 1]), Some([5, 4, 3])),
        unpool_of_any(&[2, 3, 4], 8, MaxUnpool::new([2])),
        unpool_of_any(&[3, 2, 5], 3, MaxUnpool::new([2])),
        unpool_of_any(&[2, 3, 4, 3], 48, MaxUnpool::new([2, 2])),
        unpool_of_any(&[2, 3, 4, 3], 60, MaxUnpool::new([2, 2])),
        unpool_of_any(&[2, 2, 3, 3], u32::MAX, MaxUnpool::new([2, 1])),
        unpool_of_any(&[1, 2, 2, 3, 2], 96, MaxUnpool::new([2, 2, 2])),
        unpool_of_any(&[0, 2, 3], 6, MaxUnpool::new([2])),
    ];
    cases.push(Case::new(
        "max_unpool2d/special",
        vec![drawn([2, 2, 6, 6], Draw::Special)],
        |g, x| {
            let (y, index) = g.max_pool_with_indices(x[0], MaxPool2d::square(2))?;
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

pub fn pool() -> Vec<Case> {
    let mut cases = flat();
    cases.extend(spread::<1>());
    cases.extend(spread::<2>());
    cases.extend(spread::<3>());
    cases.extend(edges());
    cases.extend(norms());
    cases.extend(adaptive());
    cases.extend(unpool());
    cases
}
