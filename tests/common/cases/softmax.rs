//! Softmax and its logarithm.

use striate::check::{Bound, Case, Draw, Input, drawn, real};
use striate::shape::Shape;

pub fn softmax() -> Vec<Case> {
    let shapes: [(Shape, usize); 20] = [
        ([3, 1].into(), 1),
        ([1, 2].into(), 1),
        ([5].into(), 0),
        ([2, 3, 7].into(), 2),
        ([0, 4].into(), 1),
        ([131, 10].into(), 1),
        ([2, 64].into(), 1),
        ([3, 65].into(), 1),
        ([2, 1031].into(), 1),
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
        // dy - sum(dy * y) may cancel, to an eighth of its terms in these cases.
        let gradient = Bound::Norm((3.0 * n + 20.0) * 2f64.powi(-20));
        // exp is good to 3 + 2|x| ULP with |x| at most 2, a quotient to 2.5, the sum to n.
        let bound = Bound::Ulp(3.0 * n + 20.0);
        let plain = case("", real(shape.clone()), false).bound(bound);
        cases.push(match n {
            1.0 => plain,
            _ => plain.gradients(&[0], gradient),
        });
        // x - max is exact to 1 ULP, the logarithm to 6 and to the relative error of the sum, which is that of the exponentials
        // and n - 1 additions: relative to the largest, log(n) or more.
        let log = Bound::Norm((n + 32.0) * 2f64.powi(-24));
        let logarithm = case("", real(shape.clone()), true).bound(log);
        cases.push(match n {
            1.0 => logarithm,
            _ => logarithm.gradients(&[0], gradient),
        });
        if [[5].into(), [131, 10].into(), [2, 64].into(), [3, 65].into()].contains(&shape) {
            for logarithm in [false, true] {
                let special = case("/special", drawn(shape.clone(), Draw::Special), logarithm);
                cases.push(special.bound(if logarithm { log } else { bound }));
            }
            // Far apart: the small ones underflow, and their logarithms do not.
            let far = || drawn(shape.clone(), Draw::Between(-120.0, 120.0));
            // exp of at most 240 in magnitude.
            let relative = Bound::Ulp(3.0 * n + 1000.0);
            cases.push(case("/far", far(), false).bound(relative));
            cases.push(case("/far", far(), true).bound(log));
        }
    }
    cases
}
