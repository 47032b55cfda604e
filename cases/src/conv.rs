//! Convolutions.

use striate::autodiff::gradients_from;
use striate::check::{Bound, Case, Draw, Input, drawn, real};
use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{
    Conv, Conv1d, Conv2d, Conv3d, ConvForward, ConvGradInput, ConvGradWeight, ConvTranspose,
    ConvTransposeWalk, ConvWalk,
};
use striate::shape::PaddingMode;

use super::ENDS;

const MODES: [PaddingMode; 4] = [
    PaddingMode::Zeros,
    PaddingMode::Reflect,
    PaddingMode::Replicate,
    PaddingMode::Circular,
];

fn list<T: std::fmt::Debug>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(|v| format!("{v:?}")).collect();
    values.join("x")
}

fn conv_name<const D: usize>(
    x: &[usize],
    filters: usize,
    kernel: [usize; D],
    bias: bool,
    conv: Conv<D>,
) -> String {
    format!(
        "{}-{filters}k{} s{} d{} p{} g{} {:?}{}",
        list(x),
        list(&kernel),
        list(&conv.stride),
        list(&conv.dilation),
        list(&conv.padding),
        conv.groups,
        conv.padding_mode,
        if bias { " bias" } else { "" }
    )
}

/// Windows along each axis.
fn windows<const D: usize>(x: &[usize], kernel: [usize; D], conv: Conv<D>) -> [usize; D] {
    std::array::from_fn(|axis| {
        let [before, after] = conv.padding[axis];
        let span = conv.dilation[axis] * (kernel[axis] - 1) + 1;
        (x[2 + axis] + before + after - span) / conv.stride[axis] + 1
    })
}

/// The most products that are summed in a convolution or in one of its gradients.
fn longest<const D: usize>(
    x: &[usize],
    filters: usize,
    kernel: [usize; D],
    conv: Conv<D>,
) -> usize {
    let taps: usize = kernel.iter().product();
    // An element may stand in the padding too.
    let places: usize = conv.padding.iter().map(|[a, b]| 1 + a + b).product();
    let windows: usize = windows(x, kernel, conv).iter().product();
    let to_input = filters * taps * places;
    (x[1] * taps + 1).max(to_input).max(x[0] * windows)
}

/// A convolution's case: x `[n, c, ..]` and filters with this kernel.
pub fn convolution<const D: usize>(
    x: &[usize],
    filters: usize,
    kernel: [usize; D],
    bias: bool,
    conv: Conv<D>,
) -> Case
where
    Conv<D>: Into<ConvWalk>,
{
    let per_group = x[1] / conv.groups;
    let taps: usize = kernel.iter().product();
    let weight = [&[filters, per_group], &kernel[..]].concat();
    let mut inputs = vec![real(x), real(weight)];
    let mut wrt = vec![0, 1];
    if bias {
        inputs.push(real([filters]));
        wrt.push(2);
    }
    let name = format!("conv{D}d/{}", conv_name(x, filters, kernel, bias, conv));
    let case = Case::new(name, inputs, move |g, v| {
        Ok(vec![g.conv(v[0], v[1], v.get(2).copied(), conv)?])
    })
    .bound(Bound::Sum {
        k: per_group * taps + 1,
    })
    .gradients(
        &wrt,
        Bound::Sum {
            k: longest(x, filters, kernel, conv),
        },
    );
    if bias { case } else { case.linear() }
}

/// A transposed convolution's case: x `[n, c, ..]` to `outs` channels.
pub fn transposed<const D: usize>(
    x: &[usize],
    outs: usize,
    kernel: [usize; D],
    bias: bool,
    conv: ConvTranspose<D>,
) -> Case
where
    ConvTranspose<D>: Into<ConvTransposeWalk>,
{
    let taps: usize = kernel.iter().product();
    let weight = [&[x[1], outs / conv.groups], &kernel[..]].concat();
    let mut inputs = vec![real(x), real(weight)];
    let mut wrt = vec![0, 1];
    if bias {
        inputs.push(real([outs]));
        wrt.push(2);
    }
    let name = format!(
        "conv_transpose{D}d/{}-{outs}k{} s{} d{} p{} o{} g{}{}",
        list(x),
        list(&kernel),
        list(&conv.stride),
        list(&conv.dilation),
        list(&conv.padding),
        list(&conv.output_padding),
        conv.groups,
        if bias { " bias" } else { "" }
    );
    // The extents of y, from above.
    let y: usize = (0..D)
        .map(|axis| x[2 + axis] * conv.stride[axis] + kernel[axis] * conv.dilation[axis] + 1)
        .product();
    let k = (x[1] * taps + 1).max(outs * taps).max(x[0] * y);
    let case = Case::new(name, inputs, move |g, v| {
        Ok(vec![g.conv_transpose(
            v[0],
            v[1],
            v.get(2).copied(),
            conv,
        )?])
    })
    .bound(Bound::Sum {
        k: x[1] / conv.groups * taps + 1,
    })
    .gradients(&wrt, Bound::Sum { k });
    if bias { case } else { case.linear() }
}

/// Images larger than a window of a uniform binding: the gradient of the weight then takes two
/// channels at a time. An odd number of channels, several images, groups, chunks of filters, and
/// kernels that take several bands and runs of taps.
fn large_images() -> Vec<Case> {
    let mut cases = Vec::new();
    for (x, filters, groups, kernel, stride) in [
        ([1, 3, 75, 75], 5, 1, [1, 1], [1, 1]),
        ([1, 3, 75, 75], 5, 1, [2, 3], [2, 1]),
        ([1, 3, 75, 75], 5, 1, [3, 3], [1, 1]),
        ([2, 6, 76, 76], 18, 2, [1, 1], [1, 1]),
        ([1, 3, 76, 76], 5, 1, [2, 3], [2, 1]),
        ([2, 3, 76, 76], 9, 1, [3, 3], [1, 1]),
        ([1, 3, 76, 76], 5, 1, [4, 4], [1, 1]),
        ([1, 3, 76, 76], 5, 1, [3, 7], [1, 1]),
        ([1, 3, 76, 76], 5, 1, [1, 1], [2, 2]),
        ([2, 3, 76, 76], 5, 1, [3, 3], [2, 2]),
        ([1, 1, 130, 130], 3, 1, [3, 3], [1, 1]),
        // As large as a window, and with a chunk of weights as large.
        ([2, 16, 32, 32], 5, 1, [3, 3], [1, 1]),
        ([1, 2048, 2, 4], 8, 1, [1, 1], [1, 1]),
    ] {
        let conv = Conv2d {
            stride,
            groups,
            ..Conv2d::new().padding(kernel[0] / 2)
        };
        cases.extend([false, true].map(|bias| convolution(&x, filters, kernel, bias, conv)));
    }
    cases
}

/// Sums of more terms than one loop takes turns: of the weight along a row, of the input over
/// filters, forward over channels and over the taps of a window.
fn long() -> Vec<Case> {
    let named = |mut case: Case| {
        case.name = case.name.replacen('/', "/long/", 1);
        case
    };
    let row = 70_010;
    let one = Conv1d::default();
    let dilated = Conv1d {
        dilation: [2],
        ..Conv1d::new().padding(1)
    };
    let mut cases = vec![
        convolution(&[1, 1, row], 2, [1], false, one),
        convolution(&[1, 1, row], 2, [3], true, dilated),
        convolution(
            &[1, 1, 2 * row],
            1,
            [2],
            false,
            Conv1d { stride: [2], ..one },
        ),
        convolution(&[1, 2, row], 2, [2], false, Conv1d { groups: 2, ..one }),
        convolution(&[1, 2, row], 4, [1], false, Conv1d { groups: 2, ..one }),
        convolution(&[1, row, 1], 1, [1], true, one),
        convolution(&[1, 1, 1], row, [1], false, one),
        convolution(&[1, 1, row, 1], 1, [2, 1], false, Conv2d::default()),
        convolution(&[1, row, 1, 1], 2, [1, 1], true, Conv2d::default()),
        convolution(&[1, 1, 1, 1], row, [1, 1], false, Conv2d::default()),
        convolution(&[1, 1, 1, 2, row], 1, [1, 2, 1], false, Conv3d::default()),
        transposed(&[1, row, 1], 1, [1], true, ConvTranspose::<1>::default()),
        transposed(&[1, 1, row], 1, [2], false, ConvTranspose::<1>::default()),
        transposed(
            &[1, row, 1, 1],
            1,
            [1, 1],
            true,
            ConvTranspose::<2>::default(),
        ),
        transposed(
            &[1, 1, row, 1],
            1,
            [2, 1],
            false,
            ConvTranspose::<2>::default(),
        ),
        transposed(
            &[1, row, 1, 1, 1],
            1,
            [1, 1, 1],
            false,
            ConvTranspose::<3>::default(),
        ),
        transposed(
            &[1, 1, 1, 2, row],
            1,
            [1, 2, 1],
            false,
            ConvTranspose::<3>::default(),
        ),
    ];
    for padding_mode in [PaddingMode::Circular, PaddingMode::Replicate] {
        let conv = Conv1d {
            padding_mode,
            ..dilated
        };
        cases.push(convolution(&[1, 1, row], 1, [3], false, conv));
    }
    // An element at so many places of the padding; and a window as large as x, each tap of which
    // sees one element of dx.
    let edge = Conv1d {
        padding: [[0, row]],
        padding_mode: PaddingMode::Replicate,
        ..one
    };
    cases.push(convolution(&[1, 1, 1], 1, [1], false, edge));
    let window = convolution(&[1, 1, 265, 265], 1, [265, 265], false, Conv2d::default());
    // The same of two groups, by quads.
    let pair = Conv2d {
        groups: 2,
        ..Conv2d::default()
    };
    let quads = convolution(&[1, 2, 265, 268], 2, [265, 265], false, pair);
    cases.extend([window, quads].map(|case| Case {
        wrt: vec![1],
        ..case
    }));
    cases.into_iter().map(named).collect()
}

pub(super) fn conv() -> Vec<Case> {
    let mut cases = conv2d();
    cases.extend(conv2d_kernels());
    cases.extend(grid([3, 4], [7], [3], [[1], [2]], [[1], [2]]));
    cases.extend(grid(
        [2, 4],
        [5, 4],
        [3, 2],
        [[1, 1], [2, 3]],
        [[1, 1], [1, 2]],
    ));
    let (strides, dilations) = ([[1, 1, 1], [2, 1, 2]], [[1, 1, 1], [1, 2, 1]]);
    cases.extend(grid([2, 4], [3, 4, 3], [2, 3, 2], strides, dilations));
    cases.extend(transposed_grid([4], [3], [[1], [2]], [[1], [2]]));
    cases.extend(transposed_grid(
        [3, 4],
        [2, 3],
        [[1, 1], [3, 2]],
        [[1, 1], [2, 1]],
    ));
    cases.extend(transposed_grid([2, 3, 2], [3, 2, 2], strides, dilations));
    cases.extend(large_images());
    cases.extend(edges());
    cases.extend(long());
    cases.extend(beside());
    cases.extend(big_strides());
    cases.extend(every_padding());
    cases.extend(second_order());
    cases.extend(special());
    cases.extend(special_transposed());
    cases.extend(depthwise());
    cases
}

/// The whole grid over one number of axes: stride x dilation x groups x padding mode x bias x
/// symmetric or asymmetric padding.
fn grid<const D: usize>(
    [n, channels]: [usize; 2],
    extents: [usize; D],
    kernel: [usize; D],
    strides: [[usize; D]; 2],
    dilations: [[usize; D]; 2],
) -> Vec<Case>
where
    Conv<D>: Into<ConvWalk>,
{
    let even = [[1, 1]; D];
    let uneven = std::array::from_fn(|axis| if axis % 2 == 0 { [2, 0] } else { [0, 1] });
    let mut cases = Vec::new();
    for stride in strides {
        for dilation in dilations {
            // One group, two of several channels, one for each channel.
            for (c, o, groups) in [(2, 3, 1), (channels, 6, 2), (3, 3, 3)] {
                for padding_mode in MODES {
                    for padding in [even, uneven] {
                        for bias in [false, true] {
                            let conv = Conv {
                                stride,
                                padding,
                                dilation,
                                groups,
                                padding_mode,
                            };
                            let x = [&[n, c], &extents[..]].concat();
                            cases.push(convolution(&x, o, kernel, bias, conv));
                        }
                    }
                }
            }
        }
    }
    cases
}

/// The whole grid of transposed convolutions over one number of axes, every other one with a bias.
fn transposed_grid<const D: usize>(
    extents: [usize; D],
    kernel: [usize; D],
    strides: [[usize; D]; 2],
    dilations: [[usize; D]; 2],
) -> Vec<Case>
where
    ConvTranspose<D>: Into<ConvTransposeWalk>,
{
    let uneven = std::array::from_fn(|axis| if axis % 2 == 0 { [1, 0] } else { [0, 1] });
    let mut cases = Vec::new();
    for stride in strides {
        for dilation in dilations {
            for (c, outs, groups) in [(3, 2, 1), (4, 6, 2), (3, 3, 3)] {
                for padding in [[[0, 0]; D], uneven] {
                    for most in [0, 1, 2] {
                        // Up to what PyTorch permits.
                        let output_padding: [usize; D] = std::array::from_fn(|axis| {
                            most.min(stride[axis].max(dilation[axis]) - 1)
                        });
                        if most > 0 && output_padding.iter().all(|&more| more < most) {
                            continue;
                        }
                        let conv = ConvTranspose {
                            stride,
                            padding,
                            output_padding,
                            dilation,
                            groups,
                        };
                        let x = [&[2, c], &extents[..]].concat();
                        let bias = cases.len() % 2 == 1;
                        cases.push(transposed(&x, outs, kernel, bias, conv));
                    }
                }
            }
        }
    }
    cases
}

/// Zero images, extents of 1, kernels as large as the padded input, primes, helpers, padding as
/// large as its mode permits.
fn edges() -> Vec<Case> {
    let mut cases = Vec::new();
    for padding_mode in MODES {
        let padded = |padding: usize| Conv1d {
            padding_mode,
            ..Conv1d::new().padding(padding)
        };
        cases.push(convolution(&[0, 2, 5], 3, [3], true, padded(2)));
        cases.push(convolution(&[2, 0, 5], 3, [3], true, padded(2)));
        // Gradients of the weight and of the bias, each without the other.
        for wrt in [1, 2] {
            let mut case = convolution(&[3, 2, 5], 3, [3], true, padded(2));
            case.name
                .push_str(["", "/weight alone", "/bias alone"][wrt]);
            cases.push(case.gradients(&[wrt], Bound::Sum { k: 64 }));
        }
        // As large as permitted, and a kernel that takes all.
        cases.push(convolution(&[2, 2, 5], 3, [13], false, padded(4)));
        cases.push(convolution(&[1, 1, 13], 1, [37], true, padded(12)));
        let one = if padding_mode == PaddingMode::Reflect {
            0
        } else {
            1
        };
        cases.push(convolution(&[3, 2, 1], 2, [1 + 2 * one], true, padded(one)));
        let flat = Conv2d {
            padding: [[one, one], [3, 2]],
            stride: [1, 3],
            padding_mode,
            ..Conv2d::default()
        };
        cases.push(convolution(&[2, 3, 1, 11], 5, [1, 4], true, flat));
        let deep = Conv3d {
            padding: [[1, 1], [2, 2], [4, 4]],
            padding_mode,
            ..Conv3d::default()
        };
        cases.push(convolution(&[2, 1, 2, 3, 5], 2, [4, 7, 13], false, deep));
        cases.push(convolution(&[0, 1, 2, 3, 5], 2, [2, 2, 2], true, deep));
        let same = Conv3d {
            dilation: [2, 1, 1],
            padding_mode,
            ..Conv3d::default()
        };
        cases.push(convolution(
            &[1, 7, 5, 7, 3],
            11,
            [2, 3, 4],
            true,
            same.same([2, 3, 4]),
        ));
        // Depthwise with several filters per channel.
        let wide = Conv2d {
            groups: 3,
            padding_mode,
            ..Conv2d::new().padding(2)
        };
        cases.push(convolution(&[2, 3, 7, 13], 15, [5, 5], true, wide));
        let deep = Conv1d {
            groups: 17,
            stride: [2],
            ..padded(3)
        };
        cases.push(convolution(&[3, 17, 23], 17, [5], true, deep));
    }
    cases.push(convolution(
        &[2, 3, 1, 1, 1],
        2,
        [1, 1, 1],
        true,
        Conv3d::default(),
    ));
    cases.push(convolution(
        &[1, 2, 4, 5, 6],
        3,
        [4, 5, 6],
        true,
        Conv3d::default(),
    ));
    cases.push(convolution(
        &[2, 3, 1, 7, 5],
        4,
        [1, 3, 3],
        true,
        Conv3d::default(),
    ));
    cases.push(convolution(
        &[5, 3, 19],
        7,
        [1],
        false,
        Conv1d::default().same([1]),
    ));
    cases.push(convolution(
        &[2, 2, 19],
        7,
        [8],
        true,
        Conv1d::new().padding(1).valid(),
    ));
    let one = ConvTranspose::<2>::default;
    cases.push(transposed(&[2, 3, 1, 1], 5, [1, 1], true, one()));
    cases.push(transposed(&[0, 3, 4, 5], 5, [3, 3], true, one()));
    let far = ConvTranspose {
        stride: [5, 4],
        output_padding: [4, 3],
        ..one()
    };
    cases.push(transposed(&[2, 3, 2, 3], 5, [2, 3], true, far));
    // Nothing but output padding is left.
    let cut = ConvTranspose {
        padding: [[2, 1], [1, 1]],
        output_padding: [1, 1],
        dilation: [1, 2],
        stride: [2, 1],
        ..one()
    };
    cases.push(transposed(&[2, 2, 1, 1], 2, [3, 2], true, cut));
    cases
}

/// A depth of one element or none, padded so that windows see it at another place than the first or
/// see only padding; empty axes.
fn beside() -> Vec<Case> {
    let mut cases = Vec::new();
    for (depth, stride, padding) in [
        (1, 2, [1, 0]),
        (1, 3, [1, 1]),
        (1, 2, [2, 0]),
        (1, 3, [0, 1]),
        (0, 1, [1, 0]),
        (0, 2, [1, 1]),
    ] {
        for (c, o, groups) in [(3, 4, 1), (4, 6, 2), (3, 3, 3)] {
            for kernel in [1, 3] {
                let conv = Conv3d {
                    stride: [stride, 1, 1],
                    padding: [padding, [1, 1], [1, 1]],
                    groups,
                    ..Conv3d::default()
                };
                let x = [2, c, depth, 4, 4];
                cases.push(convolution(&x, o, [1, kernel, kernel], true, conv));
                cases.push(convolution(&x, o, [1, kernel, kernel], false, conv));
            }
        }
    }
    for (stride, padding, output_padding) in [
        (2, [1, 0], 1),
        (3, [1, 1], 2),
        (3, [2, 0], 2),
        (2, [0, 1], 1),
    ] {
        for (c, outs, groups) in [(3, 4, 1), (4, 6, 2), (3, 3, 3)] {
            for bias in [false, true] {
                let conv = ConvTranspose {
                    stride: [stride, 1, 2],
                    padding: [padding, [1, 1], [0, 1]],
                    output_padding: [output_padding, 0, 1],
                    groups,
                    ..ConvTranspose::<3>::default()
                };
                cases.push(transposed(&[2, c, 1, 4, 3], outs, [1, 3, 3], bias, conv));
                cases.push(transposed(&[2, c, 1, 4, 3], outs, [1, 1, 1], bias, conv));
            }
        }
    }
    let wide = Conv2d {
        stride: [1, 2],
        padding: [[1, 1], [1, 2]],
        ..Conv2d::default()
    };
    for bias in [false, true] {
        let line = Conv1d::new().padding(2);
        cases.push(convolution(&[2, 3, 0], 4, [3], bias, line));
        for [h, w] in [[0, 5], [5, 0], [0, 0]] {
            cases.push(convolution(&[2, 3, h, w], 4, [2, 3], bias, wide));
        }
    }
    cases
}

/// Strides with many residue classes: patches, and more than the input has elements.
fn big_strides() -> Vec<Case> {
    let step = |stride: usize, padding: usize| Conv2d {
        stride: [stride; 2],
        ..Conv2d::new().padding(padding)
    };
    let up = |stride: usize| ConvTranspose {
        stride: [stride; 2],
        ..ConvTranspose::<2>::default()
    };
    let far = Conv1d {
        stride: [1000],
        dilation: [500],
        padding: [[2, 498]],
        ..Conv1d::default()
    };
    // One column, and one row, with strides at the edge of what a number holds: many terms.
    let column = Conv2d {
        stride: [1, 1 << 29],
        ..Conv2d::new()
    };
    let row = Conv2d {
        stride: [(1 << 31) - 1, 1],
        ..Conv2d::new()
    };
    vec![
        convolution(&[1, 1, 300, 5], 1, [1, 1], false, column),
        convolution(&[300, 1, 2, 8], 1, [2, 1], false, row),
        convolution(&[2, 3, 32, 32], 4, [16, 16], true, step(16, 0)),
        convolution(&[1, 2, 19, 21], 3, [9, 10], false, step(9, 1)),
        convolution(&[2, 2, 5, 5], 3, [3, 3], true, step(1000, 2)),
        convolution(&[2, 2, 5], 3, [2], true, far),
        transposed(&[1, 2, 2, 2], 3, [32, 32], true, up(32)),
        transposed(&[1, 2, 2, 3], 3, [2, 1], true, up(9)),
    ]
}

/// All paddings that a mode permits of small extents, one convolution each, whose gradient is the
/// inverse of the padding.
fn every_padding() -> Vec<Case> {
    let mut cases = Vec::new();
    for padding_mode in MODES {
        for extent in 1..=4 {
            let most = match padding_mode {
                PaddingMode::Reflect => extent - 1,
                PaddingMode::Circular => extent,
                PaddingMode::Zeros | PaddingMode::Replicate => extent + 1,
            };
            let build = move |g: &mut Graph, v: &[Value]| -> Result<Vec<Value>> {
                let mut outputs = Vec::new();
                for before in 0..=most {
                    for after in 0..=most {
                        let conv = Conv1d {
                            padding: [[before, after]],
                            padding_mode,
                            ..Conv1d::default()
                        };
                        outputs.push(g.conv1d(v[0], v[1], None, conv)?);
                    }
                }
                Ok(outputs)
            };
            let inputs = vec![real([1, 1, extent]), real([1, 1, 1])];
            let name = format!("conv1d/every padding of {extent}/{padding_mode:?}");
            let terms = (most + 1) * (most + 1) * (2 * most + extent);
            cases.push(
                Case::new(name, inputs, build)
                    .bound(Bound::Sum { k: 1 })
                    .gradients(&[0, 1], Bound::Sum { k: terms })
                    .linear(),
            );
        }
    }
    cases
}

/// Gradients of x, the weight and the bias, as outputs, of a convolution of x by the weight: inputs
/// x, weight, dy, and a bias, which is drawn here.
fn gradients_of<const D: usize>(mut inputs: Vec<Input>, conv: Conv<D>, kind: &str) -> Case
where
    Conv<D>: Into<ConvWalk>,
{
    let extents = |input: &Input| input.ty.shape.to_vec();
    let (x, weight) = (extents(&inputs[0]), extents(&inputs[1]));
    let kernel: [usize; D] = std::array::from_fn(|axis| weight[2 + axis]);
    let k = longest(&x, weight[0], kernel, conv);
    let name = conv_name(&x, weight[0], kernel, true, conv);
    inputs.push(real([weight[0]]));
    Case::new(
        format!("conv{D}d/{kind}/{name}"),
        inputs,
        move |g: &mut Graph, v: &[Value]| -> Result<Vec<Value>> {
            let y = g.conv(v[0], v[1], Some(v[3]), conv)?;
            let found = gradients_from(g, &[(y, v[2])], &[v[0], v[1], v[3]])?;
            Ok(found.into_iter().flatten().collect())
        },
    )
    .bound(Bound::Sum { k })
}

/// The gradients of gradients.
fn second_order() -> Vec<Case> {
    let mut cases = Vec::new();
    for padding_mode in MODES {
        let one = Conv1d {
            stride: [2],
            padding_mode,
            ..Conv1d::new().padding(2)
        };
        let two = Conv2d {
            groups: 2,
            dilation: [1, 2],
            padding_mode,
            ..Conv2d::new().padding(1)
        };
        let three = Conv3d {
            stride: [1, 2, 1],
            padding_mode,
            ..Conv3d::new().padding(1)
        };
        let real = |shape: &[usize]| real(shape);
        let inputs = vec![real(&[2, 2, 5]), real(&[3, 2, 3]), real(&[2, 3, 4])];
        let bound = Bound::Sum { k: 200 };
        let wrt = [0, 1, 2];
        cases.push(gradients_of(inputs, one, "second order").gradients(&wrt, bound));
        let inputs = vec![
            real(&[2, 4, 4, 5]),
            real(&[6, 2, 3, 2]),
            real(&[2, 6, 4, 5]),
        ];
        cases.push(gradients_of(inputs, two, "second order").gradients(&wrt, bound));
        let inputs = vec![
            real(&[1, 2, 2, 3, 3]),
            real(&[2, 2, 2, 3, 2]),
            real(&[1, 2, 3, 2, 4]),
        ];
        cases.push(gradients_of(inputs, three, "second order").gradients(&wrt, bound));
    }
    cases
}

/// NaN and infinities in each operand: they reach the outputs that read them and no others,
/// whatever pads or fills up.
fn special() -> Vec<Case> {
    let mut cases = Vec::new();
    for at in 0..3 {
        let place = move |i: usize, shape: &[usize]| {
            drawn(shape, if i == at { Draw::Special } else { Draw::Real })
        };
        let kind = format!("special {at}");
        // Kernels whose rows fill runs of taps and leave some over, strides, channels and columns
        // that leave some over.
        for (c, o, [r, s], stride) in [
            (1, 6, [5, 5], 1),
            (2, 3, [3, 3], 1),
            (6, 9, [1, 7], 1),
            (3, 5, [4, 2], 1),
            (2, 2, [3, 3], 2),
            (3, 4, [7, 7], 2),
            (1, 1, [1, 1], 1),
        ] {
            let conv = Conv2d {
                stride: [stride; 2],
                padding: [[r / 2, r / 2], [s / 2, s - 1 - s / 2]],
                ..Conv2d::default()
            };
            let x = [2, c, 8, 9];
            let y = windows(&x, [r, s], conv);
            let inputs = vec![
                place(0, &x),
                place(1, &[o, c, r, s]),
                place(2, &[2, o, y[0], y[1]]),
            ];
            cases.push(gradients_of(inputs, conv, &kind));
            let inputs = vec![place(0, &x), place(1, &[o, c, r, s]), place(2, &[o])];
            cases.push(
                Case::new(
                    format!("conv2d/{kind}/forward {c} {o} {r}x{s} {stride}"),
                    inputs,
                    move |g, v| {
                        let y = g.conv2d(v[0], v[1], Some(v[2]), conv)?;
                        Ok(vec![y, g.relu(y)?])
                    },
                )
                .bound(Bound::Sum { k: c * r * s + 1 }),
            );
        }
        // Rows that are written by single elements and by pairs, where channels fill those and
        // where they do not.
        if at < 2 {
            // x in storage.
            let case = conv2d_kernel([1, 1250, 8], [2, 3, 5], 1, PaddingMode::Zeros, ENDS[0]);
            cases.push(case.special(at));
        }
        for (o, w) in [(5, 8), (5, 9), (5, 10), (6, 10)] {
            for end in ENDS {
                let case = conv2d_kernel([2, 6, w], [3, o, 5], 1, PaddingMode::Zeros, end);
                if at < case.inputs.len() {
                    cases.push(case.special(at));
                }
            }
        }
        for padding_mode in MODES {
            for groups in [1, 3] {
                let conv = Conv2d {
                    groups,
                    padding_mode,
                    ..Conv2d::new().padding(1)
                };
                let inputs = vec![
                    place(0, &[2, 3, 5, 6]),
                    place(1, &[3, 3 / groups, 3, 3]),
                    place(2, &[2, 3, 5, 6]),
                ];
                cases.push(gradients_of(inputs, conv, &kind));
                let conv = Conv3d {
                    groups,
                    padding_mode,
                    ..Conv3d::new().padding(1)
                };
                let inputs = vec![
                    place(0, &[2, 3, 2, 3, 2]),
                    place(1, &[3, 3 / groups, 3, 3, 3]),
                ];
                cases.push(
                    Case::new(
                        format!("conv3d/{kind}/forward {groups} {padding_mode:?}"),
                        inputs,
                        move |g, v| Ok(vec![g.conv3d(v[0], v[1], None, conv)?]),
                    )
                    .bound(Bound::Sum { k: 82 }),
                );
            }
        }
    }
    cases
}

/// Groups of one channel whose rows are whole quads: taps that see elements from any place of a
/// quad on, of one quad and of several, and what may follow.
fn depthwise() -> Vec<Case> {
    let mut cases = Vec::new();
    for (x, kernel, padding) in [
        ([2, 3, 5, 8], [3, 3], [[1, 1], [1, 1]]),
        ([1, 5, 4, 12], [2, 5], [[0, 1], [2, 2]]),
        ([2, 2, 3, 4], [1, 1], [[0, 0], [0, 0]]),
        ([1, 3, 4, 8], [3, 9], [[2, 0], [6, 2]]),
        ([1, 2, 6, 16], [2, 5], [[0, 0], [0, 0]]),
        ([1, 2, 3, 8], [1, 4], [[0, 0], [3, 4]]),
        // In few turns a row of so many taps is cut.
        ([1, 2, 1, 64], [1, 40], [[0, 0], [20, 19]]),
    ] {
        for [stride, dilation] in [[1, 1], [1, 2], [2, 1]] {
            let conv = Conv2d {
                stride: [stride, 1],
                dilation: [dilation, 1],
                padding,
                groups: x[1],
                ..Conv2d::default()
            };
            let fits = x[2] + padding[0][0] + padding[0][1] > dilation * (kernel[0] - 1);
            if fits {
                cases.push(convolution(&x, x[1], kernel, stride == 1, conv));
            }
        }
    }
    let line = Conv1d {
        groups: 3,
        ..Conv1d::new().padding(1)
    };
    cases.push(convolution(&[2, 3, 8], 3, [3], true, line));
    let deep = Conv3d {
        groups: 3,
        dilation: [2, 1, 1],
        ..Conv3d::new().padding(1)
    };
    cases.push(convolution(&[2, 3, 3, 4, 8], 3, [2, 3, 3], false, deep));
    let back = ConvTranspose {
        groups: 3,
        padding: [[1, 1], [1, 0]],
        ..ConvTranspose::<2>::default()
    };
    for bias in [false, true] {
        cases.push(transposed(&[2, 3, 5, 4], 3, [3, 2], bias, back));
    }
    let plain = Conv2d {
        groups: 3,
        ..Conv2d::new().padding(1)
    };
    let [image, filters, one] = [&[2, 3, 5, 8][..], &[3, 1, 3, 3], &[3]];
    for (bias, relu) in [(false, false), (false, true), (true, false), (true, true)] {
        let op = ConvForward {
            conv: plain.into(),
            bias,
            relu,
        };
        let case = || {
            let mut inputs = vec![real(image), real(filters)];
            inputs.extend(bias.then(|| real(one)));
            let name = format!("conv2d/depthwise/bias {bias} relu {relu}");
            Case::new(name, inputs, move |g, v| g.apply(op, v)).bound(Bound::Sum { k: 10 })
        };
        cases.push(case());
        cases.extend((0..2 + usize::from(bias)).map(|at| case().special(at)));
    }
    let op = ConvGradInput {
        mask: true,
        ..grad_input(plain, [5, 8])
    };
    let masked = || {
        let inputs = vec![real(image), real(filters), real(image)];
        let name = "conv2d_grad_input/depthwise/mask".to_owned();
        Case::new(name, inputs, move |g, v| g.apply(op, v)).bound(Bound::Sum { k: 10 })
    };
    cases.push(masked());
    cases.extend((0..3).map(|at| masked().special(at)));
    cases
}

/// NaN and infinities in each operand of convolutions over one axis and of transposed ones, and in
/// the gradients of their outputs.
fn special_transposed() -> Vec<Case> {
    let mut cases = Vec::new();
    for padding_mode in MODES {
        let line = Conv1d {
            stride: [2],
            padding_mode,
            ..Conv1d::new().padding(2)
        };
        for at in 0..3 {
            cases.push(convolution(&[2, 3, 11], 4, [3], true, line).special(at));
        }
        cases.push(convolution(&[2, 3, 11], 4, [3], true, line).special_dy());
    }
    for groups in [1, 3] {
        let one = ConvTranspose {
            stride: [2],
            padding: [[1, 0]],
            output_padding: [1],
            groups,
            ..ConvTranspose::<1>::default()
        };
        let two = ConvTranspose {
            stride: [2, 1],
            padding: [[1, 0], [0, 1]],
            output_padding: [1, 0],
            groups,
            ..ConvTranspose::<2>::default()
        };
        let three = ConvTranspose {
            stride: [1, 2, 1],
            padding: [[1, 0], [0, 1], [0, 0]],
            output_padding: [0, 1, 0],
            groups,
            ..ConvTranspose::<3>::default()
        };
        let case = |axes| match axes {
            1 => transposed(&[2, 3, 7], 6, [3], true, one),
            2 => transposed(&[2, 3, 4, 5], 6, [3, 2], true, two),
            _ => transposed(&[2, 3, 3, 2, 3], 6, [2, 3, 2], true, three),
        };
        for axes in 1..=3 {
            cases.extend((0..3).map(|at| case(axes).special(at)));
            cases.push(case(axes).special_dy());
        }
    }
    cases
}

/// Sizes over two axes that reach the variants of the kernels with tiles.
fn conv2d() -> Vec<Case> {
    let plain = Conv2d::default;
    let mut cases = vec![
        convolution(&[1, 1, 1, 1], 1, [1, 1], false, plain()),
        convolution(&[2, 1, 28, 28], 6, [5, 5], true, Conv2d::new().padding(2)),
        convolution(&[3, 6, 14, 14], 16, [5, 5], true, plain()),
        convolution(&[1, 3, 5, 5], 2, [5, 5], false, plain()),
        convolution(&[3, 2, 6, 12], 8, [5, 5], false, plain()),
        convolution(&[0, 3, 5, 5], 2, [3, 3], false, plain()),
    ];
    for (n, c, h, w) in [(1, 1, 7, 9), (2, 3, 8, 5), (1, 8, 13, 11), (3, 5, 6, 17)] {
        for (o, r, s) in [(1, 1, 1), (4, 3, 3), (9, 2, 3), (17, 5, 1)] {
            for stride in [[1, 1], [2, 2], [1, 3]] {
                for padding in [[[0, 0], [0, 0]], [[1, 1], [1, 1]], [[0, 2], [1, 0]]] {
                    let fits = h + padding[0][0] + padding[0][1] >= r;
                    if fits && w + padding[1][0] + padding[1][1] >= s {
                        let conv = Conv2d {
                            stride,
                            padding,
                            ..plain()
                        };
                        cases.push(convolution(&[n, c, h, w], o, [r, s], false, conv));
                    }
                }
            }
        }
    }
    for dilation in [[2, 2], [1, 3], [3, 1]] {
        for stride in [[1, 1], [2, 1]] {
            let conv = Conv2d {
                dilation,
                stride,
                padding: [[2, 1], [1, 2]],
                ..plain()
            };
            cases.push(convolution(&[2, 4, 11, 12], 8, [3, 3], true, conv));
        }
    }
    for (c, o, groups) in [(4, 4, 2), (6, 9, 3), (8, 8, 8), (5, 10, 5), (8, 16, 2)] {
        for stride in [[1, 1], [2, 2]] {
            let conv = Conv2d {
                groups,
                stride,
                ..Conv2d::new().padding(1)
            };
            cases.push(convolution(&[2, c, 9, 10], o, [3, 3], true, conv));
        }
    }
    cases
}

/// One of a convolution's three ops by itself, with what may follow it: `c` channels to `o`, kernel
/// 1 x `s` or, at stride 1, `s` x `s`. At another stride the columns of the kernel lie as far
/// apart.
fn conv2d_kernel(
    [n, h, w]: [usize; 3],
    [c, o, s]: [usize; 3],
    stride: usize,
    padding_mode: PaddingMode,
    (bias, relu, mask): (bool, bool, bool),
) -> Case {
    let kernel = [if stride == 1 { s } else { 1 }, s];
    let before = kernel[0] / 2;
    let conv = Conv2d {
        stride: [1, stride],
        padding: [[before, kernel[0] - 1 - before], [0, (s - 1) * stride]],
        dilation: [1, stride],
        groups: 1,
        padding_mode,
    };
    let columns = w.div_ceil(stride);
    let (x, y) = ([n, c, h, w], [n, o, h, columns]);
    let weight = real([o, c, kernel[0], s]);
    let taps = kernel[0] * s;
    let name = format!("{x:?}-{o}k{kernel:?}s{stride} {padding_mode:?}");
    if mask {
        let op = ConvGradInput {
            mask,
            ..grad_input(conv, [h, w])
        };
        let inputs = vec![real(y), weight, real(x)];
        let build = move |g: &mut Graph, v: &[Value]| -> Result<Vec<Value>> { g.apply(op, v) };
        return Case::new(format!("conv2d_grad_input/mask/{name}"), inputs, build).bound(
            Bound::Sum {
                k: longest(&x, o, kernel, conv),
            },
        );
    }
    let op = ConvForward {
        conv: conv.into(),
        bias,
        relu,
    };
    let mut inputs = vec![real(x), weight];
    inputs.extend(bias.then(|| real([o])));
    let build = move |g: &mut Graph, v: &[Value]| -> Result<Vec<Value>> { g.apply(op, v) };
    Case::new(
        format!("conv2d/bias {bias} relu {relu}/{name}"),
        inputs,
        build,
    )
    .bound(Bound::Sum { k: c * taps + 1 })
}

/// The gradient of the input, of two extents, of a convolution.
pub fn grad_input(conv: Conv2d, [h, w]: [usize; 2]) -> ConvGradInput {
    ConvGradInput {
        conv: conv.into(),
        input: [1, h, w],
        mask: false,
        bias: false,
        transposed: false,
    }
}

/// Sizes that reach every variant of the kernels of convolutions with every end.
fn conv2d_kernels() -> Vec<Case> {
    let zeros = PaddingMode::Zeros;
    let mut cases = Vec::new();
    for end in ENDS {
        // Channels that are written come second; the gradient of the input writes those that the
        // convolution reads.
        let channels = |out: usize, s: usize| if end.2 { [out, 2, s] } else { [2, out, s] };
        for s in [3, 5] {
            for w in [6, 8, 10, 12, 14, 16] {
                cases.push(conv2d_kernel([1, 4, w], channels(8, s), 1, zeros, end));
            }
        }
        for s in [1, 3, 5] {
            for (w, out) in [(7, 3), (7, 7), (15, 5)] {
                cases.push(conv2d_kernel([2, 3, w], channels(out, s), 1, zeros, end));
            }
            if !end.2 {
                for out in [3, 5] {
                    cases.push(conv2d_kernel([2, 3, 13], channels(out, s), 2, zeros, end));
                }
            }
        }
        for s in [1, 3, 5] {
            for (w, out) in [
                (6, 3),
                (6, 8),
                (8, 3),
                (8, 8),
                (16, 8),
                (11, 7),
                (12, 7),
                (15, 8),
            ] {
                cases.push(conv2d_kernel([1, 3, w], channels(out, s), 1, zeros, end));
            }
            // Images larger than a window of a uniform binding.
            for w in [7, 8, 15, 16] {
                cases.push(conv2d_kernel(
                    [1, 10_000 / w, w],
                    channels(8, s),
                    1,
                    zeros,
                    end,
                ));
            }
            if !end.2 {
                cases.push(conv2d_kernel([1, 600, 16], channels(5, s), 2, zeros, end));
            }
        }
        // Enough tiles for the larger of the shared ones.
        cases.push(conv2d_kernel([2, 64, 64], channels(64, 1), 1, zeros, end));
        // Terms in whole blocks, of few taps and of many.
        for s in [3, 5] {
            let [c, o, s] = channels(5, s).map(|extent| if extent == 2 { 8 } else { extent });
            cases.push(conv2d_kernel([1, 4, 10], [c, o, s], 1, zeros, end));
        }
        for out in [1, 5] {
            let mode = PaddingMode::Replicate;
            cases.push(conv2d_kernel([2, 3, 7], channels(out, 3), 1, mode, end));
        }
    }
    let wide = ConvTranspose {
        stride: [1, 1],
        ..ConvTranspose::<2>::default()
    };
    for (w, outs) in [(8, 8), (12, 8), (16, 8), (7, 3), (7, 7), (15, 5)] {
        for s in [1, 3, 5] {
            // The columns that are written are w.
            let x = [1, 2, 4, w + 1 - s.min(w)];
            if x[3] > 0 {
                cases.push(transposed(&x, outs, [1, s], true, wide));
            }
        }
    }
    cases.push(transposed(&[1, 1, 2, 33], 64, [1, 1], true, wide));
    // One tap that sees every pixel, and rows and columns that none sees.
    let far = ConvTranspose {
        dilation: [2; 2],
        output_padding: [1; 2],
        ..wide
    };
    cases.push(transposed(&[2, 3, 3, 4], 5, [1, 1], true, far));
    for (channels, side) in [(8, 3), (8, 5), (2, 5)] {
        cases.push(transposed(&[1, channels, 4, 6], 5, [side; 2], true, wide));
    }
    cases.push(
        Case::new(
            "conv2d_grad_input/64 channels",
            vec![real([2, 1, 64, 64]), real([1, 64, 1, 1])],
            move |g, v| g.apply(grad_input(Conv2d::default(), [64, 64]), v),
        )
        .bound(Bound::Sum { k: 1 }),
    );
    let weight = ConvGradWeight {
        conv: Conv2d::default().into(),
        kernel: [1, 1, 1],
        bias: false,
    };
    cases.push(
        Case::new(
            "conv2d_grad_weight/704 to 768 channels",
            vec![real([3, 704, 1, 1]), real([3, 768, 1, 1])],
            move |g, v| g.apply(weight, v),
        )
        .bound(Bound::Sum { k: 3 }),
    );
    cases
}
