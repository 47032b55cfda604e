// y[i] = value.
//
// Layout: y is any shape, four elements at a time. Reference: src/ops/elementwise/mod.rs.
// One invocation makes 4 elements, one workgroup 4 * workgroup_size. Overrides: workgroup_size.
// Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    quads: u32,
    value: f32,
}

@group(0) @binding(0) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.quads {
        y[i] = vec4<f32>(params.value);
    }
}
