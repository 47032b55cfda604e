// y[i] = x[i] * scale where the uniform number i is at least p, else 0.
//
// Layout: x and y are any shape, four elements at a time; clock is seed low, seed high, step, unused. The four numbers of element 4b to
// 4b + 3 are Philox block b of (stream, step). Reference: src/ops/random.rs.
// One invocation makes 4 elements, one workgroup 4 * workgroup_size. Overrides: workgroup_size.
// Providers: load, store and clock (dropout_separate or dropout_in_place), lib/philox, lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    quads: u32,
    stream: u32,
    p: f32,
    scale: f32,
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.quads) {
        let unit = unit4(philox(vec4<u32>(i, 0u, params.stream, clock.z), clock.xy));
        store(i, select(vec4<f32>(0.0), params.scale * load(i), unit >= vec4<f32>(params.p)));
    }
}
