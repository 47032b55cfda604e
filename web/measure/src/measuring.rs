//! The lab's cases, timed by a clock that somebody else brings: a page has no other.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use striate::error::{Error, ErrorKind, Result};
use striate::gpu::Gpu;
use striate_cases::bench::{Bench, MOST_STEPS, Peak, TimedCase, Times, benches, error};

/// Cases that take an instant, and that measurements of other machines have.
pub const SHORT: [&str; 8] = [
    "conv2d/128x1x28x28-6k5s1p2/forward",
    "conv2d/128x6x14x14-16k5s1p0/forward",
    "matmul/128x120x400",
    "matmul/128x84x120",
    "matmul/1x4096x4096",
    "matmul/64x1000x2048",
    "matmul/64x64x8192",
    "matmul/8192x64x64",
];

/// Milliseconds that a measurement takes at least, and ticks of the clock: those of pages are
/// coarse, of some far coarser than of others.
const LEAST: f64 = 20.0;
const LEAST_TICKS: f64 = 10.0;

/// Measurements of a case.
const ROUNDS: usize = 5;

/// Completes once all that was submitted before is done. Somebody is to poll the device; browsers
/// do.
#[derive(Debug, Default, Clone)]
struct Done(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    done: bool,
    waker: Option<Waker>,
}

impl Done {
    fn of(gpu: &Gpu) -> Self {
        let done = Self::default();
        let told = done.clone();
        gpu.queue().on_submitted_work_done(move || {
            let mut state = told.state();
            state.done = true;
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        });
        done
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Future for Done {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.done {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

/// A device that is measured.
#[derive(Debug)]
pub struct Measuring {
    gpu: Gpu,
    peak: Option<Peak>,
}

/// A case that was measured: of what the rules choose.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// Milliseconds.
    pub times: Times,
    /// 10^9 floating-point operations per second.
    pub gflops: f64,
    /// 10^9 bytes per second.
    pub gbps: f64,
    /// The time that the measured peaks allow, by the time that it took.
    pub roofline: f64,
    /// The highest rates of the device.
    pub peak: Peak,
    /// The largest error in units of its bound, or what is wrong if there is more.
    pub error: std::result::Result<f64, String>,
}

impl Measuring {
    /// On a device.
    pub fn new(gpu: Gpu) -> Self {
        Self { gpu, peak: None }
    }

    /// Names of all cases.
    pub fn names() -> Vec<String> {
        benches().into_iter().map(|bench| bench.name).collect()
    }

    /// Highest rates of the device, measured once; `clock` counts milliseconds.
    ///
    /// # Errors
    /// Those of the device.
    pub async fn peak(&mut self, clock: &impl Fn() -> f64) -> Result<Peak> {
        if let Some(peak) = self.peak {
            return Ok(peak);
        }
        let mut best = Vec::new();
        for peak in Peak::cases() {
            let subject = TimedCase::new(&self.gpu, &peak.case, peak.bytes).await?;
            best.push(times(subject, clock).await?.best);
        }
        let peak = Peak::of(best[0], best[1]);
        self.peak = Some(peak);
        Ok(peak)
    }

    /// Measures the case of a name; then holds a smaller one of its kind against the reference.
    ///
    /// # Errors
    /// `Data` if no case is called so; `Limit` and `OutOfMemory` where the device is too small for
    /// it; those of the device.
    pub async fn measure(&mut self, name: &str, clock: &impl Fn() -> f64) -> Result<CaseResult> {
        let peak = self.peak(clock).await?;
        let found = benches().into_iter().find(|bench| bench.name == name);
        let missing = || Error::new(ErrorKind::Data, format!("no case is called \"{name}\""));
        let bench: Bench = found.ok_or_else(missing)?;
        let subject = TimedCase::new(&self.gpu, &bench.case, bench.bytes as u64).await?;
        let times = times(subject, clock).await?;
        let error = match error(&self.gpu, &bench.sample).await {
            Ok(error) => Ok(error),
            Err(error) if error.kind() == ErrorKind::Mismatch => Err(error.to_string()),
            Err(error) => return Err(error),
        };
        Ok(CaseResult {
            gflops: bench.flops / times.median / 1e6,
            gbps: bench.bytes / times.median / 1e6,
            roofline: peak.floor(bench.flops, bench.bytes) / times.median,
            peak,
            times,
            error,
        })
    }
}

/// Milliseconds of all steps of a measurement.
async fn time(subject: &mut TimedCase, clock: &impl Fn() -> f64) -> Result<f64> {
    Done::of(&subject.gpu).await;
    let begun = clock();
    subject.session.run(subject.steps)?;
    Done::of(&subject.gpu).await;
    Ok(clock() - begun)
}

/// The least that the clock moves by, in milliseconds.
fn tick(clock: &impl Fn() -> f64) -> f64 {
    let begun = clock();
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        let before = clock();
        let after = loop {
            let now = clock();
            if now > before {
                break now;
            }
        };
        least = least.min(after - before);
        if after - begun > LEAST {
            break;
        }
    }
    least
}

/// Milliseconds of one run, over some measurements.
async fn times(mut subject: TimedCase, clock: &impl Fn() -> f64) -> Result<Times> {
    // The first run may be a compiler's.
    time(&mut subject, clock).await?;
    let least = LEAST.max(LEAST_TICKS * tick(clock));
    loop {
        let all = time(&mut subject, clock).await?;
        if all >= least || subject.steps >= MOST_STEPS {
            break;
        }
        let more = (1.2 * least / all.max(0.1)).min(10.0);
        let steps = (subject.steps as f64 * more).ceil() as usize;
        subject.steps = steps.clamp(subject.steps + 1, MOST_STEPS);
    }
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        let took = time(&mut subject, clock).await?;
        all.push(subject.each(took));
    }
    let times = Times::of(all)?;
    if times.median <= 0.0 {
        let message = "the clock is too coarse for the case";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(times)
}
