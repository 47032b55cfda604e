//! Products with what PyTorch has functions of their own for.

use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::ops::expect_f32;

use super::MatMul;

/// # Products and sums of matrices
impl Graph {
    /// beta * input + alpha * a b: PyTorch's `addmm`, BLAS' GEMM. a is `[m, k]`, b `[k, n]`; the
    /// input is broadcast to `[m, n]`, and not read where beta is 0.
    ///
    /// An input `[n]` is added where the product is made; any other in a pass of its own. Alpha
    /// scales the smaller matrix before.
    pub fn addmm(
        &mut self,
        input: Value,
        a: Value,
        b: Value,
        beta: f32,
        alpha: f32,
    ) -> Result<Value> {
        let name = "addmm";
        let mut shapes = Vec::new();
        for (operand, value) in [("input", input), ("a", a), ("b", b)] {
            let ty = self.operand(name, value)?;
            expect_f32(name, operand, ty)?;
            shapes.push(ty.shape.clone());
        }
        let y = match (&shapes[1][..], &shapes[2][..]) {
            (&[m, k], &[other, n]) if k == other => [m, n].into(),
            _ => {
                return Err(Error::shape(format!(
                    "addmm: a {} and b {} must be [m, k] and [k, n]",
                    shapes[1], shapes[2]
                )));
            }
        };
        if shapes[0].broadcast(&y).as_ref() != Some(&y) {
            return Err(Error::shape(format!(
                "addmm: input {} does not broadcast to {y}",
                shapes[0]
            )));
        }
        let scaled = |g: &mut Graph, x: Value, factor: f32| match factor {
            1.0 => Ok(x),
            _ => g.scale(x, factor),
        };
        let [a, b] = match shapes[1].count() <= shapes[2].count() {
            true => [scaled(self, a, alpha)?, b],
            false => [a, scaled(self, b, alpha)?],
        };
        if beta == 0.0 {
            return self.matmul(a, b, false, false);
        }
        let input = scaled(self, input, beta)?;
        if shapes[0][..] == y[1..] {
            let op = MatMul {
                bias: true,
                ..MatMul::default()
            };
            return self.apply1(op, &[a, b, input]);
        }
        let product = self.matmul(a, b, false, false)?;
        self.add(product, input)
    }

    /// F F^T / (c h w) of each image `[n, c, h, w]`, F being its channels as rows `[c, h w]`:
    /// `[n, c, c]`, by which Gatys, Ecker and Bethge 2016 tell styles apart. Any number of axes may
    /// follow the channels.
    pub fn gram_matrix(&mut self, x: Value) -> Result<Value> {
        let name = "gram_matrix";
        let ty = self.operand(name, x)?;
        expect_f32(name, "x", ty)?;
        let &[n, c, ref plane @ ..] = &ty.shape[..] else {
            return Err(Error::shape(format!(
                "{name}: x {} is not [batch, channels, ...]",
                ty.shape
            )));
        };
        let places: usize = plane.iter().product();
        let rows = self.reshape(x, [n, c, places])?;
        let products = self.matmul(rows, rows, false, true)?;
        self.scale(products, 1.0 / (c * places).max(1) as f64)
    }
}
