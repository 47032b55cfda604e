//! Dropout, shuffles, clocks.

use striate::check::{Bound, Case, real};
use striate::ops::Batches;
use striate::shape::Shape;

use super::words;

/// How often an element walks along its cycle is known when it is done: such a batch is not cut.
const WALKS: &str = "an invocation of kernel shuffled_batch takes";

pub fn random() -> Vec<Case> {
    const CLOCK: &[u32] = &[0xffff_fff1, 0x1234_5678, 41, 0];
    let mut cases = Vec::new();
    for (shape, p) in [
        (Shape::from([1]), 0.5),
        ([7].into(), 0.0),
        ([3, 5, 7].into(), 0.25),
        ([2, 3, 4, 5].into(), 0.1),
        ([1031].into(), 0.75),
        ([0, 3].into(), 0.5),
    ] {
        let case = Case::new(
            format!("dropout/{shape}/p {p}"),
            vec![real(shape), words(CLOCK)],
            move |g, x| Ok(vec![g.dropout(x[0], p, x[1])?]),
        );
        // 1 / (1 - p) rounded to f32, and a product.
        let case = case.bound(Bound::Ulp(2.0)).gradients(&[0], Bound::Ulp(2.0));
        cases.push(match (1.0f32 / (1.0 - p)).fract() == 0.0 {
            true => case.linear(),
            false => case.linear().inexact(),
        });
    }
    for shape in [
        Shape::from([1, 1, 1, 1]),
        [2, 3, 5].into(),
        [3, 7, 5, 3].into(),
        [5, 13, 4, 4].into(),
    ] {
        cases.push(
            Case::new(
                format!("dropout2d/{shape}"),
                vec![real(shape), words(CLOCK)],
                |g, x| Ok(vec![g.dropout2d(x[0], 0.5, x[1])?]),
            )
            .bound(Bound::Ulp(1.0))
            .gradients(&[0], Bound::Ulp(1.0))
            .linear(),
        );
    }
    // What is dropped is multiplied by 0.
    for p in [0.0, 0.25, 0.75] {
        let case = Case::new(
            format!("dropout/[2, 59]/p {p}"),
            vec![real([2, 59]), words(CLOCK)],
            move |g, x| Ok(vec![g.dropout(x[0], p, x[1])?]),
        );
        let case = case.bound(Bound::Ulp(2.0)).gradients(&[0], Bound::Ulp(2.0));
        cases.push(case.inexact().special(0).special_dy());
    }
    let case = Case::new(
        "dropout2d/[5, 13, 2, 3]",
        vec![real([5, 13, 2, 3]), words(CLOCK)],
        |g, x| Ok(vec![g.dropout2d(x[0], 0.5, x[1])?]),
    );
    let case = case.bound(Bound::Ulp(1.0)).gradients(&[0], Bound::Ulp(1.0));
    cases.push(case.special(0).special_dy());
    let batches: [(usize, usize, &'static [u32]); 8] = [
        (1, 1, &[1, 2, 3, 0]),
        (5, 3, &[1, 2, 0, 0]),
        (5, 3, &[1, 2, 1, 0]),
        (17, 32, &[9, 0, 4, 0]),
        (1000, 129, &[9, 7, 6, 0]),
        (1000, 129, &[9, 7, 7, 0]),
        (60_000, 67, &[u32::MAX, u32::MAX, u32::MAX, 0]),
        ((1 << 31) - 1, 65, &[5, 6, 1_000_000, 0]),
    ];
    for (count, batch, clock) in batches {
        for shuffle in [false, true] {
            let case = Case::new(
                format!(
                    "shuffled_batch/{batch} of {count}/step {}/{shuffle}",
                    clock[2]
                ),
                vec![words(clock)],
                move |g, x| {
                    let (indices, valid) = g.shuffled_batch(x[0], count, batch, shuffle)?;
                    Ok(vec![indices, valid])
                },
            );
            cases.push(match shuffle {
                true => case.uncut(WALKS),
                false => case,
            });
        }
    }
    // Rows, of batches, and the step: full ones, the last of an epoch, and beyond the end of the
    // data.
    let rows: [(usize, usize, usize, bool, &'static [u32]); 7] = [
        (65, 64, 64, false, &[1, 2, 0, 0]),
        (65, 64, 1, false, &[1, 2, 1, 0]),
        (65, 64, 64, false, &[1, 2, 1, 0]),
        (1000, 129, 97, false, &[9, 7, 15, 0]),
        (1000, 129, 129, true, &[9, 7, 13, 0]),
        (1000, 129, 129, true, &[9, 7, 14, 0]),
        (3, 8, 3, false, &[5, 6, 7, 0]),
    ];
    for (count, batch, rows, drop_last, clock) in rows {
        for shuffle in [false, true] {
            let batches = Batches {
                count,
                batch,
                shuffle,
                drop_last,
            };
            let name = format!("batch_rows/{rows} of {batch} of {count}");
            let case = Case::new(
                format!("{name}/step {}/{shuffle}", clock[2]),
                vec![words(clock)],
                move |g, x| Ok(vec![g.batch_rows(x[0], batches, rows)?.0]),
            );
            cases.push(match shuffle {
                // Three rows are few enough to be walked whole.
                true if count > 3 => case.uncut(WALKS),
                _ => case,
            });
        }
    }
    for clock in [&[1, 2, 3, 4], &[u32::MAX; 4]] {
        cases.push(Case::new(
            format!("advance/{}", clock[2]),
            vec![words(clock)],
            |g, x| Ok(vec![g.advance(x[0])?]),
        ));
    }
    cases
}
