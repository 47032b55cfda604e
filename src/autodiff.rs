//! Gradients as more graph.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Value};
use crate::ops::refuse_filler;
use crate::shape::DType;
use crate::tensor::Tensor;

/// Appends the gradients of the scalar `loss` to the graph, one for each value of `wrt`, of that
/// value's shape.
///
/// The walk goes backwards over the nodes that lie between `wrt` and `loss` only: frozen layers
/// build nothing. Where paths meet, their gradients are added. Only the nodes that the returned
/// values need are ever run.
///
/// # Errors
/// `NotDifferentiable` if `loss` is not a float scalar or does not depend on one of `wrt` through
/// differentiable ops.
pub fn gradients(g: &mut Graph, loss: Value, wrt: &[Value]) -> Result<Vec<Value>> {
    let found = gradients_where_used(g, loss, wrt)?;
    wrt.iter()
        .zip(found)
        .map(|(&value, gradient)| {
            gradient.ok_or_else(|| {
                not_differentiable(format!(
                    "gradients: {} has no differentiable path to the loss {}",
                    g.describe(value),
                    g.describe(loss)
                ))
            })
        })
        .collect()
}

/// As [`gradients`], with `None` for a value on which the loss does not depend through
/// differentiable ops (`allow_unused` of PyTorch's `torch.autograd.grad`).
///
/// # Errors
/// `NotDifferentiable` if `loss` is not a float scalar.
pub fn gradients_where_used(
    g: &mut Graph,
    loss: Value,
    wrt: &[Value],
) -> Result<Vec<Option<Value>>> {
    let ty = g.operand("gradients", loss)?.clone();
    if ty.dtype != DType::F32 || ty.count() != 1 {
        return Err(not_differentiable(format!(
            "gradients: the loss must be one f32 element, {} is {ty}",
            g.describe(loss)
        )));
    }
    let one = g.constant(Tensor::f32(ty.shape, vec![1.0])?)?;
    gradients_from(g, &[(loss, one)], wrt)
}

fn not_differentiable(message: String) -> Error {
    Error::new(ErrorKind::NotDifferentiable, message)
}

/// As [`gradients`], from any values and their given gradients; `None` where no path leads.
///
/// # Errors
/// `Shape` if a gradient is not of its value's type; `Graph` if an op on the way mixes the rows of
/// a batch of which fewer than all may be valid.
pub fn gradients_from(
    g: &mut Graph,
    seeds: &[(Value, Value)],
    wrt: &[Value],
) -> Result<Vec<Option<Value>>> {
    let op = "gradients";
    for &value in wrt {
        g.operand(op, value)?;
    }
    for &(value, gradient) in seeds {
        let (ty, given) = (g.operand(op, value)?, g.operand(op, gradient)?);
        if ty != given {
            return Err(Error::shape(format!(
                "{op}: {given} given as the gradient of {}, {ty}",
                g.describe(value)
            )));
        }
    }
    refuse_filler(g, seeds.iter().map(|&(value, _)| value))?;
    let forward = g.nodes().len();
    // Values on which a gradient with respect to `wrt` has to be known.
    let mut depends = vec![false; g.value_count()];
    for &value in wrt {
        depends[value.index()] = true;
    }
    for node in g.nodes() {
        if node.inputs.iter().any(|v| depends[v.index()]) {
            for output in &node.outputs {
                depends[output.index()] = true;
            }
        }
    }
    let mut total: Vec<Option<Value>> = vec![None; g.value_count()];
    for &(value, gradient) in seeds {
        accumulate(g, &mut total, value, gradient)?;
    }
    for index in (0..forward).rev() {
        let node = g.nodes()[index].clone();
        let reached = node.outputs.iter().any(|v| total[v.index()].is_some());
        if !reached || !node.inputs.iter().any(|v| depends[v.index()]) {
            continue;
        }
        let mut dy = Vec::with_capacity(node.outputs.len());
        for &output in &node.outputs {
            dy.push(match total[output.index()] {
                Some(gradient) => gradient,
                None => {
                    let shape = g.shape(output)?.clone();
                    g.fill(shape, 0.0)?
                }
            });
        }
        let gradients = node
            .op
            .vjp(g, &node, &dy)
            .map_err(|e| e.context(format!("gradient of {}", node.op.name())))?;
        check_gradients(g, &node, &gradients)?;
        for (&input, gradient) in node.inputs.iter().zip(gradients) {
            if let Some(gradient) = gradient
                && depends[input.index()]
            {
                accumulate(g, &mut total, input, gradient)?;
            }
        }
    }
    Ok(wrt.iter().map(|v| total[v.index()]).collect())
}

/// Fails unless a gradient rule made one gradient, or none, for each input, of the input's type.
fn check_gradients(g: &Graph, node: &Node, gradients: &[Option<Value>]) -> Result<()> {
    let name = node.op.name();
    if gradients.len() != node.inputs.len() {
        return Err(Error::graph(format!(
            "gradient of {name}: {} gradients for {} inputs",
            gradients.len(),
            node.inputs.len()
        )));
    }
    for (i, (&input, gradient)) in node.inputs.iter().zip(gradients).enumerate() {
        let Some(gradient) = *gradient else { continue };
        let (wanted, ty) = (
            g.ty(input)?,
            g.operand(&format!("gradient of {name}"), gradient)?,
        );
        if ty != wanted {
            return Err(Error::graph(format!(
                "gradient of {name}: input {i} is {wanted}, its gradient {ty}"
            )));
        }
    }
    Ok(())
}

fn accumulate(
    g: &mut Graph,
    total: &mut [Option<Value>],
    value: Value,
    gradient: Value,
) -> Result<()> {
    let sum = match total[value.index()] {
        Some(so_far) => g.add(so_far, gradient)?,
        None => gradient,
    };
    total[value.index()] = Some(sum);
    Ok(())
}
