//! Losses, the softmax that they are made of, and what counts right answers.

pub(in crate::ops) mod accuracy;
pub(in crate::ops) mod composed;
pub(in crate::ops) mod confusion;
pub(in crate::ops) mod cross_entropy;
pub(in crate::ops) mod cross_entropy_lower;
pub(in crate::ops) mod pointwise;
pub(in crate::ops) mod softmax;
