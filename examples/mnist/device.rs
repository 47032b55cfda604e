//! The device, and the pipelines that are kept from run to run.

use std::path::Path;

use striate::interop::{read_file, replace_file};
use striate::prelude::*;

use crate::args::{Args, Backend};
use crate::output::Lines;

/// More than all pipelines of the trainer take in the form of any driver.
const MOST_BYTES: u64 = 256 << 20;

/// The engine that the arguments ask for. What they or the environment ask for by name is there, or
/// it is an error; where nothing is asked for, the CPU can do it.
pub fn open_engine(args: &Args) -> Result<Engine> {
    let (device, backend, lines) = (&args.device, args.backend, args.lines());
    if device == "cpu" {
        return match backend {
            None => Ok(Engine::cpu()),
            Some(_) => Err(Error::new(
                ErrorKind::NoAdapter,
                "--device cpu goes through no --backend",
            )),
        };
    }
    let backends = backend.map(|backend| match backend {
        Backend::Vulkan => striate::wgpu::Backends::VULKAN,
        Backend::Metal => striate::wgpu::Backends::METAL,
        Backend::Dx12 => striate::wgpu::Backends::DX12,
        Backend::Gl => striate::wgpu::Backends::GL,
    });
    let options = GpuOptions {
        backends,
        adapter: (device != "auto").then(|| device.clone()),
        ..GpuOptions::default()
    };
    let named = |variable| std::env::var_os(variable).is_some();
    let asked = device != "auto"
        || backend.is_some()
        || named("WGPU_BACKEND")
        || named("WGPU_ADAPTER_NAME");
    match Gpu::new(&options) {
        Ok(gpu) => match &args.pipeline_cache {
            Some(dir) => Ok(load_pipelines(&gpu, dir, options, lines)?.into()),
            None => Ok(gpu.into()),
        },
        Err(error) if error.kind() == ErrorKind::NoAdapter && !asked => {
            lines.say(error)?;
            Ok(Engine::cpu())
        }
        Err(error) if device != "auto" => Err(error.context(format!("--device {device}"))),
        Err(error) => Err(error),
    }
}

/// `gpu` with what an earlier run left in `dir`.
fn load_pipelines(gpu: &Gpu, dir: &Path, options: GpuOptions, lines: Lines) -> Result<Gpu> {
    let Some(key) = gpu.pipeline_cache_key() else {
        lines.say("pipelines: the driver hands out none to keep")?;
        return Ok(gpu.clone());
    };
    let path = dir.join(key);
    if !path.exists() {
        return Ok(gpu.clone());
    }
    let data = read_file(&path, MOST_BYTES).map_err(unusable)?;
    gpu.with_options(&GpuOptions {
        pipeline_cache: Some(data.into()),
        ..options
    })
}

/// Leaves the pipelines in the directory that the arguments name, if they do: whole or not at all.
pub fn keep_pipelines(args: &Args, engine: &Engine) -> Result<()> {
    let (Some(dir), Engine::Gpu(gpu)) = (&args.pipeline_cache, engine) else {
        return Ok(());
    };
    let (Some(key), Some(data)) = (gpu.pipeline_cache_key(), gpu.pipeline_cache_data()) else {
        return Ok(());
    };
    std::fs::create_dir_all(dir).map_err(|e| {
        let message = format!("--pipeline-cache: {} cannot be made", dir.display());
        Error::new(ErrorKind::Io, message).with_source(e)
    })?;
    replace_file(dir.join(key), &data).map_err(unusable)
}

fn unusable(error: Error) -> Error {
    error.context("--pipeline-cache")
}
