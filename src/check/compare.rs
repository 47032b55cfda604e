//! The comparer: whether a tensor from a GPU is what the reference says, within a bound.

use super::{Bound, mismatch};
use crate::error::Result;
use crate::shape::{DType, Type};
use crate::tensor::{Array, Tensor};

/// What a flushed subnormal may cost: WGSL 15.7.2, "any inputs or outputs of operations listed in
/// 15.7.4 may be flushed to zero" when they are subnormal.
const FLUSHED: f64 = f32::MIN_POSITIVE as f64;

/// Compares `got` with the reference `want` and returns the worst error in units of the bound (at
/// most 1).
///
/// `abs_sum` is the reference on the absolute values of all float inputs; only [`Bound::Sum`] and
/// [`Bound::HalfSum`] need it. Integers must be equal whatever the bound. NaN must meet NaN, an
/// infinity (or a number that rounds to one) the same infinity; -0 equals 0.
///
/// # Errors
/// `Mismatch`, saying what differs, the worst element first: where, the two numbers, the bound.
pub fn compare(got: &Tensor, want: &Array, bound: Bound, abs_sum: Option<&Array>) -> Result<f64> {
    if got.ty() != want.ty() {
        return Err(mismatch(format!("got {}, want {}", got.ty(), want.ty())));
    }
    let units: Vec<f64>;
    let message: Box<dyn Fn(usize) -> String>;
    match want.ty().dtype {
        DType::U32 => {
            let (got, want) = (got.as_u32()?, want.u32s());
            units = got.iter().zip(want).map(|(g, w)| unequal(g != w)).collect();
            message = Box::new(move |i| format!("got {}, want {}", got[i], want[i]));
        }
        DType::U8 => {
            let (got, want) = (got.as_u8()?, want.u8s());
            units = got.iter().zip(want).map(|(g, w)| unequal(g != w)).collect();
            message = Box::new(move |i| format!("got {}, want {}", got[i], want[i]));
        }
        DType::F32 | DType::F16 => {
            let tolerances = tolerances(want, bound, abs_sum)?;
            let (got, want) = (got.as_f32()?, want.floats());
            let pairs = got.iter().zip(want).zip(&tolerances);
            units = pairs.map(|((&g, &w), &t)| error(g, w, t)).collect();
            message = Box::new(move |i| describe(got[i], want[i], tolerances[i]));
        }
    }
    let wrong = units.iter().filter(|&&units| units > 1.0).count();
    let worst = (0..units.len()).fold(
        0,
        |worst, i| if units[i] > units[worst] { i } else { worst },
    );
    match units.get(worst) {
        Some(_) if wrong > 0 => Err(mismatch(format!(
            "{wrong} of {} elements are wrong; the worst, {}: {} (bound {bound:?})",
            units.len(),
            place(want.ty(), worst),
            message(worst)
        ))),
        units => Ok(units.copied().unwrap_or(0.0)),
    }
}

/// The error of an element that must be equal.
fn unequal(differs: bool) -> f64 {
    if differs { f64::INFINITY } else { 0.0 }
}

/// Tolerance of each element of the float array `want`; `None` asks for the reference's bits.
///
/// # Errors
/// `Mismatch` if the bound needs `abs_sum` and it is missing or misshapen.
pub fn tolerances(want: &Array, bound: Bound, abs_sum: Option<&Array>) -> Result<Vec<Option<f64>>> {
    let values = want.floats();
    let tolerances: Vec<Option<f64>> = match bound {
        Bound::Exact => vec![None; values.len()],
        Bound::Ulp(n) => values.iter().map(|&x| Some(n * ulp(x))).collect(),
        Bound::Sum { k } | Bound::HalfSum { k } => {
            let sums = abs_sum
                .ok_or_else(|| mismatch("Bound::Sum needs the sums of absolute products"))?;
            if sums.ty() != want.ty() {
                return Err(mismatch(format!(
                    "the sums of absolute products are {}, the reference is {}",
                    sums.ty(),
                    want.ty()
                )));
            }
            let scale = (k as f64 + 8.0) * 2f64.powi(-24);
            let (scale, subnormal) = match bound {
                Bound::HalfSum { .. } => (scale + 2f64.powi(-9), k as f64 * 2f64.powi(-23)),
                _ => (scale, 0.0),
            };
            let tolerance = |sum: &f64| Some(scale * sum.abs() + subnormal);
            sums.floats().iter().map(tolerance).collect()
        }
        Bound::Norm(relative) => {
            let finite = values.iter().filter(|x| x.is_finite());
            let largest = finite.fold(0.0, |largest: f64, x| largest.max(x.abs()));
            vec![Some(relative * largest); values.len()]
        }
    };
    Ok(tolerances)
}

/// The distance of neighbouring `f32`s at `x`, at least the smallest one.
fn ulp(x: f64) -> f64 {
    let exponent = (x.abs().to_bits() >> 52) as i32 - 1023;
    2f64.powi(exponent.max(-126) - 23)
}

/// The error of an element in units of its tolerance.
fn error(got: f32, want: f64, tolerance: Option<f64>) -> f64 {
    let rounded = want as f32;
    if got == rounded || (got.is_nan() && rounded.is_nan()) {
        return 0.0;
    }
    if !got.is_finite() || !rounded.is_finite() {
        return f64::INFINITY;
    }
    match tolerance {
        None => unequal(got != 0.0 || f64::from(rounded.abs()) >= FLUSHED),
        Some(tolerance) if tolerance.is_finite() => {
            (f64::from(got) - want).abs() / (tolerance + FLUSHED)
        }
        Some(_) => f64::INFINITY,
    }
}

fn describe(got: f32, want: f64, tolerance: Option<f64>) -> String {
    let off = (f64::from(got) - want).abs();
    match tolerance {
        Some(tolerance) => {
            format!("got {got}, want {want}, off by {off:.3e}, allowed {tolerance:.3e}")
        }
        None => {
            let rounded = want as f32;
            let bits = [got, rounded].map(f32::to_bits);
            format!(
                "got {got} (0x{:08x}), want {rounded} (0x{:08x}), off by {off:.3e}",
                bits[0], bits[1]
            )
        }
    }
}

/// Element number `i` as indices.
fn place(ty: &Type, i: usize) -> String {
    let strides = ty.shape.strides();
    let indices: Vec<usize> = strides
        .iter()
        .zip(ty.shape.iter())
        .map(|(stride, extent)| i / stride % extent)
        .collect();
    format!("element {indices:?} of {}", ty.shape)
}
