// Provider of Element, load and store: quads along the innermost run, which is kept.

alias Element = vec4<f32>;

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

fn load(i: u32) -> vec4<f32> {
    return x[i];
}

fn store(i: u32, sum: vec4<f32>) {
    y[i] = sum;
}
