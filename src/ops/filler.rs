//! Filler: the rows of a batch that are not meant. In training no op may mix them with the others.

use std::any::Any;

use super::{GatherLabels, GatherRows, ShuffledBatch};
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Source, Split, Value};

/// The batch of a value whose last rows may be filler.
#[derive(Debug, Clone, Copy)]
struct Padded {
    /// How many rows are meant.
    valid: Value,
    /// Rows of the batch; the value has as many, or as many runs of rows.
    rows: usize,
}

/// Checks that no op on whose outputs one of `losses` depends mixes the rows of a batch that may hold
/// filler. An op that takes the number of valid rows itself knows which are meant.
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

/// The batch of `rows` rows if `valid` may be less: it is not where it is a constant, or comes with batches that
/// are always full.
fn may_be_fewer(g: &Graph, valid: Value, rows: usize) -> Result<Option<Padded>> {
    let full = match g.source(valid)? {
        Source::Constant(tensor) => tensor.as_u32()?.iter().all(|&count| count as usize >= rows),
        Source::Node { node, .. } => {
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
        let apart = matches!(node.op.split(), Split::Rows(cut) if cut.contains(&input));
        if !apart && (!stays || node.op.mixes_rows(input)) {
            return Err(Error::graph(format!(
                "{}: it mixes {rows} rows, and of the batch that they come from fewer may be valid; \
                 train on `batch_rows`, with a graph of its own for the last batch, or give a constant \
                 number of valid rows",
                node.op.name()
            )));
        }
        meant = Some(batch);
    }
    Ok(meant)
}

#[cfg(test)]
mod tests {
    use crate::autodiff::gradients;
    use crate::error::{ErrorKind, Result};
    use crate::graph::{Graph, Init, Value};
    use crate::ops::{Batches, Reduction};
    use crate::shape::Type;
    use crate::tensor::Tensor;

    /// Where the number of valid rows comes from.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Valid {
        Padded,
        Full,
        Rows,
        Host,
        Constant(u32),
    }

    const ROWS: usize = 6;

    /// The gradient of a parameter through `head`, which makes a loss from a batch [6, 6, 2, 3] times
    /// the parameter, labels [6] and the number of valid rows.
    fn train(
        valid: Valid,
        head: impl Fn(&mut Graph, Value, Value, Value) -> Result<Value>,
    ) -> Result<()> {
        let mut g = Graph::new();
        let clock = g.clock()?;
        let count = if valid == Valid::Full { 12 } else { 13 };
        let data = g.constant(Tensor::u8([count, ROWS, 2, 3], vec![1; count * ROWS * 6])?)?;
        let labels = g.constant(Tensor::u32([count], vec![0; count])?)?;
        let batches = Batches {
            count,
            batch: ROWS,
            shuffle: true,
            drop_last: false,
        };
        let (indices, meant) = match valid {
            Valid::Rows => g.batch_rows(clock, batches, ROWS)?,
            _ => g.shuffled_batch(clock, count, ROWS, true)?,
        };
        let meant = match valid {
            Valid::Host => g.input("valid", Type::u32([1]))?,
            Valid::Constant(rows) => g.constant(Tensor::u32([1], vec![rows])?)?,
            _ => meant,
        };
        let x = g.gather_rows(data, indices, meant, 1.0, 0.0)?;
        let labels = g.gather_labels(labels, indices, meant)?;
        let scale = g.parameter("scale", [ROWS, 2, 3], Init::Constant(1.0))?;
        let x = g.mul(x, scale)?;
        let loss = head(&mut g, x, labels, meant)?;
        gradients(&mut g, loss, &[scale]).map(|_| ())
    }

    /// The mean loss of logits over the valid rows.
    fn classify(g: &mut Graph, x: Value, labels: Value, valid: Value) -> Result<Value> {
        let logits = g.reshape(x, [ROWS, 36])?;
        g.softmax_cross_entropy(logits, labels, valid)
    }

    #[test]
    fn ops_that_mix_rows_refuse_filler() {
        type Mix = fn(&mut Graph, Value) -> Result<Value>;
        // All of them keep the shape, or the extent of axis 0 by chance.
        let mixes: [(&str, Mix); 9] = [
            ("norm_statistics", |g, x| {
                Ok(g.batch_norm_train(x, None, None, 1e-5)?.0)
            }),
            ("softmax", |g, x| g.softmax(x, 0)),
            ("log_softmax", |g, x| g.log_softmax(x, 0)),
            ("sum", |g, x| g.mean(x, &[0], true)),
            ("sum", |g, x| g.sum(x, &[0], false)),
            ("max", |g, x| Ok(g.max(x, 0, false)?.0)),
            ("sum", |g, x| g.var(x, &[0], 1, false)),
            ("permute", |g, x| g.permute(x, &[1, 0, 2, 3])),
            ("mse_loss", |g, x| g.mse_loss(x, x, Reduction::Mean)),
        ];
        for (op, mix) in mixes {
            let head = |g: &mut Graph, x: Value, labels: Value, valid: Value| {
                let mixed = mix(g, x)?;
                let mean = g.mean(
                    mixed,
                    &(0..g.shape(mixed)?.len()).collect::<Vec<_>>(),
                    false,
                )?;
                let x = g.mul(x, mean)?;
                classify(g, x, labels, valid)
            };
            for valid in [Valid::Padded, Valid::Host, Valid::Constant(5)] {
                let error = train(valid, head).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Graph, "{error}");
                let text = error.to_string();
                assert!(
                    text.starts_with(&format!("{op}: it mixes 6 rows")),
                    "{valid:?}: {text}"
                );
            }
            for valid in [Valid::Full, Valid::Rows, Valid::Constant(6)] {
                train(valid, head).unwrap_or_else(|e| panic!("{op}, {valid:?}: {e}"));
            }
        }
    }

    #[test]
    fn ops_that_keep_rows_apart_take_filler() {
        type Keep = fn(&mut Graph, Value) -> Result<Value>;
        let keeps: [Keep; 9] = [
            |g, x| g.relu(x),
            |g, x| g.permute(x, &[0, 2, 3, 1]),
            |g, x| g.instance_norm(x, None, None, 1e-5),
            |g, x| g.layer_norm(x, 2, None, None, 1e-5),
            |g, x| g.group_norm(x, 3, None, None, 1e-5),
            |g, x| g.softmax(x, 1),
            |g, x| {
                let statistic = g.fill([ROWS], 1.0)?;
                g.batch_norm(x, [statistic; 2], None, None, 1e-5)
            },
            |g, x| {
                let mean = g.mean(x, &[2, 3], true)?;
                g.sub(x, mean)
            },
            |g, x| {
                let weight = g.fill([6, 6], 0.5)?;
                let x = g.reshape(x, [ROWS * 6, 6])?;
                g.linear(x, weight, None)
            },
        ];
        for (number, keep) in keeps.into_iter().enumerate() {
            for valid in [Valid::Padded, Valid::Host, Valid::Rows] {
                let head = |g: &mut Graph, x: Value, labels: Value, valid: Value| {
                    let x = keep(g, x)?;
                    classify(g, x, labels, valid)
                };
                train(valid, head).unwrap_or_else(|e| panic!("{number}, {valid:?}: {e}"));
            }
        }
    }
}
