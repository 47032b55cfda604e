//! The reference against itself: its gradients against differences, its adjoints, all in `f64`.

use std::sync::Arc;

use super::numbers::{Built, Given, Numbers, arrays, build};
use super::{Case, mismatch};
use crate::error::Result;
use crate::graph::Value;
use crate::reference::evaluate;
use crate::rng::{Stream, stream_of};
use crate::tensor::Array;

/// Step, absolute and relative tolerance of PyTorch's `torch.autograd.gradcheck`.
const EPS: f64 = 1e-6;
const ATOL: f64 = 1e-5;
const RTOL: f64 = 1e-3;

/// Elements of an input that are moved if it has more than twice as many.
const SUBSET: usize = 24;

/// Holds the case's gradients against central differences on its real-valued inputs; returns how
/// many derivatives were compared.
///
/// Of inputs with many elements a fixed random subset is moved.
///
/// # Errors
/// `Mismatch` with the first derivative that differs by more than 1e-5 + 1e-3 of it; what building
/// the case says.
pub fn derivatives(case: &Case) -> Result<usize> {
    let built = build(case)?;
    let mut given = real(case, &built)?;
    let gradients = evaluate(&built.graph, &given, &built.gradients, 1)?;
    let mut compared = 0;
    for (&input, gradient) in case.wrt.iter().zip(gradients) {
        let value = built.inputs[input];
        let at = given[&value].clone();
        if gradient.ty() != at.ty() {
            return Err(mismatch(format!(
                "{}: gradient of input {input} is {}, the input {}",
                case.name,
                gradient.ty(),
                at.ty()
            )));
        }
        for i in subset(&case.name, at.ty().count()) {
            let mut moved = |step: f64| {
                let mut x = at.floats().to_vec();
                x[i] += step;
                given.insert(value, Arc::new(Array::float(at.shape().clone(), x)));
                projection(&built, &given)
            };
            let numeric = (moved(EPS)? - moved(-EPS)?) / (2.0 * EPS);
            let analytic = gradient.floats()[i];
            let near = (numeric - analytic).abs() <= ATOL + RTOL * numeric.abs();
            if !near {
                return Err(mismatch(format!(
                    "{}: gradient of input {input}, element {i}: {analytic} by the graph, \
                     {numeric} by differences",
                    case.name
                )));
            }
            compared += 1;
        }
        given.insert(value, at);
    }
    Ok(compared)
}

/// Holds <f(x), dy> against <x, f^T(dy)> for every input in `case.wrt`; returns how many products
/// were compared.
///
/// # Errors
/// `Mismatch` if two products differ by more than 1e-10 of their size; what building the case says.
pub fn adjoint(case: &Case) -> Result<usize> {
    let built = build(case)?;
    let given = real(case, &built)?;
    let forward = projection(&built, &given)?;
    let size = projection(&built, &built.absolute(case, &given))?.abs();
    let gradients = evaluate(&built.graph, &given, &built.gradients, 1)?;
    for (&input, gradient) in case.wrt.iter().zip(gradients) {
        let backward = dot(&given[&built.inputs[input]], &gradient);
        let near = (forward - backward).abs() <= 1e-10 * size;
        if !near {
            return Err(mismatch(format!(
                "{}: <f(x), dy> is {forward}, <x, f^T(dy)> for input {input} is {backward}",
                case.name
            )));
        }
    }
    Ok(case.wrt.len())
}

fn real(case: &Case, built: &Built) -> Result<Given> {
    arrays(&[built.draw(case, Numbers::Real)?, built.states()?].concat())
}

/// The outputs projected on the given gradients of the outputs.
fn projection(built: &Built, given: &Given) -> Result<f64> {
    let (outputs, dy): (Vec<Value>, Vec<Value>) = built.seeds.iter().copied().unzip();
    let outputs = evaluate(&built.graph, given, &outputs, 1)?;
    let parts = outputs.iter().zip(dy).map(|(y, dy)| dot(y, &given[&dy]));
    Ok(parts.sum())
}

fn dot(a: &Array, b: &Array) -> f64 {
    let products = a.floats().iter().zip(b.floats()).map(|(a, b)| a * b);
    products.sum()
}

/// Up to [`SUBSET`] different elements of `count`, or all if they are few.
fn subset(name: &str, count: usize) -> Vec<usize> {
    let stream = Stream::new(1, stream_of(name), 0);
    let mut order: Vec<usize> = (0..count).collect();
    if count > 2 * SUBSET {
        order.sort_by_key(|&i| stream.word(i as u64));
        order.truncate(SUBSET);
    }
    order
}
