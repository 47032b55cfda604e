// Provider of updated and Params: p - lr * g.

struct Params {
    grid: Grid,
    quads: u32,
    rate: f32,
    clip: f32,
    weight_decay: f32,
}

@group(0) @binding(5) var<uniform> params: Params;

fn updated(i: u32, p: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    return p - lr * params.rate * g;
}
