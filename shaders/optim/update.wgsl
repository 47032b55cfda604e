// p = updated(p, g), g = clip(scale * grad) + weight_decay * p.
//
// Layout: any shape, four elements at a time; one parameter, or a run of parameters that lie side
// by side, each operand at the same distances. Where all operands are 0 they stay 0. Reference:
// src/ops/optim/update.rs, whose formulas are in src/ops/optim/rule.rs.
// One invocation updates 4 elements, one workgroup 4 * workgroup_size. `clip` below 0 clips
// nothing. Overrides: workgroup_size.
// Providers: updated, Params and the bindings from 5 on, moments (sgd_plain, sgd_momentum, adam,
// adam_max, adagrad, rmsprop_momentum or rmsprop_centered), lib/grid, lib/float.

override workgroup_size: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> lr: f32;
@group(0) @binding(3) var<uniform> scale: f32;
@group(0) @binding(4) var<uniform> clock: vec4<u32>;

fn gradient(i: u32, p: vec4<f32>) -> vec4<f32> {
    let g = scale * grad[i];
    let limit = vec4<f32>(params.clip);
    let clipped = select(clamp(g, -limit, limit), g, is_nan4(g) | (limit < vec4<f32>()));
    return select(clipped + params.weight_decay * p, clipped, params.weight_decay == 0.0);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.quads {
        let p = param[i];
        param[i] = updated(i, p, gradient(i, p));
    }
}
