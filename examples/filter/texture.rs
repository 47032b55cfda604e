//! The host's side of the example: textures with bytes in them.

use striate::gpu::Gpu;
use striate::wgpu;

use super::Outcome;

fn create(gpu: &Gpu, size: [usize; 2], usage: wgpu::TextureUsages) -> Outcome<wgpu::Texture> {
    let most = gpu.device().limits().max_texture_dimension_2d as usize;
    let [height, width] = size;
    if width.max(height) > most {
        let message = format!("{width} x {height} pixels: a texture has {most} a side at most");
        return Err(message.into());
    }
    Ok(gpu.device().create_texture(&wgpu::TextureDescriptor {
        label: Some("picture"),
        size: wgpu::Extent3d {
            width: size[1] as u32,
            height: size[0] as u32,
            depth_or_array_layers: 1,
        },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage,
        view_formats: &[],
    }))
}

/// A texture of RGBA bytes, to be read.
pub fn with_bytes(gpu: &Gpu, size: [usize; 2], bytes: &[u8]) -> Outcome<wgpu::Texture> {
    let usage = wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST;
    let texture = create(gpu, size, usage)?;
    let layout = wgpu::TexelCopyBufferLayout {
        offset: 0,
        bytes_per_row: Some(4 * size[1] as u32),
        rows_per_image: None,
    };
    gpu.queue()
        .write_texture(texture.as_image_copy(), bytes, layout, texture.size());
    Ok(texture)
}

/// A texture to be written.
pub fn empty(gpu: &Gpu, size: [usize; 2]) -> Outcome<wgpu::Texture> {
    let usage = wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_SRC;
    create(gpu, size, usage)
}

/// The RGBA bytes of a texture, waited for.
pub fn bytes_of(gpu: &Gpu, texture: &wgpu::Texture) -> Outcome<Vec<u8>> {
    // Rows begin at multiples of 256 bytes.
    let width = 4 * texture.width();
    let row = width.next_multiple_of(256);
    let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some("bytes"),
        size: u64::from(row) * u64::from(texture.height()),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo {
            buffer: &buffer,
            layout: wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(row),
                rows_per_image: None,
            },
        },
        texture.size(),
    );
    encoder.map_buffer_on_submit(&buffer, wgpu::MapMode::Read, .., |_| ());
    gpu.queue().submit([encoder.finish()]);
    gpu.wait()?;
    let mapped = buffer.slice(..).get_mapped_range()?;
    let rows = mapped.chunks_exact(row as usize);
    Ok(rows
        .flat_map(|bytes| bytes[..width as usize].to_vec())
        .collect())
}
