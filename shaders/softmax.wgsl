// y = exp(x - max(x)) / sum(exp(x - max(x))) over each row.
//
// Layout: x and y are [rows, columns]. Reference: src/ops/softmax.rs.
// A row is made by one invocation or by one workgroup, as the provider says. A NaN in a row reaches its sum whatever the maximum is.
// Overrides: workgroup_size. Providers: lib/row_alone or lib/row_shared, lib/grid, lib/float.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = row_index(workgroup_index(group), local);
    let inside = row < params.rows;
    let start = select(0u, row * params.columns, inside);
    let end = start + select(0u, params.columns, inside);
    let first = start + row_lane(local);

    var top = LOWEST_F32;
    for (var i = first; i < end; i += LANES) {
        top = max(top, x[i]);
    }
    top = row_max(top, local);
    var sum = 0.0;
    for (var i = first; i < end; i += LANES) {
        sum += exp(x[i] - top);
    }
    sum = row_sum(sum, local);
    for (var i = first; i < end; i += LANES) {
        y[i] = exp(x[i] - top) / sum;
    }
}
