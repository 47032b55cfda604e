//! The device, own or borrowed: pipelines, buffers, readback. wgpu stops here, at the store and at the session.

mod engine;
mod pipeline;
mod readback;
mod timing;
mod trusted;

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Body, Caps, WINDOW};
pub use engine::Engine;
pub(crate) use pipeline::Pipeline;
use pipeline::{Checks, Pipelines};
use readback::Readback;
pub(crate) use timing::Timestamps;

/// Which adapter an own device is made on, and how it is used.
#[derive(Debug, Clone, Default)]
pub struct GpuOptions {
    /// Back ends to look at; by default those of the `WGPU_BACKEND` variable, else all.
    pub backends: Option<wgpu::Backends>,
    /// Part of the adapter's name, in any case of letters; by default `WGPU_ADAPTER_NAME`, else any.
    pub adapter: Option<String>,
    /// Body of the matrix-shaped kernels; by default registers on software adapters and GL, shared memory elsewhere.
    pub body: Option<Body>,
    /// Whether kernels in registers read through windows of uniform bindings (see [`Caps::windows`]); by default on software adapters.
    pub windows: Option<bool>,
    /// A largest binding below the device's own, in bytes: to try how values in several parts behave.
    pub max_binding: Option<u64>,
    /// Workgroups per dimension below the device's own: to try how dispatches fold.
    pub max_workgroups: Option<u32>,
    /// Keeps the checks that translation adds to shaders (index clamps, loop bounds, guards on division) in the crate's own
    /// kernels too: to see what they cost. Kernels from elsewhere always have them.
    pub checked: bool,
    /// Zeroes workgroup memory before the crate's own kernels too: to see what that costs.
    pub zeroed: bool,
}

/// A wgpu device that runs sessions. Cloning shares it.
#[derive(Clone)]
pub struct Gpu(Arc<Inner>);

struct Inner {
    device: wgpu::Device,
    queue: wgpu::Queue,
    #[cfg_attr(
        target_arch = "wasm32",
        expect(dead_code, reason = "who cannot block never polls")
    )]
    owned: bool,
    info: wgpu::AdapterInfo,
    caps: Caps,
    pipelines: Arc<Pipelines>,
    checks: Checks,
    /// Why the device was lost.
    lost: Arc<Mutex<Option<String>>>,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gpu({}, {})", self.0.info.name, self.0.info.backend)
    }
}

impl Inner {
    fn new(
        device: wgpu::Device,
        queue: wgpu::Queue,
        owned: bool,
        options: &GpuOptions,
    ) -> Result<Self> {
        let (info, limits) = (device.adapter_info(), device.limits());
        let needs = [
            (
                "max_storage_buffers_per_shader_stage",
                limits.max_storage_buffers_per_shader_stage,
                4,
            ),
            (
                "max_compute_invocations_per_workgroup",
                limits.max_compute_invocations_per_workgroup,
                256,
            ),
            (
                "max_compute_workgroup_size_x",
                limits.max_compute_workgroup_size_x,
                256,
            ),
            (
                "max_compute_workgroup_storage_size",
                limits.max_compute_workgroup_storage_size,
                16_352,
            ),
            (
                "max_compute_workgroups_per_dimension",
                limits.max_compute_workgroups_per_dimension,
                65_535,
            ),
        ];
        for (name, offered, needed) in needs {
            if offered < needed {
                return Err(Error::new(
                    ErrorKind::Limit,
                    format!("{name}: the device allows {offered}, the kernels need {needed}"),
                ));
            }
        }
        let software = info.device_type == wgpu::DeviceType::Cpu;
        let default_body = match info.backend {
            wgpu::Backend::Gl => Body::Registers,
            _ if software => Body::Registers,
            _ => Body::Shared,
        };
        let binding = limits
            .max_storage_buffer_binding_size
            .min(limits.max_buffer_size)
            // Byte offsets within a binding stay below 2^31 on every back end.
            .min((1 << 31) - 256);
        let asked = options.max_binding.unwrap_or(binding);
        let max_binding = asked.clamp(256, binding) / 256 * 256;
        let max_uniform = limits.max_uniform_buffer_binding_size;
        let reach = max_uniform.min(max_binding) >= WINDOW;
        let caps = Caps {
            body: options.body.unwrap_or(default_body),
            max_binding,
            max_uniform,
            windows: options.windows.unwrap_or(software) && reach,
            max_workgroups: options.max_workgroups.unwrap_or(65_535).clamp(1, 65_535),
        };
        Ok(Self {
            device,
            queue,
            owned,
            info,
            caps,
            pipelines: Arc::default(),
            checks: Checks {
                checked: options.checked,
                zeroed: options.zeroed,
            },
            lost: Arc::new(Mutex::new(None)),
        })
    }
}

/// The part of an adapter's name that is looked for.
fn wanted_name(options: &GpuOptions) -> Option<String> {
    let variable = || std::env::var("WGPU_ADAPTER_NAME").ok();
    options.adapter.clone().or_else(variable)
}

/// All adapters that match `options`, the one that [`Gpu::new`] takes first.
async fn adapters(options: &GpuOptions) -> Vec<wgpu::Adapter> {
    let backends = options
        .backends
        .or_else(wgpu::Backends::from_env)
        .unwrap_or(wgpu::Backends::all());
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.backends = backends;
    let instance = wgpu::Instance::new(descriptor);
    let name = wanted_name(options).map(|name| name.to_lowercase());
    let mut adapters = instance.enumerate_adapters(backends).await;
    adapters.retain(|adapter| {
        let own = adapter.get_info().name.to_lowercase();
        name.as_ref().is_none_or(|name| own.contains(name))
            && adapter
                .get_downlevel_capabilities()
                .flags
                .contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
    });
    adapters.sort_by_key(|adapter| {
        let info = adapter.get_info();
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other => 3,
            wgpu::DeviceType::Cpu => 4,
        };
        (kind, info.backend == wgpu::Backend::Gl)
    });
    adapters
}

impl Gpu {
    /// A device of its own on the best adapter that matches: discrete before integrated before software, GL last.
    ///
    /// # Errors
    /// `NoAdapter` if none matches; the message says what was looked for.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(options: &GpuOptions) -> Result<Self> {
        pollster::block_on(Self::new_async(options))
    }

    /// As `new`, for hosts that cannot block.
    pub async fn new_async(options: &GpuOptions) -> Result<Self> {
        let mut failed = None;
        for adapter in adapters(options).await {
            match Self::from_adapter(&adapter, options).await {
                Ok(gpu) => return Ok(gpu),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let backends = options.backends.or_else(wgpu::Backends::from_env);
        let backends = backends.map_or("any back end".to_owned(), |b| {
            let names: Vec<String> = b
                .iter_names()
                .map(|(name, _)| name.to_lowercase())
                .collect();
            names.join(", ")
        });
        let name = wanted_name(options).map_or(String::new(), |name| format!(" named \"{name}\""));
        Err(Error::new(
            ErrorKind::NoAdapter,
            format!(
                "no adapter{name} was found on {backends}; on Debian and Ubuntu \
                 `apt install mesa-vulkan-drivers` provides a software one"
            ),
        ))
    }

    /// A device on every adapter that matches, or what one lacks: its error begins with its name.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn all(options: &GpuOptions) -> Vec<Result<Self>> {
        pollster::block_on(async {
            let mut gpus = Vec::new();
            for adapter in adapters(options).await {
                gpus.push(Self::from_adapter(&adapter, options).await);
            }
            gpus
        })
    }

    async fn from_adapter(adapter: &wgpu::Adapter, options: &GpuOptions) -> Result<Self> {
        let info = adapter.get_info();
        let name = format!("{} ({})", info.name, info.backend);
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("striate"),
                // Where it is offered, steps can be profiled; nothing else depends on it.
                required_features: adapter.features() & wgpu::Features::TIMESTAMP_QUERY,
                required_limits: adapter.limits(),
                ..Default::default()
            })
            .await
            .map_err(|e| {
                let message = format!("{name}: unsupported: the adapter gave no device");
                Error::new(ErrorKind::NoAdapter, message).with_source(e)
            })?;
        let inner = Inner::new(device, queue, true, options)
            .map_err(|error| error.context(format!("{name}: unsupported")))?;
        let gpu = Self(Arc::new(inner));
        let lost = gpu.0.lost.clone();
        gpu.0
            .device
            .set_device_lost_callback(move |reason, message| {
                let mut lost = lost.lock().unwrap_or_else(PoisonError::into_inner);
                lost.get_or_insert(format!("{reason:?}: {message}"));
            });
        Ok(gpu)
    }

    /// Uses a device of the host's. Its callbacks are left alone and it is never polled: results arrive while the host polls.
    ///
    /// # Errors
    /// `Limit` if the device allows less than the base kernels need.
    pub fn from_device(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self> {
        Self::from_device_with(device, queue, &GpuOptions::default())
    }

    /// As [`from_device`](Self::from_device), with the options that apply to a given device: all but the adapter's.
    pub fn from_device_with(
        device: wgpu::Device,
        queue: wgpu::Queue,
        options: &GpuOptions,
    ) -> Result<Self> {
        Ok(Self(Arc::new(Inner::new(device, queue, false, options)?)))
    }

    /// The same device used in another way, with all of `options` but the adapter's. Both share their pipelines.
    pub fn with_options(&self, options: &GpuOptions) -> Result<Self> {
        let (device, queue) = (self.0.device.clone(), self.0.queue.clone());
        Ok(Self(Arc::new(Inner {
            pipelines: self.0.pipelines.clone(),
            lost: self.0.lost.clone(),
            ..Inner::new(device, queue, self.0.owned, options)?
        })))
    }

    /// The device.
    pub fn device(&self) -> &wgpu::Device {
        &self.0.device
    }

    /// Its queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.0.queue
    }

    /// Name, driver and back end of the adapter.
    pub fn info(&self) -> &wgpu::AdapterInfo {
        &self.0.info
    }

    /// What lowering may depend on.
    pub fn caps(&self) -> &Caps {
        &self.0.caps
    }

    /// Whether steps can be profiled: the device was made with timestamp queries.
    pub fn has_timestamps(&self) -> bool {
        let features = self.0.device.features();
        features.contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// How many pipelines have been built so far.
    pub fn pipeline_count(&self) -> usize {
        self.0.pipelines.count()
    }

    /// Tells the engine that a borrowed device is lost, from the host's own callback.
    pub fn notify_device_lost(&self, reason: &str) {
        let mut lost = self.0.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.get_or_insert(reason.to_owned());
    }

    pub(crate) fn pipelines(&self) -> &Pipelines {
        &self.0.pipelines
    }

    /// Fails with `DeviceLost` once the loss is known.
    pub(crate) fn check_lost(&self) -> Result<()> {
        let lost = self.0.lost.lock().unwrap_or_else(PoisonError::into_inner);
        match lost.as_ref() {
            None => Ok(()),
            Some(reason) => Err(Error::new(
                ErrorKind::DeviceLost,
                format!(
                    "the device is lost ({reason}); build a new engine from the last checkpoint"
                ),
            )),
        }
    }

    /// Runs `work` inside error scopes and returns what the device objected to as a typed error.
    pub(crate) async fn scoped<T>(&self, what: &str, work: impl FnOnce() -> T) -> Result<T> {
        let device = &self.0.device;
        let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let made = work();
        // Scopes are a stack: all are popped before the first await.
        let memory = memory.pop();
        let validation = validation.pop();
        let internal = internal.pop();
        let memory = memory.await;
        let other = match validation.await {
            None => internal.await,
            error => error,
        };
        self.check_lost()?;
        if let Some(error) = memory {
            let message = format!("{what}: the device has no memory left");
            return Err(Error::new(ErrorKind::OutOfMemory, message).with_source(portable(error)));
        }
        match other {
            None => Ok(made),
            Some(error) => {
                let message = format!("{what}: {error}");
                Err(Error::new(ErrorKind::Shader, message).with_source(portable(error)))
            }
        }
    }

    /// A buffer that kernels, copies and uniforms may use. Its content is zero.
    pub(crate) fn create_buffer(&self, label: &str, bytes: u64) -> wgpu::Buffer {
        self.0.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes.max(16),
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::UNIFORM
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    /// As [`scoped`](Self::scoped), without waiting for the verdict where only a browser's event loop brings it.
    pub(crate) fn guarded<T>(&self, what: &str, work: impl FnOnce() -> T) -> Result<T> {
        self.check_lost()?;
        #[cfg(not(target_arch = "wasm32"))]
        return pollster::block_on(self.scoped(what, work));
        #[cfg(target_arch = "wasm32")]
        {
            let mut made = None;
            {
                // The scopes open and close in the first poll; what they caught is logged by the browser.
                let scoped = std::pin::pin!(self.scoped(what, || made = Some(work())));
                let _ = scoped.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
            }
            made.ok_or_else(|| Error::new(ErrorKind::Shader, format!("{what}: did not run")))
        }
    }

    /// Writes bytes, padded with zeros to a multiple of 4, after all work submitted so far.
    pub(crate) fn write(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) -> Result<()> {
        self.guarded("writing a buffer", || {
            let whole = bytes.len() / 4 * 4;
            self.0.queue.write_buffer(buffer, offset, &bytes[..whole]);
            if whole < bytes.len() {
                let mut last = [0; 4];
                last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
                let end = offset + whole as u64;
                self.0.queue.write_buffer(buffer, end, &last);
            }
        })
    }

    /// The bytes of buffer ranges (offset and size multiples of 4), each through a staging buffer of its own.
    pub(crate) async fn read(&self, ranges: &[(&wgpu::Buffer, u64, u64)]) -> Result<Vec<Vec<u8>>> {
        self.check_lost()?;
        let start = || {
            let mut encoder = self.0.device.create_command_encoder(&Default::default());
            let mut staged = Vec::new();
            for &(buffer, offset, bytes) in ranges {
                let staging = self.0.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("readback"),
                    size: bytes,
                    usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                });
                encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, bytes);
                staged.push(staging);
            }
            self.0.queue.submit([encoder.finish()]);
            staged.into_iter().map(Readback::start).collect::<Vec<_>>()
        };
        let read = async {
            let mut parts = Vec::new();
            for readback in self.scoped("readback", start).await? {
                parts.push(readback.bytes().await?);
            }
            Ok(parts)
        };
        read.await.map_err(|error: Error| {
            if error.kind() == ErrorKind::OutOfMemory {
                return error;
            }
            // Ranges and usages are the engine's own and valid: only a lost device refuses to copy or map them.
            self.notify_device_lost(&error.to_string());
            self.check_lost().err().unwrap_or(error)
        })
    }

    /// Fails on a borrowed device, which only its host may poll.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn expect_owned(&self) -> Result<()> {
        if self.0.owned {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            "a borrowed device is polled by its host only: await the asynchronous form instead",
        ))
    }

    /// Blocks until all submitted work is done.
    ///
    /// # Errors
    /// `Unsupported` on a borrowed device, which only its host polls; `DeviceLost`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wait(&self) -> Result<()> {
        self.expect_owned()?;
        self.check_lost()?;
        // wgpu's poll panics when the device is lost while it waits.
        let poll = || self.0.device.poll(wgpu::PollType::wait_indefinitely());
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(poll));
        match polled {
            Ok(Ok(_)) => self.check_lost(),
            Ok(Err(e)) => {
                Err(Error::new(ErrorKind::Readback, "waiting for the device").with_source(e))
            }
            Err(_) => {
                self.notify_device_lost("poll failed");
                self.check_lost()
            }
        }
    }
}

/// A device's error as a source: as it is, or its text in a browser, whose errors stay in their thread.
fn portable(error: wgpu::Error) -> Box<dyn std::error::Error + Send + Sync> {
    #[cfg(not(target_arch = "wasm32"))]
    return Box::new(error);
    #[cfg(target_arch = "wasm32")]
    return error.to_string().into();
}
