//! Functions of two values, elementwise with broadcasting: arithmetic, minimum and maximum, prelu.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, source};
use crate::shape::Type;
use crate::tensor::Array;

use crate::lowering::broadcast::{Forms, WORKGROUP, constants, function, lower_broadcast};
use crate::lowering::quads;
use crate::ops::elementwise::in_place::{bind_places, form};
use crate::ops::elementwise::{broadcast, map_broadcast, unbroadcast};
use crate::ops::filler::is_across;
use crate::ops::{expect_f32, expect_inputs, no_second_derivative};

// Parameters and builder.

/// An elementwise function of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryFunction {
    /// a + b.
    Add,
    /// a - b.
    Sub,
    /// a * b.
    Mul,
    /// a / b.
    Div,
    /// The smaller one; NaN if either is. Equal ones share the gradient.
    Minimum,
    /// The larger one; NaN if either is. Equal ones share the gradient.
    Maximum,
    /// a, or b * a for a <= 0.
    Prelu,
}

use BinaryFunction::*;

/// Applies a [`BinaryFunction`] with broadcasting (NumPy's rule).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binary(pub BinaryFunction);

/// The gradient of one operand of a [`BinaryFunction`] from that operand, the other one and dy, in
/// their broadcast shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BinaryGrad {
    /// Minimum, maximum or prelu.
    pub function: BinaryFunction,
    /// Which operand's gradient, 0 or 1.
    pub operand: usize,
}

/// # Arithmetic of two values
impl Graph {
    /// A function of `a` and `b`, broadcast.
    pub fn binary(&mut self, a: Value, b: Value, function: BinaryFunction) -> Result<Value> {
        self.apply1(Binary(function), &[a, b])
    }

    /// a + b, broadcast.
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary(a, b, Add)
    }

    /// a - b, broadcast.
    pub fn sub(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary(a, b, Sub)
    }

    /// a * b, broadcast.
    pub fn mul(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary(a, b, Mul)
    }

    /// a / b, broadcast.
    pub fn div(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary(a, b, Div)
    }

    /// The smaller of a and b, broadcast.
    pub fn minimum(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary(a, b, Minimum)
    }

    /// The larger of a and b, broadcast.
    pub fn maximum(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary(a, b, Maximum)
    }

    /// x, or weight * x for x <= 0. `weight` is `[1]`, or `[c]` for x `[n, c, ...]`.
    pub fn prelu(&mut self, x: Value, weight: Value) -> Result<Value> {
        let (shape, slopes) = (
            &self.operand("prelu", x)?.shape,
            &self.operand("prelu", weight)?.shape,
        );
        let channels = shape.get(1).copied().unwrap_or(1);
        let aligned = match slopes[..] {
            [1] => vec![1],
            [count] if count == channels => {
                let inner = shape.len().saturating_sub(2);
                [&[count][..], &vec![1; inner]].concat()
            }
            _ => {
                return Err(Error::shape(format!(
                    "prelu: weight {slopes} is neither [1] nor [{channels}], one slope for each \
                     channel of x {shape}"
                )));
            }
        };
        let weight = self.reshape(weight, aligned)?;
        self.binary(x, weight, Prelu)
    }
}

// Shape rule.

impl Op for Binary {
    fn name(&self) -> &'static str {
        match self.0 {
            Add => "add",
            Sub => "sub",
            Mul => "mul",
            Div => "div",
            Minimum => "minimum",
            Maximum => "maximum",
            Prelu => "prelu",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), "a", inputs[0])?;
        expect_f32(self.name(), "b", inputs[1])?;
        Ok(vec![Type::f32(broadcast(self.name(), inputs)?)])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let shape = broadcast("", &[inputs[0].ty(), inputs[1].ty()]);
        let shape = shape.expect("infer accepted the shapes");
        let y = map_broadcast([inputs[0], inputs[1]], &shape, |[a, b]| match self.0 {
            Add => a + b,
            Sub => a - b,
            Mul => a * b,
            Div => a / b,
            Minimum | Maximum if a.is_nan() || b.is_nan() => f64::NAN,
            Minimum => a.min(b),
            Maximum => a.max(b),
            Prelu => match a > 0.0 {
                true => a,
                false => b * a,
            },
        });
        vec![y]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let (a, b, y, dy) = (at.inputs[0], at.inputs[1], at.outputs[0], dy[0]);
        let mut grad = |operand: usize| {
            let function = self.0;
            let (own, other) = (at.inputs[operand], at.inputs[1 - operand]);
            g.apply1(BinaryGrad { function, operand }, &[own, other, dy])
        };
        let (da, db) = match self.0 {
            Add => (dy, dy),
            Sub => (dy, g.neg(dy)?),
            Mul => (g.mul(dy, b)?, g.mul(dy, a)?),
            Div => {
                let da = g.div(dy, b)?;
                let product = g.mul(da, y)?;
                (da, g.neg(product)?)
            }
            Minimum | Maximum | Prelu => (grad(0)?, grad(1)?),
        };
        let [shape_a, shape_b] = [g.shape(a)?.clone(), g.shape(b)?.clone()];
        Ok(vec![
            Some(unbroadcast(g, da, &shape_a)?),
            Some(unbroadcast(g, db, &shape_b)?),
        ])
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(0, 0)]
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let variant = VARIANTS[self.0 as usize];
        if io.inputs[0] == io.inputs[1] {
            let kernels = [&BINARY, &BINARY_IN_PLACE];
            lower_same(kernels, variant, [0.0; 3], io, out);
            return Ok(());
        }
        let forms = match io.in_place[0] {
            Some(_) => &BROADCAST_IN_PLACE,
            None => &BROADCAST,
        };
        lower_broadcast(self.name(), forms, variant, [0.0; 3], io, out)
    }

    fn mixes_rows_of(&self, input: usize, inputs: &[&Type]) -> bool {
        is_across(input, inputs)
    }
}

/// Emits an elementwise op whose two inputs and output have one shape, by a kernel or by its form
/// whose output takes input 0's place.
pub(in crate::ops) fn lower_same(
    kernels: [&'static Kernel; 2],
    overrides: Overrides,
    k: [f32; 3],
    io: &Io,
    out: &mut Lowering,
) {
    for (part, rows) in io.output_parts[0].iter().enumerate() {
        let quads = quads(&io.outputs[0], rows.rows);
        let dispatch = Dispatch::new(form(kernels, io), overrides)
            .read(Operand::Input(1))
            .part(part);
        let dispatch = bind_places(dispatch, io, 0, part).param("quads", quads);
        out.push(constants(dispatch, k).workgroups(quads.div_ceil(WORKGROUP)));
    }
}

impl Op for BinaryGrad {
    fn name(&self) -> &'static str {
        match self.function {
            Minimum => "minimum_grad",
            Maximum => "maximum_grad",
            Prelu => "prelu_grad",
            Add | Sub | Mul | Div => "binary_grad",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 3)?;
        for (operand, ty) in ["own operand", "other operand", "dy"].iter().zip(inputs) {
            expect_f32(self.name(), operand, ty)?;
        }
        if self.operand > 1 || !matches!(self.function, Minimum | Maximum | Prelu) {
            return Err(Error::graph(format!(
                "{}: the gradient of operand {} of {:?} is made of other ops",
                self.name(),
                self.operand,
                self.function
            )));
        }
        Ok(vec![Type::f32(broadcast(self.name(), inputs)?)])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let [own, other, dy] = [inputs[0], inputs[1], inputs[2]];
        let shape = broadcast("", &[own.ty(), other.ty(), dy.ty()]);
        let shape = shape.expect("infer accepted the shapes");
        let d = map_broadcast([own, other, dy], &shape, |[own, other, dy]| {
            match (self.function, self.operand) {
                (Minimum, _) if own > other => 0.0,
                (Maximum, _) if own < other => 0.0,
                (Minimum | Maximum, _) if own == other => dy / 2.0,
                (Prelu, 0) if own > 0.0 => dy,
                (Prelu, 0) => other * dy,
                (Prelu, _) if other > 0.0 => 0.0,
                (Prelu, _) => other * dy,
                _ => dy,
            }
        });
        vec![d]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_second_derivative(self.name()))
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let variant = match (self.function, self.operand) {
            (Minimum, _) => 0,
            (Maximum, _) => 1,
            (_, 0) => 2,
            _ => 3,
        };
        lower_broadcast(
            self.name(),
            &GRAD,
            GRAD_VARIANTS[variant],
            [0.0; 3],
            io,
            out,
        )
    }

    fn mixes_rows_of(&self, input: usize, inputs: &[&Type]) -> bool {
        is_across(input, inputs)
    }
}

const VARIANTS: &[Overrides] = &[
    function::<0>(),
    function::<1>(),
    function::<2>(),
    function::<3>(),
    function::<4>(),
    function::<5>(),
    function::<6>(),
];
const GRAD_VARIANTS: &[Overrides] = &[
    function::<4>(),
    function::<5>(),
    function::<6>(),
    function::<7>(),
];

static BINARY: Kernel = Kernel::new(
    "binary",
    &[
        source!("elementwise/binary"),
        source!("lib/separate"),
        source!("elementwise/binary_function"),
    ],
    VARIANTS,
);
static BINARY_IN_PLACE: Kernel = Kernel::new(
    "binary_in_place",
    &[
        source!("elementwise/binary"),
        source!("lib/in_place"),
        source!("elementwise/binary_function"),
    ],
    VARIANTS,
);
static ELEMENTS: Kernel = Kernel::new(
    "binary_broadcast",
    &[
        source!("elementwise/binary_broadcast"),
        source!("elementwise/broadcast_elements"),
        source!("elementwise/broadcast_axis"),
        source!("lib/separate"),
        source!("elementwise/binary_function"),
    ],
    VARIANTS,
);
static ELEMENTS_IN_PLACE: Kernel = Kernel::new(
    "binary_broadcast_in_place",
    &[
        source!("elementwise/binary_broadcast"),
        source!("elementwise/broadcast_elements"),
        source!("elementwise/broadcast_axis"),
        source!("lib/in_place"),
        source!("elementwise/binary_function"),
    ],
    VARIANTS,
);
static QUADS: Kernel = Kernel::new(
    "binary_broadcast_quads",
    &[
        source!("elementwise/binary_broadcast"),
        source!("elementwise/broadcast_quads"),
        source!("elementwise/broadcast_axis"),
        source!("lib/separate"),
        source!("elementwise/binary_function"),
    ],
    VARIANTS,
);
static QUADS_IN_PLACE: Kernel = Kernel::new(
    "binary_broadcast_quads_in_place",
    &[
        source!("elementwise/binary_broadcast"),
        source!("elementwise/broadcast_quads"),
        source!("elementwise/broadcast_axis"),
        source!("lib/in_place"),
        source!("elementwise/binary_function"),
    ],
    VARIANTS,
);
static GRAD_ELEMENTS: Kernel = Kernel::new(
    "binary_grad",
    &[
        source!("elementwise/binary_grad"),
        source!("lib/separate"),
        source!("elementwise/broadcast_elements"),
        source!("elementwise/broadcast_axis"),
        source!("elementwise/binary_gradient"),
    ],
    GRAD_VARIANTS,
);
static GRAD_QUADS: Kernel = Kernel::new(
    "binary_grad_quads",
    &[
        source!("elementwise/binary_grad"),
        source!("lib/separate"),
        source!("elementwise/broadcast_quads"),
        source!("elementwise/broadcast_axis"),
        source!("elementwise/binary_gradient"),
    ],
    GRAD_VARIANTS,
);

const BROADCAST: Forms = Forms {
    quads: &QUADS,
    elements: &ELEMENTS,
};
const BROADCAST_IN_PLACE: Forms = Forms {
    quads: &QUADS_IN_PLACE,
    elements: &ELEMENTS_IN_PLACE,
};
const GRAD: Forms = Forms {
    quads: &GRAD_QUADS,
    elements: &GRAD_ELEMENTS,
};

pub(in crate::ops) const KERNELS: &[&Kernel] = &[
    &BINARY,
    &BINARY_IN_PLACE,
    &ELEMENTS,
    &ELEMENTS_IN_PLACE,
    &QUADS,
    &QUADS_IN_PLACE,
    &GRAD_ELEMENTS,
    &GRAD_QUADS,
];
