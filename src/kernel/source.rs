//! The WGSL files of this crate.

/// A file of WGSL under `shaders/`, compiled into the crate. Nothing else makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source {
    pub(crate) path: &'static str,
    pub(crate) text: &'static str,
}

impl Source {
    /// Its path from the crate's root, such as `shaders/lib/grid.wgsl`.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Its text.
    pub fn text(&self) -> &'static str {
        self.text
    }
}

/// The file of WGSL of this path below `shaders/`, without the extension.
macro_rules! source {
    ($name:literal) => {
        $crate::kernel::Source {
            path: concat!("shaders/", $name, ".wgsl"),
            text: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/shaders/",
                $name,
                ".wgsl"
            )),
        }
    };
}
pub(crate) use source;

/// What every kernel ends with, without listing it: the grid, facts on floats, integer division.
pub(crate) const LIBRARY: [Source; 3] = [
    source!("lib/grid"),
    source!("lib/float"),
    source!("lib/divide"),
];
