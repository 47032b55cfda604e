//! Products through workgroup memory, by invocations or by cooperative matrices.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::{Block, MatMul, ProductSizes, Stored};
use crate::kernel::{Caps, Dispatch, Kernel, Lowering, Operand, Overrides, source};
use crate::lowering::gemm::{
    End, Fit, Splits, Target, TileProduct, Tiles, Whole, in_splits, shared_variants,
};
use crate::shape::Type;

impl MatMul {
    /// The products of `groups` matrices side by side, the first of which are `block`.
    pub(super) fn lower_shared(
        &self,
        whole: ProductSizes,
        block: Block,
        groups: usize,
        to: Target,
        caps: &Caps,
        out: &mut Lowering,
    ) {
        let ProductSizes { m, n, k } = block.sizes;
        let product = TileProduct { m, n, k, groups };
        let steps = [whole.m * whole.k, whole.k * whole.n];
        let fit = Fit {
            typical: self.typical(product),
            splits: match (to.splits(n), to.end) {
                (false, _) => Splits::Never,
                (true, End::None) => Splits::ToFill,
                (true, _) => Splits::AsTypical,
            },
            padded: false,
            whole: self.whole(&product, [block.a, block.b]),
        };
        let mut tiling = product.tiling(fit, caps);
        let ty = Type::f32([groups * m, n]);
        if tiling.splits as u64 * ty.bytes() > caps.max_binding {
            let splits = Splits::Never;
            tiling = product.tiling(Fit { splits, ..fit }, caps);
        }
        let kernel = kernel(Tiles::of(caps));
        let along = [
            ("along_a", usize::from(!self.transpose_a)),
            ("along_b", usize::from(self.transpose_b)),
        ];
        let overrides = tiling.overrides(&kernel, &along);
        let dispatch = block.read(Dispatch::of(Cow::Owned(kernel), overrides));
        in_splits(tiling.splits, &ty, to, caps, out, |to, part| {
            let dispatch = product.params(&tiling, part, caps, to.bind(dispatch));
            let dispatch = self
                .strides(&block, dispatch)
                .param("last_a", block.a.last_quad())
                .param("last_b", block.b.last_quad())
                .param("step_a", steps[0])
                .param("step_b", steps[1])
                .param("step_y", whole.m * whole.n);
            to.params(dispatch)
        });
    }
}

/// Rows up to which a product is like others, and how many a typical one of them has: few, as many
/// as a batch has, or many. They choose the tile.
const ROWS: [[usize; 2]; 2] = [[64, 64], [1024, 256]];
const MANY_ROWS: usize = 8192;
/// Matrices of a typical batch, and the terms of a product that sums over one.
const TYPICAL_MATRICES: usize = 32;
const TYPICAL_TERMS: usize = 128;

impl MatMul {
    /// The product at a typical batch. A linear layer has the batch in the rows of a, its gradient
    /// by the weight in the terms.
    fn typical(&self, product: TileProduct) -> TileProduct {
        let mut typical = product;
        if self.batch {
            typical.groups = TYPICAL_MATRICES;
        } else if self.transpose_a {
            typical.k = TYPICAL_TERMS;
        } else {
            let class = ROWS.iter().find(|[most, _]| product.m <= *most);
            typical.m = class.map_or(MANY_ROWS, |&[_, rows]| rows);
        }
        typical
    }

    /// How the vec4s of a and b lie. Terms that may be a batch are never taken to be whole blocks.
    fn whole(&self, product: &TileProduct, [a, b]: [Stored; 2]) -> Whole {
        let quads = a.is_quads() && b.is_quads();
        match (quads, self.transpose_a) {
            (false, _) => Whole::Not,
            (true, false) if product.whole_blocks() => Whole::Blocks,
            (true, _) => Whole::Quads,
        }
    }
}

impl Block {
    fn read(&self, dispatch: Dispatch) -> Dispatch {
        dispatch
            .read(Operand::Input(0))
            .part(self.a.part)
            .read(Operand::Input(1))
            .part(self.b.part)
    }
}

impl Stored {
    /// Number of the last vec4 of its part.
    fn last_quad(&self) -> usize {
        self.count.max(1).div_ceil(4) - 1
    }

    /// Whether all rows begin at vec4s of the buffer, those of further matrices behind it too.
    fn is_quads(&self) -> bool {
        self.first.is_multiple_of(4) && self.row.is_multiple_of(4)
    }
}

static SHARED: LazyLock<Vec<Overrides>> = LazyLock::new(|| {
    let along: [Overrides; 2] = [
        &[("along_a", 1), ("along_b", 0)],
        &[("along_a", 1), ("along_b", 1)],
    ];
    let across: [Overrides; 2] = [
        &[("along_a", 0), ("along_b", 0)],
        &[("along_a", 0), ("along_b", 1)],
    ];
    let all = [Whole::Not, Whole::Quads, Whole::Blocks];
    [
        shared_variants(&along, &all),
        shared_variants(&across, &all[..2]),
    ]
    .concat()
});

fn kernel(tiles: Tiles) -> Kernel {
    let providers = match tiles {
        Tiles::Shared => vec![
            source!("matmul/params"),
            source!("matmul/cursor"),
            source!("gemm/first_quads"),
            source!("gemm/second_quads"),
            source!("gemm/shifted"),
        ],
        Tiles::Cooperative(_) => vec![
            source!("matmul/params"),
            source!("matmul/elements"),
            source!("gemm/first_elements"),
            source!("gemm/second_elements"),
        ],
    };
    tiles.kernel("matmul", &providers, &SHARED, End::ALL)
}

/// The kernels that are composed when a product lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    Tiles::all().map(kernel).collect()
}
