//! The device, own or borrowed: pipelines, buffers, readback. wgpu stops here, at the store and at
//! the session.

mod adapter;
mod advice;
mod bulk;
mod cache;
mod cooperative;
mod engine;
#[cfg(not(target_arch = "wasm32"))]
mod first_use;
mod limits;
mod lost;
mod pipeline;
mod readback;
mod report;
mod staging;
mod timing;
mod traffic;
mod trusted;

use std::sync::{Arc, Mutex};

use crate::error::{Error, ErrorKind, Result};
#[cfg(not(target_arch = "wasm32"))]
use crate::kernel::{Body, Choice};
use crate::kernel::{Caps, Matrices};
pub use adapter::GpuOptions;
#[cfg(not(target_arch = "wasm32"))]
use adapter::default_body;
pub use engine::Engine;
pub use limits::{base_limits, required_limits};
use lost::Loss;
#[cfg(not(target_arch = "wasm32"))]
use lost::Probe;
pub use pipeline::Progress;
use pipeline::{Checks, Pipelines};
pub(crate) use pipeline::{Pipeline, Use, texture_format};
pub(crate) use readback::BufferRange;
pub use readback::ReadFuture;
pub(crate) use readback::is_refused;
pub use report::{DeviceReport, FastPath};
pub(crate) use staging::{Order, Piece, Staging};
pub(crate) use timing::Timestamps;
use traffic::Counters;
pub use traffic::Traffic;

/// A wgpu device that runs sessions. Cloning shares it.
///
/// ```no_run
/// use striate::prelude::*;
/// use striate::wgpu::Backends;
///
/// # fn main() -> Result<()> {
/// // An adapter that is asked for is there, or it is an error that lists those that are.
/// let gpu = Gpu::new(&GpuOptions {
///     backends: Some(Backends::VULKAN),
///     adapter: Some("radeon".into()),
///     ..GpuOptions::default()
/// })?;
/// println!("{} through {}", gpu.info().name, gpu.info().backend);
/// let engine = Engine::from(gpu);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Gpu(Arc<GpuInner>);

struct GpuInner {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    caps: Caps,
    /// The body that the rules choose.
    #[cfg(not(target_arch = "wasm32"))]
    rules: Body,
    checks: Checks,
    /// Bytes that the writes of one owner may stage (`GpuOptions::max_staging`).
    max_staging: Option<u64>,
    common: Common,
}

/// What all uses of one device have in common.
#[derive(Clone)]
struct Common {
    /// That of an own device.
    adapter: Option<wgpu::Adapter>,
    pipelines: Arc<Pipelines>,
    /// The cooperative matrices of its adapter, as far as they are known.
    matrices: Option<Matrices>,
    /// Those that were seen to multiply correctly.
    proven: Arc<Mutex<Vec<Matrices>>>,
    loss: Loss,
    counters: Arc<Counters>,
    #[cfg(not(target_arch = "wasm32"))]
    probe: Arc<Probe>,
}

impl Common {
    /// `adapter` is none where the device is borrowed.
    ///
    /// # Errors
    /// `Limit` if the device allows less than the kernels need, `OutOfMemory`.
    fn new(
        device: &wgpu::Device,
        adapter: Option<&wgpu::Adapter>,
        options: &GpuOptions,
    ) -> Result<Self> {
        limits::check(&device.limits())?;
        Ok(Self {
            adapter: adapter.cloned(),
            pipelines: Pipelines::new(device, options.pipeline_cache.as_deref()),
            matrices: adapter.and_then(Matrices::of),
            proven: Arc::default(),
            loss: Loss::default(),
            counters: Arc::default(),
            #[cfg(not(target_arch = "wasm32"))]
            probe: Arc::new(Probe::new(device)?),
        })
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gpu({}, {})", self.0.info.name, self.0.info.backend)
    }
}

impl GpuInner {
    fn new(
        device: wgpu::Device,
        queue: wgpu::Queue,
        options: &GpuOptions,
        common: Common,
    ) -> Result<Self> {
        let (info, limits) = (device.adapter_info(), device.limits());
        if let Some(tuning) = &options.tuning {
            let own = (info.name.as_str(), info.backend.to_str());
            let tuned = (tuning.adapter.as_str(), tuning.backend.as_str());
            if own != tuned {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("tuning: the table was made on {tuned:?}, this adapter is {own:?}"),
                ));
            }
        }
        let mut caps = options.caps(info.backend, info.device_type, &limits)?;
        caps.matrices = cooperative::chosen(
            &device,
            common.adapter.is_some(),
            options,
            &caps,
            common.matrices,
        )?;
        Ok(Self {
            device,
            queue,
            #[cfg(not(target_arch = "wasm32"))]
            rules: default_body(info.backend, info.device_type),
            info,
            caps,
            checks: Checks {
                checked: options.checked,
                zeroed: options.zeroed,
            },
            max_staging: options.max_staging,
            common,
        })
    }
}

impl Gpu {
    /// Uses a device of the host's. Its callbacks are left alone and it is never polled: results
    /// arrive while the host polls. wgpu runs callbacks that are due inside `submit` and `poll`;
    /// none of them may run, record or read sessions.
    ///
    /// A device tells its loss to one callback, which is the host's. What the host passes on is
    /// known everywhere at once, and with its reason:
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use striate::{gpu::Gpu, wgpu};
    /// # let instance = wgpu::Instance::default();
    /// # let adapter = pollster::block_on(instance.request_adapter(&Default::default()))?;
    /// # let (device, queue) = pollster::block_on(adapter.request_device(&Default::default()))?;
    /// let gpu = Gpu::from_device(device.clone(), queue.clone())?;
    /// let notify = gpu.device_lost_notifier();
    /// device.set_device_lost_callback(move |reason, message| {
    ///     notify(&format!("{reason:?}: {message}"));
    ///     // ... and what the host itself does then.
    /// });
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Where the host passes nothing on, each call asks the device itself, which outside a
    /// browser answers at once; in a browser the loss is learned from a read that fails.
    ///
    /// # Errors
    /// `Limit` if the device allows less than the kernels need; `DeviceLost`.
    pub fn from_device(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self> {
        Self::from_device_with(device, queue, &GpuOptions::default())
    }

    /// As [`from_device`](Self::from_device), with the options that apply to a given device: all
    /// but the adapter's.
    ///
    /// # Errors
    /// `Limit` if the device allows less than the kernels need, `Unsupported` if it lacks what
    /// `options.body` needs; `DeviceLost`.
    pub fn from_device_with(
        device: wgpu::Device,
        queue: wgpu::Queue,
        options: &GpuOptions,
    ) -> Result<Self> {
        let common = Common::new(&device, None, options)?;
        let inner = GpuInner::new(device, queue, options, common)?;
        let gpu = Self(Arc::new(inner));
        gpu.check_lost()?;
        Ok(gpu)
    }

    /// The same device used in another way, with all of `options` but the adapter's. Both share
    /// their pipelines, unless there is data of a pipeline cache to begin with.
    pub fn with_options(&self, options: &GpuOptions) -> Result<Self> {
        let (device, queue) = (self.0.device.clone(), self.0.queue.clone());
        let mut common = self.0.common.clone();
        if let Some(data) = &options.pipeline_cache {
            common.pipelines = Pipelines::new(&device, Some(data));
        }
        let inner = GpuInner::new(device, queue, options, common)?;
        Ok(Self(Arc::new(inner)))
    }

    /// The same device with its products lowered as `choice` says, if it has one, and without a
    /// table of measured choices.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn choosing(&self, choice: Option<Choice>) -> Self {
        self.with_caps(Caps {
            body: choice.map_or(self.0.rules, |choice| choice.body),
            tile: choice.and_then(|choice| choice.tile),
            tuning: None,
            ..self.0.caps.clone()
        })
    }

    fn with_caps(&self, caps: Caps) -> Self {
        let inner = &self.0;
        Self(Arc::new(GpuInner {
            device: inner.device.clone(),
            queue: inner.queue.clone(),
            info: inner.info.clone(),
            caps,
            common: inner.common.clone(),
            ..**inner
        }))
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
        self.0.common.pipelines.count()
    }

    /// The pipelines built so far in the driver's own form, for [`GpuOptions::pipeline_cache`] of a
    /// later run; none on devices without the feature `PIPELINE_CACHE`, which an own device has
    /// wherever its adapter does.
    pub fn pipeline_cache_data(&self) -> Option<Vec<u8>> {
        self.check_lost().ok()?;
        self.0.common.pipelines.cache_data(&self.0.device)
    }

    /// A name for a file of [`pipeline_cache_data`](Self::pipeline_cache_data), one for all
    /// adapters that may share it.
    pub fn pipeline_cache_key(&self) -> Option<String> {
        cache::key(&self.0.device)
    }

    pub(crate) fn pipelines(&self) -> &Pipelines {
        &self.0.common.pipelines
    }

    /// Runs `work` at once, inside error scopes; what the device objected to comes as a typed
    /// error.
    pub(crate) fn scoped<T>(
        &self,
        what: &str,
        work: impl FnOnce() -> T,
    ) -> impl Future<Output = Result<T>> {
        let device = &self.0.device;
        let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let made = work();
        // Scopes are a stack: all are popped before the first await.
        let memory = memory.pop();
        let validation = validation.pop();
        let internal = internal.pop();
        async move {
            let memory = memory.await;
            let other = match validation.await {
                None => internal.await,
                error => error,
            };
            // On a lost device the rest is what follows from that.
            self.check_lost()?;
            if let Some(error) = memory {
                let message = format!("{what}: the device has no memory left");
                let error =
                    Error::new(ErrorKind::OutOfMemory, message).with_source(portable(error));
                return Err(error);
            }
            match other {
                None => Ok(made),
                Some(error) => {
                    let message = format!("{what}: {error}");
                    Err(Error::new(ErrorKind::Shader, message).with_source(portable(error)))
                }
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

    /// As [`scoped`](Self::scoped), without waiting for the verdict where only a browser's event
    /// loop brings it.
    pub(crate) fn guarded<T>(&self, what: &str, work: impl FnOnce() -> T) -> Result<T> {
        self.check_lost()?;
        #[cfg(not(target_arch = "wasm32"))]
        return pollster::block_on(self.scoped(what, work));
        #[cfg(target_arch = "wasm32")]
        {
            let mut made = None;
            {
                // What the scopes caught is logged by the browser.
                let scoped = std::pin::pin!(self.scoped(what, || made = Some(work())));
                let _ = scoped.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
            }
            made.ok_or_else(|| Error::new(ErrorKind::Shader, format!("{what}: did not run")))
        }
    }

    /// Whether the device is one's own, so that it may be polled and submitted to at any time.
    pub(crate) fn is_owned(&self) -> bool {
        self.0.common.adapter.is_some()
    }

    /// Fails on a borrowed device, which only its host may poll.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn expect_owned(&self) -> Result<()> {
        if self.is_owned() {
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
        self.poll(wgpu::PollType::wait_indefinitely())
    }

    /// Blocks until a submission is done, and those before it.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn wait_for(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        self.expect_owned()?;
        self.check_lost()?;
        self.poll(wgpu::PollType::Wait {
            submission_index: Some(submission),
            timeout: None,
        })
    }

    /// Runs `work`, which reads from this device, to its end. Work that waits for anything else
    /// keeps a core busy meanwhile.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), and whatever `work` returns.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        use std::task::{Context, Poll, Waker};

        self.expect_owned()?;
        let mut work = std::pin::pin!(work);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            // A poll submits the next copy; the device is then waited for, which completes its map.
            if let Poll::Ready(result) = work.as_mut().poll(&mut context) {
                return result;
            }
            self.wait()?;
        }
    }

    /// Lets callbacks run that are due, without waiting.
    ///
    /// # Errors
    /// `DeviceLost`.
    pub(crate) fn poll_once(&self) -> Result<()> {
        #[cfg(not(target_arch = "wasm32"))]
        self.poll(wgpu::PollType::Poll)?;
        self.check_lost()
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn poll(&self, how: wgpu::PollType) -> Result<()> {
        self.count_poll();
        // wgpu's poll panics when the device is lost while it waits.
        let poll = || self.0.device.poll(how);
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

/// A device's error as a source: as it is, or its text in a browser, whose errors stay in their
/// thread.
fn portable(error: wgpu::Error) -> Box<dyn std::error::Error + Send + Sync> {
    #[cfg(not(target_arch = "wasm32"))]
    return Box::new(error);
    #[cfg(target_arch = "wasm32")]
    return error.to_string().into();
}
