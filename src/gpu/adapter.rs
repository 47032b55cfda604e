//! Adapters, and devices of one's own.

use std::sync::Arc;

use super::{Common, Gpu, GpuInner, advice, cooperative, limits, trusted};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{
    Body, CPU_TURNS, Caps, DISCRETE_FILLS, GPU_MULTIPLY_ADDS, GPU_TURNS, INTEGRATED_FILLS,
    Matrices, Tile, Tuning, WINDOW,
};

/// Which adapter an own device is made on, and how it is used.
#[derive(Debug, Clone, Default)]
pub struct GpuOptions {
    /// Back ends to look at; by default those of the `WGPU_BACKEND` variable, else all.
    pub backends: Option<wgpu::Backends>,
    /// Part of the adapter's name, in any case of letters; by default `WGPU_ADAPTER_NAME`, else
    /// any.
    pub adapter: Option<String>,
    /// Limits of an own device, which has no features then: to try what a host's device may be
    /// like, down to [`base_limits`](crate::gpu::base_limits). By default it has all limits of its
    /// adapter, and the features that the library can use.
    pub limits: Option<wgpu::Limits>,
    /// Body of the matrix-shaped kernels; by default registers on software adapters and GL, shared
    /// memory elsewhere.
    ///
    /// [`Body::Cooperative`] needs features of wgpu that are experimental, which a device of one's
    /// own asks for then. The first session on them multiplies small integers, on the queue and
    /// before it is built, and fails with `Mismatch` if the device does that wrongly. On a borrowed
    /// device the products arrive while its host polls: `SessionBuilder::build_async` is to be
    /// awaited meanwhile, and the forms that block return `Unsupported`.
    pub body: Option<Body>,
    /// What [`Body::Cooperative`] multiplies; by default what the adapter has. Of a borrowed device
    /// nobody knows that, so there it is to be named, as [`Matrices::of`] finds it;
    /// [`Matrices::Plain`] works anywhere.
    pub matrices: Option<Matrices>,
    /// Tile of the matrix-shaped kernels (see [`Caps::tile`](crate::kernel::Caps::tile)); by
    /// default the one that the rules choose.
    pub tile: Option<Tile>,
    /// Whether kernels in registers read through windows of uniform bindings (see
    /// [`Caps::windows`](crate::kernel::Caps::windows)); by default on software adapters.
    pub windows: Option<bool>,
    /// Measured choices for some products, which go before the rules, made by [`tune`](crate::tune)
    /// on an adapter of the same name and back end. A body or tile that is given here goes before
    /// both.
    pub tuning: Option<Arc<Tuning>>,
    /// A largest binding below the device's own, in bytes: to try how values in several parts
    /// behave.
    pub max_binding: Option<u64>,
    /// Workgroups per dimension below the device's own: to try how dispatches fold.
    pub max_workgroups: Option<u32>,
    /// Turns of loops per invocation below the device's own (see
    /// [`Caps::max_turns`](crate::kernel::Caps::max_turns)): to try how sums in pieces behave.
    pub max_turns: Option<u64>,
    /// The most multiply-adds of products in one dispatch (see
    /// [`Caps::max_multiply_adds`](crate::kernel::Caps::max_multiply_adds)): fewer for a host whose
    /// frames are not to wait long. By default
    /// [`GPU_MULTIPLY_ADDS`](crate::kernel::GPU_MULTIPLY_ADDS), on a CPU as many as there are.
    pub max_multiply_adds: Option<u64>,
    /// The most bytes that the writes to one store, or to the inputs of one session, may hold
    /// until the device has copied them. On an own device 64 MiB, beyond which they are submitted
    /// and waited for; one write of any size is taken then, unless encoders that have not been
    /// submitted hold more than that, which is `OutOfMemory`. In a browser, which waits for
    /// nothing, an own device only submits them and refuses none. On a borrowed one 64 MiB or what
    /// a store holds and twice what a session's inputs do, if that is more, beyond which they are
    /// `OutOfMemory`.
    pub max_staging: Option<u64>,
    /// Keeps the checks that translation adds to shaders (index clamps, loop bounds, guards on
    /// division) in the crate's own kernels too: to see what they cost. Kernels from elsewhere
    /// always have them.
    pub checked: bool,
    /// Zeroes workgroup memory before the crate's own kernels too: to see what that costs.
    pub zeroed: bool,
    /// What [`Gpu::pipeline_cache_data`] returned in an earlier run, where the device keeps such
    /// data. Bytes that are damaged or come from another adapter or driver are left out, with a
    /// warning in the log. As drivers take what is in them for their own, whoever can write where
    /// they are stored must be trusted.
    pub pipeline_cache: Option<Arc<[u8]>>,
}

/// The part of an adapter's name that is looked for.
fn wanted_name(options: &GpuOptions) -> Option<String> {
    let variable = || std::env::var(advice::ADAPTER).ok();
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
    /// A device of its own on the best adapter that matches: discrete before integrated before
    /// software, GL last.
    ///
    /// # Errors
    /// `NoAdapter` if none matches, or if `WGPU_BACKEND` counts and names a back end that there is
    /// not; the message says what was looked for and what there is ([`GpuOptions::no_adapter`]).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(options: &GpuOptions) -> Result<Self> {
        pollster::block_on(Self::new_async(options))
    }

    /// As `new`, for hosts that cannot block.
    pub async fn new_async(options: &GpuOptions) -> Result<Self> {
        if advice::unknown_backends(options) {
            return Err(options.no_adapter_async().await);
        }
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
        Err(options.no_adapter_async().await)
    }

    /// A device on every adapter that matches, or what one lacks: its error begins with its name.
    /// One error if `WGPU_BACKEND` counts and names a back end that there is not.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn all(options: &GpuOptions) -> Vec<Result<Self>> {
        pollster::block_on(async {
            if advice::unknown_backends(options) {
                return vec![Err(options.no_adapter_async().await)];
            }
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
        // Where they are offered, steps can be profiled and pipelines be kept; nothing else depends
        // on them.
        let mut required_features = match options.limits {
            None => adapter.features() & OPTIONAL_FEATURES,
            Some(_) => wgpu::Features::empty(),
        };
        let required_limits = match &options.limits {
            None => adapter.limits(),
            Some(limits) => limits.clone(),
        };
        let asked = options.limits.is_none()
            && options.body == Some(Body::Cooperative)
            && options.matrices != Some(Matrices::Plain)
            && Matrices::of(adapter).is_some();
        if asked {
            required_features |= cooperative::FEATURES;
        }
        let unsupported = |error: Error| error.context(format!("{name}: unsupported"));
        let opened = open(adapter, required_features, required_limits).await;
        let (device, queue) = opened.map_err(unsupported)?;
        let common = Common::new(&device, Some(adapter), options).map_err(unsupported)?;
        let loss = common.loss.clone();
        let inner = GpuInner::new(device, queue, options, common).map_err(unsupported)?;
        let gpu = Self(Arc::new(inner));
        gpu.0
            .device
            .set_device_lost_callback(move |reason, message| {
                loss.note(format!("{reason:?}: {message}"));
            });
        Ok(gpu)
    }

    /// A second device like an own one, with pipelines of its own.
    ///
    /// # Errors
    /// `Unsupported` for a borrowed one; `NoAdapter` if the adapter gives no second one.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) async fn twin(&self) -> Result<Self> {
        let Some(adapter) = &self.0.common.adapter else {
            let message = "of a borrowed device the adapter is not known";
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        let (features, limits) = (self.device().features(), self.device().limits());
        let (device, queue) = open(adapter, features, limits).await?;
        Ok(Self(Arc::new(GpuInner {
            common: Common::new(&device, Some(adapter), &GpuOptions::default())?,
            device,
            queue,
            info: self.0.info.clone(),
            caps: self.0.caps.clone(),
            ..*self.0
        })))
    }
}

/// The largest binding: byte offsets within one stay below 2^31 on every back end.
pub(super) const MOST_BINDING: u64 = (1 << 31) - 256;

/// Features that an own device has wherever its adapter does.
pub(super) const OPTIONAL_FEATURES: wgpu::Features =
    wgpu::Features::TIMESTAMP_QUERY.union(wgpu::Features::PIPELINE_CACHE);

async fn open(
    adapter: &wgpu::Adapter,
    required_features: wgpu::Features,
    required_limits: wgpu::Limits,
) -> Result<(wgpu::Device, wgpu::Queue)> {
    let experimental = required_features.contains(cooperative::FEATURES);
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("striate"),
        required_features,
        experimental_features: match experimental {
            true => trusted::experimental_features(),
            false => wgpu::ExperimentalFeatures::disabled(),
        },
        required_limits,
        ..Default::default()
    };
    let opened = adapter.request_device(&descriptor).await;
    opened
        .map_err(|e| Error::new(ErrorKind::NoAdapter, "the adapter gave no device").with_source(e))
}

impl GpuOptions {
    /// What kernels are chosen by on a device of this kind with these limits, so that a plan can be
    /// made without one. Whether a device has cooperative matrices, only the device tells: a plan
    /// for [`Body::Cooperative`] is one for a device that does.
    ///
    /// # Errors
    ///
    /// `Limit` where the device allows less than every kernel needs.
    pub fn caps(
        &self,
        backend: wgpu::Backend,
        device_type: wgpu::DeviceType,
        limits: &wgpu::Limits,
    ) -> Result<Caps> {
        limits::check(limits)?;
        let binding = limits
            .max_storage_buffer_binding_size
            .min(limits.max_buffer_size)
            .min(MOST_BINDING);
        let own_turns = match device_type {
            wgpu::DeviceType::Cpu => CPU_TURNS,
            _ => GPU_TURNS,
        };
        let asked = self.max_binding.unwrap_or(binding);
        let mut max_binding = asked.clamp(256, binding) / 256 * 256;
        let max_uniform = limits.max_uniform_buffer_binding_size;
        let cpu = device_type == wgpu::DeviceType::Cpu;
        let windows = self.windows.unwrap_or(cpu) && max_uniform.min(max_binding) >= WINDOW;
        if windows {
            // Buffers reach a window further (see `Caps::padded`).
            let most = limits.max_buffer_size.saturating_sub(WINDOW) / 256 * 256;
            max_binding = max_binding.min(most.max(WINDOW));
        }
        Ok(Caps {
            body: self.body.unwrap_or(default_body(backend, device_type)),
            matrices: self.matrices.unwrap_or(Matrices::Sixteen),
            tile: self.tile,
            fills: fills(device_type),
            largest_tile: largest_tile(backend),
            tuning: self
                .tuning
                .clone()
                .filter(|_| self.body.is_none() && self.tile.is_none()),
            max_binding,
            max_uniform,
            windows,
            max_workgroups: self.max_workgroups.unwrap_or(65_535).clamp(1, 65_535),
            max_turns: self.max_turns.unwrap_or(own_turns).clamp(1, own_turns),
            max_multiply_adds: match self.max_multiply_adds {
                Some(most) => Some(most.max(1)),
                // A CPU ends no dispatch.
                None => (!cpu).then_some(GPU_MULTIPLY_ADDS),
            },
        })
    }
}

/// The body that the rules choose.
pub(super) fn default_body(backend: wgpu::Backend, device_type: wgpu::DeviceType) -> Body {
    match (backend, device_type) {
        (wgpu::Backend::Gl, _) | (_, wgpu::DeviceType::Cpu) => Body::Registers,
        _ => Body::Shared,
    }
}

/// Workgroups that fill a device of this kind. A browser does not tell what it runs on: it is taken
/// for a card of its own, as small tiles cost less than idle units; a CPU adapter too, where these
/// kernels run on request only.
fn fills(device_type: wgpu::DeviceType) -> usize {
    match device_type {
        wgpu::DeviceType::IntegratedGpu => INTEGRATED_FILLS,
        _ => DISCRETE_FILLS,
    }
}

/// The largest tile that pays. Apple's GPUs have half the registers per invocation: 64 sums of one
/// there leave too few waves (llama.cpp issue 10982 measured half the speed).
fn largest_tile(backend: wgpu::Backend) -> Tile {
    match backend {
        wgpu::Backend::Metal => Tile::Medium,
        _ => Tile::Large,
    }
}
