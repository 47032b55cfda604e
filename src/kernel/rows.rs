//! Runs of rows: values cut into parts for a device's bindings, and what a window shows of them.

use crate::error::{Error, ErrorKind, Result};
use crate::shape::Type;

/// Bytes of a window: an operand read through a uniform binding, `array<vec4<f32>, 4096>`.
pub const WINDOW: u64 = 65_536;

/// Elements that a window shows from wherever it begins: windows begin at multiples of 256 bytes.
pub const WINDOW_ELEMENTS: usize = (WINDOW as usize - 256) / 4;

/// A run of rows that one window shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    /// First row, counted from the first of the whole run.
    pub start: usize,
    /// How many.
    pub count: usize,
    /// First byte of the window.
    pub at: u64,
    /// Element of the window at which the first row begins.
    pub first: usize,
}

impl Shown {
    /// All of `count` rows from element `first` on, not through a window.
    pub fn all(count: usize, first: usize) -> Self {
        Self {
            start: 0,
            count,
            at: 0,
            first,
        }
    }
}

/// Rows of `row` elements that a window shows of a run that begins at a multiple of them.
pub(crate) fn window_rows(row: usize) -> usize {
    let aligned = (4 * row).is_multiple_of(256);
    let fit = if aligned {
        WINDOW as usize / 4
    } else {
        WINDOW_ELEMENTS
    };
    fit / row.max(1)
}

/// The windows through which `count` rows of `row` elements of four bytes are seen, `most` at a
/// time. The run begins at element `first` of a range of `bytes` bytes, rounded up to a multiple of
/// 256; only a window over a range smaller than itself reaches past it. A row must fit: see
/// [`window_rows`].
pub(crate) fn windows(
    bytes: u64,
    row: usize,
    first: usize,
    count: usize,
    most: usize,
) -> Vec<Shown> {
    let fit = match (4 * first).is_multiple_of(256) {
        true => window_rows(row),
        false => WINDOW_ELEMENTS / row.max(1),
    };
    let step = fit.min(most).max(1);
    let last = bytes.next_multiple_of(256).saturating_sub(WINDOW);
    // No rows are shown too: their sums are zeros.
    let starts = (0..count.max(1)).step_by(step);
    let shown = starts.map(|start| {
        let begin = first + start * row;
        let at = (4 * begin as u64 / 256 * 256).min(last);
        Shown {
            start,
            count: step.min(count - start),
            at,
            first: begin - at as usize / 4,
        }
    });
    shown.collect()
}

/// A run of rows (axis 0) of a value that lies within one binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// First row.
    pub start: usize,
    /// Number of rows.
    pub rows: usize,
}

/// The most parts of one value: each costs bindings and dispatches.
const MOST_PARTS: usize = 1 << 16;

/// Cuts a type into parts whose bytes fit `max_binding`: equal runs of rows, the last one shorter.
pub fn parts_of(ty: &Type, max_binding: u64) -> Result<Vec<Part>> {
    let rows = ty.shape.rows();
    if ty.bytes() <= max_binding {
        return Ok(vec![Part { start: 0, rows }]);
    }
    let row_bytes = (ty.row() as u64)
        .saturating_mul(ty.dtype.size() as u64)
        .max(1);
    let per_part = match ty.count() {
        0 => 0,
        _ => (max_binding / 16 * 16 / row_bytes) as usize,
    };
    if per_part == 0 {
        return Err(Error::new(
            ErrorKind::Limit,
            format!(
                "{ty}: one row takes {row_bytes} bytes, the device binds {max_binding} at most"
            ),
        ));
    }
    if rows.div_ceil(per_part) > MOST_PARTS {
        return Err(Error::new(
            ErrorKind::Limit,
            format!(
                "{ty}: {per_part} rows fit the {max_binding} bytes that the device binds, so that \
                 it takes more than {MOST_PARTS} parts"
            ),
        ));
    }
    Ok((0..rows)
        .step_by(per_part)
        .map(|start| Part {
            start,
            rows: per_part.min(rows - start),
        })
        .collect())
}

/// A run of rows that lies in one part of each operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// How many.
    pub count: usize,
    /// The part of each operand.
    pub part: Vec<usize>,
    /// The first of the rows within that part.
    pub first: Vec<usize>,
}

/// The rows of operands with equal row counts, cut wherever any of them is: what an op that works
/// row by row runs through. Rows that one of them lacks are left out.
pub fn overlaps(operands: &[&[Part]]) -> Vec<Rows> {
    let end = |part: &Part| part.start.saturating_add(part.rows);
    let parts = operands.iter().copied().flatten();
    let mut cuts: Vec<usize> = parts.flat_map(|p| [p.start, end(p)]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let runs = cuts.windows(2).filter_map(|run| {
        let part_of = |parts: &&[Part]| parts.partition_point(|p| end(p) <= run[0]);
        let part: Vec<usize> = operands.iter().map(part_of).collect();
        let places = operands.iter().zip(&part);
        let first = places.map(|(parts, &p)| run[0].checked_sub(parts.get(p)?.start));
        Some(Rows {
            count: run[1] - run[0],
            first: first.collect::<Option<_>>()?,
            part,
        })
    });
    runs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(start: usize, rows: usize) -> Part {
        Part { start, rows }
    }

    #[test]
    fn overlaps_cover_every_row_once() {
        let found = overlaps(&[
            &[part(0, 3), part(3, 3), part(6, 1)],
            &[part(0, 5), part(5, 2)],
            &[part(0, 7)],
        ]);
        let rows = |count, part: [usize; 3], first: [usize; 3]| Rows {
            count,
            part: part.to_vec(),
            first: first.to_vec(),
        };
        let wanted = [
            rows(3, [0, 0, 0], [0, 0, 0]),
            rows(2, [1, 0, 0], [0, 3, 3]),
            rows(1, [1, 1, 0], [2, 0, 5]),
            rows(1, [2, 1, 0], [0, 1, 6]),
        ];
        assert_eq!(found, wanted);
        assert_eq!(overlaps(&[&[part(0, 0)], &[part(0, 0)]]), []);
    }

    #[test]
    fn windows_show_every_row_within_the_range() {
        for (row, first, count) in [
            (784, 0, 128),
            (1024, 64, 70),
            (1, 3, 70_000),
            (16_320, 16_320, 2),
            (16_384, 32_768, 3),
            (1176, 0, 20),
            (100, 0, 3),
            (7, 21, 2),
        ] {
            let bytes = 4 * (first + row * count) as u64;
            let mut next = 0;
            for shown in windows(bytes, row, first, count, 1000) {
                assert_eq!(shown.start, next);
                assert!(
                    shown.at.is_multiple_of(256)
                        && shown.at + WINDOW <= bytes.next_multiple_of(256).max(WINDOW)
                );
                assert_eq!(
                    shown.at as usize / 4 + shown.first,
                    first + shown.start * row
                );
                assert!(shown.first + shown.count * row <= WINDOW as usize / 4);
                next += shown.count;
            }
            assert_eq!(next, count);
        }
    }
}
