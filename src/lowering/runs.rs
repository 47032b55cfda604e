//! Operands that lie side by side in the store, so that one dispatch walks many of them.

use crate::kernel::{Access, Caps, Dispatch, Io, Lowering, Operand, Part};
use crate::shape::Type;

use super::copy::copy;
use super::quads;

/// Items `first..=last`, or one part of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub first: usize,
    pub last: usize,
    part: usize,
    /// Elements from the start of the first to the end of the last, gaps in the store included.
    pub count: usize,
}

impl Run {
    /// Number of `vec4`s.
    pub fn quads(&self) -> usize {
        self.count.div_ceil(4)
    }

    /// Binds the operand that `operand` gives for each item, all in one.
    pub fn bind(
        &self,
        dispatch: Dispatch,
        access: Access,
        operand: impl Fn(usize) -> Operand,
    ) -> Dispatch {
        let bound = dispatch.bind(operand(self.first), access);
        match self.first == self.last {
            true => bound.part(self.part),
            false => bound.through(operand(self.last)),
        }
    }
}

fn ty(io: &Io, operand: Operand) -> Option<&Type> {
    match operand {
        Operand::Input(i) => io.inputs.get(i),
        Operand::Output(o) => io.outputs.get(o),
        Operand::Scratch(_) => None,
    }
}

fn parts(io: &Io, operand: Operand) -> &[Part] {
    match operand {
        Operand::Input(i) => &io.input_parts[i],
        Operand::Output(o) => &io.output_parts[o],
        Operand::Scratch(_) => &[],
    }
}

/// Cuts `count` items, whose operands `operands` gives, all of one type, into the longest runs in
/// which the operands of each item follow those of the one before at one and the same distance in
/// the store, within one binding. `join` tells whether a run may go on after an item.
pub(crate) fn runs(
    io: &Io,
    caps: &Caps,
    count: usize,
    operands: impl Fn(usize) -> Vec<Operand>,
    join: impl Fn(&Type) -> bool,
) -> Vec<Run> {
    let follows = |i: usize| {
        let (own, next) = (operands(i), operands(i + 1));
        let distance = io.location(own[0]).map(|l| l.bytes);
        ty(io, own[0]).is_some_and(&join)
            && own
                .into_iter()
                .zip(next)
                .all(|(a, b)| match (io.location(a), io.location(b)) {
                    (Some(a), Some(b)) => {
                        Some(a.bytes) == distance
                            && a.chunk == b.chunk
                            && a.offset + a.bytes == b.offset
                    }
                    _ => false,
                })
    };
    let elements = |i: usize| ty(io, operands(i)[0]).map_or(0, Type::count);
    let bytes = |i: usize| ty(io, operands(i)[0]).map_or(0, Type::bytes);
    let mut runs = Vec::new();
    let mut first = 0;
    while first < count {
        // Bytes from the start of the first item to that of the last.
        let (mut last, mut before) = (first, 0);
        while last + 1 < count && follows(last) {
            let distance = io.location(operands(last)[0]).map_or(0, |l| l.bytes);
            if before + distance + bytes(last + 1) > caps.max_binding {
                break;
            }
            before += distance;
            last += 1;
        }
        if last > first {
            let count = before as usize / 4 + elements(last);
            runs.push(Run {
                first,
                last,
                part: 0,
                count,
            });
        } else {
            let operand = operands(first)[0];
            let row = ty(io, operand).map_or(0, Type::row);
            for (part, rows) in parts(io, operand).iter().enumerate() {
                let count = row * rows.rows;
                runs.push(Run {
                    first,
                    last,
                    part,
                    count,
                });
            }
        }
        first = last + 1;
    }
    runs
}

/// Copies each input of `pairs` (input, output) to its output where the plan did not let them
/// share.
pub(crate) fn copy_aside(io: &Io, pairs: &[(usize, usize)], out: &mut Lowering) {
    for &(input, output) in pairs {
        if io.in_place[output] == Some(input) {
            continue;
        }
        let (from, to) = (Operand::Input(input), Operand::Output(output));
        for (part, rows) in io.output_parts[output].iter().enumerate() {
            let bytes = 16 * quads(&io.outputs[output], rows.rows) as u64;
            out.push(copy((from, part), (to, part), bytes));
        }
    }
}
