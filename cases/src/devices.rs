//! The devices that tests run on.

use striate::check::Adapter;
use striate::gpu::{Gpu, GpuOptions};

/// A device on every adapter found. None is a skip that is printed, and a failure where
/// `STRIATE_REQUIRE_GPU` is 1.
pub fn gpus(options: &GpuOptions) -> Vec<Gpu> {
    let gpus: Vec<Gpu> = Gpu::all(options)
        .into_iter()
        .map(|gpu| gpu.expect("every adapter gives a device"))
        .collect();
    expect_some(&gpus);
    gpus
}

/// Every adapter found, with every way to run cases on it; none is as for [`gpus`].
pub fn adapters() -> Vec<Adapter> {
    let found = Adapter::all(&GpuOptions::default()).into_iter();
    let adapters: Vec<Adapter> = found
        .map(|adapter| adapter.expect("every adapter gives a device"))
        .collect();
    expect_some(&adapters);
    adapters
}

fn expect_some<T>(found: &[T]) {
    if found.is_empty() {
        let required = std::env::var("STRIATE_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "STRIATE_REQUIRE_GPU is 1 and no adapter was found"
        );
        println!("SKIPPED on GPU: no adapter was found");
    }
}

/// Bytes that the process holds in memory, as Linux tells.
#[cfg(target_os = "linux")]
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kibibytes.parse::<u64>().unwrap() << 10
}
