//! A network recorded into the host's own encoder, which the host submits and waits for:
//! `cargo run --release --example record`.

use striate::ops::Conv2d;
use striate::prelude::*;
use striate::wgpu;

/// Whoever writes a host has an error type; this one takes them all.
type Outcome<T> = std::result::Result<T, Box<dyn std::error::Error>>;

async fn host() -> Outcome<()> {
    // What a host has anyway. The library needs no more than default limits, and no features.
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    let instance = wgpu::Instance::new(descriptor);
    let adapter = instance.request_adapter(&Default::default()).await?;
    let (device, queue) = adapter.request_device(&Default::default()).await?;

    // y = mean(relu(conv(x, edge))): how much of an edge is there.
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([1, 1, 16, 16]))?;
    let edge = vec![-1.0, 0.0, 1.0, -1.0, 0.0, 1.0, -1.0, 0.0, 1.0];
    let edge = g.constant(Tensor::f32([1, 1, 3, 3], edge)?)?;
    let y = g.conv2d(x, edge, None, Conv2d::new())?;
    let y = g.relu(y)?;
    let y = g.mean(y, &[0, 1, 2, 3], false)?;

    // The device stays the host's: no callback of it is taken.
    let gpu = Gpu::from_device(device.clone(), queue.clone())?;
    let store = Store::new_async(&Engine::from(gpu.clone()), &[&g], 0).await?;
    let builder = Session::builder(&store, &g).fetch(&[y]);
    let mut session = builder.build_async().await?;

    for frame in 0..3 {
        // The picture of this frame: bright on the right, four rows more than in the last.
        let bright = |at: usize| f32::from(u8::from(at % 16 >= 8 && at / 16 < 4 * frame));
        let picture = Tensor::f32([1, 1, 16, 16], (0..256).map(bright).collect())?;
        session.write(x, &picture)?;

        // One encoder for all: the host's own passes, a step of the network, a copy of its result.
        let mut encoder = device.create_command_encoder(&Default::default());
        session.record(&mut encoder, 1)?;
        let read = session.record_read(&mut encoder, y)?;

        queue.submit([encoder.finish()]);
        device.poll(wgpu::PollType::wait_indefinitely())?;
        println!("frame {frame}: edge {:.4}", read.await?.item()?);
    }
    let done = gpu.traffic();
    let (submissions, polls) = (done.submissions, done.polls);
    println!("the library made {submissions} submissions and {polls} polls");
    Ok(())
}

fn main() -> Outcome<()> {
    pollster::block_on(host())
}
