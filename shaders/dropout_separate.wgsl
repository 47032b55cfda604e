// Provider of load, store and clock: x and y in two buffers.

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<uniform> clock: vec4<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

fn load(i: u32) -> vec4<f32> {
    return x[i];
}

fn store(i: u32, value: vec4<f32>) {
    y[i] = value;
}
