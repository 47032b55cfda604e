//! Pooling over one, two or three axes: max with indices, mean, Lp, adaptive and global forms, max
//! unpooling.
//!
//! All but unpooling walk over [`Windows`]; their gradients are gathered, each element over the
//! windows that reach over it.

mod adaptive;
mod average;
mod average_kernels;
mod max;
mod max_grad;
mod max_kernels;
mod unpool;
mod windows;

use crate::kernel::{Dispatch, Kernel, Operand, Overrides};

pub use adaptive::{
    AdaptiveAvgPool, AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool,
    AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d,
};
pub use average::{
    Average, AveragePool, AveragePoolGrad, AvgPool, AvgPool1d, AvgPool2d, AvgPool3d, LpPool,
    LpPool1d, LpPool2d, LpPool3d,
};
pub use max::{Indices, MaxPool, MaxPool1d, MaxPool2d, MaxPool3d, MaxPoolForward};
pub use max_grad::{MaxPoolGather, MaxPoolGrad};
pub use unpool::{
    MaxUnpool, MaxUnpool1d, MaxUnpool2d, MaxUnpool3d, MaxUnpoolForward, MaxUnpoolGrad,
};
pub use windows::Windows;

const WORKGROUP: usize = 64;
const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

const fn gathering(adaptive: u32, cut: u32) -> [(&'static str, u32); 3] {
    [("adaptive", adaptive), ("cut", cut), ("workgroup_size", 64)]
}

/// How an invocation gathers windows: at equal steps or adaptive ones, whole or in pieces.
const GATHERING: [Overrides; 4] = [
    &gathering(0, 0),
    &gathering(1, 0),
    &gathering(0, 1),
    &gathering(1, 1),
];
/// Those of windows at equal steps.
const STRIDED_GATHERING: [Overrides; 2] = [GATHERING[0], GATHERING[2]];

fn gathers(windows: &Windows, cut: bool) -> Overrides {
    GATHERING[usize::from(windows.is_adaptive()) + 2 * usize::from(cut)]
}

/// Binds the inputs of an op and its output, in this order, each in its part of a run of rows.
fn operands(dispatch: Dispatch, parts: &[usize]) -> Dispatch {
    let inputs = parts.len() - 1;
    let bound = (0..inputs).fold(dispatch, |dispatch, input| {
        dispatch.read(Operand::Input(input)).part(parts[input])
    });
    bound.write(Operand::Output(0)).part(parts[inputs])
}

/// Binds the inputs of an op, each in its part of a run of rows, and scratch for partial results.
fn into_scratch(dispatch: Dispatch, parts: &[usize], scratch: Operand) -> Dispatch {
    let inputs = parts.iter().enumerate();
    let bound = inputs.fold(dispatch, |dispatch, (input, &part)| {
        dispatch.read(Operand::Input(input)).part(part)
    });
    bound.write(scratch)
}

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    [max_kernels::kernels(), average_kernels::kernels()].concat()
}

pub(super) const KERNELS: &[&Kernel] = unpool::KERNELS;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, Result};
    use crate::graph::{Graph, Value};
    use crate::shape::Type;

    fn message(result: Result<Value>) -> String {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        error.to_string()
    }

    #[test]
    fn parameters_out_of_range_are_told() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([1, 2, 6, 4])).unwrap();
        let index = g.input("index", Type::u32([1, 2, 6, 4])).unwrap();
        let divided = |divisor| AvgPool2d {
            divisor_override: Some(divisor),
            ..AvgPool::new(2)
        };
        assert_eq!(
            message(g.avg_pool(x, divided(0))),
            "avg_pool2d: divisor 0 must be at least 1 and below 2^31"
        );
        for norm_type in [0.0, -1.0, f32::INFINITY, f32::NAN] {
            let told = message(g.lp_pool(x, LpPool2d::new(norm_type, [2, 2])));
            assert_eq!(
                told,
                format!("lp_pool2d: norm type {norm_type} must be positive and finite")
            );
        }
        let output = [3, 0];
        assert_eq!(
            message(g.adaptive_max_pool(x, AdaptiveMaxPool { output })),
            "adaptive_max_pool2d: an output width of 0"
        );
        let output = [1 << 30, 2];
        assert_eq!(
            message(g.adaptive_avg_pool(x, AdaptiveAvgPool { output })),
            "adaptive_avg_pool2d: output height 1073741824 times input height 6 is 2^31 or more"
        );
        let unpool = MaxUnpool2d {
            output_size: Some([12, 10]),
            ..MaxUnpool::new([2, 2])
        };
        assert_eq!(
            message(g.max_unpool(x, index, unpool)),
            "max_unpool: output size 10 must differ from 8 by less than the stride 2"
        );
        let wide = MaxUnpool2d {
            padding: [9, 0],
            ..MaxUnpool::new([2, 2])
        };
        assert!(message(g.max_unpool(x, index, wide)).contains("comes from no output"));
        let line = MaxUnpool::new([2]);
        assert_eq!(
            message(g.max_unpool(x, index, line)),
            "max_unpool: x [1, 2, 6, 4] has not 2 + 1 axes"
        );
    }

    #[test]
    fn products_that_overflow_are_told() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([1, 2, 6, 4])).unwrap();
        let index = g.input("index", Type::u32([1, 2, 6, 4])).unwrap();
        let far = [usize::MAX, usize::MAX / 2, 1 << 31, 1 << 40];
        for far in far {
            for ceil_mode in [false, true] {
                let pool = MaxPool2d {
                    ceil_mode,
                    ..MaxPool::new(2)
                };
                for pool in [
                    MaxPool2d {
                        kernel: [far, 2],
                        ..pool
                    },
                    MaxPool2d {
                        stride: [1, far],
                        ..pool
                    },
                    MaxPool2d {
                        dilation: [far, 1],
                        ..pool
                    },
                    MaxPool2d {
                        kernel: [far, far],
                        padding: [far / 2, far / 2],
                        ..pool
                    },
                ] {
                    message(g.max_pool(x, pool));
                }
            }
            let unpool = MaxUnpool2d::new([far, 2]);
            message(g.max_unpool(x, index, unpool));
            let output = [far, far];
            message(g.adaptive_avg_pool(x, AdaptiveAvgPool { output }));
        }
    }

    /// PyTorch's rule for `ceil_mode`: a last window starts in the input or in the padding before
    /// it.
    #[test]
    fn windows_are_counted_as_pytorch_does() {
        let mut g = Graph::new();
        let mut count = |extent: usize, kernel: usize, stride: usize, padding: usize| {
            let name = format!("x{}", g.value_count());
            let x = g.input(&name, Type::f32([1, 1, extent])).unwrap();
            let counts = [false, true].map(|ceil_mode| {
                let pool = MaxPool1d {
                    stride: [stride],
                    padding: [padding],
                    ceil_mode,
                    ..MaxPool::new(kernel)
                };
                let y = g.max_pool(x, pool).unwrap();
                g.shape(y).unwrap()[2]
            });
            (counts[0], counts[1])
        };
        assert_eq!(count(7, 2, 2, 0), (3, 4));
        assert_eq!(count(6, 2, 2, 0), (3, 3));
        // A fourth window would start in the padding after the input.
        assert_eq!(count(6, 2, 3, 1), (3, 3));
        assert_eq!(count(5, 2, 3, 1), (2, 2));
        assert_eq!(count(8, 3, 2, 1), (4, 5));
        assert_eq!(count(4, 3, 9, 1), (1, 1));
    }
}
