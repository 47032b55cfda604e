//! Concat, split, chunk, slice, flip.

use striate::check::{Bound, Case, Draw, below, drawn, real};
use striate::ops::AxisRange;
use striate::shape::Shape;

pub fn join() -> Vec<Case> {
    let mut cases = Vec::new();
    // Shape of the whole, axis, sizes along it.
    let cuts: [(Shape, usize, &'static [usize]); 20] = [
        ([5].into(), 0, &[2, 3]),
        ([7].into(), 0, &[1, 1, 5]),
        ([8].into(), 0, &[4, 4]),
        ([6, 1].into(), 0, &[5, 1]),
        ([4, 5].into(), 1, &[2, 3]),
        ([4, 8].into(), 1, &[4, 4]),
        ([3, 12].into(), 1, &[4, 5, 3]),
        ([7, 4].into(), 0, &[3, 4]),
        ([2, 6, 5, 3].into(), 1, &[1, 2, 3]),
        ([2, 8, 4, 4].into(), 1, &[4, 4]),
        ([3, 4, 7, 2].into(), 2, &[3, 4]),
        ([2, 3, 2, 9].into(), 3, &[8, 1]),
        ([2, 3, 2, 12].into(), 3, &[8, 4]),
        ([2, 5, 3, 3].into(), 1, &[1, 1, 1, 1, 1]),
        ([13, 11].into(), 0, &[6, 7]),
        ([40, 5].into(), 0, &[11, 29]),
        ([30, 7].into(), 1, &[3, 4]),
        ([5, 4].into(), 1, &[0, 4, 0]),
        ([0, 4].into(), 1, &[1, 3]),
        ([2, 2, 3, 2, 3, 2, 2].into(), 4, &[1, 2]),
    ];
    for (shape, axis, sizes) in cuts {
        let part = |size: usize| {
            let mut part = shape.to_vec();
            part[axis] = size;
            part
        };
        let name = format!("{shape}/axis {axis}/{sizes:?}");
        let wrt: Vec<usize> = (0..sizes.len()).collect();
        let parts = sizes.iter().map(|&size| real(part(size))).collect();
        cases.push(
            Case::new(format!("concat/{name}"), parts, move |g, x| {
                Ok(vec![g.concat(x, axis)?])
            })
            .gradients(&wrt, Bound::Exact),
        );
        cases.push(
            Case::new(format!("split/{name}"), vec![real(shape)], move |g, x| {
                g.split(x[0], sizes, axis)
            })
            .gradients(&[0], Bound::Exact)
            .linear(),
        );
    }
    for (shape, axis, chunks) in [
        (Shape::from([7, 3]), 0, 3),
        ([2, 12, 3].into(), 1, 4),
        ([2, 5, 4].into(), 1, 4),
        ([3, 2].into(), 1, 5),
        ([3, 0].into(), 1, 2),
    ] {
        cases.push(
            Case::new(
                format!("chunk/{shape}/axis {axis}/{chunks}"),
                vec![real(shape)],
                move |g, x| g.chunk(x[0], chunks, axis),
            )
            .gradients(&[0], Bound::Exact)
            .linear(),
        );
    }
    let all = |axis, start, end, step| AxisRange::new(axis, start, end).step(step);
    let slices: [(Shape, Vec<AxisRange>); 26] = [
        ([9].into(), vec![all(0, 2, 7, 1)]),
        ([9].into(), vec![all(0, 0, 9, 2)]),
        ([9].into(), vec![all(0, 1, 100, 3)]),
        ([9].into(), vec![all(0, 8, 9, 5)]),
        ([9].into(), vec![all(0, 5, 5, 1)]),
        ([9].into(), vec![all(0, 12, 20, 1)]),
        ([16].into(), vec![all(0, 4, 12, 1)]),
        ([6, 8].into(), vec![all(0, 1, 5, 2)]),
        ([6, 8].into(), vec![all(1, 4, 8, 1)]),
        ([6, 8].into(), vec![all(1, 1, 8, 2)]),
        ([6, 7].into(), vec![all(0, 1, 6, 2), all(1, 2, 6, 3)]),
        ([50, 3].into(), vec![all(0, 3, 48, 4)]),
        ([50, 3].into(), vec![all(0, 30, 50, 1)]),
        ([50, 8].into(), vec![all(0, 11, 39, 1), all(1, 4, 8, 1)]),
        ([2, 3, 8, 8].into(), vec![all(2, 1, 7, 1), all(3, 1, 7, 1)]),
        ([2, 3, 8, 8].into(), vec![all(2, 0, 8, 2), all(3, 0, 8, 2)]),
        ([2, 3, 8, 8].into(), vec![all(1, 1, 2, 1)]),
        ([2, 6, 5, 4].into(), vec![all(1, 0, 6, 3)]),
        (
            [3, 4, 5, 12].into(),
            vec![all(2, 1, 4, 1), all(3, 4, 12, 1)],
        ),
        (
            [3, 4, 5, 6].into(),
            vec![
                all(0, 1, 3, 1),
                all(1, 0, 4, 3),
                all(2, 2, 5, 2),
                all(3, 1, 6, 4),
            ],
        ),
        (
            [3, 3, 3, 3, 3, 3].into(),
            (0..6)
                .map(|axis| all(axis, axis % 2, 3, 2 - axis % 2))
                .collect(),
        ),
        (
            [2, 3, 2, 3, 2, 3, 2].into(),
            vec![all(1, 0, 2, 1), all(3, 1, 3, 1), all(5, 0, 3, 2)],
        ),
        ([4, 1].into(), vec![all(1, 0, 1, 7)]),
        ([4, 6].into(), vec![all(1, 0, 6, 1)]),
        ([0, 6].into(), vec![all(1, 2, 4, 1)]),
        (
            [1, 1, 31, 37].into(),
            vec![all(2, 5, 31, 3), all(3, 2, 36, 5)],
        ),
    ];
    for (shape, ranges) in slices {
        let named = ranges.iter().map(|r| {
            let AxisRange {
                axis,
                start,
                end,
                step,
            } = r;
            format!("{axis}: {start}..{end} by {step}")
        });
        let name = named.collect::<Vec<_>>().join(", ");
        cases.push(
            Case::new(
                format!("slice/{shape}/{name}"),
                vec![real(shape)],
                move |g, x| Ok(vec![g.slice(x[0], &ranges)?]),
            )
            .gradients(&[0], Bound::Exact)
            .linear(),
        );
    }
    let flips: [(Shape, &'static [usize]); 8] = [
        ([5].into(), &[0]),
        ([1, 4].into(), &[0]),
        ([3, 5].into(), &[1]),
        ([3, 8].into(), &[0]),
        ([2, 3, 4, 6].into(), &[2, 3]),
        ([30, 3, 2].into(), &[0]),
        ([30, 3, 2].into(), &[0, 2]),
        ([0, 3].into(), &[0, 1]),
    ];
    for (shape, axes) in flips {
        cases.push(
            Case::new(
                format!("flip/{shape}/{axes:?}"),
                vec![real(shape)],
                |g, x| Ok(vec![g.flip(x[0], axes)?]),
            )
            .gradients(&[0], Bound::Exact)
            .linear(),
        );
    }
    cases.push(
        Case::new("slice/twice", vec![real([9, 7])], |g, x| {
            let rows = g.slice(x[0], &[AxisRange::new(0, 1, 9).step(2)])?;
            let doubled = g.scale(rows, 2.0)?;
            Ok(vec![g.narrow(doubled, 1, 2, 4)?, g.flip(rows, &[0])?])
        })
        .gradients(&[0], Bound::Ulp(1.0))
        .linear(),
    );
    cases.push(
        Case::new(
            "concat/same value twice",
            vec![real([3, 4]), real([3, 2])],
            |g, x| Ok(vec![g.concat(&[x[0], x[1], x[0]], 1)?]),
        )
        .gradients(&[0, 1], Bound::Ulp(1.0)),
    );
    let special = || drawn([7, 9], Draw::Special);
    cases.push(
        Case::new("concat/special", vec![special(), special()], |g, x| {
            let whole = g.concat(x, 1)?;
            let parts = g.split(whole, &[5, 13], 1)?;
            Ok(vec![whole, parts[1], g.flip(parts[0], &[0, 1])?])
        })
        .gradients(&[0, 1], Bound::Ulp(1.0)),
    );
    cases.push(Case::new(
        "concat/u32",
        vec![below([4, 3], u32::MAX), below([4, 8], u32::MAX)],
        |g, x| {
            let whole = g.concat(x, 1)?;
            let mut parts = g.split(whole, &[4, 7], 1)?;
            parts.push(whole);
            parts.push(g.slice(whole, &[AxisRange::new(1, 2, 11).step(3)])?);
            Ok(parts)
        },
    ));
    cases
}
