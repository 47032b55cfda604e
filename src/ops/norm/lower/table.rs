//! The table of what the elements of a run are normalised with: statistics, weights and biases.

use crate::kernel::{Caps, Dispatch, Lowering, Operand};
use crate::ops::norm::sets::SetMap;
use crate::shape::Type;

use super::kernels::{NORM_TABLE, VARIANTS, WORKGROUP};
use super::loads::{MapRun, TABLE_WINDOW, through_window};

/// See `norm/table.wgsl`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    pub operand: Operand,
    /// Whether it is read through a window.
    pub window: bool,
    /// First quad of the weights.
    pub weights: usize,
    /// First quad of the biases.
    pub biases: usize,
}

impl Table {
    pub fn bind(&self, dispatch: Dispatch) -> Dispatch {
        match self.window {
            true => dispatch.uniform(self.operand),
            false => dispatch.read(self.operand),
        }
    }
}

/// Statistics, weight and bias of a normalisation.
pub(super) struct GivenStatistics {
    pub statistics: Operand,
    pub weight: Option<Operand>,
    pub bias: Option<Operand>,
    pub eps: f32,
}

impl GivenStatistics {
    /// Scratch for the table of any one of `runs`, which have it in turn.
    pub fn scratch(
        &self,
        map: &SetMap,
        runs: &[MapRun],
        caps: &Caps,
        out: &mut Lowering,
    ) -> Operand {
        let sets = runs.iter().map(|run| run.sets(map)).max().unwrap_or(0);
        let quads = match through_window(map, caps) {
            true => TABLE_WINDOW,
            false => sets + 2 * map.affines.div_ceil(4),
        };
        out.scratch(Type::f32([quads, 4]))
    }

    /// Emits the table of a run, in `operand`.
    pub fn table(
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
