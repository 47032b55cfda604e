// Provider of store and Params: the norm is that of all; it is multiplied by factor, and scale =
// factor * min(1, max_norm / (norm + 1e-6)).

struct Params {
    grid: Grid,
    count: u32,
    stride: u32,
    max_norm: f32,
}

@group(0) @binding(1) var<storage, read_write> norm_of_all: array<f32>;
@group(0) @binding(2) var<storage, read_write> scale: array<f32>;
@group(0) @binding(3) var<uniform> factor: f32;
@group(0) @binding(4) var<uniform> params: Params;

fn store(j: u32, norm: f32) {
    let scaled = factor * norm;
    norm_of_all[0] = scaled;
    let share = params.max_norm / (scaled + 1e-6);
    scale[0] = factor * select(min(share, 1.0), share, is_nan(share));
}
