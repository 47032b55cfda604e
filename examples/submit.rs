//! A network that submits its steps to the host's queue, and leaves waiting to the host:
//! `cargo run --release --example submit`.

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

    // y = softmax(x): scores become shares.
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([1, 4]))?;
    let y = g.softmax(x, 1)?;

    // The device stays the host's: no callback of it is taken.
    let gpu = Gpu::from_device(device.clone(), queue)?;
    let store = Store::new_async(&Engine::from(gpu.clone()), &[&g], 0).await?;
    let builder = Session::builder(&store, &g).fetch(&[y]);
    let mut session = builder.build_async().await?;

    // Each call submits at once and waits for nothing: so many steps are under way together.
    let mut reads = Vec::new();
    for step in 0..3u8 {
        let scores = vec![0.0, f32::from(step), 0.0, 0.0];
        session.write(x, &Tensor::f32([1, 4], scores)?)?;
        session.run(1)?;
        reads.push(session.read_async(y));
    }

    // The host polls, as it does for itself. Results are there then.
    device.poll(wgpu::PollType::wait_indefinitely())?;
    for read in reads {
        println!("{:.4?}", read.await?.as_f32()?);
    }
    let done = gpu.traffic();
    let (submissions, polls) = (done.submissions, done.polls);
    println!("the library made {submissions} submissions and {polls} polls");
    Ok(())
}

fn main() -> Outcome<()> {
    pollster::block_on(host())
}
