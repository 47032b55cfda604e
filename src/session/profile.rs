//! Where the time of a step goes, dispatch by dispatch.

use std::fmt::{self, Write};

use super::gpu_form::{GpuForm, encode_steps};
use super::{Compiled, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::Timestamps;

/// One dispatch of a profiled step.
#[derive(Debug, Clone, PartialEq)]
pub struct Timed {
    /// The op that emitted it.
    pub op: &'static str,
    /// Its kernel.
    pub kernel: String,
    /// Workgroups that count.
    pub workgroups: u32,
    /// When it began, in nanoseconds since the first dispatch of its step.
    pub begin: f64,
    /// When it ended, likewise.
    pub end: f64,
}

impl Timed {
    /// Nanoseconds from beginning to end.
    pub fn nanoseconds(&self) -> f64 {
        self.end - self.begin
    }
}

/// Time on the device of every dispatch of one step; its text is a table.
///
/// Each dispatch is a pass of its own, so that a step takes longer than one that is not profiled,
/// and dispatches do not overlap.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// In the order in which they ran.
    pub dispatches: Vec<Timed>,
}

impl Session {
    /// Runs one step and measures each dispatch. The step counts like any other.
    ///
    /// # Errors
    /// `Unsupported` on the CPU reference and on devices without timestamp queries; whatever
    /// [`run`](Self::run) returns.
    pub async fn profile_async(&mut self) -> Result<Profile> {
        let form = self.measured("profile")?;
        let gpu = &form.gpu;
        let timestamps = Timestamps::new(gpu, form.dispatches.len())?;
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        for (index, ready) in form.dispatches.iter().enumerate() {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some(form.plan.steps[index].op),
                timestamp_writes: timestamps.of(index),
            });
            ready.encode_used(&mut pass);
        }
        let times = timestamps.submit(gpu, encoder).await?;
        let dispatches = form.plan.steps.iter().zip(times);
        let dispatches = dispatches.map(|(step, [begin, end])| Timed {
            op: step.op,
            kernel: step.kernel.name.to_string(),
            workgroups: step.count,
            begin,
            end,
        });
        let dispatches = dispatches.collect();
        self.ran = true;
        Ok(Profile { dispatches })
    }

    /// Runs `steps` steps in one pass and measures it: nanoseconds on the device, of all of them.
    ///
    /// # Errors
    /// As [`profile_async`](Self::profile_async).
    pub async fn time_async(&mut self, steps: usize) -> Result<f64> {
        let form = self.measured("time")?;
        let timestamps = Timestamps::new(&form.gpu, 1)?;
        let mut encoder = form
            .gpu
            .device()
            .create_command_encoder(&Default::default());
        encode_steps(&form.dispatches, &mut encoder, steps, timestamps.of(0));
        let times = timestamps.submit(&form.gpu, encoder).await?;
        self.ran |= steps > 0;
        Ok(times.iter().map(|[begin, end]| end - begin).sum())
    }

    /// As [`time_async`](Self::time_async), waiting for the result.
    ///
    /// # Errors
    /// `Unsupported` on a borrowed device too.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn time(&mut self, steps: usize) -> Result<f64> {
        let engine = self.store.engine().clone();
        crate::store::blocking(&engine, self.time_async(steps))
    }

    fn measured(&self, what: &str) -> Result<&GpuForm> {
        self.begin()?;
        self.expect_whole(what)?;
        match &self.form {
            Compiled::Gpu(form) => {
                form.flush_writes()?;
                Ok(form)
            }
            Compiled::Cpu { .. } => Err(Error::new(
                ErrorKind::Unsupported,
                format!("{what}: the session runs on the CPU reference"),
            )),
        }
    }

    /// As [`profile_async`](Self::profile_async), waiting for the result.
    ///
    /// # Errors
    /// `Unsupported` on a borrowed device too.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn profile(&mut self) -> Result<Profile> {
        let engine = self.store.engine().clone();
        crate::store::blocking(&engine, self.profile_async())
    }
}

impl Profile {
    /// Nanoseconds of all dispatches together.
    pub fn nanoseconds(&self) -> f64 {
        self.dispatches.iter().map(Timed::nanoseconds).sum()
    }

    /// The step in the Trace Event Format, which Perfetto and Chrome's tracing open.
    pub fn trace(&self) -> String {
        let mut text = String::from("[");
        for (i, timed) in self.dispatches.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            // Names of ops and kernels are identifiers: nothing in them needs escaping, and `{:?}`
            // escapes what would.
            let _ = write!(
                text,
                "{comma}\n{{\"name\":{:?},\"cat\":{:?},\"ph\":\"X\",\"pid\":0,\"tid\":0,\
                 \"ts\":{:.3},\"dur\":{:.3},\
                 \"args\":{{\"workgroups\":{}}}}}",
                timed.op,
                timed.kernel,
                timed.begin / 1e3,
                timed.nanoseconds() / 1e3,
                timed.workgroups
            );
        }
        text.push_str("\n]\n");
        text
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.nanoseconds();
        writeln!(
            f,
            "{:<24} {:<40} {:>10} {:>10} {:>6}",
            "op", "kernel", "workgroups", "us", "%"
        )?;
        for timed in &self.dispatches {
            writeln!(
                f,
                "{:<24} {:<40} {:>10} {:>10.1} {:>6.1}",
                timed.op,
                timed.kernel,
                timed.workgroups,
                timed.nanoseconds() / 1e3,
                100.0 * timed.nanoseconds() / total.max(1.0)
            )?;
        }
        write!(
            f,
            "{} dispatches, {:.1} us",
            self.dispatches.len(),
            total / 1e3
        )
    }
}
