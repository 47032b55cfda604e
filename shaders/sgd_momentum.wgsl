// Provider of direction: m = momentum * m + g; then m, or g + momentum * m if nesterov is 1.

@group(0) @binding(2) var<storage, read_write> moment: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> lr: f32;
@group(0) @binding(4) var<uniform> params: Params;

fn direction(i: u32, g: vec4<f32>) -> vec4<f32> {
    let m = params.momentum * moment[i] + g;
    moment[i] = m;
    return select(m, g + params.momentum * m, params.nesterov == 1u);
}
