//! A network on a device that the program owns, inside the program's own encoder:
//! `cargo run --release --example borrowed_device`.
//!
//! The host stands for a game or a creative tool. It has a device, a queue and a frame to draw, and
//! it alone submits and polls. The network is some more compute passes of that frame.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use striate::ops::Conv2d;
use striate::prelude::*;
use striate::wgpu;

/// Whoever writes a host has an error type; this one takes them all.
type Outcome<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What the host has before it ever hears of networks.
struct Host {
    device: wgpu::Device,
    queue: wgpu::Queue,
    frame: wgpu::Texture,
}

impl Host {
    /// A device with default limits and without features: the library asks for no more.
    async fn new() -> Outcome<Self> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = instance.request_adapter(&Default::default()).await?;
        let (device, queue) = adapter.request_device(&Default::default()).await?;
        let frame = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("frame"),
            size: wgpu::Extent3d {
                width: 64,
                height: 64,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
            view_formats: &[],
        });
        println!("the host owns {}", adapter.get_info().name);
        Ok(Self {
            device,
            queue,
            frame,
        })
    }

    /// The host's own pass, which here only clears its frame.
    fn draw(&self, encoder: &mut wgpu::CommandEncoder) {
        let view = self.frame.create_view(&Default::default());
        encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("the host's pass"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                    store: wgpu::StoreOp::Store,
                },
            })],
            ..Default::default()
        });
    }

    /// Waits for what the host has submitted.
    fn poll(&self) -> Outcome<()> {
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        Ok(())
    }
}

/// The network's place in the host: a session, its input and what is read of it.
struct Network {
    session: Session,
    x: Value,
    y: Value,
}

impl Network {
    /// y = mean(relu(conv(x, edge))): how much of an edge is there.
    async fn new(host: &Host) -> Result<Self> {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([1, 1, 16, 16]))?;
        let edge = vec![-1.0, 0.0, 1.0, -1.0, 0.0, 1.0, -1.0, 0.0, 1.0];
        let edge = g.constant(Tensor::f32([1, 1, 3, 3], edge)?)?;
        let y = g.conv2d(x, edge, None, Conv2d::new())?;
        let y = g.relu(y)?;
        let y = g.mean(y, &[0, 1, 2, 3], false)?;

        // The device stays the host's: no callback of it is taken, and nothing is polled.
        let gpu = Gpu::from_device(host.device.clone(), host.queue.clone())?;
        let engine = Engine::from(gpu);
        let store = Store::new_async(&engine, &[&g], 0).await?;
        let builder = Session::builder(&store, &g).fetch(&[y]);
        let session = builder.build_async().await?;
        Ok(Self { session, x, y })
    }
}

fn main() -> Outcome<()> {
    let host = pollster::block_on(Host::new())?;
    let mut network = pollster::block_on(Network::new(&host))?;

    for frame in 0..3 {
        // The picture of this frame: bright on the right, four rows more than in the last.
        let bright = |at: usize| f32::from(u8::from(at % 16 >= 8 && at / 16 < 4 * frame));
        let picture = Tensor::f32([1, 1, 16, 16], (0..256).map(bright).collect())?;
        network.session.write(network.x, &picture)?;

        // One encoder for all: the host's pass, one step of the network, the copy of its result.
        let mut encoder = host.device.create_command_encoder(&Default::default());
        host.draw(&mut encoder);
        network.session.record(&mut encoder, 1)?;
        let read = network.session.record_read(&mut encoder, network.y)?;
        let mut read = pin!(read);

        // Nothing has been submitted yet, so that waiting for the device brings no result.
        host.poll()?;
        let mut context = Context::from_waker(Waker::noop());
        let before = read.as_mut().poll(&mut context);
        assert!(before.is_pending(), "the library has submitted by itself");

        // The host submits once, and polls: then it is there.
        host.queue.submit([encoder.finish()]);
        host.poll()?;
        let y = pollster::block_on(read)?.item()?;
        println!("frame {frame}: pending before the host's submit, edge {y:.4} after it");
    }
    Ok(())
}
