//! Products without workgroup memory, for CPU adapters and GL: how their windows lie, and the
//! kernel by vec4s.

use std::borrow::Cow;

use super::terms::{self, Held, SumWith};
use crate::kernel::{
    Caps, Dispatch, Kernel, Lowering, Overrides, Shown, Tile, WINDOW_ELEMENTS, looped, source,
    turns_within, window_rows,
};
use crate::lowering::gemm::{APART, End, Target, View, in_dispatches};
use crate::lowering::{value, variant};
use crate::ops::matmul::{Block, MatMul, ProductSizes, Stored};
use crate::shape::Type;

impl MatMul {
    /// Which of a and b are read through windows: those whose rows run along an axis of the
    /// product, and those whose rows lie along the sum, which is then cut. Neither the batch nor
    /// where a block lies has a say in it, but that sums which wait apart must fit a binding.
    fn windows(&self, whole: ProductSizes, may_split: bool, caps: &Caps) -> [bool; 2] {
        let ProductSizes { m, n, k } = whole;
        match (self.transpose_a, self.transpose_b) {
            _ if !caps.windows => [false, false],
            // Windows of both make small blocks of y: they should keep a CPU busy.
            (false, true) => [rows(k) >= 8, rows(k) >= 32],
            (false, false) => {
                // Matrices of a batch take a dispatch each as it is, and windows of few rows many.
                let many = self.batch || (8..RUN_ROWS).contains(&rows(k));
                let least = if many { k } else { k.min(RUN_ROWS) };
                [rows(k) >= 8, window_rows(n) >= least]
            }
            (true, false) => [may_split && rows(m.max(n)) >= 16; 2],
            (true, true) => [false, false],
        }
    }

    /// Emits one block; all of an op share `held`.
    pub(in crate::ops::matmul) fn lower_registers(
        &self,
        whole: ProductSizes,
        block: Block,
        to: Target,
        held: &Held,
        caps: &Caps,
        out: &mut Lowering,
    ) {
        let ProductSizes { m, n, k } = block.sizes;
        // Rows that windows of both show where they run along the sum, and whether the sums of so
        // many runs that lie apart fit a binding.
        let most = rows(block.a.row.max(block.b.row));
        let sums = k.div_ceil(most.max(1)).min(APART) as u64;
        let fits = sums * Type::f32([m, n]).bytes() <= caps.max_binding;
        // All matrices of a batch alike: only the first could be split.
        let may_split = to.splits(n) && fits && !self.batch;
        let [a_window, b_window] = self.windows(whole, may_split, caps);
        let a = View::new(0, block.a.part, block.a.count, a_window);
        let b = View::new(1, block.b.part, block.b.count, b_window);
        let shown = |view: &View, stored: Stored, count, most| {
            view.rows(stored.row, stored.first, count, most)
        };
        if self.transpose_a && a_window {
            let (along_a, along_b) = (shown(&a, block.a, k, most), shown(&b, block.b, k, most));
            let product = |run: usize, part: usize, to: Target, elements: usize| {
                let (a_shown, b_shown) = (along_a[run], along_b[run]);
                let sizes = ProductSizes {
                    k: a_shown.count,
                    ..block.sizes
                };
                let to = Target {
                    first: to.first + part * elements,
                    ..to
                };
                let block = block.within(sizes, a_shown, b_shown);
                let sum = if run == part {
                    SumWith::Alone
                } else {
                    SumWith::InPlace
                };
                self.registers_dispatch(whole, block, [&a, &b], to, sum, caps)
            };
            in_dispatches(along_a.len(), &Type::f32([m, n]), to, caps, out, product);
            return;
        }
        // An operand whose rows run along the sum is seen whole.
        let along_m = match self.transpose_a {
            false => shown(&a, block.a, m, usize::MAX),
            true => vec![Shown::all(m, block.a.first)],
        };
        let (along_n, along_k) = match self.transpose_b {
            true => {
                // Runs of columns begin at even ones, so that y is written by pairs.
                let columns = shown(&b, block.b, n, (rows(block.b.row) & !1).max(1));
                (columns, vec![Shown::all(k, 0)])
            }
            false => {
                let columns = vec![Shown::all(n, block.b.first)];
                (columns, shown(&b, block.b, k, usize::MAX))
            }
        };
        // The mask must last until all terms are summed.
        let waits = along_k.len() > 1 && to.end == End::MaskInPlace;
        let held = waits.then(|| held.scratch(out));
        for a_shown in &along_m {
            for columns in &along_n {
                let corner = Target {
                    first: to.first + a_shown.start * to.row + columns.start,
                    first_column: to.first_column + columns.start,
                    ..to
                };
                for (run, terms) in along_k.iter().enumerate() {
                    let (to, sum) = SumWith::of(corner, run, along_k.len(), held);
                    let sizes = ProductSizes {
                        m: a_shown.count,
                        n: columns.count,
                        k: terms.count,
                    };
                    let a_terms = Shown {
                        first: a_shown.first + terms.start,
                        ..*a_shown
                    };
                    let b_shown = if self.transpose_b { columns } else { terms };
                    let block = block.within(sizes, a_terms, *b_shown);
                    out.push(self.registers_dispatch(whole, block, [&a, &b], to, sum, caps));
                }
            }
        }
    }

    /// One block through the views of a and b.
    fn registers_dispatch(
        &self,
        whole: ProductSizes,
        block: Seen,
        views: [&View; 2],
        to: Target,
        sum: SumWith,
        caps: &Caps,
    ) -> Dispatch {
        match caps.windows {
            true => self.terms_dispatch(whole, block, views, to, sum, caps),
            false => {
                debug_assert_eq!(sum, SumWith::Alone, "only windows cut the sum");
                self.quads_dispatch(whole, block, views, to, caps)
            }
        }
    }

    /// By `matmul_registers`.
    fn quads_dispatch(
        &self,
        whole: ProductSizes,
        block: Seen,
        [a, b]: [&View; 2],
        to: Target,
        caps: &Caps,
    ) -> Dispatch {
        let stored = [block.block.a, block.block.b];
        let aligned = stored
            .iter()
            .all(|s| s.first.is_multiple_of(4) && s.row.is_multiple_of(4));
        // By the size of the weight, into which no batch enters (see `product`): another one must
        // not need another kernel.
        let weight = match self.transpose_a {
            true => whole.m * whole.n,
            false => whole.n * whole.k,
        };
        let rule = match weight < LARGE_WEIGHT {
            true => Tile::Small,
            false => Tile::Large,
        };
        let kernel = registers_kernel();
        let high = high(caps.tile.unwrap_or(rule));
        let tiles = RegisterTiles::new(&block, high);
        // The small one has no fast path.
        let aligned = usize::from(aligned && high > 1);
        let [transpose_a, transpose_b] = self.transposed().map(usize::from);
        let wanted = [
            ("high", high),
            ("aligned", aligned),
            ("transpose_a", transpose_a),
            ("transpose_b", transpose_b),
        ];
        let dispatch = tiles
            .dispatch(kernel, &wanted, &block, [a, b], 4)
            .param("last_a", a.last_quad())
            .param("last_b", b.last_quad())
            .param("first_a", block.block.a.first)
            .param("row_a", block.block.a.row)
            .param("first_b", block.block.b.first)
            .param("row_b", block.block.b.row);
        to.bind(to.params(dispatch))
    }
}

/// Rows of `row` elements that a window shows wherever they begin.
fn rows(row: usize) -> usize {
    WINDOW_ELEMENTS / row.max(1)
}

/// Turns of the loops around the one over the terms: those that store the blocks of a tile, and
/// those that read a bias for it.
fn around(high: usize) -> u64 {
    looped(WIDE * high, looped(4, looped(4, 0))) + WIDE as u64 * looped(4, 0)
}

/// The most terms that a loop gets through, whatever the tile: one a turn through windows, else
/// four.
pub(in crate::ops::matmul) fn most_terms(caps: &Caps) -> usize {
    let turns = turns_within(caps.max_turns.saturating_sub(around(high(Tile::Large))), 0);
    match caps.windows {
        true => turns,
        false => turns.saturating_mul(4),
    }
}

/// `high` of the kernels in registers: vec4s of rows in a tile.
pub(in crate::ops::matmul) fn high(tile: Tile) -> usize {
    match tile {
        Tile::Small => 1,
        Tile::Medium => 2,
        Tile::Large => 4,
    }
}

/// How the kernels in registers cut a block of a product.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops::matmul) struct RegisterTiles {
    high: usize,
    down: usize,
    across: usize,
}

impl RegisterTiles {
    pub fn new(block: &Seen, high: usize) -> Self {
        let ProductSizes { m, n, .. } = block.block.sizes;
        Self {
            high,
            down: m.div_ceil(4 * high),
            across: n.div_ceil(4 * WIDE),
        }
    }

    /// The set of `kernel` that is wanted, what it reads of a and b, its workgroups and first
    /// params. It sums `step` terms a turn.
    pub fn dispatch(
        &self,
        kernel: Kernel,
        wanted: &[(&str, usize)],
        block: &Seen,
        [a, b]: [&View; 2],
        step: usize,
    ) -> Dispatch {
        let overrides = variant(&kernel, wanted);
        let dispatch = a.bind(Dispatch::of(Cow::Owned(kernel), overrides), &block.a);
        let ProductSizes { m, n, k } = block.block.sizes;
        let tiles = self.down * self.across;
        b.bind(dispatch, &block.b)
            .param("tiles", tiles)
            .param("tiles_n", self.across)
            .param("m", m)
            .param("n", n)
            .param("k", k)
            .param("stores", WIDE * self.high)
            .param("four", 4)
            .turns(looped(k.div_ceil(step), 0) + around(self.high))
            .workgroups(tiles.div_ceil(value(overrides, "workgroup_size")))
    }
}

/// A block of a product, and what a dispatch sees of a and b.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops::matmul) struct Seen {
    pub block: Block,
    a: Shown,
    b: Shown,
}

impl Block {
    /// The block of these sizes that begins where `a` and `b` show it.
    fn within(&self, sizes: ProductSizes, a: Shown, b: Shown) -> Seen {
        let stored = |stored: Stored, shown: Shown| Stored {
            first: shown.first,
            ..stored
        };
        let block = Block {
            sizes,
            a: stored(self.a, a),
            b: stored(self.b, b),
        };
        Seen { block, a, b }
    }
}

/// Vec4s of columns in a tile of the kernels in registers: the override `wide` of
/// `matmul_registers`, which is left at its default.
const WIDE: usize = 2;

/// Rows in a window of b from which on a product reads it so, run by run of terms, though every run
/// then reads and writes y again; and of a, if it is seen through windows too, so that there are
/// not many runs of few rows.
const RUN_ROWS: usize = 40;

/// Elements of a linear layer's weight from which on the larger tile is worth a pipeline of its
/// own.
const LARGE_WEIGHT: usize = 2048;

/// The override sets of `matmul_registers` for a and b stored transposed or not.
struct Variants<const A: bool, const B: bool>;

impl<const A: bool, const B: bool> Variants<A, B> {
    /// Large and medium, aligned or not, and small.
    const ALL: &'static [Overrides] = &[
        &Self::set(4, 1),
        &Self::set(4, 0),
        &Self::set(2, 1),
        &Self::set(2, 0),
        &Self::set(1, 0),
    ];

    const fn set(high: u32, aligned: u32) -> [(&'static str, u32); 5] {
        [
            ("high", high),
            ("aligned", aligned),
            ("transpose_a", A as u32),
            ("transpose_b", B as u32),
            ("workgroup_size", 16),
        ]
    }
}

/// All of them.
const VARIANTS: [Overrides; 20] = {
    let lists = [
        Variants::<false, false>::ALL,
        Variants::<false, true>::ALL,
        Variants::<true, false>::ALL,
        Variants::<true, true>::ALL,
    ];
    let mut all: [Overrides; 20] = [&[]; 20];
    let mut i = 0;
    while i < all.len() {
        all[i] = lists[i / 5][i % 5];
        i += 1;
    }
    all
};

fn registers_kernel() -> Kernel {
    Kernel::composed(
        "matmul_registers".into(),
        vec![
            source!("matmul/registers"),
            source!("gemm/first_quads"),
            source!("gemm/second_quads"),
            source!("gemm/shifted"),
            source!("gemm/end"),
            source!("gemm/y_elements"),
        ],
        &VARIANTS,
    )
    .with_epilogues(End::ALL)
}

/// The kernels that are composed when an op lowers.
pub(in crate::ops::matmul) fn kernels() -> Vec<Kernel> {
    let mut kernels = vec![registers_kernel()];
    kernels.extend(terms::kernels());
    kernels
}
