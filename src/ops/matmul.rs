//! Matrix product in all transposed forms, and the linear layer.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Split, Value};
use crate::kernel::{Body, Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides};
use crate::shape::Type;
use crate::tensor::Array;

use super::gemm::{End, MASK_PAIR, Product, SHARED_VARIANTS, split_scratch, sum_parts};
use super::{expect_f32, expect_inputs, expect_type};

// Parameters and builder.

/// y = op(a) op(b), `[m, n]`, where op transposes or not; with what may follow in the same kernel.
///
/// Inputs: a, b, then the bias `[n]` if `bias`, then the mask `[m, n]` if `mask`.
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
}

impl Graph {
    /// The product of two matrices, each transposed first if asked.
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

/// Sizes m, n, k of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sizes {
    m: usize,
    n: usize,
    k: usize,
}

impl MatMul {
    fn sizes(&self, a: &Type, b: &Type) -> Result<Sizes> {
        let (&[a0, a1], &[b0, b1]) = (&a.shape[..], &b.shape[..]) else {
            return Err(Error::shape(format!(
                "matmul: a {} and b {} must be matrices",
                a.shape, b.shape
            )));
        };
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
        let y = Type::f32([m, n]);
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
        let mut y = vec![0.0; m * n];
        for i in 0..m {
            for l in 0..k {
                let left = a.floats()[i * a_row + l * a_column];
                for j in 0..n {
                    y[i * n + j] += left * b.floats()[l * b_row + j * b_column];
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
        vec![Array::float([m, n], y)]
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
            gradients.push(Some(g.sum(dy, &[0], false)?));
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

    fn split(&self) -> Split {
        match (self.transpose_a, self.transpose_b) {
            _ if self.bias || self.mask || self.relu => Split::Whole,
            (false, _) => Split::Rows(&[0]),
            (true, false) => Split::Sum(&[0, 1]),
            (true, true) => Split::Whole,
        }
    }

    // Lowering.

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        io.whole("matmul")?;
        let sizes = self.sizes(&io.inputs[0], &io.inputs[1])?;
        let end = End::new("matmul", self.bias, self.relu, self.mask, io)?;
        if sizes.m * sizes.n > 0 {
            match caps.body {
                Body::Registers => self.lower_registers(sizes, end, out),
                Body::Shared => self.lower_shared(io, sizes, end, out),
            }
        }
        Ok(())
    }
}

impl MatMul {
    fn lower_shared(&self, io: &Io, Sizes { m, n, k }: Sizes, end: End, out: &mut Lowering) {
        let product = Product { m, n, k, groups: 1 };
        // Only a plain sum can be cut: what follows must see all of it.
        let tiling = product.tiling(n, end == End::None);
        let kernel = shared_kernel(self.transpose_a, self.transpose_b, end);
        let (y, part) = match tiling.splits {
            1 => (Operand::Output(0), 0),
            splits => split_scratch(out, splits, &io.outputs[0]),
        };
        let dispatch = Dispatch::of(Cow::Owned(kernel), tiling.overrides)
            .read(Operand::Input(0))
            .read(Operand::Input(1));
        out.push(product.params(&tiling, part, end.bind(dispatch, y)));
        if tiling.splits > 1 {
            sum_parts(y, tiling.splits, &io.outputs[0], out);
        }
    }

    fn lower_registers(&self, Sizes { m, n, k }: Sizes, end: End, out: &mut Lowering) {
        let tiles = |high: usize| [m.div_ceil(4 * high), n.div_ceil(8)];
        let row_a = if self.transpose_a { m } else { k };
        let row_b = if self.transpose_b { k } else { n };
        let aligned = row_a % 4 == 0 && row_b % 4 == 0;
        // By the size of the weight, into which no batch enters: another one must not need another kernel.
        let weight = if self.transpose_a { m * n } else { n * k };
        let large = weight >= LARGE_WEIGHT;
        let (overrides, [tiles_m, tiles_n], stores) = match (large, aligned) {
            (true, true) => (REGISTER_VARIANTS[0], tiles(4), 8),
            (true, false) => (REGISTER_VARIANTS[1], tiles(4), 8),
            (false, _) => (REGISTER_VARIANTS[2], tiles(1), 2),
        };
        let kernel = registers_kernel(self.transpose_a, self.transpose_b, end);
        let dispatch = Dispatch::of(Cow::Owned(kernel), overrides)
            .read(Operand::Input(0))
            .read(Operand::Input(1));
        out.push(
            end.bind(dispatch, Operand::Output(0))
                .param("tiles", tiles_m * tiles_n)
                .param("tiles_n", tiles_n)
                .param("m", m)
                .param("n", n)
                .param("k", k)
                .param("last_a", (m * k).div_ceil(4).max(1) - 1)
                .param("last_b", (n * k).div_ceil(4).max(1) - 1)
                .param("stores", stores)
                .param("four", 4)
                .workgroups((tiles_m * tiles_n).div_ceil(16)),
        );
    }
}

/// Elements of a linear layer's weight from which on the larger tile is worth a pipeline of its own.
const LARGE_WEIGHT: usize = 2048;

const REGISTER_VARIANTS: &[Overrides] = &[
    &[("high", 4), ("aligned", 1)],
    &[("high", 4), ("aligned", 0)],
    &[("high", 1), ("aligned", 0)],
];

fn registers_kernel(transpose_a: bool, transpose_b: bool, end: End) -> Kernel {
    let [
        body,
        a,
        a_transposed,
        b,
        b_transposed,
        y,
        grid,
        divide,
        float,
    ] = *shader_files![
        "matmul_registers",
        "matmul_block_a",
        "matmul_block_a_transposed",
        "matmul_block_b",
        "matmul_block_b_transposed",
        "y_elements",
        "lib/grid",
        "lib/divide",
        "lib/float",
    ];
    let (a_name, a) = if transpose_a {
        ("t", a_transposed)
    } else {
        ("n", a)
    };
    let (b_name, b) = if transpose_b {
        ("t", b_transposed)
    } else {
        ("n", b)
    };
    let (end_name, end) = end.file();
    Kernel::composed(
        format!("matmul_registers_{a_name}{b_name}{end_name}"),
        vec![body, a, b, end, y, grid, divide, float],
        REGISTER_VARIANTS,
    )
}

fn shared_kernel(transpose_a: bool, transpose_b: bool, end: End) -> Kernel {
    let [body, map, a, a_transposed, b, b_transposed, y, grid, float] = *shader_files![
        "gemm_shared",
        "matmul_shared",
        "matmul_a",
        "matmul_a_transposed",
        "matmul_b",
        "matmul_b_transposed",
        "y_elements",
        "lib/grid",
        "lib/float",
    ];
    let (a_name, a) = if transpose_a {
        ("t", a_transposed)
    } else {
        ("n", a)
    };
    let (b_name, b) = if transpose_b {
        ("t", b_transposed)
    } else {
        ("n", b)
    };
    let (end_name, end) = end.file();
    Kernel::composed(
        format!("matmul_shared_{a_name}{b_name}{end_name}"),
        vec![body, map, a, b, end, y, grid, float],
        SHARED_VARIANTS,
    )
}

/// Every kernel of this file.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
        for end in End::ALL {
            kernels.push(shared_kernel(transpose_a, transpose_b, end));
            kernels.push(registers_kernel(transpose_a, transpose_b, end));
        }
    }
    kernels
}
