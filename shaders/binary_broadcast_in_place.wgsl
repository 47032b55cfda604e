// Provider of load_a, load_b and store, one element at a time: y takes the place of a, which has its shape.

@group(0) @binding(0) var<storage, read> b: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

fn load_a(i: u32) -> f32 {
    return y[i];
}

fn load_b(i: u32) -> f32 {
    return b[i];
}

fn store(i: u32, value: f32) {
    y[i] = value;
}
