//! Conversion between element types.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{EvalSplit, Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, overlaps, source};
use crate::shape::{DType, Type};
use crate::tensor::Array;

use crate::lowering::Cut;
use crate::ops::expect_inputs;

// Parameters and builder.

/// The same numbers as elements of another type: `f32`, `u32` or `u8`.
///
/// A float becomes the integer next to it towards 0; below or above the type's range the end of
/// that, and 0 for NaN, where PyTorch's result depends on the machine. A `u32` becomes the nearest
/// `f32`, of two that are as near the even one, or its lowest byte, as PyTorch's integers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cast {
    /// The new type.
    pub dtype: DType,
}

/// # Element types
impl Graph {
    /// x with elements of type `dtype`, as [`Cast`] says: PyTorch's `to`. It has no gradient, but
    /// where x is of this type already, which gives x itself.
    pub fn cast(&mut self, x: Value, dtype: DType) -> Result<Value> {
        if self.operand("cast", x)?.dtype == dtype {
            return Ok(x);
        }
        self.apply1(Cast { dtype }, &[x])
    }
}

// Shape rule.

impl Op for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        let x = inputs[0];
        if x.dtype == self.dtype || [x.dtype, self.dtype].contains(&DType::F16) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "cast: {x} to {}: f32, u32 and u8 become each other",
                    self.dtype
                ),
            ));
        }
        Ok(vec![Type::new(self.dtype, x.shape.clone())])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let shape = x.shape().clone();
        vec![match (x.ty().dtype, self.dtype) {
            (DType::U32, DType::U8) => {
                let bytes = x.u32s().iter().map(|&word| (word & 0xff) as u8);
                Array::u8(shape, bytes.collect())
            }
            // `as` rounds to the nearest `f32`, as the kernel does.
            (DType::U32, _) => {
                let rounded = x.u32s().iter().map(|&n| f64::from(n as f32));
                Array::float(shape, rounded.collect())
            }
            (DType::U8, DType::U32) => {
                Array::u32(shape, x.u8s().iter().map(|&n| n.into()).collect())
            }
            (DType::U8, _) => Array::float(shape, x.u8s().iter().map(|&n| n.into()).collect()),
            // `as` goes to the ends of the range, and to 0 for NaN.
            (_, DType::U8) => Array::u8(shape, x.floats().iter().map(|&n| n as u8).collect()),
            _ => Array::u32(shape, x.floats().iter().map(|&n| n as u32).collect()),
        }]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None])
    }

    // Lowering.

    fn split(&self) -> EvalSplit {
        EvalSplit::Rows(&[0])
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (x, y) = (Cut::input(io, 0), Cut::output(io, 0));
        let (from, to) = (io.inputs[0].dtype, io.outputs[0].dtype);
        // Runs of rows begin and end at words if rows do, or if one run is all.
        let quads = x.row().is_multiple_of(4) || x.parts.len().max(y.parts.len()) == 1;
        let (kernel, width) = match (from, to) {
            (DType::U8, _) if quads => (&FROM_BYTES, 4),
            (DType::U8, _) => (&FROM_BYTE, 1),
            (_, DType::U8) => {
                if !quads {
                    io.whole(self.name())?;
                }
                (&TO_BYTES, 4)
            }
            _ => (&WORDS, 4),
        };
        let float = usize::from(from == DType::F32 || (from == DType::U8 && to == DType::F32));
        for rows in overlaps(&[x.parts, y.parts]) {
            let count = (rows.count * x.row()).div_ceil(width);
            out.push(
                Dispatch::new(kernel, VARIANTS[float])
                    .read(Operand::Input(0))
                    .part(rows.part[0])
                    .write(Operand::Output(0))
                    .part(rows.part[1])
                    .param("count", count)
                    .param("read_base", rows.first[0] * x.row() / width)
                    .param("write_base", rows.first[1] * x.row() / width)
                    .workgroups(count.div_ceil(64)),
            );
        }
        Ok(())
    }
}

const VARIANTS: &[Overrides] = &[
    &[("float", 0), ("workgroup_size", 64)],
    &[("float", 1), ("workgroup_size", 64)],
];

static WORDS: Kernel = Kernel::new(
    "cast_words",
    &[
        source!("elementwise/cast"),
        source!("elementwise/cast_words"),
        source!("lib/convert"),
    ],
    VARIANTS,
);
static FROM_BYTES: Kernel = Kernel::new(
    "cast_from_bytes",
    &[
        source!("elementwise/cast"),
        source!("elementwise/cast_from_bytes"),
    ],
    VARIANTS,
);
static FROM_BYTE: Kernel = Kernel::new(
    "cast_from_byte",
    &[
        source!("elementwise/cast"),
        source!("elementwise/cast_from_byte"),
    ],
    VARIANTS,
);
static TO_BYTES: Kernel = Kernel::new(
    "cast_to_bytes",
    &[
        source!("elementwise/cast"),
        source!("elementwise/cast_to_bytes"),
        source!("lib/convert"),
    ],
    VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&WORDS, &FROM_BYTES, &FROM_BYTE, &TO_BYTES];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_refused() {
        let mut g = Graph::new();
        let x = g.input("x", Type::u8([3])).unwrap();
        assert_eq!(
            g.cast(x, DType::F16).unwrap_err().to_string(),
            "cast: u8 [3] to f16: f32, u32 and u8 become each other"
        );
        assert_eq!(g.cast(x, DType::U8).unwrap(), x);
    }
}
