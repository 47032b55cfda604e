//! Lowering of a graph's nodes one by one, without a plan.

use striate::error::Result;
use striate::graph::{Graph, Node};
use striate::kernel::{Caps, Io, Lowering, parts_of};
use striate::shape::Type;

/// What `node` lowers to. With `share`, each output takes the buffer of the input that the op
/// allows.
pub fn lower(graph: &Graph, node: &Node, caps: &Caps, share: bool) -> Result<(Io, Lowering)> {
    let types = |values: &[striate::graph::Value]| -> Result<Vec<Type>> {
        values.iter().map(|&v| graph.ty(v).cloned()).collect()
    };
    let inputs = types(&node.inputs)?;
    let outputs = types(&node.outputs)?;
    let cut = |types: &[Type]| -> Result<Vec<_>> {
        types
            .iter()
            .map(|ty| parts_of(ty, caps.max_binding))
            .collect()
    };
    let mut in_place = vec![None; outputs.len()];
    if share {
        for &(input, output) in node.op.in_place() {
            let (from, to) = (&inputs[input], &outputs[output]);
            if from.dtype == to.dtype && from.count() == to.count() {
                in_place[output] = Some(input);
            }
        }
    }
    let io = Io {
        input_parts: cut(&inputs)?,
        output_parts: cut(&outputs)?,
        input_locations: vec![None; inputs.len()],
        output_locations: vec![None; outputs.len()],
        inputs,
        outputs,
        in_place,
    };
    let mut lowering = Lowering::default();
    if !node.op.view() {
        node.op.lower(&io, caps, &mut lowering)?;
    }
    Ok((io, lowering))
}
