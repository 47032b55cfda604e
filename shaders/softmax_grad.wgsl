// dx = y * (dy - sum(dy * y)) over each row: the gradient of softmax, of its output y.
//
// Layout: y, dy and dx are [rows, columns]. Reference: src/ops/softmax.rs.
// A row is made by one invocation or by one workgroup, as the provider says.
// Overrides: workgroup_size. Providers: lib/row_alone or lib/row_shared, lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = row_index(workgroup_index(group), local);
    let inside = row < params.rows;
    let start = select(0u, row * params.columns, inside);
    let end = start + select(0u, params.columns, inside);
    let first = start + row_lane(local);

    var sum = 0.0;
    for (var i = first; i < end; i += LANES) {
        sum += y[i] * dy[i];
    }
    sum = row_sum(sum, local);
    for (var i = first; i < end; i += LANES) {
        dx[i] = y[i] * (dy[i] - sum);
    }
}
