//! The kernels of the normalisations, and how they are composed.

use std::borrow::Cow;

use crate::kernel::{Dispatch, Kernel, NO_EPILOGUE, Overrides, source};

use super::loads::Loads;
use super::table::Table;

pub(super) const WORKGROUP: usize = 64;

pub(super) const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];
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

pub(super) fn moments_kernel(loads: Loads, columns: bool) -> Dispatch {
    match loads {
        Loads::Elements => Dispatch::new(&NORM_MOMENTS, VARIANTS[0]),
        Loads::Quads { .. } => {
            Dispatch::new(&NORM_MOMENTS_QUADS, COLUMN_VARIANTS[usize::from(columns)])
        }
    }
}

/// Another operand is added to what is normalised.
pub(super) const ADDS_RESIDUAL: Overrides = &[("adds_residual", 1)];

/// A kernel that reads the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TablePass {
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
    pub fn dispatch(self, loads: Loads, table: &Table, in_place: bool, columns: bool) -> Dispatch {
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
pub(super) static NORM_MOMENTS_FINISH: Kernel = Kernel::new(
    "norm_moments_finish",
    &[source!("norm/moments_finish")],
    VARIANTS,
);
pub(super) static NORM_SUMS_AFFINE: Kernel = Kernel::new(
    "norm_sums_affine",
    &[source!("norm/sums_finish"), source!("norm/sums_affine")],
    VARIANTS,
);
pub(super) static NORM_SUMS_TABLE: Kernel = Kernel::new(
    "norm_sums_table",
    &[source!("norm/sums_finish"), source!("norm/sums_table")],
    VARIANTS,
);
pub(super) static NORM_TABLE: Kernel =
    Kernel::new("norm_table", &[source!("norm/table")], VARIANTS);
pub(super) static NORM_PAIRS: Kernel =
    Kernel::new("norm_pairs", &[source!("norm/pairs")], VARIANTS);
pub(super) static NORM_RUNNING: Kernel = Kernel::new(
    "norm_running",
    &[source!("norm/running"), source!("lib/separate")],
    VARIANTS,
);
pub(super) static NORM_RUNNING_IN_PLACE: Kernel = Kernel::new(
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
