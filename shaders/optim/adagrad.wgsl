// Provider of updated and Params: s = kept * s + rest * g^2; p - lr / (1 + step * lr_decay) * g /
// (sqrt(s) + eps). Adagrad keeps and adds all (kept and rest are 1), RMSprop averages (kept is
// alpha, rest 1 - alpha).

struct Params {
    grid: Grid,
    quads: u32,
    rate: f32,
    clip: f32,
    weight_decay: f32,
    kept: f32,
    rest: f32,
    lr_decay: f32,
    eps: f32,
}

@group(0) @binding(5) var<storage, read_write> square: array<vec4<f32>>;
@group(0) @binding(6) var<uniform> params: Params;

fn updated(i: u32, p: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    let s = params.kept * square[i] + params.rest * g * g;
    square[i] = s;
    return p
        - lr * params.rate / (1.0 + f32(clock.z) * params.lr_decay) * g / (sqrt(s) + params.eps);
}
