//! Element by element, with broadcasting.

use striate::check::{Bound, Case, Draw, drawn, real};
use striate::ops::{Binary, BinaryFunction};
use striate::shape::Shape;

pub fn elementwise() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in [
        Shape::from([1]),
        [7].into(),
        [2, 3, 5, 4].into(),
        [257].into(),
        [0, 3].into(),
    ] {
        cases.push(
            Case::new(
                format!("relu/{shape}"),
                vec![drawn(shape.clone(), Draw::AwayFromZero)],
                |g, x| Ok(vec![g.relu(x[0])?]),
            )
            .gradients(&[0], Bound::Exact),
        );
        cases.push(
            Case::new(format!("scale/{shape}"), vec![real(shape)], |g, x| {
                Ok(vec![g.scale(x[0], 3.0)?])
            })
            .bound(Bound::Ulp(1.0))
            .gradients(&[0], Bound::Ulp(1.0))
            .linear(),
        );
    }
    let pairs: [(Shape, Shape); 8] = [
        ([5].into(), [5].into()),
        ([2, 3, 4, 5].into(), [2, 3, 4, 5].into()),
        ([2, 3, 4, 5].into(), [3, 1, 1].into()),
        ([4, 7].into(), [7].into()),
        ([4, 1, 3].into(), [5, 1].into()),
        ([2, 1, 3, 1, 2].into(), [1, 4, 1, 3, 1].into()),
        ([].into(), [3, 2].into()),
        ([1].into(), [1].into()),
    ];
    for (a, b) in pairs {
        let k = a.count().max(b.count()).max(60);
        let inputs = || vec![real(a.clone()), real(b.clone())];
        let bound = Bound::Sum { k };
        cases.push(
            Case::new(format!("add/{a}+{b}"), inputs(), |g, x| {
                Ok(vec![g.add_values(x[0], x[1])?])
            })
            .bound(Bound::Ulp(1.0))
            .gradients(&[0, 1], bound),
        );
        cases.push(
            Case::new(format!("sub/{a}-{b}"), inputs(), |g, x| {
                Ok(vec![g.sub(x[0], x[1])?])
            })
            .bound(Bound::Ulp(1.0))
            .gradients(&[0, 1], bound),
        );
        cases.push(
            Case::new(format!("mul/{a}*{b}"), inputs(), |g, x| {
                Ok(vec![g.mul(x[0], x[1])?])
            })
            .bound(Bound::Ulp(1.0))
            .gradients(&[0, 1], bound)
            .linear(),
        );
    }
    for (a, b) in [([3, 5], [3, 5]), ([3, 5], [1, 5])] {
        let (a, b) = (Shape::from(a), Shape::from(b));
        cases.push(
            Case::new(
                format!("relu_mask/{a}?{b}"),
                vec![drawn(a, Draw::AwayFromZero), real(b)],
                |g, x| Ok(vec![g.add1(Binary(BinaryFunction::ReluMask), x)?]),
            )
            .gradients(&[1], Bound::Sum { k: 15 })
            .linear(),
        );
    }
    for shape in [Shape::from([]), [3, 7].into(), [0].into()] {
        cases.push(Case::new(format!("fill/{shape}"), vec![], move |g, _| {
            Ok(vec![g.fill(shape.clone(), 0.1)?])
        }));
    }
    cases
}
