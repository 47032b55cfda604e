//! Products in registers, for CPU adapters and GL devices.

pub(super) mod registers;
pub(super) mod terms;
