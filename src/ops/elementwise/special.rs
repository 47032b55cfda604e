//! Functions of the reference that the standard library lacks, in `f64`.

/// The complementary error function, good to some 1e-14 of itself.
///
/// Below 2 from the series of erf whose terms are all positive (Abramowitz and Stegun 7.1.6), from
/// 2 on by the continued fraction (7.1.14), 80 terms of it.
pub(in crate::ops) fn erfc(z: f64) -> f64 {
    let size = z.abs();
    let tail = if size < 2.0 {
        let (mut term, mut sum, mut n) = (size, size, 0.0);
        while term > 1e-18 * sum {
            n += 1.0;
            term *= 2.0 * size * size / (2.0 * n + 1.0);
            sum += term;
        }
        1.0 - std::f64::consts::FRAC_2_SQRT_PI * (-size * size).exp() * sum
    } else {
        let fraction = (1..=80)
            .rev()
            .fold(0.0, |rest, k| f64::from(k) / 2.0 / (size + rest));
        (-size * size).exp() / (size + fraction) / std::f64::consts::PI.sqrt()
    };
    if z < 0.0 { 2.0 - tail } else { tail }
}

/// The error function, good to some 1e-14 of itself: 1 - erfc(x), or, below 1/2 in magnitude, the
/// Taylor series.
pub(in crate::ops) fn erf(x: f64) -> f64 {
    if x.abs() >= 0.5 {
        return 1.0 - erfc(x);
    }
    // Abramowitz and Stegun 7.1.5.
    let (mut power, mut sum) = (x, x);
    for n in 1..=16 {
        power *= -x * x / f64::from(n);
        sum += power / f64::from(2 * n + 1);
    }
    std::f64::consts::FRAC_2_SQRT_PI * sum
}

/// The distribution function of the normal distribution N(0, 1).
pub(in crate::ops) fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// The density of the normal distribution N(0, 1).
pub(in crate::ops) fn normal_density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// 1 / (1 + exp(-x)).
pub(in crate::ops) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// log(1 + exp(x)), without overflow.
pub(in crate::ops) fn log1p_exp(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Abramowitz and Stegun, tables 7.1 and 7.3, and limits.
    #[test]
    fn erfc_has_the_tabulated_values() {
        let close = |z: f64, wanted: f64| {
            let found = erfc(z);
            assert!(
                (found - wanted).abs() <= 2e-10 * wanted,
                "erfc({z}) is {found}, not {wanted}"
            );
        };
        close(0.0, 1.0);
        close(0.5, 0.479_500_122_2);
        close(1.0, 0.157_299_207_05);
        close(-1.0, 1.842_700_792_95);
        close(2.0, 4.677_734_981_047e-3);
        close(3.0, 2.209_049_699_859e-5);
        assert_eq!(erfc(f64::INFINITY), 0.0);
        assert_eq!(erfc(f64::NEG_INFINITY), 2.0);
        assert!(erfc(f64::NAN).is_nan());
        assert_eq!((erf(f64::INFINITY), erf(0.0)), (1.0, 0.0));
        assert!((erf(-0.1) + 0.112_462_916_018_284_9).abs() < 1e-15);
        assert!((erf(1.5) - 0.966_105_146_475_310_7).abs() < 1e-14);
        // Both forms at their border.
        let (below, above) = (erfc(2.0 - 1e-12), erfc(2.0));
        assert!((below - above).abs() < 1e-12 * above + 3e-14);
    }
}
