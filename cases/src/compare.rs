//! Comparisons, the choice by a mask, and conversion between element types.

use striate::check::{Bound, Case, Draw, Input, below, drawn, real};
use striate::shape::{DType, Shape, Type};

use super::words;

pub fn compare() -> Vec<Case> {
    let mut cases = comparisons();
    cases.extend(choices());
    cases.extend(casts());
    cases
}

/// Quads and elements, rows and columns that stretch, several workgroups and parts, nothing.
fn pairs() -> Vec<[Shape; 2]> {
    vec![
        [[5].into(), [5].into()],
        [[2, 3, 4, 5].into(), [3, 1, 1].into()],
        [[19, 8].into(), [8].into()],
        [[19, 8].into(), [19, 1].into()],
        [[67, 7].into(), [7].into()],
        [[4, 1, 3].into(), [5, 1].into()],
        [[2, 1, 3, 1, 2].into(), [1, 4, 1, 3, 1].into()],
        [[].into(), [3, 2].into()],
        [[0, 3].into(), [1, 3].into()],
    ]
}

fn comparisons() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ["eq", "ne", "lt", "le", "gt", "ge"] {
        let case = |kind: String, inputs: Vec<Input>| {
            Case::new(format!("{name}/{kind}"), inputs, move |g, x| {
                Ok(vec![match name {
                    "eq" => g.eq(x[0], x[1])?,
                    "ne" => g.ne(x[0], x[1])?,
                    "lt" => g.lt(x[0], x[1])?,
                    "le" => g.le(x[0], x[1])?,
                    "gt" => g.gt(x[0], x[1])?,
                    _ => g.ge(x[0], x[1])?,
                }])
            })
        };
        for [a, b] in pairs() {
            // Multiples of 1/64 from few, so that some are equal.
            let inputs = [&a, &b].map(|shape| drawn(shape.clone(), Draw::Distinct));
            cases.push(case(format!("{a}, {b}"), inputs.to_vec()));
        }
        let special = || drawn([59], Draw::Special);
        cases.push(case("special".into(), vec![special(), special()]));
        let inputs = vec![special(), drawn([1], Draw::Between(0.0, 0.0))];
        cases.push(case("special, 0".into(), inputs));
        let words = |shape: Shape| below(shape, 5);
        let inputs = vec![words([19, 7].into()), words([7].into())];
        cases.push(case("u32".into(), inputs));
        let inputs = vec![below([60], u32::MAX), below([60], u32::MAX)];
        cases.push(case("u32, large".into(), inputs));
    }
    cases
}

fn choices() -> Vec<Case> {
    let mut cases = Vec::new();
    let mask = |shape: &Shape| below(shape.clone(), 3);
    for [a, b] in pairs() {
        let count = a.broadcast(&b).map_or(0, |shape| shape.count());
        let k = count / a.count().min(b.count()).max(1);
        for (kind, inputs) in [
            (
                "mask of a",
                vec![mask(&a), real(a.clone()), real(b.clone())],
            ),
            (
                "mask of b",
                vec![mask(&b), real(a.clone()), real(b.clone())],
            ),
        ] {
            cases.push(
                Case::new(format!("select/{a}, {b}/{kind}"), inputs, |g, x| {
                    Ok(vec![g.select(x[0], x[1], x[2])?])
                })
                .gradients(&[1, 2], Bound::Sum { k }),
            );
        }
    }
    let special = || drawn([59], Draw::Special);
    cases.push(
        Case::new(
            "select/special",
            vec![mask(&[59].into()), special(), special()],
            |g, x| Ok(vec![g.select(x[0], x[1], x[2])?]),
        )
        .gradients(&[1, 2], Bound::Exact),
    );
    cases.push(
        Case::new(
            "where_/[19, 8]",
            vec![mask(&[19, 1].into()), real([19, 8]), real([8])],
            |g, x| Ok(vec![g.where_(x[0], x[1], x[2])?]),
        )
        .gradients(&[1, 2], Bound::Sum { k: 19 }),
    );
    cases.push(
        Case::new(
            "where_/special",
            vec![mask(&[59].into()), special(), special()],
            |g, x| Ok(vec![g.where_(x[0], x[1], x[2])?]),
        )
        .gradients(&[1, 2], Bound::Exact),
    );
    cases.push(Case::new(
        "select/u32",
        vec![
            mask(&[19, 1].into()),
            below([19, 8], u32::MAX),
            below([8], u32::MAX),
        ],
        |g, x| Ok(vec![g.select(x[0], x[1], x[2])?]),
    ));
    cases.push(
        Case::new(
            "select/by a comparison",
            vec![drawn([7, 9], Draw::AwayFromZero), real([9])],
            |g, x| {
                let zero = g.fill([1], 0.0)?;
                let mask = g.gt(x[0], zero)?;
                Ok(vec![g.select(mask, x[0], x[1])?])
            },
        )
        .gradients(&[0, 1], Bound::Sum { k: 7 }),
    );
    cases
}

fn casts() -> Vec<Case> {
    let mut cases = Vec::new();
    let bytes = |shape: &Shape| Input {
        ty: Type::u8(shape.clone()),
        draw: Draw::Bytes,
    };
    let shapes: [Shape; 6] = [
        [7].into(),
        [0, 3].into(),
        [3, 5, 2].into(),
        [90, 8].into(),
        [90, 7].into(),
        [].into(),
    ];
    for shape in shapes {
        let wide = drawn(shape.clone(), Draw::Between(-40.0, 300.0));
        let large = drawn(shape.clone(), Draw::Between(0.0, 16_000_000.0));
        let words = below(shape.clone(), u32::MAX);
        for (kind, input, to) in [
            ("f32", wide.clone(), DType::U32),
            ("f32, large", large, DType::U32),
            ("f32", wide, DType::U8),
            ("u32", words.clone(), DType::F32),
            ("u32", words, DType::U8),
            ("u8", bytes(&shape), DType::F32),
            ("u8", bytes(&shape), DType::U32),
        ] {
            let case = Case::new(
                format!("cast/{shape}/{kind} to {to}"),
                vec![input.clone()],
                move |g, x| Ok(vec![g.cast(x[0], to)?]),
            );
            // Exact, but beyond the integers that sums of f32 keep.
            let case = match (kind, to) {
                ("u32", DType::F32) => case.inexact(),
                _ => case,
            };
            // Rows that end inside a word of bytes.
            let cut = to == DType::U8 && shape[..] == [90, 7];
            cases.push(match cut {
                true => case.whole("cast does not work on parts"),
                false => case,
            });
        }
    }
    for to in [DType::U32, DType::U8] {
        cases.push(Case::new(
            format!("cast/special to {to}"),
            vec![drawn([59], Draw::Special)],
            move |g, x| Ok(vec![g.cast(x[0], to)?]),
        ));
    }
    // Beside 2^24 and 2^25, between neighbours and as near to two of them, and at the end.
    const BESIDE: &[u32] = &[
        16_777_215,
        16_777_217,
        16_777_219,
        33_554_434,
        33_554_433,
        33_554_435,
        33_554_438,
        2_147_483_712,
        2_147_483_713,
        4_294_967_167,
        4_294_967_168,
        u32::MAX,
        0,
    ];
    let beside = Case::new(
        "cast/beside 2^24, to f32 and back",
        vec![words(BESIDE)],
        |g, x| {
            let rounded = g.cast(x[0], DType::F32)?;
            let back = g.cast(rounded, DType::U32)?;
            Ok(vec![rounded, back, g.eq(back, x[0])?])
        },
    );
    cases.push(beside.inexact());
    let far = Case::new(
        "cast/far to u32",
        vec![drawn([59], Draw::Between(-16_777_216.0, 16_777_216.0))],
        |g, x| {
            let far = g.scale(x[0], 1024.0)?;
            Ok(vec![g.cast(far, DType::U32)?, g.cast(far, DType::U8)?])
        },
    );
    // Integers there are beyond those that a sum holds exactly.
    cases.push(far.inexact());
    cases
}
