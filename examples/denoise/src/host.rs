//! What a program has that owns its device: it submits, it polls, and it may look at what is in its
//! textures.

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
}

impl Host {
    /// The fastest adapter, with default limits and no features: nobody asks for more.
    pub fn new() -> Outcome<Self> {
        let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        let instance = wgpu::Instance::new(descriptor);
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = pollster::block_on(instance.request_adapter(&options))?;
        let (device, queue) = pollster::block_on(adapter.request_device(&Default::default()))?;
        Ok(Self { device, queue })
    }

    /// The device as networks see it: it stays the host's, who submits and polls.
    ///
    /// # Errors
    /// `Limit` if it allows less than the kernels need.
    pub fn engine(&self) -> striate::error::Result<Engine> {
        Gpu::from_device(self.device.clone(), self.queue.clone()).map(Engine::from)
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
    pub fn look<const N: usize>(&self, textures: [&wgpu::Texture; N]) -> Outcome<[Picture; N]> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let copies = textures.map(|texture| self.copy(&mut encoder, texture));
        self.queue.submit([encoder.finish()]);
        for copy in &copies {
            copy.map_async(wgpu::MapMode::Read, .., |_| ());
        }
        self.poll()?;
        let mut pictures = Vec::with_capacity(N);
        for (texture, copy) in textures.iter().zip(&copies) {
            pictures.push(decode(texture, &copy.get_mapped_range(..)?)?);
            copy.unmap();
        }
        let pictures = pictures.try_into();
        pictures.map_err(|_| "a texture could not be read".into())
    }

    fn copy(&self, encoder: &mut wgpu::CommandEncoder, texture: &wgpu::Texture) -> wgpu::Buffer {
        let stride = stride(texture);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("copy of a texture"),
            size: u64::from(stride) * u64::from(texture.height()),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(stride),
            rows_per_image: None,
        };
        let to = wgpu::TexelCopyBufferInfo {
            buffer: &buffer,
            layout,
        };
        encoder.copy_texture_to_buffer(texture.as_image_copy(), to, texture.size());
        buffer
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
