//! Comparisons of two values and the choice between two by a mask: PyTorch's `eq`, `lt`, ...,
//! `where`.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Io, Kernel, Lowering, Overrides, source};
use crate::shape::{DType, Type};
use crate::tensor::Array;

use crate::lowering::broadcast::{Forms, lower_broadcast};
use crate::ops::elementwise::{broadcast, map_broadcast, unbroadcast};
use crate::ops::filler::is_across;
use crate::ops::{expect_dtype, expect_inputs};

// Parameters and builder.

/// How two elements are compared. Where one is NaN, all but `Ne` are false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// a = b.
    Eq,
    /// a differs from b.
    Ne,
    /// a < b.
    Lt,
    /// a <= b.
    Le,
}

use Comparison::*;

/// A mask, `u32` 1 or 0, of where a and b, both `f32` or both `u32`, compare so, broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compare(pub Comparison);

/// a where the mask, the first input, is not 0, b elsewhere, broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Select;

/// # Comparisons
impl Graph {
    /// Where a and b are equal: a mask, `u32` 1 or 0, in the shape to which they broadcast. As all
    /// comparisons, of two `f32` or two `u32` values; false where one is NaN; without a gradient.
    pub fn eq(&mut self, a: Value, b: Value) -> Result<Value> {
        self.apply1(Compare(Eq), &[a, b])
    }

    /// Where a and b differ, or one is NaN, as [`Graph::eq`].
    pub fn ne(&mut self, a: Value, b: Value) -> Result<Value> {
        self.apply1(Compare(Ne), &[a, b])
    }

    /// Where a < b, as [`Graph::eq`].
    pub fn lt(&mut self, a: Value, b: Value) -> Result<Value> {
        self.apply1(Compare(Lt), &[a, b])
    }

    /// Where a <= b, as [`Graph::eq`].
    pub fn le(&mut self, a: Value, b: Value) -> Result<Value> {
        self.apply1(Compare(Le), &[a, b])
    }

    /// Where a > b, as [`Graph::eq`].
    pub fn gt(&mut self, a: Value, b: Value) -> Result<Value> {
        self.lt(b, a)
    }

    /// Where a >= b, as [`Graph::eq`].
    pub fn ge(&mut self, a: Value, b: Value) -> Result<Value> {
        self.le(b, a)
    }

    /// a where `mask`, a `u32` value, is not 0, b elsewhere, broadcast: PyTorch's `where`. a and b
    /// are both `f32` or both `u32`. The gradient goes to the one that was taken.
    pub fn select(&mut self, mask: Value, a: Value, b: Value) -> Result<Value> {
        self.apply1(Select, &[mask, a, b])
    }

    /// [`Graph::select`] under PyTorch's name.
    pub fn where_(&mut self, condition: Value, a: Value, b: Value) -> Result<Value> {
        self.select(condition, a, b)
    }
}

// Shape rule.

/// Fails unless a and b of `op` are both `f32` or both `u32`.
fn expect_alike(op: &str, a: &Type, b: &Type) -> Result<()> {
    if a.dtype == b.dtype && matches!(a.dtype, DType::F32 | DType::U32) {
        return Ok(());
    }
    Err(Error::shape(format!(
        "{op}: a is {a}, b {b}, both f32 or both u32 are needed"
    )))
}

/// The elements as numbers, which `f64` holds exactly.
fn numbers(x: &Array) -> Array {
    match x.ty().dtype {
        DType::U32 => {
            let values = x.u32s().iter().map(|&word| f64::from(word));
            Array::float(x.shape().clone(), values.collect())
        }
        _ => x.clone(),
    }
}

/// Whole numbers as `u32`s.
fn words(x: &Array) -> Array {
    let values = x.floats().iter().map(|&x| x as u32);
    Array::u32(x.shape().clone(), values.collect())
}

impl Op for Compare {
    fn name(&self) -> &'static str {
        match self.0 {
            Eq => "eq",
            Ne => "ne",
            Lt => "lt",
            Le => "le",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_alike(self.name(), inputs[0], inputs[1])?;
        Ok(vec![Type::u32(broadcast(self.name(), inputs)?)])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let shape = broadcast("", &[inputs[0].ty(), inputs[1].ty()]);
        let shape = shape.expect("infer accepted the shapes");
        let [a, b] = [numbers(inputs[0]), numbers(inputs[1])];
        let y = map_broadcast([&a, &b], &shape, |[a, b]| {
            let holds = match self.0 {
                Eq => a == b,
                Ne => a != b,
                Lt => a < b,
                Le => a <= b,
            };
            f64::from(u8::from(holds))
        });
        vec![words(&y)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; 2])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let floats = io.inputs[0].dtype == DType::F32;
        let variant = VARIANTS[self.0 as usize + 4 * usize::from(floats)];
        lower_broadcast(self.name(), &COMPARE, variant, [0.0; 3], io, out)
    }

    fn mixes_rows_of(&self, input: usize, inputs: &[&Type]) -> bool {
        is_across(input, inputs)
    }
}

impl Op for Select {
    fn name(&self) -> &'static str {
        "select"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 3)?;
        expect_dtype(self.name(), "mask", inputs[0], DType::U32)?;
        expect_alike(self.name(), inputs[1], inputs[2])?;
        let shape = broadcast(self.name(), inputs)?;
        Ok(vec![Type::new(inputs[1].dtype, shape)])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let types = [inputs[0].ty(), inputs[1].ty(), inputs[2].ty()];
        let shape = broadcast("", &types).expect("infer accepted the shapes");
        let [mask, a, b] = [0, 1, 2].map(|i| numbers(inputs[i]));
        let y = map_broadcast([&mask, &a, &b], &shape, |[mask, a, b]| match mask {
            0.0 => b,
            _ => a,
        });
        vec![match inputs[1].ty().dtype {
            DType::U32 => words(&y),
            _ => y,
        }]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let (mask, dy) = (at.inputs[0], dy[0]);
        let zero = g.fill([1], 0.0)?;
        let mut gradient = |operand: usize, own: Value, other: Value| {
            let shape = g.shape(at.inputs[operand])?.clone();
            let spread = g.select(mask, own, other)?;
            Ok::<_, Error>(Some(unbroadcast(g, spread, &shape)?))
        };
        Ok(vec![None, gradient(1, dy, zero)?, gradient(2, zero, dy)?])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let variant = SELECT_VARIANTS[0];
        lower_broadcast(self.name(), &SELECT, variant, [0.0; 3], io, out)
    }

    fn mixes_rows_of(&self, input: usize, inputs: &[&Type]) -> bool {
        is_across(input, inputs)
    }
}

/// Function number `NUMBER` of words, which are `f32` where `FLOATS` is 1.
const fn variant<const NUMBER: u32, const FLOATS: u32>() -> Overrides {
    const {
        &[
            ("function", NUMBER),
            ("floats", FLOATS),
            ("workgroup_size", 64),
        ]
    }
}

/// By function, first of integers.
const VARIANTS: &[Overrides] = &[
    variant::<0, 0>(),
    variant::<1, 0>(),
    variant::<2, 0>(),
    variant::<3, 0>(),
    variant::<0, 1>(),
    variant::<1, 1>(),
    variant::<2, 1>(),
    variant::<3, 1>(),
];
const SELECT_VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static ELEMENTS: Kernel = Kernel::new(
    "compare",
    &[
        source!("elementwise/compare"),
        source!("movement/words_elements"),
        source!("elementwise/broadcast_elements"),
        source!("elementwise/broadcast_axis"),
    ],
    VARIANTS,
);
static QUADS: Kernel = Kernel::new(
    "compare_quads",
    &[
        source!("elementwise/compare"),
        source!("movement/words_quads"),
        source!("elementwise/broadcast_quads"),
        source!("elementwise/broadcast_axis"),
    ],
    VARIANTS,
);
static SELECT_ELEMENTS: Kernel = Kernel::new(
    "select",
    &[
        source!("elementwise/select"),
        source!("movement/words_elements"),
        source!("elementwise/broadcast_elements"),
        source!("elementwise/broadcast_axis"),
    ],
    SELECT_VARIANTS,
);
static SELECT_QUADS: Kernel = Kernel::new(
    "select_quads",
    &[
        source!("elementwise/select"),
        source!("movement/words_quads"),
        source!("elementwise/broadcast_quads"),
        source!("elementwise/broadcast_axis"),
    ],
    SELECT_VARIANTS,
);

const COMPARE: Forms = Forms {
    quads: &QUADS,
    elements: &ELEMENTS,
};
const SELECT: Forms = Forms {
    quads: &SELECT_QUADS,
    elements: &SELECT_ELEMENTS,
};

pub(in crate::ops) const KERNELS: &[&Kernel] =
    &[&ELEMENTS, &QUADS, &SELECT_ELEMENTS, &SELECT_QUADS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_types_must_agree() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([2, 3])).unwrap();
        let n = g.input("n", Type::u32([3])).unwrap();
        let bytes = g.input("bytes", Type::u8([3])).unwrap();
        let message = |result: Result<Value>| result.unwrap_err().to_string();
        assert_eq!(
            message(g.lt(x, n)),
            "lt: a is f32 [2, 3], b u32 [3], both f32 or both u32 are needed"
        );
        assert!(message(g.eq(bytes, bytes)).contains("both f32 or both u32"));
        assert_eq!(
            message(g.select(x, x, x)),
            "select: mask is f32 [2, 3], u32 is needed"
        );
        assert!(message(g.select(n, x, n)).starts_with("select: a is f32 [2, 3], b u32 [3]"));
    }
}
