//! Products cut into tiles of workgroup memory, and the two bodies that multiply these, by the same
//! providers.

use crate::kernel::{
    Body, Caps, Dispatch, Kernel, Matrices, Overrides, Source, Tile, looped, source, turns_within,
};
use crate::lowering::variant;

use super::shared::{DEPTH, Whole, edge};

/// A product y = A B of `m x k` and `k x n` per group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TileProduct {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub groups: usize,
}

impl TileProduct {
    /// Whether its runs of terms are whole blocks of those that the kernels by tiles take at a time
    /// as invocations multiply them.
    pub fn whole_blocks(&self) -> bool {
        self.k.is_multiple_of(DEPTH)
    }
}

/// How a product may be summed in several runs of its terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Splits {
    Never,
    /// Where that fills the device.
    ToFill,
    /// The same, but whether it is depends on the typical product alone: what follows the sum is
    /// then in another kernel.
    AsTypical,
}

/// What a lowering knows of a product besides its extents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fit {
    /// The product at a typical batch, which chooses the tile: so another batch compiles nothing,
    /// unless it is typical for others.
    pub typical: TileProduct,
    pub splits: Splits,
    /// Whether B has padding.
    pub padded: bool,
    pub whole: Whole,
}

/// A product cut into tiles of workgroup memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tiling {
    body: Tiles,
    shape: usize,
    tiles: [usize; 2],
    /// Runs of terms that are summed apart.
    pub splits: usize,
    /// How many of them fill the device: more, if the turns of the device ask for them.
    pub wanted: usize,
    depth: usize,
    turns: TileTurns,
    fit: Fit,
}

/// Turns of an invocation's loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TileTurns {
    /// Terms that pass through workgroup memory at a time, times that an invocation walks over all
    /// of them, turns of the loops within.
    step: usize,
    walks: usize,
    inner: u64,
    /// Those that store.
    store: u64,
    /// Sums that an invocation makes again one after the other, where they are NaN. One more such
    /// loop makes all at once.
    mended: usize,
    /// Whether it does so only as far as the device allows.
    may_stay: bool,
}

impl TileTurns {
    /// Over `depth` terms; where `mends`, with NaN made again.
    fn of(&self, depth: usize, mends: bool) -> u64 {
        let walk = looped(depth.div_ceil(self.step), self.inner) + self.store;
        let again = if mends { self.mended } else { 0 } as u64;
        looped(self.walks, walk) + again * looped(depth, 0)
    }

    /// The most terms within the turns of the device, a multiple of `step`.
    fn most_terms(&self, caps: &Caps) -> usize {
        let mends = !self.may_stay;
        let least = self.of(0, mends);
        let each = self.of(self.step, mends) - least;
        turns_within(
            caps.max_turns.saturating_add(1).saturating_sub(least),
            each.saturating_sub(1),
        ) * self.step
    }
}

/// Terms of a run from which on splitting a sum counts as more tiles to choose from: shorter runs
/// fill a device where nothing else does, but are hardly worth the pass that adds them up.
const RUN_TERMS: usize = 128;

/// What multiplies the tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tiles {
    /// Each invocation, in `f32`.
    Shared,
    /// Subgroups, in `f16`.
    Cooperative(Matrices),
}

/// Blocks of a tile of `gemm_cooperative` down and along y, and its workgroup's size. There is no
/// medium one.
const fn blocks(matrices: Matrices, large: bool) -> [u32; 3] {
    match (matrices, large) {
        (Matrices::Sixteen | Matrices::Eight, false) => [1, 2, 64],
        (Matrices::Sixteen | Matrices::Eight, true) => [2, 4, 256],
        // More invocations, each of which is a subgroup, than blocks, and fewer.
        (Matrices::Plain, false) => [1, 1, 2],
        (Matrices::Plain, true) => [4, 4, 8],
    }
}

const fn cooperative_variant(matrices: Matrices, large: bool) -> [(&'static str, u32); 3] {
    let [down, along, workgroup_size] = blocks(matrices, large);
    [
        ("down", down),
        ("along", along),
        ("workgroup_size", workgroup_size),
    ]
}

/// The override sets of `gemm_cooperative`, the small and the large one.
const UNITS: &[Overrides] = &[
    &cooperative_variant(Matrices::Sixteen, false),
    &cooperative_variant(Matrices::Sixteen, true),
];
const PLAIN: &[Overrides] = &[
    &cooperative_variant(Matrices::Plain, false),
    &cooperative_variant(Matrices::Plain, true),
];

/// Edge of the matrices that are multiplied.
const fn matrix_edge(matrices: Matrices) -> usize {
    match matrices {
        Matrices::Sixteen => 16,
        Matrices::Eight => 8,
        Matrices::Plain => 2,
    }
}

impl Tiles {
    /// All of them, for lists of kernels.
    pub fn all() -> impl Iterator<Item = Tiles> {
        let cooperative = Matrices::ALL.into_iter().map(Tiles::Cooperative);
        std::iter::once(Tiles::Shared).chain(cooperative)
    }

    /// What a device multiplies tiles with.
    pub fn of(caps: &Caps) -> Self {
        match caps.body {
            Body::Cooperative => Tiles::Cooperative(caps.matrices),
            Body::Shared | Body::Registers => Tiles::Shared,
        }
    }

    /// Terms that pass through workgroup memory at a time.
    pub fn depth(self) -> usize {
        match self {
            Tiles::Shared => DEPTH,
            Tiles::Cooperative(_) => 32,
        }
    }

    /// How many shapes of tiles it has, the smallest first.
    fn shapes(self) -> usize {
        match self {
            Tiles::Shared => Tile::ALL.len(),
            Tiles::Cooperative(_) => 2,
        }
    }

    /// The overrides of one of its shapes.
    fn shape(self, shape: usize) -> Vec<(&'static str, usize)> {
        match self {
            Tiles::Shared => vec![("tile", edge(Tile::ALL[shape])[0] as usize)],
            Tiles::Cooperative(matrices) => {
                let overrides = cooperative_variant(matrices, shape == 1);
                overrides.map(|(name, n)| (name, n as usize)).to_vec()
            }
        }
    }

    /// Rows and columns of the tile of one of its shapes.
    fn extents(self, shape: usize) -> [usize; 2] {
        match self {
            Tiles::Shared => [edge(Tile::ALL[shape])[0] as usize; 2],
            Tiles::Cooperative(matrices) => {
                let [down, along, _] = blocks(matrices, shape == 1);
                let edge = matrix_edge(matrices);
                // A block is 4 x 2 matrices.
                [4 * edge * down as usize, 2 * edge * along as usize]
            }
        }
    }

    /// Turns of an invocation for one of its shapes, which mends NaN where B is `padded`.
    fn turns(self, shape: usize, padded: bool) -> TileTurns {
        let [rows, columns] = self.extents(shape);
        let step = self.depth();
        match self {
            Tiles::Shared => {
                let [_, tall, wide] = edge(Tile::ALL[shape]);
                let blocks = (tall * wide) as usize;
                TileTurns {
                    step,
                    walks: 1,
                    // Four terms at a time, by fours.
                    inner: looped(step / 4, looped(4, 0)),
                    // A block of four columns and four rows, and what opens a cursor: taps, rows
                    // and columns of a kernel.
                    store: looped(blocks, looped(4, looped(4, 0))) + OPENING,
                    mended: if padded { blocks } else { 0 },
                    may_stay: false,
                }
            }
            Tiles::Cooperative(matrices) => {
                let [down, along, workgroup] = blocks(matrices, shape == 1);
                let workgroup = workgroup as usize;
                let loads = |lines: usize| looped((lines / 4 * step).div_ceil(workgroup), 0);
                let count = (down * along) as usize;
                let edge = matrix_edge(matrices);
                // Subgroups have up to 128 invocations; written out, each invocation is one.
                let subgroups = match matrices {
                    Matrices::Plain => workgroup,
                    Matrices::Sixteen | Matrices::Eight => (workgroup / 128).max(1),
                };
                let busy = subgroups.min(count);
                let walks = count.div_ceil(busy);
                let area = edge * edge;
                let stored = (count * area).div_ceil(workgroup);
                TileTurns {
                    step,
                    walks,
                    inner: loads(rows) + loads(columns) + looped(step / edge, 0),
                    store: looped(stored, 0) + looped(8, looped(stored, 0)),
                    mended: if padded { walks * 8 * stored } else { 0 },
                    may_stay: true,
                }
            }
        }
    }

    /// The shape that `caps` forces, if there is one; else the largest whose tiles fill the device
    /// at a typical batch, if need be by splits, and do not leave much of themselves empty.
    fn choose(self, fit: &Fit, caps: &Caps) -> usize {
        let most = match self {
            Tiles::Shared if fit.whole == Whole::Not => 1,
            _ => self.shapes() - 1,
        };
        match (caps.tile, self) {
            (Some(Tile::Small), _) => return 0,
            (Some(Tile::Medium), Tiles::Shared) => return 1,
            (Some(Tile::Large), _) => return most,
            _ => {}
        }
        let largest = match caps.largest_tile {
            Tile::Small => 0,
            Tile::Medium => most.min(1),
            Tile::Large => most,
        };
        let typical = &fit.typical;
        let area = |shape| {
            let [rows, columns] = self.extents(shape);
            typical.m.next_multiple_of(rows) * typical.n.next_multiple_of(columns)
        };
        let runs = match fit.splits {
            Splits::ToFill => (typical.k / RUN_TERMS).max(1),
            Splits::Never | Splits::AsTypical => 1,
        };
        (1..=largest)
            .rev()
            .find(|&shape| {
                let filled = typical.tiles(self, shape) * runs >= caps.fills;
                filled && area(shape) * 4 <= area(shape - 1) * 5
            })
            .unwrap_or(0)
    }

    /// The kernel `{map}_{body}` with these providers and epilogues. `shared` are the override
    /// sets of the body that multiplies by invocations.
    pub fn kernel(
        self,
        map: &str,
        providers: &[Source],
        shared: &'static [Overrides],
        epilogues: &'static [Overrides],
    ) -> Kernel {
        let variants = match self {
            Tiles::Shared => shared,
            Tiles::Cooperative(Matrices::Sixteen | Matrices::Eight) => UNITS,
            Tiles::Cooperative(Matrices::Plain) => PLAIN,
        };
        let cooperative = source!("gemm/cooperative");
        let units = source!("gemm/cooperative_units");
        let (body, own) = match self {
            Tiles::Shared => ("shared", vec![source!("gemm/shared")]),
            Tiles::Cooperative(Matrices::Sixteen) => (
                "cooperative_16",
                vec![cooperative, units, source!("gemm/cooperative_16")],
            ),
            Tiles::Cooperative(Matrices::Eight) => (
                "cooperative_8",
                vec![cooperative, units, source!("gemm/cooperative_8")],
            ),
            Tiles::Cooperative(Matrices::Plain) => (
                "cooperative_plain",
                vec![cooperative, source!("gemm/cooperative_plain")],
            ),
        };
        let epilogue = [source!("gemm/end"), source!("gemm/y_elements")];
        let files = [&own, providers, &epilogue].concat();
        let kernel =
            Kernel::composed(format!("{map}_{body}"), files, variants).with_epilogues(epilogues);
        match self {
            Tiles::Shared => kernel,
            Tiles::Cooperative(Matrices::Plain) => kernel.in_halves(&[]),
            Tiles::Cooperative(_) => kernel.in_halves(&["f16", "wgpu_cooperative_matrix"]),
        }
    }
}

/// Turns of the loops that open a cursor, at most: over the taps of a kernel by 64 invocations, its
/// rows, its columns, and its rows again.
const OPENING: u64 = 64;

impl Tiling {
    /// The variant of a kernel: this tile, and of the body that multiplies by invocations those
    /// with these overrides of its providers.
    pub fn overrides(&self, kernel: &Kernel, own: &[(&str, usize)]) -> Overrides {
        let mut wanted = self.body.shape(self.shape);
        if self.body == Tiles::Shared {
            wanted.extend(own);
            wanted.push(("whole", self.fit.whole as usize));
        }
        variant(kernel, &wanted)
    }

    /// Why this tile and so many splits, in words.
    fn reason(&self, caps: &Caps) -> String {
        let [rows, columns] = self.body.extents(self.shape);
        let tile = match caps.tile {
            Some(_) => format!("tiles of {rows} x {columns} by request or measurement"),
            None => format!(
                "tiles of {rows} x {columns}, the largest that fill the device and themselves"
            ),
        };
        let count = self.tiles[0] * self.tiles[1];
        match self.splits {
            1 => format!("{tile}; {count} of them, sums whole"),
            splits => format!("{tile}; {count} of them, sums in {splits} runs"),
        }
    }
}

impl TileProduct {
    /// Tiles of all groups.
    fn tiles(&self, body: Tiles, shape: usize) -> usize {
        let [rows, columns] = body.extents(shape);
        self.m.div_ceil(rows) * self.n.div_ceil(columns) * self.groups
    }

    /// Unless `caps` forces a tile, the largest that fills the device at a typical batch; and a
    /// split of long sums over few tiles if that is allowed. Sums that take more turns than the
    /// device allows are split all the same.
    pub fn tiling(&self, fit: Fit, caps: &Caps) -> Tiling {
        let body = Tiles::of(caps);
        let (shape, step) = (body.choose(&fit, caps), body.depth());
        let turns = body.turns(shape, fit.padded);
        let [rows, columns] = body.extents(shape);
        let wanted = caps.fills.div_ceil(self.tiles(body, shape).max(1));
        let most = (self.k / step).max(1);
        let splits = match fit.splits {
            Splits::Never => 1,
            Splits::ToFill => wanted.min(most),
            Splits::AsTypical if fit.typical.tiles(body, shape) < caps.fills => {
                wanted.max(2).min(most)
            }
            Splits::AsTypical => 1,
        };
        let depth = self.k.div_ceil(splits).next_multiple_of(step).max(step);
        // No batch has a say in how many terms fit: it may choose the tile.
        let depth = depth.min(Self::most_terms(fit.padded, caps));
        Tiling {
            body,
            shape,
            tiles: [self.m.div_ceil(rows), self.n.div_ceil(columns)],
            splits: self.k.div_ceil(depth).max(1),
            wanted: splits,
            depth,
            turns,
            fit,
        }
    }

    /// Appends the params that the bodies by tiles read, the turns and the workgroups, for all
    /// splits of a product.
    pub fn params(
        &self,
        tiling: &Tiling,
        part: usize,
        caps: &Caps,
        dispatch: Dispatch,
    ) -> Dispatch {
        self.some_params(tiling, [0, tiling.splits], part, caps, dispatch)
    }

    /// The same for one split alone.
    pub fn split_params(
        &self,
        tiling: &Tiling,
        split: usize,
        caps: &Caps,
        dispatch: Dispatch,
    ) -> Dispatch {
        self.some_params(tiling, [split, 1], 0, caps, dispatch)
    }

    /// The same for `splits` of them from `first_split` on.
    pub fn some_params(
        &self,
        tiling: &Tiling,
        [first_split, splits]: [usize; 2],
        part: usize,
        caps: &Caps,
        dispatch: Dispatch,
    ) -> Dispatch {
        let [tiles_m, tiles_n] = tiling.tiles;
        let depth = tiling.depth.min(self.k);
        let mends = tiling.turns.of(depth, true) <= caps.max_turns;
        dispatch
            .param("m", self.m)
            .param("n", self.n)
            .param("k", self.k)
            .param("tiles_m", tiles_m)
            .param("tiles_n", tiles_n)
            .param("splits", splits)
            .param("depth", tiling.depth)
            .param("part", part)
            .param("first_split", first_split)
            .param("mends", usize::from(mends))
            .turns(tiling.turns.of(depth, mends || !tiling.turns.may_stay))
            .because(tiling.reason(caps))
            .workgroups(tiles_m * tiles_n * splits * self.groups)
    }

    /// The most terms that one run sums within the turns of the device, whatever the tile.
    pub fn most_terms(padded: bool, caps: &Caps) -> usize {
        let body = Tiles::of(caps);
        let shapes = 0..body.shapes();
        let most = shapes.map(|shape| body.turns(shape, padded).most_terms(caps));
        most.min().expect("every body has a shape")
    }
}
