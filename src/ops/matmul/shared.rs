//! Products through workgroup memory, by invocations or by cooperative matrices.

use std::borrow::Cow;

use super::{Block, MatMul, ProductSizes};
use crate::kernel::{Caps, Dispatch, Kernel, Lowering, Operand, source};
use crate::lowering::gemm::{End, Target, TileProduct, Tiles, in_splits};
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
        let may_split = to.splits(n);
        let mut tiling = product.tiling(whole.n, may_split, false, caps);
        let ty = Type::f32([groups * m, n]);
        if tiling.splits as u64 * ty.bytes() > caps.max_binding {
            tiling = product.tiling(whole.n, false, false, caps);
        }
        let kernel = Cow::Owned(kernel(Tiles::of(caps)));
        let dispatch = block.read(Dispatch::of(kernel, tiling.overrides));
        in_splits(tiling.splits, &ty, to, caps, out, |to, part| {
            let dispatch = product.params(&tiling, part, caps, to.bind(dispatch));
            let dispatch = self
                .strides(&block, dispatch)
                .param("step_a", whole.m * whole.k)
                .param("step_b", whole.k * whole.n)
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

fn kernel(tiles: Tiles) -> Kernel {
    tiles.kernel("matmul", &[source!("matmul/shared")], End::ALL)
}

/// The kernels that are composed when a product lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    Tiles::all().map(kernel).collect()
}
