//! The cases whose speed counts: shapes of LeNet-5, VGG-16 (Simonyan and Zisserman 2014), ResNet-18
//! and ResNet-50 (He et al. 2015), MobileNet's depthwise layers, and the plain ones that other
//! libraries quote.

mod conv;
mod loss;
mod matmul;
mod norm;
mod peak;
mod pointwise;
mod pool;
mod reduce;
mod timed;
mod update;

use striate::autodiff::gradients_from;
use striate::check::{Case, Input};
use striate::error::{Error, ErrorKind, Result};
use striate::graph::{Graph, Value};
use striate::kernel::Caps;
use striate::plan::{Plan, PlanOptions, StateLayout, Step};

pub use peak::{Peak, PeakCase};
pub use timed::{MOST_STEPS, TimedCase, Times, error};

/// A case with the work it is.
pub struct Bench {
    /// As `--case` of the bench takes it.
    pub name: String,
    /// What runs.
    pub case: Case,
    /// The same with as few rows as make the reference bearable: for its error.
    pub sample: Case,
    /// Floating-point operations; a multiply-add is two.
    pub flops: f64,
    /// Bytes of all operands and results, each once.
    pub bytes: f64,
}

impl Bench {
    /// What would run on a device with these capabilities.
    ///
    /// # Errors
    ///
    /// Those of building and planning the case.
    pub fn steps(&self, caps: &Caps) -> Result<Vec<Step>> {
        let mut graph = Graph::new();
        let inputs = self.case.inputs.iter().enumerate();
        let inputs = inputs
            .map(|(i, input)| graph.input(&format!("x{i}"), input.ty.clone()))
            .collect::<Result<Vec<_>>>()?;
        let fetched = (self.case.build)(&mut graph, &inputs)?;
        let states = StateLayout::new(&[&graph], caps.max_binding)?;
        Ok(Plan::new(&graph, &states, &fetched, caps, PlanOptions::default())?.steps)
    }
}

/// All of them.
pub fn benches() -> Vec<Bench> {
    [
        matmul::benches(),
        conv::benches(),
        pool::benches(),
        norm::benches(),
        loss::benches(),
        pointwise::benches(),
        reduce::benches(),
        update::benches(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn count(shape: &[usize]) -> f64 {
    shape.iter().product::<usize>() as f64
}

/// A shape as names of cases have it.
fn extents(shape: &[usize]) -> String {
    let extents: Vec<String> = shape.iter().map(ToString::to_string).collect();
    extents.join("x")
}

/// Bytes of the inputs and of as many elements of results.
fn bytes(inputs: &[Input], results: f64) -> f64 {
    let inputs = inputs.iter().map(|input| input.ty.bytes() as f64);
    inputs.sum::<f64>() + 4.0 * results
}

/// Work that reads and writes: `flops` per element of the first operand, and `results` elements of
/// results. `case` has as many rows as it is told; the sample has `sample`.
fn streaming(
    case: impl Fn(usize) -> Case,
    [rows, sample]: [usize; 2],
    flops: f64,
    results: impl Fn(&[Input]) -> f64,
) -> Bench {
    let full = case(rows);
    Bench {
        name: full.name.clone(),
        flops: flops * full.inputs[0].ty.count() as f64,
        bytes: bytes(&full.inputs, results(&full.inputs)),
        sample: case(sample),
        case: full,
    }
}

/// As many results as the first operand has elements.
fn same(inputs: &[Input]) -> f64 {
    inputs[0].ty.count() as f64
}

/// The gradient of `wrt` where that of `y` is `dy`.
fn gradient(g: &mut Graph, y: Value, dy: Value, wrt: Value) -> Result<Value> {
    let found = gradients_from(g, &[(y, dy)], &[wrt])?;
    found
        .into_iter()
        .flatten()
        .next()
        .ok_or_else(|| Error::new(ErrorKind::NotDifferentiable, "the case has no gradient"))
}
