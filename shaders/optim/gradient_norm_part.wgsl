// Provider of store and Params: the norm is one of several, stored from `first` on.

struct Params {
    grid: Grid,
    count: u32,
    stride: u32,
    first: u32,
}

@group(0) @binding(1) var<storage, read_write> norms: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

fn store(j: u32, norm: f32) {
    norms[params.first + j] = norm;
}
