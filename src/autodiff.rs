//! Gradients as more graph.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Value};
use crate::shape::DType;
use crate::tensor::Tensor;

/// Appends the gradients of the scalar `loss` to the graph, one for each value of `wrt`, of that value's shape.
///
/// The walk goes backwards over the nodes that lie between `wrt` and `loss` only: frozen layers build nothing.
/// Where paths meet, their gradients are added. Only the nodes that the returned values need are ever run.
///
/// # Errors
/// `NotDifferentiable` if `loss` is not a float scalar or does not depend on one of `wrt` through differentiable ops.
pub fn gradients(g: &mut Graph, loss: Value, wrt: &[Value]) -> Result<Vec<Value>> {
    let not = |message: String| Error::new(ErrorKind::NotDifferentiable, message);
    let ty = g.ty(loss)?.clone();
    if ty.dtype != DType::F32 || ty.count() != 1 {
        return Err(not(format!(
            "gradients: the loss must be one f32 element, it is {ty}"
        )));
    }
    let one = g.constant(Tensor::f32(ty.shape, vec![1.0])?)?;
    let found = gradients_from(g, &[(loss, one)], wrt)?;
    wrt.iter()
        .zip(found)
        .map(|(value, gradient)| {
            gradient.ok_or_else(|| {
                not(format!(
                    "gradients: {value} has no differentiable path to the loss {loss}"
                ))
            })
        })
        .collect()
}

/// As [`gradients`], from any values and their given gradients; `None` where no path leads.
pub fn gradients_from(
    g: &mut Graph,
    seeds: &[(Value, Value)],
    wrt: &[Value],
) -> Result<Vec<Option<Value>>> {
    for &value in wrt {
        g.ty(value)?;
    }
    for &(value, gradient) in seeds {
        if g.ty(value)? != g.ty(gradient)? {
            return Err(Error::shape(format!(
                "gradients: {} given as the gradient of {}",
                g.ty(gradient)?,
                g.ty(value)?
            )));
        }
    }
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

fn accumulate(
    g: &mut Graph,
    total: &mut [Option<Value>],
    value: Value,
    gradient: Value,
) -> Result<()> {
    let sum = match total[value.index()] {
        Some(so_far) => g.add_values(so_far, gradient)?,
        None => gradient,
    };
    total[value.index()] = Some(sum);
    Ok(())
}
