//! The reference against itself, without a GPU: gradients against central differences, adjoints,
//! exactness of integers.

use std::sync::Arc;

use striate::autodiff::{gradients, gradients_from};
use striate::check::{
    Bound, Built, Case, Given, Numbers, adjoint, arrays, build, derivatives, real,
};
use striate::error::ErrorKind;
use striate::graph::{Graph, Node, Op, Value};
use striate::kernel::{Caps, Io, Lowering};
use striate::ops::{Conv2d, ConvForward};
use striate::reference::evaluate;
use striate::shape::{DType, Type};
use striate::tensor::{Array, Tensor};
use striate_cases::cases;

fn given(case: &Case, built: &Built, numbers: Numbers) -> Given {
    let drawn = built.draw(case, numbers).unwrap();
    let states = built.states().unwrap();
    arrays(&[drawn, states].concat()).unwrap()
}

fn run(built: &Built, given: &Given, wanted: &[Value]) -> Vec<Arc<Array>> {
    evaluate(&built.graph, given, wanted, 1).unwrap()
}

#[test]
fn gradients_match_central_differences() {
    // Differences of sums of millions of terms lose the digits that they are about; a rule of a
    // long case is that of the short ones.
    let differentiable =
        |case: &&Case| !case.wrt.is_empty() && case.is_special() == [false; 2] && !case.is_long();
    let compared = cases()
        .iter()
        .filter(differentiable)
        .map(|case| derivatives(case).unwrap_or_else(|error| panic!("{error}")))
        .sum::<usize>();
    println!("{compared} derivatives compared");
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
        let squares = inputs[0].floats().iter().map(|x| x * x).collect();
        vec![Array::float(inputs[0].shape().clone(), squares)]
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
        g.apply(WrongSquare, x)
    });
    let error = derivatives(&case.gradients(&[0], Bound::Exact)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert!(error.to_string().contains("by differences"), "{error}");
}

#[test]
fn linear_ops_have_adjoint_gradients() {
    let mut compared = 0;
    for case in cases().iter().filter(|case| case.linear) {
        assert!(!case.wrt.is_empty(), "{}: linear in nothing", case.name);
        compared += adjoint(case).unwrap_or_else(|error| panic!("{error}"));
    }
    println!("{compared} adjoints compared");
}

/// What makes the bit-for-bit comparison on integers fair: every float stays an exact `f32` in any
/// order of summation.
#[test]
fn integer_runs_stay_below_2_24() {
    for case in cases().iter().filter(|case| case.integers) {
        let built = build(case).unwrap();
        let given = built.absolute(case, &given(case, &built, Numbers::Integers));
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

/// Splitting over threads changes the order of sums only where an op says so, and never the result
/// of the others.
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
    let grad = striate_cases::conv::grad_input(conv, [3, 3]);
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

/// Values of 2^31 elements or more, which no `u32` index reaches, are refused where they are made.
#[test]
fn values_past_32_bit_indices_are_refused() {
    type Build = fn(&mut Graph) -> striate::error::Result<Value>;
    fn input(g: &mut Graph, shape: &[usize]) -> striate::error::Result<Value> {
        let name = format!("x{}", g.value_count());
        g.input(&name, Type::f32(shape))
    }
    let builds: [(&str, Build); 8] = [
        ("f32 [65536, 32768]", |g| input(g, &[1 << 16, 1 << 15])),
        ("f32 [18446744073709551615, 3]", |g| {
            input(g, &[usize::MAX, 3])
        }),
        ("fill", |g| g.fill([1 << 16, 1 << 15], 1.0)),
        ("matmul", |g| {
            let (a, b) = (input(g, &[1 << 16, 1])?, input(g, &[1 << 15, 1])?);
            g.matmul(a, b, false, true)
        }),
        ("linear: matmul", |g| {
            let (x, weight) = (input(g, &[1 << 12, 16, 1])?, input(g, &[1 << 15, 1])?);
            g.linear(x, weight, None)
        }),
        ("expand", |g| {
            let x = input(g, &[1 << 15, 1])?;
            g.expand(x, [1 << 15, 1 << 16])
        }),
        ("add", |g| {
            let (a, b) = (input(g, &[1 << 16, 1])?, input(g, &[1 << 15])?);
            g.add(a, b)
        }),
        ("conv2d", |g| {
            let (x, weight) = (
                input(g, &[1 << 10, 1, 1 << 6, 1 << 6])?,
                input(g, &[1 << 9, 1, 1, 1])?,
            );
            g.conv2d(x, weight, None, Conv2d::default())
        }),
    ];
    for (told, build) in builds {
        let error = build(&mut Graph::new()).expect_err(told);
        assert_eq!(error.kind(), ErrorKind::Shape, "{error}");
        let message = error.to_string();
        assert!(message.starts_with(told), "{message}");
        assert!(message.contains("2^31 elements"), "{message}");
    }
}

/// How `same` padding is split between the two sides.
mod same_padding {
    use std::collections::HashMap;
    use std::sync::Arc;

    use striate::graph::Graph;
    use striate::ops::{Conv, Conv1d};
    use striate::reference::evaluate;
    use striate::shape::Type;
    use striate::tensor::Array;

    /// [1, 2, 3, 4] under [1, 10, 100].
    fn under(conv: Conv1d) -> Vec<f64> {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([1, 1, 4])).unwrap();
        let weight = g.input("weight", Type::f32([1, 1, 3])).unwrap();
        let y = g.conv1d(x, weight, None, conv).unwrap();
        let given = HashMap::from([
            (
                x,
                Arc::new(Array::float([1, 1, 4], vec![1.0, 2.0, 3.0, 4.0])),
            ),
            (
                weight,
                Arc::new(Array::float([1, 1, 3], vec![1.0, 10.0, 100.0])),
            ),
        ]);
        evaluate(&g, &given, &[y], 1).unwrap()[0].floats().to_vec()
    }

    #[test]
    fn same_padding_is_split_as_pytorch_and_as_onnx_do() {
        let by = |stride| Conv1d {
            stride: [stride],
            ..Conv::default()
        };
        assert_eq!(under(by(1).same([3])), [210.0, 321.0, 432.0, 43.0]);
        assert_eq!(
            under(by(1).same_upper([4], [3])),
            [210.0, 321.0, 432.0, 43.0]
        );
        assert_eq!(under(by(2).same([3])), [210.0, 432.0]);
        assert_eq!(under(by(2).same_upper([4], [3])), [321.0, 43.0]);
        // A stride beyond the window leaves elements out and needs no padding.
        assert_eq!(by(3).same_upper([4], [1]).padding, [[0, 0]]);
        let dilated = Conv1d {
            dilation: [2],
            ..by(2)
        };
        assert_eq!(dilated.same_upper([5], [3]).padding, [[2, 2]]);
        by(0).same_upper([0], [0]);
        by(usize::MAX).same_upper([usize::MAX], [usize::MAX]);
    }
}
