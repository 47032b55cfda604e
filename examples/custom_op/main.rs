//! An op from outside the crate, with its own WGSL, reference and gradient, checked and then used
//! in a network: `cargo run --release --example custom_op`.
//!
//! The op is squareplus (Barron 2021, <https://arxiv.org/abs/2112.11687>), a smooth relu without
//! exponentials:
//! y = (x + sqrt(x^2 + b)) / 2.

use std::borrow::Cow;
use std::process::ExitCode;

use striate::check::{Adapter, Bound, Case, Draw, Prepared, derivatives, drawn, real};
use striate::data::{Split, digits};
use striate::error::{Error, ErrorKind, Result};
use striate::gpu::{Engine, GpuOptions};
use striate::graph::{Graph, Node, Op, Value};
use striate::kernel::{Caps, Dispatch, GRID, Io, Kernel, Lowering, Operand, Overrides, overlaps};
use striate::nn::{Build, Conv2d, Flatten, Linear, MaxPool2d, Module, Sequential};
use striate::shape::{DType, Type};
use striate::tensor::Array;
use striate::train::{Adam, Classifier, ClassifierOptions};

// Parameters and builder.

/// y = (x + sqrt(x^2 + b)) / 2, for x of any shape and b > 0.
#[derive(Debug, Clone, Copy)]
struct Squareplus {
    b: f32,
}

/// dx = dy * y / sqrt(x^2 + b), the gradient of [`Squareplus`] from x and dy.
#[derive(Debug, Clone, Copy)]
struct SquareplusGrad {
    b: f32,
}

impl Squareplus {
    fn apply(self, g: &mut Graph, x: Value) -> Result<Value> {
        g.apply1(self, &[x])
    }
}

impl Module for Squareplus {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        self.apply(cx.graph(), x)
    }
}

/// The type of the output: that of all inputs.
fn infer(op: &dyn Op, b: f32, inputs: &[&Type], count: usize) -> Result<Vec<Type>> {
    let problem = match inputs {
        _ if inputs.len() != count => format!("{} inputs, {count} are needed", inputs.len()),
        _ if b.is_nan() || b <= 0.0 => format!("b is {b}, above 0 is needed"),
        [x, ..] if x.dtype != DType::F32 => format!("x is {x}, f32 is needed"),
        [x, dy] if x != dy => format!("dy is {dy}, x is {x}"),
        [x, ..] => return Ok(vec![(*x).clone()]),
        [] => "no input".to_owned(),
    };
    Err(Error::new(
        ErrorKind::Shape,
        format!("{}: {problem}", op.name()),
    ))
}

impl Op for Squareplus {
    fn name(&self) -> &'static str {
        "squareplus"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        infer(self, self.b, inputs, 1)
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let b = f64::from(self.b);
        let x = inputs[0].floats().iter();
        let y = x.map(|x| (x + (x * x + b).sqrt()) / 2.0).collect();
        vec![Array::float(inputs[0].shape().clone(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let dx = g.apply1(SquareplusGrad { b: self.b }, &[at.inputs[0], dy[0]])?;
        Ok(vec![Some(dx)])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let kernel = Kernel::module("squareplus", format!("{FORWARD}{COMMON}{GRID}"), VARIANTS);
        lower(&kernel, self.b, io, out);
        Ok(())
    }
}

impl Op for SquareplusGrad {
    fn name(&self) -> &'static str {
        "squareplus_grad"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        infer(self, self.b, inputs, 2)
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let b = f64::from(self.b);
        let pairs = inputs[0].floats().iter().zip(inputs[1].floats());
        let dx = pairs.map(|(x, dy)| dy * (1.0 + x / (x * x + b).sqrt()) / 2.0);
        vec![Array::float(inputs[0].shape().clone(), dx.collect())]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(Error::new(
            ErrorKind::NotDifferentiable,
            "squareplus_grad: no second derivative was written",
        ))
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let kernel = Kernel::module(
            "squareplus_grad",
            format!("{BACKWARD}{COMMON}{GRID}"),
            VARIANTS,
        );
        lower(&kernel, self.b, io, out);
        Ok(())
    }
}

/// Four elements per invocation; values that exceed a binding come in parts, each a dispatch of its
/// own.
fn lower(kernel: &Kernel, b: f32, io: &Io, out: &mut Lowering) {
    let inputs = io.input_parts.iter();
    let parts: Vec<_> = inputs.chain(&io.output_parts).map(Vec::as_slice).collect();
    for rows in overlaps(&parts) {
        let quads = (io.outputs[0].row() * rows.count).div_ceil(4);
        let mut dispatch = Dispatch::of(Cow::Owned(kernel.clone()), VARIANTS[0]);
        for i in 0..io.inputs.len() {
            dispatch = dispatch.read(Operand::Input(i)).part(rows.part[i]);
        }
        out.push(
            dispatch
                .write(Operand::Output(0))
                .part(rows.part[io.inputs.len()])
                .param("quads", quads)
                .param_f32("b", b)
                .workgroups(quads.div_ceil(64)),
        );
    }
}

const VARIANTS: &[Overrides] = &[&[]];

/// The kernels: each file, what both share, and the library's map of workgroups.
const FORWARD: &str = include_str!("squareplus.wgsl");
const BACKWARD: &str = include_str!("squareplus_grad.wgsl");
const COMMON: &str = include_str!("common.wgsl");

/// How it is used, and how far from the reference a GPU may be: in units in the last place, by the
/// accuracies that WGSL grants.
fn cases() -> Vec<Case> {
    // Multiply, add, square root (3), add, divide (3): 8 for y.
    // For dx y and the root (5), divide, multiply: 17.
    let case = |shape: &[usize], draw, b| {
        Case::new(
            format!("squareplus/{shape:?}/b{b}/{draw:?}"),
            vec![drawn(shape, draw)],
            move |g, x| Ok(vec![Squareplus { b }.apply(g, x[0])?]),
        )
        .bound(Bound::Ulp(8.0))
        .gradients(&[0], Bound::Ulp(17.0))
        .inexact()
    };
    let inside_a_net = Case::new(
        "squareplus/between-convolutions",
        vec![real([2, 3, 6, 6]), real([4, 3, 3, 3]), real([2, 4, 3, 3])],
        |g, v| {
            let y = g.conv2d(v[0], v[1], None, Default::default())?;
            let y = Squareplus { b: 4.0 }.apply(g, y)?;
            Ok(vec![g.conv2d(y, v[2], None, Default::default())?])
        },
    )
    .bound(Bound::Norm(1e-5))
    .gradients(&[0, 1, 2], Bound::Norm(1e-5))
    .inexact();
    vec![
        case(&[1], Draw::Real, 4.0),
        case(&[2, 3, 5, 7], Draw::Real, 4.0),
        case(&[1031], Draw::AwayFromZero, 0.25),
        case(&[0, 3], Draw::Real, 4.0),
        inside_a_net,
    ]
}

fn check() -> Result<()> {
    let cases = cases();
    for case in &cases {
        let compared = derivatives(case)?;
        println!("{}: {compared} derivatives of the reference", case.name);
    }
    let mut adapters = Vec::new();
    for found in Adapter::all(&GpuOptions::default()) {
        match found {
            Ok(adapter) => adapters.push(adapter),
            // One that does not fit says nothing about the others.
            Err(error) => println!("left out: {error:?}"),
        }
    }
    if adapters.is_empty() {
        println!("no adapter was found that fits: only the reference was checked");
    }
    for adapter in &adapters {
        let (mut runs, mut worst): (usize, f64) = (0, 0.0);
        for case in &cases {
            let verdict = adapter.check(&Prepared::new(case)?);
            // A case that the adapter could not run would prove nothing.
            let wrong = verdict.wrong.into_iter().next();
            if let Some(error) = wrong.or(verdict.unsupported) {
                return Err(error.context(&case.name));
            }
            runs += verdict.passed;
            worst = worst.max(verdict.worst);
        }
        let count = cases.len();
        println!(
            "{adapter}: {count} cases passed in {runs} runs, worst error {worst:.2} of its bound"
        );
    }
    Ok(())
}

fn train() -> Result<()> {
    let activation = Squareplus { b: 0.1 };
    let net = Sequential::new()
        .named("conv1", Conv2d::new(1, 8, 5).padding(2))
        .then(activation)
        .then(MaxPool2d::new(2))
        .named("conv2", Conv2d::new(8, 16, 5))
        .then(activation)
        .then(MaxPool2d::new(2))
        .then(Flatten)
        .named("fc", Linear::new(16 * 5 * 5, 10));
    let engine = Engine::new()?;
    let data = Split {
        train: digits(2560, 1)?,
        test: digits(500, 2)?,
    };
    let options = ClassifierOptions {
        test_batch: 500,
        optimizer: Adam::new().lr(0.003).into(),
        seed: 1,
        ..ClassifierOptions::default()
    };
    let mut classifier = Classifier::new(&engine, &net, &data, &options)?;
    println!("training on {}", engine.describe());
    for epoch in 1..=3 {
        classifier.train(classifier.steps_per_epoch())?;
        let loss = classifier.metrics()?.loss;
        let accuracy = classifier.test()?;
        println!(
            "epoch {epoch}: loss {loss:.3}, test accuracy {:.1} %",
            100.0 * accuracy
        );
    }
    Ok(())
}

fn main() -> ExitCode {
    match check().and_then(|()| train()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
