//! What the tests share: the table of cases, the drawing of their inputs, the comparer, the adapters.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub mod cases;
pub mod check;
pub mod compare;
pub mod draw;
pub mod lower;

use striate::gpu::{Gpu, GpuOptions};

/// A device on every adapter found. None is a skip that is printed, and a failure where `STRIATE_REQUIRE_GPU` is 1.
pub fn gpus(options: &GpuOptions) -> Vec<Gpu> {
    let gpus: Vec<Gpu> = Gpu::all(options)
        .into_iter()
        .map(|gpu| gpu.expect("every adapter gives a device"))
        .collect();
    if gpus.is_empty() {
        let required = std::env::var("STRIATE_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "STRIATE_REQUIRE_GPU is 1 and no adapter was found"
        );
        println!("SKIPPED on GPU: no adapter was found");
    }
    gpus
}
