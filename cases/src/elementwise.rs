//! Element by element: functions of one value, of two with broadcasting, fill.
//!
//! Bounds in units in the last place (ULP) by WGSL's accuracy section: +, -, * 1, / 2.5, exp 3 +
//! 2|x|, sqrt 4.5, inverseSqrt 2. A relative error of n ULP of an operand can be 2n ULP of a
//! result, since the mantissa may be at the other end of its binade.

use striate::check::{Bound, Case, Draw, Input, drawn, real};
use striate::ops::BinaryFunction;
use striate::ops::UnaryFunction::{self, *};
use striate::shape::Shape;

pub fn elementwise() -> Vec<Case> {
    let mut cases = unary();
    cases.extend(binary());
    cases.push(
        Case::new("neg/[59]", vec![real([59])], |g, x| Ok(vec![g.neg(x[0])?]))
            .gradients(&[0], Bound::Exact)
            .linear(),
    );
    // Integers become halves: the even neighbour of each.
    for (name, function) in [("floor", Floor), ("ceil", Ceil), ("round", Round)] {
        let halves = vec![drawn([67], Draw::Between(-9.0, 9.0))];
        cases.push(Case::new(format!("{name}/halves"), halves, move |g, x| {
            let half = g.scale(x[0], 0.5)?;
            Ok(vec![g.unary(half, function)?])
        }));
    }
    for shape in [Shape::from([]), [3, 7].into(), [0].into()] {
        cases.push(Case::new(format!("fill/{shape}"), vec![], move |g, _| {
            Ok(vec![g.fill(shape.clone(), 0.1)?])
        }));
    }
    cases
}

/// A unary function with what its cases are: name, whether integers give exact bits, where its
/// input is drawn and avoids kinks, bounds of the output and the gradient.
struct Function {
    name: &'static str,
    function: UnaryFunction,
    exact: bool,
    draw: Draw,
    bound: Bound,
    gradient: Bound,
}

fn functions() -> Vec<Function> {
    let exact = |name, function, draw, bound| Function {
        name,
        function,
        exact: true,
        draw,
        bound,
        gradient: bound,
    };
    let smooth = |name, function, draw, bound, gradient| Function {
        name,
        function,
        exact: false,
        draw,
        bound,
        gradient,
    };
    let ulp = Bound::Ulp;
    // Relative to the largest gradient, in units of 2^-24: for sums that cancel.
    let norm = |n: f64| Bound::Norm(n * 2f64.powi(-24));
    // exp of at most -8, and what an exponential that is off by this makes of a quotient.
    let exp = |x: f64| 2.0 * (3.0 + 2.0 * x);
    let eight = Draw::Between(-8.0, 8.0);
    let away = Draw::AwayFromZero;
    vec![
        exact("relu", Relu, away, Bound::Exact),
        exact(
            "relu6",
            UnaryFunction::RELU6,
            Draw::Between(-3.0, 9.0),
            Bound::Exact,
        ),
        exact(
            "hardtanh",
            Hardtanh {
                min: -0.5,
                max: 0.25,
            },
            away,
            Bound::Exact,
        ),
        exact(
            "clamp",
            Clamp {
                min: -2.5,
                max: 0.3,
            },
            Draw::Between(-4.0, 4.0),
            Bound::Exact,
        ),
        exact(
            "clamp/reversed",
            Clamp {
                min: 1.0,
                max: -1.0,
            },
            away,
            Bound::Exact,
        ),
        exact(
            "leaky_relu",
            LeakyRelu {
                negative_slope: 0.25,
            },
            away,
            Bound::Exact,
        ),
        exact("leaky_relu/0.01", UnaryFunction::LEAKY_RELU, away, ulp(1.0)),
        exact(
            "leaky_relu/-2",
            LeakyRelu {
                negative_slope: -2.0,
            },
            away,
            Bound::Exact,
        ),
        exact("abs", Abs, away, Bound::Exact),
        exact("sign", Sign, away, Bound::Exact),
        exact("square", Square, Draw::Real, ulp(2.0)),
        exact("scale", Scale(3.0), Draw::Real, ulp(1.0)),
        // expm1: 9 ULP where it subtracts, the product 1; the gradient an exponential and two
        // products.
        smooth(
            "elu",
            UnaryFunction::ELU,
            eight,
            ulp(20.0),
            ulp(exp(8.0) + 4.0),
        ),
        smooth(
            "elu/0.3",
            Elu { alpha: 0.3 },
            eight,
            ulp(20.0),
            ulp(exp(8.0) + 4.0),
        ),
        smooth(
            "elu/-1.5",
            Elu { alpha: -1.5 },
            eight,
            ulp(20.0),
            ulp(exp(8.0) + 4.0),
        ),
        smooth("selu", Selu, eight, ulp(22.0), ulp(exp(8.0) + 6.0)),
        // The argument 2x is off by 1 ULP, which is 2 * 16 of its exponential.
        smooth(
            "celu",
            Celu { alpha: 0.5 },
            Draw::Between(-4.0, 4.0),
            ulp(22.0),
            ulp(exp(8.0) + 4.0),
        ),
        smooth(
            "celu/2.7",
            Celu { alpha: 2.7 },
            eight,
            ulp(24.0),
            ulp(exp(8.0) + 12.0),
        ),
        // The exponential is that of at most -8 = -4^2 / 2, off by 1 ULP of 8 as well; the
        // polynomial 5, the quotient 2 * 2.5.
        smooth(
            "gelu",
            Gelu,
            Draw::Between(-4.0, 4.0),
            ulp(exp(8.0) + 32.0),
            norm(40.0),
        ),
        // The argument of the sigmoid is at most 11 in magnitude and off by 3 ULP of that.
        smooth(
            "gelu_tanh",
            GeluTanh,
            Draw::Between(-4.0, 4.0),
            ulp(exp(11.0) + 76.0),
            norm(60.0),
        ),
        smooth("silu", Silu, eight, ulp(exp(8.0) + 8.0), norm(40.0)),
        smooth("mish", Mish, eight, ulp(exp(8.0) + 16.0), norm(40.0)),
        // The gradients of sigmoid and tanh are made of y, whose error, 26 ULP at most, is up to 2
        // * 26 u of the gradient, relative to a largest one of 1/8 at least; far out, y has lost
        // it.
        smooth(
            "sigmoid",
            Sigmoid,
            Draw::Between(-3.0, 3.0),
            ulp(exp(3.0) + 8.0),
            norm(416.0),
        ),
        smooth(
            "sigmoid/far",
            Sigmoid,
            Draw::Between(-80.0, 80.0),
            ulp(exp(80.0) + 8.0),
            norm(16.0),
        ),
        // expm1 9 ULP, twice that in the quotient.
        smooth(
            "tanh",
            Tanh,
            Draw::Between(-2.0, 2.0),
            ulp(26.0),
            norm(416.0),
        ),
        smooth(
            "tanh/near",
            Tanh,
            Draw::Between(-0.01, 0.01),
            ulp(14.0),
            norm(16.0),
        ),
        smooth(
            "tanh/far",
            Tanh,
            Draw::Between(-80.0, 80.0),
            ulp(26.0),
            norm(40.0),
        ),
        smooth(
            "softplus",
            UnaryFunction::SOFTPLUS,
            eight,
            ulp(exp(8.0) + 14.0),
            ulp(exp(8.0) + 8.0),
        ),
        smooth(
            "softplus/steep",
            Softplus {
                beta: 4.0,
                threshold: 5.0,
            },
            Draw::Between(-2.0, 1.2),
            ulp(exp(8.0) + 18.0),
            ulp(exp(8.0) + 10.0),
        ),
        smooth(
            "softplus/linear",
            Softplus {
                beta: 1.0,
                threshold: -0.5,
            },
            Draw::Between(0.0, 30.0),
            ulp(0.0),
            ulp(0.0),
        ),
        smooth("softsign", Softsign, eight, ulp(6.0), ulp(14.0)),
        smooth(
            "hardsigmoid",
            Hardsigmoid,
            Draw::Between(-2.9, 2.9),
            ulp(4.0),
            ulp(3.0),
        ),
        smooth(
            "hardsigmoid/outside",
            Hardsigmoid,
            Draw::Between(3.1, 9.0),
            ulp(1.0),
            Bound::Exact,
        ),
        smooth(
            "hardswish",
            Hardswish,
            Draw::Between(-2.9, 2.9),
            ulp(6.0),
            norm(8.0),
        ),
        smooth(
            "hardswish/outside",
            Hardswish,
            Draw::Between(-9.0, -3.1),
            Bound::Exact,
            Bound::Exact,
        ),
        smooth("exp", Exp, eight, ulp(3.0 + 16.0), ulp(exp(8.0) + 1.0)),
        smooth("log", Log, Draw::Between(0.01, 8.0), ulp(6.0), ulp(3.0)),
        smooth(
            "log/near 1",
            Log,
            Draw::Between(0.9, 1.1),
            ulp(6.0),
            ulp(3.0),
        ),
        exact("floor", Floor, Draw::Between(-4.0, 4.0), Bound::Exact),
        exact("ceil", Ceil, Draw::Between(-4.0, 4.0), Bound::Exact),
        exact("round", Round, Draw::Between(-4.0, 4.0), Bound::Exact),
        // Absolute: the rest is off by 2 u of 1/2, the polynomials by 2 u, their largest value is
        // at least 1/2. Gradients are products of dy, whose largest one may meet a small slope.
        smooth("sin", Sin, eight, norm(8.0), norm(24.0)),
        smooth("cos", Cos, eight, norm(8.0), norm(24.0)),
        smooth(
            "sin/far",
            Sin,
            Draw::Between(-3e4, 3e4),
            norm(8.0),
            norm(24.0),
        ),
        smooth(
            "cos/far",
            Cos,
            Draw::Between(-1e38, 2e38),
            norm(8.0),
            norm(24.0),
        ),
        // Below 1/2 four products; above, erfc is at most 1/2 and off by 3 + 2 / 4 + 8 ULP of that.
        smooth(
            "erf",
            Erf,
            Draw::Between(-2.5, 2.5),
            ulp(16.0),
            ulp(exp(6.25) + 2.0 * 6.25 + 8.0),
        ),
        smooth(
            "erf/near",
            Erf,
            Draw::Between(-0.6, 0.6),
            ulp(16.0),
            ulp(24.0),
        ),
        smooth("sqrt", Sqrt, Draw::Between(0.1, 9.0), ulp(5.0), ulp(13.0)),
        // y is off by n ULP, which may be 2n of a result: three times in y^3 and three products,
        // twice in y^2 and two.
        smooth(
            "rsqrt",
            Rsqrt,
            Draw::Between(0.1, 9.0),
            ulp(2.0),
            ulp(3.0 * 4.0 + 6.0),
        ),
        smooth(
            "reciprocal",
            Reciprocal,
            Draw::Between(0.1, 9.0),
            ulp(2.5),
            ulp(2.0 * 5.0 + 4.0),
        ),
        // log to 2 ULP, bounded by 6, of at most 1.4, times p.
        smooth(
            "pow/3",
            Pow(3.0),
            Draw::Between(-4.0, 4.0),
            ulp(exp(4.2) + 64.0),
            // Three products.
            ulp(6.0),
        ),
        smooth(
            "pow/-2",
            Pow(-2.0),
            Draw::Between(0.25, 4.0),
            ulp(exp(2.8) + 34.0),
            // Two products in the cube, a quotient, two more products.
            ulp(4.0 + 5.0 + 4.0),
        ),
        smooth(
            "pow/1.7",
            Pow(1.7),
            Draw::Between(0.25, 4.0),
            ulp(exp(2.4) + 34.0),
            ulp(exp(1.0) + 22.0),
        ),
        smooth(
            "pow/0",
            Pow(0.0),
            Draw::Between(0.25, 4.0),
            Bound::Exact,
            Bound::Exact,
        ),
        smooth(
            "pow/0 of 0",
            Pow(0.0),
            Draw::Between(0.0, 0.0),
            Bound::Exact,
            Bound::Exact,
        ),
    ]
}

fn unary() -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, f) in functions().into_iter().enumerate() {
        let case = |kind: &str, input: Input| {
            let function = f.function;
            let case = Case::new(format!("{}/{kind}", f.name), vec![input], move |g, x| {
                Ok(vec![g.unary(x[0], function)?])
            })
            .bound(f.bound);
            match f.exact {
                true => case,
                false => case.inexact(),
            }
        };
        // One quad, one that is not full, nothing, and one in several workgroups or parts.
        let mut shapes: Vec<Shape> = vec![[7].into()];
        match number {
            0 | 10 => shapes.extend([[1].into(), [2, 3, 5, 4].into(), [257].into(), [0, 3].into()]),
            number if number % 5 == 1 => shapes.push([13, 3, 7].into()),
            _ => shapes.push([5, 3, 7].into()),
        }
        for shape in shapes {
            let made = case(&shape.to_string(), drawn(shape, f.draw));
            cases.push(match (f.name.ends_with("/far"), f.function) {
                (true, _) => made,
                (false, Scale(_)) => made.gradients(&[0], f.gradient).linear(),
                (false, _) => made.gradients(&[0], f.gradient),
            });
        }
        // The bounds of these hold where they are drawn only.
        let narrow = ["/far", "/near", "/outside", "/linear"];
        if !narrow.iter().any(|end| f.name.ends_with(end)) {
            let special = case("special", drawn([59], Draw::Special));
            cases.push(special.gradients(&[0], f.gradient));
        }
    }
    cases
}

fn binary() -> Vec<Case> {
    use BinaryFunction::*;
    let mut cases = Vec::new();
    let pairs: [(Shape, Shape); 14] = [
        ([5].into(), [5].into()),
        ([2, 3, 4, 5].into(), [2, 3, 4, 5].into()),
        // One number for each channel: quads of a plane, and planes that are no quads.
        ([2, 3, 4, 5].into(), [3, 1, 1].into()),
        ([2, 3, 3, 5].into(), [3, 1, 1].into()),
        ([3, 1, 1].into(), [2, 3, 2, 4].into()),
        // A row for all rows.
        ([4, 7].into(), [7].into()),
        ([19, 8].into(), [8].into()),
        // A number for each row.
        ([19, 8].into(), [19, 1].into()),
        ([1].into(), [1].into()),
        ([].into(), [3, 2].into()),
        ([67].into(), [].into()),
        ([4, 1, 3].into(), [5, 1].into()),
        ([2, 1, 3, 1, 2].into(), [1, 4, 1, 3, 1].into()),
        ([0, 3].into(), [1, 3].into()),
    ];
    for (a, b) in pairs {
        // A gradient sums what its operand was stretched to.
        let count = a.broadcast(&b).map_or(0, |shape| shape.count());
        let stretched = |x: &Shape| count / x.count().max(1);
        let k = stretched(&a).max(stretched(&b));
        let sum = Bound::Sum { k };
        let case = |name: &str, function, inputs: [Input; 2]| {
            Case::new(format!("{name}/{a}, {b}"), inputs.to_vec(), move |g, x| {
                Ok(vec![g.binary(x[0], x[1], function)?])
            })
        };
        let inputs = || [real(a.clone()), real(b.clone())];
        for (name, function) in [("add", Add), ("sub", Sub)] {
            let case = case(name, function, inputs()).bound(Bound::Ulp(1.0));
            cases.push(case.gradients(&[0, 1], sum));
        }
        let mul = case("mul", Mul, inputs()).bound(Bound::Ulp(1.0));
        cases.push(mul.gradients(&[0, 1], sum).linear());
        let divisor = drawn(b.clone(), Draw::Between(0.5, 2.0));
        let div = case("div", Div, [real(a.clone()), divisor]).inexact();
        // The gradient of b: two quotients, a product and their sum.
        let rest = Bound::Norm((k as f64 + 16.0) * 2f64.powi(-24));
        cases.push(div.bound(Bound::Ulp(2.5)).gradients(&[0, 1], rest));
        // Both are multiples of 1/64, so that many are equal, and by 0 or at least 1/64: ties and
        // no kinks but them.
        let distinct = || {
            [
                drawn(a.clone(), Draw::Distinct),
                drawn(b.clone(), Draw::Distinct),
            ]
        };
        for (name, function) in [("minimum", Minimum), ("maximum", Maximum)] {
            cases.push(case(name, function, distinct()).gradients(&[0, 1], sum));
        }
        let slope = [drawn(a.clone(), Draw::AwayFromZero), real(b.clone())];
        let prelu = case("prelu", Prelu, slope).bound(Bound::Ulp(1.0));
        // Zeros where a is positive: in absolute values nothing would be left of the slope's
        // gradient.
        cases.push(prelu.gradients(&[0, 1], Bound::Norm((k as f64 + 8.0) * 2f64.powi(-24))));
    }
    let special = || drawn([59], Draw::Special);
    let quotient = Bound::Norm(16.0 * 2f64.powi(-24));
    let (one, exact) = (Bound::Ulp(1.0), Bound::Exact);
    for (name, function, bound, gradient) in [
        ("add", Add, one, exact),
        ("sub", Sub, one, exact),
        ("mul", Mul, one, one),
        ("div", Div, Bound::Ulp(2.5), quotient),
        ("minimum", Minimum, exact, exact),
        ("maximum", Maximum, exact, exact),
        ("prelu", Prelu, one, one),
    ] {
        let other = [special(), drawn([59], Draw::Between(-2.0, 2.0))];
        for (kind, inputs) in [
            ("left", other.clone()),
            ("right", [other[1].clone(), special()]),
        ] {
            let case = Case::new(
                format!("{name}/special/{kind}"),
                inputs.to_vec(),
                move |g, x| Ok(vec![g.binary(x[0], x[1], function)?]),
            );
            cases.push(case.bound(bound).inexact().gradients(&[0, 1], gradient));
        }
    }
    for (shape, weight) in [
        (Shape::from([2, 3, 4, 2]), 3),
        ([2, 3, 5].into(), 3),
        ([4, 3].into(), 3),
        ([2, 3, 2, 2].into(), 1),
        ([5].into(), 1),
    ] {
        let inputs = vec![drawn(shape.clone(), Draw::AwayFromZero), real([weight])];
        let case = Case::new(format!("prelu/{shape}/{weight} slopes"), inputs, |g, x| {
            Ok(vec![g.prelu(x[0], x[1])?])
        });
        let k = shape.count() as f64;
        let case = case.bound(Bound::Ulp(1.0));
        cases.push(case.gradients(&[0, 1], Bound::Norm((k + 8.0) * 2f64.powi(-24))));
    }
    cases
}
