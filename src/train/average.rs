//! Moving averages of parameters: how they are named, and how they take the parameters' place.

use crate::error::Result;
use crate::graph::{Graph, Kind};

/// The state that holds the moving average of the parameter `name`.
pub fn average_name(name: &str) -> String {
    format!("{PREFIX}{name}")
}

const PREFIX: &str = "ema.";

/// A graph whose step exchanges each parameter of `g` with its moving average, if it has one: one step before evaluating with the
/// averages, one step after it. `g` is the training graph, or the one that applies accumulated gradients.
///
/// ```
/// use striate::ops::{Ema, Rule, Sgd};
/// use striate::prelude::*;
/// use striate::train::{Optimizer, average_name, learning_rate, swap_averages};
///
/// # fn main() -> Result<()> {
/// let mut g = Graph::new();
/// let w = g.parameter("w", [1], Init::Constant(4.0))?;
/// let loss = g.sum(w, &[0], false)?;
/// let rate = learning_rate(&mut g, 1.0)?;
/// let optimizer = Optimizer::new(Rule::Sgd(Sgd::default())).average(Ema::new(0.5));
/// optimizer.minimize(&mut g, loss, rate)?;
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
    for average in g.states().iter().filter(|s| s.kind == Kind::Average) {
        let Some(param) = average.like.map(|index| &g.states()[index]) else {
            continue;
        };
        let values = [param, average].map(|state| {
            let (ty, init) = (state.ty.clone(), state.init.clone());
            swap.state(&state.name, ty, state.kind, init, None)
        });
        let [param, average] = values;
        let (param, average) = (param?, average?);
        swap.assign(param, average)?;
        swap.assign(average, param)?;
    }
    Ok(swap)
}
