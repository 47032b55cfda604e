//! What a program has that owns its device: it submits, it polls, and it may look at what is in its
//! textures.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use half::f16;
use striate::gpu::{Engine, Gpu};
use striate::wgpu;

use crate::picture::Picture;

/// Whoever writes a host has an error type; this one takes them all.
pub type Outcome<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Texture rows are copied to buffers at multiples of so many bytes.
const ROW: u32 = wgpu::COPY_BYTES_PER_ROW_ALIGNMENT;

/// A device with a queue.
#[derive(Debug)]
pub struct Host {
    /// The device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    gpu: Gpu,
    submitted: Cell<u64>,
}

impl Host {
    /// The fastest adapter, as [`open`](Self::open) opens it.
    ///
    /// # Errors
    /// If there is none, or it gives no device.
    pub fn new() -> Outcome<Self> {
        let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        let instance = wgpu::Instance::new(descriptor);
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        Self::open(&pollster::block_on(instance.request_adapter(&options))?)
    }

    /// A device of an adapter, with default limits. Timestamps are asked for where there are any,
    /// so that the library measures what its slices take; nothing else is.
    ///
    /// # Errors
    /// If the adapter gives no device, or it allows less than the kernels need.
    pub fn open(adapter: &wgpu::Adapter) -> Outcome<Self> {
        let descriptor = wgpu::DeviceDescriptor {
            required_features: adapter.features() & wgpu::Features::TIMESTAMP_QUERY,
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
        Ok(Self {
            gpu: Gpu::from_device(device.clone(), queue.clone())?,
            device,
            queue,
            submitted: Cell::new(0),
        })
    }

    /// The device as networks see it: it stays the host's, who submits and polls.
    pub fn engine(&self) -> Engine {
        Engine::from(self.gpu.clone())
    }

    /// Whether passes on the device can be timed.
    pub fn has_timestamps(&self) -> bool {
        self.gpu.has_timestamps()
    }

    /// One submission.
    pub fn submit(&self, buffers: impl IntoIterator<Item = wgpu::CommandBuffer>) {
        self.submitted.set(self.submitted.get() + 1);
        self.queue.submit(buffers);
    }

    /// Submissions to the queue so far: the host's, and what the library did by itself.
    pub fn submissions(&self) -> u64 {
        self.submitted.get() + self.gpu.traffic().submissions
    }

    /// Waits for what was submitted.
    pub fn poll(&self) -> Outcome<()> {
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        Ok(())
    }

    /// Polls until a read, whose copy is submitted, has arrived.
    pub fn finish<T>(&self, read: impl Future<Output = striate::error::Result<T>>) -> Outcome<T> {
        let mut read = pin!(read);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(arrived) = read.as_mut().poll(&mut context) {
                return Ok(arrived?);
            }
            self.poll()?;
        }
    }

    /// The colours in textures of half or single floats, as they are after what was submitted.
    ///
    /// # Errors
    /// As [`Copies::pictures`].
    pub fn look<const N: usize>(&self, textures: [&wgpu::Texture; N]) -> Outcome<[Picture; N]> {
        let copies = Copies::new(self, textures);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        copies.record(&mut encoder);
        self.submit([encoder.finish()]);
        copies.pictures(self)
    }
}

/// Buffers for the texels of some textures, to be looked at again and again.
#[derive(Debug)]
pub struct Copies<const N: usize>([(wgpu::Texture, wgpu::Buffer); N]);

impl<const N: usize> Copies<N> {
    /// Of textures of half or single floats.
    pub fn new(host: &Host, textures: [&wgpu::Texture; N]) -> Self {
        Self(textures.map(|texture| {
            let buffer = host.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("copy of a texture"),
                size: u64::from(stride(texture)) * u64::from(texture.height()),
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                mapped_at_creation: false,
            });
            (texture.clone(), buffer)
        }))
    }

    /// Bytes of the buffers.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, buffer)| buffer.size()).sum()
    }

    /// Records the copies, behind what the encoder holds.
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        for (texture, buffer) in &self.0 {
            let layout = wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(stride(texture)),
                rows_per_image: None,
            };
            let to = wgpu::TexelCopyBufferInfo { buffer, layout };
            encoder.copy_texture_to_buffer(texture.as_image_copy(), to, texture.size());
        }
    }

    /// What was copied, once the encoder is submitted. Nothing is submitted here.
    ///
    /// # Errors
    /// What the device says; if a texture has another format.
    pub fn pictures(&self, host: &Host) -> Outcome<[Picture; N]> {
        for (_, buffer) in &self.0 {
            buffer.map_async(wgpu::MapMode::Read, .., |_| ());
        }
        host.poll()?;
        let mut pictures = Vec::with_capacity(N);
        for (texture, buffer) in &self.0 {
            pictures.push(decode(texture, &buffer.get_mapped_range(..)?)?);
            buffer.unmap();
        }
        let pictures = pictures.try_into();
        pictures.map_err(|_| "a texture could not be read".into())
    }
}

fn texel(texture: &wgpu::Texture) -> u32 {
    texture.format().block_copy_size(None).unwrap_or(0)
}

/// Bytes from row to row of a texture's copy.
fn stride(texture: &wgpu::Texture) -> u32 {
    (texture.width() * texel(texture)).next_multiple_of(ROW)
}

/// The first three channels.
fn decode(texture: &wgpu::Texture, bytes: &[u8]) -> Outcome<Picture> {
    let channel: fn(&[u8]) -> f32 = match texture.format() {
        wgpu::TextureFormat::Rgba16Float => |b| f16::from_le_bytes([b[0], b[1]]).to_f32(),
        wgpu::TextureFormat::Rgba32Float => |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
        other => return Err(format!("{other:?} textures cannot be read here").into()),
    };
    let [width, height] = [texture.width() as usize, texture.height() as usize];
    let (texel, stride) = (texel(texture) as usize, stride(texture) as usize);
    let mut picture = Picture::black([height, width]);
    let pixels = height * width;
    for (y, row) in bytes.chunks_exact(stride).enumerate() {
        for (x, texel) in row[..width * texel].chunks_exact(texel).enumerate() {
            for (c, bytes) in texel.chunks_exact(texel.len() / 4).take(3).enumerate() {
                picture.planes[c * pixels + y * width + x] = channel(bytes);
            }
        }
    }
    Ok(picture)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A device to test on. Without one the test is skipped, which is told.
    ///
    /// # Panics
    /// If there is none and STRIATE_REQUIRE_GPU is set.
    pub fn host_or_skip() -> Option<Host> {
        match Host::new() {
            Ok(host) => Some(host),
            Err(error) => {
                let required = std::env::var_os("STRIATE_REQUIRE_GPU").is_some();
                assert!(!required, "STRIATE_REQUIRE_GPU is set: {error}");
                println!("skipped: {error}");
                None
            }
        }
    }
}
