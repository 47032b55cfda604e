//! The kernels of average and Lp pooling, composed when an op lowers.

use crate::kernel::Kernel;

use super::average::Average;
use super::{CUT_VARIANTS, VARIANTS};

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

/// What makes y or dx, or a stage of that.
pub(super) fn kernel(average: &Average, adaptive: bool, stage: Stage) -> Kernel {
    let [forward, finish, mean, lp] = *shader_files![
        "average_pool",
        "average_finish",
        "average_mean",
        "average_lp"
    ];
    let [backward, mean_grad, lp_grad] =
        *shader_files!["average_pool_grad", "average_mean_grad", "average_lp_grad"];
    let [strided, shared, place, within, pieces, divide, float] = *shader_files![
        "pool_strided",
        "pool_adaptive",
        "pool_place",
        "pool_pieces",
        "lib/pieces",
        "lib/divide",
        "lib/float",
    ];
    let grad = stage == Stage::Grad;
    let mut files = match stage {
        Stage::Forward => vec![forward, place, within, pieces, divide],
        Stage::Finish => vec![finish, place, divide],
        Stage::Grad => vec![backward, within, pieces],
    };
    let name = match average {
        Average::Mean { .. } => {
            files.push(mean);
            files.extend(grad.then_some(mean_grad));
            "avg_pool"
        }
        Average::Lp { .. } => {
            files.extend([lp, float]);
            files.extend(grad.then_some(lp_grad));
            "lp_pool"
        }
    };
    files.push(if adaptive { shared } else { strided });
    files.extend(shader_files!["pool_params", "lib/grid"]);
    let adaptive = if adaptive { "adaptive_" } else { "" };
    let (stage, variants) = match stage {
        Stage::Forward => ("", CUT_VARIANTS),
        Stage::Finish => ("_finish", VARIANTS),
        Stage::Grad => ("_grad", CUT_VARIANTS),
    };
    Kernel::composed(format!("{adaptive}{name}{stage}"), files, variants)
}

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    let mean = Average::Mean {
        count_include_pad: true,
        divisor_override: None,
    };
    let norm = Average::Lp { norm_type: 2.0 };
    let kinds = [(mean, false), (mean, true), (norm, false)];
    let stages = [Stage::Forward, Stage::Finish, Stage::Grad];
    let all =
        kinds.map(|(average, adaptive)| stages.map(|stage| kernel(&average, adaptive, stage)));
    all.concat()
}
