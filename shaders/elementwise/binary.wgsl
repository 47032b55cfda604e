// y[i] = f(a[i], b[i]), elementwise over one shape.
//
// Layout: a, b and y are any shape, four elements at a time. Reference:
// src/ops/elementwise/binary.rs, of losses src/ops/loss/pointwise.rs, of gradients
// src/ops/elementwise/unary.rs.
// One invocation makes 4 elements, one workgroup 4 * workgroup_size.
// Overrides: function (see the provider of apply), workgroup_size.
// Providers: load of a and store (lib/separate or lib/in_place), apply (binary_function,
// loss_function or unary_gradient), lib/special, lib/grid, lib/float.

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

const OLD: u32 = 1u;

@group(0) @binding(0) var<storage, read> b: array<Element>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.quads {
        store(i, apply(load(i), b[i]));
    }
}
