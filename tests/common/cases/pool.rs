//! Pooling.

use striate::check::{Bound, Case, Draw, drawn, real};
use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{AvgPool2d, Indices, MaxPool2d, MaxPool2dForward};
use striate::tensor::Tensor;

/// Output and indices of the op that `Graph::max_pool2d` makes.
pub fn with_smallest_indices(g: &mut Graph, x: Value, pool: MaxPool2d) -> Result<Vec<Value>> {
    let y = g.max_pool2d(x, pool)?;
    let node = g.nodes().iter().find(|node| node.outputs[0] == y);
    Ok(node.expect("y was just made").outputs.clone())
}

pub fn pool() -> Vec<Case> {
    let mut cases = Vec::new();
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
    for (shape, kernel, stride, padding) in windows {
        let name = format!("{shape:?}/k{kernel:?}/s{stride:?}/p{padding:?}");
        let k = kernel[0] * kernel[1];
        let pool = MaxPool2d {
            kernel,
            stride,
            padding,
        };
        cases.push(
            Case::new(
                format!("max_pool2d/{name}"),
                vec![drawn(shape, Draw::Distinct)],
                move |g, x| with_smallest_indices(g, x[0], pool),
            )
            .gradients(&[0], Bound::Sum { k }),
        );
        cases.push(
            Case::new(
                format!("max_pool2d/plane/{name}"),
                vec![drawn(shape, Draw::Distinct)],
                move |g, x| {
                    let (y, index) = g.max_pool2d_with_indices(x[0], pool)?;
                    Ok(vec![y, index])
                },
            )
            .gradients(&[0], Bound::Sum { k }),
        );
        let values = MaxPool2dForward {
            pool,
            indices: Indices::None,
        };
        cases.push(Case::new(
            format!("max_pool2d/values/{name}"),
            vec![real(shape)],
            move |g, x| g.add(values, x),
        ));
        for count_include_pad in [true, false] {
            let pool = AvgPool2d {
                kernel,
                stride,
                padding,
                count_include_pad,
            };
            cases.push(
                Case::new(
                    format!("avg_pool2d/{name}/pad {count_include_pad}"),
                    vec![real(shape)],
                    move |g, x| Ok(vec![g.avg_pool2d(x[0], pool)?]),
                )
                .bound(Bound::Sum { k })
                .gradients(&[0], Bound::Sum { k })
                .inexact()
                .linear(),
            );
        }
    }
    // NaN wins, the last one over others; the first of equals wins, -inf too. Each index shows which.
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let special = vec![
        nan, inf, 1.0, nan, 2.0, 2.0, -inf, -inf, //
        3.0, 9.0, -nan, nan, 2.0, 2.0, -inf, -inf,
    ];
    for (stride, name) in [([2, 2], "2x2"), ([2, 1], "2x2 overlapping")] {
        let pool = MaxPool2d {
            kernel: [2, 2],
            stride,
            padding: [0, 0],
        };
        let special = special.clone();
        cases.push(Case::new(
            format!("max_pool2d/nan/{name}"),
            vec![],
            move |g, _| {
                let x = g.constant(Tensor::f32([1, 1, 2, 8], special.clone())?)?;
                let mut indices = with_smallest_indices(g, x, pool)?;
                indices.push(g.max_pool2d_with_indices(x, pool)?.1);
                Ok(indices.split_off(1))
            },
        ));
    }
    cases
}
