//! The one table of op cases: correctness, gradients, adjoints and benches read it.

use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{
    Adam, AvgPool2d, Binary, BinaryFunction, Conv2d, Indices, Lookup, MaxPool2d, MaxPool2dForward,
    Rule, Sgd, Update,
};
use striate::shape::{Shape, Type};
use striate::tensor::Tensor;

/// How the elements of a case's input are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Draw {
    /// Uniform in [-1, 1); small integers in the integer-valued run.
    Real,
    /// As `Real`, but at least 1/16 away from 0: for kinks there.
    AwayFromZero,
    /// All different by at least 1/64 within the tensor: for maxima without ties.
    Distinct,
    /// Integers below this number (`u32` inputs).
    Below(u32),
    /// Bytes (`u8` inputs).
    Bytes,
    /// These words (`u32` inputs): clocks, valid-row counts.
    Words(&'static [u32]),
}

/// How far a GPU result may lie from the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Bit for bit, after the reference is rounded to `f32`.
    Exact,
    /// This many units in the last place of the reference.
    Ulp(f64),
    /// (k + 8) * 2^-24 * S, S being the reference on the absolute values of all float inputs: for sums of k products.
    Sum {
        /// Number of terms.
        k: usize,
    },
    /// Relative to the largest magnitude of the reference's output: for compositions; each use cites its rule.
    Norm(f64),
}

/// One input of a case.
#[derive(Debug, Clone)]
pub struct Input {
    /// Shape and element type.
    pub ty: Type,
    /// Its elements.
    pub draw: Draw,
}

type Build = Box<dyn Fn(&mut Graph, &[Value]) -> Result<Vec<Value>> + Send + Sync>;

/// One use of one op, with what it must hold.
pub struct Case {
    /// `op/extents/options`.
    pub name: String,
    /// What `build` receives.
    pub inputs: Vec<Input>,
    /// Makes the outputs that are compared.
    pub build: Build,
    /// Bound of the outputs on real-valued inputs.
    pub bound: Bound,
    /// Inputs whose gradients are compared, for a random gradient of the outputs.
    pub wrt: Vec<usize>,
    /// Bound of the gradients on real-valued inputs.
    pub gradient_bound: Bound,
    /// Whether integer-valued inputs must give the reference's bits (sums of products, data movement).
    pub integers: bool,
    /// Whether the op is linear in each of `wrt`, so that the adjoint test applies.
    pub linear: bool,
}

impl Case {
    /// A case whose results are exact and that has no gradient; the methods below widen it.
    pub fn new(
        name: impl Into<String>,
        inputs: Vec<Input>,
        build: impl Fn(&mut Graph, &[Value]) -> Result<Vec<Value>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            inputs,
            build: Box::new(build),
            bound: Bound::Exact,
            wrt: Vec::new(),
            gradient_bound: Bound::Exact,
            integers: true,
            linear: false,
        }
    }

    /// Sets the bound of the outputs.
    pub fn bound(mut self, bound: Bound) -> Self {
        self.bound = bound;
        self
    }

    /// Compares gradients of the inputs `wrt` too.
    pub fn gradients(mut self, wrt: &[usize], bound: Bound) -> Self {
        self.wrt = wrt.to_vec();
        self.gradient_bound = bound;
        self
    }

    /// Leaves out the bit-for-bit run on integers: for functions that divide, take roots or exponentials.
    pub fn inexact(mut self) -> Self {
        self.integers = false;
        self
    }

    /// Applies the adjoint test.
    pub fn linear(mut self) -> Self {
        self.linear = true;
        self
    }
}

/// An `f32` input drawn as `Real`.
pub fn real(shape: impl Into<Shape>) -> Input {
    drawn(shape, Draw::Real)
}

/// An `f32` input.
pub fn drawn(shape: impl Into<Shape>, draw: Draw) -> Input {
    Input {
        ty: Type::f32(shape),
        draw,
    }
}

/// A `u32` input with elements below `limit`.
pub fn below(shape: impl Into<Shape>, limit: u32) -> Input {
    Input {
        ty: Type::u32(shape),
        draw: Draw::Below(limit),
    }
}

/// All cases.
pub fn cases() -> Vec<Case> {
    [
        elementwise(),
        matmul(),
        conv2d(),
        pool(),
        update(),
        reduce(),
        movement(),
        softmax(),
        loss(),
        random(),
        gather(),
    ]
    .into_iter()
    .flatten()
    .chain(super::networks::networks())
    .chain(super::products::products())
    .collect()
}

fn elementwise() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in [
        Shape::from([1]),
        [7].into(),
        [2, 3, 5, 4].into(),
        [257].into(),
        [0, 3].into(),
    ] {
        cases.push(
            Case::new(
                format!("relu/{shape}"),
                vec![drawn(shape.clone(), Draw::AwayFromZero)],
                |g, x| Ok(vec![g.relu(x[0])?]),
            )
            .gradients(&[0], Bound::Exact),
        );
        cases.push(
            Case::new(format!("scale/{shape}"), vec![real(shape)], |g, x| {
                Ok(vec![g.scale(x[0], 3.0)?])
            })
            .bound(Bound::Ulp(1.0))
            .gradients(&[0], Bound::Ulp(1.0))
            .linear(),
        );
    }
    let pairs: [(Shape, Shape); 8] = [
        ([5].into(), [5].into()),
        ([2, 3, 4, 5].into(), [2, 3, 4, 5].into()),
        ([2, 3, 4, 5].into(), [3, 1, 1].into()),
        ([4, 7].into(), [7].into()),
        ([4, 1, 3].into(), [5, 1].into()),
        ([2, 1, 3, 1, 2].into(), [1, 4, 1, 3, 1].into()),
        ([].into(), [3, 2].into()),
        ([1].into(), [1].into()),
    ];
    for (a, b) in pairs {
        let k = a.count().max(b.count()).max(60);
        let inputs = || vec![real(a.clone()), real(b.clone())];
        let bound = Bound::Sum { k };
        cases.push(
            Case::new(format!("add/{a}+{b}"), inputs(), |g, x| {
                Ok(vec![g.add_values(x[0], x[1])?])
            })
            .bound(Bound::Ulp(1.0))
            .gradients(&[0, 1], bound),
        );
        cases.push(
            Case::new(format!("sub/{a}-{b}"), inputs(), |g, x| {
                Ok(vec![g.sub(x[0], x[1])?])
            })
            .bound(Bound::Ulp(1.0))
            .gradients(&[0, 1], bound),
        );
        cases.push(
            Case::new(format!("mul/{a}*{b}"), inputs(), |g, x| {
                Ok(vec![g.mul(x[0], x[1])?])
            })
            .bound(Bound::Ulp(1.0))
            .gradients(&[0, 1], bound)
            .linear(),
        );
    }
    for (a, b) in [([3, 5], [3, 5]), ([3, 5], [1, 5])] {
        let (a, b) = (Shape::from(a), Shape::from(b));
        cases.push(
            Case::new(
                format!("relu_mask/{a}?{b}"),
                vec![drawn(a, Draw::AwayFromZero), real(b)],
                |g, x| Ok(vec![g.add1(Binary(BinaryFunction::ReluMask), x)?]),
            )
            .gradients(&[1], Bound::Sum { k: 15 })
            .linear(),
        );
    }
    for shape in [Shape::from([]), [3, 7].into(), [0].into()] {
        cases.push(Case::new(format!("fill/{shape}"), vec![], move |g, _| {
            Ok(vec![g.fill(shape.clone(), 0.1)?])
        }));
    }
    cases
}

fn matmul() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes = [
        [1, 1, 1],
        [3, 5, 7],
        [8, 8, 8],
        [17, 33, 9],
        [16, 120, 400],
        [64, 84, 120],
        [65, 10, 84],
        [2, 130, 67],
        [128, 64, 36],
        [0, 4, 3],
    ];
    for [m, n, k] in sizes {
        for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
            let a = if ta { [k, m] } else { [m, k] };
            let b = if tb { [n, k] } else { [k, n] };
            let longest = m.max(n).max(k);
            let t = |t| if t { "t" } else { "n" };
            cases.push(
                Case::new(
                    format!("matmul/{}{}/{m}x{n}x{k}", t(ta), t(tb)),
                    vec![real(a), real(b)],
                    move |g, x| Ok(vec![g.matmul(x[0], x[1], ta, tb)?]),
                )
                .bound(Bound::Sum { k })
                .gradients(&[0, 1], Bound::Sum { k: longest })
                .linear(),
            );
        }
    }
    for (rows, features, out) in [(1, 1, 1), (7, 13, 5), (33, 84, 10), (128, 400, 120)] {
        let longest = rows.max(features).max(out) + 1;
        cases.push(
            Case::new(
                format!("linear/{rows}x{features}->{out}"),
                vec![real([rows, features]), real([out, features]), real([out])],
                |g, x| Ok(vec![g.linear(x[0], x[1], Some(x[2]))?]),
            )
            .bound(Bound::Sum { k: features + 1 })
            .gradients(&[0, 1, 2], Bound::Sum { k: longest }),
        );
    }
    cases
}

/// A convolution's case: x `[n, c, h, w]`, `o` filters of `r` x `s`.
pub fn convolution(x: [usize; 4], [o, r, s]: [usize; 3], bias: bool, conv: Conv2d) -> Case {
    let [n, c, h, w] = x;
    let per_group = c / conv.groups;
    let k = per_group * r * s + 1;
    let longest = k.max(n * h * w).max(o * r * s);
    let Conv2d {
        stride,
        padding,
        dilation,
        groups,
    } = conv;
    let name = format!(
        "conv2d/{n}x{c}x{h}x{w}-{o}k{r}x{s}s{}x{}p{},{},{},{}d{}x{}g{groups}{}",
        stride[0],
        stride[1],
        padding[0],
        padding[1],
        padding[2],
        padding[3],
        dilation[0],
        dilation[1],
        if bias { "b" } else { "" }
    );
    let mut inputs = vec![real(x), real([o, per_group, r, s])];
    let mut wrt = vec![0, 1];
    if bias {
        inputs.push(real([o]));
        wrt.push(2);
    }
    let case = Case::new(name, inputs, move |g, v| {
        Ok(vec![g.conv2d(v[0], v[1], v.get(2).copied(), conv)?])
    })
    .bound(Bound::Sum { k })
    .gradients(&wrt, Bound::Sum { k: longest });
    if bias { case } else { case.linear() }
}

fn conv2d() -> Vec<Case> {
    let plain = Conv2d::default;
    let mut cases = vec![
        convolution([1, 1, 1, 1], [1, 1, 1], false, plain()),
        convolution([2, 1, 28, 28], [6, 5, 5], true, Conv2d::padding(2)),
        convolution([3, 6, 14, 14], [16, 5, 5], true, plain()),
        convolution([1, 3, 5, 5], [2, 5, 5], false, plain()),
        convolution([0, 3, 5, 5], [2, 3, 3], false, plain()),
    ];
    for (n, c, h, w) in [(1, 1, 7, 9), (2, 3, 8, 5), (1, 8, 13, 11), (3, 5, 6, 17)] {
        for (o, r, s) in [(1, 1, 1), (4, 3, 3), (9, 2, 3), (17, 5, 1)] {
            for stride in [[1, 1], [2, 2], [1, 3]] {
                for padding in [[0, 0, 0, 0], [1, 1, 1, 1], [0, 2, 1, 0]] {
                    let fits = h + padding[0] + padding[1] >= r && w + padding[2] + padding[3] >= s;
                    if fits {
                        let conv = Conv2d {
                            stride,
                            padding,
                            ..plain()
                        };
                        cases.push(convolution([n, c, h, w], [o, r, s], false, conv));
                    }
                }
            }
        }
    }
    for dilation in [[2, 2], [1, 3], [3, 1]] {
        for stride in [[1, 1], [2, 1]] {
            let conv = Conv2d {
                dilation,
                stride,
                padding: [2, 1, 1, 2],
                groups: 1,
            };
            cases.push(convolution([2, 4, 11, 12], [8, 3, 3], true, conv));
        }
    }
    for (c, o, groups) in [(4, 4, 2), (6, 9, 3), (8, 8, 8), (5, 10, 5), (8, 16, 2)] {
        for stride in [[1, 1], [2, 2]] {
            let conv = Conv2d {
                groups,
                stride,
                ..Conv2d::padding(1)
            };
            cases.push(convolution([2, c, 9, 10], [o, 3, 3], true, conv));
        }
    }
    cases
}

/// Output and indices of the op that `Graph::max_pool2d` makes.
pub fn with_smallest_indices(g: &mut Graph, x: Value, pool: MaxPool2d) -> Result<Vec<Value>> {
    let y = g.max_pool2d(x, pool)?;
    let node = g.nodes().iter().find(|node| node.outputs[0] == y);
    Ok(node.expect("y was just made").outputs.clone())
}

fn pool() -> Vec<Case> {
    let mut cases = Vec::new();
    // Shape, kernel, stride, padding.
    type Pair = [usize; 2];
    let windows: [([usize; 4], Pair, Pair, Pair); 19] = [
        ([2, 6, 28, 28], [2, 2], [2, 2], [0, 0]),
        ([3, 5, 10, 10], [2, 2], [2, 2], [0, 0]),
        ([3, 4, 10, 10], [2, 2], [2, 2], [0, 0]),
        ([1, 3, 6, 4], [2, 2], [2, 2], [0, 0]),
        ([2, 1, 5, 8], [2, 2], [2, 2], [0, 0]),
        ([2, 4, 7, 6], [2, 2], [2, 2], [0, 0]),
        ([1, 1, 2, 2], [2, 2], [2, 2], [0, 0]),
        ([2, 3, 7, 6], [2, 2], [2, 2], [0, 0]),
        ([2, 3, 6, 7], [2, 2], [2, 2], [0, 0]),
        ([2, 3, 9, 8], [3, 3], [2, 2], [1, 1]),
        ([1, 2, 8, 7], [3, 2], [1, 3], [1, 0]),
        ([2, 1, 5, 5], [5, 5], [1, 1], [2, 2]),
        ([2, 4, 5, 5], [5, 5], [1, 1], [2, 2]),
        ([1, 2, 17, 21], [16, 16], [1, 2], [0, 2]),
        ([1, 2, 20, 17], [17, 16], [2, 1], [0, 0]),
        ([1, 3, 11, 4], [2, 1], [4, 1], [1, 0]),
        ([1, 2, 1, 1], [3, 3], [7, 7], [1, 1]),
        ([0, 3, 4, 4], [2, 2], [2, 2], [0, 0]),
        ([2, 0, 5, 5], [3, 3], [2, 2], [1, 1]),
    ];
    for (shape, kernel, stride, padding) in windows {
        let name = format!("{shape:?}/k{kernel:?}/s{stride:?}/p{padding:?}");
        let k = kernel[0] * kernel[1];
        let pool = MaxPool2d {
            kernel,
            stride,
            padding,
        };
        cases.push(
            Case::new(
                format!("max_pool2d/{name}"),
                vec![drawn(shape, Draw::Distinct)],
                move |g, x| with_smallest_indices(g, x[0], pool),
            )
            .gradients(&[0], Bound::Sum { k }),
        );
        cases.push(
            Case::new(
                format!("max_pool2d/plane/{name}"),
                vec![drawn(shape, Draw::Distinct)],
                move |g, x| {
                    let (y, index) = g.max_pool2d_with_indices(x[0], pool)?;
                    Ok(vec![y, index])
                },
            )
            .gradients(&[0], Bound::Sum { k }),
        );
        let values = MaxPool2dForward {
            pool,
            indices: Indices::None,
        };
        cases.push(Case::new(
            format!("max_pool2d/values/{name}"),
            vec![real(shape)],
            move |g, x| g.add(values, x),
        ));
        for count_include_pad in [true, false] {
            let pool = AvgPool2d {
                kernel,
                stride,
                padding,
                count_include_pad,
            };
            cases.push(
                Case::new(
                    format!("avg_pool2d/{name}/pad {count_include_pad}"),
                    vec![real(shape)],
                    move |g, x| Ok(vec![g.avg_pool2d(x[0], pool)?]),
                )
                .bound(Bound::Sum { k })
                .gradients(&[0], Bound::Sum { k })
                .inexact()
                .linear(),
            );
        }
    }
    // NaN wins, the last one over others; the first of equals wins, -inf too. Each index shows which.
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let special = vec![
        nan, inf, 1.0, nan, 2.0, 2.0, -inf, -inf, //
        3.0, 9.0, -nan, nan, 2.0, 2.0, -inf, -inf,
    ];
    for (stride, name) in [([2, 2], "2x2"), ([2, 1], "2x2 overlapping")] {
        let pool = MaxPool2d {
            kernel: [2, 2],
            stride,
            padding: [0, 0],
        };
        let special = special.clone();
        cases.push(Case::new(
            format!("max_pool2d/nan/{name}"),
            vec![],
            move |g, _| {
                let x = g.constant(Tensor::f32([1, 1, 2, 8], special.clone())?)?;
                let mut indices = with_smallest_indices(g, x, pool)?;
                indices.push(g.max_pool2d_with_indices(x, pool)?.1);
                Ok(indices.split_off(1))
            },
        ));
    }
    cases
}

fn update() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes: [Shape; 5] = [
        [6, 1, 5, 5].into(),
        [7].into(),
        [].into(),
        [0, 3].into(),
        [3, 87].into(),
    ];
    let n = shapes.len();
    let tensors = |copies: usize| -> Vec<Input> {
        let all = shapes.iter().cycle().take(copies * n);
        all.map(|shape| real(shape.clone())).collect()
    };
    let scalars = |words| {
        let ty = Type::u32([4]);
        let draw = Draw::Words(words);
        [real([]), Input { ty, draw }]
    };
    for (momentum, nesterov, weight_decay) in [
        (0.0, false, 0.0),
        (0.0, false, 0.25),
        (0.5, false, 0.0),
        (0.75, true, 0.125),
    ] {
        let rule = Rule::Sgd(Sgd {
            momentum,
            nesterov,
            weight_decay,
        });
        let mut inputs = tensors(2 + rule.moments());
        inputs.extend(scalars(&[1, 2, 3, 0]));
        cases.push(
            Case::new(
                format!("sgd/{momentum}/{nesterov}/{weight_decay}"),
                inputs,
                move |g, x| g.add(Update::new(rule, n), x),
            )
            // Six roundings, each of at most the largest operand's last place; p may cancel, so no ULP bound holds.
            .bound(Bound::Norm(6.0 / 16_777_216.0)),
        );
    }
    let clocks: [&[u32]; 3] = [&[0, 0, 0, 0], &[0, 0, 9, 0], &[0, 0, 4_000_000, 0]];
    for clock in clocks {
        for (weight_decay, decoupled) in [(0.0, false), (0.01, false), (0.01, true)] {
            let adam = Adam {
                weight_decay,
                decoupled,
                ..Adam::default()
            };
            let mut inputs = tensors(4);
            inputs.extend(scalars(clock));
            cases.push(
                Case::new(
                    format!("adam/{weight_decay}/{decoupled}/step {}", clock[2]),
                    inputs,
                    move |g, x| {
                        let mut x = x.to_vec();
                        for v in &mut x[3 * n..4 * n] {
                            *v = g.mul(*v, *v)?;
                        }
                        let lr = x.len() - 2;
                        x[lr] = g.scale(x[lr], 0.01)?;
                        g.add(Update::new(Rule::Adam(adam), n), &x)
                    },
                )
                // A sum of two products, a division, two roots and a product: WGSL 15.7.4 allows 2.5 units each for
                // division and root; the bias correction is an exponential of 3 units.
                .bound(Bound::Norm(2e-6))
                .inexact(),
            );
        }
    }
    for (count, words) in [
        (1, &[7, 7, 0, 7]),
        (5, &[7, 7, 3, 7]),
        (5, &[7, 7, 4, 7]),
        (5, &[0, 0, 900, 0]),
    ] {
        let clock = Input {
            ty: Type::u32([4]),
            draw: Draw::Words(words),
        };
        cases.push(Case::new(
            format!("lookup/{count}/step {}", words[2]),
            vec![real([count]), clock],
            |g, x| g.add(Lookup, x),
        ));
    }
    cases
}

fn reduce() -> Vec<Case> {
    let mut cases = Vec::new();
    let sums: [(Shape, &'static [usize]); 26] = [
        ([1].into(), &[0]),
        ([].into(), &[]),
        ([5].into(), &[0]),
        ([5, 3].into(), &[]),
        ([0, 3].into(), &[0]),
        ([3, 0].into(), &[0]),
        ([257].into(), &[0]),
        ([4, 7].into(), &[1]),
        ([7, 8].into(), &[1]),
        ([7, 8].into(), &[0]),
        ([7, 5].into(), &[0]),
        ([67, 3].into(), &[0, 1]),
        ([2, 3, 5, 4].into(), &[0, 2, 3]),
        ([2, 3, 4, 5].into(), &[1]),
        ([2, 3, 4, 5].into(), &[1, 3]),
        ([1, 7, 1, 5].into(), &[0, 2]),
        ([2, 3, 1, 2, 5, 3].into(), &[0, 3, 5]),
        ([3, 2, 2, 3, 2, 4].into(), &[1, 3, 5]),
        ([2, 3, 2, 2, 3, 4].into(), &[0, 2, 4]),
        ([1031].into(), &[0]),
        ([40_004].into(), &[0]),
        ([2, 401].into(), &[1]),
        ([509, 3].into(), &[0]),
        ([1025, 12].into(), &[0]),
        ([17, 6, 11, 4].into(), &[0, 2, 3]),
        ([19, 5, 7, 7].into(), &[0, 2, 3]),
    ];
    for (shape, axes) in sums {
        let k: usize = axes.iter().map(|&axis| shape[axis]).product();
        cases.push(
            Case::new(
                format!("sum/{shape}/{axes:?}"),
                vec![real(shape)],
                |g, x| Ok(vec![g.sum(x[0], axes, false)?]),
            )
            .bound(Bound::Sum { k })
            .gradients(&[0], Bound::Ulp(1.0))
            .linear(),
        );
    }
    for (shape, axes) in [
        (Shape::from([6, 5]), &[1][..]),
        ([4, 3, 7, 7].into(), &[2, 3]),
        ([600].into(), &[0]),
    ] {
        let k: usize = axes.iter().map(|&axis| shape[axis]).product();
        cases.push(
            Case::new(
                format!("mean/{shape}/{axes:?}"),
                vec![real(shape)],
                move |g, x| Ok(vec![g.mean(x[0], axes, true)?]),
            )
            .inexact()
            .bound(Bound::Sum { k })
            .gradients(&[0], Bound::Ulp(1.0))
            .linear(),
        );
    }
    cases
}

fn movement() -> Vec<Case> {
    let mut cases = Vec::new();
    let orders: [(Shape, &'static [usize]); 17] = [
        ([1].into(), &[0]),
        ([1, 5].into(), &[1, 0]),
        ([3, 5].into(), &[1, 0]),
        ([0, 5].into(), &[1, 0]),
        ([67, 31].into(), &[1, 0]),
        ([4, 8].into(), &[1, 0]),
        ([36, 52].into(), &[1, 0]),
        ([4, 7].into(), &[1, 0]),
        ([7, 4].into(), &[1, 0]),
        ([2, 3, 5, 7].into(), &[0, 2, 3, 1]),
        ([2, 4, 2, 6].into(), &[0, 2, 3, 1]),
        ([2, 3, 5, 4].into(), &[0, 2, 1, 3]),
        ([3, 2, 5, 3].into(), &[1, 0, 2, 3]),
        ([4, 3, 8].into(), &[2, 1, 0]),
        ([2, 3, 2, 3, 2, 5].into(), &[5, 4, 3, 2, 1, 0]),
        ([4, 3, 2, 3, 2, 8].into(), &[5, 4, 3, 2, 1, 0]),
        ([2, 3, 2, 1, 3, 2, 4].into(), &[4, 2, 1, 3, 5, 0, 6]),
    ];
    for (shape, axes) in orders {
        cases.push(
            Case::new(
                format!("permute/{shape}/{axes:?}"),
                vec![real(shape)],
                |g, x| Ok(vec![g.permute(x[0], axes)?]),
            )
            .gradients(&[0], Bound::Exact)
            .linear(),
        );
    }
    let expanded: [(Shape, Shape); 7] = [
        ([].into(), [3].into()),
        ([1, 5].into(), [3, 5].into()),
        ([5, 1].into(), [5, 4].into()),
        ([8].into(), [3, 2, 8].into()),
        ([2, 3, 1, 1].into(), [2, 3, 5, 7].into()),
        ([3, 1, 4, 1].into(), [2, 3, 4, 4, 4].into()),
        ([2, 1].into(), [2, 0].into()),
    ];
    for (from, to) in expanded {
        let k = to.count();
        cases.push(
            Case::new(
                format!("expand/{from}->{to}"),
                vec![real(from)],
                move |g, x| Ok(vec![g.expand(x[0], to.clone())?]),
            )
            .gradients(&[0], Bound::Sum { k })
            .linear(),
        );
    }
    cases.push(Case::new(
        "transpose/u32",
        vec![below([5, 3], u32::MAX)],
        |g, x| Ok(vec![g.transpose(x[0])?]),
    ));
    cases
}

fn softmax() -> Vec<Case> {
    let shapes: [Shape; 9] = [
        [3, 1].into(),
        [1, 2].into(),
        [5].into(),
        [2, 3, 7].into(),
        [0, 4].into(),
        [131, 10].into(),
        [2, 64].into(),
        [3, 65].into(),
        [2, 1031].into(),
    ];
    shapes
        .into_iter()
        .map(|shape| {
            let n = *shape.last().unwrap_or(&1) as f64;
            let case = Case::new(format!("softmax/{shape}"), vec![real(shape)], |g, x| {
                Ok(vec![g.softmax(x[0])?])
            })
            .inexact()
            // exp is good to 3 + 2|x| ULP with |x| at most 2, a quotient to 2.5, the sum to n.
            .bound(Bound::Ulp(3.0 * n + 20.0));
            match n {
                1.0 => case,
                // dy - sum(dy * y) may cancel, to an eighth of its terms in these cases.
                _ => case.gradients(&[0], Bound::Norm((3.0 * n + 20.0) * 2f64.powi(-20))),
            }
        })
        .collect()
}

fn labels(rows: usize, classes: u32) -> Input {
    below([rows], classes)
}

fn words(words: &'static [u32]) -> Input {
    Input {
        ty: Type::u32([words.len()]),
        draw: Draw::Words(words),
    }
}

fn loss() -> Vec<Case> {
    let mut cases = Vec::new();
    let batches: [(usize, usize, &'static [u32]); 10] = [
        (1, 2, &[1]),
        (3, 2, &[3]),
        (5, 3, &[2]),
        (4, 7, &[0]),
        (2, 5, &[9]),
        (67, 10, &[67]),
        (257, 10, &[131]),
        (3, 64, &[3]),
        (5, 65, &[4]),
        (2, 1031, &[2]),
    ];
    for (rows, classes, valid) in batches {
        // exp and log as in softmax; the loss is at least 1/8 because all classes stay within 2 of each other.
        let bound = Bound::Norm((3.0 * classes as f64 + rows as f64 + 20.0) * 2f64.powi(-20));
        let inputs = |classes_drawn: u32| {
            vec![
                real([rows, classes]),
                labels(rows, classes_drawn),
                words(valid),
            ]
        };
        cases.push(
            Case::new(
                format!("softmax_cross_entropy/{rows}x{classes}/valid {}", valid[0]),
                inputs(classes as u32),
                |g, x| Ok(vec![g.softmax_cross_entropy(x[0], x[1], x[2])?]),
            )
            .inexact()
            .bound(bound)
            .gradients(&[0], bound),
        );
        let mut counted = inputs(classes as u32 + 1);
        counted.push(words(&[7, 4_294_967_290]));
        cases.push(Case::new(
            format!("count_correct/{rows}x{classes}/valid {}", valid[0]),
            counted,
            |g, x| Ok(vec![g.count_correct(x[0], x[1], x[2], x[3])?]),
        ));
    }
    for shape in [
        Shape::from([1]),
        [3].into(),
        [2, 3, 5, 7].into(),
        [257].into(),
        [3, 1031].into(),
        [0].into(),
        [].into(),
    ] {
        let k = shape.count();
        cases.push(
            Case::new(
                format!("mse_loss/{shape}"),
                vec![real(shape.clone()), real(shape)],
                |g, x| Ok(vec![g.mse_loss(x[0], x[1])?]),
            )
            .inexact()
            // Squares of differences: on absolute values those cancel, so relative to the sum itself.
            .bound(Bound::Norm((k as f64 + 8.0) * 2f64.powi(-24)))
            .gradients(&[0, 1], Bound::Norm(4.0 * 2f64.powi(-24))),
        );
    }
    cases
}

fn random() -> Vec<Case> {
    const CLOCK: &[u32] = &[0xffff_fff1, 0x1234_5678, 41, 0];
    let mut cases = Vec::new();
    for (shape, p) in [
        (Shape::from([1]), 0.5),
        ([7].into(), 0.0),
        ([3, 5, 7].into(), 0.25),
        ([2, 3, 4, 5].into(), 0.1),
        ([1031].into(), 0.75),
        ([0, 3].into(), 0.5),
    ] {
        cases.push(
            Case::new(
                format!("dropout/{shape}/p {p}"),
                vec![real(shape), words(CLOCK)],
                move |g, x| Ok(vec![g.dropout(x[0], p, x[1])?]),
            )
            .bound(Bound::Ulp(1.0))
            .gradients(&[0], Bound::Ulp(1.0))
            .linear(),
        );
    }
    for shape in [
        Shape::from([1, 1, 1, 1]),
        [2, 3, 5].into(),
        [3, 7, 5, 3].into(),
        [5, 13, 4, 4].into(),
    ] {
        cases.push(
            Case::new(
                format!("dropout2d/{shape}"),
                vec![real(shape), words(CLOCK)],
                |g, x| Ok(vec![g.dropout2d(x[0], 0.5, x[1])?]),
            )
            .bound(Bound::Ulp(1.0))
            .gradients(&[0], Bound::Ulp(1.0))
            .linear(),
        );
    }
    let batches: [(usize, usize, &'static [u32]); 8] = [
        (1, 1, &[1, 2, 3, 0]),
        (5, 3, &[1, 2, 0, 0]),
        (5, 3, &[1, 2, 1, 0]),
        (17, 32, &[9, 0, 4, 0]),
        (1000, 129, &[9, 7, 6, 0]),
        (1000, 129, &[9, 7, 7, 0]),
        (60_000, 67, &[u32::MAX, u32::MAX, u32::MAX, 0]),
        ((1 << 31) - 1, 65, &[5, 6, 1_000_000, 0]),
    ];
    for (count, batch, clock) in batches {
        for shuffle in [false, true] {
            cases.push(Case::new(
                format!(
                    "shuffled_batch/{batch} of {count}/step {}/{shuffle}",
                    clock[2]
                ),
                vec![words(clock)],
                move |g, x| {
                    let (indices, valid) = g.shuffled_batch(x[0], count, batch, shuffle)?;
                    Ok(vec![indices, valid])
                },
            ));
        }
    }
    for clock in [&[1, 2, 3, 4], &[u32::MAX; 4]] {
        cases.push(Case::new(
            format!("advance/{}", clock[2]),
            vec![words(clock)],
            |g, x| Ok(vec![g.advance(x[0])?]),
        ));
    }
    cases
}

fn gather() -> Vec<Case> {
    let mut cases = Vec::new();
    let rows: [(Shape, usize, &'static [u32]); 8] = [
        ([1].into(), 1, &[1]),
        ([5].into(), 7, &[6]),
        ([7, 3].into(), 5, &[5]),
        ([7, 2, 2, 3].into(), 5, &[3]),
        ([31, 1, 28, 28].into(), 3, &[2]),
        ([31, 3, 5, 7].into(), 67, &[131]),
        ([3, 4].into(), 2, &[0]),
        ([3, 0].into(), 2, &[2]),
    ];
    for (shape, batch, valid) in rows {
        let name = format!("gather_rows/{batch} of {shape}/valid {}", valid[0]);
        let inputs = vec![
            Input {
                ty: Type::u8(shape.clone()),
                draw: Draw::Bytes,
            },
            // One beyond the last row is drawn too.
            below([batch], shape[0] as u32 + 1),
            words(valid),
        ];
        cases.push(
            Case::new(format!("{name}/normalised"), inputs.clone(), |g, x| {
                let (scale, shift) = (1.0 / (255.0 * 0.3081), -0.1307 / 0.3081);
                Ok(vec![g.gather_rows(x[0], x[1], x[2], scale, shift)?])
            })
            .inexact()
            // A product and a sum, each of at most about the largest magnitude.
            .bound(Bound::Norm(4.0 * 2f64.powi(-24))),
        );
        cases.push(Case::new(name, inputs, |g, x| {
            Ok(vec![g.gather_rows(x[0], x[1], x[2], 2.0, -3.0)?])
        }));
    }
    for (n, batch, valid) in [(1, 1, &[1]), (5, 7, &[6]), (257, 67, &[131]), (9, 4, &[0])] {
        cases.push(Case::new(
            format!("gather_labels/{batch} of {n}/valid {}", valid[0]),
            vec![
                below([n], u32::MAX),
                below([batch], n as u32 + 1),
                words(valid),
            ],
            |g, x| Ok(vec![g.gather_labels(x[0], x[1], x[2])?]),
        ));
    }
    cases
}
