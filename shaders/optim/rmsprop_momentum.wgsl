// Provider of updated and Params: v = alpha * v + rest * g^2, unless v is given; m = momentum * m +
// g / (sqrt(v) + eps); p - lr * m.

struct Params {
    grid: Grid,
    quads: u32,
    rate: f32,
    clip: f32,
    weight_decay: f32,
    alpha: f32,
    rest: f32,
    eps: f32,
    momentum: f32,
    given: f32,
}

@group(0) @binding(5) var<storage, read_write> square: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> moment: array<vec4<f32>>;
@group(0) @binding(7) var<uniform> params: Params;

fn updated(i: u32, p: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    let before = square[i];
    let v = select(params.alpha * before + params.rest * g * g, before, params.given == 1.0);
    square[i] = v;
    let m = params.momentum * moment[i] + g / (sqrt(v) + params.eps);
    moment[i] = m;
    return p - lr * params.rate * m;
}
