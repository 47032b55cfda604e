//! A case on one device, timed: on the device where it has timestamps, else by submitting and
//! waiting.

use striate::check::Case;
use striate::error::Result;
use striate::gpu::Gpu;
use striate_cases::bench::{MOST_STEPS, Peak, TimedCase, Times};

/// Milliseconds of one run of the case.
pub fn time(subject: &mut TimedCase) -> Result<f64> {
    let all = striate::tune::time(&subject.gpu, &mut subject.session, subject.steps)?;
    Ok(subject.each(all))
}

/// Compiles the case, runs it once and finds how often it must run to fill `seconds`.
pub fn subject(gpu: &Gpu, case: &Case, bytes: u64, seconds: f64) -> Result<TimedCase> {
    let mut subject = pollster::block_on(TimedCase::new(gpu, case, bytes))?;
    time(&mut subject)?;
    let once = time(&mut subject)? * subject.copies as f64;
    subject.steps = (seconds * 1e3 / once).clamp(1.0, MOST_STEPS as f64) as usize;
    Ok(subject)
}

/// The largest error of `case` on the device, in units of its bound.
pub fn error(gpu: &Gpu, case: &Case) -> Result<f64> {
    gpu.block_on(striate_cases::bench::error(gpu, case))
}

/// What a device can do at most.
pub fn peak(gpu: &Gpu, rounds: usize, seconds: f64) -> Result<Peak> {
    let [chained, copied] = Peak::cases();
    let best = |case: &Case, bytes: u64| -> Result<f64> {
        let mut subject = subject(gpu, case, bytes, seconds)?;
        let times = (0..rounds).map(|_| time(&mut subject));
        Ok(Times::of(times.collect::<Result<_>>()?)?.best)
    };
    Ok(Peak::of(
        best(&chained.case, chained.bytes)?,
        best(&copied.case, copied.bytes)?,
    ))
}
