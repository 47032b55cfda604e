//! The forms of the kernel that makes y and dX in registers: where it reads x and the weights, how
//! it writes, the overrides that each form offers, and the sources that it is made of.

use crate::kernel::{Caps, Kernel, NO_EPILOGUE, Overrides, Source, Tile, source};
use crate::lowering::gemm::End;
use crate::lowering::value;
use crate::ops::conv::choose::Map;

/// Where the weights of [`RegistersForm`] lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weights {
    Storage,
    /// 16 KiB of them, in a uniform that every adapter allows.
    Uniform,
    /// Windows of a CPU adapter's uniforms.
    Window,
}

/// How x and the weights are read, and y written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RegistersForm {
    /// Columns of x one by one, not as they lie.
    pub strided: bool,
    /// Images of x through windows, not from storage.
    pub x_window: bool,
    pub weights: Weights,
    /// Columns of y that are written together, 1 or 2: few weights do not hide the cost of writing.
    pub unit: usize,
}

impl RegistersForm {
    /// Few weights, on any adapter.
    pub const UNIFORM: RegistersForm = RegistersForm {
        strided: false,
        x_window: false,
        weights: Weights::Uniform,
        unit: 2,
    };
    pub const FLAT: RegistersForm = RegistersForm {
        weights: Weights::Storage,
        unit: 1,
        ..RegistersForm::UNIFORM
    };
    pub const STRIDED: RegistersForm = RegistersForm {
        strided: true,
        ..RegistersForm::FLAT
    };

    /// All that are chosen.
    pub fn all() -> impl Iterator<Item = RegistersForm> {
        let windows = [
            (false, true, 2),
            (false, true, 1),
            (false, false, 2),
            (false, false, 1),
            (true, true, 1),
            (true, false, 1),
        ];
        let windows = windows.map(|(strided, x_window, unit)| RegistersForm {
            strided,
            x_window,
            weights: Weights::Window,
            unit,
        });
        [
            RegistersForm::UNIFORM,
            RegistersForm::FLAT,
            RegistersForm::STRIDED,
        ]
        .into_iter()
        .chain(windows)
    }

    /// Override sets of `conv_registers`.
    pub fn variants(self) -> &'static [Overrides] {
        match (self.weights, self.strided) {
            (Weights::Uniform, _) => &[
                &[("strip", 16), ("blocks", 2), ("taps", 5)],
                &[("strip", 16), ("blocks", 2), ("taps", 3)],
                &[("strip", 12), ("blocks", 2), ("taps", 5)],
                &[("strip", 12), ("blocks", 2), ("taps", 3)],
                &[("strip", 8), ("blocks", 2), ("taps", 5)],
                &[("strip", 8), ("blocks", 2), ("taps", 3)],
            ],
            (Weights::Window, false) if self.x_window => WINDOW_VARIANTS,
            (Weights::Window, false) => LARGE_IMAGE_VARIANTS,
            (Weights::Window, true) => STRIDED_VARIANTS,
            (Weights::Storage, false) => &[
                &[("strip", 16), ("blocks", 2), ("taps", 5)],
                &[("strip", 16), ("blocks", 2), ("taps", 3)],
                &[("strip", 16), ("blocks", 2), ("taps", 1)],
                &[("strip", 8), ("blocks", 2), ("taps", 5)],
                &[("strip", 8), ("blocks", 2), ("taps", 3)],
                &[("strip", 8), ("blocks", 2), ("taps", 1)],
                &[("strip", 8), ("blocks", 1), ("taps", 5)],
                &[("strip", 8), ("blocks", 1), ("taps", 3)],
                &[("strip", 8), ("blocks", 1), ("taps", 1)],
            ],
            (Weights::Storage, true) => &[
                &[("strip", 8), ("blocks", 2), ("taps", 5)],
                &[("strip", 8), ("blocks", 2), ("taps", 3)],
                &[("strip", 8), ("blocks", 2), ("taps", 1)],
                &[("strip", 8), ("blocks", 1), ("taps", 5)],
                &[("strip", 8), ("blocks", 1), ("taps", 3)],
                &[("strip", 8), ("blocks", 1), ("taps", 1)],
            ],
        }
    }
}

/// A set of `conv_registers` for windows, whose dispatches are small: few invocations per workgroup
/// let the cores of a CPU share them.
const fn window_variant(strip: u32, blocks: u32, taps: u32) -> [(&'static str, u32); 4] {
    [
        ("strip", strip),
        ("blocks", blocks),
        ("taps", taps),
        ("workgroup_size", 16),
    ]
}

const WINDOW_VARIANTS: &[Overrides] = &[
    &window_variant(16, 2, 5),
    &window_variant(16, 2, 3),
    &window_variant(16, 2, 1),
    &window_variant(12, 2, 5),
    &window_variant(12, 2, 3),
    &window_variant(8, 2, 5),
    &window_variant(8, 2, 3),
    &window_variant(8, 2, 1),
    &window_variant(8, 1, 5),
    &window_variant(8, 1, 3),
    &window_variant(8, 1, 1),
];

/// For images larger than a window, which are wide as a rule.
const LARGE_IMAGE_VARIANTS: &[Overrides] = &[
    &window_variant(16, 2, 5),
    &window_variant(16, 2, 3),
    &window_variant(16, 2, 1),
    &window_variant(8, 2, 5),
    &window_variant(8, 2, 3),
    &window_variant(8, 2, 1),
    &window_variant(8, 1, 5),
    &window_variant(8, 1, 3),
    &window_variant(8, 1, 1),
];

const STRIDED_VARIANTS: &[Overrides] = &[
    &window_variant(8, 2, 5),
    &window_variant(8, 2, 3),
    &window_variant(8, 2, 1),
    &window_variant(8, 1, 5),
    &window_variant(8, 1, 3),
    &window_variant(8, 1, 1),
];

/// The tile of an override set of `conv_registers`: by how much of y an invocation makes.
pub(super) fn tile_of(overrides: Overrides) -> Tile {
    match ["strip", "blocks"].map(|name| value(overrides, name)) {
        [_, 1] => Tile::Small,
        [16, _] => Tile::Large,
        _ => Tile::Medium,
    }
}

/// The cheapest of `sets`, among those of the forced tile if there is one and any has it.
pub(super) fn cheapest(
    sets: impl Iterator<Item = Overrides> + Clone,
    tile_of: fn(Overrides) -> Tile,
    caps: &Caps,
    cost: impl Fn(Overrides) -> usize,
) -> Overrides {
    let forced = |set: &Overrides| caps.tile == Some(tile_of(set));
    let best = sets.clone().filter(forced).min_by_key(|set| cost(set));
    best.or_else(|| sets.min_by_key(|set| cost(set)))
        .expect("some set fits every shape")
}

/// The files of `form`'s x and window, and the end of a kernel's name.
pub(super) fn x_files(strided: bool, window: bool) -> ([Source; 2], &'static str) {
    let shown = source!("gemm/first_window");
    let flat = source!("conv/window_flat");
    let stepped = source!("conv/window_strided");
    match (strided, window) {
        (false, false) => ([source!("gemm/first_quads"), flat], ""),
        (false, true) => ([shown, flat], "_window"),
        (true, false) => ([source!("gemm/first_elements"), stepped], "_strided"),
        (true, true) => ([shown, stepped], "_strided_window"),
    }
}

pub(super) fn kernel(form: RegistersForm) -> Kernel {
    let ([x, columns], x_name) = x_files(form.strided, form.x_window);
    let (weights_name, weights) = match form.weights {
        Weights::Storage => ("", source!("gemm/second_quads")),
        Weights::Uniform => ("_weights_uniform", source!("gemm/second_uniform")),
        Weights::Window => ("_weights_window", source!("gemm/second_window")),
    };
    let (unit_name, y) = match form.unit {
        2 => ("_pairs", source!("gemm/y_pairs")),
        _ => ("", source!("gemm/y_elements")),
    };
    // The gradient of an input, which takes the mask, never strides.
    let (end, epilogues) = match (form.weights, form.strided) {
        (Weights::Window, _) => (source!("gemm/end_flags"), NO_EPILOGUE),
        (_, false) => (source!("gemm/end"), End::ALL),
        (_, true) => (source!("gemm/end"), Map::Forward.epilogues()),
    };
    Kernel::composed(
        format!("conv_registers{x_name}{weights_name}{unit_name}"),
        vec![source!("conv/registers"), x, columns, weights, y, end],
        form.variants(),
    )
    .with_epilogues(epilogues)
}

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    RegistersForm::all().map(kernel).collect()
}
