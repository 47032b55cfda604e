// Provider of load_a, load_b and store: three buffers.

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

fn load_a(i: u32) -> vec4<f32> {
    return a[i];
}

fn load_b(i: u32) -> vec4<f32> {
    return b[i];
}

fn store(i: u32, value: vec4<f32>) {
    y[i] = value;
}
