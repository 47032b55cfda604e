//! Textures for checks: texels as a tensor, uploaded and bound, and read back.

use super::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Engine, Gpu, texture_format};
use crate::graph::{Graph, Value};
use crate::kernel::TexelFormat;
use crate::tensor::{Tensor, from_f16};

fn gpu(session: &Session) -> Result<Gpu> {
    match session.engine() {
        Engine::Gpu(gpu) => Ok(gpu.clone()),
        Engine::Cpu { .. } => Err(Error::new(
            ErrorKind::Unsupported,
            "textures: the session runs on the CPU reference",
        )),
    }
}

fn create(
    gpu: &Gpu,
    size: [u32; 2],
    format: TexelFormat,
    usage: wgpu::TextureUsages,
) -> wgpu::Texture {
    gpu.device().create_texture(&wgpu::TextureDescriptor {
        label: Some("case"),
        size: wgpu::Extent3d {
            width: size[1],
            height: size[0],
            depth_or_array_layers: 1,
        },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: texture_format(format),
        usage,
        view_formats: &[],
    })
}

/// Binds a texture of the format `rgba32float` that holds these texels, f32 `[height, width, 4]`.
pub(crate) fn bind_texels(session: &mut Session, value: Value, texels: &Tensor) -> Result<()> {
    let gpu = gpu(session)?;
    let size = [texels.shape()[0] as u32, texels.shape()[1] as u32];
    let usage = wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST;
    let texture = create(&gpu, size, TexelFormat::Rgba32Float, usage);
    gpu.queue().write_texture(
        texture.as_image_copy(),
        texels.bytes(),
        wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(16 * size[1]),
            rows_per_image: None,
        },
        texture.size(),
    );
    session.bind_texture(value, &texture.create_view(&Default::default()))
}

/// A texture that a session writes.
pub(crate) struct Target {
    texture: wgpu::Texture,
    format: TexelFormat,
}

impl Target {
    /// Binds one of the size that the graph says.
    pub fn bind(
        session: &mut Session,
        graph: &Graph,
        value: Value,
        format: TexelFormat,
    ) -> Result<Self> {
        let shape = graph.shape(value)?;
        let usage = wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_SRC;
        let size = [shape[0] as u32, shape[1] as u32];
        let texture = create(&gpu(session)?, size, format, usage);
        session.bind_texture(value, &texture.create_view(&Default::default()))?;
        Ok(Self { texture, format })
    }

    /// Its texels, f32 `[height, width, 4]`.
    pub async fn read(&self, session: &Session) -> Result<Tensor> {
        let gpu = gpu(session)?;
        let (width, height) = (self.texture.width(), self.texture.height());
        let texel = match self.format {
            TexelFormat::Rgba8Unorm | TexelFormat::R32Float => 4,
            TexelFormat::Rgba16Float => 8,
            TexelFormat::Rgba32Float => 16,
        };
        let row = (width * texel).next_multiple_of(256);
        let bytes = u64::from(row) * u64::from(height);
        let buffer = gpu.create_buffer("texels", bytes);
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        encoder.copy_texture_to_buffer(
            self.texture.as_image_copy(),
            wgpu::TexelCopyBufferInfo {
                buffer: &buffer,
                layout: wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some(row),
                    rows_per_image: None,
                },
            },
            self.texture.size(),
        );
        gpu.submit(encoder);
        let parts = gpu.read(&[], &[(&buffer, 0, bytes)]).await?;
        let bytes = parts.concat();
        let mut texels = Vec::with_capacity((width * height * 4) as usize);
        for line in bytes.chunks_exact(row as usize) {
            for texel in line[..(width * texel) as usize].chunks_exact(texel as usize) {
                texels.extend(self.decoded(texel));
            }
        }
        Tensor::f32([height as usize, width as usize, 4], texels)
    }

    fn decoded(&self, texel: &[u8]) -> [f32; 4] {
        let float = |at: usize| -> f32 {
            f32::from_le_bytes([texel[at], texel[at + 1], texel[at + 2], texel[at + 3]])
        };
        match self.format {
            TexelFormat::Rgba8Unorm => std::array::from_fn(|k| f32::from(texel[k]) / 255.0),
            TexelFormat::Rgba16Float => std::array::from_fn(|k| {
                from_f16(u16::from_le_bytes([texel[2 * k], texel[2 * k + 1]])) as f32
            }),
            TexelFormat::R32Float => [float(0), 0.0, 0.0, 1.0],
            TexelFormat::Rgba32Float => std::array::from_fn(|k| float(4 * k)),
        }
    }
}
