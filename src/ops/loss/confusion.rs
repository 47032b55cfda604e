//! The counter of a confusion matrix.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, overlaps, source};
use crate::lowering::copy::copy;
use crate::ops::{expect_dtype, expect_inputs, expect_type};
use crate::shape::{DType, Type};
use crate::tensor::Array;

// Parameters and builder.

/// Adds to a counter how often each class was taken for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfusionMatrix;

/// # Confusion matrix
impl Graph {
    /// `counter` u32 `[classes, classes]` with 1 added at `[label, answer]` for each element of
    /// `answers` and `labels`, both u32 `[n, ...]`, among the first `valid` u32 `[1]` rows.
    ///
    /// Elements whose label or answer is not below `classes` do not count. Answers are the
    /// [`argmax`](Self::argmax) of logits.
    ///
    /// ```
    /// use striate::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let mut g = Graph::new();
    /// let answers = g.constant(Tensor::u32([4], vec![0, 1, 1, 0])?)?;
    /// let labels = g.constant(Tensor::u32([4], vec![0, 1, 0, 1])?)?;
    /// let valid = g.constant(Tensor::u32([1], vec![3])?)?;
    /// let none = g.constant(Tensor::u32([2, 2], vec![0; 4])?)?;
    /// let counts = g.confusion_matrix(answers, labels, valid, none)?;
    ///
    /// let store = Store::new(&Engine::cpu(), &[&g], 0)?;
    /// let mut session = Session::new(&store, &g, &[counts])?;
    /// session.run(1)?;
    /// assert_eq!(session.read(counts)?.as_u32()?, [1, 1, 0, 1]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Shape` if `answers` is not u32 with 1 axis or more, `labels` not of its type, `valid` not
    /// u32 `[1]`, or `counter` not u32 `[classes, classes]`.
    pub fn confusion_matrix(
        &mut self,
        answers: Value,
        labels: Value,
        valid: Value,
        counter: Value,
    ) -> Result<Value> {
        self.apply1(ConfusionMatrix, &[answers, labels, valid, counter])
    }
}

// Shape rule.

impl Op for ConfusionMatrix {
    fn name(&self) -> &'static str {
        "confusion_matrix"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        let op = "confusion_matrix";
        expect_inputs(op, inputs, 4)?;
        let (answers, counter) = (inputs[0], inputs[3]);
        expect_dtype(op, "answers", answers, DType::U32)?;
        if answers.shape.is_empty() {
            return Err(Error::shape(format!("{op}: answers [] have no rows")));
        }
        expect_type(op, "labels", inputs[1], answers)?;
        expect_type(op, "valid", inputs[2], &Type::u32([1]))?;
        expect_dtype(op, "counter", counter, DType::U32)?;
        match counter.shape[..] {
            [classes, others] if classes == others => Ok(vec![counter.clone()]),
            _ => Err(Error::shape(format!(
                "{op}: counter {} must be [classes, classes]",
                counter.shape
            ))),
        }
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (answers, labels) = (inputs[0], inputs[1]);
        let row = answers.ty().row();
        let classes = inputs[3].shape()[0];
        let valid = (inputs[2].u32s()[0] as usize).min(answers.shape()[0]);
        let mut counts = inputs[3].u32s().to_vec();
        for i in 0..valid * row {
            let (answer, label) = (answers.u32s()[i] as usize, labels.u32s()[i] as usize);
            if label < classes && answer < classes {
                let count = &mut counts[label * classes + answer];
                *count = count.wrapping_add(1);
            }
        }
        vec![Array::u32([classes, classes], counts)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; 4])
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(3, 0)]
    }

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let row = io.inputs[0].row();
        let counter = &io.outputs[0];
        for (part, held) in io.output_parts[0].iter().enumerate() {
            if io.in_place[0].is_none() {
                let bytes = counter.padded_bytes(held.rows * counter.row());
                out.push(copy(
                    (Operand::Input(3), part),
                    (Operand::Output(0), part),
                    bytes,
                ));
            }
            for run in overlaps(&[&io.input_parts[0], &io.input_parts[1]]) {
                let count = run.count * row;
                let first = io.input_parts[0][run.part[0]].start + run.first[0];
                out.push(
                    Dispatch::new(&CONFUSION, VARIANTS[0])
                        .read(Operand::Input(0))
                        .part(run.part[0])
                        .read(Operand::Input(1))
                        .part(run.part[1])
                        .uniform(Operand::Input(2))
                        .write(Operand::Output(0))
                        .part(part)
                        .param("count", count)
                        .param("row", row)
                        .param("first_row", first)
                        .param("answers_base", run.first[0] * row)
                        .param("labels_base", run.first[1] * row)
                        .param("classes", counter.row())
                        .param("first", held.start)
                        .param("held", held.rows)
                        .workgroups(count.div_ceil(64)),
                );
            }
        }
        Ok(())
    }

    fn mixes_rows(&self, input: usize) -> bool {
        // Counts of a class are added to its row.
        input != 3
    }
}

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static CONFUSION: Kernel = Kernel::new("confusion", &[source!("loss/confusion")], VARIANTS);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&CONFUSION];
