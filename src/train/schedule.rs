//! Learning rates as tables, one entry per step.

/// The same rate at every step.
pub fn constant(rate: f32) -> Vec<f32> {
    vec![rate]
}

/// A linear rise to `peak` over `warmup` steps, then half a cosine down to 0 at `steps`
/// (Loshchilov and Hutter 2017, "SGDR", without restarts).
pub fn warmup_cosine(peak: f32, warmup: usize, steps: usize) -> Vec<f32> {
    let steps = steps.max(1);
    let fall = steps.saturating_sub(warmup).max(1) as f64;
    (0..steps)
        .map(|step| {
            if step < warmup {
                return peak * (step + 1) as f32 / warmup as f32;
            }
            let done = (step - warmup) as f64 / fall;
            (f64::from(peak) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_falls() {
        let table = warmup_cosine(1.0, 4, 104);
        assert_eq!(table.len(), 104);
        assert_eq!(table[..4], [0.25, 0.5, 0.75, 1.0]);
        assert_eq!(table[4], 1.0);
        assert!((table[54] - 0.5).abs() < 1e-6);
        assert!(table[103] < 1e-3 && table.windows(2).skip(4).all(|w| w[1] < w[0]));
        assert_eq!(warmup_cosine(1.0, 0, 0).len(), 1);
    }
}
