//! Softmax and its logarithm over any axis.

use crate::error::{Error, Result};
use crate::graph::{EvalSplit, Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, source};
use crate::shape::Type;
use crate::tensor::Array;

use crate::lowering::Cut;
use crate::lowering::broadcast::function;
use crate::lowering::reduction::{Fold, Function, lower_reduction};
use crate::lowering::rows::{Loops, by_rows, kept, lower_row_sums, row_places, whole};
use crate::ops::dim::{self, Dim};
use crate::ops::{expect_f32, expect_inputs, expect_type, no_second_derivative};
use crate::shape::around;

// Parameters and builder.

/// exp(x) / sum(exp(x)) over one axis, or the logarithm of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softmax {
    /// The axis that is summed.
    pub axis: usize,
    /// Whether the result is the logarithm.
    pub logarithm: bool,
}

/// The gradient of [`Softmax`] from its output y and dy: y * (dy - sum(dy * y)), of the logarithm
/// dy - exp(y) * sum(dy).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftmaxGrad(pub Softmax);

/// # Softmax
impl Graph {
    /// exp(x) / sum(exp(x)) over `axis`. Where that sums a NaN, +inf, or nothing but -inf, all is
    /// NaN.
    pub fn softmax(&mut self, x: Value, axis: impl Into<Dim>) -> Result<Value> {
        let axis = dim::axis("softmax", &self.operand("softmax", x)?.shape, axis)?;
        let logarithm = false;
        self.apply1(Softmax { axis, logarithm }, &[x])
    }

    /// log(exp(x) / sum(exp(x))) over `axis`, which neither overflows nor loses small terms. NaN as
    /// in [`softmax`](Self::softmax).
    pub fn log_softmax(&mut self, x: Value, axis: impl Into<Dim>) -> Result<Value> {
        let axis = dim::axis("log_softmax", &self.operand("log_softmax", x)?.shape, axis)?;
        let logarithm = true;
        self.apply1(Softmax { axis, logarithm }, &[x])
    }
}

// Shape rule.

/// The elements' indices in each row of `[outer, columns, inner]`.
pub(in crate::ops) fn rows(
    [outer, columns, inner]: [usize; 3],
) -> impl Iterator<Item = Vec<usize>> {
    (0..outer * inner).map(move |row| {
        let start = row / inner * columns * inner + row % inner;
        (0..columns).map(|column| start + column * inner).collect()
    })
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        match self.logarithm {
            false => "softmax",
            true => "log_softmax",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), "x", inputs[0])?;
        if self.axis >= inputs[0].shape.len() {
            return Err(Error::shape(format!(
                "{}: x {} has no axis {}",
                self.name(),
                inputs[0].shape,
                self.axis
            )));
        }
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let x = inputs[0];
        let mut y = vec![0.0; x.ty().count()];
        for row in rows(around(x.shape(), self.axis)) {
            let logs = log_softmax_row(row.iter().map(|&i| x.floats()[i]).collect());
            for (i, log) in row.into_iter().zip(logs) {
                y[i] = if self.logarithm { log } else { log.exp() };
            }
        }
        vec![Array::float(x.shape().clone(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        let dx = g.apply1(SoftmaxGrad(*self), &[at.outputs[0], dy[0]])?;
        Ok(vec![Some(dx)])
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let [_, columns, inner] = self.around(self.name(), io)?;
        let Some(lanes) = LOOPS.lanes(columns, inner, caps.max_turns) else {
            let x = Cut::input(io, 0);
            let y = |part| (Operand::Output(0), part);
            let [top, sum] = lower_row_sums(self.name(), x, self.axis, caps, out)?;
            let each = usize::from(self.logarithm);
            lower_elements(x, self.axis, each, [top, sum], y, out);
            return Ok(());
        };
        self.lower_rows([&SOFTMAX, &SOFTMAX_QUADS], LOOPS, lanes, io, out);
        Ok(())
    }

    fn split(&self) -> EvalSplit {
        match self.axis {
            0 => EvalSplit::Whole,
            _ => EvalSplit::Rows(&[0]),
        }
    }

    fn mixes_rows(&self, _: usize) -> bool {
        self.axis == 0
    }
}

/// The logarithm of the softmax of one row, stable by its maximum.
pub(in crate::ops) fn log_softmax_row(x: Vec<f64>) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = x.iter().map(|x| (x - max).exp()).sum();
    x.iter().map(|x| (x - max) - sum.ln()).collect()
}

impl Op for SoftmaxGrad {
    fn name(&self) -> &'static str {
        match self.0.logarithm {
            false => "softmax_grad",
            true => "log_softmax_grad",
        }
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        self.0.infer(&inputs[..1])?;
        expect_type(self.name(), "dy", inputs[1], inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (y, dy) = (inputs[0].floats(), inputs[1].floats());
        let mut dx = vec![0.0; y.len()];
        for row in rows(around(inputs[0].shape(), self.0.axis)) {
            let terms = row.iter().map(|&i| match self.0.logarithm {
                false => y[i] * dy[i],
                true => dy[i],
            });
            let sum: f64 = terms.sum();
            for i in row {
                dx[i] = match self.0.logarithm {
                    false => y[i] * (dy[i] - sum),
                    true => dy[i] - y[i].exp() * sum,
                };
            }
        }
        vec![Array::float(inputs[0].shape().clone(), dx)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(no_second_derivative(self.0.name()))
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let [_, columns, inner] = self.0.around(self.name(), io)?;
        match GRAD_LOOPS.lanes(columns, inner, caps.max_turns) {
            Some(lanes) => {
                let kernels = [&SOFTMAX_GRAD, &SOFTMAX_GRAD_QUADS];
                self.0.lower_rows(kernels, GRAD_LOOPS, lanes, io, out);
                Ok(())
            }
            None => self.lower_in_pieces(io, caps, out),
        }
    }

    fn split(&self) -> EvalSplit {
        match self.0.axis {
            0 => EvalSplit::Whole,
            _ => EvalSplit::Rows(&[0, 1]),
        }
    }
}

impl Softmax {
    /// The output as `[outer, columns, inner]`; its rows lie in one part each.
    fn around(&self, op: &str, io: &Io) -> Result<[usize; 3]> {
        if self.axis == 0 {
            io.whole(op)?;
        }
        Ok(around(&io.outputs[0].shape, self.axis))
    }

    /// Emits a kernel that makes each row of the output from that row of each input, all of one
    /// shape: the first by elements, the second by quads where rows are whole quads.
    fn lower_rows(
        &self,
        [elements, quads]: [&'static Kernel; 2],
        loops: Loops,
        lanes: usize,
        io: &Io,
        out: &mut Lowering,
    ) {
        let shape = &io.outputs[0].shape;
        let [outer, columns, inner] = around(shape, self.axis);
        let overrides = [("logarithm", self.logarithm.into())];
        let (kernel, loads) = match inner == 1 && columns.is_multiple_of(4) {
            true => (quads, columns / 4),
            false => (elements, columns),
        };
        for (part, cut) in io.output_parts[0].iter().enumerate() {
            let rows = match self.axis {
                0 => inner,
                _ => outer * inner / shape.rows().max(1) * cut.rows,
            };
            if columns == 0 {
                continue;
            }
            let mut dispatch = by_rows(kernel, &overrides, rows, lanes);
            for i in 0..io.inputs.len() {
                dispatch = dispatch.read(Operand::Input(i)).part(part);
            }
            out.push(
                dispatch
                    .write(Operand::Output(0))
                    .part(part)
                    .param("rows", rows)
                    .param("columns", loads)
                    .param("inner", inner)
                    .turns(loops.turns(loads, lanes)),
            );
        }
    }
}

/// The largest element, the sum of the exponentials and the results.
const LOOPS: Loops = Loops {
    columns: 3,
    combined: 2,
};
/// The sum and the results.
const GRAD_LOOPS: Loops = Loops {
    columns: 2,
    combined: 1,
};

/// Emits the softmax of x (`each` 0), its logarithm (1), or exp(x - top) * sum, 0 where `sum` is 0
/// (2), element by element, from what [`lower_row_sums`] made; `y` says where each part goes.
pub(in crate::ops) fn lower_elements(
    x: Cut,
    axis: usize,
    each: usize,
    [top, sum]: [Operand; 2],
    y: impl Fn(usize) -> (Operand, usize),
    out: &mut Lowering,
) {
    for part in 0..x.parts.len() {
        let (y, part_y) = y(part);
        let dispatch = Dispatch::new(&SOFTMAX_ELEMENTS, ELEMENT_VARIANTS[each])
            .read(x.operand)
            .part(part)
            .read(top)
            .read(sum)
            .write(y)
            .part(part_y);
        out.push(row_places(dispatch, x, part, axis));
    }
}

impl SoftmaxGrad {
    /// Emits the sums of all rows in stages, then the elements.
    fn lower_in_pieces(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let Softmax { axis, logarithm } = self.0;
        let [y, dy] = [0, 1].map(|i| Cut::input(io, i));
        let shape = kept(y.shape, axis);
        let parts = whole(&shape);
        let sum = out.scratch(Type::f32(shape.clone()));
        let sums = Cut {
            operand: sum,
            shape: &shape,
            parts: &parts,
        };
        let (function, summed) = match logarithm {
            false => (Function::Products(dy.operand), y),
            true => (Function::Sum, dy),
        };
        let fold = Fold::new(function, 1.0);
        lower_reduction(self.name(), fold, summed, &[axis], sums, caps, out)?;
        for part in 0..y.parts.len() {
            let variant = VARIANTS[usize::from(logarithm)];
            let dispatch = Dispatch::new(&SOFTMAX_GRAD_ELEMENTS, variant)
                .read(y.operand)
                .part(part)
                .read(dy.operand)
                .part(part)
                .read(sum)
                .write(Operand::Output(0))
                .part(part);
            out.push(row_places(dispatch, y, part, axis));
        }
        Ok(())
    }
}

const fn row_variant(lanes: u32, logarithm: u32) -> [(&'static str, u32); 3] {
    [
        ("lanes", lanes),
        ("logarithm", logarithm),
        ("workgroup_size", 64),
    ]
}

const ROW_VARIANTS: &[Overrides] = &[
    &row_variant(1, 0),
    &row_variant(1, 1),
    &row_variant(64, 0),
    &row_variant(64, 1),
];

/// By whether the result is the logarithm.
const VARIANTS: &[Overrides] = &[
    &[("logarithm", 0), ("workgroup_size", 64)],
    &[("logarithm", 1), ("workgroup_size", 64)],
];

static SOFTMAX: Kernel = Kernel::new(
    "softmax",
    &[
        source!("loss/softmax"),
        source!("lib/row_softmax"),
        source!("lib/elements"),
        source!("lib/rows"),
        source!("lib/special"),
    ],
    ROW_VARIANTS,
);
static SOFTMAX_QUADS: Kernel = Kernel::new(
    "softmax_quads",
    &[
        source!("loss/softmax"),
        source!("lib/row_softmax"),
        source!("lib/quads"),
        source!("lib/rows"),
        source!("lib/special"),
    ],
    ROW_VARIANTS,
);
static SOFTMAX_GRAD: Kernel = Kernel::new(
    "softmax_grad",
    &[
        source!("loss/softmax_grad"),
        source!("lib/elements"),
        source!("lib/rows"),
    ],
    ROW_VARIANTS,
);
static SOFTMAX_GRAD_QUADS: Kernel = Kernel::new(
    "softmax_grad_quads",
    &[
        source!("loss/softmax_grad"),
        source!("lib/quads"),
        source!("lib/rows"),
    ],
    ROW_VARIANTS,
);

const ELEMENT_VARIANTS: &[Overrides] = &[function::<0>(), function::<1>(), function::<2>()];

static SOFTMAX_ELEMENTS: Kernel = Kernel::new(
    "softmax_elements",
    &[source!("loss/softmax_elements"), source!("lib/special")],
    ELEMENT_VARIANTS,
);
static SOFTMAX_GRAD_ELEMENTS: Kernel = Kernel::new(
    "softmax_grad_elements",
    &[source!("loss/softmax_grad_elements")],
    VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[
    &SOFTMAX,
    &SOFTMAX_QUADS,
    &SOFTMAX_GRAD,
    &SOFTMAX_GRAD_QUADS,
    &SOFTMAX_ELEMENTS,
    &SOFTMAX_GRAD_ELEMENTS,
];
