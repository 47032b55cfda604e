//! Every case, and random shapes, on every adapter: outputs and gradients within their bounds on fractions, bit for bit on
//! integers.

mod common;

use std::sync::OnceLock;

use common::adapters;
use common::cases::cases;
use common::cases::conv::{convolution, transposed};
use common::tally::Tally;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use striate::check::{Adapter, Bound, Case, Draw, drawn, real};
use striate::ops::{AvgPool2d, Conv, ConvTranspose, ConvWalk, MaxPool2d};
use striate::shape::PaddingMode;

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
    // A weight or its sums in scratch beyond one binding; batches may lie in parts.
    "conv1d",
    "conv1d_grad_input",
    "conv1d_grad_weight",
    "conv2d",
    "conv2d_grad_input",
    "conv2d_grad_weight",
    "conv3d",
    "conv3d_grad_input",
    "conv3d_grad_weight",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
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

/// Numbers of a random convolution, for up to three axes.
#[derive(Debug, Clone, Copy)]
struct Drawn {
    axes: usize,
    n: usize,
    channels: [usize; 2],
    groups: usize,
    kernel: [usize; 3],
    stride: [usize; 3],
    dilation: [usize; 3],
    padding: [[usize; 2]; 3],
    extra: [usize; 3],
    padding_mode: PaddingMode,
    bias: bool,
}

fn convolutions() -> impl Strategy<Value = Drawn> {
    let three = |range: std::ops::RangeInclusive<usize>| [range.clone(), range.clone(), range];
    let modes = prop_oneof![
        Just(PaddingMode::Zeros),
        Just(PaddingMode::Reflect),
        Just(PaddingMode::Replicate),
        Just(PaddingMode::Circular)
    ];
    let sizes = (1usize..=3, 1usize..=3, pair(1..=6), 1usize..=3);
    let walk = (
        three(1..=4),
        three(1..=3),
        three(1..=2),
        [pair(0..=2), pair(0..=2), pair(0..=2)],
    );
    (sizes, walk, three(0..=8), modes, any::<bool>()).prop_map(
        |(
            (axes, n, channels, groups),
            (kernel, stride, dilation, padding),
            extra,
            padding_mode,
            bias,
        )| Drawn {
            axes,
            n,
            channels,
            groups,
            kernel,
            stride,
            dilation,
            padding,
            extra,
            padding_mode,
            bias,
        },
    )
}

impl Drawn {
    /// The convolution and the transposed convolution with these numbers over `D` axes.
    fn check<const D: usize>(&self) -> TestCaseResult
    where
        Conv<D>: Into<ConvWalk>,
        ConvTranspose<D>: Into<ConvWalk>,
    {
        let kernel = std::array::from_fn(|axis| self.kernel[axis]);
        let conv = Conv {
            stride: std::array::from_fn(|axis| self.stride[axis]),
            padding: std::array::from_fn(|axis| self.padding[axis]),
            dilation: std::array::from_fn(|axis| self.dilation[axis]),
            groups: self.groups,
            padding_mode: self.padding_mode,
        };
        // The smallest input that the kernel fits and the mode permits, and something more.
        let extents: [usize; D] = std::array::from_fn(|axis| {
            let [before, after] = conv.padding[axis];
            let span = conv.dilation[axis] * (kernel[axis] - 1) + 1;
            let least = span.saturating_sub(before + after).max(1);
            let least = match self.padding_mode {
                PaddingMode::Zeros | PaddingMode::Replicate => least,
                _ => least.max(before.max(after) + 1),
            };
            // Fewer elements where there are more axes.
            least + self.extra[axis] / D
        });
        let [channels, filters] = self.channels.map(|count| count * self.groups);
        let x = [&[self.n, channels], &extents[..]].concat();
        check(convolution(&x, filters, kernel, self.bias, conv))?;
        let inverse = ConvTranspose {
            stride: conv.stride,
            padding: std::array::from_fn(|axis| {
                conv.padding[axis].map(|p| p.min(kernel[axis] - 1) / 2)
            }),
            output_padding: std::array::from_fn(|axis| {
                self.extra[axis].min(conv.stride[axis].max(conv.dilation[axis]) - 1)
            }),
            dilation: conv.dilation,
            groups: self.groups,
        };
        check(transposed(&x, filters, kernel, self.bias, inverse))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_convolutions(drawn in convolutions()) {
        match drawn.axes {
            1 => drawn.check::<1>()?,
            2 => drawn.check::<2>()?,
            _ => drawn.check::<3>()?,
        }
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
