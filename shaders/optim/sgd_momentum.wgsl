// Provider of updated and Params: m = momentum * m + taken * g, in the first step m = g; p - lr *
// m, or, if nesterov is 1, p - lr * (g + momentum * m).

struct Params {
    grid: Grid,
    quads: u32,
    rate: f32,
    clip: f32,
    weight_decay: f32,
    momentum: f32,
    taken: f32,
    nesterov: f32,
}

@group(0) @binding(5) var<storage, read_write> moment: array<vec4<f32>>;
@group(0) @binding(6) var<uniform> params: Params;

fn updated(i: u32, p: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    let m = params.momentum * moment[i] + select(params.taken, 1.0, clock.z == 0u) * g;
    moment[i] = m;
    return p - lr * params.rate * select(m, g + params.momentum * m, params.nesterov == 1.0);
}
