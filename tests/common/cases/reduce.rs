//! Sums and means over axes.

use striate::check::{Bound, Case, Draw, drawn, real};
use striate::shape::Shape;

pub fn reduce() -> Vec<Case> {
    let mut cases = Vec::new();
    let sums: [(Shape, &'static [usize]); 38] = [
        ([1].into(), &[0]),
        ([].into(), &[]),
        ([5].into(), &[0]),
        ([5, 3].into(), &[]),
        ([0, 3].into(), &[0]),
        ([3, 0].into(), &[0]),
        ([257].into(), &[0]),
        ([4, 7].into(), &[1]),
        ([7, 8].into(), &[1]),
        ([7, 8].into(), &[0]),
        ([7, 5].into(), &[0]),
        ([67, 3].into(), &[0, 1]),
        ([2, 3, 5, 4].into(), &[0, 2, 3]),
        ([2, 3, 4, 5].into(), &[1]),
        ([2, 3, 4, 5].into(), &[1, 3]),
        ([1, 7, 1, 5].into(), &[0, 2]),
        ([2, 3, 1, 2, 5, 3].into(), &[0, 3, 5]),
        ([3, 2, 2, 3, 2, 4].into(), &[1, 3, 5]),
        ([2, 3, 2, 2, 3, 4].into(), &[0, 2, 4]),
        ([1031].into(), &[0]),
        ([40_004].into(), &[0]),
        ([2, 401].into(), &[1]),
        ([509, 3].into(), &[0]),
        ([1025, 12].into(), &[0]),
        ([17, 6, 11, 4].into(), &[0, 2, 3]),
        ([19, 5, 7, 7].into(), &[0, 2, 3]),
        ([9, 40].into(), &[0]),
        ([9, 37].into(), &[0]),
        ([3, 5, 4, 12].into(), &[1, 3]),
        ([70, 3, 4].into(), &[0]),
        ([70, 3, 5].into(), &[0, 1]),
        ([70, 3, 5].into(), &[0, 2]),
        ([3, 70, 2].into(), &[0]),
        ([5, 70, 1].into(), &[0, 2]),
        ([3, 30, 5, 2].into(), &[0, 2]),
        ([2, 3, 2, 3, 2, 3, 2].into(), &[0, 2, 4, 6]),
        ([2, 3, 2, 3, 2, 3, 2].into(), &[1, 3, 5]),
        ([2, 3, 2, 2, 3, 2, 2, 4].into(), &[0, 2, 4, 6]),
    ];
    for (shape, axes) in sums {
        let k: usize = axes.iter().map(|&axis| shape[axis]).product();
        cases.push(
            Case::new(
                format!("sum/{shape}/{axes:?}"),
                vec![real(shape)],
                |g, x| Ok(vec![g.sum(x[0], axes, false)?]),
            )
            .bound(Bound::Sum { k })
            .gradients(&[0], Bound::Ulp(1.0))
            .linear(),
        );
    }
    for (shape, axes) in [
        (Shape::from([6, 5]), &[1][..]),
        ([90, 7].into(), &[0]),
        ([4, 3, 7, 7].into(), &[2, 3]),
        ([600].into(), &[0]),
    ] {
        let k: usize = axes.iter().map(|&axis| shape[axis]).product();
        cases.push(
            Case::new(
                format!("mean/{shape}/{axes:?}"),
                vec![real(shape)],
                move |g, x| Ok(vec![g.mean(x[0], axes, true)?]),
            )
            .inexact()
            .bound(Bound::Sum { k })
            .gradients(&[0], Bound::Ulp(1.0))
            .linear(),
        );
    }
    cases.push(
        Case::new(
            "sum/special",
            vec![drawn([11, 9], Draw::Special)],
            |g, x| Ok(vec![g.sum(x[0], &[0], false)?, g.sum(x[0], &[1], false)?]),
        )
        .bound(Bound::Sum { k: 11 }),
    );
    cases
}
