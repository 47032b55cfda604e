//! The choice between the CPU reference and a GPU.

use super::{Gpu, GpuOptions, advice};
use crate::error::{Error, ErrorKind, Result};
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
    /// The best adapter ([`Gpu::new`]), or the CPU reference where there is none. The log tells
    /// which, and so does [`describe`](Self::describe).
    ///
    /// Where `WGPU_BACKEND` or `WGPU_ADAPTER_NAME` is set, the CPU is never taken instead: what is
    /// asked for by name is there, or it is an error.
    ///
    /// ```no_run
    /// # fn main() -> striate::error::Result<()> {
    /// use striate::prelude::*;
    ///
    /// let engine = Engine::new()?;
    /// println!("on {}", engine.describe());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoAdapter` if what the environment names is not there; `OutOfMemory`, `DeviceLost`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new() -> Result<Self> {
        pollster::block_on(Self::new_async())
    }

    /// As `new`, for hosts that cannot block.
    pub async fn new_async() -> Result<Self> {
        let gpu = Gpu::new_async(&GpuOptions::default()).await;
        let engine = Self::or_cpu(gpu, advice::environment_names_one())?;
        log::info!("engine: {}", engine.describe());
        Ok(engine)
    }

    /// `gpu`, or the CPU where no adapter will do, unless one was `asked` for by name.
    fn or_cpu(gpu: Result<Gpu>, asked: bool) -> Result<Self> {
        let unusable = |error: &Error| {
            let kinds = [ErrorKind::NoAdapter, ErrorKind::Limit];
            kinds.contains(&error.kind())
        };
        match gpu {
            Ok(gpu) => Ok(gpu.into()),
            Err(error) if unusable(&error) && !asked => {
                log::warn!("engine: the CPU reference, which is slow: {error}");
                Ok(Self::cpu())
            }
            Err(error) => Err(error),
        }
    }

    /// The GPU, if it is one.
    pub fn gpu(&self) -> Option<&Gpu> {
        match self {
            Engine::Cpu { .. } => None,
            Engine::Gpu(gpu) => Some(gpu),
        }
    }

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

    /// Fails on a borrowed device whose cooperative matrices are still to be tried out: who blocks
    /// cannot wait for that.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_takes_the_place_of_what_nobody_named() {
        let failed = |kind| Err(Error::new(kind, "this one fails"));
        for kind in [ErrorKind::NoAdapter, ErrorKind::Limit] {
            let engine = Engine::or_cpu(failed(kind), false).unwrap();
            assert!(engine.gpu().is_none(), "{kind:?}");
            let error = Engine::or_cpu(failed(kind), true).unwrap_err();
            assert_eq!(error.kind(), kind);
        }
        let error = Engine::or_cpu(failed(ErrorKind::OutOfMemory), false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    }

    #[test]
    fn the_best_adapter_is_taken() {
        let best = Gpu::new(&GpuOptions::default());
        let engine = Engine::new().unwrap();
        match best {
            Ok(best) => assert_eq!(engine.describe(), Engine::from(best).describe()),
            Err(_) => assert!(engine.gpu().is_none()),
        }
    }
}
