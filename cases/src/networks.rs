//! Small networks as cases: what fusion and scheduling see only where ops follow each other.

use striate::check::{Bound, Case, Input, real};
use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{AvgPool2d, Conv, Conv1d, Conv2d, Conv3d, ConvWalk, MaxPool2d};
use striate::shape::Shape;

/// Two to six layers of float rounding, each near 2^-24 * k relative to the sum of its absolute
/// products: far below what a wrong mask, index or tap would do to elements of the size of the
/// largest.
const BOUND: Bound = Bound::Norm(2e-5);

fn inputs(shapes: &[&[usize]]) -> Vec<Input> {
    let shapes = shapes.iter();
    shapes.map(|&shape| real(Shape::from(shape))).collect()
}

/// All networks, with the gradients of everything.
pub fn networks() -> Vec<Case> {
    let network = |case: Case| {
        let all: Vec<usize> = (0..case.inputs.len()).collect();
        case.bound(BOUND).gradients(&all, BOUND)
    };
    let same = Conv2d::new().padding(1);
    let halves = MaxPool2d::new(2);
    let cases = vec![
        Case::new(
            "network/conv-relu",
            inputs(&[&[2, 3, 7, 6], &[5, 3, 3, 3], &[5]]),
            move |g, v| {
                let y = g.conv2d(v[0], v[1], Some(v[2]), same)?;
                Ok(vec![g.relu(y)?])
            },
        ),
        Case::new(
            "network/conv-relu-conv",
            inputs(&[&[2, 3, 7, 6], &[5, 3, 3, 3], &[5], &[4, 5, 3, 3]]),
            move |g, v| {
                let y = g.conv2d(v[0], v[1], Some(v[2]), same)?;
                let y = g.relu(y)?;
                Ok(vec![g.conv2d(y, v[3], None, same)?])
            },
        ),
        Case::new(
            "network/conv-relu-pool-conv-relu-pool",
            inputs(&[&[3, 1, 12, 12], &[4, 1, 5, 5], &[4], &[6, 4, 3, 3], &[6]]),
            move |g, v| {
                let y = g.conv2d(v[0], v[1], Some(v[2]), Conv2d::default())?;
                let y = g.relu(y)?;
                let y = g.max_pool(y, halves)?;
                let y = g.conv2d(y, v[3], Some(v[4]), same)?;
                let y = g.relu(y)?;
                Ok(vec![g.max_pool(y, halves)?])
            },
        ),
        Case::new(
            "network/pool-relu-conv",
            inputs(&[&[2, 3, 8, 8], &[4, 3, 3, 3]]),
            move |g, v| {
                let y = g.max_pool(v[0], halves)?;
                let y = g.relu(y)?;
                Ok(vec![g.conv2d(y, v[1], None, same)?])
            },
        ),
        Case::new(
            "network/overlapping-pool",
            inputs(&[&[2, 2, 9, 9], &[3, 2, 3, 3], &[3]]),
            move |g, v| {
                let y = g.conv2d(v[0], v[1], Some(v[2]), same)?;
                let y = g.relu(y)?;
                let pool = MaxPool2d {
                    stride: [2, 2],
                    padding: [1, 1],
                    ..MaxPool2d::new(3)
                };
                Ok(vec![g.max_pool(y, pool)?])
            },
        ),
        Case::new(
            "network/linear-relu-linear",
            inputs(&[&[5, 7], &[9, 7], &[9], &[3, 9], &[3]]),
            |g, v| {
                let y = g.linear(v[0], v[1], Some(v[2]))?;
                let y = g.relu(y)?;
                Ok(vec![g.linear(y, v[3], Some(v[4]))?])
            },
        ),
        Case::new(
            "network/lenet",
            inputs(&[
                &[2, 1, 16, 16],
                &[4, 1, 5, 5],
                &[4],
                &[6, 4, 3, 3],
                &[6],
                &[10, 24],
                &[10],
                &[7, 10],
                &[7],
            ]),
            move |g, v| {
                let y = g.conv2d(v[0], v[1], Some(v[2]), Conv2d::default())?;
                let y = g.relu(y)?;
                let y = g.max_pool(y, halves)?;
                let y = g.conv2d(y, v[3], Some(v[4]), Conv2d::default())?;
                let y = g.relu(y)?;
                let y = g.max_pool(y, halves)?;
                let y = g.flatten(y, 1)?;
                let y = g.linear(y, v[5], Some(v[6]))?;
                let y = g.relu(y)?;
                Ok(vec![g.linear(y, v[7], Some(v[8]))?])
            },
        )
        // Its integers outgrow 2^24.
        .inexact(),
        Case::new(
            "network/residual",
            inputs(&[&[2, 4, 6, 6], &[4, 4, 3, 3], &[4], &[4, 4, 3, 3], &[4]]),
            move |g, v| {
                let y = g.conv2d(v[0], v[1], Some(v[2]), same)?;
                let y = g.relu(y)?;
                let y = g.conv2d(y, v[3], Some(v[4]), same)?;
                let y = g.add(y, v[0])?;
                Ok(vec![g.relu(y)?])
            },
        ),
        // The activation is an output too: what fusion must not take away.
        Case::new(
            "network/shown-activation",
            inputs(&[&[2, 3, 6, 6], &[4, 3, 3, 3]]),
            move |g, v| {
                let y = g.conv2d(v[0], v[1], None, same)?;
                let shown = g.relu(y)?;
                let pooled = g.max_pool(shown, halves)?;
                Ok(vec![y, shown, pooled])
            },
        ),
        // An operand that stretches is as large as the sum once both are padded, and yet cannot
        // share its buffer.
        Case::new(
            "network/stretched",
            inputs(&[&[1], &[3], &[3, 1]]),
            |g, v| {
                let one = g.scale(v[0], 2.0)?;
                let three = g.add(one, v[1])?;
                let column = g.scale(v[2], 2.0)?;
                let square = g.mul(column, three)?;
                Ok(vec![three, square])
            },
        ),
        // One weight in two places.
        Case::new(
            "network/shared-weight",
            inputs(&[&[2, 3, 6, 6], &[3, 3, 3, 3], &[3]]),
            move |g, v| {
                let y = g.conv2d(v[0], v[1], Some(v[2]), same)?;
                let y = g.relu(y)?;
                let y = g.conv2d(y, v[1], Some(v[2]), same)?;
                Ok(vec![g.relu(y)?])
            },
        ),
    ];
    let normalised = |name: &str, shapes: &[&[usize]], residual: bool| {
        Case::new(name, inputs(shapes), move |g, v| {
            let y = g.conv2d(v[0], v[1], None, same)?;
            let (mut y, _) = g.batch_norm_train(y, Some(v[2]), Some(v[3]), 1e-5)?;
            if residual {
                y = g.add(y, v[0])?;
            }
            let y = g.relu(y)?;
            Ok(vec![g.conv2d(y, v[4], None, same)?])
        })
    };
    let plain: [&[usize]; 5] = [&[3, 3, 7, 6], &[5, 3, 3, 3], &[5], &[5], &[4, 5, 3, 3]];
    let square: [&[usize]; 5] = [&[3, 4, 7, 6], &[4, 4, 3, 3], &[4], &[4], &[5, 4, 3, 3]];
    let relu = normalised("network/conv-bn-relu-conv", &plain, false);
    let residual = normalised("network/conv-bn-sum-relu-conv", &square, true);
    // What is normalised is what is added: y may not take its place.
    let itself = Case::new(
        "network/bn-sum-itself",
        inputs(&[&[3, 4, 6, 6]]),
        move |g, v| {
            let x = g.scale(v[0], 2.0)?;
            let (y, _) = g.batch_norm_train(x, None, None, 1e-5)?;
            Ok(vec![g.add(x, y)?])
        },
    );
    let average = Case::new(
        "network/average-pools",
        inputs(&[&[2, 3, 8, 8], &[4, 3, 3, 3], &[4]]),
        move |g, v| {
            let y = g.conv2d(v[0], v[1], Some(v[2]), same)?;
            let y = g.relu(y)?;
            let y = g.avg_pool(y, AvgPool2d::new(2))?;
            Ok(vec![g.global_avg_pool(y)?])
        },
    );
    let cases = cases.into_iter();
    let inexact = [average, relu, residual, itself];
    let cases = cases.chain(inexact.map(Case::inexact));
    cases.map(network).chain(folded()).collect()
}

/// Batch normalisation in inference behind a convolution, which fusion folds into it, or not where
/// its output is read too. Weights and normalisation are three roundings more.
fn folded() -> Vec<Case> {
    let plain = Folded {
        x: &[2, 3, 7, 6],
        weight: &[5, 3, 3, 3],
        conv: Conv2d::new().padding(1),
        conv_bias: false,
        affine: [false; 2],
        shown: false,
    };
    let affine = Folded {
        affine: [true; 2],
        ..plain
    };
    let biased = Folded {
        conv_bias: true,
        ..affine
    };
    let grouped = |groups| Conv2d {
        groups,
        ..Conv2d::new().padding(1)
    };
    vec![
        biased.case("bias-affine"),
        plain.case("plain"),
        affine.case("affine"),
        Folded {
            shown: true,
            ..biased
        }
        .case("shown"),
        Folded {
            conv_bias: true,
            ..plain
        }
        .case("bias"),
        Folded {
            affine: [true, false],
            ..biased
        }
        .case("weight"),
        Folded {
            affine: [false, true],
            ..plain
        }
        .case("shift"),
        Folded {
            x: &[2, 4, 7, 6],
            weight: &[6, 2, 3, 3],
            conv: grouped(2),
            ..biased
        }
        .case("groups"),
        Folded {
            x: &[2, 4, 7, 6],
            weight: &[4, 1, 3, 3],
            conv: grouped(4),
            ..biased
        }
        .case("depthwise"),
        Folded {
            x: &[2, 3, 17],
            weight: &[5, 3, 3],
            conv: Conv1d::new().padding(1),
            conv_bias: true,
            affine: [true; 2],
            shown: false,
        }
        .case("1d"),
        Folded {
            x: &[2, 3, 4, 5, 4],
            weight: &[5, 3, 3, 3, 3],
            conv: Conv3d::new().padding(1),
            conv_bias: true,
            affine: [true; 2],
            shown: false,
        }
        .case("3d"),
        shared_by_two(),
    ]
}

/// A convolution with what stands behind it.
#[derive(Clone, Copy)]
struct Folded<const D: usize> {
    x: &'static [usize],
    weight: &'static [usize],
    conv: Conv<D>,
    conv_bias: bool,
    /// Whether the normalisation has a weight, and a bias.
    affine: [bool; 2],
    /// Whether the convolution's output is one of the network's.
    shown: bool,
}

impl<const D: usize> Folded<D>
where
    Conv<D>: Into<ConvWalk>,
{
    fn case(self, name: &str) -> Case {
        let channels: &[usize] = &self.weight[..1];
        let shapes = [
            self.x,
            self.weight,
            channels,
            channels,
            channels,
            channels,
            channels,
        ];
        let build = move |g: &mut Graph, v: &[Value]| {
            let y = g.conv(v[0], v[1], self.conv_bias.then_some(v[2]), self.conv)?;
            let [weight, bias] = [0, 1].map(|i| self.affine[i].then_some(v[5 + i]));
            let normal = normalised(g, y, [v[3], v[4]], [weight, bias])?;
            let outputs = [g.relu(normal)?, y];
            Ok(outputs[..1 + usize::from(self.shown)].to_vec())
        };
        let case = Case::new(
            format!("network/conv-bn-relu/{name}"),
            inputs(&shapes),
            build,
        );
        case.inexact().bound(BOUND)
    }
}

/// Two convolutions with one weight, each with a normalisation of its own.
fn shared_by_two() -> Case {
    let shapes: [&[usize]; 8] = [
        &[2, 3, 7, 6],
        &[3, 3, 3, 3],
        &[3],
        &[3],
        &[3],
        &[3],
        &[3],
        &[3],
    ];
    let build = move |g: &mut Graph, v: &[Value]| {
        let same = Conv2d::new().padding(1);
        let y = g.conv2d(v[0], v[1], None, same)?;
        let y = normalised(g, y, [v[2], v[3]], [Some(v[4]), None])?;
        let y = g.relu(y)?;
        let y = g.conv2d(y, v[1], None, same)?;
        let y = normalised(g, y, [v[5], v[6]], [None, Some(v[7])])?;
        Ok(vec![g.relu(y)?])
    };
    let case = Case::new("network/conv-bn-relu/shared", inputs(&shapes), build);
    case.inexact().bound(BOUND)
}

/// y normalised by a mean and by the square of a root and a little.
fn normalised(
    g: &mut Graph,
    y: Value,
    [mean, root]: [Value; 2],
    [weight, bias]: [Option<Value>; 2],
) -> Result<Value> {
    let square = g.mul(root, root)?;
    let little = g.fill(g.shape(root)?.clone(), 0.25)?;
    let variance = g.add(square, little)?;
    g.batch_norm(y, [mean, variance], weight, bias, 1e-5)
}
