//! Masks that follow the geometry of their images.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, overlaps, source};
use crate::ops::{expect_dtype, expect_inputs};
use crate::shape::{DType, Type};
use crate::tensor::Array;

use super::{LONGEST, Params, VARIANTS, expect_rows, knot_step};

// Parameters and builder.

/// Masks with the geometry of their images' rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AugmentMask {
    /// The label where the mask's row looks outside of it, and its border is
    /// [`Border::Fill`](crate::ops::Border::Fill).
    pub fill: u32,
}

/// # Augmentation
impl Graph {
    /// Labels of pixels u32 `[n, h, w]` where [`augment`](Self::augment) puts the pixels that they
    /// belong to: the geometry of `rows`, the nearest pixel always, and `fill` where the image has
    /// its fill. Colours and erasing change nothing.
    ///
    /// # Errors
    /// `Shape` if masks are not u32 `[n, h, w]` with sides of at most 16,384, or rows not as
    /// [`augment_rows`](Self::augment_rows) makes them for n images.
    pub fn augment_mask(&mut self, masks: Value, rows: Value, fill: u32) -> Result<Value> {
        self.apply1(AugmentMask { fill }, &[masks, rows])
    }
}

// Shape rule.

impl Op for AugmentMask {
    fn name(&self) -> &'static str {
        "augment_mask"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("augment_mask", inputs, 2)?;
        let masks = inputs[0];
        expect_dtype("augment_mask", "masks", masks, DType::U32)?;
        match &masks.shape[..] {
            &[n, h, w] if h.max(w) <= LONGEST => expect_rows("augment_mask", inputs[1], n)?,
            _ => {
                return Err(Error::shape(format!(
                    "augment_mask: masks {} must be [n, h, w], with sides of at most {LONGEST}",
                    masks.shape
                )));
            }
        };
        Ok(vec![masks.clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (masks, rows) = (inputs[0], inputs[1]);
        let &[n, h, w] = &masks.shape()[..] else {
            return Vec::new();
        };
        let knots = expect_rows("augment_mask", rows.ty(), n).unwrap_or(0);
        let mut y = Vec::new();
        for sample in 0..n {
            let row = Params::of(rows, sample, knots, [h, w]);
            y.extend((0..h * w).map(|at| match row.nearest(at % w, at / w) {
                Some([x, y]) => masks.u32s()[(sample * h + y) * w + x],
                None => self.fill,
            }));
        }
        vec![Array::u32(masks.shape().clone(), y)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; 2])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let &[n, h, w] = &io.inputs[0].shape[..] else {
            return Ok(());
        };
        let knots = expect_rows("augment_mask", &io.inputs[1], n)?;
        let words = io.inputs[1].shape[1];
        let parts = [
            &io.input_parts[0][..],
            &io.input_parts[1],
            &io.output_parts[0],
        ];
        for rows in overlaps(&parts) {
            let count = rows.count * h * w;
            out.push(
                Dispatch::new(&AUGMENT_MASK, VARIANTS[0])
                    .read(Operand::Input(0))
                    .part(rows.part[0])
                    .read(Operand::Input(1))
                    .part(rows.part[1])
                    .write(Operand::Output(0))
                    .part(rows.part[2])
                    .param("count", count)
                    .param("first_mask", rows.first[0] * h * w)
                    .param("first_row", rows.first[1] * words)
                    .param("first_y", rows.first[2] * h * w)
                    .param("height", h)
                    .param("width", w)
                    .param("words", words)
                    .param("knots", knots)
                    .param("step_x", knot_step(w, knots))
                    .param("step_y", knot_step(h, knots))
                    .param("fill", self.fill as usize)
                    .workgroups(count.div_ceil(64)),
            );
        }
        Ok(())
    }

    fn mixes_rows(&self, _: usize) -> bool {
        false
    }
}

pub(super) static AUGMENT_MASK: Kernel = Kernel::new(
    "augment_mask",
    &[
        source!("augment/mask"),
        source!("augment/row"),
        source!("augment/geometry"),
        source!("lib/fixed"),
        source!("lib/philox"),
    ],
    VARIANTS,
);
