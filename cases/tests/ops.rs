//! Every case, and random shapes, on every adapter: outputs and gradients within their bounds on
//! fractions, bit for bit on integers.

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use striate::autodiff::gradients_from;
use striate::check::{Adapter, Bound, Case, real};
use striate::gpu::{Engine, GpuOptions};
use striate::graph::{Graph, Value};
use striate::kernel::Body;
use striate::ops::{AdaptiveAvgPool, AdaptiveMaxPool, AvgPool1d, InterpolateMode, LpPool1d};
use striate::ops::{
    Conv, Conv1d, Conv2d, ConvTranspose, ConvTransposeWalk, ConvWalk, MaxPool, MaxPool3d,
};
use striate::session::Session;
use striate::shape::PaddingMode;
use striate::store::Store;
use striate::tensor::Tensor;
use striate_cases::cases;
use striate_cases::conv::{convolution, transposed};
use striate_cases::devices::{self, adapters};
use striate_cases::tally::Tally;

/// Whether `.ci/long` runs the tests.
fn is_long() -> bool {
    std::env::var_os("STRIATE_LONG").is_some()
}

/// The first adapter runs them in all ways. Others run them in few but in `.ci/long`: the further
/// ways cut the same kernels otherwise.
#[test]
fn cases_agree_with_the_reference() {
    let long = is_long();
    let few = |(at, adapter): (usize, Adapter)| match at > 0 && !long {
        true => adapter.in_few_ways(),
        false => adapter,
    };
    let adapters: Vec<Adapter> = adapters().into_iter().enumerate().map(few).collect();
    let mut tally = Tally::new(&adapters);
    let cases = cases();
    tally.check(&cases);
    println!("{tally}");
    assert!(tally.wrong.is_empty(), "{}", tally.wrong.join("\n"));
    for (at, row) in tally.adapters.iter().enumerate() {
        let total = row.total();
        assert_eq!(row.unsupported, None, "{}", row.adapter);
        assert_eq!(total.passed, cases.len(), "{}", row.adapter);
        assert!(total.runs >= cases.len(), "{}: {total:?}", row.adapter);
        let cut = total.in_parts > 0;
        assert!(cut || at > 0 && !long, "{}: {total:?}", row.adapter);
    }
}

/// Ones that are pooled, resized or padded from more elements than one loop of llvmpipe takes
/// turns.
#[test]
fn long_gathers_miss_no_element() {
    for gpu in devices::gpus(&GpuOptions::default()) {
        let mut g = Graph::new();
        let mut wanted: Vec<(Value, Vec<f32>)> = Vec::new();
        let ones = |g: &mut Graph, shape: &[usize]| g.fill(shape.to_vec(), 1.0).unwrap();
        let x = ones(&mut g, &[1, 1, 256, 256]);
        let pool = AdaptiveAvgPool { output: [1, 1] };
        wanted.push((g.adaptive_avg_pool(x, pool).unwrap(), vec![1.0]));
        let x = ones(&mut g, &[1, 1, 40, 40, 40]);
        let pool = AdaptiveAvgPool { output: [1, 1, 1] };
        wanted.push((g.adaptive_avg_pool(x, pool).unwrap(), vec![1.0]));
        let x = ones(&mut g, &[1, 1, 100_000]);
        let y = g.avg_pool(x, AvgPool1d::new(100_000)).unwrap();
        wanted.push((y, vec![1.0]));
        let y = g.lp_pool(x, LpPool1d::new(1.0, [100_000])).unwrap();
        wanted.push((y, vec![100_000.0]));
        // Gradients of one element that stands at many places.
        let x = ones(&mut g, &[1, 1, 1, 1]);
        let dx = |g: &mut Graph, y| {
            let shape = g.shape(y).unwrap().clone();
            let dy = g.fill(shape, 1.0).unwrap();
            gradients_from(g, &[(y, dy)], &[x]).unwrap()[0].unwrap()
        };
        for mode in [
            InterpolateMode::Nearest,
            InterpolateMode::Linear {
                align_corners: false,
            },
        ] {
            let y = g.interpolate(x, &[256, 256], mode).unwrap();
            wanted.push((dx(&mut g, y), vec![65_536.0]));
        }
        let around = [150, 149, 149, 150];
        let y = g.pad(x, &around, PaddingMode::Replicate).unwrap();
        wanted.push((dx(&mut g, y), vec![90_000.0]));
        let pool = AdaptiveAvgPool { output: [300, 300] };
        let y = g.adaptive_avg_pool(x, pool).unwrap();
        wanted.push((dx(&mut g, y), vec![90_000.0]));
        let pool = AdaptiveMaxPool { output: [300, 300] };
        let y = g.adaptive_max_pool(x, pool).unwrap();
        wanted.push((dx(&mut g, y), vec![90_000.0]));
        // The largest of each plane is its last element.
        let plane = 127 * 127;
        let rising = (0..4 * plane).map(|i| i as f32 / 64.0).collect();
        let rising = Tensor::f32([1, 4, 127, 127], rising).unwrap();
        let x = g.constant(rising).unwrap();
        let y = g.global_max_pool(x).unwrap();
        let last = [1, 2, 3, 4].map(|planes| (planes * plane - 1) as f32 / 64.0);
        wanted.push((y, last.to_vec()));
        let dy = g.constant(Tensor::f32([1, 4, 1, 1], vec![3.0; 4]).unwrap());
        let dx = gradients_from(&mut g, &[(y, dy.unwrap())], &[x]).unwrap();
        let mut ends = vec![0.0; 4 * plane];
        for planes in 1..=4 {
            ends[planes * plane - 1] = 3.0;
        }
        wanted.push((dx[0].unwrap(), ends));
        assert_eq!(last[3], 1_008.046_9);
        let fetched: Vec<Value> = wanted.iter().map(|&(value, _)| value).collect();
        let store = Store::new(&Engine::from(gpu.clone()), &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &fetched).unwrap();
        session.run(1).unwrap();
        for (value, right) in wanted {
            let got = session.read(value).unwrap();
            assert!(got.as_f32().unwrap() == right, "{value}: {:?}", gpu.info());
        }
    }
}

/// Sums of ones in more terms than one loop of llvmpipe takes turns: exact, since they stay below
/// 2^24.
#[test]
fn long_sums_miss_no_term() {
    for gpu in devices::gpus(&GpuOptions::default()) {
        let mut g = Graph::new();
        let mut wanted = Vec::new();
        let terms = 400_000;
        for (a, b, transposed) in [
            (vec![3, terms], vec![terms, 5], false),
            (vec![terms, 3], vec![terms, 5], true),
            (vec![2, 3, terms], vec![2, terms, 5], false),
            (vec![2, terms, 3], vec![2, terms, 5], true),
        ] {
            let a = g.fill(a, 1.0).unwrap();
            let b = g.fill(b, 1.0).unwrap();
            let y = g.matmul(a, b, transposed, false).unwrap();
            wanted.push((y, terms));
        }
        for (n, side, padding_mode) in [
            (1, 1024, PaddingMode::Zeros),
            (1, 1024, PaddingMode::Reflect),
            (96, 112, PaddingMode::Zeros),
        ] {
            let x = g.fill([n, 1, side, side], 1.0).unwrap();
            let weight = g.fill([1, 1, 2, 2], 1.0).unwrap();
            let conv = Conv2d {
                padding: [[1, 1], [1, 1]],
                padding_mode,
                ..Conv2d::default()
            };
            let y = g.conv2d(x, weight, None, conv).unwrap();
            let dy = g.fill([n, 1, side + 1, side + 1], 1.0).unwrap();
            let found = gradients_from(&mut g, &[(y, dy)], &[weight]).unwrap();
            let seen = match padding_mode {
                PaddingMode::Zeros => side,
                _ => side + 1,
            };
            wanted.push((found[0].unwrap(), n * seen * seen));
        }
        let x = g.fill([8, 1 << 20], 1.0).unwrap();
        wanted.push((g.sum(x, &[0, 1], false).unwrap(), 8 << 20));
        let fetched: Vec<Value> = wanted.iter().map(|&(value, _)| value).collect();
        let store = Store::new(&Engine::from(gpu.clone()), &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &fetched).unwrap();
        session.run(1).unwrap();
        for (value, terms) in wanted {
            let sums = session.read(value).unwrap();
            let sums = sums.as_f32().unwrap();
            assert!(
                sums.iter().all(|&sum| sum == terms as f32),
                "{gpu:?}: {sums:?}, not {terms}"
            );
        }
    }
}

/// Ones through convolutions, a sum of which has more terms than one loop of llvmpipe takes turns.
#[test]
fn long_convolutions_miss_no_term() {
    let forms = [
        GpuOptions::default(),
        GpuOptions {
            body: Some(Body::Registers),
            windows: Some(false),
            ..GpuOptions::default()
        },
        GpuOptions {
            body: Some(Body::Shared),
            ..GpuOptions::default()
        },
    ];
    // x and a weight of one tap or as large as x: y sums channels and taps, dx, of one tap,
    // filters, dweight images and places.
    let small: [(&[usize], &[usize]); 10] = [
        (&[1, 1, 32_761], &[2, 1, 1]),
        (&[1, 1, 80_000], &[2, 1, 1]),
        (&[2, 2, 70_001], &[2, 1, 1]),
        (&[1, 1, 1, 80_000], &[5, 1, 1, 1]),
        (&[1, 1, 80_000, 1], &[5, 1, 1, 1]),
        (&[1, 70_000, 1, 1], &[3, 70_000, 1, 1]),
        (&[1, 1, 1, 1], &[70_000, 1, 1, 1]),
        (&[1, 2, 300, 300], &[3, 2, 300, 300]),
        (&[1, 2, 70_001], &[2, 1, 70_001]),
        // Five seconds of sound, every second element of it.
        (&[1, 1, 80_004], &[1, 1, 3]),
    ];
    // As layers have them, with fewer filters: what a strip takes in turns does not depend on
    // these. `.ci/long` takes all.
    let filters = if is_long() { 128 } else { 8 };
    let layer = [filters, 128, 1, 1];
    let large: [(&[usize], &[usize]); 2] =
        [(&[864, 128, 16, 16], &layer), (&[80, 128, 56, 56], &layer)];
    let mut wrongs = Vec::new();
    for (i, options) in forms.iter().enumerate() {
        for gpu in devices::gpus(options) {
            let all = small.iter().map(|&sizes| (sizes, true));
            let all = all.chain(large.iter().map(|&sizes| (sizes, false)));
            for ((x_shape, w_shape), all) in all.filter(|&(_, all)| all || i == 0) {
                let mut g = Graph::new();
                let x = g.fill(x_shape, 1.0).unwrap();
                let weight = g.fill(w_shape, 1.0).unwrap();
                let y = match x_shape.len() {
                    3 => g.conv1d(
                        x,
                        weight,
                        None,
                        Conv1d {
                            groups: x_shape[1] / w_shape[1],
                            dilation: [if w_shape[2] == 3 { 2 } else { 1 }],
                            ..Conv1d::default()
                        },
                    ),
                    _ => g.conv2d(x, weight, None, Conv2d::default()),
                }
                .unwrap();
                let dy = g.fill(g.shape(y).unwrap().clone(), 1.0).unwrap();
                let found = gradients_from(&mut g, &[(y, dy)], &[x, weight]).unwrap();
                let places = g.shape(dy).unwrap().count() / w_shape[0];
                let mut wanted = vec![(found[1].unwrap(), places)];
                if all {
                    let groups = x_shape[1] / w_shape[1];
                    wanted.push((y, w_shape[1..].iter().product()));
                    // A tap that sees nothing costs as much as one that does.
                    if w_shape[2..].iter().all(|&taps| taps == 1) {
                        wanted.push((found[0].unwrap(), w_shape[0] / groups));
                    }
                }
                let fetched: Vec<Value> = wanted.iter().map(|&(value, _)| value).collect();
                let store = Store::new(&Engine::from(gpu.clone()), &[&g], 0).unwrap();
                let mut session = Session::new(&store, &g, &fetched).unwrap();
                session.run(1).unwrap();
                for (value, terms) in wanted {
                    let sums = session.read(value).unwrap();
                    let sums = sums.as_f32().unwrap();
                    let wrong = sums.iter().find(|&&sum| sum != terms as f32);
                    wrongs.extend(wrong.map(|sum| {
                        format!("{i} {gpu:?} {x_shape:?} {w_shape:?}: {sum}, not {terms}")
                    }));
                }
            }
        }
    }
    assert!(wrongs.is_empty(), "{}", wrongs.join("\n"));
}

/// Infinities that only filler weights or the zeros around an image meet are no part of a sum,
/// however many turns it takes to make that again.
#[test]
fn long_sums_are_mended() {
    let forms = [
        GpuOptions::default(),
        GpuOptions {
            body: Some(Body::Registers),
            windows: Some(false),
            ..GpuOptions::default()
        },
        GpuOptions {
            body: Some(Body::Shared),
            ..GpuOptions::default()
        },
    ];
    for gpu in forms.iter().flat_map(striate_cases::devices::gpus) {
        let mut g = Graph::new();
        // Infinity at column 8, which the taps of outputs 5 to 8 see.
        let mut ones = vec![1.0; 256 * 16 * 16];
        ones[8] = f32::INFINITY;
        let x = Tensor::f32([1, 256, 16, 16], ones).unwrap();
        let x = g.constant(x).unwrap();
        let weight = g.fill([8, 256, 4, 4], 1.0).unwrap();
        let y = g.conv2d(x, weight, None, Conv2d::default()).unwrap();
        // The first tap of the first place sees padding, and infinity in dy.
        let mut ones = vec![1.0; 864 * 4 * 16 * 16];
        ones[0] = f32::INFINITY;
        let dy = Tensor::f32([864, 4, 16, 16], ones).unwrap();
        let dy = g.constant(dy).unwrap();
        let x = g.fill([864, 2, 16, 16], 1.0).unwrap();
        let filters = g.fill([4, 2, 3, 3], 1.0).unwrap();
        let same = Conv2d::new().padding(1);
        let long = g.conv2d(x, filters, None, same).unwrap();
        let dweight = gradients_from(&mut g, &[(long, dy)], &[filters]).unwrap()[0].unwrap();
        let store = Store::new(&Engine::from(gpu.clone()), &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &[y, dweight]).unwrap();
        session.run(1).unwrap();
        let y = session.read(y).unwrap();
        for (i, &y) in y.as_f32().unwrap().iter().enumerate() {
            let (row, column) = (i / 13 % 13, i % 13);
            let right = match (row, column) {
                (0, 5..=8) => f32::INFINITY,
                _ => 4096.0,
            };
            assert_eq!(y, right, "y {row}, {column}: {gpu:?}");
        }
        let dweight = session.read(dweight).unwrap();
        for (i, &sum) in dweight.as_f32().unwrap().iter().enumerate() {
            let (filter, row, column) = (i / 18, i / 3 % 3, i % 3);
            let seen = |tap: usize| if tap == 1 { 16 } else { 15 };
            let right = match (filter, row, column) {
                (0, 1.., 1..) => f32::INFINITY,
                _ => (864 * seen(row) * seen(column)) as f32,
            };
            assert_eq!(sum, right, "dweight {filter}, {row}, {column}: {gpu:?}");
        }
    }
}

/// Checks one random case. All of them share their devices, so that only the first shapes compile
/// pipelines.
fn check(case: Case) -> TestCaseResult {
    static ADAPTERS: OnceLock<Vec<Adapter>> = OnceLock::new();
    let mut tally = Tally::new(ADAPTERS.get_or_init(adapters));
    tally.check(std::slice::from_ref(&case));
    prop_assert!(tally.wrong.is_empty(), "{}", tally.wrong.join("\n"));
    for row in &tally.adapters {
        prop_assert!(row.unsupported.is_none(), "{:?}", row.unsupported);
    }
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
        ConvTranspose<D>: Into<ConvTransposeWalk>,
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
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

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
        striate_cases::pool::max(shape, pool),
        striate_cases::pool::max_in_plane(shape, pool),
        striate_cases::pool::average(plain_shape, plain, count_include_pad, None),
    ]
}
