//! Batches out of a data set on the device: rows of bytes or numbers as floats, and labels.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{
    Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, Part, overlaps, source,
};
use crate::shape::{DType, Shape, Type};
use crate::tensor::Array;

use crate::ops::{expect_dtype, expect_inputs, expect_type};

// Parameters and builder.

/// Chosen rows of a data set of bytes or of numbers, as element * scale + shift.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GatherRows {
    /// Factor on each element.
    pub scale: f32,
    /// What is added.
    pub shift: f32,
}

/// Chosen elements of a list of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatherLabels;

/// # Gathering rows and labels
impl Graph {
    /// Rows `indices` u32 `[batch]` of `data` u8 or f32 `[n, ...]` as element * scale + shift, f32
    /// `[batch, ...]`.
    ///
    /// Rows from `valid` u32 `[1]` on, and rows whose index is not below n, are 0.
    pub fn gather_rows(
        &mut self,
        data: Value,
        indices: Value,
        valid: Value,
        scale: f32,
        shift: f32,
    ) -> Result<Value> {
        self.apply1(GatherRows { scale, shift }, &[data, indices, valid])
    }

    /// Elements `indices` u32 `[batch]` of `labels` u32 `[n]`, u32 `[batch]`.
    ///
    /// Rows from `valid` u32 `[1]` on, and rows whose index is not below n, are 0.
    pub fn gather_labels(&mut self, labels: Value, indices: Value, valid: Value) -> Result<Value> {
        self.apply1(GatherLabels, &[labels, indices, valid])
    }
}

// Shape rule.

/// Checks indices and valid; returns the number of rows gathered.
fn expect_indices(op: &str, inputs: &[&Type]) -> Result<usize> {
    let &[batch] = &inputs[1].shape[..] else {
        return Err(Error::shape(format!(
            "{op}: indices {} must have 1 axis, [batch]",
            inputs[1].shape
        )));
    };
    expect_type(op, "indices", inputs[1], &Type::u32([batch]))?;
    expect_type(op, "valid", inputs[2], &Type::u32([1]))?;
    Ok(batch)
}

/// The row of `n` that output row `row` reads, if any.
fn row_of(row: usize, n: usize, indices: &Array, valid: &Array) -> Option<usize> {
    let index = indices.u32s()[row] as usize;
    (row < valid.u32s()[0] as usize && index < n).then_some(index)
}

impl Op for GatherRows {
    fn name(&self) -> &'static str {
        "gather_rows"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("gather_rows", inputs, 3)?;
        let data = inputs[0];
        if !matches!(data.dtype, DType::U8 | DType::F32) {
            return Err(Error::shape(format!(
                "gather_rows: data is {data}, u8 or f32 is needed"
            )));
        }
        if data.shape.is_empty() {
            return Err(Error::shape("gather_rows: data [] has no rows"));
        }
        let mut shape = data.shape.to_vec();
        shape[0] = expect_indices("gather_rows", inputs)?;
        Ok(vec![Type::f32(shape)])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (data, indices, valid) = (inputs[0], inputs[1], inputs[2]);
        let (n, width) = rows(data.shape());
        let (scale, shift) = (f64::from(self.scale), f64::from(self.shift));
        let batch = indices.ty().count();
        let mut y = vec![0.0; batch * width];
        for row in 0..batch {
            if let Some(index) = row_of(row, n, indices, valid) {
                for column in 0..width {
                    let at = index * width + column;
                    let element = match data.ty().dtype {
                        DType::U8 => f64::from(data.u8s()[at]),
                        _ => data.floats()[at],
                    };
                    y[row * width + column] = element * scale + shift;
                }
            }
        }
        let mut shape = data.shape().to_vec();
        shape[0] = batch;
        vec![Array::float(shape, y)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; 3])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let (_, width) = rows(&io.inputs[0].shape);
        let (kernel, columns) = match io.inputs[0].dtype {
            DType::F32 => (&GATHER_FLOATS, width),
            _ if width.is_multiple_of(4) => (&GATHER_WORDS, width / 4),
            _ => (&GATHER_BYTES, width),
        };
        each_part(kernel, columns, *self, io, out);
        Ok(())
    }
}

/// Emits a gathering from every part of the data into every run of output rows: each writes the
/// rows that it finds in its part of the data, and those that no part has. `scaled` says what
/// becomes of elements; labels stay as they are.
fn each_part(
    kernel: &'static Kernel,
    columns: usize,
    scaled: GatherRows,
    io: &Io,
    out: &mut Lowering,
) {
    let all = [Part {
        start: 0,
        rows: io.outputs[0].shape[0],
    }];
    let (indices, y) = (&io.input_parts[1], &io.output_parts[0]);
    for rows in overlaps(&[&all, indices, y]) {
        for (part, data) in io.input_parts[0].iter().enumerate() {
            let count = rows.count * columns;
            out.push(
                Dispatch::new(kernel, VARIANTS[0])
                    .read(Operand::Input(0))
                    .part(part)
                    .read(Operand::Input(1))
                    .part(rows.part[1])
                    .uniform(Operand::Input(2))
                    .write(Operand::Output(0))
                    .part(rows.part[2])
                    .param("count", count)
                    .param("row", rows.first[0])
                    .param("first_index", rows.first[1])
                    .param("first_y", rows.first[2] * columns)
                    .param("rows", io.inputs[0].shape[0])
                    .param("first", data.start)
                    .param("held", data.rows)
                    .param("columns", columns)
                    .param_f32("scale", scaled.scale)
                    .param_f32("shift", scaled.shift)
                    .workgroups(count.div_ceil(64)),
            );
        }
    }
}

/// Rows of a data set and elements per row.
fn rows(shape: &Shape) -> (usize, usize) {
    (shape[0], shape[1..].iter().product())
}

impl Op for GatherLabels {
    fn name(&self) -> &'static str {
        "gather_labels"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("gather_labels", inputs, 3)?;
        let labels = inputs[0];
        expect_dtype("gather_labels", "labels", labels, DType::U32)?;
        if labels.shape.len() != 1 {
            return Err(Error::shape(format!(
                "gather_labels: labels {} must have 1 axis, [n]",
                labels.shape
            )));
        }
        let batch = expect_indices("gather_labels", inputs)?;
        Ok(vec![Type::u32([batch])])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (labels, indices, valid) = (inputs[0], inputs[1], inputs[2]);
        let batch = indices.ty().count();
        let y = (0..batch).map(|row| {
            row_of(row, labels.ty().count(), indices, valid).map_or(0, |i| labels.u32s()[i])
        });
        vec![Array::u32([batch], y.collect())]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; 3])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let scaled = GatherRows {
            scale: 1.0,
            shift: 0.0,
        };
        each_part(&GATHER_LABELS, 1, scaled, io, out);
        Ok(())
    }
}

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static GATHER_WORDS: Kernel = Kernel::new(
    "gather_words",
    &[source!("movement/gather"), source!("movement/gather_words")],
    VARIANTS,
);
static GATHER_BYTES: Kernel = Kernel::new(
    "gather_bytes",
    &[source!("movement/gather"), source!("movement/gather_bytes")],
    VARIANTS,
);
static GATHER_FLOATS: Kernel = Kernel::new(
    "gather_floats",
    &[
        source!("movement/gather"),
        source!("movement/gather_floats"),
    ],
    VARIANTS,
);
static GATHER_LABELS: Kernel = Kernel::new(
    "gather_labels",
    &[
        source!("movement/gather"),
        source!("movement/gather_labels"),
    ],
    VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] =
    &[&GATHER_WORDS, &GATHER_BYTES, &GATHER_FLOATS, &GATHER_LABELS];
