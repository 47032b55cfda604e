// y[i] = (a[i], b[i]): means and variances as the statistics of a normalisation.
//
// Layout: a and b [count], y [count, 2]. Reference: src/ops/norm/statistics.rs.
// One invocation makes one pair, one workgroup workgroup_size.
// Overrides: workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec2<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        y[i] = vec2<f32>(a[i], b[i]);
    }
}
