//! Sums over sets in two stages: partial results of chunks, run by run of rows, and what is made of
//! them.

use crate::kernel::{AROUND, Caps, Dispatch, Lowering, Operand, looped, turns_within};
use crate::ops::norm::sets::{Moments, SetMap};
use crate::shape::Type;

use super::kernels::{
    NORM_SUMS_AFFINE, NORM_SUMS_TABLE, TablePass, VARIANTS, WORKGROUP, moments_kernel,
};
use super::loads::{LoadMap, Loads, MapRun, Numbered};
use super::table::Table;

/// Sets of a run of rows for sums: `sets` sets of `runs` runs of `length` elements, one run of each
/// set after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sets {
    sets: usize,
    length: usize,
    runs: usize,
}

impl Sets {
    /// Those that have a statistic in common.
    pub fn of_statistics(map: &SetMap, run: &MapRun) -> Self {
        Self {
            sets: run.sets(map),
            length: map.length,
            runs: if map.across { run.rows } else { 1 },
        }
    }

    /// Those that have a weight in common.
    pub fn of_weights(map: &SetMap, run: &MapRun) -> Self {
        let round = map.affines * map.span;
        Self {
            sets: map.affines,
            length: map.span,
            runs: run.count(map).checked_div(round).unwrap_or(0),
        }
    }

    /// Whether a load of `lanes` elements takes one of each of neighbouring sets.
    fn columns(&self, lanes: usize) -> bool {
        lanes > 1 && self.length == 1
    }

    /// Into how many chunks each set is cut, at most `most`: a pure function of the shapes.
    fn chunks(&self, lanes: usize, most: usize) -> usize {
        let loads = self.loads(lanes);
        let sets = self.sets / if self.columns(lanes) { lanes } else { 1 };
        if loads == 0 || sets == 0 {
            return 0;
        }
        let wanted = (INVOCATIONS / sets).clamp(ADJACENT, MOST_CHUNKS);
        wanted.min(loads / SERIAL).min(most).max(1)
    }

    /// Loads of each set.
    fn loads(&self, lanes: usize) -> usize {
        self.runs * self.length / if self.columns(lanes) { 1 } else { lanes }
    }
}

/// Invocations that are enough to fill a device.
const INVOCATIONS: usize = 32_768;
/// Invocations that read neighbouring loads of a set, if it is long enough.
const ADJACENT: usize = 8;
/// Fewest loads that are worth a chunk.
const SERIAL: usize = 8;
/// Most chunks that one invocation adds up.
const MOST_CHUNKS: usize = 512;
/// Turns in which a load's four sums are stored.
const STORE: u64 = 5;
/// Loads of a block, as `shaders/norm/moments.wgsl` has them.
const BLOCK: usize = 16;

/// A first stage: the partial results of some runs of rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Partials {
    pub partials: Operand,
    pub sets: usize,
    pub chunks: usize,
}

/// What a first stage sums.
#[derive(Debug, Clone, Copy)]
pub(super) enum SumKind {
    /// Mean and squares of x.
    Moments(Operand, Moments),
    /// Gradients dy of x, by the table of a run; weighted or not.
    Gradients(Operand, Operand, Table, bool),
}

impl SumKind {
    /// Turns of an invocation that sums so many loads: of moments block by block.
    fn turns(self, loads: usize) -> u64 {
        match self {
            SumKind::Moments(..) => looped(loads.div_ceil(BLOCK), looped(BLOCK, 0)),
            SumKind::Gradients(..) => looped(1, looped(loads, 0)),
        }
    }

    /// The most loads that an invocation sums within `turns`.
    fn most_loads(self, turns: u64) -> usize {
        match self {
            SumKind::Moments(..) => turns_within(turns, looped(BLOCK, 0)).saturating_mul(BLOCK),
            SumKind::Gradients(..) => turns_within(turns.saturating_sub(AROUND), 0),
        }
    }
}

/// How x is summed: over which sets, in which loads, into how many numbers each.
#[derive(Clone, Copy)]
pub(super) struct SumStage<'a> {
    pub loads: Loads,
    pub map: &'a SetMap,
    pub sets_of: fn(&SetMap, &MapRun) -> Sets,
    pub words: usize,
    pub caps: &'a Caps,
}

impl SumStage<'_> {
    /// Sets and chunks of partial results that begin with `run`; further runs that continue them
    /// are no longer.
    fn extents(&self, run: Option<&MapRun>) -> [usize; 2] {
        let sets = run.map(|run| (self.sets_of)(self.map, run));
        // Without rows, what goes across them is still there.
        let all_sets = sets.map_or(self.map.affines, |sets| sets.sets);
        let room = (self.caps.max_binding / 4) as usize / self.words / all_sets.max(1);
        // The next stage walks the chunks twice.
        let room = room.min(turns_within(self.caps.max_turns / 2, 0));
        let chunks = sets.map_or(0, |sets| sets.chunks(self.loads.lanes(), room));
        [all_sets, chunks]
    }

    /// Scratch for the partial results of any one of `runs`.
    pub fn scratch(&self, runs: &[MapRun], out: &mut Lowering) -> Operand {
        let words = |run| {
            let [sets, chunks] = self.extents(run);
            sets * chunks * self.words
        };
        let most = runs.iter().map(|run| words(Some(run))).max();
        out.scratch(Type::f32([most.unwrap_or(0)]))
    }

    /// The partial results, in `partials`, that begin with `run`.
    pub fn partials(&self, partials: Operand, run: Option<&MapRun>) -> Partials {
        let [sets, chunks] = self.extents(run);
        Partials {
            partials,
            sets,
            chunks,
        }
    }

    /// Emits the sums of a run; with `resume` they continue those of the runs before it.
    pub fn reduce(
        &self,
        sum: SumKind,
        run: &MapRun,
        found: &Partials,
        resume: bool,
        out: &mut Lowering,
    ) {
        let (loads, map, chunks) = (self.loads, self.map, found.chunks);
        let lanes = loads.lanes();
        let sets = (self.sets_of)(map, run);
        // Loads of a set that all chunks walk in one dispatch.
        let most = sum.most_loads(self.caps.max_turns.saturating_sub(STORE));
        let most = most.saturating_mul(chunks.max(1));
        let columns = sets.columns(lanes);
        let in_loads = |extent: usize| extent / lanes;
        let length = if columns { 1 } else { in_loads(sets.length) };
        let count = if columns {
            in_loads(sets.sets)
        } else {
            sets.sets
        };
        let bound = match sum {
            SumKind::Moments(x, _) => moments_kernel(loads, columns).read(x).part(run.part),
            SumKind::Gradients(dy, x, table, _) => table.bind(
                TablePass::Sums
                    .dispatch(loads, &table, false, columns)
                    .read(dy)
                    .part(run.part)
                    .read(x)
                    .part(run.part),
            ),
        };
        let (flag, weights) = match sum {
            SumKind::Moments(_, moments) => (moments == Moments::MeanVariance, 0),
            SumKind::Gradients(_, _, table, weighted) => (weighted, table.weights),
        };
        let all = sets.loads(lanes);
        let run_stride = in_loads(sets.sets * sets.length);
        let step_loads = chunks % length.max(1);
        let step = chunks / length.max(1) * run_stride + step_loads;
        let step_over = (step + run_stride).saturating_sub(length);
        // Weighted sums are those of sets of statistics. The number of a set's own stays the same.
        let of_loads = LoadMap::new(loads, map, run);
        let (moves, moved) = match sum {
            SumKind::Gradients(.., true) => (2, of_loads.affines),
            SumKind::Gradients(..) | SumKind::Moments(..) => (1, of_loads.statistics),
        };
        let own = Numbered {
            span: length,
            count,
        };
        let moves = if moved == own { 0 } else { moves };
        let [numbers, rest] = moved.moved(step);
        let [numbers_over, rest_over] = moved.moved(step_over);
        for from in (0..all.max(1)).step_by(most) {
            let to = all.min(from.saturating_add(most));
            let dispatch = bound
                .clone()
                .write(found.partials)
                .param("sets", count)
                .param("chunks", chunks)
                .param(
                    "sets_first",
                    usize::from(sets.runs > 1 && length < ADJACENT),
                )
                .param("length", length)
                .param("runs", sets.runs)
                .param("run_stride", run_stride)
                .param("base", in_loads(run.first * map.row()))
                .param("step_loads", step_loads)
                .param("step", step)
                .param("step_over", step_over)
                .param("begin", from)
                .param("until", to)
                .param("resume", usize::from(resume || from > 0))
                .param("flag", usize::from(flag))
                .param("moves", moves)
                .param("step_numbers", numbers)
                .param("step_rest", rest)
                .param("step_over_numbers", numbers_over)
                .param("step_over_rest", rest_over);
            let turns = sum.turns((to - from).div_ceil(chunks.max(1))) + STORE;
            let dispatch = dispatch.turns(turns);
            let dispatch = of_loads.params(dispatch).param("weights", weights);
            out.push(dispatch.workgroups((count * chunks).div_ceil(WORKGROUP)));
        }
    }
}

/// Emits the second stage of the gradients of weight and bias.
pub(super) fn finish_affine(found: &Partials, [dweight, dbias]: [Operand; 2], out: &mut Lowering) {
    out.push(
        Dispatch::new(&NORM_SUMS_AFFINE, VARIANTS[0])
            .read(found.partials)
            .write(dweight)
            .write(dbias)
            .param("sets", found.sets)
            .param("chunks", found.chunks)
            .turns(looped(found.chunks, 0))
            .workgroups(found.sets.div_ceil(WORKGROUP)),
    );
}

/// Emits the second stage of the means that the gradient of x needs.
pub(super) fn finish_table(
    found: &Partials,
    table: &Table,
    weigh: bool,
    moments: Moments,
    map: &SetMap,
    out: &mut Lowering,
) {
    if map.set_count() == 0 {
        return;
    }
    let share = 1.0 / map.set_count() as f32;
    let plain = match moments {
        Moments::MeanVariance => share,
        Moments::MeanSquare => 0.0,
    };
    out.push(
        Dispatch::new(&NORM_SUMS_TABLE, VARIANTS[0])
            .read(found.partials)
            .write(table.operand)
            .param("sets", found.sets)
            .param("chunks", found.chunks)
            .param("weights", table.weights)
            .param("weigh", usize::from(weigh))
            .param_f32("plain", plain)
            .param_f32("scaled", share)
            .turns(looped(found.chunks, 0))
            .workgroups(found.sets.div_ceil(WORKGROUP)),
    );
}

#[cfg(test)]
mod tests {
    use super::BLOCK;
    use crate::kernel::source;

    #[test]
    fn blocks_are_those_of_the_shader() {
        let constant = format!("const BLOCK: u32 = {BLOCK}u;");
        assert!(source!("norm/moments").text().contains(&constant));
    }
}
