//! Nested loops cut into pieces that stay within the turns of a device.

use crate::kernel::{AROUND, looped, turns_within};

/// Turns of a loop, from `start` up to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PieceRange {
    pub start: usize,
    pub end: usize,
}

/// Nested loops in pieces, and the most turns of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SumPieces<const N: usize> {
    pub all: Vec<[PieceRange; N]>,
    pub turns: u64,
}

/// The most pieces that loops are cut into: each is a dispatch.
const MOST: usize = 1 << 14;

/// Loops over these extents, the last one innermost, cut into as few pieces within `turns` as go by
/// cutting the inner loops last. A piece takes more only where one turn of each loop does. Loops
/// that would take more than [`MOST`] pieces are not cut: the plan refuses their turns.
pub(super) fn pieces<const N: usize>(extents: [usize; N], turns: u64) -> SumPieces<N> {
    let mut inner = 0;
    let mut all = vec![[PieceRange { start: 0, end: 0 }; N]];
    for axis in (0..N).rev() {
        let extent = extents[axis];
        // Each loop around it takes a turn and the test that ends it.
        let around = AROUND * axis as u64;
        let most = turns_within(turns.saturating_sub(around), inner);
        let count = extent.div_ceil(most).max(1);
        let step = extent.div_ceil(count);
        inner = looped(step, inner);
        let ranges = (0..count).map(|i| PieceRange {
            start: (i * step).min(extent),
            end: ((i + 1) * step).min(extent),
        });
        let with = |range| {
            let pieces = all.iter().copied();
            pieces.map(move |mut piece: [PieceRange; N]| {
                piece[axis] = range;
                piece
            })
        };
        if count > MOST / all.len().max(1) {
            return whole(extents);
        }
        all = ranges.flat_map(with).collect();
    }
    all.retain(|piece| extents.contains(&0) || piece.iter().all(|r| r.start < r.end));
    SumPieces { all, turns: inner }
}

/// Loops in one piece.
fn whole<const N: usize>(extents: [usize; N]) -> SumPieces<N> {
    let loops = extents.iter().rev();
    SumPieces {
        all: vec![extents.map(|end| PieceRange { start: 0, end })],
        turns: loops.fold(0, |inner, &extent| looped(extent, inner)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hold_every_turn_once() {
        for (extents, turns) in [
            ([1, 1, 1], 100),
            ([3, 5, 2], 100),
            ([3, 5, 2], 40),
            ([7, 11, 13], 40),
            ([1, 1, 1000], 90),
            ([1000, 1, 1], 90),
            ([2, 0, 3], 90),
        ] {
            let found = pieces(extents, turns);
            assert!(found.turns <= turns, "{extents:?}: {}", found.turns);
            let mut seen = vec![0; extents.iter().product()];
            for [a, b, c] in &found.all {
                let [outer, middle, inner] =
                    [a, b, c].map(|range| looped(range.end - range.start, 0) - 1);
                let own = outer * (1 + middle * (1 + inner + 1) + 2) + 3;
                assert!(own <= found.turns);
                for i in a.start..a.end {
                    for j in b.start..b.end {
                        for k in c.start..c.end {
                            seen[(i * extents[1] + j) * extents[2] + k] += 1;
                        }
                    }
                }
            }
            assert!(seen.iter().all(|&times| times == 1), "{extents:?}");
            assert!(!found.all.is_empty());
        }
        let wild = pieces([1 << 28, 1 << 20, 3], 1000);
        assert_eq!((wild.all.len(), wild.turns > 1 << 48), (1, true));
        // No piece is smaller than one turn of each loop.
        assert_eq!(pieces([2, 2, 2], 1).all.len(), 8);
    }
}
