//! The comparer rejects what is wrong: a harness that cannot fail proves nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use striate::check::{Bound, Built, Case, Draw, Input, Numbers, build, compare, draw};
use striate::error::{ErrorKind, Result};
use striate::graph::{EvalSplit, Graph, Node, Origin, Value};
use striate::kernel::{Body, Caps};
use striate::plan::{Plan, PlanOptions, StateLayout};
use striate::shape::{DType, Type};
use striate::tensor::{Array, Tensor};
use striate_cases::{NETWORK, cases, ops_of};

const WANT: [f64; 6] = [1.0, -2.5, 0.1, 1e-3, 4096.5, -7.0];

fn want() -> Array {
    Array::float([2, 3], WANT.to_vec())
}

fn got(values: impl IntoIterator<Item = f32>) -> Tensor {
    Tensor::f32([2, 3], values.into_iter().collect()).unwrap()
}

fn right() -> Vec<f32> {
    WANT.iter().map(|&x| x as f32).collect()
}

/// Every bound, as loose as a case may state it.
fn bounds() -> [Bound; 4] {
    [
        Bound::Exact,
        Bound::Ulp(40.0),
        Bound::Sum { k: 4000 },
        Bound::Norm(1e-3),
    ]
}

fn check(got: &Tensor, bound: Bound) -> Result<f64> {
    let sums = want();
    compare(got, &want(), bound, Some(&sums))
}

#[track_caller]
fn rejects(got: &Tensor, bound: Bound, words: &str) {
    let error = check(got, bound).expect_err("wrong data was accepted");
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    let message = error.to_string();
    assert!(message.contains(words), "{message:?} lacks {words:?}");
}

#[test]
fn right_data_is_accepted() {
    for bound in bounds() {
        let units = check(&got(right()), bound).unwrap();
        assert!(units <= 1.0, "{units} {bound:?}");
    }
}

#[test]
fn wrong_data_is_rejected() {
    for bound in bounds() {
        for i in 0..6 {
            let mut values = right();
            values[i] = values[i] * 1.5 + 50.0;
            let place = format!(
                "1 of 6 elements are wrong; the worst, element [{}, {}]",
                i / 3,
                i % 3
            );
            rejects(&got(values), bound, &place);
        }
        rejects(&got([0.0; 6]), bound, "of 6 elements are wrong");
    }
}

#[test]
fn the_worst_element_is_named() {
    let mut values = right();
    values[1] += 1.0;
    values[3] += 1.0;
    rejects(
        &got(values),
        Bound::Ulp(1.0),
        "2 of 6 elements are wrong; the worst, element [1, 0]",
    );
}

#[test]
fn shifted_data_is_rejected() {
    let mut values = right();
    values.rotate_right(1);
    for bound in bounds() {
        rejects(&got(values.clone()), bound, "elements are wrong");
    }
}

#[test]
fn nan_and_infinity_are_rejected() {
    for bound in bounds() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for i in 0..6 {
                let mut values = right();
                values[i] = bad;
                rejects(&got(values), bound, "1 of 6 elements are wrong");
            }
        }
        rejects(&got([f32::NAN; 6]), bound, "6 of 6 elements are wrong");
    }
}

#[test]
fn nan_and_infinity_must_be_met() {
    let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e39, 1.0, 2.0];
    let want = Array::float([2, 3], special.to_vec());
    let right = special.map(|x| x as f32);
    assert_eq!(right[3], f32::INFINITY);
    let sums = Array::float([2, 3], vec![1.0; 6]);
    for bound in bounds() {
        compare(&got(right), &want, bound, Some(&sums)).unwrap();
        for i in 0..4 {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 0.0] {
                let mut values = right;
                if values[i].to_bits() != bad.to_bits() {
                    values[i] = bad;
                    compare(&got(values), &want, bound, Some(&sums)).unwrap_err();
                }
            }
        }
    }
}

#[test]
fn a_bound_that_is_not_finite_accepts_nothing_inexact() {
    let values = right().into_iter().map(|x| x * (1.0 + f32::EPSILON));
    let values = got(values);
    for sum in [f64::NAN, f64::INFINITY] {
        let sums = Array::float([2, 3], vec![sum; 6]);
        let bound = Bound::Sum { k: 1 };
        compare(&values, &want(), bound, Some(&sums)).unwrap_err();
    }
    compare(&values, &want(), Bound::Ulp(f64::INFINITY), None).unwrap_err();
    compare(&values, &want(), Bound::Norm(f64::NAN), None).unwrap_err();
}

#[test]
fn shapes_and_dtypes_must_match() {
    for bound in bounds() {
        for shape in [vec![3, 2], vec![6], vec![2, 3, 1]] {
            rejects(
                &Tensor::f32(shape, right()).unwrap(),
                bound,
                "want f32 [2, 3]",
            );
        }
        rejects(
            &Tensor::f32([2, 2], right()[..4].to_vec()).unwrap(),
            bound,
            "got f32 [2, 2]",
        );
        rejects(
            &Tensor::u32([2, 3], vec![1; 6]).unwrap(),
            bound,
            "got u32 [2, 3]",
        );
    }
    let whole = Array::u32([2], vec![1, 2]);
    compare(
        &Tensor::f32([2], vec![1.0, 2.0]).unwrap(),
        &whole,
        Bound::Exact,
        None,
    )
    .unwrap_err();
}

#[test]
fn integers_are_exact_whatever_the_bound() {
    let want = Array::u32([3], vec![0, 7, u32::MAX]);
    let right = Tensor::u32([3], vec![0, 7, u32::MAX]).unwrap();
    let wrong = Tensor::u32([3], vec![0, 7, u32::MAX - 1]).unwrap();
    for bound in bounds() {
        assert_eq!(compare(&right, &want, bound, None).unwrap(), 0.0);
        compare(&wrong, &want, bound, None).unwrap_err();
    }
    let want = Tensor::u8([2], vec![1, 255]).unwrap().to_array().unwrap();
    compare(
        &Tensor::u8([2], vec![1, 254]).unwrap(),
        &want,
        Bound::Ulp(9.0),
        None,
    )
    .unwrap_err();
}

#[test]
fn exact_means_every_bit() {
    for i in 0..6 {
        for step in [f32::next_up, f32::next_down] {
            let mut values = right();
            values[i] = step(values[i]);
            rejects(&got(values), Bound::Exact, "1 of 6 elements are wrong");
        }
    }
}

#[test]
fn ulps_count_from_the_exact_reference() {
    // 1/3 lies between two floats, both less than one ulp away; the next ones are farther.
    let want = Array::float([1], vec![1.0 / 3.0]);
    let near = (1.0f64 / 3.0) as f32;
    let below = near.next_down();
    let one = |x: f32| {
        compare(
            &Tensor::f32([1], vec![x]).unwrap(),
            &want,
            Bound::Ulp(1.0),
            None,
        )
    };
    assert!(f64::from(near) > 1.0 / 3.0);
    assert!(one(near).unwrap() < 0.5);
    assert!(one(below).unwrap() > 0.5);
    one(near.next_up()).unwrap_err();
    one(below.next_down()).unwrap_err();
}

#[test]
fn sums_are_bounded_by_their_length_and_size() {
    // k = 8, S = 4: 16 * 2^-24 * 4 = 2^-18.
    let want = Array::float([1], vec![0.5]);
    let sums = Array::float([1], vec![-4.0]);
    let at = |error: f32| {
        let got = Tensor::f32([1], vec![0.5 + error]).unwrap();
        compare(&got, &want, Bound::Sum { k: 8 }, Some(&sums))
    };
    let limit = 2f32.powi(-18);
    assert!((at(limit * 0.5).unwrap() - 0.5).abs() < 1e-9);
    at(limit * 1.01).unwrap_err();
    let got = Tensor::f32([1], vec![0.5]).unwrap();
    compare(&got, &want, Bound::Sum { k: 8 }, None).unwrap_err();
    let misshapen = Array::float([1, 1], vec![4.0]);
    compare(&got, &want, Bound::Sum { k: 8 }, Some(&misshapen)).unwrap_err();
}

#[test]
fn norms_are_relative_to_the_largest_element() {
    let limit = 4096.5 * 1e-4;
    for (factor, accepted) in [(0.9, true), (1.1, false)] {
        let mut values = right();
        values[0] += limit * factor;
        assert_eq!(check(&got(values), Bound::Norm(1e-4)).is_ok(), accepted);
    }
}

#[test]
fn negative_zero_equals_zero() {
    let zeros = [0.0, -0.0];
    for want in zeros {
        for got in zeros {
            let want = Array::float([1], vec![f64::from(want)]);
            let got = Tensor::f32([1], vec![got]).unwrap();
            assert_eq!(compare(&got, &want, Bound::Exact, None).unwrap(), 0.0);
        }
    }
}

#[test]
fn only_subnormals_may_be_flushed() {
    let accepted = |want: f64, got: f32, bound: Bound| {
        let want = Array::float([1], vec![want]);
        compare(&Tensor::f32([1], vec![got]).unwrap(), &want, bound, None).is_ok()
    };
    let smallest = f32::MIN_POSITIVE;
    for bound in [Bound::Exact, Bound::Ulp(1.0)] {
        assert!(accepted(f64::from(smallest) / 2.0, 0.0, bound), "{bound:?}");
        assert!(
            !accepted(f64::from(smallest) * 2.0, 0.0, bound),
            "{bound:?}"
        );
    }
    assert!(!accepted(f64::from(smallest), 0.0, Bound::Exact));
    assert!(!accepted(f64::from(smallest) / 2.0, smallest, Bound::Exact));
}

#[test]
fn empty_tensors_compare_equal() {
    let want = Array::float([0, 3], vec![]);
    let got = Tensor::f32([0, 3], vec![]).unwrap();
    for bound in bounds() {
        assert_eq!(compare(&got, &want, bound, Some(&want)).unwrap(), 0.0);
    }
}

#[test]
fn draws_keep_their_promises() {
    let ty = Type::f32([10, 100]);
    let floats = |how, numbers| {
        draw("draws", 0, &ty, how, numbers)
            .unwrap()
            .as_f32()
            .unwrap()
            .to_vec()
    };
    let real = floats(Draw::Real, Numbers::Real);
    assert!(real.iter().all(|x| x.abs() <= 1.0));
    assert!(real.iter().any(|&x| x < -0.9) && real.iter().any(|&x| x > 0.9));
    let whole = floats(Draw::Real, Numbers::Integers);
    assert!(whole.iter().all(|x| x.fract() == 0.0 && x.abs() <= 4.0));
    for numbers in [Numbers::Real, Numbers::Integers] {
        let away = floats(Draw::AwayFromZero, numbers);
        assert!(away.iter().all(|x| x.abs() >= 1.0 / 16.0));
        assert!(away.iter().any(|&x| x < 0.0) && away.iter().any(|&x| x > 0.0));
        let mut distinct = floats(Draw::Distinct, numbers);
        distinct.sort_by(f32::total_cmp);
        assert!(distinct.windows(2).all(|w| w[1] - w[0] >= 1.0 / 64.0));
    }
    assert_ne!(
        floats(Draw::Real, Numbers::Real),
        draw("draws", 1, &ty, Draw::Real, Numbers::Real)
            .unwrap()
            .as_f32()
            .unwrap()
    );
    let words = draw("draws", 0, &Type::u32([100]), Draw::Below(7), Numbers::Real).unwrap();
    assert!(words.as_u32().unwrap().iter().all(|&w| w < 7));
}

fn inputs(g: &mut Graph, case: &Case) -> Vec<Value> {
    let input = |(i, input): (usize, &Input)| input.add(g, &format!("x{i}"));
    let made: Result<_> = case.inputs.iter().enumerate().map(input).collect();
    made.unwrap()
}

/// Each input in turn comes from another graph, which has a value of that number too.
#[test]
fn every_builder_refuses_values_of_another_graph() {
    let mut wrong = BTreeSet::new();
    let mut refused = 0;
    for case in cases()
        .iter()
        .filter(|case| !case.name.ends_with("/inside"))
    {
        let mut right = Graph::new();
        let own = inputs(&mut right, case);
        (case.build)(&mut right, &own).unwrap();
        let is_read = |value: &Value| right.nodes().iter().any(|n| n.inputs.contains(value));
        for at in (0..own.len()).filter(|&at| is_read(&own[at])) {
            let (mut g, mut other) = (Graph::new(), Graph::new());
            let mut given = inputs(&mut g, case);
            given[at] = inputs(&mut other, case)[at];
            let message = match (case.build)(&mut g, &given) {
                Err(error) if error.kind() == ErrorKind::Graph => error.to_string(),
                other => format!("{other:?}"),
            };
            let words = format!(": {} is a value of another graph", given[at]);
            if message.ends_with(&words) && message.len() > words.len() {
                refused += 1;
            } else {
                wrong.insert(format!("{}: {message}", case.name));
            }
        }
    }
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused > 500, "{refused}");
}

#[test]
fn every_case_builds_and_is_named_once() {
    let cases = cases();
    let mut names: Vec<&str> = cases.iter().map(|c| c.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|w| w[0] == w[1]) {
        panic!("two cases are named {}", twice[0]);
    }
    for case in &cases {
        let built = build(case).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let integers = case.integers.then_some(Numbers::Integers);
        for numbers in std::iter::once(Numbers::Real).chain(integers) {
            built
                .draw(case, numbers)
                .unwrap_or_else(|e| panic!("{}: {e}", case.name));
        }
        built.states().unwrap();
    }
}

#[test]
fn ops_take_values_in_parts_or_say_why_not() {
    let mut wrong = Vec::new();
    // Whether any case of an op plans on values in parts.
    let mut ops: BTreeMap<String, bool> = BTreeMap::new();
    for case in cases() {
        let built = build(&case).unwrap();
        let max_binding = built.part_limit();
        let cut = built.cuts(max_binding);
        let mut planned = false;
        for body in [Body::Registers, Body::Shared] {
            let caps = Caps {
                body,
                max_binding,
                ..Caps::default()
            };
            let plan = StateLayout::new(&[&built.graph], max_binding).and_then(|states| {
                let options = PlanOptions::default();
                Plan::new(&built.graph, &states, &built.results(), &caps, options)
            });
            match (plan, case.whole) {
                (Ok(_), None) => planned |= cut,
                (Ok(_), Some(words)) => {
                    wrong.push(format!("{}: is not refused: {words}", case.name));
                }
                (Err(error), Some(words)) if error.to_string().contains(words) => {
                    assert_eq!(error.kind(), ErrorKind::Limit, "{}: {error}", case.name);
                }
                (Err(error), _) => wrong.push(format!("{}, {body:?}: {error}", case.name)),
            }
        }
        for node in built.graph.nodes() {
            *ops.entry(node.op.name().to_owned()).or_default() |= planned;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let never: Vec<&str> = ops
        .iter()
        .filter(|(_, runs)| !**runs)
        .map(|(op, _)| op.as_str())
        .collect();
    assert_eq!(never, WHOLE);
}

/// Ops without a case on values in several parts: a counter is one element, a table of scalars
/// stays small, and all pairs of boxes are compared.
const WHOLE: &[&str] = &["advance", "lookup", "nms"];

#[test]
fn ranges_without_numbers_are_refused() {
    let ty = Type::f32([64]);
    let between = |low, high, numbers| draw("op/range", 0, &ty, Draw::Between(low, high), numbers);
    for (low, high) in [
        (0.02, 0.98),
        (3.0, 1.0),
        (-4e9, 4e9),
        (0.0, f32::INFINITY),
        (f32::NAN, 1.0),
    ] {
        let error = between(low, high, Numbers::Integers).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    for (low, high) in [(3.0, 1.0), (-3e38, 3e38), (f32::NAN, 1.0)] {
        let error = between(low, high, Numbers::Real).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    between(0.02, 0.98, Numbers::Real).unwrap();
    let widest = between(-16_777_216.0, 16_777_216.0, Numbers::Integers).unwrap();
    assert!(widest.as_f32().unwrap().iter().all(|x| x.fract() == 0.0));
    let drawn = between(-1.5, 2.5, Numbers::Integers).unwrap();
    let drawn = drawn.as_f32().unwrap();
    assert!(drawn.iter().all(|x| [-1.0, 0.0, 1.0, 2.0].contains(x)));
}

/// What `find` finds in the files below `folder`.
fn found_below(folder: &Path, find: &impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(found_below(&path, find));
        } else {
            found.extend(find(&std::fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// A folder of the crate.
fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The word that `text` begins with.
fn word(text: &str) -> String {
    let letters = text.chars();
    letters
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// An op without cases, were it made of another's kernels, is found by its type.
#[test]
fn every_op_has_cases() {
    let ops = found_below(&folder("src/ops"), &|text| {
        let ops = text.lines();
        ops.filter_map(|line| line.strip_prefix("impl Op for "))
            .map(word)
            .collect()
    });
    assert!(ops.len() > 50, "{} ops in the sources", ops.len());
    let mut met = BTreeSet::new();
    for case in cases() {
        let nodes = build(&case).unwrap().graph.nodes().to_vec();
        met.extend(nodes.iter().map(|node| word(&format!("{:?}", node.op))));
    }
    let missing: Vec<&String> = ops.iter().filter(|op| !met.contains(*op)).collect();
    assert!(missing.is_empty(), "no case has {missing:?}");
}

/// Every function that puts ops into a graph has cases under its name or is called in some.
#[test]
fn every_builder_has_cases() {
    // Optimizer steps on states, which cases do not assign: tests/update.rs.
    const ELSEWHERE: [&str; 2] = ["update", "update_with"];
    let builders = found_below(&folder("src/ops"), &|text| {
        let blocks = text.split("\nimpl Graph {\n").skip(1);
        let blocks = blocks.filter_map(|rest| Some(rest.split_once("\n}\n")?.0));
        blocks
            .flat_map(str::lines)
            .filter_map(|line| line.strip_prefix("    pub fn "))
            .map(word)
            .collect()
    });
    assert!(builders.len() > 80, "{} builders", builders.len());
    let names: BTreeSet<String> = cases().iter().map(|case| case.op().to_owned()).collect();
    let texts = found_below(&folder("cases/src"), &|text| vec![text.to_owned()]);
    let texts = texts.concat();
    let missing: Vec<&String> = builders
        .iter()
        .filter(|name| !names.contains(*name) && !texts.contains(&format!("g.{name}(")))
        .filter(|name| !ELSEWHERE.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "no case calls {missing:?}");
}

/// Names of cases that are no op's but a function's that puts several into the graph, or one under
/// another name.
const COMPOSED: &[&str] = &[
    "addmm",
    "affine_grid",
    "argmax",
    "argmin",
    "auto_exposure",
    "batch_rows",
    "chunk",
    "contrastive_loss",
    "dice_loss",
    "dropout2d",
    "flatten",
    "flip",
    "ge",
    "gelu_tanh",
    "global_avg_pool1d",
    "global_avg_pool2d",
    "global_avg_pool3d",
    "global_max_pool1d",
    "global_max_pool2d",
    "global_max_pool3d",
    "gram_matrix",
    "gt",
    "kl_div",
    "linear",
    "mean",
    "neg",
    "one_hot",
    "pixel_shuffle",
    "pixel_unshuffle",
    "relu6",
    "running_statistics",
    "sigmoid_focal_loss",
    "transpose",
    "triplet_margin_loss",
    "where_",
    NETWORK,
];

/// So that the table of ops has a line for each op, and nothing else.
#[test]
fn cases_are_named_after_what_they_check() {
    let mut ops: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for case in cases() {
        let known = ops.entry(case.op().to_owned()).or_default();
        known.extend(ops_of(&case));
    }
    for (name, ops) in ops {
        let composed = COMPOSED.contains(&name.as_str());
        assert!(ops.contains(&name) != composed, "{name}: made of {ops:?}");
    }
}

/// Whether a node's op has a gradient.
fn is_differentiable(built: &Built, node: &Node) -> bool {
    let mut g = built.graph.clone();
    let mut dy = Vec::new();
    for &output in &node.outputs {
        let shape = g.shape(output).unwrap().clone();
        dy.push(g.fill(shape, 1.0).unwrap());
    }
    let found = node.op.vjp(&mut g, node, &dy);
    found.is_ok_and(|gradients| gradients.iter().any(Option::is_some))
}

/// Names of the ops through which the gradients of a case come.
fn on_the_way_back(case: &Case, built: &Built) -> BTreeSet<String> {
    let mut depends: BTreeSet<Value> = case.wrt.iter().map(|&i| built.inputs[i]).collect();
    let mut names = BTreeSet::new();
    for node in &built.graph.nodes()[..built.forward] {
        let float = |value: &&Value| built.graph.dtype(**value).unwrap() == DType::F32;
        if node.inputs.iter().any(|x| depends.contains(x)) {
            names.insert(node.op.name().to_owned());
            depends.extend(node.outputs.iter().filter(float));
        }
    }
    names
}

/// Every op that has a gradient has cases for it, one of them in the middle of a graph, where its
/// gradient arrives from a node, and one with NaN and infinities in the gradient that arrives;
/// everything that takes floats has cases with such in an operand.
#[test]
fn every_gradient_has_cases_of_all_kinds() {
    let mut differentiable: BTreeSet<String> = BTreeSet::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    let [mut plain, mut inside, mut special] = [const { BTreeSet::new() }; 3];
    let mut operands: BTreeMap<String, bool> = BTreeMap::new();
    for case in cases().iter().filter(|case| case.op() != NETWORK) {
        let built = build(case).unwrap();
        for node in &built.graph.nodes()[..built.forward] {
            // Settings of one op may lack what others have.
            if known.insert(format!("{:?}", node.op)) && is_differentiable(&built, node) {
                differentiable.insert(node.op.name().to_owned());
            }
        }
        let way = on_the_way_back(case, &built);
        plain.extend(way.iter().cloned());
        if case.name.ends_with("/inside") {
            inside.extend(way.iter().cloned());
            inside.insert(case.op().to_owned());
        }
        let [operand, dy] = case.is_special();
        if dy {
            special.extend(way);
            special.insert(case.op().to_owned());
        }
        if !case.wrt.is_empty() {
            plain.insert(case.op().to_owned());
        }
        if case.inputs.iter().any(|x| x.ty.dtype == DType::F32) {
            *operands.entry(case.op().to_owned()).or_default() |= operand;
        }
    }
    assert!(differentiable.len() > 80, "{}", differentiable.len());
    let lacks = |has: &BTreeSet<String>, wanted: &BTreeSet<String>| -> Vec<String> {
        wanted.difference(has).cloned().collect()
    };
    let without = lacks(&plain, &differentiable);
    assert!(without.is_empty(), "no gradient is compared of {without:?}");
    let without = lacks(&inside, &plain);
    assert!(without.is_empty(), "no case in a graph: {without:?}");
    let without = lacks(&special, &plain);
    assert!(without.is_empty(), "no special dy: {without:?}");
    operands.retain(|_, special| !*special);
    assert!(operands.is_empty(), "no special operand: {operands:?}");
}

/// The arrays of all values of a built case.
fn evaluated(case: &Case, built: &Built) -> HashMap<Value, Array> {
    let mut given = built.draw(case, Numbers::Real).unwrap();
    given.extend(built.states().unwrap());
    let mut found = HashMap::new();
    for (value, tensor) in given {
        found.insert(value, tensor.to_array().unwrap());
    }
    for value in built.graph.values() {
        if let Origin::Constant(tensor) = built.graph.source(value).unwrap() {
            found.insert(value, tensor.to_array().unwrap());
        }
    }
    for node in built.graph.nodes() {
        let inputs: Vec<&Array> = node.inputs.iter().map(|v| &found[v]).collect();
        let outputs = node.op.eval(&inputs);
        for (output, array) in node.outputs.iter().zip(outputs) {
            found.insert(*output, array);
        }
    }
    found
}

/// Whether all rows but the last are the same, to the bit.
fn same_but_the_last(a: &Array, b: &Array) -> bool {
    let rows = a.shape()[0] - 1;
    let (a, b) = (a.rows(0, rows), b.rows(0, rows));
    match a.ty().dtype {
        DType::U32 => a.u32s() == b.u32s(),
        DType::U8 => a.u8s() == b.u8s(),
        _ => {
            let mut pairs = a.floats().iter().zip(b.floats());
            pairs.all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
        }
    }
}

/// What training with filler relies on: an op that says that it keeps rows apart does, in every
/// case. And no op says the opposite without need.
#[test]
fn ops_say_whether_they_mix_rows() {
    // Gradients of ops that mix rows themselves, counts of valid rows, and operands that are no
    // batch: what they would do with one has not been asked.
    const UNASKED: [&str; 22] = [
        "advance 0",
        "amax_grad 0",
        "count_correct 0",
        "count_correct 1",
        "count_correct 3",
        "cross_entropy_grad 0",
        "cross_entropy_grad 1",
        "gather_labels 1",
        "gather_rows 1",
        "log_softmax_grad 0",
        "matmul 2",
        "mean_difference 1",
        "nll_loss_grad 0",
        "nll_loss_grad 1",
        "running_statistic 0",
        "running_statistic 1",
        "statistic_pairs 0",
        "statistic_pairs 1",
        "std 1",
        "ties 1",
        "var 1",
        "var_grad 0",
    ];
    let mut wrong = Vec::new();
    // Whether each op was seen to mix an input of which it says so.
    let mut needed: BTreeMap<(String, usize), bool> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for case in cases() {
        let built = build(&case).unwrap();
        if case.is_long() || built.bytes() > 1 << 20 {
            continue;
        }
        let found = evaluated(&case, &built);
        for node in built.graph.nodes().iter().filter(|node| !node.op.view()) {
            let inputs: Vec<&Array> = node.inputs.iter().map(|v| &found[v]).collect();
            let types: Vec<&Type> = inputs.iter().map(|x| x.ty()).collect();
            let outputs: Vec<&Array> = node.outputs.iter().map(|v| &found[v]).collect();
            for (at, x) in inputs.iter().enumerate() {
                let rows = x.shape().first().copied().unwrap_or(1);
                let stays = |y: &&Array| y.shape().first() == Some(&rows);
                if rows < 2 || !outputs.iter().all(stays) {
                    continue;
                }
                let other = Array::concat(&[x.rows(0, rows - 1), x.rows(0, 1)]).unwrap();
                let mut changed = inputs.clone();
                changed[at] = &other;
                let made = node.op.eval(&changed);
                let mut pairs = outputs.iter().zip(&made);
                let apart = pairs.all(|(a, b)| same_but_the_last(a, b));
                let cut = matches!(node.op.split(), EvalSplit::Rows(cut) if cut.contains(&at));
                let says = !cut && node.op.mixes_rows_of(at, &types);
                let name = node.op.name();
                seen.insert(name);
                if !apart && !says {
                    wrong.push(format!(
                        "{}: {name} mixes the rows of input {at}",
                        case.name
                    ));
                }
                if says {
                    *needed.entry((name.to_owned(), at)).or_default() |= !apart;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() > 60, "{seen:?}");
    let idle = needed.iter().filter(|(_, mixes)| !**mixes);
    let idle: Vec<String> = idle
        .map(|((op, at), _)| format!("{op} {at}"))
        .filter(|name| !UNASKED.contains(&name.as_str()))
        .collect();
    assert!(idle.is_empty(), "never seen to mix rows: {idle:?}");
}
