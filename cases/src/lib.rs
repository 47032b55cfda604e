//! The one table of cases: tests of correctness, gradients and adjoints, `verify` and the benches
//! read it. It needs the library alone.

mod adaptive_pool;
mod augment;
pub mod bench;
mod compare;
pub mod conv;
mod detect;
#[cfg(not(target_arch = "wasm32"))]
pub mod devices;
mod elementwise;
mod forms;
mod gather;
mod index;
mod join;
mod long;
mod loss;
pub mod lower;
mod lp_pool;
mod matmul;
mod movement;
mod networks;
mod norm;
mod pad;
pub mod pool;
mod products;
mod random;
mod reduce;
mod resize;
mod sample;
mod softmax;
#[cfg(not(target_arch = "wasm32"))]
pub mod tally;
mod texture;
mod unpool;
mod update;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use striate::check::{Case, Draw, Input, below, build};
use striate::shape::{DType, Type};

/// A `u32` vector that holds `words`.
fn words(words: &'static [u32]) -> Input {
    Input {
        ty: Type::u32([words.len()]),
        draw: Draw::Words(words),
    }
}

fn labels(rows: usize, classes: u32) -> Input {
    below([rows], classes)
}

/// The case as one that refuses parts if its values lie in several and `whole` says so.
fn whole_if(case: Case, whole: bool, words: &'static str) -> Case {
    match whole {
        true => case.whole(words),
        false => case,
    }
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

/// What the cases are named after that are several ops in a row.
pub const NETWORK: &str = "network";

/// All cases, and of those of each op one in the middle of a graph, one with NaN and infinities in
/// an operand, where the families have none, and one with them in the gradients of its outputs.
pub fn cases() -> Vec<Case> {
    let mut all = families();
    let special = all.iter().filter(|case| case.is_special()[0]);
    let special: BTreeSet<String> = special.map(|case| case.op().to_owned()).collect();
    let operands = one_each(|case| {
        let first = case.inputs.first().map_or(0, |input| match input.ty.dtype {
            DType::F32 => input.ty.count(),
            _ => 0,
        });
        let wanted = !special.contains(case.op()) && first > 0;
        wanted.then_some(first.min(MANY))
    });
    let named: BTreeSet<String> = all.iter().map(|case| case.name.clone()).collect();
    let gradients = one_each(|case| {
        let known = named.contains(&format!("{}/special dy", case.name));
        (!case.wrt.is_empty() && !known).then(|| dys(case).min(MANY))
    });
    let inside = one_each(|case| (!case.wrt.is_empty()).then_some(0));
    all.extend(operands.into_iter().map(|case| case.special(0)));
    all.extend(gradients.into_iter().map(Case::special_dy));
    all.extend(inside.into_iter().map(Case::inside));
    all
}

/// So many elements hold each of the special numbers.
const MANY: usize = 48;

/// Elements of the gradients of a case's outputs.
fn dys(case: &Case) -> usize {
    let built = build(case).expect("every case builds");
    let types = built.seeds.iter().map(|(_, dy)| built.graph.ty(*dy));
    types.map(|ty| ty.map_or(0, Type::count)).sum()
}

/// The ops of a case, its gradients' left out, and what it is named after.
pub fn ops_of(case: &Case) -> BTreeSet<String> {
    let built = build(case).expect("every case builds");
    let nodes = built.graph.nodes()[..built.forward].iter();
    nodes.map(|node| node.op.name().to_owned()).collect()
}

/// Small cases on plain numbers, the first of the highest rank for each name and for each op that
/// those do not have.
fn one_each(rank: impl Fn(&Case) -> Option<usize>) -> Vec<Case> {
    let mut ranked: Vec<(usize, Case)> = families()
        .into_iter()
        .filter(|case| {
            let small = |input: &Input| (1..10_000).contains(&input.ty.count());
            case.op() != NETWORK && case.is_special() == [false; 2] && case.inputs.iter().all(small)
        })
        .filter_map(|case| Some((rank(&case)?, case)))
        .collect();
    ranked.sort_by_key(|(rank, _)| Reverse(*rank));
    let (mut names, mut ops) = (BTreeSet::new(), BTreeSet::new());
    let mut chosen = Vec::new();
    // First those named after an op, so that it is not met by the way only.
    for by_name in [true, false] {
        for (_, case) in std::mem::take(&mut ranked) {
            let own = ops_of(&case);
            let new = match by_name {
                true => !names.contains(case.op()),
                false => !own.is_subset(&ops),
            };
            if new {
                names.insert(case.op().to_owned());
                ops.extend(own);
                chosen.push(case);
            } else {
                ranked.push((0, case));
            }
        }
    }
    chosen
}

fn families() -> Vec<Case> {
    [
        elementwise::elementwise(),
        compare::compare(),
        forms::forms(),
        matmul::matmul(),
        conv::conv(),
        pool::pool(),
        lp_pool::lp_pool(),
        adaptive_pool::adaptive_pool(),
        unpool::unpool(),
        norm::norm(),
        update::update(),
        reduce::reduce(),
        movement::movement(),
        join::join(),
        pad::pad(),
        resize::resize(),
        sample::sample(),
        softmax::softmax(),
        loss::loss(),
        random::random(),
        detect::detect(),
        gather::gather(),
        index::index(),
        augment::augment(),
        texture::texture(),
        networks::networks(),
        long::long(),
        products::products(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
