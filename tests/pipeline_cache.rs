//! What a driver knows of pipelines, from one device to another.

use striate::graph::Graph;
use striate::prelude::*;
use striate::wgpu::{self, Features};
use striate_cases::devices::gpus;

/// The bits of relu(x w^T), and how many pipelines they took.
fn bits(gpu: &Gpu) -> (Vec<u32>, usize) {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([5, 7])).unwrap();
    let w = g
        .parameter("w", [6, 7], Init::Uniform { bound: 0.5 })
        .unwrap();
    let y = g.linear(x, w, None).unwrap();
    let y = g.sigmoid(y).unwrap();
    let store = Store::new(&gpu.clone().into(), &[&g], 3).unwrap();
    let mut session = Session::new(&store, &g, &[y]).unwrap();
    let values = (0..35).map(|i| i as f32 / 9.0 - 2.0).collect();
    session
        .write(x, &Tensor::f32([5, 7], values).unwrap())
        .unwrap();
    session.run(1).unwrap();
    let y = session.read(y).unwrap();
    let bits = y.as_f32().unwrap().iter().map(|y| y.to_bits()).collect();
    (bits, gpu.pipeline_count())
}

#[test]
fn another_device_begins_with_what_one_built() {
    for (i, gpu) in gpus(&GpuOptions::default()).into_iter().enumerate() {
        let want = bits(&gpu);
        let kept = gpu.device().features().contains(Features::PIPELINE_CACHE);
        assert_eq!(gpu.pipeline_cache_key().is_some(), kept, "{gpu:?}");
        let data = gpu.pipeline_cache_data();
        assert_eq!(data.is_some(), kept, "{gpu:?}");
        let data = data.unwrap_or_else(|| b"of another device".to_vec());
        let mut damaged = data.clone();
        let last = damaged.len() - 1;
        damaged[last] ^= 0x40;
        let garbage: Vec<u8> = (0..4000u32).map(|i| (i * 77 + i / 5) as u8).collect();
        for bytes in [&data[..], &damaged, &data[..last], &garbage, &[]] {
            let options = GpuOptions {
                pipeline_cache: Some(bytes.into()),
                ..GpuOptions::default()
            };
            let other = &gpus(&options)[i];
            assert_eq!(other.info(), gpu.info());
            assert_eq!(bits(other), want, "{gpu:?}");
            assert_eq!(other.pipeline_cache_data().is_some(), kept, "{gpu:?}");
            // On the same device, such data makes a set of pipelines of its own.
            let again = gpu.with_options(&options).unwrap();
            assert_eq!(again.pipeline_count(), 0);
            assert_eq!(bits(&again), want, "{gpu:?}");
        }
    }
}

/// A borrowed device keeps data only if its host enabled that.
#[test]
fn a_borrowed_device_has_what_its_host_enabled() {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    for adapter in pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all())) {
        let offered = adapter.features() & Features::PIPELINE_CACHE;
        for required_features in [Features::empty(), offered] {
            let descriptor = wgpu::DeviceDescriptor {
                required_features,
                ..Default::default()
            };
            let (device, queue) =
                pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
            let gpu = Gpu::from_device(device, queue).unwrap();
            let enabled = !required_features.is_empty();
            assert_eq!(gpu.pipeline_cache_data().is_some(), enabled, "{gpu:?}");
            assert_eq!(gpu.pipeline_cache_key().is_some(), enabled, "{gpu:?}");
        }
    }
}
