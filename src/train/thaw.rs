//! Going on with other layers frozen: a new store that takes over what the old one holds.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Init, StateKind};
use crate::store::Store;
#[cfg(not(target_arch = "wasm32"))]
use crate::store::blocking;

/// Takes the states of another store over by name: parameters, running statistics, moments, moving
/// averages and clocks. So training goes on where layers thaw, or freeze: the old store is that of
/// a graph in which some are frozen, the new one that of the same network with others frozen.
///
/// It is for stores of one's own graphs and those of a [`Classifier`](super::Classifier). A
/// [`Trainer`](super::Trainer) counts its epochs itself: with the clock of another store and a
/// history that is empty, it would take epochs for done that it has not trained. There, save the
/// old network, and build a new trainer, with other layers frozen, that begins with that file
/// (`TrainerBuilder::begin_with`): its optimizer and its epochs begin anew.
///
/// Moments and kept gradients of layers that were frozen before stay as they begin, usually at
/// zero, while the step and the clock go on; their moving averages begin equal to the parameters.
/// Data sets, tables of rates and counters are those of the new store. Returned are the states that
/// the old one does not have.
///
/// ```
/// use striate::data::{Split, digits};
/// use striate::models::lenet5;
/// use striate::prelude::*;
/// use striate::train::{Classifier, ClassifierOptions, thaw};
///
/// # fn main() -> Result<()> {
/// let data = Split { train: digits(40, 1)?, test: digits(20, 2)? };
/// let options = ClassifierOptions { batch: 20, ..ClassifierOptions::default() };
/// let (engine, model) = (Engine::cpu(), lenet5(10));
/// let builder = || Classifier::builder(&engine, &model, &data).options(options.clone());
/// let mut head = builder().freeze("conv*").build()?;
/// head.train(1)?;
/// // From here on, all of it.
/// let mut whole = builder().build()?;
/// let begun = thaw(head.store(), whole.store())?;
/// assert!(begun.contains(&"moment1.conv1.weight".to_owned()));
/// whole.train(1)?;
/// assert_eq!(whole.position()?, (1, 0));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `Checkpoint` if a parameter or a running statistic is not in the old store, or a state is of
/// another type there: nothing has changed then. `Unsupported` on a borrowed device: await
/// [`thaw_async`] there. Those of the device.
#[cfg(not(target_arch = "wasm32"))]
pub fn thaw(from: &Store, to: &Store) -> Result<Vec<String>> {
    crate::store::expect_own(to.engine())?;
    blocking(from.engine(), thaw_async(from, to))
}

/// As `thaw`, for hosts that cannot block.
///
/// # Errors
/// As `thaw`.
pub async fn thaw_async(from: &Store, to: &Store) -> Result<Vec<String>> {
    let wrong = |message: String| Error::new(ErrorKind::Checkpoint, format!("thaw: {message}"));
    let (mut taken, mut sources, mut begun) = (Vec::new(), Vec::new(), Vec::new());
    for name in to.names() {
        let entry = &to.layout().entries[name];
        if matches!(entry.kind, StateKind::Data | StateKind::Metric) {
            continue;
        }
        let there = from.ty(name).is_ok();
        let source = match &entry.init {
            _ if there => name,
            _ if matches!(entry.kind, StateKind::Parameter | StateKind::Statistic) => {
                return Err(wrong(format!("the old store has no state \"{name}\"")));
            }
            // A moving average, which begins as its parameter is now.
            Init::SameAs(parameter) => parameter,
            _ => {
                begun.push(name.to_owned());
                continue;
            }
        };
        if !there {
            begun.push(name.to_owned());
        }
        let ty = from.ty(source)?;
        if ty != &entry.ty {
            let new = &entry.ty;
            return Err(wrong(format!("state \"{name}\" was {ty}, it is {new} now")));
        }
        taken.push(name.to_owned());
        sources.push(source.to_owned());
    }
    let states = from.snapshot_async(&sources).await?;
    let tensors = states.into_iter().map(|(_, tensor)| tensor);
    to.restore(&taken.into_iter().zip(tensors).collect::<Vec<_>>())?;
    Ok(begun)
}
