//! Gradients added up over several batches before they are applied.

use crate::error::{Error, Result};
use crate::graph::{Graph, StateKind, Value};
use crate::ops::Blending;
use crate::tensor::Tensor;

use super::average::same;
use super::optimizer::{Optimizer, advance, assign, counter, joined, name, twin, used};

/// The second half of a step whose gradients come from several batches.
#[derive(Debug, Clone)]
pub struct Applying {
    /// Updates the parameters from the gradients that were added up.
    pub graph: Graph,
    /// The norm of the mean gradients, if they are clipped by it.
    pub norm: Option<Value>,
}

impl Optimizer {
    /// As [`minimize`](Self::minimize), in two graphs over one store: each step of `g` adds its
    /// gradients to the states `grad.NAME`, and a step of the graph that is returned updates the
    /// parameters by their mean over `batches` such steps. Losses that are means over equally many
    /// rows thus give the update of one batch with all of these rows.
    ///
    /// `g` counts batches with the clock `clock`; the other one counts updates with a clock of its
    /// own, `updates`. Schedules and whatever else looks at the number of updates belong there.
    ///
    /// # Errors
    /// As [`minimize`](Self::minimize); `Shape` for no batches.
    ///
    /// ```
    /// use striate::prelude::*;
    /// use striate::train::{Optimizer, Sgd};
    ///
    /// # fn main() -> Result<()> {
    /// let mut g = Graph::new();
    /// let x = g.input("x", Type::f32([1]))?;
    /// let w = g.parameter("w", [1], Init::Constant(1.0))?;
    /// let y = g.mul(w, x)?;
    /// let loss = g.sum(y, &[0], false)?;
    /// let optimizer = Optimizer::new(Sgd::new().lr(0.5));
    /// let applying = optimizer.accumulate(&mut g, loss, 2)?;
    ///
    /// let store = Store::new(&Engine::cpu(), &[&g, &applying.graph], 0)?;
    /// let mut batch = Session::new(&store, &g, &[loss])?;
    /// let mut apply = Session::new(&store, &applying.graph, &[])?;
    /// for x_of_batch in [1.0, 3.0] {
    ///     batch.write(x, &Tensor::f32([1], vec![x_of_batch])?)?;
    ///     batch.run(1)?;
    /// }
    /// apply.run(1)?;
    /// // 1 - 0.5 * (1 + 3) / 2
    /// assert_eq!(store.get("w")?.item()?, 0.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn accumulate(&self, g: &mut Graph, loss: Value, batches: usize) -> Result<Applying> {
        self.accumulate_at(g, loss, batches, |apply| self.rate(apply))
    }

    /// As [`accumulate`](Self::accumulate), at a rate that `learning_rate` makes in the graph that
    /// is returned.
    ///
    /// # Errors
    /// As [`accumulate`](Self::accumulate).
    pub fn accumulate_at(
        &self,
        g: &mut Graph,
        loss: Value,
        batches: usize,
        learning_rate: impl FnOnce(&mut Graph) -> Result<Value>,
    ) -> Result<Applying> {
        if batches == 0 {
            return Err(Error::shape(
                "accumulate: an update takes at least one batch",
            ));
        }
        let members = self.members(g)?;
        let (members, grads) = used(g, loss, &members)?;
        let params = joined(&members);
        let sums = params
            .iter()
            .map(|&p| twin(g, "grad", p, StateKind::Gradient, 0.0));
        let sums = sums.collect::<Result<Vec<_>>>()?;
        let taken = counter(g, "accumulated")?;
        let added = g.blend(Blending::Sum, &sums, &grads, taken)?;
        assign(g, &sums, &added)?;
        advance(g, taken)?;
        let clock = g.clock()?;
        advance(g, clock)?;

        let mut apply = Graph::new();
        let updates = counter(&mut apply, "updates")?;
        apply.set_clock(updates)?;
        let mut own = Vec::new();
        for member in &members {
            let mut params = Vec::new();
            for &param in &member.params {
                params.push(declare(&mut apply, g, param)?);
            }
            own.push(member.with(params));
        }
        let params = joined(&own);
        let sums = params
            .iter()
            .map(|&p| twin(&mut apply, "grad", p, StateKind::Gradient, 0.0));
        let sums = sums.collect::<Result<Vec<_>>>()?;
        let rate = learning_rate(&mut apply)?;
        let share = apply.constant(Tensor::scalar(1.0 / batches as f32))?;
        let norm = self.update(&mut apply, &own, &sums, rate, Some(share))?;
        let taken = counter(&mut apply, "accumulated")?;
        let none = apply.constant(Tensor::u32([4], vec![0; 4])?)?;
        apply.assign(taken, none)?;
        advance(&mut apply, updates)?;
        Ok(Applying { graph: apply, norm })
    }
}

/// The parameter `param` of `from`, in another graph.
fn declare(g: &mut Graph, from: &Graph, param: Value) -> Result<Value> {
    let wanted = name(from, param)?;
    let Some(state) = from.states().iter().find(|s| s.name == wanted) else {
        let param = from.describe(param);
        return Err(Error::graph(format!("accumulate: {param} is not a state")));
    };
    let own = same(g, state)?;
    g.set_group(own, state.group)?;
    Ok(own)
}
