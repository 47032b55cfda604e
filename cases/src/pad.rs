//! Padding in all modes.

use striate::check::{Bound, Case, Draw, drawn, real};
use striate::shape::{PaddingMode, Shape};

use super::pool::CHAIN;
use super::whole_if;

pub fn pad() -> Vec<Case> {
    let mut cases = Vec::new();
    let constant: [(Shape, &'static [isize]); 20] = [
        ([5].into(), &[2, 1]),
        ([5].into(), &[0, 0]),
        ([5].into(), &[-2, -1]),
        ([5].into(), &[-2, 3]),
        ([5].into(), &[-5, 2]),
        ([3, 4].into(), &[1, 0]),
        ([3, 4].into(), &[4, 4]),
        ([3, 4].into(), &[0, 0, 2, 1]),
        ([2, 3, 5, 4].into(), &[1, 1, 1, 1]),
        ([2, 3, 5, 4].into(), &[4, 0, 0, 2]),
        ([2, 3, 5, 6].into(), &[1, 2, 3, 0]),
        ([2, 3, 5, 6].into(), &[-1, 2, 3, -2]),
        ([2, 3, 2, 3, 4].into(), &[1, 0, 0, 1, 2, 2]),
        ([2, 3, 4, 3].into(), &[0, 0, 0, 0, 1, 2]),
        ([2, 3, 2, 3].into(), &[1, 1, 1, 1, 1, 1, 1, 1]),
        ([30, 5].into(), &[1, 1, 3, 4]),
        ([30, 5].into(), &[0, 0, -7, -8]),
        ([0, 5].into(), &[1, 1, 2, 1]),
        (
            [2, 2, 2, 2, 2, 2, 2].into(),
            &[1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0],
        ),
        ([1, 1, 29, 31].into(), &[3, 5, 7, 2]),
    ];
    for (shape, padding) in constant {
        let name = format!("{shape}/{padding:?}");
        let x = real(shape);
        cases.push(
            Case::new(format!("pad/zeros/{name}"), vec![x.clone()], |g, x| {
                Ok(vec![g.pad(x[0], padding, PaddingMode::Zeros)?])
            })
            .gradients(&[0], Bound::Exact)
            .linear(),
        );
        cases.push(
            Case::new(format!("pad/constant/{name}"), vec![x], |g, x| {
                Ok(vec![g.pad_constant(x[0], padding, -1.5)?])
            })
            .gradients(&[0], Bound::Exact),
        );
    }
    let repeating: [(Shape, &'static [isize]); 14] = [
        ([5].into(), &[2, 1]),
        ([5].into(), &[4, 4]),
        ([2, 7].into(), &[0, 3]),
        ([2, 3, 5].into(), &[3, 2]),
        ([2, 3, 8].into(), &[4, 4]),
        ([2, 3, 4, 5].into(), &[1, 1, 1, 1]),
        ([2, 3, 4, 5].into(), &[4, 0, 0, 3]),
        ([2, 3, 6, 2].into(), &[1, 1, 5, 2]),
        ([1, 2, 4, 3, 5].into(), &[1, 2, 2, 1, 3, 0]),
        ([2, 2, 2, 2, 2].into(), &[1, 1, 1, 1, 1, 1]),
        ([3, 4, 5].into(), &[0, 0, 2, 1]),
        ([4, 3, 5].into(), &[0, 0, 0, 0, 1, 3]),
        ([33, 5].into(), &[2, 3]),
        ([0, 3, 4, 4].into(), &[1, 1, 2, 2]),
    ];
    for (shape, padding) in repeating {
        // At most this many places hold one element.
        let k = 3usize.pow(padding.len() as u32 / 2).max(30);
        for mode in [
            PaddingMode::Reflect,
            PaddingMode::Replicate,
            PaddingMode::Circular,
        ] {
            let case = Case::new(
                format!("pad/{mode:?}/{shape}/{padding:?}"),
                vec![real(shape.clone())],
                move |g, x| Ok(vec![g.pad(x[0], padding, mode)?]),
            );
            // Padding of axis 0 repeats its own rows.
            let rows = padding.len() == 2 * shape.len() && shape.count() > 32;
            let case = whole_if(case, rows, "and pad does not work on parts");
            cases.push(case.gradients(&[0], Bound::Sum { k }).linear());
        }
    }
    // As much as each mode takes.
    for (mode, padding, name) in [
        (PaddingMode::Replicate, &[9, 13, 6, 0][..], "far"),
        (PaddingMode::Circular, &[4, 4, 3, 3], "whole"),
        (PaddingMode::Reflect, &[3, 3, 2, 2], "whole"),
    ] {
        let k = 300;
        cases.push(
            Case::new(
                format!("pad/{mode:?}/{name}"),
                vec![real([2, 3, 4])],
                move |g, x| Ok(vec![g.pad(x[0], padding, mode)?]),
            )
            .gradients(&[0], Bound::Sum { k })
            .linear(),
        );
    }
    // Elements that stand at more places than llvmpipe takes turns. Few sums are cut into short
    // ones.
    let long: [(Shape, &'static [isize]); 4] = [
        ([1].into(), &[40_000, 30_001]),
        ([1, 1, 1, 1].into(), &[150, 149, 149, 150]),
        ([1, 1, 1, 1, 1].into(), &[20, 21, 21, 20, 20, 21]),
        ([1, 2, 1, 3].into(), &[300, 2, 1, 300]),
    ];
    for (shape, padding) in long {
        let case = Case::new(
            format!("pad/long/Replicate/{shape}/{padding:?}"),
            vec![real(shape.clone())],
            |g, x| Ok(vec![g.pad(x[0], padding, PaddingMode::Replicate)?]),
        );
        let rows = padding.len() == 2 * shape.len();
        let case = whole_if(case, rows, "and pad does not work on parts");
        cases.push(case.gradients(&[0], Bound::Sum { k: CHAIN }).linear());
    }
    let special = || vec![drawn([4, 5, 7], Draw::Special)];
    for mode in [
        PaddingMode::Zeros,
        PaddingMode::Reflect,
        PaddingMode::Replicate,
        PaddingMode::Circular,
    ] {
        cases.push(
            Case::new(format!("pad/{mode:?}/special"), special(), move |g, x| {
                Ok(vec![g.pad(x[0], &[2, 1, 3, 0], mode)?])
            })
            .gradients(&[0], Bound::Sum { k: 9 }),
        );
        let case = Case::new(
            format!("pad/{mode:?}/[4, 5, 7]"),
            vec![real([4, 5, 7])],
            move |g, x| Ok(vec![g.pad(x[0], &[2, 1, 3, 0], mode)?]),
        );
        cases.push(case.gradients(&[0], Bound::Sum { k: 9 }).special_dy());
    }
    cases.push(Case::new("pad/constant/infinite", special(), |g, x| {
        Ok(vec![g.pad_constant(x[0], &[1, 1], f32::NEG_INFINITY)?])
    }));
    cases
}
