//! How elements are loaded, and the runs of rows that one dispatch takes.

use crate::error::Result;
use crate::kernel::{Caps, Dispatch, Io, Operand, Part, Rows, WINDOW, overlaps};
use crate::ops::norm::sets::SetMap;

/// How a kernel loads elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loads {
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
    pub fn of(map: &SetMap) -> Self {
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
    pub fn lanes(self) -> usize {
        match self {
            Loads::Elements => 1,
            Loads::Quads { .. } => 4,
        }
    }

    pub fn wide(self) -> [bool; 2] {
        match self {
            Loads::Elements => [false; 2],
            Loads::Quads {
                wide_statistics,
                wide_affine,
            } => [wide_statistics, wide_affine],
        }
    }

    /// `span` in loads and `count` in what one load takes of the numbers.
    fn units(self, span: usize, count: usize, wide: bool) -> Numbered {
        let (span, count) = match wide {
            true => (1, count / 4),
            false => (span / self.lanes(), count),
        };
        Numbered { span, count }
    }
}

/// A run of rows of x that lies in one part, and where its statistics lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct MapRun {
    pub rows: usize,
    pub part: usize,
    /// First row within the part.
    pub first: usize,
    pub statistics_part: usize,
    /// First row of the statistics within their part; 0 where all rows share them.
    pub statistics_first: usize,
}

impl MapRun {
    /// Elements of x.
    pub fn count(&self, map: &SetMap) -> usize {
        self.rows * map.row()
    }

    /// Number of sets that the run has to itself, or shares with the others.
    pub fn sets(&self, map: &SetMap) -> usize {
        map.per_row * if map.across { 1 } else { self.rows }
    }
}

/// Quads of a table that a window shows.
pub(super) const TABLE_WINDOW: usize = WINDOW as usize / 16;

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
pub(super) fn through_window(map: &SetMap, caps: &Caps) -> bool {
    let rows = table_rows(map, TABLE_WINDOW);
    let shared = map.is_one_set() || map.across;
    caps.windows && rows > 0 && (shared || rows * map.row() >= WINDOW_WORTH)
}

/// The runs of rows of x and of its statistics, short enough for their tables and partial results
/// to be bound.
pub(super) fn runs(
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

/// Numbers of which `span` neighbouring loads have one in common, `count` of them in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbered {
    pub span: usize,
    pub count: usize,
}

impl Numbered {
    /// How far the number of a load moves with so many loads, and how many loads further in its
    /// span.
    pub fn moved(self, loads: usize) -> [usize; 2] {
        let span = self.span.max(1);
        [loads / span % self.count.max(1), loads % span]
    }
}

/// Which statistic and which weight each load has.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoadMap {
    pub statistics: Numbered,
    pub affines: Numbered,
}

impl LoadMap {
    pub fn new(loads: Loads, map: &SetMap, run: &MapRun) -> Self {
        let [wide_statistics, wide_affine] = loads.wide();
        Self {
            statistics: loads.units(map.length, run.sets(map), wide_statistics),
            affines: loads.units(map.span, map.affines, wide_affine),
        }
    }

    /// Appends the fields of both.
    pub fn params(self, dispatch: Dispatch) -> Dispatch {
        dispatch
            .param("statistic_length", self.statistics.span)
            .param("statistics", self.statistics.count)
            .param("span", self.affines.span)
            .param("affines", self.affines.count)
    }
}
