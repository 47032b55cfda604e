//! The comparer: whether a tensor from a GPU is what the reference says, within a bound.

use striate::shape::{DType, Type};
use striate::tensor::{Array, Tensor};

use super::cases::Bound;

/// What a flushed subnormal may cost: WGSL 15.7.2, "any inputs or outputs of operations listed in 15.7.4 may be flushed
/// to zero" when they are subnormal.
const FLUSHED: f64 = f32::MIN_POSITIVE as f64;

/// Compares `got` with the reference `want` and returns the worst error in units of the bound (at most 1).
///
/// `abs_sum` is the reference on the absolute values of all float inputs; only [`Bound::Sum`] needs it. Integers must be
/// equal whatever the bound. NaN must meet NaN, an infinity (or a number that rounds to one) the same infinity; -0 equals 0.
///
/// # Errors
/// What differs, the worst element first: where, the two numbers, the bound.
pub fn compare(
    got: &Tensor,
    want: &Array,
    bound: Bound,
    abs_sum: Option<&Array>,
) -> Result<f64, String> {
    if got.ty() != want.ty() {
        return Err(format!("got {}, want {}", got.ty(), want.ty()));
    }
    let checks: Vec<Check> = match want.ty().dtype {
        DType::U32 => integers(got.as_u32().map_err(|e| e.to_string())?, want.u32s()),
        DType::U8 => integers(got.as_u8().map_err(|e| e.to_string())?, want.u8s()),
        DType::F32 | DType::F16 => {
            let got = got.as_f32().map_err(|e| e.to_string())?;
            let tolerances = tolerances(want, bound, abs_sum)?;
            let pairs = got.iter().zip(want.floats());
            pairs
                .zip(tolerances)
                .map(|((&got, &want), tolerance)| float(got, want, tolerance))
                .collect()
        }
    };
    let mut worst = 0;
    let mut wrong = 0;
    for (i, check) in checks.iter().enumerate() {
        if check.units > checks[worst].units {
            worst = i;
        }
        wrong += usize::from(check.units > 1.0);
    }
    match checks.get(worst) {
        Some(check) if wrong > 0 => Err(format!(
            "{wrong} of {} elements are wrong; the worst, {}: {} (bound {bound:?})",
            checks.len(),
            place(want.ty(), worst),
            check.message
        )),
        check => Ok(check.map_or(0.0, |check| check.units)),
    }
}

/// One element: its error in units of the bound, and what to say if that exceeds 1.
struct Check {
    units: f64,
    message: String,
}

impl Check {
    fn equal() -> Self {
        Self {
            units: 0.0,
            message: String::new(),
        }
    }

    fn wrong(got: impl ToString, want: impl ToString) -> Self {
        Self {
            units: f64::INFINITY,
            message: format!("got {}, want {}", got.to_string(), want.to_string()),
        }
    }
}

fn integers<T: PartialEq + ToString + Copy>(got: &[T], want: &[T]) -> Vec<Check> {
    got.iter()
        .zip(want)
        .map(|(&got, &want)| {
            if got == want {
                Check::equal()
            } else {
                Check::wrong(got, want)
            }
        })
        .collect()
}

/// Tolerance of each element of the float array `want`; `None` asks for the reference's bits.
///
/// # Errors
/// If the bound needs `abs_sum` and it is missing or misshapen.
pub fn tolerances(
    want: &Array,
    bound: Bound,
    abs_sum: Option<&Array>,
) -> Result<Vec<Option<f64>>, String> {
    let values = want.floats();
    let tolerances: Vec<Option<f64>> = match bound {
        Bound::Exact => vec![None; values.len()],
        Bound::Ulp(n) => values.iter().map(|&x| Some(n * ulp(x))).collect(),
        Bound::Sum { k } => {
            let sums = abs_sum.ok_or("Bound::Sum needs the sums of absolute products")?;
            if sums.ty() != want.ty() {
                return Err(format!(
                    "the sums of absolute products are {}, the reference is {}",
                    sums.ty(),
                    want.ty()
                ));
            }
            let scale = (k as f64 + 8.0) * 2f64.powi(-24);
            sums.floats()
                .iter()
                .map(|sum| Some(scale * sum.abs()))
                .collect()
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

fn float(got: f32, want: f64, tolerance: Option<f64>) -> Check {
    let rounded = want as f32;
    if got == rounded || (got.is_nan() && rounded.is_nan()) {
        return Check::equal();
    }
    if !got.is_finite() || !rounded.is_finite() {
        return Check::wrong(got, rounded);
    }
    let error = (f64::from(got) - want).abs();
    match tolerance {
        None if got == 0.0 && f64::from(rounded.abs()) < FLUSHED => Check::equal(),
        None => Check {
            units: f64::INFINITY,
            message: format!(
                "got {got} (0x{:08x}), want {rounded} (0x{:08x}), off by {error:.3e}",
                got.to_bits(),
                rounded.to_bits()
            ),
        },
        Some(tolerance) if tolerance.is_finite() => {
            let tolerance = tolerance + FLUSHED;
            Check {
                units: error / tolerance,
                message: format!(
                    "got {got}, want {want}, off by {error:.3e}, allowed {tolerance:.3e}"
                ),
            }
        }
        Some(tolerance) => Check {
            units: f64::INFINITY,
            message: format!("got {got}, want {want}, and the bound is {tolerance}"),
        },
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
