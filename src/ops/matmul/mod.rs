//! Matrix product in all transposed forms, and the linear layer.

mod broadcast;
mod composed;
mod cpu;
mod shared;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{EvalSplit, Graph, Node, Op, Value};
use crate::kernel::{Body, Caps, Dispatch, Io, Kernel, Lowering, Operand, Part, Rows, overlaps};
use crate::shape::{Shape, Type};
use crate::tensor::Array;

use crate::lowering::gemm::{
    End, MASK_PAIR, Target, TileProduct, run_scratch, sum_pair, sum_parts_end, sum_runs,
};
use crate::ops::{expect_f32, expect_inputs, expect_type};
use cpu::terms::Held;

// Parameters and builder.

/// y = op(a) op(b), `[m, n]`, where op transposes or not; with what may follow in the same kernel.
///
/// Inputs: a, b, then the bias `[n]` if `bias`, then the mask, of y's shape, if `mask`. With
/// `batch`, a, b and y have the same axes before these two, and each matrix of a is multiplied by
/// that of b.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MatMul {
    /// a is given as `[k, m]` instead of `[m, k]`.
    pub transpose_a: bool,
    /// b is given as `[n, k]` instead of `[k, n]`.
    pub transpose_b: bool,
    /// Adds a bias to every row.
    pub bias: bool,
    /// Then takes max(y, 0).
    pub relu: bool,
    /// Then zeroes y where the mask, an activation after relu, is not positive.
    pub mask: bool,
    /// a and b are batches of matrices, over any axes before their last two.
    pub batch: bool,
}

/// # Linear layers
impl Graph {
    /// y = x weight^T + bias, with x `[..., in]`, weight `[out, in]`, bias `[out]` and y `[...,
    /// out]`, as PyTorch's Linear.
    pub fn linear(&mut self, x: Value, weight: Value, bias: Option<Value>) -> Result<Value> {
        let (x_shape, w_shape) = (
            self.operand("linear", x)?.shape.clone(),
            self.operand("linear", weight)?.shape.clone(),
        );
        let features = match (x_shape.last(), &w_shape[..]) {
            (Some(&features), &[_, k]) if k == features => features,
            _ => {
                return Err(Error::shape(format!(
                    "linear: weight {w_shape} must be [out, in] with in the last axis of x \
                     {x_shape}"
                )));
            }
        };
        let rows = x_shape[..x_shape.len() - 1].iter().product::<usize>();
        let flat = self.reshape(x, [rows, features])?;
        let op = MatMul {
            transpose_b: true,
            bias: bias.is_some(),
            ..MatMul::default()
        };
        let inputs: Vec<Value> = [flat, weight].into_iter().chain(bias).collect();
        let y = self.apply1(op, &inputs).map_err(|e| e.context("linear"))?;
        let mut shape = x_shape.to_vec();
        shape[x_shape.len() - 1] = w_shape[0];
        self.reshape(y, shape)
    }
}

/// Sizes m, n, k of a product, of each of a batch of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ProductSizes {
    m: usize,
    n: usize,
    k: usize,
}

impl MatMul {
    fn transposed(&self) -> [bool; 2] {
        [self.transpose_a, self.transpose_b]
    }

    fn wrong_axes(&self, a: &Type, b: &Type) -> Error {
        let wanted = match self.batch {
            true => "batches of matrices over the same axes",
            false => "matrices",
        };
        Error::shape(format!(
            "matmul: a {} and b {} must be {wanted}",
            a.shape, b.shape
        ))
    }

    fn sizes(&self, a: &Type, b: &Type) -> Result<ProductSizes> {
        let (Some((lead_a, [a0, a1])), Some((lead_b, [b0, b1]))) =
            (a.shape.split_last_chunk(), b.shape.split_last_chunk())
        else {
            return Err(self.wrong_axes(a, b));
        };
        if lead_a != lead_b || self.batch == lead_a.is_empty() {
            return Err(self.wrong_axes(a, b));
        }
        let [a0, a1, b0, b1] = [a0, a1, b0, b1].map(|&extent| extent);
        let (m, k) = if self.transpose_a { (a1, a0) } else { (a0, a1) };
        let (other, n) = if self.transpose_b { (b1, b0) } else { (b0, b1) };
        let transposed = [self.transpose_a, self.transpose_b];
        expect_sums([&a.shape, &b.shape], transposed, [k, other])?;
        Ok(ProductSizes { m, n, k })
    }
}

/// Fails unless a and b sum over as many terms.
fn expect_sums(shapes: [&Shape; 2], transposed: [bool; 2], terms: [usize; 2]) -> Result<()> {
    if terms[0] == terms[1] {
        return Ok(());
    }
    let [a, b] = [0, 1].map(|i| {
        let how = if transposed[i] { " transposed" } else { "" };
        format!("{}{how}", shapes[i])
    });
    Err(Error::shape(format!(
        "matmul: a {a} sums over {}, b {b} over {}",
        terms[0], terms[1]
    )))
}

// Shape rule.

impl Op for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        let count = 2 + usize::from(self.bias) + usize::from(self.mask);
        expect_inputs("matmul", inputs, count)?;
        expect_f32("matmul", "a", inputs[0])?;
        expect_f32("matmul", "b", inputs[1])?;
        let ProductSizes { m, n, .. } = self.sizes(inputs[0], inputs[1])?;
        let shape = [lead(&inputs[0].shape), &[m, n]].concat();
        let y = Type::f32(shape);
        if self.bias {
            expect_type("matmul", "bias", inputs[2], &Type::f32([n]))?;
        }
        if self.mask {
            expect_type("matmul", "mask", inputs[count - 1], &y)?;
        }
        Ok(vec![y])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (a, b) = (inputs[0], inputs[1]);
        let ProductSizes { m, n, k } = self
            .sizes(a.ty(), b.ty())
            .expect("infer accepted the shapes");
        let (a_row, a_column) = if self.transpose_a { (1, m) } else { (k, 1) };
        let (b_row, b_column) = if self.transpose_b { (1, k) } else { (n, 1) };
        let lead = lead(a.shape());
        let count: usize = lead.iter().product();
        let mut y = vec![0.0; count * m * n];
        for matrix in 0..count {
            let (a, b) = (&a.floats()[matrix * m * k..], &b.floats()[matrix * k * n..]);
            let y = &mut y[matrix * m * n..];
            for i in 0..m {
                for l in 0..k {
                    let left = a[i * a_row + l * a_column];
                    for j in 0..n {
                        y[i * n + j] += left * b[l * b_row + j * b_column];
                    }
                }
            }
        }
        let mut rest = inputs[2..].iter();
        if let Some(bias) = self.bias.then(|| rest.next()).flatten() {
            for (i, value) in y.iter_mut().enumerate() {
                *value += bias.floats()[i % n];
            }
        }
        let mask = self.mask.then(|| rest.next()).flatten();
        crate::ops::finish(&mut y, self.relu, mask.copied());
        vec![Array::float([lead, &[m, n]].concat(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        crate::ops::expect_unfused("matmul", self.relu || self.mask)?;
        let (a, b, dy) = (at.inputs[0], at.inputs[1], dy[0]);
        let (ta, tb) = (self.transpose_a, self.transpose_b);
        let da = if ta {
            g.matmul(b, dy, tb, true)?
        } else {
            g.matmul(dy, b, false, !tb)?
        };
        let db = if tb {
            g.matmul(dy, a, true, ta)?
        } else {
            g.matmul(a, dy, !ta, false)?
        };
        let mut gradients = vec![Some(da), Some(db)];
        if self.bias {
            let rows: Vec<usize> = (0..g.shape(dy)?.len() - 1).collect();
            gradients.push(Some(g.sum(dy, &rows, false)?));
        }
        Ok(gradients)
    }

    fn in_place(&self) -> &[(usize, usize)] {
        if self.mask && !self.bias {
            MASK_PAIR
        } else {
            &[]
        }
    }

    fn product(&self, inputs: &[&Type]) -> Option<String> {
        let ProductSizes { m, n, k } = self.sizes(inputs[0], inputs[1]).ok()?;
        let form = match self.batch {
            true => format!("batch {}", letters(self.transposed())),
            false => letters(self.transposed()).to_owned(),
        };
        Some(match self.transpose_a {
            true => format!("matmul {form} m{m} n{n}"),
            false if m <= FEW_ROWS => format!("matmul {form} few rows n{n} k{k}"),
            false => format!("matmul {form} n{n} k{k}"),
        })
    }

    fn multiply_adds(&self, inputs: &[&Type]) -> u64 {
        let Ok(ProductSizes { m, n, k }) = self.sizes(inputs[0], inputs[1]) else {
            return 0;
        };
        // Each element of a, of whatever batch, meets n of b.
        let batch = inputs[0].count() / (m * k).max(1);
        (batch * m) as u64 * n as u64 * k as u64
    }

    fn split(&self) -> EvalSplit {
        match (self.transpose_a, self.transpose_b) {
            _ if self.bias || self.mask || self.relu => EvalSplit::Whole,
            _ if self.batch => EvalSplit::Rows(&[0, 1]),
            (false, _) => EvalSplit::Rows(&[0]),
            (true, false) => EvalSplit::Sum(&[0, 1]),
            (true, true) => EvalSplit::Whole,
        }
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        let sizes = self.sizes(&io.inputs[0], &io.inputs[1])?;
        let end = End::new("matmul", self.bias, self.relu, self.mask, io)?;
        if sizes.m * sizes.n == 0 {
            return Ok(());
        }
        if self.batch {
            return self.lower_batch(sizes, end, io, caps, out);
        }
        let [along_m, along_n, along_k] = self.runs(sizes, end, io, caps);
        let longest = |runs: &[Rows]| runs.iter().map(|run| run.count).max().unwrap_or(0);
        let elements = longest(&along_m) * longest(&along_n);
        let scratch = run_scratch(out, along_k.len(), elements);
        let held = Held::new(io);
        let first = out.dispatches.len();
        for m in &along_m {
            for n in &along_n {
                let y = Target {
                    operand: Operand::Output(0),
                    part: m.part[1],
                    first: m.first[1] * sizes.n + n.first[0],
                    row: sizes.n,
                    end,
                    // A mask lies in the parts of y, a bias, which is no longer than a row of y, in
                    // one.
                    end_part: if self.mask { m.part[1] } else { 0 },
                    first_column: n.first[0],
                };
                let block = [m.count, n.count];
                sum_runs(
                    along_k.len(),
                    block,
                    y,
                    &scratch,
                    out,
                    |run, target, out| {
                        let block = self.block(sizes, [m, n, &along_k[run]], io);
                        match caps.body {
                            Body::Registers => {
                                self.lower_registers(sizes, block, target, &held, caps, out);
                            }
                            Body::Shared | Body::Cooperative => {
                                self.lower_shared(sizes, block, 1, target, caps, out);
                            }
                        }
                    },
                );
            }
        }
        out.explain(first, body_reason(caps));
        Ok(())
    }

    fn mixes_rows(&self, input: usize) -> bool {
        match input {
            0 => !self.batch && self.transpose_a,
            1 => !self.batch,
            _ => true,
        }
    }
}

/// Why a product is multiplied in registers, or by tiles.
fn body_reason(caps: &Caps) -> &'static str {
    match caps.body {
        Body::Registers => {
            "in registers: by rule for a CPU adapter or GL of few buffers, by measurement or \
             request"
        }
        Body::Shared => "by tiles of workgroup memory: by rule, measurement or request",
        Body::Cooperative => "by tiles: cooperative matrices, by measurement or request",
    }
}

/// Matrices of a batch that the body in registers takes, each by a dispatch or more of its own.
const MOST_MATRICES: usize = 4096;

/// The axes before those of a matrix.
fn lead(shape: &[usize]) -> &[usize] {
    &shape[..shape.len() - 2]
}

/// The most terms that a loop of the body gets through.
fn most_terms(caps: &Caps) -> usize {
    match caps.body {
        Body::Registers => cpu::registers::most_terms(caps),
        Body::Shared | Body::Cooperative => TileProduct::most_terms(false, caps),
    }
}

/// The runs of k terms, at least one, that a loop of the body gets through. Bodies by tiles cut a
/// product that is whole and `plain` themselves.
fn turns(ProductSizes { m, n, k }: ProductSizes, plain: bool, caps: &Caps) -> Vec<Part> {
    let most = most_terms(caps);
    let bytes = Type::f32([m, n]).bytes() * k.div_ceil(most) as u64;
    let most = match caps.body {
        Body::Shared | Body::Cooperative if plain && bytes <= caps.max_binding => k.max(1),
        _ => most,
    };
    let starts = (0..k.max(1)).step_by(most);
    let run = |start| Part {
        start,
        rows: most.min(k - start),
    };
    starts.map(run).collect()
}

/// A stored matrix of a block of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stored {
    part: usize,
    /// The block's first element in that part.
    first: usize,
    /// Elements from one row as stored to the next.
    row: usize,
    /// Elements of the part.
    count: usize,
}

/// A block of a product that touches one part of each operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Block {
    sizes: ProductSizes,
    a: Stored,
    b: Stored,
}

impl MatMul {
    /// The runs of m, n and k that lie in one part of each operand. In each run, operand 0 is all
    /// of the axis; of m, 1 is y and 2 is a; of n, 1 is b; of k, 1 is a and 2 is b.
    fn runs(&self, sizes: ProductSizes, end: End, io: &Io, caps: &Caps) -> [Vec<Rows>; 3] {
        let ProductSizes { m, n, k } = sizes;
        let whole = |rows: usize| vec![Part { start: 0, rows }];
        let (a, b) = (&io.input_parts[0], &io.input_parts[1]);
        let cut = |cut: bool, parts: &Vec<Part>, extent: usize| match cut {
            true => parts.clone(),
            false => whole(extent),
        };
        let a_m = cut(!self.transpose_a, a, m);
        let a_k = cut(self.transpose_a, a, k);
        let b_n = cut(self.transpose_b, b, n);
        let b_k = cut(!self.transpose_b, b, k);
        let along_m = overlaps(&[&whole(m), &io.output_parts[0], &a_m]);
        let along_n = overlaps(&[&whole(n), &b_n]);
        let plain = end == End::None && along_m.len() == 1 && along_n.len() == 1;
        let turns = turns(sizes, plain, caps);
        let mut along_k = overlaps(&[&whole(k), &a_k, &b_k, &turns]);
        if k == 0 {
            along_k.push(Rows {
                count: 0,
                part: vec![0; 3],
                first: vec![0; 3],
            });
        }
        [along_m, along_n, along_k]
    }

    /// Emits a batch: the bodies by tiles take all matrices that lie in one part of each operand at
    /// once, the one in registers one by one.
    fn lower_batch(
        &self,
        sizes: ProductSizes,
        end: End,
        io: &Io,
        caps: &Caps,
        out: &mut Lowering,
    ) -> Result<()> {
        let ProductSizes { m, n, k } = sizes;
        let axes = lead(&io.inputs[0].shape);
        let matrices: usize = axes.iter().product();
        if caps.body == Body::Registers && matrices > MOST_MATRICES {
            return Err(Error::new(
                ErrorKind::Limit,
                format!(
                    "matmul: a batch of {matrices} matrices takes as many dispatches on this \
                     device, {MOST_MATRICES} at most"
                ),
            ));
        }
        // Matrices of an index of axis 0, along which operands are cut into parts.
        let per_row: usize = axes[1..].iter().product();
        let runs = overlaps(&[&io.output_parts[0], &io.input_parts[0], &io.input_parts[1]]);
        // Matrices that are made at once.
        let longest = runs.iter().map(|rows| rows.count).max().unwrap_or(0);
        let most = match caps.body {
            Body::Registers => 1,
            Body::Shared | Body::Cooperative => longest * per_row,
        };
        let plain = end == End::None && runs.len() == 1;
        let all = ProductSizes {
            m: most * m,
            ..sizes
        };
        let turns = turns(all, plain, caps);
        let scratch = run_scratch(out, turns.len(), most * m * n);
        let held = Held::new(io);
        for rows in runs {
            let count = rows.count * per_row;
            if count == 0 {
                continue;
            }
            let matrix = |operand: usize, index: usize| rows.first[operand] * per_row + index;
            let target = |index: usize| Target {
                operand: Operand::Output(0),
                part: rows.part[0],
                first: matrix(0, index) * m * n,
                row: n,
                end,
                end_part: if self.mask { rows.part[0] } else { 0 },
                first_column: 0,
            };
            let block = |index: usize, terms: &Part| {
                let stored = |input: usize, [lines, row]: [usize; 2], across: bool| Stored {
                    part: rows.part[1 + input],
                    first: matrix(1 + input, index) * lines * row
                        + terms.start * if across { row } else { 1 },
                    row,
                    count: io.input_parts[input][rows.part[1 + input]].rows * per_row * lines * row,
                };
                let (a, b) = (
                    if self.transpose_a { [k, m] } else { [m, k] },
                    if self.transpose_b { [n, k] } else { [k, n] },
                );
                Block {
                    sizes: ProductSizes {
                        k: terms.rows,
                        ..sizes
                    },
                    a: stored(0, a, self.transpose_a),
                    b: stored(1, b, !self.transpose_b),
                }
            };
            if caps.body != Body::Registers {
                let (size, to) = ([count * m, n], target(0));
                sum_runs(turns.len(), size, to, &scratch, out, |run, to, out| {
                    self.lower_shared(sizes, block(0, &turns[run]), count, to, caps, out);
                });
                continue;
            }
            for index in 0..count {
                let to = target(index);
                sum_runs(turns.len(), [m, n], to, &scratch, out, |run, to, out| {
                    self.lower_registers(sizes, block(index, &turns[run]), to, &held, caps, out);
                });
            }
        }
        Ok(())
    }

    fn block(&self, sizes: ProductSizes, [m, n, k]: [&Rows; 3], io: &Io) -> Block {
        let stored = |input: usize, row: usize, (part, first), column| Stored {
            part,
            first: first * row + column,
            row,
            count: io.input_parts[input][part].rows * row,
        };
        Block {
            sizes: ProductSizes {
                m: m.count,
                n: n.count,
                k: k.count,
            },
            a: match self.transpose_a {
                true => stored(0, sizes.m, (k.part[1], k.first[1]), m.first[0]),
                false => stored(0, sizes.k, (m.part[2], m.first[2]), k.first[0]),
            },
            b: match self.transpose_b {
                true => stored(1, sizes.k, (n.part[1], n.first[1]), k.first[0]),
                false => stored(1, sizes.n, (k.part[2], k.first[2]), n.first[0]),
            },
        }
    }

    /// Appends the params that say where a block of a and b begins, and the elements from one row
    /// of A or column of B to the next and from term to term.
    fn strides(&self, block: &Block, dispatch: Dispatch) -> Dispatch {
        let [a, b] =
            [(block.a, self.transpose_a), (block.b, !self.transpose_b)].map(|(stored, across)| {
                match across {
                    true => [1, stored.row],
                    false => [stored.row, 1],
                }
            });
        dispatch
            .param("first_a", block.a.first)
            .param("line_a", a[0])
            .param("term_a", a[1])
            .param("first_b", block.b.first)
            .param("line_b", b[0])
            .param("term_b", b[1])
    }
}

/// Rows up to which a product is named as one of few.
const FEW_ROWS: usize = 4;

/// Letters for the matrices as they are stored: n or t.
fn letters(transposed: [bool; 2]) -> &'static str {
    match transposed {
        [false, false] => "nn",
        [false, true] => "nt",
        [true, false] => "tn",
        [true, true] => "tt",
    }
}

/// Every kernel of the family.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels = vec![sum_pair(), sum_parts_end()];
    kernels.extend(shared::kernels());
    kernels.extend(cpu::registers::kernels());
    kernels
}
