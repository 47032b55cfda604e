//! Products cut into tiles of workgroup memory, and the two bodies that multiply these, by the same
//! providers.

use crate::kernel::{
    Body, Caps, Dispatch, Kernel, Matrices, Overrides, Source, Tile, looped, source, turns_within,
};
use crate::lowering::value;

/// A product y = A B of `m x k` and `k x n` per group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TileProduct {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub groups: usize,
}

/// A product cut into tiles of workgroup memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tiling {
    pub overrides: Overrides,
    tiles: [usize; 2],
    /// Runs of terms that are summed apart.
    pub splits: usize,
    /// How many of them fill the device: more, if the turns of the device ask for them.
    pub wanted: usize,
    depth: usize,
    turns: TileTurns,
    /// The width by which the tile was chosen, and the columns of the small one.
    fills: [usize; 2],
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

/// Workgroups below which a GPU is not filled.
pub(crate) const ENOUGH_WORKGROUPS: usize = 128;

/// What multiplies the tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tiles {
    /// Each invocation, in `f32`.
    Shared,
    /// Subgroups, in `f16`.
    Cooperative(Matrices),
}

/// Edge of a tile of `gemm_shared`, and vec4s of rows that an invocation makes of it.
const fn edge(tile: Tile) -> [u32; 2] {
    match tile {
        Tile::Small => [32, 1],
        Tile::Medium => [64, 1],
        Tile::Large => [64, 2],
    }
}

const fn shared_variant(tile: Tile) -> [(&'static str, u32); 3] {
    let [edge, tall] = edge(tile);
    let workgroup_size = edge * edge / (16 * tall);
    [
        ("tile", edge),
        ("tall", tall),
        ("workgroup_size", workgroup_size),
    ]
}

/// The override sets of `gemm_shared`, one for each of [`Tile::ALL`].
const SHARED: &[Overrides] = &[
    &shared_variant(Tile::Small),
    &shared_variant(Tile::Medium),
    &shared_variant(Tile::Large),
];

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
    fn depth(self) -> usize {
        match self {
            Tiles::Shared => 16,
            Tiles::Cooperative(_) => 32,
        }
    }

    fn variants(self) -> &'static [Overrides] {
        match self {
            Tiles::Shared => SHARED,
            Tiles::Cooperative(Matrices::Sixteen | Matrices::Eight) => UNITS,
            Tiles::Cooperative(Matrices::Plain) => PLAIN,
        }
    }

    /// Rows and columns of the tile of one of its variants.
    fn extents(self, variant: usize) -> [usize; 2] {
        match self {
            Tiles::Shared => [edge(Tile::ALL[variant])[0] as usize; 2],
            Tiles::Cooperative(matrices) => {
                let [down, along, _] = blocks(matrices, variant == 1);
                let edge = matrix_edge(matrices);
                // A block is 4 x 2 matrices.
                [4 * edge * down as usize, 2 * edge * along as usize]
            }
        }
    }

    /// Turns of an invocation of one of its variants, which mends NaN where B is `padded`.
    fn turns(self, variant: usize, padded: bool) -> TileTurns {
        let overrides = self.variants()[variant];
        let workgroup = value(overrides, "workgroup_size");
        let [rows, columns] = self.extents(variant);
        let step = self.depth();
        let loads = |lines: usize| looped((lines / 4 * step).div_ceil(workgroup), 0);
        match self {
            Tiles::Shared => TileTurns {
                step,
                walks: 1,
                // The loads of A, from whichever side, and of B, and the products.
                inner: 2 * loads(rows) + loads(columns) + looped(step, 0),
                store: 0,
                mended: usize::from(padded),
                may_stay: false,
            },
            Tiles::Cooperative(matrices) => {
                let [down, along, _] = blocks(matrices, variant == 1);
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

    /// Which variant `caps` forces, if there is one of its tile; else the large one where `width`
    /// is more than the small one's columns.
    fn variant(self, width: usize, caps: &Caps) -> usize {
        let (small, large) = (0, self.variants().len() - 1);
        match (caps.tile, self) {
            (Some(Tile::Small), _) => small,
            (Some(Tile::Medium), Tiles::Shared) => 1,
            (Some(Tile::Large), _) => large,
            _ if width > self.extents(small)[1] => large,
            _ => small,
        }
    }

    /// The kernel `{map}_{body}` with these providers and epilogues.
    pub fn kernel(
        self,
        map: &str,
        providers: &[Source],
        epilogues: &'static [Overrides],
    ) -> Kernel {
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
        let kernel = Kernel::composed(format!("{map}_{body}"), files, self.variants())
            .with_epilogues(epilogues);
        match self {
            Tiles::Shared => kernel,
            Tiles::Cooperative(Matrices::Plain) => kernel.in_halves(&[]),
            Tiles::Cooperative(_) => kernel.in_halves(&["f16", "wgpu_cooperative_matrix"]),
        }
    }
}

impl Tiling {
    /// Why this tile and so many splits, in words.
    fn reason(&self, caps: &Caps) -> String {
        let tile = match (caps.tile, self.fills) {
            (Some(_), _) => "the tile by request or measurement".to_owned(),
            (None, [width, columns]) if width > columns => {
                format!("the large tile, as the narrowest extent, {width}, is more than {columns}")
            }
            (None, [width, columns]) => {
                format!(
                    "the small tile, as its {columns} columns hold the narrowest extent, {width}"
                )
            }
        };
        let count = self.tiles[0] * self.tiles[1];
        match self.splits {
            1 => format!("{tile}; {count} tiles, sums whole"),
            splits => format!("{tile}; {count} tiles, sums in {splits} runs"),
        }
    }
}

impl TileProduct {
    /// Unless `caps` forces a tile: the large one where `width`, the smallest extent of the product
    /// that no batch enters, fills it, so that another batch size needs no other kernel; and a
    /// split of long sums over few tiles if `may_split`. Sums that take more turns than the device
    /// allows are split all the same. `padded` is that of the map.
    pub fn tiling(&self, width: usize, may_split: bool, padded: bool, caps: &Caps) -> Tiling {
        let own = Tiles::of(caps);
        let (variant, step) = (own.variant(width, caps), own.depth());
        let turns = own.turns(variant, padded);
        let [rows, columns] = own.extents(variant);
        let tiles = [self.m.div_ceil(rows), self.n.div_ceil(columns)];
        let count = tiles[0] * tiles[1] * self.groups;
        let wanted = ENOUGH_WORKGROUPS.div_ceil(count.max(1));
        let splits = match may_split {
            true => wanted.min(self.k / (8 * step)).max(1),
            false => 1,
        };
        let depth = self.k.div_ceil(splits).next_multiple_of(step).max(step);
        let depth = depth.min(turns.most_terms(caps));
        Tiling {
            overrides: own.variants()[variant],
            tiles,
            splits: self.k.div_ceil(depth).max(1),
            wanted: splits,
            depth,
            turns,
            fills: [width, own.extents(0)[1]],
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

    /// The most terms that one run sums within the turns of the device.
    pub fn most_terms(width: usize, padded: bool, caps: &Caps) -> usize {
        let own = Tiles::of(caps);
        own.turns(own.variant(width, caps), padded).most_terms(caps)
    }
}
