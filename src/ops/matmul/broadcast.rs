//! Products of vectors, matrices and batches of matrices, as `torch.matmul` takes them.

use super::{MatMul, expect_sums};
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::ops::expect_f32;
use crate::shape::Shape;

/// # Products of matrices and vectors
impl Graph {
    /// The product of a and b, as `torch.matmul`: of matrices, of batches of matrices over any axes
    /// before their last two, and of vectors. `transpose_a` and `transpose_b` transpose the last
    /// two axes first; a vector stays as it is.
    ///
    /// The axes before the last two are broadcast: `[2, 1, m, k]` by `[2, k, n]` gives
    /// `[2, 2, m, n]`. A vector a `[k]` is a row, a vector b `[k]` a column, whose axis the result
    /// does not have: `[m, k]` by `[k]` gives `[m]`, `[k]` by `[k]` a value without axes.
    ///
    /// Matrices of a that share one of b are one product of all their rows. Other operands that
    /// are broadcast are repeated first.
    ///
    /// # Errors
    /// `Shape` if the matrices do not fit, or the axes before them do not broadcast. In registers,
    /// `Limit` for more than 4,096 matrices, when it is planned.
    pub fn matmul(
        &mut self,
        a: Value,
        b: Value,
        transpose_a: bool,
        transpose_b: bool,
    ) -> Result<Value> {
        let shapes = [
            self.operand("matmul", a)?.shape.clone(),
            self.operand("matmul", b)?.shape.clone(),
        ];
        let ranks = [shapes[0].len(), shapes[1].len()];
        if ranks.contains(&0) {
            return Err(wrong(&shapes, "must have one axis at least"));
        }
        // Here, where the shapes are those that were given.
        expect_f32("matmul", "a", self.ty(a)?)?;
        expect_f32("matmul", "b", self.ty(b)?)?;
        let transposed = [transpose_a && ranks[0] > 1, transpose_b && ranks[1] > 1];
        let summed = [!transposed[0], transposed[1] || ranks[1] == 1];
        let terms = [0, 1].map(|i| {
            let back = if summed[i] { 1 } else { 2 };
            shapes[i][ranks[i] - back]
        });
        expect_sums([&shapes[0], &shapes[1]], transposed, terms)?;
        if ranks[0] > 1 && ranks[1] > 1 {
            return self.product(a, b, transposed);
        }
        // Vectors are matrices of one row or column, whose axis the result then loses.
        let rows = match ranks[0] {
            1 => self.reshape(a, [1, shapes[0][0]])?,
            _ => a,
        };
        let columns = match ranks[1] {
            1 => self.reshape(b, [shapes[1][0], 1])?,
            _ => b,
        };
        let y = self.product(rows, columns, transposed)?;
        let mut shape = self.shape(y)?.to_vec();
        if ranks[1] == 1 {
            shape.pop();
        }
        if ranks[0] == 1 {
            let row = shape.len() - usize::from(ranks[1] > 1) - 1;
            shape.remove(row);
        }
        self.reshape(y, shape)
    }

    /// The product of matrices or batches of them, each of at least two axes.
    fn product(&mut self, a: Value, b: Value, transposed: [bool; 2]) -> Result<Value> {
        let shapes = [self.shape(a)?.clone(), self.shape(b)?.clone()];
        let [lead_a, lead_b] = shapes.each_ref().map(lead);
        if lead_a == lead_b {
            return self.multiply(a, b, transposed);
        }
        let Some(all) = lead_a.broadcast(&lead_b) else {
            return Err(wrong(
                &shapes,
                "have axes before their matrices that do not broadcast",
            ));
        };
        let aligned = |lead: &Shape| [&vec![1; all.len() - lead.len()][..], lead].concat();
        let (lead_a, lead_b) = (aligned(&lead_a), aligned(&lead_b));
        // Over its last axes of 1, b is one matrix, by which all those of a are multiplied as one.
        let own = lead_b.iter().rposition(|&extent| extent != 1);
        let kept = own.map_or(0, |axis| axis + 1);
        let folded: usize = lead_a[kept..].iter().product();
        let (a, transpose_a) = match transposed[0] && folded != 1 {
            true => (self.swap_last(a)?, false),
            false => (a, transposed[0]),
        };
        let [rows, columns] = last_two(self.shape(a)?);
        let outer = &all[..kept];
        let a = self.reshape(a, [&lead_a[..kept], &[folded * rows, columns]].concat())?;
        let a = self.expand(a, [outer, &[folded * rows, columns]].concat())?;
        let matrix = last_two(&shapes[1]);
        let b = self.reshape(b, [&lead_b[..kept], &matrix].concat())?;
        let b = self.expand(b, [outer, &matrix].concat())?;
        let y = self.multiply(a, b, [transpose_a, transposed[1]])?;
        let m = if transpose_a { columns } else { rows };
        let [_, n] = last_two(self.shape(y)?);
        self.reshape(y, [&all[..], &[m, n]].concat())
    }

    /// The product of matrices, or of batches of them over the same axes.
    fn multiply(
        &mut self,
        a: Value,
        b: Value,
        [transpose_a, transpose_b]: [bool; 2],
    ) -> Result<Value> {
        let op = MatMul {
            transpose_a,
            transpose_b,
            batch: self.shape(a)?.len() > 2,
            ..MatMul::default()
        };
        self.apply1(op, &[a, b])
    }

    /// Each matrix of a batch transposed.
    fn swap_last(&mut self, x: Value) -> Result<Value> {
        let rank = self.shape(x)?.len();
        let mut axes: Vec<usize> = (0..rank).collect();
        axes.swap(rank - 2, rank - 1);
        self.permute(x, &axes)
    }
}

/// The axes before those of a matrix.
fn lead(shape: &Shape) -> Shape {
    shape[..shape.len() - 2].into()
}

/// The extents of a matrix.
fn last_two(shape: &Shape) -> [usize; 2] {
    [shape[shape.len() - 2], shape[shape.len() - 1]]
}

fn wrong([a, b]: &[Shape; 2], what: &str) -> Error {
    Error::shape(format!("matmul: a {a} and b {b} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Type;

    #[test]
    fn shapes_follow_pytorch() {
        let product = |a: &[usize], b: &[usize], ta, tb| {
            let mut g = Graph::new();
            let a = g.input("a", Type::f32(a))?;
            let b = g.input("b", Type::f32(b))?;
            let y = g.matmul(a, b, ta, tb)?;
            Ok::<_, Error>((g.shape(y)?.to_vec(), g.nodes().len()))
        };
        let shape = |a: &[usize], b: &[usize]| product(a, b, false, false).unwrap().0;
        assert_eq!(shape(&[2, 1, 4, 3], &[2, 3, 5]), [2, 2, 4, 5]);
        assert_eq!(shape(&[6, 4, 3], &[3, 5]), [6, 4, 5]);
        assert_eq!(shape(&[4, 3], &[6, 3, 5]), [6, 4, 5]);
        assert_eq!(shape(&[4, 3], &[3]), [4]);
        assert_eq!(shape(&[3], &[3, 5]), [5]);
        assert_eq!(shape(&[3], &[3]), [0usize; 0]);
        assert_eq!(shape(&[3], &[2, 6, 3, 5]), [2, 6, 5]);
        assert_eq!(shape(&[2, 6, 4, 3], &[3]), [2, 6, 4]);
        assert_eq!(shape(&[0, 4, 3], &[3, 5]), [0, 4, 5]);
        assert_eq!(shape(&[2, 1, 0, 3], &[7, 3, 5]), [2, 7, 0, 5]);
        let transposed = product(&[6, 3, 4], &[5, 3], true, true).unwrap().0;
        assert_eq!(transposed, [6, 4, 5]);
        // A matrix that all share is not repeated: reshape, product, reshape.
        assert_eq!(product(&[6, 4, 3], &[3, 5], false, false).unwrap().1, 3);
        assert_eq!(product(&[6, 4, 3], &[6, 3, 5], false, false).unwrap().1, 1);
        let message = |a, b| product(a, b, false, false).unwrap_err().to_string();
        assert_eq!(
            message(&[], &[3]),
            "matmul: a [] and b [3] must have one axis at least"
        );
        assert_eq!(
            message(&[2, 4, 3], &[3, 3, 5]),
            "matmul: a [2, 4, 3] and b [3, 3, 5] have axes before their matrices that do not \
             broadcast"
        );
        assert_eq!(
            message(&[4, 3], &[4]),
            "matmul: a [4, 3] sums over 3, b [4] over 4"
        );
        assert_eq!(
            message(&[2, 4, 3], &[4, 5]),
            "matmul: a [2, 4, 3] sums over 3, b [4, 5] over 4"
        );
        let transposed = product(&[2, 4, 3], &[3, 5], true, false).unwrap_err();
        assert_eq!(
            transposed.to_string(),
            "matmul: a [2, 4, 3] transposed sums over 4, b [3, 5] over 3"
        );
    }
}
