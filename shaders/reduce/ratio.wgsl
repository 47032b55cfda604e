// q = scale * a / b, but 0 where b is 0.
//
// Layout: flat, in quads. Reference: src/ops/reduce/mod.rs.
// One invocation makes one quad, one workgroup workgroup_size of them. Overrides: workgroup_size.
// Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    quads: u32,
    scale: f32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> q: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.quads {
        let under = b[i];
        // Both zeros, by their bits.
        let zero = (bitcast<vec4<u32>>(under) & vec4<u32>(0x7fffffffu)) == vec4<u32>();
        q[i] = select(params.scale * a[i] / select(under, vec4<f32>(1.0), zero), vec4<f32>(), zero);
    }
}
