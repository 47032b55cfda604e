// g = grad + weight_decay * p; p = p - lr * direction(g).
//
// Layout: any shape, four elements at a time; one parameter, or a run of parameters that lie side by side, each operand at the
// same distances. Reference: src/ops/update.rs. One invocation updates 4 elements, one workgroup 4 * workgroup_size.
// Overrides: workgroup_size. Providers: direction and the bindings after grad (sgd_plain or sgd_momentum), lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    quads: u32,
    weight_decay: f32,
    momentum: f32,
    nesterov: u32,
}

@group(0) @binding(0) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> grad: array<vec4<f32>>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.quads) {
        let p = param[i];
        param[i] = p - lr * direction(i, grad[i] + params.weight_decay * p);
    }
}
