//! Copies that the plan and other ops emit.

use crate::kernel::{Dispatch, Io, Kernel, Lowering, Operand, Overrides, Part, overlaps, source};
use crate::shape::Type;

/// A part of an operand.
type CopyPlace = (Operand, usize);

/// A dispatch that copies `bytes` (a multiple of 16) from the start of one place to that of
/// another.
pub(crate) fn copy(from: CopyPlace, to: CopyPlace, bytes: u64) -> Dispatch {
    let quads = (bytes / 16) as usize;
    between(&COPY, from, to)
        .param("quads", quads)
        .workgroups(quads.div_ceil(64))
}

/// Emits output 0 as the elements of input 0 in their order, whose parts may be cut at other
/// elements.
pub(crate) fn copy_parts(io: &Io, out: &mut Lowering) {
    // Parts as runs of elements, not of rows.
    let elements = |ty: &Type, parts: &[Part]| -> Vec<Part> {
        let runs = parts
            .iter()
            .map(|p| [p.start, p.rows].map(|n| n * ty.row()));
        runs.map(|[start, rows]| Part { start, rows }).collect()
    };
    let (x, y) = (&io.inputs[0], &io.outputs[0]);
    let x = elements(x, &io.input_parts[0]);
    let (y, ty) = (elements(y, &io.output_parts[0]), y);
    for run in overlaps(&[&x, &y]) {
        let from = (Operand::Input(0), run.part[0]);
        let to = (Operand::Output(0), run.part[1]);
        let both_whole = x[from.1].rows == run.count && y[to.1].rows == run.count;
        out.push(match both_whole {
            true => copy(from, to, ty.padded_bytes(run.count)),
            false => {
                let bytes = [run.first[0], run.first[1], run.count].map(|n| n * ty.dtype.size());
                copy_bytes(from, to, bytes)
            }
        });
    }
}

/// A dispatch that copies `bytes` from byte `first_x` of one place to byte `first_y` of another.
fn copy_bytes(from: CopyPlace, to: CopyPlace, [first_x, first_y, bytes]: [usize; 3]) -> Dispatch {
    let words = (first_y + bytes).div_ceil(4) - first_y / 4;
    between(&COPY_BYTES, from, to)
        .param("words", words)
        .param("first_x", first_x)
        .param("first_y", first_y)
        .param("bytes", bytes)
        .workgroups(words.div_ceil(64))
}

fn between(kernel: &'static Kernel, from: CopyPlace, to: CopyPlace) -> Dispatch {
    Dispatch::new(kernel, VARIANTS[0])
        .read(from.0)
        .part(from.1)
        .write(to.0)
        .part(to.1)
}

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static COPY: Kernel = Kernel::new("copy", &[source!("movement/copy")], VARIANTS);
static COPY_BYTES: Kernel = Kernel::new("copy_bytes", &[source!("movement/copy_bytes")], VARIANTS);

pub(crate) const KERNELS: &[&Kernel] = &[&COPY, &COPY_BYTES];
