//! What the rules choose for every case of the kernel bench on devices of several kinds, held by
//! `tests/choices.txt`: kernel, overrides and workgroups of its dispatches. The GPUs differ in
//! nothing yet that a rule looks at but their limits. A rule for one kind of device thus shows what
//! it does to the others. A changed row of a GPU comes with that GPU's bench lines, or with the
//! reason in the commit.

use std::fmt::Write;
use std::path::Path;

use striate::gpu::GpuOptions;
use striate::kernel::Caps;
use striate::plan::Step;
use striate::wgpu::{Backend, DeviceType, Limits};
use striate_cases::bench::benches;

/// Devices by name, with what their drivers allow of storage and uniform bindings.
fn devices() -> Vec<(&'static str, Caps)> {
    use Backend::{BrowserWebGpu, Dx12, Gl, Metal, Vulkan};
    use DeviceType::{Cpu, DiscreteGpu, IntegratedGpu, Other};
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    [
        ("H200", Vulkan, DiscreteGpu, 4096 * MIB - 4, 64 * KIB),
        ("Apple M2", Metal, IntegratedGpu, 4096 * MIB - 4, 64 * KIB),
        ("Intel iGPU", Dx12, IntegratedGpu, 1024 * MIB, 64 * KIB),
        ("RDNA", Vulkan, DiscreteGpu, 4096 * MIB - 4, 64 * KIB),
        ("browser", BrowserWebGpu, Other, 128 * MIB, 64 * KIB),
        ("four-buffer GL", Gl, Other, 128 * MIB, 16 * KIB),
        ("llvmpipe", Vulkan, Cpu, 128 * MIB, 64 * KIB),
    ]
    .map(|(name, backend, kind, storage, uniform)| {
        let limits = Limits {
            max_storage_buffer_binding_size: storage,
            max_uniform_buffer_binding_size: uniform,
            max_buffer_size: storage,
            max_storage_buffers_per_shader_stage: 4,
            ..Limits::default()
        };
        let caps = GpuOptions::default().caps(backend, kind, &limits);
        (name, caps.expect("the device fits"))
    })
    .into()
}

/// Its dispatches, neighbours of one kernel in one line: how many, and their workgroups all
/// together.
fn lines(steps: &[Step]) -> Vec<String> {
    let mut groups: Vec<(String, usize, u64)> = Vec::new();
    for step in steps {
        let overrides: Vec<String> = step
            .constants
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let name = format!("{} {}", step.kernel.name, overrides.join(" "));
        // Of a dispatch that is cut, each piece tells the workgroups of all.
        let workgroups = match step.base {
            0 => u64::from(step.count),
            _ => 0,
        };
        match groups.last_mut() {
            Some((last, count, sum)) if *last == name => {
                *count += 1;
                *sum += workgroups;
            }
            _ => groups.push((name, 1, workgroups)),
        }
    }
    let line = |(name, count, sum): (String, usize, u64)| match count {
        1 => format!("{name}: {sum} workgroups"),
        _ => format!("{name}: {sum} workgroups in {count} dispatches"),
    };
    groups.into_iter().map(line).collect()
}

#[test]
fn choices_are_the_recorded_ones() {
    let mut text = String::new();
    let devices = devices();
    for bench in benches() {
        let mut same: Vec<(Vec<String>, Vec<&str>)> = Vec::new();
        for (device, caps) in &devices {
            let steps = bench.steps(caps);
            let lines = lines(&steps.unwrap_or_else(|e| panic!("{}: {e}", bench.name)));
            match same.iter_mut().find(|(other, _)| *other == lines) {
                Some((_, on)) => on.push(device),
                None => same.push((lines, vec![device])),
            }
        }
        writeln!(text, "{}", bench.name).unwrap();
        for (lines, on) in same {
            writeln!(text, "  {}", on.join(", ")).unwrap();
            for line in lines {
                writeln!(text, "    {line}").unwrap();
            }
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/choices.txt");
    if std::env::var_os("STRIATE_WRITE_CHOICES").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    let end = std::iter::once("the end");
    let (then, now) = (recorded.lines().chain(end.clone()), text.lines().chain(end));
    let differs = then.zip(now).find(|(a, b)| a != b);
    assert!(
        recorded == text,
        "the rules choose otherwise than tests/choices.txt says, first where {differs:?} \
         (recorded, now); if that is meant, \
         STRIATE_WRITE_CHOICES=1 cargo test --release --test choices writes them"
    );
}
