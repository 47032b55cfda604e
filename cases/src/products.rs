//! Convolutions with all that may follow them in one kernel, in both sizes of tile.

use striate::check::{Bound, Case, Draw, drawn, real};
use striate::ops::{Conv2d, ConvForward, ConvGradInput, ConvGradWeight};
use striate::shape::Shape;

use super::conv::{convolution, grad_input};
use super::{ENDS, end_name};

/// All of them. Large ones have enough tiles of 64 x 64 to fill a device, and few terms.
pub fn products() -> Vec<Case> {
    let mut cases = Vec::new();
    let conv = Conv2d::new().padding(1);
    // Input, filters.
    for (x, o) in [([2, 3, 9, 7], 5), ([2, 3, 64, 65], 40)] {
        let [n, c, h, w] = x;
        let k = c * 9 + 1;
        for (bias, relu, _) in ENDS.into_iter().filter(|end| !end.2) {
            let op = ConvForward {
                conv: conv.into(),
                bias,
                relu,
            };
            let mut inputs = vec![real(x), real([o, c, 3, 3])];
            if bias {
                inputs.push(real([o]));
            }
            let end = end_name((bias, relu, false));
            cases.push(
                Case::new(
                    format!("conv2d/tiles{end}/{x:?}x{o}"),
                    inputs,
                    move |g, v| g.apply(op, v),
                )
                .bound(Bound::Sum { k }),
            );
        }
        // The same extents the other way round: dx has o channels, dy has c.
        for mask in [false, true] {
            let op = ConvGradInput {
                mask,
                ..grad_input(conv, [h, w])
            };
            let mut inputs = vec![real([n, c, h, w]), real([c, o, 3, 3])];
            if mask {
                inputs.push(drawn([n, o, h, w], Draw::AwayFromZero));
            }
            let end = end_name((false, false, mask));
            cases.push(
                Case::new(
                    format!("conv2d_grad_input/tiles{end}/{x:?}x{o}"),
                    inputs,
                    move |g, v| g.apply(op, v),
                )
                .bound(Bound::Sum { k }),
            );
        }
    }
    for (x, o) in [
        ([3, 4, 6, 5], 5),
        ([2, 1024, 1, 2], 520),
        ([8, 3, 40, 40], 7),
    ] {
        let [n, c, h, w] = x;
        let op = ConvGradWeight {
            conv: Conv2d::default().into(),
            kernel: [1, 1, 1],
            bias: false,
        };
        let dy = Shape::from([n, o, h, w]);
        cases.push(
            Case::new(
                format!("conv2d_grad_weight/tiles/{x:?}x{o}"),
                vec![real([n, c, h, w]), real(dy)],
                move |g, v| g.apply(op, v),
            )
            .bound(Bound::Sum { k: n * h * w }),
        );
    }
    // Several of the largest tiles. Runs of terms are whole blocks, but of the last one only
    // forward. The kernels have few taps and many.
    for (x, filters, kernel, stride, groups) in [
        ([2, 8, 12, 12], 136, [3, 3], 1, 1),
        ([1, 8, 15, 16], 136, [3, 3], 2, 1),
        ([1, 16, 9, 23], 144, [7, 7], 2, 2),
        ([2, 136, 6, 6], 24, [1, 1], 1, 1),
        ([1, 8, 20, 4], 132, [5, 4], 1, 1),
        ([1, 8, 3, 20], 12, [1, 16], 1, 1),
    ] {
        let conv = Conv2d {
            stride: [stride; 2],
            groups,
            ..Conv2d::new().padding(kernel[0] / 2)
        };
        cases.push(convolution(&x, filters, kernel, true, conv));
    }
    cases
}
