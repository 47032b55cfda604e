//! The choice between the CPU reference and a GPU.

use super::Gpu;
use crate::error::Result;
use crate::kernel::Caps;

/// Where sessions run.
#[derive(Debug, Clone)]
pub enum Engine {
    /// The reference, in `f64`, with runs of rows spread over this many threads.
    Cpu {
        /// Number of threads.
        threads: usize,
    },
    /// A GPU.
    Gpu(Gpu),
}

impl Engine {
    /// The CPU reference on all cores.
    pub fn cpu() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        Engine::Cpu { threads }
    }

    /// What lowering may depend on; the CPU has WebGPU's default limits.
    pub fn caps(&self) -> Caps {
        match self {
            Engine::Cpu { .. } => Caps::default(),
            Engine::Gpu(gpu) => gpu.caps().clone(),
        }
    }

    /// Fails on a borrowed device whose cooperative matrices are still to be tried out: who blocks cannot wait for that.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn expect_proof(&self) -> Result<()> {
        match self {
            Engine::Gpu(gpu) if gpu.unproven() => gpu.expect_owned(),
            _ => Ok(()),
        }
    }

    /// One line for people: adapter, driver and back end.
    pub fn describe(&self) -> String {
        match self {
            Engine::Cpu { threads } => format!("CPU reference, {threads} threads"),
            Engine::Gpu(gpu) => {
                let info = gpu.info();
                format!(
                    "{} ({}, {} {})",
                    info.name, info.backend, info.driver, info.driver_info
                )
            }
        }
    }
}

impl From<Gpu> for Engine {
    fn from(gpu: Gpu) -> Self {
        Engine::Gpu(gpu)
    }
}
