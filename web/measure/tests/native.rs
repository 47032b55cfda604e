//! Cases measured on this machine's adapters, by its clock.

use std::time::Instant;

use striate::error::ErrorKind;
use striate::gpu::GpuOptions;
use striate_cases::devices;
use striate_web_measure::measuring::{Measuring, SHORT};

#[test]
fn a_case_is_measured_and_checked() {
    let names = Measuring::names();
    for name in SHORT {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
    for gpu in devices::gpus(&GpuOptions::default()) {
        let begun = Instant::now();
        let clock = || begun.elapsed().as_secs_f64() * 1e3;
        let mut measuring = Measuring::new(gpu.clone());
        let name = "matmul/128x84x120";
        let measured = gpu.block_on(measuring.measure(name, &clock)).unwrap();
        let times = measured.times;
        assert!(0.0 < times.best && times.best <= times.median && times.spread >= 0.0);
        let flops = 2.0 * 128.0 * 84.0 * 120.0;
        let rate = flops / times.median / 1e6;
        assert!((measured.gflops / rate - 1.0).abs() < 1e-9);
        assert!(measured.roofline > 0.0 && measured.gbps > 0.0);
        assert!(
            measured
                .error
                .is_ok_and(|error| (0.0..=1.0).contains(&error))
        );

        // A clock that moves by 100 ms.
        let coarse = || (clock() / 100.0).floor() * 100.0;
        let mut measuring = Measuring::new(gpu.clone());
        let measured = gpu.block_on(measuring.measure(name, &coarse)).unwrap();
        let ratio = measured.times.median / times.median;
        assert!((0.1..10.0).contains(&ratio), "{ratio}");

        let unknown = gpu.block_on(measuring.measure("matmul", &clock));
        assert_eq!(unknown.unwrap_err().kind(), ErrorKind::Data);
    }
}
