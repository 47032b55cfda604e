// dlogits[row, column] = (softmax(logits[row])[column] - (column == label ? 1 : 0)) * dloss / valid, 0 for rows from valid on.
//
// Layout: logits and dlogits [rows, columns], labels [rows], valid one word, dloss one float. A label that is not below columns gives
// a row of NaN. Reference: src/ops/loss.rs. A row is made by one invocation or by one workgroup, as the provider says.
// Overrides: workgroup_size. Providers: lib/row_alone or lib/row_shared, lib/grid, lib/float.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    rows: u32,
    columns: u32,
    nan: f32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<uniform> valid: u32;
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dlogits: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = row_index(workgroup_index(group), local);
    let lane = row_lane(local);
    let count = min(valid, params.rows);
    let inside = row < count;
    let start = select(0u, row * params.columns, row < params.rows);
    let end = start + select(0u, params.columns, row < params.rows);
    let read_end = select(start, end, inside);

    var top = LOWEST_F32;
    for (var i = start + lane; i < read_end; i += LANES) {
        top = max(top, logits[i]);
    }
    top = row_max(top, local);
    var sum = 0.0;
    for (var i = start + lane; i < read_end; i += LANES) {
        sum += exp(logits[i] - top);
    }
    sum = row_sum(sum, local);
    if (inside) {
        let label = labels[row];
        var factor = dloss[0] / f32(count);
        if (label >= params.columns) {
            factor = params.nan;
        }
        for (var i = start + lane; i < end; i += LANES) {
            let hot = select(0.0, 1.0, i == start + label);
            dlogits[i] = (exp(logits[i] - top) / sum - hot) * factor;
        }
    } else {
        for (var i = start + lane; i < end; i += LANES) {
            dlogits[i] = 0.0;
        }
    }
}
