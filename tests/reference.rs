//! The reference against itself, without a GPU: gradients against central differences, adjoints, exactness of integers.

mod common;

use std::collections::HashMap;
use std::sync::Arc;

use common::cases::{Bound, Case, Draw, cases, real};
use common::draw::{Built, Numbers, absolute, arrays, build, map_floats};
use striate::autodiff::{gradients, gradients_from};
use striate::error::ErrorKind;
use striate::graph::{Graph, Node, Op, Value};
use striate::kernel::{Caps, Io, Lowering};
use striate::ops::{Conv2d, ConvForward};
use striate::reference::evaluate;
use striate::rng::{Stream, stream_of};
use striate::shape::{DType, Type};
use striate::tensor::{Array, Tensor};

/// PyTorch's gradcheck: step, absolute and relative tolerance, all in `f64`.
const EPS: f64 = 1e-6;
const ATOL: f64 = 1e-5;
const RTOL: f64 = 1e-3;

/// Elements of an input that are perturbed if it has more.
const SUBSET: usize = 24;

type Given = HashMap<Value, Arc<Array>>;

fn given(case: &Case, built: &Built, numbers: Numbers) -> Given {
    let drawn = built.draw(case, numbers).unwrap();
    let states = built.states().unwrap();
    arrays(&[drawn, states].concat()).unwrap()
}

fn run(built: &Built, given: &Given, wanted: &[Value]) -> Vec<Arc<Array>> {
    evaluate(&built.graph, given, wanted, 1).unwrap()
}

fn dot(a: &Array, b: &Array) -> f64 {
    let products = a.floats().iter().zip(b.floats()).map(|(a, b)| a * b);
    products.sum()
}

/// The outputs projected on the given gradients of the outputs.
fn projection(built: &Built, given: &Given) -> f64 {
    let (outputs, dy): (Vec<Value>, Vec<Value>) = built.seeds.iter().copied().unzip();
    let outputs = run(built, given, &outputs);
    let parts = outputs.iter().zip(dy).map(|(y, dy)| dot(y, &given[&dy]));
    parts.sum()
}

/// Up to [`SUBSET`] different elements of `count`, or all if they are few.
fn elements(name: &str, count: usize) -> Vec<usize> {
    let stream = Stream::new(1, stream_of(name), 0);
    let mut order: Vec<usize> = (0..count).collect();
    if count > 2 * SUBSET {
        order.sort_by_key(|&i| stream.word(i as u64));
        order.truncate(SUBSET);
    }
    order
}

/// Holds the case's gradients against central differences; the number of derivatives looked at.
fn check_gradients(case: &Case) -> Result<usize, String> {
    let built = build(case).map_err(|e| e.to_string())?;
    let mut given = given(case, &built, Numbers::Real);
    let gradients = run(&built, &given, &built.gradients);
    let mut checked = 0;
    for (&input, gradient) in case.wrt.iter().zip(gradients) {
        let value = built.inputs[input];
        let at = given[&value].clone();
        if gradient.ty() != at.ty() {
            return Err(format!(
                "gradient of input {input} is {}, the input {}",
                gradient.ty(),
                at.ty()
            ));
        }
        let mut perturbed = |i: usize, step: f64| {
            let mut x = at.floats().to_vec();
            x[i] += step;
            given.insert(value, Arc::new(Array::float(at.shape().clone(), x)));
            projection(&built, &given)
        };
        for i in elements(&case.name, at.ty().count()) {
            let numeric = (perturbed(i, EPS) - perturbed(i, -EPS)) / (2.0 * EPS);
            let analytic = gradient.floats()[i];
            let near = (numeric - analytic).abs() <= ATOL + RTOL * numeric.abs();
            if !near {
                return Err(format!(
                    "gradient of input {input}, element {i}: {analytic} by the graph, {numeric} by differences"
                ));
            }
            checked += 1;
        }
        given.insert(value, at);
    }
    Ok(checked)
}

#[test]
fn gradients_match_central_differences() {
    let mut checked = 0;
    let special = |case: &Case| case.inputs.iter().any(|input| input.draw == Draw::Special);
    let differentiable = |case: &&Case| !case.wrt.is_empty() && !special(case);
    for case in cases().iter().filter(differentiable) {
        match check_gradients(case) {
            Ok(count) => checked += count,
            Err(message) => panic!("{}: {message}", case.name),
        }
    }
    println!("{checked} derivatives checked");
}

/// x^2 whose gradient rule forgets the 2.
#[derive(Debug)]
struct WrongSquare;

impl Op for WrongSquare {
    fn name(&self) -> &'static str {
        "wrong_square"
    }

    fn infer(&self, inputs: &[&Type]) -> striate::error::Result<Vec<Type>> {
        Ok(vec![inputs[0].clone()])
    }

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![map_floats(inputs[0], |x| x * x)]
    }

    fn vjp(
        &self,
        g: &mut Graph,
        at: &Node,
        dy: &[Value],
    ) -> striate::error::Result<Vec<Option<Value>>> {
        Ok(vec![Some(g.mul(at.inputs[0], dy[0])?)])
    }

    fn lower(&self, _: &Io, _: &Caps, _: &mut Lowering) -> striate::error::Result<()> {
        Ok(())
    }
}

#[test]
fn a_wrong_gradient_is_found() {
    let case = Case::new("wrong_square", vec![real([5])], |g, x| {
        g.add(WrongSquare, x)
    });
    let message = check_gradients(&case.gradients(&[0], Bound::Exact)).unwrap_err();
    assert!(message.contains("by differences"), "{message}");
}

#[test]
fn linear_ops_have_adjoint_gradients() {
    let mut checked = 0;
    for case in cases().iter().filter(|case| case.linear) {
        assert!(!case.wrt.is_empty(), "{}: linear in nothing", case.name);
        let built = build(case).unwrap();
        let given = given(case, &built, Numbers::Real);
        let forward = projection(&built, &given);
        let size = projection(&built, &absolute(&given)).abs();
        let gradients = run(&built, &given, &built.gradients);
        for (&input, gradient) in case.wrt.iter().zip(gradients) {
            let backward = dot(&given[&built.inputs[input]], &gradient);
            assert!(
                (forward - backward).abs() <= 1e-10 * size,
                "{}: <f(x), dy> is {forward}, <x, f^T(dy)> for input {input} is {backward}",
                case.name
            );
            checked += 1;
        }
    }
    println!("{checked} adjoints checked");
}

/// What makes the bit-for-bit comparison on integers fair: every float stays an exact `f32` in any order of summation.
#[test]
fn integer_runs_stay_below_2_24() {
    for case in cases().iter().filter(|case| case.integers) {
        let built = build(case).unwrap();
        let given = absolute(&given(case, &built, Numbers::Integers));
        let values: Vec<Value> = built.graph.values().collect();
        for (value, array) in values.iter().zip(run(&built, &given, &values)) {
            if array.ty().dtype == DType::F32 {
                // NaN and infinities, where a case has them, are exact.
                let finite = array.floats().iter().filter(|x| x.is_finite());
                let largest = finite.fold(0.0, |a: f64, x| a.max(x.abs()));
                assert!(
                    largest < 16_777_216.0,
                    "{}: {value} reaches {largest} on integers",
                    case.name
                );
            }
        }
    }
}

/// Splitting over threads changes the order of sums only where an op says so, and never the result of the others.
#[test]
fn threads_do_not_change_results() {
    for case in cases() {
        let built = build(&case).unwrap();
        let given = given(&case, &built, Numbers::Real);
        let results = built.results();
        let one = run(&built, &given, &results);
        let split = evaluate(&built.graph, &given, &results, 3).unwrap();
        for (one, split) in one.iter().zip(split) {
            assert_eq!(one.ty(), split.ty(), "{}", case.name);
            if one.ty().dtype == DType::F32 {
                let finite = one.floats().iter().filter(|x| x.is_finite());
                let largest = finite.fold(1.0, |a: f64, x| a.max(x.abs()));
                for (a, b) in one.floats().iter().zip(split.floats()) {
                    let same = a == b || (a.is_nan() && b.is_nan());
                    assert!(same || (a - b).abs() <= 1e-12 * largest, "{}", case.name);
                }
            } else {
                assert_eq!(*one, split, "{}", case.name);
            }
        }
    }
}

/// `f32 [4]` inputs `x` and `dy`, and arrays for them.
fn small() -> (Graph, Value, Value, Given) {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([4])).unwrap();
    let dy = g.input("dy", Type::f32([4])).unwrap();
    let tensors = [
        (x, Tensor::f32([4], vec![1.0, -2.0, 3.0, 5.0]).unwrap()),
        (dy, Tensor::f32([4], vec![10.0, 20.0, 30.0, -40.0]).unwrap()),
    ];
    (g, x, dy, arrays(&tensors).unwrap())
}

fn floats(g: &Graph, given: &Given, value: Value) -> Vec<f64> {
    evaluate(g, given, &[value], 1).unwrap()[0]
        .floats()
        .to_vec()
}

#[test]
fn a_gradient_that_arrives_in_the_middle_is_used() {
    let (mut g, x, dy, given) = small();
    let middle = g.scale(x, 3.0).unwrap();
    let y = g.relu(middle).unwrap();
    let dx = gradients_from(&mut g, &[(y, dy)], &[x]).unwrap()[0].unwrap();
    assert_eq!(floats(&g, &given, dx), [30.0, 0.0, 90.0, -120.0]);
}

#[test]
fn seeds_on_one_path_add_up() {
    let (mut g, x, dy, given) = small();
    let middle = g.scale(x, 3.0).unwrap();
    let y = g.mul(middle, middle).unwrap();
    let seeds = [(y, dy), (middle, dy), (x, dy)];
    let dx = gradients_from(&mut g, &seeds, &[x]).unwrap()[0].unwrap();
    // d(9 x^2) = 18 x, d(3 x) = 3, and dy itself.
    let expected = [1.0, -2.0, 3.0, 5.0].map(|x| 18.0 * x + 4.0);
    let expected = expected.iter().zip([10.0, 20.0, 30.0, -40.0]);
    let expected: Vec<f64> = expected.map(|(f, dy)| f * dy).collect();
    assert_eq!(floats(&g, &given, dx), expected);
}

#[test]
fn a_value_between_input_and_loss_has_a_gradient() {
    let (mut g, x, dy, given) = small();
    let middle = g.scale(x, 3.0).unwrap();
    let y = g.mul(middle, dy).unwrap();
    let loss = g.sum(y, &[0], false).unwrap();
    let found = gradients(&mut g, loss, &[middle, x]).unwrap();
    assert_eq!(floats(&g, &given, found[0]), [10.0, 20.0, 30.0, -40.0]);
    assert_eq!(floats(&g, &given, found[1]), [30.0, 60.0, 90.0, -120.0]);
}

#[test]
fn what_has_no_path_has_no_gradient() {
    let (mut g, x, dy, _) = small();
    let y = g.scale(x, 3.0).unwrap();
    let found = gradients_from(&mut g, &[(y, dy)], &[dy, x]).unwrap();
    assert!(found[0].is_none() && found[1].is_some());
    let loss = g.sum(y, &[0], false).unwrap();
    let kind = gradients(&mut g, loss, &[dy]).unwrap_err().kind();
    assert_eq!(kind, striate::error::ErrorKind::NotDifferentiable);
    let kind = gradients(&mut g, y, &[x]).unwrap_err().kind();
    assert_eq!(kind, striate::error::ErrorKind::NotDifferentiable);
}

/// Every op of every case, gradients included, refuses one operand fewer and one more.
#[test]
fn wrong_operand_counts_are_refused() {
    for case in cases() {
        let Built { graph, .. } = build(&case).unwrap();
        for node in graph.nodes() {
            let types = node.inputs.iter().map(|&x| graph.ty(x).unwrap());
            let types: Vec<&Type> = types.collect();
            let extra = Type::f32([1]);
            let more = [&types[..], &[types.last().copied().unwrap_or(&extra)]].concat();
            let fewer = types.split_last().map(|(_, fewer)| fewer.to_vec());
            for types in [Some(more), fewer].into_iter().flatten() {
                let error = node.op.infer(&types).expect_err(node.op.name());
                let at = format!("{}: {:?}: {error}", case.name, node.op);
                assert_eq!(error.kind(), ErrorKind::Shape, "{at}");
                let told = format!("{}: {} inputs", node.op.name(), types.len());
                assert!(error.to_string().contains(&told), "{at}");
            }
        }
    }
}

/// Numbers of groups that overflow any product are refused.
#[test]
fn too_many_groups_are_refused() {
    let conv = Conv2d {
        groups: usize::MAX,
        ..Conv2d::default()
    };
    let forward = ConvForward {
        conv: conv.into(),
        bias: false,
        relu: false,
    };
    let grad = common::cases::conv::grad_input(conv, [3, 3]);
    let (x, weight) = (Type::f32([1, 0, 3, 3]), Type::f32([0, 2, 3, 3]));
    let dy = Type::f32([1, 4, 1, 1]);
    let expects = format!("expects {} input channels", usize::MAX);
    for (op, inputs, told) in [
        (&forward as &dyn Op, [&x, &weight], &expects[..]),
        (&grad as &dyn Op, [&dy, &weight], "too many input channels"),
    ] {
        let error = op.infer(&inputs).expect_err(op.name());
        assert_eq!(error.kind(), ErrorKind::Shape, "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }
}
