//! A pretend host: its textures and buffers are bound without copies, its frame is submitted by
//! itself, and what is wrong comes as a typed error and never to its handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use striate::error::{Error, ErrorKind, Result};
use striate::gpu::{Engine, Gpu, GpuOptions, base_limits, required_limits};
use striate::graph::{Graph, Init, StateKind, Value};
use striate::kernel::{Caps, TexelFormat};
use striate::ops::{
    Conv2d, InterpolateMode, MaxPool2d, TexelResize, Texels, TextureInput, TextureOutput,
    VideoRange,
};
use striate::plan::{Plan, PlanOptions, StateLayout};
use striate::session::{PictureTiles, Session};
use striate::shape::{PaddingMode, Type};
use striate::store::Store;
use striate::tensor::Tensor;
use striate::wgpu;
use striate_cases::devices;

/// A device with default limits and without features, whose handler counts.
struct Host {
    device: wgpu::Device,
    queue: wgpu::Queue,
    errors: Arc<AtomicUsize>,
}

const READ: wgpu::TextureUsages =
    wgpu::TextureUsages::TEXTURE_BINDING.union(wgpu::TextureUsages::COPY_DST);
const WRITTEN: wgpu::TextureUsages =
    wgpu::TextureUsages::STORAGE_BINDING.union(wgpu::TextureUsages::COPY_SRC);

/// One for each adapter that there is.
fn hosts() -> Vec<Host> {
    let mut hosts = Vec::new();
    for gpu in Gpu::all(&GpuOptions::default()) {
        let gpu = gpu.unwrap();
        let info = gpu.info().clone();
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        descriptor.backends = info.backend.into();
        let instance = wgpu::Instance::new(descriptor);
        let all = pollster::block_on(instance.enumerate_adapters(info.backend.into()));
        let adapter = all
            .into_iter()
            .find(|a| a.get_info().name == info.name)
            .unwrap();
        let opened = pollster::block_on(adapter.request_device(&Default::default()));
        let (device, queue) = opened.unwrap();
        let errors = Arc::new(AtomicUsize::new(0));
        let seen = errors.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            eprintln!("uncaptured: {error}");
            seen.fetch_add(1, Ordering::Relaxed);
        }));
        hosts.push(Host {
            device,
            queue,
            errors,
        });
    }
    if hosts.is_empty() {
        assert!(
            std::env::var_os("STRIATE_REQUIRE_GPU").is_none(),
            "no adapter, and STRIATE_REQUIRE_GPU is set"
        );
        println!("skipped: no adapter");
    }
    hosts
}

impl Host {
    fn engine(&self) -> Engine {
        let gpu = Gpu::from_device(self.device.clone(), self.queue.clone());
        Engine::from(gpu.unwrap())
    }

    fn texture(
        &self,
        [height, width]: [u32; 2],
        format: wgpu::TextureFormat,
        usage: wgpu::TextureUsages,
    ) -> wgpu::Texture {
        self.device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d {
                width,
                height,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage,
            view_formats: &[],
        })
    }

    /// A texture that holds these bytes.
    fn filled(&self, size: [u32; 2], format: wgpu::TextureFormat, bytes: &[u8]) -> wgpu::Texture {
        let texture = self.texture(size, format, READ);
        let row = format.block_copy_size(None).unwrap() * size[1];
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(row),
            rows_per_image: None,
        };
        let copy = texture.as_image_copy();
        self.queue
            .write_texture(copy, bytes, layout, texture.size());
        texture
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&Default::default())
    }

    fn poll(&self) {
        let wait = wgpu::PollType::wait_indefinitely();
        self.device.poll(wait).unwrap();
    }

    fn submit(&self, encoders: Vec<wgpu::CommandEncoder>) {
        let encoders = encoders.into_iter().map(wgpu::CommandEncoder::finish);
        self.queue.submit(encoders);
    }

    /// Bytes of a buffer.
    fn bytes(&self, buffer: &wgpu::Buffer) -> Vec<u8> {
        let mapped = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: buffer.size(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.encoder();
        encoder.copy_buffer_to_buffer(buffer, 0, &mapped, 0, buffer.size());
        encoder.map_buffer_on_submit(&mapped, wgpu::MapMode::Read, .., |_| ());
        self.submit(vec![encoder]);
        self.poll();
        mapped.slice(..).get_mapped_range().unwrap().to_vec()
    }

    fn buffer(&self, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes,
            usage: usage | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    /// The rows of a texture, `texel` bytes each texel.
    fn texels(&self, texture: &wgpu::Texture, texel: u32) -> Vec<u8> {
        let width = texel * texture.width();
        let row = width.next_multiple_of(256);
        let buffer = self.buffer(
            u64::from(row) * u64::from(texture.height()),
            wgpu::BufferUsages::STORAGE,
        );
        let mut encoder = self.encoder();
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
        self.submit(vec![encoder]);
        let bytes = self.bytes(&buffer);
        let rows = bytes.chunks_exact(row as usize);
        rows.flat_map(|line| line[..width as usize].to_vec())
            .collect()
    }

    fn expect_quiet(&self) {
        assert_eq!(self.errors.load(Ordering::Relaxed), 0, "uncaptured errors");
    }
}

fn view(texture: &wgpu::Texture) -> wgpu::TextureView {
    texture.create_view(&Default::default())
}

/// One convolution from the texture `in` to the texture `out`.
fn sharpen(size: [usize; 2]) -> (Graph, Value, Value) {
    let mut g = Graph::new();
    let image = g.texture("in", size).unwrap();
    let settings = TextureInput::new(size).read(Texels::rgb());
    let x = g.texture_input(&[image], &settings).unwrap();
    let kernel = [0.0, -1.0, 0.0, -1.0, 5.0, -1.0, 0.0, -1.0, 0.0].repeat(3);
    let weight = g
        .constant(Tensor::f32([3, 1, 3, 3], kernel).unwrap())
        .unwrap();
    let conv = Conv2d::new().groups(3).padding(1);
    let y = g.conv2d(x, weight, None, conv).unwrap();
    let settings = TextureOutput::new(TexelFormat::Rgba8Unorm, size);
    let out = g.texture_output("out", y, &settings).unwrap();
    (g, image, out)
}

fn compiled(engine: &Engine, g: &Graph) -> Session {
    let store = pollster::block_on(Store::new_async(engine, &[g], 0)).unwrap();
    pollster::block_on(Session::builder(&store, g).build_async()).unwrap()
}

fn expect_error<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, words: &str) {
    let error: Error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error} lacks {words:?}");
}

/// A frame of texture, convolution and texture is one submission, the host's; nothing is written,
/// nothing read, and no buffer made.
#[test]
fn a_frame_costs_one_submission_and_no_bytes() {
    for host in hosts() {
        let (g, image, out) = sharpen([24, 32]);
        let mut session = compiled(&host.engine(), &g);
        let bytes: Vec<u8> = (0..24 * 32 * 4).map(|i| (i * 31 % 251) as u8).collect();
        let from = host.filled([24, 32], wgpu::TextureFormat::Rgba8Unorm, &bytes);
        let to = host.texture([24, 32], wgpu::TextureFormat::Rgba8Unorm, WRITTEN);
        session.bind_texture(image, &view(&from)).unwrap();
        session.bind_texture(out, &view(&to)).unwrap();
        let frame = |session: &mut Session| {
            let mut encoder = host.encoder();
            session.record(&mut encoder, 1).unwrap();
            host.submit(vec![encoder]);
        };
        frame(&mut session);
        let Engine::Gpu(gpu) = session.engine().clone() else {
            panic!("a session on a device")
        };
        let before = gpu.traffic();
        for _ in 0..20 {
            frame(&mut session);
        }
        assert_eq!(gpu.traffic(), before, "the library did something by itself");
        assert_eq!(session.waiting_bytes(), 0);
        // It never polls a borrowed device, nor submits to its queue.
        assert_eq!((before.polls, before.submissions), (0, 0));

        // And it is right: one pixel by hand.
        let got = host.texels(&to, 4);
        let at = |row: usize, column: usize| (row * 32 + column) * 4;
        let byte = |row, column| i32::from(bytes[at(row, column)]);
        let wanted = 5 * byte(7, 9) - byte(6, 9) - byte(8, 9) - byte(7, 8) - byte(7, 10);
        assert_eq!(i32::from(got[at(7, 9)]), wanted.clamp(0, 255));
        host.expect_quiet();
    }
}

/// The product that textbooks work out, through textures and each padding: the pixel in the middle
/// is 5 * 22 - 16 - 25 - 18 - 20, and the one at the top left is worked out by hand.
#[test]
fn the_worked_product_of_textbooks_is_31() {
    const PATCH: [u8; 9] = [21, 16, 11, 25, 22, 18, 19, 20, 21];
    let bytes: Vec<u8> = PATCH
        .iter()
        .flat_map(|&byte| [byte, byte, byte, 255])
        .collect();
    for host in hosts() {
        for (mode, corner) in [
            (PaddingMode::Zeros, 5 * 21 - 16 - 25),
            (PaddingMode::Reflect, 5 * 21 - 2 * 16 - 2 * 25),
            (PaddingMode::Replicate, 5 * 21 - 16 - 25 - 2 * 21),
        ] {
            let mut g = Graph::new();
            let image = g.texture("in", [3, 3]).unwrap();
            let settings = TextureInput::new([3, 3]).read(Texels::red());
            let x = g.texture_input(&[image], &settings).unwrap();
            let kernel = vec![0.0, -1.0, 0.0, -1.0, 5.0, -1.0, 0.0, -1.0, 0.0];
            let weight = g
                .constant(Tensor::f32([1, 1, 3, 3], kernel).unwrap())
                .unwrap();
            let conv = Conv2d::new().padding(1).padding_mode(mode);
            let y = g.conv2d(x, weight, None, conv).unwrap();
            let settings = TextureOutput::new(TexelFormat::Rgba8Unorm, [3, 3]);
            let out = g.texture_output("out", y, &settings).unwrap();
            let mut session = compiled(&host.engine(), &g);
            let from = host.filled([3, 3], wgpu::TextureFormat::Rgba8Unorm, &bytes);
            let to = host.texture([3, 3], wgpu::TextureFormat::Rgba8Unorm, WRITTEN);
            session.bind_texture(image, &view(&from)).unwrap();
            session.bind_texture(out, &view(&to)).unwrap();
            let mut encoder = host.encoder();
            session.record(&mut encoder, 1).unwrap();
            host.submit(vec![encoder]);
            let got = host.texels(&to, 4);
            assert_eq!(got[4 * 4..][..4], [31, 31, 31, 255], "{mode:?}");
            assert_eq!(i32::from(got[0]), corner, "{mode:?}");
        }
        host.expect_quiet();
    }
}

/// What the library does by itself is counted.
#[test]
fn what_is_done_by_itself_is_counted() {
    for gpu in Gpu::all(&GpuOptions::default()) {
        let gpu = gpu.unwrap();
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([64])).unwrap();
        let y = g.relu(x).unwrap();
        let store = Store::new(&Engine::from(gpu.clone()), &[&g], 0).unwrap();
        let mut session = Session::new(&store, &g, &[y]).unwrap();
        let before = gpu.traffic();
        session
            .write(x, &Tensor::f32([64], vec![1.0; 64]).unwrap())
            .unwrap();
        session.run(3).unwrap();
        session.read(y).unwrap();
        let after = gpu.traffic();
        assert_eq!(after.submissions - before.submissions, 2);
        assert_eq!(after.bytes_written - before.bytes_written, 256);
        assert_eq!(after.bytes_read - before.bytes_read, 256);
        assert!(after.polls > before.polls);
    }
}

/// What waits to be written is told, goes with the next frame, and is gone then.
#[test]
fn bytes_that_wait_are_told() {
    for host in hosts() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([64])).unwrap();
        let y = g.relu(x).unwrap();
        let store = pollster::block_on(Store::new_async(&host.engine(), &[&g], 0)).unwrap();
        let builder = Session::builder(&store, &g).fetch(&[y]);
        let mut session = pollster::block_on(builder.build_async()).unwrap();
        let before = session.waiting_bytes();
        session
            .write(x, &Tensor::f32([64], vec![1.0; 64]).unwrap())
            .unwrap();
        assert_eq!(session.waiting_bytes(), before + 256);
        let mut encoder = host.encoder();
        session.record(&mut encoder, 1).unwrap();
        host.submit(vec![encoder]);
        assert_eq!(session.waiting_bytes(), 0);
    }
}

/// Every format that is sampled as floats is read, at any size, also one that is not the graph's.
#[test]
fn formats_and_sizes_of_a_host_are_read() {
    use wgpu::TextureFormat::*;
    for host in hosts() {
        let mut g = Graph::new();
        let image = g.texture("in", [4, 4]).unwrap();
        let settings = TextureInput::new([1, 1]).resize(TexelResize::Area);
        let settings = settings.read(Texels::new(&[0, 1, 2, 3]));
        let x = g.texture_input(&[image], &settings).unwrap();
        let store = pollster::block_on(Store::new_async(&host.engine(), &[&g], 0)).unwrap();
        let builder = Session::builder(&store, &g).fetch(&[x]);
        let mut session = pollster::block_on(builder.build_async()).unwrap();
        let half = [0x00, 0x38].repeat(4); // 0.5 four times
        let float = 0.5f32.to_le_bytes().repeat(4);
        for (format, texel, wanted) in [
            (Rgba8Unorm, vec![255, 0, 51, 255], [1.0, 0.0, 0.2, 1.0]),
            (Bgra8Unorm, vec![51, 0, 255, 255], [1.0, 0.0, 0.2, 1.0]),
            // sRGB 188 is half the light, within the tables of samplers.
            (
                Rgba8UnormSrgb,
                vec![188, 0, 255, 255],
                [0.502_9, 0.0, 1.0, 1.0],
            ),
            (R8Unorm, vec![51], [0.2, 0.0, 0.0, 1.0]),
            (Rg8Unorm, vec![51, 255], [0.2, 1.0, 0.0, 1.0]),
            (Rgba16Float, half.clone(), [0.5; 4]),
            (R16Float, half[..2].to_vec(), [0.5, 0.0, 0.0, 1.0]),
            (R32Float, float[..4].to_vec(), [0.5, 0.0, 0.0, 1.0]),
            (Rg32Float, float[..8].to_vec(), [0.5, 0.5, 0.0, 1.0]),
            (Rgba32Float, float.clone(), [0.5; 4]),
        ] {
            for size in [[4, 4], [3, 17], [40, 1]] {
                let texels = texel.repeat((size[0] * size[1]) as usize);
                let texture = host.filled(size, format, &texels);
                session.bind_texture(image, &view(&texture)).unwrap();
                let mut encoder = host.encoder();
                session.record(&mut encoder, 1).unwrap();
                let read = session.record_read(&mut encoder, x).unwrap();
                host.submit(vec![encoder]);
                host.poll();
                let got = pollster::block_on(read).unwrap();
                for (got, wanted) in got.as_f32().unwrap().iter().zip(wanted) {
                    let near = (got - wanted).abs() < 1.0 / 1024.0;
                    assert!(near, "{format:?} {size:?}: {got} {wanted}");
                }
            }
        }
        host.expect_quiet();
    }
}

/// What lies behind an output, and an image of areas, may be larger than the graph says: no loop
/// takes more turns.
#[test]
fn textures_may_be_larger_than_what_is_made_of_them() {
    for host in hosts() {
        let format = wgpu::TextureFormat::Rgba8Unorm;
        let large = host.texture([1024, 2048], format, READ);
        let mut g = Graph::new();
        let behind = g.texture("behind", [4, 4]).unwrap();
        let image = g.texture("image", [16, 16]).unwrap();
        let areas = TextureInput::new([256, 256]).resize(TexelResize::Area);
        let x = g
            .texture_input(&[image], &areas.read(Texels::rgb()))
            .unwrap();
        let settings = TextureOutput::new(TexelFormat::Rgba8Unorm, [256, 256]);
        let out = g
            .texture_output("out", x, &settings.over(behind, 0.5))
            .unwrap();
        let engine = host.engine();
        let mut session = compiled(&engine, &g);
        session.bind_texture(behind, &view(&large)).unwrap();
        session.bind_texture(image, &view(&large)).unwrap();
        let to = host.texture([256, 256], format, WRITTEN);
        session.bind_texture(out, &view(&to)).unwrap();
        let mut encoder = host.encoder();
        session.record(&mut encoder, 1).unwrap();
        host.queue.submit([encoder.finish()]);
        host.poll();

        // A whole sky's exposure is planned for.
        let mut g = Graph::new();
        let sky = g.texture("sky", [8192, 16384]).unwrap();
        let exposure = g.auto_exposure(sky).unwrap();
        let store = pollster::block_on(Store::new_async(&engine, &[&g], 0)).unwrap();
        let builder = Session::builder(&store, &g).fetch(&[exposure]);
        pollster::block_on(builder.build_async()).unwrap();
    }
}

#[test]
fn what_is_not_bound_or_does_not_fit_is_a_typed_error() {
    for host in hosts() {
        let (g, image, out) = sharpen([8, 8]);
        let engine = host.engine();
        let mut session = compiled(&engine, &g);
        let format = wgpu::TextureFormat::Rgba8Unorm;
        let from = host.filled([8, 8], format, &[7; 256]);
        let to = host.texture([8, 8], format, WRITTEN);
        let mut encoder = host.encoder();
        let recorded = session.record(&mut encoder, 1);
        expect_error(recorded, ErrorKind::Graph, "texture \"in\" is not bound");
        session.bind_texture(image, &view(&from)).unwrap();
        let recorded = session.record(&mut encoder, 1);
        expect_error(recorded, ErrorKind::Graph, "texture \"out\" is not bound");

        let unsupported = ErrorKind::Unsupported;
        let bound = session.bind_texture(image, &view(&to));
        expect_error(bound, unsupported, "texture \"in\": it is read");
        let bound = session.bind_texture(out, &view(&from));
        expect_error(bound, unsupported, "texture \"out\": it is written");
        let half = host.texture([8, 8], wgpu::TextureFormat::Rgba16Float, WRITTEN);
        let bound = session.bind_texture(out, &view(&half));
        expect_error(bound, unsupported, "rgba8unorm is written");
        let depth = host.texture(
            [8, 8],
            wgpu::TextureFormat::Depth32Float,
            wgpu::TextureUsages::TEXTURE_BINDING,
        );
        // Depth may be sampled as floats that are not filtered; integers may not.
        let _ = session.bind_texture(image, &view(&depth));
        let integers = host.texture([8, 8], wgpu::TextureFormat::R32Uint, READ);
        let bound = session.bind_texture(image, &view(&integers));
        expect_error(bound, unsupported, "sampled as floats");
        let layers = host.device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d {
                width: 8,
                height: 8,
                depth_or_array_layers: 2,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: READ,
            view_formats: &[],
        });
        let bound = session.bind_texture(image, &view(&layers));
        expect_error(bound, unsupported, "a 2D view of one layer");
        let x = g.nodes()[0].outputs[0];
        let bound = session.bind_texture(x, &view(&from));
        expect_error(bound, ErrorKind::Graph, "is not a texture");
        expect_error(
            session.write(image, &Tensor::zeros(&Type::f32([8, 8, 4])).unwrap()),
            unsupported,
            "bind_texture",
        );
        expect_error(
            pollster::block_on(session.read_async(out)),
            unsupported,
            "bind_texture",
        );

        // What went wrong has changed nothing: the frame still runs.
        session.bind_texture(image, &view(&from)).unwrap();
        session.bind_texture(out, &view(&to)).unwrap();
        let mut encoder = host.encoder();
        session.record(&mut encoder, 1).unwrap();
        host.submit(vec![encoder]);
        assert_eq!(host.texels(&to, 4)[(8 + 1) * 4], 7);
        host.expect_quiet();

        // And the handler is still the host's.
        host.buffer(
            16,
            wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::MAP_WRITE,
        );
        assert_eq!(host.errors.load(Ordering::Relaxed), 1);
    }
}

/// An output over its own texture would read and write it in one dispatch.
#[test]
fn a_texture_is_not_read_and_written_at_once() {
    for host in hosts() {
        let mut g = Graph::new();
        let behind = g.texture("behind", [4, 4]).unwrap();
        let y = g.fill([1, 1, 4, 4], 0.5).unwrap();
        let settings = TextureOutput::new(TexelFormat::Rgba8Unorm, [4, 4]).over(behind, 0.5);
        let out = g.texture_output("out", y, &settings).unwrap();
        let mut session = compiled(&host.engine(), &g);
        let both = host.texture([4, 4], wgpu::TextureFormat::Rgba8Unorm, READ | WRITTEN);
        session.bind_texture(behind, &view(&both)).unwrap();
        let bound = session.bind_texture(out, &view(&both));
        expect_error(bound, ErrorKind::Graph, "bound twice");
        host.expect_quiet();
    }
}

/// The session's own buffers and the host's are told apart, and two values of the host's too.
#[test]
fn buffers_that_would_clash_are_refused() {
    for host in hosts() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([64])).unwrap();
        let other = g.input("other", Type::f32([64])).unwrap();
        let y = g.exp(x).unwrap();
        let z = g.add(y, other).unwrap();
        let store = pollster::block_on(Store::new_async(&host.engine(), &[&g], 0)).unwrap();
        let hosted = [other, z];
        let builder = Session::builder(&store, &g)
            .fetch(&[y])
            .host_buffers(&hosted);
        let mut session = pollster::block_on(builder.build_async()).unwrap();
        let buffer = host.buffer(1024, wgpu::BufferUsages::STORAGE);
        session.bind_input(other, &buffer, 0).unwrap();
        let bound = session.bind_output(z, &buffer, 0);
        expect_error(bound, ErrorKind::Graph, "bound twice");
        let bound = session.bind_output(z, &buffer, 256);
        expect_error(bound, ErrorKind::Graph, "bound twice");
        let own = session.buffer(y).unwrap();
        let bound = session.bind_output(z, &own.buffer, own.offset);
        expect_error(bound, ErrorKind::Graph, "bound twice");
        let next = host.buffer(256, wgpu::BufferUsages::STORAGE);
        session.bind_output(z, &next, 0).unwrap();

        // In different dispatches: one value would be overwritten before it is read.
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([8, 8])).unwrap();
        let y = g.matmul(x, x, false, false).unwrap();
        let y = g.matmul(y, y, false, false).unwrap();
        let z = g.matmul(y, y, false, false).unwrap();
        let store = pollster::block_on(Store::new_async(&host.engine(), &[&g], 0)).unwrap();
        let builder = Session::builder(&store, &g).host_buffers(&[x, z]);
        let mut session = pollster::block_on(builder.build_async()).unwrap();
        session.bind_input(x, &buffer, 0).unwrap();
        let bound = session.bind_output(z, &buffer, 0);
        expect_error(bound, ErrorKind::Graph, "overlap");
        session.bind_output(z, &buffer, 256).unwrap();
        host.expect_quiet();
    }
}

/// A target of another size than the graph says is written whole.
#[test]
fn targets_of_other_sizes_are_written_whole() {
    for host in hosts() {
        let mut g = Graph::new();
        let y = g.fill([1, 1, 2, 2], 1.0).unwrap();
        let settings = TextureOutput::new(TexelFormat::Rgba8Unorm, [4, 4]);
        let out = g.texture_output("out", y, &settings).unwrap();
        let mut session = compiled(&host.engine(), &g);
        for size in [[4, 4], [90, 33], [1, 700], [3, 2]] {
            let to = host.texture(size, wgpu::TextureFormat::Rgba8Unorm, WRITTEN);
            session.bind_texture(out, &view(&to)).unwrap();
            let mut encoder = host.encoder();
            session.record(&mut encoder, 1).unwrap();
            host.submit(vec![encoder]);
            let texels = host.texels(&to, 4);
            assert!(texels.iter().all(|&byte| byte == 255), "{size:?}");
        }
        host.expect_quiet();
    }
}

/// Windows of a picture, each from its own origin, make the picture whole.
#[test]
fn windows_are_written_where_they_belong() {
    for host in hosts() {
        let mut g = Graph::new();
        let origin = g.input("origin", Type::u32([2])).unwrap();
        let image = g.texture("in", [10, 14]).unwrap();
        let settings = TextureInput::new([4, 4])
            .crop([4, 4], origin)
            .read(Texels::rgb());
        let x = g.texture_input(&[image], &settings).unwrap();
        let settings = TextureOutput::new(TexelFormat::Rgba8Unorm, [4, 4]);
        let settings = settings.window([4, 4], origin);
        let out = g.texture_output("out", x, &settings).unwrap();
        let mut session = compiled(&host.engine(), &g);
        let bytes: Vec<u8> = (0..10 * 14)
            .flat_map(|i| [i as u8, 255 - i as u8, 9, 255])
            .collect();
        let format = wgpu::TextureFormat::Rgba8Unorm;
        let from = host.filled([10, 14], format, &bytes);
        let to = host.texture([10, 14], format, WRITTEN);
        session.bind_texture(image, &view(&from)).unwrap();
        session.bind_texture(out, &view(&to)).unwrap();
        let mut encoder = host.encoder();
        for top in [0, 4, 8] {
            for left in [0, 4, 8, 12] {
                let at = Tensor::u32([2], vec![top, left]).unwrap();
                session.write(origin, &at).unwrap();
                session.record(&mut encoder, 1).unwrap();
            }
        }
        host.submit(vec![encoder]);
        assert_eq!(host.texels(&to, 4), bytes);
        host.expect_quiet();
    }
}

/// A network with a level of half the size, from the texture `in` to the texture `out`, over a
/// window from `read` on into one from `written` on.
fn net(size: [usize; 2]) -> Result<(Graph, [Value; 4])> {
    let mut g = Graph::new();
    let read = g.input("read", Type::u32([2]))?;
    let written = g.input("written", Type::u32([4]))?;
    let image = g.texture("in", size)?;
    let settings = TextureInput::new(size).crop(size, read).read(Texels::rgb());
    let x = g.texture_input(&[image], &settings)?;
    let mut layers = 0;
    let mut conv = |g: &mut Graph, x: Value, from: usize, to: usize| -> Result<Value> {
        let numbers = (0..to * from * 9).map(|i| ((i * 37 + layers) % 19) as f32 / 90.0 - 0.08);
        let weight = Tensor::f32([to, from, 3, 3], numbers.collect())?;
        layers += 1;
        let weight = g.constant(weight)?;
        g.conv2d(x, weight, None, Conv2d::new().padding(1))
    };
    let first = conv(&mut g, x, 3, 8)?;
    let first = g.relu(first)?;
    let half = g.max_pool(first, MaxPool2d::new(2))?;
    let half = conv(&mut g, half, 8, 8)?;
    let half = g.relu(half)?;
    let back = g.interpolate(half, &size, InterpolateMode::Nearest)?;
    let joined = g.add(first, back)?;
    let y = conv(&mut g, joined, 8, 3)?;
    let settings = TextureOutput::new(TexelFormat::Rgba32Float, size).window(size, written);
    let out = g.texture_output("out", y, &settings)?;
    Ok((g, [read, written, image, out]))
}

/// Tiles make the picture that one step over all of it makes, where the memory for that is not
/// there: without seams, in one encoder.
#[test]
fn tiles_under_a_memory_cap_make_the_whole_picture() {
    const SIZE: [usize; 2] = [149, 205];
    const OVERLAP: usize = 8;
    for host in hosts() {
        let engine = host.engine();
        let [height, width] = SIZE.map(|extent| extent as u32);
        let texels = (0..height * width * 4).map(|i| (i * 7919 % 257) as f32 / 256.0);
        let texels: Vec<f32> = texels.collect();
        let format = wgpu::TextureFormat::Rgba32Float;
        let from = host.filled([height, width], format, bytemuck::cast_slice(&texels));
        let picture = |cap: Option<u64>| {
            let build = |tile: [usize; 2]| {
                let (g, values) = net(tile)?;
                let store = pollster::block_on(Store::new_async(&engine, &[&g], 0))?;
                let options = PlanOptions {
                    memory_cap: cap,
                    ..PlanOptions::default()
                };
                let builder = Session::builder(&store, &g).options(options);
                Ok((pollster::block_on(builder.build_async())?, values))
            };
            let (tiles, built) = PictureTiles::fitting(SIZE, OVERLAP, 2, build).unwrap();
            let (mut session, [read, written, image, out]) = built;
            let to = host.texture([height, width], format, WRITTEN);
            session.bind_texture(image, &view(&from)).unwrap();
            session.bind_texture(out, &view(&to)).unwrap();
            let mut encoder = host.encoder();
            for tile in tiles.iter() {
                session.write(read, &tile.read().unwrap()).unwrap();
                session.write(written, &tile.written().unwrap()).unwrap();
                session.record(&mut encoder, 1).unwrap();
            }
            host.submit(vec![encoder]);
            let made: Vec<f32> = bytemuck::pod_collect_to_vec(&host.texels(&to, 16));
            (tiles, session.bytes(), made)
        };
        let (whole, bytes, wanted) = picture(None);
        assert!(whole.is_whole());
        assert!(wanted.iter().any(|&x| x > 0.1));
        let (tiles, less, got) = picture(Some(bytes / 5));
        assert!(
            tiles.iter().count() > 5 && less <= bytes / 5,
            "{less} of {bytes}"
        );
        let worst = wanted.iter().zip(&got).map(|(a, b)| (a - b).abs());
        let worst = worst.fold(0.0, f32::max);
        println!(
            "{} tiles {:?}: {worst:e}",
            tiles.iter().count(),
            tiles.tile()
        );
        assert!(worst < 1e-5, "{worst} from one step over the whole picture");
        host.expect_quiet();
    }
}

/// A session compiled between frames is the one that is compiled at once, and no frame waits for
/// more than one pipeline.
#[test]
fn a_session_is_compiled_in_steps() {
    for host in hosts() {
        let (g, image, out) = sharpen([24, 32]);
        let engine = host.engine();
        let Engine::Gpu(gpu) = &engine else {
            panic!("a device")
        };
        let store = pollster::block_on(Store::new_async(&engine, &[&g], 0)).unwrap();
        let mut compiling = Session::builder(&store, &g).in_steps();
        assert_eq!(compiling.progress(), [0, 0]);
        let mut steps = 0;
        let mut session = loop {
            let before = gpu.pipeline_count();
            let session = compiling.step().unwrap();
            assert!(
                gpu.pipeline_count() <= before + 1,
                "more than one in a step"
            );
            steps += 1;
            if let Some(session) = session {
                break session;
            }
        };
        let [done, total] = compiling.progress();
        assert!(done == total && total == gpu.pipeline_count() && steps > total);
        expect_error(compiling.step(), ErrorKind::Graph, "was compiled");

        // Its first frame compiles nothing: all pipelines were used before, by nothing.
        let mut encoder = host.encoder();
        expect_error(session.warm_up(&mut encoder, 1), ErrorKind::Graph, "in");
        let texels: Vec<u8> = (0..24 * 32 * 4).map(|i| (i * 31 % 251) as u8).collect();
        let from = host.filled([24, 32], wgpu::TextureFormat::Rgba8Unorm, &texels);
        let to = host.texture([24, 32], wgpu::TextureFormat::Rgba8Unorm, WRITTEN);
        session.bind_texture(image, &view(&from)).unwrap();
        session.bind_texture(out, &view(&to)).unwrap();
        assert_eq!(session.warm_up(&mut encoder, 0).unwrap(), total);
        for left in (0..total).rev() {
            let mut encoder = host.encoder();
            assert_eq!(session.warm_up(&mut encoder, 1).unwrap(), left);
            host.submit(vec![encoder]);
        }
        assert_eq!(session.warm_up(&mut encoder, 9).unwrap(), 0);
        assert!(
            host.texels(&to, 4).iter().all(|&byte| byte == 0),
            "it wrote something"
        );
        assert_eq!(gpu.traffic().submissions, 0);
        let mut encoder = host.encoder();
        session.record(&mut encoder, 1).unwrap();
        host.submit(vec![encoder]);
        let mut at_once = compiled(&engine, &g);
        assert_eq!(
            gpu.pipeline_count(),
            total,
            "another session builds nothing"
        );
        let other = host.texture([24, 32], wgpu::TextureFormat::Rgba8Unorm, WRITTEN);
        at_once.bind_texture(image, &view(&from)).unwrap();
        at_once.bind_texture(out, &view(&other)).unwrap();
        let mut encoder = host.encoder();
        assert_eq!(
            at_once.warm_up(&mut encoder, 1).unwrap(),
            0,
            "all were used before"
        );
        at_once.record(&mut encoder, 1).unwrap();
        host.submit(vec![encoder]);
        assert_eq!(host.texels(&to, 4), host.texels(&other, 4));
        host.expect_quiet();
    }
}

/// With the limits that a graph requires all its values are whole, and with less they are in parts;
/// both compute the same.
#[test]
fn required_limits_are_known_before_a_device_is_made() {
    let rows = |count: usize, row: usize| {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([count, row])).unwrap();
        let y = g.sum(x, &[1], false).unwrap();
        (g, x, y)
    };
    let (g, _, y) = rows(4, 8);
    assert_eq!(required_limits(&g, &[y]).unwrap(), base_limits());
    let (g, _, _) = rows(1 << 20, 1 << 10);
    assert_eq!(
        required_limits(&g, &[]).unwrap(),
        base_limits(),
        "nothing reads it"
    );
    let (g, _, y) = rows(1 << 20, 1 << 10);
    let huge = required_limits(&g, &[y]);
    expect_error(huge, ErrorKind::Limit, "a binding holds at most");

    // 320 MiB, which a default binding does not hold, nor a default buffer; a state of 160 MiB.
    let mut g = Graph::new();
    let large = g.input("large", Type::f32([80, 1 << 20])).unwrap();
    let sums = g.sum(large, &[1], false).unwrap();
    let ty = Type::f32([40, 1 << 20]);
    let first = Init::Constant(0.0);
    let state = g.state("s", ty, StateKind::Data, first, None).unwrap();
    let more = g.relu(state).unwrap();
    g.assign(state, more).unwrap();
    let needed = required_limits(&g, &[sums]).unwrap();
    assert_eq!(needed.max_storage_buffer_binding_size, 320 << 20);
    let parts = |limits: &wgpu::Limits| {
        let kind = wgpu::DeviceType::DiscreteGpu;
        let caps = GpuOptions::default().caps(wgpu::Backend::Vulkan, kind, limits);
        let caps = caps.unwrap();
        let layout = StateLayout::new(&[&g], caps.max_binding).unwrap();
        let plan = Plan::new(&g, &layout, &[sums], &caps, PlanOptions::default()).unwrap();
        let fixed = plan.fixed();
        let chunks = layout.chunks.iter().map(|chunk| &chunk.bytes);
        let largest = plan.slots.iter().chain(fixed.values()).chain(chunks).max();
        assert!(*largest.unwrap() <= limits.max_buffer_size);
        (plan.places[&large].len(), layout.entries["s"].parts.len())
    };
    assert_eq!(parts(&needed), (1, 1));
    let mut less = needed.clone();
    less.max_storage_buffer_binding_size -= 256;
    assert_eq!(parts(&less), (2, 1));
    assert_eq!(parts(&base_limits()), (3, 2));
    let mut g = Graph::new();
    g.texture("in", [2160, 3840]).unwrap();
    let needed = required_limits(&g, &[]).unwrap();
    assert_eq!(needed.max_texture_dimension_2d, 3840);

    // On devices that have less than 5 MiB in a binding.
    let (g, x, y) = rows(40, 1 << 15);
    let enough = required_limits(&g, &[y]).unwrap();
    let less = wgpu::Limits {
        max_storage_buffer_binding_size: 1 << 20,
        ..base_limits()
    };
    let gpus = |limits: wgpu::Limits| {
        devices::gpus(&GpuOptions {
            limits: Some(limits),
            ..GpuOptions::default()
        })
    };
    for (enough, less) in gpus(enough).into_iter().zip(gpus(less)) {
        let sums = [enough, less].map(|gpu| {
            assert!(gpu.device().features().is_empty());
            let store = Store::new(&gpu.into(), &[&g], 0).unwrap();
            let mut session = Session::new(&store, &g, &[y]).unwrap();
            let numbers = (0..40 << 15).map(|i| (i % 7) as f32 * (1 + (i >> 15)) as f32);
            let numbers = Tensor::f32([40, 1 << 15], numbers.collect()).unwrap();
            session.write(x, &numbers).unwrap();
            session.run(1).unwrap();
            let parts = session.plan().unwrap().places[&x].len();
            (parts, session.read(y).unwrap())
        });
        assert_eq!([sums[0].0, sums[1].0], [1, 5]);
        assert_eq!(sums[0].1, sums[1].1);
    }
}

/// What is off is told with what turns it on.
#[test]
fn a_report_tells_which_paths_are_on() {
    let base = GpuOptions {
        limits: Some(base_limits()),
        ..GpuOptions::default()
    };
    let all = Gpu::all(&GpuOptions::default()).into_iter();
    for (full, least) in all.zip(Gpu::all(&base)) {
        let (full, least) = (full.unwrap(), least.unwrap());
        let path = |gpu: &Gpu, name: &str| {
            let paths = gpu.report().paths;
            paths.into_iter().find(|path| path.name == name).unwrap()
        };
        assert_eq!(path(&full, "timestamps").is_on, full.has_timestamps());
        let timestamps = path(&least, "timestamps");
        assert!(!timestamps.is_on && timestamps.note.contains("TIMESTAMP_QUERY"));
        let parts = path(&least, "large values in one part");
        assert!(!parts.is_on && parts.note.contains("max_storage_buffer_binding_size"));
        assert!(path(&full, "kernels without checks").is_on);
        let checked = GpuOptions {
            checked: true,
            ..GpuOptions::default()
        };
        let checked = full.with_options(&checked).unwrap();
        let checks = path(&checked, "kernels without checks");
        assert!(!checks.is_on && checks.note.contains("GpuOptions::checked"));
        let text = least.report().to_string();
        assert!(text.contains("off timestamps: "), "{text}");
        println!("{}\n", full.report());
    }
    for host in hosts() {
        let Engine::Gpu(gpu) = host.engine() else {
            panic!("a device")
        };
        let text = gpu.report().to_string();
        let words = "make the device with TIMESTAMP_QUERY, where its adapter offers that";
        assert!(text.contains(words), "{text}");
    }
}

/// The host's buffers stand for an input and an output: the same bits as written and read.
#[test]
fn buffers_of_a_host_are_inputs_and_outputs() {
    for host in hosts() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([2, 3, 9, 9])).unwrap();
        let numbers: Vec<f32> = (0..4 * 27).map(|i| (i % 13) as f32 / 7.0 - 0.8).collect();
        let weight = g
            .constant(Tensor::f32([4, 3, 3, 3], numbers).unwrap())
            .unwrap();
        let y = g.conv2d(x, weight, None, Conv2d::new().padding(1)).unwrap();
        let z = g.relu(y).unwrap();
        let flat = g.flatten(z, 1).unwrap();
        let given: Vec<f32> = (0..2 * 3 * 81)
            .map(|i| ((i * 29) % 31) as f32 / 9.0 - 1.5)
            .collect();
        let given = Tensor::f32([2, 3, 9, 9], given).unwrap();
        let engine = host.engine();
        let store = pollster::block_on(Store::new_async(&engine, &[&g], 0)).unwrap();

        let builder = Session::builder(&store, &g).fetch(&[flat]);
        let mut own = pollster::block_on(builder.build_async()).unwrap();
        own.write(x, &given).unwrap();
        let mut encoder = host.encoder();
        own.record(&mut encoder, 1).unwrap();
        let read = own.record_read(&mut encoder, flat).unwrap();
        host.submit(vec![encoder]);
        host.poll();
        let wanted = pollster::block_on(read).unwrap();

        let builder = Session::builder(&store, &g).host_buffers(&[x, flat]);
        let mut session = pollster::block_on(builder.build_async()).unwrap();
        let storage = wgpu::BufferUsages::STORAGE;
        let from = host.buffer(512 + 2 * 3 * 81 * 4 + 8, storage);
        let to = host.buffer(256 + 2 * 4 * 81 * 4, storage);
        host.queue.write_buffer(&from, 512, given.bytes());
        let mut encoder = host.encoder();
        let recorded = session.record(&mut encoder, 1);
        expect_error(recorded, ErrorKind::Graph, "is not bound");
        session.bind_input(x, &from, 512).unwrap();
        session.bind_output(flat, &to, 256).unwrap();
        session.record(&mut encoder, 1).unwrap();
        host.submit(vec![encoder]);
        assert_eq!(session.waiting_bytes(), 0);
        assert_eq!(&host.bytes(&to)[256..], wanted.bytes());

        // Another frame, another buffer.
        let next = host.buffer(2 * 4 * 81 * 4, storage);
        session.bind_output(flat, &next, 0).unwrap();
        let mut encoder = host.encoder();
        session.record(&mut encoder, 1).unwrap();
        host.submit(vec![encoder]);
        assert_eq!(host.bytes(&next), wanted.bytes());

        let shape = ErrorKind::Shape;
        expect_error(session.bind_input(x, &from, 8), shape, "multiple of 256");
        expect_error(session.bind_input(x, &from, 768), shape, "multiple of 256");
        let none = host.buffer(4096, wgpu::BufferUsages::INDEX);
        let bound = session.bind_input(x, &none, 0);
        expect_error(bound, ErrorKind::Unsupported, "STORAGE is needed");
        let bound = session.bind_output(z, &to, 0);
        expect_error(bound, ErrorKind::Graph, "was not named");
        let bound = session.bind_input(flat, &to, 0);
        expect_error(bound, ErrorKind::Graph, "is not an input");
        expect_error(
            session.write(x, &given),
            ErrorKind::Unsupported,
            "buffer of the host's",
        );
        host.expect_quiet();
    }
}

/// A pass of the host's writes the session's own input, and reads what it made.
#[test]
fn own_buffers_are_handed_out() {
    for host in hosts() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([8])).unwrap();
        let y = g.neg(x).unwrap();
        let store = pollster::block_on(Store::new_async(&host.engine(), &[&g], 0)).unwrap();
        let builder = Session::builder(&store, &g).fetch(&[y]);
        let mut session = pollster::block_on(builder.build_async()).unwrap();
        let numbers = Tensor::f32([8], (0..8).map(|i| i as f32).collect()).unwrap();
        let from = host.buffer(32, wgpu::BufferUsages::STORAGE);
        host.queue.write_buffer(&from, 0, numbers.bytes());
        let own = session.buffer(x).unwrap();
        assert_eq!(own.bytes, 32);
        let made = session.buffer(y).unwrap();
        let to = host.buffer(32, wgpu::BufferUsages::STORAGE);
        let mut encoder = host.encoder();
        encoder.copy_buffer_to_buffer(&from, 0, &own.buffer, own.offset, 32);
        session.record(&mut encoder, 1).unwrap();
        encoder.copy_buffer_to_buffer(&made.buffer, made.offset, &to, 0, 32);
        host.submit(vec![encoder]);
        let wanted: Vec<u8> = (0..8).flat_map(|i| (-(i as f32)).to_le_bytes()).collect();
        assert_eq!(host.bytes(&to), wanted);
        host.expect_quiet();
    }
}

/// On the CPU reference texels are written and read; there is nothing to bind.
#[test]
fn the_reference_takes_texels() {
    let (g, image, out) = sharpen([3, 3]);
    let store = Store::new(&Engine::cpu(), &[&g], 0).unwrap();
    let mut session = Session::new(&store, &g, &[]).unwrap();
    let texels = (0..36).map(|i| i as f32 / 100.0).collect();
    session
        .write(image, &Tensor::f32([3, 3, 4], texels).unwrap())
        .unwrap();
    session.run(1).unwrap();
    let got = session.read(out).unwrap();
    // 5 * 0.16 - 0.04 - 0.28 - 0.12 - 0.20
    assert!((got.as_f32().unwrap()[16] - 0.16).abs() < 1e-6);
}

/// A graph that misuses textures is refused where it is built.
#[test]
fn textures_and_tensors_are_not_confused() {
    let mut g = Graph::new();
    let image = g.texture("in", [4, 4]).unwrap();
    expect_error(g.relu(image), ErrorKind::Graph, "is the texture \"in\"");
    let x = g.input("x", Type::f32([4, 4, 4])).unwrap();
    let settings = TextureInput::new([4, 4]).read(Texels::rgb());
    let read = g.texture_input(&[x], &settings);
    expect_error(read, ErrorKind::Graph, "a texture is needed");
    expect_error(g.texture("in", [4, 4]), ErrorKind::Graph, "exists already");
    expect_error(g.texture("none", [0, 4]), ErrorKind::Shape, "0 x 4");
    expect_error(
        g.texture_input(&[image, image], &settings),
        ErrorKind::Shape,
        "2 textures",
    );
    for texels in [Texels::new(&[4]), Texels::new(&[1, 1])] {
        let settings = TextureInput::new([4, 4]).read(texels);
        let read = g.texture_input(&[image], &settings);
        expect_error(read, ErrorKind::Shape, "can be one channel");
    }
    let settings = TextureInput::new([4, 4]).read(Texels::rgb().normalise(&[0.5], &[0.5]));
    expect_error(
        g.texture_input(&[image], &settings),
        ErrorKind::Shape,
        "1 means for 3",
    );
    let y = g.fill([1, 2, 4, 4], 0.0).unwrap();
    let settings = TextureOutput::new(TexelFormat::Rgba8Unorm, [4, 4]);
    let written = g.texture_output("out", y, &settings);
    expect_error(written, ErrorKind::Shape, "an image of 2 channels");
    let y = g.fill([1, 3, 4, 4], 0.0).unwrap();
    let out = g.texture_output("out", y, &settings).unwrap();
    expect_error(
        g.texture_output("out", y, &settings),
        ErrorKind::Graph,
        "exists already",
    );
    let input = g.input("out", Type::f32([1]));
    expect_error(input, ErrorKind::Graph, "exists already");
    expect_error(g.relu(out), ErrorKind::Graph, "is the texture \"out\"");
    let scalar = g.fill([1], 1.0).unwrap();
    expect_error(
        g.auto_exposure(scalar),
        ErrorKind::Graph,
        "is not a texture",
    );
    let exposed = TextureInput::new([4, 4]).read(Texels::rgb().exposed());
    let read = g.texture_input(&[image], &exposed);
    expect_error(read, ErrorKind::Shape, "an exposure");
    let chroma = g.texture("chroma", [2, 2]).unwrap();
    let video = TextureInput::new([4, 4]).read(Texels::rgb());
    let video = video.video(VideoRange::Full, 0.5, 0.5);
    let read = g.texture_input(&[image, chroma], &video);
    expect_error(read, ErrorKind::Shape, "of luma");

    // What was refused has left nothing behind: the graph compiles.
    let layout = StateLayout::new(&[&g], 1 << 20).unwrap();
    Plan::new(&g, &layout, &[], &Caps::default(), PlanOptions::default()).unwrap();
}
