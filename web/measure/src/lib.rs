//! The lab's cases, timed in a browser ([`measuring`]), and what its worker calls.

pub mod measuring;
#[cfg(target_arch = "wasm32")]
mod worker;
