//! Every case, and random shapes, on every adapter: outputs and gradients within their bounds on fractions, bit for bit on
//! integers.

mod common;

use std::sync::OnceLock;

use common::adapters;
use common::cases::cases;
use common::cases::conv::convolution;
use common::tally::Tally;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use striate::check::{Adapter, Bound, Case, Draw, drawn, real};
use striate::ops::{AvgPool2d, Conv2d, MaxPool2d};

#[test]
fn cases_agree_with_the_reference() {
    let adapters = adapters();
    let mut tally = Tally::new(&adapters);
    for case in &cases() {
        tally.check(case);
    }
    println!("{tally}");
    assert!(tally.wrong.is_empty(), "{}", tally.wrong.join("\n"));
    for op in tally
        .adapters
        .iter()
        .flat_map(|row| row.refused_parts.keys())
    {
        let known = WHOLE_ONLY.contains(&op.as_str());
        assert!(known, "{op} refuses values in parts");
    }
}

/// The ops that work on values within one binding only.
const WHOLE_ONLY: &[&str] = &[
    "add",
    "conv2d",
    "conv2d_grad_input",
    "conv2d_grad_weight",
    "count_correct",
    "div",
    "lookup",
    "mse_loss",
    "mul",
    // Padding of axis 0 by its own rows.
    "pad",
    "pad_grad",
    "relu_mask",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_grad",
    "softmax_grad",
    "sub",
];

/// Checks one random case. All of them share their devices, so that only the first shapes compile pipelines.
fn check(case: Case) -> TestCaseResult {
    static ADAPTERS: OnceLock<Vec<Adapter>> = OnceLock::new();
    let mut tally = Tally::new(ADAPTERS.get_or_init(adapters));
    tally.check(&case);
    prop_assert!(tally.wrong.is_empty(), "{}", tally.wrong.join("\n"));
    Ok(())
}

fn pair(range: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = [usize; 2]> {
    [range.clone(), range]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_convolutions(
        n in 1usize..=3,
        [channels, filters] in pair(1..=6),
        groups in 1usize..=3,
        kernel in pair(1..=4),
        stride in pair(1..=3),
        dilation in pair(1..=2),
        padding in [0usize..=2, 0..=2, 0..=2, 0..=2],
        extra in pair(0..=8),
        bias in any::<bool>(),
    ) {
        let conv = Conv2d { stride, padding, dilation, groups };
        // The smallest input that the kernel fits, and something more.
        let input: [usize; 2] = std::array::from_fn(|axis| {
            let span = dilation[axis] * (kernel[axis] - 1) + 1;
            let padded = padding[2 * axis] + padding[2 * axis + 1];
            span.saturating_sub(padded).max(1) + extra[axis]
        });
        let x = [n, channels * groups, input[0], input[1]];
        check(convolution(x, [filters * groups, kernel[0], kernel[1]], bias, conv))?;
    }

    #[test]
    fn random_products(
        [m, n, k] in [1usize..=90, 1..=90, 1..=90],
        [transpose_a, transpose_b] in [any::<bool>(), any::<bool>()],
    ) {
        let a = if transpose_a { [k, m] } else { [m, k] };
        let b = if transpose_b { [n, k] } else { [k, n] };
        let case = Case::new(
            format!("matmul/{transpose_a}{transpose_b}/{m}x{n}x{k}"),
            vec![real(a), real(b)],
            move |g, x| Ok(vec![g.matmul(x[0], x[1], transpose_a, transpose_b)?]),
        );
        let longest = m.max(n).max(k);
        check(
            case.bound(Bound::Sum { k })
                .gradients(&[0, 1], Bound::Sum { k: longest })
                .linear(),
        )?;
    }

    #[test]
    fn random_pools(
        [n, c] in pair(1..=4),
        kernel in pair(1..=4),
        stride in pair(1..=4),
        halves in pair(0..=2),
        extra in pair(0..=9),
        count_include_pad in any::<bool>(),
    ) {
        // Padding is at most half the kernel.
        let padding: [usize; 2] = std::array::from_fn(|axis| halves[axis].min(kernel[axis] / 2));
        let shape = [n, c, kernel[0] + extra[0], kernel[1] + extra[1]];
        let name = format!("{shape:?}/{kernel:?}/{stride:?}/{padding:?}");
        let k = kernel[0] * kernel[1];
        let max = MaxPool2d { kernel, stride, padding };
        check(
            Case::new(format!("max_pool2d/{name}"), vec![drawn(shape, Draw::Distinct)], move |g, x| {
                common::cases::pool::with_smallest_indices(g, x[0], max)
            })
            .gradients(&[0], Bound::Sum { k }),
        )?;
        check(
            Case::new(format!("max_pool2d/plane/{name}"), vec![drawn(shape, Draw::Distinct)], move |g, x| {
                let (y, index) = g.max_pool2d_with_indices(x[0], max)?;
                Ok(vec![y, index])
            })
            .gradients(&[0], Bound::Sum { k }),
        )?;
        let average = AvgPool2d { kernel, stride, padding, count_include_pad };
        check(
            Case::new(
                format!("avg_pool2d/{name}/{count_include_pad}"),
                vec![real(shape)],
                move |g, x| Ok(vec![g.avg_pool2d(x[0], average)?]),
            )
            .bound(Bound::Sum { k })
            .gradients(&[0], Bound::Sum { k })
            .inexact()
            .linear(),
        )?;
    }
}
