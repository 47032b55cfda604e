//! Batch, instance, group, layer, RMS and local response normalisation.

use striate::check::{Bound, Case, Draw, Input, drawn, real};
use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{LocalResponseNorm, Moments, NormStatistics, Normalize, Over};
use striate::shape::Shape;

/// PyTorch's default.
const EPS: f32 = 1e-5;

/// 2^-24: half a unit in the last place, relative.
const HALF: f64 = 1.0 / 16_777_216.0;

/// Longest chain of additions in a sum of `terms` terms: chunks of at least 8 loads of one or four
/// elements, or an eighth of them, one after the other.
fn chain(terms: usize) -> f64 {
    terms.min(24 + terms / 8) as f64
}

/// What y may be off, relative to its largest element. A variance whose sums are `chain` additions
/// long, about a mean taken from the data, is good to chain * 2^-24 (Chan, Golub and LeVeque 1983),
/// its root to half of that, inverseSqrt to 2 ULP (WGSL 15.7.4), and four roundings follow. The
/// mean is rounded when it is found and when it is stored, each time by 2^-24 of itself, which is
/// `far` standard deviations.
fn forward(set: usize, far: f64) -> Bound {
    Bound::Norm(forward_share(set, far))
}

fn forward_share(set: usize, far: f64) -> f64 {
    (chain(set) / 2.0 + 16.0 + 2.0 * far) * HALF
}

/// What a gradient may be off, relative to its largest element: sums of up to `terms` terms, good
/// to (chain + 8) * 2^-24 of the sum of their magnitudes, which random signs cancel to 1 /
/// sqrt(terms) of it; the terms carry the errors of the normalised x.
fn backward(terms: usize, far: f64) -> Bound {
    let cancelled = (terms as f64).sqrt();
    Bound::Norm((chain(terms) + 24.0 + 4.0 * far) * cancelled * HALF)
}

/// Sets of few elements may have hardly any variance, and the gradient through them all but
/// vanishes; a larger eps keeps both well away from rounding.
fn eps_for(set: usize) -> f32 {
    if set < 8 { 0.5 } else { EPS }
}

/// Weight and bias, as far as there are any.
#[derive(Clone, Copy, PartialEq)]
struct Affine {
    weight: bool,
    bias: bool,
}

const NONE: Affine = Affine {
    weight: false,
    bias: false,
};
const WEIGHT: Affine = Affine {
    weight: true,
    bias: false,
};
const BIAS: Affine = Affine {
    weight: false,
    bias: true,
};
const BOTH: Affine = Affine {
    weight: true,
    bias: true,
};

impl Affine {
    fn name(self) -> &'static str {
        match (self.weight, self.bias) {
            (false, false) => "plain",
            (true, false) => "weight",
            (false, true) => "bias",
            (true, true) => "affine",
        }
    }

    /// Their inputs.
    fn inputs(self, shape: &Shape) -> Vec<Input> {
        let count = usize::from(self.weight) + usize::from(self.bias);
        vec![real(shape.clone()); count]
    }

    /// Their values among those after `first`.
    fn values(self, values: &[Value], first: usize) -> [Option<Value>; 2] {
        let at = |has: bool, i: usize| has.then(|| values[first + i]);
        [at(self.weight, 0), at(self.bias, usize::from(self.weight))]
    }
}

type Norm = fn(&mut Graph, Value, usize, [Option<Value>; 2], f32) -> Result<Value>;

fn batch(g: &mut Graph, x: Value, _: usize, [w, b]: [Option<Value>; 2], eps: f32) -> Result<Value> {
    Ok(g.batch_norm_train(x, w, b, eps)?.0)
}

fn instance(
    g: &mut Graph,
    x: Value,
    _: usize,
    [w, b]: [Option<Value>; 2],
    eps: f32,
) -> Result<Value> {
    g.instance_norm(x, w, b, eps)
}

fn group(
    g: &mut Graph,
    x: Value,
    groups: usize,
    [w, b]: [Option<Value>; 2],
    eps: f32,
) -> Result<Value> {
    g.group_norm(x, groups, w, b, eps)
}

fn layer(
    g: &mut Graph,
    x: Value,
    axes: usize,
    [w, b]: [Option<Value>; 2],
    eps: f32,
) -> Result<Value> {
    g.layer_norm(x, axes, w, b, eps)
}

fn rms(
    g: &mut Graph,
    x: Value,
    axes: usize,
    [w, _]: [Option<Value>; 2],
    eps: f32,
) -> Result<Value> {
    g.rms_norm(x, axes, w, eps)
}

/// One use of a normalisation by statistics of its own.
struct Use {
    op: &'static str,
    norm: Norm,
    shape: Shape,
    /// Groups or axes.
    number: usize,
    affine: Affine,
    /// Elements of a set.
    set: usize,
    /// Shape of weight and bias.
    weights: Shape,
}

impl Use {
    fn batch(shape: &[usize], affine: Affine) -> Self {
        Self {
            op: "batch_norm",
            norm: batch,
            shape: shape.into(),
            number: 0,
            affine,
            set: shape.iter().product::<usize>() / shape[1].max(1),
            weights: [shape[1]].into(),
        }
    }

    fn instance(shape: &[usize], affine: Affine) -> Self {
        Self {
            op: "instance_norm",
            norm: instance,
            set: shape[2..].iter().product(),
            ..Self::batch(shape, affine)
        }
    }

    fn group(shape: &[usize], groups: usize, affine: Affine) -> Self {
        Self {
            op: "group_norm",
            norm: group,
            number: groups,
            set: shape[1..].iter().product::<usize>() / groups,
            ..Self::batch(shape, affine)
        }
    }

    fn layer(shape: &[usize], axes: usize, affine: Affine) -> Self {
        let last = &shape[shape.len() - axes..];
        Self {
            op: "layer_norm",
            norm: layer,
            shape: shape.into(),
            number: axes,
            affine,
            set: last.iter().product(),
            weights: last.into(),
        }
    }

    fn rms(shape: &[usize], axes: usize, affine: Affine) -> Self {
        Self {
            op: "rms_norm",
            norm: rms,
            ..Self::layer(shape, axes, affine)
        }
    }

    fn name(&self, more: &str) -> String {
        let number = match self.op {
            "group_norm" => format!("/groups {}", self.number),
            "layer_norm" | "rms_norm" => format!("/axes {}", self.number),
            _ => String::new(),
        };
        format!(
            "{}/{}{number}/{}{more}",
            self.op,
            self.shape,
            self.affine.name()
        )
    }

    /// The longest sum of the gradients.
    fn terms(&self) -> usize {
        let shared = self.shape.count() / self.weights.count().max(1);
        self.set.max(shared).max(1)
    }

    fn inputs(&self, draw: Draw) -> Vec<Input> {
        let x = drawn(self.shape.clone(), draw);
        let affine = self.affine.inputs(&self.weights);
        [vec![x], affine].concat()
    }

    /// On fractions, with all gradients.
    fn case(self) -> Case {
        let (norm, number, affine, eps) = (self.norm, self.number, self.affine, eps_for(self.set));
        let inputs = self.inputs(Draw::Real);
        // The x of a set of one does not matter.
        let first = usize::from(self.set == 1);
        let wrt: Vec<usize> = (first..inputs.len()).collect();
        Case::new(self.name(""), inputs, move |g, v| {
            let affine = affine.values(v, 1);
            Ok(vec![norm(g, v[0], number, affine, eps)?])
        })
        .inexact()
        .bound(forward(self.set, 0.0))
        .gradients(&wrt, backward(self.terms(), 0.0))
    }

    /// With `offset` added to x, which keeps every digit of its 64ths.
    fn offset(self, offset: f32) -> Case {
        let (norm, number, affine, eps) = (self.norm, self.number, self.affine, eps_for(self.set));
        let inputs = self.inputs(Draw::Distinct);
        let wrt: Vec<usize> = (0..inputs.len()).collect();
        // All different by 1/64, n of them have a standard deviation of n / 64 / sqrt(12); a set
        // has about that of all.
        let deviation = self.shape.count() as f64 / 64.0 / 12f64.sqrt();
        let far = f64::from(offset.abs()) / deviation;
        Case::new(
            self.name(&format!("/offset {offset}")),
            inputs,
            move |g, v| {
                let offset = g.fill([], offset)?;
                let x = g.add(v[0], offset)?;
                Ok(vec![norm(g, x, number, affine.values(v, 1), eps)?])
            },
        )
        .inexact()
        .bound(forward(self.set, far))
        .gradients(&wrt, backward(self.terms(), far))
    }

    /// With NaN and infinities in x: their sets are lost, no others.
    fn special(self) -> Case {
        let (norm, number, affine, eps) = (self.norm, self.number, self.affine, eps_for(self.set));
        let inputs = self.inputs(Draw::Special);
        let wrt: Vec<usize> = (0..inputs.len()).collect();
        Case::new(self.name("/special"), inputs, move |g, v| {
            let affine = affine.values(v, 1);
            Ok(vec![norm(g, v[0], number, affine, eps)?])
        })
        .inexact()
        .bound(forward(self.set, 0.0))
        .gradients(&wrt, backward(self.terms(), 0.0))
    }

    fn over(&self) -> Over {
        match self.op {
            "batch_norm" => Over::Batch,
            "instance_norm" => Over::Instance,
            "group_norm" => Over::Groups(self.number),
            _ => Over::Last(self.number),
        }
    }

    /// Plus another operand, on either side, or none, then relu or not: in parts, which the plan
    /// fuses, and as one op.
    fn ended(self, residual: Option<usize>, relu: bool, draw: Draw) -> Case {
        let (norm, number, affine, eps) = (self.norm, self.number, self.affine, eps_for(self.set));
        let over = self.over();
        let moments = match self.op {
            "rms_norm" => Moments::MeanSquare,
            _ => Moments::MeanVariance,
        };
        let fused = Normalize {
            over,
            eps,
            own: Some(moments),
            weight: affine.weight,
            bias: affine.bias,
            residual: residual.is_some(),
            relu,
        };
        // NaN in x takes its whole set along: beside a residual, that is what has some.
        let mut inputs = self.inputs(match residual {
            Some(_) => Draw::Real,
            None => draw,
        });
        let last = inputs.len();
        inputs.extend(residual.map(|_| drawn(self.shape.clone(), draw)));
        let side = residual.map_or("none".to_owned(), |side| side.to_string());
        let special = if draw == Draw::Special {
            "/special"
        } else {
            ""
        };
        let name = self.name(&format!("/residual {side}, relu {relu}{special}"));
        Case::new(name, inputs, move |g, v| {
            let mut y = norm(g, v[0], number, affine.values(v, 1), eps)?;
            if let Some(side) = residual {
                let mut sum = [y, v[last]];
                sum.rotate_left(side);
                y = g.add(sum[0], sum[1])?;
            }
            let y = if relu { g.relu(y)? } else { y };
            let statistics = g.apply1(NormStatistics { over, moments }, &[v[0]])?;
            let inputs = [&[v[0], statistics], &v[1..]].concat();
            Ok(vec![y, g.apply1(fused, &inputs)?])
        })
        .inexact()
        // A sum may be half as large as what is added, and relu may take away the largest element.
        .bound(Bound::Norm(2.0 * forward_share(self.set, 0.0)))
    }

    /// Linear in the weight: the adjoint test.
    fn adjoint(self) -> Case {
        let (norm, number, eps) = (self.norm, self.number, eps_for(self.set));
        let inputs = self.inputs(Draw::Real);
        Case::new(self.name("/adjoint"), inputs, move |g, v| {
            Ok(vec![norm(g, v[0], number, [Some(v[1]), None], eps)?])
        })
        .inexact()
        .bound(forward(self.set, 0.0))
        .gradients(&[1], backward(self.terms(), 0.0))
        .linear()
    }
}

/// A variance: squares and a little more.
fn positive(g: &mut Graph, v: Value) -> Result<Value> {
    let square = g.mul(v, v)?;
    let little = g.fill([], 0.25)?;
    g.add(square, little)
}

/// Batch normalisation with given statistics.
fn given(shape: &[usize], affine: Affine, draw: Draw) -> Case {
    let channels = Shape::from([shape[1]]);
    let x = vec![
        drawn(shape, draw),
        real(channels.clone()),
        real(channels.clone()),
    ];
    let inputs = [x, affine.inputs(&channels)].concat();
    let mut wrt: Vec<usize> = (0..inputs.len()).collect();
    wrt.retain(|i| !(1..3).contains(i));
    let shape = Shape::from(shape);
    let terms = shape.count() / shape[1].max(1);
    let special = if draw == Draw::Special {
        "/special"
    } else {
        ""
    };
    let name = format!("batch_norm/{shape}/given/{}{special}", affine.name());
    Case::new(name, inputs, move |g, v| {
        let variance = positive(g, v[2])?;
        let [weight, bias] = affine.values(v, 3);
        Ok(vec![g.batch_norm(
            v[0],
            [v[1], variance],
            weight,
            bias,
            EPS,
        )?])
    })
    .inexact()
    .bound(forward(0, 0.0))
    .gradients(&wrt, backward(terms.max(1), 0.0))
}

/// Batch normalisation with given statistics, the mean 0: linear in x and in the weight.
fn given_linear(shape: &[usize]) -> Case {
    let channels = Shape::from([shape[1]]);
    let inputs = vec![real(shape), real(channels.clone()), real(channels.clone())];
    let shape = Shape::from(shape);
    let terms = shape.count() / shape[1].max(1);
    let name = format!("batch_norm/{shape}/given/adjoint");
    Case::new(name, inputs, move |g, v| {
        let mean = g.fill(channels.clone(), 0.0)?;
        let variance = positive(g, v[1])?;
        Ok(vec![g.batch_norm(
            v[0],
            [mean, variance],
            Some(v[2]),
            None,
            EPS,
        )?])
    })
    .inexact()
    .bound(forward(0, 0.0))
    .gradients(&[0, 2], backward(terms.max(1), 0.0))
    .linear()
}

/// Statistics of a batch, and running ones after it.
fn running(shape: &[usize], momentum: f32) -> Case {
    let channels = Shape::from([shape[1]]);
    let inputs = vec![real(shape), real(channels.clone()), real(channels)];
    let shape = Shape::from(shape);
    let set = shape.count() / shape[1].max(1);
    let name = format!("running_statistics/{shape}/momentum {momentum}");
    Case::new(name, inputs, move |g, v| {
        let variance = positive(g, v[2])?;
        let (_, statistics) = g.batch_norm_train(v[0], None, None, EPS)?;
        let [mean, variance] =
            g.running_statistics([v[1], variance], statistics, v[0], momentum)?;
        // In place where nobody else reads them.
        let before = g.scale(v[1], 1.0)?;
        let [again, _] = g.running_statistics([before, variance], statistics, v[0], momentum)?;
        Ok(vec![statistics, mean, variance, again])
    })
    .inexact()
    .bound(forward(2 * set, 0.0))
}

/// Running statistics after given ones, which one binding does not hold where a row of x just fits.
fn running_only(channels: usize) -> Case {
    let inputs = vec![
        real([2, channels]),
        real([channels]),
        real([channels]),
        real([channels, 2]),
    ];
    let name = format!("running_statistics/[2, {channels}]/given");
    Case::new(name, inputs, |g, v| {
        Ok(g.running_statistics([v[1], v[2]], v[3], v[0], 0.1)?
            .to_vec())
    })
    .inexact()
    .bound(forward(2, 0.0))
    .whole("running_statistic: f32")
}

fn response(shape: &[usize], norm: LocalResponseNorm) -> Case {
    let LocalResponseNorm {
        size,
        alpha,
        beta,
        k,
    } = norm;
    let shape = Shape::from(shape);
    let name = format!("local_response_norm/{shape}/size {size}/{alpha},{beta},{k}");
    // d is a sum of `size` squares, log2 is good to 2^-21 within [0.5, 2] and to 3 ULP elsewhere,
    // exp2(x) to 3 + 2|x| ULP (WGSL 15.7.4), |x| being beta * |log2(d)|, at most 2 * (beta + 1)
    // here, and d^beta is off by beta times what d is.
    let power = f64::from(beta) + 1.0;
    let terms = size.min(shape[1]) as f64;
    let relative = (power * (terms + 8.0 + 8.0) + 2.0 * (3.0 + 4.0 * power) + 8.0) * HALF;
    Case::new(name, vec![real(shape)], move |g, v| {
        Ok(vec![g.local_response_norm(v[0], norm)?])
    })
    .inexact()
    .bound(Bound::Norm(relative))
    // The two terms of the gradient may cancel to a quarter.
    .gradients(&[0], Bound::Norm(4.0 * (relative + terms * HALF)))
}

fn batch_norm() -> Vec<Case> {
    let shapes: [&[usize]; 20] = [
        &[4, 3],
        &[5, 4],
        &[9, 8],
        &[13, 7],
        &[2, 3, 5],
        &[4, 2, 8],
        &[1, 3, 7],
        &[9, 4, 1],
        &[2, 3, 4, 4],
        &[3, 2, 5, 7],
        &[1, 4, 6, 6],
        &[8, 3, 1, 1],
        &[2, 5, 7, 7],
        &[3, 8, 2, 2],
        &[31, 3, 2, 2],
        &[2, 3, 2, 3, 4],
        &[1, 2, 3, 3, 3],
        &[301, 4],
        &[257, 3],
        &[0, 3, 4, 4],
    ];
    let mut cases = Vec::new();
    for (i, shape) in shapes.into_iter().enumerate() {
        cases.push(Use::batch(shape, BOTH).case());
        cases.push(Use::batch(shape, [NONE, WEIGHT, BIAS][i % 3]).case());
        cases.push(given(shape, [BOTH, WEIGHT, BIAS, NONE][i % 4], Draw::Real));
    }
    // A channel in many chunks; more channels than a workgroup has invocations.
    cases.push(Use::batch(&[2, 2, 61, 68], BOTH).case());
    cases.push(Use::batch(&[3, 1, 37, 41], NONE).case());
    cases.push(Use::batch(&[3, 131, 3, 4], BOTH).case());
    for shape in [&[6, 3, 4, 4][..], &[5, 3, 5, 3], &[7, 4]] {
        cases.push(given_linear(shape));
        cases.push(Use::batch(shape, WEIGHT).adjoint());
        cases.push(given(shape, BOTH, Draw::Special));
        cases.push(given(shape, WEIGHT, Draw::Real).special_dy());
        cases.push(Use::batch(shape, WEIGHT).case().special_dy());
        cases.push(Use::batch(shape, BOTH).special());
    }
    for (shape, offset) in [
        (&[7, 3, 5, 5][..], 100.0),
        (&[6, 2, 6, 6], -100.0),
        (&[3, 2, 31, 12], 1000.0),
        (&[128, 4], 100.0),
        (&[67, 5], 100.0),
    ] {
        cases.push(Use::batch(shape, BOTH).offset(offset));
    }
    // Statistics that take more than a row of x.
    cases.push(
        Use::batch(&[2, 64], BOTH)
            .case()
            .whole("batch_norm: f32 [64, 2]"),
    );
    let case = given(&[2, 64], NONE, Draw::Real);
    cases.push(case.whole("statistic_pairs: f32 [64, 2]"));
    cases.push(running_only(64));
    for shape in [&[4, 3, 2, 2][..], &[9, 8], &[2, 5, 7], &[0, 3, 2]] {
        cases.push(running(shape, 0.1));
        cases.push(running(shape, 1.0));
    }
    // In the batch, and in what runs.
    for at in 0..3 {
        cases.push(running(&[4, 5, 3, 2], 0.25).special(at));
    }
    cases
}

fn by_image() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes: [&[usize]; 9] = [
        &[2, 3, 8],
        &[1, 2, 13],
        &[3, 4, 4, 4],
        &[2, 3, 5, 7],
        &[5, 1, 3, 3],
        &[1, 1, 41, 40],
        &[3, 2, 2, 3, 4],
        &[0, 3, 4, 4],
        &[70, 2, 3, 3],
    ];
    for (i, shape) in shapes.into_iter().enumerate() {
        cases.push(Use::instance(shape, NONE).case());
        cases.push(Use::instance(shape, [BOTH, WEIGHT, BIAS][i % 3]).case());
    }
    cases.push(Use::instance(&[4, 3, 3, 4], WEIGHT).adjoint());
    cases.push(Use::instance(&[4, 3, 3, 5], BOTH).special());
    cases.push(Use::instance(&[4, 3, 4, 4], BOTH).special());
    cases.push(Use::instance(&[2, 3, 9, 8], BOTH).offset(100.0));
    cases.push(Use::instance(&[2, 2, 11, 7], NONE).offset(100.0));
    let groups: [(&[usize], usize); 16] = [
        (&[2, 4], 2),
        (&[3, 8], 2),
        (&[3, 12], 1),
        (&[4, 6], 6),
        (&[2, 6, 5], 3),
        (&[1, 4, 8], 4),
        (&[2, 12, 4, 4], 1),
        (&[2, 12, 4, 4], 3),
        (&[2, 12, 4, 4], 12),
        (&[3, 6, 5, 7], 2),
        (&[3, 5, 3, 3], 5),
        (&[3, 4, 1, 1], 2),
        (&[2, 4, 2, 3, 4], 2),
        (&[0, 4, 3, 3], 2),
        (&[1, 8, 19, 20], 1),
        (&[33, 4, 2, 2], 2),
    ];
    for (i, (shape, groups)) in groups.into_iter().enumerate() {
        cases.push(Use::group(shape, groups, BOTH).case());
        cases.push(Use::group(shape, groups, [NONE, WEIGHT, BIAS][i % 3]).case());
    }
    cases.push(Use::group(&[4, 6, 3, 4], 3, WEIGHT).adjoint());
    cases.push(Use::group(&[9, 8], 2, WEIGHT).adjoint());
    cases.push(Use::group(&[4, 6, 3, 5], 2, BOTH).special());
    cases.push(Use::group(&[3, 4, 9, 8], 2, BOTH).offset(100.0));
    cases.push(Use::group(&[3, 6, 7, 5], 2, BOTH).offset(-1000.0));
    cases
}

fn by_last_axes() -> Vec<Case> {
    let mut cases = Vec::new();
    let layers: [(&[usize], usize); 15] = [
        (&[8], 1),
        (&[13], 1),
        (&[3, 8], 1),
        (&[5, 7], 1),
        (&[1, 9], 1),
        (&[4, 6], 2),
        (&[2, 3, 16], 1),
        (&[2, 3, 5], 2),
        (&[5, 4, 3], 2),
        (&[17, 3, 4, 5], 3),
        (&[2, 3, 4, 5], 1),
        (&[3, 2, 2, 3, 4], 2),
        (&[0, 8], 1),
        (&[17, 1027], 1),
        (&[150, 12], 1),
    ];
    for (i, (shape, axes)) in layers.into_iter().enumerate() {
        cases.push(Use::layer(shape, axes, BOTH).case());
        cases.push(Use::layer(shape, axes, [NONE, WEIGHT, BIAS][i % 3]).case());
        cases.push(Use::rms(shape, axes, [WEIGHT, NONE][i % 2]).case());
    }
    // One set of many rows.
    for shape in [[64, 16], [33, 15]] {
        for affine in [NONE, BOTH] {
            cases.push(Use::layer(&shape, 2, affine).case());
        }
        cases.push(Use::rms(&shape, 2, WEIGHT).case());
    }
    cases.push(Use::layer(&[64, 16], 2, BOTH).special());
    cases.push(Use::layer(&[3, 1], 1, BOTH).case());
    cases.push(Use::layer(&[1, 2048], 1, NONE).case());
    for shape in [&[9, 16][..], &[9, 15]] {
        cases.push(Use::layer(shape, 1, WEIGHT).adjoint());
        cases.push(Use::rms(shape, 1, WEIGHT).adjoint());
        cases.push(Use::layer(shape, 1, BOTH).special());
        cases.push(Use::rms(shape, 1, WEIGHT).special());
        cases.push(Use::layer(shape, 1, BOTH).offset(100.0));
    }
    cases
}

fn local_response_norm() -> Vec<Case> {
    let strong = |size| LocalResponseNorm {
        alpha: 2.0,
        ..LocalResponseNorm::new(size)
    };
    let shapes: [&[usize]; 8] = [
        &[2, 3, 5],
        &[1, 7, 8],
        &[2, 5, 3, 3],
        &[3, 8, 2, 2],
        &[1, 1, 4, 4],
        &[2, 6, 2, 3, 2],
        &[0, 3, 2, 2],
        &[67, 3, 3, 3],
    ];
    let mut cases = Vec::new();
    for shape in shapes {
        for size in [1, 2, 5] {
            cases.push(response(shape, strong(size)));
        }
    }
    cases.push(response(&[2, 5, 3, 4], LocalResponseNorm::new(5)));
    // Windows of more channels than llvmpipe takes turns: all of them, so that the reference is
    // cheap.
    let long = response(&[1, 70_001, 1], strong(140_003));
    cases.push(Case {
        name: format!("local_response_norm/long/{}", long.name),
        ..long
    });
    // Long where a device allows few turns; the last one on any.
    for (shape, size) in [([2, 700, 3], 333), ([1, 307, 4], 302), ([2, 1300, 1], 1031)] {
        cases.push(response(&shape, strong(size)));
    }
    for (size, alpha, beta, k) in [
        (3, 1.0, 0.5, 2.0),
        (4, 0.5, 1.0, 1.0),
        (7, 3.0, 2.0, 1.5),
        (20, 1.0, 0.75, 1.0),
    ] {
        let norm = LocalResponseNorm {
            size,
            alpha,
            beta,
            k,
        };
        cases.push(response(&[2, 7, 3, 3], norm));
    }
    for shape in [[3, 5, 4, 4], [3, 5, 3, 5]] {
        let case = response(&shape, strong(3));
        cases.push(Case {
            name: format!("{}/special", case.name),
            inputs: vec![drawn(shape, Draw::Special)],
            ..case
        });
    }
    cases
}

/// With what the plan puts behind a normalisation, for each way to load.
fn ended() -> Vec<Case> {
    let uses = [
        || Use::batch(&[5, 3, 5, 3], BOTH),
        || Use::batch(&[6, 3, 4, 4], NONE),
        || Use::batch(&[7, 4], WEIGHT),
        || Use::instance(&[3, 4, 4, 4], BIAS),
        || Use::group(&[3, 6, 5, 7], 2, BOTH),
        || Use::layer(&[9, 16], 1, BOTH),
        || Use::rms(&[9, 15], 1, WEIGHT),
    ];
    let mut cases = Vec::new();
    for (i, of) in uses.into_iter().enumerate() {
        for draw in [Draw::Real, Draw::Special] {
            cases.push(of().ended(None, true, draw));
            cases.push(of().ended(Some(i % 2), true, draw));
        }
        let case = of().ended(Some((i + 1) % 2), false, Draw::Real);
        // In the middle of a graph y takes the place of x.
        let ended = of().ended(Some(i % 2), true, Draw::Real);
        cases.extend([case, ended.inside()]);
    }
    // One set of all of x, and none.
    cases.push(Use::layer(&[33, 15], 2, NONE).ended(Some(0), true, Draw::Real));
    cases.push(Use::batch(&[0, 3, 2], BOTH).ended(Some(0), true, Draw::Real));
    cases
}

pub fn norm() -> Vec<Case> {
    let families = [
        ended(),
        batch_norm(),
        by_image(),
        by_last_axes(),
        local_response_norm(),
    ];
    families.into_iter().flatten().collect()
}
