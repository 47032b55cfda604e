//! Lowering of the normalisations: the table of what elements are normalised with, sums in two
//! stages, and the maps over elements.

use std::borrow::Cow;

use crate::error::Result;
use crate::kernel::{
    Caps, Dispatch, Io, Kernel, Lowering, NO_EPILOGUE, Operand, Overrides, Part, Rows, WINDOW,
    looped, overlaps, source, turns_within,
};
use crate::shape::Type;

use crate::ops::elementwise::in_place::{bind_places, form};
use crate::ops::norm::{Moments, NormStatistics, Normalize, RunningStatistic, SetMap};

/// How a kernel loads elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loads {
    /// One by one.
    Elements,
    /// By four, which have one statistic or four neighbouring ones, and one weight or four.
    Quads {
        wide_statistics: bool,
        wide_affine: bool,
    },
}

/// How elements are loaded that have one number in common for `span` neighbours, `count` numbers in
/// turn: by four if possible, and whether these have four numbers then.
fn quads(span: usize, count: usize) -> Option<bool> {
    match span {
        1 if count.is_multiple_of(4) => Some(true),
        _ => (span > 0 && span.is_multiple_of(4)).then_some(false),
    }
}

impl Loads {
    fn of(map: &SetMap) -> Self {
        let statistics = match map.across || map.length != 1 {
            true => quads(map.length, map.per_row),
            false => None,
        };
        match (statistics, quads(map.span, map.affines)) {
            (Some(wide_statistics), Some(wide_affine)) => Loads::Quads {
                wide_statistics,
                wide_affine,
            },
            _ => Loads::Elements,
        }
    }

    /// Elements of a load.
    fn lanes(self) -> usize {
        match self {
            Loads::Elements => 1,
            Loads::Quads { .. } => 4,
        }
    }

    fn wide(self) -> [bool; 2] {
        match self {
            Loads::Elements => [false; 2],
            Loads::Quads {
                wide_statistics,
                wide_affine,
            } => [wide_statistics, wide_affine],
        }
    }

    /// `span` in loads and `count` in what one load takes of the numbers.
    fn units(self, span: usize, count: usize, wide: bool) -> [usize; 2] {
        match wide {
            true => [1, count / 4],
            false => [span / self.lanes(), count],
        }
    }
}

/// A run of rows of x that lies in one part, and where its statistics lie.
#[derive(Debug, Clone, Copy)]
struct MapRun {
    rows: usize,
    part: usize,
    /// First row within the part.
    first: usize,
    statistics_part: usize,
    /// First row of the statistics within their part; 0 where all rows share them.
    statistics_first: usize,
}

impl MapRun {
    /// Elements of x.
    fn count(&self, map: &SetMap) -> usize {
        self.rows * map.row()
    }

    /// Number of sets that the run has to itself, or shares with the others.
    fn sets(&self, map: &SetMap) -> usize {
        map.per_row * if map.across { 1 } else { self.rows }
    }
}

/// Quads of a table that a window shows.
const TABLE_WINDOW: usize = WINDOW as usize / 16;

/// Fewest elements of x that are worth a window of their own, with its dispatches and its table of
/// 64 KiB.
const WINDOW_WORTH: usize = 16_384;

/// Quads of the largest table: sets of few elements would have one that is larger than x. Rows
/// beyond it are a further run.
const MOST_QUADS: usize = 1 << 20;

/// Rows whose statistics fit into a table of `quads` quads beside the weights and biases.
fn table_rows(map: &SetMap, quads: usize) -> usize {
    quads.saturating_sub(2 * map.affines.div_ceil(4)) / map.per_row.max(1)
}

/// Whether tables are read through a window: on CPU adapters, where one holds those of all rows, or
/// of enough of them to be worth a run of its own. The answer is the same for every batch.
fn through_window(map: &SetMap, caps: &Caps) -> bool {
    let rows = table_rows(map, TABLE_WINDOW);
    let shared = map.is_one_set() || map.across;
    caps.windows && rows > 0 && (shared || rows * map.row() >= WINDOW_WORTH)
}

/// The runs of rows of x and of its statistics, short enough for their tables and partial results
/// to be bound.
fn runs(
    op: &str,
    map: &SetMap,
    io: &Io,
    [x, statistics]: [Operand; 2],
    caps: &Caps,
) -> Result<Vec<MapRun>> {
    let x = io.parts(x);
    if map.is_one_set() || map.across {
        io.in_one_part(op, &[statistics])?;
        let run = |(part, rows): (usize, &Part)| MapRun {
            rows: if map.across { rows.rows } else { 1 },
            part,
            first: 0,
            statistics_part: 0,
            statistics_first: 0,
        };
        return Ok(x.iter().enumerate().map(run).collect());
    }
    let quads = match through_window(map, caps) {
        true => TABLE_WINDOW,
        false => MOST_QUADS.min((caps.max_binding / 16) as usize),
    };
    let room = table_rows(map, quads).max(1);
    let cut = |rows: Rows| {
        let starts = (0..rows.count).step_by(room);
        starts.map(move |start| MapRun {
            rows: room.min(rows.count - start),
            part: rows.part[0],
            first: rows.first[0] + start,
            statistics_part: rows.part[1],
            statistics_first: rows.first[1] + start,
        })
    };
    let both = overlaps(&[x, io.parts(statistics)]);
    Ok(both.into_iter().flat_map(cut).collect())
}

/// Sets of a run of rows for sums: `sets` sets of `runs` runs of `length` elements, one run of each
/// set after the other.
#[derive(Debug, Clone, Copy)]
struct Sets {
    sets: usize,
    length: usize,
    runs: usize,
}

impl Sets {
    /// Those that have a statistic in common.
    fn of_statistics(map: &SetMap, run: &MapRun) -> Self {
        Self {
            sets: run.sets(map),
            length: map.length,
            runs: if map.across { run.rows } else { 1 },
        }
    }

    /// Those that have a weight in common.
    fn of_weights(map: &SetMap, run: &MapRun) -> Self {
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

/// A first stage: the partial results of some runs of rows.
#[derive(Debug, Clone, Copy)]
struct Partials {
    partials: Operand,
    sets: usize,
    chunks: usize,
}

/// What a first stage sums.
#[derive(Debug, Clone, Copy)]
enum SumKind {
    /// Mean and squares of x.
    Moments(Operand, Moments),
    /// Gradients dy of x, by the table of a run; weighted or not.
    Gradients(Operand, Operand, Table, bool),
}

/// How x is summed: over which sets, in which loads, into how many numbers each.
#[derive(Clone, Copy)]
struct SumStage<'a> {
    loads: Loads,
    map: &'a SetMap,
    sets_of: fn(&SetMap, &MapRun) -> Sets,
    words: usize,
    caps: &'a Caps,
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
    fn scratch(&self, runs: &[MapRun], out: &mut Lowering) -> Operand {
        let words = |run| {
            let [sets, chunks] = self.extents(run);
            sets * chunks * self.words
        };
        let most = runs.iter().map(|run| words(Some(run))).max();
        out.scratch(Type::f32([most.unwrap_or(0)]))
    }

    /// The partial results, in `partials`, that begin with `run`.
    fn partials(&self, partials: Operand, run: Option<&MapRun>) -> Partials {
        let [sets, chunks] = self.extents(run);
        Partials {
            partials,
            sets,
            chunks,
        }
    }

    /// Emits the sums of a run; with `resume` they continue those of the runs before it.
    fn reduce(
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
        let most = turns_within(self.caps.max_turns.saturating_sub(STORE), 0);
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
                .param("run_stride", in_loads(sets.sets * sets.length))
                .param("base", in_loads(run.first * map.row()))
                .param("step_runs", chunks.checked_div(length).unwrap_or(0))
                .param("step_loads", chunks.checked_rem(length).unwrap_or(0))
                .param("begin", from)
                .param("until", to)
                .param("resume", usize::from(resume || from > 0))
                .param("flag", usize::from(flag));
            let turns = looped((to - from).div_ceil(chunks.max(1)), 0) + STORE;
            let dispatch = dispatch.turns(turns);
            let dispatch = places(dispatch, loads, map, run).param("weights", weights);
            out.push(dispatch.workgroups((count * chunks).div_ceil(WORKGROUP)));
        }
    }
}

/// Which statistic and which weight a load has.
fn places(dispatch: Dispatch, loads: Loads, map: &SetMap, run: &MapRun) -> Dispatch {
    let [wide_statistics, wide_affine] = loads.wide();
    let [length, statistics] = loads.units(map.length, run.sets(map), wide_statistics);
    let [span, affines] = loads.units(map.span, map.affines, wide_affine);
    dispatch
        .param("statistic_length", length)
        .param("statistics", statistics)
        .param("span", span)
        .param("affines", affines)
}

/// See `norm/table.wgsl`.
#[derive(Debug, Clone, Copy)]
struct Table {
    operand: Operand,
    /// Whether it is read through a window.
    window: bool,
    /// First quad of the weights.
    weights: usize,
    /// First quad of the biases.
    biases: usize,
}

impl Table {
    fn bind(&self, dispatch: Dispatch) -> Dispatch {
        match self.window {
            true => dispatch.uniform(self.operand),
            false => dispatch.read(self.operand),
        }
    }
}

/// Statistics, weight and bias of a normalisation.
struct GivenStatistics {
    statistics: Operand,
    weight: Option<Operand>,
    bias: Option<Operand>,
    eps: f32,
}

impl GivenStatistics {
    /// Scratch for the table of any one of `runs`, which have it in turn.
    fn scratch(&self, map: &SetMap, runs: &[MapRun], caps: &Caps, out: &mut Lowering) -> Operand {
        let sets = runs.iter().map(|run| run.sets(map)).max().unwrap_or(0);
        let quads = match through_window(map, caps) {
            true => TABLE_WINDOW,
            false => sets + 2 * map.affines.div_ceil(4),
        };
        out.scratch(Type::f32([quads, 4]))
    }

    /// Emits the table of a run, in `operand`.
    fn table(
        &self,
        map: &SetMap,
        run: &MapRun,
        operand: Operand,
        caps: &Caps,
        out: &mut Lowering,
    ) -> Table {
        let sets = run.sets(map);
        let quads = map.affines.div_ceil(4);
        let entries = if run.count(map) > 0 {
            sets.max(quads)
        } else {
            0
        };
        let window = through_window(map, caps);
        let row = map.per_row * usize::from(!map.across);
        let statistics =
            |dispatch: Dispatch| dispatch.read(self.statistics).part(run.statistics_part);
        let or_statistics = |dispatch: Dispatch, operand: Option<Operand>| match operand {
            Some(operand) => dispatch.read(operand),
            None => statistics(dispatch),
        };
        let dispatch = statistics(Dispatch::new(&NORM_TABLE, VARIANTS[0]));
        let dispatch = or_statistics(dispatch, self.weight);
        let dispatch = or_statistics(dispatch, self.bias);
        out.push(
            dispatch
                .write(operand)
                .param("sets", sets)
                .param("first", run.statistics_first * row)
                .param("weights", sets)
                .param("affine_quads", quads)
                .param("has_weight", usize::from(self.weight.is_some()))
                .param("has_bias", usize::from(self.bias.is_some()))
                .param_f32("eps", self.eps)
                .workgroups(entries.div_ceil(WORKGROUP)),
        );
        Table {
            operand,
            window,
            weights: sets,
            biases: sets + quads,
        }
    }
}

pub(super) fn lower_statistics(
    op: &NormStatistics,
    map: &SetMap,
    io: &Io,
    caps: &Caps,
    out: &mut Lowering,
) -> Result<()> {
    let (x, statistics) = (Operand::Input(0), Operand::Output(0));
    // Weights play no part.
    let map = &map
        .in_parts(&io.inputs[0], &io.input_parts[0])
        .without_affine();
    let runs = runs(op.over.op(Some(op.moments)), map, io, [x, statistics], caps)?;
    let loads = Loads::of(map);
    let sum = SumKind::Moments(x, op.moments);
    let share = 1.0 / map.set_count().max(1) as f32;
    let stage = SumStage {
        loads,
        map,
        sets_of: Sets::of_statistics,
        words: 4,
        caps,
    };
    let partials = stage.scratch(&runs, out);
    // Sets across rows are finished once, others run by run.
    let batches = runs.chunks(if map.across { runs.len().max(1) } else { 1 });
    for batch in batches {
        let run = &batch[0];
        let found = stage.partials(partials, Some(run));
        for (i, run) in batch.iter().enumerate() {
            stage.reduce(sum, run, &found, i > 0, out);
        }
        let row = map.per_row * usize::from(!map.across);
        out.push(
            Dispatch::new(&NORM_MOMENTS_FINISH, VARIANTS[0])
                .read(found.partials)
                .write(statistics)
                .part(run.statistics_part)
                .param("sets", found.sets)
                .param("chunks", found.chunks)
                .param("first", run.statistics_first * row)
                .param_f32("share", share)
                .turns(2 * looped(found.chunks, 0))
                .workgroups(found.sets.div_ceil(WORKGROUP)),
        );
    }
    Ok(())
}

pub(super) fn lower_normalize(
    op: &Normalize,
    map: &SetMap,
    io: &Io,
    caps: &Caps,
    out: &mut Lowering,
) -> Result<()> {
    let affine = |has: bool, i: usize| has.then_some(Operand::Input(i));
    let given = GivenStatistics {
        statistics: Operand::Input(1),
        weight: affine(op.weight, 2),
        bias: affine(op.bias, 2 + usize::from(op.weight)),
        eps: op.eps,
    };
    let affine: Vec<Operand> = given.weight.into_iter().chain(given.bias).collect();
    io.in_one_part(op.over.op(op.own), &affine)?;
    let map = &map.in_parts(&io.inputs[0], &io.input_parts[0]);
    let plain = map.without_affine();
    let map = if affine.is_empty() { &plain } else { map };
    let runs = runs(
        op.over.op(op.own),
        map,
        io,
        [Operand::Input(0), given.statistics],
        caps,
    )?;
    let loads = Loads::of(map);
    let scratch = given.scratch(map, &runs, caps, out);
    let mut shared = None;
    for run in &runs {
        let table = shared.unwrap_or_else(|| given.table(map, run, scratch, caps, out));
        shared = map.across.then_some(table);
        let table = &table;
        let dispatch = TablePass::Normalize.dispatch(loads, table, io.in_place[0].is_some(), false);
        let dispatch = table.bind(dispatch);
        let dispatch = match op.residual {
            true => dispatch
                .epilogue(ADDS_RESIDUAL)
                .read(Operand::Input(op.residual_at()))
                .part(run.part),
            false => dispatch.read_again(),
        };
        let dispatch = bind_places(dispatch, io, 0, run.part);
        out.push(
            map_over(dispatch, loads, map, run, table)
                .param("biases", table.biases)
                .param("relu", usize::from(op.relu)),
        );
    }
    Ok(())
}

pub(super) fn lower_normalize_grad(
    op: &Normalize,
    map: &SetMap,
    io: &Io,
    caps: &Caps,
    out: &mut Lowering,
) -> Result<()> {
    let (dy, x) = (Operand::Input(0), Operand::Input(1));
    let given = GivenStatistics {
        statistics: Operand::Input(2),
        weight: op.weight.then_some(Operand::Input(3)),
        bias: None,
        eps: op.eps,
    };
    let has_affine = op.weight || op.bias;
    let affine = [Operand::Output(1), Operand::Output(2)];
    io.in_one_part("norm_grad", if has_affine { &affine } else { &[] })?;
    let map = &map.in_parts(&io.inputs[1], &io.input_parts[1]);
    let plain = map.without_affine();
    let map = if has_affine { map } else { &plain };
    let runs = runs("norm_grad", map, io, [x, given.statistics], caps)?;
    let loads = Loads::of(map);
    let scratch = given.scratch(map, &runs, caps, out);
    let stage = |sets_of| SumStage {
        loads,
        map,
        sets_of,
        words: 2,
        caps,
    };
    let of_statistics = stage(Sets::of_statistics);
    let of_weights = stage(Sets::of_weights);
    let change = |run: &MapRun, table: &Table, out: &mut Lowering| {
        let in_place = io.in_place[0].is_some();
        let dispatch = TablePass::NormalizeGrad.dispatch(loads, table, in_place, false);
        let dispatch = table.bind(dispatch.read(x).part(run.part));
        let dispatch = bind_places(dispatch, io, 0, run.part);
        out.push(map_over(dispatch, loads, map, run, table));
    };

    if map.across {
        // The sets of statistics are those of weights: one sum over all runs serves both.
        let table = runs
            .first()
            .map(|run| given.table(map, run, scratch, caps, out));
        if op.own.is_some() || has_affine {
            let partials = of_statistics.scratch(&runs, out);
            let found = of_statistics.partials(partials, runs.first());
            for (i, (run, table)) in runs.iter().zip(table.iter().cycle()).enumerate() {
                let sum = SumKind::Gradients(dy, x, *table, false);
                of_statistics.reduce(sum, run, &found, i > 0, out);
            }
            if has_affine {
                finish_affine(&found, affine, out);
            }
            if let (Some(moments), Some(table)) = (op.own, &table) {
                finish_table(&found, table, op.weight, moments, map, out);
            }
        }
        for (run, table) in runs.iter().zip(table.iter().cycle()) {
            change(run, table, out);
        }
        return Ok(());
    }

    // The runs have the table in turn; the sums of weights continue from run to run.
    let own = op
        .own
        .map(|moments| (moments, of_statistics.scratch(&runs, out)));
    let weights = has_affine.then(|| {
        let partials = of_weights.scratch(&runs[..runs.len().min(1)], out);
        of_weights.partials(partials, runs.first())
    });
    for (i, run) in runs.iter().enumerate() {
        let table = given.table(map, run, scratch, caps, out);
        if let Some((moments, partials)) = own {
            let found = of_statistics.partials(partials, Some(run));
            let sum = SumKind::Gradients(dy, x, table, op.weight);
            of_statistics.reduce(sum, run, &found, false, out);
            finish_table(&found, &table, false, moments, map, out);
        }
        if let Some(found) = &weights {
            of_weights.reduce(
                SumKind::Gradients(dy, x, table, false),
                run,
                found,
                i > 0,
                out,
            );
        }
        change(run, &table, out);
    }
    if let Some(found) = &weights {
        finish_affine(found, affine, out);
    }
    Ok(())
}

/// The parameters of a map over the elements of a run, as far as both maps have them.
fn map_over(
    dispatch: Dispatch,
    loads: Loads,
    map: &SetMap,
    run: &MapRun,
    table: &Table,
) -> Dispatch {
    let count = run.count(map) / loads.lanes();
    let base = run.first * map.row() / loads.lanes();
    let dispatch = dispatch.param("count", count).param("base", base);
    places(dispatch, loads, map, run)
        .param("weights", table.weights)
        .workgroups(count.div_ceil(WORKGROUP))
}

/// Emits the second stage of the gradients of weight and bias.
fn finish_affine(found: &Partials, [dweight, dbias]: [Operand; 2], out: &mut Lowering) {
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
fn finish_table(
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

pub(super) fn lower_pairs(io: &Io, out: &mut Lowering) -> Result<()> {
    io.whole("statistic_pairs")?;
    let count = io.inputs[0].count();
    out.push(
        Dispatch::new(&NORM_PAIRS, VARIANTS[0])
            .read(Operand::Input(0))
            .read(Operand::Input(1))
            .write(Operand::Output(0))
            .param("count", count)
            .workgroups(count.div_ceil(WORKGROUP)),
    );
    Ok(())
}

pub(super) fn lower_running(op: &RunningStatistic, io: &Io, out: &mut Lowering) -> Result<()> {
    io.whole("running_statistic")?;
    let count = io.inputs[0].count();
    let kernel = form([&NORM_RUNNING, &NORM_RUNNING_IN_PLACE], io);
    let dispatch = Dispatch::new(kernel, VARIANTS[0]).read(Operand::Input(1));
    out.push(
        bind_places(dispatch, io, 0, 0)
            .param("count", count)
            .param("column", op.column)
            .param_f32("keep", op.keep as f32)
            .param_f32("add", op.add as f32)
            .workgroups(count.div_ceil(WORKGROUP)),
    );
    Ok(())
}

const WORKGROUP: usize = 64;

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];
const COLUMN_VARIANTS: &[Overrides] = &[
    &[("columns", 0), ("workgroup_size", 64)],
    &[("columns", 1), ("workgroup_size", 64)],
];
const WIDE_VARIANTS: &[Overrides] = &[
    &[
        ("wide_statistics", 0),
        ("wide_affine", 0),
        ("workgroup_size", 64),
    ],
    &[
        ("wide_statistics", 0),
        ("wide_affine", 1),
        ("workgroup_size", 64),
    ],
    &[
        ("wide_statistics", 1),
        ("wide_affine", 1),
        ("workgroup_size", 64),
    ],
];
/// The same, over rows; then over columns.
const SUM_VARIANTS: &[Overrides] = &[
    &[
        ("wide_statistics", 0),
        ("wide_affine", 0),
        ("columns", 0),
        ("workgroup_size", 64),
    ],
    &[
        ("wide_statistics", 0),
        ("wide_affine", 1),
        ("columns", 0),
        ("workgroup_size", 64),
    ],
    &[
        ("wide_statistics", 0),
        ("wide_affine", 1),
        ("columns", 1),
        ("workgroup_size", 64),
    ],
    &[
        ("wide_statistics", 1),
        ("wide_affine", 1),
        ("columns", 1),
        ("workgroup_size", 64),
    ],
];

fn moments_kernel(loads: Loads, columns: bool) -> Dispatch {
    match loads {
        Loads::Elements => Dispatch::new(&NORM_MOMENTS, VARIANTS[0]),
        Loads::Quads { .. } => {
            Dispatch::new(&NORM_MOMENTS_QUADS, COLUMN_VARIANTS[usize::from(columns)])
        }
    }
}

/// Another operand is added to what is normalised.
const ADDS_RESIDUAL: Overrides = &[("adds_residual", 1)];

/// A kernel that reads the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TablePass {
    Sums,
    Normalize,
    NormalizeGrad,
}

impl TablePass {
    /// By four elements or one by one, with the table through a window or not; `in_place` is for
    /// the maps only.
    fn kernel(self, by_four: bool, through_window: bool, in_place: bool) -> Kernel {
        let put_sums = if by_four {
            source!("norm/sums_quads")
        } else {
            source!("norm/sums_elements")
        };
        let places = if in_place {
            source!("lib/in_place")
        } else {
            source!("lib/separate")
        };
        let (name, own) = match self {
            TablePass::Sums => (
                "norm_sums",
                vec![source!("norm/reduce"), source!("norm/sums"), put_sums],
            ),
            TablePass::Normalize => ("normalize", vec![source!("norm/normalize"), places]),
            TablePass::NormalizeGrad => (
                "normalize_grad",
                vec![source!("norm/normalize_grad"), places],
            ),
        };
        let (loads_name, loads) = match by_four {
            true => ("_quads", source!("norm/quads")),
            false => ("", source!("norm/elements")),
        };
        let (table_name, table) = match through_window {
            true => ("_window", source!("norm/table_window")),
            false => ("", source!("norm/table_storage")),
        };
        let place_name = if in_place { "_in_place" } else { "" };
        let variants = match (by_four, self) {
            (false, _) => VARIANTS,
            (true, TablePass::Sums) => SUM_VARIANTS,
            (true, _) => WIDE_VARIANTS,
        };
        let shared = vec![loads, table, source!("norm/place")];
        Kernel::composed(
            format!("{name}{loads_name}{table_name}{place_name}"),
            [own, shared].concat(),
            variants,
        )
        .with_epilogues(match self {
            TablePass::Normalize => &[&[], ADDS_RESIDUAL],
            TablePass::Sums | TablePass::NormalizeGrad => NO_EPILOGUE,
        })
    }

    /// Sums along columns take another variant.
    fn dispatch(self, loads: Loads, table: &Table, in_place: bool, columns: bool) -> Dispatch {
        let by_four = loads != Loads::Elements;
        let kernel = self.kernel(by_four, table.window, in_place);
        let wide: usize = loads.wide().map(usize::from).iter().sum();
        let variant = wide + usize::from(by_four && columns);
        let overrides = kernel.variants[variant];
        Dispatch::of(Cow::Owned(kernel), overrides)
    }
}

/// The kernels that are composed when an op lowers.
pub(in crate::ops) fn kernels() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    for by_four in [false, true] {
        for through_window in [false, true] {
            kernels.push(TablePass::Sums.kernel(by_four, through_window, false));
            for pass in [TablePass::Normalize, TablePass::NormalizeGrad] {
                let forms = [false, true].map(|place| pass.kernel(by_four, through_window, place));
                kernels.extend(forms);
            }
        }
    }
    kernels
}

static NORM_MOMENTS: Kernel = Kernel::new(
    "norm_moments",
    &[
        source!("norm/reduce"),
        source!("norm/moments"),
        source!("norm/moments_elements"),
    ],
    VARIANTS,
);
static NORM_MOMENTS_QUADS: Kernel = Kernel::new(
    "norm_moments_quads",
    &[
        source!("norm/reduce"),
        source!("norm/moments"),
        source!("norm/moments_quads"),
    ],
    COLUMN_VARIANTS,
);
static NORM_MOMENTS_FINISH: Kernel = Kernel::new(
    "norm_moments_finish",
    &[source!("norm/moments_finish")],
    VARIANTS,
);
static NORM_SUMS_AFFINE: Kernel = Kernel::new(
    "norm_sums_affine",
    &[source!("norm/sums_finish"), source!("norm/sums_affine")],
    VARIANTS,
);
static NORM_SUMS_TABLE: Kernel = Kernel::new(
    "norm_sums_table",
    &[source!("norm/sums_finish"), source!("norm/sums_table")],
    VARIANTS,
);
static NORM_TABLE: Kernel = Kernel::new("norm_table", &[source!("norm/table")], VARIANTS);
static NORM_PAIRS: Kernel = Kernel::new("norm_pairs", &[source!("norm/pairs")], VARIANTS);
static NORM_RUNNING: Kernel = Kernel::new(
    "norm_running",
    &[source!("norm/running"), source!("lib/separate")],
    VARIANTS,
);
static NORM_RUNNING_IN_PLACE: Kernel = Kernel::new(
    "norm_running_in_place",
    &[source!("norm/running"), source!("lib/in_place")],
    VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[
    &NORM_MOMENTS,
    &NORM_MOMENTS_QUADS,
    &NORM_MOMENTS_FINISH,
    &NORM_SUMS_AFFINE,
    &NORM_SUMS_TABLE,
    &NORM_TABLE,
    &NORM_PAIRS,
    &NORM_RUNNING,
    &NORM_RUNNING_IN_PLACE,
];
