//! What a device offers.

use std::sync::Arc;

use super::{Body, GPU_TURNS, Matrices, Tile, Tuning, WINDOW};

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
}

impl Default for Caps {
    /// WebGPU's default limits and the shared-memory bodies.
    fn default() -> Self {
        Self {
            body: Body::Shared,
            matrices: Matrices::Sixteen,
            tile: None,
            tuning: None,
            max_binding: 128 << 20,
            max_uniform: 16 << 10,
            windows: false,
            max_workgroups: 65_535,
            max_turns: GPU_TURNS,
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
