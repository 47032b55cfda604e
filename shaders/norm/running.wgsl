// y[i] = keep * running[i] + add * statistics[i, column]: a running mean or variance after one more
// batch.
//
// Layout: running and y [count], statistics [count, 2]. Reference: src/ops/norm/statistics.rs.
// One invocation makes one element, one workgroup workgroup_size. Overrides: workgroup_size.
// Providers: load and store (lib/separate or lib/in_place), lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    column: u32,
    keep: f32,
    add: f32,
}

alias Element = f32;

const OLD: u32 = 1u;

@group(0) @binding(0) var<storage, read> statistics: array<vec2<f32>>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        store(i, params.keep * load(i) + params.add * statistics[i][params.column]);
    }
}
