//! Softmax and its logarithm.

use striate::check::{Bound, Case, Draw, Input, drawn, real};
use striate::shape::Shape;

use super::whole_if;

pub fn softmax() -> Vec<Case> {
    let shapes: [(Shape, usize); 22] = [
        ([3, 1].into(), 1),
        ([1, 2].into(), 1),
        ([5].into(), 0),
        ([2, 3, 7].into(), 2),
        ([0, 4].into(), 1),
        ([131, 10].into(), 1),
        ([2, 64].into(), 1),
        ([3, 65].into(), 1),
        ([2, 1031].into(), 1),
        // Rows of quads: some in parts, some longer than a workgroup.
        ([131, 12].into(), 1),
        ([3, 300].into(), 1),
        // Rows that are columns: of channels, of the batch, with neighbours and without.
        ([7, 3].into(), 0),
        ([2, 3, 7].into(), 0),
        ([2, 3, 7].into(), 1),
        ([2, 5, 3, 4].into(), 1),
        ([2, 5, 3, 4].into(), 2),
        ([2, 0, 3].into(), 1),
        ([2, 3, 0].into(), 1),
        ([23, 4, 3].into(), 1),
        ([2, 70, 3].into(), 1),
        ([2, 67, 17].into(), 1),
        ([66, 2].into(), 0),
    ];
    let mut cases = Vec::new();
    for (shape, axis) in shapes {
        let n = shape[axis] as f64;
        let case = |kind: &str, input: Input, logarithm: bool| {
            let name = if logarithm { "log_softmax" } else { "softmax" };
            let build = move |g: &mut striate::graph::Graph, x: &[_]| match logarithm {
                true => Ok(vec![g.log_softmax(x[0], axis)?]),
                false => Ok(vec![g.softmax(x[0], axis)?]),
            };
            Case::new(
                format!("{name}/{shape}/axis {axis}{kind}"),
                vec![input],
                build,
            )
            .inexact()
        };
        // In units of 2^-24: y is off by n + 32, sum(dy * y), at most the half of its terms, by n
        // more than that; short rows of dy - sum(dy * y) may cancel, to an eighth of the terms in
        // these cases.
        let cancelled = (16.0 / n.max(1.0)).max(2.0);
        let gradient = Bound::Norm((2.0 * n + 50.0) * cancelled * 2f64.powi(-24));
        // exp is good to 3 + 2|x| ULP with |x| at most 2, 14 units, and so is the sum, plus n; a
        // reciprocal to 2.5 ULP and its product to half a unit. In short rows not all of this comes
        // together: n exponentials of 3.
        let bound = Bound::Ulp((n + 32.0).min(3.0 * n + 8.0));
        // Rows along axis 0 lie in one part.
        let whole = axis == 0 && shape.count() > 64;
        let plain = case("", real(shape.clone()), false).bound(bound);
        let plain = whole_if(plain, whole, "and softmax does not work on parts");
        cases.push(match n {
            1.0 => plain,
            _ => plain.gradients(&[0], gradient),
        });
        // x - max is exact to 1 ULP, the logarithm to 2 and to the relative error of the sum, which
        // is that of the exponentials and n - 1 additions: relative to the largest, log(n) or more.
        let log = Bound::Norm((n + 32.0) * 2f64.powi(-24));
        let logarithm = case("", real(shape.clone()), true).bound(log);
        let logarithm = whole_if(logarithm, whole, "and log_softmax does not work on parts");
        cases.push(match n {
            1.0 => logarithm,
            _ => logarithm.gradients(&[0], gradient),
        });
        if [
            [5].into(),
            [131, 10].into(),
            [2, 64].into(),
            [3, 65].into(),
            [3, 300].into(),
        ]
        .contains(&shape)
        {
            for logarithm in [false, true] {
                let special = case("/special", drawn(shape.clone(), Draw::Special), logarithm);
                let special = special.bound(if logarithm { log } else { bound });
                cases.push(special.gradients(&[0], gradient));
            }
            // Far apart: the small ones underflow, and their logarithms do not.
            let far = || drawn(shape.clone(), Draw::Between(-120.0, 120.0));
            // exp of at most 87.3 in magnitude, 0 beyond.
            let relative = Bound::Ulp(n + 2.0 * (3.0 + 2.0 * 87.3) + 20.0);
            cases.push(case("/far", far(), false).bound(relative));
            cases.push(case("/far", far(), true).bound(log));
        }
    }
    cases
}
