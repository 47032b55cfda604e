//! Products over axes.

use crate::error::Result;
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Io, Lowering};
use crate::shape::{DType, Type};
use crate::tensor::Array;

use crate::lowering::Cut;
use crate::lowering::reduction::{Fold, Function, lower_reduction};
use crate::ops::dim::{self, Dim};
use crate::ops::reduce::{infer_reduced, outputs, with_kept};

// Parameters and builder.

/// The product over axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prod {
    /// Axes that are reduced, ascending.
    pub axes: Vec<usize>,
    /// Whether they stay with extent 1.
    pub keep: bool,
}

/// # Products of elements
impl Graph {
    /// The product over `axes`; with `keep` they stay with extent 1. No axes ([`Dim::NONE`]) reduce
    /// nothing; in PyTorch they mean all. The product of no elements is 1.
    ///
    /// The gradient of an element is dy times the product of all others, also where elements are 0.
    /// It is found as the product of those that are not 0 over the element. So it is NaN for
    /// infinite ones where none is 0, as in PyTorch, and for NaN also where another element is 0,
    /// although the product of all others is then 0. Beside a NaN, the gradient of a single 0 is
    /// NaN and that of other numbers 0.
    pub fn prod(&mut self, x: Value, axes: &[impl Into<Dim> + Copy], keep: bool) -> Result<Value> {
        let axes = dim::sorted("prod", &self.operand("prod", x)?.shape, axes)?;
        self.apply1(Prod { axes, keep }, &[x])
    }
}

// Shape rule.

impl Op for Prod {
    fn name(&self) -> &'static str {
        "prod"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        infer_reduced(self.name(), inputs, &self.axes, self.keep)
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let shape = &self.infer(&[x.ty()]).expect("infer accepted the input")[0].shape;
        let mut y = vec![1.0; shape.count()];
        for (at, &value) in outputs(x.shape(), &self.axes).zip(x.floats()) {
            y[at] *= value;
        }
        vec![Array::float(shape.clone(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let x = at.inputs[0];
        let kept = with_kept(g.shape(x)?, &self.axes);
        let dy = g.reshape(dy[0], kept)?;
        let (zero, one) = (g.fill([1], 0.0)?, g.fill([1], 1.0)?);
        // The product of the elements that are not 0, and how many are.
        let is_zero = g.eq(x, zero)?;
        let others = g.select(is_zero, one, x)?;
        let product = g.prod(others, &self.axes, true)?;
        let zeros = g.cast(is_zero, DType::F32)?;
        let zeros = g.sum(zeros, &self.axes, true)?;
        let share = g.mul(dy, product)?;
        // With two zeros every product of all others has one. With one zero, its own has none.
        let (none, single) = (g.eq(zeros, zero)?, g.eq(zeros, one)?);
        let of_others = g.select(none, share, zero)?;
        let of_zero = g.select(single, share, zero)?;
        let quotient = g.div(of_others, others)?;
        Ok(vec![Some(g.select(is_zero, of_zero, quotient)?)])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (Cut::input(io, 0), Cut::output(io, 0));
        let product = Fold::new(Function::Multiplied, 1.0);
        lower_reduction(self.name(), product, x, &self.axes, y, caps, out)
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axes.contains(&0)
    }
}
