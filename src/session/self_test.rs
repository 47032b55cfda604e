//! Whether cooperative matrices multiply correctly, asked before a session relies on them.

use super::gpu_form::GpuForm;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Engine, Gpu};
use crate::graph::Graph;
use crate::plan::{Plan, PlanOptions};
use crate::store::Store;
use crate::tensor::Tensor;

/// Extents m, n, k of the products: both sizes of tile of a device's own matrices, several tiles,
/// tiles that are partly filled, a long sum.
const SIZES: [[usize; 3]; 3] = [[48, 48, 48], [80, 144, 272], [33, 17, 1000]];

/// Multiplies integers on the device, whose sums are exact, and compares. An own device is waited
/// for, by blocking; of a borrowed one the results arrive while its host polls.
///
/// # Errors
/// `Mismatch` with the first element that is wrong; whatever compiling and running return.
pub(super) async fn multiply(gpu: &Gpu) -> Result<()> {
    let gpu = &gpu.with_matrices_alone();
    let engine = Engine::from(gpu.clone());
    for [m, n, k] in SIZES {
        let (a, b) = factors([m, n, k]);
        let mut graph = Graph::new();
        let left = graph.constant(Tensor::f32([m, k], a.clone())?)?;
        let right = graph.constant(Tensor::f32([k, n], b.clone())?)?;
        let y = graph.matmul(left, right, false, false)?;
        let store = Store::new_async(&engine, &[&graph], 0).await?;
        let options = PlanOptions::default();
        let plan = Plan::new(&graph, store.layout(), &[y], gpu.caps(), options)?;
        let mut form = GpuForm::new(gpu, &store, &graph, plan, |_| ()).await?;
        form.submit(1)?;
        let read = form.read(&store, &graph, y)?;
        #[cfg(not(target_arch = "wasm32"))]
        let product = match gpu.is_owned() {
            true => read.wait()?,
            false => read.await?,
        };
        #[cfg(target_arch = "wasm32")]
        let product = read.await?;
        expect_product([m, n, k], &a, &b, product.as_f32()?)?;
    }
    Ok(())
}

/// Integers in an order without symmetries: ten bits of `f16`'s eleven in one factor, and sums
/// below 2^24 that are beyond `f16`'s own.
fn factors([m, n, k]: [usize; 3]) -> (Vec<f32>, Vec<f32>) {
    (integers(m * k, 1023), integers(k * n, 15))
}

fn integers(count: usize, largest: usize) -> Vec<f32> {
    let value = |i: usize| (i * 7 + i / 11 + i / 131 * 5) % (2 * largest + 1);
    let integers = (0..count).map(|i| value(i) as f32 - largest as f32);
    integers.collect()
}

fn expect_product([m, n, k]: [usize; 3], a: &[f32], b: &[f32], y: &[f32]) -> Result<()> {
    for row in 0..m {
        for column in 0..n {
            let terms = (0..k).map(|i| a[row * k + i] * b[i * n + column]);
            let (got, want) = (y[row * n + column], terms.sum::<f32>());
            if got != want {
                return Err(Error::new(
                    ErrorKind::Mismatch,
                    format!(
                        "the device's cooperative matrices are wrong: in a product of integers, \
                         {m} x {k} by {k} x {n}, \
                         element [{row}, {column}] is {got} and should be {want}; use another body"
                    ),
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_element_is_found() {
        let [m, n, k] = [5, 7, 40];
        let (a, b) = factors([m, n, k]);
        let term = |at: usize| (0..k).map(move |i| (at / n * k + i, i * n + at % n));
        let sum = |at: usize| term(at).map(|(i, j)| a[i] * b[j]).sum::<f32>();
        let right: Vec<f32> = (0..m * n).map(sum).collect();
        expect_product([m, n, k], &a, &b, &right).unwrap();
        for at in 0..m * n {
            for wrong in [right[at] + 1.0, 2.0 * right[at] + 0.5, f32::NAN] {
                let mut y = right.clone();
                y[at] = wrong;
                let error = expect_product([m, n, k], &a, &b, &y).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Mismatch);
                let place = format!("[{}, {}]", at / n, at % n);
                assert!(error.to_string().contains(&place), "{error}");
            }
        }
    }

    /// Transposed, mirrored or shifted matrices give other sums.
    #[test]
    fn factors_have_no_symmetries() {
        for [m, n, k] in SIZES {
            let (a, b) = factors([m, n, k]);
            let mut rows: Vec<&[f32]> = a.chunks(k).collect();
            let column = |j: usize| b.iter().skip(j).step_by(n).copied().collect();
            let mut columns: Vec<Vec<f32>> = (0..n).map(column).collect();
            rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
            columns.sort_by(|a, b| a.partial_cmp(b).unwrap());
            rows.dedup();
            columns.dedup();
            assert_eq!([rows.len(), columns.len()], [m, n], "{k} terms");
        }
    }

    /// Sums in `f16`, or of factors with the eight bits of `bf16`, are wrong ones.
    #[test]
    fn less_than_the_promised_precision_is_found() {
        let bits = |x: f32, bits: u32| {
            let unit = 2f32.powi(x.abs().max(1.0).log2() as i32 + 1 - bits as i32);
            (x / unit).round_ties_even() * unit
        };
        let [m, n, k] = SIZES[0];
        let (a, b) = factors([m, n, k]);
        let product = |factor: u32, sum: u32| {
            let element = |at: usize| {
                let terms = (0..k).map(|i| bits(a[at / n * k + i], factor) * b[i * n + at % n]);
                terms.fold(0.0, |y, term| bits(y + term, sum))
            };
            let y: Vec<f32> = (0..m * n).map(element).collect();
            expect_product([m, n, k], &a, &b, &y)
        };
        product(11, 24).unwrap();
        product(11, 11).unwrap_err();
        product(8, 24).unwrap_err();
    }
}
