//! One number in every element of an operand.

use super::Cut;
use super::broadcast::WORKGROUP;
use crate::kernel::{Dispatch, Kernel, Lowering, Overrides, source};

/// Emits `value` in every element of an `f32` operand.
pub(crate) fn lower_fill(y: Cut, value: f32, out: &mut Lowering) {
    for (part, rows) in y.parts.iter().enumerate() {
        let quads = (rows.rows * y.row()).div_ceil(4);
        out.push(
            Dispatch::new(&FILL, FILL_VARIANTS[0])
                .write(y.operand)
                .part(part)
                .param("quads", quads)
                .param_f32("value", value)
                .workgroups(quads.div_ceil(WORKGROUP)),
        );
    }
}

const FILL_VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static FILL: Kernel = Kernel::new("fill", &[source!("elementwise/fill")], FILL_VARIANTS);

pub(crate) const KERNELS: &[&Kernel] = &[&FILL];
