//! Ops that move elements without changing them: reshape, flatten; and the copy that others emit.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides};
use crate::shape::{Shape, Type};
use crate::tensor::Array;

// Parameters and builder.

/// The same elements under another shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reshape {
    /// The new extents.
    pub shape: Shape,
}

impl Graph {
    /// The same elements under another shape of equal count. Costs nothing.
    pub fn reshape(&mut self, x: Value, shape: impl Into<Shape>) -> Result<Value> {
        let shape = shape.into();
        if self.shape(x)? == &shape {
            return Ok(x);
        }
        self.add1(Reshape { shape }, &[x])
    }

    /// Joins all axes from `start` on into one: `[n, c, h, w]` from axis 1 gives `[n, c * h * w]`.
    pub fn flatten(&mut self, x: Value, start: usize) -> Result<Value> {
        let shape = self.shape(x)?;
        if start >= shape.len() {
            return Err(Error::shape(format!(
                "flatten: {shape} has no axis {start}"
            )));
        }
        let mut flat = shape[..start].to_vec();
        flat.push(shape[start..].iter().product());
        self.reshape(x, flat)
    }
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        let x = inputs[0];
        let ty = Type::new(x.dtype, self.shape.clone());
        ty.check()?;
        if ty.count() != x.count() {
            return Err(Error::shape(format!(
                "reshape: {} has {} elements, {} has {}",
                x.shape,
                x.count(),
                ty.shape,
                ty.count()
            )));
        }
        Ok(vec![ty])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![inputs[0].reshaped(self.shape.clone())]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let shape = g.shape(at.inputs[0])?.clone();
        Ok(vec![Some(g.reshape(dy[0], shape)?)])
    }

    // Lowering.

    fn view(&self) -> bool {
        true
    }

    fn lower(&self, _: &Io, _: &Caps, _: &mut Lowering) -> Result<()> {
        Ok(())
    }
}

/// A dispatch that copies `bytes` (a multiple of 16) from one operand to another.
pub(crate) fn copy(from: Operand, to: Operand, bytes: u64) -> Dispatch {
    let quads = (bytes / 16) as usize;
    Dispatch::new(&COPY, COPY_VARIANTS[0])
        .read(from)
        .write(to)
        .param("quads", quads)
        .workgroups(quads.div_ceil(64))
}

const COPY_VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static COPY: Kernel = Kernel::new("copy", shader_files!["copy", "lib/grid"], COPY_VARIANTS);

pub(super) const KERNELS: &[&Kernel] = &[&COPY];
