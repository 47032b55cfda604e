//! The way back of a reduction: what each element of x gets of the gradient of its output.

use crate::error::Result;
use crate::kernel::{Dispatch, Kernel, Lowering, Operand, Overrides, source};
use crate::lowering::Cut;
use crate::lowering::strided::{box_params, box_variant};

use super::alternating;
use super::regions::regions;

/// Emits dx from the elements of x, their reduction y and a share of the gradient for each output:
/// `share` goes to the elements that equal y (`Ties`), or `(x - y) * share` to all (`Deviations`).
pub(crate) fn lower_spread(
    op: &str,
    differences: bool,
    [x, y]: [Cut; 2],
    axes: &[usize],
    [share, dx]: [Operand; 2],
    out: &mut Lowering,
) -> Result<()> {
    for region in regions(x, axes, y) {
        let mut stride_y = 1;
        let mut axes = Vec::new();
        for run in region.runs.iter().rev() {
            let step = if run.reduced { 0 } else { stride_y };
            axes.insert(0, [run.extent, run.stride, step].map(|n| n as isize));
            stride_y *= if run.reduced { 1 } else { run.extent };
        }
        if axes.len() > 6 {
            return Err(alternating(op, axes.len(), ""));
        }
        let count = region.runs.iter().map(|run| run.extent).product();
        let variant = 3 * usize::from(differences) + box_variant(axes.len());
        let dispatch = Dispatch::new(&SPREAD, SPREAD_VARIANTS[variant])
            .read(x.operand)
            .part(region.x.part)
            .read(y.operand)
            .part(region.y.part)
            .read(share)
            .part(region.y.part)
            .write(dx)
            .part(region.x.part);
        let bases = [region.x.base, region.y.base];
        out.push(box_params(dispatch, count, bases, [0; 2], &axes));
    }
    Ok(())
}

const SPREAD_VARIANTS: &[Overrides] = &[
    &[("function", 0), ("axes", 2), ("workgroup_size", 64)],
    &[("function", 0), ("axes", 4), ("workgroup_size", 64)],
    &[("function", 0), ("axes", 6), ("workgroup_size", 64)],
    &[("function", 1), ("axes", 2), ("workgroup_size", 64)],
    &[("function", 1), ("axes", 4), ("workgroup_size", 64)],
    &[("function", 1), ("axes", 6), ("workgroup_size", 64)],
];

static SPREAD: Kernel = Kernel::new(
    "spread",
    &[source!("reduce/spread"), source!("movement/strided_box")],
    SPREAD_VARIANTS,
);

pub(crate) const KERNELS: &[&Kernel] = &[&SPREAD];
