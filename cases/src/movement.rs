//! Data movement.

use striate::check::{Bound, Case, below, real};
use striate::shape::Shape;

pub fn movement() -> Vec<Case> {
    let mut cases = Vec::new();
    let orders: [(Shape, &'static [usize]); 25] = [
        ([1].into(), &[0]),
        ([1, 5].into(), &[1, 0]),
        ([3, 5].into(), &[1, 0]),
        ([0, 5].into(), &[1, 0]),
        ([67, 31].into(), &[1, 0]),
        ([4, 8].into(), &[1, 0]),
        ([36, 52].into(), &[1, 0]),
        ([4, 7].into(), &[1, 0]),
        ([7, 4].into(), &[1, 0]),
        ([2, 3, 5, 7].into(), &[0, 2, 3, 1]),
        ([2, 4, 2, 6].into(), &[0, 2, 3, 1]),
        ([2, 3, 5, 4].into(), &[0, 2, 1, 3]),
        ([3, 2, 5, 3].into(), &[1, 0, 2, 3]),
        ([4, 3, 8].into(), &[2, 1, 0]),
        ([2, 3, 2, 3, 2, 5].into(), &[5, 4, 3, 2, 1, 0]),
        ([4, 3, 2, 3, 2, 8].into(), &[5, 4, 3, 2, 1, 0]),
        ([2, 3, 2, 1, 3, 2, 4].into(), &[4, 2, 1, 3, 5, 0, 6]),
        ([2, 3, 2, 2, 3, 2, 2].into(), &[6, 5, 4, 3, 2, 1, 0]),
        ([29, 3, 4].into(), &[0, 2, 1]),
        ([29, 4, 8].into(), &[0, 2, 1]),
        ([29, 5, 3].into(), &[2, 0, 1]),
        ([29, 5, 3].into(), &[1, 2, 0]),
        ([16, 24].into(), &[1, 0]),
        ([3, 40, 4].into(), &[1, 0, 2]),
        ([1, 37, 5].into(), &[2, 1, 0]),
    ];
    for (shape, axes) in orders {
        cases.push(
            Case::new(
                format!("permute/{shape}/{axes:?}"),
                vec![real(shape)],
                |g, x| Ok(vec![g.permute(x[0], axes)?]),
            )
            .gradients(&[0], Bound::Exact)
            .linear(),
        );
    }
    let expanded: [(Shape, Shape); 13] = [
        ([].into(), [3].into()),
        ([1, 5].into(), [3, 5].into()),
        ([5, 1].into(), [5, 4].into()),
        ([8].into(), [3, 2, 8].into()),
        ([2, 3, 1, 1].into(), [2, 3, 5, 7].into()),
        ([3, 1, 4, 1].into(), [2, 3, 4, 4, 4].into()),
        ([2, 1].into(), [2, 0].into()),
        ([40, 1].into(), [40, 3].into()),
        ([1, 3].into(), [50, 3].into()),
        ([33, 2].into(), [3, 33, 2].into()),
        ([1, 7].into(), [4, 30, 7].into()),
        ([1].into(), [70].into()),
        ([17, 4, 1].into(), [17, 4, 4].into()),
    ];
    for (from, to) in expanded {
        let k = to.count();
        cases.push(
            Case::new(
                format!("expand/{from}->{to}"),
                vec![real(from)],
                move |g, x| Ok(vec![g.expand(x[0], to.clone())?]),
            )
            .gradients(&[0], Bound::Sum { k })
            .linear(),
        );
    }
    let reshaped: [(Shape, Shape); 5] = [
        ([5, 7, 2].into(), [70].into()),
        ([6].into(), [1, 2, 3].into()),
        ([].into(), [1, 1].into()),
        ([3, 0].into(), [0, 7].into()),
        // In parts of other rows.
        ([50, 3].into(), [2, 75].into()),
    ];
    for (from, to) in reshaped {
        cases.push(
            Case::new(
                format!("reshape/{from}->{to}"),
                vec![real(from)],
                move |g, x| Ok(vec![g.reshape(x[0], to.clone())?]),
            )
            .gradients(&[0], Bound::Exact)
            .linear(),
        );
    }
    cases.push(
        Case::new("flatten/[3, 4, 5]/1", vec![real([3, 4, 5])], |g, x| {
            Ok(vec![g.flatten(x[0], 1)?])
        })
        .gradients(&[0], Bound::Exact)
        .linear(),
    );
    cases.push(
        Case::new("transpose/[5, 13]", vec![real([5, 13])], |g, x| {
            Ok(vec![g.transpose(x[0])?])
        })
        .gradients(&[0], Bound::Exact)
        .linear(),
    );
    cases.push(Case::new(
        "transpose/u32",
        vec![below([5, 3], u32::MAX)],
        |g, x| Ok(vec![g.transpose(x[0])?]),
    ));
    cases
}
