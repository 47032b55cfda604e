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
use striate::check::{Adapter, Bound, Case, real};
use striate::ops::{Conv2d, MaxPool, MaxPool3d};

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
    "conv2d",
    "conv2d_grad_input",
    "conv2d_grad_weight",
    "lookup",
    // Padding of axis 0 by its own rows.
    "pad",
    "pad_grad",
    // Over axis 0, the parts' own.
    "log_softmax",
    "log_softmax_grad",
    "softmax",
    "softmax_grad",
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
        dims in 1usize..=3,
        [n, c] in pair(1..=4),
        kernel in triple(1..=4),
        stride in triple(1..=4),
        halves in triple(0..=2),
        dilation in triple(1..=3),
        extra in triple(0..=6),
        [ceil_mode, count_include_pad] in [any::<bool>(), any::<bool>()],
    ) {
        // Padding is at most half the kernel.
        let padding = std::array::from_fn(|axis| halves[axis].min(kernel[axis] / 2));
        let pool = MaxPool3d { kernel, stride, padding, dilation, ceil_mode };
        // At least as much as the dilated window spans, so that no window is all padding.
        let shape = [&[n, c], &spans(&pool, extra)[..dims]].concat();
        let plain = MaxPool3d { dilation: [1; 3], ..pool };
        let plain_shape = [&[n, c], &spans(&plain, extra)[..dims]].concat();
        let cases = match dims {
            1 => random_pool(&shape, first::<1>(&pool), &plain_shape, count_include_pad),
            2 => random_pool(&shape, first::<2>(&pool), &plain_shape, count_include_pad),
            _ => random_pool(&shape, pool, &plain_shape, count_include_pad),
        };
        for case in cases {
            check(case)?;
        }
    }
}

fn triple(range: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = [usize; 3]> {
    [range.clone(), range.clone(), range]
}

/// Extents that hold one window and so much more.
fn spans(pool: &MaxPool3d, extra: [usize; 3]) -> [usize; 3] {
    std::array::from_fn(|axis| pool.dilation[axis] * (pool.kernel[axis] - 1) + 1 + extra[axis])
}

/// The first axes of a pooling.
fn first<const D: usize>(pool: &MaxPool3d) -> MaxPool<D> {
    let first = |values: [usize; 3]| std::array::from_fn(|axis| values[axis]);
    MaxPool {
        kernel: first(pool.kernel),
        stride: first(pool.stride),
        padding: first(pool.padding),
        dilation: first(pool.dilation),
        ceil_mode: pool.ceil_mode,
    }
}

/// Both forms of indices of a max pooling, and the mean with its windows undilated.
fn random_pool<const D: usize>(
    shape: &[usize],
    pool: MaxPool<D>,
    plain_shape: &[usize],
    count_include_pad: bool,
) -> [Case; 3] {
    let plain = MaxPool {
        dilation: [1; D],
        ..pool
    };
    [
        common::cases::pool::max(shape, pool),
        common::cases::pool::max_in_plane(shape, pool),
        common::cases::pool::average(plain_shape, plain, count_include_pad, None),
    ]
}
