//! What detectors make of their boxes.

pub(in crate::ops) mod nms;
