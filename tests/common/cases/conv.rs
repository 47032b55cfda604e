//! Convolutions.

use striate::check::{Bound, Case, real};
use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{Conv2d, Conv2dForward, Conv2dGradInput, Conv2dGradWeight};

use super::ENDS;

/// A convolution's case: x `[n, c, h, w]`, `o` filters of `r` x `s`.
pub fn convolution(x: [usize; 4], [o, r, s]: [usize; 3], bias: bool, conv: Conv2d) -> Case {
    let [n, c, h, w] = x;
    let per_group = c / conv.groups;
    let k = per_group * r * s + 1;
    let longest = k.max(n * h * w).max(o * r * s);
    let Conv2d {
        stride,
        padding,
        dilation,
        groups,
    } = conv;
    let name = format!(
        "conv2d/{n}x{c}x{h}x{w}-{o}k{r}x{s}s{}x{}p{},{},{},{}d{}x{}g{groups}{}",
        stride[0],
        stride[1],
        padding[0],
        padding[1],
        padding[2],
        padding[3],
        dilation[0],
        dilation[1],
        if bias { "b" } else { "" }
    );
    let mut inputs = vec![real(x), real([o, per_group, r, s])];
    let mut wrt = vec![0, 1];
    if bias {
        inputs.push(real([o]));
        wrt.push(2);
    }
    let case = Case::new(name, inputs, move |g, v| {
        Ok(vec![g.conv2d(v[0], v[1], v.get(2).copied(), conv)?])
    })
    .bound(Bound::Sum { k })
    .gradients(&wrt, Bound::Sum { k: longest });
    if bias { case } else { case.linear() }
}

pub fn conv2d() -> Vec<Case> {
    let plain = Conv2d::default;
    let mut cases = vec![
        convolution([1, 1, 1, 1], [1, 1, 1], false, plain()),
        convolution([2, 1, 28, 28], [6, 5, 5], true, Conv2d::padding(2)),
        convolution([3, 6, 14, 14], [16, 5, 5], true, plain()),
        convolution([1, 3, 5, 5], [2, 5, 5], false, plain()),
        convolution([0, 3, 5, 5], [2, 3, 3], false, plain()),
    ];
    for (n, c, h, w) in [(1, 1, 7, 9), (2, 3, 8, 5), (1, 8, 13, 11), (3, 5, 6, 17)] {
        for (o, r, s) in [(1, 1, 1), (4, 3, 3), (9, 2, 3), (17, 5, 1)] {
            for stride in [[1, 1], [2, 2], [1, 3]] {
                for padding in [[0, 0, 0, 0], [1, 1, 1, 1], [0, 2, 1, 0]] {
                    let fits = h + padding[0] + padding[1] >= r && w + padding[2] + padding[3] >= s;
                    if fits {
                        let conv = Conv2d {
                            stride,
                            padding,
                            ..plain()
                        };
                        cases.push(convolution([n, c, h, w], [o, r, s], false, conv));
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
                padding: [2, 1, 1, 2],
                groups: 1,
            };
            cases.push(convolution([2, 4, 11, 12], [8, 3, 3], true, conv));
        }
    }
    for (c, o, groups) in [(4, 4, 2), (6, 9, 3), (8, 8, 8), (5, 10, 5), (8, 16, 2)] {
        for stride in [[1, 1], [2, 2]] {
            let conv = Conv2d {
                groups,
                stride,
                ..Conv2d::padding(1)
            };
            cases.push(convolution([2, c, 9, 10], [o, 3, 3], true, conv));
        }
    }
    cases.extend(conv2d_kernels());
    cases
}

/// One of a convolution's three ops by itself, with what may follow it: `c` channels to `o`, kernel 1 x `s` or, at stride 1, `s` x `s`.
/// At another stride the columns of the kernel lie as far apart.
fn conv2d_kernel(
    [n, h, w]: [usize; 3],
    [c, o, s]: [usize; 3],
    stride: usize,
    (bias, relu, mask): (bool, bool, bool),
) -> Case {
    let kernel = [if stride == 1 { s } else { 1 }, s];
    let before = kernel[0] / 2;
    let conv = Conv2d {
        stride: [1, stride],
        padding: [before, kernel[0] - 1 - before, 0, (s - 1) * stride],
        dilation: [1, stride],
        groups: 1,
    };
    let columns = w.div_ceil(stride);
    let (x, y) = ([n, c, h, w], [n, o, h, columns]);
    let weight = real([o, c, kernel[0], s]);
    let taps = kernel[0] * s;
    let name = format!("{x:?}-{o}k{kernel:?}s{stride}");
    if mask {
        let op = Conv2dGradInput {
            conv,
            input: [h, w],
            mask,
        };
        let inputs = vec![real(y), weight, real(x)];
        let build =
            move |g: &mut Graph, v: &[Value]| -> Result<Vec<Value>> { Ok(vec![g.add1(op, v)?]) };
        return Case::new(format!("conv2d_grad_input/mask/{name}"), inputs, build)
            .bound(Bound::Sum { k: o * taps });
    }
    let op = Conv2dForward { conv, bias, relu };
    let mut inputs = vec![real(x), weight];
    inputs.extend(bias.then(|| real([o])));
    let build =
        move |g: &mut Graph, v: &[Value]| -> Result<Vec<Value>> { Ok(vec![g.add1(op, v)?]) };
    Case::new(
        format!("conv2d/bias {bias} relu {relu}/{name}"),
        inputs,
        build,
    )
    .bound(Bound::Sum { k: c * taps + 1 })
}

/// Sizes that reach every variant of the kernels of convolutions with every end.
fn conv2d_kernels() -> Vec<Case> {
    let mut cases = Vec::new();
    for end in ENDS {
        // Channels that are written come second; the gradient of the input writes those that the convolution reads.
        let channels = |out: usize, s: usize| if end.2 { [out, 2, s] } else { [2, out, s] };
        for s in [3, 5] {
            for w in [8, 12, 16] {
                cases.push(conv2d_kernel([1, 4, w], channels(8, s), 1, end));
            }
        }
        for s in [1, 3, 5] {
            for (w, out) in [(7, 3), (7, 7), (15, 5)] {
                cases.push(conv2d_kernel([2, 3, w], channels(out, s), 1, end));
            }
            if !end.2 {
                for out in [3, 5] {
                    cases.push(conv2d_kernel([2, 3, 13], channels(out, s), 2, end));
                }
            }
        }
        // Enough tiles for the larger of the shared ones.
        cases.push(conv2d_kernel([2, 64, 64], channels(64, 1), 1, end));
    }
    let input = Conv2dGradInput {
        conv: Conv2d::default(),
        input: [64, 64],
        mask: false,
    };
    cases.push(
        Case::new(
            "conv2d_grad_input/64 channels",
            vec![real([2, 1, 64, 64]), real([1, 64, 1, 1])],
            move |g, v| Ok(vec![g.add1(input, v)?]),
        )
        .bound(Bound::Sum { k: 1 }),
    );
    let weight = Conv2dGradWeight {
        conv: Conv2d::default(),
        kernel: [1, 1],
    };
    cases.push(
        Case::new(
            "conv2d_grad_weight/704 to 768 channels",
            vec![real([3, 704, 1, 1]), real([3, 768, 1, 1])],
            move |g, v| Ok(vec![g.add1(weight, v)?]),
        )
        .bound(Bound::Sum { k: 3 }),
    );
    cases
}
