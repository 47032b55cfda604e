//! The body in registers on CPU adapters: one kernel, term by term, whatever follows the product.

use std::cell::Cell;

use super::registers::{RegisterTiles, Seen, high};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, Tile, source};
use crate::lowering::gemm::{End, Target, View, flags};
use crate::ops::matmul::{FEW_ROWS, MatMul, ProductSizes};
use crate::shape::Type;

impl MatMul {
    /// By `matmul_terms`.
    pub(in crate::ops::matmul) fn terms_dispatch(
        &self,
        whole: ProductSizes,
        block: Seen,
        [a, b]: [&View; 2],
        to: Target,
        sum: SumWith,
        caps: &Caps,
    ) -> Dispatch {
        let rule = match whole.m <= FEW_ROWS && !self.transpose_a {
            true => Tile::Small,
            false => Tile::Large,
        };
        let places = [to.first, to.row, to.first_column, block.block.sizes.n];
        let pairs = places.iter().all(|place| place.is_multiple_of(2));
        let kernel = terms_kernel([a.is_window(), b.is_window()], pairs);
        let high = high(caps.tile.unwrap_or(rule));
        let tiles = RegisterTiles::new(&block, high);
        let dispatch = tiles
            .dispatch(kernel, &[("high", high)], &block, [a, b], 1)
            .param("last_a", a.last_element())
            .param("last_b", b.last_element());
        let dispatch = match (sum, to.end.reads_third()) {
            (SumWith::With(sum), _) => dispatch.read(sum),
            (_, true) => dispatch.read(Operand::Input(2)).part(to.end_part),
            (_, false) => dispatch.read_again(),
        };
        to.params(self.strides(&block.block, dispatch))
            .write(to.operand)
            .part(to.part)
            .param("end", to.end.flags() | sum.flags())
    }
}

/// With what a dispatch of `matmul_terms` sums its terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops::matmul) enum SumWith {
    Alone,
    /// What y holds.
    InPlace,
    /// Another operand, laid out as y.
    With(Operand),
}

impl SumWith {
    /// Where run number `run` of `runs` runs of terms goes, and what it is summed with: all but the
    /// last stop short of the end, in `held` if y is not free for them.
    pub fn of(to: Target, run: usize, runs: usize, held: Option<Operand>) -> (Target, Self) {
        let last = run + 1 == runs;
        let sum = match held {
            _ if run == 0 => SumWith::Alone,
            Some(held) if last => SumWith::With(held),
            _ => SumWith::InPlace,
        };
        let to = match (last, held) {
            (true, _) => to,
            (false, None) => Target {
                end: End::None,
                ..to
            },
            (false, Some(held)) => Target {
                end: End::None,
                operand: held,
                part: 0,
                ..to
            },
        };
        (to, sum)
    }

    fn flags(self) -> usize {
        match self {
            SumWith::Alone => 0,
            SumWith::With(_) => flags::SUM,
            SumWith::InPlace => flags::SUM_IN_PLACE,
        }
    }
}

/// Where runs of terms are summed while y holds the mask: laid out as a part of y, and made when it
/// is first wanted.
#[derive(Debug)]
pub(in crate::ops::matmul) struct Held {
    elements: usize,
    scratch: Cell<Option<Operand>>,
}

impl Held {
    /// As large as the largest part of y.
    pub fn new(io: &Io) -> Self {
        let rows = io.output_parts[0].iter().map(|part| part.rows).max();
        Self {
            elements: rows.unwrap_or(0) * io.outputs[0].row(),
            scratch: Cell::new(None),
        }
    }

    pub fn scratch(&self, out: &mut Lowering) -> Operand {
        let made = self.scratch.get();
        let scratch = made.unwrap_or_else(|| out.scratch(Type::f32([self.elements])));
        self.scratch.set(Some(scratch));
        scratch
    }
}

/// The override sets of `matmul_terms`. Windows make small blocks: with as many invocations per
/// workgroup as llvmpipe has lanes, the cores of a CPU share them.
const TERMS: &[Overrides] = &[
    &[("high", 4), ("workgroup_size", 8)],
    &[("high", 2), ("workgroup_size", 8)],
    &[("high", 1), ("workgroup_size", 8)],
];

fn terms_kernel(windows: [bool; 2], pairs: bool) -> Kernel {
    let (first_name, first) = match windows[0] {
        true => ("_a_window", source!("gemm/first_window")),
        false => ("", source!("gemm/first_elements")),
    };
    let (second_name, second) = match windows[1] {
        true => ("_b_window", source!("gemm/second_window")),
        false => ("", source!("gemm/second_elements")),
    };
    let (unit_name, y) = match pairs {
        true => ("_pairs", source!("gemm/y_pairs")),
        false => ("", source!("gemm/y_elements")),
    };
    Kernel::composed(
        format!("matmul_terms{first_name}{second_name}{unit_name}"),
        vec![
            source!("matmul/terms"),
            first,
            second,
            source!("gemm/end_flags"),
            y,
        ],
        TERMS,
    )
}

/// The kernels that are composed when an op lowers.
pub(in crate::ops::matmul) fn kernels() -> impl Iterator<Item = Kernel> {
    let units = [false, true].into_iter();
    units.flat_map(|pairs| WINDOWS.map(|windows| terms_kernel(windows, pairs)))
}

/// What [`MatMul::windows`] may choose.
const WINDOWS: [[bool; 2]; 4] = [[false, false], [true, false], [false, true], [true, true]];
