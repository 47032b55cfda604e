//! Training as graph: gradients, optimizer updates, schedules; and a classifier trained on a resident data set.

mod classifier;
mod schedule;

pub use classifier::{Classifier, ClassifierOptions, Metrics};
pub use schedule::{constant, warmup_cosine};

use crate::autodiff::gradients;
use crate::error::{Error, Result};
use crate::graph::{Graph, Init, Kind, Source, Value};
use crate::ops::Rule;
use crate::shape::Type;
use crate::tensor::Tensor;

/// Extends a graph by one training step: gradients of `loss` with respect to the parameters `params`, kept as states
/// `grad.NAME`, an update by `rule` with its moments as states `moment1.NAME` and so on, and the clock's advance.
///
/// `learning_rate` is an `f32 []`: a state of the caller's (see [`learning_rate`]) or a [`scheduled`] value.
///
/// # Errors
/// `Graph` if one of `params` is not a state; whatever [`gradients`] returns.
pub fn minimize(
    g: &mut Graph,
    loss: Value,
    params: &[Value],
    rule: Rule,
    learning_rate: Value,
) -> Result<()> {
    let grads = gradients(g, loss, params)?;
    let mut moments = vec![Vec::new(); rule.moments()];
    for (&param, &grad) in params.iter().zip(&grads) {
        let Source::State(index) = *g.source(param)? else {
            return Err(Error::graph(format!("minimize: {param} is not a state")));
        };
        let (name, ty) = (g.states()[index].name.clone(), g.ty(param)?.clone());
        let mut twin = |prefix: &str, kind| {
            let name = format!("{prefix}.{name}");
            g.state(&name, ty.clone(), kind, Init::Constant(0.0), Some(param))
        };
        for (number, states) in (1u8..).zip(&mut moments) {
            states.push(twin(&format!("moment{number}"), Kind::Moment(number))?);
        }
        let kept = twin("grad", Kind::Gradient)?;
        g.assign(kept, grad)?;
    }
    let updated = g.update(rule, params, &grads, &moments, learning_rate)?;
    for (&param, &new) in params.iter().zip(&updated.params) {
        g.assign(param, new)?;
    }
    for (states, new) in moments.iter().zip(&updated.moments) {
        for (&state, &new) in states.iter().zip(new) {
            g.assign(state, new)?;
        }
    }
    // Several calls, for parameters with rules of their own, advance one clock.
    let clock = g.clock()?;
    if g.assigns().iter().all(|&(state, _)| state != clock) {
        let next = g.advance(clock)?;
        g.assign(clock, next)?;
    }
    Ok(())
}

/// A learning rate that the host sets by name: the state `learning_rate`.
pub fn learning_rate(g: &mut Graph, initial: f32) -> Result<Value> {
    let init = Init::Constant(initial);
    g.state("learning_rate", Type::f32([]), Kind::Scalar, init, None)
}

/// A learning rate looked up by the clock's step in a table that lies on the device: the state `learning_rates`.
/// After the last entry it stays there.
pub fn scheduled(g: &mut Graph, table: Vec<f32>) -> Result<Value> {
    let table = Tensor::f32([table.len()], table)?;
    let ty = table.ty().clone();
    let init = Init::Tensor(table.into());
    let table = g.state("learning_rates", ty, Kind::Data, init, None)?;
    g.lookup(table)
}

/// The parameters that a graph declares, in order.
pub fn parameters(g: &Graph) -> Vec<Value> {
    let parameters = g.states().iter().filter(|s| s.kind == Kind::Parameter);
    parameters.map(|s| s.value).collect()
}
