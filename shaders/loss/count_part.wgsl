// sums[at + j] = how many of right[j], right[j + chunks], ... are 1: the first stage of a count of
// many rows.
//
// Layout: right [rows] of 0 and 1, or sums of such; sums of all runs of rows, from `at` on.
// Reference: src/ops/loss/accuracy.rs.
// One invocation makes one sum, one workgroup workgroup_size of them. Overrides: workgroup_size.
// Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    rows: u32,
    chunks: u32,
    at: u32,
}

@group(0) @binding(0) var<storage, read> right: array<u32>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let chunk = workgroup_index(group) * workgroup_size + local;
    if chunk < params.chunks {
        var sum = 0u;
        for (var i = chunk; i < params.rows; i += params.chunks) {
            sum += right[i];
        }
        sums[params.at + chunk] = sum;
    }
}
