// t = clock step + 1; g = grad + weight_decay * p, or, decoupled, p = p * (1 - lr * weight_decay);
// m = beta1 * m + rest1 * g; v = beta2 * v + rest2 * g^2; p = p - lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps).
//
// Layout: any shape, four elements at a time; one parameter, or a run of parameters that lie side by side, each operand at the
// same distances. Where all four are 0 they stay 0. Reference: src/ops/update.rs.
// One invocation updates 4 elements, one workgroup 4 * workgroup_size. Overrides: workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    quads: u32,
    weight_decay: f32,
    decoupled: u32,
    beta1: f32,
    rest1: f32,
    log_beta1: f32,
    beta2: f32,
    rest2: f32,
    log_beta2: f32,
    eps: f32,
}

@group(0) @binding(0) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> moment1: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> moment2: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> lr: f32;
@group(0) @binding(5) var<uniform> clock: vec4<u32>;
@group(0) @binding(6) var<uniform> params: Params;

// 1 - exp(x) for x <= 0, without cancellation near 0: Taylor's series to x^7.
fn one_minus_exp(x: f32) -> f32 {
    let series = -x * (1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0 * (1.0 + x / 5.0 * (1.0 + x / 6.0 * (1.0 + x / 7.0))))));
    return select(1.0 - exp(x), series, x > -0.35);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.quads) {
        let t = f32(clock.z) + 1.0;
        let scale = lr / one_minus_exp(t * params.log_beta1);
        let rest = one_minus_exp(t * params.log_beta2);
        let decoupled = params.decoupled == 1u;
        let p = param[i];
        let g = grad[i] + select(params.weight_decay, 0.0, decoupled) * p;
        let m = params.beta1 * moment1[i] + params.rest1 * g;
        let v = params.beta2 * moment2[i] + params.rest2 * g * g;
        moment1[i] = m;
        moment2[i] = v;
        let kept = select(1.0, 1.0 - lr * params.weight_decay, decoupled);
        param[i] = p * kept - scale * m / (sqrt(v / rest) + params.eps);
    }
}
