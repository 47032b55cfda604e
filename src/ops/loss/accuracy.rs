//! The counter of right predictions.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{
    Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, looped, overlaps, source,
    turns_within,
};
use crate::shape::{Shape, Type};
use crate::tensor::Array;

use crate::lowering::rows::{Loops, by_rows};
use crate::ops::elementwise::in_place::{bind_places, form};
use crate::ops::{expect_f32, expect_inputs, expect_type};

// Parameters and builder.

/// Adds the number of right predictions and of rows to a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountCorrect;

/// # Accuracy
impl Graph {
    /// `counter` u32 `[2]` plus [rows whose largest logit is the label's, rows], both among the
    /// first `valid` rows.
    ///
    /// `logits`, `labels` and `valid` are those of
    /// [`cross_entropy_with`](Self::cross_entropy_with). Among equal logits the one of the lowest
    /// class counts as the largest, as in PyTorch. A row with a NaN is wrong.
    pub fn count_correct(
        &mut self,
        logits: Value,
        labels: Value,
        valid: Value,
        counter: Value,
    ) -> Result<Value> {
        self.apply1(CountCorrect, &[logits, labels, valid, counter])
    }
}

// Shape rule.

/// Checks the number of inputs, logits, labels and valid.
fn expect_batch(op: &str, inputs: &[&Type], count: usize) -> Result<()> {
    expect_inputs(op, inputs, count)?;
    expect_f32(op, "logits", inputs[0])?;
    let [rows, _] = inputs[0].shape[..] else {
        return Err(Error::shape(format!(
            "{op}: logits {} must have 2 axes, [batch, classes]",
            inputs[0].shape
        )));
    };
    expect_type(op, "labels", inputs[1], &Type::u32([rows]))?;
    expect_type(op, "valid", inputs[2], &Type::u32([1]))
}

fn extents(logits: &Shape) -> (usize, usize) {
    (logits[0], logits[1])
}

impl Op for CountCorrect {
    fn name(&self) -> &'static str {
        "count_correct"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_batch("count_correct", inputs, 4)?;
        let counter = Type::u32([2]);
        expect_type("count_correct", "counter", inputs[3], &counter)?;
        Ok(vec![counter])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (rows, columns) = extents(inputs[0].shape());
        let valid = (inputs[2].u32s()[0] as usize).min(rows);
        let right = (0..valid).filter(|row| {
            let logits = &inputs[0].floats()[row * columns..(row + 1) * columns];
            let label = inputs[1].u32s()[*row] as usize;
            let mut largest = 0;
            for column in 0..columns {
                if logits[column] > logits[largest] {
                    largest = column;
                }
            }
            label < columns && label == largest && !logits.iter().any(|x| x.is_nan())
        });
        let counter = inputs[3].u32s();
        let counter = vec![
            counter[0].wrapping_add(right.count() as u32),
            counter[1].wrapping_add(valid as u32),
        ];
        vec![Array::u32([2], counter)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; 4])
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &[(3, 0)]
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let (rows, columns) = extents(&io.inputs[0].shape);
        let lanes = ROW_LOOPS.lanes(columns, 1, caps.max_turns);
        let mut counted = Vec::new();
        let mut first = 0;
        for run in overlaps(&[&io.input_parts[0], &io.input_parts[1]]) {
            let right = out.scratch(Type::u32([run.count]));
            let most = match lanes {
                Some(_) => u64::MAX,
                None => caps.max_turns,
            };
            let lanes = lanes.unwrap_or(64);
            for [from, to] in ROW_LOOPS.windows(columns, most) {
                out.push(
                    by_rows(&ROW_CORRECT, &[], run.count, lanes)
                        .read(Operand::Input(0))
                        .part(run.part[0])
                        .read(Operand::Input(1))
                        .part(run.part[1])
                        .uniform(Operand::Input(2))
                        .write(right)
                        .param("rows", run.count)
                        .param("first", first)
                        .param("columns", columns)
                        .param("begin", from)
                        .param("until", to)
                        .param("logits_base", run.first[0] * columns)
                        .param("labels_base", run.first[1])
                        .turns(ROW_LOOPS.turns(to - from, lanes)),
                );
            }
            counted.push((right, run.count));
            first += run.count;
        }
        let last = |terms: usize| looped(terms.div_ceil(64), 0) + LAST;
        let (right, terms) = loop {
            match counted[..] {
                [] => break (out.scratch(Type::u32([0])), 0),
                [(right, terms)] if terms <= 64 || last(terms) <= caps.max_turns => {
                    break (right, terms);
                }
                _ => counted = vec![lower_counts(&counted, caps, out)],
            }
        };
        let dispatch = Dispatch::new(form([&COUNT, &COUNT_IN_PLACE], io), COUNT_VARIANTS[0])
            .read(right)
            .uniform(Operand::Input(2));
        let dispatch = bind_places(dispatch, io, 3, 0);
        out.push(
            dispatch
                .param("rows", rows)
                .param("terms", terms)
                .turns(last(terms))
                .workgroups(1),
        );
        Ok(())
    }
}

/// Emits the sums of chunks of each of several operands, all into one, with how many these are.
fn lower_counts(counted: &[(Operand, usize)], caps: &Caps, out: &mut Lowering) -> (Operand, usize) {
    let chunks = |terms: usize| {
        // Fewer than before, whatever is allowed: the plan refuses what is not.
        let least = terms.div_ceil(turns_within(caps.max_turns, 0).max(2));
        least.max(FEW.min(terms.div_ceil(2)))
    };
    let total = counted.iter().map(|&(_, terms)| chunks(terms)).sum();
    let sums = out.scratch(Type::u32([total]));
    let mut at = 0;
    for &(right, terms) in counted {
        let chunks = chunks(terms);
        out.push(
            Dispatch::new(&COUNT_PART, COUNT_VARIANTS[0])
                .read(right)
                .write(sums)
                .param("rows", terms)
                .param("chunks", chunks)
                .param("at", at)
                .turns(looped(terms.div_ceil(chunks.max(1)), 0))
                .workgroups(chunks.div_ceil(64)),
        );
        at += chunks;
    }
    (sums, total)
}

/// One loop over the columns, and whether any invocation found a larger one.
const ROW_LOOPS: Loops = Loops {
    columns: 1,
    combined: 1,
};
/// Turns in which one invocation adds up what the 64 have.
const LAST: u64 = 64;
/// Sums of a first stage, where the rows are that many: enough invocations to fill a device.
const FEW: usize = 4096;

const ROW_VARIANTS: &[Overrides] = &[
    &[("lanes", 1), ("workgroup_size", 64)],
    &[("lanes", 64), ("workgroup_size", 64)],
];
const COUNT_VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static ROW_CORRECT: Kernel = Kernel::new(
    "row_correct",
    &[source!("loss/row_correct"), source!("lib/rows")],
    ROW_VARIANTS,
);
static COUNT: Kernel = Kernel::new(
    "count",
    &[source!("loss/count"), source!("lib/separate")],
    COUNT_VARIANTS,
);
static COUNT_PART: Kernel =
    Kernel::new("count_part", &[source!("loss/count_part")], COUNT_VARIANTS);
static COUNT_IN_PLACE: Kernel = Kernel::new(
    "count_in_place",
    &[source!("loss/count"), source!("lib/in_place")],
    COUNT_VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] =
    &[&ROW_CORRECT, &COUNT_PART, &COUNT, &COUNT_IN_PLACE];
