//! What is filtered: a picture, or a pattern that a compute pass of the host's draws in each frame.

use image::RgbaImage;
use striate::wgpu;

use crate::host::{Host, Outcome};

/// Width and height of the pattern.
const SIZE: [u32; 2] = [320, 320];

/// A texture, and how it is drawn.
#[derive(Debug)]
pub struct Source {
    /// The texture.
    pub texture: wgpu::Texture,
    pattern: Option<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    seconds: wgpu::Buffer,
}

impl Source {
    /// A picture that stays, or the pattern.
    ///
    /// # Errors
    /// If the device has no texture of that size.
    pub fn new(host: &Host, picture: Option<&RgbaImage>) -> Outcome<Self> {
        let Some(picture) = picture else {
            let stored = wgpu::TextureUsages::STORAGE_BINDING;
            let texture = host.texture("pattern", SIZE, stored)?;
            let pattern = Some(Pattern::new(&host.device, &texture));
            return Ok(Self { texture, pattern });
        };
        let size = [picture.width(), picture.height()];
        let texture = host.texture("picture", size, wgpu::TextureUsages::COPY_DST)?;
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(4 * picture.width()),
            rows_per_image: None,
        };
        let (to, size) = (texture.as_image_copy(), texture.size());
        host.queue.write_texture(to, picture, layout, size);
        Ok(Self {
            texture,
            pattern: None,
        })
    }

    /// Records what this moment shows.
    pub fn record(&self, queue: &wgpu::Queue, encoder: &mut wgpu::CommandEncoder, seconds: f32) {
        let Some(pattern) = &self.pattern else {
            return;
        };
        queue.write_buffer(&pattern.seconds, 0, &seconds.to_le_bytes());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pattern.pipeline);
        pass.set_bind_group(0, &pattern.bindings, &[]);
        let [x, y] = SIZE.map(|side| side.div_ceil(8));
        pass.dispatch_workgroups(x, y, 1);
    }
}

impl Pattern {
    fn new(device: &wgpu::Device, texture: &wgpu::Texture) -> Self {
        let module = device.create_shader_module(wgpu::include_wgsl!("source.wgsl"));
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("pattern"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        let seconds = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("seconds"),
            size: 4,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let view = texture.create_view(&Default::default());
        let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("pattern"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry {
                    binding: 0,
                    resource: seconds.as_entire_binding(),
                },
                wgpu::BindGroupEntry {
                    binding: 1,
                    resource: wgpu::BindingResource::TextureView(&view),
                },
            ],
        });
        Self {
            pipeline,
            bindings,
            seconds,
        }
    }
}
