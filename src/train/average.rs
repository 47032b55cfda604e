//! Moving averages of parameters: how they are named, and how they take the parameters' place.

use crate::error::Result;
use crate::graph::{Graph, State, StateKind, Value};
use crate::ops::Blending;

use super::optimizer::{advance, assign, average_of, counter};
use super::trained;

/// The state that holds the moving average of the parameter `name`.
pub fn average_name(name: &str) -> String {
    format!("{PREFIX}{name}")
}

const PREFIX: &str = "ema.";

/// A graph whose step takes the parameters of `g` up into their averages, the states `ema.NAME`:
/// for averages that are not made in every step of training, as in stochastic weight averaging
/// (`Blending::Mean`, PyTorch's `AveragedModel.update_parameters`). The store is made from `g` and
/// this graph; the clock `averaged` counts how often it ran.
pub fn averaging(g: &Graph, blending: Blending) -> Result<Graph> {
    let mut averaging = Graph::new();
    let (mut params, mut averages) = (Vec::new(), Vec::new());
    for state in trained(g) {
        let param = same(&mut averaging, state)?;
        averaging.set_group(param, state.group)?;
        averages.push(average_of(&mut averaging, param)?);
        params.push(param);
    }
    let clock = counter(&mut averaging, "averaged")?;
    let new = averaging.blend(blending, &averages, &params, clock)?;
    assign(&mut averaging, &averages, &new)?;
    advance(&mut averaging, clock)?;
    Ok(averaging)
}

/// The same state in another graph.
pub(super) fn same(g: &mut Graph, state: &State) -> Result<Value> {
    let (ty, init) = (state.ty.clone(), state.init.clone());
    g.state(&state.name, ty, state.kind, init, None)
}

/// A graph whose step exchanges each parameter of `g` with its moving average, if it has one: one
/// step before evaluating with the averages, one step after it. `g` is the graph that updates the
/// averages: that of training, of applying accumulated gradients, or of
/// [`averaging`].
///
/// ```
/// use striate::ops::Ema;
/// use striate::prelude::*;
/// use striate::train::{Optimizer, Sgd, average_name, swap_averages};
///
/// # fn main() -> Result<()> {
/// let mut g = Graph::new();
/// let w = g.parameter("w", [1], Init::Constant(4.0))?;
/// let loss = g.sum(w, &[0], false)?;
/// let optimizer = Optimizer::new(Sgd::new().lr(1.0)).average(Ema::new(0.5));
/// optimizer.minimize(&mut g, loss)?;
/// let swap = swap_averages(&g)?;
///
/// let store = Store::new(&Engine::cpu(), &[&g], 0)?;
/// let mut swap = Session::new(&store, &swap, &[])?;
/// // w is 3, then 2; the average 3, then 2.5.
/// Session::new(&store, &g, &[])?.run(2)?;
/// swap.run(1)?;
/// assert_eq!(store.get("w")?.item()?, 2.5);
/// swap.run(1)?;
/// assert_eq!(store.get("w")?.item()?, 2.0);
/// assert_eq!(store.get(&average_name("w"))?.item()?, 2.5);
/// # Ok(())
/// # }
/// ```
pub fn swap_averages(g: &Graph) -> Result<Graph> {
    let mut swap = Graph::new();
    for average in g.states().iter().filter(|s| s.kind == StateKind::Average) {
        let Some(param) = average.like.map(|index| &g.states()[index]) else {
            continue;
        };
        let (param, average) = (same(&mut swap, param)?, same(&mut swap, average)?);
        swap.assign(param, average)?;
        swap.assign(average, param)?;
    }
    Ok(swap)
}
