//! What a device offers.

use std::sync::Arc;

use super::{GPU_TURNS, Tuning, WINDOW};

/// What the device offers, as far as lowering may depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caps {
    /// Body of the matrix-shaped kernels.
    pub body: Body,
    /// What [`Body::Cooperative`] multiplies.
    pub matrices: Matrices,
    /// Tile of the matrix-shaped kernels, wherever they have one of this size; by default the one
    /// that the rules choose for each shape.
    pub tile: Option<Tile>,
    /// Workgroups that fill the device. A product of fewer takes a smaller tile, or sums runs of
    /// its terms apart.
    pub fills: usize,
    /// The largest tile that the rules take.
    pub largest_tile: Tile,
    /// What was measured to be better than the rules, for the products that it names.
    pub tuning: Option<Arc<Tuning>>,
    /// Largest storage binding, in bytes.
    pub max_binding: u64,
    /// Largest uniform binding, in bytes.
    pub max_uniform: u64,
    /// Whether operands are best read through uniform bindings of [`WINDOW`] bytes: a CPU adapter
    /// whose uniforms reach that far. llvmpipe loads a `vec4` from there in a tenth of the time
    /// that storage takes; a GPU would serialise loads that differ from lane to lane. The kernels
    /// of products are other ones then, too.
    pub windows: bool,
    /// Workgroups per dimension.
    pub max_workgroups: u32,
    /// The most turns of its loops that one invocation may take in all:
    /// [`CPU_TURNS`](super::CPU_TURNS) or [`GPU_TURNS`](super::GPU_TURNS).
    pub max_turns: u64,
    /// The most multiply-adds of products that one dispatch does; longer ones are cut into several
    /// over fewer workgroups. Drivers end dispatches that run for seconds, and a frame waits for
    /// each.
    pub max_multiply_adds: Option<u64>,
}

/// The most multiply-adds of a dispatch on a GPU, unless it is said: a fifth of a second where it
/// does 2.5e11 in a second.
pub const GPU_MULTIPLY_ADDS: u64 = 50_000_000_000;

/// Workgroups that fill a card of its own: those at hand have 30 to 132 units, which want one or
/// more each.
pub const DISCRETE_FILLS: usize = 128;

/// Workgroups that fill a GPU that is part of a processor, of up to some 40 units.
pub const INTEGRATED_FILLS: usize = 48;

impl Default for Caps {
    /// WebGPU's default limits and the shared-memory bodies.
    fn default() -> Self {
        Self {
            body: Body::Shared,
            matrices: Matrices::Sixteen,
            tile: None,
            fills: DISCRETE_FILLS,
            largest_tile: Tile::Large,
            tuning: None,
            max_binding: 128 << 20,
            max_uniform: 16 << 10,
            windows: false,
            max_workgroups: 65_535,
            max_turns: GPU_TURNS,
            max_multiply_adds: Some(GPU_MULTIPLY_ADDS),
        }
    }
}

impl Caps {
    /// Bytes of a chunk of the store that holds `bytes`: up to the next multiple of 256, and so far
    /// beyond that a window may begin at any state in it.
    pub fn padded(&self, bytes: u64) -> u64 {
        let more = if self.windows { WINDOW } else { 0 };
        let whole = bytes
            .checked_next_multiple_of(256)
            .unwrap_or(u64::MAX - 255);
        whole.saturating_add(more)
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
