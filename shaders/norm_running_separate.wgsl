// Provider of statistics, load and store: the running numbers before and after in two buffers.

@group(0) @binding(0) var<storage, read> running: array<f32>;
@group(0) @binding(1) var<storage, read> statistics: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

fn load(i: u32) -> f32 {
    return running[i];
}

fn store(i: u32, value: f32) {
    y[i] = value;
}
