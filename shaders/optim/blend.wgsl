// t = clock step - start, at least 0; state = x where t is 0, else keep * state + add * x, add =
// max(rest, (1 + t * per_gamma)^-power), keep = 1 - add, or 1 if whole is 1. With power 0 only rest
// counts.
//
// Layout: any shape, four elements at a time; one state, or a run of states that lie side by side,
// each operand at the same distances. Reference: src/ops/optim/blend.rs. One invocation takes 4
// elements, one workgroup 4 * workgroup_size.
// Overrides: workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    quads: u32,
    start: u32,
    whole: u32,
    rest: f32,
    per_gamma: f32,
    power: f32,
}

@group(0) @binding(0) var<storage, read_write> state: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> clock: vec4<u32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.quads {
        let t = clock.z - min(clock.z, params.start);
        let base = 1.0 + f32(t) * params.per_gamma;
        let fall = select(exp2(-params.power * log2(base)), 1.0 / base, params.power == 1.0);
        let add = max(params.rest, select(0.0, fall, params.power > 0.0));
        let keep = select(1.0 - add, 1.0, params.whole == 1u);
        let value = x[i];
        state[i] = select(keep * state[i] + add * value, value, t == 0u);
    }
}
