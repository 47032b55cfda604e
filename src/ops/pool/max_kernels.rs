//! The kernels of max pooling, composed when an op lowers.

use crate::kernel::{Caps, Kernel, Overrides, Source, source};

use super::max::Indices;
use super::windows::{PoolNumbers, Windows};
use super::{GATHERING, STRIDED_GATHERING, VARIANTS, gathers};

/// How the windows of a max pooling lie in x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WindowForm {
    /// Anyhow.
    Any,
    /// 2 x 2 side by side, in rows of aligned pairs of elements.
    Pairs,
    /// 2 x 2 side by side, in rows of aligned quads of elements.
    Quads,
}

impl WindowForm {
    /// Form of 2 x 2 windows side by side, four of which are loaded and stored at once. Adapters
    /// with windows load the elements of a quad one by one: there one kernel serves all even
    /// widths.
    pub(super) fn of_pairs(width: usize, numbers: &PoolNumbers, caps: &Caps) -> Self {
        let aligned = |to: usize| width.is_multiple_of(to) && numbers.x_base.is_multiple_of(to);
        let bases = [numbers.y_base, numbers.index_base];
        match bases.iter().all(|base| base.is_multiple_of(4)) {
            true if aligned(4) && !caps.windows => WindowForm::Quads,
            true if aligned(2) => WindowForm::Pairs,
            _ => WindowForm::Any,
        }
    }

    /// The variant that gathers whole windows.
    pub(super) fn variant(self, windows: &Windows) -> Overrides {
        match self {
            WindowForm::Any => gathers(windows, false),
            WindowForm::Pairs | WindowForm::Quads => VARIANTS[0],
        }
    }

    fn name(self) -> &'static str {
        match self {
            WindowForm::Any => "",
            WindowForm::Pairs => "_pairs",
            WindowForm::Quads => "_quads",
        }
    }
}

pub(super) fn max_pool(form: WindowForm, indices: Indices) -> Kernel {
    let any = source!("pool/max_pool");
    let two = source!("pool/max_pool2d_2x2");
    let within = source!("pool/pieces");
    let pieces = source!("lib/pieces");
    let mut files = match form {
        WindowForm::Any => vec![any, source!("pool/windows"), within, pieces],
        WindowForm::Pairs => vec![two, source!("pool/max_pool2d_pairs")],
        WindowForm::Quads => vec![two, source!("pool/max_pool2d_quads")],
    };
    let (store_name, store) = index_writer(indices);
    files.push(store);
    files.extend(&[source!("pool/params"), source!("pool/place")]);
    let name = format!("max_pool{}{store_name}", form.name());
    let (whole, _) = GATHERING.split_at(2);
    let variants = match (form, indices) {
        (WindowForm::Pairs | WindowForm::Quads, _) => VARIANTS,
        // Pieces are joined by their places in the plane.
        (WindowForm::Any, Indices::Plane) => &GATHERING,
        (WindowForm::Any, Indices::None) => whole,
        // Adaptive windows have indices in the plane.
        (WindowForm::Any, Indices::Window) => &whole[..1],
    };
    Kernel::composed(name, files, variants)
}

/// Joins pieces of long windows.
pub(super) fn max_pool_join(indices: Indices) -> Kernel {
    let (store_name, store) = index_writer(indices);
    let files = vec![source!("pool/max_pool_join"), store];
    Kernel::composed(format!("max_pool_join{store_name}"), files, VARIANTS)
}

pub(super) fn max_pool_grad(form: WindowForm, indices: Indices) -> Kernel {
    let within = source!("pool/pieces");
    let pieces = source!("lib/pieces");
    let any = source!("pool/max_pool_grad");
    let two = source!("pool/max_pool2d_2x2_grad");
    let place = source!("pool/place");
    let mut files = match form {
        WindowForm::Any => vec![any, source!("pool/windows"), within, pieces],
        WindowForm::Pairs => vec![two, source!("pool/max_pool2d_grad_pairs"), place],
        WindowForm::Quads => vec![two, source!("pool/max_pool2d_grad_quads"), place],
    };
    let (index_name, index) = index_reader(indices);
    files.push(index);
    files.extend(&[source!("pool/params")]);
    let name = format!("max_pool_grad{}{index_name}", form.name());
    let variants: &'static [Overrides] = match (form, indices) {
        (WindowForm::Pairs | WindowForm::Quads, _) => VARIANTS,
        (WindowForm::Any, Indices::Plane) => &GATHERING,
        (WindowForm::Any, Indices::None | Indices::Window) => &STRIDED_GATHERING,
    };
    Kernel::composed(name, files, variants)
}

pub(super) fn max_pool_gather(indices: Indices) -> Kernel {
    let (index_name, index) = index_reader(indices);
    let mut files = vec![
        source!("pool/max_pool_gather"),
        source!("pool/windows"),
        source!("pool/place"),
    ];
    files.push(index);
    files.extend(&[source!("pool/params")]);
    Kernel::composed(format!("max_pool_gather{index_name}"), files, VARIANTS)
}

/// The provider of store_indices, by name.
fn index_writer(indices: Indices) -> (&'static str, Source) {
    match indices {
        Indices::None => ("", source!("pool/max_pool_values")),
        Indices::Window => ("_window", source!("pool/max_pool_window")),
        Indices::Plane => ("_plane", source!("pool/max_pool_plane")),
    }
}

/// The provider of index_at, by name.
fn index_reader(indices: Indices) -> (&'static str, Source) {
    match indices {
        Indices::None | Indices::Window => ("_window", source!("pool/index_window")),
        Indices::Plane => ("_plane", source!("pool/index_plane")),
    }
}

/// The kernels that are composed when an op lowers.
pub(super) fn kernels() -> Vec<Kernel> {
    let read = [Indices::Window, Indices::Plane];
    let mut all: Vec<Kernel> = read.map(max_pool_gather).to_vec();
    all.extend([Indices::None, Indices::Window, Indices::Plane].map(max_pool_join));
    for form in [WindowForm::Any, WindowForm::Pairs, WindowForm::Quads] {
        for indices in [Indices::None, Indices::Window, Indices::Plane] {
            all.push(max_pool(form, indices));
            if indices != Indices::None {
                all.push(max_pool_grad(form, indices));
            }
        }
    }
    all
}
