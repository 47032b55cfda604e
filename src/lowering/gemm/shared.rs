//! What the body that multiplies tiles by invocations, `gemm_shared`, is built with.

use crate::kernel::{Overrides, Tile};

/// Terms that pass through workgroup memory at a time.
pub(super) const DEPTH: usize = 8;

/// How vec4s and runs of terms of `gemm_shared` lie: its override `whole`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whole {
    /// Anyhow.
    Not = 0,
    /// Every vec4 is one of a buffer's, and every run of terms whole blocks.
    Blocks = 1,
    /// Every vec4 is one of a buffer's.
    Quads = 2,
}

/// Edge of a tile of `gemm_shared`, and vec4s of rows and of columns that an invocation makes.
pub(super) const fn edge(tile: Tile) -> [u32; 3] {
    match tile {
        Tile::Small => [32, 1, 1],
        Tile::Medium => [64, 2, 1],
        Tile::Large => [128, 2, 2],
    }
}

/// The override sets of `gemm_shared` for these sets of its providers: each tile with each way of
/// loading, but the largest only with vec4s of the buffers. They live as long as the program, once
/// for each kernel.
pub(crate) fn shared_variants(providers: &[Overrides], ways: &[Whole]) -> &'static [Overrides] {
    let mut sets: Vec<Overrides> = Vec::new();
    for provider in providers {
        for tile in Tile::ALL {
            let [edge, tall, wide] = edge(tile);
            for &whole in ways {
                if tile == Tile::Large && whole == Whole::Not {
                    continue;
                }
                let mut set = vec![
                    ("tile", edge),
                    ("tall", tall),
                    ("wide", wide),
                    ("workgroup_size", edge * edge / (16 * tall * wide)),
                ];
                set.extend_from_slice(provider);
                set.push(("whole", whole as u32));
                sets.push(set.leak());
            }
        }
    }
    sets.leak()
}
