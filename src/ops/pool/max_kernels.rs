//! The kernels of max pooling, composed when an op lowers.

use crate::kernel::{Caps, Kernel, Overrides};

use super::max::Indices;
use super::windows::{Numbers, Windows};
use super::{CUT_VARIANTS, VARIANTS};

/// How the windows of a max pooling lie in x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// At equal steps.
    Strided,
    /// Sharing each axis.
    Adaptive,
    /// 2 x 2 side by side, in rows of aligned pairs of elements.
    Pairs,
    /// 2 x 2 side by side, in rows of aligned quads of elements.
    Quads,
}

impl Form {
    pub(super) fn any(windows: &Windows) -> Self {
        match windows.is_adaptive() {
            true => Form::Adaptive,
            false => Form::Strided,
        }
    }

    /// Form of 2 x 2 windows side by side, four of which are loaded and stored at once. Adapters with windows load the elements of a
    /// quad one by one: there one kernel serves all even widths.
    pub(super) fn of_pairs(width: usize, numbers: &Numbers, caps: &Caps) -> Self {
        let aligned = |to: usize| width.is_multiple_of(to) && numbers.x_base.is_multiple_of(to);
        let bases = [numbers.y_base, numbers.index_base];
        match bases.iter().all(|base| base.is_multiple_of(4)) {
            true if aligned(4) && !caps.windows => Form::Quads,
            true if aligned(2) => Form::Pairs,
            _ => Form::Strided,
        }
    }

    fn variants(self) -> &'static [Overrides] {
        match self {
            Form::Strided | Form::Adaptive => CUT_VARIANTS,
            Form::Pairs | Form::Quads => VARIANTS,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Form::Strided => "",
            Form::Adaptive => "_adaptive",
            Form::Pairs => "_pairs",
            Form::Quads => "_quads",
        }
    }
}

pub(super) fn max_pool(form: Form, indices: Indices) -> Kernel {
    let [any, strided, adaptive, two, pairs, quads] = *shader_files![
        "max_pool",
        "pool_strided",
        "pool_adaptive",
        "max_pool2d_2x2",
        "max_pool2d_pairs",
        "max_pool2d_quads"
    ];
    let [within, pieces] = *shader_files!["pool_pieces", "lib/pieces"];
    let mut files = match form {
        Form::Strided => vec![any, strided, within, pieces],
        Form::Adaptive => vec![any, adaptive, within, pieces],
        Form::Pairs => vec![two, pairs],
        Form::Quads => vec![two, quads],
    };
    let (store_name, store) = index_writer(indices);
    files.push(store);
    files.extend(shader_files![
        "pool_params",
        "pool_place",
        "lib/grid",
        "lib/divide",
        "lib/float"
    ]);
    let name = format!("max_pool{}{store_name}", form.name());
    // Pieces are joined by their places in the plane.
    let variants = match indices {
        Indices::Plane => form.variants(),
        Indices::None | Indices::Window => form.variants().split_at(1).0,
    };
    Kernel::composed(name, files, variants)
}

/// Joins pieces of long windows.
pub(super) fn max_pool_join(indices: Indices) -> Kernel {
    let (store_name, store) = index_writer(indices);
    let [join, grid, float] = *shader_files!["max_pool_join", "lib/grid", "lib/float"];
    let files = vec![join, store, grid, float];
    Kernel::composed(format!("max_pool_join{store_name}"), files, VARIANTS)
}

pub(super) fn max_pool_grad(form: Form, indices: Indices) -> Kernel {
    let [within, pieces] = *shader_files!["pool_pieces", "lib/pieces"];
    let [any, strided, adaptive, two, pairs, quads, place, divide] = *shader_files![
        "max_pool_grad",
        "pool_strided",
        "pool_adaptive",
        "max_pool2d_2x2_grad",
        "max_pool2d_grad_pairs",
        "max_pool2d_grad_quads",
        "pool_place",
        "lib/divide"
    ];
    let mut files = match form {
        Form::Strided => vec![any, strided, within, pieces],
        Form::Adaptive => vec![any, adaptive, within, pieces],
        Form::Pairs => vec![two, pairs, place, divide],
        Form::Quads => vec![two, quads, place, divide],
    };
    let (index_name, index) = index_reader(indices);
    files.push(index);
    files.extend(shader_files!["pool_params", "lib/grid"]);
    let name = format!("max_pool_grad{}{index_name}", form.name());
    Kernel::composed(name, files, form.variants())
}

/// Adaptive windows have indices in the plane, which need no windows.
pub(super) fn max_pool_gather(indices: Indices) -> Kernel {
    let (index_name, index) = index_reader(indices);
    let mut files = shader_files!["max_pool_gather", "pool_strided", "pool_place"].to_vec();
    files.push(index);
    files.extend(shader_files!["pool_params", "lib/grid", "lib/divide"]);
    Kernel::composed(format!("max_pool_gather{index_name}"), files, VARIANTS)
}

/// The provider of store_indices, by name.
fn index_writer(indices: Indices) -> (&'static str, &'static str) {
    let [values, window, plane] =
        *shader_files!["max_pool_values", "max_pool_window", "max_pool_plane"];
    match indices {
        Indices::None => ("", values),
        Indices::Window => ("_window", window),
        Indices::Plane => ("_plane", plane),
    }
}

/// The provider of index_at, by name.
fn index_reader(indices: Indices) -> (&'static str, &'static str) {
    let [window, plane] = *shader_files!["index_window", "index_plane"];
    match indices {
        Indices::None | Indices::Window => ("_window", window),
        Indices::Plane => ("_plane", plane),
    }
}

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    let read = [Indices::Window, Indices::Plane];
    let mut all: Vec<Kernel> = read.map(max_pool_gather).to_vec();
    all.extend([Indices::None, Indices::Window, Indices::Plane].map(max_pool_join));
    for form in [Form::Strided, Form::Adaptive, Form::Pairs, Form::Quads] {
        for indices in [Indices::None, Indices::Window, Indices::Plane] {
            if form == Form::Adaptive && indices == Indices::Window {
                continue;
            }
            all.push(max_pool(form, indices));
            if indices != Indices::None {
                all.push(max_pool_grad(form, indices));
            }
        }
    }
    all
}
