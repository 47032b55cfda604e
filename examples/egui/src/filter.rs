//! What a picture is filtered by: a kernel of 3x3 numbers, and what lies beyond the edges.

use striate::shape::PaddingMode;

/// A kernel with a padding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Filter {
    /// What each pixel becomes of itself and its eight neighbours.
    pub kernel: Kernel,
    /// What lies beyond the edges.
    pub padding: PaddingMode,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            kernel: Kernel::Sobel,
            padding: PaddingMode::Reflect,
        }
    }
}

/// 3x3 numbers by name, or one's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kernel {
    /// The mean of all nine.
    Box,
    /// Their mean with binomial weights.
    Gaussian,
    /// A pixel five times, less its four neighbours.
    Sharpen,
    /// The length of brightness's gradient.
    Sobel,
    /// Light from the top left, on grey.
    Emboss,
    /// Any numbers, row by row.
    Own([f32; 9]),
}

/// Paddings with their names.
pub const PADDINGS: [(PaddingMode, &str); 4] = [
    (PaddingMode::Zeros, "zeros"),
    (PaddingMode::Reflect, "reflect"),
    (PaddingMode::Replicate, "replicate"),
    (PaddingMode::Circular, "circular"),
];

/// The pixel itself eight times, less all around it.
pub const OUTLINE: [f32; 9] = [-1.0, -1.0, -1.0, -1.0, 8.0, -1.0, -1.0, -1.0, -1.0];

impl Kernel {
    /// Each of them with its name, and `own` as one's own.
    pub fn all(own: [f32; 9]) -> [(Self, &'static str); 6] {
        [
            (Self::Box, "box"),
            (Self::Gaussian, "Gaussian"),
            (Self::Sharpen, "sharpen"),
            (Self::Sobel, "Sobel"),
            (Self::Emboss, "emboss"),
            (Self::Own(own), "own"),
        ]
    }

    /// One matrix, or two whose results are the legs of a right triangle.
    pub fn matrices(self) -> Vec<[f32; 9]> {
        match self {
            Self::Box => vec![[1.0; 9].map(|x| x / 9.0)],
            Self::Gaussian => {
                vec![[1.0, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0].map(|x| x / 16.0)]
            }
            Self::Sharpen => vec![[0.0, -1.0, 0.0, -1.0, 5.0, -1.0, 0.0, -1.0, 0.0]],
            Self::Sobel => vec![
                [-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0],
                [-1.0, -2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0],
            ],
            Self::Emboss => vec![[-2.0, -1.0, 0.0, -1.0, 0.0, 1.0, 0.0, 1.0, 2.0]],
            Self::Own(matrix) => vec![matrix],
        }
    }

    /// What is added to each result.
    pub fn offset(self) -> f32 {
        if self == Self::Emboss { 0.5 } else { 0.0 }
    }
}
