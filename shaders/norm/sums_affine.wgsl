// Provider of put: the sums are the gradients of weight and bias.

struct Params {
    grid: Grid,
    sets: u32,
    chunks: u32,
}

@group(0) @binding(0) var<storage, read> partials: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(2) var<storage, read_write> dbias: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

fn put(own: u32, sums: vec2<f32>) {
    dweight[own] = sums.y;
    dbias[own] = sums.x;
}
