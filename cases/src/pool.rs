//! Pooling.

use striate::autodiff::gradients_from;
use striate::check::{Bound, Case, Draw, drawn, real};
use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{AvgPool, AvgPool2d, Indices, MaxPool, MaxPool1d, MaxPool2d, MaxPoolForward};
use striate::shape::Type;
use striate::tensor::Tensor;

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
pub(super) fn image<const D: usize>([n, c]: [usize; 2], extents: [usize; D]) -> Vec<usize> {
    [&[n, c], &extents[..]].concat()
}

pub(super) fn windows<const D: usize>(shape: &[usize], pool: &MaxPool<D>) -> String {
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
        move |g, x| g.apply(values, x),
    )
}

/// The gradient of a max pooling as an op of its own: linear in dy, with a gradient that gathers.
fn max_second<const D: usize>(shape: &[usize], pool: MaxPool<D>, plane: bool) -> Case {
    let k = pool.kernel.iter().product();
    let mut g = Graph::new();
    let x = g.input("x", Type::f32(shape));
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

/// Poolings spread over the grid of kernel, stride, padding, dilation and rounding, other ones
/// along each axis.
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
            ..MaxPool::new(2)
        };
        cases.push(max(&shape, pool));
        cases.push(max_in_plane(&shape, pool));
        cases.push(average(&shape, pool, true, None));
    }
    cases.push(max_second(&[2, 3, 8, 8], MaxPool2d::new(2), false));
    cases
}

/// Terms that one sum adds up in order at most where outputs are few: longer ones are cut.
pub(super) const CHAIN: usize = 2048;

/// Windows of more elements than llvmpipe takes turns, and elements under many windows.
fn long() -> Vec<Case> {
    let line = MaxPool1d {
        stride: [4],
        padding: [10],
        ..MaxPool::new([70_001])
    };
    let wide = MaxPool1d {
        dilation: [3],
        ..MaxPool::new([70_001])
    };
    let mut cases = vec![
        max_in_plane(&[1, 1, 70_009], line),
        max_values(&[1, 1, 70_009], line),
        max_in_plane(&[1, 1, 210_001], wide),
        max_in_plane(&[1, 1, 270, 265], MaxPool2d::new(265)),
        max_in_plane(&[1, 1, 42, 43, 42], MaxPool::<3>::new(42)),
        average(&[1, 1, 70_009], line, false, None),
        average(&[1, 1, 270, 265], MaxPool2d::new(265), true, Some(7)),
        average(&[1, 1, 42, 43, 42], MaxPool::<3>::new(42), true, None),
    ];
    for case in &mut cases {
        let (op, rest) = case.name.split_once('/').expect("the name has segments");
        case.name = format!("{op}/long/{rest}");
        if let Bound::Sum { .. } = case.bound {
            case.bound = Bound::Sum { k: CHAIN };
        }
        if let Bound::Sum { .. } = case.gradient_bound {
            case.gradient_bound = Bound::Sum { k: 16 };
        }
    }
    // Long where a device allows few turns, forward and back, with indices of both kinds.
    let steps = |kernel: [usize; 3]| MaxPool {
        stride: [1; 3],
        ..MaxPool::new(kernel)
    };
    let (line, flat) = (steps([1, 1, 301]), steps([1, 19, 20]));
    let solid = steps([6, 6, 7]);
    let hollow = MaxPool {
        dilation: [2, 1, 3],
        padding: [3, 3, 3],
        ..steps([6, 7, 8])
    };
    for (shape, pool) in [
        ([1, 1, 1, 1, 620], line),
        ([1, 2, 1, 38, 41], flat),
        ([1, 2, 11, 11, 16], solid),
        ([2, 1, 13, 9, 19], hollow),
    ] {
        cases.push(max(&shape, pool));
        cases.push(max_in_plane(&shape, pool));
        cases.push(max_values(&shape, pool));
        if pool.dilation == [1; 3] {
            cases.push(average(&shape, pool, true, None));
        }
    }
    let padded = MaxPool {
        padding: [0, 0, 3],
        ..line
    };
    cases.push(average(&[1, 1, 1, 1, 620], padded, false, None));
    // The first of equals and the last NaN win over pieces too.
    cases.push(
        Case::new(
            "max_pool1d/pieces/special",
            vec![drawn([2, 2, 1300], Draw::Special), real([1, 1, 900])],
            |g, x| {
                let pool = MaxPool1d {
                    stride: [1],
                    ..MaxPool::new([640])
                };
                let (y, index) = g.max_pool_with_indices(x[0], pool)?;
                // Few different numbers.
                let few = g.scale(x[1], 0.0)?;
                let (ties, first) = g.max_pool_with_indices(few, pool)?;
                Ok(vec![y, index, ties, first])
            },
        )
        .gradients(&[1], Bound::Sum { k: 300 }),
    );
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
        ..MaxPool::new(3)
    };
    let mut cases = vec![
        max(&[2, 2, 5, 4, 3], whole),
        average(&[2, 2, 5, 4, 3], whole, true, None),
        average(&[2, 2, 5, 4, 3], whole, false, None),
        max(&[3, 2, 5], beyond),
        average(&[3, 2, 5], beyond, true, None),
        max(&[1, 4, 4, 5], far),
        average(&[1, 4, 4, 5], far, true, None),
        max(&[0, 2, 3, 4, 5], MaxPool::<3>::new(2)),
        average(&[2, 0, 3, 4, 5], MaxPool::<3>::new(2), true, None),
        max(&[0, 2, 7], MaxPool::<1>::new(3)),
        average(&[1, 1, 1, 1, 1], MaxPool::<3>::new(1), true, None),
    ];
    // Rows small enough to be cut into parts, floats and bytes at different ones.
    let solid = MaxPool {
        stride: [1, 2, 1],
        ..MaxPool::new(2)
    };
    cases.extend([
        max(&[13, 2, 3, 4, 2], solid),
        max_in_plane(&[13, 2, 3, 4, 2], solid),
        max_second(&[13, 2, 3, 4, 2], solid, false),
        max_second(&[13, 2, 3, 4, 2], solid, true),
        average(&[13, 2, 3, 4, 2], solid, true, None),
    ]);
    // Windows of nothing but padding between their taps.
    let hollow = |c: usize| {
        let pool = MaxPool1d {
            padding: [1],
            dilation: [2],
            ..MaxPool::new(2)
        };
        Case::new(
            format!("max_pool1d/hollow/{c} channels"),
            vec![real([2, c, 1])],
            move |g, x| with_smallest_indices(g, x[0], pool),
        )
    };
    cases.extend([hollow(4), hollow(3)]);
    // NaN wins, the last one over others; the first of equals wins, -inf too. Each index shows
    // which.
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let special = vec![
        nan, inf, 1.0, nan, 2.0, 2.0, -inf, -inf, //
        3.0, 9.0, -nan, nan, 2.0, 2.0, -inf, -inf,
    ];
    for (stride, name) in [([2, 2], "2x2"), ([2, 1], "2x2 overlapping")] {
        let pool = MaxPool2d {
            stride,
            ..MaxPool::new(2)
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
        ("2x2", MaxPool::new(2)),
        (
            "3x3",
            MaxPool {
                stride: [2, 1],
                padding: [1, 1],
                ..MaxPool::new(3)
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
        cases.push(max(&[2, 2, 8, 7], pool).special_dy());
        cases.push(max_in_plane(&[2, 2, 8, 7], pool).special_dy());
        cases.push(average(&[2, 2, 8, 7], pool, false, None).special_dy());
    }
    cases
}

pub(super) fn pool() -> Vec<Case> {
    let mut cases = flat();
    // Large enough to lie in parts.
    cases.push(average(&[5, 4, 9], MaxPool::new([3]), true, None));
    cases.extend(spread::<1>());
    cases.extend(spread::<2>());
    cases.extend(spread::<3>());
    cases.extend(edges());
    cases.extend(long());
    cases
}
