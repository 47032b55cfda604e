//! Training as graph: gradients, optimizers with groups, clipping and averages, accumulation,
//! schedules; and a classifier trained on a resident data set.

mod accumulate;
mod adam;
mod assemble;
mod average;
mod batch;
mod builder;
mod changes;
mod classifier;
mod confusion;
mod depth;
mod features;
mod followed;
mod group;
mod method;
mod muon;
mod normalise;
mod observer;
mod optimizer;
pub mod schedule;
mod settings;
mod steps;
mod streaming;
mod task;
mod thaw;
#[cfg(not(target_arch = "wasm32"))]
mod trainer;

pub use accumulate::Applying;
pub use adam::{Adam, AdamW};
pub use average::{average_name, averaging, swap_averages};
#[cfg(all(feature = "interop", not(target_arch = "wasm32")))]
pub(crate) use batch::About;
pub use builder::ClassifierBuilder;
pub use classifier::{Classifier, ClassifierOptions, Metrics};
pub use confusion::Confusion;
pub use features::Features;
pub use group::Group;
pub use method::Method;
pub use muon::Muon;
pub use normalise::Normalise;
#[cfg(not(target_arch = "wasm32"))]
pub use observer::{CsvLog, JsonLines, TensorBoard, Terminal};
pub use observer::{Ended, EpochRecord, Event, Observer, RunInfo, Scalar, StepRecord};
#[cfg(feature = "data")]
pub(crate) use observer::{digits, duration};
pub use optimizer::Optimizer;
pub use schedule::{constant, warmup_cosine};
pub use settings::{Adagrad, RmsProp, Sgd};
pub use streaming::Streamed;
pub use task::{Better, Classification, Counted, Objective, Regression, Segmentation, Task};
#[cfg(not(target_arch = "wasm32"))]
pub use thaw::thaw;
pub use thaw::thaw_async;
#[cfg(not(target_arch = "wasm32"))]
pub use trainer::{Evaluation, Fitted, Plateau, Stop, Trainer, TrainerBuilder};
#[cfg(all(feature = "interop", not(target_arch = "wasm32")))]
pub(crate) use trainer::{Keeper, Kept, PlateauState, Setting, TrainerState};

use crate::error::{Error, Result};
use crate::graph::{Graph, Init, State, StateKind, Value};
use crate::ops::Rule;
use crate::shape::Type;
use crate::tensor::Tensor;
use optimizer::Member;

/// Extends `g` by a training step that makes `loss` smaller ([`Optimizer::minimize`]).
///
/// ```
/// use striate::prelude::*;
/// use striate::train::{Sgd, minimize};
///
/// # fn main() -> Result<()> {
/// let mut g = Graph::new();
/// let w = g.parameter("w", [1], Init::Constant(3.0))?;
/// let square = g.mul(w, w)?;
/// let loss = g.sum(square, &[0], false)?;
/// minimize(&mut g, loss, Sgd::new().lr(0.1).momentum(0.9))?;
///
/// let store = Store::new(&Engine::cpu(), &[&g], 0)?;
/// let mut session = Session::new(&store, &g, &[loss])?;
/// session.run(1)?;
/// assert_eq!(session.read(loss)?.item()?, 9.0);
/// // The host may set the rate between steps.
/// store.set("learning_rate", &Tensor::scalar(0.01))?;
/// session.run(1)?;
/// assert!(session.read(loss)?.item()? < 9.0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`Optimizer::minimize`].
pub fn minimize(
    g: &mut Graph,
    loss: Value,
    optimizer: impl Into<Optimizer>,
) -> Result<Option<Value>> {
    optimizer.into().minimize(g, loss)
}

/// As [`Optimizer::minimize_at`], for the parameters `params` alone and with one rule for all of
/// them.
///
/// # Errors
/// As [`Optimizer::minimize`]; `Graph` if one of `params` is not a state, or is frozen.
pub fn minimize_params(
    g: &mut Graph,
    loss: Value,
    params: &[Value],
    rule: impl Into<Rule>,
    learning_rate: Value,
) -> Result<()> {
    if let Some(frozen) = g
        .states()
        .iter()
        .find(|s| s.frozen && params.contains(&s.value))
    {
        return Err(Error::graph(format!(
            "minimize_params: parameter \"{}\" is frozen",
            frozen.name
        )));
    }
    let rule = rule.into();
    let members = [Member::new(rule, params)];
    Optimizer::new(rule).minimize_members(g, loss, &members, learning_rate)?;
    Ok(())
}

/// A learning rate that the host sets by name: the state `learning_rate`.
pub fn learning_rate(g: &mut Graph, initial: f32) -> Result<Value> {
    let init = Init::Constant(initial);
    g.state(
        "learning_rate",
        Type::f32([]),
        StateKind::Scalar,
        init,
        None,
    )
}

/// A learning rate looked up by the clock's step in a table that lies on the device: the state
/// `learning_rates`. After the last entry it stays there.
pub fn scheduled(g: &mut Graph, table: Vec<f32>) -> Result<Value> {
    let table = Tensor::f32([table.len()], table)?;
    let ty = table.ty().clone();
    let init = Init::Tensor(table.into());
    let table = g.state("learning_rates", ty, StateKind::Data, init, None)?;
    g.lookup(table)
}

/// The parameters that a graph declares and that are not frozen, in order.
pub fn parameters(g: &Graph) -> Vec<Value> {
    trained(g).map(|state| state.value).collect()
}

fn trained(g: &Graph) -> impl Iterator<Item = &State> {
    let parameters = g.states().iter();
    parameters.filter(|state| state.kind == StateKind::Parameter && !state.frozen)
}
