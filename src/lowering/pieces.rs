//! Long gathers in pieces: what one invocation would take too many turns for is gathered by
//! several, each a box of the loops of one output, and joined in order.
//!
//! A piece is cut off along one axis. Along the axes outside of it, it has one index, and all
//! indices along those inside. So the order of pieces is that of the loops.

use crate::kernel::{
    AROUND, Caps, Dispatch, Kernel, Lowering, Operand, Overrides, looped, source, turns_within,
};
use crate::shape::Type;

/// Turns beyond which the gathers of few outputs are cut even where the device allows more: long
/// ones leave it idle.
pub(crate) const LONG: u64 = 1024;
/// Outputs that are few.
const FEW: usize = 4096;
/// Invocations that are enough to fill a device.
const INVOCATIONS: u64 = 1 << 16;
/// Partial results that are kept at a time, where there are fewer outputs.
const KEPT: usize = 1 << 20;
/// Partial results that one invocation joins.
const JOINED: usize = 32;

/// How the loops of a gather over up to four axes are cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pieces {
    /// Indices of a piece along each axis, outermost first, after ones for those that are not
    /// there.
    taps: [usize; 4],
    /// Pieces along each axis.
    counts: [usize; 4],
    /// Turns of a piece.
    turns: u64,
    /// Outputs whose pieces are gathered at a time: a multiple of 4, if not all.
    slice: usize,
}

/// Turns of loops over `extents`, outermost first, each innermost turn of which takes `inner` more.
pub(crate) fn nested(extents: &[usize], inner: u64) -> u64 {
    let axes = extents.iter().rev();
    axes.fold(inner, |inner, &extent| looped(extent, inner))
}

impl Pieces {
    /// No cut: for params of kernels that gather whole.
    pub(crate) const WHOLE: Self = Self {
        taps: [1; 4],
        counts: [1; 4],
        turns: 0,
        slice: 1,
    };

    /// Cuts the gathers of `outputs` over at most `extents`, outermost first, each innermost turn
    /// of which takes `inner` turns more. None where they run whole, an invocation then taking
    /// `whole`.
    pub(crate) fn new(
        extents: &[usize],
        inner: u64,
        outputs: usize,
        whole: u64,
        caps: &Caps,
    ) -> Option<Self> {
        let turns = nested(extents, inner);
        let idle = turns > LONG && outputs < FEW;
        if outputs == 0 || (whole <= caps.max_turns && !idle) {
            return None;
        }
        let share = turns.saturating_mul(outputs as u64) / INVOCATIONS;
        let pieces = Self::within(extents, inner, share.max(LONG).min(caps.max_turns));
        let binding = usize::try_from(caps.max_binding / 4).unwrap_or(usize::MAX);
        let slice = binding.min(outputs.max(KEPT)) / pieces.count();
        Some(Self {
            slice: (slice / 4 * 4).max(4).min(outputs),
            ..pieces
        })
    }

    /// Pieces of at most `turns`, if one index of each axis does not take more.
    fn within(extents: &[usize], inner: u64, turns: u64) -> Self {
        let mut pieces = Self {
            turns: inner,
            ..Self::WHOLE
        };
        let mut whole = true;
        for (axis, &extent) in extents.iter().enumerate().rev() {
            let at = axis + 4 - extents.len();
            // A loop outside of this one is entered once and takes one turn.
            let turns = turns.saturating_sub(AROUND * axis as u64);
            let taps = match whole {
                true => extent.min(turns_within(turns, pieces.turns)).max(1),
                false => 1,
            };
            whole &= taps >= extent;
            pieces.taps[at] = taps;
            pieces.counts[at] = extent.div_ceil(taps).max(1);
            pieces.turns = looped(taps, pieces.turns);
        }
        pieces
    }

    /// Pieces of each output.
    pub(crate) fn count(&self) -> usize {
        self.counts.iter().product()
    }

    /// Runs of `outputs` outputs whose pieces are gathered at a time: the first of each, and how
    /// many.
    pub(crate) fn slices(&self, outputs: usize) -> impl Iterator<Item = [usize; 2]> {
        let slice = self.slice;
        let starts = (0..outputs).step_by(slice);
        starts.map(move |first| [first, slice.min(outputs - first)])
    }

    /// States the turns of a piece and appends the fields of `lib/pieces.wgsl`, for `outputs`
    /// outputs from `first` on.
    pub(crate) fn gather(&self, dispatch: Dispatch, [first, outputs]: [usize; 2]) -> Dispatch {
        self.params(dispatch.turns(self.turns), [first, outputs])
    }

    /// Appends the fields of `lib/pieces.wgsl`.
    pub(crate) fn params(&self, dispatch: Dispatch, [first, outputs]: [usize; 2]) -> Dispatch {
        let named = |dispatch, (name, value)| Dispatch::param(dispatch, name, value);
        let taps = ["taps0", "taps1", "taps2", "taps3"];
        let pieces = ["pieces1", "pieces2", "pieces3"];
        let dispatch = dispatch.param("first", first).param("outputs", outputs);
        let dispatch = taps.into_iter().zip(self.taps).fold(dispatch, named);
        let inner = self.counts.into_iter().skip(1);
        pieces.into_iter().zip(inner).fold(dispatch, named)
    }

    /// Partial results of an output at each stage: its pieces, what [`JOINED`] of them make, and so
    /// on, as long as one invocation does not join all.
    pub(crate) fn stages(&self) -> Vec<usize> {
        let mut stages = vec![self.count()];
        while let Some(&last) = stages.last()
            && last > JOINED
        {
            stages.push(last.div_ceil(JOINED));
        }
        stages
    }

    /// Scratch for the partial results of each stage.
    pub(crate) fn scratch(&self, out: &mut Lowering, ty: fn([usize; 2]) -> Type) -> Vec<Operand> {
        let stages = self.stages().into_iter();
        stages
            .map(|parts| out.scratch(ty([parts, self.slice])))
            .collect()
    }

    /// Emits sums whose pieces `gather` gathers into scratch, for the outputs of a slice, given by
    /// the first of them and how many. The sums of all `outputs` go to `to`, as [`Pieces::sum`] has
    /// it.
    pub(crate) fn lower_sums(
        &self,
        outputs: usize,
        (operand, part, base): (Operand, usize, usize),
        out: &mut Lowering,
        gather: impl Fn(Operand, [usize; 2]) -> Dispatch,
    ) {
        let scratch = self.scratch(out, Type::f32);
        for slice in self.slices(outputs) {
            out.push(gather(scratch[0], slice));
            let to = (operand, part, base + slice[0]);
            self.sum(&scratch, slice[1], to, out);
        }
    }

    /// Scratch for the joined results of a slice.
    pub(crate) fn sums(&self, out: &mut Lowering) -> Operand {
        out.scratch(Type::f32([self.slice]))
    }

    /// Emits the sums of the pieces of `outputs` outputs, which lie in `scratch`, to `to`: an
    /// operand, a part of it, and the element of that for the first output.
    pub(crate) fn sum(
        &self,
        scratch: &[Operand],
        outputs: usize,
        to: (Operand, usize, usize),
        out: &mut Lowering,
    ) {
        let stages = self.stages();
        for (stage, &parts) in stages.iter().enumerate() {
            let groups = parts.div_ceil(JOINED);
            let (operand, part, base) = match scratch.get(stage + 1) {
                Some(&next) => (next, 0, 0),
                None => to,
            };
            let dispatch = Dispatch::new(&SUM_PIECES, VARIANTS[0])
                .read(scratch[stage])
                .write(operand)
                .part(part)
                .param("y_base", base);
            out.push(join_params(dispatch, groups, outputs, parts).turns(joined()));
        }
    }
}

/// Turns of a loop that joins partial results.
pub(crate) fn joined() -> u64 {
    looped(JOINED, 0)
}

/// Appends how partial results are joined, and sets the number of workgroups for one invocation per
/// result.
pub(crate) fn join_params(
    dispatch: Dispatch,
    groups: usize,
    outputs: usize,
    parts: usize,
) -> Dispatch {
    dispatch
        .param("count", groups * outputs)
        .param("outputs", outputs)
        .param("parts", parts)
        .param("joined", JOINED)
        .workgroups((groups * outputs).div_ceil(WORKGROUP))
}

/// Results that one invocation of the last stage of [`Pieces::stages`] makes of `parts`.
pub(crate) fn groups(parts: usize) -> usize {
    parts.div_ceil(JOINED)
}

const WORKGROUP: usize = 64;
const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static SUM_PIECES: Kernel = Kernel::new("sum_pieces", &[source!("reduce/sum_pieces")], VARIANTS);

pub(crate) const KERNELS: &[&Kernel] = &[&SUM_PIECES];

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces cover all of the loops, stay within the turns, and lie in the order of the loops.
    #[test]
    fn pieces_are_runs_of_the_innermost_axes() {
        for (extents, inner, turns) in [
            (vec![256, 256], 0, 65_000),
            (vec![40, 40, 40], 0, 65_000),
            (vec![100_000], 0, 65_000),
            (vec![3, 100_000], 2, 1000),
            (vec![2, 3, 300, 300], 0, 300),
            (vec![5, 1, 7], 33, 300),
            (vec![1 << 15, 1 << 15], 0, 32_768),
        ] {
            let pieces = Pieces::within(&extents, inner, turns);
            assert!(pieces.turns <= turns, "{extents:?} {pieces:?}");
            let own = 4 - extents.len();
            for (axis, &extent) in extents.iter().enumerate() {
                let (taps, count) = (pieces.taps[own + axis], pieces.counts[own + axis]);
                assert!(taps * count >= extent && taps * (count - 1) < extent);
                let outer = &pieces.taps[..own + axis];
                let inner = &pieces.counts[own + axis + 1..];
                let cut = taps > 1 && count > 1;
                assert!(!cut || outer.iter().all(|&taps| taps == 1));
                assert!(!cut || inner.iter().all(|&count| count == 1));
            }
        }
    }

    #[test]
    fn short_gathers_run_whole_and_scratch_is_bounded() {
        let caps = Caps::default();
        let new = |extents: &[usize], outputs| {
            let whole = nested(extents, 0);
            Pieces::new(extents, 0, outputs, whole, &caps)
        };
        assert!(new(&[3, 3], 1).is_none());
        assert!(new(&[7, 7], 1 << 20).is_none());
        assert!(new(&[100, 100], 1 << 20).is_none());
        assert!(new(&[300, 300], 0).is_none());
        let pieces = new(&[300, 300], 1 << 22).unwrap();
        assert!(pieces.count() * pieces.slice <= 1 << 22);
        assert_eq!(
            pieces.slices(1 << 22).map(|[_, n]| n).sum::<usize>(),
            1 << 22
        );
        let pieces = new(&[1 << 20], 1).unwrap();
        assert!(pieces.count() > 500 && pieces.stages().len() > 1);
    }
}
