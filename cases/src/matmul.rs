//! Matrix products.

use striate::check::{Bound, Case, Draw, drawn, real};
use striate::ops::MatMul;
use striate::shape::Shape;

use super::{ENDS, end_name};

const FORMS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

pub fn matmul() -> Vec<Case> {
    let mut cases = composed();
    // Sizes that reach every variant of the kernels.
    let kernels = [
        [5, 7, 6],
        [19, 37, 21],
        [65, 81, 53],
        [68, 60, 8],
        [68, 60, 12],
    ];
    // And windows of uniform bindings that show one operand only.
    let large = [
        [5, 36, 600],
        [5, 37, 601],
        [5, 200, 84],
        [5, 199, 83],
        [5, 3, 4000],
    ];
    let others = [
        [1, 1, 1],
        [8, 8, 8],
        [17, 33, 9],
        [16, 120, 400],
        [64, 84, 120],
        [65, 10, 84],
        [2, 130, 67],
        [0, 4, 3],
        [4, 3, 0],
        // B fills a window.
        [9, 256, 64],
        // A window of B only, with y by pairs.
        [5, 4, 4000],
        // Several of the largest tiles, whose rows are whole vec4s and whose runs are whole blocks.
        [136, 264, 48],
    ];
    for [m, n, k] in kernels.into_iter().chain(large).chain(others) {
        for form in FORMS {
            let longest = m.max(n).max(k);
            cases.push(
                product(&[], [m, n, k], form, ENDS[0], Draw::Real)
                    .gradients(&[0, 1], Bound::Sum { k: longest })
                    .linear(),
            );
        }
    }
    for form in FORMS {
        for size in kernels.into_iter().chain(large) {
            let ends = ENDS[1..].iter();
            cases.extend(ends.map(|&end| product(&[], size, form, end, Draw::Real)));
            cases.push(in_place_of_mask(&[], size, form));
        }
        for end in ENDS {
            cases.push(product(&[], [9, 14, 10], form, end, Draw::Special));
        }
    }
    // Three and seven runs of terms, whose sums wait until the mask, which lies where they go, has
    // been read; of the second, A is in storage.
    for size in [[5, 400, 100], [5, 36, 3000]] {
        cases.push(in_place_of_mask(&[], size, FORMS[0]));
        let ends = ENDS.into_iter();
        cases.extend(ends.map(|end| product(&[], size, FORMS[0], end, Draw::Real)));
    }
    // Thirteen runs of terms through windows, more than there are sums that lie apart.
    cases.push(product(
        &[],
        [40, 1000, 200],
        (true, false),
        ENDS[0],
        Draw::Real,
    ));
    // More terms than one loop takes turns, of the product and of its gradients.
    for (lead, [m, n, k], form) in [
        (&[][..], [1, 2, 281_000], FORMS[0]),
        (&[], [2, 1, 70_010], FORMS[1]),
        (&[], [1, 1, 70_010], FORMS[2]),
        (&[], [1, 1, 70_010], FORMS[3]),
        (&[], [70_010, 1, 1], FORMS[0]),
        (&[2], [1, 1, 70_010], FORMS[0]),
    ] {
        let longest = m.max(n).max(k);
        let mut case = product(lead, [m, n, k], form, ENDS[0], Draw::Real)
            .gradients(&[0, 1], Bound::Sum { k: longest })
            .linear();
        case.name = case.name.replacen('/', "/long/", 1);
        cases.push(case);
    }
    let mut ended = product(
        &[],
        [2, 3, 70_010],
        FORMS[1],
        (true, true, false),
        Draw::Real,
    );
    ended.name = ended.name.replacen('/', "/long/", 1);
    cases.push(ended);
    // Batches of them.
    for form in FORMS {
        for (lead, [m, n, k]) in [
            (&[3][..], [5, 7, 6]),
            (&[2, 3], [19, 37, 21]),
            (&[2], [9, 256, 64]),
            (&[2], [33, 65, 300]),
            (&[0], [2, 3, 4]),
            (&[2, 0], [2, 3, 4]),
            (&[2], [4, 3, 0]),
        ] {
            let longest = m.max(n).max(k);
            cases.push(
                product(lead, [m, n, k], form, ENDS[0], Draw::Real)
                    .gradients(&[0, 1], Bound::Sum { k: longest })
                    .linear(),
            );
        }
        for end in ENDS {
            cases.push(product(&[3], [18, 35, 10], form, end, Draw::Real));
            cases.push(product(&[2], [9, 14, 10], form, end, Draw::Special));
        }
        cases.push(in_place_of_mask(&[2, 2], [9, 14, 10], form));
    }
    let with_bias = (true, false, false);
    cases.push(
        product(&[2, 3], [5, 7, 6], FORMS[0], with_bias, Draw::Real)
            .gradients(&[0, 1, 2], Bound::Sum { k: 30 }),
    );
    for (rows, features, out) in [(1, 1, 1), (7, 13, 5), (33, 84, 10), (128, 400, 120)] {
        let longest = rows.max(features).max(out) + 1;
        cases.push(
            Case::new(
                format!("linear/{rows}x{features}->{out}"),
                vec![real([rows, features]), real([out, features]), real([out])],
                |g, x| Ok(vec![g.linear(x[0], x[1], Some(x[2]))?]),
            )
            .bound(Bound::Sum { k: features + 1 })
            .gradients(&[0, 1, 2], Bound::Sum { k: longest }),
        );
    }
    cases
}

/// A product that takes the place of its mask, an activation that nobody reads later.
fn in_place_of_mask(lead: &[usize], size: [usize; 3], form: (bool, bool)) -> Case {
    let mut case = product(lead, size, form, (false, false, true), Draw::Real);
    case.name.push_str("/in place");
    let build = case.build;
    case.build = Box::new(move |g, v| {
        let mask = g.relu(v[2])?;
        build(g, &[v[0], v[1], mask])
    });
    case
}

/// A product of `[m, n, k]`, of a batch over the axes `lead` if there are any, with a and b
/// transposed or not, what follows it, and a and b drawn as `draw`.
fn product(
    lead: &[usize],
    [m, n, k]: [usize; 3],
    (transpose_a, transpose_b): (bool, bool),
    (bias, relu, mask): (bool, bool, bool),
    draw: Draw,
) -> Case {
    let op = MatMul {
        transpose_a,
        transpose_b,
        bias,
        relu,
        mask,
        batch: !lead.is_empty(),
    };
    let of = |matrix: [usize; 2]| [lead, &matrix].concat();
    let a = of(if transpose_a { [k, m] } else { [m, k] });
    let b = of(if transpose_b { [n, k] } else { [k, n] });
    let mut inputs = vec![drawn(a, draw), drawn(b, draw)];
    inputs.extend(bias.then(|| real([n])));
    inputs.extend(mask.then(|| drawn(of([m, n]), Draw::AwayFromZero)));
    let t = |transposed| if transposed { "t" } else { "n" };
    let end = end_name((bias, relu, mask));
    let special = if draw == Draw::Special {
        "/special"
    } else {
        ""
    };
    let lead: String = lead.iter().map(|extent| format!("{extent}x")).collect();
    let name = format!(
        "matmul/{}{}{end}/{lead}{m}x{n}x{k}{special}",
        t(transpose_a),
        t(transpose_b)
    );
    let terms = k + usize::from(bias);
    Case::new(name, inputs, move |g, v| g.apply(op, v)).bound(Bound::Sum { k: terms })
}

/// A product is rounded twice more where alpha scales a factor; sums of integers stay exact.
fn composed() -> Vec<Case> {
    let mut cases = Vec::new();
    let inputs: [(Shape, [usize; 3], f32, f32); 7] = [
        ([5].into(), [4, 3, 5], 1.0, 1.0),
        ([17].into(), [9, 33, 17], 0.5, 2.0),
        ([9, 17].into(), [9, 33, 17], 2.0, 0.5),
        ([9, 1].into(), [9, 5, 17], 1.0, 3.0),
        ([].into(), [3, 4, 5], 0.25, 1.0),
        ([3, 5].into(), [3, 4, 5], 0.0, 2.0),
        ([67, 8].into(), [67, 12, 8], 4.0, 1.0),
    ];
    for (input, [m, k, n], beta, alpha) in inputs {
        let operands = vec![real(input.clone()), real([m, k]), real([k, n])];
        let name = format!("addmm/{input}, {m}x{k}x{n}/{beta} {alpha}");
        let case = Case::new(name, operands, move |g, v| {
            Ok(vec![g.addmm(v[0], v[1], v[2], beta, alpha)?])
        });
        let most = m * n + k;
        let case = case.bound(Bound::Sum { k: k + 4 });
        let wrt: &[usize] = if beta == 0.0 { &[1, 2] } else { &[0, 1, 2] };
        cases.push(case.gradients(wrt, Bound::Sum { k: most }));
    }
    let images: [Shape; 4] = [
        [2, 3, 4, 5].into(),
        [1, 8, 16, 16].into(),
        [5, 7, 9].into(),
        [0, 3, 2, 2].into(),
    ];
    for shape in images {
        let places = shape[2..].iter().product::<usize>();
        let k = places + shape[1] + 4;
        let case = Case::new(format!("gram_matrix/{shape}"), vec![real(shape)], |g, v| {
            Ok(vec![g.gram_matrix(v[0])?])
        });
        let case = case.inexact().bound(Bound::Sum { k });
        cases.push(case.gradients(&[0], Bound::Sum { k: 2 * k }));
    }
    cases
}
