//! What the tests share: the table of cases, the drawing of their inputs, the comparer.

// Each test binary uses its own part of this.
#![allow(dead_code)]

pub mod cases;
pub mod compare;
pub mod draw;
pub mod lower;
