//! GPU work as plain data: kernels, dispatches, and what an op is told when it lowers. No wgpu type
//! appears here.

mod caps;
mod rows;
mod source;
mod tuning;
mod turns;

use std::borrow::Cow;

use crate::error::{Error, ErrorKind, Result};
use crate::shape::Type;
pub use caps::Caps;
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
}

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
        }
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

/// A value as an op sees it while it lowers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// Input number i of the node.
    Input(usize),
    /// Output number i of the node.
    Output(usize),
    /// A buffer that lives only while the node runs, from [`Lowering::scratch`].
    Scratch(usize),
}

/// How a kernel uses a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
    /// `var<uniform>`: step scalars.
    Uniform,
}

/// A buffer range bound to a dispatch: one part of an operand, or a run of operands that lie side
/// by side in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Where the range starts.
    pub operand: Operand,
    /// Which part of the operand.
    pub part: usize,
    /// The operand with which the range ends, if it spans several (see [`Io::location`]).
    pub through: Option<Operand>,
    /// First byte, in the part, of the [`WINDOW`] bytes that are bound instead of the part; they
    /// may reach past its end.
    pub window: Option<u64>,
    /// How the kernel uses it.
    pub access: Access,
}

/// A named field of the uniform block, after `grid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Field name in the WGSL `Params` struct.
    pub name: &'static str,
    /// Bits of the `u32` or `f32`.
    pub bits: u32,
    /// Whether the field is an `f32`.
    pub float: bool,
}

/// One compute dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// What runs.
    pub kernel: Cow<'static, Kernel>,
    /// Override constants, one of `kernel.variants`.
    pub overrides: Overrides,
    /// Bindings in order of their WGSL numbers.
    pub bindings: Vec<Binding>,
    /// Fields of the uniform block in order.
    pub params: Vec<Param>,
    /// Number of workgroups; the plan folds it into the device's limits.
    pub workgroups: u64,
    /// The most turns of its loops that one invocation takes in all, see [`Dispatch::turns`].
    pub turns: Option<u64>,
}

impl Dispatch {
    /// A dispatch of a kernel of this crate.
    pub fn new(kernel: &'static Kernel, overrides: Overrides) -> Self {
        Self::of(Cow::Borrowed(kernel), overrides)
    }

    /// A dispatch of any kernel.
    pub fn of(kernel: Cow<'static, Kernel>, overrides: Overrides) -> Self {
        Self {
            kernel,
            overrides,
            bindings: Vec::new(),
            params: Vec::new(),
            workgroups: 0,
            turns: None,
        }
    }

    fn bind(mut self, operand: Operand, access: Access) -> Self {
        self.bindings.push(Binding {
            operand,
            part: 0,
            through: None,
            window: None,
            access,
        });
        self
    }

    /// Binds an operand for reading.
    pub fn read(self, operand: Operand) -> Self {
        self.bind(operand, Access::Read)
    }

    /// Binds an operand for reading and writing.
    pub fn write(self, operand: Operand) -> Self {
        self.bind(operand, Access::ReadWrite)
    }

    /// Binds a small operand as a uniform.
    pub fn uniform(self, operand: Operand) -> Self {
        self.bind(operand, Access::Uniform)
    }

    /// Makes the last binding refer to part `part` of its operand.
    pub fn part(mut self, part: usize) -> Self {
        if let Some(last) = self.bindings.last_mut() {
            last.part = part;
        }
        self
    }

    /// Extends the last binding to the end of `operand`, which lies after it in the same store
    /// chunk.
    pub fn through(mut self, operand: Operand) -> Self {
        if let Some(last) = self.bindings.last_mut() {
            last.through = Some(operand);
        }
        self
    }

    /// Makes the last binding show [`WINDOW`] bytes from byte `at` of its part on, a multiple of
    /// 256, on devices with [`Caps::windows`]. What it shows past the end of the part is arbitrary.
    pub fn window(mut self, at: u64) -> Self {
        if let Some(last) = self.bindings.last_mut() {
            last.window = Some(at);
        }
        self
    }

    /// Appends a `u32` field. Extents, strides and dilations stay below 2^31 by [`Type::check`] and
    /// the rules of windows; offsets may wrap.
    pub fn param(mut self, name: &'static str, value: usize) -> Self {
        self.params.push(Param {
            name,
            bits: value as u32,
            float: false,
        });
        self
    }

    /// Appends an `f32` field.
    pub fn param_f32(mut self, name: &'static str, value: f32) -> Self {
        self.params.push(Param {
            name,
            bits: value.to_bits(),
            float: true,
        });
        self
    }

    /// States the most turns of its loops that one invocation takes in all, counted by [`looped`]:
    /// nested loops multiplied out, successive loops and the two sides of a branch added, one more
    /// each time a loop is entered. A plan refuses more than [`Caps::max_turns`]. A dispatch of
    /// this crate's kernels states it wherever a bound of a loop is not constant.
    pub fn turns(mut self, turns: u64) -> Self {
        self.turns = Some(turns);
        self
    }

    /// Sets the number of workgroups.
    pub fn workgroups(mut self, count: usize) -> Self {
        self.workgroups = count as u64;
        self
    }
}

/// Which body of the matrix-shaped kernels runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Body {
    /// Registers only: software adapters, GL.
    Registers,
    /// Tiles in workgroup memory: GPUs and browsers.
    Shared,
    /// As `Shared`, with both factors rounded to `f16` and multiplied as cooperative matrices, in
    /// `f32`: on request, where a device has them. Factors beyond 65,504 become infinite. No rule
    /// and no table of measured choices takes it.
    Cooperative,
}

/// The matrices that subgroups of a device multiply together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Matrices {
    /// 16 x 16: GPUs on Vulkan.
    Sixteen,
    /// 8 x 8: Metal.
    Eight,
    /// 2 x 2, written out in WGSL without extensions: to try the kernels on any device, slowly.
    Plain,
}

impl Matrices {
    /// All of them, for lists of kernels.
    pub const ALL: [Matrices; 3] = [Matrices::Sixteen, Matrices::Eight, Matrices::Plain];
}

/// Bytes of workgroup memory that a device needs for cooperative matrices other than plain ones.
pub const COOPERATIVE_MEMORY: u32 = 32 << 10;

/// Tile of a matrix-shaped kernel: how much work an invocation, or a workgroup, does for each load.
/// A product and a convolution make a small or large block of the output; the gradient of a
/// convolution's weight takes one tap, a row of taps or several rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tile {
    /// The least work: nothing is wasted on narrow shapes.
    Small,
    /// In between.
    Medium,
    /// The most.
    Large,
}

impl Tile {
    /// All of them.
    pub const ALL: [Tile; 3] = [Tile::Small, Tile::Medium, Tile::Large];
}

/// Where a stateful operand lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Location {
    /// Chunk buffer.
    pub chunk: usize,
    /// First byte.
    pub offset: u64,
    /// Bytes up to the next entry.
    pub bytes: u64,
}

/// What an op knows of its operands while it lowers.
#[derive(Debug, Clone, Default)]
pub struct Io {
    /// Types of the inputs.
    pub inputs: Vec<Type>,
    /// Types of the outputs.
    pub outputs: Vec<Type>,
    /// For each output, the input whose buffer it shares.
    pub in_place: Vec<Option<usize>>,
    /// Parts of each input.
    pub input_parts: Vec<Vec<Part>>,
    /// Parts of each output.
    pub output_parts: Vec<Vec<Part>>,
    /// Store location of each input that is state in one part.
    pub input_locations: Vec<Option<Location>>,
    /// Store location of each output that is written straight into state in one part.
    pub output_locations: Vec<Option<Location>>,
}

impl Io {
    /// Where an operand lies in the store, if it does, in one part.
    pub fn location(&self, operand: Operand) -> Option<Location> {
        match operand {
            Operand::Input(i) => *self.input_locations.get(i)?,
            Operand::Output(i) => *self.output_locations.get(i)?,
            Operand::Scratch(_) => None,
        }
    }

    /// The parts of an operand; none for scratch, which is never cut, and for what is not there.
    pub fn parts(&self, operand: Operand) -> &[Part] {
        let parts = match operand {
            Operand::Input(i) => self.input_parts.get(i),
            Operand::Output(i) => self.output_parts.get(i),
            Operand::Scratch(_) => None,
        };
        parts.map_or(&[], Vec::as_slice)
    }

    /// Fails if any operand is cut into several parts: for ops that work on whole values.
    pub fn whole(&self, op: &str) -> Result<()> {
        let inputs = (0..self.inputs.len()).map(Operand::Input);
        let outputs = (0..self.outputs.len()).map(Operand::Output);
        self.in_one_part(op, &inputs.chain(outputs).collect::<Vec<_>>())
    }

    /// Fails if one of `operands` is cut into several parts.
    pub fn in_one_part(&self, op: &str, operands: &[Operand]) -> Result<()> {
        let cut = |operand: &&Operand| self.parts(**operand).len() > 1;
        let ty = match operands.iter().find(cut) {
            Some(&Operand::Input(i)) => self.inputs.get(i),
            Some(&Operand::Output(i)) => self.outputs.get(i),
            Some(Operand::Scratch(_)) | None => None,
        };
        let Some(ty) = ty else { return Ok(()) };
        Err(Error::new(
            ErrorKind::Limit,
            format!(
                "{op}: {ty} takes {} bytes, more than the device binds at once, and {op} does not \
                 work on parts of it",
                ty.bytes()
            ),
        ))
    }
}

/// The dispatches of one node, as `lower` emits them.
#[derive(Debug, Clone, Default)]
pub struct Lowering {
    /// In the order in which they run.
    pub dispatches: Vec<Dispatch>,
    /// Types of the scratch buffers.
    pub scratch: Vec<Type>,
}

impl Lowering {
    /// A buffer that lives while the node runs. Its content is undefined until written.
    pub fn scratch(&mut self, ty: Type) -> Operand {
        self.scratch.push(ty);
        Operand::Scratch(self.scratch.len() - 1)
    }

    /// Appends a dispatch; one without workgroups is dropped.
    pub fn push(&mut self, dispatch: Dispatch) {
        if dispatch.workgroups > 0 {
            self.dispatches.push(dispatch);
        }
    }
}
