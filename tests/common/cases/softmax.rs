//! Softmax.

use striate::check::{Bound, Case, real};
use striate::shape::Shape;

pub fn softmax() -> Vec<Case> {
    let shapes: [Shape; 9] = [
        [3, 1].into(),
        [1, 2].into(),
        [5].into(),
        [2, 3, 7].into(),
        [0, 4].into(),
        [131, 10].into(),
        [2, 64].into(),
        [3, 65].into(),
        [2, 1031].into(),
    ];
    shapes
        .into_iter()
        .map(|shape| {
            let n = *shape.last().unwrap_or(&1) as f64;
            let case = Case::new(format!("softmax/{shape}"), vec![real(shape)], |g, x| {
                Ok(vec![g.softmax(x[0])?])
            })
            .inexact()
            // exp is good to 3 + 2|x| ULP with |x| at most 2, a quotient to 2.5, the sum to n.
            .bound(Bound::Ulp(3.0 * n + 20.0));
            match n {
                1.0 => case,
                // dy - sum(dy * y) may cancel, to an eighth of its terms in these cases.
                _ => case.gradients(&[0], Bound::Norm((3.0 * n + 20.0) * 2f64.powi(-20))),
            }
        })
        .collect()
}
