//! The kernels of average and Lp pooling, composed when an op lowers.

use crate::kernel::Kernel;
use crate::kernel::source;

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
    files.push(if adaptive {
        source!("pool/adaptive")
    } else {
        source!("pool/strided")
    });
    files.extend(&[source!("pool/params")]);
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
