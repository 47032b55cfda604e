//! Filters that lie in one part of a weight, as a convolution of their own.

use super::geometry::Sizes;
use crate::kernel::Part;

/// Filters in one part of a weight: those of whole groups, or some of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Filters {
    pub part: usize,
    /// The first one within the part.
    pub first: usize,
    /// The first group, and their number.
    pub group: usize,
    pub groups: usize,
    /// The first one within its group, and their number in each.
    pub out: usize,
    pub outs: usize,
}

impl Filters {
    /// Those of a weight in these parts, in order.
    pub fn in_parts(sizes: &Sizes, parts: &[Part]) -> Vec<Self> {
        let outs = sizes.o / sizes.groups;
        let mut found = Vec::new();
        for (part, rows) in parts.iter().enumerate() {
            let end = rows.start + rows.rows;
            let mut at = rows.start;
            while at < end {
                let (group, out) = (at / outs, at % outs);
                let whole = if out == 0 { (end - at) / outs } else { 0 };
                let filters = Filters {
                    part,
                    first: at - rows.start,
                    group,
                    groups: whole.max(1),
                    out,
                    outs: match whole {
                        0 => (outs - out).min(end - at),
                        _ => outs,
                    },
                };
                at += filters.count();
                found.push(filters);
            }
        }
        found
    }

    pub fn count(&self) -> usize {
        self.groups * self.outs
    }

    /// The convolution by these filters alone.
    pub fn alone(&self, sizes: &Sizes) -> Sizes {
        Sizes {
            c: sizes.c / sizes.groups * self.groups,
            o: self.count(),
            groups: self.groups,
            ..*sizes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Conv2d;

    fn sizes(filters: usize, groups: usize) -> Sizes {
        let conv = Conv2d {
            groups,
            ..Conv2d::default()
        };
        Sizes::new(
            "conv2d",
            &conv.into(),
            &[1, groups, 4, 4],
            &[filters, 1, 1, 1],
        )
        .unwrap()
    }

    #[test]
    fn filters_of_parts_that_cut_groups() {
        let parts = |ends: &[usize]| -> Vec<Part> {
            let starts = [&[0], ends].concat();
            let rows = starts.iter().zip(ends);
            rows.map(|(&start, &end)| Part {
                start,
                rows: end - start,
            })
            .collect()
        };
        // Part, first, group, groups, out, outs.
        let found = |filters, groups, ends: &[usize]| -> Vec<[usize; 6]> {
            let found = Filters::in_parts(&sizes(filters, groups), &parts(ends)).into_iter();
            found
                .map(|f| [f.part, f.first, f.group, f.groups, f.out, f.outs])
                .collect()
        };
        assert_eq!(found(12, 4, &[12]), [[0, 0, 0, 4, 0, 3]]);
        assert_eq!(
            found(12, 1, &[5, 10, 12]),
            [[0, 0, 0, 1, 0, 5], [1, 0, 0, 1, 5, 5], [2, 0, 0, 1, 10, 2]]
        );
        // Groups 0, 1 and a third of 2; the rest of 2 and 3.
        assert_eq!(
            found(12, 4, &[7, 12]),
            [
                [0, 0, 0, 2, 0, 3],
                [0, 6, 2, 1, 0, 1],
                [1, 0, 2, 1, 1, 2],
                [1, 2, 3, 1, 0, 3]
            ]
        );
        assert_eq!(found(0, 2, &[0]), [[0; 6]; 0]);
    }
}
