// Provider of updated and Params: v = beta2 * v + rest2 * g^2; largest = max(largest, v); p itself.
// AMSGrad's first half.

struct Params {
    grid: Grid,
    quads: u32,
    rate: f32,
    clip: f32,
    weight_decay: f32,
    beta2: f32,
    rest2: f32,
}

@group(0) @binding(5) var<storage, read_write> square: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> largest: array<vec4<f32>>;
@group(0) @binding(7) var<uniform> params: Params;

fn updated(i: u32, p: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    let v = params.beta2 * square[i] + params.rest2 * g * g;
    square[i] = v;
    let before = largest[i];
    largest[i] = select(v, before, is_nan4(before) | ((before > v) & !is_nan4(v)));
    return p;
}
