//! Matrix product in all transposed forms, and the linear layer.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Split, Value};
use crate::kernel::{
    Body, Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, Part, Rows, Shown, Tile,
    WINDOW_ELEMENTS, overlaps, window_rows,
};
use crate::shape::Type;
use crate::tensor::Array;

use super::gemm::{
    End, MASK_PAIR, MOST_TURNS, Product, SHARED_VARIANTS, Target, View, in_dispatches, in_splits,
    run_scratch, sum_pair, sum_runs,
};
use super::{expect_f32, expect_inputs, expect_type, value};

// Parameters and builder.

/// y = op(a) op(b), `[m, n]`, where op transposes or not; with what may follow in the same kernel.
///
/// Inputs: a, b, then the bias `[n]` if `bias`, then the mask, of y's shape, if `mask`. With `batch`, a, b and y have the same axes before these
/// two, and each matrix of a is multiplied by that of b.
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

impl Graph {
    /// The product of two matrices, each transposed first if asked; or of two batches of them, a `[.., m, k]` and b `[.., k, n]` with the same
    /// axes before their last two, which y `[.., m, n]` has too.
    ///
    /// # Errors
    /// `Shape` if the matrices do not fit, or the axes before them differ.
    pub fn matmul(
        &mut self,
        a: Value,
        b: Value,
        transpose_a: bool,
        transpose_b: bool,
    ) -> Result<Value> {
        let op = MatMul {
            transpose_a,
            transpose_b,
            batch: self.shape(a)?.len() > 2,
            ..MatMul::default()
        };
        self.add1(op, &[a, b])
    }

    /// y = x weight^T + bias, with x `[..., in]`, weight `[out, in]`, bias `[out]` and y `[..., out]`, as PyTorch's Linear.
    pub fn linear(&mut self, x: Value, weight: Value, bias: Option<Value>) -> Result<Value> {
        let (x_shape, w_shape) = (self.shape(x)?.clone(), self.shape(weight)?.clone());
        let features = match (x_shape.last(), &w_shape[..]) {
            (Some(&features), &[_, k]) if k == features => features,
            _ => {
                return Err(Error::shape(format!(
                    "linear: weight {w_shape} must be [out, in] with in the last axis of x {x_shape}"
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
        let y = self.add1(op, &inputs).map_err(|e| e.context("linear"))?;
        let mut shape = x_shape.to_vec();
        shape[x_shape.len() - 1] = w_shape[0];
        self.reshape(y, shape)
    }
}

/// Sizes m, n, k of a product, of each of a batch of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sizes {
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

    fn sizes(&self, a: &Type, b: &Type) -> Result<Sizes> {
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
        if k != other {
            return Err(Error::shape(format!(
                "matmul: a {}{} sums over {k}, b {}{} over {other}",
                a.shape,
                if self.transpose_a { " transposed" } else { "" },
                b.shape,
                if self.transpose_b { " transposed" } else { "" },
            )));
        }
        Ok(Sizes { m, n, k })
    }
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
        let Sizes { m, n, .. } = self.sizes(inputs[0], inputs[1])?;
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
        let Sizes { m, n, k } = self
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
        super::finish(&mut y, self.relu, mask.copied());
        vec![Array::float([lead, &[m, n]].concat(), y)]
    }

    // Gradient.

    fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
        super::expect_unfused("matmul", self.relu || self.mask)?;
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
        let Sizes { m, n, k } = self.sizes(inputs[0], inputs[1]).ok()?;
        let form = match self.batch {
            true => format!("batch {}", letters(self.transposed())),
            false => letters(self.transposed()).to_owned(),
        };
        Some(match self.transpose_a {
            true => format!("matmul {form} m{m} n{n}"),
            false => format!("matmul {form} n{n} k{k}"),
        })
    }

    fn split(&self) -> Split {
        match (self.transpose_a, self.transpose_b) {
            _ if self.bias || self.mask || self.relu => Split::Whole,
            _ if self.batch => Split::Rows(&[0, 1]),
            (false, _) => Split::Rows(&[0]),
            (true, false) => Split::Sum(&[0, 1]),
            (true, true) => Split::Whole,
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
            self.lower_batch(sizes, end, io, caps, out);
            return Ok(());
        }
        let [along_m, along_n, along_k] = self.runs(sizes, io, caps);
        let longest = |runs: &[Rows]| runs.iter().map(|run| run.count).max().unwrap_or(0);
        let elements = longest(&along_m) * longest(&along_n);
        let scratch = run_scratch(out, along_k.len(), elements);
        for m in &along_m {
            for n in &along_n {
                let y = Target {
                    operand: Operand::Output(0),
                    part: m.part[1],
                    first: m.first[1] * sizes.n + n.first[0],
                    row: sizes.n,
                    end,
                    // A mask lies in the parts of y, a bias, which is no longer than a row of y, in one.
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
                                self.lower_registers(sizes, block, target, caps, out);
                            }
                            Body::Shared => self.lower_shared(sizes, block, 1, target, caps, out),
                        }
                    },
                );
            }
        }
        Ok(())
    }
}

/// The axes before those of a matrix.
fn lead(shape: &[usize]) -> &[usize] {
    &shape[..shape.len() - 2]
}

/// The runs of k terms, at least one, that a loop of the body gets through.
fn turns(k: usize, caps: &Caps) -> Vec<Part> {
    let most = match caps.body {
        // By one term or four a turn.
        Body::Registers if caps.windows => MOST_TURNS,
        Body::Registers => 4 * MOST_TURNS,
        Body::Shared => k.max(1),
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
    sizes: Sizes,
    a: Stored,
    b: Stored,
}

impl MatMul {
    /// The runs of m, n and k that lie in one part of each operand. In each run, operand 0 is all of the axis; of m, 1 is y and 2 is a; of n,
    /// 1 is b; of k, 1 is a and 2 is b.
    fn runs(&self, Sizes { m, n, k }: Sizes, io: &Io, caps: &Caps) -> [Vec<Rows>; 3] {
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
        let turns = turns(k, caps);
        let mut along_k = overlaps(&[&whole(k), &a_k, &b_k, &turns]);
        if k == 0 {
            along_k.push(Rows {
                count: 0,
                part: vec![0; 3],
                first: vec![0; 3],
            });
        }
        [
            overlaps(&[&whole(m), &io.output_parts[0], &a_m]),
            overlaps(&[&whole(n), &b_n]),
            along_k,
        ]
    }

    /// Emits a batch: the shared body takes all matrices that lie in one part of each operand at once, the one in registers one by one.
    fn lower_batch(&self, sizes: Sizes, end: End, io: &Io, caps: &Caps, out: &mut Lowering) {
        let Sizes { m, n, k } = sizes;
        // Matrices of an index of axis 0, along which operands are cut into parts.
        let per_row: usize = lead(&io.inputs[0].shape)[1..].iter().product();
        let turns = turns(k, caps);
        let scratch = run_scratch(out, turns.len(), m * n);
        for rows in overlaps(&[&io.output_parts[0], &io.input_parts[0], &io.input_parts[1]]) {
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
                    sizes: Sizes {
                        k: terms.rows,
                        ..sizes
                    },
                    a: stored(0, a, self.transpose_a),
                    b: stored(1, b, !self.transpose_b),
                }
            };
            if caps.body == Body::Shared {
                self.lower_shared(sizes, block(0, &turns[0]), count, target(0), caps, out);
                continue;
            }
            for index in 0..count {
                let to = target(index);
                sum_runs(turns.len(), [m, n], to, &scratch, out, |run, to, out| {
                    self.lower_registers(sizes, block(index, &turns[run]), to, caps, out);
                });
            }
        }
    }

    fn block(&self, sizes: Sizes, [m, n, k]: [&Rows; 3], io: &Io) -> Block {
        let stored = |input: usize, row: usize, (part, first), column| Stored {
            part,
            first: first * row + column,
            row,
            count: io.input_parts[input][part].rows * row,
        };
        Block {
            sizes: Sizes {
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

    /// The product of `count` matrices side by side, the first of which are `block`.
    fn lower_shared(
        &self,
        whole: Sizes,
        block: Block,
        count: usize,
        to: Target,
        caps: &Caps,
        out: &mut Lowering,
    ) {
        let Sizes { m, n, k } = block.sizes;
        let groups = count;
        let product = Product { m, n, k, groups };
        let may_split = to.splits(n);
        let mut tiling = product.tiling(whole.n, may_split, caps);
        let ty = Type::f32([count * m, n]);
        if tiling.splits as u64 * ty.bytes() > caps.max_binding {
            tiling = product.tiling(whole.n, false, caps);
        }
        let kernel = Cow::Owned(shared_kernel(to.end));
        let dispatch = block.read(Dispatch::of(kernel, tiling.overrides()));
        in_splits(tiling.splits, &ty, to, out, |to, part| {
            let dispatch = product.params(&tiling, part, to.bind(dispatch));
            let dispatch = self
                .steps(&block, dispatch)
                .param("step_a", whole.m * whole.k)
                .param("step_b", whole.k * whole.n)
                .param("step_y", whole.m * whole.n);
            to.params(dispatch)
        });
    }

    /// Appends the params that say where a block of a and b begins, and the elements from one row of A or column of B to the next and from
    /// term to term.
    fn steps(&self, block: &Block, dispatch: Dispatch) -> Dispatch {
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

    /// Which of a and b are read through windows: those whose rows run along an axis of the product, and both where their rows run along
    /// the sum, which is then cut. Neither the batch nor where a block lies has a say in it.
    fn windows(&self, whole: Sizes, may_split: bool, caps: &Caps) -> [bool; 2] {
        let Sizes { m, n, k } = whole;
        let rows = |row: usize| WINDOW_ELEMENTS / row.max(1);
        match (self.transpose_a, self.transpose_b) {
            _ if !caps.windows => [false, false],
            // Windows of both make small blocks of y: they should keep a CPU busy.
            (false, true) => [rows(k) >= 8, rows(k) >= 32],
            (false, false) => [rows(k) >= 8, window_rows(n) >= k],
            (true, false) => [may_split && rows(m.max(n)) >= 16; 2],
            (true, true) => [false, false],
        }
    }

    fn lower_registers(
        &self,
        whole: Sizes,
        block: Block,
        to: Target,
        caps: &Caps,
        out: &mut Lowering,
    ) {
        let Sizes { m, n, k } = block.sizes;
        let may_split = to.splits(n);
        let [a_window, b_window] = self.windows(whole, may_split, caps);
        let a = View::new(0, block.a.part, block.a.count, a_window);
        let b = View::new(1, block.b.part, block.b.count, b_window);
        let shown = |view: &View, stored: Stored, count, most| {
            view.rows(stored.row, stored.first, count, most)
        };
        if self.transpose_a && a_window {
            let most = WINDOW_ELEMENTS / block.a.row.max(block.b.row).max(1);
            let (along_a, along_b) = (shown(&a, block.a, k, most), shown(&b, block.b, k, most));
            let product = |part: usize, to: Target, elements: usize| {
                let (a_shown, b_shown) = (along_a[part], along_b[part]);
                let sizes = Sizes {
                    k: a_shown.count,
                    ..block.sizes
                };
                let to = Target {
                    first: to.first + part * elements,
                    ..to
                };
                let block = block.within(sizes, a_shown, b_shown);
                self.registers_dispatch(whole, block, [&a, &b], to, caps)
            };
            in_dispatches(along_a.len(), &Type::f32([m, n]), to, out, product);
            return;
        }
        // An operand whose rows run along the sum is seen whole.
        let along_m = match self.transpose_a {
            false => shown(&a, block.a, m, usize::MAX),
            true => vec![Shown::all(m, block.a.first)],
        };
        let along_n = match self.transpose_b {
            true => shown(&b, block.b, n, usize::MAX),
            false => shown(&b, block.b, k, usize::MAX)
                .into_iter()
                .map(|rows| Shown { count: n, ..rows })
                .collect(),
        };
        for a_shown in &along_m {
            for b_shown in &along_n {
                let sizes = Sizes {
                    m: a_shown.count,
                    n: b_shown.count,
                    k,
                };
                let to = Target {
                    first: to.first + a_shown.start * to.row + b_shown.start,
                    first_column: to.first_column + b_shown.start,
                    ..to
                };
                let block = block.within(sizes, *a_shown, *b_shown);
                out.push(self.registers_dispatch(whole, block, [&a, &b], to, caps));
            }
        }
    }

    /// One block through the views of a and b.
    fn registers_dispatch(
        &self,
        whole: Sizes,
        block: Seen,
        [a, b]: [&View; 2],
        to: Target,
        caps: &Caps,
    ) -> Dispatch {
        let Sizes { m, n, k } = block.block.sizes;
        let stored = [block.block.a, block.block.b];
        let aligned = stored
            .iter()
            .all(|s| s.first.is_multiple_of(4) && s.row.is_multiple_of(4));
        // By the size of the weight, into which no batch enters (see `product`): another one must not need another kernel. But a CPU adapter
        // has a fast variant for few rows, which leave most of a larger tile empty.
        let weight = match self.transpose_a {
            true => whole.m * whole.n,
            false => whole.n * whole.k,
        };
        let rule = match caps.windows {
            true if whole.m <= FEW_ROWS && !self.transpose_a => Tile::Small,
            true => Tile::Large,
            false if weight < LARGE_WEIGHT => Tile::Small,
            false => Tile::Large,
        };
        let high = match caps.tile.unwrap_or(rule) {
            Tile::Small => 1,
            Tile::Medium => 2,
            Tile::Large => 4,
        };
        let (kernel, aligned) = match caps.windows {
            true => {
                let windows = [a.is_window(), b.is_window()];
                (terms_kernel(windows, to.end), None)
            }
            // The small one has no fast path.
            false => {
                let kernel = registers_kernel(self.transposed(), to.end);
                (kernel, Some(usize::from(aligned && high > 1)))
            }
        };
        let is_wanted = |set: &&Overrides| {
            value(set, "high") == high
                && aligned.is_none_or(|wanted| value(set, "aligned") == wanted)
        };
        let overrides = *(kernel.variants.iter().find(is_wanted)).expect("every tile has a set");
        let [tiles_m, tiles_n] = [m.div_ceil(4 * high), n.div_ceil(4 * WIDE)];
        let dispatch = a.bind(Dispatch::of(Cow::Owned(kernel), overrides), &block.a);
        let dispatch = to
            .bind(b.bind(dispatch, &block.b))
            .param("tiles", tiles_m * tiles_n)
            .param("tiles_n", tiles_n)
            .param("m", m)
            .param("n", n)
            .param("k", k);
        let last = match caps.windows {
            true => View::last_element,
            false => View::last_quad,
        };
        let dispatch = dispatch
            .param("last_a", last(a))
            .param("last_b", last(b))
            .param("stores", WIDE * high)
            .param("four", 4);
        let dispatch = match caps.windows {
            true => self.steps(&block.block, dispatch),
            false => dispatch
                .param("first_a", block.block.a.first)
                .param("row_a", block.block.a.row)
                .param("first_b", block.block.b.first)
                .param("row_b", block.block.b.row),
        };
        to.params(dispatch)
            .workgroups((tiles_m * tiles_n).div_ceil(value(overrides, "workgroup_size")))
    }
}

/// A block of a product, and what a dispatch sees of a and b.
#[derive(Debug, Clone, Copy)]
struct Seen {
    block: Block,
    a: Shown,
    b: Shown,
}

impl Block {
    /// The block of these sizes that begins where `a` and `b` show it.
    fn within(&self, sizes: Sizes, a: Shown, b: Shown) -> Seen {
        let stored = |stored: Stored, shown: Shown| Stored {
            first: shown.first,
            ..stored
        };
        let block = Block {
            sizes,
            a: stored(self.a, a),
            b: stored(self.b, b),
        };
        Seen { block, a, b }
    }

    fn read(&self, dispatch: Dispatch) -> Dispatch {
        dispatch
            .read(Operand::Input(0))
            .part(self.a.part)
            .read(Operand::Input(1))
            .part(self.b.part)
    }
}

/// Vec4s of columns in a tile of the kernels in registers: the override `wide` of `matmul_registers`, which is left at its default.
const WIDE: usize = 2;

/// Elements of a linear layer's weight from which on the larger tile is worth a pipeline of its own.
const LARGE_WEIGHT: usize = 2048;

/// Rows that fit the small tile.
const FEW_ROWS: usize = 4;

/// The override sets of `matmul_registers` for a and b stored transposed or not.
struct Variants<const A: bool, const B: bool>;

impl<const A: bool, const B: bool> Variants<A, B> {
    /// Large and medium, aligned or not, and small.
    const ALL: &'static [Overrides] = &[
        &Self::set(4, 1),
        &Self::set(4, 0),
        &Self::set(2, 1),
        &Self::set(2, 0),
        &Self::set(1, 0),
    ];

    const fn set(high: u32, aligned: u32) -> [(&'static str, u32); 5] {
        [
            ("high", high),
            ("aligned", aligned),
            ("transpose_a", A as u32),
            ("transpose_b", B as u32),
            ("workgroup_size", 16),
        ]
    }
}

/// The override sets of `matmul_terms`. Windows make small blocks: few invocations per workgroup let the cores of a CPU share them.
const TERMS: &[Overrides] = &[
    &[("high", 4), ("workgroup_size", 8)],
    &[("high", 2), ("workgroup_size", 8)],
    &[("high", 1), ("workgroup_size", 8)],
];

/// Letters for the matrices as they are stored: n or t.
fn letters(transposed: [bool; 2]) -> &'static str {
    match transposed {
        [false, false] => "nn",
        [false, true] => "nt",
        [true, false] => "tn",
        [true, true] => "tt",
    }
}

fn registers_kernel(transposed: [bool; 2], end: End) -> Kernel {
    let [body, first, second, y, grid, divide, float] = *shader_files![
        "matmul_registers",
        "first_quads",
        "second_quads",
        "y_elements",
        "lib/grid",
        "lib/divide",
        "lib/float",
    ];
    let variants = match transposed {
        [false, false] => Variants::<false, false>::ALL,
        [false, true] => Variants::<false, true>::ALL,
        [true, false] => Variants::<true, false>::ALL,
        [true, true] => Variants::<true, true>::ALL,
    };
    let (form, (end_name, end)) = (letters(transposed), end.file());
    Kernel::composed(
        format!("matmul_registers_{form}{end_name}"),
        vec![body, first, second, end, y, grid, divide, float],
        variants,
    )
}

fn terms_kernel(windows: [bool; 2], end: End) -> Kernel {
    let [
        body,
        first_elements,
        first_window,
        second_elements,
        second_window,
        y,
        grid,
        divide,
        float,
    ] = *shader_files![
        "matmul_terms",
        "first_elements",
        "first_window",
        "second_elements",
        "second_window",
        "y_elements",
        "lib/grid",
        "lib/divide",
        "lib/float",
    ];
    let (first_name, first) = match windows[0] {
        true => ("_a_window", first_window),
        false => ("", first_elements),
    };
    let (second_name, second) = match windows[1] {
        true => ("_b_window", second_window),
        false => ("", second_elements),
    };
    let (end_name, end) = end.file();
    Kernel::composed(
        format!("matmul_terms{first_name}{second_name}{end_name}"),
        vec![body, first, second, end, y, grid, divide, float],
        TERMS,
    )
}

fn shared_kernel(end: End) -> Kernel {
    let [body, map, y, grid, float] = *shader_files![
        "gemm_shared",
        "matmul_shared",
        "y_elements",
        "lib/grid",
        "lib/float",
    ];
    let (end_name, end) = end.file();
    Kernel::composed(
        format!("matmul_shared{end_name}"),
        vec![body, map, end, y, grid, float],
        SHARED_VARIANTS,
    )
}

/// Every kernel of this file.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels: Vec<Kernel> = End::ALL.into_iter().map(sum_pair).collect();
    kernels.extend(End::ALL.map(shared_kernel));
    for end in End::ALL {
        for transposed in [[false, false], [false, true], [true, false], [true, true]] {
            kernels.push(registers_kernel(transposed, end));
        }
        for windows in WINDOWS {
            kernels.push(terms_kernel(windows, end));
        }
    }
    kernels
}

/// What [`MatMul::windows`] may choose.
const WINDOWS: [[bool; 2]; 4] = [[false, false], [true, false], [false, true], [true, true]];
