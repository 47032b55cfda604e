//! The comparer rejects what is wrong: a harness that cannot fail proves nothing.

mod common;

use std::collections::BTreeMap;

use common::cases::cases;
use striate::check::{Bound, Draw, Numbers, build, compare, draw};
use striate::error::{ErrorKind, Result};
use striate::kernel::{Body, Caps};
use striate::plan::{Plan, PlanOptions, StateLayout};
use striate::shape::Type;
use striate::tensor::{Array, Tensor};

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
        let runs = ops.entry(case.op().to_owned()).or_default();
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
                (Ok(_), None) => *runs |= cut,
                (Ok(_), Some(words)) => {
                    wrong.push(format!("{}: is not refused: {words}", case.name));
                }
                (Err(error), Some(words)) if error.to_string().contains(words) => {
                    assert_eq!(error.kind(), ErrorKind::Limit, "{}: {error}", case.name);
                }
                (Err(error), _) => wrong.push(format!("{}, {body:?}: {error}", case.name)),
            }
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

/// Ops without a case on values in several parts.
const WHOLE: &[&str] = &[];

#[test]
fn the_table_of_ops_is_current() {
    let path = common::table::path();
    let text = std::fs::read_to_string(&path).unwrap();
    let renewed = common::table::renewed(&text).expect("the lines around the table");
    assert!(
        text == renewed,
        "docs/ops.md is stale: cargo run --release --example verify -- --docs"
    );
}

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
