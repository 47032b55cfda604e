//! The CPU reference: a graph evaluated with `Op::eval` in `f64`, in the order in which it was
//! written.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::graph::{EvalSplit, Graph, Op, Origin, Value};
use crate::shape::Type;
use crate::tensor::{Array, room};

/// Runs of rows into which a node's evaluation is cut; fixed, so that results do not depend on the
/// number of threads.
const CHUNKS: usize = 8;

/// Evaluates the nodes that `wanted` needs and returns the arrays of `wanted` in order.
///
/// `given` holds the arrays of inputs and states by value. Ops whose rows are independent are cut
/// into eight runs of rows, computed on `threads` threads; sums are added in the order of the runs.
///
/// # Errors
/// `Graph` if an input or state that is needed is not given, or if an op does not make what its
/// rule says;
/// `OutOfMemory`.
pub fn evaluate(
    graph: &Graph,
    given: &HashMap<Value, Arc<Array>>,
    wanted: &[Value],
    threads: usize,
) -> Result<Vec<Arc<Array>>> {
    let mut uses = vec![0usize; graph.value_count()];
    let mut needed = vec![false; graph.nodes().len()];
    for &value in given.keys() {
        graph.operand("evaluate", value)?;
    }
    for &value in wanted {
        graph.operand("evaluate", value)?;
        uses[value.index()] += 1;
    }
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        if node.outputs.iter().any(|v| uses[v.index()] > 0) {
            needed[index] = true;
            for input in &node.inputs {
                uses[input.index()] += 1;
            }
        }
    }
    let mut arrays: Vec<Option<Arc<Array>>> = vec![None; graph.value_count()];
    for value in graph.values().filter(|v| uses[v.index()] > 0) {
        arrays[value.index()] = match graph.source(value)? {
            Origin::Node { .. } => None,
            Origin::Constant(tensor) => Some(Arc::new(tensor.to_array()?)),
            Origin::Input(name) => Some(find(given, value, graph.ty(value)?, "input", name)?),
            Origin::State(index) => Some(find(
                given,
                value,
                graph.ty(value)?,
                "state",
                &graph.states()[*index].name,
            )?),
        };
    }
    for (index, node) in graph.nodes().iter().enumerate() {
        if !needed[index] {
            continue;
        }
        let inputs: Vec<Arc<Array>> = node
            .inputs
            .iter()
            .map(|&v| {
                arrays[v.index()]
                    .clone()
                    .ok_or_else(|| never_made(graph, v))
            })
            .collect::<Result<_>>()?;
        let inputs: Vec<&Array> = inputs.iter().map(|a| a.as_ref()).collect();
        let name = node.op.name();
        for &output in &node.outputs {
            // What `eval` allocates at least.
            let room = room::<f64>(graph.ty(output)?.count()).map_err(|e| e.context(name))?;
            drop(std::hint::black_box(room));
        }
        let outputs = eval_split(node.op.as_ref(), &inputs, threads)?;
        if outputs.len() != node.outputs.len() {
            return Err(Error::graph(format!(
                "{name}: eval made {} outputs, {} are needed",
                outputs.len(),
                node.outputs.len()
            )));
        }
        for (index, (&output, array)) in node.outputs.iter().zip(outputs).enumerate() {
            let (wanted, made) = (graph.ty(output)?, array.ty());
            if wanted != made {
                return Err(Error::graph(format!(
                    "{name}: output {index} is {wanted}, eval made {made}"
                )));
            }
            if uses[output.index()] > 0 {
                arrays[output.index()] = Some(Arc::new(array));
            }
        }
        for &input in &node.inputs {
            uses[input.index()] -= 1;
            if uses[input.index()] == 0 {
                arrays[input.index()] = None;
            }
        }
    }
    wanted
        .iter()
        .map(|&v| {
            arrays[v.index()]
                .clone()
                .ok_or_else(|| never_made(graph, v))
        })
        .collect()
}

fn never_made(graph: &Graph, value: Value) -> Error {
    Error::graph(format!(
        "evaluate: {} was never made",
        graph.describe(value)
    ))
}

fn find(
    given: &HashMap<Value, Arc<Array>>,
    value: Value,
    ty: &Type,
    what: &str,
    name: &str,
) -> Result<Arc<Array>> {
    match given.get(&value) {
        Some(array) if array.ty() == ty => Ok(array.clone()),
        Some(array) => Err(Error::shape(format!(
            "{what} \"{name}\" is {ty}, the array {}",
            array.ty()
        ))),
        None => Err(Error::graph(format!("{what} \"{name}\" has no value"))),
    }
}

fn eval_split(op: &dyn Op, inputs: &[&Array], threads: usize) -> Result<Vec<Array>> {
    let (split, sum) = match op.split() {
        EvalSplit::Whole => return Ok(op.eval(inputs)),
        EvalSplit::Rows(split) => (split, false),
        EvalSplit::Sum(split) => (split, true),
    };
    let name = op.name();
    let rows_of = |&i: &usize| inputs.get(i).map(|array| array.shape().first().copied());
    let rows = match split.first().map(rows_of) {
        Some(Some(rows)) => rows.unwrap_or(0),
        _ => 0,
    };
    if let Some(i) = split.iter().find(|i| rows_of(i) != Some(Some(rows)))
        && rows > 0
    {
        return Err(Error::graph(format!(
            "{name}: split cuts input {i} of {} into {rows} rows, which it does not have",
            inputs.len()
        )));
    }
    if rows < 2 * CHUNKS {
        return Ok(op.eval(inputs));
    }
    let chunk = |index: usize| {
        let cut = |index: usize| (index as u128 * rows as u128 / CHUNKS as u128) as usize;
        let (start, end) = (cut(index), cut(index + 1));
        let own: Vec<Array> = split.iter().map(|&i| inputs[i].rows(start, end)).collect();
        let mut cut = inputs.to_vec();
        for (&i, array) in split.iter().zip(&own) {
            cut[i] = array;
        }
        op.eval(&cut)
    };
    // A browser's workers are not std's threads.
    let threads = if cfg!(target_arch = "wasm32") {
        1
    } else {
        threads.clamp(1, CHUNKS)
    };
    let results: Vec<Vec<Array>> = if threads == 1 {
        (0..CHUNKS).map(chunk).collect()
    } else {
        let mut results: Vec<Option<Vec<Array>>> = vec![None; CHUNKS];
        let share = CHUNKS.div_ceil(threads);
        std::thread::scope(|scope| {
            for (turn, own) in results.chunks_mut(share).enumerate() {
                let chunk = &chunk;
                let work = move || {
                    for (offset, result) in own.iter_mut().enumerate() {
                        *result = Some(chunk(turn * share + offset));
                    }
                };
                // What a thread that does not start would have done is done below.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
        });
        let made = results.into_iter().enumerate();
        made.map(|(index, result)| result.unwrap_or_else(|| chunk(index)))
            .collect()
    };
    let outputs = results.iter().map(Vec::len).min().unwrap_or(0);
    (0..outputs)
        .map(|output| {
            let parts: Vec<Array> = results.iter().map(|r| r[output].clone()).collect();
            let joined = match sum {
                true => Array::sum(&parts),
                false => Array::concat(&parts),
            };
            joined.map_err(|e| e.context(format!("{name}: eval of a run of rows")))
        })
        .collect()
}
