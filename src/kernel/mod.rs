//! GPU work as plain data: kernels, dispatches, and what an op is told when it lowers. No wgpu type
//! appears here.

mod caps;
mod dispatch;
mod io;
mod rows;
mod source;
mod tuning;
mod turns;

use std::borrow::Cow;

pub use caps::{
    Body, COOPERATIVE_MEMORY, Caps, DISCRETE_FILLS, GPU_MULTIPLY_ADDS, INTEGRATED_FILLS, Matrices,
    Tile,
};
pub use dispatch::{Access, Binding, Dispatch, Operand, Param, TexelFormat};
pub use io::{Io, Location, Lowering};
pub use rows::{Part, Rows, WINDOW, WINDOW_ELEMENTS, overlaps, parts_of};
pub(crate) use rows::{Shown, window_rows, windows};
use source::LIBRARY;
pub use source::Source;
pub(crate) use source::source;
pub use tuning::{Choice, Tuning};
pub use turns::{AROUND, CPU_TURNS, GPU_TURNS, looped, turns_within};

/// WGSL for kernels from elsewhere: `Grid`, the type of the first field of every `Params`, and
/// `workgroup_index`.
pub const GRID: &str = source!("lib/grid").text;

/// One set of override constants, by WGSL name.
pub type Overrides = &'static [(&'static str, u32)];

/// WGSL text of a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wgsl {
    /// Files of this crate: a body and the providers appended after it, together one module.
    /// Translated without run-time checks.
    Files(Files),
    /// A whole module from elsewhere, translated with every check.
    Module(String),
}

/// Files that are compiled into this crate, and what they need of a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Files {
    sources: Cow<'static, [Source]>,
    /// Extensions of WGSL that the files need.
    extensions: &'static [&'static str],
    /// Whether factors are rounded to `f16`.
    halves: bool,
}

impl Files {
    const fn plain(sources: Cow<'static, [Source]>) -> Self {
        Self {
            sources,
            extensions: &[],
            halves: false,
        }
    }

    /// The files in the order in which they are joined: the body, its providers, and what every
    /// kernel has.
    pub fn sources(&self) -> impl Iterator<Item = Source> {
        self.sources.iter().copied().chain(LIBRARY)
    }
}

/// A compute shader.
///
/// The entry point is `main`. Bindings are in group 0: buffers in the order of
/// [`Dispatch::bindings`], then `var<uniform> params: Params`, whose first field is `grid: Grid`
/// (see `shaders/lib/grid.wgsl`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// Name for labels and messages.
    pub name: Cow<'static, str>,
    /// What it runs.
    pub wgsl: Wgsl,
    /// Every override set that a dispatch may choose.
    pub variants: &'static [Overrides],
    /// The further overrides by which a dispatch chooses what follows its own results, one of these
    /// with any of the variants; the empty set alone where nothing does.
    pub epilogues: &'static [Overrides],
}

/// The epilogues of a kernel without any.
pub(crate) const NO_EPILOGUE: &[Overrides] = &[&[]];

impl Kernel {
    /// A kernel made of files that are compiled in.
    pub(crate) const fn new(
        name: &'static str,
        files: &'static [Source],
        variants: &'static [Overrides],
    ) -> Self {
        Self {
            name: Cow::Borrowed(name),
            wgsl: Wgsl::Files(Files::plain(Cow::Borrowed(files))),
            variants,
            epilogues: NO_EPILOGUE,
        }
    }

    /// A kernel whose providers are chosen when an op lowers.
    pub(crate) fn composed(
        name: String,
        files: Vec<Source>,
        variants: &'static [Overrides],
    ) -> Self {
        Self {
            name: Cow::Owned(name),
            wgsl: Wgsl::Files(Files::plain(Cow::Owned(files))),
            variants,
            epilogues: NO_EPILOGUE,
        }
    }

    /// The same kernel as one that multiplies numbers rounded to `f16`, for which its files need
    /// these extensions of WGSL.
    pub(crate) fn in_halves(mut self, extensions: &'static [&'static str]) -> Self {
        if let Wgsl::Files(files) = &mut self.wgsl {
            files.extensions = extensions;
            files.halves = true;
        }
        self
    }

    /// A kernel of the caller's: a whole WGSL module with the entry point `main`, [`GRID`]
    /// included.
    pub fn module(
        name: impl Into<Cow<'static, str>>,
        text: impl Into<String>,
        variants: &'static [Overrides],
    ) -> Self {
        Self {
            name: name.into(),
            wgsl: Wgsl::Module(text.into()),
            variants,
            epilogues: NO_EPILOGUE,
        }
    }

    /// The same kernel with these epilogues.
    pub fn with_epilogues(mut self, epilogues: &'static [Overrides]) -> Self {
        self.epilogues = epilogues;
        self
    }

    /// Every set of override constants that it is built with: each variant with each epilogue.
    pub fn constants(&self) -> impl Iterator<Item = Vec<(&'static str, u32)>> {
        let variants = self.variants.iter();
        variants.flat_map(|variant| self.epilogues.iter().map(|end| [*variant, *end].concat()))
    }

    /// Extensions of WGSL without which it is not valid; those of a module from elsewhere are in
    /// its text.
    pub fn extensions(&self) -> &'static [&'static str] {
        match &self.wgsl {
            Wgsl::Files(files) => files.extensions,
            Wgsl::Module(_) => &[],
        }
    }

    /// Whether it rounds what it multiplies to `f16`; nobody knows of a module from elsewhere.
    pub fn halves(&self) -> bool {
        matches!(&self.wgsl, Wgsl::Files(files) if files.halves)
    }

    /// The files of a kernel of this crate, in the order in which they are joined; none of a
    /// module from elsewhere.
    pub fn sources(&self) -> Vec<Source> {
        match &self.wgsl {
            Wgsl::Files(files) => files.sources().collect(),
            Wgsl::Module(_) => Vec::new(),
        }
    }

    /// Where line `line` (from 1) of [`Kernel::source`] stands: the file's path, or the kernel's
    /// name for a module from elsewhere, and the line in it.
    pub fn locate(&self, line: usize) -> (&str, usize) {
        let mut line = line;
        for source in self.sources() {
            // The texts are joined with line breaks.
            let lines = source.text.matches('\n').count() + 1;
            if line <= lines {
                return (source.path, line);
            }
            line -= lines;
        }
        (&self.name, line)
    }

    /// The complete WGSL text. What enables extensions stands in the first line, before what the
    /// first file has there.
    pub fn source(&self) -> Cow<'_, str> {
        match &self.wgsl {
            Wgsl::Files(files) => {
                let enable = |name: &&str| format!("enable {name}; ");
                let enables: String = files.extensions.iter().map(enable).collect();
                let texts: Vec<&str> = files.sources().map(|source| source.text).collect();
                Cow::Owned(enables + &texts.join("\n"))
            }
            Wgsl::Module(text) => Cow::Borrowed(text),
        }
    }
}
