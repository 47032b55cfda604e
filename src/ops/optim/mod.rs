//! What an optimizer does to parameters, moments and averages, and the tables that rates come from.

pub(in crate::ops) mod blend;
pub(in crate::ops) mod clip;
pub(in crate::ops) mod rule;
pub(in crate::ops) mod schedule;
pub(in crate::ops) mod update;
