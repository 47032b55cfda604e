// Provider of updated and Params: w = alpha * w + alpha_rest * (g - a)^2, the mean square of g less
// a^2; a = alpha * a + rest * g; p - lr * g / (sqrt(w) + eps), or p itself if it stays for a second
// half with momentum.

struct Params {
    grid: Grid,
    quads: u32,
    rate: f32,
    clip: f32,
    weight_decay: f32,
    alpha: f32,
    rest: f32,
    alpha_rest: f32,
    eps: f32,
    stays: f32,
}

@group(0) @binding(5) var<storage, read_write> variance: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> mean: array<vec4<f32>>;
@group(0) @binding(7) var<uniform> params: Params;

fn updated(i: u32, p: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    let a = mean[i];
    let w = params.alpha * variance[i] + params.alpha_rest * (g - a) * (g - a);
    variance[i] = w;
    mean[i] = params.alpha * a + params.rest * g;
    return select(p - lr * params.rate * g / (sqrt(w) + params.eps), p, params.stays == 1.0);
}
