//! Staged plans: what writes states comes last.

use std::collections::HashSet;

use super::program::Program;
use crate::graph::{Node, Value};

/// Moves the nodes that make new values of states, and that nothing before them needs, behind all
/// others, and notes where they begin. What else is assigned is copied at the very end. Gradients
/// that are kept and made anew are written as they are made: they are the step's own until it is
/// whole.
///
/// ```text
///   forward  dX  dW  | update  clock | copies
///                    ^ commit
/// ```
pub(super) fn stage(program: &mut Program) {
    let roots = program.roots();
    let lasting = program
        .assigns
        .iter()
        .filter(|(state, _)| !program.gradients[*state]);
    let assigned: HashSet<Value> = lasting.map(|(_, value)| roots[value.index()]).collect();
    // Values that some node reads that does not come last.
    let mut needed: HashSet<Value> = HashSet::new();
    let mut late = vec![false; program.nodes.len()];
    for (index, node) in program.nodes.iter().enumerate().rev() {
        let makes = |node: &Node, of: &HashSet<Value>| {
            node.outputs.iter().any(|v| of.contains(&roots[v.index()]))
        };
        let view = program.is_view(node);
        late[index] = !view && makes(node, &assigned) && !makes(node, &needed);
        if !late[index] && !view {
            needed.extend(node.inputs.iter().map(|v| roots[v.index()]));
        }
    }
    // A view of what comes last comes last, too.
    let mut made_late: HashSet<Value> = HashSet::new();
    for (index, node) in program.nodes.iter().enumerate() {
        if program.is_view(node) && made_late.contains(&roots[node.inputs[0].index()]) {
            late[index] = true;
        }
        if late[index] {
            made_late.extend(node.outputs.iter().map(|v| roots[v.index()]));
        }
    }
    let nodes = std::mem::take(&mut program.nodes);
    let (last, first): (Vec<_>, Vec<_>) = nodes.into_iter().zip(late).partition(|(_, late)| *late);
    program.commit = Some(first.len());
    program.nodes = first
        .into_iter()
        .chain(last)
        .map(|(node, _)| node)
        .collect();
}
