//! Kernels whose output may take the place of an input. They have two forms: one with
//! `lib/separate`, one with `lib/in_place`.

use crate::kernel::{Dispatch, Io, Kernel, Operand};

/// The form that `io` asks for.
pub(in crate::ops) fn form([separate, in_place]: [&'static Kernel; 2], io: &Io) -> &'static Kernel {
    match io.in_place[0] {
        Some(_) => in_place,
        None => separate,
    }
}

/// Binds, after all else, what those two files bind: part `part` of input `input`, unless output 0
/// takes its place, and of output 0.
pub(in crate::ops) fn bind_places(
    dispatch: Dispatch,
    io: &Io,
    input: usize,
    part: usize,
) -> Dispatch {
    let dispatch = match io.in_place[0] {
        Some(_) => dispatch,
        None => dispatch.read(Operand::Input(input)).part(part),
    };
    dispatch.write(Operand::Output(0)).part(part)
}
