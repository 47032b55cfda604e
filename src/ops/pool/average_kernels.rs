//! The kernels of average and Lp pooling, composed when an op lowers.

use crate::kernel::{Kernel, Overrides, source};

use super::average::Average;
use super::windows::Windows;
use super::{GATHERING, STRIDED_GATHERING, VARIANTS};

/// How an invocation gathers the gradient of a mean: as [`GATHERING`], then of windows at equal
/// steps that count as many elements each, whole or in pieces.
const GRAD_GATHERING: [Overrides; 6] = [
    GATHERING[0],
    GATHERING[1],
    GATHERING[2],
    GATHERING[3],
    &evenly_gathering(0),
    &evenly_gathering(1),
];

const fn evenly_gathering(cut: u32) -> [(&'static str, u32); 4] {
    [
        ("adaptive", 0),
        ("cut", cut),
        ("even", 1),
        ("workgroup_size", 64),
    ]
}

/// Which variant gathers the gradient of a mean of windows that count as many elements each.
pub(super) fn evenly(cut: bool) -> Overrides {
    GRAD_GATHERING[4 + usize::from(cut)]
}

/// What a kernel makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// y, or the sums of pieces of windows.
    Forward,
    /// y from the sums of windows.
    Finish,
    /// dx, or sums over pieces of the windows of an element.
    Grad,
}

/// The last stage of windows at equal steps, and of adaptive ones.
const FINISHING: [Overrides; 2] = [VARIANTS[0], &[("adaptive", 1), ("workgroup_size", 64)]];

/// Which variant makes y of the sums of windows.
pub(super) fn finishes(windows: &Windows) -> Overrides {
    FINISHING[usize::from(windows.is_adaptive())]
}

/// What makes y or dx, or a stage of that.
pub(super) fn kernel(average: &Average, stage: Stage) -> Kernel {
    let place = source!("pool/place");
    let within = source!("pool/pieces");
    let pieces = source!("lib/pieces");
    let grad = stage == Stage::Grad;
    let mut files = match stage {
        Stage::Forward => vec![source!("pool/average_pool"), place, within, pieces],
        Stage::Finish => vec![source!("pool/average_finish"), place],
        Stage::Grad => vec![source!("pool/average_pool_grad"), within, pieces],
    };
    let name = match average {
        Average::Mean { .. } => {
            files.push(source!("pool/average_mean"));
            files.extend(grad.then_some(source!("pool/average_mean_grad")));
            "avg_pool"
        }
        Average::Lp { .. } => {
            files.extend([source!("pool/average_lp")]);
            files.extend(grad.then_some(source!("pool/average_lp_grad")));
            "lp_pool"
        }
    };
    files.extend([source!("pool/windows"), source!("pool/params")]);
    // Windows of Lp pooling are never adaptive.
    let (gathering, finishing): (&[Overrides], &[Overrides]) = match average {
        Average::Mean { .. } => (&GATHERING, &FINISHING),
        Average::Lp { .. } => (&STRIDED_GATHERING, VARIANTS),
    };
    let (stage, variants) = match (stage, average) {
        (Stage::Forward, _) => ("", gathering),
        (Stage::Finish, _) => ("_finish", finishing),
        (Stage::Grad, Average::Mean { .. }) => ("_grad", &GRAD_GATHERING[..]),
        (Stage::Grad, Average::Lp { .. }) => ("_grad", gathering),
    };
    Kernel::composed(format!("{name}{stage}"), files, variants)
}

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    let mean = Average::Mean {
        count_include_pad: true,
        divisor_override: None,
    };
    let norm = Average::Lp { norm_type: 2.0 };
    let stages = [Stage::Forward, Stage::Finish, Stage::Grad];
    [mean, norm]
        .map(|average| stages.map(|stage| kernel(&average, stage)))
        .concat()
}
