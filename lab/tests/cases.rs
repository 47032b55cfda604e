//! The table of cases, beside the text of the kernels and beside `docs/ops.md`.

use std::collections::{BTreeMap, BTreeSet};

use striate::check::build;
use striate::kernel::{Body, Caps, Kernel};
use striate_cases::cases;
use striate_cases::lower::lower;
use striate_lab::loops::loops_of_unknown_length;
use striate_lab::translate::parse;
use striate_lab::{kernels, table};

/// Ops with a loop over an extent that need no long case, and why.
const SHORT: &[(&str, &str)] = &[
    (
        "shuffled_batch",
        "an element walks along a cycle of the permutation, which is short whatever the extent",
    ),
    ("nms", BOXES),
    ("texture_input", TEXELS),
    ("texture_output", TEXELS),
];
const BOXES: &str = "more than 16,384 boxes are refused";
const TEXELS: &str = "a texture of too many texels for an invocation is refused, not cut";

/// Every op with a loop whose length no text fixes has a case in which it walks more than 70,000
/// elements: these are the group `long`.
#[test]
fn every_loop_over_an_extent_has_a_long_case() {
    let mut loops: BTreeMap<String, bool> = BTreeMap::new();
    let mut has_loop = |kernel: &Kernel| -> bool {
        let found = loops.entry(kernel.name.to_string()).or_insert_with(|| {
            let module = parse(&kernel.source(), kernel.extensions(), |_| String::new());
            let (module, _) = module.unwrap();
            !loops_of_unknown_length(&module).is_empty()
        });
        *found
    };
    let [mut looped, mut long] = [const { BTreeSet::new() }; 2];
    let registers = Caps {
        body: Body::Registers,
        ..Caps::default()
    };
    for case in cases() {
        let is_long = case.is_long();
        let built = build(&case).unwrap();
        let largest = built
            .graph
            .values()
            .map(|v| built.graph.ty(v).unwrap().count());
        if is_long {
            let largest = largest.max();
            assert!(
                largest >= Some(70_000),
                "{}: {largest:?} elements",
                case.name
            );
        }
        for node in built.graph.nodes() {
            let name = node.op.name().to_owned();
            // What is known needs no second look, but the long cases show that they reach a loop.
            if long.contains(&name) || (looped.contains(&name) && !is_long) {
                continue;
            }
            let lowered = [&registers, &Caps::default()]
                .map(|caps| lower(&built.graph, node, caps, false).unwrap().1.dispatches);
            if lowered.iter().flatten().any(|d| has_loop(&d.kernel)) {
                looped.insert(name.clone());
                if is_long {
                    long.insert(name);
                }
            }
        }
    }
    let short: BTreeSet<String> = SHORT.iter().map(|(op, _)| (*op).to_owned()).collect();
    let known: BTreeSet<String> = long.union(&short).cloned().collect();
    let missing: Vec<&String> = looped.difference(&known).collect();
    assert!(
        missing.is_empty(),
        "no case named .../long/... of {missing:?}"
    );
    let needless: Vec<&String> = short.iter().filter(|op| !looped.contains(*op)).collect();
    assert!(needless.is_empty(), "these have no loop: {needless:?}");
}

/// Bodies of kernels with a loop whose length no text fixes, whose turns no extent makes many, and
/// why.
const BOUNDED: &[(&str, &str)] = &[
    (
        "augment/tables",
        "a workgroup counts an image whole: one that takes too many turns is refused, not cut",
    ),
    ("detect/nms_pairs", RUN),
    ("detect/nms_rank", BOXES),
    ("detect/nms_select", BOXES),
    ("detect/nms_write", BOXES),
    ("texture/read_textures", TEXELS),
    ("texture/write_texture", TEXELS),
    ("gemm/sum_parts", PARTIAL),
    ("gemm/sum_parts_end", PARTIAL),
    ("loss/loss_sum", PARTIAL),
    ("norm/moments_finish", PARTIAL),
    ("norm/reduce", PARTIAL),
    ("norm/sums_finish", PARTIAL),
    ("optim/gradient_norm", PARTIAL),
    ("pool/max_pool_join", PARTIAL),
    ("reduce/sum_pieces", PARTIAL),
    ("movement/pad_grad", IDLE),
    ("pool/average_pool", IDLE),
    ("pool/average_pool_grad", IDLE),
    ("pool/max_pool", IDLE),
    ("pool/max_pool_grad", IDLE),
    ("resize/grid_boxes", RUN),
    ("resize/resize", IDLE),
    ("norm/local_response_norm", WINDOW),
    ("norm/local_response_norm_grad", WINDOW),
    ("norm/response_level", WINDOW),
    ("norm/response_window", WINDOW),
    (
        "pool/average_finish",
        "a power takes as many turns as its exponent has digits",
    ),
    (
        "random/shuffled_batch",
        "cycles of the permutation are short whatever the extent",
    ),
];
const RUN: &str = "a run is as long as the text says";
const PARTIAL: &str = "there are as many partial results as fill a device, or its turns ask for";
const IDLE: &str = "long gathers of few outputs are cut on every device: src/lowering/pieces.rs";
const WINDOW: &str = "windows over many channels take other kernels";

/// Every kernel with a loop whose length no text fixes has a case in which an invocation would take
/// more than 70,000 turns, were nothing cut: no device runs it without cuts, which the case proves.
/// Kernels of one body take the same loops.
#[test]
fn every_kernel_with_a_loop_has_a_long_case() {
    let mut loops: BTreeMap<String, bool> = BTreeMap::new();
    let mut has_loop = |kernel: &Kernel| -> bool {
        let found = loops.entry(kernel.name.to_string()).or_insert_with(|| {
            let module = parse(&kernel.source(), kernel.extensions(), |_| String::new());
            let (module, _) = module.unwrap();
            !loops_of_unknown_length(&module).is_empty()
        });
        *found
    };
    let uncut = |body, windows| Caps {
        body,
        windows,
        max_uniform: 64 << 10,
        max_binding: (1 << 31) - 256,
        max_turns: u64::MAX,
        ..Caps::default()
    };
    let all = [
        uncut(Body::Registers, true),
        uncut(Body::Registers, false),
        uncut(Body::Shared, false),
    ];
    let mut most: BTreeMap<&'static str, u64> = BTreeMap::new();
    for case in cases() {
        let built = build(&case).unwrap();
        for node in built.graph.nodes() {
            for caps in &all {
                let (_, lowering) = lower(&built.graph, node, caps, false).unwrap();
                for dispatch in lowering.dispatches {
                    let Some(body) = dispatch.kernel.sources().first().copied() else {
                        continue;
                    };
                    if has_loop(&dispatch.kernel) {
                        let turns = most.entry(body.path()).or_default();
                        *turns = dispatch.turns.unwrap_or(0).max(*turns);
                    }
                }
            }
        }
    }
    let path = |(body, _): &(&str, &str)| format!("shaders/{body}.wgsl");
    let bounded: BTreeSet<String> = BOUNDED.iter().map(path).collect();
    let short = most
        .iter()
        .filter(|&(body, &turns)| turns < 70_000 && !bounded.contains(*body));
    let short: Vec<_> = short.collect();
    assert!(short.is_empty(), "the most turns of any case: {short:#?}");
    let needless = bounded
        .iter()
        .filter(|body| most.get(body.as_str()).is_none_or(|&turns| turns >= 70_000));
    let needless: Vec<_> = needless.collect();
    assert!(needless.is_empty(), "these need no exception: {needless:?}");
}

#[test]
fn the_table_of_ops_is_current() {
    let path = table::path();
    let text = std::fs::read_to_string(&path).unwrap();
    let renewed = table::renewed(&text).expect("the lines around the table");
    assert!(
        text == renewed,
        "docs/ops.md is stale: cargo run --release -p striate-lab -- verify --docs"
    );
}

#[test]
fn the_tables_of_kernels_are_current() {
    for (path, renewed) in kernels::readmes().unwrap() {
        assert!(
            std::fs::read_to_string(&path).is_ok_and(|text| text == renewed),
            "{} is stale: cargo run --release -p striate-lab -- verify --docs",
            path.display()
        );
    }
}

/// What is shown of a kernel holds its text whole, and names the file of each part.
#[test]
fn kernels_are_shown_whole() {
    for kernel in striate::ops::kernels() {
        let shown = kernels::whole(&kernel);
        for source in kernel.sources() {
            assert!(shown.contains(source.text()), "{}", kernel.name);
            assert!(shown.contains(source.path()), "{}", kernel.name);
        }
    }
}
