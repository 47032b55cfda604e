//! Sets of labelled images: read from the MNIST files ([`load_mnist`]) or drawn on the spot
//! ([`digits()`]).

pub mod digits;
#[cfg(feature = "data")]
pub mod idx;

pub use digits::digits;
#[cfg(feature = "data")]
pub use idx::load_mnist;

/// Labelled images of one size, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Pixels `[count, channels, height, width]`, row by row from the top left; of grey images 0 is black, 255 is white.
    pub images: Vec<u8>,
    /// The class of each image, `[count]`, each less than `classes`.
    pub labels: Vec<u8>,
    /// Number of images.
    pub count: usize,
    /// Channels of each image: 1 if they are grey.
    pub channels: usize,
    /// Rows of each image.
    pub height: usize,
    /// Columns of each image.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
}

/// Images to train on, and others of the same size and classes to test on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// What the network learns from.
    pub train: Dataset,
    /// What it must not see before it is judged.
    pub test: Dataset,
}
