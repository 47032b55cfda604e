//! The path tracer on a device of the host's: one compute pass a frame, recorded into the host's
//! encoder.

use striate::wgpu;

use crate::scene::{Camera, MOST_SPHERES, Material, Scene};

/// Bytes of `Shot` in `tracer.wgsl`.
const SHOT_BYTES: usize = 240 + 48 * MOST_SPHERES;
/// Distance of the shots in their buffer: a multiple of the 256 bytes that any device aligns to.
const SHOT_STRIDE: usize = 768;
/// How many shots may be recorded before the host submits.
pub const SHOTS: usize = 64;
/// The most samples of one shot, so that software drivers, which count the turns of all loops
/// around each other, do not end one early: 64 samples of 6 bounces of two walks over 6 spheres
/// are fewer than their 65,535.
pub const MOST_SAMPLES: u32 = 64;
/// Width and height of the pixels that a workgroup makes.
const WORKGROUP: u32 = 8;

/// What one dispatch draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shot {
    /// Number of the frame: another one has other random numbers.
    pub frame: u32,
    /// Keys the random numbers.
    pub seed: u32,
    /// Samples for each pixel, 1 to [`MOST_SAMPLES`].
    pub samples: u32,
    /// Whether the mean begins with this shot.
    pub restart: bool,
    /// The most that one hit after the first may add to a sample, in radiance; 0 for no bound,
    /// without which the mean goes to the true picture.
    pub clamp: f32,
    /// First pixel, x and y, and width and height of the picture that the frame is cut from.
    pub window: [u32; 4],
}

/// The tracer: a pipeline, and the textures that it draws into, all of one size.
#[derive(Debug)]
pub struct Tracer {
    /// Linear radiance of the last shot, `Rgba16Float`.
    pub colour: wgpu::Texture,
    /// Diffuse reflectance at the first hit, `Rgba16Float`: 1 for glass, metal and lamp, 0 for
    /// nothing.
    pub albedo: wgpu::Texture,
    /// Normal at the first hit as n * 0.5 + 0.5, `Rgba16Float`.
    pub normal: wgpu::Texture,
    /// Linear radiance, the mean since the last restart, `Rgba32Float`.
    pub mean: wgpu::Texture,
    size: [u32; 2],
    queue: wgpu::Queue,
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    shots: wgpu::Buffer,
    sums: wgpu::Buffer,
    next: usize,
}

impl Tracer {
    /// For frames of this width and height, on any device with WebGPU's default limits.
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue, size: [u32; 2]) -> Self {
        let half = |label| target(device, label, size, wgpu::TextureFormat::Rgba16Float);
        let colour = half("noisy colour");
        let albedo = half("albedo");
        let normal = half("normal");
        let mean = target(device, "mean", size, wgpu::TextureFormat::Rgba32Float);
        let buffer = |label, size, usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        let shots = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let shots = buffer("shots", (SHOTS * SHOT_STRIDE) as u64, shots);
        let pixels = u64::from(size[0]) * u64::from(size[1]);
        let sums = buffer("sums", 16 * pixels, wgpu::BufferUsages::STORAGE);

        let layout = layout(device);
        let module = device.create_shader_module(wgpu::include_wgsl!("tracer.wgsl"));
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("tracer"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("tracer"),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        let views = [&colour, &albedo, &normal, &mean].map(|t| t.create_view(&Default::default()));
        let shot = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &shots,
            offset: 0,
            size: wgpu::BufferSize::new(SHOT_BYTES as u64),
        });
        let textures = views.iter().map(wgpu::BindingResource::TextureView);
        let resources = [shot, sums.as_entire_binding()].into_iter().chain(textures);
        let entries: Vec<_> = (0..)
            .zip(resources)
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("tracer"),
            layout: &layout,
            entries: &entries,
        });
        Self {
            colour,
            albedo,
            normal,
            mean,
            size,
            queue: queue.clone(),
            pipeline,
            bindings,
            shots,
            sums,
            next: 0,
        }
    }

    /// Bytes of its textures and buffers.
    pub fn bytes(&self) -> u64 {
        let pixels = u64::from(self.size[0]) * u64::from(self.size[1]);
        self.shots.size() + self.sums.size() + pixels * (3 * 8 + 16)
    }

    /// Records one shot, as one compute pass. Nothing is submitted; the host does so after at most
    /// [`SHOTS`] of them.
    pub fn record(&mut self, encoder: &mut wgpu::CommandEncoder, scene: &Scene, shot: &Shot) {
        let offset = self.next * SHOT_STRIDE;
        self.next = (self.next + 1) % SHOTS;
        let bytes = encode(scene, shot, self.size);
        self.queue.write_buffer(&self.shots, offset as u64, &bytes);
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("tracer"),
            timestamp_writes: None,
        });
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[offset as u32]);
        let [across, down] = self.size.map(|extent| extent.div_ceil(WORKGROUP));
        pass.dispatch_workgroups(across, down, 1);
    }
}

/// A texture that the tracer writes, and that may be read in shaders and copied.
fn target(
    device: &wgpu::Device,
    label: &str,
    [width, height]: [u32; 2],
    format: wgpu::TextureFormat,
) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some(label),
        size: wgpu::Extent3d {
            width,
            height,
            depth_or_array_layers: 1,
        },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::STORAGE_BINDING
            | wgpu::TextureUsages::TEXTURE_BINDING
            | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    })
}

/// The bindings of `tracer.wgsl`. Shots are chosen by a dynamic offset, which no layout that wgpu
/// finds by itself has.
fn layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    let buffer = |ty, has_dynamic_offset, size| wgpu::BindingType::Buffer {
        ty,
        has_dynamic_offset,
        min_binding_size: wgpu::BufferSize::new(size),
    };
    let written = |format| wgpu::BindingType::StorageTexture {
        access: wgpu::StorageTextureAccess::WriteOnly,
        format,
        view_dimension: wgpu::TextureViewDimension::D2,
    };
    let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
    let types = [
        buffer(storage(true), true, SHOT_BYTES as u64),
        buffer(storage(false), false, 16),
        written(wgpu::TextureFormat::Rgba16Float),
        written(wgpu::TextureFormat::Rgba16Float),
        written(wgpu::TextureFormat::Rgba16Float),
        written(wgpu::TextureFormat::Rgba32Float),
    ];
    let entries: Vec<_> = (0..)
        .zip(types)
        .map(|(binding, ty)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty,
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("tracer"),
        entries: &entries,
    })
}

/// `Shot` of `tracer.wgsl`, member by member.
fn encode(scene: &Scene, shot: &Shot, size: [u32; 2]) -> Vec<u8> {
    let mut words = Words(Vec::with_capacity(SHOT_BYTES));
    let [_, _, width, height] = shot.window;
    for row in basis(&scene.camera, [width, height]) {
        words.floats(row, 0.0);
    }
    let lamp = &scene.lamp;
    words.floats([lamp.centre[0], lamp.centre[1], lamp.half[0]], lamp.half[1]);
    words.floats(lamp.radiance, shot.clamp);
    for wall in scene.walls {
        words.floats(wall, 0.0);
    }
    words.integers(shot.window);
    let spheres = &scene.spheres[..scene.spheres.len().min(MOST_SPHERES)];
    let samples = shot.samples.clamp(1, MOST_SAMPLES);
    words.integers([shot.frame, shot.seed, samples, spheres.len() as u32]);
    words.integers([u32::from(shot.restart), 0, 0, 0]);
    for sphere in spheres {
        words.floats(sphere.centre, sphere.radius);
        words.floats(sphere.colour, sphere.roughness);
        let kind = match sphere.material {
            Material::Diffuse => 0,
            Material::Metal => 1,
            Material::Glass => 2,
            Material::Coated => 3,
        };
        words.integers([kind, 0, 0, 0]);
    }
    words.0.resize(SHOT_BYTES, 0);
    debug_assert!(
        size[0] <= width && size[1] <= height,
        "{size:?} of {shot:?}"
    );
    words.0
}

struct Words(Vec<u8>);

impl Words {
    fn floats(&mut self, [x, y, z]: [f32; 3], w: f32) {
        self.integers([x, y, z, w].map(f32::to_bits));
    }

    fn integers(&mut self, words: [u32; 4]) {
        self.0.extend(words.into_iter().flat_map(u32::to_le_bytes));
    }
}

/// Eye, half of the picture to the right and up at a distance of 1, and the way to its middle.
fn basis(camera: &Camera, [width, height]: [u32; 2]) -> [[f32; 3]; 4] {
    let (sin, cos) = camera.orbit.sin_cos();
    let eye = [camera.distance * sin, camera.height, camera.distance * cos];
    let length = eye.iter().map(|x| x * x).sum::<f32>().sqrt();
    let forward = eye.map(|x| -x / length);
    let right = [cos, 0.0, -sin];
    let up = [
        right[1] * forward[2] - right[2] * forward[1],
        right[2] * forward[0] - right[0] * forward[2],
        right[0] * forward[1] - right[1] * forward[0],
    ];
    let shorter = width.min(height) as f32;
    let [across, down] = [width, height].map(|extent| camera.field * extent as f32 / shorter);
    [
        eye,
        right.map(|x| x * across),
        up.map(|x| x * down),
        forward,
    ]
}
