//! The kernels of average and Lp pooling, composed when an op lowers.

use crate::kernel::{Kernel, Overrides, source};

use super::average::Average;
use super::windows::Windows;
use super::{GATHERING, STRIDED_GATHERING, VARIANTS};

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
    let (stage, variants) = match stage {
        Stage::Forward => ("", gathering),
        Stage::Finish => ("_finish", finishing),
        Stage::Grad => ("_grad", gathering),
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
