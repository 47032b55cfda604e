// losses[row] = (log(sum(exp(logits[row] - max))) - (logits[row, label] - max)) / valid, 0 for rows from valid on and for those of the padding.
//
// Layout: logits [rows, columns], labels [rows], losses [padded], valid one word. A label that is not below columns gives NaN.
// Reference: src/ops/loss.rs. A row is made by one invocation or by one workgroup, as the provider says.
// Overrides: workgroup_size. Providers: lib/row_alone or lib/row_shared, lib/grid, lib/float.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    rows: u32,
    padded: u32,
    columns: u32,
    nan: f32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<uniform> valid: u32;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = row_index(workgroup_index(group), local);
    let lane = row_lane(local);
    let count = min(valid, params.rows);
    let inside = row < count;
    let start = select(0u, row * params.columns, inside);
    let end = start + select(0u, params.columns, inside);

    var top = LOWEST_F32;
    for (var i = start + lane; i < end; i += LANES) {
        top = max(top, logits[i]);
    }
    top = row_max(top, local);
    var sum = 0.0;
    for (var i = start + lane; i < end; i += LANES) {
        sum += exp(logits[i] - top);
    }
    sum = row_sum(sum, local);
    if (row < params.padded && lane == 0u) {
        var loss = 0.0;
        if (inside) {
            let label = labels[row];
            if (label < params.columns) {
                loss = (log(sum) - (logits[start + label] - top)) / f32(count);
            } else {
                loss = params.nan;
            }
        }
        losses[row] = loss;
    }
}
