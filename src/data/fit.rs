//! How pictures of any size become images of one.

/// How pictures of any size become images of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Fit {
    /// The shorter side is resized to the image's, and the middle is taken.
    #[default]
    Crop,
    /// All of the picture, in the middle of black.
    Pad,
    /// All of the picture, its sides out of proportion.
    Stretch,
}

impl Fit {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Fit::Crop => "crop",
            Fit::Pad => "pad",
            Fit::Stretch => "stretch",
        }
    }

    /// The one of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        [Fit::Crop, Fit::Pad, Fit::Stretch]
            .into_iter()
            .find(|fit| fit.name() == name)
    }
}
