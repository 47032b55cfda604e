//! Lowering of the normalisations: what each op emits, from the table of what elements are
//! normalised with, sums in two stages, and maps over elements.

mod kernels;
mod loads;
mod sums;
mod table;

use crate::error::Result;
use crate::kernel::{Caps, Dispatch, Io, Lowering, Operand, looped};
use crate::ops::elementwise::in_place::{bind_places, form};
use crate::ops::norm::normalize::Normalize;
use crate::ops::norm::sets::SetMap;
use crate::ops::norm::statistics::{NormStatistics, RunningStatistic};

use kernels::{
    ADDS_RESIDUAL, NORM_MOMENTS_FINISH, NORM_PAIRS, NORM_RUNNING, NORM_RUNNING_IN_PLACE, TablePass,
    VARIANTS, WORKGROUP,
};
pub(in crate::ops) use kernels::{KERNELS, kernels};
use loads::{LoadMap, Loads, MapRun, runs};
use sums::{Sets, SumKind, SumStage, finish_affine, finish_table};
use table::{GivenStatistics, Table};

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
    LoadMap::new(loads, map, run)
        .params(dispatch)
        .param("weights", table.weights)
        .workgroups(count.div_ceil(WORKGROUP))
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
