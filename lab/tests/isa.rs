//! What AMD's compiler makes of the products by tiles, and of the loops outside of products and
//! textures, for cards that are not there.
//!
//! The figures are those of one version of the driver. Another one prints what it finds and fails
//! nothing; without the driver there is nothing to see.

use std::path::PathBuf;

use striate::error::Result;
use striate::kernel::Kernel;
use striate::ops::kernels;
use striate_lab::isa::{Card, Compilers, Line, Prepared, radv, variants};

/// The version of Mesa that the figures are held for.
const DRIVER: &str = "Mesa 22.3.6";

const CARDS: [Card; 3] = [Card::Navi21, Card::Gfx1100, Card::Vega10];

fn compilers() -> Option<Compilers> {
    if radv::file().is_none() {
        println!("SKIPPED: Mesa's Vulkan driver for Radeon is not here");
        return None;
    }
    Some(Compilers {
        lab: PathBuf::from(env!("CARGO_BIN_EXE_striate-lab")),
        wheels: None,
    })
}

/// The lines, if they are to be held; else they are printed, or what the compiler refuses.
fn held(lines: Result<Vec<Line>>) -> Option<Vec<Line>> {
    let lines = match lines {
        Ok(lines) => lines,
        Err(error) => {
            println!("not held: {error}");
            return None;
        }
    };
    let known = lines.iter().all(|line| line.compiler.contains(DRIVER));
    if !known {
        for line in &lines {
            println!("not held, {}: {line:?}", line.compiler);
        }
    }
    known.then_some(lines)
}

fn product(name: &str) -> Kernel {
    let found = kernels().into_iter().find(|kernel| kernel.name == name);
    found.unwrap_or_else(|| panic!("{name} is no kernel"))
}

fn with(name: &str, overrides: &[(&str, u32)]) -> Vec<Prepared> {
    let wanted = overrides
        .iter()
        .map(|&(name, value)| (name.to_owned(), value));
    variants(&product(name), &wanted.collect::<Vec<_>>()).unwrap()
}

const PRODUCTS: [&str; 4] = [
    "matmul_shared",
    "conv_forward_shared",
    "conv_grad_input_shared",
    "conv_grad_weight_shared",
];

/// A kernel with overrides, and the least shares of its hot loop and of a block of terms.
type Floor = (&'static str, &'static [(&'static str, u32)], f64, f64);

/// In the largest tile: the share of multiply-adds in the hot loop and in all that is done for a
/// block of terms, and loads from the next block that come before this one's arithmetic.
///
/// On these cards the loop over a block of terms is unrolled, so that both are one share.
#[test]
fn the_largest_tiles_multiply() {
    let Some(compilers) = compilers() else { return };
    let floors: [Floor; 5] = [
        ("matmul_shared", &[("along_a", 1), ("whole", 1)], 0.89, 0.89),
        // Terms that may be a batch are checked.
        ("matmul_shared", &[("along_a", 0), ("whole", 2)], 0.85, 0.85),
        ("conv_forward_shared", &[("by_axis", 0)], 0.85, 0.85),
        ("conv_grad_weight_shared", &[("whole", 1)], 0.83, 0.83),
        ("conv_grad_input_shared", &[("by_axis", 0)], 0.85, 0.85),
    ];

    for card in CARDS {
        for (name, own, inner, block) in floors {
            let set = [&[("tile", 128)], own].concat();
            let found = compilers.compile(card, &with(name, &set), None);
            let Some(lines) = held(found) else { return };
            for line in lines {
                let hot = &line.hot;
                assert!(hot.inner.share() >= inner, "{line:?}");
                assert!(hot.block_share(line.turns) >= block, "{line:?}");
                // Of tiles; a cursor over pixels looks up its tap and its pixels besides.
                let looked_up = if own.contains(&("by_axis", 0)) { 2 } else { 0 };
                let loads = hot.inner.shared_loads - looked_up;
                assert!(hot.inner.multiply_adds >= 16 * loads, "{line:?}");
                assert!(
                    hot.inner.global_loads > 0,
                    "nothing is loaded ahead: {line:?}"
                );
                // Other operands are gathered: their layout permits no more.
                let wide = if name == "matmul_shared" { 2 } else { 1 };
                assert!(hot.inner.wide_loads >= wide, "{line:?}");
                assert_eq!(hot.inner.early_waits, 0, "{line:?}");
                if card == Card::Navi21 {
                    assert!(line.waves.unwrap() >= 8, "{line:?}");
                }
            }
        }
    }
}

/// No variant that a rule may choose keeps registers in memory.
#[test]
fn no_product_spills() {
    let Some(compilers) = compilers() else { return };
    let all: Vec<Prepared> = PRODUCTS.iter().flat_map(|name| with(name, &[])).collect();
    for card in CARDS {
        let Some(lines) = held(compilers.compile(card, &all, None)) else {
            return;
        };
        for line in lines {
            assert_eq!(line.spilled, 0, "{line:?}");
        }
    }
}

/// The tables of docs/kernels/matmul.md, as far as AMD's cards go: the row of each step, tile and
/// convolution, the column of the first card, and whether the hot loop's share stands there too.
#[test]
fn the_page_of_matmul_tells_what_is_found() {
    let Some(compilers) = compilers() else { return };
    let page = std::fs::read_to_string(striate_lab::root().join("docs/kernels/matmul.md")).unwrap();
    let row = |first: &str| -> Vec<&str> {
        let begin = format!("| {first}");
        let found = page.lines().find(|line| line.starts_with(&begin));
        let found = found.unwrap_or_else(|| panic!("no row begins with {first}"));
        found.split('|').map(str::trim).collect()
    };
    let step = |name: &str| {
        let path = format!("docs/kernels/matmul/{name}.wgsl");
        let path = striate_lab::root().join(path);
        vec![Prepared::file(path.to_str().unwrap(), &[]).unwrap()]
    };
    let product = |tile| {
        let set = [("tile", tile), ("along_a", 1), ("along_b", 0), ("whole", 1)];
        with("matmul_shared", &set)
    };
    let pixels = [("tile", 128), ("by_axis", 0), ("whole", 1)];
    let rows = [
        ("[naive]", 3, true, step("1-naive"), Some(1)),
        ("[shared]", 3, true, step("2-shared"), Some(16)),
        ("[registers]", 3, true, step("3-registers"), Some(256)),
        ("[eight]", 3, true, step("4-eight"), Some(512)),
        ("[ahead]", 3, true, step("5-ahead"), Some(512)),
        ("[gemm/shared]", 3, true, product(128), None),
        ("128 x 128", 4, false, product(128), None),
        ("64 x 64", 4, false, product(64), None),
        ("32 x 32", 4, false, product(32), None),
        (
            "forward",
            2,
            true,
            with("conv_forward_shared", &pixels),
            None,
        ),
        (
            "gradient of the weight",
            2,
            true,
            with("conv_grad_weight_shared", &[("tile", 128), ("whole", 1)]),
            None,
        ),
        (
            "gradient of the input",
            2,
            true,
            with("conv_grad_input_shared", &pixels),
            None,
        ),
    ];
    for (first, column, inner, kernel, block) in rows {
        let cells = row(first);
        for (number, card) in CARDS.into_iter().enumerate() {
            let Some(lines) = held(compilers.compile(card, &kernel, block)) else {
                return;
            };
            let line = &lines[0];
            let percent = |share: f64| format!("{:.1}", 100.0 * share);
            let all = percent(line.hot.block_share(line.turns));
            let found = match inner {
                true => format!("{} / {all}", percent(line.hot.inner.share())),
                false => all,
            };
            assert_eq!(cells[column + number], found, "{cells:?}, {}", card.name());
        }
    }
}

/// Kernels with divisions in their loops, and why: all others have none. Those of products and of
/// textures are not looked at.
const DIVIDING: &[(&str, &str)] = &[
    (
        "augment_rows",
        "an image's colours are divided by their sums",
    ),
    ("avg_pool_grad", "where windows count differently"),
    ("grid_boxes", REFLECTED),
    ("grid_sample_grad_input", REFLECTED),
    ("lp_pool_grad", "elements are divided by the norm"),
    ("norm_moments", BLOCK),
    ("norm_moments_quads", BLOCK),
];
const REFLECTED: &str = "places beyond the image are reflected into it";
const BLOCK: &str = "the mean moves once in a block of 16 loads, around the hot loop";

/// Whether a kernel is a product, or of textures, whose compilation takes longest.
fn is_left_out(name: &str) -> bool {
    let fast = ["conv_direct", "conv_depthwise", "conv_grad_weight_sum"];
    let conv = name.starts_with("conv_") && !fast.iter().any(|one| name.starts_with(one));
    conv || ["matmul", "write_", "read_"]
        .iter()
        .any(|one| name.starts_with(one))
}

/// Integers are advanced by additions, and what all turns divide by is divided once.
#[test]
fn loops_divide_nothing() {
    let Some(compilers) = compilers() else { return };
    let known = kernels();
    let looked_at = known.iter().filter(|kernel| !is_left_out(&kernel.name));
    let all: Vec<Prepared> = looked_at
        .flat_map(|kernel| variants(kernel, &[]).unwrap())
        .collect();
    let Some(lines) = held(compilers.compile(Card::Navi21, &all, None)) else {
        return;
    };
    let mut found = std::collections::BTreeSet::new();
    for line in &lines {
        let divisions: usize = line.hot.loops.iter().map(|own| own.reciprocals).sum();
        if divisions > 0 {
            let name = line.kernel.as_str();
            assert!(
                DIVIDING.iter().any(|(one, _)| *one == name),
                "{divisions} divisions: {line:?}"
            );
            found.insert(name);
        }
    }
    for (name, _) in DIVIDING {
        assert!(found.contains(name), "{name} divides nothing");
    }
    let even = |line: &&Line| line.overrides.contains(&("even".to_owned(), 1));
    assert!(lines.iter().any(|line| even(&line)), "no variant is even");
    for line in lines.iter().filter(even) {
        assert!(
            line.hot.loops.iter().all(|own| own.reciprocals == 0),
            "{line:?}"
        );
    }
}

/// Kernels that load elements by four and something else one by one, and why.
const NARROW: &[(&str, &str)] = &[
    ("conv_depthwise_forward", "weights, one for each tap"),
    ("conv_depthwise_grad_input", "weights, one for each tap"),
    ("norm_sums_quads", TABLE),
    ("norm_sums_quads_window", TABLE),
    (
        "reduce_by_output_row_quads",
        "a number that a row has in common",
    ),
];
const TABLE: &str = "statistics and weights that neighbours have in common";

/// Kernels whose loads are of four elements though their names do not say so.
const BY_FOUR: &[&str] = &[
    "adagrad",
    "adam",
    "adam_max",
    "binary",
    "blend",
    "conv_depthwise_forward",
    "conv_depthwise_grad_input",
    "dropout",
    "pointwise_loss",
    "pointwise_loss_grad",
    "pointwise_loss_sum",
    "ratio",
    "rmsprop_centered",
    "rmsprop_momentum",
    "sgd",
    "sgd_momentum",
    "unary_grad",
];

/// Loops over rows of whole quads, and maps over elements, load no element alone.
#[test]
fn quads_are_loaded_whole() {
    let Some(compilers) = compilers() else { return };
    let known = kernels();
    let by_four = |kernel: &&Kernel| {
        let name = &*kernel.name;
        let loops = ["softmax", "norm_", "reduce", "local_response"];
        let quads = name.contains("_quads") && loops.iter().any(|one| name.starts_with(one));
        quads || BY_FOUR.contains(&name)
    };
    let looked_at = known.iter().filter(by_four);
    let all: Vec<Prepared> = looked_at
        .flat_map(|kernel| variants(kernel, &[]).unwrap())
        .collect();
    let Some(lines) = held(compilers.compile(Card::Navi21, &all, None)) else {
        return;
    };
    for name in BY_FOUR {
        assert!(lines.iter().any(|line| line.kernel == *name), "no {name}");
    }
    for line in &lines {
        let hot = &line.hot;
        let narrow: usize = match hot.loops.is_empty() {
            true => hot.all.narrow_loads(),
            false => hot.loops.iter().map(|own| own.narrow_loads()).sum(),
        };
        assert!(hot.all.wide_loads > 0, "{line:?}");
        let known = NARROW.iter().any(|(one, _)| *one == line.kernel);
        assert_eq!(narrow > 0, known, "{narrow} loads: {line:?}");
    }
}
