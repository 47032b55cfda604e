//! Kernels of 3 x 3 that more than one chapter uses, row by row.

/// Eight times the middle, less its eight neighbours.
pub const OUTLINE: [f32; 9] = [-1.0, -1.0, -1.0, -1.0, 8.0, -1.0, -1.0, -1.0, -1.0];

/// The right less the left: vertical edges (Sobel's).
pub const ACROSS: [f32; 9] = [-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0];
