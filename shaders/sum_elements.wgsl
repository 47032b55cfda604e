// Provider of Element, load and store: single elements.

alias Element = f32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

fn load(i: u32) -> f32 {
    return x[i];
}

fn store(i: u32, sum: f32) {
    y[i] = sum;
}
