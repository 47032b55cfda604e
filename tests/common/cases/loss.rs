//! Losses and counts of right answers.

use striate::check::{Bound, Case, real};
use striate::shape::Shape;

use super::{labels, words};

pub fn loss() -> Vec<Case> {
    let mut cases = Vec::new();
    let batches: [(usize, usize, &'static [u32]); 10] = [
        (1, 2, &[1]),
        (3, 2, &[3]),
        (5, 3, &[2]),
        (4, 7, &[0]),
        (2, 5, &[9]),
        (67, 10, &[67]),
        (257, 10, &[131]),
        (3, 64, &[3]),
        (5, 65, &[4]),
        (2, 1031, &[2]),
    ];
    for (rows, classes, valid) in batches {
        // exp and log as in softmax; the loss is at least 1/8 because all classes stay within 2 of each other.
        let bound = Bound::Norm((3.0 * classes as f64 + rows as f64 + 20.0) * 2f64.powi(-20));
        let inputs = |classes_drawn: u32| {
            vec![
                real([rows, classes]),
                labels(rows, classes_drawn),
                words(valid),
            ]
        };
        cases.push(
            Case::new(
                format!("softmax_cross_entropy/{rows}x{classes}/valid {}", valid[0]),
                inputs(classes as u32),
                |g, x| Ok(vec![g.softmax_cross_entropy(x[0], x[1], x[2])?]),
            )
            .inexact()
            .bound(bound)
            .gradients(&[0], bound),
        );
        let mut counted = inputs(classes as u32 + 1);
        counted.push(words(&[7, 4_294_967_290]));
        cases.push(Case::new(
            format!("count_correct/{rows}x{classes}/valid {}", valid[0]),
            counted,
            |g, x| Ok(vec![g.count_correct(x[0], x[1], x[2], x[3])?]),
        ));
    }
    for shape in [
        Shape::from([1]),
        [3].into(),
        [2, 3, 5, 7].into(),
        [257].into(),
        [3, 1031].into(),
        [0].into(),
        [].into(),
    ] {
        let k = shape.count();
        cases.push(
            Case::new(
                format!("mse_loss/{shape}"),
                vec![real(shape.clone()), real(shape)],
                |g, x| Ok(vec![g.mse_loss(x[0], x[1])?]),
            )
            .inexact()
            // Squares of differences: on absolute values those cancel, so relative to the sum itself.
            .bound(Bound::Norm((k as f64 + 8.0) * 2f64.powi(-24)))
            .gradients(&[0, 1], Bound::Norm(4.0 * 2f64.powi(-24))),
        );
    }
    cases
}
