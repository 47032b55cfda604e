//! The kernels of reductions: how elements are loaded, what is summed of them, and the overrides
//! that say so.

use crate::kernel::{Kernel, Overrides, source};

use super::Function;

pub(super) const WORKGROUP: usize = 64;

/// How the elements are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadForm {
    /// One by one.
    Elements,
    /// Four neighbours that are reduced.
    RowQuads,
    /// Four neighbours that are kept.
    ColumnQuads,
}

/// What the terms of a sum are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terms {
    Elements,
    /// Also another value of each output.
    ByOutput,
    /// Also another value of each element.
    ByElement,
}

impl Terms {
    pub fn of(function: Function) -> Self {
        match function {
            Function::Sum | Function::Largest | Function::Squares | Function::Multiplied => {
                Terms::Elements
            }
            Function::Differences(_)
            | Function::Deviations(_)
            | Function::Ties(_)
            | Function::Exponentials(_) => Terms::ByOutput,
            Function::Products(_) => Terms::ByElement,
        }
    }
}

const fn overrides(function: u32, chunks_first: u32) -> [(&'static str, u32); 3] {
    [
        ("function", function),
        ("chunks_first", chunks_first),
        ("workgroup_size", WORKGROUP as u32),
    ]
}

/// The variants of each kind of terms: first those where the chunks of an output lie side by side,
/// then as many where the outputs of a chunk do.
const ELEMENTS: &[Overrides] = &[
    &overrides(0, 0),
    &overrides(1, 0),
    &overrides(2, 0),
    &overrides(8, 0),
    &overrides(0, 1),
    &overrides(1, 1),
    &overrides(2, 1),
    &overrides(8, 1),
];
const BY_OUTPUT: &[Overrides] = &[
    &overrides(3, 0),
    &overrides(4, 0),
    &overrides(5, 0),
    &overrides(6, 0),
    &overrides(3, 1),
    &overrides(4, 1),
    &overrides(5, 1),
    &overrides(6, 1),
];
const BY_ELEMENT: &[Overrides] = &[&overrides(7, 0), &overrides(7, 1)];

pub(super) fn kernel(form: LoadForm, terms: Terms) -> Kernel {
    let (name, file, variants) = match terms {
        Terms::Elements => ("reduce", source!("reduce/terms"), ELEMENTS),
        Terms::ByOutput => (
            "reduce_by_output",
            source!("reduce/terms_by_output"),
            BY_OUTPUT,
        ),
        Terms::ByElement => (
            "reduce_by_element",
            source!("reduce/terms_by_element"),
            BY_ELEMENT,
        ),
    };
    let (chunks_side_by_side, outputs_side_by_side) = variants.split_at(variants.len() / 2);
    let (form_name, form, variants) = match form {
        LoadForm::Elements => ("", source!("reduce/elements"), variants),
        LoadForm::RowQuads => (
            "_row_quads",
            source!("reduce/row_quads"),
            chunks_side_by_side,
        ),
        LoadForm::ColumnQuads => (
            "_column_quads",
            source!("reduce/column_quads"),
            outputs_side_by_side,
        ),
    };
    let files = vec![source!("reduce/reduce"), form, file];
    Kernel::composed(format!("{name}{form_name}"), files, variants)
}

/// The kernels that are composed when an op lowers.
pub(crate) fn kernels() -> Vec<Kernel> {
    let mut all = Vec::new();
    for form in [
        LoadForm::Elements,
        LoadForm::RowQuads,
        LoadForm::ColumnQuads,
    ] {
        all.extend([Terms::Elements, Terms::ByOutput, Terms::ByElement].map(|t| kernel(form, t)));
    }
    all
}
