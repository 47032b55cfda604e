//! GPU work as plain data: kernels, dispatches, and what an op is told when it lowers. No wgpu type appears here.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind, Result};
use crate::shape::Type;

/// WGSL for kernels from elsewhere: `Grid`, the type of the first field of every `Params`, and `workgroup_index`.
pub const GRID: &str = include_str!("../shaders/lib/grid.wgsl");

/// One set of override constants, by WGSL name.
pub type Overrides = &'static [(&'static str, u32)];

/// WGSL text of a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wgsl {
    /// Files of this crate: a body and the providers appended after it, together one module. Translated without run-time checks.
    Files(Files),
    /// A whole module from elsewhere, translated with every check.
    Module(String),
}

/// Texts that are compiled into this crate; nothing else makes them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Files(Cow<'static, [&'static str]>);

impl std::ops::Deref for Files {
    type Target = [&'static str];
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// A compute shader.
///
/// The entry point is `main`. Bindings are in group 0: buffers in the order of [`Dispatch::bindings`], then
/// `var<uniform> params: Params`, whose first field is `grid: Grid` (see `shaders/lib/grid.wgsl`).
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
        files: &'static [&'static str],
        variants: &'static [Overrides],
    ) -> Self {
        Self {
            name: Cow::Borrowed(name),
            wgsl: Wgsl::Files(Files(Cow::Borrowed(files))),
            variants,
        }
    }

    /// A kernel whose providers are chosen when an op lowers.
    pub(crate) fn composed(
        name: String,
        files: Vec<&'static str>,
        variants: &'static [Overrides],
    ) -> Self {
        Self {
            name: Cow::Owned(name),
            wgsl: Wgsl::Files(Files(Cow::Owned(files))),
            variants,
        }
    }

    /// A kernel of the caller's: a whole WGSL module with the entry point `main`, [`GRID`] included.
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

    /// The complete WGSL text.
    pub fn source(&self) -> Cow<'_, str> {
        match &self.wgsl {
            Wgsl::Files(files) => Cow::Owned(files.join("\n")),
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

/// A buffer range bound to a dispatch: one part of an operand, or a run of operands that lie side by side in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Where the range starts.
    pub operand: Operand,
    /// Which part of the operand.
    pub part: usize,
    /// The operand with which the range ends, if it spans several (see [`Io::location`]).
    pub through: Option<Operand>,
    /// First byte of the [`WINDOW`] bytes of the part that are bound, if not all of it.
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

    /// Extends the last binding to the end of `operand`, which lies after it in the same store chunk.
    pub fn through(mut self, operand: Operand) -> Self {
        if let Some(last) = self.bindings.last_mut() {
            last.through = Some(operand);
        }
        self
    }

    /// Makes the last binding show [`WINDOW`] bytes from byte `at` of its part on, a multiple of 256. See [`windows`].
    pub fn window(mut self, at: u64) -> Self {
        if let Some(last) = self.bindings.last_mut() {
            last.window = Some(at);
        }
        self
    }

    /// Appends a `u32` field. Extents, strides and dilations stay below 2^31 by [`Type::check`] and the rules of windows; offsets may wrap.
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
}

/// What the device offers, as far as lowering may depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caps {
    /// Body of the matrix-shaped kernels.
    pub body: Body,
    /// Largest storage binding, in bytes.
    pub max_binding: u64,
    /// Largest uniform binding, in bytes.
    pub max_uniform: u64,
    /// Whether operands are best read through uniform bindings of [`WINDOW`] bytes: a CPU adapter whose uniforms reach that far. llvmpipe
    /// loads a `vec4` from there in a tenth of the time that storage takes; a GPU would serialise loads that differ from lane to lane.
    pub windows: bool,
    /// Workgroups per dimension.
    pub max_workgroups: u32,
}

impl Default for Caps {
    /// WebGPU's default limits and the shared-memory bodies.
    fn default() -> Self {
        Self {
            body: Body::Shared,
            max_binding: 128 << 20,
            max_uniform: 16 << 10,
            windows: false,
            max_workgroups: 65_535,
        }
    }
}

/// Bytes of a window: an operand read through a uniform binding, `array<vec4<f32>, 4096>`.
pub const WINDOW: u64 = 65_536;

/// Elements that a window shows from wherever it begins: windows begin at multiples of 256 bytes.
pub const WINDOW_ELEMENTS: usize = (WINDOW as usize - 256) / 4;

/// A run of rows that one window shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// First row, counted from the first of the whole run.
    pub start: usize,
    /// How many.
    pub count: usize,
    /// First byte of the window.
    pub at: u64,
    /// Element of the window at which the first row begins.
    pub first: usize,
}

impl Shown {
    /// All of `count` rows from element `first` on, not through a window.
    pub fn all(count: usize, first: usize) -> Self {
        Self {
            start: 0,
            count,
            at: 0,
            first,
        }
    }
}

/// The windows through which `count` rows of `row` elements of four bytes are seen, `most` at a time. The run begins at element `first` of
/// a range of `bytes` bytes, at least a window; buffers reach to the next multiple of 256. A row must fit [`WINDOW_ELEMENTS`].
pub fn windows(bytes: u64, row: usize, first: usize, count: usize, most: usize) -> Vec<Shown> {
    let aligned = (4 * first).is_multiple_of(256) && (4 * row).is_multiple_of(256);
    let fit = if aligned {
        WINDOW as usize / 4
    } else {
        WINDOW_ELEMENTS
    };
    let step = (fit / row.max(1)).min(most).max(1);
    let last = bytes.next_multiple_of(256).saturating_sub(WINDOW);
    let starts = (0..count).step_by(step);
    let shown = starts.map(|start| {
        let begin = first + start * row;
        let at = (4 * begin as u64 / 256 * 256).min(last);
        Shown {
            start,
            count: step.min(count - start),
            at,
            first: begin - at as usize / 4,
        }
    });
    shown.collect()
}

/// A run of rows (axis 0) of a value that lies within one binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// First row.
    pub start: usize,
    /// Number of rows.
    pub rows: usize,
}

/// Cuts a type into parts whose bytes fit `max_binding`: equal runs of rows, the last one shorter.
pub fn parts_of(ty: &Type, max_binding: u64) -> Result<Vec<Part>> {
    if ty.bytes() <= max_binding {
        return Ok(vec![Part {
            start: 0,
            rows: ty.shape.rows(),
        }]);
    }
    let rows = ty.shape.rows();
    let row_bytes = (ty.count() / rows * ty.dtype.size()) as u64;
    let per_part = (max_binding / 16 * 16 / row_bytes) as usize;
    if per_part == 0 {
        return Err(Error::new(
            ErrorKind::Limit,
            format!(
                "{ty}: one row takes {row_bytes} bytes, the device binds {max_binding} at most"
            ),
        ));
    }
    Ok((0..rows)
        .step_by(per_part)
        .map(|start| Part {
            start,
            rows: per_part.min(rows - start),
        })
        .collect())
}

/// A run of rows that lies in one part of each operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// How many.
    pub count: usize,
    /// The part of each operand.
    pub part: Vec<usize>,
    /// The first of the rows within that part.
    pub first: Vec<usize>,
}

/// The rows of operands with equal row counts, cut wherever any of them is: what an op that works row by row runs through.
pub fn overlaps(operands: &[&[Part]]) -> Vec<Rows> {
    let parts = operands.iter().copied().flatten();
    let mut cuts: Vec<usize> = parts.flat_map(|p| [p.start, p.start + p.rows]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let runs = cuts.windows(2).map(|run| {
        let part_of = |parts: &&[Part]| parts.partition_point(|p| p.start + p.rows <= run[0]);
        let part: Vec<usize> = operands.iter().map(part_of).collect();
        let places = operands.iter().zip(&part);
        Rows {
            count: run[1] - run[0],
            first: places.map(|(parts, &p)| run[0] - parts[p].start).collect(),
            part,
        }
    });
    runs.collect()
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
            Operand::Input(i) => self.input_locations[i],
            Operand::Output(i) => self.output_locations[i],
            Operand::Scratch(_) => None,
        }
    }

    /// The parts of an operand; none for scratch, which is never cut.
    pub fn parts(&self, operand: Operand) -> &[Part] {
        match operand {
            Operand::Input(i) => &self.input_parts[i],
            Operand::Output(i) => &self.output_parts[i],
            Operand::Scratch(_) => &[],
        }
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
            Some(&Operand::Input(i)) => &self.inputs[i],
            Some(&Operand::Output(i)) => &self.outputs[i],
            Some(Operand::Scratch(_)) | None => return Ok(()),
        };
        Err(Error::new(
            ErrorKind::Limit,
            format!(
                "{op}: {ty} takes {} bytes, more than the device binds at once, and {op} does not work on parts of it",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn part(start: usize, rows: usize) -> Part {
        Part { start, rows }
    }

    #[test]
    fn overlaps_cover_every_row_once() {
        let found = overlaps(&[
            &[part(0, 3), part(3, 3), part(6, 1)],
            &[part(0, 5), part(5, 2)],
            &[part(0, 7)],
        ]);
        let rows = |count, part: [usize; 3], first: [usize; 3]| Rows {
            count,
            part: part.to_vec(),
            first: first.to_vec(),
        };
        let wanted = [
            rows(3, [0, 0, 0], [0, 0, 0]),
            rows(2, [1, 0, 0], [0, 3, 3]),
            rows(1, [1, 1, 0], [2, 0, 5]),
            rows(1, [2, 1, 0], [0, 1, 6]),
        ];
        assert_eq!(found, wanted);
        assert_eq!(overlaps(&[&[part(0, 0)], &[part(0, 0)]]), []);
    }

    #[test]
    fn windows_show_every_row_within_the_range() {
        for (row, first, count) in [
            (784, 0, 128),
            (1024, 64, 70),
            (1, 3, 70_000),
            (16_320, 16_320, 2),
            (1176, 0, 20),
        ] {
            let bytes = 4 * (first + row * count) as u64;
            let mut next = 0;
            for shown in windows(bytes, row, first, count, 1000) {
                assert_eq!(shown.start, next);
                assert!(
                    shown.at.is_multiple_of(256)
                        && shown.at + WINDOW <= bytes.next_multiple_of(256)
                );
                assert_eq!(
                    shown.at as usize / 4 + shown.first,
                    first + shown.start * row
                );
                assert!(shown.first + shown.count * row <= WINDOW as usize / 4);
                next += shown.count;
            }
            assert_eq!(next, count);
        }
    }
}
