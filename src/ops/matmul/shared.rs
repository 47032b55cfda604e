//! Products through workgroup memory, by invocations or by cooperative matrices.

use std::borrow::Cow;

use super::{Block, MatMul, ProductSizes, Stored};
use crate::kernel::{Caps, Dispatch, Kernel, Lowering, Operand, Overrides, source};
use crate::lowering::gemm::{End, Fit, Target, TileProduct, Tiles, in_splits, shared_variants};
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
            may_split: to.splits(n),
            padded: false,
            whole: product.whole_blocks()
                && block.a.is_whole(groups, steps[0])
                && block.b.is_whole(groups, steps[1]),
        };
        let mut tiling = product.tiling(fit, caps);
        let ty = Type::f32([groups * m, n]);
        if tiling.splits as u64 * ty.bytes() > caps.max_binding {
            let may_split = false;
            tiling = product.tiling(Fit { may_split, ..fit }, caps);
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

    /// Whether the rows of all `groups`, `step` elements apart, begin at vec4s of the buffer.
    fn is_whole(&self, groups: usize, step: usize) -> bool {
        let steps = groups == 1 || step.is_multiple_of(4);
        self.first.is_multiple_of(4) && self.row.is_multiple_of(4) && steps
    }
}

const SHARED: &[Overrides] = shared_variants! {
    { along_a = 1, along_b = 0 }
    { along_a = 1, along_b = 1 }
    { along_a = 0, along_b = 0 }
    { along_a = 0, along_b = 1 }
};

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
    tiles.kernel("matmul", &providers, SHARED, End::ALL)
}

/// The kernels that are composed when a product lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    Tiles::all().map(kernel).collect()
}
