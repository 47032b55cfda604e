//! Filler: the rows of a batch that are not meant. In training no op may mix them with the others.

use std::any::Any;

use crate::error::{Error, Result};
use crate::graph::{EvalSplit, Graph, Node, Origin, Value};
use crate::ops::{GatherLabels, GatherRows, ShuffledBatch};
use crate::shape::Type;

/// The batch of a value whose last rows may be filler.
#[derive(Debug, Clone, Copy)]
struct Padded {
    /// How many rows are meant.
    valid: Value,
    /// Rows of the batch; the value has as many, or as many runs of rows.
    rows: usize,
}

/// Checks that no op on whose outputs one of `losses` depends mixes the rows of a batch that may
/// hold filler. An op that takes the number of valid rows itself knows which are meant.
///
/// # Errors
/// `Graph`, with the op and the rows.
pub(crate) fn refuse_filler(g: &Graph, losses: impl Iterator<Item = Value>) -> Result<()> {
    let mut needed = vec![false; g.value_count()];
    for loss in losses {
        needed[loss.index()] = true;
    }
    let is_needed = |node: &Node, needed: &[bool]| node.outputs.iter().any(|v| needed[v.index()]);
    for node in g.nodes().iter().rev() {
        if is_needed(node, &needed) {
            for input in &node.inputs {
                needed[input.index()] = true;
            }
        }
    }
    let mut valid: Vec<Option<Padded>> = vec![None; g.value_count()];
    for node in g.nodes() {
        if !is_needed(node, &needed) {
            continue;
        }
        let meant = match gathered(node) {
            Some(count) => may_be_fewer(g, count, g.shape(node.outputs[0])?[0])?,
            None => passed(g, node, &valid)?,
        };
        for output in &node.outputs {
            valid[output.index()] = meant;
        }
    }
    Ok(())
}

/// The number of valid rows of a node that gathers a batch.
fn gathered(node: &Node) -> Option<Value> {
    let op: &dyn Any = node.op.as_ref();
    let gathers = op.is::<GatherRows>() || op.is::<GatherLabels>();
    node.inputs.get(2).copied().filter(|_| gathers)
}

/// The batch of `rows` rows if `valid` may be less: it is not where it is a constant, or comes with
/// batches that are always full.
fn may_be_fewer(g: &Graph, valid: Value, rows: usize) -> Result<Option<Padded>> {
    let full = match g.source(valid)? {
        Origin::Constant(tensor) => tensor.as_u32()?.iter().all(|&count| count as usize >= rows),
        Origin::Node { node, .. } => {
            let op: &dyn Any = g.nodes()[*node].op.as_ref();
            op.downcast_ref::<ShuffledBatch>()
                .is_some_and(|op| op.rows >= rows && (!op.padded || op.batches.remainder() == 0))
        }
        _ => false,
    };
    Ok((!full).then_some(Padded { valid, rows }))
}

/// The batch of a node's outputs, by those of its inputs.
fn passed(g: &Graph, node: &Node, padded: &[Option<Padded>]) -> Result<Option<Padded>> {
    let mut meant = None;
    for (input, value) in node.inputs.iter().enumerate() {
        let Some(batch) = padded[value.index()] else {
            continue;
        };
        if node.inputs.contains(&batch.valid) {
            return Ok(None);
        }
        let rows = g.shape(*value)?.first().copied().unwrap_or(1);
        let mut stays = true;
        for &output in &node.outputs {
            let first = g.shape(output)?.first().copied().unwrap_or(1);
            // A view may cut each row of the batch into several, but not join them.
            stays &= first == rows || (node.op.view() && first.is_multiple_of(batch.rows.max(1)));
        }
        let apart = matches!(node.op.split(), EvalSplit::Rows(cut) if cut.contains(&input));
        if !apart && (!stays || mixes(g, node, input)?) {
            return Err(Error::graph(format!(
                "{}: it mixes {rows} rows, and of the batch that they come from fewer may be \
                 valid; \
                 train on `batch_rows`, with a graph of its own for the last batch, or give a \
                 constant \
                 number of valid rows",
                node.op.name()
            )));
        }
        meant = Some(batch);
    }
    Ok(meant)
}

/// Whether a node mixes the rows of an input of which its outputs have as many.
fn mixes(g: &Graph, node: &Node, input: usize) -> Result<bool> {
    if node.op.view() {
        return Ok(false);
    }
    let types: Vec<&Type> = node
        .inputs
        .iter()
        .map(|&input| g.ty(input))
        .collect::<Result<_>>()?;
    Ok(node.op.mixes_rows_of(input, &types))
}

/// Whether an operand that is broadcast has fewer axes than another: its axis 0 is not that of
/// the output.
pub(super) fn is_across(input: usize, inputs: &[&Type]) -> bool {
    let axes = |ty: &&Type| ty.shape.len();
    inputs
        .iter()
        .any(|other| axes(other) > axes(&inputs[input]))
}
