//! What of a frame is shown: a compute pass from any of its textures to one that a window draws.

use striate::wgpu;

use crate::tracer::Tracer;

/// A texture of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// What the network makes.
    Denoised,
    /// What the tracer makes, with one sample for each pixel.
    Noisy,
    /// The mean of all samples since something moved.
    Mean,
    /// Reflectance.
    Albedo,
    /// Normals.
    Normal,
}

impl View {
    /// All of them, with their names.
    pub const ALL: [(View, &str); 5] = [
        (View::Denoised, "denoised"),
        (View::Noisy, "1 sample"),
        (View::Mean, "mean"),
        (View::Albedo, "albedo"),
        (View::Normal, "normals"),
    ];
}

/// A texture that shows one of them.
#[derive(Debug)]
pub struct Shown {
    /// What is shown, `Rgba8Unorm`, encoded as sRGB.
    pub texture: wgpu::Texture,
    pipelines: [wgpu::ComputePipeline; 2],
    bindings: [wgpu::BindGroup; 5],
}

impl Shown {
    /// For what a tracer makes, and what the network makes of it.
    pub fn new(device: &wgpu::Device, tracer: &Tracer, denoised: &wgpu::Texture) -> Self {
        let texture = |label, format, usage| {
            device.create_texture(&wgpu::TextureDescriptor {
                label: Some(label),
                size: tracer.colour.size(),
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format,
                usage: usage | wgpu::TextureUsages::TEXTURE_BINDING,
                view_formats: &[],
            })
        };
        let bytes = wgpu::TextureFormat::Rgba8Unorm;
        let shown = texture("shown", bytes, wgpu::TextureUsages::STORAGE_BINDING);
        let layout = layout(device);
        let pipelines = [false, true].map(|encoded| pipeline(device, &layout, encoded));
        let to = shown.create_view(&Default::default());
        let bindings = View::ALL.map(|(view, name)| {
            let from = match view {
                View::Denoised => denoised,
                View::Noisy => &tracer.colour,
                View::Mean => &tracer.mean,
                View::Albedo => &tracer.albedo,
                View::Normal => &tracer.normal,
            };
            let from = from.create_view(&Default::default());
            let entries = [&from, &to].map(wgpu::BindingResource::TextureView);
            let entries = entries.into_iter().zip(0..);
            let entries: Vec<_> = entries
                .map(|(resource, binding)| wgpu::BindGroupEntry { binding, resource })
                .collect();
            device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(name),
                layout: &layout,
                entries: &entries,
            })
        });
        Self {
            texture: shown,
            pipelines,
            bindings,
        }
    }

    /// Records the pass that shows `view`.
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder, view: View) {
        let place = View::ALL.iter().position(|(one, _)| *one == view);
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("shown"),
            timestamp_writes: None,
        });
        pass.set_pipeline(&self.pipelines[usize::from(view != View::Normal)]);
        pass.set_bind_group(0, &self.bindings[place.unwrap_or(0)], &[]);
        let groups = [self.texture.width(), self.texture.height()].map(|n| n.div_ceil(8));
        pass.dispatch_workgroups(groups[0], groups[1], 1);
    }
}

/// The bindings of `shown.wgsl`. Single floats cannot be filtered, and are not.
fn layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    let types = [
        wgpu::BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable: false },
            view_dimension: wgpu::TextureViewDimension::D2,
            multisampled: false,
        },
        wgpu::BindingType::StorageTexture {
            access: wgpu::StorageTextureAccess::WriteOnly,
            format: wgpu::TextureFormat::Rgba8Unorm,
            view_dimension: wgpu::TextureViewDimension::D2,
        },
    ];
    let entries = types.into_iter().zip(0..);
    let entries: Vec<_> = entries
        .map(|(ty, binding)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty,
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("shown"),
        entries: &entries,
    })
}

fn pipeline(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    encoded: bool,
) -> wgpu::ComputePipeline {
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some("shown"),
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    let module = device.create_shader_module(wgpu::include_wgsl!("shown.wgsl"));
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("shown"),
        layout: Some(&layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &[("ENCODED", f64::from(u8::from(encoded)))],
            ..Default::default()
        },
        cache: None,
    })
}
