//! The one table of op cases: correctness, gradients, adjoints and benches read it.

pub mod conv;
mod elementwise;
mod gather;
mod join;
mod loss;
mod matmul;
mod movement;
mod networks;
mod pad;
pub mod pool;
mod products;
mod random;
mod reduce;
mod softmax;
mod update;

use striate::check::{Case, Draw, Input, below};
use striate::shape::Type;

/// A `u32` vector that holds `words`.
fn words(words: &'static [u32]) -> Input {
    Input {
        ty: Type::u32([words.len()]),
        draw: Draw::Words(words),
    }
}

pub fn labels(rows: usize, classes: u32) -> Input {
    below([rows], classes)
}

/// What may follow a product: bias, relu, mask.
const ENDS: [(bool, bool, bool); 5] = [
    (false, false, false),
    (false, true, false),
    (true, false, false),
    (true, true, false),
    (false, false, true),
];

/// What follows a product, as part of a case's name.
fn end_name((bias, relu, mask): (bool, bool, bool)) -> String {
    let names = [(bias, "-bias"), (relu, "-relu"), (mask, "-mask")];
    let chosen = names.iter().filter(|(chosen, _)| *chosen);
    chosen.map(|(_, name)| *name).collect()
}

/// All cases, and for each op with gradients one of them in the middle of a graph.
pub fn cases() -> Vec<Case> {
    let mut all = families();
    let mut inside: Vec<Case> = Vec::new();
    for case in families() {
        let small = case
            .inputs
            .iter()
            .all(|input| (1..10_000).contains(&input.ty.count()));
        if small && !case.wrt.is_empty() && inside.iter().all(|other| other.op() != case.op()) {
            inside.push(case.inside());
        }
    }
    all.extend(inside);
    all
}

fn families() -> Vec<Case> {
    [
        elementwise::elementwise(),
        matmul::matmul(),
        conv::conv2d(),
        pool::pool(),
        update::update(),
        reduce::reduce(),
        movement::movement(),
        join::join(),
        pad::pad(),
        softmax::softmax(),
        loss::loss(),
        random::random(),
        gather::gather(),
        networks::networks(),
        products::products(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
