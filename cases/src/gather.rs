//! Gathering of rows.

use striate::check::{Bound, Case, Draw, Input, below, drawn};
use striate::shape::{Shape, Type};

use super::words;

pub fn gather() -> Vec<Case> {
    let mut cases = Vec::new();
    let rows: [(Shape, usize, &'static [u32]); 10] = [
        ([1].into(), 1, &[1]),
        ([5].into(), 7, &[6]),
        ([7, 3].into(), 5, &[5]),
        ([7, 2, 2, 3].into(), 5, &[3]),
        ([31, 1, 28, 28].into(), 3, &[2]),
        ([31, 3, 5, 7].into(), 67, &[131]),
        ([3000, 3].into(), 700, &[650]),
        ([2000, 8].into(), 301, &[301]),
        ([3, 4].into(), 2, &[0]),
        ([3, 0].into(), 2, &[2]),
    ];
    for (shape, batch, valid) in rows {
        let name = format!("gather_rows/{batch} of {shape}/valid {}", valid[0]);
        let inputs = vec![
            Input {
                ty: Type::u8(shape.clone()),
                draw: Draw::Bytes,
            },
            // One beyond the last row is drawn too.
            below([batch], shape[0] as u32 + 1),
            words(valid),
        ];
        cases.push(
            Case::new(format!("{name}/normalised"), inputs.clone(), |g, x| {
                let (scale, shift) = (1.0 / (255.0 * 0.3081), -0.1307 / 0.3081);
                Ok(vec![g.gather_rows(x[0], x[1], x[2], scale, shift)?])
            })
            .inexact()
            // A product and a sum, each of at most about the largest magnitude.
            .bound(Bound::Norm(4.0 * 2f64.powi(-24))),
        );
        cases.push(Case::new(name, inputs, |g, x| {
            Ok(vec![g.gather_rows(x[0], x[1], x[2], 2.0, -3.0)?])
        }));
    }
    let numbers: [(Shape, usize, &'static [u32]); 4] = [
        ([5].into(), 7, &[6]),
        ([7, 3].into(), 5, &[5]),
        ([31, 2, 5, 7].into(), 67, &[131]),
        ([3000, 4].into(), 700, &[650]),
    ];
    for (shape, batch, valid) in numbers {
        cases.push(
            Case::new(
                format!("gather_rows/{batch} of f32 {shape}/valid {}", valid[0]),
                vec![
                    drawn(shape.clone(), Draw::Between(-100.0, 100.0)),
                    below([batch], shape[0] as u32 + 1),
                    words(valid),
                ],
                |g, x| Ok(vec![g.gather_rows(x[0], x[1], x[2], 2.0, -3.0)?]),
            )
            .inexact()
            // As that of normalised bytes.
            .bound(Bound::Norm(4.0 * 2f64.powi(-24))),
        );
    }
    for (n, batch, valid) in [
        (1, 1, &[1]),
        (5, 7, &[6]),
        (257, 67, &[131]),
        (1000, 700, &[650]),
        (9, 4, &[0]),
    ] {
        cases.push(Case::new(
            format!("gather_labels/{batch} of {n}/valid {}", valid[0]),
            vec![
                below([n], u32::MAX),
                below([batch], n as u32 + 1),
                words(valid),
            ],
            |g, x| Ok(vec![g.gather_labels(x[0], x[1], x[2])?]),
        ));
    }
    cases
}
