//! What a program has that owns its device: it makes textures, and may look at what is in them.

use image::RgbaImage;
use striate::wgpu;

/// Whoever writes a host has an error type; this one takes them all.
pub type Outcome<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A device with a queue.
#[derive(Debug, Clone)]
pub struct Host {
    /// The device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
}

impl Host {
    /// The fastest adapter, without a surface. Default limits and no features are all it asks for.
    ///
    /// # Errors
    /// If there is no adapter, or it gives no device.
    pub fn without_surface() -> Outcome<Self> {
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

    /// A texture of RGBA bytes that can be shown and copied from, and used as `usage` says.
    ///
    /// # Errors
    /// If it is larger than the device allows.
    pub fn texture(
        &self,
        label: &str,
        [width, height]: [u32; 2],
        usage: wgpu::TextureUsages,
    ) -> Outcome<wgpu::Texture> {
        let most = self.device.limits().max_texture_dimension_2d;
        if width.max(height) > most {
            let message = format!("{label}: {width} x {height} pixels, the device allows {most}");
            return Err(message.into());
        }
        Ok(self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some(label),
            size: wgpu::Extent3d {
                width,
                height,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: usage | wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        }))
    }

    /// What a texture holds after all that was submitted.
    ///
    /// # Errors
    /// What the device says.
    pub fn look(&self, texture: &wgpu::Texture) -> Outcome<RgbaImage> {
        let (width, height) = (texture.width(), texture.height());
        let stride = (4 * width).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("copy of a texture"),
            size: u64::from(stride) * u64::from(height),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let to = wgpu::TexelCopyBufferInfo {
            buffer: &buffer,
            layout: wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(stride),
                rows_per_image: None,
            },
        };
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_texture_to_buffer(texture.as_image_copy(), to, texture.size());
        encoder.map_buffer_on_submit(&buffer, wgpu::MapMode::Read, .., |_| ());
        self.queue.submit([encoder.finish()]);
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        let bytes = buffer.get_mapped_range(..)?;
        let rows = bytes.chunks_exact(stride as usize);
        let pixels = rows.flat_map(|row| &row[..4 * width as usize]).copied();
        let picture = RgbaImage::from_raw(width, height, pixels.collect());
        picture.ok_or_else(|| "a texture could not be read".into())
    }
}
