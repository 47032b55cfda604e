// y[i] = f(x[i]), elementwise.
//
// Layout: x and y are any shape, four elements at a time. Reference: src/ops/elementwise/unary.rs.
// One invocation makes 4 elements, one workgroup 4 * workgroup_size.
// Overrides: function (see elementwise/unary_function.wgsl), workgroup_size.
// Providers: load and store (lib/separate or lib/in_place), unary_function, lib/special, lib/grid,
// lib/float.

override function: u32 = 0u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    quads: u32,
    k0: f32,
    k1: f32,
    k2: f32,
}

alias Element = vec4<f32>;

const OLD: u32 = 0u;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.quads {
        store(i, apply(load(i)));
    }
}
