//! Elements by index: chosen, summed, and the largest ones in order.

use striate::check::{Bound, Case, Draw, below, drawn, real};
use striate::shape::Shape;

use super::{whole_if, words};

pub fn index() -> Vec<Case> {
    let mut cases = chosen();
    cases.extend(ordered());
    cases
}

/// Shapes of x and of an index, and the axis: indices that go beyond x, and other extents below
/// those of x.
fn places() -> Vec<(Shape, Shape, usize)> {
    vec![
        ([5].into(), [9].into(), 0),
        ([4, 7].into(), [4, 3].into(), 1),
        ([4, 7].into(), [3, 7].into(), 0),
        ([0, 7].into(), [0, 3].into(), 1),
        ([2, 3, 5, 4].into(), [2, 6, 5, 4].into(), 1),
        ([3, 5, 2].into(), [3, 200, 2].into(), 1),
        ([3, 5, 17].into(), [3, 150, 17].into(), 1),
        ([67, 20].into(), [67, 9].into(), 1),
        ([5, 4, 3].into(), [3, 6, 2].into(), 1),
        ([1, 3].into(), [1, 1031].into(), 1),
        ([3, 2].into(), [70, 2].into(), 0),
        ([6, 3].into(), [6, 3].into(), 0),
        ([67, 20].into(), [40, 9].into(), 1),
        ([5, 4, 3].into(), [2, 6, 3].into(), 1),
        ([3, 4].into(), [3, 0].into(), 1),
        ([4, 5].into(), [0, 5].into(), 0),
        ([4, 5].into(), [0, 5].into(), 1),
        ([2, 30, 20].into(), [2, 90, 20].into(), 1),
    ]
}

fn chosen() -> Vec<Case> {
    let mut cases = Vec::new();
    for (x, index, axis) in places() {
        let (extent, columns) = (x[axis], index[axis]);
        let indices = || below(index.clone(), extent as u32 + 1);
        let whole = axis == 0 && x.count().max(index.count()) > 64;
        let case = Case::new(
            format!("gather/{x}, {index}/{axis}"),
            vec![real(x.clone()), indices()],
            move |g, v| Ok(vec![g.gather(v[0], axis, v[1])?]),
        );
        let sum = Bound::Sum { k: columns };
        let case = case.gradients(&[0], sum).linear();
        cases.push(whole_if(case, whole, "gather does not work on parts"));
        let case = Case::new(
            format!("scatter_add/{x}, {index}/{axis}"),
            vec![real(x.clone()), indices(), real(index.clone())],
            move |g, v| Ok(vec![g.scatter_add(v[0], axis, v[1], v[2])?]),
        );
        let case = case.bound(sum).gradients(&[0, 2], Bound::Exact);
        cases.push(whole_if(case, whole, "scatter_add does not work on parts"));
    }
    cases.push(Case::new(
        "gather/u32",
        vec![below([3, 5], u32::MAX), below([3, 8], 6)],
        |g, v| Ok(vec![g.gather(v[0], 1, v[1])?]),
    ));
    // What no index names makes no NaN.
    cases.push(
        Case::new(
            "gather/special",
            vec![drawn([3, 20], Draw::Special), below([3, 9], 21)],
            |g, v| Ok(vec![g.gather(v[0], 1, v[1])?]),
        )
        .gradients(&[0], Bound::Sum { k: 9 }),
    );
    cases.push(
        Case::new(
            "scatter_add/special",
            vec![
                real([3, 20]),
                below([3, 90], 21),
                drawn([3, 90], Draw::Special),
            ],
            |g, v| Ok(vec![g.scatter_add(v[0], 1, v[1], v[2])?]),
        )
        .bound(Bound::Sum { k: 90 })
        .gradients(&[0, 2], Bound::Exact),
    );
    // More elements than an invocation walks, and than 64 do.
    for (extent, shape) in [
        (20, Shape::from([1, 70_001, 16])),
        (3, [1, 64 * 70_001, 1].into()),
    ] {
        let (x, count) = (real([1, extent, shape[2]]), extent as u32);
        cases.push(
            Case::new(
                format!("scatter_add/long/{shape}"),
                vec![x, below(shape.clone(), count), real(shape)],
                |g, v| Ok(vec![g.scatter_add(v[0], 1, v[1], v[2])?]),
            )
            .bound(Bound::Norm(1e-5)),
        );
    }
    for (shape, classes) in [
        (Shape::from([]), 3),
        ([5].into(), 1),
        ([67].into(), 10),
        ([2, 3, 5].into(), 4),
        ([4].into(), 0),
    ] {
        cases.push(Case::new(
            format!("one_hot/{shape}/{classes}"),
            vec![below(shape, classes as u32 + 1)],
            move |g, v| Ok(vec![g.one_hot(v[0], classes)?]),
        ));
    }
    cases.push(Case::new(
        "one_hot/far",
        vec![words(&[0, 7, u32::MAX])],
        |g, v| Ok(vec![g.one_hot(v[0], 7)?]),
    ));
    cases
}

/// Lines walked alone and shared.
fn ordered() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes: [(Shape, usize, usize); 14] = [
        ([5].into(), 0, 2),
        ([1].into(), 0, 1),
        ([4, 7].into(), 0, 3),
        ([4, 7].into(), 1, 7),
        ([4, 7].into(), 1, 0),
        ([0, 7].into(), 1, 2),
        ([2, 3, 5, 4].into(), 2, 2),
        ([3, 129].into(), 1, 5),
        ([2, 200, 3].into(), 1, 4),
        ([2, 90, 17].into(), 1, 4),
        ([67, 130].into(), 1, 3),
        ([1, 300].into(), 1, 300),
        ([2, 90, 150].into(), 1, 2),
        ([1, 310, 260].into(), 1, 2),
    ];
    for (shape, axis, k) in shapes {
        let whole = axis == 0 && shape.count() > 64;
        for (kind, draw) in [("", Draw::Distinct), ("special/", Draw::Special)] {
            for (name, largest) in [("largest", true), ("smallest", false)] {
                let case = Case::new(
                    format!("topk/{kind}{shape}/{axis}/{k} {name}"),
                    vec![drawn(shape.clone(), draw)],
                    move |g, x| {
                        let (y, index) = g.topk(x[0], k, axis, largest)?;
                        Ok(vec![y, index])
                    },
                );
                let case = case.gradients(&[0], Bound::Exact);
                cases.push(whole_if(case, whole, "and topk does not work on parts"));
            }
        }
    }
    for shape in [Shape::from([1, 70_001, 16]), [1, 64 * 70_001, 1].into()] {
        cases.push(Case::new(
            format!("topk/long/{shape}"),
            vec![real(shape)],
            |g, x| {
                let (y, index) = g.topk(x[0], 2, 1, true)?;
                Ok(vec![y, index])
            },
        ));
    }
    cases
}
